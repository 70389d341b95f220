/* SPDX-License-Identifier: MIT */
/* handover-mempool.c - the hand-over bench (handover.h) for this project's queues */
#include "handover.h"
#include "mempool.h"
#include "support/private_daemon.h"

static struct private_daemon broker;
static int64_t timeout_ns;		/* of receive: 0 busy, -1 asleep */

static struct mempool_client *open_client(void)
{
	struct mempool_client_options options = {
		.size = sizeof(options),
		.socket_path = broker.socket_path,
	};
	struct mempool_client *client;

	if (mempool_client_open(&options, &client) < 0)
		die("no client");
	return client;
}

static struct mempool_queue *open_queue(struct mempool_client *client, const char *name)
{
	struct mempool_queue *queue;

	if (mempool_queue_open(client, name, &queue) < 0)
		die("no queue");
	return queue;
}

static void *receive(struct mempool_queue *queue)
{
	void *chunk;

	/* Busy until it comes; or asleep, and not woken by signals here. */
	while (mempool_queue_receive(queue, &chunk, NULL, timeout_ns) < 0)
		;
	return chunk;
}

static void send(struct mempool_queue *queue, void *chunk, size_t size)
{
	while (mempool_queue_send(queue, chunk, size, 0) < 0)
		;
}

static void consume(uint64_t n, size_t size)
{
	struct mempool_client *client = open_client();
	struct mempool_queue *queue = open_queue(client, "there");

	(void)size;
	for (uint64_t i = 0; i < n; i++) {
		void *chunk = receive(queue);

		check(chunk, i);
		mempool_free(client, chunk);
	}
}

static void throughput(uint64_t n)
{
	pid_t other = start_other(consume, n, MESSAGE_BYTES);
	struct mempool_client *client = open_client();
	struct mempool_queue *queue = open_queue(client, "there");
	uint64_t begin = 0;

	for (uint64_t i = 0; i < n; i++) {
		void *chunk;

		/* The first round of the ring shows that the other is there. */
		if (i == 2 * IN_FLIGHT)
			begin = clock_ns();
		while (!(chunk = mempool_alloc(client, MESSAGE_BYTES)))
			;
		fill(chunk, i);
		send(queue, chunk, MESSAGE_BYTES);
	}
	join_other(other);
	print_ns(begin, n - 2 * IN_FLIGHT);
}

static void send_new(struct mempool_client *client, struct mempool_queue *queue, size_t size,
		     uint64_t number)
{
	uint64_t *chunk = mempool_alloc(client, size);

	if (!chunk)
		die("no chunk of %zu bytes", size);
	chunk[0] = chunk[size / 8 - 1] = number;
	send(queue, chunk, size);
}

static void receive_old(struct mempool_client *client, struct mempool_queue *queue,
			size_t size, uint64_t number)
{
	uint64_t *chunk = receive(queue);

	if (chunk[0] != number || chunk[size / 8 - 1] != number)
		die("another message");
	mempool_free(client, chunk);
}

static void answer(uint64_t n, size_t size)
{
	struct mempool_client *client = open_client();
	struct mempool_queue *there = open_queue(client, "there");
	struct mempool_queue *back = open_queue(client, "back");

	for (uint64_t i = 0; i < n; i++) {
		receive_old(client, there, size, i);
		send_new(client, back, size, i);
	}
}

static void ping_pong(size_t size, uint64_t n)
{
	pid_t other = start_other(answer, n, size);
	struct mempool_client *client = open_client();
	struct mempool_queue *there = open_queue(client, "there");
	struct mempool_queue *back = open_queue(client, "back");
	uint64_t begin = 0, n_first = n / 10;

	for (uint64_t i = 0; i < n; i++) {
		if (i == n_first)
			begin = clock_ns();
		send_new(client, there, size, i);
		receive_old(client, back, size, i);
	}
	print_ns(begin, n - n_first);
	join_other(other);
}

int main(int argc, char *argv[])
{
	const char *what = argc > 1 ? argv[1] : "";

	private_daemon_init(&broker,
			    "    pools:\n"
			    "      - { chunk_size: 128, chunk_count: 1024 }\n"
			    "      - { chunk_size: 4KiB, chunk_count: 128 }\n"
			    "      - { chunk_size: 64KiB, chunk_count: 128 }\n"
			    "      - { chunk_size: 1MiB, chunk_count: 128 }\n"
			    "    queues:\n"
			    "      - { name: there, capacity: 256 }\n"
			    "      - { name: back, capacity: 256 }\n");
	private_daemon_start(&broker);
	if (strcmp(what, "throughput") == 0 && argc == 3) {
		throughput(strtoull(argv[2], NULL, 0));
	} else if (strcmp(what, "latency") == 0 && argc == 4) {
		ping_pong(strtoull(argv[2], NULL, 0), strtoull(argv[3], NULL, 0));
	} else if (strcmp(what, "blocking") == 0 && argc == 3) {
		timeout_ns = -1;
		ping_pong(MESSAGE_BYTES, strtoull(argv[2], NULL, 0));
	} else {
		fprintf(stderr, "usage: throughput N | latency SIZE N | blocking N\n");
	}
	private_daemon_deinit(&broker);
	return 0;
}
