/* SPDX-License-Identifier: MIT */
/*
 * test-peek.c - who reads a topic without holding anything: what is told, what is refused
 *
 * The spectator's mapping is read-only: what it writes to it ends the test.
 */
#include "test_segment.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "build_config.h"
#include "client/client.h"
#include "shm/audit.h"
#include "shm/chunk_manager.h"
#include "shm/drain.h"
#include "shm/holder.h"
#include "shm/peek.h"
#include "shm/queue.h"
#include "shm/reap.h"
#include "support/control.h"

enum { N_CHUNKS = 100, CHUNK_SIZE = 60, MAX_WORDS = 7 };
#define MS INT64_C(1000000)

/* Each test that loops runs with each of them. */
static const struct {
	const char *name;
	uint32_t capacity;
} topics[] = { { "one", 1 }, { "two", 2 }, { "many", 64 } };

static struct segment *segment;
static struct mempool_client *publisher, *spectator;

/* The same objects, as whoever may not write has it. */
static struct segment *map_read_only(void)
{
	const struct segment_fds fds = {
		.control = dup(segment->memory.fd),
		.data = dup(segment->memory.data_fd),
	};
	struct segment_memory memory = SEGMENT_MEMORY_NULL;
	struct segment *mapped;

	ck_assert_int_eq(segment_map_fds(fds, &segment->geometry, SEGMENT_READ_ONLY,
					 SEGMENT_READ_ONLY, &memory), 0);
	ck_assert_int_eq(segment_attach(&memory, &mapped), 0);
	return mapped;
}

static void setup(void)
{
	static const struct test_pool pools[] = {
		{ .chunk_size = CHUNK_SIZE, .n_chunks = N_CHUNKS, .cache = 4 },
	};
	struct config config;

	test_config_init(&config, pools, ARRAY_SIZE(pools));
	for (size_t i = 0; i < ARRAY_SIZE(topics); i++)
		ck_assert_int_eq(config_add_ring(&config, topics[i].name, MEMPOOL_RING_TOPIC,
						 topics[i].capacity), 0);
	segment = test_segment_new_of(&config);
	config_deinit(&config);
	ck_assert_int_eq(client_new(test_segment_view(segment), holder_first_client(segment), 0,
				    &publisher), 0);
	ck_assert_int_eq(client_new_as(MEMPOOL_ROLE_SPECTATOR, 0, map_read_only(), MEMPOOL_HOLDER_NONE, 0,
				       &spectator), 0);
}

/* The shared side of it, for what no client would do. */
static struct topic view_of(const char *name)
{
	struct topic topic;

	ck_assert_int_eq(topic_view(&topic, segment, (uint32_t)queue_find(
				segment, name, MEMPOOL_RING_TOPIC)), 0);
	return topic;
}

static void drain(const char *name)
{
	struct topic topic = view_of(name);
	uint64_t n_freed;

	drain_topic(&topic, MEMPOOL_HOLDER_DAEMON_ID, &n_freed);
}

static void must_hold(uint32_t n)
{
	struct audit audit;

	ck_assert_uint_eq(test_segment_used(segment, 0), n);
	ck_assert_uint_eq(test_segment_used(segment, segment->n_pools), n);
	ck_assert_int_eq(audit_segment(segment, AUDIT_REAPED, NULL, NULL, &audit), 0);
	ck_assert_uint_eq(audit.n_faults, 0);
}

static void teardown(void)
{
	ck_assert_int_eq(mempool_client_close(spectator), 0);
	mempool_client_close(publisher);
	for (size_t i = 0; i < ARRAY_SIZE(topics); i++)
		drain(topics[i].name);
	must_hold(0);
	segment_free(segment);
}

/* A topic, open for both, and someone who looks at it. */
struct stage {
	const char *name;
	uint64_t capacity;
	struct mempool_topic *to, *from;
	struct mempool_subscriber *subscriber;
	uint64_t n_published;
};

static struct stage stage_new(int i, enum mempool_topic_start start)
{
	struct stage stage = { .name = topics[i].name, .capacity = topics[i].capacity };

	ck_assert_int_eq(mempool_topic_open(publisher, stage.name, &stage.to), 0);
	ck_assert_int_eq(mempool_topic_open(spectator, stage.name, &stage.from), 0);
	ck_assert_int_eq(mempool_topic_subscribe(stage.from, start, &stage.subscriber), 0);
	return stage;
}

static void stage_close(struct stage *stage)
{
	mempool_subscriber_close(stage->subscriber);
	mempool_topic_close(stage->to);
	mempool_topic_close(stage->from);
}

/* Every byte of a message says which one it is; so do length and tag. */
static size_t length_of(uint64_t number)
{
	return number % (CHUNK_SIZE + 1);
}

static uint32_t tag_of(uint64_t number)
{
	return (uint32_t)(number * 2654435761U);
}

static unsigned char byte_of(uint64_t number, size_t i)
{
	return (unsigned char)((number + 1) * 151 + i);
}

static void publish(struct stage *stage)
{
	uint64_t number = stage->n_published++;
	unsigned char *chunk = mempool_alloc(publisher, CHUNK_SIZE);

	ck_assert_ptr_nonnull(chunk);
	for (size_t i = 0; i < CHUNK_SIZE; i++)
		chunk[i] = byte_of(number, i);
	ck_assert_int_eq(mempool_chunk_set_tag(publisher, chunk, tag_of(number)), 0);
	ck_assert_int_eq(mempool_topic_publish(stage->to, chunk, length_of(number)), 0);
}

static void publish_many(struct stage *stage, uint64_t n)
{
	while (n-- > 0)
		publish(stage);
}

static void must_be(const unsigned char *bytes, size_t length, uint64_t number)
{
	ck_assert_uint_eq(length, length_of(number));
	for (size_t i = 0; i < length; i++)
		ck_assert_uint_eq(bytes[i], byte_of(number, i));
}

static void must_peek(struct stage *stage, uint64_t number, uint64_t n_missed)
{
	const void *chunk = NULL;
	uint64_t missed = UINT64_MAX;
	size_t length = SIZE_MAX;
	uint32_t tag = 7;

	ck_assert_int_eq(mempool_subscriber_peek(stage->subscriber, &chunk, &length, &tag,
						 &missed, 0), 0);
	must_be(chunk, length, number);
	ck_assert_uint_eq(tag, tag_of(number));
	ck_assert_uint_eq(missed, n_missed);
}

