/* SPDX-License-Identifier: MIT */
/*
 * session.h - one connection: its packets, its limits and its end
 *
 * What is said over it has files of its own: dispatch.c reads it, client.c and observer.c
 * answer.
 *
 *	NEW		nothing was heard yet; a hello_timeout ends it
 *	WAITING		its hello waits for a segment that is being made, for a holder id that is
 *			being reaped, or for a moment: what others said before it, or their
 *			death, may still be unread
 *	ATTACHED	has a tenant; may say BYE
 *	SPECTATOR	has been shown a segment, and is known by nothing but this connection; may
 *			say BYE
 *	OBSERVER	said LIST; may say it again
 *
 * A fault of the peer ends this connection, with a reason if one can still be sent, and
 * nothing else: a tenant stays with its process. Nothing here ever waits for a peer: an
 * answer that does not fit into the socket ends the connection, too.
 *
 * A connection that has ended is closed a little later (daemon/base/chores.h): many may end at
 * once, with all their processes, and to close one takes the kernel longer than all else. One
 * with descriptors in it is left to a child (closer.h), and one whose peer has not read those that we
 * have passed is kept until it has (unread.h).
 *
 * A connection that found the limits of clients used up is heard all the same, "at the
 * door", since it may be one that comes back to a record that is counted already. It leaves the
 * door with a unit, be it that of the record, or by its end. The door has room for some, and for as
 * many as are being reaped: their units come free. When it is full, who has stood there longest is
 * refused.
 */
#ifndef DAEMON_SESSIONS_SESSION_H
#define DAEMON_SESSIONS_SESSION_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/base/chores.h"
#include "daemon/base/process.h"
#include "daemon/base/quota.h"
#include "daemon/segments/tenant.h"
#include "daemon/sessions/closer.h"
#include "daemon/sessions/permission.h"
#include "daemon/sessions/unread.h"
#include "mempool_layout.h"
#include "mempool_protocol.h"

struct conf;
struct counters;
struct event_base;
struct hosts;

#define SESSION_DOOR_MAX 64

/* Descriptors on their way to one peer: where there are so many, see session_may_pass(). */
#define SESSION_MAX_PASSED 16

enum session_state {
	SESSION_NEW,
	SESSION_WAITING,
	SESSION_ATTACHED,
	SESSION_SPECTATOR,
	SESSION_OBSERVER,
};

/* All of a daemon, and what they are given. */
struct sessions {
	TAILQ_HEAD(session_list, session) list;
	struct session_list coming;	/* they wait for a segment */
	struct chore answer;		/* them, when there is one: */
	uint32_t n_answers;		/* so many more */
	struct session_list ended;	/* to be closed */
	struct chore close;		/* them */
	struct chores *chores;
	TAILQ_HEAD(, session_drain) drains;	/* under way (drain.h) */
	uint64_t n_drains;		/* so far */
	struct closer closer;		/* where that may block */
	struct unread unread;		/* where it would be forgotten */
	uint32_t n_at_door;
	struct event_base *base;
	const struct conf *conf;	/* in force */
	struct hosts *hosts;
	struct quota *quota;
	const struct counters *counters;

	/* Read the config again; *ret_number is set before that begins. */
	int (*ask_reload)(uint32_t flags, uint64_t *ret_number, void *userdata);
	void *userdata;
};

struct listing;				/* observer.c */

struct session {
	TAILQ_ENTRY(session) link;
	TAILQ_ENTRY(session) coming_link;
	struct sessions *sessions;
	enum session_state state;
	int fd;
	bool may_pass_rights;		/* so each packet is looked at first */
	struct event readable;
	struct event writable;		/* while it owes news, or more of a list */
	bool owes_news;
	bool is_news_last;		/* of all that was sent */
	struct peer peer;
	struct quota_unit unit;		/* none at the door */
	bool is_at_door;
	struct visitor visitor;		/* with a tenant: ATTACHED; waits: WAITING for a reap */
	bool is_coming;			/* waits for its segment; WAITING */
	bool has_waited;		/* for a moment, before a refusal */
	uint64_t awaits_reload;		/* its number; OBSERVER; 0: none */
	uint64_t awaits_drain;		/* the same; it is not read meanwhile */
	struct listing *listing;	/* what LIST is still to be told; it is not read meanwhile */
	uint64_t n_passed;		/* descriptors, since the peer has read all there was */

