/* SPDX-License-Identifier: MIT */
/*
 * jobs.h - work that takes its time, of many who want some, one piece after another
 *
 * Each piece is done in a thread beside the loop (worker.h), those who ask are served in their
 * order. One at a time, since most of it takes memory: two that ask what is left would both be
 * told that there is enough. For the same reason what gives memory back goes before that.
 *
 * Who cannot have any of it under way holds them for a while. That is told when all memory that was
 * to be given back is; what is to be given back later is not held.
 */
#ifndef DAEMON_BASE_JOBS_H
#define DAEMON_BASE_JOBS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "daemon/base/worker.h"

struct job;

struct job_fns {
	bool gives_memory;		/* else it may take some */

	/* In the loop, before the work. Return: whether it is still wanted. */
	bool (*begin)(struct job *job);

	/* In the thread. */
	void (*work)(struct job *job);

	/* In the loop, after the work; error: 0; -ECANCELED it was no longer wanted; else there
	 * was no thread for it. */
	void (*done)(struct job *job, int error);

	/* Instead of done, at the stop: of the one under way, and of all that give memory, though
	 * they have not begun. */
	void (*stopped)(struct job *job);
};

struct job {
	TAILQ_ENTRY(job) link;
	const struct job_fns *fns;
	struct jobs *jobs;		/* that it was asked of; NULL: it is not */
};

TAILQ_HEAD(job_list, job);

struct jobs {
	struct event_base *base;
	struct worker worker;
	struct job *current;		/* under way; NULL: none */
	struct job_list giving;		/* that wait, and give memory; before */
	struct job_list taking;		/* those that may take some */
	bool is_held;
	void (*held)(void *userdata);	/* NULL: it was called */
	void *userdata;
	_Atomic bool is_given_up;
};

void jobs_init(struct jobs *jobs, struct event_base *base);

/* Give up what is under way, and wait for that. Return: as worker_stop(). */
bool jobs_stop(struct jobs *jobs);

/* It is done when its turn comes; fns are set. No job is asked of twice at a time. After the stop
 * one that gives memory is stopped at once. */
void jobs_ask(struct jobs *jobs, struct job *job);

/* It is not wanted any more. Not for the one under way. */
void jobs_forget(struct job *job);

/* For the work: somebody wants it to end. */
bool job_is_given_up(const struct job *job);

/**
 * jobs_hold() - begin no other job that may take memory, until jobs_release()
 * @held: called when none is under way, and none waits that gives memory: perhaps at once
 */
void jobs_hold(struct jobs *jobs, void (*held)(void *userdata), void *userdata);

/* Also where they are not held. */
void jobs_release(struct jobs *jobs);

#endif
