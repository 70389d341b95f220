/* SPDX-License-Identifier: MIT */
/*
 * test-turns.c - whatever the daemon has to do, it answers in between
 *
 * How long an answer takes depends on what else the machine does; how much the daemon's loop works
 * in one turn (support/turns.h) does not, and is what these tests ask.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "build_config.h"
#include "fixture.h"
#include "shm/eventcount.h"
#include "shm/holder.h"
#include "support/turns.h"

#define N_SEGMENTS 32
#define N_CHUNKS 40000			/* and as many ChunkManagers */
#define SWEEP_MS 1000			/* in which there are sweeps, and in some builds audits */

static struct fixture fixture;
static struct turns *turns;		/* NULL: they are not measured */
static char turns_path[96];

static void setup(void)
{
	fixture_init(&fixture);
}

static void teardown(void)
{
	if (turns)
		turns_free(turns, turns_path);
	turns = NULL;
	fixture_deinit(&fixture);
}

static void die_with(pid_t parent)
{
	alarm(600);
	if (getppid() != parent)
		_exit(1);
}

/* ---- turns ---- */

/* For what is a turn's work many times over. */
#define TURN_MS 1.0
/* And for what is a single piece, so many times what such a piece takes beside it. */
#define CONTROLS 4
#define N_TRIES 20

/* Of the daemon that is started next. */
static bool measure_turns(void)
{
	if (MEMPOOL_SANITIZED) {
		printf("# not with a sanitizer: turns are not measured\n");
		return false;
	}
	snprintf(turns_path, sizeof(turns_path), "%s/turns", fixture.folder);
	turns = turns_new(turns_path, TURNS_SHIM);
	ck_assert_ptr_nonnull(turns);
	return true;
}

/* All segments are listed, each in a message. */
static void ask(int fd)
{
	struct mempool_msg_list list = { .msg = wire_msg(MEMPOOL_MSG_LIST, sizeof(list)) };
	union wire_answer answer;

	wire_send(fd, &list, sizeof(list));
	do {
		ck_assert_int_gt(wire_receive(fd, &answer), 0);
		ck_assert_int_eq(answer.msg.type, MEMPOOL_MSG_SEGMENT);
	} while (answer.segment.index + 1 < answer.segment.n);
}

struct work {
	void (*prepare)(void *userdata);
	void (*run)(void *userdata);
	void (*control)(void);		/* NULL, or a single piece of that work */
	void (*clean)(void *userdata);
	void *userdata;
};

/* The turn in which something was done is over when there is an answer. */
static void end_turn(void)
{
	int fd = wire_connect(&fixture);

	ask(fd);
	close(fd);
}

/* Return: the longest turn since that one, in ms. */
static double longest_since(uint64_t first)
{
	end_turn();
	return (double)turns_longest_ns(turns, first) / 1e6;
}

/* What a turn may take: where other work has emptied the caches, a single piece may take longer than TURN_MS. */
static double limit_of(const struct work *work)
{
	uint64_t first = turns_count(turns);
	double limit;

	if (!work->control)
		return TURN_MS;
	work->control();
	limit = CONTROLS * longest_since(first);
	return limit > TURN_MS ? limit : TURN_MS;
}

/*
 * The longest turn meanwhile, of the best of some tries: what is too long is so each time.
 * A turn that does its work is the daemon's, whatever the machine does beside.
 */
static void expect_short_turns(const struct work *work)
{
	double longest = 0, limit = 0;

	for (int i = 0; i < N_TRIES && longest >= limit; i++) {
		uint64_t first;

		if (work->prepare)
			work->prepare(work->userdata);
		end_turn();
		first = turns_count(turns);
		work->run(work->userdata);
		longest = longest_since(first);
		limit = limit_of(work);
		if (work->clean)
			work->clean(work->userdata);
	}
	ck_assert_msg(longest < limit, "in each of %d tries a turn was too long; in the last one it took "
		      "%.2f ms, and %.2f were its limit", N_TRIES, longest, limit);
}

