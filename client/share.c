/* SPDX-License-Identifier: MIT */
#include "share.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <time.h>

#include "arrive.h"
#include "bound.h"
#include "cache.h"
#include "checker.h"
#include "locate.h"
#include "shm/chunk_manager.h"
#include "shm/fence.h"

#define BUSY (UINT32_C(1) << 31)
#define BUSY_YIELDS 16
#define BUSY_PAUSE_NS 50000

/* How often others are let run, for a manager: one that runs has long given it back by then. */
#define MANAGER_TURNS (2 * BUSY_YIELDS)

static uint32_t n_managers(const struct mempool_client *client)
{
	return segment_managers(client->segment)->n_chunks;
}

int share_init(struct mempool_client *client)
{
	/* Pages come when they are touched: a process pays for what it shares. */
	void *memory = mmap(NULL, n_managers(client) * sizeof(*client->references),
			    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			    -1, 0);

	if (memory == MAP_FAILED)
		return -errno;
	client->references = memory;
	return 0;
}

void share_deinit(struct mempool_client *client)
{
	if (client->references)
		munmap(client->references, n_managers(client) * sizeof(*client->references));
	client->references = NULL;
}

/*
 * Another thread of ours is between its last reference and the bit, two steps apart. If it has
 * been put off the processor by us, of a higher real-time priority, no yield lets it run.
 */
static void let_others_run(uint32_t n_turns)
{
	const struct timespec pause = { .tv_nsec = BUSY_PAUSE_NS };
	int cancel_state;

	if (n_turns < BUSY_YIELDS) {
		sched_yield();
		return;
	}
	/* The caller is in the middle of something: not to be cancelled here. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	nanosleep(&pause, NULL);
	pthread_setcancelstate(cancel_state, NULL);
}

int share_add(struct mempool_client *client, uint32_t manager)
{
	_Atomic uint32_t *references = &client->references[manager];
	uint32_t seen = atomic_load_explicit(references, memory_order_relaxed);
	uint32_t n_turns = 0;

	for (;;) {
		if (seen & BUSY) {
			let_others_run(n_turns++);
			seen = atomic_load_explicit(references, memory_order_relaxed);
			continue;
		}
		if (seen == BUSY - 1)
			return -EOVERFLOW;
		/* P2 (acquire) pairs with P1: its clearing is before our setting. */
		if (atomic_compare_exchange_weak_explicit(references, &seen, seen + 1,
							  memory_order_acquire,
							  memory_order_relaxed))
			break;
	}
	/* The caller has found its cache before. */
	cache_current->n_moved++;
	chunk_manager_set(client->segment, manager, client->holder);
	return 0;
}

int share_drop(struct mempool_client *client, uint32_t manager)
{
	_Atomic uint32_t *references = &client->references[manager];
	uint32_t seen = atomic_load_explicit(references, memory_order_relaxed);
	uint32_t next;

	do {
		if (seen == 0 || seen == BUSY)
			return -EPERM;
		next = seen == 1 ? BUSY : seen - 1;
		/*
		 * P3 (acq_rel) pairs with itself: what each thread did with the chunk is
		 * before the last one's clearing.
		 */
	} while (!atomic_compare_exchange_weak_explicit(references, &seen, next,
							memory_order_acq_rel,
							memory_order_relaxed));
	if (next != BUSY) {
		cache_current->n_moved--;
		return 0;
	}

	chunk_manager_clear(client->segment, manager, client->holder);
	/* P1 (release) pairs with P2. */
	atomic_store_explicit(references, 0, memory_order_release);
	chunk_manager_collect(client->segment, manager, client->holder);
	cache_current->n_moved--;
	return 0;
}

bool share_holds(const struct mempool_client *client, uint64_t word)
{
	/* Relaxed: a reference that the caller relies on he counted himself, or was told of. */
	return word_kind(word) == MEMPOOL_SHARED && word_value(word) < n_managers(client) &&
	       (atomic_load_explicit(&client->references[word_value(word)],
				     memory_order_relaxed) & ~BUSY) != 0;
}

