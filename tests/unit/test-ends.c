/* SPDX-License-Identifier: MIT */
/* test-ends.c - who reads a topic, and who sends to a queue or receives from it, is seen */
#include "test_segment.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "client/client.h"
#include "shm/audit.h"
#include "shm/end.h"
#include "shm/holder.h"
#include "shm/reap.h"

enum { TOPIC, QUEUE, OTHER_TOPIC };	/* in the ring table */

static struct segment *segment;
static struct mempool_client *client, *other;
static struct mempool_topic *topic;
static struct mempool_queue *queue;

/* Some sound client, LIVE, in the second use of its id. */
static void add_holder(uint32_t id)
{
	const struct holder holder = {
		.id = id, .kind = MEMPOOL_HOLDER_CLIENT, .pid = 1, .incarnation = 2, .name = "test",
	};

	holder_set_live(segment, &holder);
}

static uint32_t first(void)
{
	return holder_first_client(segment);
}

static void setup(void)
{
	static const struct test_pool pools[] = { { .chunk_size = 64, .n_chunks = 50 } };
	struct config config;

	test_config_init(&config, pools, ARRAY_SIZE(pools));
	ck_assert_int_eq(config_add_ring(&config, "news", MEMPOOL_RING_TOPIC, 4), 0);
	ck_assert_int_eq(config_add_ring(&config, "jobs", MEMPOOL_RING_QUEUE, 8), 0);
	ck_assert_int_eq(config_add_ring(&config, "more", MEMPOOL_RING_TOPIC, 4), 0);
	segment = test_segment_new_of(&config);
	config_deinit(&config);
	add_holder(first());
	add_holder(first() + 1);
	ck_assert_int_eq(client_new(test_segment_view(segment), first(), 0, &client), 0);
	ck_assert_int_eq(client_new(test_segment_view(segment), first() + 1, 0, &other), 0);
	ck_assert_int_eq(mempool_topic_open(client, "news", &topic), 0);
	ck_assert_int_eq(mempool_queue_open(client, "jobs", &queue), 0);
}

static void teardown(void)
{
	mempool_topic_close(topic);
	mempool_queue_close(queue);
	mempool_client_close(client);
	mempool_client_close(other);
	segment_free(segment);
}

static uint32_t n_open(void)
{
	struct end end;
	uint32_t n = 0;

	for (uint32_t line = 0; end_find(segment, &line, &end); line++)
		n++;
	return n;
}

/* The only one there is. */
static struct end only_end(void)
{
	struct end end;
	uint32_t line = 0;

	ck_assert_uint_eq(n_open(), 1);
	ck_assert(end_find(segment, &line, &end));
	ck_assert(end_read(segment, line, &end));
	return end;
}

static struct mempool_subscriber *subscribe(struct mempool_topic *of, enum mempool_topic_start start,
					    uint64_t flags)
{
	const struct mempool_subscribe_options options = {
		.size = sizeof(options), .start = (uint32_t)start, .flags = flags,
	};
	struct mempool_subscriber *subscriber;

	ck_assert_int_eq(mempool_topic_subscribe_with(of, &options, &subscriber), 0);
	return subscriber;
}

static void publish(int n)
{
	for (int i = 0; i < n; i++)
		ck_assert_int_eq(mempool_topic_publish(topic, mempool_alloc_zeroed(client, 8), 8), 0);
}

static void read_next(struct mempool_subscriber *subscriber)
{
	const void *chunk;

	ck_assert_int_eq(mempool_subscriber_next(subscriber, &chunk, NULL, NULL, 0), 0);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
}

static void audit_says(const char *expected)
{
	struct audit audit;

	ck_assert_int_eq(audit_segment(segment, 0, NULL, NULL, &audit), 0);
	ck_assert_uint_eq(audit.n_faults, expected ? 1 : 0);
}

