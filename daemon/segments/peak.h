/* SPDX-License-Identifier: MIT */
/*
 * peak.h - the most chunks of each pool that were used at once, for who sizes them
 *
 * Counting on every allocation would cost every allocation. Instead the daemon counts the
 * words once a second, as long as anybody is there, and raises each pool's peak by what it
 * finds; who runs a pool dry writes by himself that all of it was used (pool_claim_scan()).
 * So the figure is exact at the top, and below it misses what is over within a second, or,
 * since a pool is read word by word, is off by what changed hands during the reading.
 *
 * A segment is read in small steps (daemon/base/chores.h), and a large one less often, so that
 * the counting takes no more than a fiftieth of one processor.
 */
#ifndef DAEMON_SEGMENTS_PEAK_H
#define DAEMON_SEGMENTS_PEAK_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdint.h>

#include "daemon/base/chores.h"
#include "shm/segment.h"

struct peak {
	const struct segment *segment;
	struct event rest;		/* until the next pass */
	struct chore count;
	uint32_t pool;			/* that is being read, */
	uint32_t index;			/* from this word on; */
	uint32_t n_used;		/* and those before it */
	uint64_t busy_ns;		/* what this pass took so far */
};

void peak_init(struct peak *peak, struct event_base *base, struct chores *chores,
	       const struct segment *segment);

/* Count from now on, or no more; harmless where it is so already. */
void peak_start(struct peak *peak);
void peak_stop(struct peak *peak);

#endif
