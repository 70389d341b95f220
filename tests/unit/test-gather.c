/* SPDX-License-Identifier: MIT */
/*
 * test-gather.c - what is kept of a daemon that says nothing, and for how long
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ctl/gather.h"

#define NOW (UINT64_C(5) * 1000000000)

static struct gather_past past;
static int shm_fd, memfd;
static char object[64];			/* its name is all that says that it still is somebody's */

/* As the daemon passes them: an object of /dev/shm, a sealed memfd, and one that was not passed. */
static struct observed *pass(void)
{
	struct observed *segments = calloc(3, sizeof(*segments));

	ck_assert_ptr_nonnull(segments);
	snprintf(object, sizeof(object), "/dev/shm/test-gather.XXXXXX");
	shm_fd = mkostemp(object, O_CLOEXEC);
	ck_assert_int_ge(shm_fd, 0);
	memfd = memfd_create("test-gather", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_ge(memfd, 0);
	ck_assert_int_eq(fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	segments[0].fd = shm_fd;
	segments[1].fd = memfd;
	segments[2].fd = -1;
	return segments;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void setup(void)
{
	past = (struct gather_past){ .n = 0 };
	gather_past_note(&past, 0, pass(), 3, NOW);
}

static void teardown(void)
{
	unlink(object);
	gather_past_deinit(&past);
	ck_assert(!is_open(shm_fd) && !is_open(memfd));
}

START_TEST(test_past_is_kept_for_an_hour_of_silence)
{
	gather_past_note(&past, -ENOTCONN, NULL, 0, NOW);
	ck_assert_int_gt(past.away_ms, 0);
	gather_past_note(&past, -ETIMEDOUT, NULL, 0, NOW + GATHER_KEEP_NS - 1);
	ck_assert_uint_eq(past.n, 3);
	ck_assert(is_open(shm_fd) && is_open(memfd));
	gather_past_note(&past, -ENOTCONN, NULL, 0, NOW + GATHER_KEEP_NS);
	ck_assert_uint_eq(past.n, 0);
	unlink(object);
}
END_TEST

/* The hour begins with the silence, not with the last answer; and each silence has its own. */
START_TEST(test_past_counts_each_silence)
{
	uint64_t later = NOW + 2 * GATHER_KEEP_NS;
	int before = shm_fd;

	gather_past_note(&past, -ECONNRESET, NULL, 0, later);
	ck_assert_uint_eq(past.n, 3);
	unlink(object);
	gather_past_note(&past, 0, pass(), 3, later + 1);
	ck_assert_int_ne(shm_fd, before);
	ck_assert(!is_open(before));
	ck_assert_int_eq(past.away_ms, 0);
	gather_past_note(&past, -ENOTCONN, NULL, 0, later + GATHER_KEEP_NS);
	ck_assert_uint_eq(past.n, 3);
}
END_TEST

START_TEST(test_past_of_a_removed_object_is_gone)
{
	unlink(object);
	gather_past_note(&past, -ENOTCONN, NULL, 0, NOW);
	ck_assert_uint_eq(past.n, 2);
	ck_assert(!is_open(shm_fd) && is_open(memfd));
}
END_TEST

START_TEST(test_past_of_who_is_refused_is_gone)
{
	unlink(object);
	gather_past_note(&past, -EACCES, NULL, 0, NOW);
	ck_assert_uint_eq(past.n, 0);
}
END_TEST

/* Names none any more: what it names is all there is. */
START_TEST(test_past_that_is_not_named_is_gone)
{
	unlink(object);
	gather_past_note(&past, -ENOTCONN, NULL, 0, NOW);
	gather_past_note(&past, 0, NULL, 0, NOW + 1);
	ck_assert_uint_eq(past.n, 0);
	ck_assert(!is_open(memfd));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("gather");
	TCase *tcase = tcase_create("gather");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_past_is_kept_for_an_hour_of_silence);
	tcase_add_test(tcase, test_past_counts_each_silence);
	tcase_add_test(tcase, test_past_of_a_removed_object_is_gone);
	tcase_add_test(tcase, test_past_of_who_is_refused_is_gone);
	tcase_add_test(tcase, test_past_that_is_not_named_is_gone);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
