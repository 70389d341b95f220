/* SPDX-License-Identifier: MIT */
/*
 * test-service.c - the daemon as a service: options, sockets, the service manager, memory
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "support/control.h"

static struct fixture fixture;

static void setup(void)
{
	fixture_init(&fixture);
}

static void teardown(void)
{
	fixture_deinit(&fixture);
}

/* ---- options ---- */

static int run_with(const char *a, const char *b, const char *c)
{
	const char *const arguments[] = { MEMPOOLD, a, b, c, NULL };

	return fixture_run(&fixture, arguments);
}

START_TEST(test_options_give_the_right_status)
{
	ck_assert_int_eq(run_with("--version", NULL, NULL), 0);
	ck_assert(fixture_log_has(&fixture, "mempoold 0."));
	ck_assert_int_eq(run_with("--help", NULL, NULL), 0);
	ck_assert(fixture_log_has(&fixture, "--check-config"));
	ck_assert_int_eq(run_with("--no-such-option", NULL, NULL), 64);
	ck_assert_int_eq(run_with("surplus", NULL, NULL), 64);
	ck_assert_int_eq(run_with("--config", NULL, NULL), 64);
	ck_assert_int_eq(run_with("--config", "/nonexistent/file", NULL), 78);
	ck_assert(fixture_log_has(&fixture, "/nonexistent/file"));
	ck_assert_int_eq(run_with("--check-config", "--config", fixture.config_path), 0);
	ck_assert(fixture_log_has(&fixture, "pool 0: 1000 x 128 bytes"));
	ck_assert_uint_eq(fixture_count_objects(&fixture), 0);
	fixture_configure(&fixture, "no_such_key: 1\n", NULL);
	ck_assert_int_eq(run_with("--check-config", "--config", fixture.config_path), 78);
	ck_assert(fixture_log_has(&fixture, "mempool.yaml:2:1: "));
	ck_assert_int_eq(run_with("--config", fixture.config_path, NULL), 78);
}
END_TEST

START_TEST(test_option_socket_overrides_config)
{
	char path[128];
	const char *const arguments[] = { MEMPOOLD, "-c", fixture.config_path, "-s", path, NULL };
	struct stat st;

	snprintf(path, sizeof(path), "state_dir: %s\n", fixture.folder);
	fixture_configure(&fixture, path, NULL);
	snprintf(path, sizeof(path), "%s/no/such/folder", fixture.folder);
	ck_assert_int_eq(fixture_run(&fixture, arguments), 1);
	ck_assert(fixture_log_has(&fixture, "/no/such/folder: No such file or directory"));
	ck_assert_int_lt(stat(fixture.socket_path, &st), 0);
	memset(path, 'x', 120);
	path[0] = '/';
	path[120] = '\0';
	ck_assert_int_eq(fixture_run(&fixture, arguments), 1);
	ck_assert(fixture_log_has(&fixture, "longer than 107"));
}
END_TEST

static bool has_reloaded(void *userdata)
{
	(void)userdata;
	return fixture_log_has(&fixture, "reloaded ");
}

START_TEST(test_signals_stop_and_hangup_does_not)
{
	static const int stopping[] = { SIGTERM, SIGINT };
	struct mempool_msg_welcome welcome;
	struct stat st;

	fixture_start(&fixture);
	kill(fixture.pid, SIGHUP);
	kill(fixture.pid, SIGPIPE);
	wait_until(has_reloaded, NULL, 5000);
	close(wire_attach(&fixture, 1, &welcome));
	kill(fixture.pid, stopping[_i]);
	ck_assert_int_eq(fixture_wait(&fixture), 0);
	ck_assert(fixture_object_exists(&fixture, 1));
	ck_assert_int_lt(stat(fixture.socket_path, &st), 0);
}
END_TEST

START_TEST(test_signals_that_a_parent_has_blocked_are_heard)
{
	sigset_t all, before;

	sigfillset(&all);
	ck_assert_int_eq(sigprocmask(SIG_BLOCK, &all, &before), 0);
	fixture_start(&fixture);
	ck_assert_int_eq(sigprocmask(SIG_SETMASK, &before, NULL), 0);
	ck_assert_int_eq(kill(fixture.pid, SIGHUP), 0);
	wait_until(has_reloaded, NULL, 5000);
	fixture_stop(&fixture);
}
END_TEST

