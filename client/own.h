/* SPDX-License-Identifier: MIT */
/*
 * own.h - which messages of topics this client has published itself
 *
 * Nothing in the segment says who published a message. So a client that asks keeps that in memory of
 * its own: by manager, the handle of the chunk that it last published with it. A handle is of one
 * incarnation of one chunk; so what stands there for a later message of somebody else's fits none.
 */
#ifndef CLIENT_OWN_H
#define CLIENT_OWN_H

#include "parts.h"

/* From here on it is noted, until the client is freed. Threads: any. Return: 0 or -ENOMEM. */
int own_begin(struct mempool_client *client);

void own_deinit(struct mempool_client *client);

/* The slow part of own_note(). */
void own_note_slowly(struct mempool_client *client, uint32_t manager);

/* Of a manager that we hold, before it stands in a ring: who finds it there finds this. */
static inline void own_note(struct mempool_client *client, uint32_t manager)
{
	/* Relaxed: only whether there is a table. */
	if (unlikely(atomic_load_explicit(&client->own, memory_order_relaxed) != NULL))
		own_note_slowly(client, manager);
}

/* Whether we have published the message of this manager, of the chunk with that handle. */
bool own_has(const struct mempool_client *client, uint32_t manager, uint64_t handle);

/* The same of a message that we hold. */
bool own_holds(const struct mempool_client *client, uint32_t manager);

#endif
