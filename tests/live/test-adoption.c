/* SPDX-License-Identifier: MIT */
/*
 * test-adoption.c - a daemon starts, and knows who lives in what another one left
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

/* The state file of a generation that no daemon has now. */
static struct state *open_state(uint64_t generation)
{
	char name[STATE_FILE_BYTES];
	struct state *state;
	int folder;

	folder = open(fixture.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(folder, 0);
	state_file_name(name, fixture.segment, generation);
	ck_assert_int_eq(state_open(folder, name, &state), 0);
	close(folder);
	return state;
}

/* The only holder that is a client, who is said to be another process. */
static void change_process(uint32_t holder, void (*change)(struct process *process))
{
	struct state *state = open_state(1);
	struct state_holder record;

	state_read(state, holder, &record);
	ck_assert_uint_eq(record.state, MEMPOOL_HOLDER_LIVE);
	change(&record.process);
	state_move_process(state, holder, &record.process);
	state_free(state);
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
	struct state *state;

	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	segment = wire_map(&welcome);
	ck_assert_int_eq(pool_claim(&segment->pools[0], 3, welcome.holder), 0);
	fixture_kill(&fixture);
	state = open_state(1);
	state_end(state, welcome.holder);
	state_free(state);
	fixture_start(&fixture);
	wait_until(fixture_no_longer_used, &(struct fixture_used){ segment, 0 }, 1000);
	wait_until(record_is_free, &segment->holders[welcome.holder], 1000);
	segment_free(segment);
	fixture_stop(&fixture);
}
END_TEST

/* For a daemon that is refused pidfds: when it was started is looked up once it is welcome. */
START_TEST(test_record_has_the_start_of_its_process)
{
	struct mempool_msg_welcome welcome;
	struct state_holder holder;
	struct state *state;
	uint64_t start_time;

	ck_assert_int_eq(origin_start_time(getpid(), &start_time), 0);
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	/* The daemon is through with the first one when it answers the next. */
	close(wire_attach(&fixture, 2, &welcome));
	fixture_kill(&fixture);
	state = open_state(1);
	state_read(state, welcome.holder - 1, &holder);
	ck_assert_uint_eq(holder.process.start_time, start_time);
	state_free(state);
	fixture_start(&fixture);
	fixture_stop(&fixture);
}
END_TEST

static void be_another_process(struct process *process)
{
	/* What decides on this kernel, and what decides on older ones. */
	process->inode += process->inode != 0;
	process->start_time -= 100;
}

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
	change_process(welcome.holder, be_another_process);
	fixture_start(&fixture);
	wait_until(fixture_no_longer_used, &(struct fixture_used){ segment, 0 }, 1000);
	segment_free(segment);
	fixture_stop(&fixture);
}
END_TEST

/*
 * What a member writes changes nothing of what the next daemon believes: the living are
 * adopted, nobody else is, and new clients find the header and the tables whole.
 */
START_TEST(test_segment_of_junk_is_restored)
{
	struct mempool_msg_welcome first, again, newer;
	struct holder holder;
	struct segment *segment;
	struct victim victim;
	unsigned int seed = 7;
	uint32_t id, n = 0;
	size_t k;
	int fd;

	fixture_start(&fixture);
	fd = wire_attach(&fixture, 1, &first);
	victim_start(&victim, &fixture, 10);
	segment = wire_map(&first);
	fixture_kill(&fixture);
	close(fd);
	for (k = 0; k < segment->geometry.pools[0].index_off; k++)
		((unsigned char *)segment->memory.base)[k] = (unsigned char)rand_r(&seed);
	for (id = 100; id < segment->n_holders; id++)
		atomic_store(&segment->holders[id].state, MEMPOOL_HOLDER_LIVE);
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &again));
	ck_assert_mem_eq(&first, &again, sizeof(first));
	close(wire_attach(&fixture, 2, &newer));
	segment_free(wire_map(&newer));
	for (id = MEMPOOL_HOLDER_DAEMON_ID + 1; id < segment->n_holders; id++) {
		ck_assert_int_eq(holder_read(segment, id, &holder), 0);
		n += holder.state == MEMPOOL_HOLDER_LIVE;
	}
	ck_assert_uint_eq(n, 3);
	victim_kill(&victim);
	wait_until(fixture_no_longer_used, &(struct fixture_used){ segment, 0 }, 1000);
	segment_free(segment);
	fixture_stop(&fixture);
}
END_TEST

/* ---- who cannot be seen ---- */

static void be_of_another_namespace(struct process *process)
{
	process->origin.pid_namespace ^= 1;
	process->inode = 0;
}

static void be_of_another_boot(struct process *process)
{
	process->origin.boot_id[3] ^= 1;
}

static void be_of_the_same_namespace_again(struct process *process)
{
	/* Its inode was given to a new one. */
	process->origin.init_start_time += 1;
	process->inode = 0;
}

