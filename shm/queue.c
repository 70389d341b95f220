/* SPDX-License-Identifier: MIT */
#include "queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* See queue.h: one order of all steps. */
#define ORDER memory_order_seq_cst

/* EMPTY(round): pool 63, which is no pool; the round fills the 58 other bits. */
static uint64_t slot_empty(uint64_t round)
{
	return (round >> 26) << 32 | handle_chunk(MEMPOOL_POOL_NONE,
						  round & (MEMPOOL_MAX_CHUNKS_PER_POOL - 1));
}

static bool slot_is_empty(uint64_t slot)
{
	return handle_pool(slot) == MEMPOOL_POOL_NONE;
}

void queue_layout(_Atomic uint64_t *slots, uint64_t capacity)
{
	/* Relaxed: published with the segment. */
	for (uint64_t i = 0; i < capacity; i++)
		atomic_store_explicit(&slots[i], slot_empty(0), memory_order_relaxed);
}

int queue_find(const struct segment *segment, const char *name, enum mempool_ring_kind kind)
{
	const struct config *config = &segment->config;

	for (size_t i = 0; i < config->n_rings; i++)
		if (config->rings[i].kind == kind && strcmp(config->rings[i].name, name) == 0)
			return (int)i;
	return -ENOENT;
}

int queue_view(struct queue *queue, const struct segment *segment, uint32_t ring)
{
	if (ring >= segment->config.n_rings)
		return -EINVAL;
	if (segment->config.rings[ring].kind != MEMPOOL_RING_QUEUE)
		return -ENOENT;
	*queue = (struct queue){
		.segment = segment,
		.ring = &segment->rings[ring],
		.slots = (void *)((unsigned char *)segment->header +
				  segment->ring_places[ring].slots_off),
		.mask = segment->config.rings[ring].capacity - 1,
		.shift = (uint32_t)__builtin_ctzll(segment->config.rings[ring].capacity),
		.id = ring + 1,
	};
	return 0;
}

static _Atomic uint64_t *slot_at(const struct queue *queue, uint64_t position)
{
	return &queue->slots[position & queue->mask];
}

static void advance(_Atomic uint64_t *end, uint64_t from)
{
	/* A failure is somebody who did it for us. */
	atomic_compare_exchange_strong_explicit(end, &from, from + 1, ORDER, ORDER);
}

/* What the handle in a slot was sent as is received, or it is no handle at all. */
static bool is_stale(const struct queue *queue, uint64_t handle, _Atomic uint64_t **ret_word,
		     uint64_t *ret_seen)
{
	const struct segment *segment = queue->segment;
	uint32_t pool = handle_pool(handle);

	if (pool >= segment->n_pools || handle_index(handle) >= segment->pools[pool].n_chunks)
		return true;
	*ret_word = &segment->pools[pool].entries[handle_index(handle)].word;
	*ret_seen = atomic_load_explicit(*ret_word, ORDER);
	return word_kind(*ret_seen) != MEMPOOL_SENT ||
	       word_sent_queue(*ret_seen) != queue->id ||
	       word_generation(*ret_seen) != handle_generation(handle);
}

/* Finish for who received at this position: slot handle -> EMPTY of the next round, head on. */
static void finish(const struct queue *queue, uint64_t head, uint64_t handle)
{
	atomic_compare_exchange_strong_explicit(slot_at(queue, head), &handle,
						slot_empty((head >> queue->shift) + 1), ORDER,
						ORDER);
	advance(&queue->ring->head, head);
}

/*
 * Every slot between head and tail was taken when we looked: -EAGAIN. Unless the first one was
 * received by somebody who stopped half-way: then finish for him, and 0: look again.
 */
static int make_room(const struct queue *queue, uint64_t head)
{
	uint64_t first = atomic_load_explicit(slot_at(queue, head), ORDER);
	_Atomic uint64_t *word;
	uint64_t seen;

	if (atomic_load_explicit(&queue->ring->head, ORDER) != head)
		return 0;
	if (!slot_is_empty(first)) {
		if (!is_stale(queue, first, &word, &seen))
			return -EAGAIN;
		finish(queue, head, first);
		return 0;
	}
	/* The tail has come past it, so it was filled: it is of no other round than the next. */
	if (first != slot_empty((head >> queue->shift) + 1))
		return -EBADMSG;
	advance(&queue->ring->head, head);
	return 0;
}

/*
 * The slot at the tail is not empty for this round, though there is room: it is filled already,
 * and perhaps received, and only the tail stands back. 0: look again.
 */
static int help_tail(const struct queue *queue, uint64_t tail, uint64_t head, uint64_t slot)
{
	bool is_sound = (int64_t)(tail - head) >= -1 &&
			(!slot_is_empty(slot) ||
			 slot == slot_empty((tail >> queue->shift) + 1));

	/* Three looks at three times say nothing, unless the tail stood still meanwhile. */
	if (!is_sound)
		return atomic_load_explicit(&queue->ring->tail, ORDER) == tail ? -EBADMSG : 0;
	advance(&queue->ring->tail, tail);
	return 0;
}

