/* SPDX-License-Identifier: MIT */
/*
 * pair.c - alloc and free of 128 bytes, against malloc and free of glibc
 *
 * In one process, in turns of short rounds, so that what else the machine does hits both
 * alike; the order within a turn changes. Two patterns: one pair after the other, and 32
 * chunks taken, then given back. The ratio is of the medians.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mempool.h"
#include "sample.h"
#include "support/private_daemon.h"

#define SIZE 128
#define TURNS 201
#define PAIRS 100000
#define BATCH 32

static struct mempool_client *client;

/* Kept from being optimized away: a pair of malloc and free whose result nobody uses. */
static inline void use(void *memory)
{
	__asm__ volatile("" : : "r"(memory) : "memory");
}

static void pool_pairs(void)
{
	for (int i = 0; i < PAIRS; i++) {
		void *chunk = mempool_alloc(client, SIZE);

		use(chunk);
		mempool_free(client, chunk);
	}
}

static void malloc_pairs(void)
{
	for (int i = 0; i < PAIRS; i++) {
		void *memory = malloc(SIZE);

		use(memory);
		free(memory);
	}
}

static void pool_batches(void)
{
	void *chunks[BATCH];

	for (int i = 0; i < PAIRS / BATCH; i++) {
		for (int k = 0; k < BATCH; k++)
			use(chunks[k] = mempool_alloc(client, SIZE));
		for (int k = 0; k < BATCH; k++)
			mempool_free(client, chunks[k]);
	}
}

static void malloc_batches(void)
{
	void *memory[BATCH];

	for (int i = 0; i < PAIRS / BATCH; i++) {
		for (int k = 0; k < BATCH; k++)
			use(memory[k] = malloc(SIZE));
		for (int k = 0; k < BATCH; k++)
			free(memory[k]);
	}
}

/* Seconds a pair. */
static double time_round(void (*round)(void), int n_pairs)
{
	double begin = seconds_now();

	round();
	return (seconds_now() - begin) / n_pairs;
}

static void compare(const char *name, void (*ours)(void), void (*theirs)(void), int n_pairs)
{
	struct sample *pool = calloc(2, sizeof(*pool)), *glibc = pool + 1;
	char title[64];

	if (!pool)
		die("no memory");
	for (int i = 0; i < TURNS; i++) {
		if (i % 2)
			sample_add(glibc, time_round(theirs, n_pairs));
		sample_add(pool, time_round(ours, n_pairs));
		if (i % 2 == 0)
			sample_add(glibc, time_round(theirs, n_pairs));
	}
	snprintf(title, sizeof(title), "%s, mempool", name);
	sample_print(pool, title, 1e9, "ns");
	snprintf(title, sizeof(title), "%s, glibc malloc", name);
	sample_print(glibc, title, 1e9, "ns");
	printf("%-44s %.2f\n", "ratio of the medians", sample_median(pool) / sample_median(glibc));
	free(pool);
}

int main(void)
{
	struct private_daemon daemon;
	struct mempool_client_options options = { .size = sizeof(options) };
	void *chunk;
	int r;

	private_daemon_init(&daemon, private_daemon_guide_pools);
	private_daemon_start(&daemon);
	options.socket_path = daemon.socket_path;
	r = mempool_client_open(&options, &client);
	if (r < 0)
		die("open: %s", strerror(-r));
	chunk = mempool_alloc(client, SIZE);
	if (!chunk || mempool_usable_size(client, chunk) != SIZE ||
	    mempool_free(client, chunk) < 0)
		die("no chunk of %d bytes", SIZE);

	compare("alloc+free of 128 bytes", pool_pairs, malloc_pairs, PAIRS);
	compare("32 x alloc, 32 x free, a pair", pool_batches, malloc_batches,
		PAIRS / BATCH * BATCH);
	mempool_client_close(client);
	private_daemon_deinit(&daemon);
	return 0;
}
