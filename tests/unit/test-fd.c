/* SPDX-License-Identifier: MIT */
/* test-fd.c - descriptors stay out of 0 to 2; each case has its own closed ones */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shm/fd.h"

/* Check prints through its own descriptors only when the case is over. */
static void close_these(unsigned int which)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (which >> fd & 1)
			close(fd);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int new_socket(void)
{
	return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

START_TEST(test_above_stdio_moves_what_is_below_3)
{
	unsigned int closed = (unsigned int)_i;
	bool was_open[3];
	int fd;

	close_these(closed);
	for (int i = 0; i < 3; i++)
		was_open[i] = is_open(i);
	fd = fd_above_stdio(new_socket());
	if (fd <= STDERR_FILENO || !(fcntl(fd, F_GETFD) & FD_CLOEXEC))
		_exit(1);
	/* As before: nothing of it is left there. */
	for (int i = 0; i < 3; i++)
		if (is_open(i) != was_open[i])
			_exit(2);
	_exit(0);
}
END_TEST

START_TEST(test_above_stdio_keeps_errors)
{
	errno = ENFILE;
	ck_assert_int_eq(fd_above_stdio(-1), -1);
	ck_assert_int_eq(errno, ENFILE);
}
END_TEST

START_TEST(test_above_stdio_no_number_left_emfile)
{
	const struct rlimit none = { .rlim_cur = 4, .rlim_max = 4 };
	int fd;

	close_these(2);
	fd = new_socket();
	if (fd != STDOUT_FILENO || dup2(fd, 3) != 3 || setrlimit(RLIMIT_NOFILE, &none) < 0)
		_exit(1);
	if (fd_above_stdio(fd) != -1 || errno != EMFILE || is_open(STDOUT_FILENO))
		_exit(2);
	_exit(0);
}
END_TEST

START_TEST(test_hold_stdio_leaves_no_low_number)
{
	unsigned int closed = (unsigned int)_i;
	struct fd_stdio_hold hold;
	int fd;

	close_these(closed);
	fd_hold_stdio(&hold);
	if (hold.n != __builtin_popcount(closed))
		_exit(1);
	for (int i = 0; i < hold.n; i++)
		if (write(hold.fds[i], "x", 1) != -1 || errno != EBADF ||
		    read(hold.fds[i], &fd, 1) != -1 || errno != EBADF)
			_exit(2);
	fd = new_socket();
	fd_release_stdio(&hold);
	if (fd <= STDERR_FILENO)
		_exit(3);
	for (int i = 0; i < 3; i++)
		if ((closed >> i & 1) && is_open(i))
			_exit(4);
	_exit(0);
}
END_TEST

START_TEST(test_fill_stdio_opens_what_is_closed)
{
	unsigned int closed = (unsigned int)_i;
	int fd;

	close_these(closed);
	if (fd_fill_stdio() != 0)
		_exit(1);
	for (int i = 0; i < 3; i++)
		if (!is_open(i))
			_exit(2);
	/* What is printed is still lost with an error. */
	if ((closed & 2) && (write(STDOUT_FILENO, "x", 1) != -1 || errno != EBADF))
		_exit(3);
	fd = new_socket();
	_exit(fd > STDERR_FILENO ? 0 : 4);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fd");
	TCase *tcase = tcase_create("fd");
	SRunner *runner;
	int n_failed;

	/* Each set of closed ones. The exit statuses tell: what prints is closed. */
	tcase_add_loop_exit_test(tcase, test_above_stdio_moves_what_is_below_3, 0, 0, 8);
	tcase_add_test(tcase, test_above_stdio_keeps_errors);
	tcase_add_exit_test(tcase, test_above_stdio_no_number_left_emfile, 0);
	tcase_add_loop_exit_test(tcase, test_hold_stdio_leaves_no_low_number, 0, 0, 8);
	tcase_add_loop_exit_test(tcase, test_fill_stdio_opens_what_is_closed, 0, 0, 8);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
