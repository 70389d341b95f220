/* SPDX-License-Identifier: MIT */
/*
 * trace.c - two threads store the trace of the same hold, and a third process reads it
 *
 * What is read is what one of them has stored, and never a part of each; and what the hold before it
 * had is told of nobody. Killed anywhere, the next one stores its own.
 */
#include "../stage.h"
#include "client/parts.h"
#include "scenarios.h"
#include "shm/trace.h"
#include "shm/word.h"

#define GENERATION 7

static struct {
	uint32_t n_found;
} world;

static const struct chunk_ref chunk = { 0, 0 };

static void set_up(void)
{
	struct config config;

	stage_config(&config, 1, 2);
	config.traces = true;
	stage_make(&config);
	stage_open(1);
	stage_open(2);
}

static uint64_t word(uint32_t generation)
{
	return word_make(generation, MEMPOOL_OWNED, stage_holder(1));
}

/* All of it is of one number. */
static void put(const struct segment *segment, uint32_t generation, uint32_t number)
{
	const struct trace trace = {
		.since_ns = number, .offset = number, .module = number, .thread = number,
	};

	trace_put(segment, chunk, word(generation), stage_holder(1), &trace);
}

static void put_before(void)
{
	put(stage_client()->segment, GENERATION - 1, 1);
}

static void put_one(void)
{
	put(stage_client()->segment, GENERATION, 2);
}

static void put_other(void)
{
	put(stage_client()->segment, GENERATION, 3);
}

static void find_in(const struct segment *segment)
{
	struct trace trace;

	if (!trace_find(segment, chunk, word(GENERATION), 0, &trace))
		return;
	world.n_found++;
	explore_check(trace.since_ns == 2 || trace.since_ns == 3);
	explore_check(trace.offset == trace.since_ns && trace.module == trace.since_ns &&
		      trace.thread == trace.since_ns);
}

static void find(void)
{
	find_in(stage_client()->segment);
}

static void judge(void)
{
	put(stage_segment(), GENERATION, 2);
	find_in(stage_segment());
	explore_check(world.n_found > 0);
}

static const struct scenario_thread threads[] = {
	{ .name = "one", .process = 1, .prepare = put_before, .run = put_one },
	{ .name = "other", .process = 1, .run = put_other },
	{ .name = "reader", .process = 2, .run = find },
};

const struct scenario scenario_trace = {
	.name = "trace",
	.about = "two threads store the trace of one hold, and a third process reads it",
	.threads = threads,
	.n_threads = 3,
	.set_up = set_up,
	.judge = judge,
	.world = &world,
	.world_bytes = sizeof(world),
	.kills = 1,
	.bounds = { 2, 1 },
};
