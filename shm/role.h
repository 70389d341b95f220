/* SPDX-License-Identifier: MIT */
/*
 * role.h - who alone sends to a queue, or alone receives from it
 *
 *	word	0, or whose: incarnation(32) | 0(12) | holder(15) | 0(5)
 *
 * A queue whose config says `senders: one` or `receivers: one` has a role for that end. It is taken by a
 * swap, and given back by its holder or, of the dead, by the reaper. What its holder does meanwhile it does
 * by plain stores (queue.h): so one thread has it at a time. Which thread of a client, and by which of its
 * handles, is the client's to know.
 *
 *	take	swap 0 -> mine: T8 (acquire)		what the last one did is seen
 *	back	swap mine -> 0: T8' (release)		behind its last step
 *	reaper	of the dead: first what a receiver has left at the head (queue_pass()), then the swap
 *
 * Both are seq_cst: who sleeps until a role is given back has armed before it tried to take it
 * (eventcount.h).
 *
 * Any member can write here what it likes: then messages of that queue are lost or doubled, as if it had
 * written over its slots. A word that names nobody who is there is the reaper's to clear.
 *
 * Crash: it is the dead one's until it was reaped; nobody waits for it meanwhile, but is told.
 *
 * Source: tests/model/role.pml is this for spin.
 */
#ifndef SHM_ROLE_H
#define SHM_ROLE_H

#include <stdbool.h>
#include <stdint.h>

#include "segment.h"

static inline uint64_t role_word(uint32_t holder, uint32_t incarnation)
{
	return (uint64_t)incarnation << 32 | holder << 5;
}

static inline uint32_t role_holder(uint64_t word)
{
	return (uint32_t)word >> 5 & (MEMPOOL_MAX_HOLDERS - 1);
}

/* 0: there is no such holder. */
uint64_t role_word_of(const struct segment *segment, uint32_t holder);

/* Here and below kind is MEMPOOL_END_SENDER or _RECEIVER. */
static inline _Atomic uint64_t *role_at(struct mempool_ring *ring, enum mempool_end_kind kind)
{
	return &ring->roles[kind - MEMPOOL_END_SENDER];
}

/* Whether one thread alone may be that end of a ring. */
static inline bool role_is_of(const struct config_ring *ring, enum mempool_end_kind kind)
{
	return ring->flags &
	       (kind == MEMPOOL_END_SENDER ? MEMPOOL_RING_ONE_SENDER : MEMPOOL_RING_ONE_RECEIVER);
}

/* Whose it is, as a word; 0: nobody's. */
static inline uint64_t role_look(struct mempool_ring *ring, enum mempool_end_kind kind)
{
	return atomic_load_explicit(role_at(ring, kind), memory_order_seq_cst);
}

/**
 * role_take() - swap 0 -> word
 *
 * Threads: any. Wait-free. Crash: as above.
 * Return:  0; -EBUSY somebody has it; or @word is 0, that of no holder.
 */
int role_take(struct mempool_ring *ring, enum mempool_end_kind kind, uint64_t word);

/* Back, if it is still ours: a holder that was reaped meanwhile has none. */
void role_give_back(struct mempool_ring *ring, enum mempool_end_kind kind, uint64_t word);

/* Whether a word names no holder that is there, in its incarnation. */
bool role_is_stray(const struct segment *segment, uint64_t word);

#endif
