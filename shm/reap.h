/* SPDX-License-Identifier: MIT */
/*
 * reap.h - free what the dead held, by what the words say
 *
 * One sweep over all words serves every holder that was dead at its start:
 *
 *	lanes of the dead	their epochs are ended, claims that they were killed in cancelled; they
 *			are given back (lane.h)
 *	OWNED(dead)	-> FREE, next generation
 *	SENT(0, dead)	-> FREE, next generation	(a taker may win the race: then it has it)
 *	SENT(q, dead)	in the queue: SENT(q, 0), the message outlives its sender; else it was
 *			never published -> FREE, next generation
 *	sharer bit	cleared; every SHARED manager is collected, in the name of the dead
 *	manager OWNED(dead)	freed, with the chunk that is still SHARED by it
 *	FREE		its hint is set again: the dead may have had it in a cache. But not while it is
 *			free for a living thread alone, who has the hint
 *	FREE(a retired lane)	for everybody, the same generation; then the lane begins a new life
 *	after each leaf with free words the pool's dry word is moved
 *	open ends of the dead are given back (end.h)
 *	in the end queue heads are helped along, and all sleepers are woken, since the dead may
 *	have owed a wake
 *
 * What stands in a queue is found there: before the first SENT(q, dead) is judged, all slots of
 * q are walked, and the words of the messages in them lose the names of the dead. A message
 * keeps its slot until it is received, and the dead send no more. So whatever still says
 * SENT(q, dead) after the walk was never published.
 *
 * Managers go before chunks, so that whoever gets a chunk can share it. Every step is
 * decided by words alone, so a sweep that was cut short, by a kill or for its slice, is
 * simply done again or gone on with.
 *
 * A sweep can be cut into slices wherever it is, in the walk of a queue too. It takes all its
 * memory at the start, and nothing that a member can write makes one step of it a long one.
 */
#ifndef SHM_REAP_H
#define SHM_REAP_H

#include <stdbool.h>
#include <stdint.h>

#include "segment.h"

struct reap {
	struct segment *segment;
	uint64_t *dead;			/* a bit per holder id */
	uint32_t any_dead;		/* one of them, to collect in its name */
	uint64_t *walked;		/* a bit per ring: its messages have lost their names */
	uint64_t *retired;		/* a bit per lane that is to begin anew; NULL: none is to */
	uint32_t lane;			/* the next one to look at; then, once all words are swept, */
	uint32_t renewed;		/* to renew */
	uint64_t hints;			/* of the leaf, so far */
	uint32_t pool;			/* where the sweep is */
	uint32_t index;
	uint32_t n_pools_done;
	uint32_t walks;			/* the id of a queue; 0: none */
	struct segment_wakes wakes;	/* before the first, the poller bits and
					 * the open ends; of a ring, its head */
	uint64_t place;			/* in the queue; or in the poller bits, and then the ends */
	uint64_t n_freed;		/* chunks, not managers */
	uint64_t n_held;		/* chunks the dead had, alone or with others */
};

/* Start a sweep for no one yet. Return: 0 or -ENOMEM. reap_deinit() is always legal. */
int reap_init(struct reap *reap, struct segment *segment);
void reap_deinit(struct reap *reap);

/*
 * Before the first reap_step(): lanes that are nobody's, and retired, begin anew with this sweep. For
 * the daemon alone. A lane that another such sweep has renewed meanwhile is left as it is.
 * Return: 0 or -ENOMEM.
 */
int reap_renew_lanes(struct reap *reap);

/* Before the first reap_step(): this holder is dead. Out of range: ignored. */
void reap_add(struct reap *reap, uint32_t holder);
bool reap_has(const struct reap *reap, uint32_t holder);

/**
 * reap_step() - go on for about @max_words words, or what takes as long
 *
 * Crash:  every step can be repeated; the holder stays REAPING until the sweep is over.
 * Return: true when the sweep is finished.
 */
bool reap_step(struct reap *reap, uint32_t max_words);

/* A whole sweep for one holder. Return: chunks freed, or -ENOMEM. */
int64_t reap_holder(struct segment *segment, uint32_t holder);

#endif
