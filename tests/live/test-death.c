/* SPDX-License-Identifier: MIT */
/*
 * test-death.c - clients end, and what they held is free again
 */
#include <fcntl.h>
#include <signal.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "build_config.h"
#include "fixture.h"
#include "shm/holder.h"

/* What is promised is promised of the real thing. */
#define REAP_MS (MEMPOOL_SANITIZED ? 500 : 100)

static struct fixture fixture;

static void setup(void)
{
	fixture_init(&fixture);
}

static void teardown(void)
{
	fixture_deinit(&fixture);
}

struct record {
	struct segment *segment;
	uint32_t id;
	uint32_t state;
};

static bool record_has_state(void *userdata)
{
	const struct record *record = userdata;
	struct holder holder;

	return holder_read(record->segment, record->id, &holder) == 0 &&
	       holder.state == record->state;
}

START_TEST(test_kill_frees_within_100_ms)
{
	struct segment *segment;
	struct victim victim;
	double took;

	fixture_configure(&fixture, "", "    pools:\n"
			  "      - { chunk_size: 128, chunk_count: 10000 }\n"
			  "      - { chunk_size: 1024, chunk_count: 5000 }\n"
			  "      - { chunk_size: 4096, chunk_count: 1000 }\n");
	fixture_start(&fixture);
	victim_start(&victim, &fixture, 500);
	segment = wire_map(&victim.welcome);
	ck_assert_uint_eq(pool_count_used(&segment->pools[0]), 500);
	victim_kill(&victim);
	took = wait_until(fixture_no_longer_used, &(struct fixture_used){ segment, 0 }, 2000);
	ck_assert_msg(took < REAP_MS, "took %.1f ms", took);
	wait_until(record_has_state,
		   &(struct record){ segment, victim.welcome.holder, MEMPOOL_HOLDER_FREE }, 1000);
	segment_free(segment);
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_kill_leaves_what_others_hold)
{
	struct mempool_msg_welcome welcome;
	struct segment *segment;
	struct victim victim;
	_Atomic uint64_t *word;
	int fd;

	fixture_start(&fixture);
	victim_start(&victim, &fixture, 100);
	fd = wire_attach(&fixture, 1, &welcome);
	segment = wire_map(&welcome);
	ck_assert_int_eq(pool_claim(&segment->pools[0], 200, welcome.holder), 0);
	/* Given away and not taken: it goes with its giver. */
	word = &segment->pools[0].entries[50].word;
	atomic_store(word, word_sent(atomic_load(word), 0, victim.welcome.holder));
	victim_kill(&victim);
	wait_until(fixture_no_longer_used, &(struct fixture_used){ segment, 1 }, 1000);
	usleep(20000);
	ck_assert_int_eq(pool_release(&segment->pools[0], 200, welcome.holder, true), 0);
	segment_free(segment);
	close(fd);
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_hangup_of_the_living_frees_nothing)
{
	struct mempool_msg_welcome welcome;
	struct segment *segment;
	int fd;

	fixture_start(&fixture);
	fd = wire_attach(&fixture, 1, &welcome);
	segment = wire_map(&welcome);
	ck_assert_int_eq(pool_claim(&segment->pools[0], 1, welcome.holder), 0);
	close(fd);
	usleep(100000);
	ck_assert_uint_eq(pool_count_used(&segment->pools[0]), 1);
	ck_assert(record_has_state(
		&(struct record){ segment, welcome.holder, MEMPOOL_HOLDER_LIVE }));
	segment_free(segment);
	fixture_stop(&fixture);
}
END_TEST

/* What a child is that holds a chunk and has forked. */
struct family {
	struct mempool_msg_welcome welcome;
	pid_t child;
};

static void run_parent(int pipe_fd)
{
	struct family family;
	struct segment *segment;

	wire_attach(&fixture, 9, &family.welcome);
	segment = wire_map(&family.welcome);
	ck_assert_int_eq(pool_claim(&segment->pools[0], 1, family.welcome.holder), 0);
	alarm(600);
	family.child = fork();
	alarm(600);
	if (family.child > 0)
		ck_assert_int_eq(write(pipe_fd, &family, sizeof(family)), sizeof(family));
	pause();
	_exit(0);
}

