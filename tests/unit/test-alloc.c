/* SPDX-License-Identifier: MIT */
/* test-alloc.c - allocating, freeing and tags, without a daemon */
#include "test_clients.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "build_config.h"

static void close_both(void)
{
	mempool_client_close(client);
	mempool_client_close(other);
	client = other = NULL;
}

static struct segment *same_sizes(bool fallback, struct mempool_client **ret_client)
{
	static const struct test_pool same[] = {
		{ .chunk_size = 128, .n_chunks = 3 },
		{ .chunk_size = 256, .n_chunks = 2 },
		{ .chunk_size = 128, .n_chunks = 1, .alignment = 4096 },
		{ .chunk_size = 128, .n_chunks = 4 },
	};
	struct segment *of;
	struct config config;

	test_config_init(&config, same, ARRAY_SIZE(same));
	config.fallback = fallback;
	of = test_segment_new_of(&config);
	config_deinit(&config);
	*ret_client = client_of(of, TEST_HOLDER, 0);
	return of;
}

static uint64_t read_counter(const _Atomic uint64_t *counter)
{
	return atomic_load(counter);
}

/* ---- alloc ---- */

START_TEST(test_alloc_every_size_from_the_smallest_that_fits)
{
	for (size_t size = 1; size <= 5000; size++) {
		ssize_t expected = size <= 100 ? 100 : size <= 1000 ? 1000 : 5000;
		unsigned char *chunk = must_alloc(client, size);

		ck_assert_int_eq(mempool_usable_size(client, chunk), expected);
		memset(chunk, 0xa5, size);
		ck_assert_int_eq(mempool_free(client, chunk), 0);
	}
	ck_assert_uint_eq(used_in_all(), 0);
}
END_TEST

START_TEST(test_alloc_too_large_emsgsize)
{
	static const size_t sizes[] = {
		5001, 8192, 8193, UINT32_MAX, (size_t)UINT32_MAX + 1, (size_t)UINT32_MAX + 2,
		SIZE_MAX / 2, SIZE_MAX,
	};

	/* Twice: the second time past the first call's slow path. */
	for (int i = 0; i < 2; i++)
		for (size_t j = 0; j < ARRAY_SIZE(sizes); j++)
			assert_no_chunk(client, sizes[j], EMSGSIZE);
	ck_assert_uint_eq(used_in_all(), 0);
}
END_TEST

START_TEST(test_alloc_size_0_or_no_client_einval)
{
	assert_no_chunk(client, 0, EINVAL);
	ck_assert_int_eq(mempool_free(client, must_alloc(client, 1)), 0);
	assert_no_chunk(client, 0, EINVAL);
	assert_no_chunk(NULL, 1, EINVAL);
	ck_assert_int_eq(mempool_free(NULL, client), -EINVAL);
	ck_assert_int_eq(mempool_usable_size(NULL, client), -EINVAL);
	ck_assert_int_eq(mempool_client_pools(NULL, NULL, 0), -EINVAL);
	ck_assert_int_eq(mempool_client_close(NULL), 0);
	ck_assert(!mempool_client_is_stale(NULL));
}
END_TEST

