/* SPDX-License-Identifier: MIT */
/*
 * test-claims.c - claims by plain stores are on while every holder has membarrier(2), and no longer
 *
 * The test is the client: it has a lane, with a chunk that is free for it and a claim under way, as a
 * thread has that is stopped between two lines (shm/lane.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "build_config.h"
#include "fixture.h"
#include "shm/barrier.h"
#include "shm/lane.h"
#include "shm/pool.h"
#include "traced.h"

#define PATIENCE_MS 10000
#define MAX_CALLS 200			/* more than a hello has */

enum { HEARING = 1, DEAF = 2 };		/* nonces */
enum { FREE_CHUNK = 7, CLAIMED_CHUNK = 8 };

static const char plain[] = "    pools: [ { chunk_size: 128, chunk_count: 100 } ]\n";
static const char swap[] = "    claims: swap\n"
			   "    pools: [ { chunk_size: 128, chunk_count: 100 } ]\n";

static struct fixture fixture;
static struct mempool_msg_welcome welcome;	/* of the one with a lane */
static struct segment *segment;
static uint32_t lane;
static uint64_t epoch;
static uint64_t free_word, claimed_word;

static int say_hello(uint64_t nonce)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, nonce);
	int fd = wire_connect(&fixture);

	hello.flags = nonce == HEARING ? MEMPOOL_HELLO_MEMBARRIER : 0;
	wire_send(fd, &hello, sizeof(hello));
	return fd;
}

static int come(uint64_t nonce, struct mempool_msg_welcome *ret_welcome)
{
	int fd = say_hello(nonce);

	wire_expect_welcome(fd, ret_welcome);
	return fd;
}

static bool is_on(void *userdata)
{
	(void)userdata;
	return atomic_load(&segment->header->claims) == 1;
}

static bool is_off(void *userdata)
{
	return !is_on(userdata);
}

static bool is_revoked(void *userdata)
{
	const struct mempool_lane *record = &segment->lanes.records[lane];

	(void)userdata;
	return atomic_load(&record->epoch) > epoch && atomic_load(&record->settled) >= epoch;
}

static _Atomic uint64_t *word(uint32_t index)
{
	return &segment->pools[0].entries[index].word;
}

static uint64_t make_free(uint32_t index)
{
	uint64_t free = word_make(word_generation(atomic_load(word(index))), MEMPOOL_FREE,
				  word_bias(lane, epoch));

	atomic_store(word(index), free);
	return free;
}

/* A chunk that is free for the lane, and a claim of another one under way. */
static void adopt(void)
{
	ck_assert(lane_adopt(&segment->lanes, lane, welcome.holder, &epoch));
	free_word = make_free(FREE_CHUNK);
	claimed_word = make_free(CLAIMED_CHUNK);
	atomic_store(&segment->lanes.records[lane].intent,
		     handle_make(word_generation(claimed_word), 0, CLAIMED_CHUNK));
}

/* What a holder without membarrier may find. */
static void check_off(void)
{
	struct lanes *lanes = &segment->lanes;
	uint64_t now;

	ck_assert_uint_eq(atomic_load(&segment->header->claims), 0);
	for (uint32_t i = 1; i < lanes->n; i++)
		ck_assert_uint_ge(atomic_load(&lanes->records[i].settled) + 1,
				  atomic_load(&lanes->records[i].epoch));
	ck_assert(is_revoked(NULL));
	/* The thread that adopts what it finds now finds that it may not. */
	ck_assert(!lane_adopt(lanes, lane, welcome.holder, &now));
	ck_assert_uint_gt(now, epoch);
	ck_assert_uint_eq(atomic_load(word(FREE_CHUNK)), free_word);
	ck_assert(lane_is_settled(lanes, free_word));
	/* The claim was finished for its thread, and so is nobody else's. */
	ck_assert_uint_eq(atomic_load(word(CLAIMED_CHUNK)),
			  word_claimed(claimed_word, lane << WORD_LANE_SHIFT | welcome.holder));
}

static void setup(void)
{
	uint32_t start = 0;

	fixture_init(&fixture);
	fixture_configure(&fixture, "", plain);
	fixture_start(&fixture);
	close(come(HEARING, &welcome));
	segment = wire_map(&welcome);
	wait_until(is_on, NULL, PATIENCE_MS);
	lane = lane_take(&segment->lanes, welcome.holder, &start);
	ck_assert_uint_ne(lane, LANE_NONE);
	adopt();
}

static void teardown(void)
{
	segment_free(segment);
	fixture_stop(&fixture);
	fixture_deinit(&fixture);
}

START_TEST(test_holder_without_membarrier_finds_claims_off)
{
	struct mempool_msg_welcome deaf;
	int fd = come(DEAF, &deaf);

	check_off();
	/* Until the last one is gone; longer than they rest in any case. */
	wire_bye(come(3, &deaf));
	usleep(1500000);
	ck_assert(is_off(NULL));
	wire_bye(fd);
	wait_until(is_on, NULL, PATIENCE_MS);
	adopt();
}
END_TEST

START_TEST(test_holders_without_membarrier_that_come_at_once_all_wait)
{
	struct mempool_msg_welcome deaf;
	int fds[8];

	for (int i = 0; i < 8; i++)
		fds[i] = say_hello((uint64_t)(DEAF + i));
	for (int i = 0; i < 8; i++) {
		wire_expect_welcome(fds[i], &deaf);
		check_off();
	}
	for (int i = 0; i < 8; i++)
		close(fds[i]);
}
END_TEST

