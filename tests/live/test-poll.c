/* SPDX-License-Identifier: MIT */
/*
 * test-poll.c - who waits in poll(2) is woken, whatever becomes of the daemon meanwhile
 */
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actor.h"
#include "client/channel.h"
#include "client/client.h"
#include "shm/packet.h"

/* For what comes at once, or never. */
#define HUNG_MS 20000
#define QUIET_MS 100

static const char with_rings[] =
	"    pools: [ { chunk_size: 128, chunk_count: 100 } ]\n"
	"    queues: [ { name: work, capacity: 4 }, { name: other, capacity: 4 } ]\n"
	"    topics: [ { name: camera, capacity: 4 } ]\n";

static struct fixture fixture;

static void setup(void)
{
	fixture_init(&fixture);
	fixture_configure(&fixture, "", with_rings);
	fixture_start(&fixture);
}

static void teardown(void)
{
	if (fixture.pid)
		fixture_stop(&fixture);
	fixture_deinit(&fixture);
}

static bool is_readable(int fd, int timeout_ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, timeout_ms) == 1;
}

/* Sends to the queue, or publishes, at each word; until it hears 0. */
enum word { SEND = 1, PUBLISH = 2, RECEIVE = 3, SEND_AND_TELL = 4, CLOSE_QUEUE = 5 };

static void run_sender(const struct fixture *with, int fd)
{
	struct mempool_client *client = open_client(with);
	struct mempool_queue *queue;
	struct mempool_topic *topic;
	uint64_t word;
	void *chunk;

	ck_assert_int_eq(mempool_queue_open(client, "work", &queue), 0);
	ck_assert_int_eq(mempool_topic_open(client, "camera", &topic), 0);
	while ((word = hear(fd)) != 0) {
		if (word == CLOSE_QUEUE) {
			mempool_queue_close(queue);
			queue = NULL;
			continue;
		}
		if (word == RECEIVE) {
			ck_assert_int_eq(mempool_queue_receive(queue, &chunk, NULL, 0), 0);
			ck_assert_int_eq(mempool_free(client, chunk), 0);
			continue;
		}
		chunk = mempool_alloc(client, 8);
		ck_assert_ptr_nonnull(chunk);
		if (word == PUBLISH)
			ck_assert_int_eq(mempool_topic_publish(topic, chunk, 8), 0);
		else
			ck_assert_int_eq(mempool_queue_send(queue, chunk, 8, 0), 0);
		if (word == SEND_AND_TELL)
			tell(fd, word);
	}
	mempool_topic_close(topic);
	mempool_queue_close(queue);
	mempool_client_close(client);
}

/* A client that polls, and what it polls for. */
struct waiter {
	struct mempool_client *client;
	struct mempool_queue *queue;
	struct mempool_topic *topic;
	struct mempool_subscriber *subscriber;
	int fd;
};

static void waiter_open(struct waiter *waiter)
{
	waiter->client = open_client(&fixture);
	ck_assert_int_eq(mempool_queue_open(waiter->client, "work", &waiter->queue), 0);
	ck_assert_int_eq(mempool_topic_open(waiter->client, "camera", &waiter->topic), 0);
	ck_assert_int_eq(mempool_topic_subscribe(waiter->topic, MEMPOOL_TOPIC_NEW,
						 &waiter->subscriber), 0);
	waiter->fd = mempool_client_fd(waiter->client);
	ck_assert_int_ge(waiter->fd, 0);
	ck_assert_int_eq(mempool_client_fd(waiter->client), waiter->fd);
}

static void waiter_close(struct waiter *waiter)
{
	mempool_subscriber_close(waiter->subscriber);
	mempool_topic_close(waiter->topic);
	mempool_queue_close(waiter->queue);
	mempool_client_close(waiter->client);
}

/* Look at everything, as the API asks. Returns how many messages there were. */
static int look(struct waiter *waiter)
{
	const void *message;
	void *chunk;
	int n = 0;

	while (mempool_queue_receive(waiter->queue, &chunk, NULL, 0) == 0) {
		ck_assert_int_eq(mempool_free(waiter->client, chunk), 0);
		n++;
	}
	while (mempool_subscriber_next(waiter->subscriber, &message, NULL, NULL, 0) == 0) {
		ck_assert_int_eq(mempool_free(waiter->client, message), 0);
		n++;
	}
	return n;
}

/* Nothing to be found, and not readable, but for the timer's beat. */
static bool is_quiet(struct waiter *waiter)
{
	for (int i = 0; i < 3; i++) {
		if (!is_readable(waiter->fd, QUIET_MS))
			return true;
		if (look(waiter) != 0)
			return false;
	}
	return false;
}

/*
 * Woken by somebody, a sender or the daemon: not by the timer's beat, which comes anyway.
 * What it has heard while it sent, it tells itself.
 */
static bool is_woken(const struct waiter *waiter, int timeout_ms)
{
	const struct poller *poller = &waiter->client->poller;
	struct pollfd fds[POLLER_CHANNELS + 1];

	for (int i = 0; i < POLLER_CHANNELS; i++)
		fds[i] = (struct pollfd){ .fd = poller->channels[i], .events = POLLIN };
	fds[POLLER_CHANNELS] =
		(struct pollfd){ .fd = poller->connection->fd, .events = POLLIN };
	return poller->has_news || poll(fds, POLLER_CHANNELS + 1, timeout_ms) > 0;
}

/* By a sender itself, through one of its channels. */
static bool is_set(const struct waiter *waiter, int timeout_ms)
{
	struct pollfd fds[POLLER_CHANNELS];

	for (int i = 0; i < POLLER_CHANNELS; i++)
		fds[i] = (struct pollfd){ .fd = waiter->client->poller.channels[i],
					  .events = POLLIN };
	return poll(fds, POLLER_CHANNELS, timeout_ms) > 0;
}

/* Woken after this word, with one message to be found; and quiet after it. */
static void expect_wake(struct waiter *waiter, const struct actor *sender, enum word word)
{
	tell(sender->fd, word);
	ck_assert(is_woken(waiter, HUNG_MS));
	ck_assert(is_readable(waiter->fd, 0));
	/* Perhaps by something else first. */
	while (look(waiter) == 0)
		ck_assert(is_woken(waiter, HUNG_MS));
	ck_assert(is_quiet(waiter));
}

