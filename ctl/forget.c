/* SPDX-License-Identifier: MIT */
/*
 * forget.c - mempoolctl forget: a holder of whom nobody can see whether it lives is dead
 */
#include <stdio.h>
#include <stdlib.h>

#include "ctl.h"
#include "mempool_layout.h"
#include "observer.h"

/* Return: false it is no number of a holder, or of a generation. */
static bool read_number(const char *text, unsigned long long max, unsigned long long *ret_number)
{
	char *end;

	*ret_number = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && *ret_number <= max;
}

enum ctl_exit ctl_forget(const struct ctl_options *options)
{
	const char *generation_text = options->arguments[1];
	unsigned long long holder, generation = 0;
	char reason[240];
	int r;

	if (!read_number(options->arguments[0], MEMPOOL_MAX_HOLDERS - 1, &holder)) {
		ctl_error("'%s' is no holder's id (mempoolctl status)", options->arguments[0]);
		return CTL_USAGE;
	}
	if (generation_text && !read_number(generation_text, UINT64_MAX, &generation)) {
		ctl_error("'%s' is no generation (mempoolctl status)", generation_text);
		return CTL_USAGE;
	}
	r = observer_forget(options->socket_path, options->segment, generation, (uint32_t)holder,
			    reason);
	if (r < 0)
		return ctl_explain(options->socket_path, r, reason);
	if (options->json)
		printf("{ \"holder\": %llu }\n", holder);
	else
		printf("holder %llu is forgotten: what it held is being freed\n", holder);
	return CTL_OK;
}
