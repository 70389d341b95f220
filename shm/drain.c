/* SPDX-License-Identifier: MIT */
#include "drain.h"

#include "bytes.h"
#include "chunk_manager.h"
#include "eventcount.h"
#include "queue.h"
#include "role.h"

/* What takes as long as so many empty slots: to collect a message, and so many words of sharers. */
#define MESSAGE_SLOTS 16
#define SHARER_WORDS 16

void drain_init(struct drain *drain, const struct segment *segment, uint32_t ring, uint32_t as)
{
	*drain = (struct drain){
		.segment = segment,
		.ring = ring,
		.capacity = segment->config.rings[ring].capacity,
		.as = as,
	};
}

static void step_topic(struct drain *drain, uint64_t max_slots)
{
	const uint64_t message = MESSAGE_SLOTS + drain->segment->n_holders / 64 / SHARER_WORDS;
	struct topic topic;

	topic_view(&topic, drain->segment, drain->ring);
	for (uint64_t n = 0; n < max_slots && drain->place < drain->capacity; n++) {
		uint32_t manager = topic_empty(&topic, drain->place++);

		if (manager == TOPIC_NO_MANAGER)
			continue;
		drain->n_messages++;
		drain->n_freed += chunk_manager_collect(drain->segment, manager, drain->as);
		n += message;
	}
}

/* There is something for them. Who polls needs a word of the daemon's besides, and stays armed for it. */
static void tell(struct mempool_eventcount *sleepers)
{
	if (eventcount_is_armed(sleepers))
		eventcount_move(sleepers);
}

/* The receiver's place is on the other side of those that wait: of messages in slots, at once. */
static void receive_bytes(struct drain *drain, struct queue *queue)
{
	drain->n_messages += bytes_drop_all(queue);
	drain->place = drain->capacity;
}

static void receive_chunks(struct drain *drain, struct queue *queue, uint64_t max_slots)
{
	uint64_t handle;

	queue_begin_receiving(queue);
	for (uint64_t n = 0; n < max_slots && drain->place < drain->capacity; n += MESSAGE_SLOTS) {
		const struct pool *pool;
		int r = queue_pop_alone(queue, drain->as, NULL, NULL, &handle);

		n += queue->n_passed;
		drain->place += queue->n_passed + (r == 0);
		queue->n_passed = 0;
		if (r == -EAGAIN)
			drain->place = drain->capacity;
		if (r < 0)
			continue;
		pool = &drain->segment->pools[handle_pool(handle)];
		drain->n_messages++;
		if (pool_release_checked(pool, handle_index(handle), drain->as) < 0)
			continue;
		pool_hint(pool, handle_index(handle));
		drain->n_freed++;
	}
}

/* Receive as its one receiver does, for as long as this step takes. */
static void step_queue_alone(struct drain *drain, struct queue *queue, uint64_t max_slots)
{
	uint64_t role = role_word_of(drain->segment, drain->as);

	if (role_take(queue->ring, MEMPOOL_END_RECEIVER, role) < 0) {
		drain->is_refused = true;
		return;
	}
	/* We are not registered for membarrier. */
	queue->orders_itself = true;
	if (queue->slot_bytes > 0)
		receive_bytes(drain, queue);
	else
		receive_chunks(drain, queue, max_slots);
	role_give_back(queue->ring, MEMPOOL_END_RECEIVER, role);
	/* Who waits for the role has not armed, but looks at the sequence. */
	eventcount_move(&queue->ring->filled);
	tell(&queue->ring->emptied);
}

static void step_queue(struct drain *drain, uint64_t max_slots)
{
	struct queue queue;

	queue_view_any(&queue, drain->segment, drain->ring);
	if (queue.has_one_receiver) {
		step_queue_alone(drain, &queue, max_slots);
		return;
	}
	for (uint64_t n = 0; n < max_slots && drain->place < drain->capacity; n++) {
		bool is_damaged;
		uint64_t handle = queue_peek(&queue, drain->place++, &is_damaged);

		if (handle == 0 || !queue_drop(&queue, handle))
			continue;
		drain->n_messages++;
		drain->n_freed++;
		n += MESSAGE_SLOTS;
	}
	/* There is room now, and whoever sends passes the slots. */
	if (drain->place == drain->capacity)
		tell(&queue.ring->emptied);
}

bool drain_step(struct drain *drain, uint64_t max_slots)
{
	if (drain->segment->config.rings[drain->ring].kind == MEMPOOL_RING_TOPIC)
		step_topic(drain, max_slots);
	else
		step_queue(drain, max_slots);
	return drain->is_refused || drain->place >= drain->capacity;
}

uint64_t drain_topic(const struct topic *topic, uint32_t as, uint64_t *ret_freed)
{
	struct drain drain;

	drain_init(&drain, topic->segment, topic->ring_index, as);
	while (!drain_step(&drain, topic->capacity))
		;
	*ret_freed = drain.n_freed;
	return drain.n_messages;
}
