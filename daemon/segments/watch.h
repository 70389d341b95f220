/* SPDX-License-Identifier: MIT */
/*
 * watch.h - who waits for the end of which process
 *
 * A process may have any number of records, in any number of segments: it is watched once, by
 * one pidfd. What it has, is told to each of its records, one at a time (chores.h).
 *
 *	SEEN	there is a pidfd, which becomes readable when the process has ended
 *	BLIND	there is none: no descriptor was left, or is given to us, or the pid is of
 *		elsewhere; it is tried again each second, and looked whether it lives
 *	DEAD	the process has ended, and its records are told
 *
 * Until a process is known to be dead it lives.
 */
#ifndef DAEMON_SEGMENTS_WATCH_H
#define DAEMON_SEGMENTS_WATCH_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/base/chores.h"
#include "daemon/base/process.h"

#define WATCH_BUCKETS 512

struct counters;
struct watch;
struct watched;

struct watched_fns {
	/* Its process has ended. It leaves its watch. */
	void (*died)(struct watched *watched);

	/* It is not watched now; an error of process_open(). Asked again each second. */
	void (*blind)(struct watched *watched, int error);
};

/* A record that waits for the end of a process. */
struct watched {
	TAILQ_ENTRY(watched) link;
	struct watch *watch;		/* NULL: of none */
	const struct watched_fns *tell;
};

TAILQ_HEAD(watch_list, watch);

/* All of a daemon. */
struct watches {
	struct event_base *base;
	const struct origin *origin;	/* our own */
	struct counters *counters;
	LIST_HEAD(, watch) buckets[WATCH_BUCKETS];	/* by pid, or inode */
	struct watch_list blind;
	struct watch_list dead;
	struct event second;		/* until the blind are looked at again */
	struct chore look;		/* at them */
	uint32_t n_blind;
	uint32_t n_looks;		/* left of this second */
	struct watched *told;		/* the next one to be told of the last look, or NULL */
	struct chore tell;		/* the records of the dead */
};

void watches_init(struct watches *watches, struct event_base *base, struct chores *chores,
		  const struct origin *origin, struct counters *counters);

/* Nobody is watched any more. */
void watches_deinit(struct watches *watches);

/**
 * watch_join() - wait for the end of a process
 * @watched: of no watch
 * @pidfd:   of the process; taken over, and set to -1, where it is not watched yet. NULL or -1:
 *	     there is none, and the process is only known from a record
 *
 * Return: 0 it lives, or cannot be seen to be dead; -ESRCH it is dead, and nothing was done;
 *	   -ENOMEM.
 */
int watch_join(struct watches *watches, struct watched *watched, const struct process *process,
	       int *pidfd);

/* Wait no more. Harmless for one that does not. */
void watch_leave(struct watched *watched);

/* As process_look_up(), for one that is watched. */
bool watch_look_up(const struct watched *watched, struct process *process);

/* The pidfd of its process, which stays the watch's; -1: there is none now. */
int watch_pidfd(const struct watched *watched);

/* Whether its process can be seen, dead or alive. */
bool watch_sees(const struct watched *watched);

#endif
