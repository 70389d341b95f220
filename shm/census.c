/* SPDX-License-Identifier: MIT */
/*
 * census.c - the pass over the words; see census.h
 */
#include "census.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "bytes.h"
#include "chunk_manager.h"
#include "end.h"
#include "pool.h"
#include "queue.h"
#include "stamp.h"
#include "topic.h"
#include "trace.h"
#include "word.h"

/* Slots of a topic at a time. */
#define TOPIC_PIECE 4096

/* One pass: what is counted, and the pool that is being read. */
struct pass {
	const struct segment *segment;
	struct census *census;
	const struct pool *pool;
	struct census_pool *counts;
	bool is_data;
	bool is_traced;			/* and it is a data pool */
	uint64_t n_read;		/* words, and bits that were set, of the chunk */
};

static uint64_t earlier(uint64_t a_ns, uint64_t b_ns)
{
	return a_ns == 0 || (b_ns != 0 && b_ns < a_ns) ? b_ns : a_ns;
}

/* Since when the chunk is held by one of its holders; of what is sent it does not matter by whom. */
static void count_age(struct pass *pass, uint64_t word, uint32_t holder)
{
	const struct chunk_ref chunk = { pass->pool->id, (uint32_t)pass->counts->counted };
	struct trace trace;

	if (!pass->is_traced)
		return;
	pass->n_read += MEMPOOL_TRACE_HOLDS;
	if (trace_find(pass->segment, chunk, word, holder, &trace))
		pass->counts->held_since_ns =
			earlier(pass->counts->held_since_ns, trace.since_ns);
}

static void count_alone(struct pass *pass, uint32_t holder, bool is_given)
{
	struct census *census = pass->census;
	struct census_hold *hold;

	if (holder == MEMPOOL_HOLDER_NONE || holder >= census->n_holders) {
		pass->counts->stray++;
		return;
	}
	pass->counts->alone++;
	if (!pass->is_data)
		return;
	hold = &census->holds[(size_t)holder * census->n_pools + pass->pool->id];
	hold->chunks++;
	hold->given += is_given;
	census->holders[holder].all.chunks++;
	census->holders[holder].all.given += is_given;
	census->holders[holder].bytes += pass->pool->chunk_size;
}

static void count_in_flight(struct pass *pass, uint32_t queue)
{
	const struct config *config = &pass->segment->config;
	struct census_ring *ring;

	/* Queue ids are places in the ring table, from 1. */
	if (!pass->is_data || queue > config->n_rings ||
	    config->rings[queue - 1].kind != MEMPOOL_RING_QUEUE) {
		pass->counts->stray++;
		return;
	}
	pass->counts->in_flight++;
	ring = &pass->census->rings[queue - 1];
	ring->chunks++;
	ring->bytes += pass->pool->chunk_size;
}

static int compare_readers(const void *left, const void *right)
{
	const struct census_reader *a = left, *b = right;

	if (a->topic != b->topic)
		return a->topic < b->topic ? -1 : 1;
	return (a->holder > b->holder) - (a->holder < b->holder);
}

static struct census_reader *find_reader(const struct census *census, uint32_t topic,
					 uint32_t holder)
{
	const struct census_reader wanted = { .topic = topic, .holder = holder };

	if (census->n_readers == 0)
		return NULL;
	return bsearch(&wanted, census->readers, census->n_readers, sizeof(wanted),
		       compare_readers);
}

static void count_held(struct pass *pass, uint32_t topic, uint32_t holder)
{
	struct census_reader *reader = find_reader(pass->census, topic, holder);

	pass->n_read += 8;
	if (reader)
		reader->holds++;
}

static void count_shared(struct pass *pass, uint64_t word)
{
	struct census *census = pass->census;
	uint32_t manager = word_value(word);
	uint32_t topic;

	/* In the managers' own pool it is a stamp. */
	if (!pass->is_data) {
		pass->counts->shared++;
		return;
	}
	if (pass->pool->is_exclusive ||
	    manager >= pass->segment->pools[census->n_pools].n_chunks) {
		pass->counts->stray++;
		return;
	}
	pass->counts->shared++;
	topic = census->n_readers > 0 ? chunk_manager_topic(pass->segment, manager)
				      : MEMPOOL_HOLDER_NONE;
	for (uint32_t i = 0; i < census->n_holders / 64; i++) {
		uint64_t bits = chunk_manager_sharers(pass->segment, manager, i);

		pass->n_read += 1 + (uint64_t)__builtin_popcountll(bits);
		for (; bits != 0; bits &= bits - 1) {
			uint32_t id = i * 64 + (uint32_t)__builtin_ctzll(bits);

			census->holds[(size_t)id * census->n_pools + pass->pool->id].shared++;
			census->holders[id].all.shared++;
			census->holders[id].shared_bytes += pass->pool->chunk_size;
			if (topic != MEMPOOL_HOLDER_NONE)
				count_held(pass, topic, id);
			count_age(pass, word, id);
		}
	}
}