/* Until it has taken so many wake channels, one from each daemon. */
static void wait_for_channels(struct waiter *waiter, uint32_t n)
{
	double start = clock_ms();

	while (waiter->client->poller.n_channels < n) {
		ck_assert(clock_ms() - start < HUNG_MS);
		ck_assert(is_readable(waiter->fd, HUNG_MS));
		ck_assert_int_eq(look(waiter), 0);
	}
}

/*
 * Send until the sender wakes the waiter itself, in its call: from then on it has the descriptor.
 * It may ask for it before the daemon has it.
 */
static void wait_until_known(struct waiter *waiter, const struct actor *sender)
{
	double start = clock_ms();
	bool is_known = false;

	while (!is_known) {
		ck_assert(clock_ms() - start < HUNG_MS);
		tell(sender->fd, SEND_AND_TELL);
		expect_to_hear(sender->fd, SEND_AND_TELL);
		is_known = is_set(waiter, QUIET_MS);
		ck_assert_int_eq(look(waiter), 1);
	}
	ck_assert(is_quiet(waiter));
}

/* Until a daemon has it again: that is tried once a second. */
static void wait_until_back(struct waiter *waiter)
{
	double start = clock_ms();

	while (waiter->client->connection.fd < 0 || waiter->client->connection.number < 2) {
		ck_assert(clock_ms() - start < HUNG_MS);
		ck_assert(is_readable(waiter->fd, HUNG_MS));
		ck_assert_int_eq(look(waiter), 0);
	}
	/* And has said so, to who has said before that it polls. */
	ck_assert(is_woken(waiter, HUNG_MS));
	ck_assert_int_eq(look(waiter), 0);
}

START_TEST(test_poll_message_or_news_of_a_topic_is_readable)
{
	struct waiter waiter;
	struct actor sender;

	actor_start(&sender, &fixture, run_sender);
	waiter_open(&waiter);
	ck_assert_int_eq(look(&waiter), 0);
	ck_assert(is_quiet(&waiter));
	for (int i = 0; i < 20; i++)
		expect_wake(&waiter, &sender, i % 2 ? SEND : PUBLISH);
	tell(sender.fd, 0);
	actor_join(&sender);
	waiter_close(&waiter);
}
END_TEST

/* News of the topic, and then looks at both queues, which make the descriptor quiet. */
START_TEST(test_poll_a_look_at_one_does_not_lose_the_other)
{
	struct mempool_queue *other;
	struct waiter waiter;
	struct actor sender;
	void *chunk;

	actor_start(&sender, &fixture, run_sender);
	waiter_open(&waiter);
	ck_assert_int_eq(mempool_queue_open(waiter.client, "other", &other), 0);
	do {
		ck_assert_int_eq(mempool_queue_receive(other, &chunk, NULL, 0), -EAGAIN);
		ck_assert_int_eq(look(&waiter), 0);
	} while (is_readable(waiter.fd, QUIET_MS));
	tell(sender.fd, PUBLISH);
	ck_assert(is_woken(&waiter, HUNG_MS));
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(mempool_queue_receive(waiter.queue, &chunk, NULL, 0), -EAGAIN);
		ck_assert_int_eq(mempool_queue_receive(other, &chunk, NULL, 0), -EAGAIN);
		ck_assert(is_readable(waiter.fd, 0));
	}
	ck_assert_int_eq(look(&waiter), 1);
	mempool_queue_close(other);
	/* Looked at no more: it keeps nobody awake. */
	ck_assert(is_quiet(&waiter));
	tell(sender.fd, 0);
	actor_join(&sender);
	waiter_close(&waiter);
}
END_TEST

/* Two readers of one topic in one client: each has its own place. */
START_TEST(test_poll_one_subscriber_does_not_lose_the_other)
{
	struct mempool_subscriber *second;
	struct waiter waiter;
	struct actor sender;
	const void *message;

	actor_start(&sender, &fixture, run_sender);
	waiter_open(&waiter);
	ck_assert_int_eq(mempool_topic_subscribe(waiter.topic, MEMPOOL_TOPIC_NEW, &second), 0);
	do {
		ck_assert_int_eq(mempool_subscriber_next(second, &message, NULL, NULL, 0),
				 -EAGAIN);
		ck_assert_int_eq(look(&waiter), 0);
	} while (is_readable(waiter.fd, QUIET_MS));
	tell(sender.fd, PUBLISH);
	ck_assert(is_woken(&waiter, HUNG_MS));
	ck_assert_int_eq(look(&waiter), 1);
	ck_assert(is_readable(waiter.fd, 0));
	ck_assert_int_eq(mempool_subscriber_next(second, &message, NULL, NULL, 0), 0);
	ck_assert_int_eq(mempool_free(waiter.client, message), 0);
	mempool_subscriber_close(second);
	tell(sender.fd, 0);
	actor_join(&sender);
	waiter_close(&waiter);
}
END_TEST

START_TEST(test_poll_room_in_a_full_queue_is_readable)
{
	struct waiter waiter;
	struct actor receiver;
	void *chunk = NULL;
	int n;

	actor_start(&receiver, &fixture, run_sender);
	waiter_open(&waiter);
	for (n = 0; n < 5; n++) {
		chunk = mempool_alloc(waiter.client, 8);
		if (mempool_queue_send(waiter.queue, chunk, 8, 0) == -EAGAIN)
			break;
	}
	ck_assert_int_eq(n, 4);
	ck_assert_int_eq(mempool_queue_send(waiter.queue, chunk, 8, 0), -EAGAIN);
	while (is_readable(waiter.fd, QUIET_MS))
		ck_assert_int_eq(mempool_queue_send(waiter.queue, chunk, 8, 0), -EAGAIN);
	tell(receiver.fd, RECEIVE);
	ck_assert(is_woken(&waiter, HUNG_MS));
	ck_assert_int_eq(mempool_queue_send(waiter.queue, chunk, 8, 1000000000), 0);
	tell(receiver.fd, 0);
	actor_join(&receiver);
	waiter_close(&waiter);
}
END_TEST

/* A handle on "work" that wants to know when the other side has left. */
static struct mempool_queue *open_pipe(const struct waiter *waiter)
{
	const struct mempool_queue_options options = {
		.size = sizeof(options), .flags = MEMPOOL_QUEUE_PIPE,
	};
	struct mempool_queue *pipe;

	ck_assert_int_eq(mempool_queue_open_with(waiter->client, "work", &options, &pipe), 0);
	return pipe;
}

