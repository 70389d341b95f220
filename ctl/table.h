/* SPDX-License-Identifier: MIT */
/*
 * table.h - a small table of text: columns as wide as their widest cell, two spaces between
 *
 *	table_init(), table_add() for each cell, table_layout(), then table_row() for each row,
 *	or table_print() for layout and all rows
 */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include <stddef.h>
#include <stdio.h>

#define TABLE_MAX_COLUMNS 10
#define TABLE_CELL_BYTES 48
#define TABLE_INDENT 2
#define TABLE_LINE_COLUMNS 80		/* where nothing says otherwise */
#define TABLE_ROW_BYTES (TABLE_MAX_COLUMNS * (TABLE_CELL_BYTES + 2) + TABLE_INDENT)
#define TABLE_HEADINGS ((size_t)-1)	/* as a row */

struct table {
	size_t n_columns;
	/*
	 * "<NAME": to the left, ">NAME": to the right, "~NAME": to the left, and cut, with a "~"
	 * at its end, if the table would be wider than the line. At most one of these.
	 */
	const char *const *headings;
	size_t n_cells;
	size_t n_allocated;
	char (*cells)[TABLE_CELL_BYTES];	/* row by row */
	int widths[TABLE_MAX_COLUMNS];
	int error;			/* the first failure, kept until table_layout() */
};

void table_init(struct table *table, const char *const *headings, size_t n_columns);
void table_deinit(struct table *table);

/* The next cell, from left to right and row by row; cut to TABLE_CELL_BYTES. ASCII. */
void table_add(struct table *table, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

size_t table_n_rows(const struct table *table);

/**
 * table_layout() - how wide the columns are
 * @line_columns: of the line
 * @ret_room:     columns left behind the last one; negative: it does not fit
 *
 * Return: 0; -ENOMEM, now or when a cell was added.
 */
int table_layout(struct table *table, int line_columns, int *ret_room);

/* One row of a table that is laid out, or TABLE_HEADINGS. */
void table_row(const struct table *table, size_t row, char ret_text[static TABLE_ROW_BYTES]);

/* Called at the end of each row but the headings; room: columns left of 80. */
typedef void (*table_tail_fn)(size_t row, int room, void *userdata);

/**
 * table_print() - everything, to standard output
 * @tail:   NULL, or prints what follows the last column
 *
 * Return: 0 or -ENOMEM, and nothing was printed.
 */
int table_print(struct table *table, table_tail_fn tail, void *userdata);

#endif
