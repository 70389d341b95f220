/* SPDX-License-Identifier: MIT */
/* Take all chunks of one kind, and give them back. */
#include <errno.h>
#include <error.h>
#include <mempool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define N_CHUNKS 2000

int main(void)
{
	static void *chunks[N_CHUNKS];
	struct mempool_client *client;
	ssize_t n;
	int r;

	r = mempool_client_open(NULL, &client);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_client_open");

	n = mempool_alloc_many(client, 4096, chunks, N_CHUNKS);
	printf("taken: %zd\n", n);
	if (n < N_CHUNKS)
		printf("then: %s\n", strerror((int)-mempool_alloc_many(client, 4096, chunks + n, 1)));
	printf("given back: %zd\n", mempool_free_many(client, chunks, (size_t)n));

	mempool_client_close(client);
	return EXIT_SUCCESS;
}
