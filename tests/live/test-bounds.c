/* SPDX-License-Identifier: MIT */
/*
 * test-bounds.c - a client holds what the config lets it, and others have the rest
 *
 * The daemon says it when a client comes, and the next daemon the same. Only root can be other users.
 */
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "actor.h"
#include "support/control.h"

#define GUEST 54321

enum { MAX_CHUNKS = 8, N_CHUNKS = 3 * MAX_CHUNKS, N_TURNS = 2000, STRIDE = 128 };

static const char keys[] = "    allow: anybody\n"
			   "    max_chunks_per_client: 8\n"
			   "    bounds: [ { users: [ 54321 ], max_bytes_per_client: 384 } ]\n"
			   "    pools: [ { chunk_size: 100, chunk_count: 24 } ]\n"
			   "    queues: [ { name: jobs, capacity: 8 } ]\n"
			   "    topics: [ { name: camera, capacity: 1 } ]\n";

static struct fixture fixture;

static void setup(void)
{
	fixture_init(&fixture);
	fixture_configure(&fixture, "", keys);
	fixture_start(&fixture);
}

static void teardown(void)
{
	fixture_stop(&fixture);
	fixture_deinit(&fixture);
}

/* Until it is refused. Return: how many it has got. */
static uint64_t take_all(struct mempool_client *client, void *chunks[static N_CHUNKS])
{
	uint64_t n = 0;

	while (n < N_CHUNKS && (chunks[n] = mempool_alloc(client, 100)))
		n++;
	ck_assert_int_eq(errno, EDQUOT);
	return n;
}

static void free_all(struct mempool_client *client, void **chunks, uint64_t n)
{
	while (n-- > 0)
		ck_assert_int_eq(mempool_free(client, chunks[n]), 0);
}

/* ---- a greedy one ---- */

/* As fast as it can, all that it can get, and in each way; by two threads. */
static void *grab(void *client)
{
	void *chunks[N_CHUNKS], *again, *more;
	uint64_t handle;

	for (int i = 0; i < N_TURNS; i++) {
		uint64_t n = take_all(client, chunks);

		if (n > 0) {
			ck_assert_int_eq(mempool_give(client, chunks[0], 1, &handle), 0);
			ck_assert_int_eq(mempool_take(client, handle, &again, NULL), 0);
			ck_assert_int_eq(mempool_share(client, again, 1, &handle), 0);
			/* The other thread may have freed one meanwhile. */
			more = mempool_alloc_wait(client, 100, 0);
			ck_assert_int_eq(more ? mempool_free(client, more) : -errno,
					 more ? 0 : -EDQUOT);
		}
		free_all(client, chunks, n);
	}
	return NULL;
}

static void be_greedy(const struct fixture *of, int fd)
{
	struct mempool_client *client = open_client(of);
	void *chunks[N_CHUNKS];
	pthread_t thread;

	tell(fd, 1);
	hear(fd);
	ck_assert_int_eq(pthread_create(&thread, NULL, grab, client), 0);
	grab(client);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	/* Alone, it has it all. */
	tell(fd, take_all(client, chunks));
	hear(fd);
	mempool_client_close(client);
}

/* One who takes what it may, again and again: never is there less. */
static void be_modest(const struct fixture *of, int fd)
{
	struct mempool_client *client = open_client(of);
	void *chunks[N_CHUNKS];
	uint64_t n_turns = 0;

	tell(fd, 1);
	hear(fd);
	for (; n_turns < N_TURNS; n_turns++) {
		uint64_t n = take_all(client, chunks);

		ck_assert_uint_eq(n, MAX_CHUNKS);
		free_all(client, chunks, n);
	}
	tell(fd, n_turns);
	hear(fd);
	mempool_client_close(client);
}

