/* SPDX-License-Identifier: MIT */
/*
 * share.h - this process's references to shared chunks
 *
 * In the segment a process has one bit on a ChunkManager; how many of its threads refer to
 * it is counted here, in private memory: references[manager] = busy(1) | count(31).
 *
 * Every acquire sets the bit, whatever the count says: a share by another process may have
 * wiped the bit of a reference that came too late and is about to be dropped. The last
 * reference and the clearing of the bit are one step, marked by the busy bit; only the
 * threads of this process can meet there, and all of it vanishes with the process.
 */
#ifndef CLIENT_SHARE_H
#define CLIENT_SHARE_H

#include <errno.h>

#include "parts.h"
#include "shm/chunk_manager.h"

int share_init(struct mempool_client *client);
void share_deinit(struct mempool_client *client);

/* One reference more, and the bit. Return: 0; -EOVERFLOW there are 2^31 - 1. */
int share_add(struct mempool_client *client, uint32_t manager);

/*
 * One less; with the last one the bit goes and, if it was the last of all, the chunk.
 * Return: 0; -EPERM there was none.
 */
int share_drop(struct mempool_client *client, uint32_t manager);

/**
 * share_take_back() - a chunk that this process has one reference to becomes its own
 *
 * Return: 0 it is OWNED by us, and the reference is gone; -EBUSY others hold it, too, and nothing has
 *	   changed; -EPERM it is not held, any more.
 */
int share_take_back(struct mempool_client *client, struct chunk_ref chunk, uint32_t manager);

/* Whether a word is SHARED and this process has a reference to it. */
bool share_holds(const struct mempool_client *client, uint64_t word);

/* What a call says that needs a chunk alone, of a word that says otherwise: -EBUSY, -EPERM. */
static inline int share_refuse(const struct mempool_client *client, uint64_t word)
{
	return share_holds(client, word) ? -EBUSY : -EPERM;
}

/**
 * share_owned() - a chunk that we hold alone becomes shared, with one reference
 * @topic: a second holder, or MEMPOOL_HOLDER_NONE
 * @word:  the chunk's, as it was seen: OWNED by us; what it is now. Shared, its value is the
 *	   manager.
 *
 * Return: 0; -EBUSY another thread of ours has shared it, -EPERM let go of it, meanwhile;
 *	   -EOPNOTSUPP its pool does not share; -EMSGSIZE length too large; -EAGAIN no manager, for a
 *	   millisecond or two: there are as many as chunks that share, but each thread that shares a
 *	   chunk which another one is just sharing needs one for a moment, and has one as long as it is
 *	   stopped there.
 */
int share_owned(struct cache *cache, struct chunk_ref chunk, size_t length, uint32_t topic,
		uint64_t *word);

#endif