START_TEST(test_ends_subscriber_shows_how_far_it_is)
{
	struct mempool_subscriber *subscriber;
	struct end end;

	publish(2);
	subscriber = subscribe(topic, MEMPOOL_TOPIC_OLDEST, 0);
	end = only_end();
	ck_assert_int_eq(end.kind, MEMPOOL_END_SUBSCRIBER);
	ck_assert_uint_eq(end.ring, TOPIC);
	ck_assert_uint_eq(end.holder, first());
	ck_assert_uint_eq(end.incarnation, 2);
	ck_assert(end.is_whole);
	ck_assert_uint_eq(end.start, 0);
	ck_assert_uint_eq(end.cursor, 0);
	read_next(subscriber);
	ck_assert_uint_eq(only_end().cursor, 1);
	/* Four are kept: 1 and 2 are gone. */
	publish(5);
	read_next(subscriber);
	end = only_end();
	ck_assert_uint_eq(end.cursor, 4);
	ck_assert_uint_eq(end.n_missed, 2);
	ck_assert_uint_eq(end.flags, 0);
	mempool_subscriber_close(subscriber);
	ck_assert_uint_eq(n_open(), 0);
}
END_TEST

START_TEST(test_ends_subscriber_that_peeks_or_copies_shows_it_too)
{
	struct mempool_subscriber *subscriber = subscribe(topic, MEMPOOL_TOPIC_NEW, 0);
	const void *chunk;
	char buffer[8];

	publish(2);
	ck_assert_int_eq(mempool_subscriber_peek(subscriber, &chunk, NULL, NULL, NULL, 0), 0);
	ck_assert_uint_eq(only_end().cursor, 1);
	ck_assert_int_eq(mempool_subscriber_copy(subscriber, buffer, 8, NULL, NULL, NULL, 0), 0);
	ck_assert_uint_eq(only_end().cursor, 2);
	mempool_subscriber_close(subscriber);
}
END_TEST

/* It has found nothing to read, and is not behind. */
START_TEST(test_ends_subscriber_that_passes_its_own_shows_it)
{
	struct mempool_subscriber *subscriber =
		subscribe(topic, MEMPOOL_TOPIC_NEW, MEMPOOL_SUBSCRIBE_OTHERS);
	const void *chunk;

	ck_assert_uint_eq(only_end().flags, MEMPOOL_END_OTHERS);
	publish(3);
	ck_assert_int_eq(mempool_subscriber_next(subscriber, &chunk, NULL, NULL, 0), -EAGAIN);
	ck_assert_uint_eq(only_end().cursor, 3);
	ck_assert_uint_eq(only_end().n_missed, 0);
	publish(1);
	ck_assert_int_eq(mempool_subscriber_peek(subscriber, &chunk, NULL, NULL, NULL, 0), -EAGAIN);
	ck_assert_uint_eq(only_end().cursor, 4);
	mempool_subscriber_close(subscriber);
}
END_TEST

START_TEST(test_ends_queue_has_them_from_the_first_use_on)
{
	void *chunk;

	ck_assert_uint_eq(n_open(), 0);
	ck_assert_int_eq(mempool_queue_send(queue, mempool_alloc(client, 8), 8, 0), 0);
	ck_assert_int_eq(only_end().kind, MEMPOOL_END_SENDER);
	ck_assert_int_eq(mempool_queue_send(queue, mempool_alloc(client, 8), 8, 0), 0);
	ck_assert_uint_eq(only_end().ring, QUEUE);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(mempool_queue_receive(queue, &chunk, NULL, 0), 0);
		ck_assert_int_eq(mempool_free(client, chunk), 0);
	}
	ck_assert_uint_eq(n_open(), 2);
	/* To have found nothing is enough. */
	mempool_queue_close(queue);
	ck_assert_uint_eq(n_open(), 0);
	ck_assert_int_eq(mempool_queue_open(client, "jobs", &queue), 0);
	ck_assert_int_eq(mempool_queue_receive_many(queue, &chunk, NULL, 1, 0), -EAGAIN);
	ck_assert_int_eq(only_end().kind, MEMPOOL_END_RECEIVER);
}
END_TEST

