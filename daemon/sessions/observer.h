/* SPDX-License-Identifier: MIT */
/*
 * observer.h - what an observer says: mempoolctl, which takes no holder
 *
 * A handler may end the session that it is given.
 */
#ifndef DAEMON_SESSIONS_OBSERVER_H
#define DAEMON_SESSIONS_OBSERVER_H

#include <stdbool.h>

#include "mempool_protocol.h"

struct session;
struct sessions;

/* It is an observer from now on; and it is one who may. Return: false: it was refused. */
bool session_observer_become(struct session *session);
bool session_observer_may_administer(struct session *session);

/* Those that its user may attach to, or is in; all for who may administer. */
void session_observer_list(struct session *session);

/* For root, the daemon's own user, and whom `admin` names: a holder that nobody sees is gone; and
 * the config in force. */
void session_observer_forget(struct session *session,
			     const struct mempool_msg_forget *message);
void session_observer_find(struct session *session, const struct mempool_msg_find *message);
void session_observer_dump(struct session *session, const struct mempool_msg_dump *message);

/* For the same. It is answered when it is over, */
void session_observer_reload(struct session *session, const struct mempool_msg_reload *message);

/* by this: all who await that one are. forecast: what comes with it as a file, or NULL. */
void session_observer_reloaded(struct sessions *sessions, uint64_t number,
			       struct mempool_msg_reloaded *result, const char *forecast);

#endif
