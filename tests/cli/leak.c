/* SPDX-License-Identifier: MIT */
/*
 * leak.c - a client that leaks chunks, each in a function of its own
 *
 *	leak alloc SIZE COUNT		it holds so many, until it is killed
 *	leak send QUEUE SIZE COUNT	it ends, with so many on their way
 *	leak receive QUEUE COUNT	it holds so many that came by a queue
 *
 * Prints "ready" when all is done.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mempool.h"

static struct mempool_client *client;
static struct mempool_queue *queue;

static void must(const char *what, int r)
{
	if (r == 0)
		return;
	fprintf(stderr, "leak: %s: %s\n", what, mempool_strerror(r));
	exit(1);
}

/* Each call is followed by something, so that it is none of its caller's. */
__attribute__((noinline)) static void leak_picture(size_t size)
{
	if (!mempool_alloc(client, size))
		must("alloc", -1);
}

__attribute__((noinline)) static void send_forgotten(size_t size)
{
	void *chunk = mempool_alloc(client, size);

	must("send", mempool_queue_send(queue, chunk, size, 0));
}

__attribute__((noinline)) static void keep_received(void)
{
	void *chunk;

	must("receive", mempool_queue_receive(queue, &chunk, NULL, -1));
}

int main(int argc, char **argv)
{
	const char *how = argc > 3 ? argv[1] : "";
	unsigned long size = 0, n = strtoul(argv[argc - 1], NULL, 10);

	must("open", mempool_client_open(NULL, &client));
	if (strcmp(how, "alloc") != 0)
		must("queue", mempool_queue_open(client, argv[2], &queue));
	if (strcmp(how, "receive") != 0)
		size = strtoul(argv[argc - 2], NULL, 10);
	for (; n > 0; n--) {
		if (strcmp(how, "alloc") == 0)
			leak_picture(size);
		else if (strcmp(how, "send") == 0)
			send_forgotten(size);
		else
			keep_received();
	}
	puts("ready");
	fflush(stdout);
	if (strcmp(how, "send") != 0)
		pause();
	/* As a crash would end it. */
	_exit(0);
}
