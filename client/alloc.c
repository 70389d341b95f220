/* SPDX-License-Identifier: MIT */
/*
 * alloc.c - allocating and freeing chunks, and what can be asked of one
 *
 *	alloc	best fitting pool; cache_claim(): FREE,g -> OWNED(me),g by swap
 *	free	OWNED(me),g -> FREE,g+1 by a plain release store; the hint stays in the cache
 *
 * Killed before the swap, nothing happened; after it, the word names the dead and the reaper
 * frees it; after the store, only a hint is lost.
 */
#include <errno.h>
#include <stddef.h>

#include "cache.h"

static uint32_t first_fit(const struct mempool_client *client, size_t size)
{
	/* size is at least 1; the bits of size - 1 give sizes in (2^(b-1), 2^b]. */
	uint32_t bits = size == 1 ? 0 : 64 - (uint32_t)__builtin_clzll(size - 1);

	return bits < sizeof(client->first_fit) ? client->first_fit[bits] : client->n_pools;
}

/* Does this pool's every chunk start at a multiple? Its first is on a page. */
static bool is_aligned(const struct pool *pool, size_t alignment)
{
	return (pool->stride & (alignment - 1)) == 0;
}

static void *prepare(const struct pool *pool, uint32_t index, size_t size)
{
	struct mempool_entry *entry = &pool->entries[index];

	/* Relaxed: they go with the chunk, whose word orders them. */
	atomic_store_explicit(&entry->length, (uint32_t)size, memory_order_relaxed);
	atomic_store_explicit(&entry->tag, 0, memory_order_relaxed);
	return pool_chunk(pool, index);
}

/* Relaxed: counters, for people. */
static void count_one(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* Nothing left in the pool at this rank: the larger ones, if the segment says so. */
static void *alloc_larger(struct cache *cache, uint32_t rank, size_t size, size_t alignment)
{
	struct mempool_client *client = cache->client;
	const struct pool *fitting = cache->magazines[rank].pool;
	uint32_t index;

	for (rank++; client->fallback && rank < client->n_pools; rank++) {
		struct magazine *magazine = &cache->magazines[rank];

		if (!is_aligned(magazine->pool, alignment))
			continue;
		if (cache_claim(cache, magazine, &index) == 0) {
			count_one(&fitting->state->n_served_larger);
			return prepare(magazine->pool, index, size);
		}
	}
	count_one(&fitting->state->n_exhausted);
	count_one(&client->segment->holders[client->holder].n_exhausted);
	errno = EAGAIN;
	return NULL;
}

/* The smallest pool that fits, or n_pools. */
static uint32_t fitting_rank(const struct cache *cache, size_t size, size_t alignment)
{
	const struct mempool_client *client = cache->client;
	uint32_t rank;

	for (rank = first_fit(client, size); rank < client->n_pools; rank++) {
		const struct pool *pool = cache->magazines[rank].pool;

		if (pool->chunk_size >= size && is_aligned(pool, alignment))
			break;
	}
	return rank;
}

static void *alloc(struct mempool_client *client, size_t size, size_t alignment)
{
	struct cache *cache = cache_get(client);
	struct magazine *magazine;
	uint32_t rank, index;

	if (!cache)
		return NULL;
	if (size == 0) {
		errno = EINVAL;
		return NULL;
	}

	rank = fitting_rank(cache, size, alignment);
	if (rank == client->n_pools) {
		errno = EMSGSIZE;
		return NULL;
	}
	magazine = &cache->magazines[rank];
	if (cache_claim(cache, magazine, &index) < 0)
		return alloc_larger(cache, rank, size, alignment);
	return prepare(magazine->pool, index, size);
}

PUBLIC void *mempool_alloc(struct mempool_client *client, size_t size_bytes)
{
	return alloc(client, size_bytes, 1);
}

PUBLIC void *mempool_alloc_aligned(struct mempool_client *client, size_t size_bytes,
				   size_t alignment)
{
	if (alignment == 0 || (alignment & (alignment - 1)) || alignment > MEMPOOL_PAGE_BYTES) {
		errno = EINVAL;
		return NULL;
	}
	return alloc(client, size_bytes, alignment);
}

PUBLIC int mempool_free(struct mempool_client *client, const void *chunk)
{
	struct cache *cache = cache_get(client);
	const struct pool *pool;
	uint32_t index;
	int r;

	if (!cache)
		return -errno;
	r = client_locate(client, chunk, &pool, &index);
	if (r < 0)
		return r;

	if (client->checked)
		r = pool_release_checked(pool, index, client->holder);
	else
		r = pool_release(pool, index, client->holder, client->seq_cst);
	if (r < 0)
		return r;
	cache_keep(&cache->magazines[client->rank[pool->id]], index);
	return 0;
}

/* The entry of a chunk that we hold. */
static int find_held(struct mempool_client *client, const void *chunk,
		     const struct pool **ret_pool, struct mempool_entry **ret_entry)
{
	uint32_t index;
	int r;

	if (!cache_get(client))
		return -errno;
	r = client_locate(client, chunk, ret_pool, &index);
	if (r < 0)
		return r;
	*ret_entry = &(*ret_pool)->entries[index];
	/* Relaxed: if it is ours, we or a thread that told us wrote it last. */
	if (!word_is_owned_by(atomic_load_explicit(&(*ret_entry)->word, memory_order_relaxed),
			      client->holder))
		return -EPERM;
	return 0;
}

PUBLIC ssize_t mempool_usable_size(struct mempool_client *client, const void *chunk)
{
	struct mempool_entry *entry;
	const struct pool *pool;
	int r = find_held(client, chunk, &pool, &entry);

	return r < 0 ? r : (ssize_t)pool->chunk_size;
}

PUBLIC int mempool_chunk_set_tag(struct mempool_client *client, void *chunk, uint32_t tag)
{
	struct mempool_entry *entry;
	const struct pool *pool;
	int r = find_held(client, chunk, &pool, &entry);

	if (r == 0)
		/* Relaxed: goes with the chunk, whose word orders it. */
		atomic_store_explicit(&entry->tag, tag, memory_order_relaxed);
	return r;
}

PUBLIC int mempool_chunk_tag(struct mempool_client *client, const void *chunk,
			     uint32_t *ret_tag)
{
	struct mempool_entry *entry;
	const struct pool *pool;
	int r = find_held(client, chunk, &pool, &entry);

	if (r == 0)
		*ret_tag = atomic_load_explicit(&entry->tag, memory_order_relaxed);
	return r;
}
