/* SPDX-License-Identifier: MIT */
#include "topic.h"

#include <errno.h>

#include "history.h"

/* See topic.h: one order of all steps. */
#define ORDER memory_order_seq_cst

static uint64_t slot_make(uint32_t sequence, uint32_t manager)
{
	return (uint64_t)sequence << 32 | manager;
}

static uint32_t slot_sequence(uint64_t slot)
{
	return (uint32_t)(slot >> 32);
}

void topic_layout(_Atomic uint64_t *slots, uint64_t capacity)
{
	/* As if a round before the first had been evicted. Relaxed: published with the segment. */
	for (uint64_t i = 0; i < capacity; i++)
		atomic_store_explicit(&slots[i],
				      slot_make((uint32_t)(i - capacity), TOPIC_NO_MANAGER),
				      memory_order_relaxed);
}

int topic_view(struct topic *topic, const struct segment *segment, uint32_t ring)
{
	const struct config *config = &segment->config;

	if (ring >= config->n_rings)
		return -EINVAL;
	if (config->rings[ring].kind != MEMPOOL_RING_TOPIC)
		return -ENOENT;

	*topic = (struct topic){
		.segment = segment,
		.ring = &segment->rings[ring],
		.slots = (void *)((unsigned char *)segment->header +
				  segment->ring_places[ring].slots_off),
		.capacity = config->rings[ring].capacity,
		.ring_index = ring,
		.holder = segment->ring_places[ring].holder,
		.yields = config_ring_yields(&config->rings[ring]),
	};
	return 0;
}

int topic_view_holder(struct topic *topic, const struct segment *segment, uint32_t holder)
{
	if (!topic_is_holder(segment, holder))
		return -EINVAL;
	return topic_view(topic, segment,
			  segment->topic_rings[holder - MEMPOOL_HOLDER_DAEMON_ID - 1]);
}

static _Atomic uint64_t *slot_at(const struct topic *topic, uint64_t position)
{
	return &topic->slots[position & (topic->capacity - 1)];
}

static void advance(const struct topic *topic, uint64_t from)
{
	/* A failure is somebody who did it for us. */
	atomic_compare_exchange_strong_explicit(&topic->ring->tail, &from, from + 1, ORDER,
						ORDER);
}

void topic_next_free(const struct topic *topic, struct topic_slot *ret_slot)
{
	/* Each turn follows a publisher's progress, or makes it for him. */
	for (;;) {
		uint64_t tail = atomic_load_explicit(&topic->ring->tail, ORDER);
		uint64_t seen = atomic_load_explicit(slot_at(topic, tail), ORDER);

		if (slot_sequence(seen) == (uint32_t)tail) {
			/* Filled already, and only the tail stands back. */
			advance(topic, tail);
			continue;
		}
		/*
		 * Neither this round nor the last: the tail has moved on since we read it. Or, if
		 * it has not, a hostile client wrote there: that is published over as well.
		 */
		if (slot_sequence(seen) == (uint32_t)(tail - topic->capacity) ||
		    atomic_load_explicit(&topic->ring->tail, ORDER) == tail) {
			ret_slot->position = tail;
			ret_slot->seen = seen;
			ret_slot->manager = (uint32_t)seen;
			return;
		}
	}
}

bool topic_is_same(const struct topic *topic, const struct topic_slot *slot)
{
	return atomic_load_explicit(slot_at(topic, slot->position), ORDER) == slot->seen;
}

bool topic_put(const struct topic *topic, const struct topic_slot *slot, uint32_t manager)
{
	uint64_t seen = slot->seen;

	/* Before the slot: whoever finds it there knows where it is. Only we may write it: our bit. */
	atomic_store_explicit(&segment_manager(topic->segment, manager)->position,
			      (uint32_t)slot->position, ORDER);
	if (!atomic_compare_exchange_strong_explicit(
		    slot_at(topic, slot->position), &seen,
		    slot_make((uint32_t)slot->position, manager), ORDER, ORDER))
		return false;
	advance(topic, slot->position);
	/* The one before it is the newest no more. */
	if (topic->yields && history_is_dry(topic->segment))
		history_move(topic->segment);
	return true;
}

/* A turn of a look. Inline, as each call of next goes through it. */
static inline __attribute__((always_inline)) int
look_once(const struct topic *topic, uint64_t *cursor, uint64_t *n_missed,
	  struct topic_slot *ret_slot, uint64_t *ret_tail)
{
	uint64_t tail = atomic_load_explicit(&topic->ring->tail, ORDER);
	uint64_t seen;
	int32_t ahead;

