/* SPDX-License-Identifier: MIT */
/*
 * Jobs for another process, on a queue that the config calls "frames". A message stays in
 * the queue when its sender is gone; an empty one says here that there are no more.
 */
#include <errno.h>
#include <error.h>
#include <mempool.h>
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

static void work(void)
{
	struct mempool_client *client;
	struct mempool_queue *queue = open_queue(&client);
	size_t length;
	void *job;
	int r;

	do {
		r = mempool_queue_receive(queue, &job, &length, -1);
		if (r == -EINTR)
			continue;
		if (r < 0)
			error(EXIT_FAILURE, -r, "mempool_queue_receive");
		if (length > 0)
			printf("job: %s\n", (const char *)job);
		mempool_free(client, job);
	} while (r < 0 || length > 0);

	mempool_queue_close(queue);
	mempool_client_close(client);
}

static void send_jobs(void)
{
	struct mempool_client *client;
	struct mempool_queue *queue = open_queue(&client);

	for (int i = 1; i <= 4; i++) {
		char *job = mempool_alloc(client, 100);
		size_t length;
		int r;

		if (!job)
			error(EXIT_FAILURE, errno, "mempool_alloc");
		length = i < 4 ? (size_t)sprintf(job, "number %d", i) + 1 : 0;
		r = mempool_queue_send(queue, job, length, 1000000000);
		if (r < 0)
			error(EXIT_FAILURE, -r, "mempool_queue_send");
	}
	mempool_queue_close(queue);
	mempool_client_close(client);
}

int main(void)
{
	switch (fork()) {
	case -1:
		error(EXIT_FAILURE, errno, "fork");
		break;
	case 0:
		send_jobs();
		break;
	default:
		work();
		wait(NULL);
	}
	return EXIT_SUCCESS;
}
