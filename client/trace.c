/* SPDX-License-Identifier: MIT */
#include "trace.h"

#include <errno.h>

#include "locate.h"
#include "tracer.h"

void trace_came_slowly(struct cache *cache, const void *chunk, const void *site)
{
	struct mempool_client *client = cache_client(cache);
	const struct pool *pool;
	int error = errno;
	struct trace trace;
	uint32_t index;
	uint64_t word;

	if (client_locate(client, chunk, &pool, &index) < 0)
		return;
	/* Relaxed: we hold it, so that it names us, or a manager of ours. */
	word = atomic_load_explicit(&pool->entries[index].word, memory_order_relaxed);
	/* The call itself is before the place where it returns to. */
	tracer_tell(cache->tracer, client->segment, (uintptr_t)site - 1, &trace);
	trace_put(client->segment, (struct chunk_ref){ pool->id, index }, word, client->holder,
		  &trace);
	errno = error;
}

bool trace_read(const struct mempool_client *client, struct chunk_ref chunk,
		struct trace *ret_trace, struct trace_module *ret_module)
{
	const struct segment *segment = client->segment;
	/* Relaxed: as above. */
	uint64_t word = atomic_load_explicit(
		&segment->pools[chunk.pool].entries[chunk.index].word, memory_order_relaxed);

	if (!segment->modules ||
	    !trace_find(segment, chunk, word, client->holder, ret_trace))
		return false;
	if (!trace_read_module(segment, ret_trace->module, ret_module))
		*ret_module = (struct trace_module){ 0 };
	return true;
}
