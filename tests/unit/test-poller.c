/* SPDX-License-Identifier: MIT */
/* test-poller.c - one descriptor for all that a client waits for, without a daemon */
#include "test_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "client/channel.h"
#include "client/client.h"
#include "odd_file.h"
#include "shm/holder.h"
#include "shm/packet.h"
#include "shm/queue.h"

static struct segment *segment;
static struct mempool_client *clients[2];
static struct mempool_client *waiter, *other;	/* the same, by what they do */

static void setup(void)
{
	static const struct test_pool pools[] = { { .chunk_size = 64, .n_chunks = 100 } };
	struct config config;

	test_config_init(&config, pools, ARRAY_SIZE(pools));
	ck_assert_int_eq(config_add_ring(&config, "topic", MEMPOOL_RING_TOPIC, 4), 0);
	segment = test_segment_new_of(&config);
	config_deinit(&config);
	for (uint32_t i = 0; i < ARRAY_SIZE(clients); i++)
		ck_assert_int_eq(client_new(test_segment_view(segment),
					    holder_first_client(segment) + i, 0, &clients[i]), 0);
	waiter = clients[0];
	other = clients[1];
}

static void teardown(void)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(clients); i++)
		mempool_client_close(clients[i]);
	segment_free(segment);
}

static bool is_readable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) == 1;
}

/* By a sender: it is not the timer's beat. Here, where no daemon is, by one of its own. */
static bool is_woken(void)
{
	return is_readable(waiter->poller.keep_fd) && waiter->poller.has_news;
}

static struct mempool_topic *open_topic(struct mempool_client *client)
{
	struct mempool_topic *topic;

	ck_assert_int_eq(mempool_topic_open(client, "topic", &topic), 0);
	return topic;
}

static void publish(struct mempool_client *client, struct mempool_topic *topic)
{
	void *chunk = mempool_alloc(client, 8);

	ck_assert_ptr_nonnull(chunk);
	ck_assert_int_eq(mempool_topic_publish(topic, chunk, 8), 0);
}

/* How many messages there are for it. */
static int look(struct mempool_subscriber *subscriber)
{
	const void *message;
	int n = 0;

	while (mempool_subscriber_next(subscriber, &message, NULL, NULL, 0) == 0) {
		ck_assert_int_eq(mempool_free(waiter, message), 0);
		n++;
	}
	return n;
}

/* The waiter's own topic and subscriber, looked at until it would go to sleep. */
static struct mempool_topic *topic;
static struct mempool_subscriber *subscriber;

static void start_waiting(void)
{
	topic = open_topic(waiter);
	ck_assert_int_eq(mempool_topic_subscribe(topic, MEMPOOL_TOPIC_NEW, &subscriber), 0);
	ck_assert_int_ge(mempool_client_fd(waiter), 0);
	ck_assert_int_eq(look(subscriber), 0);
	ck_assert(!is_woken());
}

static void stop_waiting(void)
{
	mempool_subscriber_close(subscriber);
	mempool_topic_close(topic);
}

/*
 * A sender without a daemon cannot reach who polls. One that can must still find the poller
 * armed: here another thread of its own process would be that one.
 */
START_TEST(test_poller_unreached_stays_armed_for_who_can_reach_it)
{
	struct mempool_topic *others = open_topic(other);

	start_waiting();
	for (int i = 0; i < 3; i++)
		publish(other, others);
	ck_assert(!is_woken());
	publish(waiter, topic);
	ck_assert(is_woken());
	ck_assert_int_eq(look(subscriber), 4);
	ck_assert(!is_woken());
	mempool_topic_close(others);
	stop_waiting();
}
END_TEST

/* The reaper's part of a close wakes sleepers, of whom it reaches those in a futex alone. */
START_TEST(test_poller_stays_armed_when_another_client_closes)
{
	start_waiting();
	ck_assert_int_eq(mempool_client_close(other), 0);
	clients[1] = NULL;
	publish(waiter, topic);
	ck_assert(is_woken());
	ck_assert_int_eq(look(subscriber), 1);
	stop_waiting();
}
END_TEST

/*
 * A subscriber that outlives its client: the holder id may be somebody else's by the time that
 * it is closed, and so may its bit.
 */
START_TEST(test_poller_closed_client_leaves_its_bits_alone)
{
	_Atomic uint64_t *bits = &segment->pollers[0];

	start_waiting();
	ck_assert_uint_eq(*bits, UINT64_C(1) << waiter->holder);
	ck_assert_int_eq(mempool_client_close(waiter), 0);
	clients[0] = NULL;
	ck_assert_uint_eq(*bits, 0);
	*bits = ~UINT64_C(0);
	stop_waiting();
	ck_assert_uint_eq(*bits, ~UINT64_C(0));
}
END_TEST

