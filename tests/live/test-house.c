/* SPDX-License-Identifier: MIT */
/*
 * test-house.c - a daemon starts, and finds files and objects: its own, lost ones, and others'
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/segments/house.h"
#include "daemon/segments/state.h"
#include "fixture.h"

static struct fixture fixture;

static void setup(void)
{
	fixture_init(&fixture);
}

static void teardown(void)
{
	fixture_deinit(&fixture);
}

/* ---- a second daemon ---- */

START_TEST(test_second_daemon_is_refused)
{
	char text[96];

	fixture_start(&fixture);
	snprintf(text, sizeof(text), "another mempoold (pid %d) has the state folder",
		 (int)fixture.pid);
	ck_assert_int_eq(fixture_run_daemon(&fixture), 1);
	ck_assert(fixture_log_has(&fixture, text));
	ck_assert(fixture_log_has(&fixture, fixture.folder));
	ck_assert_int_eq(fixture_run_remove(&fixture), 1);
	ck_assert(fixture_object_exists(&fixture, 1));
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_state_folder_that_others_may_write_is_refused)
{
	ck_assert_int_eq(chmod(fixture.folder, 01777), 0);
	ck_assert_int_eq(fixture_run_daemon(&fixture), 1);
	ck_assert(fixture_log_has(&fixture, "others may write to the state folder"));
	ck_assert(fixture_log_has(&fixture, "set state_dir"));
	ck_assert_uint_eq(fixture_count_objects(&fixture), 0);
}
END_TEST

/* The same user, the same segment, another state folder. */
static void start_other(struct fixture *other)
{
	char top[192];

	snprintf(top, sizeof(top), "state_dir: %s/other\n", fixture.folder);
	*other = fixture;
	other->pid = 0;
	snprintf(other->socket_path, sizeof(other->socket_path), "%s/other-sock", fixture.folder);
	snprintf(other->config_path, sizeof(other->config_path), "%s/other.yaml", fixture.folder);
	fixture_configure(other, top, NULL);
	fixture_start(other);
}

static void remove_other(const struct fixture *other)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/other/%s.1.state", fixture.folder, fixture.segment);
	unlink(path);
	snprintf(path, sizeof(path), "%s/other/mempoold.lock", fixture.folder);
	unlink(path);
	snprintf(path, sizeof(path), "%s/other", fixture.folder);
	ck_assert_int_eq(rmdir(path), 0);
	unlink(other->config_path);
}

START_TEST(test_two_daemons_of_one_segment_name_do_not_touch_each_other)
{
	struct mempool_msg_welcome first, second, again;
	struct fixture other;

	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &first));
	start_other(&other);
	close(wire_attach(&other, 1, &second));
	ck_assert_uint_ne(first.place.segment_id, second.place.segment_id);
	ck_assert_uint_eq(fixture_count_objects(&fixture), 2);
	fixture_stop(&fixture);
	/* The other one starts again, and --remove of the first runs, beside what is left. */
	fixture_kill(&other);
	fixture_start(&other);
	close(wire_attach(&other, 1, &again));
	ck_assert_mem_eq(&second, &again, sizeof(second));
	ck_assert_int_eq(fixture_run_remove(&fixture), 1);
	ck_assert(fixture_log_has(&fixture, "of another state folder, or another user"));
	ck_assert_uint_eq(fixture_count_objects(&fixture), 2);
	fixture_stop(&other);
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &again));
	ck_assert_mem_eq(&first, &again, sizeof(first));
	fixture_stop(&fixture);
	remove_other(&other);
}
END_TEST

/* ---- what is found ---- */

/* The house of the fixture's daemon, as in the name of its first object. */
static void get_house(char house[static HOUSE_ID_BYTES])
{
	char path[96], *end;

	fixture_object_path(&fixture, 1, path);
	end = strrchr(path, '.');
	ck_assert_ptr_nonnull(end);
	snprintf(house, HOUSE_ID_BYTES, "%.16s", end - 16);
}

