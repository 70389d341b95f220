/* SPDX-License-Identifier: MIT */
#include "locate.h"

#include <errno.h>

int client_locate(const struct mempool_client *client, const void *chunk,
		  const struct pool **ret_pool, uint32_t *ret_index)
{
	const struct pool *pools = client->segment->pools;
	uintptr_t address = (uintptr_t)chunk;
	uint32_t low = 0, high = client->n_pools;

	/* The last pool that begins at or before it; pools lie in the order of their ids. */
	while (high - low > 1) {
		uint32_t middle = (low + high) / 2;

		if (address < (uintptr_t)pools[middle].data)
			high = middle;
		else
			low = middle;
	}
	/* Before the first pool, the difference wraps and is out of bounds too. */
	*ret_pool = &pools[low];
	return pool_index(&pools[low], address - (uintptr_t)pools[low].data, ret_index);
}

int client_locate_handle(const struct mempool_client *client, uint64_t handle,
			 const struct pool **ret_pool, uint32_t *ret_index)
{
	uint32_t pool = handle_pool(handle);

	if (handle == MEMPOOL_HANDLE_NONE)
		return -EINVAL;
	if (pool >= client->n_pools ||
	    handle_index(handle) >= client->segment->pools[pool].n_chunks)
		return -ESTALE;
	*ret_pool = &client->segment->pools[pool];
	*ret_index = handle_index(handle);
	return 0;
}
