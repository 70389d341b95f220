/* SPDX-License-Identifier: MIT */
/*
 * test-rights.c - descriptors that are passed to the daemon: on this kernel, and on one that
 *		   cannot refuse them
 *
 * The second one is made by a filter (passing.h).
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"
#include "passing.h"
#include "support/control.h"

static struct fixture fixture;

/* ---- kernels ---- */

static bool has_passrights(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), value;
	socklen_t size = sizeof(value);
	bool has = getsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &value, &size) == 0;

	close(fd);
	return has;
}

static void setup(void)
{
	fixture_init(&fixture);
	fixture_configure(&fixture, "limits: { clients_per_user: 4 }\n", NULL);
	fixture.in_child = passing_lack_passrights;
	fixture_start(&fixture);
}

static void teardown(void)
{
	fixture_stop(&fixture);
	fixture_deinit(&fixture);
}

static bool is_served(void *userdata)
{
	struct mempool_msg_list list = { .msg = wire_msg(MEMPOOL_MSG_LIST, sizeof(list)) };
	union wire_answer answer = { .msg = { .type = 0 } };
	int fd = wire_connect(&fixture);

	(void)userdata;
	wire_send(fd, &list, sizeof(list));
	wire_receive(fd, &answer);
	close(fd);
	return answer.msg.type == MEMPOOL_MSG_SEGMENT;
}

static void expect_refused_for_descriptors(int fd)
{
	wire_expect_refused(fd, -EPROTO, "descriptors");
	close(fd);
}

/* ---- this kernel ---- */

START_TEST(test_descriptors_are_refused_by_the_kernel)
{
	struct mempool_msg_hello hello;
	struct mempool_msg_welcome welcome;
	struct passing passed = passing_new();
	int fd;

	fixture_stop(&fixture);
	fixture.in_child = NULL;
	fixture_start(&fixture);
	hello = wire_hello(&fixture, 1);
	fd = wire_connect(&fixture);
	ck_assert_int_eq(passing_send(fd, &hello, sizeof(hello), &passed, 1), -1);
	ck_assert_int_eq(errno, EPERM);
	passing_expect_closed(&passed);
	/* It may say the same without. */
	wire_send(fd, &hello, sizeof(hello));
	wire_expect_welcome(fd, &welcome);
	wire_bye(fd);
}
END_TEST

/* ---- without SO_PASSRIGHTS ---- */

START_TEST(test_descriptors_in_a_hello_end_its_connection)
{
	static const unsigned int counts[] = { 1, 2, PASSING_MOST };
	struct mempool_msg_hello hello = wire_hello(&fixture, 1);
	struct passing passed = passing_new();
	struct mempool_msg_welcome welcome;
	int fd = wire_connect(&fixture);

	ck_assert_int_eq(passing_send(fd, &hello, sizeof(hello), &passed, counts[_i]), sizeof(hello));
	expect_refused_for_descriptors(fd);
	passing_expect_closed(&passed);
	wire_bye(wire_attach(&fixture, 2, &welcome));
}
END_TEST

START_TEST(test_descriptors_behind_a_hello_end_its_connection)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, 1);
	struct passing passed = passing_new();
	struct mempool_msg_welcome welcome;
	int fd = wire_connect(&fixture);

	wire_send(fd, &hello, sizeof(hello));
	ck_assert_int_eq(passing_send(fd, &hello, sizeof(hello), &passed, 1), sizeof(hello));
	wire_expect_welcome(fd, &welcome);
	expect_refused_for_descriptors(fd);
	passing_expect_closed(&passed);
}
END_TEST

