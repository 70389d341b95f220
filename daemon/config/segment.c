/* SPDX-License-Identifier: MIT */
/*
 * segment.c - the keys of `segments` and what they mean
 *
 * Ranges of single values are checked here, where their place is known; what only several
 * of them together can break is left to config_check() and reported at the segment. What
 * is legal but probably not meant is a warning, given once the segment is whole.
 */
#include "daemon/config/segment.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "daemon/config/pages.h"
#include "daemon/config/yaml/reader.h"
#include "daemon/config/yaml/value.h"

/* All segments while they are read. */
struct list {
	struct conf_segment **segments;
	size_t *n_segments;
	const struct conf_node *node;
	void *names;				/* tsearch(3) tree of nodes */
	uint64_t total_bytes;
};

/* A segment while it is read, and where its parts stand. */
struct draft {
	struct conf_segment *segment;
	struct list *list;
	const struct conf_node *node;
	const struct conf_node *pools;
	const struct conf_node *topics;
	const struct conf_node *readers;
	const struct conf_node *spectators;
	const struct conf_node *bounds;
	const struct conf_node *slot_bytes;	/* of the first queue that has it */
	void *ring_names;			/* as list.names */
	uint64_t n_newest;			/* messages that never yield: one of each topic, */
	uint64_t n_held;			/* and those of topics whose history is held */
};

/* A queue or topic while it is read. */
struct ring_draft {
	struct draft *draft;
	const char *name;
	uint64_t capacity;
	uint32_t flags;
	uint64_t slot_bytes;
	const struct conf_node *slots;		/* where that stands */
	const struct conf_node *stamps;
};

/* Names of segments, and of the queues and topics of one segment */

static int compare_names(const void *a, const void *b)
{
	const struct conf_node *x = a, *y = b;

	return strcmp(x->value, y->value);
}

static void forget_name(void *node)
{
	/* The node is the tree's that was parsed. */
	(void)node;
}

static void free_names(void *names)
{
	tdestroy(names, forget_name);
}

/* The name of one more @kind; of two that are the same, the later one is refused. */
static int read_name(struct conf_reader *reader, const struct conf_node *node,
		     const char *kind, void **names, const char **ret_name)
{
	const struct conf_node *first, *again = node;
	struct conf_node **found;
	const char *name;
	int r;

	r = conf_read_string(reader, node, "a name", &name);
	if (r < 0)
		return r;
	if (!config_name_is_valid(name))
		return conf_fail_value(reader, node,
				       "a name is 1 to 31 of A-Z, a-z, 0-9, _ and -");

	found = tsearch(node, names, compare_names);
	if (!found)
		return -ENOMEM;
	first = *found;
	if (first != node) {
		/* Queues are read before topics, wherever they stand. */
		if (first->line > node->line) {
			first = node;
			again = *found;
		}
		return conf_fail(reader, again,
				 "'%s' is the name of a %s already, in line %u", name,
				 kind, first->line);
	}
	*ret_name = name;
	return 0;
}

/* Pools of a segment */

/* A pool while it is read, and its reserve. */
struct pool_draft {
	struct config_pool pool;
	const struct conf_node *reserve;	/* NULL: it has none */
	uint64_t n_reserved;
	struct conf_access named;		/* who may have chunks of it */
};

static int read_chunk_size(struct conf_reader *reader, const struct conf_node *node,
			   void *object)
{
	static const struct conf_number number = {
		conf_value_size, "a size", 1, MEMPOOL_MAX_CHUNK_BYTES - 1,
		"a chunk has at least 1 byte and less than 4GiB",
	};
	struct pool_draft *draft = object;

	return conf_read_number(reader, node, &number, &draft->pool.chunk_size);
}

static int read_chunk_count(struct conf_reader *reader, const struct conf_node *node,
			    void *object)
{
	static const struct conf_number number = {
		conf_value_count, "a number", 1, MEMPOOL_MAX_CHUNKS_PER_POOL,
		"a pool has from 1 to 67108864 chunks",
	};
	struct pool_draft *draft = object;

	return conf_read_number(reader, node, &number, &draft->pool.n_chunks);
}

