/* SPDX-License-Identifier: MIT */
/* test-topic.c - one message for many: who gets which, what is missed, what is kept how long */
#include "test_segment.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "build_config.h"
#include "client/client.h"
#include "client/share.h"
#include "shm/audit.h"
#include "shm/chunk_manager.h"
#include "shm/drain.h"
#include "shm/holder.h"
#include "shm/queue.h"
#include "shm/reap.h"
#include "shm/topic.h"
#include "support/control.h"

enum { N_CHUNKS = 100, CHUNK_SIZE = 64, N_CLIENTS = 2 };
#define MS INT64_C(1000000)

/* Each test that loops runs with each of them. */
static const struct {
	const char *name;
	uint32_t capacity;
} topics[] = { { "one", 1 }, { "two", 2 }, { "many", 64 } };

static struct segment *segment;
static struct mempool_client *clients[N_CLIENTS];
static struct mempool_client *publisher, *reader;	/* the same, by what they mostly do */

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
	ck_assert_int_eq(config_add_ring(&config, "queue", MEMPOOL_RING_QUEUE, 4), 0);
	segment = test_segment_new_of(&config);
	config_deinit(&config);
	for (uint32_t i = 0; i < N_CLIENTS; i++)
		ck_assert_int_eq(client_new(test_segment_view(segment),
					    holder_first_client(segment) + i, 0, &clients[i]), 0);
	publisher = clients[0];
	reader = clients[1];
}

/* The shared side of it, for what no client would do. */
static struct topic view_of(const char *name)
{
	struct topic topic;

	ck_assert_int_eq(topic_view(&topic, segment, (uint32_t)queue_find(
				segment, name, MEMPOOL_RING_TOPIC)), 0);
	return topic;
}

static uint64_t drain(const struct topic *topic)
{
	uint64_t n_freed = UINT64_MAX;

	drain_topic(topic, MEMPOOL_HOLDER_DAEMON_ID, &n_freed);
	return n_freed;
}

static void must_hold(uint32_t n)
{
	struct audit audit;

	ck_assert_uint_eq(test_segment_used(segment, 0), n);
	ck_assert_uint_eq(test_segment_used(segment, segment->n_pools), n);
	ck_assert_int_eq(audit_segment(segment, AUDIT_REAPED, NULL, NULL, &audit), 0);
	ck_assert_uint_eq(audit.n_faults, 0);
}

/* Every test ends with what the topics keep, and nothing else. */
static void teardown(void)
{
	for (uint32_t i = 0; i < N_CLIENTS; i++)
		mempool_client_close(clients[i]);
	for (size_t i = 0; i < ARRAY_SIZE(topics); i++) {
		struct topic topic = view_of(topics[i].name);

		drain(&topic);
	}
	must_hold(0);
	segment_free(segment);
}

static struct mempool_topic *open_topic(struct mempool_client *client, const char *name)
{
	struct mempool_topic *topic;

	ck_assert_int_eq(mempool_topic_open(client, name, &topic), 0);
	return topic;
}

static struct mempool_subscriber *subscribe(struct mempool_topic *topic,
					    enum mempool_topic_start start)
{
	struct mempool_subscriber *subscriber;

	ck_assert_int_eq(mempool_topic_subscribe(topic, start, &subscriber), 0);
	return subscriber;
}

/* A topic, open for both, and someone who reads it. */
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

	stage.to = open_topic(publisher, stage.name);
	stage.from = open_topic(reader, stage.name);
	stage.subscriber = subscribe(stage.from, start);
	return stage;
}

static void stage_close(struct stage *stage)
{
	mempool_subscriber_close(stage->subscriber);
	mempool_topic_close(stage->to);
	mempool_topic_close(stage->from);
}

/* The message says which one it is; its length, too. */
static size_t length_of(uint64_t number)
{
	return sizeof(number) + number % (CHUNK_SIZE - sizeof(number) + 1);
}

static void publish(struct stage *stage)
{
	uint64_t *chunk = mempool_alloc(publisher, CHUNK_SIZE);

	ck_assert_ptr_nonnull(chunk);
	*chunk = stage->n_published;
	ck_assert_int_eq(mempool_topic_publish(stage->to, chunk, length_of(*chunk)), 0);
	stage->n_published++;
}

static const uint64_t *must_read(struct mempool_subscriber *subscriber, uint64_t number,
				 uint64_t n_missed)
{
	const void *chunk;
	size_t length;
	uint64_t missed = UINT64_MAX;

	ck_assert_int_eq(mempool_subscriber_next(subscriber, &chunk, &length, &missed, 0), 0);
	ck_assert_uint_eq(*(const uint64_t *)chunk, number);
	ck_assert_uint_eq(length, length_of(number));
	ck_assert_uint_eq(missed, n_missed);
	return chunk;
}

/* And let it go. */
static void must_next(struct mempool_subscriber *subscriber, uint64_t number, uint64_t n_missed)
{
	ck_assert_int_eq(mempool_free(reader, must_read(subscriber, number, n_missed)), 0);
}

static void must_have_no_news(struct mempool_subscriber *subscriber)
{
	const void *chunk = topics;
	size_t length = 7;
	uint64_t missed = 7;

	ck_assert_int_eq(mempool_subscriber_next(subscriber, &chunk, &length, &missed, 0),
			 -EAGAIN);
	ck_assert_ptr_eq(chunk, topics);
	ck_assert_uint_eq(length, 7);
	ck_assert_uint_eq(missed, 7);
}

/* ---- one after the other ---- */

START_TEST(test_topic_each_is_read_once_in_order)
{
	struct stage stage = stage_new(_i, MEMPOOL_TOPIC_NEW);
	struct mempool_subscriber *second = subscribe(stage.to, MEMPOOL_TOPIC_OLDEST);

	must_have_no_news(stage.subscriber);
	for (uint64_t round = 0; round < 5; round++) {
		uint64_t first = stage.n_published;

		for (uint64_t i = 0; i < stage.capacity; i++)
			publish(&stage);
		for (uint64_t i = first; i < stage.n_published; i++)
			must_next(stage.subscriber, i, 0);
		must_have_no_news(stage.subscriber);
		/* Another one's place is its own; its process may be the publisher's. */
		for (uint64_t i = first; i < stage.n_published; i++) {
			const void *chunk = must_read(second, i, 0);

			ck_assert_int_eq(mempool_free(publisher, chunk), 0);
		}
	}
	must_hold((uint32_t)stage.capacity);
	mempool_subscriber_close(second);
	stage_close(&stage);
}
END_TEST

