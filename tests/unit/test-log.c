/* SPDX-License-Identifier: MIT */
/*
 * test-log.c - what a text may do to the log, and how often
 *
 * Standard error is a pipe, and the clock is the test's.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"

#define SECOND UINT64_C(1000000000)

static uint64_t now_ns = 100 * SECOND;
static FILE *reader;

uint64_t __wrap_clock_monotonic_ns(void);

uint64_t __wrap_clock_monotonic_ns(void)
{
	return now_ns;
}

static void setup(void)
{
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	ck_assert_int_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	close(fds[1]);
	reader = fdopen(fds[0], "r");
	ck_assert_ptr_nonnull(reader);
	setbuf(reader, NULL);
	log_init(true);
}

static void teardown(void)
{
	fclose(reader);
}

static void expect_line(const char *expected)
{
	char line[2048], whole[2048];

	ck_assert_ptr_nonnull(fgets(line, sizeof(line), reader));
	snprintf(whole, sizeof(whole), "mempoold: %s\n", expected);
	ck_assert_str_eq(line, whole);
}

static void expect_nothing(void)
{
	ck_assert_int_eq(fgetc(reader), EOF);
	clearerr(reader);
}

START_TEST(test_text_is_one_line_and_printable)
{
	char kept[64];

	log_info("a '%s' b", "x\nmempoold: error: forged");
	expect_line("a 'x\\x0amempoold: error: forged' b");
	log_keep(kept, sizeof(kept), LOG_ERR);
	log_error("%s", "\r\033[2J\177\x9b\xc2\x9b\tend");
	log_keep(NULL, 0, 0);
	expect_line("error: \\x0d\\x1b[2J\\x7f\\x9b\\xc2\\x9b\tend");
	ck_assert_str_eq(kept, "\\x0d\\x1b[2J\\x7f\\x9b\\xc2\\x9b\tend");
	expect_nothing();
}
END_TEST

/* It grows, and is cut, and still is one line. */
START_TEST(test_text_of_control_characters_is_cut)
{
	char text[1024], line[4096];

	memset(text, '\n', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), reader));
	ck_assert_uint_gt(strlen(line), 1000);
	ck_assert_uint_lt(strlen(line), 1100);
	ck_assert_str_eq(line + strlen(line) - 5, "\\x0a\n");
	expect_nothing();
}
END_TEST

START_TEST(test_lines_of_our_own_stay_lines)
{
	char kept[64];

	log_keep(kept, sizeof(kept), LOG_ERR);
	log_lines(LOG_ERR, "file:1:2: \xc3\xbc\n\tquoted\n\t^");
	log_keep(NULL, 0, 0);
	expect_line("error: file:1:2: \xc3\xbc");
	expect_line("error: \tquoted");
	expect_line("error: \t^");
	ck_assert_str_eq(kept, "file:1:2: \xc3\xbc");
	expect_nothing();
}
END_TEST

START_TEST(test_limit_counts_what_it_leaves_out)
{
	static struct log_limit limit = LOG_LIMIT("things", 2);

	for (int i = 0; i < 5; i++)
		log_limited(&limit, LOG_WARNING, "thing %d", i);
	expect_line("warning: thing 0");
	expect_line("warning: thing 1");
	/* Not yet, whatever else is said. */
	now_ns += 10 * SECOND - 1;
	log_info("something else");
	expect_line("something else");
	expect_nothing();
	/* Then also if there never is one of them again, and once. */
	now_ns += 1;
	log_info("something else");
	expect_line("warning: 3 more lines on things were left out");
	expect_line("something else");
	log_limited(&limit, LOG_WARNING, "thing %d", 5);
	expect_line("warning: thing 5");
	now_ns += 20 * SECOND;
	log_limited(&limit, LOG_WARNING, "thing %d", 6);
	expect_line("warning: thing 6");
	expect_nothing();
}
END_TEST

START_TEST(test_limits_are_told_of_at_the_end)
{
	static struct log_limit things = LOG_LIMIT("things", 1), others = LOG_LIMIT("others", 1);

	for (int i = 0; i < 3; i++) {
		log_limited(&things, LOG_INFO, "thing");
		log_limited(&others, LOG_ERR, "other");
	}
	expect_line("thing");
	expect_line("error: other");
	expect_nothing();
	log_finish();
	expect_line("error: 2 more lines on others were left out");
	expect_line("2 more lines on things were left out");
	expect_nothing();
}
END_TEST

/* What the level leaves out is no line, so none is missing; and an error is kept all the same. */
START_TEST(test_limit_counts_no_line_below_the_level)
{
	static struct log_limit limit = LOG_LIMIT("things", 1);
	char kept[64];

	for (int i = 0; i < 3; i++)
		log_limited(&limit, LOG_DEBUG, "thing");
	log_finish();
	expect_nothing();
	log_limited(&limit, LOG_ERR, "one");
	expect_line("error: one");
	log_keep(kept, sizeof(kept), LOG_ERR);
	errno = EDOM;
	log_limited(&limit, LOG_ERR, "another one");
	ck_assert_int_eq(errno, EDOM);
	log_keep(NULL, 0, 0);
	ck_assert_str_eq(kept, "another one");
	expect_nothing();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log");
	TCase *tcase = tcase_create("log");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_text_is_one_line_and_printable);
	tcase_add_test(tcase, test_text_of_control_characters_is_cut);
	tcase_add_test(tcase, test_lines_of_our_own_stay_lines);
	tcase_add_test(tcase, test_limit_counts_what_it_leaves_out);
	tcase_add_test(tcase, test_limits_are_told_of_at_the_end);
	tcase_add_test(tcase, test_limit_counts_no_line_below_the_level);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