START_TEST(test_alloc_falls_back_then_eagain_at_exactly_n)
{
	for (int i = 0; i < N_SMALL + N_MIDDLE + N_LARGE; i++) {
		must_alloc(client, 10);
		ck_assert_uint_eq(used(SMALL), i < N_SMALL ? i + 1 : N_SMALL);
		ck_assert_uint_eq(used(MIDDLE), i < N_SMALL		  ? 0
						: i < N_SMALL + N_MIDDLE ? i + 1 - N_SMALL
									  : N_MIDDLE);
	}
	for (int i = 0; i < 200; i++)
		assert_no_chunk(client, 10, EAGAIN);
	assert_no_chunk(other, 10, EAGAIN);
	assert_no_chunk(other, 5000, EAGAIN);
	assert_no_chunk(client, 5001, EMSGSIZE);
	ck_assert_uint_eq(segment->pools[SMALL].state->n_served_larger, N_MIDDLE + N_LARGE);
	ck_assert_uint_eq(segment->pools[SMALL].state->n_exhausted, 201);
	ck_assert_uint_eq(segment->pools[LARGE].state->n_exhausted, 1);
	ck_assert_uint_eq(segment->pools[SMALL].state->peak_used, N_SMALL);
	ck_assert_uint_eq(segment->pools[MIDDLE].state->peak_used, N_MIDDLE);
	ck_assert_uint_eq(segment->pools[LARGE].state->peak_used, N_LARGE);
	ck_assert_uint_eq(segment->holders[TEST_HOLDER].n_exhausted, 200);
	ck_assert_uint_eq(segment->holders[TEST_HOLDER + 1].n_exhausted, 2);
}
END_TEST

START_TEST(test_alloc_without_fallback_eagain_at_the_pool)
{
	struct mempool_client *strict;
	struct config config;

	close_both();
	segment_free(segment);
	test_config_init(&config, pools, ARRAY_SIZE(pools));
	config.fallback = false;
	segment = test_segment_new_of(&config);
	strict = client_of(segment, TEST_HOLDER, 0);
	for (int i = 0; i < N_SMALL; i++)
		must_alloc(strict, 100);
	assert_no_chunk(strict, 100, EAGAIN);
	must_alloc(strict, 101);
	ck_assert_int_eq(mempool_client_close(strict), N_SMALL + 1);
}
END_TEST

START_TEST(test_alloc_after_eagain_sees_a_free_at_once)
{
	void *chunks[N_LARGE], *chunk;

	for (int i = 0; i < N_LARGE; i++)
		chunks[i] = must_alloc(client, 5000);
	for (int i = 0; i < N_LARGE; i++) {
		assert_no_chunk(client, 5000, EAGAIN);
		assert_no_chunk(other, 5000, EAGAIN);
		ck_assert_int_eq(mempool_free(client, chunks[i]), 0);
		/* Whoever remembered the pool as dry must look again. */
		chunk = must_alloc(other, 5000);
		ck_assert_ptr_eq(chunk, chunks[i]);
		assert_no_chunk(client, 5000, EAGAIN);
	}
}
END_TEST

START_TEST(test_alloc_chunks_do_not_overlap)
{
	enum { N = N_SMALL + N_MIDDLE + N_LARGE };
	unsigned char *chunks[N];

	for (int i = 0; i < N; i++) {
		chunks[i] = must_alloc(i % 2 ? client : other, 1);
		memset(chunks[i], i, (size_t)mempool_usable_size(i % 2 ? client : other,
								 chunks[i]));
	}
	for (int i = 0; i < N; i++) {
		ssize_t size = mempool_usable_size(i % 2 ? client : other, chunks[i]);

		for (ssize_t j = 0; j < size; j++)
			ck_assert_uint_eq(chunks[i][j], (unsigned char)i);
	}
}
END_TEST

START_TEST(test_alloc_aligned_passes_over_odd_pools)
{
	for (size_t alignment = 1; alignment <= 4096; alignment *= 2) {
		void *chunk = mempool_alloc_aligned(client, 10, alignment);

		ck_assert_ptr_nonnull(chunk);
		ck_assert_uint_eq((uintptr_t)chunk % alignment, 0);
		/* Strides: 128, 1024, 8192. */
		ck_assert_int_eq(mempool_usable_size(client, chunk),
				 alignment <= 128    ? 100
				 : alignment <= 1024 ? 1000
						     : 5000);
	}
}
END_TEST

