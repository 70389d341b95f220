/* SPDX-License-Identifier: MIT */
/* test-yield.c - what a topic keeps yields to an allocation that finds nothing else */
#include "test_segment.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "client/client.h"
#include "client/locate.h"
#include "client/share.h"
#include "shm/audit.h"
#include "shm/chunk_manager.h"
#include "shm/drain.h"
#include "shm/history.h"
#include "shm/holder.h"
#include "shm/queue.h"
#include "shm/reap.h"
#include "shm/topic.h"

enum { SMALL = 64, LARGE = 256, N_SMALL = 24, N_LARGE = 6, CAPACITY = 64, N_CLIENTS = 2 };
#define MS INT64_C(1000000)

static struct segment *segment;
static struct mempool_client *clients[N_CLIENTS];
static struct mempool_client *publisher, *other;

static void open_clients(void)
{
	for (uint32_t i = 0; i < N_CLIENTS; i++)
		ck_assert_int_eq(client_new(test_segment_view(segment),
					    holder_first_client(segment) + i, 0, &clients[i]), 0);
	publisher = clients[0];
	other = clients[1];
}

/* Two topics that yield, one that holds, one that keeps one. With a pool of larger chunks, or not. */
static void make(bool has_larger, bool fallback)
{
	static const struct test_pool pools[] = {
		{ .chunk_size = SMALL, .n_chunks = N_SMALL, .cache = 4 },
		{ .chunk_size = LARGE, .n_chunks = N_LARGE, .cache = 4 },
	};
	struct config config;

	test_config_init(&config, pools, has_larger ? 2 : 1);
	config.fallback = fallback;
	ck_assert_int_eq(config_add_ring(&config, "a", MEMPOOL_RING_TOPIC, CAPACITY), 0);
	ck_assert_int_eq(config_add_ring(&config, "b", MEMPOOL_RING_TOPIC, CAPACITY), 0);
	ck_assert_int_eq(config_add_ring(&config, "held", MEMPOOL_RING_TOPIC, CAPACITY), 0);
	config.rings[config.n_rings - 1].flags = MEMPOOL_RING_HOLDS;
	ck_assert_int_eq(config_add_ring(&config, "last", MEMPOOL_RING_TOPIC, 1), 0);
	segment = test_segment_new_of(&config);
	config_deinit(&config);
	open_clients();
}

static void setup(void)
{
	make(false, true);
}

static void setup_larger(void)
{
	make(true, true);
}

static void setup_no_fallback(void)
{
	make(true, false);
}

static struct topic view_of(const char *name)
{
	struct topic topic;

	ck_assert_int_eq(topic_view(&topic, segment, (uint32_t)queue_find(
				segment, name, MEMPOOL_RING_TOPIC)), 0);
	return topic;
}

/* In the end each chunk is free, or kept, and then free as well. */
static void teardown(void)
{
	struct audit audit;

	for (uint32_t i = 0; i < N_CLIENTS; i++)
		mempool_client_close(clients[i]);
	for (uint32_t i = 0; i < segment->config.n_rings; i++) {
		struct topic topic;
		uint64_t n_freed;

		ck_assert_int_eq(topic_view(&topic, segment, i), 0);
		drain_topic(&topic, MEMPOOL_HOLDER_DAEMON_ID, &n_freed);
	}
	ck_assert_int_eq(audit_segment(segment, AUDIT_REAPED, NULL, NULL, &audit), 0);
	ck_assert_uint_eq(audit.n_faults, 0);
	for (uint32_t i = 0; i <= segment->n_pools; i++)
		ck_assert_uint_eq(test_segment_used(segment, i), 0);
	segment_free(segment);
}

static struct mempool_topic *open_topic(struct mempool_client *client, const char *name)
{
	struct mempool_topic *topic;

	ck_assert_int_eq(mempool_topic_open(client, name, &topic), 0);
	return topic;
}

/* By an atomic store: a peek may meet it. */
static void write_number(void *chunk, uint64_t number)
{
	__atomic_store_n((uint64_t *)chunk, number, __ATOMIC_RELAXED);
}

