/* SPDX-License-Identifier: MIT */
/*
 * odd_file.h - what a daemon may pass instead of a wake channel, by mistake or not
 *
 * Each is of a kind that shows a wrong use: by a signal, by a hang, or by an error.
 */
#ifndef ODD_FILE_H
#define ODD_FILE_H

#include <check.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { N_ODD_FILES = 7 };

static inline int odd_file(int kind)
{
	int fds[2];

	switch (kind) {
	case 0:
		/* A write to it is a SIGPIPE. */
		ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
		close(fds[0]);
		return fds[1];
	case 1:
		/* A write to it never returns. */
		fds[0] = eventfd(0, EFD_CLOEXEC);
		ck_assert_int_eq(eventfd_write(fds[0], UINT64_C(0xfffffffffffffffe)), 0);
		return fds[0];
	case 2:
		/* Nor does a read of this. */
		return eventfd(0, EFD_CLOEXEC);
	case 3:
		return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	case 4:
		/* In a set of the library's it would count as one more level of sets. */
		return epoll_create1(EPOLL_CLOEXEC);
	case 5:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	default:
		return open("/", O_PATH | O_CLOEXEC);
	}
}

#endif
