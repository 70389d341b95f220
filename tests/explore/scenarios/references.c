/* SPDX-License-Identifier: MIT */
/*
 * references.c - two threads of a process refer to shared chunks, and the one manager there is serves
 *		  one chunk after the other
 *
 * There is one chunk, so each sharing of it has the same manager. A thread may come too late, and set
 * the bit of its process while that is wiped for the next sharing; or be the last one to let go while
 * another one begins. Whoever has acquired a chunk finds it as it was shared, until it lets go; and
 * what it read is behind nobody's writing.
 */
#include "../stage.h"
#include "client/parts.h"
#include "scenarios.h"

#define STAMP 0x80

static struct {
	void *chunk;			/* of process 1 */
	uint64_t handles[3];
	uint32_t n_shared;		/* sharings so far */
	const void *acquired;		/* by process 2, before it begins */
	uint32_t n_acquired;
	bool is_over;			/* the sharing */
} world;

static void set_up(void)
{
	struct config config;

	stage_config(&config, 1, 2);
	stage_make(&config);
	for (uint32_t i = 1; i <= 3; i++)
		stage_open(i);
}

static void share_one(void)
{
	uint64_t stamp = STAMP + world.n_shared;

	world.chunk = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);
	/* Somebody has the last one still, or was killed with it. */
	if (!world.chunk)
		return;
	stage_stamp(world.chunk, stamp);
	explore_check(mempool_share(stage_client(), world.chunk, 8,
				    &world.handles[world.n_shared]) == 0);
	world.n_shared++;
}

static void let_go(void)
{
	if (world.chunk)
		explore_check(mempool_free(stage_client(), world.chunk) == 0);
	world.chunk = NULL;
}

static void share_again(void)
{
	let_go();
	share_one();
	world.is_over = true;
	let_go();
}

static void come(void)
{
	explore_check(mempool_usable_size(stage_client(), NULL) < 0);
}

/* By the handle of that sharing, once there is one. */
static void acquire(uint32_t i)
{
	const void *chunk;
	int r;

	if (i >= world.n_shared)
		return;
	r = mempool_acquire(stage_client(), world.handles[i], &chunk, NULL);
	if (r == -ESTALE)
		return;
	explore_check(r == 0);
	world.n_acquired++;
	stage_check(chunk, STAMP + i);
	explore_check(mempool_free(stage_client(), chunk) == 0);
}

static void acquire_first(void)
{
	acquire(0);
}

static bool is_shared_again(void *unused)
{
	(void)unused;
	return world.is_over || explore_is_dead(1);
}

static void acquire_second(void)
{
	explore_wait(is_shared_again, NULL);
	acquire(1);
}

/* ---- both have it already ---- */

static void acquire_before(void)
{
	explore_check(mempool_acquire(stage_client(), world.handles[0], &world.acquired,
				      NULL) == 0);
}

static void read_and_free(void)
{
	stage_check(world.acquired, STAMP);
	explore_check(mempool_free(stage_client(), world.acquired) == 0);
}

static void write_it(void)
{
	void *chunk = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);

	if (!chunk)
		return;
	stage_stamp(chunk, 0);
	explore_check(mempool_free(stage_client(), chunk) == 0);
}

/* ---- two threads share it, and there is one manager for both ---- */

static void make_chunk(void)
{
	world.chunk = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);
	explore_check(world.chunk);
	stage_stamp(world.chunk, STAMP);
}

static void share_it(void)
{
	uint64_t handle;
	int r = mempool_share(stage_client(), world.chunk, 8, &handle);

	/* The other one may have the manager for longer than we look. */
	explore_check(r == 0 || r == -EAGAIN);
	explore_check(r < 0 || world.handles[0] == 0 || world.handles[0] == handle);
	if (r == 0)
		world.handles[0] = handle;
	world.n_shared++;
}

static bool have_both_shared(void *unused)
{
	(void)unused;
	return world.n_shared == 2;
}

static void share_and_free(void)
{
	share_it();
	explore_wait(have_both_shared, NULL);
	explore_check(mempool_free(stage_client(), world.chunk) == 0);
}

static void judge(void)
{
	stage_audit();
	explore_check(stage_n_free(0) == 1);
}

#define REFERENCES_SCENARIO                                                                        \
	.set_up = set_up, .judge = judge, .world = &world, .world_bytes = sizeof(world), .kills = 1

static const struct scenario_thread late[] = {
	{ .name = "sharer", .process = 1, .prepare = share_one, .run = share_again },
	{ .name = "late", .process = 2, .prepare = come, .run = acquire_first },
	{ .name = "in time", .process = 2, .prepare = come, .run = acquire_second },
};

static const struct scenario_thread last[] = {
	{ .name = "sharer", .process = 1, .prepare = share_one, .run = let_go },
	{ .name = "reader", .process = 2, .prepare = acquire_before, .run = read_and_free },
	{ .name = "reader 2", .process = 2, .prepare = acquire_before, .run = read_and_free },
	{ .name = "next", .process = 3, .prepare = come, .run = write_it },
};

static const struct scenario_thread both[] = {
	{ .name = "sharer", .process = 1, .prepare = make_chunk, .run = share_and_free },
	{ .name = "sharer 2", .process = 1, .prepare = come, .run = share_it },
};

const struct scenario scenario_share_one = {
	.name = "share-one",
	.about = "two threads share one chunk, and there is one manager for both",
	.threads = both,
	.n_threads = 2,
	REFERENCES_SCENARIO,
	.bounds = { 2, 2 },
};

const struct scenario scenario_share_late = {
	.name = "share-late",
	.about = "one shares a chunk twice; of two threads one acquires it too late",
	.threads = late,
	.n_threads = 3,
	REFERENCES_SCENARIO,
	.bounds = { 2, 1 },
};

const struct scenario scenario_share_last = {
	.name = "share-last",
	.about = "two threads let go of a chunk, and the next holder writes it",
	.threads = last,
	.n_threads = 4,
	REFERENCES_SCENARIO,
	.bounds = { 2, 1 },
};
