/* SPDX-License-Identifier: MIT */
/*
 * test-memfd_kill.c - the daemon of a service manager, killed before every system call of start,
 *		       adoption, and a reload that makes memfds or removes them
 *
 * As test-daemon_kill.c, with memory that the manager keeps (manager.h). After the next start the
 * manager must have what belongs to one generation, and nothing else: no memory is lost, and none is
 * kept for ever.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "manager.h"
#include "shm/holder.h"
#include "traced.h"

#define MAX_CALLS 5000
#define SECOND_MS 1000

static const char of_memfd[] = "    backing: memfd\n"
			       "    pools: [ { chunk_size: 128, chunk_count: 100 } ]\n";
static const char of_shm[] = "    pools: [ { chunk_size: 128, chunk_count: 100 } ]\n";

static struct fixture fixture;
static struct manager manager;
static void (*pass_kept)(void *userdata);

static void setup(void)
{
	fixture_init(&fixture);
	fixture_configure(&fixture, "", of_memfd);
	manager_start(&manager, &fixture);
	pass_kept = fixture.in_child;
}

static void teardown(void)
{
	if (fixture.pid)
		fixture_kill(&fixture);
	manager_stop(&manager);
	fixture_deinit(&fixture);
}

static void ask_with_kept(void *userdata)
{
	traced_ask(userdata);
	pass_kept(userdata);
}

/* The next one, as systemd has it: it has read all that the killed one has sent. */
static void start_next(void)
{
	manager_settle(&manager);
	manager_use(&manager);
	manager_start_daemon(&manager);
}

static void kill_it(void)
{
	fixture_kill(&fixture);
	manager_settle(&manager);
}

/* ---- what must be there ---- */

/* Return: of how many generations there are state files. unlinks: and remove them. */
static unsigned int count_state_files(bool unlinks)
{
	DIR *folder = opendir(fixture.folder);
	struct dirent *entry;
	unsigned int n = 0;

	ck_assert_ptr_nonnull(folder);
	while ((entry = readdir(folder))) {
		if (!strstr(entry->d_name, ".state"))
			continue;
		n++;
		if (unlinks)
			unlinkat(dirfd(folder), entry->d_name, 0);
	}
	closedir(folder);
	return n;
}

/* As if there had never been a daemon. */
static void begin_anew(void)
{
	manager_drop_all(&manager);
	count_state_files(true);
}

/* One of memfds: both, their state file, and where that is. */
static void check_one_of_memfd(unsigned int k)
{
	ck_assert_msg(count_state_files(false) == 1, "killed before call %u: %u state files", k,
		      count_state_files(false));
	ck_assert_msg(manager_count(&manager) == 3, "killed before call %u: %d are kept", k,
		      manager_count(&manager));
	ck_assert_uint_eq(fixture_count_objects(&fixture), 0);
}

static bool keeps_nothing(void *userdata)
{
	(void)userdata;
	return manager_count(&manager) == 0;
}

static void check_one_of_shm(unsigned int k)
{
	ck_assert_msg(count_state_files(false) == 1, "killed before call %u: %u state files", k,
		      count_state_files(false));
	ck_assert_uint_eq(fixture_count_objects(&fixture), 1);
	wait_until(keeps_nothing, NULL, SECOND_MS);
}

/* ---- start ---- */

static bool always(void)
{
	return true;
}

/* Until it makes the first file that is to be kept, nothing is to be lost. */
static bool kill_start_before(unsigned int k)
{
	traced_spawn(&fixture, ask_with_kept);
	while (traced_next_call(&fixture) != SYS_memfd_create)
		;
	return traced_kill_before(&fixture, k, always);
}

START_TEST(test_start_killed_before_every_call_leaves_nothing)
{
	struct mempool_msg_welcome welcome;
	unsigned int k, n_without_state = 0;

	for (k = 0; kill_start_before(k); k++) {
		manager_settle(&manager);
		n_without_state += manager_count(&manager) == 3 && count_state_files(false) == 0;
		start_next();
		check_one_of_memfd(k);
		wire_bye(wire_attach(&fixture, 1, &welcome));
		kill_it();
		begin_anew();
		ck_assert_uint_lt(k, MAX_CALLS);
	}
	printf("%-8s killed before %4u calls, %u with memory without a state\n", "start", k,
	       n_without_state);
	ck_assert_uint_gt(k, 50);
	ck_assert_uint_gt(n_without_state, 5);
}
END_TEST

