/* SPDX-License-Identifier: MIT */
/* test-bound.c - a client holds no more than it may, and is refused nothing that it may
 * have */
#include "test_clients.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "client/bound.h"

enum { STRIDE = 128, LARGE_STRIDE = 1024, N_CHUNKS = 200, FIRST = TEST_HOLDER + 1 };

static struct mempool_queue *to,
	*from; /* of the other client, which has no bound; of ours */

static void set_up(void)
{
	static const struct test_pool of[] = {
		{.chunk_size = 100, .n_chunks = N_CHUNKS},
		{.chunk_size = 1000, .n_chunks = 20},
	};
	struct config config;

	test_config_init(&config, of, ARRAY_SIZE(of));
	ck_assert_int_eq(config_append_ring(&config, "q", MEMPOOL_RING_QUEUE, 4), 0);
	ck_assert_int_eq(config_append_ring(&config, "t", MEMPOOL_RING_TOPIC, 4), 0);
	segment = test_segment_new_of(&config);
	config_deinit(&config);
	other = client_of(segment, FIRST + 1, 0);
	ck_assert_int_eq(mempool_queue_open(other, "q", &to), 0);
}

static void tear_down(void)
{
	mempool_queue_close(from);
	mempool_queue_close(to);
	mempool_client_close(client);
	mempool_client_close(other);
	segment_free(segment);
}

static void open_bounded(uint64_t max_chunks, uint64_t max_bytes)
{
	client = client_of(segment, FIRST, 0);
	bound_init(client, &(struct holder_bound){max_chunks, max_bytes});
	ck_assert_int_eq(mempool_queue_open(client, "q", &from), 0);
}

static void alloc_n(void **chunks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		chunks[i] = must_alloc(client, 100);
}

static void must_free(struct mempool_client *by, const void *chunk)
{
	ck_assert_int_eq(mempool_free(by, chunk), 0);
}

/* So many can be had, and no more; of a client that has nothing at the end again. */
static void assert_room(size_t n)
{
	void *chunks[N_CHUNKS];

	alloc_n(chunks, n);
	assert_no_chunk(client, 100, EDQUOT);
	for (size_t i = 0; i < n; i++)
		must_free(client, chunks[i]);
}

/* ---- alloc and free ---- */

START_TEST(test_bound_of_chunks_is_exact)
{
	void *chunks[3];

	open_bounded(3, 0);
	for (int i = 0; i < 100; i++) {
		alloc_n(chunks, 3);
		assert_no_chunk(client, 100, EDQUOT);
		assert_no_chunk(client, 1000, EDQUOT);
		must_free(client, chunks[i % 3]);
		chunks[i % 3] = must_alloc(client, 1000);
		assert_no_chunk(client, 100, EDQUOT);
		for (int j = 0; j < 3; j++)
			must_free(client, chunks[j]);
	}
	/* A free that fails gives no credit. */
	ck_assert_int_eq(mempool_free(client, chunks[0]), -EPERM);
	assert_room(3);
}
END_TEST

START_TEST(test_bound_of_bytes_counts_strides)
{
	void *large;

	open_bounded(0, LARGE_STRIDE + 2 * STRIDE + 1);
	large = must_alloc(client, 1000);
	assert_no_chunk(client, 1000, EDQUOT);
	assert_room(2);
	must_free(client, large);
	assert_room((LARGE_STRIDE + 2 * STRIDE) / STRIDE);
}
END_TEST

START_TEST(test_bound_that_a_larger_chunk_exceeds_eagain)
{
	open_bounded(0, 4 * STRIDE);
	for (int i = 0; i < N_CHUNKS; i++)
		must_alloc(other, 100);
	/* One that fits could be had, if there were one. */
	assert_no_chunk(client, 100, EAGAIN);
	/* None of these. */
	assert_no_chunk(client, 1000, EDQUOT);
}
END_TEST

