/* SPDX-License-Identifier: MIT */
/*
 * remove.h - mempoold --remove: unlink the segments of a config that nobody lives in
 *
 * No daemon may have them, which their locks tell. What is not ours, lives in another pid
 * namespace, or cannot be read is left, and said so.
 */
#ifndef DAEMON_SEGMENTS_REMOVE_H
#define DAEMON_SEGMENTS_REMOVE_H

#include "daemon/config/conf.h"

/* Return: 0; -EBUSY something was left since it is in use; -errno. Logs what it does. */
int remove_segments(const struct conf *conf);

#endif
