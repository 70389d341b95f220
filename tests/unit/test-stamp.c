/* SPDX-License-Identifier: MIT */
/* test-stamp.c - when a message was sent: whose stamp goes with what, and when there is none */
#include "test_segment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "shm/census.h"
#include "shm/clock.h"
#include "shm/drain.h"
#include "shm/holder.h"
#include "shm/queue.h"
#include "shm/reap.h"
#include "shm/stamp.h"
#include "shm/topic.h"

enum { N_CHUNKS = 6, CHUNK_SIZE = 64, CAPACITY = 2 };

static struct segment *segment;
static struct mempool_client *sender, *receiver, *spectator;
static struct mempool_queue *to, *from, *plain;
static struct mempool_topic *topic, *plain_topic;

static struct mempool_client *client_of(uint32_t holder)
{
	struct mempool_client *made;

	ck_assert_int_eq(client_new(test_segment_view(segment), holder, 0, &made), 0);
	return made;
}

static struct mempool_queue *open_queue(struct mempool_client *client, const char *name)
{
	struct mempool_queue *queue;

	ck_assert_int_eq(mempool_queue_open(client, name, &queue), 0);
	return queue;
}

static void setup(void)
{
	static const struct test_pool pools[] = {
		{ .chunk_size = CHUNK_SIZE, .n_chunks = N_CHUNKS },
	};
	struct config config;

	test_config_init(&config, pools, ARRAY_SIZE(pools));
	ck_assert_int_eq(config_add_ring(&config, "plain", MEMPOOL_RING_QUEUE, CAPACITY), 0);
	ck_assert_int_eq(config_add_ring(&config, "news", MEMPOOL_RING_TOPIC, CAPACITY), 0);
	ck_assert_int_eq(config_add_ring(&config, "stamped", MEMPOOL_RING_QUEUE, CAPACITY), 0);
	ck_assert_int_eq(config_add_ring(&config, "camera", MEMPOOL_RING_TOPIC, CAPACITY), 0);
	config.rings[2].flags = config.rings[3].flags = MEMPOOL_RING_STAMPS;
	segment = test_segment_new_of(&config);
	config_deinit(&config);
	sender = client_of(holder_first_client(segment));
	receiver = client_of(holder_first_client(segment) + 1);
	ck_assert_int_eq(client_new_as(MEMPOOL_ROLE_SPECTATOR, 0, test_segment_view(segment),
				       MEMPOOL_HOLDER_NONE, 0, &spectator), 0);
	to = open_queue(sender, "stamped");
	from = open_queue(receiver, "stamped");
	plain = open_queue(receiver, "plain");
	ck_assert_int_eq(mempool_topic_open(sender, "camera", &topic), 0);
	ck_assert_int_eq(mempool_topic_open(sender, "news", &plain_topic), 0);
}

static void teardown(void)
{
	mempool_queue_close(to);
	mempool_queue_close(from);
	mempool_queue_close(plain);
	mempool_topic_close(topic);
	mempool_topic_close(plain_topic);
	mempool_client_close(sender);
	mempool_client_close(receiver);
	mempool_client_close(spectator);
	segment_free(segment);
}

static void *chunk_of(struct mempool_client *client)
{
	void *chunk = mempool_alloc(client, CHUNK_SIZE);

	ck_assert_ptr_nonnull(chunk);
	return chunk;
}

static void *received(struct mempool_queue *queue)
{
	void *chunk;

	ck_assert_int_eq(mempool_queue_receive(queue, &chunk, NULL, 0), 0);
	return chunk;
}

static void must_have_none(struct mempool_client *client, const void *chunk)
{
	uint64_t sent_ns = 7;

	ck_assert_int_eq(mempool_message_stamp(client, chunk, &sent_ns), -ENODATA);
	ck_assert_uint_eq(sent_ns, 7);
}

static uint64_t stamp_of(struct mempool_client *client, const void *chunk)
{
	uint64_t sent_ns;

	ck_assert_int_eq(mempool_message_stamp(client, chunk, &sent_ns), 0);
	return sent_ns;
}

