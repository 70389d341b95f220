/* SPDX-License-Identifier: MIT */
/* test-cache.c - stacks of hints: spread, refill, overflow, threads and clients that go */
#include "client/client.h"
#include "test_segment.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "client/cache.h"
#include "client/locate.h"
#include "shm/clock.h"
#include "support/control.h"

enum { N = 1024, N_LEAVES = N / 64, CACHE = 16, N_THREADS = 8 };

static const struct test_pool one_pool[] = {
	{ .chunk_size = 100, .n_chunks = N, .cache = CACHE },
};

static struct segment *segment;
static struct mempool_client *client;

static struct mempool_client *client_of(uint32_t holder)
{
	struct mempool_client *made;

	ck_assert_int_eq(client_new(test_segment_view(segment), holder, 0, &made), 0);
	return made;
}

static void setup(void)
{
	segment = test_segment_new(one_pool, 1);
	client = client_of(TEST_HOLDER);
}

static void teardown(void)
{
	mempool_client_close(client);
	segment_free(segment);
}

static void *must_alloc(struct mempool_client *by)
{
	void *chunk = mempool_alloc(by, 100);

	ck_assert_ptr_nonnull(chunk);
	return chunk;
}

static uint32_t index_of(const void *chunk)
{
	const struct pool *pool;
	uint32_t index;

	ck_assert_int_eq(client_locate(client, chunk, &pool, &index), 0);
	return index;
}

static uint32_t n_hints(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < N; i++)
		n += (uint32_t)free_list_has(&segment->pools[0].list, i);
	return n;
}

/* Allocate until nothing is left; free all of it. Returns how many there were. */
static uint32_t drain(struct mempool_client *by)
{
	void *chunks[N + 1];
	uint32_t n = 0;

	while (n <= N && (chunks[n] = mempool_alloc(by, 100)))
		n++;
	ck_assert_int_eq(errno, EAGAIN);
	for (uint32_t i = 0; i < n; i++)
		ck_assert_int_eq(mempool_free(by, chunks[i]), 0);
	return n;
}

static void run(pthread_t *thread, void *(*body)(void *), void *argument)
{
	ck_assert_int_eq(pthread_create(thread, NULL, body, argument), 0);
}

/* ---- one thread ---- */

START_TEST(test_cache_refills_half_its_room)
{
	must_alloc(client);
	ck_assert_uint_eq(n_hints(), N - CACHE / 2);
	for (int i = 1; i < CACHE / 2; i++)
		must_alloc(client);
	ck_assert_uint_eq(n_hints(), N - CACHE / 2);
	must_alloc(client);
	ck_assert_uint_eq(n_hints(), N - CACHE);
}
END_TEST

START_TEST(test_cache_refill_is_used_in_ascending_order)
{
	uint32_t first = index_of(must_alloc(client));

	for (uint32_t i = 1; i < CACHE / 2; i++)
		ck_assert_uint_eq(index_of(must_alloc(client)), first + i);
}
END_TEST

START_TEST(test_cache_last_freed_is_next_allocated)
{
	void *chunks[4];

	for (int i = 0; i < 4; i++)
		chunks[i] = must_alloc(client);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(mempool_free(client, chunks[i]), 0);
	for (int i = 3; i >= 0; i--)
		ck_assert_ptr_eq(must_alloc(client), chunks[i]);
}
END_TEST

START_TEST(test_cache_overflow_goes_to_the_list)
{
	void *chunks[2 * CACHE + 1];

	for (uint32_t i = 0; i < ARRAY_SIZE(chunks); i++)
		chunks[i] = must_alloc(client);
	/* 40 hints popped for 33 chunks: 7 are in the stack, with room for 9 more. */
	ck_assert_uint_eq(n_hints(), N - 40);
	for (int i = 0; i < 9; i++)
		ck_assert_int_eq(mempool_free(client, chunks[i]), 0);
	ck_assert_uint_eq(n_hints(), N - 40);
	ck_assert_int_eq(mempool_free(client, chunks[9]), 0);
	/* Beyond it half as many are set aside. */
	ck_assert_uint_eq(n_hints(), N - 40);
	for (int i = 10; i < 9 + CACHE / 2; i++)
		ck_assert_int_eq(mempool_free(client, chunks[i]), 0);
	ck_assert_uint_eq(n_hints(), N - 40 + CACHE / 2);
	for (uint32_t i = 9 + CACHE / 2; i < ARRAY_SIZE(chunks); i++)
		ck_assert_int_eq(mempool_free(client, chunks[i]), 0);
	ck_assert_uint_eq(drain(client), N);
}
END_TEST

