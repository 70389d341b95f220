/* SPDX-License-Identifier: MIT */
/*
 * test-adoption.c - a daemon starts and finds what another one left
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
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/segments/house.h"
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

/* The header of an object that no daemon has mapped now. */
static struct mempool_header *map_header(uint64_t generation)
{
	struct segment_memory memory = SEGMENT_MEMORY_NULL;
	char path[96];

	fixture_object_path(&fixture, generation, path);
	ck_assert_int_eq(segment_map(path + strlen("/dev/shm"), SEGMENT_READ_WRITE, &memory), 0);
	return memory.base;
}

static bool has_no_first_object(void *userdata)
{
	return !fixture_object_exists(userdata, 1);
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
	for (k = 0; k < segment->geometry.slots_off && k < segment->geometry.pools[0].data_off; k++)
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
	ck_assert_int_eq(truncate(path, (off_t)first.place.size_bytes + more[_i]), 0);
	close(wire_attach(&fixture, 2, &again));
	segment = wire_map(&again);
	segment_free(segment);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq((uint64_t)st.st_size, first.place.size_bytes);
	/* and while there is none. */
	fixture_kill(&fixture);
	ck_assert_int_eq(truncate(path, (off_t)first.place.size_bytes + more[_i]), 0);
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &again));
	ck_assert_mem_eq(&first, &again, sizeof(first));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq((uint64_t)st.st_size, first.place.size_bytes);
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
	fixture_object_path(&fixture, 1, path);
	ck_assert_int_eq(truncate(path, (off_t)first.place.size_bytes - 4096), 0);
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
	ck_assert_int_eq(ftruncate(fd, (off_t)first.place.size_bytes), 0);
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
	memset(map_header(1), 0xff, sizeof(struct mempool_header));
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
	fprintf(file, "  - name: %s\n    mode: \"0666\"\n%s", more.segment, fixture_pools);
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
	tcase_add_test(tcase, test_segment_of_junk_is_restored);
	tcase_add_loop_test(tcase, test_dead_holder_that_cannot_be_seen_is_kept_until_forgotten, 0,
			    3);
	tcase_add_loop_test(tcase, test_holder_whose_lock_is_held_cannot_be_forgotten, 0, 3);
	tcase_add_loop_test(tcase, test_death_of_adopted_without_pidfd_is_seen, 0, 2);
	tcase_add_test(tcase, test_death_of_adopted_without_pidfd_is_seen_while_a_zombie);
	tcase_add_loop_test(tcase, test_death_of_newcomer_without_pidfd_open_is_seen, 0, 2);
	tcase_add_test(tcase, test_adopted_that_comes_back_is_seen_by_its_connection);
	tcase_add_test(tcase, test_second_daemon_is_refused);
	tcase_add_test(tcase, test_state_folder_that_others_may_write_is_refused);
	tcase_add_test(tcase, test_two_daemons_of_one_segment_name_do_not_touch_each_other);
	tcase_add_test(tcase, test_object_without_state_is_removed);
	tcase_add_loop_test(tcase, test_object_without_state_of_a_segment_that_left_is_removed, 0,
			    2);
	tcase_add_test(tcase, test_object_that_is_not_ours_is_left);
	tcase_add_test(tcase, test_hard_link_to_a_segment_is_removed);
	tcase_add_test(tcase, test_remove_believes_nothing_of_the_object);
	tcase_add_loop_test(tcase, test_state_lost_under_a_living_client_leaves_its_segment, 0, 3);
	tcase_add_test(tcase, test_state_of_another_shm_is_left);
	tcase_add_loop_test(tcase, test_enlarged_object_is_cut_back, 0, 2);
	tcase_add_test(tcase, test_object_truncated_without_daemon_is_lost);
	tcase_add_test(tcase, test_object_that_was_replaced_is_not_adopted);
	tcase_add_test(tcase, test_unlinked_object_is_replaced_for_new_clients);
	tcase_add_test(tcase, test_segment_that_cannot_be_made_fails_alone);
	tcase_add_test(tcase, test_object_with_other_mode_is_given_it);
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
	tcase_add_test(tcase, test_remove_takes_what_nobody_lives_in);
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
