/* SPDX-License-Identifier: MIT */
#include "daemon/base/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/base/manager.h"

#define NOTIFY_TEXT_BYTES 1024
#define NOTIFY_WAIT_MS 3000		/* for a manager that does not listen */

/* What must be told once. */
struct due {
	STAILQ_ENTRY(due) link;
	char text[];
};

static char notify_due[NOTIFY_TEXT_BYTES];	/* the state, until it is told */
static STAILQ_HEAD(, due) notify_dues = STAILQ_HEAD_INITIALIZER(notify_dues);

/* Where the manager listens. Return: the length; 0 there is none. */
static socklen_t find_manager(struct sockaddr_un *ret_address)
{
	const char *path = manager_socket();
	size_t length = path ? strlen(path) : 0;

	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (length < 2 || length >= sizeof(ret_address->sun_path))
		return 0;
	memcpy(ret_address->sun_path, path, length);
	/* That is an abstract name. */
	if (path[0] == '@')
		ret_address->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

/* passed: -1: none. wait_ms: 0: not at all. Return: 0; -ENOTCONN; -EAGAIN no room; -errno. */
static int send_message(const char *text, int passed, int wait_ms)
{
	const struct timeval patience = { wait_ms / 1000, wait_ms % 1000 * 1000 };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr alignment;
	} control = { .bytes = { 0 } };
	struct iovec data = { .iov_base = (void *)text, .iov_len = strlen(text) };
	struct sockaddr_un address;
	struct msghdr message = {
		.msg_name = &address,
		.msg_namelen = find_manager(&address),
		.msg_iov = &data,
		.msg_iovlen = 1,
	};
	int fd, r = 0;

	if (message.msg_namelen == 0)
		return -ENOTCONN;
	if (passed >= 0) {
		struct cmsghdr *head = &control.alignment;

		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(head), &passed, sizeof(int));
	}
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
	    sendmsg(fd, &message, MSG_NOSIGNAL | (wait_ms ? 0 : MSG_DONTWAIT)) < 0)
		r = -errno;
	close(fd);
	return r;
}

/* Return: false, there was no room. Without a manager, or with one that is gone, all is told. */
static bool send_text(const char *text)
{
	int r = send_message(text, -1, 0);

	return r != -EAGAIN && r != -EMFILE && r != -ENFILE && r != -ENOMEM;
}

static void send_due(void)
{
	struct due *due;

	if (notify_due[0] && send_text(notify_due))
		notify_due[0] = '\0';
	while ((due = STAILQ_FIRST(&notify_dues)) && send_text(due->text)) {
		STAILQ_REMOVE_HEAD(&notify_dues, link);
		free(due);
	}
}

void notify_state(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(notify_due, sizeof(notify_due), format, args);
	va_end(args);
	send_due();
}

void notify(const char *format, ...)
{
	char text[NOTIFY_TEXT_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	send_due();
	send_text(text);
}

void notify_surely(const char *format, ...)
{
	struct due *due = malloc(sizeof(*due) + NOTIFY_TEXT_BYTES);
	va_list args;

	if (!due)
		return;
	va_start(args, format);
	vsnprintf(due->text, NOTIFY_TEXT_BYTES, format, args);
	va_end(args);
	STAILQ_INSERT_TAIL(&notify_dues, due, link);
	send_due();
}

bool notify_is_behind(void)
{
	return notify_due[0] != '\0' || !STAILQ_EMPTY(&notify_dues);
}

/* ---- descriptors ---- */

static int send_and_wait(const char *text, int passed)
{
	int r = send_message(text, passed, NOTIFY_WAIT_MS);

	return r == -EAGAIN ? -ETIMEDOUT : r;
}

/* It is no connection, whose other end may go: not to be watched for that. */
static void say_store(char text[static NOTIFY_TEXT_BYTES], const char *name)
{
	snprintf(text, NOTIFY_TEXT_BYTES, "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
}

int notify_store(const char *name, int fd)
{
	char text[NOTIFY_TEXT_BYTES];

	say_store(text, name);
	return send_and_wait(text, fd);
}

int notify_offer(const char *name, int fd)
{
	char text[NOTIFY_TEXT_BYTES];

	send_due();
	if (notify_is_behind())
		return -EAGAIN;
	say_store(text, name);
	return send_message(text, fd, 0);
}

/* Whoever has read the message closes what came with it. */
int notify_barrier(void)
{
	struct pollfd poll_fd = { .events = 0 };
	int ends[2], r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	r = send_and_wait("BARRIER=1", ends[1]);
	close(ends[1]);
	poll_fd.fd = ends[0];
	if (r == 0) {
		do
			r = poll(&poll_fd, 1, NOTIFY_WAIT_MS);
		while (r < 0 && errno == EINTR);
		r = r > 0 ? 0 : r < 0 ? -errno : -ETIMEDOUT;
	}
	close(ends[0]);
	return r;
}
