/* SPDX-License-Identifier: MIT */
/*
 * counting.h - counts of segments that are carried on from look to look
 *
 * A look at a segment has a budget, whatever members have written there. What it does not get
 * done, the next one goes on with. Until a count has come to its end once, it is shown for the
 * part that it is; from then on the last whole one is shown, and when that was. With it go the
 * records of the holders as they were then: an id may be another's by now.
 */
#ifndef CTL_COUNTING_H
#define CTL_COUNTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/census.h"
#include "shm/config.h"
#include "shm/holder.h"
#include "shm/segment.h"

struct counting {
	uint64_t segment_id;
	struct config shape;
	bool is_under_way;
	struct census census;		/* under way; else none */
	bool has_whole;
	struct census whole;		/* the last one that came to its end */
	struct holder *records;		/* by id, behind its last word */
	uint64_t whole_ns;		/* when: CLOCK_MONOTONIC */
	int64_t whole_ms;		/* since 1970 */
	bool is_wanted;			/* in this look */
};

/* Legal zeroed; of one segment, or of all of a daemon. */
struct countings {
	struct counting *list;
	size_t n;
};

void countings_deinit(struct countings *countings);

/* Before a look, and after it: those that it did not ask for are forgotten. */
void countings_begin_look(struct countings *countings);
void countings_end_look(struct countings *countings);

/* That of a segment, made if there is none. Good until the next call. NULL: no memory. */
struct counting *countings_find(struct countings *countings, const struct segment *segment);

/* Count on, or begin anew after a whole one. Return: 0 or -ENOMEM. */
int counting_go_on(struct counting *counting, const struct segment *segment,
		   struct budget *budget);

/* What was read turned out to be no segment: forget all of it. */
void counting_forget(struct counting *counting);

/* The last whole one; else the part that there is. And a holder as it was then. */
const struct census *counting_shown(const struct counting *counting);
struct holder counting_holder(const struct counting *counting, const struct segment *segment,
			      uint32_t id);

#endif