	if ((int64_t)(tail - *cursor) > (int64_t)topic->capacity)
		topic_skip_to(cursor, n_missed, tail - topic->capacity);
	seen = atomic_load_explicit(slot_at(topic, *cursor), ORDER);
	ahead = (int32_t)(slot_sequence(seen) - (uint32_t)*cursor);
	if (ahead < 0)
		return -EAGAIN;
	if (ahead > 0 || (uint32_t)seen == TOPIC_NO_MANAGER) {
		/*
		 * A later round stands here, and the tail has come at least so far: from there the
		 * rest is skipped above. If not, a hostile client wrote there. Or it is drained.
		 */
		if (ahead > 0 && (int64_t)(atomic_load_explicit(&topic->ring->tail, ORDER) -
					   *cursor) <= 0)
			return -EAGAIN;
		topic_skip_to(cursor, n_missed, *cursor + 1);
		return -EBUSY;
	}
	ret_slot->position = *cursor;
	ret_slot->seen = seen;
	ret_slot->manager = (uint32_t)seen;
	*ret_tail = tail;
	return 0;
}

int topic_look_once(const struct topic *topic, uint64_t *cursor, uint64_t *n_missed,
		    struct topic_slot *ret_slot, uint64_t *ret_tail)
{
	return look_once(topic, cursor, n_missed, ret_slot, ret_tail);
}

int topic_look(const struct topic *topic, uint64_t *cursor, uint64_t *n_missed,
	       struct topic_slot *ret_slot)
{
	uint64_t tail;
	int r;

	/* Each turn but the last moves the cursor on; a round at most, if the tail stands. */
	do
		r = look_once(topic, cursor, n_missed, ret_slot, &tail);
	while (r == -EBUSY);
	return r;
}

uint64_t topic_newest(const struct topic *topic)
{
	uint64_t tail = atomic_load_explicit(&topic->ring->tail, ORDER);

	/* Filled already, and the tail stands back: its publisher was stopped, or killed. */
	if (slot_sequence(atomic_load_explicit(slot_at(topic, tail), ORDER)) == (uint32_t)tail)
		tail++;
	return tail;
}

uint64_t topic_oldest(const struct topic *topic)
{
	uint64_t newest = topic_newest(topic);

	return newest > topic->capacity ? newest - topic->capacity : 0;
}

bool topic_holds(const struct topic *topic, uint32_t position, uint32_t manager)
{
	return atomic_load_explicit(slot_at(topic, position), ORDER) ==
	       slot_make(position, manager);
}

bool topic_is_newest(const struct topic *topic, uint32_t position)
{
	return (uint32_t)topic_newest(topic) == position + 1;
}

uint32_t topic_behind(const struct topic *topic, uint32_t position)
{
	return (uint32_t)atomic_load_explicit(&topic->ring->tail, ORDER) - position;
}

bool topic_find(const struct topic *topic, uint32_t position, uint32_t manager,
		struct topic_slot *ret_slot)
{
	*ret_slot = (struct topic_slot){
		.position = position,
		.seen = slot_make(position, manager),
		.manager = manager,
	};
	return topic_is_same(topic, ret_slot);
}

bool topic_yield(const struct topic *topic, const struct topic_slot *slot)
{
	uint64_t seen = slot->seen;

	if (!atomic_compare_exchange_strong_explicit(
		    slot_at(topic, slot->position), &seen,
		    slot_make(slot_sequence(seen), TOPIC_NO_MANAGER), ORDER, ORDER))
		return false;
	/* Relaxed: a figure for people. */
	atomic_fetch_add_explicit(&topic->ring->n_yielded, 1, memory_order_relaxed);
	return true;
}

uint64_t topic_count(const struct topic *topic, uint64_t first, uint64_t end)
{
	uint64_t n = 0;

	/* Relaxed: a count, of what may move while it is counted. */
	for (uint64_t i = first; i < end; i++)
		n += (uint32_t)atomic_load_explicit(&topic->slots[i], memory_order_relaxed) !=
		     TOPIC_NO_MANAGER;
	return n;
}

uint64_t topic_begin(const struct topic *topic)
{
	return topic_newest(topic) - topic->capacity;
}

uint32_t topic_peek(const struct topic *topic, uint64_t position)
{
	uint32_t manager = (uint32_t)atomic_load_explicit(slot_at(topic, position), ORDER);

	return manager < topic->segment->pools[topic->segment->n_pools].n_chunks
		       ? manager : TOPIC_NO_MANAGER;
}

void topic_unused(const struct topic *topic, uint64_t position, struct topic_slot *ret_slot)
{
	*ret_slot = (struct topic_slot){
		.position = position,
		.seen = slot_make((uint32_t)(position - topic->capacity), TOPIC_NO_MANAGER),
		.manager = TOPIC_NO_MANAGER,
	};
}

uint32_t topic_empty(const struct topic *topic, uint64_t index)
{
	uint32_t n_managers = topic->segment->pools[topic->segment->n_pools].n_chunks;
	uint64_t seen = atomic_load_explicit(&topic->slots[index], ORDER);
	uint32_t manager = (uint32_t)seen;

	if (manager >= n_managers ||
	    !atomic_compare_exchange_strong_explicit(
		    &topic->slots[index], &seen,
		    slot_make(slot_sequence(seen), TOPIC_NO_MANAGER), ORDER, ORDER))
		return TOPIC_NO_MANAGER;
	return manager;
}
