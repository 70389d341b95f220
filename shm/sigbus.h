/* SPDX-License-Identifier: MIT */
/*
 * sigbus.h - a client truncates a segment: whoever looks at it lives
 *
 * POSIX shared memory cannot be sealed, so whoever may write a segment may shorten it, and
 * then the next access to what is gone is a SIGBUS. The handler puts zeroed private memory
 * in the place of the whole mapping and notes it; the access goes on and reads nonsense,
 * which the reader expects of a segment anyway, and whoever looks at sigbus_was_hit() gives
 * the segment up. A SIGBUS anywhere else ends the process as ever. For the daemon and its
 * tools; a library must not take a signal from its program.
 *
 * Each thread watches its own ranges: the handler only runs inside an access of that thread to a
 * range, never inside the functions here. The mapping that it takes away is everybody's: whoever
 * watches a range for another thread passes a hit on.
 */
#ifndef SHM_SIGBUS_H
#define SHM_SIGBUS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct sigbus_range {
	struct sigbus_range *next;
	unsigned char *base;
	size_t size;
	_Atomic bool hit;
};

/* Install the handler, and unblock the signal in the calling thread. Return: 0 or -errno. */
int sigbus_init(void);

/* By the calling thread. range stays where it is until sigbus_unwatch(), which is legal on zeroed
 * memory. */
void sigbus_watch(struct sigbus_range *range, void *base, size_t size);
void sigbus_unwatch(struct sigbus_range *range);

bool sigbus_was_hit(const struct sigbus_range *range);

/* Another thread was hit, in the same mapping. */
void sigbus_hit(struct sigbus_range *range);

#endif
