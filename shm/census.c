/* SPDX-License-Identifier: MIT */
/*
 * census.c - the pass over the words; see census.h
 */
#include "census.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "pool.h"
#include "word.h"

/* The one holder that a word names; MEMPOOL_HOLDER_NONE when it names none, or several. */
static uint32_t holder_of(uint64_t word)
{
	if (word_kind(word) == MEMPOOL_OWNED)
		return word_value(word);
	if (word_kind(word) == MEMPOOL_SENT && word_sent_queue(word) == 0)
		return word_sent_sender(word);
	return MEMPOOL_HOLDER_NONE;
}

/* Of a word that names no holder who has the chunk alone. */
static void count_others(struct census *census, uint64_t word, bool is_data)
{
	if (word_kind(word) == MEMPOOL_SHARED)
		census->n_shared += is_data;
	else if (word_kind(word) == MEMPOOL_SENT && word_sent_queue(word) != 0)
		census->n_in_flight += is_data;
	else
		census->n_stray++;
}

static void count_pool(struct census *census, const struct pool *pool,
		       struct census_pool *counts)
{
	bool is_data = pool->id < census->n_pools;

	counts->total = pool->n_chunks;
	counts->used = 0;

	for (uint32_t i = 0; i < pool->n_chunks; i++) {
		/* Relaxed: a count; nothing is read through the word. */
		uint64_t word = atomic_load_explicit(&pool->entries[i].word,
						     memory_order_relaxed);
		uint32_t holder;

		if (word_is_free(word))
			continue;
		counts->used++;

		holder = holder_of(word);
		if (holder != MEMPOOL_HOLDER_NONE && holder < census->n_holders) {
			if (is_data) {
				census->holders[holder].chunks++;
				census->holders[holder].bytes += pool->chunk_size;
			}
		} else {
			count_others(census, word, is_data);
		}
	}

	counts->free = counts->total - counts->used;
}

int census_take(const struct segment *segment, struct census *ret_census)
{
	struct census census = {
		.n_pools = segment->n_pools,
		.n_holders = segment->n_holders,
	};

	census.holders = calloc(census.n_holders, sizeof(*census.holders));
	if (!census.holders)
		return -ENOMEM;

	for (uint32_t i = 0; i <= segment->n_pools; i++)
		count_pool(&census, &segment->pools[i], &census.pools[i]);

	census_deinit(ret_census);
	*ret_census = census;
	return 0;
}

void census_deinit(struct census *census)
{
	free(census->holders);
	*census = CENSUS_NULL;
}