/* ---- sweeps ---- */

static void configure(void)
{
	char layout[128];
	FILE *file;

	snprintf(layout, sizeof(layout), "    pools: [ { chunk_size: 8, chunk_count: %d } ]\n",
		 N_CHUNKS);
	fixture_configure(&fixture, "", layout);
	file = fopen(fixture.config_path, "ae");
	ck_assert_ptr_nonnull(file);
	for (int i = 1; i < N_SEGMENTS; i++)
		fprintf(file, "  - name: %s-%d\n%s", fixture.segment, i, layout);
	fclose(file);
}

static void remove_segments(void)
{
	fixture_stop(&fixture);
	ck_assert_int_eq(fixture_run_remove(&fixture), 0);
}

/* A process that is in all of them. */
static pid_t start_one_in_all(void)
{
	pid_t parent = getpid(), pid;
	int fds[2];
	char byte;

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		die_with(parent);
		for (int i = 0; i < N_SEGMENTS; i++) {
			struct mempool_msg_hello hello = wire_hello(&fixture, 1 + (uint64_t)i);
			struct mempool_msg_welcome welcome;
			int fd = wire_connect(&fixture);

			if (i > 0)
				snprintf(hello.segment + strlen(hello.segment), 8, "-%d", i);
			wire_send(fd, &hello, sizeof(hello));
			wire_expect_welcome(fd, &welcome);
		}
		ck_assert_int_eq(write(fds[1], "x", 1), 1);
		pause();
		_exit(0);
	}
	close(fds[1]);
	ck_assert_int_eq(read(fds[0], &byte, 1), 1);
	close(fds[0]);
	return pid;
}

struct round {
	int fd;
	pid_t pid;
};

static void enter_all(void *userdata)
{
	struct round *round = userdata;

	round->pid = start_one_in_all();
}

static void die_in_all(void *userdata)
{
	const struct round *round = userdata;
	double begun_ms = clock_ms();

	kill(round->pid, SIGKILL);
	waitpid(round->pid, NULL, 0);
	do
		ask(round->fd);
	while (clock_ms() < begun_ms + SWEEP_MS);
}

/* Somebody dies in 32 segments at once: all sweeps together get one turn between two answers. */
START_TEST(test_turns_of_all_sweeps_are_short)
{
	struct round round;

	if (!measure_turns())
		return;
	configure();
	fixture_start(&fixture);
	round.fd = wire_connect(&fixture);
	expect_short_turns(&(struct work){ enter_all, die_in_all, NULL, NULL, &round });
	close(round.fd);
	remove_segments();
}
END_TEST

/* ---- a drain ---- */

static void drain(void *userdata)
{
	struct mempool_msg_drain message = {
		.msg = wire_msg(MEMPOOL_MSG_DRAIN, sizeof(message)),
		.topic = "large",
	};
	const int *fd = userdata;
	union wire_answer answer;

	wire_send(*fd, &message, sizeof(message));
	ck_assert_int_gt(wire_receive(*fd, &answer), 0);
	ck_assert_int_eq(answer.msg.type, MEMPOOL_MSG_DRAINED);
}

START_TEST(test_turns_of_a_drain_are_short)
{
	int fd;

	if (!measure_turns())
		return;
	fixture_configure(&fixture, "", "    pools: [ { chunk_size: 64, chunk_count: 10 } ]\n"
			  "    topics: [ { name: large, capacity: 8388608 } ]\n");
	fixture_start(&fixture);
	fd = wire_connect(&fixture);
	expect_short_turns(&(struct work){ NULL, drain, NULL, NULL, &fd });
	close(fd);
	fixture_stop(&fixture);
}
END_TEST

/* ---- a generation that retires ---- */

#define N_SLEEPERS 3000

static struct segment *slept_in;

static void *sleep_for_chunks(void *userdata)
{
	struct mempool_eventcount *eventcount = &slept_in->header->chunk_freed;

	(void)userdata;
	for (;;)
		eventcount_sleep(eventcount, eventcount_prepare(eventcount), -1);
	return NULL;
}

