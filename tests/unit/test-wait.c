/* SPDX-License-Identifier: MIT */
/* test-wait.c - what ends a wait: another thread, a signal handler, the time, and what it is told then */
#include "test_segment.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "client/client.h"
#include "shm/eventcount.h"
#include "shm/holder.h"

enum { CAPACITY = 2, N_CHUNKS = 8 };
#define MS INT64_C(1000000)
#define LONG (3600 * 1000 * MS)

static struct segment *segment;
static struct mempool_client *client, *other;
static struct mempool_queue *full, *empty;
static struct mempool_subscriber *subscriber;

/* ---- before a sleeper arms, and before it sleeps ---- */

uint32_t __wrap_eventcount_prepare(struct mempool_eventcount *eventcount);
uint32_t __real_eventcount_prepare(struct mempool_eventcount *eventcount);
int __wrap_eventcount_sleep(struct mempool_eventcount *eventcount, uint32_t prepared,
			    int64_t timeout_ns);
int __real_eventcount_sleep(struct mempool_eventcount *eventcount, uint32_t prepared,
			    int64_t timeout_ns);

uint32_t __wrap_eventcount_move(struct mempool_eventcount *eventcount);
uint32_t __real_eventcount_move(struct mempool_eventcount *eventcount);

static struct mempool_client *_Atomic woken_before_arming, *_Atomic woken_before_sleep;
static int errno_of_moves;	/* as the system call that moves it may leave it; 0: as it was */
static _Atomic unsigned int n_sleeps;
static bool has_moved;

uint32_t __wrap_eventcount_prepare(struct mempool_eventcount *eventcount)
{
	struct mempool_client *woken = atomic_exchange(&woken_before_arming, NULL);

	if (woken)
		mempool_client_wake(woken);
	return __real_eventcount_prepare(eventcount);
}

int __wrap_eventcount_sleep(struct mempool_eventcount *eventcount, uint32_t prepared,
			    int64_t timeout_ns)
{
	struct mempool_client *woken = atomic_exchange(&woken_before_sleep, NULL);

	n_sleeps++;
	if (woken) {
		mempool_client_wake(woken);
		has_moved = atomic_load(&eventcount->sequence) != prepared;
	}
	return __real_eventcount_sleep(eventcount, prepared, timeout_ns);
}

uint32_t __wrap_eventcount_move(struct mempool_eventcount *eventcount)
{
	uint32_t armed = __real_eventcount_move(eventcount);

	if (errno_of_moves)
		errno = errno_of_moves;
	return armed;
}

/* ---- the stage ---- */

static struct mempool_client *client_with(uint32_t n, uint64_t flags)
{
	struct mempool_client *made;

	ck_assert_int_eq(client_new(test_segment_view(segment), holder_first_client(segment) + n,
				    flags, &made), 0);
	return made;
}

static struct mempool_queue *open_queue(struct mempool_client *by, const char *name)
{
	struct mempool_queue *queue;

	ck_assert_int_eq(mempool_queue_open(by, name, &queue), 0);
	return queue;
}

static void *spare;		/* a chunk, to be sent */

static void begin(uint64_t flags)
{
	static const struct test_pool pools[] = { { .chunk_size = 64, .n_chunks = N_CHUNKS } };
	struct mempool_topic *topic;
	struct config config;

	test_config_init(&config, pools, ARRAY_SIZE(pools));
	ck_assert_int_eq(config_add_ring(&config, "full", MEMPOOL_RING_QUEUE, CAPACITY), 0);
	ck_assert_int_eq(config_add_ring(&config, "empty", MEMPOOL_RING_QUEUE, CAPACITY), 0);
	ck_assert_int_eq(config_add_ring(&config, "topic", MEMPOOL_RING_TOPIC, CAPACITY), 0);
	segment = test_segment_new_of(&config);
	config_deinit(&config);
	client = client_with(0, flags);
	other = client_with(1, 0);
	full = open_queue(client, "full");
	empty = open_queue(client, "empty");
	ck_assert_int_eq(mempool_topic_open(client, "topic", &topic), 0);
	ck_assert_int_eq(mempool_topic_subscribe(topic, MEMPOOL_TOPIC_NEW, &subscriber), 0);
	mempool_topic_close(topic);
	for (int i = 0; i < CAPACITY; i++)
		ck_assert_int_eq(mempool_queue_send(full, mempool_alloc(client, 8), 8, 0), 0);
	spare = mempool_alloc(client, 8);
	while (mempool_alloc(client, 8))
		;
}