static uint64_t read_number(const void *chunk)
{
	return __atomic_load_n((const uint64_t *)chunk, __ATOMIC_RELAXED);
}

static void *publish_of(struct mempool_topic *topic, size_t size, uint64_t number)
{
	void *chunk = mempool_alloc(publisher, size);

	ck_assert_ptr_nonnull(chunk);
	write_number(chunk, number);
	ck_assert_int_eq(mempool_topic_publish(topic, chunk, sizeof(number)), 0);
	return chunk;
}

/* So many into a topic, numbered from 0 on. */
static void publish(const char *name, uint64_t n)
{
	struct mempool_topic *topic = open_topic(publisher, name);

	for (uint64_t i = 0; i < n; i++)
		publish_of(topic, SMALL, i);
	mempool_topic_close(topic);
}

static struct mempool_topic_counts counts_of(const char *name)
{
	struct mempool_topic *topic = open_topic(other, name);
	struct mempool_topic_counts counts;

	ck_assert_int_eq(mempool_topic_info(topic, &counts), 0);
	mempool_topic_close(topic);
	return counts;
}

static struct mempool_subscriber *subscribe(const char *name, enum mempool_topic_start start)
{
	struct mempool_topic *topic = open_topic(other, name);
	struct mempool_subscriber *subscriber;

	ck_assert_int_eq(mempool_topic_subscribe(topic, start, &subscriber), 0);
	mempool_topic_close(topic);
	return subscriber;
}

/* The number of the message that a subscriber is told next. */
static uint64_t must_read(struct mempool_subscriber *subscriber, uint64_t n_missed)
{
	const void *chunk;
	uint64_t missed, number;

	ck_assert_int_eq(mempool_subscriber_next(subscriber, &chunk, NULL, &missed, 0), 0);
	ck_assert_uint_eq(missed, n_missed);
	number = read_number(chunk);
	ck_assert_int_eq(mempool_free(other, chunk), 0);
	return number;
}

static void must_be_exhausted(size_t size)
{
	errno = 0;
	ck_assert_ptr_null(mempool_alloc(other, size));
	ck_assert_int_eq(errno, EAGAIN);
}

/* All that can be had, into chunks. */
static uint32_t take_all(void **chunks, uint32_t n, size_t size)
{
	uint32_t n_taken = 0;

	while (n_taken < n && (chunks[n_taken] = mempool_alloc(other, size)))
		n_taken++;
	return n_taken;
}

static void free_all(void **chunks, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		ck_assert_int_eq(mempool_free(other, chunks[i]), 0);
}

/* ---- what yields ---- */

START_TEST(test_yield_topic_larger_than_its_pool_drops_nothing)
{
	enum { N = 300 };
	struct mempool_subscriber *subscriber = subscribe("a", MEMPOOL_TOPIC_OLDEST);
	struct mempool_topic_counts counts;

	publish("a", N);
	counts = counts_of("a");
	ck_assert_uint_eq(counts.published, N);
	ck_assert_uint_eq(counts.length, N_SMALL);
	ck_assert_uint_eq(counts.yielded, N - N_SMALL);
	for (uint64_t i = N - N_SMALL; i < N; i++)
		ck_assert_uint_eq(must_read(subscriber, i == N - N_SMALL ? i : 0), i);
	mempool_subscriber_close(subscriber);
}
END_TEST

START_TEST(test_yield_held_history_stays)
{
	void *chunk;

	publish("held", N_SMALL);
	ck_assert_ptr_null(mempool_alloc(publisher, SMALL));
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_uint_eq(counts_of("held").length, N_SMALL);
	ck_assert_uint_eq(counts_of("held").yielded, 0);
	chunk = mempool_alloc(other, SMALL);
	ck_assert_ptr_null(chunk);
}
END_TEST

