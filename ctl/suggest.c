/* SPDX-License-Identifier: MIT */
/*
 * suggest.c - see suggest.h
 */
#include "suggest.h"

#include <inttypes.h>
#include <stdio.h>

#include "text.h"

static bool ran_dry(const struct snapshot_pool *pool)
{
	return pool->n_exhausted > 0 || pool->n_served_larger > 0;
}

/* Not larger than a config may say. */
static uint64_t bounded(uint64_t n)
{
	return n < MEMPOOL_MAX_CHUNKS_PER_POOL ? n : MEMPOOL_MAX_CHUNKS_PER_POOL;
}

/* The newest message of each topic never makes room, so there must be more chunks than topics; and more
 * than those that are kept for some users. */
static uint64_t least_count(const struct snapshot *snapshot, const struct snapshot_pool *pool)
{
	uint64_t n = 1;

	if (pool->n_shareable > 0)
		for (size_t i = 0; i < snapshot->n_rings; i++)
			n += snapshot->rings[i].kind == MEMPOOL_RING_TOPIC;
	return n > pool->reserve.total ? n : pool->reserve.total + 1;
}

uint64_t suggest_count(const struct snapshot *snapshot, size_t i)
{
	const struct snapshot_pool *pool = &snapshot->pools[i];
	uint64_t least = least_count(snapshot, pool);
	uint64_t n = ran_dry(pool) ? pool->counts.total + (pool->counts.total + 1) / 2
				   : pool->peak_used + (pool->peak_used + 3) / 4;

	return bounded(n > least ? n : least);
}

static void print_why(const struct snapshot_pool *pool)
{
	printf("# has %" PRIu64, pool->counts.total);
	if (pool->n_exhausted > 0)
		printf(", failed %" PRIu64 " allocations", pool->n_exhausted);
	if (pool->n_served_larger > 0)
		printf(", left %" PRIu64 " to larger ones", pool->n_served_larger);
	if (pool->peak_used == 0)
		printf(", and none was ever used");
	else if (!ran_dry(pool))
		printf(", and at most %" PRIu64 " were used", pool->peak_used);
	if (pool->reserve.total > 0)
		printf("; its reserve stays");
	putchar('\n');
}

static void print_pool(const struct snapshot *snapshot, size_t i)
{
	const struct snapshot_pool *pool = &snapshot->pools[i];

	printf("      - { chunk_size: %" PRIu64 ", chunk_count: %" PRIu64 "%s } ", pool->chunk_size,
	       suggest_count(snapshot, i), pool->n_shareable > 0 ? "" : ", sharing: false");
	print_why(pool);
}

static void print_segment(const struct snapshot *snapshot)
{
	uint64_t before = 0, after = 0;
	char text[2][16];

	printf("  - name: %s\n    pools:\n", snapshot->name);
	for (size_t i = 0; i < snapshot->n_pools; i++) {
		print_pool(snapshot, i);
		before += snapshot->pools[i].counts.total * snapshot->pools[i].stride;
		after += suggest_count(snapshot, i) * snapshot->pools[i].stride;
	}
	text_bytes(before, text[0], sizeof(text[0]));
	text_bytes(after, text[1], sizeof(text[1]));
	printf("    # chunks of %s, where there are %s\n", text[1], text[0]);
	if (snapshot->n_rings > 0)
		puts("    # queues, topics and all other keys stay as they are");
}

int suggest_print(const struct snapshot *snapshots, size_t n)
{
	puts("# By the most that was used at once since each segment was made. Sizes that were asked for\n"
	     "# within a pool are not known. Look again when the load was at its highest.\n"
	     "segments:");
	for (size_t i = 0; i < n; i++)
		if (snapshots[i].state == MEMPOOL_SEGMENT_READY)
			print_segment(&snapshots[i]);
	return 0;
}
