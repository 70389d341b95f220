/* SPDX-License-Identifier: MIT */
/*
 * share.c - one chunk, several holders: two threads of a process share it, another process acquires it
 *
 * The last one who lets go frees chunk and manager, whoever that is, and whoever is killed. Who has
 * acquired finds what the first wrote; who comes too late gets -ESTALE.
 */
#include "../stage.h"
#include "client/parts.h"
#include "scenarios.h"

#define STAMP 0x5a

static struct {
	void *chunk;			/* of process 1 */
	uint64_t handle;
	uint32_t n_sharers;		/* that are not through with it */
} world;

static void set_up(void)
{
	struct config config;

	stage_config(&config, 2, 2);
	stage_make(&config);
	stage_open(1);
	stage_open(2);
}

static void make_chunk(void)
{
	world.chunk = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);
	explore_check(world.chunk);
	world.n_sharers++;
	stage_stamp(world.chunk, STAMP);
}

/* With a cache of its own. */
static void count(void)
{
	explore_check(mempool_usable_size(stage_client(), world.chunk) > 0);
	world.n_sharers++;
}

static void share(void)
{
	uint64_t handle;

	explore_check(mempool_share(stage_client(), world.chunk, 8, &handle) == 0);
	explore_check(world.handle == 0 || world.handle == handle);
	world.handle = handle;
	world.n_sharers--;
}

static bool all_have_shared(void *unused)
{
	(void)unused;
	return world.n_sharers == 0;
}

/* The reference is one, however many threads have shared it. */
static void share_and_free(void)
{
	share();
	explore_wait(all_have_shared, NULL);
	explore_check(mempool_free(stage_client(), world.chunk) == 0);
}

static bool is_shared(void *unused)
{
	(void)unused;
	return world.handle != 0 || explore_is_dead(1);
}

static void acquire_and_free(void)
{
	const void *chunk;
	size_t length;
	int r;

	explore_wait(is_shared, NULL);
	if (!world.handle)
		return;
	r = mempool_acquire(stage_client(), world.handle, &chunk, &length);
	if (r == -ESTALE)
		return;
	explore_check(r == 0);
	explore_check(length == 8);
	stage_check(chunk, STAMP);
	explore_check(mempool_free(stage_client(), chunk) == 0);
}

static void judge(void)
{
	stage_audit();
	explore_check(stage_n_free(0) == 2);
}

static const struct scenario_thread threads[] = {
	{ .name = "sharer", .process = 1, .prepare = make_chunk, .run = share_and_free },
	{ .name = "acquirer", .process = 2, .run = acquire_and_free },
};

const struct scenario scenario_share = {
	.name = "share",
	.about = "one shares a chunk and lets go of it, another process acquires it",
	.threads = threads,
	.n_threads = 2,
	.set_up = set_up,
	.judge = judge,
	.world = &world,
	.world_bytes = sizeof(world),
	.kills = 1,
	.bounds = { 2, 2 },
};

static const struct scenario_thread both[] = {
	{ .name = "sharer", .process = 1, .prepare = make_chunk, .run = share_and_free },
	{ .name = "too", .process = 1, .prepare = count, .run = share },
	{ .name = "acquirer", .process = 2, .run = acquire_and_free },
};

const struct scenario scenario_share_threads = {
	.name = "share-threads",
	.about = "two threads of a process share one chunk, another process acquires it",
	.threads = both,
	.n_threads = 3,
	.set_up = set_up,
	.judge = judge,
	.world = &world,
	.world_bytes = sizeof(world),
	.kills = 1,
	.bounds = { 2, 1 },
};
