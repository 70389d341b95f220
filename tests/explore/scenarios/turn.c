/* SPDX-License-Identifier: MIT */
/*
 * turn.c - a sweep makes a chunk everybody's that was free for a retired lane, while it is asked for
 *
 * Nobody holds it at any moment, so whoever asks gets it, wherever the sweep is, and if it is killed.
 */
#include "../engine.h"
#include "../stage.h"
#include "client/parts.h"
#include "scenarios.h"
#include "shm/reap.h"

enum { LANE = 1 };

static struct reap reap;		/* of process 2 */

/* No hint leads to the chunk: its lane's thread had it, and is gone. */
static void set_up(void)
{
	struct config config;
	struct segment *segment;
	struct mempool_lane *record;
	struct pool *pool;
	uint32_t from = 0, index;

	stage_config(&config, 1, 2);
	stage_make(&config);
	segment = stage_segment();
	pool = &segment->pools[0];
	record = &segment->lanes.records[LANE];
	atomic_store(&record->settled, WORD_EPOCH_MASK);
	atomic_store(&record->epoch, UINT64_C(1) << WORD_EPOCH_BITS);
	atomic_store(&pool->entries[0].word, word_make(1, MEMPOOL_FREE, word_bias(LANE, 1)));
	explore_check(free_list_pop(&pool->list, &from, &index, 1) == 1);
	stage_open(1);
	stage_open(2);
}

/* Up to the words of the pool. */
static void begin(void)
{
	explore_check(reap_init(&reap, stage_client()->segment) == 0);
	explore_check(reap_renew_lanes(&reap) == 0);
	while (reap.pool != 0)
		explore_check(!reap_step(&reap, 1));
}

static void turn(void)
{
	while (!reap_step(&reap, 1))
		;
	reap_deinit(&reap);
}

static void ask(void)
{
	void *chunk = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);

	explore_check(chunk);
	explore_check(mempool_free(stage_client(), chunk) == 0);
}

static void judge(void)
{
	stage_audit();
	explore_check(stage_n_free(0) == 1);
}

static const struct scenario_thread pair[] = {
	{ .name = "asker", .process = 1, .run = ask },
	{ .name = "sweep", .process = 2, .prepare = begin, .run = turn },
};

const struct scenario scenario_turn = {
	.name = "turn",
	.about = "a sweep turns the chunk of a retired lane, another asks for it",
	.threads = pair,
	.n_threads = 2,
	.set_up = set_up,
	.judge = judge,
	.world = &reap,
	.world_bytes = sizeof(reap),
	.kills = 1,
	.spares_daemon = true,
	.bounds = { 2, 0 },
};
