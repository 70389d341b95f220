/* SPDX-License-Identifier: MIT */
/*
 * test-adoption.c - a daemon starts and finds what another one left
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* The header of an object that no daemon has mapped now. */
static struct mempool_header *map_header(uint64_t generation)
{
	struct segment_memory memory = SEGMENT_MEMORY_NULL;
	char name[64];

	snprintf(name, sizeof(name), "/mempool-%s.%llu", fixture.segment,
		 (unsigned long long)generation);
	ck_assert_int_eq(segment_map(name, SEGMENT_READ_WRITE, &memory), 0);
	return memory.base;
}

static bool has_no_first_object(void *userdata)
{
	return !fixture_object_exists(userdata, 1);
}

static int run_daemon(void)
{
	const char *const arguments[] = { MEMPOOLD, "-f", "-c", fixture.config_path, NULL };

	return fixture_run(&fixture, arguments);
}

static int run_remove(void)
{
	const char *const arguments[] = { MEMPOOLD, "-c", fixture.config_path, "--remove",
					  NULL };

	return fixture_run(&fixture, arguments);
}

/* ---- restart ---- */

START_TEST(test_restart_adopts_and_keeps_holders)
{
	struct mempool_msg_welcome first, again;
	struct segment *segment;
	struct victim victim;
	struct holder holder;
	bool is_killed = _i;
	int fd;

	fixture_start(&fixture);
	victim_start(&victim, &fixture, 10);
	fd = wire_attach(&fixture, 1, &first);
	segment = wire_map(&first);
	ck_assert_int_eq(pool_claim(&segment->pools[0], 500, first.holder), 0);
	if (is_killed)
		fixture_kill(&fixture);
	else
		fixture_stop(&fixture);
	close(fd);

	fixture_start(&fixture);
	ck_assert(fixture_log_has(&fixture, "adopted mempool-"));
	close(wire_attach(&fixture, 1, &again));
	ck_assert_mem_eq(&first, &again, sizeof(first));
	ck_assert_uint_eq(pool_count_used(&segment->pools[0]), 11);

	/* Ourselves in the table; and the others watched, without their doing. */
	ck_assert_int_eq(holder_read(segment, MEMPOOL_HOLDER_DAEMON_ID, &holder), 0);
	ck_assert_uint_eq(holder.state, MEMPOOL_HOLDER_LIVE);
	ck_assert_uint_eq(holder.kind, MEMPOOL_HOLDER_DAEMON);
	victim_kill(&victim);
	wait_until(fixture_no_longer_used, &(struct fixture_used){ segment, 1 }, 1000);
	ck_assert_int_eq(pool_release(&segment->pools[0], 500, first.holder, true), 0);
	segment_free(segment);
	fixture_stop(&fixture);
}
END_TEST

static bool daemon_is_recorded(void *userdata)
{
	struct holder holder;

	return holder_read(userdata, MEMPOOL_HOLDER_DAEMON_ID, &holder) == 0 &&
	       holder.state == MEMPOOL_HOLDER_LIVE && holder.pid == (uint32_t)fixture.pid;
}

START_TEST(test_daemon_record_after_restart_is_the_new_one)
{
	struct mempool_msg_welcome welcome;
	struct mempool_holder *record;
	struct segment *segment;
	pid_t old;

	fixture_start(&fixture);
	old = fixture.pid;
	close(wire_attach(&fixture, 1, &welcome));
	segment = wire_map(&welcome);
	/* As if it had held something when it was killed. */
	fixture_kill(&fixture);
	ck_assert_int_eq(pool_claim(&segment->pools[0], 7, MEMPOOL_HOLDER_DAEMON_ID), 0);
	record = &segment->holders[MEMPOOL_HOLDER_DAEMON_ID];
	ck_assert_uint_eq(atomic_load(&record->pid), (uint32_t)old);
	fixture_start(&fixture);
	wait_until(fixture_no_longer_used, &(struct fixture_used){ segment, 0 }, 1000);
	/* When the sweep is over, and not before, the record is the new one's. */
	wait_until(daemon_is_recorded, segment, 1000);
	segment_free(segment);
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_holder_that_died_without_daemon_is_reaped)
{
	struct segment *segment;
	struct victim victim;

	fixture_start(&fixture);
	victim_start(&victim, &fixture, 300);
	segment = wire_map(&victim.welcome);
	fixture_kill(&fixture);
	victim_kill(&victim);
	ck_assert_uint_eq(pool_count_used(&segment->pools[0]), 300);
	fixture_start(&fixture);
	wait_until(fixture_no_longer_used, &(struct fixture_used){ segment, 0 }, 1000);
	segment_free(segment);
	fixture_stop(&fixture);
}
END_TEST