int queue_push(const struct queue *queue, uint64_t handle)
{
	struct mempool_ring *ring = queue->ring;
	int r = 0;

	/* Lock-free: each turn follows somebody's progress, or makes it for him. */
	while (r == 0) {
		/* In this order: the head may be old, the slot must not be older than the head. */
		uint64_t tail = atomic_load_explicit(&ring->tail, ORDER);
		uint64_t head = atomic_load_explicit(&ring->head, ORDER);
		uint64_t slot = atomic_load_explicit(slot_at(queue, tail), ORDER);

		if ((int64_t)(tail - head) > (int64_t)queue->mask) {
			r = make_room(queue, head);
		} else if (slot != slot_empty(tail >> queue->shift)) {
			r = help_tail(queue, tail, head, slot);
		} else if (atomic_compare_exchange_strong_explicit(slot_at(queue, tail), &slot,
								   handle, ORDER, ORDER)) {
			advance(&ring->tail, tail);
			return 0;
		}
	}
	return r;
}

/* Move the word of a handle to OWNED(holder). false: somebody else has it. */
static bool take(const struct queue *queue, uint64_t handle, uint32_t holder,
		 uint64_t *ret_handle)
{
	_Atomic uint64_t *word;
	uint64_t seen, taken;

	/* A failed swap may be the reaper, who took a dead sender's name out: look again. */
	do {
		if (is_stale(queue, handle, &word, &seen))
			return false;
		taken = word_taken(seen, holder);
		/* G2 (acquire, within seq_cst) pairs with G1 of the sender. */
	} while (!atomic_compare_exchange_strong_explicit(word, &seen, taken, ORDER, ORDER));
	*ret_handle = handle_make(word_generation(taken), handle_pool(handle),
				  handle_index(handle));
	return true;
}

int queue_pop(const struct queue *queue, uint32_t holder, uint64_t *ret_handle)
{
	struct mempool_ring *ring = queue->ring;

	/* Lock-free, as queue_push(). */
	for (;;) {
		uint64_t head = atomic_load_explicit(&ring->head, ORDER);
		uint64_t slot = atomic_load_explicit(slot_at(queue, head), ORDER);
		bool is_ours;

		/* Else the slot may be of a later round, and its message out of turn. */
		if (atomic_load_explicit(&ring->head, ORDER) != head)
			continue;
		if (slot_is_empty(slot)) {
			if (slot == slot_empty(head >> queue->shift))
				return -EAGAIN;
			if (slot != slot_empty((head >> queue->shift) + 1))
				return -EBADMSG;
			/* Emptied by who received it; only the head stands back. */
			advance(&ring->head, head);
			continue;
		}
		is_ours = take(queue, slot, holder, ret_handle);
		finish(queue, head, slot);
		if (is_ours)
			return 0;
	}
}

void queue_help(const struct queue *queue)
{
	struct mempool_ring *ring = queue->ring;
	_Atomic uint64_t *word;
	uint64_t seen;

	/* Bounded, since a hostile client may keep it going: a round is all that can lag. */
	for (uint64_t i = 0; i <= queue->mask; i++) {
		uint64_t head = atomic_load_explicit(&ring->head, ORDER);
		uint64_t slot = atomic_load_explicit(slot_at(queue, head), ORDER);

		/* As in queue_pop(): else it would be emptied for a round that is over. */
		if (atomic_load_explicit(&ring->head, ORDER) != head)
			continue;
		if (slot == slot_empty(head >> queue->shift))
			return;
		if (slot_is_empty(slot))
			advance(&ring->head, head);
		else if (is_stale(queue, slot, &word, &seen))
			finish(queue, head, slot);
		else
			return;
	}
}

uint64_t queue_length(const struct queue *queue)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i <= queue->mask; i++)
		n += !slot_is_empty(atomic_load_explicit(&queue->slots[i],
							 memory_order_relaxed));
	return n;
}

static int compare_handles(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

static int snapshot_make(struct queue_snapshot *snapshot, const struct queue *queue)
{
	snapshot->handles = malloc((queue->mask + 1) * sizeof(*snapshot->handles));
	if (!snapshot->handles)
		return -ENOMEM;
	for (uint64_t i = 0; i <= queue->mask; i++) {
		uint64_t slot = atomic_load_explicit(&queue->slots[i], ORDER);

		if (!slot_is_empty(slot))
			snapshot->handles[snapshot->n++] = slot;
	}
	qsort(snapshot->handles, snapshot->n, sizeof(*snapshot->handles), compare_handles);
	return 0;
}

int queue_snapshots_init(struct queue_snapshots *snapshots, const struct segment *segment)
{
	*snapshots = (struct queue_snapshots){ .segment = segment };
	if (segment->config.n_rings == 0)
		return 0;
	snapshots->of = calloc(segment->config.n_rings, sizeof(*snapshots->of));
	return snapshots->of ? 0 : -ENOMEM;
}

void queue_snapshots_deinit(struct queue_snapshots *snapshots)
{
	for (size_t i = 0; snapshots->of && i < snapshots->segment->config.n_rings; i++)
		free(snapshots->of[i].handles);
	free(snapshots->of);
	snapshots->of = NULL;
}

int queue_snapshots_has(struct queue_snapshots *snapshots, uint32_t id, uint64_t handle)
{
	struct queue_snapshot *snapshot;
	struct queue queue;

	if (id == 0 || queue_view(&queue, snapshots->segment, id - 1) < 0)
		return -EINVAL;
	snapshot = &snapshots->of[id - 1];
	if (!snapshot->handles && snapshot_make(snapshot, &queue) < 0)
		return -ENOMEM;
	return snapshot->n > 0 && bsearch(&handle, snapshot->handles, snapshot->n,
					  sizeof(handle), compare_handles) != NULL;
}
