/* SPDX-License-Identifier: MIT */
#include "queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "role.h"
#include "stamp.h"

/* See queue.h: one order of all steps. */
#define ORDER memory_order_seq_cst

/*
 * Q1 (release) pairs with Q2 (acquire) of another thread that uses the view: what was true of
 * the ring when the place was stored is so for who reads it. Relaxed, a slot could be read
 * from before the head that was seen, taken for one that somebody has sent to, and be skipped.
 */
#define PLACE_STORE memory_order_release	/* Q1 */
#define PLACE_LOAD memory_order_acquire		/* Q2 */

/*
 * By one that is alone at its end of the queue. All its accesses are its own, but those that the other side
 * reads:
 *
 *	T2	slot := handle		release: with the word, which says SENT by then
 *	T3	the slot is read	acquire: what came before T2; of many senders, before their swap
 *	T5	slot := EMPTY		release: with the word, which says OWNED by then, to the reaper's walk
 *	T6	head := next		release: a sender that has seen it (T7) may fill the slot
 *	T7	the head is read	acquire
 *
 * E5: T2 and T6 come before the look whether somebody sleeps. Who sleeps issues a membarrier (E6); where
 * that does not reach us, they are seq_cst, and so are the loads of who looks behind the arming: these
 * cost what an acquire costs.
 */
#define SENT_STORE memory_order_release		/* T2 */
#define SENT_LOAD memory_order_seq_cst		/* T3 */
#define EMPTY_STORE memory_order_release	/* T5 */
#define HEAD_STORE memory_order_release		/* T6 */
#define HEAD_LOAD memory_order_seq_cst		/* T7 */

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

int queue_view_any(struct queue *queue, const struct segment *segment, uint32_t ring)
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
		.line_mask = (QUEUE_LINE < segment->config.rings[ring].capacity ?
			      QUEUE_LINE : segment->config.rings[ring].capacity) - 1,
		.shift = (uint32_t)__builtin_ctzll(segment->config.rings[ring].capacity),
		.id = ring + 1,
		.slot_bytes = segment->config.rings[ring].slot_bytes,
		.stride = config_slot_stride(&segment->config.rings[ring]) / sizeof(uint64_t),
		.has_stamps = segment->config.rings[ring].flags & MEMPOOL_RING_STAMPS,
		.has_one_sender = role_is_of(&segment->config.rings[ring], MEMPOOL_END_SENDER),
		.has_one_receiver = role_is_of(&segment->config.rings[ring], MEMPOOL_END_RECEIVER),
	};
	return 0;
}

int queue_view(struct queue *queue, const struct segment *segment, uint32_t ring)
{
	int r = queue_view_any(queue, segment, ring);

	return r == 0 && queue->slot_bytes > 0 ? -ENOENT : r;
}

/* Source: bench, one way on two CPUs; 4 and 8 are alike, 12 is too far for a short queue. */
#define QUEUE_AHEAD 4

static _Atomic uint64_t *slot_at(const struct queue *queue, uint64_t position)
{
	return &queue->slots[position & queue->mask];
}

/* What stands at a position before it is sent to, and when its message is gone. */
static uint64_t empty_before(const struct queue *queue, uint64_t position)
{
	return slot_empty(position >> queue->shift);
}

static uint64_t empty_after(const struct queue *queue, uint64_t position)
{
	return slot_empty((position >> queue->shift) + 1);
}

static bool is_before(uint64_t position, uint64_t other)
{
	return (int64_t)(position - other) < 0;
}

/* Move an end on, unless somebody has moved it there or further. */
static void advance(_Atomic uint64_t *end, uint64_t to)
{
	uint64_t seen = atomic_load_explicit(end, ORDER);

	/* Ends: each failure is somebody who moved it on. */
	while (is_before(seen, to) &&
	       !atomic_compare_exchange_weak_explicit(end, &seen, to, ORDER, ORDER))
		;
}