START_TEST(test_cache_stale_hints_are_dropped)
{
	/* All hints of the stack are taken by their words, behind its back. */
	uint32_t first = index_of(must_alloc(client)), got;

	for (uint32_t i = 1; i < CACHE / 2; i++)
		ck_assert_int_eq(pool_claim(&segment->pools[0], first + i, TEST_HOLDER + 1), 0);
	got = index_of(must_alloc(client));
	ck_assert(got < first || got >= first + CACHE / 2);
	ck_assert_uint_eq(test_segment_used(segment, 0), CACHE / 2 + 1);
	ck_assert_uint_eq(drain(client), N - CACHE / 2 - 1);
}
END_TEST

START_TEST(test_cache_of_0_and_of_4096)
{
	static const struct test_pool two[] = {
		{ .chunk_size = 100, .n_chunks = N },
		{ .chunk_size = 1000, .n_chunks = N, .cache = 4096 },
	};
	struct mempool_client *own;
	struct segment *other;
	struct config config;
	void *chunks[200];

	test_config_init(&config, two, 2);
	config.pools[0].cache = 0;
	config.fallback = false;
	other = test_segment_new_of(&config);
	ck_assert_int_eq(client_new(test_segment_view(other), TEST_HOLDER, 0, &own), 0);
	for (size_t size = 100; size <= 1000; size += 900) {
		for (size_t i = 0; i < ARRAY_SIZE(chunks); i++) {
			chunks[i] = mempool_alloc(own, size);
			ck_assert_ptr_nonnull(chunks[i]);
		}
		for (size_t i = 0; i < ARRAY_SIZE(chunks); i++)
			ck_assert_int_eq(mempool_free(own, chunks[i]), 0);
		for (int i = 0; i < N; i++)
			ck_assert_ptr_nonnull(mempool_alloc(own, size));
		ck_assert_ptr_null(mempool_alloc(own, size));
	}
	ck_assert_int_eq(mempool_client_close(own), 2 * N);
	segment_free(other);
}
END_TEST

/* A freer that was stopped between its store and the dry word hides a chunk for so long. */
START_TEST(test_cache_dry_looks_again_at_least_every_64th_call)
{
	int n = 1;

	for (int i = 0; i < N; i++)
		must_alloc(client);
	ck_assert_ptr_null(mempool_alloc(client, 100));
	ck_assert_int_eq(pool_release(&segment->pools[0], 500, TEST_HOLDER, true), 0);
	while (!mempool_alloc(client, 100))
		ck_assert_int_le(++n, CACHE_DRY_CALLS);
	ck_assert_int_eq(n, CACHE_DRY_CALLS);
}
END_TEST

/* A scan of a large pool is not worth it that often; but it comes. */
START_TEST(test_cache_dry_large_pool_looks_again_in_time)
{
	static const struct test_pool large[] = {
		{ .chunk_size = 8, .n_chunks = 40 * CACHE_SMALL_POOL },
	};
	struct segment *of = test_segment_new(large, 1);
	struct mempool_client *own;
	struct timespec begin, end;
	struct control control;
	int64_t ns;
	int n = 0;

	ck_assert_int_eq(client_new(test_segment_view(of), TEST_HOLDER, 0, &own), 0);
	for (uint32_t i = 0; i < large[0].n_chunks; i++)
		ck_assert_ptr_nonnull(mempool_alloc(own, 8));
	/* Before the scan, so that a pause behind it makes nothing shorter. */
	control_start(&control);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	ck_assert_ptr_null(mempool_alloc(own, 8));
	ck_assert_int_eq(pool_release(&of->pools[0], 500, TEST_HOLDER, true), 0);
	while (!mempool_alloc(own, 8))
		n++;
	clock_gettime(CLOCK_MONOTONIC, &end);
	ns = (end.tv_sec - begin.tv_sec) * INT64_C(1000000000) + end.tv_nsec - begin.tv_nsec;
	ck_assert_int_ge(ns, (int64_t)large[0].n_chunks * 16 / 2);
	ck_assert_double_lt(control_stop(&control), 1000);
	ck_assert_int_ge(n, CACHE_DRY_CALLS - 1);
	mempool_client_close(own);
	segment_free(of);
}
END_TEST

START_TEST(test_cache_free_into_a_dry_pool_goes_to_the_list)
{
	void *chunk = must_alloc(client);

	for (int i = 1; i < N; i++)
		must_alloc(client);
	ck_assert_ptr_null(mempool_alloc(client, 100));
	ck_assert(pool_is_dry(&segment->pools[0]));
	ck_assert_int_eq(mempool_free(client, chunk), 0);
	ck_assert_int_eq(free_list_has(&segment->pools[0].list, index_of(chunk)), 1);
	ck_assert(!pool_is_dry(&segment->pools[0]));
}
END_TEST

START_TEST(test_cache_scan_that_finds_one_clears_dry)
{
	struct mempool_client *other = client_of(TEST_HOLDER + 1);
	uint32_t start = 0, indices[64];

	/* No hints anywhere: only the words know. */
	while (free_list_pop(&segment->pools[0].list, &start, indices, 64))
		;
	must_alloc(client);
	ck_assert(!pool_is_dry(&segment->pools[0]));
	ck_assert_uint_eq(drain(other), N - 1);
	ck_assert_int_eq(mempool_client_close(other), 0);
}
END_TEST

