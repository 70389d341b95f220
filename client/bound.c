/* SPDX-License-Identifier: MIT */
#include "bound.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "shm/barrier.h"
#include "shm/word.h"

/* As much as there is: beyond all sums, and far from the largest number. */
#define NO_BOUND (INT64_MAX / 4)

#define GIVEN_MIN 16

/* Relaxed in this file, unless labelled: a thread's own, or under the lock. */
#define GET(field) atomic_load_explicit(&(field), memory_order_relaxed)
#define SET(field, value) atomic_store_explicit(&(field), value, memory_order_relaxed)

static struct bound *bound_of(const struct cache *cache)
{
	/* Relaxed: as cache_client(). */
	return &atomic_load_explicit(&cache->client, memory_order_relaxed)->bound;
}

static int64_t amount_of(int kind, const struct pool *pool)
{
	return kind == BOUND_CHUNKS ? 1 : (int64_t)pool->stride;
}

static int64_t limit_of(uint64_t max)
{
	return max == 0 || max > NO_BOUND ? NO_BOUND : (int64_t)max;
}

void bound_init(struct mempool_client *client, const struct holder_bound *bound)
{
	client->bound = (struct bound){
		.is_set = bound->max_chunks != 0 || bound->max_bytes != 0,
		.seq_cst = client->seq_cst || !barrier_register_own(),
		.spare = {limit_of(bound->max_chunks), limit_of(bound->max_bytes)},
	};
}

void bound_deinit(struct mempool_client *client)
{
	struct bound_given *given;

	while ((given = client->bound.left)) {
		client->bound.left = given->next;
		free(given);
	}
}

/* ---- what was given ---- */

static bool is_still_given(const struct mempool_client *client, uint64_t handle)
{
	const struct pool *pool = &client->segment->pools[handle_pool(handle)];

	return word_is_given(GET(pool->entries[handle_index(handle)].word),
			     handle_generation(handle));
}

/* Credit for what was taken. Under the lock. */
static void sift(struct mempool_client *client, struct bound_given *given)
{
	/* L5 (acquire) pairs with L5 in bound_note_given(): the handles are there. */
	uint32_t n = given ? atomic_load_explicit(&given->n, memory_order_acquire) : 0;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t handle = GET(given->handles[i]);

		if (handle == MEMPOOL_HANDLE_NONE || is_still_given(client, handle))
			continue;
		SET(given->handles[i], MEMPOOL_HANDLE_NONE);
		for (int kind = 0; kind < BOUND_N_KINDS; kind++)
			client->bound.spare[kind] += amount_of(
				kind, &client->segment->pools[handle_pool(handle)]);
	}
}

/* The thread's own: what is left of it to the front. Under the lock. */
static void pack(struct bound_given *given)
{
	uint32_t n = GET(given->n), n_left = 0;

	for (uint32_t i = 0; i < n; i++)
		if (GET(given->handles[i]) != MEMPOOL_HANDLE_NONE)
			SET(given->handles[n_left++], GET(given->handles[i]));
	SET(given->n, n_left);
}

static void sift_all(struct mempool_client *client)
{
	for (struct cache *cache = client->caches; cache; cache = cache->next_of_client)
		sift(client, cache->bound.given);
	for (struct bound_given **link = &client->bound.left; *link;) {
		struct bound_given *given = *link;

		sift(client, given);
		pack(given);
		if (GET(given->n) > 0) {
			link = &given->next;
			continue;
		}
		*link = given->next;
		free(given);
	}
}

/* Under the lock, since others read it. */
static int grow(struct bound_share *share)
{
	uint32_t capacity = share->given ? 2 * share->given->capacity : GIVEN_MIN;
	struct bound_given *given = realloc(
		share->given, sizeof(*given) + capacity * sizeof(given->handles[0]));

	if (!given)
		return -ENOMEM;
	if (!share->given)
		SET(given->n, 0);
	given->capacity = capacity;
	given->next = NULL;
	share->given = given;
	return 0;
}

int bound_prepare_give(struct cache *cache)
{
	struct bound_share *share = &cache->bound;
	int r = 0;

	if (share->given && GET(share->given->n) < share->given->capacity)
		return 0;
	pthread_mutex_lock(&process_own()->lock);
	if (share->given) {
		sift(cache->client, share->given);
		pack(share->given);
	}
	/* More than half full, the next look would come too soon. */
	if (!share->given || GET(share->given->n) > share->given->capacity / 2)
		r = grow(share);
	pthread_mutex_unlock(&process_own()->lock);
	return r;
}

void bound_note_given(struct cache *cache, uint64_t handle)
{
	struct bound_given *given = cache->bound.given;
	uint32_t n = GET(given->n);

	SET(given->handles[n], handle);
	/* L5 (release), see sift(). */
	atomic_store_explicit(&given->n, n + 1, memory_order_release);
}

