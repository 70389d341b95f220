/* SPDX-License-Identifier: MIT */
/*
 * test-connection.c - mempool_client_open() and close against a broker of our own, which
 *		       answers as each case wants: rightly, with a refusal, with nonsense
 */
#include "test_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "build_config.h"
#include "client/client.h"
#include "mempool_protocol.h"
#include "shm/holder.h"
#include "shm/layout.h"
#include "shm/packet.h"
#include "shm/shape.h"

enum { MAX_TALKS = 12 };
#define MS INT64_C(1000000)

/* What was said on one connection. */
struct talk {
	struct mempool_msg_hello hello;
	struct mempool_msg_unable unable;
	struct mempool_msg_bye bye;
	bool has_bye;
	uint32_t n_no_barrier;
};

static char directory[] = "/tmp/mempool-unit-XXXXXX";
static char socket_path[64], shm_name[64];
static struct segment *segment;
static struct mempool_msg_welcome welcome;	/* the right answer */
static const void *_Atomic answer;			/* what is answered; NULL: hang up */
static size_t answer_size;
static int passed[PACKET_MAX_PASSED];			/* what comes with it */
static uint32_t n_passed;
static _Atomic bool hang_up_after;			/* the answer: the daemon goes */
static _Atomic bool is_silent;			/* it listens, and does not answer */
static int listener;
static pthread_t broker;
static struct talk talks[MAX_TALKS];
static _Atomic int n_talks;
static _Atomic bool has_hello;			/* of the talk that is on, or was one */

/* The socket orders our writes of the answer and its sending; this tells the sanitizer. */
static pthread_mutex_t answer_lock = PTHREAD_MUTEX_INITIALIZER;

static void sync_answer(void)
{
	pthread_mutex_lock(&answer_lock);
	pthread_mutex_unlock(&answer_lock);
}

static void send_answer(int fd)
{
	pthread_mutex_lock(&answer_lock);
	if (answer)
		packet_send_passed(fd, answer, answer_size, passed, n_passed);
	pthread_mutex_unlock(&answer_lock);
}

/* What comes before a bye, or the end: that a client polls, and whom it asks for. */
static void hear_bye(int fd, struct talk *talk)
{
	union {
		struct mempool_msg msg;
		struct mempool_msg_bye bye;
		struct mempool_msg_unable unable;
		char room[MEMPOOL_MSG_MAX_BYTES];
	} message;

	while (!talk->has_bye) {
		ssize_t n = recv(fd, &message, sizeof(message), 0);

		/* It hung up with our answer unread. That is told first, and once. */
		if (n < 0 && errno == ECONNRESET)
			continue;
		if (n <= 0)
			return;
		if (message.msg.type == MEMPOOL_MSG_UNABLE)
			talk->unable = message.unable;
		talk->n_no_barrier += message.msg.type == MEMPOOL_MSG_NO_BARRIER;
		talk->has_bye = message.msg.type == MEMPOOL_MSG_BYE;
		talk->bye = message.bye;
	}
}

static void talk_to(int fd, struct talk *talk)
{
	const struct mempool_msg_gone gone = {
		.msg = {
			.magic = MEMPOOL_PROTOCOL_MAGIC,
			.version = MEMPOOL_PROTOCOL_VERSION,
			.type = MEMPOOL_MSG_GONE,
			.size = sizeof(gone),
		},
	};

	if (recv(fd, &talk->hello, sizeof(talk->hello), 0) != sizeof(talk->hello))
		return;
	has_hello = true;
	if (!is_silent)
		send_answer(fd);
	if (is_silent || (answer && !hang_up_after))
		hear_bye(fd, talk);
	if (talk->has_bye)
		send(fd, &gone, sizeof(gone), MSG_NOSIGNAL);
}