static bool record_is_free(void *userdata)
{
	struct mempool_holder *record = userdata;

	return atomic_load(&record->state) == MEMPOOL_HOLDER_FREE;
}

/* The daemon was killed between the end of a client and the end of its sweep. */
START_TEST(test_holder_left_reaping_is_reaped)
{
	struct mempool_msg_welcome welcome;
	struct segment *segment;

	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	segment = wire_map(&welcome);
	ck_assert_int_eq(pool_claim(&segment->pools[0], 3, welcome.holder), 0);
	fixture_kill(&fixture);
	holder_set_state(segment, welcome.holder, MEMPOOL_HOLDER_REAPING);
	fixture_start(&fixture);
	wait_until(fixture_no_longer_used, &(struct fixture_used){ segment, 0 }, 1000);
	wait_until(record_is_free, &segment->holders[welcome.holder], 1000);
	segment_free(segment);
	fixture_stop(&fixture);
}
END_TEST

/* Its pid is in use again, by another process. */
START_TEST(test_holder_whose_pid_is_used_again_is_dead)
{
	struct mempool_msg_welcome welcome;
	struct segment *segment;

	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	segment = wire_map(&welcome);
	ck_assert_int_eq(pool_claim(&segment->pools[0], 3, welcome.holder), 0);
	fixture_kill(&fixture);
	atomic_fetch_sub(&segment->holders[welcome.holder].start_time, 1);
	fixture_start(&fixture);
	wait_until(fixture_no_longer_used, &(struct fixture_used){ segment, 0 }, 1000);
	segment_free(segment);
	fixture_stop(&fixture);
}
END_TEST

static bool no_nonsense_lives(void *userdata)
{
	const struct segment *segment = userdata;
	uint32_t id;

	for (id = 100; id < segment->n_holders; id++)
		if (id % 3 != 2 &&
		    atomic_load(&segment->holders[id].state) != MEMPOOL_HOLDER_FREE)
			return false;
	return true;
}

/* What is in the table is input: the worst of it costs only itself. */
START_TEST(test_holder_table_of_junk_is_survived)
{
	struct mempool_msg_welcome welcome;
	struct segment *segment;
	unsigned int seed = 7;
	uint32_t id;
	size_t k;

	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	segment = wire_map(&welcome);
	fixture_kill(&fixture);
	for (id = 0; id < segment->n_holders; id++)
		for (k = 0; k < sizeof(struct mempool_holder); k++)
			((unsigned char *)&segment->holders[id])[k] =
				(unsigned char)rand_r(&seed);
	for (id = 100; id < segment->n_holders; id++) {
		atomic_store(&segment->holders[id].state, MEMPOOL_HOLDER_LIVE);
		if (id % 3 == 0)
			atomic_store(&segment->holders[id].pid, 0);
		if (id % 3 == 1)
			atomic_store(&segment->holders[id].pid, UINT32_MAX);
	}
	fixture_start(&fixture);
	/* What is no process at all is dead, like any other that is not there. */
	wait_until(no_nonsense_lives, segment, 1000);
	close(wire_attach(&fixture, 2, &welcome));
	segment_free(segment);
	fixture_stop(&fixture);
}
END_TEST

/* ---- a second daemon ---- */

