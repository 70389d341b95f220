/* SPDX-License-Identifier: MIT */
/* test-client.c - allocating, freeing and handing over, without a daemon */
#include "test_segment.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "build_config.h"
#include "client/client.h"
#include "client/locate.h"

enum { N_SMALL = 200, N_MIDDLE = 50, N_LARGE = 10 };

/* Not in the order of their sizes. */
static const struct test_pool pools[] = {
	{ .chunk_size = 1000, .n_chunks = N_MIDDLE },
	{ .chunk_size = 100, .n_chunks = N_SMALL },
	{ .chunk_size = 5000, .n_chunks = N_LARGE, .alignment = 4096 },
};
enum { MIDDLE, SMALL, LARGE };

static struct segment *segment;			/* keeps the memory */
static struct mempool_client *client, *other;

static struct mempool_client *client_of(struct segment *from, uint32_t holder, uint64_t flags)
{
	struct segment *view = test_segment_view(from);
	struct mempool_client *made;

	ck_assert_int_eq(client_new(view, holder, flags, &made), 0);
	return made;
}

static void setup(void)
{
	segment = test_segment_new(pools, ARRAY_SIZE(pools));
	client = client_of(segment, TEST_HOLDER, 0);
	other = client_of(segment, TEST_HOLDER + 1, 0);
}

static void teardown(void)
{
	mempool_client_close(client);
	mempool_client_close(other);
	segment_free(segment);
}

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

static uint32_t used(uint32_t pool)
{
	return test_segment_used(segment, pool);
}

static uint32_t used_in_all(void)
{
	return used(SMALL) + used(MIDDLE) + used(LARGE);
}

static void *must_alloc(struct mempool_client *by, size_t size)
{
	void *chunk = mempool_alloc(by, size);

	ck_assert_ptr_nonnull(chunk);
	return chunk;
}

static void assert_no_chunk(struct mempool_client *by, size_t size, int error)
{
	errno = 0;
	ck_assert_ptr_null(mempool_alloc(by, size));
	ck_assert_int_eq(errno, error);
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

/* ---- give and take ---- */

START_TEST(test_give_then_take_brings_content_and_length)
{
	static const size_t lengths[] = { 0, 1, 999, 1000 };

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		char *chunk = must_alloc(client, 1000), *taken;
		size_t length = 12345;
		uint64_t handle = 0;

		memset(chunk, 'm', 1000);
		ck_assert_int_eq(mempool_give(client, chunk, lengths[i], &handle), 0);
		ck_assert_uint_ne(handle, MEMPOOL_HANDLE_NONE);
		ck_assert_uint_eq(used(MIDDLE), 1);
		/* Given is not held. */
		ck_assert_int_eq(mempool_free(client, chunk), -EPERM);
		ck_assert_int_eq(mempool_give(client, chunk, 0, &handle), -EPERM);

		ck_assert_int_eq(mempool_take(other, handle, (void **)&taken, &length), 0);
		ck_assert_uint_eq(length, lengths[i]);
		ck_assert_int_eq(taken[0], 'm');
		ck_assert_int_eq(taken[999], 'm');
		ck_assert_int_eq(mempool_usable_size(other, taken), 1000);
		ck_assert_int_eq(mempool_free(client, taken), -EPERM);
		ck_assert_int_eq(mempool_free(other, taken), 0);
	}
}
END_TEST

START_TEST(test_give_errors_leave_the_chunk_held)
{
	char *chunk = must_alloc(client, 1000);
	uint64_t handle = 77;

	ck_assert_int_eq(mempool_give(client, chunk, 1001, &handle), -EMSGSIZE);
	ck_assert_int_eq(mempool_give(client, chunk, SIZE_MAX, &handle), -EMSGSIZE);
	ck_assert_int_eq(mempool_give(client, chunk + 8, 1, &handle), -EINVAL);
	ck_assert_int_eq(mempool_give(client, NULL, 1, &handle), -EINVAL);
	ck_assert_int_eq(mempool_give(client, chunk, 1, NULL), -EINVAL);
	ck_assert_int_eq(mempool_give(NULL, chunk, 1, &handle), -EINVAL);
	ck_assert_int_eq(mempool_give(other, chunk, 1, &handle), -EPERM);
	ck_assert_uint_eq(handle, 77);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
	ck_assert_int_eq(mempool_give(client, chunk, 1, &handle), -EPERM);
}
END_TEST

