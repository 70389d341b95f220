/* SPDX-License-Identifier: MIT */
/*
 * wait.c - one chunk, and more who want it: those who find none sleep until it is freed
 *
 * Whoever frees it may be killed before it wakes anybody; then the reaper wakes. Nobody sleeps
 * beside a free chunk that it may have: a sleep that only time can end is wrong. With a reserve, one
 * more chunk is for the other alone.
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

#define RESERVE 1			/* the second pool */

static void set_up_reserve(void)
{
	struct config config;

	stage_config(&config, 2, 2);
	explore_check(config_add_reserve(&config, 1) == 0);
	stage_make(&config);
	stage_open(1);
	stage_open_with(2, UINT64_C(1) << RESERVE);
}

/* Takes the reserve, too, where it is the last one; it is never out of chunks. */
static void alloc_both_and_free(void)
{
	void *first = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);
	void *second = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);

	explore_check(first);
	if (second)
		use(second);
	else
		explore_check(explore_errno() == EAGAIN);
	use(first);
}

static void judge_reserve(void)
{
	stage_audit();
	explore_check(stage_n_free(0) == 1 && stage_n_free(RESERVE) == 1);
	explore_check(world.n_allocated >= 2 || explore_n_killed() > 0);
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

static const struct scenario_thread with_reserve[] = {
	{ .name = "sleeper", .process = 1, .run = wait_and_free },
	{ .name = "named", .process = 2, .run = alloc_both_and_free },
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

const struct scenario scenario_wait_reserve = {
	.name = "wait-reserve",
	.about = "one waits for the one chunk that is for all, another may have one in reserve, too",
	.threads = with_reserve,
	.n_threads = 2,
	.set_up = set_up_reserve,
	.judge = judge_reserve,
	.world = &world,
	.world_bytes = sizeof(world),
	.kills = 1,
	.bounds = { 2, 2 },
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