/* It forked, and the child has the connection: that keeps nothing alive. */
START_TEST(test_death_with_connection_in_child_is_seen)
{
	struct segment *segment;
	struct family family;
	int fds[2];
	pid_t pid;

	fixture_start(&fixture);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		run_parent(fds[1]);
	ck_assert_int_eq(read(fds[0], &family, sizeof(family)), sizeof(family));
	segment = wire_map(&family.welcome);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	wait_until(fixture_no_longer_used, &(struct fixture_used){ segment, 0 }, 1000);
	ck_assert_int_gt(family.child, 0);
	kill(family.child, SIGKILL);
	segment_free(segment);
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_bye_frees_and_says_so)
{
	struct mempool_msg_bye bye = { .msg = wire_msg(MEMPOOL_MSG_BYE, sizeof(bye)),
				       .n_freed = 42 };
	struct mempool_msg_welcome welcome;
	struct segment *segment;
	int fd;

	fixture_start(&fixture);
	fd = wire_attach(&fixture, 1, &welcome);
	segment = wire_map(&welcome);
	ck_assert_int_eq(pool_claim(&segment->pools[0], 1, welcome.holder), 0);
	wire_send(fd, &bye, sizeof(bye));
	wait_until(record_has_state,
		   &(struct record){ segment, welcome.holder, MEMPOOL_HOLDER_FREE }, 1000);
	ck_assert_uint_eq(pool_count_used(&segment->pools[0]), 0);
	segment_free(segment);
	close(fd);
	fixture_stop(&fixture);
	ck_assert(fixture_log_has(&fixture, "freed 42 chunks that it still held"));
	ck_assert(fixture_log_has(&fixture, "freed 1 chunks of 1 holders"));
}
END_TEST

START_TEST(test_hundred_clients_come_and_go)
{
	struct mempool_msg_welcome welcome;
	struct victim victims[100];
	struct segment *segment;
	unsigned int i, round;

	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	segment = wire_map(&welcome);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 100; i++)
			victim_start(&victims[i], &fixture, 0);
		for (i = 0; i < 100; i++)
			victim_kill(&victims[i]);
	}
	for (i = 2; i < 110; i++)
		if (i != welcome.holder)
			wait_until(record_has_state,
				   &(struct record){ segment, i, MEMPOOL_HOLDER_FREE }, 1000);
	segment_free(segment);
	fixture_stop(&fixture);
}
END_TEST

/* ---- a full table ---- */

#define TABLE_IDS 62			/* of 64: without 0 and the daemon's */

START_TEST(test_table_full_is_refused)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, 1000);
	struct mempool_msg_welcome welcome;
	int fds[TABLE_IDS], fd;
	unsigned int i;

	fixture_configure(&fixture, "", "    max_clients: 1\n"
			  "    pools: [ { chunk_size: 64, chunk_count: 10 } ]\n");
	fixture_start(&fixture);
	for (i = 0; i < TABLE_IDS; i++)
		fds[i] = wire_attach(&fixture, 1 + i, &welcome);
	fd = wire_connect(&fixture);
	wire_send(fd, &hello, sizeof(hello));
	wire_expect_refused(fd, -EUSERS, "no free holder");
	close(fd);

	/* Who is in the table gets in again; and a place that is left is a place. */
	close(wire_attach(&fixture, 1, &welcome));
	wire_bye(fds[5]);
	close(wire_attach(&fixture, 1000, &welcome));
	fixture_stop(&fixture);
}
END_TEST

