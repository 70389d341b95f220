/* SPDX-License-Identifier: MIT */
/*
 * census.h - who holds how much: one pass over the words of a segment
 *
 * Every word is read once, and only read, so a census can be taken through a read-only
 * mapping while everybody goes on working. It is a count, not a snapshot: each figure is
 * exact where nothing moves, and off by at most the number of chunks that changed hands
 * during the pass where something does. What adds up does so always, in each pool:
 *
 *	total = used + free
 *	used  = alone + in_flight + shared + stray
 *
 *	word				pool		holder
 *	FREE				free		-
 *	OWNED(h)			alone		h: chunks
 *	SENT(0, h)			alone		h: chunks, and given of these
 *	SENT(queue, *)			in_flight	-; the queue counts it
 *	SHARED(m)			shared		each that has its bit in m: shared
 *	anything else			stray
 *
 * The words are input: an id out of range, or a value that no operation writes, is counted
 * as stray and followed nowhere.
 */
#ifndef SHM_CENSUS_H
#define SHM_CENSUS_H

#include <stdint.h>

#include "mempool_layout.h"
#include "segment.h"

struct census_pool {
	uint64_t total;
	uint64_t used;
	uint64_t free;
	uint64_t alone;			/* one holder has it, or gave it to somebody */
	uint64_t in_flight;		/* on its way in a queue */
	uint64_t shared;		/* several holders, topics among them; counted once */
	uint64_t stray;			/* its word names nobody who could hold it */
	uint64_t generations;		/* sum over the words; see census_moves() */
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

/* What is on its way in a queue: published, or about to be. Of a topic: nothing. */
struct census_ring {
	uint64_t chunks;
	uint64_t bytes;
};

struct census {
	uint32_t n_pools;		/* data pools */
	uint32_t n_holders;
	struct census_holder *holders;	/* by id */
	struct census_hold *holds;	/* by id and data pool: [id * n_pools + pool] */
	struct census_ring *rings;	/* by place in the ring table */
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

/*
 * How often chunks of a pool changed hands between two countings: each free, send, receipt,
 * giving and taking is one, an allocation is none (the word keeps its generation).
 */
uint64_t census_moves(const struct census_pool *before, const struct census_pool *now);

#endif
