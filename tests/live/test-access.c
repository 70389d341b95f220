/* SPDX-License-Identifier: MIT */
/*
 * test-access.c - who may attach, who sees what, and how many
 *
 * Only root can be other users; for anyone else those cases are left out, and said so.
 */
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "shm/packet.h"

#define USER_A 54321
#define USER_B 54322
#define GROUP_A 54323
#define ADMIN 54324
#define STRANGER 54325
#define NOBODY 65534		/* unless the kernel was told another one */

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
		if (error)
			wire_expect_refused(fd, error, text);
		else
			wire_expect_welcome(fd, &welcome);
		_exit(0);
	}
	expect_child(pid);
}

/* As that user, ask for a segment that there is not, or not for it; the answer ends in that text. */
static void refuse_as(uid_t uid, const char *segment, int error, const char *text)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, 1);
	union wire_answer answer;
	const char *end;
	pid_t pid = fork();
	int fd;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		become(uid, 0);
		memset(hello.segment, 0, sizeof(hello.segment));
		strcpy(hello.segment, segment);
		fd = wire_connect(&fixture);
		wire_send(fd, &hello, sizeof(hello));
		ck_assert_int_eq(wire_receive(fd, &answer), sizeof(answer.refused));
		ck_assert_int_eq(answer.msg.type, MEMPOOL_MSG_REFUSED);
		ck_assert_int_eq(answer.refused.error, error);
		end = strstr(answer.refused.reason, text);
		ck_assert_msg(end && strlen(end) == strlen(text), "told '%s', not '%s'",
			      answer.refused.reason, text);
		_exit(0);
	}
	expect_child(pid);
}

/* ---- a daemon that starts ---- */

/* Return: 0; -errno of connect(2). */
static int connect_as(uid_t uid, gid_t group)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), r;

	ck_assert_int_ge(fd, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", fixture.socket_path);
	ck_assert_int_eq(setegid(group), 0);
	ck_assert_int_eq(seteuid(uid), 0);
	r = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(setegid(0), 0);
	close(fd);
	return r;
}

static void be_traced(void *userdata)
{
	(void)userdata;
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

/* Let it run to its next stop: the entry or the exit of a system call. */
static void go_on(pid_t pid)
{
	int status;

	ck_assert_int_eq(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSTOPPED(status), "it ended, with status %#x", (unsigned int)status);
}

/*
 * Who may connect and waits for a daemon that starts hears "not yet" (ENOENT, ECONNREFUSED),
 * at each of its system calls, until it is let in; never "you may not".
 */
START_TEST(test_start_never_refuses_who_may_connect)
{
	static const char *const access[] = { "mode: \"0666\"", "mode: \"0660\", group: 54323" };
	FILE *file = fopen(fixture.config_path, "we");
	unsigned int n = 0;
	int status, r;

	ck_assert_ptr_nonnull(file);
	fprintf(file, "socket: { path: %s, %s }\nsegments:\n  - name: %s\n%s",
		fixture.socket_path, access[_i], fixture.segment, fixture_pools);
	fclose(file);
	fixture.in_child = be_traced;
	fixture_spawn(&fixture);
	ck_assert_int_eq(waitpid(fixture.pid, &status, 0), fixture.pid);
	ck_assert(WIFSTOPPED(status));
	ck_assert_int_eq(ptrace(PTRACE_SETOPTIONS, fixture.pid, NULL, PTRACE_O_EXITKILL), 0);
	do {
		go_on(fixture.pid);
		r = connect_as(USER_A, GROUP_A);
		ck_assert_msg(r == 0 || r == -ENOENT || r == -ECONNREFUSED, "stop %u: %s", n,
			      strerror(-r));
		n++;
	} while (r < 0);
	ck_assert_int_eq(connect_as(USER_B, USER_B), _i == 0 ? 0 : -EACCES);
	/* Beside 20 of them, there is no start. */
	ck_assert_uint_gt(n, 20);
	ck_assert_int_eq(ptrace(PTRACE_DETACH, fixture.pid, NULL, NULL), 0);
	fixture_stop(&fixture);
}
END_TEST

/* ---- allow ---- */

START_TEST(test_allow_anybody_lets_everybody_in)
{
	configure("", "    allow: anybody\n");
	fixture_start(&fixture);
	hello_as(USER_A, 0, 0, "");
	hello_as(NOBODY, NOBODY, 0, "");
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_no_allow_lets_nobody_else_in)
{
	struct mempool_msg_welcome welcome;
	FILE *file = fopen(fixture.config_path, "we");

	ck_assert_ptr_nonnull(file);
	fprintf(file, "socket: { path: %s, mode: \"0666\" }\nsegments:\n  - name: %s\n%s",
		fixture.socket_path, fixture.segment, fixture_pools);
	fclose(file);
	fixture_start(&fixture);
	hello_as(USER_A, 0, -ENOENT, "or user 54321 may not attach to it");
	close(wire_attach(&fixture, 1, &welcome));
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_object_is_the_daemons_alone)
{
	char path[96];
	struct stat st;

	configure("", "    allow: anybody\n");
	fixture_start(&fixture);
	fixture_object_path(&fixture, 1, path);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0600);
	ck_assert_uint_eq(st.st_uid, geteuid());
	/* Nor does it stay open to others. */
	ck_assert_int_eq(chmod(path, 0666), 0);
	fixture_stop(&fixture);
	fixture_start(&fixture);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0600);
	ck_assert(fixture_log_has(&fixture, "was open to others, by its mode 0666: it is closed"));
	fixture_stop(&fixture);
}
END_TEST

