/* SPDX-License-Identifier: MIT */
/*
 * segment.h - one shared-memory segment: laid out, and checked
 *
 * Three steps make one (the guide's createSharedMemory, layoutMemory and initialize):
 *
 *	segment_create()	two objects with their space taken, mapped (segment_memory.h)
 *	segment_layout()	header, tables, pools, rings; READY published last (layout.h)
 *	segment_attach()	the header checked, its geometry copied: struct segment
 *
 * Everyone else maps it with segment_map_fds(), as a shape has it that was told, and views it;
 * or opens it by its name, and attaches. What a hostile client writes into
 * the header after attach steers nobody: only the copy is used. States of the object:
 *
 *	BUILDING (zeroed) -> READY -> RETIRED
 */
#ifndef SHM_SEGMENT_H
#define SHM_SEGMENT_H

#include <stdint.h>

#include "config.h"
#include "eventcount.h"
#include "geometry.h"
#include "lane.h"
#include "mempool_layout.h"
#include "pool.h"
#include "segment_memory.h"

/* Who a new segment is; see struct mempool_header. */
struct segment_identity {
	uint64_t generation;
	uint64_t segment_id;
	uint64_t created_ns;		/* CLOCK_REALTIME */
	uint32_t generation_seed;
};

/* Computed at attach, as all of the geometry. */
struct segment_ring_place {
	uint64_t slots_off;
	uint32_t holder;		/* of a topic */
	uint32_t rank;			/* its place among those of its kind */
};

struct segment {
	struct segment_memory memory;
	struct mempool_header *header;
	struct mempool_holder *holders;
	struct mempool_ring *rings;
	struct segment_ring_place *ring_places;	/* by ring */
	_Atomic uint64_t *pollers;	/* n_holders / 64 words for each ring */
	_Atomic uint64_t *end_words;	/* of open ends; see end.h */
	struct mempool_end *ends;
	uint32_t *topic_rings;		/* by topic: which ring it is */
	struct mempool_module *modules;	/* NULL: nothing is traced */
	struct lanes lanes;
	struct config config;		/* the shape, as the header tells it */
	struct geometry geometry;
	struct pool pools[MEMPOOL_MAX_DATA_POOLS + 1];	/* [n_pools]: the ChunkManagers' */
	uint32_t n_pools;
	uint32_t n_holders;
	uint64_t segment_id;
	uint64_t generation;
};

/* Bytes of a segment of this shape, before anything is created; 0: config_check() fails. */
uint64_t segment_size_bytes(const struct config *config);

/* Random ids, and the time. Return: 0 or -errno. */
int segment_identity_init(struct segment_identity *identity, uint64_t generation);

/*
 * What a daemon passes says what a segment is. This is a look whether the object says the same, of
 * one that segment_view() has made. Return: 0; -EUCLEAN.
 */
int segment_check_header(const struct segment *segment);

/**
 * segment_attach() - check what is mapped and copy its geometry
 * @memory: taken over on success, untouched on error
 *
 * Return: 0, and the caller frees *ret_segment with segment_free();
 *	-ENODATA		shorter than a header, or than the header says
 *	-EAGAIN			not ready: still being built, or its builder died
 *	-EBADMSG		wrong magic
 *	-EPROTONOSUPPORT	another major version, or made of other parts
 *	-EUCLEAN		fingerprint or geometry do not agree with themselves
 *	-ENOMEM
 * segment_strerror() puts these into words.
 */
int segment_attach(struct segment_memory *memory, struct segment **ret_segment);

/**
 * segment_open() - map a segment by its name, as its header says that it is to be mapped
 * segment_open_control() - the same of control alone, for reading
 *
 * Return: 0, and it can be attached; as segment_attach(), segment_map_fds() and open(2).
 */
int segment_open(const char *shm_name, enum segment_access access,
		 struct segment_memory *ret_memory);
int segment_open_control(const char *shm_name, struct segment_memory *ret_memory);
const char *segment_strerror(int error);

/**
 * segment_view() - a segment whose shape and identity are known from elsewhere
 * @memory:   taken over on success, untouched on error
 * @config:   is copied
 * @identity: as it was laid out with
 *
 * Nothing is read: whatever stands there, what is viewed is what was laid out.
 *
 * Return: 0; -ENODATA the memory is not mapped for that shape; -EINVAL as config_check(); -ENOMEM.
 */
int segment_view(struct segment_memory *memory, const struct config *config,
		 const struct segment_identity *identity, struct segment **ret_segment);

/* Unmap, close, free. NULL is fine. */
void segment_free(struct segment *segment);

/* The ChunkManagers' pool. */
static inline struct pool *segment_managers(struct segment *segment)
{
	return &segment->pools[segment->n_pools];
}

/* One of them: whose chunk it is, and its own word (chunk_manager.h). */
static inline struct mempool_entry *segment_manager(const struct segment *segment,
						    uint32_t manager)
{
	return &segment->pools[segment->n_pools].entries[manager];
}

/* Who shares that chunk: n_holders / 64 words of bits, which are the chunk of the managers' pool. */
static inline _Atomic uint64_t *segment_sharers(const struct segment *segment, uint32_t manager)
{
	return pool_chunk(&segment->pools[segment->n_pools], manager);
}

/* Where a pool is, for a base and a geometry that was checked. */
struct mempool_pool_record *segment_pool_record(void *base, const struct geometry *geometry,
						uint32_t i);
struct pool_memory segment_pool_memory(void *base, const struct geometry *geometry, uint32_t i);

/* State of the object now (enum mempool_segment_state); acquire. */
uint32_t segment_state(const struct segment *segment);

/*
 * Wake whoever sleeps for a chunk, and of each ring for a message or for room: there is reason to
 * look again. A few sleepers at a time: begin with zeros, and go on until it returns false. Those who
 * sleep in poll(2) need a word of the daemon's besides, and stay armed.
 */
struct segment_wakes {
	uint32_t next;			/* 0: for chunks; else ring (next - 1) / 2, twice */
	struct eventcount_wake wake;
};
bool segment_wake_on(struct segment *segment, struct segment_wakes *wakes);

/* It works on for those in it, and takes nobody new. Who sleeps in it does not see that yet: wake. */
void segment_retire(struct segment *segment);

#endif
