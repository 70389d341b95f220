/* SPDX-License-Identifier: MIT */
/*
 * manager.h - the service manager that started us, as libsystemd knows it
 *
 * One of two files is built. manager.c asks libsystemd. With -Dsystemd=disabled it is
 * manager_none.c, which needs no library and does as if there were no manager: nobody is
 * told anything, no socket and no kept descriptor is taken over, and there is no
 * watchdog.
 *
 * The loop's thread only, but for manager_socket().
 */
#ifndef DAEMON_BASE_MANAGER_H
#define DAEMON_BASE_MANAGER_H

#include <stdbool.h>
#include <stdint.h>

/* The first descriptor that a manager hands over (sd_listen_fds(3)). */
#define MANAGER_FIRST_FD 3

/**
 * manager_handed() - how many descriptors it handed over, from MANAGER_FIRST_FD on
 * @ret_names: NULL, or where to put their names: an array, and strings in it, that the
 * caller frees; not set unless there are some
 *
 * What it said in our environment is gone afterwards. A build without libsystemd says
 * once that it does not look.
 *
 * Return: 0 none; how many; -errno.
 */
int manager_handed(char ***ret_names);

/* Whether fd is a socket that listens, of that type, and of that family, or any
 * (AF_UNSPEC). Return: 0 no; 1 yes; -errno. */
int manager_is_listening(int fd, int family, int type);

/* Whether it wants to hear of us, at least each so many microseconds. ret_usec: may be
 * NULL. */
bool manager_watches(uint64_t *ret_usec);

/* Where to tell it something; NULL: nowhere. */
const char *manager_socket(void);

/* Say that we are ready. Waits where the manager does not read: not for the daemon, see
 * notify.h. */
void manager_say_ready(void);

#endif
