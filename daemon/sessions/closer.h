/* SPDX-License-Identifier: MIT */
/*
 * closer.h - sockets that are not ours to close, since descriptors of others are in them
 *
 * To close a connection with unread packets closes the descriptors in them, and that may block
 * (rights.h). So a child does it, by its end:
 *
 *	daemon				child
 *	fork			->
 *				<-	closes all but these sockets, and says so
 *	closes these sockets
 *	says so			->	exits
 *
 * An exiting process does not linger. One that hangs for ever, in a file of FUSE, holds nothing
 * but these sockets: no lock, no listener, no output; its memory is gone by then. It is a process
 * and not a thread, since a process ends when all of its threads have: whoever restarts the
 * daemon would wait for a thread that hangs. Whatever is killed at whatever point, the child is
 * the last one to have the sockets: it exits when the other end of its pipe is closed, which a
 * kernel that ends the daemon does behind all the sockets.
 *
 * The peer sees the end of its connection at once, as that is shut down; so there is no hurry.
 * Each user has children of its own, and so waits for nobody else's files. One child takes all
 * sockets of a user that wait, and the next one is started CLOSER_PAUSE later at the earliest.
 * While some of that user hang, it takes twice as many sockets to start one more: so a few children
 * serve for thousands of sockets. Sockets that wait are descriptors of ours: where they are many,
 * of all that we may have, the largest crowd gets its child at once.
 *
 * What a child needs before it can be started is kept ready, since there may be no descriptor left
 * when it is needed most.
 *
 * A socket counts as a client of its user until its child has ended (daemon/base/quota.h): who
 * leaves the daemon with many that hang is refused.
 *
 * None of this happens where the kernel refuses descriptors.
 */
#ifndef DAEMON_SESSIONS_CLOSER_H
#define DAEMON_SESSIONS_CLOSER_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "daemon/base/quota.h"

struct event_base;

struct closing {
	TAILQ_ENTRY(closing) link;
	int fd;				/* -1: a child has it */
	struct quota_unit unit;
};
TAILQ_HEAD(closings, closing);

struct closer_child {
	TAILQ_ENTRY(closer_child) link;
	pid_t pid;
	struct closings closings;
};

/* Those of a user. */
struct closer_crowd {
	TAILQ_ENTRY(closer_crowd) link;
	const struct quota_user *user;	/* NULL: of users that are not known */
	struct closings waiting;
	size_t n_waiting;
	TAILQ_HEAD(, closer_child) children;
	unsigned int n_children;
};

struct closer {
	TAILQ_HEAD(, closer_crowd) crowds;	/* with sockets, or children */
	size_t n_waiting;		/* in all */
	int pair[2];			/* for the next child; -1: not there */
	struct event look;
	unsigned int pause_ms;		/* until then; 0: nothing to do */
};

void closer_init(struct closer *closer, struct event_base *base);

/* All sockets that wait get a child, whatever hangs. The children are left to themselves. */
void closer_deinit(struct closer *closer);

/* How many sockets are not closed yet. */
size_t closer_count(const struct closer *closer);

/* Take over a socket that is shut down, and what it counts for: unit may have none. */
void closer_take(struct closer *closer, int fd, struct quota_unit *unit);

#endif
