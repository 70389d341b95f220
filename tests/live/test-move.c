/* SPDX-License-Identifier: MIT */
/*
 * test-move.c - a reload with a changed layout loses no message: what waits in the old generation
 * goes to the new one, when nobody lives in the old one any more
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/mman.h>
#include <unistd.h>

#include "actor.h"
#include "shm/chunk_manager.h"
#include "shm/queue.h"
#include "shm/topic.h"
#include "support/control.h"

#define PATIENCE_MS 30000

static const char layout[] =
	"    pools: [ { chunk_size: 128, chunk_count: 100 } ]\n"
	"    queues: [ { name: work, capacity: 8 }, { name: other, capacity: 8 } ]\n"
	"    topics: [ { name: camera, capacity: 4 } ]\n";

static const char new_layout[] =
	"    pools: [ { chunk_size: 256, chunk_count: 50 } ]\n"
	"    queues: [ { name: other, capacity: 4 }, { name: work, capacity: 4 } ]\n"
	"    topics: [ { name: camera, capacity: 4 } ]\n";

static struct fixture fixture;

static void setup(void)
{
	fixture_init(&fixture);
	fixture_configure(&fixture, "", layout);
	fixture_start(&fixture);
}

static void teardown(void)
{
	fixture_stop(&fixture);
	fixture_deinit(&fixture);
}

static void reload(const char *segment)
{
	struct mempool_msg_reloaded reloaded;

	fixture_configure(&fixture, "", segment);
	wire_reload(&fixture, &reloaded);
	ck_assert_msg(reloaded.error == 0, "%s", reloaded.text);
}

static void reload_with(uint32_t flags, const char *segment, struct mempool_msg_reloaded *ret)
{
	struct mempool_msg_reload message = {
		.msg = wire_msg(MEMPOOL_MSG_RELOAD, sizeof(message)),
		.flags = flags,
	};
	int fd = wire_connect(&fixture);

	fixture_configure(&fixture, "", segment);
	wire_send(fd, &message, sizeof(message));
	wire_expect_reloaded(fd, ret);
	ck_assert_msg(ret->error == 0, "%s", ret->text);
	close(fd);
}

static bool is_gone(void *userdata)
{
	return !fixture_object_exists(&fixture, *(const uint64_t *)userdata);
}

static void wait_until_gone(uint64_t generation)
{
	wait_until(is_gone, &generation, PATIENCE_MS);
}

static bool has_logged(void *text)
{
	return fixture_log_has(&fixture, text);
}

static void wait_for_log(const char *text)
{
	wait_until(has_logged, (void *)(uintptr_t)text, PATIENCE_MS);
}

/* ---- messages, each with its number as text, length and tag ---- */

static void *message(struct mempool_client *client, unsigned int number)
{
	char *chunk = mempool_alloc(client, 100);

	ck_assert_ptr_nonnull(chunk);
	snprintf(chunk, 100, "message %u", number);
	ck_assert_int_eq(mempool_chunk_set_tag(client, chunk, 1000 + number), 0);
	return chunk;
}

static void check_message(struct mempool_client *client, const char *chunk, size_t length,
			  unsigned int number)
{
	char text[32];
	uint32_t tag;

	snprintf(text, sizeof(text), "message %u", number);
	ck_assert_str_eq(chunk, text);
	ck_assert_uint_eq(length, 20 + number);
	ck_assert_int_eq(mempool_chunk_tag(client, chunk, &tag), 0);
	ck_assert_uint_eq(tag, 1000 + number);
}

static void send_to(struct mempool_client *client, const char *name, unsigned int first,
		    unsigned int n)
{
	struct mempool_queue *queue;

	ck_assert_int_eq(mempool_queue_open(client, name, &queue), 0);
	for (unsigned int i = first; i < first + n; i++)
		ck_assert_int_eq(mempool_queue_send(queue, message(client, i), 20 + i, 0), 0);
	mempool_queue_close(queue);
}

static void expect_from(struct mempool_client *client, const char *name, unsigned int first,
			unsigned int n, int64_t timeout_ns)
{
	struct mempool_queue *queue;
	size_t length;
	void *chunk;

	ck_assert_int_eq(mempool_queue_open(client, name, &queue), 0);
	for (unsigned int i = first; i < first + n; i++) {
		ck_assert_int_eq(mempool_queue_receive(queue, &chunk, &length, timeout_ns), 0);
		check_message(client, chunk, length, i);
		ck_assert_int_eq(mempool_free(client, chunk), 0);
	}
	mempool_queue_close(queue);
}

