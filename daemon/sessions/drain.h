/* SPDX-License-Identifier: MIT */
/*
 * drain.h - DRAIN, DRAIN_QUEUE: a topic lets go of what it keeps, or a queue of what waits in it,
 *	     a little at a time
 *
 * There may be millions of messages. So they are dropped in a chore of the loop
 * (daemon/base/chores.h), and answered when that is over. Until then nothing more is read from
 * whoever asked; if that connection ends, the drain goes on all the same, and the log tells.
 */
#ifndef DAEMON_SESSIONS_DRAIN_H
#define DAEMON_SESSIONS_DRAIN_H

#include "mempool_layout.h"

struct session;
struct sessions;

/**
 * session_drain_begin() - for root, the daemon's own user, and whom `admin` names
 * @segment: as the message has it, as all of the next: perhaps not closed by a NUL
 * @name:    of the topic or queue
 *
 * It may end the session.
 */
void session_drain_begin(struct session *session, const char segment[static MEMPOOL_NAME_BYTES],
			 const char name[static MEMPOOL_NAME_BYTES], enum mempool_ring_kind kind);

/* Give up all that are under way; before their generations are freed. */
void session_drain_stop_all(struct sessions *sessions);

#endif
