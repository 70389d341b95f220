/* SPDX-License-Identifier: MIT */
#include "cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bound.h"
#include "locate.h"
#include "role.h"
#include "shm/barrier.h"
#include "shm/clock.h"
#include "shm/eventcount.h"
#include "tracer.h"

static struct cache cache_none = {
	.client = CACHE_ORPHAN, .plain = CACHE_ORPHAN, .writer = CACHE_ORPHAN,
};
THREAD_OWN struct cache *cache_current = &cache_none;

/* The calling thread's caches, the newest first. Only it walks and changes its list. */
static THREAD_OWN struct cache *thread_caches;

/* Set in each thread that has caches, for the sake of its destructor. */
static pthread_key_t thread_key;
static bool has_key;			/* under the lock of the process */

/* Of a scan, between two looks at the clock: some 60 us. */
#define SCAN_SLICE_WORDS 65536

/*
 * Leaves of one word of the list's summary. A thread looks for hints at its home and around it first, so
 * that it takes what was freed lately, and has been in caches, before all that was not: few messages on
 * their way use few chunks. It moves house when there is nothing left in that word.
 */
#define HOME_LEAVES 64

/* Without a membarrier, at least so long between two looks at the words: see cache_slice_ns(). */
#define DEAF_SLICE_NS INT64_C(10000000)

/* ---- a thread's stacks ---- */

void cache_push_aside(struct magazine *magazine)
{
	if (magazine->aside.bits == 0)
		return;
	pool_hint_leaf(&magazine->pool, magazine->aside.leaf, magazine->aside.bits);
	magazine->aside.bits = 0;
	magazine->has_passed_on = true;
}

static void magazine_flush(struct magazine *magazine)
{
	cache_push_aside(magazine);
	free_list_push_many(&magazine->pool.list, magazine->indices, magazine->n);
	magazine->n_ours -= magazine->n;
	magazine->n = 0;
}

static void magazine_grow(struct magazine *magazine)
{
	uint32_t capacity = 2 * magazine->capacity;

	/* In one store: there is never more room than indices. */
	magazine->capacity = capacity < magazine->capacity_max ? capacity : magazine->capacity_max;
}

/* The entries of a leaf that are to be written soon; bits: not 0. */
static void prefetch_leaf(const struct pool *pool, uint32_t leaf, uint64_t bits)
{
	const uint32_t n_in_line = MEMPOOL_LINE_BYTES / sizeof(struct mempool_entry);
	const struct mempool_entry *entries = &pool->entries[leaf * CACHE_LEAF];
	uint32_t first = (uint32_t)__builtin_ctzll(bits) / n_in_line * n_in_line;
	uint32_t end = CACHE_LEAF - (uint32_t)__builtin_clzll(bits);

	for (uint32_t i = first; i < end; i += n_in_line)
		__builtin_prefetch(&entries[i], 1);
}

uint64_t cache_take_listed(struct magazine *magazine, uint32_t max)
{
	uint64_t bits;

	magazine->found = magazine->aside.bits != 0 ? magazine->aside.leaf : magazine->home;
	cache_push_aside(magazine);
	if (magazine->has_passed_on)
		magazine_grow(magazine);
	magazine->has_passed_on = false;
	bits = free_list_pop_bits(&magazine->pool.list, &magazine->found, max);
	if (bits == 0)
		return 0;
	if (magazine->found / HOME_LEAVES != magazine->home / HOME_LEAVES)
		magazine->home = magazine->found;
	prefetch_leaf(&magazine->pool, magazine->found, bits);
	return bits;
}

/* Hints from the list: they come highest first, and so are used in ascending order. */
static bool magazine_refill(struct magazine *magazine)
{
	uint32_t max = magazine->capacity < 2 * CACHE_LEAF ? magazine->capacity / 2 : CACHE_LEAF;
	uint64_t bits = cache_take_listed(magazine, max);

	magazine->n = free_list_unpack(magazine->found, bits, magazine->indices);
	magazine->n_ours += magazine->n;
	cache_note_listed(magazine, magazine->n);
	return magazine->n > 0;
}

