/* SPDX-License-Identifier: MIT */
/*
 * topic.h - a ring that keeps its last messages for any number of readers
 *
 *	slot	sequence(32) | manager(32): the message at position p has sequence (u32)p
 *	tail	next position to publish at; only ever helped along
 *
 * The topic is a holder with one sharer bit. Nobody ever clears it: whoever drops its own bit
 * and finds only a topic's left looks whether the slot at the manager's position still holds
 * it (chunk_manager.c). If not, it was never published, or was evicted, and is collected.
 *
 * A publisher keeps its own bit until its slot is written, and holds what it evicts while it
 * does so. A reader sets its bit, moves the stamp, and looks at the slot again: if it is
 * still the same, the message is held. Publishing costs the same for any number of readers,
 * and no reader, slow, stopped or dead, is ever waited for.
 *
 * References are the caller's business (client/topic.c): the ring names managers, the caller
 * holds them. All accesses are seq_cst, as in the model.
 *
 * Source: DESIGN.md section 5; tests/model/topic.pml is this file for spin.
 */
#ifndef SHM_TOPIC_H
#define SHM_TOPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "segment.h"

#define TOPIC_NO_MANAGER UINT32_MAX

/* A private view; what was checked once. */
struct topic {
	const struct segment *segment;
	struct mempool_ring *ring;
	_Atomic uint64_t *slots;
	uint64_t capacity;
	uint32_t ring_index;		/* in the ring table */
	uint32_t holder;		/* the topic's id, with the one sharer bit */
	bool yields;			/* to an allocation, what is not its newest message */
};

/* The slots of a topic that nobody sees yet. */
void topic_layout(_Atomic uint64_t *slots, uint64_t capacity);

/* Look at a ring of the table. Return: 0; -EINVAL no such ring; -ENOENT it is no topic. */
int topic_view(struct topic *topic, const struct segment *segment, uint32_t ring);

/* The same by the topic's holder id. */
int topic_view_holder(struct topic *topic, const struct segment *segment, uint32_t holder);

static inline bool topic_is_holder(const struct segment *segment, uint32_t holder)
{
	return holder - (MEMPOOL_HOLDER_DAEMON_ID + 1) < segment->geometry.n_topics;
}

/* Of each message; see stamp.h. Not in the view, which each release of a message makes. */
static inline bool topic_has_stamps(const struct topic *topic)
{
	return topic->segment->config.rings[topic->ring_index].flags & MEMPOOL_RING_STAMPS;
}

/* A slot as it was seen at a position. */
struct topic_slot {
	uint64_t position;
	uint64_t seen;
	uint32_t manager;		/* TOPIC_NO_MANAGER: never filled, or drained */
};

/**
 * topic_next_free() - where to publish: the place, and what is evicted from it
 *
 * Lock-free: helps the tail along. The manager in it, if any, must be held (set a bit, stamp)
 * before topic_put().
 */
void topic_next_free(const struct topic *topic, struct topic_slot *ret_slot);

/* The slot of the message that the low half of a position leads to. false: another one's. */
bool topic_find(const struct topic *topic, uint32_t position, uint32_t manager,
		struct topic_slot *ret_slot);

/* Whether the slot is still as it was seen. */
bool topic_is_same(const struct topic *topic, const struct topic_slot *slot);

/**
 * topic_put() - publish a manager at a place
 *
 * Return: true published; false somebody else was faster: take the next free place.
 */
bool topic_put(const struct topic *topic, const struct topic_slot *slot, uint32_t manager);

/**
 * topic_look() - what stands at a reader's cursor
 * @cursor:   moved on, if it was lapped
 * @n_missed: added to
 *
 * Return: 0, and the slot names a manager to be held; -EAGAIN nothing was published there yet.
 */
int topic_look(const struct topic *topic, uint64_t *cursor, uint64_t *n_missed,
	       struct topic_slot *ret_slot);

/**
 * topic_look_once() - one turn of topic_look()
 * @ret_tail: as it was before the slot was seen
 *
 * Return: as topic_look(); -EBUSY the cursor was moved on: look again.
 */
int topic_look_once(const struct topic *topic, uint64_t *cursor, uint64_t *n_missed,
		    struct topic_slot *ret_slot, uint64_t *ret_tail);

/* Move a cursor on, and count what it passes. */
static inline void topic_skip_to(uint64_t *cursor, uint64_t *n_missed, uint64_t to)
{
	*n_missed += to - *cursor;
	*cursor = to;
}

/* Where a new reader begins. Nothing is written. */
uint64_t topic_newest(const struct topic *topic);
uint64_t topic_oldest(const struct topic *topic);

/* Whether the topic still holds this manager, by the position that its publisher noted. */
bool topic_holds(const struct topic *topic, uint32_t position, uint32_t manager);

/* Whether a position is that of its newest message. */
bool topic_is_newest(const struct topic *topic, uint32_t position);

/* How far the message at a position stands behind the tail, by the low halves of both. */
uint32_t topic_behind(const struct topic *topic, uint32_t position);

/**
 * topic_yield() - let go of the message of a slot, which the caller holds, for an allocation
 *
 * Readers find it missed.
 * Return: whether it is out of the ring by this; false: somebody was faster.
 */
bool topic_yield(const struct topic *topic, const struct topic_slot *slot);

/* Messages it keeps in these slots, about. */
uint64_t topic_count(const struct topic *topic, uint64_t first, uint64_t end);

/*
 * For a topic that nobody uses any more: where its oldest message may stand; from there on for a
 * round, in their order. Return: of topic_peek(): the manager, or TOPIC_NO_MANAGER.
 */
uint64_t topic_begin(const struct topic *topic);
uint32_t topic_peek(const struct topic *topic, uint64_t position);

/* The slot of a position of the first round, as it was laid out. */
void topic_unused(const struct topic *topic, uint64_t position, struct topic_slot *ret_slot);

/**
 * topic_empty() - let go of what a slot keeps
 * @index: in [0, capacity)
 *
 * Readers find it missed.
 * Return: the manager, to be collected; TOPIC_NO_MANAGER: none was there, or a publisher was
 *	   faster and evicts it.
 */
uint32_t topic_empty(const struct topic *topic, uint64_t index);

#endif
