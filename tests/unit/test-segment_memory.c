/* SPDX-License-Identifier: MIT */
/* test-segment_memory.c - objects made, opened and mapped; every way it can go wrong */
#include "test_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "build_config.h"

static const struct segment_permissions private_perms = { .mode = 0600, .group = (gid_t)-1 };

static struct config config;
static struct geometry geometry;
static struct segment_memory memory;
static char name[64];

static void setup(void)
{
	static const struct test_pool pools[] = {
		{ .chunk_size = 100, .n_chunks = 300 },
		{ .chunk_size = 3000, .n_chunks = 10 },
	};

	test_config_init(&config, pools, 2);
	ck_assert_int_eq(geometry_init(&geometry, &config), 0);
	memory = SEGMENT_MEMORY_NULL;
	test_shm_name(name);
	ck_assert_uint_eq(test_shm_count(), 0);
}

static void teardown(void)
{
	segment_memory_deinit(&memory);
	segment_unlink(name);
	ck_assert_uint_eq(test_shm_count(), 0);
}

static int create(enum segment_access access, enum segment_open_mode mode)
{
	return segment_create(name, &config, access, mode, &private_perms, NULL, NULL, &memory);
}

static int open_again(struct segment_memory *ret_memory)
{
	return segment_create(name, &config, SEGMENT_READ_WRITE, SEGMENT_OPEN, &private_perms,
			      NULL, NULL, ret_memory);
}

static void make(void)
{
	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_CREATE), 0);
}

/* ---- open modes ---- */

static void assert_taken(int fd, uint64_t size)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq((uint64_t)st.st_size, size);
	/* Its space is taken now, not when it is touched. */
	ck_assert_uint_ge((uint64_t)st.st_blocks * 512, size);
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

START_TEST(test_create_new_is_zeroed_and_whole)
{
	struct stat st;

	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_CREATE), 0);
	ck_assert(memory.created);
	ck_assert_uint_eq(memory.size, geometry.total_size);
	ck_assert_uint_eq(test_shm_count(), 2);
	assert_taken(memory.fd, geometry.control_bytes);
	assert_taken(memory.data_fd, geometry.data_bytes);
	ck_assert_int_eq(fstat(memory.fd, &st), 0);
	ck_assert_uint_eq(memory.inode, st.st_ino);
	ck_assert_uint_eq(memory.device, st.st_dev);
	for (uint64_t i = 0; i < memory.size; i++)
		ck_assert_uint_eq(((unsigned char *)memory.base)[i], 0);
}
END_TEST

START_TEST(test_create_existing_eexist_left_alone)
{
	struct segment_memory second = SEGMENT_MEMORY_NULL;

	make();
	ck_assert_int_eq(segment_create(name, &config, SEGMENT_READ_WRITE, SEGMENT_CREATE,
					&private_perms, NULL, NULL, &second), -EEXIST);
	ck_assert_ptr_null(second.base);
	ck_assert_uint_eq(test_shm_count(), 2);
	ck_assert_int_eq(open_again(&second), 0);
	ck_assert_uint_eq(second.inode, memory.inode);
	segment_memory_deinit(&second);
}
END_TEST

START_TEST(test_open_missing_enoent_nothing_made)
{
	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_OPEN), -ENOENT);
	ck_assert_int_eq(create(SEGMENT_READ_ONLY, SEGMENT_OPEN), -ENOENT);
	ck_assert_int_eq(segment_open_object(name, SEGMENT_READ_WRITE), -ENOENT);
	ck_assert_int_eq(segment_open_data(name, SEGMENT_READ_WRITE), -ENOENT);
	ck_assert_uint_eq(test_shm_count(), 0);
}
END_TEST

START_TEST(test_open_existing_gets_it)
{
	struct segment_memory second = SEGMENT_MEMORY_NULL;

	make();
	ck_assert_int_eq(segment_create(name, &config, SEGMENT_READ_WRITE, SEGMENT_OPEN,
					&private_perms, NULL, NULL, &second), 0);
	ck_assert(!second.created);
	ck_assert_uint_eq(second.inode, memory.inode);
	segment_memory_deinit(&second);
}
END_TEST

