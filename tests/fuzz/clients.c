/* SPDX-License-Identifier: MIT */
/*
 * clients.c - see clients.h
 */
#include "clients.h"

#include <errno.h>
#include <string.h>

#include "client/client.h"
#include "shm/queue.h"

#define N_CLIENTS 2
#define N_SLOTS 16
#define MAX_STEPS 100

struct clients {
	struct arena *arena;
	struct mempool_client *clients[N_CLIENTS];
	struct segment *segments[N_CLIENTS];
	struct mempool_queue *queues[N_CLIENTS];	/* NULL: the segment has none */
	void *chunks[N_SLOTS];
	uint64_t handles[N_SLOTS];
};

static struct mempool_client *open_client(struct arena *arena, struct fuzz_input *input,
					  struct segment **ret_segment)
{
	struct mempool_client *client;
	uint8_t byte = fuzz_u8(input);
	uint32_t holder;

	if (arena_attach(arena, ret_segment) < 0)
		return NULL;
	/* Perhaps an id that is the daemon's, or a topic's, or the other client's. */
	holder = 1 + byte / 2 % ((*ret_segment)->n_holders - 1);
	FUZZ_CHECK(client_new(*ret_segment, holder, byte & 1 ? MEMPOOL_CLIENT_DEBUG : 0,
			      &client) == 0);
	return client;
}

static void close_client(struct mempool_client *client)
{
	struct segment *segment = client->segment;
	uint64_t n_chunks = 0;
	int n;

	for (uint32_t i = 0; i < segment->n_pools; i++)
		n_chunks += segment->pools[i].n_chunks;
	arena_detach(segment);
	n = mempool_client_close(client);
	/* An enemy's word and two of his managers may name one chunk. */
	FUZZ_CHECK(n >= 0 && (uint64_t)n <= 3 * n_chunks);
}

/* The pool of a chunk that we were given, by its geometry, not by the code under test. */
static const struct geometry_pool *pool_of(const struct clients *all, const void *chunk)
{
	const struct geometry *geometry = &all->segments[0]->geometry;
	uint64_t off = (uint64_t)((const unsigned char *)chunk - all->arena->base);

	for (uint32_t i = 0; i < geometry->n_pools; i++) {
		const struct geometry_pool *pool = &geometry->pools[i];

		if (off >= pool->data_off &&
		    off - pool->data_off < pool->n_chunks * pool->stride)
			return (off - pool->data_off) % pool->stride == 0 ? pool : NULL;
	}
	return NULL;
}

static void check_chunk(const struct clients *all, struct mempool_client *client,
			const void *chunk, size_t size)
{
	const struct geometry_pool *pool = pool_of(all, chunk);

	FUZZ_CHECK(pool && size <= pool->chunk_size);
	FUZZ_CHECK(mempool_usable_size(client, chunk) == (ssize_t)pool->chunk_size);
	/* Writing, where only reading is allowed (a shared one): an enemy may. */
	memset((void *)chunk, 0xab, pool->chunk_size);
}

static void check_own_chunk(const struct clients *all, struct mempool_client *client,
			    void *chunk, size_t size)
{
	uint32_t tag;

	check_chunk(all, client, chunk, size);
	FUZZ_CHECK(mempool_chunk_set_tag(client, chunk, 7) == 0);
	FUZZ_CHECK(mempool_chunk_tag(client, chunk, &tag) == 0 && tag == 7);
}

static void do_alloc(struct clients *all, struct mempool_client *client,
		     struct fuzz_input *input, bool is_aligned)
{
	uint8_t slot = fuzz_u8(input) % N_SLOTS;
	size_t size = fuzz_u16(input);
	size_t alignment = is_aligned ? (size_t)1 << fuzz_u8(input) % 16 : 1;
	void *chunk;

	/* Sizes near 2^32 and 2^64 are for the bounds of the size classes. */
	if (size > 0xfff0)
		size = (size_t)0 - (0xffff - size);
	else if (size > 0xff00)
		size += (size_t)UINT32_MAX - 0xff80;

	errno = 0;
	chunk = is_aligned ? mempool_alloc_aligned(client, size, alignment) :
			     mempool_alloc(client, size);
	if (!chunk) {
		FUZZ_CHECK(errno == EAGAIN || errno == EMSGSIZE || errno == EINVAL);
		return;
	}
	FUZZ_CHECK((uintptr_t)chunk % alignment == 0);
	check_own_chunk(all, client, chunk, size);
	all->chunks[slot] = chunk;
}

