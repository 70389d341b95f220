/* SPDX-License-Identifier: MIT */
/*
 * trace.h - where in the program a chunk came to this process (shm/trace.h)
 *
 * In a segment that keeps traces, each thread's cache has a tracer. Every public function by which a
 * chunk comes leaves its straight line then, and stores the place that it was called from. Where
 * none are kept that costs nothing: what such a function compares in any case, the calling thread's
 * cache with the client, is made to fail (cache.h, cache_plain() and cache_writer()). Only an
 * alloc of many chunks looks at the tracer, once a call.
 */
#ifndef CLIENT_TRACE_H
#define CLIENT_TRACE_H

#include "cache.h"
#include "shm/trace.h"

/* Who has called a public function. In that function itself: of one that is inlined it is another. */
#define CALL_SITE __builtin_extract_return_addr(__builtin_return_address(0))

/* The slow part of trace_came(). */
void trace_came_slowly(struct cache *cache, const void *chunk, const void *site);

/**
 * trace_came() - a chunk has just come to this process
 * @chunk: that it holds, alone or with others
 * @site:  CALL_SITE of the public function
 *
 * Changes no errno. Behind a call that has found the calling thread's cache.
 */
static inline void trace_came(const void *chunk, const void *site)
{
	if (unlikely(cache_current->tracer != NULL))
		trace_came_slowly(cache_current, chunk, site);
}

/* Several of them. */
static inline void trace_came_many(void *const *chunks, size_t n, const void *site)
{
	for (size_t i = 0; unlikely(cache_current->tracer != NULL) && i < n; i++)
		trace_came_slowly(cache_current, chunks[i], site);
}

/* What was not sent after all, and is OWNED by us again, under the next generation. */
static inline void trace_kept(const struct cache *cache, struct chunk_ref chunk, uint64_t owned)
{
	if (unlikely(cache->tracer != NULL))
		trace_renew(cache_client(cache)->segment, chunk, owned);
}

/**
 * trace_read() - what is known of this process's hold of a chunk
 * @chunk:      that it holds
 * @ret_module: of the trace; of one that names none, empty
 *
 * Return: false: no trace is kept, or nothing is known.
 */
bool trace_read(const struct mempool_client *client, struct chunk_ref chunk,
		struct trace *ret_trace, struct trace_module *ret_module);

#endif
