/* SPDX-License-Identifier: MIT */
/* test-eventcount.c - who sleeps is woken, and who wakes nobody makes no system call */
#include "test_segment.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/seccomp.h>
#include <time.h>
#include <unistd.h>

#include "build_config.h"
#include "client/client.h"
#include "client/wait.h"
#include "shm/eventcount.h"
#include "support/control.h"

#define MS INT64_C(1000000)
#define SLICE_MS ((double)EVENTCOUNT_SLICE_NS / MS)

static struct mempool_eventcount eventcount;

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 * MS + now.tv_nsec;
}

START_TEST(test_eventcount_wake_before_sleep_is_not_lost)
{
	uint32_t prepared = eventcount_prepare(&eventcount);
	struct control control;

	control_start(&control);
	ck_assert(eventcount_is_armed(&eventcount));
	eventcount_wake(&eventcount);
	ck_assert(!eventcount_is_armed(&eventcount));
	ck_assert_uint_ne(eventcount.sequence, prepared);
	ck_assert_int_eq(eventcount_sleep(&eventcount, prepared, 500 * MS), 0);
	ck_assert_double_lt(control_stop(&control), 400);
}
END_TEST

/* A waker that is slow, or dead, or does not reach all, must not answer for the next one. */
START_TEST(test_eventcount_stays_armed_until_woken)
{
	uint32_t armed;

	eventcount_prepare(&eventcount);
	armed = eventcount_move(&eventcount);
	ck_assert(eventcount_is_armed(&eventcount));
	/* Somebody comes to sleep before the waker is done. */
	eventcount_prepare(&eventcount);
	eventcount_disarm(&eventcount, armed);
	ck_assert(eventcount_is_armed(&eventcount));
	eventcount_wake(&eventcount);
	ck_assert(!eventcount_is_armed(&eventcount));
	/* And one that is late finds what others have done. */
	eventcount_disarm(&eventcount, armed);
	ck_assert(!eventcount_is_armed(&eventcount));
}
END_TEST

START_TEST(test_eventcount_sleep_ends_with_its_timeout)
{
	int64_t begin = now_ns();
	struct control control;

	ck_assert_int_eq(eventcount_sleep(&eventcount, eventcount_prepare(&eventcount), 20 * MS),
			 0);
	ck_assert_int_ge(now_ns() - begin, 20 * MS);

	/* And with the slice, however long it was asked for. */
	control_start(&control);
	begin = now_ns();
	ck_assert_int_eq(eventcount_sleep(&eventcount, eventcount_prepare(&eventcount), -1), 0);
	ck_assert_int_ge(now_ns() - begin, EVENTCOUNT_SLICE_NS);
	ck_assert_double_lt(control_stop(&control), 10 * SLICE_MS);
}
END_TEST

START_TEST(test_eventcount_wake_of_nobody_changes_nothing)
{
	uint32_t sequence = eventcount.sequence;

	for (int i = 0; i < 100; i++)
		eventcount_wake(&eventcount);
	ck_assert_uint_eq(eventcount.sequence, sequence);
	eventcount_wake_slowly(&eventcount);
	ck_assert_uint_eq(eventcount.sequence, sequence + 1);
}
END_TEST

