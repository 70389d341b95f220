/* SPDX-License-Identifier: MIT */
/*
 * close.c - one thread closes the client, while another one that has used it ends
 *
 * Each thread has a cache of the client. The close finds them all, and gives their hints back; each
 * thread frees its own, before or after. Neither touches what the other has freed, and what the
 * client still held is free in the end.
 */
#include "../stage.h"
#include "client/parts.h"
#include "scenarios.h"

#define CHUNKS 4

static struct {
	struct mempool_client *closing;
} world;

static void keep_client(void *unused)
{
	(void)unused;
	world.closing = stage_client();
}

static void set_up(void)
{
	struct config config;

	stage_config(&config, CHUNKS, 2);
	stage_make(&config);
	stage_open(1);
	explore_in(1, keep_client, NULL);
}

/* One is held, and one hint is in the cache. */
static void use(void)
{
	void *chunk = mempool_alloc(world.closing, STAGE_CHUNK_BYTES);

	explore_check(chunk && mempool_alloc(world.closing, STAGE_CHUNK_BYTES));
	explore_check(mempool_free(world.closing, chunk) == 0);
}

static void close_client(void)
{
	explore_check(mempool_client_close(world.closing) == 2);
}

static void end(void)
{
}

static void judge(void)
{
	stage_audit();
	explore_check(stage_n_free(0) == CHUNKS);
}

static const struct scenario_thread threads[] = {
	{ .name = "closer", .process = 1, .prepare = use, .run = close_client },
	{ .name = "ender", .process = 1, .prepare = use, .run = end },
};

const struct scenario scenario_close = {
	.name = "close",
	.about = "one thread closes the client, another that has used it ends",
	.threads = threads,
	.n_threads = 2,
	.set_up = set_up,
	.judge = judge,
	.world = &world,
	.world_bytes = sizeof(world),
	.kills = 1,
	.bounds = { 2, 1 },
};