/* With a manager that we have claimed. Return: 0; -EBUSY the chunk's word has changed. */
static int share_by(struct cache *cache, struct chunk_ref chunk, uint32_t manager, uint32_t topic,
		    uint64_t *word)
{
	struct mempool_client *client = cache->client;
	int r;

	/* Counted before the bits are written: a late reference of ours must not clear them. */
	r = share_add(client, manager);
	if (r < 0) {
		pool_release(&cache->managers.pool, manager, client->holder, client->seq_cst);
		cache_keep(cache, &cache->managers, manager);
		return r;
	}
	r = chunk_manager_share(client->segment, chunk, manager, client->holder, topic, word);
	/* The manager is nobody's alone from here on, and then the chunk. */
	cache->n_moved--;
	if (r < 0)
		share_drop(client, manager);
	else
		cache->n_moved--;
	return r;
}

/*
 * No manager is left for a chunk that says owned. There are as many as chunks, so some thread
 * has one too many, or is dead. It may be stopped, too, and is not waited for.
 * Return: 0; -EAGAIN none, or the chunk says something else.
 */
static __attribute__((noinline)) int claim_manager_slowly(struct cache *cache,
							  struct mempool_entry *entry,
							  uint64_t owned, uint32_t *ret_manager)
{
	for (uint32_t n_turns = 0; n_turns < MANAGER_TURNS; n_turns++) {
		/* Relaxed: the caller looks again, by M3. */
		if (atomic_load_explicit(&entry->word, memory_order_relaxed) != owned)
			break;
		let_others_run(n_turns);
		if (cache_claim(cache, &cache->managers, ret_manager) == 0)
			return 0;
	}
	return -EAGAIN;
}

int share_owned(struct cache *cache, struct chunk_ref chunk, size_t length, uint32_t topic,
		uint64_t *word)
{
	struct mempool_client *client = cache->client;
	const struct pool *pool = &client->segment->pools[chunk.pool];
	struct mempool_entry *entry = &pool->entries[chunk.index];
	uint64_t owned = *word;
	uint32_t manager;
	int r;

	if (unlikely(pool->is_exclusive))
		return -EOPNOTSUPP;
	if (length > pool->chunk_size)
		return -EMSGSIZE;
	r = cache_claim(cache, &cache->managers, &manager);
	if (unlikely(r < 0))
		r = claim_manager_slowly(cache, entry, owned, &manager);
	if (r == 0) {
		/* Relaxed: published with the word. */
		atomic_store_explicit(&entry->length, (uint32_t)length, memory_order_relaxed);
		r = share_by(cache, chunk, manager, topic, word);
	} else {
		/* Another thread of ours may have had the last one, for the same chunk. M3. */
		*word = atomic_load_explicit(&entry->word, memory_order_acquire);
	}
	if (r == 0 || *word == owned)
		return r;
	return share_refuse(client, *word);
}

static inline int share(struct cache *cache, void *chunk, size_t length, uint64_t *ret_handle)
{
	struct mempool_client *client = cache_client(cache);
	const struct pool *pool;
	uint32_t index;
	uint64_t word;
	int r;

	if (!ret_handle)
		return -EINVAL;
	r = cache_locate(cache, chunk, &index);
	if (r < 0)
		return r;
	pool = &cache->last->pool;
	/*
	 * M3 (acquire) pairs with M2: another thread of ours may just have shared it, and counted
	 * its reference before that.
	 */
	word = atomic_load_explicit(&pool->entries[index].word, memory_order_acquire);
	if (word_is_owned_by(word, client->holder))
		r = share_owned(cache, (struct chunk_ref){ pool->id, index }, length,
				MEMPOOL_HOLDER_NONE, &word);
	else
		r = share_refuse(client, word);
	/* Shared already, before or during the call: the same handle leads to it. */
	if (r == -EBUSY)
		r = 0;
	if (r == 0)
		*ret_handle = handle_make(word_generation(word), pool->id, index);
	return r;
}

