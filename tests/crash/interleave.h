/* SPDX-License-Identifier: MIT */
/*
 * interleave.h - two processes, or two threads, meet at every instruction of an operation
 *
 * A child, A, is stopped before instruction k of its operation, for every k. Then B, which
 * is this process, runs its own operation to the end; then A runs on. So whatever A has
 * just read, B has changed since. After that nobody is in the middle of anything, and it can
 * be said exactly what must hold:
 *
 *	each holds what it was told that it holds, and nothing else: no chunk has two holders,
 *	none is lost, what was acquired is the incarnation that was asked for
 *	the audit finds nothing, and no leaf of hints stands under a clear summary bit
 *	what the meeting itself demands, that nobody was told "exhausted" for instance
 *	when A is dead and reaped, and B closed, all is free but what queue and topic keep,
 *	and a third one can use both as if nothing had been
 */
#ifndef TESTS_CRASH_INTERLEAVE_H
#define TESTS_CRASH_INTERLEAVE_H

#include <stdbool.h>
#include <stdint.h>

#include "client/client.h"
#include "shm/segment.h"

/* Few chunks and hints: the scans are short, and every corner is near. */
#define MEETING_CHUNKS 8
#define MEETING_CACHE 2
#define MEETING_CHUNK_SIZE 64
#define MEETING_QUEUE 2
#define MEETING_TOPIC 2

/* A or B, and what it believes to hold. */
struct side {
	uint32_t holder;
	struct mempool_client *client;
	struct mempool_queue *queue;
	struct mempool_topic *topic;
	struct mempool_subscriber *subscriber;
	void *held[2 * MEETING_CHUNKS];
	uint32_t n_held;
	int result;			/* of the operation, if it matters */
	bool is_refused;		/* something that must work did not */
	uint64_t n_missed;
	uint32_t number;		/* of a message that was read without holding it */
};

/* In memory that both see. */
struct scene {
	struct side a, b;
	uint64_t handle;		/* of a chunk, from one to the other */
	_Atomic uint32_t *references;	/* of two threads */
	uint32_t n_published;
	uint32_t generation;		/* of B's chunk, when B was through */
};

typedef void (*act_fn)(struct scene *scene, struct side *me);

struct meeting {
	const char *name;		/* what A does, what B does */
	act_fn prepare_b;		/* in this order */
	act_fn prepare_a;
	act_fn run_a;			/* is stepped through */
	act_fn run_b;			/* at an instruction of that */
	act_fn finish_a;		/* NULL, or when both are through */
	act_fn finish_b;
	bool (*is_right)(const struct scene *scene);
};

/* Claims by plain stores are on, in each meeting from then on. Before the first. */
void interleave_with_claims(void);

/**
 * interleave() - let them meet at every instruction of A's
 * @are_threads: of one client: with one holder's id, and references that are counted together;
 *		 in the end both believe to hold what that client holds
 *
 * Return: how many instructions of A there were; -errno if ptrace is not to be had.
 */
int64_t interleave(const struct meeting *meeting, bool are_threads, uint64_t *ret_n_wrong);

#endif
