/* SPDX-License-Identifier: MIT */
/* test-close.c - a close looks for what a client holds, and at nothing if it holds nothing */
#include <errno.h>
#include <pthread.h>

#include "client/cache.h"
#include "client/client.h"
#include "shm/chunk_manager.h"
#include "shm/reap.h"
#include "test_segment.h"

/* Some leaves of the free list, so that a word at the end is in the last one of many. */
enum { N_CHUNKS = 20000, CHUNK_SIZE = 64, CAPACITY = 4, LAST = N_CHUNKS - 1 };

static struct segment *segment;
static struct mempool_client *client, *other;
static struct mempool_queue *to, *from;
static struct mempool_topic *topic;
static struct mempool_subscriber *subscriber;

static struct mempool_client *client_of(uint32_t holder)
{
	struct mempool_client *made;

	ck_assert_int_eq(client_new(test_segment_view(segment), holder, 0, &made), 0);
	return made;
}

static void setup(void)
{
	static const struct test_pool pools[] = {
		{ .chunk_size = CHUNK_SIZE, .n_chunks = N_CHUNKS },
		{ .chunk_size = 1000, .n_chunks = 10 },
	};
	struct config config;

	test_config_init(&config, pools, ARRAY_SIZE(pools));
	ck_assert_int_eq(config_add_ring(&config, "t", MEMPOOL_RING_TOPIC, CAPACITY), 0);
	ck_assert_int_eq(config_add_ring(&config, "q", MEMPOOL_RING_QUEUE, CAPACITY), 0);
	config.fallback = true;
	segment = test_segment_new_of(&config);
	config_deinit(&config);
	client = client_of(TEST_HOLDER + 1);
	other = client_of(TEST_HOLDER + 2);
	ck_assert_int_eq(mempool_queue_open(client, "q", &to), 0);
	ck_assert_int_eq(mempool_queue_open(other, "q", &from), 0);
	ck_assert_int_eq(mempool_topic_open(client, "t", &topic), 0);
	ck_assert_int_eq(mempool_topic_subscribe(topic, MEMPOOL_TOPIC_NEW, &subscriber), 0);
}

static void teardown(void)
{
	mempool_queue_close(to);
	mempool_queue_close(from);
	mempool_topic_close(topic);
	mempool_subscriber_close(subscriber);
	mempool_client_close(client);
	mempool_client_close(other);
	segment_free(segment);
}

static int close_client(void)
{
	struct mempool_client *closed = client;

	client = NULL;
	return mempool_client_close(closed);
}

/* A word that names the client, which it knows nothing of: who looks at words frees it. */
static uint64_t plant(uint32_t index, _Atomic uint64_t **ret_word)
{
	uint64_t word;

	*ret_word = &segment->pools[0].entries[index].word;
	word = word_claimed(atomic_load(*ret_word), client->holder);
	atomic_store(*ret_word, word);
	return word;
}

static void *must_alloc(size_t size)
{
	void *chunk = mempool_alloc(client, size);

	ck_assert_ptr_nonnull(chunk);
	return chunk;
}

/* ---- what comes and goes ---- */

static void alloc_and_free(void)
{
	void *chunk = must_alloc(1);

	ck_assert_int_eq(mempool_free(client, chunk), 0);
	ck_assert_int_eq(mempool_free(client, chunk), -EPERM);
	ck_assert_int_eq(mempool_free(client, &chunk), -EINVAL);
	chunk = mempool_alloc_aligned(client, 1, 8);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
	ck_assert_ptr_null(mempool_alloc(client, 5000));
	chunk = mempool_alloc_wait(client, 1, 0);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
}

static void alloc_from_larger(void)
{
	static void *chunks[N_CHUNKS + 10];
	ssize_t n = 0;

	/* One by one in the end, and one too many. */
	for (size_t i = 0; i < ARRAY_SIZE(chunks) && (chunks[n] = mempool_alloc(client, 1)); i++)
		n++;
	ck_assert_int_eq(n, ARRAY_SIZE(chunks));
	ck_assert_ptr_null(mempool_alloc(client, 1));
	ck_assert_int_eq(mempool_free_many(client, chunks, (size_t)n), n);
}

static void many(void)
{
	void *chunks[300];

	ck_assert_int_eq(mempool_alloc_many(client, 1, chunks, 300), 300);
	ck_assert_int_eq(mempool_free_many(client, chunks, 300), 300);
	ck_assert_int_eq(mempool_free_many(client, chunks, 300), -EPERM);
}