/* It closes its queue, and stays; or is killed: then the daemon tells. */
static void leave(struct actor *actor, bool is_killed)
{
	if (is_killed)
		actor_kill(actor);
	else
		tell(actor->fd, CLOSE_QUEUE);
}

static void end(struct actor *actor, bool is_killed)
{
	if (is_killed)
		return;
	tell(actor->fd, 0);
	actor_join(actor);
}

/* _i: the last sender closes, or is killed, beside one that waits for messages. */
START_TEST(test_poll_last_sender_that_leaves_is_readable)
{
	struct mempool_queue *pipe;
	struct waiter waiter;
	struct actor sender;
	void *chunk;
	int r;

	actor_start(&sender, &fixture, run_sender);
	waiter_open(&waiter);
	pipe = open_pipe(&waiter);
	tell(sender.fd, SEND_AND_TELL);
	expect_to_hear(sender.fd, SEND_AND_TELL);
	ck_assert_int_eq(mempool_queue_receive(pipe, &chunk, NULL, 0), 0);
	ck_assert_int_eq(mempool_free(waiter.client, chunk), 0);
	do
		ck_assert_int_eq(mempool_queue_receive(pipe, &chunk, NULL, 0), -EAGAIN);
	while (is_readable(waiter.fd, QUIET_MS));
	leave(&sender, _i == 1);
	while ((r = mempool_queue_receive(pipe, &chunk, NULL, 0)) == -EAGAIN)
		ck_assert(is_woken(&waiter, HUNG_MS));
	ck_assert_int_eq(r, -EPIPE);
	end(&sender, _i == 1);
	mempool_queue_close(pipe);
	waiter_close(&waiter);
}
END_TEST

/* _i: the last receiver closes, or is killed, beside one that waits for room. */
START_TEST(test_poll_last_receiver_that_leaves_is_readable)
{
	struct mempool_queue *pipe;
	struct actor receiver;
	struct waiter waiter;
	void *chunk;
	int r;

	actor_start(&receiver, &fixture, run_sender);
	waiter_open(&waiter);
	pipe = open_pipe(&waiter);
	/* It sends one itself, to have one to receive. */
	tell(receiver.fd, SEND);
	tell(receiver.fd, RECEIVE);
	tell(receiver.fd, SEND_AND_TELL);
	expect_to_hear(receiver.fd, SEND_AND_TELL);
	chunk = mempool_alloc(waiter.client, 8);
	while ((r = mempool_queue_send(pipe, chunk, 8, 0)) == 0)
		chunk = mempool_alloc(waiter.client, 8);
	while (is_readable(waiter.fd, QUIET_MS))
		ck_assert_int_eq(mempool_queue_send(pipe, chunk, 8, 0), -EAGAIN);
	leave(&receiver, _i == 1);
	while ((r = mempool_queue_send(pipe, chunk, 8, 0)) == -EAGAIN)
		ck_assert(is_woken(&waiter, HUNG_MS));
	ck_assert_int_eq(r, -EPIPE);
	end(&receiver, _i == 1);
	mempool_queue_close(pipe);
	waiter_close(&waiter);
}
END_TEST

START_TEST(test_poll_survives_daemon_restart)
{
	struct waiter waiter;
	struct actor old_sender, new_sender;

	actor_start(&old_sender, &fixture, run_sender);
	waiter_open(&waiter);
	ck_assert_int_eq(look(&waiter), 0);
	wait_until_known(&waiter, &old_sender);

	/* While it is away: one who has the descriptor keeps it. */
	fixture_kill(&fixture);
	ck_assert(is_woken(&waiter, HUNG_MS));
	ck_assert_int_eq(look(&waiter), 0);
	tell(old_sender.fd, PUBLISH);
	ck_assert(is_woken(&waiter, HUNG_MS));
	ck_assert_int_eq(look(&waiter), 1);

	/* When it is back, and the waiter as well, newcomers get it too. */
	fixture_start(&fixture);
	wait_until_back(&waiter);
	actor_start(&new_sender, &fixture, run_sender);
	expect_wake(&waiter, &new_sender, SEND);
	expect_wake(&waiter, &old_sender, PUBLISH);

	tell(old_sender.fd, 0);
	actor_join(&old_sender);
	tell(new_sender.fd, 0);
	actor_join(&new_sender);
	waiter_close(&waiter);
}
END_TEST

START_TEST(test_poll_retired_segment_is_news)
{
	struct waiter waiter;

	waiter_open(&waiter);
	ck_assert_int_eq(look(&waiter), 0);
	fixture_stop(&fixture);
	fixture_configure(&fixture, "", "    pools: [ { chunk_size: 256, chunk_count: 50 } ]\n");
	fixture_start(&fixture);
	ck_assert(is_readable(waiter.fd, 2000));
	ck_assert_int_eq(look(&waiter), 0);
	ck_assert(mempool_client_is_stale(waiter.client));
	waiter_close(&waiter);
}
END_TEST

/* Several senders, killed at any moment of their sending: no message is slept over for long. */
static void run_flood(const struct fixture *with, int fd)
{
	struct mempool_client *client = open_client(with);
	struct mempool_queue *queue;

	ck_assert_int_eq(mempool_queue_open(client, "work", &queue), 0);
	tell(fd, 1);
	for (;;) {
		void *chunk = mempool_alloc_wait(client, 8, -1);

		ck_assert_ptr_nonnull(chunk);
		ck_assert_int_eq(mempool_queue_send(queue, chunk, 8, -1), 0);
	}
}

START_TEST(test_poll_killed_senders_leave_nobody_asleep)
{
	struct waiter waiter;
	int n_received = 0;

	waiter_open(&waiter);
	look(&waiter);
	for (int round = 0; round < 10; round++) {
		struct actor senders[2];
		double end;
		int n;

		for (int i = 0; i < 2; i++) {
			actor_start(&senders[i], &fixture, run_flood);
			ck_assert_uint_eq(hear(senders[i].fd), 1);
		}
		for (end = clock_ms() + 50; clock_ms() < end;) {
			ck_assert(is_readable(waiter.fd, 2000));
			n_received += look(&waiter);
		}
		for (int i = 0; i < 2; i++)
			actor_kill(&senders[i]);
		/* What they had sent is found without another send. */
		while (is_readable(waiter.fd, QUIET_MS) && (n = look(&waiter)) > 0)
			n_received += n;
		ck_assert_int_eq(look(&waiter), 0);
	}
	printf("# %d messages of senders that were killed\n", n_received);
	waiter_close(&waiter);
}
END_TEST

