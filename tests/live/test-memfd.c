/* SPDX-License-Identifier: MIT */
/*
 * test-memfd.c - a segment of memfds, whose descriptors a service manager keeps (manager.h)
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actor.h"
#include "manager.h"
#include "support/control.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define GONE_MS 5000

static const char of_memfd[] = "    backing: memfd\n"
			       "    pools: [ { chunk_size: 128, chunk_count: 1000 } ]\n"
			       "    queues: [ { name: q, capacity: 16 } ]\n";
static const char of_shm[] = "    backing: shm\n"
			     "    pools: [ { chunk_size: 128, chunk_count: 1000 } ]\n"
			     "    queues: [ { name: q, capacity: 16 } ]\n";

static struct fixture fixture;
static struct manager manager;

static void setup(void)
{
	fixture_init(&fixture);
	fixture_configure(&fixture, "", of_memfd);
	manager_start(&manager, &fixture);
}

static void teardown(void)
{
	if (fixture.pid)
		fixture_stop(&fixture);
	manager_stop(&manager);
	fixture_deinit(&fixture);
}

static int kept(uint64_t generation, const char *object)
{
	char name[64];

	snprintf(name, sizeof(name), "%s.%llu.%s", fixture.segment,
		 (unsigned long long)generation, object);
	return manager_find(&manager, name);
}

static bool keeps_none_of(uint64_t generation)
{
	return kept(generation, "control") < 0 && kept(generation, "data") < 0;
}

static bool has_state_file(uint64_t generation)
{
	char path[192];

	fixture_state_path(&fixture, generation, path);
	return access(path, F_OK) == 0;
}

static bool first_is_gone(void *userdata)
{
	(void)userdata;
	return keeps_none_of(1) && !has_state_file(1);
}

static bool keeps_nothing(void *userdata)
{
	(void)userdata;
	return manager_count(&manager) == 0;
}

static bool said(void *text)
{
	return fixture_log_has(&fixture, text);
}

/* ---- programs ---- */

static void send_number(struct mempool_client *client, uint64_t number)
{
	struct mempool_queue *queue;
	uint64_t *chunk = mempool_alloc(client, sizeof(*chunk));

	ck_assert_ptr_nonnull(chunk);
	*chunk = number;
	ck_assert_int_eq(mempool_queue_open(client, "q", &queue), 0);
	ck_assert_int_eq(mempool_queue_send(queue, chunk, sizeof(*chunk), 0), 0);
	mempool_queue_close(queue);
}

/* 0: there is no message. */
static uint64_t receive_number(struct mempool_client *client)
{
	struct mempool_queue *queue;
	uint64_t number = 0;
	size_t length;
	void *chunk;

	ck_assert_int_eq(mempool_queue_open(client, "q", &queue), 0);
	if (mempool_queue_receive(queue, &chunk, &length, 0) == 0) {
		memcpy(&number, chunk, sizeof(number));
		ck_assert_int_eq(mempool_free(client, chunk), 0);
	}
	mempool_queue_close(queue);
	return number;
}

/* Holds a chunk, and looks at it as often as it is asked to: 1 it is whole, and the client not
 * stale; 2 it is whole. 0 ends it. */
static void run_living(const struct fixture *with, int fd)
{
	struct mempool_client *client = open_client(with);
	uint64_t *chunk = mempool_alloc(client, 100), *other;

	ck_assert_ptr_nonnull(chunk);
	*chunk = 4711;
	tell(fd, 0);
	while (hear(fd) != 0) {
		other = mempool_alloc(client, 100);
		ck_assert_ptr_nonnull(other);
		ck_assert_ptr_ne(other, chunk);
		ck_assert_int_eq(mempool_free(client, other), 0);
		tell(fd, *chunk != 4711 ? 0 : mempool_client_is_stale(client) ? 2 : 1);
	}
	mempool_client_close(client);
}

static void start_living(struct actor *actor)
{
	actor_start(actor, &fixture, run_living);
	expect_to_hear(actor->fd, 0);
}

static uint64_t ask(const struct actor *actor)
{
	tell(actor->fd, 1);
	return hear(actor->fd);
}

static void end_living(struct actor *actor)
{
	tell(actor->fd, 0);
	actor_join(actor);
}

static bool has_one_holder(void *userdata)
{
	struct status status;

	(void)userdata;
	status_read(&fixture, &status);
	return status.n_holders == 1;
}

