/* SPDX-License-Identifier: MIT */
/*
 * mempool-produce.c - cut a file into chunks and hand them to mempool-consume
 *
 *	mempool-consume SOCKET OUT &
 *	mempool-produce SOCKET FILE
 *
 * The file is read straight into shared memory; what is sent is a handle for each chunk. A
 * chunk that was given and not yet taken belongs to the giver, so the producer waits for the
 * consumer's answers before it closes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mempool.h"
#include "transfer.h"

#define DEFAULT_CHUNK_BYTES 4096

struct producer {
	struct mempool_client *client;
	int file;
	int socket;
	size_t chunk_bytes;
	unsigned int n_in_flight;
	uint64_t n_chunks;
	uint64_t n_bytes;
};

static int fail(const char *what, int error)
{
	fprintf(stderr, "mempool-produce: %s: %s\n", what, strerror(-error));
	return -1;
}

/* One answer: a chunk is free again. */
static int wait_for_answer(struct producer *producer)
{
	uint64_t handle;
	int r = transfer_receive(producer->socket, &handle);

	if (r < 0)
		return fail("consumer", r);
	producer->n_in_flight--;
	return 0;
}

/*
 * A free chunk. When every one is held, some of them are ours and on their way: the next
 * answer frees one. With none on their way others hold them all, and we look now and then.
 */
static void *allocate(struct producer *producer)
{
	const struct timespec a_while = { .tv_nsec = 1000000 };
	void *chunk;

	while (!(chunk = mempool_alloc(producer->client, producer->chunk_bytes))) {
		if (errno != EAGAIN) {
			fail("mempool_alloc", -errno);
			return NULL;
		}
		if (producer->n_in_flight == 0)
			nanosleep(&a_while, NULL);
		else if (wait_for_answer(producer) < 0)
			return NULL;
	}
	return chunk;
}

/* The next piece of the file. Return: 1; 0 at its end; -1, and the reason was printed. */
static int produce_chunk(struct producer *producer)
{
	uint64_t handle;
	void *chunk;
	ssize_t n;
	int r;

	if (producer->n_in_flight == TRANSFER_WINDOW && wait_for_answer(producer) < 0)
		return -1;

	chunk = allocate(producer);
	if (!chunk)
		return -1;

	n = read(producer->file, chunk, producer->chunk_bytes);
	if (n <= 0) {
		r = n < 0 ? fail("read", -errno) : 0;
		mempool_free(producer->client, chunk);
		return r;
	}

	r = mempool_give(producer->client, chunk, (size_t)n, &handle);
	if (r < 0)
		return fail("mempool_give", r);
	r = transfer_send(producer->socket, handle);
	if (r < 0)
		return fail("consumer", r);

	producer->n_in_flight++;
	producer->n_chunks++;
	producer->n_bytes += (uint64_t)n;
	return 1;
}

static int produce(struct producer *producer)
{
	int r;

	do {
		r = produce_chunk(producer);
	} while (r > 0);
	if (r < 0)
		return r;

	r = transfer_send(producer->socket, MEMPOOL_HANDLE_NONE);
	if (r < 0)
		return fail("consumer", r);
	producer->n_in_flight++;
	while (producer->n_in_flight > 0)
		if (wait_for_answer(producer) < 0)
			return -1;
	return 0;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address;
	int fd, r;

	r = transfer_address(path, &address);
	if (r < 0)
		return fail(path, r);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail("socket", -errno);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		fail(path, -errno);
		close(fd);
		return -1;
	}
	return fd;
}

int main(int argc, char **argv)
{
	const struct mempool_client_options options = {
		.size = sizeof(options),
		.name = "produce",
	};
	struct producer producer = { .chunk_bytes = DEFAULT_CHUNK_BYTES };
	int r;

	if (argc == 4)
		producer.chunk_bytes = strtoul(argv[3], NULL, 10);
	if (argc < 3 || argc > 4 || producer.chunk_bytes == 0) {
		fputs("Usage: mempool-produce SOCKET FILE [BYTES_PER_CHUNK]\n", stderr);
		return 64;
	}

	producer.file = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (producer.file < 0) {
		fail(argv[2], -errno);
		return EXIT_FAILURE;
	}
	producer.socket = connect_to(argv[1]);
	if (producer.socket < 0)
		return EXIT_FAILURE;
	r = mempool_client_open(&options, &producer.client);
	if (r < 0) {
		fail("mempool_client_open", r);
		return EXIT_FAILURE;
	}

	r = produce(&producer);
	mempool_client_close(producer.client);
	close(producer.socket);
	close(producer.file);
	if (r < 0)
		return EXIT_FAILURE;

	printf("mempool-produce: %llu bytes in %llu chunks\n",
	       (unsigned long long)producer.n_bytes, (unsigned long long)producer.n_chunks);
	return EXIT_SUCCESS;
}
