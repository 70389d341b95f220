/* SPDX-License-Identifier: MIT */
/* test-client.c - pools, close, stale clients and forks, without a daemon */
#include "test_clients.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- pools, close, stale ---- */

START_TEST(test_pools_in_the_order_of_the_config)
{
	struct mempool_pool_info info[4];

	must_alloc(client, 10);
	must_alloc(other, 10);
	memset(info, 0xff, sizeof(info));
	ck_assert_int_eq(mempool_client_pools(client, info, 2), 3);
	ck_assert_uint_eq(info[0].chunk_size, 1000);
	ck_assert_uint_eq(info[0].stride, 1024);
	ck_assert_uint_eq(info[0].total, N_MIDDLE);
	ck_assert_uint_eq(info[1].chunk_size, 100);
	ck_assert_uint_eq(info[1].stride, 128);
	ck_assert_uint_eq(info[1].used, 2);
	ck_assert_uint_eq(info[1].free, N_SMALL - 2);
	ck_assert_uint_eq(info[2].chunk_size, UINT64_MAX);	/* n was 2 */
	ck_assert_int_eq(mempool_client_pools(client, info, 4), 3);
	ck_assert_uint_eq(info[2].stride, 8192);
	ck_assert_uint_eq(info[3].chunk_size, UINT64_MAX);
	ck_assert_int_eq(mempool_client_pools(client, NULL, 99), 3);
}
END_TEST

START_TEST(test_close_frees_and_counts_what_was_held)
{
	uint64_t handle;

	for (int i = 0; i < 5; i++)
		must_alloc(client, 10);
	ck_assert_int_eq(mempool_give(client, must_alloc(client, 1000), 1, &handle), 0);
	must_alloc(other, 10);
	ck_assert_int_eq(mempool_client_close(client), 6);
	client = NULL;
	ck_assert_uint_eq(used_in_all(), 1);
	ck_assert_int_eq(mempool_client_close(other), 1);
	other = NULL;
	ck_assert_uint_eq(used_in_all(), 0);
	for (uint32_t i = 0; i < segment->n_pools; i++)
		for (uint32_t j = 0; j < segment->pools[i].n_chunks; j++)
			ck_assert_int_eq(free_list_has(&segment->pools[i].list, j), 1);
}
END_TEST

START_TEST(test_is_stale_when_retired_and_works_on)
{
	ck_assert(!mempool_client_is_stale(client));
	segment_retire(segment);
	ck_assert(mempool_client_is_stale(client));
	ck_assert_int_eq(mempool_free(client, must_alloc(client, 10)), 0);
}
END_TEST

START_TEST(test_new_no_such_holder_einval)
{
	struct mempool_client *none = NULL;

	ck_assert_int_eq(client_new(segment, 0, 0, &none), -EINVAL);
	ck_assert_int_eq(client_new(segment, segment->n_holders, 0, &none), -EINVAL);
	ck_assert_ptr_null(none);
}
END_TEST

/* ---- fork ---- */

/* Run in a child of fork(2); the status tells the line that failed. */
static void in_child(int (*body)(void))
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(body());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_msg(WEXITSTATUS(status) == 0, "case %d failed in the child",
		      WEXITSTATUS(status));
}

static void *held;
static uint64_t given;

static int every_call_says_echild(void)
{
	uint64_t handle;
	uint32_t tag;
	void *chunk;

	errno = 0;
	if (mempool_alloc(client, 10) || errno != ECHILD)
		return 1;
	errno = 0;
	if (mempool_alloc_aligned(client, 10, 8) || errno != ECHILD)
		return 2;
	if (mempool_free(client, held) != -ECHILD)
		return 3;
	if (mempool_usable_size(client, held) != -ECHILD)
		return 4;
	if (mempool_chunk_set_tag(client, held, 1) != -ECHILD)
		return 5;
	if (mempool_chunk_tag(client, held, &tag) != -ECHILD)
		return 6;
	if (mempool_give(client, held, 1, &handle) != -ECHILD)
		return 7;
	if (mempool_take(client, given, &chunk, NULL) != -ECHILD)
		return 8;
	if (mempool_client_pools(client, NULL, 0) != -ECHILD)
		return 9;
	if (mempool_client_is_stale(client))
		return 10;
	if (mempool_free(other, held) != -ECHILD)
		return 11;
	if (mempool_client_close(client) != 0)
		return 12;
	return mempool_client_close(other) == 0 ? 0 : 13;
}

