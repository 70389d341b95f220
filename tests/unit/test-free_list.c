/* SPDX-License-Identifier: MIT */
/* test-free_list.c - hints go in and come out, and lost or hostile bits do no harm */
#include "test_segment.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "shm/free_list.h"

/* 5000 indices: 79 leaves, two words of summary, the last leaf with 8 bits. */
enum { N = 5000, N_LEAVES = 79 };

static struct free_list list;
static unsigned char *memory;
static unsigned char seen[N];

/* What follows the list in memory; nobody may touch it. */
enum { GUARD_BYTES = 1024, GUARD = 0xa5 };

static void setup(void)
{
	memory = aligned_alloc(64, free_list_size_bytes(N) + GUARD_BYTES);
	ck_assert_ptr_nonnull(memory);
	memset(memory + free_list_size_bytes(N), GUARD, GUARD_BYTES);
	memset(memory, 0, free_list_size_bytes(N));
	memset(seen, 0, sizeof(seen));
	free_list_view(&list, memory, N);
}

static void teardown(void)
{
	for (int i = 0; i < GUARD_BYTES; i++)
		ck_assert_uint_eq(memory[free_list_size_bytes(N) + i], GUARD);
	free(memory);
}

/* Pop until nothing comes; each index at most once, all in range. */
static uint32_t drain(uint32_t start, uint32_t max)
{
	uint32_t indices[64], n, total = 0;

	while ((n = free_list_pop(&list, &start, indices, max)) > 0) {
		ck_assert_uint_le(n, max);
		for (uint32_t i = 0; i < n; i++) {
			ck_assert_uint_lt(indices[i], N);
			ck_assert_uint_eq(seen[indices[i]]++, 0);
		}
		total += n;
	}
	return total;
}

START_TEST(test_free_list_sizes)
{
	/* A line of leaves and a line of summary for up to 512 indices. */
	ck_assert_uint_eq(free_list_size_bytes(1), 128);
	ck_assert_uint_eq(free_list_size_bytes(512), 128);
	ck_assert_uint_eq(free_list_size_bytes(513), 192);
	/* 2^26: 2^20 leaves, 2^14 words of summary. */
	ck_assert_uint_eq(free_list_size_bytes(UINT32_C(1) << 26),
			  (UINT64_C(1) << 23) + (UINT64_C(1) << 17));
	/* The managers' may have 2^30. */
	ck_assert_uint_eq(free_list_size_bytes(UINT32_C(1) << 30),
			  (UINT64_C(1) << 27) + (UINT64_C(1) << 21));
	ck_assert_uint_eq(list.n_leaves, N_LEAVES);
	ck_assert_uint_eq(list.n_summary, 2);
}
END_TEST

START_TEST(test_free_list_fill_then_pop_gives_each_once)
{
	static const uint32_t starts[] = { 0, 1, 63, 64, 70, N_LEAVES - 1, N_LEAVES, UINT32_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		free_list_fill(&list);
		memset(seen, 0, sizeof(seen));
		ck_assert_uint_eq(drain(starts[i], i % 2 ? 64 : 7), N);
	}
}
END_TEST

START_TEST(test_free_list_fill_writes_inside_its_memory)
{
	for (uint32_t n = 1; n < 300; n++) {
		uint64_t size = free_list_size_bytes(n);
		unsigned char *guarded = aligned_alloc(64, size + 64);
		struct free_list small;

		memset(guarded, 0, size + 64);
		free_list_view(&small, guarded, n);
		free_list_fill(&small);
		for (int i = 0; i < 64; i++)
			ck_assert_uint_eq(guarded[size + i], 0);
		for (uint32_t i = 0; i < n; i++)
			ck_assert_int_eq(free_list_has(&small, i), 1);
		free(guarded);
	}
}
END_TEST

START_TEST(test_free_list_empty_pops_nothing)
{
	uint32_t start = 5, index;

	ck_assert_uint_eq(free_list_pop(&list, &start, &index, 1), 0);
	ck_assert_uint_eq(start, 5);
}
END_TEST

