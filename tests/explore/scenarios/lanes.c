/* SPDX-License-Identifier: MIT */
/*
 * lanes.c - claims by plain stores, and those who revoke them
 *
 * A chunk has one holder: whoever holds one stamps it, and finds its own stamp. And an allocation fails
 * only if others hold all: here they hold at most so many that there is one left.
 *
 * There are few lanes, so that it is known who has which; and a thread that goes by swaps looks for an
 * epoch with each of them, and not after some.
 */
#include <errno.h>
#include <string.h>

#include "../engine.h"
#include "../stage.h"
#include "client/cache.h"
#include "client/parts.h"
#include "scenarios.h"
#include "shm/lane.h"
#include "shm/reap.h"

enum { LANE = 1, MAX_HELD = 3 };

static struct {
	uint32_t n_chunks;
	bool may_fail;			/* others may hold all */
	bool is_off;			/* claims by stores are */
	struct reap reap;		/* of the process that sweeps */
} world;

/* ---- the stage ---- */

/* With hints of so many lanes, from 1 on. */
static void make(uint32_t n_chunks, uint32_t n_lanes)
{
	struct lanes *lanes;
	struct config config;

	stage_config(&config, n_chunks, 2);
	stage_make(&config);
	lanes = &stage_segment()->lanes;
	lane_turn(lanes, true);
	for (uint32_t i = 0; i < lanes->list.n_leaves; i++)
		atomic_store(&lanes->list.leaves[i],
			     i == 0 ? ((UINT64_C(1) << n_lanes) - 1) << LANE : 0);
	for (uint32_t i = 1; i <= 3; i++)
		stage_open(i);
	world.n_chunks = n_chunks;
}

static void make_two_one_lane(void)
{
	make(2, 1);
}

static void make_two_two_lanes(void)
{
	make(2, 2);
}

static void make_mutual(void)
{
	make(2, 2);
	world.may_fail = true;
}

static void make_three(void)
{
	make(3, 2);
}

/* The lane has one epoch left, once it is taken. */
static void make_last_epoch(void)
{
	struct mempool_lane *record;

	make(2, 1);
	record = &stage_segment()->lanes.records[LANE];
	atomic_store(&record->settled, WORD_EPOCH_MASK - 2);
	atomic_store(&record->epoch, WORD_EPOCH_MASK - 1);
}

/* ---- what they do ---- */

static void look_soon(void)
{
	if (cache_client(cache_current) == stage_client() && cache_current->n_swaps_left < UINT32_MAX)
		cache_current->n_swaps_left = 1;
}

static void *get(uint64_t stamp)
{
	void *chunk;

	look_soon();
	chunk = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);
	if (chunk)
		stage_stamp(chunk, stamp);
	else
		explore_check(world.may_fail && explore_errno() == EAGAIN);
	return chunk;
}

static void put(void *chunk, uint64_t stamp)
{
	if (!chunk)
		return;
	stage_check(chunk, stamp);
	explore_check(mempool_free(stage_client(), chunk) == 0);
}

static uint64_t my_stamp(void)
{
	return (uint64_t)self->id << 8;
}

/* Hold so many at once, and let them go. */
static void hold(uint32_t n)
{
	void *chunks[MAX_HELD];

	for (uint32_t i = 0; i < n; i++)
		chunks[i] = get(my_stamp() + i);
	for (uint32_t i = 0; i < n; i++)
		put(chunks[i], my_stamp() + i);
}

/* All are free for its lane then. */
static void own_all(void)
{
	hold(world.n_chunks);
	hold(world.n_chunks);
	explore_check(world.n_chunks == 0 || cache_current->lane != LANE_NONE);
}

static void own_one(void)
{
	hold(1);
	hold(1);
}

static void use_one(void)
{
	hold(1);
	hold(1);
}

static void use_two(void)
{
	hold(2);
	hold(1);
}

static void use_many(void)
{
	void *chunks[2];

	for (int i = 0; i < 2; i++) {
		look_soon();
		explore_check(mempool_alloc_many(stage_client(), STAGE_CHUNK_BYTES, chunks, 2) == 2);
		for (uint64_t k = 0; k < 2; k++)
			stage_stamp(chunks[k], my_stamp() + k);
		for (uint64_t k = 0; k < 2; k++)
			stage_check(chunks[k], my_stamp() + k);
		explore_check(mempool_free_many(stage_client(), chunks, 2) == 2);
	}
}

static void ask(void)
{
	hold(1);
}

/* ---- a lane that is used again ---- */

static bool has_first_ended(void *unused)
{
	(void)unused;
	for (uint32_t i = 1; i < n_threads; i++)
		if (threads[i].of && strcmp(threads[i].of->name, "first") == 0)
			return threads[i].state == THREAD_ENDED;
	return true;
}

/* In the lane that the first one had, if it is given back. */
static void use_after_first(void)
{
	explore_wait(has_first_ended, NULL);
	use_one();
}

/* ---- off ---- */