static void (*const disguises[])(struct process *process) = {
	be_of_another_namespace,
	be_of_another_boot,
	be_of_the_same_namespace_again,
};

static bool is_unverifiable(void *userdata)
{
	struct holder holder;
	uint32_t id;

	for (id = MEMPOOL_HOLDER_DAEMON_ID + 1; id < 256; id++)
		if (holder_read(userdata, id, &holder) == 0 && holder.is_unverifiable)
			return true;
	return false;
}

static int forget(uint32_t holder)
{
	const struct mempool_msg_forget forget = {
		.msg = wire_msg(MEMPOOL_MSG_FORGET, sizeof(forget)),
		.holder = holder,
	};
	union wire_answer answer;
	int fd = wire_connect(&fixture);

	wire_send(fd, &forget, sizeof(forget));
	ck_assert_int_gt(wire_receive(fd, &answer), 0);
	close(fd);
	return answer.msg.type == MEMPOOL_MSG_FORGOTTEN ? 0 : answer.refused.error;
}

/* Dead, but nobody can see that: it keeps what it has until somebody says so. */
START_TEST(test_dead_holder_that_cannot_be_seen_is_kept_until_forgotten)
{
	struct segment *segment;
	struct victim victim;

	fixture_start(&fixture);
	victim_start(&victim, &fixture, 10);
	segment = wire_map(&victim.welcome);
	fixture_kill(&fixture);
	victim_kill(&victim);
	change_process(victim.welcome.holder, disguises[_i]);
	ck_assert_int_eq(fixture_run_remove(&fixture), 1);
	ck_assert(fixture_object_exists(&fixture, 1));
	fixture_start(&fixture);
	wait_until(is_unverifiable, segment, 1000);
	ck_assert(fixture_log_has(&fixture, "cannot see whether client"));
	ck_assert_uint_eq(pool_count_used(&segment->pools[0]), 10);
	ck_assert_int_eq(forget(victim.welcome.holder + 1), -ENOENT);
	ck_assert_int_eq(forget(victim.welcome.holder), 0);
	wait_until(fixture_no_longer_used, &(struct fixture_used){ segment, 0 }, 1000);
	ck_assert_int_eq(forget(victim.welcome.holder), -ENOENT);
	segment_free(segment);
	fixture_stop(&fixture);
}
END_TEST

/* Its lock shows that it lives, as the library takes it. */
START_TEST(test_holder_whose_lock_is_held_cannot_be_forgotten)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 1 };
	struct mempool_msg_welcome welcome;
	struct segment *segment;
	char path[96];
	int fd;

	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	segment = wire_map(&welcome);
	fixture_kill(&fixture);
	change_process(welcome.holder, disguises[_i]);
	fixture_object_path(&fixture, 1, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	lock.l_start = welcome.holder;
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	fixture_start(&fixture);
	ck_assert_int_eq(forget(welcome.holder), -EBUSY);
	ck_assert(!is_unverifiable(segment));
	/* The lock is gone, which says nothing. */
	close(fd);
	wait_until(is_unverifiable, segment, 5000);
	/* It comes back, and is seen from then on. */
	close(wire_attach(&fixture, 1, &welcome));
	ck_assert(!is_unverifiable(segment));
	ck_assert_int_eq(forget(welcome.holder), -EBUSY);
	segment_free(segment);
	fixture_stop(&fixture);
}
END_TEST

/* ---- without pidfds ---- */

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77			/* Linux 6.5 */
#endif

/* As the profiles of old containers have it; and, if @older, as kernels before 6.5. */
static void refuse_pidfds(void *userdata)
{
	const bool *older = userdata;
	struct sock_filter lines[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 5, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getsockopt, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, *older ? SO_PEERPIDFD : 4711, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOPROTOOPT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	};
	struct sock_fprog filter = { sizeof(lines) / sizeof(lines[0]), lines };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
		_exit(77);
}

/* How many pidfds the daemon has. */
static unsigned int count_pidfds(void)
{
	char path[64], target[64];
	struct dirent *entry;
	unsigned int n = 0;
	ssize_t size;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)fixture.pid);
	folder = opendir(path);
	ck_assert_ptr_nonnull(folder);
	while ((entry = readdir(folder))) {
		size = readlinkat(dirfd(folder), entry->d_name, target, sizeof(target) - 1);
		target[size < 0 ? 0 : size] = '\0';
		n += strstr(target, "pidfd") != NULL;
	}
	closedir(folder);
	return n;
}

static void expect_reaped(struct segment *segment)
{
	wait_until(fixture_no_longer_used, &(struct fixture_used){ segment, 0 }, 30000);
	segment_free(segment);
	fixture_stop(&fixture);
}

