/* SPDX-License-Identifier: MIT */
/*
 * crew.h - worker processes around one daemon; killed at random, and started again
 *
 * Kills are paced by what the workers have done, not by time: on a busy machine, or under a
 * sanitizer, workers that are killed so often a second die before they have begun. So between
 * two kills somebody gets on; a crew that stands still has nobody killed, and hangs.
 *
 * A worker runs a function with its number until that returns, and ends with status 0; or
 * says what went wrong (crew_fault()), which ends the program. Killed ones are started again
 * under the same number, after on_kill was told. All die with the program.
 */
#ifndef TESTS_STRESS_CREW_H
#define TESTS_STRESS_CREW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "mempool.h"
#include "support/control.h"
#include "support/private_daemon.h"

#define CREW_MAX 64
#define CREW_HUNG_MS 10000	/* of a standstill, as a control counts them */

struct crew {
	struct private_daemon daemon;
	unsigned int n;
	unsigned int first_mortal;	/* the others are not killed */
	unsigned int n_mortal;
	pid_t pids[CREW_MAX];		/* 0: has ended */
	void (*run)(unsigned int number, struct mempool_client *client);
	void (*on_kill)(unsigned int number);	/* it is dead, and not yet started again */
	uint64_t (*progress)(void);	/* in steps; moves while anyone gets on */
	uint64_t steps_a_kill;		/* on average; 0: none is killed */
	uint64_t random;
	uint64_t n_kills;
	uint64_t kill_at;		/* progress, at the next one */
	uint64_t n_seen;		/* progress, at the last look */
	struct patience standstill;
	double longest_standstill_ms;
};

/* A daemon with these segment_keys, and the workers. The callbacks and numbers are set. */
void crew_start(struct crew *crew, const char *segment_keys, uint64_t seed);

/*
 * Until no worker below @n_workers runs, or not longer than @seconds: collect the ended, see
 * that somebody gets on, and kill some of the mortal.
 */
void crew_watch(struct crew *crew, unsigned int n_workers, double seconds);
bool crew_is_over(const struct crew *crew, unsigned int n_workers);

struct mempool_client *crew_open(const struct crew *crew);

/*
 * All have ended and closed, our own client, too: nothing may be held, and the audit must
 * find nothing. Then the daemon is stopped and all is removed.
 */
void crew_end(struct crew *crew);

/* End the workers and the daemon, remove all, print and exit. */
void crew_fail(struct crew *crew, const char *text, long value) __attribute__((noreturn));

/* For workers: print, and end all. */
void crew_fault(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Shared by all processes, zeroed. */
void *crew_memory(size_t size);

/* xorshift64. */
uint64_t crew_random(uint64_t *state);

#endif
