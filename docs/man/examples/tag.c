/* SPDX-License-Identifier: MIT */
/* Say with a tag what kind of message a chunk holds. */
#include <errno.h>
#include <error.h>
#include <mempool.h>
#include <stdio.h>
#include <stdlib.h>

enum kind { KIND_TEXT = 1, KIND_PICTURE = 2 };

int main(void)
{
	struct mempool_client *client;
	uint64_t handle;
	uint32_t kind = 0;
	void *chunk;
	int r;

	r = mempool_client_open(NULL, &client);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_client_open");
	chunk = mempool_alloc(client, 100);
	if (!chunk)
		error(EXIT_FAILURE, errno, "mempool_alloc");

	mempool_chunk_set_tag(client, chunk, KIND_PICTURE);
	mempool_give(client, chunk, 100, &handle);

	/* In another process, or later in this one: */
	r = mempool_take(client, handle, &chunk, NULL);
	if (r == 0)
		r = mempool_chunk_tag(client, chunk, &kind);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_take");
	printf("%s\n", kind == KIND_PICTURE ? "a picture" : "a text");

	mempool_client_close(client);
	return EXIT_SUCCESS;
}
