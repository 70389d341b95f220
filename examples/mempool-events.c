/* SPDX-License-Identifier: MIT */
/*
 * mempool-events.c - a queue, a topic, a clock and signals in one libevent loop
 *
 *	mempool-events QUEUE TOPIC
 *
 * mempool_client_fd() is one more descriptor for the loop. When it is readable, each queue
 * and subscriber is read until there is nothing left. The loop goes on while the daemon is
 * restarted. Says once a second what came, and ends with SIGINT or SIGTERM.
 */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mempool.h"

struct program {
	struct mempool_client *client;
	struct mempool_queue *queue;
	struct mempool_subscriber *subscriber;
	struct event_base *base;
	unsigned long long n_messages;	/* of the queue */
	unsigned long long n_news;	/* of the topic */
	unsigned long long n_missed;
	int error;
};

static int fail(const char *what, int error)
{
	fprintf(stderr, "mempool-events: %s: %s\n", what, strerror(-error));
	return -1;
}

static int read_queue(struct program *program)
{
	void *chunk;
	int r;

	while ((r = mempool_queue_receive(program->queue, &chunk, NULL, 0)) == 0) {
		program->n_messages++;
		mempool_free(program->client, chunk);
	}
	return r == -EAGAIN ? 0 : fail("mempool_queue_receive", r);
}

static int read_topic(struct program *program)
{
	const void *chunk;
	uint64_t missed;
	int r;

	while ((r = mempool_subscriber_next(program->subscriber, &chunk, NULL, &missed, 0)) == 0) {
		program->n_news++;
		program->n_missed += missed;
		mempool_free(program->client, chunk);
	}
	return r == -EAGAIN ? 0 : fail("mempool_subscriber_next", r);
}

static void on_readable(evutil_socket_t fd, short what, void *userdata)
{
	struct program *program = userdata;

	(void)fd;
	(void)what;
	if (read_queue(program) < 0 || read_topic(program) < 0) {
		program->error = -1;
		event_base_loopbreak(program->base);
	}
}

static void say(const struct program *program)
{
	printf("queue: %llu messages, topic: %llu messages, %llu missed\n", program->n_messages,
	       program->n_news, program->n_missed);
	fflush(stdout);
}

static void on_second(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	say(userdata);
}

static void on_signal(evutil_socket_t signal_number, short what, void *userdata)
{
	struct program *program = userdata;

	(void)signal_number;
	(void)what;
	event_base_loopbreak(program->base);
}

static int open_all(struct program *program, const char *queue, const char *topic_name)
{
	struct mempool_topic *topic;
	int r;

	r = mempool_queue_open(program->client, queue, &program->queue);
	if (r < 0)
		return fail(queue, r);
	r = mempool_topic_open(program->client, topic_name, &topic);
	if (r < 0)
		return fail(topic_name, r);
	r = mempool_topic_subscribe(topic, MEMPOOL_TOPIC_NEW, &program->subscriber);
	mempool_topic_close(topic);
	return r < 0 ? fail("mempool_topic_subscribe", r) : 0;
}

static int run(struct program *program)
{
	const struct timeval second = { 1, 0 };
	struct event *events[4];
	int fd = mempool_client_fd(program->client);

	if (fd < 0)
		return fail("mempool_client_fd", fd);
	program->base = event_base_new();
	if (!program->base)
		return fail("event_base_new", -ENOMEM);
	events[0] = event_new(program->base, fd, EV_READ | EV_PERSIST, on_readable, program);
	events[1] = event_new(program->base, -1, EV_PERSIST, on_second, program);
	events[2] = evsignal_new(program->base, SIGINT, on_signal, program);
	events[3] = evsignal_new(program->base, SIGTERM, on_signal, program);
	for (int i = 0; i < 4; i++)
		if (!events[i] || event_add(events[i], i == 1 ? &second : NULL) < 0)
			return fail("event_add", -ENOMEM);

	/* Look first: it is finding nothing that makes the descriptor tell. */
	on_readable(fd, EV_READ, program);
	if (program->error == 0)
		event_base_dispatch(program->base);

	for (int i = 0; i < 4; i++)
		event_free(events[i]);
	event_base_free(program->base);
	return program->error;
}

int main(int argc, char **argv)
{
	struct program program = { 0 };
	int r;

	if (argc != 3) {
		fputs("Usage: mempool-events QUEUE TOPIC\n", stderr);
		return 64;
	}
	r = mempool_client_open(NULL, &program.client);
	if (r < 0) {
		fail("mempool_client_open", r);
		return EXIT_FAILURE;
	}
	r = open_all(&program, argv[1], argv[2]);
	if (r == 0)
		r = run(&program);
	mempool_subscriber_close(program.subscriber);
	mempool_queue_close(program.queue);
	mempool_client_close(program.client);
	if (r < 0)
		return EXIT_FAILURE;
	say(&program);
	return EXIT_SUCCESS;
}
