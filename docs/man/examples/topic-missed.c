/* SPDX-License-Identifier: MIT */
/* A subscriber that is too slow: the topic keeps the last 64 of 100 messages. */
#include <errno.h>
#include <error.h>
#include <inttypes.h>
#include <mempool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
	struct mempool_subscriber *subscriber = NULL;
	struct mempool_client *client;
	struct mempool_topic *topic = NULL;
	uint64_t missed, n_missed = 0;
	const void *message;
	int r, n_read = 0;

	r = mempool_client_open(NULL, &client);
	if (r == 0)
		r = mempool_topic_open(client, "camera", &topic);
	if (r == 0)
		r = mempool_topic_subscribe(topic, MEMPOOL_TOPIC_NEW, &subscriber);
	if (r < 0)
		error(EXIT_FAILURE, -r, "cannot subscribe");

	for (int i = 0; i < 100; i++) {
		void *chunk = mempool_alloc(client, 100);

		if (!chunk)
			error(EXIT_FAILURE, errno, "mempool_alloc");
		mempool_topic_publish(topic, chunk, 100);
	}

	while ((r = mempool_subscriber_next(subscriber, &message, NULL, &missed, 0)) == 0) {
		n_read++;
		n_missed += missed;
		mempool_free(client, message);
	}
	printf("read %d, missed %" PRIu64 ", then: %s\n", n_read, n_missed, strerror(-r));

	mempool_subscriber_close(subscriber);
	mempool_topic_close(topic);
	mempool_client_close(client);
	return EXIT_SUCCESS;
}