/* So long that the next stamp is another one, whatever the clock's step. */
static uint64_t later(void)
{
	int64_t before = clock_now_ns(), now;

	do
		now = clock_now_ns();
	while (now <= before);
	return (uint64_t)now;
}

static struct mempool_subscriber *subscribe(struct mempool_client *client, const char *name,
					    uint64_t flags)
{
	const struct mempool_subscribe_options options = {
		.size = sizeof(options), .start = MEMPOOL_TOPIC_OLDEST, .flags = flags,
	};
	struct mempool_subscriber *subscriber;
	struct mempool_topic *its;

	ck_assert_int_eq(mempool_topic_open(client, name, &its), 0);
	ck_assert_int_eq(mempool_topic_subscribe_with(its, &options, &subscriber), 0);
	mempool_topic_close(its);
	return subscriber;
}

/* One, several, or one that takes another's place: each time that of the call. */
START_TEST(test_stamp_received_is_when_it_was_sent)
{
	uint64_t before = later(), after, middle;
	const size_t lengths[2] = { 1, 1 };
	void *chunks[2], *oldest;

	ck_assert_int_eq(mempool_queue_send(to, chunk_of(sender), 1, 0), 0);
	after = later();
	chunks[0] = received(from);
	ck_assert_uint_ge(stamp_of(receiver, chunks[0]), before);
	ck_assert_uint_lt(stamp_of(receiver, chunks[0]), after);
	ck_assert_int_eq(mempool_free(receiver, chunks[0]), 0);

	chunks[0] = chunk_of(sender);
	chunks[1] = chunk_of(sender);
	before = later();
	ck_assert_int_eq(mempool_queue_send_many(to, chunks, lengths, 2, 0), 2);
	middle = later();
	ck_assert_int_eq(mempool_queue_send_evict(to, chunk_of(sender), 1, &oldest, NULL), 0);
	after = later();
	/* It was received, by its sender. */
	ck_assert_uint_ge(stamp_of(sender, oldest), before);
	ck_assert_uint_lt(stamp_of(sender, oldest), middle);
	ck_assert_int_eq(mempool_queue_receive_many(from, chunks, NULL, 2, 0), 2);
	ck_assert_uint_ge(stamp_of(receiver, chunks[0]), before);
	ck_assert_uint_lt(stamp_of(receiver, chunks[0]), middle);
	ck_assert_uint_ge(stamp_of(receiver, chunks[1]), middle);
	ck_assert_uint_lt(stamp_of(receiver, chunks[1]), after);
}
END_TEST

START_TEST(test_stamp_where_none_is_kept_enodata)
{
	struct mempool_subscriber *subscriber = subscribe(receiver, "news", 0);
	const void *message;
	uint64_t sent_ns;
	void *chunk;

	/* The chunk had a stamp before. */
	ck_assert_int_eq(mempool_queue_send(to, chunk_of(sender), 1, 0), 0);
	chunk = received(from);
	ck_assert_uint_ne(stamp_of(receiver, chunk), 0);
	ck_assert_int_eq(mempool_queue_send(plain, chunk, 1, 0), 0);
	chunk = received(plain);
	must_have_none(receiver, chunk);
	ck_assert_int_eq(mempool_queue_send(from, chunk, 1, 0), 0);
	chunk = received(from);
	ck_assert_uint_ne(stamp_of(receiver, chunk), 0);
	ck_assert_int_eq(mempool_free(receiver, chunk), 0);

	ck_assert_int_eq(mempool_topic_publish(plain_topic, chunk_of(sender), 1), 0);
	ck_assert_int_eq(mempool_subscriber_next(subscriber, &message, NULL, NULL, 0), 0);
	must_have_none(receiver, message);
	ck_assert_int_eq(mempool_free(receiver, message), 0);
	mempool_subscriber_close(subscriber);
	subscriber = subscribe(spectator, "news", 0);
	ck_assert_int_eq(mempool_subscriber_peek(subscriber, &message, NULL, NULL, NULL, 0), 0);
	ck_assert_int_eq(mempool_subscriber_stamp(subscriber, &sent_ns), -ENODATA);
	mempool_subscriber_close(subscriber);
}
END_TEST

