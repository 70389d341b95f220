/* SPDX-License-Identifier: MIT */
/*
 * history.h - the word that tells of messages that have begun to yield
 *
 * What a topic keeps yields to an allocation that finds nothing else (client/yield.c): a message
 * that nobody but a topic holds, and that is not the newest one there. Who looked for such ones and
 * found none remembers this word, as it does a pool's dry word (pool.h), and looks again when it
 * has moved. So who makes one yield looks at it, as its last step: who drops the last bit beside a
 * topic's, and who publishes, since then the one before is the newest no more.
 *
 *	looks for one			makes one yield
 *	sets bit 0			drops its bit, or writes the slot
 *	reads bits and slots		is bit 0 set? the sequence above it + 1, the bit cleared;
 *	is the word still the same?	who waits for a chunk is woken
 *
 * All of it is seq_cst, as the bits and slots are: one of the two sees the other.
 *
 * Crash: a message counts as held until whoever makes it yield is through. Killed before, the
 * reaper clears its bit, or collects in any case, and moves the word.
 * tests/model/history.pml is this for spin.
 */
#ifndef SHM_HISTORY_H
#define SHM_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "segment.h"

#define HISTORY_DRY UINT64_C(1)

/* Before a look; what it returns is to be remembered if nothing was found. */
uint64_t history_set_dry(const struct segment *segment);

/* A message yields. Who remembers the word looks again, asleep or not. */
void history_move(const struct segment *segment);

/* What the word says now. */
static inline uint64_t history_word(const struct segment *segment)
{
	/* Y1 (seq_cst, a plain load on x86) pairs with Y2 in history_set_dry(). */
	return atomic_load_explicit(&segment->header->history, memory_order_seq_cst);
}

/* Whether somebody may remember the word; asked after each step that makes a message yield. */
static inline bool history_is_dry(const struct segment *segment)
{
	return history_word(segment) & HISTORY_DRY;
}

#endif