/* The entry of a handle, or NULL: it is none. */
static struct mempool_entry *entry_of(const struct queue *queue, uint64_t handle)
{
	const struct segment *segment = queue->segment;
	uint32_t pool = handle_pool(handle);

	if (pool >= segment->n_pools || handle_index(handle) >= segment->pools[pool].n_chunks)
		return NULL;
	return &segment->pools[pool].entries[handle_index(handle)];
}

/* What the handle in a slot was sent as is received, or it is no handle at all. */
static bool is_stale(const struct queue *queue, uint64_t handle, _Atomic uint64_t **ret_word,
		     uint64_t *ret_seen)
{
	struct mempool_entry *entry = entry_of(queue, handle);

	if (!entry)
		return true;
	*ret_word = &entry->word;
	*ret_seen = atomic_load_explicit(&entry->word, ORDER);
	return word_kind(*ret_seen) != MEMPOOL_SENT ||
	       word_sent_queue(*ret_seen) != queue->id ||
	       word_generation(*ret_seen) != handle_generation(handle);
}

static bool is_received(const struct queue *queue, uint64_t slot)
{
	_Atomic uint64_t *word;
	uint64_t seen;

	return is_stale(queue, slot, &word, &seen);
}

/*
 * Empty the slots from the head on whose messages are gone, and move the head past them: those
 * before known, which the caller knows to be received, and of the line behind the head also
 * those that turn out to be. Several may do it at once, and each does it for all.
 * Return: false: somebody has moved the head meanwhile; what is left begins there.
 */
static bool tidy(const struct queue *queue, uint64_t known)
{
	uint64_t head = atomic_load_explicit(&queue->ring->head, ORDER);
	uint64_t at = head;

	/* It has come so far; or it is more than a round away, as somebody wrote who may not. */
	if (known - head > queue->mask + 1)
		known = head;
	/* Ends: at known, or a line behind the head. */
	for (; at - head <= queue->line_mask || is_before(at, known); at++) {
		uint64_t slot = atomic_load_explicit(slot_at(queue, at), ORDER);

		/* After the slot: else it may be of a later round, and its message waiting. */
		if (atomic_load_explicit(&queue->ring->head, ORDER) != head)
			return false;
		if (slot == empty_after(queue, at))
			continue;
		if (slot_is_empty(slot) || (!is_before(at, known) && !is_received(queue, slot)))
			break;
		/* A swap: who was faster may have made room for the next round. */
		atomic_compare_exchange_strong_explicit(slot_at(queue, at), &slot,
							empty_after(queue, at), ORDER, ORDER);
	}
	/* From where it stood: a step back would be somebody's who writes what he likes. */
	return at == head || atomic_compare_exchange_strong_explicit(&queue->ring->head, &head, at,
								     ORDER, ORDER);
}

/*
 * Until the head is there: who starts from this place relies on it. Each failure is somebody
 * who has moved it on, which can be no more than a round; or who writes what he likes, and
 * then the place is given up with the next look at the head.
 */
static void bring_head(const struct queue *queue, uint64_t to)
{
	for (uint64_t n = 0; n <= queue->mask && !tidy(queue, to); n++)
		;
}

/*
 * All from the head to before end was sent, and that leaves too little room: unless the first message
 * is received already and its slot only waits to be emptied.
 * Return: 0 look again, the head has moved; -EAGAIN no room; -EBADMSG.
 */
static int make_room(const struct queue *queue, uint64_t head, uint64_t end)
{
	uint64_t first;

	/* The head is its receiver's, and there is room when that has moved it. */
	if (queue->has_one_receiver)
		return end - head <= queue->mask + 1 ? -EAGAIN : -EBADMSG;
	first = atomic_load_explicit(slot_at(queue, head), ORDER);
	if (atomic_load_explicit(&queue->ring->head, ORDER) != head)
		return 0;
	if (end - head > queue->mask + 1)
		return -EBADMSG;
	if (slot_is_empty(first)) {
		if (first != empty_after(queue, head))
			return -EBADMSG;
	} else if (!is_received(queue, first)) {
		return -EAGAIN;
	}
	tidy(queue, head);
	return 0;
}

