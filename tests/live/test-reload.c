/* SPDX-License-Identifier: MIT */
/*
 * test-reload.c - the daemon reads its config again: all of it is put in force, or nothing
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "support/control.h"

#define SECOND_MS 1000

static struct fixture fixture;
static struct mempool_msg_reloaded reloaded;

static const char new_pools[] = "    pools: [ { chunk_size: 256, chunk_count: 50 } ]\n";

static void setup(void)
{
	fixture_init(&fixture);
}

static void teardown(void)
{
	if (fixture.pid)
		fixture_stop(&fixture);
	fixture_deinit(&fixture);
}

static void reload(void)
{
	wire_reload(&fixture, &reloaded);
	ck_assert_msg(reloaded.error == 0, "%s", reloaded.text);
}

/* Nothing has changed, and the text is why. */
static void fail_to_reload(const char *text)
{
	wire_reload(&fixture, &reloaded);
	ck_assert_int_lt(reloaded.error, 0);
	ck_assert_msg(strstr(reloaded.text, text), "'%s' has no '%s'", reloaded.text, text);
	ck_assert(fixture_log_has(&fixture, text));
}

/* Of the segment that new clients get. */
static uint64_t current_generation(void)
{
	struct mempool_msg_welcome welcome;

	wire_bye(wire_attach(&fixture, 77, &welcome));
	return welcome.place.generation;
}

static bool is_gone(void *userdata)
{
	return !fixture_object_exists(&fixture, *(const uint64_t *)userdata);
}

/* ---- a file that will not do ---- */

START_TEST(test_reload_bad_file_changes_nothing)
{
	fixture_start(&fixture);
	fixture_configure(&fixture, "limits: { clients: 1 }\nno_such_key: 1\n", new_pools);
	fail_to_reload("mempool.yaml:3:1: unknown key 'no_such_key'");
	ck_assert_int_eq(reloaded.error, -EINVAL);
	ck_assert(fixture_log_has(&fixture, "the reload has failed: nothing was changed"));
	ck_assert_uint_eq(current_generation(), 1);
	ck_assert_uint_eq(fixture_count_objects(&fixture), 1);

	ck_assert_int_eq(unlink(fixture.config_path), 0);
	fail_to_reload("mempool.yaml: cannot be read: No such file or directory");

	/* And the next one is not held up by it. */
	fixture_configure(&fixture, "", new_pools);
	reload();
	ck_assert_uint_eq(current_generation(), 2);
}
END_TEST

START_TEST(test_reload_tells_the_service_manager)
{
	int fd = fixture_listen(&fixture);

	fixture_start(&fixture);
	fixture_expect_notification(fd, "READY=1");
	fixture_configure(&fixture, "no_such_key: 1\n", NULL);
	kill(fixture.pid, SIGHUP);
	fixture_expect_notification(fd, "RELOADING=1\nMONOTONIC_USEC=");
	fixture_expect_notification(fd, "READY=1");
	fixture_expect_notification(fd, "STATUS=0 clients in 1 segment; the last reload failed: "
				    "/tmp/");
	fixture_configure(&fixture, "", new_pools);
	kill(fixture.pid, SIGHUP);
	fixture_expect_notification(fd, "RELOADING=1\nMONOTONIC_USEC=");
	fixture_expect_notification(fd, "READY=1");
	fixture_expect_notification(fd, "STATUS=0 clients in 1 segment");
	ck_assert_uint_eq(current_generation(), 2);
	close(fd);
}
END_TEST

START_TEST(test_reload_is_for_administrators)
{
	struct mempool_msg_reload message = {
		.msg = wire_msg(MEMPOOL_MSG_RELOAD, sizeof(message)),
	};
	int fd, i;

	if (skip_unless_root("another user is needed"))
		return;
	fixture_start(&fixture);
	for (i = 0; i < 2; i++) {
		/* The connection is the kernel's word: made while we are that user. */
		ck_assert_int_eq(seteuid(54321), 0);
		fd = wire_connect(&fixture);
		ck_assert_int_eq(seteuid(0), 0);
		wire_send(fd, &message, sizeof(message));
		if (i == 0) {
			wire_expect_refused(fd, -EACCES, "may not administer");
			fixture_configure(&fixture, "admin: { users: [54321] }\n", NULL);
			reload();
		} else {
			wire_expect_reloaded(fd, &reloaded);
			ck_assert_int_eq(reloaded.error, 0);
		}
		close(fd);
	}
}
END_TEST

