/* SPDX-License-Identifier: MIT */
/* One that comes late, and begins with the last three pictures that there were. */
#include <errno.h>
#include <error.h>
#include <mempool.h>
#include <stdio.h>
#include <stdlib.h>

static void publish_ten(struct mempool_client *client, struct mempool_topic *topic)
{
	for (int i = 1; i <= 10; i++) {
		int *picture = mempool_alloc(client, sizeof(*picture));

		if (!picture)
			error(EXIT_FAILURE, errno, "mempool_alloc");
		*picture = i;
		mempool_topic_publish(topic, picture, sizeof(*picture));
	}
}

int main(void)
{
	const struct mempool_subscribe_options last = {
		.size = sizeof(last),
		.start = MEMPOOL_TOPIC_LAST,
		.n_last = 3,
	};
	struct mempool_subscriber *viewer;
	struct mempool_topic *topic = NULL;
	struct mempool_client *client;
	const void *message;
	int r;

	r = mempool_client_open(NULL, &client);
	if (r == 0)
		r = mempool_topic_open(client, "camera", &topic);
	if (r < 0)
		error(EXIT_FAILURE, -r, "cannot open the topic");

	publish_ten(client, topic);
	r = mempool_topic_subscribe_with(topic, &last, &viewer);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_topic_subscribe_with");
	while (mempool_subscriber_next(viewer, &message, NULL, NULL, 0) == 0) {
		printf("picture %d\n", *(const int *)message);
		mempool_free(client, message);
	}
	mempool_subscriber_close(viewer);
	mempool_topic_close(topic);
	mempool_client_close(client);
	return EXIT_SUCCESS;
}