static void expect_number(uint64_t number)
{
	struct mempool_client *client = open_client(&fixture);

	ck_assert_uint_eq(receive_number(client), number);
	ck_assert_int_eq(mempool_client_close(client), 0);
}

static uint64_t number_left;

static void run_leaving(const struct fixture *with, int fd)
{
	struct mempool_client *client = open_client(with);

	(void)fd;
	send_number(client, number_left);
	mempool_client_close(client);
}

/* By a process that is gone, whatever of its end the daemon has heard. */
static void leave_number(uint64_t number)
{
	struct actor actor;

	number_left = number;
	actor_start(&actor, &fixture, run_leaving);
	actor_join(&actor);
}

/* As a service manager does it, and as it should not happen. */
static void end_daemon(int how)
{
	if (how)
		fixture_kill(&fixture);
	else
		fixture_stop(&fixture);
}

/* ---- made ---- */

START_TEST(test_objects_are_sealed_and_kept_before_anybody_is_welcome)
{
	struct stat st;

	manager_start_daemon(&manager);
	ck_assert_int_eq(manager.n_barriers, 1);
	/* Both, and where to find their state. */
	ck_assert_int_eq(manager.n_when_barrier, 3);
	ck_assert(!manager.is_watched);
	for (int i = 0; i < 2; i++) {
		int fd = kept(1, i ? "data" : "control");

		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(fcntl(fd, F_GET_SEALS) & (SEALS | F_SEAL_WRITE), SEALS);
		ck_assert_int_eq(fstat(fd, &st), 0);
		ck_assert_uint_eq(st.st_mode & 07777, 0600);
		/* All of its space is taken. */
		ck_assert_int_ge(st.st_blocks * 512, st.st_size);
	}
	ck_assert_uint_eq(fixture_count_objects(&fixture), 0);
	fixture_stop(&fixture);
	ck_assert(!fixture_log_has(&fixture, "it ends with this one"));
}
END_TEST

START_TEST(test_without_manager_it_ends_with_the_daemon)
{
	fixture.in_child = NULL;
	ck_assert_int_eq(unlink(fixture.socket_path), 0);
	fixture_start(&fixture);
	ck_assert(fixture_log_has(&fixture, "(there is no service manager): it ends with this one"));
	fixture_stop(&fixture);
	fixture_start(&fixture);
	/* With nobody in it, nothing of it is left. */
	ck_assert(!has_state_file(1));
	ck_assert(has_state_file(2));
}
END_TEST

/* ---- the next daemon ---- */

START_TEST(test_next_daemon_goes_on_with_clients_and_messages)
{
	struct actor living, dying;

	manager_start_daemon(&manager);
	start_living(&living);
	start_living(&dying);
	leave_number(17);
	end_daemon(_i);
	ck_assert_uint_eq(ask(&living), 1);
	actor_kill(&dying);
	manager_start_daemon(&manager);
	wait_until(has_one_holder, NULL, GONE_MS);
	ck_assert_uint_eq(ask(&living), 1);
	expect_number(17);
	ck_assert_int_eq(manager_count(&manager), 3);
	ck_assert(has_state_file(1) && !has_state_file(2));
	end_living(&living);
}
END_TEST

START_TEST(test_next_daemon_has_messages_of_nobody)
{
	manager_start_daemon(&manager);
	leave_number(18);
	end_daemon(_i);
	manager_start_daemon(&manager);
	end_daemon(_i);
	manager_start_daemon(&manager);
	expect_number(18);
	ck_assert(has_state_file(1) && !has_state_file(2));
}
END_TEST

#define READER 54321

static const char with_readers[] = "    allow: { users: [] }\n"
				   "    readers: { users: [ 54321 ] }\n"
				   "    backing: memfd\n"
				   "    pools: [ { chunk_size: 128, chunk_count: 1000 } ]\n"
				   "    queues: [ { name: q, capacity: 16 } ]\n";

/* Receives a number as often as it is asked to. */
static void run_reading(const struct fixture *with, int fd)
{
	struct mempool_client *client;

	ck_assert_int_eq(setgroups(0, NULL), 0);
	ck_assert_int_eq(setresuid(READER, READER, READER), 0);
	client = open_client(with);
	tell(fd, (uint64_t)mempool_client_role(client));
	while (hear(fd) != 0)
		tell(fd, receive_number(client));
	mempool_client_close(client);
}

