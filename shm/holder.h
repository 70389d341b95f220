/* SPDX-License-Identifier: MIT */
/*
 * holder.h - the holder table: who can hold chunks
 *
 *	FREE -> LIVE -> REAPING -> FREE		written by the daemon alone, state last
 *
 * An id is used again, under the next incarnation, only after a finished reap. Everyone
 * may read; a reader copies a record and treats what it finds as input.
 */
#ifndef SHM_HOLDER_H
#define SHM_HOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "mempool_layout.h"
#include "segment.h"

/* What a client may hold; 0: as much as there is. Bytes are those of whole chunks, by their stride. */
struct holder_bound {
	uint64_t max_chunks;
	uint64_t max_bytes;
};

/* A private copy of a record. */
struct holder {
	uint32_t id;
	uint32_t state;
	uint32_t kind;
	uint32_t pid;
	uint32_t uid;
	uint32_t incarnation;
	uint64_t attached_ns;
	uint64_t n_exhausted;
	struct holder_bound bound;
	bool is_unverifiable;		/* nobody can see whether its process lives */
	bool is_reader;			/* it has data for reading alone */
	uint64_t reserves;		/* a bit per pool: those it may have chunks of */
	char name[MEMPOOL_NAME_BYTES];	/* closed by a NUL, printable */
};

/* Copy a record. Return: 0; -EINVAL no such id. */
int holder_read(const struct segment *segment, uint32_t id, struct holder *ret_holder);

/* First id that a client can get: after none, the daemon and the topics. */
uint32_t holder_first_client(const struct segment *segment);

/**
 * holder_set_live() - write a record and publish it as LIVE
 * @holder: all members but state and is_unverifiable, which it is not
 *
 * For people and for clients: what the daemon itself goes by is elsewhere.
 */
void holder_set_live(struct segment *segment, const struct holder *holder);

/* Its flags anew, MEMPOOL_HOLDER_UNVERIFIABLE and the like. */
void holder_set_flags(struct segment *segment, uint32_t id, uint32_t flags);

/* State only: LIVE -> REAPING -> FREE. */
void holder_set_state(struct segment *segment, uint32_t id, enum mempool_holder_state state);

#endif
