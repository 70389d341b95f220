/* SPDX-License-Identifier: MIT */
/*
 * test-crash.c - the operations that are killed at every instruction
 *
 * A new operation is a prepare function, a run function and a line in the table.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cache.h"
#include "client/locate.h"
#include "client/share.h"
#include "harness.h"
#include "shm/history.h"
#include "shm/holder.h"
#include "shm/queue.h"
#include "shm/reap.h"

static void check(bool ok)
{
	/* Seen by the harness: the victim ends before its stop. */
	if (!ok)
		exit(97);
}

static void *keep(struct scene *scene, void *chunk)
{
	check(chunk != NULL);
	scene->chunks[scene->n_chunks++] = chunk;
	return chunk;
}

static void prepare_nothing(struct scene *scene)
{
	(void)scene;
}

/* The thread's cache is there, with hints in it. */
static void prepare_cache(struct scene *scene)
{
	check(mempool_free(scene->client, mempool_alloc(scene->client, 64)) == 0);
}

static void prepare_one(struct scene *scene)
{
	prepare_cache(scene);
	keep(scene, mempool_alloc(scene->client, 64));
}

/* Nothing in the cache, all in the list. */
static void prepare_empty_cache(struct scene *scene)
{
	prepare_cache(scene);
	while (scene->client->caches->magazines[0].n > 0)
		keep(scene, mempool_alloc(scene->client, 64));
}

/* So many that the next free overflows the cache. */
static void prepare_full_cache(struct scene *scene)
{
	struct magazine *magazine;

	prepare_cache(scene);
	magazine = &scene->client->caches->magazines[0];
	for (int i = 0; i < 20; i++)
		keep(scene, mempool_alloc(scene->client, 64));
	while (magazine->n < magazine->capacity)
		check(mempool_free(scene->client, scene->chunks[--scene->n_chunks]) == 0);
}

/* As a stack that has grown, and somebody wants what is in it. */
static void prepare_grown(struct scene *scene)
{
	prepare_full_cache(scene);
	keep(scene, mempool_alloc(scene->client, 64));
	scene->client->caches->magazines[0].capacity_min = 2;
	pool_set_scarce(&scene->segment->pools[0]);
}

static void take_hints(struct scene *scene, uint32_t pool)
{
	const struct free_list *list = &scene->segment->pools[pool].list;
	uint32_t start = 0, indices[64];

	/* As a killed process would have: hints are lost, chunks are not. */
	while (free_list_pop(list, &start, indices, 64) > 0)
		;
}

/* Hints lost: the next alloc finds its chunk by reading the words. */
static void prepare_scan(struct scene *scene)
{
	prepare_empty_cache(scene);
	take_hints(scene, 0);
}

/* The lost hints of a summary bit: leaves with bits under a clear summary. */
static void prepare_lost_summary(struct scene *scene)
{
	prepare_empty_cache(scene);
	atomic_store(&scene->segment->pools[0].list.summary[0], 0);
}

/* Nothing left in the small pool. */
static void prepare_exhausted(struct scene *scene)
{
	void *chunk;

	prepare_cache(scene);
	scene->client->fallback = false;
	while ((chunk = mempool_alloc(scene->client, 64)))
		keep(scene, chunk);
}

/* Somebody has found the pool dry, and waits for the next free. */
static void prepare_dry(struct scene *scene)
{
	prepare_exhausted(scene);
	check(scene->segment->pools[0].state->dry & 1);
}

static void prepare_fallback(struct scene *scene)
{
	prepare_exhausted(scene);
	scene->client->fallback = true;
}

/* The topic yields, to the victim alone: the older of its two messages. */
static void prepare_yield(struct scene *scene)
{
	scene->client->yields = true;
	prepare_exhausted(scene);
	scene->segment->config.rings[TOPIC_RING].flags = 0;
	history_move(scene->segment);
}

static void prepare_none_yields(struct scene *scene)
{
	prepare_yield(scene);
	keep(scene, mempool_alloc(scene->client, 64));
	history_move(scene->segment);
}

