/* SPDX-License-Identifier: MIT */
/* A record of three parts, each in a chunk of its own: all of them, or none. */
#include <errno.h>
#include <error.h>
#include <mempool.h>
#include <stdio.h>
#include <stdlib.h>

#define N_PARTS 3

int main(void)
{
	struct mempool_client *client;
	void *parts[N_PARTS];
	int r;

	r = mempool_client_open(NULL, &client);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_client_open");

	r = mempool_alloc_all(client, 1000, parts, N_PARTS);
	if (r == 0) {
		printf("%d parts of 1000 bytes\n", N_PARTS);
		mempool_free_many(client, parts, N_PARTS);
	} else if (r == -EAGAIN) {
		puts("not now: nothing is held");
	}
	/* No pool has such chunks. */
	r = mempool_alloc_all(client, 1000000, parts, N_PARTS);
	printf("of 1000000 bytes: %s\n", mempool_strerror(r));
	mempool_client_close(client);
	return EXIT_SUCCESS;
}
