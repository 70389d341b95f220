/* SPDX-License-Identifier: MIT */
/*
 * test-daemon_kill.c - the daemon killed before every system call of start, hello, bye, sweep,
 *			reload, move, --remove, and closing what has descriptors in it
 *
 * The test traces the daemon from call to call (ptrace(2)) and kills it before call k of what it
 * has to do, for every k; then the next daemon starts. What it must find: one object and one state
 * file for each generation, every client that lives, with what it holds, and nothing of one that
 * has gone. The threads that a reload starts are traced as well.
 *
 * What happens between two system calls are stores, of which tests/unit/test-state and
 * tests/crash tell.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "passing.h"
#include "traced.h"
#include "shm/holder.h"
#include "shm/queue.h"

#define MAX_CALLS 5000			/* more than a start has */
#define SECOND_MS 1000
#define PATIENCE_MS 30000

static struct fixture fixture;

static const char *const small = "    pools: [ { chunk_size: 128, chunk_count: 100 } ]\n";

static void setup(void)
{
	fixture_init(&fixture);
	fixture_configure(&fixture, "", small);
}

static void teardown(void)
{
	fixture_deinit(&fixture);
}

/* ---- what must be there ---- */

static unsigned int count_state_files(void)
{
	DIR *folder = opendir(fixture.folder);
	struct dirent *entry;
	unsigned int n = 0;

	ck_assert_ptr_nonnull(folder);
	while ((entry = readdir(folder)))
		n += strstr(entry->d_name, ".state") != NULL;
	closedir(folder);
	return n;
}

/* Names of objects in /dev/shm, whatever generations they are of. */
struct names {
	unsigned int n_control;
	unsigned int n_data;
};

static struct names count_names(void)
{
	const size_t suffix = strlen(MEMPOOL_SHM_DATA_SUFFIX);
	struct names names = { 0, 0 };
	DIR *folder = opendir("/dev/shm");
	struct dirent *entry;
	char prefix[64];

	snprintf(prefix, sizeof(prefix), "mempool-%s.", fixture.segment);
	ck_assert_ptr_nonnull(folder);
	while ((entry = readdir(folder))) {
		const size_t length = strlen(entry->d_name);

		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		if (strcmp(entry->d_name + length - suffix, MEMPOOL_SHM_DATA_SUFFIX) == 0)
			names.n_data++;
		else
			names.n_control++;
	}
	closedir(folder);
	return names;
}

/* Killed between the two links, or unlinks, of a generation's objects: that of data stands alone,
 * and never that of control. Return: whether it was there. */
static bool is_between_names(void)
{
	struct names names = count_names();

	ck_assert_uint_le(names.n_control, names.n_data);
	ck_assert_uint_le(names.n_data, 1);
	return names.n_data > names.n_control;
}

/* After a start: so many generations, and nothing half made. */
static void check_generations(unsigned int k, unsigned int n)
{
	ck_assert_msg(fixture_count_objects(&fixture) == n, "killed before call %u: %u objects", k,
		      fixture_count_objects(&fixture));
	ck_assert_msg(count_names().n_control == n && count_names().n_data == n,
		      "killed before call %u: %u names of control, %u of data", k,
		      count_names().n_control, count_names().n_data);
	ck_assert_msg(count_state_files() == n, "killed before call %u: %u state files", k,
		      count_state_files());
}

static void check_one(unsigned int k)
{
	check_generations(k, 1);
}

static uint32_t n_clients(const struct segment *segment)
{
	struct holder holder;
	uint32_t n = 0;

	for (uint32_t id = holder_first_client(segment); id < segment->n_holders; id++)
		n += holder_read(segment, id, &holder) == 0 &&
		     holder.state != MEMPOOL_HOLDER_FREE;
	return n;
}

static bool is_deserted(void *userdata)
{
	const struct segment *segment = userdata;

	return n_clients(segment) == 0 && pool_count_used(&segment->pools[0]) == 0;
}