int queue_push(struct queue *queue, uint64_t handle)
{
	struct mempool_ring *ring = queue->ring;
	uint64_t at = atomic_load_explicit(&ring->tail, ORDER);
	uint64_t head = atomic_load_explicit(&queue->head_seen, PLACE_LOAD);
	uint64_t mine = atomic_load_explicit(&queue->sent_to, PLACE_LOAD);

	if (is_before(at, mine))
		at = mine;
	/* Lock-free: each turn follows somebody's progress, or makes it for him. */
	for (;;) {
		uint64_t empty, slot;

		/* Only an old head can make a ring look full that is not. */
		if (at - head > queue->mask) {
			head = atomic_load_explicit(&ring->head, ORDER);
			if (is_before(at, head))
				at = head;
			atomic_store_explicit(&queue->head_seen, head, PLACE_STORE);
		}
		if (at - head > queue->mask) {
			int r = make_room(queue, head, at);

			/* Led astray: begin at the tail again. */
			if (r == -EBADMSG)
				atomic_store_explicit(&queue->sent_to, 0, PLACE_STORE);
			if (r < 0)
				return r;
			continue;
		}

		/* After the head: what stands there is not of the round before. */
		empty = empty_before(queue, at);
		slot = atomic_load_explicit(slot_at(queue, at), ORDER);
		if (slot == empty &&
		    atomic_compare_exchange_strong_explicit(slot_at(queue, at), &slot, handle,
							    ORDER, ORDER))
			break;
		/* Somebody has sent here. */
		at++;
	}
	at++;
	atomic_store_explicit(&queue->sent_to, at, PLACE_STORE);
	if ((at & queue->line_mask) == 0)
		advance(&ring->tail, at);
	return 0;
}

/*
 * The tail may lag by the last message of one that was killed. The head before the slots: what is not
 * EMPTY for its round was sent.
 */
void queue_begin_sending(struct queue *queue)
{
	uint64_t head = atomic_load_explicit(&queue->ring->head, ORDER);
	uint64_t at = atomic_load_explicit(&queue->ring->tail, ORDER);

	if (is_before(at, head))
		at = head;
	while (at - head <= queue->mask &&
	       atomic_load_explicit(slot_at(queue, at), ORDER) != empty_before(queue, at))
		at++;
	atomic_store_explicit(&queue->sent_to, at, memory_order_relaxed);
	atomic_store_explicit(&queue->head_seen, head, memory_order_relaxed);
}

void queue_begin_receiving(struct queue *queue)
{
	atomic_store_explicit(&queue->received_to, atomic_load_explicit(&queue->ring->head, ORDER),
			      memory_order_relaxed);
}

/* Whether n more fit behind the place where all was sent. n: 1 to the capacity. */
static inline bool have_room(const struct queue *queue, uint64_t at, uint64_t head, uint64_t n)
{
	return at - head <= queue->mask + 1 - n;
}

/* The head as it was seen last leaves no room for n. */
static __attribute__((noinline)) int look_for_room(struct queue *queue, uint64_t n)
{
	for (;;) {
		uint64_t head = atomic_load_explicit(&queue->ring->head, HEAD_LOAD);
		uint64_t at = atomic_load_explicit(&queue->sent_to, memory_order_relaxed);
		int r;

		atomic_store_explicit(&queue->head_seen, head, memory_order_relaxed);
		if (have_room(queue, at, head, n))
			return 0;
		/* Ends: 0 follows somebody who has moved the head. */
		r = make_room(queue, head, at);
		/* Led astray: begin where the ring says. */
		if (r == -EBADMSG)
			queue_begin_sending(queue);
		if (r < 0)
			return r;
	}
}

int queue_room_alone(struct queue *queue)
{
	uint64_t at = atomic_load_explicit(&queue->sent_to, memory_order_relaxed);
	uint64_t head = atomic_load_explicit(&queue->head_seen, memory_order_relaxed);

	return __builtin_expect(have_room(queue, at, head, 1), 1) ? 0 : look_for_room(queue, 1);
}

