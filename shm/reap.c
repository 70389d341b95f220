/* SPDX-License-Identifier: MIT */
#include "reap.h"

#include <errno.h>
#include <stdlib.h>

#include "chunk_manager.h"
#include "queue.h"

#define LEAF_BITS 64

int reap_init(struct reap *reap, struct segment *segment)
{
	*reap = (struct reap){
		.segment = segment,
		.pool = segment->n_pools,	/* the managers first */
		.dead = calloc(segment->n_holders / 64, sizeof(uint64_t)),
	};
	if (queue_snapshots_init(&reap->snapshots, segment) < 0)
		reap_deinit(reap);
	return reap->dead ? 0 : -ENOMEM;
}

void reap_deinit(struct reap *reap)
{
	queue_snapshots_deinit(&reap->snapshots);
	free(reap->dead);
	reap->dead = NULL;
}

void reap_add(struct reap *reap, uint32_t holder)
{
	if (holder == MEMPOOL_HOLDER_NONE || holder >= reap->segment->n_holders)
		return;
	reap->dead[holder / 64] |= UINT64_C(1) << holder % 64;
	reap->any_dead = holder;
}

bool reap_has(const struct reap *reap, uint32_t holder)
{
	return holder < reap->segment->n_holders &&
	       (reap->dead[holder / 64] >> holder % 64 & 1);
}

/* What a word becomes; itself, if it does not name the dead. */
static uint64_t next_word(struct reap *reap, uint32_t index, uint64_t word)
{
	uint32_t queue = word_sent_queue(word);
	int r;

	switch (word_kind(word)) {
	case MEMPOOL_OWNED:
		return reap_has(reap, word_value(word)) ? word_freed(word) : word;
	case MEMPOOL_SENT:
		if (!reap_has(reap, word_sent_sender(word)))
			return word;
		if (queue == 0)
			return word_freed(word);
		r = queue_snapshots_has(&reap->snapshots, queue,
					handle_make(word_generation(word), reap->pool, index));
		if (r == -ENOMEM) {
			reap->n_skipped++;
			return word;
		}
		/* The same incarnation: the handle in the slot must still fit. */
		return r == 1 ? word_make(word_generation(word), MEMPOOL_SENT, queue << 15)
			      : word_freed(word);
	case MEMPOOL_FREE:
	case MEMPOOL_SHARED:
		break;
	}
	return word;
}

/* Take the dead out of one word. Returns whether the word is free now. */
static bool reap_word(struct reap *reap, const struct pool *pool, uint32_t index)
{
	_Atomic uint64_t *word = &pool->entries[index].word;
	/* Relaxed: a first guess, the swap decides. */
	uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);
	uint64_t next = next_word(reap, index, seen);

	/*
	 * R2 (release) pairs with A1 of the next claim. seq_cst, since the dry word is looked at
	 * after it (D1): the daemon is not registered for membarrier. A failed swap is a taker
	 * who was faster, or a hostile client: not ours any more.
	 */
	if (next != seen && atomic_compare_exchange_strong_explicit(
				    word, &seen, next, memory_order_seq_cst,
				    memory_order_relaxed)) {
		reap->n_freed += word_is_free(next);
		reap->n_held += word_is_free(next);
		return word_is_free(next);
	}
	return word_is_free(seen);
}

/* Clear the bits of the dead. Returns whether there were any. */
static bool clear_bits(const struct reap *reap, uint32_t index)
{
	struct mempool_chunk_manager *manager = segment_manager(reap->segment, index);
	uint64_t cleared = 0;

	for (uint32_t i = 0; i < reap->segment->n_holders / 64; i++) {
		/* Relaxed: only the dead set their bits, and they are dead. */
		if (reap->dead[i] == 0 ||
		    !(atomic_load_explicit(&manager->sharers[i], memory_order_relaxed) &
		      reap->dead[i]))
			continue;
		/* seq_cst, as in chunk_manager.c. */
		cleared |= atomic_fetch_and_explicit(&manager->sharers[i], ~reap->dead[i],
						     memory_order_seq_cst) & reap->dead[i];
	}
	return cleared != 0;
}

