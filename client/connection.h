/* SPDX-License-Identifier: MIT */
/*
 * connection.h - a client's side of the broker protocol (include/mempool_protocol.h)
 *
 * The socket is needed to become a holder and to stop being one; in between the daemon may
 * go and come. Whoever finds the connection broken says hello again with the same nonce and
 * gets the same holder.
 */
#ifndef CLIENT_CONNECTION_H
#define CLIENT_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "mempool_protocol.h"

struct connection {
	int fd;
	char socket_path[108];
	struct mempool_msg_hello hello;	/* what we say, first and again */
};
#define CONNECTION_NULL ((struct connection){ .fd = -1 })

/**
 * connection_open() - connect, say connection->hello, wait for the welcome
 * @timeout_ns: for a daemon to be there; 0 once, negative for ever
 *
 * Return: 0; -ENOTCONN no daemon; -EBADMSG an answer that is none; or what the daemon's
 *         refusal says. On error connection->fd is -1.
 */
int connection_open(struct connection *connection, int64_t timeout_ns,
		    struct mempool_msg_welcome *ret_welcome);

/* Say goodbye, once more on a new connection if this one is broken, and hang up. */
void connection_bye(struct connection *connection, uint64_t n_freed);

/*
 * The rest is for client/poller.c, which lets one thread at a time in.
 *
 * connection_wake_fd() - pass our eventfd, on a new connection if this one is broken
 * connection_peer_fd() - another holder's eventfd; -1: none; -EAGAIN: no answer within
 *			  PEER_ANSWER_NS: a daemon that is slow costs its clients a delayed
 *			  wake, no more, if they do not ask it again soon
 * connection_drain()   - read the daemon's news, if there are any; a broken connection is
 *			  closed, which is news as well
 */
int connection_wake_fd(struct connection *connection, int fd);
int connection_peer_fd(struct connection *connection, uint32_t holder, uint32_t incarnation);
bool connection_drain(struct connection *connection);

/* Hang up without a word. */
void connection_close(struct connection *connection);

#endif