static void must_verify(struct stage *stage, int r)
{
	/* As often as one likes. */
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(mempool_subscriber_verify(stage->subscriber), r);
}

static void must_copy(struct stage *stage, uint64_t number, uint64_t n_missed)
{
	unsigned char buffer[CHUNK_SIZE + 8], untouched[sizeof(buffer)];
	uint64_t missed = UINT64_MAX;
	size_t length = SIZE_MAX;
	uint32_t tag = 7;

	memset(buffer, 0xee, sizeof(buffer));
	memset(untouched, 0xee, sizeof(untouched));
	ck_assert_int_eq(mempool_subscriber_copy(stage->subscriber, buffer, CHUNK_SIZE, &length,
						 &tag, &missed, 0), 0);
	must_be(buffer, length, number);
	ck_assert_mem_eq(buffer + length, untouched, sizeof(buffer) - length);
	ck_assert_uint_eq(tag, tag_of(number));
	ck_assert_uint_eq(missed, n_missed);
}

static void must_have_no_news(struct stage *stage)
{
	const void *chunk = topics;
	uint64_t missed = 7;
	size_t length = 7;
	uint32_t tag = 7;
	char buffer[1];

	ck_assert_int_eq(mempool_subscriber_peek(stage->subscriber, &chunk, &length, &tag,
						 &missed, 0), -EAGAIN);
	ck_assert_int_eq(mempool_subscriber_copy(stage->subscriber, buffer, 1, &length, &tag,
						 &missed, 0), -EAGAIN);
	ck_assert_ptr_eq(chunk, topics);
	ck_assert(length == 7 && tag == 7 && missed == 7);
}

/* ---- one after the other ---- */

START_TEST(test_peek_each_is_told_once_in_order)
{
	struct stage stage = stage_new(_i, MEMPOOL_TOPIC_NEW);

	must_have_no_news(&stage);
	for (uint64_t round = 0; round < 2 * CHUNK_SIZE; round++) {
		uint64_t first = stage.n_published;

		publish_many(&stage, stage.capacity);
		for (uint64_t i = first; i < stage.n_published; i++) {
			if (i % 3 == 0) {
				must_copy(&stage, i, 0);
			} else {
				must_peek(&stage, i, 0);
				must_verify(&stage, 0);
			}
		}
		must_have_no_news(&stage);
	}
	must_hold((uint32_t)stage.capacity);
	stage_close(&stage);
}
END_TEST

START_TEST(test_peek_starts_with_the_oldest_kept_or_the_next)
{
	struct stage stage = stage_new(_i, MEMPOOL_TOPIC_NEW);

	for (uint64_t n = 1; n <= 2 * stage.capacity + 1; n++) {
		struct stage oldest, newest;

		publish(&stage);
		oldest = stage_new(_i, MEMPOOL_TOPIC_OLDEST);
		newest = stage_new(_i, MEMPOOL_TOPIC_NEW);
		for (uint64_t i = n > stage.capacity ? n - stage.capacity : 0; i < n; i++)
			must_copy(&oldest, i, 0);
		must_have_no_news(&oldest);
		must_have_no_news(&newest);
		stage_close(&oldest);
		stage_close(&newest);
	}
	stage_close(&stage);
}
END_TEST

/* A publisher that was killed before it moved the tail: its message is the last one, not the next. */
START_TEST(test_peek_starts_behind_a_tail_that_stands_back)
{
	struct stage stage = stage_new(_i, MEMPOOL_TOPIC_NEW), late;
	struct topic topic = view_of(stage.name);

	publish_many(&stage, 2);
	atomic_fetch_sub(&topic.ring->tail, 1);
	late = stage_new(_i, MEMPOOL_TOPIC_NEW);
	must_have_no_news(&late);
	stage_close(&late);
	late = stage_new(_i, MEMPOOL_TOPIC_OLDEST);
	if (stage.capacity > 1)
		must_copy(&late, 0, 0);
	must_copy(&late, 1, 0);
	must_have_no_news(&late);
	stage_close(&late);
	stage_close(&stage);
}
END_TEST

START_TEST(test_peek_lapped_received_and_missed_are_published)
{
	struct stage stage = stage_new(_i, MEMPOOL_TOPIC_NEW);
	uint64_t n_seen = 0;

	for (uint64_t ahead = 1; ahead <= 3 * stage.capacity + 1; ahead++) {
		publish_many(&stage, ahead);
		for (uint64_t i = 0; i <= ahead % 5 && n_seen < stage.n_published; i++) {
			uint64_t behind = stage.n_published - n_seen;
			uint64_t missed = behind > stage.capacity ? behind - stage.capacity : 0;

			if (ahead % 2 == 0)
				must_copy(&stage, n_seen + missed, missed);
			else
				must_peek(&stage, n_seen + missed, missed);
			n_seen += missed + 1;
		}
	}
	stage_close(&stage);
}
END_TEST

START_TEST(test_peek_evicted_is_refused_and_counts_as_missed)
{
	struct stage stage = stage_new(_i, MEMPOOL_TOPIC_NEW);

	publish(&stage);
	must_peek(&stage, 0, 0);
	publish_many(&stage, stage.capacity - 1);
	must_verify(&stage, 0);
	publish(&stage);
	must_verify(&stage, -ESTALE);
	/* That one, and it is told once. */
	must_copy(&stage, 1, 1);
	publish(&stage);
	must_peek(&stage, 2, 0);
	/* Once round the chunks, so its own is another's; and many times. */
	publish_many(&stage, 10 * N_CHUNKS);
	must_verify(&stage, -ESTALE);
	must_peek(&stage, stage.n_published - stage.capacity,
		  stage.n_published - stage.capacity - 2);
	must_verify(&stage, 0);
	stage_close(&stage);
}
END_TEST

