/* SPDX-License-Identifier: MIT */
/* test-worker.c - a thread beside the loop: that it ends, and that nobody waits where it does not */
#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/jobs.h"
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

/* ---- jobs ---- */

enum { TAKING, GIVING, GIVING_MORE, N_JOBS };

static struct jobs jobs;
static struct job all[N_JOBS];
static char order[16];
static unsigned int n_stopped;
static unsigned int n_held;

static void note(char c)
{
	order[strlen(order)] = c;
}

static bool on_begin(struct job *job)
{
	note((char)('0' + (job - all)));
	return true;
}

static void on_work(struct job *job)
{
	(void)job;
	work(NULL);
}

static void on_done(struct job *job, int error)
{
	(void)job;
	ck_assert_int_eq(error, 0);
	n_done++;
}

static void on_stopped(struct job *job)
{
	(void)job;
	n_stopped++;
}

static void on_held(void *userdata)
{
	(void)userdata;
	note('h');
	n_held++;
}

static void setup_jobs(void)
{
	static const struct job_fns taking = {
		.begin = on_begin, .work = on_work, .done = on_done, .stopped = on_stopped,
	};
	static const struct job_fns giving = {
		.gives_memory = true,
		.begin = on_begin, .work = on_work, .done = on_done, .stopped = on_stopped,
	};

	setup();
	jobs_init(&jobs, base);
	for (int i = 0; i < N_JOBS; i++)
		all[i] = (struct job){ .fns = i == TAKING ? &taking : &giving };
	memset(order, 0, sizeof(order));
}

/* The one under way, and what follows at once. */
static void finish_one(void)
{
	unsigned int before = n_done;

	let_it_end();
	while (n_done == before)
		event_base_loop(base, EVLOOP_ONCE);
}

START_TEST(test_jobs_that_give_memory_go_first)
{
	jobs_ask(&jobs, &all[GIVING]);
	jobs_ask(&jobs, &all[TAKING]);
	jobs_ask(&jobs, &all[GIVING_MORE]);
	for (int i = 0; i < N_JOBS; i++)
		finish_one();
	ck_assert_str_eq(order, "120");
	ck_assert(jobs_stop(&jobs));
	ck_assert_uint_eq(n_stopped, 0);
}
END_TEST

START_TEST(test_jobs_are_held_when_memory_is_back)
{
	jobs_ask(&jobs, &all[GIVING]);
	jobs_ask(&jobs, &all[GIVING_MORE]);
	jobs_ask(&jobs, &all[TAKING]);
	jobs_hold(&jobs, on_held, NULL);
	finish_one();
	ck_assert_uint_eq(n_held, 0);
	finish_one();
	ck_assert_str_eq(order, "12h");
	/* What is given back meanwhile is not held. */
	jobs_ask(&jobs, &all[GIVING]);
	finish_one();
	ck_assert_str_eq(order, "12h1");
	jobs_release(&jobs);
	finish_one();
	ck_assert_str_eq(order, "12h10");
	ck_assert_uint_eq(n_held, 1);
}
END_TEST

/* What somebody has handed over is not lost. */
START_TEST(test_jobs_that_give_memory_are_told_of_the_stop)
{
	jobs_ask(&jobs, &all[GIVING]);
	jobs_ask(&jobs, &all[GIVING_MORE]);
	jobs_ask(&jobs, &all[TAKING]);
	let_it_end();
	ck_assert(jobs_stop(&jobs));
	ck_assert_uint_eq(n_stopped, 2);
	ck_assert_str_eq(order, "1");
	jobs_forget(&all[TAKING]);
	jobs_ask(&jobs, &all[GIVING]);
	ck_assert_uint_eq(n_stopped, 3);
	ck_assert_ptr_null(all[GIVING].jobs);
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
	tcase = tcase_create("jobs");
	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup_jobs, teardown);
	tcase_add_test(tcase, test_jobs_that_give_memory_go_first);
	tcase_add_test(tcase, test_jobs_are_held_when_memory_is_back);
	tcase_add_test(tcase, test_jobs_that_give_memory_are_told_of_the_stop);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
