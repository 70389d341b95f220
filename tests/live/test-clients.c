/* SPDX-License-Identifier: MIT */
/*
 * test-clients.c - clients come, go, die, fork, and are turned away
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "actor.h"
#include "build_config.h"
#include "shm/holder.h"
#include "shm/pool.h"
#include "support/control.h"

#define CHUNKS 1000
#define MAX_CLIENTS 126			/* with none and the daemon, 128 ids */
#define HELD 500
#define KILLS 21
#define REAP_MS (MEMPOOL_SANITIZED ? 500 : 100)	/* until a killed client holds nothing */
#define SECOND_MS 1000

static const char small_segment[] =
	"    max_clients: 126\n"
	"    pools: [ { chunk_size: 128, chunk_count: 1000 } ]\n";

static struct fixture fixture;

static void setup(void)
{
	fixture_init(&fixture);
	fixture_configure(&fixture, "", small_segment);
	fixture_start(&fixture);
}

static void teardown(void)
{
	if (fixture.pid)
		fixture_stop(&fixture);
	fixture_deinit(&fixture);
}

/* Take so many chunks and keep them. */
static void hold(struct mempool_client *client, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		ck_assert_ptr_nonnull(mempool_alloc(client, 100));
}

static unsigned int count_entries(const char *path)
{
	DIR *folder = opendir(path);
	unsigned int n = 0;

	ck_assert_ptr_nonnull(folder);
	while (readdir(folder))
		n++;
	closedir(folder);
	return n;
}

static unsigned int count_fds(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	return count_entries(path);
}

static long rss_anon_kib(pid_t pid)
{
	char path[32], line[256];
	long kib = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, "RssAnon:", 8) == 0)
			kib = strtol(line + 8, NULL, 10);
	fclose(file);
	ck_assert_int_ge(kib, 0);
	return kib;
}

/* ---- descriptors 0 to 2 closed ---- */

#define OPENS 200

static void close_stdio(void *userdata)
{
	(void)userdata;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		close(fd);
}

static void read_header(unsigned char ret_bytes[static 64])
{
	char path[96];
	int fd;

	fixture_object_path(&fixture, 1, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, ret_bytes, 64, 0), 64);
	close(fd);
}

/*
 * Prints while clients are opened: whatever has number 1 or 2 for a moment gets it. By system
 * calls, as this is what a thread sanitizer complains of.
 */
static void *print_on(void *userdata)
{
	const atomic_bool *stop = userdata;

	while (!atomic_load(stop))
		if (syscall(SYS_write, STDOUT_FILENO, "print", 5) == 5 ||
		    syscall(SYS_write, STDERR_FILENO, "error", 5) == 5)
			return (void *)1;
	return NULL;
}

static bool lets_write(int fd, const char *path)
{
	return strncmp(path, "/dev/shm/", 9) == 0 &&
	       (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
}

/* How many of our descriptors are below 3, or would let a write into a segment. */
static uint64_t count_wrong_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;
	uint64_t n = 0;

	if (!folder)
		return 1000;
	while ((entry = readdir(folder))) {
		char path[96] = "";
		int fd = (int)strtol(entry->d_name, NULL, 10);

		if (entry->d_name[0] == '.' || fd == dirfd(folder) ||
		    readlinkat(dirfd(folder), entry->d_name, path, sizeof(path) - 1) < 0)
			continue;
		n += fd <= STDERR_FILENO || lets_write(fd, path);
	}
	closedir(folder);
	return n;
}

static void run_without_stdio(const struct fixture *with, int fd)
{
	struct mempool_client *client = NULL;
	atomic_bool stop = false;
	pthread_t printer;
	void *printed;

	close_stdio(NULL);
	if (pthread_create(&printer, NULL, print_on, &stop) != 0)
		_exit(1);
	for (int i = 0; i < OPENS; i++) {
		mempool_client_close(client);
		if (try_open(with, 0, &client) < 0)
			_exit(1);
	}
	atomic_store(&stop, true);
	pthread_join(printer, &printed);
	tell(fd, (uint64_t)(uintptr_t)printed);

	tell(fd, (uint64_t)(mempool_client_fd(client) < 0));
	tell(fd, count_wrong_fds());
	tell(fd, printf("a program prints\n") > 0 && fflush(stdout) == 0);
	tell(fd, (uint64_t)mempool_client_close(client));
}