/* One look, with a cancel that has come before it. No check: that is a cancellation point too. */
static void *look_cancelled(void *unused)
{
	void *chunk = mempool_alloc(waiter, 8);
	const void *message;

	(void)unused;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_cancel(pthread_self());
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	mempool_subscriber_next(subscriber, &message, NULL, NULL, 0);
	mempool_client_fd(waiter);
	mempool_topic_publish(topic, chunk, 8);
	pthread_testcancel();
	return NULL;
}

/* Wherever the cancel takes effect, the next call does not hang, and wakes are not lost. */
START_TEST(test_poller_cancelled_thread_leaves_no_lock)
{
	pthread_t thread;
	void *result;

	start_waiting();
	ck_assert_int_eq(pthread_create(&thread, NULL, look_cancelled, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_ptr_eq(result, PTHREAD_CANCELED);
	look(subscriber);
	publish(waiter, topic);
	ck_assert(is_woken());
	ck_assert_int_eq(look(subscriber), 1);
	stop_waiting();
}
END_TEST

/* ---- our own channel ---- */

enum { HUNG_MS = 20000, QUIET_MS = 50 };

static bool is_readable_within(int fd, int timeout_ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, timeout_ms) == 1;
}

/* Return: the daemon's end of the waiter's connection. */
static int start_daemon(void)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
				    pair), 0);
	waiter->connection.fd = pair[0];
	waiter->connection.number = 1;
	return pair[1];
}

static bool is_asked(int daemon_fd)
{
	struct mempool_msg_wake_fd question;
	struct packet_passed passed;

	if (packet_receive(daemon_fd, &question, sizeof(question), &passed) < 0)
		return false;
	ck_assert_int_eq(question.msg.type, MEMPOOL_MSG_WAKE_FD);
	return true;
}

/* The channel is the client's then; and it looks, as WAKE asks it to. */
static void give_channel(int daemon_fd, int fd)
{
	const struct mempool_msg_wake wake = {
		.msg = packet_head(MEMPOOL_MSG_WAKE, sizeof(wake)),
		.found = fd >= 0,
	};

	ck_assert_int_eq(packet_send(daemon_fd, &wake, sizeof(wake), fd), 0);
	ck_assert(is_readable(waiter->connection.fd));
	ck_assert_int_eq(look(subscriber), 0);
	ck_assert(!is_readable(waiter->connection.fd));
}

/* Return: as a peer has it. */
static int give_new_channel(int daemon_fd)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	ck_assert_int_ge(fd, 0);
	give_channel(daemon_fd, fd);
	return fd;
}

/* By that channel: it is cleared by a look. */
static bool is_woken_by(int channel)
{
	bool is_woken;

	ck_assert_int_eq(channel_wake(channel), 0);
	ck_assert(is_readable_within(channel, HUNG_MS));
	ck_assert_int_eq(look(subscriber), 0);
	is_woken = !is_readable(channel);
	ck_assert_int_eq(channel_clear(channel), 0);
	return is_woken;
}

START_TEST(test_poller_channel_is_asked_for_taken_and_cleared)
{
	int daemon_fd = start_daemon(), channel;

	start_waiting();
	ck_assert(is_asked(daemon_fd));
	ck_assert(!is_asked(daemon_fd));
	channel = give_new_channel(daemon_fd);
	ck_assert_uint_eq(waiter->poller.n_channels, 1);
	for (int i = 0; i < 3; i++)
		ck_assert(is_woken_by(channel));
	close(channel);
	stop_waiting();
	close(daemon_fd);
}
END_TEST

/* What others have told it before it has the channel is not lost with the taking. */
START_TEST(test_poller_channel_that_is_set_when_it_is_taken_begins_a_round)
{
	int daemon_fd = start_daemon();
	struct mempool_subscriber *second;
	const void *message;
	struct mempool_topic *others = open_topic(other);

	start_waiting();
	ck_assert_int_eq(mempool_topic_subscribe(topic, MEMPOOL_TOPIC_NEW, &second), 0);
	ck_assert_int_eq(mempool_subscriber_next(second, &message, NULL, NULL, 0), -EAGAIN);
	ck_assert_int_eq(look(subscriber), 0);
	publish(other, others);
	/* The first has looked since; the second is to look still. */
	ck_assert_int_eq(look(subscriber), 1);
	close(give_new_channel(daemon_fd));
	ck_assert(is_readable(waiter->poller.keep_fd));
	ck_assert_int_eq(look(second), 1);
	mempool_subscriber_close(second);
	mempool_topic_close(others);
	stop_waiting();
	close(daemon_fd);
}
END_TEST