static int read_alignment(struct conf_reader *reader, const struct conf_node *node,
			  void *object)
{
	static const struct conf_number number = {
		conf_value_size, "a size", 8, 4096,
		"an alignment is a power of two from 8 to 4096",
	};
	struct pool_draft *draft = object;
	uint64_t alignment;
	int r;

	r = conf_read_number(reader, node, &number, &alignment);
	if (r < 0)
		return r;
	if (alignment & (alignment - 1))
		return conf_fail_value(reader, node, number.range);
	draft->pool.alignment = (uint32_t)alignment;
	return 0;
}

static int read_cache(struct conf_reader *reader, const struct conf_node *node,
		      void *object)
{
	static const struct conf_number number = {
		conf_value_count, "a number", 0, CONFIG_MAX_CACHE,
		"a thread's cache holds from 0 to 4096 chunks",
	};
	struct pool_draft *draft = object;
	uint64_t cache;
	int r;

	r = conf_read_number(reader, node, &number, &cache);
	if (r < 0)
		return r;
	draft->pool.cache = (uint32_t)cache;
	return 0;
}

static int read_sharing(struct conf_reader *reader, const struct conf_node *node, void *object)
{
	struct pool_draft *draft = object;
	bool sharing;
	int r;

	r = conf_read_bool(reader, node, &sharing);
	if (r < 0)
		return r;
	draft->pool.is_exclusive = !sharing;
	return 0;
}

static int read_reserve_count(struct conf_reader *reader, const struct conf_node *node,
			      void *object)
{
	static const struct conf_number number = {
		conf_value_count, "a number", 1, MEMPOOL_MAX_CHUNKS_PER_POOL,
		"a reserve has at least 1 chunk",
	};
	struct pool_draft *draft = object;

	return conf_read_number(reader, node, &number, &draft->n_reserved);
}

static int read_reserve_users(struct conf_reader *reader, const struct conf_node *node,
			      void *object)
{
	struct pool_draft *draft = object;

	return conf_read_access_users(reader, node, &draft->named);
}

static int read_reserve_groups(struct conf_reader *reader, const struct conf_node *node,
			       void *object)
{
	struct pool_draft *draft = object;

	return conf_read_access_groups(reader, node, &draft->named);
}

static const struct conf_key reserve_keys[] = {
	{ "chunk_count", read_reserve_count, true },
	{ "users", read_reserve_users, false },
	{ "groups", read_reserve_groups, false },
	{ NULL, NULL, false },
};

static int read_reserve(struct conf_reader *reader, const struct conf_node *node, void *object)
{
	struct pool_draft *draft = object;

	draft->reserve = node;
	return conf_read_mapping(reader, node, "a reserve", reserve_keys, draft);
}

static const struct conf_key pool_keys[] = {
	{ "chunk_size", read_chunk_size, true },
	{ "chunk_count", read_chunk_count, true },
	{ "alignment", read_alignment, false },
	{ "cache", read_cache, false },
	{ "sharing", read_sharing, false },
	{ "reserve", read_reserve, false },
	{ NULL, NULL, false },
};

/*
 * An allocation takes the smallest chunk that fits, out of any pool that has it. So a size that
 * repeats is of use only with another alignment, or for a reserve of its own.
 */
static void warn_pool_order(struct conf_reader *reader, const struct conf_node *node,
			    const struct config *shape, bool has_reserve)
{
	const struct config_pool *pool = &shape->pools[shape->n_pools - 1];
	size_t n_pools = 0;

	for (size_t i = 0; i + 1 < shape->n_pools; i++) {
		n_pools += !shape->pools[i].is_reserve;
		if (!has_reserve && config_n_reserved(shape, i) == 0 && !shape->pools[i].is_reserve &&
		    shape->pools[i].chunk_size == pool->chunk_size &&
		    shape->pools[i].alignment == pool->alignment) {
			conf_warn(reader, node,
				  "pool %zu has the same chunk_size: allocations use both "
				  "as one, so one pool with all the chunks does the same",
				  n_pools);
			return;
		}
	}
	if (shape->n_pools > 1 && pool[-1].chunk_size > pool->chunk_size)
		conf_warn(reader, node,
			  "chunk_size is smaller than that of the pool above: "
			  "pools are easier to read from small to large");
}

