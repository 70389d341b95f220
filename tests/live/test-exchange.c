/* SPDX-License-Identifier: MIT */
/*
 * test-exchange.c - two processes with one segment: hand-over, and counts that are exact
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actor.h"

#define CHUNKS 1000
#define SIZE 128
#define MAX_THREADS 8

static struct fixture fixture;

static void setup(void)
{
	fixture_init(&fixture);
	fixture_configure(&fixture, "", "    pools: [ { chunk_size: 128, chunk_count: 1000 } ]\n");
	fixture_start(&fixture);
}

static void teardown(void)
{
	fixture_stop(&fixture);
	fixture_deinit(&fixture);
}

/* ---- hand-over ---- */

/* Takes what it hears of, gives back something of its own, until it hears 0. */
static void run_echo(const struct fixture *with, int fd)
{
	struct mempool_client *client = open_client(with);
	uint64_t handle;

	while ((handle = hear(fd)) != MEMPOOL_HANDLE_NONE) {
		uint32_t tag;
		size_t length;
		char *chunk;

		ck_assert_int_eq(mempool_take(client, handle, (void **)&chunk, &length), 0);
		ck_assert_int_eq(mempool_chunk_tag(client, chunk, &tag), 0);
		for (size_t i = 0; i < length; i++)
			chunk[i] ^= 0x55;
		ck_assert_int_eq(mempool_chunk_set_tag(client, chunk, tag + 1), 0);
		ck_assert_int_eq(mempool_give(client, chunk, length / 2, &handle), 0);
		tell(fd, handle);
	}
	tell(fd, (uint64_t)mempool_client_close(client));
}

START_TEST(test_chunk_given_arrives_whole_and_comes_back)
{
	struct mempool_client *client;
	struct actor actor;

	actor_start(&actor, &fixture, run_echo);
	client = open_client(&fixture);
	for (int round = 0; round < 3000; round++) {
		size_t n = 2 + (size_t)round % (SIZE - 1), length;
		uint64_t there, back;
		uint32_t tag;
		char *chunk = mempool_alloc(client, n), *again;

		ck_assert_ptr_nonnull(chunk);
		memset(chunk, round, n);
		ck_assert_int_eq(mempool_chunk_set_tag(client, chunk, (uint32_t)round), 0);
		ck_assert_int_eq(mempool_give(client, chunk, n, &there), 0);
		ck_assert_int_eq(mempool_free(client, chunk), -EPERM);
		tell(actor.fd, there);
		back = hear(actor.fd);

		ck_assert_int_eq(mempool_take(client, there, (void **)&again, NULL), -ESTALE);
		ck_assert_int_eq(mempool_take(client, back, (void **)&again, &length), 0);
		ck_assert_int_eq(mempool_take(client, back, (void **)&again, &length), -ESTALE);
		/* Nothing was copied: it is the same place. */
		ck_assert_ptr_eq(again, chunk);
		ck_assert_uint_eq(length, n / 2);
		ck_assert_int_eq(mempool_chunk_tag(client, chunk, &tag), 0);
		ck_assert_uint_eq(tag, (uint32_t)round + 1);
		for (size_t i = 0; i < n; i++)
			ck_assert_int_eq(chunk[i], (char)((char)round ^ 0x55));
		ck_assert_int_eq(mempool_free(client, chunk), 0);
	}
	tell(actor.fd, MEMPOOL_HANDLE_NONE);
	expect_to_hear(actor.fd, 0);
	actor_join(&actor);
	ck_assert_int_eq(mempool_client_close(client), 0);
}
END_TEST

static void run_giver(const struct fixture *with, int fd)
{
	struct mempool_client *client = open_client(with);
	void *chunk = mempool_alloc(client, SIZE);
	uint64_t handle;

	ck_assert_ptr_nonnull(chunk);
	ck_assert_int_eq(mempool_give(client, chunk, SIZE, &handle), 0);
	tell(fd, handle);
	hear(fd);
	tell(fd, (uint64_t)mempool_client_close(client));
}

static bool has_none_used(void *userdata)
{
	struct mempool_pool_info info;

	ck_assert_int_eq(mempool_client_pools(userdata, &info, 1), 1);
	return info.used == 0;
}

