/* SPDX-License-Identifier: MIT */
/* test-poller.c - one descriptor for all that a client waits for, without a daemon */
#include "test_segment.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "client/client.h"
#include "shm/holder.h"
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

/* Somebody has written to the wake channel: it is not the timer's beat. */
static bool is_woken(void)
{
	return is_readable(waiter->poller.event_fd);
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

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_poller_unreached_stays_armed_for_who_can_reach_it);
	tcase_add_test(tcase, test_poller_stays_armed_when_another_client_closes);
}

int main(void)
{
	return test_run("poller", add_tests);
}