START_TEST(test_give_and_take_each_begin_an_incarnation)
{
	void *chunk = must_alloc(client, 10), *taken;
	const struct pool *pool;
	uint64_t before, handle;
	uint32_t index;

	ck_assert_int_eq(client_locate(client, chunk, &pool, &index), 0);
	before = atomic_load(&pool->entries[index].word);
	ck_assert_int_eq(mempool_give(client, chunk, 10, &handle), 0);
	ck_assert_uint_eq(handle_generation(handle), word_next_generation(before));
	before = atomic_load(&pool->entries[index].word);
	ck_assert_uint_eq(word_generation(before), handle_generation(handle));
	ck_assert_int_eq(mempool_take(other, handle, &taken, NULL), 0);
	ck_assert_uint_eq(atomic_load(&pool->entries[index].word),
			  word_taken(before, TEST_HOLDER + 1));
}
END_TEST

START_TEST(test_take_twice_estale)
{
	void *taken = NULL;
	uint64_t handle;

	ck_assert_int_eq(mempool_give(client, must_alloc(client, 10), 10, &handle), 0);
	ck_assert_int_eq(mempool_take(other, handle, &taken, NULL), 0);
	ck_assert_int_eq(mempool_take(other, handle, &taken, NULL), -ESTALE);
	ck_assert_int_eq(mempool_take(client, handle, &taken, NULL), -ESTALE);
	ck_assert_int_eq(mempool_usable_size(other, taken), 100);
	ck_assert_int_eq(mempool_free(other, taken), 0);
	ck_assert_int_eq(mempool_take(other, handle, &taken, NULL), -ESTALE);
}
END_TEST

START_TEST(test_take_back_makes_the_handle_stale)
{
	void *chunk = must_alloc(client, 10), *taken;
	uint64_t handle, second;

	ck_assert_int_eq(mempool_give(client, chunk, 10, &handle), 0);
	ck_assert_int_eq(mempool_take(client, handle, &taken, NULL), 0);
	ck_assert_ptr_eq(taken, chunk);
	ck_assert_int_eq(mempool_take(other, handle, &taken, NULL), -ESTALE);
	/* Given again it has another handle; the old one takes nothing. */
	ck_assert_int_eq(mempool_give(client, chunk, 10, &second), 0);
	ck_assert_uint_ne(second, handle);
	ck_assert_int_eq(mempool_take(other, handle, &taken, NULL), -ESTALE);
	ck_assert_int_eq(mempool_take(other, second, &taken, NULL), 0);
}
END_TEST

START_TEST(test_take_no_such_handle)
{
	uint64_t handle;
	void *taken;

	ck_assert_int_eq(mempool_give(client, must_alloc(client, 10), 10, &handle), 0);
	ck_assert_int_eq(mempool_take(other, MEMPOOL_HANDLE_NONE, &taken, NULL), -EINVAL);
	ck_assert_int_eq(mempool_take(other, handle, NULL, NULL), -EINVAL);
	ck_assert_int_eq(mempool_take(NULL, handle, &taken, NULL), -EINVAL);
	ck_assert_int_eq(mempool_take(other, UINT64_MAX, &taken, NULL), -ESTALE);
	/* Pool 3 is the managers', no chunk of a user's. */
	ck_assert_int_eq(mempool_take(other, handle_make(handle_generation(handle), 3, 0), &taken,
				      NULL), -ESTALE);
	ck_assert_int_eq(mempool_take(other, handle_make(handle_generation(handle), SMALL, N_SMALL),
				      &taken, NULL), -ESTALE);
	for (int bit = 0; bit < 64; bit++)
		ck_assert_int_eq(mempool_take(other, handle ^ UINT64_C(1) << bit, &taken, NULL),
				 -ESTALE);
	ck_assert_int_eq(mempool_take(other, handle, &taken, NULL), 0);
}
END_TEST