static void remove_all_generations(void)
{
	ck_assert_int_eq(fixture_run_remove(&fixture), 0);
	ck_assert_uint_eq(fixture_count_objects(&fixture), 0);
}

/* ---- start ---- */

static bool always(void)
{
	return true;
}

static bool kill_start_before(unsigned int k)
{
	traced_spawn(&fixture, traced_ask);
	return traced_kill_before(&fixture, k, always);
}

START_TEST(test_start_killed_before_every_call_leaves_nothing)
{
	struct mempool_msg_welcome welcome;
	unsigned int k, n_between = 0;
	int fd;

	/* Each from nothing: the last one's segment is removed first. */
	for (k = 1; kill_start_before(k); k++) {
		n_between += is_between_names();
		fixture_start(&fixture);
		check_one(k);
		fd = wire_attach(&fixture, 1, &welcome);
		segment_free(wire_map(&welcome));
		wire_bye(fd);
		fixture_kill(&fixture);
		remove_all_generations();
		ck_assert_uint_lt(k, MAX_CALLS);
	}
	printf("%-8s killed before %4u calls, %u between the names\n", "start", k, n_between);
	ck_assert_uint_gt(k, 100);
	ck_assert_uint_gt(n_between, 0);
}
END_TEST

/* The same user, the same segment, another state folder. */
static void make_other(struct fixture *ret_other)
{
	char top[192];

	*ret_other = fixture;
	snprintf(top, sizeof(top), "state_dir: %s/other\n", fixture.folder);
	snprintf(ret_other->socket_path, sizeof(ret_other->socket_path), "%s/other-sock",
		 fixture.folder);
	snprintf(ret_other->config_path, sizeof(ret_other->config_path), "%s/other.yaml",
		 fixture.folder);
	fixture_configure(ret_other, top, small);
}

static bool has_whole_state(void)
{
	char path[192];

	fixture_state_path(&fixture, 1, path);
	return access(path, F_OK) == 0;
}

/*
 * Whatever is left of one, a daemon with another state folder touches nothing of it: above all
 * an object that has no state file yet.
 */
START_TEST(test_start_killed_before_every_call_is_left_by_another_house)
{
	struct fixture other;
	unsigned int k, n = 0;
	char path[192];

	make_other(&other);
	for (k = 1; kill_start_before(k); k++) {
		/* Before it there is nothing to touch; behind it all calls are alike. */
		if (fixture_count_objects(&fixture) == 0 || (has_whole_state() && k % 16 != 0)) {
			remove_all_generations();
			continue;
		}
		n += !has_whole_state();
		fixture_start(&other);
		ck_assert_uint_eq(fixture_count_objects(&fixture), 2);
		fixture_kill(&other);
		ck_assert_int_eq(fixture_run_remove(&other), 0);
		ck_assert_uint_eq(fixture_count_objects(&fixture), 1);
		fixture_start(&fixture);
		check_one(k);
		fixture_kill(&fixture);
		remove_all_generations();
		ck_assert_uint_lt(k, MAX_CALLS);
	}
	snprintf(path, sizeof(path), "%s/other", fixture.folder);
	rmdir(path);
	unlink(other.config_path);
	printf("%-8s killed before %4u calls without a state, beside another house\n", "start", n);
	ck_assert_uint_gt(n, 5);
}
END_TEST

/* The other one has a segment of its own, and perhaps one of the same name as ours. */
static void configure_other(const struct fixture *other, bool has_same)
{
	char top[192], segments[256];

	snprintf(top, sizeof(top), "state_dir: %s/other\n", fixture.folder);
	snprintf(segments, sizeof(segments), "%s  - name: %s\n%s", small, fixture.segment, small);
	fixture_configure(other, top, has_same ? segments : small);
}

static void reload_other(const struct fixture *other, bool has_same)
{
	struct mempool_msg_reloaded reloaded;

	configure_other(other, has_same);
	wire_reload(other, &reloaded);
	ck_assert_int_eq(reloaded.error, 0);
}

static unsigned int n_expected;

