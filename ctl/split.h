/* SPDX-License-Identifier: MIT */
/*
 * split.h - queues and topics that are in two generations of a segment
 *
 * After a reload with another layout, who is still in the old generation and who is in the
 * new one send and receive under the same name, and never meet.
 */
#ifndef CTL_SPLIT_H
#define CTL_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

#include "snapshot.h"

/* The generation that new clients get, if @old is a retired one with clients; else NULL. */
const struct snapshot *split_newer(const struct snapshot *snapshots, size_t n,
				   const struct snapshot *old);

/* Whether it has a ring of that kind and name. */
bool split_has_ring(const struct snapshot *newer, const struct snapshot_ring *ring);

/* A client, and not the daemon or a topic. */
bool split_is_client(const struct snapshot_holder *holder);

/* Warn of each, with the processes that are still in the old one, on standard output. */
void split_print(const struct snapshot *snapshots, size_t n);

#endif
