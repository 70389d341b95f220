/* SPDX-License-Identifier: MIT */
#include "geometry.h"

#include <errno.h>
#include <string.h>

#include "pool.h"

/*
 * Sums cannot overflow 64 bits here: at most 63 pools of 2^26 chunks of 2^32 bytes are
 * below 2^64 together (62 * 2^58 < 2^64), with what rounding to 2^34 adds to each (twice
 * 62 * 2^34), and everything else is far below 2^53. What no file or mapping can hold is
 * refused at the end.
 */
#define LARGEST_SEGMENT (UINT64_C(1) << 62)

/* Some read two topics and answer to a queue; few programs have more. */
#define ENDS_PER_HOLDER 4

/* And few have more threads that allocate. */
#define LANES_PER_HOLDER 4

static uint64_t round_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) & ~(to - 1);
}

uint64_t geometry_sharers_bytes(uint32_t n_holders)
{
	return n_holders / 8;
}

uint64_t geometry_ring_bytes(const struct config_ring *ring)
{
	return round_up(ring->capacity * config_slot_stride(ring), MEMPOOL_LINE_BYTES);
}

/* Rounded up, so that words and lines begin at lines. */
uint32_t geometry_n_ends(uint32_t n_holders, uint32_t n_rings)
{
	return n_rings == 0 ? 0 : (uint32_t)round_up(ENDS_PER_HOLDER * n_holders + 2 * n_rings, 8);
}

uint32_t geometry_n_lanes(uint32_t n_holders)
{
	return n_holders < MEMPOOL_MAX_LANES / LANES_PER_HOLDER ? n_holders * LANES_PER_HOLDER
								: MEMPOOL_MAX_LANES;
}

/* FNV-1a: not against an enemy, who may write what he likes, but against a changed config. */
static uint64_t mix(uint64_t hash, const void *data, size_t size)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static uint64_t mix_u64(uint64_t hash, uint64_t value)
{
	return mix(hash, &value, sizeof(value));
}

static uint64_t fingerprint(const struct geometry *geometry, const struct config *config)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	hash = mix_u64(hash, MEMPOOL_LAYOUT_MAJOR);
	hash = mix_u64(hash, geometry->n_holders);
	hash = mix_u64(hash, config->fallback);
	hash = mix_u64(hash, config->page_bytes);
	hash = mix_u64(hash, config->data_align);
	hash = mix_u64(hash, config->traces);
	hash = mix_u64(hash, geometry->n_pools);
	for (uint32_t i = 0; i <= geometry->n_pools; i++) {
		const struct geometry_pool *pool = &geometry->pools[i];

		hash = mix_u64(hash, pool->chunk_size);
		hash = mix_u64(hash, pool->n_chunks);
		hash = mix_u64(hash, pool->alignment);
		hash = mix_u64(hash, pool->cache);
		hash = mix_u64(hash, pool->is_reserve);
		hash = mix_u64(hash, pool->is_exclusive);
	}
	hash = mix_u64(hash, geometry->n_rings);
	hash = mix_u64(hash, geometry->n_ends);
	hash = mix_u64(hash, geometry->n_lanes);
	for (size_t i = 0; i < config->n_rings; i++) {
		hash = mix(hash, config->rings[i].name, sizeof(config->rings[i].name));
		hash = mix_u64(hash, config->rings[i].kind);
		hash = mix_u64(hash, config->rings[i].capacity);
		hash = mix_u64(hash, config->rings[i].flags);
		/* Segments without are as they were before there was such a thing. */
		if (config->rings[i].slot_bytes > 0)
			hash = mix_u64(hash, config->rings[i].slot_bytes);
	}
	return hash;
}

/* ---- control, then data ---- */

static uint64_t place_index(struct geometry_pool *pool, uint64_t off, bool has_stamps)
{
	pool->index_off = round_up(off, MEMPOOL_LINE_BYTES);
	return pool->index_off + pool_index_bytes(pool->n_chunks, has_stamps);
}

/* Of the ChunkManagers, which are control. */
static uint64_t place_managers(struct geometry_pool *pool, uint64_t off)
{
	pool->data_off = round_up(off, MEMPOOL_PAGE_BYTES);
	return place_index(pool, pool->data_off + pool->n_chunks * pool->stride, false);
}

