/* SPDX-License-Identifier: MIT */
/*
 * orphan.h - objects that no state file of ours speaks of, whether or not the config has their
 *	      segment
 *
 *	of another house	never touched
 *	its daemon's lock held	a daemon of our house, with another state folder, has it: left
 *	a client's lock held	its state file was lost: its clients are told that it is stale, and
 *				nothing is removed or reaped under them
 *	no lock			its daemon was killed before it had a state file, or all who lived
 *				in it are gone: unlinked, never emptied, since a mapping may live on
 *				whose lock was closed
 *	another name of one of our objects	unlinked
 */
#ifndef DAEMON_SEGMENTS_ORPHAN_H
#define DAEMON_SEGMENTS_ORPHAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/config/conf.h"
#include "daemon/segments/house.h"
#include "daemon/segments/state.h"

/* Whoever is in the segment of that control learns that it leads nowhere. Return: whether it is one
 * at all. */
bool orphan_tell_stale(int fd);

/* A generation that has a state file. */
struct orphan_known {
	uint64_t generation;
	const struct state_object *objects;	/* both; NULL: the file cannot be read */
};

/**
 * orphans_clear() - do that for all objects of a segment
 * @tell_others: whether those of other houses are named in the log
 *
 * Logs. Return: 0; -EBUSY some of our house are left; -errno.
 */
int orphans_clear(const struct house *house, const char *segment_name,
		  const struct orphan_known *known, size_t n_known, bool tell_others);

/**
 * orphans_clear_left() - do that for all objects of our house whose segment has left the config,
 *			  and has no state file at all
 *
 * Logs. Return: as orphans_clear().
 */
int orphans_clear_left(const struct house *house, const struct conf *conf);

#endif
