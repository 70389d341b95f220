/* SPDX-License-Identifier: MIT */
/*
 * last.h - a config out of what is there, for a start with one that cannot be used
 *
 * A daemon that was handed what the service manager has kept must not end: some managers drop it
 * then (systemd before 254 does, whatever the status). So it goes on with the segments that its
 * state files speak of, as they are. Where the state folder is, and the socket, the service manager
 * has kept, too (segments/place.h). What else a config says is not known: all is as by default, and
 * nobody new is let in but root and the daemon's user, until a reload finds a config that is right.
 */
#ifndef DAEMON_LAST_H
#define DAEMON_LAST_H

#include "daemon/config/conf.h"

/**
 * last_conf() - the segments that there are
 * @path:        of the config, for a reload
 * @socket_path: of the command line, or NULL
 *
 * There may be none in it: then all that is there is retired, and is watched.
 *
 * Return: 0; -ENOENT nothing that was kept has a state file, so there is nothing to go on for;
 *	   -errno.
 */
int last_conf(const char *path, const char *socket_path, struct conf **ret_conf);

#endif