/* Of control or of data: both are asked. */
START_TEST(test_open_existing_too_short_enodata)
{
	struct segment_memory second = SEGMENT_MEMORY_NULL;
	struct config larger = config;

	make();
	if (_i == 0)
		larger.pools[0].n_chunks += 100;
	else
		larger.pools[1].chunk_size += 2000;
	ck_assert_int_eq(segment_create(name, &larger, SEGMENT_READ_WRITE, SEGMENT_OPEN,
					&private_perms, NULL, NULL, &second), -ENODATA);
	ck_assert_int_eq(segment_create(name, &larger, SEGMENT_READ_WRITE,
					SEGMENT_OPEN_OR_CREATE, &private_perms, NULL, NULL,
					&second), -ENODATA);
	ck_assert_ptr_null(second.base);
	ck_assert_int_eq(second.fd, -1);
}
END_TEST

/* A maker was killed between the two names, or somebody has removed one. */
START_TEST(test_open_without_data_enodata)
{
	struct segment_memory second = SEGMENT_MEMORY_NULL;
	char data[80];

	make();
	snprintf(data, sizeof(data), "%s.data", name);
	ck_assert_int_eq(shm_unlink(data), 0);
	ck_assert_int_eq(open_again(&second), -ENODATA);
	ck_assert_ptr_null(second.base);
}
END_TEST

START_TEST(test_create_data_existing_eexist_nothing_left)
{
	char data[80];

	snprintf(data, sizeof(data), "%s.data", name);
	close(shm_open(data, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_CREATE), -EEXIST);
	ck_assert_int_eq(segment_open_object(name, SEGMENT_READ_ONLY), -ENOENT);
	ck_assert_uint_eq(test_shm_count(), 1);
	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_PURGE_AND_CREATE), 0);
}
END_TEST

START_TEST(test_open_or_create_creates_then_opens)
{
	struct segment_memory second = SEGMENT_MEMORY_NULL;

	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_OPEN_OR_CREATE), 0);
	ck_assert(memory.created);
	ck_assert_int_eq(segment_create(name, &config, SEGMENT_READ_WRITE, SEGMENT_OPEN_OR_CREATE,
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
	return (void *)(intptr_t)segment_create(name, &config, SEGMENT_READ_WRITE,
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
			ck_assert_uint_eq(raced[i].size, geometry.total_size);
		}
		ck_assert_int_eq(n_created, 1);
		for (int i = 0; i < N_RACERS; i++)
			segment_memory_deinit(&raced[i]);
		segment_unlink(name);
	}
	pthread_barrier_destroy(&start_line);
}
END_TEST

/* As somebody makes it, but for the time that it takes. */
static void *make_slowly(void *userdata)
{
	const struct segment_fds *fds = userdata;
	char data[80];
	int fd;

	usleep(50000);
	snprintf(data, sizeof(data), "%s.data", name);
	fd = shm_open(data, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	usleep(50000);
	if (posix_fallocate(fd, 0, (off_t)geometry.data_bytes) != 0)
		return userdata;
	close(fd);
	usleep(50000);
	return (void *)(intptr_t)posix_fallocate(fds->control, 0, (off_t)geometry.control_bytes);
}

START_TEST(test_open_or_create_waits_for_who_is_making_it)
{
	struct segment_fds fds = {
		.control = shm_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600),
	};
	pthread_t maker;
	void *r;

	ck_assert_int_ge(fds.control, 0);
	ck_assert_int_eq(pthread_create(&maker, NULL, make_slowly, &fds), 0);
	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_OPEN_OR_CREATE), 0);
	ck_assert(!memory.created);
	ck_assert_uint_eq(memory.size, geometry.total_size);
	pthread_join(maker, &r);
	ck_assert_ptr_null(r);
	close(fds.control);
}
END_TEST