static void expect_nothing(struct mempool_client *client, const char *name)
{
	struct mempool_queue *queue;
	void *chunk;

	ck_assert_int_eq(mempool_queue_open(client, name, &queue), 0);
	ck_assert_int_eq(mempool_queue_receive(queue, &chunk, NULL, 0), -EAGAIN);
	mempool_queue_close(queue);
}

static void publish(struct mempool_client *client, unsigned int first, unsigned int n)
{
	struct mempool_topic *topic;

	ck_assert_int_eq(mempool_topic_open(client, "camera", &topic), 0);
	for (unsigned int i = first; i < first + n; i++)
		ck_assert_int_eq(mempool_topic_publish(topic, message(client, i), 20 + i), 0);
	mempool_topic_close(topic);
}

static void expect_published(struct mempool_client *client, unsigned int first, unsigned int n)
{
	struct mempool_subscriber *subscriber;
	struct mempool_topic *topic;
	const void *chunk;
	size_t length;

	ck_assert_int_eq(mempool_topic_open(client, "camera", &topic), 0);
	ck_assert_int_eq(mempool_topic_subscribe(topic, MEMPOOL_TOPIC_OLDEST, &subscriber), 0);
	for (unsigned int i = first; i < first + n; i++) {
		ck_assert_int_eq(mempool_subscriber_next(subscriber, &chunk, &length, NULL, 0), 0);
		check_message(client, chunk, length, i);
		ck_assert_int_eq(mempool_free(client, chunk), 0);
	}
	ck_assert_int_eq(mempool_subscriber_next(subscriber, &chunk, &length, NULL, 0), -EAGAIN);
	mempool_subscriber_close(subscriber);
	mempool_topic_close(topic);
}

/* By a client that leaves again. */
static void leave_messages(const char *name, unsigned int first, unsigned int n)
{
	struct mempool_client *client = open_client(&fixture);

	send_to(client, name, first, n);
	ck_assert_int_eq(mempool_client_close(client), 0);
}

static uint32_t n_used(uint64_t generation)
{
	struct segment *segment = map_generation(&fixture, generation);
	uint32_t n = (uint32_t)count_used(segment);

	segment_free(segment);
	return n;
}

/* ---- with nobody in the old one ---- */

static const char stamped_work[] =
	"    pools: [ { chunk_size: 128, chunk_count: 50 } ]\n"
	"    queues: [ { name: work, capacity: 8, stamps: true }, { name: other, capacity: 8 } ]\n"
	"    topics: [ { name: camera, capacity: 4, stamps: true } ]\n";

static const char stamped_all[] =
	"    pools: [ { chunk_size: 128, chunk_count: 50 } ]\n"
	"    queues: [ { name: work, capacity: 8, stamps: true },\n"
	"              { name: other, capacity: 8, stamps: true } ]\n"
	"    topics: [ { name: camera, capacity: 4, stamps: true } ]\n";

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
}

/* Return: as mempool_message_stamp(), of the one message in a queue. */
static int receive_stamp(struct mempool_client *client, const char *name, uint64_t *ret_sent_ns)
{
	struct mempool_queue *queue;
	void *chunk;
	int r;

	ck_assert_int_eq(mempool_queue_open(client, name, &queue), 0);
	ck_assert_int_eq(mempool_queue_receive(queue, &chunk, NULL, 0), 0);
	r = mempool_message_stamp(client, chunk, ret_sent_ns);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
	mempool_queue_close(queue);
	return r;
}

static void read_stamp(struct mempool_client *client, uint64_t *ret_sent_ns)
{
	struct mempool_subscriber *subscriber;
	struct mempool_topic *topic;
	const void *chunk;

	ck_assert_int_eq(mempool_topic_open(client, "camera", &topic), 0);
	ck_assert_int_eq(mempool_topic_subscribe(topic, MEMPOOL_TOPIC_OLDEST, &subscriber), 0);
	ck_assert_int_eq(mempool_subscriber_next(subscriber, &chunk, NULL, NULL, 0), 0);
	ck_assert_int_eq(mempool_message_stamp(client, chunk, ret_sent_ns), 0);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
	mempool_subscriber_close(subscriber);
	mempool_topic_close(topic);
}