START_TEST(test_peek_held_by_another_but_evicted_is_refused)
{
	struct stage stage = stage_new(1, MEMPOOL_TOPIC_NEW);
	struct mempool_subscriber *reader;
	const void *held;

	ck_assert_int_eq(mempool_topic_subscribe(stage.to, MEMPOOL_TOPIC_NEW, &reader), 0);
	publish(&stage);
	ck_assert_int_eq(mempool_subscriber_next(reader, &held, NULL, NULL, 0), 0);
	must_peek(&stage, 0, 0);
	publish_many(&stage, stage.capacity);
	/* It is whole; but nobody can say so without holding it. */
	must_verify(&stage, -ESTALE);
	ck_assert_int_eq(mempool_free(publisher, held), 0);
	mempool_subscriber_close(reader);
	stage_close(&stage);
}
END_TEST

START_TEST(test_peek_drained_is_refused_and_missed)
{
	struct stage stage = stage_new(_i, MEMPOOL_TOPIC_NEW);

	publish_many(&stage, 2 * stage.capacity);
	must_peek(&stage, stage.capacity, stage.capacity);
	drain(stage.name);
	must_verify(&stage, -ESTALE);
	must_have_no_news(&stage);
	publish(&stage);
	/* The refused one, and what was drained behind it. */
	must_copy(&stage, 2 * stage.capacity, stage.capacity);
	stage_close(&stage);
}
END_TEST

/* Somebody frees what the ring keeps, and the next holder writes to it. The slot stands. */
START_TEST(test_peek_freed_under_the_ring_is_refused)
{
	struct stage stage = stage_new(1, MEMPOOL_TOPIC_NEW);
	const void *chunk;
	uint32_t index;
	uint64_t word;

	publish_many(&stage, 2);
	ck_assert_int_eq(mempool_subscriber_peek(stage.subscriber, &chunk, NULL, NULL, NULL, 0), 0);
	ck_assert_int_eq(pool_index(&spectator->segment->pools[0],
				    (uint64_t)((const unsigned char *)chunk -
					       spectator->segment->pools[0].data), &index), 0);
	word = atomic_load(&segment->pools[0].entries[index].word);
	atomic_store(&segment->pools[0].entries[index].word, word_freed(word));
	must_verify(&stage, -ESTALE);
	/* And is passed over by who comes later. */
	mempool_subscriber_close(stage.subscriber);
	ck_assert_int_eq(mempool_topic_subscribe(stage.from, MEMPOOL_TOPIC_OLDEST,
						 &stage.subscriber), 0);
	must_copy(&stage, 1, 1);
	atomic_store(&segment->pools[0].entries[index].word, word);
	stage_close(&stage);
}
END_TEST

/* Slot, link and word are again what they were: the tail has moved too far for that to say much. */
START_TEST(test_peek_after_all_came_round_is_refused)
{
	static const struct {
		uint64_t moved;
		int r;
	} tails[] = { { 0, 0 }, { 1, 0 }, { INT32_MAX, 0 }, { UINT64_C(1) << 31, -ESTALE },
		      { UINT32_MAX, -ESTALE }, { UINT64_C(1) << 32, -ESTALE },
		      { UINT64_C(3) << 32, -ESTALE }, { UINT64_MAX, -ESTALE } };
	struct topic topic = view_of(topics[_i].name);

	for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
		struct stage stage = stage_new(_i, MEMPOOL_TOPIC_NEW);
		uint64_t tail;

		publish(&stage);
		must_peek(&stage, 0, 0);
		tail = atomic_fetch_add(&topic.ring->tail, tails[i].moved);
		must_verify(&stage, tails[i].r);
		atomic_store(&topic.ring->tail, tail + 1);
		must_verify(&stage, tails[i].r);
		atomic_store(&topic.ring->tail, tail);
		stage_close(&stage);
	}
}
END_TEST

/* As if so many had been published and drained. */
static void start_at(const char *name, uint64_t tail)
{
	struct topic topic = view_of(name);

	drain(name);
	for (uint64_t i = tail - topic.capacity; i != tail; i++)
		atomic_store(&topic.slots[i & (topic.capacity - 1)], i << 32 | TOPIC_NO_MANAGER);
	atomic_store(&topic.ring->tail, tail);
}

START_TEST(test_peek_sequence_wraps)
{
	static const uint64_t tails[] = { (UINT64_C(1) << 32) - 7, (UINT64_C(5) << 32) - 1,
					  (UINT64_C(1) << 31) - 7, UINT32_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
		struct stage stage;

		start_at(topics[_i].name, tails[i]);
		stage = stage_new(_i, MEMPOOL_TOPIC_NEW);
		for (uint64_t number = 0; number < 20; number++) {
			publish(&stage);
			if (number % 2)
				must_copy(&stage, number, 0);
			else
				must_peek(&stage, number, 0);
			must_verify(&stage, number % 2 ? -EINVAL : 0);
		}
		stage_close(&stage);
		start_at(topics[_i].name, tails[i]);
		stage = stage_new(_i, MEMPOOL_TOPIC_OLDEST);
		must_have_no_news(&stage);
		publish(&stage);
		must_copy(&stage, 0, stage.capacity);
		stage_close(&stage);
	}
}
END_TEST

START_TEST(test_copy_too_long_emsgsize_and_is_still_the_next)
{
	struct stage stage = stage_new(2, MEMPOOL_TOPIC_NEW);
	char buffer[CHUNK_SIZE];
	uint64_t missed = 7;
	size_t length;
	uint32_t tag = 7;

	publish_many(&stage, 10);
	must_copy(&stage, 0, 0);
	for (uint64_t number = 1; number < 10; number++) {
		for (size_t size = 0; size < length_of(number); size++) {
			length = 0;
			ck_assert_int_eq(mempool_subscriber_copy(stage.subscriber, buffer, size,
								 &length, &tag, &missed, -1),
					 -EMSGSIZE);
			ck_assert_uint_eq(length, length_of(number));
			ck_assert(tag == 7 && missed == 7);
		}
		ck_assert_int_eq(mempool_subscriber_copy(stage.subscriber, NULL, 0, NULL, NULL,
							 NULL, 0), -EMSGSIZE);
		must_copy(&stage, number, 0);
	}
	/* What there is nothing of fits into nothing. */
	publish_many(&stage, CHUNK_SIZE + 1 - 10 + 1);
	for (uint64_t number = 10; number <= CHUNK_SIZE; number++)
		must_copy(&stage, number, 0);
	length = 7;
	ck_assert_int_eq(mempool_subscriber_copy(stage.subscriber, NULL, 0, &length, NULL, NULL,
						 0), 0);
	ck_assert_uint_eq(length, 0);
	must_have_no_news(&stage);
	stage_close(&stage);
}
END_TEST

