/* SPDX-License-Identifier: MIT */
/*
 * wait.h - try, and sleep on an eventcount until it is worth another try
 */
#ifndef CLIENT_WAIT_H
#define CLIENT_WAIT_H

#include <stdint.h>

#include "shm/eventcount.h"

/* -EAGAIN: not now. All else is passed on to the caller. */
typedef int (*wait_try_fn)(void *userdata);

/**
 * wait_for() - try until it works, or time is over
 * @timeout_ns: 0 tries once; negative for ever
 *
 * Between two tries it sleeps, and no longer than a slice (shm/eventcount.h).
 * Return: what the try says, -EAGAIN after the timeout; -EINTR a signal handler ran.
 */
int wait_for(struct mempool_eventcount *eventcount, wait_try_fn try, void *userdata,
	     int64_t timeout_ns);

#endif
