/* SPDX-License-Identifier: MIT */
/*
 * arena.c - see arena.h
 */
#include "arena.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "shm/layout.h"
#include "shm/pool.h"
#include "shm/word.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif

#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#else
/* Without the sanitizer only the guard pages remain. */
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

#define GUARD_BYTES (UINT64_C(1) << 20)

/* Each has something the others do not: see the comments. */
static const struct shape {
	struct {
		uint64_t chunk_size, n_chunks;
		uint32_t alignment, cache;
	} pools[3];
	uint64_t queue_capacity, topic_capacity;	/* 0: none */
	bool stamps;					/* of all messages */
	uint32_t exclusive;				/* a bit for each pool that does not share */
	uint32_t max_clients;				/* 0: few */
	bool traces;					/* of all allocations */
	uint32_t roles;					/* of the queue: flags */
	uint32_t slot_bytes;				/* of its messages, which stand in it */
} shapes[ARENA_N_SHAPES] = {
	/* A leaf that is not full: the bits past the end are nobody's. */
	{ .pools = { { 64, 10, 64, 64 } } },
	/* Two pools, odd sizes, a cache larger than the pool and none at all. */
	{ .pools = { { 24, 70, 8, 4096 }, { 1000, 3, 16, 0 } } },
	/* Full leaves, rings. */
	{ .pools = { { 8, 64, 8, 4 }, { 128, 128, 64, 2 } },
	  .queue_capacity = 4, .topic_capacity = 8 },
	/* More than one word of summary: above 4096 chunks. */
	{ .pools = { { 8, 4100, 8, 64 } } },
	/* Strides beyond the size; larger pools first. */
	{ .pools = { { 5000, 2, 4096, 3 }, { 100, 5, 128, 64 }, { 1, 65, 8, 7 } },
	  .topic_capacity = 1 },
	/* The smallest there is. */
	{ .pools = { { 1, 1, 8, 0 } } },
	/* The index memory ends where a page ends: 4096 = 64 + 64 + 248 * 16. */
	{ .pools = { { 16, 248, 8, 64 }, { 16, 248, 8, 64 } } },
	/* Sharers in several words, the smallest of rings, with stamps. */
	{ .pools = { { 40, 20, 8, 4 } },
	  .queue_capacity = 1, .topic_capacity = 2, .stamps = true, .max_clients = 150 },
	/* Chunks that share beside such that do not, and have fewer managers than there are chunks. */
	{ .pools = { { 24, 70, 8, 4 }, { 64, 5, 8, 4 }, { 128, 3, 8, 4 } },
	  .queue_capacity = 4, .topic_capacity = 4, .exclusive = 5 },
	/* None that share. */
	{ .pools = { { 16, 66, 8, 4 } }, .queue_capacity = 4, .exclusive = 1 },
	/* Who allocated is told. */
	{ .pools = { { 40, 20, 8, 4 } }, .topic_capacity = 2, .traces = true },
	/* A queue for one sender and one receiver. */
	{ .pools = { { 40, 20, 8, 4 } }, .queue_capacity = 4,
	  .roles = MEMPOOL_RING_ONE_SENDER | MEMPOOL_RING_ONE_RECEIVER },
	/* Messages that stand in its slots, which are of odd sizes. */
	{ .pools = { { 40, 20, 8, 4 } }, .queue_capacity = 4, .roles = CONFIG_SLOTS_NEED, .slot_bytes = 100 },
};

static struct arena arena;
static struct image {
	unsigned char *bytes;
	struct geometry geometry;
} images[ARENA_N_SHAPES];

