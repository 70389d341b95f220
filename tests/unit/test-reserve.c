/* SPDX-License-Identifier: MIT */
/* test-reserve.c - the last chunks of a pool, which some clients may have and others not */
#include "test_segment.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "build_config.h"
#include "client/client.h"
#include "shm/eventcount.h"
#include "support/control.h"

/* What each pool has, reserve included. */
enum { SMALL = 100, LARGE = 1000, N_SMALL = 12, N_LARGE = 6 };
enum { N_SMALL_RESERVED = 3, N_LARGE_RESERVED = 2 };
enum { SMALL_POOL, SMALL_RESERVE, LARGE_POOL, LARGE_RESERVE, N_POOLS };
#define ALL_RESERVES (UINT64_C(1) << SMALL_RESERVE | UINT64_C(1) << LARGE_RESERVE)
#define MS INT64_C(1000000)

static struct segment *segment;
static struct mempool_client *plain, *named;
static void *chunks[N_SMALL + N_LARGE];		/* what a test has taken, in this order */
static int n_chunks;

static struct mempool_client *client_with(uint64_t reserves, uint32_t holder)
{
	struct mempool_client *made;

	ck_assert_int_eq(client_new_as(MEMPOOL_ROLE_MEMBER, reserves, test_segment_view(segment),
				       holder, 0, &made), 0);
	return made;
}

static void make(bool fallback, uint32_t cache)
{
	struct config config;

	ck_assert_int_eq(config_init(&config, "test"), 0);
	config.fallback = fallback;
	ck_assert_int_eq(config_add_pool(&config, SMALL, N_SMALL), 0);
	config.pools[0].cache = cache;
	ck_assert_int_eq(config_add_reserve(&config, N_SMALL_RESERVED), 0);
	ck_assert_int_eq(config_add_pool(&config, LARGE, N_LARGE), 0);
	ck_assert_int_eq(config_add_reserve(&config, N_LARGE_RESERVED), 0);
	segment = test_segment_new_of(&config);
	plain = client_with(0, TEST_HOLDER);
	named = client_with(ALL_RESERVES, TEST_HOLDER + 1);
	n_chunks = 0;
}

static void setup(void)
{
	make(false, 4);
}

static void teardown(void)
{
	mempool_client_close(plain);
	mempool_client_close(named);
	for (uint32_t i = 0; i < N_POOLS; i++)
		ck_assert_uint_eq(test_segment_used(segment, i), 0);
	segment_free(segment);
}

static uint32_t used(uint32_t pool)
{
	return test_segment_used(segment, pool);
}

static void take(struct mempool_client *by, size_t size)
{
	ck_assert_int_lt(n_chunks, N_SMALL + N_LARGE);
	chunks[n_chunks] = mempool_alloc(by, size);
	ck_assert_ptr_nonnull(chunks[n_chunks++]);
}

static void assert_no_chunk(struct mempool_client *by, size_t size)
{
	errno = 0;
	ck_assert_ptr_null(mempool_alloc(by, size));
	ck_assert_int_eq(errno, EAGAIN);
}

/* Whose it is of right, another may still have by a hand-over. */
static void *pass(struct mempool_client *from, void *chunk, struct mempool_client *to)
{
	uint64_t handle;
	void *taken;

	ck_assert_int_eq(mempool_give(from, chunk, 1, &handle), 0);
	ck_assert_int_eq(mempool_take(to, handle, &taken, NULL), 0);
	return taken;
}

/* ---- how many ---- */

START_TEST(test_reserve_of_others_is_never_allocated)
{
	for (int i = 0; i < N_SMALL - N_SMALL_RESERVED; i++)
		take(plain, SMALL);
	for (int i = 0; i < 200; i++)
		assert_no_chunk(plain, SMALL);
	ck_assert_uint_eq(used(SMALL_POOL), N_SMALL - N_SMALL_RESERVED);
	ck_assert_uint_eq(used(SMALL_RESERVE), 0);
	/* The other group has them, at once, and no more. */
	for (int i = 0; i < N_SMALL_RESERVED; i++)
		take(named, SMALL);
	assert_no_chunk(named, SMALL);
	ck_assert_uint_eq(used(SMALL_RESERVE), N_SMALL_RESERVED);
}
END_TEST

