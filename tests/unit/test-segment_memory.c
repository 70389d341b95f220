/* SPDX-License-Identifier: MIT */
/* test-segment_memory.c - objects made, opened and mapped; every way it can go wrong */
#include "test_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct segment_permissions private_perms = { .mode = 0600, .group = (gid_t)-1 };
/* Of no page. */
static const uint64_t size = 100000;

static struct segment_memory memory;
static char name[64];

static void setup(void)
{
	memory = SEGMENT_MEMORY_NULL;
	test_shm_name(name);
	ck_assert_uint_eq(test_shm_count(), 0);
}

static void teardown(void)
{
	segment_memory_deinit(&memory);
	shm_unlink(name);
	ck_assert_uint_eq(test_shm_count(), 0);
}

static int create(enum segment_access access, enum segment_open_mode mode)
{
	return segment_create(name, size, access, mode, &private_perms, NULL, NULL, &memory);
}

static void make(void)
{
	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_CREATE), 0);
}

/* ---- open modes ---- */

START_TEST(test_create_new_is_zeroed_and_whole)
{
	struct stat st;

	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_CREATE), 0);
	ck_assert(memory.created);
	ck_assert_uint_eq(memory.size, size);
	ck_assert_int_eq(fstat(memory.fd, &st), 0);
	ck_assert_uint_eq((uint64_t)st.st_size, size);
	/* Its space is taken now, not when it is touched. */
	ck_assert_uint_ge((uint64_t)st.st_blocks * 512, size);
	ck_assert_uint_eq(memory.inode, st.st_ino);
	ck_assert_uint_eq(memory.device, st.st_dev);
	ck_assert_int_eq(fcntl(memory.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	for (uint64_t i = 0; i < size; i++)
		ck_assert_uint_eq(((unsigned char *)memory.base)[i], 0);
}
END_TEST

START_TEST(test_create_existing_eexist_left_alone)
{
	struct segment_memory second = SEGMENT_MEMORY_NULL;

	make();
	ck_assert_int_eq(segment_create(name, size, SEGMENT_READ_WRITE, SEGMENT_CREATE,
					&private_perms, NULL, NULL, &second), -EEXIST);
	ck_assert_ptr_null(second.base);
	ck_assert_int_eq(segment_map(name, SEGMENT_READ_WRITE, &second), 0);
	ck_assert_uint_eq(second.inode, memory.inode);
	segment_memory_deinit(&second);
}
END_TEST

START_TEST(test_open_missing_enoent_nothing_made)
{
	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_OPEN), -ENOENT);
	ck_assert_int_eq(create(SEGMENT_READ_ONLY, SEGMENT_OPEN), -ENOENT);
	ck_assert_int_eq(segment_map(name, SEGMENT_READ_WRITE, &memory), -ENOENT);
	ck_assert_uint_eq(test_shm_count(), 0);
}
END_TEST

START_TEST(test_open_existing_gets_it)
{
	struct segment_memory second = SEGMENT_MEMORY_NULL;

	make();
	ck_assert_int_eq(segment_create(name, size, SEGMENT_READ_WRITE, SEGMENT_OPEN,
					&private_perms, NULL, NULL, &second), 0);
	ck_assert(!second.created);
	ck_assert_uint_eq(second.inode, memory.inode);
	segment_memory_deinit(&second);
}
END_TEST

START_TEST(test_open_existing_too_short_enodata)
{
	struct segment_memory second = SEGMENT_MEMORY_NULL;

	make();
	ck_assert_int_eq(segment_create(name, size + 1, SEGMENT_READ_WRITE, SEGMENT_OPEN,
					&private_perms, NULL, NULL, &second), -ENODATA);
	ck_assert_int_eq(segment_create(name, size + 1, SEGMENT_READ_WRITE,
					SEGMENT_OPEN_OR_CREATE, &private_perms, NULL, NULL,
					&second), -ENODATA);
	ck_assert_ptr_null(second.base);
	ck_assert_int_eq(second.fd, -1);
}
END_TEST

