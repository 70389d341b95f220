/* SPDX-License-Identifier: MIT */
/*
 * give.c - one gives a chunk, two try to take it: one of them has it, as it was written
 *
 * The handle comes to them by a way that orders nothing. Killed anywhere, the chunk is free again in
 * the end, or was taken. Two threads of one process may give the same chunk: one of them does.
 */
#include "../stage.h"
#include "client/parts.h"
#include "scenarios.h"

#define STAMP 0x61

static struct {
	void *chunk;			/* of process 1 */
	uint64_t handle;
	uint32_t n_given, n_refused;
	uint32_t n_taken, n_late;
} world;

static void set_up(void)
{
	struct config config;

	stage_config(&config, 2, 2);
	stage_make(&config);
	for (uint32_t i = 1; i <= 3; i++)
		stage_open(i);
}

static void make_chunk(void)
{
	world.chunk = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);
	explore_check(world.chunk);
	stage_stamp(world.chunk, STAMP);
}

static void count(void)
{
	explore_check(mempool_usable_size(stage_client(), world.chunk) > 0);
}

static void give(void)
{
	uint64_t handle;
	int r = mempool_give(stage_client(), world.chunk, 8, &handle);

	if (r == -EPERM) {
		world.n_refused++;
		return;
	}
	explore_check(r == 0);
	world.handle = handle;
	world.n_given++;
}

static bool is_given(void *unused)
{
	(void)unused;
	return world.handle != 0 || explore_is_dead(1);
}

/* And it is the next one's at once: the same place, another content. */
static void take(void)
{
	struct mempool_client *client = stage_client();
	size_t length;
	void *chunk;
	int r;

	explore_wait(is_given, NULL);
	if (!world.handle)
		return;
	r = mempool_take(client, world.handle, &chunk, &length);
	if (r == -ESTALE) {
		world.n_late++;
		return;
	}
	explore_check(r == 0 && length == 8);
	world.n_taken++;
	stage_check(chunk, STAMP);
	stage_stamp(chunk, client->holder);
	explore_check(mempool_free(client, chunk) == 0);
}

static void judge(void)
{
	stage_audit();
	explore_check(world.n_given <= 1 && world.n_taken <= 1);
	if (explore_n_killed() == 0) {
		explore_check(world.n_given == 1 && world.n_taken + world.n_late == 2);
		/* A taker that does not see the word yet is too late, too: then nobody has it. */
		explore_check(stage_n_free(0) == 1 + world.n_taken);
	}
}

#define GIVE_SCENARIO                                                                              \
	.set_up = set_up, .judge = judge, .world = &world, .world_bytes = sizeof(world), .kills = 1

static const struct scenario_thread one[] = {
	{ .name = "giver", .process = 1, .prepare = make_chunk, .run = give },
	{ .name = "taker", .process = 2, .run = take },
	{ .name = "taker 2", .process = 3, .run = take },
};

static const struct scenario_thread both[] = {
	{ .name = "giver", .process = 1, .prepare = make_chunk, .run = give },
	{ .name = "giver 2", .process = 1, .prepare = count, .run = give },
	{ .name = "taker", .process = 2, .run = take },
	{ .name = "taker 2", .process = 3, .run = take },
};

const struct scenario scenario_give = {
	.name = "give",
	.about = "one gives a chunk, two others try to take it",
	.threads = one,
	.n_threads = 3,
	GIVE_SCENARIO,
	.bounds = { 3, 2 },
};

const struct scenario scenario_give_threads = {
	.name = "give-threads",
	.about = "two threads of a process give one chunk, two others try to take it",
	.threads = both,
	.n_threads = 4,
	GIVE_SCENARIO,
	.bounds = { 2, 1 },
};
