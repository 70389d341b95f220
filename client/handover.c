/* SPDX-License-Identifier: MIT */
/*
 * handover.c - a chunk changes hands by a handle that travels by the user's transport
 *
 *	give	OWNED(me),g -> SENT(0, me),g+1		a swap: of two threads that give it, one does
 *	take	SENT(0, giver),g -> OWNED(me),g+1	a swap: one of several takers wins
 *
 * The handle holds the generation of the SENT word, so it fits this one giving and no
 * other. Until it is taken the word names the giver, whose close or death frees it. So what was
 * given counts as held: who takes it is not seen here.
 */
#include <errno.h>

#include "arrive.h"
#include "bound.h"
#include "cache.h"
#include "checker.h"
#include "locate.h"
#include "share.h"

static inline int give(struct cache *cache, struct mempool_client *client, void *chunk,
		       size_t length, uint64_t *ret_handle)
{
	const struct pool *pool;
	struct mempool_entry *entry;
	uint32_t index;
	uint64_t seen, sent;
	int r;

	if (!ret_handle)
		return -EINVAL;
	r = cache_locate(cache, chunk, &index);
	if (r < 0)
		return r;
	pool = &cache->last->pool;
	entry = &pool->entries[index];
	/* Relaxed: if it is ours, we or a thread that told us wrote it last. */
	seen = atomic_load_explicit(&entry->word, memory_order_relaxed);
	if (!word_is_owned_by(seen, client->holder))
		return share_refuse(client, seen);
	if (length > pool->chunk_size)
		return -EMSGSIZE;

	sent = word_sent(seen, 0, client->holder);
	/* Relaxed: G1 below publishes it with the content. */
	atomic_store_explicit(&entry->length, (uint32_t)length, memory_order_relaxed);
	/*
	 * G1 (release) pairs with G2: who takes it sees what we wrote into the chunk. Relaxed on
	 * failure: another thread of ours has moved it; a store might take it from its next
	 * holder.
	 */
	if (!atomic_compare_exchange_strong_explicit(&entry->word, &seen, sent,
						     memory_order_release,
						     memory_order_relaxed))
		return share_refuse(client, seen);
	*ret_handle = handle_make(word_generation(sent), pool->id, index);
	return 0;
}

/* By one whose cache is not at hand, or whose chunks are counted, traced or checked. */
static __attribute__((noinline)) int give_slowly(struct mempool_client *client, void *chunk,
						  size_t length, uint64_t *ret_handle)
{
	struct cache *cache = cache_get_writer_quickly(client);
	int r;

	if (!cache)
		return -errno;
	r = cache->checked ? checker_verify(cache, chunk, length) : 0;
	if (r < 0)
		return r;
	if (!cache->is_bounded)
		return give(cache, client, chunk, length, ret_handle);
	r = bound_prepare_give(cache);
	if (r == 0)
		r = give(cache, client, chunk, length, ret_handle);
	if (r == 0)
		bound_note_given(cache, *ret_handle);
	return r;
}

PUBLIC int mempool_give(struct mempool_client *client, void *chunk, size_t length,
			uint64_t *ret_handle)
{
	if (unlikely(cache_writer(cache_current) != client))
		return give_slowly(client, chunk, length, ret_handle);
	return give(cache_current, client, chunk, length, ret_handle);
}

/* Return: 0; -ESTALE. */
static inline int take_plainly(const struct mempool_client *client, uint64_t handle,
			       _Atomic uint64_t *word)
{
	/* Relaxed: a first guess, the swap decides. */
	uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);

	do {
		if (!word_is_given(seen, handle_generation(handle)))
			return -ESTALE;
		/*
		 * G2 (acquire) pairs with G1. Relaxed on failure: another taker, or the reaper,
		 * was faster; the next look says -ESTALE.
		 */
	} while (!atomic_compare_exchange_weak_explicit(word, &seen,
							word_taken(seen, client->holder),
							memory_order_acquire,
							memory_order_relaxed));
	return 0;
}

/*
 * What we gave ourselves counts already, whatever the bound. Return: 0; -EDQUOT; -ESTALE.
 */
static int take_counted(struct cache *cache, const struct pool *pool, uint64_t handle,
			_Atomic uint64_t *word)
{
	struct mempool_client *client = cache_client(cache);
	/* Relaxed: a first guess, the swap decides. */
	uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);
	int r;

	if (!word_is_given(seen, handle_generation(handle)))
		return -ESTALE;
	if (word_sent_sender(seen) == client->holder)
		return bound_take_back(cache, handle, word, &seen) ? 0 : -ESTALE;
	r = bound_reserve(cache, pool);
	if (r < 0)
		return r;
	r = take_plainly(client, handle, word);
	if (r == 0)
		bound_keep(cache);
	else
		bound_cancel(cache);
	return r;
}

static inline int take(struct cache *cache, struct mempool_client *client, uint64_t handle,
		       void **ret_chunk, size_t *ret_length, bool is_bounded)
{
	const struct pool *pool;
	_Atomic uint64_t *word;
	uint32_t index;
	int r;

	if (!ret_chunk)
		return -EINVAL;
	r = client_locate_handle(client, handle, &pool, &index);
	if (r < 0)
		return r;
	word = &pool->entries[index].word;
	r = is_bounded ? take_counted(cache, pool, handle, word)
		       : take_plainly(client, handle, word);
	if (r < 0)
		return r;

	cache->n_moved++;
	*ret_chunk = pool_chunk(pool, index);
	if (ret_length)
		*ret_length = pool_length(pool, index);	/* ordered by G2 */
	return 0;
}

/* By one whose cache is not at hand, or whose chunks are counted, traced or checked. */
static __attribute__((noinline)) int take_slowly(struct mempool_client *client, uint64_t handle,
						 void **ret_chunk, size_t *ret_length,
						 const void *site)
{
	struct cache *cache = cache_get(client);
	int r;

	if (!cache)
		return -errno;
	r = take(cache, client, handle, ret_chunk, ret_length, cache->is_bounded);
	if (r == 0)
		arrive(*ret_chunk, site);
	return r;
}

PUBLIC int mempool_take(struct mempool_client *client, uint64_t handle, void **ret_chunk,
			size_t *ret_length)
{
	if (unlikely(!client || cache_plain(cache_current) != client))
		return take_slowly(client, handle, ret_chunk, ret_length, CALL_SITE);
	return take(cache_current, client, handle, ret_chunk, ret_length, false);
}