/* Whoever had to scan for a chunk need not scan for the next one that is freed elsewhere. */
START_TEST(test_cache_free_where_hints_are_scarce_goes_to_the_list)
{
	struct mempool_client *other = client_of(TEST_HOLDER + 1);
	const struct pool *pool = &segment->pools[0];
	void *chunks[N];

	for (uint32_t i = 0; i < N; i++)
		chunks[i] = must_alloc(other);
	ck_assert(!pool_wants_hints(pool));
	ck_assert_int_eq(mempool_free(other, chunks[0]), 0);
	ck_assert_ptr_eq(must_alloc(client), chunks[0]);	/* out of the other's stack */
	for (uint32_t i = 1; i < CACHE / 2; i++) {
		ck_assert(pool_wants_hints(pool));
		ck_assert_int_eq(mempool_free(other, chunks[i]), 0);
		ck_assert_int_eq(free_list_has(&pool->list, index_of(chunks[i])), 1);
		ck_assert_ptr_eq(must_alloc(client), chunks[i]);
	}
	/* Plenty again: caches keep what is freed. */
	for (uint32_t i = CACHE; i < N; i++)
		ck_assert_int_eq(mempool_free(other, chunks[i]), 0);
	must_alloc(client);
	ck_assert(!pool_wants_hints(pool));
	ck_assert_int_eq(mempool_free(other, chunks[CACHE - 1]), 0);
	ck_assert_int_eq(free_list_has(&pool->list, index_of(chunks[CACHE - 1])), 0);
	ck_assert_int_eq(mempool_client_close(other), CACHE / 2 - 1);
}
END_TEST

/* ---- a stack that grows ---- */

enum { N_WIDE = 4096, STACK = 64, BATCH = 900, GROWN = 1024 };

static struct segment *wide;
static struct mempool_client *grower;
static void *batch[3 * BATCH];

static void begin_wide(void)
{
	static const struct test_pool pools[] = {
		{ .chunk_size = 8, .n_chunks = N_WIDE, .cache = STACK },
	};

	wide = test_segment_new(pools, 1);
	lane_turn(&wide->lanes, true);
	ck_assert_int_eq(client_new(test_segment_view(wide), TEST_HOLDER, 0, &grower), 0);
}

static void end_wide(void)
{
	mempool_client_close(grower);
	segment_free(wide);
}

static void alloc_batch(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		batch[i] = mempool_alloc(grower, 8);
		ck_assert_ptr_nonnull(batch[i]);
	}
}

static void free_batch(uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		ck_assert_int_eq(mempool_free(grower, batch[i]), 0);
}

static const struct magazine *grown(void)
{
	begin_wide();
	for (int i = 0; i < 6; i++) {
		alloc_batch(BATCH);
		free_batch(0, BATCH);
	}
	return &grower->caches->magazines[0];
}

static uint32_t n_wide_hints(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < N_WIDE; i++)
		n += (uint32_t)free_list_has(&wide->pools[0].list, i);
	return n;
}

static void must_be_listed_as(const void *before)
{
	ck_assert_mem_eq(wide->pools[0].list.leaves, before, free_list_size_bytes(N_WIDE));
}

START_TEST(test_cache_grown_writes_no_hint)
{
	unsigned char before[N_WIDE];
	uint32_t n_swaps_left;

	ck_assert_uint_eq(grown()->capacity, GROWN);
	ck_assert_uint_le(free_list_size_bytes(N_WIDE), sizeof(before));
	memcpy(before, wide->pools[0].list.leaves, free_list_size_bytes(N_WIDE));
	n_swaps_left = grower->caches->n_swaps_left;
	for (int i = 0; i < 3; i++) {
		alloc_batch(BATCH);
		must_be_listed_as(before);
		free_batch(0, BATCH);
		must_be_listed_as(before);
		ck_assert_int_eq(mempool_alloc_many(grower, 8, batch, BATCH), BATCH);
		must_be_listed_as(before);
		ck_assert_int_eq(mempool_free_many(grower, batch, BATCH), BATCH);
		must_be_listed_as(before);
	}
	/* Each was freed for the thread's lane. */
	ck_assert(grower->seq_cst || grower->caches->n_swaps_left == n_swaps_left);
	end_wide();
}
END_TEST