START_TEST(test_reserve_is_taken_last)
{
	for (int i = 0; i < N_SMALL; i++) {
		take(named, SMALL);
		ck_assert_uint_eq(used(SMALL_RESERVE), i < N_SMALL - N_SMALL_RESERVED
							       ? 0 : i + 1 - (N_SMALL - N_SMALL_RESERVED));
	}
	for (int i = 0; i < 200; i++)
		assert_no_chunk(named, SMALL);
	/* One of the others' is free again: that is taken first. */
	ck_assert_int_eq(mempool_free(named, chunks[0]), 0);
	ck_assert_int_eq(mempool_free(named, chunks[N_SMALL - 1]), 0);
	ck_assert_ptr_eq(mempool_alloc(named, SMALL), chunks[0]);
	assert_no_chunk(plain, SMALL);
	ck_assert_ptr_eq(mempool_alloc(named, SMALL), chunks[N_SMALL - 1]);
}
END_TEST

/* A larger chunk is taken when the reserve is used up, and of these the reserve last. */
START_TEST(test_reserve_with_fallback_comes_before_a_larger_pool)
{
	teardown();
	make(true, 4);
	for (int i = 0; i < N_SMALL; i++)
		take(named, SMALL);
	ck_assert_uint_eq(used(LARGE_POOL), 0);
	for (int i = 0; i < N_LARGE; i++) {
		take(named, SMALL);
		ck_assert_uint_eq(used(LARGE_RESERVE), i < N_LARGE - N_LARGE_RESERVED
							       ? 0 : i + 1 - (N_LARGE - N_LARGE_RESERVED));
	}
	assert_no_chunk(named, SMALL);
	for (int i = 0; i < n_chunks; i++)
		ck_assert_int_eq(mempool_free(named, chunks[i]), 0);

	for (int i = 0; i < N_SMALL - N_SMALL_RESERVED + N_LARGE - N_LARGE_RESERVED; i++)
		ck_assert_ptr_nonnull(mempool_alloc(plain, SMALL));
	assert_no_chunk(plain, SMALL);
	ck_assert_uint_eq(used(SMALL_RESERVE) + used(LARGE_RESERVE), 0);
}
END_TEST

START_TEST(test_reserve_right_is_for_each_pool)
{
	struct mempool_client *half = client_with(UINT64_C(1) << LARGE_RESERVE, TEST_HOLDER + 2);

	for (int i = 0; i < N_SMALL - N_SMALL_RESERVED; i++)
		ck_assert_ptr_nonnull(mempool_alloc(half, SMALL));
	assert_no_chunk(half, SMALL);
	for (int i = 0; i < N_LARGE; i++)
		ck_assert_ptr_nonnull(mempool_alloc(half, LARGE));
	assert_no_chunk(half, LARGE);
	/* A bit of a pool that is no reserve says nothing. */
	ck_assert_int_eq(mempool_client_close(half), N_SMALL - N_SMALL_RESERVED + N_LARGE);
	half = client_with(UINT64_C(1) << SMALL_POOL, TEST_HOLDER + 2);
	for (int i = 0; i < N_SMALL - N_SMALL_RESERVED; i++)
		ck_assert_ptr_nonnull(mempool_alloc(half, SMALL));
	assert_no_chunk(half, SMALL);
	mempool_client_close(half);
}
END_TEST

START_TEST(test_reserve_many_takes_no_more_than_one_by_one)
{
	void *many[N_SMALL + 1];

	ck_assert_int_eq(mempool_alloc_many(plain, SMALL, many, N_SMALL + 1),
			 N_SMALL - N_SMALL_RESERVED);
	ck_assert_int_eq(mempool_alloc_many(named, SMALL, many, N_SMALL + 1), N_SMALL_RESERVED);
	ck_assert_int_eq(mempool_free_many(named, many, N_SMALL_RESERVED), N_SMALL_RESERVED);
	ck_assert_int_eq(mempool_alloc_many(plain, SMALL, many, N_SMALL), -EAGAIN);
	ck_assert_int_eq(mempool_alloc_all(named, SMALL, many, N_SMALL_RESERVED + 1), -EAGAIN);
	ck_assert_int_eq(mempool_alloc_all(named, SMALL, many, N_SMALL_RESERVED), 0);
}
END_TEST