START_TEST(test_take_of_a_held_or_queued_chunk_estale)
{
	void *chunk = must_alloc(client, 10), *taken;
	const struct pool *pool;
	uint32_t index;
	uint64_t word;

	ck_assert_int_eq(client_locate(client, chunk, &pool, &index), 0);
	word = atomic_load(&pool->entries[index].word);
	/* The generation fits, but nobody has given it. */
	ck_assert_int_eq(mempool_take(other, handle_make(word_generation(word), pool->id, index),
				      &taken, NULL), -ESTALE);
	word = word_sent(word, 1, TEST_HOLDER);
	atomic_store(&pool->entries[index].word, word);
	ck_assert_int_eq(mempool_take(other, handle_make(word_generation(word), pool->id, index),
				      &taken, NULL), -ESTALE);
	ck_assert_uint_eq(atomic_load(&pool->entries[index].word), word);
}
END_TEST

START_TEST(test_take_handle_of_another_segment_estale)
{
	/* Generations start at a random number: it fits once in 2^32 times. */
	struct segment *elsewhere = test_segment_new(pools, ARRAY_SIZE(pools));
	struct mempool_client *stranger = client_of(elsewhere, TEST_HOLDER, 0);
	uint64_t ours, theirs;
	void *taken;

	ck_assert_int_eq(mempool_give(client, must_alloc(client, 10), 10, &ours), 0);
	ck_assert_int_eq(mempool_give(stranger, must_alloc(stranger, 10), 10, &theirs), 0);
	ck_assert_int_eq(mempool_take(stranger, ours, &taken, NULL), -ESTALE);
	ck_assert_int_eq(mempool_take(other, theirs, &taken, NULL), -ESTALE);
	ck_assert_int_eq(mempool_client_close(stranger), 1);
	segment_free(elsewhere);
}
END_TEST

START_TEST(test_take_after_the_giver_closed_estale)
{
	uint64_t handle;
	void *taken;

	ck_assert_int_eq(mempool_give(client, must_alloc(client, 10), 10, &handle), 0);
	ck_assert_int_eq(mempool_client_close(client), 1);
	client = NULL;
	ck_assert_int_eq(mempool_take(other, handle, &taken, NULL), -ESTALE);
	ck_assert_uint_eq(used_in_all(), 0);
}
END_TEST

/* ---- pools, close, stale ---- */

START_TEST(test_pools_in_the_order_of_the_config)
{
	struct mempool_pool_info info[4];

	must_alloc(client, 10);
	must_alloc(other, 10);
	memset(info, 0xff, sizeof(info));
	ck_assert_int_eq(mempool_client_pools(client, info, 2), 3);
	ck_assert_uint_eq(info[0].chunk_size, 1000);
	ck_assert_uint_eq(info[0].stride, 1024);
	ck_assert_uint_eq(info[0].total, N_MIDDLE);
	ck_assert_uint_eq(info[1].chunk_size, 100);
	ck_assert_uint_eq(info[1].stride, 128);
	ck_assert_uint_eq(info[1].used, 2);
	ck_assert_uint_eq(info[1].free, N_SMALL - 2);
	ck_assert_uint_eq(info[2].chunk_size, UINT64_MAX);	/* n was 2 */
	ck_assert_int_eq(mempool_client_pools(client, info, 4), 3);
	ck_assert_uint_eq(info[2].stride, 8192);
	ck_assert_uint_eq(info[3].chunk_size, UINT64_MAX);
	ck_assert_int_eq(mempool_client_pools(client, NULL, 99), 3);
}
END_TEST

START_TEST(test_close_frees_and_counts_what_was_held)
{
	uint64_t handle;

	for (int i = 0; i < 5; i++)
		must_alloc(client, 10);
	ck_assert_int_eq(mempool_give(client, must_alloc(client, 1000), 1, &handle), 0);
	must_alloc(other, 10);
	ck_assert_int_eq(mempool_client_close(client), 6);
	client = NULL;
	ck_assert_uint_eq(used_in_all(), 1);
	ck_assert_int_eq(mempool_client_close(other), 1);
	other = NULL;
	ck_assert_uint_eq(used_in_all(), 0);
	for (uint32_t i = 0; i < segment->n_pools; i++)
		for (uint32_t j = 0; j < segment->pools[i].n_chunks; j++)
			ck_assert_int_eq(free_list_has(&segment->pools[i].list, j), 1);
}
END_TEST

