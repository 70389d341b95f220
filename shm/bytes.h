/* SPDX-License-Identifier: MIT */
/*
 * bytes.h - a queue whose messages stand in its slots themselves: no chunk, no handle
 *
 *	slot	word | content			position p: slot p % capacity, round p / capacity
 *	word	FULL(round, length): (round + 1) << 12 | length.	0: nothing yet
 *	head	next position to receive from
 *	tail	next position to send to
 *
 * Such a queue has one sender and one receiver, each a thread with a role (role.h), and both do their part
 * by plain stores:
 *
 *	send	the head, as it was seen last, leaves room? content; word := FULL; tail + 1
 *	receive	the word is FULL of my round? copy; head + 1. The word stays, as the one of the round before
 *		for the next one that comes here: the receiver writes to no line that the sender reads, but
 *		that of the head
 *
 * Room is what the head has passed, and nothing else. A message is sent by the store of its word, and received
 * by the store of the head. There is nothing for the reaper but to give the roles back:
 *
 *	killed in send, before the word		nothing was sent: who sends next writes over it
 *	between word and tail			it is sent; who sends next looks at the slot of the tail
 *	killed in receive, before the head	the message is the first still, for who receives next
 *
 * What members write here by mistake destroys messages, but is told: a word that is none of this round, where
 * the tail says that somebody has sent, is passed, and the call says -EBADMSG. So who finds nothing looks at the
 * tail, and only he. Each call is bounded, whatever stands there: it looks at one slot, and once more.
 *
 * The orders are those of queue.h for one that is alone at its end:
 *
 *	U2	word := FULL		release: with the content
 *	U3	the word is read	acquire: what came before U2
 *	U4	head := next		release: behind the copy; who has seen it (U5) may write there
 *	U5	the head is read	acquire
 *	T9, U6	tail := next, and it is read	release, acquire: behind the word, and before it is read again
 *
 * The content is copied by plain accesses: nobody else touches it between U2 and U4, and U5 and U2. Before the
 * look at sleepers U2 and U4 are as T2 and T6 are (E5).
 *
 * Source: tests/model/slots.pml is this for spin.
 */
#ifndef SHM_BYTES_H
#define SHM_BYTES_H

#include "queue.h"

/* Bits of the length in a word, which is the round's lowest place. */
#define BYTES_LENGTH_BITS 12
static_assert(MEMPOOL_MAX_SLOT_BYTES < 1 << BYTES_LENGTH_BITS, "a length fits into a word");

/* The slots of a queue that nobody sees yet. */
void bytes_layout(void *slots, const struct config_ring *ring);

/* As queue_begin_sending(). Who receives begins as in all queues. */
void bytes_begin_sending(struct queue *queue);

/**
 * bytes_send() - by the one sender
 * @length: up to slot_bytes, which the caller has looked at
 *
 * Wait-free. Crash: see above.
 * Return: 0; -EAGAIN full; -EBADMSG no queue leaves head and tail like that.
 */
int bytes_send(struct queue *queue, const void *bytes, size_t length);

/**
 * bytes_receive() - by the one receiver
 * @ret_length: of the message; also with -EMSGSIZE
 *
 * Wait-free. Crash: see above.
 * Return: 0; -EAGAIN empty; -EMSGSIZE it has more than @size_bytes, and stays the first; -EBADMSG what was sent
 *	   here is destroyed, and passed, so that there is room.
 */
int bytes_receive(struct queue *queue, void *buffer, size_t size_bytes, size_t *ret_length);

/*
 * For those that only look: the position of the first message, and of the one behind the last. Between them
 * there are at most as many as the queue has slots, whatever is written there.
 */
void bytes_ends(const struct queue *queue, uint64_t *ret_head, uint64_t *ret_end);

/* Whether a message stands at a position, and how long it is. */
bool bytes_at(const struct queue *queue, uint64_t position, uint64_t *ret_length);

/* As queue_tally_go_on(), at once: the ends tell all. */
void bytes_tally(struct queue_tally *tally, const struct queue *queue);

/* For the audit, of a queue whose roles nobody has: whether each message between its ends is one. */
bool bytes_are_whole(const struct queue *queue);

/* Drop all that waits, as its one receiver: the caller has that role. Return: how many, up to a capacity. */
uint64_t bytes_drop_all(struct queue *queue);

#endif