START_TEST(test_cache_grows_to_a_part_of_the_pool)
{
	static const struct test_pool small[] = {
		{ .chunk_size = 8, .n_chunks = 4 * STACK + 40, .cache = STACK },
		{ .chunk_size = 16, .n_chunks = N_WIDE, .cache = STACK - 1 },
	};
	struct segment *of = test_segment_new(small, 2);
	struct mempool_client *own;

	ck_assert_int_eq(client_new(test_segment_view(of), TEST_HOLDER, 0, &own), 0);
	for (size_t size = 8; size <= 16; size += 8)
		for (int round = 0; round < 6; round++) {
			for (int i = 0; i < 4 * STACK; i++)
				batch[i] = mempool_alloc(own, size);
			for (int i = 0; i < 4 * STACK; i++)
				ck_assert_int_eq(mempool_free(own, batch[i]), 0);
		}
	ck_assert_uint_eq(own->caches->magazines[0].capacity, STACK + 10);
	/* One that has no room for a leaf stays as it is. */
	ck_assert_uint_eq(own->caches->magazines[1].capacity, STACK - 1);
	ck_assert_int_eq(mempool_client_close(own), 0);
	segment_free(of);
}
END_TEST

static void *free_all(void *ret_n_hints)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(batch); i++)
		if (mempool_free(grower, batch[i]) < 0)
			return (void *)"a chunk could not be freed";
	if (cache_get(grower)->magazines[0].capacity != STACK)
		return (void *)"the stack has grown";
	*(uint32_t *)ret_n_hints = n_wide_hints();
	return NULL;
}

START_TEST(test_cache_that_only_frees_keeps_no_more)
{
	uint32_t n = 0;
	pthread_t thread;
	void *fault;

	begin_wide();
	alloc_batch(ARRAY_SIZE(batch));
	ck_assert_uint_eq(grower->caches->magazines[0].capacity, STACK);
	run(&thread, free_all, &n);
	ck_assert_int_eq(pthread_join(thread, &fault), 0);
	ck_assert_ptr_null(fault);
	/* But for the stacks of both threads, and one leaf that was set aside. */
	ck_assert_uint_ge(n, N_WIDE - 3 * STACK);
	end_wide();
}
END_TEST

/* Whether the last one that is freed has room in the stack, or not. */
START_TEST(test_cache_grown_passes_on_where_hints_are_wanted)
{
	enum { LAST = GROWN / 64 };
	uint32_t n = _i == 0 ? BATCH : GROWN + LAST, n_before;
	const struct magazine *magazine = grown();
	const struct pool *pool = &wide->pools[0];

	alloc_batch(n);
	free_batch(0, n - LAST);
	n_before = magazine->n;
	ck_assert_uint_ge(n_before, n - LAST - STACK);
	pool_set_scarce(pool);
	/* With each free a part of it. */
	free_batch(n - LAST, n - LAST + 1);
	ck_assert_uint_lt(magazine->n, n_before);
	ck_assert_uint_ge(magazine->n, n_before - 64);
	free_batch(n - LAST + 1, n);
	ck_assert_uint_le(magazine->n, STACK);
	ck_assert_uint_eq(magazine->capacity, STACK);
	ck_assert_uint_ge(n_wide_hints(), N_WIDE - STACK);
	ck_assert_uint_eq(cache_count_held(grower), 0);
	for (uint32_t i = 0; i < N_WIDE; i++)
		ck_assert(!free_list_has(&pool->list, i) ||
			  pool_is_open(pool, atomic_load(&pool->entries[i].word)));
	end_wide();
}
END_TEST

static _Atomic uint64_t *wide_word(const void *chunk)
{
	const struct mempool_client *by = grower;
	uint64_t offset = (uint64_t)((const unsigned char *)chunk - by->segment->pools[0].data);

	return &wide->pools[0].entries[offset / wide->pools[0].stride].word;
}

static bool is_listed(const void *chunk)
{
	const struct pool *pool = &wide->pools[0];

	return free_list_has(&pool->list, (uint32_t)((struct mempool_entry *)(void *)wide_word(chunk) -
						     pool->entries));
}

/* The hint of a chunk that another thread has found by its word, and freed for its own lane. */
START_TEST(test_cache_grown_leaves_what_is_for_another)
{
	struct magazine *magazine;
	struct mempool_client *other;
	uint64_t handle, seen;
	void *chunk, *old;

	begin_wide();
	ck_assert_int_eq(client_new(test_segment_view(wide), TEST_HOLDER + 1, 0, &other), 0);
	ck_assert_int_eq(mempool_free(other, mempool_alloc(other, 8)), 0);
	alloc_batch(2);
	old = batch[0];
	free_batch(0, 1);
	/* Found there, and given to the other, as a scan would: the hint is still in the stack. */
	ck_assert_int_eq(pool_claim(&wide->pools[0],
				    (uint32_t)((struct mempool_entry *)(void *)wide_word(old) -
					       wide->pools[0].entries),
				    grower->caches->lane << WORD_LANE_SHIFT | TEST_HOLDER), 0);
	ck_assert_int_eq(mempool_give(grower, old, 1, &handle), 0);
	ck_assert_int_eq(mempool_take(other, handle, &chunk, NULL), 0);
	ck_assert_int_eq(mempool_free(other, chunk), 0);
	seen = atomic_load(wide_word(old));
	ck_assert(other->seq_cst || word_lane(seen) == other->caches->lane);

	magazine = &grower->caches->magazines[0];
	magazine->capacity_min = 0;
	pool_set_scarce(&wide->pools[0]);
	free_batch(1, 2);
	ck_assert_uint_eq(magazine->n, 0);
	ck_assert_int_eq(is_listed(batch[1]), 1);
	ck_assert_uint_eq(atomic_load(wide_word(old)), seen);
	ck_assert(other->seq_cst || !is_listed(old));
	mempool_client_close(other);
	end_wide();
}
END_TEST

