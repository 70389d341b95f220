/* SPDX-License-Identifier: MIT */
/*
 * audit.h - prove that a segment is whole, or say precisely what is wrong with it
 *
 *	holder table	known states and kinds; a LIVE client has a process
 *	lanes		of a holder who lives, or with no claim under way
 *	words		FREE, or naming a holder who may have it and lives (or is being reaped)
 *	queues		what is SENT to one stands in it
 *	topics		what stands in one is shared by it
 *	managers	a SHARED chunk and its ChunkManager name each other
 *	hints		no bit beyond the last chunk; with AUDIT_HINTS: no FREE chunk unhinted
 *	counts		free, owned, given, in flight and shared add up to each pool's total
 *
 * May run on a living segment through a read-only mapping: what looks wrong is read again,
 * and reported only if it stays so, since a chunk may change hands between two looks.
 * Everything read is input: the audit follows no index before it has checked it.
 */
#ifndef SHM_AUDIT_H
#define SHM_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "budget.h"
#include "queue.h"
#include "segment.h"

/* No client is at work, or the reaper has just set the bits: every FREE chunk has a hint. */
#define AUDIT_HINTS 1U
/*
 * No reap is under way or due, and nobody is in the middle of an operation: whoever holds a
 * chunk is LIVE.
 */
#define AUDIT_REAPED 2U

/* One thing that is wrong, in words. */
typedef void (*audit_fault_fn)(const char *text, void *userdata);

struct audit {
	uint64_t n_free;		/* data chunks, by what their words say */
	uint64_t n_owned;
	uint64_t n_given;		/* SENT by the user's transport */
	uint64_t n_in_flight;		/* SENT through a queue */
	uint64_t n_shared;
	uint64_t n_faults;
	uint64_t n_checked;		/* records, words, those of managers too, slots of topics,
					 * open ends, lanes */
	uint64_t n_total;		/* as many, once it is over */
};

/**
 * audit_segment() - check everything
 * @flags: what else may be asked of it now
 * @fault: NULL, or called for each fault, the first AUDIT_MAX_FAULTS of them
 *
 * Return: 0, and all is well if ret_audit->n_faults is 0; -ENOMEM.
 */
#define AUDIT_MAX_FAULTS 100
int audit_segment(const struct segment *segment, unsigned int flags, audit_fault_fn fault,
		   void *userdata, struct audit *ret_audit);

/* 100 only if all of it was checked. */
unsigned int audit_percent(const struct audit *audit);

/*
 * The same as far as the budget goes: for members it is easy to make an audit long. NULL: to
 * the end.
 */
int audit_segment_within(const struct segment *segment, unsigned int flags,
			 struct budget *budget, audit_fault_fn fault, void *userdata,
			 struct audit *ret_audit);

/* The same again in slices, for who has other things to do. */
struct audit_run {
	const struct segment *segment;
	unsigned int flags;
	audit_fault_fn fault;
	void *userdata;
	struct queue_snapshots snapshots;
	uint32_t holder;		/* where it is */
	uint32_t pool;
	uint32_t ring;
	uint64_t index;			/* in the pool, or in the topic */
	uint32_t end;
	uint32_t lane;
	uint32_t queue;			/* by ring: whose roles it has */
	struct budget *budget;		/* of this slice */
	bool is_spent;
	struct audit audit;		/* so far */
};

/* Return: 0 or -ENOMEM. audit_end() is legal on zeros, too. */
int audit_begin(struct audit_run *run, const struct segment *segment, unsigned int flags,
		audit_fault_fn fault, void *userdata);

/* Without AUDIT_REAPED no slice is longer than its budget; with it, one of each queue looks at all
 * that is in it, and of a queue for one receiver once more. Return: whether it is over. */
bool audit_go_on(struct audit_run *run, struct budget *budget);
void audit_end(struct audit_run *run);

#endif
