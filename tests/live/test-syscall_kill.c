/* SPDX-License-Identifier: MIT */
/*
 * test-syscall_kill.c - a client killed before and after every system call of open and close
 *
 * The test traces the victim from stop to stop (ptrace(2), PTRACE_SYSCALL: at the entry and
 * at the exit of each call) and kills it at stop k, for every k. Each time the daemon must
 * have it out of the table, and all its chunks free, within a second. What happens between
 * two system calls is tests/crash's business.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actor.h"

#define HELD 10
#define SECOND_MS 1000
#define MAX_STOPS 1000			/* more than open and close have */

static struct fixture fixture;
static struct segment *segment;

static void setup(void)
{
	fixture_init(&fixture);
	fixture_configure(&fixture, "", "    pools: [ { chunk_size: 128, chunk_count: 100 } ]\n");
	fixture_start(&fixture);
	segment = map_generation(&fixture, 1);
}

static void teardown(void)
{
	segment_free(segment);
	fixture_stop(&fixture);
	fixture_deinit(&fixture);
}

/* ---- victims: between their two SIGSTOPs they are killed ---- */

static void run_opening(const struct fixture *with, int fd)
{
	struct mempool_client *client;

	(void)fd;
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	client = open_client(with);
	raise(SIGSTOP);
	mempool_client_close(client);
}

static void run_closing(const struct fixture *with, int fd)
{
	struct mempool_client *client = open_client(with);
	uint64_t handle;

	(void)fd;
	for (int i = 1; i < HELD; i++)
		ck_assert_ptr_nonnull(mempool_alloc(client, 100));
	ck_assert_int_eq(mempool_give(client, mempool_alloc(client, 100), 1, &handle), 0);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	ck_assert_int_eq(mempool_client_close(client), HELD);
	raise(SIGSTOP);
}

/* ---- the killer ---- */

/* Let it run to its next stop. Return: whether that is of a system call. */
static bool go_on(pid_t pid)
{
	int status;

	ck_assert_int_eq(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSTOPPED(status), "it ended, with status %#x", (unsigned int)status);
	if (WSTOPSIG(status) == (SIGTRAP | 0x80))
		return true;
	ck_assert_int_eq(WSTOPSIG(status), SIGSTOP);
	return false;
}

static void wait_for_stop(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP, "status %#x",
		      (unsigned int)status);
	ck_assert_int_eq(ptrace(PTRACE_SETOPTIONS, pid, NULL,
				PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL), 0);
}

/* Whatever it had sent before has been read by then. */
static void meet_daemon(void)
{
	struct mempool_msg_list list = { .msg = wire_msg(MEMPOOL_MSG_LIST, sizeof(list)) };
	union wire_answer answer;
	int fd = wire_connect(&fixture);

	for (int i = 0; i < 2; i++) {
		wire_send(fd, &list, sizeof(list));
		ck_assert_int_eq(wire_receive(fd, &answer), sizeof(answer.segment));
	}
	close(fd);
}

/*
 * Kill a victim at its stop number k. before: called while it is at its first SIGSTOP.
 * Return: false, it has fewer stops and is killed behind the last one.
 */
static bool kill_at(actor_fn victim, void (*before)(void), unsigned int k)
{
	struct actor actor;
	bool is_in = true;

	actor_start(&actor, &fixture, victim);
	wait_for_stop(actor.pid);
	if (before)
		before();
	for (unsigned int i = 0; i < k && is_in; i++)
		is_in = go_on(actor.pid);
	actor_kill(&actor);
	return is_in;
}

static void kill_everywhere(const char *what, actor_fn victim, void (*before)(void))
{
	double longest = 0;
	unsigned int k = 0;

	/* k = 0: before the first call. */
	while (kill_at(victim, before, k)) {
		double took;

		meet_daemon();
		took = wait_until(is_deserted, segment, SECOND_MS);
		longest = took > longest ? took : longest;
		ck_assert_uint_lt(++k, MAX_STOPS);
	}
	wait_until(is_deserted, segment, SECOND_MS);
	printf("%-22s killed at %3u stops of system calls, reaped within %.1f ms\n", what, k,
	       longest);
	/* Less is no open or close: connect, send and receive alone have as many. */
	ck_assert_uint_gt(k, 6);
	ck_assert_uint_eq(fixture_count_objects(&fixture), 1);
}

static void restart(void)
{
	fixture_kill(&fixture);
	fixture_start(&fixture);
}

static void end_daemon(void)
{
	fixture_kill(&fixture);
}

START_TEST(test_open_killed_at_every_call_leaves_nothing)
{
	kill_everywhere("open", run_opening, NULL);
}
END_TEST

START_TEST(test_close_killed_at_every_call_leaves_nothing)
{
	kill_everywhere("close", run_closing, NULL);
}
END_TEST

/* It comes back to the new daemon, to say goodbye. */
START_TEST(test_close_killed_after_restart_leaves_nothing)
{
	kill_everywhere("close after a restart", run_closing, restart);
}
END_TEST

/* Nobody sees it die: the next daemon finds what is left. */
START_TEST(test_close_killed_without_daemon_leaves_nothing)
{
	bool is_in = true;
	unsigned int k;

	for (k = 0; is_in; k++) {
		is_in = kill_at(run_closing, end_daemon, k);
		fixture_start(&fixture);
		wait_until(is_deserted, segment, SECOND_MS);
	}
	printf("%-22s killed at %3u stops of system calls\n", "close without a daemon", k - 1);
	ck_assert_uint_gt(k, 6);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("syscall_kill");
	TCase *tcase = tcase_create("syscall_kill");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, test_open_killed_at_every_call_leaves_nothing);
	tcase_add_test(tcase, test_close_killed_at_every_call_leaves_nothing);
	tcase_add_test(tcase, test_close_killed_after_restart_leaves_nothing);
	tcase_add_test(tcase, test_close_killed_without_daemon_leaves_nothing);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