START_TEST(test_alloc_aligned_errors)
{
	static const size_t wrong[] = { 0, 3, 24, 8192, SIZE_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		errno = 0;
		ck_assert_ptr_null(mempool_alloc_aligned(client, 10, wrong[i]));
		ck_assert_int_eq(errno, EINVAL);
	}
	errno = 0;
	ck_assert_ptr_null(mempool_alloc_aligned(client, 5001, 8));
	ck_assert_int_eq(errno, EMSGSIZE);
	errno = 0;
	ck_assert_ptr_null(mempool_alloc_aligned(client, 0, 8));
	ck_assert_int_eq(errno, EINVAL);

	/* Only the aligned ones count as fitting. */
	for (int i = 0; i < N_LARGE; i++)
		ck_assert_ptr_nonnull(mempool_alloc_aligned(client, 10, 4096));
	errno = 0;
	ck_assert_ptr_null(mempool_alloc_aligned(client, 10, 4096));
	ck_assert_int_eq(errno, EAGAIN);
	must_alloc(client, 10);
}
END_TEST

START_TEST(test_alloc_aligned_falls_back_past_odd_pools)
{
	static const struct test_pool odd[] = {
		{ .chunk_size = 100, .n_chunks = 2, .alignment = 4096 },
		{ .chunk_size = 200, .n_chunks = 20, .alignment = 8 },
		{ .chunk_size = 300, .n_chunks = 1, .alignment = 4096 },
	};
	struct segment *aligned = test_segment_new(odd, ARRAY_SIZE(odd));
	struct mempool_client *own = client_of(aligned, TEST_HOLDER, 0);

	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq((uintptr_t)mempool_alloc_aligned(own, 10, 4096) % 4096, 0);
	errno = 0;
	ck_assert_ptr_null(mempool_alloc_aligned(own, 10, 4096));
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(mempool_client_close(own), 3);
	segment_free(aligned);
}
END_TEST

/* ---- free ---- */

START_TEST(test_free_twice_eperm)
{
	void *chunk = must_alloc(client, 10);

	ck_assert_int_eq(mempool_free(client, chunk), 0);
	ck_assert_int_eq(mempool_free(client, chunk), -EPERM);
	/* And again when another has it now: nothing is changed. */
	for (int i = 0; i < N_SMALL; i++)
		must_alloc(other, 10);
	ck_assert_int_eq(mempool_free(client, chunk), -EPERM);
	ck_assert_uint_eq(used(SMALL), N_SMALL);
}
END_TEST

START_TEST(test_free_not_a_chunk_einval)
{
	unsigned char *chunk = must_alloc(client, 10);
	unsigned char *large = must_alloc(client, 5000);
	unsigned char *base = segment->memory.base;
	int on_stack;

	ck_assert_int_eq(mempool_free(client, NULL), -EINVAL);
	ck_assert_int_eq(mempool_free(client, &on_stack), -EINVAL);
	ck_assert_int_eq(mempool_free(client, base), -EINVAL);
	ck_assert_int_eq(mempool_free(client, base + segment->memory.size), -EINVAL);
	ck_assert_int_eq(mempool_free(client, (void *)UINTPTR_MAX), -EINVAL);
	for (int i = 1; i < 128; i++)
		ck_assert_int_eq(mempool_free(client, chunk + i), -EINVAL);
	ck_assert_int_eq(mempool_free(client, large + 4096), -EINVAL);
	/* The words and lists between the pools. */
	ck_assert_int_eq(mempool_free(client, segment->pools[SMALL].entries), -EINVAL);
	ck_assert_int_eq(mempool_free(client, segment->pools[MIDDLE].list.leaves), -EINVAL);
	/* A ChunkManager is no chunk. */
	ck_assert_int_eq(mempool_free(client, pool_chunk(segment_managers(segment), 0)), -EINVAL);
	ck_assert_uint_eq(used_in_all(), 2);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
	ck_assert_int_eq(mempool_free(client, large), 0);
}
END_TEST

START_TEST(test_free_of_anothers_chunk_eperm)
{
	void *chunk = must_alloc(client, 10);
	uint32_t tag;

	ck_assert_int_eq(mempool_free(other, chunk), -EPERM);
	ck_assert_int_eq(mempool_usable_size(other, chunk), -EPERM);
	ck_assert_int_eq(mempool_chunk_set_tag(other, chunk, 1), -EPERM);
	ck_assert_int_eq(mempool_chunk_tag(other, chunk, &tag), -EPERM);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
}
END_TEST

