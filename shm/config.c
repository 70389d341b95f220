/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool config_name_is_valid(const char *name)
{
	size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789_-");

	return length >= 1 && length < MEMPOOL_NAME_BYTES && name[length] == '\0';
}

int config_init(struct config *config, const char *name)
{
	if (!config_name_is_valid(name))
		return -EINVAL;

	*config = (struct config){
		.max_clients = CONFIG_DEFAULT_MAX_CLIENTS,
		.fallback = true,
		.page_bytes = (uint64_t)sysconf(_SC_PAGESIZE),
		.data_align = (uint64_t)sysconf(_SC_PAGESIZE),
	};
	memcpy(config->name, name, strlen(name));
	return 0;
}

void config_deinit(struct config *config)
{
	free(config->rings);
	config->rings = NULL;
	config->n_rings = 0;
}

int config_copy(struct config *to, const struct config *from)
{
	struct config_ring *rings = NULL;

	/* As much room as config_append_ring() counts on: a power of two. */
	if (from->n_rings > 0) {
		size_t room = 1;

		while (room < from->n_rings)
			room *= 2;
		rings = calloc(room, sizeof(*rings));
		if (!rings)
			return -ENOMEM;
		memcpy(rings, from->rings, from->n_rings * sizeof(*rings));
	}
	*to = *from;
	to->rings = rings;
	return 0;
}

static bool is_power_of_two(uint64_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

static const char *pool_mistake(const struct config_pool *pool)
{
	if (pool->chunk_size == 0 || pool->chunk_size >= MEMPOOL_MAX_CHUNK_BYTES)
		return "chunk_size must be from 1 byte to less than 4 GiB";
	if (pool->n_chunks == 0 || pool->n_chunks > MEMPOOL_MAX_CHUNKS_PER_POOL)
		return "chunk_count must be from 1 to 67108864";
	if (pool->alignment < 8 || pool->alignment > 4096 ||
	    !is_power_of_two(pool->alignment))
		return "alignment must be a power of two from 8 to 4096";
	if (pool->cache > CONFIG_MAX_CACHE)
		return "cache must be at most 4096";
	return NULL;
}

static const char *reserve_mistake(const struct config *config, size_t i)
{
	const struct config_pool *pool = &config->pools[i];

	if (!pool->is_reserve)
		return NULL;
	if (i == 0 || pool[-1].is_reserve || pool[-1].chunk_size != pool->chunk_size ||
	    pool[-1].alignment != pool->alignment || pool[-1].is_exclusive != pool->is_exclusive)
		return "a reserve stands behind its pool, and has chunks of the same kind";
	return NULL;
}

/* Of one size an allocation takes any: so it could not tell what can be done with the chunk. */
static const char *sharing_mistake(const struct config *config, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (config->pools[k].chunk_size == config->pools[i].chunk_size &&
		    config->pools[k].is_exclusive != config->pools[i].is_exclusive)
			return "pools of the same chunk_size have the same sharing";
	return NULL;
}

static const char *border_mistake(const struct config *config)
{
	if (config->page_bytes < MEMPOOL_PAGE_BYTES ||
	    config->page_bytes > MEMPOOL_MAX_PAGE_BYTES || !is_power_of_two(config->page_bytes))
		return "a page is a power of two from 4 KiB to 1 MiB";
	if (config->data_align < config->page_bytes ||
	    config->data_align > MEMPOOL_MAX_DATA_ALIGN || !is_power_of_two(config->data_align))
		return "a huge page is a power of two from a page to 16 GiB";
	return NULL;
}

/* Messages in slots: by plain stores alone, and there is no place for a stamp. */
static const char *slots_mistake(const struct config_ring *ring)
{
	if (ring->slot_bytes == 0)
		return NULL;
	if (ring->slot_bytes > MEMPOOL_MAX_SLOT_BYTES)
		return "slot_bytes must be from 1 to 1024";
	if (ring->kind != MEMPOOL_RING_QUEUE)
		return "slot_bytes is for queues";
	if ((ring->flags & CONFIG_SLOTS_NEED) != CONFIG_SLOTS_NEED)
		return "slot_bytes is for queues with one sender and one receiver";
	if (ring->flags & MEMPOOL_RING_STAMPS)
		return "messages in slots have no stamps";
	return NULL;
}

static const char *ring_mistake(const struct config_ring *ring)
{
	if (!config_name_is_valid(ring->name))
		return "a queue or topic is named with 1 to 31 of A-Z a-z 0-9 _ -";
	if (ring->kind != MEMPOOL_RING_QUEUE && ring->kind != MEMPOOL_RING_TOPIC)
		return "a ring is a queue or a topic";
	if (!is_power_of_two(ring->capacity) || ring->capacity > MEMPOOL_MAX_RING_CAPACITY)
		return "capacity must be a power of two up to 67108864";
	if (ring->flags & ~(uint32_t)(MEMPOOL_RING_HOLDS | MEMPOOL_RING_STAMPS |
				      MEMPOOL_RING_ONE_SENDER | MEMPOOL_RING_ONE_RECEIVER))
		return "a flag of a queue or topic is not known";
	if (ring->kind == MEMPOOL_RING_TOPIC &&
	    (ring->flags & (MEMPOOL_RING_ONE_SENDER | MEMPOOL_RING_ONE_RECEIVER)))
		return "one sender or receiver is for queues";
	return slots_mistake(ring);
}

uint32_t config_default_cache(uint64_t chunk_size)
{
	const uint64_t bytes = UINT64_C(256) << 10;
	uint64_t cache = bytes / chunk_size;

	if (cache < 2)
		return 2;
	return cache < CONFIG_DEFAULT_CACHE ? (uint32_t)cache : CONFIG_DEFAULT_CACHE;
}

uint32_t config_slot_stride(const struct config_ring *ring)
{
	const uint32_t bytes = ring->slot_bytes + (uint32_t)sizeof(uint64_t);
	const uint32_t to = bytes <= MEMPOOL_LINE_BYTES ? sizeof(uint64_t) : MEMPOOL_LINE_BYTES;

	return (bytes + to - 1) & ~(to - 1);
}

uint64_t config_stride(const struct config_pool *pool)
{
	return (pool->chunk_size + pool->alignment - 1) & ~(uint64_t)(pool->alignment - 1);
}

int config_add_pool(struct config *config, uint64_t chunk_size, uint64_t n_chunks)
{
	struct config_pool pool = {
		.chunk_size = chunk_size,
		.n_chunks = n_chunks,
		.alignment = CONFIG_DEFAULT_ALIGNMENT,
		.cache = chunk_size > 0 ? config_default_cache(chunk_size) : 0,
	};

	if (pool_mistake(&pool))
		return -EINVAL;
	if (config->n_pools >= MEMPOOL_MAX_DATA_POOLS)
		return -E2BIG;

	config->pools[config->n_pools++] = pool;
	return 0;
}

int config_add_reserve(struct config *config, uint64_t n_chunks)
{
	struct config_pool *pool;

	if (config->n_pools == 0)
		return -EINVAL;
	pool = &config->pools[config->n_pools - 1];
	if (pool->is_reserve || n_chunks == 0 || n_chunks >= pool->n_chunks)
		return -EINVAL;
	if (config->n_pools >= MEMPOOL_MAX_DATA_POOLS)
		return -E2BIG;

	pool[1] = pool[0];
	pool[1].is_reserve = true;
	pool[1].n_chunks = n_chunks;
	pool[0].n_chunks -= n_chunks;
	config->n_pools++;
	return 0;
}

uint64_t config_n_reserved(const struct config *config, size_t pool)
{
	return pool + 1 < config->n_pools && config->pools[pool + 1].is_reserve
		       ? config->pools[pool + 1].n_chunks : 0;
}

static const struct config_ring *find_ring(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->n_rings; i++)
		if (strcmp(config->rings[i].name, name) == 0)
			return &config->rings[i];
	return NULL;
}

