/* SPDX-License-Identifier: MIT */
/* Print what waits in the queues of a segment, and what its topics keep. */
#include <errno.h>
#include <error.h>
#include <inttypes.h>
#include <mempool.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX 16	/* lists end here */

static void print(struct mempool_client *client)
{
	struct mempool_queue_counts queues[MAX];
	struct mempool_topic_counts topics[MAX];
	int n_queues = mempool_client_queues(client, queues, MAX);
	int n_topics = mempool_client_topics(client, topics, MAX);

	for (int i = 0; i < n_queues && i < MAX; i++)
		printf("queue %s: %" PRIu64 " of %" PRIu64 " wait\n", queues[i].name,
		       queues[i].length, queues[i].capacity);
	for (int i = 0; i < n_topics && i < MAX; i++)
		printf("topic %s: keeps %" PRIu64 " of %" PRIu64 "\n", topics[i].name,
		       topics[i].length, topics[i].capacity);
}

int main(void)
{
	struct mempool_client *client;
	struct mempool_queue *queue = NULL;
	void *message;
	int r;

	r = mempool_client_open(NULL, &client);
	if (r == 0)
		r = mempool_queue_open(client, "frames", &queue);
	if (r < 0)
		error(EXIT_FAILURE, -r, "cannot open the queue");

	for (int i = 0; i < 2; i++) {
		message = mempool_alloc(client, 100);
		if (!message)
			error(EXIT_FAILURE, errno, "mempool_alloc");
		mempool_queue_send(queue, message, 100, 0);
	}
	print(client);

	while (mempool_queue_receive(queue, &message, NULL, 0) == 0)
		mempool_free(client, message);
	mempool_queue_close(queue);
	mempool_client_close(client);
	return EXIT_SUCCESS;
}