/* All chunks of the pool, whoever had them: none is a message. */
static void must_all_have_none(void)
{
	void *chunks[N_CHUNKS];
	int n = 0;

	for (; n < N_CHUNKS; n++) {
		chunks[n] = mempool_alloc(receiver, 1);
		if (!chunks[n])
			break;
		must_have_none(receiver, chunks[n]);
	}
	ck_assert_int_gt(n, 0);
	while (n > 0)
		ck_assert_int_eq(mempool_free(receiver, chunks[--n]), 0);
}

START_TEST(test_stamp_of_earlier_use_is_none)
{
	struct mempool_subscriber *subscriber = subscribe(receiver, "camera", 0);
	const void *message;

	for (int i = 0; i < 2 * N_CHUNKS; i++) {
		ck_assert_int_eq(mempool_queue_send(to, chunk_of(sender), 1, 0), 0);
		ck_assert_int_eq(mempool_free(receiver, received(from)), 0);
		ck_assert_int_eq(mempool_topic_publish(topic, chunk_of(sender), 1), 0);
		ck_assert_int_eq(mempool_subscriber_next(subscriber, &message, NULL, NULL, 0), 0);
		ck_assert_int_eq(mempool_free(receiver, message), 0);
		must_all_have_none();
	}
	mempool_subscriber_close(subscriber);
}
END_TEST

/* Each of these generations would be that of a receipt: nobody has received it. */
START_TEST(test_stamp_of_what_was_not_sent_is_none)
{
	void *chunk, *full[CAPACITY];

	for (int i = 0; i < CAPACITY; i++)
		ck_assert_int_eq(mempool_queue_send(to, chunk_of(sender), 1, 0), 0);
	chunk = chunk_of(sender);
	ck_assert_int_eq(mempool_queue_send(to, chunk, 1, 0), -EAGAIN);
	must_have_none(sender, chunk);
	ck_assert_int_eq(mempool_free(sender, chunk), 0);
	must_all_have_none();
	for (int i = 0; i < CAPACITY; i++)
		full[i] = received(from);
	for (int i = 0; i < CAPACITY; i++)
		ck_assert_int_eq(mempool_free(receiver, full[i]), 0);
}
END_TEST

/* As left by one that was killed between its stamp and the ring. */
START_TEST(test_stamp_of_what_the_dead_did_not_publish_is_none)
{
	const uint32_t dead = holder_first_client(segment) + 2;
	const struct pool *pool = &segment->pools[0];
	struct queue queue;

	ck_assert_int_eq(queue_view(&queue, segment, 2), 0);
	ck_assert(queue.has_stamps);
	for (uint32_t i = 0; i < N_CHUNKS; i++) {
		uint64_t word;

		ck_assert_int_eq(pool_claim(pool, i, dead), 0);
		word = word_sent(atomic_load(&pool->entries[i].word), queue.id, dead);
		atomic_store(&pool->entries[i].word, word);
		stamp_put(pool, i, 1, word_next_generation(word));
	}
	ck_assert_int_eq(reap_holder(segment, dead), N_CHUNKS);
	must_all_have_none();
}
END_TEST

START_TEST(test_stamp_of_what_was_dropped_is_none)
{
	struct queue queue;
	uint64_t handle;
	bool is_damaged;

	ck_assert_int_eq(mempool_queue_send(to, chunk_of(sender), 1, 0), 0);
	ck_assert_int_eq(queue_view(&queue, segment, 2), 0);
	handle = queue_peek(&queue, queue_head(&queue), &is_damaged);
	ck_assert_uint_ne(handle, 0);
	ck_assert(queue_drop(&queue, handle));
	must_all_have_none();
}
END_TEST