/*
 * The list is empty too: ask the words, and remember a failure (pool.h, dry). -EBUSY as
 * pool_scan_step(); -ETIMEDOUT the time is over.
 */
static int claim_scanned(struct cache *cache, struct magazine *magazine, int64_t until_ns,
			 uint32_t *ret_index)
{
	const struct pool *pool = &magazine->pool;
	struct pool_scan scan;
	bool reached_all;
	int r;

	pool_scan_begin(&scan, pool, magazine->found * CACHE_LEAF, claim_owner(cache));
	reached_all = barrier_all();
	while ((r = pool_scan_step(&scan, SCAN_SLICE_WORDS, ret_index)) == -EINPROGRESS)
		if (clock_now_ns() >= until_ns)
			return -ETIMEDOUT;
	if (r == 0) {
		magazine->n_ours++;
		pool_set_scarce(pool);
		pool_move_dry(pool);
	}
	if (r != -EAGAIN)
		return r;

	reached_all &= !scan.is_deaf;
	/* Others hold what we cannot open: the daemon sees to it that nothing is free for a lane. */
	if (unlikely(!reached_all && barrier_is_lost()))
		poller_say_no_barrier(&cache_client(cache)->poller);
	/* What yields is to be looked for as late as the words were read. */
	magazine->history = 0;
	/* Without the barrier a free may have missed the bit: then remember nothing. */
	magazine->dry = reached_all ? scan.dry : 0;
	cache->is_deaf |= !reached_all;
	magazine->n_dry_calls = 0;
	if (pool->n_chunks > CACHE_SMALL_POOL)
		magazine->scanned_ns = clock_now_ns();
	return -EAGAIN;
}

/* A scan takes a nanosecond a word or so: how long it is a large part of the time. */
static int64_t scan_pays_after_ns(const struct magazine *magazine)
{
	return (int64_t)magazine->pool.n_chunks * 16;
}

/* Whether a scan takes next to no time, or is a small part of the time since the last one. */
static bool is_scan_due(const struct magazine *magazine)
{
	return magazine->pool.n_chunks <= CACHE_SMALL_POOL ||
	       clock_now_ns() - magazine->scanned_ns >= scan_pays_after_ns(magazine);
}

void cache_doubt(struct cache *cache)
{
	for (uint32_t i = 0; i < cache_client(cache)->n_claimable; i++)
		if (is_scan_due(&cache->magazines[i]))
			cache->magazines[i].dry = 0;
}

int64_t cache_slice_ns(const struct cache *cache)
{
	int64_t slice_ns = DEAF_SLICE_NS;

	if (!cache->is_deaf)
		return EVENTCOUNT_SLICE_NS;
	for (uint32_t i = 0; i < cache_client(cache)->n_claimable; i++)
		slice_ns += scan_pays_after_ns(&cache->magazines[i]);
	return slice_ns;
}

bool cache_is_dry(const struct magazine *magazine)
{
	/*
	 * D4 pairs with D3 in pool_move_dry(): a moved word brings its hint along. seq_cst, as
	 * a sleeper's flag stands before it (E2 in shm/eventcount.c).
	 */
	return atomic_load_explicit(&magazine->pool.state->dry, memory_order_seq_cst) ==
	       magazine->dry;
}

static bool is_still_dry(struct magazine *magazine)
{
	return magazine->dry != 0 && cache_is_dry(magazine) &&
	       (++magazine->n_dry_calls % CACHE_DRY_CALLS != 0 || !is_scan_due(magazine));
}

int cache_locate_slowly(struct cache *cache, const void *chunk, uint32_t *ret_index)
{
	struct mempool_client *client = cache_client(cache);
	const struct pool *pool;
	int r;

	if (!client)
		return -EINVAL;
	r = client_locate(client, chunk, &pool, ret_index);
	if (r == 0)
		cache->last = &cache->magazines[client->rank[pool->id]];
	return r;
}

