/* SPDX-License-Identifier: MIT */
/*
 * scan.c - an allocation that finds nothing: "exhausted" is true, and believed no longer than that
 *
 * It is true if at some moment of the call all chunks were held: by a process that has one, that is
 * in a call which gets one, or in a call which frees it, until that is over. What was killed with
 * one holds it. So whoever was told "exhausted" and calls again when a chunk is free gets it, even
 * if it has never heard of the free. And a call ends, though a chunk goes from hand to hand: where
 * nothing is freed, in so many steps of its own.
 */
#include "../engine.h"
#include "../stage.h"
#include "client/parts.h"
#include "scenarios.h"

/* More than an allocation takes that reads the pool once, and less than one that cannot stop. */
#define STEPS(n_chunks) (22 + 4 * (n_chunks))
#define HAND_OVERS 12

static struct {
	uint32_t n_chunks;
	uint32_t n_steps_more;		/* of an allocation, to revoke lanes */
	uint32_t n_held[EXPLORE_THREADS];	/* by process: what it has, is about to, or just had */
	uint32_t n_events;		/* beginnings and ends of calls that get or free */
	uint32_t n_inside;		/* such calls */
	uint32_t n_frees;		/* those that free, so far */
	struct asking {
		bool is_asking;
		uint32_t n_most;	/* that others were, at a moment of the call */
	} asking[EXPLORE_THREADS];	/* by process */
	void *chunks[EXPLORE_THREADS];
	uint32_t n_kept[EXPLORE_THREADS];	/* by process: of those, to the end */
} world;

static void make(uint32_t n_chunks, uint32_t cache)
{
	struct config config;

	stage_config(&config, n_chunks, cache);
	stage_make(&config);
	for (uint32_t i = 1; i <= 4; i++)
		stage_open(i);
	world.n_chunks = n_chunks;
}

static void make_one(void)
{
	make(1, 2);
}

/* The first client fills what it frees. */
static void make_one_filled(void)
{
	struct config config;

	stage_config(&config, 1, 2);
	stage_make(&config);
	stage_open_checked(1);
	for (uint32_t i = 2; i <= 4; i++)
		stage_open(i);
	world.n_chunks = 1;
}

static void make_many(void)
{
	make(8, 2);
}

static void make_two(void)
{
	make(2, 2);
}

/* With a lane for each that asks before the others. */
static void make_lanes(uint32_t n_chunks)
{
	make(n_chunks, 2);
	lane_turn(&stage_segment()->lanes, true);
	/* Its list of lanes, a second reading, and a step or two of each lane. */
	world.n_steps_more = 60 + 4 * n_chunks;
}

static void make_one_lanes(void)
{
	make_lanes(1);
}

static void make_two_lanes(void)
{
	make_lanes(2);
}

static uint32_t me(void)
{
	return stage_client()->holder - stage_holder(1) + 1;
}

/* How many others are. The dead are until they are reaped. */
static uint32_t n_others(uint32_t process)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i < EXPLORE_THREADS; i++)
		if (i != process && !processes[i].is_reaped)
			n += world.n_held[i];
	return n;
}

static void be_busy(void)
{
	world.n_held[me()]++;
	for (uint32_t i = 1; i < EXPLORE_THREADS; i++) {
		struct asking *asking = &world.asking[i];

		if (asking->is_asking && n_others(i) > asking->n_most)
			asking->n_most = n_others(i);
	}
}

static bool at_once(void *unused)
{
	(void)unused;
	return true;
}

/* Return: whether there was one; if not, all were held. */
static bool get(void)
{
	struct mempool_client *client = stage_client();
	struct asking *asking = &world.asking[me()];
	uint32_t n_events, n_steps;
	bool is_alone;
	void *chunk;

	/* A step: the call begins now, and not when all threads do. */
	if (exploring)
		explore_wait(at_once, NULL);
	n_steps = self->n_ops;
	is_alone = world.n_inside++ == 0;
	n_events = ++world.n_events;
	be_busy();
	*asking = (struct asking){ true, n_others(me()) };
	chunk = mempool_alloc(client, STAGE_CHUNK_BYTES);
	asking->is_asking = false;
	world.n_inside--;
	if (is_alone && world.n_events++ == n_events && self->n_ops - n_steps > STEPS(world.n_chunks) + world.n_steps_more)
		explore_fail("%u steps for an allocation, and nobody freed or got one",
			     self->n_ops - n_steps);
	world.chunks[me()] = chunk;
	if (chunk) {
		stage_stamp(chunk, client->holder);
		return true;
	}
	world.n_held[me()]--;
	explore_check(explore_errno() == EAGAIN);
	if (asking->n_most < world.n_chunks)
		explore_fail("exhausted, and at no moment more than %u of %u were held",
			     asking->n_most, world.n_chunks);
	return false;
}

static void begin_put(void)
{
	stage_check(world.chunks[me()], stage_client()->holder);
	world.n_events++;
	world.n_inside++;
	world.n_frees++;
}

static void end_put(void)
{
	world.n_events++;
	world.n_inside--;
	world.n_held[me()]--;
}

