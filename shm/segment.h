/* SPDX-License-Identifier: MIT */
/*
 * segment.h - one shared-memory segment: made, laid out, mapped, checked
 *
 * Three steps make one (the guide's createSharedMemory, layoutMemory and initialize):
 *
 *	segment_create()	a shm object with its space taken, mapped
 *	segment_layout()	header, tables, pools, rings; READY published last
 *	segment_attach()	the header checked, its geometry copied: struct segment
 *
 * Everyone else maps it with segment_map() and attaches. What a hostile client writes into
 * the header after attach steers nobody: only the copy is used. States of the object:
 *
 *	BUILDING (zeroed) -> READY -> RETIRED
 */
#ifndef SHM_SEGMENT_H
#define SHM_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "config.h"
#include "geometry.h"
#include "mempool_layout.h"
#include "pool.h"

enum segment_access {
	SEGMENT_READ_ONLY,
	SEGMENT_READ_WRITE,
};

enum segment_open_mode {
	SEGMENT_CREATE,			/* must not exist */
	SEGMENT_OPEN,			/* must exist */
	SEGMENT_OPEN_OR_CREATE,
	SEGMENT_PURGE_AND_CREATE,	/* unlink what is there first */
};

struct segment_permissions {
	mode_t mode;			/* of the object, regardless of the umask */
	gid_t group;			/* (gid_t)-1: leave it */
};

/* Called between pieces of work on large segments, so that a watchdog can be fed. */
typedef void (*segment_progress_fn)(uint64_t done_bytes, uint64_t total_bytes, void *userdata);

/* A mapped object; base is NULL when there is none. */
struct segment_memory {
	void *base;
	uint64_t size;
	int fd;
	enum segment_access access;
	bool created;			/* by this call: it is zeroed and needs a layout */
	dev_t device;
	ino_t inode;
};
#define SEGMENT_MEMORY_NULL ((struct segment_memory){ .fd = -1 })

/* Who a new segment is; see struct mempool_header. */
struct segment_identity {
	uint64_t generation;
	uint64_t segment_id;
	uint64_t pid_namespace;
	uint8_t boot_id[16];
	uint32_t generation_seed;
};

/* Computed at attach, as all of the geometry. */
struct segment_ring_place {
	uint64_t slots_off;
	uint32_t holder;		/* of a topic */
};

struct segment {
	struct segment_memory memory;
	struct mempool_header *header;
	struct mempool_holder *holders;
	struct mempool_ring *rings;
	struct segment_ring_place *ring_places;	/* by ring */
	_Atomic uint64_t *pollers;	/* n_holders / 64 words for each ring */
	uint32_t *topic_rings;		/* by topic: which ring it is */
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

/**
 * segment_create() - a shm object of a size, mapped
 * @shm_name:   as for shm_open(3)
 * @size_bytes: of the new object; an existing one must be at least so large
 * @perms:      of a new object
 * @progress:   NULL, or called after each piece of space taken
 *
 * The space is taken here (posix_fallocate), so that a full /dev/shm is an error now and
 * never a SIGBUS later. A new object is given its group and mode only after that.
 * Of several that open or create at the same time, one creates.
 *
 * Return: 0; -EEXIST, -ENOENT, -EACCES as open(2); -ENOSPC no room (nothing is left
 *         behind); -ENODATA an existing object is too short (SEGMENT_OPEN_OR_CREATE: and
 *         still is after a second, so that nobody is making it); -EINVAL.
 */
int segment_create(const char *shm_name, uint64_t size_bytes, enum segment_access access,
		   enum segment_open_mode open_mode, const struct segment_permissions *perms,
		   segment_progress_fn progress, void *userdata,
		   struct segment_memory *ret_memory);

/* Map an existing object, whatever it holds. Never creates. Return: 0 or -errno of open(2), mmap(2). */
int segment_map(const char *shm_name, enum segment_access access,
		struct segment_memory *ret_memory);

/* Map an object that is open already; the descriptor becomes ret_memory's, also on error. */
int segment_map_fd(int fd, enum segment_access access, struct segment_memory *ret_memory);

/* Unmap and close. NULL and SEGMENT_MEMORY_NULL are fine. */
void segment_memory_deinit(struct segment_memory *memory);

/**
 * segment_layout() - lay out zeroed memory and publish it as READY
 * @identity: NULL: all random, this boot, this pid namespace, generation 1
 *
 * Crash: until the last store the state says BUILDING, and whoever finds it makes it anew.
 * Return: 0; -ENOSPC size_bytes is short, nothing was touched; -EINVAL as config_check().
 */
int segment_layout(void *base, uint64_t size_bytes, const struct config *config,
		   const struct segment_identity *identity);

/* This boot, this pid namespace, random ids. Return: 0 or -errno. */
int segment_identity_init(struct segment_identity *identity, uint64_t generation);

/**
 * segment_attach() - check what is mapped and copy its geometry
 * @memory: taken over on success, untouched on error
 *
 * Return: 0, and the caller frees *ret_segment with segment_free();
 *	-ENODATA		shorter than a header, or than the header says
 *	-EAGAIN			not ready: still being built, or its builder died
 *	-EBADMSG		wrong magic
 *	-EPROTONOSUPPORT	another major version
 *	-EUCLEAN		fingerprint or geometry do not agree with themselves
 *	-ENOMEM
 * segment_strerror() puts these into words.
 */
int segment_attach(struct segment_memory *memory, struct segment **ret_segment);
const char *segment_strerror(int error);

/* Unmap, close, free. NULL is fine. */
void segment_free(struct segment *segment);

/* The ChunkManagers' pool. */
static inline struct pool *segment_managers(struct segment *segment)
{
	return &segment->pools[segment->n_pools];
}

/* State of the object now (enum mempool_segment_state); acquire. */
uint32_t segment_state(const struct segment *segment);
void segment_retire(struct segment *segment);

/* /proc: this boot's id; the inode of our pid namespace. Return: 0 or -errno. */
int segment_boot_id(uint8_t ret_id[16]);
int segment_pid_namespace(uint64_t *ret_inode);

#endif