/* Under the lock. */
static _Atomic uint64_t *find_in(struct bound_given *given, uint64_t handle)
{
	/* L5 (acquire), as in sift(). */
	uint32_t n = given ? atomic_load_explicit(&given->n, memory_order_acquire) : 0;

	for (uint32_t i = 0; i < n; i++)
		if (GET(given->handles[i]) == handle)
			return &given->handles[i];
	return NULL;
}

static _Atomic uint64_t *find_given(struct mempool_client *client, uint64_t handle)
{
	_Atomic uint64_t *found = NULL;

	for (struct cache *cache = client->caches; cache && !found;
	     cache = cache->next_of_client)
		found = find_in(cache->bound.given, handle);
	for (struct bound_given *given = client->bound.left; given && !found;
	     given = given->next)
		found = find_in(given, handle);
	return found;
}

bool bound_take_back(struct cache *cache, uint64_t handle, _Atomic uint64_t *word,
		     uint64_t *seen)
{
	struct mempool_client *client = cache->client;
	_Atomic uint64_t *noted;
	bool is_ours = false;

	/* The lock: nobody gives credit for it meanwhile. */
	pthread_mutex_lock(&process_own()->lock);
	noted = find_given(client, handle);
	if (noted) {
		/* G2 (acquire), as in mempool_take(). Relaxed on failure: another client
		 * was faster. */
		is_ours = atomic_compare_exchange_strong_explicit(
			word, seen, word_taken(*seen, client->holder),
			memory_order_acquire, memory_order_relaxed);
		if (is_ours)
			SET(*noted, MEMPOOL_HANDLE_NONE);
	}
	pthread_mutex_unlock(&process_own()->lock);
	return is_ours;
}

/* ---- credits ---- */

/*
 * What a thread holds, or wants. L3 (release) pairs with L2 and L4 in settle_others(): whoever
 * reads it finds free what this thread let go of before, whatever it did since.
 */
static void tell(_Atomic int64_t *credit, int64_t value)
{
	atomic_store_explicit(credit, value, memory_order_release);
}

/* The first of the two looks is there so that nobody wants what it cannot have. */
static bool try_credit(struct bound_credit *credit, int64_t amount, bool seq_cst)
{
	int64_t wanted = GET(credit->held) + amount;

	if (wanted > GET(credit->limit))
		return false;
	/*
	 * L1: wanted, then the limit; the other side stores the limit and loads wanted
	 * (L2), so that one of both sees the other. It sees to the order by membarrier;
	 * or else all four are seq_cst.
	 */
	if (seq_cst) {
		int64_t limit;

		atomic_store_explicit(&credit->wanted, wanted, memory_order_seq_cst);
		limit = atomic_load_explicit(&credit->limit, memory_order_seq_cst);
		return wanted <= limit;
	}
	tell(&credit->wanted, wanted);
	atomic_signal_fence(memory_order_seq_cst);
	return wanted <= GET(credit->limit);
}

