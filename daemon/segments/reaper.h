/* SPDX-License-Identifier: MIT */
/*
 * reaper.h - free what the dead of one generation held, a step at a time
 *
 * One sweep over the words (shm/reap.h) serves every tenant that was REAPING when it began;
 * those who end meanwhile are served by the next one.
 *
 *	GATHER	which ids are dead
 *	SWEEP	what they hold is freed
 *	RELEASE	their records are free; where there is no segment to sweep any more, at once
 *	AUDIT	in builds for development: what the sweep has left is whole
 *
 * A step takes some microseconds (daemon/base/chores.h): hellos are answered while a segment of
 * many GiB is swept.
 */
#ifndef DAEMON_SEGMENTS_REAPER_H
#define DAEMON_SEGMENTS_REAPER_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/segments/tenant.h"
#include "shm/audit.h"
#include "shm/reap.h"

enum reaper_phase {
	REAPER_RESTS,
	REAPER_GATHERS,
	REAPER_SWEEPS,
	REAPER_RELEASES,
	REAPER_AUDITS,
};

struct reaper {
	struct tenants *tenants;
	struct reap reap;
	struct audit_run audit;		/* in builds for development */
	enum reaper_phase phase;
	uint32_t id;			/* the next one to gather, or to release */
	bool daemon_is_dead;		/* what the last daemon held is to be freed, too */
	uint32_t n_dead;
	uint64_t begun_ns;
};

enum reaper_result {
	REAPER_IDLE,			/* there is nobody to sweep for */
	REAPER_BUSY,			/* there may be more to do */
	REAPER_DONE,			/* the same, and a sweep is over */
	REAPER_SHORT,			/* of memory: try again later */
};

void reaper_init(struct reaper *reaper, struct tenants *tenants);

/* Begin, or go on. */
enum reaper_result reaper_step(struct reaper *reaper);

/* Give up a sweep. */
void reaper_stop(struct reaper *reaper);

#endif