/* ---- adoption ---- */

/* Before it has the lock of its state folder it touches nothing. */
static bool kill_adoption_before(unsigned int k)
{
	traced_spawn(&fixture, ask_with_kept);
	while (traced_next_call(&fixture) != SYS_flock)
		;
	return traced_kill_before(&fixture, k, always);
}

/* A client of the wire lives for as long as the test does. */
START_TEST(test_adoption_killed_before_every_call_keeps_the_living)
{
	struct mempool_msg_welcome first, again;
	unsigned int k;

	manager_start_daemon(&manager);
	close(wire_attach(&fixture, 1, &first));
	kill_it();
	for (k = 0; kill_adoption_before(k); k++) {
		start_next();
		check_one_of_memfd(k);
		close(wire_attach(&fixture, 1, &again));
		ck_assert_mem_eq(&first, &again, sizeof(first));
		kill_it();
		ck_assert_uint_lt(k, MAX_CALLS);
	}
	printf("%-8s killed before %4u calls\n", "adoption", k);
	ck_assert_uint_gt(k, 50);
}
END_TEST

/* ---- a reload that makes, or removes ---- */

static int client_fd;
static bool (*is_there)(void);

static bool has_answer(void)
{
	struct pollfd poll_fd = { .fd = client_fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) > 0 && is_there();
}

static bool kill_reload_before(unsigned int k, const char *before, const char *after)
{
	struct mempool_msg_reload reload = { .msg = wire_msg(MEMPOOL_MSG_RELOAD, sizeof(reload)) };
	bool is_in;

	begin_anew();
	fixture_configure(&fixture, "", before);
	traced_start(&fixture, ask_with_kept);
	fixture_configure(&fixture, "", after);
	client_fd = wire_connect(&fixture);
	wire_send(client_fd, &reload, sizeof(reload));
	is_in = traced_kill_any_before(&fixture, k, has_answer);
	close(client_fd);
	return is_in;
}

static void remove_objects(void)
{
	fixture.in_child = NULL;
	ck_assert_int_eq(fixture_run_remove(&fixture), 0);
	ck_assert_uint_eq(fixture_count_objects(&fixture), 0);
}

static bool has_one_state_file(void)
{
	return count_state_files(false) == 1;
}

START_TEST(test_reload_to_memfd_killed_before_every_call_leaves_one)
{
	bool is_in = true;
	unsigned int k;

	is_there = has_one_state_file;
	for (k = 1; is_in; k++) {
		is_in = kill_reload_before(k, of_shm, of_memfd);
		start_next();
		check_one_of_memfd(k);
		kill_it();
		ck_assert_uint_lt(k, MAX_CALLS);
	}
	printf("%-8s killed before %4u calls, to memfds\n", "reload", k - 1);
	ck_assert_uint_gt(k, 50);
}
END_TEST

START_TEST(test_reload_from_memfd_killed_before_every_call_keeps_nothing)
{
	bool is_in = true;
	unsigned int k;

	is_there = has_one_state_file;
	for (k = 1; is_in; k++) {
		is_in = kill_reload_before(k, of_memfd, of_shm);
		start_next();
		check_one_of_shm(k);
		kill_it();
		remove_objects();
		ck_assert_uint_lt(k, MAX_CALLS);
	}
	printf("%-8s killed before %4u calls, from memfds\n", "reload", k - 1);
	ck_assert_uint_gt(k, 50);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memfd_kill");
	TCase *tcase = tcase_create("memfd_kill");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, test_start_killed_before_every_call_leaves_nothing);
	tcase_add_test(tcase, test_adoption_killed_before_every_call_keeps_the_living);
	tcase_add_test(tcase, test_reload_to_memfd_killed_before_every_call_leaves_one);
	tcase_add_test(tcase, test_reload_from_memfd_killed_before_every_call_keeps_nothing);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