static void hand_over(void)
{
	uint64_t handle;
	void *chunk = mempool_alloc(other, 1);

	ck_assert_int_eq(mempool_give(other, chunk, 1, &handle), 0);
	ck_assert_int_eq(mempool_take(client, handle, &chunk, NULL), 0);
	ck_assert_int_eq(mempool_take(client, handle, &chunk, NULL), -ESTALE);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
}

static void send_and_receive(void)
{
	void *chunk;

	for (int i = 0; i < CAPACITY; i++)
		ck_assert_int_eq(mempool_queue_send(to, must_alloc(1), 1, 0), 0);
	chunk = must_alloc(1);
	ck_assert_int_eq(mempool_queue_send(to, chunk, 1, 0), -EAGAIN);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
	for (int i = 0; i < CAPACITY; i++) {
		ck_assert_int_eq(mempool_queue_receive(from, &chunk, NULL, 0), 0);
		ck_assert_int_eq(mempool_free(other, chunk), 0);
	}
	/* And a message for us; another one stays for others. */
	for (int i = 0; i < 2; i++) {
		chunk = mempool_alloc(other, 1);
		ck_assert_int_eq(mempool_queue_send(from, chunk, 1, 0), 0);
	}
	ck_assert_int_eq(mempool_queue_receive(to, &chunk, NULL, 0), 0);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
	ck_assert_int_eq(mempool_queue_send(to, must_alloc(1), 1, 0), 0);
}

static void share(void)
{
	void *chunk = must_alloc(1);
	const void *shared;
	uint64_t handle;

	ck_assert_int_eq(mempool_share(client, chunk, 1, &handle), 0);
	ck_assert_int_eq(mempool_share(client, chunk, 1, &handle), 0);
	ck_assert_int_eq(mempool_acquire(client, handle, &shared, NULL), 0);
	ck_assert_int_eq(mempool_acquire(other, handle, &shared, NULL), 0);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
	ck_assert_int_eq(mempool_free(client, chunk), -EPERM);
	ck_assert_int_eq(mempool_free(other, shared), 0);
	ck_assert_int_eq(mempool_acquire(client, handle, &shared, NULL), -ESTALE);
}

static void publish(void)
{
	const void *chunk;

	for (int i = 0; i < 3 * CAPACITY; i++)
		ck_assert_int_eq(mempool_topic_publish(topic, must_alloc(1), 1), 0);
	while (mempool_subscriber_next(subscriber, &chunk, NULL, NULL, 0) == 0)
		ck_assert_int_eq(mempool_free(client, chunk), 0);
}

static void *alloc_two_free_one(void *ret_chunk)
{
	*(void **)ret_chunk = must_alloc(1);
	mempool_free(client, must_alloc(1));
	return NULL;
}

