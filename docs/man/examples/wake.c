/* SPDX-License-Identifier: MIT */
/* A thread that waits for messages, and is asked to stop. */
#include <errno.h>
#include <error.h>
#include <mempool.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static struct mempool_client *client;
static struct mempool_queue *queue;
static atomic_bool is_stopping;

static void *receive(void *unused)
{
	void *message;
	int r;

	(void)unused;
	do {
		/* For ever. A wake that comes before it is not lost. */
		r = mempool_queue_receive(queue, &message, NULL, -1);
		if (r == 0)
			mempool_free(client, message);
	} while (r == 0 || (r == -ECANCELED && !is_stopping));
	printf("the thread: %s\n", mempool_strerror(r));
	return NULL;
}

int main(void)
{
	pthread_t thread;
	int r;

	r = mempool_client_open(NULL, &client);
	if (r == 0)
		r = mempool_queue_open(client, "frames", &queue);
	if (r < 0)
		error(EXIT_FAILURE, -r, "cannot open the queue");
	if (pthread_create(&thread, NULL, receive, NULL) != 0)
		return EXIT_FAILURE;

	/* Whether it waits already, or is still on its way. */
	is_stopping = true;
	mempool_client_wake(client);

	pthread_join(thread, NULL);
	mempool_queue_close(queue);
	mempool_client_close(client);
	return EXIT_SUCCESS;
}