START_TEST(test_purge_and_create_is_a_new_one)
{
	struct segment_memory second = SEGMENT_MEMORY_NULL;

	/* Also where there is nothing to purge. */
	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_PURGE_AND_CREATE), 0);
	((unsigned char *)memory.base)[100] = 1;
	ck_assert_int_eq(segment_create(name, &config, SEGMENT_READ_WRITE,
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
	struct config none = { .name = "none" }, endless;

	config_init(&endless, "endless");
	for (int i = 0; i < 16; i++)
		config_add_pool(&endless, MEMPOOL_MAX_CHUNK_BYTES - 1,
				MEMPOOL_MAX_CHUNKS_PER_POOL);
	ck_assert_int_eq(create(SEGMENT_READ_ONLY, SEGMENT_CREATE), -EINVAL);
	ck_assert_int_eq(create(SEGMENT_READ_ONLY, SEGMENT_OPEN_OR_CREATE), -EINVAL);
	ck_assert_int_eq(create(SEGMENT_READ_ONLY, SEGMENT_PURGE_AND_CREATE), -EINVAL);
	ck_assert_int_eq(segment_create(name, &none, SEGMENT_READ_WRITE, SEGMENT_CREATE,
					&private_perms, NULL, NULL, &memory), -EINVAL);
	ck_assert_int_eq(segment_create(name, &endless, SEGMENT_READ_WRITE, SEGMENT_CREATE,
					&private_perms, NULL, NULL, &memory), -EOVERFLOW);
	ck_assert_int_eq(segment_create(name, &config, SEGMENT_READ_WRITE, SEGMENT_CREATE,
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
	struct config larger = config;

	larger.pools[1].chunk_size = UINT64_C(1) << 31;
	larger.pools[1].n_chunks = UINT64_C(1) << 26;
	ck_assert_int_eq(segment_create(name, &larger, SEGMENT_READ_WRITE,
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
	limit.rlim_cur = _i == 0 ? geometry.data_bytes / 2 : geometry.control_bytes - 4096;
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
	ck_assert_uint_eq(total, geometry.control_bytes + geometry.data_bytes);
	*last = done;
	return true;
}

START_TEST(test_create_tells_progress)
{
	uint64_t last = 0;

	ck_assert_int_eq(segment_create(name, &config, SEGMENT_READ_WRITE, SEGMENT_CREATE,
					&private_perms, count_progress, &last, &memory), 0);
	ck_assert_uint_eq(last, geometry.control_bytes + geometry.data_bytes);
}
END_TEST

static bool give_up(uint64_t done, uint64_t total, void *userdata)
{
	(void)done, (void)total, (void)userdata;
	return false;
}

START_TEST(test_create_given_up_leaves_nothing)
{
	ck_assert_int_eq(segment_create(name, &config, SEGMENT_READ_WRITE, SEGMENT_CREATE,
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

	ck_assert_int_eq(segment_create(name, &config, SEGMENT_READ_WRITE,
					SEGMENT_PURGE_AND_CREATE, &perms, NULL, NULL,
					&memory), 0);
	umask(before);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(fstat(i ? memory.data_fd : memory.fd, &st), 0);
		ck_assert_uint_eq(st.st_mode & 07777, mode);
		ck_assert_uint_eq(st.st_gid, getgid());
	}
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

		ck_assert_int_eq(segment_create(name, &config, SEGMENT_READ_WRITE, SEGMENT_CREATE,
						&perms, NULL, NULL, &memory), 0);
		for (int i = 0; i < 2; i++) {
			ck_assert_int_eq(fstat(i ? memory.data_fd : memory.fd, &st), 0);
			ck_assert_uint_eq(st.st_gid, 12345);
			ck_assert_uint_eq(st.st_mode & 07777, 0660);
		}
		segment_memory_deinit(&memory);
		ck_assert_int_eq(segment_unlink(name), 0);
		ck_assert_int_eq(seteuid(65534), 0);
	}
	r = segment_create(name, &config, SEGMENT_READ_WRITE, SEGMENT_CREATE, &perms, NULL, NULL,
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
	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_OPEN), -EACCES);
	if (getuid() == 0) {
		ck_assert_int_eq(create(SEGMENT_READ_ONLY, SEGMENT_OPEN), -EACCES);
		ck_assert_int_eq(seteuid(0), 0);
	}
}
END_TEST

START_TEST(test_map_read_only_cannot_be_written)
{
	make();
	segment_memory_deinit(&memory);
	ck_assert_int_eq(create(SEGMENT_READ_ONLY, SEGMENT_OPEN), 0);
	ck_assert_int_eq(memory.access, SEGMENT_READ_ONLY);
	ck_assert_int_eq(fcntl(memory.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	ck_assert_int_eq(fcntl(memory.data_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	ck_assert_int_eq(mprotect(memory.base, memory.size, PROT_READ | PROT_WRITE), -1);
	ck_assert_int_eq(errno, EACCES);
}
END_TEST

/* Map these, and see that they are closed. */
static int map_and_be_closed(struct segment_fds fds)
{
	int r = segment_map_fds(fds, &geometry, SEGMENT_READ_WRITE, SEGMENT_READ_WRITE, &memory);

	ck_assert_int_lt(r, 0);
	ck_assert_ptr_null(memory.base);
	ck_assert_int_eq(fcntl(fds.control, F_GETFD), -1);
	ck_assert_int_eq(fcntl(fds.data, F_GETFD), -1);
	return r;
}

/* In the place of either. */
static int map_with(int fd, bool is_data)
{
	struct segment_fds fds = test_segment_fds(&config);

	close(is_data ? fds.data : fds.control);
	if (is_data)
		fds.data = fd;
	else
		fds.control = fd;
	return map_and_be_closed(fds);
}

START_TEST(test_map_fds_of_other_kinds_are_refused_and_closed)
{
	int fds[2], fd;
	char path[64];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(map_with(fds[0], _i), -EBADF);
	close(fds[1]);

	ck_assert_int_eq(map_with(memfd_create("empty", MFD_CLOEXEC), _i), -ENODATA);

	/* Read-only descriptor, writable mapping. */
	fd = memfd_create("ro", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ck_assert_int_eq(map_with(open(path, O_RDONLY | O_CLOEXEC), _i), -EACCES);
	close(fd);
}
END_TEST

/* What does not begin at a page of this kernel. */
START_TEST(test_map_fds_of_smaller_pages_einval)
{
	struct segment_fds fds = test_segment_fds(&config);

	geometry.data_off -= 2048;
	ck_assert_int_eq(map_and_be_closed(fds), -EINVAL);
}
END_TEST

/* All begins at pages, but a page of the shape is less than one of this kernel. */
START_TEST(test_map_fds_of_a_shape_of_smaller_pages_einval)
{
	struct segment_fds fds = test_segment_fds(&config);

	geometry.page_bytes = (uint64_t)sysconf(_SC_PAGESIZE) / 2;
	ck_assert_int_eq(map_and_be_closed(fds), -EINVAL);
}
END_TEST

/* Whether what is reserved can be said to be not locked: qemu-user takes more than it is asked for. */
static bool may_reserve_twice(size_t size)
{
	void *first = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *second;
	bool may;

	if (first == MAP_FAILED)
		return false;
	munlock(first, size);
	second = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	may = second != MAP_FAILED;
	if (may)
		munmap(second, size);
	munmap(first, size);
	return may;
}

/* A process that locks all its memory, and may lock as much as that, and little more. */
START_TEST(test_map_fds_within_the_lock_limit)
{
	struct segment_fds fds;
	struct rlimit limit;

	config.pools[1].chunk_size = 300000;
	ck_assert_int_eq(geometry_init(&geometry, &config), 0);
	fds = test_segment_fds(&config);
	ck_assert_int_eq(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
	limit.rlim_cur = geometry.total_size + 300000;
	ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	if (mlockall(MCL_FUTURE) < 0 || !may_reserve_twice(geometry.total_size)) {
		printf("skipped: no memory may be locked here: %s\n", strerror(errno));
		close(fds.control);
		close(fds.data);
	} else {
		ck_assert_int_eq(segment_map_fds(fds, &geometry, SEGMENT_READ_WRITE,
						 SEGMENT_READ_WRITE, &memory), 0);
	}
	munlockall();
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

/* How many mappings there are in its range. */
static uint32_t count_mapped(const struct segment_memory *of)
{
	uint64_t begin = (uintptr_t)of->base, from;
	uint32_t n = 0;
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "re");

	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%" SCNx64 "-", &from) == 1 && from >= begin &&
		    from < begin + of->size)
			n++;
	fclose(maps);
	return n;
}

/* What is written there goes to the file, from its first byte to its last. */
static void assert_object(uint64_t off, uint64_t bytes, int fd)
{
	unsigned char *at = (unsigned char *)memory.base + off, byte;

	at[0] = 1;
	at[bytes - 1] = 2;
	ck_assert_int_eq(pread(fd, &byte, 1, 0), 1);
	ck_assert_uint_eq(byte, 1);
	ck_assert_int_eq(pread(fd, &byte, 1, (off_t)(bytes - 1)), 1);
	ck_assert_uint_eq(byte, 2);
}

/* Each in one: a call for each pool takes longer than the rest of an attach. */
START_TEST(test_map_fds_maps_each_object_once)
{
	struct segment_fds fds = test_segment_fds(&config);

	ck_assert_int_eq(segment_map_fds(fds, &geometry, SEGMENT_READ_WRITE, SEGMENT_READ_WRITE,
					 &memory), 0);
	assert_object(0, geometry.control_bytes, memory.fd);
	assert_object(geometry.data_off, geometry.data_bytes, memory.data_fd);
	ck_assert_uint_eq(count_mapped(&memory), 2);
}
END_TEST

/* Else something of the program's own gets there, and goes with the segment. */
START_TEST(test_map_fds_holds_what_it_leaves_free)
{
	const uint64_t huge = UINT64_C(2) << 20;
	struct segment_fds fds;
	void *gap, *there;

	config.data_align = _i == 0 ? config.data_align : huge;
	ck_assert_int_eq(geometry_init(&geometry, &config), 0);
	fds = test_segment_fds(&config);
	if (_i == 0) {
		close(fds.data);
		fds.data = -1;
	}
	ck_assert_int_eq(segment_map_fds(fds, &geometry, SEGMENT_READ_WRITE, SEGMENT_READ_WRITE,
					 &memory), 0);
	gap = (unsigned char *)memory.base + geometry.control_bytes;
	/* qemu-user before 8 takes the address as a wish. */
	there = mmap(gap, geometry.page_bytes, PROT_READ,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	ck_assert_ptr_ne(there, gap);
	if (there == MAP_FAILED)
		ck_assert_int_eq(errno, EEXIST);
	else
		munmap(there, geometry.page_bytes);
}
END_TEST

/* One of the two objects is not mapped, as an older kernel fails: what was there is gone, and another
 * thread of the program maps something of its own there at once. */
static struct {
	uint32_t before;		/* it is the last one of so many; 0: none fails */
	bool is_taken;			/* by the other thread */
	int error;
	unsigned char *at;
	size_t bytes;
} failing;

/* By whichever name it is called. */
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t off);
void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t off);

static void *call_mmap(void *at, size_t size, int protection, int flags, int fd, off_t off)
{
	return (void *)syscall(SYS_mmap, at, size, protection, flags, fd, off);
}

void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t off)
{
	if (failing.before == 0 || !(flags & MAP_FIXED) || --failing.before > 0)
		return call_mmap(at, size, protection, flags, fd, off);
	failing.at = at;
	failing.bytes = size;
	munmap(at, size);
	if (failing.is_taken) {
		ck_assert_ptr_eq(call_mmap(at, size, PROT_READ | PROT_WRITE, MAP_PRIVATE |
					   MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0), at);
		memset(at, 'x', size);
	}
	errno = failing.error;
	return MAP_FAILED;
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t off)
{
	return __wrap_mmap64(at, size, protection, flags, fd, off);
}

/* All that was reserved is given back, but for what another thread has. */
START_TEST(test_map_fds_that_fail_leave_others_their_memory)
{
	static const int errors[] = { ENOMEM, EPERM };
	const bool is_data = _i / 4;
	struct segment_fds fds = test_segment_fds(&config);
	unsigned char resident, *beside;

	failing.error = errors[_i % 2];
	failing.is_taken = _i / 2 % 2;
	failing.before = is_data ? 2 : 1;
	ck_assert_int_eq(segment_map_fds(fds, &geometry, SEGMENT_READ_WRITE, SEGMENT_READ_WRITE,
					 &memory), -failing.error);
	ck_assert_uint_eq(failing.before, 0);
	if (failing.is_taken) {
		for (size_t i = 0; i < failing.bytes; i++)
			ck_assert_int_eq(failing.at[i], 'x');
		munmap(failing.at, failing.bytes);
	}
	ck_assert_int_eq(mincore(failing.at, 1, &resident), -1);
	beside = is_data ? failing.at - geometry.page_bytes : failing.at + failing.bytes;
	ck_assert_int_eq(mincore(beside, 1, &resident), -1);
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
	ck_assert_int_eq(segment_open_object(name, SEGMENT_READ_ONLY), -ELOOP);
	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_CREATE), -EEXIST);
}
END_TEST

START_TEST(test_map_fifo_is_refused_without_waiting)
{
	char path[96], data[112];

	/* Whoever may write to /dev/shm can put one there; an open that blocks does not end. */
	in_dev_shm(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	snprintf(data, sizeof(data), "%s.data", path);
	ck_assert_int_eq(mkfifo(data, 0600), 0);
	ck_assert_int_eq(create(SEGMENT_READ_ONLY, SEGMENT_OPEN), -EBADF);
	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_OPEN), -EBADF);
	ck_assert_int_eq(segment_open(name, SEGMENT_READ_ONLY, &memory), -EBADF);
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
	struct config larger = config;
	struct stat st;

	larger.pools[1].chunk_size = large / larger.pools[1].n_chunks + 1;

	if (!interrupt_pieces_above(1 << 20)) {
		printf("skipped: no seccomp filters here\n");
		return;
	}
	ck_assert_int_eq(segment_create(name, &larger, SEGMENT_READ_WRITE, SEGMENT_CREATE,
					&private_perms, NULL, NULL, &memory), 0);
	ck_assert_int_eq(fstat(memory.data_fd, &st), 0);
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
	struct segment_fds fds;
	unsigned char *base;

	config.pools[1].chunk_size = 2 * PAGES_PIECE_BYTES / config.pools[1].n_chunks;
	ck_assert_int_eq(geometry_init(&geometry, &config), 0);
	fds = test_segment_fds(&config);
	ck_assert_int_eq(segment_map_fds(fds, &geometry, SEGMENT_READ_WRITE, SEGMENT_READ_WRITE,
					 &memory), 0);
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
	ck_assert_int_eq(fcntl(fds.control, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(fds.data, F_GETFD), FD_CLOEXEC);
	segment_memory_deinit(&memory);
	ck_assert_int_lt(fcntl(fds.control, F_GETFD), 0);
	ck_assert_int_lt(fcntl(fds.data, F_GETFD), 0);
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
	tcase_add_loop_test(tcase, test_open_existing_too_short_enodata, 0, 2);
	tcase_add_test(tcase, test_open_without_data_enodata);
	tcase_add_test(tcase, test_create_data_existing_eexist_nothing_left);
	tcase_add_test(tcase, test_open_or_create_creates_then_opens);
	tcase_add_test(tcase, test_open_or_create_raced_one_creates_all_get_it);
	tcase_add_test(tcase, test_open_or_create_waits_for_who_is_making_it);
	tcase_add_test(tcase, test_purge_and_create_is_a_new_one);
	tcase_add_test(tcase, test_create_wrong_arguments_einval);
	tcase_add_test(tcase, test_create_more_than_there_is_enospc_at_once);
	tcase_add_loop_test(tcase, test_create_space_not_taken_leaves_nothing, 0, 2);
	tcase_add_test(tcase, test_create_tells_progress);
	tcase_add_test(tcase, test_create_given_up_leaves_nothing);
	tcase_add_test(tcase, test_create_under_a_storm_of_signals_ends);
	tcase_add_test(tcase, test_create_mode_whatever_the_umask);
	tcase_add_test(tcase, test_create_group_not_ours_eperm_nothing_left);
	tcase_add_test(tcase, test_map_no_permission_eacces);
	tcase_add_test(tcase, test_map_read_only_cannot_be_written);
	tcase_add_loop_test(tcase, test_map_fds_of_other_kinds_are_refused_and_closed, 0, 2);
	tcase_add_test(tcase, test_map_fds_of_smaller_pages_einval);
	tcase_add_test(tcase, test_map_fds_of_a_shape_of_smaller_pages_einval);
	if (!MEMPOOL_SANITIZED)		/* whose run-time does not let memory be locked */
		tcase_add_test(tcase, test_map_fds_within_the_lock_limit);
	tcase_add_test(tcase, test_map_fds_maps_each_object_once);
	tcase_add_loop_test(tcase, test_map_fds_that_fail_leave_others_their_memory, 0, 8);
	tcase_add_loop_test(tcase, test_map_fds_holds_what_it_leaves_free, 0, 2);
	tcase_add_test(tcase, test_map_symlink_is_not_followed);
	tcase_add_test(tcase, test_map_fifo_is_refused_without_waiting);
	tcase_add_test(tcase, test_memory_deinit_null_and_twice);
}

int main(void)
{
	return test_run("segment_memory", add_tests);
}