START_TEST(test_next_daemon_knows_who_is_a_reader)
{
	struct actor reading;
	struct status status;

	if (geteuid() != 0)
		return;
	fixture_configure(&fixture, "", with_readers);
	manager_start_daemon(&manager);
	ck_assert_int_eq(chmod(fixture.socket_path, 0666), 0);
	actor_start(&reading, &fixture, run_reading);
	expect_to_hear(reading.fd, MEMPOOL_ROLE_READER);
	leave_number(23);
	ck_assert_uint_eq(ask(&reading), 23);
	end_daemon(_i);
	manager_start_daemon(&manager);
	wait_until(has_one_holder, NULL, GONE_MS);
	status_read(&fixture, &status);
	ck_assert(status.holders[0].is_reader);
	leave_number(24);
	ck_assert_uint_eq(ask(&reading), 24);
	end_living(&reading);
}
END_TEST

/* ---- removed ---- */

/* Of another backing it is another one, whatever else is the same. */
START_TEST(test_reload_to_another_backing_moves_messages_and_drops)
{
	struct mempool_msg_reloaded reloaded;
	struct actor living;

	manager_start_daemon(&manager);
	leave_number(19);
	start_living(&living);
	fixture_configure(&fixture, "", of_shm);
	wire_reload(&fixture, &reloaded);
	ck_assert_int_eq(reloaded.error, 0);
	ck_assert_uint_eq(reloaded.n_relaid, 1);
	ck_assert_int_eq(manager_count(&manager), 3);
	ck_assert_uint_eq(ask(&living), 2);
	end_living(&living);
	wait_until(first_is_gone, NULL, GONE_MS);
	wait_until(keeps_nothing, NULL, GONE_MS);
	expect_number(19);
	/* The same the other way round. */
	leave_number(20);
	fixture_configure(&fixture, "", of_memfd);
	wire_reload(&fixture, &reloaded);
	ck_assert_uint_eq(reloaded.n_relaid, 1);
	expect_number(20);
	ck_assert_int_ge(kept(3, "control"), 0);
	ck_assert_int_ge(kept(3, "data"), 0);
}
END_TEST

/* ---- not kept, or not that ---- */

static void expect_living_goes_on_alone(struct actor *living)
{
	struct mempool_client *client;

	manager_start_daemon(&manager);
	ck_assert(fixture_log_has(&fixture, "was not handed over to us"));
	ck_assert_uint_ne(ask(living), 0);
	ck_assert(keeps_none_of(1));
	/* Who lives there is watched; anybody new is elsewhere. */
	ck_assert(has_state_file(1));
	client = open_client(&fixture);
	ck_assert_uint_eq(receive_number(client), 0);
	ck_assert_int_eq(mempool_client_close(client), 0);
	ck_assert_int_ge(kept(2, "control"), 0);
	/* And the next daemon knows it as well. */
	fixture_stop(&fixture);
	manager_start_daemon(&manager);
	ck_assert(has_state_file(1));
	ck_assert_uint_ne(ask(living), 0);
	end_living(living);
	wait_until(first_is_gone, NULL, GONE_MS);
	ck_assert_int_eq(manager_count(&manager), 3);
	fixture_stop(&fixture);
}

START_TEST(test_absent_is_not_dead)
{
	struct actor living;

	manager_start_daemon(&manager);
	start_living(&living);
	leave_number(21);
	end_daemon(_i);
	manager_drop_all(&manager);
	expect_living_goes_on_alone(&living);
}
END_TEST

static void remove_other_state(void)
{
	const char *const names[] = { ".2.state", ".3.state" };
	char path[256];

	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/other/%s%s", fixture.folder, fixture.segment, names[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/other/mempoold.lock", fixture.folder);
	unlink(path);
	snprintf(path, sizeof(path), "%s/other", fixture.folder);
	rmdir(path);
}

/* Looks again until its segment is stale, as a program that polls. */
static void run_polling(const struct fixture *with, int fd)
{
	struct mempool_client *client = open_client(with);
	struct mempool_queue *queue;
	size_t length;
	void *chunk;

	ck_assert_int_eq(mempool_queue_open(client, "q", &queue), 0);
	tell(fd, 0);
	while (!mempool_client_is_stale(client)) {
		struct pollfd poll_fd = { .fd = mempool_client_fd(client), .events = POLLIN };

		ck_assert_int_ge(poll_fd.fd, 0);
		poll(&poll_fd, 1, 100);
		ck_assert_int_eq(mempool_queue_receive(queue, &chunk, &length, 0), -EAGAIN);
	}
	tell(fd, 1);
	hear(fd);
	mempool_queue_close(queue);
	mempool_client_close(client);
}

