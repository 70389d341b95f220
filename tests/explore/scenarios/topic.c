/* SPDX-License-Identifier: MIT */
/*
 * topic.c - topics that keep 1, 2 or 4 messages: who publishes, reads, drains, and is killed
 *
 * A reader is told of each message once, or that it has missed it: received and missed are what was
 * published. Each publisher's messages come in its order, and as they were written, though the chunk
 * of an evicted one is used again. What is held by nobody in the end is free.
 */
#include "../stage.h"
#include "client/parts.h"
#include "post.h"
#include "scenarios.h"
#include "shm/drain.h"
#include "shm/topic.h"

#define CHUNKS 8
/* A few slices: no clock comes so far while somebody can go on. */
#define LONG_NS INT64_C(3000000000)

static struct {
	struct mempool_topic *topics[EXPLORE_THREADS];	/* by process */
	struct mempool_subscriber *reader;		/* of process 3 */
	struct post post;
	uint64_t n_received;
	uint64_t n_missed;
	bool is_reading;
	bool skips_own;
} world;

static void make(uint64_t capacity)
{
	struct config config;

	stage_config(&config, CHUNKS, 2);
	explore_check(config_add_ring(&config, "t", MEMPOOL_RING_TOPIC, capacity) == 0);
	stage_make(&config);
	for (uint32_t i = 1; i <= 4; i++)
		stage_open(i);
}

static void make_1(void)
{
	make(1);
}

static void make_2(void)
{
	make(2);
}

static void make_4(void)
{
	make(4);
}

static uint32_t me(void)
{
	return stage_client()->holder - stage_holder(1) + 1;
}

static void open_topic(void)
{
	explore_check(mempool_usable_size(stage_client(), NULL) < 0);
	if (!world.topics[me()])
		explore_check(mempool_topic_open(stage_client(), "t", &world.topics[me()]) == 0);
}

static void open_reader(void)
{
	open_topic();
	explore_check(mempool_topic_subscribe(world.topics[me()], MEMPOOL_TOPIC_NEW,
					      &world.reader) == 0);
}

static void publish(uint32_t publisher, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		void *chunk = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);

		explore_check(chunk);
		post_write(&world.post, publisher, chunk);
		explore_check(mempool_topic_publish(world.topics[me()], chunk, 8) == 0);
		world.post.n_sent[publisher]++;
	}
}

static void publish_a(void)
{
	publish(1, 2);
}

static void publish_b(void)
{
	publish(2, 2);
}

/* Return: whether there was one. */
static bool read_one(int64_t timeout_ns)
{
	const void *chunk;
	uint64_t n_missed;
	size_t length;
	int r;

	world.is_reading = true;
	r = mempool_subscriber_next(world.reader, &chunk, &length, &n_missed, timeout_ns);
	world.is_reading = false;
	if (r == -EAGAIN)
		return false;
	explore_check(r == 0 && length == 8);
	post_read_shared(&world.post, 3, chunk);
	world.n_received++;
	world.n_missed += n_missed;
	explore_check(mempool_free(stage_client(), chunk) == 0);
	return true;
}

/* Not what the other thread of its process publishes. */
static void open_reader_of_others(void)
{
	const struct mempool_subscribe_options options = {
		.size = sizeof(options),
		.flags = MEMPOOL_SUBSCRIBE_OTHERS,
	};

	open_topic();
	world.skips_own = true;
	explore_check(mempool_topic_subscribe_with(world.topics[me()], &options,
						   &world.reader) == 0);
}

static void publish_own(void)
{
	publish(2, 2);
}

static void read_of_others(void)
{
	for (int i = 0; i < 2; i++)
		if (read_one(0))
			explore_check(world.post.next[3][2] == 0);
}

static void look_twice(void)
{
	read_one(0);
	read_one(0);
}

/* The last message is never missed. */
static void wait_for_one(void)
{
	if (!read_one(LONG_NS))
		explore_check(explore_n_killed() > 0);
}

static uint64_t n_published(void)
{
	struct topic topic;

	explore_check(topic_view(&topic, stage_segment(), 0) == 0);
	return topic_newest(&topic);
}

static bool may_sleep(void)
{
	return explore_n_killed() > 0 && world.is_reading &&
	       n_published() == world.n_received + world.n_missed;
}

static void drain(void)
{
	struct topic topic;
	uint64_t n_freed;

	explore_check(topic_view(&topic, stage_client()->segment, 0) == 0);
	drain_topic(&topic, stage_client()->holder, &n_freed);
}

static void read_rest(void *unused)
{
	(void)unused;
	while (read_one(0))
		;
}

static void publish_last(void *unused)
{
	(void)unused;
	publish(4, 1);
}

