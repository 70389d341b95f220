/* SPDX-License-Identifier: MIT */
/* test-alloc_wait.c - waiting while every chunk that fits is held: who wakes whom, and how it ends */
#include "test_segment.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "build_config.h"
#include "client/client.h"
#include "client/locate.h"
#include "shm/barrier.h"
#include "shm/eventcount.h"
#include "shm/holder.h"
#include "shm/reap.h"
#include "support/control.h"

enum { SMALL = 64, LARGE = 256, N_SMALL = 2, N_LARGE = 1 };
#define MS INT64_C(1000000)
#define SLICE_MS ((double)EVENTCOUNT_SLICE_NS / MS)

static struct segment *segment;
static struct mempool_client *owner, *waiter;
static void *small[N_SMALL], *large;		/* all there are, held by the owner */

static void make_clients(const struct test_pool *pools, size_t n_pools, bool fallback)
{
	struct config config;

	test_config_init(&config, pools, n_pools);
	config.fallback = fallback;
	segment = test_segment_new_of(&config);
	config_deinit(&config);
	ck_assert_int_eq(client_new(test_segment_view(segment), holder_first_client(segment), 0,
				    &owner), 0);
	ck_assert_int_eq(client_new(test_segment_view(segment), holder_first_client(segment) + 1,
				    0, &waiter), 0);
}

static void make(bool fallback)
{
	static const struct test_pool pools[] = {
		{ .chunk_size = SMALL, .n_chunks = N_SMALL, .cache = 4 },
		{ .chunk_size = LARGE, .n_chunks = N_LARGE, .cache = 4 },
	};

	make_clients(pools, ARRAY_SIZE(pools), fallback);
	large = mempool_alloc(owner, LARGE);
	ck_assert_ptr_nonnull(large);
	for (int i = 0; i < N_SMALL; i++) {
		small[i] = mempool_alloc(owner, SMALL);
		ck_assert_ptr_nonnull(small[i]);
	}
}

static void setup(void)
{
	make(true);
}

static void teardown(void)
{
	mempool_client_close(waiter);
	mempool_client_close(owner);
	ck_assert_uint_eq(test_segment_used(segment, 0) + test_segment_used(segment, 1), 0);
	segment_free(segment);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 * MS + now.tv_nsec;
}

static void pause_ms(int64_t ms)
{
	struct timespec pause = { ms / 1000, ms % 1000 * MS };

	nanosleep(&pause, NULL);
}

/* A thread that waits for one chunk. */
struct sleeper {
	pthread_t thread;
	size_t size;
	int64_t timeout_ns;
	void *chunk;
	int error;
	int64_t took_ns;
	_Atomic bool is_done;
};

static void *sleep_for_chunk(void *userdata)
{
	struct sleeper *sleeper = userdata;
	int64_t begin = now_ns();

	sleeper->chunk = mempool_alloc_wait(waiter, sleeper->size, sleeper->timeout_ns);
	sleeper->error = errno;
	sleeper->took_ns = now_ns() - begin;
	atomic_store(&sleeper->is_done, true);
	return NULL;
}

static void start(struct sleeper *sleeper, size_t size, int64_t timeout_ns)
{
	*sleeper = (struct sleeper){ .size = size, .timeout_ns = timeout_ns };
	ck_assert_int_eq(pthread_create(&sleeper->thread, NULL, sleep_for_chunk, sleeper), 0);
}

/* Until it, or some other one, has said that it sleeps; and a while, to really do so. */
static void wait_until_asleep(void)
{
	while (!eventcount_is_armed(&segment->header->chunk_freed))
		pause_ms(1);
	pause_ms(20);
}

static void must_have_woken(struct sleeper *sleeper, void *chunk)
{
	struct control control;

	control_start(&control);
	pthread_join(sleeper->thread, NULL);
	/* By the free, not because its slice was over. */
	ck_assert_double_lt(control_stop(&control), SLICE_MS / 2);
	ck_assert_ptr_eq(sleeper->chunk, chunk);
}

START_TEST(test_alloc_wait_something_free_returns_at_once)
{
	void *chunk;

	ck_assert_int_eq(mempool_free(owner, small[1]), 0);
	chunk = mempool_alloc_wait(waiter, SMALL, -1);
	ck_assert_ptr_eq(chunk, small[1]);
	/* And nothing was announced. */
	ck_assert(!eventcount_is_armed(&segment->header->chunk_freed));
	errno = 0;
	ck_assert_ptr_null(mempool_alloc_wait(waiter, SMALL, 0));
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(mempool_free(waiter, chunk), 0);
}
END_TEST