int queue_room_alone_for(struct queue *queue, uint64_t n)
{
	uint64_t at = atomic_load_explicit(&queue->sent_to, memory_order_relaxed);
	uint64_t head = atomic_load_explicit(&queue->head_seen, memory_order_relaxed);

	return have_room(queue, at, head, n) ? 0 : look_for_room(queue, n);
}

void queue_push_alone(struct queue *queue, uint64_t handle)
{
	uint64_t at = atomic_load_explicit(&queue->sent_to, memory_order_relaxed);

	queue_publish(queue, slot_at(queue, at), handle, SENT_STORE);
	at++;
	atomic_store_explicit(&queue->sent_to, at, memory_order_relaxed);
	/* T9 (release): behind the slot. Who sends next begins there; see queue_begin_sending(). */
	atomic_store_explicit(&queue->ring->tail, at, memory_order_release);
	/* E5 */
	atomic_signal_fence(memory_order_seq_cst);
}

/*
 * Lines that a receiver needs soon come from the sender's cache: ask for them all at once.
 * The entry for writing, as its word is swapped. A prefetch of anything never faults.
 */
static void prefetch(const struct queue *queue, uint64_t slot)
{
	struct mempool_entry *entry = entry_of(queue, slot);
	const unsigned char *chunk;

	if (!entry)
		return;
	chunk = pool_chunk(&queue->segment->pools[handle_pool(slot)], handle_index(slot));
	__builtin_prefetch(entry, 1);
	__builtin_prefetch(chunk);
	__builtin_prefetch(chunk + MEMPOOL_LINE_BYTES);
}

/* Move the word of a handle to OWNED(holder). false: somebody else has it. */
static inline __attribute__((always_inline)) bool
take(const struct queue *queue, uint64_t handle, uint32_t holder, uint64_t *ret_handle)
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

/* Whether what stands in a slot may be received, if it is a message still. */
static int ask(const struct queue *queue, uint64_t slot, queue_may_fn may, void *userdata)
{
	_Atomic uint64_t *word;
	uint64_t seen;

	return is_stale(queue, slot, &word, &seen)
		       ? 0 : may(userdata, &queue->segment->pools[handle_pool(slot)]);
}

static inline __attribute__((always_inline)) int
pop(struct queue *queue, uint32_t holder, queue_may_fn may, void *userdata, uint64_t *ret_handle)
{
	uint64_t at = atomic_load_explicit(&queue->received_to, PLACE_LOAD);
	int r = -EINPROGRESS;

	/* Lock-free, as queue_push(). */
	while (r == -EINPROGRESS) {
		uint64_t slot = atomic_load_explicit(slot_at(queue, at), ORDER);
		uint64_t head = atomic_load_explicit(&queue->ring->head, ORDER);

		/* After the slot: else it may be of a later round, and its message out of turn. */
		if (at - head > queue->mask) {
			at = head;
			continue;
		}
		if (slot == empty_before(queue, at)) {
			r = -EAGAIN;
		} else if (slot_is_empty(slot)) {
			if (slot != empty_after(queue, at))
				return -EBADMSG;
			at++;
		} else {
			int error = may ? ask(queue, slot, may, userdata) : 0;

			if (error < 0)
				return error;
			prefetch(queue, slot);
			/* Relaxed: only a place to fetch from. */
			prefetch(queue, atomic_load_explicit(slot_at(queue, at + QUEUE_AHEAD),
							     memory_order_relaxed));
			if (take(queue, slot, holder, ret_handle))
				r = 0;
			at++;
		}
		if ((at & queue->line_mask) == 0 && r != -EAGAIN)
			bring_head(queue, at);
	}
	atomic_store_explicit(&queue->received_to, at, PLACE_STORE);
	return r;
}