START_TEST(test_chunk_given_is_freed_with_its_giver)
{
	struct mempool_client *client = open_client(&fixture);
	struct actor closing, killed;
	uint64_t of_closing, of_killed;
	struct mempool_pool_info info;
	void *chunk;

	actor_start(&closing, &fixture, run_giver);
	actor_start(&killed, &fixture, run_giver);
	of_closing = hear(closing.fd);
	of_killed = hear(killed.fd);
	ck_assert_int_eq(mempool_client_pools(client, &info, 1), 1);
	ck_assert_uint_eq(info.used, 2);

	tell(closing.fd, 0);
	expect_to_hear(closing.fd, 1);
	actor_join(&closing);
	ck_assert_int_eq(mempool_take(client, of_closing, &chunk, NULL), -ESTALE);

	actor_kill(&killed);
	wait_until(has_none_used, client, 1000);
	ck_assert_int_eq(mempool_take(client, of_killed, &chunk, NULL), -ESTALE);
	mempool_client_close(client);
}
END_TEST

/* ---- counts ---- */

enum order {
	DRAIN,		/* allocate until nothing is left; answer: how many */
	TRY,		/* once more; answer: errno, or 0 */
	FREE_ALL,	/* answer: how many */
	FILL_CACHES,	/* threads that free, and stay with hints in their caches */
	END_THREADS,
	QUIT,		/* answer: what close freed */
};

static struct mempool_client *our_client;
static unsigned int n_threads;

struct worker {
	pthread_t thread;
	void *chunks[CHUNKS + 1];
	unsigned int n;
};
static struct worker workers[MAX_THREADS];
static pthread_barrier_t barrier;

static void *drain(void *userdata)
{
	struct worker *worker = userdata;
	void *chunk;

	while ((chunk = mempool_alloc(our_client, SIZE))) {
		ck_assert_uint_lt(worker->n, CHUNKS);
		worker->chunks[worker->n++] = chunk;
	}
	ck_assert_int_eq(errno, EAGAIN);
	return NULL;
}

static void *fill_cache(void *userdata)
{
	void *chunks[CHUNKS / MAX_THREADS];

	(void)userdata;
	for (int i = 0; i < CHUNKS / MAX_THREADS; i++) {
		chunks[i] = mempool_alloc(our_client, SIZE);
		ck_assert_ptr_nonnull(chunks[i]);
	}
	for (int i = 0; i < CHUNKS / MAX_THREADS; i++)
		ck_assert_int_eq(mempool_free(our_client, chunks[i]), 0);
	pthread_barrier_wait(&barrier);		/* all are done; then: end */
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void start_threads(void *(*run)(void *))
{
	for (unsigned int i = 0; i < n_threads; i++)
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, run, &workers[i]), 0);
}

static void join_threads(void)
{
	for (unsigned int i = 0; i < n_threads; i++)
		ck_assert_int_eq(pthread_join(workers[i].thread, NULL), 0);
}

static uint64_t free_all(void)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < n_threads; i++)
		for (; workers[i].n > 0; n++)
			ck_assert_int_eq(mempool_free(our_client,
						      workers[i].chunks[--workers[i].n]), 0);
	return n;
}

static uint64_t obey(enum order order)
{
	uint64_t n = 0;

	switch (order) {
	case DRAIN:
		/* One alone keeps its cache for the next time, more end and give theirs back. */
		if (n_threads > 1) {
			start_threads(drain);
			join_threads();
		} else {
			drain(&workers[0]);
		}
		for (unsigned int i = 0; i < n_threads; i++)
			n += workers[i].n;
		return n;
	case TRY:
		return mempool_alloc(our_client, SIZE) ? 0 : (uint64_t)errno;
	case FREE_ALL:
		return free_all();
	case FILL_CACHES:
		pthread_barrier_init(&barrier, NULL, n_threads + 1);
		start_threads(fill_cache);
		pthread_barrier_wait(&barrier);
		return 0;
	case END_THREADS:
		pthread_barrier_wait(&barrier);
		join_threads();
		return 0;
	case QUIT:
		return (uint64_t)mempool_client_close(our_client);
	}
	return UINT64_MAX;
}

static void run_drainer(const struct fixture *with, int fd)
{
	enum order order;

	our_client = open_client(with);
	do {
		order = (enum order)hear(fd);
		tell(fd, obey(order));
	} while (order != QUIT);
}

static uint64_t order_one(struct actor *actor, enum order order)
{
	tell(actor->fd, order);
	return hear(actor->fd);
}

/* Both at once. */
static uint64_t order_both(struct actor actors[2], enum order order)
{
	uint64_t first;

	tell(actors[0].fd, order);
	tell(actors[1].fd, order);
	first = hear(actors[0].fd);
	return first + hear(actors[1].fd);
}

