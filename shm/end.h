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
 * Whoever wants to know when the last one of the other side of a queue has left, watches:
 *
 *	come	swap word 0 -> mine; ends_moved + 1
 *	go	n_gone + 1; word := 0; ends_moved + 1; then wake who sleeps
 *	reaper	of the dead: n_gone + 1; word := 0; and in the end, whatever it found, of each ring
 *		ends_moved + 1; wake
 *	open	gone := n_gone; a look whether one is there
 *	look	m := ends_moved; as at the last look: the same verdict. Else all words, twice: none, and n_gone
 *		the same before and after, and one was there before, or n_gone is not that of the open:
 *		the last one has left
 *
 * To look at words one after the other is not to look at once: one may come where was looked already
 * before the last that is seen leaves. Of two looks with nobody gone between, the second tells: whoever
 * came in the first has not gone. n_gone may be counted twice for one that was killed: that only makes
 * it look again. All accesses are seq_cst, as in the model: tests/model/ends.pml.
 *
 * Where no word is free, an end is open all the same, and is not seen: its ring counts it (n_unseen),
 * for good, so that whoever shows the others can say so; nobody is told then that the last one left. A
 * spectator, which writes nothing, has none.
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

/* Of a ring: the dead were swept, and may have left this undone. */
void end_note_move(const struct segment *segment, uint32_t ring);

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

/* One side of a queue, as somebody of the other side watches it. Threads: any. */
struct end_watch {
	const struct segment *segment;
	enum mempool_end_kind kind;	/* that is watched */
	uint32_t ring;
	uint32_t gone_at_open;
	_Atomic bool has_seen;		/* one was there */
	_Atomic uint64_t verdict;	/* at ends_moved (32 bits above): is there one? are they gone? */
};

void end_watch_init(struct end_watch *watch, const struct segment *segment,
		    enum mempool_end_kind kind, uint32_t ring);

/*
 * Whether the last one has left since the watch began, at a moment of this call. Where nobody came or
 * went since the last call, it costs a load.
 */
bool end_watch_is_gone(struct end_watch *watch);

/* So many ends of a ring have found no word free, ever. */
uint64_t end_n_unseen(const struct segment *segment, uint32_t ring);

#endif
