/* SPDX-License-Identifier: MIT */
/*
 * reaper.h - free what the dead of one generation held, a slice at a time
 *
 * One sweep over the words (shm/reap.h) serves every tenant that was REAPING when it began;
 * those who end meanwhile are served by the next one. A slice takes well under a
 * millisecond, and the sockets are looked at between two: hellos are answered while a
 * segment of many GiB is swept. Slices and sockets take turns on one priority, so that
 * neither a large sweep nor a client that never stops talking keeps the other waiting.
 */
#ifndef DAEMON_SEGMENTS_REAPER_H
#define DAEMON_SEGMENTS_REAPER_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/segments/tenant.h"
#include "shm/reap.h"

struct reaper {
	struct tenants *tenants;
	struct reap reap;
	bool is_running;
	bool daemon_is_dead;		/* what the last daemon held is to be freed, too */
	uint32_t n_dead;
	uint64_t begun_ns;
};

enum reaper_result {
	REAPER_IDLE,			/* there is nobody to sweep for */
	REAPER_BUSY,			/* there may be more to do */
	REAPER_SHORT,			/* of memory: try again later */
};

/* Of tenants with a segment. */
void reaper_init(struct reaper *reaper, struct tenants *tenants);

/* Begin, or go on for one slice. */
enum reaper_result reaper_step(struct reaper *reaper);

/* Give up a sweep. */
void reaper_stop(struct reaper *reaper);

#endif
