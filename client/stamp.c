/* SPDX-License-Identifier: MIT */
/*
 * stamp.c - when what the caller holds was sent, and what time that was (shm/stamp.h)
 */
#include <errno.h>
#include <time.h>

#include "cache.h"
#include "client.h"
#include "locate.h"
#include "share.h"
#include "shm/clock.h"
#include "shm/stamp.h"

PUBLIC int mempool_message_stamp(struct mempool_client *client, const void *chunk,
				 uint64_t *ret_sent_ns)
{
	const struct pool *pool;
	uint32_t index;
	uint64_t word;
	int r;

	if (!cache_get(client))
		return -errno;
	if (!ret_sent_ns)
		return -EINVAL;
	r = client_locate(client, chunk, &pool, &index);
	if (r < 0)
		return r;
	/* Relaxed: what we hold does not change, and who got it for us has told us. */
	word = atomic_load_explicit(&pool->entries[index].word, memory_order_relaxed);
	if (!word_is_owned_by(word, client->holder) && !share_holds(client, word))
		return -EPERM;
	return stamp_of_held(pool, index, word, ret_sent_ns);
}

PUBLIC int64_t mempool_stamp_realtime(uint64_t sent_ns)
{
	uint64_t monotonic_ns = (uint64_t)clock_now_ns();
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	/* Without a sign: a stamp may be any number, and what wraps comes back. */
	return (int64_t)((uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec -
			 monotonic_ns + sent_ns);
}