START_TEST(test_reserve_aligned_and_zeroed_keep_to_it)
{
	for (int i = 0; i < N_SMALL - N_SMALL_RESERVED; i++)
		ck_assert_ptr_nonnull(mempool_alloc_aligned(plain, SMALL, 64));
	ck_assert_ptr_null(mempool_alloc_aligned(plain, SMALL, 64));
	ck_assert_ptr_null(mempool_alloc_zeroed(plain, SMALL));
	ck_assert_ptr_nonnull(mempool_alloc_aligned(named, SMALL, 64));
	ck_assert_ptr_nonnull(mempool_alloc_zeroed(named, SMALL));
	ck_assert_uint_eq(used(SMALL_RESERVE), 2);
}
END_TEST

/* Sizes that only others' pools would be left for, in each way that asks for one. */
START_TEST(test_reserve_is_no_pool_for_larger_sizes)
{
	for (int i = 0; i < 2; i++) {
		errno = 0;
		ck_assert_ptr_null(mempool_alloc(plain, LARGE + 1));
		ck_assert_int_eq(errno, EMSGSIZE);
		ck_assert_ptr_null(mempool_alloc(plain, 1025));
		ck_assert_int_eq(errno, EMSGSIZE);
	}
	ck_assert_int_eq(mempool_alloc_many(plain, 1025, chunks, 1), -EMSGSIZE);
}
END_TEST

/* ---- what is counted ---- */

START_TEST(test_reserve_exhaustion_is_counted_for_each_group)
{
	for (int i = 0; i < N_SMALL - N_SMALL_RESERVED; i++)
		take(plain, SMALL);
	for (int i = 0; i < 5; i++)
		assert_no_chunk(plain, SMALL);
	ck_assert_uint_eq(segment->pools[SMALL_POOL].state->n_exhausted, 5);
	ck_assert_uint_eq(segment->pools[SMALL_RESERVE].state->n_exhausted, 0);
	for (int i = 0; i < N_SMALL_RESERVED; i++)
		take(named, SMALL);
	for (int i = 0; i < 3; i++)
		assert_no_chunk(named, SMALL);
	ck_assert_uint_eq(segment->pools[SMALL_POOL].state->n_exhausted, 5);
	ck_assert_uint_eq(segment->pools[SMALL_RESERVE].state->n_exhausted, 3);
	ck_assert_uint_eq(segment->pools[SMALL_RESERVE].state->peak_used, N_SMALL_RESERVED);
}
END_TEST

START_TEST(test_reserve_is_told_apart_in_the_list_of_pools)
{
	struct mempool_pool_info of_plain[N_POOLS], of_named[N_POOLS];

	take(named, SMALL);
	ck_assert_int_eq(mempool_client_pools(plain, of_plain, N_POOLS), N_POOLS);
	ck_assert_int_eq(mempool_client_pools(named, of_named, N_POOLS), N_POOLS);
	for (int i = 0; i < N_POOLS; i++) {
		bool is_reserve = i == SMALL_RESERVE || i == LARGE_RESERVE;

		ck_assert_uint_eq(of_plain[i].flags,
				  is_reserve ? MEMPOOL_POOL_RESERVE | MEMPOOL_POOL_REFUSED : 0);
		ck_assert_uint_eq(of_named[i].flags, is_reserve ? MEMPOOL_POOL_RESERVE : 0);
	}
	ck_assert_uint_eq(of_plain[SMALL_POOL].total, N_SMALL - N_SMALL_RESERVED);
	ck_assert_uint_eq(of_plain[SMALL_RESERVE].total, N_SMALL_RESERVED);
	ck_assert_uint_eq(of_plain[SMALL_POOL].used, 1);
}
END_TEST

/* ---- frees by those who may not allocate there ---- */