#define CACHE_NOT_SAID UINT32_MAX

static int add_pool(struct conf_reader *reader, const struct conf_node *node,
		    struct config *shape, const struct pool_draft *draft)
{
	const struct config_pool *pool = &draft->pool;
	int r = config_add_pool(shape, pool->chunk_size, pool->n_chunks);

	if (r == -E2BIG)
		return conf_fail(reader, node,
				 "one pool too many: a segment has at most %d",
				 MEMPOOL_MAX_DATA_POOLS);
	assert(r == 0);
	shape->pools[shape->n_pools - 1] = *pool;

	warn_pool_order(reader, node, shape, draft->reserve != NULL);
	return 0;
}

/* It is a pool behind the one that was just added; who may have it stands beside. */
static int add_reserve(struct conf_reader *reader, struct conf_segment *segment,
		       struct pool_draft *pool)
{
	struct config *shape = &segment->shape;
	int r;

	if (conf_access_is_empty(&pool->named))
		return conf_fail(reader, pool->reserve,
				 "nobody may have these chunks: name users or groups");
	if (pool->n_reserved >= pool->pool.n_chunks)
		return conf_fail(reader, pool->reserve, "a reserve is less than its pool, which has %"
				 PRIu64 " chunks", pool->pool.n_chunks);
	r = config_add_reserve(shape, pool->n_reserved);
	if (r == -E2BIG)
		return conf_fail(reader, pool->reserve, "one pool too many: a segment has at most %d, "
				 "and a reserve counts as one", MEMPOOL_MAX_DATA_POOLS);
	assert(r == 0);
	segment->reserves[shape->n_pools - 1] = pool->named;
	pool->named = (struct conf_access){ .n_users = 0 };
	return 0;
}

static int read_pool(struct conf_reader *reader, const struct conf_node *node,
		     void *object)
{
	struct draft *draft = object;
	struct pool_draft pool = {
		.pool.alignment = CONFIG_DEFAULT_ALIGNMENT,
		.pool.cache = CACHE_NOT_SAID,
	};
	int r;

	r = conf_read_mapping(reader, node, "a pool", pool_keys, &pool);
	if (r == 0 && pool.pool.cache == CACHE_NOT_SAID)
		pool.pool.cache = config_default_cache(pool.pool.chunk_size);
	if (r == 0)
		r = add_pool(reader, node, &draft->segment->shape, &pool);
	if (r == 0 && pool.reserve)
		r = add_reserve(reader, draft->segment, &pool);
	conf_access_deinit(&pool.named);
	return r;
}

static int read_pools(struct conf_reader *reader, const struct conf_node *node,
		      void *object)
{
	struct draft *draft = object;

	draft->pools = node;
	return conf_read_list(reader, node, read_pool, draft);
}

/* Queues and topics of a segment */

static int read_ring_name(struct conf_reader *reader, const struct conf_node *node,
			  void *object)
{
	struct ring_draft *ring = object;

	return read_name(reader, node, "queue or topic", &ring->draft->ring_names,
			 &ring->name);
}

static int read_capacity(struct conf_reader *reader, const struct conf_node *node,
			 void *object)
{
	static const struct conf_number number = {
		conf_value_count, "a number", 1, MEMPOOL_MAX_RING_CAPACITY,
		"a capacity is a power of two from 1 to 67108864",
	};
	struct ring_draft *ring = object;
	int r;

	r = conf_read_number(reader, node, &number, &ring->capacity);
	if (r < 0)
		return r;
	if (ring->capacity & (ring->capacity - 1))
		return conf_fail_value(reader, node, number.range);
	return 0;
}

static int read_history(struct conf_reader *reader, const struct conf_node *node,
			void *object)
{
	static const struct conf_choice choices[] = {
		{ "yield", 0 },
		{ "hold", MEMPOOL_RING_HOLDS },
		{ NULL, 0 },
	};
	struct ring_draft *ring = object;
	int value, r;

	r = conf_read_choice(reader, node, choices, &value);
	if (r < 0)
		return r;
	ring->flags |= (uint32_t)value;
	return 0;
}

