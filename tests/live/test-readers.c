/* SPDX-License-Identifier: MIT */
/*
 * test-readers.c - what keeps readers from messages: the kernel, whatever they try
 *
 * A reader has data opened and mapped for reading. Each way to change a byte all the same is refused,
 * of memfds as of huge pages, and changes it for a member. Then a storm: readers that write over
 * control as fast as they can, and try all ways beside it; afterwards each word of data is one that a
 * member wrote. Only root can be other users.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "actor.h"
#include "shm/geometry.h"
#include "shm/packet.h"
#include "shm/shape.h"
#include "support/control.h"
#include "ways.h"

#define READER 54321
#define SPECTATOR 54322

/* Without an `allow` the fixture lets in everybody. */
static const char roles[] = "    allow: { users: [ 54323 ] }\n"
			    "    readers: { users: [ 54321 ] }\n"
			    "    spectators: { users: [ 54322 ] }\n";
static const char shape[] = "    max_clients: 30\n"
			    "    fallback: false\n"
			    "    pools:\n"
			    "      - { chunk_size: 128, chunk_count: 512 }\n"
			    "      - { chunk_size: 4096, chunk_count: 64 }\n"
			    "    queues: [ { name: jobs, capacity: 16 } ]\n"
			    "    topics: [ { name: camera, capacity: 16 } ]\n";

static struct fixture fixture;

static void configure(const char *keys)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s%s", keys, shape);
	fixture_configure(&fixture, "", text);
}

static void configure_memfd(const char *more)
{
	char keys[512];

	snprintf(keys, sizeof(keys), "    backing: memfd\n%s%s", more, roles);
	configure(keys);
}

static void setup(void)
{
	fixture_init(&fixture);
	configure_memfd("");
}

static void teardown(void)
{
	if (fixture.pid)
		fixture_stop(&fixture);
	fixture_deinit(&fixture);
}

static void become(uid_t uid)
{
	if (uid == 0)
		return;
	ck_assert_int_eq(setgroups(0, NULL), 0);
	ck_assert_int_eq(setresgid(uid, uid, uid), 0);
	ck_assert_int_eq(setresuid(uid, uid, uid), 0);
	/* As after the exec of a program of that user: its /proc/self is its own. */
	ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1), 0);
}

/* Be welcome in that role, and keep what was passed. */
static void attach(enum mempool_welcome_role role, struct packet_passed *ret_passed)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, (uint64_t)getpid());
	struct mempool_msg_welcome welcome;
	int fd = wire_connect(&fixture);

	wire_send(fd, &hello, sizeof(hello));
	ck_assert(patience_poll(fd, 5000));
	ck_assert_int_eq(packet_receive(fd, &welcome, sizeof(welcome), ret_passed),
			 sizeof(welcome));
	ck_assert_uint_eq(welcome.msg.type, MEMPOOL_MSG_WELCOME);
	ck_assert_uint_eq(welcome.role, role);
}

static size_t size_of(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return (size_t)st.st_size;
}

/* ---- each way ---- */

/* Huge pages of ours, for as long as the lock is held. */
static int huge_lock = -1;
static unsigned long n_huge_before;

#define NR_HUGE "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
#define FREE_HUGE "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"

static unsigned long number_in(const char *path)
{
	unsigned long number = 0;
	FILE *file = fopen(path, "re");

	if (!file)
		return 0;
	if (fscanf(file, "%lu", &number) != 1)
		number = 0;
	fclose(file);
	return number;
}

static void set_huge(unsigned long n)
{
	FILE *file = fopen(NR_HUGE, "we");

	if (!file)
		return;
	fprintf(file, "%lu", n);
	fclose(file);
}

static void take_huge_pages(void)
{
	huge_lock = open("/proc/sys/vm/nr_hugepages", O_RDONLY | O_CLOEXEC);
	if (huge_lock >= 0)
		flock(huge_lock, LOCK_EX);
	n_huge_before = number_in(NR_HUGE);
	set_huge(n_huge_before + 4);
}

static void give_huge_pages_back(void)
{
	set_huge(n_huge_before);
	close(huge_lock);
}