START_TEST(test_is_stale_when_retired_and_works_on)
{
	ck_assert(!mempool_client_is_stale(client));
	segment_retire(segment);
	ck_assert(mempool_client_is_stale(client));
	ck_assert_int_eq(mempool_free(client, must_alloc(client, 10)), 0);
}
END_TEST

START_TEST(test_new_no_such_holder_einval)
{
	struct mempool_client *none = NULL;

	ck_assert_int_eq(client_new(segment, 0, 0, &none), -EINVAL);
	ck_assert_int_eq(client_new(segment, segment->n_holders, 0, &none), -EINVAL);
	ck_assert_ptr_null(none);
}
END_TEST

/* ---- fork ---- */

/* Run in a child of fork(2); the status tells the line that failed. */
static void in_child(int (*body)(void))
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(body());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_msg(WEXITSTATUS(status) == 0, "case %d failed in the child",
		      WEXITSTATUS(status));
}

static void *held;
static uint64_t given;

static int every_call_says_echild(void)
{
	uint64_t handle;
	uint32_t tag;
	void *chunk;

	errno = 0;
	if (mempool_alloc(client, 10) || errno != ECHILD)
		return 1;
	errno = 0;
	if (mempool_alloc_aligned(client, 10, 8) || errno != ECHILD)
		return 2;
	if (mempool_free(client, held) != -ECHILD)
		return 3;
	if (mempool_usable_size(client, held) != -ECHILD)
		return 4;
	if (mempool_chunk_set_tag(client, held, 1) != -ECHILD)
		return 5;
	if (mempool_chunk_tag(client, held, &tag) != -ECHILD)
		return 6;
	if (mempool_give(client, held, 1, &handle) != -ECHILD)
		return 7;
	if (mempool_take(client, given, &chunk, NULL) != -ECHILD)
		return 8;
	if (mempool_client_pools(client, NULL, 0) != -ECHILD)
		return 9;
	if (mempool_client_is_stale(client))
		return 10;
	if (mempool_free(other, held) != -ECHILD)
		return 11;
	if (mempool_client_close(client) != 0)
		return 12;
	return mempool_client_close(other) == 0 ? 0 : 13;
}

START_TEST(test_fork_child_has_no_client_parent_keeps_its_chunks)
{
	if (!test_fork_wipes())
		return;
	/* As mempool_client_open() does: the memory is not there in the child. */
	ck_assert_int_eq(madvise(segment->memory.base, segment->memory.size, MADV_DONTFORK), 0);
	held = must_alloc(client, 10);
	ck_assert_int_eq(mempool_give(client, must_alloc(client, 10), 1, &given), 0);
	must_alloc(other, 10);
	in_child(every_call_says_echild);

	ck_assert_uint_eq(used(SMALL), 3);
	ck_assert_int_eq(mempool_usable_size(client, held), 100);
	ck_assert_int_eq(mempool_free(client, held), 0);
	ck_assert_int_eq(mempool_client_close(client), 1);
	ck_assert_int_eq(mempool_client_close(other), 1);
	client = other = NULL;
}
END_TEST

static void *exit_as_thread(void *unused)
{
	(void)unused;
	errno = 0;
	if (mempool_alloc(client, 10) || errno != ECHILD)
		return client;
	return NULL;
}

static int child_may_open_its_own(void)
{
	struct segment *again = test_segment_map_again(segment);
	struct mempool_client *own;
	pthread_t thread;
	void *wrong;

	if (client_new(again, TEST_HOLDER + 1, 0, &own) < 0)
		return 1;
	for (int i = 0; i < 5; i++)
		if (!mempool_alloc(own, 10))
			return 2;
	if (pthread_create(&thread, NULL, exit_as_thread, NULL) != 0 ||
	    pthread_join(thread, &wrong) != 0 || wrong)
		return 3;
	if (mempool_client_close(own) != 5)
		return 4;
	return mempool_client_close(client) == 0 ? 0 : 5;
}