START_TEST(test_ends_are_counted)
{
	struct mempool_subscriber *subscribers[3];
	struct mempool_queue_counts queues[1];
	struct mempool_topic_counts topics[2];
	struct mempool_topic *more;
	void *chunk;

	ck_assert_int_eq(mempool_topic_open(other, "more", &more), 0);
	for (int i = 0; i < 3; i++)
		subscribers[i] = subscribe(i == 0 ? topic : more, MEMPOOL_TOPIC_NEW, 0);
	ck_assert_int_eq(mempool_queue_receive(queue, &chunk, NULL, 0), -EAGAIN);
	ck_assert_int_eq(mempool_client_queues(client, queues, 1), 1);
	ck_assert_uint_eq(queues[0].senders, 0);
	ck_assert_uint_eq(queues[0].receivers, 1);
	ck_assert_int_eq(mempool_client_topics(client, topics, 2), 2);
	ck_assert_uint_eq(topics[0].subscribers, 1);
	ck_assert_uint_eq(topics[1].subscribers, 2);
	ck_assert_uint_eq(topics[0].unseen, 0);
	ck_assert_int_eq(mempool_topic_info(more, &topics[0]), 0);
	ck_assert_uint_eq(topics[0].subscribers, 2);
	ck_assert_int_eq(mempool_queue_info(queue, &queues[0]), 0);
	ck_assert_uint_eq(queues[0].receivers, 1);
	/* Room for one: the other's is not written. */
	ck_assert_int_eq(mempool_client_topics(client, topics, 1), 2);
	ck_assert_uint_eq(topics[0].subscribers, 1);
	for (int i = 0; i < 3; i++)
		mempool_subscriber_close(subscribers[i]);
	mempool_topic_close(more);
}
END_TEST

START_TEST(test_ends_go_with_their_client)
{
	struct mempool_subscriber *subscriber = subscribe(topic, MEMPOOL_TOPIC_NEW, 0);
	struct mempool_topic *of_other;
	struct mempool_subscriber *others;
	uint64_t word;
	uint32_t line = 0;
	struct end end;

	ck_assert_int_eq(mempool_topic_open(other, "news", &of_other), 0);
	others = subscribe(of_other, MEMPOOL_TOPIC_NEW, 0);
	mempool_client_close(client);
	ck_assert_uint_eq(only_end().holder, first() + 1);
	/* What a closed client's handle gives back is not what another one has there by now. */
	word = end_word(MEMPOOL_END_SUBSCRIBER, TOPIC, first(), 2);
	for (line = 0; line < segment->geometry.n_ends; line++)
		if (segment->end_words[line] == 0)
			segment->end_words[line] = word;
	mempool_subscriber_close(subscriber);
	line = 0;
	ck_assert(end_find(segment, &line, &end));
	ck_assert_uint_eq(n_open(), segment->geometry.n_ends);
	mempool_subscriber_close(others);
	mempool_topic_close(of_other);
	mempool_topic_close(topic);
	topic = NULL;
	mempool_queue_close(queue);
	queue = NULL;
	client = NULL;
}
END_TEST

START_TEST(test_ends_of_the_dead_are_given_back)
{
	struct mempool_subscriber *subscriber = subscribe(topic, MEMPOOL_TOPIC_NEW, 0);
	struct mempool_topic *of_other;
	struct mempool_subscriber *others;

	ck_assert_int_eq(mempool_topic_open(other, "news", &of_other), 0);
	others = subscribe(of_other, MEMPOOL_TOPIC_NEW, 0);
	ck_assert_int_ge(reap_holder(segment, first() + 1), 0);
	ck_assert_uint_eq(only_end().holder, first());
	/* It knows nothing of that, and does no harm. */
	mempool_subscriber_close(others);
	ck_assert_uint_eq(n_open(), 1);
	mempool_topic_close(of_other);
	mempool_subscriber_close(subscriber);
}
END_TEST

