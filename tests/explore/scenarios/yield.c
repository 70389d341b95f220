/* SPDX-License-Identifier: MIT */
/*
 * yield.c - a pool that a topic keeps: its oldest message yields to who allocates
 *
 * What was taken is nobody else's; who reads finds what was published; the newest message stays. Nobody
 * sleeps beside a message that yields, whoever is killed; and who is told that there is nothing has
 * seen a moment at which there was nothing.
 */
#include "../stage.h"
#include "client/parts.h"
#include "scenarios.h"
#include "shm/chunk_manager.h"
#include "shm/topic.h"

/* Of messages, and who takes them; both say who has written it. */
#define STAMP 0x60

static struct {
	struct mempool_topic *topic;		/* of process 3, as all of these */
	struct mempool_subscriber *reader;
	const void *held;
	void *next;				/* allocated, not yet published */
	struct mempool_subscriber *late;	/* of process 2 */
	uint32_t n_taken;
	enum { NOT_DRAINED, DRAINING, DRAINED } drain;
	bool is_held;
	bool was_nothing;			/* at a moment: one was in hand, the other held */
} world;

static void make(uint64_t n_chunks, uint64_t capacity)
{
	struct config config;

	stage_config(&config, n_chunks, 2);
	explore_check(config_add_ring(&config, "t", MEMPOOL_RING_TOPIC, capacity) == 0);
	stage_make(&config);
	for (uint32_t i = 1; i <= 4; i++)
		stage_open(i);
}

static void make_2(void)
{
	make(2, 2);
}

static void make_3(void)
{
	make(3, 4);
}

/* ---- who takes ---- */

static void use(void *chunk)
{
	struct mempool_client *client = stage_client();

	world.n_taken++;
	stage_stamp(chunk, client->holder);
	stage_check(chunk, client->holder);
	explore_check(mempool_free(client, chunk) == 0);
}

static void take(void)
{
	void *chunk = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);

	if (chunk)
		use(chunk);
	else
		explore_check(explore_errno() == EAGAIN);
}

static void wait_and_take(void)
{
	void *chunk = mempool_alloc_wait(stage_client(), STAGE_CHUNK_BYTES, -1);

	explore_check(chunk);
	use(chunk);
}

static void take_unless_there_was_nothing(void)
{
	void *chunk = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);

	if (chunk)
		use(chunk);
	else
		explore_check(world.was_nothing);
}

/* ---- who publishes, and reads ---- */

static void publish(uint64_t n)
{
	explore_check(mempool_topic_open(stage_client(), "t", &world.topic) == 0);
	for (uint64_t i = 0; i < n; i++) {
		void *chunk = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);

		explore_check(chunk);
		stage_stamp(chunk, STAMP + i);
		explore_check(mempool_topic_publish(world.topic, chunk, 8) == 0);
	}
}

static void subscribe_last(uint64_t n)
{
	const struct mempool_subscribe_options options = {
		.size = sizeof(options),
		.start = MEMPOOL_TOPIC_LAST,
		.n_last = n,
	};

	explore_check(mempool_topic_subscribe_with(world.topic, &options, &world.reader) == 0);
}

static void publish_two(void)
{
	publish(2);
	subscribe_last(2);
}

/* Return: 0 and what is held, unless it has yielded. */
static int hold(uint64_t *ret_missed)
{
	return mempool_subscriber_next(world.reader, &world.held, NULL, ret_missed, 0);
}

static void let_go(void)
{
	explore_check(mempool_free(stage_client(), world.held) == 0);
}

static void read_one(void)
{
	uint64_t n_missed;

	explore_check(hold(&n_missed) == 0);
	explore_check(n_missed <= 1);
	stage_check(world.held, STAMP + n_missed);
	let_go();
}

static void publish_two_and_hold(void)
{
	uint64_t n_missed;

	publish_two();
	explore_check(hold(&n_missed) == 0);
}

static void publish_one(void)
{
	publish(1);
	world.next = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);
	stage_stamp(world.next, STAMP + 1);
}

static void publish_next(void)
{
	explore_check(mempool_topic_publish(world.topic, world.next, 8) == 0);
}

/* It holds the newest message, and does not let go of it. */
static void open_late(void)
{
	struct mempool_topic *topic;

	explore_check(mempool_usable_size(stage_client(), NULL) < 0);
	explore_check(mempool_topic_open(stage_client(), "t", &topic) == 0);
	explore_check(mempool_topic_subscribe(topic, MEMPOOL_TOPIC_NEW, &world.late) == 0);
}

