/* SPDX-License-Identifier: MIT */
/*
 * clients.c - see clients.h
 */
#include "clients.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "client/client.h"

#define N_CLIENTS 2
#define N_SLOTS 16
#define MAX_STEPS 100
#define MAX_MANY 4

struct clients {
	struct arena *arena;
	struct mempool_client *clients[N_CLIENTS];
	struct segment *segments[N_CLIENTS];
	struct mempool_queue *queues[N_CLIENTS];	/* NULL: the segment has none */
	struct mempool_topic *topics[N_CLIENTS];
	struct mempool_subscriber *subscribers[N_CLIENTS];
	struct {
		struct mempool_client *client;
		struct mempool_topic *topic;		/* NULL: the segment has none */
		struct mempool_subscriber *subscriber;
	} spectator;
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

/* What a client that checks may say of any chunk: an enemy has written there. */
static bool is_found(const struct mempool_client *client, ssize_t r)
{
	return r == -EFAULT && client->checker;
}

/*
 * Of a client that checks the usable size is what was asked for, or what another one's guard has left. An
 * enemy may have made the message of a shared one longer than that; no chunk has more than its pool says.
 */
static void check_chunk(const struct clients *all, struct mempool_client *client,
			const void *chunk, size_t size)
{
	const struct geometry_pool *pool = pool_of(all, chunk);
	ssize_t usable = mempool_usable_size(client, chunk);

	FUZZ_CHECK(pool && size <= pool->chunk_size);
	if (client->checker)
		FUZZ_CHECK(usable > 0 && usable <= (ssize_t)pool->chunk_size);
	else
		FUZZ_CHECK(usable == (ssize_t)pool->chunk_size);
	/* Writing, where only reading is allowed (a shared one): an enemy may. */
	memset((void *)chunk, 0xab, (size_t)usable);
}

static void check_own_chunk(const struct clients *all, struct mempool_client *client,
			    void *chunk, size_t size)
{
	uint32_t tag;

	FUZZ_CHECK(mempool_usable_size(client, chunk) >= (ssize_t)size);
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
		FUZZ_CHECK(errno == EAGAIN || errno == EMSGSIZE || errno == EINVAL ||
			   is_found(client, -errno));
		return;
	}
	FUZZ_CHECK((uintptr_t)chunk % alignment == 0);
	FUZZ_CHECK(!client->checker || mempool_usable_size(client, chunk) == (ssize_t)size);
	check_own_chunk(all, client, chunk, size);
	all->chunks[slot] = chunk;
}

/* That a chunk cannot be shared is said of pools that do not share, and of no others. */
static bool is_refused(const struct clients *all, int r, const void *chunk)
{
	const struct geometry_pool *pool = pool_of(all, chunk);

	return r == -EOPNOTSUPP && pool && pool->is_exclusive;
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
		   r == (is_share ? -EAGAIN : -EBUSY) || is_found(client, r) ||
		   (is_share && is_refused(all, r, all->chunks[slot])));
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

	FUZZ_CHECK(r == 0 || r == -ESTALE || r == -EINVAL ||
		   (r == -EOPNOTSUPP &&
		    client->segment->pools[handle_pool(handle)].is_exclusive));
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

/* What was not handed over is still ours, as it was. */
static void check_kept(struct mempool_client *client, void *chunk, bool was_ours)
{
	FUZZ_CHECK(!was_ours || mempool_chunk_set_tag(client, chunk, 7) == 0);
}

static bool is_own(struct mempool_client *client, void *chunk)
{
	return mempool_chunk_set_tag(client, chunk, 6) == 0;
}

static void do_send(struct clients *all, size_t who, struct fuzz_input *input, size_t max,
		    int64_t timeout_ns)
{
	struct mempool_client *client = all->clients[who];
	size_t slot = fuzz_u8(input) % N_SLOTS, length = fuzz_u8(input);
	size_t lengths[MAX_MANY] = { length, length / 2, 0, length };
	bool was_ours[MAX_MANY];
	ssize_t r;

	if (max > N_SLOTS - slot)
		max = N_SLOTS - slot;
	for (size_t i = 0; i < max; i++)
		was_ours[i] = is_own(client, all->chunks[slot + i]);
	r = mempool_queue_send_many(all->queues[who], &all->chunks[slot], lengths, max,
				    timeout_ns);
	FUZZ_CHECK(r == -EAGAIN || r == -EPERM || r == -EINVAL || r == -EMSGSIZE ||
		   r == -EBUSY || r == -EBADMSG || is_found(client, r) ||
		   (r >= 0 && (size_t)r <= max));
	/* Not if it stood in two slots, and was sent from the first. */
	if (r <= 0)
		for (size_t i = 0; i < max; i++)
			check_kept(client, all->chunks[slot + i], was_ours[i]);
}