/* The daemon cannot write there. 0: nothing came back; 1: nor is there a state file. */
START_TEST(test_client_that_comes_back_to_nothing_marks_it_stale)
{
	struct actor living, polling;
	char path[192];

	manager_start_daemon(&manager);
	start_living(&living);
	actor_start(&polling, &fixture, run_polling);
	expect_to_hear(polling.fd, 0);
	fixture_kill(&fixture);
	ck_assert_uint_eq(ask(&living), 1);
	manager_drop_all(&manager);
	if (_i == 1) {
		fixture_state_path(&fixture, 1, path);
		ck_assert_int_eq(unlink(path), 0);
	}
	manager_start_daemon(&manager);
	expect_to_hear(polling.fd, 1);
	/* And so the others know. */
	ck_assert_uint_eq(ask(&living), 2);
	end_living(&polling);
	end_living(&living);
}
END_TEST

/* Beside it, one of files: who is told the same may be at another daemon, and marks nothing. */
START_TEST(test_client_of_files_marks_nothing)
{
	struct actor living, polling;
	char path[192];

	fixture_configure(&fixture, "", of_shm);
	manager_start_daemon(&manager);
	start_living(&living);
	actor_start(&polling, &fixture, run_polling);
	expect_to_hear(polling.fd, 0);
	fixture_kill(&fixture);
	/* A daemon of another house by the same socket. */
	snprintf(path, sizeof(path), "house: another\nstate_dir: %s/other\n", fixture.folder);
	fixture_configure(&fixture, path, of_shm);
	manager_start_daemon(&manager);
	wait_until(said, (void *)"no record of this client", GONE_MS);
	ck_assert_uint_eq(ask(&living), 1);
	actor_kill(&polling);
	fixture_stop(&fixture);
	ck_assert_int_eq(fixture_run_remove(&fixture), 0);
	remove_other_state();
	fixture_configure(&fixture, "", of_shm);
	manager_start_daemon(&manager);
	ck_assert_uint_eq(ask(&living), 1);
	end_living(&living);
}
END_TEST

/* What a state file says of the inode of data: behind its header and control. */
static void forge_inode(uint64_t inode)
{
	char path[192];
	int fd;

	fixture_state_path(&fixture, 1, path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, &inode, sizeof(inode), 344), sizeof(inode));
	close(fd);
}

/* As large and sealed, but another one; or the right one, but its size is not sealed. */
START_TEST(test_wrong_descriptor_is_not_taken)
{
	struct actor living;
	char name[64];
	struct stat st;
	int fd;

	manager_start_daemon(&manager);
	start_living(&living);
	fixture_stop(&fixture);
	ck_assert_int_eq(fstat(kept(1, "data"), &st), 0);
	fd = memfd_create("wrong", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_eq(ftruncate(fd, st.st_size), 0);
	if (_i) {
		ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, SEALS), 0);
	} else {
		ck_assert_int_eq(fstat(fd, &st), 0);
		forge_inode(st.st_ino);
	}
	snprintf(name, sizeof(name), "%s.1.data", fixture.segment);
	manager_replace(&manager, name, fd);
	expect_living_goes_on_alone(&living);
	ck_assert(fixture_log_has(&fixture, _i ? "is not what it was given: it is another object"
					       : "is not what it was given: it is not sealed"));
}
END_TEST

/* ---- a state file that is lost ---- */

enum loss {
	LOSS_REMOVED,
	LOSS_DAMAGED,
	LOSS_ELSEWHERE,
	N_LOSSES,
};

static void lose_state(enum loss loss)
{
	char path[192], top[192];

	fixture_state_path(&fixture, 1, path);
	if (loss == LOSS_REMOVED) {
		ck_assert_int_eq(unlink(path), 0);
	} else if (loss == LOSS_DAMAGED) {
		ck_assert_int_eq(truncate(path, 4096), 0);
	} else {
		snprintf(top, sizeof(top), "state_dir: %s/other\n", fixture.folder);
		fixture_configure(&fixture, top, of_memfd);
	}
}

