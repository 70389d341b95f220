/* SPDX-License-Identifier: MIT */
/*
 * test-namespaces.c - daemon and clients that share nothing but the folder of the socket
 *
 * A container is a set of namespaces. Here each client has one namespace of its own, or all of
 * them, and the daemon is where it is not seen from there, nor sees it: in a pid namespace of its
 * own. It attaches, exchanges a message with one that waits, and is killed: what it held is free.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actor.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

#define N_HELD 5
#define MESSAGE "through all namespaces"

static struct fixture fixture;

static const struct {
	const char *name;
	int flags;
} sets[] = {
	{ "none of its own", 0 },
	{ "mount", CLONE_NEWNS },
	{ "ipc", CLONE_NEWIPC },
	{ "uts", CLONE_NEWUTS },
	{ "net", CLONE_NEWNET },
	{ "cgroup", CLONE_NEWCGROUP },
	{ "user", CLONE_NEWUSER },
	{ "pid", CLONE_NEWPID },
	{ "all", CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP |
			 CLONE_NEWUSER | CLONE_NEWPID },
};
#define N_SETS ((int)(sizeof(sets) / sizeof(sets[0])))

static int set_flags;			/* of the client that is started next */

static void setup(void)
{
	fixture_init(&fixture);
	fixture_configure(&fixture, "",
			  "    pools: [ { chunk_size: 128, chunk_count: 100 } ]\n"
			  "    queues: [ { name: there, capacity: 4 }, { name: back, capacity: 4 } ]\n");
}

static void teardown(void)
{
	if (fixture.pid > 0)
		fixture_kill(&fixture);
	fixture_deinit(&fixture);
}

/* ---- where they run ---- */

