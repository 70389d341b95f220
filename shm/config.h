/* SPDX-License-Identifier: MIT */
/*
 * config.h - the shape of one segment: which pools, how many holders, which rings
 *
 * The daemon fills it from its file, a test from literals, segment_attach() from what a
 * header says. config_check() holds for all three, so nothing past it meets a count that
 * overflows. (The daemon's own settings, sockets and users, are daemon/config/conf.h.)
 */
#ifndef SHM_CONFIG_H
#define SHM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mempool_layout.h"

#define CONFIG_DEFAULT_ALIGNMENT 64
#define CONFIG_DEFAULT_CACHE 64			/* of small chunks */
#define CONFIG_DEFAULT_MAX_CLIENTS 192
#define CONFIG_MAX_CACHE 4096

struct config_pool {
	uint64_t chunk_size;		/* bytes, in [1, MEMPOOL_MAX_CHUNK_BYTES) */
	uint64_t n_chunks;		/* in [1, MEMPOOL_MAX_CHUNKS_PER_POOL] */
	uint32_t alignment;		/* power of two, 8 to 4096 */
	uint32_t cache;			/* hints per thread, 0 to CONFIG_MAX_CACHE */
	bool is_reserve;		/* the last chunks of the pool before it, which not everybody
					 * may have; of the same size and alignment */
	bool is_exclusive;		/* `sharing: false`: a chunk has one holder at a time, and
					 * there is no ChunkManager for it */
};

struct config_ring {
	char name[MEMPOOL_NAME_BYTES];
	enum mempool_ring_kind kind;
	uint64_t capacity;		/* power of two, up to MEMPOOL_MAX_RING_CAPACITY */
	uint32_t flags;			/* MEMPOOL_RING_HOLDS and the like */
	uint32_t slot_bytes;		/* the most of a message, up to MEMPOOL_MAX_SLOT_BYTES; 0: they
					 * are chunks */
};

struct config {
	char name[MEMPOOL_NAME_BYTES];	/* [A-Za-z0-9_-]{1,31} */
	uint64_t max_clients;
	bool fallback;
	uint64_t page_bytes;		/* where pools may begin, and data (geometry.h) */
	uint64_t data_align;		/* and where data may: these, or huge pages */
	bool traces;			/* where and since when chunks are held */
	size_t n_pools;
	struct config_pool pools[MEMPOOL_MAX_DATA_POOLS];
	size_t n_rings;
	struct config_ring *rings;	/* ours; config_deinit() frees it */
};

/* The defaults of every key, the pages of this kernel, no pools. -EINVAL: not a segment's name. */
int config_init(struct config *config, const char *name);
void config_deinit(struct config *config);

/* A copy of its own. Return: 0 or -ENOMEM. */
int config_copy(struct config *to, const struct config *from);

/* Bytes from chunk to chunk: the size, rounded up to the alignment. */
uint64_t config_stride(const struct config_pool *pool);

/*
 * Hints that a thread keeps of a pool, unless the config says it: fewer of large chunks, so
 * that they go round while they are warm. What they save counts for nothing there.
 * Source: bench, one way of 1 MiB all written: half the time with 2 of what 64 take.
 */
uint32_t config_default_cache(uint64_t chunk_size);

/**
 * config_add_pool() - one more pool, with default alignment and cache
 * @chunk_size: bytes
 * @n_chunks:   how many
 *
 * Return: 0; -EINVAL a size or count of 0 or too large; -E2BIG one pool too many. The
 *         pool is config->pools[config->n_pools - 1]; change its other members there.
 */
int config_add_pool(struct config *config, uint64_t chunk_size, uint64_t n_chunks);

/**
 * config_add_reserve() - keep the last chunks of the pool that was added last
 * @n_chunks: how many of them, fewer than it has
 *
 * They become a pool of their own behind it, with its other members as they are now.
 * Return: 0; -EINVAL it has no more than so many, or is a reserve; -E2BIG as above.
 */
int config_add_reserve(struct config *config, uint64_t n_chunks);

/* How many chunks the reserve of a pool has; 0: it has none. */
uint64_t config_n_reserved(const struct config *config, size_t pool);

/*
 * One more queue or topic. -EINVAL name or capacity, -EEXIST name taken, -E2BIG, -ENOMEM. It is
 * config->rings[config->n_rings - 1]; change its other members there.
 */
int config_add_ring(struct config *config, const char *name, enum mempool_ring_kind kind,
		    uint64_t capacity);

/* The same without the look for a twin, which config_check() finds: linear for many. */
int config_append_ring(struct config *config, const char *name, enum mempool_ring_kind kind,
		       uint64_t capacity);

/**
 * config_check() - whether a segment of this shape can be laid out
 * @reterr_text: what is wrong, for a person; may be NULL
 *
 * Return: 0; -EINVAL, and *reterr_text says why: a value out of range, no pool, two rings
 *         of one name, or a total that overflows.
 */
int config_check(const struct config *config, const char **reterr_text);

/* Whether two shapes make one layout, field by field; of max_clients, the holders it makes. */
bool config_is_same(const struct config *a, const struct config *b);

/* [A-Za-z0-9_-]{1,31}: what a segment, queue or topic may be called. */
bool config_name_is_valid(const char *name);

/* Holder ids of such a segment, the two reserved ones included: a multiple of 64. */
uint32_t config_n_holders(const struct config *config);
uint32_t config_n_topics(const struct config *config);

/* ChunkManagers: one for each chunk that can be shared, and one at least, so that no pool is empty. */
uint32_t config_n_managers(const struct config *config);

/* Whether messages of such a ring yield to an allocation. A single one is always the newest. */
static inline bool config_ring_yields(const struct config_ring *ring)
{
	return ring->kind == MEMPOOL_RING_TOPIC && ring->capacity > 1 &&
	       !(ring->flags & MEMPOOL_RING_HOLDS);
}

/* What `history:` of a topic says. */
static inline const char *config_ring_history(const struct config_ring *ring)
{
	return ring->flags & MEMPOOL_RING_HOLDS ? "hold" : "yield";
}

/* The same of how many threads may be that end of a queue: MEMPOOL_RING_ONE_SENDER or _RECEIVER. */
static inline const char *config_ring_ends(const struct config_ring *ring, uint32_t flag)
{
	return ring->flags & flag ? "one" : "many";
}

/* What makes a queue one whose messages stand in its slots. */
#define CONFIG_SLOTS_NEED (MEMPOOL_RING_ONE_SENDER | MEMPOOL_RING_ONE_RECEIVER)

/*
 * Bytes from slot to slot: a handle; or a word, and as much as a message may have. Those of up to a line
 * stand close together, others begin at lines.
 */
uint32_t config_slot_stride(const struct config_ring *ring);

/* Whether those of any ring do. */
bool config_yields(const struct config *config);

/* Whether any queue or topic keeps stamps: then each chunk has place for one. */
bool config_has_stamps(const struct config *config);

#endif
