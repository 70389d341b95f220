/* SPDX-License-Identifier: MIT */
/*
 * peers.h - whom a client can wake: the wake descriptors of other holders
 *
 * A sender that does not have a holder's descriptor asks the daemon for it, once, and does not
 * wait: the daemon answers the sender, then wakes the holder itself. So a sender that has
 * published and finds no answer yet knows that the daemon's wake is still to come.
 * Descriptors are kept, and compared with the holder's incarnation before each use.
 *
 * All of it under the poller's lock.
 */
#ifndef CLIENT_PEERS_H
#define CLIENT_PEERS_H

#include <stdbool.h>
#include <stdint.h>

#include "connection.h"
#include "shm/segment.h"

/* What is known of another holder's wake descriptor. */
struct peer {
	int fd;				/* -1: not here */
	uint32_t incarnation;
	uint32_t asked_on;		/* the number of the connection; its answer is due */
	uint32_t n_in_vain;		/* how often the answer was that there is none, */
	int64_t again_ns;		/* and when it may be asked for again */
};

struct peers {
	const struct segment *segment;
	struct connection *connection;
	struct peer *by_id;		/* NULL: nobody was woken yet */
};

/* Both outlive it. */
void peers_init(struct peers *peers, const struct segment *segment,
		struct connection *connection);
void peers_deinit(struct peers *peers);

/* What the daemon says of one; its descriptor is taken over. */
void peers_take(struct peers *peers, const struct connection_peer *answer);

/* Wake a holder. Return: whether it has been woken, or need not be. */
bool peers_wake(struct peers *peers, uint32_t id);

#endif
