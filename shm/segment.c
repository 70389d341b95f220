/* SPDX-License-Identifier: MIT */
#include "segment.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

uint64_t segment_size_bytes(const struct config *config)
{
	struct geometry geometry;

	return geometry_init(&geometry, config) < 0 ? 0 : geometry.total_size;
}

/* ---- identity ---- */

int segment_identity_init(struct segment_identity *identity, uint64_t generation)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	*identity = (struct segment_identity){
		.generation = generation,
		.created_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec,
	};
	/* 0 is no generation and no id. */
	while (identity->generation_seed == 0 || identity->segment_id == 0) {
		if (getrandom(&identity->generation_seed, sizeof(identity->generation_seed),
			      0) < 0 ||
		    getrandom(&identity->segment_id, sizeof(identity->segment_id), 0) < 0)
			return -errno;
	}
	return 0;
}

/* ---- places ---- */

struct mempool_pool_record *segment_pool_record(void *base, const struct geometry *geometry,
						uint32_t i)
{
	struct mempool_pool_record *records =
		(void *)((unsigned char *)base + geometry->pools_off);

	return &records[i];
}

struct pool_memory segment_pool_memory(void *base, const struct geometry *geometry, uint32_t i)
{
	const struct geometry_pool *pool = &geometry->pools[i];

	return (struct pool_memory){
		.raw_memory = (unsigned char *)base + pool->data_off,
		.index_memory = (unsigned char *)base + pool->index_off,
		.state = &segment_pool_record(base, geometry, i)->state,
		.freed = &((struct mempool_header *)base)->chunk_freed,
		.chunk_size = pool->chunk_size,
		.stride = pool->stride,
		.n_chunks = pool->n_chunks,
		.has_stamps = geometry->has_stamps && i < geometry->n_pools,
	};
}

/* ---- attach ---- */

const char *segment_strerror(int error)
{
	switch (error) {
	case -ENODATA:
		return "it is shorter than its header says";
	case -EAGAIN:
		return "it is not ready";
	case -EBADMSG:
		return "it has not the magic of a segment";
	case -EPROTONOSUPPORT:
		return "its layout is of another version";
	case -EUCLEAN:
		return "its header contradicts itself";
	default:
		return strerror(-error);
	}
}

/*
 * Copy what an enemy may be writing meanwhile. Each word is loaded once, by an atomic
 * access, which a compiler does not repeat: of a plain one it may look at the memory again
 * after a check, and find something else there. from and size: multiples of 8.
 */
static void copy_shared(void *to, const void *from, size_t size)
{
	const _Atomic uint64_t *words = from;

	for (size_t i = 0; i < size / sizeof(uint64_t); i++) {
		/* Relaxed: S2 comes before, and what an enemy writes has no order. */
		uint64_t word = atomic_load_explicit(&words[i], memory_order_relaxed);

		memcpy((unsigned char *)to + i * sizeof(word), &word, sizeof(word));
	}
}

/*
 * What is read: a mapping, or an object that is not mapped yet, since its header says what is to
 * be mapped. What it says is copied once, and checked again by whoever attaches.
 */
struct source {
	const void *base;		/* NULL: of the file */
	int fd;
	uint64_t size;
};

/* off and size: multiples of 8, inside. */
static int copy_from(const struct source *source, uint64_t off, void *to, size_t size)
{
	ssize_t n;

	if (source->base) {
		copy_shared(to, (const unsigned char *)source->base + off, size);
		return 0;
	}
	n = pread(source->fd, to, size, (off_t)off);
	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -ENODATA;
}

static bool is_short(const struct source *source, const struct mempool_header *header)
{
	return source->size < (source->base ? header->total_size : header->control_bytes);
}

