/* SPDX-License-Identifier: MIT */
#include "role.h"

#include <errno.h>

#include "holder.h"

uint64_t role_word_of(const struct segment *segment, uint32_t id)
{
	struct holder holder;

	return holder_read(segment, id, &holder) < 0 ? 0 : role_word(id, holder.incarnation);
}

int role_take(struct mempool_ring *ring, enum mempool_end_kind kind, uint64_t word)
{
	uint64_t nobody = 0;

	/* It pulls the line from who sends and receives: so it is looked at first. */
	if (word == 0 || role_look(ring, kind) != 0)
		return -EBUSY;
	/* T8 */
	return atomic_compare_exchange_strong_explicit(role_at(ring, kind), &nobody, word,
						       memory_order_seq_cst, memory_order_seq_cst)
		       ? 0 : -EBUSY;
}

void role_give_back(struct mempool_ring *ring, enum mempool_end_kind kind, uint64_t word)
{
	/* T8' */
	atomic_compare_exchange_strong_explicit(role_at(ring, kind), &word, 0, memory_order_seq_cst,
						memory_order_relaxed);
}

bool role_is_stray(const struct segment *segment, uint64_t word)
{
	struct holder holder;

	if (word != role_word(role_holder(word), (uint32_t)(word >> 32)) ||
	    holder_read(segment, role_holder(word), &holder) < 0)
		return true;
	return holder.state == MEMPOOL_HOLDER_FREE || holder.kind == MEMPOOL_HOLDER_TOPIC ||
	       holder.incarnation != word >> 32;
}
