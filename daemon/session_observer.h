/* SPDX-License-Identifier: MIT */
/*
 * session_observer.h - what an observer says: mempoolctl, which takes no holder
 *
 * A handler may end the session that it is given.
 */
#ifndef DAEMON_SESSION_OBSERVER_H
#define DAEMON_SESSION_OBSERVER_H

#include "mempool_protocol.h"

struct session;

void session_observer_list(struct session *session);

/* For root, the daemon's own user, and whom `admin` names. */
void session_observer_drain(struct session *session, const struct mempool_msg_drain *message);

#endif