static void do_give(struct clients *all, struct mempool_client *client,
		    struct fuzz_input *input, bool is_share)
{
	uint8_t slot = fuzz_u8(input) % N_SLOTS;
	size_t length = fuzz_u16(input);
	uint64_t handle;
	int r;

	if (is_share)
		r = mempool_share(client, all->chunks[slot], length, &handle);
	else
		r = mempool_give(client, all->chunks[slot], length, &handle);
	/* -EAGAIN: an enemy has all the ChunkManagers. */
	FUZZ_CHECK(r == 0 || r == -EPERM || r == -EINVAL || r == -EMSGSIZE ||
		   r == (is_share ? -EAGAIN : -EBUSY));
	if (r == 0) {
		/* Sharing keeps the generation, and an enemy may have written 0. */
		FUZZ_CHECK(is_share || handle != MEMPOOL_HANDLE_NONE);
		FUZZ_CHECK(pool_of(all, all->chunks[slot]));
		all->handles[slot] = handle;
	}
}

static void do_take(struct clients *all, struct mempool_client *client, uint8_t slot,
		    uint64_t handle)
{
	void *chunk;
	size_t length;
	int r = mempool_take(client, handle, &chunk, &length);

	FUZZ_CHECK(r == 0 || r == -ESTALE || r == -EINVAL);
	FUZZ_CHECK((r == -EINVAL) == (handle == MEMPOOL_HANDLE_NONE));
	if (r == 0) {
		/* A receiver reads so much: it must be there. */
		check_own_chunk(all, client, chunk, length);
		all->chunks[slot % N_SLOTS] = chunk;
	}
}

static void do_acquire(struct clients *all, struct mempool_client *client, uint8_t slot,
		       uint64_t handle)
{
	const void *chunk;
	size_t length;
	int r = mempool_acquire(client, handle, &chunk, &length);

	FUZZ_CHECK(r == 0 || r == -ESTALE || r == -EINVAL);
	if (r == 0) {
		check_chunk(all, client, chunk, length);
		all->chunks[slot % N_SLOTS] = (void *)chunk;
	}
}

/* By any of the three ways that a handle is there for. */
static void use_handle(struct clients *all, struct mempool_client *client, uint8_t slot,
		       uint64_t handle)
{
	if (slot & 0x80)
		do_acquire(all, client, slot, handle);
	else
		do_take(all, client, slot, handle);
}

/*
 * A ring as a queue leaves it, with whatever handles in its slots. Of a ring that was poked:
 * a head, tail or round that no queue writes may keep its users busy (the threat model).
 */
static void mend_ring(const struct clients *all, struct fuzz_input *input)
{
	const struct segment *segment = all->segments[0];
	_Atomic uint64_t *slots =
		(void *)(all->arena->base + segment->ring_places[0].slots_off);
	uint64_t capacity = segment->config.rings[0].capacity;
	uint64_t n = fuzz_u8(input) % 4;

	if (n > capacity)
		n = capacity;
	queue_layout(slots, capacity);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t handle = fuzz_u64(input);

		/* Pool 63 is how an empty slot says its round. */
		if (handle_pool(handle) != MEMPOOL_POOL_NONE)
			atomic_store(&slots[i], handle);
		else
			n = i;
	}
	atomic_store(&segment->rings[0].head, 0);
	atomic_store(&segment->rings[0].tail, n);
}

static void do_queue(struct clients *all, size_t who, struct fuzz_input *input, bool is_send)
{
	uint8_t slot = fuzz_u8(input) % N_SLOTS;
	size_t length;
	void *chunk;
	int r;

	if (!all->queues[who])
		return;
	if (all->arena->is_poked)
		mend_ring(all, input);
	all->arena->is_poked = false;

	if (is_send) {
		r = mempool_queue_send(all->queues[who], all->chunks[slot], fuzz_u8(input), 0);
		FUZZ_CHECK(r == 0 || r == -EAGAIN || r == -EPERM || r == -EINVAL ||
			   r == -EMSGSIZE || r == -EBUSY);
		return;
	}
	r = mempool_queue_receive(all->queues[who], &chunk, &length, 0);
	FUZZ_CHECK(r == 0 || r == -EAGAIN);
	if (r == 0) {
		check_own_chunk(all, all->clients[who], chunk, length);
		all->chunks[slot] = chunk;
	}
}

/* A handle that fits a chunk's word as it is now, with pool and index of the input. */
static uint64_t fitting_handle(const struct clients *all, struct fuzz_input *input)
{
	const struct segment *segment = all->segments[0];
	uint32_t pool = fuzz_u8(input), index = fuzz_u16(input);
	uint32_t generation = fuzz_u8(input);

	if (pool <= segment->n_pools && index < segment->pools[pool].n_chunks)
		generation = word_generation(
			atomic_load_explicit(&segment->pools[pool].entries[index].word,
					     memory_order_relaxed));
	return handle_make(generation, pool, index);
}

