/* SPDX-License-Identifier: MIT */
/*
 * claim.h - how a thread claims a chunk: by plain stores, if it freed it itself; else by a swap
 *
 *	no lane		mine is no word's; frees are for everybody
 *	in an epoch	frees are for the thread's lane; what is, it claims by stores (shm/lane.h)
 *	quiet		its epoch was ended: it has a lane, and goes on by swaps, so many as it was to
 *			do without; then it adopts an epoch again
 *
 * A swap is counted (n_swaps_left), which costs next to nothing beside it. When they are used up, it is
 * time to look: for a lane, if there is none; whether it is still to be used; and whether pools in
 * which hints were wanted have enough of them again, so that frees may be for the lane there.
 *
 * Who is often asked for what it freed is quiet for twice as long each time. So two threads that pass a
 * chunk to and fro revoke next to nothing, and a lane's epochs, which are counted, last.
 *
 * A lane is for a thread that allocates: not of a reader or spectator, nor where what is held is counted,
 * traced or checked, nor without membarrier.
 */
#ifndef CLIENT_CLAIM_H
#define CLIENT_CLAIM_H

#include "parts.h"

/* Before the first claim of a cache: it has no lane, and looks for one at the first swap. */
void claim_init(struct cache *cache);

/* The thread ends, or its client is closed: no claim of it is under way. Its hints are still there. */
void claim_end(struct cache *cache);

/* Hints of a pool are wanted: what the thread frees there from now on is everybody's. */
void claim_unbias(struct cache *cache, struct magazine *magazine);

/*
 * And so is this chunk, which it has freed, and whose hint it has. Return: whether the hint is to be passed
 * on; false: somebody has the chunk already.
 */
bool claim_open(const struct cache *cache, const struct pool *pool, uint32_t index);

/* The low half of no word, which a thread without an epoch has for `mine`: OWNED by nobody. */
#define CLAIM_NONE ((uint32_t)MEMPOOL_OWNED << 30)

/* How far a claim has come. */
enum claim {
	CLAIM_DONE,			/* the chunk is ours */
	CLAIM_LOST,			/* it is another's */
	CLAIM_DUE,			/* it is ours, and it is time to look */
	CLAIM_MOVED,			/* an intent was made, and the epoch is another one */
	CLAIM_OTHER,			/* it is neither free for everybody nor, in this epoch, for us */
};

/* FREE(my lane, my epoch),g -> OWNED(me, my lane),g without a locked instruction. */
static inline enum claim claim_plainly(struct cache *cache, const struct pool *pool, uint32_t index,
				       _Atomic uint64_t *word, uint64_t seen)
{
	struct mempool_lane *record = cache->record;
	uint64_t generation = seen - cache->mine;

	/*
	 * B1 (release) pairs with B5: whoever reads this intent finds the word of the claim before as
	 * we left it. Killed behind it, the reaper cancels the claim; stopped, it is finished for us.
	 */
	atomic_store_explicit(&record->intent, generation | handle_chunk(pool->id, 0) | index,
			      memory_order_release);
	/*
	 * B2 (relaxed): behind the intent, by the membarrier of whoever moves the epoch (B4): either
	 * that one finds the intent, or we the moved epoch.
	 */
	atomic_signal_fence(memory_order_seq_cst);
	if (unlikely(atomic_load_explicit(&record->epoch, memory_order_relaxed) != cache->epoch))
		return CLAIM_MOVED;
	/*
	 * Relaxed: what is done with the chunk from here on, only we do. Nor is anything to be
	 * acquired: who freed it for this epoch was this thread.
	 */
	atomic_store_explicit(word, generation | cache->owned, memory_order_relaxed);
	return CLAIM_DONE;
}

/* The straight line of claim_hint(), for who has a way of its own for the rest: claim_finish(). */
static inline __attribute__((always_inline)) enum claim
claim_begin(struct cache *cache, const struct pool *pool, uint32_t index, _Atomic uint64_t *word)
{
	/* Relaxed: what is claimed by stores we wrote ourselves; else the swap decides. */
	uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);

	if (!word_is_open(seen))
		return likely((uint32_t)seen == cache->mine)
			       ? claim_plainly(cache, pool, index, word, seen) : CLAIM_OTHER;
	if (unlikely(!pool_claim_word(word, seen, seen | cache->owned)))
		return CLAIM_LOST;
	return likely(--cache->n_swaps_left != 0) ? CLAIM_DONE : CLAIM_DUE;
}

/* What claim_begin() has left to do. Return: whether the chunk is ours. */
bool claim_finish(struct cache *cache, const struct pool *pool, uint32_t index, enum claim claim);

/**
 * claim_hint() - claim the chunk that a hint leads to, if nobody has it
 * @index: in range
 *
 * Wait-free; a claim by stores has no locked instruction.
 * Crash: killed before the word names us, the chunk is free, or the reaper makes it so.
 * Return: whether it is ours; false: the hint is to be dropped.
 */
static inline bool claim_hint(struct cache *cache, const struct pool *pool, uint32_t index)
{
	enum claim claim = claim_begin(cache, pool, index, &pool->entries[index].word);

	return likely(claim == CLAIM_DONE) || claim_finish(cache, pool, index, claim);
}

/*
 * A hint has led to nothing, or there is none. If somebody has written into the lane what no sound member
 * does, so that others take for settled what is free for it, the thread goes by it no more.
 */
void claim_doubt(struct cache *cache);

/* As what a chunk is claimed by a swap elsewhere: the holder, and above it the lane. */
static inline uint32_t claim_owner(const struct cache *cache)
{
	return word_value(cache->owned);
}

#endif