/* Else the client would be in the segment as long as its process lives. */
START_TEST(test_bye_before_a_stop_is_heard)
{
	struct mempool_msg_hello hello;
	struct mempool_msg_bye bye = { .msg = wire_msg(MEMPOOL_MSG_BYE, sizeof(bye)) };
	int fd;

	fixture_start(&fixture);
	kill(fixture.pid, SIGSTOP);
	hello = wire_hello(&fixture, 1);
	fd = wire_connect(&fixture);
	wire_send(fd, &hello, sizeof(hello));
	wire_send(fd, &bye, sizeof(bye));
	kill(fixture.pid, SIGTERM);
	kill(fixture.pid, SIGCONT);
	ck_assert_int_eq(fixture_wait(&fixture), 0);
	ck_assert(fixture_log_has(&fixture, "left holder"));
	close(fd);
}
END_TEST

/* ---- the socket's path ---- */

static int listen_at(const char *path, int type)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(fd, 5), 0);
	return fd;
}

START_TEST(test_socket_left_behind_is_replaced)
{
	struct stat st;

	fixture_start(&fixture);
	fixture_kill(&fixture);
	ck_assert_int_eq(stat(fixture.socket_path, &st), 0);
	fixture_start(&fixture);
	ck_assert_int_eq(stat(fixture.socket_path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0666);
	fixture_stop(&fixture);
}
END_TEST

/* Killed while it made its socket, by another name; also where there is no room for that. */
START_TEST(test_socket_left_half_made_is_cleared)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(fixture.folder) + 1;
	char path[sizeof(address.sun_path)], first[sizeof(path) + 4];
	struct stat st;
	FILE *file;
	int fd;

	if (_i == 1)
		length = sizeof(path) - 3;
	/* Of the longest path there is; or of a short one. */
	memset(path, 'x', sizeof(path));
	memcpy(path, fixture.folder, strlen(fixture.folder));
	path[strlen(fixture.folder)] = '/';
	path[length + 2] = '\0';
	strcpy(first, path);
	if (_i == 1)
		first[length + 1] = '~';
	else
		strcat(first, ".new");
	close(listen_at(first, SOCK_SEQPACKET));
	file = fopen(fixture.config_path, "we");
	ck_assert_ptr_nonnull(file);
	fprintf(file, "socket: { path: %s }\nsegments:\n  - name: %s\n%s", path,
		fixture.segment, fixture_pools);
	fclose(file);
	fd = fixture_listen(&fixture);
	fixture_spawn(&fixture);
	fixture_expect_notification(fd, "READY=1");
	ck_assert_int_eq(stat(first, &st), -1);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert(S_ISSOCK(st.st_mode));
	ck_assert_uint_eq(st.st_nlink, 1);
	close(fd);
	fixture_stop(&fixture);
	ck_assert_int_eq(stat(path, &st), -1);
}
END_TEST

