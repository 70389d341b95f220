/* SPDX-License-Identifier: MIT */
/*
 * test-restart.c - the daemon stops, is killed and starts again under living clients
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "actor.h"
#include "shm/holder.h"
#include "support/control.h"

#define LOOP_MS 2000
#define MIN_ROUNDS 100	/* some thousand times as many on an idle machine */
#define RESTARTS 12
#define HUNG_MS 1000
#define SECOND_MS 1000

static const char old_layout[] = "    pools: [ { chunk_size: 128, chunk_count: 1000 } ]\n";
static const char new_layout[] = "    pools: [ { chunk_size: 256, chunk_count: 500 } ]\n";

static struct fixture fixture;

static void setup(void)
{
	fixture_init(&fixture);
	fixture_configure(&fixture, "", old_layout);
	fixture_start(&fixture);
}

static void teardown(void)
{
	if (fixture.pid)
		fixture_stop(&fixture);
	fixture_deinit(&fixture);
}

/* By turns as a service manager does it, and as it should not happen. */
static void restart(int i)
{
	if (i % 2)
		fixture_kill(&fixture);
	else
		fixture_stop(&fixture);
	fixture_start(&fixture);
}

/* ---- work goes on ---- */

/* What the processes of a loop share: not the segment, where nothing but chunks belongs. */
struct board {
	_Atomic uint64_t handle;	/* given, to be taken; 0: the place is free */
	_Atomic uint64_t n_rounds;	/* of any of them */
	_Atomic bool stop;
	struct control control;		/* what their pauses are measured by */
};
static struct board *board;

struct loop {
	uint64_t n;			/* rounds */
	double longest_ms;		/* between the ends of two */
	double last_ms;
};

static void end_round(struct loop *loop)
{
	double now = control_ms(&board->control);

	if (loop->n++ > 0 && now - loop->last_ms > loop->longest_ms)
		loop->longest_ms = now - loop->last_ms;
	loop->last_ms = now;
	atomic_store(&board->n_rounds, loop->n);
}

static void tell_loop(int fd, const struct loop *loop)
{
	tell(fd, loop->n);
	tell(fd, (uint64_t)(loop->longest_ms * 1e3));
}

static void run_allocating(const struct fixture *with, int fd)
{
	struct mempool_client *client = open_client(with);
	struct loop loop = { .n = 0 };

	tell(fd, 0);
	while (!atomic_load(&board->stop)) {
		uint64_t *chunk = mempool_alloc(client, 128);

		ck_assert_ptr_nonnull(chunk);
		*chunk = loop.n;
		ck_assert_int_eq(mempool_free(client, chunk), 0);
		end_round(&loop);
	}
	tell_loop(fd, &loop);
	tell(fd, (uint64_t)mempool_client_close(client));
}

static void run_giving(const struct fixture *with, int fd)
{
	struct mempool_client *client = open_client(with);
	struct loop loop = { .n = 0 };
	uint64_t handle, *chunk;

	tell(fd, 0);
	while (!atomic_load(&board->stop)) {
		chunk = mempool_alloc(client, 128);
		ck_assert_ptr_nonnull(chunk);
		*chunk = loop.n;
		ck_assert_int_eq(mempool_give(client, chunk, sizeof(*chunk), &handle), 0);
		atomic_store(&board->handle, handle);
		while (atomic_load(&board->handle) && !atomic_load(&board->stop))
			sched_yield();
		end_round(&loop);
	}
	tell_loop(fd, &loop);
	hear(fd);
	tell(fd, (uint64_t)mempool_client_close(client));
}

static void run_taking(const struct fixture *with, int fd)
{
	struct mempool_client *client = open_client(with);
	struct loop loop = { .n = 0 };
	uint64_t handle, *chunk;
	size_t length;

	tell(fd, 0);
	while (!atomic_load(&board->stop)) {
		handle = atomic_load(&board->handle);
		if (!handle) {
			sched_yield();
			continue;
		}
		ck_assert_int_eq(mempool_take(client, handle, (void **)&chunk, &length), 0);
		ck_assert_uint_eq(length, sizeof(*chunk));
		ck_assert_uint_eq(*chunk, loop.n);
		ck_assert_int_eq(mempool_free(client, chunk), 0);
		atomic_store(&board->handle, 0);
		end_round(&loop);
	}
	tell_loop(fd, &loop);
	hear(fd);
	tell(fd, (uint64_t)mempool_client_close(client));
}

