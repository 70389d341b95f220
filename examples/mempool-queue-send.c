/* SPDX-License-Identifier: MIT */
/*
 * mempool-queue-send.c - cut a file into messages and send them to a queue
 *
 *	mempool-queue-send QUEUE FILE &
 *	mempool-queue-receive QUEUE OUT
 *
 * The file is read straight into shared memory. The tag numbers the messages; an empty one,
 * which is what reading yields at the end of a file, says that it is complete. What was sent
 * stays in the queue: the sender need not wait for a receiver, nor live until there is one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mempool.h"

#define DEFAULT_CHUNK_BYTES 4096

struct sender {
	struct mempool_client *client;
	struct mempool_queue *queue;
	FILE *file;
	size_t chunk_bytes;
	uint32_t n_sent;
	uint64_t n_bytes;
};

static int fail(const char *what, int error)
{
	fprintf(stderr, "mempool-queue-send: %s: %s\n", what, strerror(-error));
	return -1;
}

/* The next piece of the file. Return: its bytes; 0: its end was sent; -1 */
static ssize_t send_piece(struct sender *sender)
{
	size_t length;
	void *chunk;
	int r;

	/* Both wait: for a chunk that somebody frees, for a message that somebody receives. */
	chunk = mempool_alloc_wait(sender->client, sender->chunk_bytes, -1);
	if (!chunk)
		return fail("mempool_alloc_wait", -errno);

	length = fread(chunk, 1, sender->chunk_bytes, sender->file);
	if (ferror(sender->file))
		return fail("read", -errno);
	r = mempool_chunk_set_tag(sender->client, chunk, sender->n_sent);
	if (r == 0)
		r = mempool_queue_send(sender->queue, chunk, length, -1);
	if (r < 0)
		return fail("mempool_queue_send", r);

	sender->n_sent++;
	sender->n_bytes += length;
	return (ssize_t)length;
}

static int send_file(struct sender *sender, const char *queue)
{
	ssize_t n;
	int r;

	r = mempool_queue_open(sender->client, queue, &sender->queue);
	if (r < 0)
		return fail(queue, r);
	do {
		n = send_piece(sender);
	} while (n > 0);
	mempool_queue_close(sender->queue);
	return (int)n;
}

int main(int argc, char **argv)
{
	const struct mempool_client_options options = {
		.size = sizeof(options),
		.name = "queue-send",
	};
	struct sender sender = { .chunk_bytes = DEFAULT_CHUNK_BYTES };
	int r;

	if (argc == 4)
		sender.chunk_bytes = strtoul(argv[3], NULL, 10);
	if (argc < 3 || argc > 4 || sender.chunk_bytes == 0) {
		fputs("Usage: mempool-queue-send QUEUE FILE [BYTES_PER_CHUNK]\n", stderr);
		return 64;
	}

	sender.file = fopen(argv[2], "re");
	if (!sender.file) {
		fail(argv[2], -errno);
		return EXIT_FAILURE;
	}
	r = mempool_client_open(&options, &sender.client);
	if (r < 0) {
		fail("mempool_client_open", r);
		return EXIT_FAILURE;
	}

	r = send_file(&sender, argv[1]);
	mempool_client_close(sender.client);
	fclose(sender.file);
	if (r < 0)
		return EXIT_FAILURE;

	printf("mempool-queue-send: %llu bytes in %u messages\n",
	       (unsigned long long)sender.n_bytes, sender.n_sent);
	return EXIT_SUCCESS;
}