/* Whoever has no number here, of another user namespace, looks like that one. */
START_TEST(test_allow_does_not_mean_nobody)
{
	configure("", "    allow: { users: [65534, nobody], groups: [65534, 54323] }\n");
	fixture_start(&fixture);
	hello_as(NOBODY, 0, -ENOENT, "may not attach to it");
	hello_as(NOBODY, GROUP_A, -ENOENT, "may not attach to it");
	hello_as(USER_A, NOBODY, -ENOENT, "may not attach to it");
	hello_as(USER_A, GROUP_A, 0, "");
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_allow_lets_named_in_and_no_others)
{
	struct mempool_msg_welcome welcome;

	configure("", "    allow: { users: [54321], groups: [54323] }\n");
	fixture_start(&fixture);
	hello_as(USER_A, 0, 0, "");
	hello_as(USER_B, 0, -ENOENT, "or user 54322 may not attach to it");
	ck_assert(fixture_log_has(&fixture, "uid 54322: user 54322 may not attach to segment"));
	hello_as(USER_B, GROUP_A, 0, "");	/* a supplementary group */
	hello_as(GROUP_A, 0, 0, "");		/* its own group */
	/* Root and the daemon's user need no naming. */
	close(wire_attach(&fixture, 1, &welcome));
	fixture_stop(&fixture);
}
END_TEST

/* ---- who sees what ---- */

/* As a user with one supplementary group (or 0), ask which segments there are. */
static void list_as(uid_t uid, gid_t group, uint32_t n, const char *last)
{
	struct mempool_msg_list list = { .msg = wire_msg(MEMPOOL_MSG_LIST, sizeof(list)) };
	union wire_answer answer;
	pid_t pid = fork();
	int fd;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		become(uid, group);
		fd = wire_connect(&fixture);
		wire_send(fd, &list, sizeof(list));
		for (uint32_t i = 0; i == 0 || i < n; i++) {
			ck_assert_int_eq(wire_receive(fd, &answer), sizeof(answer.segment));
			ck_assert_uint_eq(answer.msg.type, MEMPOOL_MSG_SEGMENT);
			ck_assert_uint_eq(answer.segment.n, n);
		}
		ck_assert_str_eq(answer.segment.place.segment, last);
		if (n == 0)
			for (size_t i = sizeof(answer.msg); i < sizeof(answer.segment); i++)
				ck_assert_uint_eq(answer.bytes[i], 0);
		_exit(0);
	}
	expect_child(pid);
}