/* The key alone makes another layout, and the messages go there. */
START_TEST(test_move_a_stamp_stays_and_none_is_made_up)
{
	uint64_t before, after, sent_ns = 0;
	struct mempool_client *client;

	reload(stamped_work);
	wait_until_gone(1);
	before = now();
	client = open_client(&fixture);
	/* So the next chunk has had a stamp. */
	send_to(client, "work", 0, 1);
	ck_assert_int_eq(receive_stamp(client, "work", &sent_ns), 0);
	send_to(client, "other", 5, 1);
	send_to(client, "work", 0, 1);
	publish(client, 7, 1);
	ck_assert_int_eq(mempool_client_close(client), 0);
	after = now();
	reload(stamped_all);
	client = open_client(&fixture);
	ck_assert_int_eq(receive_stamp(client, "work", &sent_ns), 0);
	ck_assert_uint_ge(sent_ns, before);
	ck_assert_uint_le(sent_ns, after);
	/* It was sent where none was kept. */
	ck_assert_int_eq(receive_stamp(client, "other", &sent_ns), -ENODATA);
	read_stamp(client, &sent_ns);
	ck_assert_uint_ge(sent_ns, before);
	ck_assert_uint_le(sent_ns, after);
	ck_assert_int_eq(mempool_client_close(client), 0);
}
END_TEST

START_TEST(test_move_nobody_attached_both_are_there)
{
	struct mempool_client *client;

	leave_messages("work", 0, 2);
	leave_messages("other", 5, 3);
	reload(new_layout);
	/* Whoever comes first finds them. */
	client = open_client(&fixture);
	expect_from(client, "work", 0, 2, 0);
	expect_from(client, "other", 5, 3, 0);
	expect_nothing(client, "work");
	expect_nothing(client, "other");
	wait_until_gone(1);
	ck_assert_uint_eq(n_used(2), 0);
	ck_assert_int_eq(mempool_client_close(client), 0);
	ck_assert(fixture_log_has(&fixture, "moved 5 messages of mempool-"));
}
END_TEST

static void send_and_stay(const struct fixture *its_fixture, int fd)
{
	struct mempool_client *client = open_client(its_fixture);

	send_to(client, "work", 0, 3);
	ck_assert_ptr_nonnull(mempool_alloc(client, 10));
	tell(fd, 1);
	hear(fd);
}

static bool has_answer(int fd, int timeout_ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, timeout_ms) > 0;
}

/* However long the move takes, who comes waits for it. */
START_TEST(test_move_nobody_comes_before_it_is_over)
{
	struct mempool_msg_reload message = {
		.msg = wire_msg(MEMPOOL_MSG_RELOAD, sizeof(message)),
	};
	struct mempool_msg_hello hello = wire_hello(&fixture, 7);
	struct mempool_msg_reloaded reloaded;
	struct mempool_msg_welcome welcome;
	struct segment *segment;
	int fd = wire_connect(&fixture), comer;
	struct queue queue;
	uint64_t handle;
	pid_t thread;

	leave_messages("work", 1, 1);
	fixture_configure(&fixture, "", new_layout);
	fixture_watch_threads(&fixture);
	wire_send(fd, &message, sizeof(message));
	/* The first two read the file, and make the segment. */
	fixture_let_go(fixture_hold_thread(&fixture));
	fixture_let_go(fixture_hold_thread(&fixture));
	thread = fixture_hold_thread(&fixture);
	fixture_unwatch_threads(&fixture);
	wire_expect_reloaded(fd, &reloaded);
	ck_assert_int_eq(reloaded.error, 0);
	comer = wire_connect(&fixture);
	wire_send(comer, &hello, sizeof(hello));
	ck_assert(!has_answer(comer, 200));
	fixture_let_go(thread);
	wire_expect_welcome(comer, &welcome);
	segment = wire_map(&welcome);
	ck_assert_int_eq(queue_view(&queue, segment, 1), 0);
	ck_assert_int_eq(queue_pop(&queue, welcome.holder, &handle), 0);
	segment_free(segment);
	wire_bye(comer);
	close(fd);
}
END_TEST

/* The config has changed while neither the daemon nor the client lived. */
START_TEST(test_move_at_the_start_what_the_dead_have_sent)
{
	struct mempool_client *client;
	struct actor actor;

	actor_start(&actor, &fixture, send_and_stay);
	expect_to_hear(actor.fd, 1);
	fixture_kill(&fixture);
	actor_kill(&actor);
	fixture_configure(&fixture, "", new_layout);
	fixture_start(&fixture);
	client = open_client(&fixture);
	expect_from(client, "work", 0, 3, 0);
	expect_nothing(client, "work");
	wait_until_gone(1);
	ck_assert_uint_eq(n_used(2), 0);
	ck_assert_int_eq(mempool_client_close(client), 0);
}
END_TEST

