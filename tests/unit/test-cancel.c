/* SPDX-License-Identifier: MIT */
/*
 * test-cancel.c - threads that are cancelled in the library, at any moment
 *
 * A waiting call that is cancelled has done nothing: its message stands in the queue, its
 * chunk is still the caller's, no lock is held. A call that does not wait is no cancellation
 * point at all.
 */
#include "test_segment.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "build_config.h"
#include "client/client.h"
#include "client/locate.h"
#include "shm/audit.h"
#include "shm/holder.h"

enum {
	N_CHUNKS = 64,
	CAPACITY = 4,
	N_ROUNDS = MEMPOOL_SANITIZED ? 100 : 400,
};

static struct segment *segment;
static struct mempool_client *near, *far;	/* of the thread that is cancelled; of the test */
static struct mempool_queue *near_queue, *far_queue;
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
	static const struct test_pool pools[] = { { .chunk_size = 64, .n_chunks = N_CHUNKS } };
	struct config config;

	test_config_init(&config, pools, ARRAY_SIZE(pools));
	ck_assert_int_eq(config_add_ring(&config, "t", MEMPOOL_RING_TOPIC, CAPACITY), 0);
	ck_assert_int_eq(config_add_ring(&config, "q", MEMPOOL_RING_QUEUE, CAPACITY), 0);
	segment = test_segment_new_of(&config);
	config_deinit(&config);
	near = client_of(holder_first_client(segment));
	far = client_of(holder_first_client(segment) + 1);
	ck_assert_int_eq(mempool_queue_open(near, "q", &near_queue), 0);
	ck_assert_int_eq(mempool_queue_open(far, "q", &far_queue), 0);
	ck_assert_int_eq(mempool_topic_open(far, "t", &topic), 0);
	ck_assert_int_eq(mempool_topic_subscribe(topic, MEMPOOL_TOPIC_NEW, &subscriber), 0);
}

static void teardown(void)
{
	mempool_subscriber_close(subscriber);
	mempool_topic_close(topic);
	mempool_queue_close(near_queue);
	mempool_queue_close(far_queue);
	mempool_client_close(near);
	mempool_client_close(far);
	segment_free(segment);
}

static void on_fault(const char *text, void *userdata)
{
	(void)userdata;
	ck_abort_msg("%s", text);
}

/* Nothing is lost: so many chunks are held by the two, and what else there is stands somewhere. */
static void assert_whole(uint32_t n_owned)
{
	struct audit audit;

	ck_assert_int_eq(audit_segment(segment, AUDIT_REAPED, on_fault, NULL, &audit),
			 0);
	ck_assert_uint_eq(audit.n_faults, 0);
	ck_assert_uint_eq(audit.n_owned, n_owned);
}

/* ---- what the thread does, and what the test does meanwhile ---- */

static int64_t timeout_ns;		/* of the thread's calls */
static _Atomic uint32_t n_done;		/* by the thread: received, sent, ... */
static _Atomic uint32_t n_wrong;	/* a chunk that was not the caller's after the cancel */
static uint32_t n_fed;			/* by the test: sent, received, ... */

static void free_near(void *chunk)
{
	n_wrong += mempool_free(near, chunk) != 0;
}

static void receive(void)
{
	void *chunk;

	if (mempool_queue_receive(near_queue, &chunk, NULL, timeout_ns) < 0)
		return;
	n_done++;
	free_near(chunk);
}

static void receive_many(void)
{
	void *chunks[3];
	ssize_t n = mempool_queue_receive_many(near_queue, chunks, NULL, 3, timeout_ns);

	if (n < 0)
		return;
	n_done += (uint32_t)n;
	while (n-- > 0)
		free_near(chunks[n]);
}

static int send_one(void *chunk)
{
	return mempool_queue_send(near_queue, chunk, 1, timeout_ns);
}

static int send_one_of_many(void *chunk)
{
	const size_t length = 1;

	return (int)mempool_queue_send_many(near_queue, &chunk, &length, 1, timeout_ns) - 1;
}