/* Each pool begins at a page, so that it can be told to a device. */
static uint64_t place_chunks(struct geometry *geometry, uint64_t off)
{
	for (uint32_t i = 0; i < geometry->n_pools; i++) {
		struct geometry_pool *pool = &geometry->pools[i];

		pool->data_off = off;
		off = round_up(off + pool->n_chunks * pool->stride, geometry->page_bytes);
	}
	return off;
}

static uint64_t place_traces(struct geometry *geometry, uint64_t off)
{
	geometry->modules_off = off = round_up(off, MEMPOOL_LINE_BYTES);
	off += MEMPOOL_MAX_MODULES * sizeof(struct mempool_module);
	for (uint32_t i = 0; i < geometry->n_pools; i++) {
		geometry->pools[i].traces_off = off;
		off += geometry->pools[i].n_chunks * sizeof(struct mempool_trace);
	}
	return off;
}

int geometry_init(struct geometry *geometry, const struct config *config)
{
	uint64_t off;
	int r;

	r = config_check(config, NULL);
	if (r < 0)
		return r;

	*geometry = (struct geometry){
		.n_pools = (uint32_t)config->n_pools,
		.n_holders = config_n_holders(config),
		.n_rings = (uint32_t)config->n_rings,
		.n_topics = config_n_topics(config),
		.n_ends = geometry_n_ends(config_n_holders(config), (uint32_t)config->n_rings),
		.n_lanes = geometry_n_lanes(config_n_holders(config)),
		.has_stamps = config_has_stamps(config),
		.page_bytes = config->page_bytes,
		.data_align = config->data_align,
	};

	geometry->pools_off = off = MEMPOOL_PAGE_BYTES;
	off += (geometry->n_pools + 1) * sizeof(struct mempool_pool_record);
	geometry->holders_off = off;
	off += geometry->n_holders * sizeof(struct mempool_holder);
	geometry->rings_off = off;
	off += geometry->n_rings * sizeof(struct mempool_ring);
	geometry->lanes_off = off = round_up(off, MEMPOOL_LINE_BYTES);
	off += geometry->n_lanes * sizeof(struct mempool_lane);
	geometry->lane_list_off = off;
	off += free_list_size_bytes(geometry->n_lanes);

	for (uint32_t i = 0; i < geometry->n_pools; i++) {
		const struct config_pool *from = &config->pools[i];

		geometry->pools[i] = (struct geometry_pool){
			.chunk_size = from->chunk_size,
			.stride = config_stride(from),
			.n_chunks = (uint32_t)from->n_chunks,
			.alignment = from->alignment,
			.cache = from->cache,
			.is_reserve = from->is_reserve,
			.is_exclusive = from->is_exclusive,
		};
		off = place_index(&geometry->pools[i], off, geometry->has_stamps);
	}

	geometry->pools[geometry->n_pools] = (struct geometry_pool){
		.chunk_size = geometry_sharers_bytes(geometry->n_holders),
		.stride = geometry_sharers_bytes(geometry->n_holders),
		.n_chunks = config_n_managers(config),
		.alignment = 8,
		.cache = CONFIG_DEFAULT_CACHE,
	};
	off = place_managers(&geometry->pools[geometry->n_pools], off);

	geometry->slots_off = off = round_up(off, MEMPOOL_LINE_BYTES);
	for (size_t i = 0; i < config->n_rings; i++)
		off += geometry_ring_bytes(&config->rings[i]);

	geometry->pollers_off = off;
	off += (uint64_t)geometry->n_rings * (geometry->n_holders / 8);

	geometry->end_words_off = off = round_up(off, MEMPOOL_LINE_BYTES);
	off += geometry->n_ends * sizeof(uint64_t);
	geometry->ends_off = off;
	off += geometry->n_ends * sizeof(struct mempool_end);
	if (config->traces)
		off = place_traces(geometry, off);

	geometry->control_bytes = round_up(off, geometry->page_bytes);

	geometry->data_off = round_up(geometry->control_bytes, geometry->data_align);
	geometry->total_size = round_up(place_chunks(geometry, geometry->data_off),
					geometry->data_align);
	geometry->data_bytes = geometry->total_size - geometry->data_off;
	if (geometry->total_size > LARGEST_SEGMENT)
		return -EOVERFLOW;
	geometry->fingerprint = fingerprint(geometry, config);
	return 0;
}

bool geometry_is_same_plan(const struct geometry *a, const struct geometry *b)
{
	return a->total_size == b->total_size && a->control_bytes == b->control_bytes &&
	       a->data_off == b->data_off;
}