/* The daemon is the one sender as long as it moves; a client that is it already is no place for what waits. */
START_TEST(test_move_to_a_queue_for_one_sender)
{
	static const char one[] =
		"    pools: [ { chunk_size: 256, chunk_count: 50 } ]\n"
		"    queues: [ { name: work, capacity: 8, senders: one, receivers: one } ]\n";
	struct mempool_client *old, *new;
	struct mempool_queue *queue;

	old = open_client(&fixture);
	send_to(old, "work", 0, 3);
	reload(one);
	new = open_client(&fixture);
	if (_i == 1) {
		ck_assert_int_eq(mempool_queue_open(new, "work", &queue), 0);
		ck_assert_int_eq(mempool_queue_send(queue, message(new, 3), 23, 0), 0);
	}
	mempool_client_close(old);
	if (_i == 1) {
		wait_for_log("queue 'work' has one sender, and a client is that");
		expect_from(new, "work", 3, 1, 0);
		mempool_queue_close(queue);
	}
	wait_until_gone(1);
	expect_from(new, "work", 0, 3, 0);
	/* It is nobody's by now. */
	send_to(new, "work", 4, 1);
	expect_from(new, "work", 4, 1, 0);
	mempool_client_close(new);
}
END_TEST

START_TEST(test_move_over_two_reloads_keeps_the_order)
{
	struct mempool_client *client;

	leave_messages("work", 0, 2);
	reload(new_layout);
	leave_messages("work", 2, 2);
	reload(layout);
	leave_messages("work", 4, 2);
	client = open_client(&fixture);
	expect_from(client, "work", 0, 6, 0);
	wait_until_gone(2);
	ck_assert_int_eq(mempool_client_close(client), 0);
}
END_TEST

/* ---- with somebody, who leaves later ---- */

START_TEST(test_move_when_the_last_one_leaves)
{
	struct mempool_client *old = open_client(&fixture), *new;

	send_to(old, "work", 0, 2);
	reload(new_layout);
	new = open_client(&fixture);
	expect_nothing(new, "work");
	send_to(new, "work", 7, 1);
	ck_assert_int_eq(mempool_client_close(old), 0);
	wait_until_gone(1);
	/* Appended. */
	expect_from(new, "work", 7, 1, 0);
	expect_from(new, "work", 0, 2, 0);
	expect_nothing(new, "work");
	ck_assert_int_eq(mempool_client_close(new), 0);
}
END_TEST

static void wait_for_one(const struct fixture *its_fixture, int fd)
{
	struct mempool_client *client = open_client(its_fixture);

	tell(fd, 1);
	expect_from(client, "work", 3, 1, INT64_C(30000000000));
	ck_assert_int_eq(mempool_client_close(client), 0);
}

START_TEST(test_move_wakes_who_sleeps_for_a_message)
{
	struct mempool_client *old = open_client(&fixture);
	struct actor actor;

	send_to(old, "work", 3, 1);
	reload(new_layout);
	actor_start(&actor, &fixture, wait_for_one);
	expect_to_hear(actor.fd, 1);
	ck_assert_int_eq(mempool_client_close(old), 0);
	actor_join(&actor);
	wait_until_gone(1);
}
END_TEST

/* ---- topics ---- */

START_TEST(test_move_topic_keeps_what_it_kept)
{
	struct mempool_client *client = open_client(&fixture);

	publish(client, 0, 6);
	ck_assert_int_eq(mempool_client_close(client), 0);
	reload(new_layout);
	client = open_client(&fixture);
	expect_published(client, 2, 4);
	wait_until_gone(1);
	ck_assert_uint_eq(n_used(2), 4);
	publish(client, 6, 1);
	expect_published(client, 3, 4);
	ck_assert_int_eq(mempool_client_close(client), 0);
}
END_TEST

START_TEST(test_move_topic_smaller_one_keeps_the_newest)
{
	struct mempool_client *client = open_client(&fixture);

	publish(client, 0, 3);
	ck_assert_int_eq(mempool_client_close(client), 0);
	reload("    pools: [ { chunk_size: 256, chunk_count: 50 } ]\n"
	       "    topics: [ { name: camera, capacity: 1 } ]\n");
	client = open_client(&fixture);
	expect_published(client, 2, 1);
	wait_until_gone(1);
	ck_assert(fixture_log_has(&fixture, ": 2 messages that topics of "));
	ck_assert_uint_eq(n_used(2), 1);
	ck_assert_int_eq(mempool_client_close(client), 0);
}
END_TEST

