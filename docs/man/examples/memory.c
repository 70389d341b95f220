/* SPDX-License-Identifier: MIT */
/* Which buffer of which pool is a chunk, where a device knows the pools by number and place? */
#include <errno.h>
#include <error.h>
#include <inttypes.h>
#include <mempool.h>
#include <stdio.h>
#include <stdlib.h>

static void print_place(const struct mempool_pool_memory *pools, int n, const char *chunk)
{
	for (int i = 0; i < n; i++) {
		const char *base = pools[i].base;

		if (chunk >= base && chunk < base + pools[i].length)
			printf("pool %d, %s\n", i,
			       (uint64_t)(chunk - base) % pools[i].stride == 0
				       ? "at the start of a chunk" : "inside a chunk");
	}
}

int main(void)
{
	struct mempool_pool_memory pools[62];
	struct mempool_client *client;
	void *chunk;
	int n, r;

	r = mempool_client_open(NULL, &client);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_client_open");
	n = mempool_client_memory(client, pools, 62);
	for (int i = 0; i < n; i++)
		/* Here a device would be told, as by ibv_reg_mr(3). */
		printf("register %" PRIu64 " bytes, %" PRIu64 " each\n", pools[i].length,
		       pools[i].stride);

	chunk = mempool_alloc_zeroed(client, 1000);
	if (!chunk)
		error(EXIT_FAILURE, errno, "mempool_alloc_zeroed");
	print_place(pools, n, chunk);
	mempool_free(client, chunk);

	/* And here it would forget them. */
	mempool_client_close(client);
	return EXIT_SUCCESS;
}
