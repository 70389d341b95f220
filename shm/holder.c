/* SPDX-License-Identifier: MIT */
#include "holder.h"

#include <errno.h>

/* Relaxed in this file, unless labelled: a record is published by its state. */
#define GET(field) atomic_load_explicit(&(field), memory_order_relaxed)
#define SET(field, value) atomic_store_explicit(&(field), value, memory_order_relaxed)

uint32_t holder_first_client(const struct segment *segment)
{
	return MEMPOOL_HOLDER_DAEMON_ID + 1 + segment->geometry.n_topics;
}

int holder_read(const struct segment *segment, uint32_t id, struct holder *ret_holder)
{
	struct mempool_holder *record;

	if (id == MEMPOOL_HOLDER_NONE || id >= segment->n_holders)
		return -EINVAL;
	record = &segment->holders[id];

	*ret_holder = (struct holder){
		.id = id,
		/* H2 (acquire) pairs with H1: a record that says LIVE is complete. */
		.state = atomic_load_explicit(&record->state, memory_order_acquire),
		.kind = GET(record->kind),
		.pid = GET(record->pid),
		.uid = GET(record->uid),
		.incarnation = GET(record->incarnation),
		.attached_ns = GET(record->attached_ns),
		.n_exhausted = GET(record->n_exhausted),
		.bound = { GET(record->max_chunks), GET(record->max_bytes) },
		.is_unverifiable = GET(record->flags) & MEMPOOL_HOLDER_UNVERIFIABLE,
		.is_reader = GET(record->flags) & MEMPOOL_HOLDER_READER,
		.reserves = GET(record->reserves),
	};
	for (size_t i = 0; i < sizeof(ret_holder->name) - 1; i++) {
		unsigned char c = GET(record->name[i]);

		if (c == '\0')
			break;
		ret_holder->name[i] = c >= ' ' && c <= '~' ? (char)c : '?';
	}
	return 0;
}

void holder_set_live(struct segment *segment, const struct holder *holder)
{
	struct mempool_holder *record = &segment->holders[holder->id];

	SET(record->kind, holder->kind);
	SET(record->pid, holder->pid);
	SET(record->uid, holder->uid);
	SET(record->incarnation, holder->incarnation);
	SET(record->flags, holder->is_reader ? MEMPOOL_HOLDER_READER : 0);
	SET(record->reserves, holder->reserves);
	SET(record->attached_ns, holder->attached_ns);
	SET(record->n_exhausted, holder->n_exhausted);
	SET(record->max_chunks, holder->bound.max_chunks);
	SET(record->max_bytes, holder->bound.max_bytes);
	for (size_t i = 0; i < sizeof(holder->name); i++)
		SET(record->name[i], (unsigned char)holder->name[i]);

	/* H1 (release) pairs with H2: who sees LIVE sees the rest. */
	atomic_store_explicit(&record->state, MEMPOOL_HOLDER_LIVE, memory_order_release);
}

void holder_set_flags(struct segment *segment, uint32_t id, uint32_t flags)
{
	SET(segment->holders[id].flags, flags);
}

void holder_set_state(struct segment *segment, uint32_t id, enum mempool_holder_state state)
{
	/* H1, as above; for FREE: the sweep that ended happens before the id's next use. */
	atomic_store_explicit(&segment->holders[id].state, state, memory_order_release);
}