/* One after the other, until the listener is shut down. */
static void *serve(void *unused)
{
	sigset_t all;
	int fd;

	(void)unused;
	/* They are for who waits for us. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	while (n_talks < MAX_TALKS && (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		talk_to(fd, &talks[n_talks]);
		close(fd);
		n_talks++;
	}
	return NULL;
}

static void make_segment(void)
{
	static const struct test_pool pools[] = { { .chunk_size = 100, .n_chunks = 10 } };
	struct segment_permissions perms = { .mode = 0600, .group = (gid_t)-1 };
	struct segment_memory memory;
	struct config config;

	test_config_init(&config, pools, 1);
	ck_assert_int_eq(config_add_ring(&config, "queue", MEMPOOL_RING_QUEUE, 4), 0);
	test_shm_name(shm_name);
	ck_assert_int_eq(segment_create(shm_name, &config, SEGMENT_READ_WRITE, SEGMENT_CREATE,
					&perms, NULL, NULL, &memory), 0);
	ck_assert_int_eq(segment_layout(memory.base, memory.size, &config, NULL), 0);
	ck_assert_int_eq(segment_attach(&memory, &segment), 0);
	config_deinit(&config);
}

static int open_object(int flags)
{
	int fd = shm_open(shm_name, flags | O_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static void setup(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(socket_path, sizeof(socket_path), "%s/sock", directory);
	make_segment();
	welcome = (struct mempool_msg_welcome){
		.msg = {
			.magic = MEMPOOL_PROTOCOL_MAGIC,
			.version = MEMPOOL_PROTOCOL_VERSION,
			.type = MEMPOOL_MSG_WELCOME,
			.size = sizeof(welcome),
		},
		.place = {
			.segment_id = segment->segment_id,
			.generation = segment->generation,
			.control_bytes = segment->geometry.control_bytes,
			.data_bytes = segment->geometry.data_bytes,
			.segment = "test",
		},
		.holder = TEST_HOLDER,
		.incarnation = 1,
	};
	strcpy(welcome.place.shm_name, shm_name);
	answer = &welcome;
	answer_size = sizeof(welcome);
	passed[MEMPOOL_PASSED_SHAPE] = shape_make_file(&segment->config);
	passed[MEMPOOL_PASSED_CONTROL] = open_object(O_RDWR);
	passed[MEMPOOL_PASSED_LOCK] = open_object(O_RDONLY);
	passed[MEMPOOL_PASSED_DATA] = segment_open_data(shm_name, SEGMENT_READ_WRITE);
	n_passed = MEMPOOL_PASSED_MAX;

	strcpy(address.sun_path, socket_path);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(listener, 8), 0);
	ck_assert_int_eq(pthread_create(&broker, NULL, serve, NULL), 0);
}

/* Over, and heard to the end. */
static void wait_for_talks(int n)
{
	while (n_talks < n)
		usleep(1000);
}

/* The broker has heard everything that it has begun to hear once it has ended. */
static void stop_broker(void)
{
	if (listener < 0)
		return;
	shutdown(listener, SHUT_RDWR);
	pthread_join(broker, NULL);
	close(listener);
	listener = -1;
}

static void teardown(void)
{
	stop_broker();
	for (uint32_t i = 0; i < n_passed; i++)
		close(passed[i]);
	segment_free(segment);
	segment_unlink(shm_name);
	unlink(socket_path);
	rmdir(directory);
}

static int open_with(const struct mempool_client_options *more, struct mempool_client **client)
{
	struct mempool_client_options options = *more;
	int r;

	options.size = sizeof(options);
	options.socket_path = socket_path;
	sync_answer();
	r = mempool_client_open(&options, client);
	sync_answer();
	return r;
}

static int try_open(struct mempool_client **client)
{
	return open_with(&(struct mempool_client_options){ .name = "unit" }, client);
}

static void assert_refused(int error)
{
	struct mempool_client *client = NULL;

	ck_assert_int_eq(try_open(&client), error);
	ck_assert_ptr_null(client);
}

/* ---- as it should be ---- */

START_TEST(test_open_says_hello_close_says_bye)
{
	struct mempool_client_options options = { .name = "a.b:c@d-e_F", .segment = "test" };
	struct mempool_client *client;

	ck_assert_int_eq(open_with(&options, &client), 0);
	ck_assert_ptr_nonnull(mempool_alloc(client, 100));
	ck_assert_ptr_nonnull(mempool_alloc(client, 100));
	ck_assert_uint_eq(test_segment_used(segment, 0), 2);
	ck_assert_int_eq(mempool_client_close(client), 2);
	wait_for_talks(1);
	stop_broker();

	ck_assert_int_eq(n_talks, 1);
	ck_assert_uint_eq(talks[0].hello.msg.magic, MEMPOOL_PROTOCOL_MAGIC);
	ck_assert_uint_eq(talks[0].hello.msg.type, MEMPOOL_MSG_HELLO);
	ck_assert_uint_eq(talks[0].hello.msg.size, sizeof(talks[0].hello));
	ck_assert_uint_ne(talks[0].hello.nonce, 0);
	ck_assert_uint_eq(talks[0].hello.segment_id, 0);
	ck_assert_str_eq(talks[0].hello.segment, "test");
	ck_assert_str_eq(talks[0].hello.name, "a.b:c@d-e_F");
	ck_assert(talks[0].has_bye);
	ck_assert_uint_eq(talks[0].bye.msg.type, MEMPOOL_MSG_BYE);
	ck_assert_uint_eq(talks[0].bye.n_freed, 2);
	ck_assert_uint_eq(test_segment_used(segment, 0), 0);
}
END_TEST

START_TEST(test_open_defaults_environment_and_program_name)
{
	struct mempool_client *client;

	ck_assert_int_eq(setenv("MEMPOOL_SOCKET", socket_path, 1), 0);
	ck_assert_int_eq(mempool_client_open(NULL, &client), 0);
	ck_assert_int_eq(mempool_client_close(client), 0);
	stop_broker();
	ck_assert_str_eq(talks[0].hello.segment, "");
	ck_assert_str_eq(talks[0].hello.name, "test-connection");
}
END_TEST

/* The library's secure_getenv(3) comes here first. */
static bool has_more_rights;

char *__wrap_secure_getenv(const char *name);

char *__wrap_secure_getenv(const char *name)
{
	return has_more_rights ? NULL : getenv(name);
}

/* Ask for 10 bytes, write 11, free; the sanitizer would not let it. Return: of the free. */
__attribute__((no_sanitize("address"))) static int write_beyond(struct mempool_client *client)
{
	unsigned char *chunk = mempool_alloc(client, 10);

	ck_assert_ptr_nonnull(chunk);
	chunk[10] = 1;
	return mempool_free(client, chunk);
}

static int write_beyond_with(const char *variable)
{
	struct mempool_client_options options = { .segment = "test" };
	struct mempool_client *client;
	int r;

	if (variable)
		ck_assert_int_eq(setenv("MEMPOOL_CLIENT_DEBUG", variable, 1), 0);
	ck_assert_int_eq(open_with(&options, &client), 0);
	r = write_beyond(client);
	ck_assert_int_eq(mempool_client_close(client), r < 0);
	return r;
}

START_TEST(test_open_debug_by_the_environment)
{
	ck_assert_int_eq(write_beyond_with(NULL), 0);
	ck_assert_int_eq(write_beyond_with(""), 0);
	ck_assert_int_eq(write_beyond_with("0"), 0);
	ck_assert_int_eq(write_beyond_with("1"), -EFAULT);
}
END_TEST

START_TEST(test_open_debug_by_the_environment_not_with_more_rights)
{
	has_more_rights = true;
	ck_assert_int_eq(write_beyond_with("1"), 0);
	ck_assert_int_eq(write_beyond_with("abort"), 0);
}
END_TEST

/* A child does it: what ends here leaves its segment behind. */
START_TEST(test_open_debug_abort_by_the_environment)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		write_beyond_with("abort");
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
END_TEST

/* The child has no segment, and what it was told of it does no harm; its parent goes on. */
START_TEST(test_fork_of_a_client_that_checks)
{
	struct mempool_client_options options = {
		.segment = "test",
		.flags = MEMPOOL_CLIENT_DEBUG,
	};
	struct mempool_client *client;
	void *chunk;
	int status;
	pid_t pid;

	if (!test_fork_wipes())
		return;
	ck_assert_int_eq(open_with(&options, &client), 0);
	chunk = mempool_alloc(client, 10);
	pid = fork();
	if (pid == 0) {
		if (mempool_free(client, chunk) != -ECHILD || mempool_alloc(client, 10) ||
		    errno != ECHILD || mempool_usable_size(client, chunk) != -ECHILD ||
		    mempool_client_close(client) != 0)
			_exit(1);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(mempool_usable_size(client, chunk), 10);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
	ck_assert_int_eq(write_beyond(client), -EFAULT);
	ck_assert_int_eq(mempool_client_close(client), 1);
}
END_TEST

START_TEST(test_close_daemon_gone_meanwhile_comes_back_to_say_bye)
{
	struct mempool_client *client;

	hang_up_after = true;
	ck_assert_int_eq(try_open(&client), 0);
	ck_assert_ptr_nonnull(mempool_alloc(client, 100));
	/* The daemon is another one by now, and listens. */
	wait_for_talks(1);
	hang_up_after = false;
	ck_assert_int_eq(mempool_client_close(client), 1);
	wait_for_talks(2);
	stop_broker();

	ck_assert_int_eq(n_talks, 2);
	ck_assert_uint_eq(talks[1].hello.nonce, talks[0].hello.nonce);
	ck_assert_uint_eq(talks[1].hello.segment_id, welcome.place.segment_id);
	ck_assert(talks[1].has_bye);
	ck_assert_uint_eq(talks[1].bye.n_freed, 1);
}
END_TEST

START_TEST(test_close_no_daemon_frees_all_the_same)
{
	struct mempool_client *client;

	hang_up_after = true;
	ck_assert_int_eq(try_open(&client), 0);
	ck_assert_ptr_nonnull(mempool_alloc(client, 100));
	stop_broker();
	ck_assert_int_eq(mempool_client_close(client), 1);
	ck_assert_uint_eq(test_segment_used(segment, 0), 0);
}
END_TEST

static bool is_mapped(void *page)
{
	unsigned char resident;

	return mincore(page, 4096, &resident) == 0 || errno != ENOMEM;
}

START_TEST(test_fork_memory_is_not_there_in_the_child)
{
	struct mempool_client *client;
	void *chunk;
	int status;
	pid_t pid;

	/* qemu-user accepts MADV_DONTFORK and MADV_WIPEONFORK alike, and does nothing. */
	if (!test_fork_wipes())
		return;
	ck_assert_int_eq(try_open(&client), 0);
	chunk = mempool_alloc(client, 100);
	ck_assert_ptr_nonnull(chunk);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		void *page = (void *)((uintptr_t)chunk & ~(uintptr_t)4095);

		if (is_mapped(page))
			_exit(1);
		_exit(mempool_client_close(client) == 0 ? 0 : 2);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(mempool_client_close(client), 1);
	stop_broker();
	/* The child told nobody. */
	ck_assert_int_eq(n_talks, 1);
	ck_assert_uint_eq(talks[0].bye.n_freed, 1);
}
END_TEST

/* ---- options ---- */

static void assert_bad_options(const struct mempool_client_options *options)
{
	struct mempool_client *client = NULL;

	ck_assert_int_eq(mempool_client_open(options, &client), -EINVAL);
	ck_assert_ptr_null(client);
	ck_assert_int_eq(n_talks, 0);
}

START_TEST(test_open_bad_options_einval_nobody_is_asked)
{
	struct mempool_client_options right = { .size = sizeof(right),
						.socket_path = socket_path };
	struct mempool_client_options options;
	static const char *const names[] = {
		"", "01234567890123456789012345678901", "a b", "a/b", "\xc3\xa4",
	};
	char long_path[200];

	options = right;
	options.size = 0;
	assert_bad_options(&options);
	options.size = sizeof(options) - 1;
	assert_bad_options(&options);
	options = right;
	options.flags = UINT64_C(1) << 40;
	assert_bad_options(&options);
	options = right;
	options.spin_ns = -1;
	assert_bad_options(&options);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		options = right;
		options.name = names[i];
		assert_bad_options(&options);
		options = right;
		options.segment = names[i];
		assert_bad_options(&options);
	}
	memset(long_path, 'x', sizeof(long_path));
	long_path[108] = '\0';
	options = right;
	options.socket_path = long_path;
	assert_bad_options(&options);
	ck_assert_int_eq(mempool_client_open(&right, NULL), -EINVAL);
}
END_TEST

/* Of a program that was built before there was a spin_ns: it has no such field. */
START_TEST(test_open_options_of_an_earlier_version)
{
	struct mempool_client_options options = {
		.size = offsetof(struct mempool_client_options, spin_ns),
		.socket_path = socket_path,
		.spin_ns = -1,
	};
	struct mempool_client *client;

	ck_assert_int_eq(mempool_client_open(&options, &client), 0);
	ck_assert_int_eq(mempool_client_close(client), 0);
}
END_TEST

START_TEST(test_open_options_of_a_later_version)
{
	struct {
		struct mempool_client_options known;
		uint64_t later[2];
	} options = {
		.known = { .size = sizeof(options), .socket_path = socket_path },
		.later = { 0, 1 },
	};
	struct mempool_client *client;

	/* It asks for something that we don't know: no. It doesn't: fine. */
	assert_bad_options(&options.known);
	options.later[1] = 0;
	ck_assert_int_eq(mempool_client_open(&options.known, &client), 0);
	ck_assert_int_eq(mempool_client_close(client), 0);
}
END_TEST

/* ---- a promise ---- */

/* This process asks what membarrier can do, and has one of its commands refused. Return: as prctl(2). */
static int refuse_membarrier(uint32_t command)
{
	struct sock_filter lines[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 3),
		/* The low half of the command comes first. */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
			 command, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { ARRAY_SIZE(lines), lines };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

START_TEST(test_open_takes_back_what_its_hello_says_of_membarrier)
{
	struct mempool_client *client;

	if (MEMPOOL_SANITIZED ||
	    syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) <
		    MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED ||
	    refuse_membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) < 0)
		return;
	ck_assert_int_eq(try_open(&client), 0);
	ck_assert(client->seq_cst);
	ck_assert_int_eq(mempool_client_close(client), 0);
	wait_for_talks(2);
	ck_assert_uint_eq(talks[0].hello.flags, MEMPOOL_HELLO_MEMBARRIER);
	ck_assert(talks[0].has_bye);
	ck_assert_int_eq(talks[0].unable.error, 0);
	ck_assert_uint_eq(talks[1].hello.flags, 0);
	ck_assert_uint_ne(talks[1].hello.nonce, talks[0].hello.nonce);
}
END_TEST

