/* SPDX-License-Identifier: MIT */
/*
 * test-large.c - a pool over 4 GiB: offsets that need more than 32 bits
 *
 * Sparse: of its data only the chunks that are looked at take memory.
 */
#include "test_segment.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/client.h"
#include "mempool.h"
#include "shm/layout.h"

enum { N_CHUNKS = 5000, CHUNK_BYTES = 1 << 20, SMALL = 100 };

static struct config config;
static struct segment *segment;

static void setup(void)
{
	/* The other pool behind it, so that it lies beyond 4 GiB as a whole. */
	static const struct test_pool pools[] = {
		{ .chunk_size = CHUNK_BYTES, .n_chunks = N_CHUNKS, .alignment = 4096 },
		{ .chunk_size = SMALL, .n_chunks = 10 },
	};

	test_config_init(&config, pools, 2);
	ck_assert_uint_gt(segment_size_bytes(&config), (uint64_t)N_CHUNKS * CHUNK_BYTES);
	segment = test_segment_sparse(&config);
}

static void teardown(void)
{
	config_deinit(&config);
}

START_TEST(test_large_pool_every_chunk_is_its_own)
{
	static unsigned char *chunks[N_CHUNKS];
	struct mempool_client *client;
	const unsigned char *low, *high;

	ck_assert_int_eq(client_new(segment, TEST_HOLDER, 0, &client), 0);
	for (uint32_t i = 0; i < N_CHUNKS; i++) {
		chunks[i] = mempool_alloc(client, CHUNK_BYTES);
		ck_assert_ptr_nonnull(chunks[i]);
		/* First and last: a neighbour that overlaps would change one of them. */
		memcpy(chunks[i], &i, sizeof(i));
		memcpy(chunks[i] + CHUNK_BYTES - sizeof(i), &i, sizeof(i));
	}
	ck_assert_ptr_null(mempool_alloc(client, CHUNK_BYTES));
	ck_assert_int_eq(errno, EAGAIN);
	low = high = chunks[0];
	for (uint32_t i = 0; i < N_CHUNKS; i++) {
		ck_assert_mem_eq(chunks[i], &i, sizeof(i));
		ck_assert_mem_eq(chunks[i] + CHUNK_BYTES - sizeof(i), &i, sizeof(i));
		low = chunks[i] < low ? chunks[i] : low;
		high = chunks[i] > high ? chunks[i] : high;
	}
	ck_assert_uint_eq((uint64_t)(high - low), (uint64_t)(N_CHUNKS - 1) * CHUNK_BYTES);
	for (uint32_t i = 0; i < N_CHUNKS; i++)
		ck_assert_int_eq(mempool_free(client, chunks[i]), 0);
	ck_assert_uint_eq(test_segment_used(segment, 0), 0);
	ck_assert_int_eq(mempool_client_close(client), 0);
}
END_TEST

START_TEST(test_large_pool_hand_over_beyond_4_gib)
{
	struct mempool_client *sender, *receiver;
	const struct pool *pool = &segment->pools[0];
	uint64_t offset, handle;
	void *chunk, *got;
	size_t length;

	ck_assert_int_eq(client_new(test_segment_view(segment), TEST_HOLDER, 0, &sender), 0);
	ck_assert_int_eq(client_new(test_segment_view(segment), TEST_HOLDER + 1, 0, &receiver),
			 0);
	do {
		chunk = mempool_alloc(sender, CHUNK_BYTES);
		ck_assert_ptr_nonnull(chunk);
		offset = (uint64_t)((unsigned char *)chunk - pool->data);
	} while (offset <= UINT64_C(1) << 32);
	strcpy(chunk, "far");
	ck_assert_int_eq(mempool_give(sender, chunk, 4, &handle), 0);
	ck_assert_int_eq(mempool_take(receiver, handle, &got, &length), 0);
	ck_assert_str_eq(got, "far");
	ck_assert_uint_eq(length, 4);
	ck_assert_uint_eq((uint64_t)((unsigned char *)got - pool->data), offset);
	/* In the middle of one is none, there as well. */
	ck_assert_int_eq(mempool_free(receiver, (unsigned char *)got + 4096), -EINVAL);
	ck_assert_int_eq(mempool_free(receiver, got), 0);

	got = mempool_alloc(receiver, SMALL);
	ck_assert_ptr_nonnull(got);
	ck_assert_uint_gt((uint64_t)((unsigned char *)got - (unsigned char *)segment->header),
			  (uint64_t)N_CHUNKS * CHUNK_BYTES);
	ck_assert_int_eq(mempool_client_close(receiver), 1);
	ck_assert_int_gt(mempool_client_close(sender), 0);
	ck_assert_uint_eq(test_segment_used(segment, 0) + test_segment_used(segment, 1), 0);
	segment_free(segment);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_large_pool_every_chunk_is_its_own);
	tcase_add_test(tcase, test_large_pool_hand_over_beyond_4_gib);
}

int main(void)
{
	return test_run("large", add_tests);
}
