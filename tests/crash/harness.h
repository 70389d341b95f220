/* SPDX-License-Identifier: MIT */
/*
 * harness.h - kill a process at every instruction of an operation, and look what is left
 *
 * A small segment, mapped by all. A child (the victim) prepares an operation and stops; the
 * harness steps it through the operation one instruction at a time. After each step that
 * changed the segment a copy of it is taken, and on the copy:
 *
 *	somebody else takes and frees all that is free: nobody waits for a stopped process
 *	the reaper sweeps as if the victim had died here, and the audit finds nothing
 *	what the bystander holds is as it was; all else is free
 *	who waits for the other side of the queue to leave is told if, and only if, it has
 *	somebody else takes and frees all: nothing is lost; empties and fills the queue,
 *	and reads and publishes to the topic. From a queue of which the victim has a role nobody
 *	receives before the reap
 *	what stood in slots is there, whole and in its order, but for one that the victim has sent or
 *	received; and there is room for as many as the queue holds
 *
 * A step that changed nothing leaves what the last one left: it counts as a kill point, too.
 * One stepped run is linear in the length of the operation. For the short ones the victim is
 * also killed for real, with SIGKILL after k instructions, for every k.
 */
#ifndef TESTS_CRASH_HARNESS_H
#define TESTS_CRASH_HARNESS_H

#include <stdbool.h>
#include <stdint.h>

#include "client/client.h"
#include "shm/segment.h"

/* Holder ids in the test's segment. */
#define TOPIC 2
#define VICTIM 3
#define BYSTANDER 4
#define NEWCOMER 5

#define CHUNKS_OF_POOL_0 160	/* three leaves, so that several leaves and the summary count */
#define CHUNKS_OF_POOL_1 10

#define QUEUE_CAPACITY 4
#define QUEUED 2
#define QUEUE_RING 0
#define TOPIC_RING 1		/* in the ring table, as queue and topic are made */
#define TOPIC_CAPACITY 2
#define SLOTS_RING 2		/* where an operation asks for it */
#define SLOTS_CAPACITY 4
#define SLOT_BYTES 40
#define SLOTS (UINT32_C(1) << 31)	/* in roles: there is a queue whose messages stand in its slots */
#define PUBLISHED 3

/* What an operation works with; lives in the victim. */
struct scene {
	struct segment *segment;
	struct mempool_client *client;
	uint64_t given;			/* a handle that the bystander gave away */
	uint64_t shared;		/* and one that it shares */
	struct mempool_queue *queue;	/* the bystander has sent QUEUED into it */
	struct mempool_topic *topic;	/* the bystander has published PUBLISHED to it */
	struct mempool_subscriber *subscriber;
	void *chunks[CHUNKS_OF_POOL_0 + CHUNKS_OF_POOL_1];
	uint32_t n_chunks;
	uint64_t handle;
	uint32_t n_slots;			/* messages that the victim has sent into slots */
};

struct operation {
	const char *name;
	void (*prepare)(struct scene *scene);	/* before the first step */
	void (*run)(struct scene *scene);	/* is stepped through */
	bool kill_for_real;			/* also with SIGKILL at every instruction */
	bool is_reaper;				/* the victim is the daemon, reaping BYSTANDER */
	bool takes_message;			/* of the topic, which yields to the victim alone */
	bool has_stamps;			/* queue and topic keep them */
	bool is_checked;			/* the victim's client finds writes beyond a chunk */
	bool has_claims;			/* by stores, for all; and the bystander has freed one */
	uint32_t roles;				/* flags of the queue: ends that have one thread each; or SLOTS */
};

struct outcome {
	uint64_t n_steps;		/* instructions, each a kill point */
	uint64_t n_changes;		/* of them changed the segment */
	uint64_t n_kills;		/* real ones */
	uint64_t n_lost;		/* states in which something was wrong */
};

/* Return: 0, or -errno when ptrace is not to be had. Faults are printed as they are found. */
int harness_run(const struct operation *operation, struct outcome *ret_outcome);

/* The daemon dies while it lays out: until the last store nobody can attach. */
int harness_run_layout(struct outcome *ret_outcome);

/* Message number n of those that stand in slots. Return: its length. */
size_t harness_message(unsigned char bytes[static SLOT_BYTES], uint32_t n);

/* A segment of its own, laid out, with its holders LIVE. Exits on failure. */
struct segment *harness_segment(const struct operation *operation);

#endif
