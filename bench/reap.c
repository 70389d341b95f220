/* SPDX-License-Identifier: MIT */
/*
 * reap.c - how long a sweep takes: one dead holder that had 1000 chunks, among many
 *
 * A real shm object, its space taken, chunks of 64 bytes, holder table as by default. The
 * sweep is reap_holder(), the daemon's less its slices. It ends with the chunks free again:
 * checked each time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sample.h"
#include "shm/reap.h"
#include "shm/segment.h"
#include "support/private_daemon.h"

#define SIZE 64
#define HELD 1000
#define DEAD 2

static const struct {
	uint64_t n_chunks;
	int n_sweeps;
} cases[] = {
	{ 16000, 101 },
	{ 1000000, 21 },
	{ 10000000, 11 },
};

static struct segment *make_segment(uint64_t n_chunks)
{
	const struct segment_permissions perms = { .mode = 0600, .group = (gid_t)-1 };
	struct segment_memory memory = SEGMENT_MEMORY_NULL;
	struct segment *segment = NULL;
	struct config config;
	char name[64];
	int r;

	snprintf(name, sizeof(name), "/mempool-bench-reap-%d", (int)getpid());
	r = config_init(&config, "bench");
	if (r == 0)
		r = config_add_pool(&config, SIZE, n_chunks);
	if (r == 0)
		r = segment_create(name, segment_size_bytes(&config), SEGMENT_READ_WRITE,
				   SEGMENT_CREATE, &perms, NULL, NULL, &memory);
	if (r < 0)
		die("%s: %s", name, strerror(-r));
	shm_unlink(name);
	r = segment_layout(memory.base, memory.size, &config, NULL);
	if (r == 0)
		r = segment_attach(&memory, &segment);
	config_deinit(&config);
	if (r < 0)
		die("%s: %s", name, strerror(-r));
	return segment;
}

int main(void)
{
	struct sample *sweeps = malloc(sizeof(*sweeps));

	if (!sweeps)
		die("no memory");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct segment *segment = make_segment(cases[i].n_chunks);
		const struct pool *pool = &segment->pools[0];
		uint32_t step = pool->n_chunks / HELD;
		char title[64];

		*sweeps = SAMPLE_NULL;
		for (int k = 0; k < cases[i].n_sweeps; k++) {
			double begin;

			/* Spread over the pool, as after a while of use. */
			for (uint32_t n = 0; n < HELD; n++)
				if (pool_claim(pool, n * step, DEAD) < 0)
					die("chunk %u is not free", n * step);
			begin = seconds_now();
			if (reap_holder(segment, DEAD) != HELD)
				die("the sweep did not free %d chunks", HELD);
			sample_add(sweeps, seconds_now() - begin);
		}
		snprintf(title, sizeof(title), "reap 1000 of %llu chunks",
			 (unsigned long long)cases[i].n_chunks);
		sample_print(sweeps, title, 1e3, "ms");
		segment_free(segment);
	}
	free(sweeps);
	return 0;
}
