/* SPDX-License-Identifier: MIT */
/*
 * lane.h - chunks that are free for everybody, and cheaper to claim for one thread
 *
 *	lane	a line in control, for one thread of one client
 *	word	FREE(lane, epoch): the thread that has the lane claims it by plain stores
 *
 *	claim	intent := the chunk; is the epoch still mine? then word := OWNED(me, my lane)
 *	revoke	epoch + 1; a memory barrier in all processes; whoever was under way is helped: if the
 *		word that the intent names is still FREE of that generation, it becomes OWNED(owner,
 *		lane) by swap; settled := the old epoch. From then on what is FREE for that epoch
 *		is claimed by swap, as what is FREE for lane 0
 *
 * Whoever revokes finishes the one claim that may be under way, so nobody waits for a thread that
 * stands still, and one revocation opens all that is free for that lane. The store of the intent and
 * the load of the epoch are not ordered by the thread: the barrier of the one who revokes does that.
 *
 * Numbers of epochs are whole, and only counted up. A word has the low bits of one, never 0: a lane
 * whose epoch has come to low bits of 0 is retired. Nobody can claim by it; its thread takes another
 * one, and the reaper makes what is still free for it free for everybody, before it begins again.
 *
 * OWNED names the lane besides the holder: what is done to a claim under way, another thread of the
 * same client can never have written.
 *
 * Whatever stands in a lane is input: any member may write there, and gets no more by it than by
 * writing to the words themselves.
 *
 * Source: tests/model/lanes.md; checked by tests/model/lane.pml.
 */
#ifndef SHM_LANE_H
#define SHM_LANE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "free_list.h"
#include "mempool_layout.h"
#include "word.h"

#define LANE_NONE 0

/* The words of a data pool, which an intent can name. */
struct lane_words {
	struct mempool_entry *entries;
	uint32_t n;
};

/* A private view, checked once. */
struct lanes {
	struct mempool_lane *records;
	struct mempool_header *header;		/* whether they are on; counters */
	struct free_list list;			/* hints which are nobody's */
	uint32_t n;				/* with lane 0 */
	uint32_t n_pools;
	struct lane_words words[MEMPOOL_MAX_DATA_POOLS];
};

/* Lay out lanes that nobody sees yet: all are nobody's, in their first epoch. */
void lane_layout(struct mempool_lane *records, void *list_memory, uint32_t n);

/* Whether a word that is FREE for a lane could have been written by its thread. */
static inline bool lane_is_valid(const struct lanes *lanes, uint64_t word)
{
	uint32_t lane = word_lane(word);

	return lane != LANE_NONE && lane < lanes->n && word_epoch(word) != 0;
}

/* The whole number of the epoch of a word, which is not later than @epoch. */
static inline uint64_t lane_whole(uint64_t epoch, uint64_t word)
{
	return epoch - ((epoch - word_epoch(word)) & WORD_EPOCH_MASK);
}

/* It has come to low bits of 0, which no word has. */
static inline bool lane_is_retired(uint64_t epoch)
{
	return (epoch & WORD_EPOCH_MASK) == 0;
}

/**
 * lane_is_settled() - whether a valid word that is FREE for a lane may be claimed by swap
 * @word: loaded with acquire at least
 */
bool lane_is_settled(const struct lanes *lanes, uint64_t word);

/**
 * lane_take() - a lane for the calling thread of @holder
 * @start: where in the list to look first; moved
 *
 * The epoch that it is found in is ended by that.
 * Lock-free: some hints are tried. Crash: the lane is the dead one's, and reaped with it.
 * Return: the lane; LANE_NONE there is none, or it is not to be had now.
 */
uint32_t lane_take(const struct lanes *lanes, uint32_t holder, uint32_t *start);

/**
 * lane_adopt() - the epoch in which the thread of @holder that has the lane is to free and claim
 *
 * By that thread, which has no claim under way: so all epochs before are settled by it.
 * Return: true and *ret_epoch; false: claims by store are off, the lane is retired, or somebody
 *	   hostile has written there: it is to be ended.
 */