/* What is taken out has the place of what was sent. */
static void do_send_evict(struct clients *all, size_t who, struct fuzz_input *input)
{
	struct mempool_client *client = all->clients[who];
	size_t slot = fuzz_u8(input) % N_SLOTS, length = fuzz_u8(input), oldest_length;
	void *chunk = all->chunks[slot], *oldest = chunk;
	bool was_ours = is_own(client, chunk);
	int r = mempool_queue_send_evict(all->queues[who], chunk, length, &oldest, &oldest_length);

	FUZZ_CHECK(r == 0 || r == -EAGAIN || r == -EPERM || r == -EINVAL || r == -EMSGSIZE ||
		   r == -EBUSY || r == -EBADMSG || is_found(client, r));
	if (r < 0)
		check_kept(client, chunk, was_ours);
	if (!oldest)
		return;
	check_own_chunk(all, client, oldest, oldest_length);
	all->chunks[r < 0 ? (slot + 1) % N_SLOTS : slot] = oldest;
}

static void do_receive(struct clients *all, size_t who, struct fuzz_input *input, size_t max,
		       int64_t timeout_ns)
{
	size_t slot = fuzz_u8(input) % N_SLOTS;
	size_t lengths[MAX_MANY];
	void *chunks[MAX_MANY];
	ssize_t r;

	r = mempool_queue_receive_many(all->queues[who], chunks, lengths, max, timeout_ns);
	FUZZ_CHECK(r == -EAGAIN || r == -EBADMSG || r == -EBUSY || r == -EINVAL ||
		   (r >= 0 && (size_t)r <= max));
	for (ssize_t i = 0; i < r; i++) {
		check_own_chunk(all, all->clients[who], chunks[i], lengths[i]);
		all->chunks[(slot + (size_t)i) % N_SLOTS] = chunks[i];
	}
}

/* Messages in slots: not a byte beyond what there is, or is asked for, whatever stands there. */
static void do_bytes(struct mempool_queue *queue, struct fuzz_input *input, size_t most, bool sends,
		     int64_t timeout_ns)
{
	size_t size = fuzz_u16(input) % (most + 2), length = 0;
	unsigned char *bytes = malloc(size + 1);
	int r;

	FUZZ_CHECK(bytes);
	memset(bytes, 0x5a, size + 1);
	r = sends ? mempool_queue_send_bytes(queue, bytes, size, timeout_ns)
		  : mempool_queue_receive_bytes(queue, bytes, size, &length, timeout_ns);
	FUZZ_CHECK(r == 0 || r == -EAGAIN || r == -EBADMSG || r == -EBUSY || r == -EMSGSIZE);
	if (sends)
		FUZZ_CHECK((r == -EMSGSIZE) == (size > most));
	else
		FUZZ_CHECK(r == -EMSGSIZE ? length > size && length <= most : length <= size);
	FUZZ_CHECK(bytes[size] == 0x5a);
	free(bytes);
}

static void do_queue(struct clients *all, size_t who, struct fuzz_input *input)
{
	struct mempool_queue_counts counts;

	uint8_t what = fuzz_u8(input);
	size_t max = what / 2 % (MAX_MANY + 1);
	/* Now, or after a look at the clock and at the sleepers. */
	int64_t timeout_ns = what >> 7;

	if (!all->queues[who])
		return;
	FUZZ_CHECK(mempool_queue_info(all->queues[who], &counts) == 0);
	/* Now and then by the calls that are for others. */
	if (counts.slot_bytes > 0 && !(what & 64))
		do_bytes(all->queues[who], input, counts.slot_bytes, !(what & 1), timeout_ns);
	else if (what & 1)
		do_receive(all, who, input, max, timeout_ns);
	else if (max == MAX_MANY)
		do_send_evict(all, who, input);
	else
		do_send(all, who, input, max, timeout_ns);
}

static void do_publish(struct clients *all, size_t who, struct fuzz_input *input)
{
	struct mempool_client *client = all->clients[who];
	void *chunk = all->chunks[fuzz_u8(input) % N_SLOTS];
	bool was_ours = is_own(client, chunk);
	int r = mempool_topic_publish(all->topics[who], chunk, fuzz_u8(input));

	/* -EAGAIN: an enemy has all the ChunkManagers. */
	FUZZ_CHECK(r == 0 || r == -EAGAIN || r == -EPERM || r == -EINVAL || r == -EMSGSIZE ||
		   r == -EBUSY || is_refused(all, r, chunk) || is_found(client, r));
	FUZZ_CHECK(r != 0 || pool_of(all, chunk));
	if (r < 0)
		check_kept(client, chunk, was_ours);
}

