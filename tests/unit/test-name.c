/* SPDX-License-Identifier: MIT */
/* test-name.c - names of users: how often the name service is asked, whatever a segment names */
#include <check.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/name.h"
#include "shm/clock.h"

/* Of user 7 "seven\n", of others nothing. */
static unsigned int n_asked;

struct passwd *__wrap_getpwuid(uid_t uid);
struct passwd *__wrap_getpwuid(uid_t uid)
{
	static char name[] = "seven\n";
	static struct passwd user = { .pw_name = name };

	n_asked++;
	return uid == 7 ? &user : NULL;
}

static void must_be(uint32_t uid, const char *expected)
{
	char name[64];

	name_user(uid, name, sizeof(name));
	ck_assert_str_eq(name, expected);
}

START_TEST(test_name_is_asked_for_once)
{
	for (unsigned int i = 0; i < 100; i++) {
		must_be(7, "seven?");
		must_be(8, "8");
	}
	ck_assert_uint_le(n_asked, 2);
}
END_TEST

/* As many as a segment can name. */
START_TEST(test_name_of_too_many_at_once_is_a_number)
{
	int64_t begin_ns = clock_now_ns(), seconds;
	char expected[16];

	must_be(7, "seven?");
	for (uint32_t uid = 1000; uid < 33000; uid++) {
		snprintf(expected, sizeof(expected), "%u", uid);
		must_be(uid, expected);
	}
	seconds = (clock_now_ns() - begin_ns) / INT64_C(1000000000);
	ck_assert_int_le(n_asked, 64 * (seconds + 2));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("name");
	TCase *tcase = tcase_create("name");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_name_is_asked_for_once);
	tcase_add_test(tcase, test_name_of_too_many_at_once_is_a_number);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
