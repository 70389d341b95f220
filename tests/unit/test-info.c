/* SPDX-License-Identifier: MIT */
/* test-info.c - the lists of queues and topics, and what is counted of each */
#include "test_segment.h"

#include <errno.h>
#include <string.h>

#include "client/client.h"
#include "shm/drain.h"
#include "shm/holder.h"

static struct segment *segment;
static struct mempool_client *client;

/* Queues and topics in turn, so that no list is a part of the ring table as it is. */
static void setup(void)
{
	static const struct test_pool pools[] = { { .chunk_size = 64, .n_chunks = 50 } };
	struct config config;

	test_config_init(&config, pools, ARRAY_SIZE(pools));
	ck_assert_int_eq(config_add_ring(&config, "pictures", MEMPOOL_RING_TOPIC, 4), 0);
	ck_assert_int_eq(config_add_ring(&config, "jobs", MEMPOOL_RING_QUEUE, 8), 0);
	ck_assert_int_eq(config_add_ring(&config, "a-name-that-is-31-characters-lo", MEMPOOL_RING_TOPIC,
					 1), 0);
	ck_assert_int_eq(config_add_ring(&config, "answers", MEMPOOL_RING_QUEUE, 1), 0);
	segment = test_segment_new_of(&config);
	config_deinit(&config);
	ck_assert_int_eq(client_new(test_segment_view(segment), holder_first_client(segment), 0,
				    &client), 0);
}

static void teardown(void)
{
	mempool_client_close(client);
	segment_free(segment);
}

static void send_messages(struct mempool_queue *queue, int n)
{
	for (int i = 0; i < n; i++)
		ck_assert_int_eq(mempool_queue_send(queue, mempool_alloc(client, 8), 8, 0), 0);
}

static void receive_messages(struct mempool_queue *queue, int n)
{
	void *chunk;

	for (int i = 0; i < n; i++) {
		ck_assert_int_eq(mempool_queue_receive(queue, &chunk, NULL, 0), 0);
		ck_assert_int_eq(mempool_free(client, chunk), 0);
	}
}

static void assert_queue(struct mempool_queue *queue, uint64_t length, uint64_t sent,
			 uint64_t received)
{
	struct mempool_queue_counts counts;

	memset(&counts, 0xff, sizeof(counts));
	ck_assert_int_eq(mempool_queue_info(queue, &counts), 0);
	ck_assert_str_eq(counts.name, "jobs");
	ck_assert_uint_eq(counts.capacity, 8);
	ck_assert_uint_eq(counts.length, length);
	ck_assert_uint_eq(counts.sent, sent);
	ck_assert_uint_eq(counts.received, received);
	for (size_t i = 0; i < ARRAY_SIZE(counts.reserved); i++)
		ck_assert_uint_eq(counts.reserved[i], 0);
}

static void assert_topic(struct mempool_topic *topic, uint64_t length, uint64_t published)
{
	struct mempool_topic_counts counts;

	memset(&counts, 0xff, sizeof(counts));
	ck_assert_int_eq(mempool_topic_info(topic, &counts), 0);
	ck_assert_str_eq(counts.name, "pictures");
	ck_assert_uint_eq(counts.capacity, 4);
	ck_assert_uint_eq(counts.length, length);
	ck_assert_uint_eq(counts.published, published);
	for (size_t i = 0; i < ARRAY_SIZE(counts.reserved); i++)
		ck_assert_uint_eq(counts.reserved[i], 0);
}

START_TEST(test_info_lists_are_in_the_order_of_the_config)
{
	struct mempool_queue_counts queues[3] = { 0 };
	struct mempool_topic_counts topics[3] = { 0 };

	ck_assert_int_eq(mempool_client_queues(client, queues, 3), 2);
	ck_assert_str_eq(queues[0].name, "jobs");
	ck_assert_uint_eq(queues[0].capacity, 8);
	ck_assert_str_eq(queues[1].name, "answers");
	ck_assert_uint_eq(queues[1].capacity, 1);
	ck_assert_str_eq(queues[2].name, "");
	ck_assert_int_eq(mempool_client_topics(client, topics, 3), 2);
	ck_assert_str_eq(topics[0].name, "pictures");
	ck_assert_str_eq(topics[1].name, "a-name-that-is-31-characters-lo");
	ck_assert_uint_eq(topics[1].capacity, 1);
	ck_assert_str_eq(topics[2].name, "");
}
END_TEST