static int read_stamps(struct conf_reader *reader, const struct conf_node *node, void *object)
{
	struct ring_draft *ring = object;
	bool stamps;
	int r;

	r = conf_read_bool(reader, node, &stamps);
	if (r < 0)
		return r;
	ring->flags |= stamps ? MEMPOOL_RING_STAMPS : 0;
	ring->stamps = node;
	return 0;
}

/* So many threads may be that end of a queue at a time. */
static int read_ends(struct conf_reader *reader, const struct conf_node *node,
		     struct ring_draft *ring, int flag)
{
	const struct conf_choice choices[] = {
		{ "many", 0 },
		{ "one", flag },
		{ NULL, 0 },
	};
	int value, r;

	r = conf_read_choice(reader, node, choices, &value);
	if (r < 0)
		return r;
	ring->flags |= (uint32_t)value;
	return 0;
}

static int read_senders(struct conf_reader *reader, const struct conf_node *node, void *object)
{
	return read_ends(reader, node, object, MEMPOOL_RING_ONE_SENDER);
}

static int read_receivers(struct conf_reader *reader, const struct conf_node *node, void *object)
{
	return read_ends(reader, node, object, MEMPOOL_RING_ONE_RECEIVER);
}

static int read_slot_bytes(struct conf_reader *reader, const struct conf_node *node, void *object)
{
	static const struct conf_number number = {
		conf_value_size, "a size", 1, MEMPOOL_MAX_SLOT_BYTES,
		"slot_bytes is from 1 to 1024",
	};
	struct ring_draft *ring = object;

	ring->slots = node;
	if (!ring->draft->slot_bytes)
		ring->draft->slot_bytes = node;
	return conf_read_number(reader, node, &number, &ring->slot_bytes);
}

static const struct conf_key queue_keys[] = {
	{ "name", read_ring_name, true },
	{ "capacity", read_capacity, true },
	{ "stamps", read_stamps, false },
	{ "senders", read_senders, false },
	{ "receivers", read_receivers, false },
	{ "slot_bytes", read_slot_bytes, false },
	{ NULL, NULL, false },
};

static const struct conf_key topic_keys[] = {
	{ "name", read_ring_name, true },
	{ "capacity", read_capacity, true },
	{ "history", read_history, false },
	{ "stamps", read_stamps, false },
	{ NULL, NULL, false },
};

/* What config_check() says of all, where it stands. */
static int check_slots(struct conf_reader *reader, const struct ring_draft *ring)
{
	if (!ring->slots)
		return 0;
	if ((ring->flags & CONFIG_SLOTS_NEED) != CONFIG_SLOTS_NEED)
		return conf_fail(reader, ring->slots, "slot_bytes needs `senders: one` and "
				 "`receivers: one`");
	if (ring->flags & MEMPOOL_RING_STAMPS)
		return conf_fail(reader, ring->stamps, "messages in slots have no stamps: leave out "
				 "stamps, or slot_bytes");
	return 0;
}

static int read_ring(struct conf_reader *reader, const struct conf_node *node,
		     struct draft *draft, enum mempool_ring_kind kind)
{
	struct config *shape = &draft->segment->shape;
	struct ring_draft ring = { .draft = draft };
	int r;

	r = conf_read_mapping(reader, node,
			      kind == MEMPOOL_RING_QUEUE ? "a queue" : "a topic",
			      kind == MEMPOOL_RING_QUEUE ? queue_keys : topic_keys, &ring);
	if (r == 0)
		r = check_slots(reader, &ring);
	if (r < 0)
		return r;

	r = config_append_ring(shape, ring.name, kind, ring.capacity);
	if (r == -E2BIG)
		return conf_fail(reader, node,
				 "too many: a segment has at most %d queues and topics",
				 MEMPOOL_MAX_RINGS);
	if (r == -ENOMEM)
		return r;
	assert(r == 0);
	shape->rings[shape->n_rings - 1].flags = ring.flags;
	shape->rings[shape->n_rings - 1].slot_bytes = (uint32_t)ring.slot_bytes;
	if (kind == MEMPOOL_RING_TOPIC) {
		draft->n_newest++;
		draft->n_held += ring.flags & MEMPOOL_RING_HOLDS ? ring.capacity - 1 : 0;
	}
	return 0;
}