/*
 * A ChunkManager, whatever its state: a bit may be set on one that is not SHARED yet. Every
 * SHARED one is collected, not only where a bit was: the dead may have cleared its bit and
 * been killed before it collected. Returns whether the manager is free now.
 */
static bool reap_manager(struct reap *reap, const struct pool *managers, uint32_t index)
{
	_Atomic uint64_t *word = &managers->entries[index].word;
	/* Relaxed: a first guess; swaps decide. */
	uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);
	bool is_named;

	if (word_kind(seen) == MEMPOOL_OWNED && reap_has(reap, word_value(seen)) &&
	    chunk_manager_reap_owned(reap->segment, index, seen)) {
		reap->n_freed++;
		reap->n_held++;
	}
	is_named = word_kind(seen) == MEMPOOL_SHARED && chunk_manager_is_named(reap->segment, index);
	if (clear_bits(reap, index))
		/* Killed while sharing, it holds the chunk by the chunk's word. */
		reap->n_held += is_named;
	if (word_kind(atomic_load_explicit(word, memory_order_relaxed)) == MEMPOOL_SHARED &&
	    reap->any_dead != MEMPOOL_HOLDER_NONE)
		reap->n_freed += chunk_manager_collect(reap->segment, index, reap->any_dead);
	return word_is_free(atomic_load_explicit(word, memory_order_relaxed));
}

/*
 * The words of one leaf, and the hints of those that are free. The dry word is moved, and
 * sleepers are woken, leaf by leaf: a sweep of a large pool takes a while, and who remembers
 * the pool as dry, or sleeps, is not to wait for its end. That covers the dead, too, who
 * freed a chunk and were killed before they moved the word.
 */
static void reap_leaf(struct reap *reap, struct pool *pool, uint32_t leaf)
{
	uint32_t first = leaf * LEAF_BITS;
	uint32_t end = first + LEAF_BITS < pool->n_chunks ? first + LEAF_BITS : pool->n_chunks;
	bool is_managers = reap->pool == reap->segment->n_pools;
	uint64_t hints = 0;

	for (uint32_t i = first; i < end; i++)
		if (is_managers ? reap_manager(reap, pool, i)
				: reap_word(reap, pool, i))
			hints |= UINT64_C(1) << (i - first);
	/* Always, even if all are set: the summary bit may be the one that was lost. */
	if (hints)
		pool_hint_leaf(pool, leaf, hints);
}

/* Those who wait for what the dead may have freed, sent or owed; not the dead. */
static void wake_all(const struct reap *reap)
{
	struct segment *segment = reap->segment;
	uint32_t n_words = segment->n_holders / 64;
	struct queue queue;

	for (uint64_t i = 0; i < (uint64_t)segment->config.n_rings * n_words; i++)
		if (reap->dead[i % n_words] != 0)
			/* seq_cst, as in client/poller.c. */
			atomic_fetch_and_explicit(&segment->pollers[i],
						  ~reap->dead[i % n_words],
						  memory_order_seq_cst);

	for (uint32_t i = 0; i < segment->config.n_rings; i++)
		if (queue_view(&queue, segment, i) == 0)
			queue_help(&queue);
	segment_wake(segment);
}

bool reap_step(struct reap *reap, uint32_t max_words)
{
	uint32_t n_pools = reap->segment->n_pools;

	for (uint32_t n = 0; reap->n_pools_done <= n_pools; n += LEAF_BITS) {
		struct pool *pool = &reap->segment->pools[reap->pool];

		if (n >= max_words)
			return false;
		reap_leaf(reap, pool, reap->index / LEAF_BITS);
		reap->index += LEAF_BITS;
		if (reap->index < pool->n_chunks)
			continue;

		reap->index = 0;
		reap->pool = reap->n_pools_done++;
	}
	wake_all(reap);
	return true;
}

int64_t reap_holder(struct segment *segment, uint32_t holder)
{
	struct reap reap;
	int r;

	r = reap_init(&reap, segment);
	if (r < 0)
		return r;
	reap_add(&reap, holder);
	while (!reap_step(&reap, UINT32_MAX))
		;
	reap_deinit(&reap);
	return (int64_t)reap.n_freed;
}