static void prepare_given(struct scene *scene)
{
	prepare_one(scene);
	check(mempool_give(scene->client, scene->chunks[0], 7, &scene->handle) == 0);
}

static void prepare_shared(struct scene *scene)
{
	prepare_one(scene);
	check(mempool_share(scene->client, scene->chunks[0], 7, &scene->handle) == 0);
}

static void acquire(struct scene *scene, uint64_t handle)
{
	const void *chunk;

	check(mempool_acquire(scene->client, handle, &chunk, NULL) == 0);
	keep(scene, (void *)chunk);
}

/* Held twice by the victim, and by the bystander. */
static void prepare_acquired(struct scene *scene)
{
	prepare_cache(scene);
	acquire(scene, scene->shared);
	acquire(scene, scene->shared);
}

/* Only a handle of it is left, and its manager is another chunk's. */
static void prepare_stale(struct scene *scene)
{
	uint64_t handle;

	prepare_shared(scene);
	handle = scene->handle;
	check(mempool_free(scene->client, scene->chunks[--scene->n_chunks]) == 0);
	prepare_shared(scene);
	scene->handle = handle;
}

static void send(struct scene *scene, int expected)
{
	check(mempool_queue_send(scene->queue, scene->chunks[--scene->n_chunks], 9, 0) ==
	      expected);
}

static void prepare_queue(struct scene *scene)
{
	prepare_one(scene);
	check(mempool_queue_open(scene->client, "queue", &scene->queue) == 0);
}

static void prepare_full_queue(struct scene *scene)
{
	prepare_queue(scene);
	for (int i = 0; i < QUEUE_CAPACITY - QUEUED; i++) {
		keep(scene, mempool_alloc(scene->client, 64));
		send(scene, 0);
	}
	keep(scene, mempool_alloc(scene->client, 64));
}

/* There is room for two. */
static void prepare_two(struct scene *scene)
{
	prepare_queue(scene);
	keep(scene, mempool_alloc(scene->client, 64));
}

/* And for one. */
static void prepare_almost_full(struct scene *scene)
{
	prepare_two(scene);
	send(scene, 0);
	keep(scene, mempool_alloc(scene->client, 64));
}

/* The ring has wrapped, and its slots are of two rounds. */
static void prepare_wrapped_queue(struct scene *scene)
{
	void *chunk;

	prepare_queue(scene);
	for (int i = 0; i < QUEUED; i++)
		check(mempool_queue_receive(scene->queue, &chunk, NULL, 0) == 0);
	for (int i = 0; i < 5; i++) {
		keep(scene, mempool_alloc(scene->client, 64));
		send(scene, 0);
		check(mempool_queue_receive(scene->queue, &chunk, NULL, 0) == 0);
	}
	keep(scene, mempool_alloc(scene->client, 64));
}

static void receive(struct scene *scene, int expected)
{
	void *chunk;

	check(mempool_queue_receive(scene->queue, &chunk, NULL, 0) == expected);
}

/* The next receiver empties all slots, and moves the head. */
static void prepare_end_of_line(struct scene *scene)
{
	prepare_full_queue(scene);
	for (int i = 0; i < QUEUE_CAPACITY - 1; i++)
		receive(scene, 0);
}

/* Somebody was killed after he had received: the word has moved on, the slot has not. */
static void prepare_half_received(struct scene *scene)
{
	_Atomic uint64_t *word;
	struct queue queue;
	uint64_t handle;

	prepare_full_queue(scene);
	check(queue_view(&queue, scene->segment, 0) == 0);
	handle = atomic_load(&queue.slots[0]);
	word = &scene->segment->pools[handle_pool(handle)].entries[handle_index(handle)].word;
	atomic_store(word, word_taken(atomic_load(word), VICTIM));
}