/* No main job is refused for it. */
START_TEST(test_ends_table_is_full_and_all_works)
{
	const uint64_t word = end_word(MEMPOOL_END_SUBSCRIBER, OTHER_TOPIC, first() + 1, 2);
	struct mempool_subscriber *subscriber;
	struct mempool_topic_counts counts;
	struct mempool_queue_counts queue_counts;
	void *chunk;

	for (uint32_t line = 0; line < segment->geometry.n_ends; line++)
		segment->end_words[line] = word;
	subscriber = subscribe(topic, MEMPOOL_TOPIC_NEW, 0);
	publish(6);
	read_next(subscriber);
	ck_assert_int_eq(mempool_topic_info(topic, &counts), 0);
	ck_assert_uint_eq(counts.subscribers, 0);
	ck_assert_uint_eq(counts.unseen, 1);
	mempool_subscriber_close(subscriber);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(mempool_queue_receive(queue, &chunk, NULL, 0), -EAGAIN);
	ck_assert_int_eq(mempool_queue_info(queue, &queue_counts), 0);
	ck_assert_uint_eq(queue_counts.receivers, 0);
	ck_assert_uint_eq(queue_counts.unseen, 1);
	ck_assert_uint_eq(n_open(), segment->geometry.n_ends);
	/* One is free: it is found, wherever it is. */
	segment->end_words[segment->geometry.n_ends - 1] = 0;
	subscriber = subscribe(topic, MEMPOOL_TOPIC_NEW, 0);
	ck_assert_int_eq(mempool_topic_info(topic, &counts), 0);
	ck_assert_uint_eq(counts.subscribers, 1);
	mempool_subscriber_close(subscriber);
	memset((void *)segment->end_words, 0, segment->geometry.n_ends * sizeof(uint64_t));
}
END_TEST

/* Nothing is shown of them, and the audit says so. */
START_TEST(test_ends_that_are_garbage_are_passed_over)
{
	static const uint64_t reserved = UINT64_C(2) << 32;
	const uint64_t words[] = {
		1,
		UINT64_MAX,
		reserved | end_word(MEMPOOL_END_NONE, TOPIC, first(), 0),
		end_word(MEMPOOL_END_SUBSCRIBER, QUEUE, first(), 2),
		end_word(MEMPOOL_END_SENDER, TOPIC, first(), 2),
		end_word(MEMPOOL_END_SUBSCRIBER, 3, first(), 2),
		end_word(MEMPOOL_END_SUBSCRIBER, TOPIC, MEMPOOL_HOLDER_DAEMON_ID, 2),
		end_word(MEMPOOL_END_SUBSCRIBER, TOPIC, segment->n_holders, 2),
		end_word(MEMPOOL_END_SUBSCRIBER, TOPIC, first(), 3),
		end_word(MEMPOOL_END_SUBSCRIBER, TOPIC, first() + 2, 0),
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		uint32_t line = 0;
		struct end end;

		segment->end_words[5] = words[i];
		ck_assert(!end_find(segment, &line, &end) || !end_read(segment, line, &end));
		audit_says("something");
		ck_assert_int_ge(reap_holder(segment, first() + 1), 0);
	}
	/* A line of another's: the end is there, and nothing is said of its cursor. */
	segment->end_words[5] = end_word(MEMPOOL_END_SUBSCRIBER, TOPIC, first(), 2);
	ck_assert(!only_end().is_whole);
	audit_says(NULL);
	segment->end_words[5] = 0;
}
END_TEST

/* What another one writes there moves no cursor but the one that is shown. */
START_TEST(test_ends_line_that_is_written_over_steers_nobody)
{
	struct mempool_subscriber *subscriber = subscribe(topic, MEMPOOL_TOPIC_NEW, 0);

	publish(2);
	memset((void *)segment->ends, 0xff, segment->geometry.n_ends * sizeof(*segment->ends));
	memset((void *)segment->end_words, 0xff, segment->geometry.n_ends * sizeof(uint64_t));
	read_next(subscriber);
	read_next(subscriber);
	mempool_subscriber_close(subscriber);
	memset((void *)segment->end_words, 0, segment->geometry.n_ends * sizeof(uint64_t));
}
END_TEST

