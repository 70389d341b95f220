/* SPDX-License-Identifier: MIT */
/*
 * keep.h - what the service manager keeps for us of a generation (FileDescriptorStoreMax=)
 *
 *	NAME.GENERATION.control		the descriptors of its objects, by these names
 *	NAME.GENERATION.data
 *
 * A state file says whether what comes back is what was given. What has no state file is abandoned
 * at the start, before anything is made. It is of a generation that was never finished, or of one that
 * was removed while nobody listened: nobody is in it, and it is dropped. Or the state file was lost, or
 * is in another folder: clients that live there are told that it is stale, and it stays for them.
 */
#ifndef DAEMON_SEGMENTS_KEEP_H
#define DAEMON_SEGMENTS_KEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/segments/house.h"
#include "shm/segment_memory.h"

/* Whether it is of the form above. */
bool keep_is_name(const char *name);

/* Whether any of these has been handed to us. */
bool keep_has_any(void);

/* The highest generation of a segment that anything was handed over of, dropped or not; 0: none. */
uint64_t keep_last_generation(const char *segment_name);

/**
 * keep_store() - give the service manager both objects of a generation
 *
 * It has read that when this returns. It does not say whether it keeps them.
 *
 * Threads: any.
 * Return: 0; as notify_store(). On error it may have one of them.
 */
int keep_store(const char *segment_name, uint64_t generation, struct segment_fds fds);

/* What was handed to us as that object, which stays as it is; -1: nothing. */
int keep_find(const char *segment_name, uint64_t generation, enum geometry_object object);

/* The generation is over: both are dropped. */
void keep_drop(const char *segment_name, uint64_t generation);

/* It has no state file that is of use: its clients are told so, or it is dropped. Logs that. */
void keep_abandon(const char *segment_name, uint64_t generation);

/* Abandon all that has no state file. Return: 0; -errno the state folder cannot be read, and nothing
 * was done. */
int keep_clear(const struct house *house);

#endif
