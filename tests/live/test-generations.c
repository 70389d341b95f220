/* SPDX-License-Identifier: MIT */
/*
 * test-generations.c - a reload with a changed layout, as programs see it: who is in the old
 * segment works on, hears of it, and goes over when it likes; then the old one is gone
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actor.h"
#include "build_config.h"
#include "support/control.h"

/* Well below the second after which a wait in a retired segment ends in any case. */
#define AT_ONCE_MS 500
#define SECOND_MS 1000

static const char *const layouts[] = {
	"    pools: [ { chunk_size: 128, chunk_count: 100 } ]\n"
	"    queues: [ { name: work, capacity: 4 }, { name: full, capacity: 1 } ]\n"
	"    topics: [ { name: camera, capacity: 4 } ]\n",
	"    pools: [ { chunk_size: 128, chunk_count: 50 }, { chunk_size: 256, chunk_count: 9 } ]\n"
	"    queues: [ { name: work, capacity: 8 }, { name: full, capacity: 1 } ]\n"
	"    topics: [ { name: camera, capacity: 4 } ]\n",
};

static struct fixture fixture;

static void setup(void)
{
	fixture_init(&fixture);
	fixture_configure(&fixture, "", layouts[0]);
	fixture_start(&fixture);
}

static void teardown(void)
{
	fixture_stop(&fixture);
	fixture_deinit(&fixture);
}

static void reload(const char *layout)
{
	struct mempool_msg_reloaded reloaded;

	fixture_configure(&fixture, "", layout);
	wire_reload(&fixture, &reloaded);
	ck_assert_msg(reloaded.error == 0, "%s", reloaded.text);
}

static bool is_gone(void *userdata)
{
	return !fixture_object_exists(&fixture, *(const uint64_t *)userdata);
}

static bool is_readable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) == 1;
}

static uint64_t pool_size(struct mempool_client *client)
{
	struct mempool_pool_info info;

	ck_assert_int_ge(mempool_client_pools(client, &info, 1), 1);
	return info.total;
}

/* ---- one who goes over ---- */

START_TEST(test_reload_changed_layout_old_clients_go_on_and_over)
{
	struct mempool_client *client = open_client(&fixture), *other = open_client(&fixture);
	struct mempool_queue *queue, *others;
	uint64_t old = 1;
	void *chunk;

	ck_assert_int_eq(mempool_queue_open(client, "work", &queue), 0);
	ck_assert_int_eq(mempool_queue_open(other, "work", &others), 0);
	chunk = mempool_alloc(client, 100);
	reload(layouts[1]);
	ck_assert(mempool_client_is_stale(client));

	/* Among themselves the old ones work on, also across a restart. */
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(mempool_queue_send(queue, chunk, 10, 0), 0);
		ck_assert_int_eq(mempool_queue_receive(others, &chunk, NULL, 0), 0);
		ck_assert_int_eq(mempool_free(other, chunk), 0);
		chunk = mempool_alloc(client, 100);
		ck_assert_ptr_nonnull(chunk);
		fixture_stop(&fixture);
		fixture_start(&fixture);
	}

	mempool_queue_close(others);
	ck_assert_int_eq(mempool_client_close(other), 0);
	other = open_client(&fixture);
	ck_assert(!mempool_client_is_stale(other));
	ck_assert_uint_eq(pool_size(other), 50);
	ck_assert_uint_eq(fixture_count_objects(&fixture), 2);

	/* And with the last one the old segment goes, but not before. */
	ck_assert(fixture_object_exists(&fixture, old));
	mempool_queue_close(queue);
	ck_assert_int_eq(mempool_client_close(client), 1);
	wait_until(is_gone, &old, SECOND_MS);
	ck_assert_uint_eq(fixture_count_objects(&fixture), 1);
	ck_assert_int_eq(mempool_client_close(other), 0);
}
END_TEST

START_TEST(test_reload_there_and_back_is_a_third_generation)
{
	struct mempool_client *client = open_client(&fixture), *second, *third;

	reload(layouts[1]);
	second = open_client(&fixture);
	reload(layouts[0]);
	third = open_client(&fixture);
	ck_assert(mempool_client_is_stale(client));
	ck_assert(mempool_client_is_stale(second));
	ck_assert(!mempool_client_is_stale(third));
	ck_assert_uint_eq(pool_size(third), 100);
	ck_assert_uint_eq(fixture_count_objects(&fixture), 3);
	mempool_client_close(client);
	mempool_client_close(second);
	mempool_client_close(third);
}
END_TEST

/* ---- those who sleep ---- */

enum what { RECEIVE, SEND, NEXT, ALLOC, N_WHAT };

