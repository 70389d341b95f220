/* SPDX-License-Identifier: MIT */
#include "layout.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "queue.h"
#include "topic.h"

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static void layout_header(struct mempool_header *header, const struct config *config,
			  const struct geometry *geometry,
			  const struct segment_identity *identity)
{
	header->magic = MEMPOOL_MAGIC;
	header->version_major = MEMPOOL_LAYOUT_MAJOR;
	header->version_minor = MEMPOOL_LAYOUT_MINOR;
	header->header_size = sizeof(*header);
	header->n_holders = geometry->n_holders;
	header->total_size = geometry->total_size;
	header->holders_off = geometry->holders_off;
	header->holder_stride = sizeof(struct mempool_holder);
	memcpy(header->boot_id, identity->boot_id, sizeof(header->boot_id));
	header->pid_namespace = identity->pid_namespace;
	header->segment_id = identity->segment_id;
	header->generation = identity->generation;
	header->fingerprint = geometry->fingerprint;
	header->created_ns = now_ns();
	header->generation_seed = identity->generation_seed;
	header->n_pools = geometry->n_pools;
	header->n_rings = geometry->n_rings;
	header->n_topics = geometry->n_topics;
	header->pools_off = geometry->pools_off;
	header->rings_off = geometry->rings_off;
	header->fallback = config->fallback;
	header->max_clients = (uint32_t)config->max_clients;
	memcpy(header->name, config->name, sizeof(header->name));
}

static int layout_pools(void *base, const struct geometry *geometry, uint32_t generation)
{
	for (uint32_t i = 0; i <= geometry->n_pools; i++) {
		const struct geometry_pool *from = &geometry->pools[i];
		struct mempool_pool_record *record = segment_pool_record(base, geometry, i);
		struct pool_memory memory = segment_pool_memory(base, geometry, i);
		struct pool pool;
		int r;

		record->chunk_size = from->chunk_size;
		record->stride = from->stride;
		record->data_off = from->data_off;
		record->index_off = from->index_off;
		record->n_chunks = from->n_chunks;
		record->alignment = from->alignment;
		record->cache = from->cache;

		r = pool_init(&pool, &memory, generation);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A topic can hold chunks: it has a record for as long as the segment lives. */
static void layout_topic_holder(struct mempool_holder *record, const char *name)
{
	/* Relaxed: published with the segment. */
	atomic_store_explicit(&record->kind, MEMPOOL_HOLDER_TOPIC, memory_order_relaxed);
	for (size_t i = 0; i < MEMPOOL_NAME_BYTES; i++)
		atomic_store_explicit(&record->name[i], (unsigned char)name[i],
				      memory_order_relaxed);
	atomic_store_explicit(&record->state, MEMPOOL_HOLDER_LIVE, memory_order_relaxed);
}

static void layout_rings(void *base, const struct config *config,
			 const struct geometry *geometry)
{
	unsigned char *bytes = base;
	struct mempool_ring *rings = (void *)(bytes + geometry->rings_off);
	struct mempool_holder *topic = (void *)(bytes + geometry->holders_off);
	uint64_t off = geometry->slots_off;

	topic += MEMPOOL_HOLDER_DAEMON_ID + 1;
	for (size_t i = 0; i < config->n_rings; i++) {
		const struct config_ring *from = &config->rings[i];

		memcpy(rings[i].name, from->name, sizeof(rings[i].name));
		rings[i].kind = from->kind;
		rings[i].capacity = (uint32_t)from->capacity;
		rings[i].slots_off = off;
		if (from->kind == MEMPOOL_RING_QUEUE) {
			queue_layout((void *)(bytes + off), from->capacity);
		} else {
			topic_layout((void *)(bytes + off), from->capacity);
			layout_topic_holder(topic++, from->name);
		}
		off += geometry_ring_bytes(from->capacity);
	}
}

int segment_layout(void *base, uint64_t size_bytes, const struct config *config,
		   const struct segment_identity *identity)
{
	struct mempool_header *header = base;
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

	layout_header(header, config, &geometry, identity);
	r = layout_pools(base, &geometry, identity->generation_seed);
	if (r < 0)
		return r;
	layout_rings(base, config, &geometry);

	/* S1 (release) pairs with S2: who sees READY sees the whole layout. */
	atomic_store_explicit(&header->state, MEMPOOL_SEGMENT_READY, memory_order_release);
	return 0;
}