START_TEST(test_holder_that_gives_up_waiting_leaves_claims_to_begin_again)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		say_hello(DEAF);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	wait_until(is_on, NULL, PATIENCE_MS);
	wire_bye(come(HEARING, &welcome));
}
END_TEST

/* It comes back without, too, whatever has become of the daemon that it told. */
START_TEST(test_holder_that_loses_membarrier_ends_claims)
{
	struct mempool_msg message = wire_msg(MEMPOOL_MSG_NO_BARRIER, sizeof(message));
	int fd = come(HEARING, &welcome);

	wire_send(fd, &message, sizeof(message));
	/* Once more tells nothing new. */
	wire_send(fd, &message, sizeof(message));
	wait_until(is_revoked, NULL, PATIENCE_MS);
	wait_until(is_off, NULL, PATIENCE_MS);
	fixture_kill(&fixture);
	fixture_start(&fixture);
	check_off();
	close(fd);
	wire_bye(come(HEARING, &welcome));
	wait_until(is_on, NULL, PATIENCE_MS);
}
END_TEST

START_TEST(test_no_barrier_is_for_clients)
{
	struct mempool_msg message = wire_msg(MEMPOOL_MSG_NO_BARRIER, sizeof(message));
	int fd = wire_connect(&fixture);

	wire_send(fd, &message, sizeof(message));
	wire_expect_refused(fd, -EPROTO, "only a client");
	close(fd);
	ck_assert(is_on(NULL));
}
END_TEST

START_TEST(test_key_counts_with_a_reload)
{
	struct mempool_msg_reloaded reloaded;

	fixture_configure(&fixture, "", swap);
	wire_reload(&fixture, &reloaded);
	ck_assert_int_eq(reloaded.error, 0);
	ck_assert_uint_eq(reloaded.n_relaid, 0);
	wait_until(is_off, NULL, PATIENCE_MS);
	wait_until(is_revoked, NULL, PATIENCE_MS);
	fixture_configure(&fixture, "", plain);
	wire_reload(&fixture, &reloaded);
	wait_until(is_on, NULL, PATIENCE_MS);
}
END_TEST

START_TEST(test_key_counts_for_the_next_daemon)
{
	fixture_kill(&fixture);
	fixture_configure(&fixture, "", swap);
	fixture_start(&fixture);
	check_off();
	fixture_kill(&fixture);
	/* Whatever a member writes there. */
	atomic_store(&segment->header->claims, 1);
	fixture_start(&fixture);
	ck_assert(is_off(NULL));
}
END_TEST

START_TEST(test_next_daemon_goes_on_with_claims)
{
	fixture_kill(&fixture);
	fixture_start(&fixture);
	ck_assert(is_on(NULL));
	ck_assert_uint_eq(atomic_load(&segment->lanes.records[lane].epoch), epoch);
}
END_TEST

/* ---- the daemon is killed ---- */

static int deaf_fd;

/* Not the end of the stream. */
static bool has_answer(void)
{
	struct mempool_msg msg;

	return recv(deaf_fd, &msg, sizeof(msg), MSG_PEEK | MSG_DONTWAIT) > 0;
}

START_TEST(test_daemon_killed_before_every_call_ends_claims_all_the_same)
{
	struct mempool_msg_welcome deaf;
	unsigned int k;
	bool is_in = true;

	for (k = 1; is_in; k++) {
		fixture_kill(&fixture);
		fixture_configure(&fixture, "", plain);
		traced_start(&fixture, traced_ask);
		deaf_fd = say_hello(DEAF);
		is_in = traced_kill_before(&fixture, k, has_answer);
		/* Whoever was welcome may rely on it, with or without a next daemon. */
		if (has_answer())
			check_off();
		close(deaf_fd);
		/* The next one begins with claims of its own, or must end what it finds. */
		fixture_configure(&fixture, "", k % 2 ? swap : plain);
		fixture_start(&fixture);
		deaf_fd = come(DEAF, &deaf);
		check_off();
		wire_bye(deaf_fd);
		fixture_kill(&fixture);
		fixture_configure(&fixture, "", plain);
		fixture_start(&fixture);
		wait_until(is_on, NULL, PATIENCE_MS);
		adopt();
		ck_assert_uint_lt(k, MAX_CALLS);
	}
	printf("killed before %u calls\n", k - 1);
	ck_assert_uint_gt(k, 12);
}
END_TEST

int main(void)
{
	Suite *suite;
	TCase *tcase;
	SRunner *runner;
	int n_failed;

	if (!barrier_is_there()) {
		puts("skipped: no membarrier(2), or a build with a sanitizer");
		return 77;
	}
	suite = suite_create("claims");
	tcase = tcase_create("claims");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 200);
	tcase_add_test(tcase, test_holder_without_membarrier_finds_claims_off);
	tcase_add_test(tcase, test_holders_without_membarrier_that_come_at_once_all_wait);
	tcase_add_test(tcase, test_holder_that_gives_up_waiting_leaves_claims_to_begin_again);
	tcase_add_test(tcase, test_holder_that_loses_membarrier_ends_claims);
	tcase_add_test(tcase, test_no_barrier_is_for_clients);
	tcase_add_test(tcase, test_key_counts_with_a_reload);
	tcase_add_test(tcase, test_key_counts_for_the_next_daemon);
	tcase_add_test(tcase, test_next_daemon_goes_on_with_claims);
	tcase_add_test(tcase, test_daemon_killed_before_every_call_ends_claims_all_the_same);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
