/* SPDX-License-Identifier: MIT */
/*
 * stamps.c - a queue and a topic of one message, which keep stamps, with kills
 *
 * Who has a message is told when that message was sent, and not when another one in the same chunk was:
 * each message says what the clock was before its call, and no two calls are at the same time. What was
 * not received from the queue has no stamp, whoever has the chunk, and whoever was killed meanwhile.
 */
#include <errno.h>
#include <time.h>

#include "../stage.h"
#include "client/parts.h"
#include "scenarios.h"
#include "shm/stamp.h"

#define CHUNKS 2
#define MESSAGES 2

/* The clock of the simulated system (system.c). */
int sim_clock_gettime(clockid_t clock, struct timespec *now);

static struct {
	struct mempool_queue *queues[EXPLORE_THREADS];	/* by process */
	struct mempool_topic *topics[EXPLORE_THREADS];
	struct mempool_subscriber *reader;
	uint64_t begun_ns[MESSAGES];	/* of each message, by the only sender */
	uint64_t ended_ns[MESSAGES];	/* 0: not yet */
	uint64_t n_begun;
} world;

static void set_up(void)
{
	struct config config;

	stage_config(&config, CHUNKS, 2);
	explore_check(config_add_ring(&config, "q", MEMPOOL_RING_QUEUE, 1) == 0);
	explore_check(config_add_ring(&config, "t", MEMPOOL_RING_TOPIC, 1) == 0);
	config.rings[0].flags = config.rings[1].flags = MEMPOOL_RING_STAMPS;
	stage_make(&config);
	stage_open(1);
	stage_open(2);
}

/* What the explored code reads as the clock goes on with each look. */
static uint64_t now(void)
{
	struct timespec time;

	sim_clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
}

/* A chunk that says which message it will be. NULL: there is none. */
static _Atomic uint64_t *write_next(void)
{
	_Atomic uint64_t *words = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);
	uint64_t sent_ns;

	if (!words)
		return NULL;
	if (mempool_message_stamp(stage_client(), words, &sent_ns) != -ENODATA)
		explore_fail("a new chunk has a stamp");
	/* By a word, as in peek.c. */
	atomic_store_explicit(words, world.n_begun, memory_order_relaxed);
	world.begun_ns[world.n_begun++] = now();
	return words;
}

/* Whether that is the stamp of the message with this number. */
static void check(uint64_t number, uint64_t sent_ns)
{
	explore_check(number < world.n_begun);
	if (sent_ns <= world.begun_ns[number] ||
	    (world.ended_ns[number] != 0 && sent_ns >= world.ended_ns[number]))
		explore_fail("message %llu has the stamp of another",
			     (unsigned long long)number);
}

/* ---- the queue ---- */

static void open_queue(uint32_t process)
{
	explore_check(mempool_queue_open(stage_client(), "q", &world.queues[process]) == 0);
}

static void open_sender(void)
{
	open_queue(1);
}

static void open_receiver(void)
{
	open_queue(2);
}

static void send(void)
{
	for (uint64_t i = 0; i < MESSAGES; i++) {
		_Atomic uint64_t *words = write_next();
		int r;

		if (!words)
			return;
		r = mempool_queue_send(world.queues[1], words, 8, 0);
		world.ended_ns[i] = now();
		explore_check(r == 0 || r == -EAGAIN);
		if (r == 0)
			continue;
		explore_check(mempool_free(stage_client(), words) == 0);
	}
}

static void receive(void)
{
	for (int i = 0; i < MESSAGES; i++) {
		_Atomic uint64_t *words;
		uint64_t sent_ns;
		void *chunk;

		if (mempool_queue_receive(world.queues[2], &chunk, NULL, 0) < 0)
			continue;
		if (mempool_message_stamp(stage_client(), chunk, &sent_ns) < 0)
			explore_fail("a message has no stamp");
		words = chunk;
		check(atomic_load_explicit(words, memory_order_relaxed), sent_ns);
		explore_check(mempool_free(stage_client(), chunk) == 0);
	}
}

/* No chunk that is free or its owner's has the stamp of a message that nobody received. */
static void judge(void)
{
	const struct pool *pool = &stage_segment()->pools[0];
	uint64_t sent_ns;

	stage_audit();
	for (uint32_t i = 0; i < CHUNKS; i++) {
		uint64_t word = atomic_load_explicit(&pool->entries[i].word, memory_order_relaxed);

		if (word_is_free(word) && stamp_of_held(pool, i, word, &sent_ns) == 0)
			explore_fail("free chunk %u has a stamp", i);
	}
}

/* ---- the topic ---- */

static void open_publisher(void)
{
	explore_check(mempool_topic_open(stage_client(), "t", &world.topics[1]) == 0);
}

static void subscribe(void)
{
	explore_check(mempool_topic_open(stage_client(), "t", &world.topics[2]) == 0);
	explore_check(mempool_topic_subscribe(world.topics[2], MEMPOOL_TOPIC_OLDEST,
					      &world.reader) == 0);
}

static void publish(void)
{
	for (uint64_t i = 0; i < MESSAGES; i++) {
		_Atomic uint64_t *words = write_next();

		if (!words)
			return;
		explore_check(mempool_topic_publish(world.topics[1], words, 8) == 0);
		world.ended_ns[i] = now();
	}
}

/* A member holds one, and then copies the next, as a spectator would. */
static void read_both(void)
{
	uint64_t sent_ns, number;
	const void *message;

	if (mempool_subscriber_next(world.reader, &message, NULL, NULL, 0) == 0) {
		const _Atomic uint64_t *words = message;

		if (mempool_message_stamp(stage_client(), message, &sent_ns) < 0)
			explore_fail("a message has no stamp");
		check(atomic_load_explicit(words, memory_order_relaxed), sent_ns);
		explore_check(mempool_free(stage_client(), message) == 0);
	}
	if (mempool_subscriber_copy(world.reader, &number, sizeof(number), NULL, NULL, NULL, 0) == 0) {
		if (mempool_subscriber_stamp(world.reader, &sent_ns) < 0)
			explore_fail("a copy has no stamp");
		check(number, sent_ns);
	}
}

static const struct scenario_thread queueing[] = {
	{ .name = "sender", .process = 1, .prepare = open_sender, .run = send },
	{ .name = "receiver", .process = 2, .prepare = open_receiver, .run = receive },
};

static const struct scenario_thread publishing[] = {
	{ .name = "publisher", .process = 1, .prepare = open_publisher, .run = publish },
	{ .name = "subscriber", .process = 2, .prepare = subscribe, .run = read_both },
};

const struct scenario scenario_stamp_queue = {
	.name = "stamp-queue",
	.about = "messages are received with the time at which they were sent",
	.threads = queueing,
	.n_threads = 2,
	.set_up = set_up, .judge = judge, .world = &world, .world_bytes = sizeof(world),
	.kills = 1,
	.bounds = { 2, 2 },
};

const struct scenario scenario_stamp_topic = {
	.name = "stamp-topic",
	.about = "messages are read with the time at which they were published",
	.threads = publishing,
	.n_threads = 2,
	.set_up = set_up, .judge = judge, .world = &world, .world_bytes = sizeof(world),
	.kills = 1,
	.bounds = { 2, 2 },
};
