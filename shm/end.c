/* SPDX-License-Identifier: MIT */
#include "end.h"

#include <errno.h>

#include "holder.h"

/* Of what is taken and given back, which is rare: one order of all steps. */
#define ORDER memory_order_seq_cst

/* Relaxed: figures for people, each true by itself. */
#define GET(field) atomic_load_explicit(&(field), memory_order_relaxed)
#define SET(field, value) atomic_store_explicit(&(field), value, memory_order_relaxed)

static uint32_t ring_of(uint64_t word)
{
	return (uint32_t)word >> 2 & MEMPOOL_MAX_RINGS;
}

static bool swap(_Atomic uint64_t *word, uint64_t from, uint64_t to)
{
	return atomic_compare_exchange_strong_explicit(word, &from, to, ORDER, ORDER);
}

int end_take(const struct segment *segment, uint64_t word)
{
	const uint32_t n = segment->geometry.n_ends;
	/* Each holder begins at a place of its own. */
	uint32_t line = (uint32_t)((uint64_t)end_holder(word) * n / segment->n_holders);

	for (uint32_t i = 0; i < n; i++, line = line + 1 < n ? line + 1 : 0)
		if (GET(segment->end_words[line]) == 0 &&
		    swap(&segment->end_words[line], 0, word))
			return (int)line;
	atomic_fetch_add_explicit(&segment->rings[ring_of(word)].n_unseen, 1,
				  memory_order_relaxed);
	return -ENOSPC;
}

void end_give_back(const struct segment *segment, uint32_t line, uint64_t word)
{
	swap(&segment->end_words[line], word, 0);
}

static bool is_of(uint64_t word, uint32_t holder, uint32_t incarnation)
{
	return word != 0 && end_holder(word) == holder && word >> 32 == incarnation;
}

void end_give_all_back(const struct segment *segment, uint32_t holder, uint32_t incarnation)
{
	for (uint32_t line = 0; line < segment->geometry.n_ends; line++) {
		uint64_t word = GET(segment->end_words[line]);

		if (is_of(word, holder, incarnation))
			end_give_back(segment, line, word);
	}
}

struct mempool_end *end_describe(const struct segment *segment, uint32_t line, uint64_t word,
				 uint64_t cursor, uint64_t flags)
{
	struct mempool_end *end = &segment->ends[line];

	SET(end->cursor, cursor);
	SET(end->start, cursor);
	SET(end->n_missed, 0);
	SET(end->flags, flags);
	/* Last: who sees it as ours sees the rest. */
	atomic_store_explicit(&end->of, word, ORDER);
	return end;
}

/* Whether it can be anybody's. */
static bool decode(const struct segment *segment, uint64_t word, struct end *ret_end)
{
	const struct config *config = &segment->config;
	bool is_of_topic;

	*ret_end = (struct end){
		.kind = word & 3,
		.ring = ring_of(word),
		.holder = end_holder(word),
		.incarnation = (uint32_t)(word >> 32),
	};
	is_of_topic = ret_end->kind == MEMPOOL_END_SUBSCRIBER;
	return ret_end->kind != MEMPOOL_END_NONE && ret_end->ring < config->n_rings &&
	       (config->rings[ret_end->ring].kind == MEMPOOL_RING_TOPIC) == is_of_topic &&
	       ret_end->holder >= holder_first_client(segment) &&
	       ret_end->holder < segment->n_holders;
}

bool end_find(const struct segment *segment, uint32_t *line, struct end *ret_end)
{
	for (; *line < segment->geometry.n_ends; (*line)++) {
		uint64_t word = GET(segment->end_words[*line]);

		if (word != 0 && decode(segment, word, ret_end))
			return true;
	}
	return false;
}

bool end_read(const struct segment *segment, uint32_t line, struct end *end)
{
	struct mempool_end *from = &segment->ends[line];
	struct holder holder;

	holder_read(segment, end->holder, &holder);
	if (holder.state == MEMPOOL_HOLDER_FREE || holder.incarnation != end->incarnation)
		return false;
	end->is_whole = end->kind == MEMPOOL_END_SUBSCRIBER &&
			atomic_load_explicit(&from->of, ORDER) ==
				end_word(end->kind, end->ring, end->holder, end->incarnation);
	if (!end->is_whole)
		return true;
	end->cursor = GET(from->cursor);
	end->start = GET(from->start);
	end->n_missed = GET(from->n_missed);
	end->flags = GET(from->flags);
	return true;
}

uint64_t end_n_unseen(const struct segment *segment, uint32_t ring)
{
	return GET(segment->rings[ring].n_unseen);
}