static int claim_listed(struct cache *cache, struct magazine *magazine, uint32_t *ret_index)
{
	/* Each round uses up hints that others must have set: lock-free. */
	while (magazine_refill(magazine)) {
		while (magazine->n > 0) {
			*ret_index = magazine->indices[--magazine->n];
			if (claim_hint(cache, &magazine->pool, *ret_index))
				return 0;
			magazine->n_ours--;
		}
	}
	return -EAGAIN;
}

int cache_claim_slowly(struct cache *cache, struct magazine *magazine, uint32_t *ret_index)
{
	int64_t until_ns = cache->first_until_ns;
	int r;

	if (is_still_dry(magazine))
		return -EAGAIN;
	claim_doubt(cache);
	magazine->dry = 0;

	/* Again only if another has freed or found a chunk during the whole reading: lock-free. */
	do {
		if (claim_listed(cache, magazine, ret_index) == 0)
			return 0;
		r = claim_scanned(cache, magazine, until_ns, ret_index);
		until_ns = cache->again_until_ns;
	} while (r == -EBUSY && clock_now_ns() < until_ns);
	return r == 0 ? 0 : -EAGAIN;
}

void cache_pass_on_aside(struct magazine *magazine)
{
	cache_push_aside(magazine);
	/* It is the caller's: whoever frees has looked for it. */
	cache_pass_on(cache_current, magazine, 0);
}

void cache_set_aside(struct magazine *magazine, uint32_t leaf, uint64_t bits, uint32_t n)
{
	if (magazine->aside.leaf != leaf)
		cache_push_aside(magazine);
	magazine->aside.leaf = leaf;
	cache_note_aside(magazine, bits, n);
}

void cache_keep_beyond_slowly(struct magazine *magazine, uint32_t index)
{
	cache_set_aside(magazine, index / CACHE_LEAF, UINT64_C(1) << index % CACHE_LEAF, 1);
	if (magazine->capacity < CACHE_LEAF &&
	    (uint32_t)__builtin_popcountll(magazine->aside.bits) >= magazine->capacity / 2)
		cache_push_aside(magazine);
}

void cache_rest(const struct mempool_client *client)
{
	if (cache_client(cache_current) == client)
		lane_rest(cache_current->record);
}

/* The last hint of the stack, and those before it that are of the same leaf: as far as @n goes. */
static uint32_t pass_on_leaf(struct cache *cache, struct magazine *magazine, uint32_t n)
{
	uint32_t leaf = magazine->indices[magazine->n - 1] / CACHE_LEAF;
	uint32_t n_passed = 0;
	uint64_t bits = 0;

	while (n_passed < n && magazine->indices[magazine->n - 1] / CACHE_LEAF == leaf) {
		uint32_t index = magazine->indices[--magazine->n];

		bits |= (uint64_t)claim_open(cache, &magazine->pool, index) << index % CACHE_LEAF;
		n_passed++;
	}
	magazine->n_ours -= n_passed;
	if (bits != 0)
		pool_hint_leaf(&magazine->pool, leaf, bits);
	return n_passed;
}

void cache_pass_on(struct cache *cache, struct magazine *magazine, uint32_t n)
{
	uint32_t n_max = n + CACHE_LEAF;

	claim_unbias(cache, magazine);
	if (magazine->n > magazine->capacity_min + n)
		n = magazine->n - magazine->capacity_min;
	/* A free is to end soon: the next ones pass on the others. */
	if (n > n_max)
		n = n_max;
	while (n > 0)
		n -= pass_on_leaf(cache, magazine, n);
	magazine->capacity = magazine->n > magazine->capacity_min ? magazine->n
								  : magazine->capacity_min;
	magazine->has_passed_on = false;
}

/* ---- which thread has which ---- */

/* Room for at least two, so that half of it is one: `cache: 0` keeps next to nothing. */
static uint32_t magazine_capacity(const struct pool *pool)
{
	return pool->cache < 2 ? 2 : pool->cache;
}

