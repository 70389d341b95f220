/* SPDX-License-Identifier: MIT */
/*
 * keep.h - what the service manager keeps for us of a generation (FileDescriptorStoreMax=)
 *
 *	NAME.GENERATION.control		the descriptors of its objects, by these names
 *	NAME.GENERATION.data
 *
 * A state file says whether what comes back is what was given. What has no state file is dropped at
 * the start, before anything is made: it is of a generation that was never finished, or of one that
 * was removed while nobody listened.
 */
#ifndef DAEMON_SEGMENTS_KEEP_H
#define DAEMON_SEGMENTS_KEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/segments/house.h"

/* Whether it is of the form above. */
bool keep_is_name(const char *name);

/* The highest generation of a segment that anything was handed over of, dropped or not; 0: none. */
uint64_t keep_last_generation(const char *segment_name);

/* Drop what has no state file. Logs that. Return: 0; -errno the state folder cannot be read, and
 * nothing was dropped. */
int keep_clear(const struct house *house);

#endif