START_TEST(test_alloc_wait_timeout_is_kept)
{
	int64_t begin = now_ns();
	struct control control;

	control_start(&control);
	errno = 0;
	ck_assert_ptr_null(mempool_alloc_wait(waiter, SMALL, 30 * MS));
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_ge(now_ns() - begin, 30 * MS);
	ck_assert_double_lt(control_stop(&control), 5000);
}
END_TEST

START_TEST(test_alloc_wait_bad_calls_do_not_wait)
{
	errno = 0;
	ck_assert_ptr_null(mempool_alloc_wait(NULL, SMALL, -1));
	ck_assert_int_eq(errno, EINVAL);
	errno = 0;
	ck_assert_ptr_null(mempool_alloc_wait(waiter, 0, -1));
	ck_assert_int_eq(errno, EINVAL);
	errno = 0;
	ck_assert_ptr_null(mempool_alloc_wait(waiter, LARGE + 1, -1));
	ck_assert_int_eq(errno, EMSGSIZE);
}
END_TEST

START_TEST(test_alloc_wait_woken_by_another_threads_free)
{
	struct sleeper sleeper;

	for (int i = 0; i < 5; i++) {
		start(&sleeper, SMALL, -1);
		wait_until_asleep();
		ck_assert(!atomic_load(&sleeper.is_done));
		ck_assert_int_eq(mempool_free(owner, small[0]), 0);
		must_have_woken(&sleeper, small[0]);
		ck_assert_int_eq(mempool_free(waiter, sleeper.chunk), 0);
		ck_assert_ptr_eq(mempool_alloc(owner, SMALL), small[0]);
	}
}
END_TEST

/* The larger pool serves, if the config says so; then each pool that fits may wake. */
START_TEST(test_alloc_wait_woken_by_a_larger_chunk)
{
	struct sleeper sleeper;

	start(&sleeper, SMALL, -1);
	wait_until_asleep();
	ck_assert_int_eq(mempool_free(owner, large), 0);
	must_have_woken(&sleeper, large);
	ck_assert_int_eq(mempool_free(waiter, large), 0);
}
END_TEST

/* Freed by one who was stopped before he could tell: found when the slice is over. */
START_TEST(test_alloc_wait_looks_again_after_a_slice)
{
	struct sleeper sleeper;
	struct control control;
	uint32_t index;
	const struct pool *pool;

	control_start(&control);
	start(&sleeper, SMALL, 5 * EVENTCOUNT_SLICE_NS);
	wait_until_asleep();
	ck_assert_int_eq(client_locate(owner, small[1], &pool, &index), 0);
	ck_assert_int_eq(pool_release(pool, index, owner->holder, true), 0);
	pthread_join(sleeper.thread, NULL);
	ck_assert_ptr_eq(sleeper.chunk, small[1]);
	ck_assert_double_lt(control_stop(&control), 2 * SLICE_MS);
	ck_assert_int_eq(mempool_free(waiter, small[1]), 0);
}
END_TEST

/* More words than a scan reads between two looks at the clock. */
#define N_MANY 262144

/*
 * The longest timeout there is. Its end is not before its beginning: then each look would stop
 * at the first look at the clock, and what is free beyond would never be found.
 */
START_TEST(test_alloc_wait_for_ages_looks_at_all_words)
{
	static const struct test_pool many[] = { { .chunk_size = SMALL, .n_chunks = N_MANY } };
	static const uint32_t far_apart[] = { 0, N_MANY / 2 };
	const struct pool *pool;

	make_clients(many, ARRAY_SIZE(many), false);
	pool = &segment->pools[0];
	for (uint32_t i = 0; i < N_MANY; i++)
		ck_assert_ptr_nonnull(mempool_alloc(owner, SMALL));
	/* The scan begins anywhere, but not near to both. */
	for (size_t i = 0; i < ARRAY_SIZE(far_apart); i++) {
		struct sleeper sleeper;

		start(&sleeper, SMALL, INT64_MAX);
		wait_until_asleep();
		ck_assert_int_eq(pool_release(pool, far_apart[i], owner->holder, true), 0);
		for (int64_t begin = now_ns(); !atomic_load(&sleeper.is_done); pause_ms(10))
			ck_assert_int_lt(now_ns() - begin, 30 * EVENTCOUNT_SLICE_NS);
		pthread_join(sleeper.thread, NULL);
		ck_assert_ptr_eq(sleeper.chunk, pool_chunk(pool, far_apart[i]));
	}
	teardown();
}
END_TEST