/* As the daemon does, of the lanes that there are; then nothing is free for an epoch that lives. */
static void turn_off(void)
{
	struct segment *segment = stage_client()->segment;
	struct lanes lanes = segment->lanes;
	uint32_t lane = LANE;

	lanes.n = LANE + 1;
	lane_turn(&lanes, false);
	while (lane < lanes.n)
		explore_check(lane_revoke_step(&lanes, &lane) == 0);
	for (uint32_t round = 0; round < 2; round++)
		for (uint32_t i = 0; i < world.n_chunks; i++) {
			uint64_t word = atomic_load_explicit(&segment->pools[0].entries[i].word,
							     memory_order_acquire);

			explore_check(!word_is_free(word) || pool_is_open(&segment->pools[0], word));
		}
}

/* ---- retired ---- */

static void sweep(void)
{
	explore_check(reap_init(&world.reap, stage_client()->segment) == 0);
	explore_check(reap_renew_lanes(&world.reap) == 0);
	/* The lanes that nobody can have: they are read in no time, here. */
	while (!reap_step(&world.reap, 64))
		;
	reap_deinit(&world.reap);
}

static void judge(void)
{
	stage_audit();
	explore_check(stage_n_free(0) == world.n_chunks);
}

#define LANE_SCENARIO .judge = judge, .world = &world, .world_bytes = sizeof(world)

static const struct scenario_thread pair[] = {
	{ .name = "first", .process = 1, .prepare = own_all, .run = use_one },
	{ .name = "asker", .process = 2, .run = ask },
};

static const struct scenario_thread two[] = {
	{ .name = "first", .process = 1, .prepare = own_all, .run = use_two },
	{ .name = "asker", .process = 2, .run = ask },
};

static const struct scenario_thread many[] = {
	{ .name = "first", .process = 1, .prepare = own_all, .run = use_many },
	{ .name = "asker", .process = 2, .run = ask },
};

static const struct scenario_thread mutual[] = {
	{ .name = "first", .process = 1, .prepare = own_one, .run = use_two },
	{ .name = "second", .process = 2, .prepare = own_one, .run = use_two },
};

static const struct scenario_thread reused[] = {
	{ .name = "first", .process = 1, .prepare = own_all, .run = ask },
	{ .name = "next", .process = 1, .run = use_after_first },
	{ .name = "asker", .process = 2, .run = use_one },
};

static const struct scenario_thread off[] = {
	{ .name = "first", .process = 1, .prepare = own_all, .run = use_two },
	{ .name = "switch", .process = 2, .run = turn_off },
};

static const struct scenario_thread retired[] = {
	{ .name = "first", .process = 1, .prepare = own_all, .run = use_one },
	{ .name = "sweep", .process = 2, .run = sweep },
	{ .name = "asker", .process = 3, .run = ask },
};

const struct scenario scenario_lane = {
	.name = "lane",
	.about = "one claims by stores what it freed, another revokes it",
	.threads = pair,
	.n_threads = 2,
	.set_up = make_two_one_lane,
	LANE_SCENARIO,
	.bounds = { 3, 2 },
};

const struct scenario scenario_lane_two = {
	.name = "lane-two",
	.about = "the same, of several chunks in turn",
	.threads = two,
	.n_threads = 2,
	.set_up = make_three,
	LANE_SCENARIO,
	.bounds = { 3, 2 },
};

const struct scenario scenario_lane_many = {
	.name = "lane-many",
	.about = "the same by the calls for many",
	.threads = many,
	.n_threads = 2,
	.set_up = make_three,
	LANE_SCENARIO,
	.bounds = { 3, 2 },
};

const struct scenario scenario_lane_mutual = {
	.name = "lane-mutual",
	.about = "two with a lane each, who revoke each other",
	.threads = mutual,
	.n_threads = 2,
	.set_up = make_mutual,
	LANE_SCENARIO,
	.bounds = { 3, 2 },
};

const struct scenario scenario_lane_killed = {
	.name = "lane-killed",
	.about = "as lane, one of them is killed",
	.threads = pair,
	.n_threads = 2,
	.set_up = make_two_two_lanes,
	LANE_SCENARIO,
	.kills = 1,
	.bounds = { 2, 1 },
};

const struct scenario scenario_lane_reused = {
	.name = "lane-reused",
	.about = "the lane goes to the next thread, while it is revoked",
	.threads = reused,
	.n_threads = 3,
	.set_up = make_three,
	LANE_SCENARIO,
	.bounds = { 2, 2 },
};

const struct scenario scenario_lane_off = {
	.name = "lane-off",
	.about = "claims by stores are turned off",
	.threads = off,
	.n_threads = 2,
	.set_up = make_two_one_lane,
	LANE_SCENARIO,
	.bounds = { 3, 2 },
};

const struct scenario scenario_lane_retired = {
	.name = "lane-retired",
	.about = "the lane has no epoch left when it is revoked, and is swept",
	.threads = retired,
	.n_threads = 3,
	.set_up = make_last_epoch,
	LANE_SCENARIO,
	.bounds = { 2, 1 },
};