static void do_next(struct clients *all, size_t who, struct fuzz_input *input,
		    int64_t timeout_ns)
{
	size_t slot = fuzz_u8(input) % N_SLOTS;
	const struct geometry_pool *pool;
	uint64_t n_missed;
	const void *chunk;
	size_t length;
	int r;

	r = mempool_subscriber_next(all->subscribers[who], &chunk, &length, &n_missed,
				    timeout_ns);
	FUZZ_CHECK(r == 0 || r == -EAGAIN || r == -EBADMSG);
	if (r < 0)
		return;
	/* Perhaps not ours: an enemy's manager leads to any chunk. */
	pool = pool_of(all, chunk);
	FUZZ_CHECK(pool && length <= pool->chunk_size);
	memset((void *)chunk, 0xab, pool->chunk_size);
	all->chunks[slot] = (void *)chunk;
}

/* What a spectator does is done over memory that may only be read: who writes, dies. */
static void protect(const struct clients *all, int prot)
{
	FUZZ_CHECK(mprotect(all->arena->base, all->arena->size, prot) == 0);
}

static void read_all(const void *chunk, size_t length)
{
	for (size_t i = 0; i < length; i++)
		(void)((const volatile unsigned char *)chunk)[i];
}

static void do_peek(struct clients *all, int64_t timeout_ns)
{
	struct mempool_subscriber *subscriber = all->spectator.subscriber;
	const struct geometry_pool *pool;
	const void *chunk;
	uint64_t n_missed;
	uint32_t tag;
	size_t length;
	int r;

	protect(all, PROT_READ);
	/* Of the one before, which was perhaps overwritten since. */
	r = mempool_subscriber_verify(subscriber);
	FUZZ_CHECK(r == 0 || r == -ESTALE || r == -EINVAL);
	r = mempool_subscriber_peek(subscriber, &chunk, &length, &tag, &n_missed, timeout_ns);
	FUZZ_CHECK(r == 0 || r == -EAGAIN);
	if (r == 0) {
		pool = pool_of(all, chunk);
		FUZZ_CHECK(pool && length <= pool->chunk_size);
		read_all(chunk, length);
		/* Nobody was there in between. */
		FUZZ_CHECK(mempool_subscriber_verify(subscriber) == 0);
	}
	protect(all, PROT_READ | PROT_WRITE);
}

static void do_copy(struct clients *all, size_t size, int64_t timeout_ns)
{
	unsigned char *buffer = malloc(size);
	uint64_t n_missed;
	uint32_t tag;
	size_t length;
	int r;

	FUZZ_CHECK(buffer || size == 0);
	protect(all, PROT_READ);
	r = mempool_subscriber_copy(all->spectator.subscriber, buffer, size, &length, &tag, &n_missed,
				    timeout_ns);
	protect(all, PROT_READ | PROT_WRITE);
	FUZZ_CHECK(r == 0 || r == -EAGAIN || r == -EMSGSIZE);
	FUZZ_CHECK(r != 0 || length <= size);
	FUZZ_CHECK(r != -EMSGSIZE || length > size);
	free(buffer);
}

static void subscribe(struct clients *all, size_t who, enum mempool_topic_start start)
{
	mempool_subscriber_close(all->subscribers[who]);
	FUZZ_CHECK(mempool_topic_subscribe(all->topics[who], start, &all->subscribers[who]) ==
		   0);
	mempool_subscriber_close(all->spectator.subscriber);
	FUZZ_CHECK(mempool_topic_subscribe(all->spectator.topic, start,
					   &all->spectator.subscriber) == 0);
}