static int n_open(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* It asks at the first; what else makes it readable is not many. */
#define MOST_BEATS 10

/* Closed, and not watched. The daemon is asked again, at the next beat of the timer. */
START_TEST(test_poller_file_that_is_no_channel_is_closed_and_ignored)
{
	int daemon_fd = start_daemon();
	int fd = odd_file(_i);
	int n_before, channel;

	start_waiting();
	ck_assert(is_asked(daemon_fd));
	n_before = n_open();
	give_channel(daemon_fd, fd);
	ck_assert_int_eq(n_open(), n_before);
	ck_assert_uint_eq(waiter->poller.n_channels, 0);
	close(fd);
	for (int beats = 0; !is_asked(daemon_fd); beats++) {
		ck_assert_int_lt(beats, MOST_BEATS);
		ck_assert(is_readable_within(waiter->poller.epoll_fd, HUNG_MS));
		ck_assert_int_eq(look(subscriber), 0);
	}
	channel = give_new_channel(daemon_fd);
	ck_assert(is_woken_by(channel));
	close(channel);
	stop_waiting();
	close(daemon_fd);
}
END_TEST

/* Of the daemons before; those before them are closed. */
START_TEST(test_poller_last_channels_stay_in_the_set)
{
	int daemon_fd = start_daemon();
	int channels[2 * POLLER_CHANNELS];
	int n_before = 0;

	start_waiting();
	ck_assert(is_asked(daemon_fd));
	for (int i = 0; i < 2 * POLLER_CHANNELS; i++) {
		if (i == POLLER_CHANNELS)
			n_before = n_open();
		channels[i] = give_new_channel(daemon_fd);
	}
	/* Our own descriptors of them. */
	ck_assert_int_eq(n_open(), n_before + POLLER_CHANNELS);
	for (int i = 0; i < 2 * POLLER_CHANNELS; i++)
		ck_assert_int_eq(is_woken_by(channels[i]), i >= POLLER_CHANNELS);
	for (int i = 0; i < 2 * POLLER_CHANNELS; i++)
		close(channels[i]);
	stop_waiting();
	close(daemon_fd);
}
END_TEST

/* A peer may do with it what it likes: the timer's beat tells in any case. */
START_TEST(test_poller_channel_that_a_peer_clears_costs_a_beat_at_most)
{
	int daemon_fd = start_daemon();
	struct mempool_topic *others = open_topic(other);
	int channel;

	start_waiting();
	channel = give_new_channel(daemon_fd);
	publish(other, others);
	ck_assert_int_eq(channel_wake(channel), 0);
	ck_assert_int_eq(channel_clear(channel), 0);
	while (look(subscriber) == 0)
		ck_assert(is_readable_within(waiter->poller.epoll_fd, HUNG_MS));
	close(channel);
	mempool_topic_close(others);
	stop_waiting();
	close(daemon_fd);
}
END_TEST

START_TEST(test_poller_channel_that_a_peer_lets_beat_is_cleared_all_the_same)
{
	const struct itimerspec often = {
		.it_value.tv_nsec = 1,
		.it_interval.tv_nsec = 1,
	};
	int daemon_fd = start_daemon(), channel;

	start_waiting();
	channel = give_new_channel(daemon_fd);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(timerfd_settime(channel, 0, &often, NULL), 0);
		ck_assert(is_readable_within(channel, HUNG_MS));
		ck_assert_int_eq(look(subscriber), 0);
		ck_assert(!is_readable_within(channel, QUIET_MS));
	}
	close(channel);
	stop_waiting();
	close(daemon_fd);
}
END_TEST

/* ---- rounds ---- */

/* A client of its own on a segment with so many topics, one subscriber on each. */
struct many {
	struct segment *segment;
	struct mempool_client *client;
	struct mempool_topic **topics;
	struct mempool_subscriber **subscribers;
	size_t n;
};