static bool has_objects(void *userdata)
{
	return fixture_count_objects(userdata) == n_expected;
}

/*
 * A segment that comes new into its config: it looks for all that was left of that name. What a
 * killed daemon of ours left is there before, in between and after.
 */
static void let_other_look(const struct fixture *other)
{
	n_expected = fixture_count_objects(&fixture) - 1;
	reload_other(other, false);
	wait_until(has_objects, &fixture, PATIENCE_MS);
	reload_other(other, true);
	ck_assert_uint_eq(fixture_count_objects(&fixture), n_expected + 1);
}

/* The other one runs all the time, and one of ours starts and is killed beside it. */
START_TEST(test_start_killed_before_every_call_beside_one_that_runs)
{
	struct mempool_msg_welcome welcome;
	struct segment *segment;
	struct fixture other;
	unsigned int k, n = 0;
	int client;

	make_other(&other);
	strcat(other.segment, "-other");
	configure_other(&other, true);
	fixture_start(&other);
	client = wire_attach(&other, 1, &welcome);
	segment = wire_map(&welcome);
	ck_assert_int_eq(pool_claim(&segment->pools[0], 7, welcome.holder), 0);
	for (k = 1; kill_start_before(k); k++) {
		bool is_half_made = fixture_count_objects(&fixture) == 2 && !has_whole_state();

		n += is_half_made;
		if (is_half_made || k % 16 == 0)
			let_other_look(&other);
		ck_assert(!is_half_made || fixture_count_objects(&fixture) == 2);
		ck_assert_int_eq(fixture_run_remove(&fixture), 0);
		ck_assert_uint_eq(fixture_count_objects(&fixture), 1);
		ck_assert_uint_lt(k, MAX_CALLS);
	}
	ck_assert_uint_eq(segment_state(segment), MEMPOOL_SEGMENT_READY);
	ck_assert_uint_eq(pool_count_used(&segment->pools[0]), 1);
	segment_free(segment);
	wire_bye(client);
	fixture_stop(&other);
	ck_assert_int_eq(fixture_run_remove(&other), 0);
	remove_all_generations();
	printf("%-8s killed before %4u calls without a state, beside one that runs\n", "start", n);
	ck_assert_uint_gt(n, 5);
}
END_TEST

START_TEST(test_adoption_killed_before_every_call_keeps_the_living)
{
	struct mempool_msg_welcome first, again;
	struct segment *segment;
	unsigned int k;

	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &first));
	segment = wire_map(&first);
	ck_assert_int_eq(pool_claim(&segment->pools[0], 7, first.holder), 0);
	fixture_kill(&fixture);
	for (k = 1; kill_start_before(k); k++) {
		fixture_start(&fixture);
		check_one(k);
		close(wire_attach(&fixture, 1, &again));
		ck_assert_mem_eq(&first, &again, sizeof(first));
		ck_assert_uint_eq(n_clients(segment), 1);
		ck_assert_uint_eq(pool_count_used(&segment->pools[0]), 1);
		fixture_kill(&fixture);
		ck_assert_uint_lt(k, MAX_CALLS);
	}
	printf("%-8s killed before %4u calls\n", "adoption", k);
	segment_free(segment);
}
END_TEST

/* ---- hello ---- */

static int client_fd;

static bool has_answer(void)
{
	struct pollfd poll_fd = { .fd = client_fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) > 0;
}

static bool kill_hello_before(unsigned int k)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, 1);
	bool is_in;

	traced_start(&fixture, traced_ask);
	client_fd = wire_connect(&fixture);
	wire_send(client_fd, &hello, sizeof(hello));
	is_in = traced_kill_before(&fixture, k, has_answer);
	close(client_fd);
	return is_in;
}

