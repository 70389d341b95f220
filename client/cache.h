/* SPDX-License-Identifier: MIT */
/*
 * cache.h - each thread's stacks of hints
 *
 *	stack	single hints, what was freed last on top
 *	aside	hints of one leaf of the list, on their way there
 *
 * alloc takes a hint from the stack and claims the chunk by its word (claim.h); free puts the hint
 * back. An empty stack is refilled with up to half of its room from the pool's free list. What is
 * freed beyond a full one is free for everybody, as all to which hints in the list lead: those hints
 * are set aside until another leaf of the list comes, the stack is empty, or somebody wants them.
 *
 * A stack whose thread takes hints from the list after it has passed some on has twice the room from
 * then on, up to a bound. So who frees a thousand chunks and allocates a thousand keeps them all in mind,
 * and writes to no word that others read but those of the chunks; who only frees, or only allocates, keeps
 * no more than at first. When somebody wants hints, what is beyond that goes into the list, with each free
 * some of it.
 *
 * When the list has nothing either, the words are scanned, and a scan that finds every chunk held is
 * remembered (see pool.h, dry).
 */
#ifndef CLIENT_CACHE_H
#define CLIENT_CACHE_H

#include "claim.h"
#include "parts.h"

/* The calling thread's cache of the client it used last, or of none. Never NULL. */
extern THREAD_OWN struct cache *cache_current __attribute__((visibility("hidden")));

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

/* A stack that has room for a leaf has one set aside, and grows. */
#define CACHE_LEAF 64

/* Up to so many hints; and up to one part in so many of the pool's. */
#define CACHE_GROWN 1024
#define CACHE_POOL_PART 4

/* What cache_claim() does when the stack has nothing. */
int cache_claim_slowly(struct cache *cache, struct magazine *magazine, uint32_t *ret_index);


/*
 * Hints of one leaf, at most @max of [1, 64], from the list, what was set aside among them. They are counted
 * when they get into the stack, or what they lead to is claimed. Return: bits of leaf magazine->found; 0: none.
 */
uint64_t cache_take_listed(struct magazine *magazine, uint32_t max);

/* That many hints came out of one leaf of the list: whether there are plenty again. */
static inline void cache_note_listed(const struct magazine *magazine, uint32_t n)
{
	if (n >= CACHE_LEAF / 2 || n >= magazine->capacity_min / 2)
		pool_clear_scarce(&magazine->pool);
}

/* What was set aside goes into the list. */
void cache_push_aside(struct magazine *magazine);

/* The same because somebody wants it, with what the thread's stack holds more than at first. */
void cache_pass_on_aside(struct magazine *magazine);

/* Hints of @n chunks that are free for everybody, and have no room in the stack: with others of their leaf. */
void cache_set_aside(struct magazine *magazine, uint32_t leaf, uint64_t bits, uint32_t n);

/* The same of a single one: half as many as the stack has are kept so. */
void cache_keep_beyond_slowly(struct magazine *magazine, uint32_t index);

/* Of the leaf that is set aside. */
static inline void cache_note_aside(struct magazine *magazine, uint64_t bits, uint32_t n)
{
	magazine->n_ours -= n;
	magazine->aside.bits |= bits;
	if (unlikely(pool_wants_hints(&magazine->pool)))
		cache_pass_on_aside(magazine);
}

static inline void cache_keep_beyond(struct magazine *magazine, uint32_t index)
{
	if (likely(magazine->capacity >= CACHE_LEAF && magazine->aside.leaf == index / CACHE_LEAF))
		cache_note_aside(magazine, UINT64_C(1) << index % CACHE_LEAF, 1);
	else
		cache_keep_beyond_slowly(magazine, index);
}

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

/* Before the thread sleeps: what it claimed last is not to be looked at any more. */
void cache_rest(const struct mempool_client *client);

/*
 * Somebody wants what was just kept, whose @n hints are the last in the stack: pass them on, with some of
 * those beyond what it holds at first, and have no room for those any more.
 */
void cache_pass_on(struct cache *cache, struct magazine *magazine, uint32_t n);

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

		if (likely(claim_hint(cache, &magazine->pool, index))) {
			*ret_index = index;
			return 0;
		}
		magazine->n_ours--;
	}
	return cache_claim_slowly(cache, magazine, ret_index);
}

/* For whom a chunk is to be freed whose hint is then kept: see pool_release_for(). */
static inline uint32_t cache_bias(const struct magazine *magazine)
{
	return likely(magazine->n < magazine->capacity) ? (uint32_t)magazine->bias : 0;
}

/* Keep the hint of a chunk that was just freed, or pass it on if somebody waits for it. */
static inline void cache_keep(struct cache *cache, struct magazine *magazine, uint32_t index)
{
	if (unlikely(magazine->n >= magazine->capacity)) {
		cache_keep_beyond(magazine, index);
		return;
	}
	magazine->indices[magazine->n++] = index;
	if (unlikely(pool_wants_hints(&magazine->pool)))
		cache_pass_on(cache, magazine, 1);
}

/* Before the first use of a client. Return: 0, or an error of process_enter(). */
int cache_register(struct mempool_client *client);

/*
 * For a close, when no other thread is in a call: what all threads hold, at least; and give
 * their lanes back, and their hints to the lists.
 */
uint64_t cache_count_held(struct mempool_client *client);
void cache_flush_all(struct mempool_client *client);

/* It is closed: from now on no thread finds its caches. */
void cache_close(struct mempool_client *client);

#endif
