/* SPDX-License-Identifier: MIT */
/* test-many.c - many chunks in one call: as many calls would, hints and counts included */
#include "client/client.h"
#include "test_segment.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "client/cache.h"
#include "shm/audit.h"

enum { N = 1000, N_LARGE = 70, CACHE = 16, N_THREADS = 4 };

static const struct test_pool pools[] = {
	{ .chunk_size = 100, .n_chunks = N, .cache = CACHE },
	{ .chunk_size = 1000, .n_chunks = N_LARGE, .cache = CACHE },
};

static struct segment *segment;
static struct mempool_client *client, *other;
static void *chunks[N + N_LARGE + 1];

static struct mempool_client *client_of(uint32_t holder, uint64_t flags)
{
	struct mempool_client *made;

	ck_assert_int_eq(client_new(test_segment_view(segment), holder, flags, &made), 0);
	return made;
}

static void setup(void)
{
	segment = test_segment_new(pools, ARRAY_SIZE(pools));
	client = client_of(TEST_HOLDER, 0);
	other = client_of(TEST_HOLDER + 1, 0);
}

static void teardown(void)
{
	mempool_client_close(client);
	mempool_client_close(other);
	segment_free(segment);
}

static void must_be_distinct(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		ck_assert_int_gt(mempool_usable_size(client, chunks[i]), 0);
		for (size_t k = 0; k < i; k++)
			ck_assert_ptr_ne(chunks[i], chunks[k]);
	}
}

static bool is_in_stack(uint32_t index)
{
	const struct magazine *magazine = &client->caches->magazines[0];

	for (uint32_t i = 0; i < magazine->n; i++)
		if (magazine->indices[i] == index)
			return true;
	return false;
}

/* Each FREE chunk has its hint in the list, or in the stack: none is set aside, or lost. */
static void must_have_all_hints(void)
{
	for (uint32_t i = 0; i < N; i++)
		ck_assert(free_list_has(&segment->pools[0].list, i) || is_in_stack(i));
}

START_TEST(test_many_of_each_length)
{
	for (size_t n = 0; n <= 200; n++) {
		ck_assert_int_eq(mempool_alloc_many(client, 100, chunks, n), (ssize_t)n);
		must_be_distinct(n);
		ck_assert_uint_eq(test_segment_used(segment, 0), n);
		ck_assert_int_eq(mempool_free_many(client, chunks, n), (ssize_t)n);
		ck_assert_uint_eq(test_segment_used(segment, 0), 0);
	}
	must_have_all_hints();
}
END_TEST

START_TEST(test_many_takes_the_last_chunk_and_no_more)
{
	/* Those of another's stack are found by their words; then the larger pool's. */
	ck_assert_int_eq(mempool_free(other, mempool_alloc(other, 100)), 0);
	ck_assert_int_eq(mempool_alloc_many(client, 100, chunks, ARRAY_SIZE(chunks)),
			 N + N_LARGE);
	must_be_distinct(N + N_LARGE);
	ck_assert_int_eq(mempool_alloc_many(client, 100, chunks + N, 1), -EAGAIN);
	ck_assert_int_eq(mempool_free_many(client, chunks, N + N_LARGE), N + N_LARGE);
	ck_assert_uint_eq(test_segment_used(segment, 0), 0);
	ck_assert_uint_eq(test_segment_used(segment, 1), 0);
	ck_assert_int_eq(mempool_alloc_many(client, 100, chunks, N), N);
	ck_assert_int_eq(mempool_free_many(client, chunks, N), N);
}
END_TEST

START_TEST(test_many_uses_the_stack_first)
{
	void *kept[4], *again[4];

	for (int i = 0; i < 4; i++)
		kept[i] = mempool_alloc(client, 100);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(mempool_free(client, kept[i]), 0);
	ck_assert_int_eq(mempool_alloc_many(client, 100, again, 4), 4);
	for (int i = 0; i < 4; i++)
		ck_assert_ptr_eq(again[i], kept[3 - i]);
}
END_TEST

START_TEST(test_many_clears_the_tag)
{
	uint32_t tag = 7;

	ck_assert_int_eq(mempool_alloc_many(client, 100, chunks, 3), 3);
	ck_assert_int_eq(mempool_chunk_set_tag(client, chunks[0], 5), 0);
	ck_assert_int_eq(mempool_free_many(client, chunks, 3), 3);
	ck_assert_int_eq(mempool_alloc_many(client, 100, chunks, N), N);
	for (int i = 0; i < N; i++) {
		ck_assert_int_eq(mempool_chunk_tag(client, chunks[i], &tag), 0);
		ck_assert_uint_eq(tag, 0);
	}
}
END_TEST