START_TEST(test_free_list_push_then_pop_that_one)
{
	static const uint32_t indices[] = { 0, 63, 64, 4095, 4096, N - 1 };

	for (size_t i = 0; i < ARRAY_SIZE(indices); i++) {
		uint32_t start = 0, got[64];

		ck_assert_int_eq(free_list_has(&list, indices[i]), 0);
		free_list_push(&list, indices[i]);
		free_list_push(&list, indices[i]);	/* twice is once */
		ck_assert_int_eq(free_list_has(&list, indices[i]), 1);
		ck_assert_uint_eq(free_list_pop(&list, &start, got, 64), 1);
		ck_assert_uint_eq(got[0], indices[i]);
		ck_assert_uint_eq(start, indices[i] / 64);
		ck_assert_int_eq(free_list_has(&list, indices[i]), 0);
		ck_assert_uint_eq(free_list_pop(&list, &start, got, 64), 0);
	}
}
END_TEST

START_TEST(test_free_list_pop_batch_is_of_one_leaf_lowest_first)
{
	uint32_t start = 3, got[64];

	free_list_fill(&list);
	ck_assert_uint_eq(free_list_pop(&list, &start, got, 40), 40);
	for (uint32_t i = 0; i < 40; i++)
		ck_assert_uint_eq(got[i], 3 * 64 + 39 - i);
	ck_assert_uint_eq(free_list_pop(&list, &start, got, 40), 24);
	ck_assert_uint_eq(got[23], 3 * 64 + 40);
	ck_assert_uint_eq(free_list_pop(&list, &start, got, 40), 40);
	ck_assert_uint_eq(got[39], 4 * 64);
	ck_assert_uint_eq(start, 4);
}
END_TEST

START_TEST(test_free_list_push_many_any_order)
{
	/* Neighbours, a change of leaf and back, one twice. */
	static const uint32_t indices[] = { 10, 11, 12, 4200, 4201, 13, N - 1, 10 };

	free_list_push_many(&list, indices, ARRAY_SIZE(indices));
	ck_assert_uint_eq(drain(0, 64), 7);
	for (size_t i = 0; i < ARRAY_SIZE(indices); i++)
		ck_assert_uint_eq(seen[indices[i]], 1);
	free_list_push_many(&list, indices, 0);
	ck_assert_uint_eq(drain(0, 64), 0);
}
END_TEST

START_TEST(test_free_list_push_mask_sets_its_leaf)
{
	free_list_push_mask(&list, 70, UINT64_C(1) << 63 | 1);
	ck_assert_int_eq(free_list_has(&list, 70 * 64), 1);
	ck_assert_int_eq(free_list_has(&list, 70 * 64 + 63), 1);
	ck_assert_uint_eq(drain(0, 64), 2);
}
END_TEST

START_TEST(test_free_list_start_spreads)
{
	/* Four starts, four leaves: nobody meets. */
	free_list_fill(&list);
	for (uint32_t place = 0; place < 4; place++) {
		uint32_t start = place * 20, got[64];

		ck_assert_uint_eq(free_list_pop(&list, &start, got, 8), 8);
		ck_assert_uint_eq(got[7], place * 20 * 64);
		ck_assert_uint_eq(start, place * 20);
	}
}
END_TEST

START_TEST(test_free_list_start_wraps_to_lower_leaves)
{
	uint32_t start = 78, got[64];

	free_list_push(&list, 5);
	ck_assert_uint_eq(free_list_pop(&list, &start, got, 64), 1);
	ck_assert_uint_eq(got[0], 5);

	/* Below the start in the same summary word. */
	free_list_push(&list, 66 * 64);
	start = 70;
	ck_assert_uint_eq(free_list_pop(&list, &start, got, 64), 1);
	ck_assert_uint_eq(got[0], 66 * 64);
}
END_TEST

/* Around the start before far from it: there is what came back lately. */
START_TEST(test_free_list_pop_stays_in_the_word_of_the_start)
{
	uint32_t start = 3, got[64];

	free_list_push(&list, 64 * 64);
	free_list_push(&list, 2 * 64);
	ck_assert_uint_eq(free_list_pop(&list, &start, got, 64), 1);
	ck_assert_uint_eq(got[0], 2 * 64);
	ck_assert_uint_eq(free_list_pop(&list, &start, got, 64), 1);
	ck_assert_uint_eq(start, 64);
}
END_TEST

START_TEST(test_free_list_lost_summary_bit_is_found_and_repaired)
{
	uint32_t start = 0, got[64];

	/* As a process killed between the two steps of a push leaves it. */
	atomic_fetch_or(&list.leaves[77], 0xff);
	ck_assert_int_eq(free_list_has(&list, 77 * 64), 0);

	ck_assert_uint_eq(free_list_pop(&list, &start, got, 3), 3);
	ck_assert_uint_eq(got[2], 77 * 64);
	/* The rest is in sight of everyone again. */
	ck_assert_int_eq(free_list_has(&list, 77 * 64 + 7), 1);
	ck_assert_uint_eq(drain(0, 64), 5);
}
END_TEST

