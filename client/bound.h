/* SPDX-License-Identifier: MIT */
/*
 * bound.h - how much a client may hold, kept by credits of its threads
 *
 * What counts is what the client has to free, give or send: chunks that it has alone, those
 * that it gave until somebody takes them, and its holds of shared ones, each as often as it
 * is to be freed. Bytes are those of whole chunks, by their stride. The daemon says the
 * bound when the client comes.
 *
 *	limit	what a thread may hold at most; changed under the lock of the process
 *	held	what it got less what it let go, chunks of other threads among them: so less
 *		than nothing perhaps. Written by that thread alone, as the next one
 *	wanted	the same with the chunk that it is about to get; as held, if there is none
 *
 * All limits, and what no thread has (spare), add up to the bound, less what ended threads
 * have left: so nobody needs to know what all hold together. A thread that stays within its
 * limit writes to lines of its own alone:
 *
 *	get	held + chunk <= limit? wanted := held + chunk; limit, again: still as much?
 *		get it, and held := wanted; or there was none, and wanted := held
 *	free	held -= chunk; wanted := held
 *
 * One whose limit does not do asks for more under the lock: for what is spare, then for what
 * was taken of what the client gave, then for what other threads do not need. It lowers
 * their limits, issues a membarrier in all threads of the process, and reads what they want.
 * One that did not see the lower limit is seen to want, and gets so much back. One that did
 * see it stops: what it wants stands there until it has the lock. So a thread is refused for
 * what others hold, or get for certain: of two that want the last chunk one gets it. One
 * that wants more than its limit was, will fail, and is counted by what it holds.
 *
 * What was given is noted by its handle, in a list of the thread that gave it. Only its word
 * tells whether somebody has taken it: that is looked at when there is no other credit.
 *
 * Calls of a client without a bound do not come here. A thread that is stopped with the lock
 * stops those that are at their limit, as with all that this lock is for.
 */
#ifndef CLIENT_BOUND_H
#define CLIENT_BOUND_H

#include <stdbool.h>
#include <stdint.h>

#include "parts.h"
#include "shm/holder.h"

/* A client is bounded from now on. Before any thread uses it. */
void bound_init(struct mempool_client *client, const struct holder_bound *bound);
void bound_deinit(struct mempool_client *client);

/* A thread ends: its limit is spare again. Under the lock. */
void bound_leave(struct cache *cache);

/*
 * For a chunk of a pool that the calling thread is about to get. Then one of the next
 * two; or this one again, for a pool instead of that one. Return: 0; -EDQUOT the client
 * holds as much as it may.
 */
int bound_reserve(struct cache *cache, const struct pool *pool);

/* It has it. */
void bound_keep(struct cache *cache);

/* It has got nothing, and so there is nothing that it wants. */
void bound_cancel(struct cache *cache);

/* It had a chunk of that pool, and has it no more. */
void bound_let_go(struct cache *cache, const struct pool *pool);

/* Before a give. Return: 0; -ENOMEM no room to note it. */
int bound_prepare_give(struct cache *cache);

/* It has given what that handle names. */
void bound_note_given(struct cache *cache, uint64_t handle);

/**
 * bound_take_back() - take a chunk that this client gave itself: it counts already
 * @word: of the chunk
 * @seen: what it said, SENT by us; what it says
 *
 * Return: whether it is ours. If not, the word says something else meanwhile; or it is
 *	   not noted as given, and so the give is not over.
 */
bool bound_take_back(struct cache *cache, uint64_t handle, _Atomic uint64_t *word,
		     uint64_t *seen);

#endif
