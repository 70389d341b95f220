/* SPDX-License-Identifier: MIT */
/*
 * place.h - where a daemon keeps its state and listens, for a next one that cannot read its config
 *
 * The service manager keeps it beside the descriptors of memfds (keep.h), as a small sealed file:
 * the path of the state folder and the key `house` that are in use, and the socket of the config with
 * its mode and group. A daemon that can read its config does as that says, and never looks at it.
 *
 * It is no descriptor of the folder: that would keep its file system from being unmounted, and
 * lead into the mount namespace of a daemon that has ended.
 *
 * What comes back is input: it is copied once and checked.
 */
#ifndef DAEMON_SEGMENTS_PLACE_H
#define DAEMON_SEGMENTS_PLACE_H

#include <stdbool.h>

#include "daemon/config/conf.h"
#include "daemon/segments/house.h"

/* What the manager has. All zero: it is not known. */
struct place {
	struct place_note *note;	/* what it was given; NULL: nothing */
	bool is_behind;			/* it is to have another one: place_keep() again, soon */
};

/* Whether the descriptor of that name is this. */
bool place_is_name(const char *name);

/**
 * place_keep() - have the manager keep it, if it does not yet
 *
 * Waits for nobody. What it does not take now is due (is_behind).
 *
 * Threads: the loop's only.
 */
void place_keep(struct place *place, const struct house *house, const struct conf *conf);

/* Nothing of ours is kept any more, so nor is this. */
void place_drop(struct place *place);
void place_deinit(struct place *place);

/**
 * place_find() - what was handed to us, into a config that says nothing of it
 *
 * Return: 0; -ENOENT nothing was; -EBADMSG it is damaged; -ENOMEM. On error nothing is changed.
 */
int place_find(struct conf *conf);

#endif