START_TEST(test_poll_works_inside_epoll)
{
	struct epoll_event event = { .events = EPOLLIN }, got;
	int outer = epoll_create1(EPOLL_CLOEXEC);
	struct waiter waiter;
	struct actor sender;

	actor_start(&sender, &fixture, run_sender);
	waiter_open(&waiter);
	ck_assert_int_eq(epoll_ctl(outer, EPOLL_CTL_ADD, waiter.fd, &event), 0);
	ck_assert(is_quiet(&waiter));
	ck_assert_int_eq(epoll_wait(outer, &got, 1, 0), 0);
	tell(sender.fd, SEND);
	ck_assert(is_woken(&waiter, HUNG_MS));
	ck_assert_int_eq(epoll_wait(outer, &got, 1, 0), 1);
	ck_assert_int_eq(look(&waiter), 1);
	close(outer);
	tell(sender.fd, 0);
	actor_join(&sender);
	waiter_close(&waiter);
}
END_TEST

/* Its end must not be lost in a reset, which a hang-up with unread news is. */
START_TEST(test_poll_bye_behind_unread_news_is_heard)
{
	struct segment *segment = map_generation(&fixture, 1);
	struct victim victim;
	struct waiter waiter;

	waiter_open(&waiter);
	ck_assert_int_eq(look(&waiter), 0);
	victim_start(&victim, &fixture, 1);
	victim_kill(&victim);
	ck_assert(is_woken(&waiter, HUNG_MS));
	/* It reads the bye only when the connection has been closed behind it. */
	ck_assert_int_eq(kill(fixture.pid, SIGSTOP), 0);
	waiter_close(&waiter);
	ck_assert_int_eq(kill(fixture.pid, SIGCONT), 0);
	wait_until(has_no_client, segment, 2000);
	segment_free(segment);
}
END_TEST

/*
 * A daemon that does not answer costs a sender no wait, however many poll. And its bye, behind
 * questions whose answers nobody has read, is heard.
 */
START_TEST(test_poll_stopped_daemon_does_not_hold_up_a_sender)
{
	enum { N_WAITERS = 8, N_SENDERS = 3 };
	struct segment *segment = map_generation(&fixture, 1);
	struct mempool_client *clients[N_SENDERS];
	struct mempool_queue *queues[N_SENDERS];
	struct waiter waiters[N_WAITERS];
	long n_sleeps = LONG_MAX;

	for (int i = 0; i < N_SENDERS; i++) {
		clients[i] = open_client(&fixture);
		ck_assert_int_eq(mempool_queue_open(clients[i], "work", &queues[i]), 0);
	}
	for (int i = 0; i < N_WAITERS; i++) {
		waiter_open(&waiters[i]);
		ck_assert_int_eq(look(&waiters[i]), 0);
	}
	ck_assert_int_eq(kill(fixture.pid, SIGSTOP), 0);
	/* A thread may go to sleep for other reasons: one sender that does not would do. */
	for (int i = 0; i < N_SENDERS; i++) {
		void *chunk = mempool_alloc(clients[i], 8);
		struct rusage before, after;

		ck_assert_ptr_nonnull(chunk);
		getrusage(RUSAGE_THREAD, &before);
		ck_assert_int_eq(mempool_queue_send(queues[i], chunk, 8, 0), 0);
		getrusage(RUSAGE_THREAD, &after);
		if (after.ru_nvcsw - before.ru_nvcsw < n_sleeps)
			n_sleeps = after.ru_nvcsw - before.ru_nvcsw;
		mempool_queue_close(queues[i]);
		mempool_client_close(clients[i]);
		/* Armed again, for the next one. */
		ck_assert_int_eq(look(&waiters[0]), 1);
	}
	ck_assert_int_eq(n_sleeps, 0);
	ck_assert_int_eq(kill(fixture.pid, SIGCONT), 0);
	/* The daemon wakes those who were asked for, though who asked is gone. */
	for (int i = 1; i < N_WAITERS; i++)
		ck_assert(is_woken(&waiters[i], HUNG_MS));
	for (int i = 0; i < N_WAITERS; i++)
		waiter_close(&waiters[i]);
	wait_until(has_no_client, segment, HUNG_MS);
	segment_free(segment);
}
END_TEST

/*
 * A program that only sends, never polls, and does not notice that the daemon was another one
 * meanwhile. Newcomers are asked for once, and woken directly from then on.
 */
START_TEST(test_poll_sender_from_before_a_restart_wakes_newcomers)
{
	struct waiter waiter;
	struct actor sender;

	actor_start(&sender, &fixture, run_sender);
	tell(sender.fd, SEND_AND_TELL);
	expect_to_hear(sender.fd, SEND_AND_TELL);
	for (int restarts = 0; restarts < 2; restarts++) {
		fixture_kill(&fixture);
		fixture_start(&fixture);
		waiter_open(&waiter);
		look(&waiter);
		ck_assert(is_quiet(&waiter));
		wait_until_known(&waiter, &sender);
		for (int i = 0; i < 5; i++) {
			expect_wake(&waiter, &sender, SEND);
			tell(sender.fd, SEND_AND_TELL);
			expect_to_hear(sender.fd, SEND_AND_TELL);
			/* By the sender itself, in its call. */
			ck_assert(is_set(&waiter, HUNG_MS));
			ck_assert_int_eq(look(&waiter), 1);
			ck_assert(is_quiet(&waiter));
		}
		waiter_close(&waiter);
	}
	tell(sender.fd, 0);
	actor_join(&sender);
}
END_TEST

/*
 * Other daemons came and went while it did not send: so many that the channel which it has is
 * watched no more. It finds that out, and its message is told of by the daemon.
 */
START_TEST(test_poll_sender_that_slept_through_many_restarts_wakes)
{
	struct waiter waiter;
	struct actor sender;

	actor_start(&sender, &fixture, run_sender);
	waiter_open(&waiter);
	look(&waiter);
	wait_until_known(&waiter, &sender);
	for (uint32_t i = 0; i < POLLER_CHANNELS; i++) {
		fixture_kill(&fixture);
		fixture_start(&fixture);
		wait_for_channels(&waiter, i + 2);
	}
	ck_assert(is_quiet(&waiter));
	expect_wake(&waiter, &sender, SEND);
	wait_until_known(&waiter, &sender);
	tell(sender.fd, 0);
	actor_join(&sender);
	waiter_close(&waiter);
}
END_TEST

