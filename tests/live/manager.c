/* SPDX-License-Identifier: MIT */
#include "manager.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST_PASSED 3
#define OUT_OF_THE_WAY 100
#define STATUS_MS 10000
#define START_MS 20000
#define SETTLE_MS 5000

/* The value of a line NAME=VALUE of a message, as a string of its own; NULL: it has none. */
static const char *value_of(const char *text, const char *name, char *value, size_t size)
{
	const char *line = text;
	size_t length = strlen(name);

	while (line && (strncmp(line, name, length) != 0 || line[length] != '=')) {
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	if (!line)
		return NULL;
	line += length + 1;
	snprintf(value, size, "%.*s", (int)strcspn(line, "\n"), line);
	return value;
}

static bool has(const char *text, const char *name, const char *expected)
{
	char value[64];

	return value_of(text, name, value, sizeof(value)) && strcmp(value, expected) == 0;
}

static void drop(struct manager *manager, const char *name)
{
	int n = 0;

	for (int i = 0; i < manager->n; i++) {
		if (!name || strcmp(manager->kept[i].name, name) == 0)
			close(manager->kept[i].fd);
		else
			manager->kept[n++] = manager->kept[i];
	}
	manager->n = n;
}

static void keep(struct manager *manager, const char *name, int fd)
{
	struct manager_kept *kept = &manager->kept[manager->n];

	if (manager->n == MANAGER_MAX) {
		close(fd);
		return;
	}
	snprintf(kept->name, sizeof(kept->name), "%s", name);
	kept->fd = fd;
	manager->n++;
}

/* fd: what came with it, or -1. */
static void hear_message(struct manager *manager, const char *text, int fd)
{
	char name[64] = "stored";

	value_of(text, "FDNAME", name, sizeof(name));
	value_of(text, "STATUS", manager->status, sizeof(manager->status));
	manager->n_ready += has(text, "READY", "1");
	manager->n_settled += has(text, "X_SETTLE", "1");
	if (has(text, "FDSTOREREMOVE", "1"))
		drop(manager, name);
	if (has(text, "BARRIER", "1")) {
		manager->n_barriers++;
		manager->n_when_barrier = manager->n;
	}
	if (fd >= 0 && has(text, "FDSTORE", "1")) {
		manager->is_watched |= !has(text, "FDPOLL", "0");
		keep(manager, name, fd);
	} else if (fd >= 0) {
		close(fd);
	}
}

/* Until the test shuts the socket down. */
static void *listen_on(void *userdata)
{
	struct manager *manager = userdata;
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr alignment;
	} control;
	char text[2048];

	for (;;) {
		struct iovec data = { .iov_base = text, .iov_len = sizeof(text) - 1 };
		struct msghdr message = {
			.msg_iov = &data,
			.msg_iovlen = 1,
			.msg_control = control.bytes,
			.msg_controllen = sizeof(control.bytes),
		};
		ssize_t n = recvmsg(manager->fd, &message, MSG_CMSG_CLOEXEC);
		struct cmsghdr *head = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
		int fd = -1;

		if (n <= 0)
			return NULL;
		text[n] = '\0';
		if (head && head->cmsg_type == SCM_RIGHTS)
			memcpy(&fd, CMSG_DATA(head), sizeof(fd));
		pthread_mutex_lock(&manager->mutex);
		hear_message(manager, text, fd);
		pthread_mutex_unlock(&manager->mutex);
	}
}