START_TEST(test_bound_many_gets_what_there_is)
{
	void *chunks[10];

	open_bounded(6, 0);
	ck_assert_int_eq(mempool_alloc_all(client, 100, chunks, 7), -EDQUOT);
	ck_assert_uint_eq(test_segment_used(segment, 0), 0);
	ck_assert_int_eq(mempool_alloc_all(client, 100, chunks, 6), 0);
	ck_assert_int_eq(mempool_alloc_many(client, 100, chunks + 6, 4), -EDQUOT);
	ck_assert_int_eq(mempool_free_many(client, chunks, 6), 6);
	ck_assert_int_eq(mempool_alloc_many(client, 100, chunks, 10), 6);
	ck_assert_int_eq(mempool_free_many(client, chunks, 6), 6);
	assert_room(6);
}
END_TEST

START_TEST(test_bound_wait_is_refused_at_once)
{
	open_bounded(1, 0);
	must_alloc(client, 100);
	errno = 0;
	ck_assert_ptr_null(mempool_alloc_wait(client, 100, -1));
	ck_assert_int_eq(errno, EDQUOT);
	ck_assert_ptr_null(mempool_alloc_zeroed(client, 100));
	ck_assert_ptr_null(mempool_alloc_aligned(client, 100, 64));
	ck_assert_int_eq(errno, EDQUOT);
}
END_TEST

/* ---- queues ---- */

static void *message(struct mempool_client *by, size_t size, char stamp)
{
	return memset(must_alloc(by, size), stamp, size);
}

START_TEST(test_bound_receive_refused_loses_nothing)
{
	void *chunk, *got[4];
	size_t lengths[4];

	open_bounded(2, LARGE_STRIDE + STRIDE);
	for (char stamp = 'a'; stamp < 'd'; stamp++)
		ck_assert_int_eq(mempool_queue_send(
					 to,
					 message(other, stamp == 'b' ? 1000 : 100, stamp),
					 1, 0),
				 0);
	chunk = must_alloc(client, 100);
	ck_assert_int_eq(mempool_queue_receive(from, &got[0], NULL, -1), 0);
	ck_assert_int_eq(*(char *)got[0], 'a');
	/* Neither now nor later, whatever the timeout. */
	ck_assert_int_eq(mempool_queue_receive(from, &got[1], NULL, -1), -EDQUOT);
	must_free(client, chunk);
	chunk = NULL;
	/* All that it may have is as much as the next one takes. */
	ck_assert_int_eq(mempool_queue_receive_many(from, &got[1], lengths, 3, -1), 1);
	ck_assert_int_eq(*(char *)got[1], 'b');
	ck_assert_int_eq(mempool_queue_receive_many(from, &got[2], lengths, 3, 0),
			 -EDQUOT);
	must_free(client, got[0]);
	ck_assert_int_eq(mempool_queue_receive(from, &got[2], NULL, 0), 0);
	ck_assert_int_eq(*(char *)got[2], 'c');
	must_free(client, got[1]);
	/* Nothing there is told as ever. */
	ck_assert_int_eq(mempool_queue_receive(from, &got[0], NULL, 0), -EAGAIN);
	must_free(client, got[2]);
	assert_room(2);
}
END_TEST

START_TEST(test_bound_send_gives_credit)
{
	void *chunks[2], *got;
	const size_t lengths[2] = {1, 1};

	open_bounded(2, 0);
	for (int i = 0; i < 50; i++) {
		alloc_n(chunks, 2);
		ck_assert_int_eq(mempool_queue_send_many(from, chunks, lengths, 2, 0), 2);
		alloc_n(chunks, 2);
		ck_assert_int_eq(mempool_queue_send(from, chunks[0], 1, 0), 0);
		ck_assert_int_eq(mempool_queue_send(from, chunks[1], 1, 0), 0);
		/* Full: it has it still, and that counts. */
		alloc_n(chunks, 2);
		ck_assert_int_eq(mempool_queue_send(from, chunks[0], 1, 0), -EAGAIN);
		assert_no_chunk(client, 100, EDQUOT);
		must_free(client, chunks[0]);
		must_free(client, chunks[1]);
		for (int j = 0; j < 4; j++) {
			ck_assert_int_eq(mempool_queue_receive(to, &got, NULL, 0), 0);
			must_free(other, got);
		}
	}
	assert_room(2);
}
END_TEST

