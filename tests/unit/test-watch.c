/* SPDX-License-Identifier: MIT */
/* test-watch.c - one descriptor for a process, whatever it has; and none lost for want of one */
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/counters.h"
#include "daemon/segments/watch.h"
#include "test_segment.h"

enum { N_RECORDS = 1000 };

struct record {
	struct watched watched;
	unsigned int n_died;
	unsigned int n_blind;
	int error;
};

static struct event_base *base;
static struct chores chores;
static struct origin origin;
static struct counters counters;
static struct watches watches;
static struct record records[N_RECORDS];
static unsigned int n_told;		/* in this turn of the loop */

static struct record *record_of(struct watched *watched)
{
	return (struct record *)((char *)watched - offsetof(struct record, watched));
}

static void on_died(struct watched *watched)
{
	record_of(watched)->n_died++;
	n_told++;
	watch_leave(watched);
}

static void on_blind(struct watched *watched, int error)
{
	record_of(watched)->n_blind++;
	record_of(watched)->error = error;
}

static const struct watched_fns fns = { on_died, on_blind };

static void setup(void)
{
	base = event_base_new();
	ck_assert_ptr_nonnull(base);
	origin_init(&origin);
	/* A step a turn. */
	chores_init(&chores, base, 0);
	watches_init(&watches, base, &chores, &origin, &counters);
	for (int i = 0; i < N_RECORDS; i++)
		records[i].watched.tell = &fns;
}

static void teardown(void)
{
	for (int i = 0; i < N_RECORDS; i++)
		watch_leave(&records[i].watched);
	ck_assert_uint_eq(counters.n_reaping, 0);
	watches_deinit(&watches);
	chores_deinit(&chores);
	event_base_free(base);
}

static pid_t start_process(struct process *ret_process)
{
	pid_t pid = fork();
	int pidfd;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		alarm(600);
		pause();
		_exit(0);
	}
	*ret_process = (struct process){ .pid = pid, .origin = origin };
	ck_assert_int_eq(origin_start_time(pid, &ret_process->start_time), 0);
	ck_assert_int_eq(process_open(ret_process, &origin, &pidfd), 0);
	ret_process->inode = process_inode(pidfd);
	close(pidfd);
	return pid;
}

static void end_process(pid_t pid)
{
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

static unsigned int count_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned int n = 0;

	ck_assert_ptr_nonnull(folder);
	while (readdir(folder))
		n++;
	closedir(folder);
	return n;
}

static void turn(void)
{
	n_told = 0;
	event_base_loop(base, EVLOOP_ONCE);
}

START_TEST(test_watch_one_descriptor_for_all_records_of_a_process)
{
	struct process process;
	pid_t pid = start_process(&process);
	unsigned int before = count_fds();

	for (int i = 0; i < N_RECORDS; i++)
		ck_assert_int_eq(watch_join(&watches, &records[i].watched, &process, NULL), 0);
	ck_assert_uint_eq(count_fds(), before + 1);
	for (int i = 0; i < N_RECORDS; i++)
		ck_assert(watch_sees(&records[i].watched));

	/* The first one that leaves takes it from nobody. */
	watch_leave(&records[0].watched);
	end_process(pid);
	do {
		turn();
		ck_assert_uint_le(n_told, 1);
	} while (records[N_RECORDS - 1].n_died == 0);
	ck_assert_uint_eq(records[0].n_died, 0);
	for (int i = 1; i < N_RECORDS; i++)
		ck_assert_uint_eq(records[i].n_died, 1);
	ck_assert_uint_eq(count_fds(), before);
}
END_TEST

/* All count as about to be free from the moment on at which the process is seen to be dead. */
START_TEST(test_watch_of_the_dead_counts_them_until_they_leave)
{
	struct process process;
	pid_t pid = start_process(&process);

	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(watch_join(&watches, &records[i].watched, &process, NULL), 0);
	end_process(pid);
	while (counters.n_reaping == 0)
		turn();
	ck_assert_uint_ge(counters.n_reaping, 9);
	/* One that says goodbye meanwhile, and one that comes. */
	watch_leave(&records[9].watched);
	ck_assert_int_eq(watch_join(&watches, &records[10].watched, &process, NULL), 0);
	while (records[10].n_died == 0)
		turn();
	ck_assert_uint_eq(records[9].n_died, 0);
	ck_assert_uint_eq(counters.n_reaping, 0);
	ck_assert_int_eq(watch_join(&watches, &records[0].watched, &process, NULL), -ESRCH);
}
END_TEST

START_TEST(test_watch_without_descriptors_is_tried_again)
{
	struct rlimit limit, none;
	struct process process;
	pid_t pid = start_process(&process);

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(watch_join(&watches, &records[i].watched, &process, NULL), 0);
		ck_assert(!watch_sees(&records[i].watched));
		ck_assert_int_eq(records[i].error, -EMFILE);
	}
	/* The first one that leaves is the one whose turn it is to be told. */
	while (records[0].n_blind == 1)
		turn();
	watch_leave(&records[1].watched);
	while (records[2].n_blind == 1)
		turn();
	ck_assert_uint_eq(records[1].n_blind, 1);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while (!watch_sees(&records[0].watched))
		turn();
	ck_assert(watch_sees(&records[2].watched));
	end_process(pid);
	while (records[2].n_died == 0)
		turn();
	ck_assert_uint_eq(records[0].n_died, 1);
}
END_TEST

/* A process that comes back has a descriptor along, for all of its records. */
START_TEST(test_watch_sees_by_a_descriptor_that_is_brought)
{
	struct rlimit limit, none;
	struct process process;
	pid_t pid = start_process(&process);
	int pidfd, other;

	ck_assert_int_eq(process_open(&process, &origin, &pidfd), 0);
	other = dup(pidfd);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_int_eq(watch_join(&watches, &records[0].watched, &process, NULL), 0);
	ck_assert(!watch_sees(&records[0].watched));
	ck_assert_int_eq(watch_join(&watches, &records[1].watched, &process, &pidfd), 0);
	ck_assert_int_eq(pidfd, -1);
	ck_assert(watch_sees(&records[0].watched));
	ck_assert_int_eq(watch_join(&watches, &records[2].watched, &process, &other), 0);
	ck_assert_int_ge(other, 0);
	close(other);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	end_process(pid);
	while (records[2].n_died == 0)
		turn();
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_watch_one_descriptor_for_all_records_of_a_process);
	tcase_add_test(tcase, test_watch_of_the_dead_counts_them_until_they_leave);
	tcase_add_test(tcase, test_watch_without_descriptors_is_tried_again);
	tcase_add_test(tcase, test_watch_sees_by_a_descriptor_that_is_brought);
}

int main(void)
{
	return test_run("watch", add_tests);
}
