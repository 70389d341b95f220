/* SPDX-License-Identifier: MIT */
/*
 * reap.c - how long a sweep takes: one dead holder that had 1000 chunks, among many
 *
 *	bench-reap [--ms N] reap BYTES CHUNKS
 *
 * A real shm object, its space taken, holder table as by default. The sweep is
 * reap_holder(), the daemon's less its slices. It ends with the chunks free again:
 * checked each time.
 */
#include "measure.h"
#include "shm/layout.h"
#include "shm/reap.h"
#include "shm/segment.h"
#include "support/private_daemon.h"

#define HELD 1000
#define DEAD 2

static struct segment *make_segment(uint64_t chunk_size, uint64_t n_chunks)
{
	const struct segment_permissions perms = {.mode = 0600, .group = (gid_t)-1};
	struct segment_memory memory = SEGMENT_MEMORY_NULL;
	struct segment *segment = NULL;
	struct config config;
	char name[64];
	int r;

	snprintf(name, sizeof(name), "/mempool-bench-reap-%d", (int)getpid());
	r = config_init(&config, "bench");
	if (r == 0)
		r = config_add_pool(&config, chunk_size, n_chunks);
	if (r == 0)
		r = segment_create(name, &config, SEGMENT_READ_WRITE, SEGMENT_CREATE, &perms,
				   NULL, NULL, &memory);
	if (r < 0)
		die("%s: %s", name, strerror(-r));
	segment_unlink(name);
	r = segment_layout(memory.base, memory.size, &config, NULL);
	if (r == 0)
		r = segment_attach(&memory, &segment);
	config_deinit(&config);
	if (r < 0)
		die("%s: %s", name, strerror(-r));
	return segment;
}

/* Milliseconds of a sweep over chunks that are spread, as after a while of use. */
static double sweep_ms(struct segment *segment)
{
	const struct pool *pool = &segment->pools[0];
	uint32_t step = pool->n_chunks / HELD;
	uint64_t begin;

	for (uint32_t n = 0; n < HELD; n++)
		if (pool_claim(pool, n * step, DEAD) < 0)
			die("chunk %u is not free", n * step);
	begin = clock_ns();
	if (reap_holder(segment, DEAD) != HELD)
		die("the sweep did not free %d chunks", HELD);
	return (double)(clock_ns() - begin) / 1e6;
}

int main(int argc, char *argv[])
{
	struct slices *slices = slices_new();
	struct segment *segment;
	uint64_t ms = 200, until;
	int first = 1;

	if (argc > 2 && strcmp(argv[1], "--ms") == 0) {
		ms = strtoull(argv[2], NULL, 0);
		first = 3;
	}
	if (argc != first + 3 || strcmp(argv[first], "reap") != 0)
		skip("it has no such thing");
	segment = make_segment(strtoull(argv[first + 1], NULL, 0),
			       strtoull(argv[first + 2], NULL, 0));
	pin(0);
	until = clock_ns() + ms * 1000000;
	do {
		slices_add(slices, sweep_ms(segment));
	} while (slices->n < 5 || clock_ns() < until);
	print_figure("reap", slices_finish(slices), "ms", 0);
	segment_free(segment);
	return 0;
}