static int read_queue(struct conf_reader *reader, const struct conf_node *node,
		      void *object)
{
	return read_ring(reader, node, object, MEMPOOL_RING_QUEUE);
}

static int read_queues(struct conf_reader *reader, const struct conf_node *node,
		       void *object)
{
	return conf_read_list(reader, node, read_queue, object);
}

static int read_topic(struct conf_reader *reader, const struct conf_node *node,
		      void *object)
{
	return read_ring(reader, node, object, MEMPOOL_RING_TOPIC);
}

static int read_topics(struct conf_reader *reader, const struct conf_node *node,
		       void *object)
{
	struct draft *draft = object;

	draft->topics = node;
	return conf_read_list(reader, node, read_topic, draft);
}

/* Segments */

static int read_segment_name(struct conf_reader *reader, const struct conf_node *node,
			     void *object)
{
	struct draft *draft = object;
	const char *name;
	int r;

	r = read_name(reader, node, "segment", &draft->list->names, &name);
	if (r < 0)
		return r;
	r = config_init(&draft->segment->shape, name);
	assert(r == 0);
	return r;
}

static int read_allow(struct conf_reader *reader, const struct conf_node *node,
		      void *object)
{
	struct draft *draft = object;

	return conf_read_access_or_anybody(reader, node, "allow, or the word anybody",
					   &draft->segment->allow);
}

static int read_readers(struct conf_reader *reader, const struct conf_node *node,
			void *object)
{
	struct draft *draft = object;

	draft->readers = node;
	return conf_read_access_or_anybody(reader, node, "readers, or the word anybody",
					   &draft->segment->readers);
}

static int read_spectators(struct conf_reader *reader, const struct conf_node *node,
			   void *object)
{
	struct draft *draft = object;

	draft->spectators = node;
	return conf_read_access_or_anybody(reader, node, "spectators, or the word anybody",
					   &draft->segment->spectators);
}

static int read_max_chunks(struct conf_reader *reader, const struct conf_node *node,
			   void *object)
{
	struct draft *draft = object;

	return conf_read_max_chunks(reader, node, &draft->segment->bounds.all);
}

static int read_max_bytes(struct conf_reader *reader, const struct conf_node *node,
			  void *object)
{
	struct draft *draft = object;

	draft->bounds = node;
	return conf_read_max_bytes(reader, node, &draft->segment->bounds.all);
}

static int read_bounds(struct conf_reader *reader, const struct conf_node *node,
		       void *object)
{
	struct draft *draft = object;

	draft->bounds = node;
	return conf_read_bound_rules(reader, node, &draft->segment->bounds);
}

static int read_open_mode(struct conf_reader *reader, const struct conf_node *node,
			  void *object)
{
	static const struct conf_choice choices[] = {
		{ "open_or_create", SEGMENT_OPEN_OR_CREATE },
		{ "create", SEGMENT_CREATE },
		{ "open", SEGMENT_OPEN },
		{ "purge_and_create", SEGMENT_PURGE_AND_CREATE },
		{ NULL, 0 },
	};
	struct draft *draft = object;
	int value, r;

	r = conf_read_choice(reader, node, choices, &value);
	if (r < 0)
		return r;
	draft->segment->open_mode = (enum segment_open_mode)value;
	return 0;
}

static int read_backing(struct conf_reader *reader, const struct conf_node *node,
			void *object)
{
	static const struct conf_choice choices[] = {
		{ "shm", SEGMENT_SHM },
		{ "memfd", SEGMENT_MEMFD },
		{ NULL, 0 },
	};
	struct draft *draft = object;
	int value, r;

	r = conf_read_choice(reader, node, choices, &value);
	if (r < 0)
		return r;
	draft->segment->backing = (enum segment_backing)value;
	return 0;
}

static int read_max_clients(struct conf_reader *reader, const struct conf_node *node,
			    void *object)
{
	/* With two reserved ids and rounded up to 64: below MEMPOOL_MAX_HOLDERS. */
	static const struct conf_number number = {
		conf_value_count, "a number", 1, MEMPOOL_MAX_HOLDERS - 64 - 2,
		"a segment has from 1 to 32702 clients",
	};
	struct draft *draft = object;

	return conf_read_number(reader, node, &number,
				&draft->segment->shape.max_clients);
}

