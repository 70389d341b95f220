/* SPDX-License-Identifier: MIT */
/* scenarios.c - the list of them */
#include "scenarios.h"

#include <stddef.h>

const struct scenario *const scenarios[] = {
	&scenario_pool,
	NULL,
};
