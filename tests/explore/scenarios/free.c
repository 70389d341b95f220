/* SPDX-License-Identifier: MIT */
/*
 * free.c - a client that fills what it frees writes to no chunk of another
 *
 * Two threads of one process let go of the same chunk at once, which is a mistake of theirs. One of
 * them does, and the other one is told. Whoever has the chunk next finds in it what he has
 * written, or what was sent to him; a write from behind is a race that the explorer sees.
 */
#include "../stage.h"
#include "client/parts.h"
#include "scenarios.h"

#define STAMP 0x61

/* Half a chunk, so that there is something behind it. */
#define BYTES 8

static struct {
	void *chunk;			/* of process 1 */
	uint64_t handle;
	uint32_t n_done, n_refused;	/* frees and gives of it */
	uint32_t n_next;		/* who had it next */
} world;

static void stamp(void *chunk, uint64_t stamp)
{
	*(uint64_t *)chunk = stamp;
}

static void check(const void *chunk, uint64_t stamp)
{
	explore_check(*(const uint64_t *)chunk == stamp);
}

static void set_up(void)
{
	struct config config;

	stage_config(&config, 1, 2);
	stage_make(&config);
	stage_open_checked(1);
	stage_open(2);
}

static void make_chunk(void)
{
	world.chunk = mempool_alloc(stage_client(), BYTES);
	explore_check(world.chunk);
	stamp(world.chunk, STAMP);
}

/* Has a cache. */
static void come(void)
{
	explore_check(mempool_usable_size(stage_client(), NULL) < 0);
}

static void count(int r)
{
	explore_check(r == 0 || r == -EPERM);
	world.n_done += r == 0;
	world.n_refused += r == -EPERM;
}

static void let_go(void)
{
	count(mempool_free(stage_client(), world.chunk));
}

static void give(void)
{
	uint64_t handle;
	int r = mempool_give(stage_client(), world.chunk, BYTES, &handle);

	if (r == 0)
		world.handle = handle;
	count(r);
}

static void use(void *chunk)
{
	struct mempool_client *client = stage_client();

	world.n_next++;
	stamp(chunk, client->holder);
	check(chunk, client->holder);
	explore_check(mempool_free(client, chunk) == 0);
}

static void get(void)
{
	void *chunk = mempool_alloc(stage_client(), BYTES);

	if (chunk)
		use(chunk);
}

static void get_twice(void)
{
	get();
	get();
}

static bool is_over(void *unused)
{
	(void)unused;
	return world.handle != 0 || world.n_done > 0 || explore_is_dead(1);
}

static void take(void)
{
	void *chunk;
	int r;

	explore_wait(is_over, NULL);
	if (!world.handle)
		return;
	r = mempool_take(stage_client(), world.handle, &chunk, NULL);
	explore_check(r == 0 || r == -ESTALE);
	if (r == -ESTALE)
		return;
	check(chunk, STAMP);
	use(chunk);
}

static void judge(void)
{
	stage_audit();
	explore_check(world.n_done <= 1);
	if (explore_n_killed() == 0)
		explore_check(world.n_done == 1 && world.n_refused == 1);
}

#define FREE_SCENARIO                                                                              \
	.set_up = set_up, .judge = judge, .world = &world, .world_bytes = sizeof(world),           \
	.kills = 1, .no_membarrier = true, .bounds = { 2, 1 }

static const struct scenario_thread filled[] = {
	{ .name = "freer", .process = 1, .prepare = make_chunk, .run = let_go },
	{ .name = "freer 2", .process = 1, .prepare = come, .run = let_go },
	{ .name = "next", .process = 2, .prepare = come, .run = get_twice },
};

static const struct scenario_thread given[] = {
	{ .name = "freer", .process = 1, .prepare = make_chunk, .run = let_go },
	{ .name = "giver", .process = 1, .prepare = come, .run = give },
	{ .name = "taker", .process = 2, .prepare = come, .run = take },
};

const struct scenario scenario_free_filled = {
	.name = "free-filled",
	.about = "two threads free one chunk, and fill it; another process gets it next",
	.threads = filled,
	.n_threads = 3,
	FREE_SCENARIO,
};

const struct scenario scenario_free_given = {
	.name = "free-given",
	.about = "one thread frees a chunk, and fills it, another one gives it",
	.threads = given,
	.n_threads = 3,
	FREE_SCENARIO,
};
