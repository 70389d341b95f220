/* SPDX-License-Identifier: MIT */
/*
 * turns_shim.c - measures the turns of the program that it is loaded into, see turns.h
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "support/turns.h"

typedef int (*epoll_wait_fn)(int fd, struct epoll_event *events, int max_events, int timeout);

static epoll_wait_fn next_epoll_wait;
static struct turns *turns;
static uint64_t begun_ns;		/* 0: none yet */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

__attribute__((constructor)) static void init(void)
{
	const char *path = getenv(TURNS_VARIABLE);
	void *found = dlsym(RTLD_NEXT, "epoll_wait");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *memory;

	/* A pointer to data is none to a function in C, but here it is. */
	memcpy(&next_epoll_wait, &found, sizeof(found));
	if (fd < 0)
		return;
	memory = mmap(NULL, sizeof(*turns), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	turns = memory == MAP_FAILED ? NULL : memory;
}

static void end_turn(void)
{
	uint64_t ns = now_ns() - begun_ns;
	/* Relaxed: only this thread writes. */
	uint64_t n = atomic_load_explicit(&turns->n, memory_order_relaxed);

	atomic_store_explicit(&turns->ns[n % TURNS_MAX],
			      ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX, memory_order_relaxed);
	/* T1 (release) pairs with T2 of turns.c. */
	atomic_store_explicit(&turns->n, n + 1, memory_order_release);
}

/* Instead of the C library's. */
__attribute__((visibility("default"))) int epoll_wait(int fd, struct epoll_event *events,
						      int max_events, int timeout)
{
	int n;

	if (!turns || gettid() != getpid())
		return next_epoll_wait(fd, events, max_events, timeout);
	if (begun_ns != 0)
		end_turn();
	n = next_epoll_wait(fd, events, max_events, timeout);
	begun_ns = now_ns();
	return n;
}