START_TEST(test_stamp_of_topic_is_when_it_was_published)
{
	struct mempool_subscriber *reader = subscribe(receiver, "camera", 0);
	uint64_t before[CAPACITY], after[CAPACITY];

	for (int i = 0; i < CAPACITY; i++) {
		before[i] = later();
		ck_assert_int_eq(mempool_topic_publish(topic, chunk_of(sender), 1), 0);
		after[i] = later();
	}
	for (int i = 0; i < CAPACITY; i++) {
		const void *message;

		ck_assert_int_eq(mempool_subscriber_next(reader, &message, NULL, NULL, 0), 0);
		ck_assert_uint_ge(stamp_of(receiver, message), before[i]);
		ck_assert_uint_lt(stamp_of(receiver, message), after[i]);
		ck_assert_int_eq(mempool_free(receiver, message), 0);
	}
	mempool_subscriber_close(reader);
}
END_TEST

/* _i: which flag the subscriber has. */
START_TEST(test_stamp_peeked_and_copied)
{
	static const uint64_t flags[] = { 0, MEMPOOL_SUBSCRIBE_NEWEST, MEMPOOL_SUBSCRIBE_OTHERS };
	struct mempool_subscriber *reader = subscribe(spectator, "camera", flags[_i]);
	uint64_t before, after, sent_ns = 7;
	const void *message;
	char buffer[CHUNK_SIZE];

	ck_assert_int_eq(mempool_subscriber_stamp(reader, &sent_ns), -ENODATA);
	for (int i = 0; i < 3 * CAPACITY; i++) {
		before = later();
		ck_assert_int_eq(mempool_topic_publish(topic, chunk_of(sender), CHUNK_SIZE), 0);
		after = later();
		if (i % 2) {
			ck_assert_int_eq(mempool_subscriber_peek(reader, &message, NULL, NULL,
								 NULL, 0), 0);
			ck_assert_int_eq(mempool_subscriber_verify(reader), 0);
			ck_assert_int_eq(mempool_message_stamp(spectator, message, &sent_ns),
					 -EACCES);
		} else {
			ck_assert_int_eq(mempool_subscriber_copy(reader, buffer, sizeof(buffer),
								 NULL, NULL, NULL, 0), 0);
		}
		ck_assert_int_eq(mempool_subscriber_stamp(reader, &sent_ns), 0);
		ck_assert_uint_ge(sent_ns, before);
		ck_assert_uint_lt(sent_ns, after);
	}
	/* Nothing was peeked. */
	ck_assert_int_eq(mempool_subscriber_peek(reader, &message, NULL, NULL, NULL, 0), -EAGAIN);
	ck_assert_int_eq(mempool_subscriber_stamp(reader, &sent_ns), -ENODATA);
	ck_assert_int_eq(mempool_subscriber_stamp(reader, NULL), -EINVAL);
	ck_assert_int_eq(mempool_subscriber_stamp(NULL, &sent_ns), -EINVAL);
	mempool_subscriber_close(reader);
}
END_TEST

/* It is the message's as long as there is the message. */
START_TEST(test_stamp_stays_with_a_shared_message_and_goes_with_a_given_one)
{
	uint64_t sent_ns, handle, none;
	const void *shared;
	size_t length;
	void *chunk, *taken;

	ck_assert_int_eq(mempool_queue_send(to, chunk_of(sender), 1, 0), 0);
	chunk = received(from);
	sent_ns = stamp_of(receiver, chunk);
	ck_assert_int_eq(mempool_message_stamp(sender, chunk, &none), -EPERM);
	ck_assert_int_eq(mempool_share(receiver, chunk, 1, &handle), 0);
	ck_assert_int_eq(mempool_acquire(sender, handle, &shared, &length), 0);
	ck_assert_uint_eq(stamp_of(receiver, chunk), sent_ns);
	ck_assert_uint_eq(stamp_of(sender, shared), sent_ns);
	ck_assert_int_eq(mempool_free(sender, shared), 0);
	ck_assert_int_eq(mempool_message_stamp(sender, shared, &none), -EPERM);
	ck_assert_int_eq(mempool_unshare(receiver, chunk, &chunk), 0);
	must_have_none(receiver, chunk);
	ck_assert_int_eq(mempool_free(receiver, chunk), 0);

	ck_assert_int_eq(mempool_queue_send(to, chunk_of(sender), 1, 0), 0);
	chunk = received(from);
	ck_assert_int_eq(mempool_give(receiver, chunk, 1, &handle), 0);
	ck_assert_int_eq(mempool_take(sender, handle, &taken, NULL), 0);
	must_have_none(sender, taken);
	ck_assert_int_eq(mempool_free(sender, taken), 0);
}
END_TEST

