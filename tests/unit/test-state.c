/* SPDX-License-Identifier: MIT */
/* test-state.c - the state file of a generation: written, read back, and damaged in every way */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/origin.h"
#include "daemon/base/process.h"
#include "daemon/segments/adopt.h"
#include "daemon/segments/state.h"
#include "test_segment.h"

#define FILE_NAME "test.7.state"
#define HOLDER 40

static char path[] = "/tmp/mempool-state-XXXXXX";
static int folder;
static struct config shape;
static struct segment_identity identity;
static struct state_object objects[GEOMETRY_N_OBJECTS];
static struct state *state;

static void setup(void)
{
	static const struct test_pool pools[] = {
		{ .chunk_size = 100, .n_chunks = 70, .alignment = 128, .cache = 3 },
		{ .chunk_size = 5000, .n_chunks = 3 },
	};

	ck_assert_ptr_nonnull(mkdtemp(path));
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(folder, 0);
	test_config_init(&shape, pools, 2);
	shape.pools[shape.n_pools - 1].is_exclusive = true;
	ck_assert_int_eq(config_add_reserve(&shape, 1), 0);
	shape.fallback = false;
	shape.traces = true;
	ck_assert_int_eq(config_add_ring(&shape, "frames", MEMPOOL_RING_QUEUE, 8), 0);
	ck_assert_int_eq(config_add_ring(&shape, "camera", MEMPOOL_RING_TOPIC, 4), 0);
	ck_assert_int_eq(segment_identity_init(&identity, 7), 0);
	objects[GEOMETRY_CONTROL] = (struct state_object){
		.shm_name = "/mempool-test.7.0123456789abcdef.fedcba9876543210",
		.device = 11,
		.inode = 12,
		.size_bytes = segment_size_bytes(&shape),
	};
	objects[GEOMETRY_DATA] = (struct state_object){
		.shm_name = "/dev/hugepages/mempool-test.7.0123456789abcdef.fedcba9876543210.data",
		.device = 13,
		.inode = 14,
		.size_bytes = segment_size_bytes(&shape) + 1,
	};
	state = NULL;
}

static unsigned int count_files(void)
{
	struct dirent *entry;
	DIR *stream = opendir(path);
	unsigned int n = 0;

	ck_assert_ptr_nonnull(stream);
	while ((entry = readdir(stream)))
		n += entry->d_name[0] != '.';
	closedir(stream);
	return n;
}

static void teardown(void)
{
	state_free(state);
	config_deinit(&shape);
	unlinkat(folder, FILE_NAME, 0);
	unlinkat(folder, FILE_NAME ".new", 0);
	unlinkat(folder, "test.8.state", 0);
	close(folder);
	rmdir(path);
	strcpy(path + strlen(path) - 6, "XXXXXX");
}

static int create(void)
{
	return state_create(folder, &shape, &identity, objects, &state);
}

/* As the next daemon does. */
static int reopen(void)
{
	state_free(state);
	state = NULL;
	return state_open(folder, FILE_NAME, &state);
}

static const struct state_holder client = {
	.process = {
		.pid = 1234,
		.start_time = UINT64_C(1) << 40,
		.inode = 99,
		.origin = { .boot_id = { 1, [15] = 2 }, .pid_namespace = 3, .init_start_time = 4 },
	},
	.uid = 77,
	.nonce = UINT64_MAX,
	.attached_ns = 5,
	.has_membarrier = true,
	.role = MEMPOOL_WELCOME_READER,
	.bound = { .max_chunks = 8, .max_bytes = UINT64_C(1) << 33 },
	.reserves = UINT64_C(1) << 61 | 4,
	.name = "0123456789012345678901234567890",
};