/* Return: the descriptor that came with it, or -1. */
static int take_wake(int fd, uint32_t found)
{
	struct mempool_msg_wake wake;
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	struct packet_passed passed;

	ck_assert_int_eq(poll(&poll_fd, 1, HUNG_MS), 1);
	ck_assert_int_eq(packet_receive(fd, &wake, sizeof(wake), &passed), sizeof(wake));
	ck_assert_int_eq(wake.msg.type, MEMPOOL_MSG_WAKE);
	ck_assert_uint_eq(wake.found, found);
	return packet_take(&passed, 0);
}

static void ask_for_wake(int fd)
{
	const struct mempool_msg_wake_fd message = {
		.msg = packet_head(MEMPOOL_MSG_WAKE_FD, sizeof(message)),
	};

	wire_send(fd, &message, sizeof(message));
}

START_TEST(test_poll_channel_asked_for_twice_is_the_same)
{
	struct mempool_msg_welcome welcome;
	int fd = wire_attach(&fixture, 1, &welcome), channels[2];

	for (int i = 0; i < 2; i++) {
		ask_for_wake(fd);
		channels[i] = take_wake(fd, 1);
		ck_assert_int_ge(channels[i], 0);
	}
	ck_assert_int_eq(channel_wake(channels[0]), 0);
	ck_assert(is_readable(channels[1], HUNG_MS));
	ck_assert_int_eq(channel_clear(channels[1]), 0);
	ck_assert(!is_readable(channels[0], 0));
	close(channels[0]);
	close(channels[1]);
	close(fd);
}
END_TEST

static void ask_for_peer(int fd, const struct mempool_msg_welcome *peer)
{
	const struct mempool_msg_peer_fd message = {
		.msg = packet_head(MEMPOOL_MSG_PEER_FD, sizeof(message)),
		.holder = peer->holder,
		.incarnation = peer->incarnation,
	};

	wire_send(fd, &message, sizeof(message));
}

/* Return: what it says; whether a channel came with it agrees. */
static uint32_t take_peer(int fd)
{
	struct mempool_msg_peer peer;
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	struct packet_passed passed;

	ck_assert_int_eq(poll(&poll_fd, 1, HUNG_MS), 1);
	ck_assert_int_eq(packet_receive(fd, &peer, sizeof(peer), &passed), sizeof(peer));
	ck_assert_int_eq(peer.msg.type, MEMPOOL_MSG_PEER);
	ck_assert_uint_eq(passed.n, peer.found == MEMPOOL_PEER_PASSED);
	packet_close_passed(&passed);
	return peer.found;
}

static uint32_t n_bytes_to_read(int fd)
{
	int n;

	ck_assert_int_eq(ioctl(fd, SIOCINQ, &n), 0);
	return (uint32_t)n;
}

/*
 * The kernel counts the descriptors that the daemon has passed and nobody has read, and refuses
 * more than RLIMIT_NOFILE of all clients together: one that does not read cannot use them up.
 */
START_TEST(test_poll_asker_that_does_not_read_has_few_channels_under_way)
{
	enum { N_QUESTIONS = 100, N_MOST = 16 };
	struct mempool_msg_welcome welcome, asker_welcome;
	int polls = wire_attach(&fixture, 1, &welcome);
	int asks = wire_attach(&fixture, 2, &asker_welcome);
	int n_passed = 0;
	double start;

	ask_for_wake(polls);
	close(take_wake(polls, 1));
	for (int i = 0; i < N_QUESTIONS; i++)
		ask_for_peer(asks, &welcome);
	start = clock_ms();
	while (n_bytes_to_read(asks) < N_QUESTIONS * sizeof(struct mempool_msg_peer)) {
		ck_assert(clock_ms() - start < HUNG_MS);
		usleep(1000);
	}
	for (int i = 0; i < N_QUESTIONS; i++) {
		uint32_t found = take_peer(asks);

		n_passed += found == MEMPOOL_PEER_PASSED;
		if (found != MEMPOOL_PEER_PASSED)
			ck_assert_uint_eq(found, MEMPOOL_PEER_LATER);
	}
	ck_assert_int_eq(n_passed, N_MOST);
	/* Who has read gets it. */
	ask_for_peer(asks, &welcome);
	ck_assert_uint_eq(take_peer(asks), MEMPOOL_PEER_PASSED);
	close(asks);
	close(polls);
}
END_TEST

/* Return: how many NEWS were read before what came next. */
static uint32_t skip_news(int fd, union wire_answer *ret_answer)
{
	uint32_t n = 0;

	do {
		ck_assert_int_gt(wire_receive(fd, ret_answer), 0);
		n += ret_answer->msg.type == MEMPOOL_MSG_NEWS;
	} while (ret_answer->msg.type == MEMPOOL_MSG_NEWS);
	return n;
}

/* Another one asks for it all the time: it has one NEWS to read, and room for its answers. */
START_TEST(test_poll_news_takes_no_room_from_answers)
{
	enum { N_QUESTIONS = 2000, N_OF_ITS_OWN = 3 };
	struct mempool_msg_welcome welcome, asker_welcome;
	int polls = wire_attach(&fixture, 1, &welcome);
	int asks = wire_attach(&fixture, 2, &asker_welcome);
	union wire_answer answer;
	uint32_t n_news = 0;

	ask_for_wake(polls);
	close(take_wake(polls, 1));
	for (int n = 0; n < N_OF_ITS_OWN; n++) {
		for (int i = 0; i < N_QUESTIONS / N_OF_ITS_OWN; i++) {
			ask_for_peer(asks, &welcome);
			ck_assert_uint_eq(take_peer(asks), MEMPOOL_PEER_PASSED);
		}
		ask_for_peer(polls, &asker_welcome);
	}
	for (int n = 0; n < N_OF_ITS_OWN; n++) {
		n_news += skip_news(polls, &answer);
		ck_assert_int_eq(answer.msg.type, MEMPOOL_MSG_PEER);
	}
	/* One before each answer; and one that came when the first was being read. */
	ck_assert_uint_ge(n_news, 1);
	ck_assert_uint_le(n_news, N_OF_ITS_OWN + 1);
	/* News is news again. */
	ask_for_peer(asks, &welcome);
	ck_assert_uint_eq(take_peer(asks), MEMPOOL_PEER_PASSED);
	ck_assert_int_gt(wire_receive(polls, &answer), 0);
	ck_assert_int_eq(answer.msg.type, MEMPOOL_MSG_NEWS);
	close(asks);
	close(polls);
}
END_TEST