/* An object that looks like one of ours. */
static int make_object(const struct fixture *of, const char *house, unsigned int n,
		       const void *bytes, size_t size)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/dev/shm/mempool-%s.%u.%s.%016x", of->segment, n, house, n);
	fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
	return fd;
}

/* Its daemon was killed between the name and the state file. */
START_TEST(test_object_without_state_is_removed)
{
	static const unsigned char zeroes[65536];
	char house[HOUSE_ID_BYTES];

	fixture_start(&fixture);
	get_house(house);
	fixture_stop(&fixture);
	close(make_object(&fixture, house, 7, NULL, 0));
	close(make_object(&fixture, house, 8, zeroes, 100));
	close(make_object(&fixture, house, 9, zeroes, sizeof(zeroes)));
	ck_assert_uint_eq(fixture_count_objects(&fixture), 4);
	fixture_start(&fixture);
	ck_assert_uint_eq(fixture_count_objects(&fixture), 1);
	ck_assert(fixture_log_has(&fixture, "it has no state file, and nobody is seen in it"));
	fixture_stop(&fixture);
}
END_TEST

/* Data, as a daemon has left it that was killed between the names, or before the state file. */
static void make_data(const struct fixture *of, const char *house, unsigned int n,
		      char ret_path[static 128])
{
	/* A user's message may look like a header. */
	const struct mempool_header header = { .magic = MEMPOOL_MAGIC, .state = MEMPOOL_SEGMENT_READY };
	int fd;

	snprintf(ret_path, 128, "/dev/shm/mempool-%s.%u.%s.%016x" MEMPOOL_SHM_DATA_SUFFIX,
		 of->segment, n, house, n);
	fd = open(ret_path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, &header, sizeof(header)), sizeof(header));
	ck_assert_int_eq(ftruncate(fd, 65536), 0);
	close(fd);
}

START_TEST(test_data_without_state_goes_with_its_control)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 2, .l_len = 1 };
	char house[HOUSE_ID_BYTES], alone[128], deserted[128], lived_in[128], locked[128];
	struct mempool_header header;
	int fd, data;

	fixture_start(&fixture);
	get_house(house);
	fixture_stop(&fixture);
	make_data(&fixture, house, 7, alone);
	make_data(&fixture, house, 8, deserted);
	close(make_object(&fixture, house, 8, "x", 1));
	/* Who lives there shows it at control. */
	make_data(&fixture, house, 9, lived_in);
	fd = make_object(&fixture, house, 9, "x", 1);
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	/* A member can have such a lock on data, too. */
	make_data(&fixture, house, 10, locked);
	data = open(locked, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(fcntl(data, F_OFD_SETLK, &lock), 0);
	fixture_start(&fixture);
	fixture_stop(&fixture);
	ck_assert_int_ne(access(alone, F_OK), 0);
	ck_assert_int_ne(access(deserted, F_OK), 0);
	ck_assert_int_eq(access(lived_in, F_OK), 0);
	/* And not a byte of it is changed. */
	ck_assert_int_eq(pread(data, &header, sizeof(header), 0), sizeof(header));
	ck_assert_uint_eq(header.state, MEMPOOL_SEGMENT_READY);
	close(data);
	close(fd);
	fixture_start(&fixture);
	ck_assert_int_ne(access(lived_in, F_OK), 0);
	ck_assert_int_ne(access(locked, F_OK), 0);
	ck_assert_uint_eq(fixture_count_objects(&fixture), 1);
	fixture_stop(&fixture);
}
END_TEST

/* One that another daemon of our house is about to name: it has the lock. */
START_TEST(test_data_of_another_daemon_is_left)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	char house[HOUSE_ID_BYTES], path[128];
	int fd;

	fixture_start(&fixture);
	get_house(house);
	fixture_stop(&fixture);
	make_data(&fixture, house, 7, path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	fixture_start(&fixture);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert(fixture_log_has(&fixture, "another mempoold with the same house has it"));
	fixture_stop(&fixture);
	close(fd);
	fixture_start(&fixture);
	ck_assert_int_ne(access(path, F_OK), 0);
	fixture_stop(&fixture);
}
END_TEST

