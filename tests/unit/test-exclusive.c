/* SPDX-License-Identifier: MIT */
/* test-exclusive.c - pools with `sharing: false`: their chunks have one holder, and no ChunkManager */
#include "test_segment.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/client.h"
#include "shm/audit.h"
#include "shm/census.h"
#include "shm/chunk_manager.h"
#include "shm/drain.h"
#include "shm/holder.h"
#include "shm/reap.h"
#include "shm/topic.h"

enum { ALONE, SHARING, LARGE_ALONE, N_POOLS };
enum { SIZE_ALONE = 64, SIZE_SHARING = 256, SIZE_LARGE = 1024 };
enum { N_ALONE = 8, N_SHARING = 6, N_LARGE = 3, CAPACITY = 8 };

static struct segment *segment;
static struct mempool_client *client, *other;

static struct mempool_client *client_at(uint32_t i)
{
	struct mempool_client *made;

	ck_assert_int_eq(client_new(test_segment_view(segment), holder_first_client(segment) + i, 0,
				    &made), 0);
	return made;
}

static void setup(void)
{
	static const struct test_pool pools[] = {
		{ .chunk_size = SIZE_ALONE, .n_chunks = N_ALONE, .cache = 4 },
		{ .chunk_size = SIZE_SHARING, .n_chunks = N_SHARING, .cache = 4 },
		{ .chunk_size = SIZE_LARGE, .n_chunks = N_LARGE, .cache = 4 },
	};
	struct config config;

	test_config_init(&config, pools, ARRAY_SIZE(pools));
	config.pools[ALONE].is_exclusive = config.pools[LARGE_ALONE].is_exclusive = true;
	ck_assert_int_eq(config_add_ring(&config, "q", MEMPOOL_RING_QUEUE, CAPACITY), 0);
	ck_assert_int_eq(config_add_ring(&config, "t", MEMPOOL_RING_TOPIC, CAPACITY), 0);
	segment = test_segment_new_of(&config);
	config_deinit(&config);
	client = client_at(0);
	other = client_at(1);
}

/* Whatever a test did: all is sound, and in the end all is free. */
static void teardown(void)
{
	struct audit audit;
	struct topic topic;
	uint64_t n_freed;

	mempool_client_close(client);
	mempool_client_close(other);
	ck_assert_int_eq(topic_view(&topic, segment, 1), 0);
	drain_topic(&topic, MEMPOOL_HOLDER_DAEMON_ID, &n_freed);
	ck_assert_int_eq(audit_segment(segment, AUDIT_REAPED, NULL, NULL, &audit), 0);
	ck_assert_uint_eq(audit.n_faults, 0);
	for (uint32_t i = 0; i <= segment->n_pools; i++)
		ck_assert_uint_eq(test_segment_used(segment, i), 0);
	segment_free(segment);
}

static void *take(size_t size)
{
	void *chunk = mempool_alloc(client, size);

	ck_assert_ptr_nonnull(chunk);
	return chunk;
}

static uint32_t used(uint32_t pool)
{
	return test_segment_used(segment, pool);
}

/* ---- what is refused ---- */

START_TEST(test_exclusive_share_eopnotsupp)
{
	void *chunk = take(SIZE_ALONE), *again;
	uint64_t handle = 5;

	ck_assert_int_eq(mempool_share(client, chunk, 1, &handle), -EOPNOTSUPP);
	ck_assert_uint_eq(handle, 5);
	ck_assert_uint_eq(used(segment->n_pools), 0);
	/* It is still its holder's, alone; and to others it is what it was. */
	ck_assert_int_eq(mempool_share(other, chunk, 1, &handle), -EPERM);
	ck_assert_int_eq(mempool_chunk_is_exclusive(client, chunk), 1);
	ck_assert_int_eq(mempool_unshare(client, chunk, &again), 0);
	ck_assert_ptr_eq(again, chunk);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
}
END_TEST

START_TEST(test_exclusive_publish_eopnotsupp)
{
	struct mempool_topic_counts counts;
	struct mempool_topic *topic;
	void *chunk = take(SIZE_ALONE);

	ck_assert_int_eq(mempool_topic_open(client, "t", &topic), 0);
	ck_assert_int_eq(mempool_topic_publish(topic, chunk, 1), -EOPNOTSUPP);
	ck_assert_int_eq(mempool_topic_info(topic, &counts), 0);
	ck_assert_uint_eq(counts.published, 0);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
	ck_assert_int_eq(mempool_topic_publish(topic, take(SIZE_SHARING), 1), 0);
	mempool_topic_close(topic);
}
END_TEST

