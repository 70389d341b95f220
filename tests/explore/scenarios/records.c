/* SPDX-License-Identifier: MIT */
/*
 * records.c - what the daemon publishes in the segment: a holder, and that it is retired
 *
 * Whoever reads that a holder lives reads who it is. Whoever waits in a segment that is retired is
 * told so, and does not sleep for ever; and what the daemon did before it retired the segment is seen
 * behind it.
 */
#include <string.h>

#include "../stage.h"
#include "client/parts.h"
#include "scenarios.h"
#include "shm/holder.h"
#include "shm/segment.h"

#define PID 77

static struct {
	uint32_t id;			/* of a holder that comes */
	_Atomic uint32_t *newer;	/* what the daemon writes first: a newer segment is there */
	uint32_t n_slices;		/* sleeps that ended by time */
} world;

static void set_up(void)
{
	struct config config;

	stage_config(&config, 1, 2);
	stage_make(&config);
	stage_open(1);
	stage_open(2);
	world.id = stage_holder(2) + 1;
	world.newer = explore_shared(64, 64);
}

static void come(void)
{
	const struct holder holder = {
		.id = world.id, .kind = MEMPOOL_HOLDER_CLIENT, .pid = PID, .name = "newcomer",
	};

	holder_set_live(stage_client()->segment, &holder);
}

static void look(void)
{
	struct holder holder;

	explore_check(holder_read(stage_client()->segment, world.id, &holder) == 0);
	if (holder.state == MEMPOOL_HOLDER_LIVE)
		explore_check(holder.pid == PID && holder.kind == MEMPOOL_HOLDER_CLIENT &&
			      strcmp(holder.name, "newcomer") == 0);
}

static void take_it(void)
{
	explore_check(mempool_alloc(stage_client(), STAGE_CHUNK_BYTES));
}

/* As the daemon does: the newer one, the state, and then all sleepers. */
static void retire(void)
{
	struct segment_wakes wakes = { .next = 0 };
	struct segment *segment = stage_client()->segment;

	atomic_store_explicit(world.newer, 1, memory_order_relaxed);
	segment_retire(segment);
	while (segment_wake_on(segment, &wakes))
		;
}

static void wait_for_ever(void)
{
	explore_check(!mempool_alloc_wait(stage_client(), STAGE_CHUNK_BYTES, -1));
	explore_check(explore_errno() == EAGAIN);
	explore_check(segment_state(stage_client()->segment) == MEMPOOL_SEGMENT_RETIRED);
	explore_check(atomic_load_explicit(world.newer, memory_order_relaxed) == 1);
}

/* A wait that begins when the segment is retired already is one slice, and no more. */
static bool may_sleep(void)
{
	return world.n_slices++ == 0;
}

static void look_at_state(void)
{
	if (segment_state(stage_client()->segment) == MEMPOOL_SEGMENT_RETIRED)
		explore_check(atomic_load_explicit(world.newer, memory_order_relaxed) == 1);
}

#define RECORDS_SCENARIO                                                                           \
	.set_up = set_up, .world = &world, .world_bytes = sizeof(world), .may_sleep = may_sleep

static const struct scenario_thread coming[] = {
	{ .name = "daemon", .process = 1, .run = come },
	{ .name = "reader", .process = 2, .run = look },
};

static const struct scenario_thread retiring[] = {
	{ .name = "daemon", .process = 1, .prepare = take_it, .run = retire },
	{ .name = "waiter", .process = 2, .run = wait_for_ever },
};

static const struct scenario_thread seeing[] = {
	{ .name = "daemon", .process = 1, .run = retire },
	{ .name = "reader", .process = 2, .run = look_at_state },
};

const struct scenario scenario_holder = {
	.name = "holder",
	.about = "a holder is published while another reads its record",
	.threads = coming,
	.n_threads = 2,
	RECORDS_SCENARIO,
	.bounds = { 2, 2 },
};

const struct scenario scenario_retire = {
	.name = "retire",
	.about = "a segment is retired while somebody begins to wait in it for ever",
	.threads = retiring,
	.n_threads = 2,
	RECORDS_SCENARIO,
	.bounds = { -1, 2 },
};

const struct scenario scenario_retired = {
	.name = "retired",
	.about = "whoever sees that a segment is retired sees what was done before",
	.threads = seeing,
	.n_threads = 2,
	RECORDS_SCENARIO,
	.bounds = { -1, 2 },
};