/* In strict seccomp any system call but read, write and exit is death. */
static int status_of_wake(uint32_t armed)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		eventcount.armed = armed;
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0)
			_exit(77);
		for (int i = 0; i < 100; i++)
			eventcount_wake(&eventcount);
		syscall(SYS_exit, 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

START_TEST(test_eventcount_wake_of_nobody_makes_no_system_call)
{
	int status = status_of_wake(0);

	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		printf("skipped: no seccomp here\n");
		return;
	}
	ck_assert_int_eq(status, 0);
	/* So it would have been seen. */
	status = status_of_wake(1);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
END_TEST

/* ---- two that take turns, each asleep while the other has it ---- */

enum { TURNS = MEMPOOL_SANITIZED ? 2000 : 20000 };

static _Atomic uint32_t turn;
static struct mempool_eventcount news[2];
static _Atomic uint32_t n_long;		/* sleeps as long as a slice: a wake was lost */

static void *take_turns(void *userdata)
{
	uint32_t me = *(uint32_t *)userdata;

	for (uint32_t i = me; i < TURNS; i += 2) {
		while (atomic_load(&turn) != i) {
			uint32_t prepared = eventcount_prepare(&news[me]);
			int64_t begin = now_ns();

			if (atomic_load(&turn) == i)
				break;
			eventcount_sleep(&news[me], prepared, -1);
			/* The other's turn may be long on a busy machine; but then it is over. */
			n_long += now_ns() - begin >= EVENTCOUNT_SLICE_NS &&
				  atomic_load(&turn) == i;
		}
		atomic_store(&turn, i + 1);
		eventcount_wake(&news[!me]);
	}
	return NULL;
}

START_TEST(test_eventcount_no_wake_is_lost)
{
	static uint32_t numbers[] = { 0, 1 };
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, take_turns, &numbers[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(turn, TURNS);
	ck_assert_uint_eq(n_long, 0);
}
END_TEST

/* ---- wait_for() ---- */

static struct mempool_header header;
static struct segment segment = { .header = &header };
static struct mempool_client client = { .segment = &segment };	/* with no descriptor */
static uint64_t n_wakes_seen;
static const struct wait_place place = {
	.client = &client,
	.eventcount = &eventcount,
	.n_wakes_seen = &n_wakes_seen,
};
static int n_tries, ready_at, retired_at;

static int try(void *userdata)
{
	(void)userdata;
	if (n_tries + 1 == retired_at)
		atomic_store(&header.state, MEMPOOL_SEGMENT_RETIRED);
	return ++n_tries >= ready_at ? 7 : -EAGAIN;
}

START_TEST(test_eventcount_wait_for_tries_as_told)
{
	ready_at = 1;
	ck_assert_int_eq(wait_for(&place, try, NULL, 0), 7);
	ck_assert_int_eq(n_tries, 1);
	ck_assert(!eventcount_is_armed(&eventcount));

	/* With 0 once, and nobody is announced; else once more after the announcement. */
	n_tries = 0;
	ready_at = 2;
	ck_assert_int_eq(wait_for(&place, try, NULL, 0), -EAGAIN);
	ck_assert_int_eq(n_tries, 1);
	ck_assert(!eventcount_is_armed(&eventcount));
	n_tries = 0;
	ck_assert_int_eq(wait_for(&place, try, NULL, -1), 7);
	ck_assert_int_eq(n_tries, 2);
	ck_assert(eventcount_is_armed(&eventcount));

	ready_at = 1000;
	ck_assert_int_eq(wait_for(&place, try, NULL, 5 * MS), -EAGAIN);
}
END_TEST

START_TEST(test_eventcount_wait_for_ends_when_the_segment_is_retired)
{
	struct control control;

	control_start(&control);
	/* In the look after the announcement, which is the last one before a sleep. */
	atomic_store(&header.state, MEMPOOL_SEGMENT_READY);
	ready_at = 1000;
	retired_at = 2;
	ck_assert_int_eq(wait_for(&place, try, NULL, -1), -EAGAIN);
	ck_assert_int_eq(n_tries, 2);
	ck_assert_double_lt(control_stop(&control), SLICE_MS / 2);
}
END_TEST

START_TEST(test_eventcount_wait_for_in_a_retired_segment_is_short)
{
	struct control control;
	int64_t begin;

	atomic_store(&header.state, MEMPOOL_SEGMENT_RETIRED);
	ready_at = 1000;
	for (int i = 0; i < 2; i++) {
		control_start(&control);
		begin = now_ns();
		ck_assert_int_eq(wait_for(&place, try, NULL, i ? 100 * EVENTCOUNT_SLICE_NS : -1),
				 -EAGAIN);
		/* But not so short that whoever tries again and again keeps a processor busy. */
		ck_assert_int_ge(now_ns() - begin, EVENTCOUNT_SLICE_NS);
		ck_assert_double_lt(control_stop(&control), 3 * SLICE_MS);
	}
	control_start(&control);
	ck_assert_int_eq(wait_for(&place, try, NULL, 5 * MS), -EAGAIN);
	ck_assert_double_lt(control_stop(&control), SLICE_MS / 2);
	/* What is there, is had. */
	n_tries = 0;
	ready_at = 2;
	ck_assert_int_eq(wait_for(&place, try, NULL, -1), 7);
}
END_TEST

/* ---- a wake in parts ---- */

enum { N_SLEEPERS = 100 };

struct crowd {
	pthread_t threads[N_SLEEPERS];
	_Atomic uint64_t n_woken;
	_Atomic bool is_over;
};

/* Sleeps again at once. */
static void *sleep_on_and_on(void *userdata)
{
	struct crowd *crowd = userdata;

	while (!atomic_load(&crowd->is_over)) {
		eventcount_sleep(&eventcount, eventcount_prepare(&eventcount), -1);
		atomic_fetch_add(&crowd->n_woken, 1);
	}
	return NULL;
}

/* Return: the steps of one wake, with time between them to sleep again. */
static unsigned int wake_in_steps(void)
{
	struct eventcount_wake wake = { .phase = EVENTCOUNT_MOVES };
	unsigned int n = 1;

	for (; eventcount_wake_on(&eventcount, &wake); n++)
		usleep(2000);
	ck_assert_uint_eq(wake.phase, EVENTCOUNT_MOVES);
	ck_assert_uint_eq(wake.n, 0);
	return n;
}

/* A few at a time; all who slept, and nobody twice, though each sleeps again at once. */
START_TEST(test_eventcount_wake_in_parts_meets_each_once)
{
	/* To gather them, to wake so many each, and to find that there are no more. */
	const unsigned int most = 1 + N_SLEEPERS / EVENTCOUNT_WOKEN + 1;
	struct crowd crowd = { .is_over = false };
	unsigned int n, tries = 0;
	uint64_t before;

	for (int i = 0; i < N_SLEEPERS; i++)
		ck_assert_int_eq(pthread_create(&crowd.threads[i], NULL, sleep_on_and_on, &crowd),
				 0);
	/* Until all of them slept. */
	do {
		usleep(10000);
		before = atomic_load(&crowd.n_woken);
		n = wake_in_steps();
		ck_assert_uint_le(n, most);
		ck_assert_uint_lt(tries++, 1000);
	} while (n < most);
	while (atomic_load(&crowd.n_woken) < before + N_SLEEPERS)
		usleep(1000);
	atomic_store(&crowd.is_over, true);
	wake_in_steps();
	for (int i = 0; i < N_SLEEPERS; i++)
		pthread_join(crowd.threads[i], NULL);
	ck_assert(eventcount_is_armed(&eventcount));
}
END_TEST

START_TEST(test_eventcount_wake_in_parts_of_nobody_is_one_step)
{
	uint32_t sequence = eventcount.sequence;

	ck_assert_uint_eq(wake_in_steps(), 1);
	ck_assert_uint_eq(eventcount.sequence, sequence + 1);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_test(tcase, test_eventcount_wake_in_parts_meets_each_once);
	tcase_add_test(tcase, test_eventcount_wake_in_parts_of_nobody_is_one_step);
	tcase_add_test(tcase, test_eventcount_wake_before_sleep_is_not_lost);
	tcase_add_test(tcase, test_eventcount_stays_armed_until_woken);
	tcase_add_test(tcase, test_eventcount_sleep_ends_with_its_timeout);
	tcase_add_test(tcase, test_eventcount_wake_of_nobody_changes_nothing);
	/* A sanitizer's run-time makes system calls of its own, and its threads outlive the kill. */
	if (!MEMPOOL_SANITIZED)
		tcase_add_test(tcase, test_eventcount_wake_of_nobody_makes_no_system_call);
	tcase_add_test(tcase, test_eventcount_no_wake_is_lost);
	tcase_add_test(tcase, test_eventcount_wait_for_tries_as_told);
	tcase_add_test(tcase, test_eventcount_wait_for_ends_when_the_segment_is_retired);
	tcase_add_test(tcase, test_eventcount_wait_for_in_a_retired_segment_is_short);
}

int main(void)
{
	return test_run("eventcount", add_tests);
}
