/* SPDX-License-Identifier: MIT */
/*
 * malloc.c - a reference line: malloc and free of one process, which the linker chooses
 *	      (glibc's, jemalloc, mimalloc)
 *
 * Not a peer: nothing of it can be handed to another process, or outlives one that dies.
 */
#include "adapter.h"

#define HAS_POOL

static void system_open(void)
{
	if (strcmp(setup.variant, "") != 0)
		skip("it has no variants");
}

static void system_close(void)
{
}

static void system_join(int side)
{
	(void)side;
}

static void system_leave(int side)
{
	(void)side;
}

static inline void *system_alloc(size_t bytes)
{
	return malloc(bytes);
}

static inline void system_free(void *chunk)
{
	free(chunk);
}

#include "loops.h"
