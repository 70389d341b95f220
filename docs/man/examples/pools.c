/* SPDX-License-Identifier: MIT */
/* Print what there is and what is used of it. */
#include <error.h>
#include <inttypes.h>
#include <mempool.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
	struct mempool_pool_info pools[62];
	struct mempool_client *client;
	int n, r;

	r = mempool_client_open(NULL, &client);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_client_open");

	n = mempool_client_pools(client, pools, 62);
	if (n < 0)
		error(EXIT_FAILURE, -n, "mempool_client_pools");
	for (int i = 0; i < n; i++)
		printf("%" PRIu64 " bytes: %" PRIu64 " of %" PRIu64 " used%s\n",
		       pools[i].chunk_size, pools[i].used, pools[i].total,
		       pools[i].flags & MEMPOOL_POOL_RESERVE ? ", in reserve" : "");

	mempool_client_close(client);
	return EXIT_SUCCESS;
}