START_TEST(test_many_free_stops_at_a_mistake)
{
	const void *shared;
	uint64_t handle;

	/* Of both pools, and a shared one. */
	ck_assert_int_eq(mempool_alloc_many(client, 100, chunks, 100), 100);
	chunks[40] = mempool_alloc(client, 1000);
	ck_assert_int_eq(mempool_share(client, chunks[50], 1, &handle), 0);
	ck_assert_int_eq(mempool_acquire(client, handle, &shared, NULL), 0);
	chunks[51] = chunks[50];	/* held twice */
	chunks[80] = chunks[3];		/* freed twice */
	ck_assert_int_eq(mempool_free_many(client, chunks, 100), 80);
	ck_assert_int_eq(mempool_free_many(client, chunks + 80, 20), -EPERM);
	ck_assert_int_eq(mempool_free_many(client, chunks + 81, 19), 19);
	/* What was overwritten in the array is still held: 40, 51 and 80. */
	ck_assert_uint_eq(test_segment_used(segment, 0), 3);
	ck_assert_uint_eq(test_segment_used(segment, 1), 0);

	chunks[0] = mempool_alloc(other, 100);
	ck_assert_int_eq(mempool_free_many(client, chunks, 1), -EPERM);
	chunks[0] = (char *)chunks[0] + 1;
	ck_assert_int_eq(mempool_free_many(client, chunks, 1), -EINVAL);
}
END_TEST

START_TEST(test_many_bad_calls_change_nothing)
{
	ck_assert_int_eq(mempool_alloc_many(NULL, 100, chunks, 1), -EINVAL);
	ck_assert_int_eq(mempool_alloc_many(client, 0, chunks, 1), -EINVAL);
	ck_assert_int_eq(mempool_alloc_many(client, 100, NULL, 1), -EINVAL);
	ck_assert_int_eq(mempool_alloc_many(client, 100, chunks, SIZE_MAX), -EINVAL);
	ck_assert_int_eq(mempool_alloc_many(client, 1001, chunks, 1), -EMSGSIZE);
	ck_assert_int_eq(mempool_alloc_many(client, 100, chunks, 0), 0);
	ck_assert_int_eq(mempool_free_many(NULL, chunks, 1), -EINVAL);
	ck_assert_int_eq(mempool_free_many(client, NULL, 1), -EINVAL);
	ck_assert_int_eq(mempool_free_many(client, chunks, SIZE_MAX), -EINVAL);
	ck_assert_int_eq(mempool_free_many(client, chunks, 0), 0);
	ck_assert_uint_eq(test_segment_used(segment, 0), 0);
}
END_TEST

START_TEST(test_many_free_moves_the_dry_word)
{
	ck_assert_int_eq(mempool_alloc_many(client, 100, chunks, N + N_LARGE), N + N_LARGE);
	ck_assert_ptr_null(mempool_alloc(other, 100));
	ck_assert(pool_is_dry(&segment->pools[0]));
	/* Who remembers the dry word looks again at once. */
	ck_assert_int_eq(mempool_free_many(client, chunks, 1), 1);
	ck_assert(!pool_is_dry(&segment->pools[0]));
	ck_assert_ptr_eq(mempool_alloc(other, 100), chunks[0]);
}
END_TEST

START_TEST(test_many_free_passes_on_what_is_wanted)
{
	const struct pool *pool = &segment->pools[0];

	ck_assert_int_eq(mempool_alloc_many(client, 100, chunks, 100), 100);
	pool_set_scarce(pool);
	ck_assert_int_eq(mempool_free_many(client, chunks, 100), 100);
	for (int i = 0; i < 100; i++) {
		uint64_t offset = (uint64_t)((unsigned char *)chunks[i] - client->segment->pools[0].data);

		ck_assert(free_list_has(&pool->list, (uint32_t)(offset / pool->stride)));
	}
}
END_TEST

START_TEST(test_many_from_a_full_list_says_that_there_is_plenty)
{
	pool_set_scarce(&segment->pools[0]);
	ck_assert_int_eq(mempool_alloc_many(client, 100, chunks, 200), 200);
	ck_assert(!pool_wants_hints(&segment->pools[0]));
}
END_TEST

START_TEST(test_many_of_a_checked_client)
{
	struct mempool_client *checked = client_of(TEST_HOLDER + 2, MEMPOOL_CLIENT_DEBUG);

	ck_assert_int_eq(mempool_alloc_many(checked, 100, chunks, 100), 100);
	chunks[99] = chunks[0];
	ck_assert_int_eq(mempool_free_many(checked, chunks, 100), 99);
	ck_assert_int_eq(mempool_client_close(checked), 1);
}
END_TEST