/* ---- the last one has left ---- */

static struct mempool_queue *open_pipe(struct mempool_client *by, uint64_t flags)
{
	const struct mempool_queue_options options = { .size = sizeof(options), .flags = flags };
	struct mempool_queue *pipe;

	ck_assert_int_eq(mempool_queue_open_with(by, "jobs", &options, &pipe), 0);
	return pipe;
}

static int send_to(struct mempool_queue *to, int64_t timeout_ns)
{
	void *chunk = mempool_alloc(client, 8);
	int r = mempool_queue_send(to, chunk, 8, timeout_ns);

	/* Not sent: it is still ours. */
	if (r < 0)
		ck_assert_int_eq(mempool_free(client, chunk), 0);
	return r;
}

static int receive_from(struct mempool_queue *from, int64_t timeout_ns)
{
	void *chunk;
	int r = mempool_queue_receive(from, &chunk, NULL, timeout_ns);

	if (r == 0)
		ck_assert_int_eq(mempool_free(client, chunk), 0);
	return r;
}

START_TEST(test_ends_sender_learns_that_the_last_receiver_left)
{
	struct mempool_queue *sender = open_pipe(client, MEMPOOL_QUEUE_PIPE);
	struct mempool_queue *receivers[2];
	void *chunk = mempool_alloc(client, 8), *oldest = chunk;
	const size_t length = 8;

	/* Before the first one comes, it is a queue like any other. */
	ck_assert_int_eq(send_to(sender, 0), 0);
	for (int i = 0; i < 2; i++)
		receivers[i] = open_pipe(other, MEMPOOL_QUEUE_RECEIVER);
	ck_assert_int_eq(send_to(sender, 0), 0);
	mempool_queue_close(receivers[0]);
	ck_assert_int_eq(send_to(sender, 0), 0);
	mempool_queue_close(receivers[1]);
	ck_assert_int_eq(send_to(sender, 0), -EPIPE);
	ck_assert_int_eq(send_to(sender, -1), -EPIPE);
	ck_assert_int_eq(mempool_queue_send_many(sender, &chunk, &length, 1, -1), -EPIPE);
	ck_assert_int_eq(mempool_queue_send_evict(sender, chunk, 8, &oldest, NULL), -EPIPE);
	ck_assert_ptr_null(oldest);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
	/* Who does not ask is not told. */
	ck_assert_int_eq(send_to(queue, 0), 0);
	/* Another one comes. */
	receivers[0] = open_pipe(other, MEMPOOL_QUEUE_RECEIVER);
	ck_assert_int_eq(send_to(sender, 0), 0);
	mempool_queue_close(receivers[0]);
	mempool_queue_close(sender);
}
END_TEST

/* It came and went between two calls. */
START_TEST(test_ends_sender_learns_of_one_that_it_has_not_seen)
{
	struct mempool_queue *sender = open_pipe(client, MEMPOOL_QUEUE_PIPE);

	ck_assert_int_eq(send_to(sender, 0), 0);
	mempool_queue_close(open_pipe(other, MEMPOOL_QUEUE_RECEIVER));
	ck_assert_int_eq(send_to(sender, 0), -EPIPE);
	mempool_queue_close(sender);
	/* All that is before its time. */
	sender = open_pipe(client, MEMPOOL_QUEUE_PIPE);
	ck_assert_int_eq(send_to(sender, 0), 0);
	mempool_queue_close(sender);
}
END_TEST