START_TEST(test_info_lists_end_where_there_is_no_room)
{
	struct mempool_queue_counts queues[2] = { 0 };
	struct mempool_topic_counts topics[2] = { 0 };

	ck_assert_int_eq(mempool_client_queues(client, queues, 1), 2);
	ck_assert_str_eq(queues[0].name, "jobs");
	ck_assert_str_eq(queues[1].name, "");
	ck_assert_int_eq(mempool_client_topics(client, topics, 1), 2);
	ck_assert_str_eq(topics[1].name, "");
	ck_assert_int_eq(mempool_client_queues(client, queues, 0), 2);
	ck_assert_int_eq(mempool_client_queues(client, NULL, 9), 2);
	ck_assert_int_eq(mempool_client_topics(client, NULL, 9), 2);
}
END_TEST

START_TEST(test_info_of_a_segment_without_rings_has_empty_lists)
{
	static const struct test_pool pools[] = { { .chunk_size = 64, .n_chunks = 1 } };
	struct segment *other = test_segment_new(pools, 1);
	struct mempool_client *alone;

	ck_assert_int_eq(client_new(test_segment_view(other), TEST_HOLDER, 0, &alone), 0);
	ck_assert_int_eq(mempool_client_queues(alone, NULL, 0), 0);
	ck_assert_int_eq(mempool_client_topics(alone, NULL, 0), 0);
	mempool_client_close(alone);
	segment_free(other);
}
END_TEST

/* More messages than it holds at once, so that it goes round. */
START_TEST(test_info_counts_what_was_sent_and_received)
{
	struct mempool_queue *queue;

	ck_assert_int_eq(mempool_queue_open(client, "jobs", &queue), 0);
	assert_queue(queue, 0, 0, 0);
	for (uint64_t round = 0; round < 5; round++) {
		send_messages(queue, 5);
		assert_queue(queue, 5, 5 * round + 5, 5 * round);
		receive_messages(queue, 2);
		assert_queue(queue, 3, 5 * round + 5, 5 * round + 2);
		receive_messages(queue, 3);
		assert_queue(queue, 0, 5 * round + 5, 5 * round + 5);
	}
	mempool_queue_close(queue);
}
END_TEST

START_TEST(test_info_counts_what_was_published_and_is_kept)
{
	struct mempool_topic *topic;
	struct topic view;
	uint64_t n_freed;

	ck_assert_int_eq(mempool_topic_open(client, "pictures", &topic), 0);
	for (uint64_t n = 0; n <= 10; n++) {
		assert_topic(topic, n < 4 ? n : 4, n);
		ck_assert_int_eq(mempool_topic_publish(topic, mempool_alloc(client, 8), 8), 0);
	}
	ck_assert_int_eq(topic_view(&view, segment, 0), 0);
	drain_topic(&view, MEMPOOL_HOLDER_DAEMON_ID, &n_freed);
	assert_topic(topic, 0, 11);
	mempool_topic_close(topic);
}
END_TEST

START_TEST(test_info_mistakes_einval_and_closed_enotconn)
{
	struct mempool_queue_counts queue_counts;
	struct mempool_topic_counts topic_counts;
	struct mempool_queue *queue;
	struct mempool_topic *topic;

	ck_assert_int_eq(mempool_client_queues(NULL, NULL, 0), -EINVAL);
	ck_assert_int_eq(mempool_client_topics(NULL, NULL, 0), -EINVAL);
	ck_assert_int_eq(mempool_queue_info(NULL, &queue_counts), -EINVAL);
	ck_assert_int_eq(mempool_topic_info(NULL, &topic_counts), -EINVAL);
	ck_assert_int_eq(mempool_queue_open(client, "jobs", &queue), 0);
	ck_assert_int_eq(mempool_topic_open(client, "pictures", &topic), 0);
	ck_assert_int_eq(mempool_queue_info(queue, NULL), -EINVAL);
	ck_assert_int_eq(mempool_topic_info(topic, NULL), -EINVAL);
	mempool_client_close(client);
	client = NULL;
	ck_assert_int_eq(mempool_queue_info(queue, &queue_counts), -ENOTCONN);
	ck_assert_int_eq(mempool_topic_info(topic, &topic_counts), -ENOTCONN);
	mempool_queue_close(queue);
	mempool_topic_close(topic);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_info_lists_are_in_the_order_of_the_config);
	tcase_add_test(tcase, test_info_lists_end_where_there_is_no_room);
	tcase_add_test(tcase, test_info_of_a_segment_without_rings_has_empty_lists);
	tcase_add_test(tcase, test_info_counts_what_was_sent_and_received);
	tcase_add_test(tcase, test_info_counts_what_was_published_and_is_kept);
	tcase_add_test(tcase, test_info_mistakes_einval_and_closed_enotconn);
}

int main(void)
{
	return test_run("info", add_tests);
}