START_TEST(test_topic_start_is_the_oldest_kept_or_the_next)
{
	struct stage stage = stage_new(_i, MEMPOOL_TOPIC_NEW);
	struct mempool_subscriber *oldest, *newest;

	/* Fewer than are kept, as many, and more. */
	for (uint64_t n = 1; n <= 2 * stage.capacity + 1; n++) {
		uint64_t first;

		publish(&stage);
		oldest = subscribe(stage.from, MEMPOOL_TOPIC_OLDEST);
		newest = subscribe(stage.from, MEMPOOL_TOPIC_NEW);
		first = n > stage.capacity ? n - stage.capacity : 0;
		for (uint64_t i = first; i < n; i++)
			must_next(oldest, i, 0);
		must_have_no_news(oldest);
		must_have_no_news(newest);
		mempool_subscriber_close(oldest);
		mempool_subscriber_close(newest);
	}
	newest = subscribe(stage.from, MEMPOOL_TOPIC_NEW);
	publish(&stage);
	must_next(newest, stage.n_published - 1, 0);
	mempool_subscriber_close(newest);
	stage_close(&stage);
}
END_TEST

/* Read and let go one, wherever the cursor is: exactly what is no longer kept was missed. */
static void must_catch_up(struct stage *stage, uint64_t *n_seen)
{
	uint64_t behind = stage->n_published - *n_seen;
	uint64_t missed = behind > stage->capacity ? behind - stage->capacity : 0;

	if (behind == 0) {
		must_have_no_news(stage->subscriber);
		return;
	}
	must_next(stage->subscriber, *n_seen + missed, missed);
	*n_seen += missed + 1;
}

static void play_lapping(struct stage *stage)
{
	uint64_t n_seen = 0;

	/* From not at all to three rounds behind, and from one read to all. */
	for (uint64_t ahead = 0; ahead <= 3 * stage->capacity + 1; ahead++) {
		for (uint64_t i = 0; i < ahead; i++)
			publish(stage);
		for (uint64_t i = 0; i <= ahead % 5; i++)
			must_catch_up(stage, &n_seen);
	}
	while (n_seen < stage->n_published)
		must_catch_up(stage, &n_seen);
	must_have_no_news(stage->subscriber);
	must_hold((uint32_t)stage->capacity);
}

START_TEST(test_topic_lapped_received_and_missed_are_published)
{
	struct stage stage = stage_new(_i, MEMPOOL_TOPIC_NEW);

	play_lapping(&stage);
	stage_close(&stage);
}
END_TEST

/* As if so many had been published and drained. */
static void start_at(const char *name, uint64_t tail)
{
	struct topic topic = view_of(name);

	drain(&topic);
	for (uint64_t i = tail - topic.capacity; i != tail; i++)
		atomic_store(&topic.slots[i & (topic.capacity - 1)],
			     i << 32 | TOPIC_NO_MANAGER);
	atomic_store(&topic.ring->tail, tail);
}

START_TEST(test_topic_sequence_wraps)
{
	static const uint64_t tails[] = { (UINT64_C(1) << 32) - 7, (UINT64_C(5) << 32) - 1,
					  (UINT64_C(1) << 31) - 7, UINT32_MAX };
	for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
		struct stage stage;

		start_at(topics[_i].name, tails[i]);
		stage = stage_new(_i, MEMPOOL_TOPIC_NEW);
		play_lapping(&stage);
		stage_close(&stage);
		/* Drained ones were missed, by who wanted them. */
		start_at(topics[_i].name, tails[i]);
		stage = stage_new(_i, MEMPOOL_TOPIC_OLDEST);
		must_have_no_news(stage.subscriber);
		publish(&stage);
		must_next(stage.subscriber, 0, stage.capacity);
		stage_close(&stage);
	}
}
END_TEST

START_TEST(test_topic_evicted_is_kept_while_it_is_held)
{
	struct stage stage = stage_new(_i, MEMPOOL_TOPIC_NEW);
	const uint64_t *held;

	publish(&stage);
	held = must_read(stage.subscriber, 0, 0);
	for (uint64_t i = 0; i < 3 * stage.capacity; i++)
		publish(&stage);
	ck_assert_uint_eq(*held, 0);
	must_hold((uint32_t)stage.capacity + 1);
	ck_assert_int_eq(mempool_free(publisher, held), -EPERM);
	ck_assert_int_eq(mempool_free(reader, held), 0);
	ck_assert_int_eq(mempool_free(reader, held), -EPERM);
	must_hold((uint32_t)stage.capacity);

	/* With its client, it goes. */
	held = must_read(stage.subscriber, 2 * stage.capacity + 1, 2 * stage.capacity);
	stage_close(&stage);
	ck_assert_int_eq(mempool_client_close(reader), 1);
	ck_assert_int_eq(client_new(test_segment_view(segment), holder_first_client(segment) + 1,
				    0, &clients[1]), 0);
	must_hold((uint32_t)stage.capacity);
}
END_TEST

START_TEST(test_topic_unshared_when_it_is_evicted)
{
	struct stage stage = stage_new(_i, MEMPOOL_TOPIC_NEW);
	const uint64_t *held;
	void *chunk = NULL;

	publish(&stage);
	held = must_read(stage.subscriber, 0, 0);
	/* Kept for those who come: whoever reads it has no copy of his own. */
	for (uint64_t i = 0; i < stage.capacity; i++) {
		ck_assert_int_eq(mempool_chunk_is_exclusive(reader, held), 0);
		ck_assert_int_eq(mempool_unshare(reader, held, &chunk), -EBUSY);
		publish(&stage);
	}
	ck_assert_int_eq(mempool_chunk_is_exclusive(reader, held), 1);
	ck_assert_int_eq(mempool_unshare(reader, held, &chunk), 0);
	ck_assert_ptr_eq(chunk, held);

	/* Passed on, without a copy. */
	*(uint64_t *)chunk = stage.n_published;
	ck_assert_int_eq(mempool_topic_publish(stage.from, chunk, length_of(stage.n_published)),
			 0);
	/* All but the one that was evicted with it in the meantime. */
	for (uint64_t i = 2; i <= stage.n_published; i++)
		must_next(stage.subscriber, i, i == 2);
	stage_close(&stage);
	must_hold((uint32_t)stage.capacity);
}
END_TEST

/* As many chunks as are kept, and one: enough to publish for ever. */
START_TEST(test_topic_needs_one_chunk_more_than_it_keeps)
{
	struct stage stage = stage_new(2, MEMPOOL_TOPIC_NEW);
	void *others[N_CHUNKS - 64 - 1];

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		others[i] = mempool_alloc(publisher, CHUNK_SIZE);
	for (int i = 0; i < 1000; i++)
		publish(&stage);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		ck_assert_int_eq(mempool_free(publisher, others[i]), 0);
	stage_close(&stage);
}
END_TEST

