/* SPDX-License-Identifier: MIT */
/* read-c.c - read-c SEGMENT: what it read and missed of the topic "camera", and how many were wrong */
#include <stdio.h>
#include <stdlib.h>

#include "frames.h"
#include "mempool.h"

int main(int argc, char **argv)
{
	struct mempool_client_options options = { .size = sizeof(options) };
	unsigned long long n_read = 0, n_missed = 0, n_wrong = 0;
	struct mempool_subscriber *subscriber;
	struct mempool_client *client;
	struct mempool_topic *topic;
	const void *chunk;
	uint64_t missed;
	size_t length;

	options.segment = argc > 1 ? argv[1] : NULL;
	if (mempool_client_open(&options, &client) < 0 ||
	    mempool_topic_open(client, "camera", &topic) < 0 ||
	    mempool_topic_subscribe(topic, MEMPOOL_TOPIC_NEW, &subscriber) < 0)
		return 1;
	puts("ready");
	fflush(stdout);
	do {
		if (mempool_subscriber_next(subscriber, &chunk, &length, &missed, -1) < 0)
			return 1;
		n_missed += missed;
		if (length > 0) {
			n_read++;
			n_wrong += !frames_are_right(chunk, length);
		}
		mempool_free(client, chunk);
	} while (length > 0);
	printf("read %llu missed %llu wrong %llu\n", n_read, n_missed, n_wrong);
	mempool_subscriber_close(subscriber);
	mempool_topic_close(topic);
	return mempool_client_close(client);
}