/* Its segment has left the config, too: nobody opens that any more. */
START_TEST(test_object_without_state_of_a_segment_that_left_is_removed)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 2, .l_len = 1 };
	char house[HOUSE_ID_BYTES], path[96], link_path[128];
	struct mempool_msg_welcome first, again;
	struct fixture left = fixture;
	bool is_removal = _i;
	int fd;

	fixture_start(&fixture);
	wire_bye(wire_attach(&fixture, 1, &first));
	get_house(house);
	fixture_kill(&fixture);
	strcat(left.segment, "-left");
	close(make_object(&left, house, 7, "x", 1));
	/* Of another house. */
	close(make_object(&left, "0123456789abcdef", 8, "x", 1));
	/* Somebody is seen in it. */
	fd = make_object(&left, house, 9, "x", 1);
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	/* Such a name of a segment that is there: only the name goes. */
	fixture_object_path(&fixture, 1, path);
	snprintf(link_path, sizeof(link_path), "/dev/shm/mempool-%s.6.%s.%016x", left.segment,
		 house, 6);
	ck_assert_int_eq(link(path, link_path), 0);
	if (is_removal) {
		ck_assert_int_eq(fixture_run_remove(&fixture), 1);
		ck_assert(!fixture_object_exists(&fixture, 1));
	} else {
		fixture_start(&fixture);
		wire_bye(wire_attach(&fixture, 1, &again));
		ck_assert_uint_eq(first.place.segment_id, again.place.segment_id);
	}
	ck_assert(!fixture_object_exists(&left, 6));
	ck_assert(!fixture_object_exists(&left, 7));
	ck_assert(fixture_object_exists(&left, 8));
	ck_assert(fixture_object_exists(&left, 9));
	close(fd);
	if (!is_removal)
		fixture_stop(&fixture);
	ck_assert_int_eq(fixture_run_remove(&fixture), 0);
	ck_assert(fixture_object_exists(&left, 8));
	ck_assert(!fixture_object_exists(&left, 9));
	fixture_object_path(&left, 8, path);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

/* Another house's, another user's; a folder, a pipe, a link. */
START_TEST(test_object_that_is_not_ours_is_left)
{
	char house[HOUSE_ID_BYTES], path[128];
	struct mempool_msg_welcome welcome;
	int fd;

	if (skip_unless_root("an object of another user"))
		return;
	fixture_start(&fixture);
	get_house(house);
	fixture_stop(&fixture);
	close(make_object(&fixture, "0123456789abcdef", 2, "x", 1));
	fd = make_object(&fixture, house, 3, "x", 1);
	ck_assert_int_eq(fchown(fd, 12345, 12345), 0);
	close(fd);
	snprintf(path, sizeof(path), "/dev/shm/mempool-%s.4.%s.%016x", fixture.segment, house, 4);
	ck_assert_int_eq(mkdir(path, 0777), 0);
	snprintf(path, sizeof(path), "/dev/shm/mempool-%s.5.%s.%016x", fixture.segment, house, 5);
	ck_assert_int_eq(mkfifo(path, 0777), 0);
	snprintf(path, sizeof(path), "/dev/shm/mempool-%s.6.%s.%016x", fixture.segment, house, 6);
	ck_assert_int_eq(symlink("/etc/passwd", path), 0);
	/* What version 0.1 would have called its own. */
	snprintf(path, sizeof(path), "/dev/shm/mempool-%s.1", fixture.segment);
	ck_assert_int_eq(mkdir(path, 0777), 0);
	snprintf(path, sizeof(path), "/dev/shm/mempool-%s.0.lock", fixture.segment);
	ck_assert_int_eq(mkdir(path, 0777), 0);
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	ck_assert_uint_eq(welcome.place.generation, 1);
	ck_assert_uint_eq(fixture_count_objects(&fixture), 8);
	ck_assert(fixture_log_has(&fixture, "is left: another user's"));
	ck_assert(fixture_log_has(&fixture, "is left: not a regular file"));
	fixture_stop(&fixture);
}
END_TEST

