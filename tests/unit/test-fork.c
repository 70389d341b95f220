/* SPDX-License-Identifier: MIT */
/*
 * test-fork.c - children of a process that has clients, however they are made; and which calls
 *		 take the lock that a child could find locked
 *
 * The library's calls of pthread_mutex_lock() and madvise() come here first (--wrap): they
 * are counted, and the test may stop a thread that holds a lock.
 */
#include "test_segment.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "build_config.h"
#include "client/cache.h"
#include "client/client.h"

static const struct test_pool pools[] = { { .chunk_size = 100, .n_chunks = 100 } };

static struct segment *segment;
static struct mempool_client *client, *other;
static void *held;

/* ---- the library's locks ---- */

static _Atomic uint32_t n_locked;
static _Thread_local void (*when_locked)(void);	/* with each lock that the thread gets */
static _Thread_local bool may_not_lock;		/* who waits for the thread may hold it */
static sem_t has_stopped, may_go_on, has_looked;

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_madvise(void *memory, size_t bytes, int advice);
int __real_madvise(void *memory, size_t bytes, int advice);

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	int r;

	if (may_not_lock) {
		/* To fail takes a lock, too. */
		may_not_lock = false;
		ck_abort_msg("a thread takes a lock where it may not");
	}
	r = __real_pthread_mutex_lock(mutex);
	n_locked++;
	if (when_locked)
		when_locked();
	return r;
}

static int wipe_error;

int __wrap_madvise(void *memory, size_t bytes, int advice)
{
	if (advice == MADV_WIPEONFORK && wipe_error != 0) {
		errno = wipe_error;
		return -1;
	}
	return __real_madvise(memory, bytes, advice);
}

/* ---- children ---- */

/* Each of which has an end, and no other thread of ours. */
enum way { BY_FORK, BY_FORK_WITHOUT_HANDLERS, BY_CLONE, N_WAYS };

static pid_t make_child(enum way way)
{
	switch (way) {
	case BY_FORK:
		return fork();
	case BY_FORK_WITHOUT_HANDLERS:
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
		return _Fork();
#endif
	default:
		return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	}
}

