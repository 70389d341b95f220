/* SPDX-License-Identifier: MIT */
/*
 * word.h - the 64-bit word that says who holds a chunk, and the handle that names one
 *	    incarnation of it
 *
 * Pure functions on values; loads, stores and swaps stand where their order is argued.
 */
#ifndef SHM_WORD_H
#define SHM_WORD_H

#include <stdbool.h>
#include <stdint.h>

#include "mempool_layout.h"

#define WORD_VALUE_MASK UINT32_C(0x3fffffff)
#define WORD_ID_MASK UINT32_C(0x7fff)		/* of a holder in OWNED, of a queue or holder in SENT */
#define WORD_LANE_SHIFT 15			/* of the lane above the holder, in OWNED */
#define WORD_LANE_MASK (WORD_ID_MASK << WORD_LANE_SHIFT)
#define WORD_EPOCH_BITS 18			/* of a lane's epoch, in FREE */
#define WORD_EPOCH_MASK ((UINT32_C(1) << WORD_EPOCH_BITS) - 1)

static inline uint64_t word_make(uint32_t generation, enum mempool_kind kind, uint32_t value)
{
	return (uint64_t)generation << 32 | (uint32_t)kind << 30 | (value & WORD_VALUE_MASK);
}

static inline uint32_t word_generation(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

static inline enum mempool_kind word_kind(uint64_t word)
{
	return (enum mempool_kind)((uint32_t)word >> 30);
}

static inline uint32_t word_value(uint64_t word)
{
	return (uint32_t)word & WORD_VALUE_MASK;
}

/* FREE for everybody, of the generation after this one; 0 is skipped, so that no handle is ever 0. */
static inline uint64_t word_freed(uint64_t word)
{
	uint32_t next;
	bool is_round = __builtin_add_overflow(word_generation(word), 1, &next);

	return (uint64_t)(next + is_round) << 32;
}

static inline uint32_t word_next_generation(uint64_t word)
{
	return word_generation(word_freed(word));
}

static inline bool word_is_free(uint64_t word)
{
	return word_kind(word) == MEMPOOL_FREE;
}

/* FREE, and for everybody alike: a swap claims it. */
static inline bool word_is_open(uint64_t word)
{
	return (uint32_t)word == 0;
}

/* Of FREE: for which lane, and in which of its epochs, or the low bits of that. */
static inline uint32_t word_lane(uint64_t word)
{
	return word_value(word) >> WORD_EPOCH_BITS;
}

static inline uint32_t word_epoch(uint64_t word)
{
	return (uint32_t)word & WORD_EPOCH_MASK;
}

/* The low half of a word that is FREE for a lane. */
static inline uint32_t word_bias(uint32_t lane, uint64_t epoch)
{
	return lane << WORD_EPOCH_BITS | ((uint32_t)epoch & WORD_EPOCH_MASK);
}

/* The same incarnation, for everybody. */
static inline uint64_t word_opened(uint64_t word)
{
	return word_make(word_generation(word), MEMPOOL_FREE, 0);
}

/* Who has it, of OWNED. Which of its threads claimed it, the lane says; that is no matter here. */
static inline uint32_t word_owner(uint64_t word)
{
	return (uint32_t)word & WORD_ID_MASK;
}

static inline bool word_is_owned_by(uint64_t word, uint32_t holder)
{
	return ((uint32_t)word & ~WORD_LANE_MASK) == ((uint32_t)MEMPOOL_OWNED << 30 | holder);
}

/* Claimed: the incarnation stays the same until the chunk changes hands or is freed. */
static inline uint64_t word_claimed(uint64_t word, uint32_t holder)
{
	return word_make(word_generation(word), MEMPOOL_OWNED, holder);
}

static inline uint64_t word_taken(uint64_t word, uint32_t holder)
{
	return word_make(word_next_generation(word), MEMPOOL_OWNED, holder);
}

static inline uint64_t word_sent(uint64_t word, uint32_t queue, uint32_t sender)
{
	return word_make(word_next_generation(word), MEMPOOL_SENT, queue << 15 | sender);
}

static inline uint32_t word_sent_queue(uint64_t word)
{
	return word_value(word) >> 15;
}

static inline uint32_t word_sent_sender(uint64_t word)
{
	return (uint32_t)word & WORD_ID_MASK;
}

/* Whether a handle of that generation names it. One comparison: of all but the sender ... */
static inline bool word_is_given(uint64_t word, uint32_t generation)
{
	return (word | WORD_ID_MASK) == word_make(generation, MEMPOOL_SENT, WORD_ID_MASK);
}

/* ... and of all but the manager. */
static inline bool word_is_shared(uint64_t word, uint32_t generation)
{
	return (word | WORD_VALUE_MASK) == word_make(generation, MEMPOOL_SHARED, WORD_VALUE_MASK);
}

/* Handle: generation(32) | pool(6) | index(26). */

static inline uint32_t handle_chunk(uint32_t pool, uint32_t index)
{
	return pool << 26 | index;
}

static inline uint64_t handle_make(uint32_t generation, uint32_t pool, uint32_t index)
{
	return (uint64_t)generation << 32 | handle_chunk(pool, index);
}

static inline uint32_t handle_generation(uint64_t handle)
{
	return (uint32_t)(handle >> 32);
}

static inline uint32_t handle_pool(uint64_t handle)
{
	return (uint32_t)handle >> 26;
}

static inline uint32_t handle_index(uint64_t handle)
{
	return (uint32_t)handle & (MEMPOOL_MAX_CHUNKS_PER_POOL - 1);
}

#endif