START_TEST(test_free_mixed_pools_each_finds_its_own)
{
	void *chunks[30];

	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 30; i++)
			chunks[i] = must_alloc(client, i % 3 == 0 ? 100 : i % 3 == 1 ? 1000 : 5000);
		for (int i = 29; i >= 0; i--)
			ck_assert_int_eq(mempool_free(client, chunks[i]), 0);
		ck_assert_uint_eq(used_in_all(), 0);
	}
}
END_TEST

/* Two threads free one chunk at the same time, over and over. */
static void *contested;
static _Atomic int n_arrived, n_done, n_refused;
static _Atomic bool is_last;

/* Spinning, so that both go on at once. */
static void meet(void)
{
	int place = atomic_fetch_add(&n_arrived, 1);

	for (int spins = 0; atomic_load(&n_arrived) < (place | 1) + 1; spins++)
		if (spins > 10000)
			sched_yield();
}

/* Return: whether it was the last time. */
static bool free_contested(void)
{
	bool is_over;
	int r;

	meet();
	is_over = atomic_load(&is_last);
	r = mempool_free(client, contested);
	if (r == 0)
		atomic_fetch_add(&n_done, 1);
	else if (r == -EPERM)
		atomic_fetch_add(&n_refused, 1);
	meet();
	return is_over;
}

enum { CONTESTS = MEMPOOL_SANITIZED ? 2000 : 50000 };

static void *free_in_thread(void *unused)
{
	(void)unused;
	while (!free_contested())
		;
	return NULL;
}

START_TEST(test_free_raced_in_debug_mode_one_succeeds)
{
	double end = test_seconds() + TEST_TRY_SECONDS;
	pthread_t thread;

	mempool_client_close(client);
	client = client_of(segment, TEST_HOLDER, MEMPOOL_CLIENT_DEBUG);
	contested = must_alloc(client, 10);
	ck_assert_int_eq(pthread_create(&thread, NULL, free_in_thread, NULL), 0);
	for (int i = 0; !is_last; i++) {
		atomic_store(&is_last, i + 1 == CONTESTS || test_seconds() > end);
		free_contested();
		ck_assert_int_eq(n_done, i + 1);
		ck_assert_int_eq(n_refused, i + 1);
		contested = must_alloc(client, 10);
	}
	pthread_join(thread, NULL);
	ck_assert_int_eq(mempool_client_close(client), 1);
	client = NULL;
}
END_TEST

/* ---- tag ---- */

START_TEST(test_tag_goes_with_the_chunk)
{
	unsigned char *chunk = must_alloc(client, 10);
	uint64_t handle;
	uint32_t tag = 1;
	void *taken;

	ck_assert_int_eq(mempool_chunk_tag(client, chunk, &tag), 0);
	ck_assert_uint_eq(tag, 0);
	ck_assert_int_eq(mempool_chunk_set_tag(client, chunk, 0xdeadbeef), 0);
	ck_assert_int_eq(mempool_chunk_tag(client, chunk, &tag), 0);
	ck_assert_uint_eq(tag, 0xdeadbeef);
	ck_assert_int_eq(mempool_give(client, chunk, 0, &handle), 0);
	ck_assert_int_eq(mempool_chunk_tag(client, chunk, &tag), -EPERM);
	ck_assert_int_eq(mempool_take(other, handle, &taken, NULL), 0);
	tag = 0;
	ck_assert_int_eq(mempool_chunk_tag(other, taken, &tag), 0);
	ck_assert_uint_eq(tag, 0xdeadbeef);
	ck_assert_int_eq(mempool_free(other, taken), 0);

	/* A new chunk has none, whatever it had. */
	for (int i = 0; i < N_SMALL; i++) {
		ck_assert_int_eq(mempool_chunk_tag(client, must_alloc(client, 10), &tag), 0);
		ck_assert_uint_eq(tag, 0);
	}
	ck_assert_int_eq(mempool_chunk_tag(client, chunk + 1, &tag), -EINVAL);
	ck_assert_int_eq(mempool_chunk_set_tag(client, NULL, 1), -EINVAL);
	ck_assert_int_eq(mempool_chunk_tag(client, chunk, NULL), -EINVAL);
}
END_TEST

