/* SPDX-License-Identifier: MIT */
/*
 * poller.h - one descriptor per client for epoll, poll and libevent
 *
 *	mempool_client_fd() = epoll of	an eventfd	senders write to it
 *					the socket	the daemon has news, or is gone
 *					a timer		each second
 *
 * A client that has such a descriptor and finds a ring empty (or full) sets its bit among
 * the ring's pollers and the eventcount's flag, and looks again; so it sleeps in poll(2)
 * like another one in a futex. A sender that finds the flag set wakes the futex, and writes
 * to the eventfd of each holder whose bit is set: it asks the daemon for it once and keeps
 * it, comparing the holder's incarnation before each use. Bits are cleared by their owner,
 * or the reaper.
 *
 * The timer covers what nothing else does: a sender killed between publish and wake while no
 * daemon runs, or one that could not get the descriptor. Readable may be spurious.
 */
#ifndef CLIENT_POLLER_H
#define CLIENT_POLLER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "shm/eventcount.h"

struct mempool_client;

/*
 * The last look that one handle had at one eventcount, which found nothing. If the sequence has
 * moved since, there is news that nobody has looked at: the descriptor must stay readable,
 * whoever else's look has just made it quiet. Not for ever, though: a handle that is never
 * looked at again would keep its program spinning.
 */
#define POLLER_PATIENCE 64
struct poller_look {
	const void *handle;
	const struct mempool_eventcount *eventcount;
	uint32_t sequence;
	uint32_t patience;		/* so often the descriptor is kept readable for it */
};

/* The eventfd of another holder. */
struct poller_peer {
	int fd;				/* -1: not asked for, or not to be had */
	uint32_t incarnation;
	int64_t asked_ns;		/* when it was not to be had */
};

struct poller {
	pthread_mutex_t lock;		/* the descriptors, the socket, the peers */
	_Atomic bool is_used;		/* the user has the descriptor */
	int epoll_fd;
	int event_fd;
	int timer_fd;
	int socket_fd;			/* the one in the epoll set; -1: none */
	struct poller_look *looks;	/* of every handle that found nothing */
	size_t n_looks;
	struct poller_peer *peers;	/* by holder id; NULL: nobody was woken yet */
	int64_t unanswered_ns;		/* when the daemon last let a question go by; 0: never */
};

int poller_init(struct poller *poller);
void poller_deinit(struct poller *poller, uint32_t n_holders);

/* Make the descriptor, or return the one there is. -errno. */
int poller_open(struct mempool_client *client);

/*
 * Before the second look at a ring: readable when it may have changed.
 * handle: who looks; the queue or the subscriber
 */
void poller_arm(struct mempool_client *client, const void *handle, uint32_t ring,
		struct mempool_eventcount *eventcount);

/* A handle is closed: it looks no more. */
void poller_forget(struct mempool_client *client, const void *handle);

/* After a publishing write: wake who sleeps on this ring, in a futex or in poll(2). */
void poller_wake_slowly(struct mempool_client *client, uint32_t ring,
			struct mempool_eventcount *eventcount);

static inline void poller_wake(struct mempool_client *client, uint32_t ring,
			       struct mempool_eventcount *eventcount)
{
	if (__builtin_expect(eventcount_is_armed(eventcount), 0))
		poller_wake_slowly(client, ring, eventcount);
}

#endif
