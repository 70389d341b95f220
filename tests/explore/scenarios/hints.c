/* SPDX-License-Identifier: MIT */
/*
 * hints.c - the free list itself: two free chunks of one leaf, two others take hints
 *
 * Whoever finds a hint finds its chunk free, or held by somebody who came before; and in the end each
 * free chunk has a hint, and each leaf with hints its summary bit, whatever each of them saw of the
 * others' steps. Where nobody is killed, no scan mends it.
 */
#include "../stage.h"
#include "client/parts.h"
#include "scenarios.h"

#define CHUNKS 3

static struct {
	uint32_t held[EXPLORE_THREADS];	/* by process: a chunk, or CHUNKS */
} world;

static void set_up(void)
{
	struct config config;

	stage_config(&config, CHUNKS, 2);
	stage_make(&config);
	for (uint32_t i = 1; i <= 3; i++) {
		stage_open(i);
		world.held[i] = CHUNKS;
	}
}

static const struct pool *pool(void)
{
	return &stage_client()->segment->pools[0];
}

static uint32_t me(void)
{
	return stage_client()->holder - stage_holder(1) + 1;
}

/* By the list alone: no word is read for it. */
static void take(void)
{
	uint32_t start = 0, index;

	while (world.held[me()] == CHUNKS && free_list_pop(&pool()->list, &start, &index, 1) > 0)
		if (pool_claim(pool(), index, stage_client()->holder) == 0)
			world.held[me()] = index;
	if (world.held[me()] != CHUNKS)
		stage_stamp(pool_chunk(pool(), world.held[me()]), me());
}

static void put(void)
{
	uint32_t index = world.held[me()];

	if (index == CHUNKS)
		return;
	world.held[me()] = CHUNKS;
	stage_check(pool_chunk(pool(), index), me());
	explore_check(pool_release(pool(), index, stage_client()->holder, false) == 0);
	free_list_push(&pool()->list, index);
}

static void stay(void)
{
}

static void take_and_put(void)
{
	take();
	put();
}

/* All hints are taken, so that the summary is cleared and set. */
static void put_and_take(void)
{
	put();
	take();
	put();
}

static void judge(void)
{
	uint32_t n_held = 0;

	stage_audit();
	for (uint32_t i = 1; i <= 3; i++)
		n_held += world.held[i] != CHUNKS && !explore_is_dead(i);
	explore_check(stage_n_free(0) == CHUNKS - n_held);
}

static const struct scenario_thread list[] = {
	{ .name = "first", .process = 1, .prepare = take, .run = put_and_take },
	{ .name = "second", .process = 2, .prepare = take, .run = put_and_take },
	{ .name = "third", .process = 3, .prepare = take, .run = put_and_take },
};

/* The last hint is taken while the first one comes. */
static const struct scenario_thread two[] = {
	{ .name = "freer", .process = 1, .prepare = take, .run = put },
	{ .name = "keeper", .process = 3, .prepare = take, .run = stay },
	{ .name = "taker", .process = 2, .run = take },
};

static const struct scenario_thread pair[] = {
	{ .name = "first", .process = 1, .prepare = take, .run = put },
	{ .name = "second", .process = 2, .run = take_and_put },
	{ .name = "third", .process = 3, .run = take_and_put },
};

#define HINTS_SCENARIO                                                                             \
	.set_up = set_up, .judge = judge, .world = &world, .world_bytes = sizeof(world)

const struct scenario scenario_hints = {
	.name = "hints",
	.about = "three free their chunks, and take and free one that has a hint",
	.threads = list,
	.n_threads = 3,
	HINTS_SCENARIO,
	.bounds = { 2, 2 },
};

const struct scenario scenario_hints_kill = {
	.name = "hints-kill",
	.about = "one frees, two take and free; one is killed, and the sweep sets all hints again",
	.threads = pair,
	.n_threads = 3,
	HINTS_SCENARIO,
	.kills = 1,
	.bounds = { 2, 2 },
};

const struct scenario scenario_hints_last = {
	.name = "hints-last",
	.about = "the last hint is taken while another one is set",
	.threads = two,
	.n_threads = 3,
	HINTS_SCENARIO,
	.bounds = { 3, 2 },
};