struct sleeper {
	enum what what;
	int64_t timeout_ns;
	pthread_t thread;
	struct mempool_client *client;
	_Atomic bool is_asleep;		/* nearly */
	int r;
};

static int sleep_in_queue(struct sleeper *sleeper)
{
	bool is_sender = sleeper->what == SEND;
	struct mempool_queue *queue;
	void *chunk = NULL;
	int r;

	ck_assert_int_eq(mempool_queue_open(sleeper->client, is_sender ? "full" : "work",
					    &queue), 0);
	if (is_sender) {
		chunk = mempool_alloc(sleeper->client, 8);
		ck_assert_int_eq(mempool_queue_send(queue, chunk, 8, 0), 0);
		chunk = mempool_alloc(sleeper->client, 8);
	}
	atomic_store(&sleeper->is_asleep, true);
	r = is_sender ? mempool_queue_send(queue, chunk, 8, sleeper->timeout_ns)
		      : mempool_queue_receive(queue, &chunk, NULL, sleeper->timeout_ns);
	mempool_queue_close(queue);
	return r;
}

static int sleep_for_topic(struct sleeper *sleeper)
{
	struct mempool_subscriber *subscriber;
	struct mempool_topic *topic;
	const void *chunk;
	int r;

	ck_assert_int_eq(mempool_topic_open(sleeper->client, "camera", &topic), 0);
	ck_assert_int_eq(mempool_topic_subscribe(topic, MEMPOOL_TOPIC_NEW, &subscriber), 0);
	atomic_store(&sleeper->is_asleep, true);
	r = mempool_subscriber_next(subscriber, &chunk, NULL, NULL, sleeper->timeout_ns);
	mempool_subscriber_close(subscriber);
	mempool_topic_close(topic);
	return r;
}

static int sleep_for_chunk(struct sleeper *sleeper)
{
	/* Those of the others are few; what is left is taken here. */
	while (mempool_alloc(sleeper->client, 8))
		;
	atomic_store(&sleeper->is_asleep, true);
	return mempool_alloc_wait(sleeper->client, 8, sleeper->timeout_ns) ? 0 : -errno;
}

static void *run_sleeper(void *userdata)
{
	struct sleeper *sleeper = userdata;

	switch (sleeper->what) {
	case RECEIVE:
	case SEND:
		sleeper->r = sleep_in_queue(sleeper);
		break;
	case NEXT:
		sleeper->r = sleep_for_topic(sleeper);
		break;
	default:
		sleeper->r = sleep_for_chunk(sleeper);
	}
	return NULL;
}

static void start_sleeper(struct sleeper *sleeper, enum what what, int64_t timeout_ns)
{
	*sleeper = (struct sleeper){ .what = what, .timeout_ns = timeout_ns };
	sleeper->client = open_client(&fixture);
	ck_assert_int_eq(pthread_create(&sleeper->thread, NULL, run_sleeper, sleeper), 0);
	while (!atomic_load(&sleeper->is_asleep))
		usleep(1000);
}

START_TEST(test_reload_wakes_who_sleeps_in_the_old_segment)
{
	static const int64_t timeouts[] = { -1, INT64_C(20000000000) };
	struct sleeper sleepers[N_WHAT];
	struct control control;

	/* The one that takes all chunks comes last. */
	for (enum what what = 0; what < N_WHAT; what++)
		start_sleeper(&sleepers[what], what, timeouts[_i]);
	usleep(50000);
	control_start(&control);
	reload(layouts[1]);
	for (enum what what = 0; what < N_WHAT; what++) {
		pthread_join(sleepers[what].thread, NULL);
		ck_assert_int_eq(sleepers[what].r, -EAGAIN);
		ck_assert(mempool_client_is_stale(sleepers[what].client));
		if (!MEMPOOL_SANITIZED)
			ck_assert_msg(control_ms(&control) < AT_ONCE_MS,
				      "%d slept for %.0f ms more", what, control_ms(&control));
	}
	control_stop(&control);
	for (enum what what = 0; what < N_WHAT; what++)
		mempool_client_close(sleepers[what].client);
}
END_TEST

START_TEST(test_reload_makes_descriptors_readable)
{
	struct mempool_client *client = open_client(&fixture);
	struct mempool_queue *queue;
	void *chunk;
	int fd, i;

	ck_assert_int_eq(mempool_queue_open(client, "work", &queue), 0);
	fd = mempool_client_fd(client);
	ck_assert_int_ge(fd, 0);
	/* Just behind a tick of its timer, which would make it readable as well. */
	for (i = 0; i < 2 || is_readable(fd); i++) {
		ck_assert(patience_poll(fd, 5 * SECOND_MS));
		ck_assert_int_eq(mempool_queue_receive(queue, &chunk, NULL, 0), -EAGAIN);
	}
	fixture_configure(&fixture, "", layouts[1]);
	kill(fixture.pid, SIGHUP);
	ck_assert(patience_poll(fd, AT_ONCE_MS));
	ck_assert(mempool_client_is_stale(client));
	mempool_queue_close(queue);
	mempool_client_close(client);
}
END_TEST