static void run_intruder(const struct fixture *with, int to)
{
	enum ways_of of = (enum ways_of)hear(to);
	struct packet_passed passed;
	int control;

	(void)with;
	become(READER);
	attach(MEMPOOL_WELCOME_READER, &passed);
	ck_assert_uint_eq(passed.n, MEMPOOL_PASSED_MAX);
	ways_expect_refused(passed.fds[MEMPOOL_PASSED_DATA], of, "data");
	ways_expect_refused(passed.fds[MEMPOOL_PASSED_LOCK], WAYS_MEMFD, "lock");
	/* Control is for writing, and its size is sealed. */
	control = passed.fds[MEMPOOL_PASSED_CONTROL];
	ck_assert_int_eq(fcntl(control, F_GETFL) & O_ACCMODE, O_RDWR);
	ck_assert_int_lt(ftruncate(control, 0), 0);
	ck_assert_int_eq(errno, EPERM);
	tell(to, 1);
}

START_TEST(test_a_reader_can_change_no_byte_of_data)
{
	static const enum ways_of kinds[] = { WAYS_MEMFD, WAYS_HUGE };
	const enum ways_of of = kinds[_i];
	unsigned char *before, *after;
	struct packet_passed passed;
	struct actor intruder;
	size_t size;
	char *bytes;
	int fd;

	if (of == WAYS_HUGE && number_in(FREE_HUGE) < 4) {
		printf("skipped: a reader of huge pages: there are none to be had\n");
		return;
	}
	configure_memfd(of == WAYS_HUGE ? "    huge_pages: 2MiB\n" : "");
	fixture_start(&fixture);
	attach(MEMPOOL_WELCOME_MEMBER, &passed);
	fd = passed.fds[MEMPOOL_PASSED_DATA];
	size = size_of(fd);
	bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(bytes, MAP_FAILED);
	memset(bytes, 'm', size);
	munmap(bytes, size);

	before = ways_read(fd, size);
	actor_start(&intruder, &fixture, run_intruder);
	tell(intruder.fd, of);
	expect_to_hear(intruder.fd, 1);
	actor_join(&intruder);
	after = ways_read(fd, size);
	ck_assert_mem_eq(before, after, size);
	ways_expect_changes(fd, of);
	free(before);
	free(after);
	packet_close_passed(&passed);
}
END_TEST

/* ---- a program's own mistake ---- */

static const struct way_in {
	const char *keys;
	uid_t uid;
	uint64_t flags;
	bool faults;
} ways_in[] = {
	{ "", 0, 0, false },
	{ "", 0, MEMPOOL_CLIENT_READ_ONLY, true },
	{ "    backing: memfd\n", 0, MEMPOOL_CLIENT_READ_ONLY, true },
	{ "    backing: memfd\n    allow: { users: [] }\n    readers: { users: [ 54321 ] }\n", READER, 0,
	  true },
};
#define N_WAYS_IN (int)(sizeof(ways_in) / sizeof(ways_in[0]))

static void *touched;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	_exit(info->si_code == SEGV_ACCERR && info->si_addr == touched ? 0 : 2);
}

static struct mempool_client *open_with(const struct fixture *with, uint64_t flags)
{
	struct mempool_client_options options = {
		.size = sizeof(options),
		.socket_path = with->socket_path,
		.segment = with->segment,
		.flags = flags,
	};
	struct mempool_client *client;

	ck_assert_int_eq(mempool_client_open(&options, &client), 0);
	return client;
}

static struct mempool_queue *open_queue(struct mempool_client *client)
{
	struct mempool_queue *queue;

	ck_assert_int_eq(mempool_queue_open(client, "jobs", &queue), 0);
	return queue;
}

/* Writes to what it has received. 0: it was ended there by SIGSEGV, if it was to be. */
static void run_careless(const struct fixture *with, int fd)
{
	const struct way_in *way = &ways_in[hear(fd)];
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	struct mempool_client *client;
	size_t length;

	become(way->uid);
	client = open_with(with, way->flags);
	ck_assert_int_eq(mempool_queue_receive(open_queue(client), &touched, &length, -1), 0);
	ck_assert_uint_eq(length, 8);
	ck_assert_str_eq(touched, "message");
	ck_assert_int_eq(sigaction(SIGSEGV, &action, NULL), 0);
	*(volatile char *)touched = 'M';
	_exit(way->faults ? 1 : 0);
}