static void send_by(int (*send)(void *chunk))
{
	void *chunk = mempool_alloc(near, 64);
	int r;

	if (!chunk) {
		n_wrong++;
		pthread_testcancel();
		return;
	}
	pthread_cleanup_push(free_near, chunk);
	r = send(chunk);
	pthread_cleanup_pop(0);
	if (r == 0)
		n_done++;
	else
		free_near(chunk);
}

static void send(void)
{
	send_by(send_one);
}

static void send_many(void)
{
	send_by(send_one_of_many);
}

static void alloc(void)
{
	void *chunk = mempool_alloc_wait(near, 64, timeout_ns);

	if (!chunk)
		return;
	n_done++;
	free_near(chunk);
}

/* What it misses counts as read. */
static void next(void)
{
	const void *chunk;
	uint64_t n_missed;

	if (mempool_subscriber_next(subscriber, &chunk, NULL, &n_missed, timeout_ns) < 0)
		return;
	n_done += 1 + (uint32_t)n_missed;
	n_wrong += mempool_free(far, chunk) != 0;
}

static void copy(void)
{
	uint64_t n_missed;
	char buffer[64];

	if (mempool_subscriber_copy(subscriber, buffer, sizeof(buffer), NULL, NULL, &n_missed,
				    timeout_ns) == 0)
		n_done += 1 + (uint32_t)n_missed;
}

static void peek(void)
{
	const void *chunk;
	uint64_t n_missed;

	if (mempool_subscriber_peek(subscriber, &chunk, NULL, NULL, &n_missed, timeout_ns) == 0)
		n_done += 1 + (uint32_t)n_missed;
}

/* One message for the thread, if there is room. */
static void feed_message(void)
{
	void *chunk = mempool_alloc(far, 64);

	ck_assert_ptr_nonnull(chunk);
	if (mempool_queue_send(far_queue, chunk, 1, 0) == 0)
		n_fed++;
	else
		ck_assert_int_eq(mempool_free(far, chunk), 0);
}

/* One message of the thread's. */
static void feed_room(void)
{
	void *chunk;

	if (mempool_queue_receive(far_queue, &chunk, NULL, 0) < 0)
		return;
	n_fed++;
	ck_assert_int_eq(mempool_free(far, chunk), 0);
}

static void *hoard[N_CHUNKS];
static uint32_t n_hoarded;

/* All but one chunk, and that one now and then. */
static void feed_chunk(void)
{
	if (n_hoarded > 0)
		ck_assert_int_eq(mempool_free(far, hoard[--n_hoarded]), 0);
	while (n_hoarded < N_CHUNKS && (hoard[n_hoarded] = mempool_alloc(far, 64)))
		n_hoarded++;
}

static void feed_topic(void)
{
	void *chunk = mempool_alloc(far, 64);

	ck_assert_ptr_nonnull(chunk);
	ck_assert_int_eq(mempool_topic_publish(topic, chunk, 1), 0);
	n_fed++;
}

/* The end: by the test, which does the rest of the thread's work. */
static void settle_messages(void)
{
	timeout_ns = 0;
	for (uint32_t i = 0; i < CAPACITY; i++)
		receive();
	ck_assert_uint_eq(n_done, n_fed);
	assert_whole(0);
}

static void settle_room(void)
{
	for (uint32_t i = 0; i < CAPACITY; i++)
		feed_room();
	ck_assert_uint_eq(n_done, n_fed);
	assert_whole(0);
}

static void settle_chunks(void)
{
	while (n_hoarded > 0)
		ck_assert_int_eq(mempool_free(far, hoard[--n_hoarded]), 0);
	assert_whole(0);
}

static void settle_topic(void)
{
	timeout_ns = 0;
	for (uint32_t i = 0; i < CAPACITY; i++)
		next();
	ck_assert_uint_eq(n_done, n_fed);
	assert_whole(0);
}

/* To begin with: so that the thread has to wait. */
static void fill_queue(void)
{
	for (uint32_t i = 0; i < CAPACITY; i++) {
		timeout_ns = 0;
		send();
	}
}

static void do_nothing(void)
{
}

