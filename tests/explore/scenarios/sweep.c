/* SPDX-License-Identifier: MIT */
/*
 * sweep.c - one holds all chunks and is killed, another has found none: as soon as the sweep has gone
 *	     past a leaf of the pool, what was freed there is found
 *
 * Not only when all of it is swept: a large pool takes a while.
 */
#include "../engine.h"
#include "../stage.h"
#include "client/parts.h"
#include "scenarios.h"

#define LEAF 64
#define CHUNKS (LEAF + 4)

static struct {
	const void *first;		/* of process 1 */
	bool is_over;
} world;

static void set_up(void)
{
	struct config config;

	stage_config(&config, CHUNKS, 2);
	stage_make(&config);
	stage_open(1);
	stage_open(2);
}

static void take_all(void)
{
	world.first = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);
	explore_check(world.first);
	for (int i = 1; i < CHUNKS; i++)
		explore_check(mempool_alloc(stage_client(), STAGE_CHUNK_BYTES));
}

/* If it is not killed, it keeps the others. */
static void free_one(void)
{
	explore_check(mempool_free(stage_client(), world.first) == 0);
	world.is_over = true;
}

static void find_none(void)
{
	explore_check(!mempool_alloc(stage_client(), STAGE_CHUNK_BYTES));
}

/* The first word of the second leaf: it is no step of anybody to look. */
static bool has_passed_a_leaf(void *unused)
{
	bool is_free;

	(void)unused;
	exploring = false;
	is_free = word_is_free(stage_segment()->pools[0].entries[LEAF].word);
	exploring = true;
	return world.is_over || is_free;
}

static void find_one(void)
{
	void *chunk;

	explore_wait(has_passed_a_leaf, NULL);
	chunk = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);
	explore_check(chunk);
	explore_check(mempool_free(stage_client(), chunk) == 0);
}

static void judge(void)
{
	stage_audit();
	explore_check(stage_n_free(0) == (explore_is_dead(1) ? CHUNKS : 1));
}

static const struct scenario_thread pair[] = {
	{ .name = "holder", .process = 1, .prepare = take_all, .run = free_one },
	{ .name = "asker", .process = 2, .prepare = find_none, .run = find_one },
};

const struct scenario scenario_sweep = {
	.name = "sweep",
	.about = "one holds two leaves of chunks and is killed, another waits for the first of them",
	.threads = pair,
	.n_threads = 2,
	.set_up = set_up,
	.judge = judge,
	.world = &world,
	.world_bytes = sizeof(world),
	.kills = 1,
	.spares_daemon = true,
	.bounds = { 2, 0 },
};