START_TEST(test_a_stray_write_to_a_message_faults_there)
{
	struct mempool_client *client;
	struct mempool_queue *queue;
	struct actor careless;
	char *chunk;

	configure(ways_in[_i].keys);
	fixture_start(&fixture);
	client = open_with(&fixture, 0);
	chunk = mempool_alloc(client, 8);
	strcpy(chunk, "message");
	queue = open_queue(client);
	ck_assert_int_eq(mempool_queue_send(queue, chunk, 8, 0), 0);
	actor_start(&careless, &fixture, run_careless);
	tell(careless.fd, (uint64_t)_i);
	actor_join(&careless);
	ck_assert_int_eq(chunk[0], ways_in[_i].faults ? 'm' : 'M');
	mempool_queue_close(queue);
	ck_assert_int_eq(mempool_client_close(client), 0);
}
END_TEST

/* ---- a holder as others ---- */

/* Receives until it is told to die, and holds the last one. */
static void run_receiver(const struct fixture *with, int to)
{
	struct mempool_client *client;
	struct mempool_queue *queue;
	uint64_t *chunk;

	become(READER);
	client = open_with(with, 0);
	queue = open_queue(client);
	ck_assert_int_ge(mempool_client_fd(client), 0);
	tell(to, MEMPOOL_ROLE_READER);
	for (;;) {
		int r = mempool_queue_receive(queue, (void **)&chunk, NULL, 0);

		if (r == -EAGAIN) {
			ck_assert(patience_poll(mempool_client_fd(client), 5000));
			continue;
		}
		ck_assert_int_eq(r, 0);
		tell(to, *chunk);
		if (hear(to))
			pause();
		ck_assert_int_eq(mempool_free(client, chunk), 0);
	}
}

static void send_number(struct mempool_client *client, struct mempool_queue *queue, uint64_t number,
			int64_t timeout_ns)
{
	uint64_t *chunk = mempool_alloc(client, sizeof(*chunk));

	ck_assert_ptr_nonnull(chunk);
	*chunk = number;
	ck_assert_int_eq(mempool_queue_send(queue, chunk, sizeof(*chunk), timeout_ns), 0);
}

static bool holds_nothing(void *client)
{
	struct mempool_pool_info pool;

	ck_assert_int_gt(mempool_client_pools(client, &pool, 1), 0);
	return pool.used == 0;
}

START_TEST(test_a_reader_is_woken_and_reaped_as_a_member)
{
	struct mempool_client *client;
	struct mempool_queue *queue;
	struct actor receiver;

	fixture_start(&fixture);
	client = open_with(&fixture, 0);
	queue = open_queue(client);
	actor_start(&receiver, &fixture, run_receiver);
	expect_to_hear(receiver.fd, MEMPOOL_ROLE_READER);
	/* Each finds it asleep. */
	for (uint64_t number = 1; number <= 2; number++) {
		send_number(client, queue, number, 0);
		expect_to_hear(receiver.fd, number);
		tell(receiver.fd, 0);
	}
	/* It makes room for one that waits. */
	for (uint64_t number = 0; number < 20; number++)
		tell(receiver.fd, number == 19);
	for (uint64_t number = 0; number < 20; number++)
		send_number(client, queue, number, -1);
	for (uint64_t number = 0; number < 20; number++)
		expect_to_hear(receiver.fd, number);
	ck_assert(!holds_nothing(client));
	actor_kill(&receiver);
	wait_until(holds_nothing, client, 5000);
	mempool_queue_close(queue);
	ck_assert_int_eq(mempool_client_close(client), 0);
}
END_TEST

/* ---- storm ---- */

#define STORM_NS INT64_C(1000000000)
#define CALM_NS INT64_C(500000000)
#define N_MEMBERS 2
#define N_READERS 2
#define N_SPECTATORS 2

/* What a member writes: half of it follows from the other, so that a word of any other is seen. */
static uint64_t stamp(uint32_t number)
{
	uint64_t mixed = (number + UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);

	return (mixed ^ mixed >> 31) << 32 | number;
}

static bool is_stamp(uint64_t word)
{
	return word == stamp((uint32_t)word);
}

static void put_stamps(void *chunk, size_t size, uint32_t number)
{
	_Atomic uint64_t *words = chunk;

	for (size_t i = 0; i < size / 8; i++)
		atomic_store_explicit(&words[i], stamp(number + (uint32_t)i), memory_order_relaxed);
}

static uint32_t draw(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*state >> 33);
}

