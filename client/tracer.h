/* SPDX-License-Identifier: MIT */
/*
 * tracer.h - what one thread knows of the modules that its calls come from
 *
 * A thread's own, and of one client: nobody else reads or writes it. A module that it has not met before is
 * looked for among those that are loaded, under the loader's lock, and gets its line in the segment.
 */
#ifndef CLIENT_TRACER_H
#define CLIENT_TRACER_H

#include <stdint.h>

#include "shm/trace.h"

struct tracer;

/* Of the calling thread. Return: NULL: out of memory. */
struct tracer *tracer_new(void);
void tracer_free(struct tracer *tracer);

/* Now, by this thread, from that address. */
void tracer_tell(struct tracer *tracer, const struct segment *segment, uintptr_t address,
		 struct trace *ret_trace);

#endif
