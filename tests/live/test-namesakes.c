/* SPDX-License-Identifier: MIT */
/*
 * test-namesakes.c - a program that exports functions by names of the library's
 *
 * What it does not have itself it calls in the library; no call inside that may lead back to
 * the program. See namesakes.c.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

#include "fixture.h"
#include "mempool.h"

#define SMALL 100
#define LARGE 50
#define MESSAGES 8

int n_namesakes_called(void);

static const char segment_keys[] =
	"    queues: [ { name: queue, capacity: 8 } ]\n"
	"    pools:\n"
	"      - { chunk_size: 64, chunk_count: 100 }\n"
	"      - { chunk_size: 128, chunk_count: 50 }\n";

static struct fixture fixture;
static struct mempool_client *client;

static void setup(void)
{
	struct mempool_client_options options = { .size = sizeof(options) };

	fixture_init(&fixture);
	fixture_configure(&fixture, "", segment_keys);
	fixture_start(&fixture);
	options.socket_path = fixture.socket_path;
	options.segment = fixture.segment;
	ck_assert_int_eq(mempool_client_open(&options, &client), 0);
}

static void teardown(void)
{
	ck_assert_int_eq(mempool_client_close(client), 0);
	ck_assert_int_eq(n_namesakes_called(), 0);
	fixture_stop(&fixture);
	fixture_deinit(&fixture);
}

START_TEST(test_namesakes_are_found_before_the_library)
{
	int (*found)(int, int) = (int (*)(int, int))(uintptr_t)dlsym(RTLD_DEFAULT, "mempool_alloc");

	/* Otherwise the cases below prove nothing. */
	ck_assert(found != NULL);
	ck_assert_int_eq(found(2, 3), 5);
	ck_assert_int_eq(n_namesakes_called(), 1);
	exit(0);
}
END_TEST

START_TEST(test_namesakes_alloc_many_takes_every_chunk)
{
	void *chunks[SMALL + LARGE];

	ck_assert_int_eq(mempool_alloc_many(client, 64, chunks, SMALL + LARGE), SMALL + LARGE);
	errno = 0;
	ck_assert_ptr_null(mempool_alloc_wait(client, 64, 0));
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(mempool_free_many(client, chunks, SMALL + LARGE), SMALL + LARGE);
	chunks[0] = mempool_alloc_wait(client, 64, 0);
	ck_assert_ptr_nonnull(chunks[0]);
	ck_assert_int_eq(mempool_free_many(client, chunks, 1), 1);
}
END_TEST

START_TEST(test_namesakes_messages_go_round)
{
	struct mempool_queue *queue;
	void *chunks[MESSAGES];
	size_t lengths[MESSAGES] = { 0 };

	ck_assert_int_eq(mempool_queue_open(client, "queue", &queue), 0);
	ck_assert_int_eq(mempool_alloc_many(client, 64, chunks, MESSAGES), MESSAGES);
	ck_assert_int_eq(mempool_queue_send_many(queue, chunks, lengths, MESSAGES, 0), MESSAGES);
	ck_assert_int_eq(mempool_queue_receive_many(queue, chunks, lengths, MESSAGES, 0), MESSAGES);
	ck_assert_int_eq(mempool_free_many(client, chunks, MESSAGES), MESSAGES);
	mempool_queue_close(queue);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("namesakes");
	TCase *first = tcase_create("first"), *tcase = tcase_create("namesakes");
	SRunner *runner;
	int n_failed;

	tcase_add_exit_test(first, test_namesakes_are_found_before_the_library, 0);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_namesakes_alloc_many_takes_every_chunk);
	tcase_add_test(tcase, test_namesakes_messages_go_round);
	suite_add_tcase(suite, first);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