/* It has registered, and cannot issue one any more. */
START_TEST(test_open_says_once_that_membarrier_is_lost)
{
	struct mempool_client *client;

	if (MEMPOOL_SANITIZED ||
	    syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) <
		    MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED)
		return;
	ck_assert_int_eq(try_open(&client), 0);
	while (mempool_alloc(client, 1))
		;
	if (refuse_membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED) < 0) {
		puts("skipped: no seccomp filters here");
		mempool_client_close(client);
		return;
	}
	for (int i = 0; i < 3 * CACHE_DRY_CALLS; i++)
		ck_assert_ptr_null(mempool_alloc(client, 1));
	ck_assert_uint_eq(client->connection.hello.flags & MEMPOOL_HELLO_MEMBARRIER, 0);
	mempool_client_close(client);
	wait_for_talks(1);
	ck_assert_uint_eq(talks[0].hello.flags, MEMPOOL_HELLO_MEMBARRIER);
	ck_assert_uint_eq(talks[0].n_no_barrier, 1);
}
END_TEST

/* ---- no daemon ---- */

START_TEST(test_open_no_daemon_enotconn)
{
	struct mempool_client_options options = { .timeout_ns = 50 * 1000000 };
	struct timespec before, after;
	struct mempool_client *client;
	int64_t waited_ms;

	stop_broker();
	assert_refused(-ENOTCONN);	/* a socket that nobody listens on */
	unlink(socket_path);
	assert_refused(-ENOTCONN);	/* no socket */

	clock_gettime(CLOCK_MONOTONIC, &before);
	ck_assert_int_eq(open_with(&options, &client), -ENOTCONN);
	clock_gettime(CLOCK_MONOTONIC, &after);
	waited_ms = (after.tv_sec - before.tv_sec) * 1000 +
		    (after.tv_nsec - before.tv_nsec) / 1000000;
	ck_assert_int_ge(waited_ms, 49);
}
END_TEST

