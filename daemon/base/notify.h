/* SPDX-License-Identifier: MIT */
/*
 * notify.h - what the service manager is told, as sd_notify(3) has it
 *
 * sd_notify() waits for a manager whose socket is full: one that hangs, or a supervisor that
 * never reads, would stop the loop. Here nobody waits. What finds no room is dropped; only the
 * state of the service, and what must not be lost, are told again, ahead of each later message,
 * until they are taken.
 *
 * The loop's thread only, but for notify_store().
 */
#ifndef DAEMON_BASE_NOTIFY_H
#define DAEMON_BASE_NOTIFY_H

#include <stdbool.h>

/* The state from now on, as "READY=1"; it takes the place of one that was not told yet. */
void notify_state(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What is of use only now. */
void notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What must be told once. Only without memory it is not. */
void notify_surely(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether something has still to be told: have something to say soon. */
bool notify_is_behind(void);

/**
 * notify_store() - give the manager a descriptor to keep (FileDescriptorStoreMax=)
 * @name: by which it comes back
 *
 * The manager does not answer: that it has taken the descriptor is known, whether it keeps it is
 * not. Waits for some seconds at most, each time.
 *
 * Threads: any.
 * Return: 0; -ENOTCONN there is no manager; -ETIMEDOUT it does not listen; -errno.
 */
int notify_store(const char *name, int fd);

/* As notify_store(), and waits for nobody. The loop's thread only. Return: -EAGAIN there is no room,
 * or what was to be told before it is not told yet; else as notify_store(). */
int notify_offer(const char *name, int fd);

/* Wait until it has read all that it was sent. Threads, Return: as notify_store(). */
int notify_barrier(void);

#endif