START_TEST(test_ends_receiver_learns_that_the_last_sender_left_when_all_is_received)
{
	struct mempool_queue *receiver = open_pipe(client, MEMPOOL_QUEUE_PIPE);
	void *chunk;

	ck_assert_int_eq(receive_from(receiver, 0), -EAGAIN);
	ck_assert_int_eq(send_to(queue, 0), 0);
	ck_assert_int_eq(send_to(queue, 0), 0);
	ck_assert_int_eq(receive_from(receiver, 0), 0);
	mempool_queue_close(queue);
	ck_assert_int_eq(receive_from(receiver, 0), 0);
	ck_assert_int_eq(receive_from(receiver, 0), -EPIPE);
	ck_assert_int_eq(receive_from(receiver, -1), -EPIPE);
	ck_assert_int_eq(mempool_queue_receive_many(receiver, &chunk, NULL, 1, -1), -EPIPE);
	ck_assert_int_eq(mempool_queue_open(client, "jobs", &queue), 0);
	ck_assert_int_eq(send_to(queue, 0), 0);
	ck_assert_int_eq(receive_from(receiver, 0), 0);
	ck_assert_int_eq(receive_from(receiver, 0), -EAGAIN);
	mempool_queue_close(receiver);
}
END_TEST

/* The other client has a queue open; it leaves in one of these ways. */
static void close_handle(struct mempool_queue **theirs)
{
	mempool_queue_close(*theirs);
	*theirs = NULL;
}

static void close_client(struct mempool_queue **theirs)
{
	(void)theirs;
	mempool_client_close(other);
	other = NULL;
}

static void die(struct mempool_queue **theirs)
{
	(void)theirs;
	ck_assert_int_ge(reap_holder(segment, first() + 1), 0);
}

/* Killed behind its word, before all else. */
static void die_half_way(struct mempool_queue **theirs)
{
	struct end end;

	for (uint32_t line = 0; end_find(segment, &line, &end); line++)
		if (end.holder == first() + 1) {
			atomic_fetch_add(&segment->rings[QUEUE].n_gone[0], 1);
			atomic_fetch_add(&segment->rings[QUEUE].n_gone[1], 1);
			atomic_store(&segment->end_words[line], 0);
		}
	die(theirs);
}

static void (*const ways[])(struct mempool_queue **theirs) = {
	close_handle, close_client, die, die_half_way,
};

/* Who is not told says -EAGAIN then. No sound one sleeps so long, however busy the machine is. */
#define TELL_NS INT64_C(10000000000)

struct sleeper {
	struct mempool_queue *pipe;
	bool sends;
	int r;
	atomic_bool is_over;
};

static void *sleep_on(void *userdata)
{
	struct sleeper *sleeper = userdata;

	sleeper->r = sleeper->sends ? send_to(sleeper->pipe, TELL_NS)
				    : receive_from(sleeper->pipe, TELL_NS);
	atomic_store(&sleeper->is_over, true);
	return NULL;
}

/* Asleep, with the last one of the other side there, when that one leaves. */
static void wake_by(int way, bool sends)
{
	struct mempool_ring *ring = &segment->rings[QUEUE];
	struct mempool_queue *theirs =
		open_pipe(other, sends ? MEMPOOL_QUEUE_RECEIVER : MEMPOOL_QUEUE_SENDER);
	struct sleeper sleeper = { .pipe = open_pipe(client, MEMPOOL_QUEUE_PIPE), .sends = sends };
	pthread_t thread;

	while (sends && send_to(sleeper.pipe, 0) == 0)
		;
	ck_assert_int_eq(pthread_create(&thread, NULL, sleep_on, &sleeper), 0);
	while (!eventcount_is_armed(sends ? &ring->emptied : &ring->filled) &&
	       !atomic_load(&sleeper.is_over))
		usleep(1000);
	ways[way](&theirs);
	pthread_join(thread, NULL);
	ck_assert_int_eq(sleeper.r, -EPIPE);
	mempool_queue_close(theirs);
	mempool_queue_close(sleeper.pipe);
}

START_TEST(test_ends_sleeping_sender_learns_it)
{
	wake_by(_i, true);
}
END_TEST

