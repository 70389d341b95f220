/* SPDX-License-Identifier: MIT */
/*
 * process.h - one incarnation of a process, known from a record
 *
 * A pid alone may be used again. From Linux 6.9 on the inode of a pidfd names one process
 * for as long as the machine runs; before that the start time beside the pid does. A pidfd
 * holds on to that one process and becomes readable when its last thread is gone.
 *
 * Dead means exactly: the pidfd is readable; or the pids compare (origin.h), and there is no
 * process of that pid, or another one. Whatever else goes wrong, the process counts as alive.
 * Where nobody gives us a pidfd (profiles of old containers refuse pidfd_open(2), and before
 * Linux 6.5 a connection has none), only asking again shows its end.
 *
 * A process of a pid namespace that we do not see into has no pid here. From Linux 6.9 on its
 * connection gives us a pidfd all the same, whose inode says which one it is, and which tells its
 * end. Of such a one a record without that pidfd says nothing: it is of elsewhere.
 */
#ifndef DAEMON_BASE_PROCESS_H
#define DAEMON_BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/base/origin.h"

struct process {
	pid_t pid;			/* 0: it cannot be told, or it has none here */
	uint64_t start_time;		/* of origin_start_time(); 0: not looked up, so nothing is known by it */
	uint64_t inode;			/* of its pidfd; 0: this kernel gives none of its own */
	struct origin origin;
};

/* The inode of a pidfd, if that names its process; else 0: before Linux 6.9. */
uint64_t process_inode(int pidfd);

/* Whether the process of a pidfd has ended. */
bool process_has_ended(int pidfd);

/**
 * process_open() - hold on to a process known from a record
 * @origin:    our own
 * @ret_pidfd: the caller's
 *
 * Return: 0 it lives;
 *	-ESRCH	it is dead
 *	-EXDEV	its pid is of elsewhere, or hidden from us: there is nothing to see
 *	any other -errno: cannot tell, so it lives, but there is no pidfd (ask again later).
 */
int process_open(const struct process *process, const struct origin *origin, int *ret_pidfd);

/**
 * process_open_peer() - hold on to the process that connected a Unix socket
 * @pid:       of SO_PEERCRED; 0: it has none here
 * @ret_pidfd: -1: it lives, but we are given none
 *
 * A process that its pidfd tells apart is not looked up: see process_look_up().
 *
 * Return: 0; -ESRCH it has ended or is not visible; -EXDEV it has no pid here, and this kernel tells
 *	   nothing else of it; -errno.
 */
int process_open_peer(int socket_fd, pid_t pid, const struct origin *origin, int *ret_pidfd,
		      struct process *ret_process);

/* The start time of a living process that has none yet. Return: whether it has one now. */
bool process_look_up(struct process *process, int pidfd);

/* Whether both are the same incarnation of a process. */
bool process_is(const struct process *a, const struct process *b);

#endif
