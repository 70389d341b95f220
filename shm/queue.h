/* SPDX-License-Identifier: MIT */
/*
 * queue.h - a bounded ring of handles: each message goes to one receiver
 *
 *	slot	a handle, or EMPTY(round)		position p: slot p % capacity, round p / capacity
 *	head	next position to receive from		both are only ever helped along:
 *	tail	next position to send to		nobody waits for another's step
 *
 * The word of the chunk is the truth, the slot only says where to look: a message is sent when
 * its handle stands in a slot, and received by whoever moves its word from SENT(queue, *) to
 * OWNED(himself). A receiver leaves the handle in the slot. Any process that finds the handle
 * there sees from the chunk's word that it was received.
 *
 * That allows each side to be lazy with what the other one reads, a cache line of slots
 * (QUEUE_LINE) at a time:
 *
 *	sender		keeps a place of his own, before which all was sent, and the last head
 *			that he saw; asks the head only when the ring looks full, and moves the
 *			tail once a line
 *	receiver	keeps a place of his own, before which all was received; at the end of
 *			a line he empties its slots and moves the head past them
 *
 * Between the head and a receiver's place stand received messages; a sender who finds the
 * ring full empties those himself, so the capacity is exact. Who is killed before he emptied
 * or moved anything leaves it to the next one who passes. Places are hints, in private
 * memory: threads that share a view may set them back, which costs a look at the slots. What
 * a damaged ring has made of a place goes with the call that ends in -EBADMSG, or stays astray.
 *
 * A queue may have one sender, or one receiver, or both: one thread at a time, which has a role (role.h).
 * What that does, it does by plain stores:
 *
 *	sender		the head as it saw it says whether there is room; word := SENT; slot; tail + 1
 *	receiver	word := OWNED; slot := EMPTY(next round); head + 1
 *
 * Where there is one receiver, nobody else empties a slot or moves the head: no sender, and not the reaper
 * but for a receiver that has died (queue_pass()). So room is what the head has passed, and nothing else: a
 * slot that is EMPTY for a round may stand before a message that its receiver, killed, has not passed.
 * That is why the head moves with each message there, and the capacity is exact but for the place of a
 * message whose receiver is stopped behind its receipt. tests/model/role.pml is this for spin.
 *
 * Nor does anybody but that receiver take a message that waits there: its store of the word comes behind a
 * look. The reaper takes the name of a dead sender out, by a swap that fails behind that store; who drains such
 * a queue is its receiver (drain.h); and queue_drop() is for all other queues, and those that nobody uses.
 *
 * Each step that looks like a detail is there because a model broke without it: which is
 * loaded first of head and slot, and what stands in a slot for whom. See
 * tests/model/queue.pml and its mutants. The model has one order of all steps; so do these
 * accesses: all are seq_cst.
 *
 * What a hostile client has written into head, tail and slots may lead a call astray, but not
 * keep it: where nobody writes meanwhile, each further turn empties a slot or passes one,
 * some rounds at most, or finds a state that no queue leaves: -EBADMSG.
 *
 * Source: DESIGN.md section 5.
 */
#ifndef SHM_QUEUE_H
#define SHM_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "budget.h"
#include "eventcount.h"
#include "segment.h"

/* So many slots share a cache line. */
#define QUEUE_LINE (MEMPOOL_LINE_BYTES / sizeof(uint64_t))

/*
 * A private view; what was checked once, and the places of those who use it, each of which was
 * true when it was stored; on lines of their own, as they change.
 */