START_TEST(test_client_without_stdio_lets_nothing_print_into_the_segment)
{
	unsigned char before[64], after[64];
	struct actor actor;

	read_header(before);
	actor_start(&actor, &fixture, run_without_stdio);
	expect_to_hear(actor.fd, 0);	/* nothing was printed anywhere */
	expect_to_hear(actor.fd, 0);	/* there is a descriptor to poll */
	expect_to_hear(actor.fd, 0);	/* no descriptor is where it must not be */
	expect_to_hear(actor.fd, 0);	/* a printf fails, as without the library */
	expect_to_hear(actor.fd, 0);
	actor_join(&actor);
	read_header(after);
	ck_assert_mem_eq(before, after, sizeof(before));
}
END_TEST

START_TEST(test_client_keeps_no_descriptor_that_writes_to_the_segment)
{
	struct mempool_client *client = open_client(&fixture);
	char path[64], target[96];

	for (int fd = 0; fd < 100; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = '\0';
		ck_assert_msg(!lets_write(fd, target), "descriptor %d leads to %s", fd, target);
	}
	hold(client, 1);
	ck_assert_int_eq(mempool_client_close(client), 1);
}
END_TEST

START_TEST(test_daemon_without_stdio_serves)
{
	unsigned char before[64], after[64];
	struct mempool_client *client;

	read_header(before);
	fixture_stop(&fixture);
	fixture.in_child = close_stdio;
	fixture_start(&fixture);
	client = open_client(&fixture);
	hold(client, 1);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		char path[64], target[96] = "";

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)fixture.pid, fd);
		ck_assert_int_gt(readlink(path, target, sizeof(target) - 1), 0);
		ck_assert_str_eq(target, "/dev/null");
	}
	ck_assert_int_eq(mempool_client_close(client), 1);
	read_header(after);
	ck_assert_mem_eq(before, after, sizeof(before));
}
END_TEST

/* ---- coming and going ---- */

/* For what comes on a busy machine, too, where a sanitizer makes the daemon, or a whole crowd, slow. */
#define COMES_NS (100 * INT64_C(1000000000))

static void run_sitter(const struct fixture *with, int fd)
{
	struct mempool_client *client;
	int r = try_open(with, COMES_NS, &client);

	if (r == 0)
		hold(client, 5);
	tell(fd, (uint64_t)-r);
	if (r < 0)
		return;
	hear(fd);
	tell(fd, (uint64_t)mempool_client_close(client));
}

START_TEST(test_clients_one_after_the_other_use_ids_again)
{
	struct segment *segment = map_generation(&fixture, 1);
	uint32_t id = holder_first_client(segment);
	struct holder before, after;

	ck_assert_int_eq(holder_read(segment, id, &before), 0);
	for (int i = 0; i < 3 * MAX_CLIENTS; i++) {
		struct mempool_client *client = open_client(&fixture);

		hold(client, 3);
		ck_assert_int_eq(mempool_client_close(client), 3);
	}
	wait_until(is_deserted, segment, SECOND_MS);
	ck_assert_int_eq(holder_read(segment, id, &after), 0);
	ck_assert_uint_gt(after.incarnation, before.incarnation);
	segment_free(segment);
}
END_TEST


static bool can_open(void *userdata)
{
	struct mempool_client **client = userdata;
	int r = try_open(&fixture, 0, client);

	ck_assert(r == 0 || r == -EUSERS);
	return r == 0;
}

START_TEST(test_clients_at_once_fill_the_table_and_leave_it_empty)
{
	struct segment *segment = map_generation(&fixture, 1);
	struct actor actors[MAX_CLIENTS];
	struct mempool_client *clients[2];
	struct status status;
	int i;

	for (i = 0; i < MAX_CLIENTS; i++)
		actor_start(&actors[i], &fixture, run_sitter);
	for (i = 0; i < MAX_CLIENTS; i++)
		expect_to_hear(actors[i].fd, 0);
	status_read(&fixture, &status);
	ck_assert_uint_eq(status.n_holders, MAX_CLIENTS);
	ck_assert_uint_eq(status.pools[0].used, 5 * MAX_CLIENTS);
	for (i = 0; i < MAX_CLIENTS; i++) {
		const struct status_holder *holder = status_find(&status, actors[i].pid);

		ck_assert_ptr_nonnull(holder);
		ck_assert_uint_eq(holder->chunks, 5);
		ck_assert_uint_eq(holder->bytes, 5 * 128);
	}
	ck_assert_int_eq(try_open(&fixture, 0, &clients[0]), -EUSERS);

	/* One goes: there is room for one, at once. */
	tell(actors[0].fd, 0);
	expect_to_hear(actors[0].fd, 5);
	clients[0] = open_client(&fixture);
	ck_assert_int_eq(try_open(&fixture, 0, &clients[1]), -EUSERS);
	/* One dies: for another one, as soon as the daemon has seen it. */
	actor_kill(&actors[1]);
	wait_until(can_open, &clients[1], SECOND_MS);

	for (i = 2; i < MAX_CLIENTS; i++)
		tell(actors[i].fd, 0);
	for (i = 2; i < MAX_CLIENTS; i++)
		expect_to_hear(actors[i].fd, 5);
	for (i = 0; i < MAX_CLIENTS; i++)
		if (i != 1)
			actor_join(&actors[i]);
	ck_assert_int_eq(mempool_client_close(clients[0]), 0);
	ck_assert_int_eq(mempool_client_close(clients[1]), 0);
	wait_until(is_deserted, segment, SECOND_MS);
	segment_free(segment);
}
END_TEST

