/* SPDX-License-Identifier: MIT */
/* scenarios.c - the list of them */
#include "scenarios.h"

#include <stddef.h>

const struct scenario *const scenarios[] = {
	&scenario_close,
	&scenario_poller,
	&scenario_poller_rival,
	&scenario_poller_three,
	&scenario_pool,
	&scenario_share,
	&scenario_share_threads,
	&scenario_wait,
	&scenario_wait_deaf,
	&scenario_wait_three,
	NULL,
};