/* How much of a limit its thread does not need, as far as can be seen without asking it. */
static int64_t left_of(struct bound_credit *credit)
{
	int64_t limit = GET(credit->limit), wanted = GET(credit->wanted);

	return limit - (wanted <= limit ? wanted : GET(credit->held));
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Of an amount that is there: what is needed, and half of it, so that the next time is
 * later. */
static int64_t portion(int64_t there, int64_t needed)
{
	return smaller(there, larger(needed, there / 2));
}

/* Ask all threads that seem to have something. Return: how much they were lowered by. */
static int64_t lower_others(struct cache *cache, int kind, int64_t needed)
{
	int64_t lowered = 0;

	for (struct cache *other = cache->client->caches; other;
	     other = other->next_of_client) {
		struct bound_credit *credit = &other->bound.credits[kind];
		int64_t limit = GET(credit->limit), left = left_of(credit), n = 0;

		if (other != cache && left > 0 && lowered < needed)
			n = portion(left, needed - lowered);
		credit->asked = limit;
		/* L2 (seq_cst), see try_credit(). */
		if (n > 0)
			atomic_store_explicit(&credit->limit, limit - n,
					      memory_order_seq_cst);
		lowered += n;
	}
	return lowered;
}

/*
 * What they hold, or want and could have, they keep. Return: what they do not need.
 */
static int64_t settle_others(struct cache *cache, int kind)
{
	int64_t got = 0;

	for (struct cache *other = cache->client->caches; other;
	     other = other->next_of_client) {
		struct bound_credit *credit = &other->bound.credits[kind];
		int64_t limit = GET(credit->limit), needed;

		if (limit == credit->asked)
			continue;
		/*
		 * L2 (seq_cst), behind the barrier. It and L4 (acquire) pair with L3,
		 * too: what that thread let go is free before another one gets a chunk
		 * for it.
		 */
		needed = atomic_load_explicit(&credit->wanted, memory_order_seq_cst);
		/* More than it could have before we asked: it has seen an earlier
		 * lowering, and stops. */
		if (needed > credit->asked)
			needed = atomic_load_explicit(&credit->held, memory_order_acquire);
		limit = larger(limit, needed);
		SET(credit->limit, limit);
		got += credit->asked - limit;
	}
	return got;
}

/* Without a barrier nothing is known. */
static void restore_others(struct cache *cache, int kind)
{
	for (struct cache *other = cache->client->caches; other;
	     other = other->next_of_client)
		SET(other->bound.credits[kind].limit, other->bound.credits[kind].asked);
}

/*
 * Nobody seems to have anything. What others let go of, and is on its way to us, comes
 * with a barrier; without one it comes if it happens before our call.
 */
static bool see_all(struct cache *cache, int kind, int64_t needed)
{
	const struct cache *caches = cache->client->caches;

	/* Alone. */
	if (caches == cache && !cache->next_of_client)
		return false;
	return !bound_of(cache)->seq_cst && barrier_own() && lower_others(cache, kind, needed) > 0;
}

static int64_t take_spare(struct bound *bound, int kind, int64_t needed)
{
	int64_t n = bound->spare[kind] > 0 ? portion(bound->spare[kind], needed) : 0;

	bound->spare[kind] -= n;
	return n;
}

/* Return: false: there is nothing, now or for want of a barrier. */
static bool gather(struct cache *cache, int kind, int64_t needed)
{
	struct bound *bound = bound_of(cache);
	struct bound_credit *credit = &cache->bound.credits[kind];
	int64_t n = take_spare(bound, kind, needed);

	if (n == 0) {
		sift_all(cache->client);
		n = take_spare(bound, kind, needed);
	}
	if (n == 0) {
		if (lower_others(cache, kind, needed) == 0 &&
		    !see_all(cache, kind, needed))
			return false;
		if (!bound->seq_cst && !barrier_own()) {
			restore_others(cache, kind);
			return false;
		}
		n = settle_others(cache, kind);
	}
	SET(credit->limit, GET(credit->limit) + n);
	return true;
}

/* Under the lock, by which nobody lowers our limits. */
static int reserve_locked(struct cache *cache, const struct pool *pool)
{
	for (int kind = 0; kind < BOUND_N_KINDS; kind++) {
		struct bound_credit *credit = &cache->bound.credits[kind];
		int64_t wanted = GET(credit->held) + amount_of(kind, pool);

		/* Each further turn has found something; or another thread got what it
		 * had. */
		while (wanted > GET(credit->limit))
			if (!gather(cache, kind, wanted - GET(credit->limit)))
				return -EDQUOT;
		tell(&credit->wanted, wanted);
	}
	return 0;
}

static __attribute__((noinline)) int reserve_slowly(struct cache *cache,
						    const struct pool *pool)
{
	int r;

	pthread_mutex_lock(&process_own()->lock);
	r = reserve_locked(cache, pool);
	if (r < 0)
		bound_cancel(cache);
	pthread_mutex_unlock(&process_own()->lock);
	return r;
}

int bound_reserve(struct cache *cache, const struct pool *pool)
{
	bool seq_cst = bound_of(cache)->seq_cst;

	for (int kind = 0; kind < BOUND_N_KINDS; kind++)
		/* What it wants stands there until it has the lock: see bound.h. */
		if (!try_credit(&cache->bound.credits[kind], amount_of(kind, pool),
				seq_cst))
			return reserve_slowly(cache, pool);
	return 0;
}

void bound_keep(struct cache *cache)
{
	for (int kind = 0; kind < BOUND_N_KINDS; kind++) {
		struct bound_credit *credit = &cache->bound.credits[kind];

		tell(&credit->held, GET(credit->wanted));
	}
}

void bound_cancel(struct cache *cache)
{
	for (int kind = 0; kind < BOUND_N_KINDS; kind++) {
		struct bound_credit *credit = &cache->bound.credits[kind];

		tell(&credit->wanted, GET(credit->held));
	}
}

void bound_let_go(struct cache *cache, const struct pool *pool)
{
	for (int kind = 0; kind < BOUND_N_KINDS; kind++) {
		struct bound_credit *credit = &cache->bound.credits[kind];
		int64_t held = GET(credit->held) - amount_of(kind, pool);

		tell(&credit->held, held);
		tell(&credit->wanted, held);
	}
}

void bound_leave(struct cache *cache)
{
	struct bound *bound = bound_of(cache);
	struct bound_given *given = cache->bound.given;

	for (int kind = 0; kind < BOUND_N_KINDS; kind++) {
		struct bound_credit *credit = &cache->bound.credits[kind];

		bound->spare[kind] += GET(credit->limit) - GET(credit->held);
		SET(credit->limit, GET(credit->held));
	}
	cache->bound.given = NULL;
	if (given) {
		given->next = bound->left;
		bound->left = given;
	}
}