START_TEST(test_open_or_create_creates_then_opens)
{
	struct segment_memory second = SEGMENT_MEMORY_NULL;

	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_OPEN_OR_CREATE), 0);
	ck_assert(memory.created);
	ck_assert_int_eq(segment_create(name, size, SEGMENT_READ_WRITE, SEGMENT_OPEN_OR_CREATE,
					&private_perms, NULL, NULL, &second), 0);
	ck_assert(!second.created);
	ck_assert_uint_eq(second.inode, memory.inode);
	segment_memory_deinit(&second);
}
END_TEST

enum { N_RACERS = 4, N_RACES = 300 };

static pthread_barrier_t start_line;
static struct segment_memory raced[N_RACERS];

static void *race(void *userdata)
{
	struct segment_memory *mine = userdata;

	pthread_barrier_wait(&start_line);
	return (void *)(intptr_t)segment_create(name, size, SEGMENT_READ_WRITE,
						SEGMENT_OPEN_OR_CREATE, &private_perms, NULL,
						NULL, mine);
}

START_TEST(test_open_or_create_raced_one_creates_all_get_it)
{
	pthread_barrier_init(&start_line, NULL, N_RACERS);
	for (int n = 0; n < N_RACES; n++) {
		pthread_t threads[N_RACERS];
		int n_created = 0;
		void *r;

		for (int i = 0; i < N_RACERS; i++)
			ck_assert_int_eq(pthread_create(&threads[i], NULL, race, &raced[i]), 0);
		for (int i = 0; i < N_RACERS; i++) {
			pthread_join(threads[i], &r);
			ck_assert_int_eq((int)(intptr_t)r, 0);
			n_created += raced[i].created;
			ck_assert_uint_eq(raced[i].inode, raced[0].inode);
			ck_assert_uint_eq(raced[i].size, size);
		}
		ck_assert_int_eq(n_created, 1);
		for (int i = 0; i < N_RACERS; i++)
			segment_memory_deinit(&raced[i]);
		shm_unlink(name);
	}
	pthread_barrier_destroy(&start_line);
}
END_TEST

static void *make_slowly(void *userdata)
{
	usleep(100000);
	return (void *)(intptr_t)posix_fallocate(*(int *)userdata, 0, (off_t)size);
}

START_TEST(test_open_or_create_waits_for_who_is_making_it)
{
	int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	pthread_t maker;
	void *r;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pthread_create(&maker, NULL, make_slowly, &fd), 0);
	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_OPEN_OR_CREATE), 0);
	ck_assert(!memory.created);
	ck_assert_uint_eq(memory.size, size);
	pthread_join(maker, &r);
	ck_assert_ptr_null(r);
	close(fd);
}
END_TEST

START_TEST(test_purge_and_create_is_a_new_one)
{
	struct segment_memory second = SEGMENT_MEMORY_NULL;

	/* Also where there is nothing to purge. */
	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_PURGE_AND_CREATE), 0);
	((unsigned char *)memory.base)[100] = 1;
	ck_assert_int_eq(segment_create(name, size, SEGMENT_READ_WRITE,
					SEGMENT_PURGE_AND_CREATE, &private_perms, NULL, NULL,
					&second), 0);
	ck_assert(second.created);
	ck_assert_uint_ne(second.inode, memory.inode);
	ck_assert_uint_eq(((unsigned char *)second.base)[100], 0);
	segment_memory_deinit(&second);
}
END_TEST

START_TEST(test_create_wrong_arguments_einval)
{
	struct segment_permissions perms = { .mode = 04600, .group = (gid_t)-1 };

	ck_assert_int_eq(create(SEGMENT_READ_ONLY, SEGMENT_CREATE), -EINVAL);
	ck_assert_int_eq(create(SEGMENT_READ_ONLY, SEGMENT_OPEN_OR_CREATE), -EINVAL);
	ck_assert_int_eq(create(SEGMENT_READ_ONLY, SEGMENT_PURGE_AND_CREATE), -EINVAL);
	ck_assert_int_eq(segment_create(name, 0, SEGMENT_READ_WRITE, SEGMENT_CREATE,
					&private_perms, NULL, NULL, &memory), -EINVAL);
	ck_assert_int_eq(segment_create(name, UINT64_MAX, SEGMENT_READ_WRITE, SEGMENT_CREATE,
					&private_perms, NULL, NULL, &memory), -EINVAL);
	ck_assert_int_eq(segment_create(name, size, SEGMENT_READ_WRITE, SEGMENT_CREATE,
					&perms, NULL, NULL, &memory), -EINVAL);
	ck_assert_uint_eq(test_shm_count(), 0);
}
END_TEST