START_TEST(test_lost_state_is_told_to_the_living)
{
	struct actor living;

	manager_start_daemon(&manager);
	start_living(&living);
	fixture_kill(&fixture);
	lose_state(_i);
	manager_start_daemon(&manager);
	ck_assert_uint_eq(ask(&living), 2);
	ck_assert(fixture_log_has(&fixture, "of which the state folder knows nothing, and clients are"));
	ck_assert_int_ge(kept(1, "control"), 0);
	ck_assert_int_ge(kept(1, "data"), 0);
	/* Anybody new is elsewhere. */
	expect_number(0);
	ck_assert_int_ge(kept(2, "control"), 0);
	fixture_stop(&fixture);
	if (_i == LOSS_ELSEWHERE) {
		/* Where it was, nothing is lost. */
		fixture_configure(&fixture, "", of_memfd);
		manager_start_daemon(&manager);
		ck_assert_uint_eq(ask(&living), 1);
		ck_assert(keeps_none_of(2));
		fixture_stop(&fixture);
		lose_state(_i);
	}
	end_living(&living);
	manager_start_daemon(&manager);
	ck_assert(keeps_none_of(1));
	fixture_stop(&fixture);
	remove_other_state();
}
END_TEST

/* Control comes back, and data does not: it is of no use to the daemon, but a client can be told. */
START_TEST(test_half_of_it_is_told_to_the_living)
{
	struct actor living;
	char name[64];

	manager_start_daemon(&manager);
	start_living(&living);
	fixture_stop(&fixture);
	snprintf(name, sizeof(name), "%s.1.data", fixture.segment);
	manager_drop(&manager, name);
	manager_start_daemon(&manager);
	ck_assert_uint_eq(ask(&living), 2);
	end_living(&living);
}
END_TEST

/* ---- a config that is wrong ---- */

START_TEST(test_wrong_config_does_not_end_what_is_kept)
{
	struct mempool_msg_reloaded reloaded;
	struct actor living;

	manager_start_daemon(&manager);
	start_living(&living);
	leave_number(22);
	end_daemon(_i);
	fixture_configure(&fixture, "no_such_key: 1\n", of_memfd);
	manager_start_daemon(&manager);
	manager_expect_status(&manager, "the config cannot be used: ");
	manager_expect_status(&manager, "mempool.yaml:2: ");
	ck_assert(fixture_log_has(&fixture, "the service manager has kept segments for us"));
	wait_until(has_one_holder, NULL, GONE_MS);
	ck_assert_uint_eq(ask(&living), 1);
	wire_reload(&fixture, &reloaded);
	ck_assert_int_ne(reloaded.error, 0);
	manager_expect_status(&manager, "the last reload failed");
	/* Repaired, nothing has changed. */
	fixture_configure(&fixture, "", of_memfd);
	wire_reload(&fixture, &reloaded);
	ck_assert_int_eq(reloaded.error, 0);
	ck_assert_uint_eq(reloaded.n_relaid, 0);
	manager_expect_whole_status(&manager, "1 client in 1 segment");
	expect_number(22);
	ck_assert_uint_eq(ask(&living), 1);
	end_living(&living);
}
END_TEST

/* A config as that, with a key that is not known. */
static void spoil_config(void)
{
	fixture_configure(&fixture, "no_such_key: 1\n", of_memfd);
}

static void expect_as_before(struct actor *living)
{
	spoil_config();
	manager_start_daemon(&manager);
	manager_expect_status(&manager, "the config cannot be used: ");
	ck_assert_uint_eq(ask(living), 1);
	/* And so does the next one after it. */
	fixture_kill(&fixture);
	manager_start_daemon(&manager);
	manager_expect_status(&manager, "the config cannot be used: ");
	ck_assert_uint_eq(ask(living), 1);
}