START_TEST(test_client_opened_and_closed_often_leaks_nothing)
{
	struct segment *segment = map_generation(&fixture, 1);
	unsigned int daemon_fds, our_fds, our_maps;
	long daemon_kib, our_kib;

	for (int i = 0; i < 2200; i++) {
		struct mempool_client *client = open_client(&fixture);

		hold(client, 1);
		ck_assert_int_eq(mempool_client_close(client), 1);
		if (i != 200)
			continue;
		/* By now everything has its size. */
		wait_until(is_deserted, segment, SECOND_MS);
		daemon_fds = count_fds(fixture.pid);
		daemon_kib = rss_anon_kib(fixture.pid);
		our_fds = count_fds(getpid());
		our_maps = count_entries("/proc/self/map_files");
		our_kib = rss_anon_kib(getpid());
	}
	wait_until(is_deserted, segment, SECOND_MS);
	ck_assert_uint_eq(count_fds(fixture.pid), daemon_fds);
	ck_assert_uint_eq(count_fds(getpid()), our_fds);
	ck_assert_uint_eq(count_entries("/proc/self/map_files"), our_maps);
	/* 2000 leaks of some bytes are more than this. A sanitizer keeps what is freed. */
	if (!MEMPOOL_SANITIZED) {
		ck_assert_int_le(rss_anon_kib(fixture.pid) - daemon_kib, 64);
		ck_assert_int_le(rss_anon_kib(getpid()) - our_kib, 64);
	}
	segment_free(segment);
}
END_TEST

/* Only there if it is linked in. */
extern void __asan_init(void) __attribute__((weak));

static void *open_and_close(void *unused)
{
	(void)unused;
	for (;;) {
		struct mempool_client *client;

		if (try_open(&fixture, -1, &client) == 0)
			mempool_client_close(client);
	}
	return NULL;
}

static bool daemon_has_no_more_fds(void *userdata)
{
	return count_fds(fixture.pid) <= *(unsigned int *)userdata;
}

/* Somewhere in an open, which is where a cancel can be seen. */
START_TEST(test_client_cancelled_in_open_leaves_nothing)
{
	struct segment *segment = map_generation(&fixture, 1);
	unsigned int daemon_fds = 0, our_fds = 0, our_maps = 0;

	/* The address sanitizer takes frames that a cancel has left for live. */
	if (__asan_init) {
		segment_free(segment);
		return;
	}
	/* With the first client the daemon makes the file of the shape, and keeps it. */
	mempool_client_close(open_client(&fixture));
	for (int i = 0; i < 300; i++) {
		const struct timespec pause = { .tv_nsec = i % 50 * 20000 };
		pthread_t thread;
		void *ended_by;

		ck_assert_int_eq(pthread_create(&thread, NULL, open_and_close, NULL), 0);
		nanosleep(&pause, NULL);
		ck_assert_int_eq(pthread_cancel(thread), 0);
		ck_assert_int_eq(pthread_join(thread, &ended_by), 0);
		ck_assert_ptr_eq(ended_by, PTHREAD_CANCELED);
		if (i > 0)
			continue;
		/* The first cancel has loaded what unwinds stacks. */
		wait_until(is_deserted, segment, SECOND_MS);
		/* Perhaps just before the daemon opens what the next one is passed. */
		daemon_fds = count_fds(fixture.pid) + MEMPOOL_PASSED_MAX - MEMPOOL_PASSED_CONTROL;
		our_fds = count_fds(getpid());
		our_maps = count_entries("/proc/self/map_files");
	}
	wait_until(is_deserted, segment, SECOND_MS);
	wait_until(daemon_has_no_more_fds, &daemon_fds, SECOND_MS);
	ck_assert_uint_eq(count_fds(getpid()), our_fds);
	ck_assert_uint_eq(count_entries("/proc/self/map_files"), our_maps);
	segment_free(segment);
}
END_TEST

/* ---- dying ---- */