/* n messages have been received already, and so many wait. */
static void fill_slots(struct scene *scene, uint32_t n_received, uint32_t n)
{
	unsigned char bytes[SLOT_BYTES];
	size_t length;

	prepare_nothing(scene);
	check(mempool_queue_open(scene->client, "slots", &scene->queue) == 0);
	for (scene->n_slots = 0; scene->n_slots < n_received + n; scene->n_slots++) {
		length = harness_message(bytes, scene->n_slots);
		check(mempool_queue_send_bytes(scene->queue, bytes, length, 0) == 0);
		if (scene->n_slots < n_received)
			check(mempool_queue_receive_bytes(scene->queue, bytes, sizeof(bytes), &length,
							  0) == 0);
	}
}

static void prepare_slots(struct scene *scene)
{
	prepare_nothing(scene);
	check(mempool_queue_open(scene->client, "slots", &scene->queue) == 0);
}

static void prepare_some_slots(struct scene *scene)
{
	fill_slots(scene, SLOTS_CAPACITY + 1, 2);
}

static void prepare_full_slots(struct scene *scene)
{
	fill_slots(scene, 1, SLOTS_CAPACITY);
}

static void prepare_topic(struct scene *scene)
{
	prepare_one(scene);
	check(mempool_topic_open(scene->client, "topic", &scene->topic) == 0);
	check(mempool_topic_subscribe(scene->topic, MEMPOOL_TOPIC_OLDEST, &scene->subscriber) ==
	      0);
}

static void next(struct scene *scene)
{
	const void *chunk;

	check(mempool_subscriber_next(scene->subscriber, &chunk, NULL, NULL, 0) == 0);
	keep(scene, (void *)chunk);
}

static void publish(struct scene *scene, int n)
{
	for (int i = 0; i < n; i++)
		check(mempool_topic_publish(scene->topic, mempool_alloc(scene->client, 64), 1) ==
		      0);
}

static void prepare_lapped(struct scene *scene)
{
	prepare_topic(scene);
	publish(scene, TOPIC_CAPACITY + 1);
}

/* Evicted, and only we hold it still. */
static void prepare_evicted(struct scene *scene)
{
	prepare_topic(scene);
	next(scene);
	publish(scene, TOPIC_CAPACITY);
}

/* The chunk that was freed last is free for the victim's lane, whose epoch somebody has ended. */
static void prepare_moved(struct scene *scene)
{
	prepare_cache(scene);
	check(scene->client->caches->lane != LANE_NONE);
	lane_move(&scene->segment->lanes, scene->client->caches->lane);
}

/* All that is left of the larger pool is free for the bystander's lane. */
static void prepare_revoke(struct scene *scene)
{
	const struct pool *pool = &scene->segment->pools[1];

	prepare_cache(scene);
	for (uint32_t i = 0; i < pool->n_chunks; i++)
		if (pool_claim(pool, i, VICTIM) == 0)
			keep(scene, pool_chunk(pool, i));
	take_hints(scene, 1);
}

static void run_alloc_large(struct scene *scene)
{
	keep(scene, mempool_alloc(scene->client, 200));
}

static void run_many(struct scene *scene)
{
	void *chunks[3];

	check(mempool_alloc_many(scene->client, 64, chunks, 3) == 3);
	check(mempool_free_many(scene->client, chunks, 3) == 3);
}

/* As a destructor of the thread does. */
static void run_end_lane(struct scene *scene)
{
	claim_end(scene->client->caches);
}

static void run_alloc(struct scene *scene)
{
	keep(scene, mempool_alloc(scene->client, 64));
}

static void run_alloc_in_vain(struct scene *scene)
{
	/* Twice: by the scan, and at once. */
	check(mempool_alloc(scene->client, 64) == NULL && errno == EAGAIN);
	check(mempool_alloc(scene->client, 64) == NULL && errno == EAGAIN);
}

static void run_free(struct scene *scene)
{
	check(mempool_free(scene->client, scene->chunks[--scene->n_chunks]) == 0);
}

static void run_give(struct scene *scene)
{
	check(mempool_give(scene->client, scene->chunks[0], 7, &scene->handle) == 0);
}

static void run_take(struct scene *scene)
{
	void *chunk;

	check(mempool_take(scene->client, scene->given, &chunk, NULL) == 0);
}

static void run_take_back(struct scene *scene)
{
	void *chunk;

	check(mempool_take(scene->client, scene->handle, &chunk, NULL) == 0);
}

