/* SPDX-License-Identifier: MIT */
/* test-handover.c - giving and taking, without a daemon */
#include "test_clients.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client/locate.h"

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

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_give_then_take_brings_content_and_length);
	tcase_add_test(tcase, test_give_errors_leave_the_chunk_held);
	tcase_add_test(tcase, test_give_and_take_each_begin_an_incarnation);
	tcase_add_test(tcase, test_take_twice_estale);
	tcase_add_test(tcase, test_take_back_makes_the_handle_stale);
	tcase_add_test(tcase, test_take_no_such_handle);
	tcase_add_test(tcase, test_take_of_a_held_or_queued_chunk_estale);
	tcase_add_test(tcase, test_take_handle_of_another_segment_estale);
	tcase_add_test(tcase, test_take_after_the_giver_closed_estale);
}

int main(void)
{
	return test_run("handover", add_tests);
}