int config_append_ring(struct config *config, const char *name, enum mempool_ring_kind kind,
		       uint64_t capacity)
{
	struct config_ring ring = { .kind = kind, .capacity = capacity };
	struct config_ring *rings;
	size_t length = strlen(name);

	if (length >= sizeof(ring.name))
		return -EINVAL;
	memcpy(ring.name, name, length);
	if (ring_mistake(&ring))
		return -EINVAL;
	if (config->n_rings >= MEMPOOL_MAX_RINGS)
		return -E2BIG;

	/* Doubled at each power of two, so that many rings are added in linear time. */
	if (config->n_rings == 0 || is_power_of_two(config->n_rings)) {
		size_t room = config->n_rings ? 2 * config->n_rings : 1;

		rings = realloc(config->rings, room * sizeof(*rings));
		if (!rings)
			return -ENOMEM;
		config->rings = rings;
	}
	config->rings[config->n_rings++] = ring;
	return 0;
}

int config_add_ring(struct config *config, const char *name, enum mempool_ring_kind kind,
		    uint64_t capacity)
{
	return find_ring(config, name) ? -EEXIST
				       : config_append_ring(config, name, kind, capacity);
}

bool config_yields(const struct config *config)
{
	for (size_t i = 0; i < config->n_rings; i++)
		if (config_ring_yields(&config->rings[i]))
			return true;
	return false;
}

uint32_t config_n_topics(const struct config *config)
{
	uint32_t n = 0;

	for (size_t i = 0; i < config->n_rings; i++)
		n += config->rings[i].kind == MEMPOOL_RING_TOPIC;
	return n;
}

