/* SPDX-License-Identifier: MIT */
/*
 * test-abi.c - what programs have compiled into them stays as it is: see docs/abi.md
 *
 * A line that no longer holds is a change that breaks programs. One for a new field or constant is
 * added; none is changed.
 */
#include "mempool.h"

#include <check.h>
#include <stdlib.h>

#define ASSERT_FIELD(type, field, at, bytes)                                                       \
	do {                                                                                       \
		ck_assert_uint_eq(offsetof(struct type, field), at);                               \
		ck_assert_uint_eq(sizeof(((struct type *)NULL)->field), bytes);                    \
	} while (0)

START_TEST(test_abi_client_options)
{
	ASSERT_FIELD(mempool_client_options, size, 0, 8);
	ASSERT_FIELD(mempool_client_options, socket_path, 8, 8);
	ASSERT_FIELD(mempool_client_options, segment, 16, 8);
	ASSERT_FIELD(mempool_client_options, name, 24, 8);
	ASSERT_FIELD(mempool_client_options, timeout_ns, 32, 8);
	ASSERT_FIELD(mempool_client_options, flags, 40, 8);
	/* The struct ended here once: programs with that size are taken. */
	ASSERT_FIELD(mempool_client_options, spin_ns, 48, 8);
	ck_assert_uint_eq(sizeof(struct mempool_client_options), 56);
}
END_TEST

START_TEST(test_abi_subscribe_options)
{
	ASSERT_FIELD(mempool_queue_options, size, 0, 8);
	ASSERT_FIELD(mempool_queue_options, flags, 8, 8);
	ck_assert_uint_eq(sizeof(struct mempool_queue_options), 16);

	ASSERT_FIELD(mempool_subscribe_options, size, 0, 8);
	ASSERT_FIELD(mempool_subscribe_options, start, 8, 4);
	ASSERT_FIELD(mempool_subscribe_options, reserved, 12, 4);
	ASSERT_FIELD(mempool_subscribe_options, n_last, 16, 8);
	ASSERT_FIELD(mempool_subscribe_options, flags, 24, 8);
	ck_assert_uint_eq(sizeof(struct mempool_subscribe_options), 32);
}
END_TEST

START_TEST(test_abi_structs_that_stand_in_arrays)
{
	ASSERT_FIELD(mempool_pool_info, chunk_size, 0, 8);
	ASSERT_FIELD(mempool_pool_info, stride, 8, 8);
	ASSERT_FIELD(mempool_pool_info, total, 16, 8);
	ASSERT_FIELD(mempool_pool_info, used, 24, 8);
	ASSERT_FIELD(mempool_pool_info, free, 32, 8);
	ASSERT_FIELD(mempool_pool_info, flags, 40, 8);
	ck_assert_uint_eq(sizeof(struct mempool_pool_info), 48);

	ASSERT_FIELD(mempool_pool_memory, base, 0, 8);
	ASSERT_FIELD(mempool_pool_memory, length, 8, 8);
	ASSERT_FIELD(mempool_pool_memory, stride, 16, 8);
	ASSERT_FIELD(mempool_pool_memory, reserved, 24, 8);
	ck_assert_uint_eq(sizeof(struct mempool_pool_memory), 32);

	ASSERT_FIELD(mempool_queue_counts, name, 0, 32);
	ASSERT_FIELD(mempool_queue_counts, capacity, 32, 8);
	ASSERT_FIELD(mempool_queue_counts, length, 40, 8);
	ASSERT_FIELD(mempool_queue_counts, sent, 48, 8);
	ASSERT_FIELD(mempool_queue_counts, received, 56, 8);
	ASSERT_FIELD(mempool_queue_counts, senders, 64, 8);
	ASSERT_FIELD(mempool_queue_counts, receivers, 72, 8);
	ASSERT_FIELD(mempool_queue_counts, unseen, 80, 8);
	ASSERT_FIELD(mempool_queue_counts, slot_bytes, 88, 8);
	ASSERT_FIELD(mempool_queue_counts, reserved, 96, 32);
	ck_assert_uint_eq(sizeof(struct mempool_queue_counts), 128);

	ASSERT_FIELD(mempool_topic_counts, name, 0, 32);
	ASSERT_FIELD(mempool_topic_counts, capacity, 32, 8);
	ASSERT_FIELD(mempool_topic_counts, length, 40, 8);
	ASSERT_FIELD(mempool_topic_counts, published, 48, 8);
	ASSERT_FIELD(mempool_topic_counts, subscribers, 56, 8);
	ASSERT_FIELD(mempool_topic_counts, unseen, 64, 8);
	ASSERT_FIELD(mempool_topic_counts, yielded, 72, 8);
	ASSERT_FIELD(mempool_topic_counts, reserved, 80, 40);
	ck_assert_uint_eq(sizeof(struct mempool_topic_counts), 120);
}
END_TEST

START_TEST(test_abi_constants)
{
	ck_assert_int_eq(MEMPOOL_ROLE_MEMBER, 0);
	ck_assert_int_eq(MEMPOOL_ROLE_READER, 1);
	ck_assert_int_eq(MEMPOOL_ROLE_SPECTATOR, 2);
	ck_assert_int_eq(MEMPOOL_CLIENT_DEBUG, 1);
	ck_assert_int_eq(MEMPOOL_CLIENT_READ_ONLY, 2);
	ck_assert_int_eq(MEMPOOL_CLIENT_RESTART, 4);
	ck_assert_int_eq(MEMPOOL_CLIENT_TIMEDOUT, 8);
	ck_assert_int_eq(MEMPOOL_CLIENT_DEBUG_ABORT, 16);
	ck_assert_int_eq(MEMPOOL_HANDLE_NONE, 0);
	ck_assert_int_eq(MEMPOOL_TOPIC_NEW, 0);
	ck_assert_int_eq(MEMPOOL_TOPIC_OLDEST, 1);
	ck_assert_int_eq(MEMPOOL_TOPIC_LAST, 2);
	ck_assert_int_eq(MEMPOOL_SUBSCRIBE_NEWEST, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("abi");
	TCase *tcase = tcase_create("abi");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	tcase_add_test(tcase, test_abi_client_options);
	tcase_add_test(tcase, test_abi_subscribe_options);
	tcase_add_test(tcase, test_abi_structs_that_stand_in_arrays);
	tcase_add_test(tcase, test_abi_constants);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
