/* SPDX-License-Identifier: MIT */
#include "ends.h"

static_assert(MEMPOOL_END_NEWEST == MEMPOOL_SUBSCRIBE_NEWEST &&
	      MEMPOOL_END_OTHERS == MEMPOOL_SUBSCRIBE_OTHERS, "layout");

static uint64_t word_of(const struct mempool_client *client, enum mempool_end_kind kind,
			uint32_t ring)
{
	return end_word(kind, ring, client->holder, client->incarnation);
}

int ends_open(struct mempool_client *client, enum mempool_end_kind kind, uint32_t ring)
{
	if (client->role == MEMPOOL_ROLE_SPECTATOR)
		return -EACCES;
	/* Relaxed: who closes the client comes after all that use it. */
	atomic_store_explicit(&client->has_ends, true, memory_order_relaxed);
	return end_take(client->segment, word_of(client, kind, ring));
}

struct mempool_end *ends_describe(struct mempool_client *client, int line, uint32_t ring,
				  uint64_t cursor, uint64_t flags)
{
	return end_describe(client->segment, (uint32_t)line,
			    word_of(client, MEMPOOL_END_SUBSCRIBER, ring), cursor, flags);
}

/* Those who sleep on the other side are told. Killed before that, the reaper does. */
static void give_back(struct mempool_client *client, enum mempool_end_kind kind, uint32_t ring,
		      uint32_t line)
{
	struct mempool_ring *shared = &client->segment->rings[ring];

	end_give_back(client->segment, line, word_of(client, kind, ring));
	if (kind == MEMPOOL_END_SENDER)
		poller_wake(&client->poller, ring, &shared->filled);
	else if (kind == MEMPOOL_END_RECEIVER)
		poller_wake(&client->poller, ring, &shared->emptied);
}

void ends_give_back(struct mempool_client *client, enum mempool_end_kind kind, uint32_t ring,
		    int line)
{
	/* A closed client has given all back, and the line may be another's. */
	if (line >= 0 && client_check(client) == 0)
		give_back(client, kind, ring, (uint32_t)line);
}

void ends_close(struct mempool_client *client)
{
	struct end end;

	/* Not a look at the whole table for who has never opened one. */
	if (!atomic_load_explicit(&client->has_ends, memory_order_relaxed))
		return;
	for (uint32_t line = 0; end_find(client->segment, &line, &end); line++)
		if (end.holder == client->holder && end.incarnation == client->incarnation)
			give_back(client, end.kind, end.ring, line);
}