/* The table is full, but a sweep of a large segment is on: the hello waits for it. */
START_TEST(test_hello_waits_for_reap)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, 1000);
	struct mempool_msg_bye bye = { .msg = wire_msg(MEMPOOL_MSG_BYE, sizeof(bye)) };
	struct mempool_msg_list list = { .msg = wire_msg(MEMPOOL_MSG_LIST, sizeof(list)) };
	struct mempool_msg_welcome welcome;
	union wire_answer answer;
	int fds[TABLE_IDS], fd, gone, observer;
	unsigned int i;

	fixture_configure(&fixture, "", "    max_clients: 1\n"
			  "    pools: [ { chunk_size: 8, chunk_count: 2000000 } ]\n");
	fixture_start(&fixture);
	for (i = 0; i < TABLE_IDS; i++)
		fds[i] = wire_attach(&fixture, 1 + i, &welcome);
	fd = wire_connect(&fixture);
	gone = wire_connect(&fixture);
	observer = wire_connect(&fixture);
	wire_send(fds[5], &bye, sizeof(bye));
	/* One gives up while it waits. */
	wire_send(gone, &hello, sizeof(hello));
	close(gone);
	hello.nonce++;
	wire_send(fd, &hello, sizeof(hello));
	/* Sockets are served between the slices. */
	wire_send(observer, &list, sizeof(list));
	ck_assert_int_gt(wire_receive(observer, &answer), 0);
	wire_expect_welcome(fd, &welcome);
	close(fd);
	fixture_stop(&fixture);
}
END_TEST

/* Nobody comes back to a record that was given up, also while it is being swept. */
START_TEST(test_hello_for_record_being_reaped_is_refused)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, 1);
	struct mempool_msg_welcome welcome;
	int fd, back;

	fixture_configure(&fixture, "",
			  "    pools: [ { chunk_size: 8, chunk_count: 4000000 } ]\n");
	fixture_start(&fixture);
	fd = wire_attach(&fixture, 1, &welcome);
	hello.segment_id = welcome.place.segment_id;
	back = wire_connect(&fixture);
	wire_bye(fd);
	wire_send(back, &hello, sizeof(hello));
	wire_expect_refused(back, -ESTALE, "no record");
	close(back);
	fixture_stop(&fixture);
}
END_TEST

/* ---- a hostile neighbour ---- */

static bool lacks_generation(void *userdata)
{
	return !fixture_object_exists(&fixture, *(uint64_t *)userdata);
}

static bool can_attach(void *ret_welcome)
{
	static uint64_t nonce = 100;
	struct mempool_msg_hello hello = wire_hello(&fixture, nonce++);
	union wire_answer answer;
	int fd = wire_connect(&fixture);

	wire_send(fd, &hello, sizeof(hello));
	ck_assert_int_gt(wire_receive(fd, &answer), 0);
	close(fd);
	memcpy(ret_welcome, &answer.welcome, sizeof(answer.welcome));
	return answer.msg.type == MEMPOOL_MSG_WELCOME;
}

START_TEST(test_truncated_segment_is_made_anew)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, 3);
	struct mempool_msg_welcome old, welcome;
	uint64_t first = 1, second = 2;
	char path[96];
	int fd, again;

	fixture_start(&fixture);
	fd = wire_attach(&fixture, 1, &old);
	fixture_object_path(&fixture, 1, path);
	/* All of it, or from the middle on. */
	ck_assert_int_eq(truncate(path, _i == 0 ? 0 : (off_t)old.place.control_bytes / 2), 0);
	close(wire_attach(&fixture, 2, &welcome));
	ck_assert_uint_eq(welcome.place.generation, 2);
	ck_assert(fixture_log_has(&fixture, "it is lost"));
	/* And again at once: not as often as somebody likes. */
	fixture_object_path(&fixture, 2, path);
	ck_assert_int_eq(truncate(path, 0), 0);
	again = wire_connect(&fixture);
	wire_send(again, &hello, sizeof(hello));
	wire_expect_refused(again, -EAGAIN, "is not served now");
	close(again);
	wait_until(can_attach, &welcome, 5000);
	ck_assert_uint_eq(welcome.place.generation, 3);
	close(fd);
	hello.nonce = 1;
	hello.segment_id = old.place.segment_id;
	fd = wire_connect(&fixture);
	wire_send(fd, &hello, sizeof(hello));
	wire_expect_refused(fd, -EIDRM, "");
	close(fd);
	/* Its name stays while somebody is in it: that is this process. But one is enough. */
	wait_until(lacks_generation, &first, 30000);
	ck_assert(!lacks_generation(&second));
	fixture_stop(&fixture);

	/* The next daemon knows no better. */
	fixture_start(&fixture);
	ck_assert(!lacks_generation(&second));
	fixture_stop(&fixture);
}
END_TEST

