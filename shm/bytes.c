/* SPDX-License-Identifier: MIT */
#include "bytes.h"

#include <errno.h>
#include <string.h>

#define ORDER memory_order_seq_cst

/* See bytes.h. Loads are seq_cst as T3 and T7 are: they may be the second look of one that is about to sleep. */
#define FULL_STORE memory_order_release		/* U2 */
#define FULL_LOAD memory_order_seq_cst		/* U3 */
#define HEAD_STORE memory_order_release		/* U4 */
#define HEAD_LOAD memory_order_seq_cst		/* U5 */

/* An empty message of that position's round; the length comes on top of it. */
static inline uint64_t full(const struct queue *queue, uint64_t position)
{
	return ((position >> queue->shift) + 1) << BYTES_LENGTH_BITS;
}

static inline _Atomic uint64_t *word_at(const struct queue *queue, uint64_t position)
{
	return &queue->slots[(position & queue->mask) * queue->stride];
}

static inline bool is_before(uint64_t position, uint64_t other)
{
	return (int64_t)(position - other) < 0;
}

/* Up to so much is copied word by word, here: to call somebody costs as much. */
#define COPY_HERE 128

static inline void copy_piece(unsigned char **to, const unsigned char **from, size_t n)
{
	memcpy(*to, *from, n);
	*to += n;
	*from += n;
}

static inline void copy(void *to, const void *from, size_t length)
{
	unsigned char *t = to;
	const unsigned char *f = from;

	if (length > COPY_HERE) {
		memcpy(to, from, length);
		return;
	}
	for (size_t n = length / sizeof(uint64_t); n > 0; n--)
		copy_piece(&t, &f, sizeof(uint64_t));
	if (length & 4)
		copy_piece(&t, &f, 4);
	if (length & 2)
		copy_piece(&t, &f, 2);
	if (length & 1)
		copy_piece(&t, &f, 1);
}

static bool is_sent(const struct queue *queue, uint64_t position, memory_order order)
{
	uint64_t word = atomic_load_explicit(word_at(queue, position), order);

	return word - full(queue, position) <= queue->slot_bytes;
}

void bytes_layout(void *slots, const struct config_ring *ring)
{
	const uint32_t stride = config_slot_stride(ring) / sizeof(uint64_t);
	_Atomic uint64_t *words = slots;

	/* Relaxed: published with the segment. */
	for (uint64_t i = 0; i < ring->capacity; i++)
		atomic_store_explicit(&words[i * stride], 0, memory_order_relaxed);
}

/* The tail may lag by the last message of one that was killed. The head before the slots. */
void bytes_begin_sending(struct queue *queue)
{
	uint64_t head = atomic_load_explicit(&queue->ring->head, ORDER);
	uint64_t at = atomic_load_explicit(&queue->ring->tail, ORDER);

	if (is_before(at, head))
		at = head;
	if (at - head <= queue->mask && is_sent(queue, at, ORDER))
		at++;
	atomic_store_explicit(&queue->sent_to, at, memory_order_relaxed);
	atomic_store_explicit(&queue->head_seen, head, memory_order_relaxed);
}

/* The head as it was seen last leaves no room. */
static __attribute__((noinline)) int look_for_room(struct queue *queue, uint64_t at)
{
	uint64_t head = atomic_load_explicit(&queue->ring->head, HEAD_LOAD);

	atomic_store_explicit(&queue->head_seen, head, memory_order_relaxed);
	if (at - head <= queue->mask)
		return 0;
	if (at - head == queue->mask + 1)
		return -EAGAIN;
	/* Led astray: the next call begins where the ring says. */
	bytes_begin_sending(queue);
	return -EBADMSG;
}

int bytes_send(struct queue *queue, const void *bytes, size_t length)
{
	uint64_t at = atomic_load_explicit(&queue->sent_to, memory_order_relaxed);
	_Atomic uint64_t *word = word_at(queue, at);

	if (__builtin_expect(at - atomic_load_explicit(&queue->head_seen, memory_order_relaxed) >
			     queue->mask, 0)) {
		int r = look_for_room(queue, at);

		if (r < 0)
			return r;
	}
	copy((void *)(word + 1), bytes, length);
	queue_publish(queue, word, full(queue, at) + length, FULL_STORE);
	at++;
	atomic_store_explicit(&queue->sent_to, at, memory_order_relaxed);
	/* T9 (release): behind the word. Who sends next begins there. */
	atomic_store_explicit(&queue->ring->tail, at, memory_order_release);
	/* E5 */
	atomic_signal_fence(memory_order_seq_cst);
	return 0;
}