/* A greedy client takes all that it can get: what is latched survives. */
START_TEST(test_yield_newest_message_stays)
{
	static const char *const names[] = { "a", "b", "last" };
	void *chunks[N_SMALL];
	uint32_t n;

	publish("a", 10);
	publish("b", 1);
	publish("last", 5);
	n = take_all(chunks, N_SMALL, SMALL);
	ck_assert_uint_eq(n, N_SMALL - ARRAY_SIZE(names));
	for (int i = 0; i < 1000; i++)
		must_be_exhausted(SMALL);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		ck_assert_uint_eq(counts_of(names[i]).length, 1);
	free_all(chunks, n);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct mempool_subscriber *subscriber = subscribe(names[i], MEMPOOL_TOPIC_OLDEST);
		struct mempool_topic_counts counts = counts_of(names[i]);
		uint64_t n_missed = counts.capacity > 1 ? counts.published - 1 : 0;

		ck_assert_uint_eq(must_read(subscriber, n_missed), counts.published - 1);
		mempool_subscriber_close(subscriber);
	}
}
END_TEST

START_TEST(test_yield_furthest_behind_goes_first)
{
	void *chunks[N_SMALL];

	publish("b", 4);
	publish("a", N_SMALL - 4);
	/* Those of a are further behind, as long as it keeps more. */
	for (uint32_t i = 0; i < N_SMALL - 8; i++) {
		chunks[i] = mempool_alloc(other, SMALL);
		ck_assert_ptr_nonnull(chunks[i]);
		ck_assert_uint_eq(counts_of("a").length, N_SMALL - 5 - i);
		ck_assert_uint_eq(counts_of("b").length, 4);
	}
	ck_assert_uint_eq(take_all(&chunks[N_SMALL - 8], 8, SMALL), 6);
	free_all(chunks, N_SMALL - 2);
}
END_TEST

START_TEST(test_yield_missed_counts_it)
{
	struct mempool_subscriber *subscriber = subscribe("a", MEMPOOL_TOPIC_NEW);
	void *chunks[10];

	publish("a", N_SMALL);
	ck_assert_uint_eq(must_read(subscriber, 0), 0);
	ck_assert_uint_eq(must_read(subscriber, 0), 1);
	ck_assert_uint_eq(take_all(chunks, 10, SMALL), 10);
	ck_assert_uint_eq(must_read(subscriber, 8), 10);
	free_all(chunks, 10);
	mempool_subscriber_close(subscriber);
}
END_TEST

/* One that a subscriber holds is passed over, and may be had when it lets go. */
START_TEST(test_yield_not_while_a_subscriber_holds_it)
{
	struct mempool_subscriber *subscriber = subscribe("a", MEMPOOL_TOPIC_OLDEST);
	void *chunks[N_SMALL], *chunk;
	const void *held[2];
	uint32_t n;

	publish("a", N_SMALL);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(mempool_subscriber_next(subscriber, &held[i], NULL, NULL, 0), 0);
	n = take_all(chunks, N_SMALL, SMALL);
	ck_assert_uint_eq(n, N_SMALL - 3);
	must_be_exhausted(SMALL);
	ck_assert_uint_eq(read_number(held[0]), 0);
	ck_assert_uint_eq(read_number(held[1]), 1);

	ck_assert_int_eq(mempool_free(other, held[1]), 0);
	chunk = mempool_alloc(other, SMALL);
	ck_assert_ptr_eq(chunk, held[1]);
	must_be_exhausted(SMALL);
	ck_assert_int_eq(mempool_free(other, held[0]), 0);
	ck_assert_int_eq(mempool_free(other, chunk), 0);
	free_all(chunks, n);
	mempool_subscriber_close(subscriber);
}
END_TEST

