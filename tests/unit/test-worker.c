/* SPDX-License-Identifier: MIT */
/* test-worker.c - a thread beside the loop: that it ends, and that nobody waits where it does not */
#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/base/worker.h"

static struct worker worker;
static struct event_base *base;
static int fds[2];
static unsigned int n_done;

static void setup(void)
{
	base = event_base_new();
	ck_assert_ptr_nonnull(base);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
}

static void teardown(void)
{
	event_base_free(base);
}

/* Until it is told to end. */
static void work(void *userdata)
{
	char byte;

	(void)userdata;
	ck_assert_int_eq(read(fds[0], &byte, 1), 1);
}

static void done(void *userdata)
{
	(void)userdata;
	n_done++;
}

static void start(void)
{
	ck_assert_int_eq(worker_start(&worker, base, work, done, NULL), 0);
}

static void let_it_end(void)
{
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
}

START_TEST(test_work_that_is_over_is_told)
{
	start();
	let_it_end();
	ck_assert_int_eq(event_base_dispatch(base), 1);
	ck_assert_uint_eq(n_done, 1);
	ck_assert(worker_stop(&worker));
}
END_TEST

START_TEST(test_stop_waits_for_work_that_ends)
{
	start();
	let_it_end();
	ck_assert(worker_stop(&worker));
	ck_assert(!worker.is_running);
	ck_assert_int_eq(event_base_loop(base, EVLOOP_NONBLOCK), 1);
	ck_assert_uint_eq(n_done, 0);
}
END_TEST

/* Had it waited, the test would not end. */
START_TEST(test_stop_gives_up_on_work_that_hangs)
{
	start();
	ck_assert(!worker_stop(&worker));
	ck_assert(worker.is_running);
	let_it_end();
	ck_assert(worker_stop(&worker));
	ck_assert(worker_stop(&worker));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("worker");
	TCase *tcase = tcase_create("worker");
	SRunner *runner;
	int n_failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_work_that_is_over_is_told);
	tcase_add_test(tcase, test_stop_waits_for_work_that_ends);
	tcase_add_test(tcase, test_stop_gives_up_on_work_that_hangs);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
