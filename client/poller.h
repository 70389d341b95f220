/* SPDX-License-Identifier: MIT */
/*
 * poller.h - one descriptor per client for epoll, poll and libevent
 *
 *	mempool_client_fd() = epoll of	channels	others set one: they have published
 *					the socket	the daemon has news, or is gone
 *					timer_fd	each second
 *					keep_fd		our own: not all that waits has looked
 *							yet, or there is news of our own
 *
 * Arming. Whatever a client waits for is a look: a queue's messages, its room, a subscriber's
 * messages. One that finds nothing arms, so that the next sender makes the descriptor readable:
 * it sets the client's bit among the ring's pollers, arms the eventcount, and looks again. A
 * look that finds nothing once more, at the sequence at which it armed, is armed still. If no
 * membarrier can be had where one is needed, a message may be missed until the timer's next beat.
 *
 * Rounds. What made the descriptor readable does not say which look it was for. So when it is
 * drained a round begins: all that have looked become pending, and keep_fd holds the descriptor
 * readable until each has looked again. The work is for the program to do; here, each look
 * takes the same few steps whatever their number:
 *
 *	unlisted	finds nothing				-> seen
 *	seen		a round begins				-> pending
 *	pending		finds nothing; its sequence stands still -> seen
 *	pending		patience is at its end			-> given up
 *	given up	finds nothing				-> seen
 *	given up	a round of the timer begins		-> pending
 *	any		its handle is closed			-> unlisted
 *
 * A look that stays pending while others look again and again is given up, or its program would
 * spin for it: senders do not tell it. It may be that of another thread, which was late; so it is
 * pending again, for a while, in each round of the timer. Where nothing tells that a look found
 * nothing new (the timer's rounds, and those of a lost daemon), the sequence does not count.
 *
 * Waking. A sender that finds the eventcount armed moves the sequence, wakes the futex, and
 * then reaches each holder whose bit is set (peers.h). Only a sender that reached all disarms.
 *
 * Channels. The daemon makes our wake channel (channel.h). We ask for it and do not wait; until
 * the answer is taken, with the next look, the daemon tells us by NEWS what it is asked to tell.
 * A daemon that was started anew makes another one. Peers have the old ones still, so the last
 * few stay in the set; and who finds a daemon that is another one asks it for ours (peers.h).
 *
 * The timer covers what nothing else does: a sender that was killed between publish and wake
 * while no daemon runs, or one that cannot reach us. It is also when a client that lost its
 * daemon tries to find another. Readable may be spurious.
 *
 * A spectator may set no bit, and nobody wakes it: its descriptor has the timer, with a short beat,
 * and keep_fd. Each beat begins a round.
 *
 * Everything here is under one lock of this process, which is never held across a wait or a
 * cancellation point, and inherits the priority of those who wait for it. tests/model/poller.pml is this for spin.
 */
#ifndef CLIENT_POLLER_H
#define CLIENT_POLLER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "connection.h"
#include "peers.h"
#include "shm/eventcount.h"
#include "shm/segment.h"

/* One thing that a handle waits for; part of the handle. */
struct poller_look {
	struct mempool_eventcount *eventcount;
	uint32_t ring;
	uint32_t sequence;		/* at which it armed; if it is listed */
	bool is_listed;
	uint8_t list;			/* in which of the poller's */
	bool is_told;			/* by who sends: it counts for the bit of its ring */
	bool is_always_woken;		/* by who moves the sequence whether or not anybody is armed: so it
					 * does not arm, and costs nobody else a wake */
	bool peer_stores;		/* what it looks for is published by a plain store: who arms
					 * issues a membarrier before it looks again */
	TAILQ_ENTRY(poller_look) link;
};
TAILQ_HEAD(poller_looks, poller_look);

/* Which list is that of the seen, and which that of the pending, changes with each round. */
enum { POLLER_GIVEN_UP = 2, POLLER_LISTS };

/* Our wake channels: that of this daemon, and those of the ones before it. */
#define POLLER_CHANNELS 4

/* Pending looks are given up after so many of others in a row, and not before that time. */
#define POLLER_PATIENCE 64
#define POLLER_PATIENCE_NS INT64_C(2000000)

/* Of a spectator's timer: as long as the longest nap of one that waits (wait.h). */
#define POLLER_BEAT_NS 5000000

struct poller {
	struct segment *segment;
	uint32_t holder;		/* that we are; MEMPOOL_HOLDER_NONE: a spectator */
	struct connection *connection;
	pthread_mutex_t lock;		/* all of this, and the connection */
	_Atomic bool is_used;		/* the user has the descriptor */
	int epoll_fd;
	int channels[POLLER_CHANNELS];	/* -1: none */
	uint32_t n_channels;		/* that we ever had: the next place, modulo their number */
	bool asks_again;		/* this daemon had none for us */
	int timer_fd;
	int keep_fd;
	bool is_kept;			/* keep_fd is readable */
	bool has_news;			/* the next round begins */
	bool is_for_all;		/* this round: a sequence that stands still proves nothing */
	bool is_next_for_all;		/* and the next one */
	uint8_t seen;			/* 0 or 1: the list of the seen; the other is of the pending */
	struct poller_looks lists[POLLER_LISTS];
	uint32_t *n_told;		/* by ring */
	uint32_t patience;
	int64_t impatient_ns;		/* since when nothing that is pending has looked */
	struct peers peers;		/* whom we wake */
};

/* Of a client: its segment, its id (of a spectator MEMPOOL_HOLDER_NONE) and its connection; all three
 * outlive the poller. */
int poller_init(struct poller *poller, struct segment *segment, uint32_t holder,
		struct connection *connection);

/* In a forked child the epoll set is the parent's too, and only closed. */
void poller_deinit(struct poller *poller, bool is_forked);

/* Make the descriptor, or return the one there is. -errno. */
int poller_open(struct poller *poller);

void poller_look_init(struct poller_look *look, uint32_t ring,
		      struct mempool_eventcount *eventcount, bool peer_stores);

/*
 * After a look that found nothing: readable when it may find something. Return: whether to look
 * again, since it was not armed when it looked.
 */
bool poller_arm(struct poller *poller, struct poller_look *look);

/*
 * A handle is closed: this is looked at no more. Not in a forked child, where the lock may be
 * held by a thread that is not there.
 */
void poller_forget(struct poller *poller, struct poller_look *look);

/* As connection_say_no_barrier(); at another time, if somebody else is at the connection just now. */
void poller_say_no_barrier(struct poller *poller);

/* The client is closed: nothing is looked at any more, and its bits are gone. */
void poller_close(struct poller *poller);

/* After a publishing write: wake who sleeps on this ring, in a futex or in poll(2). */
void poller_wake_slowly(struct poller *poller, uint32_t ring,
			struct mempool_eventcount *eventcount);

static inline void poller_wake(struct poller *poller, uint32_t ring,
			       struct mempool_eventcount *eventcount)
{
	if (__builtin_expect(eventcount_is_armed(eventcount), 0))
		poller_wake_slowly(poller, ring, eventcount);
}

#endif