START_TEST(test_second_daemon_is_refused)
{
	char text[64];

	fixture_start(&fixture);
	snprintf(text, sizeof(text), "another mempoold (pid %d) has it", (int)fixture.pid);
	ck_assert_int_eq(run_daemon(), 1);
	ck_assert(fixture_log_has(&fixture, text));
	ck_assert(fixture_log_has(&fixture, fixture.segment));
	ck_assert_int_eq(run_remove(), 1);
	ck_assert(fixture_object_exists(&fixture, 1));
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_lock_that_is_a_link_is_refused)
{
	char path[96], target[96], text[96];

	snprintf(path, sizeof(path), "/dev/shm/mempool-%s.%u.lock", fixture.segment,
		 (unsigned int)geteuid());
	snprintf(target, sizeof(target), "%s/victim", fixture.folder);
	ck_assert_int_eq(symlink(target, path), 0);
	ck_assert_int_eq(run_daemon(), 1);
	snprintf(text, sizeof(text), "a symbolic link, owned by uid %u; remove it",
		 (unsigned int)geteuid());
	ck_assert(fixture_log_has(&fixture, text));
	ck_assert_int_ne(access(target, F_OK), 0);
	unlink(path);
}
END_TEST

START_TEST(test_lock_of_another_user_is_refused)
{
	char path[96];
	int fd;

	if (skip_unless_root("a lock file of another user"))
		return;
	snprintf(path, sizeof(path), "/dev/shm/mempool-%s.0.lock", fixture.segment);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0666);
	ck_assert_int_eq(fchown(fd, 12345, 12345), 0);
	close(fd);
	ck_assert_int_eq(run_daemon(), 1);
	ck_assert(fixture_log_has(&fixture, "owned by uid 12345"));
}
END_TEST

/* ---- what is found ---- */

static void write_object(uint64_t generation, const void *bytes, size_t size)
{
	char path[96];
	int fd;

	fixture_object_path(&fixture, generation, path);
	fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, size), size);
	close(fd);
}

START_TEST(test_object_never_laid_out_is_made_anew)
{
	static const unsigned char zeroes[65536];
	struct mempool_header header = { .magic = MEMPOOL_MAGIC,
					 .state = MEMPOOL_SEGMENT_BUILDING };
	struct mempool_msg_welcome welcome;

	write_object(1, NULL, 0);
	write_object(2, zeroes, 100);
	write_object(3, zeroes, sizeof(zeroes));
	write_object(4, &header, sizeof(header));
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	ck_assert_uint_eq(welcome.place.generation, 5);
	ck_assert_uint_eq(fixture_count_objects(&fixture), 1);
	ck_assert(fixture_log_has(&fixture, "died before it was laid out"));
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_object_that_is_not_ours_is_stepped_over)
{
	char path[96], other[96];
	struct mempool_msg_welcome welcome;

	if (skip_unless_root("an object of another user"))
		return;
	/* Another user's, a folder, a pipe, a link, one with two names, and junk of ours. */
	write_object(1, "x", 1);
	fixture_object_path(&fixture, 1, path);
	ck_assert_int_eq(chown(path, 12345, 12345), 0);
	fixture_object_path(&fixture, 2, path);
	ck_assert_int_eq(mkdir(path, 0777), 0);
	fixture_object_path(&fixture, 3, path);
	ck_assert_int_eq(mkfifo(path, 0777), 0);
	fixture_object_path(&fixture, 4, path);
	ck_assert_int_eq(symlink("/etc/passwd", path), 0);
	write_object(5, "x", 1);
	fixture_object_path(&fixture, 5, path);
	fixture_object_path(&fixture, 55, other);
	ck_assert_int_eq(link(path, other), 0);
	write_object(6, "this is not a segment: it is long enough to have a header, but its "
		     "magic is wrong, and so the daemon leaves it alone, as it may be someone's "
		     "file that happens to have this name; whoever put it there may remove it, "
		     "and until then the next number is taken. Some more words, so that it is "
		     "as long as a header is.", 300);
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	ck_assert_uint_eq(welcome.place.generation, 7);
	ck_assert_uint_eq(fixture_count_objects(&fixture), 8);
	ck_assert(fixture_log_has(&fixture, ".1 is another user's; left alone"));
	ck_assert(fixture_log_has(&fixture, ".2 is not a regular file"));
	ck_assert(fixture_log_has(&fixture, ".3 is not a regular file"));
	ck_assert(fixture_log_has(&fixture, ".4 is not a regular file"));
	ck_assert(fixture_log_has(&fixture, ".5 is a file with several names"));
	ck_assert(fixture_log_has(&fixture, ".6 is not a segment"));
	fixture_stop(&fixture);
	/* And again, with one of its own among them, and a name that is nearly that. */
	snprintf(path, sizeof(path), "/dev/shm/mempool-%s.07", fixture.segment);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	ck_assert_uint_eq(welcome.place.generation, 7);
	/* Taken for the same number, it would be found twice, and retired the second time. */
	ck_assert(!fixture_log_has(&fixture, "is retired, with"));
	fixture_stop(&fixture);
}
END_TEST