/* ---- a crowd ---- */

enum { N_CROWD = 4 };
static int crowd[N_CROWD];

/* As many as the listener has room for, and the broker hears one of them; nobody says anything. */
static void gather_crowd(void)
{
	int n = 0;

	ck_assert_int_eq(listen(listener, 1), 0);
	for (;;) {
		int fd = packet_connect(socket_path);

		if (fd == -EAGAIN && n == N_CROWD - 1)
			break;
		ck_assert(fd >= 0 || fd == -EAGAIN);
		ck_assert_int_lt(n, N_CROWD - 1);
		if (fd >= 0)
			crowd[n++] = fd;
		else
			usleep(1000);	/* the first one is to be taken out of the queue */
	}
	crowd[n] = -1;
}

static void *leave_soon(void *unused)
{
	(void)unused;
	usleep(200000);
	for (int i = 0; crowd[i] >= 0; i++)
		close(crowd[i]);
	return NULL;
}

/* Whoever waits, and who tries once, comes in behind the crowd. */
START_TEST(test_open_crowd_is_waited_for)
{
	const struct mempool_client_options options = { .name = "unit",
							.timeout_ns = _i ? -1 : 0 };
	struct mempool_client *client;
	pthread_t leaver;

	gather_crowd();
	ck_assert_int_eq(pthread_create(&leaver, NULL, leave_soon, NULL), 0);
	ck_assert_int_eq(open_with(&options, &client), 0);
	pthread_join(leaver, NULL);
	ck_assert_int_eq(mempool_client_close(client), 0);
}
END_TEST

/* Not for ever. */
START_TEST(test_open_crowd_that_stays_enotconn)
{
	const struct mempool_client_options options = { .name = "unit", .timeout_ns = 50 * MS };
	struct mempool_client *client;

	gather_crowd();
	ck_assert_int_eq(open_with(&options, &client), -ENOTCONN);
	for (int i = 0; crowd[i] >= 0; i++)
		close(crowd[i]);
}
END_TEST

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 * MS + now.tv_nsec;
}

static _Atomic int n_alarms;

static void on_alarm(int signal)
{
	(void)signal;
	n_alarms++;
}

/* A signal handler that runs every so often, from now on. */
static void start_alarms(int64_t interval_ns)
{
	const struct sigaction action = { .sa_handler = on_alarm };
	const struct itimerval timer = {
		.it_interval.tv_usec = (suseconds_t)(interval_ns / 1000),
		.it_value.tv_usec = (suseconds_t)(interval_ns / 1000),
	};

	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static void stop_alarms(void)
{
	ck_assert_int_eq(setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL), 0);
}

static int64_t time_to_fail(int64_t timeout_ns, int error)
{
	struct mempool_client_options options = { .timeout_ns = timeout_ns };
	struct mempool_client *client;
	int64_t start = now_ns();

	ck_assert_int_eq(open_with(&options, &client), error);
	return now_ns() - start;
}

/*
 * It listens and does not answer: one try is over after 5 s, whatever signals come, and a
 * shorter timeout before that. Each time it is told that nobody comes any more.
 */
START_TEST(test_open_without_answer_ends_with_its_deadline)
{
	int64_t once_ns;

	is_silent = true;
	start_alarms(MS);
	once_ns = time_to_fail(0, -ENOTCONN);
	stop_alarms();
	ck_assert_int_gt(n_alarms, 10);
	ck_assert_int_ge(once_ns, 5000 * MS);
	ck_assert_int_lt(time_to_fail(200 * MS, -ENOTCONN), once_ns / 2);
	wait_for_talks(2);
	stop_broker();
	ck_assert_int_eq(n_talks, 2);
	ck_assert(talks[0].has_bye && talks[1].has_bye);
}
END_TEST

/* As every other wait: no daemon, one that does not answer; for ever, and for long. */
START_TEST(test_open_signal_handler_ends_the_wait)
{
	start_alarms(20 * MS);
	is_silent = true;
	time_to_fail(-1, -EINTR);
	time_to_fail(INT64_MAX, -EINTR);
	wait_for_talks(2);
	stop_broker();
	time_to_fail(-1, -EINTR);
	time_to_fail(3600 * 1000 * MS, -EINTR);
	stop_alarms();
	ck_assert_int_eq(n_talks, 2);
	ck_assert(talks[0].has_bye && talks[1].has_bye);
}
END_TEST

/* With its flag as without signals: one that does not answer, and none. */
START_TEST(test_open_with_restart_waits_on_after_signals)
{
	struct mempool_client_options options = {
		.timeout_ns = 50 * MS,
		.flags = MEMPOOL_CLIENT_RESTART,
	};
	struct mempool_client *client;
	int64_t start = now_ns();

	start_alarms(MS);
	is_silent = true;
	ck_assert_int_eq(open_with(&options, &client), -ENOTCONN);
	ck_assert_int_ge(now_ns() - start, 50 * MS);
	stop_broker();
	start = now_ns();
	ck_assert_int_eq(open_with(&options, &client), -ENOTCONN);
	ck_assert_int_ge(now_ns() - start, 50 * MS);
	stop_alarms();
	ck_assert_int_gt(n_alarms, 10);
}
END_TEST

