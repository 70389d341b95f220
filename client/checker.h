/* SPDX-License-Identifier: MIT */
/*
 * checker.h - writes beyond a chunk, and to a freed one, are found (MEMPOOL_CLIENT_DEBUG)
 *
 *	alloc		is the chunk still as our free has left it? Then its zone: from the size that was
 *			asked for to the end of its stride, ZONE bytes
 *	free, hand-over	is the zone whole?
 *	free		the whole chunk is POISON bytes from here on
 *
 * What is known of a chunk is one number in memory of this client: {generation, size}. It counts as
 * long as the chunk is of that generation. Size 0: our free has left it so, poisoned; if an alloc finds
 * that generation again, nobody has had the chunk in between, since a chunk gets another one whenever it
 * is freed, by the reaper too.
 *
 * No size goes with a chunk that is handed over: only the zone itself does. A client that gets it for
 * itself alone, and checks as well, knows a zone by its bytes, if there are enough of them at the end
 * of the chunk. So it finds its own writes there; and what is no zone any more, as another client
 * used the room behind the message, it takes for what it is.
 *
 * Whoever looks at a zone, or fills a chunk, withholds the chunk meanwhile (shm/pool.h). So it is filled
 * before anybody else may have it, and after no other thread of ours can free it, or send it, too.
 *
 * Where the program has the address sanitizer, zones and freed chunks are poisoned for it as well. So it
 * tells of reads there, too, and at once. It knows addresses of this process alone; so each chunk that
 * comes from elsewhere is readable again (checker_came()). A message that is peeked comes without a
 * word, and may be read while it is gone already. Of a client that peeks, nothing is poisoned for
 * the sanitizer, from its first peek on.
 *
 * Nothing of this is in the segment but the bytes. A client that does not check never gets here: its
 * calls compare what they compare in any case (cache.h, cache_plain() and cache_writer()).
 */
#ifndef CLIENT_CHECKER_H
#define CLIENT_CHECKER_H

#include "cache.h"
#include "shm/chunk_manager.h"

/* Of a member with MEMPOOL_CLIENT_DEBUG; @aborts: a finding ends the program. Return: 0; -ENOMEM. */
int checker_new(struct mempool_client *client, bool aborts);

/* NULL does nothing. */
void checker_free(struct mempool_client *client);

/* For the sanitizer, too, from here on. The client has a mapping that no other one has. */
void checker_use_asan(struct mempool_client *client);

/**
 * checker_allocated() - a chunk was just allocated, for so many bytes
 *
 * Return: 0, and its zone is laid; -EFAULT it was written to after our free. Then it is to be freed.
 */
int checker_allocated(struct cache *cache, void *chunk, size_t size);

/**
 * checker_verify() - before a chunk is freed, or leaves this client, or is shared
 * @length: of the message; 0 where there is none
 *
 * Return: 0, also of what is no chunk that we hold: the call itself says so; -EFAULT its zone was
 *	   written to, which is told once; -EMSGSIZE the message is longer than what was asked for.
 */
int checker_verify(struct cache *cache, const void *chunk, size_t length);

/* The same before it is shared, which two threads may do at once. */
int checker_verify_shared(struct cache *cache, const void *chunk, size_t length);

/* Of the pool of cache->last: fill the chunk, and free it. Return: 0; -EPERM we do not own it alone. */
int checker_release(struct cache *cache, uint32_t index);

/* What was not sent after all, and is OWNED by us again: as trace_kept(). */
void checker_kept(struct cache *cache, struct chunk_ref chunk, uint64_t owned);

/* A chunk has come, to be read at least. */
void checker_came(struct cache *cache, const void *chunk);

/* A message of that many bytes is to be read that nobody holds. */
void checker_peeked(struct mempool_client *client);

/* How many bytes of a chunk that we hold are the caller's; @word: of the chunk. */
size_t checker_usable_size(const struct mempool_client *client, const struct pool *pool,
			   uint32_t index, uint64_t word);

#endif
