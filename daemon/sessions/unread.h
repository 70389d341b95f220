/* SPDX-License-Identifier: MIT */
/*
 * unread.h - connections that have ended, with descriptors of ours in them that nobody has read
 *
 * The kernel counts descriptors that were passed and not read yet, for our user in all, and refuses
 * more than RLIMIT_NOFILE. They are read, or closed by the end of the other side; our own close ends
 * nothing. So such a connection, though it is shut down, is kept and counts as a client of its user
 * until there is nothing unread in it: who leaves many ends open uses up the own limit (limits:
 * clients_per_user), and is refused.
 *
 * The kernel does not tell when that is, so they are looked at by a timer, less and less often while
 * nothing changes.
 */
#ifndef DAEMON_SESSIONS_UNREAD_H
#define DAEMON_SESSIONS_UNREAD_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "daemon/base/quota.h"

struct closer;
struct event_base;

struct unread_end {
	TAILQ_ENTRY(unread_end) link;
	int fd;
	bool is_empty;			/* of what the peer has sent: ours to close */
	struct quota_unit unit;
};

struct unread {
	TAILQ_HEAD(, unread_end) ends;
	struct closer *closer;		/* of those that are not */
	struct event look;
	unsigned int pause_ms;		/* until then; 0: there are none */
};

/* Whether the peer has left something unread. False where the kernel does not tell. */
bool unread_is_any(int fd);

void unread_init(struct unread *unread, struct event_base *base, struct closer *closer);

/* All are closed, or left to the closer. */
void unread_deinit(struct unread *unread);

/* Take over a socket that is shut down, and what it counts for. */
void unread_take(struct unread *unread, int fd, bool is_empty, struct quota_unit *unit);

#endif
