/* SPDX-License-Identifier: MIT */
/* Wait up to ten seconds for the daemon, take a chunk, and leave. */
#include <errno.h>
#include <error.h>
#include <mempool.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
	const struct mempool_client_options options = {
		.size = sizeof(options),
		.name = "example",
		.timeout_ns = INT64_C(10000000000),
	};
	struct mempool_client *client;
	int r;

	r = mempool_client_open(&options, &client);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_client_open");

	if (!mempool_alloc(client, 1000))
		error(EXIT_FAILURE, errno, "mempool_alloc");

	printf("chunks left to close: %d\n", mempool_client_close(client));
	return EXIT_SUCCESS;
}
