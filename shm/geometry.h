/* SPDX-License-Identifier: MIT */
/*
 * geometry.h - where everything lies in a segment: a pure function of its config
 *
 * The one place where offsets are made. The creator writes them down, everyone who
 * attaches computes them again from the shape in the header and compares: overlaps, bounds
 * and overflow need no check of their own, since a header that disagrees is refused.
 */
#ifndef SHM_GEOMETRY_H
#define SHM_GEOMETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "mempool_layout.h"

enum geometry_object {
	GEOMETRY_CONTROL,		/* all but the chunks of the data pools */
	GEOMETRY_DATA,
	GEOMETRY_N_OBJECTS,
};

struct geometry_pool {
	uint64_t chunk_size;
	uint64_t stride;
	uint64_t data_off;
	uint64_t index_off;
	uint64_t traces_off;		/* a trace for each chunk; 0: none is kept */
	uint32_t n_chunks;
	uint32_t alignment;
	uint32_t cache;
	bool is_reserve;
	bool is_exclusive;
};

struct geometry {
	uint64_t total_size;		/* of the range of addresses */
	uint64_t control_bytes;		/* of the object of control, from the start of the range */
	uint64_t data_off;		/* where in the range the object of data begins */
	uint64_t data_bytes;		/* and how long it is, to the end of the range */
	uint64_t page_bytes;
	uint64_t data_align;
	uint64_t fingerprint;		/* of all that shapes the layout, versions included */
	uint64_t pools_off;
	uint64_t holders_off;
	uint64_t rings_off;
	uint64_t lanes_off;
	uint64_t lane_list_off;		/* hints which of them are nobody's */
	uint64_t slots_off;		/* of the first ring; the others follow */
	uint64_t pollers_off;		/* a bit per holder, for each ring */
	uint64_t end_words_off;		/* of open ends */
	uint64_t ends_off;		/* and a line for each of these */
	uint64_t modules_off;		/* whose call sites the traces name; 0: none is kept */
	uint32_t n_pools;		/* data pools; pools[n_pools] is the ChunkManagers' */
	uint32_t n_holders;
	uint32_t n_rings;
	uint32_t n_topics;
	uint32_t n_ends;
	uint32_t n_lanes;		/* with lane 0, which nobody has */
	bool has_stamps;		/* of each chunk of the data pools */
	struct geometry_pool pools[MEMPOOL_MAX_DATA_POOLS + 1];
};

/* 0; -EINVAL as config_check(); -EOVERFLOW: no address space is that large. */
int geometry_init(struct geometry *geometry, const struct config *config);

/* Whether both say the same of where the objects are mapped. */
bool geometry_is_same_plan(const struct geometry *a, const struct geometry *b);

/* Bytes of one ChunkManager besides its entry: a bit for each of n_holders (a multiple of 64). */
uint64_t geometry_sharers_bytes(uint32_t n_holders);

/*
 * So many ends of rings can be open and be seen: some for each holder, and two for each ring, so that
 * one program may read or write them all. More are open without a line (shm/end.h).
 */
uint32_t geometry_n_ends(uint32_t n_holders, uint32_t n_rings);

/* So many threads can have a lane: some for each holder. More claim by swaps (shm/lane.h). */
uint32_t geometry_n_lanes(uint32_t n_holders);

/* Bytes of the slots of one ring. */
uint64_t geometry_ring_bytes(const struct config_ring *ring);

#endif
