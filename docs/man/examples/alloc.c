/* SPDX-License-Identifier: MIT */
/* Take chunks, use them, give them back. A chunk that is freed twice is told apart. */
#include <errno.h>
#include <error.h>
#include <mempool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
	struct mempool_client *client;
	void *chunk, *page, *another;
	int r;

	r = mempool_client_open(NULL, &client);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_client_open");

	chunk = mempool_alloc(client, 1000);
	page = mempool_alloc_aligned(client, 100, 4096);
	another = mempool_alloc_wait(client, 1000, 1000000000);
	if (!chunk || !page || !another)
		error(EXIT_FAILURE, errno, "mempool_alloc");
	memset(chunk, 'x', 1000);
	printf("asked for 1000, may write %zd\n", mempool_usable_size(client, chunk));
	printf("begins on a page: %s\n", (uintptr_t)page % 4096 == 0 ? "yes" : "no");

	r = mempool_free(client, chunk);
	printf("free: %s\n", strerror(-r));
	r = mempool_free(client, chunk);
	printf("free: %s\n", strerror(-r));

	if (!mempool_alloc(client, 1000000))
		printf("alloc: %s\n", strerror(errno));

	mempool_free(client, page);
	mempool_free(client, another);
	mempool_client_close(client);
	return EXIT_SUCCESS;
}