static bool socket_is_there(void *userdata)
{
	struct stat st;

	(void)userdata;
	return stat(fixture.socket_path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* By a cleaner, under the daemon. */
START_TEST(test_socket_removed_is_made_anew)
{
	struct mempool_msg_welcome first, second;
	struct stat st;
	int fd;

	fixture_start(&fixture);
	fd = wire_attach(&fixture, 1, &first);
	ck_assert_int_eq(unlink(fixture.socket_path), 0);
	wait_until(socket_is_there, NULL, 30000);
	ck_assert(fixture_log_has(&fixture, "was removed; it has been made anew"));
	ck_assert_int_eq(stat(fixture.socket_path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0666);
	wire_bye(wire_attach(&fixture, 2, &second));
	ck_assert_uint_eq(first.place.segment_id, second.place.segment_id);
	/* Who was connected has not noticed. */
	wire_bye(fd);
	/* And it is ours again, to remove. */
	fixture_stop(&fixture);
	ck_assert_int_eq(stat(fixture.socket_path, &st), -1);
}
END_TEST

static bool log_has(void *text)
{
	return fixture_log_has(&fixture, text);
}

/* What somebody has put in its place is not ours; once it is gone, we come back. */
START_TEST(test_socket_replaced_by_something_else_is_left)
{
	struct mempool_msg_welcome welcome;
	char path[96];
	struct stat st;

	fixture_start(&fixture);
	/* At once, so that no look comes in between. */
	snprintf(path, sizeof(path), "%s/other", fixture.folder);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(renameat2(AT_FDCWD, path, AT_FDCWD, fixture.socket_path,
				   RENAME_EXCHANGE), 0);
	wait_until(log_has, (void *)"something else is there, which is left alone", 30000);
	ck_assert_int_eq(stat(fixture.socket_path, &st), 0);
	ck_assert(S_ISDIR(st.st_mode));
	ck_assert_int_eq(rmdir(fixture.socket_path), 0);
	wait_until(socket_is_there, NULL, 30000);
	wire_bye(wire_attach(&fixture, 1, &welcome));
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_socket_in_use_is_refused)
{
	int fd = listen_at(fixture.socket_path, SOCK_SEQPACKET);
	struct stat before, after;

	stat(fixture.socket_path, &before);
	ck_assert_int_eq(fixture_run_daemon(&fixture), 1);
	ck_assert(fixture_log_has(&fixture, "another mempoold listens on"));
	ck_assert_int_eq(stat(fixture.socket_path, &after), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	close(fd);
	unlink(fixture.socket_path);

	/* Something else's, that is no mempoold's. */
	fd = listen_at(fixture.socket_path, SOCK_STREAM);
	ck_assert_int_eq(fixture_run_daemon(&fixture), 1);
	ck_assert(fixture_log_has(&fixture, "is a socket of something else"));
	close(fd);
}
END_TEST

START_TEST(test_path_that_is_no_socket_is_left)
{
	int fd = open(fixture.socket_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	struct stat st;

	close(fd);
	ck_assert_int_eq(fixture_run_daemon(&fixture), 1);
	ck_assert(fixture_log_has(&fixture, "is not a socket; left alone"));
	ck_assert_int_eq(stat(fixture.socket_path, &st), 0);
}
END_TEST

START_TEST(test_socket_of_another_user_is_left)
{
	int fd;

	if (skip_unless_root("a socket of another user"))
		return;
	fd = listen_at(fixture.socket_path, SOCK_SEQPACKET);
	close(fd);
	ck_assert_int_eq(chown(fixture.socket_path, 12345, 12345), 0);
	ck_assert_int_eq(fixture_run_daemon(&fixture), 1);
	ck_assert(fixture_log_has(&fixture, "is left from user 12345"));
}
END_TEST

/* ---- the service manager ---- */

static int passed_fds[4] = { -1, -1, -1, -1 };
static const char *passed_names;	/* NULL: none are told */

/* As systemd passes sockets. */
static void pass_fds(void *userdata)
{
	const int *n = userdata;
	char text[16];
	int i;

	for (i = 0; i < *n; i++) {
		/* Out of the way of the other one, then to its place. */
		int fd = fcntl(passed_fds[i], F_DUPFD, 100);

		dup2(fd, 3 + i);
		close(fd);
	}
	snprintf(text, sizeof(text), "%d", (int)getpid());
	setenv("LISTEN_PID", text, 1);
	snprintf(text, sizeof(text), "%d", *n);
	setenv("LISTEN_FDS", text, 1);
	if (passed_names)
		setenv("LISTEN_FDNAMES", passed_names, 1);
}

START_TEST(test_socket_passed_wins_and_stays)
{
	struct mempool_msg_welcome welcome;
	char path[96], config_path[96];
	struct stat st;
	int n = 1;

	/* The fixture's clients go to the passed one; the config has another path. */
	snprintf(path, sizeof(path), "%s/passed", fixture.folder);
	strcpy(config_path, fixture.socket_path);
	passed_fds[0] = listen_at(path, SOCK_SEQPACKET);
	strcpy(fixture.socket_path, path);
	fixture.in_child = pass_fds;
	fixture.userdata = &n;
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	ck_assert_int_lt(stat(config_path, &st), 0);
	fixture_stop(&fixture);
	ck_assert_int_eq(stat(path, &st), 0);
	/* Who connects between two daemons is served by the next. */
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	/* Removed, it cannot be made anew by us. */
	ck_assert_int_eq(unlink(path), 0);
	wait_until(log_has, (void *)"it is the service manager's, restart mempoold.socket", 30000);
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_socket_passed_of_wrong_kind_is_refused)
{
	char path[96], other[96];
	int n = 1;

	snprintf(path, sizeof(path), "%s/passed", fixture.folder);
	snprintf(other, sizeof(other), "%s/other", fixture.folder);
	fixture.in_child = pass_fds;
	fixture.userdata = &n;
	passed_fds[0] = listen_at(path, SOCK_STREAM);
	ck_assert_int_eq(fixture_run_daemon(&fixture), 1);
	ck_assert(fixture_log_has(&fixture, "not a listening Unix socket for sequential"));
	close(passed_fds[0]);
	passed_fds[0] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(fixture_run_daemon(&fixture), 1);
	unlink(path);
	passed_fds[0] = listen_at(path, SOCK_SEQPACKET);
	passed_fds[1] = listen_at(other, SOCK_SEQPACKET);
	n = 2;
	ck_assert_int_eq(fixture_run_daemon(&fixture), 1);
	ck_assert(fixture_log_has(&fixture, "2 sockets were passed"));
	unlink(path);
	unlink(other);
}
END_TEST

static void pass_fds_and_listen(void *userdata)
{
	pass_fds(userdata);
	setenv("NOTIFY_SOCKET", fixture.notify_path, 1);
}

/* Beside the socket, what nobody can use: kept without a state file, or of neither kind. */
START_TEST(test_passed_file_of_nobody_is_closed_and_dropped)
{
	struct mempool_msg_welcome welcome;
	char path[96], names[160], link[64];
	char target[64] = "";
	int notify_fd, n = 4;

	notify_fd = fixture_listen(&fixture);
	snprintf(path, sizeof(path), "%s/passed", fixture.folder);
	snprintf(names, sizeof(names), "%s.7.data:mempoold.socket:what:%s.3.control",
		 fixture.segment, fixture.segment);
	passed_names = names;
	passed_fds[0] = memfd_create("kept", MFD_CLOEXEC);
	passed_fds[1] = listen_at(path, SOCK_SEQPACKET);
	passed_fds[2] = memfd_create("other", MFD_CLOEXEC);
	/* A socket by the name of a file. */
	passed_fds[3] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	strcpy(fixture.socket_path, path);
	fixture.in_child = pass_fds_and_listen;
	fixture.userdata = &n;
	fixture_start(&fixture);
	fixture_expect_notification(notify_fd, "FDSTOREREMOVE=1\nFDNAME=what");
	snprintf(names, sizeof(names), "FDSTOREREMOVE=1\nFDNAME=%s.3.control", fixture.segment);
	fixture_expect_notification(notify_fd, names);
	snprintf(names, sizeof(names), "FDSTOREREMOVE=1\nFDNAME=%s.7.data", fixture.segment);
	fixture_expect_notification(notify_fd, names);
	ck_assert(fixture_log_has(&fixture, "handed over 'what', which is neither"));
	ck_assert(fixture_log_has(&fixture, ".7, of which the state folder knows nothing, and "
					    "nobody is seen in it"));
	for (int fd = 0; fd < 64; fd++) {
		snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)fixture.pid, fd);
		target[0] = '\0';
		if (readlink(link, target, sizeof(target) - 1) > 0)
			ck_assert_msg(!strstr(target, "memfd:kept") && !strstr(target, "memfd:other"),
				      "%s is open", target);
	}
	/* Whoever drops it may be slow: nothing new has that name. */
	close(wire_attach(&fixture, 1, &welcome));
	ck_assert_uint_eq(welcome.place.generation, 8);
	fixture_stop(&fixture);
	close(notify_fd);
}
END_TEST

/* Return: how many are there, and come within @for_ms. */
static unsigned int count_notifications(int fd, const char *text, int for_ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	double begin = clock_ms();
	unsigned int n = 0;
	char got[1024];
	ssize_t size;

	do {
		if (poll(&poll_fd, 1, 10) <= 0)
			continue;
		size = recv(fd, got, sizeof(got) - 1, 0);
		got[size < 0 ? 0 : size] = '\0';
		n += strstr(got, text) != NULL;
	} while (clock_ms() - begin < for_ms);
	return n;
}

START_TEST(test_service_manager_is_told)
{
	int fd = fixture_listen(&fixture), i;
	struct mempool_msg_welcome welcome;
	struct control control;
	unsigned int n;
	double begin;

	fixture_spawn(&fixture);
	fixture_expect_notification(fd, "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=30000000\n"
					"STATUS=taking memory");
	fixture_expect_notification(fd, "STATUS=0 clients in 1 segment");
	fixture_expect_notification(fd, "READY=1");
	/* READY means that it serves. */
	close(wire_attach(&fixture, 1, &welcome));
	fixture_expect_notification(fd, "STATUS=1 client in 1 segment");
	fixture_expect_notification(fd, "WATCHDOG=1");
	/* Not more than one line a second, whatever happens. */
	begin = clock_ms();
	for (i = 2; i < 100; i++)
		wire_bye(wire_attach(&fixture, 1000 + (uint64_t)i, &welcome));
	fixture_expect_notification(fd, "STATUS=");
	n = 1 + count_notifications(fd, "STATUS=", 1500);
	ck_assert_uint_le(n, 1 + (unsigned int)((clock_ms() - begin) / 1000));
	/* Twice in WATCHDOG_USEC. */
	control_start(&control);
	for (i = 0; i < 4; i++)
		fixture_expect_notification(fd, "WATCHDOG=1");
	ck_assert_double_lt(control_stop(&control), 550);
	kill(fixture.pid, SIGTERM);
	fixture_expect_notification(fd, "STOPPING=1");
	ck_assert_int_eq(fixture_wait(&fixture), 0);
	close(fd);
}
END_TEST

/* A manager that does not watch it, watches another process, or says nonsense. */
static void watch_no_daemon(void *userdata)
{
	static const char *const usec[] = { NULL, "200000", "often" };
	const int *which = userdata;
	char text[16];

	setenv("NOTIFY_SOCKET", fixture.notify_path, 1);
	if (usec[*which])
		setenv("WATCHDOG_USEC", usec[*which], 1);
	snprintf(text, sizeof(text), "%d", (int)(*which == 1 ? getppid() : getpid()));
	setenv("WATCHDOG_PID", text, 1);
}

START_TEST(test_watchdog_of_nobody_is_told_nothing)
{
	int fd = fixture_listen(&fixture);

	fixture.in_child = watch_no_daemon;
	fixture.userdata = &_i;
	fixture_start(&fixture);
	ck_assert_uint_eq(count_notifications(fd, "WATCHDOG=", 550), 0);
	fixture_stop(&fixture);
	close(fd);
}
END_TEST

/* Until its queue is full. Return: a descriptor to send more. */
static int fill_notify_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", fixture.notify_path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	while (send(fd, "X", 1, 0) == 1)
		;
	ck_assert_int_eq(errno, EAGAIN);
	return fd;
}

/* It serves all the same, and once the manager listens it hears what counts. */
START_TEST(test_service_manager_that_does_not_read_holds_up_nobody)
{
	struct mempool_msg_reloaded reloaded;
	struct mempool_msg_welcome welcome;
	int fd = fixture_listen(&fixture);

	close(fill_notify_socket());
	fixture_start(&fixture);
	wire_bye(wire_attach(&fixture, 1, &welcome));
	wire_reload(&fixture, &reloaded);
	ck_assert_int_eq(reloaded.error, 0);
	fixture_expect_notification(fd, "READY=1");
	close(fill_notify_socket());
	fixture_stop(&fixture);
	close(fd);
}
END_TEST

/* Into the journal, lines have their priority in front; with --foreground never. */
static void make_journal(void *userdata)
{
	struct stat st;
	char text[64];

	(void)userdata;
	fstat(STDERR_FILENO, &st);
	snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", text, 1);
}

START_TEST(test_journal_gets_priorities)
{
	const char *const arguments[] = { MEMPOOLD, "-c", fixture.config_path, NULL };

	fixture_start(&fixture);
	ck_assert_int_eq(fixture_run(&fixture, arguments), 1);
	ck_assert(fixture_log_has(&fixture, "mempoold: error: another mempoold"));
	ck_assert(!fixture_log_has(&fixture, "<3>"));
	fixture.in_child = make_journal;
	ck_assert_int_eq(fixture_run_daemon(&fixture), 1);
	ck_assert(!fixture_log_has(&fixture, "<3>"));
	ck_assert_int_eq(fixture_run(&fixture, arguments), 1);
	ck_assert(fixture_log_has(&fixture, "<3>another mempoold"));
	ck_assert(fixture_log_has(&fixture, "<6>mempoold"));
	fixture_stop(&fixture);
}
END_TEST

/* ---- standard error ---- */

static int log_pipe[2] = { -1, -1 };

static void log_to_pipe(void *userdata)
{
	(void)userdata;
	dup2(log_pipe[1], STDERR_FILENO);
}

/* Until nothing fits. Whoever shares the open file waits, as before. */
static void fill_log_pipe(void)
{
	char lines[4096];
	size_t size = sizeof(lines);

	memset(lines, '\n', sizeof(lines));
	fcntl(log_pipe[1], F_SETFL, O_NONBLOCK);
	while (size > 0)
		if (write(log_pipe[1], lines, size) < 0)
			size /= 2;
	fcntl(log_pipe[1], F_SETFL, 0);
}

/* A supervisor that makes a pipe and forgets it. Lines of clients are limited, those of
 * reloads are not: more of them than the daemon keeps. */
START_TEST(test_stderr_that_nobody_reads_holds_up_nobody)
{
	struct mempool_msg_reloaded reloaded;
	struct mempool_msg_welcome welcome;
	unsigned int n_dropped = 0;
	char line[2048];
	FILE *reader;

	ck_assert_int_eq(pipe2(log_pipe, O_CLOEXEC), 0);
	fill_log_pipe();
	fixture.in_child = log_to_pipe;
	fixture_start(&fixture);
	for (uint64_t i = 1; i <= 2000; i++)
		wire_bye(wire_attach(&fixture, i, &welcome));
	for (int i = 0; i < 1000; i++)
		wire_reload(&fixture, &reloaded);

	/* Somebody reads it after all, and learns what is missing. */
	reader = fdopen(log_pipe[0], "r");
	ck_assert_ptr_nonnull(reader);
	while (n_dropped == 0 && fgets(line, sizeof(line), reader))
		sscanf(line, "mempoold: warning: %u messages were dropped", &n_dropped);
	ck_assert_uint_gt(n_dropped, 0);
	wire_reload(&fixture, &reloaded);
	while (!strstr(line, "reloaded "))
		ck_assert_ptr_nonnull(fgets(line, sizeof(line), reader));

	/* Full again: it ends all the same. */
	fill_log_pipe();
	fixture_stop(&fixture);
	fclose(reader);
	close(log_pipe[1]);
}
END_TEST

START_TEST(test_stderr_whose_reader_is_gone_ends_nobody)
{
	struct mempool_msg_welcome welcome;

	ck_assert_int_eq(pipe2(log_pipe, O_CLOEXEC), 0);
	close(log_pipe[0]);
	fixture.in_child = log_to_pipe;
	fixture_start(&fixture);
	wire_bye(wire_attach(&fixture, 1, &welcome));
	fixture_stop(&fixture);
	close(log_pipe[1]);
}
END_TEST

static void show_event_method(void *userdata)
{
	(void)userdata;
	setenv("EVENT_SHOW_METHOD", "1", 1);
}

/* What libevent says takes the same way as all lines. */
START_TEST(test_stderr_has_libevent_in_the_log)
{
	fixture.in_child = show_event_method;
	fixture_start(&fixture);
	ck_assert(fixture_log_has(&fixture, "mempoold: libevent: libevent using: "));
	fixture_stop(&fixture);
}
END_TEST

/* ---- memory and descriptors ---- */

/* A /dev/shm of its own, of 1 MiB; what is in it goes with the daemon. */
static void small_shm(void *userdata)
{
	(void)userdata;
	if (fixture_own_mounts(0) < 0 ||
	    mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=1M") < 0)
		_exit(77);
}

START_TEST(test_full_shm_is_an_error_at_start)
{
	fixture.in_child = small_shm;
	fixture_configure(&fixture, "", "    pools: [ { chunk_size: 4KiB, chunk_count: 10000 } ]\n");
	ck_assert_int_eq(fixture_run_daemon(&fixture), 1);
	ck_assert(fixture_log_has(&fixture, "no room in /dev/shm: it needs"));
	/* It fits, and then it works. */
	fixture_configure(&fixture, "", "    pools: [ { chunk_size: 4KiB, chunk_count: 10 } ]\n");
	fixture_start(&fixture);
	fixture_stop(&fixture);
}
END_TEST

/* A state folder of its own, with room for the lock and no more. */
static void small_state_folder(void *userdata)
{
	if (fixture_own_mounts(0) < 0 ||
	    mount("tmpfs", userdata, "tmpfs", 0, "size=8k,mode=0700") < 0)
		_exit(77);
}

/* What is written there later, into a mapping, would be a SIGBUS. */
START_TEST(test_full_state_folder_is_an_error_at_start)
{
	char folder[128], top[192];

	snprintf(folder, sizeof(folder), "%s/state", fixture.folder);
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	snprintf(top, sizeof(top), "state_dir: %s\n", folder);
	fixture_configure(&fixture, top, NULL);
	fixture.in_child = small_state_folder;
	fixture.userdata = folder;
	ck_assert_int_eq(fixture_run_daemon(&fixture), 1);
	ck_assert(fixture_log_has(&fixture, strerror(ENOSPC)));
	ck_assert_uint_eq(fixture_count_objects(&fixture), 0);
	ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

static void small_files(void *userdata)
{
	const rlim_t *bytes = userdata;
	const struct rlimit limit = { .rlim_cur = *bytes, .rlim_max = *bytes };

	setrlimit(RLIMIT_FSIZE, &limit);
}

/* Which would be killed by a signal, and leave half of it. */
START_TEST(test_files_that_may_not_be_as_large_are_an_error_at_start)
{
	struct mempool_msg_welcome welcome;
	rlim_t limit = 1 << 20;
	char text[512];

	fixture.in_child = small_files;
	fixture.userdata = &limit;
	fixture_configure(&fixture, "", "    pools: [ { chunk_size: 4KiB, chunk_count: 1000 } ]\n");
	ck_assert_int_eq(fixture_run_daemon(&fixture), 1);
	ck_assert(fixture_log_has(&fixture, "no file may be as large: it needs"));
	ck_assert(fixture_log_has(&fixture, "(LimitFSIZE= in its unit)"));
	ck_assert_uint_eq(fixture_count_objects(&fixture), 0);
	/* It fails alone; */
	snprintf(text, sizeof(text), "%s  - name: %s-large\n"
		 "    pools: [ { chunk_size: 4KiB, chunk_count: 1000 } ]\n", fixture_pools,
		 fixture.segment);
	fixture_configure(&fixture, "", text);
	fixture_start(&fixture);
	wire_bye(wire_attach(&fixture, 1, &welcome));
	fixture_stop(&fixture);
	ck_assert_int_eq(fixture_run_remove(&fixture), 0);
	/* and so does what is small, but no file at all may be written: not even the log. */
	limit = 0;
	ck_assert_int_eq(fixture_run_daemon(&fixture), 1);
	ck_assert_uint_eq(fixture_count_objects(&fixture), 0);
}
END_TEST

static bool has_put_off(void *userdata)
{
	(void)userdata;
	return fixture_log_has(&fixture, "cannot accept clients now");
}

static void few_fds(void *userdata)
{
	const struct rlimit limit = { .rlim_cur = 20, .rlim_max = *(const rlim_t *)userdata };

	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Out of descriptors: nobody is lost, accepting goes on when there are some again. */
START_TEST(test_no_descriptors_puts_accepting_off)
{
	struct mempool_msg_welcome welcome;
	rlim_t limit = 40;
	int fds[60], fd;
	size_t i;

	fixture.in_child = few_fds;
	fixture.userdata = &limit;
	fixture_start(&fixture);
	ck_assert(fixture_log_has(&fixture, "LimitNOFILE="));
	fd = wire_attach(&fixture, 1, &welcome);
	for (i = 0; i < 60; i++)
		fds[i] = wire_connect(&fixture);
	wait_until(has_put_off, NULL, 5000);
	for (i = 0; i < 60; i++)
		close(fds[i]);
	close(wire_attach(&fixture, 2, &welcome));
	wire_bye(fd);
	fixture_stop(&fixture);
}
END_TEST

/* The soft limit is raised: 100 clients need more than 20. */
START_TEST(test_soft_limit_of_descriptors_is_raised)
{
	struct mempool_msg_welcome welcome;
	rlim_t limit = 4096;
	int fds[100];
	size_t i;

	fixture.in_child = few_fds;
	fixture.userdata = &limit;
	fixture_configure(&fixture, "limits: { clients: 1000 }\n", NULL);
	fixture_start(&fixture);
	ck_assert(!fixture_log_has(&fixture, "LimitNOFILE="));
	for (i = 0; i < 100; i++)
		fds[i] = wire_attach(&fixture, 1 + i, &welcome);
	for (i = 0; i < 100; i++)
		close(fds[i]);
	fixture_stop(&fixture);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("service");
	TCase *tcase = tcase_create("service");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_options_give_the_right_status);
	tcase_add_test(tcase, test_option_socket_overrides_config);
	tcase_add_loop_test(tcase, test_signals_stop_and_hangup_does_not, 0, 2);
	tcase_add_test(tcase, test_signals_that_a_parent_has_blocked_are_heard);
	tcase_add_test(tcase, test_bye_before_a_stop_is_heard);
	tcase_add_test(tcase, test_socket_left_behind_is_replaced);
	tcase_add_loop_test(tcase, test_socket_left_half_made_is_cleared, 0, 2);
	tcase_add_test(tcase, test_socket_removed_is_made_anew);
	tcase_add_test(tcase, test_socket_replaced_by_something_else_is_left);
	tcase_add_test(tcase, test_socket_in_use_is_refused);
	tcase_add_test(tcase, test_path_that_is_no_socket_is_left);
	tcase_add_test(tcase, test_socket_of_another_user_is_left);
	tcase_add_test(tcase, test_socket_passed_wins_and_stays);
	tcase_add_test(tcase, test_socket_passed_of_wrong_kind_is_refused);
	tcase_add_test(tcase, test_passed_file_of_nobody_is_closed_and_dropped);
	tcase_add_test(tcase, test_service_manager_is_told);
	tcase_add_test(tcase, test_service_manager_that_does_not_read_holds_up_nobody);
	tcase_add_loop_test(tcase, test_watchdog_of_nobody_is_told_nothing, 0, 3);
	tcase_add_test(tcase, test_journal_gets_priorities);
	tcase_add_test(tcase, test_stderr_that_nobody_reads_holds_up_nobody);
	tcase_add_test(tcase, test_stderr_whose_reader_is_gone_ends_nobody);
	tcase_add_test(tcase, test_stderr_has_libevent_in_the_log);
	if (!skip_unless_root("a small /dev/shm, and a small state folder")) {
		tcase_add_test(tcase, test_full_shm_is_an_error_at_start);
		tcase_add_test(tcase, test_full_state_folder_is_an_error_at_start);
	}
	if (!skip_with_thread_sanitizer("files are larger than what it is to see"))
		tcase_add_test(tcase, test_files_that_may_not_be_as_large_are_an_error_at_start);
	tcase_add_test(tcase, test_no_descriptors_puts_accepting_off);
	tcase_add_test(tcase, test_soft_limit_of_descriptors_is_raised);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
