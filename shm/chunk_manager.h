/* SPDX-License-Identifier: MIT */
/*
 * chunk_manager.h - a chunk with several holders: one sharer bit for each
 *
 *	chunk word	SHARED(m), same generation as when it was OWNED
 *	manager m	entry: word, SHARED(stamp) | back link to the chunk | position
 *			chunk: a bit per holder
 *
 * Bits, not a count: setting or clearing one twice is harmless, and what a dead process has
 * set can be cleared in its name. The last one out takes the manager (SHARED(stamp) ->
 * OWNED(me)) and with it the chunk, and frees both, the manager first: whoever gets a free
 * chunk can always share it.
 *
 * The stamp: the bits of many holders span several words, which cannot be read at once.
 * Every acquire moves the stamp after it set its bit, and before it relies on it; so a
 * collector that saw all bits clear and still finds the stamp it read before has seen a
 * moment at which all were clear.
 *
 * One that holds a chunk takes it back in the same way, if no other bit is set: the manager, then
 * the chunk's word, of the next generation, then the manager is freed.
 *
 * Nobody clears a topic's bit. Whoever finds only such a one left asks the ring (topic.h).
 *
 * One bit stands for a whole process: the client counts its own references in private memory
 * (client/share.c). A bit on a manager that is not SHARED means nothing.
 *
 * Source: DESIGN.md section 4; tests/model/share.pml is this file for spin.
 */
#ifndef SHM_CHUNK_MANAGER_H
#define SHM_CHUNK_MANAGER_H

#include <stdbool.h>
#include <stdint.h>

#include "segment.h"

struct topic;
struct topic_slot;

/* A chunk, by pool and index. */
struct chunk_ref {
	uint32_t pool;
	uint32_t index;
};

/**
 * chunk_manager_share() - OWNED(holder) -> SHARED(manager)
 * @manager: claimed by @holder
 * @topic:   a second holder to begin with, or MEMPOOL_HOLDER_NONE
 * @word:    the chunk's, as it was seen: OWNED(@holder); when shared, what it is now
 *
 * The manager is SHARED before the chunk leads to it: the handle can be acquired at once.
 *
 * Crash:  killed before the manager is SHARED, both are OWNED(dead); killed before the swap of
 *         the chunk's word, the chunk is still OWNED(dead), and only the dead has a bit.
 * Return: 0; -EBUSY the chunk's word has changed, by another thread of the holder: the manager
 *	   is SHARED by the holder all the same: clear its bit, collect.
 */
int chunk_manager_share(const struct segment *segment, struct chunk_ref chunk, uint32_t manager,
			uint32_t holder, uint32_t topic, uint64_t *word);

/*
 * Whether the chunk that a manager links to is SHARED by it. If not, somebody is just sharing,
 * or has found the chunk shared by another thread, or is collecting.
 */
bool chunk_manager_is_named(const struct segment *segment, uint32_t manager);

/* Set a holder's bit, whatever the manager's state; before chunk_manager_hold(). */
void chunk_manager_set(const struct segment *segment, uint32_t manager, uint32_t holder);
void chunk_manager_clear(const struct segment *segment, uint32_t manager, uint32_t holder);
bool chunk_manager_has(const struct segment *segment, uint32_t manager, uint32_t holder);

/**
 * chunk_manager_stamp() - make a bit that was just set count
 *
 * Return: 0: if the chunk (or slot) that led here still does, its incarnation is held;
 *	   -ESTALE the manager is not SHARED. In both other cases: clear the bit, collect.
 */
int chunk_manager_stamp(const struct segment *segment, uint32_t manager);

/* Whether anybody has a bit; a topic's counts while the ring still holds the manager. */
bool chunk_manager_is_held(const struct segment *segment, uint32_t manager);

/**
 * chunk_manager_yields() - whether an allocation may have its chunk now
 * @ret_topic: the one that still holds it; nobody else does
 * @ret_slot:  where it stands there; not the newest message
 */
bool chunk_manager_yields(const struct segment *segment, uint32_t manager,
			  struct topic *ret_topic, struct topic_slot *ret_slot);

/* Who holds it among the 64 holders of one word of bits; of topics, those that still do. */
uint64_t chunk_manager_sharers(const struct segment *segment, uint32_t manager, uint32_t word);

/* The topic where it was published, whether or not that still has it. Return: its holder id, or none. */
uint32_t chunk_manager_topic(const struct segment *segment, uint32_t manager);

/**
 * chunk_manager_collect() - free manager and chunk if nobody holds them any more
 * @as: in whose name; a client's own id, or the dead one's, so that a reaper that is killed
 *	in the middle is gone on with by the next
 *
 * After every clearing of a bit. Lock-free: looks again only if another one moved the stamp.
 * Return: whether a chunk was freed.
 */
bool chunk_manager_collect(const struct segment *segment, uint32_t manager, uint32_t as);

/* Whether there was a moment during the call at which nobody but @holder had a bit, as above. */
bool chunk_manager_is_exclusive(const struct segment *segment, uint32_t manager, uint32_t holder);

/**
 * chunk_manager_unshare() - SHARED(manager) -> OWNED(holder), of the next generation
 * @chunk:  SHARED by @manager
 * @holder: has its bit, for one reference that nobody else of its process uses meanwhile
 *
 * The manager is OWNED(holder) before the chunk leaves it: nobody can acquire the chunk then. Nor
 * does anybody collect it before, since @holder has its bit. Wait-free.
 *
 * Crash:  killed before the manager is OWNED, the chunk is shared; after it, chunk and manager are
 *	   the reaper's.
 * Return: 0; -EBUSY another one held it, at a moment during the call: nothing has changed, the bit
 *	   included; -EPERM a hostile client has taken the chunk, and @holder does not hold it.
 */
int chunk_manager_unshare(const struct segment *segment, struct chunk_ref chunk, uint32_t manager,
			  uint32_t holder);

/* The chunk of a manager that the caller holds; false: its link leads nowhere. */
bool chunk_manager_chunk(const struct segment *segment, uint32_t manager,
			 struct chunk_ref *ret_chunk);

/* For the reaper: the manager is OWNED(dead): free the chunk that is still SHARED by it, then it. */
bool chunk_manager_reap_owned(const struct segment *segment, uint32_t manager, uint64_t seen);

#endif
