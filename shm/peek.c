/* SPDX-License-Identifier: MIT */
#include "peek.h"

#include <errno.h>
#include <string.h>

#include "fence.h"

/* Half of the sequences that there are. */
#define TAIL_BOUND (UINT64_C(1) << 31)

/* Looks beyond a round of the ring, at messages that go while they are looked at. */
#define MORE_TURNS 64

static const struct pool *pool_of(const struct topic *topic, const struct peek *peek)
{
	return &topic->segment->pools[peek->chunk.pool];
}

static const struct mempool_entry *entry_of(const struct topic *topic, const struct peek *peek)
{
	return &pool_of(topic, peek)->entries[peek->chunk.index];
}

/* What the slot leads to. false: no message, if the slot still stands. */
static bool follow(const struct topic *topic, struct peek *peek)
{
	const struct segment *segment = topic->segment;
	const struct mempool_entry *entry;

	if (peek->slot.manager >= segment->pools[segment->n_pools].n_chunks)
		return false;
	/* The link may be that of a later message: then the slot does not stand any more. */
	if (!chunk_manager_chunk(segment, peek->slot.manager, &peek->chunk))
		return false;
	entry = entry_of(topic, peek);
	/* K4 (acquire) pairs with M2: if this is a later message, the slot is seen to be another. */
	peek->word = atomic_load_explicit(&entry->word, memory_order_acquire);
	if (word_kind(peek->word) != MEMPOOL_SHARED || word_value(peek->word) != peek->slot.manager)
		return false;
	/* Relaxed, as the content: peek_verify() tells whose they are. */
	peek->length = pool_length(pool_of(topic, peek), peek->chunk.index);
	peek->tag = atomic_load_explicit(&entry->tag, memory_order_relaxed);
	return true;
}

int peek_next(const struct topic *topic, uint64_t *cursor, uint64_t *n_missed,
	      struct peek *ret_peek)
{
	for (uint64_t turns = topic->capacity + MORE_TURNS; turns > 0; turns--) {
		int r = topic_look_once(topic, cursor, n_missed, &ret_peek->slot, &ret_peek->tail);

		if (r == -EBUSY)
			continue;
		if (r < 0)
			return r;
		if (follow(topic, ret_peek)) {
			if (peek_verify(topic, ret_peek))
				return 0;
		} else if (topic_is_same(topic, &ret_peek->slot)) {
			/* It leads to no message of its own: somebody has damaged it. */
			topic_skip_to(cursor, n_missed, *cursor + 1);
		}
	}
	return -EAGAIN;
}

const void *peek_content(const struct topic *topic, const struct peek *peek)
{
	return pool_chunk(pool_of(topic, peek), peek->chunk.index);
}

void peek_copy(const struct topic *topic, const struct peek *peek, void *buffer,
	       size_t size_bytes)
{
	const _Atomic uint64_t *from = peek_content(topic, peek);
	size_t left = size_bytes < peek->length ? size_bytes : peek->length;
	unsigned char *to = buffer;
	uint64_t word;

	/* Relaxed: K2 stands behind all of it. By words, since somebody may be writing them. */
	for (; left >= sizeof(word); left -= sizeof(word), to += sizeof(word)) {
		word = atomic_load_explicit(from++, memory_order_relaxed);
		memcpy(to, &word, sizeof(word));
	}
	/* The last one is whole in the chunk, whose stride is a multiple of 8. */
	if (left > 0) {
		word = atomic_load_explicit(from, memory_order_relaxed);
		memcpy(to, &word, left);
	}
}

bool peek_verify(const struct topic *topic, const struct peek *peek)
{
	/*
	 * K2 (acquire fence) pairs with K1: if anything that was read is the next holder's, then
	 * what came before its claim is to be seen from here on, the eviction above all.
	 */
	fence_acquire();
	/* Relaxed: decides nothing about what a sound client does; see peek.h. */
	if (atomic_load_explicit(&entry_of(topic, peek)->word, memory_order_relaxed) != peek->word)
		return false;
	/*
	 * K3 (acquire, by a seq_cst load): the slot before the tail. Else the tail might be that of
	 * now, and the slot that of a time when sequences have come round.
	 */
	if (!topic_is_same(topic, &peek->slot))
		return false;
	/* Relaxed: behind K3. */
	return atomic_load_explicit(&topic->ring->tail, memory_order_relaxed) - peek->tail <
	       TAIL_BOUND;
}
