/* SPDX-License-Identifier: MIT */
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

int fd_above_stdio(int fd)
{
	int moved, error;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	error = errno;
	close(fd);
	errno = error;
	return moved;
}

/* As they nearly always are; so asked is cheaper than tried. */
static bool is_stdio_open(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			return false;
	return true;
}

void fd_hold_stdio(struct fd_stdio_hold *hold)
{
	int fd;

	hold->n = 0;
	if (is_stdio_open())
		return;
	/* O_PATH: open, but not for reading or writing. The lowest free number comes first. */
	while ((fd = open("/", O_PATH | O_CLOEXEC)) >= 0 && fd <= STDERR_FILENO)
		hold->fds[hold->n++] = fd;
	if (fd >= 0)
		close(fd);
}

void fd_release_stdio(const struct fd_stdio_hold *hold)
{
	for (int i = 0; i < hold->n; i++)
		close(hold->fds[i]);
}

int fd_fill_stdio(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		/* The lowest free number is fd: those below it are open by now. */
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
			return -errno;
	return 0;
}