static const struct call {
	const char *name;
	void (*prepare)(void);
	void (*turn)(void);
	void (*feed)(void);
	void (*settle)(void);
} calls[] = {
	{ "receive", do_nothing, receive, feed_message, settle_messages },
	{ "receive_many", do_nothing, receive_many, feed_message, settle_messages },
	{ "send", fill_queue, send, feed_room, settle_room },
	{ "send_many", fill_queue, send_many, feed_room, settle_room },
	{ "alloc_wait", feed_chunk, alloc, feed_chunk, settle_chunks },
	{ "next", do_nothing, next, feed_topic, settle_topic },
	{ "copy", do_nothing, copy, feed_topic, settle_topic },
	{ "peek", do_nothing, peek, feed_topic, settle_topic },
};

static void *take_turns(void *of)
{
	const struct call *call = of;

	for (;;)
		call->turn();
	return NULL;
}

static pthread_t start(const struct call *call)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, take_turns, (void *)call), 0);
	return thread;
}

static void pause_us(long us)
{
	const struct timespec pause = { .tv_nsec = us * 1000 };

	nanosleep(&pause, NULL);
}

/* ---- cancelled ---- */

/* Nothing happens that could wake it. */
START_TEST(test_cancel_of_a_sleeping_thread)
{
	const struct call *call = &calls[_i];
	pthread_t thread;
	void *ended_by;

	call->prepare();
	timeout_ns = -1;
	thread = start(call);
	pause_us(2000);
	ck_assert_int_eq(pthread_cancel(thread), 0);
	ck_assert_int_eq(pthread_join(thread, &ended_by), 0);
	ck_assert_ptr_eq(ended_by, PTHREAD_CANCELED);
	ck_assert_uint_eq(n_wrong, 0);
	call->settle();
}
END_TEST

/* In the midst of work; the odd ones in a program that also polls. */
START_TEST(test_cancel_at_many_moments)
{
	static const int64_t timeouts_ns[] = { -1, 50000, 1000 };
	const struct call *call = &calls[_i / 2];

	if (_i % 2 == 1) {
		ck_assert_int_ge(mempool_client_fd(near), 0);
		ck_assert_int_ge(mempool_client_fd(far), 0);
	}
	call->prepare();
	for (int round = 0; round < N_ROUNDS; round++) {
		pthread_t thread;
		void *ended_by;

		timeout_ns = timeouts_ns[round % 3];
		thread = start(call);
		for (int i = 0; i < round % 50; i++) {
			call->feed();
			if (i % 8 == 7)
				pause_us(round % 7);
		}
		ck_assert_int_eq(pthread_cancel(thread), 0);
		/* Asleep it looks once a second; awake, as soon as it would sleep again. */
		while (pthread_tryjoin_np(thread, &ended_by) == EBUSY) {
			call->feed();
			pause_us(20);
		}
		ck_assert_ptr_eq(ended_by, PTHREAD_CANCELED);
		ck_assert_uint_eq(n_wrong, 0);
	}
	call->settle();
}
END_TEST

/* Two more than there is room for. */
static void *batch[CAPACITY + 2];
static uint32_t n_kept;

static void free_kept(void *unused)
{
	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(batch); i++) {
		if (mempool_usable_size(near, batch[i]) == -EPERM)
			continue;
		n_kept++;
		free_near(batch[i]);
	}
}

static void *send_batch(void *unused)
{
	static const size_t lengths[ARRAY_SIZE(batch)];

	pthread_cleanup_push(free_kept, NULL);
	mempool_queue_send_many(near_queue, batch, lengths, ARRAY_SIZE(batch), -1);
	pthread_cleanup_pop(0);
	return unused;
}

START_TEST(test_cancel_in_send_many_leaves_the_rest_to_the_caller)
{
	pthread_t thread;
	void *ended_by;

	for (size_t i = 0; i < ARRAY_SIZE(batch); i++)
		batch[i] = mempool_alloc(near, 64);
	ck_assert_int_eq(pthread_create(&thread, NULL, send_batch, NULL), 0);
	ck_assert_int_eq(pthread_cancel(thread), 0);
	ck_assert_int_eq(pthread_join(thread, &ended_by), 0);
	ck_assert_ptr_eq(ended_by, PTHREAD_CANCELED);
	ck_assert_uint_eq(n_wrong, 0);
	ck_assert_uint_eq(n_kept, 2);
	n_done = CAPACITY;
	settle_room();
}
END_TEST

