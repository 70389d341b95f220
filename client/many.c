/* SPDX-License-Identifier: MIT */
/*
 * many.c - many chunks in one call
 *
 * The same steps as in alloc.c, word by word: each chunk is claimed and freed by its own word,
 * so a kill leaves no more than there. What is saved is what lies around them: hints come from
 * the free list as whole leaves, past the thread's stack of them, and those which have no room in it go
 * there as leaves. Whether somebody wants hints is asked once for up to as many chunks as a leaf has.
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

/*
 * The chunks of @n hints, from the last to the first: that is ascending, as they come from the list.
 * Return: how many; of the others another was faster.
 */
static uint32_t claim_each(struct harvest *harvest, const uint32_t *indices, uint32_t n)
{
	const struct pool *pool = &harvest->magazine->pool;
	struct mempool_entry *entries = pool->entries;
	void **chunks = harvest->chunks + harvest->n;
	struct cache *cache = harvest->cache;
	size_t size = harvest->size;
	uint32_t n_claimed = 0;

	while (n-- > 0) {
		uint32_t index = indices[n];
		struct mempool_entry *entry = &entries[index];
		enum claim claim = claim_begin(cache, pool, index, &entry->word);

		if (likely(claim == CLAIM_DONE) || claim_finish(cache, pool, index, claim))
			chunks[n_claimed++] = alloc_prepare_entry(pool, index, entry, size);
	}
	harvest->n += n_claimed;
	return n_claimed;
}

/* Of those still missing, so many as there are hints at a time. */
static uint32_t n_missing(const struct harvest *harvest, uint32_t n_hints)
{
	size_t n = harvest->n_wanted - harvest->n;

	return n < n_hints ? (uint32_t)n : n_hints;
}

/* From the stack, then leaf by leaf. */
static void claim_hints(struct harvest *harvest)
{
	struct magazine *magazine = harvest->magazine;
	uint32_t indices[CACHE_LEAF];
	uint32_t n;

	while ((n = n_missing(harvest, magazine->n)) > 0) {
		magazine->n -= n;
		magazine->n_ours -= n - claim_each(harvest, magazine->indices + magazine->n, n);
	}

	/*
	 * Each turn uses up hints that others must have set: lock-free. Where a scan has found
	 * nothing, the single ones know whether to look again: an empty list is slow to read.
	 */
	while (magazine->dry == 0 && (n = n_missing(harvest, CACHE_LEAF)) > 0) {
		uint64_t bits = cache_take_listed(magazine, n);

		if (bits == 0)
			return;
		n = free_list_unpack(magazine->found, bits, indices);
		cache_note_listed(magazine, n);
		magazine->n_ours += claim_each(harvest, indices, n);
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

/*
 * Free the first chunks, as far as they are ours alone, up to as many as a leaf has; their hints go into the
 * stack, as far as there is room. Whether somebody wants them is looked at behind the last of them.
 * Return: how many there were.
 */
static uint32_t free_into_stack(struct cache *cache, void *const *chunks, size_t n)
{
	struct magazine *magazine = cache->last;
	const struct pool *pool = &magazine->pool;
	uint32_t *indices = magazine->indices + magazine->n;
	uint32_t bias = (uint32_t)magazine->bias;
	uint32_t max = magazine->capacity - magazine->n;
	uint32_t holder = cache->holder;
	bool seq_cst = cache->seq_cst;
	uint32_t i = 0;

	if (max > CACHE_LEAF)
		max = CACHE_LEAF;
	if (max > n)
		max = (uint32_t)n;
	for (; i < max; i++) {
		uint32_t index;

		if (pool_index(pool, (uintptr_t)chunks[i] - (uintptr_t)pool->data, &index) < 0 ||
		    pool_release_for(pool, index, holder, bias, seq_cst) < 0)
			break;
		indices[i] = index;
	}
	magazine->n += i;
	if (i > 0 && unlikely(pool_wants_hints(pool)))
		cache_pass_on(cache, magazine, i);
	return i;
}

/* The same for everybody, as far as they are of one leaf: their hints are set aside together. */
static uint32_t free_aside(struct cache *cache, void *const *chunks, size_t n)
{
	struct magazine *magazine = cache->last;
	const struct pool *pool = &magazine->pool;
	uint32_t i = 0, leaf = 0;
	uint64_t bits = 0;

	for (; i < n; i++) {
		uint32_t index;

		if (pool_index(pool, (uintptr_t)chunks[i] - (uintptr_t)pool->data, &index) < 0 ||
		    (i > 0 && index / CACHE_LEAF != leaf) ||
		    pool_release(pool, index, cache->holder, cache->seq_cst) < 0)
			break;
		leaf = index / CACHE_LEAF;
		bits |= UINT64_C(1) << index % CACHE_LEAF;
	}
	if (i > 0)
		cache_set_aside(magazine, leaf, bits, i);
	return i;
}

PUBLIC ssize_t mempool_free_many(struct mempool_client *client, void *const *chunks, size_t n)
{
	struct cache *cache = cache_get(client);
	size_t i = 0;
	int r = 0;

	if (!cache)
		return -errno;
	if (!chunks || n > SSIZE_MAX)
		return -EINVAL;
	while (i < n) {
		uint32_t n_freed = 0;

		if (likely(!cache->singly))
			n_freed = cache->last->n < cache->last->capacity
					  ? free_into_stack(cache, chunks + i, n - i)
					  : free_aside(cache, chunks + i, n - i);
		i += n_freed;
		if (n_freed > 0)
			continue;
		/* Another pool, shared, or a mistake; nobody waits for it with our hints. */
		cache_push_aside(cache->last);
		r = free_one(client, chunks[i]);
		if (r < 0)
			break;
		i++;
	}
	cache_push_aside(cache->last);
	return i > 0 || n == 0 ? (ssize_t)i : r;
}
