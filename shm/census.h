/* SPDX-License-Identifier: MIT */
/*
 * census.h - who holds how much: one pass over the words of a segment
 *
 * Every word is read once, and only read, so a census can be taken through a read-only
 * mapping while everybody goes on working. It is a count, not a snapshot: each figure is
 * exact where nothing moves, and off by at most the number of chunks that changed hands
 * during the pass where something does. What adds up does so always, in each pool:
 *
 *	counted = used + free		as many of total as the pass has come to
 *	used    = alone + in_flight + shared + stray
 *
 * What a pass costs is for members to say: a shared chunk costs as much as it has holders. So
 * it may be done in parts, each within a budget; between two of them the segment may be
 * unmapped.
 *
 *	word				pool		holder
 *	FREE				free		-
 *	OWNED(h)			alone		h: chunks
 *	SENT(0, h)			alone		h: chunks, and given of these
 *	SENT(queue, *)			in_flight	-; the queue counts it
 *	SHARED(m)			shared		each that has its bit in m: shared; of a
 *							topic's message, a reader: holds
 *	anything else			stray
 *
 * The words are input: an id out of range, or a value that no operation writes, is counted
 * as stray and followed nowhere.
 */
#ifndef SHM_CENSUS_H
#define SHM_CENSUS_H

#include <stdbool.h>
#include <stdint.h>

#include "budget.h"
#include "mempool_layout.h"
#include "queue.h"
#include "segment.h"

struct census_pool {
	uint64_t total;
	uint64_t counted;		/* of total; all of them, once the pass is over */
	uint64_t used;
	uint64_t free;
	uint64_t alone;			/* one holder has it, or gave it to somebody */
	uint64_t in_flight;		/* on its way in a queue */
	uint64_t shared;		/* several holders, topics among them; counted once */
	uint64_t stray;			/* its word names nobody who could hold it */
	uint64_t generations;		/* sum over the words; see census_moves() */
	uint64_t held_since_ns;		/* the longest, as far as traces tell; 0: they do not */
};

/* What one holder has of one pool, or of all of them. */
struct census_hold {
	uint64_t chunks;		/* alone */
	uint64_t given;			/* of these, given away and not taken yet */
	uint64_t shared;		/* together with others; each of them counts it */
};

struct census_holder {
	struct census_hold all;
	uint64_t bytes;			/* of chunks: sum of the chunk_size of their pools */
	uint64_t shared_bytes;
};

struct census_ring {
	uint64_t chunks;		/* on their way in a queue: published, or about to be */
	uint64_t bytes;
	struct queue_tally tally;	/* of a queue; of a topic: n_messages that it keeps, sent_ns */
};

/* A holder that reads a topic, and how much of that topic it holds: once, however often it reads it. */
struct census_reader {
	uint32_t topic;			/* its holder id */
	uint32_t holder;
	uint64_t holds;			/* messages, evicted ones too */
};

struct census {
	uint32_t n_pools;		/* data pools */
	uint32_t n_holders;
	uint32_t n_rings;
	struct census_holder *holders;	/* by id */
	struct census_hold *holds;	/* by id and data pool: [id * n_pools + pool] */
	struct census_ring *rings;	/* by place in the ring table */
	struct census_reader *readers;	/* at its beginning; sorted by topic, then holder */
	size_t n_readers;
	uint32_t next_pool;		/* that the pass goes on with, up to n_pools; then */
	uint32_t next_ring;		/* up to n_rings - 1 */
	struct census_pool all;		/* the sum of the data pools */
	struct census_pool pools[MEMPOOL_MAX_DATA_POOLS + 1];	/* [n_pools]: the managers' */
};
#define CENSUS_NULL ((struct census){ 0 })

/**
 * census_take() - count a segment
 * @segment:    mapped for reading at least
 * @ret_census: CENSUS_NULL, or an earlier census, which is replaced; census_deinit() frees it
 *
 * Threads: any. Wait-free: each word is read once.
 * Crash:   writes nothing that is shared.
 * Return:  0 or -ENOMEM.
 */
int census_take(const struct segment *segment, struct census *ret_census);
void census_deinit(struct census *census);

/* The same in parts: nothing is counted yet. Return: 0 or -ENOMEM. */
int census_begin(const struct segment *segment, struct census *ret_census);

/**
 * census_go_on() - count on, as far as the budget goes
 * @segment: of the same shape as that of census_begin(), or one mapped anew
 * @budget:  NULL: to the end
 *
 * Something is counted with any budget.
 */
void census_go_on(struct census *census, const struct segment *segment, struct budget *budget);
bool census_is_over(const struct census *census);

/* How much of it is counted, managers and slots too: 100 only when it is over. */
unsigned int census_percent(const struct census *census, const struct segment *segment);

/* Messages of a topic that a holder holds; 0 of one that did not read it when the count began. */
uint64_t census_holds(const struct census *census, uint32_t topic, uint32_t holder);

/* Several pools as one. */
void census_add(struct census_pool *sum, const struct census_pool *counts);

/*
 * How often chunks of a pool changed hands between two countings: each free, send, receipt,
 * giving and taking is one, an allocation is none (the word keeps its generation).
 */
uint64_t census_moves(const struct census_pool *before, const struct census_pool *now);

#endif