static struct loop hear_loop(int fd)
{
	struct loop loop = { .n = hear(fd) };

	loop.longest_ms = (double)hear(fd) / 1e3;
	return loop;
}

/* Let time pass, with so many restarts in it, and rounds. */
static void pass_time(int n_restarts)
{
	double start = clock_ms();

	for (int i = 0; i < n_restarts; i++) {
		while (clock_ms() - start < LOOP_MS * (i + 1) / (n_restarts + 1))
			usleep(1000);
		restart(i);
	}
	while (clock_ms() - start < LOOP_MS || atomic_load(&board->n_rounds) <= MIN_ROUNDS)
		usleep(1000);
}

static void print_loop(const char *what, int n_restarts, const struct loop *loop)
{
	printf("%-9s %2d restarts: %9llu rounds, longest pause %.2f ms\n", what, n_restarts,
	       (unsigned long long)loop->n, loop->longest_ms);
	ck_assert_msg(loop->longest_ms < HUNG_MS, "it waited for the daemon");
}

static void begin_loop(void)
{
	atomic_store(&board->stop, false);
	atomic_store(&board->handle, 0);
	atomic_store(&board->n_rounds, 0);
	control_start(&board->control);
}

static void loop_allocating(int n_restarts)
{
	struct actor actor;
	struct loop loop;

	begin_loop();
	actor_start(&actor, &fixture, run_allocating);
	expect_to_hear(actor.fd, 0);
	pass_time(n_restarts);
	atomic_store(&board->stop, true);
	loop = hear_loop(actor.fd);
	expect_to_hear(actor.fd, 0);
	actor_join(&actor);
	control_stop(&board->control);
	print_loop("alloc", n_restarts, &loop);
}

static void loop_handing_over(int n_restarts)
{
	struct actor giver, taker;
	struct loop given, taken;

	begin_loop();
	actor_start(&giver, &fixture, run_giving);
	actor_start(&taker, &fixture, run_taking);
	expect_to_hear(giver.fd, 0);
	expect_to_hear(taker.fd, 0);
	pass_time(n_restarts);
	atomic_store(&board->stop, true);
	given = hear_loop(giver.fd);
	taken = hear_loop(taker.fd);
	/* Stopped between give and take, one chunk was still the giver's. */
	ck_assert_uint_le(taken.n, given.n);
	ck_assert_uint_ge(taken.n + 1, given.n);
	tell(giver.fd, 0);
	expect_to_hear(giver.fd, given.n - taken.n);
	tell(taker.fd, 0);
	expect_to_hear(taker.fd, 0);
	actor_join(&giver);
	actor_join(&taker);
	control_stop(&board->control);
	print_loop("hand over", n_restarts, &taken);
}

static void make_board(void)
{
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		     -1, 0);
	ck_assert_ptr_ne(board, MAP_FAILED);
}

START_TEST(test_restart_under_load_is_not_noticed)
{
	struct segment *segment = map_generation(&fixture, 1);

	make_board();
	/* The same without, for what the machine itself does to a loop. */
	loop_allocating(0);
	loop_allocating(RESTARTS);
	loop_handing_over(0);
	loop_handing_over(RESTARTS);
	wait_until(is_deserted, segment, SECOND_MS);
	/* It was one segment all the time. */
	ck_assert_uint_eq(fixture_count_objects(&fixture), 1);
	segment_free(segment);
}
END_TEST

/* ---- leaving, with another daemon or none ---- */

enum order {
	USE,		/* alloc and free; answer: whether the segment is stale */
	CLOSE,		/* answer: what close freed */
	END,
};