static int copy_header(const struct source *source, struct mempool_header *ret_header)
{
	const struct mempool_header *shared = source->base;

	static_assert(sizeof(*shared) % sizeof(uint64_t) == 0, "copied by words");
	if (source->size < MEMPOOL_PAGE_BYTES)
		return -ENODATA;
	/* S2 (acquire) pairs with S1 of segment_layout(). */
	if (shared && atomic_load_explicit(&shared->state, memory_order_acquire) ==
			      MEMPOOL_SEGMENT_BUILDING)
		return -EAGAIN;
	return copy_from(source, 0, ret_header, sizeof(*ret_header));
}

/* In this order, so that each error means what it says. */
static int read_header(const struct source *source, struct mempool_header *ret_header)
{
	uint32_t state;
	int r;

	r = copy_header(source, ret_header);
	if (r < 0)
		return r;
	/* Relaxed: a copy of our own. */
	state = atomic_load_explicit(&ret_header->state, memory_order_relaxed);
	if (state == MEMPOOL_SEGMENT_BUILDING)
		return -EAGAIN;
	if (ret_header->magic != MEMPOOL_MAGIC)
		return -EBADMSG;
	/* What is made of smaller parts is of another version, also between two releases. */
	if (ret_header->version_major != MEMPOOL_LAYOUT_MAJOR ||
	    ret_header->header_size < sizeof(*ret_header) ||
	    ret_header->holder_stride != sizeof(struct mempool_holder))
		return -EPROTONOSUPPORT;
	if (state != MEMPOOL_SEGMENT_READY && state != MEMPOOL_SEGMENT_RETIRED)
		return -EUCLEAN;
	if (is_short(source, ret_header))
		return -ENODATA;
	return ret_header->header_size > MEMPOOL_PAGE_BYTES ? -EUCLEAN : 0;
}

/* Tables stand on a line: a record of another place is never even looked at. */
static bool fits(const struct source *source, uint64_t off, uint64_t n, uint64_t size)
{
	return off % MEMPOOL_LINE_BYTES == 0 && off <= source->size &&
	       n <= (source->size - off) / size;
}

static int read_pools(const struct source *source, const struct mempool_header *header,
		      struct config *config)
{
	uint64_t off = header->pools_off;
	struct mempool_pool_record pool;
	int r;

	for (uint32_t i = 0; i < header->n_pools; i++, off += sizeof(pool)) {
		r = copy_from(source, off, &pool, sizeof(pool));
		if (r < 0)
			return r;
		if (config_add_pool(config, pool.chunk_size, pool.n_chunks) < 0)
			return -EUCLEAN;
		config->pools[i].alignment = pool.alignment;
		config->pools[i].cache = pool.cache;
		config->pools[i].is_reserve = pool.is_reserve != 0;
		config->pools[i].is_exclusive = pool.is_exclusive != 0;
	}
	return 0;
}

static int read_rings(const struct source *source, const struct mempool_header *header,
		      struct config *config)
{
	uint64_t off = header->rings_off;
	char name[MEMPOOL_NAME_BYTES + 1] = "";
	struct mempool_ring ring;
	int r;

	for (uint32_t i = 0; i < header->n_rings; i++, off += sizeof(ring)) {
		/* What does not change in it. */
		r = copy_from(source, off, &ring, offsetof(struct mempool_ring, head));
		if (r < 0)
			return r;
		memcpy(name, ring.name, MEMPOOL_NAME_BYTES);
		r = config_append_ring(config, name, ring.kind, ring.capacity);
		if (r < 0)
			return r == -ENOMEM ? r : -EUCLEAN;
		config->rings[i].flags = ring.flags;
		config->rings[i].slot_bytes = ring.slot_bytes;
	}
	return 0;
}

/*
 * The shape that the header tells. config_check() and the geometry made of it judge the
 * rest.
 */
static int read_config(const struct source *source, const struct mempool_header *header,
		       struct config *config)
{
	char name[MEMPOOL_NAME_BYTES + 1] = "";
	int r;

