/* SPDX-License-Identifier: MIT */
/*
 * end.h - who reads a topic, and who sends to a queue or receives from it
 *
 *	word	0, or whose: incarnation(32) | holder(15) | ring(15) | kind(2)
 *	line	what a subscriber tells of itself, on a cache line of its own
 *
 * An end takes a word by a swap when it is opened, writes its line, and goes on to write it by plain
 * stores: a subscriber its cursor, with each message. It gives the word back when it is closed. The
 * reaper gives back those of the dead, before their ids are used again. Nothing relies on any of it
 * but what people are shown, and counts.
 *
 * Where no word is free, an end is open all the same, and is not seen: its ring counts it (n_unseen),
 * for good, so that whoever shows the others can say so. A spectator, which writes nothing, has none.
 *
 * Whoever may write to the segment may write here what it likes. So what is read is compared with the
 * private shape and with the record of the holder, and steers nobody: a line that does not fit is
 * passed over.
 *
 * Crash: a word that was taken stays until the reaper comes; of a line that is not whole yet (its
 * first field differs from the word) the end is seen, and its cursor is not.
 */
#ifndef SHM_END_H
#define SHM_END_H

#include <stdbool.h>
#include <stdint.h>

#include "segment.h"

/* A private copy. */
struct end {
	enum mempool_end_kind kind;
	uint32_t ring;			/* in the ring table */
	uint32_t holder;
	uint32_t incarnation;		/* of the holder */
	bool is_whole;			/* the rest is there; of a subscriber */
	uint64_t cursor;
	uint64_t start;
	uint64_t n_missed;
	uint64_t flags;
};

static inline uint64_t end_word(enum mempool_end_kind kind, uint32_t ring, uint32_t holder,
				uint32_t incarnation)
{
	return (uint64_t)incarnation << 32 | holder << 17 | ring << 2 | kind;
}

static inline uint32_t end_holder(uint64_t word)
{
	return (uint32_t)word >> 17;
}

/**
 * end_take() - a word, and the line of it
 *
 * Threads: any. Wait-free: each word is looked at once.
 * Crash:   the word that was taken stands until the holder was reaped.
 * Return:  which line it is; -ENOSPC none is free, and the ring has counted that.
 */
int end_take(const struct segment *segment, uint64_t word);

/* Back, if it is still ours: a holder that was reaped meanwhile has none. */
void end_give_back(const struct segment *segment, uint32_t line, uint64_t word);

/* All that a holder has: for one that closes. */
void end_give_all_back(const struct segment *segment, uint32_t holder, uint32_t incarnation);

/* What a subscriber tells of itself, as it begins. Return: where it goes on to tell it. */
struct mempool_end *end_describe(const struct segment *segment, uint32_t line, uint64_t word,
				 uint64_t cursor, uint64_t flags);

/*
 * The next one from this line on, by its word alone: an id of a client, and a ring of that kind.
 * false: there is none. Each word is read once.
 */
bool end_find(const struct segment *segment, uint32_t *line, struct end *ret_end);

/*
 * What one that was found tells of itself. false: its holder is not there, in that incarnation: no
 * sound client leaves that.
 */
bool end_read(const struct segment *segment, uint32_t line, struct end *end);

/* So many ends of a ring have found no word free, ever. */
uint64_t end_n_unseen(const struct segment *segment, uint32_t ring);

#endif