static void *open_for_ever(void *unused)
{
	struct mempool_client *client;

	(void)unused;
	open_with(&(struct mempool_client_options){ .timeout_ns = -1 }, &client);
	return NULL;
}

/* It may have been welcome meanwhile: it says that it is not coming. */
START_TEST(test_open_cancelled_says_bye)
{
	pthread_t thread;
	void *result;

	is_silent = true;
	ck_assert_int_eq(pthread_create(&thread, NULL, open_for_ever, NULL), 0);
	while (!has_hello)
		usleep(1000);
	ck_assert_int_eq(pthread_cancel(thread), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_ptr_eq(result, PTHREAD_CANCELED);
	wait_for_talks(1);
	ck_assert(talks[0].has_bye);
}
END_TEST

START_TEST(test_open_hang_up_without_answer_enotconn)
{
	answer = NULL;
	assert_refused(-ENOTCONN);
}
END_TEST

/* ---- roles ---- */

static int open_flagged(uint64_t flags, struct mempool_client **client)
{
	return open_with(&(struct mempool_client_options){ .name = "unit", .flags = flags }, client);
}

/* Data that is not for writing does for a reader, so it maps it for reading. */
START_TEST(test_open_as_a_reader)
{
	struct mempool_client *client;

	close(passed[MEMPOOL_PASSED_DATA]);
	passed[MEMPOOL_PASSED_DATA] = segment_open_data(shm_name, SEGMENT_READ_ONLY);
	welcome.role = MEMPOOL_WELCOME_READER;
	ck_assert_int_eq(open_flagged(_i ? MEMPOOL_CLIENT_READ_ONLY : 0, &client), 0);
	ck_assert_int_eq(mempool_client_role(client), MEMPOOL_ROLE_READER);
	ck_assert_ptr_null(mempool_alloc(client, 1));
	ck_assert_int_eq(errno, EACCES);
	ck_assert_int_eq(mempool_client_close(client), 0);
	wait_for_talks(1);
	ck_assert_uint_eq(talks[0].hello.flags & MEMPOOL_HELLO_READ_ONLY,
			  _i ? MEMPOOL_HELLO_READ_ONLY : 0);
}
END_TEST

/* One that there is not, one without its id, and more than was asked for. */
START_TEST(test_open_role_that_cannot_be_eproto)
{
	static const struct {
		uint32_t role, holder;
		uint64_t flags;
	} cases[] = {
		{ MEMPOOL_WELCOME_SPECTATOR + 1, TEST_HOLDER, 0 },
		{ MEMPOOL_WELCOME_MEMBER, MEMPOOL_HOLDER_NONE, 0 },
		{ MEMPOOL_WELCOME_READER, MEMPOOL_HOLDER_NONE, 0 },
		{ MEMPOOL_WELCOME_READER, MEMPOOL_HOLDER_DAEMON_ID, 0 },
		{ MEMPOOL_WELCOME_SPECTATOR, TEST_HOLDER, 0 },
		{ MEMPOOL_WELCOME_MEMBER, TEST_HOLDER, MEMPOOL_CLIENT_READ_ONLY },
	};
	struct mempool_client *client;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		welcome.role = cases[i].role;
		welcome.holder = cases[i].holder;
		ck_assert_int_eq(open_flagged(cases[i].flags, &client), -EPROTO);
	}
}
END_TEST

/* ---- refusals and nonsense ---- */

START_TEST(test_open_refusal_is_passed_on)
{
	static const int errors[] = { -EACCES, -ENOENT, -EUSERS, -EDQUOT, -EPROTONOSUPPORT };
	struct mempool_msg_refused refused = {
		.msg = {
			.magic = MEMPOOL_PROTOCOL_MAGIC,
			.version = 99,	/* of any version */
			.type = MEMPOOL_MSG_REFUSED,
			.size = sizeof(refused),
		},
	};

	answer = &refused;
	answer_size = sizeof(refused);
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		refused.error = errors[i];
		assert_refused(errors[i]);
	}
	/* No hello came in time: to the caller, no daemon did. */
	refused.error = -ETIMEDOUT;
	assert_refused(-ENOTCONN);
	refused.error = 0;
	assert_refused(-EPROTO);
	refused.error = 5;
	assert_refused(-EPROTO);
	refused.error = INT32_MIN;
	assert_refused(-EPROTO);
}
END_TEST

static void *read_reason_of_thread(void *ret_reason)
{
	strcpy(ret_reason, mempool_client_error());
	return NULL;
}

START_TEST(test_open_refused_tells_why)
{
	struct mempool_msg_refused refused = {
		.msg = {
			.magic = MEMPOOL_PROTOCOL_MAGIC,
			.version = MEMPOOL_PROTOCOL_VERSION,
			.type = MEMPOOL_MSG_REFUSED,
			.size = sizeof(refused),
		},
		.error = -ENOENT,
		.reason = "there is no segment 'x'",
	};
	const void *welcoming = answer;
	const size_t welcoming_size = answer_size;
	struct mempool_client *client;
	char of_another[300] = "?";
	pthread_t thread;

	ck_assert_str_eq(mempool_client_error(), "");
	answer = &refused;
	answer_size = sizeof(refused);
	assert_refused(-ENOENT);
	ck_assert_str_eq(mempool_client_error(), "there is no segment 'x'");
	ck_assert_int_eq(pthread_create(&thread, NULL, read_reason_of_thread, of_another), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_str_eq(of_another, "");

	/* Whoever listens there may write anything. */
	memset(refused.reason, 'x', sizeof(refused.reason));
	memcpy(refused.reason, "a\n\x1b[31m\xff", 8);
	assert_refused(-ENOENT);
	ck_assert_uint_eq(strlen(mempool_client_error()), sizeof(refused.reason));
	ck_assert_mem_eq(mempool_client_error(), "a??[31m?x", 9);
	refused.reason[0] = '\0';
	assert_refused(-ENOENT);
	ck_assert_str_eq(mempool_client_error(), mempool_strerror(ENOENT));

	/* To the caller, no daemon was there. */
	strcpy(refused.reason, "no message in time");
	refused.error = -ETIMEDOUT;
	assert_refused(-ENOTCONN);
	ck_assert_ptr_nonnull(strstr(mempool_client_error(), socket_path));

	answer = welcoming;
	answer_size = welcoming_size;
	ck_assert_int_eq(try_open(&client), 0);
	ck_assert_str_eq(mempool_client_error(), "");
	mempool_client_close(client);
}
END_TEST

/* What it has found itself. */
START_TEST(test_open_mistake_tells_which)
{
	static const struct {
		struct mempool_client_options options;
		const char *text;
	} mistakes[] = {
		{ { .segment = "a b" }, "a segment's name" },
		{ { .name = "a b" }, "a client's name" },
		{ { .flags = UINT64_C(1) << 63 }, "a flag is of a later version" },
	};
	struct mempool_client *client;

	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
		ck_assert_int_eq(open_with(&mistakes[i].options, &client), -EINVAL);
		ck_assert_msg(strstr(mempool_client_error(), mistakes[i].text), "%s",
			      mempool_client_error());
	}
	ck_assert_int_eq(mempool_client_open(NULL, NULL), -EINVAL);
	ck_assert_str_eq(mempool_client_error(), mempool_strerror(EINVAL));
}
END_TEST

