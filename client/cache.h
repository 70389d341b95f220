/* SPDX-License-Identifier: MIT */
/*
 * cache.h - each thread's stacks of hints
 *
 * alloc takes a hint from the stack and claims the chunk by its word; free puts the hint
 * back. An empty stack is refilled with up to half of its room from the pool's free list,
 * a full one pushes half back. When the list has nothing either, the words are scanned,
 * and a scan that finds every chunk held is remembered (see pool.h, dry).
 */
#ifndef CLIENT_CACHE_H
#define CLIENT_CACHE_H

#include "parts.h"

/* The calling thread's cache of the client it used last, or of none. Never NULL. */
extern THREAD_OWN struct cache *cache_current __attribute__((visibility("hidden")));

/* Whose it is; CACHE_ORPHAN of a closed client, NULL in a forked child. */
static inline struct mempool_client *cache_client(const struct cache *cache)
{
	/* Relaxed: it changes when its client is closed, which is the last use of it. */
	return atomic_load_explicit(&cache->client, memory_order_relaxed);
}

/* The same, where nothing is to be counted, traced or checked: so that costs nothing where it is not
 * asked for. */
static inline struct mempool_client *cache_plain(const struct cache *cache)
{
	/* Relaxed: as cache_client(). */
	return atomic_load_explicit(&cache->plain, memory_order_relaxed);
}

/* The same of a member. What a reader may not do compares with this one, and so costs a member
 * nothing to be told apart. */
static inline struct mempool_client *cache_writer(const struct cache *cache)
{
	/* Relaxed: as cache_client(). */
	return atomic_load_explicit(&cache->writer, memory_order_relaxed);
}

/* No cache has it: stands for the client where calls take the longer way, so that those which take
 * the short one need not ask. */
#define CACHE_NOBODY ((struct mempool_client *)2)

/* Not the client used last. Return: its cache; NULL and errno EINVAL, ECHILD, ENOMEM;
 * EACCES a spectator has none, so that it is refused here what writes to the segment. */
struct cache *cache_find(struct mempool_client *client);

/* As cache_find(), for what only a member may do: a reader is refused, too. */
struct cache *cache_find_writer(struct mempool_client *client);

/*
 * The calling thread's cache. As cache_find(), but in a forked child NULL may bring a wiped
 * one: for the client of a handle; or with cache_locate(), for which it has no chunk.
 */
static inline struct cache *cache_get_quickly(struct mempool_client *client)
{
	if (likely(cache_client(cache_current) == client))
		return cache_current;
	return cache_find(client);
}

/* The calling thread's cache. As cache_find(). */
static inline struct cache *cache_get(struct mempool_client *client)
{
	return likely(client != NULL) ? cache_get_quickly(client) : cache_find(NULL);
}

/* The same two, for what only a member may do. As cache_find_writer(). */
static inline struct cache *cache_get_writer_quickly(struct mempool_client *client)
{
	if (likely(cache_writer(cache_current) == client))
		return cache_current;
	return cache_find_writer(client);
}

static inline struct cache *cache_get_writer(struct mempool_client *client)
{
	return likely(client != NULL) ? cache_get_writer_quickly(client) : cache_find_writer(NULL);
}

/* A chunk that is not of the pool where the last one was: client_locate(), remembered. */
int cache_locate_slowly(struct cache *cache, const void *chunk, uint32_t *ret_index);

/**
 * cache_locate() - which chunk an address is; of the pool of cache->last then
 *
 * Return: 0 and *ret_index; -EINVAL not the start of a chunk of this segment.
 */
static inline int cache_locate(struct cache *cache, const void *chunk, uint32_t *ret_index)
{
	const struct pool *pool = &cache->last->pool;

	if (likely(pool_index(pool, (uintptr_t)chunk - (uintptr_t)pool->data, ret_index) == 0))
		return 0;
	return cache_locate_slowly(cache, chunk, ret_index);
}

/* What cache_claim() does when the stack has nothing. */
int cache_claim_slowly(struct cache *cache, struct magazine *magazine, uint32_t *ret_index);

/* What cache_keep() does when the stack is full, or somebody waits. */
void cache_keep_slowly(struct magazine *magazine, uint32_t index);

/* Whether no free has moved the dry word of a pool since it was found exhausted. */
bool cache_is_dry(const struct magazine *magazine);

/*
 * Forget what scans have found, where another one is not too soon: who has slept looks at the
 * words, in case that somebody was stopped or killed before it moved the dry word.
 */
void cache_doubt(struct cache *cache);

/*
 * How long one that waits may sleep before it looks at the words again: a slice, or less if a
 * membarrier has failed since is_deaf was cleared. A free that missed the dry bit wakes nobody.
 */
int64_t cache_slice_ns(const struct cache *cache);

/* Somebody waits for what was just kept: pass it on. */
void cache_pass_on(struct magazine *magazine);

/**
 * cache_claim() - claim a chunk of one pool
 *
 * Return: 0 and *ret_index; -EAGAIN every chunk was held, now or when the remembered scan
 *         found it so and no free has moved the dry word since; or the time of alloc_wait()
 *         was over while others freed chunks and were faster. Each CACHE_DRY_CALLS'th
 *         call scans in any case, as a freer may be stopped before it moves the word; in a
 *         large pool each of them that is late enough for a scan to be a small part of the
 *         time.
 */
static inline int cache_claim(struct cache *cache, struct magazine *magazine,
			      uint32_t *ret_index)
{
	/* Ends with the stack: each hint is tried once. */
	while (likely(magazine->n > 0)) {
		uint32_t index = magazine->indices[--magazine->n];

		if (likely(pool_claim(&magazine->pool, index, cache->holder) == 0)) {
			*ret_index = index;
			return 0;
		}
		magazine->n_ours--;
	}
	return cache_claim_slowly(cache, magazine, ret_index);
}

/* Keep the hint of a chunk that was just freed, or pass it on if somebody waits for it. */
static inline void cache_keep(struct magazine *magazine, uint32_t index)
{
	if (likely(magazine->n < magazine->capacity && !pool_wants_hints(&magazine->pool)))
		magazine->indices[magazine->n++] = index;
	else
		cache_keep_slowly(magazine, index);
}

/* Before the first use of a client. Return: 0, or an error of process_enter(). */
int cache_register(struct mempool_client *client);

/*
 * For a close, when no other thread is in a call: what all threads hold, at least; and give
 * their hints back to the lists.
 */
uint64_t cache_count_held(struct mempool_client *client);
void cache_flush_all(struct mempool_client *client);

/* It is closed: from now on no thread finds its caches. */
void cache_close(struct mempool_client *client);

#endif