bool lane_adopt(const struct lanes *lanes, uint32_t lane, uint32_t holder, uint64_t *ret_epoch);

/**
 * lane_end() - give back a lane of @holder, whose thread is the caller, in no call, or dead
 *
 * What is free for it is claimed by swap from then on; so it comes before the hints are passed on. A
 * claim that was broken off, by death or by a jump out of it, is cancelled: its chunk is free, and
 * has no hint. Nothing is done to a lane that is another's.
 * Crash: as long as it names the dead it is ended again; after that a hint is lost, which the next
 *	  sweep sets.
 */
void lane_end(const struct lanes *lanes, uint32_t lane, uint32_t holder);

/* The thread that has the lane claims nothing now: its last claim is not to be looked at any more. */
static inline void lane_rest(struct mempool_lane *record)
{
	/* B1 (release), as of any other intent: the claim before is there when this is. */
	atomic_store_explicit(&record->intent, 0, memory_order_release);
}

/**
 * lane_move() - end the epoch in which @lane is
 *
 * Then a barrier_all(), for any number of lanes; then lane_settle() of each.
 * Return: the last epoch that is over.
 */
uint64_t lane_move(const struct lanes *lanes, uint32_t lane);

/* Behind the barrier: help who was under way; then nothing up to @epoch is. Wait-free, any thread. */
void lane_settle(const struct lanes *lanes, uint32_t lane, uint64_t epoch);

/**
 * lane_revoke() - open what a valid word is an example of
 *
 * Threads: any, with a lane or not. Wait-free. Crash: an epoch that was ended is settled by the next.
 * Return: 0, and the word may be claimed by swap; -EPERM there is no barrier to be had.
 */
int lane_revoke(const struct lanes *lanes, uint64_t word);

/*
 * Whether threads may have lanes at all: the daemon's alone to say, and off in a new segment. Once off, it
 * is a fact only when all lanes were revoked behind it; a new epoch is adopted by nobody then.
 */
void lane_turn(const struct lanes *lanes, bool is_on);

/* Lanes that one lane_revoke_step() is for. */
#define LANE_REVOKE_STEP 256

/**
 * lane_revoke_step() - open what is free for the next lanes, whoever has them
 * @lane: the first of them, from 1; moved on, lanes->n when there are no more
 *
 * Wait-free: one barrier. Crash: what was moved and not settled is settled by the next revocation.
 * Return: 0; -EPERM there is no barrier to be had, and @lane stands.
 */
int lane_revoke_step(const struct lanes *lanes, uint32_t *lane);

/* A barrier in all processes, which is counted. false: it could not be issued. */
bool lane_barrier(const struct lanes *lanes);

/* A new life of a lane that waits for it, once no word is free for it any more. */
void lane_renew(const struct lanes *lanes, uint32_t lane);

/* Whether the chunk that its intent names is free: its thread is about to claim it, or was. */
bool lane_is_claiming(const struct lanes *lanes, uint32_t lane);

/* What there is to say of all lanes, LANE_NONE apart, to people. */
struct lane_counts {
	uint64_t is_on;			/* 1: threads may have lanes; 0: they may not */
	uint64_t n_owned;
	uint64_t n_free;		/* nobody's, and to be had */
	uint64_t n_retired;		/* nobody's, and to be swept before */
	uint64_t n_revoked;		/* epochs that were ended, by whomever, since the segment was made */
	uint64_t n_barriers;		/* since then, for that */
};

/* Each is read once; what moves meanwhile is counted before or after. Writes nothing. */
void lane_count(const struct lanes *lanes, struct lane_counts *ret_counts);

/* Whether nobody may free or claim in the epoch that it is in: it is retired, or settled as no sound
 * member makes it. */
bool lane_is_over(const struct lanes *lanes, uint32_t lane);

/* Whether it is nobody's, and over; or nobody's, and to be had. */
bool lane_waits_for_sweep(const struct lanes *lanes, uint32_t lane);
bool lane_is_vacant(const struct lanes *lanes, uint32_t lane);

#endif