START_TEST(test_strerror_has_words_for_both_signs)
{
	ck_assert_str_eq(mempool_strerror(0), "no error");
	ck_assert_str_eq(mempool_strerror(-EBUSY), mempool_strerror(EBUSY));
	ck_assert_str_eq(mempool_strerror(-EBUSY), "the chunk is shared, where it must be held alone; or another thread is the queue's one "
			 "sender or receiver");
	ck_assert_str_eq(mempool_strerror(EXDEV), "unknown error");
	ck_assert_str_eq(mempool_strerror(INT_MIN), "unknown error");
	ck_assert_str_eq(mempool_strerror(INT_MAX), "unknown error");
}
END_TEST

START_TEST(test_open_malformed_answer_eproto)
{
	answer_size = sizeof(welcome) - 1;
	assert_refused(-EPROTO);
	answer_size = 1;
	assert_refused(-EPROTO);
	answer_size = sizeof(welcome);
	welcome.msg.size--;
	assert_refused(-EPROTO);
	welcome.msg.size++;
	welcome.msg.magic++;
	assert_refused(-EPROTO);
	welcome.msg.magic--;
	welcome.msg.type = MEMPOOL_MSG_SEGMENT;
	assert_refused(-EPROTO);
}
END_TEST

START_TEST(test_open_other_protocol_version_eprotonosupport)
{
	welcome.msg.version++;
	assert_refused(-EPROTONOSUPPORT);
}
END_TEST

/* Pass another file instead. */
static void pass(uint32_t which, int fd)
{
	ck_assert_int_ge(fd, 0);
	close(passed[which]);
	passed[which] = fd;
}