/* What it may grow to: of a stack with less room than a leaf, as of large chunks, that is what it has. */
static uint32_t magazine_capacity_max(const struct pool *pool)
{
	uint32_t capacity = magazine_capacity(pool);
	uint32_t max = pool->n_chunks / CACHE_POOL_PART;

	if (max > CACHE_GROWN)
		max = CACHE_GROWN;
	return capacity >= CACHE_LEAF && max > capacity ? max : capacity;
}

/* Of a reserve of others no hint is kept from them. */
static uint32_t capacity_max_at(const struct mempool_client *client, uint32_t rank)
{
	return rank < client->n_claimable
		       ? magazine_capacity_max(&client->segment->pools[client->pool_id[rank]]) : 0;
}

/* Multiples of the golden ratio spread evenly over any length. */
static uint32_t spread(uint32_t place, uint32_t n)
{
	return (uint32_t)((uint64_t)(place * UINT32_C(2654435769)) * n >> 32);
}

static void magazine_init(struct magazine *magazine, const struct pool *pool, uint32_t capacity_max,
			  uint32_t *indices, uint32_t place)
{
	uint32_t capacity = capacity_max == 0 ? 0 : magazine_capacity(pool);

	*magazine = (struct magazine){
		.capacity = capacity,
		.capacity_min = capacity,
		.capacity_max = capacity_max,
		.indices = indices,
		.pool = *pool,
		.home = spread(place, pool->list.n_leaves),
		.found = spread(place, pool->list.n_leaves),
	};
}

/* The head of a cache, which a child keeps. */
#define CACHE_KEPT_BYTES offsetof(struct cache, client)

static struct cache *cache_new(struct mempool_client *client)
{
	/* Where threads begin in the lists: far apart, whatever their number. */
	static _Atomic uint32_t n_caches;
	uint32_t place = atomic_fetch_add_explicit(&n_caches, 1, memory_order_relaxed) +
			 client->holder;
	const struct pool *pools = client->segment->pools;
	const struct pool *managers = segment_managers(client->segment);
	bool is_watched = client->segment->modules || client->checker;
	struct mempool_client *plain = client->bound.is_set || is_watched ? CACHE_ORPHAN : client;
	uint32_t held = (uint32_t)word_claimed(0, client->holder);
	uint64_t n_indices = magazine_capacity_max(managers);
	uint32_t n_yields = client->yields ? YIELD_MAX : 0;
	size_t wiped_bytes;
	struct yield *yields;
	struct cache *cache;
	uint32_t *indices;
	void *border;

	for (uint32_t i = 0; i < client->n_pools; i++)
		n_indices += capacity_max_at(client, i);
	wiped_bytes = sizeof(*cache) - CACHE_KEPT_BYTES +
		      (client->n_pools + 1) * sizeof(struct magazine) +
		      client->n_pools * n_yields * sizeof(struct yield) +
		      n_indices * sizeof(*indices);
	if (process_map(CACHE_KEPT_BYTES, wiped_bytes, &border) < 0)
		return NULL;

