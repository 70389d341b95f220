/* SPDX-License-Identifier: MIT */
/*
 * drain.h - drop every message that a topic keeps, or that waits in a queue
 *
 * The topic lets go of them (topic.h), and what nobody else holds is freed (chunk_manager.h).
 * Readers find them missed. A message of a queue is freed by the swap of its word (queue_drop()):
 * so it is dropped or received, never both, and what is left in its slot is as if it had been
 * received. Bounded by the capacity, whatever publishers and senders do meanwhile.
 *
 * Of a queue for one receiver we are that in each step; where a client is, there is nothing to drain: a
 * swap of ours could come between its look at a word and its store. Messages that stand in slots hold no
 * chunk: none is freed.
 *
 * Crash: killed between a topic's slot and its collecting, the manager is left with the topic's bit
 * alone, for the next sweep. A message of a queue waits, or is free; of one for one receiver it may be ours,
 * and is freed with the role when our id is reaped.
 */
#ifndef SHM_DRAIN_H
#define SHM_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "topic.h"

/* One under way; it has nothing to free. */
struct drain {
	const struct segment *segment;
	uint32_t ring;			/* in its table */
	uint64_t capacity;
	uint32_t as;			/* in whose name what nobody else holds is freed */
	uint64_t place;			/* the next slot */
	uint64_t n_messages;		/* let go of */
	uint64_t n_freed;		/* of them nobody else held */
	bool is_refused;		/* a queue's one receiver is there: the rest is its */
};

void drain_init(struct drain *drain, const struct segment *segment, uint32_t ring, uint32_t as);

/* Go on for about @max_slots slots, or what takes as long. Return: whether it is over. */
bool drain_step(struct drain *drain, uint64_t max_slots);

/* All of a topic. Return: how many messages; *ret_freed of them were held by nobody else. */
uint64_t drain_topic(const struct topic *topic, uint32_t as, uint64_t *ret_freed);

#endif
