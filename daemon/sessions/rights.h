/* SPDX-License-Identifier: MIT */
/*
 * rights.h - descriptors in what others send: the daemon takes none
 *
 * A descriptor that is passed (SCM_RIGHTS) and that nobody takes is closed by the kernel, in the
 * name of whoever reads or closes the socket; and to close a file may block: a TCP socket that
 * lingers for as long as its owner has said, a file of FUSE for ever, beyond SIGKILL.
 *
 * Linux 6.16 lets a socket refuse them (SO_PASSRIGHTS): the sender is told EPERM. A connection
 * has that from its listener, at the moment of connect(2), so it is said before listen(2). Of a
 * connection that does not have it, each packet is looked at first (MSG_PEEK): without room for
 * them, MSG_CTRUNC tells of descriptors. To look takes none, and closes none: the packet keeps
 * them. A packet that has any is never read, and the connection has an end of its own (closer.h).
 */
#ifndef DAEMON_SESSIONS_RIGHTS_H
#define DAEMON_SESSIONS_RIGHTS_H

#include <stdbool.h>

/* What connects from now on can pass no descriptors. Return: false, this kernel cannot do that. */
bool rights_refuse(int listen_fd);

/* Whether this connection never could. */
bool rights_are_refused(int fd);

/* Return: 1 the next packet has descriptors; 0 it has none; -errno of recvmsg(2). */
int rights_peek(int fd);

/*
 * Shut a connection down, and read what is in it, up to a packet with descriptors. may_have: it
 * is a connection that does not refuse them. Return: false, such a packet is in it, unread.
 */
bool rights_empty(int fd, bool may_have);

#endif
