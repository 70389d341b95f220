/* SPDX-License-Identifier: MIT */
/*
 * forget.c - mempoolctl forget: a holder of whom nobody can see whether it lives is dead
 */
#include <stdio.h>

#include "ctl.h"
#include "number.h"
#include "observer.h"

enum ctl_exit ctl_forget(const struct ctl_options *options)
{
	const char *generation_text = options->arguments[1];
	uint64_t generation = 0;
	uint32_t holder;
	char reason[240];
	int r;

	if (!number_read_holder(options->arguments[0], &holder) ||
	    (generation_text && !number_read_generation(generation_text, &generation)))
		return CTL_USAGE;
	r = observer_forget(options->socket_path, options->segment, generation, holder, reason);
	if (r < 0)
		return ctl_explain(options->socket_path, r, reason);
	if (options->json)
		printf("{ \"holder\": %u }\n", holder);
	else
		printf("holder %u is forgotten: what it held is being freed\n", holder);
	return CTL_OK;
}
