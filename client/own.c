/* SPDX-License-Identifier: MIT */
#include "own.h"

#include <errno.h>
#include <stdlib.h>

#include "shm/chunk_manager.h"

int own_begin(struct mempool_client *client)
{
	_Atomic uint64_t *none = NULL, *own;

	/* Relaxed: only whether there is one. */
	if (atomic_load_explicit(&client->own, memory_order_relaxed))
		return 0;
	own = calloc(segment_managers(client->segment)->n_chunks, sizeof(*own));
	if (!own)
		return -ENOMEM;
	/* N1 (release) pairs with N2. Relaxed on failure: another thread's is as good. */
	if (!atomic_compare_exchange_strong_explicit(&client->own, &none, own,
						     memory_order_release, memory_order_relaxed))
		free(own);
	return 0;
}

/* Of the chunk of a manager that we hold. 0: its link leads nowhere. */
static uint64_t handle_of(const struct mempool_client *client, uint32_t manager)
{
	struct chunk_ref chunk;
	uint64_t word;

	if (!chunk_manager_chunk(client->segment, manager, &chunk))
		return MEMPOOL_HANDLE_NONE;
	/* Relaxed: it is SHARED by this manager, since before we held it, for as long as we do. */
	word = atomic_load_explicit(&client->segment->pools[chunk.pool].entries[chunk.index].word,
				    memory_order_relaxed);
	return handle_make(word_generation(word), chunk.pool, chunk.index);
}

void own_note_slowly(struct mempool_client *client, uint32_t manager)
{
	/* N2 (acquire) pairs with N1 in own_begin(): nothing is noted before all is zero. */
	_Atomic uint64_t *own = atomic_load_explicit(&client->own, memory_order_acquire);

	/* Relaxed: the swap of the slot publishes it. */
	atomic_store_explicit(&own[manager], handle_of(client, manager), memory_order_relaxed);
}

bool own_has(const struct mempool_client *client, uint32_t manager, uint64_t handle)
{
	/* N2, as above. */
	_Atomic uint64_t *own = atomic_load_explicit(&client->own, memory_order_acquire);

	/* Relaxed: behind the look at the slot. */
	return own && handle != MEMPOOL_HANDLE_NONE &&
	       atomic_load_explicit(&own[manager], memory_order_relaxed) == handle;
}

bool own_holds(const struct mempool_client *client, uint32_t manager)
{
	return own_has(client, manager, handle_of(client, manager));
}

void own_deinit(struct mempool_client *client)
{
	/* Relaxed: by the last one that has the client. */
	free(atomic_load_explicit(&client->own, memory_order_relaxed));
}