static int64_t time_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Writes to what it has allocated, and to nothing else; whatever others make of the tables. */
static void run_member(const struct fixture *with, int to)
{
	struct mempool_client *client = open_with(with, 0);
	struct mempool_queue *queue = open_queue(client);
	struct mempool_topic *topic;
	uint64_t random = (uint64_t)getpid();

	ck_assert_int_eq(mempool_topic_open(client, "camera", &topic), 0);
	tell(to, 1);
	hear(to);
	for (uint64_t n = 1;; n++) {
		void *chunk = mempool_alloc(client, 128), *message;

		if (n == 1000)
			tell(to, n);
		if (chunk)
			put_stamps(chunk, 128, draw(&random));
		if (chunk && ((draw(&random) & 1) == 0 ? mempool_queue_send(queue, chunk, 128, 0)
						       : mempool_topic_publish(topic, chunk, 128)) < 0)
			mempool_free(client, chunk);
		if (mempool_queue_receive(queue, &message, NULL, 0) == 0)
			mempool_free(client, message);
	}
}

static void write_everywhere(int fd, uint64_t *random)
{
	const size_t size = size_of(fd);
	_Atomic uint64_t *words = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (words == MAP_FAILED)
		words = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (words == MAP_FAILED)
		return;
	if (mprotect(words, size, PROT_READ | PROT_WRITE) == 0)
		for (int i = 0; i < 1000; i++)
			atomic_store_explicit(&words[draw(random) % (size / 8)], draw(random),
					      memory_order_relaxed);
	munmap(words, size);
	if (pwrite(fd, random, sizeof(*random), (off_t)(draw(random) % size)) < 0)
		ck_assert_int_eq(errno, EBADF);
}

/* Through what it has of the segment it tries what it can, until it is killed: on data, and on control
 * as well from the second word to it on. */
static void rage(const struct packet_passed *passed, int to)
{
	const int control = passed->fds[MEMPOOL_PASSED_CONTROL];
	const int data = passed->fds[MEMPOOL_PASSED_DATA];
	struct pollfd word = { .fd = to, .events = POLLIN };
	uint64_t random = (uint64_t)getpid();

	for (;;) {
		ways_try(data, WAYS_MEMFD);
		write_everywhere(data, &random);
		if (poll(&word, 1, 0) > 0)
			write_everywhere(control, &random);
	}
}

static void run_hostile_reader(const struct fixture *with, int to)
{
	struct packet_passed passed;

	(void)with;
	become(READER);
	attach(MEMPOOL_WELCOME_READER, &passed);
	tell(to, 1);
	hear(to);
	rage(&passed, to);
}

static void run_hostile_spectator(const struct fixture *with, int to)
{
	struct packet_passed passed;

	(void)with;
	become(SPECTATOR);
	attach(MEMPOOL_WELCOME_SPECTATOR, &passed);
	tell(to, 1);
	hear(to);
	ways_try(passed.fds[MEMPOOL_PASSED_CONTROL], WAYS_MEMFD);
	rage(&passed, to);
}

static void start_all(struct actor *actors, int n, actor_fn run)
{
	for (int i = 0; i < n; i++) {
		actor_start(&actors[i], &fixture, run);
		expect_to_hear(actors[i].fd, 1);
	}
}

static void let_loose(const struct actor *actors, int n)
{
	for (int i = 0; i < n; i++)
		tell(actors[i].fd, 1);
}

/* For so long; none of them may have ended by itself. */
static void endure(const struct actor *actors, int n, int64_t ns)
{
	const int64_t until_ns = time_ns() + ns;

	while (time_ns() < until_ns) {
		usleep(10000);
		for (int i = 0; i < n; i++)
			ck_assert_int_eq(waitpid(actors[i].pid, NULL, WNOHANG), 0);
	}
}

/* Members may be writing: each word is loaded once. Return: how many have a stamp. */
static uint64_t count_stamps(const unsigned char *data, uint64_t size)
{
	const _Atomic uint64_t *words = (const void *)data;
	uint64_t n = 0;

	for (uint64_t i = 0; i < size / 8; i++) {
		uint64_t word = atomic_load_explicit(&words[i], memory_order_relaxed);

		ck_assert_msg(word == 0 || is_stamp(word), "word %llu is %llx, of no member",
			      (unsigned long long)i, (unsigned long long)word);
		n += word != 0;
	}
	return n;
}