/* Any address: in a pool, around it, or nowhere. */
static void do_pointer(struct clients *all, struct mempool_client *client,
		       struct fuzz_input *input)
{
	uint8_t what = fuzz_u8(input);
	uint64_t off = what & 1 ? fuzz_u64(input) : fuzz_u32(input) % (2 * ARENA_MAX_BYTES);
	void *chunk = (void *)((uintptr_t)all->arena->base - (what & 2 ? off : 0 - off));
	uint64_t handle;
	uint32_t tag;
	int r;

	if (mempool_usable_size(client, chunk) >= 0)
		check_chunk(all, client, chunk, 1);
	r = mempool_chunk_tag(client, chunk, &tag);
	FUZZ_CHECK(r == 0 || r == -EPERM || r == -EINVAL);
	FUZZ_CHECK(r != 0 || pool_of(all, chunk));
	r = what & 4 ? mempool_free(client, chunk) : mempool_give(client, chunk, 1, &handle);
	FUZZ_CHECK(r == 0 || r == -EPERM || r == -EINVAL || r == -EBUSY);
	FUZZ_CHECK(r != 0 || pool_of(all, chunk));
}

static void do_pools(struct clients *all, struct mempool_client *client)
{
	struct mempool_pool_info infos[MEMPOOL_MAX_DATA_POOLS];
	int n = mempool_client_pools(client, infos, MEMPOOL_MAX_DATA_POOLS);

	FUZZ_CHECK(n == (int)all->segments[0]->n_pools);
	for (int i = 0; i < n; i++)
		FUZZ_CHECK(infos[i].used + infos[i].free == infos[i].total);
	mempool_client_is_stale(client);
}

static void step(struct clients *all, struct fuzz_input *input)
{
	uint8_t what = fuzz_u8(input);
	size_t who = what >> 7;
	struct mempool_client *client = all->clients[who];
	uint8_t slot;
	int r;

	switch (what % 13) {
	case 0:
	case 1:
		do_alloc(all, client, input, what % 13);
		break;
	case 2:
		slot = fuzz_u8(input) % N_SLOTS;
		r = mempool_free(client, all->chunks[slot]);
		FUZZ_CHECK(r == 0 || r == -EPERM || r == -EINVAL);
		break;
	case 3:
	case 4:
		do_give(all, client, input, what % 13 == 4);
		break;
	case 5:
		slot = fuzz_u8(input);
		use_handle(all, client, slot, all->handles[slot % N_SLOTS]);
		break;
	case 6:
		slot = fuzz_u8(input);
		use_handle(all, client, slot, fuzz_u64(input));
		break;
	case 7:
		slot = fuzz_u8(input);
		use_handle(all, client, slot, fitting_handle(all, input));
		break;
	case 8:
		do_pointer(all, client, input);
		break;
	case 9:
		do_pools(all, client);
		break;
	case 10:
	case 11:
		do_queue(all, who, input, what % 13 == 10);
		break;
	case 12:
		arena_poke(all->arena, input);
		break;
	}
}

/* Only of a queue that is the first ring: that is the one mend_ring() knows. */
static void open_queue(struct clients *all, size_t who)
{
	const struct config *config = &all->segments[who]->config;

	if (config->n_rings > 0 && config->rings[0].kind == MEMPOOL_RING_QUEUE)
		FUZZ_CHECK(mempool_queue_open(all->clients[who], config->rings[0].name,
					      &all->queues[who]) == 0);
}

void clients_run(struct arena *arena, struct fuzz_input *input)
{
	struct clients all = { .arena = arena };

	for (size_t i = 0; i < N_CLIENTS; i++) {
		all.clients[i] = open_client(arena, input, &all.segments[i]);
		if (!all.clients[i])
			return;
		open_queue(&all, i);
	}
	/* attach may have been of anything. */
	arena->is_poked = true;
	for (size_t i = 0; i < MAX_STEPS && input->size > 0; i++)
		step(&all, input);
	for (size_t i = 0; i < N_CLIENTS; i++) {
		close_client(all.clients[i]);
		/* It outlives its client, and then says so. */
		FUZZ_CHECK(!all.queues[i] || mempool_queue_receive(all.queues[i], all.chunks,
								   NULL, 0) == -ENOTCONN);
		mempool_queue_close(all.queues[i]);
	}
}
