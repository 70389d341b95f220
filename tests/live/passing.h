/* SPDX-License-Identifier: MIT */
/*
 * passing.h - descriptors that are passed to a daemon, and a kernel on which it cannot refuse them
 *
 * What is passed is the writing end of a pipe. Nobody else has it, so that the reading end shows
 * when it is closed. The kernel is made by a seccomp filter: the daemon is told that there is no
 * SO_PASSRIGHTS.
 */
#ifndef TESTS_LIVE_PASSING_H
#define TESTS_LIVE_PASSING_H

#include <stddef.h>
#include <sys/types.h>

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

enum { PASSING_MOST = 253 };		/* in one packet */

struct passing {
	int reader;
	int writer;
};

/* For fixture.in_child. */
void passing_lack_passrights(void *userdata);

struct passing passing_new(void);

/* Send n of them with a message. Return: as sendmsg(2); ours is closed. */
ssize_t passing_send(int fd, const void *message, size_t size, const struct passing *passed,
		     unsigned int n);

/* Nobody has it any more. */
void passing_expect_closed(struct passing *passed);

#endif