/* It has left so many of its own answers unread that there is little room: NEWS comes behind them. */
START_TEST(test_poll_news_waits_for_room)
{
	enum { N_QUESTIONS = 100 };
	struct mempool_msg_welcome welcome, asker_welcome;
	int polls = wire_attach(&fixture, 1, &welcome);
	int asks = wire_attach(&fixture, 2, &asker_welcome);
	union wire_answer answer;
	uint32_t n_news = 0;

	ask_for_wake(polls);
	close(take_wake(polls, 1));
	for (int i = 0; i < N_QUESTIONS; i++) {
		ask_for_peer(polls, &asker_welcome);
		ask_for_peer(asks, &welcome);
		ck_assert_uint_eq(take_peer(asks), MEMPOOL_PEER_PASSED);
	}
	for (int i = 0; i < N_QUESTIONS; i++) {
		n_news += skip_news(polls, &answer);
		ck_assert_int_eq(answer.msg.type, MEMPOOL_MSG_PEER);
	}
	ck_assert_uint_gt(n_news, 0);
	ck_assert_uint_lt(n_news, N_QUESTIONS);
	ck_assert_int_gt(wire_receive(polls, &answer), 0);
	ck_assert_int_eq(answer.msg.type, MEMPOOL_MSG_NEWS);
	close(asks);
	close(polls);
}
END_TEST

/* Return: how many descriptors came with it. */
static uint32_t take_segment_of(int fd, uint32_t index, uint32_t n_segments)
{
	struct mempool_msg_segment message;
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	struct packet_passed passed;
	uint32_t n;

	ck_assert_int_eq(poll(&poll_fd, 1, HUNG_MS), 1);
	ck_assert_int_eq(packet_receive(fd, &message, sizeof(message), &passed), sizeof(message));
	ck_assert_int_eq(message.msg.type, MEMPOOL_MSG_SEGMENT);
	ck_assert_uint_eq(message.n, n_segments);
	ck_assert_uint_eq(message.index, index);
	ck_assert_int_eq(message.error, 0);
	n = passed.n;
	packet_close_passed(&passed);
	return n;
}

static uint32_t take_segment(int fd)
{
	return take_segment_of(fd, 0, 1);
}

START_TEST(test_poll_list_that_is_not_read_comes_without_descriptors)
{
	const struct mempool_msg_list list = { .msg = wire_msg(MEMPOOL_MSG_LIST, sizeof(list)) };
	int fd = wire_connect(&fixture);
	double start = clock_ms();

	for (int i = 0; i < 3; i++)
		wire_send(fd, &list, sizeof(list));
	while (n_bytes_to_read(fd) < 3 * sizeof(struct mempool_msg_segment)) {
		ck_assert(clock_ms() - start < HUNG_MS);
		usleep(1000);
	}
	ck_assert_uint_gt(take_segment(fd), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_uint_eq(take_segment(fd), 0);
	wire_send(fd, &list, sizeof(list));
	ck_assert_uint_gt(take_segment(fd), 0);
	close(fd);
}
END_TEST

static bool is_first_gone(void *userdata)
{
	(void)userdata;
	return !fixture_object_exists(&fixture, 1);
}

/* So many, instead of the first one. */
static void have_segments(unsigned int n)
{
	struct mempool_msg_reloaded reloaded;
	FILE *file = fopen(fixture.config_path, "we");

	ck_assert_ptr_nonnull(file);
	fprintf(file, "socket: { path: %s, mode: \"0666\" }\nsegments:\n", fixture.socket_path);
	for (unsigned int i = 0; i < n; i++)
		fprintf(file, "  - name: %s-%u\n    max_clients: 64\n"
			"    pools: [ { chunk_size: 128, chunk_count: 16 } ]\n", fixture.segment, i);
	ck_assert_int_eq(fclose(file), 0);
	wire_reload(&fixture, &reloaded);
	ck_assert_int_eq(reloaded.error, 0);
	wait_until(is_first_gone, NULL, HUNG_MS);
}

START_TEST(test_poll_list_of_many_goes_on_as_it_is_read)
{
	enum { N_SEGMENTS = 400 };
	const struct mempool_msg_list list = { .msg = wire_msg(MEMPOOL_MSG_LIST, sizeof(list)) };
	int fd, other;

	have_segments(N_SEGMENTS);
	fd = wire_connect(&fixture);
	other = wire_connect(&fixture);
	wire_send(fd, &list, sizeof(list));
	wire_send(fd, &list, sizeof(list));
	wire_send(other, &list, sizeof(list));
	ck_assert(is_readable(fd, HUNG_MS));
	ck_assert(is_readable(other, HUNG_MS));
	/* More than the sockets have room for, and all that there is room for. */
	usleep(QUIET_MS * 1000);
	for (uint32_t i = 0; i < N_SEGMENTS; i++)
		ck_assert_uint_gt(take_segment_of(fd, i, N_SEGMENTS), 0);
	for (uint32_t i = 0; i < N_SEGMENTS; i++)
		take_segment_of(fd, i, N_SEGMENTS);
	/* One hangs up in the middle. */
	close(other);
	wire_send(fd, &list, sizeof(list));
	for (uint32_t i = 0; i < N_SEGMENTS; i++)
		ck_assert_uint_gt(take_segment_of(fd, i, N_SEGMENTS), 0);
	close(fd);
}
END_TEST

/* One client that is welcome on each new connection, reads none of them and keeps them open. */
START_TEST(test_poll_hello_again_and_again_is_refused)
{
	enum { N_MOST = 16, N_HELLOS = N_MOST + 10 };
	const struct mempool_msg_hello hello = wire_hello(&fixture, 1);
	struct mempool_msg_welcome welcome;
	int fds[N_HELLOS];

	for (int i = 0; i < N_HELLOS; i++) {
		struct pollfd poll_fd = { .events = POLLIN };

		poll_fd.fd = fds[i] = wire_connect(&fixture);
		wire_send(fds[i], &hello, sizeof(hello));
		ck_assert_int_eq(poll(&poll_fd, 1, HUNG_MS), 1);
		/* What a welcome ends is counted a little later. */
		if (i > 0 && i <= N_MOST) {
			poll_fd = (struct pollfd){ .fd = fds[i - 1], .events = POLLRDHUP };
			ck_assert_int_eq(poll(&poll_fd, 1, HUNG_MS), 1);
		}
	}
	/* One more than there may be ends: the last one that was welcome has not ended. */
	for (int i = 0; i <= N_MOST; i++)
		wire_expect_welcome(fds[i], &welcome);
	for (int i = N_MOST + 1; i < N_HELLOS; i++)
		wire_expect_refused(fds[i], -EDQUOT, "has not read");
	for (int i = 0; i < N_HELLOS; i++)
		close(fds[i]);
}
END_TEST

/* ---- more descriptors unread than there may be ---- */

static void end_idle(pid_t pid)
{
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

enum { DAEMON_FILES = 200 };

/* One that no other run of this test has at the same time. */
static uid_t user_of_this_test(void)
{
	return 200000 + (uid_t)getpid();
}

static void become(uid_t uid, rlim_t n_files)
{
	const struct rlimit limit = { n_files, n_files };

	if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || setgroups(0, NULL) < 0 ||
	    setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		_exit(EXIT_FAILURE);
}

/* Whom the limit holds: root is above it. */
static void be_another_user(void *userdata)
{
	become(*(const uid_t *)userdata, DAEMON_FILES);
}

/* A process of the daemon's user leaves more descriptors unread than the daemon may open. */
static pid_t start_flood(uid_t uid)
{
	int said[2], fds[2];
	pid_t pid;
	char byte;

	ck_assert_int_eq(pipe(said), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		become(uid, 4 * DAEMON_FILES);
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds) < 0)
			_exit(EXIT_FAILURE);
		for (int n = 0; n <= DAEMON_FILES; n += PACKET_MAX_PASSED) {
			int passed[PACKET_MAX_PASSED];

			for (int i = 0; i < PACKET_MAX_PASSED; i++)
				passed[i] = said[1];
			if (packet_send_passed(fds[0], "x", 1, passed, PACKET_MAX_PASSED) < 0)
				_exit(EXIT_FAILURE);
		}
		if (write(said[1], "x", 1) != 1)
			_exit(EXIT_FAILURE);
		for (;;)
			pause();
	}
	close(said[1]);
	ck_assert_int_eq(read(said[0], &byte, 1), 1);
	close(said[0]);
	return pid;
}