static void run_share(struct scene *scene)
{
	check(mempool_share(scene->client, scene->chunks[0], 7, &scene->handle) == 0);
}

/* As if another thread had shared it after we read its word. */
static void run_share_second(struct scene *scene)
{
	const struct pool *pool;
	struct chunk_ref ref;
	uint64_t word;

	check(client_locate(scene->client, scene->chunks[0], &pool, &ref.index) == 0);
	ref.pool = pool->id;
	word = word_make(handle_generation(scene->handle), MEMPOOL_OWNED, VICTIM);
	check(share_owned(cache_get(scene->client), ref, 7, TOPIC, &word) == -EBUSY);
}

static void run_acquire(struct scene *scene)
{
	acquire(scene, scene->shared);
}

static void run_acquire_stale(struct scene *scene)
{
	const void *chunk;

	check(mempool_acquire(scene->client, scene->handle, &chunk, NULL) == -ESTALE);
}

static void take_back(struct scene *scene, int expected)
{
	void *chunk;

	check(mempool_unshare(scene->client, scene->chunks[scene->n_chunks - 1], &chunk) == expected);
}

static void run_unshare(struct scene *scene)
{
	take_back(scene, 0);
}

/* Ours is one of two holds; the other one is the bystander's. */
static void prepare_acquired_once(struct scene *scene)
{
	prepare_cache(scene);
	acquire(scene, scene->shared);
}

static void run_unshare_in_vain(struct scene *scene)
{
	take_back(scene, -EBUSY);
}

static void run_unshare_and_share(struct scene *scene)
{
	take_back(scene, 0);
	check(mempool_share(scene->client, scene->chunks[0], 7, &scene->handle) == 0);
}

static void run_free_twice(struct scene *scene)
{
	run_free(scene);
	run_free(scene);
}

static void run_send(struct scene *scene)
{
	send(scene, 0);
}

static void send_bytes(struct scene *scene, int error)
{
	unsigned char bytes[SLOT_BYTES];
	size_t length = harness_message(bytes, scene->n_slots++);

	check(mempool_queue_send_bytes(scene->queue, bytes, length, 0) == error);
}

static void run_send_bytes(struct scene *scene)
{
	send_bytes(scene, 0);
}

static void run_send_bytes_to_full(struct scene *scene)
{
	send_bytes(scene, -EAGAIN);
}

static void run_receive_bytes(struct scene *scene)
{
	unsigned char bytes[SLOT_BYTES];
	size_t length;

	check(mempool_queue_receive_bytes(scene->queue, bytes, sizeof(bytes), &length, 0) == 0);
}

static void run_send_to_full(struct scene *scene)
{
	send(scene, -EAGAIN);
}

/* All chunks of the scene, or none. */
static void send_all(struct scene *scene, int expected)
{
	static const size_t lengths[] = { 9, 9 };

	check(scene->n_chunks == 2);
	check(mempool_queue_send_all(scene->queue, scene->chunks, lengths, 2, 0) == expected);
	if (expected == 0)
		scene->n_chunks = 0;
}

static void run_send_all(struct scene *scene)
{
	send_all(scene, 0);
}

static void run_send_all_to_full(struct scene *scene)
{
	send_all(scene, -EAGAIN);
}

/* The first one again as the second: found out when its word says SENT. */
static void run_send_all_in_vain(struct scene *scene)
{
	static const size_t lengths[] = { 9, 9 };
	void *chunks[] = { scene->chunks[0], scene->chunks[0] };

	check(mempool_queue_send_all(scene->queue, chunks, lengths, 2, 0) == -EPERM);
}

static void run_evict(struct scene *scene)
{
	void *oldest;

	check(mempool_queue_send_evict(scene->queue, scene->chunks[--scene->n_chunks], 9, &oldest,
				       NULL) == 0);
	check(oldest != NULL);
	keep(scene, oldest);
}

static void run_receive(struct scene *scene)
{
	receive(scene, 0);
}

