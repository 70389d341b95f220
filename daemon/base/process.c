/* SPDX-License-Identifier: MIT */
#include "daemon/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77			/* Linux 6.5 */
#endif

#define STAT_FIELD_STATE 3		/* the first one after the command's name */
#define STAT_FIELD_START_TIME 22

int process_start_time(pid_t pid, uint64_t *ret_start_time)
{
	char path[32], text[1024], *field, *end;
	unsigned int n;
	ssize_t size;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	size = read(fd, text, sizeof(text) - 1);
	if (size < 0)
		size = -errno;
	close(fd);
	if (size < 0)
		return (int)size;
	text[size] = '\0';

	/* The name stands in parentheses and may hold any byte, these included. */
	field = strrchr(text, ')');
	for (n = STAT_FIELD_STATE - 1; field && n < STAT_FIELD_START_TIME; n++) {
		field = strchr(field, ' ');
		if (field)
			field++;
	}
	if (!field)
		return -EBADMSG;
	*ret_start_time = strtoull(field, &end, 10);
	return end == field ? -EBADMSG : 0;
}

bool process_has_ended(int pidfd)
{
	struct pollfd poll_fd = { .fd = pidfd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) > 0;
}

int process_open(pid_t pid, uint64_t start_time, int *ret_pidfd)
{
	uint64_t seen = start_time;
	int fd;

	/* Only a damaged record says so: the kernel has no such process. */
	if (pid <= 0)
		return -ESRCH;

	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return -errno;

	/* Alive after the look at its start time: then that was its start time. */
	if (process_start_time(pid, &seen) < 0)
		seen = start_time;
	if (process_has_ended(fd) || seen != start_time) {
		close(fd);
		return -ESRCH;
	}
	*ret_pidfd = fd;
	return 0;
}

int process_open_peer(int socket_fd, pid_t pid, int *ret_pidfd, uint64_t *ret_start_time)
{
	socklen_t size = sizeof(int);
	uint64_t start_time;
	int fd = -1, r;

	if (pid <= 0)
		return -ESRCH;
	if (getsockopt(socket_fd, SOL_SOCKET, SO_PEERPIDFD, &fd, &size) < 0) {
		if (errno != ENOPROTOOPT)
			return errno == EINVAL || errno == ENODATA ? -ESRCH : -errno;
		/* An older kernel: by number, a moment later. */
		fd = (int)syscall(SYS_pidfd_open, pid, 0);
		if (fd < 0)
			return -errno;
	}
	r = process_start_time(pid, &start_time);
	if (r == 0 && process_has_ended(fd))
		r = -ESRCH;
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret_pidfd = fd;
	*ret_start_time = start_time;
	return 0;
}
