/* SPDX-License-Identifier: MIT */
/*
 * queue_handle.h - what mempool_queue_open() returns, and what all kinds of sends and receives have in common
 */
#ifndef CLIENT_QUEUE_HANDLE_H
#define CLIENT_QUEUE_HANDLE_H

#include "ends.h"
#include "parts.h"
#include "poller.h"
#include "role.h"
#include "shm/queue.h"
#include "wait.h"

/*
 * Who has not sent yet is no sender: its first send finds that it is no client's, goes the long way,
 * and takes an end. So to know costs the others nothing. Nor does a pipe, which goes that way in each
 * call, and looks whether the other side is there; nor stamps, with which each send goes that way.
 */
struct mempool_queue {
	struct mempool_client *client;
	_Atomic(struct mempool_client *) sender;	/* the client, once it has sent; else CACHE_NOBODY */
	_Atomic(struct mempool_client *) receiver;	/* the same */
	_Atomic bool is_sender;		/* these are not CACHE_NOBODY; or have to stay that */
	_Atomic bool is_receiver;
	_Atomic int sender_line;	/* of these ends; negative: they have none */
	_Atomic int receiver_line;
	bool is_pipe;			/* it wants to know when the other side has left */
	bool goes_slowly;		/* a pipe, or one whose messages are no chunks: to calls of these */
	struct end_watch receivers;	/* then */
	struct end_watch senders;
	struct role sender_role;	/* of a queue for one sender; else nobody takes it */
	struct role receiver_role;
	struct queue queue;
	struct poller_look messages;	/* what it may wait for */
	struct poller_look room;
};

/* Seen by others from now on, as one that sends or receives. */
void queue_be_sender(struct mempool_queue *queue);
void queue_be_receiver(struct mempool_queue *queue);

/* This thread has the role from now on, and begins where the ring says. Return: 0; -EBUSY another one has it. */
int queue_take_role(struct mempool_queue *queue, struct role *role, struct cache *cache);

/* A place to wait at, for messages or room. */
struct wait_place queue_place_of(const struct mempool_queue *queue, struct cache *cache,
				 struct poller_look *look);

static inline void queue_wake(const struct mempool_queue *queue,
			      struct mempool_eventcount *eventcount)
{
	poller_wake(&queue->client->poller, queue->queue.id - 1, eventcount);
}

/* The one receiver has found nothing that it may have, but has perhaps passed something: there is room. */
void queue_wake_for_passed(struct mempool_queue *queue);

#endif