static void *alloc_and_free_some(void *unused)
{
	(void)unused;
	alloc_batch(N_WIDE / 2);
	free_batch(0, N_WIDE / 2);
	return NULL;
}

/* What an ended thread has freed for its lane is everybody's, and so are its hints. */
START_TEST(test_cache_grown_passes_on_what_is_settled)
{
	struct magazine *magazine;
	pthread_t thread;
	uint32_t n;

	begin_wide();
	/* A lane of its own, before the other one's is to be had again. */
	alloc_batch(1);
	free_batch(0, 1);
	run(&thread, alloc_and_free_some, NULL);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	/* Of each thread the place to begin is its own: it takes what there is until it has met those. */
	for (n = 0; n < N_WIDE - 1;) {
		batch[0] = mempool_alloc(grower, 8);
		n++;
		magazine = &grower->caches->magazines[0];
		if (magazine->n > 1 && !word_is_open(atomic_load(
				&wide->pools[0].entries[magazine->indices[0]].word)))
			break;
	}
	ck_assert(grower->seq_cst || n < N_WIDE - 1);
	magazine->capacity_min = 0;
	pool_set_scarce(&wide->pools[0]);
	ck_assert_int_eq(mempool_free(grower, batch[0]), 0);
	ck_assert_uint_eq(magazine->n, 0);
	ck_assert_uint_eq(n_wide_hints(), N_WIDE - n + 1);
	end_wide();
}
END_TEST

START_TEST(test_cache_grown_keeps_nothing_from_others)
{
	struct mempool_client *other;
	uint32_t n = 0;

	ck_assert_uint_ge(grown()->n, BATCH);
	ck_assert_int_eq(client_new(test_segment_view(wide), TEST_HOLDER + 1, 0, &other), 0);
	while (mempool_alloc(other, 8))
		n++;
	ck_assert_uint_eq(n, N_WIDE);
	ck_assert_ptr_null(mempool_alloc(grower, 8));
	ck_assert_int_eq(mempool_client_close(other), N_WIDE);
	end_wide();
}
END_TEST

/* ---- memory that stays warm ---- */

enum { N_SMALL_CHUNKS = 8192, N_LARGE_CHUNKS = 320, IN_FLIGHT = 8, N_MESSAGES = 3 * N_SMALL_CHUNKS };

/* A pool, and how many of its chunks may be used by IN_FLIGHT messages on their way. */
static const struct warm {
	struct test_pool pool;
	uint32_t n_most;
} warm[] = {
	/* The receiver's stack; a leaf that is set aside there, one that is in the list, one in use. */
	{ { .chunk_size = 8, .n_chunks = N_SMALL_CHUNKS, .cache = STACK }, IN_FLIGHT + STACK + 3 * 64 },
	/* As of chunks of 1 MiB, whatever their size: the receiver's stack, and the sender's. */
	{ { .chunk_size = 8, .n_chunks = N_LARGE_CHUNKS, .cache = 2 }, IN_FLIGHT + 2 + 2 },
};

/* One allocates and gives, the other takes and frees, in the order in which it came. */
START_TEST(test_cache_few_on_their_way_use_few_chunks)
{
	struct segment *of = test_segment_new(&warm[_i].pool, 1);
	const struct pool *pool = &of->pools[0];
	static bool is_used[N_SMALL_CHUNKS];
	struct mempool_client *sender, *receiver;
	uint64_t handles[IN_FLIGHT] = { 0 };
	uint32_t n_used = 0;

	lane_turn(&of->lanes, true);
	ck_assert_int_eq(client_new(test_segment_view(of), TEST_HOLDER, 0, &sender), 0);
	ck_assert_int_eq(client_new(test_segment_view(of), TEST_HOLDER + 1, 0, &receiver), 0);
	for (uint32_t i = 0; i < N_MESSAGES; i++) {
		uint64_t *handle = &handles[i % IN_FLIGHT];
		void *chunk;
		uint32_t index;

		if (*handle != 0) {
			ck_assert_int_eq(mempool_take(receiver, *handle, &chunk, NULL), 0);
			ck_assert_int_eq(mempool_free(receiver, chunk), 0);
		}
		chunk = mempool_alloc(sender, 8);
		ck_assert_ptr_nonnull(chunk);
		index = (uint32_t)(((unsigned char *)chunk - sender->segment->pools[0].data) /
				   (ptrdiff_t)pool->stride);
		n_used += !is_used[index];
		is_used[index] = true;
		ck_assert_int_eq(mempool_give(sender, chunk, 8, handle), 0);
	}
	ck_assert_uint_ge(n_used, IN_FLIGHT);
	ck_assert_uint_le(n_used, warm[_i].n_most);
	ck_assert_int_eq(mempool_client_close(sender), IN_FLIGHT);
	ck_assert_int_eq(mempool_client_close(receiver), 0);
	segment_free(of);
}
END_TEST

