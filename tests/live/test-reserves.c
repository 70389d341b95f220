/* SPDX-License-Identifier: MIT */
/*
 * test-reserves.c - the last chunks of a pool are for the users that the config names
 *
 * One process as a user that is named, one as another. Only root can be other users.
 */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actor.h"
#include "shm/holder.h"

#define NAMED 54321
#define OTHER 54322
#define NAMED_GROUP 54400

enum { N_CHUNKS = 40, N_RESERVED = 10 };

static struct fixture fixture;

static void configure(int n_reserved, const char *named)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "    allow: { users: [ 54321, 54322 ] }\n"
		 "    fallback: false\n"
		 "    pools:\n"
		 "      - { chunk_size: 64, chunk_count: 5 }\n"
		 "      - { chunk_size: 128, chunk_count: %d, reserve: { chunk_count: %d, %s } }\n"
		 "    queues: [ { name: jobs, capacity: 64 } ]\n",
		 N_CHUNKS, n_reserved, named);
	fixture_configure(&fixture, "", text);
}

static void setup(void)
{
	fixture_init(&fixture);
	configure(N_RESERVED, "users: [ 54321 ]");
	fixture_start(&fixture);
}

static void teardown(void)
{
	fixture_stop(&fixture);
	fixture_deinit(&fixture);
}

static void become(uint64_t uid, uint64_t group)
{
	const gid_t own = (gid_t)group;

	ck_assert_int_eq(setgroups(group ? 1 : 0, &own), 0);
	ck_assert_int_eq(setresgid((gid_t)uid, (gid_t)uid, (gid_t)uid), 0);
	ck_assert_int_eq(setresuid((uid_t)uid, (uid_t)uid, (uid_t)uid), 0);
}

/* What an actor is told to do; it answers with a number. */
enum { TAKE_ALL = 1, FREE_ALL, SEND_LAST, STAY };

/* Told who it is and its group; then takes all it can get, or gives it back, until STAY. */
static void run_greedy(const struct fixture *with, int fd)
{
	uint64_t uid = hear(fd), group = hear(fd), order;
	struct mempool_client *client;
	struct mempool_queue *queue;
	void *own[N_CHUNKS + 1];
	int n = 0;

	become(uid, group);
	client = open_client(with);
	ck_assert_int_eq(mempool_queue_open(client, "jobs", &queue), 0);
	while ((order = hear(fd)) != STAY) {
		if (order == TAKE_ALL) {
			while (n <= N_CHUNKS && (own[n] = mempool_alloc(client, 128)))
				n++;
			ck_assert_int_eq(errno, EAGAIN);
		}
		while (order == FREE_ALL && n > 0)
			ck_assert_int_eq(mempool_free(client, own[--n]), 0);
		if (order == SEND_LAST)
			ck_assert_int_eq(mempool_queue_send(queue, own[--n], 128, 0), 0);
		tell(fd, (uint64_t)n);
	}
	mempool_queue_close(queue);
	ck_assert_int_eq(mempool_client_close(client), n);
}

static void start(struct actor *actor, uint64_t uid, uint64_t group)
{
	actor_start(actor, &fixture, run_greedy);
	tell(actor->fd, uid);
	tell(actor->fd, group);
}

static void order(const struct actor *actor, uint64_t what, uint64_t n_then)
{
	tell(actor->fd, what);
	expect_to_hear(actor->fd, n_then);
}

static void end(struct actor *actor)
{
	tell(actor->fd, STAY);
	actor_join(actor);
}

START_TEST(test_reserve_is_for_the_named_user)
{
	struct actor named, other;

	start(&named, NAMED, 0);
	start(&other, OTHER, 0);
	order(&other, TAKE_ALL, N_CHUNKS - N_RESERVED);
	order(&named, TAKE_ALL, N_RESERVED);
	order(&other, FREE_ALL, 0);
	order(&named, TAKE_ALL, N_CHUNKS);
	order(&other, TAKE_ALL, 0);
	order(&named, FREE_ALL, 0);
	order(&other, TAKE_ALL, N_CHUNKS - N_RESERVED);
	end(&named);
	end(&other);
}
END_TEST

START_TEST(test_reserve_is_for_the_named_group)
{
	struct mempool_msg_reloaded reloaded;
	struct actor before, named, other;

	start(&before, NAMED, NAMED_GROUP);
	order(&before, TAKE_ALL, N_CHUNKS);
	order(&before, FREE_ALL, 0);
	/* Who may is no layout: it is so for those who come then. */
	configure(N_RESERVED, "groups: [ 54400 ]");
	wire_reload(&fixture, &reloaded);
	ck_assert_int_eq(reloaded.error, 0);
	ck_assert_uint_eq(reloaded.n_relaid, 0);
	start(&named, OTHER, NAMED_GROUP);
	start(&other, NAMED, 0);
	order(&other, TAKE_ALL, N_CHUNKS - N_RESERVED);
	order(&named, TAKE_ALL, N_RESERVED);
	order(&named, FREE_ALL, 0);
	order(&before, TAKE_ALL, N_RESERVED);
	end(&before);
	end(&named);
	end(&other);
}
END_TEST