static void run_receive_all(struct scene *scene)
{
	for (int i = 0; i < QUEUED; i++)
		receive(scene, 0);
	receive(scene, -EAGAIN);
}

static void run_publish(struct scene *scene)
{
	check(mempool_topic_publish(scene->topic, scene->chunks[--scene->n_chunks], 5) == 0);
}

static void run_next(struct scene *scene)
{
	next(scene);
	run_free(scene);
}

/* Once more: beside scene->queue, which is no end as long as nobody uses it. */
static struct mempool_queue *end_of_queue;

static void open_end(struct scene *scene, uint64_t flags)
{
	const struct mempool_queue_options options = { .size = sizeof(options), .flags = flags };

	check(mempool_queue_open_with(scene->client, "queue", &options, &end_of_queue) == 0);
}

static void run_open_sender(struct scene *scene)
{
	open_end(scene, MEMPOOL_QUEUE_SENDER);
}

static void run_open_receiver(struct scene *scene)
{
	open_end(scene, MEMPOOL_QUEUE_RECEIVER);
}

static void prepare_receiver(struct scene *scene)
{
	prepare_cache(scene);
	open_end(scene, MEMPOOL_QUEUE_RECEIVER | MEMPOOL_QUEUE_PIPE);
}

static void run_close_end(struct scene *scene)
{
	(void)scene;
	mempool_queue_close(end_of_queue);
}

static void prepare_open_topic(struct scene *scene)
{
	prepare_cache(scene);
	check(mempool_topic_open(scene->client, "topic", &scene->topic) == 0);
}

static void run_subscribe(struct scene *scene)
{
	check(mempool_topic_subscribe(scene->topic, MEMPOOL_TOPIC_OLDEST, &scene->subscriber) == 0);
}

static void run_unsubscribe(struct scene *scene)
{
	mempool_subscriber_close(scene->subscriber);
}

static void run_close_client(struct scene *scene)
{
	check(mempool_client_close(scene->client) == 0);
}

static void run_close(struct scene *scene)
{
	check(mempool_client_close(scene->client) > 0);
}

/* The daemon dies in the middle of a reap of the bystander; the next one starts again. */
static void run_reap(struct scene *scene)
{
	check(reap_holder(scene->segment, BYSTANDER) > 0);
}

/* The daemon dies while it enters a new client: its record is FREE or complete. */
static void run_hello(struct scene *scene)
{
	struct holder holder = { .id = NEWCOMER + 1, .pid = 1, .incarnation = 1, .name = "new" };

	holder_set_live(scene->segment, &holder);
}

#define ONE_AND_ONE (MEMPOOL_RING_ONE_SENDER | MEMPOOL_RING_ONE_RECEIVER)

