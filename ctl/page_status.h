/* SPDX-License-Identifier: MIT */
/*
 * page_status.h - what the status page shows, as JSON
 *
 *	{"socket", "up", "taken_ms", "interval_ms", "problems": [text],
 *	 "segments": as of status --json, and "holders_left_out" in each,
 *	 "history": {"times": [ms], "pools": [{"segment", "generation", "pool",
 *	   "used": [count or null]}]}}
 */
#ifndef CTL_PAGE_STATUS_H
#define CTL_PAGE_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl.h"
#include "gather.h"
#include "history.h"

/* Lines of ctl_error(). */
struct problems {
	char **lines;
	size_t n;
};

/* Out of memory, a line is left out. */
void problems_add(struct problems *problems, const char *text);
bool problems_has(const struct problems *problems, const char *text);
void problems_deinit(struct problems *problems);

struct page_status {
	const struct ctl_options *options;
	struct gathering *gathering;	/* holders that are left out are taken from it */
	const struct history *history;
	const struct problems *problems;
	int64_t taken_ms;
	uint64_t interval_ms;
};

/* Return: 0, and the caller frees *ret_text; -ENOMEM. */
int page_status_render(const struct page_status *status, char **ret_text, size_t *ret_size);

#endif
