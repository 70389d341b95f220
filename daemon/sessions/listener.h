/* SPDX-License-Identifier: MIT */
/*
 * listener.h - where clients connect: a socket of our own, or the one systemd passes
 *
 * A socket that systemd passes wins over the path in the config, and is never unlinked.
 *
 * Somebody may remove the file of the socket: then nobody new comes in, and nothing fails. So it is
 * looked for every two seconds, and our own is bound anew. Who is connected does not notice.
 * When descriptors or memory run out, accepting is put off for a moment rather than tried
 * again and again.
 *
 * Where the kernel can do that, nobody can pass descriptors over what connects here (rights.h).
 */
#ifndef DAEMON_SESSIONS_LISTENER_H
#define DAEMON_SESSIONS_LISTENER_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <sys/types.h>

#include "daemon/config/conf.h"
#include "daemon/sessions/closer.h"

/* A connection, for the callee to keep. */
typedef void (*listener_fn)(int fd, void *userdata);

struct listener {
	int fd;				/* -1: not open */
	char *path;			/* of our own socket, to unlink; else NULL */
	char *passed_path;		/* of one that was passed; NULL: not to be seen from here */
	dev_t device;			/* of its file */
	ino_t inode;
	mode_t mode;			/* of our own */
	gid_t group;
	bool is_told;			/* the log says that it is gone */
	bool refuses_rights;
	struct closer *closer;		/* else */
	struct event look;
	struct event acceptable;
	struct event later;
	listener_fn fn;
	void *userdata;
};
#define LISTENER_NULL ((struct listener){ .fd = -1 })

/* Logs what is wrong. Return: 0 or -errno. */
int listener_open(struct listener *listener, const char *path, mode_t mode, gid_t group);

/* Another mode and group for our own socket; not for one that was passed. Logs. */
void listener_set_access(struct listener *listener, mode_t mode, gid_t group);

/* Look whether its file is still there; if not, bind it anew. Logs. */
void listener_look(struct listener *listener);

/* From then on fn is called for each connection. closer: for those that nobody accepts. */
void listener_start(struct listener *listener, struct event_base *base, struct closer *closer,
		    listener_fn fn, void *userdata);

/* Stop, close, and unlink our own socket. */
void listener_close(struct listener *listener);

#endif