START_TEST(test_peek_bad_calls)
{
	struct stage stage = stage_new(1, MEMPOOL_TOPIC_NEW);
	const void *chunk;
	char buffer[CHUNK_SIZE];

	ck_assert_int_eq(mempool_subscriber_peek(NULL, &chunk, NULL, NULL, NULL, -1), -EINVAL);
	ck_assert_int_eq(mempool_subscriber_peek(stage.subscriber, NULL, NULL, NULL, NULL, -1),
			 -EINVAL);
	ck_assert_int_eq(mempool_subscriber_verify(NULL), -EINVAL);
	ck_assert_int_eq(mempool_subscriber_verify(stage.subscriber), -EINVAL);
	ck_assert_int_eq(mempool_subscriber_copy(NULL, buffer, 1, NULL, NULL, NULL, -1), -EINVAL);
	ck_assert_int_eq(mempool_subscriber_copy(stage.subscriber, NULL, 1, NULL, NULL, NULL, -1),
			 -EINVAL);
	/* All that is told may be left out. */
	publish_many(&stage, 2);
	ck_assert_int_eq(mempool_subscriber_peek(stage.subscriber, &chunk, NULL, NULL, NULL, 0), 0);
	ck_assert_int_eq(mempool_subscriber_verify(stage.subscriber), 0);
	ck_assert_int_eq(mempool_subscriber_copy(stage.subscriber, buffer, sizeof(buffer), NULL,
						 NULL, NULL, 0), 0);
	/* That was another message. */
	ck_assert_int_eq(mempool_subscriber_verify(stage.subscriber), -EINVAL);
	/* And a peek that finds nothing has none. */
	must_have_no_news(&stage);
	ck_assert_int_eq(mempool_subscriber_verify(stage.subscriber), -EINVAL);
	stage_close(&stage);
}
END_TEST

/* Also for who may hold messages, by turns with next. */
START_TEST(test_peek_of_a_member_by_turns_with_next)
{
	struct stage stage = stage_new(2, MEMPOOL_TOPIC_NEW);
	const void *held;
	uint64_t missed;

	mempool_subscriber_close(stage.subscriber);
	ck_assert_int_eq(mempool_topic_subscribe(stage.to, MEMPOOL_TOPIC_NEW, &stage.subscriber), 0);
	publish_many(&stage, 4);
	must_peek(&stage, 0, 0);
	ck_assert_int_eq(mempool_subscriber_next(stage.subscriber, &held, NULL, &missed, 0), 0);
	must_be(held, length_of(1), 1);
	ck_assert_uint_eq(missed, 0);
	ck_assert_int_eq(mempool_free(publisher, held), 0);
	must_verify(&stage, 0);
	must_copy(&stage, 2, 0);
	must_peek(&stage, 3, 0);
	publish_many(&stage, stage.capacity);
	must_verify(&stage, -ESTALE);
	ck_assert_int_eq(mempool_subscriber_next(stage.subscriber, &held, NULL, &missed, 0), 0);
	ck_assert_uint_eq(missed, 1);
	ck_assert_int_eq(mempool_free(publisher, held), 0);
	stage_close(&stage);
}
END_TEST

/* ---- nothing is written ---- */

static void *snapshot(void)
{
	void *copy = malloc(segment->memory.size);

	ck_assert_ptr_nonnull(copy);
	return memcpy(copy, segment->memory.base, segment->memory.size);
}

START_TEST(test_peek_changes_no_byte_of_the_segment)
{
	struct stage stage = stage_new(_i, MEMPOOL_TOPIC_NEW), other;
	struct mempool_client *client;
	struct mempool_topic *topic;
	struct mempool_subscriber *subscriber;
	const void *chunk;
	char buffer[CHUNK_SIZE];
	void *before;

	publish_many(&stage, 2 * stage.capacity + 1);
	before = snapshot();
	ck_assert_int_eq(client_new_as(MEMPOOL_ROLE_SPECTATOR, 0, map_read_only(), MEMPOOL_HOLDER_NONE, 0,
				       &client),
			 0);
	ck_assert_int_eq(mempool_topic_open(client, stage.name, &topic), 0);
	ck_assert_int_eq(mempool_topic_subscribe(topic, MEMPOOL_TOPIC_OLDEST, &subscriber), 0);
	for (uint64_t i = 0; i < stage.capacity; i++) {
		if (i % 2) {
			ck_assert_int_eq(mempool_subscriber_peek(subscriber, &chunk, NULL, NULL,
								 NULL, -1), 0);
			ck_assert_int_eq(mempool_subscriber_verify(subscriber), 0);
		} else {
			ck_assert_int_eq(mempool_subscriber_copy(subscriber, buffer, CHUNK_SIZE,
								 NULL, NULL, NULL, -1), 0);
		}
	}
	ck_assert_int_eq(mempool_subscriber_peek(subscriber, &chunk, NULL, NULL, NULL, 2 * MS),
			 -EAGAIN);
	other = stage_new(_i, MEMPOOL_TOPIC_NEW);
	stage_close(&other);
	mempool_subscriber_close(subscriber);
	mempool_topic_close(topic);
	ck_assert_int_eq(mempool_client_close(client), 0);
	ck_assert_mem_eq(segment->memory.base, before, segment->memory.size);
	free(before);
	stage_close(&stage);
}
END_TEST

