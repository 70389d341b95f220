/* SPDX-License-Identifier: MIT */
/*
 * pipe.c - the last one of the other side of a queue closes, is killed, or comes back beside one who waits
 *
 * -EPIPE is said only if, at some moment of that call, nobody of the other side was there: none had told
 * that it has come, and not told that it goes. Nobody sleeps for ever: when all have left, each waiter has
 * learned it. What was sent before that was received first.
 */
#include "../stage.h"
#include "client/parts.h"
#include "scenarios.h"

static struct {
	struct mempool_queue *queues[EXPLORE_THREADS];	/* by process */
	uint32_t n_there;	/* of the other side, surely: open returned, and close not begun */
	uint32_t n_sent;
	uint32_t n_received;
	bool was_none;		/* in the call under way */
	bool has_learned;
} world;

static void make(uint64_t capacity)
{
	struct config config;

	stage_config(&config, 4, 2);
	explore_check(config_add_ring(&config, "q", MEMPOOL_RING_QUEUE, capacity) == 0);
	stage_make(&config);
	for (uint32_t i = 1; i <= 3; i++)
		stage_open(i);
}

static void set_up(void)
{
	make(1);
}

static uint32_t me(void)
{
	return stage_client()->holder - stage_holder(1) + 1;
}

static void open_as(uint64_t flags)
{
	const struct mempool_queue_options options = { .size = sizeof(options), .flags = flags };

	explore_check(mempool_queue_open_with(stage_client(), "q", &options, &world.queues[me()]) == 0);
}

static void *new_chunk(void)
{
	void *chunk = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);

	explore_check(chunk);
	return chunk;
}

/* ---- the other side ---- */

static void come_as(uint64_t flags)
{
	open_as(flags);
	world.n_there++;
}

static void come_to_receive(void)
{
	come_as(MEMPOOL_QUEUE_RECEIVER);
}

static void come_to_send(void)
{
	come_as(MEMPOOL_QUEUE_SENDER);
}

static void go(void)
{
	world.was_none |= --world.n_there == 0;
	mempool_queue_close(world.queues[me()]);
}

/* It looks away before it goes, and so takes one that was sent, or none. */
static void receive_and_go(void)
{
	void *chunk;

	if (mempool_queue_receive(world.queues[me()], &chunk, NULL, 0) == 0)
		explore_check(mempool_free(stage_client(), chunk) == 0);
	go();
}

static void send_and_go(void)
{
	if (mempool_queue_send(world.queues[me()], new_chunk(), 8, 0) == 0)
		world.n_sent++;
	go();
}

static void come_and_go(void)
{
	come_to_receive();
	go();
}

/* ---- who waits ---- */

static bool was_none(void)
{
	/* One that was killed has told nothing more. */
	return world.was_none || explore_n_killed() > 0;
}

static void prepare_sender(void)
{
	open_as(MEMPOOL_QUEUE_PIPE);
	/* Full. */
	explore_check(mempool_queue_send(world.queues[me()], new_chunk(), 8, 0) == 0);
}

/* Until it is told: for ever, if nobody does. */
static void send_until_told(void)
{
	void *chunk = new_chunk();
	int r;

	do {
		world.was_none = world.n_there == 0;
		r = mempool_queue_send(world.queues[me()], chunk, 8, -1);
		if (r == 0)
			chunk = new_chunk();
	} while (r == 0);
	explore_check(r == -EPIPE);
	explore_check(was_none());
	/* It is ours still. */
	explore_check(mempool_free(stage_client(), chunk) == 0);
	world.has_learned = true;
}

static void prepare_receiver(void)
{
	open_as(MEMPOOL_QUEUE_PIPE);
	explore_check(mempool_usable_size(stage_client(), NULL) < 0);
}

static void receive_until_told(void)
{
	void *chunk;
	int r;

	do {
		world.was_none = world.n_there == 0;
		r = mempool_queue_receive(world.queues[me()], &chunk, NULL, -1);
		if (r == 0) {
			world.n_received++;
			explore_check(mempool_free(stage_client(), chunk) == 0);
		}
	} while (r == 0);
	explore_check(r == -EPIPE);
	explore_check(was_none());
	explore_check(world.n_received >= world.n_sent);
	world.has_learned = true;
}

static void judge(void)
{
	stage_audit();
	explore_check(world.has_learned || explore_is_dead(1));
}

#define PIPE_SCENARIO                                                                              \
	.set_up = set_up, .judge = judge, .world = &world, .world_bytes = sizeof(world), .kills = 1

static const struct scenario_thread sender[] = {
	{ .name = "sender", .process = 1, .prepare = prepare_sender, .run = send_until_told },
	{ .name = "receiver", .process = 2, .prepare = come_to_receive, .run = receive_and_go },
};

const struct scenario scenario_pipe_sender = {
	PIPE_SCENARIO,
	.name = "pipe-sender",
	.about = "the last receiver closes or is killed beside a sender that sleeps",
	.threads = sender,
	.n_threads = 2,
	.bounds = { 2, 1 },
};

static const struct scenario_thread receiver[] = {
	{ .name = "receiver", .process = 1, .prepare = prepare_receiver, .run = receive_until_told },
	{ .name = "sender", .process = 2, .prepare = come_to_send, .run = send_and_go },
};

const struct scenario scenario_pipe_receiver = {
	PIPE_SCENARIO,
	.name = "pipe-receiver",
	.about = "the last sender closes or is killed beside a receiver that sleeps",
	.threads = receiver,
	.n_threads = 2,
	.bounds = { 2, 1 },
};

/* To look at all ends one after the other is not to look at once. */
static const struct scenario_thread another[] = {
	{ .name = "sender", .process = 1, .prepare = prepare_sender, .run = send_until_told },
	{ .name = "receiver", .process = 2, .prepare = come_to_receive, .run = go },
	{ .name = "another", .process = 3, .run = come_and_go },
};

const struct scenario scenario_pipe_another = {
	PIPE_SCENARIO,
	.name = "pipe-another",
	.about = "as the last receiver leaves, another one comes, and leaves too",
	.threads = another,
	.n_threads = 3,
	.bounds = { 2, 1 },
};
