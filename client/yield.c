/* SPDX-License-Identifier: MIT */
#include "yield.h"

#include <errno.h>
#include <string.h>

#include "cache.h"
#include "hold.h"
#include "share.h"
#include "shm/chunk_manager.h"
#include "shm/clock.h"
#include "shm/history.h"
#include "shm/topic.h"

/* Of a reading, between two looks at the clock. A word may lead to a manager and a slot. */
#define READ_SLICE_WORDS 4096

/* What yields, and where it stands. */
struct message {
	struct topic topic;
	struct topic_slot slot;
	uint32_t behind;
};

static inline uint64_t read_word(const struct pool *pool, uint32_t index)
{
	/* seq_cst, as all of chunk_manager.c: behind the setting of the history word's bit. */
	return atomic_load_explicit(&pool->entries[index].word, memory_order_seq_cst);
}

/* Whether a chunk with this word is that of a message that yields. */
static bool look(struct segment *segment, uint64_t word, struct message *ret_message)
{
	uint32_t manager = word_value(word);

	if (word_kind(word) != MEMPOOL_SHARED || manager >= segment_managers(segment)->n_chunks ||
	    !chunk_manager_yields(segment, manager, &ret_message->topic, &ret_message->slot))
		return false;
	ret_message->behind = topic_behind(&ret_message->topic,
					   (uint32_t)ret_message->slot.position);
	return true;
}

/* Among the others, by how far behind it is; beyond YIELD_MAX, the nearest goes. */
static void keep(struct magazine *magazine, uint32_t index, uint32_t behind)
{
	struct yield *yields = magazine->yields;
	uint32_t n = magazine->n_yields, place;

	if (n == YIELD_MAX) {
		if (behind <= yields[0].behind)
			return;
		memmove(yields, yields + 1, --n * sizeof(*yields));
	}
	for (place = n; place > 0 && yields[place - 1].behind > behind; place--)
		yields[place] = yields[place - 1];
	yields[place] = (struct yield){ index, behind };
	magazine->n_yields = n + 1;
}

/* Read the words of the pool. Return: 0; -ETIMEDOUT. */
static int read_words(struct cache *cache, struct magazine *magazine)
{
	struct segment *segment = cache_client(cache)->segment;
	const struct pool *pool = &magazine->pool;
	struct message message;

	for (uint32_t i = 0; i < pool->n_chunks; i++) {
		uint64_t word = read_word(pool, i);

		if (unlikely(i % READ_SLICE_WORDS == READ_SLICE_WORDS - 1) &&
		    clock_now_ns() >= cache->first_until_ns)
			return -ETIMEDOUT;
		if (word_kind(word) == MEMPOOL_SHARED && look(segment, word, &message))
			keep(magazine, i, message.behind);
	}
	return 0;
}

/* Take one that was seen to yield. Return: 0 the chunk is OWNED by us; negative: try the next. */
static int take(struct mempool_client *client, struct magazine *magazine, struct yield yield)
{
	const struct pool *pool = &magazine->pool;
	struct message message;
	uint32_t manager;
	int r;

	/* One that is less far behind by now is another message. */
	if (!look(client->segment, read_word(pool, yield.index), &message) || message.behind < yield.behind)
		return -ESTALE;
	manager = message.slot.manager;
	r = hold_message(client, &message.topic, &message.slot);
	/* A slot that names nothing, by a hostile client: nor is it to be found again. */
	if (r == -EBADMSG)
		topic_yield(&message.topic, &message.slot);
	if (r < 0)
		return r;
	r = topic_yield(&message.topic, &message.slot)
		    ? share_take_back(client, (struct chunk_ref){ pool->id, yield.index }, manager)
		    : -EBUSY;
	/* A reader has it, or a publisher has evicted it. */
	if (r == -EBUSY)
		share_drop(client, manager);
	return r;
}

int yield_claim(struct cache *cache, struct magazine *magazine, uint32_t *ret_index)
{
	struct mempool_client *client = cache_client(cache);
	uint64_t history;

	if (!magazine->yields)
		return -EAGAIN;
	/* Each further turn follows a message that somebody else got hold of: lock-free. */
	do {
		while (magazine->n_yields > 0) {
			struct yield yield = magazine->yields[--magazine->n_yields];

			if (take(client, magazine, yield) == 0) {
				*ret_index = yield.index;
				return 0;
			}
		}
		if (magazine->history != 0 && magazine->history == history_word(client->segment))
			return -EAGAIN;
		history = history_set_dry(client->segment);
		if (read_words(cache, magazine) < 0)
			return -EAGAIN;
		if (magazine->n_yields == 0 && history_word(client->segment) == history) {
			magazine->history = history;
			return -EAGAIN;
		}
	} while (clock_now_ns() < cache->again_until_ns);
	return -EAGAIN;
}