static void start_drainers(struct actor actors[2], unsigned int threads)
{
	n_threads = threads;
	actor_start(&actors[0], &fixture, run_drainer);
	actor_start(&actors[1], &fixture, run_drainer);
}

static void end_drainers(struct actor actors[2])
{
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(order_one(&actors[i], QUIT), 0);
		actor_join(&actors[i]);
	}
}

static void expect_dry(struct actor actors[2])
{
	/* The 64th call in a row looks again: it must not find anything, either. */
	for (int i = 0; i < 130; i++) {
		ck_assert_uint_eq(order_one(&actors[0], TRY), EAGAIN);
		ck_assert_uint_eq(order_one(&actors[1], TRY), EAGAIN);
	}
}

static void drain_together(unsigned int threads)
{
	struct actor actors[2];

	start_drainers(actors, threads);
	for (int round = 0; round < 20; round++) {
		ck_assert_uint_eq(order_both(actors, DRAIN), CHUNKS);
		if (round == 0)
			expect_dry(actors);
		ck_assert_uint_eq(order_both(actors, FREE_ALL), CHUNKS);
	}
	end_drainers(actors);
}

START_TEST(test_two_processes_drain_exactly_all)
{
	drain_together(1);
}
END_TEST

START_TEST(test_two_processes_with_threads_drain_exactly_all)
{
	drain_together(4);
}
END_TEST

/* What one has freed it keeps hints of; the other must get it all the same. */
START_TEST(test_pool_freed_in_one_is_drained_in_the_other)
{
	struct actor actors[2];

	start_drainers(actors, 1);
	for (int round = 0; round < 20; round++) {
		struct actor *actor = &actors[round % 2];

		ck_assert_uint_eq(order_one(actor, DRAIN), CHUNKS);
		ck_assert_uint_eq(order_one(&actors[(round + 1) % 2], TRY), EAGAIN);
		ck_assert_uint_eq(order_one(actor, FREE_ALL), CHUNKS);
	}
	end_drainers(actors);
}
END_TEST

START_TEST(test_pool_in_caches_of_threads_is_drained_by_the_other)
{
	struct actor actors[2];

	start_drainers(actors, MAX_THREADS);
	for (int round = 0; round < 5; round++) {
		order_one(&actors[0], FILL_CACHES);
		ck_assert_uint_eq(order_one(&actors[1], DRAIN), CHUNKS);
		ck_assert_uint_eq(order_one(&actors[0], TRY), EAGAIN);
		ck_assert_uint_eq(order_one(&actors[1], FREE_ALL), CHUNKS);
		order_one(&actors[0], END_THREADS);
	}
	end_drainers(actors);
}
END_TEST

/* Killed with hints in its caches and chunks in its hands: others get all of both. */
START_TEST(test_pool_of_a_killed_process_is_drained_by_the_other)
{
	struct actor actors[2];
	struct status status;
	uint64_t n;

	start_drainers(actors, MAX_THREADS);
	order_one(&actors[0], FILL_CACHES);
	n = order_one(&actors[1], DRAIN);
	ck_assert_uint_eq(n, CHUNKS);
	actor_kill(&actors[1]);
	/* Hints of both were lost or are in caches; whoever asks now gets what is free. */
	do {
		status_read(&fixture, &status);
	} while (status_find(&status, actors[1].pid));
	order_one(&actors[0], END_THREADS);
	ck_assert_uint_eq(order_one(&actors[0], DRAIN), CHUNKS);
	ck_assert_uint_eq(order_one(&actors[0], FREE_ALL), CHUNKS);
	ck_assert_uint_eq(order_one(&actors[0], QUIT), 0);
	actor_join(&actors[0]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exchange");
	TCase *tcase = tcase_create("exchange");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_chunk_given_arrives_whole_and_comes_back);
	tcase_add_test(tcase, test_chunk_given_is_freed_with_its_giver);
	tcase_add_test(tcase, test_two_processes_drain_exactly_all);
	tcase_add_test(tcase, test_two_processes_with_threads_drain_exactly_all);
	tcase_add_test(tcase, test_pool_freed_in_one_is_drained_in_the_other);
	tcase_add_test(tcase, test_pool_in_caches_of_threads_is_drained_by_the_other);
	tcase_add_test(tcase, test_pool_of_a_killed_process_is_drained_by_the_other);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