static void setup(void)
{
	begin(0);
}

static void teardown(void)
{
	mempool_queue_close(full);
	mempool_queue_close(empty);
	mempool_subscriber_close(subscriber);
	mempool_client_close(client);
	mempool_client_close(other);
	segment_free(segment);
}

/* Each way to wait, for what does not come. */

static int wait_for_message(int64_t timeout_ns)
{
	void *chunk;

	return mempool_queue_receive(empty, &chunk, NULL, timeout_ns);
}

static int wait_for_messages(int64_t timeout_ns)
{
	void *chunks[2];

	return (int)mempool_queue_receive_many(empty, chunks, NULL, 2, timeout_ns);
}

static int wait_for_room(int64_t timeout_ns)
{
	return mempool_queue_send(full, spare, 8, timeout_ns);
}

static int wait_for_much_room(int64_t timeout_ns)
{
	const size_t length = 8;

	return (int)mempool_queue_send_many(full, &spare, &length, 1, timeout_ns);
}

static int wait_for_chunk(int64_t timeout_ns)
{
	errno = 0;
	return mempool_alloc_wait(client, 8, timeout_ns) ? 0 : -errno;
}

static int wait_for_next(int64_t timeout_ns)
{
	const void *chunk;

	return mempool_subscriber_next(subscriber, &chunk, NULL, NULL, timeout_ns);
}

static int wait_for_peek(int64_t timeout_ns)
{
	const void *chunk;

	return mempool_subscriber_peek(subscriber, &chunk, NULL, NULL, NULL, timeout_ns);
}

static int wait_for_copy(int64_t timeout_ns)
{
	char buffer[64];

	return mempool_subscriber_copy(subscriber, buffer, sizeof(buffer), NULL, NULL, NULL,
				       timeout_ns);
}

static int (*const waits[])(int64_t timeout_ns) = {
	wait_for_message, wait_for_messages, wait_for_room, wait_for_much_room,
	wait_for_chunk, wait_for_next, wait_for_peek, wait_for_copy,
};
enum { N_WAITS = ARRAY_SIZE(waits), N_SLEEPING = 6 };	/* the last two nap */

/* ---- another thread ---- */

struct waiter {
	pthread_t thread;
	int (*wait)(int64_t timeout_ns);
	int result;
	_Atomic bool is_near;
};

static void *run_waiter(void *userdata)
{
	struct waiter *waiter = userdata;

	waiter->is_near = true;
	waiter->result = waiter->wait(-1);
	return NULL;
}

static void start_waiter(struct waiter *waiter, int (*wait)(int64_t timeout_ns))
{
	*waiter = (struct waiter){ .wait = wait };
	ck_assert_int_eq(pthread_create(&waiter->thread, NULL, run_waiter, waiter), 0);
}

static int join_waiter(struct waiter *waiter)
{
	ck_assert_int_eq(pthread_join(waiter->thread, NULL), 0);
	return waiter->result;
}

/* For ever: it would not end otherwise. */
START_TEST(test_wait_ends_by_a_wake_while_it_sleeps)
{
	struct waiter waiter;

	start_waiter(&waiter, waits[_i]);
	if (_i < N_SLEEPING)
		while (n_sleeps == 0)
			sched_yield();
	else
		while (!waiter.is_near)
			sched_yield();
	ck_assert_int_eq(mempool_client_wake(client), 0);
	ck_assert_int_eq(join_waiter(&waiter), -ECANCELED);
}
END_TEST

/* The wake comes behind the last look before the arming, and nobody is armed yet. */
START_TEST(test_wait_a_wake_before_it_arms_is_not_lost)
{
	woken_before_arming = client;
	ck_assert_int_eq(waits[_i](LONG), -ECANCELED);
	ck_assert_uint_eq(n_sleeps, 0);
}
END_TEST

START_TEST(test_wait_a_wake_before_it_sleeps_is_not_lost)
{
	woken_before_sleep = client;
	ck_assert_int_eq(waits[_i](LONG), -ECANCELED);
	ck_assert_uint_eq(n_sleeps, 1);
	ck_assert(has_moved);
}
END_TEST