static int read_fallback(struct conf_reader *reader, const struct conf_node *node,
			 void *object)
{
	struct draft *draft = object;

	return conf_read_bool(reader, node, &draft->segment->shape.fallback);
}

/* One of two words, of which one is true. */
static int read_either(struct conf_reader *reader, const struct conf_node *node,
		       const struct conf_choice *choices, bool *ret)
{
	int value, r = conf_read_choice(reader, node, choices, &value);

	if (r == 0)
		*ret = value != 0;
	return r;
}

static int read_trace(struct conf_reader *reader, const struct conf_node *node,
		      void *object)
{
	static const struct conf_choice choices[] = {
		{ "none", false },
		{ "allocations", true },
		{ NULL, 0 },
	};
	struct draft *draft = object;

	return read_either(reader, node, choices, &draft->segment->shape.traces);
}

static int read_claims(struct conf_reader *reader, const struct conf_node *node,
		       void *object)
{
	static const struct conf_choice choices[] = {
		{ "plain", true },
		{ "swap", false },
		{ NULL, 0 },
	};
	struct draft *draft = object;

	return read_either(reader, node, choices, &draft->segment->plain_claims);
}

static int read_prefault(struct conf_reader *reader, const struct conf_node *node,
			 void *object)
{
	struct draft *draft = object;

	return conf_read_bool(reader, node, &draft->segment->pages.prefault);
}

static int read_lock(struct conf_reader *reader, const struct conf_node *node,
		     void *object)
{
	struct draft *draft = object;

	return conf_read_bool(reader, node, &draft->segment->pages.lock);
}

static int read_huge_pages(struct conf_reader *reader, const struct conf_node *node,
			   void *object)
{
	struct draft *draft = object;
	struct conf_segment *segment = draft->segment;
	int r = conf_read_huge_pages(reader, node, &segment->pages);

	/* Chunk data begins at them, and takes whole ones. */
	if (segment->pages.huge_bytes > segment->shape.page_bytes)
		segment->shape.data_align = segment->pages.huge_bytes;
	return r;
}

static int read_numa(struct conf_reader *reader, const struct conf_node *node,
		     void *object)
{
	struct draft *draft = object;

	return conf_read_numa(reader, node, &draft->segment->pages);
}

/* The name first: it makes the shape that the others fill in. */
static const struct conf_key segment_keys[] = {
	{ "name", read_segment_name, true },
	{ "allow", read_allow, false },
	{ "readers", read_readers, false },
	{ "spectators", read_spectators, false },
	{ "max_chunks_per_client", read_max_chunks, false },
	{ "max_bytes_per_client", read_max_bytes, false },
	{ "bounds", read_bounds, false },
	{ "open_mode", read_open_mode, false },
	{ "backing", read_backing, false },
	{ "max_clients", read_max_clients, false },
	{ "fallback", read_fallback, false },
	{ "trace", read_trace, false },
	{ "claims", read_claims, false },
	{ "prefault", read_prefault, false },
	{ "lock", read_lock, false },
	{ "huge_pages", read_huge_pages, false },
	{ "numa", read_numa, false },
	{ "pools", read_pools, true },
	{ "queues", read_queues, false },
	{ "topics", read_topics, false },
	{ NULL, NULL, false },
};

/* Nobody opens the memory by its name: rights on it would let in nobody, and keep out nobody. */
static int refuse_rights(struct conf_reader *reader, const struct conf_node *node)
{
	if (node->kind != CONF_MAPPING)
		return 0;
	for (const struct conf_node *key = node->first; key; key = key->next)
		if (strcmp(key->value, "mode") == 0 || strcmp(key->value, "group") == 0)
			return conf_fail(reader, key, "a segment has no mode and no group of its "
					 "own: say with `allow:` who may use it");
	return 0;
}

