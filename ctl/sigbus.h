/* SPDX-License-Identifier: MIT */
/*
 * sigbus.h - live through a mapped object that somebody truncates
 *
 * Whoever may write a segment may also cut its file short, and the next look at the lost
 * pages is a SIGBUS. The handler puts private zero pages over them and takes a note: the
 * reader runs on, over zeros, to its end, then asks whether what it read is worth anything.
 * Outside the watched range a SIGBUS kills as ever.
 */
#ifndef CTL_SIGBUS_H
#define CTL_SIGBUS_H

#include <stdbool.h>
#include <stdint.h>

/* Install the handler. Return: 0 or -errno. */
int sigbus_init(void);

/* Watch one mapping, page-aligned, instead of the last one. One thread. */
void sigbus_watch(void *base, uint64_t size_bytes);

/* Watch nothing. Return: whether the mapping lost pages since sigbus_watch(). */
bool sigbus_unwatch(void);

#endif
