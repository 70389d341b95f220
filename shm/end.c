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

/* Nobody else's business: nobody waits for the last subscriber. */
static bool is_of_queue(uint64_t word)
{
	return (word & 3) == MEMPOOL_END_SENDER || (word & 3) == MEMPOOL_END_RECEIVER;
}

static _Atomic uint32_t *gone_of(const struct segment *segment, uint32_t ring,
				 enum mempool_end_kind kind)
{
	return &segment->rings[ring].n_gone[kind == MEMPOOL_END_RECEIVER];
}

void end_note_move(const struct segment *segment, uint32_t ring)
{
	atomic_fetch_add_explicit(&segment->rings[ring].ends_moved, 1, ORDER);
}

int end_take(const struct segment *segment, uint64_t word)
{
	const uint32_t n = segment->geometry.n_ends;
	/* Each holder begins at a place of its own. */
	uint32_t line = (uint32_t)((uint64_t)end_holder(word) * n / segment->n_holders);

	for (uint32_t i = 0; i < n; i++, line = line + 1 < n ? line + 1 : 0)
		if (GET(segment->end_words[line]) == 0 &&
		    swap(&segment->end_words[line], 0, word)) {
			end_note_move(segment, ring_of(word));
			return (int)line;
		}
	/* As the word would be: before the end is used. */
	atomic_fetch_add_explicit(&segment->rings[ring_of(word)].n_unseen, 1, ORDER);
	end_note_move(segment, ring_of(word));
	return -ENOSPC;
}

void end_give_back(const struct segment *segment, uint32_t line, uint64_t word)
{
	/* The reaper may meet any word. */
	bool is_watched = is_of_queue(word) && ring_of(word) < segment->config.n_rings;

	if (atomic_load_explicit(&segment->end_words[line], ORDER) != word)
		return;
	if (is_watched)
		atomic_fetch_add_explicit(gone_of(segment, ring_of(word), word & 3), 1, ORDER);
	swap(&segment->end_words[line], word, 0);
	if (is_watched)
		end_note_move(segment, ring_of(word));
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
	return atomic_load_explicit(&segment->rings[ring].n_unseen, ORDER);
}

/* ---- who watches ---- */

/* Bits of a verdict, below the count of moves that it was made at. */
#define VERDICT_IS_MADE 1
#define VERDICT_IS_GONE 2

static bool is_there(struct end_watch *watch)
{
	const struct segment *segment = watch->segment;
	bool is_there = false;

	for (uint32_t line = 0; line < segment->geometry.n_ends; line++) {
		uint64_t word = atomic_load_explicit(&segment->end_words[line], ORDER);

		is_there |= (word & 3) == watch->kind && ring_of(word) == watch->ring;
	}
	if (is_there)
		/* Relaxed: it becomes true once, and a thread that does not know it looks itself. */
		atomic_store_explicit(&watch->has_seen, true, memory_order_relaxed);
	return is_there;
}

void end_watch_init(struct end_watch *watch, const struct segment *segment,
		    enum mempool_end_kind kind, uint32_t ring)
{
	watch->segment = segment;
	watch->kind = kind;
	watch->ring = ring;
	watch->gone_at_open = atomic_load_explicit(gone_of(segment, ring, kind), ORDER);
	atomic_init(&watch->has_seen, false);
	atomic_init(&watch->verdict, 0);
	is_there(watch);
}

/* Return: whether nobody went meanwhile, so that this is a verdict. */
static bool judge(struct end_watch *watch, bool *ret_is_gone)
{
	const struct segment *segment = watch->segment;
	_Atomic uint32_t *gone = gone_of(segment, watch->ring, watch->kind);
	uint32_t n_gone = atomic_load_explicit(gone, ORDER);
	bool is_open = is_there(watch);

	/* The second one tells. */
	is_open |= is_there(watch);
	*ret_is_gone = false;
	if (atomic_load_explicit(gone, ORDER) != n_gone)
		return false;
	*ret_is_gone = !is_open && end_n_unseen(segment, watch->ring) == 0 &&
		       (n_gone != watch->gone_at_open ||
			atomic_load_explicit(&watch->has_seen, memory_order_relaxed));
	return true;
}

bool end_watch_is_gone(struct end_watch *watch)
{
	uint64_t moved = atomic_load_explicit(&watch->segment->rings[watch->ring].ends_moved, ORDER);
	/* Relaxed: the verdict is all there is in it. */
	uint64_t verdict = atomic_load_explicit(&watch->verdict, memory_order_relaxed);
	bool is_gone;

	if ((verdict & VERDICT_IS_MADE) && verdict >> 32 == moved)
		return verdict & VERDICT_IS_GONE;
	if (judge(watch, &is_gone))
		atomic_store_explicit(&watch->verdict,
				      moved << 32 | VERDICT_IS_MADE |
					      (is_gone ? VERDICT_IS_GONE : 0),
				      memory_order_relaxed);
	return is_gone;
}