/* A message that was published makes the one before yield. */
START_TEST(test_yield_when_the_next_is_published)
{
	struct mempool_topic *topic = open_topic(publisher, "a");
	void *chunks[N_SMALL], *first = publish_of(topic, SMALL, 0);
	void *next = mempool_alloc(publisher, SMALL), *got;
	uint32_t n = take_all(chunks, N_SMALL, SMALL);

	ck_assert_uint_eq(n, N_SMALL - 2);
	must_be_exhausted(SMALL);
	ck_assert_int_eq(mempool_topic_publish(topic, next, 8), 0);
	got = mempool_alloc(other, SMALL);
	ck_assert_ptr_eq(got, first);
	must_be_exhausted(SMALL);
	ck_assert_int_eq(mempool_free(other, got), 0);
	free_all(chunks, n);
	mempool_topic_close(topic);
}
END_TEST

/* A chunk of one is the caller's as any other: written, freed, sent, published. */
START_TEST(test_yield_chunk_is_as_any_other)
{
	struct mempool_topic *topic = open_topic(other, "b");
	uint32_t tag;
	void *chunk;

	publish("a", N_SMALL);
	chunk = mempool_alloc_zeroed(other, SMALL);
	ck_assert_ptr_nonnull(chunk);
	ck_assert_int_eq(mempool_chunk_tag(other, chunk, &tag), 0);
	ck_assert_uint_eq(tag, 0);
	ck_assert_int_eq(mempool_chunk_is_exclusive(other, chunk), 1);
	ck_assert_int_eq(mempool_free(publisher, chunk), -EPERM);
	ck_assert_int_eq(mempool_topic_publish(topic, chunk, SMALL), 0);
	ck_assert_int_eq(mempool_free(other, chunk), -EPERM);
	mempool_topic_close(topic);
}
END_TEST

/* What is held in the end is counted: a close finds nothing more, and nothing less. */
START_TEST(test_yield_close_frees_what_is_held)
{
	publish("a", N_SMALL);
	for (int i = 0; i < 5; i++)
		ck_assert_ptr_nonnull(mempool_alloc(other, SMALL));
	ck_assert_int_eq(mempool_client_close(other), 5);
	ck_assert_uint_eq(test_segment_used(segment, 0), N_SMALL - 5);
	ck_assert_int_eq(client_new(test_segment_view(segment), holder_first_client(segment) + 1, 0,
				    &clients[1]), 0);
}
END_TEST

START_TEST(test_yield_many_all_and_aligned)
{
	void *chunks[N_SMALL];

	publish("a", N_SMALL);
	ck_assert_int_eq(mempool_alloc_many(other, SMALL, chunks, 7), 7);
	ck_assert_int_eq(mempool_alloc_all(other, SMALL, &chunks[7], 8), 0);
	chunks[15] = mempool_alloc_aligned(other, SMALL, SMALL);
	ck_assert_ptr_nonnull(chunks[15]);
	ck_assert_uint_eq(counts_of("a").length, N_SMALL - 16);
	/* All or none: none, and what has yielded is free. */
	ck_assert_int_eq(mempool_alloc_all(other, SMALL, &chunks[16], 8), -EAGAIN);
	ck_assert_uint_eq(counts_of("a").length, 1);
	ck_assert_int_eq(mempool_alloc_all(other, SMALL, &chunks[16], 7), 0);
	free_all(chunks, 23);
}
END_TEST

/* ---- in which order ---- */

static void must_use(uint32_t n_small, uint32_t n_large)
{
	ck_assert_uint_eq(test_segment_used(segment, 0), n_small);
	ck_assert_uint_eq(test_segment_used(segment, 1), n_large);
}

/* First what is free, in larger pools, too; then what is kept in the fitting one; then in those. */
START_TEST(test_yield_after_the_fallback)
{
	struct mempool_topic *topic = open_topic(publisher, "a");
	void *chunks[N_SMALL + N_LARGE];
	uint32_t n = 0;

	for (uint64_t i = 0; i < 4; i++)
		publish_of(topic, LARGE, i);
	for (uint64_t i = 4; i < 4 + N_SMALL; i++)
		publish_of(topic, SMALL, i);
	must_use(N_SMALL, 4);
	n += take_all(&chunks[n], 2, SMALL);
	must_use(N_SMALL, N_LARGE);
	ck_assert_uint_eq(counts_of("a").yielded, 0);
	n += take_all(&chunks[n], N_SMALL - 1, SMALL);
	ck_assert_uint_eq(n, N_SMALL + 1);
	ck_assert_uint_eq(counts_of("a").length, 5);
	for (uint32_t i = 2; i < n; i++)
		ck_assert_int_eq(mempool_usable_size(other, chunks[i]), SMALL);
	n += take_all(&chunks[n], 5, SMALL);
	ck_assert_uint_eq(n, N_SMALL + N_LARGE - 1);
	ck_assert_int_eq(mempool_usable_size(other, chunks[n - 1]), LARGE);
	must_be_exhausted(SMALL);
	free_all(chunks, n);
	mempool_topic_close(topic);
}
END_TEST