/* Pools of the same size are one class, with and without fallback. */
START_TEST(test_alloc_same_sizes_are_used_without_fallback)
{
	enum { ALL = 3 + 1 + 4 };
	struct mempool_client *own;
	struct segment *of = same_sizes(false, &own);
	void *chunks[ALL + 1];

	for (int i = 0; i < ALL; i++)
		ck_assert_ptr_nonnull(chunks[i] = mempool_alloc(own, 100));
	ck_assert_ptr_null(mempool_alloc(own, 100));
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_uint_eq(test_segment_used(of, 1), 0);
	ck_assert_uint_eq(read_counter(&of->pools[0].state->n_served_larger), 0);
	ck_assert_uint_eq(read_counter(&of->pools[0].state->n_exhausted), 1);
	for (int i = 0; i < ALL; i++)
		ck_assert_int_eq(mempool_free(own, chunks[i]), 0);

	ck_assert_int_eq(mempool_alloc_many(own, 100, chunks, ALL + 1), ALL);
	for (int i = 0; i < ALL; i++)
		ck_assert_int_eq(mempool_free(own, chunks[i]), 0);

	for (int i = 0; i < ALL; i++)
		ck_assert_ptr_nonnull(mempool_alloc_wait(own, 100, 0));
	ck_assert_ptr_null(mempool_alloc_wait(own, 100, 0));
	ck_assert_int_eq(mempool_client_close(own), ALL);
	segment_free(of);
}
END_TEST

START_TEST(test_alloc_aligned_same_sizes_are_used_without_fallback)
{
	struct mempool_client *own;
	struct segment *of = same_sizes(false, &own);

	ck_assert_ptr_nonnull(mempool_alloc_aligned(own, 100, 4096));
	ck_assert_ptr_null(mempool_alloc_aligned(own, 100, 4096));
	for (int i = 0; i < 3 + 4; i++)
		ck_assert_ptr_nonnull(mempool_alloc_aligned(own, 100, 128));
	ck_assert_ptr_null(mempool_alloc_aligned(own, 100, 128));
	ck_assert_uint_eq(test_segment_used(of, 1), 0);
	ck_assert_int_eq(mempool_client_close(own), 3 + 1 + 4);
	segment_free(of);
}
END_TEST

START_TEST(test_alloc_same_sizes_are_not_counted_as_larger)
{
	struct mempool_client *own;
	struct segment *of = same_sizes(true, &own);

	for (int i = 0; i < 3 + 1 + 4; i++)
		ck_assert_ptr_nonnull(mempool_alloc(own, 100));
	ck_assert_uint_eq(read_counter(&of->pools[0].state->n_served_larger), 0);
	ck_assert_ptr_nonnull(mempool_alloc(own, 100));
	ck_assert_uint_eq(read_counter(&of->pools[0].state->n_served_larger), 1);
	ck_assert_uint_eq(test_segment_used(of, 1), 1);
	mempool_client_close(own);
	segment_free(of);
}
END_TEST