static void many_init(struct many *many, size_t n)
{
	static const struct test_pool pools[] = { { .chunk_size = 64, .n_chunks = 1000 } };
	struct config config;
	char name[32];

	*many = (struct many){ .n = n };
	test_config_init(&config, pools, ARRAY_SIZE(pools));
	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "topic-%zu", i);
		ck_assert_int_eq(config_add_ring(&config, name, MEMPOOL_RING_TOPIC, 1), 0);
	}
	many->segment = test_segment_new_of(&config);
	config_deinit(&config);
	ck_assert_int_eq(client_new(test_segment_view(many->segment),
				    holder_first_client(many->segment), 0, &many->client), 0);
	many->topics = calloc(n, sizeof(many->topics[0]));
	many->subscribers = calloc(n, sizeof(many->subscribers[0]));
	ck_assert(many->topics && many->subscribers);
	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "topic-%zu", i);
		ck_assert_int_eq(mempool_topic_open(many->client, name, &many->topics[i]), 0);
		ck_assert_int_eq(mempool_topic_subscribe(many->topics[i], MEMPOOL_TOPIC_NEW,
							 &many->subscribers[i]), 0);
	}
	ck_assert_int_ge(mempool_client_fd(many->client), 0);
}

static void many_deinit(struct many *many)
{
	for (size_t i = 0; i < many->n; i++) {
		mempool_subscriber_close(many->subscribers[i]);
		mempool_topic_close(many->topics[i]);
	}
	mempool_client_close(many->client);
	segment_free(many->segment);
	free(many->topics);
	free(many->subscribers);
}

static int look_at(const struct many *many, size_t i)
{
	const void *message;
	int r = mempool_subscriber_next(many->subscribers[i], &message, NULL, NULL, 0);

	if (r == 0)
		ck_assert_int_eq(mempool_free(many->client, message), 0);
	return r;
}

/* As a program does that found the descriptor readable. */
static void look_at_all(const struct many *many)
{
	for (size_t i = 0; i < many->n; i++)
		while (look_at(many, i) == 0)
			;
}

static void publish_to(const struct many *many, size_t i)
{
	publish(many->client, many->topics[i]);
}

static bool is_told(const struct many *many)
{
	return is_readable(many->client->poller.keep_fd);
}

/* News of one: whatever others look first, readable until that one has looked. */
START_TEST(test_poller_stays_readable_until_the_right_one_looks)
{
	enum { N = 50 };
	struct many many;

	many_init(&many, N);
	look_at_all(&many);
	ck_assert(!is_told(&many));
	for (size_t news = 0; news < N; news += 7) {
		publish_to(&many, news);
		ck_assert(is_told(&many));
		for (size_t i = 0; i < N; i++) {
			if (i == news)
				continue;
			ck_assert_int_eq(look_at(&many, i), -EAGAIN);
			ck_assert(is_told(&many));
		}
		ck_assert_int_eq(look_at(&many, news), 0);
		ck_assert_int_eq(look_at(&many, news), -EAGAIN);
		ck_assert(!is_told(&many));
	}
	many_deinit(&many);
}
END_TEST

/* Those whose rings stand still need not look: a program may leave them out. */
START_TEST(test_poller_is_quiet_without_looks_at_what_stands_still)
{
	enum { N = 50 };
	struct many many;
	int n_looks = 0;

	many_init(&many, N);
	look_at_all(&many);
	publish_to(&many, 0);
	ck_assert_int_eq(look_at(&many, 0), 0);
	do {
		ck_assert_int_eq(look_at(&many, 0), -EAGAIN);
		n_looks++;
	} while (is_told(&many));
	ck_assert_int_le(n_looks, N);
	many_deinit(&many);
}
END_TEST

/* Nobody looks there any more: the program does not spin for it for ever. But when it does ... */
START_TEST(test_poller_gives_up_what_is_not_looked_at)
{
	struct many many;

	many_init(&many, 3);
	look_at_all(&many);
	publish_to(&many, 1);
	for (int i = 0; i < POLLER_PATIENCE / 2; i++) {
		ck_assert_int_eq(look_at(&many, i % 2 ? 0 : 2), -EAGAIN);
		ck_assert(is_told(&many));
	}
	while (is_told(&many))
		ck_assert_int_eq(look_at(&many, 0), -EAGAIN);
	/* And its sender wakes nobody. */
	publish_to(&many, 1);
	ck_assert(!is_told(&many));

	look_at_all(&many);
	ck_assert(!is_told(&many));
	publish_to(&many, 1);
	ck_assert(is_told(&many));
	look_at_all(&many);
	ck_assert(!is_told(&many));
	many_deinit(&many);
}
END_TEST

static bool has_beat(const struct many *many)
{
	return is_readable(many->client->poller.timer_fd);
}