/* The first for user and group A, the second for user B. */
static void configure_two(const char *top)
{
	char text[512];

	snprintf(text, sizeof(text), "    allow: { users: [54321], groups: [54323] }\n%s"
		 "  - name: %s-b\n"
		 "    pools: [ { chunk_size: 64, chunk_count: 4 } ]\n"
		 "    allow: { users: [54322] }\n", fixture_pools, fixture.segment);
	fixture_configure(&fixture, top, text);
}

START_TEST(test_list_shows_each_what_it_may_use)
{
	char second[40];

	snprintf(second, sizeof(second), "%s-b", fixture.segment);
	configure_two("admin: { users: [54324] }\n");
	fixture_start(&fixture);
	list_as(USER_A, 0, 1, fixture.segment);
	list_as(USER_B, 0, 1, second);
	list_as(USER_B, GROUP_A, 2, second);
	list_as(GROUP_A, 0, 1, fixture.segment);
	list_as(STRANGER, 0, 0, "");
	/* Who may administer, and the daemon's user, as we are. */
	list_as(ADMIN, 0, 2, second);
	list_as(0, 0, 2, second);
	fixture_stop(&fixture);
}
END_TEST

/* In whatever role: who is let in sees it. */
START_TEST(test_list_shows_it_to_each_role)
{
	configure("", "    backing: memfd\n    allow: { users: [54321] }\n"
		      "    readers: { users: [54322] }\n    spectators: { users: [54324] }\n");
	fixture_start(&fixture);
	list_as(USER_A, 0, 1, fixture.segment);
	list_as(USER_B, 0, 1, fixture.segment);
	list_as(ADMIN, 0, 1, fixture.segment);
	list_as(STRANGER, 0, 0, "");
	fixture_stop(&fixture);
}
END_TEST

/* What the asker meant is one that it may attach to; what others have makes no difference. */
START_TEST(test_refused_hears_what_it_may_have_meant)
{
	char mine[40], typed[40], theirs[40], text[160];

	snprintf(mine, sizeof(mine), "%s", fixture.segment);
	snprintf(theirs, sizeof(theirs), "%s-b", fixture.segment);
	snprintf(typed, sizeof(typed), "%s-a", fixture.segment);
	configure_two("admin: { users: [54324] }\n");
	fixture_start(&fixture);
	snprintf(text, sizeof(text), "log says which); did you mean '%s'?", mine);
	refuse_as(USER_A, typed, -ENOENT, text);
	/* One that is there, for others: the same answer. */
	refuse_as(USER_A, theirs, -ENOENT, text);
	snprintf(text, sizeof(text), "did you mean '%s'?", theirs);
	refuse_as(USER_B, typed, -ENOENT, text);
	refuse_as(USER_A, "x", -ENOENT, "log says which)");
	ck_assert(!fixture_log_has(&fixture, "did you mean"));
	/* An admin who is in no allow: what is there is told, and nothing was meant. */
	snprintf(text, sizeof(text), "there is no segment '%s'", typed);
	refuse_as(ADMIN, typed, -ENOENT, text);
	/* Root may attach to both: the nearest. */
	snprintf(text, sizeof(text), "there is no segment '%s'; did you mean '%s'?", typed, theirs);
	refuse_as(0, typed, -ENOENT, text);
	fixture_stop(&fixture);
}
END_TEST

/* A segment that cannot be made has a name, too, and a reason that names its size. */
START_TEST(test_list_shows_a_failed_segment_to_its_users)
{
	char text[512];

	snprintf(text, sizeof(text), "%s  - name: %s-b\n"
		 "    pools: [ { chunk_size: 1GiB, chunk_count: 1000000 } ]\n"
		 "    allow: { users: [54322] }\n",
		 fixture_pools, fixture.segment);
	fixture_configure(&fixture, "", text);
	fixture_start(&fixture);
	list_as(STRANGER, 0, 1, fixture.segment);
	snprintf(text, sizeof(text), "%s-b", fixture.segment);
	list_as(USER_B, 0, 2, text);
	fixture_stop(&fixture);
}
END_TEST