/* A handle of such a chunk can be taken, and never acquired; that of another one is merely late. */
START_TEST(test_exclusive_acquire_eopnotsupp)
{
	const void *acquired;
	void *chunk;
	uint64_t handle;

	ck_assert_int_eq(mempool_give(client, take(SIZE_ALONE), 1, &handle), 0);
	ck_assert_int_eq(mempool_acquire(other, handle, &acquired, NULL), -EOPNOTSUPP);
	ck_assert_int_eq(mempool_take(other, handle, &chunk, NULL), 0);
	ck_assert_int_eq(mempool_free(other, chunk), 0);

	ck_assert_int_eq(mempool_give(client, take(SIZE_SHARING), 1, &handle), 0);
	ck_assert_int_eq(mempool_acquire(other, handle, &acquired, NULL), -ESTALE);
	ck_assert_int_eq(mempool_take(other, handle, &chunk, NULL), 0);
	ck_assert_int_eq(mempool_free(other, chunk), 0);
}
END_TEST

START_TEST(test_exclusive_goes_through_a_queue)
{
	struct mempool_queue *from, *to;
	void *chunk = take(SIZE_ALONE), *received;
	size_t length;

	ck_assert_int_eq(mempool_queue_open(client, "q", &from), 0);
	ck_assert_int_eq(mempool_queue_open(other, "q", &to), 0);
	strcpy(chunk, "alone");
	ck_assert_int_eq(mempool_queue_send(from, chunk, 6, 0), 0);
	ck_assert_int_eq(mempool_queue_receive(to, &received, &length, 0), 0);
	ck_assert_str_eq(received, "alone");
	ck_assert_int_eq(mempool_free(other, received), 0);
	mempool_queue_close(from);
	mempool_queue_close(to);
}
END_TEST

START_TEST(test_exclusive_pools_are_told)
{
	struct mempool_pool_info pools[N_POOLS];

	ck_assert_int_eq(mempool_client_pools(client, pools, N_POOLS), N_POOLS);
	ck_assert_uint_eq(pools[ALONE].flags, MEMPOOL_POOL_EXCLUSIVE);
	ck_assert_uint_eq(pools[SHARING].flags, 0);
	ck_assert_uint_eq(pools[LARGE_ALONE].flags, MEMPOOL_POOL_EXCLUSIVE);
}
END_TEST

/* ---- managers ---- */

START_TEST(test_exclusive_managers_are_for_the_others)
{
	uint64_t handle;

	ck_assert_uint_eq(segment_managers(segment)->n_chunks, N_SHARING);
	/* Each chunk that can be shared is shared at once, whatever else is held. */
	for (int i = 0; i < N_ALONE; i++)
		take(SIZE_ALONE);
	for (int i = 0; i < N_SHARING; i++)
		ck_assert_int_eq(mempool_share(client, take(SIZE_SHARING), 1, &handle), 0);
	ck_assert_uint_eq(used(segment->n_pools), N_SHARING);
}
END_TEST

/* No pool is empty, that of the managers neither. */
START_TEST(test_exclusive_alone_has_one_manager)
{
	static const struct test_pool pool = { .chunk_size = SIZE_ALONE, .n_chunks = N_ALONE };
	struct mempool_client *one;
	struct segment *all_alone;
	struct config config;
	struct census census = CENSUS_NULL;
	struct audit audit;
	uint64_t handle;
	void *chunk;

	test_config_init(&config, &pool, 1);
	config.pools[0].is_exclusive = true;
	all_alone = test_segment_new_of(&config);
	ck_assert_uint_eq(segment_managers(all_alone)->n_chunks, 1);
	ck_assert_int_eq(client_new(test_segment_view(all_alone), TEST_HOLDER, 0, &one), 0);
	chunk = mempool_alloc(one, 1);
	ck_assert_ptr_nonnull(chunk);
	ck_assert_int_eq(mempool_share(one, chunk, 1, &handle), -EOPNOTSUPP);
	ck_assert_int_eq(census_take(all_alone, &census), 0);
	ck_assert_uint_eq(census.all.used, 1);
	ck_assert_uint_eq(census.pools[1].total, 1);
	census_deinit(&census);
	/* What a process holds that is killed is freed as everywhere. */
	ck_assert_int_eq(reap_holder(all_alone, TEST_HOLDER), 1);
	ck_assert_int_eq(audit_segment(all_alone, AUDIT_HINTS | AUDIT_REAPED, NULL, NULL, &audit), 0);
	ck_assert_uint_eq(audit.n_faults, 0);
	ck_assert_uint_eq(audit.n_free, N_ALONE);
	mempool_client_close(one);
	segment_free(all_alone);
}
END_TEST