static void run_client(const struct fixture *with, int fd)
{
	struct mempool_client *client = open_client(with);
	void *chunk;

	for (int i = 0; i < 10; i++)
		ck_assert_ptr_nonnull(mempool_alloc(client, 100));
	tell(fd, 0);
	for (;;) {
		switch ((enum order)hear(fd)) {
		case USE:
			chunk = mempool_alloc(client, 100);
			ck_assert_ptr_nonnull(chunk);
			ck_assert_int_eq(mempool_free(client, chunk), 0);
			tell(fd, mempool_client_is_stale(client));
			break;
		case CLOSE:
			tell(fd, (uint64_t)mempool_client_close(client));
			break;
		case END:
			return;
		}
	}
}

static uint64_t order(const struct actor *actor, enum order what)
{
	tell(actor->fd, what);
	return hear(actor->fd);
}

static void start_client(struct actor *actor)
{
	actor_start(actor, &fixture, run_client);
	expect_to_hear(actor->fd, 0);
}

static void end_client(struct actor *actor)
{
	tell(actor->fd, END);
	actor_join(actor);
}

static bool has_left(void *pid)
{
	struct status status;

	status_read(&fixture, &status);
	return !status_find(&status, *(const pid_t *)pid);
}

START_TEST(test_close_after_restart_frees_the_record_at_once)
{
	struct segment *segment = map_generation(&fixture, 1);
	struct actor actor, other;
	struct status status;

	start_client(&actor);
	start_client(&other);
	for (int i = 0; i < 4; i++)
		restart(i);
	/* Seen by the new daemon without a word of theirs. */
	status_read(&fixture, &status);
	ck_assert_ptr_nonnull(status_find(&status, actor.pid));
	ck_assert_uint_eq(status_find(&status, actor.pid)->chunks, 10);

	ck_assert_uint_eq(order(&actor, CLOSE), 10);
	/* Its process lives on: its record must not wait for that. */
	wait_until(has_left, &actor.pid, 20 * SECOND_MS);
	status_read(&fixture, &status);
	ck_assert_uint_eq(status_find(&status, other.pid)->chunks, 10);
	ck_assert_uint_eq(status.pools[0].used, 10);
	end_client(&actor);
	actor_kill(&other);
	wait_until(is_deserted, segment, SECOND_MS);
	segment_free(segment);
}
END_TEST

START_TEST(test_close_without_daemon_is_freed_by_the_next_one)
{
	struct segment *segment = map_generation(&fixture, 1);
	struct control control;
	struct actor actor;

	start_client(&actor);
	fixture_kill(&fixture);
	ck_assert_uint_eq(order(&actor, USE), false);
	control_start(&control);
	ck_assert_uint_eq(order(&actor, CLOSE), 10);
	ck_assert(control_stop(&control) < SECOND_MS);
	/* Its chunks are free, nobody could be told of the record. */
	ck_assert_uint_eq(count_used(segment), 0);
	ck_assert_uint_eq(count_clients(segment), 1);

	fixture_start(&fixture);
	usleep(50 * 1000);
	ck_assert_uint_eq(count_clients(segment), 1);
	end_client(&actor);
	wait_until(has_no_client, segment, SECOND_MS);
	segment_free(segment);
}
END_TEST

START_TEST(test_client_killed_without_daemon_is_reaped_by_the_next_one)
{
	struct segment *segment = map_generation(&fixture, 1);
	struct actor actor;

	start_client(&actor);
	fixture_kill(&fixture);
	actor_kill(&actor);
	ck_assert_uint_eq(count_used(segment), 10);
	fixture_start(&fixture);
	wait_until(is_deserted, segment, SECOND_MS);
	segment_free(segment);
}
END_TEST

/* ---- another layout ---- */

static bool is_gone(void *userdata)
{
	return !fixture_object_exists(&fixture, *(const uint64_t *)userdata);
}