START_TEST(test_bound_evict_needs_room_for_two)
{
	void *chunk, *another, *oldest;
	size_t length;

	open_bounded(2, 0);
	for (char stamp = 'a'; stamp < 'e'; stamp++)
		ck_assert_int_eq(mempool_queue_send(to, message(other, 100, stamp), 1, 0),
				 0);
	chunk = message(client, 100, 'e');
	another = must_alloc(client, 100);
	ck_assert_int_eq(mempool_queue_send_evict(from, chunk, 1, &oldest, &length),
			 -EDQUOT);
	ck_assert_ptr_null(oldest);
	must_free(client, another);
	ck_assert_int_eq(mempool_queue_send_evict(from, chunk, 1, &oldest, &length), 0);
	ck_assert_int_eq(*(char *)oldest, 'a');
	must_free(client, oldest);
	for (char stamp = 'b'; stamp < 'f'; stamp++) {
		ck_assert_int_eq(mempool_queue_receive(to, &chunk, NULL, 0), 0);
		ck_assert_int_eq(*(char *)chunk, stamp);
		must_free(other, chunk);
	}
	assert_room(2);
}
END_TEST

/* ---- by handle ---- */

static uint64_t give(struct mempool_client *by, void *chunk)
{
	uint64_t handle;

	ck_assert_int_eq(mempool_give(by, chunk, 1, &handle), 0);
	return handle;
}

START_TEST(test_bound_given_counts_until_it_is_taken)
{
	void *got, *second;
	uint64_t handle;

	open_bounded(1, 0);
	for (int i = 0; i < 100; i++) {
		handle = give(client, must_alloc(client, 100));
		assert_no_chunk(client, 100, EDQUOT);
		ck_assert_int_eq(mempool_take(other, handle, &got, NULL), 0);
		second = must_alloc(client, 100);
		assert_no_chunk(client, 100, EDQUOT);
		must_free(client, second);
		must_free(other, got);
	}
}
END_TEST

START_TEST(test_bound_takes_back_what_it_gave)
{
	void *chunk;

	open_bounded(1, 0);
	for (int i = 0; i < 100; i++) {
		uint64_t handle = give(client, must_alloc(client, 100));

		/* At the bound, and counted once. */
		ck_assert_int_eq(mempool_take(client, handle, &chunk, NULL), 0);
		ck_assert_int_eq(mempool_take(client, handle, &chunk, NULL), -ESTALE);
		assert_no_chunk(client, 100, EDQUOT);
		must_free(client, chunk);
	}
	assert_room(1);
}
END_TEST

START_TEST(test_bound_take_refused_loses_nothing)
{
	uint64_t handle;
	void *mine, *got;

	open_bounded(1, 0);
	mine = must_alloc(client, 100);
	handle = give(other, must_alloc(other, 100));
	ck_assert_int_eq(mempool_take(client, handle, &got, NULL), -EDQUOT);
	must_free(client, mine);
	ck_assert_int_eq(mempool_take(client, handle, &got, NULL), 0);
	ck_assert_int_eq(mempool_take(client, handle, &mine, NULL), -ESTALE);
	must_free(client, got);
	assert_room(1);
}
END_TEST

START_TEST(test_bound_many_given_are_all_noted)
{
	uint64_t handles[N_CHUNKS / 2];
	void *got;

	open_bounded(N_CHUNKS / 2, 0);
	for (size_t round = 0; round < 3; round++) {
		for (size_t i = 0; i < N_CHUNKS / 2; i++)
			handles[i] = give(client, must_alloc(client, 100));
		assert_no_chunk(client, 100, EDQUOT);
		for (size_t i = 0; i < N_CHUNKS / 2; i++) {
			struct mempool_client *by = i % 3 == round ? client : other;

			ck_assert_int_eq(mempool_take(by, handles[i], &got, NULL), 0);
			must_free(by, got);
		}
	}
	assert_room(N_CHUNKS / 2);
}
END_TEST

/* ---- shared ---- */