/* A reader writes to control. Of a segment of files, it could truncate that; and messages could stand there. */
static int check_readers(struct conf_reader *reader, const struct draft *draft)
{
	if (!conf_access_is_empty(&draft->segment->readers) &&
	    draft->segment->backing != SEGMENT_MEMFD)
		return conf_fail(reader, draft->readers, "readers need `backing: memfd`: files in "
				 "/dev/shm could be truncated by them");
	if (!conf_access_is_empty(&draft->segment->readers) && draft->slot_bytes)
		return conf_fail(reader, draft->slot_bytes, "not in a segment with readers: they could "
				 "write to messages in slots");
	return 0;
}

/* A client that may hold nothing is better not let in. */
static int check_bounds(struct conf_reader *reader, const struct draft *draft)
{
	const struct config *shape = &draft->segment->shape;
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; i < shape->n_pools; i++) {
		uint64_t stride = config_stride(&shape->pools[i]);

		least = stride < least ? stride : least;
	}
	if (conf_bounds_least_bytes(&draft->segment->bounds) < least)
		return conf_fail(reader, draft->bounds, "the smallest chunk of the segment takes %"
				 PRIu64 " bytes, its alignment included: a client with fewer could "
				 "hold none", least);
	return 0;
}

/* Who is looked for in vain. */
static void warn_roles(struct conf_reader *reader, const struct draft *draft)
{
	const struct conf_segment *segment = draft->segment;

	if (draft->readers && segment->allow.anybody)
		conf_warn(reader, draft->readers, "nobody is a reader: `allow: anybody` comes first");
	if (draft->spectators && (segment->allow.anybody || segment->readers.anybody))
		conf_warn(reader, draft->spectators, "nobody is a spectator: `%s: anybody` comes "
			  "first", segment->allow.anybody ? "allow" : "readers");
}

/* Whether a topic can keep messages there, whoever publishes them. */
static bool can_keep(const struct config_pool *pool)
{
	return !pool->is_reserve && !pool->is_exclusive;
}

/* The newest message of a topic never yields: with all of them there must be chunks left. */
static int check_topics(struct conf_reader *reader, const struct draft *draft)
{
	const struct config *shape = &draft->segment->shape;
	uint64_t n_chunks = 0;
	bool all_share = true;

	for (size_t i = 0; i < shape->n_pools; i++) {
		n_chunks += can_keep(&shape->pools[i]) ? shape->pools[i].n_chunks : 0;
		all_share = all_share && !shape->pools[i].is_exclusive;
	}
	if (draft->n_newest == 0)
		return 0;
	if (n_chunks == 0)
		return conf_fail(reader, draft->topics, "a topic's messages are shared, and all pools "
				 "have `sharing: false`");
	if (draft->n_newest >= n_chunks)
		return conf_fail(reader, draft->topics,
				 "%" PRIu64 " topics each keep their newest message, whatever happens: "
				 "the pools%s must have more chunks than that, and have %" PRIu64,
				 draft->n_newest, all_share ? "" : " that share", n_chunks);
	return 0;
}

static void warn_topics(struct conf_reader *reader, const struct draft *draft)
{
	const struct config *shape = &draft->segment->shape;
	uint64_t n_kept = draft->n_newest + draft->n_held;

	for (size_t i = 0; i < shape->n_pools && draft->topics; i++) {
		if (n_kept < shape->pools[i].n_chunks || !can_keep(&shape->pools[i]))
			continue;
		conf_warn(reader, draft->topics,
			  "topics keep up to %" PRIu64 " chunks that do not yield, which may be all %"
			  PRIu64 " of the pool of %" PRIu64 " bytes%s",
			  n_kept, shape->pools[i].n_chunks, shape->pools[i].chunk_size,
			  config_n_reserved(shape, i) ? " that are not in reserve" : "");
		return;
	}
}

/* What huge pages take beyond the chunks, where that is more than a tenth of them. */
static void warn_rounding(struct conf_reader *reader, const struct draft *draft)
{
	const struct config *shape = &draft->segment->shape;
	const uint64_t border = shape->data_align;
	uint64_t used = 0, taken;

	for (size_t i = 0; i < shape->n_pools; i++)
		used += shape->pools[i].n_chunks * config_stride(&shape->pools[i]);
	taken = (used + border - 1) / border * border;
	if (border > shape->page_bytes && taken - used > used / 10)
		conf_warn(reader, draft->pools,
			  "the pools take %" PRIu64 " MiB of huge pages for %" PRIu64 " KiB of chunks: "
			  "larger pools would use what is left", taken >> 20, used >> 10);
}

