/* SPDX-License-Identifier: MIT */
/*
 * handed.h - descriptors that the service manager handed to us as it started us
 *
 * Of two kinds, in one list (sd_listen_fds_with_names(3)): the socket that it listens on for us,
 * and what a daemon before us gave it to keep (notify_store()). Names and kinds tell them apart:
 * what is kept is a file with a name of its own form, and a socket with any other name is for
 * activation. Anything else is of no use to anybody: it is closed, and the manager is told to drop
 * it.
 *
 * What is kept stays open here until it is dropped: whoever takes it up makes a copy. Names are
 * remembered even then, so that no new one has the name of one that is still about to be dropped.
 *
 * The loop's thread only.
 */
#ifndef DAEMON_BASE_HANDED_H
#define DAEMON_BASE_HANDED_H

#include <stdbool.h>
#include <stddef.h>

/**
 * handed_init() - take them over, once, before anything else is opened
 * @is_kept_name: whether that is the form of a name of what is kept
 *
 * Return: 0; -errno.
 */
int handed_init(bool (*is_kept_name)(const char *name));

/* Close all, and forget them; the manager keeps what it has. */
void handed_deinit(void);

/* How many sockets there are for activation. *ret_fd is the first one's, and the caller's. */
unsigned int handed_sockets(int *ret_fd);

/* The descriptor of that name, which stays ours; or -1. */
int handed_find(const char *name);

/* Close it, if it was handed to us; the manager drops it, whoever gave it. */
void handed_drop(const char *name);

/* Call for the name of each that was kept, dropped or not. It may drop that one. */
void handed_each(void (*fn)(const char *name, void *userdata), void *userdata);

#endif
