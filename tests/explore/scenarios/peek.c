/* SPDX-License-Identifier: MIT */
/*
 * peek.c - a spectator reads a topic of one message in memory that it cannot write, while the chunk
 *	    is freed, taken by the next message, and written
 *
 * If it is told that the copy is good, then that is one message, as its publisher wrote it, with its
 * length and tag. There are two chunks: what is written next lies where the evicted message was.
 * Publishers write by atomic words: what is read while it is written is a race for C11, and must be
 * (shm/peek.h).
 */
#include <string.h>

#include "../stage.h"
#include "client/parts.h"
#include "scenarios.h"

#define CHUNKS 2
#define WORDS (STAGE_CHUNK_BYTES / 8)

static struct {
	struct mempool_topic *topics[EXPLORE_THREADS];	/* by process */
	struct mempool_subscriber *reader;
	uint64_t n_published;		/* calls begun */
	uint64_t n_good;
} world;

static void set_up(void)
{
	struct config config;

	stage_config(&config, CHUNKS, 2);
	explore_check(config_add_ring(&config, "t", MEMPOOL_RING_TOPIC, 1) == 0);
	stage_make(&config);
	stage_open(1);
	stage_open(2);
}

static void open_topic(uint32_t process)
{
	explore_check(mempool_topic_open(stage_client(), "t", &world.topics[process]) == 0);
}

/* Return: NULL: there is no chunk. */
static _Atomic uint64_t *write_next(void)
{
	uint64_t number = ++world.n_published;
	_Atomic uint64_t *words = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);

	/* The reaper has it for a moment, if the reader was killed. */
	if (!words) {
		explore_check(explore_n_killed() > 0);
		return NULL;
	}
	for (int i = 0; i < WORDS; i++)
		atomic_store_explicit(&words[i], number, memory_order_relaxed);
	explore_check(mempool_chunk_set_tag(stage_client(), words, (uint32_t)number) == 0);
	return words;
}

static void publish(void)
{
	_Atomic uint64_t *words = write_next();

	if (words)
		explore_check(mempool_topic_publish(world.topics[1], words,
						    8 + world.n_published % 8) == 0);
}

static void publish_first(void)
{
	open_topic(1);
	publish();
}

/* The message that is there goes, and somebody writes where it was. */
static void publish_and_write(void)
{
	void *chunk;

	publish();
	chunk = write_next();
	if (chunk)
		explore_check(mempool_free(stage_client(), chunk) == 0);
}

static void subscribe(void)
{
	open_topic(2);
	explore_check(mempool_topic_subscribe(world.topics[2], MEMPOOL_TOPIC_OLDEST,
					      &world.reader) == 0);
}

/* What was verified: all of it of one message. */
static void check(const void *seen, size_t length, uint32_t tag)
{
	const unsigned char *bytes = seen;
	uint64_t number;

	world.n_good++;
	memcpy(&number, seen, sizeof(number));
	explore_check(number >= 1 && number <= world.n_published);
	if (tag != number || length != 8 + number % 8)
		explore_fail("verified, and message %llu has tag %u and length %zu",
			     (unsigned long long)number, tag, length);
	for (size_t i = 8; i < length; i++)
		if (bytes[i] != (unsigned char)(number >> i % 8 * 8))
			explore_fail("verified, and message %llu is torn at byte %zu",
				     (unsigned long long)number, i);
}

static void look(void)
{
	uint64_t seen[WORDS];
	const void *chunk;
	size_t length;
	uint32_t tag;
	int r = mempool_subscriber_peek(world.reader, &chunk, &length, &tag, NULL, 0);

	if (r == -EAGAIN)
		return;
	explore_check(r == 0);
	for (int i = 0; i < WORDS; i++)
		seen[i] = atomic_load_explicit((const _Atomic uint64_t *)chunk + i,
					       memory_order_relaxed);
	if (mempool_subscriber_verify(world.reader) == 0)
		check(seen, length, tag);
}

static void copy(void)
{
	uint64_t seen[WORDS] = { 0 };
	size_t length;
	uint32_t tag;
	int r = mempool_subscriber_copy(world.reader, seen, sizeof(seen), &length, &tag, NULL, 0);

	if (r == -EAGAIN)
		return;
	explore_check(r == 0);
	check(seen, length, tag);
}

static void judge(void)
{
	stage_audit();
}

#define PEEK_SCENARIO                                                                              \
	.set_up = set_up, .judge = judge, .world = &world, .world_bytes = sizeof(world)

static const struct scenario_thread looking[] = {
	{ .name = "publisher", .process = 1, .prepare = publish_first, .run = publish_and_write },
	{ .name = "spectator", .process = 2, .prepare = subscribe, .run = look },
};

static const struct scenario_thread copying[] = {
	{ .name = "publisher", .process = 1, .prepare = publish_first, .run = publish_and_write },
	{ .name = "spectator", .process = 2, .prepare = subscribe, .run = copy },
};

const struct scenario scenario_peek = {
	.name = "peek",
	.about = "a spectator looks at messages whose chunk is written again, and verifies",
	.threads = looking,
	.n_threads = 2,
	PEEK_SCENARIO,
	.kills = 1,
	.bounds = { 2, 3 },
};

const struct scenario scenario_peek_copy = {
	.name = "peek-copy",
	.about = "a spectator copies messages whose chunk is written again",
	.threads = copying,
	.n_threads = 2,
	PEEK_SCENARIO,
	.kills = 1,
	.bounds = { 2, 2 },
};
