/* SPDX-License-Identifier: MIT */
/*
 * test-object.c - what becomes of an object: what members did to it, another layout, a segment out of the
 *		 config, its open mode
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/segments/state.h"
#include "fixture.h"
#include "shm/holder.h"

static struct fixture fixture;

static void setup(void)
{
	fixture_init(&fixture);
}

static void teardown(void)
{
	fixture_deinit(&fixture);
}

static const char *const other_pools = "    pools:\n"
				       "      - { chunk_size: 256, chunk_count: 50 }\n";

/* As a member may, while no daemon is there. */
static void overwrite_header(uint64_t generation)
{
	struct segment_memory memory = SEGMENT_MEMORY_NULL;
	char path[96];

	fixture_object_path(&fixture, generation, path);
	ck_assert_int_eq(segment_open(path + strlen("/dev/shm"), SEGMENT_READ_WRITE, &memory), 0);
	memset(memory.base, 0xff, sizeof(struct mempool_header));
	segment_memory_deinit(&memory);
}

static bool has_no_first_object(void *userdata)
{
	return !fixture_object_exists(userdata, 1);
}

/* ---- what members do to an object ---- */

/* To 1 PiB, or by one byte. */
START_TEST(test_enlarged_object_is_cut_back)
{
	static const off_t more[] = { 1, (off_t)1 << 50 };
	struct mempool_msg_welcome first, again;
	struct segment *segment;
	struct stat st;
	char path[96];

	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &first));
	fixture_object_path(&fixture, 1, path);
	/* Under a daemon that runs; */
	ck_assert_int_eq(truncate(path, (off_t)first.place.control_bytes + more[_i]), 0);
	close(wire_attach(&fixture, 2, &again));
	segment = wire_map(&again);
	segment_free(segment);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq((uint64_t)st.st_size, first.place.control_bytes);
	/* and while there is none. */
	fixture_kill(&fixture);
	ck_assert_int_eq(truncate(path, (off_t)first.place.control_bytes + more[_i]), 0);
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &again));
	ck_assert_mem_eq(&first, &again, sizeof(first));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq((uint64_t)st.st_size, first.place.control_bytes);
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_object_truncated_without_daemon_is_lost)
{
	struct mempool_msg_welcome first, newer;
	struct victim victim;
	struct stat st;
	char path[96];

	fixture_start(&fixture);
	victim_start(&victim, &fixture, 1);
	first = victim.welcome;
	fixture_kill(&fixture);
	if (_i)
		fixture_data_path(&fixture, 1, path);
	else
		fixture_object_path(&fixture, 1, path);
	ck_assert_int_eq(truncate(path, (off_t)(_i ? first.place.data_bytes
						  : first.place.control_bytes) - 4096), 0);
	fixture_start(&fixture);
	close(wire_attach(&fixture, 2, &newer));
	ck_assert_uint_eq(newer.place.generation, 2);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_size, 0);
	victim_kill(&victim);
	wait_until(has_no_first_object, &fixture, 1000);
	fixture_stop(&fixture);
}
END_TEST

/* Under the same name there is another object, as large and of the same user. */
START_TEST(test_object_that_was_replaced_is_not_adopted)
{
	struct mempool_msg_welcome first, newer;
	char path[96];
	int fd;

	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &first));
	fixture_object_path(&fixture, 1, path);
	fixture_kill(&fixture);
	ck_assert_int_eq(unlink(path), 0);
	fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)first.place.control_bytes), 0);
	close(fd);
	fixture_start(&fixture);
	close(wire_attach(&fixture, 2, &newer));
	ck_assert_uint_eq(newer.place.generation, 2);
	ck_assert_uint_ne(newer.place.segment_id, first.place.segment_id);
	ck_assert_uint_eq(fixture_count_objects(&fixture), 1);
	fixture_stop(&fixture);
}
END_TEST

/* By logind's RemoveIPC, or a cleaner. */
START_TEST(test_unlinked_object_is_replaced_for_new_clients)
{
	struct mempool_msg_welcome first, newer, back;
	struct segment *segment;
	char path[96];
	int fd;

	fixture_start(&fixture);
	fd = wire_attach(&fixture, 1, &first);
	segment = wire_map(&first);
	fixture_object_path(&fixture, 1, path);
	ck_assert_int_eq(unlink(path), 0);
	close(wire_attach(&fixture, 2, &newer));
	ck_assert_uint_eq(newer.place.generation, 2);
	segment_free(wire_map(&newer));
	ck_assert_uint_eq(segment_state(segment), MEMPOOL_SEGMENT_RETIRED);
	ck_assert(fixture_log_has(&fixture, "has lost its name"));
	/* Whoever is in it goes on, and is reaped there. */
	close(fd);
	fd = wire_attach(&fixture, 1, &back);
	ck_assert_uint_eq(back.place.generation, 1);
	ck_assert_int_eq(pool_claim(&segment->pools[0], 3, first.holder), 0);
	wire_bye(fd);
	wait_until(fixture_no_longer_used, &(struct fixture_used){ segment, 0 }, 1000);
	segment_free(segment);
	fixture_stop(&fixture);
}
END_TEST

