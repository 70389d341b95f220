/* SPDX-License-Identifier: MIT */
/*
 * claims.h - whether the threads of a generation may claim by plain stores (shm/lane.h)
 *
 * A holder without membarrier(2) cannot open what is free for the lane of another thread: it would
 * take such a chunk for one that is held. So there are no lanes as long as one lives.
 *
 *	ON	the state file says that there are claims, then the header
 *	ENDS	the header says that there are none; then all lanes are revoked, some of them at a time
 *	OFF	the state file says so too: nothing is free for a lane
 *
 * A holder without membarrier is let in while they are OFF, and they stay so until the last one is
 * gone. Its hello waits until then, as one that waits for an id.
 *
 * The header is for clients, and never read. A daemon that is killed leaves in the state file what
 * the next one has to do before it listens: nothing, where there were no claims; else to go on with
 * them, or to end them once more.
 *
 * Nobody can end them for want of a membarrier of our own, if that failed since they began: then who
 * has none is refused.
 */
#ifndef DAEMON_SEGMENTS_CLAIMS_H
#define DAEMON_SEGMENTS_CLAIMS_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/chores.h"
#include "daemon/segments/tenant.h"

enum claims_phase {
	CLAIMS_OFF,
	CLAIMS_ON,
	CLAIMS_END,
};

struct claims {
	struct tenants *tenants;	/* their segment, its state, and who of them is deaf */
	const bool *are_wanted;		/* by the config */
	enum claims_phase phase;
	uint32_t lane;			/* END: the next one to be revoked */
	bool has_failed;		/* END: for want of a barrier */
	uint64_t not_before_ns;		/* OFF: when they may begin again */
	struct chore step;
	struct event rest;		/* until then */
};

/* OFF, as in a new segment. Those of one without a segment stay so. */
void claims_init(struct claims *claims, struct tenants *tenants, const bool *are_wanted);

/* Behind the adoption of the tenants: go on with them, or end them, now. */
void claims_adopt(struct claims *claims);

/* Whether they are to begin, or to end: now, or in a chore, when what it depends on has changed. */
void claims_look(struct claims *claims);
void claims_kick(struct claims *claims);

/**
 * claims_end() - a holder without membarrier wants to come
 *
 * Return: 0 it may, if it comes now; -EAGAIN it is to wait, and tenants_try_again() tells when to try
 *	   again; -EPERM they could not be ended.
 */
int claims_end(struct claims *claims);

/* It is over, or lost: nobody claims anything there. */
void claims_stop(struct claims *claims);

#endif