	if (header->n_pools > MEMPOOL_MAX_DATA_POOLS || header->n_rings > MEMPOOL_MAX_RINGS ||
	    !fits(source, header->pools_off, header->n_pools + 1,
		  sizeof(struct mempool_pool_record)) ||
	    !fits(source, header->rings_off, header->n_rings, sizeof(struct mempool_ring)))
		return -EUCLEAN;

	memcpy(name, header->name, MEMPOOL_NAME_BYTES);
	if (config_init(config, name) < 0)
		return -EUCLEAN;
	config->max_clients = header->max_clients;
	config->fallback = header->fallback != 0;
	config->page_bytes = header->page_bytes;
	config->data_align = header->data_align;
	config->traces = header->traces != 0;
	r = read_pools(source, header, config);
	return r < 0 ? r : read_rings(source, header, config);
}

/* As an object says that it is to be mapped. Return: as segment_attach(). */
static int read_plan(int fd, struct geometry *ret_geometry)
{
	struct source source = { .fd = fd };
	struct config config = { .n_pools = 0 };
	struct mempool_header header;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADF;
	source.size = (uint64_t)st.st_size;
	r = read_header(&source, &header);
	if (r == 0)
		r = read_config(&source, &header, &config);
	if (r == 0 && geometry_init(ret_geometry, &config) < 0)
		r = -EUCLEAN;
	config_deinit(&config);
	return r;
}

static int open_by_name(const char *shm_name, enum segment_access access, bool with_data,
			struct segment_memory *ret_memory)
{
	struct segment_fds fds = { .control = segment_open_object(shm_name, access), .data = -1 };
	struct geometry geometry;
	int r;

	if (fds.control < 0)
		return fds.control;
	r = read_plan(fds.control, &geometry);
	if (r == 0 && with_data) {
		fds.data = segment_open_data(shm_name, access);
		r = fds.data < 0 ? fds.data : 0;
	}
	if (r < 0) {
		close(fds.control);
		return r;
	}
	return segment_map_fds(fds, &geometry, access, access, ret_memory);
}

int segment_open(const char *shm_name, enum segment_access access,
		 struct segment_memory *ret_memory)
{
	return open_by_name(shm_name, access, true, ret_memory);
}

int segment_open_control(const char *shm_name, struct segment_memory *ret_memory)
{
	return open_by_name(shm_name, SEGMENT_READ_ONLY, false, ret_memory);
}

/* Whether it is mapped as the geometry has it. */
static bool is_mapped_as(const struct segment_memory *memory, const struct geometry *geometry)
{
	return memory->plan ? geometry_is_same_plan(memory->plan, geometry)
			    : geometry->total_size <= memory->size;
}

static bool rings_agree(const struct geometry *geometry, const struct config *config,
			const void *base)
{
	const struct mempool_ring *rings =
		(const void *)((const unsigned char *)base + geometry->rings_off);
	uint64_t off = geometry->slots_off;

	for (uint32_t i = 0; i < geometry->n_rings; i++) {
		if (rings[i].slots_off != off)
			return false;
		off += geometry_ring_bytes(&config->rings[i]);
	}
	return true;
}

static bool agrees(const struct mempool_header *header, const struct geometry *geometry,
		   const struct config *config, const void *base)
{
	const struct mempool_pool_record *record =
		(const void *)((const unsigned char *)base + geometry->pools_off);

	if (header->fingerprint != geometry->fingerprint ||
	    header->total_size != geometry->total_size ||
	    header->control_bytes != geometry->control_bytes ||
	    header->data_bytes != geometry->data_bytes ||
	    header->n_holders != geometry->n_holders ||
	    header->holders_off != geometry->holders_off ||
	    header->pools_off != geometry->pools_off ||
	    header->rings_off != geometry->rings_off || header->n_topics != geometry->n_topics)
		return false;
	for (uint32_t i = 0; i <= geometry->n_pools; i++) {
		const struct geometry_pool *pool = &geometry->pools[i];

		if (record[i].chunk_size != pool->chunk_size ||
		    record[i].stride != pool->stride || record[i].data_off != pool->data_off ||
		    record[i].index_off != pool->index_off ||
		    record[i].n_chunks != pool->n_chunks)
			return false;
	}
	return rings_agree(geometry, config, base);
}