static int read_segment(struct conf_reader *reader, const struct conf_node *node,
			void *object)
{
	struct list *list = object;
	struct draft draft = { .list = list, .node = node };
	void *segments = *list->segments;
	const char *text;
	uint64_t size;
	int r;

	r = conf_grow(&segments, *list->n_segments, sizeof(**list->segments));
	if (r < 0)
		return r;
	*list->segments = segments;
	draft.segment = &(*list->segments)[(*list->n_segments)++];
	*draft.segment = (struct conf_segment){
		.open_mode = SEGMENT_OPEN_OR_CREATE,
		.plain_claims = true,
		.line = node->line,
	};

	r = refuse_rights(reader, node);
	if (r == 0)
		r = conf_read_mapping(reader, node, "a segment", segment_keys, &draft);
	free_names(draft.ring_names);
	if (r < 0)
		return r;
	if (draft.segment->shape.n_pools == 0)
		return conf_fail(reader, draft.pools,
				 "a segment needs at least one pool");

	r = check_readers(reader, &draft);
	if (r == 0)
		r = check_topics(reader, &draft);
	if (r < 0)
		return r;
	r = config_check(&draft.segment->shape, &text);
	if (r < 0)
		return conf_fail(reader, node, "segment '%s': %s",
				 draft.segment->shape.name, text);
	r = check_bounds(reader, &draft);
	if (r < 0)
		return r;

	size = conf_segment_bytes(draft.segment);
	if (size == 0 ||
	    __builtin_add_overflow(list->total_bytes, size, &list->total_bytes))
		return conf_fail(
			reader, node, "segment '%s': too large for any machine%s",
			draft.segment->shape.name, size ? ", with those above it" : "");

	warn_roles(reader, &draft);
	warn_topics(reader, &draft);
	warn_rounding(reader, &draft);
	return 0;
}

static void warn_memory(struct conf_reader *reader, const struct list *list)
{
	struct sysinfo info;
	uint64_t memory;

	/* EFAULT is its only error. */
	sysinfo(&info);
	memory = (uint64_t)info.totalram * info.mem_unit;
	if (list->total_bytes > memory)
		conf_warn(reader, list->node,
			  "all segments together take %" PRIu64
			  " MiB, this machine has %" PRIu64,
			  list->total_bytes >> 20, memory >> 20);
}

int conf_read_segments(struct conf_reader *reader, const struct conf_node *node,
		       struct conf_segment **segments, size_t *n_segments)
{
	struct list list = { .segments = segments, .n_segments = n_segments, .node = node };
	int r;

	r = conf_read_list(reader, node, read_segment, &list);
	free_names(list.names);
	if (r < 0)
		return r;
	if (*n_segments == 0)
		return conf_fail(reader, node, "a config needs at least one segment");

	warn_memory(reader, &list);
	return 0;
}

bool conf_segment_is_same(const struct conf_segment *a, const struct conf_segment *b)
{
	return config_is_same(&a->shape, &b->shape) && a->backing == b->backing;
}

uint64_t conf_segment_bytes(const struct conf_segment *segment)
{
	struct geometry geometry;

	return geometry_init(&geometry, &segment->shape) < 0
		       ? 0 : geometry.control_bytes + geometry.data_bytes;
}

uint64_t conf_segment_object_bytes(const struct conf_segment *segment,
				   enum geometry_object object)
{
	struct geometry geometry;

	if (geometry_init(&geometry, &segment->shape) < 0)
		return 0;
	return object == GEOMETRY_DATA ? geometry.data_bytes : geometry.control_bytes;
}

void conf_segment_deinit(struct conf_segment *segment)
{
	config_deinit(&segment->shape);
	conf_access_deinit(&segment->allow);
	conf_access_deinit(&segment->readers);
	conf_access_deinit(&segment->spectators);
	conf_bounds_deinit(&segment->bounds);
	for (size_t i = 0; i < MEMPOOL_MAX_DATA_POOLS; i++)
		conf_access_deinit(&segment->reserves[i]);
}
