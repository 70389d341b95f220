/* SPDX-License-Identifier: MIT */
/* test-sigbus.c - pages that are gone read as zeros where they are watched, else kill */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shm/sigbus.h"

/* Three pages of a file, "abc" at the start of the second. */
static unsigned char *map_file(int *ret_fd)
{
	int fd = memfd_create("test-sigbus", MFD_CLOEXEC);
	void *bytes;

	ck_assert_int_eq(ftruncate(fd, 3 * 4096), 0);
	ck_assert_int_eq(pwrite(fd, "abc", 3, 4096), 3);
	bytes = mmap(NULL, 3 * 4096, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(bytes, MAP_FAILED);
	ck_assert_int_eq(sigbus_init(), 0);
	*ret_fd = fd;
	return bytes;
}

/* Volatile: the file changes behind the compiler's back. */
static unsigned char look(const volatile unsigned char *byte)
{
	return *byte;
}

START_TEST(test_sigbus_lost_pages_read_as_zeros_and_are_told)
{
	struct sigbus_range range, other = { .base = NULL };
	int fd;
	unsigned char *bytes = map_file(&fd);

	sigbus_watch(&range, bytes, 3 * 4096);
	sigbus_watch(&other, &range, sizeof(range));
	ck_assert_int_eq(look(bytes + 4096), 'a');
	ck_assert(!sigbus_was_hit(&range));

	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	ck_assert_int_eq(look(bytes + 4096), 0);
	ck_assert_int_eq(look(bytes + 2 * 4096), 0);
	ck_assert(sigbus_was_hit(&range));
	ck_assert(!sigbus_was_hit(&other));
}
END_TEST

START_TEST(test_sigbus_that_was_blocked_is_no_end)
{
	struct sigbus_range range;
	unsigned char *bytes;
	sigset_t all;
	int fd;

	sigfillset(&all);
	ck_assert_int_eq(sigprocmask(SIG_BLOCK, &all, NULL), 0);
	bytes = map_file(&fd);
	sigbus_watch(&range, bytes, 3 * 4096);
	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	ck_assert_int_eq(look(bytes + 4096), 0);
	ck_assert(sigbus_was_hit(&range));
}
END_TEST

START_TEST(test_sigbus_elsewhere_kills)
{
	struct sigbus_range range;
	int fd;
	unsigned char *bytes = map_file(&fd);

	sigbus_watch(&range, bytes, 4096);
	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	ck_assert_int_eq(look(bytes + 4096), 0);
}
END_TEST

START_TEST(test_sigbus_no_longer_watched_kills)
{
	struct sigbus_range range;
	int fd;
	unsigned char *bytes = map_file(&fd);

	sigbus_watch(&range, bytes, 3 * 4096);
	sigbus_unwatch(&range);
	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	ck_assert_int_eq(look(bytes + 4096), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sigbus");
	TCase *tcase = tcase_create("sigbus");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	tcase_add_test(tcase, test_sigbus_lost_pages_read_as_zeros_and_are_told);
	tcase_add_test(tcase, test_sigbus_that_was_blocked_is_no_end);
	tcase_add_test_raise_signal(tcase, test_sigbus_elsewhere_kills, SIGBUS);
	tcase_add_test_raise_signal(tcase, test_sigbus_no_longer_watched_kills, SIGBUS);
	suite_add_tcase(suite, tcase);

	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
