/* SPDX-License-Identifier: MIT */
/* A viewer that is slow: it looks at the newest picture, and is told how many it passed over. */
#include <errno.h>
#include <error.h>
#include <inttypes.h>
#include <mempool.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
	const struct mempool_subscribe_options newest = {
		.size = sizeof(newest),
		.start = MEMPOOL_TOPIC_NEW,
		.flags = MEMPOOL_SUBSCRIBE_NEWEST,
	};
	struct mempool_subscriber *viewer = NULL;
	struct mempool_topic *topic = NULL;
	struct mempool_client *client;
	const void *message;
	uint64_t missed;
	int r;

	r = mempool_client_open(NULL, &client);
	if (r == 0)
		r = mempool_topic_open(client, "camera", &topic);
	if (r == 0)
		r = mempool_topic_subscribe_with(topic, &newest, &viewer);
	if (r < 0)
		error(EXIT_FAILURE, -r, "cannot subscribe");

	for (int i = 1; i <= 10; i++) {
		int *picture = mempool_alloc(client, sizeof(*picture));

		if (!picture)
			error(EXIT_FAILURE, errno, "mempool_alloc");
		*picture = i;
		mempool_topic_publish(topic, picture, sizeof(*picture));
	}

	while (mempool_subscriber_next(viewer, &message, NULL, &missed, 0) == 0) {
		printf("picture %d, %" PRIu64 " passed over\n", *(const int *)message, missed);
		mempool_free(client, message);
	}
	mempool_subscriber_close(viewer);
	mempool_topic_close(topic);
	mempool_client_close(client);
	return EXIT_SUCCESS;
}
