/* SPDX-License-Identifier: MIT */
/*
 * test-threads.c - several threads and two clients over one mapping, for a thread sanitizer
 *
 * Everyone allocates, frees, gives and takes at random, and stamps what it holds: a chunk
 * that two hold at once, or that is handed over before its content, shows a foreign stamp.
 */
#include "test_segment.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "build_config.h"
#include "client/client.h"

enum {
	N_THREADS = 4,
	N_STEPS = MEMPOOL_SANITIZED ? 10000 : 200000,
	N_SMALL = 20,
	N_LARGE = 24,
	N_HELD = 40,		/* by one thread: so it finds the pools used up even alone */
	N_SLOTS = 8,
};

static const struct test_pool pools[] = {
	{ .chunk_size = 64, .n_chunks = N_SMALL, .cache = 4 },
	{ .chunk_size = 256, .n_chunks = N_LARGE, .cache = 8 },
};

static struct segment *segment;
static struct mempool_client *clients[2];

/* Handles on their way from thread to thread; 0: none. */
static _Atomic uint64_t slots[N_SLOTS];
static _Atomic uint64_t n_errors, n_taken, n_exhausted;

struct player {
	struct mempool_client *client;
	uint64_t stamp;
	uint64_t random;
	uint64_t *held[N_HELD];
	size_t words[N_HELD];
	uint32_t n;
};

static uint32_t dice(struct player *player, uint32_t sides)
{
	/* xorshift64, seeded by the thread's number: the same game each time. */
	player->random ^= player->random << 13;
	player->random ^= player->random >> 7;
	player->random ^= player->random << 17;
	return (uint32_t)((player->random >> 32) % sides);
}

static void wrong_if(bool wrong)
{
	if (wrong)
		n_errors++;
}

static void stamp(struct player *player, uint64_t *chunk, size_t words)
{
	for (size_t i = 0; i < words; i++)
		chunk[i] = player->stamp + i;
}

static bool has_stamp(const uint64_t *chunk, size_t words, uint64_t first)
{
	for (size_t i = 0; i < words; i++)
		if (chunk[i] != first + i)
			return false;
	return true;
}

static void keep(struct player *player, uint64_t *chunk)
{
	ssize_t size = mempool_usable_size(player->client, chunk);

	wrong_if(size < 64);
	player->held[player->n] = chunk;
	player->words[player->n] = (size_t)size / 8;
	stamp(player, chunk, (size_t)size / 8);
	player->n++;
}

static uint64_t *drop(struct player *player, uint32_t i)
{
	uint64_t *chunk = player->held[i];

	wrong_if(!has_stamp(chunk, player->words[i], player->stamp));
	player->n--;
	player->held[i] = player->held[player->n];
	player->words[i] = player->words[player->n];
	return chunk;
}

static void play_alloc(struct player *player)
{
	uint64_t *chunk;

	if (player->n == N_HELD)
		return;
	chunk = mempool_alloc(player->client, dice(player, 256) + 1);
	if (chunk) {
		keep(player, chunk);
	} else {
		wrong_if(errno != EAGAIN);
		n_exhausted++;
	}
}

static void play_free(struct player *player)
{
	if (player->n > 0)
		wrong_if(mempool_free(player->client, drop(player, dice(player, player->n))) != 0);
}

/* The handle itself is passed relaxed: take must bring the content along. */
static void play_give(struct player *player)
{
	uint64_t handle, none = 0;
	uint64_t *chunk;
	void *back;

	if (player->n == 0)
		return;
	chunk = drop(player, dice(player, player->n));
	wrong_if(mempool_give(player->client, chunk, 64, &handle) != 0);
	if (!atomic_compare_exchange_strong_explicit(&slots[dice(player, N_SLOTS)], &none, handle,
						     memory_order_relaxed,
						     memory_order_relaxed)) {
		/* The slot is taken: have it back. */
		wrong_if(mempool_take(player->client, handle, &back, NULL) != 0 || back != chunk);
		wrong_if(mempool_free(player->client, back) != 0);
	}
}

