/* SPDX-License-Identifier: MIT */
/* Say what went wrong in words that help. */
#include <mempool.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
	const struct mempool_client_options options = {
		.size = sizeof(options),
		.segment = "no such name",
	};
	struct mempool_queue *queue;
	struct mempool_client *client;
	int r;

	if (mempool_client_open(&options, &client) < 0)
		printf("cannot attach: %s\n", mempool_client_error());

	r = mempool_client_open(NULL, &client);
	if (r < 0)
		return EXIT_FAILURE;
	r = mempool_queue_open(client, "no-such-queue", &queue);
	if (r < 0)
		printf("no-such-queue: %s\n", mempool_strerror(r));
	mempool_client_close(client);
	return EXIT_SUCCESS;
}
