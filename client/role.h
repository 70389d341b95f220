/* SPDX-License-Identifier: MIT */
/*
 * role.h - which thread has the role of a queue's one sender or receiver (shm/role.h), by which handle
 *
 *	handle	role.cache	the cache of the thread that has it by this handle; NULL: none has
 *	client	roles		those of its handles that are taken
 *
 * The word in the ring says whose client's it is. The places in the queue that go with it are the handle's,
 * and only one thread may use them: so another thread of the client, and another handle, is told -EBUSY.
 *
 * A role goes back when its handle is closed, its thread ends, or its client is closed. Each wakes who was told
 * -EBUSY, and waits for its turn by the client's descriptor. That is a look of its own (poller.h): it says
 * nothing of messages or room, which another thread may wait for by the same handle.
 *
 * All that is listed is changed under the lock of the process, and the poller's lock is taken within
 * that. The owner alone compares role.cache with its own cache, without.
 */
#ifndef CLIENT_ROLE_H
#define CLIENT_ROLE_H

#include <sys/queue.h>

#include "parts.h"
#include "shm/role.h"

struct role {
	struct mempool_client *client;
	uint32_t ring;
	enum mempool_end_kind kind;
	_Atomic(struct cache *) cache;
	struct poller_look turn;	/* of who was told -EBUSY */
	LIST_ENTRY(role) link;
};

void role_init(struct role *role, struct mempool_client *client, enum mempool_end_kind kind,
	       uint32_t ring);

/* Whether this thread has it. */
static inline bool role_is_ours(const struct role *role, const struct cache *cache)
{
	/* Relaxed: what stands there of us we have written; and of an ended thread nothing does. */
	return atomic_load_explicit(&role->cache, memory_order_relaxed) == cache;
}

/* Return: 0, and the place is to be read from the ring; -EBUSY somebody has it, and the descriptor tells when
 * that may have ended. */
int role_begin(struct role *role, struct cache *cache);

/* Of a handle that is closed, if this is the process that opened it. */
void role_end(struct role *role);

/* Of a thread that ends; under the lock of the process. And of a client that is closed. */
void role_leave(struct mempool_client *client, const struct cache *cache);
void role_close(struct mempool_client *client);

#endif
