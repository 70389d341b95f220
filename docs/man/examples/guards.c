/* SPDX-License-Identifier: MIT */
/* One byte too many, and a write to a chunk that is not ours any more: both are found. */
#include <errno.h>
#include <error.h>
#include <mempool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
	const struct mempool_client_options options = {
		.size = sizeof(options),
		.flags = MEMPOOL_CLIENT_DEBUG,
	};
	struct mempool_client *client;
	char *chunk;
	int r;

	r = mempool_client_open(&options, &client);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_client_open");

	/* Of a pool with chunks of 128 bytes. */
	chunk = mempool_alloc(client, 100);
	if (!chunk)
		error(EXIT_FAILURE, errno, "mempool_alloc");
	printf("may write %zd\n", mempool_usable_size(client, chunk));
	memset(chunk, 'x', 101);
	r = mempool_free(client, chunk);
	printf("free: %s\n", mempool_strerror(r));
	printf("%s\n", strstr(mempool_client_error(), "byte"));

	r = mempool_free(client, chunk);
	printf("free: %s\n", mempool_strerror(r));
	chunk[8] = 'y';
	chunk = mempool_alloc(client, 100);
	printf("%s\n", chunk ? "not found" : strstr(mempool_client_error(), "byte"));

	mempool_client_close(client);
	return EXIT_SUCCESS;
}