/* Their hints go to the list, so that who may have them need not read the words for one. */
START_TEST(test_reserve_freed_by_others_is_found_by_its_hint)
{
	const struct pool *reserve = &segment->pools[SMALL_RESERVE];
	void *all[N_SMALL_RESERVED];

	for (int i = 0; i < N_SMALL; i++)
		take(named, SMALL);
	for (int i = 0; i < N_SMALL_RESERVED; i++)
		all[i] = pass(named, chunks[N_SMALL - 1 - i], plain);
	ck_assert_int_eq(mempool_free(plain, all[0]), 0);
	ck_assert_int_eq(mempool_free_many(plain, all + 1, N_SMALL_RESERVED - 1),
			 N_SMALL_RESERVED - 1);
	for (uint32_t i = 0; i < N_SMALL_RESERVED; i++)
		ck_assert_int_eq(free_list_has(&reserve->list, i), 1);
	assert_no_chunk(plain, SMALL);
	for (int i = 0; i < N_SMALL_RESERVED; i++)
		ck_assert_ptr_nonnull(mempool_alloc(named, SMALL));
	/* No scan was needed, which would have said so. */
	ck_assert_uint_eq(atomic_load(&reserve->state->dry) & (POOL_DRY | POOL_SCARCE), 0);
	assert_no_chunk(named, SMALL);
}
END_TEST

/* What a close counts has to be right, else it would end before it has found all. */
START_TEST(test_reserve_close_frees_what_came_from_it)
{
	for (int i = 0; i < N_SMALL; i++)
		take(named, SMALL);
	for (int i = 0; i < N_SMALL_RESERVED; i++)
		pass(named, chunks[N_SMALL - 1 - i], plain);
	ck_assert_int_eq(mempool_free(plain, chunks[N_SMALL - 1]), 0);
	ck_assert_int_eq(mempool_client_close(plain), N_SMALL_RESERVED - 1);
	ck_assert_uint_eq(used(SMALL_RESERVE), 0);
	ck_assert_uint_eq(used(SMALL_POOL), N_SMALL - N_SMALL_RESERVED);
	plain = client_with(0, TEST_HOLDER);
}
END_TEST

/* ---- waiting ---- */

struct sleeper {
	pthread_t thread;
	struct mempool_client *client;
	int64_t timeout_ns;
	void *chunk;
	int error;
};

static void *sleep_for_chunk(void *userdata)
{
	struct sleeper *sleeper = userdata;

	sleeper->chunk = mempool_alloc_wait(sleeper->client, SMALL, sleeper->timeout_ns);
	sleeper->error = errno;
	return NULL;
}

static void start(struct sleeper *sleeper, struct mempool_client *by, int64_t timeout_ns)
{
	*sleeper = (struct sleeper){ .client = by, .timeout_ns = timeout_ns };
	ck_assert_int_eq(pthread_create(&sleeper->thread, NULL, sleep_for_chunk, sleeper), 0);
	while (!eventcount_is_armed(&segment->header->chunk_freed))
		sched_yield();
}

/* Of the reserve's own nobody tells one who may not have them; of the others it is told. */
START_TEST(test_reserve_waiter_of_no_right_is_woken_by_other_chunks_alone)
{
	struct mempool_eventcount *freed = &segment->header->chunk_freed;
	struct sleeper sleeper;
	struct control control;
	uint32_t sequence;

	for (int i = 0; i < N_SMALL; i++)
		take(named, SMALL);
	start(&sleeper, plain, -1);
	sequence = atomic_load(&freed->sequence);
	for (int i = 0; i < N_SMALL_RESERVED; i++)
		ck_assert_int_eq(mempool_free(named, chunks[N_SMALL - 1 - i]), 0);
	ck_assert_uint_eq(atomic_load(&freed->sequence), sequence);
	control_start(&control);
	ck_assert_int_eq(mempool_free(named, chunks[0]), 0);
	pthread_join(sleeper.thread, NULL);
	ck_assert_double_lt(control_stop(&control), 500);
	ck_assert_ptr_eq(sleeper.chunk, chunks[0]);
}
END_TEST

