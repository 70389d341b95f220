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
#include "share.h"
#include "wait.h"

/* Does this pool's every chunk start at a multiple? Its first is on a page. */
static bool is_aligned(const struct pool *pool, size_t alignment)
{
	return (pool->stride & (alignment - 1)) == 0;
}

static inline void *prepare(const struct pool *pool, uint32_t index, size_t size)
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
	const struct pool *fitting = &cache->magazines[rank].pool;
	uint32_t index;

	for (rank++; client->fallback && rank < client->n_pools; rank++) {
		struct magazine *magazine = &cache->magazines[rank];

		if (!is_aligned(&magazine->pool, alignment))
			continue;
		if (cache_claim(cache, magazine, &index) == 0) {
			count_one(&fitting->state->n_served_larger);
			return prepare(&magazine->pool, index, size);
		}
	}
	count_one(&fitting->state->n_exhausted);
	count_one(&client->segment->holders[client->holder].n_exhausted);
	errno = EAGAIN;
	return NULL;
}

/* The rank to begin at for a size of at least 1, by the bits of size - 1. */
static inline uint32_t first_rank(const struct cache *cache, size_t size)
{
	/* 0 for size 1; below 64 for all that a pool could hold. */
	uint32_t bits = 63 - (uint32_t)__builtin_clzll((size - 1) << 1 | 1);

	return cache->first_fit[bits];
}

/* Not simply the first hint of the first pool: all other cases, errors among them. */
static __attribute__((noinline)) void *alloc_slowly(struct mempool_client *client, size_t size,
						    size_t alignment)
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

	for (rank = size < MEMPOOL_MAX_CHUNK_BYTES ? first_rank(cache, size) : client->n_pools;
	     rank < client->n_pools; rank++) {
		const struct pool *pool = &cache->magazines[rank].pool;

		if (pool->chunk_size >= size && is_aligned(pool, alignment))
			break;
	}
	if (rank == client->n_pools) {
		errno = EMSGSIZE;
		return NULL;
	}
	magazine = &cache->magazines[rank];
	if (cache_claim(cache, magazine, &index) < 0)
		return alloc_larger(cache, rank, size, alignment);
	return prepare(&magazine->pool, index, size);
}

PUBLIC void *mempool_alloc(struct mempool_client *client, size_t size_bytes)
{
	struct cache *cache = cache_current.cache;
	struct magazine *magazine;
	uint32_t index;

	if (unlikely(!client || cache_current.serial != client->serial ||
		     size_bytes - 1 >= MEMPOOL_MAX_CHUNK_BYTES - 1))
		return alloc_slowly(client, size_bytes, 1);

	/* One past the ranks, first_fit leads to a pool of no chunks and size 0. */
	magazine = &cache->magazines[first_rank(cache, size_bytes)];
	if (unlikely(magazine->pool.chunk_size < size_bytes || magazine->n == 0))
		return alloc_slowly(client, size_bytes, 1);

	index = magazine->indices[--magazine->n];
	if (unlikely(pool_claim(&magazine->pool, index, cache->holder) < 0))
		return alloc_slowly(client, size_bytes, 1);
	return prepare(&magazine->pool, index, size_bytes);
}

PUBLIC void *mempool_alloc_aligned(struct mempool_client *client, size_t size_bytes,
				   size_t alignment)
{
	if (alignment == 0 || (alignment & (alignment - 1)) || alignment > MEMPOOL_PAGE_BYTES) {
		errno = EINVAL;
		return NULL;
	}
	return alloc_slowly(client, size_bytes, alignment);
}

/* In another pool than the last one, or no chunk at all. */
static __attribute__((noinline)) int locate_slowly(struct cache *cache, const void *chunk,
						   uint32_t *ret_index)
{
	struct mempool_client *client = cache->client;
	const struct pool *pool;
	int r = client_locate(client, chunk, &pool, ret_index);

	if (r == 0)
		cache->last = &cache->magazines[client->rank[pool->id]];
	return r;
}