/* ---- which pool ---- */

/* What is asked for to be published must not turn out to be one that cannot. */
START_TEST(test_exclusive_is_no_fallback_of_a_size_that_shares)
{
	for (int i = 0; i < N_SHARING; i++)
		take(SIZE_SHARING);
	for (int i = 0; i < 100; i++) {
		errno = 0;
		ck_assert_ptr_null(mempool_alloc(client, SIZE_SHARING));
		ck_assert_int_eq(errno, EAGAIN);
	}
	ck_assert_uint_eq(used(LARGE_ALONE), 0);
	ck_assert_uint_eq(used(ALONE), 0);
	ck_assert_uint_eq(segment->pools[SHARING].state->n_exhausted, 100);
}
END_TEST

START_TEST(test_exclusive_falls_back_to_all)
{
	void *chunks[N_ALONE + N_SHARING + N_LARGE + 1];

	for (int i = 0; i < N_ALONE + N_SHARING; i++)
		take(SIZE_ALONE);
	ck_assert_uint_eq(used(SHARING), N_SHARING);
	ck_assert_int_eq(mempool_alloc_many(client, SIZE_ALONE, chunks, N_LARGE + 1), N_LARGE);
	ck_assert_uint_eq(used(LARGE_ALONE), N_LARGE);
	ck_assert_uint_eq(segment->pools[ALONE].state->n_served_larger, N_SHARING + N_LARGE);
}
END_TEST

/* History of a topic is in the pool that shares, and yields to all that may fall back to it. */
START_TEST(test_exclusive_size_takes_what_yields)
{
	struct mempool_topic *topic;

	ck_assert_int_eq(mempool_topic_open(client, "t", &topic), 0);
	for (int i = 0; i < N_SHARING; i++)
		ck_assert_int_eq(mempool_topic_publish(topic, take(SIZE_SHARING), 1), 0);
	/* All but the newest message. */
	for (int i = 0; i < N_ALONE + N_SHARING - 1 + N_LARGE; i++)
		take(SIZE_ALONE);
	ck_assert_ptr_null(mempool_alloc(client, SIZE_ALONE));
	ck_assert_int_eq(errno, EAGAIN);
	mempool_topic_close(topic);
}
END_TEST

/* ---- what a hostile client writes ---- */

static void keep_text(const char *text, void *userdata)
{
	snprintf(userdata, 256, "%s", text);
}

START_TEST(test_exclusive_word_that_says_shared_is_told)
{
	_Atomic uint64_t *word = &segment->pools[ALONE].entries[3].word;
	uint64_t was = atomic_load(word), handle;
	struct census census = CENSUS_NULL;
	char text[256] = "";
	struct audit audit;

	/* A manager that is another chunk's, and sound. */
	ck_assert_int_eq(mempool_share(client, take(SIZE_SHARING), 1, &handle), 0);
	atomic_store(word, word_make(word_generation(was), MEMPOOL_SHARED,
				     word_value(atomic_load(&segment->pools[SHARING].entries[
					     handle_index(handle)].word))));
	ck_assert_int_eq(audit_segment(segment, 0, keep_text, text, &audit), 0);
	ck_assert_uint_eq(audit.n_faults, 1);
	ck_assert_ptr_nonnull(strstr(text, "SHARED, in a pool that does not share"));
	ck_assert_int_eq(census_take(segment, &census), 0);
	ck_assert_uint_eq(census.pools[ALONE].stray, 1);
	ck_assert_uint_eq(census.pools[ALONE].shared, 0);
	census_deinit(&census);
	atomic_store(word, was);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_exclusive_share_eopnotsupp);
	tcase_add_test(tcase, test_exclusive_publish_eopnotsupp);
	tcase_add_test(tcase, test_exclusive_acquire_eopnotsupp);
	tcase_add_test(tcase, test_exclusive_goes_through_a_queue);
	tcase_add_test(tcase, test_exclusive_pools_are_told);
	tcase_add_test(tcase, test_exclusive_managers_are_for_the_others);
	tcase_add_test(tcase, test_exclusive_alone_has_one_manager);
	tcase_add_test(tcase, test_exclusive_is_no_fallback_of_a_size_that_shares);
	tcase_add_test(tcase, test_exclusive_falls_back_to_all);
	tcase_add_test(tcase, test_exclusive_size_takes_what_yields);
	tcase_add_test(tcase, test_exclusive_word_that_says_shared_is_told);
}

int main(void)
{
	return test_run("exclusive", add_tests);
}
