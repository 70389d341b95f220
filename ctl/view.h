/* SPDX-License-Identifier: MIT */
/*
 * view.h - one segment as lines for a screen: what top shows, without the terminal
 */
#ifndef CTL_VIEW_H
#define CTL_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snapshot.h"
#include "table.h"
#include "text.h"

/* What the holders are sorted by, the largest first. */
enum view_sort {
	VIEW_BYTES,
	VIEW_SHARED,
	VIEW_GROWTH,
	VIEW_ID,			/* the smallest first */
};
#define VIEW_N_SORTS 4
const char *view_sort_name(enum view_sort sort);

struct view_line {
	char text[TABLE_ROW_BYTES];
	bool is_heading;
	bool is_alarm;			/* an allocation failed there since the last look, or it is stuck */
	int bar_columns;		/* 0: none; two blanks before it, a percentage behind */
	enum text_level level;		/* of the bar */
	uint64_t used;
	uint64_t total;
};

struct view {
	struct view_line *lines;
	size_t n_lines;
	size_t n_allocated;
	int error;			/* the first failure */
};

/**
 * view_build() - the lines of a segment
 * @before:       an earlier look at it, for rates, or NULL
 * @line_columns: of the screen
 * @ret_view:     replaced; view_deinit() frees it
 *
 * Return: 0 or -ENOMEM.
 */
int view_build(struct view *ret_view, const struct snapshot *before, const struct snapshot *now,
	       enum view_sort sort, int line_columns);
void view_deinit(struct view *view);

#endif
