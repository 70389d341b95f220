/* SPDX-License-Identifier: MIT */
/*
 * yield.h - the history of topics yields to an allocation that finds nothing else
 *
 * A message that nobody but a topic holds, and that is not the newest there, is taken out of the
 * ring, and its chunk is the caller's. Those that are furthest behind the tails of their topics
 * go first. They are found by reading the pool's own words. What a reading found is kept, up to
 * YIELD_MAX of them, for the next allocations of this thread: hints, as those of free chunks; each
 * is looked at again.
 *
 *	hold	set my bit, move the stamp, the slot is the same: no more than a reader does
 *	yield	swap the slot: it names nothing, readers find the message missed
 *	unshare	nobody else holds it: the manager becomes mine, and the chunk, of the next generation
 *
 * The bit stays until the manager is mine: there is no moment at which nobody holds the chunk. A
 * reader that has got hold of it meanwhile keeps it, and the next one is tried.
 *
 * Who found none remembers the history word (shm/history.h), as it stood before the reading, and
 * looks no more until that moves, or the words of the pool are read again. Then it says that there
 * is nothing only if no dry word has moved since the words were found held: what was kept then may
 * have been freed since.
 *
 * Crash: killed after the bit, the message is kept; after the slot, it is missed, and the reaper
 * frees the chunk; after the manager or the chunk is OWNED, as well.
 */
#ifndef CLIENT_YIELD_H
#define CLIENT_YIELD_H

#include "parts.h"

/**
 * yield_claim() - the chunk of a message that yields, of one pool
 *
 * Return: 0 and *ret_index; -EAGAIN there was none, at a moment during the call, or when the
 *	   remembered reading found none; or the time of alloc_wait() was over.
 */
int yield_claim(struct cache *cache, struct magazine *magazine, uint32_t *ret_index);

#endif
