/* SPDX-License-Identifier: MIT */
/*
 * program.c - allocs and frees in its own loops, and prints what came of them
 *
 *	program SEGMENT		the same lines wherever the library is
 *	program SEGMENT hold	takes chunks in two functions, prints "ready", and keeps them
 */
#include <mempool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N_CHUNKS 64

static struct mempool_client *client;

static void must(const char *what, int r)
{
	if (r == 0)
		return;
	fprintf(stderr, "program: %s: %s\n", what, mempool_strerror(r));
	exit(1);
}

/* One after the other: what was written is read again. */
__attribute__((noinline)) static uint64_t hot_pairs(uint64_t n)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t *chunk = mempool_alloc(client, 8 + i % 100);

		if (!chunk)
			return 0;
		*chunk = i;
		sum = sum * 31 + *chunk;
		must("free", mempool_free(client, chunk));
	}
	return sum;
}

/* Two sizes at once, freed in the other order. */
__attribute__((noinline)) static uint64_t hot_crossed(uint64_t n)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < n; i++) {
		unsigned char *small = mempool_alloc(client, 100);
		unsigned char *large = mempool_alloc(client, 1000);

		if (!small || !large)
			return 0;
		memset(small, (int)i, 100);
		memset(large, (int)i + 1, 1000);
		sum = sum * 31 + small[i % 100] + large[i % 1000];
		must("free", mempool_free(client, small));
		must("free", mempool_free(client, large));
	}
	return sum;
}

/* All that there is; then a free of what is not held, and of what never was. */
static void use_up(void)
{
	void *chunks[N_CHUNKS];
	char elsewhere;
	int n = 0;

	while (n < N_CHUNKS && (chunks[n] = mempool_alloc(client, 1000)))
		n++;
	printf("chunks of 1000: %d, then %s\n", n, mempool_alloc(client, 1000) ? "more" : "none");
	for (int i = 0; i < n; i++)
		must("free", mempool_free(client, chunks[i]));
	printf("freed twice: %s\n", mempool_strerror(mempool_free(client, chunks[0])));
	printf("no chunk: %s\n", mempool_strerror(mempool_free(client, &elsewhere)));
	printf("too large: %s\n", mempool_alloc(client, 1 << 20) ? "a chunk" : "none");
}

/* Each alloc is followed by something, so that its place is not the caller's. */
__attribute__((noinline)) static void hold_picture(void)
{
	if (!mempool_alloc(client, 100))
		exit(1);
}

__attribute__((noinline)) static void hold_zeroes(void)
{
	if (!mempool_alloc_zeroed(client, 100))
		exit(1);
}

int main(int argc, char **argv)
{
	const struct mempool_client_options options = {
		.size = sizeof(options),
		.segment = argc > 1 ? argv[1] : NULL,
	};

	must("open", mempool_client_open(&options, &client));
	if (argc > 2) {
		/* More than one of each, as gcc inlines what is called once in any case. */
		hold_picture();
		hold_zeroes();
		hold_picture();
		hold_zeroes();
		puts("ready");
		fflush(stdout);
		pause();
	}
	printf("pairs: %llu\n", (unsigned long long)hot_pairs(100000));
	printf("crossed: %llu\n", (unsigned long long)hot_crossed(100000));
	use_up();
	printf("held in the end: %d\n", mempool_client_close(client));
	return 0;
}