START_TEST(test_free_list_stale_summary_bit_is_cleared)
{
	uint32_t start = 0, got[64];

	atomic_fetch_or(&list.summary[0], UINT64_C(1) << 9);
	ck_assert_uint_eq(free_list_pop(&list, &start, got, 64), 0);
	ck_assert_uint_eq(atomic_load(&list.summary[0]), 0);
	free_list_fill(&list);
	drain(0, 64);
	ck_assert_uint_eq(atomic_load(&list.summary[0]), 0);
	ck_assert_uint_eq(atomic_load(&list.summary[1]), 0);
}
END_TEST

START_TEST(test_free_list_hostile_bits_past_the_end_are_dropped)
{
	/* In the last leaf past n, and in the summary past the last leaf. */
	atomic_store(&list.leaves[N_LEAVES - 1], ~UINT64_C(0));
	atomic_store(&list.summary[1], ~UINT64_C(0));
	ck_assert_uint_eq(drain(0, 64), 8);

	memset(seen, 0, sizeof(seen));
	atomic_store(&list.leaves[N_LEAVES - 1], ~UINT64_C(0));
	atomic_store(&list.summary[1], UINT64_C(1) << 63);
	ck_assert_uint_eq(drain(N_LEAVES - 1, 5), 8);

	/* Only hostile ones: nothing, and no endless loop. */
	atomic_store(&list.leaves[N_LEAVES - 1], ~UINT64_C(0) << 8);
	ck_assert_uint_eq(drain(0, 64), 0);
}
END_TEST

/*
 * One pops the last bit of a leaf while another pushes one: it must not end up unseen. All orders
 * of the two are gone through elsewhere (tests/explore, crash/test-interleave); here they are on a
 * real processor. Few rounds: on a busy machine each costs a turn of the scheduler.
 */
enum { RACES = 2000 };
static _Atomic int arrived;

/* Spinning, so that both start at once. */
static void meet(int round)
{
	atomic_fetch_add(&arrived, 1);
	for (int spins = 0; atomic_load(&arrived) < 2 * round; spins++)
		if (spins > 10000)
			sched_yield();
}

static void *push_in_thread(void *unused)
{
	(void)unused;
	for (int round = 0; round < RACES; round++) {
		meet(2 * round + 1);
		free_list_push(&list, 1);
		meet(2 * round + 2);
	}
	return NULL;
}

START_TEST(test_free_list_push_raced_by_pop_is_seen)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, push_in_thread, NULL), 0);
	for (int round = 0; round < RACES; round++) {
		uint32_t start = 0, got[64], n;

		free_list_push(&list, 0);
		meet(2 * round + 1);
		n = free_list_pop(&list, &start, got, 64);
		meet(2 * round + 2);
		ck_assert_uint_ge(n, 1);
		/* Popped, or in sight. */
		ck_assert_int_eq(free_list_has(&list, 1), n == 1);
		if (n == 1)
			ck_assert_uint_eq(free_list_pop(&list, &start, got, 64), 1);
	}
	pthread_join(thread, NULL);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_free_list_sizes);
	tcase_add_test(tcase, test_free_list_fill_then_pop_gives_each_once);
	tcase_add_test(tcase, test_free_list_fill_writes_inside_its_memory);
	tcase_add_test(tcase, test_free_list_empty_pops_nothing);
	tcase_add_test(tcase, test_free_list_push_then_pop_that_one);
	tcase_add_test(tcase, test_free_list_pop_batch_is_of_one_leaf_lowest_first);
	tcase_add_test(tcase, test_free_list_push_many_any_order);
	tcase_add_test(tcase, test_free_list_push_mask_sets_its_leaf);
	tcase_add_test(tcase, test_free_list_start_spreads);
	tcase_add_test(tcase, test_free_list_start_wraps_to_lower_leaves);
	tcase_add_test(tcase, test_free_list_pop_stays_in_the_word_of_the_start);
	tcase_add_test(tcase, test_free_list_lost_summary_bit_is_found_and_repaired);
	tcase_add_test(tcase, test_free_list_stale_summary_bit_is_cleared);
	tcase_add_test(tcase, test_free_list_hostile_bits_past_the_end_are_dropped);
	tcase_add_test(tcase, test_free_list_push_raced_by_pop_is_seen);
}

int main(void)
{
	return test_run("free_list", add_tests);
}
