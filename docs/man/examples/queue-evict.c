/* SPDX-License-Identifier: MIT */
/* A queue that keeps the newest readings: nobody receives, and the sender never waits. */
#include <errno.h>
#include <error.h>
#include <mempool.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
	struct mempool_client *client;
	struct mempool_queue *queue = NULL;
	int n_sent = 0, n_evicted = 0, r;
	void *message;

	r = mempool_client_open(NULL, &client);
	if (r == 0)
		r = mempool_queue_open(client, "frames", &queue);
	if (r < 0)
		error(EXIT_FAILURE, -r, "cannot open the queue");

	for (int i = 1; i <= 1500; i++) {
		int *reading = mempool_alloc(client, sizeof(*reading));

		if (!reading)
			error(EXIT_FAILURE, errno, "mempool_alloc");
		*reading = i;
		do {
			void *oldest;

			r = mempool_queue_send_evict(queue, reading, sizeof(*reading), &oldest,
						     NULL);
			if (oldest) {
				n_evicted++;
				mempool_free(client, oldest);
			}
		} while (r == -EAGAIN);
		if (r < 0)
			error(EXIT_FAILURE, -r, "mempool_queue_send_evict");
		n_sent++;
	}

	r = mempool_queue_receive(queue, &message, NULL, 0);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_queue_receive");
	printf("sent %d, evicted %d, the oldest is %d\n", n_sent, n_evicted, *(int *)message);
	do
		mempool_free(client, message);
	while (mempool_queue_receive(queue, &message, NULL, 0) == 0);

	mempool_queue_close(queue);
	mempool_client_close(client);
	return EXIT_SUCCESS;
}
