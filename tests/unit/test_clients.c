/* SPDX-License-Identifier: MIT */
#include "test_clients.h"

#include <errno.h>

const struct test_pool pools[] = {
	{ .chunk_size = 1000, .n_chunks = N_MIDDLE },
	{ .chunk_size = 100, .n_chunks = N_SMALL },
	{ .chunk_size = 5000, .n_chunks = N_LARGE, .alignment = 4096 },
};

struct segment *segment;
struct mempool_client *client, *other;

struct mempool_client *client_of(struct segment *from, uint32_t holder, uint64_t flags)
{
	struct segment *view = test_segment_view(from);
	struct mempool_client *made;

	ck_assert_int_eq(client_new(view, holder, flags, &made), 0);
	return made;
}

void setup(void)
{
	segment = test_segment_new(pools, ARRAY_SIZE(pools));
	client = client_of(segment, TEST_HOLDER, 0);
	other = client_of(segment, TEST_HOLDER + 1, 0);
}

void teardown(void)
{
	mempool_client_close(client);
	mempool_client_close(other);
	segment_free(segment);
}

uint32_t used(uint32_t pool)
{
	return test_segment_used(segment, pool);
}

uint32_t used_in_all(void)
{
	return used(SMALL) + used(MIDDLE) + used(LARGE);
}

void *must_alloc(struct mempool_client *by, size_t size)
{
	void *chunk = mempool_alloc(by, size);

	ck_assert_ptr_nonnull(chunk);
	return chunk;
}

void assert_no_chunk(struct mempool_client *by, size_t size, int error)
{
	errno = 0;
	ck_assert_ptr_null(mempool_alloc(by, size));
	ck_assert_int_eq(errno, error);
}