static bool is_empty(void *path)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_size == 0 && st.st_blocks == 0;
}

static bool reaches_generation(void *userdata)
{
	const uint64_t *generation = userdata;
	struct mempool_msg_welcome welcome;

	return can_attach(&welcome) && welcome.place.generation == *generation;
}

/*
 * Truncated by a page, again and again, with a process that lives in each: what is lost takes no
 * memory, and of those that are lost the last one is kept.
 */
START_TEST(test_lost_generations_take_no_memory)
{
	struct victim victims[3];
	uint64_t next = 1, i;
	char path[96];

	fixture_start(&fixture);
	for (i = 0; i < 3; i++) {
		victim_start(&victims[i], &fixture, 1);
		ck_assert_uint_eq(victims[i].welcome.place.generation, next);
		fixture_object_path(&fixture, next, path);
		ck_assert_int_eq(truncate(path, (off_t)victims[i].welcome.place.control_bytes - 4096),
				 0);
		next++;
		wait_until(reaches_generation, &next, 30000);
		wait_until(is_empty, path, 30000);
	}
	for (i = 1; i < 3; i++)
		wait_until(lacks_generation, &i, 30000);
	/* The current one, and the last that was lost. */
	ck_assert(fixture_object_exists(&fixture, 3));
	ck_assert_uint_eq(fixture_count_objects(&fixture), 2);
	for (i = 0; i < 3; i++)
		victim_kill(&victims[i]);
	fixture_stop(&fixture);
}
END_TEST

/* A second segment beside the one of the fixture. */
static void configure_two(void)
{
	char text[512];

	snprintf(text, sizeof(text), "%s  - name: %s-b\n%s", fixture_pools, fixture.segment,
		 fixture_pools);
	fixture_configure(&fixture, "", text);
}

static int say_hello(uint64_t nonce, const char *suffix)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, nonce);
	int fd = wire_connect(&fixture);

	strcat(hello.segment, suffix);
	wire_send(fd, &hello, sizeof(hello));
	return fd;
}

/* Lost, and a hello that finds it so. Return: the thread that makes it anew, held. */
static pid_t lose_segment(int *ret_fd)
{
	pid_t thread;
	char path[96];

	fixture_object_path(&fixture, 1, path);
	ck_assert_int_eq(truncate(path, 0), 0);
	fixture_watch_threads(&fixture);
	*ret_fd = say_hello(2, "");
	/* One thread empties what is lost, the next one makes the other. */
	fixture_let_go(fixture_hold_thread(&fixture));
	thread = fixture_hold_thread(&fixture);
	fixture_unwatch_threads(&fixture);
	return thread;
}

static void expect_list(int error)
{
	struct mempool_msg_list list = { .msg = wire_msg(MEMPOOL_MSG_LIST, sizeof(list)) };
	union wire_answer answer;
	int fd = wire_connect(&fixture), found = 0;

	wire_send(fd, &list, sizeof(list));
	do {
		ck_assert_int_eq(wire_receive(fd, &answer), sizeof(answer.segment));
		if (strcmp(answer.segment.place.segment, fixture.segment) != 0)
			continue;
		found++;
		ck_assert_int_eq(answer.segment.error, error);
		if (error)
			ck_assert_str_eq(answer.segment.reason, "it is made anew");
	} while (answer.segment.index + 1 < answer.segment.n);
	ck_assert_int_eq(found, 1);
	close(fd);
}

/* However long that takes: the loop goes on, and who comes to that segment waits. */
START_TEST(test_lost_segment_is_made_beside_the_loop)
{
	struct mempool_msg_welcome welcome;
	pid_t thread;
	int fds[3];

	configure_two();
	fixture_start(&fixture);
	thread = lose_segment(&fds[0]);
	fds[1] = say_hello(3, "");
	close(say_hello(4, ""));
	/* Another segment is served meanwhile. */
	fds[2] = say_hello(5, "-b");
	wire_expect_welcome(fds[2], &welcome);
	wire_bye(fds[2]);
	expect_list(-EAGAIN);

	fixture_let_go(thread);
	for (int i = 0; i < 2; i++) {
		wire_expect_welcome(fds[i], &welcome);
		ck_assert_uint_eq(welcome.place.generation, 2);
		wire_bye(fds[i]);
	}
	expect_list(0);
	ck_assert(fixture_log_has(&fixture, "making generation 2"));
	fixture_stop(&fixture);
}
END_TEST

