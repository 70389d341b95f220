/* SPDX-License-Identifier: MIT */
/*
 * last.h - a config out of what is there, for a start with one that cannot be used
 *
 * A daemon that was handed what the service manager has kept must not end: some managers drop it
 * then (systemd before 254 does, whatever the status). So it goes on with the segments that its
 * state files speak of, as they are. What else a config says is not known: all is as by default, and
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
 * The state folder is where it is by default.
 *
 * Return: 0; -ENOENT there is none; -errno.
 */
int last_conf(const char *path, const char *socket_path, struct conf **ret_conf);

#endif
