/* SPDX-License-Identifier: MIT */
/*
 * peers.h - whom a client can wake: the wake channels of other holders
 *
 * A sender that does not have a holder's channel asks the daemon for it, once, and does not
 * wait: the daemon answers the sender, then wakes the holder itself. So a sender that has
 * published and finds no answer yet knows that the daemon's wake is still to come.
 *
 * Channels are kept, and compared with the holder's incarnation before each use. One that an
 * earlier daemon made is used as well, for the holder watches it; but not for ever, so the daemon
 * that is there now is asked for a newer one, and until it has answered the old one counts for
 * nothing. If it has none, the holder has not come back to it, and its last channel is the old one.
 *
 * A process may have few descriptors: they are kept up to a quarter of RLIMIT_NOFILE, and those
 * that were not used for the longest time are closed.
 *
 * All of it under the poller's lock.
 */
#ifndef CLIENT_PEERS_H
#define CLIENT_PEERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "connection.h"
#include "shm/segment.h"

/* What is known of another holder's wake channel. */
struct peer {
	TAILQ_ENTRY(peer) link;		/* where there is one */
	int fd;				/* -1: not here */
	uint32_t incarnation;
	uint32_t got_on;		/* the number of the connection */
	uint32_t asked_on;		/* the number of the connection: its answer is due on it */
	uint32_t n_in_vain;		/* how often the answer was that there is none, */
	int64_t again_ns;		/* and when it may be asked for again */
};

struct peers {
	const struct segment *segment;
	struct connection *connection;
	struct peer *by_id;		/* NULL: nobody was woken yet */
	TAILQ_HEAD(, peer) kept;	/* those with a channel, by their last use */
	uint32_t n_kept;
};

/* Both outlive it. */
void peers_init(struct peers *peers, const struct segment *segment,
		struct connection *connection);
void peers_deinit(struct peers *peers);

/* What the daemon says of one; its channel is taken over. */
void peers_take(struct peers *peers, const struct connection_answer *answer);

/* Wake a holder. Return: whether it has been woken, or need not be. */
bool peers_wake(struct peers *peers, uint32_t id);

#endif
