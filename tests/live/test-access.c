/* SPDX-License-Identifier: MIT */
/*
 * test-access.c - who may attach, and how many
 *
 * Only root can be other users; for anyone else those cases are left out, and said so.
 */
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

#define USER_A 54321
#define USER_B 54322
#define GROUP_A 54323

static struct fixture fixture;

static void setup(void)
{
	fixture_init(&fixture);
}

static void teardown(void)
{
	fixture_deinit(&fixture);
}

static void configure(const char *limits, const char *allow)
{
	char text[512];

	snprintf(text, sizeof(text), "%s%s", allow, fixture_pools);
	fixture_configure(&fixture, limits, text);
}

/* A failure in a child is a failure of the test. */
static void expect_child(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child failed: %x", status);
}

static void become(uid_t uid, gid_t group)
{
	ck_assert_int_eq(setgroups(group ? 1 : 0, &group), 0);
	ck_assert_int_eq(setresgid(uid, uid, uid), 0);
	ck_assert_int_eq(setresuid(uid, uid, uid), 0);
}

/* As a user with one supplementary group (or 0), say hello. error 0: welcome. */
static void hello_as(uid_t uid, gid_t group, int error, const char *text)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, 1);
	struct mempool_msg_welcome welcome;
	pid_t pid = fork();
	int fd;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		become(uid, group);
		fd = wire_connect(&fixture);
		wire_send(fd, &hello, sizeof(hello));
		if (error) {
			wire_expect_refused(fd, error, text);
		} else {
			wire_expect_welcome(fd, &welcome);
			segment_free(wire_map(&welcome));
		}
		_exit(0);
	}
	expect_child(pid);
}

START_TEST(test_no_allow_lets_everybody_in)
{
	fixture_start(&fixture);
	hello_as(USER_A, 0, 0, "");
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_allow_lets_named_in_and_no_others)
{
	struct mempool_msg_welcome welcome;

	configure("", "    allow: { users: [54321], groups: [54323] }\n");
	fixture_start(&fixture);
	hello_as(USER_A, 0, 0, "");
	hello_as(USER_B, 0, -EACCES, "user 54322 may not attach to segment");
	hello_as(USER_B, GROUP_A, 0, "");	/* a supplementary group */
	hello_as(GROUP_A, 0, 0, "");		/* its own group */
	/* Root and the daemon's user need no naming. */
	close(wire_attach(&fixture, 1, &welcome));
	fixture_stop(&fixture);
}
END_TEST

/* The daemon's administrators, as we are, may look and raise the limit; others may not. */
static void list_at_limit(bool as_other)
{
	struct mempool_msg_list list = { .msg = wire_msg(MEMPOOL_MSG_LIST, sizeof(list)) };
	union wire_answer answer;
	pid_t pid = fork();
	int fd;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (as_other)
			become(USER_A, 0);
		fd = wire_connect(&fixture);
		wire_send(fd, &list, sizeof(list));
		if (as_other) {
			wire_expect_refused(fd, -EUSERS, "the limit");
		} else {
			ck_assert_int_gt(wire_receive(fd, &answer), 0);
			ck_assert_uint_eq(answer.msg.type, MEMPOOL_MSG_SEGMENT);
		}
		_exit(0);
	}
	expect_child(pid);
}