/* What the tools tell, of the third and the fourth ring. */
static void must_be_oldest(uint64_t ring, uint64_t after, uint64_t before)
{
	struct budget budget = { 0 };
	struct census census = CENSUS_NULL;

	ck_assert_int_eq(census_begin(segment, &census), 0);
	/* In the smallest steps there are. */
	while (!census_is_over(&census))
		census_go_on(&census, segment, &budget);
	ck_assert_uint_ge(census.rings[ring].tally.sent_ns, after);
	ck_assert_uint_le(census.rings[ring].tally.sent_ns, before);
	ck_assert_uint_eq(census.rings[0].tally.sent_ns, 0);
	ck_assert_uint_eq(census.rings[1].tally.sent_ns, 0);
	census_deinit(&census);
}

START_TEST(test_stamp_of_the_oldest_is_told)
{
	uint64_t times[5];
	struct topic view;
	uint64_t n_freed;

	must_be_oldest(2, 0, 0);
	must_be_oldest(3, 0, 0);
	for (int i = 0; i < 2; i++) {
		times[i] = later();
		ck_assert_int_eq(mempool_queue_send(to, chunk_of(sender), 1, 0), 0);
	}
	times[2] = later();
	must_be_oldest(2, times[0], times[1]);
	ck_assert_int_eq(mempool_free(receiver, received(from)), 0);
	must_be_oldest(2, times[1], times[2]);
	ck_assert_int_eq(mempool_free(receiver, received(from)), 0);
	must_be_oldest(2, 0, 0);

	for (int i = 0; i < CAPACITY + 2; i++) {
		times[i] = later();
		ck_assert_int_eq(mempool_topic_publish(topic, chunk_of(sender), 1), 0);
	}
	times[4] = later();
	must_be_oldest(3, times[2], times[3]);
	ck_assert_int_eq(topic_view(&view, segment, 3), 0);
	drain_topic(&view, MEMPOOL_HOLDER_DAEMON_ID, &n_freed);
	must_be_oldest(3, 0, 0);
	/* Behind what was drained. */
	times[0] = later();
	ck_assert_int_eq(mempool_topic_publish(topic, chunk_of(sender), 1), 0);
	must_be_oldest(3, times[0], later());
}
END_TEST

