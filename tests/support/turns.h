/* SPDX-License-Identifier: MIT */
/*
 * turns.h - how long the turns of a program's event loop are
 *
 * A turn begins when epoll_wait(2) returns in the first thread of the program, and ends when that
 * thread calls it again. It is measured in processor time of the thread, so that a busy machine
 * makes it no longer. The program need not know: turns_shim.c, loaded before its libraries
 * (LD_PRELOAD), writes each turn into a file that both have mapped.
 *
 * Of programs of a sanitizer nothing is measured: its own library wants to be the first.
 */
#ifndef TESTS_SUPPORT_TURNS_H
#define TESTS_SUPPORT_TURNS_H

#include <stdatomic.h>
#include <stdint.h>

#define TURNS_MAX (UINT32_C(1) << 20)
#define TURNS_VARIABLE "MEMPOOL_TURNS"	/* the path of the file, in the environment */

/* The file. */
struct turns {
	_Atomic uint64_t n;		/* that are over; written after the time of the turn */
	_Atomic uint32_t ns[TURNS_MAX];	/* of the last so many, by their number % TURNS_MAX */
};

/*
 * A new file at this path, and what programs started from now on need to fill it. shim: the
 * path of the shim. Return: NULL and errno.
 */
struct turns *turns_new(const char *path, const char *shim);

/* Start no more programs with it, unmap and remove it. */
void turns_free(struct turns *turns, const char *path);

/* How many there were so far. */
uint64_t turns_count(const struct turns *turns);

/* One of the last TURNS_MAX that are over. */
uint32_t turns_ns(const struct turns *turns, uint64_t turn);

/* The longest from the turn of a number on; 0: there was none. */
uint32_t turns_longest_ns(const struct turns *turns, uint64_t first);

#endif
