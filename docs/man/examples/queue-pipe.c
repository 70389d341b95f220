/* SPDX-License-Identifier: MIT */
/* Wait with poll() for messages on the queue "frames", until whoever sends them has left. */
#include <errno.h>
#include <error.h>
#include <mempool.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct mempool_queue *open_queue(struct mempool_client **client, uint64_t flags)
{
	const struct mempool_queue_options options = { .size = sizeof(options), .flags = flags };
	struct mempool_queue *queue;
	int r = mempool_client_open(NULL, client);

	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_client_open");
	r = mempool_queue_open_with(*client, "frames", &options, &queue);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_queue_open_with");
	return queue;
}

/* It may just as well crash: nobody has to say that this was the last message. */
static int send_some(void)
{
	struct mempool_client *client;
	struct mempool_queue *queue = open_queue(&client, MEMPOOL_QUEUE_SENDER);

	for (int i = 1; i <= 3; i++) {
		char *text = mempool_alloc(client, 100);

		if (!text)
			error(EXIT_FAILURE, errno, "mempool_alloc");
		mempool_queue_send(queue, text, (size_t)sprintf(text, "message %d", i) + 1, -1);
		usleep(20000);
	}
	mempool_queue_close(queue);
	mempool_client_close(client);
	return EXIT_SUCCESS;
}

/* Return: what the queue says when there is nothing more. */
static int receive_all(struct mempool_client *client, struct mempool_queue *queue)
{
	void *text;
	int r;

	while ((r = mempool_queue_receive(queue, &text, NULL, 0)) == 0) {
		printf("received: %s\n", (const char *)text);
		mempool_free(client, text);
	}
	return r;
}

int main(void)
{
	struct pollfd poll_fd = { .events = POLLIN };
	struct mempool_client *client;
	/* Before the sender comes: one that has left before is not missed. */
	struct mempool_queue *queue =
		open_queue(&client, MEMPOOL_QUEUE_PIPE | MEMPOOL_QUEUE_RECEIVER);
	int r;

	if (fork() == 0)
		return send_some();
	poll_fd.fd = mempool_client_fd(client);
	if (poll_fd.fd < 0)
		error(EXIT_FAILURE, -poll_fd.fd, "mempool_client_fd");

	/* Look first: it is finding nothing that makes the descriptor tell. */
	while ((r = receive_all(client, queue)) == -EAGAIN)
		if (poll(&poll_fd, 1, -1) < 0)
			error(EXIT_FAILURE, errno, "poll");
	if (r != -EPIPE)
		error(EXIT_FAILURE, -r, "mempool_queue_receive");
	puts("the last sender has left");

	wait(NULL);
	mempool_queue_close(queue);
	mempool_client_close(client);
	return EXIT_SUCCESS;
}
