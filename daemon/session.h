/* SPDX-License-Identifier: MIT */
/*
 * session.h - one connection
 *
 *	NEW		nothing was heard yet; a hello_timeout ends it
 *	WAITING		its hello waits for a holder id that is being reaped, or for a moment:
 *			what others said before it, or their death, may still be unread
 *	ATTACHED	has a tenant; may say BYE
 *	OBSERVER	said LIST; may say it again
 *
 * One message a packet. What is not exactly as mempool_protocol.h has it ends this
 * connection, with a reason if one can still be sent, and nothing else: a tenant stays with
 * its process. Nothing here ever waits for a peer: an answer that does not fit into the
 * socket ends the connection, too.
 *
 * A connection that found the limits of clients used up is heard all the same, "at the
 * door", since it may be one that comes back to a record that is counted already. The door
 * is small; when it is full, who has stood there longest is refused.
 */
#ifndef DAEMON_SESSION_H
#define DAEMON_SESSION_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "access.h"
#include "mempool_layout.h"
#include "mempool_protocol.h"
#include "quota.h"

struct generation;
struct server;
struct tenant;

#define SESSION_DOOR_MAX 64

enum session_state {
	SESSION_NEW,
	SESSION_WAITING,
	SESSION_ATTACHED,
	SESSION_OBSERVER,
};

struct session {
	TAILQ_ENTRY(session) link;
	TAILQ_ENTRY(session) waiting_link;
	struct server *server;
	enum session_state state;
	int fd;
	struct event readable;
	struct peer peer;
	struct quota_unit unit;		/* none at the door */
	bool is_at_door;
	struct tenant *tenant;		/* ATTACHED */
	struct generation *waiting_for;	/* WAITING for a reap */
	bool has_waited;		/* for a moment, before a refusal */

	/* Of the hello. */
	int pidfd;			/* until a tenant has it */
	uint64_t start_time;
	uint64_t nonce;
	uint64_t segment_id;
	char segment[MEMPOOL_NAME_BYTES];
	char name[MEMPOOL_NAME_BYTES];
};
TAILQ_HEAD(session_list, session);

/* Serve a connection. Takes over fd, also where it drops it at once. */
void session_new(struct server *server, int fd);
void session_free(struct session *session);

/* For a generation: a holder id may be free, try the hello again. */
void session_answer(struct session *session);

/* For a generation: something has changed that who polls should look at. */
void session_tell_news(struct session *session);

/* For a tenant: its process has died. */
void session_tenant_is_gone(struct session *session);

#endif