static void hold_newest(void)
{
	const void *chunk;

	if (mempool_subscriber_next(world.late, &chunk, NULL, NULL, 0) == 0)
		stage_check(chunk, STAMP + 1);
}

/* ---- of three messages one is drained, then one is held ---- */

/* A thread runs to its first access that others see when it is made: what it notes comes later. */
static void begin(struct topic *ret_topic)
{
	explore_check(topic_view(ret_topic, stage_client()->segment, 0) == 0);
	topic_newest(ret_topic);
}

static void look(void)
{
	world.was_nothing |= world.drain == DRAINING && world.is_held;
}

static void publish_three(void)
{
	publish(3);
	subscribe_last(2);
}

static void hold_second(void)
{
	struct topic topic;
	uint64_t n_missed;

	begin(&topic);
	world.is_held = true;
	look();
	if (hold(&n_missed) == 0 && n_missed == 0)
		stage_check(world.held, STAMP + 1);
}

static void drain_first(void)
{
	struct mempool_client *client = stage_client();
	struct topic topic;
	uint32_t manager;

	begin(&topic);
	world.drain = DRAINING;
	look();
	manager = topic_empty(&topic, 0);
	if (manager != TOPIC_NO_MANAGER)
		chunk_manager_collect(client->segment, manager, client->holder);
	world.drain = DRAINED;
}

/* ---- what is left ---- */

static void judge(void)
{
	struct topic topic;

	stage_audit();
	explore_check(topic_view(&topic, stage_segment(), 0) == 0);
	/* Its newest message is there, or that of a publisher who was killed before. */
	explore_check(topic_peek(&topic, topic_newest(&topic) - 1) != TOPIC_NO_MANAGER);
}

static void judge_all_free(void)
{
	struct topic topic;

	judge();
	explore_check(topic_view(&topic, stage_segment(), 0) == 0);
	explore_check(stage_n_free(0) + topic_count(&topic, 0, topic.capacity) == 2);
}

static const struct scenario_thread two[] = {
	{ .name = "taker", .process = 1, .run = take },
	{ .name = "taker 2", .process = 2, .run = take },
	{ .name = "reader", .process = 3, .prepare = publish_two, .run = read_one },
};

static const struct scenario_thread dropped[] = {
	{ .name = "sleeper", .process = 1, .run = wait_and_take },
	{ .name = "other", .process = 2, .run = take },
	{ .name = "reader", .process = 3, .prepare = publish_two_and_hold, .run = let_go },
};

static const struct scenario_thread published[] = {
	{ .name = "sleeper", .process = 1, .run = wait_and_take },
	{ .name = "publisher", .process = 3, .prepare = publish_one, .run = publish_next },
	{ .name = "late", .process = 2, .prepare = open_late, .run = hold_newest },
};

static const struct scenario_thread drained[] = {
	{ .name = "taker", .process = 1, .run = take_unless_there_was_nothing },
	{ .name = "reader", .process = 3, .prepare = publish_three, .run = hold_second },
	{ .name = "drainer", .process = 4, .run = drain_first },
};

#define YIELD_SCENARIO .world = &world, .world_bytes = sizeof(world)

const struct scenario scenario_yield = {
	.name = "yield",
	.about = "a topic keeps both chunks: two allocate, a third reads; one is killed",
	.threads = two,
	.n_threads = 3,
	.set_up = make_2,
	.judge = judge_all_free,
	.kills = 1,
	.bounds = { 1, 1 },
	YIELD_SCENARIO,
};

const struct scenario scenario_yield_dropped = {
	.name = "yield-dropped",
	.about = "one waits for a chunk, another allocates, a third lets go of a message that the topic keeps",
	.threads = dropped,
	.n_threads = 3,
	.set_up = make_2,
	.judge = judge_all_free,
	.kills = 1,
	.bounds = { 1, 1 },
	YIELD_SCENARIO,
};

const struct scenario scenario_yield_published = {
	.name = "yield-published",
	.about = "one waits for a chunk, another publishes, a third holds what was published",
	.threads = published,
	.n_threads = 3,
	.set_up = make_2,
	.judge = judge,
	.kills = 1,
	.bounds = { 1, 1 },
	YIELD_SCENARIO,
};

const struct scenario scenario_yield_drained = {
	.name = "yield-drained",
	.about = "one allocates; of two messages that yield, one is drained, then a reader holds the other",
	.threads = drained,
	.n_threads = 3,
	.set_up = make_3,
	.judge = judge,
	.bounds = { 2, 1 },
	YIELD_SCENARIO,
};
