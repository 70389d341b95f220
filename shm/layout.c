/* SPDX-License-Identifier: MIT */
#include "layout.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "bytes.h"
#include "lane.h"
#include "queue.h"
#include "topic.h"

/*
 * Each word is compared first: a table that is whole is not written to, however many read it
 * at the time. from and size: multiples of 4.
 */
static void store_shared(void *to, const void *from, size_t size)
{
	_Atomic uint32_t *words = to;
	uint32_t word;

	for (size_t i = 0; i < size / sizeof(word); i++) {
		memcpy(&word, (const unsigned char *)from + i * sizeof(word), sizeof(word));
		/* Relaxed, both: S1 comes after, and a reader checks what it has copied. */
		if (atomic_load_explicit(&words[i], memory_order_relaxed) != word)
			atomic_store_explicit(&words[i], word, memory_order_relaxed);
	}
}

/* ---- header and tables ---- */

static void put_header(void *base, const struct config *config,
		       const struct geometry *geometry, const struct segment_identity *identity)
{
	struct mempool_header header = {
		.magic = MEMPOOL_MAGIC,
		.version_major = MEMPOOL_LAYOUT_MAJOR,
		.version_minor = MEMPOOL_LAYOUT_MINOR,
		.header_size = sizeof(header),
		.n_holders = geometry->n_holders,
		.total_size = geometry->total_size,
		.holders_off = geometry->holders_off,
		.holder_stride = sizeof(struct mempool_holder),
		.control_bytes = geometry->control_bytes,
		.data_bytes = geometry->data_bytes,
		.data_align = config->data_align,
		.page_bytes = config->page_bytes,
		.segment_id = identity->segment_id,
		.generation = identity->generation,
		.fingerprint = geometry->fingerprint,
		.created_ns = identity->created_ns,
		.generation_seed = identity->generation_seed,
		.n_pools = geometry->n_pools,
		.n_rings = geometry->n_rings,
		.n_topics = geometry->n_topics,
		.pools_off = geometry->pools_off,
		.rings_off = geometry->rings_off,
		.fallback = config->fallback,
		.max_clients = (uint32_t)config->max_clients,
		.traces = config->traces,
	};
	const size_t state = offsetof(struct mempool_header, state);
	const size_t behind = state + sizeof(header.state);

	memcpy(header.name, config->name, sizeof(header.name));
	/* All but the state, which publishes, and what is the clients': the eventcount, the history. */
	store_shared(base, &header, state);
	store_shared((unsigned char *)base + behind, (unsigned char *)&header + behind,
		     offsetof(struct mempool_header, chunk_freed) - behind);
}

static void put_pools(void *base, const struct geometry *geometry)
{
	for (uint32_t i = 0; i <= geometry->n_pools; i++) {
		const struct geometry_pool *from = &geometry->pools[i];
		const struct mempool_pool_record record = {
			.chunk_size = from->chunk_size,
			.stride = from->stride,
			.data_off = from->data_off,
			.index_off = from->index_off,
			.n_chunks = from->n_chunks,
			.alignment = from->alignment,
			.cache = from->cache,
			.is_reserve = from->is_reserve,
			.is_exclusive = from->is_exclusive,
		};

		store_shared(segment_pool_record(base, geometry, i), &record,
			     offsetof(struct mempool_pool_record, state));
	}
}

/* A topic can hold chunks: it has a record for as long as the segment lives. */
static void put_topic_holder(struct mempool_holder *to, const char *name)
{
	struct mempool_holder record = { .state = MEMPOOL_HOLDER_LIVE,
					 .kind = MEMPOOL_HOLDER_TOPIC };

	memcpy((void *)record.name, name, sizeof(record.name));
	store_shared(to, &record, sizeof(record));
}

static void put_rings(void *base, const struct config *config, const struct geometry *geometry)
{
	unsigned char *bytes = base;
	struct mempool_ring *rings = (void *)(bytes + geometry->rings_off);
	struct mempool_holder *topic = (void *)(bytes + geometry->holders_off);
	uint64_t off = geometry->slots_off;

	topic += MEMPOOL_HOLDER_DAEMON_ID + 1;
	for (size_t i = 0; i < config->n_rings; i++) {
		const struct config_ring *from = &config->rings[i];
		struct mempool_ring ring = {
			.slots_off = off,
			.capacity = (uint32_t)from->capacity,
			.kind = from->kind,
			.flags = from->flags,
			.slot_bytes = from->slot_bytes,
		};

		memcpy(ring.name, from->name, sizeof(ring.name));
		store_shared(&rings[i], &ring, offsetof(struct mempool_ring, head));
		if (from->kind == MEMPOOL_RING_TOPIC)
			put_topic_holder(topic++, from->name);
		off += geometry_ring_bytes(from);
	}
}

static void put_tables(void *base, const struct config *config,
		       const struct geometry *geometry, const struct segment_identity *identity)
{
	put_header(base, config, geometry, identity);
	put_pools(base, geometry);
	put_rings(base, config, geometry);
}

/* ---- what they tell of ---- */

static int layout_pools(void *base, const struct geometry *geometry, uint32_t generation)
{
	for (uint32_t i = 0; i <= geometry->n_pools; i++) {
		struct pool_memory memory = segment_pool_memory(base, geometry, i);
		struct pool pool;
		int r = pool_init(&pool, &memory, generation);

		if (r < 0)
			return r;
	}
	return 0;
}

static void layout_lanes(void *base, const struct geometry *geometry)
{
	unsigned char *bytes = base;

	lane_layout((void *)(bytes + geometry->lanes_off), bytes + geometry->lane_list_off,
		    geometry->n_lanes);
}

static void layout_rings(void *base, const struct config *config,
			 const struct geometry *geometry)
{
	unsigned char *slots = (unsigned char *)base + geometry->slots_off;

	for (size_t i = 0; i < config->n_rings; i++) {
		const struct config_ring *ring = &config->rings[i];

		if (ring->slot_bytes > 0)
			bytes_layout(slots, ring);
		else if (ring->kind == MEMPOOL_RING_QUEUE)
			queue_layout((void *)slots, ring->capacity);
		else
			topic_layout((void *)slots, ring->capacity);
		slots += geometry_ring_bytes(ring);
	}
}

static void publish(void *base, enum mempool_segment_state state)
{
	struct mempool_header *header = base;

	/* S1 (release) pairs with S2: who sees READY sees the whole layout. */
	atomic_store_explicit(&header->state, state, memory_order_release);
}

int segment_layout(void *base, uint64_t size_bytes, const struct config *config,
		   const struct segment_identity *identity)
{
	struct segment_identity own;
	struct geometry geometry;
	int r;

	r = geometry_init(&geometry, config);
	if (r < 0)
		return r;
	if (size_bytes < geometry.total_size)
		return -ENOSPC;
	if (!identity) {
		r = segment_identity_init(&own, 1);
		if (r < 0)
			return r;
		identity = &own;
	}

	r = layout_pools(base, &geometry, identity->generation_seed);
	if (r < 0)
		return r;
	layout_lanes(base, &geometry);
	layout_rings(base, config, &geometry);
	put_tables(base, config, &geometry, identity);
	publish(base, MEMPOOL_SEGMENT_READY);
	return 0;
}

void segment_restore(struct segment *segment, const struct segment_identity *identity,
		     enum mempool_segment_state state)
{
	put_tables(segment->memory.base, &segment->config, &segment->geometry, identity);
	publish(segment->memory.base, state);
}
