/* SPDX-License-Identifier: MIT */
/*
 * unshare.c - one that has shared a chunk takes it back and writes; others acquire it
 *
 * Whoever has acquired finds what was written before the share: the sharer writes again when
 * nobody has the chunk, or not at all. Whoever comes too late gets -ESTALE. Chunk and manager
 * are free in the end, whoever is killed.
 */
#include "../stage.h"
#include "scenarios.h"

#define STAMP 0x5a
#define LATER 0x33

static struct {
	void *chunk;			/* of process 1 */
	uint64_t handle;
} world;

static void set_up(void)
{
	struct config config;

	stage_config(&config, 2, 2);
	stage_make(&config);
	stage_open(1);
	stage_open(2);
}

static void share_chunk(void)
{
	world.chunk = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);
	explore_check(world.chunk);
	stage_stamp(world.chunk, STAMP);
	explore_check(mempool_share(stage_client(), world.chunk, 8, &world.handle) == 0);
}

static void unshare_and_free(void)
{
	void *chunk;
	int r = mempool_unshare(stage_client(), world.chunk, &chunk);

	if (r == 0) {
		explore_check(chunk == world.chunk);
		stage_stamp(chunk, LATER);
		stage_check(chunk, LATER);
	} else {
		explore_check(r == -EBUSY);
		stage_check(world.chunk, STAMP);
	}
	explore_check(mempool_free(stage_client(), world.chunk) == 0);
}

/* With a cache of its own. */
static void look(void)
{
	explore_check(mempool_usable_size(stage_client(), world.chunk) > 0);
}

static void acquire_and_free(void)
{
	const void *chunk;
	size_t length;
	int r = mempool_acquire(stage_client(), world.handle, &chunk, &length);

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
	{ .name = "owner", .process = 1, .prepare = share_chunk, .run = unshare_and_free },
	{ .name = "acquirer", .process = 2, .run = acquire_and_free },
};

const struct scenario scenario_unshare = {
	.name = "unshare",
	.about = "one takes a shared chunk back and writes to it, another process acquires it",
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
	{ .name = "owner", .process = 1, .prepare = share_chunk, .run = unshare_and_free },
	{ .name = "too", .process = 1, .prepare = look, .run = acquire_and_free },
	{ .name = "acquirer", .process = 2, .run = acquire_and_free },
};

const struct scenario scenario_unshare_threads = {
	.name = "unshare-threads",
	.about = "the same, and another thread of the one that takes it back acquires it, too",
	.threads = both,
	.n_threads = 3,
	.set_up = set_up,
	.judge = judge,
	.world = &world,
	.world_bytes = sizeof(world),
	.kills = 1,
	.bounds = { 2, 1 },
};