static void check_client(const struct state_holder *holder)
{
	ck_assert_mem_eq(&holder->process, &client.process, sizeof(client.process));
	ck_assert_uint_eq(holder->uid, 77);
	ck_assert_uint_eq(holder->nonce, UINT64_MAX);
	ck_assert_uint_eq(holder->attached_ns, 5);
	ck_assert_uint_eq(holder->reserves, client.reserves);
	ck_assert(holder->has_membarrier);
	ck_assert_int_eq(holder->role, MEMPOOL_WELCOME_READER);
	ck_assert_uint_eq(holder->bound.max_chunks, 8);
	ck_assert_uint_eq(holder->bound.max_bytes, UINT64_C(1) << 33);
	ck_assert_str_eq(holder->name, client.name);
}

START_TEST(test_state_is_read_back)
{
	struct stat st;

	ck_assert_int_eq(create(), 0);
	ck_assert_int_eq(fstatat(folder, FILE_NAME, &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	/* Its space is taken: nothing that is written later can fail. */
	ck_assert_int_ge(st.st_blocks * 512, st.st_size);
	ck_assert_uint_eq(count_files(), 1);
	ck_assert_int_eq(reopen(), 0);
	ck_assert_str_eq(state->file_name, FILE_NAME);
	ck_assert(state->is_our_layout);
	ck_assert(!state_has_claims(state));
	ck_assert_mem_eq(&state->identity.generation, &identity.generation, 8);
	ck_assert_uint_eq(state->identity.segment_id, identity.segment_id);
	ck_assert_uint_eq(state->identity.created_ns, identity.created_ns);
	ck_assert_uint_eq(state->identity.generation_seed, identity.generation_seed);
	for (int i = 0; i < GEOMETRY_N_OBJECTS; i++) {
		ck_assert_str_eq(state->objects[i].shm_name, objects[i].shm_name);
		ck_assert_uint_eq(state->objects[i].device, objects[i].device);
		ck_assert_uint_eq(state->objects[i].inode, objects[i].inode);
		ck_assert_uint_eq(state->objects[i].size_bytes, objects[i].size_bytes);
	}
	ck_assert_uint_eq(state->n_holders, config_n_holders(&shape));
	ck_assert(config_is_same(&state->shape, &shape));
	ck_assert(!state_is_retired(state));
	state_retire(state);
	state_set_claims(state, true);
	ck_assert_int_eq(reopen(), 0);
	ck_assert(state_is_retired(state));
	ck_assert(state_has_claims(state));
	state_set_claims(state, false);
	ck_assert(!state_has_claims(state));
	ck_assert_int_eq(state_unlink(folder, state), 0);
	ck_assert_uint_eq(count_files(), 0);
}
END_TEST

/* ---- who lives in it ---- */

static unsigned int n_looks;

int __wrap_process_open(const struct process *process, const struct origin *origin,
			int *ret_pidfd);
int __real_process_open(const struct process *process, const struct origin *origin,
			int *ret_pidfd);

int __wrap_process_open(const struct process *process, const struct origin *origin,
			int *ret_pidfd)
{
	n_looks++;
	return __real_process_open(process, origin, ret_pidfd);
}

/* As many as there is room for, of one process; it is looked at once. */
START_TEST(test_state_living_of_one_process_are_counted_by_one_look)
{
	struct state_holder holder = client;
	struct origin origin;
	uint32_t n = 0;
	int lowest;

	origin_init(&origin);
	holder.process = (struct process){ .pid = getpid(), .origin = origin };
	ck_assert_int_eq(origin_start_time(getpid(), &holder.process.start_time), 0);
	ck_assert_int_eq(create(), 0);
	ck_assert_uint_eq(adopt_count_living(state, &origin, UINT32_MAX), 0);
	ck_assert_uint_eq(n_looks, 0);
	for (uint32_t id = HOLDER; id < state->n_holders; id++, n++)
		state_admit(state, id, &holder);
	ck_assert_uint_gt(n, 50);
	ck_assert_uint_eq(adopt_count_living(state, &origin, UINT32_MAX), n);
	ck_assert_uint_eq(n_looks, 1);

	/* Whether there is one at all, is known with the first. */
	holder.process.start_time -= 100;
	state_admit(state, HOLDER - 2, &holder);
	state_admit(state, HOLDER - 1, &holder);
	n_looks = 0;
	ck_assert_uint_eq(adopt_count_living(state, &origin, 1), 1);
	ck_assert_uint_eq(n_looks, 2);
	ck_assert_uint_eq(adopt_count_living(state, &origin, UINT32_MAX), n);

	/* And nothing is left open. */
	lowest = dup(folder);
	ck_assert_int_eq(lowest, folder + 1);
	close(lowest);
}
END_TEST

START_TEST(test_state_holder_lives_ends_and_is_released)
{
	struct state_holder holder;

	ck_assert_int_eq(create(), 0);
	state_read(state, HOLDER, &holder);
	ck_assert_uint_eq(holder.state, MEMPOOL_HOLDER_FREE);
	ck_assert_uint_eq(state_admit(state, HOLDER, &client), 1);
	ck_assert_int_eq(reopen(), 0);
	state_read(state, HOLDER, &holder);
	ck_assert_uint_eq(holder.state, MEMPOOL_HOLDER_LIVE);
	ck_assert_uint_eq(holder.incarnation, 1);
	check_client(&holder);
	state_end(state, HOLDER);
	ck_assert_int_eq(reopen(), 0);
	state_read(state, HOLDER, &holder);
	ck_assert_uint_eq(holder.state, MEMPOOL_HOLDER_REAPING);
	ck_assert_uint_eq(holder.incarnation, 1);
	check_client(&holder);
	state_release(state, HOLDER);
	ck_assert_int_eq(reopen(), 0);
	state_read(state, HOLDER, &holder);
	ck_assert_uint_eq(holder.state, MEMPOOL_HOLDER_FREE);
	ck_assert_uint_eq(state_admit(state, HOLDER, &client), 2);
	state_read(state, HOLDER + 1, &holder);
	ck_assert_uint_eq(holder.state, MEMPOOL_HOLDER_FREE);
}
END_TEST

START_TEST(test_state_holder_moves_to_another_process)
{
	struct process process = client.process;
	struct state_holder holder;

	ck_assert_int_eq(create(), 0);
	state_admit(state, HOLDER, &client);
	process.pid = 4321;
	process.origin.pid_namespace = 33;
	state_move_process(state, HOLDER, &process);
	ck_assert_int_eq(reopen(), 0);
	state_read(state, HOLDER, &holder);
	ck_assert_uint_eq(holder.state, MEMPOOL_HOLDER_LIVE);
	ck_assert_mem_eq(&holder.process, &process, sizeof(process));
	ck_assert_uint_eq(holder.nonce, UINT64_MAX);
}
END_TEST

START_TEST(test_state_no_such_holder_is_free)
{
	struct state_holder holder;

	ck_assert_int_eq(create(), 0);
	state_read(state, state->n_holders, &holder);
	ck_assert_uint_eq(holder.state, MEMPOOL_HOLDER_FREE);
	state_read(state, UINT32_MAX, &holder);
	ck_assert_uint_eq(holder.state, MEMPOOL_HOLDER_FREE);
}
END_TEST

/* Killed before the rename, and once more at the same place. */
START_TEST(test_state_half_made_is_replaced)
{
	ck_assert_int_eq(symlinkat("/etc/passwd", folder, FILE_NAME ".new"), 0);
	ck_assert_int_eq(create(), 0);
	ck_assert_uint_eq(count_files(), 1);
	ck_assert_int_eq(reopen(), 0);
}
END_TEST

START_TEST(test_state_without_room_leaves_nothing)
{
	/* As where the folder is full: no file may have more than that. */
	const struct rlimit limit = { .rlim_cur = 4096, .rlim_max = 4096 };
	int r;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	r = create();
	ck_assert_msg(r == -EFBIG || r == -ENOSPC, "%d", r);
	ck_assert_uint_eq(count_files(), 0);
}
END_TEST

/* ---- damage ---- */

static void rewrite(off_t offset, const void *bytes, size_t size)
{
	int fd = openat(folder, FILE_NAME, O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, bytes, size, offset), (ssize_t)size);
	close(fd);
}

static void use(void)
{
	struct state_holder holder;

	for (uint32_t id = 0; id < state->n_holders; id++)
		state_read(state, id, &holder);
}

START_TEST(test_state_truncated_anywhere_ebadmsg)
{
	char file_path[64];
	struct stat st;

	ck_assert_int_eq(create(), 0);
	snprintf(file_path, sizeof(file_path), "%s/" FILE_NAME, path);
	ck_assert_int_eq(stat(file_path, &st), 0);
	for (off_t size = st.st_size - 1; size >= 0; size -= size > 2000 ? 1000 : 1) {
		ck_assert_int_eq(truncate(file_path, size), 0);
		ck_assert_int_eq(reopen(), -EBADMSG);
	}
}
END_TEST

/* Whatever a flipped bit makes of it: it is refused, or can be used. */
START_TEST(test_state_flipped_bit_is_survived)
{
	unsigned char byte, flipped;
	unsigned int n_refused = 0;
	struct stat st;
	int fd, r;

	ck_assert_int_eq(create(), 0);
	state_admit(state, HOLDER, &client);
	fd = openat(folder, FILE_NAME, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(fstat(fd, &st), 0);
	/* All of the header and of the shape, and here and there of the records. */
	for (off_t at = 0; at < st.st_size; at += at > 1000 && at < st.st_size - 200 ? 61 : 1) {
		ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
		for (int bit = 0; bit < 8; bit++) {
			flipped = byte ^ (unsigned char)(1 << bit);
			ck_assert_int_eq(pwrite(fd, &flipped, 1, at), 1);
			r = reopen();
			if (r == 0)
				use();
			else
				n_refused++;
		}
		ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	}
	close(fd);
	ck_assert_uint_gt(n_refused, 500);
	ck_assert_int_eq(reopen(), 0);
}
END_TEST

START_TEST(test_state_of_another_version_is_told_apart)
{
	const uint32_t version = 77;

	ck_assert_int_eq(create(), 0);
	rewrite(8, &version, sizeof(version));
	ck_assert_int_eq(reopen(), -EPROTONOSUPPORT);
	rewrite(0, "x", 1);
	ck_assert_int_eq(reopen(), -EBADMSG);
}
END_TEST

START_TEST(test_state_backing_is_of_both_objects)
{
	for (int i = 0; i < GEOMETRY_N_OBJECTS; i++) {
		objects[i].backing = SEGMENT_MEMFD;
		if (i + 1 < GEOMETRY_N_OBJECTS)
			ck_assert_int_eq(state_create(folder, &shape, &identity, objects, &state),
					 -EBADMSG);
	}
	ck_assert_int_eq(state_create(folder, &shape, &identity, objects, &state), 0);
	state_free(state);
	state = NULL;
	ck_assert_int_eq(state_open(folder, FILE_NAME, &state), 0);
	ck_assert_int_eq(state_backing(state), SEGMENT_MEMFD);
	ck_assert_int_eq(state->objects[GEOMETRY_DATA].backing, SEGMENT_MEMFD);
}
END_TEST

/* Of another layout: who lives there can be told, the shape cannot. */
START_TEST(test_state_of_another_layout_keeps_its_holders)
{
	const uint16_t major = MEMPOOL_LAYOUT_MAJOR + 1;
	const uint32_t n_pools = UINT32_MAX;
	struct state_holder holder;

	ck_assert_int_eq(create(), 0);
	state_admit(state, HOLDER, &client);
	rewrite(28, &major, sizeof(major));
	rewrite(388, &n_pools, sizeof(n_pools));
	ck_assert_int_eq(reopen(), 0);
	ck_assert(!state->is_our_layout);
	state_read(state, HOLDER, &holder);
	check_client(&holder);
}
END_TEST

START_TEST(test_state_under_another_name_ebadmsg)
{
	ck_assert_int_eq(create(), 0);
	ck_assert_int_eq(linkat(folder, FILE_NAME, folder, "test.8.state", 0), 0);
	ck_assert_int_eq(state_open(folder, "test.8.state", &state), -EBADMSG);
	ck_assert_int_eq(reopen(), 0);
}
END_TEST

START_TEST(test_state_that_is_no_file_ebadmsg)
{
	ck_assert_int_eq(state_open(folder, FILE_NAME, &state), -ENOENT);
	ck_assert_int_eq(mkfifoat(folder, FILE_NAME, 0600), 0);
	ck_assert_int_eq(state_open(folder, FILE_NAME, &state), -EBADMSG);
	unlinkat(folder, FILE_NAME, 0);
	ck_assert_int_eq(symlinkat("/etc/passwd", folder, FILE_NAME), 0);
	ck_assert_int_eq(state_open(folder, FILE_NAME, &state), -EBADMSG);
	/* To one that is whole, too. */
	unlinkat(folder, FILE_NAME, 0);
	ck_assert_int_eq(create(), 0);
	ck_assert_int_eq(renameat(folder, FILE_NAME, folder, "test.8.state"), 0);
	ck_assert_int_eq(symlinkat("test.8.state", folder, FILE_NAME), 0);
	ck_assert_int_eq(reopen(), -EBADMSG);
}
END_TEST

/* More holders than there are records, or more chunks than the object has room for. */
START_TEST(test_state_whose_shape_does_not_fit_ebadmsg)
{
	const uint32_t max_clients = (uint32_t)shape.max_clients + 64;
	const uint64_t n_chunks = shape.pools[0].n_chunks + 4096;
	uint64_t pools_off;
	int fd;

	ck_assert_int_eq(create(), 0);
	fd = openat(folder, FILE_NAME, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(pread(fd, &pools_off, sizeof(pools_off), 416), sizeof(pools_off));
	close(fd);
	rewrite((off_t)pools_off + 8, &n_chunks, sizeof(n_chunks));
	ck_assert_int_eq(reopen(), -EBADMSG);
	rewrite((off_t)pools_off + 8, &shape.pools[0].n_chunks, sizeof(n_chunks));
	ck_assert_int_eq(reopen(), 0);
	rewrite(396, &max_clients, sizeof(max_clients));
	ck_assert_int_eq(reopen(), -EBADMSG);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_state_is_read_back);
	tcase_add_test(tcase, test_state_living_of_one_process_are_counted_by_one_look);
	tcase_add_test(tcase, test_state_holder_lives_ends_and_is_released);
	tcase_add_test(tcase, test_state_holder_moves_to_another_process);
	tcase_add_test(tcase, test_state_no_such_holder_is_free);
	tcase_add_test(tcase, test_state_half_made_is_replaced);
	tcase_add_test(tcase, test_state_without_room_leaves_nothing);
	tcase_add_test(tcase, test_state_backing_is_of_both_objects);
	tcase_add_test(tcase, test_state_truncated_anywhere_ebadmsg);
	tcase_add_test(tcase, test_state_flipped_bit_is_survived);
	tcase_add_test(tcase, test_state_of_another_version_is_told_apart);
	tcase_add_test(tcase, test_state_of_another_layout_keeps_its_holders);
	tcase_add_test(tcase, test_state_under_another_name_ebadmsg);
	tcase_add_test(tcase, test_state_that_is_no_file_ebadmsg);
	tcase_add_test(tcase, test_state_whose_shape_does_not_fit_ebadmsg);
}

int main(void)
{
	return test_run("state", add_tests);
}