/* It is asked for again and again, and is known by its start time. */
START_TEST(test_death_of_adopted_without_pidfd_is_seen)
{
	struct segment *segment;
	struct victim victim;
	bool older = _i;

	fixture_start(&fixture);
	victim_start(&victim, &fixture, 10);
	segment = wire_map(&victim.welcome);
	fixture_kill(&fixture);
	fixture.in_child = refuse_pidfds;
	fixture.userdata = &older;
	fixture_start(&fixture);
	ck_assert_uint_eq(pool_count_used(&segment->pools[0]), 10);
	ck_assert_uint_eq(count_pidfds(), 0);
	ck_assert(fixture_log_has(&fixture, "Operation not permitted; trying again each second"));
	victim_kill(&victim);
	expect_reaped(segment);
}
END_TEST

/* Nor is it a living one that its parent has not waited for. */
START_TEST(test_death_of_adopted_without_pidfd_is_seen_while_a_zombie)
{
	struct segment *segment;
	struct victim victim;
	bool older = false;

	fixture_start(&fixture);
	victim_start(&victim, &fixture, 10);
	segment = wire_map(&victim.welcome);
	fixture_kill(&fixture);
	fixture.in_child = refuse_pidfds;
	fixture.userdata = &older;
	fixture_start(&fixture);
	kill(victim.pid, SIGKILL);
	expect_reaped(segment);
	victim_kill(&victim);
}
END_TEST

/* A new one is let in, with the pidfd of its connection or without. */
START_TEST(test_death_of_newcomer_without_pidfd_open_is_seen)
{
	struct segment *segment;
	struct victim victim;
	bool older = _i;

	fixture.in_child = refuse_pidfds;
	fixture.userdata = &older;
	fixture_start(&fixture);
	victim_start(&victim, &fixture, 10);
	segment = wire_map(&victim.welcome);
	if (older)
		ck_assert_uint_eq(count_pidfds(), 0);
	victim_kill(&victim);
	expect_reaped(segment);
}
END_TEST

/* The connection of one that comes back has a pidfd. */
START_TEST(test_adopted_that_comes_back_is_seen_by_its_connection)
{
	struct mempool_msg_welcome welcome;
	bool older = false;
	int fd;

	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	fixture_kill(&fixture);
	fixture.in_child = refuse_pidfds;
	fixture.userdata = &older;
	fixture_start(&fixture);
	ck_assert_uint_eq(count_pidfds(), 0);
	fd = wire_attach(&fixture, 1, &welcome);
	/* A kernel before 6.5 has none to give. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &(int){ 0 }, &(socklen_t){ sizeof(int) }) == 0)
		ck_assert_uint_eq(count_pidfds(), 1);
	close(fd);
	fixture_stop(&fixture);
}
END_TEST

static pid_t hidden_pid;

static void hide_one(void *userdata)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", (int)hidden_pid);
	if (fixture_own_mounts(0) < 0 || mount("tmpfs", path, "tmpfs", 0, "size=4K") < 0)
		_exit(77);
	refuse_pidfds(userdata);
}

/* Its pid may be another's by now, and nothing tells: unverifiable, until there is no such pid. */
START_TEST(test_adopted_that_is_hidden_and_has_no_pidfd_is_unverifiable)
{
	struct segment *segment;
	struct victim victim;
	bool older = true;

	fixture_start(&fixture);
	victim_start(&victim, &fixture, 10);
	segment = wire_map(&victim.welcome);
	fixture_kill(&fixture);
	hidden_pid = victim.pid;
	fixture.in_child = hide_one;
	fixture.userdata = &older;
	fixture_start(&fixture);
	wait_until(is_unverifiable, segment, 30000);
	ck_assert(fixture_log_has(&fixture, "or hidden; it keeps what it has"));
	ck_assert_uint_eq(pool_count_used(&segment->pools[0]), 10);
	victim_kill(&victim);
	expect_reaped(segment);
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
	tcase_add_test(tcase, test_record_has_the_start_of_its_process);
	tcase_add_test(tcase, test_holder_whose_pid_is_used_again_is_dead);
	tcase_add_test(tcase, test_segment_of_junk_is_restored);
	tcase_add_loop_test(tcase, test_dead_holder_that_cannot_be_seen_is_kept_until_forgotten, 0,
			    3);
	tcase_add_loop_test(tcase, test_holder_whose_lock_is_held_cannot_be_forgotten, 0, 3);
	tcase_add_loop_test(tcase, test_death_of_adopted_without_pidfd_is_seen, 0, 2);
	tcase_add_test(tcase, test_death_of_adopted_without_pidfd_is_seen_while_a_zombie);
	tcase_add_loop_test(tcase, test_death_of_newcomer_without_pidfd_open_is_seen, 0, 2);
	tcase_add_test(tcase, test_adopted_that_comes_back_is_seen_by_its_connection);
	if (!skip_unless_root("a process that /proc hides"))
		tcase_add_test(tcase,
			       test_adopted_that_is_hidden_and_has_no_pidfd_is_unverifiable);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
