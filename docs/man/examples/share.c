/* SPDX-License-Identifier: MIT */
/* Let two other processes read one chunk. The last one that lets go frees it. */
#include <errno.h>
#include <error.h>
#include <mempool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_READERS 2

static struct mempool_client *open_client(void)
{
	struct mempool_client *client;
	int r = mempool_client_open(NULL, &client);

	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_client_open");
	return client;
}

static int read_message(int handles_fd, int acquired_fd)
{
	struct mempool_client *client = open_client();
	const void *chunk;
	uint64_t handle;
	int r;

	if (read(handles_fd, &handle, sizeof(handle)) != sizeof(handle))
		error(EXIT_FAILURE, errno, "read");
	r = mempool_acquire(client, handle, &chunk, NULL);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_acquire");
	if (write(acquired_fd, "", 1) != 1)
		error(EXIT_FAILURE, errno, "write");

	printf("read: %s\n", (const char *)chunk);
	mempool_free(client, chunk);
	mempool_client_close(client);
	return EXIT_SUCCESS;
}

static void share_message(int handles_fd, int acquired_fd)
{
	struct mempool_client *client = open_client();
	uint64_t handle;
	char *text, byte;
	int r;

	text = mempool_alloc(client, 100);
	if (!text)
		error(EXIT_FAILURE, errno, "mempool_alloc");
	strcpy(text, "hello, all");
	r = mempool_share(client, text, 11, &handle);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_share");
	for (int i = 0; i < N_READERS; i++)
		if (write(handles_fd, &handle, sizeof(handle)) != sizeof(handle))
			error(EXIT_FAILURE, errno, "write");

	/* Our own share keeps the chunk until each reader has one. */
	for (int i = 0; i < N_READERS; i++)
		if (read(acquired_fd, &byte, 1) != 1)
			error(EXIT_FAILURE, errno, "read");
	mempool_free(client, text);
	mempool_client_close(client);
}

int main(void)
{
	int handles[2], acquired[2];

	if (pipe(handles) < 0 || pipe(acquired) < 0)
		error(EXIT_FAILURE, errno, "pipe");
	for (int i = 0; i < N_READERS; i++)
		if (fork() == 0)
			return read_message(handles[0], acquired[1]);

	share_message(handles[1], acquired[0]);
	for (int i = 0; i < N_READERS; i++)
		wait(NULL);
	return EXIT_SUCCESS;
}
