/* SPDX-License-Identifier: MIT */
/*
 * litmus.h - small programs with known results: is memory.c the memory that C11 describes?
 */
#ifndef TESTS_EXPLORE_LITMUS_H
#define TESTS_EXPLORE_LITMUS_H

#include "explore.h"

#define LITMUS_RACE (-1)

struct litmus {
	struct scenario scenario;
	/* Called when all have ended: digits, one for each thing that was read, or LITMUS_RACE. */
	int (*result)(void);
	const char *allowed;		/* each must be seen, and nothing else */
	const char *never;		/* what the table says of what is not there */
};

extern const struct litmus litmus_table[];
extern const unsigned int litmus_n;

#endif
