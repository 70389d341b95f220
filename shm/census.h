/* SPDX-License-Identifier: MIT */
/*
 * census.h - who holds how much: one pass over the words of a segment
 *
 * Every word is read once, and only read, so a census can be taken through a read-only
 * mapping while everybody goes on working. It is a count, not a snapshot: each figure is
 * exact where nothing moves, and off by at most the number of chunks that changed hands
 * during the pass where something does. used + free = total holds always.
 *
 *	word				pool	holder
 *	FREE				free	-
 *	OWNED(h), SENT(0, h)		used	h: one chunk
 *	SENT(queue, *), SHARED(m)	used	nobody alone
 *	anything else			used	nobody: stray
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
};

/* What one holder has alone: chunks it owns, and those it gave away and nobody took yet. */
struct census_holder {
	uint64_t chunks;
	uint64_t bytes;			/* sum of the chunk_size of their pools */
};

struct census {
	uint32_t n_pools;		/* data pools */
	uint32_t n_holders;
	uint64_t n_in_flight;		/* chunks on their way in queues */
	uint64_t n_shared;		/* chunks with several holders, topics among them */
	uint64_t n_stray;		/* words that name nobody who could hold a chunk */
	struct census_holder *holders;	/* by id */
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

#endif