static void on_signal(int signal_number)
{
	(void)signal_number;
}

/* As glibc does from 2.41 on: it is a cancel, and no call that a signal has ended. */
START_TEST(test_cancel_that_wakes_by_a_signal_is_a_cancel)
{
	const struct sigaction action = { .sa_handler = on_signal };
	pthread_t thread;
	void *ended_by;

	sigaction(SIGUSR1, &action, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(batch); i++)
		batch[i] = mempool_alloc(near, 64);
	ck_assert_int_eq(pthread_create(&thread, NULL, send_batch, NULL), 0);
	/* When it has sent what there is room for, it is about to sleep, or asleep. */
	while (mempool_usable_size(near, batch[CAPACITY - 1]) != -EPERM)
		pause_us(1000);
	pause_us(20000);
	ck_assert_int_eq(pthread_cancel(thread), 0);
	pthread_kill(thread, SIGUSR1);
	ck_assert_int_eq(pthread_join(thread, &ended_by), 0);
	ck_assert_ptr_eq(ended_by, PTHREAD_CANCELED);
	ck_assert_uint_eq(n_kept, 2);
	n_done = CAPACITY;
	settle_room();
}
END_TEST

/* ---- what is no cancellation point ---- */

static bool is_through;

static void *call_all_with_a_cancel_pending(void *polls)
{
	struct mempool_pool_info info;
	struct mempool_queue *queue;
	const void *shared;
	const size_t length = 1;
	void *chunk;
	uint64_t handle;
	int n_bad = 0;

	pthread_cancel(pthread_self());
	for (int i = 0; i < 10; i++) {
		if (polls)
			n_bad += mempool_client_fd(near) < 0;
		chunk = mempool_alloc(near, 10);
		n_bad += mempool_give(near, chunk, 1, &handle) != 0;
		n_bad += mempool_take(near, handle, &chunk, NULL) != 0;
		n_bad += mempool_share(near, chunk, 1, &handle) != 0;
		n_bad += mempool_acquire(near, handle, &shared, NULL) != 0;
		n_bad += mempool_free(near, shared) != 0;
		n_bad += mempool_free(near, chunk) != 0;
		n_bad += mempool_alloc_many(near, 10, &chunk, 1) != 1;
		n_bad += mempool_free_many(near, &chunk, 1) != 1;
		n_bad += mempool_client_pools(near, &info, 1) != 1;
		n_bad += mempool_alloc_wait(near, 1000, 0) != NULL;
		chunk = mempool_alloc(near, 10);
		n_bad += mempool_queue_send(near_queue, chunk, 1, 0) != 0;
		n_bad += mempool_queue_receive(near_queue, &chunk, NULL, 0) != 0;
		n_bad += mempool_queue_receive(near_queue, &chunk, NULL, 0) != -EAGAIN;
		n_bad += mempool_queue_send_many(near_queue, &chunk, &length, 1, 0) != 1;
		n_bad += mempool_queue_receive_many(near_queue, &chunk, NULL, 1, 0) != 1;
		n_bad += mempool_topic_publish(topic, mempool_alloc(far, 10), 1) != 0;
		n_bad += mempool_subscriber_next(subscriber, &shared, NULL, NULL, 0) != 0;
		n_bad += mempool_free(far, shared) != 0;
		n_bad += mempool_subscriber_next(subscriber, &shared, NULL, NULL, 0) != -EAGAIN;
		n_bad += mempool_subscriber_peek(subscriber, &shared, NULL, NULL, NULL, 0) != -EAGAIN;
		n_bad += mempool_subscriber_copy(subscriber, NULL, 0, NULL, NULL, NULL, 0) != -EAGAIN;
		n_bad += mempool_subscriber_verify(subscriber) != -EINVAL;
		n_bad += mempool_free(near, chunk) != 0;
		n_bad += mempool_queue_open(near, "q", &queue) != 0;
		mempool_queue_close(queue);
	}
	mempool_queue_close(near_queue);
	n_bad += mempool_client_close(near) != 0;
	n_wrong += (uint32_t)n_bad;
	is_through = true;
	pthread_testcancel();
	return NULL;
}

