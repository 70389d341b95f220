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

#include "mempool_layout.h"

struct mempool_client;

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
	uint32_t n_rings;		/* that were armed: 0, 1, or 2 for several */
	uint32_t first_ring;
	struct poller_peer *peers;	/* by holder id; NULL: nobody was woken yet */
	int64_t unanswered_ns;		/* when the daemon last let a question go by; 0: never */
};

int poller_init(struct poller *poller);
void poller_deinit(struct poller *poller, uint32_t n_holders);

/* Make the descriptor, or return the one there is. -errno. */
int poller_open(struct mempool_client *client);

/* Before the second look at a ring: readable when it may have changed. */
void poller_arm(struct mempool_client *client, uint32_t ring,
		struct mempool_eventcount *eventcount);

/* After a publishing write: wake who sleeps on this ring, in a futex or in poll(2). */
void poller_wake(struct mempool_client *client, uint32_t ring,
		 struct mempool_eventcount *eventcount);

#endif