/* All of the second pool was stamped before, by a member that writes to it no more. */
static void check_data(int fd, const struct geometry *geometry)
{
	const size_t size = size_of(fd);
	unsigned char *data = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	const uint64_t first_bytes = geometry->pools[1].data_off - geometry->pools[0].data_off;
	const uint64_t second_bytes = geometry->data_bytes - first_bytes;
	const unsigned char *second = data + first_bytes;

	ck_assert_ptr_ne(data, MAP_FAILED);
	ck_assert_uint_eq(geometry->n_pools, 2);
	ck_assert_uint_gt(count_stamps(data, first_bytes), 0);
	ck_assert_uint_eq(count_stamps(second, second_bytes), second_bytes / 8);
	for (uint64_t i = 0; i < second_bytes / 8; i++)
		ck_assert_uint_eq(((const uint64_t *)second)[i], stamp((uint32_t)(i % 512)));
	munmap(data, size);
}

static void fill_second_pool(struct mempool_client *client)
{
	for (int i = 0; i < 64; i++) {
		void *chunk = mempool_alloc(client, 4096);

		ck_assert_ptr_nonnull(chunk);
		put_stamps(chunk, 4096, 0);
	}
}

static void expect_same(int fd, const unsigned char *before, size_t size)
{
	unsigned char *after = ways_read(fd, size);

	ck_assert_mem_eq(before, after, size);
	free(after);
}

/* While the daemon is stopped, nobody writes but who should not. */
static void calm(const struct actor *spectators, int control, int data)
{
	const size_t control_size = size_of(control), data_size = size_of(data);
	unsigned char *before[2];

	ck_assert_int_eq(kill(fixture.pid, SIGSTOP), 0);
	before[0] = ways_read(control, control_size);
	before[1] = ways_read(data, data_size);
	let_loose(spectators, N_SPECTATORS);
	let_loose(spectators, N_SPECTATORS);
	endure(spectators, N_SPECTATORS, CALM_NS);
	expect_same(control, before[0], control_size);
	expect_same(data, before[1], data_size);
	free(before[0]);
	free(before[1]);
	ck_assert_int_eq(kill(fixture.pid, SIGCONT), 0);
}

/* First spectators alone; then all, with members at work; then readers who wreck control as well. */
START_TEST(test_no_byte_of_data_changes_but_by_members)
{
	enum { N = N_SPECTATORS + N_MEMBERS + N_READERS };
	struct mempool_client *keeper;
	struct packet_passed passed;
	struct geometry geometry;
	struct actor actors[N];
	struct config config;
	int fd;

	fixture_start(&fixture);
	keeper = open_with(&fixture, 0);
	fill_second_pool(keeper);
	attach(MEMPOOL_WELCOME_MEMBER, &passed);
	ck_assert_int_eq(shape_read_file(passed.fds[MEMPOOL_PASSED_SHAPE], &config), 0);
	ck_assert_int_eq(geometry_init(&geometry, &config), 0);
	config_deinit(&config);
	fd = passed.fds[MEMPOOL_PASSED_DATA];

	start_all(actors, N_SPECTATORS, run_hostile_spectator);
	start_all(actors + N_SPECTATORS, N_MEMBERS, run_member);
	start_all(actors + N_SPECTATORS + N_MEMBERS, N_READERS, run_hostile_reader);
	calm(actors, passed.fds[MEMPOOL_PASSED_CONTROL], fd);
	let_loose(actors + N_SPECTATORS, N - N_SPECTATORS);
	endure(actors, N, STORM_NS);
	for (int i = 0; i < N_MEMBERS; i++)
		expect_to_hear(actors[N_SPECTATORS + i].fd, 1000);
	check_data(fd, &geometry);
	let_loose(actors + N_SPECTATORS + N_MEMBERS, N_READERS);
	endure(actors, N, STORM_NS);
	for (int i = 0; i < N; i++)
		actor_kill(&actors[i]);
	check_data(fd, &geometry);
	packet_close_passed(&passed);
	/* What is left of the segment is for it, and for the daemon, to end with. */
	mempool_client_close(keeper);
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
	suite = suite_create("readers");
	tcase = tcase_create("readers");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_unchecked_fixture(tcase, take_huge_pages, give_huge_pages_back);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, test_a_reader_can_change_no_byte_of_data, 0, 2);
	tcase_add_loop_test(tcase, test_a_stray_write_to_a_message_faults_there, 0, N_WAYS_IN);
	tcase_add_test(tcase, test_a_reader_is_woken_and_reaped_as_a_member);
	tcase_add_test(tcase, test_no_byte_of_data_changes_but_by_members);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