/* What the daemon does not read any more is looked at, too, also behind packets of no bytes. */
START_TEST(test_descriptors_behind_what_is_not_read)
{
	const char junk = 'x';
	struct passing passed = passing_new();
	int fd;

	kill(fixture.pid, SIGSTOP);
	fd = wire_connect(&fixture);
	ck_assert_int_eq(send(fd, &junk, _i % 2, MSG_NOSIGNAL), _i % 2);
	ck_assert_int_eq(send(fd, &junk, 0, MSG_NOSIGNAL), 0);
	ck_assert_int_eq(passing_send(fd, &junk, _i % 2, &passed, 1), _i % 2);
	if (_i / 2)
		close(fd);
	kill(fixture.pid, SIGCONT);
	passing_expect_closed(&passed);
	if (!(_i / 2))
		close(fd);
	ck_assert(is_served(NULL));
}
END_TEST

/* More than the user may have clients; each counts as one until it is closed. */
START_TEST(test_descriptors_in_many_connections)
{
	enum { N = 20 };
	struct passing passed[N];
	int fds[N];

	kill(fixture.pid, SIGSTOP);
	for (size_t i = 0; i < N; i++) {
		passed[i] = passing_new();
		fds[i] = wire_connect(&fixture);
		ck_assert_int_eq(passing_send(fds[i], "x", 1, &passed[i], 1), 1);
	}
	kill(fixture.pid, SIGCONT);
	for (size_t i = 0; i < N; i++) {
		passing_expect_closed(&passed[i]);
		close(fds[i]);
	}
	wait_until(is_served, NULL, 5000);
}
END_TEST

static void be_poor(void *userdata)
{
	const struct rlimit limit = { 40, 40 };

	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		_exit(EXIT_FAILURE);
	passing_lack_passrights(userdata);
}

/* Others have taken all the daemon's descriptors meanwhile, and stay. */
START_TEST(test_descriptors_are_closed_where_none_is_left)
{
	enum { N = 60 };
	struct passing passed = passing_new();
	int fds[N];

	fixture_stop(&fixture);
	fixture_configure(&fixture, "limits: { clients: 100, clients_per_user: 100, "
			  "hello_timeout: 60s }\n", NULL);
	fixture.in_child = be_poor;
	fixture_start(&fixture);
	kill(fixture.pid, SIGSTOP);
	for (size_t i = 0; i < N; i++) {
		fds[i] = wire_connect(&fixture);
		if (i == 0)
			ck_assert_int_eq(passing_send(fds[i], "x", 1, &passed, 1), 1);
	}
	kill(fixture.pid, SIGCONT);
	passing_expect_closed(&passed);
	ck_assert(fixture_log_has(&fixture, "cannot accept clients now"));
	for (size_t i = 0; i < N; i++)
		close(fds[i]);
	wait_until(is_served, NULL, 5000);
}
END_TEST

/* While it stops, they are in connections that nobody has accepted. */
START_TEST(test_descriptors_passed_to_one_that_stops)
{
	struct passing passed = passing_new(), other = passing_new();
	int fd, other_fd;

	kill(fixture.pid, SIGSTOP);
	fd = wire_connect(&fixture);
	ck_assert_int_eq(passing_send(fd, "x", 1, &passed, 1), 1);
	other_fd = wire_connect(&fixture);
	ck_assert_int_eq(passing_send(other_fd, "", 0, &other, 1), 0);
	kill(fixture.pid, SIGTERM);
	kill(fixture.pid, SIGCONT);
	ck_assert_int_eq(fixture_wait(&fixture), 0);
	passing_expect_closed(&passed);
	passing_expect_closed(&other);
	close(fd);
	close(other_fd);
	fixture_start(&fixture);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rights");
	TCase *tcase = tcase_create("rights");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	if (has_passrights())
		tcase_add_test(tcase, test_descriptors_are_refused_by_the_kernel);
	tcase_add_loop_test(tcase, test_descriptors_in_a_hello_end_its_connection, 0, 3);
	tcase_add_test(tcase, test_descriptors_behind_a_hello_end_its_connection);
	tcase_add_loop_test(tcase, test_descriptors_behind_what_is_not_read, 0, 4);
	tcase_add_test(tcase, test_descriptors_in_many_connections);
	tcase_add_test(tcase, test_descriptors_are_closed_where_none_is_left);
	tcase_add_test(tcase, test_descriptors_passed_to_one_that_stops);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