START_TEST(test_fork_child_opens_its_own)
{
	if (!test_fork_wipes())
		return;
	mempool_client_close(other);
	other = NULL;
	must_alloc(client, 10);
	in_child(child_may_open_its_own);
	ck_assert_uint_eq(used(SMALL), 1);
}
END_TEST

/* ---- two processes ---- */

enum { N_DRAIN = 1000 };

/* Allocate until nothing is there, free all, and once more; tells how many it got. */
static int drain_in_child(struct segment *from, int start, int report)
{
	struct segment *again = test_segment_map_again(from);
	struct mempool_client *own;
	void *chunk;
	int n = 0;
	char go;

	if (client_new(again, TEST_HOLDER + 1, 0, &own) < 0 || read(start, &go, 1) != 1)
		return 1;
	while ((chunk = mempool_alloc(own, 100)))
		n++;
	if (errno != EAGAIN || write(report, &n, sizeof(n)) != sizeof(n))
		return 2;
	/* Hold them until told. */
	if (read(start, &go, 1) != 1)
		return 3;
	return mempool_client_close(own) == n ? 0 : 4;
}

START_TEST(test_two_processes_drain_a_pool_exactly)
{
	static const struct test_pool thousand[] = { { .chunk_size = 100, .n_chunks = N_DRAIN } };
	struct segment *both = test_segment_new(thousand, 1);
	struct mempool_client *own = client_of(both, TEST_HOLDER, 0);
	int start[2], report[2], theirs, status;
	void *chunks[N_DRAIN + 1];
	pid_t pid;

	for (int round = 0; round < 3; round++) {
		int ours = 0;

		ck_assert_int_eq(pipe(start), 0);
		ck_assert_int_eq(pipe(report), 0);
		pid = fork();
		ck_assert_int_ge(pid, 0);
		if (pid == 0)
			_exit(drain_in_child(both, start[0], report[1]));
		ck_assert_int_eq(write(start[1], "g", 1), 1);
		while (ours <= N_DRAIN && (chunks[ours] = mempool_alloc(own, 100)))
			ours++;
		ck_assert_int_eq(errno, EAGAIN);
		ck_assert_int_eq(read(report[0], &theirs, sizeof(theirs)), sizeof(theirs));
		ck_assert_int_eq(ours + theirs, N_DRAIN);
		assert_no_chunk(own, 100, EAGAIN);
		ck_assert_int_eq(write(start[1], "g", 1), 1);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, 0);
		while (ours-- > 0)
			ck_assert_int_eq(mempool_free(own, chunks[ours]), 0);
		ck_assert_uint_eq(test_segment_used(both, 0), 0);
		close(start[0]);
		close(start[1]);
		close(report[0]);
		close(report[1]);
	}
	mempool_client_close(own);
	segment_free(both);
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

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
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
	tcase_add_test(tcase, test_give_then_take_brings_content_and_length);
	tcase_add_test(tcase, test_give_errors_leave_the_chunk_held);
	tcase_add_test(tcase, test_give_and_take_each_begin_an_incarnation);
	tcase_add_test(tcase, test_take_twice_estale);
	tcase_add_test(tcase, test_take_back_makes_the_handle_stale);
	tcase_add_test(tcase, test_take_no_such_handle);
	tcase_add_test(tcase, test_take_of_a_held_or_queued_chunk_estale);
	tcase_add_test(tcase, test_take_handle_of_another_segment_estale);
	tcase_add_test(tcase, test_take_after_the_giver_closed_estale);
	tcase_add_test(tcase, test_pools_in_the_order_of_the_config);
	tcase_add_test(tcase, test_close_frees_and_counts_what_was_held);
	tcase_add_test(tcase, test_is_stale_when_retired_and_works_on);
	tcase_add_test(tcase, test_new_no_such_holder_einval);
	tcase_add_test(tcase, test_fork_child_has_no_client_parent_keeps_its_chunks);
	tcase_add_test(tcase, test_fork_child_opens_its_own);
	tcase_add_test(tcase, test_two_processes_drain_a_pool_exactly);
}

int main(void)
{
	return test_run("client", add_tests);
}