static const struct operation operations[] = {
	{ "alloc, first of a thread", prepare_nothing, run_alloc, false, false, false, false, false, false, 0 },
	{ "alloc from cache", prepare_cache, run_alloc, true, false, false, false, false, false, 0 },
	{ "alloc with refill", prepare_empty_cache, run_alloc, true, false, false, false, false, false, 0 },
	{ "alloc by scan", prepare_scan, run_alloc, false, false, false, false, false, false, 0 },
	{ "alloc with lost summary", prepare_lost_summary, run_alloc, false, false, false, false, false, false, 0 },
	{ "alloc from a larger pool", prepare_fallback, run_alloc, false, false, false, false, false, false, 0 },
	{ "alloc, exhausted", prepare_exhausted, run_alloc_in_vain, false, false, false, false, false, false, 0 },
	{ "alloc, a message yields", prepare_yield, run_alloc, false, false, true, false, false, false, 0 },
	{ "alloc, exhausted, none yields", prepare_none_yields, run_alloc_in_vain, false, false, true, false, false, false, 0 },
	{ "free", prepare_one, run_free, true, false, false, false, false, false, 0 },
	{ "free with overflow", prepare_full_cache, run_free, false, false, false, false, false, false, 0 },
	{ "free into a dry pool", prepare_dry, run_free, true, false, false, false, false, false, 0 },
	{ "give", prepare_one, run_give, true, false, false, false, false, false, 0 },
	{ "take", prepare_cache, run_take, true, false, false, false, false, false, 0 },
	{ "take back", prepare_given, run_take_back, true, false, false, false, false, false, 0 },
	{ "share", prepare_one, run_share, false, false, false, false, false, false, 0 },
	{ "share, as the second", prepare_shared, run_share_second, false, false, false, false, false, false, 0 },
	{ "acquire", prepare_cache, run_acquire, false, false, false, false, false, false, 0 },
	{ "acquire, stale", prepare_stale, run_acquire_stale, false, false, false, false, false, false, 0 },
	{ "release, others hold it", prepare_acquired, run_free_twice, false, false, false, false, false, false, 0 },
	{ "release, the last", prepare_shared, run_free, false, false, false, false, false, false, 0 },
	{ "unshare", prepare_shared, run_unshare, false, false, false, false, false, false, 0 },
	{ "unshare, others hold it", prepare_acquired_once, run_unshare_in_vain, false, false, false, false, false, false, 0 },
	{ "unshare of an evicted", prepare_evicted, run_unshare, false, false, false, false, false, false, 0 },
	{ "unshare, and share anew", prepare_shared, run_unshare_and_share, false, false, false, false, false, false, 0 },
	{ "send", prepare_queue, run_send, false, false, false, false, false, false, 0 },
	{ "send, wrapped", prepare_wrapped_queue, run_send, false, false, false, false, false, false, 0 },
	{ "send to a full queue", prepare_full_queue, run_send_to_full, false, false, false, false, false, false, 0 },
	{ "send to a full queue, evicting", prepare_full_queue, run_evict, false, false, false, false, false, false, 0 },
	{ "send, one half received", prepare_half_received, run_send, false, false, false, false, false, false, 0 },
	{ "send, stamped", prepare_queue, run_send, false, false, false, true, false, false, 0 },
	{ "send to a full queue, stamped", prepare_full_queue, run_send_to_full, false, false, false, true, false, false, 0 },
	{ "receive", prepare_queue, run_receive, false, false, false, false, false, false, 0 },
	{ "receive all", prepare_queue, run_receive_all, false, false, false, false, false, false, 0 },
	{ "receive, the end of a line", prepare_end_of_line, run_receive, false, false, false, false, false, false, 0 },
	{ "receive, one half received", prepare_half_received, run_receive, false, false, false, false, false, false, 0 },
	{ "publish, evicting", prepare_topic, run_publish, false, false, false, false, false, false, 0 },
	{ "publish, stamped", prepare_topic, run_publish, false, false, false, true, false, false, 0 },
	{ "next, and release", prepare_topic, run_next, false, false, false, false, false, false, 0 },
	{ "next, lapped", prepare_lapped, run_next, false, false, false, false, false, false, 0 },
	{ "release of an evicted", prepare_evicted, run_free, false, false, false, false, false, false, 0 },
	{ "queue: open a sender", prepare_cache, run_open_sender, false, false, false, false, false, false, 0 },
	{ "queue: open a receiver", prepare_cache, run_open_receiver, true, false, false, false, false, false, 0 },
	{ "queue: close a receiver", prepare_receiver, run_close_end, true, false, false, false, false, false, 0 },
	{ "subscribe", prepare_open_topic, run_subscribe, false, false, false, false, false, false, 0 },
	{ "subscriber: close", prepare_topic, run_unsubscribe, false, false, false, false, false, false, 0 },
	{ "close, with a receiver", prepare_receiver, run_close_client, false, false, false, false, false, false, 0 },
	{ "close", prepare_one, run_close, false, false, false, false, false, false, 0 },
	{ "close, sharing", prepare_shared, run_close, false, false, false, false, false, false, 0 },
	{ "daemon: reap", prepare_nothing, run_reap, false, true, false, false, false, false, 0 },
	{ "daemon: reap, stamped", prepare_nothing, run_reap, false, true, false, true, false, false, 0 },
	{ "daemon: enter a client", prepare_nothing, run_hello, true, false, false, false, false, false, 0 },
	{ "checked: alloc", prepare_cache, run_alloc, true, false, false, false, true, false, 0 },
	{ "checked: alloc by scan", prepare_scan, run_alloc, false, false, false, false, true, false, 0 },
	{ "checked: free", prepare_one, run_free, true, false, false, false, true, false, 0 },
	{ "checked: free with overflow", prepare_full_cache, run_free, false, false, false, false, true, false, 0 },
	{ "checked: give", prepare_one, run_give, false, false, false, false, true, false, 0 },
	{ "checked: take", prepare_cache, run_take, false, false, false, false, true, false, 0 },
	{ "checked: share", prepare_one, run_share, false, false, false, false, true, false, 0 },
	{ "checked: release, the last", prepare_shared, run_free, false, false, false, false, true, false, 0 },
	{ "checked: unshare", prepare_shared, run_unshare, false, false, false, false, true, false, 0 },
	{ "checked: send", prepare_queue, run_send, false, false, false, false, true, false, 0 },
	{ "checked: receive", prepare_queue, run_receive, false, false, false, false, true, false, 0 },
	{ "checked: close", prepare_one, run_close, false, false, false, false, true, false, 0 },
	{ "claims: alloc, first of a thread", prepare_nothing, run_alloc, .has_claims = true },
	{ "claims: alloc by stores", prepare_cache, run_alloc, true, .has_claims = true },
	{ "claims: alloc, epoch moved", prepare_moved, run_alloc, true, .has_claims = true },
	{ "claims: alloc with refill", prepare_empty_cache, run_alloc, .has_claims = true },
	{ "claims: alloc by scan", prepare_scan, run_alloc, .has_claims = true },
	{ "claims: alloc, revoking", prepare_revoke, run_alloc_large, .has_claims = true },
	{ "claims: alloc, exhausted", prepare_exhausted, run_alloc_in_vain, .has_claims = true },
	{ "claims: free", prepare_one, run_free, true, .has_claims = true },
	{ "claims: free with overflow", prepare_full_cache, run_free, .has_claims = true },
	{ "claims: free into a dry pool", prepare_dry, run_free, true, .has_claims = true },
	{ "claims: free, passing on a grown stack", prepare_grown, run_free, .has_claims = true },
	{ "claims: many", prepare_full_cache, run_many, .has_claims = true },
	{ "claims: many, passing on a grown stack", prepare_grown, run_many, .has_claims = true },
	{ "claims: give", prepare_one, run_give, .has_claims = true },
	{ "claims: share", prepare_one, run_share, .has_claims = true },
	{ "claims: send", prepare_queue, run_send, .has_claims = true },
	{ "claims: lane given back", prepare_cache, run_end_lane, true, .has_claims = true },
	{ "claims: close", prepare_one, run_close, .has_claims = true },
	{ "claims: daemon: reap", prepare_nothing, run_reap, .is_reaper = true, .has_claims = true },
	{ "one sender: send", prepare_queue, run_send, .roles = MEMPOOL_RING_ONE_SENDER },
	{ "one sender: send, wrapped", prepare_wrapped_queue, run_send, .roles = MEMPOOL_RING_ONE_SENDER },
	{ "one sender: send to a full queue", prepare_full_queue, run_send_to_full, .roles = MEMPOOL_RING_ONE_SENDER },
	{ "one sender: send all", prepare_two, run_send_all, .roles = MEMPOOL_RING_ONE_SENDER },
	{ "one sender: send all to a queue with less room", prepare_almost_full, run_send_all_to_full,
	  .roles = MEMPOOL_RING_ONE_SENDER },
	{ "one and one: send all, stamped", prepare_two, run_send_all, .has_stamps = true, .roles = ONE_AND_ONE },
	{ "one and one: send all, one of them twice", prepare_two, run_send_all_in_vain, .roles = ONE_AND_ONE },
	{ "one and one: checked: send all", prepare_two, run_send_all, .is_checked = true, .roles = ONE_AND_ONE },
	{ "one receiver: send", prepare_queue, run_send, .roles = MEMPOOL_RING_ONE_RECEIVER },
	{ "one receiver: send to a full queue", prepare_full_queue, run_send_to_full,
	  .roles = MEMPOOL_RING_ONE_RECEIVER },
	{ "one receiver: receive", prepare_queue, run_receive, .roles = MEMPOOL_RING_ONE_RECEIVER },
	{ "one and one: send", prepare_queue, run_send, .roles = ONE_AND_ONE },
	{ "one and one: send, stamped", prepare_queue, run_send, .has_stamps = true, .roles = ONE_AND_ONE },
	{ "one and one: send, wrapped", prepare_wrapped_queue, run_send, .roles = ONE_AND_ONE },
	{ "one and one: send to a full queue", prepare_full_queue, run_send_to_full, .roles = ONE_AND_ONE },
	{ "one and one: receive all", prepare_queue, run_receive_all, .roles = ONE_AND_ONE },
	{ "one and one: receive, wrapped", prepare_end_of_line, run_receive, .roles = ONE_AND_ONE },
	{ "one and one: open a sender", prepare_cache, run_open_sender, .roles = ONE_AND_ONE },
	{ "one and one: close a receiver", prepare_receiver, run_close_end, .roles = ONE_AND_ONE },
	{ "one and one: close, with a receiver", prepare_receiver, run_close_client, .roles = ONE_AND_ONE },
	{ "one and one: checked: send", prepare_queue, run_send, .is_checked = true, .roles = ONE_AND_ONE },
	{ "slots: send, the first", prepare_slots, run_send_bytes, .roles = SLOTS },
	{ "slots: send", prepare_some_slots, run_send_bytes, true, .roles = SLOTS },
	{ "slots: send to a full queue", prepare_full_slots, run_send_bytes_to_full, .roles = SLOTS },
	{ "slots: receive", prepare_some_slots, run_receive_bytes, true, .roles = SLOTS },
	{ "slots: receive from a full queue", prepare_full_slots, run_receive_bytes, .roles = SLOTS },
	{ "slots: close", prepare_some_slots, run_close_client, .roles = SLOTS },
	{ "daemon: reap both ends of slots", prepare_nothing, run_reap, .is_reaper = true, .roles = SLOTS },
	{ "daemon: reap one sender", prepare_nothing, run_reap, .is_reaper = true, .roles = ONE_AND_ONE },
};