START_TEST(test_cancel_pending_is_not_acted_on_by_calls_that_do_not_wait)
{
	bool polls = _i == 1;
	pthread_t thread;
	void *ended_by;

	/* Somebody to be woken. */
	if (polls)
		ck_assert_int_ge(mempool_client_fd(far), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, call_all_with_a_cancel_pending,
					polls ? segment : NULL), 0);
	ck_assert_int_eq(pthread_join(thread, &ended_by), 0);
	ck_assert_ptr_eq(ended_by, PTHREAD_CANCELED);
	ck_assert(is_through);
	ck_assert_uint_eq(n_wrong, 0);
	near = NULL;
	near_queue = NULL;
	assert_whole(0);
}
END_TEST

/*
 * Two threads that meet at one ChunkManager: the one that waits does so in the middle. It comes
 * here (--wrap) when it has yielded so often that it sleeps, where it could be cancelled.
 */
static _Atomic uint32_t *busy;
static _Atomic bool has_slept;
static _Thread_local bool is_to_sleep;

int __wrap_nanosleep(const struct timespec *pause, struct timespec *rest);
int __real_nanosleep(const struct timespec *pause, struct timespec *rest);

int __wrap_nanosleep(const struct timespec *pause, struct timespec *rest)
{
	if (is_to_sleep)
		has_slept = true;
	return __real_nanosleep(pause, rest);
}

static void *acquire_with_a_cancel_pending(void *handle)
{
	const void *chunk;

	is_to_sleep = true;
	pthread_cancel(pthread_self());
	n_wrong += mempool_acquire(near, *(uint64_t *)handle, &chunk, NULL) != 0;
	n_wrong += mempool_free(near, chunk) != 0;
	is_through = true;
	pthread_testcancel();
	return NULL;
}

START_TEST(test_cancel_pending_while_threads_meet_at_a_share)
{
	void *chunk = mempool_alloc(far, 10), *ended_by;
	uint64_t handle, word;
	const struct pool *pool;
	pthread_t thread;
	uint32_t index;

	ck_assert_int_eq(mempool_share(far, chunk, 1, &handle), 0);
	ck_assert_int_eq(client_locate(far, chunk, &pool, &index), 0);
	word = atomic_load(&pool->entries[index].word);
	busy = &near->references[word_value(word)];
	/* As share_drop() leaves it for two steps. */
	*busy = UINT32_C(1) << 31;
	ck_assert_int_eq(pthread_create(&thread, NULL, acquire_with_a_cancel_pending, &handle), 0);
	while (!has_slept)
		pause_us(100);
	*busy = 0;
	ck_assert_int_eq(pthread_join(thread, &ended_by), 0);
	ck_assert_ptr_eq(ended_by, PTHREAD_CANCELED);
	ck_assert(is_through);
	ck_assert_uint_eq(n_wrong, 0);
	ck_assert_int_eq(mempool_free(far, chunk), 0);
	assert_whole(0);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test_cancel_of_a_sleeping_thread, 0, ARRAY_SIZE(calls));
	tcase_add_loop_test(tcase, test_cancel_at_many_moments, 0, 2 * ARRAY_SIZE(calls));
	tcase_add_test(tcase, test_cancel_in_send_many_leaves_the_rest_to_the_caller);
	tcase_add_test(tcase, test_cancel_that_wakes_by_a_signal_is_a_cancel);
	tcase_add_loop_test(tcase, test_cancel_pending_is_not_acted_on_by_calls_that_do_not_wait, 0, 2);
	tcase_add_test(tcase, test_cancel_pending_while_threads_meet_at_a_share);
}

/* Only there if it is linked in. */
extern void __asan_init(void) __attribute__((weak));

int main(void)
{
	if (__asan_init) {
		printf("skipped: the address sanitizer takes frames that a cancel has left for live\n");
		return 77;
	}
	return test_run("cancel", add_tests);
}
