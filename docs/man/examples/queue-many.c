/* SPDX-License-Identifier: MIT */
/* Send several messages at once, and receive what is there. */
#include <errno.h>
#include <error.h>
#include <mempool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define N_MESSAGES 8

int main(void)
{
	void *chunks[N_MESSAGES], *received[100];
	size_t lengths[N_MESSAGES];
	struct mempool_client *client;
	struct mempool_queue *queue = NULL;
	ssize_t n;
	int r;

	r = mempool_client_open(NULL, &client);
	if (r == 0)
		r = mempool_queue_open(client, "frames", &queue);
	if (r < 0)
		error(EXIT_FAILURE, -r, "cannot open the queue");

	for (int i = 0; i < N_MESSAGES; i++) {
		chunks[i] = mempool_alloc(client, 100);
		if (!chunks[i])
			error(EXIT_FAILURE, errno, "mempool_alloc");
		lengths[i] = (size_t)sprintf(chunks[i], "message %d", i) + 1;
	}
	n = mempool_queue_send_many(queue, chunks, lengths, N_MESSAGES, 0);
	printf("sent: %zd\n", n);

	n = mempool_queue_receive_many(queue, received, NULL, 100, 0);
	printf("received: %zd, the last is %s\n", n, (const char *)received[n - 1]);
	for (ssize_t i = 0; i < n; i++)
		mempool_free(client, received[i]);

	n = mempool_queue_receive_many(queue, received, NULL, 100, 0);
	printf("then: %s\n", strerror((int)-n));

	mempool_queue_close(queue);
	mempool_client_close(client);
	return EXIT_SUCCESS;
}
