/* SPDX-License-Identifier: MIT */
/*
 * test-topics.c - what a topic keeps outlives its publisher, until it is drained
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actor.h"

static struct fixture fixture;

static void setup(void)
{
	fixture_init(&fixture);
	fixture_configure(&fixture, "",
			  "    pools: [ { chunk_size: 128, chunk_count: 100 } ]\n"
			  "    topics: [ { name: camera, capacity: 4 } ]\n");
	fixture_start(&fixture);
}

static void teardown(void)
{
	fixture_stop(&fixture);
	fixture_deinit(&fixture);
}

static uint64_t used_by_all(struct mempool_client *client)
{
	struct mempool_pool_info info;

	ck_assert_int_eq(mempool_client_pools(client, &info, 1), 1);
	return info.used;
}

/* Publishes ten messages and is killed. */
static void run_publisher(const struct fixture *with, int fd)
{
	struct mempool_client *client = open_client(with);
	struct mempool_topic *topic;

	ck_assert_int_eq(mempool_topic_open(client, "camera", &topic), 0);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(mempool_topic_publish(topic, mempool_alloc(client, 8), 8), 0);
	tell(fd, 1);
	pause();
}

static void publish_and_die(void)
{
	struct actor publisher;

	actor_start(&publisher, &fixture, run_publisher);
	ck_assert_uint_eq(hear(publisher.fd), 1);
	actor_kill(&publisher);
}

static void ask_to_drain(struct mempool_msg_drained *ret_drained, const char *topic)
{
	struct mempool_msg_drain drain = {
		.msg = wire_msg(MEMPOOL_MSG_DRAIN, sizeof(drain)),
	};
	int fd = wire_connect(&fixture);
	union wire_answer answer;

	memcpy(drain.topic, topic, strlen(topic));
	wire_send(fd, &drain, sizeof(drain));
	if (ret_drained) {
		ck_assert_int_eq(wire_receive(fd, &answer), sizeof(*ret_drained));
		ck_assert_int_eq(answer.msg.type, MEMPOOL_MSG_DRAINED);
		memcpy(ret_drained, &answer, sizeof(*ret_drained));
	} else {
		wire_expect_refused(fd, -ENOENT, "no topic");
	}
	close(fd);
}

START_TEST(test_topic_keeps_its_last_messages_after_its_publisher_died)
{
	struct mempool_client *client = open_client(&fixture);
	struct mempool_subscriber *subscriber;
	struct mempool_topic *topic;
	const void *message;
	uint64_t missed;
	int n;

	publish_and_die();
	ck_assert_int_eq(mempool_topic_open(client, "camera", &topic), 0);
	ck_assert_int_eq(mempool_topic_subscribe(topic, MEMPOOL_TOPIC_OLDEST, &subscriber), 0);
	for (n = 0; mempool_subscriber_next(subscriber, &message, NULL, &missed, 0) == 0; n++) {
		ck_assert_uint_eq(missed, 0);
		ck_assert_int_eq(mempool_free(client, message), 0);
	}
	ck_assert_int_eq(n, 4);
	ck_assert_uint_eq(used_by_all(client), 4);
	mempool_subscriber_close(subscriber);
	mempool_topic_close(topic);
	ck_assert_int_eq(mempool_client_close(client), 0);
}
END_TEST

START_TEST(test_topic_drained_frees_what_nobody_reads)
{
	struct mempool_client *client = open_client(&fixture);
	struct mempool_msg_drained drained;
	struct mempool_subscriber *subscriber;
	struct mempool_topic *topic;
	const void *held, *message;
	uint64_t missed;

	publish_and_die();
	ck_assert_int_eq(mempool_topic_open(client, "camera", &topic), 0);
	ck_assert_int_eq(mempool_topic_subscribe(topic, MEMPOOL_TOPIC_OLDEST, &subscriber), 0);
	ck_assert_int_eq(mempool_subscriber_next(subscriber, &held, NULL, NULL, 0), 0);

	ask_to_drain(NULL, "no-such");
	ask_to_drain(&drained, "camera");
	ck_assert_uint_eq(drained.n_messages, 4);
	ck_assert_uint_eq(drained.n_freed, 3);
	ck_assert_uint_eq(used_by_all(client), 1);
	ask_to_drain(&drained, "camera");
	ck_assert_uint_eq(drained.n_messages, 0);

	/* The reader is told of the three, and goes on with what comes then. */
	ck_assert_int_eq(mempool_free(client, held), 0);
	ck_assert_uint_eq(used_by_all(client), 0);
	ck_assert_int_eq(mempool_subscriber_next(subscriber, &message, NULL, NULL, 0), -EAGAIN);
	ck_assert_int_eq(mempool_topic_publish(topic, mempool_alloc(client, 8), 8), 0);
	ck_assert_int_eq(mempool_subscriber_next(subscriber, &message, NULL, &missed, 0), 0);
	ck_assert_uint_eq(missed, 3);
	ck_assert_int_eq(mempool_free(client, message), 0);
	mempool_subscriber_close(subscriber);
	mempool_topic_close(topic);
	mempool_client_close(client);
}
END_TEST

START_TEST(test_topic_drain_is_for_administrators)
{
	struct mempool_msg_drain drain = {
		.msg = wire_msg(MEMPOOL_MSG_DRAIN, sizeof(drain)),
		.topic = "camera",
	};
	int fd;

	if (skip_unless_root("another user is needed"))
		return;
	/* The connection is the kernel's word: made while we are that user. */
	ck_assert_int_eq(seteuid(65534), 0);
	fd = wire_connect(&fixture);
	ck_assert_int_eq(seteuid(0), 0);
	wire_send(fd, &drain, sizeof(drain));
	wire_expect_refused(fd, -EACCES, "may not administer");
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("topics");
	TCase *tcase = tcase_create("topics");
	SRunner *runner;
	int n_failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_topic_keeps_its_last_messages_after_its_publisher_died);
	tcase_add_test(tcase, test_topic_drained_frees_what_nobody_reads);
	tcase_add_test(tcase, test_topic_drain_is_for_administrators);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? 0 : 1;
}
