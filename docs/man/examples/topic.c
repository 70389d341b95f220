/* SPDX-License-Identifier: MIT */
/*
 * News from another process, on a topic that the config calls "camera". An empty message
 * says here that there is no more.
 */
#include <errno.h>
#include <error.h>
#include <mempool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct mempool_topic *open_topic(struct mempool_client **client)
{
	struct mempool_topic *topic;
	int r = mempool_client_open(NULL, client);

	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_client_open");
	r = mempool_topic_open(*client, "camera", &topic);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_topic_open");
	return topic;
}

static void publish(void)
{
	struct mempool_client *client;
	struct mempool_topic *topic = open_topic(&client);

	for (int i = 1; i <= 4; i++) {
		char *news = mempool_alloc(client, 100);
		size_t length;
		int r;

		if (!news)
			error(EXIT_FAILURE, errno, "mempool_alloc");
		length = i < 4 ? (size_t)sprintf(news, "frame %d", i) + 1 : 0;
		r = mempool_topic_publish(topic, news, length);
		if (r < 0)
			error(EXIT_FAILURE, -r, "mempool_topic_publish");
	}
	mempool_topic_close(topic);
	mempool_client_close(client);
}

static void listen(struct mempool_client *client, struct mempool_subscriber *subscriber)
{
	const void *news;
	size_t length;
	int r;

	do {
		r = mempool_subscriber_next(subscriber, &news, &length, NULL, -1);
		if (r == -EINTR)
			continue;
		if (r < 0)
			error(EXIT_FAILURE, -r, "mempool_subscriber_next");
		if (length > 0)
			printf("%s\n", (const char *)news);
		mempool_free(client, news);
	} while (r < 0 || length > 0);
}

int main(void)
{
	struct mempool_subscriber *subscriber;
	struct mempool_client *client;
	struct mempool_topic *topic = open_topic(&client);
	int r;

	/* Before there is a publisher: what it says from now on is not missed. */
	r = mempool_topic_subscribe(topic, MEMPOOL_TOPIC_NEW, &subscriber);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_topic_subscribe");

	switch (fork()) {
	case -1:
		error(EXIT_FAILURE, errno, "fork");
		break;
	case 0:
		publish();
		break;
	default:
		listen(client, subscriber);
		wait(NULL);
	}
	/* By the child of the fork, too: there it frees private memory only. */
	mempool_subscriber_close(subscriber);
	mempool_topic_close(topic);
	mempool_client_close(client);
	return EXIT_SUCCESS;
}