static void make_image(struct image *image, const struct shape *shape)
{
	const struct segment_identity identity = {
		.generation = 1,
		.segment_id = 0x5e65e65e65e65e65,
		.generation_seed = 0xfffffff0,		/* soon to wrap */
	};
	struct config config;

	FUZZ_CHECK(config_init(&config, "fuzz") == 0);
	config.max_clients = shape->max_clients ? shape->max_clients : 10;
	for (size_t i = 0; i < 3 && shape->pools[i].chunk_size > 0; i++) {
		FUZZ_CHECK(config_add_pool(&config, shape->pools[i].chunk_size,
					   shape->pools[i].n_chunks) == 0);
		config.pools[i].alignment = shape->pools[i].alignment;
		config.pools[i].cache = shape->pools[i].cache;
		config.pools[i].is_exclusive = shape->exclusive >> i & 1;
	}
	if (shape->queue_capacity > 0) {
		FUZZ_CHECK(config_add_ring(&config, "queue", MEMPOOL_RING_QUEUE,
					   shape->queue_capacity) == 0);
		config.rings[0].flags = shape->roles;
		config.rings[0].slot_bytes = shape->slot_bytes;
	}
	if (shape->topic_capacity > 0)
		FUZZ_CHECK(config_add_ring(&config, "topic", MEMPOOL_RING_TOPIC,
					   shape->topic_capacity) == 0);
	config.traces = shape->traces;
	for (size_t i = 0; i < config.n_rings && shape->stamps; i++)
		config.rings[i].flags = MEMPOOL_RING_STAMPS;

	FUZZ_CHECK(geometry_init(&image->geometry, &config) == 0);
	FUZZ_CHECK(image->geometry.total_size <= ARENA_MAX_BYTES);
	image->bytes = aligned_alloc(MEMPOOL_PAGE_BYTES, image->geometry.total_size);
	FUZZ_CHECK(image->bytes);
	memset(image->bytes, 0, image->geometry.total_size);
	FUZZ_CHECK(segment_layout(image->bytes, image->geometry.total_size, &config,
				  &identity) == 0);
	config_deinit(&config);
}