START_TEST(test_wait_ends_once_for_wakes_before_it)
{
	ck_assert_int_eq(mempool_client_wake(client), 0);
	ck_assert_int_eq(mempool_client_wake(client), 0);
	/* That is no wait. */
	ck_assert_int_eq(waits[_i](0), -EAGAIN);
	ck_assert_int_eq(waits[_i](LONG), -ECANCELED);
	ck_assert_int_eq(waits[_i](1), -EAGAIN);
	ck_assert_int_eq(mempool_client_wake(client), 0);
	ck_assert_int_eq(waits[_i](-1), -ECANCELED);
}
END_TEST

START_TEST(test_wait_each_thread_has_its_wake)
{
	/* Two may not send one chunk at the same time. */
	int (*const different[])(int64_t timeout_ns) = {
		wait_for_message, wait_for_messages, wait_for_room, wait_for_chunk,
	};
	struct waiter waiters[ARRAY_SIZE(different)];

	for (size_t i = 0; i < ARRAY_SIZE(waiters); i++)
		start_waiter(&waiters[i], different[i]);
	ck_assert_int_eq(mempool_client_wake(client), 0);
	for (size_t i = 0; i < ARRAY_SIZE(waiters); i++)
		ck_assert_int_eq(join_waiter(&waiters[i]), -ECANCELED);
	/* And this one its own; the subscriber, too. */
	ck_assert_int_eq(wait_for_message(LONG), -ECANCELED);
	ck_assert_int_eq(wait_for_next(LONG), -ECANCELED);
	ck_assert_int_eq(wait_for_message(1), -EAGAIN);
	ck_assert_int_eq(wait_for_next(1), -EAGAIN);
}
END_TEST

START_TEST(test_wait_of_another_client_goes_on)
{
	struct mempool_queue *theirs = open_queue(other, "empty");
	void *chunk;

	woken_before_sleep = client;
	ck_assert_int_eq(mempool_queue_receive(theirs, &chunk, NULL, 20 * MS), -EAGAIN);
	ck_assert(has_moved);
	mempool_queue_close(theirs);
}
END_TEST

START_TEST(test_wait_what_is_there_comes_before_a_wake)
{
	void *chunk;

	ck_assert_int_eq(mempool_client_wake(client), 0);
	ck_assert_int_eq(mempool_queue_receive(full, &chunk, NULL, -1), 0);
	ck_assert_int_eq(mempool_queue_receive(full, &chunk, NULL, -1), 0);
	ck_assert_int_eq(mempool_queue_receive(full, &chunk, NULL, -1), -ECANCELED);
}
END_TEST

/* The first ones are in; the wait for the others ends, and is told next time. */
START_TEST(test_wait_many_sent_before_a_wake_are_told)
{
	const size_t lengths[] = { 8, 8 };
	void *chunks[2], *received;

	ck_assert_int_eq(mempool_queue_receive(full, &received, NULL, 0), 0);
	chunks[0] = spare;
	chunks[1] = received;
	woken_before_sleep = client;
	ck_assert_int_eq(mempool_queue_send_many(full, chunks, lengths, 2, LONG), 1);
	ck_assert_int_eq(mempool_usable_size(client, chunks[0]), -EPERM);
	ck_assert_int_eq(mempool_usable_size(client, chunks[1]), 64);
}
END_TEST

START_TEST(test_wake_mistakes)
{
	ck_assert_int_eq(mempool_client_wake(NULL), -EINVAL);
	ck_assert_int_eq(mempool_client_wake(client), 0);
}
END_TEST

/* Else a handler that calls it changes what the thread is about to read. */
START_TEST(test_wake_keeps_errno)
{
	struct waiter waiter;

	start_waiter(&waiter, wait_for_message);
	while (n_sleeps == 0)
		sched_yield();
	errno_of_moves = ENOSYS;
	errno = EDOM;
	ck_assert_int_eq(mempool_client_wake(client), 0);
	ck_assert_int_eq(errno, EDOM);
	ck_assert_int_eq(join_waiter(&waiter), -ECANCELED);
}
END_TEST

/* ---- signals ---- */

static _Atomic unsigned int n_signals;

static void count_signal(int number)
{
	(void)number;
	n_signals++;
}