/* What stands in the file of the shape, which is nobody's to write: in another one. */
static void pass_changed_shape(void (*change)(unsigned char *bytes, size_t *n))
{
	const int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
	int fd = memfd_create("shape", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	unsigned char bytes[1024];
	ssize_t n = pread(passed[MEMPOOL_PASSED_SHAPE], bytes, sizeof(bytes), 0);
	size_t size = (size_t)n;

	ck_assert_int_gt(n, 0);
	change(bytes, &size);
	ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	pass(MEMPOOL_PASSED_SHAPE, fd);
}

static void of_next_layout(unsigned char *bytes, size_t *n)
{
	(void)n;
	((struct mempool_shape *)bytes)->layout++;
}

START_TEST(test_open_other_layout_version_eprotonosupport)
{
	pass_changed_shape(of_next_layout);
	assert_refused(-EPROTONOSUPPORT);
}
END_TEST

/* Whatever members write there: the daemon says what it is. */
START_TEST(test_open_forged_header_is_not_believed)
{
	struct mempool_header *header = segment->header;
	struct mempool_client *client;

	header->version_major++;
	header->fingerprint++;
	header->total_size = UINT64_MAX;
	header->n_holders = 64;
	segment_pool_record(header, &segment->geometry, 0)->n_chunks = 1;
	ck_assert_int_eq(try_open(&client), 0);
	for (int i = 0; i < 10; i++)
		ck_assert_ptr_nonnull(mempool_alloc(client, 100));
	ck_assert_int_eq(mempool_client_close(client), 10);
}
END_TEST

START_TEST(test_open_corrupt_segment_ebadmsg)
{
	segment->header->magic++;
	assert_refused(-EBADMSG);
	segment->header->magic--;
	segment->header->state = MEMPOOL_SEGMENT_BUILDING;
	assert_refused(-EBADMSG);
	wait_for_talks(2);
	stop_broker();
	/* Welcomed but not come: it says so. */
	ck_assert_int_eq(n_talks, 2);
	ck_assert(talks[0].has_bye && talks[1].has_bye);
	ck_assert_uint_eq(talks[1].unable.msg.size, sizeof(talks[1].unable));
	ck_assert_int_eq(talks[1].unable.error, -EBADMSG);
}
END_TEST

START_TEST(test_open_impossible_holder_eproto)
{
	static const uint32_t ids[] = { 0, 1, 256, UINT32_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		welcome.holder = ids[i];
		assert_refused(-EPROTO);
	}
}
END_TEST

/* ---- what comes with the welcome ---- */

static unsigned int count_fds(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < 100; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* And nothing of it is kept. */
static void assert_refused_and_closed(int error)
{
	unsigned int n_fds = count_fds();
	int n_before = n_talks;

	assert_refused(error);
	/* The broker has its end until it has heard the goodbye. */
	wait_for_talks(n_before + 1);
	ck_assert_uint_eq(count_fds(), n_fds);
}

START_TEST(test_open_object_without_a_name)
{
	struct mempool_client *client;

	ck_assert_int_eq(shm_unlink(shm_name), 0);
	welcome.place.shm_name[0] = '\0';
	ck_assert_int_eq(try_open(&client), 0);
	ck_assert_ptr_nonnull(mempool_alloc(client, 100));
	ck_assert_int_eq(mempool_client_close(client), 1);
}
END_TEST

START_TEST(test_open_too_few_passed_eproto)
{
	while (n_passed > (uint32_t)_i)
		close(passed[--n_passed]);
	assert_refused_and_closed(-EPROTO);
}
END_TEST

/* As a later version may; beyond what there is room for, the kernel closes them. */
START_TEST(test_open_more_passed_are_closed)
{
	struct mempool_client *client;
	unsigned int n_fds;

	passed[n_passed++] = open_object(O_RDWR);
	n_fds = count_fds();
	ck_assert_int_eq(try_open(&client), 0);
	ck_assert_int_eq(mempool_client_close(client), 0);
	wait_for_talks(1);
	ck_assert_uint_eq(count_fds(), n_fds);
}
END_TEST

/* Our own limit, and not what the daemon has done. */
START_TEST(test_open_no_room_for_descriptors_emfile)
{
	struct rlimit limit;
	int last = dup(listener);

	close(last);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	/* Our connection, the broker's, and one more. */
	limit.rlim_cur = (rlim_t)last + 3;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_refused_and_closed(-EMFILE);
}
END_TEST

START_TEST(test_open_other_kinds_of_files_eproto)
{
	int pipes[2], sockets[2];

	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	pass((uint32_t)_i, pipes[0]);
	assert_refused_and_closed(-EPROTO);
	pass((uint32_t)_i, sockets[0]);
	assert_refused_and_closed(-EPROTO);
	pass((uint32_t)_i, open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	assert_refused_and_closed(-EPROTO);
	pass((uint32_t)_i, open("/dev/zero", O_RDWR | O_CLOEXEC));
	assert_refused_and_closed(-EPROTO);
	close(pipes[1]);
	close(sockets[1]);
}
END_TEST

/* What is in it is right, but its maker may change it. */
START_TEST(test_open_shape_not_sealed_eproto)
{
	int fd = memfd_create("shape", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	unsigned char bytes[1024];
	ssize_t n = pread(passed[MEMPOOL_PASSED_SHAPE], bytes, sizeof(bytes), 0);

	ck_assert_int_eq(write(fd, bytes, (size_t)n), n);
	pass(MEMPOOL_PASSED_SHAPE, fd);
	assert_refused_and_closed(-EPROTO);
}
END_TEST

static void cut(unsigned char *bytes, size_t *n)
{
	(void)bytes;
	--*n;
}

START_TEST(test_open_shape_cut_eproto)
{
	pass_changed_shape(cut);
	assert_refused_and_closed(-EPROTO);
}
END_TEST

static void of_more_chunks(unsigned char *bytes, size_t *n)
{
	(void)n;
	((struct mempool_shape_pool *)(bytes + sizeof(struct mempool_shape)))->n_chunks = 100000;
}

START_TEST(test_open_shape_larger_than_object_eproto)
{
	pass_changed_shape(of_more_chunks);
	assert_refused_and_closed(-EPROTO);
}
END_TEST

START_TEST(test_open_data_not_for_writing_eproto)
{
	pass(MEMPOOL_PASSED_DATA, segment_open_data(shm_name, SEGMENT_READ_ONLY));
	assert_refused_and_closed(-EPROTO);
}
END_TEST

START_TEST(test_open_object_not_for_writing_eproto)
{
	pass(MEMPOOL_PASSED_CONTROL, open_object(O_RDONLY));
	assert_refused_and_closed(-EPROTO);
}
END_TEST

/* A write to it, by whatever mistake of the program, would be one to the segment. */
START_TEST(test_open_lock_that_writes_eproto)
{
	pass(MEMPOOL_PASSED_LOCK, open_object(O_RDWR));
	assert_refused_and_closed(-EPROTO);
}
END_TEST

START_TEST(test_open_lock_of_another_object_eproto)
{
	pass(MEMPOOL_PASSED_LOCK, open("/dev/null", O_RDONLY | O_CLOEXEC));
	assert_refused_and_closed(-EPROTO);
}
END_TEST

/* What the daemon says of their size is not what the shape makes. */
START_TEST(test_open_other_sizes_eproto)
{
	if (_i)
		welcome.place.data_bytes += 4096;
	else
		welcome.place.control_bytes -= 4096;
	assert_refused_and_closed(-EPROTO);
}
END_TEST

START_TEST(test_open_shorter_object_ebadmsg)
{
	const struct geometry *geometry = &segment->geometry;
	int fd = passed[_i ? MEMPOOL_PASSED_DATA : MEMPOOL_PASSED_CONTROL];

	ck_assert_int_eq(ftruncate(fd, (off_t)(_i ? geometry->data_bytes
						  : geometry->control_bytes) - 1), 0);
	assert_refused_and_closed(-EBADMSG);
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	assert_refused_and_closed(-EBADMSG);
}
END_TEST

START_TEST(test_open_other_segment_id_ebadmsg)
{
	welcome.place.segment_id++;
	assert_refused_and_closed(-EBADMSG);
}
END_TEST

/* Whether somebody has the lock of the holder, on the object itself. */
static bool holder_is_shown(void)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = TEST_HOLDER,
		.l_len = 1,
	};

	ck_assert_int_eq(fcntl(segment->memory.fd, F_OFD_GETLK, &lock), 0);
	return lock.l_type != F_UNLCK;
}

START_TEST(test_open_lock_is_taken_and_goes_with_the_client)
{
	struct mempool_client *client;

	ck_assert(!holder_is_shown());
	ck_assert_int_eq(try_open(&client), 0);
	/* A descriptor that is passed shares its open file, and this one's is the client's. */
	close(passed[MEMPOOL_PASSED_LOCK]);
	passed[MEMPOOL_PASSED_LOCK] = open_object(O_RDONLY);
	ck_assert(holder_is_shown());
	ck_assert_int_eq(mempool_client_close(client), 0);
	ck_assert(!holder_is_shown());
}
END_TEST

/* ---- a daemon that went, and of the next one only the socket is there ---- */

/* How often the calling thread has gone to sleep. */
static long n_sleeps(void)
{
	struct rusage usage;

	ck_assert_int_eq(getrusage(RUSAGE_THREAD, &usage), 0);
	return usage.ru_nvcsw;
}

/* Another holder that polls, as the segment has it. */
static void add_poller(struct mempool_ring *ring)
{
	struct holder holder = { .id = TEST_HOLDER + 1, .kind = MEMPOOL_HOLDER_CLIENT };

	holder_set_live(segment, &holder);
	segment->pollers[0] |= UINT64_C(1) << holder.id;
	eventcount_prepare(&ring->filled);
}

START_TEST(test_calls_without_answer_do_not_wait)
{
	struct mempool_ring *ring = &segment->rings[0];
	struct mempool_client *client;
	struct mempool_queue *queue;
	long receive_sleeps = LONG_MAX, send_sleeps = LONG_MAX;
	void *chunk;

	hang_up_after = true;
	ck_assert_int_eq(try_open(&client), 0);
	ck_assert_int_eq(mempool_queue_open(client, "queue", &queue), 0);
	wait_for_talks(1);
	is_silent = true;
	ck_assert_int_ge(mempool_client_fd(client), 0);
	/* A call may sleep for other reasons: one in three would do. */
	for (int i = 0; i < 3; i++) {
		long before = n_sleeps(), between;

		ck_assert_int_eq(mempool_queue_receive(queue, &chunk, NULL, 0), -EAGAIN);
		between = n_sleeps();
		if (between - before < receive_sleeps)
			receive_sleeps = between - before;
		chunk = mempool_alloc(client, 8);
		add_poller(ring);
		before = n_sleeps();
		ck_assert_int_eq(mempool_queue_send(queue, chunk, 8, 0), 0);
		if (n_sleeps() - before < send_sleeps)
			send_sleeps = n_sleeps() - before;
		ck_assert_int_eq(mempool_queue_receive(queue, &chunk, NULL, 0), 0);
		ck_assert_int_eq(mempool_free(client, chunk), 0);
	}
	ck_assert_int_eq(receive_sleeps, 0);
	ck_assert_int_eq(send_sleeps, 0);
	mempool_queue_close(queue);
	ck_assert_int_eq(mempool_client_close(client), 0);
	wait_for_talks(2);
	stop_broker();
	/* It came back, and said so before it knew that it was welcome. */
	ck_assert_int_eq(n_talks, 2);
	ck_assert(talks[1].has_bye);
}
END_TEST

START_TEST(test_coming_back_is_tried_once_a_second)
{
	struct mempool_client *client;
	struct mempool_queue *queue;
	int64_t start;
	void *chunk;

	hang_up_after = true;
	ck_assert_int_eq(try_open(&client), 0);
	ck_assert_int_eq(mempool_queue_open(client, "queue", &queue), 0);
	ck_assert_int_ge(mempool_client_fd(client), 0);
	/* Each daemon hangs up at once. */
	answer = NULL;
	start = now_ns();
	for (int i = 0; i < 1000; i++) {
		ck_assert_int_eq(mempool_queue_receive(queue, &chunk, NULL, 0), -EAGAIN);
		usleep(1000);
	}
	/* In each second of the clock, the first and the last of which are cut. */
	ck_assert_int_ge(n_talks, 2);
	ck_assert_int_le(n_talks - 1, (now_ns() - start) / (1000 * MS) + 2);
	mempool_queue_close(queue);
	mempool_client_close(client);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_open_says_hello_close_says_bye);
	tcase_add_test(tcase, test_open_defaults_environment_and_program_name);
	tcase_add_test(tcase, test_open_debug_by_the_environment);
	tcase_add_test(tcase, test_open_debug_by_the_environment_not_with_more_rights);
	tcase_add_test(tcase, test_open_debug_abort_by_the_environment);
	tcase_add_test(tcase, test_fork_of_a_client_that_checks);
	tcase_add_test(tcase, test_close_daemon_gone_meanwhile_comes_back_to_say_bye);
	tcase_add_test(tcase, test_close_no_daemon_frees_all_the_same);
	tcase_add_test(tcase, test_fork_memory_is_not_there_in_the_child);
	tcase_add_test(tcase, test_open_bad_options_einval_nobody_is_asked);
	tcase_add_test(tcase, test_open_options_of_an_earlier_version);
	tcase_add_test(tcase, test_open_options_of_a_later_version);
	tcase_add_test(tcase, test_open_takes_back_what_its_hello_says_of_membarrier);
	tcase_add_test(tcase, test_open_says_once_that_membarrier_is_lost);
	tcase_add_test(tcase, test_open_no_daemon_enotconn);
	tcase_add_loop_test(tcase, test_open_crowd_is_waited_for, 0, 2);
	tcase_add_test(tcase, test_open_crowd_that_stays_enotconn);
	tcase_add_test(tcase, test_open_without_answer_ends_with_its_deadline);
	tcase_add_test(tcase, test_open_signal_handler_ends_the_wait);
	tcase_add_test(tcase, test_open_with_restart_waits_on_after_signals);
	tcase_add_test(tcase, test_calls_without_answer_do_not_wait);
	tcase_add_test(tcase, test_coming_back_is_tried_once_a_second);
	/* What a cancel unwinds stays marked as used for the address sanitizer. */
	if (!MEMPOOL_SANITIZED)
		tcase_add_test(tcase, test_open_cancelled_says_bye);
	tcase_add_test(tcase, test_open_hang_up_without_answer_enotconn);
	tcase_add_loop_test(tcase, test_open_as_a_reader, 0, 2);
	tcase_add_test(tcase, test_open_role_that_cannot_be_eproto);
	tcase_add_test(tcase, test_open_refusal_is_passed_on);
	tcase_add_test(tcase, test_open_refused_tells_why);
	tcase_add_test(tcase, test_open_mistake_tells_which);
	tcase_add_test(tcase, test_strerror_has_words_for_both_signs);
	tcase_add_test(tcase, test_open_malformed_answer_eproto);
	tcase_add_test(tcase, test_open_other_protocol_version_eprotonosupport);
	tcase_add_test(tcase, test_open_other_layout_version_eprotonosupport);
	tcase_add_test(tcase, test_open_corrupt_segment_ebadmsg);
	tcase_add_test(tcase, test_open_impossible_holder_eproto);
	tcase_add_test(tcase, test_open_forged_header_is_not_believed);
	tcase_add_test(tcase, test_open_object_without_a_name);
	tcase_add_loop_test(tcase, test_open_too_few_passed_eproto, 0, MEMPOOL_PASSED_MAX);
	tcase_add_test(tcase, test_open_more_passed_are_closed);
	tcase_add_test(tcase, test_open_no_room_for_descriptors_emfile);
	tcase_add_loop_test(tcase, test_open_other_kinds_of_files_eproto, 0, MEMPOOL_PASSED_MAX);
	tcase_add_test(tcase, test_open_shape_not_sealed_eproto);
	tcase_add_test(tcase, test_open_shape_cut_eproto);
	tcase_add_test(tcase, test_open_shape_larger_than_object_eproto);
	tcase_add_test(tcase, test_open_object_not_for_writing_eproto);
	tcase_add_test(tcase, test_open_data_not_for_writing_eproto);
	tcase_add_loop_test(tcase, test_open_other_sizes_eproto, 0, 2);
	tcase_add_test(tcase, test_open_lock_that_writes_eproto);
	tcase_add_test(tcase, test_open_lock_of_another_object_eproto);
	tcase_add_loop_test(tcase, test_open_shorter_object_ebadmsg, 0, 2);
	tcase_add_test(tcase, test_open_other_segment_id_ebadmsg);
	tcase_add_test(tcase, test_open_lock_is_taken_and_goes_with_the_client);
}

int main(void)
{
	return test_run("connection", add_tests);
}