/* A slot whose message is taken, or that no queue leaves like that. */
static inline void pass(struct queue *queue, uint64_t at)
{
	atomic_store_explicit(slot_at(queue, at), empty_after(queue, at), EMPTY_STORE);
	queue_publish(queue, &queue->ring->head, at + 1, HEAD_STORE);
	atomic_store_explicit(&queue->received_to, at + 1, memory_order_relaxed);
	/* E5 */
	atomic_signal_fence(memory_order_seq_cst);
}

int queue_pop_alone(struct queue *queue, uint32_t holder, queue_may_fn may, void *userdata,
		    uint64_t *ret_handle)
{
	uint64_t at = atomic_load_explicit(&queue->received_to, memory_order_relaxed);

	for (int n = 0; n < QUEUE_PASSES; n++, at++) {
		uint64_t slot = atomic_load_explicit(slot_at(queue, at), SENT_LOAD);
		_Atomic uint64_t *word;
		uint64_t seen, taken;
		int r;

		if (slot == empty_before(queue, at))
			return -EAGAIN;
		if (slot_is_empty(slot) || is_stale(queue, slot, &word, &seen)) {
			pass(queue, at);
			queue->n_passed++;
			continue;
		}
		r = may ? may(userdata, &queue->segment->pools[handle_pool(slot)]) : 0;
		if (r < 0)
			return r;
		prefetch(queue, slot);
		/* Relaxed: only a place to fetch from. */
		prefetch(queue, atomic_load_explicit(slot_at(queue, at + QUEUE_AHEAD),
						     memory_order_relaxed));
		taken = word_taken(seen, holder);
		/* Relaxed: T5 publishes it to the reaper's walk. */
		atomic_store_explicit(word, taken, memory_order_relaxed);
		*ret_handle = handle_make(word_generation(taken), handle_pool(slot),
					  handle_index(slot));
		pass(queue, at);
		return 0;
	}
	return -EBADMSG;
}

int queue_pop(struct queue *queue, uint32_t holder, uint64_t *ret_handle)
{
	return pop(queue, holder, NULL, NULL, ret_handle);
}

int queue_pop_if(struct queue *queue, uint32_t holder, queue_may_fn may, void *userdata,
		 uint64_t *ret_handle)
{
	return pop(queue, holder, may, userdata, ret_handle);
}

bool queue_help(const struct queue *queue)
{
	uint64_t head = atomic_load_explicit(&queue->ring->head, ORDER);

	tidy(queue, head);
	return atomic_load_explicit(&queue->ring->head, ORDER) != head;
}

/* A message is taken before its slot is emptied, and that before the head moves: one place at most. */
void queue_pass(const struct queue *queue)
{
	uint64_t head = atomic_load_explicit(&queue->ring->head, ORDER);
	uint64_t slot = atomic_load_explicit(slot_at(queue, head), ORDER);

	if (slot != empty_after(queue, head)) {
		if (slot_is_empty(slot) || !is_received(queue, slot))
			return;
		atomic_compare_exchange_strong_explicit(slot_at(queue, head), &slot,
							empty_after(queue, head), ORDER, ORDER);
	}
	atomic_compare_exchange_strong_explicit(&queue->ring->head, &head, head + 1, ORDER, ORDER);
}

bool queue_is_whole(const struct queue *queue)
{
	uint64_t head = atomic_load_explicit(&queue->ring->head, ORDER);
	bool is_past_last = false;

	for (uint64_t at = head; at - head <= queue->mask; at++) {
		uint64_t slot = atomic_load_explicit(slot_at(queue, at), ORDER);

		if (slot == empty_before(queue, at))
			is_past_last = true;
		else if (is_past_last || slot_is_empty(slot) || is_received(queue, slot))
			return false;
	}
	return true;
}

bool queue_message_at(const struct queue *queue, uint64_t slot, _Atomic uint64_t **ret_word,
		      uint64_t *ret_seen)
{
	uint64_t seen = atomic_load_explicit(&queue->slots[slot], ORDER);

	return !slot_is_empty(seen) && !is_stale(queue, seen, ret_word, ret_seen);
}