START_TEST(test_move_topic_an_old_one_does_not_become_the_latest)
{
	struct mempool_client *old = open_client(&fixture), *new;

	publish(old, 0, 3);
	reload(new_layout);
	new = open_client(&fixture);
	publish(new, 7, 1);
	ck_assert_int_eq(mempool_client_close(old), 0);
	wait_until_gone(1);
	expect_published(new, 7, 1);
	ck_assert(fixture_log_has(&fixture, ": 3 messages that topics of "));
	ck_assert_int_eq(mempool_client_close(new), 0);
}
END_TEST

/* History of what is no more is nothing that anybody waits for. */
START_TEST(test_move_topic_that_is_gone)
{
	struct mempool_client *client = open_client(&fixture);

	publish(client, 0, 3);
	ck_assert_int_eq(mempool_client_close(client), 0);
	reload("    pools: [ { chunk_size: 256, chunk_count: 50 } ]\n");
	wait_until_gone(1);
	ck_assert(fixture_log_has(&fixture, ": 3 messages that topics of "));
}
END_TEST

/* ---- no place ---- */

/* Of four messages, each of these layouts has none for the last two. */
static const struct {
	const char *layout;
	const char *why;
} shortages[] = {
	{ "    pools: [ { chunk_size: 256, chunk_count: 50 } ]\n"
	  "    queues: [ { name: work, capacity: 2 } ]\n", "queue 'work' is full" },
	{ "    pools: [ { chunk_size: 256, chunk_count: 2 } ]\n"
	  "    queues: [ { name: work, capacity: 8 } ]\n", "no chunk is free" },
	{ "    pools: [ { chunk_size: 22, chunk_count: 8 } ]\n"
	  "    queues: [ { name: work, capacity: 8 } ]\n", "no pool is large enough" },
};

START_TEST(test_move_no_place_stays_until_there_is_one)
{
	struct mempool_client *client;

	leave_messages("work", 1, 4);
	reload(shortages[_i].layout);
	wait_for_log("2 messages of mempool-");
	ck_assert(fixture_log_has(&fixture, shortages[_i].why));
	ck_assert(fixture_object_exists(&fixture, 1));
	ck_assert_uint_eq(n_used(1), 2);
	client = open_client(&fixture);
	if (_i < 2) {
		/* Room is made by those who receive. */
		expect_from(client, "work", 1, 2, 0);
		wait_until_gone(1);
		expect_from(client, "work", 3, 2, 0);
		ck_assert_uint_eq(n_used(2), 0);
		ck_assert_int_eq(mempool_client_close(client), 0);
		return;
	}
	/* Or by another layout; over a restart as well. */
	expect_from(client, "work", 1, 2, 0);
	ck_assert_int_eq(mempool_client_close(client), 0);
	fixture_stop(&fixture);
	fixture_start(&fixture);
	ck_assert(fixture_object_exists(&fixture, 1));
	reload(new_layout);
	client = open_client(&fixture);
	expect_from(client, "work", 3, 2, 0);
	wait_until_gone(1);
	ck_assert_int_eq(mempool_client_close(client), 0);
}
END_TEST

START_TEST(test_move_no_queue_of_that_name)
{
	struct mempool_client *client;

	leave_messages("work", 0, 2);
	leave_messages("other", 4, 1);
	reload("    pools: [ { chunk_size: 256, chunk_count: 50 } ]\n"
	       "    queues: [ { name: other, capacity: 2 } ]\n");
	wait_for_log("there is no queue 'work' any more");
	client = open_client(&fixture);
	expect_from(client, "other", 4, 1, 0);
	ck_assert_int_eq(mempool_client_close(client), 0);
	ck_assert(fixture_object_exists(&fixture, 1));
	reload(layout);
	client = open_client(&fixture);
	expect_from(client, "work", 0, 2, 0);
	wait_until_gone(1);
	ck_assert_int_eq(mempool_client_close(client), 0);
}
END_TEST

START_TEST(test_move_topic_finds_its_place_as_a_whole)
{
	struct mempool_client *client = open_client(&fixture);

	publish(client, 0, 3);
	ck_assert_int_eq(mempool_client_close(client), 0);
	reload("    pools: [ { chunk_size: 256, chunk_count: 2 } ]\n"
	       "    topics: [ { name: camera, capacity: 4 } ]\n");
	wait_for_log("3 messages of mempool-");
	client = open_client(&fixture);
	expect_published(client, 0, 0);
	ck_assert_uint_eq(n_used(2), 0);
	ck_assert_int_eq(mempool_client_close(client), 0);
	reload(new_layout);
	client = open_client(&fixture);
	expect_published(client, 0, 3);
	wait_until_gone(1);
	ck_assert_int_eq(mempool_client_close(client), 0);
}
END_TEST

/*
 * A pool that shares no more: what waits in queues moves there, and what a topic keeps does not, until
 * there is a pool for it.
 */
