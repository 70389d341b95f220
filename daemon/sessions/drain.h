/* SPDX-License-Identifier: MIT */
/*
 * drain.h - DRAIN: a topic lets go of what it keeps, a little at a time
 *
 * A topic may keep millions of messages. So it is drained in a chore of the loop
 * (daemon/base/chores.h), and answered when that is over. Until then nothing more is read from
 * whoever asked; if that connection ends, the drain goes on all the same, and the log tells.
 */
#ifndef DAEMON_SESSIONS_DRAIN_H
#define DAEMON_SESSIONS_DRAIN_H

#include "mempool_protocol.h"

struct session;
struct sessions;

/* For root, the daemon's own user, and whom `admin` names. It may end the session. */
void session_drain_begin(struct session *session, const struct mempool_msg_drain *message);

/* Give up all that are under way; before their generations are freed. */
void session_drain_stop_all(struct sessions *sessions);

#endif
