/* SPDX-License-Identifier: MIT */
/*
 * process.h - the process behind a holder: what /proc of this machine says of its pid
 *
 * A record has a pid of the daemon's pid namespace, and when its process attached. Here that pid may be
 * another process's: where the daemon is in another namespace, or when it was used again. One that has
 * started after the record was made is not the one. Whatever cannot be read is left empty.
 */
#ifndef CTL_PROCESS_H
#define CTL_PROCESS_H

#include <stdbool.h>

#include "shm/holder.h"

#define PROCESS_COMMAND_BYTES 256
#define PROCESS_PLACE_BYTES 64

struct process_words {
	char command[PROCESS_COMMAND_BYTES];	/* its arguments, a blank between two; ASCII */
	char place[PROCESS_PLACE_BYTES];	/* its unit, "camera.service", or its container,
						 * "docker 0123456789ab", by its cgroup */
};

/* Whether the process that has the pid of a record now began before that record. */
bool process_is_holder(const struct holder *record);

/* Of one that is not the holder's: all is empty. */
void process_describe(const struct holder *record, struct process_words *ret_words);

/* The unit or container that a line of /proc/PID/cgroup names; empty: none. */
void process_place_of(const char *cgroup, char ret_place[static PROCESS_PLACE_BYTES]);

#endif
