/* SPDX-License-Identifier: MIT */
/* Hand a message to another process: its handle goes through a pipe, its bytes do not. */
#include <errno.h>
#include <error.h>
#include <mempool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct mempool_client *open_client(void)
{
	struct mempool_client *client;
	int r = mempool_client_open(NULL, &client);

	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_client_open");
	return client;
}

static int receive(int pipe_fd)
{
	struct mempool_client *client = open_client();
	uint64_t handle;
	size_t length;
	void *chunk;
	int r;

	if (read(pipe_fd, &handle, sizeof(handle)) != sizeof(handle))
		error(EXIT_FAILURE, errno, "read");
	r = mempool_take(client, handle, &chunk, &length);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_take");
	printf("%zu bytes: %s\n", length, (const char *)chunk);

	r = mempool_take(client, handle, &chunk, &length);
	printf("once more: %s\n", strerror(-r));

	mempool_client_close(client);
	return EXIT_SUCCESS;
}

static void send(int pipe_fd)
{
	struct mempool_client *client = open_client();
	uint64_t handle;
	char *text;
	int r;

	text = mempool_alloc(client, 100);
	if (!text)
		error(EXIT_FAILURE, errno, "mempool_alloc");
	strcpy(text, "hello");
	r = mempool_give(client, text, 6, &handle);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_give");
	if (write(pipe_fd, &handle, sizeof(handle)) != sizeof(handle))
		error(EXIT_FAILURE, errno, "write");

	/* Closing frees what nobody has taken yet: wait for the receiver. */
	wait(NULL);
	mempool_client_close(client);
}

int main(void)
{
	int fds[2];

	if (pipe(fds) < 0)
		error(EXIT_FAILURE, errno, "pipe");

	/* A client does not survive fork(): each side opens its own. */
	switch (fork()) {
	case -1:
		error(EXIT_FAILURE, errno, "fork");
		break;
	case 0:
		return receive(fds[0]);
	default:
		send(fds[1]);
	}
	return EXIT_SUCCESS;
}