/* It waits for the one that is being made, and then has nothing to make. */
START_TEST(test_reload_while_a_lost_segment_is_made_waits)
{
	struct mempool_msg_reload message = {
		.msg = wire_msg(MEMPOOL_MSG_RELOAD, sizeof(message)),
	};
	struct mempool_msg_reloaded reloaded;
	struct mempool_msg_welcome welcome;
	int fd, asker, notified;
	pid_t thread;

	notified = fixture_listen(&fixture);
	fixture_start(&fixture);
	thread = lose_segment(&fd);
	fixture_configure(&fixture, "log_level: debug\n", NULL);
	asker = wire_connect(&fixture);
	wire_send(asker, &message, sizeof(message));
	fixture_expect_notification(notified, "reloading: another segment is being made");
	expect_list(-EAGAIN);
	fixture_let_go(thread);
	wire_expect_reloaded(asker, &reloaded);
	ck_assert_int_eq(reloaded.error, 0);
	ck_assert_uint_eq(reloaded.n_relaid, 0);
	wire_expect_welcome(fd, &welcome);
	ck_assert_uint_eq(welcome.place.generation, 2);
	wire_bye(fd);
	close(asker);
	close(notified);
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_stop_while_a_lost_segment_is_made)
{
	struct mempool_msg_welcome welcome;
	union wire_answer answer;
	pid_t thread;
	int fd;

	fixture_start(&fixture);
	thread = lose_segment(&fd);
	kill(fixture.pid, SIGTERM);
	fixture_let_go(thread);
	ck_assert_int_eq(fixture_wait(&fixture), 0);
	/* Welcome, if it was made before the signal was seen. */
	if (wire_receive(fd, &answer) > 0)
		ck_assert_uint_eq(answer.msg.type, MEMPOOL_MSG_WELCOME);
	close(fd);
	fixture_start(&fixture);
	close(wire_attach(&fixture, 2, &welcome));
	ck_assert_uint_eq(fixture_count_objects(&fixture), 1);
	fixture_stop(&fixture);
}
END_TEST

/* While the daemon reads and writes it: a sweep, and the table. */
START_TEST(test_truncated_in_a_sweep_is_survived)
{
	struct mempool_msg_welcome welcome;
	struct victim victims[20];
	uint64_t generation = 1;
	unsigned int i;
	char path[96];

	fixture_configure(&fixture, "",
			  "    pools: [ { chunk_size: 8, chunk_count: 1000000 } ]\n");
	fixture_start(&fixture);
	for (i = 0; i < 20; i++)
		victim_start(&victims[i], &fixture, 0);
	fixture_object_path(&fixture, 1, path);
	kill(victims[0].pid, SIGKILL);
	usleep((useconds_t)_i * 500);
	ck_assert_int_eq(truncate(path, _i % 2 ? 0 : 65536), 0);
	for (i = 0; i < 20; i++)
		victim_kill(&victims[i]);
	wait_until(lacks_generation, &generation, 5000);
	close(wire_attach(&fixture, 2, &welcome));
	ck_assert_uint_eq(welcome.place.generation, 2);
	fixture_stop(&fixture);
}
END_TEST

/* Everything in it is overwritten while the daemon serves it. */
START_TEST(test_segment_overwritten_is_survived)
{
	struct segment_memory memory = SEGMENT_MEMORY_NULL;
	struct mempool_msg_hello hello = wire_hello(&fixture, 99);
	unsigned int seed = (unsigned int)_i + 1, i;
	struct victim victims[10];
	union wire_answer answer;
	unsigned char *bytes;
	uint64_t k;
	int fd;

	fixture_start(&fixture);
	for (i = 0; i < 10; i++)
		victim_start(&victims[i], &fixture, 0);
	ck_assert_int_eq(segment_open(victims[0].welcome.place.shm_name, SEGMENT_READ_WRITE,
				     &memory), 0);
	bytes = memory.base;
	for (i = 0; i < 10; i++) {
		for (k = 0; k < memory.size; k++)
			bytes[k] = (unsigned char)rand_r(&seed);
		victim_kill(&victims[i]);
	}
	fd = wire_connect(&fixture);
	wire_send(fd, &hello, sizeof(hello));
	ck_assert_int_gt(wire_receive(fd, &answer), 0);
	close(fd);
	segment_memory_deinit(&memory);
	fixture_stop(&fixture);
	/* And left like that to the next one. */
	fixture_start(&fixture);
	fixture_stop(&fixture);
}
END_TEST

