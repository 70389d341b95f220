/* SPDX-License-Identifier: MIT */
/*
 * wake.c - one thread waits for a chunk that nobody frees, another thread of the process ends the wait
 *
 * Whether it is about to wait, or sleeps, it is not missed: a sleep that only time can end is wrong.
 */
#include "../stage.h"
#include "client/parts.h"
#include "scenarios.h"

static struct {
	uint32_t n_ended;
} world;

static void set_up(void)
{
	struct config config;

	stage_config(&config, 1, 2);
	stage_make(&config);
	stage_open(1);
}

static void take_it(void)
{
	explore_check(mempool_alloc(stage_client(), STAGE_CHUNK_BYTES));
}

static void wait_for_ever(void)
{
	explore_check(!mempool_alloc_wait(stage_client(), STAGE_CHUNK_BYTES, -1));
	explore_check(explore_errno() == ECANCELED);
	world.n_ended++;
}

static void wake(void)
{
	mempool_client_wake(stage_client());
}

static void judge(void)
{
	stage_audit();
	explore_check(world.n_ended == 1);
}

static const struct scenario_thread pair[] = {
	{ .name = "waiter", .process = 1, .prepare = take_it, .run = wait_for_ever },
	{ .name = "waker", .process = 1, .run = wake },
};

const struct scenario scenario_wake = {
	.name = "wake",
	.about = "one thread waits for ever, another one ends that",
	.threads = pair,
	.n_threads = 2,
	.set_up = set_up,
	.judge = judge,
	.world = &world,
	.world_bytes = sizeof(world),
	.bounds = { 2, 2 },
};