START_TEST(test_reserve_waiter_of_no_right_ends_beside_a_free_reserve)
{
	struct sleeper sleeper;

	for (int i = 0; i < N_SMALL - N_SMALL_RESERVED; i++)
		take(named, SMALL);
	start(&sleeper, plain, 20 * MS);
	pthread_join(sleeper.thread, NULL);
	ck_assert_ptr_null(sleeper.chunk);
	ck_assert_int_eq(sleeper.error, EAGAIN);
}
END_TEST

START_TEST(test_reserve_waiter_with_the_right_is_woken_by_its_chunks)
{
	struct sleeper sleeper;
	struct control control;
	void *last;

	for (int i = 0; i < N_SMALL; i++)
		take(named, SMALL);
	/* Even if one frees it that may not allocate it. */
	last = pass(named, chunks[N_SMALL - 1], plain);
	start(&sleeper, named, -1);
	control_start(&control);
	ck_assert_int_eq(mempool_free(plain, last), 0);
	pthread_join(sleeper.thread, NULL);
	ck_assert_double_lt(control_stop(&control), 500);
	ck_assert_ptr_eq(sleeper.chunk, last);
}
END_TEST

/* ---- at the same time ---- */

#define N_TURNS (MEMPOOL_SANITIZED ? 1000 : 20000)

/* Takes all it can, each time, and gives it back: never more than its share. */
static void *fill(void *userdata)
{
	struct mempool_client *by = userdata;
	int n_may = by == plain ? N_SMALL - N_SMALL_RESERVED : N_SMALL;
	int most = 0;

	for (int turn = 0; turn < N_TURNS; turn++) {
		void *own[N_SMALL + 1];
		int n = 0;

		while (n <= n_may && (own[n] = mempool_alloc(by, SMALL)))
			n++;
		most = n > most ? n : most;
		while (n > 0)
			mempool_free(by, own[--n]);
	}
	return (void *)(intptr_t)most;
}

START_TEST(test_reserve_threads_of_both_groups_keep_to_their_share)
{
	pthread_t threads[4];
	void *most;

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, fill, i % 2 ? plain : named), 0);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &most), 0);
		ck_assert_int_le((intptr_t)most, i % 2 ? N_SMALL - N_SMALL_RESERVED : N_SMALL);
	}
	/* And then nothing is lost, for either. */
	for (int i = 0; i < N_SMALL_RESERVED; i++)
		take(named, SMALL);
	ck_assert_int_eq((intptr_t)fill(plain), N_SMALL - 2 * N_SMALL_RESERVED);
	ck_assert_int_eq((intptr_t)fill(named), N_SMALL - N_SMALL_RESERVED);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_reserve_of_others_is_never_allocated);
	tcase_add_test(tcase, test_reserve_is_taken_last);
	tcase_add_test(tcase, test_reserve_with_fallback_comes_before_a_larger_pool);
	tcase_add_test(tcase, test_reserve_right_is_for_each_pool);
	tcase_add_test(tcase, test_reserve_many_takes_no_more_than_one_by_one);
	tcase_add_test(tcase, test_reserve_aligned_and_zeroed_keep_to_it);
	tcase_add_test(tcase, test_reserve_is_no_pool_for_larger_sizes);
	tcase_add_test(tcase, test_reserve_exhaustion_is_counted_for_each_group);
	tcase_add_test(tcase, test_reserve_is_told_apart_in_the_list_of_pools);
	tcase_add_test(tcase, test_reserve_freed_by_others_is_found_by_its_hint);
	tcase_add_test(tcase, test_reserve_close_frees_what_came_from_it);
	tcase_add_test(tcase, test_reserve_waiter_of_no_right_is_woken_by_other_chunks_alone);
	tcase_add_test(tcase, test_reserve_waiter_of_no_right_ends_beside_a_free_reserve);
	tcase_add_test(tcase, test_reserve_waiter_with_the_right_is_woken_by_its_chunks);
	tcase_add_test(tcase, test_reserve_threads_of_both_groups_keep_to_their_share);
}

int main(void)
{
	return test_run("reserve", add_tests);
}