/* Nobody has it but whom the config names: root is nobody special. */
START_TEST(test_reserve_is_not_roots)
{
	struct mempool_client *client = open_client(&fixture);
	struct mempool_pool_info pools[3];

	ck_assert_int_eq(mempool_client_pools(client, pools, 3), 3);
	ck_assert_uint_eq(pools[1].total, N_CHUNKS - N_RESERVED);
	ck_assert_uint_eq(pools[2].total, N_RESERVED);
	ck_assert_uint_eq(pools[2].flags, MEMPOOL_POOL_RESERVE | MEMPOOL_POOL_REFUSED);
	for (int i = 0; i < N_CHUNKS - N_RESERVED; i++)
		ck_assert_ptr_nonnull(mempool_alloc(client, 128));
	ck_assert_ptr_null(mempool_alloc(client, 128));
	ck_assert_int_eq(mempool_client_close(client), N_CHUNKS - N_RESERVED);
}
END_TEST

/* What the operator sees: one pool, and who may have the last ones; the next daemon knows, too. */
START_TEST(test_reserve_right_is_known_after_a_restart)
{
	struct actor named, other;
	struct segment *segment;
	struct status status;
	struct holder record;
	unsigned int n_found = 0;

	start(&named, NAMED, 0);
	start(&other, OTHER, 0);
	order(&named, TAKE_ALL, N_CHUNKS);
	order(&other, TAKE_ALL, 0);
	for (int i = 0; i < 2; i++) {
		status_read(&fixture, &status);
		ck_assert_uint_eq(status.n_pools, 2);
		ck_assert_uint_eq(status.pools[1].total, N_CHUNKS);
		ck_assert_uint_eq(status.pools[1].used, N_CHUNKS);
		ck_assert_uint_eq(status_find(&status, named.pid)->chunks, N_CHUNKS);
		segment = map_generation(&fixture, 1);
		for (uint32_t id = holder_first_client(segment); id < segment->n_holders; id++) {
			ck_assert_int_eq(holder_read(segment, id, &record), 0);
			if (record.state != MEMPOOL_HOLDER_LIVE)
				continue;
			n_found++;
			ck_assert_uint_eq(record.reserves,
					  record.pid == (uint32_t)named.pid ? UINT64_C(1) << 2 : 0);
		}
		segment_free(segment);
		ck_assert_uint_eq(n_found, 2 * (unsigned int)(i + 1));
		fixture_kill(&fixture);
		fixture_start(&fixture);
	}
	order(&named, FREE_ALL, 0);
	order(&named, TAKE_ALL, N_CHUNKS);
	actor_kill(&named);
	end(&other);
}
END_TEST

static bool has_moved(void *segment)
{
	return count_used(segment) == 3;
}

/* A reserve of another size is another layout; what was sent out of one goes on in the new one. */
START_TEST(test_reserve_of_another_size_moves_its_messages)
{
	struct mempool_msg_reloaded reloaded;
	struct actor named, other;
	struct segment *segment;

	start(&named, NAMED, 0);
	start(&other, OTHER, 0);
	order(&named, TAKE_ALL, N_CHUNKS);
	/* Those that were taken last are the reserve's. */
	for (uint64_t i = 1; i <= 3; i++)
		order(&named, SEND_LAST, N_CHUNKS - i);
	configure(N_RESERVED - 1, "users: [ 54321 ]");
	wire_reload(&fixture, &reloaded);
	ck_assert_int_eq(reloaded.error, 0);
	ck_assert_uint_eq(reloaded.n_relaid, 1);
	ck_assert_uint_eq(reloaded.n_moving, 3);
	order(&named, FREE_ALL, 0);
	end(&named);
	end(&other);
	segment = map_generation(&fixture, 2);
	wait_until(has_moved, segment, 5000);
	segment_free(segment);
	/* All are in chunks for everybody, since there were some. */
	start(&other, OTHER, 0);
	order(&other, TAKE_ALL, N_CHUNKS - (N_RESERVED - 1) - 3);
	end(&other);
}
END_TEST

/* What was sent by one who may not have it goes into none of a new reserve. */
START_TEST(test_reserve_is_not_filled_by_a_move)
{
	struct mempool_msg_reloaded reloaded;
	struct actor other;

	start(&other, OTHER, 0);
	order(&other, TAKE_ALL, N_CHUNKS - N_RESERVED);
	for (uint64_t n = N_CHUNKS - N_RESERVED; n > 0; n--)
		order(&other, SEND_LAST, n - 1);
	configure(2 * N_RESERVED, "users: [ 54321 ]");
	wire_reload(&fixture, &reloaded);
	ck_assert_int_eq(reloaded.error, 0);
	ck_assert_uint_eq(reloaded.n_moving, N_CHUNKS - 2 * N_RESERVED);
	ck_assert_uint_eq(reloaded.n_without_place, N_RESERVED);
	end(&other);
}
END_TEST

int main(void)
{
	Suite *suite;
	TCase *tcase;
	SRunner *runner;
	int n_failed;

	if (skip_unless_root("other users"))
		return 77;
	suite = suite_create("reserves");
	tcase = tcase_create("reserves");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_reserve_is_for_the_named_user);
	tcase_add_test(tcase, test_reserve_is_for_the_named_group);
	tcase_add_test(tcase, test_reserve_is_not_roots);
	tcase_add_test(tcase, test_reserve_right_is_known_after_a_restart);
	tcase_add_test(tcase, test_reserve_of_another_size_moves_its_messages);
	tcase_add_test(tcase, test_reserve_is_not_filled_by_a_move);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