START_TEST(test_hello_killed_before_every_call_has_one_holder)
{
	struct mempool_msg_welcome welcome;
	struct segment *segment;
	unsigned int k;
	bool is_in = true;

	for (k = 1; is_in; k++) {
		is_in = kill_hello_before(k);
		fixture_start(&fixture);
		check_one(k);
		/* The same again: the nonce finds the record, if there is one. */
		client_fd = wire_attach(&fixture, 1, &welcome);
		segment = wire_map(&welcome);
		ck_assert_uint_eq(n_clients(segment), 1);
		wire_bye(client_fd);
		wait_until(is_deserted, segment, SECOND_MS);
		segment_free(segment);
		fixture_kill(&fixture);
		ck_assert_uint_lt(k, MAX_CALLS);
	}
	printf("%-8s killed before %4u calls\n", "hello", k - 1);
	ck_assert_uint_gt(k, 8);
}
END_TEST

/* ---- bye ---- */

static struct segment *its_segment;

static bool has_left(void)
{
	return is_deserted(its_segment);
}

/* Whether the bye was answered. */
static bool was_answered(void)
{
	union wire_answer answer;

	return wire_receive(client_fd, &answer) == sizeof(struct mempool_msg_gone) &&
	       answer.msg.type == MEMPOOL_MSG_GONE;
}

/* As the library does where there was no answer. */
static void say_bye_again(const struct mempool_msg_welcome *welcome)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, 1);
	union wire_answer answer;
	int fd = wire_connect(&fixture);

	hello.segment_id = welcome->place.segment_id;
	wire_send(fd, &hello, sizeof(hello));
	ck_assert_int_gt(wire_receive(fd, &answer), 0);
	if (answer.msg.type == MEMPOOL_MSG_WELCOME) {
		wire_bye(fd);
		return;
	}
	/* The state file had noted it. */
	ck_assert_uint_eq(answer.msg.type, MEMPOOL_MSG_REFUSED);
	ck_assert_int_eq(answer.refused.error, -ESTALE);
	close(fd);
}

/* Come back to a daemon that is traced. */
static void attach_to_traced(struct mempool_msg_welcome *ret_welcome)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, 1);

	client_fd = wire_connect(&fixture);
	wire_send(client_fd, &hello, sizeof(hello));
	do {
		while (!traced_is_at_rest(traced_next_call(&fixture)))
			;
	} while (!has_answer());
	wire_expect_welcome(client_fd, ret_welcome);
}

START_TEST(test_bye_killed_before_every_call_leaves_nothing)
{
	struct mempool_msg_bye bye = { .msg = wire_msg(MEMPOOL_MSG_BYE, sizeof(bye)) };
	struct mempool_msg_welcome welcome;
	bool is_in = true;
	unsigned int k;

	for (k = 1; is_in; k++) {
		fixture_start(&fixture);
		close(wire_attach(&fixture, 1, &welcome));
		its_segment = wire_map(&welcome);
		ck_assert_int_eq(pool_claim(&its_segment->pools[0], 7, welcome.holder), 0);
		fixture_kill(&fixture);
		traced_start(&fixture, traced_ask);
		attach_to_traced(&welcome);
		wire_send(client_fd, &bye, sizeof(bye));
		is_in = traced_kill_before(&fixture, k, has_left);

		fixture_start(&fixture);
		check_one(k);
		if (!was_answered())
			say_bye_again(&welcome);
		close(client_fd);
		wait_until(is_deserted, its_segment, SECOND_MS);
		segment_free(its_segment);
		fixture_kill(&fixture);
		ck_assert_uint_lt(k, MAX_CALLS);
	}
	printf("%-8s killed before %4u calls\n", "bye", k - 1);
	ck_assert_uint_gt(k, 4);
}
END_TEST

/* ---- death ---- */