/*
 * Or somebody does look there, in another thread, and was only late. Whoever takes the timer's
 * beat first must not take it from that one.
 */
START_TEST(test_poller_what_was_given_up_is_told_of_by_the_timer)
{
	struct many many;

	many_init(&many, 3);
	look_at_all(&many);
	publish_to(&many, 1);
	while (is_told(&many))
		ck_assert_int_eq(look_at(&many, 0), -EAGAIN);
	for (int beats = 0; beats < 2; beats++) {
		while (!has_beat(&many))
			usleep(1000);
		ck_assert_int_eq(look_at(&many, 0), -EAGAIN);
		ck_assert(is_told(&many));
		/* And is given up once more. */
		while (is_told(&many))
			ck_assert_int_eq(look_at(&many, 0), -EAGAIN);
	}
	while (!has_beat(&many))
		usleep(1000);
	ck_assert_int_eq(look_at(&many, 0), -EAGAIN);
	ck_assert_int_eq(look_at(&many, 1), 0);
	do
		look_at_all(&many);
	while (is_told(&many));
	publish_to(&many, 1);
	ck_assert(is_told(&many));
	many_deinit(&many);
}
END_TEST

/* Closed after it was given up: it is not told of any more. */
START_TEST(test_poller_what_was_given_up_may_be_closed)
{
	struct many many;

	many_init(&many, 2);
	look_at_all(&many);
	publish_to(&many, 1);
	while (is_told(&many))
		ck_assert_int_eq(look_at(&many, 0), -EAGAIN);
	mempool_subscriber_close(many.subscribers[1]);
	many.subscribers[1] = NULL;
	while (!has_beat(&many))
		usleep(1000);
	ck_assert_int_eq(look_at(&many, 0), -EAGAIN);
	ck_assert(!is_told(&many));
	many_deinit(&many);
}
END_TEST

/* One of two on the same ring is closed: the other is told as before. */
START_TEST(test_poller_closed_look_leaves_the_other_on_its_ring)
{
	struct mempool_subscriber *second;
	const void *message;
	struct many many;

	many_init(&many, 1);
	ck_assert_int_eq(mempool_topic_subscribe(many.topics[0], MEMPOOL_TOPIC_NEW, &second), 0);
	ck_assert_int_eq(mempool_subscriber_next(second, &message, NULL, NULL, 0), -EAGAIN);
	look_at_all(&many);
	publish_to(&many, 0);
	look_at_all(&many);
	ck_assert(is_told(&many));
	mempool_subscriber_close(second);
	ck_assert(!is_told(&many));
	publish_to(&many, 0);
	ck_assert(is_told(&many));
	ck_assert_int_eq(look_at(&many, 0), 0);
	look_at_all(&many);
	ck_assert(!is_told(&many));
	many_deinit(&many);
}
END_TEST

static int64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Processor time of a look, in rounds that the timer or a message of one of them began. */
static double look_ns(const struct many *many, size_t n_looks)
{
	double least = 1e18;

	for (int try = 0; try < 5; try++) {
		int64_t start = cpu_ns();

		for (size_t n = 0; n < n_looks; n += many->n) {
			publish_to(many, n % many->n);
			look_at_all(many);
		}
		if ((double)(cpu_ns() - start) / (double)n_looks < least)
			least = (double)(cpu_ns() - start) / (double)n_looks;
	}
	return least;
}

/*
 * The work of a look does not grow with their number. Memory does: 10,000 are not in a cache any
 * more. What searches all of them takes a thousand times as long.
 */
START_TEST(test_poller_look_costs_the_same_among_many)
{
	enum { FEW = 10, MANY = 10000 };
	struct many few, many;
	double few_ns, many_ns;

	many_init(&few, FEW);
	many_init(&many, MANY);
	look_at_all(&few);
	look_at_all(&many);
	few_ns = look_ns(&few, MANY);
	many_ns = look_ns(&many, MANY);
	printf("# a look takes %.0f ns among %d, %.0f ns among %d\n", few_ns, FEW, many_ns, MANY);
	ck_assert_double_lt(many_ns, 10 * few_ns);
	many_deinit(&many);
	many_deinit(&few);
}
END_TEST

/* ---- the lock ---- */

struct held {
	pthread_mutex_t *lock;
	int begin, end;			/* of pipes: it is held; let go */
	_Atomic pid_t tid;
};