static void run_holder(const struct fixture *with, int fd)
{
	struct mempool_client *client = open_client(with);
	uint64_t handle;

	/* Also given ones count as its own, until somebody takes them. */
	hold(client, HELD - 1);
	ck_assert_int_eq(mempool_give(client, mempool_alloc(client, 100), 100, &handle), 0);
	tell(fd, 0);
	/* Told to, it ends as programs do that know nothing of closing. */
	hear(fd);
}

/* Until `mempoolctl status --json` shows nothing of it, and a full pool. */
static double wait_for_status(pid_t pid)
{
	struct control control;
	struct status status;

	control_start(&control);
	do {
		status_read(&fixture, &status);
		ck_assert_msg(control_ms(&control) < 10 * SECOND_MS, "still there after 10 s");
	} while (status_find(&status, pid) || status.pools[0].free != CHUNKS);
	ck_assert_uint_eq(status.pools[0].used, 0);
	return control_stop(&control);
}

static int compare_times(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

/* The median counts: the longest also tells how busy the machine was with something else. */
START_TEST(test_client_killed_with_500_chunks_holds_none_in_100_ms)
{
	double took[KILLS];

	for (int i = 0; i < KILLS; i++) {
		const struct status_holder *holder;
		struct status status;
		struct actor actor;

		actor_start(&actor, &fixture, run_holder);
		expect_to_hear(actor.fd, 0);
		status_read(&fixture, &status);
		holder = status_find(&status, actor.pid);
		ck_assert_ptr_nonnull(holder);
		ck_assert_uint_eq(holder->chunks, HELD);
		ck_assert_uint_eq(status.pools[0].used, HELD);

		kill(actor.pid, SIGKILL);
		took[i] = wait_for_status(actor.pid);
		actor_kill(&actor);
	}
	qsort(took, KILLS, sizeof(took[0]), compare_times);
	printf("500 chunks of a killed client are free in %.1f ms, at most %.1f ms (%d kills), "
	       "as mempoolctl shows it\n", took[KILLS / 2], took[KILLS - 1], KILLS);
	ck_assert_msg(took[KILLS / 2] <= REAP_MS, "%.1f ms", took[KILLS / 2]);
}
END_TEST

START_TEST(test_client_that_ends_without_close_holds_nothing)
{
	struct actor actor;

	actor_start(&actor, &fixture, run_holder);
	expect_to_hear(actor.fd, 0);
	tell(actor.fd, 0);
	actor_join(&actor);
	ck_assert(wait_for_status(actor.pid) < SECOND_MS);
}
END_TEST

/* ---- fork ---- */

/* What a child of a client's process can do: nothing, with an error. */
static void be_forked(struct mempool_client *client, void *chunk, uint64_t handle)
{
	struct mempool_pool_info info;
	uint64_t other;
	void *taken;

	ck_assert_ptr_null(mempool_alloc(client, 100));
	ck_assert_int_eq(errno, ECHILD);
	ck_assert_int_eq(mempool_free(client, chunk), -ECHILD);
	ck_assert_int_eq(mempool_give(client, chunk, 1, &other), -ECHILD);
	ck_assert_int_eq(mempool_take(client, handle, &taken, NULL), -ECHILD);
	ck_assert_int_eq(mempool_usable_size(client, chunk), -ECHILD);
	ck_assert_int_eq(mempool_client_pools(client, &info, 1), -ECHILD);
	ck_assert_int_eq(mempool_client_close(client), 0);
}

static void run_forker(const struct fixture *with, int fd)
{
	struct mempool_client *client = open_client(with), *own;
	void *chunk = mempool_alloc(client, 100);
	uint64_t handle;
	pid_t closing, idle;
	int status;

	ck_assert_int_eq(mempool_give(client, mempool_alloc(client, 100), 1, &handle), 0);
	closing = fork();
	if (closing == 0) {
		be_forked(client, chunk, handle);
		/* It may have one of its own, as any process. */
		own = open_client(with);
		hold(own, 7);
		_exit(mempool_client_close(own) == 7 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(closing, &status, 0), closing);
	ck_assert_int_eq(status, 0);
	/* Its close was none of ours. */
	ck_assert_int_eq(mempool_usable_size(client, chunk), 128);

	/* One that lives on after us, with our descriptors. */
	idle = fork();
	if (idle == 0) {
		pause();
		_exit(0);
	}
	hold(client, 8);
	tell(fd, (uint64_t)idle);
	hear(fd);
}

START_TEST(test_client_forked_belongs_to_its_parent)
{
	struct status status;
	struct actor actor;
	pid_t idle;

	actor_start(&actor, &fixture, run_forker);
	idle = (pid_t)hear(actor.fd);
	status_read(&fixture, &status);
	ck_assert_uint_eq(status.n_holders, 1);
	ck_assert_int_eq(status.holders[0].pid, actor.pid);
	ck_assert_uint_eq(status.holders[0].chunks, 10);
	/* The parent dies: the child's copy of its socket keeps nothing. */
	kill(actor.pid, SIGKILL);
	ck_assert(wait_for_status(actor.pid) < SECOND_MS);
	kill(idle, SIGKILL);
	actor_kill(&actor);
}
END_TEST

/* ---- turned away ---- */

/* Return: milliseconds beyond the timeout, which was kept. */
static double open_in_vain(int64_t timeout_ns, int error)
{
	struct mempool_client *client;
	double start = clock_ms(), timeout_ms = (double)timeout_ns / 1e6;
	struct control control;

	control_start(&control);
	ck_assert_int_eq(try_open(&fixture, timeout_ns, &client), error);
	ck_assert(clock_ms() - start >= timeout_ms);
	return control_stop(&control) - timeout_ms;
}

START_TEST(test_open_without_daemon_enotconn)
{
	fixture_stop(&fixture);
	/* Nothing under the path, then a socket that nobody listens on. */
	ck_assert(open_in_vain(0, -ENOTCONN) < SECOND_MS);
	fixture_start(&fixture);
	fixture_kill(&fixture);
	ck_assert(open_in_vain(0, -ENOTCONN) < SECOND_MS);
	ck_assert(open_in_vain(200 * 1000000, -ENOTCONN) < SECOND_MS);
}
END_TEST

static void run_waiter(const struct fixture *with, int fd)
{
	struct mempool_client *client;

	tell(fd, 0);
	ck_assert_int_eq(try_open(with, COMES_NS, &client), 0);
	hold(client, 1);
	tell(fd, (uint64_t)mempool_client_close(client));
}

START_TEST(test_open_waits_for_a_daemon_that_comes_later)
{
	struct actor actor;

	fixture_stop(&fixture);
	actor_start(&actor, &fixture, run_waiter);
	expect_to_hear(actor.fd, 0);
	usleep(200 * 1000);
	fixture_start(&fixture);
	expect_to_hear(actor.fd, 1);
	actor_join(&actor);
}
END_TEST

START_TEST(test_open_wrong_segment_enoent)
{
	struct mempool_client_options options = {
		.size = sizeof(options),
		.socket_path = fixture.socket_path,
		.segment = "no-such-segment",
	};
	struct mempool_client *client;

	ck_assert_int_eq(mempool_client_open(&options, &client), -ENOENT);
	/* None named: the first one. */
	options.segment = NULL;
	ck_assert_int_eq(mempool_client_open(&options, &client), 0);
	hold(client, 1);
	ck_assert_int_eq(mempool_client_close(client), 1);
}
END_TEST

static void run_stranger(const struct fixture *with, int fd)
{
	struct mempool_client *client;

	if (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0)
		tell(fd, 0);
	else
		tell(fd, (uint64_t)-try_open(with, 0, &client));
}

/* Return: what -errno a process of another user gets. */
static uint64_t open_as_stranger(void)
{
	struct actor actor;
	uint64_t error;

	actor_start(&actor, &fixture, run_stranger);
	error = hear(actor.fd);
	actor_join(&actor);
	return error;
}

START_TEST(test_open_by_user_not_allowed_enoent)
{
	if (skip_unless_root("another user opens a client"))
		return;
	ck_assert_uint_eq(open_as_stranger(), 0);
	fixture_stop(&fixture);
	/* He may connect and could map it: `allow` alone is in the way. */
	fixture_configure(&fixture, "",
			  "    allow: { users: [root] }\n"
			  "    pools: [ { chunk_size: 128, chunk_count: 1000 } ]\n");
	fixture_start(&fixture);
	ck_assert_uint_eq(open_as_stranger(), ENOENT);
	mempool_client_close(open_client(&fixture));
}
END_TEST

/* ---- where there is nothing but the socket ---- */

/* Nothing of the daemon's machine can be named there. */
static void have_only_the_socket(void)
{
	ck_assert_int_eq(fixture_own_mounts(0), 0);
	ck_assert_int_eq(mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=1M"), 0);
	ck_assert_int_eq(mount("tmpfs", "/proc", "tmpfs", 0, "size=1M"), 0);
}

/* What the other has sent, and it back. */
static void send_back(struct mempool_client *client)
{
	struct mempool_queue *there, *back;
	size_t length;
	void *chunk;

	ck_assert_int_eq(mempool_queue_open(client, "there", &there), 0);
	ck_assert_int_eq(mempool_queue_open(client, "back", &back), 0);
	ck_assert_int_eq(mempool_queue_receive(there, &chunk, &length, -1), 0);
	ck_assert_int_eq(mempool_queue_send(back, chunk, length, 0), 0);
	mempool_queue_close(back);
	mempool_queue_close(there);
}

/* ---- a queue whose oldest messages make room ---- */

#define EVICT_MESSAGES 3000

static int evict(struct mempool_client *client, struct mempool_queue *queue, uint32_t number,
		 uint64_t *n_evicted)
{
	uint32_t *chunk = mempool_alloc(client, sizeof(number));
	int r;

	ck_assert_ptr_nonnull(chunk);
	*chunk = number;
	do {
		void *oldest;

		r = mempool_queue_send_evict(queue, chunk, sizeof(number), &oldest, NULL);
		if (oldest) {
			++*n_evicted;
			ck_assert_int_eq(mempool_free(client, oldest), 0);
		}
	} while (r == -EAGAIN);
	return r;
}

/* So many, and then for ever. */
static void run_evictor(const struct fixture *with, int fd)
{
	struct mempool_client *client = open_client(with);
	struct mempool_queue *queue;
	uint64_t n_evicted = 0;

	ck_assert_int_eq(mempool_queue_open(client, "jobs", &queue), 0);
	for (uint32_t i = 0; i < EVICT_MESSAGES; i++)
		ck_assert_int_eq(evict(client, queue, i, &n_evicted), 0);
	tell(fd, n_evicted);
	expect_to_hear(fd, 1);
	for (uint32_t i = EVICT_MESSAGES;; i++)
		ck_assert_int_eq(evict(client, queue, i, &n_evicted), 0);
}

/* Return: whether there was one; it comes after those before it. */
static bool receive_number(struct mempool_client *client, struct mempool_queue *queue,
			   int64_t timeout_ns, uint32_t *next)
{
	void *chunk;
	int r = mempool_queue_receive(queue, &chunk, NULL, timeout_ns);

	if (r == -EAGAIN)
		return false;
	ck_assert_int_eq(r, 0);
	ck_assert_uint_ge(*(uint32_t *)chunk, *next);
	*next = *(uint32_t *)chunk + 1;
	ck_assert_int_eq(mempool_free(client, chunk), 0);
	return true;
}

START_TEST(test_queue_evict_between_processes_and_kills)
{
	struct mempool_client *client;
	struct mempool_queue *queue;
	struct segment *segment;
	uint64_t n_received = 0;
	uint32_t next = 0;
	struct actor actor;

	fixture_stop(&fixture);
	fixture_configure(&fixture, "",
			  "    pools: [ { chunk_size: 128, chunk_count: 100 } ]\n"
			  "    queues: [ { name: jobs, capacity: 4 } ]\n");
	fixture_start(&fixture);
	client = open_client(&fixture);
	segment = map_generation(&fixture, 2);
	ck_assert_int_eq(mempool_queue_open(client, "jobs", &queue), 0);

	/* It waits for nobody, and the last one stays. */
	actor_start(&actor, &fixture, run_evictor);
	while (next < EVICT_MESSAGES)
		n_received += receive_number(client, queue, -1, &next);
	ck_assert_uint_eq(n_received + hear(actor.fd), EVICT_MESSAGES);
	ck_assert_uint_eq(count_used(segment), 0);

	/* Killed while it is busy with that: what it had is freed, and what it sent is there. */
	tell(actor.fd, 1);
	while (next < EVICT_MESSAGES + 100)
		receive_number(client, queue, -1, &next);
	actor_kill(&actor);
	while (receive_number(client, queue, 0, &next))
		;
	ck_assert_int_eq(mempool_client_close(client), 0);
	mempool_queue_close(queue);
	wait_until(is_deserted, segment, SECOND_MS);
	segment_free(segment);
}
END_TEST

/* ---- a wait that looks again and again first ---- */

static const int64_t spins_ns[] = { 0, INT64_C(3600000000000) };	/* a control, and for an hour */

/* Number 0: receive by one who sleeps; 1: who does not. */
static void run_receiver(const struct fixture *with, int fd)
{
	struct mempool_client_options options = {
		.size = sizeof(options),
		.socket_path = with->socket_path,
		.timeout_ns = -1,
		.segment = with->segment,
		.spin_ns = spins_ns[hear(fd)],
	};
	struct mempool_client *client;
	struct mempool_queue *queue;
	void *chunk;

	ck_assert_int_eq(mempool_client_open(&options, &client), 0);
	ck_assert_int_eq(mempool_queue_open(client, "jobs", &queue), 0);
	tell(fd, 1);
	ck_assert_int_eq(mempool_queue_receive(queue, &chunk, NULL, -1), 0);
	tell(fd, 2);
	/* A close wakes whoever sleeps. */
	expect_to_hear(fd, 3);
	ck_assert_int_eq(mempool_client_close(client), 1);
	mempool_queue_close(queue);
}

/* Who has slept was woken, and that is seen in the segment; who has not made no system call for it. */
START_TEST(test_wait_spins_and_nobody_wakes_it)
{
	const struct timespec moment = { .tv_nsec = 20000000 };
	struct mempool_eventcount *filled;
	struct mempool_client *client;
	struct mempool_queue *queue;
	struct segment *segment;
	struct actor actor;

	fixture_stop(&fixture);
	fixture_configure(&fixture, "",
			  "    pools: [ { chunk_size: 128, chunk_count: 10 } ]\n"
			  "    queues: [ { name: jobs, capacity: 4 } ]\n");
	fixture_start(&fixture);
	client = open_client(&fixture);
	segment = map_generation(&fixture, 2);
	filled = &segment->rings[0].filled;
	ck_assert_int_eq(mempool_queue_open(client, "jobs", &queue), 0);

	actor_start(&actor, &fixture, run_receiver);
	tell(actor.fd, (uint64_t)_i);
	expect_to_hear(actor.fd, 1);
	while (_i == 0 && !eventcount_is_armed(filled))
		sched_yield();
	nanosleep(&moment, NULL);
	ck_assert_int_eq(mempool_queue_send(queue, mempool_alloc(client, 8), 8, 0), 0);
	expect_to_hear(actor.fd, 2);
	ck_assert_uint_eq(atomic_load(&filled->sequence) > 0, _i == 0);
	tell(actor.fd, 3);
	actor_join(&actor);
	mempool_queue_close(queue);
	ck_assert_int_eq(mempool_client_close(client), 0);
	segment_free(segment);
}
END_TEST

/* From another mount namespace, by poll, as a program that waits for several things. */
static void wait_by_poll(struct mempool_client *client)
{
	struct mempool_queue *polled;
	struct pollfd poll_fd = { .fd = mempool_client_fd(client), .events = POLLIN };
	size_t length;
	void *chunk;
	int r;

	ck_assert_int_ge(poll_fd.fd, 0);
	ck_assert_int_eq(mempool_queue_open(client, "polled", &polled), 0);
	while ((r = mempool_queue_receive(polled, &chunk, &length, 0)) == -EAGAIN)
		ck_assert_int_eq(poll(&poll_fd, 1, -1), 1);
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
	mempool_queue_close(polled);
}

static void run_with_only_the_socket(const struct fixture *with, int fd)
{
	static struct status status;
	struct mempool_client *client = NULL;

	have_only_the_socket();
	tell(fd, (uint64_t)-try_open(with, 0, &client));
	send_back(client);
	wait_by_poll(client);
	hold(client, 2);
	/* mempoolctl needs no more; the leak checker of a sanitizer does, /proc. */
	if (!MEMPOOL_SANITIZED) {
		status_read(with, &status);
		tell(fd, status.pools[0].used);
	}
	tell(fd, (uint64_t)mempool_client_close(client));
}

START_TEST(test_client_with_nothing_but_the_socket)
{
	struct mempool_queue *there, *back, *polled;
	struct mempool_client *client;
	struct actor actor;
	size_t length;
	char *chunk;
	void *got;

	fixture_stop(&fixture);
	fixture_configure(&fixture, "",
			  "    pools: [ { chunk_size: 128, chunk_count: 1000 } ]\n"
			  "    queues: [ { name: there, capacity: 4 }, { name: back, capacity: 4 },\n"
			  "              { name: polled, capacity: 4 } ]\n");
	fixture_start(&fixture);
	client = open_client(&fixture);
	ck_assert_int_eq(mempool_queue_open(client, "there", &there), 0);
	ck_assert_int_eq(mempool_queue_open(client, "back", &back), 0);
	ck_assert_int_eq(mempool_queue_open(client, "polled", &polled), 0);
	actor_start(&actor, &fixture, run_with_only_the_socket);
	expect_to_hear(actor.fd, 0);

	chunk = mempool_alloc(client, 100);
	strcpy(chunk, "from outside");
	ck_assert_int_eq(mempool_queue_send(there, chunk, 100, 0), 0);
	ck_assert_int_eq(mempool_queue_receive(back, &got, &length, -1), 0);
	ck_assert_uint_eq(length, 100);
	ck_assert_str_eq(got, "from outside");
	ck_assert_int_eq(mempool_queue_send(polled, got, 1, 0), 0);
	if (!MEMPOOL_SANITIZED)
		expect_to_hear(actor.fd, 2);
	expect_to_hear(actor.fd, 2);
	actor_join(&actor);
	mempool_queue_close(polled);
	mempool_queue_close(back);
	mempool_queue_close(there);
	ck_assert_int_eq(mempool_client_close(client), 0);
}
END_TEST

/* ---- what keeps a client from what it is welcome to ---- */

/* Sanitizers do nothing when they are asked to, and some containers do not know the call. */
static bool may_lock(void)
{
	return !MEMPOOL_SANITIZED && mlockall(0) < 0 && errno == EINVAL;
}

/* All that it maps from now on is locked, and that is not to be more than 4 MiB. */
static void lock_what_comes(void)
{
	const struct rlimit limit = { .rlim_cur = 4 << 20, .rlim_max = 4 << 20 };

	ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	ck_assert_int_eq(setresuid(12345, 12345, 12345), 0);
	ck_assert_int_eq(mlockall(MCL_FUTURE), 0);
}

static void damage(void)
{
	struct segment_memory memory;
	char path[96];

	/* The second one, of the test's own layout. */
	fixture_object_path(&fixture, 2, path);
	ck_assert_int_eq(segment_open(path + strlen("/dev/shm"), SEGMENT_READ_WRITE, &memory), 0);
	((struct mempool_header *)memory.base)->magic++;
	segment_memory_deinit(&memory);
}

static const struct hindrance {
	void (*set_up)(void);
	int error;
	const char *text;
} hindrances[] = {
	{ lock_what_comes, ENOLCK, ": it locks all of its memory (mlockall), and RLIMIT_MEMLOCK" },
	{ damage, EBADMSG, ": the segment is damaged" },
};

static const struct hindrance *hindrance;

static void run_hindered(const struct fixture *with, int fd)
{
	struct mempool_client *client;

	hindrance->set_up();
	tell(fd, (uint64_t)-try_open(with, 0, &client));
}

/* Its goodbye and the end of its process are both there to be read. */
static bool has_left(void *userdata)
{
	(void)userdata;
	return fixture_log_has(&fixture, "left holder") || fixture_log_has(&fixture, "died: holder");
}

/* Each has its code, and the daemon's log says what it is. */
START_TEST(test_open_of_memory_that_cannot_be_used_says_why)
{
	struct actor actor;

	hindrance = &hindrances[_i];
	if (hindrance->error == ENOLCK && !may_lock()) {
		printf("skipped: no memory may be locked here\n");
		return;
	}
	fixture_stop(&fixture);
	fixture_configure(&fixture, "", "    pools: [ { chunk_size: 1MiB, chunk_count: 8 } ]\n");
	fixture_start(&fixture);
	actor_start(&actor, &fixture, run_hindered);
	expect_to_hear(actor.fd, (uint64_t)hindrance->error);
	actor_join(&actor);
	/* None of them has kept its holder. */
	wait_until(has_left, NULL, 30000);
	ck_assert(fixture_log_has(&fixture, ") cannot use mempool-"));
	ck_assert(fixture_log_has(&fixture, hindrance->text));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("clients");
	TCase *tcase = tcase_create("clients");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_client_without_stdio_lets_nothing_print_into_the_segment);
	tcase_add_test(tcase, test_client_keeps_no_descriptor_that_writes_to_the_segment);
	tcase_add_test(tcase, test_daemon_without_stdio_serves);
	tcase_add_test(tcase, test_clients_one_after_the_other_use_ids_again);
	tcase_add_test(tcase, test_clients_at_once_fill_the_table_and_leave_it_empty);
	tcase_add_test(tcase, test_client_opened_and_closed_often_leaks_nothing);
	tcase_add_test(tcase, test_client_cancelled_in_open_leaves_nothing);
	tcase_add_test(tcase, test_client_killed_with_500_chunks_holds_none_in_100_ms);
	tcase_add_test(tcase, test_client_that_ends_without_close_holds_nothing);
	tcase_add_test(tcase, test_client_forked_belongs_to_its_parent);
	tcase_add_test(tcase, test_open_without_daemon_enotconn);
	tcase_add_test(tcase, test_open_waits_for_a_daemon_that_comes_later);
	tcase_add_test(tcase, test_open_wrong_segment_enoent);
	tcase_add_test(tcase, test_open_by_user_not_allowed_enoent);
	tcase_add_test(tcase, test_queue_evict_between_processes_and_kills);
	tcase_add_loop_test(tcase, test_wait_spins_and_nobody_wakes_it, 0, 2);
	if (!skip_unless_root("a mount namespace, another user")) {
		tcase_add_test(tcase, test_client_with_nothing_but_the_socket);
		tcase_add_loop_test(tcase, test_open_of_memory_that_cannot_be_used_says_why, 0,
				    sizeof(hindrances) / sizeof(hindrances[0]));
	}
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