/* What does not fit stays. */
START_TEST(test_yield_only_what_fits)
{
	void *chunks[N_LARGE];

	publish("a", N_SMALL);
	ck_assert_uint_eq(take_all(chunks, N_LARGE, LARGE), N_LARGE);
	must_be_exhausted(LARGE);
	ck_assert_uint_eq(counts_of("a").length, N_SMALL);
	free_all(chunks, N_LARGE);
}
END_TEST

START_TEST(test_yield_without_fallback_of_its_own_pool)
{
	struct mempool_topic *topic = open_topic(publisher, "a");
	void *chunks[N_SMALL];
	uint32_t n;

	for (uint64_t i = 0; i < N_LARGE; i++)
		publish_of(topic, LARGE, i);
	publish_of(topic, SMALL, N_LARGE);
	publish_of(topic, SMALL, N_LARGE + 1);
	n = take_all(chunks, N_SMALL, SMALL);
	ck_assert_uint_eq(n, N_SMALL - 1);
	must_use(N_SMALL, N_LARGE);
	free_all(chunks, n);
	mempool_topic_close(topic);
}
END_TEST

/* ---- who waits, and who has died ---- */

static void *wait_for_chunk(void *unused)
{
	(void)unused;
	return mempool_alloc_wait(other, SMALL, -1);
}

/* Until it has said that it sleeps; and a while, to really do so. */
static void wait_until_asleep(void)
{
	const struct timespec pause = { .tv_nsec = 20 * MS };

	do
		nanosleep(&pause, NULL);
	while (!(atomic_load(&segment->header->chunk_freed.armed) & 1));
}

static void *must_wake(pthread_t thread)
{
	void *chunk;

	ck_assert_int_eq(pthread_join(thread, &chunk), 0);
	ck_assert_ptr_nonnull(chunk);
	return chunk;
}

/* How a message may come to yield while somebody sleeps. */
enum { DROPPED, PUBLISHED, REAPED, N_WAYS };

START_TEST(test_yield_wakes_who_waits)
{
	struct mempool_topic *topic = open_topic(publisher, "a"), *mine = open_topic(publisher, "a");
	struct mempool_subscriber *subscriber;
	void *chunks[N_SMALL], *first = publish_of(topic, SMALL, 0), *chunk;
	void *next = mempool_alloc(publisher, SMALL);
	const void *held = NULL;
	pthread_t thread;
	uint32_t n;

	ck_assert_int_eq(mempool_topic_subscribe(mine, MEMPOOL_TOPIC_OLDEST, &subscriber), 0);
	if (_i != PUBLISHED) {
		ck_assert_int_eq(mempool_subscriber_next(subscriber, &held, NULL, NULL, 0), 0);
		ck_assert_int_eq(mempool_topic_publish(topic, next, 8), 0);
	}
	n = take_all(chunks, N_SMALL, SMALL);
	ck_assert_uint_eq(n, N_SMALL - 2);
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_chunk, NULL), 0);
	wait_until_asleep();
	if (_i == DROPPED)
		ck_assert_int_eq(mempool_free(publisher, held), 0);
	else if (_i == PUBLISHED)
		ck_assert_int_eq(mempool_topic_publish(topic, next, 8), 0);
	else
		ck_assert_int_ge(reap_holder(segment, publisher->holder), 0);
	chunk = must_wake(thread);
	ck_assert_ptr_eq(chunk, first);
	ck_assert_int_eq(mempool_free(other, chunk), 0);
	free_all(chunks, n);
	mempool_subscriber_close(subscriber);
	mempool_topic_close(topic);
	mempool_topic_close(mine);
}
END_TEST