/* ---- a segment fails alone ---- */

START_TEST(test_segment_that_cannot_be_made_fails_alone)
{
	struct mempool_msg_list list = { .msg = wire_msg(MEMPOOL_MSG_LIST, sizeof(list)) };
	struct mempool_msg_hello hello = wire_hello(&fixture, 2);
	struct mempool_msg_welcome welcome;
	union wire_answer answer;
	char text[512];
	int fd;

	snprintf(text, sizeof(text), "%s  - name: %s-huge\n    pools:\n"
		 "      - { chunk_size: 2GiB, chunk_count: 100000 }\n", fixture_pools,
		 fixture.segment);
	fixture_configure(&fixture, "", text);
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	snprintf(hello.segment, sizeof(hello.segment), "%.20s-huge", fixture.segment);
	fd = wire_connect(&fixture);
	wire_send(fd, &hello, sizeof(hello));
	wire_expect_refused(fd, -EAGAIN, "is not served now: ");
	close(fd);
	fd = wire_connect(&fixture);
	wire_send(fd, &list, sizeof(list));
	ck_assert_int_gt(wire_receive(fd, &answer), 0);
	ck_assert_uint_eq(answer.segment.n, 2);
	ck_assert_int_eq(answer.segment.error, 0);
	ck_assert_int_gt(wire_receive(fd, &answer), 0);
	ck_assert_int_lt(answer.segment.error, 0);
	ck_assert_str_eq(answer.segment.place.segment, hello.segment);
	ck_assert_ptr_nonnull(strstr(answer.segment.reason, "missing"));
	close(fd);
	fixture_stop(&fixture);
}
END_TEST

/* By its owner, or root: whoever may open an object is whom the daemon passes it to. */
START_TEST(test_object_that_was_opened_to_others_is_closed)
{
	struct mempool_msg_welcome welcome;
	struct stat st;
	char path[96];

	fixture_start(&fixture);
	fixture_stop(&fixture);
	if (_i)
		fixture_data_path(&fixture, 1, path);
	else
		fixture_object_path(&fixture, 1, path);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(chmod(path, 0666), 0);
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	ck_assert_uint_eq(welcome.place.generation, 1);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	fixture_stop(&fixture);
}
END_TEST

/* ---- other layouts ---- */

START_TEST(test_other_layout_deserted_is_removed)
{
	struct mempool_msg_welcome welcome;

	fixture_start(&fixture);
	fixture_stop(&fixture);
	fixture_configure(&fixture, "", other_pools);
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	ck_assert_uint_eq(welcome.place.generation, 2);
	ck_assert(!fixture_object_exists(&fixture, 1));
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_other_layout_is_retired_until_its_last_holder_ends)
{
	struct mempool_msg_list list = { .msg = wire_msg(MEMPOOL_MSG_LIST, sizeof(list)) };
	struct mempool_msg_welcome first, back, newer;
	union wire_answer answer;
	struct segment *segment;
	struct victim victim;
	int fd, observer;

	fixture_start(&fixture);
	victim_start(&victim, &fixture, 100);
	fd = wire_attach(&fixture, 1, &first);
	segment = wire_map(&first);
	fixture_kill(&fixture);
	close(fd);
	fixture_configure(&fixture, "", other_pools);
	fixture_start(&fixture);
	ck_assert_uint_eq(segment_state(segment), MEMPOOL_SEGMENT_RETIRED);

	/* Who is in it comes back to it; who is new does not. */
	fd = wire_attach(&fixture, 1, &back);
	ck_assert_mem_eq(&first, &back, sizeof(first));
	close(wire_attach(&fixture, 2, &newer));
	ck_assert_uint_eq(newer.place.generation, 2);
	observer = wire_connect(&fixture);
	wire_send(observer, &list, sizeof(list));
	ck_assert_int_gt(wire_receive(observer, &answer), 0);
	ck_assert_uint_eq(answer.segment.n, 2);
	close(observer);

	/* It is reaped while somebody lives there. */
	victim_kill(&victim);
	wait_until(fixture_no_longer_used, &(struct fixture_used){ segment, 0 }, 1000);
	ck_assert(fixture_object_exists(&fixture, 1));
	wire_bye(fd);
	wait_until(has_no_first_object, &fixture, 1000);
	segment_free(segment);
	fixture_stop(&fixture);
}
END_TEST