static void judge(void)
{
	struct topic topic;
	uint64_t n_freed;

	stage_audit();
	explore_check(n_published() >= world.post.n_sent[1] + world.post.n_sent[2]);
	explore_check(n_published() <=
		      world.post.n_sent[1] + world.post.n_sent[2] + (uint64_t)explore_n_killed());
	/* With one more behind all others it is told of all that it has missed. */
	if (!explore_is_dead(3) && !explore_is_dead(4)) {
		explore_in(4, publish_last, NULL);
		explore_in(3, read_rest, NULL);
		/* Of its own none was read: they were missed, or passed over. */
		if (world.skips_own) {
			explore_check(world.post.next[3][2] == 0);
			explore_check(world.n_received + world.n_missed <= n_published());
			explore_check(world.n_received + world.n_missed + 2 >= n_published());
		} else if (world.n_received + world.n_missed != n_published())
			explore_fail("%llu received, %llu missed, of %llu",
				     (unsigned long long)world.n_received,
				     (unsigned long long)world.n_missed,
				     (unsigned long long)n_published());
	}
	explore_check(topic_view(&topic, stage_segment(), 0) == 0);
	drain_topic(&topic, MEMPOOL_HOLDER_DAEMON_ID, &n_freed);
	stage_audit_words();
	explore_check(stage_n_free(0) == CHUNKS);
}

#define TOPIC_SCENARIO                                                                             \
	.judge = judge, .world = &world, .world_bytes = sizeof(world), .kills = 1,                 \
	.may_sleep = may_sleep

static const struct scenario_thread looking[] = {
	{ .name = "publisher", .process = 1, .prepare = open_topic, .run = publish_a },
	{ .name = "publisher 2", .process = 2, .prepare = open_topic, .run = publish_b },
	{ .name = "reader", .process = 3, .prepare = open_reader, .run = look_twice },
	/* Its cache is there for the judge's. */
	{ .name = "last", .process = 4, .prepare = open_topic, .run = open_topic },
};

static const struct scenario_thread waiting[] = {
	{ .name = "publisher", .process = 1, .prepare = open_topic, .run = publish_a },
	{ .name = "reader", .process = 3, .prepare = open_reader, .run = wait_for_one },
	{ .name = "last", .process = 4, .prepare = open_topic, .run = open_topic },
};

static const struct scenario_thread others[] = {
	{ .name = "publisher", .process = 1, .prepare = open_topic, .run = publish_a },
	{ .name = "own", .process = 3, .prepare = open_topic, .run = publish_own },
	{ .name = "reader", .process = 3, .prepare = open_reader_of_others, .run = read_of_others },
	{ .name = "last", .process = 4, .prepare = open_topic, .run = open_topic },
};

static const struct scenario_thread draining[] = {
	{ .name = "publisher", .process = 1, .prepare = open_topic, .run = publish_a },
	{ .name = "reader", .process = 3, .prepare = open_reader, .run = look_twice },
	{ .name = "drainer", .process = 4, .prepare = open_topic, .run = drain },
};

const struct scenario scenario_topic_wait = {
	.name = "topic-wait",
	.about = "a topic of 1: one publishes two, another waits for one",
	.threads = waiting,
	.n_threads = 3,
	.set_up = make_1,
	TOPIC_SCENARIO,
	.bounds = { 2, 1 },
};

const struct scenario scenario_topic_1 = {
	.name = "topic-1",
	.about = "a topic of 1: two publish two each, another reads; one is killed",
	.threads = looking,
	.n_threads = 4,
	.set_up = make_1,
	TOPIC_SCENARIO,
	.bounds = { 1, 1 },
};

const struct scenario scenario_topic_2 = {
	.name = "topic-2",
	.about = "the same with a topic of 2",
	.threads = looking,
	.n_threads = 4,
	.set_up = make_2,
	TOPIC_SCENARIO,
	.bounds = { 1, 1 },
};

const struct scenario scenario_topic_4 = {
	.name = "topic-4",
	.about = "the same with a topic of 4",
	.threads = looking,
	.n_threads = 4,
	.set_up = make_4,
	TOPIC_SCENARIO,
	.bounds = { 1, 1 },
};

const struct scenario scenario_topic_drain = {
	.name = "topic-drain",
	.about = "a topic of 2: one publishes, another reads, a third drains it",
	.threads = draining,
	.n_threads = 3,
	.set_up = make_2,
	TOPIC_SCENARIO,
	.bounds = { 2, 1 },
};

const struct scenario scenario_topic_others = {
	.name = "topic-others",
	.about = "a topic of 2: one publishes, so does a thread of the process that reads what others do",
	.threads = others,
	.n_threads = 4,
	.set_up = make_2,
	TOPIC_SCENARIO,
	.bounds = { 1, 1 },
};