/* Who remembers that there was nothing is told by the reaper, too. */
START_TEST(test_yield_after_the_reaper)
{
	struct mempool_subscriber *subscriber = subscribe("a", MEMPOOL_TOPIC_OLDEST);
	const void *held;
	void *chunks[N_SMALL], *chunk;
	uint32_t n = 0;

	publish("a", N_SMALL);
	ck_assert_int_eq(mempool_subscriber_next(subscriber, &held, NULL, NULL, 0), 0);
	while (n < N_SMALL && (chunks[n] = mempool_alloc(publisher, SMALL)))
		n++;
	ck_assert_uint_eq(n, N_SMALL - 2);
	ck_assert_ptr_null(mempool_alloc(publisher, SMALL));
	ck_assert_int_ge(reap_holder(segment, other->holder), 0);
	chunk = mempool_alloc(publisher, SMALL);
	ck_assert_ptr_eq(chunk, held);
	mempool_subscriber_close(subscriber);
}
END_TEST

/* Whoever has looked and found none looks no more until something moves. */
START_TEST(test_yield_failures_remember)
{
	struct mempool_subscriber *subscriber = subscribe("a", MEMPOOL_TOPIC_OLDEST);
	void *chunks[N_SMALL];
	uint64_t word;
	uint32_t n;

	publish("a", 1);
	n = take_all(chunks, N_SMALL, SMALL);
	must_be_exhausted(SMALL);
	word = history_word(segment);
	ck_assert_uint_ne(word & HISTORY_DRY, 0);
	for (int i = 0; i < 1000; i++)
		must_be_exhausted(SMALL);
	ck_assert_uint_eq(history_word(segment), word);
	free_all(chunks, n);
	/* To read the newest makes nothing yield. */
	n = take_all(chunks, N_SMALL, SMALL);
	must_be_exhausted(SMALL);
	word = history_word(segment);
	ck_assert_uint_eq(must_read(subscriber, 0), 0);
	ck_assert_uint_eq(history_word(segment), word);
	mempool_subscriber_close(subscriber);
	free_all(chunks, n);
}
END_TEST

/* What a hostile client may have written: it ends, and gives no chunk to two. */
START_TEST(test_yield_garbage_ends)
{
	struct topic topic = view_of("a");
	struct mempool_entry *manager;
	uint64_t slot;
	void *chunk;

	publish("a", N_SMALL);
	slot = atomic_load(&topic.slots[0]);
	switch (_i) {
	case 0:		/* no manager */
		atomic_store(&topic.slots[0], slot | UINT32_MAX >> 1);
		break;
	case 1:		/* a position of nowhere */
		manager = segment_manager(segment, (uint32_t)slot);
		atomic_store(&manager->position, 12345);
		break;
	case 2:		/* a manager that is free */
		atomic_store(&segment->pools[segment->n_pools].entries[(uint32_t)slot].word,
			     UINT64_C(7) << 32);
		break;
	default:	/* a tail of some other time */
		atomic_store(&topic.ring->tail, UINT64_MAX / 2);
	}
	chunk = mempool_alloc(other, SMALL);
	if (chunk)
		ck_assert_int_eq(mempool_free(other, chunk), 0);
	while ((chunk = mempool_alloc(other, SMALL)))
		;
	ck_assert_int_eq(errno, EAGAIN);
}
END_TEST

static void close_all(void)
{
	for (uint32_t i = 0; i < N_CLIENTS; i++)
		mempool_client_close(clients[i]);
	segment_free(segment);
}

/* ---- all at once ---- */

enum { N_TURNS = 3000 };