/* This thread has no membarrier from here on. false: this machine has no filters. */
static bool refuse_membarrier(void)
{
	struct sock_filter lines[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { ARRAY_SIZE(lines), lines };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

static void *sleep_without_membarrier(void *userdata)
{
	if (!refuse_membarrier())
		return userdata;
	sleep_for_chunk(userdata);
	return NULL;
}

/* How long after a free that tells nobody it is found; -1: not tried. */
static int64_t found_after_ns(void *(*sleep_so)(void *))
{
	struct sleeper sleeper = { .size = SMALL, .timeout_ns = -1 };
	const struct pool *pool;
	void *skipped;
	uint32_t index;
	int64_t begin;

	ck_assert_int_eq(pthread_create(&sleeper.thread, NULL, sleep_so, &sleeper), 0);
	pause_ms(50);
	ck_assert_int_eq(client_locate(owner, small[1], &pool, &index), 0);
	begin = now_ns();
	ck_assert_int_eq(pool_release(pool, index, owner->holder, true), 0);
	pthread_join(sleeper.thread, &skipped);
	if (skipped)
		return -1;
	ck_assert_ptr_eq(sleeper.chunk, small[1]);
	ck_assert_int_eq(mempool_free(waiter, small[1]), 0);
	ck_assert_ptr_eq(mempool_alloc(owner, SMALL), small[1]);
	return now_ns() - begin;
}

/*
 * A free that was not told of the dry bit wakes nobody. Without a membarrier any free may be
 * one, so such a sleeper looks soon, and others when their slice is over.
 */
START_TEST(test_alloc_wait_without_membarrier_looks_again_soon)
{
	int64_t deaf_ns = found_after_ns(sleep_without_membarrier);

	if (deaf_ns < 0)
		printf("skipped: no seccomp filters here\n");
	else if (barrier_all())
		ck_assert_int_lt(deaf_ns, found_after_ns(sleep_for_chunk) / 2);
}
END_TEST

START_TEST(test_alloc_wait_without_fallback_waits_for_its_pool)
{
	struct sleeper sleeper;

	make(false);
	start(&sleeper, SMALL, -1);
	wait_until_asleep();
	ck_assert_int_eq(mempool_free(owner, large), 0);
	pause_ms(50);
	ck_assert(!atomic_load(&sleeper.is_done));
	ck_assert_int_eq(mempool_free(owner, small[1]), 0);
	must_have_woken(&sleeper, small[1]);
	teardown();
}
END_TEST

/* A large one waits, and small ones are freed: looked at again, and slept on. */
START_TEST(test_alloc_wait_too_small_wakes_for_nothing)
{
	struct sleeper sleeper;

	start(&sleeper, LARGE, 200 * MS);
	wait_until_asleep();
	ck_assert_int_eq(mempool_free(owner, small[0]), 0);
	ck_assert_int_eq(mempool_free(owner, small[1]), 0);
	pthread_join(sleeper.thread, NULL);
	ck_assert_ptr_null(sleeper.chunk);
	ck_assert_int_eq(sleeper.error, EAGAIN);
	ck_assert_int_ge(sleeper.took_ns, 200 * MS);
}
END_TEST

/* Each free serves one, and none of the others stays asleep beside a free chunk. */
START_TEST(test_alloc_wait_each_free_serves_one_of_several)
{
	struct sleeper sleepers[N_SMALL + N_LARGE];
	void *chunks[] = { small[0], small[1], large };

	for (size_t i = 0; i < ARRAY_SIZE(sleepers); i++)
		start(&sleepers[i], SMALL, -1);
	for (size_t i = 0; i < ARRAY_SIZE(chunks); i++) {
		struct control control;
		size_t n_done;

		wait_until_asleep();
		ck_assert_int_eq(mempool_free(owner, chunks[i]), 0);
		control_start(&control);
		do {
			pause_ms(1);
			n_done = 0;
			for (size_t k = 0; k < ARRAY_SIZE(sleepers); k++)
				n_done += atomic_load(&sleepers[k].is_done);
		} while (n_done == i && control_ms(&control) < SLICE_MS / 2);
		control_stop(&control);
		ck_assert_uint_eq(n_done, i + 1);
	}
	for (size_t i = 0; i < ARRAY_SIZE(sleepers); i++) {
		pthread_join(sleepers[i].thread, NULL);
		ck_assert_ptr_nonnull(sleepers[i].chunk);
	}
}
END_TEST

START_TEST(test_alloc_wait_woken_when_the_dead_are_reaped)
{
	struct sleeper sleeper;

	start(&sleeper, LARGE, -1);
	wait_until_asleep();
	ck_assert_int_eq(reap_holder(segment, owner->holder), N_SMALL + N_LARGE);
	must_have_woken(&sleeper, large);
}
END_TEST

/* Pools of one size are one class: a free in any of them wakes. */
START_TEST(test_alloc_wait_woken_by_a_chunk_of_the_same_size)
{
	static const struct test_pool same[] = {
		{ .chunk_size = SMALL, .n_chunks = 1 },
		{ .chunk_size = SMALL, .n_chunks = 1 },
	};
	void *chunk = NULL;
	struct sleeper sleeper;

	make_clients(same, ARRAY_SIZE(same), false);
	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		ck_assert_ptr_nonnull(chunk = mempool_alloc(owner, SMALL));
	start(&sleeper, SMALL, -1);
	wait_until_asleep();
	ck_assert_int_eq(mempool_free(owner, chunk), 0);
	must_have_woken(&sleeper, chunk);
	teardown();
}
END_TEST

START_TEST(test_alloc_wait_woken_before_a_sweep_is_over)
{
	static const struct test_pool two_leaves[] = {
		{ .chunk_size = SMALL, .n_chunks = 128 },
	};
	struct sleeper sleeper;
	struct reap reap;

	make_clients(two_leaves, 1, false);
	for (uint32_t i = 0; i < two_leaves[0].n_chunks; i++)
		ck_assert_ptr_nonnull(mempool_alloc(owner, SMALL));
	start(&sleeper, SMALL, -1);
	wait_until_asleep();
	ck_assert_int_eq(reap_init(&reap, segment), 0);
	reap_add(&reap, owner->holder);
	do
		ck_assert(!reap_step(&reap, 64));
	while (reap.n_freed == 0);
	must_have_woken(&sleeper, pool_chunk(&segment->pools[0], 0));
	reap_deinit(&reap);
	teardown();
}
END_TEST

static void on_signal(int number)
{
	(void)number;
}

static void *send_signals(void *thread)
{
	/* Again and again: the first may come before it sleeps. */
	for (int i = 0; i < 100; i++) {
		pause_ms(2);
		pthread_kill(*(pthread_t *)thread, SIGUSR1);
	}
	return NULL;
}

START_TEST(test_alloc_wait_ends_when_the_segment_is_retired)
{
	struct segment_wakes wakes = { .next = 0 };
	struct sleeper sleeper;

	start(&sleeper, SMALL, -1);
	wait_until_asleep();
	segment_retire(segment);
	while (segment_wake_on(segment, &wakes))
		;
	must_have_woken(&sleeper, NULL);
	ck_assert_int_eq(sleeper.error, EAGAIN);
	ck_assert(mempool_client_is_stale(waiter));
}
END_TEST

START_TEST(test_alloc_wait_signal_ends_it)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	pthread_t self = pthread_self(), thread;

	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, send_signals, &self), 0);
	errno = 0;
	ck_assert_ptr_null(mempool_alloc_wait(waiter, SMALL, -1));
	ck_assert_int_eq(errno, EINTR);
	pthread_join(thread, NULL);
}
END_TEST

