/* SPDX-License-Identifier: MIT */
/*
 * dispatch.h - what comes over connections: each message goes to the one who answers it
 *
 * One message a packet. What is not exactly as mempool_protocol.h has it ends its connection.
 * So does a message before the answer to the last one, and one that never comes.
 */
#ifndef DAEMON_SESSIONS_DISPATCH_H
#define DAEMON_SESSIONS_DISPATCH_H

struct sessions;

/* Serve a connection. Takes over fd, also where it drops it at once. */
void dispatch_connection(struct sessions *sessions, int fd);

#endif