/* Publishes, never refused for long: the others hold a few chunks. */
static void *publish_on(void *userdata)
{
	struct mempool_client *client = userdata;
	struct mempool_topic *topic = open_topic(client, "a");

	for (uint64_t i = 0; i < N_TURNS; i++) {
		void *chunk = mempool_alloc_wait(client, SMALL, -1);

		ck_assert_ptr_nonnull(chunk);
		write_number(chunk, i);
		ck_assert_int_eq(mempool_topic_publish(topic, chunk, 8), 0);
	}
	mempool_topic_close(topic);
	return NULL;
}

static void *take_on(void *userdata)
{
	struct mempool_client *client = userdata;

	for (int i = 0; i < N_TURNS; i++) {
		void *chunk = mempool_alloc_wait(client, SMALL, -1);

		ck_assert_ptr_nonnull(chunk);
		write_number(chunk, (uintptr_t)&chunk);
		ck_assert_uint_eq(read_number(chunk), (uintptr_t)&chunk);
		ck_assert_int_eq(mempool_free(client, chunk), 0);
	}
	return NULL;
}

/* Messages come in order, and all are read or missed. */
static void *read_on(void *userdata)
{
	struct mempool_subscriber *subscriber = userdata;
	uint64_t n = 0, next = 0;

	while (n < N_TURNS) {
		const void *chunk;
		uint64_t missed;

		ck_assert_int_eq(mempool_subscriber_next(subscriber, &chunk, NULL, &missed, -1), 0);
		n += 1 + missed;
		next += missed;
		ck_assert_uint_eq(read_number(chunk), next);
		next++;
		ck_assert_int_eq(mempool_free(other, chunk), 0);
	}
	ck_assert_uint_eq(n, N_TURNS);
	return NULL;
}

START_TEST(test_yield_threads)
{
	void *(*const run[])(void *) = { publish_on, take_on, take_on, read_on };
	struct mempool_subscriber *subscriber = subscribe("a", MEMPOOL_TOPIC_NEW);
	void *const with[] = { publisher, publisher, other, subscriber };
	pthread_t threads[ARRAY_SIZE(run)];

	for (size_t i = 0; i < ARRAY_SIZE(run); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, run[i], with[i]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(run); i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	mempool_subscriber_close(subscriber);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_yield_topic_larger_than_its_pool_drops_nothing);
	tcase_add_test(tcase, test_yield_held_history_stays);
	tcase_add_test(tcase, test_yield_newest_message_stays);
	tcase_add_test(tcase, test_yield_furthest_behind_goes_first);
	tcase_add_test(tcase, test_yield_missed_counts_it);
	tcase_add_test(tcase, test_yield_not_while_a_subscriber_holds_it);
	tcase_add_test(tcase, test_yield_when_the_next_is_published);
	tcase_add_test(tcase, test_yield_chunk_is_as_any_other);
	tcase_add_test(tcase, test_yield_close_frees_what_is_held);
	tcase_add_test(tcase, test_yield_many_all_and_aligned);
	tcase_add_loop_test(tcase, test_yield_wakes_who_waits, 0, N_WAYS);
	tcase_add_test(tcase, test_yield_after_the_reaper);
	tcase_add_test(tcase, test_yield_failures_remember);
	tcase_add_test(tcase, test_yield_threads);
}

static void add_tests_of_larger(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup_larger, teardown);
	tcase_add_test(tcase, test_yield_after_the_fallback);
	tcase_add_test(tcase, test_yield_only_what_fits);
}

static void add_tests_without_fallback(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup_no_fallback, teardown);
	tcase_add_test(tcase, test_yield_without_fallback_of_its_own_pool);
}

static void add_tests_of_garbage(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, close_all);
	tcase_add_loop_test(tcase, test_yield_garbage_ends, 0, 4);
}

int main(void)
{
	int r = test_run("yield", add_tests);

	r |= test_run("yield, with larger chunks", add_tests_of_larger);
	r |= test_run("yield, without fallback", add_tests_without_fallback);
	return r | test_run("yield, of garbage", add_tests_of_garbage);
}
