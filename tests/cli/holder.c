/* SPDX-License-Identifier: MIT */
/*
 * holder.c - a client that holds what its arguments say, until it is killed
 *
 *	holder NAME [alloc|give|share SIZE COUNT | exhaust SIZE | send QUEUE SIZE |
 *		     publish TOPIC SIZE | hold TOPIC COUNT]... [stream TOPIC MS | read TOPIC MS]
 *
 * exhaust takes chunks until there is none; hold subscribes, and keeps so many messages. Prints
 * "ready" when all is done; then stream publishes, or read reads, a message and a pause in turn,
 * without end.
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

static struct mempool_topic *open_topic(const char *name)
{
	struct mempool_topic *topic;

	must(name, mempool_topic_open(client, name, &topic));
	return topic;
}

static struct mempool_subscriber *subscribe(const char *name)
{
	struct mempool_subscriber *subscriber;

	must(name, mempool_topic_subscribe(open_topic(name), MEMPOOL_TOPIC_OLDEST, &subscriber));
	return subscriber;
}

static void keep(const char *name, unsigned long n)
{
	struct mempool_subscriber *subscriber = subscribe(name);
	const void *chunk;

	while (n-- > 0)
		must(name, mempool_subscriber_next(subscriber, &chunk, NULL, NULL, -1));
}

static void nap(const char *ms)
{
	usleep((useconds_t)strtoul(ms, NULL, 10) * 1000);
}

static void say_ready(void)
{
	puts("ready");
	fflush(stdout);
}

static _Noreturn void stream(const char *name, const char *ms)
{
	struct mempool_topic *topic = open_topic(name);

	say_ready();
	for (;; nap(ms))
		must(name, mempool_topic_publish(topic, must_alloc("8"), 8));
}

static _Noreturn void read_all(const char *name, const char *ms)
{
	struct mempool_subscriber *subscriber = subscribe(name);
	const void *chunk;

	say_ready();
	for (;; nap(ms)) {
		must(name, mempool_subscriber_next(subscriber, &chunk, NULL, NULL, -1));
		must(name, mempool_free(client, chunk));
	}
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
			else if (strcmp(verb, "hold") == 0)
				keep(argv[i + 1], strtoul(argv[i + 2], NULL, 10));
			else if (strcmp(verb, "stream") == 0)
				stream(argv[i + 1], argv[i + 2]);
			else if (strcmp(verb, "read") == 0)
				read_all(argv[i + 1], argv[i + 2]);
			else
				hold(verb, argv[i + 1], strtoul(argv[i + 2], NULL, 10));
			i += 3;
		}
	}
	say_ready();
	for (;;)
		pause();
}