bool config_has_stamps(const struct config *config)
{
	for (size_t i = 0; i < config->n_rings; i++)
		if (config->rings[i].flags & MEMPOOL_RING_STAMPS)
			return true;
	return false;
}

uint32_t config_n_managers(const struct config *config)
{
	uint64_t n = 0;

	for (size_t i = 0; i < config->n_pools; i++)
		n += config->pools[i].is_exclusive ? 0 : config->pools[i].n_chunks;
	return n > 0 ? (uint32_t)n : 1;
}

/* Rounded up to 64, so that sharer bits fill whole words. */
static uint64_t round_holders(uint64_t n_clients, uint64_t n_topics)
{
	return (n_clients + n_topics + MEMPOOL_HOLDER_DAEMON_ID + 1 + 63) & ~UINT64_C(63);
}

uint32_t config_n_holders(const struct config *config)
{
	return (uint32_t)round_holders(config->max_clients, config_n_topics(config));
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* By sorting: a hostile header may name tens of thousands of rings. */
static const char *twin_mistake(const struct config *config)
{
	const char **names;
	const char *mistake = NULL;

	if (config->n_rings < 2)
		return NULL;
	names = calloc(config->n_rings, sizeof(*names));
	if (!names)
		return "out of memory";
	for (size_t i = 0; i < config->n_rings; i++)
		names[i] = config->rings[i].name;
	qsort(names, config->n_rings, sizeof(*names), compare_names);
	for (size_t i = 1; i < config->n_rings && !mistake; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			mistake = "two queues or topics have the same name";
	free(names);
	return mistake;
}

static const char *config_mistake(const struct config *config)
{
	uint64_t n_chunks = 0;
	const char *mistake;

	if (!config_name_is_valid(config->name))
		return "a segment is named with 1 to 31 of A-Z a-z 0-9 _ -";
	if (config->n_pools == 0)
		return "a segment needs at least one pool";
	if (config->n_pools > MEMPOOL_MAX_DATA_POOLS)
		return "a segment has at most 62 pools";
	if (config->n_rings > MEMPOOL_MAX_RINGS)
		return "a segment has at most 32767 queues and topics";
	mistake = border_mistake(config);
	if (mistake)
		return mistake;

	for (size_t i = 0; i < config->n_pools; i++) {
		mistake = pool_mistake(&config->pools[i]);
		if (!mistake)
			mistake = reserve_mistake(config, i);
		if (!mistake)
			mistake = sharing_mistake(config, i);
		if (mistake)
			return mistake;
		n_chunks += config->pools[i].n_chunks;
	}
	if (n_chunks > MEMPOOL_MAX_CHUNKS)
		return "a segment has at most 1073741824 chunks in all pools together";

	for (size_t i = 0; i < config->n_rings; i++) {
		mistake = ring_mistake(&config->rings[i]);
		if (mistake)
			return mistake;
	}
	mistake = twin_mistake(config);
	if (mistake)
		return mistake;

	if (config->max_clients == 0 || config->max_clients >= MEMPOOL_MAX_HOLDERS ||
	    round_holders(config->max_clients, config_n_topics(config)) >= MEMPOOL_MAX_HOLDERS)
		return "max_clients and topics together must be from 1 to 32702";
	return NULL;
}

int config_check(const struct config *config, const char **reterr_text)
{
	const char *mistake = config_mistake(config);

	if (!mistake)
		return 0;
	if (reterr_text)
		*reterr_text = mistake;
	return -EINVAL;
}

static bool pool_is_same(const struct config_pool *a, const struct config_pool *b)
{
	return a->chunk_size == b->chunk_size && a->n_chunks == b->n_chunks &&
	       a->alignment == b->alignment && a->cache == b->cache &&
	       a->is_reserve == b->is_reserve && a->is_exclusive == b->is_exclusive;
}

static bool ring_is_same(const struct config_ring *a, const struct config_ring *b)
{
	return strcmp(a->name, b->name) == 0 && a->kind == b->kind &&
	       a->capacity == b->capacity && a->flags == b->flags &&
	       a->slot_bytes == b->slot_bytes;
}

bool config_is_same(const struct config *a, const struct config *b)
{
	if (strcmp(a->name, b->name) != 0 || config_n_holders(a) != config_n_holders(b) ||
	    a->fallback != b->fallback || a->n_pools != b->n_pools ||
	    a->n_rings != b->n_rings || a->page_bytes != b->page_bytes ||
	    a->data_align != b->data_align || a->traces != b->traces)
		return false;
	for (size_t i = 0; i < a->n_pools; i++)
		if (!pool_is_same(&a->pools[i], &b->pools[i]))
			return false;
	for (size_t i = 0; i < a->n_rings; i++)
		if (!ring_is_same(&a->rings[i], &b->rings[i]))
			return false;
	return true;
}