/* Somebody has taken the next numbers, many of them. */
START_TEST(test_many_names_in_the_way_are_stepped_over)
{
	struct mempool_msg_welcome welcome;
	char path[96];
	uint64_t i;

	for (i = 1; i <= 500; i++) {
		fixture_object_path(&fixture, i, path);
		ck_assert_int_eq(mkdir(path, 0700), 0);
	}
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	ck_assert_uint_gt(welcome.place.generation, 500);
	ck_assert(!fixture_log_has(&fixture, ".400 is not"));
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_object_of_other_boot_is_removed)
{
	struct mempool_msg_welcome welcome;

	fixture_start(&fixture);
	fixture_stop(&fixture);
	map_header(1)->boot_id[3] ^= 1;
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	ck_assert_uint_eq(welcome.place.generation, 2);
	ck_assert(!fixture_object_exists(&fixture, 1));
	fixture_stop(&fixture);
}
END_TEST

/* As in a container where not everybody sees the same boot id. */
START_TEST(test_object_of_other_boot_with_a_living_holder_is_adopted)
{
	struct victim victim;

	fixture_start(&fixture);
	victim_start(&victim, &fixture, 1);
	fixture_stop(&fixture);
	map_header(1)->boot_id[3] ^= 1;
	ck_assert_int_eq(run_remove(), 1);
	ck_assert(fixture_log_has(&fixture, "left: 1 living clients"));
	fixture_start(&fixture);
	ck_assert(fixture_log_has(&fixture, "adopted mempool-"));
	fixture_stop(&fixture);
	victim_kill(&victim);
	ck_assert_int_eq(run_remove(), 0);
	ck_assert(!fixture_object_exists(&fixture, 1));
}
END_TEST

START_TEST(test_object_of_other_pid_namespace_is_left)
{
	struct mempool_msg_welcome welcome;

	fixture_start(&fixture);
	fixture_stop(&fixture);
	map_header(1)->pid_namespace ^= 1;
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	ck_assert_uint_eq(welcome.place.generation, 2);
	ck_assert(fixture_object_exists(&fixture, 1));
	ck_assert(fixture_log_has(&fixture, "another pid namespace"));
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_object_with_contradicting_header_is_left)
{
	struct mempool_msg_welcome welcome;

	fixture_start(&fixture);
	fixture_stop(&fixture);
	map_header(1)->pools_off += 8;
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	ck_assert_uint_eq(welcome.place.generation, 2);
	ck_assert(fixture_object_exists(&fixture, 1));
	fixture_stop(&fixture);
	map_header(2)->generation = 1;
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	ck_assert_uint_eq(welcome.place.generation, 3);
	ck_assert(fixture_log_has(&fixture, "says another generation"));
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_object_with_other_mode_is_given_it)
{
	struct mempool_msg_welcome welcome;
	struct stat st;
	char path[96];

	fixture_start(&fixture);
	fixture_stop(&fixture);
	fixture_object_path(&fixture, 1, path);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0666);
	ck_assert_int_eq(chmod(path, 0600), 0);
	if (geteuid() == 0)
		ck_assert_int_eq(chown(path, (uid_t)-1, 4321), 0);
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	ck_assert_uint_eq(welcome.place.generation, 1);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0666);
	ck_assert_uint_eq(st.st_gid, getegid());
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

