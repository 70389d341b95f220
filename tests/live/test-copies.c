/* SPDX-License-Identifier: MIT */
/*
 * test-copies.c - two copies of the library in one process
 *
 * The program has one linked into it, a plugin that it loads brings the shared one. Each copy
 * has its own clients, its own caches of each thread, and sees by itself that it was forked.
 * In a program that exports its symbols (IS_EXPORTED), the plugin uses the program's copy.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api.h"
#include "fixture.h"

#define CHUNKS 64
#define ROUNDS 2000
#define THREADS 4

static const char segment_keys[] = "    pools: [ { chunk_size: 64, chunk_count: 64 } ]\n";

static const struct api own = API_TABLE;

/* The two copies, and a client of each. */
static const struct api *apis[2] = { &own, NULL };
static struct mempool_client *clients[2];

static struct fixture fixture;

static void load_plugin(void)
{
	void *plugin = dlopen(PLUGIN, RTLD_NOW | RTLD_LOCAL);

	ck_assert_msg(plugin != NULL, "%s", dlerror());
	apis[1] = dlsym(plugin, "plugin_api");
	ck_assert_ptr_nonnull(apis[1]);
	ck_assert((apis[1]->alloc == own.alloc) == IS_EXPORTED);
}

static void setup(void)
{
	struct mempool_client_options options = { .size = sizeof(options) };

	fixture_init(&fixture);
	fixture_configure(&fixture, "", segment_keys);
	fixture_start(&fixture);
	load_plugin();
	options.socket_path = fixture.socket_path;
	options.segment = fixture.segment;
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(apis[i]->client_open(&options, &clients[i]), 0);
}

static void must_all_be_free(void)
{
	struct mempool_pool_info info;

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(apis[i]->client_pools(clients[i], &info, 1), 1);
		ck_assert_uint_eq(info.free, CHUNKS);
	}
}

static void teardown(void)
{
	must_all_be_free();
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(apis[i]->client_close(clients[i]), 0);
	fixture_stop(&fixture);
	fixture_deinit(&fixture);
}

START_TEST(test_copies_hand_over_to_each_other)
{
	for (int from = 0; from < 2; from++) {
		const struct api *giver = apis[from], *taker = apis[!from];
		struct mempool_client *by = clients[from], *to = clients[!from];
		uint64_t handle;
		const void *shared;
		void *chunk, *taken;

		chunk = giver->alloc(by, 10);
		ck_assert_ptr_nonnull(chunk);
		strcpy(chunk, "a message");
		ck_assert_int_eq(giver->give(by, chunk, 10, &handle), 0);
		ck_assert_int_eq(taker->take(to, handle, &taken, NULL), 0);
		ck_assert_str_eq(taken, "a message");
		ck_assert_int_eq(taker->share(to, taken, 10, &handle), 0);
		ck_assert_int_eq(giver->acquire(by, handle, &shared, NULL), 0);
		ck_assert_int_eq(taker->free(to, taken), 0);
		ck_assert_str_eq(shared, "a message");
		ck_assert_int_eq(giver->free(by, shared), 0);
	}
}
END_TEST

/* Each thread has a cache in each copy, and gives both back when it ends. NULL: all was well. */
static void *use_both(void *mistake)
{
	for (int i = 0; i < ROUNDS; i++) {
		const struct api *api = apis[i % 2];
		void *chunk = api->alloc(clients[i % 2], 64);

		if (!chunk || api->free(clients[i % 2], chunk) < 0)
			return mistake;
	}
	return NULL;
}

START_TEST(test_copies_in_threads_that_use_both)
{
	void *chunks[CHUNKS];
	pthread_t threads[THREADS];
	char unwell;
	void *result;

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, use_both, &unwell), 0);
	for (int i = 0; i < THREADS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &result), 0);
		ck_assert_ptr_null(result);
	}
	for (int by = 0; by < 2; by++) {
		for (int i = 0; i < CHUNKS; i++) {
			chunks[i] = apis[by]->alloc(clients[by], 64);
			ck_assert_ptr_nonnull(chunks[i]);
		}
		for (int i = 0; i < CHUNKS; i++)
			ck_assert_int_eq(apis[by]->free(clients[by], chunks[i]), 0);
	}
}
END_TEST

START_TEST(test_copies_both_see_a_fork)
{
	void *chunks[2];
	int status;
	pid_t pid;

	for (int i = 0; i < 2; i++)
		chunks[i] = apis[i]->alloc(clients[i], 64);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		for (int i = 0; i < 2; i++) {
			errno = 0;
			if (apis[i]->free(clients[i], chunks[i]) != -ECHILD ||
			    apis[i]->alloc(clients[i], 64) || errno != ECHILD ||
			    apis[i]->client_close(clients[i]) != 0)
				_exit(i + 1);
		}
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(apis[i]->free(clients[i], chunks[i]), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("copies");
	TCase *tcase = tcase_create("copies");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_copies_hand_over_to_each_other);
	tcase_add_test(tcase, test_copies_in_threads_that_use_both);
	tcase_add_test(tcase, test_copies_both_see_a_fork);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
