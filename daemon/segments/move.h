/* SPDX-License-Identifier: MIT */
/*
 * move.h - what waits in generations that nobody lives in goes to the current one
 *
 * A generation that retires keeps its messages until its last client has left and been swept;
 * then a thread moves them (shm/move.h), the oldest generation first. With nothing left in it,
 * it may be removed. What finds no place keeps it, and is tried again, now and then and after
 * each reload, unless an admin has said that it is to be dropped (mempoolctl reload --discard).
 *
 * A new current generation is closed until what nobody lives in has been moved to it once: who
 * comes first finds what was sent before.
 */
#ifndef DAEMON_SEGMENTS_MOVE_H
#define DAEMON_SEGMENTS_MOVE_H

#include <event2/event_struct.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/worker.h"
#include "daemon/segments/generation.h"
#include "shm/move.h"

/* Whose generations they are. */
struct mover_owner {
	const char *segment_name;
	const struct generation_list *generations;
	struct generation *const *current;	/* NULL: there is none now */
	const struct conf_segment *const *conf;	/* NULL: there will be none */

	/* Who is let in, or what is waiting, has changed. */
	void (*changed)(struct generation *from);
};

struct mover {
	const struct environment *environment;
	struct mover_owner owner;
	bool is_closed;
	struct event again;
	uint32_t n_tries;

	/* Of the pass under way. */
	struct worker worker;
	struct generation *from;
	struct generation *to;		/* NULL: nowhere; it is only counted */
	struct move move;
	bool *is_outdated;
	struct sigbus_range *ranges;	/* of the thread: from and to */
	_Atomic bool is_given_up;
	bool is_complete;
	struct move_counts counts;
	char why[MOVE_WHY_BYTES];
};

void mover_init(struct mover *mover, const struct environment *environment,
		const struct mover_owner *owner);

/* Give up a pass, and wait for that; before generations are freed. Return: as worker_stop(). */
bool mover_stop(struct mover *mover);

/* The current generation is new: close it, if there is something to wait for. */
void mover_close(struct mover *mover);

/* What found no place is tried again at once: there is another current one, or another config. */
void mover_retry(struct mover *mover);

/* Begin what can be begun. After each change of a generation. */
void mover_look(struct mover *mover);

/* Whether a generation that nobody lives in is still wanted. */
bool mover_keeps(const struct generation *generation);

/* A move that the daemon before us was killed in: of two that were just opened, or to NULL. */
void mover_recover(const struct state *file, struct segment *from, struct segment *to);

#endif
