/* SPDX-License-Identifier: MIT */
/* A queue for one sender, which is this thread; a second handle is told so, until the first is closed. */
#include <errno.h>
#include <error.h>
#include <mempool.h>
#include <stdio.h>
#include <stdlib.h>

static int send_text(struct mempool_client *client, struct mempool_queue *queue, const char *text)
{
	char *chunk = mempool_alloc(client, 100);
	int r;

	if (!chunk)
		error(EXIT_FAILURE, errno, "mempool_alloc");
	r = mempool_queue_send(queue, chunk, (size_t)snprintf(chunk, 100, "%s", text) + 1, 0);
	/* It is still ours. */
	if (r < 0)
		mempool_free(client, chunk);
	return r;
}

int main(void)
{
	const struct mempool_queue_options options = {
		.size = sizeof(options),
		.flags = MEMPOOL_QUEUE_SENDER,
	};
	struct mempool_queue *queue = NULL, *standby = NULL;
	struct mempool_client *client;
	void *text;
	int r = mempool_client_open(NULL, &client);

	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_client_open");
	r = mempool_queue_open_with(client, "samples", &options, &queue);
	if (r == 0)
		r = mempool_queue_open(client, "samples", &standby);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_queue_open");

	printf("the sender: %s\n", send_text(client, queue, "first") == 0 ? "sent" : "not sent");
	printf("the standby: %s\n", send_text(client, standby, "second") == -EBUSY ? "busy" : "sent");
	mempool_queue_close(queue);
	printf("the standby, now: %s\n", send_text(client, standby, "third") == 0 ? "sent" : "busy");

	while (mempool_queue_receive(standby, &text, NULL, 0) == 0) {
		printf("received: %s\n", (const char *)text);
		mempool_free(client, text);
	}
	mempool_queue_close(standby);
	mempool_client_close(client);
	return EXIT_SUCCESS;
}