static void put(void)
{
	begin_put();
	explore_check(mempool_free(stage_client(), world.chunks[me()]) == 0);
	end_put();
}

/* The other way to free. */
static void put_many(void)
{
	begin_put();
	explore_check(mempool_free_many(stage_client(), &world.chunks[me()], 1) == 1);
	end_put();
}

static void get_before(void)
{
	explore_check(get());
}

/* Of a client that checks each free. */
static void get_checked_before(void)
{
	stage_client()->checked = true;
	explore_check(get());
}

/* And shares it: a free goes by its manager. */
static void share_before(void)
{
	uint64_t handle;

	explore_check(get());
	explore_check(mempool_share(stage_client(), world.chunks[me()], 8, &handle) == 0);
}

/* Of two chunks one is freed, and the hint of it in a stack that passes all on as soon as hints are wanted. */
static void get_two_and_put_one_before(void)
{
	void *kept;

	explore_check(get());
	kept = world.chunks[me()];
	explore_check(get());
	put();
	world.chunks[me()] = kept;
	stage_client()->caches->magazines[0].capacity_min = 0;
}

static void get_all_before(void)
{
	for (uint32_t i = 0; i < world.n_chunks; i++)
		explore_check(get());
}

/* Finds nothing, and remembers it. */
static void miss_before(void)
{
	explore_check(!get());
}

/* Has a cache, and nothing in it. */
static void come_before(void)
{
	explore_check(mempool_usable_size(stage_client(), NULL) < 0);
}

static void get_and_put(void)
{
	if (get())
		put();
}

static void get_and_keep(void)
{
	if (get())
		world.n_kept[me()] = 1;
}

static void get_and_put_twice(void)
{
	get_and_put();
	get_and_put();
}

/* As somebody does who finds a chunk by a scan, and then plenty of hints. */
static void flip_scarce(void)
{
	pool_set_scarce(&stage_client()->segment->pools[0]);
	pool_clear_scarce(&stage_client()->segment->pools[0]);
}

/* ---- from hand to hand ---- */

static void pass_on(void)
{
	void *chunk = world.chunks[1];

	world.n_kept[1] = world.n_chunks;
	for (int i = 0; i < HAND_OVERS; i++) {
		uint64_t handle;

		explore_check(mempool_give(stage_client(), chunk, 8, &handle) == 0);
		explore_check(mempool_take(stage_client(), handle, &chunk, NULL) == 0);
	}
	world.chunks[1] = chunk;
}

/* Unless whoever had it is dead. */
static void get_none(void)
{
	if (get())
		put();
	explore_check(world.n_frees == 0 || explore_is_dead(1));
}

/* ---- the end ---- */

static void judge(void)
{
	uint32_t n_kept = 0;

	stage_audit();
	for (uint32_t i = 1; i < EXPLORE_THREADS; i++)
		n_kept += explore_is_dead(i) ? 0 : world.n_kept[i];
	explore_check(stage_n_free(0) == world.n_chunks - n_kept);
}

#define SCAN_SCENARIO .judge = judge, .world = &world, .world_bytes = sizeof(world)

static const struct scenario_thread freed[] = {
	{ .name = "holder", .process = 1, .prepare = get_before, .run = put },
	{ .name = "asker", .process = 2, .prepare = miss_before, .run = get_and_put_twice },
};

static const struct scenario_thread deaf[] = {
	{ .name = "holder", .process = 1, .prepare = get_before, .run = put },
	{ .name = "asker", .process = 2, .prepare = come_before, .run = get_and_put_twice },
};

static const struct scenario_thread shared[] = {
	{ .name = "holder", .process = 1, .prepare = share_before, .run = put },
	{ .name = "asker", .process = 2, .prepare = come_before, .run = get_and_put_twice },
};

static const struct scenario_thread checked[] = {
	{ .name = "holder", .process = 1, .prepare = get_checked_before, .run = put },
	{ .name = "asker", .process = 2, .prepare = come_before, .run = get_and_put_twice },
};

static const struct scenario_thread many[] = {
	{ .name = "holder", .process = 1, .prepare = get_before, .run = put_many },
	{ .name = "asker", .process = 2, .prepare = come_before, .run = get_and_put_twice },
};

static const struct scenario_thread grown[] = {
	{ .name = "holder", .process = 1, .prepare = get_two_and_put_one_before, .run = put },
	{ .name = "asker", .process = 2, .prepare = come_before, .run = get_and_put_twice },
};

/* One chunk is freed and then another is taken, while a third one reads first this word, then that. */
static const struct scenario_thread moving[] = {
	{ .name = "holder", .process = 1, .prepare = get_before, .run = put },
	{ .name = "taker", .process = 2, .prepare = get_and_put, .run = get_and_keep },
	{ .name = "asker", .process = 3, .prepare = come_before, .run = get_and_put },
};