static void be_of_another_layout(void)
{
	const uint16_t major = MEMPOOL_LAYOUT_MAJOR + 1;
	char path[192];
	int fd;

	fixture_state_path(&fixture, 1, path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, &major, sizeof(major), 28), sizeof(major));
	close(fd);
}

START_TEST(test_other_version_is_watched_and_removed)
{
	struct mempool_msg_welcome welcome;
	struct victim victim;

	fixture_start(&fixture);
	victim_start(&victim, &fixture, 10);
	fixture_kill(&fixture);
	be_of_another_layout();
	/* Whatever a member says there. */
	overwrite_header(1);
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	ck_assert_uint_eq(welcome.place.generation, 2);
	usleep(50000);
	ck_assert(fixture_object_exists(&fixture, 1));
	victim_kill(&victim);
	wait_until(has_no_first_object, &fixture, 1000);
	fixture_stop(&fixture);
}
END_TEST

/* ---- segments that have left the config ---- */

/* A segment of that name behind the one of the fixture. */
static struct fixture configure_more(const char *suffix)
{
	FILE *file = fopen(fixture.config_path, "ae");
	struct fixture more = fixture;

	ck_assert_ptr_nonnull(file);
	strcat(more.segment, suffix);
	fprintf(file, "  - name: %s\n    allow: anybody\n%s", more.segment, fixture_pools);
	fclose(file);
	return more;
}

static bool has_nothing_left(void *userdata)
{
	const struct fixture *gone = userdata;
	char path[192];

	fixture_state_path(gone, 1, path);
	return !fixture_object_exists(gone, 1) && access(path, F_OK) < 0;
}

START_TEST(test_segment_that_left_the_config_is_watched_and_removed)
{
	struct fixture lived_in = configure_more("-b"), deserted = configure_more("-c");
	struct mempool_msg_welcome welcome, back;
	struct mempool_msg_hello hello;
	struct victim victim;
	struct segment *segment;
	int fd;

	fixture_start(&fixture);
	victim_start(&victim, &lived_in, 10);
	fd = wire_attach(&lived_in, 1, &welcome);
	segment = wire_map(&welcome);
	ck_assert_int_eq(pool_claim(&segment->pools[0], 500, welcome.holder), 0);
	ck_assert(fixture_object_exists(&deserted, 1));
	fixture_kill(&fixture);
	close(fd);
	fixture_configure(&fixture, "", NULL);
	fixture_start(&fixture);
	/* Nobody is in it: gone before the daemon is ready. */
	ck_assert(has_nothing_left(&deserted));
	ck_assert(fixture_log_has(&fixture, "it is not in the config, and nobody lives in it"));
	/* It leads nowhere, and nobody new comes in; whoever is in it may come back. */
	ck_assert_uint_eq(segment_state(segment), MEMPOOL_SEGMENT_RETIRED);
	hello = wire_hello(&lived_in, 2);
	fd = wire_connect(&fixture);
	wire_send(fd, &hello, sizeof(hello));
	wire_expect_refused(fd, -ENOENT, "there is no segment");
	close(fd);
	hello = wire_hello(&lived_in, 1);
	hello.segment_id = welcome.place.segment_id;
	fd = wire_connect(&fixture);
	wire_send(fd, &hello, sizeof(hello));
	wire_expect_welcome(fd, &back);
	ck_assert_mem_eq(&welcome, &back, sizeof(welcome));
	/* Those who die are reaped, and with the last one it goes. */
	victim_kill(&victim);
	wait_until(fixture_no_longer_used, &(struct fixture_used){ segment, 1 }, 30000);
	ck_assert(!has_nothing_left(&lived_in));
	wire_bye(fd);
	wait_until(has_nothing_left, &lived_in, 30000);
	segment_free(segment);
	close(wire_attach(&fixture, 3, &welcome));
	ck_assert_uint_eq(welcome.place.generation, 1);
	fixture_stop(&fixture);
}
END_TEST

