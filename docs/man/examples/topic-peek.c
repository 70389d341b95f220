/* SPDX-License-Identifier: MIT */
/*
 * Two ways to read without holding: a copy, and a look that is verified. The topic keeps 64
 * messages, so the one that was looked at goes with the 64th after it.
 */
#include <errno.h>
#include <error.h>
#include <inttypes.h>
#include <mempool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void publish(struct mempool_client *client, struct mempool_topic *topic, int n)
{
	for (int i = 0; i < n; i++) {
		char *news = mempool_alloc(client, 100);

		if (!news)
			error(EXIT_FAILURE, errno, "mempool_alloc");
		mempool_topic_publish(topic, news, (size_t)sprintf(news, "frame %d", i) + 1);
	}
}

int main(void)
{
	struct mempool_subscriber *subscriber = NULL;
	struct mempool_client *client;
	struct mempool_topic *topic = NULL;
	const void *news;
	char buffer[100];
	uint64_t missed;
	int r;

	r = mempool_client_open(NULL, &client);
	if (r == 0)
		r = mempool_topic_open(client, "camera", &topic);
	if (r == 0)
		r = mempool_topic_subscribe(topic, MEMPOOL_TOPIC_NEW, &subscriber);
	if (r < 0)
		error(EXIT_FAILURE, -r, "cannot subscribe");

	publish(client, topic, 2);
	r = mempool_subscriber_copy(subscriber, buffer, sizeof(buffer), NULL, NULL, NULL, -1);
	if (r == 0)
		printf("copied: %s\n", buffer);

	r = mempool_subscriber_peek(subscriber, &news, NULL, NULL, NULL, -1);
	if (r == 0) {
		memcpy(buffer, news, sizeof(buffer));
		r = mempool_subscriber_verify(subscriber);
		/* Only now it is known to be a string. */
		printf("looked at: %s\n", r == 0 ? buffer : strerror(-r));
	}

	publish(client, topic, 64);
	r = mempool_subscriber_verify(subscriber);
	printf("looked at later: %s\n", strerror(-r));

	r = mempool_subscriber_copy(subscriber, buffer, sizeof(buffer), NULL, NULL, &missed, -1);
	if (r == 0)
		printf("copied: %s, missed %" PRIu64 "\n", buffer, missed);

	mempool_subscriber_close(subscriber);
	mempool_topic_close(topic);
	mempool_client_close(client);
	return EXIT_SUCCESS;
}