/* The scarce bit is set by who finds a chunk by a scan, and cleared by who finds hints. */
static const struct scenario_thread three[] = {
	{ .name = "holder", .process = 1, .prepare = get_before, .run = put },
	{ .name = "holder 2", .process = 2, .prepare = get_before, .run = put },
	{ .name = "asker", .process = 3, .prepare = miss_before, .run = get_and_put_twice },
	{ .name = "asker 2", .process = 4, .prepare = come_before, .run = get_and_put_twice },
};

static const struct scenario_thread scarce[] = {
	{ .name = "holder", .process = 1, .prepare = get_before, .run = put },
	{ .name = "asker", .process = 2, .prepare = miss_before, .run = get_and_put },
	{ .name = "bit", .process = 3, .prepare = come_before, .run = flip_scarce },
};

static const struct scenario_thread passing[] = {
	{ .name = "holder", .process = 1, .prepare = get_all_before, .run = pass_on },
	{ .name = "asker", .process = 2, .prepare = come_before, .run = get_none },
};

const struct scenario scenario_scan = {
	.name = "scan",
	.about = "one frees the one chunk, another remembers that there is none",
	.threads = freed,
	.n_threads = 2,
	.set_up = make_one,
	SCAN_SCENARIO,
	.kills = 1,
	.bounds = { 3, 2 },
};

const struct scenario scenario_scan_deaf = {
	.name = "scan-deaf",
	.about = "the same on a kernel without membarrier",
	.threads = deaf,
	.n_threads = 2,
	.set_up = make_one,
	SCAN_SCENARIO,
	.kills = 1,
	.no_membarrier = true,
	.bounds = { 3, 2 },
};

const struct scenario scenario_lane_scan = {
	.name = "lane-scan",
	.about = "as scan, with claims by stores",
	.threads = freed,
	.n_threads = 2,
	.set_up = make_one_lanes,
	SCAN_SCENARIO,
	.kills = 1,
	.bounds = { 3, 2 },
};

const struct scenario scenario_lane_scan_four = {
	.name = "lane-scan-four",
	.about = "as scan-four, with claims by stores",
	.threads = three,
	.n_threads = 4,
	.set_up = make_two_lanes,
	SCAN_SCENARIO,
	.kills = 1,
	.bounds = { 2, 1 },
};

const struct scenario scenario_scan_shared = {
	.name = "scan-shared",
	.about = "the same with a chunk that is shared, and by nobody else",
	.threads = shared,
	.n_threads = 2,
	.set_up = make_one,
	SCAN_SCENARIO,
	.kills = 1,
	.no_membarrier = true,
	.bounds = { 3, 2 },
};

const struct scenario scenario_scan_checked = {
	.name = "scan-checked",
	.about = "as scan-deaf, of a client that checks each free",
	.threads = checked,
	.n_threads = 2,
	.set_up = make_one,
	SCAN_SCENARIO,
	.kills = 1,
	.no_membarrier = true,
	.bounds = { 3, 2 },
};

const struct scenario scenario_scan_filled = {
	.name = "scan-filled",
	.about = "the same of one that fills what it frees, in two steps",
	.threads = deaf,
	.n_threads = 2,
	.set_up = make_one_filled,
	SCAN_SCENARIO,
	.kills = 1,
	.no_membarrier = true,
	.bounds = { 3, 2 },
};

const struct scenario scenario_scan_many = {
	.name = "scan-many",
	.about = "as scan, freed by mempool_free_many()",
	.threads = many,
	.n_threads = 2,
	.set_up = make_one,
	SCAN_SCENARIO,
	.kills = 1,
	.bounds = { 3, 2 },
};

const struct scenario scenario_scan_grown = {
	.name = "scan-grown",
	.about = "a free passes on a hint from long ago, while another reads the words and ends the lane's epoch",
	.threads = grown,
	.n_threads = 2,
	.set_up = make_two_lanes,
	SCAN_SCENARIO,
	.kills = 1,
	.bounds = { 3, 2 },
};

const struct scenario scenario_scan_moving = {
	.name = "scan-moving",
	.about = "one chunk is freed, then the other is taken: a reading must not find both held",
	.threads = moving,
	.n_threads = 3,
	.set_up = make_two,
	SCAN_SCENARIO,
	.bounds = { 2, 1 },
};

const struct scenario scenario_scan_four = {
	.name = "scan-four",
	.about = "two free the two chunks, and two others look for one",
	.threads = three,
	.n_threads = 4,
	.set_up = make_two,
	SCAN_SCENARIO,
	.kills = 1,
	.bounds = { 2, 1 },
};

const struct scenario scenario_scan_scarce = {
	.name = "scan-scarce",
	.about = "as scan, while hints become scarce, and are not any more",
	.threads = scarce,
	.n_threads = 3,
	.set_up = make_one,
	SCAN_SCENARIO,
	.bounds = { 2, 0 },
};

const struct scenario scenario_scan_passed = {
	.name = "scan-passed",
	.about = "one of eight chunks goes from hand to hand, and another looks for one",
	.threads = passing,
	.n_threads = 2,
	.set_up = make_many,
	SCAN_SCENARIO,
	.bounds = { 2, 0 },
};
