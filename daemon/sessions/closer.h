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
 * One child takes all sockets that wait, and the next one is started CLOSER_PAUSE later at the
 * earliest. While some hang, it takes more and more sockets to start one more: so a few children
 * serve for thousands of sockets. With CLOSER_CHILDREN of them the sockets wait until one ends.
 *
 * A socket counts as a client of its user until its child has ended. Who leaves the daemon with
 * many that hang uses up the own limit (limits: clients_per_user), and is refused.
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

#define CLOSER_CHILDREN 8

struct closing {
	TAILQ_ENTRY(closing) link;
	int fd;				/* -1: the child has it */
	struct quota_unit unit;
};
TAILQ_HEAD(closings, closing);

struct closer_child {
	pid_t pid;			/* 0: none */
	struct closings closings;
};

struct closer {
	struct closings waiting;
	size_t n_waiting;
	struct closer_child children[CLOSER_CHILDREN];
	struct event look;
	unsigned int pause_ms;		/* until then; 0: nothing to do */
};

void closer_init(struct closer *closer, struct event_base *base);

/* All sockets that wait get a child, whatever hangs. The children are left to themselves. */
void closer_deinit(struct closer *closer);

/* Take over a socket that is shut down, and what it counts for: unit may have none. */
void closer_take(struct closer *closer, int fd, struct quota_unit *unit);

#endif
