/* SPDX-License-Identifier: MIT */
/*
 * drain.h - drop every message that a topic keeps
 *
 * The topic lets go of them (topic.h), and what nobody else holds is freed (chunk_manager.h).
 * Readers find them missed. Bounded by the capacity, whatever publishers do meanwhile.
 *
 * Crash: killed between a slot and its collecting, the manager is left with the topic's bit
 * alone, for the next sweep.
 */
#ifndef SHM_DRAIN_H
#define SHM_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "topic.h"

/* One under way; it has nothing to free. */
struct drain {
	struct topic topic;
	uint32_t as;			/* in whose name what nobody else holds is freed */
	uint64_t place;			/* the next slot */
	uint64_t n_messages;		/* let go of */
	uint64_t n_freed;		/* of them nobody else held */
};

void drain_init(struct drain *drain, const struct topic *topic, uint32_t as);

/* Go on for about @max_slots slots, or what takes as long. Return: whether it is over. */
bool drain_step(struct drain *drain, uint64_t max_slots);

/* All of it. Return: how many messages; *ret_freed of them were held by nobody else. */
uint64_t drain_topic(const struct topic *topic, uint32_t as, uint64_t *ret_freed);

#endif
