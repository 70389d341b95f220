/* SPDX-License-Identifier: MIT */
/*
 * connection.h - a client's side of the broker protocol (include/mempool_protocol.h)
 *
 * The socket is needed to become a holder and to stop being one, and to wake those who poll.
 * In between the daemon may go and come:
 *
 *	fd < 0 --- connect, hello, and ask for a channel ---> fd >= 0
 *	  ^							 |
 *	  +------------ the daemon hung up, or refuses ----------+
 *
 * Only connection_open() waits. All else takes one step and returns. A client that comes back
 * says hello with the nonce of its first hello and gets the same holder. It need not have the
 * answer before it goes on: the daemon reads the messages of a connection in their order, so
 * what stands behind the hello is heard behind the hello, and the welcome is read with
 * whatever else comes.
 *
 * One thread at a time: client/poller.c sees to it.
 */
#ifndef CLIENT_CONNECTION_H
#define CLIENT_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "mempool_protocol.h"
#include "shm/packet.h"

struct connection {
	int fd;				/* -1: none */
	int set_fd;			/* an epoll set that watches it; -1: none */
	bool restarts;			/* a wait for the daemon goes on after signals */
	bool polls;			/* so each daemon there will be is asked for a channel */
	bool is_sealed;			/* the segment is a sealed memfd: only a daemon has it */
	uint32_t number;		/* of this connection: an answer comes on it or never */
	uint32_t holder;		/* that we are */
	int64_t tried_second;		/* in which connection_resume() has tried */
	char socket_path[108];
	struct mempool_msg_hello hello;	/* what we say, first and again; nonce 0: never */
};
#define CONNECTION_NULL ((struct connection){ .fd = -1, .set_fd = -1 })

/**
 * connection_open() - connect, say connection->hello, wait for the welcome
 * @waits:	 for a daemon to be there, until the deadline; a signal handler ends that. Else
 *		 one try, which goes on through signals, and while a daemon is there but has no
 *		 room for one more connection
 * @deadline_ns: for all of it (shm/packet.h)
 * @meanwhile:	 called while the daemon makes its answer, each time that it was asked
 *
 * A cancellation point; cancelled, connection->fd is -1, and nothing was passed.
 * Return: 0, and the caller closes what was passed; -ENOTCONN no daemon, or no answer; -EINTR a
 *	   signal handler ran; -EPROTO an answer that is none; or what the daemon's refusal says. On
 *	   error connection->fd is -1.
 */
int connection_open(struct connection *connection, bool waits, int64_t deadline_ns,
		    void (*meanwhile)(void), struct mempool_msg_welcome *ret_welcome,
		    struct packet_passed *ret_passed);

/* Tell the daemon why we cannot use what it said: for its log. */
void connection_unable(const struct connection *connection, int error);

/* Say goodbye, once more on a new connection if this one is broken, and hang up. Where no daemon
 * hears it, the next connection_open() of this process to that socket says it. */
void connection_bye(struct connection *connection, uint64_t n_freed);

/* Hang up without a word. */
void connection_close(struct connection *connection);

/* From now on: watched by this epoll set, and each daemon is asked for a wake channel. */
void connection_watch(struct connection *connection, int set_fd);

/* Whether there is a connection, if need be a new one. At most one try a second. */
bool connection_resume(struct connection *connection);

/*
 * membarrier(2) fails us now, though our hello says that we have it: say so, once. Where it is not heard,
 * the next hello says it.
 */
void connection_say_no_barrier(struct connection *connection);

/* Ask for our own wake channel. Return: 0; -EAGAIN there is no room; -errno. */
int connection_ask_wake(const struct connection *connection);

/*
 * Ask for another holder's wake channel. The daemon answers, and then wakes that holder, so that
 * who asks need not wait for the answer. Return: 0; -EAGAIN there is no room; -errno.
 */
int connection_ask(const struct connection *connection, uint32_t holder, uint32_t incarnation);

/* An answer; of our own channel the descriptor alone. */
struct connection_answer {
	uint32_t holder;
	uint32_t incarnation;
	uint32_t found;			/* enum mempool_peer_found, as the daemon says */
	int fd;				/* the caller's to close; -1: it has none */
};

enum connection_event {
	CONNECTION_NOTHING,		/* no message, or no connection */
	CONNECTION_NEWS,		/* look again */
	CONNECTION_WAKE,		/* our own channel, or none */
	CONNECTION_PEER,		/* another holder's */
	CONNECTION_BACK,		/* we were welcome once more */
	CONNECTION_LOST,		/* it is closed */
	CONNECTION_GONE,		/* it is closed, and nobody serves our memfd any more */
};

/* The next message, if there is one. */
enum connection_event connection_read(struct connection *connection,
				      struct connection_answer *ret_answer);

#endif