/* Two may read one handle; only one of them may take the chunk. */
static void play_take(struct player *player)
{
	_Atomic uint64_t *slot = &slots[dice(player, N_SLOTS)];
	uint64_t handle = atomic_load_explicit(slot, memory_order_relaxed);
	size_t length = 0;
	void *chunk;
	int r;

	if (handle == 0 || player->n == N_HELD)
		return;
	r = mempool_take(player->client, handle, &chunk, &length);
	if (r == 0) {
		uint64_t first = *(uint64_t *)chunk;

		wrong_if(length != 64 || !has_stamp(chunk, 8, first));
		atomic_compare_exchange_strong_explicit(slot, &handle, 0, memory_order_relaxed,
							memory_order_relaxed);
		n_taken++;
		keep(player, chunk);
	} else {
		wrong_if(r != -ESTALE);
	}
}

static void *play(void *number)
{
	uintptr_t i = (uintptr_t)number;
	struct player player = {
		.client = clients[i % 2],
		.stamp = (uint64_t)(i + 1) << 32,
		.random = 0x9e3779b97f4a7c15 * (i + 1),
	};

	for (int step = 0; step < N_STEPS; step++) {
		switch (dice(&player, 8)) {
		case 0:
		case 1:
		case 2:
			play_alloc(&player);
			break;
		case 3:
		case 4:
			play_free(&player);
			break;
		case 5:
			play_give(&player);
			break;
		default:
			play_take(&player);
		}
	}
	while (player.n > 0)
		wrong_if(mempool_free(player.client, drop(&player, 0)) != 0);
	return NULL;
}

static void run_all(void *(*body)(void *))
{
	pthread_t threads[N_THREADS];

	for (uintptr_t i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, body, (void *)i), 0);
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(n_errors, 0);
}

static uint32_t drain(struct mempool_client *client, size_t size)
{
	uint32_t n = 0;

	while (mempool_alloc(client, size))
		n++;
	ck_assert_int_eq(errno, EAGAIN);
	return n;
}

static void setup(void)
{
	segment = test_segment_new(pools, ARRAY_SIZE(pools));
	for (uint32_t i = 0; i < 2; i++)
		ck_assert_int_eq(client_new(test_segment_view(segment), TEST_HOLDER + i, 0,
					    &clients[i]), 0);
}

static void teardown(void)
{
	segment_free(segment);
}

START_TEST(test_threads_random_play_counts_are_exact)
{
	int n_left;

	run_all(play);
	ck_assert_uint_gt(n_taken, 0);
	ck_assert_uint_gt(n_exhausted, 0);

	/* What is still on its way belongs to its givers; all else is free. */
	n_left = (int)(test_segment_used(segment, 0) + test_segment_used(segment, 1));
	ck_assert_int_le(n_left, N_SLOTS);
	ck_assert_uint_eq(drain(clients[0], 1), (uint32_t)(N_SMALL + N_LARGE - n_left));
	n_left = mempool_client_close(clients[0]) + mempool_client_close(clients[1]);
	ck_assert_int_eq(n_left, N_SMALL + N_LARGE);
	ck_assert_uint_eq(test_segment_used(segment, 0), 0);
	ck_assert_uint_eq(test_segment_used(segment, 1), 0);
}
END_TEST

/* All threads drain one pool together, hold it, and free it: never more or less than all. */
static pthread_barrier_t together;
static _Atomic uint32_t n_got;

static void *drain_together(void *number)
{
	struct mempool_client *client = clients[(uintptr_t)number % 2];
	void *chunks[N_LARGE + 1];

	for (int round = 0; round < (MEMPOOL_SANITIZED ? 20 : 300); round++) {
		uint32_t n = 0;

		pthread_barrier_wait(&together);
		while (n <= N_LARGE && (chunks[n] = mempool_alloc(client, 256)))
			n++;
		n_got += n;
		pthread_barrier_wait(&together);
		wrong_if(n_got != N_LARGE);
		pthread_barrier_wait(&together);
		n_got = 0;
		/* Frees of one thread overlap with none of the next round. */
		for (uint32_t i = 0; i < n; i++)
			wrong_if(mempool_free(client, chunks[i]) != 0);
	}
	return NULL;
}

START_TEST(test_threads_drain_together_exactly_n)
{
	pthread_barrier_init(&together, NULL, N_THREADS);
	run_all(drain_together);
	pthread_barrier_destroy(&together);
	ck_assert_int_eq(mempool_client_close(clients[0]) + mempool_client_close(clients[1]), 0);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_threads_random_play_counts_are_exact);
	tcase_add_test(tcase, test_threads_drain_together_exactly_n);
}

int main(void)
{
	return test_run("threads", add_tests);
}