/* A member made one more name for its object: that is removed, the object is adopted. */
START_TEST(test_hard_link_to_a_segment_is_removed)
{
	char house[HOUSE_ID_BYTES], path[96], other[128];
	struct mempool_msg_welcome first, again;

	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &first));
	get_house(house);
	fixture_kill(&fixture);
	fixture_object_path(&fixture, 1, path);
	snprintf(other, sizeof(other), "/dev/shm/mempool-%s.2.%s.%016x", fixture.segment, house, 2);
	ck_assert_int_eq(link(path, other), 0);
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &again));
	ck_assert_mem_eq(&first, &again, sizeof(first));
	ck_assert_int_ne(access(other, F_OK), 0);
	ck_assert_uint_eq(fixture_count_objects(&fixture), 1);
	fixture_stop(&fixture);
}
END_TEST

/* One more name, and whatever a member writes of who lives there: --remove removes all of it. */
START_TEST(test_remove_believes_nothing_of_the_object)
{
	char house[HOUSE_ID_BYTES], path[96], other[128];
	struct segment *segment;
	struct victim victim;
	uint32_t id;

	fixture_start(&fixture);
	victim_start(&victim, &fixture, 10);
	segment = wire_map(&victim.welcome);
	get_house(house);
	fixture_kill(&fixture);
	fixture_object_path(&fixture, 1, path);
	snprintf(other, sizeof(other), "/dev/shm/mempool-%s.2.%s.%016x", fixture.segment, house, 2);
	ck_assert_int_eq(link(path, other), 0);
	for (id = 0; id < segment->n_holders; id++)
		memset((void *)&segment->holders[id], 0xff, sizeof(segment->holders[id]));
	memset(segment->memory.base, 0xff, sizeof(struct mempool_header));
	/* Who lives is seen all the same. */
	ck_assert_int_eq(fixture_run_remove(&fixture), 1);
	ck_assert(fixture_object_exists(&fixture, 1));
	victim_kill(&victim);
	ck_assert_int_eq(fixture_run_remove(&fixture), 0);
	ck_assert_uint_eq(fixture_count_objects(&fixture), 0);
	segment_free(segment);
}
END_TEST

/* ---- states that are lost ---- */

static void damage_state(void)
{
	char path[192];
	int fd;

	fixture_state_path(&fixture, 1, path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, "junk", 4, 0), 4);
	close(fd);
}

static void delete_state(void)
{
	char path[192];

	fixture_state_path(&fixture, 1, path);
	ck_assert_int_eq(unlink(path), 0);
}

static void be_of_another_version(void)
{
	const uint32_t version = 77;
	char path[192];
	int fd;

	fixture_state_path(&fixture, 1, path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, &version, sizeof(version), 8), sizeof(version));
	close(fd);
}

/*
 * The state is lost while somebody lives in the segment, and shows it: nothing is removed or
 * reaped under it, and it is told that its segment leads nowhere.
 */
START_TEST(test_state_lost_under_a_living_client_leaves_its_segment)
{
	static void (*const losses[])(void) = { delete_state, damage_state, be_of_another_version };
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 1 };
	struct mempool_msg_welcome welcome, newer;
	struct segment *segment;
	char path[96];
	int fd;

	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	segment = wire_map(&welcome);
	ck_assert_int_eq(pool_claim(&segment->pools[0], 3, welcome.holder), 0);
	fixture_object_path(&fixture, 1, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	lock.l_start = welcome.holder;
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	fixture_kill(&fixture);
	losses[_i]();
	fixture_start(&fixture);
	ck_assert_uint_eq(segment_state(segment), MEMPOOL_SEGMENT_RETIRED);
	close(wire_attach(&fixture, 2, &newer));
	ck_assert_uint_ne(newer.place.segment_id, welcome.place.segment_id);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_uint_eq(pool_count_used(&segment->pools[0]), 1);
	fixture_stop(&fixture);
	/* Nobody is seen in it any more. */
	close(fd);
	fixture_start(&fixture);
	if (losses[_i] == be_of_another_version)
		ck_assert_int_eq(access(path, F_OK), 0);
	else
		ck_assert_int_ne(access(path, F_OK), 0);
	/* A mapping lives on. */
	ck_assert_uint_eq(pool_count_used(&segment->pools[0]), 1);
	segment_free(segment);
	fixture_stop(&fixture);
}
END_TEST