/* Killed anywhere, asleep too. The mapping is read-only in the child as well. */
START_TEST(test_peek_killed_spectator_leaves_nothing)
{
	struct stage stage = stage_new(1, MEMPOOL_TOPIC_NEW);
	void *before;

	publish_many(&stage, 3);
	before = snapshot();
	for (int i = 0; i < 20; i++) {
		struct timespec pause = { 0, i * 200000 };
		int fds[2], status;
		pid_t pid;
		char c;

		ck_assert_int_eq(pipe(fds), 0);
		pid = fork();
		if (pid == 0) {
			struct mempool_client *client;
			struct mempool_topic *topic;
			struct mempool_subscriber *subscriber;
			char buffer[CHUNK_SIZE];

			if (client_new_as(MEMPOOL_ROLE_SPECTATOR, 0, map_read_only(),
				       MEMPOOL_HOLDER_NONE, 0, &client) < 0 ||
			    mempool_topic_open(client, "two", &topic) < 0)
				_exit(1);
			for (int n = 0;; n++) {
				if (mempool_topic_subscribe(topic, MEMPOOL_TOPIC_OLDEST,
							    &subscriber) < 0)
					_exit(2);
				while (mempool_subscriber_copy(subscriber, buffer, CHUNK_SIZE, NULL,
							       NULL, NULL, n % 3 * MS) == 0)
					;
				mempool_subscriber_close(subscriber);
				if (n == 0 && write(fds[1], "", 1) != 1)
					_exit(3);
			}
		}
		ck_assert_int_eq(read(fds[0], &c, 1), 1);
		nanosleep(&pause, NULL);
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		close(fds[0]);
		close(fds[1]);
	}
	ck_assert_mem_eq(segment->memory.base, before, segment->memory.size);
	free(before);
	stage_close(&stage);
}
END_TEST

/* ---- waiting ---- */

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 * MS + now.tv_nsec;
}

START_TEST(test_peek_timeout_is_kept)
{
	struct stage stage = stage_new(1, MEMPOOL_TOPIC_NEW);
	int64_t begin = now_ns();
	struct control control;
	const void *chunk;

	control_start(&control);
	ck_assert_int_eq(mempool_subscriber_peek(stage.subscriber, &chunk, NULL, NULL, NULL,
						 30 * MS), -EAGAIN);
	ck_assert_int_ge(now_ns() - begin, 30 * MS);
	ck_assert_int_eq(mempool_subscriber_copy(stage.subscriber, NULL, 0, NULL, NULL, NULL,
						 30 * MS), -EAGAIN);
	ck_assert_int_ge(now_ns() - begin, 60 * MS);
	ck_assert_double_lt(control_stop(&control), 5000);
	publish(&stage);
	ck_assert_int_eq(mempool_subscriber_peek(stage.subscriber, &chunk, NULL, NULL, NULL, -1), 0);
	stage_close(&stage);
}
END_TEST

static void *publish_soon(void *userdata)
{
	struct stage *stage = userdata;

	for (int i = 0; i < 20; i++) {
		struct timespec pause = { 0, 2 * MS };

		nanosleep(&pause, NULL);
		publish(stage);
	}
	return NULL;
}

/* Nobody wakes it: it sees by itself that there is news, and is not late by much. */
START_TEST(test_peek_waits_and_looks_again)
{
	struct stage stage = stage_new(2, MEMPOOL_TOPIC_NEW);
	struct control control;
	pthread_t thread;

	control_start(&control);
	ck_assert_int_eq(pthread_create(&thread, NULL, publish_soon, &stage), 0);
	for (uint64_t i = 0; i < 20; i++) {
		unsigned char buffer[CHUNK_SIZE];
		size_t length;

		ck_assert_int_eq(mempool_subscriber_copy(stage.subscriber, buffer, CHUNK_SIZE,
							 &length, NULL, NULL, -1), 0);
		must_be(buffer, length, i);
	}
	pthread_join(thread, NULL);
	ck_assert_double_lt(control_stop(&control), 5000);
	stage_close(&stage);
}
END_TEST

static void on_signal(int number)
{
	(void)number;
}

static void *send_signals(void *thread)
{
	/* Again and again: the first may come before it sleeps. */
	for (int i = 0; i < 100; i++) {
		struct timespec pause = { 0, 2 * MS };

		nanosleep(&pause, NULL);
		pthread_kill(*(pthread_t *)thread, SIGUSR1);
	}
	return NULL;
}

START_TEST(test_peek_signal_ends_a_wait)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct stage stage = stage_new(1, MEMPOOL_TOPIC_NEW);
	pthread_t self = pthread_self(), thread;
	const void *chunk;

	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, send_signals, &self), 0);
	ck_assert_int_eq(mempool_subscriber_peek(stage.subscriber, &chunk, NULL, NULL, NULL, -1),
			 -EINTR);
	pthread_join(thread, NULL);
	stage_close(&stage);
}
END_TEST

START_TEST(test_peek_in_retired_segment_waits_a_second_at_most)
{
	struct stage stage = stage_new(1, MEMPOOL_TOPIC_NEW);
	const void *chunk;

	publish(&stage);
	segment_retire(segment);
	ck_assert_int_eq(mempool_subscriber_peek(stage.subscriber, &chunk, NULL, NULL, NULL, -1), 0);
	ck_assert_int_eq(mempool_subscriber_peek(stage.subscriber, &chunk, NULL, NULL, NULL, -1),
			 -EAGAIN);
	stage_close(&stage);
}
END_TEST

START_TEST(test_peek_of_closed_client_enotconn)
{
	struct stage stage = stage_new(1, MEMPOOL_TOPIC_NEW);
	const void *chunk;

	publish(&stage);
	must_peek(&stage, 0, 0);
	ck_assert_int_eq(mempool_client_close(spectator), 0);
	ck_assert_int_eq(mempool_subscriber_verify(stage.subscriber), -ENOTCONN);
	ck_assert_int_eq(mempool_subscriber_peek(stage.subscriber, &chunk, NULL, NULL, NULL, -1),
			 -ENOTCONN);
	ck_assert_int_eq(mempool_subscriber_copy(stage.subscriber, NULL, 0, NULL, NULL, NULL, -1),
			 -ENOTCONN);
	stage_close(&stage);
	ck_assert_int_eq(client_new_as(MEMPOOL_ROLE_SPECTATOR, 0, map_read_only(), MEMPOOL_HOLDER_NONE, 0,
				       &spectator), 0);
}
END_TEST