static void *hold(void *userdata)
{
	struct held *held = userdata;
	char byte;

	held->tid = gettid();
	pthread_mutex_lock(held->lock);
	ck_assert_int_eq(write(held->begin, "", 1), 1);
	ck_assert_int_eq(read(held->end, &byte, 1), 1);
	pthread_mutex_unlock(held->lock);
	return NULL;
}

static void *ask_for_fd(void *userdata)
{
	*(_Atomic pid_t *)userdata = gettid();
	mempool_client_fd(waiter);
	return NULL;
}

/* What proc(5) says of a thread: its state, and the priority that it has now. */
static char look_at_thread(pid_t tid, long *ret_priority)
{
	char path[64], line[1024], state;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), file));
	fclose(file);
	ck_assert_int_eq(sscanf(strrchr(line, ')') + 1,
				" %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %ld",
				&state, ret_priority), 2);
	return state;
}

/* Return: 0; EPERM: not here. */
static int start_with_priority(pthread_t *thread, int priority, void *(*run)(void *userdata),
			       void *userdata)
{
	const struct sched_param parameter = { .sched_priority = priority };
	pthread_attr_t attributes;
	int r;

	pthread_attr_init(&attributes);
	pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
	pthread_attr_setschedparam(&attributes, &parameter);
	r = pthread_create(thread, &attributes, run, userdata);
	pthread_attr_destroy(&attributes);
	return r;
}

/* Whoever has it runs on before all that is less urgent than those who wait. */
START_TEST(test_poller_lock_inherits_priority)
{
	struct held held = { .lock = &waiter->poller.lock };
	pthread_t low, high;
	_Atomic pid_t waits = 0;
	int begin[2], end[2];
	long priority;
	char byte;
	int r;

	ck_assert_int_eq(pipe(begin), 0);
	ck_assert_int_eq(pipe(end), 0);
	held.begin = begin[1];
	held.end = end[0];
	ck_assert_int_eq(pthread_create(&low, NULL, hold, &held), 0);
	ck_assert_int_eq(read(begin[0], &byte, 1), 1);
	r = start_with_priority(&high, 5, ask_for_fd, &waits);
	if (r == 0) {
		while (waits == 0 || look_at_thread(waits, &priority) != 'S')
			sched_yield();
		look_at_thread(held.tid, &priority);
		/* In that file, a real-time priority of 5. */
		ck_assert_int_eq(priority, -1 - 5);
	} else {
		ck_assert_int_eq(r, EPERM);
		printf("skipped: no thread may have a real-time priority here\n");
	}
	ck_assert_int_eq(write(end[1], "", 1), 1);
	pthread_join(low, NULL);
	if (r == 0)
		pthread_join(high, NULL);
	for (int i = 0; i < 2; i++) {
		close(begin[i]);
		close(end[i]);
	}
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_poller_unreached_stays_armed_for_who_can_reach_it);
	tcase_add_test(tcase, test_poller_stays_armed_when_another_client_closes);
	tcase_add_test(tcase, test_poller_closed_client_leaves_its_bits_alone);
	tcase_add_test(tcase, test_poller_cancelled_thread_leaves_no_lock);
	tcase_add_test(tcase, test_poller_channel_is_asked_for_taken_and_cleared);
	tcase_add_test(tcase,
		       test_poller_channel_that_is_set_when_it_is_taken_begins_a_round);
	tcase_add_loop_test(tcase, test_poller_file_that_is_no_channel_is_closed_and_ignored, 0,
			    N_ODD_FILES);
	tcase_add_test(tcase, test_poller_last_channels_stay_in_the_set);
	tcase_add_test(tcase, test_poller_channel_that_a_peer_clears_costs_a_beat_at_most);
	tcase_add_test(tcase, test_poller_channel_that_a_peer_lets_beat_is_cleared_all_the_same);
	tcase_add_test(tcase, test_poller_stays_readable_until_the_right_one_looks);
	tcase_add_test(tcase, test_poller_is_quiet_without_looks_at_what_stands_still);
	tcase_add_test(tcase, test_poller_gives_up_what_is_not_looked_at);
	tcase_add_test(tcase, test_poller_what_was_given_up_is_told_of_by_the_timer);
	tcase_add_test(tcase, test_poller_what_was_given_up_may_be_closed);
	tcase_add_test(tcase, test_poller_closed_look_leaves_the_other_on_its_ring);
	tcase_add_test(tcase, test_poller_look_costs_the_same_among_many);
	tcase_add_test(tcase, test_poller_lock_inherits_priority);
}

int main(void)
{
	return test_run("poller", add_tests);
}