struct queue {
	const struct segment *segment;
	struct mempool_ring *ring;
	_Atomic uint64_t *slots;
	uint64_t mask;			/* capacity - 1 */
	uint64_t line_mask;		/* slots of a line, or of all the ring, - 1 */
	uint32_t shift;			/* log2 of the capacity */
	uint32_t id;			/* as in words: place in the ring table, from 1 */
	uint32_t slot_bytes;		/* the most of a message that stands in a slot; 0: they are chunks */
	uint32_t stride;		/* words from slot to slot */
	bool has_stamps;		/* each message; see stamp.h */
	bool has_one_sender;		/* at a time; see role.h */
	bool has_one_receiver;
	bool orders_itself;		/* the user's to set: no membarrier of others reaches this process */
	_Alignas(MEMPOOL_LINE_BYTES) _Atomic uint64_t sent_to;	/* all before it was sent */
	_Atomic uint64_t head_seen;
	_Alignas(MEMPOOL_LINE_BYTES) _Atomic uint64_t received_to; /* before it, received */
	uint64_t n_passed;		/* by the one receiver, without a message; its own to clear */
};

/* The slots of a queue that nobody sees yet: EMPTY(0). */
void queue_layout(_Atomic uint64_t *slots, uint64_t capacity);

/*
 * Look at a ring of the table. One whose messages stand in its slots (bytes.h) is no queue of handles: there is
 * a view of its own for those who know both.
 * Return: 0; -EINVAL no such ring; -ENOENT it is no such queue.
 */
int queue_view(struct queue *queue, const struct segment *segment, uint32_t ring);
int queue_view_any(struct queue *queue, const struct segment *segment, uint32_t ring);

/*
 * A store by one that is alone at its end, which comes before its look at who sleeps: E5. Where no membarrier
 * of others reaches us, it is seq_cst.
 */
static inline void queue_publish(const struct queue *queue, _Atomic uint64_t *at, uint64_t value,
				 memory_order order)
{
	if (__builtin_expect(queue->orders_itself, 0))
		atomic_store_explicit(at, value, memory_order_seq_cst);
	else
		atomic_store_explicit(at, value, order);
}

/* The ring of this name and kind, for queue_view(). Return: its place or -ENOENT. */
int queue_find(const struct segment *segment, const char *name, enum mempool_ring_kind kind);

/**
 * queue_push() - publish a handle whose word says SENT(queue, me)
 *
 * Lock-free. Crash: before the swap of the slot the reaper frees the chunk, after it the
 * message is sent.
 * Return: 0; -EAGAIN the queue was full at one moment of the call; -EBADMSG no queue leaves
 *	   head, tail and slots like that: somebody wrote there.
 */
int queue_push(struct queue *queue, uint64_t handle);

/**
 * queue_pop() - receive the first message
 * @ret_handle: of the chunk as it is now: OWNED(holder)
 *
 * Lock-free. Crash: after the swap of the word the dead owns the chunk, and it is freed.
 * Return: 0; -EAGAIN the queue was empty at one moment of the call; -EBADMSG as queue_push().
 */
int queue_pop(struct queue *queue, uint32_t holder, uint64_t *ret_handle);

/*
 * The same of the one sender, who has the role since queue_begin_sending(): first whether there is room,
 * then the word, then the push, which cannot fail.
 * Room that there is stays: receivers only make more.
 * @n: messages, 1 to the capacity
 * Return: of queue_room_alone(): 0; -EAGAIN no room; -EBADMSG as queue_push().
 */
void queue_begin_sending(struct queue *queue);
int queue_room_alone(struct queue *queue);
int queue_room_alone_for(struct queue *queue, uint64_t n);
void queue_push_alone(struct queue *queue, uint64_t handle);

/* Whether the caller may have a chunk of that pool. 0, or the error of the call. */
typedef int (*queue_may_fn)(void *userdata, const struct pool *pool);

/*
 * The same, of one who may not have all: it is asked before a message is received, of one after the other,
 * until one is. What it says no to stays the first message.
 */
int queue_pop_if(struct queue *queue, uint32_t holder, queue_may_fn may, void *userdata,
		 uint64_t *ret_handle);

/*
 * The same of the one receiver, who has the role since queue_begin_receiving(). @may: NULL: it may have all.
 * What no queue leaves is passed, QUEUE_PASSES of them in a call, which then says -EBADMSG. A call that fails may
 * have made room so: n_passed tells.
 * Crash: after the store of the word the dead owns the chunk; the reaper passes its slot.
 */