/* The first message is received, or is none. */
static inline void pass(struct queue *queue, uint64_t at)
{
	queue_publish(queue, &queue->ring->head, at + 1, HEAD_STORE);
	atomic_store_explicit(&queue->received_to, at + 1, memory_order_relaxed);
	/* E5 */
	atomic_signal_fence(memory_order_seq_cst);
}

/*
 * What stands there is no message of this round: of the last one, as a rule. If the tail says that nobody has
 * sent yet, whoever does writes over it. If somebody has, the word is looked at again behind the tail: now it is
 * that of his message; or it is destroyed.
 * Return: 0 it is, and *seen; -EAGAIN; -EBADMSG.
 */
static __attribute__((noinline)) int look_closely(struct queue *queue, uint64_t at, uint64_t *seen)
{
	/* U6 (acquire) pairs with T9. */
	if (!is_before(at, atomic_load_explicit(&queue->ring->tail, memory_order_acquire)))
		return -EAGAIN;
	*seen = atomic_load_explicit(word_at(queue, at), FULL_LOAD);
	if (*seen - full(queue, at) <= queue->slot_bytes)
		return 0;
	pass(queue, at);
	queue->n_passed++;
	return -EBADMSG;
}

int bytes_receive(struct queue *queue, void *buffer, size_t size_bytes, size_t *ret_length)
{
	uint64_t at = atomic_load_explicit(&queue->received_to, memory_order_relaxed);
	const _Atomic uint64_t *word = word_at(queue, at);
	uint64_t seen = atomic_load_explicit(word, FULL_LOAD);
	uint64_t length = seen - full(queue, at);

	if (__builtin_expect(length > queue->slot_bytes, 0)) {
		int r = look_closely(queue, at, &seen);

		if (r < 0)
			return r;
		length = seen - full(queue, at);
	}
	*ret_length = length;
	if (length > size_bytes)
		return -EMSGSIZE;
	copy(buffer, (const void *)(word + 1), length);
	pass(queue, at);
	return 0;
}

/* The end behind the last message, if somebody has not written what he likes. */
static uint64_t end_of(const struct queue *queue, uint64_t head)
{
	uint64_t end = atomic_load_explicit(&queue->ring->tail, ORDER);

	if (is_before(end, head))
		end = head;
	return end - head <= queue->mask && is_sent(queue, end, ORDER) ? end + 1 : end;
}

void bytes_ends(const struct queue *queue, uint64_t *ret_head, uint64_t *ret_end)
{
	uint64_t head = atomic_load_explicit(&queue->ring->head, ORDER);
	uint64_t end = end_of(queue, head);

	/* The head has moved since; or that. */
	if (end - head > queue->mask + 1)
		end = head + queue->mask + 1;
	*ret_head = head;
	*ret_end = end;
}

bool bytes_at(const struct queue *queue, uint64_t position, uint64_t *ret_length)
{
	*ret_length = atomic_load_explicit(word_at(queue, position), ORDER) - full(queue, position);
	return *ret_length <= queue->slot_bytes;
}

void bytes_tally(struct queue_tally *tally, const struct queue *queue)
{
	bytes_ends(queue, &tally->n_received, &tally->n_sent);
	tally->n_messages = tally->n_sent - tally->n_received;
	tally->n_slots = queue->mask + 1;
	tally->is_over = true;
}

bool bytes_are_whole(const struct queue *queue)
{
	uint64_t at, end;

	for (bytes_ends(queue, &at, &end); at != end; at++)
		if (!is_sent(queue, at, ORDER))
			return false;
	return true;
}

uint64_t bytes_drop_all(struct queue *queue)
{
	uint64_t head = atomic_load_explicit(&queue->ring->head, ORDER);
	uint64_t end = end_of(queue, head);

	/* To the end, wherever it is: who sends next begins there. */
	queue_publish(queue, &queue->ring->head, end, HEAD_STORE);
	return end - head <= queue->mask + 1 ? end - head : queue->mask + 1;
}