/* Return: false: the budget is used up. */
static bool tally_slots(struct queue_tally *tally, const struct queue *queue,
			struct budget *budget)
{
	bool goes_on = true;

	while (goes_on && tally->n_slots <= queue->mask) {
		uint64_t slot = atomic_load_explicit(&queue->slots[tally->n_slots],
						     memory_order_relaxed);

		tally->n_messages += !slot_is_empty(slot) && !is_received(queue, slot);
		tally->n_slots++;
		goes_on = budget_pay(budget, 2);
	}
	return goes_on;
}

uint64_t queue_head(const struct queue *queue)
{
	return atomic_load_explicit(&queue->ring->head, ORDER);
}

uint64_t queue_peek(const struct queue *queue, uint64_t position, bool *ret_is_damaged)
{
	uint64_t slot = atomic_load_explicit(slot_at(queue, position), ORDER);

	*ret_is_damaged = !slot_is_empty(slot) && !entry_of(queue, slot);
	return slot_is_empty(slot) || is_received(queue, slot) ? 0 : slot;
}

bool queue_has(const struct queue *queue, uint64_t handle)
{
	for (uint64_t i = 0; i <= queue->mask; i++)
		if (atomic_load_explicit(&queue->slots[i], ORDER) == handle)
			return true;
	return false;
}

bool queue_drop(const struct queue *queue, uint64_t handle)
{
	const struct pool *pool;
	_Atomic uint64_t *word;
	uint64_t seen;

	if (is_stale(queue, handle, &word, &seen))
		return false;
	pool = &queue->segment->pools[handle_pool(handle)];
	stamp_void(pool, handle_index(handle));
	/* As the reaper frees one; a failure is a hostile client. */
	if (!atomic_compare_exchange_strong_explicit(word, &seen, word_freed(seen), ORDER, ORDER))
		return false;
	pool_hint(pool, handle_index(handle));
	return true;
}

/* Of a message that waits in a slot; 0: nobody knows, or it has been received meanwhile. */
static uint64_t sent_ns_of(const struct queue *queue, uint64_t slot)
{
	uint64_t sent_ns;

	if (!queue->has_stamps)
		return 0;
	sent_ns = stamp_sent_ns(&queue->segment->pools[handle_pool(slot)], handle_index(slot));
	/* After the stamp, as it may be that of a later message in the chunk. */
	return is_received(queue, slot) ? 0 : sent_ns;
}

/* From the head to the tail. */
static void tally_steps(struct queue_tally *tally, const struct queue *queue,
			struct budget *budget)
{
	bool goes_on = true;

	if (tally->n_steps == 0)
		tally->at = tally->head = atomic_load_explicit(&queue->ring->head, ORDER);
	while (goes_on) {
		uint64_t at = tally->at, slot;

		/* Bounded, whoever moves the head meanwhile: a round of jumps, and one of steps. */
		if (tally->n_steps > 2 * queue->mask + 1 || at - tally->head > queue->mask) {
			tally->is_over = true;
			break;
		}
		tally->n_steps++;
		goes_on = budget_pay(budget, 2);
		slot = atomic_load_explicit(slot_at(queue, at), ORDER);
		/* After the slot, as in tidy(). */
		tally->head = atomic_load_explicit(&queue->ring->head, ORDER);
		if (is_before(at, tally->head)) {
			tally->at = tally->head;
			continue;
		}
		if (slot == empty_before(queue, at)) {
			tally->is_over = true;
			break;
		}
		if (!tally->is_waiting && !slot_is_empty(slot) && !is_received(queue, slot)) {
			tally->is_waiting = true;
			tally->n_received = at;
			tally->sent_ns = sent_ns_of(queue, slot);
		}
		tally->at++;
	}
	tally->n_sent = tally->at;
	if (!tally->is_waiting)
		tally->n_received = tally->at;
}

void queue_tally_go_on(struct queue_tally *tally, const struct queue *queue,
		       struct budget *budget)
{
	if (tally_slots(tally, queue, budget) && !tally->is_over)
		tally_steps(tally, queue, budget);
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