static bool refuse_progress(uint64_t done, uint64_t total, void *userdata)
{
	(void)done, (void)total, (void)userdata;
	ck_abort_msg("took space");
	return false;
}

/* Asked before any is taken: or else it would fill the memory of the machine first. */
START_TEST(test_create_more_than_there_is_enospc_at_once)
{
	ck_assert_int_eq(segment_create(name, UINT64_C(1) << 60, SEGMENT_READ_WRITE,
					SEGMENT_CREATE, &private_perms, refuse_progress, NULL,
					&memory), -ENOSPC);
	ck_assert_ptr_null(memory.base);
	ck_assert_uint_eq(test_shm_count(), 0);
}
END_TEST

/* The space cannot be taken after all: by a limit of ours that refuses in the middle. */
START_TEST(test_create_space_not_taken_leaves_nothing)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = size / 2;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_CREATE), -EFBIG);
	ck_assert_ptr_null(memory.base);
	ck_assert_uint_eq(test_shm_count(), 0);
}
END_TEST

static bool count_progress(uint64_t done, uint64_t total, void *userdata)
{
	uint64_t *last = userdata;

	ck_assert_uint_gt(done, *last);
	ck_assert_uint_eq(total, size);
	*last = done;
	return true;
}

START_TEST(test_create_tells_progress)
{
	uint64_t last = 0;

	ck_assert_int_eq(segment_create(name, size, SEGMENT_READ_WRITE, SEGMENT_CREATE,
					&private_perms, count_progress, &last, &memory), 0);
	ck_assert_uint_eq(last, size);
}
END_TEST

static bool give_up(uint64_t done, uint64_t total, void *userdata)
{
	(void)done, (void)total, (void)userdata;
	return false;
}

START_TEST(test_create_given_up_leaves_nothing)
{
	ck_assert_int_eq(segment_create(name, size, SEGMENT_READ_WRITE, SEGMENT_CREATE,
					&private_perms, give_up, NULL, &memory), -ECANCELED);
	ck_assert_ptr_null(memory.base);
	ck_assert_uint_eq(test_shm_count(), 0);
}
END_TEST

/* ---- access and permissions ---- */