static void do_topic(struct clients *all, size_t who, struct fuzz_input *input)
{
	uint8_t what = fuzz_u8(input);

	if (!all->topics[who])
		return;
	switch (what % 4) {
	case 0:
		do_publish(all, who, input);
		break;
	case 1:
		do_next(all, who, input, what >> 7);
		break;
	case 2:
		subscribe(all, who, what & 4 ? MEMPOOL_TOPIC_NEW : MEMPOOL_TOPIC_OLDEST);
		break;
	case 3:
		if (what & 4) {
			do_peek(all, what >> 7);
			break;
		}
		if (what & 8) {
			do_copy(all, fuzz_u16(input), what >> 7);
			break;
		}
		/* From now on, who finds nothing there announces himself to the wakers. */
		FUZZ_CHECK(mempool_client_fd(all->clients[who]) >= 0);
		break;
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
	FUZZ_CHECK(r == 0 || r == -EPERM || r == -EINVAL || r == -EBUSY || is_found(client, r));
	FUZZ_CHECK(r != 0 || pool_of(all, chunk));
}

/* Whatever stands in the slots, no more is counted than there are. */
static void do_rings(struct mempool_client *client)
{
	struct mempool_queue_counts queues[4];
	struct mempool_topic_counts topics[4];
	int n_queues = mempool_client_queues(client, queues, 4);
	int n_topics = mempool_client_topics(client, topics, 4);

	for (int i = 0; i < n_queues && i < 4; i++)
		FUZZ_CHECK(queues[i].length <= queues[i].capacity);
	for (int i = 0; i < n_topics && i < 4; i++)
		FUZZ_CHECK(topics[i].length <= topics[i].capacity);
}

static void do_pools(struct clients *all, struct mempool_client *client)
{
	struct mempool_pool_info infos[MEMPOOL_MAX_DATA_POOLS];
	int n = mempool_client_pools(client, infos, MEMPOOL_MAX_DATA_POOLS);

	FUZZ_CHECK(n == (int)all->segments[0]->n_pools);
	for (int i = 0; i < n; i++)
		FUZZ_CHECK(infos[i].used + infos[i].free == infos[i].total);
	mempool_client_is_stale(client);
	do_rings(client);
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
		FUZZ_CHECK(r == 0 || r == -EPERM || r == -EINVAL || is_found(client, r));
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
		do_queue(all, who, input);
		break;
	case 11:
		do_topic(all, who, input);
		break;
	case 12:
		arena_poke(all->arena, input);
		break;
	}
}

/* The first queue and the first topic, if there are any. */
static void open_rings(struct clients *all, size_t who)
{
	const struct config *config = &all->segments[who]->config;
	struct mempool_client *client = all->clients[who];

	for (size_t i = 0; i < config->n_rings; i++) {
		const char *name = config->rings[i].name;

		if (config->rings[i].kind == MEMPOOL_RING_QUEUE && !all->queues[who])
			FUZZ_CHECK(mempool_queue_open(client, name, &all->queues[who]) == 0);
		if (config->rings[i].kind == MEMPOOL_RING_TOPIC && !all->topics[who]) {
			FUZZ_CHECK(mempool_topic_open(client, name, &all->topics[who]) == 0);
			subscribe(all, who, MEMPOOL_TOPIC_OLDEST);
		}
	}
}

/* They outlive their client, and then say so. */
static void close_rings(struct clients *all, size_t who)
{
	const void *chunk;

	if (all->queues[who])
		FUZZ_CHECK(mempool_queue_receive(all->queues[who], all->chunks, NULL, 0) ==
			   -ENOTCONN);
	mempool_queue_close(all->queues[who]);
	if (all->topics[who]) {
		FUZZ_CHECK(mempool_topic_publish(all->topics[who], all->chunks[0], 0) ==
			   -ENOTCONN);
		FUZZ_CHECK(mempool_subscriber_next(all->subscribers[who], &chunk, NULL, NULL,
						   0) == -ENOTCONN);
	}
	mempool_subscriber_close(all->subscribers[who]);
	mempool_topic_close(all->topics[who]);
}

static bool open_spectator(struct clients *all)
{
	struct segment *segment;
	const char *name = NULL;

	if (arena_attach(all->arena, &segment) < 0)
		return false;
	FUZZ_CHECK(client_new_as(MEMPOOL_ROLE_SPECTATOR, 0, segment, MEMPOOL_HOLDER_NONE, 0,
				 &all->spectator.client) == 0);
	for (size_t i = 0; i < segment->config.n_rings && !name; i++)
		if (segment->config.rings[i].kind == MEMPOOL_RING_TOPIC)
			name = segment->config.rings[i].name;
	if (name)
		FUZZ_CHECK(mempool_topic_open(all->spectator.client, name,
					      &all->spectator.topic) == 0);
	return true;
}

static void close_spectator(struct clients *all)
{
	mempool_subscriber_close(all->spectator.subscriber);
	mempool_topic_close(all->spectator.topic);
	close_client(all->spectator.client);
}

void clients_run(struct arena *arena, struct fuzz_input *input)
{
	struct clients all = { .arena = arena };

	if (!open_spectator(&all))
		return;
	for (size_t i = 0; i < N_CLIENTS; i++) {
		all.clients[i] = open_client(arena, input, &all.segments[i]);
		if (!all.clients[i])
			return;
		open_rings(&all, i);
	}
	for (size_t i = 0; i < MAX_STEPS && input->size > 0; i++)
		step(&all, input);
	for (size_t i = 0; i < N_CLIENTS; i++) {
		close_client(all.clients[i]);
		close_rings(&all, i);
	}
	close_spectator(&all);
}