/* ---- other processes ---- */

/* A process of its own, as holder of the waiter's id, that waits and ends with 0. */
static pid_t start_process(void)
{
	pid_t parent = getpid(), pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct mempool_client *client;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent ||
		    client_new(test_segment_map_again(segment), waiter->holder, 0, &client) < 0)
			_exit(1);
		_exit(mempool_alloc_wait(client, SMALL, -1) ? 0 : 2);
	}
	return pid;
}

START_TEST(test_alloc_wait_woken_by_another_process)
{
	pid_t pid = start_process();
	struct control control;
	int status;

	wait_until_asleep();
	ck_assert_int_eq(waitpid(pid, &status, WNOHANG), 0);
	control_start(&control);
	ck_assert_int_eq(mempool_free(owner, small[0]), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_double_lt(control_stop(&control), SLICE_MS / 2);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(reap_holder(segment, waiter->holder), 1);
}
END_TEST

/* It leaves a flag behind: one wake for nobody. Others are woken as ever. */
START_TEST(test_alloc_wait_killed_sleeper_harms_nobody)
{
	struct sleeper sleeper;
	pid_t pid = start_process();

	wait_until_asleep();
	start(&sleeper, SMALL, -1);
	pause_ms(20);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(mempool_free(owner, small[0]), 0);
	must_have_woken(&sleeper, small[0]);
	ck_assert_int_eq(mempool_free(waiter, small[0]), 0);

	pid = start_process();
	while (waitpid(pid, NULL, 0) != pid)
		;
	ck_assert_int_eq(reap_holder(segment, waiter->holder), 1);
	ck_assert_ptr_eq(mempool_alloc(owner, SMALL), small[0]);
	pid = start_process();
	wait_until_asleep();
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(mempool_free(owner, small[1]), 0);
	ck_assert_ptr_eq(mempool_alloc(waiter, SMALL), small[1]);
}
END_TEST

/* ---- at the same time ---- */

enum { N_THREADS = 5, N_EACH = MEMPOOL_SANITIZED ? 500 : 3000 };

static _Atomic uint64_t n_faults;

static void *take_turns(void *userdata)
{
	struct mempool_client *client = userdata;

	for (uint64_t i = 0; i < N_EACH; i++) {
		_Atomic uint64_t *chunk = mempool_alloc_wait(client, SMALL, -1);

		if (!chunk) {
			n_faults++;
			break;
		}
		/* Nobody else's while it is ours. */
		atomic_store(chunk, (uintptr_t)&i);
		if (i % 16 == 0)
			pause_ms(0);
		n_faults += atomic_load(chunk) != (uintptr_t)&i;
		n_faults += mempool_free(client, chunk) != 0;
	}
	return NULL;
}

/* More than there are chunks; a lost wake costs a slice of a second. */
START_TEST(test_alloc_wait_threads_of_two_clients)
{
	pthread_t threads[N_THREADS];
	struct control control;

	control_start(&control);
	for (int i = 0; i < N_SMALL; i++)
		ck_assert_int_eq(mempool_free(owner, small[i]), 0);
	for (int i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, take_turns,
						i % 2 ? owner : waiter), 0);
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(n_faults, 0);
	ck_assert_double_lt(control_stop(&control), 20000);
}
END_TEST

