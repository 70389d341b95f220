/* SPDX-License-Identifier: MIT */
/*
 * drain.h - drop every message that a topic keeps
 *
 * The topic lets go of them (topic.h), and what nobody else holds is freed (chunk_manager.h).
 */
#ifndef SHM_DRAIN_H
#define SHM_DRAIN_H

#include <stdint.h>

#include "topic.h"

/**
 * drain_topic() - let go of every message that is kept
 * @as: in whose name what nobody else holds is freed
 *
 * Readers find them missed. Bounded by the capacity, whatever publishers do meanwhile.
 * Crash:  killed between a slot and its collecting, the manager is left with the topic's bit
 *         alone, for the next sweep.
 * Return: how many messages; *ret_freed of them were held by nobody else.
 */
uint64_t drain_topic(const struct topic *topic, uint32_t as, uint64_t *ret_freed);

#endif
