/* SPDX-License-Identifier: MIT */
/*
 * layout.h - write the header and the tables of a segment
 *
 * They are a function of the shape and the identity. Two write them: whoever makes the
 * segment, and a daemon that adopts it, since any client may have written over them. What
 * readers do with them is segment.h.
 */
#ifndef SHM_LAYOUT_H
#define SHM_LAYOUT_H

#include <stdint.h>

#include "segment.h"

/**
 * segment_layout() - lay out zeroed memory and publish it as READY
 * @identity: NULL: all random, generation 1
 *
 * Crash: until the last store the state says BUILDING, and nobody attaches.
 * Return: 0; -ENOSPC size_bytes is short, nothing was touched; -EINVAL as config_check().
 */
int segment_layout(void *base, uint64_t size_bytes, const struct config *config,
		   const struct segment_identity *identity);

/**
 * segment_restore() - write the header and the constant part of all tables again
 * @segment:  of segment_view(): its shape is not the segment's word
 * @identity: as it was laid out with
 *
 * Pools, words, rings and the records of clients are left as they are.
 *
 * Threads: clients go on meanwhile. What is right already is not written.
 * Crash:   what is not restored yet is restored by the next call.
 */
void segment_restore(struct segment *segment, const struct segment_identity *identity,
		     enum mempool_segment_state state);

#endif