/* Adopted while the loop runs, it is prefaulted in a thread, and served meanwhile. */
START_TEST(test_segment_adopted_later_is_filled_beside_the_loop)
{
	struct mempool_msg_welcome first, again;
	char path[192], hidden[200], text[512];
	pid_t thread;

	snprintf(text, sizeof(text), "    prefault: true\n%s", fixture_pools);
	fixture_configure(&fixture, "", text);
	configure_more("-b");
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &first));
	fixture_kill(&fixture);
	/* A folder in its place cannot be read, now. */
	fixture_state_path(&fixture, 1, path);
	snprintf(hidden, sizeof(hidden), "%s.kept", path);
	ck_assert_int_eq(rename(path, hidden), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	fixture_start(&fixture);
	fixture_watch_threads(&fixture);
	/* At once: an object without a state file would be removed. */
	ck_assert_int_eq(renameat2(AT_FDCWD, hidden, AT_FDCWD, path, RENAME_EXCHANGE), 0);
	ck_assert_int_eq(rmdir(hidden), 0);
	thread = fixture_hold_thread(&fixture);
	fixture_unwatch_threads(&fixture);
	close(wire_attach(&fixture, 1, &again));
	ck_assert_mem_eq(&first, &again, sizeof(first));
	fixture_let_go(thread);
	wire_bye(wire_attach(&fixture, 2, &again));
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_remove_takes_what_has_left_the_config)
{
	struct fixture left = configure_more("-b");

	fixture_start(&fixture);
	fixture_stop(&fixture);
	fixture_configure(&fixture, "", NULL);
	ck_assert(!has_nothing_left(&left));
	ck_assert_int_eq(fixture_run_remove(&fixture), 0);
	ck_assert(has_nothing_left(&left));
	ck_assert_uint_eq(fixture_count_objects(&fixture), 0);
}
END_TEST

/* ---- open modes ---- */

static void configure_mode(const char *mode)
{
	char text[512];

	snprintf(text, sizeof(text), "    open_mode: %s\n%s", mode, fixture_pools);
	fixture_configure(&fixture, "", text);
}

START_TEST(test_open_mode_open)
{
	struct mempool_msg_welcome welcome;

	configure_mode("open");
	ck_assert_int_eq(fixture_run_daemon(&fixture), 1);
	ck_assert(fixture_log_has(&fixture, "open_mode is open"));
	ck_assert_uint_eq(fixture_count_objects(&fixture), 0);
	configure_mode("open_or_create");
	fixture_start(&fixture);
	fixture_stop(&fixture);
	configure_mode("open");
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	ck_assert_uint_eq(welcome.place.generation, 1);
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_open_mode_create)
{
	configure_mode("create");
	fixture_start(&fixture);
	fixture_stop(&fixture);
	ck_assert_int_eq(fixture_run_daemon(&fixture), 1);
	ck_assert(fixture_log_has(&fixture, "open_mode is create"));
	ck_assert(fixture_object_exists(&fixture, 1));
}
END_TEST

START_TEST(test_open_mode_purge)
{
	struct mempool_msg_welcome welcome;
	struct victim victim;

	configure_mode("purge_and_create");
	fixture_start(&fixture);
	fixture_stop(&fixture);
	fixture_start(&fixture);
	ck_assert(!fixture_object_exists(&fixture, 1));
	victim_start(&victim, &fixture, 1);
	ck_assert_uint_eq(victim.welcome.place.generation, 2);
	fixture_stop(&fixture);
	/* Who lives in it keeps what it has. */
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	ck_assert_uint_eq(welcome.place.generation, 3);
	ck_assert(fixture_object_exists(&fixture, 2));
	victim_kill(&victim);
	fixture_stop(&fixture);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("object");
	TCase *tcase = tcase_create("object");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, test_enlarged_object_is_cut_back, 0, 2);
	tcase_add_loop_test(tcase, test_object_truncated_without_daemon_is_lost, 0, 2);
	tcase_add_test(tcase, test_object_that_was_replaced_is_not_adopted);
	tcase_add_test(tcase, test_unlinked_object_is_replaced_for_new_clients);
	tcase_add_test(tcase, test_segment_that_cannot_be_made_fails_alone);
	tcase_add_loop_test(tcase, test_object_that_was_opened_to_others_is_closed, 0, 2);
	tcase_add_test(tcase, test_other_layout_deserted_is_removed);
	tcase_add_test(tcase, test_other_layout_is_retired_until_its_last_holder_ends);
	tcase_add_test(tcase, test_other_version_is_watched_and_removed);
	tcase_add_test(tcase, test_segment_that_left_the_config_is_watched_and_removed);
	if (!skip_with_thread_sanitizer("no thread can be held"))
		tcase_add_test(tcase, test_segment_adopted_later_is_filled_beside_the_loop);
	tcase_add_test(tcase, test_remove_takes_what_has_left_the_config);
	tcase_add_test(tcase, test_open_mode_open);
	tcase_add_test(tcase, test_open_mode_create);
	tcase_add_test(tcase, test_open_mode_purge);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