#define QUEUE_PASSES 64
void queue_begin_receiving(struct queue *queue);
int queue_pop_alone(struct queue *queue, uint32_t holder, queue_may_fn may, void *userdata,
		    uint64_t *ret_handle);

/**
 * queue_help() - for the reaper: move the head past what was received by those who died before
 *		  they moved it, a line at a time
 *
 * A round is all that can lag: who calls it more often helps somebody who writes what he likes.
 * Return: whether it moved, so that there may be more.
 */
bool queue_help(const struct queue *queue);

/**
 * queue_pass() - for the reaper, of a queue whose one receiver has died and has its role still: pass
 *		  what it has taken, and has not passed itself
 */
void queue_pass(const struct queue *queue);

/* Whether a queue for one receiver, of which nobody has the role, looks as one leaves it: messages from the
 * head on, then places of this round. False as well where somebody sends meanwhile. */
bool queue_is_whole(const struct queue *queue);

/**
 * queue_message_at() - whether a message waits in a slot
 * @slot:     in [0, capacity)
 * @ret_seen: its word, which says SENT to this queue
 *
 * A message keeps its slot until it is received: so of a sender who sends no more, one that is
 * in no slot was never published.
 */
bool queue_message_at(const struct queue *queue, uint64_t slot, _Atomic uint64_t **ret_word,
		      uint64_t *ret_seen);

/*
 * What there is to count of a queue, in parts: begin with zeros. The ends themselves lag behind,
 * so its slots are looked at, and the words of what stands there.
 */
struct queue_tally {
	bool is_over;
	uint64_t n_slots;		/* looked at */
	uint64_t n_messages;		/* that wait in these; exact when nothing moves */
	uint64_t n_sent;		/* since the segment was made; once it is over */
	uint64_t n_received;
	uint64_t n_steps;		/* from the head on; where they are, and the head by then */
	uint64_t at;
	uint64_t head;
	bool is_waiting;		/* one was met that is not received: n_received stands */
	uint64_t sent_ns;		/* the stamp of that one; of a topic, of the oldest that it keeps.
					 * 0: there is none */
};

/* Count on, as far as the budget goes. Something is counted with any budget. NULL: to the end. */
void queue_tally_go_on(struct queue_tally *tally, const struct queue *queue,
		       struct budget *budget);

/*
 * For a queue that nobody uses any more: the message at a position, from the head on for a round,
 * in the order in which they were sent. Return: its handle; 0 none waits there; and *ret_is_damaged
 * says whether what stands there is no handle at all.
 */
uint64_t queue_head(const struct queue *queue);
uint64_t queue_peek(const struct queue *queue, uint64_t position, bool *ret_is_damaged);

/* Whether a handle stands in a slot, received or not. */
bool queue_has(const struct queue *queue, uint64_t handle);

/* Free a message that waits, wherever it stands. false: it does not, or no longer. */
bool queue_drop(const struct queue *queue, uint64_t handle);

/*
 * For the audit: what stood in each queue when it was first asked for, that is, which of the
 * words that say SENT were published.
 */
struct queue_snapshot {
	uint64_t *handles;		/* sorted; NULL: not made yet */
	uint64_t n;
};

struct queue_snapshots {
	const struct segment *segment;
	struct queue_snapshot *of;	/* by ring */
};

/* Return: 0 or -ENOMEM. queue_snapshots_deinit() is always legal. */
int queue_snapshots_init(struct queue_snapshots *snapshots, const struct segment *segment);
void queue_snapshots_deinit(struct queue_snapshots *snapshots);

/* Whether a handle stands in the queue of this id. 1, 0, -EINVAL no such queue, -ENOMEM. */
int queue_snapshots_has(struct queue_snapshots *snapshots, uint32_t id, uint64_t handle);

#endif
