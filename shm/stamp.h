/* SPDX-License-Identifier: MIT */
/*
 * stamp.h - when the message in a chunk was sent
 *
 * A ring that keeps stamps has one for each of its messages, in the place of the chunk that the
 * message is in: whatever happens to a message, its chunk is with it. It is
 * written between the moment at which the chunk is the sender's no more and the one at which the
 * message stands in the ring: of two threads that send one chunk, one gets there. So the swap of
 * the slot publishes it; whoever finds the message by its slot finds the stamp, and nobody writes
 * it again before the chunk is somebody's alone.
 *
 * It names the generation that the word has when the message is held: of a queue, that of the
 * receipt; of a topic, that of the sharing. A chunk that was freed, given, or sent where no stamps
 * are kept has a later one, so an old stamp is never taken for a new message's. What was sent
 * and is freed without having been received skips the receipt: stamp_void() comes before that.
 *
 * A member that writes what it likes can write any stamp.
 */
#ifndef SHM_STAMP_H
#define SHM_STAMP_H

#include <errno.h>
#include <stdint.h>

#include "pool.h"

/* Relaxed, all: ordered by the slot of the ring, and later by the chunk's word. */

static inline void stamp_put(const struct pool *pool, uint32_t index, uint64_t sent_ns,
			     uint32_t generation)
{
	atomic_store_explicit(&pool_stamp(pool, index)->sent_ns, sent_ns, memory_order_relaxed);
	atomic_store_explicit(&pool_stamp(pool, index)->generation, generation, memory_order_relaxed);
}

/* The chunk is free, or its sender's again, without having been received. */
static inline void stamp_void(const struct pool *pool, uint32_t index)
{
	if (pool->has_stamps)
		atomic_store_explicit(&pool_stamp(pool, index)->generation, 0, memory_order_relaxed);
}

/* Of a message that stands in a ring that keeps stamps; 0: nobody knows. */
static inline uint64_t stamp_sent_ns(const struct pool *pool, uint32_t index)
{
	return atomic_load_explicit(&pool_stamp(pool, index)->sent_ns, memory_order_relaxed);
}

/**
 * stamp_of_held() - of what the caller holds, by the word that says so
 *
 * Return: 0; -ENODATA it did not come from a ring that keeps stamps, or nobody knows.
 */
static inline int stamp_of_held(const struct pool *pool, uint32_t index, uint64_t word,
				uint64_t *ret_sent_ns)
{
	uint64_t sent_ns;

	if (!pool->has_stamps || atomic_load_explicit(&pool_stamp(pool, index)->generation,
						      memory_order_relaxed) != word_generation(word))
		return -ENODATA;
	sent_ns = stamp_sent_ns(pool, index);
	if (sent_ns == 0)
		return -ENODATA;
	*ret_sent_ns = sent_ns;
	return 0;
}

#endif