START_TEST(test_alloc_zeroed_clears_what_was_asked_for)
{
	for (size_t size = 1; size <= 5000; size = size * 3 + 1) {
		unsigned char *chunk = must_alloc(client, size);
		const void *first = chunk;
		size_t usable = (size_t)mempool_usable_size(client, chunk);

		memset(chunk, 0xff, usable);
		ck_assert_int_eq(mempool_free(client, chunk), 0);
		chunk = mempool_alloc_zeroed(client, size);
		/* What was freed last comes first: otherwise this proves nothing. */
		ck_assert_ptr_eq(chunk, first);
		for (size_t i = 0; i < usable; i++)
			ck_assert_uint_eq(chunk[i], i < size ? 0 : 0xff);
		ck_assert_int_eq(mempool_free(client, chunk), 0);
	}
	errno = 0;
	ck_assert_ptr_null(mempool_alloc_zeroed(client, 0));
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_ptr_null(mempool_alloc_zeroed(client, 5001));
	ck_assert_int_eq(errno, EMSGSIZE);
}
END_TEST

/* Each chunk is where the memory of its pool says, and nothing else is there. */
START_TEST(test_memory_has_each_chunk_at_its_stride)
{
	static const uint32_t n_chunks[] = { N_MIDDLE, N_SMALL, N_LARGE };
	static const size_t sizes[] = { 1000, 100, 5000 };
	struct mempool_pool_memory memory[4] = { 0 };
	struct mempool_pool_info info[3];

	ck_assert_int_eq(mempool_client_memory(client, NULL, 9), 3);
	ck_assert_int_eq(mempool_client_memory(client, memory, 2), 3);
	ck_assert_ptr_null(memory[2].base);
	ck_assert_int_eq(mempool_client_memory(client, memory, 4), 3);
	ck_assert_ptr_null(memory[3].base);
	ck_assert_int_eq(mempool_client_pools(client, info, 3), 3);
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_eq((uintptr_t)memory[i].base % 4096, 0);
		ck_assert_uint_eq(memory[i].stride, info[i].stride);
		ck_assert_uint_eq(memory[i].length, info[i].total * info[i].stride);
		ck_assert_uint_eq(memory[i].reserved, 0);
		for (uint32_t n = 0; n < n_chunks[i]; n++) {
			uintptr_t off = (uintptr_t)must_alloc(client, sizes[i]) -
					(uintptr_t)memory[i].base;

			ck_assert_uint_lt(off, memory[i].length);
			ck_assert_uint_eq(off % memory[i].stride, 0);
		}
	}
	ck_assert_int_eq(mempool_client_memory(NULL, memory, 1), -EINVAL);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_alloc_zeroed_clears_what_was_asked_for);
	tcase_add_test(tcase, test_memory_has_each_chunk_at_its_stride);
	tcase_add_test(tcase, test_alloc_same_sizes_are_used_without_fallback);
	tcase_add_test(tcase, test_alloc_aligned_same_sizes_are_used_without_fallback);
	tcase_add_test(tcase, test_alloc_same_sizes_are_not_counted_as_larger);
	tcase_add_test(tcase, test_alloc_every_size_from_the_smallest_that_fits);
	tcase_add_test(tcase, test_alloc_too_large_emsgsize);
	tcase_add_test(tcase, test_alloc_size_0_or_no_client_einval);
	tcase_add_test(tcase, test_alloc_falls_back_then_eagain_at_exactly_n);
	tcase_add_test(tcase, test_alloc_without_fallback_eagain_at_the_pool);
	tcase_add_test(tcase, test_alloc_after_eagain_sees_a_free_at_once);
	tcase_add_test(tcase, test_alloc_chunks_do_not_overlap);
	tcase_add_test(tcase, test_alloc_aligned_passes_over_odd_pools);
	tcase_add_test(tcase, test_alloc_aligned_errors);
	tcase_add_test(tcase, test_alloc_aligned_falls_back_past_odd_pools);
	tcase_add_test(tcase, test_free_twice_eperm);
	tcase_add_test(tcase, test_free_not_a_chunk_einval);
	tcase_add_test(tcase, test_free_of_anothers_chunk_eperm);
	tcase_add_test(tcase, test_free_mixed_pools_each_finds_its_own);
	tcase_add_test(tcase, test_free_raced_in_debug_mode_one_succeeds);
	tcase_add_test(tcase, test_tag_goes_with_the_chunk);
}

int main(void)
{
	return test_run("alloc", add_tests);
}