START_TEST(test_bound_each_hold_counts)
{
	const void *shared, *again;
	uint64_t handle, late;
	void *chunk, *mine;

	open_bounded(2, 0);
	chunk = must_alloc(other, 100);
	ck_assert_int_eq(mempool_share(other, chunk, 1, &handle), 0);
	ck_assert_int_eq(mempool_acquire(client, handle, &shared, NULL), 0);
	ck_assert_int_eq(mempool_acquire(client, handle, &again, NULL), 0);
	ck_assert_int_eq(mempool_acquire(client, handle, &again, NULL), -EDQUOT);
	must_free(client, shared);
	must_free(client, again);
	must_free(other, chunk);
	/* To share one's own is no hold more; nor to have it alone again. */
	mine = must_alloc(client, 100);
	ck_assert_int_eq(mempool_share(client, mine, 1, &late), 0);
	ck_assert_int_eq(mempool_share(client, mine, 1, &late), 0);
	ck_assert_int_eq(mempool_acquire(client, late, &again, NULL), 0);
	assert_no_chunk(client, 100, EDQUOT);
	/* What is too late is so at the bound, too. */
	ck_assert_int_eq(mempool_acquire(client, handle, &shared, NULL), -ESTALE);
	must_free(client, again);
	ck_assert_int_eq(mempool_unshare(client, mine, &chunk), 0);
	must_free(client, chunk);
	assert_room(2);
}
END_TEST

START_TEST(test_bound_publish_needs_no_room)
{
	struct mempool_topic *topic;

	open_bounded(1, 0);
	ck_assert_int_eq(mempool_topic_open(client, "t", &topic), 0);
	/* Four are kept, and held by the topic. */
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(mempool_topic_publish(topic, must_alloc(client, 100), 1),
				 0);
	ck_assert_uint_eq(test_segment_used(segment, 0), 4);
	assert_room(1);
	mempool_topic_close(topic);
}
END_TEST

static void publish(struct mempool_client *by, char stamp)
{
	struct mempool_topic *topic;

	ck_assert_int_eq(mempool_topic_open(by, "t", &topic), 0);
	ck_assert_int_eq(mempool_topic_publish(topic, message(by, 100, stamp), 1), 0);
	mempool_topic_close(topic);
}

START_TEST(test_bound_next_refused_loses_nothing)
{
	static const struct mempool_subscribe_options others = {
		.size = sizeof(others),
		.flags = MEMPOOL_SUBSCRIBE_OTHERS,
	};
	struct mempool_subscriber *subscriber;
	struct mempool_topic *topic;
	const void *chunk, *second;
	uint64_t n_missed;
	void *mine;

	open_bounded(1, 0);
	ck_assert_int_eq(mempool_topic_open(client, "t", &topic), 0);
	ck_assert_int_eq(mempool_topic_subscribe_with(topic, &others, &subscriber), 0);
	publish(other, 'a');
	publish(client, 'x');
	publish(other, 'b');
	ck_assert_int_eq(mempool_subscriber_next(subscriber, &chunk, NULL, &n_missed, -1),
			 0);
	ck_assert_int_eq(*(const char *)chunk, 'a');
	ck_assert_int_eq(mempool_subscriber_next(subscriber, &second, NULL, NULL, -1),
			 -EDQUOT);
	must_free(client, chunk);
	mine = must_alloc(client, 100);
	ck_assert_int_eq(mempool_subscriber_next(subscriber, &second, NULL, NULL, 0),
			 -EDQUOT);
	must_free(client, mine);
	/* What it passes over, its own, is not held. */
	ck_assert_int_eq(mempool_subscriber_next(subscriber, &second, NULL, &n_missed, 0),
			 0);
	ck_assert_int_eq(*(const char *)second, 'b');
	ck_assert_uint_eq(n_missed, 0);
	must_free(client, second);
	ck_assert_int_eq(mempool_subscriber_next(subscriber, &second, NULL, NULL, 0),
			 -EAGAIN);
	assert_room(1);
	mempool_subscriber_close(subscriber);
	mempool_topic_close(topic);
}
END_TEST

/* ---- threads ---- */

static void run(void *(*start)(void *), void *argument)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, start, argument), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

static void *alloc_two(void *chunks)
{
	alloc_n(chunks, 2);
	return NULL;
}

static void *free_two(void *chunks)
{
	must_free(client, ((void **)chunks)[0]);
	must_free(client, ((void **)chunks)[1]);
	return NULL;
}

static void *give_one(void *handle)
{
	*(uint64_t *)handle = give(client, must_alloc(client, 100));
	return NULL;
}