START_TEST(test_topic_bad_calls_change_nothing)
{
	struct stage stage = stage_new(1, MEMPOOL_TOPIC_NEW);
	struct mempool_topic *topic = stage.to;
	struct mempool_subscriber *subscriber = stage.subscriber;
	void *chunk = mempool_alloc(publisher, CHUNK_SIZE);
	const void *held;
	uint64_t handle;

	ck_assert_int_eq(mempool_topic_open(NULL, "two", &topic), -EINVAL);
	ck_assert_int_eq(mempool_topic_open(publisher, NULL, &topic), -EINVAL);
	ck_assert_int_eq(mempool_topic_open(publisher, "two", NULL), -EINVAL);
	ck_assert_int_eq(mempool_topic_open(publisher, "three", &topic), -ENOENT);
	ck_assert_int_eq(mempool_topic_open(publisher, "queue", &topic), -ENOENT);
	ck_assert_ptr_eq(topic, stage.to);
	ck_assert_int_eq(mempool_topic_subscribe(NULL, MEMPOOL_TOPIC_NEW, &subscriber), -EINVAL);
	ck_assert_int_eq(mempool_topic_subscribe(topic, MEMPOOL_TOPIC_NEW, NULL), -EINVAL);
	ck_assert_int_eq(mempool_topic_subscribe(topic, (enum mempool_topic_start)2,
						 &subscriber), -EINVAL);
	ck_assert_ptr_eq(subscriber, stage.subscriber);
	ck_assert_int_eq(mempool_subscriber_next(NULL, &held, NULL, NULL, -1), -EINVAL);
	ck_assert_int_eq(mempool_subscriber_next(subscriber, NULL, NULL, NULL, -1), -EINVAL);
	mempool_topic_close(NULL);
	mempool_subscriber_close(NULL);

	ck_assert_int_eq(mempool_topic_publish(NULL, chunk, 8), -EINVAL);
	ck_assert_int_eq(mempool_topic_publish(topic, NULL, 8), -EINVAL);
	ck_assert_int_eq(mempool_topic_publish(topic, (char *)chunk + 8, 8), -EINVAL);
	ck_assert_int_eq(mempool_topic_publish(topic, chunk, CHUNK_SIZE + 1), -EMSGSIZE);
	ck_assert_int_eq(mempool_topic_publish(stage.from, chunk, 8), -EPERM);
	must_have_no_news(subscriber);
	ck_assert_uint_eq(test_segment_used(segment, segment->n_pools), 0);

	/* Given, shared, freed, published already. */
	ck_assert_int_eq(mempool_give(publisher, chunk, 8, &handle), 0);
	ck_assert_int_eq(mempool_topic_publish(topic, chunk, 8), -EPERM);
	ck_assert_int_eq(mempool_take(publisher, handle, &chunk, NULL), 0);
	ck_assert_int_eq(mempool_share(publisher, chunk, 8, &handle), 0);
	ck_assert_int_eq(mempool_topic_publish(topic, chunk, 8), -EBUSY);
	ck_assert_int_eq(mempool_topic_publish(stage.from, chunk, 8), -EPERM);
	ck_assert_int_eq(mempool_free(publisher, chunk), 0);
	ck_assert_int_eq(mempool_topic_publish(topic, chunk, 8), -EPERM);
	must_have_no_news(subscriber);
	must_hold(0);
	publish(&stage);
	held = must_read(subscriber, 0, 0);
	ck_assert_int_eq(mempool_topic_publish(topic, (void *)held, 8), -EPERM);
	ck_assert_int_eq(mempool_topic_publish(stage.from, (void *)held, 8), -EBUSY);
	ck_assert_int_eq(mempool_free(publisher, held), -EPERM);
	ck_assert_int_eq(mempool_free(reader, held), 0);
	must_have_no_news(subscriber);

	/* All of a chunk, and nothing of it. */
	chunk = mempool_alloc(publisher, CHUNK_SIZE);
	ck_assert_int_eq(mempool_topic_publish(topic, chunk, CHUNK_SIZE), 0);
	chunk = mempool_alloc(publisher, CHUNK_SIZE);
	ck_assert_int_eq(mempool_topic_publish(topic, chunk, 0), 0);
	for (int i = 0; i < 2; i++) {
		size_t length = 7;

		ck_assert_int_eq(mempool_subscriber_next(subscriber, &held, &length, NULL, 0), 0);
		ck_assert_uint_eq(length, i == 0 ? CHUNK_SIZE : 0);
		ck_assert_int_eq(mempool_free(reader, held), 0);
	}
	stage_close(&stage);
}
END_TEST

START_TEST(test_topic_drained_is_missed)
{
	struct stage stage = stage_new(_i, MEMPOOL_TOPIC_NEW);
	struct topic topic = view_of(stage.name);
	uint32_t capacity = (uint32_t)stage.capacity;
	const void *held;

	for (uint64_t i = 0; i < 2 * stage.capacity; i++)
		publish(&stage);
	ck_assert_uint_eq(drain(&topic), capacity);
	must_hold(0);
	ck_assert_uint_eq(drain(&topic), 0);
	must_have_no_news(stage.subscriber);
	publish(&stage);
	must_next(stage.subscriber, 2 * stage.capacity, 2 * stage.capacity);

	/* What somebody has is his. */
	publish(&stage);
	held = must_read(stage.subscriber, stage.n_published - 1, 0);
	ck_assert_uint_eq(drain(&topic), capacity > 1);
	must_hold(1);
	ck_assert_int_eq(mempool_free(reader, held), 0);
	must_hold(0);
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

START_TEST(test_topic_timeout_is_kept)
{
	struct stage stage = stage_new(1, MEMPOOL_TOPIC_NEW);
	int64_t begin = now_ns();
	struct control control;
	const void *chunk;

	control_start(&control);
	ck_assert_int_eq(mempool_subscriber_next(stage.subscriber, &chunk, NULL, NULL, 30 * MS),
			 -EAGAIN);
	ck_assert_int_ge(now_ns() - begin, 30 * MS);
	ck_assert_double_lt(control_stop(&control), 5000);
	publish(&stage);
	ck_assert_int_eq(mempool_subscriber_next(stage.subscriber, &chunk, NULL, NULL, -1), 0);
	ck_assert_int_eq(mempool_free(reader, chunk), 0);
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

START_TEST(test_topic_signal_ends_a_wait)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct stage stage = stage_new(1, MEMPOOL_TOPIC_NEW);
	pthread_t self = pthread_self(), thread;
	const void *chunk;

	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, send_signals, &self), 0);
	ck_assert_int_eq(mempool_subscriber_next(stage.subscriber, &chunk, NULL, NULL, -1),
			 -EINTR);
	pthread_join(thread, NULL);
	stage_close(&stage);
}
END_TEST

enum { N_READERS = 3, N_NEWS = 200 };

struct waiting {
	struct mempool_subscriber *subscriber;
	pthread_t thread;
	_Atomic uint64_t n_read;
};