static void print_row(const char *name, const struct outcome *outcome)
{
	printf("%-26s %12lu %8lu %10lu %5lu\n", name, (unsigned long)outcome->n_steps,
	       (unsigned long)outcome->n_changes, (unsigned long)outcome->n_kills,
	       (unsigned long)outcome->n_lost);
}

/*
 * test-crash [--long] [PART_OF_A_NAME]
 *
 * --long: each operation is also killed for real, which is quadratic in its length.
 */
int main(int argc, char *argv[])
{
	bool is_long = argc > 1 && strcmp(argv[1], "--long") == 0;
	const char *part = argc > 1 + is_long ? argv[1 + is_long] : "";
	struct outcome layout;
	uint64_t n_points = 0, n_lost = 0;

	printf("%-26s %12s %8s %10s %5s\n", "operation", "instructions", "changes",
	       "real kills", "lost");
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		struct operation operation = operations[i];
		struct outcome outcome;
		int r;

		if (!strstr(operation.name, part))
			continue;
		operation.kill_for_real |= is_long;
		r = harness_run(&operation, &outcome);

		if (r < 0) {
			printf("skipped: ptrace is not permitted here: %s\n", strerror(-r));
			return 77;
		}
		print_row(operation.name, &outcome);
		n_points += outcome.n_steps + outcome.n_kills;
		n_lost += outcome.n_lost;
	}
	if (strstr("daemon: lay out", part) && harness_run_layout(&layout) == 0) {
		print_row("daemon: lay out", &layout);
		n_points += layout.n_steps;
		n_lost += layout.n_lost;
	}
	printf("%lu kill points, %lu with something lost\n", (unsigned long)n_points,
	       (unsigned long)n_lost);
	return n_points > 0 && n_lost == 0 ? 0 : 1;
}