static void assert_mode(mode_t mode, mode_t mask)
{
	struct segment_permissions perms = { .mode = mode, .group = getgid() };
	struct stat st;
	mode_t before = umask(mask);

	ck_assert_int_eq(segment_create(name, size, SEGMENT_READ_WRITE,
					SEGMENT_PURGE_AND_CREATE, &perms, NULL, NULL,
					&memory), 0);
	umask(before);
	ck_assert_int_eq(fstat(memory.fd, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, mode);
	ck_assert_uint_eq(st.st_gid, getgid());
	segment_memory_deinit(&memory);
}

START_TEST(test_create_mode_whatever_the_umask)
{
	assert_mode(0600, 0);
	assert_mode(0660, 0777);
	assert_mode(0666, 0077);
	assert_mode(0640, 0022);
}
END_TEST

START_TEST(test_create_group_not_ours_eperm_nothing_left)
{
	struct segment_permissions perms = { .mode = 0660, .group = 12345 };
	int r;

	if (geteuid() == 0) {
		/* Root may give it to any group. */
		struct stat st;

		ck_assert_int_eq(segment_create(name, size, SEGMENT_READ_WRITE, SEGMENT_CREATE,
						&perms, NULL, NULL, &memory), 0);
		ck_assert_int_eq(fstat(memory.fd, &st), 0);
		ck_assert_uint_eq(st.st_gid, 12345);
		ck_assert_uint_eq(st.st_mode & 07777, 0660);
		segment_memory_deinit(&memory);
		ck_assert_int_eq(shm_unlink(name), 0);
		ck_assert_int_eq(seteuid(65534), 0);
	}
	r = segment_create(name, size, SEGMENT_READ_WRITE, SEGMENT_CREATE, &perms, NULL, NULL,
			   &memory);
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(r, -EPERM);
	ck_assert_uint_eq(test_shm_count(), 0);
}
END_TEST

START_TEST(test_map_no_permission_eacces)
{
	make();
	ck_assert_int_eq(fchmod(memory.fd, 0400), 0);
	segment_memory_deinit(&memory);
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	ck_assert_int_eq(segment_map(name, SEGMENT_READ_WRITE, &memory), -EACCES);
	if (getuid() == 0) {
		ck_assert_int_eq(segment_map(name, SEGMENT_READ_ONLY, &memory), -EACCES);
		ck_assert_int_eq(seteuid(0), 0);
	}
}
END_TEST

START_TEST(test_map_read_only_cannot_be_written)
{
	make();
	segment_memory_deinit(&memory);
	ck_assert_int_eq(segment_map(name, SEGMENT_READ_ONLY, &memory), 0);
	ck_assert_int_eq(memory.access, SEGMENT_READ_ONLY);
	ck_assert_int_eq(fcntl(memory.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	ck_assert_int_eq(mprotect(memory.base, memory.size, PROT_READ | PROT_WRITE), -1);
	ck_assert_int_eq(errno, EACCES);
}
END_TEST

START_TEST(test_map_fd_of_other_kinds_is_refused_and_closed)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(segment_map_fd(fds[0], SEGMENT_READ_ONLY, &memory), -EBADF);
	ck_assert_int_eq(fcntl(fds[0], F_GETFD), -1);
	close(fds[1]);

	fds[0] = memfd_create("empty", MFD_CLOEXEC);
	ck_assert_int_eq(segment_map_fd(fds[0], SEGMENT_READ_WRITE, &memory), -ENODATA);
	ck_assert_int_eq(fcntl(fds[0], F_GETFD), -1);

	/* Read-only descriptor, writable mapping. */
	fds[0] = memfd_create("ro", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(fds[0], 4096), 0);
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
	fds[1] = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fds[1], 0);
	close(fds[0]);
	ck_assert_int_eq(segment_map_fd(fds[1], SEGMENT_READ_WRITE, &memory), -EACCES);
	ck_assert_int_eq(fcntl(fds[1], F_GETFD), -1);
}
END_TEST

static void in_dev_shm(char path[96])
{
	snprintf(path, 96, "/dev/shm%s", name);
}

START_TEST(test_map_symlink_is_not_followed)
{
	char path[96];

	in_dev_shm(path);
	ck_assert_int_eq(symlink("/etc/hostname", path), 0);
	ck_assert_int_eq(segment_map(name, SEGMENT_READ_ONLY, &memory), -ELOOP);
	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_CREATE), -EEXIST);
}
END_TEST

START_TEST(test_map_fifo_is_refused_without_waiting)
{
	char path[96];

	/* Whoever may write to /dev/shm can put one there; an open that blocks does not end. */
	in_dev_shm(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(segment_map(name, SEGMENT_READ_ONLY, &memory), -EBADF);
	ck_assert_int_eq(segment_map(name, SEGMENT_READ_WRITE, &memory), -EBADF);
}
END_TEST

START_TEST(test_memory_deinit_null_and_twice)
{
	make();
	segment_memory_deinit(&memory);
	ck_assert_ptr_null(memory.base);
	segment_memory_deinit(&memory);
	segment_memory_deinit(NULL);
}
END_TEST

/*
 * A machine on which signals come before any larger piece than that can be had. (Linux before
 * 6.18 ends fallocate(2) of a tmpfs for any signal, and then the whole piece is given back.)
 */
static bool interrupt_pieces_above(uint32_t bytes)
{
	struct sock_filter lines[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fallocate, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[3])),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, bytes, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINTR),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { ARRAY_SIZE(lines), lines };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