/* 0: state_dir says where the state is. 1: only the path of the socket, which nobody passes. */
START_TEST(test_wrong_config_hides_no_state_folder)
{
	struct mempool_msg_reloaded reloaded;
	struct actor living;
	char top[192] = "", path[256];

	if (_i == 0)
		snprintf(top, sizeof(top), "state_dir: %s/state\n", fixture.folder);
	else
		manager_make_bare(&manager);
	fixture_configure(&fixture, top, of_memfd);
	manager_start_daemon(&manager);
	start_living(&living);
	leave_number(23);
	end_daemon(1);
	expect_as_before(&living);
	fixture_configure(&fixture, top, of_memfd);
	wire_reload(&fixture, &reloaded);
	ck_assert_int_eq(reloaded.error, 0);
	ck_assert_uint_eq(reloaded.n_relaid, 0);
	expect_number(23);
	ck_assert(!fixture_log_has(&fixture, "stay as they are until mempoold is restarted"));
	end_living(&living);
	fixture_stop(&fixture);
	if (_i == 0) {
		snprintf(path, sizeof(path), "%s/state/%s.1.state", fixture.folder, fixture.segment);
		ck_assert_int_eq(unlink(path), 0);
		snprintf(path, sizeof(path), "%s/state/mempoold.lock", fixture.folder);
		ck_assert_int_eq(unlink(path), 0);
		snprintf(path, sizeof(path), "%s/state", fixture.folder);
		ck_assert_int_eq(rmdir(path), 0);
	}
}
END_TEST

START_TEST(test_wrong_config_and_damaged_place_is_by_default)
{
	struct actor living;
	int fd;

	manager_start_daemon(&manager);
	start_living(&living);
	end_daemon(1);
	fd = memfd_create("junk", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_eq(ftruncate(fd, 8192), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, SEALS), 0);
	manager_replace(&manager, "mempoold.place", fd);
	expect_as_before(&living);
	ck_assert(fixture_log_has(&fixture, "of the state folder is damaged"));
	/* A good one is in its place. */
	ck_assert_int_eq(manager_count(&manager), 3);
	fixture_stop(&fixture);
	spoil_config();
	manager_start_daemon(&manager);
	ck_assert_uint_eq(ask(&living), 1);
	end_living(&living);
}
END_TEST

/* New clients went to a segment of files, which is not there any more. */
START_TEST(test_wrong_config_keeps_what_is_retired)
{
	struct mempool_msg_reloaded reloaded;
	struct actor living;

	manager_start_daemon(&manager);
	start_living(&living);
	fixture_configure(&fixture, "", of_shm);
	wire_reload(&fixture, &reloaded);
	ck_assert_uint_eq(reloaded.n_relaid, 1);
	fixture_stop(&fixture);
	/* By an admin, and so not from the manager. */
	fixture.in_child = NULL;
	ck_assert_int_eq(fixture_run_remove(&fixture), 1);
	manager_use(&manager);
	ck_assert(has_state_file(1) && !has_state_file(2));
	spoil_config();
	manager_start_daemon(&manager);
	manager_expect_status(&manager, "1 client in 0 segments; 1 retired generation; as before");
	ck_assert_int_ge(kept(1, "control"), 0);
	ck_assert_int_ge(kept(1, "data"), 0);
	ck_assert_uint_eq(ask(&living), 2);
	end_living(&living);
	wait_until(first_is_gone, NULL, GONE_MS);
	wait_until(keeps_nothing, NULL, GONE_MS);
}
END_TEST

/* What is kept has no state file: there is nothing to go on with. */
START_TEST(test_wrong_config_without_state_ends)
{
	char path[192];

	manager_start_daemon(&manager);
	fixture_stop(&fixture);
	fixture_state_path(&fixture, 1, path);
	ck_assert_int_eq(unlink(path), 0);
	fixture_configure(&fixture, "no_such_key: 1\n", of_memfd);
	ck_assert_int_eq(fixture_run_daemon(&fixture), 78);
}
END_TEST

/* ---- a member that truncates ---- */

/* Attach, and keep what is passed. Return: the connection. */
static int attach_raw(int fds[static MEMPOOL_PASSED_MAX])
{
	struct mempool_msg_hello hello = wire_hello(&fixture, 1);
	union {
		char bytes[CMSG_SPACE(MEMPOOL_PASSED_MAX * sizeof(int))];
		struct cmsghdr alignment;
	} control;
	union wire_answer answer;
	struct iovec data = { .iov_base = &answer, .iov_len = sizeof(answer) };
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	int fd = wire_connect(&fixture);

	wire_send(fd, &hello, sizeof(hello));
	ck_assert(patience_poll(fd, GONE_MS));
	ck_assert_int_gt(recvmsg(fd, &message, MSG_CMSG_CLOEXEC), 0);
	ck_assert_int_eq(answer.msg.type, MEMPOOL_MSG_WELCOME);
	ck_assert_ptr_nonnull(CMSG_FIRSTHDR(&message));
	ck_assert_uint_eq(CMSG_FIRSTHDR(&message)->cmsg_len,
			  CMSG_LEN(MEMPOOL_PASSED_MAX * sizeof(int)));
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&message)), MEMPOOL_PASSED_MAX * sizeof(int));
	return fd;
}

