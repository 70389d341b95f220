/* SPDX-License-Identifier: MIT */
/*
 * close_beside.c - a client is closed while another process uses what it had, and while another
 *		    thread closes its last handle on a queue
 *
 * What the process held is free afterwards, or was taken, acquired or received by the other one before;
 * nothing is freed twice. What was sent outlives its sender. After the close the process has no part in
 * the segment: the audit finds nothing of it.
 */
#include "../stage.h"
#include "client/parts.h"
#include "scenarios.h"

#define CHUNKS 4
#define STAMP 0x71

static struct {
	struct mempool_queue *queues[EXPLORE_THREADS];	/* by process */
	uint64_t given;			/* handles */
	uint64_t shared;
	uint32_t n_sent;		/* and not received */
	struct mempool_client *other;	/* of process 1 */
} world;

static void set_up(void)
{
	struct config config;

	stage_config(&config, CHUNKS, 2);
	explore_check(config_add_ring(&config, "q", MEMPOOL_RING_QUEUE, 2) == 0);
	stage_make(&config);
	stage_open(1);
	stage_open(2);
}

static void *new_chunk(void)
{
	void *chunk = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);

	explore_check(chunk);
	stage_stamp(chunk, STAMP);
	return chunk;
}

/* One given, one shared, one on the queue, and one that it simply has. */
static void have_some(void)
{
	explore_check(mempool_queue_open(stage_client(), "q", &world.queues[1]) == 0);
	explore_check(mempool_give(stage_client(), new_chunk(), 8, &world.given) == 0);
	explore_check(mempool_share(stage_client(), new_chunk(), 8, &world.shared) == 0);
	explore_check(mempool_queue_send(world.queues[1], new_chunk(), 8, 0) == 0);
	world.n_sent = 1;
	new_chunk();
}

static void have_cache(void)
{
	explore_check(mempool_usable_size(stage_client(), NULL) < 0);
}

static void close_it(void)
{
	mempool_queue_close(world.queues[1]);
	mempool_client_close(stage_client());
}

static void open_queue(void)
{
	explore_check(mempool_queue_open(stage_client(), "q", &world.queues[2]) == 0);
}

static void use_all(void)
{
	struct mempool_client *client = stage_client();
	const void *shared;
	size_t length;
	void *chunk;
	int r;

	r = mempool_take(client, world.given, &chunk, &length);
	if (r == 0) {
		stage_check(chunk, STAMP);
		explore_check(mempool_free(client, chunk) == 0);
	}
	explore_check(r == 0 || r == -ESTALE);
	r = mempool_acquire(client, world.shared, &shared, &length);
	if (r == 0) {
		stage_check(shared, STAMP);
		explore_check(mempool_free(client, shared) == 0);
	}
	explore_check(r == 0 || r == -ESTALE);
	/* What was sent outlives its sender. */
	explore_check(mempool_queue_receive(world.queues[2], &chunk, &length, 0) == 0);
	world.n_sent = 0;
	stage_check(chunk, STAMP);
	explore_check(mempool_free(client, chunk) == 0);
}

static void judge(void)
{
	stage_audit();
	if (explore_n_killed() == 0)
		explore_check(stage_n_free(0) == CHUNKS - world.n_sent);
}

/* ---- handles outlive the client, and the last one frees it ---- */

static void open_queue_of_1(void)
{
	explore_check(mempool_queue_open(stage_client(), "q", &world.queues[1]) == 0);
}

static void close_queue(void)
{
	mempool_queue_close(world.queues[1]);
}

static void close_client(void)
{
	mempool_client_close(stage_client());
}

/* ---- a thread comes to another client, and frees what it had of the closed one ---- */

static void open_other(void)
{
	static struct segment other;

	have_cache();
	other = *stage_client()->segment;
	explore_check(client_new(&other, stage_holder(2), 0, &world.other) == 0);
}

static void come_to_other(void)
{
	explore_check(mempool_usable_size(world.other, NULL) < 0);
}

#define CLOSE_SCENARIO                                                                             \
	.set_up = set_up, .judge = judge, .world = &world, .world_bytes = sizeof(world)

static const struct scenario_thread beside_users[] = {
	{ .name = "closer", .process = 1, .prepare = have_some, .run = close_it },
	{ .name = "user", .process = 2, .prepare = open_queue, .run = use_all },
};

static const struct scenario_thread beside_handles[] = {
	{ .name = "closer", .process = 1, .prepare = have_cache, .run = close_client },
	{ .name = "closer 2", .process = 1, .prepare = open_queue_of_1, .run = close_queue },
};

static const struct scenario_thread beside_other[] = {
	{ .name = "closer", .process = 1, .prepare = have_cache, .run = close_client },
	{ .name = "comes", .process = 1, .prepare = open_other, .run = come_to_other },
};

const struct scenario scenario_close_users = {
	.name = "close-users",
	.about = "one closes its client, another takes, acquires and receives what it had",
	.threads = beside_users,
	.n_threads = 2,
	CLOSE_SCENARIO,
	.kills = 1,
	.bounds = { 2, 1 },
};

const struct scenario scenario_close_handles = {
	.name = "close-handles",
	.about = "one thread closes a client, another one the last handle on a queue of it",
	.threads = beside_handles,
	.n_threads = 2,
	CLOSE_SCENARIO,
	.kills = 1,
	.bounds = { 3, 2 },
};

const struct scenario scenario_close_other = {
	.name = "close-other",
	.about = "one thread closes a client, another one that has used it comes to another client",
	.threads = beside_other,
	.n_threads = 2,
	CLOSE_SCENARIO,
	.bounds = { 3, 2 },
};