/* In the child. Nobody else is there, so there is nothing to lock. */
static void pass_kept(void *userdata)
{
	const struct manager *manager = userdata;
	char names[(MANAGER_MAX + 1) * 65] = "", number[16];
	int fds[MANAGER_MAX + 1], n = 0;

	/* Out of the way of each other, then to their places. */
	if (manager->socket >= 0) {
		fds[n++] = fcntl(manager->socket, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
		strcpy(names, "mempoold.socket");
		setenv("RUNTIME_DIRECTORY", manager->fixture->folder, 1);
	}
	for (int i = 0; i < manager->n; i++) {
		fds[n] = fcntl(manager->kept[i].fd, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
		strcat(names, n++ ? ":" : "");
		strcat(names, manager->kept[i].name);
	}
	for (int i = 0; i < n; i++)
		dup2(fds[i], FIRST_PASSED + i);
	setenv("NOTIFY_SOCKET", manager->fixture->notify_path, 1);
	if (n == 0)
		return;
	snprintf(number, sizeof(number), "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
	snprintf(number, sizeof(number), "%d", n);
	setenv("LISTEN_FDS", number, 1);
	setenv("LISTEN_FDNAMES", names, 1);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(fd, 64), 0);
	return fd;
}

void manager_use(struct manager *manager)
{
	manager->fixture->in_child = pass_kept;
	manager->fixture->userdata = manager;
}

void manager_start(struct manager *manager, struct fixture *fixture)
{
	*manager = (struct manager){ .fixture = fixture };
	manager->fd = fixture_listen(fixture);
	manager->socket = listen_at(fixture->socket_path);
	manager_use(manager);
	ck_assert_int_eq(pthread_mutex_init(&manager->mutex, NULL), 0);
	ck_assert_int_eq(pthread_create(&manager->thread, NULL, listen_on, manager), 0);
	/* A sanitizer has locks while a thread begins, which a child of a fork would find held for ever. */
	manager_settle(manager);
}

void manager_make_bare(struct manager *manager)
{
	close(manager->socket);
	manager->socket = -1;
	ck_assert_int_eq(unlink(manager->fixture->socket_path), 0);
}

void manager_stop(struct manager *manager)
{
	shutdown(manager->fd, SHUT_RDWR);
	pthread_join(manager->thread, NULL);
	close(manager->fd);
	if (manager->socket >= 0)
		close(manager->socket);
	drop(manager, NULL);
	pthread_mutex_destroy(&manager->mutex);
}

void manager_drop_all(struct manager *manager)
{
	manager_drop(manager, NULL);
}

void manager_drop(struct manager *manager, const char *name)
{
	pthread_mutex_lock(&manager->mutex);
	drop(manager, name);
	pthread_mutex_unlock(&manager->mutex);
}

int manager_find(struct manager *manager, const char *name)
{
	int fd = -1;

	pthread_mutex_lock(&manager->mutex);
	for (int i = 0; i < manager->n; i++)
		if (strcmp(manager->kept[i].name, name) == 0)
			fd = manager->kept[i].fd;
	pthread_mutex_unlock(&manager->mutex);
	return fd;
}

void manager_replace(struct manager *manager, const char *name, int fd)
{
	pthread_mutex_lock(&manager->mutex);
	drop(manager, name);
	keep(manager, name, fd);
	pthread_mutex_unlock(&manager->mutex);
}

int manager_count(struct manager *manager)
{
	int n;

	pthread_mutex_lock(&manager->mutex);
	n = manager->n;
	pthread_mutex_unlock(&manager->mutex);
	return n;
}

static bool is_settled(void *userdata)
{
	struct manager *manager = userdata;
	bool is;

	pthread_mutex_lock(&manager->mutex);
	is = manager->n_settled > 0;
	pthread_mutex_unlock(&manager->mutex);
	return is;
}

void manager_settle(struct manager *manager)
{
	static const char text[] = "X_SETTLE=1";
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", manager->fixture->notify_path);
	pthread_mutex_lock(&manager->mutex);
	manager->n_settled = 0;
	pthread_mutex_unlock(&manager->mutex);
	ck_assert_int_eq(sendto(fd, text, strlen(text), 0, (struct sockaddr *)&address,
				sizeof(address)), (ssize_t)strlen(text));
	close(fd);
	wait_until(is_settled, manager, SETTLE_MS);
}

struct ready {
	struct manager *manager;
	int n;
};

static bool is_ready(void *userdata)
{
	const struct ready *ready = userdata;
	siginfo_t info = { .si_pid = 0 };
	bool found;

	waitid(P_PID, (id_t)ready->manager->fixture->pid, &info, WEXITED | WNOHANG | WNOWAIT);
	ck_assert_msg(info.si_pid == 0, "it ended, with status %d", info.si_status);

	pthread_mutex_lock(&ready->manager->mutex);
	found = ready->manager->n_ready > ready->n;
	pthread_mutex_unlock(&ready->manager->mutex);
	return found;
}

void manager_start_daemon(struct manager *manager)
{
	struct ready ready = { .manager = manager };

	/* The one before may have told it just now. */
	pthread_mutex_lock(&manager->mutex);
	ready.n = manager->n_ready;
	pthread_mutex_unlock(&manager->mutex);
	fixture_spawn(manager->fixture);
	wait_until(is_ready, &ready, START_MS);
}

struct expected {
	struct manager *manager;
	const char *text;
	bool is_whole;
};

static bool has_status(void *userdata)
{
	const struct expected *expected = userdata;
	struct manager *manager = expected->manager;
	bool found;

	pthread_mutex_lock(&manager->mutex);
	found = expected->is_whole ? strcmp(manager->status, expected->text) == 0
				   : strstr(manager->status, expected->text) != NULL;
	pthread_mutex_unlock(&manager->mutex);
	return found;
}

void manager_expect_status(struct manager *manager, const char *text)
{
	struct expected expected = { manager, text, false };

	wait_until(has_status, &expected, STATUS_MS);
}

void manager_expect_whole_status(struct manager *manager, const char *text)
{
	struct expected expected = { manager, text, true };

	wait_until(has_status, &expected, STATUS_MS);
}