/* A child in the new pid namespace goes on; what stays here only waits for it. */
static void go_on_inside(void)
{
	pid_t pid = fork();

	if (pid < 0)
		_exit(1);
	if (pid > 0) {
		waitpid(pid, NULL, 0);
		_exit(0);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void daemon_apart(void *userdata)
{
	(void)userdata;
	if (fixture_own_mounts(CLONE_NEWPID) < 0)
		_exit(1);
	go_on_inside();
	if (mount("proc", "/proc", "proc", 0, NULL) < 0)
		_exit(1);
}

/* As a kernel before Linux 6.5. */
static void daemon_apart_without_peerpidfd(void *userdata)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getsockopt, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SO_PEERPIDFD, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOPROTOOPT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	daemon_apart(userdata);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(1);
}

/* Nothing of the machine can be named there but the folder of the socket. */
static void hide_the_machine(void)
{
	ck_assert_int_eq(mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=1M"), 0);
	ck_assert_int_eq(mount("tmpfs", "/proc", "tmpfs", 0, "size=1M"), 0);
}

/* Return: false: this kernel has none of those for us. */
static bool enter(int flags)
{
	if (flags & CLONE_NEWNS) {
		if (fixture_own_mounts(0) < 0)
			return false;
		hide_the_machine();
	}
	if (unshare(flags & ~CLONE_NEWNS) < 0)
		return false;
	if (flags & CLONE_NEWPID)
		go_on_inside();
	return true;
}

/* ---- what they do ---- */

/* Opens, passes a message on, and holds chunks until it is killed. */
static void run_client(const struct fixture *with, int fd)
{
	struct mempool_queue *there, *back;
	struct mempool_client *client;
	size_t length;
	void *chunk;

	if (!enter(set_flags)) {
		tell(fd, ENOSYS);
		return;
	}
	tell(fd, (uint64_t)-try_open(with, 0, &client));
	ck_assert_int_eq(mempool_queue_open(client, "there", &there), 0);
	ck_assert_int_eq(mempool_queue_open(client, "back", &back), 0);
	ck_assert_int_eq(mempool_queue_receive(there, &chunk, &length, -1), 0);
	ck_assert_int_eq(mempool_queue_send(back, chunk, length, 0), 0);
	for (int i = 0; i < N_HELD; i++)
		ck_assert_ptr_nonnull(mempool_alloc(client, 100));
	tell(fd, N_HELD);
	pause();
}

static uint64_t n_used(struct mempool_client *client)
{
	struct mempool_pool_info info;

	ck_assert_int_eq(mempool_client_pools(client, &info, 1), 1);
	return info.used;
}

static bool holds_nothing(void *client)
{
	return n_used(client) == 0;
}

static void exchange_with(struct mempool_client *client, struct actor *actor)
{
	struct mempool_queue *there, *back;
	size_t length;
	void *chunk;

	ck_assert_int_eq(mempool_queue_open(client, "there", &there), 0);
	ck_assert_int_eq(mempool_queue_open(client, "back", &back), 0);
	chunk = mempool_alloc(client, sizeof(MESSAGE));
	ck_assert_ptr_nonnull(chunk);
	memcpy(chunk, MESSAGE, sizeof(MESSAGE));
	ck_assert_int_eq(mempool_queue_send(there, chunk, sizeof(MESSAGE), 0), 0);
	ck_assert_int_eq(mempool_queue_receive(back, &chunk, &length, -1), 0);
	ck_assert_uint_eq(length, sizeof(MESSAGE));
	ck_assert_str_eq(chunk, MESSAGE);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
	expect_to_hear(actor->fd, N_HELD);
	mempool_queue_close(there);
	mempool_queue_close(back);
}

/* ---- the cases ---- */

static void check_set(int flags)
{
	struct mempool_client *client = open_client(&fixture);
	struct actor actor;
	uint64_t error;

	set_flags = flags;
	actor_start(&actor, &fixture, run_client);
	error = hear(actor.fd);
	if (error == ENOSYS) {
		printf("skipped: no such namespaces here\n");
	} else {
		ck_assert_int_eq((int)error, 0);
		exchange_with(client, &actor);
		ck_assert_uint_eq(n_used(client), N_HELD);
	}
	actor_kill(&actor);
	wait_until(holds_nothing, client, 10000);
	ck_assert_int_eq(mempool_client_close(client), 0);
}

START_TEST(test_client_in_namespaces_of_its_own_is_served_and_reaped)
{
	fixture_start(&fixture);
	check_set(sets[_i].flags);
}
END_TEST

/* Whether a daemon that has no pid of us tells us by our pidfds. */
static bool is_apart_served(void)
{
	struct mempool_client *client;
	int r = try_open(&fixture, 0, &client);

	if (r == -EACCES && strstr(mempool_client_error(), "from Linux 6.9 on")) {
		printf("skipped: pidfds have no inode here\n");
		return false;
	}
	ck_assert_int_eq(r, 0);
	mempool_client_close(client);
	return true;
}

START_TEST(test_daemon_in_a_pid_namespace_of_its_own_serves_and_reaps)
{
	fixture.in_child = daemon_apart;
	fixture_start(&fixture);
	if (is_apart_served())
		check_set(sets[_i].flags);
}
END_TEST

static bool are_two_left(void *segment)
{
	return count_clients(segment) == 2;
}

/* None of them has a pid there: each is known by its pidfd alone. */
START_TEST(test_clients_without_a_pid_are_told_apart)
{
	struct victim victims[3];
	struct segment *segment;

	fixture.in_child = daemon_apart;
	fixture_start(&fixture);
	if (!is_apart_served())
		return;
	for (uint32_t i = 0; i < 3; i++) {
		victim_start(&victims[i], &fixture, 0);
		if (i > 0)
			ck_assert_uint_ne(victims[i].welcome.holder, victims[i - 1].welcome.holder);
	}
	segment = wire_map(&victims[0].welcome);
	for (uint32_t i = 0; i < 3; i++)
		ck_assert_int_eq(pool_claim(&segment->pools[0], i, victims[i].welcome.holder), 0);
	ck_assert_uint_eq(count_clients(segment), 3);
	victim_kill(&victims[1]);
	wait_until(are_two_left, segment, 10000);
	/* The two others are held on to. */
	ck_assert_int_eq(word_kind(atomic_load(&segment->pools[0].entries[0].word)), MEMPOOL_OWNED);
	ck_assert_int_eq(word_kind(atomic_load(&segment->pools[0].entries[2].word)), MEMPOOL_OWNED);
	victim_kill(&victims[0]);
	victim_kill(&victims[2]);
	wait_until(is_deserted, segment, 10000);
	segment_free(segment);
}
END_TEST

/* The next daemon is given no pidfd of it; it comes back, and is seen again. */
START_TEST(test_client_without_a_pid_outlives_the_daemon)
{
	struct mempool_msg_welcome welcome, again;
	struct mempool_msg_hello hello = wire_hello(&fixture, 77);
	struct segment *segment;
	int fd;

	/* What fixture_kill() ends waits for the daemon; that one comes to us. */
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	fixture.in_child = daemon_apart;
	fixture_start(&fixture);
	if (!is_apart_served())
		return;
	fd = wire_attach(&fixture, 77, &welcome);
	segment = wire_map(&welcome);
	ck_assert_int_eq(pool_claim(&segment->pools[0], 0, welcome.holder), 0);
	fixture_kill(&fixture);
	ck_assert_int_gt(waitpid(-1, NULL, 0), 0);
	close(fd);
	fixture_start(&fixture);
	ck_assert(word_kind(atomic_load(&segment->pools[0].entries[0].word)) == MEMPOOL_OWNED);
	fd = wire_connect(&fixture);
	hello.segment_id = welcome.place.segment_id;
	wire_send(fd, &hello, sizeof(hello));
	wire_expect_welcome(fd, &again);
	ck_assert_uint_eq(again.holder, welcome.holder);
	ck_assert_uint_eq(again.incarnation, welcome.incarnation);
	ck_assert_int_eq(pool_release_checked(&segment->pools[0], 0, welcome.holder), 0);
	wire_bye(fd);
	segment_free(segment);
}
END_TEST

START_TEST(test_client_without_a_pid_is_refused_where_the_kernel_shows_nothing_else)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, 1);
	int fd;

	fixture.in_child = daemon_apart_without_peerpidfd;
	fixture_start(&fixture);
	fd = wire_connect(&fixture);
	wire_send(fd, &hello, sizeof(hello));
	wire_expect_refused(fd, -EACCES, "run one of both in the other's (--pid=host");
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("namespaces");
	TCase *tcase = tcase_create("namespaces");
	SRunner *runner;
	int n_failed;

	if (skip_unless_root("namespaces"))
		return 77;
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, test_client_in_namespaces_of_its_own_is_served_and_reaped, 0,
			    N_SETS);
	tcase_add_loop_test(tcase, test_daemon_in_a_pid_namespace_of_its_own_serves_and_reaps, 0,
			    N_SETS);
	tcase_add_test(tcase, test_clients_without_a_pid_are_told_apart);
	tcase_add_test(tcase, test_client_without_a_pid_outlives_the_daemon);
	tcase_add_test(tcase,
		       test_client_without_a_pid_is_refused_where_the_kernel_shows_nothing_else);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
