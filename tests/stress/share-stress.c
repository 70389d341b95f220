/* SPDX-License-Identifier: MIT */
/*
 * share-stress.c - processes share, acquire and let go of each other's chunks while they are
 *		    killed: nobody sees another's data, and in the end nothing is held
 *
 *	share-stress [--seconds N] [--kill-every STEPS] [--processes N] [--seed N]
 *
 * A chunk holds the handle that it was shared under, written before anyone can know it.
 * Whoever acquires that handle must find it there, and as long as he holds the chunk. All
 * know a few handles only, most of them stale, and there are few chunks: so chunks and
 * ChunkManagers change hands all the time.
 */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crew.h"

#define N_HANDLES 8
#define N_HELD 6

struct content {
	_Atomic uint64_t handle;
	_Atomic uint64_t check;		/* its complement */
};

struct arena {
	_Atomic bool stop;
	_Atomic uint64_t handles[N_HANDLES];
	struct {
		_Alignas(64) _Atomic uint64_t n_shared;
		_Atomic uint64_t n_acquired;
		_Atomic uint64_t n_stale;
	} counts[CREW_MAX];
};

static struct arena *arena;

static void check(const struct content *content, uint64_t handle)
{
	if (content->handle != handle || content->check != ~handle)
		crew_fault("handle %#llx leads to the data of %#llx",
			   (unsigned long long)handle, (unsigned long long)content->handle);
}

static const struct content *share_one(struct mempool_client *client, uint64_t *ret_handle)
{
	struct content *content = mempool_alloc(client, sizeof(*content));
	int r;

	if (!content)
		return NULL;
	content->handle = 0;
	content->check = 0;
	r = mempool_share(client, content, sizeof(*content), ret_handle);
	if (r < 0)
		crew_fault("share: %s", strerror(-r));
	content->handle = *ret_handle;
	content->check = ~*ret_handle;
	return content;
}

static void run(unsigned int number, struct mempool_client *client)
{
	uint64_t random = (number + 1) * UINT64_C(0x9e3779b97f4a7c15) ^
			  arena->counts[number].n_stale;
	struct {
		const struct content *content;
		uint64_t handle;
	} held[N_HELD] = { 0 };

	while (!arena->stop) {
		uint64_t dice = crew_random(&random);
		_Atomic uint64_t *place = &arena->handles[dice % N_HANDLES];
		unsigned int i = (unsigned int)(dice / N_HANDLES % N_HELD);
		const void *chunk = NULL;
		size_t length = 0;
		int r;

		if (held[i].content) {
			check(held[i].content, held[i].handle);
			if (mempool_free(client, held[i].content) < 0)
				crew_fault("what was held is not ours");
			held[i].content = NULL;
		} else if (dice >> 20 & 1) {
			held[i].content = share_one(client, &held[i].handle);
			if (held[i].content) {
				atomic_store(place, held[i].handle);
				arena->counts[number].n_shared++;
			}
		} else if ((held[i].handle = atomic_load(place))) {
			r = mempool_acquire(client, held[i].handle, &chunk, &length);
			if (r == -ESTALE) {
				arena->counts[number].n_stale++;
				continue;
			}
			if (r < 0 || length != sizeof(struct content))
				crew_fault("acquire: %d, %zu bytes", r, length);
			held[i].content = chunk;
			check(held[i].content, held[i].handle);
			arena->counts[number].n_acquired++;
		}
	}
	/* Whatever is held still: close drops it. */
}

static void on_kill(unsigned int number)
{
	(void)number;
}

static unsigned int n_processes = 6;

static uint64_t progress(void)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < n_processes; i++)
		n += arena->counts[i].n_shared + arena->counts[i].n_acquired +
		     arena->counts[i].n_stale;
	return n;
}

int main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 't' },
		{ "processes", required_argument, NULL, 'p' },
		{ "kill-every", required_argument, NULL, 'k' },
		{ "seed", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	struct crew crew = {
		.run = run, .on_kill = on_kill, .progress = progress, .steps_a_kill = 10000,
	};
	double seconds = 5;
	uint64_t seed = 1, n_shared = 0, n_acquired = 0, n_stale = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 't':
			seconds = strtod(optarg, NULL);
			break;
		case 'p':
			n_processes = (unsigned int)strtoul(optarg, NULL, 0);
			break;
		case 'k':
			crew.steps_a_kill = strtoull(optarg, NULL, 0);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		default:
			exit(64);
		}
	}
	if (n_processes < 1 || n_processes > CREW_MAX)
		die("1 to %d processes", CREW_MAX);

	arena = crew_memory(sizeof(*arena));
	crew.n = crew.n_mortal = n_processes;
	/* Bits in several words; fewer chunks than all would hold. */
	crew_start(&crew,
		   "    max_clients: 1000\n"
		   "    pools:\n"
		   "      - { chunk_size: 64, chunk_count: 12, cache: 4 }\n", seed);
	crew_watch(&crew, crew.n, seconds);
	crew.kill_at = UINT64_MAX;
	arena->stop = true;
	crew_watch(&crew, crew.n, 1e9);

	for (unsigned int i = 0; i < n_processes; i++) {
		n_shared += arena->counts[i].n_shared;
		n_acquired += arena->counts[i].n_acquired;
		n_stale += arena->counts[i].n_stale;
	}
	printf("kills %llu; shared %llu, acquired %llu, stale %llu; longest standstill %.0f ms\n",
	       (unsigned long long)crew.n_kills, (unsigned long long)n_shared,
	       (unsigned long long)n_acquired, (unsigned long long)n_stale,
	       crew.longest_standstill_ms);
	if (n_acquired == 0 || n_stale == 0)
		crew_fail(&crew, "nothing was tried", 0);
	crew_end(&crew);
	return 0;
}
