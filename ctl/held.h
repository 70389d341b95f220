/* SPDX-License-Identifier: MIT */
/*
 * held.h - a list of the chunks of a segment that somebody holds, with what their traces say
 *
 * A chunk that several share is there for each of them. Everything that is read is input: it is copied,
 * and a number that leads nowhere is left out. A hostile member can say that all holders share all
 * chunks: the list ends somewhere.
 */
#ifndef CTL_HELD_H
#define CTL_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/budget.h"
#include "shm/segment.h"
#include "shm/trace.h"

#define HELD_MAX (1U << 20)

enum held_how {
	HELD_ALONE,
	HELD_GIVEN,			/* by its holder, and not taken yet */
	HELD_SHARED,
	HELD_SENT,			/* on its way in a queue, or about to be */
};

struct held {
	uint32_t pool;
	uint32_t index;
	uint32_t holder;		/* MEMPOOL_HOLDER_NONE: sent */
	uint32_t ring;			/* of a sent one, which queue */
	enum held_how how;
	bool is_known;			/* by its trace */
	struct trace trace;
};

/* Legal zeroed; held_list_deinit() frees it. */
struct held_list {
	struct held *chunks;
	size_t n;
	size_t n_allocated;
	bool is_cut;			/* there are more */
	struct trace_module *modules;	/* [MEMPOOL_MAX_MODULES]; without a path: none. NULL: the segment
					 * keeps no traces */
};

/* Within the budget. Return: 0 or -ENOMEM; what is there already is to be freed in both cases. */
int held_list_take(const struct segment *segment, struct budget *budget,
		   struct held_list *ret_list);
void held_list_deinit(struct held_list *list);

#endif