static int ask_for_dump(void)
{
	const struct mempool_msg_dump dump = { .msg = wire_msg(MEMPOOL_MSG_DUMP, sizeof(dump)) };
	int fd = wire_connect(&fixture);

	wire_send(fd, &dump, sizeof(dump));
	return fd;
}

/* What makes no sense without descriptors is refused for now; all else is answered without. */
START_TEST(test_poll_no_descriptor_can_be_passed)
{
	const struct mempool_msg_list list = { .msg = wire_msg(MEMPOOL_MSG_LIST, sizeof(list)) };
	struct mempool_msg_hello hello = wire_hello(&fixture, 3);
	struct mempool_msg_welcome welcome, asker_welcome;
	const uid_t uid = user_of_this_test();
	union wire_answer answer;
	int polls, asks, fd;
	pid_t flood;

	fixture_stop(&fixture);
	ck_assert_int_eq(fixture_run_remove(&fixture), 0);
	ck_assert_int_eq(chown(fixture.folder, uid, uid), 0);
	fixture.in_child = be_another_user;
	fixture.userdata = (void *)&uid;
	fixture_start(&fixture);
	polls = wire_attach(&fixture, 1, &welcome);
	asks = wire_attach(&fixture, 2, &asker_welcome);
	ask_for_wake(polls);
	close(take_wake(polls, 1));

	flood = start_flood(uid);
	for (int i = 0; i < 2; i++) {
		fd = wire_connect(&fixture);
		wire_send(fd, &hello, sizeof(hello));
		wire_expect_refused(fd, -EAGAIN, "can pass no descriptors now");
		close(fd);
	}
	fd = ask_for_dump();
	wire_expect_refused(fd, -EAGAIN, "can pass no descriptors now");
	close(fd);
	fd = wire_connect(&fixture);
	wire_send(fd, &list, sizeof(list));
	ck_assert_uint_eq(take_segment(fd), 0);
	ask_for_peer(asks, &welcome);
	ck_assert_uint_eq(take_peer(asks), MEMPOOL_PEER_LATER);
	ask_for_wake(asks);
	ck_assert_int_eq(take_wake(asks, 0), -1);

	end_idle(flood);
	wire_send(fd, &list, sizeof(list));
	ck_assert_uint_gt(take_segment(fd), 0);
	close(fd);
	fd = ask_for_dump();
	ck_assert_int_gt(wire_receive(fd, &answer), 0);
	ck_assert_int_eq(answer.msg.type, MEMPOOL_MSG_DUMPED);
	close(fd);
	/* Nothing is left of the one that was refused. */
	fd = wire_attach(&fixture, 3, &welcome);
	wire_bye(fd);
	close(asks);
	close(polls);
}
END_TEST

/* Polls, as long as it lives. */
static void run_waiter(const struct fixture *with, int fd)
{
	struct waiter waiter;

	(void)with;
	waiter_open(&waiter);
	look(&waiter);
	tell(fd, waiter.client->holder);
	for (;;)
		pause();
}

/*
 * The daemon dies without an answer, and so does the one that was asked for. Who comes next has
 * its id; a sender must hear what the next daemon answers.
 */
START_TEST(test_poll_question_that_died_with_the_daemon_is_forgotten)
{
	struct actor sender, asked_for;
	struct waiter waiter;
	uint64_t holder;
	double start;

	actor_start(&sender, &fixture, run_sender);
	tell(sender.fd, SEND_AND_TELL);
	expect_to_hear(sender.fd, SEND_AND_TELL);
	actor_start(&asked_for, &fixture, run_waiter);
	holder = hear(asked_for.fd);
	ck_assert_int_eq(kill(fixture.pid, SIGSTOP), 0);
	tell(sender.fd, SEND_AND_TELL);
	expect_to_hear(sender.fd, SEND_AND_TELL);
	fixture_kill(&fixture);
	actor_kill(&asked_for);

	fixture_start(&fixture);
	/* Until the dead one is reaped, another id is the first that is free. */
	start = clock_ms();
	for (waiter_open(&waiter); waiter.client->holder != holder; waiter_open(&waiter)) {
		waiter_close(&waiter);
		ck_assert(clock_ms() - start < HUNG_MS);
		usleep(10000);
	}
	look(&waiter);
	ck_assert(is_quiet(&waiter));
	wait_until_known(&waiter, &sender);
	waiter_close(&waiter);
	tell(sender.fd, 0);
	actor_join(&sender);
}
END_TEST