START_TEST(test_sweep_killed_before_every_call_is_done_again)
{
	struct victim victim;
	bool is_in = true;
	unsigned int k;

	for (k = 1; is_in; k++) {
		fixture_start(&fixture);
		victim_start(&victim, &fixture, 10);
		its_segment = wire_map(&victim.welcome);
		fixture_kill(&fixture);
		traced_start(&fixture, traced_ask);
		/* The new daemon sweeps for the old one first. */
		victim_kill(&victim);
		is_in = traced_kill_before(&fixture, k, has_left);
		fixture_start(&fixture);
		check_one(k);
		wait_until(is_deserted, its_segment, SECOND_MS);
		segment_free(its_segment);
		fixture_kill(&fixture);
		ck_assert_uint_lt(k, MAX_CALLS);
	}
	printf("%-8s killed before %4u calls\n", "sweep", k - 1);
	ck_assert_uint_gt(k, 3);
}
END_TEST

/* ---- reload ---- */

static const char *const large = "    pools: [ { chunk_size: 128, chunk_count: 200 } ]\n";

static bool has_one_object(void *userdata)
{
	return fixture_count_objects(userdata) == 1 && count_state_files() == 1;
}

/* A reload into another layout, until is_over. */
static bool kill_reload_before(unsigned int k, const char *layout, bool (*is_over)(void))
{
	struct mempool_msg_reload reload = { .msg = wire_msg(MEMPOOL_MSG_RELOAD, sizeof(reload)) };
	bool is_in;

	traced_start(&fixture, traced_ask);
	fixture_configure(&fixture, "", layout);
	client_fd = wire_connect(&fixture);
	wire_send(client_fd, &reload, sizeof(reload));
	is_in = traced_kill_any_before(&fixture, k, is_over);
	close(client_fd);
	return is_in;
}

/* Nobody is there: the new generation is all that the next daemon has. */
START_TEST(test_reload_killed_before_every_call_leaves_one_generation)
{
	struct mempool_msg_welcome welcome;
	struct segment *segment;
	bool is_in = true;
	unsigned int k;
	int fd;

	for (k = 1; is_in; k++) {
		fixture_configure(&fixture, "", small);
		is_in = kill_reload_before(k, large, has_answer);
		fixture_start(&fixture);
		check_one(k);
		fd = wire_attach(&fixture, 1, &welcome);
		segment = wire_map(&welcome);
		ck_assert_uint_eq(segment->pools[0].n_chunks, 200);
		segment_free(segment);
		wire_bye(fd);
		fixture_kill(&fixture);
		remove_all_generations();
		ck_assert_uint_lt(k, MAX_CALLS);
	}
	printf("%-8s killed before %4u calls\n", "reload", k - 1);
	ck_assert_uint_gt(k, 20);
}
END_TEST

/* Somebody lives in the old one, and finds it again, with what it holds. */
START_TEST(test_reload_killed_before_every_call_keeps_the_living)
{
	struct mempool_msg_welcome first, again;
	bool is_in = true;
	unsigned int k;

	for (k = 1; is_in; k++) {
		fixture_configure(&fixture, "", small);
		fixture_start(&fixture);
		close(wire_attach(&fixture, 1, &first));
		its_segment = wire_map(&first);
		ck_assert_int_eq(pool_claim(&its_segment->pools[0], 7, first.holder), 0);
		fixture_kill(&fixture);
		is_in = kill_reload_before(k, large, has_answer);

		fixture_start(&fixture);
		check_generations(k, 2);
		ck_assert_uint_eq(segment_state(its_segment), MEMPOOL_SEGMENT_RETIRED);
		client_fd = wire_attach(&fixture, 1, &again);
		ck_assert_mem_eq(&first, &again, sizeof(first));
		ck_assert_uint_eq(n_clients(its_segment), 1);
		ck_assert_uint_eq(pool_count_used(&its_segment->pools[0]), 1);
		wire_bye(client_fd);
		wait_until(has_one_object, &fixture, SECOND_MS);
		check_one(k);
		segment_free(its_segment);
		fixture_kill(&fixture);
		remove_all_generations();
		ck_assert_uint_lt(k, MAX_CALLS);
	}
	printf("%-8s killed before %4u calls, with a client\n", "reload", k - 1);
	ck_assert_uint_gt(k, 20);
}
END_TEST

/* ---- move ---- */

