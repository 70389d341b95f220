/* SPDX-License-Identifier: MIT */
/* test-writer.c - texts for a descriptor that takes none for a while, or not at all */
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/writer.h"

#define N_TEXTS 10000			/* more than the pipe and both buffers hold */

static struct writer writer = WRITER_NULL(-1);
static FILE *reader;			/* of the pipe that the writer writes to */
static size_t n_fill_bytes;		/* in the pipe before */

static void make_pipe(int flags)
{
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC | flags), 0);
	writer.fd = fds[1];
	reader = fdopen(fds[0], "r");
	ck_assert_ptr_nonnull(reader);
	setbuf(reader, NULL);
}

/* Until nothing fits; then it blocks again, unless it is not to. */
static void fill_pipe(void)
{
	int flags = fcntl(writer.fd, F_GETFL);
	char bytes[4096];
	ssize_t n;

	memset(bytes, '.', sizeof(bytes));
	fcntl(writer.fd, F_SETFL, flags | O_NONBLOCK);
	while ((n = write(writer.fd, bytes, sizeof(bytes))) > 0)
		n_fill_bytes += (size_t)n;
	fcntl(writer.fd, F_SETFL, flags);
}

static void drain_pipe(void)
{
	for (; n_fill_bytes > 0; n_fill_bytes--)
		ck_assert_int_eq(getc(reader), '.');
}

/* Until all is written, however long that takes on a machine that is busy. */
static void finish(void)
{
	do
		writer_finish(&writer);
	while (writer_is_behind(&writer));
}

static void put_number(unsigned int number)
{
	char text[64];

	snprintf(text, sizeof(text), "text number %u\n", number);
	writer_put(&writer, text);
}

static void expect_line(const char *expected)
{
	char line[256];

	ck_assert_ptr_nonnull(fgets(line, sizeof(line), reader));
	ck_assert_str_eq(line, expected);
}

/* The texts in their order from this one up to the end, or to a line of another kind. */
static unsigned int expect_numbers(unsigned int number, unsigned int end, char ret_line[static 256])
{
	char expected[64];

	for (ret_line[0] = '\0'; number < end; number++) {
		ck_assert_ptr_nonnull(fgets(ret_line, 256, reader));
		snprintf(expected, sizeof(expected), "text number %u\n", number);
		if (strcmp(ret_line, expected) != 0)
			break;
	}
	return number;
}

/* Had put waited, the test would not end. The limit of a test is for what hangs. */
START_TEST(test_put_full_pipe_counts_what_it_drops)
{
	unsigned int i, number = 0, n_dropped, n_lines = 0;
	char line[256], expected[256];

	make_pipe(0);
	fill_pipe();
	ck_assert_int_eq(writer_start(&writer, "prefix: "), 0);
	for (i = 0; i < N_TEXTS; i++)
		put_number(i);
	ck_assert(writer_is_behind(&writer));

	/* The count stands where the texts are missing: the next number is behind those. There
	 * are two if the thread came to take the first buffer when that was full already. */
	drain_pipe();
	while ((number = expect_numbers(number, N_TEXTS, line)) < N_TEXTS) {
		ck_assert_int_eq(sscanf(line, "prefix: %u messages were dropped", &n_dropped), 1);
		snprintf(expected, sizeof(expected),
			 "prefix: %u messages were dropped: standard error did not take them\n",
			 n_dropped);
		ck_assert_str_eq(line, expected);
		number += n_dropped;
		n_lines++;
	}
	ck_assert_uint_eq(number, N_TEXTS);
	ck_assert(n_lines == 1 || n_lines == 2);
	finish();

	/* Nothing is missing from then on. */
	writer_put(&writer, "behind it\n");
	expect_line("behind it\n");
}
END_TEST

START_TEST(test_put_failed_writes_are_counted)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC), pipe_fd;

	ck_assert_int_ge(fd, 0);
	make_pipe(0);
	pipe_fd = writer.fd;
	writer.fd = fd;
	ck_assert_int_eq(writer_start(&writer, ""), 0);
	for (unsigned int i = 0; i < 3; i++)
		put_number(i);
	finish();
	ck_assert_int_eq(dup2(pipe_fd, fd), fd);
	put_number(3);
	expect_line("3 messages were dropped: standard error did not take them\n");
	expect_line("text number 3\n");
}
END_TEST

START_TEST(test_put_reader_gone_ends_nobody)
{
	make_pipe(0);
	ck_assert_int_eq(writer_start(&writer, ""), 0);
	fclose(reader);
	for (unsigned int i = 0; i < 3; i++)
		put_number(i);
	finish();
}
END_TEST

/* Whoever shares the open file may have set it: nothing gets lost for it. */
START_TEST(test_put_nonblocking_descriptor_loses_nothing)
{
	char line[256];

	make_pipe(0);
	fill_pipe();
	fcntl(writer.fd, F_SETFL, O_NONBLOCK);
	ck_assert_int_eq(writer_start(&writer, ""), 0);
	for (unsigned int i = 0; i < 1000; i++)
		put_number(i);
	writer_put(&writer, "the end\n");
	drain_pipe();
	ck_assert_uint_eq(expect_numbers(0, 1000, line), 1000);
	expect_line("the end\n");
}
END_TEST

START_TEST(test_finish_full_pipe_ends)
{
	make_pipe(0);
	fill_pipe();
	ck_assert_int_eq(writer_start(&writer, ""), 0);
	put_number(0);
	writer_finish(&writer);
	ck_assert(writer_is_behind(&writer));
}
END_TEST

START_TEST(test_put_without_start_writes_at_once)
{
	struct pollfd poll_fd = { .events = POLLIN };

	make_pipe(0);
	poll_fd.fd = fileno(reader);
	ck_assert_int_eq(poll(&poll_fd, 1, 0), 0);
	put_number(0);
	ck_assert_int_eq(poll(&poll_fd, 1, 0), 1);
	expect_line("text number 0\n");
	ck_assert(!writer_is_behind(&writer));
	writer_finish(&writer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("writer");
	TCase *tcase = tcase_create("writer");
	SRunner *runner;
	int n_failed;

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, test_put_full_pipe_counts_what_it_drops);
	tcase_add_test(tcase, test_put_failed_writes_are_counted);
	tcase_add_test(tcase, test_put_reader_gone_ends_nobody);
	tcase_add_test(tcase, test_put_nonblocking_descriptor_loses_nothing);
	tcase_add_test(tcase, test_finish_full_pipe_ends);
	tcase_add_test(tcase, test_put_without_start_writes_at_once);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
