/* SPDX-License-Identifier: MIT */
/*
 * client.h - what a client says: hello, that it polls, whom it wakes, what it cannot do, bye
 *
 * A handler may end the session that it is given.
 */
#ifndef DAEMON_SESSIONS_CLIENT_H
#define DAEMON_SESSIONS_CLIENT_H

#include "mempool_protocol.h"

struct session;
struct sessions;
struct visitor;

void session_client_hello(struct session *session, const struct mempool_msg_hello *hello);
void session_client_bye(struct session *session, const struct mempool_msg_bye *bye);
void session_client_unable(struct session *session, const struct mempool_msg_unable *unable);
void session_client_no_barrier(struct session *session);

void session_client_wake_fd(struct session *session);
void session_client_peer_fd(struct session *session, const struct mempool_msg_peer_fd *ask);

/* Answer the hello; again, if it waited a moment. */
void session_client_answer(struct session *session);

/* Behind sessions_init(). */
void session_client_init(struct sessions *sessions);

/* For segments: one was made, or could not be; whoever waits for one is answered soon, one after the
 * other, or waits on. */
void session_client_try_all(struct sessions *sessions);

/* For segments: a holder id may be free; something has changed that it polls. */
void session_client_try_again(struct visitor *visitor);
void session_client_look_again(struct visitor *visitor);

#endif
