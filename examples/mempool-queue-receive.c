/* SPDX-License-Identifier: MIT */
/*
 * mempool-queue-receive.c - receive a file from mempool-queue-send, message by message
 *
 *	mempool-queue-send QUEUE FILE &
 *	mempool-queue-receive QUEUE OUT
 *
 * A queue hands each message to one receiver, in the order of its sender. The numbers in the
 * tags say so if it was not this one: if somebody else received from the queue, or the file
 * began before this program.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mempool.h"

struct receiver {
	struct mempool_client *client;
	struct mempool_queue *queue;
	FILE *file;
	unsigned long delay_us;		/* spent on each message, as if there were work to do */
	uint32_t n_received;
	uint64_t n_bytes;
};

static int fail(const char *what, int error)
{
	fprintf(stderr, "mempool-queue-receive: %s: %s\n", what, strerror(-error));
	return -1;
}

/* Write what a message holds. */
static int take_piece(struct receiver *receiver, const void *chunk, size_t length)
{
	const struct timespec delay = {
		.tv_sec = (time_t)(receiver->delay_us / 1000000),
		.tv_nsec = (long)(receiver->delay_us % 1000000 * 1000),
	};
	uint32_t number;
	int r;

	r = mempool_chunk_tag(receiver->client, chunk, &number);
	if (r < 0)
		return fail("mempool_chunk_tag", r);
	if (number != receiver->n_received) {
		fprintf(stderr, "mempool-queue-receive: message %u came where %u was due\n",
			number, receiver->n_received);
		return -1;
	}
	if (fwrite(chunk, 1, length, receiver->file) < length)
		return fail("write", -errno);
	if (receiver->delay_us > 0)
		nanosleep(&delay, NULL);

	receiver->n_received++;
	receiver->n_bytes += length;
	return 0;
}

/* Until the empty message. */
static int receive_file(struct receiver *receiver, const char *queue)
{
	size_t length = 0;
	void *chunk;
	int r;

	r = mempool_queue_open(receiver->client, queue, &receiver->queue);
	if (r < 0)
		return fail(queue, r);
	do {
		r = mempool_queue_receive(receiver->queue, &chunk, &length, -1);
		if (r < 0) {
			fail("mempool_queue_receive", r);
			break;
		}
		r = take_piece(receiver, chunk, length);
		mempool_free(receiver->client, chunk);
	} while (r == 0 && length > 0);
	mempool_queue_close(receiver->queue);
	return r;
}

int main(int argc, char **argv)
{
	const struct mempool_client_options options = {
		.size = sizeof(options),
		.name = "queue-receive",
	};
	struct receiver receiver = { 0 };
	int r;

	if (argc < 3 || argc > 4) {
		fputs("Usage: mempool-queue-receive QUEUE OUT [MICROSECONDS_PER_MESSAGE]\n",
		      stderr);
		return 64;
	}
	if (argc == 4)
		receiver.delay_us = strtoul(argv[3], NULL, 10);

	receiver.file = fopen(argv[2], "we");
	if (!receiver.file) {
		fail(argv[2], -errno);
		return EXIT_FAILURE;
	}
	r = mempool_client_open(&options, &receiver.client);
	if (r < 0) {
		fail("mempool_client_open", r);
		return EXIT_FAILURE;
	}

	r = receive_file(&receiver, argv[1]);
	mempool_client_close(receiver.client);
	if (fclose(receiver.file) != 0)
		r = fail("close", -errno);
	if (r < 0)
		return EXIT_FAILURE;

	printf("mempool-queue-receive: %llu bytes in %u messages\n",
	       (unsigned long long)receiver.n_bytes, receiver.n_received);
	return EXIT_SUCCESS;
}
