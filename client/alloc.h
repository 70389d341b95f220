/* SPDX-License-Identifier: MIT */
/*
 * alloc.h - what one allocation and many have in common
 */
#ifndef CLIENT_ALLOC_H
#define CLIENT_ALLOC_H

#include "parts.h"
#include "shm/fence.h"

/**
 * alloc_rank() - the smallest pool for a size, as its rank among the magazines
 * @alignment: a power of two; pools whose chunks are not aligned so are passed over
 *
 * Return: the rank; -EINVAL size 0; -EMSGSIZE no such pool.
 */
int alloc_rank(const struct mempool_client *client, size_t size, size_t alignment);

/* mempool_alloc() and mempool_free(), for calls from inside; on behalf of the call at @site. */
void *alloc_one(struct mempool_client *client, size_t size_bytes, const void *site);
int free_one(struct mempool_client *client, const void *chunk);

/* A chunk that was just claimed, as the caller gets it. */
static inline void *alloc_prepare_entry(const struct pool *pool, uint32_t index,
					struct mempool_entry *entry, size_t size)
{
	/*
	 * K1 (release fence) pairs with K2 in peek_verify(): a spectator that sees anything of what
	 * is written from here on, sees that what it read from the chunk before is gone.
	 */
	fence_release();
	/* Relaxed: they go with the chunk, whose word orders them. */
	atomic_store_explicit(&entry->length, (uint32_t)size, memory_order_relaxed);
	atomic_store_explicit(&entry->tag, 0, memory_order_relaxed);
	return pool_chunk(pool, index);
}

static inline void *alloc_prepare(const struct pool *pool, uint32_t index, size_t size)
{
	return alloc_prepare_entry(pool, index, &pool->entries[index], size);
}

#endif