static void have_another_shm(void *userdata)
{
	(void)userdata;
	if (fixture_own_mounts(0) < 0 || mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=16M") < 0)
		_exit(77);
}

/* Started once by mistake in a container without the machine's /dev/shm. */
START_TEST(test_state_of_another_shm_is_left)
{
	struct mempool_msg_welcome welcome, again;
	struct segment *segment;

	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	segment = wire_map(&welcome);
	ck_assert_int_eq(pool_claim(&segment->pools[0], 3, welcome.holder), 0);
	fixture_kill(&fixture);
	fixture.in_child = have_another_shm;
	fixture_start(&fixture);
	ck_assert(fixture_log_has(&fixture, "has not the /dev/shm of the one before it; it is left"));
	fixture_kill(&fixture);
	fixture.in_child = NULL;
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &again));
	ck_assert_uint_eq(again.place.segment_id, welcome.place.segment_id);
	ck_assert_uint_eq(again.holder, welcome.holder);
	ck_assert_uint_eq(pool_count_used(&segment->pools[0]), 1);
	segment_free(segment);
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
	ck_assert_int_eq(fixture_run_remove(&fixture), 1);
	ck_assert(fixture_log_has(&fixture, "left: 1 clients are in it, or"));
	ck_assert(fixture_object_exists(&fixture, 1));
	victim_kill(&victim);
	ck_assert_int_eq(fixture_run_remove(&fixture), 0);
	ck_assert(fixture_log_has(&fixture, "removed mempool-"));
	ck_assert(!fixture_object_exists(&fixture, 1));
	ck_assert_int_eq(fixture_run_remove(&fixture), 0);
	ck_assert(fixture_log_has(&fixture, "there is none"));
}
END_TEST

/* A /dev/shm of 1 MiB for this test alone, and no page left in it. */
static void fill_own_shm(const char *path)
{
	char zeros[4096] = { 0 };
	int fd = open(path, O_RDWR | O_CLOEXEC);

	ck_assert_int_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
	close(fd);
	fd = open("/dev/shm/full", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
	ck_assert_int_eq(errno, ENOSPC);
	close(fd);
}

/* The header of what is left has no page, and there is none for it: looking at it is a SIGBUS. */
START_TEST(test_remove_of_a_header_without_memory)
{
	char path[96];

	ck_assert_int_eq(fixture_own_mounts(0), 0);
	ck_assert_int_eq(mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=1M"), 0);
	fixture_start(&fixture);
	fixture_object_path(&fixture, 1, path);
	fixture_stop(&fixture);
	delete_state();
	fill_own_shm(path);
	ck_assert_int_eq(fixture_run_remove(&fixture), 0);
	ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("house");
	TCase *tcase = tcase_create("house");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_second_daemon_is_refused);
	tcase_add_test(tcase, test_state_folder_that_others_may_write_is_refused);
	tcase_add_test(tcase, test_two_daemons_of_one_segment_name_do_not_touch_each_other);
	tcase_add_test(tcase, test_object_without_state_is_removed);
	tcase_add_test(tcase, test_data_without_state_goes_with_its_control);
	tcase_add_test(tcase, test_data_of_another_daemon_is_left);
	tcase_add_loop_test(tcase, test_object_without_state_of_a_segment_that_left_is_removed, 0,
			    2);
	tcase_add_test(tcase, test_object_that_is_not_ours_is_left);
	tcase_add_test(tcase, test_hard_link_to_a_segment_is_removed);
	tcase_add_test(tcase, test_remove_believes_nothing_of_the_object);
	tcase_add_loop_test(tcase, test_state_lost_under_a_living_client_leaves_its_segment, 0, 3);
	tcase_add_test(tcase, test_state_of_another_shm_is_left);
	tcase_add_test(tcase, test_remove_takes_what_nobody_lives_in);
	if (!skip_unless_root("a /dev/shm of its own"))
		tcase_add_test(tcase, test_remove_of_a_header_without_memory);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