/* One that polls also sends, and so reads what the daemon has to say: news is not lost in that. */
START_TEST(test_poll_news_between_answers_is_heard)
{
	struct waiter waiter, other;
	struct victim victim;
	double start;

	waiter_open(&waiter);
	waiter_open(&other);
	ck_assert_int_eq(look(&waiter) + look(&other), 0);
	wait_for_channels(&other, 1);
	ck_assert(is_quiet(&waiter));
	victim_start(&victim, &fixture, 1);
	victim_kill(&victim);
	ck_assert(is_woken(&waiter, HUNG_MS));
	/* It asks for the other, and then takes the answer, without a look of its own. */
	start = clock_ms();
	while (!is_set(&other, 1)) {
		void *chunk = mempool_alloc(waiter.client, 8);

		ck_assert(clock_ms() - start < HUNG_MS);
		ck_assert_ptr_nonnull(chunk);
		ck_assert_int_eq(mempool_topic_publish(waiter.topic, chunk, 8), 0);
	}
	ck_assert(is_woken(&waiter, 0));
	waiter_close(&other);
	waiter_close(&waiter);
}
END_TEST

/* A child that has all our descriptors open, and does nothing with them. */
static pid_t fork_idle(void)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return pid;
}

/* A lost connection is out of the set, though the child has not closed it. */
START_TEST(test_poll_restart_after_a_fork_is_quiet_again)
{
	struct waiter waiter;
	struct actor sender;
	pid_t child;

	actor_start(&sender, &fixture, run_sender);
	tell(sender.fd, SEND_AND_TELL);
	expect_to_hear(sender.fd, SEND_AND_TELL);
	waiter_open(&waiter);
	ck_assert_int_eq(look(&waiter), 1);
	child = fork_idle();
	fixture_kill(&fixture);
	ck_assert(is_woken(&waiter, HUNG_MS));
	ck_assert(is_quiet(&waiter));
	fixture_start(&fixture);
	wait_until_back(&waiter);
	ck_assert(is_quiet(&waiter));
	expect_wake(&waiter, &sender, SEND);
	end_idle(child);
	tell(sender.fd, 0);
	actor_join(&sender);
	waiter_close(&waiter);
}
END_TEST

/* A child that closes its copy of a client takes nothing out of the parent's set. */
START_TEST(test_poll_closed_in_a_child_still_tells_the_parent)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct waiter waiter;
	struct victim victim;
	int outer = epoll_create1(EPOLL_CLOEXEC);
	int status;
	pid_t pid;

	waiter_open(&waiter);
	ck_assert_int_eq(epoll_ctl(outer, EPOLL_CTL_ADD, waiter.fd, &event), 0);
	ck_assert_int_eq(look(&waiter), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		waiter_close(&waiter);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	victim_start(&victim, &fixture, 1);
	victim_kill(&victim);
	ck_assert(is_woken(&waiter, HUNG_MS));
	ck_assert_int_eq(epoll_wait(outer, &event, 1, 0), 1);
	close(outer);
	waiter_close(&waiter);
}
END_TEST

/* Nor is a program told, by an epoll set of its own, of a client that it has closed. */
START_TEST(test_poll_closed_after_a_fork_is_quiet_for_ever)
{
	struct epoll_event event = { .events = EPOLLIN }, got;
	int outer = epoll_create1(EPOLL_CLOEXEC);
	struct waiter waiter;
	pid_t child;

	waiter_open(&waiter);
	ck_assert_int_eq(look(&waiter), 0);
	ck_assert_int_eq(epoll_ctl(outer, EPOLL_CTL_ADD, waiter.fd, &event), 0);
	child = fork_idle();
	waiter_close(&waiter);
	/* Longer than the timer's beat. */
	ck_assert_int_eq(epoll_wait(outer, &got, 1, 1500), 0);
	end_idle(child);
	close(outer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("poll");
	TCase *tcase = tcase_create("poll");
	SRunner *runner;
	int n_failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_poll_message_or_news_of_a_topic_is_readable);
	tcase_add_test(tcase, test_poll_a_look_at_one_does_not_lose_the_other);
	tcase_add_test(tcase, test_poll_one_subscriber_does_not_lose_the_other);
	tcase_add_test(tcase, test_poll_room_in_a_full_queue_is_readable);
	tcase_add_loop_test(tcase, test_poll_last_sender_that_leaves_is_readable, 0, 2);
	tcase_add_loop_test(tcase, test_poll_last_receiver_that_leaves_is_readable, 0, 2);
	tcase_add_test(tcase, test_poll_survives_daemon_restart);
	tcase_add_test(tcase, test_poll_retired_segment_is_news);
	tcase_add_test(tcase, test_poll_killed_senders_leave_nobody_asleep);
	tcase_add_test(tcase, test_poll_works_inside_epoll);
	tcase_add_test(tcase, test_poll_bye_behind_unread_news_is_heard);
	tcase_add_test(tcase, test_poll_stopped_daemon_does_not_hold_up_a_sender);
	tcase_add_test(tcase, test_poll_sender_from_before_a_restart_wakes_newcomers);
	tcase_add_test(tcase, test_poll_sender_that_slept_through_many_restarts_wakes);
	tcase_add_test(tcase, test_poll_channel_asked_for_twice_is_the_same);
	tcase_add_test(tcase, test_poll_asker_that_does_not_read_has_few_channels_under_way);
	tcase_add_test(tcase, test_poll_list_that_is_not_read_comes_without_descriptors);
	tcase_add_test(tcase, test_poll_list_of_many_goes_on_as_it_is_read);
	tcase_add_test(tcase, test_poll_hello_again_and_again_is_refused);
	if (!skip_unless_root("a daemon of another user"))
		tcase_add_test(tcase, test_poll_no_descriptor_can_be_passed);
	tcase_add_test(tcase, test_poll_news_takes_no_room_from_answers);
	tcase_add_test(tcase, test_poll_news_waits_for_room);
	tcase_add_test(tcase, test_poll_question_that_died_with_the_daemon_is_forgotten);
	tcase_add_test(tcase, test_poll_news_between_answers_is_heard);
	tcase_add_test(tcase, test_poll_restart_after_a_fork_is_quiet_again);
	tcase_add_test(tcase, test_poll_closed_in_a_child_still_tells_the_parent);
	tcase_add_test(tcase, test_poll_closed_after_a_fork_is_quiet_for_ever);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? 0 : 1;
}