START_TEST(test_layout_changed_lets_the_old_clients_go_on)
{
	struct actor closing, killed;
	struct mempool_client *client;
	struct mempool_pool_info info;
	uint64_t old = 1;

	start_client(&closing);
	start_client(&killed);
	ck_assert_uint_eq(order(&closing, USE), false);
	fixture_stop(&fixture);
	fixture_configure(&fixture, "", new_layout);
	fixture_start(&fixture);

	ck_assert_uint_eq(order(&closing, USE), true);
	ck_assert_uint_eq(order(&killed, USE), true);
	client = open_client(&fixture);
	ck_assert(!mempool_client_is_stale(client));
	ck_assert_int_eq(mempool_client_pools(client, &info, 1), 1);
	ck_assert_uint_eq(info.chunk_size, 256);
	ck_assert_uint_eq(info.used, 0);

	/* Also the daemon after the next one knows the old segment. */
	restart(1);
	ck_assert_uint_eq(order(&closing, USE), true);
	ck_assert(!mempool_client_is_stale(client));
	ck_assert_uint_eq(fixture_count_objects(&fixture), 2);

	ck_assert_uint_eq(order(&closing, CLOSE), 10);
	usleep(50 * 1000);
	ck_assert(fixture_object_exists(&fixture, old));
	ck_assert_uint_eq(order(&killed, USE), true);
	actor_kill(&killed);
	wait_until(is_gone, &old, SECOND_MS);
	ck_assert_uint_eq(fixture_count_objects(&fixture), 1);
	end_client(&closing);
	ck_assert_int_eq(mempool_client_close(client), 0);
}
END_TEST

START_TEST(test_layout_changed_with_nobody_in_it_removes_the_old)
{
	struct actor actor;

	start_client(&actor);
	fixture_stop(&fixture);
	actor_kill(&actor);
	fixture_configure(&fixture, "", new_layout);
	fixture_start(&fixture);
	ck_assert(!fixture_object_exists(&fixture, 1));
	ck_assert_uint_eq(fixture_count_objects(&fixture), 1);
}
END_TEST

static bool has_16_clients(void *userdata)
{
	return count_clients(userdata) == 16;
}

/* A process that lives on and closes while there is no daemon, time and again. */
START_TEST(test_close_without_daemon_costs_no_id)
{
	struct mempool_client *clients[62];	/* all ids that there are, but none and the daemon's */
	struct mempool_client *client;
	struct segment *segment;

	fixture_stop(&fixture);
	fixture_configure(&fixture, "", "    max_clients: 62\n"
			  "    pools: [ { chunk_size: 128, chunk_count: 100 } ]\n");
	fixture_start(&fixture);
	segment = map_generation(&fixture, 2);
	for (int i = 0; i < 5; i++) {
		for (int k = 0; k < 16; k++)
			clients[k] = open_client(&fixture);
		/* Those of the last round have gone by then. */
		wait_until(has_16_clients, segment, 30000);
		if (i % 2)
			fixture_kill(&fixture);
		else
			fixture_stop(&fixture);
		for (int k = 0; k < 16; k++)
			ck_assert_int_eq(mempool_client_close(clients[k]), 0);
		/* Tries for a while, in vain. */
		ck_assert_int_eq(try_open(&fixture, 200000000, &client), -ENOTCONN);
		fixture_start(&fixture);
	}
	for (int k = 0; k < 62; k++)
		clients[k] = open_client(&fixture);
	for (int k = 0; k < 62; k++)
		ck_assert_int_eq(mempool_client_close(clients[k]), 0);
	segment_free(segment);
}
END_TEST

/* Nor does it wait for one that does not read: the test would not end. */
START_TEST(test_close_and_open_with_a_stopped_daemon)
{
	struct mempool_client *client;

	client = open_client(&fixture);
	ck_assert_int_eq(kill(fixture.pid, SIGSTOP), 0);
	ck_assert_int_eq(mempool_client_close(client), 0);
	ck_assert_int_eq(kill(fixture.pid, SIGCONT), 0);
	mempool_client_close(open_client(&fixture));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("restart");
	TCase *tcase = tcase_create("restart");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_restart_under_load_is_not_noticed);
	tcase_add_test(tcase, test_close_after_restart_frees_the_record_at_once);
	tcase_add_test(tcase, test_close_without_daemon_is_freed_by_the_next_one);
	tcase_add_test(tcase, test_client_killed_without_daemon_is_reaped_by_the_next_one);
	tcase_add_test(tcase, test_layout_changed_lets_the_old_clients_go_on);
	tcase_add_test(tcase, test_layout_changed_with_nobody_in_it_removes_the_old);
	tcase_add_test(tcase, test_close_without_daemon_costs_no_id);
	tcase_add_test(tcase, test_close_and_open_with_a_stopped_daemon);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