/* ---- under load ---- */

enum { N_WORKERS = 4, N_RELOADS = 20 };

static void must(int r, const char *what)
{
	ck_assert_msg(r == 0, "%s: %s", what, strerror(-r));
}

/* One job: allocate, send, receive, free; what does not fit now is not an error. */
static void work(struct mempool_client *client, struct mempool_queue *queue,
		 struct mempool_subscriber *subscriber, struct mempool_topic *topic)
{
	uint64_t *chunk = mempool_alloc_wait(client, 64, INT64_C(5000000000));
	const void *message;
	void *received;
	int r;

	/* In a retired segment this may be early; all others may have left with theirs. */
	ck_assert_msg(chunk || errno == EAGAIN, "alloc: %s", strerror(errno));
	if (!chunk)
		return;
	*chunk = (uint64_t)getpid();
	r = mempool_queue_send(queue, chunk, sizeof(*chunk), 0);
	if (r == -EAGAIN)
		must(mempool_topic_publish(topic, chunk, sizeof(*chunk)), "publish");
	else
		must(r, "send");
	r = mempool_queue_receive(queue, &received, NULL, 0);
	if (r != -EAGAIN)
		must(r, "receive");
	if (r == 0)
		must(mempool_free(client, received), "free");
	while ((r = mempool_subscriber_next(subscriber, &message, NULL, NULL, 0)) == 0)
		must(mempool_free(client, message), "free of a message");
	ck_assert_int_eq(r, -EAGAIN);
}

/* Works in one segment until that is retired. Return: the jobs it has done. */
static uint64_t work_until_stale(const struct fixture *with, int fd)
{
	struct mempool_client *client = open_client(with);
	struct mempool_subscriber *subscriber;
	struct mempool_queue *queue;
	struct mempool_topic *topic;
	uint64_t n = 0;

	must(mempool_queue_open(client, "work", &queue), "open of the queue");
	must(mempool_topic_open(client, "camera", &topic), "open of the topic");
	must(mempool_topic_subscribe(topic, MEMPOOL_TOPIC_NEW, &subscriber), "subscribe");
	while (!mempool_client_is_stale(client) && !is_readable(fd)) {
		work(client, queue, subscriber, topic);
		n++;
	}
	mempool_subscriber_close(subscriber);
	mempool_topic_close(topic);
	mempool_queue_close(queue);
	ck_assert_int_ge(mempool_client_close(client), 0);
	return n;
}

static void run_worker(const struct fixture *with, int fd)
{
	uint64_t n = 0;

	tell(fd, 1);
	while (!is_readable(fd))
		n += work_until_stale(with, fd);
	hear(fd);
	tell(fd, n);
}

static bool is_one_object(void *userdata)
{
	return fixture_count_objects(userdata) == 1;
}

START_TEST(test_reload_under_load_no_client_notices_an_error)
{
	struct actor workers[N_WORKERS];
	struct segment *segment;
	int i;

	for (i = 0; i < N_WORKERS; i++) {
		actor_start(&workers[i], &fixture, run_worker);
		expect_to_hear(workers[i].fd, 1);
	}
	for (i = 1; i <= N_RELOADS; i++) {
		usleep(50000);
		reload(layouts[i % 2]);
	}
	/* All have gone over, and everything that was old is gone. */
	wait_until(is_one_object, &fixture, 10 * SECOND_MS);
	segment = map_generation(&fixture, N_RELOADS + 1);
	ck_assert_uint_eq(segment_state(segment), MEMPOOL_SEGMENT_READY);
	for (i = 0; i < N_WORKERS; i++) {
		tell(workers[i].fd, 0);
		ck_assert_uint_gt(hear(workers[i].fd), 0);
		actor_join(&workers[i]);
	}
	wait_until(has_no_client, segment, 5 * SECOND_MS);
	segment_free(segment);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("generations");
	TCase *tcase = tcase_create("generations");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_reload_changed_layout_old_clients_go_on_and_over);
	tcase_add_test(tcase, test_reload_there_and_back_is_a_third_generation);
	tcase_add_loop_test(tcase, test_reload_wakes_who_sleeps_in_the_old_segment, 0, 2);
	tcase_add_test(tcase, test_reload_makes_descriptors_readable);
	tcase_add_test(tcase, test_reload_under_load_no_client_notices_an_error);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
