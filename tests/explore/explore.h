/* SPDX-License-Identifier: MIT */
/*
 * explore.h - what a scenario says to the explorer, and what it may ask of it
 *
 * README.md beside this file explains the whole. In short: a scenario names a few threads of a few
 * processes. The explorer runs them again and again, and decides before each access to memory that
 * others may see who goes on, what a load returns, and who is killed. When all have ended, and the
 * dead are reaped, the scenario's judge says whether that was right.
 *
 * Process 0 is the daemon: it makes the segment, reaps the dead, and judges.
 */
#ifndef TESTS_EXPLORE_EXPLORE_H
#define TESTS_EXPLORE_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPLORE_THREADS 8		/* the daemon's among them */

struct scenario_thread {
	const char *name;
	uint32_t process;		/* from 1 on; threads of one number share a client */
	void (*prepare)(void);		/* or NULL: what it has done before; no other runs then */
	void (*run)(void);
};

/* How far an exhaustive search goes. -1: no bound. */
struct scenario_bounds {
	int preemptions;		/* who could go on is stopped so often in a schedule */
	int stale;			/* so often something else than the latest store is read, or
					 * a store goes before one that was executed earlier */
};

struct scenario {
	const char *name;
	const char *about;
	const struct scenario_thread *threads;
	uint32_t n_threads;
	void (*set_up)(void);		/* once, in the daemon; NULL: there is no segment */
	void (*judge)(void);		/* in the daemon, when all have ended; may be NULL */
	/* All that it keeps: zeros before set_up; before each schedule what it was after that, and
	 * prepare. */
	void *world;
	size_t world_bytes;
	int kills;			/* at most, in a schedule */
	bool spares_daemon;		/* it is not among those who are killed */
	bool no_membarrier;		/* the kernel has none */
	struct scenario_bounds bounds;
	/*
	 * Nobody can go on, but some sleep until a time. Return: whether it is right that they do.
	 * NULL: it never is.
	 */
	bool (*may_sleep)(void);
};

extern const struct scenario *const scenarios[];

/* This schedule is wrong: it ends here, is made short and printed. */
_Noreturn void explore_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define explore_check(condition)                                                                   \
	((condition) ? (void)0 : explore_fail("%s:%d: %s", __FILE__, __LINE__, #condition))

/* Of the calling thread, as the explored code left it. */
int explore_errno(void);

/* Memory that all processes see, zeroed. In set_up alone. */
void *explore_shared(size_t bytes, size_t alignment);

/* Whether a process was killed in this schedule; and how many were, or restarted. */
bool explore_is_dead(uint32_t process);
int explore_n_killed(void);

/* Wait until it is true; it is asked again after each step of another one. No access that others may
 * see, and nothing is ordered by it. */
void explore_wait(bool (*condition)(void *), void *argument);

/* As poll(2) without a timeout does: until it is readable. */
void explore_poll(int fd);

/* A note in the trace. */
void explore_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Run something in a process, as the set-up or the judge: nobody else runs. */
void explore_in(uint32_t process, void (*function)(void *), void *argument);

#endif
