/* SPDX-License-Identifier: MIT */
/* Small messages that stand in the slots of a queue. */
#include <errno.h>
#include <error.h>
#include <mempool.h>
#include <stdio.h>
#include <stdlib.h>

struct tick {
	uint32_t number;
	double price;
};

int main(void)
{
	struct mempool_queue *queue = NULL;
	struct mempool_client *client;
	struct tick tick;
	size_t length;
	int r;

	r = mempool_client_open(NULL, &client);
	if (r == 0)
		r = mempool_queue_open(client, "ticks", &queue);
	if (r < 0)
		error(EXIT_FAILURE, -r, "cannot open the queue");

	for (uint32_t i = 1; i <= 3; i++) {
		tick = (struct tick){ .number = i, .price = 100 + i * 0.25 };
		r = mempool_queue_send_bytes(queue, &tick, sizeof(tick), 0);
		if (r < 0)
			error(EXIT_FAILURE, -r, "mempool_queue_send_bytes");
	}

	while (mempool_queue_receive_bytes(queue, &tick, sizeof(tick), &length, 0) == 0)
		printf("tick %u of %zu bytes: %.2f\n", tick.number, length, tick.price);

	mempool_queue_close(queue);
	mempool_client_close(client);
	return EXIT_SUCCESS;
}
