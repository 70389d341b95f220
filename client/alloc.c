/* SPDX-License-Identifier: MIT */
/*
 * alloc.c - allocating and freeing chunks, and what can be asked of one
 *
 *	alloc	best fitting pool; claim_hint(): FREE,g -> OWNED(me),g by stores or by swap
 *	free	OWNED(me),g -> FREE,g+1 by a plain release store; the hint stays in the cache
 *
 * Killed before the word names us, nothing happened; then it names the dead and the reaper
 * frees it; after the store of the free, only a hint is lost.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "alloc.h"
#include "bound.h"
#include "cache.h"
#include "checker.h"
#include "locate.h"
#include "share.h"
#include "shm/clock.h"
#include "trace.h"
#include "wait.h"
#include "yield.h"

/* Does this pool's every chunk start at a multiple? Its first is on a page. */
static bool is_aligned(const struct pool *pool, size_t alignment)
{
	return (pool->stride & (alignment - 1)) == 0;
}

/* Relaxed: counters, for people. */
static void count_one(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/*
 * The next pool that fits, from a rank on: those of the same size as the fitting one, which are one
 * class with it, its reserves among them; then the larger ones, if the segment says so, of which
 * those that do not share are only for sizes that do not. n_claimable: there is none.
 */
static uint32_t next_fit(const struct mempool_client *client, const struct cache *cache,
			 const struct pool *fitting, uint32_t rank, size_t alignment)
{
	for (; rank < client->n_claimable; rank++) {
		const struct pool *pool = &cache->magazines[rank].pool;

		if (pool->chunk_size > fitting->chunk_size && !client->fallback)
			break;
		/* Who asks for a size that can be shared gets what can be. */
		if (pool->is_exclusive && !fitting->is_exclusive)
			continue;
		if (is_aligned(pool, alignment))
			return rank;
	}
	return client->n_claimable;
}

/* How a chunk is claimed of one pool: cache_claim(), or yield_claim(). */
typedef int (*claim_fn)(struct cache *cache, struct magazine *magazine, uint32_t *ret_index);

static int claim_listed(struct cache *cache, struct magazine *magazine, uint32_t *ret_index)
{
	return cache_claim(cache, magazine, ret_index);
}

/* The same of a client that is bounded. -EDQUOT: it holds as much as it may. */
static __attribute__((noinline)) int claim_counted(struct cache *cache, struct magazine *magazine,
						   claim_fn claim, uint32_t *ret_index)
{
	int r = bound_reserve(cache, &magazine->pool);

	if (r < 0) {
		/* Nor does it matter what is freed there: has_freed() is to say so. */
		magazine->dry = 0;
		return r;
	}
	r = claim(cache, magazine, ret_index);
	if (r == 0)
		bound_keep(cache);
	else
		bound_cancel(cache);
	return r;
}

/*
 * A chunk of any pool that fits, from a rank on. NULL: there is none. Those that the client's bound
 * has no room for are passed over: others may free what would fit.
 */
static void *claim_any(struct cache *cache, const struct pool *fitting, uint32_t rank, size_t size,
		       size_t alignment, claim_fn claim)
{
	const struct mempool_client *client = cache_client(cache);
	uint32_t index;

	while ((rank = next_fit(client, cache, fitting, rank, alignment)) < client->n_claimable) {
		struct magazine *magazine = &cache->magazines[rank++];

		if ((cache->is_bounded ? claim_counted(cache, magazine, claim, &index)
				       : claim(cache, magazine, &index)) < 0)
			continue;
		if (magazine->pool.chunk_size > fitting->chunk_size)
			count_one(&fitting->state->n_served_larger);
		return alloc_prepare(&magazine->pool, index, size);
	}
	return NULL;
}

/* Whether a free has moved a dry word since the pools were found exhausted. */
static bool has_freed(const struct cache *cache, const struct pool *fitting, uint32_t rank,
		      size_t alignment)
{
	const struct mempool_client *client = cache_client(cache);

	for (; (rank = next_fit(client, cache, fitting, rank, alignment)) < client->n_claimable;
	     rank++)
		/* Without a membarrier nothing is remembered. */
		if (cache->magazines[rank].dry != 0 && !cache_is_dry(&cache->magazines[rank]))
			return true;
	return false;
}

/* Which pool was found exhausted: who may have the reserve has found that held, too. */
static const struct pool *find_exhausted(const struct cache *cache, uint32_t rank, size_t alignment)
{
	const struct mempool_client *client = cache_client(cache);
	const struct pool *fitting = &cache->magazines[rank].pool;

	for (; (rank = next_fit(client, cache, fitting, rank, alignment)) < client->n_claimable;
	     rank++) {
		const struct pool *pool = &cache->magazines[rank].pool;

		if (pool->is_reserve && pool->chunk_size == fitting->chunk_size)
			return pool;
	}
	return fitting;
}

/* Nothing left in the pool at this rank: others that fit; then what a topic keeps, of any of them. */
static void *alloc_elsewhere(struct cache *cache, uint32_t rank, size_t size, size_t alignment)
{
	const struct mempool_client *client = cache_client(cache);
	const struct pool *fitting = &cache->magazines[rank].pool;
	void *chunk = claim_any(cache, fitting, rank + 1, size, alignment, claim_listed);

	/* Each further turn follows a chunk that another one has freed meanwhile: lock-free. */
	while (!chunk && client->yields) {
		chunk = claim_any(cache, fitting, rank, size, alignment, yield_claim);
		if (chunk || !has_freed(cache, fitting, rank, alignment) ||
		    clock_now_ns() >= cache->again_until_ns)
			break;
		chunk = claim_any(cache, fitting, rank, size, alignment, claim_listed);
	}
	if (chunk)
		return chunk;
	count_one(&find_exhausted(cache, rank, alignment)->state->n_exhausted);
	count_one(&client->segment->holders[cache->holder].n_exhausted);
	errno = EAGAIN;
	return NULL;
}

/*
 * Bits of size - 1, by which first_fit says where to begin. Below 33 for all that a pool could
 * hold; for size 0 and most of the larger ones a number that leads to no pool.
 */
static inline uint32_t size_bits(size_t size)
{
	return 63 - (uint32_t)__builtin_clzll((size - 1) << 1 | 1);
}

int alloc_rank(const struct mempool_client *client, size_t size, size_t alignment)
{
	const struct pool *pools = client->segment->pools;
	uint32_t rank;

	if (size == 0)
		return -EINVAL;
	if (size >= MEMPOOL_MAX_CHUNK_BYTES)
		return -EMSGSIZE;
	for (rank = client->first_fit[size_bits(size)]; rank < client->n_claimable; rank++) {
		const struct pool *pool = &pools[client->pool_id[rank]];

		if (pool->chunk_size >= size && is_aligned(pool, alignment))
			return (int)rank;
	}
	return -EMSGSIZE;
}

/* Of one that is bounded. */
static __attribute__((noinline)) void *alloc_counted(struct cache *cache, uint32_t rank,
						     size_t size, size_t alignment)
{
	struct magazine *magazine = &cache->magazines[rank];
	uint32_t index;
	int r = claim_counted(cache, magazine, claim_listed, &index);

	if (r == 0)
		return alloc_prepare(&magazine->pool, index, size);
	if (r == -EDQUOT) {
		errno = EDQUOT;
		return NULL;
	}
	return alloc_elsewhere(cache, rank, size, alignment);
}

/* Not simply the first hint of the first pool: all other cases, errors among them. */
static __attribute__((noinline)) void *alloc_slowly(struct mempool_client *client, size_t size,
						    size_t alignment)
{
	struct cache *cache = cache_get_writer(client);
	struct magazine *magazine;
	uint32_t index;
	int rank;

	if (!cache)
		return NULL;
	rank = alloc_rank(client, size, alignment);
	if (rank < 0) {
		errno = -rank;
		return NULL;
	}
	if (unlikely(cache->is_bounded))
		return alloc_counted(cache, (uint32_t)rank, size, alignment);
	magazine = &cache->magazines[rank];
	if (cache_claim(cache, magazine, &index) < 0)
		return alloc_elsewhere(cache, (uint32_t)rank, size, alignment);
	return alloc_prepare(&magazine->pool, index, size);
}

/*
 * With the hint that was just taken out of the stack, whose claim is not done. Another was faster: then
 * it is gone, and nothing was got by it.
 */
static __attribute__((noinline)) void *alloc_finish(enum claim claim, size_t size)
{
	struct cache *cache = cache_current;
	struct magazine *magazine =
		(void *)((unsigned char *)cache + cache->first_fit[size_bits(size)]);
	uint32_t index = magazine->indices[magazine->n];

	if (claim_finish(cache, &magazine->pool, index, claim))
		return alloc_prepare(&magazine->pool, index, size);
	magazine->n_ours--;
	return alloc_slowly(cache_client(cache), size, 1);
}

static int free_noted(struct mempool_client *client, const void *chunk);

/* By one whose cache is not at hand, or whose chunks are counted, traced or checked. */
static __attribute__((noinline)) void *alloc_noted(struct mempool_client *client, size_t size,
						   size_t alignment, const void *site)
{
	void *chunk = alloc_slowly(client, size, alignment);

	if (!chunk || likely(!cache_current->is_watched))
		return chunk;
	if (client->checker && checker_allocated(cache_current, chunk, size) < 0) {
		free_noted(client, chunk);
		errno = EFAULT;
		return NULL;
	}
	trace_came(chunk, site);
	return chunk;
}

/*
 * mempool_alloc() ends with this, and tells by it where it was called. In the library it has this
 * inlined, and its return address is the place. Built into a program it may be inlined itself, and
 * that address is then another function's; but it ends with a call, which optimization makes a jump:
 * what is called returns to where mempool_alloc() was called, or into what it was inlined into.
 * (-O1 of gcc makes no such jumps: where it does not inline, mempool_alloc() is said to be the place.)
 */
#ifdef MAY_BE_INLINED
static __attribute__((noinline)) void *
#else
static inline __attribute__((always_inline)) void *
#endif
alloc_from_here(struct mempool_client *client, size_t size)
{
	return alloc_noted(client, size, 1, CALL_SITE);
}

/* mempool_alloc(), inlined. @site: on whose behalf; NULL: it is mempool_alloc(). */
static inline __attribute__((always_inline)) void *
alloc_at(struct mempool_client *client, size_t size_bytes, const void *site)
{
	struct cache *cache = cache_current;
	struct magazine *magazine;
	struct mempool_entry *entry;
	enum claim claim;
	uint32_t index;
	size_t n;

	if (unlikely(cache_writer(cache) != client))
		return site ? alloc_noted(client, size_bytes, 1, site)
			    : alloc_from_here(client, size_bytes);

	/* Beyond the pools, first_fit leads to a magazine that has never anything in it. */
	magazine = (void *)((unsigned char *)cache + cache->first_fit[size_bits(size_bytes)]);
	if (unlikely(__builtin_sub_overflow((size_t)magazine->n, 1, &n) ||
		     magazine->pool.chunk_size < size_bytes))
		return alloc_slowly(client, size_bytes, 1);

	/* What is in the stack was in range when it came. */
	magazine->n = (uint32_t)n;
	index = magazine->indices[n];
	entry = &magazine->pool.entries[index];
	claim = claim_begin(cache, &magazine->pool, index, &entry->word);
	if (unlikely(claim != CLAIM_DONE))
		return alloc_finish(claim, size_bytes);
	return alloc_prepare_entry(&magazine->pool, index, entry, size_bytes);
}

PUBLIC_INLINE void *mempool_alloc(struct mempool_client *client, size_t size_bytes)
{
	return alloc_at(client, size_bytes, NULL);
}

void *alloc_one(struct mempool_client *client, size_t size_bytes, const void *site)
{
	return alloc_at(client, size_bytes, site);
}

PUBLIC void *mempool_alloc_zeroed(struct mempool_client *client, size_t size_bytes)
{
	void *chunk = alloc_at(client, size_bytes, CALL_SITE);

	return chunk ? memset(chunk, 0, size_bytes) : NULL;
}

PUBLIC void *mempool_alloc_aligned(struct mempool_client *client, size_t size_bytes,
				   size_t alignment)
{
	if (alignment == 0 || (alignment & (alignment - 1)) || alignment > MEMPOOL_PAGE_BYTES) {
		/* Whose role says no is told that. */
		if (cache_get_writer(client))
			errno = EINVAL;
		return NULL;
	}
	return alloc_noted(client, size_bytes, alignment, CALL_SITE);
}

/* One call of alloc_wait. */
struct request {
	struct mempool_client *client;
	size_t size;
	const void *site;
	int64_t timeout_ns;
	int64_t until_ns;
	int64_t slice_ns;
	uint32_t n_tries;
	void *chunk;
};

/*
 * When the scans of this try are to stop. The first try reads all words once, as mempool_alloc()
 * does, however short the timeout; if others have freed chunks meanwhile and were faster, it
 * leaves it to the next try. Those stop when the time is over, in the middle of a scan too.
 */
static void limit_scans(struct request *request, struct cache *cache)
{
	if (request->n_tries == 1) {
		cache->again_until_ns = request->timeout_ns == 0 ? INT64_MAX : INT64_MIN;
		return;
	}
	if (request->n_tries == 2 && request->timeout_ns > 0)
		request->until_ns = clock_after_ns(request->timeout_ns);
	cache->first_until_ns = cache->again_until_ns = request->until_ns;
}

static int try_alloc(void *userdata)
{
	struct request *request = userdata;
	struct cache *cache = cache_get(request->client);

	request->n_tries++;
	limit_scans(request, cache);
	/* The first two tries are before it sleeps. */
	if (request->n_tries > 2)
		cache_doubt(cache);
	/*
	 * A failure has left the dry bit in every pool that fits: the next free moves it, as far
	 * as a membarrier has told it.
	 */
	cache->is_deaf = false;
	request->chunk = alloc_one(request->client, request->size, request->site);
	cache->first_until_ns = cache->again_until_ns = INT64_MAX;
	request->slice_ns = cache_slice_ns(cache);
	return request->chunk ? 0 : -errno;
}

PUBLIC void *mempool_alloc_wait(struct mempool_client *client, size_t size_bytes,
				int64_t timeout_ns)
{
	struct request request = {
		.client = client,
		.size = size_bytes,
		.site = CALL_SITE,
		.timeout_ns = timeout_ns,
		.until_ns = INT64_MAX,
	};
	struct cache *cache;
	int r;

	cache = cache_get_writer(client);
	if (!cache)
		return NULL;
	r = wait_for(&(struct wait_place){
			     .client = client,
			     .eventcount = &client->segment->header->chunk_freed,
			     .slice_ns = &request.slice_ns,
			     .n_wakes_seen = &cache->n_wakes_seen,
		     }, try_alloc, &request, timeout_ns);
	if (r < 0)
		errno = -r;
	return request.chunk;
}

/* All that is not the straight line of mempool_free(). */
static __attribute__((noinline)) int free_slowly(struct cache *cache, const void *chunk)
{
	struct mempool_client *client = cache_client(cache);
	struct magazine *magazine;
	uint32_t index;
	uint64_t word;
	int r;

	r = cache_locate(cache, chunk, &index);
	if (r < 0)
		return r;
	magazine = cache->last;
	/* Relaxed: if it is ours, alone or with others, it does not change. */
	word = atomic_load_explicit(&magazine->pool.entries[index].word, memory_order_relaxed);
	if (unlikely(!word_is_owned_by(word, cache->holder)))
		return share_holds(client, word) ? share_drop(client, word_value(word)) : -EPERM;

	if (cache->checked)
		r = checker_release(cache, index);
	else
		r = pool_release_for(&magazine->pool, index, cache->holder, cache_bias(magazine),
				     cache->seq_cst);
	if (r == 0)
		cache_keep(cache, magazine, index);
	return r;
}

/* By one whose cache is not at hand, or whose chunks are counted, traced or checked. */
static __attribute__((noinline)) int free_noted(struct mempool_client *client, const void *chunk)
{
	struct cache *cache = cache_get_quickly(client);
	int r;

	if (!cache)
		return -errno;
	r = cache->checked ? checker_verify(cache, chunk, 0) : 0;
	if (r == 0)
		r = free_slowly(cache, chunk);
	if (r == 0 && cache->is_bounded)
		bound_let_go(cache, &cache->last->pool);
	return r;
}

/* The stack is full: a chunk whose word was seen is everybody's. */
static __attribute__((noinline)) int free_beyond(struct magazine *magazine, _Atomic uint64_t *word,
						 uint64_t seen)
{
	const struct mempool_entry *entry = (void *)word;

	/* R1, too. */
	atomic_store_explicit(word, word_freed(seen), memory_order_release);
	cache_keep_beyond(magazine, (uint32_t)(entry - magazine->pool.entries));
	return 0;
}

PUBLIC_INLINE int mempool_free(struct mempool_client *client, const void *chunk)
{
	struct cache *cache = cache_current;
	struct magazine *magazine;
	_Atomic uint64_t *word;
	uint32_t index;
	uint64_t seen;
	size_t n;

	if (unlikely(cache_plain(cache) != client))
		return free_noted(client, chunk);
	magazine = cache->last;
	if (unlikely(pool_index(&magazine->pool,
				(uintptr_t)chunk - (uintptr_t)magazine->pool.data,
				&index) < 0))
		return free_slowly(cache, chunk);
	word = &magazine->pool.entries[index].word;
	seen = atomic_load_explicit(word, memory_order_relaxed);
	if (unlikely(((uint32_t)seen & ~WORD_LANE_MASK) != cache->freeable))
		return free_slowly(cache, chunk);
	n = magazine->n;
	if (unlikely(n >= magazine->capacity))
		return free_beyond(magazine, word, seen);

	/* R1 and D1, as in pool_release_for(). */
	atomic_store_explicit(word, word_freed(seen) | magazine->bias, memory_order_release);
	magazine->indices[n] = index;
	magazine->n = (uint32_t)(n + 1);
	if (unlikely(pool_wants_hints(&magazine->pool)))
		cache_pass_on(cache, magazine, 1);
	return 0;
}

extern __typeof__(mempool_free) free_one ALIAS(mempool_free);

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

	if (r < 0)
		return r;
	/* Relaxed: as in find_held(). */
	return (ssize_t)checker_usable_size(
		client, pool, (uint32_t)(entry - pool->entries),
		atomic_load_explicit(&entry->word, memory_order_relaxed));
}

PUBLIC int mempool_chunk_set_tag(struct mempool_client *client, void *chunk, uint32_t tag)
{
	struct mempool_entry *entry;
	const struct pool *pool;
	bool is_shared = false;
	int r;

	if (!cache_get_writer(client))
		return -errno;
	r = find_held(client, chunk, &pool, &entry, &is_shared);
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
