/* SPDX-License-Identifier: MIT */
/*
 * test-arrival.c - which arrivals are new, and so stand in the log whatever else does
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/sessions/arrival.h"

#define SECOND UINT64_C(1000000000)
#define BEGIN (1000 * SECOND)
#define USER 1000

static const enum mempool_welcome_role member = MEMPOOL_WELCOME_MEMBER;

START_TEST(test_new_is_a_user_a_segment_or_a_role)
{
	ck_assert(arrival_is_new(USER, member, "a", BEGIN));
	ck_assert(!arrival_is_new(USER, member, "a", BEGIN));
	ck_assert(arrival_is_new(USER + 1, member, "a", BEGIN));
	ck_assert(arrival_is_new(USER, MEMPOOL_WELCOME_SPECTATOR, "a", BEGIN));
	ck_assert(arrival_is_new(USER, member, "b", BEGIN));
	ck_assert(arrival_is_new(USER, member, "", BEGIN));
	ck_assert(!arrival_is_new(USER, member, "", BEGIN));
}
END_TEST

/* However often it comes meanwhile. */
START_TEST(test_new_again_ten_seconds_after_it_was_new)
{
	ck_assert(arrival_is_new(USER, member, "a", BEGIN));
	for (uint64_t i = 0; i < 10; i++)
		ck_assert(!arrival_is_new(USER, member, "a", BEGIN + i * SECOND));
	ck_assert(!arrival_is_new(USER, member, "a", BEGIN + 10 * SECOND - 1));
	ck_assert(arrival_is_new(USER, member, "a", BEGIN + 10 * SECOND));
	ck_assert(!arrival_is_new(USER, member, "a", BEGIN + 10 * SECOND));
}
END_TEST

START_TEST(test_new_are_so_many_and_no_more)
{
	for (uid_t i = 0; i < ARRIVALS_NEW; i++)
		ck_assert(arrival_is_new(USER + i, member, "a", BEGIN + i));
	ck_assert(!arrival_is_new(1, member, "a", BEGIN + SECOND));
	/* The place of the first one is free, and those of others are not. */
	ck_assert(arrival_is_new(1, member, "a", BEGIN + 10 * SECOND));
	ck_assert(!arrival_is_new(2, member, "a", BEGIN + 10 * SECOND));
	ck_assert(!arrival_is_new(USER + 1, member, "a", BEGIN + 10 * SECOND));
}
END_TEST

/* In one role or another, of as many segments as it likes. */
START_TEST(test_new_of_one_user_leave_room_for_others)
{
	char segment[16];

	for (unsigned int i = 0; i < 2 * ARRIVALS_NEW; i++) {
		snprintf(segment, sizeof(segment), "s%u", i);
		ck_assert_int_eq(arrival_is_new(USER, member, segment, BEGIN),
				 i < ARRIVALS_NEW_OF_USER);
	}
	ck_assert(arrival_is_new(USER + 1, member, "a", BEGIN));
	/* And for itself, later. */
	ck_assert(arrival_is_new(USER, member, "a", BEGIN + 10 * SECOND));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("arrival");
	TCase *tcase = tcase_create("arrival");
	SRunner *runner;
	int n_failed;

	tcase_add_test(tcase, test_new_is_a_user_a_segment_or_a_role);
	tcase_add_test(tcase, test_new_again_ten_seconds_after_it_was_new);
	tcase_add_test(tcase, test_new_are_so_many_and_no_more);
	tcase_add_test(tcase, test_new_of_one_user_leave_room_for_others);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