/* By one whose cache is not at hand, or whose chunks are counted, traced or checked. */
static __attribute__((noinline)) int share_slowly(struct mempool_client *client, void *chunk,
						  size_t length, uint64_t *ret_handle)
{
	struct cache *cache = cache_get_writer_quickly(client);
	int r;

	if (!cache)
		return -errno;
	r = cache->checked ? checker_verify_shared(cache, chunk, length) : 0;
	return r < 0 ? r : share(cache, chunk, length, ret_handle);
}

PUBLIC int mempool_share(struct mempool_client *client, void *chunk, size_t length,
			 uint64_t *ret_handle)
{
	if (unlikely(cache_writer(cache_current) != client))
		return share_slowly(client, chunk, length, ret_handle);
	return share(cache_current, chunk, length, ret_handle);
}

/* Of a handle that leads to no shared chunk: it comes too late, or none of its pool ever is shared. */
static int not_shared(const struct pool *pool)
{
	return pool->is_exclusive ? -EOPNOTSUPP : -ESTALE;
}

static inline int acquire(struct mempool_client *client, uint64_t handle, const void **ret_chunk,
			  size_t *ret_length)
{
	const struct pool *pool;
	_Atomic uint64_t *word;
	uint32_t index, manager;
	uint64_t seen;
	int r;

	if (!ret_chunk)
		return -EINVAL;
	r = client_locate_handle(client, handle, &pool, &index);
	if (r < 0)
		return r;

	word = &pool->entries[index].word;
	/* seq_cst, here and below: as all of chunk_manager.c. It also acquires M2. */
	seen = atomic_load_explicit(word, memory_order_seq_cst);
	manager = word_value(seen);
	if (!word_is_shared(seen, handle_generation(handle)) || manager >= n_managers(client))
		return not_shared(pool);

	r = share_add(client, manager);
	if (r < 0)
		return r;
	r = chunk_manager_stamp(client->segment, manager);
	if (r < 0 || atomic_load_explicit(word, memory_order_seq_cst) != seen) {
		/* Too late; and we may have been the last one that kept it. */
		share_drop(client, manager);
		return -ESTALE;
	}
	*ret_chunk = pool_chunk(pool, index);
	if (ret_length)
		*ret_length = pool_length(pool, index);	/* ordered by the word's load */
	return 0;
}

static int acquire_counted(struct cache *cache, uint64_t handle, const void **ret_chunk,
			   size_t *ret_length)
{
	struct mempool_client *client = cache_client(cache);
	const struct pool *pool;
	uint32_t index;
	int r;

	r = client_locate_handle(client, handle, &pool, &index);
	if (r < 0)
		return r;
	/* Relaxed: so that a handle that comes too late is told so, whatever the bound. */
	if (!word_is_shared(atomic_load_explicit(&pool->entries[index].word, memory_order_relaxed),
			    handle_generation(handle)))
		return not_shared(pool);
	r = bound_reserve(cache, pool);
	if (r < 0)
		return r;
	r = acquire(client, handle, ret_chunk, ret_length);
	if (r == 0)
		bound_keep(cache);
	else
		bound_cancel(cache);
	return r;
}

/* By one whose cache is not at hand, or whose chunks are counted, traced or checked. */
static __attribute__((noinline)) int acquire_slowly(struct mempool_client *client, uint64_t handle,
						    const void **ret_chunk, size_t *ret_length,
						    const void *site)
{
	struct cache *cache = cache_get(client);
	int r;

	if (!cache)
		return -errno;
	r = cache->is_bounded ? acquire_counted(cache, handle, ret_chunk, ret_length)
			      : acquire(client, handle, ret_chunk, ret_length);
	if (r == 0)
		arrive(*ret_chunk, site);
	return r;
}

