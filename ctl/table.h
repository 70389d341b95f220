/* SPDX-License-Identifier: MIT */
/*
 * table.h - a small table of text: columns as wide as their widest cell, two spaces between
 */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include <stddef.h>
#include <stdio.h>

#define TABLE_MAX_COLUMNS 8
#define TABLE_CELL_BYTES 48

struct table {
	size_t n_columns;
	const char *const *headings;	/* "<NAME": to the left, ">NAME": to the right */
	size_t n_cells;
	size_t n_allocated;
	char (*cells)[TABLE_CELL_BYTES];	/* row by row */
	int error;			/* the first failure, kept until table_print() */
};

void table_init(struct table *table, const char *const *headings, size_t n_columns);
void table_deinit(struct table *table);

/* The next cell, from left to right and row by row; cut to TABLE_CELL_BYTES. ASCII. */
void table_add(struct table *table, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Called at the end of each row, before its newline; row (size_t)-1 is the headings'. */
typedef void (*table_tail_fn)(size_t row, int room, void *userdata);

/**
 * table_print() - everything, to standard output
 * @indent: spaces before each row
 * @tail:   NULL, or prints what follows the last column; room: columns left of 80
 *
 * Return: 0 or -ENOMEM, and nothing was printed.
 */
int table_print(const struct table *table, int indent, table_tail_fn tail, void *userdata);

#endif
