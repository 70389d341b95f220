/* SPDX-License-Identifier: MIT */
/*
 * topic.c - what subscribers that do not read cost a publisher
 *
 * One process publishes 128 bytes on two topics of one segment, in turns of short rounds: one
 * that nobody reads, and one with 16 subscribers, each in a process of its own that was
 * stopped after it had read once and asked for the next message. The ratio is of the
 * medians.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mempool.h"
#include "sample.h"
#include "support/private_daemon.h"

#define SIZE 128
#define TURNS 201
#define MESSAGES 20000
#define N_SUBSCRIBERS 16

static const char keys[] =
	"    pools: [ { chunk_size: 128, chunk_count: 1000 } ]\n"
	"    topics: [ { name: alone, capacity: 64 }, { name: followed, capacity: 64 } ]\n";

static struct private_daemon mempoold;

static struct mempool_client *open_client(void)
{
	const struct mempool_client_options options = {
		.size = sizeof(options),
		.socket_path = mempoold.socket_path,
	};
	struct mempool_client *client;
	int r = mempool_client_open(&options, &client);

	if (r < 0)
		die("open: %s", strerror(-r));
	return client;
}

static struct mempool_topic *open_topic(struct mempool_client *client, const char *name)
{
	struct mempool_topic *topic;
	int r = mempool_topic_open(client, name, &topic);

	if (r < 0)
		die("topic: %s", strerror(-r));
	return topic;
}

static void publish(struct mempool_client *client, struct mempool_topic *topic)
{
	void *chunk = mempool_alloc(client, SIZE);
	int r = chunk ? mempool_topic_publish(topic, chunk, SIZE) : -errno;

	if (r < 0)
		die("publish: %s", strerror(-r));
}

/* Reads until it is killed; says so after the first message. */
static void run_subscriber(int fd)
{
	struct mempool_client *client = open_client();
	struct mempool_subscriber *subscriber;
	const void *chunk;
	int r = mempool_topic_subscribe(open_topic(client, "followed"), MEMPOOL_TOPIC_OLDEST,
					&subscriber);

	if (r < 0)
		die("subscribe: %s", strerror(-r));
	for (;;) {
		r = mempool_subscriber_next(subscriber, &chunk, NULL, NULL, -1);
		if (r == 0)
			r = mempool_free(client, chunk);
		if (r < 0)
			die("next: %s", strerror(-r));
		if (fd >= 0 && write(fd, "", 1) != 1)
			die("pipe");
		fd = -1;
	}
}

static void start_subscribers(pid_t pids[N_SUBSCRIBERS])
{
	int fds[2];
	char byte;

	if (pipe(fds) < 0)
		die("pipe");
	for (int i = 0; i < N_SUBSCRIBERS; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			die("fork");
		if (pids[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			run_subscriber(fds[1]);
		}
	}
	for (int i = 0; i < N_SUBSCRIBERS; i++)
		if (read(fds[0], &byte, 1) != 1)
			die("a subscriber has ended");
	close(fds[0]);
	close(fds[1]);
}

static void stop_subscribers(const pid_t pids[N_SUBSCRIBERS])
{
	int status;

	for (int i = 0; i < N_SUBSCRIBERS; i++)
		if (kill(pids[i], SIGSTOP) < 0 || waitpid(pids[i], &status, WUNTRACED) < 0 ||
		    !WIFSTOPPED(status))
			die("a subscriber cannot be stopped");
}

static void kill_subscribers(const pid_t pids[N_SUBSCRIBERS])
{
	for (int i = 0; i < N_SUBSCRIBERS; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
}

/* Seconds a message. */
static double time_round(struct mempool_client *client, struct mempool_topic *topic)
{
	double begin = seconds_now();

	for (int i = 0; i < MESSAGES; i++)
		publish(client, topic);
	return (seconds_now() - begin) / MESSAGES;
}

static void compare(struct mempool_client *client)
{
	struct mempool_topic *alone = open_topic(client, "alone");
	struct mempool_topic *followed = open_topic(client, "followed");
	struct sample *samples = calloc(2, sizeof(*samples));

	if (!samples)
		die("no memory");
	for (int i = 0; i < 2 * TURNS; i++) {
		/* In turns, and each first in every other one. */
		bool is_followed = (i + i / 2) % 2;

		sample_add(&samples[is_followed],
			   time_round(client, is_followed ? followed : alone));
	}
	sample_print(&samples[0], "publish, no subscriber", 1e9, "ns");
	sample_print(&samples[1], "publish, 16 stopped subscribers", 1e9, "ns");
	printf("%-44s %.3f\n", "rate against none, of the medians",
	       sample_median(&samples[0]) / sample_median(&samples[1]));
	free(samples);
	mempool_topic_close(followed);
	mempool_topic_close(alone);
}

int main(void)
{
	struct mempool_client *client;
	struct mempool_topic *followed;
	pid_t pids[N_SUBSCRIBERS];

	private_daemon_init(&mempoold, keys);
	private_daemon_start(&mempoold);
	client = open_client();
	followed = open_topic(client, "followed");
	publish(client, followed);
	start_subscribers(pids);
	stop_subscribers(pids);
	compare(client);
	kill_subscribers(pids);
	mempool_topic_close(followed);
	mempool_client_close(client);
	private_daemon_deinit(&mempoold);
	return 0;
}
