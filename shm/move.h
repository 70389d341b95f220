/* SPDX-License-Identifier: MIT */
/*
 * move.h - messages go from a segment that nobody lives in to the one that took its place
 *
 *	queue	appended to the queue of the same name, in their order
 *	topic	what it keeps, oldest first, as if published, while nobody else has published in the
 *		topic of the same name; else it counts as evicted: an old pose must not become the
 *		latest. So it does where there is no such topic any more: nobody waits for it
 *
 * Length, tag and content stay. One message at a time:
 *
 *	a chunk of the new segment, OWNED(daemon)	the content is copied
 *	SENT(queue, daemon), or SHARED with the topic	nobody can find it yet
 *	journal := (old handle, new handle)
 *	new handle into the ring			published
 *	the old message is freed
 *	journal := nothing
 *
 * The journal outlives the daemon. The next one looks at it before it reaps its own id:
 *
 *	queue	the new handle is in the ring, or its word is no longer exactly SENT(queue,
 *		daemon): it was published
 *	topic	the place in the ring is no longer as it was laid out: it was published, or somebody
 *		else has published there, and then it counts as evicted, with those behind it
 *
 * So it was: the old message is freed. Else the old one stays, and the new chunk is what the
 * dead daemon held. tests/model/move.pml is this for spin.
 *
 * What has no place stays in the old segment: no queue of that name, a full one, no chunk that is
 * large enough or free. All that a topic keeps is copied before the first of it is published:
 * it finds its place as a whole.
 *
 * Members may write into both segments meanwhile. Each loop is bounded by the shape, each index
 * is checked. What is no message is dropped and counted.
 *
 * A thread of the daemon, one for a segment; nothing here waits.
 */
#ifndef SHM_MOVE_H
#define SHM_MOVE_H

#include <stdbool.h>
#include <stdint.h>

#include "segment.h"

#define MOVE_WHY_BYTES 100

/* Where a move is; in a file, written by one thread. old_handle 0: nothing is under way. */
struct move_journal {
	_Atomic uint64_t old_handle;
	_Atomic uint64_t new_handle;
	_Atomic uint64_t segment_id;	/* of the new segment */
	_Atomic uint64_t position;	/* in the new ring of a topic */
	_Atomic uint32_t old_ring;
	_Atomic uint32_t new_ring;
};

struct move_counts {
	uint64_t n_moved;
	uint64_t n_evicted;		/* of topics: newer ones were published */
	uint64_t n_discarded;		/* without a place */
	uint64_t n_damaged;		/* no messages at all */
	uint64_t n_waiting;		/* for a place */
	bool gave_role_back;		/* of a queue's one sender, which others may have waited for */
};

struct move {
	struct segment *from;
	struct segment *to;
	struct move_journal *journal;
	/* By ring of from, beside the journal: how many of a topic are in to; UINT32_MAX: others
	 * have published there. */
	_Atomic uint32_t *n_published;
	const bool *is_outdated;	/* by ring of from: newer messages are on their way; or NULL */
	bool discards;			/* what has no place */

	/* false: stop here, what was read may be nonsense, or somebody wants us to end. */
	bool (*may_go_on)(void *userdata);
	void *userdata;

	/* Private. */
	uint32_t next[MEMPOOL_MAX_DATA_POOLS + 1]; /* where to look for a free chunk */
};

/**
 * move_all() - all messages that find a place
 * @ret_counts: set
 * @ret_why:    why the first of those that wait has no place
 *
 * Nobody else allocates, sends or receives in from; both know no dead daemon any more.
 *
 * Crash:  move_recover(), and then the daemon's own id is reaped in both.
 * Return: whether it came to the end.
 */
bool move_all(struct move *move, struct move_counts *ret_counts,
	      char ret_why[static MOVE_WHY_BYTES]);

/* Whether a journal speaks of a move, and to which segment. */
bool move_is_under_way(const struct move_journal *journal, uint64_t *ret_segment_id);

/**
 * move_recover() - end the move that a daemon before us was killed in
 * @from, @to: NULL: that one cannot be read any more
 *
 * Return: whether the message was published.
 */
bool move_recover(struct segment *from, struct segment *to, struct move_journal *journal,
		  _Atomic uint32_t *n_published);

/* Messages that wait in all queues; and those that all topics keep. Bounded by the shape. */
uint64_t move_count(const struct segment *from, uint64_t *ret_kept);

/**
 * move_foresee() - what move_all() would come to, if a segment of this shape were new
 * @ret_counts: n_moved, n_evicted and n_waiting
 *
 * Nothing is changed. Exact when nothing moves.
 */
void move_foresee(const struct segment *from, const struct config *to,
		  struct move_counts *ret_counts, char ret_why[static MOVE_WHY_BYTES]);

#endif
