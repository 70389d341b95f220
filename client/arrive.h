/* SPDX-License-Identifier: MIT */
/*
 * arrive.h - a chunk has come to this process from elsewhere: it is traced, and checked from now on
 *
 * Behind a call that has found the calling thread's cache, and has left its straight line, as it does
 * where there is a trace or a checker.
 */
#ifndef CLIENT_ARRIVE_H
#define CLIENT_ARRIVE_H

#include "checker.h"
#include "trace.h"

/* @site: as of trace_came(). Changes no errno. */
static inline void arrive(const void *chunk, const void *site)
{
	if (likely(!cache_current->is_watched))
		return;
	if (cache_client(cache_current)->checker)
		checker_came(cache_current, chunk);
	trace_came(chunk, site);
}

static inline void arrive_many(void *const *chunks, size_t n, const void *site)
{
	for (size_t i = 0; unlikely(cache_current->is_watched) && i < n; i++)
		arrive(chunks[i], site);
}

#endif