#define N_MESSAGES 3
static const char *const with_queue =
	"    pools: [ { chunk_size: 128, chunk_count: 100 } ]\n"
	"    queues: [ { name: work, capacity: 4 } ]\n";

static const char *const other_queue =
	"    pools: [ { chunk_size: 256, chunk_count: 50 } ]\n"
	"    queues: [ { name: other, capacity: 4 }, { name: work, capacity: 8 } ]\n";

/* Each has its number as content, length and tag. */
static void send_messages(const struct segment *segment, uint32_t holder)
{
	const struct pool *pool = &segment->pools[0];
	struct queue queue;

	ck_assert_int_eq(queue_view(&queue, segment, 0), 0);
	for (uint32_t i = 1; i <= N_MESSAGES; i++) {
		struct mempool_entry *entry = &pool->entries[i];
		uint64_t word;

		ck_assert_int_eq(pool_claim(pool, i, holder), 0);
		*(unsigned char *)pool_chunk(pool, i) = (unsigned char)i;
		atomic_store(&entry->length, i);
		atomic_store(&entry->tag, i);
		word = word_sent(atomic_load(&entry->word), queue.id, holder);
		atomic_store(&entry->word, word);
		ck_assert_int_eq(queue_push(&queue, handle_make(word_generation(word), 0, i)), 0);
	}
}

static void expect_messages(unsigned int k, const struct segment *segment, uint32_t holder)
{
	const struct pool *pool = &segment->pools[0];
	struct queue queue;
	uint64_t handle;
	int r;

	ck_assert_int_eq(queue_view(&queue, segment, segment->config.n_rings - 1), 0);
	for (uint32_t i = 1; i <= N_MESSAGES; i++) {
		uint32_t index;

		r = queue_pop(&queue, holder, &handle);
		ck_assert_msg(r == 0, "killed before call %u: message %u is lost", k, i);
		index = handle_index(handle);
		ck_assert_msg(*(unsigned char *)pool_chunk(pool, index) == i &&
			      pool_length(pool, index) == i &&
			      atomic_load(&pool->entries[index].tag) == i,
			      "killed before call %u: another message than %u", k, i);
	}
	r = queue_pop(&queue, holder, &handle);
	ck_assert_msg(r == -EAGAIN, "killed before call %u: a message came twice", k);
}

static bool has_moved(void)
{
	return has_answer() && has_one_object(&fixture);
}

START_TEST(test_move_killed_before_every_call_loses_nothing)
{
	struct mempool_msg_welcome welcome;
	struct segment *segment;
	bool is_in = true;
	unsigned int k;
	int fd;

	for (k = 1; is_in; k++) {
		fixture_configure(&fixture, "", with_queue);
		fixture_start(&fixture);
		fd = wire_attach(&fixture, 1, &welcome);
		segment = wire_map(&welcome);
		send_messages(segment, welcome.holder);
		segment_free(segment);
		wire_bye(fd);
		fixture_kill(&fixture);
		is_in = kill_reload_before(k, other_queue, has_moved);

		fixture_start(&fixture);
		fd = wire_attach(&fixture, 2, &welcome);
		segment = wire_map(&welcome);
		ck_assert_uint_eq(segment->pools[0].n_chunks, 50);
		expect_messages(k, segment, welcome.holder);
		wait_until(has_one_object, &fixture, PATIENCE_MS);
		check_one(k);
		segment_free(segment);
		wire_bye(fd);
		fixture_kill(&fixture);
		remove_all_generations();
		ck_assert_uint_lt(k, MAX_CALLS);
	}
	printf("%-8s killed before %4u calls\n", "move", k - 1);
	ck_assert_uint_gt(k, 20);
}
END_TEST

/* ---- --remove ---- */