	cache = (struct cache *)((unsigned char *)border - CACHE_KEPT_BYTES);
	*cache = (struct cache){
		.wiped_bytes = wiped_bytes,
		.last = cache->magazines,
		.client = client,
		.plain = plain,
		.writer = client->role == MEMPOOL_ROLE_MEMBER ? plain : CACHE_ORPHAN,
		.holder = client->holder,
		.held = held,
		.freeable = client->seq_cst || client->checked ? CACHE_NO_WORD : held,
		.lane_start = spread(place, client->segment->lanes.list.n_leaves),
		.seq_cst = client->seq_cst,
		.checked = client->checked,
		.is_bounded = client->bound.is_set,
		.singly = client->checked || client->bound.is_set,
		.is_watched = is_watched,
		.first_until_ns = INT64_MAX,
		.again_until_ns = INT64_MAX,
	};
	for (size_t i = 0; i < 64; i++)
		cache->first_fit[i] =
			(uint16_t)(offsetof(struct cache, magazines) +
				   client->first_fit[i] * sizeof(struct magazine));
	cache->magazines[client->n_pools] = (struct magazine){ .n = 0 };
	yields = (struct yield *)&cache->magazines[client->n_pools + 1];
	indices = (uint32_t *)(yields + client->n_pools * n_yields);
	for (uint32_t i = 0; i < client->n_pools; i++) {
		uint32_t capacity_max = capacity_max_at(client, i);

		magazine_init(&cache->magazines[i], &pools[client->pool_id[i]], capacity_max, indices,
			      place);
		/* Of a pool that does not share there are no messages of topics. */
		if (client->yields && !pools[client->pool_id[i]].is_exclusive)
			cache->magazines[i].yields = yields + i * n_yields;
		indices += capacity_max;
	}
	magazine_init(&cache->managers, managers, magazine_capacity_max(managers), indices, place);
	claim_init(cache);
	return cache;
}

/* By what this thread did; of what it let go for another, less than nothing. */
static uint64_t count_held(const struct cache *cache)
{
	uint64_t n = cache->n_moved + cache->managers.n_ours - cache->managers.n;

	for (uint32_t i = 0; i < cache_client(cache)->n_pools; i++)
		n += cache->magazines[i].n_ours - cache->magazines[i].n;
	return n;
}

/* The lane first: from then on the hints lead everybody to what is free. */
static void cache_flush(struct cache *cache)
{
	claim_end(cache);
	for (uint32_t i = 0; i < cache_client(cache)->n_pools; i++)
		magazine_flush(&cache->magazines[i]);
	magazine_flush(&cache->managers);
}

static void cache_free(struct cache *cache)
{
	if (cache_current == cache)
		cache_current = &cache_none;
	free(cache->bound.given);
	tracer_free(cache->tracer);
	process_unmap((unsigned char *)cache + CACHE_KEPT_BYTES, CACHE_KEPT_BYTES,
		      cache->wiped_bytes);
}

/* Of a closed client, or of the process that we were forked from: to be freed by its thread. */
static bool is_dead(const struct cache *cache)
{
	/* O2 (acquire) pairs with O1: whoever closes the client is through with the cache. */
	const struct mempool_client *client = atomic_load_explicit(&cache->client,
								   memory_order_acquire);

	return client == NULL || client == CACHE_ORPHAN;
}

static void link_to_client(struct cache *cache, struct mempool_client *client)
{
	pthread_mutex_lock(&process_own()->lock);
	cache->next_of_client = client->caches;
	if (client->caches)
		client->caches->previous_of_client = &cache->next_of_client;
	cache->previous_of_client = &client->caches;
	client->caches = cache;
	pthread_mutex_unlock(&process_own()->lock);
}

/* Its hints go back to the lists. */
static void unlink_from_client(struct cache *cache)
{
	pthread_mutex_lock(&process_own()->lock);
	/* Under the lock, as another thread may be closing the client. */
	if (!is_dead(cache)) {
		*cache->previous_of_client = cache->next_of_client;
		if (cache->next_of_client)
			cache->next_of_client->previous_of_client =
				cache->previous_of_client;
		cache_client(cache)->n_held += count_held(cache);
		role_leave(cache_client(cache), cache);
		bound_leave(cache);
		cache_flush(cache);
	}
	pthread_mutex_unlock(&process_own()->lock);
}

/* A thread ends. */
static void forget_thread(void *unused)
{
	struct cache *cache;

	(void)unused;
	while ((cache = thread_caches)) {
		thread_caches = cache->next_of_thread;
		unlink_from_client(cache);
		cache_free(cache);
	}
}

static void free_dead(void)
{
	struct cache **link = &thread_caches;

	while (*link) {
		struct cache *cache = *link;

		if (!is_dead(cache)) {
			link = &cache->next_of_thread;
			continue;
		}
		*link = cache->next_of_thread;
		cache_free(cache);
	}
}

