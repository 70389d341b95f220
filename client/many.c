/* SPDX-License-Identifier: MIT */
/*
 * many.c - many chunks in one call
 *
 * The same steps as in alloc.c, word by word: each chunk is claimed and freed by its own word,
 * so a kill leaves no more than there. What is saved is what lies around them: hints come from
 * the free list as whole leaves, past the thread's stack of them, and those which have no room in it go
 * there as leaves.
 */
#include <errno.h>
#include <limits.h>

#include "alloc.h"
#include "cache.h"
#include "trace.h"

/* One call of alloc_many: what there is so far. */
struct harvest {
	struct cache *cache;
	struct magazine *magazine;
	size_t size;
	void **chunks;
	size_t n;
	size_t n_wanted;
};

/* Return: 1; 0 another was faster. */
static uint32_t claim(struct harvest *harvest, uint32_t index)
{
	const struct pool *pool = &harvest->magazine->pool;

	if (!claim_hint(harvest->cache, pool, index))
		return 0;
	harvest->chunks[harvest->n++] = alloc_prepare(pool, index, harvest->size);
	return 1;
}

/* From the stack, then leaf by leaf. */
static void claim_hints(struct harvest *harvest)
{
	struct magazine *magazine = harvest->magazine;

	while (magazine->n > 0 && harvest->n < harvest->n_wanted)
		magazine->n_ours -= !claim(harvest, magazine->indices[--magazine->n]);

	cache_push_aside(magazine);
	/*
	 * Each turn uses up hints that others must have set: lock-free. Where a scan has found
	 * nothing, the single ones know whether to look again: an empty list is slow to read.
	 */
	while (harvest->n < harvest->n_wanted && magazine->dry == 0) {
		size_t missing = harvest->n_wanted - harvest->n;
		uint64_t bits = free_list_pop_bits(&magazine->pool.list, &magazine->start,
						   missing < 64 ? (uint32_t)missing : 64);

		if (bits == 0)
			return;
		for (; bits != 0; bits &= bits - 1)
			magazine->n_ours += claim(harvest, magazine->start * 64 +
						  (uint32_t)__builtin_ctzll(bits));
	}
}

/* As mempool_alloc_many(). */
static ssize_t alloc_many(struct mempool_client *client, size_t size_bytes, void **ret_chunks,
			  size_t n, const void *site)
{
	struct cache *cache = cache_get_writer(client);
	struct harvest harvest = { cache, NULL, size_bytes, ret_chunks, 0, n };
	int rank;

	if (!cache)
		return -errno;
	if (!ret_chunks || n > SSIZE_MAX)
		return -EINVAL;
	rank = alloc_rank(client, size_bytes, 1);
	if (rank < 0)
		return rank;

	harvest.magazine = &cache->magazines[rank];
	if (likely(!cache->singly))
		claim_hints(&harvest);
	trace_came_many(ret_chunks, harvest.n, site);
	/* The rest as single ones: they ask the words, larger pools, and count what is missing. */
	for (; harvest.n < n; harvest.n++) {
		void *chunk = alloc_one(client, size_bytes, site);

		if (!chunk)
			return harvest.n > 0 ? (ssize_t)harvest.n : -errno;
		ret_chunks[harvest.n] = chunk;
	}
	return (ssize_t)n;
}

PUBLIC ssize_t mempool_alloc_many(struct mempool_client *client, size_t size_bytes,
				  void **ret_chunks, size_t n)
{
	return alloc_many(client, size_bytes, ret_chunks, n, CALL_SITE);
}

PUBLIC int mempool_alloc_all(struct mempool_client *client, size_t size_bytes,
			     void **ret_chunks, size_t n)
{
	ssize_t n_taken = alloc_many(client, size_bytes, ret_chunks, n, CALL_SITE);
	/* Of the one that could not be had. */
	int error = errno;

	if (n_taken < 0)
		return (int)n_taken;
	if ((size_t)n_taken == n)
		return 0;
	while (n_taken-- > 0)
		free_one(client, ret_chunks[n_taken]);
	return -error;
}

PUBLIC ssize_t mempool_free_many(struct mempool_client *client, void *const *chunks, size_t n)
{
	struct cache *cache = cache_get(client);
	size_t i;
	int r = 0;

	if (!cache)
		return -errno;
	if (!chunks || n > SSIZE_MAX)
		return -EINVAL;
	for (i = 0; i < n; i++) {
		struct magazine *magazine = cache->last;
		const struct pool *pool = &magazine->pool;
		uint32_t index;

		if (pool_index(pool, (uintptr_t)chunks[i] - (uintptr_t)pool->data, &index) < 0 ||
		    cache->singly ||
		    pool_release_for(pool, index, cache->holder, cache_bias(magazine),
				     cache->seq_cst) < 0) {
			/* Another pool, shared, or a mistake; nobody waits for it with our hints. */
			cache_push_aside(magazine);
			r = free_one(client, chunks[i]);
			if (r < 0)
				break;
			continue;
		}
		/* Whole leaves, however small the stack. */
		if (magazine->n == magazine->capacity)
			cache_set_aside(magazine, index);
		else
			cache_keep(cache, magazine, index);
	}
	cache_push_aside(cache->last);
	return i > 0 || n == 0 ? (ssize_t)i : r;
}