PUBLIC int mempool_acquire(struct mempool_client *client, uint64_t handle,
			   const void **ret_chunk, size_t *ret_length)
{
	if (unlikely(!client || cache_plain(cache_current) != client))
		return acquire_slowly(client, handle, ret_chunk, ret_length, CALL_SITE);
	return acquire(client, handle, ret_chunk, ret_length);
}

int share_take_back(struct mempool_client *client, struct chunk_ref chunk, uint32_t manager)
{
	_Atomic uint32_t *references = &client->references[manager];
	uint32_t seen = 1;
	int r;

	/*
	 * P4 (acquire) pairs with P3: what our other threads did with the chunk is before what the
	 * caller does. Busy: no thread of ours adds a reference until it is settled. Relaxed on
	 * failure: nothing was read through it.
	 */
	if (!atomic_compare_exchange_strong_explicit(references, &seen, BUSY, memory_order_acquire,
						     memory_order_relaxed))
		return (seen & ~BUSY) == 0 ? -EPERM : -EBUSY;
	r = chunk_manager_unshare(client->segment, chunk, manager, client->holder);
	/* P1 (release), too: what follows the busy bit is after it. */
	atomic_store_explicit(references, r == -EBUSY ? 1 : 0, memory_order_release);
	return r;
}

static inline __attribute__((always_inline)) int
have_alone(struct cache *cache, const void *chunk, void **ret_chunk, const void *site)
{
	struct mempool_client *client = cache_client(cache);
	const struct pool *pool;
	uint32_t index;
	uint64_t word;
	int r;

	if (!ret_chunk)
		return -EINVAL;
	r = cache_locate(cache, chunk, &index);
	if (r < 0)
		return r;
	pool = &cache->last->pool;
	/* Relaxed: if we share it, or own it, it does not change; and the swaps decide. */
	word = atomic_load_explicit(&pool->entries[index].word, memory_order_relaxed);
	if (!word_is_owned_by(word, client->holder)) {
		if (!share_holds(client, word))
			return -EPERM;
		r = share_take_back(client, (struct chunk_ref){ pool->id, index }, word_value(word));
		if (r < 0)
			return r;
		/*
		 * K1 (release fence), as in alloc_prepare(). Held still: a reference less, a chunk
		 * of our own more.
		 */
		fence_release();
		arrive(chunk, site);
	}
	*ret_chunk = pool_chunk(pool, index);
	return 0;
}

/* By one whose cache is not at hand, or whose chunks are counted, traced or checked. */
static __attribute__((noinline)) int unshare_slowly(struct mempool_client *client,
						    const void *chunk, void **ret_chunk,
						    const void *site)
{
	struct cache *cache = cache_get_writer_quickly(client);
	int r;

	if (!cache)
		return -errno;
	r = cache->checked ? checker_verify(cache, chunk, 0) : 0;
	return r < 0 ? r : have_alone(cache, chunk, ret_chunk, site);
}

PUBLIC int mempool_unshare(struct mempool_client *client, const void *chunk, void **ret_chunk)
{
	if (unlikely(cache_writer(cache_current) != client))
		return unshare_slowly(client, chunk, ret_chunk, CALL_SITE);
	return have_alone(cache_current, chunk, ret_chunk, CALL_SITE);
}

PUBLIC int mempool_chunk_is_exclusive(struct mempool_client *client, const void *chunk)
{
	const struct pool *pool;
	uint32_t index, manager;
	uint64_t word;
	int r;

	if (!cache_get(client))
		return -errno;
	r = client_locate(client, chunk, &pool, &index);
	if (r < 0)
		return r;
	/* Relaxed: as in mempool_unshare(). */
	word = atomic_load_explicit(&pool->entries[index].word, memory_order_relaxed);
	if (word_is_owned_by(word, client->holder))
		return 1;
	if (!share_holds(client, word))
		return -EPERM;
	manager = word_value(word);
	/* Relaxed: whoever relies on the answer goes by mempool_unshare(). */
	return atomic_load_explicit(&client->references[manager], memory_order_relaxed) == 1 &&
	       chunk_manager_is_exclusive(client->segment, manager, client->holder);
}
