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

#include "client.h"

/* The calling thread's cache of the client it used last. */
struct cache_current {
	uint64_t serial;
	struct cache *cache;
};
extern _Thread_local struct cache_current cache_current
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* Not the client used last. Return: its cache; NULL and errno EINVAL, ECHILD, ENOMEM. */
struct cache *cache_find(struct mempool_client *client);

/* The calling thread's cache. As cache_find(). */
static inline struct cache *cache_get(struct mempool_client *client)
{
	if (client && cache_current.serial == client->serial)
		return cache_current.cache;
	return cache_find(client);
}

/**
 * cache_claim() - claim a chunk of one pool
 *
 * Return: 0 and *ret_index; -EAGAIN every chunk was held, now or when the remembered scan
 *         found it so and no free has moved the dry word since. Each CACHE_DRY_CALLS'th
 *         call scans in any case, as a freer may be stopped before it moves the word.
 */
int cache_claim(struct cache *cache, struct magazine *magazine, uint32_t *ret_index);

/* Keep the hint of a chunk that was just freed, or pass it on if somebody waits for it. */
void cache_keep(struct magazine *magazine, uint32_t index);

/* Enter a new client, its serial included; remove one and free its caches. */
int cache_register(struct mempool_client *client);
void cache_unregister(struct mempool_client *client);

#endif