static void wake_in_handler(int number)
{
	(void)number;
	/* One that comes too early is not lost. */
	mempool_client_wake(client);
}

static void set_handler(void (*handler)(int))
{
	const struct sigaction action = { .sa_handler = handler };

	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
}

/* A signal each millisecond, for this thread: there is no other. */
static void send_signals(bool on)
{
	const struct itimerval each = { { 0, on ? 1000 : 0 }, { 0, on ? 1000 : 0 } };

	ck_assert_int_eq(setitimer(ITIMER_REAL, &each, NULL), 0);
}

START_TEST(test_wait_ends_by_a_wake_of_a_handler)
{
	const struct itimerval once = { { 0, 0 }, { 0, 2000 } };
	int r;

	teardown();
	begin(MEMPOOL_CLIENT_RESTART);
	set_handler(wake_in_handler);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &once, NULL), 0);
	r = waits[_i](-1);
	ck_assert_int_eq(r, -ECANCELED);
}
END_TEST

/* The control: without the flag the first one ends it. */
START_TEST(test_wait_ends_by_a_signal)
{
	set_handler(count_signal);
	send_signals(true);
	ck_assert_int_eq(waits[_i](LONG), -EINTR);
	send_signals(false);
}
END_TEST

START_TEST(test_wait_with_restart_lasts_its_time)
{
	struct timespec begun, ended;
	int64_t ns;

	teardown();
	begin(MEMPOOL_CLIENT_RESTART);
	set_handler(count_signal);
	send_signals(true);
	clock_gettime(CLOCK_MONOTONIC, &begun);
	ck_assert_int_eq(waits[_i](50 * MS), -EAGAIN);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	send_signals(false);
	ns = (ended.tv_sec - begun.tv_sec) * 1000 * MS + ended.tv_nsec - begun.tv_nsec;
	ck_assert_int_ge(ns, 50 * MS);
	ck_assert_uint_ge(n_signals, 2);
}
END_TEST

/* ---- the time ---- */

START_TEST(test_wait_with_timedout_tells_them_apart)
{
	teardown();
	begin(MEMPOOL_CLIENT_TIMEDOUT);
	ck_assert_int_eq(waits[_i](0), -EAGAIN);
	ck_assert_int_eq(waits[_i](2 * MS), -ETIMEDOUT);
	mempool_client_wake(client);
	ck_assert_int_eq(waits[_i](2 * MS), -ECANCELED);
	segment_retire(segment);
	/* It is its own time that is over here, and the segment's second there. */
	ck_assert_int_eq(waits[_i](2 * MS), -ETIMEDOUT);
	if (_i == 0)
		ck_assert_int_eq(waits[_i](-1), -EAGAIN);
}
END_TEST

/* ---- looking again and again ---- */

static void *send_soon(void *unused)
{
	const struct timespec moment = { .tv_nsec = 2 * MS };
	struct mempool_queue *theirs = open_queue(other, "empty");
	struct mempool_queue *source = open_queue(other, "full");
	void *chunk;

	(void)unused;
	/* All chunks are held. */
	ck_assert_int_eq(mempool_queue_receive(source, &chunk, NULL, 0), 0);
	nanosleep(&moment, NULL);
	ck_assert_int_eq(mempool_queue_send(theirs, chunk, 8, 0), 0);
	mempool_queue_close(source);
	mempool_queue_close(theirs);
	return NULL;
}

/* What comes meanwhile is received by one who never slept, and whom nobody woke. */
START_TEST(test_wait_spins_and_finds_what_comes)
{
	pthread_t thread;
	void *chunk;

	client->spin_ns = LONG;
	ck_assert_int_eq(pthread_create(&thread, NULL, send_soon, NULL), 0);
	ck_assert_int_eq(mempool_queue_receive(empty, &chunk, NULL, -1), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(n_sleeps, 0);
	ck_assert_uint_eq(segment->rings[1].filled.sequence, 0);
}
END_TEST

/* All but that for a chunk, and only those sleep at all. */
static bool is_spinning(int i)
{
	return waits[i] != wait_for_chunk;
}

/* So that a spin that does not end is seen, and not waited for. 0: no longer. */
static void give_up_after(int seconds)
{
	const struct itimerval once = { { 0, 0 }, { seconds, 0 } };

	set_handler(wake_in_handler);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &once, NULL), 0);
}

