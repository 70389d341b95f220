/* SPDX-License-Identifier: MIT */
#include "held.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "shm/chunk_manager.h"
#include "shm/pool.h"
#include "shm/word.h"

static int add(struct held_list *list, const struct held *held)
{
	size_t n = list->n ? 2 * list->n : 256;
	struct held *chunks;

	if (list->n == HELD_MAX) {
		list->is_cut = true;
		return 0;
	}
	if (list->n == list->n_allocated) {
		chunks = realloc(list->chunks, n * sizeof(*chunks));
		if (!chunks)
			return -ENOMEM;
		list->chunks = chunks;
		list->n_allocated = n;
	}
	list->chunks[list->n++] = *held;
	return 0;
}

static int add_traced(const struct segment *segment, struct held_list *list, struct held *held,
		      uint64_t word)
{
	const struct chunk_ref ref = { held->pool, held->index };

	held->is_known = segment->modules &&
			 trace_find(segment, ref, word, held->holder, &held->trace);
	return add(list, held);
}

static int add_sharers(const struct segment *segment, struct held_list *list, struct held *held,
		       uint64_t word, uint64_t *n_read)
{
	uint32_t manager = word_value(word);
	int r = 0;

	if (manager >= segment->pools[segment->n_pools].n_chunks)
		return 0;
	held->how = HELD_SHARED;
	for (uint32_t i = 0; i < segment->n_holders / 64; i++) {
		uint64_t bits = chunk_manager_sharers(segment, manager, i);

		*n_read += 1 + (uint64_t)__builtin_popcountll(bits);
		for (; bits != 0 && r == 0; bits &= bits - 1) {
			held->holder = i * 64 + (uint32_t)__builtin_ctzll(bits);
			r = add_traced(segment, list, held, word);
		}
	}
	return r;
}

/* Whether the word names a holder, or a queue, that there is. */
static bool name_holder(const struct segment *segment, uint64_t word, struct held *held)
{
	uint32_t queue = word_sent_queue(word);

	if (word_kind(word) == MEMPOOL_SENT && queue != 0) {
		held->how = HELD_SENT;
		held->ring = queue - 1;
		return queue <= segment->config.n_rings &&
		       segment->config.rings[queue - 1].kind == MEMPOOL_RING_QUEUE;
	}
	held->how = word_kind(word) == MEMPOOL_SENT ? HELD_GIVEN : HELD_ALONE;
	held->holder = word_kind(word) == MEMPOOL_SENT ? word_sent_sender(word) : word_owner(word);
	return held->holder != MEMPOOL_HOLDER_NONE && held->holder < segment->n_holders;
}

static int add_chunk(const struct segment *segment, struct held_list *list, struct chunk_ref ref,
		     uint64_t *n_read)
{
	struct held held = { .pool = ref.pool, .index = ref.index };
	/* Relaxed: a list, of what may move while it is made. */
	uint64_t word = atomic_load_explicit(&segment->pools[ref.pool].entries[ref.index].word,
					     memory_order_relaxed);

	if (word_kind(word) == MEMPOOL_SHARED)
		return add_sharers(segment, list, &held, word, n_read);
	if (word_kind(word) == MEMPOOL_FREE || !name_holder(segment, word, &held))
		return 0;
	return add_traced(segment, list, &held, word);
}

static int add_pool(const struct segment *segment, struct held_list *list, uint32_t pool,
		    struct budget *budget)
{
	int r = 0;

	for (uint32_t i = 0; i < segment->pools[pool].n_chunks && r == 0 && !list->is_cut; i++) {
		uint64_t n_read = 1;

		r = add_chunk(segment, list, (struct chunk_ref){ pool, i }, &n_read);
		list->is_cut |= !budget_pay(budget, n_read);
	}
	return r;
}

static int copy_modules(const struct segment *segment, struct held_list *list)
{
	list->modules = calloc(MEMPOOL_MAX_MODULES, sizeof(*list->modules));
	if (!list->modules)
		return -ENOMEM;
	for (uint32_t i = 0; i < MEMPOOL_MAX_MODULES; i++)
		if (!trace_read_module(segment, i + 1, &list->modules[i]))
			list->modules[i] = (struct trace_module){ 0 };
	return 0;
}

int held_list_take(const struct segment *segment, struct budget *budget,
		   struct held_list *ret_list)
{
	int r = 0;

	for (uint32_t i = 0; i < segment->n_pools && r == 0; i++)
		r = add_pool(segment, ret_list, i, budget);
	/* Behind them: what a hold names was there before it. */
	if (r == 0 && segment->modules)
		r = copy_modules(segment, ret_list);
	return r;
}

void held_list_deinit(struct held_list *list)
{
	free(list->chunks);
	free(list->modules);
	*list = (struct held_list){ 0 };
}