static int view_pools(struct segment *segment)
{
	for (uint32_t i = 0; i <= segment->n_pools; i++) {
		struct pool_memory memory =
			segment_pool_memory(segment->memory.base, &segment->geometry, i);
		int r = pool_view(&segment->pools[i], &memory);

		if (r < 0)
			return -EUCLEAN;
		segment->pools[i].id = i;
		segment->pools[i].cache = segment->geometry.pools[i].cache;
		segment->pools[i].is_reserve = segment->geometry.pools[i].is_reserve;
		segment->pools[i].is_exclusive = segment->geometry.pools[i].is_exclusive;
		if (i < segment->n_pools)
			segment->pools[i].lanes = &segment->lanes;
	}
	return 0;
}

/* Once there are pools. */
static void view_lanes(struct segment *segment)
{
	unsigned char *base = segment->memory.base;
	struct lanes *lanes = &segment->lanes;

	lanes->records = (void *)(base + segment->geometry.lanes_off);
	lanes->header = segment->header;
	lanes->n = segment->geometry.n_lanes;
	lanes->n_pools = segment->n_pools;
	free_list_view(&lanes->list, base + segment->geometry.lane_list_off, lanes->n);
	for (uint32_t i = 0; i < segment->n_pools; i++)
		lanes->words[i] = (struct lane_words){ segment->pools[i].entries,
						       segment->pools[i].n_chunks };
}

static int place_rings(struct segment *segment)
{
	const struct config *config = &segment->config;
	uint64_t off = segment->geometry.slots_off;
	uint32_t n_topics = 0;

	if (config->n_rings == 0)
		return 0;
	segment->ring_places = calloc(config->n_rings, sizeof(*segment->ring_places));
	segment->topic_rings = calloc(config->n_rings, sizeof(*segment->topic_rings));
	if (!segment->ring_places || !segment->topic_rings)
		return -ENOMEM;
	for (uint32_t i = 0; i < config->n_rings; i++) {
		segment->ring_places[i].slots_off = off;
		off += geometry_ring_bytes(&config->rings[i]);
		if (config->rings[i].kind != MEMPOOL_RING_TOPIC) {
			segment->ring_places[i].rank = i - n_topics;
			continue;
		}
		segment->topic_rings[n_topics] = i;
		segment->ring_places[i].rank = n_topics;
		segment->ring_places[i].holder = MEMPOOL_HOLDER_DAEMON_ID + 1 + n_topics++;
	}
	return 0;
}

/* Of a config and a geometry that fit the memory. */
static int fill_segment(struct segment *segment, const struct segment_memory *memory,
			uint64_t segment_id, uint64_t generation)
{
	unsigned char *base = memory->base;
	int r;

	segment->memory = *memory;
	segment->header = memory->base;
	segment->holders = (void *)(base + segment->geometry.holders_off);
	segment->rings = (void *)(base + segment->geometry.rings_off);
	segment->pollers = (void *)(base + segment->geometry.pollers_off);
	segment->end_words = (void *)(base + segment->geometry.end_words_off);
	segment->ends = (void *)(base + segment->geometry.ends_off);
	segment->modules = segment->config.traces ? (void *)(base + segment->geometry.modules_off)
						  : NULL;
	segment->n_pools = segment->geometry.n_pools;
	segment->n_holders = segment->geometry.n_holders;
	segment->segment_id = segment_id;
	segment->generation = generation;
	r = place_rings(segment);
	if (r == 0)
		r = view_pools(segment);
	if (r == 0)
		view_lanes(segment);
	return r;
}

