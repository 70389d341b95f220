/* SPDX-License-Identifier: MIT */
/*
 * How long a message was on its way, through a queue with `stamps: true` that the config calls
 * "frames". (Here it is its sender that receives it.)
 */
#include <errno.h>
#include <error.h>
#include <mempool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void tell(struct mempool_client *client, const void *chunk)
{
	uint64_t sent_ns, now_ns = monotonic_ns();
	time_t sent_at;
	int r = mempool_message_stamp(client, chunk, &sent_ns);

	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_message_stamp");
	/* By a sender that we trust: sent_ns is not later than now. */
	printf("%s: %s\n", (const char *)chunk,
	       now_ns - sent_ns < 60 * UINT64_C(1000000000) ? "less than a minute old" : "old");
	sent_at = (time_t)(mempool_stamp_realtime(sent_ns) / 1000000000);
	if (difftime(time(NULL), sent_at) > 60)
		printf("the clock was set, or the machine slept\n");
}

int main(void)
{
	struct mempool_client *client;
	struct mempool_queue *queue;
	char *text;
	void *chunk;
	int r;

	r = mempool_client_open(NULL, &client);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_client_open");
	r = mempool_queue_open(client, "frames", &queue);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_queue_open");
	text = mempool_alloc(client, 100);
	if (!text)
		error(EXIT_FAILURE, errno, "mempool_alloc");
	r = mempool_queue_send(queue, text, (size_t)sprintf(text, "a frame") + 1, 0);
	if (r == 0)
		r = mempool_queue_receive(queue, &chunk, NULL, 0);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_queue_receive");
	tell(client, chunk);
	mempool_free(client, chunk);
	mempool_queue_close(queue);
	mempool_client_close(client);
	return EXIT_SUCCESS;
}