START_TEST(test_ends_sleeping_receiver_learns_it)
{
	wake_by(_i, false);
}
END_TEST

START_TEST(test_ends_nothing_is_said_of_a_queue_with_unseen_ends)
{
	struct mempool_queue *sender = open_pipe(client, MEMPOOL_QUEUE_PIPE);
	struct mempool_queue *receiver;

	atomic_store(&segment->rings[QUEUE].n_unseen, 1);
	receiver = open_pipe(other, MEMPOOL_QUEUE_RECEIVER);
	ck_assert_int_eq(send_to(sender, 0), 0);
	mempool_queue_close(receiver);
	ck_assert_int_eq(send_to(sender, 0), 0);
	mempool_queue_close(sender);
}
END_TEST

START_TEST(test_ends_options_that_are_none_einval)
{
	struct mempool_queue_options options = { .size = sizeof(options), .flags = 8 };
	struct mempool_queue *opened = queue;

	ck_assert_int_eq(mempool_queue_open_with(client, "jobs", &options, &opened), -EINVAL);
	options.flags = 0;
	options.size = 0;
	ck_assert_int_eq(mempool_queue_open_with(client, "jobs", &options, &opened), -EINVAL);
	ck_assert_int_eq(mempool_queue_open_with(client, "jobs", NULL, &opened), -EINVAL);
	ck_assert_ptr_eq(opened, queue);
	options.size = sizeof(options);
	ck_assert_int_eq(mempool_queue_open_with(client, "news", &options, &opened), -ENOENT);
	ck_assert_int_eq(mempool_queue_open_with(client, "jobs", &options, &opened), 0);
	mempool_queue_close(opened);
}
END_TEST

/* Whoever has many holders or many rings has room for them; whoever has no ring needs none. */
START_TEST(test_ends_are_as_many_as_the_shape_says)
{
	ck_assert_uint_eq(geometry_n_ends(256, 0), 0);
	ck_assert_uint_eq(geometry_n_ends(64, 1), 264);
	ck_assert_uint_eq(geometry_n_ends(256, 3), 1032);
	ck_assert_uint_ge(geometry_n_ends(64, 10000), 20000);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_ends_subscriber_shows_how_far_it_is);
	tcase_add_test(tcase, test_ends_subscriber_that_peeks_or_copies_shows_it_too);
	tcase_add_test(tcase, test_ends_subscriber_that_passes_its_own_shows_it);
	tcase_add_test(tcase, test_ends_queue_has_them_from_the_first_use_on);
	tcase_add_test(tcase, test_ends_are_counted);
	tcase_add_test(tcase, test_ends_go_with_their_client);
	tcase_add_test(tcase, test_ends_of_the_dead_are_given_back);
	tcase_add_test(tcase, test_ends_table_is_full_and_all_works);
	tcase_add_test(tcase, test_ends_that_are_garbage_are_passed_over);
	tcase_add_test(tcase, test_ends_line_that_is_written_over_steers_nobody);
	tcase_add_test(tcase, test_ends_sender_learns_that_the_last_receiver_left);
	tcase_add_test(tcase, test_ends_sender_learns_of_one_that_it_has_not_seen);
	tcase_add_test(tcase,
		       test_ends_receiver_learns_that_the_last_sender_left_when_all_is_received);
	tcase_add_loop_test(tcase, test_ends_sleeping_sender_learns_it, 0, ARRAY_SIZE(ways));
	tcase_add_loop_test(tcase, test_ends_sleeping_receiver_learns_it, 0, ARRAY_SIZE(ways));
	tcase_add_test(tcase, test_ends_nothing_is_said_of_a_queue_with_unseen_ends);
	tcase_add_test(tcase, test_ends_options_that_are_none_einval);
	tcase_add_test(tcase, test_ends_are_as_many_as_the_shape_says);
}

int main(void)
{
	return test_run("ends", add_tests);
}