static int read_segment(struct segment *segment, const struct segment_memory *memory)
{
	const struct source source = { .base = memory->base, .size = memory->size };
	struct mempool_header header;
	int r;

	r = read_header(&source, &header);
	if (r == 0)
		r = read_config(&source, &header, &segment->config);
	if (r < 0)
		return r;
	/* Of what was read, never of what stands there: it may have changed meanwhile. */
	if (geometry_init(&segment->geometry, &segment->config) < 0 ||
	    !is_mapped_as(memory, &segment->geometry) ||
	    !agrees(&header, &segment->geometry, &segment->config, memory->base))
		return -EUCLEAN;
	return fill_segment(segment, memory, header.segment_id, header.generation);
}

int segment_attach(struct segment_memory *memory, struct segment **ret_segment)
{
	struct segment *segment = calloc(1, sizeof(*segment));
	int r;

	if (!segment)
		return -ENOMEM;
	r = read_segment(segment, memory);
	if (r < 0) {
		/* The mapping is still the caller's. */
		segment->memory = SEGMENT_MEMORY_NULL;
		segment_free(segment);
		return r;
	}
	*memory = SEGMENT_MEMORY_NULL;
	*ret_segment = segment;
	return 0;
}

int segment_view(struct segment_memory *memory, const struct config *config,
		 const struct segment_identity *identity, struct segment **ret_segment)
{
	struct segment *segment = calloc(1, sizeof(*segment));
	int r;

	if (!segment)
		return -ENOMEM;
	r = config_copy(&segment->config, config);
	if (r == 0)
		r = geometry_init(&segment->geometry, config);
	if (r == 0 && !is_mapped_as(memory, &segment->geometry))
		r = -ENODATA;
	if (r == 0)
		r = fill_segment(segment, memory, identity->segment_id, identity->generation);
	if (r < 0) {
		/* The mapping is still the caller's. */
		segment->memory = SEGMENT_MEMORY_NULL;
		segment_free(segment);
		return r;
	}
	*memory = SEGMENT_MEMORY_NULL;
	*ret_segment = segment;
	return 0;
}

int segment_check_header(const struct segment *segment)
{
	/* S2 (acquire) pairs with S1 of segment_layout(). */
	uint32_t state = segment_state(segment);
	struct mempool_header header;

	copy_shared(&header, segment->header, sizeof(header));
	return header.magic == MEMPOOL_MAGIC && header.segment_id == segment->segment_id &&
			       (state == MEMPOOL_SEGMENT_READY || state == MEMPOOL_SEGMENT_RETIRED)
		       ? 0
		       : -EUCLEAN;
}

void segment_free(struct segment *segment)
{
	if (!segment)
		return;
	segment_memory_deinit(&segment->memory);
	free(segment->ring_places);
	free(segment->topic_rings);
	config_deinit(&segment->config);
	free(segment);
}

uint32_t segment_state(const struct segment *segment)
{
	/* S2 (acquire) pairs with S1 and S3. */
	return atomic_load_explicit(&segment->header->state, memory_order_acquire);
}

/* Disarms nobody: of those who poll, it reaches none. */
bool segment_wake_on(struct segment *segment, struct segment_wakes *wakes)
{
	struct mempool_eventcount *eventcount = &segment->header->chunk_freed;
	struct mempool_ring *ring;

	if (wakes->next > 2 * segment->config.n_rings)
		return false;
	if (wakes->next > 0) {
		ring = &segment->rings[(wakes->next - 1) / 2];
		eventcount = wakes->next % 2 ? &ring->filled : &ring->emptied;
	}
	if (!eventcount_wake_on(eventcount, &wakes->wake))
		wakes->next++;
	return true;
}

void segment_retire(struct segment *segment)
{
	/* S3 (release): pairs with S2; the new generation is there before this one retires. */
	atomic_store_explicit(&segment->header->state, MEMPOOL_SEGMENT_RETIRED,
			      memory_order_release);
}