/* Run in a child; its status tells what failed there, 0 nothing. */
static int status_of(enum way way, int (*body)(void))
{
	int status;
	pid_t pid = make_child(way);

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(body());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static struct mempool_client *client_of(const struct segment *view, uint32_t holder)
{
	struct mempool_client *made;

	/* As mempool_client_open() does: the memory is not there in a child. */
	ck_assert_int_eq(madvise(view->memory.base, view->memory.size, MADV_DONTFORK), 0);
	ck_assert_int_eq(client_new((struct segment *)view, holder, 0, &made), 0);
	return made;
}

static void setup(void)
{
	sem_init(&has_stopped, 0, 0);
	sem_init(&may_go_on, 0, 0);
	sem_init(&has_looked, 0, 0);
	segment = test_segment_new(pools, 1);
	client = client_of(test_segment_map_again(segment), TEST_HOLDER);
	other = client_of(test_segment_map_again(segment), TEST_HOLDER + 1);
	held = mempool_alloc(client, 100);
	ck_assert_ptr_nonnull(held);
	ck_assert_int_eq(mempool_free(other, mempool_alloc(other, 100)), 0);
}

static void teardown(void)
{
	mempool_client_close(client);
	mempool_client_close(other);
	segment_free(segment);
}

/* ---- every call, as the first one in a child ---- */

static int error_of(const void *chunk)
{
	return chunk ? 0 : -errno;
}

static int call_alloc(struct mempool_client *by)
{
	return error_of(mempool_alloc(by, 10));
}

static int call_alloc_aligned(struct mempool_client *by)
{
	return error_of(mempool_alloc_aligned(by, 10, 64));
}

static int call_alloc_wait(struct mempool_client *by)
{
	return error_of(mempool_alloc_wait(by, 10, 0));
}

static int call_alloc_many(struct mempool_client *by)
{
	void *chunk;

	return (int)mempool_alloc_many(by, 10, &chunk, 1);
}

static int call_alloc_all(struct mempool_client *by)
{
	void *chunk;

	return mempool_alloc_all(by, 10, &chunk, 1);
}

static int call_free(struct mempool_client *by)
{
	return mempool_free(by, held);
}

static int call_free_many(struct mempool_client *by)
{
	return (int)mempool_free_many(by, &held, 1);
}

static int call_usable_size(struct mempool_client *by)
{
	return (int)mempool_usable_size(by, held);
}

static int call_set_tag(struct mempool_client *by)
{
	return mempool_chunk_set_tag(by, held, 1);
}

static int call_tag(struct mempool_client *by)
{
	uint32_t tag;

	return mempool_chunk_tag(by, held, &tag);
}

static int call_give(struct mempool_client *by)
{
	uint64_t handle;

	return mempool_give(by, held, 1, &handle);
}

static int call_take(struct mempool_client *by)
{
	void *chunk;

	return mempool_take(by, UINT64_C(1) << 32, &chunk, NULL);
}

static int call_share(struct mempool_client *by)
{
	uint64_t handle;

	return mempool_share(by, held, 1, &handle);
}

static int call_acquire(struct mempool_client *by)
{
	const void *chunk;

	return mempool_acquire(by, UINT64_C(1) << 32, &chunk, NULL);
}

static int call_unshare(struct mempool_client *by)
{
	void *chunk;

	return mempool_unshare(by, held, &chunk);
}

static int call_is_exclusive(struct mempool_client *by)
{
	return mempool_chunk_is_exclusive(by, held);
}

static int call_message_stamp(struct mempool_client *by)
{
	uint64_t sent_ns;

	return mempool_message_stamp(by, held, &sent_ns);
}

static int call_pools(struct mempool_client *by)
{
	return mempool_client_pools(by, NULL, 0);
}

static int call_wake(struct mempool_client *by)
{
	return mempool_client_wake(by);
}

static int call_memory(struct mempool_client *by)
{
	return mempool_client_memory(by, NULL, 0);
}

static int call_alloc_zeroed(struct mempool_client *by)
{
	return error_of(mempool_alloc_zeroed(by, 10));
}

static int call_queues(struct mempool_client *by)
{
	return mempool_client_queues(by, NULL, 0);
}

static int call_topics(struct mempool_client *by)
{
	return mempool_client_topics(by, NULL, 0);
}

static int call_fd(struct mempool_client *by)
{
	return mempool_client_fd(by);
}

static int call_queue_open(struct mempool_client *by)
{
	struct mempool_queue *queue;

	return mempool_queue_open(by, "any", &queue);
}

static int call_topic_open(struct mempool_client *by)
{
	struct mempool_topic *topic;

	return mempool_topic_open(by, "any", &topic);
}

static int (*const calls[])(struct mempool_client *) = {
	call_alloc, call_alloc_aligned, call_alloc_wait, call_alloc_many, call_alloc_all, call_free, call_free_many,
	call_usable_size, call_set_tag, call_tag, call_give, call_take, call_share, call_acquire,
	call_unshare, call_is_exclusive, call_message_stamp,
	call_pools, call_wake, call_memory, call_alloc_zeroed, call_queues, call_topics, call_fd, call_queue_open, call_topic_open,
};
static size_t i_call;

/* Both ways round: of the client that the thread used last, and of another. */
static int has_no_client(void)
{
	if (calls[i_call](NULL) != -EINVAL)
		return 1;
	if (calls[i_call](other) != -ECHILD)
		return 2;
	if (calls[i_call](client) != -ECHILD)
		return 3;
	if (mempool_client_is_stale(client))
		return 4;
	if (mempool_client_close(client) != 0)
		return 5;
	if (calls[i_call](other) != -ECHILD)
		return 6;
	return mempool_client_close(other) == 0 ? 0 : 7;
}

START_TEST(test_fork_child_every_call_echild)
{
	for (i_call = 0; i_call < ARRAY_SIZE(calls); i_call++) {
		int status = status_of((enum way)_i, has_no_client);

		ck_assert_msg(status == 0, "call %zu: status %x", i_call, (unsigned int)status);
	}
	ck_assert_uint_eq(test_segment_used(segment, 0), 1);
	ck_assert_int_eq(mempool_free(client, held), 0);
	ck_assert_int_eq(mempool_free(other, mempool_alloc(other, 10)), 0);
}
END_TEST

static bool is_mapped(const void *place)
{
	uintptr_t page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
	unsigned char resident;

	return mincore((void *)((uintptr_t)place & ~(page_bytes - 1)), 1, &resident) == 0;
}

static int close_frees_caches(void)
{
	const struct cache *caches[] = { client->caches, other->caches };

	if (!is_mapped(caches[0]) || !is_mapped(caches[1]))
		return 1;
	mempool_client_close(client);
	mempool_client_close(other);
	return is_mapped(caches[0]) || is_mapped(caches[1]) ? 2 : 0;
}

START_TEST(test_fork_child_close_frees_the_threads_caches)
{
	ck_assert_int_eq(status_of((enum way)_i, close_frees_caches), 0);
	/* As it does in the parent. */
	ck_assert_int_eq(close_frees_caches(), 0);
	client = other = NULL;
}
END_TEST

/* ---- children that open clients of their own ---- */

static void *allocate_as_thread(void *by)
{
	void *chunk = mempool_alloc(by, 10);

	return chunk && mempool_free(by, chunk) == 0 ? NULL : by;
}

static struct mempool_client *own;

static int use_own(uint32_t holder)
{
	/* The parent's mapping is not there, its descriptor is. */
	struct segment *view = test_segment_map_again(segment);
	pthread_t thread;
	void *wrong;

	if (client_new(view, holder, 0, &own) < 0)
		return 1;
	madvise(view->memory.base, view->memory.size, MADV_DONTFORK);
	if (!mempool_alloc(own, 10))
		return 2;
	/* A thread of a multi-threaded program's child: the thread sanitizer knows none. */
	if (!MEMPOOL_SANITIZED && (pthread_create(&thread, NULL, allocate_as_thread, own) != 0 ||
				   pthread_join(thread, &wrong) != 0 || wrong))
		return 3;
	if (call_alloc(client) != -ECHILD || call_alloc(other) != -ECHILD)
		return 4;
	return 0;
}

static enum way way_of_both;

static int be_grandchild(void)
{
	struct mempool_client *of_parent = own;
	int r;

	if (call_alloc(of_parent) != -ECHILD || call_alloc(client) != -ECHILD)
		return 10;
	r = use_own(TEST_HOLDER + 1);
	if (r != 0)
		return 20 + r;
	if (call_alloc(of_parent) != -ECHILD)
		return 30;
	return mempool_client_close(of_parent) == 0 && mempool_client_close(own) == 1 ? 0 : 40;
}

static int be_child(void)
{
	int status, r = use_own(TEST_HOLDER);
	pid_t pid;

	if (r != 0)
		return r;
	pid = make_child(way_of_both);
	if (pid == 0)
		_exit(be_grandchild());
	if (waitpid(pid, &status, 0) != pid || status != 0)
		return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
	if (call_alloc(own) != 0)
		return 5;
	/* The two, and what the holder in the parent has, whose id it took. */
	return mempool_client_close(own) == 3 && mempool_client_close(client) == 0 ? 0 : 6;
}

START_TEST(test_fork_child_and_its_child_open_their_own)
{
	way_of_both = (enum way)_i;
	ck_assert_int_eq(status_of(way_of_both, be_child), 0);
}
END_TEST

/* ---- locks ---- */

START_TEST(test_fork_thread_with_two_clients_takes_no_lock)
{
	uint32_t before = n_locked, after;
	int n_failed = 0;

	/* An assertion takes a lock itself. */
	for (int i = 0; i < 1000; i++) {
		n_failed += mempool_free(client, mempool_alloc(client, 10)) != 0;
		n_failed += mempool_free(other, mempool_alloc(other, 10)) != 0;
	}
	after = n_locked;
	ck_assert_int_eq(n_failed, 0);
	ck_assert_uint_eq(after, before);
}
END_TEST

START_TEST(test_fork_takes_no_lock)
{
	uint32_t before = n_locked, after;
	pid_t pid = make_child(BY_FORK);

	if (pid == 0)
		_exit(0);
	after = n_locked;
	ck_assert_uint_eq(after, before);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

/*
 * A thread frees its caches of closed clients when it comes to a client for the first time, and
 * takes no lock for that. So it may be there in the middle of a close. The links of its cache are
 * on a page that is taken away with each lock that the close gets: there the close stops, and
 * the thread comes to another client.
 */
static const struct cache *its_cache;
static void *page;
static size_t page_bytes;
static bool has_come, has_come_too_late, is_closed;

static void *come_while_it_is_closed(void *unused)
{
	void *wrong = allocate_as_thread(client);

	(void)unused;
	sem_post(&has_stopped);
	while (sem_wait(&may_go_on) == 0 && !is_closed) {
		may_not_lock = true;
		/* Without new memory, which could lie where the cache was. */
		wipe_error = EINVAL;
		if (mempool_alloc(other, 10) || errno != ENOMEM)
			wrong = other;
		wipe_error = 0;
		may_not_lock = false;
		sem_post(&has_looked);
	}
	return wrong ? wrong : allocate_as_thread(other);
}

static void let_it_come(int signal_number)
{
	(void)signal_number;
	/* The next time the page is not there. */
	signal(SIGSEGV, SIG_DFL);
	mprotect(page, page_bytes, PROT_READ | PROT_WRITE);
	has_come = true;
	has_come_too_late = cache_client(its_cache) == CACHE_ORPHAN;
	sem_post(&may_go_on);
	sem_wait(&has_looked);
}

static void take_page_away(void)
{
	has_come = false;
	signal(SIGSEGV, let_it_come);
	mprotect(page, page_bytes, PROT_NONE);
}

START_TEST(test_fork_close_while_a_thread_comes_to_another_client)
{
	pthread_t thread;
	void *wrong;
	int n_held;

	ck_assert_int_eq(pthread_create(&thread, NULL, come_while_it_is_closed, NULL), 0);
	sem_wait(&has_stopped);
	its_cache = client->caches;
	page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	page = (void *)((uintptr_t)&its_cache->next_of_client & ~(page_bytes - 1));
	/* An assertion takes a lock itself. */
	when_locked = take_page_away;
	n_held = mempool_client_close(client);
	when_locked = NULL;
	client = NULL;
	ck_assert_int_eq(n_held, 1);
	/* It came under the lock under which the cache was given up, and before that. */
	ck_assert(has_come && !has_come_too_late);
	ck_assert_ptr_eq(cache_client(its_cache), CACHE_ORPHAN);
	is_closed = true;
	sem_post(&may_go_on);
	ck_assert_int_eq(pthread_join(thread, &wrong), 0);
	ck_assert_ptr_null(wrong);
}
END_TEST

static void stop(void)
{
	when_locked = NULL;
	sem_post(&has_stopped);
	sem_wait(&may_go_on);
}

static void *stop_with_the_lock(void *by)
{
	when_locked = stop;
	return allocate_as_thread(by);
}

static int opens_around_the_lock(void)
{
	int r = use_own(TEST_HOLDER + 1);

	if (r != 0)
		return r;
	return mempool_client_close(own) == 1 && mempool_client_close(client) == 0 ? 0 : 5;
}

START_TEST(test_fork_while_a_thread_holds_the_lock)
{
	pthread_t thread;
	void *wrong;

	ck_assert_int_eq(pthread_create(&thread, NULL, stop_with_the_lock, client), 0);
	sem_wait(&has_stopped);
	/* Neither the calls of this thread, nor the child, nor its own client wait for it. */
	ck_assert_int_eq(mempool_free(other, mempool_alloc(other, 10)), 0);
	ck_assert_int_eq(mempool_free(client, mempool_alloc(client, 10)), 0);
	i_call = 0;
	ck_assert_int_eq(status_of((enum way)_i, has_no_client), 0);
	/* The thread sanitizer believes the wiped lock still held. */
	if (!MEMPOOL_SANITIZED)
		ck_assert_int_eq(status_of((enum way)_i, opens_around_the_lock), 0);
	sem_post(&may_go_on);
	ck_assert_int_eq(pthread_join(thread, &wrong), 0);
	ck_assert_ptr_null(wrong);
}
END_TEST

static int do_nothing(void)
{
	return 0;
}

/*
 * A program with a lock of its own, which its handler takes before a fork. One of its threads
 * calls the library with that lock held; the handler waits until this has returned.
 */
static sem_t fork_has_begun, call_has_returned;
static bool has_thread;

static void before_fork(void)
{
	if (!has_thread)
		return;
	has_thread = false;
	sem_post(&fork_has_begun);
	sem_wait(&call_has_returned);
}

static void *call_during_fork(void *by)
{
	void *wrong;

	sem_wait(&fork_has_begun);
	wrong = allocate_as_thread(by);
	sem_post(&call_has_returned);
	/* One that had ended would be a leak in the child, for the thread sanitizer. */
	sem_wait(&may_go_on);
	return wrong;
}

START_TEST(test_fork_beside_a_lock_of_the_program)
{
	struct segment *its = test_segment_new(pools, 1);
	struct mempool_client *late;
	pthread_t thread;
	void *wrong;

	sem_init(&fork_has_begun, 0, 0);
	sem_init(&call_has_returned, 0, 0);
	sem_init(&may_go_on, 0, 0);
	/* Before the library has seen a client: what is registered last runs first. */
	ck_assert_int_eq(pthread_atfork(before_fork, NULL, NULL), 0);
	late = client_of(test_segment_view(its), TEST_HOLDER);
	ck_assert_int_eq(pthread_create(&thread, NULL, call_during_fork, late), 0);
	has_thread = true;
	ck_assert_int_eq(status_of(BY_FORK, do_nothing), 0);
	sem_post(&may_go_on);
	ck_assert_int_eq(pthread_join(thread, &wrong), 0);
	ck_assert_ptr_null(wrong);
	mempool_client_close(late);
	segment_free(its);
}
END_TEST

/* ---- a kernel that cannot ---- */

static int cannot_open(void)
{
	struct segment *its = test_segment_new(pools, 1);
	struct mempool_client *none = NULL;

	wipe_error = EINVAL;
	return client_new(its, TEST_HOLDER, 0, &none) == -ENOSYS && !none ? 0 : 1;
}

START_TEST(test_fork_kernel_that_cannot_wipe_enosys)
{
	/* In a process that has not had a client. */
	ck_assert_int_eq(status_of(BY_FORK, cannot_open), 0);
}
END_TEST

static int open_status(void)
{
	struct mempool_client *none = NULL;

	return client_new(test_segment_new(pools, 1), TEST_HOLDER, 0, &none);
}

static int open_without_memory_then_with(void)
{
	wipe_error = ENOMEM;
	if (open_status() != -ENOMEM)
		return 1;
	wipe_error = 0;
	return open_status() == 0 ? 0 : 2;
}

static int open_without_key_then_with(void)
{
	pthread_key_t keys[PTHREAD_KEYS_MAX];
	int n = 0;

	while (n < PTHREAD_KEYS_MAX && pthread_key_create(&keys[n], NULL) == 0)
		n++;
	if (open_status() != -ENOMEM)
		return 1;
	pthread_key_delete(keys[0]);
	return open_status() == 0 ? 0 : 2;
}

/* What is short once is not missing for ever. */
START_TEST(test_fork_first_client_fails_the_next_does_not)
{
	ck_assert_int_eq(status_of(BY_FORK, open_without_memory_then_with), 0);
	ck_assert_int_eq(status_of(BY_FORK, open_without_key_then_with), 0);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test_fork_child_every_call_echild, 0, N_WAYS);
	tcase_add_loop_test(tcase, test_fork_child_close_frees_the_threads_caches, 0, N_WAYS);
	tcase_add_loop_test(tcase, test_fork_child_and_its_child_open_their_own, 0, N_WAYS);
	tcase_add_test(tcase, test_fork_thread_with_two_clients_takes_no_lock);
	tcase_add_test(tcase, test_fork_takes_no_lock);
	tcase_add_test(tcase, test_fork_close_while_a_thread_comes_to_another_client);
	tcase_add_loop_test(tcase, test_fork_while_a_thread_holds_the_lock, 0, N_WAYS);
}

/* Those that come before the first client. */
static void add_first_tests(TCase *tcase)
{
	tcase_add_test(tcase, test_fork_kernel_that_cannot_wipe_enosys);
	tcase_add_test(tcase, test_fork_first_client_fails_the_next_does_not);
	tcase_add_test(tcase, test_fork_beside_a_lock_of_the_program);
}

int main(void)
{
	int first;

	if (!test_fork_wipes())
		return 77;
	first = test_run("fork, before the first client", add_first_tests);

	return test_run("fork", add_tests) || first;
}