/* Attached clients, then those that are refused; and who comes back never is. */
START_TEST(test_limit_of_clients_counts_connections_and_detached)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, 100);
	struct mempool_msg_welcome welcome;
	int attached, silent, fd;

	configure("limits: { clients: 3, clients_per_user: 3, hello_timeout: 60s }\n", "");
	fixture_start(&fixture);
	attached = wire_attach(&fixture, 1, &welcome);	/* one client */
	close(wire_attach(&fixture, 2, &welcome));	/* one that hung up */
	silent = wire_connect(&fixture);		/* one that has said nothing */

	fd = wire_connect(&fixture);
	wire_send(fd, &hello, sizeof(hello));
	wire_expect_refused(fd, -EUSERS, "3 clients, the limit");
	close(fd);
	list_at_limit(false);
	if (geteuid() == 0)
		list_at_limit(true);

	/* Both records come back, on the unit that they have. */
	fd = wire_attach(&fixture, 2, &welcome);
	close(attached);
	attached = wire_attach(&fixture, 1, &welcome);
	/* And what ends makes room. */
	close(silent);
	close(wire_attach(&fixture, 3, &welcome));
	wire_bye(fd);
	close(attached);
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_adopted_holders_count_and_come_back)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, 100);
	struct mempool_msg_welcome welcome;
	uint64_t nonce;
	int fd;

	configure("limits: { clients: 4, clients_per_user: 4 }\n", "");
	fixture_start(&fixture);
	for (nonce = 1; nonce <= 4; nonce++)
		close(wire_attach(&fixture, nonce, &welcome));
	fixture_kill(&fixture);
	fixture_start(&fixture);
	fd = wire_connect(&fixture);
	wire_send(fd, &hello, sizeof(hello));
	wire_expect_refused(fd, -EUSERS, "the limit");
	close(fd);
	for (nonce = 1; nonce <= 4; nonce++)
		close(wire_attach(&fixture, nonce, &welcome));
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_limit_of_one_user_is_his_alone)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, 3);
	struct mempool_msg_welcome welcome;
	int a, b, c;

	configure("limits: { clients: 10, clients_per_user: 2 }\n", "");
	fixture_start(&fixture);
	a = wire_attach(&fixture, 1, &welcome);
	b = wire_attach(&fixture, 2, &welcome);
	c = wire_connect(&fixture);
	wire_send(c, &hello, sizeof(hello));
	wire_expect_refused(c, -EDQUOT, "user 0 has 2 clients");
	close(c);
	hello_as(USER_A, 0, 0, "");
	close(a);
	close(b);
	fixture_stop(&fixture);
}
END_TEST

/* More silent connections than the limits and the door have room for. */
START_TEST(test_crowd_at_the_door_keeps_nobody_out_who_comes_back)
{
	struct mempool_msg_welcome welcome;
	int fds[150];
	size_t i;

	configure("limits: { clients: 2, clients_per_user: 2, hello_timeout: 60s }\n", "");
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	for (i = 0; i < 150; i++)
		fds[i] = wire_connect(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	/* The first one took a unit. The second one stood at the door longest. */
	wire_expect_refused(fds[1], -EUSERS, "the limit");
	for (i = 0; i < 150; i++)
		close(fds[i]);
	fixture_stop(&fixture);
}
END_TEST

/* ---- another pid namespace ---- */

/* The daemon goes where we have no pid; what stays here only waits for it. */
static void enter_pid_namespace(void *userdata)
{
	pid_t pid;

	(void)userdata;
	if (fixture_own_mounts(CLONE_NEWPID) < 0)
		_exit(1);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (mount("proc", "/proc", "proc", 0, NULL) < 0)
			_exit(1);
		return;
	}
	waitpid(pid, NULL, 0);
	_exit(0);
}

START_TEST(test_client_of_invisible_pid_is_refused)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, 1);
	int fd;

	fixture.in_child = enter_pid_namespace;
	fixture_start(&fixture);
	fd = wire_connect(&fixture);
	wire_send(fd, &hello, sizeof(hello));
	wire_expect_refused(fd, -EACCES, "another pid namespace");
	close(fd);
	fixture_kill(&fixture);
}
END_TEST

START_TEST(test_client_in_child_pid_namespace_is_served)
{
	struct mempool_msg_welcome welcome;
	pid_t pid;

	fixture_start(&fixture);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		ck_assert_int_eq(unshare(CLONE_NEWPID), 0);
		pid = fork();
		ck_assert_int_ge(pid, 0);
		if (pid == 0) {
			wire_attach(&fixture, 1, &welcome);
			_exit(0);
		}
		expect_child(pid);
		_exit(0);
	}
	expect_child(pid);
	fixture_stop(&fixture);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("access");
	TCase *tcase = tcase_create("access");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_limit_of_clients_counts_connections_and_detached);
	tcase_add_test(tcase, test_adopted_holders_count_and_come_back);
	tcase_add_test(tcase, test_crowd_at_the_door_keeps_nobody_out_who_comes_back);
	if (!skip_unless_root("other users, pid namespaces")) {
		tcase_add_test(tcase, test_no_allow_lets_everybody_in);
		tcase_add_test(tcase, test_allow_lets_named_in_and_no_others);
		tcase_add_test(tcase, test_limit_of_one_user_is_his_alone);
		tcase_add_test(tcase, test_client_of_invisible_pid_is_refused);
		tcase_add_test(tcase, test_client_in_child_pid_namespace_is_served);
	}
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