START_TEST(test_other_version_is_watched_and_removed)
{
	struct mempool_msg_welcome welcome;
	struct victim victim;

	fixture_start(&fixture);
	victim_start(&victim, &fixture, 10);
	fixture_kill(&fixture);
	map_header(1)->version_major++;
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

START_TEST(test_two_that_match_newest_is_adopted)
{
	struct mempool_msg_welcome first, second;
	struct segment *segment;
	struct victim victim;
	char from[96], to[96], aside[128];

	fixture_start(&fixture);
	victim_start(&victim, &fixture, 10);
	first = victim.welcome;
	segment = wire_map(&first);
	fixture_kill(&fixture);
	/* A second one, made while the first was out of sight. */
	fixture_object_path(&fixture, 1, from);
	snprintf(aside, sizeof(aside), "%s.aside", from);
	ck_assert_int_eq(rename(from, aside), 0);
	fixture_start(&fixture);
	fixture_stop(&fixture);
	fixture_object_path(&fixture, 2, to);
	ck_assert_int_eq(rename(from, to), 0);
	map_header(2)->generation = 2;
	ck_assert_int_eq(rename(aside, from), 0);

	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &second));
	ck_assert_uint_eq(second.place.generation, 2);
	ck_assert_uint_eq(segment_state(segment), MEMPOOL_SEGMENT_RETIRED);
	victim_kill(&victim);
	wait_until(has_no_first_object, &fixture, 1000);
	segment_free(segment);
	fixture_stop(&fixture);
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
	ck_assert_int_eq(run_daemon(), 1);
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
	ck_assert_int_eq(run_daemon(), 1);
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

/* ---- --remove ---- */

START_TEST(test_remove_takes_what_nobody_lives_in)
{
	struct victim victim;

	fixture_start(&fixture);
	victim_start(&victim, &fixture, 1);
	fixture_stop(&fixture);
	ck_assert_int_eq(run_remove(), 1);
	ck_assert(fixture_log_has(&fixture, "left: 1 living clients"));
	ck_assert(fixture_object_exists(&fixture, 1));
	victim_kill(&victim);
	ck_assert_int_eq(run_remove(), 0);
	ck_assert(fixture_log_has(&fixture, "removed mempool-"));
	ck_assert(!fixture_object_exists(&fixture, 1));
	ck_assert_int_eq(run_remove(), 0);
	ck_assert(fixture_log_has(&fixture, "there is none"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("adoption");
	TCase *tcase = tcase_create("adoption");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, test_restart_adopts_and_keeps_holders, 0, 2);
	tcase_add_test(tcase, test_daemon_record_after_restart_is_the_new_one);
	tcase_add_test(tcase, test_holder_that_died_without_daemon_is_reaped);
	tcase_add_test(tcase, test_holder_left_reaping_is_reaped);
	tcase_add_test(tcase, test_holder_whose_pid_is_used_again_is_dead);
	tcase_add_test(tcase, test_holder_table_of_junk_is_survived);
	tcase_add_test(tcase, test_second_daemon_is_refused);
	tcase_add_test(tcase, test_lock_that_is_a_link_is_refused);
	tcase_add_test(tcase, test_lock_of_another_user_is_refused);
	tcase_add_test(tcase, test_object_never_laid_out_is_made_anew);
	tcase_add_test(tcase, test_object_that_is_not_ours_is_stepped_over);
	tcase_add_test(tcase, test_many_names_in_the_way_are_stepped_over);
	tcase_add_test(tcase, test_object_of_other_boot_is_removed);
	tcase_add_test(tcase, test_object_of_other_boot_with_a_living_holder_is_adopted);
	tcase_add_test(tcase, test_object_of_other_pid_namespace_is_left);
	tcase_add_test(tcase, test_object_with_contradicting_header_is_left);
	tcase_add_test(tcase, test_object_with_other_mode_is_given_it);
	tcase_add_test(tcase, test_other_layout_deserted_is_removed);
	tcase_add_test(tcase, test_other_layout_is_retired_until_its_last_holder_ends);
	tcase_add_test(tcase, test_other_version_is_watched_and_removed);
	tcase_add_test(tcase, test_two_that_match_newest_is_adopted);
	tcase_add_test(tcase, test_open_mode_open);
	tcase_add_test(tcase, test_open_mode_create);
	tcase_add_test(tcase, test_open_mode_purge);
	tcase_add_test(tcase, test_remove_takes_what_nobody_lives_in);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