/* ---- others who go on while the words are read ---- */

/*
 * A signal handler is the others: it comes several times in each reading of the words,
 * however busy the machine is. After N_TURNS it gives up, so that a call that does not return
 * does so in the end.
 */
enum { N_LARGE = 200000, N_TURNS = 20000, TURNS_A_READING = 4, OTHER = TEST_HOLDER + 1 };

static const struct pool *large_pool;
static void (*turn)(void);
static _Atomic int n_turns;

static void on_turn(int number)
{
	(void)number;
	if (n_turns < N_TURNS) {
		turn();
		n_turns++;
	}
}

/* A given chunk is taken. */
static void hand_over(void)
{
	_Atomic uint64_t *word = &large_pool->entries[0].word;

	atomic_store(word, word_taken(word_sent(atomic_load(word), 0, OTHER), OTHER));
}

/* A chunk is freed, and by the same one claimed again. */
static void free_and_claim(void)
{
	if (pool_release(large_pool, 0, OTHER, true) == 0) {
		pool_hint(large_pool, 0);
		pool_claim(large_pool, 0, OTHER);
	}
}

/* How long a reading takes with nobody there: the shortest of several, as the first is cold. */
static int64_t reading_ns(struct mempool_client *own)
{
	int64_t shortest_ns = INT64_MAX;

	for (int i = 0; i < 5; i++) {
		int64_t begin_ns = clock_now_ns(), ns;

		mempool_free(own, mempool_alloc(own, 8));
		ns = clock_now_ns() - begin_ns;
		shortest_ns = ns < shortest_ns ? ns : shortest_ns;
		cache_get(own)->magazines[0].dry = 0;
	}
	return shortest_ns;
}

static struct segment *begin_turns(void (*what)(void), bool fallback,
				   struct mempool_client **ret_client)
{
	static const struct test_pool pools[] = {
		{ .chunk_size = 8, .n_chunks = N_LARGE, .alignment = 8 },
		{ .chunk_size = 1000, .n_chunks = 1 },
	};
	struct sigaction action = { .sa_handler = on_turn, .sa_flags = SA_RESTART };
	struct itimerval interval = { { 0, 0 }, { 0, 0 } };
	struct config config;
	struct segment *of;

	test_config_init(&config, pools, ARRAY_SIZE(pools));
	config.fallback = fallback;
	of = test_segment_new_of(&config);
	config_deinit(&config);
	ck_assert_int_eq(client_new(test_segment_view(of), TEST_HOLDER, 0, ret_client), 0);
	for (uint32_t i = 0; i < N_LARGE; i++)
		ck_assert_int_eq(pool_claim(&of->pools[0], i, OTHER), 0);

	interval.it_value.tv_usec = reading_ns(*ret_client) / 1000 / TURNS_A_READING + 1;
	interval.it_interval = interval.it_value;
	atomic_store(&of->pools[0].state->peak_used, 0);

	large_pool = &of->pools[0];
	turn = what;
	n_turns = 0;
	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &interval, NULL), 0);
	while (n_turns == 0)
		;
	return of;
}

static void end_turns(struct segment *of, struct mempool_client *own)
{
	struct itimerval never = { { 0, 0 }, { 0, 0 } };

	ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
	ck_assert_int_lt(n_turns, N_TURNS);
	mempool_client_close(own);
	segment_free(of);
}

START_TEST(test_cache_scan_ends_while_chunks_are_handed_over)
{
	struct mempool_client *own;
	struct segment *of = begin_turns(hand_over, false, &own);

	ck_assert_ptr_null(mempool_alloc(own, 8));
	ck_assert_int_eq(errno, EAGAIN);
	end_turns(of, own);
}
END_TEST

START_TEST(test_cache_falls_back_while_chunks_are_handed_over)
{
	struct mempool_client *own;
	struct segment *of = begin_turns(hand_over, true, &own);

	ck_assert_ptr_nonnull(mempool_alloc(own, 8));
	end_turns(of, own);
}
END_TEST

/* A chunk is freed behind each reading, and taken again: none proves anything. */
START_TEST(test_cache_scans_end_with_the_time_while_chunks_are_freed)
{
	struct mempool_client *own;
	struct segment *of = begin_turns(free_and_claim, false, &own);
	struct cache *cache = cache_get(own);

	cache->again_until_ns = clock_now_ns() + 20000000;
	mempool_free(own, mempool_alloc(own, 8));
	cache->again_until_ns = INT64_MAX;
	mempool_free(own, mempool_alloc_wait(own, 8, 1));
	end_turns(of, own);
}
END_TEST

