/* SPDX-License-Identifier: MIT */
/*
 * wait.h - try, and sleep on an eventcount until it is worth another try
 */
#ifndef CLIENT_WAIT_H
#define CLIENT_WAIT_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "shm/eventcount.h"

struct mempool_client;
struct poller_look;

#define WAIT_NAP_MIN_NS INT64_C(50000)
#define WAIT_NAP_MAX_NS INT64_C(5000000)

/* What is waited for: news of a ring; or of chunks, of which no descriptor tells. */
struct wait_place {
	struct mempool_client *client;
	struct mempool_eventcount *eventcount;	/* NULL: nothing may be written, so nobody wakes
						 * it: it naps, and looks again */
	struct poller_look *look;	/* of the ring's news; NULL: of chunks */
	const int64_t *slice_ns;	/* how long to sleep, as the last try says; NULL: a slice */
	bool spins;			/* looks again and again first, as long as the client says */
	uint64_t *n_wakes_seen;		/* of the thread or subscriber that waits; see wait_wake() */
};

/* -EAGAIN: not now. All else is passed on to the caller. */
typedef int (*wait_try_fn)(void *userdata);

/**
 * wait_on() - after a first try that said -EAGAIN: try until it works, or time is over
 * @timeout_ns: 0 tries no more; negative for ever (in a segment that is not retired)
 *
 * It looks again and again first, if the place is one for that, and as long as the client says; a
 * signal handler does not end that. Then it sleeps between two tries, and no longer than a slice
 * (shm/eventcount.h); or it naps, shortly at first, and no longer than WAIT_NAP_MAX_NS. Before it says
 * -EAGAIN, a client with a pollable descriptor sees to it that this tells when to try again.
 *
 * A cancellation point before each sleep, so at least once a slice; never after a try that
 * worked.
 *
 * Whoever is to come may have left a retired segment for the new one, so nobody waits for
 * ever in it: a wait ends when the segment is retired, and one that begins later after a
 * slice at most.
 * Return: what the try says, -EAGAIN after that, or -ETIMEDOUT, if the client asked for that and its
 *	   own time is over; -EINTR a signal handler ran, and the client does not go on then;
 *	   -ECANCELED wait_wake().
 */
int wait_on(const struct wait_place *place, wait_try_fn try, void *userdata,
	    int64_t timeout_ns);

/**
 * wait_wake() - end a wait of each thread of this client, and of each subscriber
 *
 * The one that it is in, or else its next one: so a thread that was about to wait does not miss it.
 * Several wakes in between are one. A call that finds what it came for at once, or may not wait, does
 * not count as a wait.
 *
 * It moves the sequence of whatever somebody sleeps on, as a waker does that does not reach all
 * (shm/eventcount.h): others look once more, and nobody is disarmed. Who naps sees it after its nap.
 */
void wait_wake(struct mempool_client *client);

/* The same with the first try. */
static inline int wait_for(const struct wait_place *place, wait_try_fn try, void *userdata,
			   int64_t timeout_ns)
{
	int r = try(userdata);

	return r == -EAGAIN ? wait_on(place, try, userdata, timeout_ns) : r;
}

#endif