/* The thread's first call with this client. */
static int begin(struct mempool_client *client, struct cache **ret_cache)
{
	struct cache *cache;
	int r = client_check(client);

	if (r < 0)
		return r;
	if (client->role == MEMPOOL_ROLE_SPECTATOR)
		return -EACCES;

	free_dead();
	if (pthread_setspecific(thread_key, &thread_key) != 0)
		return -ENOMEM;
	cache = cache_new(client);
	if (!cache)
		return -ENOMEM;
	if (client->segment->modules) {
		cache->tracer = tracer_new();
		if (!cache->tracer) {
			cache_free(cache);
			return -ENOMEM;
		}
	}
	link_to_client(cache, client);
	cache->next_of_thread = thread_caches;
	thread_caches = cache;
	*ret_cache = cache;
	return 0;
}

/* No lock: the list is the thread's own. NULL, as a wiped cache says, is no client. */
static struct cache *find(const struct mempool_client *client)
{
	for (struct cache *cache = thread_caches; client && cache; cache = cache->next_of_thread)
		if (cache_client(cache) == client)
			return cache;
	return NULL;
}

struct cache *cache_find(struct mempool_client *client)
{
	struct cache *cache = find(client);
	int r = cache ? 0 : begin(client, &cache);

	if (r < 0) {
		errno = -r;
		return NULL;
	}
	cache_current = cache;
	return cache;
}

struct cache *cache_find_writer(struct mempool_client *client)
{
	struct cache *cache = cache_find(client);

	if (cache && client->role != MEMPOOL_ROLE_MEMBER) {
		errno = EACCES;
		return NULL;
	}
	return cache;
}

int cache_register(struct mempool_client *client)
{
	int r = process_enter(&client->process);

	if (r < 0)
		return r;
	pthread_mutex_lock(&process_own()->lock);
	if (!has_key)
		has_key = pthread_key_create(&thread_key, forget_thread) == 0;
	/* The program has used up its keys. */
	if (!has_key)
		r = -ENOMEM;
	pthread_mutex_unlock(&process_own()->lock);
	return r;
}

uint64_t cache_count_held(struct mempool_client *client)
{
	uint64_t n;

	pthread_mutex_lock(&process_own()->lock);
	n = client->n_held;
	for (const struct cache *cache = client->caches; cache; cache = cache->next_of_client)
		n += count_held(cache);
	pthread_mutex_unlock(&process_own()->lock);
	return n;
}

void cache_flush_all(struct mempool_client *client)
{
	pthread_mutex_lock(&process_own()->lock);
	for (struct cache *cache = client->caches; cache; cache = cache->next_of_client)
		cache_flush(cache);
	pthread_mutex_unlock(&process_own()->lock);
}

/*
 * Other threads' lists still lead to these caches, and only those threads may unlink them:
 * orphaned here, freed with the thread's next first call or its end.
 */
static void orphan_caches(struct mempool_client *client)
{
	struct cache *next;

	pthread_mutex_lock(&process_own()->lock);
	for (struct cache *cache = client->caches; cache; cache = next) {
		next = cache->next_of_client;
		/* Relaxed: no call is under way; O1 publishes it. */
		atomic_store_explicit(&cache->writer, CACHE_ORPHAN, memory_order_relaxed);
		atomic_store_explicit(&cache->plain, CACHE_ORPHAN, memory_order_relaxed);
		/* O1 (release) pairs with O2: its thread may free it at once, without the lock. */
		atomic_store_explicit(&cache->client, CACHE_ORPHAN, memory_order_release);
	}
	client->caches = NULL;
	pthread_mutex_unlock(&process_own()->lock);
}

void cache_close(struct mempool_client *client)
{
	client->closed = true;
	/*
	 * In a child its list may be half changed. Those of other threads are lost there, as
	 * all memory is that they had; of wiped pages nothing but addresses.
	 */
	if (!client_is_forked(client))
		orphan_caches(client);
	free_dead();
}
