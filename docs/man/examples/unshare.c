/* SPDX-License-Identifier: MIT */
/* Share a chunk, and use it again when nobody else holds it. Here one process is both. */
#include <errno.h>
#include <error.h>
#include <mempool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
	struct mempool_client *client;
	const void *received;
	void *text, *again;
	uint64_t handle;
	int r;

	r = mempool_client_open(NULL, &client);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_client_open");
	text = mempool_alloc(client, 100);
	if (!text)
		error(EXIT_FAILURE, errno, "mempool_alloc");
	strcpy(text, "first");
	r = mempool_share(client, text, 6, &handle);
	if (r == 0)
		r = mempool_acquire(client, handle, &received, NULL);
	if (r < 0)
		error(EXIT_FAILURE, -r, "cannot share");

	if (mempool_unshare(client, text, &again) == -EBUSY)
		printf("in use\n");
	mempool_free(client, received);
	printf("exclusive: %d\n", mempool_chunk_is_exclusive(client, text));

	r = mempool_unshare(client, text, &again);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_unshare");
	strcpy(again, "second");
	r = mempool_acquire(client, handle, &received, NULL);
	printf("old handle: %s\n", r == -ESTALE ? "stale" : "good");
	r = mempool_share(client, again, 7, &handle);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_share");
	printf("shared again: %s\n", (const char *)again);
	mempool_free(client, again);
	mempool_client_close(client);
	return EXIT_SUCCESS;
}
