/* SPDX-License-Identifier: MIT */
/*
 * wait.c - one chunk, and more who want it: those who find none sleep until it is freed
 *
 * Whoever frees it may be killed before it wakes anybody; then the reaper wakes. Nobody sleeps
 * beside a free chunk: a sleep that only time can end is wrong.
 */
#include "../stage.h"
#include "client/parts.h"
#include "scenarios.h"

static struct {
	uint32_t n_allocated;
} world;

static void set_up(void)
{
	struct config config;

	stage_config(&config, 1, 2);
	stage_make(&config);
	stage_open(1);
	stage_open(2);
	stage_open(3);
}

static void use(void *chunk)
{
	struct mempool_client *client = stage_client();

	explore_check(chunk);
	world.n_allocated++;
	stage_stamp(chunk, client->holder);
	stage_check(chunk, client->holder);
	explore_check(mempool_free(client, chunk) == 0);
}

static void wait_and_free(void)
{
	use(mempool_alloc_wait(stage_client(), STAGE_CHUNK_BYTES, -1));
}

static void alloc_and_free(void)
{
	void *chunk = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);

	if (chunk)
		use(chunk);
	else
		explore_check(explore_errno() == EAGAIN);
}

static void judge(void)
{
	stage_audit();
	explore_check(stage_n_free(0) == 1);
	explore_check(world.n_allocated >= 1 || explore_n_killed() > 0);
}

static const struct scenario_thread two[] = {
	{ .name = "sleeper", .process = 1, .run = wait_and_free },
	{ .name = "other", .process = 2, .run = alloc_and_free },
};

static const struct scenario_thread three[] = {
	{ .name = "sleeper", .process = 1, .run = wait_and_free },
	{ .name = "other", .process = 2, .run = alloc_and_free },
	{ .name = "second", .process = 3, .run = wait_and_free },
};

const struct scenario scenario_wait = {
	.name = "wait",
	.about = "one waits for the one chunk, another has it and frees it, or is killed",
	.threads = two,
	.n_threads = 2,
	.set_up = set_up,
	.judge = judge,
	.world = &world,
	.world_bytes = sizeof(world),
	.kills = 1,
	.bounds = { 2, 2 },
};

const struct scenario scenario_wait_three = {
	.name = "wait-three",
	.about = "two wait for the one chunk, in three processes",
	.threads = three,
	.n_threads = 3,
	.set_up = set_up,
	.judge = judge,
	.world = &world,
	.world_bytes = sizeof(world),
	.kills = 1,
	.bounds = { 2, 1 },
};

/* Frees order themselves, and a scan's failure is not remembered. */
const struct scenario scenario_wait_deaf = {
	.name = "wait-deaf",
	.about = "as wait, on a kernel without membarrier",
	.threads = two,
	.n_threads = 2,
	.set_up = set_up,
	.judge = judge,
	.world = &world,
	.world_bytes = sizeof(world),
	.kills = 1,
	.no_membarrier = true,
	.bounds = { 2, 2 },
};
