/* SPDX-License-Identifier: MIT */
/*
 * table.c - see table.h
 */
#include "table.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LINE_COLUMNS 80
#define GAP 2

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

static void print_row(const struct table *table, int indent, const int *widths,
		      const char *const *cells)
{
	printf("%*s", indent, "");
	for (size_t i = 0; i < table->n_columns; i++) {
		int width = table->headings[i][0] == '<' ? -widths[i] : widths[i];

		printf("%*s%*s", i ? GAP : 0, "", width, cells[i]);
	}
}

int table_print(const struct table *table, int indent, table_tail_fn tail, void *userdata)
{
	int widths[TABLE_MAX_COLUMNS];
	int room = LINE_COLUMNS - indent;
	size_t n_rows;

	if (table->error < 0)
		return table->error;
	assert(table->n_cells % table->n_columns == 0);
	n_rows = table->n_cells / table->n_columns;

	for (size_t i = 0; i < table->n_columns; i++) {
		widths[i] = (int)strlen(table->headings[i] + 1);
		for (size_t row = 0; row < n_rows; row++) {
			int width = (int)strlen(table->cells[row * table->n_columns + i]);

			if (width > widths[i])
				widths[i] = width;
		}
		room -= widths[i] + GAP;
	}

	for (size_t row = (size_t)-1; row == (size_t)-1 || row < n_rows; row++) {
		const char *cells[TABLE_MAX_COLUMNS];

		for (size_t i = 0; i < table->n_columns; i++)
			cells[i] = row == (size_t)-1 ?
					   table->headings[i] + 1 :
					   table->cells[row * table->n_columns + i];
		print_row(table, indent, widths, cells);
		if (tail)
			tail(row, room, userdata);
		putchar('\n');
	}

	return 0;
}