START_TEST(test_cache_first_scan_ends_with_the_time)
{
	struct mempool_client *own;
	struct segment *of = begin_turns(hand_over, false, &own);
	struct cache *cache = cache_get(own);

	cache->first_until_ns = 0;
	ck_assert_ptr_null(mempool_alloc(own, 8));
	/* It was not read to its end, and so not found exhausted. */
	ck_assert_uint_eq(atomic_load(&large_pool->state->peak_used), 0);
	ck_assert_uint_eq(cache->magazines[0].dry, 0);
	cache->first_until_ns = INT64_MAX;
	ck_assert_ptr_null(mempool_alloc(own, 8));
	ck_assert_uint_eq(atomic_load(&large_pool->state->peak_used), N_LARGE);
	end_turns(of, own);
}
END_TEST

/* ---- threads ---- */

static pthread_barrier_t together;
static uint32_t first_leaf[N_THREADS];

static void *note_first_leaf(void *slot)
{
	void *chunk = mempool_alloc(client, 100);
	uint32_t *leaf = slot;
	const struct pool *pool;
	uint32_t index = 0;

	if (chunk)
		client_locate(client, chunk, &pool, &index);
	*leaf = chunk ? index / 64 : UINT32_MAX;
	pthread_barrier_wait(&together);
	return NULL;
}

START_TEST(test_cache_threads_begin_far_apart)
{
	pthread_t threads[N_THREADS];

	pthread_barrier_init(&together, NULL, N_THREADS);
	for (int i = 0; i < N_THREADS; i++)
		run(&threads[i], note_first_leaf, &first_leaf[i]);
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&together);
	for (int i = 0; i < N_THREADS; i++) {
		ck_assert_uint_lt(first_leaf[i], N_LEAVES);
		for (int j = 0; j < i; j++)
			ck_assert_uint_ne(first_leaf[i], first_leaf[j]);
	}
}
END_TEST

static void *fill_a_cache_and_exit(void *by)
{
	mempool_free(by, mempool_alloc(by, 100));
	return NULL;
}

START_TEST(test_cache_of_an_ended_thread_gives_its_hints_back)
{
	pthread_t thread;

	for (int i = 0; i < 20; i++) {
		run(&thread, fill_a_cache_and_exit, client);
		pthread_join(thread, NULL);
		ck_assert_uint_eq(n_hints(), N);
	}
}
END_TEST

static _Atomic int n_failed;

/* Free into our cache, then stay: the hints are ours alone now. */
static void *hoard(void *by)
{
	void *chunks[CACHE / 2];

	for (size_t i = 0; i < ARRAY_SIZE(chunks); i++)
		if (!(chunks[i] = mempool_alloc(by, 100)))
			n_failed++;
	for (size_t i = 0; i < ARRAY_SIZE(chunks); i++)
		if (mempool_free(by, chunks[i]) != 0)
			n_failed++;
	pthread_barrier_wait(&together);
	pthread_barrier_wait(&together);
	return NULL;
}

START_TEST(test_cache_of_others_never_hides_a_chunk)
{
	struct mempool_client *other = client_of(TEST_HOLDER + 1);
	pthread_t threads[N_THREADS];

	pthread_barrier_init(&together, NULL, N_THREADS + 1);
	for (int i = 0; i < N_THREADS; i++)
		run(&threads[i], hoard, i % 2 ? client : other);
	pthread_barrier_wait(&together);
	ck_assert_int_eq(n_failed, 0);
	/* Eight caches hold hints that are in no list; their chunks are free all the same. */
	ck_assert_uint_eq(n_hints(), N - N_THREADS * CACHE / 2);
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_eq(drain(client), N);
		ck_assert_uint_eq(drain(other), N);
	}
	pthread_barrier_wait(&together);
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&together);
	ck_assert_int_eq(mempool_client_close(other), 0);
}
END_TEST

static void *free_here(void *chunk)
{
	return mempool_free(client, chunk) == 0 ? NULL : chunk;
}

START_TEST(test_cache_any_thread_may_free)
{
	void *wrong = client;
	pthread_t thread;

	run(&thread, free_here, must_alloc(client));
	pthread_join(thread, &wrong);
	ck_assert_ptr_null(wrong);
	ck_assert_uint_eq(test_segment_used(segment, 0), 0);
}
END_TEST

/* ---- clients that come and go ---- */

START_TEST(test_cache_several_clients_in_one_thread)
{
	struct mempool_client *clients[5];
	void *chunks[5];

	for (uint32_t i = 0; i < 5; i++)
		clients[i] = client_of(TEST_HOLDER + 1 + i);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 5; i++)
			chunks[i] = must_alloc(clients[i]);
		for (int i = 4; i >= 0; i--) {
			ck_assert_int_eq(mempool_free(clients[(i + 1) % 5], chunks[i]), -EPERM);
			ck_assert_int_eq(mempool_free(clients[i], chunks[i]), 0);
		}
	}
	/* Out of order; the others keep theirs. */
	for (int i = 0; i < 5; i += 2)
		ck_assert_int_eq(mempool_client_close(clients[i]), 0);
	chunks[1] = must_alloc(clients[1]);
	chunks[3] = must_alloc(clients[3]);
	ck_assert_int_eq(mempool_free(clients[1], chunks[1]), 0);
	ck_assert_int_eq(mempool_client_close(clients[3]), 1);
	ck_assert_int_eq(mempool_client_close(clients[1]), 0);
}
END_TEST

