/* SPDX-License-Identifier: MIT */
/*
 * pool.c - two processes allocate, stamp and free chunks of one pool, and one may be killed; a third
 *	    one comes under the id of the first when that is reaped
 *
 * Two chunks for three processes that hold one each at most: an allocation may fail only while both
 * are held. A chunk is stamped by who holds it, and nobody else's stamp is ever found there.
 */
#include "../stage.h"
#include "client/parts.h"
#include "scenarios.h"

#define CHUNKS 2
#define TURNS 2

static struct {
	uint32_t n_allocated;
	uint32_t n_exhausted;
} world;

static void set_up(void)
{
	struct config config;

	stage_config(&config, CHUNKS, 2);
	stage_make(&config);
	stage_open(1);
	stage_open(2);
}

static void work(void)
{
	struct mempool_client *client = stage_client();
	uint64_t stamp = stage_holder(client->holder == stage_holder(1) ? 1 : 2);

	for (int i = 0; i < TURNS; i++) {
		void *chunk = mempool_alloc(client, STAGE_CHUNK_BYTES);

		if (!chunk) {
			explore_check(explore_errno() == EAGAIN);
			world.n_exhausted++;
			continue;
		}
		world.n_allocated++;
		stage_stamp(chunk, stamp + i);
		stage_check(chunk, stamp + i);
		explore_check(mempool_free(client, chunk) == 0);
	}
}

static void follow(void)
{
	if (stage_follow(1))
		work();
}

static void judge(void)
{
	stage_audit();
	explore_check(stage_n_free(0) == CHUNKS);
	/* Two can not hold more than two; the third comes when the first is gone, and reaped. */
	explore_check(world.n_exhausted == 0);
}

static const struct scenario_thread threads[] = {
	{ .name = "first", .process = 1, .run = work },
	{ .name = "second", .process = 2, .run = work },
	{ .name = "third", .process = 3, .run = follow },
};

const struct scenario scenario_pool = {
	.name = "pool",
	.about = "two processes allocate and free, one is killed, and its id is used again",
	.threads = threads,
	.n_threads = 3,
	.set_up = set_up,
	.judge = judge,
	.world = &world,
	.world_bytes = sizeof(world),
	.kills = 1,
	.bounds = { 2, 2 },
};