/* Not OWNED by us: then it may be shared. */
static __attribute__((noinline)) int free_shared(struct mempool_client *client,
						 struct mempool_entry *entry)
{
	/* Relaxed: if we share it, it does not change. */
	uint64_t word = atomic_load_explicit(&entry->word, memory_order_relaxed);

	return share_holds(client, word) ? share_drop(client, word_value(word)) : -EPERM;
}

/* One call of alloc_wait. */
struct request {
	struct mempool_client *client;
	size_t size;
	void *chunk;
};

static int try_alloc(void *userdata)
{
	struct request *request = userdata;

	/* A failure has left the dry bit in every pool that fits: the next free moves it. */
	request->chunk = mempool_alloc(request->client, request->size);
	return request->chunk ? 0 : -errno;
}

PUBLIC void *mempool_alloc_wait(struct mempool_client *client, size_t size_bytes,
				int64_t timeout_ns)
{
	struct request request = { .client = client, .size = size_bytes };
	int r;

	if (!cache_get(client))
		return NULL;
	r = wait_for(&(struct wait_place){ client, &client->segment->header->chunk_freed,
					   WAIT_NO_RING, NULL },
		     try_alloc, &request, timeout_ns);
	if (r < 0)
		errno = -r;
	return request.chunk;
}

PUBLIC int mempool_free(struct mempool_client *client, const void *chunk)
{
	struct cache *cache = cache_get(client);
	struct magazine *magazine;
	uint32_t index;
	int r;

	if (unlikely(!cache))
		return -errno;
	magazine = cache->last;
	r = pool_index(&magazine->pool, (uintptr_t)chunk - (uintptr_t)magazine->pool.data,
		       &index);
	if (unlikely(r < 0)) {
		r = locate_slowly(cache, chunk, &index);
		if (r < 0)
			return r;
		magazine = cache->last;
	}

	if (unlikely(cache->checked))
		r = pool_release_checked(&magazine->pool, index, cache->holder);
	else
		r = pool_release(&magazine->pool, index, cache->holder, cache->seq_cst);
	if (likely(r == 0)) {
		cache_keep(magazine, index);
		return 0;
	}
	return free_shared(client, &magazine->pool.entries[index]);
}

/* The entry of a chunk that we hold, alone or with others. */
static int find_held(struct mempool_client *client, const void *chunk,
		     const struct pool **ret_pool, struct mempool_entry **ret_entry,
		     bool *ret_is_shared)
{
	uint32_t index;
	uint64_t word;
	int r;

	if (!cache_get(client))
		return -errno;
	r = client_locate(client, chunk, ret_pool, &index);
	if (r < 0)
		return r;
	*ret_entry = &(*ret_pool)->entries[index];
	/* Relaxed: if it is ours, we or a thread that told us wrote or acquired it. */
	word = atomic_load_explicit(&(*ret_entry)->word, memory_order_relaxed);
	*ret_is_shared = share_holds(client, word);
	return *ret_is_shared || word_is_owned_by(word, client->holder) ? 0 : -EPERM;
}

PUBLIC ssize_t mempool_usable_size(struct mempool_client *client, const void *chunk)
{
	struct mempool_entry *entry;
	const struct pool *pool;
	bool is_shared;
	int r = find_held(client, chunk, &pool, &entry, &is_shared);

	return r < 0 ? r : (ssize_t)pool->chunk_size;
}

PUBLIC int mempool_chunk_set_tag(struct mempool_client *client, void *chunk, uint32_t tag)
{
	struct mempool_entry *entry;
	const struct pool *pool;
	bool is_shared;
	int r = find_held(client, chunk, &pool, &entry, &is_shared);

	if (r == 0 && is_shared)
		return -EBUSY;
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
	bool is_shared;
	int r = find_held(client, chunk, &pool, &entry, &is_shared);

	if (r == 0 && !ret_tag)
		r = -EINVAL;
	if (r == 0)
		*ret_tag = atomic_load_explicit(&entry->tag, memory_order_relaxed);
	return r;
}
