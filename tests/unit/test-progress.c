/* SPDX-License-Identifier: MIT */
/* test-progress.c - the bar at a terminal of any width */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/progress.h"

#define GIB (UINT64_C(1) << 30)

static char text[PROGRESS_TEXT_BYTES];

START_TEST(test_bar_says_how_far_it_is)
{
	progress_format(text, 120, "default", 2 * GIB, 4 * GIB, GIB);
	ck_assert_str_eq(text, "mempoold: segment 'default': "
			       "[####################....................]  50%, "
			       "2.0 GiB of 4.0 GiB, 1.0 GiB/s");
	progress_format(text, 120, "default", 1, 4 * GIB, 0);
	ck_assert_ptr_nonnull(strstr(text, "[........................................]   0%"));
	progress_format(text, 120, "default", 4 * GIB, 4 * GIB, 0);
	ck_assert_ptr_nonnull(strstr(text, "[########################################] 100%"));
}
END_TEST

START_TEST(test_bar_never_fills_a_line)
{
	static const char *const names[] = { "a", "abcdefghijklmnopqrstuvwxyz01234" };

	for (unsigned int columns = 1; columns < 300; columns++) {
		for (int i = 0; i < 2; i++) {
			progress_format(text, columns, names[i], 1000 * GIB, 1023 * GIB,
					1023 * GIB - 1);
			ck_assert_uint_lt(strlen(text), columns);
			/* A bar is whole, or it is left out. */
			if (columns >= 20 && !strchr(text, '['))
				ck_assert_ptr_null(strchr(text, ']'));
			if (columns >= 120)
				ck_assert_ptr_nonnull(strstr(text, "] "));
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("progress");
	TCase *tcase = tcase_create("progress");
	SRunner *runner;
	int n_failed;

	tcase_add_test(tcase, test_bar_says_how_far_it_is);
	tcase_add_test(tcase, test_bar_never_fills_a_line);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
