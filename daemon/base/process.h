/* SPDX-License-Identifier: MIT */
/*
 * process.h - one incarnation of a process: its pid and the time it started
 *
 * A pid alone may be used again; with the start time (field 22 of /proc/PID/stat, clock
 * ticks since boot) it names one process for as long as the machine runs. A pidfd holds on
 * to that one process and becomes readable when its last thread is gone.
 *
 * Dead means exactly: pidfd_open() says ESRCH, the pidfd is readable, or the start time is
 * another. Whatever else goes wrong, the process counts as alive.
 */
#ifndef DAEMON_BASE_PROCESS_H
#define DAEMON_BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Return: 0; -ESRCH no such process, or hidden from us; -errno. */
int process_start_time(pid_t pid, uint64_t *ret_start_time);

/* Whether the process of a pidfd has ended. */
bool process_has_ended(int pidfd);

/**
 * process_open() - hold on to a process known from a record
 * @ret_pidfd: the caller's
 *
 * Return: 0 it lives; -ESRCH it is dead; any other -errno: cannot tell, so it lives, but
 *         there is no pidfd (ask again later).
 */
int process_open(pid_t pid, uint64_t start_time, int *ret_pidfd);

/**
 * process_open_peer() - hold on to the process that connected a Unix socket
 * @pid: of SO_PEERCRED
 *
 * Return: 0; -ESRCH it has ended or is not visible; -errno.
 */
int process_open_peer(int socket_fd, pid_t pid, int *ret_pidfd, uint64_t *ret_start_time);

#endif