/* A reload takes the name out of `allow`: who is in it still sees what it holds, nobody new. */
START_TEST(test_list_shows_who_is_in_it_its_generation)
{
	struct mempool_msg_reloaded reloaded;
	struct mempool_msg_welcome welcome;
	int ready[2], done[2];
	char byte = 0;
	pid_t pid;

	configure("", "    allow: { users: [54321] }\n");
	fixture_start(&fixture);
	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(pipe(done), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		close(done[1]);
		become(USER_A, 0);
		wire_attach(&fixture, 1, &welcome);
		ck_assert_int_eq(write(ready[1], &byte, 1), 1);
		_exit(read(done[0], &byte, 1) != 0);
	}
	close(done[0]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	configure("", "    allow: { users: [54322] }\n");
	wire_reload(&fixture, &reloaded);
	ck_assert_int_eq(reloaded.error, 0);
	list_as(USER_A, 0, 1, fixture.segment);
	list_as(STRANGER, 0, 0, "");
	close(done[1]);
	expect_child(pid);
	close(ready[0]);
	close(ready[1]);
	fixture_stop(&fixture);
}
END_TEST

/* ---- how many ---- */

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

/* As many as may wait to be accepted on this machine, up to that. */
static int most_waiting(int most)
{
	FILE *file = fopen("/proc/sys/net/core/somaxconn", "r");
	int n = 0;

	if (file && fscanf(file, "%d", &n) != 1)
		n = 0;
	if (file)
		fclose(file);
	return n < most ? n : most;
}

/* The daemon is not running meanwhile: all the same nobody of them is told to try again. */
START_TEST(test_crowd_that_comes_at_once_finds_room)
{
	enum { MOST = 900 };
	int fds[MOST], n = most_waiting(MOST);

	fixture_start(&fixture);
	kill(fixture.pid, SIGSTOP);
	for (int i = 0; i < n; i++) {
		fds[i] = packet_connect(fixture.socket_path);
		ck_assert_int_ge(fds[i], 0);
	}
	for (int i = 0; i < n; i++)
		close(fds[i]);
	kill(fixture.pid, SIGCONT);
	fixture_stop(&fixture);
}
END_TEST

/* Both, in that order. */
static void expect_in_log(const char *first, const char *second)
{
	char text[32768] = "", *at;
	FILE *log = fopen(fixture.log_path, "r");

	ck_assert(fixture_log_has(&fixture, second));
	ck_assert_ptr_nonnull(log);
	text[fread(text, 1, sizeof(text) - 1, log)] = '\0';
	fclose(log);
	at = strstr(text, first);
	ck_assert_ptr_nonnull(at);
	ck_assert_ptr_nonnull(strstr(at, second));
}

/*
 * All of them want the place of one that has died, and whose large segment is being swept. So many
 * may wait as there is room for at the door, whatever they have said; who came first has to go.
 */
START_TEST(test_crowd_at_the_door_that_says_hello)
{
	enum { N = 100 };
	struct mempool_msg_hello hello = wire_hello(&fixture, 100);
	struct victim victim;
	int fds[N], n_welcome = 0;

	fixture_configure(&fixture, "limits: { clients: 1, clients_per_user: 1 }\n",
			  "    pools: [ { chunk_size: 8, chunk_count: 4000000 } ]\n");
	fixture_start(&fixture);
	victim_start(&victim, &fixture, 1);
	kill(fixture.pid, SIGSTOP);
	victim_kill(&victim);
	for (int i = 0; i < N; i++) {
		fds[i] = wire_connect(&fixture);
		hello.nonce++;
		wire_send(fds[i], &hello, sizeof(hello));
	}
	kill(fixture.pid, SIGCONT);
	wire_expect_refused(fds[0], -EUSERS, "the limit");
	/* One of those who have stayed gets it. */
	for (int i = 1; i < N; i++) {
		union wire_answer answer;

		ck_assert_int_gt(wire_receive(fds[i], &answer), 0);
		n_welcome += answer.msg.type == MEMPOOL_MSG_WELCOME;
	}
	ck_assert_int_eq(n_welcome, 1);
	expect_in_log("the limit (limits: clients)", "freed 1 chunks");
	for (int i = 0; i < N; i++)
		close(fds[i]);
	fixture_stop(&fixture);
}
END_TEST

/* ---- another pid namespace ---- */

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

/* ---- who has come, in the log ---- */

#define N_FLOOD 600		/* more than there are lines for */

/* Come and go. */
static void flood(void)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, 1);
	struct mempool_msg_welcome welcome;
	int fd;

	become(USER_A, 0);
	for (int i = 0; i < N_FLOOD; i++) {
		fd = wire_connect(&fixture);
		wire_send(fd, &hello, sizeof(hello));
		wire_expect_welcome(fd, &welcome);
		close(fd);
	}
}