static void sleep_in_crowds(int pipe_fd)
{
	struct mempool_msg_welcome welcome;
	pthread_attr_t attr;
	pthread_t thread;

	wire_attach(&fixture, (uint64_t)getpid(), &welcome);
	slept_in = wire_map(&welcome);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	for (int i = 0; i < N_SLEEPERS; i++)
		ck_assert_int_eq(pthread_create(&thread, &attr, sleep_for_chunks, NULL), 0);
	/* Bit 0 says that there are some. */
	while (atomic_load(&slept_in->header->chunk_freed.armed) / 2 < N_SLEEPERS)
		usleep(1000);
	usleep(50000);
	ck_assert_int_eq(write(pipe_fd, "x", 1), 1);
	pause();
	_exit(0);
}

static void start_sleepers(void *userdata)
{
	pid_t parent = getpid(), *ret_pid = userdata;
	int fds[2];
	char byte;

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	*ret_pid = fork();
	ck_assert_int_ge(*ret_pid, 0);
	if (*ret_pid == 0) {
		die_with(parent);
		sleep_in_crowds(fds[1]);
	}
	close(fds[1]);
	ck_assert_int_eq(read(fds[0], &byte, 1), 1);
	close(fds[0]);
}

static void kill_sleepers(void *userdata)
{
	const pid_t *pid = userdata;

	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
}

/* Another layout than the last one: the generation in which they sleep retires. */
static void relay(void *userdata)
{
	struct mempool_msg_reloaded reloaded;
	static int n_chunks = 10;
	char layout[96];

	(void)userdata;
	snprintf(layout, sizeof(layout), "    pools: [ { chunk_size: 64, chunk_count: %d } ]\n",
		 ++n_chunks);
	fixture_configure(&fixture, "", layout);
	wire_reload(&fixture, &reloaded);
	ck_assert_int_eq(reloaded.error, 0);
	ck_assert_uint_eq(reloaded.n_relaid, 1);
	/* They are woken after the answer. */
	usleep(50000);
}

START_TEST(test_turns_of_a_retirement_with_many_sleepers_are_short)
{
	pid_t pid;

	if (!measure_turns())
		return;
	fixture_configure(&fixture, "", "    pools: [ { chunk_size: 64, chunk_count: 10 } ]\n");
	fixture_start(&fixture);
	expect_short_turns(&(struct work){ start_sleepers, relay, NULL, kill_sleepers, &pid });
	fixture_stop(&fixture);
}
END_TEST

/* ---- many who come at once ---- */

#define N_NEWCOMERS 64
#define N_RETIRED 5

struct crowd {
	int fds[N_NEWCOMERS];
};

static void say_hello(struct crowd *crowd)
{
	for (int i = 0; i < N_NEWCOMERS; i++) {
		struct mempool_msg_hello hello = wire_hello(&fixture, 1 + (uint64_t)i);

		crowd->fds[i] = wire_connect(&fixture);
		wire_send(crowd->fds[i], &hello, sizeof(hello));
	}
}

static void expect_welcomes(const struct crowd *crowd)
{
	struct mempool_msg_welcome welcome;

	for (int i = 0; i < N_NEWCOMERS; i++)
		wire_expect_welcome(crowd->fds[i], &welcome);
}

static void leave(void *userdata)
{
	const struct crowd *crowd = userdata;

	for (int i = 0; i < N_NEWCOMERS; i++)
		wire_bye(crowd->fds[i]);
}

/* One hello is dear: whose it may be is looked for in large tables, of generations that live on. */
static void make_hellos_dear(void)
{
	struct mempool_msg_reloaded reloaded;
	struct mempool_msg_welcome welcome;
	char layout[128];

	for (int i = 0; i <= N_RETIRED; i++) {
		snprintf(layout, sizeof(layout), "    max_clients: 32000\n"
			 "    pools: [ { chunk_size: 64, chunk_count: %d } ]\n", 10 + i);
		fixture_configure(&fixture, "", layout);
		if (i == 0) {
			fixture_start(&fixture);
			continue;
		}
		wire_attach(&fixture, 1000 + (uint64_t)i, &welcome);
		wire_reload(&fixture, &reloaded);
		ck_assert_uint_eq(reloaded.n_relaid, 1);
	}
}