/* Return: whether it was killed; false: it ended by itself. */
static bool kill_remove_before(unsigned int k)
{
	const char *const arguments[] = { MEMPOOLD, "-c", fixture.config_path, "--remove", NULL };
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execv(MEMPOOLD, (char *const *)arguments);
		_exit(127);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	/* Two stops a call. */
	for (unsigned int i = 0; i < 2 * k; i++) {
		ck_assert_int_eq(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		if (!WIFSTOPPED(status)) {
			ck_assert_int_eq(status, 0);
			return false;
		}
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return true;
}

START_TEST(test_remove_killed_before_every_call_is_done_again)
{
	struct mempool_msg_welcome welcome;
	unsigned int k, n_between = 0;
	bool is_in = true;
	int fd;

	for (k = 1; is_in; k++) {
		fixture_start(&fixture);
		fixture_kill(&fixture);
		is_in = kill_remove_before(k);
		n_between += is_between_names();
		fixture_start(&fixture);
		check_one(k);
		fd = wire_attach(&fixture, 1, &welcome);
		segment_free(wire_map(&welcome));
		wire_bye(fd);
		fixture_kill(&fixture);
		remove_all_generations();
		ck_assert_uint_lt(k, MAX_CALLS);
	}
	printf("%-8s killed before %4u calls, %u between the names\n", "remove", k - 1, n_between);
	ck_assert_uint_gt(k, 20);
	ck_assert_uint_gt(n_between, 0);
}
END_TEST

/* ---- closing what has descriptors in it ---- */

static struct passing passed;
static unsigned int n_rests;

/* The child that closes it has ended, and the daemon has looked for its end. */
static bool has_closed(void)
{
	struct pollfd poll_fd = { .fd = passed.reader, .events = POLLIN };

	n_rests += poll(&poll_fd, 1, 0) == 1;
	return n_rests == 2;
}

static void be_traced_without_passrights(void *userdata)
{
	traced_ask(userdata);
	passing_lack_passrights(userdata);
}

static bool kill_closing_before(unsigned int k)
{
	bool is_in;
	int fd;

	traced_spawn(&fixture, be_traced_without_passrights);
	while (!traced_is_at_rest(traced_next_call(&fixture)))
		;
	passed = passing_new();
	n_rests = 0;
	fd = wire_connect(&fixture);
	ck_assert_int_eq(passing_send(fd, "x", 1, &passed, 1), 1);
	is_in = traced_kill_before(&fixture, k, has_closed);
	close(fd);
	return is_in;
}

/* Whoever is left has it closed: the child ends, too, as it is told nothing any more. */
START_TEST(test_closing_killed_before_every_call_leaves_nothing_open)
{
	unsigned int k;

	for (k = 1; kill_closing_before(k); k++) {
		passing_expect_closed(&passed);
		fixture_start(&fixture);
		check_one(k);
		fixture_kill(&fixture);
		ck_assert_uint_lt(k, MAX_CALLS);
	}
	passing_expect_closed(&passed);
	printf("%-8s killed before %4u calls\n", "closing", k);
	ck_assert_uint_gt(k, 20);
	remove_all_generations();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("daemon_kill");
	TCase *tcase = tcase_create("daemon_kill");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 200);
	tcase_add_test(tcase, test_start_killed_before_every_call_leaves_nothing);
	tcase_add_test(tcase, test_start_killed_before_every_call_is_left_by_another_house);
	tcase_add_test(tcase, test_start_killed_before_every_call_beside_one_that_runs);
	tcase_add_test(tcase, test_adoption_killed_before_every_call_keeps_the_living);
	tcase_add_test(tcase, test_hello_killed_before_every_call_has_one_holder);
	tcase_add_test(tcase, test_bye_killed_before_every_call_leaves_nothing);
	tcase_add_test(tcase, test_sweep_killed_before_every_call_is_done_again);
	tcase_add_test(tcase, test_reload_killed_before_every_call_leaves_one_generation);
	tcase_add_test(tcase, test_reload_killed_before_every_call_keeps_the_living);
	tcase_add_test(tcase, test_move_killed_before_every_call_loses_nothing);
	tcase_add_test(tcase, test_remove_killed_before_every_call_is_done_again);
	tcase_add_test(tcase, test_closing_killed_before_every_call_leaves_nothing_open);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
