/* SPDX-License-Identifier: MIT */
/* test-census.c - what is counted to whom, and what of words that make no sense */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shm/census.h"
#include "shm/pool.h"
#include "shm/segment.h"
#include "shm/word.h"

static const uint32_t alice = 2;
static const uint32_t bob = 3;

static struct segment *segment;
static struct census census;

/* A segment in memory, of 100 chunks of 100 bytes and 10 of 5000. */
static void setup(void)
{
	struct segment_memory memory = SEGMENT_MEMORY_NULL;
	struct config config;
	uint64_t size;
	int fd;

	ck_assert_int_eq(config_init(&config, "test"), 0);
	ck_assert_int_eq(config_add_pool(&config, 100, 100), 0);
	ck_assert_int_eq(config_add_pool(&config, 5000, 10), 0);
	size = segment_size_bytes(&config);

	fd = memfd_create("test-census", MFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	ck_assert_int_eq(segment_map_fd(fd, SEGMENT_READ_WRITE, &memory), 0);
	ck_assert_int_eq(segment_layout(memory.base, memory.size, &config, NULL), 0);
	ck_assert_int_eq(segment_attach(&memory, &segment), 0);
	config_deinit(&config);
	census = CENSUS_NULL;
}

static void teardown(void)
{
	census_deinit(&census);
	segment_free(segment);
}

static void claim(uint32_t pool, uint32_t first, uint32_t n, uint32_t holder)
{
	for (uint32_t i = first; i < first + n; i++)
		ck_assert_int_eq(pool_claim(&segment->pools[pool], i, holder), 0);
}

static void set_word(uint32_t pool, uint32_t index, enum mempool_kind kind, uint32_t value)
{
	atomic_store(&segment->pools[pool].entries[index].word, word_make(7, kind, value));
}

static void assert_pool(uint32_t pool, uint64_t used, uint64_t free_chunks)
{
	ck_assert_uint_eq(census.pools[pool].used, used);
	ck_assert_uint_eq(census.pools[pool].free, free_chunks);
	ck_assert_uint_eq(census.pools[pool].total, used + free_chunks);
}

static void assert_holder(uint32_t id, uint64_t chunks, uint64_t bytes)
{
	ck_assert_uint_eq(census.holders[id].chunks, chunks);
	ck_assert_uint_eq(census.holders[id].bytes, bytes);
}

START_TEST(test_census_of_a_new_segment_all_free)
{
	ck_assert_int_eq(census_take(segment, &census), 0);
	ck_assert_uint_eq(census.n_pools, 2);
	assert_pool(0, 0, 100);
	assert_pool(1, 0, 10);
	assert_pool(2, 0, 110);
	for (uint32_t id = 0; id < census.n_holders; id++)
		assert_holder(id, 0, 0);
	ck_assert_uint_eq(census.n_stray, 0);
}
END_TEST

START_TEST(test_census_of_owned_counts_chunk_sizes)
{
	claim(0, 0, 30, alice);
	claim(0, 30, 70, bob);
	claim(1, 9, 1, alice);

	ck_assert_int_eq(census_take(segment, &census), 0);
	assert_pool(0, 100, 0);
	assert_pool(1, 1, 9);
	assert_holder(alice, 31, 30 * 100 + 5000);
	assert_holder(bob, 70, 70 * 100);
	ck_assert_uint_eq(census.n_stray, 0);
}
END_TEST

START_TEST(test_census_of_given_counts_to_the_giver)
{
	claim(0, 5, 1, alice);
	set_word(0, 6, MEMPOOL_SENT, alice);
	set_word(0, 7, MEMPOOL_SENT, 1u << 15 | bob);
	set_word(1, 0, MEMPOOL_SHARED, 3);

	ck_assert_int_eq(census_take(segment, &census), 0);
	assert_pool(0, 3, 97);
	assert_pool(1, 1, 9);
	assert_holder(alice, 2, 200);
	assert_holder(bob, 0, 0);
	ck_assert_uint_eq(census.n_in_flight, 1);
	ck_assert_uint_eq(census.n_shared, 1);
	ck_assert_uint_eq(census.n_stray, 0);
}
END_TEST

START_TEST(test_census_of_managers_no_chunks_of_their_holder)
{
	claim(2, 0, 4, alice);
	set_word(2, 4, MEMPOOL_SHARED, 0);

	ck_assert_int_eq(census_take(segment, &census), 0);
	assert_pool(0, 0, 100);
	assert_pool(2, 5, 105);
	assert_holder(alice, 0, 0);
	ck_assert_uint_eq(census.n_shared, 0);
	ck_assert_uint_eq(census.n_stray, 0);
}
END_TEST

START_TEST(test_census_of_nonsense_is_stray)
{
	claim(0, 0, 1, alice);
	set_word(0, 10, MEMPOOL_OWNED, MEMPOOL_HOLDER_NONE);
	set_word(0, 11, MEMPOOL_OWNED, segment->n_holders);
	set_word(0, 12, MEMPOOL_OWNED, WORD_VALUE_MASK);
	set_word(0, 13, MEMPOOL_SENT, MEMPOOL_HOLDER_NONE);
	set_word(0, 14, MEMPOOL_SENT, WORD_ID_MASK);
	set_word(0, 15, MEMPOOL_FREE, 1);

	ck_assert_int_eq(census_take(segment, &census), 0);
	assert_pool(0, 7, 93);
	assert_holder(MEMPOOL_HOLDER_NONE, 0, 0);
	assert_holder(alice, 1, 100);
	ck_assert_uint_eq(census.n_stray, 6);
}
END_TEST

START_TEST(test_census_again_replaces_the_first)
{
	claim(0, 0, 2, alice);
	ck_assert_int_eq(census_take(segment, &census), 0);
	ck_assert_int_eq(pool_release(&segment->pools[0], 0, alice, true), 0);
	ck_assert_int_eq(census_take(segment, &census), 0);
	assert_pool(0, 1, 99);
	assert_holder(alice, 1, 100);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("census");
	TCase *tcase = tcase_create("census");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_census_of_a_new_segment_all_free);
	tcase_add_test(tcase, test_census_of_owned_counts_chunk_sizes);
	tcase_add_test(tcase, test_census_of_given_counts_to_the_giver);
	tcase_add_test(tcase, test_census_of_managers_no_chunks_of_their_holder);
	tcase_add_test(tcase, test_census_of_nonsense_is_stray);
	tcase_add_test(tcase, test_census_again_replaces_the_first);
	suite_add_tcase(suite, tcase);

	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