static void make_arena(void)
{
	unsigned char *all = mmap(NULL, ARENA_MAX_BYTES + 2 * GUARD_BYTES, PROT_NONE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	FUZZ_CHECK(all != MAP_FAILED);
	arena.base = all + GUARD_BYTES;
	for (size_t i = 0; i < ARENA_N_SHAPES; i++)
		make_image(&images[i], &shapes[i]);
}

static uint64_t round_page(uint64_t size)
{
	return (size + MEMPOOL_PAGE_BYTES - 1) & ~(uint64_t)(MEMPOOL_PAGE_BYTES - 1);
}

void arena_resize(struct arena *a, uint64_t size)
{
	uint64_t old = round_page(a->size), new = round_page(size);

	ASAN_UNPOISON_MEMORY_REGION(a->base, new > old ? new : old);
	if (new > old) {
		FUZZ_CHECK(mprotect(a->base + old, new - old, PROT_READ | PROT_WRITE) == 0);
		/* What a file grows by is zero. */
		memset(a->base + old, 0, new - old);
	} else if (new < old) {
		FUZZ_CHECK(mprotect(a->base + new, old - new, PROT_NONE) == 0);
	}
	a->size = size;
	ASAN_POISON_MEMORY_REGION(a->base + size, new - size);
}

struct arena *arena_reset(uint32_t shape)
{
	struct image *image = &images[shape % ARENA_N_SHAPES];

	if (!arena.base)
		make_arena();
	arena_resize(&arena, image->geometry.total_size);
	memcpy(arena.base, image->bytes, image->geometry.total_size);
	arena.geometry = &image->geometry;
	return &arena;
}

/* ---- attach ---- */

/* Poisoned from the end of one part to the start of the next. */
struct fence {
	struct arena *arena;
	uint64_t end;
};

static void fence_part(struct fence *fence, uint64_t off, uint64_t size)
{
	FUZZ_CHECK(off >= fence->end && off <= fence->arena->size &&
		   size <= fence->arena->size - off);
	ASAN_POISON_MEMORY_REGION(fence->arena->base + fence->end, off - fence->end);
	fence->end = off + size;
}

static void fence_traces(struct fence *fence, const struct geometry *geometry)
{
	fence_part(fence, geometry->modules_off,
		   MEMPOOL_MAX_MODULES * sizeof(struct mempool_module));
	for (uint32_t i = 0; i < geometry->n_pools; i++)
		fence_part(fence, geometry->pools[i].traces_off,
			   geometry->pools[i].n_chunks * sizeof(struct mempool_trace));
}

static void fence_segment(struct arena *a, const struct segment *segment)
{
	const struct geometry *geometry = &segment->geometry;
	struct fence fence = { .arena = a };
	uint64_t off = geometry->slots_off;

	fence_part(&fence, 0, sizeof(struct mempool_header));
	fence_part(&fence, geometry->pools_off,
		   (geometry->n_pools + 1) * sizeof(struct mempool_pool_record));
	fence_part(&fence, geometry->holders_off,
		   geometry->n_holders * sizeof(struct mempool_holder));
	fence_part(&fence, geometry->rings_off, geometry->n_rings * sizeof(struct mempool_ring));
	fence_part(&fence, geometry->lanes_off, geometry->n_lanes * sizeof(struct mempool_lane));
	fence_part(&fence, geometry->lane_list_off, free_list_size_bytes(geometry->n_lanes));
	for (uint32_t i = 0; i <= geometry->n_pools; i++) {
		const struct geometry_pool *pool = &geometry->pools[i];

		if (i == geometry->n_pools)
			fence_part(&fence, pool->data_off, pool->n_chunks * pool->stride);
		fence_part(&fence, pool->index_off, pool_index_bytes(pool->n_chunks, geometry->has_stamps &&
								     i < geometry->n_pools));
	}
	for (size_t i = 0; i < segment->config.n_rings; i++) {
		const struct config_ring *ring = &segment->config.rings[i];

		fence_part(&fence, off, ring->capacity * config_slot_stride(ring));
		off += geometry_ring_bytes(ring);
	}
	fence_part(&fence, geometry->pollers_off,
		   geometry->n_rings * geometry->n_holders / 8);
	fence_part(&fence, geometry->end_words_off, geometry->n_ends * sizeof(uint64_t));
	fence_part(&fence, geometry->ends_off, geometry->n_ends * sizeof(struct mempool_end));
	if (segment->config.traces)
		fence_traces(&fence, geometry);
	for (uint32_t i = 0; i < geometry->n_pools; i++)
		fence_part(&fence, geometry->pools[i].data_off,
			   geometry->pools[i].n_chunks * geometry->pools[i].stride);
	fence_part(&fence, geometry->total_size, 0);
}

int arena_attach(struct arena *a, struct segment **ret_segment)
{
	struct segment_memory memory = {
		.base = a->base, .size = a->size, .fd = -1, .data_fd = -1,
		.access = SEGMENT_READ_WRITE,
	};
	struct segment *segment;
	int r;

	/* Gaps are only gaps once the geometry is known to be this one. */
	ASAN_UNPOISON_MEMORY_REGION(a->base, a->size);
	r = segment_attach(&memory, &segment);
	if (r < 0) {
		FUZZ_CHECK(memory.base == a->base && segment_strerror(r));
		return r;
	}
	fence_segment(a, segment);
	FUZZ_CHECK(segment->n_pools >= 1 && segment->n_pools <= MEMPOOL_MAX_DATA_POOLS);
	FUZZ_CHECK(segment->n_pools == segment->geometry.n_pools);
	FUZZ_CHECK(segment->n_holders == segment->geometry.n_holders);
	FUZZ_CHECK(segment->n_holders > 0 && segment->n_holders % 64 == 0);
	*ret_segment = segment;
	return 0;
}

void arena_detach(struct segment *segment)
{
	/* munmap() of no bytes does nothing. */
	segment->memory.size = 0;
}

void arena_release(struct segment *segment)
{
	arena_detach(segment);
	segment_free(segment);
}

/* ---- poke ---- */

struct part {
	uint64_t off;
	uint64_t size;
};

#define N_FIXED_PARTS 7

/* A part by number, all numbers taken round. */
static struct part part_of(const struct arena *a, uint8_t number)
{
	const struct geometry *geometry = a->geometry;
	uint32_t n_parts = N_FIXED_PARTS + 2 * (geometry->n_pools + 1) + 1;
	uint32_t i = number % n_parts;
	const struct geometry_pool *pool, *managers = &geometry->pools[geometry->n_pools];
	uint64_t list_size;

	if (i == n_parts - 1)
		/* The rings' slots, and their pollers. */
		return (struct part){ geometry->slots_off,
				      geometry->total_size - geometry->slots_off };
	switch (i) {
	case 0:
		return (struct part){ 0, a->size };
	case 1:
		return (struct part){ 0, sizeof(struct mempool_header) };
	case 2:
		return (struct part){ geometry->pools_off,
				      (geometry->n_pools + 1) *
					      sizeof(struct mempool_pool_record) };
	case 3:
		return (struct part){ geometry->holders_off,
				      geometry->n_holders * sizeof(struct mempool_holder) };
	case 4:
		return (struct part){ geometry->rings_off,
				      geometry->n_rings * sizeof(struct mempool_ring) };
	case 5:
		return (struct part){ geometry->lanes_off,
				      geometry->n_lanes * sizeof(struct mempool_lane) +
					      free_list_size_bytes(geometry->n_lanes) };
	case 6:
		/* The managers, and all that follows. */
		return (struct part){ managers->data_off,
				      geometry->total_size - managers->data_off };
	default:
		pool = &geometry->pools[(i - N_FIXED_PARTS) / 2];
		list_size = free_list_size_bytes(pool->n_chunks);
		if ((i - N_FIXED_PARTS) % 2)
			return (struct part){ pool->index_off, list_size };
		/* The entries, and stamps where there are any. */
		return (struct part){ pool->index_off + list_size,
				      pool_index_bytes(pool->n_chunks,
						       geometry->has_stamps && pool != managers) -
					      list_size };
	}
}

enum poke {
	POKE_WORD,		/* of any kind, generation as it was */
	POKE_WORD_FREE,		/* as left by any number of frees */
	POKE_BIT,
	POKE_ADD,
	POKE_SET_64,
	POKE_SET_LOW,
	POKE_SET_HIGH,
	POKE_ALL,		/* the part up to its end, with one byte */
	N_POKES,
};

/*
 * As if by another process: the sanitizer's gaps are no business of its. Atomic, so that no
 * compiler makes a call of memset() of it, which would be checked.
 */
__attribute__((no_sanitize("address"))) static uint64_t raw_load(const _Atomic uint64_t *at)
{
	return atomic_load_explicit(at, memory_order_relaxed);
}

__attribute__((no_sanitize("address"))) static void raw_store(_Atomic uint64_t *at,
							      uint64_t value)
{
	atomic_store_explicit(at, value, memory_order_relaxed);
}

static uint64_t poked(uint64_t value, uint8_t what, struct fuzz_input *input)
{
	uint8_t byte;

	switch (what % N_POKES) {
	case POKE_WORD:
		byte = fuzz_u8(input);
		return word_make(word_generation(value), byte & 3,
				 byte & 4 ? fuzz_u32(input) : fuzz_u8(input));
	case POKE_WORD_FREE:
		return word_make(fuzz_u32(input), MEMPOOL_FREE, 0);
	case POKE_BIT:
		return value ^ UINT64_C(1) << fuzz_u8(input) % 64;
	case POKE_ADD:
		return value + (uint64_t)(int64_t)(int8_t)fuzz_u8(input);
	case POKE_SET_64:
		return fuzz_u64(input);
	case POKE_SET_LOW:
		return (value & ~(uint64_t)UINT32_MAX) | fuzz_u32(input);
	case POKE_SET_HIGH:
		return (value & UINT32_MAX) | (uint64_t)fuzz_u32(input) << 32;
	default:
		return fuzz_u8(input) * UINT64_C(0x0101010101010101);
	}
}

void arena_poke(struct arena *a, struct fuzz_input *input)
{
	uint8_t what = fuzz_u8(input);
	struct part part = part_of(a, fuzz_u8(input));
	uint32_t number = fuzz_u16(input);
	_Atomic uint64_t *words;
	uint64_t n_words, value;

	/* Memory that was cut off cannot be written to. */
	if (part.off > a->size)
		return;
	if (part.size > a->size - part.off)
		part.size = a->size - part.off;
	n_words = part.size / sizeof(value);
	if (n_words == 0)
		return;
	words = (void *)(a->base + part.off);
	number %= n_words;

	value = poked(raw_load(&words[number]), what, input);
	raw_store(&words[number], value);
	if (what % N_POKES == POKE_ALL)
		for (; number < n_words; number++)
			raw_store(&words[number], value);
}

/* ---- a consistent lie ---- */

/* As segment_attach() reads it, from tables that stand where the header says. */
static int read_shape(const struct arena *a, struct config *config)
{
	struct mempool_pool_record pool;
	struct mempool_header header;
	struct mempool_ring ring;
	char name[MEMPOOL_NAME_BYTES + 1] = "";

	if (a->size < sizeof(header))
		return -1;
	memcpy(&header, a->base, sizeof(header));
	if (header.n_pools > MEMPOOL_MAX_DATA_POOLS || header.n_rings > 100 ||
	    a->geometry->pools_off + (header.n_pools + 1) * sizeof(pool) > a->size ||
	    a->geometry->rings_off + header.n_rings * sizeof(ring) > a->size)
		return -1;
	memcpy(name, header.name, MEMPOOL_NAME_BYTES);
	if (config_init(config, name) < 0)
		return -1;
	config->max_clients = header.max_clients;
	config->fallback = header.fallback != 0;
	config->page_bytes = header.page_bytes;
	config->data_align = header.data_align;
	config->traces = header.traces != 0;
	for (uint32_t i = 0; i < header.n_pools; i++) {
		memcpy(&pool, a->base + a->geometry->pools_off + i * sizeof(pool),
		       sizeof(pool));
		if (config_add_pool(config, pool.chunk_size, pool.n_chunks) < 0)
			return -1;
		config->pools[i].alignment = pool.alignment;
		config->pools[i].cache = pool.cache;
	}
	for (uint32_t i = 0; i < header.n_rings; i++) {
		memcpy(&ring, a->base + a->geometry->rings_off + i * sizeof(ring),
		       sizeof(ring));
		memcpy(name, ring.name, MEMPOOL_NAME_BYTES);
		if (config_add_ring(config, name, ring.kind, ring.capacity) < 0)
			return -1;
		config->rings[i].flags = ring.flags;
		config->rings[i].slot_bytes = ring.slot_bytes;
	}
	return 0;
}

static void write_shape(struct arena *a, const struct geometry *geometry,
			const struct config *config)
{
	struct mempool_header *header = (void *)a->base;
	struct mempool_pool_record *pools = (void *)(a->base + geometry->pools_off);
	struct mempool_ring *rings = (void *)(a->base + geometry->rings_off);
	uint64_t slots_off = geometry->slots_off;

	header->total_size = geometry->total_size;
	header->control_bytes = geometry->control_bytes;
	header->data_bytes = geometry->data_bytes;
	header->n_holders = geometry->n_holders;
	header->holder_stride = sizeof(struct mempool_holder);
	header->holders_off = geometry->holders_off;
	header->pools_off = geometry->pools_off;
	header->rings_off = geometry->rings_off;
	header->n_topics = geometry->n_topics;
	header->fingerprint = geometry->fingerprint;
	for (uint32_t i = 0; i <= geometry->n_pools; i++) {
		pools[i].chunk_size = geometry->pools[i].chunk_size;
		pools[i].stride = geometry->pools[i].stride;
		pools[i].data_off = geometry->pools[i].data_off;
		pools[i].index_off = geometry->pools[i].index_off;
		pools[i].n_chunks = geometry->pools[i].n_chunks;
		pools[i].alignment = geometry->pools[i].alignment;
		pools[i].cache = geometry->pools[i].cache;
	}
	for (size_t i = 0; i < config->n_rings; i++) {
		memcpy(rings[i].name, config->rings[i].name, sizeof(rings[i].name));
		rings[i].kind = config->rings[i].kind;
		rings[i].flags = config->rings[i].flags;
		rings[i].slot_bytes = config->rings[i].slot_bytes;
		rings[i].capacity = (uint32_t)config->rings[i].capacity;
		rings[i].slots_off = slots_off;
		slots_off += geometry_ring_bytes(&config->rings[i]);
	}
}

void arena_make_agree(struct arena *a)
{
	struct config config = { .n_rings = 0 };
	struct geometry geometry;

	ASAN_UNPOISON_MEMORY_REGION(a->base, round_page(a->size));
	if (read_shape(a, &config) == 0 && geometry_init(&geometry, &config) == 0 &&
	    geometry.total_size <= ARENA_MAX_BYTES) {
		arena_resize(a, geometry.total_size);
		write_shape(a, &geometry, &config);
	}
	config_deinit(&config);
}