/* ---- the log ---- */

#define N_MANY 150			/* more than are told of in ten seconds */

static void run_many(int pipe_fd)
{
	struct mempool_msg_welcome welcome;

	alarm(600);
	for (uint64_t i = 1; i <= N_MANY; i++)
		wire_attach(&fixture, i, &welcome);
	ck_assert_int_eq(write(pipe_fd, &welcome, sizeof(welcome)), sizeof(welcome));
	pause();
	_exit(0);
}

static bool has_no_client(void *userdata)
{
	const struct segment *segment = userdata;
	struct holder holder;

	for (uint32_t id = holder_first_client(segment); id < segment->n_holders; id++)
		if (holder_read(segment, id, &holder) == 0 && holder.state != MEMPOOL_HOLDER_FREE)
			return false;
	return true;
}

/* How many lines have the text; the number in front of it, of the last one. */
static unsigned int count_lines(const char *text, unsigned int *ret_number)
{
	FILE *file = fopen(fixture.log_path, "re");
	char line[2048];
	unsigned int n = 0;

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file)) {
		if (!strstr(line, text))
			continue;
		n++;
		if (ret_number)
			ck_assert_int_eq(sscanf(line, "mempoold: %u", ret_number), 1);
	}
	fclose(file);
	return n;
}

/* However many die, the log says so a hundred times, and then how many more there were. */
START_TEST(test_deaths_of_many_are_counted_in_the_log)
{
	struct mempool_msg_welcome welcome;
	struct segment *segment;
	unsigned int n, n_more = 0;
	int fds[2];
	pid_t pid;

	fixture_start(&fixture);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		run_many(fds[1]);
	ck_assert_int_eq(read(fds[0], &welcome, sizeof(welcome)), sizeof(welcome));
	segment = wire_map(&welcome);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	wait_until(has_no_client, segment, 10000);
	segment_free(segment);
	fixture_stop(&fixture);
	n = count_lines(" died: holder ", NULL);
	ck_assert_uint_le(n, 100);
	ck_assert_uint_eq(count_lines(" more lines on clients that died were left out", &n_more), 1);
	ck_assert_uint_eq(n + n_more, N_MANY);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("death");
	TCase *tcase = tcase_create("death");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_kill_frees_within_100_ms);
	tcase_add_test(tcase, test_kill_leaves_what_others_hold);
	tcase_add_test(tcase, test_hangup_of_the_living_frees_nothing);
	tcase_add_test(tcase, test_death_with_connection_in_child_is_seen);
	tcase_add_test(tcase, test_bye_frees_and_says_so);
	tcase_add_test(tcase, test_hundred_clients_come_and_go);
	tcase_add_test(tcase, test_table_full_is_refused);
	tcase_add_test(tcase, test_hello_waits_for_reap);
	tcase_add_test(tcase, test_hello_for_record_being_reaped_is_refused);
	tcase_add_loop_test(tcase, test_truncated_segment_is_made_anew, 0, 2);
	tcase_add_test(tcase, test_lost_generations_take_no_memory);
	if (!skip_with_thread_sanitizer("no thread can be held")) {
		tcase_add_test(tcase, test_lost_segment_is_made_beside_the_loop);
		tcase_add_test(tcase, test_reload_while_a_lost_segment_is_made_waits);
		tcase_add_test(tcase, test_stop_while_a_lost_segment_is_made);
	}
	tcase_add_loop_test(tcase, test_truncated_in_a_sweep_is_survived, 0, 8);
	tcase_add_loop_test(tcase, test_segment_overwritten_is_survived, 0, 3);
	tcase_add_test(tcase, test_deaths_of_many_are_counted_in_the_log);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