static void come_alone(void)
{
	struct mempool_msg_welcome welcome;

	wire_bye(wire_attach(&fixture, 3000, &welcome));
}

/* All have said hello before the daemon is let run. */
static void come_at_once(void *userdata)
{
	struct crowd *crowd = userdata;

	kill(fixture.pid, SIGSTOP);
	say_hello(crowd);
	kill(fixture.pid, SIGCONT);
	expect_welcomes(crowd);
}

START_TEST(test_turns_with_many_hellos_are_short)
{
	struct crowd crowd;

	if (!measure_turns())
		return;
	make_hellos_dear();
	expect_short_turns(&(struct work){ NULL, come_at_once, come_alone, leave, &crowd });
	fixture_stop(&fixture);
}
END_TEST

static bool has_heard_all(void *userdata)
{
	const struct crowd *crowd = userdata;
	int n_unread = 0;

	for (int i = 0; i < N_NEWCOMERS && n_unread == 0; i++)
		ck_assert_int_eq(ioctl(crowd->fds[i], SIOCOUTQ, &n_unread), 0);
	return n_unread == 0;
}

/*
 * What is lost too soon again is not made at once. After such a rest the pages that a hello looks through may
 * be gone: a first one brings them back.
 */
static void wait_until_it_would_be_made(void *userdata)
{
	static bool was_made;

	(void)userdata;
	if (was_made)
		sleep(10);
	was_made = true;
	come_alone();
}

/* The current generation is lost, and all wait for the next one. */
static void wait_for_a_new_one(void *userdata)
{
	struct mempool_msg_welcome welcome;
	struct crowd *crowd = userdata;
	pid_t thread;
	char path[256];

	wire_bye(wire_attach(&fixture, 2000, &welcome));
	snprintf(path, sizeof(path), "/dev/shm%s", welcome.place.shm_name);
	ck_assert_int_eq(truncate(path, 0), 0);
	fixture_watch_threads(&fixture);
	say_hello(crowd);
	/* One empties what was lost, the next one makes what comes. */
	fixture_let_go(fixture_hold_thread(&fixture));
	thread = fixture_hold_thread(&fixture);
	fixture_unwatch_threads(&fixture);
	wait_until(has_heard_all, crowd, 30000);
	fixture_let_go(thread);
	expect_welcomes(crowd);
}

START_TEST(test_turns_that_answer_all_who_waited_are_short)
{
	struct crowd crowd;

	if (!measure_turns())
		return;
	make_hellos_dear();
	expect_short_turns(&(struct work){ wait_until_it_would_be_made, wait_for_a_new_one, come_alone, leave,
					    &crowd });
	fixture_stop(&fixture);
}
END_TEST

/* ---- memory that is given back ---- */

/* Nobody is in a generation of 256 MiB, and then it is not the config's. */
static void relay_large(void *userdata)
{
	struct mempool_msg_reloaded reloaded;
	static int n_chunks = 1 << 16;
	double begun_ms = clock_ms();
	char layout[96];

	(void)userdata;
	snprintf(layout, sizeof(layout), "    pools: [ { chunk_size: 4096, chunk_count: %d } ]\n",
		 ++n_chunks);
	fixture_configure(&fixture, "", layout);
	wire_reload(&fixture, &reloaded);
	ck_assert_int_eq(reloaded.error, 0);
	/* A moment later its name is gone. */
	while (fixture_count_objects(&fixture) > 1 && clock_ms() < begun_ms + 30000)
		usleep(1000);
}