/* A message that yields leaves its stamp, those that stay keep theirs, and the next one in the chunk has its own. */
START_TEST(test_stamp_of_a_topic_that_yields)
{
	struct mempool_subscriber *reader = subscribe(receiver, "camera", 0);
	uint64_t before, after, missed;
	void *others[N_CHUNKS], *chunk;
	const void *message;
	int n = 0;

	ck_assert_int_eq(mempool_topic_publish(topic, chunk_of(sender), 1), 0);
	before = later();
	ck_assert_int_eq(mempool_topic_publish(topic, chunk_of(sender), 1), 0);
	after = later();
	while (n < N_CHUNKS - CAPACITY)
		others[n++] = chunk_of(sender);
	chunk = chunk_of(sender);
	must_have_none(sender, chunk);
	must_be_oldest(3, before, after);
	ck_assert_int_eq(mempool_subscriber_next(reader, &message, NULL, &missed, 0), 0);
	ck_assert_uint_eq(missed, 1);
	ck_assert_uint_ge(stamp_of(receiver, message), before);
	ck_assert_uint_lt(stamp_of(receiver, message), after);
	ck_assert_int_eq(mempool_free(receiver, message), 0);

	before = later();
	ck_assert_int_eq(mempool_topic_publish(topic, chunk, 1), 0);
	after = later();
	ck_assert_int_eq(mempool_subscriber_next(reader, &message, NULL, NULL, 0), 0);
	ck_assert_ptr_eq(message, chunk);
	ck_assert_uint_ge(stamp_of(receiver, message), before);
	ck_assert_uint_lt(stamp_of(receiver, message), after);
	ck_assert_int_eq(mempool_free(receiver, message), 0);
	while (n > 0)
		ck_assert_int_eq(mempool_free(sender, others[--n]), 0);
	mempool_subscriber_close(reader);
}
END_TEST

START_TEST(test_stamp_mistakes_einval)
{
	void *chunk = chunk_of(sender);
	uint64_t sent_ns;

	must_have_none(sender, chunk);
	ck_assert_int_eq(mempool_message_stamp(NULL, chunk, &sent_ns), -EINVAL);
	ck_assert_int_eq(mempool_message_stamp(sender, NULL, &sent_ns), -EINVAL);
	ck_assert_int_eq(mempool_message_stamp(sender, (char *)chunk + 1, &sent_ns), -EINVAL);
	ck_assert_int_eq(mempool_message_stamp(sender, chunk, NULL), -EINVAL);
	ck_assert_int_eq(mempool_free(sender, chunk), 0);
	ck_assert_int_eq(mempool_message_stamp(sender, chunk, &sent_ns), -EPERM);
}
END_TEST

static int64_t realtime_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

START_TEST(test_stamp_realtime_is_by_both_clocks_now)
{
	const int64_t hour = INT64_C(3600000000000);
	uint64_t sent_ns = (uint64_t)clock_now_ns();
	int64_t before, then, after;

	/* Whoever sets the clock just now may have it once more. */
	for (int i = 0; i < 3; i++) {
		before = realtime_now() - clock_now_ns() + (int64_t)sent_ns;
		then = mempool_stamp_realtime(sent_ns);
		after = realtime_now() - clock_now_ns() + (int64_t)sent_ns;
		if (then > before - hour && then < after + hour)
			break;
	}
	ck_assert_int_gt(then, before - hour);
	ck_assert_int_lt(then, after + hour);
	/* What a hostile client may write. */
	mempool_stamp_realtime(0);
	mempool_stamp_realtime(UINT64_MAX);
	mempool_stamp_realtime(UINT64_C(1) << 63);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_stamp_received_is_when_it_was_sent);
	tcase_add_test(tcase, test_stamp_where_none_is_kept_enodata);
	tcase_add_test(tcase, test_stamp_of_earlier_use_is_none);
	tcase_add_test(tcase, test_stamp_of_what_was_not_sent_is_none);
	tcase_add_test(tcase, test_stamp_of_what_the_dead_did_not_publish_is_none);
	tcase_add_test(tcase, test_stamp_of_what_was_dropped_is_none);
	tcase_add_test(tcase, test_stamp_of_topic_is_when_it_was_published);
	tcase_add_loop_test(tcase, test_stamp_peeked_and_copied, 0, 3);
	tcase_add_test(tcase, test_stamp_stays_with_a_shared_message_and_goes_with_a_given_one);
	tcase_add_test(tcase, test_stamp_of_the_oldest_is_told);
	tcase_add_test(tcase, test_stamp_of_a_topic_that_yields);
	tcase_add_test(tcase, test_stamp_mistakes_einval);
	tcase_add_test(tcase, test_stamp_realtime_is_by_both_clocks_now);
}

int main(void)
{
	return test_run("stamp", add_tests);
}
