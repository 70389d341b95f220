/* SPDX-License-Identifier: MIT */
/*
 * fd.h - descriptors stay above those of standard input, output and error
 *
 * A program may be started with descriptors 0 to 2 closed. Whatever is opened next gets their
 * numbers, and what the program prints then goes there: to the daemon as a message, or over
 * the header of a segment. So each descriptor is moved above 2 as soon as it is there.
 */
#ifndef SHM_FD_H
#define SHM_FD_H

/**
 * fd_above_stdio() - the same file, by a number above 2
 * @fd: new and close-on-exec; or -1, with errno set
 *
 * Return: @fd, where it is above 2 or -1. Otherwise @fd is closed, and the new number is
 *	   returned; -1 and errno: there is none.
 */
int fd_above_stdio(int fd);

/*
 * For a file that no write may reach, not even between its opening and its move: hold the
 * numbers up to 2 that are closed while it is opened. Reads and writes of a held number fail
 * with EBADF, as those of a closed one do.
 */
struct fd_stdio_hold {
	int fds[3];
	int n;
};
void fd_hold_stdio(struct fd_stdio_hold *hold);
void fd_release_stdio(const struct fd_stdio_hold *hold);

/*
 * For a program's main(), before it opens anything: /dev/null where 0 to 2 are closed, the
 * wrong way round, so that a write to standard output still fails. Return: 0 or -errno.
 */
int fd_fill_stdio(void);

#endif