START_TEST(test_bounds_greedy_one_leaves_the_others_theirs)
{
	struct actor greedy, modest[2];
	const struct status_holder *holder;
	static struct status status;

	/* Each alone could have all. */
	actor_start(&greedy, &fixture, be_greedy);
	actor_start(&modest[0], &fixture, be_modest);
	actor_start(&modest[1], &fixture, be_modest);
	expect_to_hear(greedy.fd, 1);
	expect_to_hear(modest[0].fd, 1);
	expect_to_hear(modest[1].fd, 1);
	tell(greedy.fd, 0);
	tell(modest[0].fd, 0);
	tell(modest[1].fd, 0);
	for (int i = 0; i < 10; i++) {
		status_read(&fixture, &status);
		holder = status_find(&status, greedy.pid);
		ck_assert_ptr_nonnull(holder);
		ck_assert_uint_eq(holder->max_chunks, MAX_CHUNKS);
		ck_assert_uint_eq(holder->max_bytes, 0);
	}
	expect_to_hear(modest[0].fd, N_TURNS);
	expect_to_hear(modest[1].fd, N_TURNS);
	expect_to_hear(greedy.fd, MAX_CHUNKS);
	status_read(&fixture, &status);
	holder = status_find(&status, greedy.pid);
	ck_assert_uint_eq(holder->chunks, MAX_CHUNKS);
	ck_assert_uint_eq(holder->stride_bytes, MAX_CHUNKS * STRIDE);
	tell(greedy.fd, 0);
	tell(modest[0].fd, 0);
	tell(modest[1].fd, 0);
	actor_join(&greedy);
	actor_join(&modest[0]);
	actor_join(&modest[1]);
}
END_TEST

/* ---- who has which ---- */

static void be_guest(const struct fixture *of, int fd)
{
	struct mempool_client *client;
	void *chunks[N_CHUNKS];

	ck_assert_int_eq(setgroups(0, NULL), 0);
	ck_assert_int_eq(setresgid(GUEST, GUEST, GUEST), 0);
	ck_assert_int_eq(setresuid(GUEST, GUEST, GUEST), 0);
	client = open_client(of);
	tell(fd, take_all(client, chunks));
	hear(fd);
	mempool_client_close(client);
}

START_TEST(test_bounds_rule_is_for_its_user)
{
	static struct status status;
	struct actor guest;

	if (skip_unless_root("another user is needed"))
		return;
	actor_start(&guest, &fixture, be_guest);
	expect_to_hear(guest.fd, 3);
	status_read(&fixture, &status);
	ck_assert_uint_eq(status_find(&status, guest.pid)->max_chunks, 0);
	ck_assert_uint_eq(status_find(&status, guest.pid)->max_bytes, 3 * STRIDE);
	tell(guest.fd, 0);
	actor_join(&guest);
}
END_TEST

START_TEST(test_bounds_stay_as_they_were_told)
{
	static const char other_keys[] = "    allow: anybody\n"
					 "    max_chunks_per_client: 4\n"
					 "    pools: [ { chunk_size: 100, chunk_count: 24 } ]\n"
					 "    queues: [ { name: jobs, capacity: 8 } ]\n"
					 "    topics: [ { name: camera, capacity: 1 } ]\n";
	struct mempool_client *before = open_client(&fixture), *later;
	struct mempool_msg_reloaded reloaded;
	static struct status status;
	void *chunks[N_CHUNKS];

	fixture_configure(&fixture, "", other_keys);
	wire_reload(&fixture, &reloaded);
	ck_assert_int_eq(reloaded.error, 0);
	ck_assert_uint_eq(reloaded.n_relaid, 0);
	later = open_client(&fixture);
	ck_assert_uint_eq(take_all(later, chunks), 4);
	free_all(later, chunks, 4);
	ck_assert_uint_eq(take_all(before, chunks), MAX_CHUNKS);
	free_all(before, chunks, MAX_CHUNKS);
	/* So says the next daemon, to whom it does not come back. */
	mempool_client_close(later);
	fixture_kill(&fixture);
	fixture_start(&fixture);
	status_read(&fixture, &status);
	ck_assert_uint_eq(status_find(&status, getpid())->max_chunks, MAX_CHUNKS);
	mempool_client_close(before);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bounds");
	TCase *tcase = tcase_create("bounds");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_bounds_greedy_one_leaves_the_others_theirs);
	tcase_add_test(tcase, test_bounds_rule_is_for_its_user);
	tcase_add_test(tcase, test_bounds_stay_as_they_were_told);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