static void *wait_for_news(void *userdata)
{
	struct waiting *waiting = userdata;

	for (uint64_t i = 0; i < N_NEWS; i++) {
		const void *chunk;

		if (mempool_subscriber_next(waiting->subscriber, &chunk, NULL, NULL, -1) < 0 ||
		    *(const uint64_t *)chunk != i || mempool_free(reader, chunk) < 0)
			break;
		waiting->n_read++;
	}
	return NULL;
}

/* Each waits for each: a lost wake costs a slice of a second. */
START_TEST(test_topic_news_wake_all_who_sleep)
{
	struct stage stage = stage_new(2, MEMPOOL_TOPIC_NEW);
	struct waiting readers[N_READERS] = { { .n_read = 0 } };
	struct control control;

	control_start(&control);
	for (int i = 0; i < N_READERS; i++) {
		readers[i].subscriber = subscribe(stage.from, MEMPOOL_TOPIC_NEW);
		ck_assert_int_eq(pthread_create(&readers[i].thread, NULL, wait_for_news,
						&readers[i]), 0);
	}
	while (stage.n_published < N_NEWS) {
		publish(&stage);
		for (int i = 0; i < N_READERS; i++)
			while (readers[i].n_read < stage.n_published)
				sched_yield();
	}
	for (int i = 0; i < N_READERS; i++) {
		pthread_join(readers[i].thread, NULL);
		mempool_subscriber_close(readers[i].subscriber);
	}
	/* Ten lost wakes of 600, at most, on whatever machine. */
	ck_assert_double_lt(control_stop(&control), 10000);
	stage_close(&stage);
}
END_TEST

/* ---- the end of a client ---- */

START_TEST(test_topic_of_closed_client_enotconn)
{
	struct stage stage = stage_new(1, MEMPOOL_TOPIC_NEW);
	struct mempool_subscriber *subscriber = subscribe(stage.to, MEMPOOL_TOPIC_OLDEST);
	struct mempool_subscriber *none = NULL;
	const void *chunk;

	publish(&stage);
	mempool_client_close(publisher);
	ck_assert_int_eq(mempool_topic_publish(stage.to, &stage, 8), -ENOTCONN);
	ck_assert_int_eq(mempool_topic_subscribe(stage.to, MEMPOOL_TOPIC_NEW, &none), -ENOTCONN);
	ck_assert_int_eq(mempool_subscriber_next(subscriber, &chunk, NULL, NULL, -1), -ENOTCONN);
	ck_assert_ptr_null(none);
	/* The topic keeps what was published. */
	must_next(stage.subscriber, 0, 0);
	must_hold(1);
	/* In this order, or the other. */
	stage_close(&stage);
	mempool_subscriber_close(subscriber);
	ck_assert_int_eq(client_new(test_segment_view(segment), holder_first_client(segment), 0,
				    &clients[0]), 0);
}
END_TEST

