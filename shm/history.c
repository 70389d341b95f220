/* SPDX-License-Identifier: MIT */
#include "history.h"

#include "eventcount.h"

uint64_t history_set_dry(const struct segment *segment)
{
	/* Y2 (seq_cst) pairs with Y1: before the look, in the order of all seq_cst operations. */
	return atomic_fetch_or_explicit(&segment->header->history, HISTORY_DRY,
					memory_order_seq_cst) | HISTORY_DRY;
}

void history_move(const struct segment *segment)
{
	uint64_t seen = history_word(segment);

	if (!(seen & HISTORY_DRY))
		return;
	/*
	 * A failure is another who moved it: then nobody remembers what we saw. Y3 (seq_cst), as the
	 * look at the sleepers that follows: one who saw the old word has armed before (E1, E2).
	 */
	atomic_compare_exchange_strong_explicit(&segment->header->history, &seen, seen + 1,
						memory_order_seq_cst, memory_order_seq_cst);
	eventcount_wake(&segment->header->chunk_freed);
}
