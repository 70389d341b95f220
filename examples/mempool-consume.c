/* SPDX-License-Identifier: MIT */
/*
 * mempool-consume.c - receive a file from mempool-produce, chunk by chunk
 *
 *	mempool-consume SOCKET OUT &
 *	mempool-produce SOCKET FILE
 *
 * For each handle: take the chunk, write it out straight from shared memory, free it, say
 * so. A producer that dies takes back what was not taken yet: a handle is then stale, and
 * never names somebody else's data.
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

struct consumer {
	struct mempool_client *client;
	int file;
	int socket;
	unsigned long delay_us;		/* spent on each chunk, as if there were work to do */
	uint64_t n_chunks;
	uint64_t n_bytes;
};

static int fail(const char *what, int error)
{
	fprintf(stderr, "mempool-consume: %s: %s\n", what, strerror(-error));
	return -1;
}

static int write_all(int fd, const unsigned char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, bytes, length);

		if (n < 0)
			return fail("write", -errno);
		bytes += n;
		length -= (size_t)n;
	}
	return 0;
}

static int consume_chunk(struct consumer *consumer, uint64_t handle)
{
	const struct timespec delay = {
		.tv_sec = (time_t)(consumer->delay_us / 1000000),
		.tv_nsec = (long)(consumer->delay_us % 1000000 * 1000),
	};
	size_t length;
	void *chunk;
	int r;

	r = mempool_take(consumer->client, handle, &chunk, &length);
	if (r < 0)
		return fail("mempool_take", r);

	r = write_all(consumer->file, chunk, length);
	if (consumer->delay_us > 0)
		nanosleep(&delay, NULL);
	mempool_free(consumer->client, chunk);

	consumer->n_chunks++;
	consumer->n_bytes += length;
	return r;
}

/* Until the producer says that it is done. */
static int consume(struct consumer *consumer)
{
	uint64_t handle = MEMPOOL_HANDLE_NONE;
	int r;

	do {
		r = transfer_receive(consumer->socket, &handle);
		if (r < 0)
			return fail("producer", r);

		if (handle != MEMPOOL_HANDLE_NONE) {
			r = consume_chunk(consumer, handle);
			if (r < 0)
				return r;
		} else if (fsync(consumer->file) < 0 && errno != EINVAL) {
			/* EINVAL: a pipe or terminal, which cannot. */
			return fail("fsync", -errno);
		}

		r = transfer_send(consumer->socket, handle);
		if (r < 0)
			return fail("producer", r);
	} while (handle != MEMPOOL_HANDLE_NONE);

	return 0;
}

/* Wait at a socket of our own for one producer. */
static int accept_at(const char *path)
{
	struct sockaddr_un address;
	int listener, fd = -1, r;

	r = transfer_address(path, &address);
	if (r < 0)
		return fail(path, r);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (listener < 0)
		return fail("socket", -errno);

	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0) {
		fail(path, -errno);
	} else {
		if (listen(listener, 1) == 0)
			fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			fail(path, -errno);
		unlink(path);
	}
	close(listener);
	return fd;
}

int main(int argc, char **argv)
{
	const struct mempool_client_options options = {
		.size = sizeof(options),
		.name = "consume",
	};
	struct consumer consumer = { 0 };
	int r;

	if (argc < 3 || argc > 4) {
		fputs("Usage: mempool-consume SOCKET OUT [MICROSECONDS_PER_CHUNK]\n", stderr);
		return 64;
	}
	if (argc == 4)
		consumer.delay_us = strtoul(argv[3], NULL, 10);

	consumer.file = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (consumer.file < 0) {
		fail(argv[2], -errno);
		return EXIT_FAILURE;
	}
	r = mempool_client_open(&options, &consumer.client);
	if (r < 0) {
		fail("mempool_client_open", r);
		return EXIT_FAILURE;
	}
	consumer.socket = accept_at(argv[1]);
	if (consumer.socket < 0)
		return EXIT_FAILURE;

	r = consume(&consumer);
	mempool_client_close(consumer.client);
	close(consumer.socket);
	if (close(consumer.file) < 0)
		r = fail("close", -errno);
	if (r < 0)
		return EXIT_FAILURE;

	printf("mempool-consume: %llu bytes in %llu chunks\n",
	       (unsigned long long)consumer.n_bytes, (unsigned long long)consumer.n_chunks);
	return EXIT_SUCCESS;
}
