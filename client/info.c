/* SPDX-License-Identifier: MIT */
/*
 * info.c - what is in a segment: where its pools are, its queues and topics, and their counts
 *
 * Names and capacities are those of our private shape. The counts are read from the slots, and
 * from the words of what stands there: nobody keeps any; those of open ends from the table of ends,
 * once for a whole list. Nothing is written, so a spectator may
 * ask as well.
 */
#include "info.h"

#include <errno.h>
#include <string.h>

#include "parts.h"
#include "shm/bytes.h"
#include "shm/end.h"

_Static_assert(sizeof(((struct mempool_queue_counts *)NULL)->name) == MEMPOOL_NAME_BYTES &&
	       sizeof(((struct mempool_topic_counts *)NULL)->name) == MEMPOOL_NAME_BYTES, "names");

static const char *name_of(const struct segment *segment, uint32_t ring)
{
	return segment->config.rings[ring].name;
}

static void add_queue_end(struct mempool_queue_counts *counts, enum mempool_end_kind kind)
{
	counts->senders += kind == MEMPOOL_END_SENDER;
	counts->receivers += kind == MEMPOOL_END_RECEIVER;
}

/* All but who has it open. */
static void count_queue(const struct queue *queue, struct mempool_queue_counts *ret_counts)
{
	struct queue_tally tally = { 0 };

	if (queue->slot_bytes > 0)
		bytes_tally(&tally, queue);
	else
		queue_tally_go_on(&tally, queue, NULL);
	*ret_counts = (struct mempool_queue_counts){
		.capacity = queue->mask + 1,
		.length = tally.n_messages,
		.sent = tally.n_sent,
		.received = tally.n_received,
		.unseen = end_n_unseen(queue->segment, queue->id - 1),
		.slot_bytes = queue->slot_bytes,
	};
	strcpy(ret_counts->name, name_of(queue->segment, queue->id - 1));
}

void info_of_queue(const struct queue *queue, struct mempool_queue_counts *ret_counts)
{
	struct end end;

	count_queue(queue, ret_counts);
	for (uint32_t line = 0; end_find(queue->segment, &line, &end); line++)
		if (end.ring == queue->id - 1)
			add_queue_end(ret_counts, end.kind);
}

static void count_topic(const struct topic *topic, struct mempool_topic_counts *ret_counts)
{
	*ret_counts = (struct mempool_topic_counts){
		.capacity = topic->capacity,
		.length = topic_count(topic, 0, topic->capacity),
		.published = topic_newest(topic),
		.unseen = end_n_unseen(topic->segment, topic->ring_index),
		/* Relaxed: a count. */
		.yielded = atomic_load_explicit(&topic->ring->n_yielded, memory_order_relaxed),
	};
	strcpy(ret_counts->name, name_of(topic->segment, topic->ring_index));
}

void info_of_topic(const struct topic *topic, struct mempool_topic_counts *ret_counts)
{
	struct end end;

	count_topic(topic, ret_counts);
	for (uint32_t line = 0; end_find(topic->segment, &line, &end); line++)
		ret_counts->subscribers += end.ring == topic->ring_index;
}

/* The next ring of a kind, from this one on. false: there is none. */
static bool find_next(const struct segment *segment, enum mempool_ring_kind kind, uint32_t *ring)
{
	const struct config *config = &segment->config;

	while (*ring < config->n_rings && config->rings[*ring].kind != kind)
		(*ring)++;
	return *ring < config->n_rings;
}

/* Where it is in the list of its kind. */
static uint32_t rank_of(const struct segment *segment, const struct end *end)
{
	return segment->ring_places[end->ring].rank;
}

PUBLIC int mempool_client_queues(struct mempool_client *client,
				 struct mempool_queue_counts *ret_queues, size_t n)
{
	struct end end;
	int n_queues = 0, r = client_check(client);

	if (r < 0)
		return r;
	for (uint32_t ring = 0; find_next(client->segment, MEMPOOL_RING_QUEUE, &ring); ring++) {
		struct queue queue;

		if (ret_queues && (size_t)n_queues < n) {
			queue_view_any(&queue, client->segment, ring);
			count_queue(&queue, &ret_queues[n_queues]);
		}
		n_queues++;
	}
	for (uint32_t line = 0; ret_queues && end_find(client->segment, &line, &end); line++)
		if (end.kind != MEMPOOL_END_SUBSCRIBER && rank_of(client->segment, &end) < n)
			add_queue_end(&ret_queues[rank_of(client->segment, &end)], end.kind);
	return n_queues;
}

PUBLIC int mempool_client_topics(struct mempool_client *client,
				 struct mempool_topic_counts *ret_topics, size_t n)
{
	struct end end;
	int n_topics = 0, r = client_check(client);

	if (r < 0)
		return r;
	for (uint32_t ring = 0; find_next(client->segment, MEMPOOL_RING_TOPIC, &ring); ring++) {
		struct topic topic;

		if (ret_topics && (size_t)n_topics < n) {
			topic_view(&topic, client->segment, ring);
			count_topic(&topic, &ret_topics[n_topics]);
		}
		n_topics++;
	}
	for (uint32_t line = 0; ret_topics && end_find(client->segment, &line, &end); line++)
		if (end.kind == MEMPOOL_END_SUBSCRIBER && rank_of(client->segment, &end) < n)
			ret_topics[rank_of(client->segment, &end)].subscribers++;
	return n_topics;
}

PUBLIC int mempool_client_memory(struct mempool_client *client,
				 struct mempool_pool_memory *ret_memory, size_t n)
{
	int r = client_check(client);

	if (r < 0)
		return r;
	for (size_t i = 0; ret_memory && i < n && i < client->n_pools; i++) {
		const struct pool *pool = &client->segment->pools[i];

		ret_memory[i] = (struct mempool_pool_memory){
			.base = pool->data,
			.length = pool->data_size,
			.stride = pool->stride,
		};
	}
	return (int)client->n_pools;
}