START_TEST(test_move_topic_needs_a_pool_that_shares)
{
	struct mempool_client *client = open_client(&fixture);
	struct mempool_msg_reloaded foreseen;

	publish(client, 0, 3);
	ck_assert_int_eq(mempool_client_close(client), 0);
	leave_messages("work", 4, 2);
	reload_with(0,
		    "    pools:\n"
		    "      - { chunk_size: 128, chunk_count: 100, sharing: false }\n"
		    "      - { chunk_size: 16, chunk_count: 100 }\n"
		    "    queues: [ { name: work, capacity: 8 } ]\n"
		    "    topics: [ { name: camera, capacity: 4 } ]\n", &foreseen);
	ck_assert_uint_eq(foreseen.n_moving, 2);
	ck_assert_uint_eq(foreseen.n_without_place, 3);
	wait_for_log("3 messages of mempool-");
	ck_assert(fixture_log_has(&fixture, "no pool that shares is large enough"));
	client = open_client(&fixture);
	expect_published(client, 0, 0);
	expect_from(client, "work", 4, 2, 0);
	ck_assert_int_eq(mempool_client_close(client), 0);
	/* A larger one will do, though allocations would take the smaller one. */
	reload("    fallback: false\n"
	       "    pools:\n"
	       "      - { chunk_size: 128, chunk_count: 100, sharing: false }\n"
	       "      - { chunk_size: 256, chunk_count: 100 }\n"
	       "    queues: [ { name: work, capacity: 8 } ]\n"
	       "    topics: [ { name: camera, capacity: 4 } ]\n");
	client = open_client(&fixture);
	expect_published(client, 0, 3);
	wait_until_gone(1);
	ck_assert_int_eq(mempool_client_close(client), 0);
}
END_TEST

/* ---- dropped, and foreseen ---- */

START_TEST(test_move_discard_drops_what_has_no_place)
{
	struct mempool_msg_reloaded reloaded;
	struct mempool_client *client;

	leave_messages("work", 1, 4);
	reload_with(MEMPOOL_RELOAD_DISCARD, shortages[0].layout, &reloaded);
	ck_assert_uint_eq(reloaded.n_moving, 2);
	ck_assert_uint_eq(reloaded.n_without_place, 2);
	client = open_client(&fixture);
	wait_until_gone(1);
	expect_from(client, "work", 1, 2, 0);
	expect_nothing(client, "work");
	ck_assert(fixture_log_has(&fixture, "dropped 2 messages of mempool-"));
	ck_assert_int_eq(mempool_client_close(client), 0);
}
END_TEST

/* Messages in slots have no place: they stay, and so does the old generation, until they are dropped. */
START_TEST(test_move_leaves_messages_in_slots)
{
	static const char slots[] =
		"    pools: [ { chunk_size: 128, chunk_count: 100 } ]\n"
		"    queues: [ { name: work, capacity: 8 },\n"
		"      { name: ticks, capacity: 4, senders: one, receivers: one, slot_bytes: 40 } ]\n";
	static const char others[] =
		"    pools: [ { chunk_size: 256, chunk_count: 100 } ]\n"
		"    queues: [ { name: ticks, capacity: 8, senders: one, receivers: one, slot_bytes: 40 },\n"
		"      { name: work, capacity: 4, senders: one, receivers: one, slot_bytes: 40 } ]\n";
	struct mempool_msg_reloaded reloaded;
	struct mempool_client *client;
	struct mempool_queue *queue;
	char text[40];
	size_t length;

	reload(slots);
	wait_until_gone(1);
	client = open_client(&fixture);
	ck_assert_int_eq(mempool_queue_open(client, "ticks", &queue), 0);
	ck_assert_int_eq(mempool_queue_send_bytes(queue, "first", 6, 0), 0);
	ck_assert_int_eq(mempool_queue_send_bytes(queue, "second", 7, 0), 0);
	ck_assert_int_eq(mempool_queue_receive_bytes(queue, text, sizeof(text), &length, 0), 0);
	ck_assert_str_eq(text, "first");
	/* A chunk has no place in slots, either. */
	if (_i == 1)
		send_to(client, "work", 0, 1);
	mempool_queue_close(queue);
	mempool_client_close(client);

	reload_with(0, others, &reloaded);
	ck_assert_uint_eq(reloaded.n_moving, 0);
	ck_assert_uint_eq(reloaded.n_without_place, 1 + _i);
	wait_for_log(_i == 1 ? "queue 'work' takes no chunks any more"
			     : "messages in slots of queue 'ticks' do not move");
	ck_assert(fixture_object_exists(&fixture, 2));
	client = open_client(&fixture);
	ck_assert_int_eq(mempool_queue_open(client, "ticks", &queue), 0);
	ck_assert_int_eq(mempool_queue_receive_bytes(queue, text, sizeof(text), NULL, 0), -EAGAIN);
	ck_assert_int_eq(mempool_queue_send_bytes(queue, "third", 6, 0), 0);
	ck_assert_int_eq(mempool_queue_receive_bytes(queue, text, sizeof(text), NULL, 0), 0);
	ck_assert_str_eq(text, "third");
	mempool_queue_close(queue);
	mempool_client_close(client);
	ck_assert(!fixture_log_has(&fixture, "dropped"));
	reload_with(MEMPOOL_RELOAD_DISCARD, others, &reloaded);
	wait_until_gone(2);
	wait_for_log(_i == 1 ? "dropped 2 messages of mempool-" : "dropped 1 messages of mempool-");
}
END_TEST