static void count_word(struct pass *pass, uint64_t word)
{
	switch (word_kind(word)) {
	case MEMPOOL_OWNED:
		count_alone(pass, word_owner(word), false);
		count_age(pass, word, MEMPOOL_HOLDER_NONE);
		return;
	case MEMPOOL_SENT:
		count_age(pass, word, MEMPOOL_HOLDER_NONE);
		if (word_sent_queue(word) == 0)
			count_alone(pass, word_sent_sender(word), true);
		else
			count_in_flight(pass, word_sent_queue(word));
		return;
	case MEMPOOL_SHARED:
		count_shared(pass, word);
		return;
	case MEMPOOL_FREE:
		/* For no lane that there is: no operation writes that. */
		pass->counts->stray++;
		return;
	}
}

/* Return: false: the budget is used up. */
static bool count_pool(struct pass *pass, struct budget *budget)
{
	const struct pool *pool = pass->pool;
	struct census_pool *counts = pass->counts;
	bool goes_on = true;

	while (goes_on && counts->counted < pool->n_chunks) {
		/* Relaxed: a count; nothing is read through the word. */
		uint64_t word = atomic_load_explicit(&pool->entries[counts->counted].word,
						     memory_order_relaxed);

		pass->n_read = 1;
		counts->generations += word_generation(word);
		if (pool_is_free(pool, word))
			counts->free++;
		else
			count_word(pass, word);
		counts->counted++;
		goes_on = budget_pay(budget, pass->n_read);
	}
	counts->used = counts->counted - counts->free;
	return goes_on;
}

void census_add(struct census_pool *sum, const struct census_pool *counts)
{
	sum->total += counts->total;
	sum->counted += counts->counted;
	sum->used += counts->used;
	sum->free += counts->free;
	sum->alone += counts->alone;
	sum->in_flight += counts->in_flight;
	sum->shared += counts->shared;
	sum->stray += counts->stray;
	sum->generations += counts->generations;
	sum->held_since_ns = earlier(sum->held_since_ns, counts->held_since_ns);
}

static void add_up(struct census *census)
{
	census->all = (struct census_pool){ 0 };
	for (uint32_t i = 0; i < census->n_pools; i++)
		census_add(&census->all, &census->pools[i]);
}

/* Who reads what, each once. Return: 0 or -ENOMEM. */
static int note_readers(struct census *census, const struct segment *segment)
{
	struct end end;
	size_t n = 0;

	census->readers = calloc((size_t)segment->geometry.n_ends + 1, sizeof(*census->readers));
	if (!census->readers)
		return -ENOMEM;
	for (uint32_t line = 0; end_find(segment, &line, &end); line++)
		if (end.kind == MEMPOOL_END_SUBSCRIBER)
			census->readers[n++] = (struct census_reader){
				.topic = segment->ring_places[end.ring].holder,
				.holder = end.holder,
			};
	qsort(census->readers, n, sizeof(*census->readers), compare_readers);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || compare_readers(&census->readers[i],
					      &census->readers[census->n_readers - 1]) != 0)
			census->readers[census->n_readers++] = census->readers[i];
	return 0;
}

static int census_init(struct census *census, const struct segment *segment)
{
	*census = (struct census){
		.n_pools = segment->n_pools,
		.n_holders = segment->n_holders,
		.n_rings = (uint32_t)segment->config.n_rings,
	};
	census->holders = calloc(census->n_holders, sizeof(*census->holders));
	census->holds = calloc((size_t)census->n_holders * census->n_pools,
			       sizeof(*census->holds));
	/* One more than there are: a size of 0 may give NULL. */
	census->rings = calloc((size_t)census->n_rings + 1, sizeof(*census->rings));
	if (census->holders && census->holds && census->rings &&
	    note_readers(census, segment) == 0)
		return 0;
	census_deinit(census);
	return -ENOMEM;
}

int census_begin(const struct segment *segment, struct census *ret_census)
{
	struct census census;
	int r = census_init(&census, segment);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i <= segment->n_pools; i++)
		census.pools[i].total = segment->pools[i].n_chunks;
	add_up(&census);
	census_deinit(ret_census);
	*ret_census = census;
	return 0;
}