START_TEST(test_topic_in_forked_child_echild)
{
	struct stage stage = stage_new(1, MEMPOOL_TOPIC_NEW);
	struct mempool_topic *topic;
	struct mempool_subscriber *subscriber;
	const void *chunk;
	int status;
	pid_t pid;

	if (!test_fork_wipes())
		return;
	ck_assert_int_eq(madvise(segment->memory.base, segment->memory.size, MADV_DONTFORK), 0);
	pid = fork();
	if (pid == 0) {
		if (mempool_topic_publish(stage.to, &stage, 8) != -ECHILD)
			_exit(1);
		if (mempool_subscriber_next(stage.subscriber, &chunk, NULL, NULL, -1) != -ECHILD)
			_exit(2);
		if (mempool_topic_open(publisher, "two", &topic) != -ECHILD)
			_exit(3);
		if (mempool_topic_subscribe(stage.to, MEMPOOL_TOPIC_NEW, &subscriber) != -ECHILD)
			_exit(4);
		stage_close(&stage);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	publish(&stage);
	must_next(stage.subscriber, 0, 0);
	stage_close(&stage);
}
END_TEST

/* A message that one client holds as often as can be counted. */
START_TEST(test_topic_more_references_than_can_be_counted_eoverflow)
{
	struct stage stage = stage_new(1, MEMPOOL_TOPIC_NEW);
	_Atomic uint32_t *held[2];
	struct topic topic = view_of("two");
	struct topic_slot slot;
	const void *chunk = topics;
	uint64_t cursor = 0, n_missed;

	publish(&stage);
	ck_assert_int_eq(topic_look(&topic, &cursor, &n_missed, &slot), 0);
	held[0] = &reader->references[slot.manager];
	held[1] = &publisher->references[slot.manager];
	atomic_store(held[0], UINT32_MAX >> 1);
	ck_assert_int_eq(mempool_subscriber_next(stage.subscriber, &chunk, NULL, NULL, 0),
			 -EOVERFLOW);
	ck_assert_ptr_eq(chunk, topics);
	/* It is still the next one. */
	atomic_store(held[0], 0);
	must_next(stage.subscriber, 0, 0);

	/* A publisher that holds it so often can evict it. */
	atomic_store(held[1], UINT32_MAX >> 1);
	for (uint64_t i = 0; i < topic.capacity; i++)
		publish(&stage);
	ck_assert_uint_eq(atomic_load(held[1]), UINT32_MAX >> 1);
	atomic_store(held[1], 1);
	ck_assert_int_eq(share_drop(publisher, slot.manager), 0);
	must_next(stage.subscriber, 1, 0);
	must_next(stage.subscriber, 2, 0);
	must_have_no_news(stage.subscriber);
	stage_close(&stage);
}
END_TEST

/* What a publisher leaves that was killed at each of its steps; see mempool_topic_publish(). */
START_TEST(test_topic_publisher_killed_at_every_stop)
{
	struct topic topic = view_of("two");
	struct pool *pool = &segment->pools[0], *managers = segment_managers(segment);
	uint32_t dead = publisher->holder, index, manager;

	for (int stop = 0; stop < 6; stop++) {
		struct topic_slot slot;
		int64_t n_freed = 1;
		uint64_t word;

		/* The ring is full each time. */
		for (uint64_t i = 0; i < topic.capacity; i++) {
			struct stage stage = stage_new(1, MEMPOOL_TOPIC_NEW);

			publish(&stage);
			stage_close(&stage);
		}
		ck_assert_int_eq(test_claim_scan(pool, 0, dead, &index), 0);
		ck_assert_int_eq(test_claim_scan(managers, 0, dead, &manager), 0);
		word = atomic_load(&pool->entries[index].word);
		if (stop >= 1)
			chunk_manager_share(segment, (struct chunk_ref){ 0, index }, manager,
					    dead, topic.holder, &word);
		topic_next_free(&topic, &slot);
		if (stop >= 2) {
			chunk_manager_set(segment, slot.manager, dead);
			ck_assert_int_eq(chunk_manager_stamp(segment, slot.manager), 0);
		}
		if (stop >= 3) {
			/* It replaces what it evicts. */
			ck_assert(topic_put(&topic, &slot, manager));
			ck_assert(!topic_put(&topic, &slot, manager));
			/* The tail only comes along. */
			atomic_store(&topic.ring->tail, slot.position);
		}
		if (stop >= 4)
			chunk_manager_clear(segment, slot.manager, dead);
		if (stop >= 5) {
			chunk_manager_collect(segment, slot.manager, dead);
			n_freed = 0;
		}
		ck_assert_int_eq(reap_holder(segment, dead), n_freed);
		must_hold(2);
		ck_assert_uint_eq(topic_newest(&topic), slot.position + (stop >= 3));
	}
}
END_TEST

/* ---- the hostile ---- */

/* A slot as no client leaves it: publishing and reading go on behind it. */
static void must_survive(uint32_t sequence, uint32_t manager)
{
	struct stage stage = stage_new(1, MEMPOOL_TOPIC_NEW);
	struct topic topic = view_of("two");
	uint64_t tail = topic_newest(&topic);
	const void *chunk;
	uint64_t missed;

	atomic_store(&topic.slots[tail & 1], (uint64_t)(sequence + (uint32_t)tail) << 32 | manager);
	while (mempool_subscriber_next(stage.subscriber, &chunk, NULL, NULL, 0) == 0)
		ck_assert_int_eq(mempool_free(reader, chunk), 0);
	for (int i = 0; i < 4; i++)
		publish(&stage);
	stage.n_published = 0;
	mempool_subscriber_close(stage.subscriber);
	stage.subscriber = subscribe(stage.from, MEMPOOL_TOPIC_NEW);
	for (int i = 0; i < 2; i++)
		publish(&stage);
	for (uint64_t i = 0; i < 2; i++) {
		ck_assert_int_eq(mempool_subscriber_next(stage.subscriber, &chunk, NULL, &missed,
							 0), 0);
		ck_assert_uint_eq(missed, 0);
		ck_assert_uint_eq(*(const uint64_t *)chunk, i);
		ck_assert_int_eq(mempool_free(reader, chunk), 0);
	}
	stage_close(&stage);
	/* What the ring forgot that way, the next sweep finds. */
	reap_holder(segment, MEMPOOL_HOLDER_DAEMON_ID);
	must_hold(2);
}

START_TEST(test_topic_garbage_in_slots_is_skipped)
{
	/* From what is expected there; 0 is that it is published already. */
	static const uint32_t sequences[] = { 0, 1, 2, 3, 77, UINT32_MAX, (uint32_t)-2,
					      (uint32_t)-3, INT32_MAX, (uint32_t)INT32_MIN };
	static const uint32_t managers[] = { TOPIC_NO_MANAGER, 0, N_CHUNKS - 1, N_CHUNKS,
					     N_CHUNKS + 1, UINT32_MAX - 1 };

	for (size_t i = 0; i < ARRAY_SIZE(sequences); i++)
		for (size_t k = 0; k < ARRAY_SIZE(managers); k++)
			must_survive(sequences[i], managers[k]);
}
END_TEST

/* Each slot says that the next one was lapped: a reader that believed it would run for ever. */
START_TEST(test_topic_slots_far_ahead_are_no_news)
{
	struct stage stage = stage_new(2, MEMPOOL_TOPIC_NEW);
	struct topic topic = view_of("many");

	for (uint64_t i = 0; i < topic.capacity; i++)
		atomic_store(&topic.slots[i], ((i + 1) << 26 | i) << 32 | TOPIC_NO_MANAGER);
	must_have_no_news(stage.subscriber);
	atomic_store(&topic.ring->tail, 1000);
	must_have_no_news(stage.subscriber);
	atomic_store(&topic.ring->tail, UINT64_MAX);
	must_have_no_news(stage.subscriber);
	stage_close(&stage);
}
END_TEST

static uint64_t random_number(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Slots, tail, managers: whatever stands there, each call ends, and reads what is mapped. */
START_TEST(test_topic_any_garbage_ends)
{
	struct stage stage = stage_new(_i, MEMPOOL_TOPIC_OLDEST);
	struct topic topic = view_of(stage.name);
	uint64_t random = 4711;

	for (int i = 0; i < 3000; i++) {
		uint64_t dice = random_number(&random);
		uint64_t sequence = atomic_load(&topic.ring->tail) + dice % 5 -
				    (dice >> 8) % 3 * topic.capacity;
		uint32_t manager = (uint32_t)(dice >> 16) % (N_CHUNKS + 3);
		const void *chunk;
		void *message;
		int r;

		if (dice % 7 == 0)
			sequence = random_number(&random);
		if (dice % 97 == 0)
			atomic_store(&topic.ring->tail, random_number(&random));
		if (dice % 11 == 0)
			atomic_store(&segment_manager(segment, manager % N_CHUNKS)->position,
				     (uint32_t)sequence);
		if (dice % 3 == 0)
			atomic_store(&topic.slots[(dice >> 40) % topic.capacity],
				     sequence << 32 | manager);

		message = mempool_alloc(publisher, CHUNK_SIZE);
		if (message)
			ck_assert_int_eq(mempool_topic_publish(stage.to, message, 8), 0);
		else
			reap_holder(segment, MEMPOOL_HOLDER_DAEMON_ID);
		for (int k = 0; k < 3; k++) {
			r = mempool_subscriber_next(stage.subscriber, &chunk, NULL, NULL, 0);
			ck_assert(r == 0 || r == -EAGAIN || r == -EBADMSG);
			if (r == 0)
				ck_assert_int_eq(mempool_free(reader, chunk), 0);
		}
		if (dice % 50 == 0) {
			mempool_subscriber_close(stage.subscriber);
			stage.subscriber = subscribe(stage.from, dice % 100 == 0
						? MEMPOOL_TOPIC_OLDEST : MEMPOOL_TOPIC_NEW);
		}
		if (dice % 60 == 0)
			drain(&topic);
	}
	stage_close(&stage);
	drain(&topic);
	reap_holder(segment, MEMPOOL_HOLDER_DAEMON_ID);
}
END_TEST

START_TEST(test_topic_view_checks_the_ring)
{
	struct topic topic;

	ck_assert_int_eq(topic_view(&topic, segment, segment->config.n_rings), -EINVAL);
	ck_assert_int_eq(topic_view(&topic, segment, (uint32_t)queue_find(
				segment, "queue", MEMPOOL_RING_QUEUE)), -ENOENT);
	ck_assert_int_eq(topic_view_holder(&topic, segment, MEMPOOL_HOLDER_DAEMON_ID), -EINVAL);
	ck_assert_int_eq(topic_view_holder(&topic, segment, publisher->holder), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(topics); i++) {
		struct topic named = view_of(topics[i].name);

		ck_assert_int_eq(topic_view_holder(&topic, segment, named.holder), 0);
		ck_assert_uint_eq(topic.ring_index, named.ring_index);
		ck_assert_uint_eq(topic.capacity, topics[i].capacity);
	}
}
END_TEST

/* ---- at the same time ---- */

enum { N_PUBLISHERS = 3, N_SUBSCRIBERS = 3, N_EACH = MEMPOOL_SANITIZED ? 4000 : 60000 };

static _Atomic uint64_t n_faults;
static _Atomic uint32_t n_publishing;

struct player {
	struct mempool_client *client;
	struct mempool_topic *topic;
	struct mempool_subscriber *subscriber;
	uint64_t id;
	uint64_t n_received, n_missed;
	pthread_t thread;
};

/* What it says: by whom, the how many-th, and a word that goes with both. */
static uint64_t check_of(uint64_t id, uint64_t number)
{
	return (id + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ number;
}

static void *play_publisher(void *userdata)
{
	struct player *player = userdata;

	for (uint64_t i = 0; i < N_EACH; i++) {
		uint64_t *chunk = mempool_alloc_wait(player->client, CHUNK_SIZE, -1);

		if (!chunk) {
			n_faults++;
			break;
		}
		chunk[0] = player->id;
		chunk[1] = i;
		chunk[2] = check_of(player->id, i);
		n_faults += mempool_topic_publish(player->topic, chunk, 24) != 0;
	}
	n_publishing--;
	return NULL;
}

static void *play_subscriber(void *userdata)
{
	struct player *player = userdata;
	uint64_t next[N_PUBLISHERS] = { 0 };

	for (;;) {
		/* Before the last look: what it does not find is not to come. */
		bool is_over = n_publishing == 0;
		const uint64_t *chunk;
		const void *held;
		uint64_t missed;
		size_t length;
		int r = mempool_subscriber_next(player->subscriber, &held, &length, &missed,
						is_over ? 0 : 10 * MS);

		if (r == -EAGAIN && is_over)
			break;
		if (r == -EAGAIN)
			continue;
		if (r != 0) {
			n_faults++;
			break;
		}
		player->n_received++;
		player->n_missed += missed;
		chunk = held;
		/* Slow ones look at it for a while. */
		for (uint64_t i = 0; i <= player->id; i++) {
			n_faults += length != 24 || chunk[0] >= N_PUBLISHERS ||
				    chunk[2] != check_of(chunk[0], chunk[1]);
			if (i > 0)
				sched_yield();
		}
		/* Each publisher's, in order. */
		n_faults += chunk[1] < next[chunk[0]];
		next[chunk[0]] = chunk[1] + 1;
		n_faults += mempool_free(player->client, held) != 0;
	}
	return NULL;
}

START_TEST(test_topic_threads_received_and_missed_are_published)
{
	struct player players[N_PUBLISHERS + N_SUBSCRIBERS];

	n_publishing = N_PUBLISHERS;
	for (uint32_t i = 0; i < ARRAY_SIZE(players); i++) {
		struct player *player = &players[i];

		*player = (struct player){ .client = clients[i % N_CLIENTS] };
		player->id = i < N_PUBLISHERS ? i : i - N_PUBLISHERS;
		player->topic = open_topic(player->client, topics[_i].name);
		player->subscriber = subscribe(player->topic, MEMPOOL_TOPIC_NEW);
	}
	for (uint32_t i = 0; i < ARRAY_SIZE(players); i++)
		ck_assert_int_eq(pthread_create(&players[i].thread, NULL,
						i < N_PUBLISHERS ? play_publisher : play_subscriber,
						&players[i]), 0);
	for (uint32_t i = 0; i < ARRAY_SIZE(players); i++)
		pthread_join(players[i].thread, NULL);
	ck_assert_uint_eq(n_faults, 0);
	for (uint32_t i = 0; i < ARRAY_SIZE(players); i++) {
		mempool_subscriber_close(players[i].subscriber);
		mempool_topic_close(players[i].topic);
		if (i < N_PUBLISHERS)
			continue;
		ck_assert_uint_gt(players[i].n_received, 0);
		ck_assert_uint_eq(players[i].n_received + players[i].n_missed,
				  N_PUBLISHERS * N_EACH);
	}
	must_hold(topics[_i].capacity);
}
END_TEST

/* ---- the last ones, and the newest alone ---- */

static struct mempool_subscriber *subscribe_with(struct mempool_topic *topic,
						 enum mempool_topic_start start, uint64_t n_last,
						 uint64_t flags)
{
	const struct mempool_subscribe_options options = {
		.size = sizeof(options),
		.start = start,
		.n_last = n_last,
		.flags = flags,
	};
	struct mempool_subscriber *made;

	ck_assert_int_eq(mempool_topic_subscribe_with(topic, &options, &made), 0);
	return made;
}

/* By an atomic store: who peeks or copies may read the chunk while it is written anew. */
static void publish_by(struct mempool_client *by, struct mempool_topic *topic, uint32_t number)
{
	_Atomic uint32_t *chunk = mempool_alloc(by, sizeof(number));

	ck_assert_ptr_nonnull(chunk);
	atomic_store_explicit(chunk, number, memory_order_relaxed);
	ck_assert_int_eq(mempool_topic_publish(topic, (void *)chunk, sizeof(number)), 0);
}

static void publish_number(struct mempool_topic *topic, uint32_t number)
{
	publish_by(publisher, topic, number);
}

/* By next, peek or copy. Return: as that; the number and what was missed. */
enum { BY_NEXT, BY_PEEK, BY_COPY, N_READS };
static int read_number(int by, struct mempool_subscriber *from, uint32_t *ret_number,
		       uint64_t *ret_missed)
{
	const void *chunk;
	int r;

	if (by == BY_COPY)
		return mempool_subscriber_copy(from, ret_number, sizeof(*ret_number), NULL, NULL,
					       ret_missed, 0);
	r = by == BY_NEXT ? mempool_subscriber_next(from, &chunk, NULL, ret_missed, 0)
			  : mempool_subscriber_peek(from, &chunk, NULL, NULL, ret_missed, 0);
	if (r < 0)
		return r;
	/* What was peeked may be written just now: see publish_by(). */
	*ret_number = atomic_load_explicit((_Atomic uint32_t *)chunk, memory_order_relaxed);
	return by == BY_NEXT ? mempool_free(reader, chunk) : 0;
}

static void must_find(int by, struct mempool_subscriber *from, uint32_t number, uint64_t missed)
{
	uint64_t n_missed = 999;
	uint32_t found = 999;

	ck_assert_int_eq(read_number(by, from, &found, &n_missed), 0);
	ck_assert_uint_eq(found, number);
	ck_assert_uint_eq(n_missed, missed);
}

START_TEST(test_topic_last_begins_so_many_before_the_end)
{
	struct mempool_topic *topic = open_topic(publisher, topics[_i].name);
	struct mempool_topic *theirs = open_topic(reader, topics[_i].name);
	const uint64_t capacity = topics[_i].capacity;

	for (uint32_t n = 0; n <= 2 * capacity + 1; n++) {
		for (uint64_t last = 0; last <= capacity + 2;
		     last += capacity > 8 ? 13 : 1) {
			struct mempool_subscriber *from =
				subscribe_with(theirs, MEMPOOL_TOPIC_LAST, last, 0);
			uint64_t kept = n < capacity ? n : capacity;
			uint64_t expected = last < kept ? last : kept, missed;
			uint32_t number;

			for (uint64_t i = 0; i < expected; i++)
				must_find(BY_NEXT, from, (uint32_t)(n - expected + i), 0);
			ck_assert_int_eq(read_number(BY_NEXT, from, &number, &missed), -EAGAIN);
			mempool_subscriber_close(from);
		}
		publish_number(topic, n);
	}
	mempool_topic_close(topic);
	mempool_topic_close(theirs);
}
END_TEST

START_TEST(test_topic_newest_passes_over_the_others)
{
	struct mempool_topic *topic = open_topic(publisher, "many");
	struct mempool_topic *theirs = open_topic(reader, "many");
	struct mempool_subscriber *from =
		subscribe_with(theirs, MEMPOOL_TOPIC_NEW, 0, MEMPOOL_SUBSCRIBE_NEWEST);
	uint32_t number, n = 0;
	uint64_t missed;

	ck_assert_int_eq(read_number(_i, from, &number, &missed), -EAGAIN);
	publish_number(topic, n++);
	must_find(_i, from, 0, 0);
	ck_assert_int_eq(read_number(_i, from, &number, &missed), -EAGAIN);
	publish_number(topic, n++);
	publish_number(topic, n++);
	must_find(_i, from, 2, 1);
	ck_assert_int_eq(read_number(_i, from, &number, &missed), -EAGAIN);
	/* Once round, and more. */
	for (int i = 0; i < 150; i++)
		publish_number(topic, n++);
	must_find(_i, from, n - 1, 149);
	mempool_subscriber_close(from);

	from = subscribe_with(theirs, MEMPOOL_TOPIC_OLDEST, 0, MEMPOOL_SUBSCRIBE_NEWEST);
	must_find(_i, from, n - 1, 63);
	/* What is drained is not there to be read; what follows is. */
	publish_number(topic, n++);
	publish_number(topic, n++);
	{
		struct topic view = view_of("many");

		drain(&view);
	}
	ck_assert_int_eq(read_number(_i, from, &number, &missed), -EAGAIN);
	publish_number(topic, n++);
	must_find(_i, from, n - 1, 2);
	mempool_subscriber_close(from);
	mempool_topic_close(topic);
	mempool_topic_close(theirs);
}
END_TEST

static void *publish_thousands(void *topic)
{
	for (uint32_t n = 0; n < 20000; n++)
		publish_number(topic, n);
	return NULL;
}

/* While it is published at full speed: in order, and nothing is counted twice, or not at all. */
START_TEST(test_topic_newest_read_and_missed_are_all)
{
	struct mempool_topic *topic = open_topic(publisher, topics[_i].name);
	struct mempool_topic *theirs = open_topic(reader, topics[_i].name);
	struct mempool_subscriber *from =
		subscribe_with(theirs, MEMPOOL_TOPIC_NEW, 0, MEMPOOL_SUBSCRIBE_NEWEST);
	uint64_t n_read = 0, n_missed = 0, missed;
	uint32_t number = 0;
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, publish_thousands, topic), 0);
	while (number < 19999) {
		int r = read_number(BY_NEXT, from, &number, &missed);

		if (r == -EAGAIN) {
			sched_yield();
			continue;
		}
		ck_assert_int_eq(r, 0);
		n_read++;
		n_missed += missed;
		ck_assert_uint_eq(n_read + n_missed, number + 1);
	}
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	mempool_subscriber_close(from);
	mempool_topic_close(topic);
	mempool_topic_close(theirs);
}
END_TEST

/* ---- what others publish ---- */

/* By next, peek and copy; more than once round, so that managers are those of others before. */
START_TEST(test_topic_others_passes_over_its_own)
{
	struct mempool_topic *theirs = open_topic(publisher, "many");
	struct mempool_topic *ours = open_topic(reader, "many");
	struct mempool_subscriber *before, *from, *all;
	uint32_t number, n = 1000;
	uint64_t missed;

	/* Of what was published before it asked, nobody knows any more whose it was. */
	publish_by(reader, ours, 7);
	before = subscribe_with(ours, MEMPOOL_TOPIC_OLDEST, 0, MEMPOOL_SUBSCRIBE_OTHERS);
	must_find(_i, before, 7, 0);
	ck_assert_int_eq(read_number(_i, before, &number, &missed), -EAGAIN);
	mempool_subscriber_close(before);

	from = subscribe_with(ours, MEMPOOL_TOPIC_NEW, 0, MEMPOOL_SUBSCRIBE_OTHERS);
	all = subscribe_with(theirs, MEMPOOL_TOPIC_NEW, 0, MEMPOOL_SUBSCRIBE_OTHERS);
	for (int i = 0; i < 200; i++) {
		for (int own = 0; own < i % 4; own++)
			publish_by(reader, ours, 1);
		if (i % 3 == 0) {
			ck_assert_int_eq(read_number(_i, from, &number, &missed), -EAGAIN);
			for (int own = 0; own < i % 4; own++)
				must_find(BY_COPY, all, 1, 0);
			continue;
		}
		publish_by(publisher, theirs, n);
		publish_by(reader, ours, 2);
		must_find(_i, from, n++, 0);
		for (int own = 0; own < i % 4; own++)
			must_find(BY_COPY, all, 1, 0);
		must_find(BY_COPY, all, 2, 0);
		ck_assert_int_eq(read_number(BY_COPY, all, &number, &missed), -EAGAIN);
	}
	/* Lapped, it is told of all that it has not seen: nobody knows whose that was. */
	ck_assert_int_eq(read_number(_i, from, &number, &missed), -EAGAIN);
	for (int i = 0; i < 64 + 10; i++)
		publish_by(i % 2 ? publisher : reader, i % 2 ? theirs : ours, (uint32_t)i);
	must_find(_i, from, 11, 10);
	must_find(_i, from, 13, 0);
	mempool_subscriber_close(from);
	mempool_subscriber_close(all);
	mempool_topic_close(theirs);
	mempool_topic_close(ours);
}
END_TEST

static void *publish_own(void *topic)
{
	for (uint32_t n = 0; n < 20000; n++)
		publish_by(reader, topic, UINT32_MAX);
	return NULL;
}

/* A thread of ours publishes meanwhile, and another client does: only that is read, in order. */
START_TEST(test_topic_others_threads)
{
	struct mempool_topic *theirs = open_topic(publisher, topics[_i].name);
	struct mempool_topic *ours = open_topic(reader, topics[_i].name);
	struct mempool_subscriber *from =
		subscribe_with(ours, MEMPOOL_TOPIC_NEW, 0, MEMPOOL_SUBSCRIBE_OTHERS);
	pthread_t threads[2];
	uint32_t number, next = 0;
	uint64_t missed;

	ck_assert_int_eq(pthread_create(&threads[0], NULL, publish_own, ours), 0);
	ck_assert_int_eq(pthread_create(&threads[1], NULL, publish_thousands, theirs), 0);
	for (int i = 0; i < 20000; i++) {
		int r = read_number(i % 3, from, &number, &missed);

		if (r == -EAGAIN)
			continue;
		/* Peeked, and gone since: what was read then is not to be looked at. */
		if (i % 3 == BY_PEEK && mempool_subscriber_verify(from) < 0)
			continue;
		ck_assert_int_eq(r, 0);
		ck_assert_uint_ge(number, next);
		ck_assert_uint_lt(number, 20000);
		next = number + 1;
	}
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	mempool_subscriber_close(from);
	mempool_topic_close(theirs);
	mempool_topic_close(ours);
}
END_TEST

START_TEST(test_topic_subscribe_with_mistakes_einval)
{
	struct mempool_topic *topic = open_topic(reader, "many");
	const struct mempool_subscribe_options right = { .size = sizeof(right) };
	struct mempool_subscribe_options options;
	struct mempool_subscriber *made = NULL;
	struct {
		struct mempool_subscribe_options known;
		uint64_t later;
	} longer = { .known = { .size = sizeof(longer) }, .later = 1 };

	ck_assert_int_eq(mempool_topic_subscribe_with(NULL, &right, &made), -EINVAL);
	ck_assert_int_eq(mempool_topic_subscribe_with(topic, NULL, &made), -EINVAL);
	ck_assert_int_eq(mempool_topic_subscribe_with(topic, &right, NULL), -EINVAL);
	options = right;
	options.size--;
	ck_assert_int_eq(mempool_topic_subscribe_with(topic, &options, &made), -EINVAL);
	options = right;
	options.start = 3;
	ck_assert_int_eq(mempool_topic_subscribe_with(topic, &options, &made), -EINVAL);
	options = right;
	options.reserved = 1;
	ck_assert_int_eq(mempool_topic_subscribe_with(topic, &options, &made), -EINVAL);
	options = right;
	options.n_last = 1;
	ck_assert_int_eq(mempool_topic_subscribe_with(topic, &options, &made), -EINVAL);
	options = right;
	options.flags = MEMPOOL_SUBSCRIBE_NEWEST | MEMPOOL_SUBSCRIBE_OTHERS;
	ck_assert_int_eq(mempool_topic_subscribe_with(topic, &options, &made), -EINVAL);
	options.flags = 4;
	ck_assert_int_eq(mempool_topic_subscribe_with(topic, &options, &made), -EINVAL);
	ck_assert_int_eq(mempool_topic_subscribe_with(topic, &longer.known, &made), -EINVAL);
	ck_assert_int_eq(mempool_topic_subscribe(topic, MEMPOOL_TOPIC_LAST, &made), -EINVAL);
	ck_assert_int_eq(mempool_topic_subscribe(topic, (enum mempool_topic_start)3, &made), -EINVAL);
	ck_assert_ptr_null(made);
	longer.later = 0;
	ck_assert_int_eq(mempool_topic_subscribe_with(topic, &longer.known, &made), 0);
	mempool_subscriber_close(made);
	mempool_topic_close(topic);
}
END_TEST

static void add_tests(TCase *tcase)
{
	int n = ARRAY_SIZE(topics);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test_topic_last_begins_so_many_before_the_end, 0,
			    ARRAY_SIZE(topics));
	tcase_add_loop_test(tcase, test_topic_newest_passes_over_the_others, 0, N_READS);
	tcase_add_loop_test(tcase, test_topic_newest_read_and_missed_are_all, 0,
			    ARRAY_SIZE(topics));
	tcase_add_loop_test(tcase, test_topic_others_passes_over_its_own, 0, N_READS);
	tcase_add_loop_test(tcase, test_topic_others_threads, 0, ARRAY_SIZE(topics));
	tcase_add_test(tcase, test_topic_subscribe_with_mistakes_einval);
	tcase_add_loop_test(tcase, test_topic_each_is_read_once_in_order, 0, n);
	tcase_add_loop_test(tcase, test_topic_start_is_the_oldest_kept_or_the_next, 0, n);
	tcase_add_loop_test(tcase, test_topic_lapped_received_and_missed_are_published, 0, n);
	tcase_add_loop_test(tcase, test_topic_sequence_wraps, 0, n);
	tcase_add_loop_test(tcase, test_topic_evicted_is_kept_while_it_is_held, 0, n);
	tcase_add_loop_test(tcase, test_topic_unshared_when_it_is_evicted, 0, n);
	tcase_add_test(tcase, test_topic_needs_one_chunk_more_than_it_keeps);
	tcase_add_test(tcase, test_topic_bad_calls_change_nothing);
	tcase_add_loop_test(tcase, test_topic_drained_is_missed, 0, n);
	tcase_add_test(tcase, test_topic_timeout_is_kept);
	tcase_add_test(tcase, test_topic_signal_ends_a_wait);
	tcase_add_test(tcase, test_topic_news_wake_all_who_sleep);
	tcase_add_test(tcase, test_topic_of_closed_client_enotconn);
	tcase_add_test(tcase, test_topic_in_forked_child_echild);
	tcase_add_test(tcase, test_topic_more_references_than_can_be_counted_eoverflow);
	tcase_add_test(tcase, test_topic_publisher_killed_at_every_stop);
	tcase_add_test(tcase, test_topic_garbage_in_slots_is_skipped);
	tcase_add_test(tcase, test_topic_slots_far_ahead_are_no_news);
	tcase_add_loop_test(tcase, test_topic_any_garbage_ends, 0, n);
	tcase_add_test(tcase, test_topic_view_checks_the_ring);
	tcase_add_loop_test(tcase, test_topic_threads_received_and_missed_are_published, 0, n);
}

int main(void)
{
	return test_run("topic", add_tests);
}