START_TEST(test_move_discard_drops_what_waits)
{
	struct mempool_msg_reloaded reloaded;
	struct mempool_client *client = open_client(&fixture);

	send_to(client, "work", 0, 2);
	publish(client, 0, 1);
	reload("    pools: [ { chunk_size: 256, chunk_count: 50 } ]\n");
	/* And who is in it still keeps it, over a restart. */
	reload_with(MEMPOOL_RELOAD_DISCARD, "    pools: [ { chunk_size: 256, chunk_count: 50 } ]\n",
		    &reloaded);
	ck_assert(fixture_object_exists(&fixture, 1));
	fixture_stop(&fixture);
	fixture_start(&fixture);
	ck_assert(fixture_object_exists(&fixture, 1));
	ck_assert_int_eq(mempool_client_close(client), 0);
	wait_until_gone(1);
	ck_assert(fixture_log_has(&fixture, "dropped 2 messages of mempool-"));
}
END_TEST

START_TEST(test_move_dry_run_tells_and_changes_nothing)
{
	struct mempool_msg_reloaded reloaded;
	struct mempool_client *client = open_client(&fixture);

	send_to(client, "work", 1, 4);
	publish(client, 0, 3);
	reload_with(MEMPOOL_RELOAD_DRY_RUN,
		    "    pools: [ { chunk_size: 256, chunk_count: 50 } ]\n"
		    "    queues: [ { name: work, capacity: 2 } ]\n"
		    "    topics: [ { name: camera, capacity: 2 } ]\n", &reloaded);
	ck_assert_uint_eq(reloaded.n_segments, 1);
	ck_assert_uint_eq(reloaded.n_relaid, 1);
	ck_assert_uint_eq(reloaded.n_moving, 4);
	ck_assert_uint_eq(reloaded.n_evicted, 1);
	ck_assert_uint_eq(reloaded.n_without_place, 2);
	ck_assert(!mempool_client_is_stale(client));
	ck_assert_uint_eq(fixture_count_objects(&fixture), 1);
	expect_from(client, "work", 1, 4, 0);
	expect_published(client, 0, 3);
	ck_assert_int_eq(mempool_client_close(client), 0);
}
END_TEST

/* ---- who writes what he likes ---- */

/* All of a generation's queue, as a member may write it. */
static void scribble(uint64_t generation)
{
	struct segment_memory memory = SEGMENT_MEMORY_NULL;
	struct mempool_ring *rings;
	struct segment *segment;
	_Atomic uint64_t *slots;
	unsigned char *base;
	char path[96];

	fixture_object_path(&fixture, generation, path);
	ck_assert_int_eq(segment_open(path + strlen("/dev/shm"), SEGMENT_READ_WRITE, &memory), 0);
	ck_assert_int_eq(segment_attach(&memory, &segment), 0);
	base = segment->memory.base;
	rings = segment->rings;
	slots = (void *)(base + segment->ring_places[0].slots_off);
	rings[0].head = UINT64_MAX - 3;
	rings[0].tail = 77;
	rings[2].tail = UINT64_C(1) << 63;
	/* The second message has a length that no chunk has; others name nothing. */
	slots[3] = UINT64_MAX >> 7;
	slots[4] = slots[0];
	slots = (void *)(base + segment->ring_places[2].slots_off);
	slots[1] = 3;
	slots[2] = UINT64_C(1) << 40;
	segment_free(segment);
}