/* Of a message that a topic keeps; 0: it keeps none there, nobody knows, or it went meanwhile. */
static uint64_t sent_ns_at(const struct topic *topic, uint64_t position)
{
	uint32_t manager = topic_peek(topic, position);
	struct chunk_ref chunk;
	uint64_t sent_ns;

	if (manager == TOPIC_NO_MANAGER || !chunk_manager_chunk(topic->segment, manager, &chunk))
		return 0;
	sent_ns = stamp_sent_ns(&topic->segment->pools[chunk.pool], chunk.index);
	/* After the stamp, as in queue.c. */
	return topic_peek(topic, position) == manager ? sent_ns : 0;
}

/* Look for the oldest message with a stamp, from the oldest place on. */
static void date_topic(struct queue_tally *tally, const struct topic *topic,
		       struct budget *budget)
{
	bool goes_on = true;

	if (tally->n_steps == 0)
		tally->at = topic_begin(topic);
	while (goes_on && tally->sent_ns == 0 && tally->n_steps < topic->capacity) {
		tally->sent_ns = sent_ns_at(topic, tally->at++);
		tally->n_steps++;
		goes_on = budget_pay(budget, 4);
	}
	tally->is_over = tally->sent_ns != 0 || tally->n_steps == topic->capacity;
}

static void count_topic(struct queue_tally *tally, const struct topic *topic,
			struct budget *budget)
{
	bool goes_on = true;

	while (goes_on && tally->n_slots < topic->capacity) {
		uint64_t n = topic->capacity - tally->n_slots;

		if (n > TOPIC_PIECE)
			n = TOPIC_PIECE;
		tally->n_messages += topic_count(topic, tally->n_slots, tally->n_slots + n);
		tally->n_slots += n;
		goes_on = budget_pay(budget, n);
	}
	tally->is_over = !topic_has_stamps(topic) && tally->n_slots == topic->capacity;
	if (topic_has_stamps(topic) && goes_on)
		date_topic(tally, topic, budget);
}

static void count_ring(const struct segment *segment, uint32_t i, struct queue_tally *tally,
		       struct budget *budget)
{
	struct queue queue;
	struct topic topic;

	if (queue_view(&queue, segment, i) == 0)
		queue_tally_go_on(tally, &queue, budget);
	else if (queue_view_any(&queue, segment, i) == 0)
		bytes_tally(tally, &queue);
	else if (topic_view(&topic, segment, i) == 0)
		count_topic(tally, &topic, budget);
}

void census_go_on(struct census *census, const struct segment *segment, struct budget *budget)
{
	struct pass pass = { .segment = segment, .census = census };
	bool goes_on = true;

	while (goes_on && census->next_pool <= census->n_pools) {
		uint32_t i = census->next_pool;

		pass.pool = &segment->pools[i];
		pass.counts = &census->pools[i];
		pass.is_data = i < census->n_pools;
		pass.is_traced = pass.is_data && segment->modules;
		goes_on = count_pool(&pass, budget);
		census->next_pool += census->pools[i].counted == census->pools[i].total;
	}
	while (goes_on && census->next_ring < census->n_rings) {
		struct queue_tally *tally = &census->rings[census->next_ring].tally;

		count_ring(segment, census->next_ring, tally, budget);
		goes_on = tally->is_over;
		census->next_ring += tally->is_over;
	}
	add_up(census);
}

bool census_is_over(const struct census *census)
{
	return census->next_pool > census->n_pools && census->next_ring == census->n_rings;
}

unsigned int census_percent(const struct census *census, const struct segment *segment)
{
	uint64_t counted = census->all.counted + census->pools[census->n_pools].counted;
	uint64_t total = census->all.total + census->pools[census->n_pools].total;

	if (census_is_over(census))
		return 100;
	for (uint32_t i = 0; i < census->n_rings; i++) {
		counted += census->rings[i].tally.n_slots;
		total += segment->config.rings[i].capacity;
	}
	counted = counted * 100 / total;
	return counted < 100 ? (unsigned int)counted : 99;
}

int census_take(const struct segment *segment, struct census *ret_census)
{
	int r = census_begin(segment, ret_census);

	if (r == 0)
		census_go_on(ret_census, segment, NULL);
	return r;
}

void census_deinit(struct census *census)
{
	free(census->holders);
	free(census->holds);
	free(census->rings);
	free(census->readers);
	*census = CENSUS_NULL;
}

uint64_t census_holds(const struct census *census, uint32_t topic, uint32_t holder)
{
	const struct census_reader *reader = find_reader(census, topic, holder);

	return reader ? reader->holds : 0;
}

uint64_t census_moves(const struct census_pool *before, const struct census_pool *now)
{
	uint64_t moves = now->generations - before->generations;
	/* A word that came to its end begins at 1 again: the sum lost 2^32 - 1. */
	uint64_t lost = before->generations - now->generations;

	if ((int64_t)moves < 0)
		moves += (lost + UINT32_MAX - 1) / UINT32_MAX * UINT32_MAX;
	return moves;
}