START_TEST(test_peek_in_forked_child_echild)
{
	struct stage stage = stage_new(1, MEMPOOL_TOPIC_NEW);
	const void *chunk;
	int status;
	pid_t pid;

	if (!test_fork_wipes())
		return;
	publish(&stage);
	must_peek(&stage, 0, 0);
	pid = fork();
	if (pid == 0) {
		if (mempool_subscriber_verify(stage.subscriber) != -ECHILD)
			_exit(1);
		if (mempool_subscriber_peek(stage.subscriber, &chunk, NULL, NULL, NULL, -1) !=
		    -ECHILD)
			_exit(2);
		if (mempool_subscriber_copy(stage.subscriber, NULL, 0, NULL, NULL, NULL, -1) !=
		    -ECHILD)
			_exit(3);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	must_verify(&stage, 0);
	stage_close(&stage);
}
END_TEST

/* ---- in the middle ---- */

/*
 * The steps of peek and copy are calls from one file to another; the linker leads them here. At
 * the step that is asked for, once, something happens to the topic.
 */
enum step { LOOKED, BEFORE_LINK, AFTER_LINK, LOOKING_AGAIN, BEFORE_COPY, IN_COPY, AFTER_COPY, N_STEPS };

static struct {
	enum step step;			/* N_STEPS: none */
	void (*happens)(struct stage *stage);
	struct stage *stage;
	uint64_t n_happened;
} hook = { .step = N_STEPS };

static void at(enum step step)
{
	if (hook.step != step)
		return;
	hook.step = N_STEPS;
	hook.n_happened++;
	hook.happens(hook.stage);
}

int __real_topic_look_once(const struct topic *topic, uint64_t *cursor, uint64_t *n_missed,
			   struct topic_slot *ret_slot, uint64_t *ret_tail);
int __wrap_topic_look_once(const struct topic *topic, uint64_t *cursor, uint64_t *n_missed,
			   struct topic_slot *ret_slot, uint64_t *ret_tail);
bool __real_chunk_manager_chunk(const struct segment *in, uint32_t manager,
				struct chunk_ref *ret_chunk);
bool __wrap_chunk_manager_chunk(const struct segment *in, uint32_t manager,
				struct chunk_ref *ret_chunk);
bool __real_topic_is_same(const struct topic *topic, const struct topic_slot *slot);
bool __wrap_topic_is_same(const struct topic *topic, const struct topic_slot *slot);
void __real_peek_copy(const struct topic *topic, const struct peek *peek, void *buffer,
		      size_t size_bytes);
void __wrap_peek_copy(const struct topic *topic, const struct peek *peek, void *buffer,
		      size_t size_bytes);

int __wrap_topic_look_once(const struct topic *topic, uint64_t *cursor, uint64_t *n_missed,
			   struct topic_slot *ret_slot, uint64_t *ret_tail)
{
	int r = __real_topic_look_once(topic, cursor, n_missed, ret_slot, ret_tail);

	at(LOOKED);
	return r;
}

bool __wrap_chunk_manager_chunk(const struct segment *in, uint32_t manager,
				struct chunk_ref *ret_chunk)
{
	bool is_chunk;

	if (in == spectator->segment)
		at(BEFORE_LINK);
	is_chunk = __real_chunk_manager_chunk(in, manager, ret_chunk);
	if (in == spectator->segment)
		at(AFTER_LINK);
	return is_chunk;
}

bool __wrap_topic_is_same(const struct topic *topic, const struct topic_slot *slot)
{
	if (topic->segment == spectator->segment)
		at(LOOKING_AGAIN);
	return __real_topic_is_same(topic, slot);
}

/* In two halves: something may happen between them. */
void __wrap_peek_copy(const struct topic *topic, const struct peek *peek, void *buffer,
		      size_t size_bytes)
{
	size_t half = peek->length / 2;
	unsigned char whole[CHUNK_SIZE];

	at(BEFORE_COPY);
	__real_peek_copy(topic, peek, buffer, half);
	at(IN_COPY);
	__real_peek_copy(topic, peek, whole, size_bytes);
	if (peek->length > half)
		memcpy((unsigned char *)buffer + half, whole + half, peek->length - half);
	at(AFTER_COPY);
}

/* Its chunk is not written to by then. */
static void is_evicted(struct stage *stage)
{
	publish_many(stage, stage->capacity);
}

static void is_drained(struct stage *stage)
{
	drain(stage->name);
	publish(stage);
}

/* Chunks and managers have come round, and stand where they stood, as others'. */
static void is_overwritten(struct stage *stage)
{
	publish_many(stage, 3 * N_CHUNKS);
}

static void must_survive_in_the_middle(int i, enum step step, void (*happens)(struct stage *),
				       bool is_copy)
{
	struct stage stage = stage_new(i, MEMPOOL_TOPIC_NEW);
	unsigned char buffer[CHUNK_SIZE];
	uint64_t number, missed;
	size_t length;
	uint32_t tag;
	const void *chunk = buffer;

	publish_many(&stage, stage.capacity + 17);
	hook.happens = happens;
	hook.stage = &stage;
	hook.step = step;
	if (is_copy)
		ck_assert_int_eq(mempool_subscriber_copy(stage.subscriber, buffer, CHUNK_SIZE,
							 &length, &tag, &missed, 0), 0);
	else
		ck_assert_int_eq(mempool_subscriber_peek(stage.subscriber, &chunk, &length, &tag,
							 &missed, 0), 0);
	hook.step = N_STEPS;
	number = missed;
	ck_assert_uint_lt(number, stage.n_published);
	must_be(chunk, length, number);
	ck_assert_uint_eq(tag, tag_of(number));
	if (!is_copy)
		must_verify(&stage, 0);
	/* Not one is lost between. */
	while (++number < stage.n_published)
		must_copy(&stage, number, 0);
	must_have_no_news(&stage);
	stage_close(&stage);
	drain(stage.name);
}

START_TEST(test_peek_evicted_at_every_step)
{
	static void (*const happenings[])(struct stage *) = { is_evicted, is_drained,
							      is_overwritten };

	for (int step = 0; step < N_STEPS; step++) {
		for (size_t i = 0; i < ARRAY_SIZE(happenings); i++) {
			hook.n_happened = 0;
			must_survive_in_the_middle(_i, (enum step)step, happenings[i], true);
			ck_assert_uint_eq(hook.n_happened, 1);
			if (step < BEFORE_COPY)
				must_survive_in_the_middle(_i, (enum step)step, happenings[i],
							   false);
		}
	}
}
END_TEST

/* Overwritten in the middle of each copy: there is an end to it, and nothing is told. */
static void each_time(struct stage *stage)
{
	is_evicted(stage);
	ck_assert_uint_lt(hook.n_happened, 1000);
	hook.step = AFTER_COPY;
}

START_TEST(test_copy_too_slow_each_time_eagain)
{
	struct stage stage = stage_new(_i, MEMPOOL_TOPIC_NEW);
	unsigned char buffer[CHUNK_SIZE];
	uint64_t missed = 7;

	publish(&stage);
	hook.happens = each_time;
	hook.stage = &stage;
	hook.step = AFTER_COPY;
	ck_assert_int_eq(mempool_subscriber_copy(stage.subscriber, buffer, CHUNK_SIZE, NULL, NULL,
						 &missed, 0), -EAGAIN);
	hook.step = N_STEPS;
	ck_assert_uint_eq(missed, 7);
	must_copy(&stage, stage.n_published - stage.capacity,
		  stage.n_published - stage.capacity);
	stage_close(&stage);
}
END_TEST

/* ---- the hostile ---- */

static uint64_t random_number(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void scribble(const struct topic *topic, uint64_t *random)
{
	uint64_t dice = random_number(random), value = random_number(random);
	uint32_t manager = (uint32_t)(dice >> 8) % N_CHUNKS;
	uint32_t index = (uint32_t)(dice >> 24) % N_CHUNKS;
	/* One of them, the first that is none, or any number. */
	uint32_t named = (dice >> 40) % 3 == 0 ? (uint32_t)(value >> 32)
					       : (uint32_t)(dice >> 48) % (N_CHUNKS + 1);
	struct pool *pool = &segment->pools[0];

	switch (dice % 8) {
	case 0:
		atomic_store(&topic->ring->tail, value);
		break;
	case 1:
		atomic_fetch_add(&topic->ring->tail, value % 200);
		break;
	case 2:
		atomic_store(&topic->slots[index & (topic->capacity - 1)], value);
		break;
	case 3:
		atomic_store(&topic->slots[index & (topic->capacity - 1)],
			     (atomic_load(&topic->ring->tail) - value % 4) << 32 | named);
		break;
	case 4:
		atomic_store(&segment_manager(segment, manager)->chunk, (uint32_t)value);
		break;
	case 5:
		atomic_store(&segment_manager(segment, manager)->chunk,
			     handle_chunk((uint32_t)value % 3, index + (uint32_t)(value >> 40) % 2));
		break;
	case 6:
		atomic_store(&pool->entries[index].word,
			     word_make((uint32_t)value, MEMPOOL_SHARED, manager));
		break;
	case 7:
		atomic_store(&pool->entries[index].length, (uint32_t)value);
		break;
	}
}

/* Whatever stands there, each call ends, and tells of bytes of one chunk. */
START_TEST(test_peek_any_garbage_ends)
{
	struct stage stage = stage_new(_i, MEMPOOL_TOPIC_OLDEST);
	const struct pool *pool = &spectator->segment->pools[0];
	struct topic topic = view_of(stage.name);
	uint64_t random = 4711, n_read = 0;
	void *whole;

	publish_many(&stage, stage.capacity);
	whole = snapshot();
	for (int i = 0; i < 100000; i++) {
		unsigned char buffer[CHUNK_SIZE];
		const void *chunk;
		size_t length;
		uint32_t index;
		int r;

		/* Again from something that is there. */
		if (i % 50 == 0) {
			memcpy(segment->memory.base, whole, segment->memory.size);
			mempool_subscriber_close(stage.subscriber);
			ck_assert_int_eq(mempool_topic_subscribe(
				stage.from, i % 500 ? MEMPOOL_TOPIC_OLDEST : MEMPOOL_TOPIC_NEW,
				&stage.subscriber), 0);
		}
		scribble(&topic, &random);
		if (i % 2) {
			r = mempool_subscriber_copy(stage.subscriber, buffer, sizeof(buffer),
						    &length, NULL, NULL, 0);
			ck_assert(r == 0 || r == -EAGAIN);
			n_read += r == 0;
			continue;
		}
		r = mempool_subscriber_peek(stage.subscriber, &chunk, &length, NULL, NULL, 0);
		ck_assert(r == 0 || r == -EAGAIN);
		if (r == 0) {
			ck_assert_int_eq(pool_index(pool, (uint64_t)((const unsigned char *)chunk -
								     pool->data), &index), 0);
			ck_assert_uint_le(length, CHUNK_SIZE);
			ck_assert_int_eq(mempool_subscriber_verify(stage.subscriber), 0);
			n_read++;
		}
	}
	ck_assert_uint_gt(n_read, 0);
	memcpy(segment->memory.base, whole, segment->memory.size);
	free(whole);
	stage_close(&stage);
}
END_TEST

static uint64_t n_looks;

/* Each slot is of a later round, and the tail is ahead each time: whoever follows never arrives. */
static void runs_on(struct stage *stage)
{
	struct topic topic = view_of(stage->name);

	atomic_fetch_add(&topic.ring->tail, topic.capacity + 1);
	ck_assert_uint_lt(++n_looks, topic.capacity + 1000);
	hook.step = LOOKED;
}

START_TEST(test_peek_tail_that_runs_on_ends)
{
	struct stage stage = stage_new(_i, MEMPOOL_TOPIC_NEW);
	struct topic topic = view_of(stage.name);
	const void *chunk;

	for (uint64_t i = 0; i < topic.capacity; i++)
		atomic_store(&topic.slots[i], UINT64_C(1) << 62 | TOPIC_NO_MANAGER);
	atomic_store(&topic.ring->tail, 1000);
	hook.happens = runs_on;
	hook.stage = &stage;
	hook.step = LOOKED;
	ck_assert_int_eq(mempool_subscriber_peek(stage.subscriber, &chunk, NULL, NULL, NULL, 0),
			 -EAGAIN);
	ck_assert_uint_gt(n_looks, topic.capacity);
	n_looks = 0;
	ck_assert_int_eq(mempool_subscriber_copy(stage.subscriber, NULL, 0, NULL, NULL, NULL, 0),
			 -EAGAIN);
	hook.step = N_STEPS;
	start_at(stage.name, 0);
	stage_close(&stage);
}
END_TEST

/* ---- at the same time ---- */

enum { N_PUBLISHERS = 2, N_SPECTATORS = 2, N_EACH = MEMPOOL_SANITIZED ? 5000 : 100000 };

static _Atomic uint64_t n_faults;
static _Atomic uint32_t n_publishing;

struct player {
	struct mempool_topic *topic;
	struct mempool_subscriber *subscriber;
	uint64_t n_good, n_missed;
	pthread_t thread;
};

/*
 * By atomic words, as a message must be written that is read meanwhile, for the thread sanitizer:
 * the word after the number is of another one, if two are mixed.
 */
static void *play_publisher(void *userdata)
{
	static _Atomic uint64_t n_numbers;
	struct player *player = userdata;

	for (uint64_t i = 0; i < N_EACH; i++) {
		_Atomic uint64_t *chunk = mempool_alloc_wait(publisher, CHUNK_SIZE, -1);
		uint64_t number = ++n_numbers;

		if (!chunk) {
			n_faults++;
			break;
		}
		for (uint64_t k = 0; k < MAX_WORDS; k++)
			atomic_store_explicit(&chunk[k], number + k, memory_order_relaxed);
		n_faults += mempool_chunk_set_tag(publisher, (void *)chunk, (uint32_t)number) != 0;
		n_faults += mempool_topic_publish(player->topic, (void *)chunk,
						  8 * (1 + number % MAX_WORDS)) != 0;
	}
	n_publishing--;
	return NULL;
}

static void *play_spectator(void *userdata)
{
	struct player *player = userdata;

	for (;;) {
		/* Before the last look: what it does not find is not to come. */
		bool is_last = n_publishing == 0;
		uint64_t words[MAX_WORDS], missed;
		size_t length;
		uint32_t tag;
		int r = mempool_subscriber_copy(player->subscriber, words, sizeof(words), &length,
						&tag, &missed, is_last ? 0 : MS);

		if (r == -EAGAIN && is_last)
			break;
		if (r == -EAGAIN)
			continue;
		if (r != 0) {
			n_faults++;
			break;
		}
		player->n_good++;
		player->n_missed += missed;
		n_faults += length != 8 * (1 + words[0] % MAX_WORDS) || tag != (uint32_t)words[0];
		for (uint64_t k = 0; k < length / 8; k++)
			n_faults += words[k] != words[0] + k;
	}
	return NULL;
}

START_TEST(test_peek_threads_what_is_good_is_whole)
{
	struct player players[N_PUBLISHERS + N_SPECTATORS];

	n_publishing = N_PUBLISHERS;
	for (uint32_t i = 0; i < ARRAY_SIZE(players); i++) {
		struct player *player = &players[i];

		*player = (struct player){ .n_good = 0 };
		ck_assert_int_eq(mempool_topic_open(i < N_PUBLISHERS ? publisher : spectator,
						    topics[_i].name, &player->topic), 0);
		ck_assert_int_eq(mempool_topic_subscribe(player->topic, MEMPOOL_TOPIC_NEW,
							 &player->subscriber), 0);
	}
	for (uint32_t i = 0; i < ARRAY_SIZE(players); i++)
		ck_assert_int_eq(pthread_create(&players[i].thread, NULL,
						i < N_PUBLISHERS ? play_publisher : play_spectator,
						&players[i]), 0);
	for (uint32_t i = 0; i < ARRAY_SIZE(players); i++)
		pthread_join(players[i].thread, NULL);
	ck_assert_uint_eq(n_faults, 0);
	for (uint32_t i = 0; i < ARRAY_SIZE(players); i++) {
		mempool_subscriber_close(players[i].subscriber);
		mempool_topic_close(players[i].topic);
		if (i < N_PUBLISHERS)
			continue;
		ck_assert_uint_gt(players[i].n_good, 0);
		ck_assert_uint_eq(players[i].n_good + players[i].n_missed,
				  N_PUBLISHERS * N_EACH);
	}
	must_hold(topics[_i].capacity);
}
END_TEST

static void add_tests(TCase *tcase)
{
	int n = ARRAY_SIZE(topics);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test_peek_each_is_told_once_in_order, 0, n);
	tcase_add_loop_test(tcase, test_peek_starts_with_the_oldest_kept_or_the_next, 0, n);
	tcase_add_loop_test(tcase, test_peek_starts_behind_a_tail_that_stands_back, 0, n);
	tcase_add_loop_test(tcase, test_peek_lapped_received_and_missed_are_published, 0, n);
	tcase_add_loop_test(tcase, test_peek_evicted_is_refused_and_counts_as_missed, 0, n);
	tcase_add_test(tcase, test_peek_held_by_another_but_evicted_is_refused);
	tcase_add_loop_test(tcase, test_peek_drained_is_refused_and_missed, 0, n);
	tcase_add_test(tcase, test_peek_freed_under_the_ring_is_refused);
	tcase_add_loop_test(tcase, test_peek_after_all_came_round_is_refused, 0, n);
	tcase_add_loop_test(tcase, test_peek_sequence_wraps, 0, n);
	tcase_add_test(tcase, test_copy_too_long_emsgsize_and_is_still_the_next);
	tcase_add_test(tcase, test_peek_bad_calls);
	tcase_add_test(tcase, test_peek_of_a_member_by_turns_with_next);
	tcase_add_loop_test(tcase, test_peek_changes_no_byte_of_the_segment, 0, n);
	tcase_add_test(tcase, test_peek_killed_spectator_leaves_nothing);
	tcase_add_test(tcase, test_peek_timeout_is_kept);
	tcase_add_test(tcase, test_peek_waits_and_looks_again);
	tcase_add_test(tcase, test_peek_signal_ends_a_wait);
	tcase_add_test(tcase, test_peek_in_retired_segment_waits_a_second_at_most);
	tcase_add_test(tcase, test_peek_of_closed_client_enotconn);
	tcase_add_test(tcase, test_peek_in_forked_child_echild);
	tcase_add_loop_test(tcase, test_peek_evicted_at_every_step, 0, n);
	tcase_add_loop_test(tcase, test_copy_too_slow_each_time_eagain, 0, n);
	tcase_add_loop_test(tcase, test_peek_any_garbage_ends, 0, n);
	tcase_add_loop_test(tcase, test_peek_tail_that_runs_on_ends, 0, n);
	tcase_add_loop_test(tcase, test_peek_threads_what_is_good_is_whole, 0, n);
}

int main(void)
{
	return test_run("peek", add_tests);
}
