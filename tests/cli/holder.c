/* SPDX-License-Identifier: MIT */
/*
 * holder.c - a client that holds what its arguments say, until it is killed
 *
 *	holder NAME [alloc|give|share SIZE COUNT | exhaust SIZE | send QUEUE SIZE |
 *		     publish TOPIC SIZE]...
 *
 * exhaust takes chunks until there is none. Prints "ready" when all is done.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mempool.h"

static struct mempool_client *client;

static void fail(const char *what, int error)
{
	fprintf(stderr, "holder: %s: %s\n", what, strerror(error));
	exit(1);
}

static void must(const char *what, int r)
{
	if (r < 0)
		fail(what, -r);
}

static void *must_alloc(const char *size)
{
	void *chunk = mempool_alloc(client, strtoul(size, NULL, 10));

	if (!chunk)
		fail("alloc", errno);
	return chunk;
}

static void hold(const char *how, const char *size, unsigned long n)
{
	uint64_t handle;

	for (; n > 0; n--) {
		void *chunk = must_alloc(size);

		if (strcmp(how, "give") == 0)
			must(how, mempool_give(client, chunk, 1, &handle));
		else if (strcmp(how, "share") == 0)
			must(how, mempool_share(client, chunk, 1, &handle));
	}
}

static void send_one(const char *name, const char *size)
{
	struct mempool_queue *queue;

	must(name, mempool_queue_open(client, name, &queue));
	must(name, mempool_queue_send(queue, must_alloc(size), 1, 0));
	mempool_queue_close(queue);
}

static void publish_one(const char *name, const char *size)
{
	struct mempool_topic *topic;

	must(name, mempool_topic_open(client, name, &topic));
	must(name, mempool_topic_publish(topic, must_alloc(size), 1));
	mempool_topic_close(topic);
}

static void exhaust(const char *size)
{
	while (mempool_alloc(client, strtoul(size, NULL, 10)))
		;
	if (errno != EAGAIN)
		fail("exhaust", errno);
}

int main(int argc, char **argv)
{
	struct mempool_client_options options = { .size = sizeof(options) };
	int i = 2;

	if (argc < 2)
		return 64;
	options.name = argv[1];
	must("open", mempool_client_open(&options, &client));
	while (i < argc) {
		const char *verb = argv[i];

		if (strcmp(verb, "exhaust") == 0 && i + 1 < argc) {
			exhaust(argv[i + 1]);
			i += 2;
		} else if (i + 2 >= argc) {
			return 64;
		} else {
			if (strcmp(verb, "send") == 0)
				send_one(argv[i + 1], argv[i + 2]);
			else if (strcmp(verb, "publish") == 0)
				publish_one(argv[i + 1], argv[i + 2]);
			else
				hold(verb, argv[i + 1], strtoul(argv[i + 2], NULL, 10));
			i += 3;
		}
	}
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