START_TEST(test_turns_do_not_give_memory_back)
{
	if (!measure_turns())
		return;
	fixture_configure(&fixture, "", "    pools: [ { chunk_size: 4096, chunk_count: 65536 } ]\n");
	fixture_start(&fixture);
	expect_short_turns(&(struct work){ NULL, relay_large, NULL, NULL, NULL });
	fixture_stop(&fixture);
}
END_TEST

/* ---- descriptors ---- */

/* The daemon opens what the next member is passed, all but the shape, before it comes. */
enum { N_RECORDS = 50, N_AHEAD = MEMPOOL_PASSED_MAX - MEMPOOL_PASSED_CONTROL };

static unsigned int count_fds(void)
{
	unsigned int n = 0;
	char path[32];
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)fixture.pid);
	folder = opendir(path);
	ck_assert_ptr_nonnull(folder);
	while (readdir(folder))
		n++;
	closedir(folder);
	return n;
}

struct goal {
	struct segment *segment;
	unsigned int n_fds;
};

static bool has_so_many_fds(void *userdata)
{
	return count_fds() <= ((const struct goal *)userdata)->n_fds;
}

static bool all_are_free(void *userdata)
{
	const struct goal *goal = userdata;
	struct holder holder;

	for (uint32_t id = holder_first_client(goal->segment); id < goal->segment->n_holders; id++)
		if (holder_read(goal->segment, id, &holder) == 0 &&
		    holder.state != MEMPOOL_HOLDER_FREE)
			return false;
	return true;
}

static void be_many(int pipe_fd)
{
	struct mempool_msg_welcome welcome;

	for (int i = 0; i < N_RECORDS; i++)
		wire_attach(&fixture, 1 + (uint64_t)i, &welcome);
	ck_assert_int_eq(write(pipe_fd, &welcome, sizeof(welcome)), sizeof(welcome));
	pause();
	_exit(0);
}

/* What the daemon makes for the first who asks, the file of a shape, is there then. */
static int connect_and_ask(void)
{
	int fd = wire_connect(&fixture);

	ask(fd);
	return fd;
}

/* One descriptor for its process, one for each connection; also after a restart. */
START_TEST(test_turns_one_process_with_many_records_is_watched_once)
{
	struct mempool_msg_welcome welcome;
	pid_t parent = getpid(), pid;
	struct goal goal;
	unsigned int before;
	int fds[2], asker;

	fixture_configure(&fixture, "", "    max_clients: 100\n"
			  "    pools: [ { chunk_size: 64, chunk_count: 10 } ]\n");
	fixture_start(&fixture);
	asker = connect_and_ask();
	before = count_fds();
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		die_with(parent);
		be_many(fds[1]);
	}
	ck_assert_int_eq(read(fds[0], &welcome, sizeof(welcome)), sizeof(welcome));
	goal = (struct goal){ wire_map(&welcome), before + N_AHEAD + N_RECORDS + 1 };
	wait_until(has_so_many_fds, &goal, 30000);

	if (_i == 1) {
		fixture_kill(&fixture);
		close(asker);
		fixture_start(&fixture);
		asker = connect_and_ask();
		goal.n_fds = before + 1;
		wait_until(has_so_many_fds, &goal, 30000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	wait_until(all_are_free, &goal, 30000);
	goal.n_fds = before + N_AHEAD;
	wait_until(has_so_many_fds, &goal, 30000);
	segment_free(goal.segment);
	close(asker);
	fixture_stop(&fixture);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("turns");
	TCase *tcase = tcase_create("turns");
	SRunner *runner;
	int n_failed;

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_turns_of_all_sweeps_are_short);
	tcase_add_test(tcase, test_turns_of_a_drain_are_short);
	tcase_add_test(tcase, test_turns_of_a_retirement_with_many_sleepers_are_short);
	tcase_add_test(tcase, test_turns_with_many_hellos_are_short);
	tcase_add_test(tcase, test_turns_that_answer_all_who_waited_are_short);
	tcase_add_test(tcase, test_turns_do_not_give_memory_back);
	tcase_add_loop_test(tcase, test_turns_one_process_with_many_records_is_watched_once, 0, 2);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