START_TEST(test_cache_open_and_close_many_times)
{
	for (uint32_t i = 0; i < 500; i++) {
		struct mempool_client *other = client_of(TEST_HOLDER + 1 + i % 100);

		must_alloc(other);
		must_alloc(client);
		ck_assert_int_eq(mempool_client_close(other), 1);
	}
	ck_assert_uint_eq(test_segment_used(segment, 0), 500);
}
END_TEST

/* A thread that outlives its client: its cache is an orphan until it ends or looks. */
static struct mempool_client *outlived, *successor;

static void *outlive(void *unused)
{
	(void)unused;
	if (mempool_free(outlived, mempool_alloc(outlived, 100)) != 0)
		n_failed++;
	pthread_barrier_wait(&together);	/* it is closed now */
	pthread_barrier_wait(&together);
	/* Its successor may be in its place. */
	if (cache_client(cache_current) != CACHE_ORPHAN ||
	    cache_writer(cache_current) != CACHE_ORPHAN)
		n_failed++;
	if (mempool_free(successor, mempool_alloc(successor, 100)) != 0)
		n_failed++;
	return NULL;
}

START_TEST(test_cache_thread_outlives_its_client)
{
	pthread_t thread;

	outlived = client_of(TEST_HOLDER + 1);
	pthread_barrier_init(&together, NULL, 2);
	run(&thread, outlive, NULL);
	pthread_barrier_wait(&together);
	ck_assert_int_eq(mempool_client_close(outlived), 0);
	successor = client_of(TEST_HOLDER + 1);
	pthread_barrier_wait(&together);
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&together);
	ck_assert_int_eq(n_failed, 0);
	ck_assert_int_eq(mempool_client_close(successor), 0);
	ck_assert_uint_eq(drain(client), N);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_cache_refills_half_its_room);
	tcase_add_test(tcase, test_cache_refill_is_used_in_ascending_order);
	tcase_add_test(tcase, test_cache_last_freed_is_next_allocated);
	tcase_add_test(tcase, test_cache_overflow_goes_to_the_list);
	tcase_add_test(tcase, test_cache_stale_hints_are_dropped);
	tcase_add_test(tcase, test_cache_of_0_and_of_4096);
	tcase_add_test(tcase, test_cache_dry_looks_again_at_least_every_64th_call);
	tcase_add_test(tcase, test_cache_dry_large_pool_looks_again_in_time);
	tcase_add_test(tcase, test_cache_free_into_a_dry_pool_goes_to_the_list);
	tcase_add_test(tcase, test_cache_scan_that_finds_one_clears_dry);
	tcase_add_test(tcase, test_cache_free_where_hints_are_scarce_goes_to_the_list);
	tcase_add_test(tcase, test_cache_grown_writes_no_hint);
	tcase_add_test(tcase, test_cache_grows_to_a_part_of_the_pool);
	tcase_add_test(tcase, test_cache_that_only_frees_keeps_no_more);
	tcase_add_loop_test(tcase, test_cache_grown_passes_on_where_hints_are_wanted, 0, 2);
	tcase_add_test(tcase, test_cache_grown_leaves_what_is_for_another);
	tcase_add_test(tcase, test_cache_grown_passes_on_what_is_settled);
	tcase_add_test(tcase, test_cache_grown_keeps_nothing_from_others);
	tcase_add_loop_test(tcase, test_cache_few_on_their_way_use_few_chunks, 0, ARRAY_SIZE(warm));
	tcase_add_test(tcase, test_cache_scan_ends_while_chunks_are_handed_over);
	tcase_add_test(tcase, test_cache_falls_back_while_chunks_are_handed_over);
	tcase_add_test(tcase, test_cache_scans_end_with_the_time_while_chunks_are_freed);
	tcase_add_test(tcase, test_cache_first_scan_ends_with_the_time);
	tcase_add_test(tcase, test_cache_threads_begin_far_apart);
	tcase_add_test(tcase, test_cache_of_an_ended_thread_gives_its_hints_back);
	tcase_add_test(tcase, test_cache_of_others_never_hides_a_chunk);
	tcase_add_test(tcase, test_cache_any_thread_may_free);
	tcase_add_test(tcase, test_cache_several_clients_in_one_thread);
	tcase_add_test(tcase, test_cache_open_and_close_many_times);
	tcase_add_test(tcase, test_cache_thread_outlives_its_client);
}

int main(void)
{
	return test_run("cache", add_tests);
}