/* One thread frees what another got, which has ended. */
static void other_threads(void)
{
	pthread_t thread;
	void *chunk;

	ck_assert_int_eq(pthread_create(&thread, NULL, alloc_two_free_one, &chunk), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(cache_count_held(client), 1);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
}

static void (*const works[])(void) = {
	alloc_and_free, alloc_from_larger, many,    hand_over,
	send_and_receive, share,	   publish, other_threads,
};

START_TEST(test_close_with_nothing_held_looks_at_no_word)
{
	_Atomic uint64_t *word;
	uint64_t planted;

	works[_i]();
	ck_assert_uint_eq(cache_count_held(client), 0);
	planted = plant(N_CHUNKS / 2, &word);
	ck_assert_int_eq(close_client(), 0);
	ck_assert_uint_eq(atomic_load(word), planted);
	/* Nothing is lost by that: the daemon's sweep finds it. */
	ck_assert_int_eq(reap_holder(segment, TEST_HOLDER + 1), 1);
}
END_TEST

/* ---- what is held ---- */

static void hold_alone(void)
{
	must_alloc(1);
}

static void hold_given(void)
{
	uint64_t handle;

	ck_assert_int_eq(mempool_give(client, must_alloc(1), 1, &handle), 0);
}

static void hold_taken(void)
{
	void *chunk = mempool_alloc(other, 1);
	uint64_t handle;

	ck_assert_int_eq(mempool_give(other, chunk, 1, &handle), 0);
	ck_assert_int_eq(mempool_take(client, handle, &chunk, NULL), 0);
}

static void hold_received(void)
{
	void *chunk = mempool_alloc(other, 1);

	ck_assert_int_eq(mempool_queue_send(from, chunk, 1, 0), 0);
	ck_assert_int_eq(mempool_queue_receive(to, &chunk, NULL, 0), 0);
}

static void hold_shared(void)
{
	uint64_t handle;

	ck_assert_int_eq(mempool_share(client, must_alloc(1), 1, &handle), 0);
}

static void hold_acquired_twice(void)
{
	void *chunk = mempool_alloc(other, 1);
	const void *shared;
	uint64_t handle;

	ck_assert_int_eq(mempool_share(other, chunk, 1, &handle), 0);
	ck_assert_int_eq(mempool_acquire(client, handle, &shared, NULL), 0);
	ck_assert_int_eq(mempool_acquire(client, handle, &shared, NULL), 0);
	ck_assert_int_eq(mempool_free(other, chunk), 0);
}

static void hold_published(void)
{
	const void *chunk;

	ck_assert_int_eq(mempool_topic_publish(topic, must_alloc(1), 1), 0);
	ck_assert_int_eq(mempool_subscriber_next(subscriber, &chunk, NULL, NULL, 0), 0);
	/* Evicted: it is ours alone. */
	for (int i = 0; i < CAPACITY; i++)
		ck_assert_int_eq(mempool_topic_publish(topic, must_alloc(1), 1), 0);
}

static void hold_one_of_many(void)
{
	void *chunks[300];

	ck_assert_int_eq(mempool_alloc_many(client, 1, chunks, 300), 300);
	ck_assert_int_eq(mempool_free_many(client, chunks, 299), 299);
}

static void *hold_one(void *unused)
{
	must_alloc(1);
	return unused;
}

static void hold_of_a_thread_that_ended(void)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, hold_one, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

static void (*const holds[])(void) = {
	hold_alone,  hold_given,	  hold_taken,	  hold_received,    hold_shared,
	hold_acquired_twice, hold_published, hold_one_of_many, hold_of_a_thread_that_ended,
};

START_TEST(test_close_frees_the_one_that_is_held)
{
	uint32_t kept;

	holds[_i]();
	kept = holds[_i] == hold_published ? CAPACITY : 0;
	ck_assert_uint_eq(test_segment_used(segment, 0), kept + 1);
	ck_assert_int_eq(close_client(), 1);
	ck_assert_uint_eq(test_segment_used(segment, 0), kept);
}
END_TEST

START_TEST(test_close_ends_with_the_last_one_that_was_held)
{
	_Atomic uint64_t *word;
	uint64_t planted;

	/* The second half is another's, so that the held one is far from the end. */
	for (uint32_t i = N_CHUNKS / 2; i < N_CHUNKS; i++)
		ck_assert_int_eq(pool_claim(&segment->pools[0], i, other->holder), 0);
	must_alloc(1);
	ck_assert(pool_release(&segment->pools[0], LAST, other->holder, true) == 0);
	planted = plant(LAST, &word);
	ck_assert_int_eq(close_client(), 1);
	ck_assert_uint_eq(atomic_load(word), planted);
	ck_assert_int_eq(reap_holder(segment, TEST_HOLDER + 1), 1);
}
END_TEST

/* ---- hints ---- */

static pthread_barrier_t together;

static void *free_and_wait(void *unused)
{
	mempool_free(client, must_alloc(1));
	pthread_barrier_wait(&together);
	pthread_barrier_wait(&together);
	return unused;
}

/* Those in the caches of all threads are in the lists again, for others to find. */
START_TEST(test_close_gives_all_hints_back)
{
	const struct free_list *list = &segment->pools[0].list;
	pthread_t thread;
	uint64_t handle;

	pthread_barrier_init(&together, NULL, 2);
	ck_assert_int_eq(pthread_create(&thread, NULL, free_and_wait, NULL), 0);
	pthread_barrier_wait(&together);
	alloc_and_free();
	share();
	if (_i == 1)
		ck_assert_int_eq(mempool_share(client, must_alloc(1), 1, &handle), 0);
	ck_assert_int_eq(close_client(), _i);
	for (uint32_t i = 0; i < N_CHUNKS; i++)
		ck_assert(free_list_has(list, i));
	list = &segment_managers(segment)->list;
	for (uint32_t i = 0; i < list->n; i++)
		ck_assert(free_list_has(list, i));
	pthread_barrier_wait(&together);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	pthread_barrier_destroy(&together);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test_close_with_nothing_held_looks_at_no_word, 0,
			    ARRAY_SIZE(works));
	tcase_add_loop_test(tcase, test_close_frees_the_one_that_is_held, 0, ARRAY_SIZE(holds));
	tcase_add_test(tcase, test_close_ends_with_the_last_one_that_was_held);
	tcase_add_loop_test(tcase, test_close_gives_all_hints_back, 0, 2);
}

int main(void)
{
	return test_run("close", add_tests);
}