START_TEST(test_bound_is_that_of_all_threads)
{
	void *chunks[2], *got;
	uint64_t handle;

	open_bounded(2, 0);
	for (int i = 0; i < 20; i++) {
		run(alloc_two, chunks);
		assert_no_chunk(client, 100, EDQUOT);
		run(free_two, chunks);
		alloc_n(chunks, 2);
		run(free_two, chunks);
		/* What an ended thread gave is noted. */
		run(give_one, &handle);
		chunks[0] = must_alloc(client, 100);
		assert_no_chunk(client, 100, EDQUOT);
		ck_assert_int_eq(mempool_take(i % 2 ? client : other, handle, &got, NULL),
				 0);
		must_free(i % 2 ? client : other, got);
		must_free(client, chunks[0]);
	}
	assert_room(2);
}
END_TEST

enum { N_THREADS = 4, N_TURNS = 20000, N_PLACES = 2 };

/* Threads alloc, and free what another one has: so many at most as there are threads and
 * places. */
static _Atomic(void *) places[N_PLACES];
static _Atomic int n_held, n_refused;

static void *pass_on(void *unused)
{
	(void)unused;
	for (unsigned int i = 0; i < N_TURNS; i++) {
		void *chunk = mempool_alloc(client, i % 8 == 0 ? 1000 : 100);

		/* Never: each thread has one, and a place has one. */
		if (!chunk) {
			n_refused++;
			continue;
		}
		if (++n_held > N_THREADS + N_PLACES)
			n_refused++;
		if (i % 3 == 0)
			chunk = atomic_exchange(&places[i % N_PLACES], chunk);
		if (chunk) {
			n_held--;
			mempool_free(client, chunk);
		}
		if (i % 64 == 0)
			sched_yield();
	}
	return NULL;
}

START_TEST(test_bound_refuses_nothing_that_there_is)
{
	pthread_t threads[N_THREADS];

	open_bounded(N_THREADS + N_PLACES, 0);
	for (int i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, pass_on, NULL), 0);
	for (int i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_int_eq(n_refused, 0);
	for (int i = 0; i < N_PLACES; i++)
		if (places[i])
			must_free(client, places[i]);
	assert_room(N_THREADS + N_PLACES);
}
END_TEST

/* More than there is: no more than that at a time. */
static void *take_all(void *unused)
{
	void *chunks[3];

	(void)unused;
	for (unsigned int i = 0; i < N_TURNS; i++) {
		size_t n = 0;

		while (n < 3 && (chunks[n] = mempool_alloc(client, 100))) {
			n++;
			if (++n_held > N_THREADS)
				n_refused++;
		}
		for (; n > 0; n--) {
			n_held--;
			mempool_free(client, chunks[n - 1]);
		}
	}
	return NULL;
}

START_TEST(test_bound_of_greedy_threads_is_never_exceeded)
{
	pthread_t threads[N_THREADS];

	open_bounded(N_THREADS, 0);
	for (int i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, take_all, NULL), 0);
	for (int i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_int_eq(n_refused, 0);
	assert_room(N_THREADS);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, test_bound_of_chunks_is_exact);
	tcase_add_test(tcase, test_bound_of_bytes_counts_strides);
	tcase_add_test(tcase, test_bound_that_a_larger_chunk_exceeds_eagain);
	tcase_add_test(tcase, test_bound_many_gets_what_there_is);
	tcase_add_test(tcase, test_bound_wait_is_refused_at_once);
	tcase_add_test(tcase, test_bound_receive_refused_loses_nothing);
	tcase_add_test(tcase, test_bound_send_gives_credit);
	tcase_add_test(tcase, test_bound_evict_needs_room_for_two);
	tcase_add_test(tcase, test_bound_given_counts_until_it_is_taken);
	tcase_add_test(tcase, test_bound_takes_back_what_it_gave);
	tcase_add_test(tcase, test_bound_take_refused_loses_nothing);
	tcase_add_test(tcase, test_bound_many_given_are_all_noted);
	tcase_add_test(tcase, test_bound_each_hold_counts);
	tcase_add_test(tcase, test_bound_publish_needs_no_room);
	tcase_add_test(tcase, test_bound_next_refused_loses_nothing);
	tcase_add_test(tcase, test_bound_is_that_of_all_threads);
	tcase_add_test(tcase, test_bound_refuses_nothing_that_there_is);
	tcase_add_test(tcase, test_bound_of_greedy_threads_is_never_exceeded);
}

int main(void)
{
	return test_run("bound", add_tests);
}
