/* SPDX-License-Identifier: MIT */
/*
 * ways.h - ways to change the bytes of an object, by whoever has a descriptor of it
 *
 * Each is tried by one who has it for reading, and is refused with one code. The same way is tried by
 * one who has it for writing, where it changes the first byte: so it is one.
 */
#ifndef TESTS_LIVE_WAYS_H
#define TESTS_LIVE_WAYS_H

#include <stddef.h>

#define WAYS_BYTE 0xee			/* what is written, where a way writes */

/* What the object is. */
enum ways_of {
	WAYS_SHM,
	WAYS_MEMFD,			/* sealed, as the daemon does it */
	WAYS_HUGE,			/* the same of huge pages of 2 MiB */
};

/* All ways through a descriptor that is for reading: @label is what a failure is told as. */
void ways_expect_refused(int fd, enum ways_of of, const char *label);

/* All of them, whatever comes of it. */
void ways_try(int fd, enum ways_of of);

/* The same through one that is for writing. The first byte is neither 0 nor WAYS_BYTE, and stays so. */
void ways_expect_changes(int fd, enum ways_of of);

/* Its first bytes, as a copy for free(3). */
unsigned char *ways_read(int fd, size_t size);

#endif
