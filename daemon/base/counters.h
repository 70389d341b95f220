/* SPDX-License-Identifier: MIT */
/*
 * counters.h - how many live in all segments together
 *
 * Segments count; connections and the status line read.
 */
#ifndef DAEMON_BASE_COUNTERS_H
#define DAEMON_BASE_COUNTERS_H

#include <stdint.h>

struct counters {
	uint64_t n_tenants;
	uint64_t n_reaping;		/* of them: their process has ended, or left */
};

#endif