/* ---- in place ---- */

static void hello_as(uid_t uid, int error, const char *text)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, 5);
	struct mempool_msg_welcome welcome;
	int fd;

	ck_assert_int_eq(seteuid(uid), 0);
	fd = wire_connect(&fixture);
	ck_assert_int_eq(seteuid(0), 0);
	wire_send(fd, &hello, sizeof(hello));
	if (error) {
		wire_expect_refused(fd, error, text);
		close(fd);
	} else {
		wire_expect_welcome(fd, &welcome);
		wire_bye(fd);
	}
}

START_TEST(test_reload_limits_and_log_level_in_place)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, 3);
	struct mempool_msg_welcome welcome;
	int first, second, third;

	fixture_start(&fixture);
	first = wire_attach(&fixture, 1, &welcome);
	second = wire_attach(&fixture, 2, &welcome);
	/* One for the reload itself. Who is there stays. */
	fixture_configure(&fixture, "limits: { clients_per_user: 3 }\nlog_level: warning\n", NULL);
	reload();
	ck_assert_uint_eq(reloaded.n_segments, 1);
	ck_assert_uint_eq(reloaded.n_relaid + reloaded.n_added + reloaded.n_removed, 0);
	close(wire_attach(&fixture, 3, &welcome));
	third = wire_connect(&fixture);
	hello.nonce = 4;
	wire_send(third, &hello, sizeof(hello));
	wire_expect_refused(third, -EDQUOT, "the limit of one user");
	close(third);
	/* Below warning nothing is logged now: the third's coming was not. */
	ck_assert(fixture_log_has(&fixture, "as member, holder 3"));
	ck_assert(!fixture_log_has(&fixture, "holder 4"));

	ck_assert_uint_eq(welcome.place.generation, 1);
	close(first);
	close(second);
}
END_TEST

