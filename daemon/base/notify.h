/* SPDX-License-Identifier: MIT */
/*
 * notify.h - what the service manager is told, as sd_notify(3) has it
 *
 * sd_notify() waits for a manager whose socket is full: one that hangs, or a supervisor that
 * never reads, would stop the loop. Here nobody waits. What finds no room is dropped; only the
 * state of the service is told again, ahead of each later message, until it is taken.
 *
 * The loop's thread only.
 */
#ifndef DAEMON_BASE_NOTIFY_H
#define DAEMON_BASE_NOTIFY_H

#include <stdbool.h>

/* The state from now on, as "READY=1"; it takes the place of one that was not told yet. */
void notify_state(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What is of use only now. */
void notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether the state has still to be told: have something to say soon. */
bool notify_is_behind(void);

#endif