	/* Of the hello. */
	int pidfd;			/* until a tenant has it */
	struct process process;
	bool has_membarrier;
	bool is_read_only;		/* it asks to be no more than a reader */
	uint64_t nonce;
	uint64_t segment_id;
	char segment[MEMPOOL_NAME_BYTES];	/* SPECTATOR: the one it was shown */
	char name[MEMPOOL_NAME_BYTES];
};

/**
 * session_new() - one more connection
 * @fd:          taken over
 * @on_readable: called with the session when there is something to read, and when its time is
 *		 over
 *
 * Return: NULL: it was dropped. Logs.
 */
struct session *session_new(struct sessions *sessions, int fd, event_callback_fn on_readable);
void session_free(struct session *session);

/* No more of a list is told, if any was. */
void session_stop_listing(struct session *session);

/* No connections yet; the rest of the struct is filled in. */
void sessions_init(struct sessions *sessions, struct chores *chores);

/* End and close all that there are. */
void sessions_deinit(struct sessions *sessions);

/* Whose visitor it is. */
struct session *session_of(struct visitor *visitor);

/* For segments: the process of its tenant has died. */
void session_tenant_died(struct visitor *visitor);

/* Its hello waits for a segment, or no longer. */
void session_wait_for_segment(struct session *session);
void session_stop_waiting(struct session *session);

/* ---- for what is said ---- */

/* The head of a message. */
void session_fill(struct mempool_msg *msg, enum mempool_message_type type, size_t size);

/*
 * Return: 0; -errno: the peer hung up, or does not read. The second passes descriptors.
 * -ETOOMANYREFS: others have left as many unread as there may be; later it works.
 */
int session_send(struct session *session, const void *message, size_t size);
int session_send_passed(struct session *session, const void *message, size_t size,
			const int *fds, uint32_t n);

/*
 * Tell a client that polls to look again. It is told once however often that is said, until it has
 * read it, and never in the room that its answers need: others may say it as often as they like.
 */
void session_tell_news(struct session *session);

/*
 * Whether more may be passed. The kernel counts those that were passed and not read yet, for
 * our user in all, and refuses more than RLIMIT_NOFILE: so nobody may leave many of them unread.
 */
bool session_may_pass(struct session *session);

/* Whether the peer has read all that was passed: for answers with many of them. */
bool session_has_read(struct session *session);

/*
 * Return: as recv(2), also for a message that is cut. EBADMSG: the next one has descriptors, and
 * will not be read.
 */
ssize_t session_receive(struct session *session, void *message, size_t size);

/* Say why, and end the connection: the session is gone then. */
void session_refuse(struct session *session, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same, where the log has another reason than the peer is told. NULL: it is told that one. */
void session_refuse_telling(struct session *session, int error, const char *told,
			    const char *format, ...) __attribute__((format(printf, 4, 5)));
void session_refuse_quota(struct session *session, int error);
/* An answer makes no sense without the descriptors that cannot be passed now. */
void session_refuse_passing(struct session *session);

/*
 * Take a unit if it has none, and leave the door with it. Return: as quota_take(); anyway: as
 * quota_take_anyway(). Or take over that of its record.
 */
int session_ensure_unit(struct session *session);
int session_ensure_unit_anyway(struct session *session);
void session_take_unit(struct session *session, struct quota_unit *unit);

/* Text up to the first NUL, and NULs from there on. */
bool session_is_padded(const char *text, size_t size);

#endif