START_TEST(test_move_of_a_damaged_generation_ends)
{
	struct mempool_client *client = open_client(&fixture);

	send_to(client, "work", 0, 2);
	publish(client, 0, 1);
	ck_assert_int_eq(mempool_client_close(client), 0);
	scribble(1);
	reload(new_layout);
	wait_until_gone(1);
	ck_assert(fixture_log_has(&fixture, "somebody wrote over them"));
	client = open_client(&fixture);
	ck_assert_int_eq(mempool_client_close(client), 0);
}
END_TEST

/*
 * Nobody lives in it, so the daemon has no reason to look at it before a thread does. 0: to count for a
 * dry run; 1: to move.
 */
START_TEST(test_move_of_a_truncated_generation_ends)
{
	struct mempool_msg_reloaded reloaded;
	struct mempool_client *client;
	char path[96];

	leave_messages("work", 1, 4);
	reload(shortages[0].layout);
	wait_for_log("2 messages of mempool-");
	fixture_object_path(&fixture, 1, path);
	ck_assert_int_eq(truncate(path, 0), 0);
	reload_with(_i == 0 ? MEMPOOL_RELOAD_DRY_RUN : 0, new_layout, &reloaded);
	/* Of that generation nothing is left, and the daemon goes on. */
	wait_for_log("it is lost");
	wait_until_gone(1);
	client = open_client(&fixture);
	expect_from(client, "work", 1, 2, 0);
	ck_assert_int_eq(mempool_client_close(client), 0);
}
END_TEST

START_TEST(test_move_of_a_segment_that_left_the_config)
{
	struct mempool_msg_reloaded reloaded;
	struct mempool_client *client;
	char path[128];
	FILE *file;

	leave_messages("work", 0, 2);
	snprintf(path, sizeof(path), "%s", fixture.config_path);
	file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	fprintf(file, "socket: { path: %s, mode: \"0666\" }\nsegments:\n  - name: %s-b\n%s",
		fixture.socket_path, fixture.segment, fixture_pools);
	fclose(file);
	wire_reload(&fixture, &reloaded);
	ck_assert_int_eq(reloaded.error, 0);
	wait_for_log("the segment is not in the config any more");
	ck_assert(fixture_object_exists(&fixture, 1));
	/* It comes back, with another layout. */
	reload_with(MEMPOOL_RELOAD_DRY_RUN, new_layout, &reloaded);
	ck_assert_uint_eq(reloaded.n_moving, 2);
	ck_assert_uint_eq(reloaded.n_without_place, 0);
	reload(new_layout);
	client = open_client(&fixture);
	expect_from(client, "work", 0, 2, 0);
	wait_until_gone(1);
	ck_assert_int_eq(mempool_client_close(client), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("move");
	TCase *tcase = tcase_create("move");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, test_move_nobody_attached_both_are_there);
	tcase_add_test(tcase, test_move_a_stamp_stays_and_none_is_made_up);
	if (!skip_with_thread_sanitizer("no thread can be held"))
		tcase_add_test(tcase, test_move_nobody_comes_before_it_is_over);
	tcase_add_test(tcase, test_move_at_the_start_what_the_dead_have_sent);
	tcase_add_loop_test(tcase, test_move_to_a_queue_for_one_sender, 0, 2);
	tcase_add_test(tcase, test_move_over_two_reloads_keeps_the_order);
	tcase_add_test(tcase, test_move_when_the_last_one_leaves);
	tcase_add_test(tcase, test_move_wakes_who_sleeps_for_a_message);
	tcase_add_test(tcase, test_move_topic_keeps_what_it_kept);
	tcase_add_test(tcase, test_move_topic_smaller_one_keeps_the_newest);
	tcase_add_test(tcase, test_move_topic_an_old_one_does_not_become_the_latest);
	tcase_add_test(tcase, test_move_topic_that_is_gone);
	tcase_add_loop_test(tcase, test_move_no_place_stays_until_there_is_one, 0, 3);
	tcase_add_test(tcase, test_move_no_queue_of_that_name);
	tcase_add_test(tcase, test_move_topic_finds_its_place_as_a_whole);
	tcase_add_test(tcase, test_move_topic_needs_a_pool_that_shares);
	tcase_add_test(tcase, test_move_discard_drops_what_has_no_place);
	tcase_add_loop_test(tcase, test_move_leaves_messages_in_slots, 0, 2);
	tcase_add_test(tcase, test_move_discard_drops_what_waits);
	tcase_add_test(tcase, test_move_dry_run_tells_and_changes_nothing);
	tcase_add_test(tcase, test_move_of_a_damaged_generation_ends);
	tcase_add_loop_test(tcase, test_move_of_a_truncated_generation_ends, 0, 2);
	tcase_add_test(tcase, test_move_of_a_segment_that_left_the_config);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
