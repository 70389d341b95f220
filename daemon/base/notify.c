/* SPDX-License-Identifier: MIT */
#include "daemon/base/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define NOTIFY_TEXT_BYTES 1024

static char notify_due[NOTIFY_TEXT_BYTES];	/* the state, until it is told */

/* Return: false, there was no room. Without a manager, or with one that is gone, all is told. */
static bool send_text(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = path ? strlen(path) : 0;
	ssize_t n;
	int fd;

	if (length < 2 || length >= sizeof(address.sun_path))
		return true;
	memcpy(address.sun_path, path, length);
	/* That is an abstract name. */
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	n = sendto(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
		   (const struct sockaddr *)&address,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
	n = n < 0 ? -errno : n;
	close(fd);
	return n != -EAGAIN;
}

static void send_due(void)
{
	if (notify_is_behind() && send_text(notify_due))
		notify_due[0] = '\0';
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

bool notify_is_behind(void)
{
	return notify_due[0] != '\0';
}