/* Lines with these words, and the number that the last of them begins with. */
static unsigned int count_lines(const char *text, unsigned int *ret_number)
{
	FILE *file = fopen(fixture.log_path, "re");
	unsigned int n = 0;
	char line[512];

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file)) {
		if (!strstr(line, text))
			continue;
		sscanf(line, "mempoold: %u", ret_number);
		n++;
	}
	fclose(file);
	return n;
}

/*
 * Whatever one user does, another one's coming stands there, with who, what as, and where: what is
 * left out is counted.
 */
START_TEST(test_flood_hides_nobody_in_the_log)
{
	unsigned int n, n_left_out = 0;
	pid_t pid;

	configure("", "    allow: { users: [ 54322 ] }\n    spectators: { users: [ 54321, 54325 ] }\n");
	fixture_start(&fixture);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		flood();
		_exit(0);
	}
	expect_child(pid);
	hello_as(STRANGER, 0, 0, NULL);
	hello_as(USER_B, 0, 0, NULL);
	fixture_stop(&fixture);

	n = count_lines("uid 54321) attached to ", &n_left_out);
	ck_assert_uint_eq(count_lines(" more lines on clients that come were left out", &n_left_out), 1);
	ck_assert_uint_eq(n + n_left_out, N_FLOOD);
	ck_assert_uint_le(n, 501);
	ck_assert_uint_eq(count_lines("uid 54325) attached to mempool-", &n), 1);
	ck_assert_uint_eq(count_lines(".1 as spectator\n", &n) + n_left_out, N_FLOOD + 1);
	ck_assert_uint_eq(count_lines("uid 54322) attached to mempool-", &n), 1);
	ck_assert_uint_eq(count_lines(".1 as member, holder 2\n", &n), 1);
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
	tcase_add_test(tcase, test_crowd_at_the_door_that_says_hello);
	tcase_add_test(tcase, test_crowd_that_comes_at_once_finds_room);
	if (!skip_unless_root("other users, pid namespaces")) {
		tcase_add_loop_test(tcase, test_start_never_refuses_who_may_connect, 0, 2);
		tcase_add_test(tcase, test_allow_anybody_lets_everybody_in);
		tcase_add_test(tcase, test_no_allow_lets_nobody_else_in);
		tcase_add_test(tcase, test_allow_does_not_mean_nobody);
		tcase_add_test(tcase, test_object_is_the_daemons_alone);
		tcase_add_test(tcase, test_allow_lets_named_in_and_no_others);
		tcase_add_test(tcase, test_list_shows_each_what_it_may_use);
		tcase_add_test(tcase, test_list_shows_it_to_each_role);
		tcase_add_test(tcase, test_list_shows_a_failed_segment_to_its_users);
		tcase_add_test(tcase, test_list_shows_who_is_in_it_its_generation);
		tcase_add_test(tcase, test_limit_of_one_user_is_his_alone);
		tcase_add_test(tcase, test_flood_hides_nobody_in_the_log);
		tcase_add_test(tcase, test_refused_hears_what_it_may_have_meant);
		tcase_add_test(tcase, test_client_in_child_pid_namespace_is_served);
	}
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