static void close_raw(int connection, const int *fds)
{
	for (int i = 0; i < MEMPOOL_PASSED_MAX; i++)
		close(fds[i]);
	close(connection);
}

static const int objects[] = { MEMPOOL_PASSED_CONTROL, MEMPOOL_PASSED_DATA };

START_TEST(test_member_cannot_truncate_memfd)
{
	int fds[MEMPOOL_PASSED_MAX], connection;
	struct actor living;
	struct stat st;

	manager_start_daemon(&manager);
	start_living(&living);
	connection = attach_raw(fds);
	for (int i = 0; i < 2; i++) {
		int fd = fds[objects[i]];

		ck_assert_int_eq(fstat(fd, &st), 0);
		ck_assert_int_lt(ftruncate(fd, 0), 0);
		ck_assert_int_eq(errno, EPERM);
		ck_assert_int_lt(ftruncate(fd, st.st_size + 1), 0);
		ck_assert_int_eq(errno, EPERM);
		ck_assert_int_lt(fallocate(fd, 0, st.st_size, 4096), 0);
		ck_assert_int_eq(errno, EPERM);
		ck_assert_int_lt(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
		ck_assert_int_eq(errno, EPERM);
	}
	ck_assert_uint_eq(ask(&living), 1);
	close_raw(connection, fds);
	end_living(&living);
}
END_TEST

/* What the seals are for: beside it, a segment of files. */
START_TEST(test_member_can_truncate_shm)
{
	int fds[MEMPOOL_PASSED_MAX], connection;

	fixture_configure(&fixture, "", of_shm);
	manager_start_daemon(&manager);
	connection = attach_raw(fds);
	ck_assert_int_eq(ftruncate(fds[objects[_i]], 0), 0);
	close_raw(connection, fds);
	leave_number(1);
	wait_until(said, (void *)"was truncated by a process that may write it", GONE_MS);
}
END_TEST

static Suite *memfd_suite(void)
{
	Suite *suite = suite_create("memfd");
	TCase *tcase = tcase_create("memfd");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, test_objects_are_sealed_and_kept_before_anybody_is_welcome);
	tcase_add_test(tcase, test_without_manager_it_ends_with_the_daemon);
	tcase_add_loop_test(tcase, test_next_daemon_goes_on_with_clients_and_messages, 0, 2);
	tcase_add_loop_test(tcase, test_next_daemon_has_messages_of_nobody, 0, 2);
	tcase_add_loop_test(tcase, test_next_daemon_knows_who_is_a_reader, 0, 2);
	tcase_add_test(tcase, test_reload_to_another_backing_moves_messages_and_drops);
	tcase_add_loop_test(tcase, test_absent_is_not_dead, 0, 2);
	tcase_add_loop_test(tcase, test_client_that_comes_back_to_nothing_marks_it_stale, 0, 2);
	tcase_add_test(tcase, test_client_of_files_marks_nothing);
	tcase_add_loop_test(tcase, test_wrong_descriptor_is_not_taken, 0, 2);
	tcase_add_loop_test(tcase, test_lost_state_is_told_to_the_living, 0, N_LOSSES);
	tcase_add_test(tcase, test_half_of_it_is_told_to_the_living);
	tcase_add_loop_test(tcase, test_wrong_config_does_not_end_what_is_kept, 0, 2);
	tcase_add_loop_test(tcase, test_wrong_config_hides_no_state_folder, 0, 2);
	tcase_add_test(tcase, test_wrong_config_and_damaged_place_is_by_default);
	tcase_add_test(tcase, test_wrong_config_keeps_what_is_retired);
	tcase_add_test(tcase, test_wrong_config_without_state_ends);
	tcase_add_test(tcase, test_member_cannot_truncate_memfd);
	tcase_add_loop_test(tcase, test_member_can_truncate_shm, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(memfd_suite());
	int n_failed;

	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? 0 : 1;
}