/* Asked for again as a whole, it would never end. */
START_TEST(test_create_under_a_storm_of_signals_ends)
{
	const uint64_t large = UINT64_C(32) << 20;
	struct stat st;

	if (!interrupt_pieces_above(1 << 20)) {
		printf("skipped: no seccomp filters here\n");
		return;
	}
	ck_assert_int_eq(segment_create(name, large, SEGMENT_READ_WRITE, SEGMENT_CREATE,
					&private_perms, NULL, NULL, &memory), 0);
	ck_assert_int_eq(fstat(memory.fd, &st), 0);
	ck_assert_uint_ge((uint64_t)st.st_blocks * 512, large);
}
END_TEST

static bool is_mapped(unsigned char *base, uint64_t off)
{
	return msync(base + off, MEMPOOL_PAGE_BYTES, MS_ASYNC) == 0;
}

/* From its end, what is no whole piece first; then only the descriptor is left. */
START_TEST(test_unmap_goes_piece_by_piece)
{
	int fd = memfd_create("pieces", MFD_CLOEXEC);
	unsigned char *base;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 2 * PAGES_PIECE_BYTES + 5000), 0);
	ck_assert_int_eq(segment_map_fd(fd, SEGMENT_READ_WRITE, &memory), 0);
	base = memory.base;
	ck_assert(segment_memory_unmap_piece(&memory));
	ck_assert(!is_mapped(base, 2 * PAGES_PIECE_BYTES));
	ck_assert(is_mapped(base, 2 * PAGES_PIECE_BYTES - MEMPOOL_PAGE_BYTES));
	ck_assert(segment_memory_unmap_piece(&memory));
	ck_assert(!is_mapped(base, PAGES_PIECE_BYTES));
	ck_assert(is_mapped(base, PAGES_PIECE_BYTES - MEMPOOL_PAGE_BYTES));
	ck_assert(!segment_memory_unmap_piece(&memory));
	ck_assert(!is_mapped(base, 0));
	ck_assert_ptr_null(memory.base);
	ck_assert(!segment_memory_unmap_piece(&memory));
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	segment_memory_deinit(&memory);
	ck_assert_int_lt(fcntl(fd, F_GETFD), 0);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_unmap_goes_piece_by_piece);
	tcase_add_test(tcase, test_create_new_is_zeroed_and_whole);
	tcase_add_test(tcase, test_create_existing_eexist_left_alone);
	tcase_add_test(tcase, test_open_missing_enoent_nothing_made);
	tcase_add_test(tcase, test_open_existing_gets_it);
	tcase_add_test(tcase, test_open_existing_too_short_enodata);
	tcase_add_test(tcase, test_open_or_create_creates_then_opens);
	tcase_add_test(tcase, test_open_or_create_raced_one_creates_all_get_it);
	tcase_add_test(tcase, test_open_or_create_waits_for_who_is_making_it);
	tcase_add_test(tcase, test_purge_and_create_is_a_new_one);
	tcase_add_test(tcase, test_create_wrong_arguments_einval);
	tcase_add_test(tcase, test_create_more_than_there_is_enospc_at_once);
	tcase_add_test(tcase, test_create_space_not_taken_leaves_nothing);
	tcase_add_test(tcase, test_create_tells_progress);
	tcase_add_test(tcase, test_create_given_up_leaves_nothing);
	tcase_add_test(tcase, test_create_under_a_storm_of_signals_ends);
	tcase_add_test(tcase, test_create_mode_whatever_the_umask);
	tcase_add_test(tcase, test_create_group_not_ours_eperm_nothing_left);
	tcase_add_test(tcase, test_map_no_permission_eacces);
	tcase_add_test(tcase, test_map_read_only_cannot_be_written);
	tcase_add_test(tcase, test_map_fd_of_other_kinds_is_refused_and_closed);
	tcase_add_test(tcase, test_map_symlink_is_not_followed);
	tcase_add_test(tcase, test_map_fifo_is_refused_without_waiting);
	tcase_add_test(tcase, test_memory_deinit_null_and_twice);
}

int main(void)
{
	return test_run("segment_memory", add_tests);
}
