/* SPDX-License-Identifier: MIT */
/* test-quota.c - units of clients: who gets one, and what connections that are over cost */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "daemon/base/quota.h"

enum { MAX = 40, MAX_PER_USER = 20, MANY_ENDS = 16, ALICE = 1000, BOB = 1001 };

static struct quota quota;
static struct quota_unit units[4 * MAX];
static size_t n_units;

static void setup(void)
{
	quota_init(&quota, MAX, MAX_PER_USER);
	n_units = 0;
}

static void give_all_back(void)
{
	while (n_units > 0)
		quota_put(&units[--n_units]);
}

static void teardown(void)
{
	give_all_back();
	quota_deinit(&quota);
}

static int take(uid_t uid)
{
	int r = quota_take(&quota, uid, &units[n_units]);

	n_units += r == 0;
	return r;
}

static void take_ends(uid_t uid, unsigned int n)
{
	while (n-- > 0)
		ck_assert_int_eq(quota_take_end(&quota, uid, &units[n_units++]), 0);
}

START_TEST(test_quota_limit_of_one_user_is_his_alone)
{
	for (int i = 0; i < MAX_PER_USER; i++)
		ck_assert_int_eq(take(ALICE), 0);
	ck_assert_int_eq(take(ALICE), -EDQUOT);
	ck_assert_int_eq(take(BOB), 0);
	quota_put(&units[0]);
	/* Twice is once. */
	quota_put(&units[0]);
	ck_assert_int_eq(take(ALICE), 0);
	ck_assert_int_eq(take(ALICE), -EDQUOT);
}
END_TEST

START_TEST(test_quota_limit_of_all)
{
	for (int i = 0; i < MAX; i++)
		ck_assert_int_eq(take(ALICE + (uid_t)i / MAX_PER_USER), 0);
	ck_assert_int_eq(take(ALICE + 2), -EUSERS);
	quota_put(&units[0]);
	ck_assert_int_eq(take(ALICE + 2), 0);
}
END_TEST

START_TEST(test_quota_lower_limits_send_nobody_away)
{
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(take(ALICE), 0);
	quota_set_limits(&quota, MAX, 2);
	ck_assert_int_eq(take(ALICE), -EDQUOT);
	quota_put(&units[0]);
	ck_assert_int_eq(take(ALICE), -EDQUOT);
	quota_put(&units[1]);
	ck_assert_int_eq(take(ALICE), 0);
}
END_TEST

START_TEST(test_quota_who_is_there_already_is_counted)
{
	for (int i = 0; i < MAX_PER_USER + 1; i++)
		ck_assert_int_eq(quota_take_anyway(&quota, ALICE, &units[n_units++]), 0);
	ck_assert_int_eq(take(ALICE), -EDQUOT);
}
END_TEST

START_TEST(test_quota_move_is_no_second_unit)
{
	struct quota_unit other = { .user = NULL };

	ck_assert_int_eq(take(ALICE), 0);
	ck_assert_int_eq(quota_take(&quota, BOB, &other), 0);
	/* What Bob had is given back. */
	quota_move(&other, &units[0]);
	ck_assert_ptr_null(units[0].user);
	quota_put(&units[0]);
	ck_assert_uint_eq(other.user->uid, ALICE);
	quota_put(&other);
}
END_TEST

START_TEST(test_quota_end_stays_an_end_where_it_moves)
{
	struct quota_unit other = { .user = NULL };

	take_ends(ALICE, MANY_ENDS);
	quota_move(&other, &units[0]);
	ck_assert(quota_has_many_ends(&quota, ALICE));
	quota_put(&other);
	ck_assert(!quota_has_many_ends(&quota, ALICE));
}
END_TEST

START_TEST(test_quota_ends_are_many_from_16_on)
{
	take_ends(ALICE, MANY_ENDS - 1);
	ck_assert(!quota_has_many_ends(&quota, ALICE));
	ck_assert(!quota_has_many_ends(&quota, BOB));
	take_ends(ALICE, 1);
	ck_assert(quota_has_many_ends(&quota, ALICE));
	ck_assert(!quota_has_many_ends(&quota, BOB));
	quota_put(&units[0]);
	ck_assert(!quota_has_many_ends(&quota, ALICE));
}
END_TEST

START_TEST(test_quota_many_ends_get_no_unit)
{
	take_ends(ALICE, MANY_ENDS);
	ck_assert_int_eq(take(ALICE), -EDQUOT);
	/* Who is a client already stays one. */
	ck_assert_int_eq(quota_take_anyway(&quota, ALICE, &units[n_units++]), 0);
	ck_assert_int_eq(take(BOB), 0);
	quota_put(&units[0]);
	ck_assert_int_eq(take(ALICE), 0);
}
END_TEST

START_TEST(test_quota_ends_of_one_user_keep_nobody_else_out)
{
	take_ends(ALICE, 3 * MAX);
	for (int i = 0; i < MAX - MAX_PER_USER; i++)
		ck_assert_int_eq(take(BOB), 0);
	/* Alice counts as what one user may have. */
	ck_assert_int_eq(take(BOB + 1), -EUSERS);
}
END_TEST

START_TEST(test_quota_clients_beyond_a_lower_limit_count_for_all)
{
	for (int i = 0; i < MAX_PER_USER; i++)
		ck_assert_int_eq(take(ALICE), 0);
	take_ends(ALICE, 5);
	quota_set_limits(&quota, MAX_PER_USER, 4);
	/* Her ends count for nobody else now, her clients do. */
	ck_assert_int_eq(take(BOB), -EUSERS);
	quota_put(&units[0]);
	ck_assert_int_eq(take(BOB), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("quota");
	TCase *tcase = tcase_create("quota");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_quota_limit_of_one_user_is_his_alone);
	tcase_add_test(tcase, test_quota_limit_of_all);
	tcase_add_test(tcase, test_quota_lower_limits_send_nobody_away);
	tcase_add_test(tcase, test_quota_who_is_there_already_is_counted);
	tcase_add_test(tcase, test_quota_move_is_no_second_unit);
	tcase_add_test(tcase, test_quota_end_stays_an_end_where_it_moves);
	tcase_add_test(tcase, test_quota_ends_are_many_from_16_on);
	tcase_add_test(tcase, test_quota_many_ends_get_no_unit);
	tcase_add_test(tcase, test_quota_ends_of_one_user_keep_nobody_else_out);
	tcase_add_test(tcase, test_quota_clients_beyond_a_lower_limit_count_for_all);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