START_TEST(test_wait_spins_for_its_time_and_no_longer)
{
	client->spin_ns = LONG;
	give_up_after(5);
	ck_assert_int_eq(waits[_i](2 * MS), -EAGAIN);
	give_up_after(0);
	if (_i < N_SLEEPING)
		ck_assert_uint_eq(n_sleeps > 0, !is_spinning(_i));
	/* Then it sleeps as others do. */
	client->spin_ns = MS;
	woken_before_sleep = client;
	if (_i < N_SLEEPING)
		ck_assert_int_eq(waits[_i](-1), -ECANCELED);
	else
		ck_assert_int_eq(waits[_i](20 * MS), -EAGAIN);
}
END_TEST

START_TEST(test_wait_that_spins_ends_by_a_wake)
{
	client->spin_ns = LONG;
	ck_assert_int_eq(mempool_client_wake(client), 0);
	ck_assert_int_eq(waits[_i](-1), -ECANCELED);
}
END_TEST

/* Else it would spin on in a segment that everybody has left. */
START_TEST(test_wait_that_spins_ends_when_retired)
{
	struct waiter waiter;

	client->spin_ns = LONG;
	start_waiter(&waiter, waits[_i]);
	while (!waiter.is_near)
		sched_yield();
	/* It is to spin by then. One that begins later has a second. */
	nanosleep(&(struct timespec){ .tv_nsec = 5 * MS }, NULL);
	segment_retire(segment);
	give_up_after(5);
	ck_assert_int_eq(join_waiter(&waiter), -EAGAIN);
	give_up_after(0);
}
END_TEST

/* Only there if it is linked in. */
extern void __asan_init(void) __attribute__((weak));

START_TEST(test_wait_that_spins_can_be_cancelled)
{
	struct waiter waiter;
	void *result;

	if (__asan_init) {
		printf("skipped: the address sanitizer takes frames that a cancel has left for live\n");
		return;
	}
	client->spin_ns = LONG;
	start_waiter(&waiter, wait_for_message);
	ck_assert_int_eq(pthread_cancel(waiter.thread), 0);
	ck_assert_int_eq(pthread_join(waiter.thread, &result), 0);
	ck_assert_ptr_eq(result, PTHREAD_CANCELED);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test_wait_ends_by_a_wake_while_it_sleeps, 0, N_WAITS);
	tcase_add_loop_test(tcase, test_wait_a_wake_before_it_arms_is_not_lost, 0, N_SLEEPING);
	tcase_add_loop_test(tcase, test_wait_a_wake_before_it_sleeps_is_not_lost, 0, N_SLEEPING);
	tcase_add_loop_test(tcase, test_wait_ends_once_for_wakes_before_it, 0, N_WAITS);
	tcase_add_test(tcase, test_wait_each_thread_has_its_wake);
	tcase_add_test(tcase, test_wait_of_another_client_goes_on);
	tcase_add_test(tcase, test_wake_keeps_errno);
	tcase_add_test(tcase, test_wait_what_is_there_comes_before_a_wake);
	tcase_add_test(tcase, test_wait_many_sent_before_a_wake_are_told);
	tcase_add_test(tcase, test_wake_mistakes);
	tcase_add_loop_test(tcase, test_wait_ends_by_a_wake_of_a_handler, 0, N_WAITS);
	tcase_add_loop_test(tcase, test_wait_ends_by_a_signal, 0, N_WAITS);
	tcase_add_loop_test(tcase, test_wait_with_restart_lasts_its_time, 0, N_WAITS);
	tcase_add_test(tcase, test_wait_spins_and_finds_what_comes);
	tcase_add_loop_test(tcase, test_wait_spins_for_its_time_and_no_longer, 0, N_WAITS);
	tcase_add_loop_test(tcase, test_wait_that_spins_ends_by_a_wake, 0, N_WAITS);
	tcase_add_loop_test(tcase, test_wait_that_spins_ends_when_retired, 0, 2);
	tcase_add_test(tcase, test_wait_that_spins_can_be_cancelled);
	tcase_add_loop_test(tcase, test_wait_with_timedout_tells_them_apart, 0, N_WAITS);
}

int main(void)
{
	return test_run("wait", add_tests);
}
