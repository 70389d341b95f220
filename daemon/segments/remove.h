/* SPDX-License-Identifier: MIT */
/*
 * remove.h - mempoold --remove: unlink the segments that nobody lives in, of the config and of those
 *	      that have left it
 *
 * No daemon may have their state folder, which its lock tells. What somebody lives in, or may
 * live in, is left, and what is of another state folder or user is named and left.
 */
#ifndef DAEMON_SEGMENTS_REMOVE_H
#define DAEMON_SEGMENTS_REMOVE_H

#include "daemon/config/conf.h"

/* socket_path: of the command line, or NULL. Logs what it does. Return: 0; -EBUSY something was
 * left since it is in use; -errno. */
int remove_segments(const struct conf *conf, const char *socket_path);

#endif
