/* SPDX-License-Identifier: MIT */
/*
 * table.c - see table.h
 */
#include "table.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define GAP 2
#define MIN_CUT_COLUMNS 6

void table_init(struct table *table, const char *const *headings, size_t n_columns)
{
	assert(n_columns <= TABLE_MAX_COLUMNS);
	*table = (struct table){ .n_columns = n_columns, .headings = headings };
}

void table_deinit(struct table *table)
{
	free(table->cells);
	table->cells = NULL;
}

void table_add(struct table *table, const char *format, ...)
{
	va_list args;

	if (table->error < 0)
		return;

	if (table->n_cells == table->n_allocated) {
		size_t n = table->n_allocated ? 2 * table->n_allocated : 64;
		void *cells = reallocarray(table->cells, n, sizeof(*table->cells));

		if (!cells) {
			table->error = -ENOMEM;
			return;
		}
		table->cells = cells;
		table->n_allocated = n;
	}

	va_start(args, format);
	vsnprintf(table->cells[table->n_cells++], TABLE_CELL_BYTES, format, args);
	va_end(args);
}

size_t table_n_rows(const struct table *table)
{
	return table->n_cells / table->n_columns;
}

static const char *cell_of(const struct table *table, size_t row, size_t column)
{
	return row == TABLE_HEADINGS ? table->headings[column] + 1 :
				       table->cells[row * table->n_columns + column];
}

static int widest_of(const struct table *table, size_t column)
{
	int widest = (int)strlen(cell_of(table, TABLE_HEADINGS, column));

	for (size_t row = 0; row < table_n_rows(table); row++) {
		int width = (int)strlen(cell_of(table, row, column));

		if (width > widest)
			widest = width;
	}
	return widest;
}

int table_layout(struct table *table, int line_columns, int *ret_room)
{
	int room = line_columns - TABLE_INDENT;

	if (table->error < 0)
		return table->error;
	assert(table->n_cells % table->n_columns == 0);

	for (size_t i = 0; i < table->n_columns; i++) {
		table->widths[i] = widest_of(table, i);
		room -= table->widths[i] + (i > 0 ? GAP : 0);
	}
	for (size_t i = 0; i < table->n_columns && room < 0; i++) {
		int width = table->widths[i] + room;

		if (table->headings[i][0] != '~')
			continue;
		if (width < MIN_CUT_COLUMNS)
			width = MIN_CUT_COLUMNS;
		if (width < table->widths[i]) {
			room += table->widths[i] - width;
			table->widths[i] = width;
		}
	}
	*ret_room = room;
	return 0;
}

void table_row(const struct table *table, size_t row, char ret_text[static TABLE_ROW_BYTES])
{
	int n = snprintf(ret_text, TABLE_ROW_BYTES, "%*s", TABLE_INDENT, "");

	for (size_t i = 0; i < table->n_columns; i++) {
		const char *cell = cell_of(table, row, i);
		int width = table->widths[i];
		bool is_cut = (int)strlen(cell) > width;

		n += snprintf(ret_text + n, TABLE_ROW_BYTES - (size_t)n, "%*s%*.*s%s",
			      i ? GAP : 0, "",
			      table->headings[i][0] == '>' ? width : -(width - is_cut),
			      width - is_cut, cell, is_cut ? "~" : "");
	}
	/* Nothing at the end of a line that nobody sees. */
	while (n > 0 && ret_text[n - 1] == ' ')
		n--;
	ret_text[n] = '\0';
}

int table_print(struct table *table, table_tail_fn tail, void *userdata)
{
	char text[TABLE_ROW_BYTES];
	int room;
	int r = table_layout(table, TABLE_LINE_COLUMNS, &room);

	if (r < 0)
		return r;
	for (size_t row = TABLE_HEADINGS; row == TABLE_HEADINGS || row < table_n_rows(table);
	     row++) {
		table_row(table, row, text);
		fputs(text, stdout);
		if (tail && row != TABLE_HEADINGS)
			tail(row, room, userdata);
		putchar('\n');
	}
	return 0;
}