START_TEST(test_fork_child_has_no_client_parent_keeps_its_chunks)
{
	if (!test_fork_wipes())
		return;
	/* As mempool_client_open() does: the memory is not there in the child. */
	ck_assert_int_eq(madvise(segment->memory.base, segment->memory.size, MADV_DONTFORK), 0);
	held = must_alloc(client, 10);
	ck_assert_int_eq(mempool_give(client, must_alloc(client, 10), 1, &given), 0);
	must_alloc(other, 10);
	in_child(every_call_says_echild);

	ck_assert_uint_eq(used(SMALL), 3);
	ck_assert_int_eq(mempool_usable_size(client, held), 100);
	ck_assert_int_eq(mempool_free(client, held), 0);
	ck_assert_int_eq(mempool_client_close(client), 1);
	ck_assert_int_eq(mempool_client_close(other), 1);
	client = other = NULL;
}
END_TEST

static void *exit_as_thread(void *unused)
{
	(void)unused;
	errno = 0;
	if (mempool_alloc(client, 10) || errno != ECHILD)
		return client;
	return NULL;
}

static int child_may_open_its_own(void)
{
	struct segment *again = test_segment_map_again(segment);
	struct mempool_client *own;
	pthread_t thread;
	void *wrong;

	if (client_new(again, TEST_HOLDER + 1, 0, &own) < 0)
		return 1;
	for (int i = 0; i < 5; i++)
		if (!mempool_alloc(own, 10))
			return 2;
	if (pthread_create(&thread, NULL, exit_as_thread, NULL) != 0 ||
	    pthread_join(thread, &wrong) != 0 || wrong)
		return 3;
	if (mempool_client_close(own) != 5)
		return 4;
	return mempool_client_close(client) == 0 ? 0 : 5;
}

START_TEST(test_fork_child_opens_its_own)
{
	if (!test_fork_wipes())
		return;
	mempool_client_close(other);
	other = NULL;
	must_alloc(client, 10);
	in_child(child_may_open_its_own);
	ck_assert_uint_eq(used(SMALL), 1);
}
END_TEST

/* ---- two processes ---- */

enum { N_DRAIN = 1000 };

/* Allocate until nothing is there, free all, and once more; tells how many it got. */
static int drain_in_child(struct segment *from, int start, int report)
{
	struct segment *again = test_segment_map_again(from);
	struct mempool_client *own;
	void *chunk;
	int n = 0;
	char go;

	if (client_new(again, TEST_HOLDER + 1, 0, &own) < 0 || read(start, &go, 1) != 1)
		return 1;
	while ((chunk = mempool_alloc(own, 100)))
		n++;
	if (errno != EAGAIN || write(report, &n, sizeof(n)) != sizeof(n))
		return 2;
	/* Hold them until told. */
	if (read(start, &go, 1) != 1)
		return 3;
	return mempool_client_close(own) == n ? 0 : 4;
}

START_TEST(test_two_processes_drain_a_pool_exactly)
{
	static const struct test_pool thousand[] = { { .chunk_size = 100, .n_chunks = N_DRAIN } };
	struct segment *both = test_segment_new(thousand, 1);
	struct mempool_client *own = client_of(both, TEST_HOLDER, 0);
	int start[2], report[2], theirs, status;
	void *chunks[N_DRAIN + 1];
	pid_t pid;

	for (int round = 0; round < 3; round++) {
		int ours = 0;

		ck_assert_int_eq(pipe(start), 0);
		ck_assert_int_eq(pipe(report), 0);
		pid = fork();
		ck_assert_int_ge(pid, 0);
		if (pid == 0)
			_exit(drain_in_child(both, start[0], report[1]));
		ck_assert_int_eq(write(start[1], "g", 1), 1);
		while (ours <= N_DRAIN && (chunks[ours] = mempool_alloc(own, 100)))
			ours++;
		ck_assert_int_eq(errno, EAGAIN);
		ck_assert_int_eq(read(report[0], &theirs, sizeof(theirs)), sizeof(theirs));
		ck_assert_int_eq(ours + theirs, N_DRAIN);
		assert_no_chunk(own, 100, EAGAIN);
		ck_assert_int_eq(write(start[1], "g", 1), 1);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, 0);
		while (ours-- > 0)
			ck_assert_int_eq(mempool_free(own, chunks[ours]), 0);
		ck_assert_uint_eq(test_segment_used(both, 0), 0);
		close(start[0]);
		close(start[1]);
		close(report[0]);
		close(report[1]);
	}
	mempool_client_close(own);
	segment_free(both);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_pools_in_the_order_of_the_config);
	tcase_add_test(tcase, test_close_frees_and_counts_what_was_held);
	tcase_add_test(tcase, test_is_stale_when_retired_and_works_on);
	tcase_add_test(tcase, test_new_no_such_holder_einval);
	tcase_add_test(tcase, test_fork_child_has_no_client_parent_keeps_its_chunks);
	tcase_add_test(tcase, test_fork_child_opens_its_own);
	tcase_add_test(tcase, test_two_processes_drain_a_pool_exactly);
}

int main(void)
{
	return test_run("client", add_tests);
}
