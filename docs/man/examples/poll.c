/* SPDX-License-Identifier: MIT */
/* Wait for messages on the queue "frames" with poll(), as one would for any descriptor. */
#include <errno.h>
#include <error.h>
#include <mempool.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct mempool_queue *open_queue(struct mempool_client **client)
{
	struct mempool_queue *queue;
	int r = mempool_client_open(NULL, client);

	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_client_open");
	r = mempool_queue_open(*client, "frames", &queue);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_queue_open");
	return queue;
}

/* Receive until there is nothing more. Return: whether the last one was received. */
static bool receive_all(struct mempool_client *client, struct mempool_queue *queue)
{
	bool is_last = false;
	size_t length;
	void *text;
	int r;

	while ((r = mempool_queue_receive(queue, &text, &length, 0)) == 0) {
		if (length > 0)
			printf("received: %s\n", (const char *)text);
		is_last = length == 0;
		mempool_free(client, text);
	}
	if (r != -EAGAIN)
		error(EXIT_FAILURE, -r, "mempool_queue_receive");
	return is_last;
}

static int send_some(void)
{
	struct mempool_client *client;
	struct mempool_queue *queue = open_queue(&client);

	for (int i = 1; i <= 4; i++) {
		char *text = mempool_alloc(client, 100);
		size_t length;

		if (!text)
			error(EXIT_FAILURE, errno, "mempool_alloc");
		length = i < 4 ? (size_t)sprintf(text, "message %d", i) + 1 : 0;
		mempool_queue_send(queue, text, length, -1);
		usleep(20000);
	}
	mempool_queue_close(queue);
	mempool_client_close(client);
	return EXIT_SUCCESS;
}

int main(void)
{
	struct pollfd poll_fd = { .events = POLLIN };
	struct mempool_client *client;
	struct mempool_queue *queue;

	if (fork() == 0)
		return send_some();

	queue = open_queue(&client);
	poll_fd.fd = mempool_client_fd(client);
	if (poll_fd.fd < 0)
		error(EXIT_FAILURE, -poll_fd.fd, "mempool_client_fd");

	/* Look first: it is finding nothing that makes the descriptor tell. */
	while (!receive_all(client, queue))
		if (poll(&poll_fd, 1, -1) < 0)
			error(EXIT_FAILURE, errno, "poll");

	wait(NULL);
	mempool_queue_close(queue);
	mempool_client_close(client);
	return EXIT_SUCCESS;
}