/* Stamps what it holds: nobody else may have it at the same time. NULL, or what went wrong. */
static void *hold_and_free(void *number)
{
	uint64_t stamp = (uintptr_t)number;
	void *mine[150];

	for (int round = 0; round < 300; round++) {
		ssize_t n = mempool_alloc_many(client, 100, mine, ARRAY_SIZE(mine));

		for (ssize_t i = 0; i < n; i++)
			memset(mine[i], (int)stamp, 100);
		for (ssize_t i = 0; i < n; i++)
			if (*(unsigned char *)mine[i] != stamp)
				return (void *)"a chunk of two threads";
		if (n > 0 && mempool_free_many(client, mine, (size_t)n) != n)
			return (void *)"a chunk could not be freed";
	}
	return NULL;
}

START_TEST(test_many_threads_share_nothing)
{
	struct audit audit;
	pthread_t threads[N_THREADS];
	void *fault;

	for (uintptr_t i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, hold_and_free,
						(void *)(i + 1)), 0);
	for (int i = 0; i < N_THREADS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &fault), 0);
		ck_assert_ptr_null(fault);
	}
	ck_assert_uint_eq(test_segment_used(segment, 0), 0);
	ck_assert_int_eq(audit_segment(segment, 0, NULL, NULL, &audit), 0);
	ck_assert_uint_eq(audit.n_faults, 0);
}
END_TEST

START_TEST(test_many_alloc_all_or_none)
{
	void *rest[N_LARGE + 1];

	/* One too many: with the larger ones, N + N_LARGE would fit. */
	ck_assert_int_eq(mempool_alloc_all(client, 100, chunks, N + N_LARGE + 1), -EAGAIN);
	ck_assert_uint_eq(test_segment_used(segment, 0), 0);
	ck_assert_uint_eq(test_segment_used(segment, 1), 0);
	ck_assert_int_eq(mempool_alloc_all(client, 100, chunks, N + N_LARGE), 0);
	must_be_distinct(N + N_LARGE);
	ck_assert_int_eq(mempool_alloc_all(other, 100, rest, 1), -EAGAIN);
	ck_assert_int_eq(mempool_free_many(client, chunks, 10), 10);
	ck_assert_int_eq(mempool_alloc_all(other, 100, rest, 11), -EAGAIN);
	ck_assert_int_eq(mempool_alloc_all(other, 100, rest, 10), 0);
	ck_assert_int_eq(mempool_free_many(other, rest, 10), 10);
	ck_assert_int_eq(mempool_free_many(client, chunks + 10, N + N_LARGE - 10),
			 N + N_LARGE - 10);

	ck_assert_int_eq(mempool_alloc_all(client, 1000, chunks, N_LARGE + 1), -EAGAIN);
	ck_assert_uint_eq(test_segment_used(segment, 1), 0);
	ck_assert_int_eq(mempool_alloc_all(client, 100, chunks, 0), 0);
	ck_assert_int_eq(mempool_alloc_all(client, 0, chunks, 1), -EINVAL);
	ck_assert_int_eq(mempool_alloc_all(client, 100, NULL, 1), -EINVAL);
	ck_assert_int_eq(mempool_alloc_all(client, 1001, chunks, 1), -EMSGSIZE);
	ck_assert_int_eq(mempool_alloc_all(NULL, 100, chunks, 1), -EINVAL);
	/* What was given back counts as given back. */
	ck_assert_int_eq(mempool_client_close(client), 0);
	client = NULL;
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_many_alloc_all_or_none);
	tcase_add_test(tcase, test_many_of_each_length);
	tcase_add_test(tcase, test_many_takes_the_last_chunk_and_no_more);
	tcase_add_test(tcase, test_many_uses_the_stack_first);
	tcase_add_test(tcase, test_many_clears_the_tag);
	tcase_add_test(tcase, test_many_free_stops_at_a_mistake);
	tcase_add_test(tcase, test_many_bad_calls_change_nothing);
	tcase_add_test(tcase, test_many_free_moves_the_dry_word);
	tcase_add_test(tcase, test_many_free_passes_on_what_is_wanted);
	tcase_add_test(tcase, test_many_from_a_full_list_says_that_there_is_plenty);
	tcase_add_test(tcase, test_many_of_a_checked_client);
	tcase_add_test(tcase, test_many_threads_share_nothing);
}

int main(void)
{
	return test_run("many", add_tests);
}