START_TEST(test_reload_access_in_place)
{
	struct stat st;
	char path[96];

	if (skip_unless_root("other users are needed"))
		return;
	fixture_start(&fixture);
	fixture_object_path(&fixture, 1, path);
	hello_as(4321, 0, NULL);
	fixture_configure(&fixture, "",
			  "    allow: { users: [4323] }\n"
			  "    pools:\n"
			  "      - { chunk_size: 128, chunk_count: 1000 }\n"
			  "      - { chunk_size: 1024, chunk_count: 100 }\n"
			  "      - { chunk_size: 4096, chunk_count: 10 }\n");
	reload();
	ck_assert_uint_eq(reloaded.n_relaid, 0);
	hello_as(4321, -ENOENT, "may not attach");
	hello_as(4323, 0, NULL);
	ck_assert_int_eq(stat(path, &st), 0);
	/* The object is the daemon's alone, whoever may have it. */
	ck_assert_uint_eq(st.st_uid, geteuid());
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(test_reload_socket_mode_in_place_its_path_not)
{
	struct stat st;
	FILE *file;

	fixture_start(&fixture);
	file = fopen(fixture.config_path, "we");
	ck_assert_ptr_nonnull(file);
	fprintf(file, "socket: { path: %s.new, mode: \"0600\" }\n"
		"segments:\n  - name: %s\n%s", fixture.socket_path,
		fixture.segment, fixture_pools);
	fclose(file);
	reload();
	ck_assert_ptr_nonnull(strstr(reloaded.text, "until mempoold is restarted"));
	ck_assert_int_eq(stat(fixture.socket_path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_uint_eq(current_generation(), 1);
}
END_TEST

/* ---- segments come and go ---- */

static void configure_other(const char *layout)
{
	FILE *file = fopen(fixture.config_path, "ae");

	/* Its objects begin as ours do, so that the fixture removes them. */
	ck_assert_ptr_nonnull(file);
	fprintf(file, "  - name: %s-b\n%s", fixture.segment, layout);
	fclose(file);
}

static struct mempool_msg_hello hello_to_other(uint64_t nonce)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, nonce);

	strcat(hello.segment, "-b");
	return hello;
}

/* What the second segment has: objects in /dev/shm, or state files. */
static unsigned int find_other(const char *folder, const char *prefix, bool with_removal)
{
	char pattern[160];
	glob_t found;
	unsigned int n;

	snprintf(pattern, sizeof(pattern), "%s/%s%s-b.*", folder, prefix, fixture.segment);
	n = glob(pattern, 0, NULL, &found) == 0 ? (unsigned int)found.gl_pathc : 0;
	for (size_t i = 0; i < n && with_removal; i++)
		remove(found.gl_pathv[i]);
	globfree(&found);
	return n;
}

static void remove_other(void)
{
	find_other("/dev/shm", "mempool-", true);
}

static bool has_no_other(void *userdata)
{
	(void)userdata;
	return find_other("/dev/shm", "mempool-", false) == 0 &&
	       find_other(fixture.folder, "", false) == 0;
}

START_TEST(test_reload_adds_and_removes_segments)
{
	struct mempool_msg_hello hello = hello_to_other(1);
	struct mempool_msg_welcome welcome, again;
	struct segment *segment;
	int fd, other;

	fixture_start(&fixture);
	configure_other(new_pools);
	reload();
	ck_assert_uint_eq(reloaded.n_segments, 2);
	ck_assert_uint_eq(reloaded.n_added, 1);
	ck_assert_uint_eq(reloaded.n_relaid, 0);
	fd = wire_connect(&fixture);
	wire_send(fd, &hello, sizeof(hello));
	wire_expect_welcome(fd, &welcome);
	segment = wire_map(&welcome);
	ck_assert_int_eq(pool_claim(&segment->pools[0], 7, welcome.holder), 0);

	/* It goes from the config: nobody new comes to it, who is there stays. */
	fixture_configure(&fixture, "", NULL);
	reload();
	ck_assert_uint_eq(reloaded.n_removed, 1);
	ck_assert_uint_eq(segment_state(segment), MEMPOOL_SEGMENT_RETIRED);
	other = wire_connect(&fixture);
	hello.nonce = 2;
	wire_send(other, &hello, sizeof(hello));
	wire_expect_refused(other, -ENOENT, "there is no segment");
	close(other);
	/* And may come back to it, over another connection. */
	other = wire_connect(&fixture);
	hello.nonce = 1;
	hello.segment_id = welcome.place.segment_id;
	wire_send(other, &hello, sizeof(hello));
	wire_expect_welcome(other, &again);
	ck_assert_mem_eq(&welcome, &again, sizeof(welcome));
	close(fd);

	/* It comes again while the old one is there: a new generation. */
	configure_other(new_pools);
	reload();
	ck_assert_uint_eq(reloaded.n_added, 1);
	hello = hello_to_other(3);
	fd = wire_connect(&fixture);
	wire_send(fd, &hello, sizeof(hello));
	wire_expect_welcome(fd, &again);
	ck_assert_uint_eq(again.place.generation, 2);
	wire_bye(fd);

	/* Gone for good: with its last client, and its state. */
	fixture_configure(&fixture, "", NULL);
	reload();
	ck_assert(!has_no_other(NULL));
	wire_bye(other);
	wait_until(has_no_other, NULL, SECOND_MS);
	segment_free(segment);
	ck_assert_uint_eq(current_generation(), 1);
}
END_TEST

START_TEST(test_reload_brings_back_a_segment_that_was_left)
{
	struct mempool_msg_hello hello = hello_to_other(1);
	struct mempool_msg_welcome welcome, again;
	int fd;

	configure_other(new_pools);
	fixture_start(&fixture);
	fd = wire_connect(&fixture);
	wire_send(fd, &hello, sizeof(hello));
	wire_expect_welcome(fd, &welcome);
	fixture_stop(&fixture);
	close(fd);
	fixture_configure(&fixture, "", NULL);
	fixture_start(&fixture);

	configure_other(new_pools);
	reload();
	fd = wire_connect(&fixture);
	hello.segment_id = welcome.place.segment_id;
	wire_send(fd, &hello, sizeof(hello));
	wire_expect_welcome(fd, &again);
	ck_assert_mem_eq(&welcome, &again, sizeof(welcome));
	wire_bye(fd);
	fixture_stop(&fixture);
	remove_other();
}
END_TEST

static bool can_attach_to_other(void *userdata)
{
	struct mempool_msg_hello hello = hello_to_other(1);
	union wire_answer answer;
	int fd = wire_connect(&fixture);

	(void)userdata;
	wire_send(fd, &hello, sizeof(hello));
	ck_assert_int_gt(wire_receive(fd, &answer), 0);
	close(fd);
	return answer.msg.type == MEMPOOL_MSG_WELCOME;
}

/* What it finds of a new segment cannot be read now: the rest is in force all the same. */
START_TEST(test_reload_with_a_segment_that_cannot_be_adopted)
{
	struct mempool_msg_hello hello = hello_to_other(1);
	struct mempool_msg_welcome welcome;
	char path[160];
	int fd;

	fixture_start(&fixture);
	snprintf(path, sizeof(path), "%s/%s-b.1.state", fixture.folder, fixture.segment);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	fixture_configure(&fixture, "", new_pools);
	configure_other(new_pools);
	reload();
	ck_assert_ptr_nonnull(strstr(reloaded.text, "is not served: cannot adopt"));
	ck_assert_uint_eq(reloaded.n_relaid, 1);
	ck_assert_uint_eq(reloaded.n_added, 1);
	ck_assert_uint_eq(current_generation(), 2);
	fd = wire_connect(&fixture);
	wire_send(fd, &hello, sizeof(hello));
	wire_expect_refused(fd, -EAGAIN, "is not served now: cannot adopt");
	close(fd);
	/* It is tried again, and so it is when it has left the config. */
	ck_assert_int_eq(rmdir(path), 0);
	wait_until(can_attach_to_other, NULL, 30 * SECOND_MS);
	fd = wire_connect(&fixture);
	wire_send(fd, &hello, sizeof(hello));
	wire_expect_welcome(fd, &welcome);
	ck_assert_uint_eq(welcome.place.generation, 2);
	wire_bye(fd);
}
END_TEST

static bool has_one_object(void *userdata)
{
	(void)userdata;
	return fixture_count_objects(&fixture) == 1;
}

/* By a cleaner, or logind: nobody has come since, and the reload sees it. Control, or data. */
START_TEST(test_reload_makes_anew_what_has_lost_its_name)
{
	struct mempool_msg_welcome welcome;
	char path[96];
	int fd;

	fixture_start(&fixture);
	fd = wire_attach(&fixture, 1, &welcome);
	if (_i)
		fixture_data_path(&fixture, 1, path);
	else
		fixture_object_path(&fixture, 1, path);
	ck_assert_int_eq(unlink(path), 0);
	reload();
	ck_assert_ptr_nonnull(strstr(reloaded.text, "was lost, and has been made anew"));
	ck_assert_uint_eq(reloaded.n_relaid, 0);
	ck_assert_uint_eq(current_generation(), 2);
	/* The other object stays for as long as somebody is in it. */
	ck_assert_uint_eq(fixture_count_objects(&fixture), 2);
	wire_bye(fd);
	wait_until(has_one_object, NULL, 5 * SECOND_MS);
}
END_TEST

/*
 * A segment has left the config, a reload is to bring it back, and its last client leaves while
 * that is taking memory. Return: the thread that takes it, held; *ret_asker: who waits for the
 * reload.
 */
static pid_t lose_last_client_in_a_reload(int *ret_asker)
{
	struct mempool_msg_reload message = {
		.msg = wire_msg(MEMPOOL_MSG_RELOAD, sizeof(message)),
	};
	struct mempool_msg_hello hello = hello_to_other(1);
	struct mempool_msg_welcome welcome;
	pid_t thread;
	int client;

	configure_other(new_pools);
	fixture_start(&fixture);
	client = wire_connect(&fixture);
	wire_send(client, &hello, sizeof(hello));
	wire_expect_welcome(client, &welcome);
	fixture_configure(&fixture, "", NULL);
	reload();

	configure_other(new_pools);
	fixture_watch_threads(&fixture);
	*ret_asker = wire_connect(&fixture);
	wire_send(*ret_asker, &message, sizeof(message));
	/* One thread reads the config, the next one makes the segment. */
	fixture_let_go(fixture_hold_thread(&fixture));
	thread = fixture_hold_thread(&fixture);
	fixture_unwatch_threads(&fixture);
	wire_bye(client);
	wait_until(has_no_other, NULL, 30 * SECOND_MS);
	return thread;
}

START_TEST(test_reload_brings_back_a_segment_whose_last_client_leaves)
{
	struct mempool_msg_hello hello = hello_to_other(2);
	struct mempool_msg_welcome welcome;
	int client, asker;

	fixture_let_go(lose_last_client_in_a_reload(&asker));
	wire_expect_reloaded(asker, &reloaded);
	close(asker);
	ck_assert_msg(reloaded.error == 0, "%s", reloaded.text);
	ck_assert_uint_eq(reloaded.n_added, 1);
	client = wire_connect(&fixture);
	wire_send(client, &hello, sizeof(hello));
	wire_expect_welcome(client, &welcome);
	ck_assert_uint_eq(welcome.place.generation, 2);
	wire_bye(client);
	fixture_stop(&fixture);
	remove_other();
}
END_TEST

START_TEST(test_reload_that_fails_lets_go_of_a_segment_that_is_over)
{
	char path[160];
	pid_t thread;
	int asker;

	thread = lose_last_client_in_a_reload(&asker);
	ck_assert(!fixture_log_has(&fixture, "it is no longer in the config"));
	snprintf(path, sizeof(path), "%s/%s-b.2.state.new", fixture.folder, fixture.segment);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	fixture_let_go(thread);
	wire_expect_reloaded(asker, &reloaded);
	close(asker);
	ck_assert_int_lt(reloaded.error, 0);
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert(fixture_log_has(&fixture, "it is no longer in the config"));
	ck_assert(has_no_other(NULL));
}
END_TEST

/*
 * A segment that has left the config is over, and a thread gives its memory back. A reload that
 * brings back its name waits for that: else the memory were there twice.
 */
START_TEST(test_reload_brings_back_a_segment_whose_memory_is_given_back)
{
	struct mempool_msg_reload message = {
		.msg = wire_msg(MEMPOOL_MSG_RELOAD, sizeof(message)),
	};
	struct mempool_msg_hello hello = hello_to_other(1);
	struct mempool_msg_welcome welcome, again;
	struct pollfd poll_fd = { .events = POLLIN };
	struct segment *segment;
	pid_t thread;
	int client;

	configure_other(new_pools);
	fixture_start(&fixture);
	client = wire_connect(&fixture);
	wire_send(client, &hello, sizeof(hello));
	wire_expect_welcome(client, &welcome);
	fixture_configure(&fixture, "", NULL);
	reload();

	fixture_watch_threads(&fixture);
	wire_bye(client);
	thread = fixture_hold_thread(&fixture);
	fixture_unwatch_threads(&fixture);
	/* Nobody can come to it any more. */
	ck_assert(has_no_other(NULL));

	configure_other(new_pools);
	poll_fd.fd = wire_connect(&fixture);
	wire_send(poll_fd.fd, &message, sizeof(message));
	ck_assert_int_eq(poll(&poll_fd, 1, 300), 0);
	fixture_let_go(thread);
	wire_expect_reloaded(poll_fd.fd, &reloaded);
	ck_assert_msg(reloaded.error == 0, "%s", reloaded.text);
	close(poll_fd.fd);

	client = wire_connect(&fixture);
	wire_send(client, &hello, sizeof(hello));
	wire_expect_welcome(client, &again);
	ck_assert_uint_ne(again.place.segment_id, welcome.place.segment_id);
	segment = wire_map(&again);
	segment_free(segment);
	wire_bye(client);
	fixture_stop(&fixture);
	remove_other();
}
END_TEST

/* ---- no room ---- */

static uint64_t free_bytes(void)
{
	struct statvfs fs;

	ck_assert_int_eq(statvfs("/dev/shm", &fs), 0);
	return fs.f_bavail * fs.f_frsize;
}

START_TEST(test_reload_without_room_for_both_changes_nothing)
{
	struct mempool_msg_welcome welcome;
	char layout[256];
	uint64_t n;
	int fd;

	fixture_start(&fixture);
	fd = wire_attach(&fixture, 1, &welcome);
	n = free_bytes() / (1 << 20) + 100;
	/* The first one would fit, and the access would change. */
	fixture_configure(&fixture, "limits: { clients_per_user: 1 }\n", new_pools);
	snprintf(layout, sizeof(layout),
		 "    pools: [ { chunk_size: 1MiB, chunk_count: %llu } ]\n",
		 (unsigned long long)n);
	configure_other(layout);
	fail_to_reload("no room in /dev/shm: it needs");
	ck_assert_int_eq(reloaded.error, -ENOSPC);
	ck_assert_ptr_nonnull(strstr(reloaded.text, "MiB missing"));

	ck_assert_uint_eq(fixture_count_objects(&fixture), 1);
	ck_assert_uint_eq(current_generation(), 1);
	wire_bye(fd);
	ck_assert(has_no_other(NULL));
}
END_TEST

START_TEST(test_reload_one_segment_fails_all_stay)
{
	char path[160];

	fixture_start(&fixture);
	/* The state of the second one cannot be written, which is made after the first. */
	snprintf(path, sizeof(path), "%s/%s-b.1.state.new", fixture.folder, fixture.segment);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	fixture_configure(&fixture, "", new_pools);
	configure_other(new_pools);
	fail_to_reload("cannot write its state file");
	ck_assert_uint_eq(fixture_count_objects(&fixture), 1);
	ck_assert_uint_eq(current_generation(), 1);
	ck_assert_int_eq(rmdir(path), 0);

	fixture_configure(&fixture, "", "    open_mode: open\n    pools: [ { chunk_size: 8, "
			  "chunk_count: 8 } ]\n");
	fail_to_reload("there is none with this layout, and open_mode is open");
	ck_assert_uint_eq(current_generation(), 1);
}
END_TEST

/* ---- meanwhile ---- */

/*
 * Another config, with a write lease: whoever opens it waits until we give that up (the kernel
 * gives it up for us only after /proc/sys/fs/lease-break-time, 45 s). Return: its descriptor.
 */
static int lease_begin(const char *layout)
{
	char path[128];
	int fd;

	/* How the kernel tells us that it is wanted. */
	signal(SIGIO, SIG_IGN);
	snprintf(path, sizeof(path), "%s.leased", fixture.config_path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	dprintf(fd, "socket: { path: %s, mode: \"0666\" }\nsegments:\n  - name: %s\n%s",
		fixture.socket_path, fixture.segment, layout);
	ck_assert_int_eq(fcntl(fd, F_SETLEASE, F_WRLCK), 0);
	ck_assert_int_eq(rename(path, fixture.config_path), 0);
	return fd;
}

static bool lease_is_wanted(int fd)
{
	return fcntl(fd, F_GETLEASE) != F_WRLCK;
}

static void lease_wait(int fd)
{
	struct patience patience;

	patience_begin(&patience);
	while (!lease_is_wanted(fd)) {
		ck_assert_msg(patience_ms(&patience) < 5 * SECOND_MS, "nobody reads the config");
		usleep(500);
	}
	patience_end(&patience);
}

START_TEST(test_reload_while_one_is_under_way_reads_again)
{
	struct mempool_msg_reload message = {
		.msg = wire_msg(MEMPOOL_MSG_RELOAD, sizeof(message)),
	};
	struct mempool_msg_list list = { .msg = wire_msg(MEMPOOL_MSG_LIST, sizeof(list)) };
	int first, second, gone, rude, leases[3], i;
	union wire_answer answer;

	fixture_start(&fixture);
	leases[0] = lease_begin(new_pools);
	first = wire_connect(&fixture);
	wire_send(first, &message, sizeof(message));
	lease_wait(leases[0]);
	leases[1] = lease_begin("    pools: [ { chunk_size: 8, chunk_count: 8 } ]\n");
	second = wire_connect(&fixture);
	wire_send(second, &message, sizeof(message));
	/* However many ask, the next one is for all of them; and some do not wait for it. */
	for (i = 0; i < 10; i++)
		kill(fixture.pid, SIGHUP);
	gone = wire_connect(&fixture);
	wire_send(gone, &message, sizeof(message));
	rude = wire_connect(&fixture);
	wire_send(rude, &message, sizeof(message));
	wire_send(rude, &list, sizeof(list));
	wire_expect_refused(rude, -EPROTO, "before the answer to the last one");
	close(rude);
	close(gone);

	/* Clients come and go meanwhile. */
	ck_assert_uint_eq(current_generation(), 1);
	close(leases[0]);
	wire_expect_reloaded(first, &reloaded);
	ck_assert_int_eq(reloaded.error, 0);
	ck_assert_uint_eq(reloaded.n_relaid, 1);

	lease_wait(leases[1]);
	ck_assert_uint_eq(current_generation(), 2);
	leases[2] = lease_begin(new_pools);
	close(leases[1]);
	wire_expect_reloaded(second, &reloaded);
	ck_assert_int_eq(reloaded.error, 0);
	ck_assert_uint_eq(current_generation(), 3);

	/* That was all: nobody reads again. And who was answered may go on. */
	usleep(20000);
	ck_assert(!lease_is_wanted(leases[2]));
	close(leases[2]);
	wire_send(first, &list, sizeof(list));
	ck_assert_int_eq(wire_receive(first, &answer), sizeof(answer.segment));
	close(first);
	close(second);
}
END_TEST

/* A layout whose memory takes long enough to be met in the middle. */
static const char large_layout[] =
	"    pools: [ { chunk_size: 1MiB, chunk_count: 300 } ]\n";

static void ask_for_a_large_one(void)
{
	struct mempool_msg_reload message = {
		.msg = wire_msg(MEMPOOL_MSG_RELOAD, sizeof(message)),
	};
	const uint64_t before = free_bytes();
	struct patience patience;
	int fd;

	fixture_configure(&fixture, "", large_layout);
	fd = wire_connect(&fixture);
	wire_send(fd, &message, sizeof(message));
	patience_begin(&patience);
	/* It has no name before it has all of its memory. */
	while (free_bytes() + (1 << 20) > before) {
		ck_assert_msg(patience_ms(&patience) < 5 * SECOND_MS, "nothing is made");
		usleep(100);
	}
	patience_end(&patience);
	close(fd);
}

START_TEST(test_reload_stopped_in_its_middle_leaves_nothing)
{
	struct control control;

	fixture_start(&fixture);
	ask_for_a_large_one();
	control_start(&control);
	fixture_stop(&fixture);
	ck_assert_double_lt(control_stop(&control), 5 * SECOND_MS);
	/* Unless it was faster than we. */
	if (!fixture_log_has(&fixture, "reloaded "))
		ck_assert_uint_eq(fixture_count_objects(&fixture), 1);
}
END_TEST

/* Killed sooner and later in it; with the old config at the next start, or the new one. */
START_TEST(test_reload_killed_in_its_middle_the_next_start_goes_on)
{
	bool is_new = _i % 2, is_retired;
	struct segment *segment;
	struct victim victim;
	uint64_t old = 1;

	fixture_start(&fixture);
	victim_start(&victim, &fixture, 10);
	segment = wire_map(&victim.welcome);
	ask_for_a_large_one();
	usleep((useconds_t)_i * 12000);
	fixture_kill(&fixture);
	is_retired = segment_state(segment) == MEMPOOL_SEGMENT_RETIRED;
	segment_free(segment);

	fixture_configure(&fixture, "", is_new ? large_layout : NULL);
	fixture_start(&fixture);
	if (is_new) {
		ck_assert_uint_ge(current_generation(), 2);
		ck_assert_uint_eq(fixture_count_objects(&fixture), 2);
	} else if (!is_retired) {
		/* It came before the end: the old one was taken up again, the other one went. */
		ck_assert_uint_eq(current_generation(), 1);
		ck_assert_uint_eq(fixture_count_objects(&fixture), 1);
	}
	ck_assert(fixture_object_exists(&fixture, old));
	victim_kill(&victim);
	if (current_generation() != old)
		wait_until(is_gone, &old, SECOND_MS);
	ck_assert_uint_eq(fixture_count_objects(&fixture), 1);
}
END_TEST

/* Where groups are looked up, a pipe that nobody writes to: such a file never opens. */
static void hang_groups(void *userdata)
{
	if (fixture_own_mounts(0) < 0 ||
	    mount(userdata, "/etc/group", NULL, MS_BIND, NULL) < 0)
		_exit(77);
}

static bool has_ended(void *userdata)
{
	int *status = userdata;

	if (waitpid(fixture.pid, status, WNOHANG) != fixture.pid)
		return false;
	fixture.pid = 0;
	return true;
}

START_TEST(test_reload_that_hangs_keeps_no_stop_waiting)
{
	char path[128];
	struct stat st;
	int status = 0;

	snprintf(path, sizeof(path), "%s/groups", fixture.folder);
	ck_assert_int_eq(mkfifo(path, 0666), 0);
	fixture.in_child = hang_groups;
	fixture.userdata = path;
	fixture_start(&fixture);
	fixture_configure(&fixture, "admin: { groups: [ no-such-group ] }\n", NULL);
	kill(fixture.pid, SIGHUP);
	usleep(100000);
	ck_assert(fixture_log_has(&fixture, "reloading "));
	kill(fixture.pid, SIGTERM);
	wait_until(has_ended, &status, 30000);
	ck_assert_int_eq(status, 0);
	ck_assert(fixture_log_has(&fixture, "a thread hangs"));
	ck_assert_int_eq(stat(fixture.socket_path, &st), -1);
	fixture.in_child = NULL;
	fixture_configure(&fixture, "", NULL);
	fixture_start(&fixture);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reload");
	TCase *tcase = tcase_create("reload");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_reload_bad_file_changes_nothing);
	tcase_add_test(tcase, test_reload_tells_the_service_manager);
	tcase_add_test(tcase, test_reload_is_for_administrators);
	tcase_add_test(tcase, test_reload_limits_and_log_level_in_place);
	tcase_add_test(tcase, test_reload_access_in_place);
	tcase_add_test(tcase, test_reload_socket_mode_in_place_its_path_not);
	tcase_add_test(tcase, test_reload_adds_and_removes_segments);
	tcase_add_test(tcase, test_reload_brings_back_a_segment_that_was_left);
	tcase_add_test(tcase, test_reload_with_a_segment_that_cannot_be_adopted);
	tcase_add_loop_test(tcase, test_reload_makes_anew_what_has_lost_its_name, 0, 2);
	if (!skip_with_thread_sanitizer("no thread can be held")) {
		tcase_add_test(tcase, test_reload_brings_back_a_segment_whose_last_client_leaves);
		tcase_add_test(tcase, test_reload_that_fails_lets_go_of_a_segment_that_is_over);
		tcase_add_test(tcase,
			       test_reload_brings_back_a_segment_whose_memory_is_given_back);
	}
	tcase_add_test(tcase, test_reload_without_room_for_both_changes_nothing);
	tcase_add_test(tcase, test_reload_one_segment_fails_all_stay);
	tcase_add_test(tcase, test_reload_while_one_is_under_way_reads_again);
	tcase_add_test(tcase, test_reload_stopped_in_its_middle_leaves_nothing);
	tcase_add_loop_test(tcase, test_reload_killed_in_its_middle_the_next_start_goes_on, 0, 10);
	if (!skip_unless_root("a /etc/group of its own"))
		tcase_add_test(tcase, test_reload_that_hangs_keeps_no_stop_waiting);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