/* These make their own segment. */
static void add_tests_of_config(TCase *tcase)
{
	tcase_add_test(tcase, test_alloc_wait_without_fallback_waits_for_its_pool);
	tcase_add_test(tcase, test_alloc_wait_woken_by_a_chunk_of_the_same_size);
	tcase_add_test(tcase, test_alloc_wait_woken_before_a_sweep_is_over);
	tcase_add_test(tcase, test_alloc_wait_for_ages_looks_at_all_words);
}

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_alloc_wait_something_free_returns_at_once);
	tcase_add_test(tcase, test_alloc_wait_timeout_is_kept);
	tcase_add_test(tcase, test_alloc_wait_bad_calls_do_not_wait);
	tcase_add_test(tcase, test_alloc_wait_woken_by_another_threads_free);
	tcase_add_test(tcase, test_alloc_wait_woken_by_a_larger_chunk);
	tcase_add_test(tcase, test_alloc_wait_without_membarrier_looks_again_soon);
	tcase_add_test(tcase, test_alloc_wait_looks_again_after_a_slice);
	tcase_add_test(tcase, test_alloc_wait_too_small_wakes_for_nothing);
	tcase_add_test(tcase, test_alloc_wait_each_free_serves_one_of_several);
	tcase_add_test(tcase, test_alloc_wait_woken_when_the_dead_are_reaped);
	tcase_add_test(tcase, test_alloc_wait_ends_when_the_segment_is_retired);
	tcase_add_test(tcase, test_alloc_wait_signal_ends_it);
	tcase_add_test(tcase, test_alloc_wait_woken_by_another_process);
	tcase_add_test(tcase, test_alloc_wait_killed_sleeper_harms_nobody);
	tcase_add_test(tcase, test_alloc_wait_threads_of_two_clients);
}

int main(void)
{
	int config = test_run("alloc_wait: config", add_tests_of_config);

	return test_run("alloc_wait", add_tests) | config;
}
