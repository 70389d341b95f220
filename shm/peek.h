/* SPDX-License-Identifier: MIT */
/*
 * peek.h - read the messages of a topic without holding them, and without writing anything
 *
 *	peek	tail, slot, link, word, length and tag; the slot again
 *	copy	the content, by words
 *	verify	the word, the slot, the tail, after all of that
 *
 * A spectator sets no bit, so nobody waits for it, and nobody keeps a message for it. It reads
 * what may be evicted, freed, and overwritten by the next holder meanwhile; verify tells.
 *
 * The slot decides. While it stands, its topic holds the message, and nobody writes to the
 * chunk. If a word of the content is already the next holder's, then the eviction is to be seen
 * behind it: the next holder has claimed the chunk before it wrote, with a release fence in
 * between (K1), and the spectator looks at the slot after its copy, with an acquire fence in
 * between (K2). Sequences come round after 2^32 messages: so the tail, which has 64 bits, must
 * not have moved by half of that since before the slot was seen. Generations come round as well:
 * those of a hot chunk within half a minute. So the word alone would not do. It is for a chunk
 * that somebody frees while its slot stands, which no sound client does.
 *
 * Nothing that stands in the segment is trusted: manager, pool and index are compared with the
 * caller's own geometry, a length is cut to what the chunk has, and each loop has an end. A member
 * that writes what it likes can have anything called good, as it can have it published; no call
 * reads beyond the chunks, and each call ends.
 *
 * Source: DESIGN.md section 5, "Spectators"; tests/model/peek.pml is this file for spin.
 */
#ifndef SHM_PEEK_H
#define SHM_PEEK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunk_manager.h"
#include "topic.h"

/* A message as it was seen. */
struct peek {
	uint64_t tail;			/* before the slot was seen */
	struct topic_slot slot;
	struct chunk_ref chunk;
	uint64_t word;
	uint32_t tag;
	size_t length;			/* not more than the chunk has */
};

/**
 * peek_next() - look at the message at a cursor, or at the first one behind it that is there
 * @cursor:   moved to the message that was found; not beyond it
 * @n_missed: added to, by the messages that were skipped: lapped, drained, or damaged
 *
 * Threads: any, each with a cursor of its own. Ends after a round of the ring, and some looks.
 * Crash:   writes nothing to the segment.
 *
 * Return: 0, and *ret_peek was whole at some moment of the call; -EAGAIN nothing was published
 *	   there yet, or what was there went too fast, again and again.
 */
int peek_next(const struct topic *topic, uint64_t *cursor, uint64_t *n_missed,
	      struct peek *ret_peek);

/* Where it stands. To be read by peek_copy(), or by what is verified afterwards. */
const void *peek_content(const struct topic *topic, const struct peek *peek);

/* Its first bytes, not more than peek->length. What they are is for peek_verify() to say. */
void peek_copy(const struct topic *topic, const struct peek *peek, void *buffer,
	       size_t size_bytes);

/**
 * peek_verify() - whether all that was read of a message until now was that message
 *
 * Return: true; false: it has been evicted, drained or freed meanwhile, or so much was published
 *	   that nobody can say. Once false, it stays so.
 */
bool peek_verify(const struct topic *topic, const struct peek *peek);

#endif
