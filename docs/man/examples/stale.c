/* SPDX-License-Identifier: MIT */
/* Go to the new segment once the old one is retired. To be called between two jobs. */
#include <error.h>
#include <mempool.h>
#include <stdio.h>
#include <stdlib.h>

static int reopen_if_stale(struct mempool_client **client)
{
	if (!mempool_client_is_stale(*client))
		return 0;
	mempool_client_close(*client);
	*client = NULL;
	return mempool_client_open(NULL, client);
}

int main(void)
{
	struct mempool_client *client;
	int r;

	r = mempool_client_open(NULL, &client);
	if (r == 0)
		r = reopen_if_stale(&client);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_client_open");

	printf("stale: %s\n", mempool_client_is_stale(client) ? "yes" : "no");
	mempool_client_close(client);
	return EXIT_SUCCESS;
}
