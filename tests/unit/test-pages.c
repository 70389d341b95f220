/* SPDX-License-Identifier: MIT */
/* test-pages.c - objects of pages that are wanted: filled, locked, on a node */
#include "test_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "build_config.h"

/* Of the data, two slices and a short one; and one of control. */
static const uint64_t data_size = 2 * PAGES_PIECE_BYTES + 100000;
static const uint64_t n_slices = 4;

static struct config config;
static struct geometry geometry;
static uint64_t size;			/* of both objects */

static struct segment_memory memory;

static void setup(void)
{
	const struct test_pool pools[] = { { .chunk_size = data_size / 10, .n_chunks = 10 } };

	test_config_init(&config, pools, 1);
	ck_assert_int_eq(geometry_init(&geometry, &config), 0);
	size = geometry.control_bytes + geometry.data_bytes;
	memory = SEGMENT_MEMORY_NULL;
}

static void teardown(void)
{
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
	segment_memory_deinit(&memory);
}

struct followed {
	uint64_t n;
	uint64_t done;
};

static bool follow(uint64_t done, uint64_t total, void *userdata)
{
	struct followed *followed = userdata;

	ck_assert_uint_gt(done, followed->done);
	ck_assert_uint_eq(total, size);
	followed->done = done;
	followed->n++;
	return true;
}

static int create_followed(const struct pages *pages, segment_progress_fn progress, void *userdata)
{
	const struct segment_fds fds = {
		.control = memfd_create("test-control", MFD_CLOEXEC),
		.data = memfd_create("test-data", MFD_CLOEXEC),
	};

	return segment_create_fds(fds, &geometry, pages, progress, userdata, &memory);
}

static int create(const struct pages *pages)
{
	return create_followed(pages, NULL, NULL);
}

static void map_again(struct segment_memory *ret_memory)
{
	const struct segment_fds fds = {
		.control = dup(memory.fd),
		.data = dup(memory.data_fd),
	};

	ck_assert_int_eq(segment_map_fds(fds, &geometry, SEGMENT_READ_WRITE, SEGMENT_READ_WRITE,
					 ret_memory), 0);
}

static uint64_t taken_bytes(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static uint64_t status_kib(const char *key)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	uint64_t value = 0;

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0)
			value = strtoull(line + strlen(key) + 1, NULL, 10);
	fclose(file);
	return value;
}

/* Each page in the page table of this process: what is in memory alone does not count. */
static uint64_t count_mapped(const struct segment_memory *of)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry, n = 0;

	ck_assert_int_ge(fd, 0);
	for (uint64_t at = 0; at < of->size; at += 4096) {
		off_t off = (off_t)(((uintptr_t)of->base + at) / 4096 * sizeof(entry));

		ck_assert_int_eq(pread(fd, &entry, sizeof(entry), off), sizeof(entry));
		n += entry >> 63;
	}
	close(fd);
	return n;
}

/* ---- fill ---- */

START_TEST(test_prefault_maps_every_page)
{
	const struct pages pages = { .prefault = true };
	struct followed followed = { 0 };

	ck_assert_int_eq(create_followed(&pages, follow, &followed), 0);
	ck_assert_uint_eq(followed.n, n_slices);
	ck_assert_uint_eq(followed.done, size);
	ck_assert_uint_eq(memory.size, size);
	ck_assert_uint_ge(taken_bytes(memory.fd), geometry.control_bytes);
	ck_assert_uint_ge(taken_bytes(memory.data_fd), geometry.data_bytes);
	ck_assert_uint_eq(count_mapped(&memory), size / 4096);
	for (uint64_t i = 0; i < size; i += 4096)
		ck_assert_uint_eq(((unsigned char *)memory.base)[i], 0);
}
END_TEST

START_TEST(test_no_prefault_maps_none)
{
	const struct pages pages = { .policy = PAGES_ANYWHERE };

	ck_assert_int_eq(create(&pages), 0);
	ck_assert_uint_ge(taken_bytes(memory.fd), geometry.control_bytes);
	ck_assert_uint_ge(taken_bytes(memory.data_fd), geometry.data_bytes);
	ck_assert_uint_eq(count_mapped(&memory), 0);
}
END_TEST

/* As at adoption: somebody is living in it. */
START_TEST(test_fill_changes_nothing_that_is_there)
{
	const struct pages none = { .policy = PAGES_ANYWHERE }, pages = { .prefault = true };
	struct segment_memory again;

	ck_assert_int_eq(create(&none), 0);
	for (uint64_t i = 0; i < size; i += 4096)
		((unsigned char *)memory.base)[i] = (unsigned char)(i / 4096 % 251);
	map_again(&again);
	ck_assert_int_eq(segment_memory_fill(&again, &pages, NULL, NULL), 0);
	ck_assert_uint_eq(count_mapped(&again), size / 4096);
	for (uint64_t i = 0; i < size; i += 4096)
		ck_assert_uint_eq(((unsigned char *)again.base)[i], i / 4096 % 251);
	segment_memory_deinit(&again);
}
END_TEST

START_TEST(test_fill_truncated_efault_and_no_signal)
{
	const struct pages pages = { .prefault = true };
	struct followed followed = { 0 };

	ck_assert_int_eq(create(&(struct pages){ .policy = PAGES_ANYWHERE }), 0);
	ck_assert_int_eq(ftruncate(_i ? memory.data_fd : memory.fd, 4096), 0);
	/* Told to the end all the same: whoever follows it is not left hanging. */
	ck_assert_int_eq(segment_memory_fill(&memory, &pages, follow, &followed), -EFAULT);
	ck_assert_uint_eq(followed.n, n_slices);
}
END_TEST

START_TEST(test_fill_no_space_nothing_left)
{
	const struct pages pages = { .prefault = true };
	struct rlimit limit;

	/* The file may not be as long as wanted. */
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = size / 2;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(create(&pages), -EFBIG);
	ck_assert_ptr_null(memory.base);
}
END_TEST

static bool give_up(uint64_t done, uint64_t total, void *userdata)
{
	(void)done, (void)total, (void)userdata;
	return false;
}

START_TEST(test_fill_given_up_leaves_nothing)
{
	const struct pages pages = { .prefault = true };

	ck_assert_int_eq(create_followed(&pages, give_up, NULL), -ECANCELED);
	ck_assert_ptr_null(memory.base);
}
END_TEST

/* ---- lock ---- */

static void limit_memlock(uint64_t bytes)
{
	const struct rlimit limit = { .rlim_cur = bytes, .rlim_max = bytes };

	ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	/* Root may lock whatever the limit says. */
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
}

START_TEST(test_lock_locks_every_page)
{
	const struct pages pages = { .lock = true };
	int r = create(&pages);

	if (r == -ENOMEM || r == -EPERM) {
		printf("skipped: no %llu bytes may be locked here: %s\n",
		       (unsigned long long)size, strerror(-r));
		return;
	}
	ck_assert_int_eq(r, 0);
	ck_assert_uint_ge(status_kib("VmLck:"), size / 1024);
	ck_assert_uint_eq(count_mapped(&memory), size / 4096);
}
END_TEST

static bool refuse_progress(uint64_t done, uint64_t total, void *userdata)
{
	(void)done, (void)total, (void)userdata;
	ck_abort_msg("took space");
	return false;
}

/*
 * Within the limit; the system call filter of a container may refuse it all the same. The kernel
 * is asked: in a sanitizer mlock(2) does nothing.
 */
static bool may_lock_a_page(void)
{
	void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long r = syscall(SYS_mlock, page, 4096);

	if (r < 0)
		printf("skipped: no memory may be locked here: %s\n", strerror(errno));
	munmap(page, 4096);
	return r == 0;
}

START_TEST(test_lock_not_allowed_fails_before_anything_is_taken)
{
	const struct pages pages = { .lock = true };

	limit_memlock(64 << 10);
	if (!may_lock_a_page())
		return;
	ck_assert_int_eq(create_followed(&pages, refuse_progress, NULL), -ENOMEM);
	ck_assert_ptr_null(memory.base);
}
END_TEST

START_TEST(test_lock_limit_of_nothing_eperm)
{
	const struct pages pages = { .lock = true };

	limit_memlock(0);
	ck_assert_int_eq(create(&pages), -EPERM);
}
END_TEST

/* ---- nodes ---- */

static bool has_numa(void)
{
	if (syscall(SYS_get_mempolicy, NULL, NULL, 0, NULL, 0) == 0)
		return true;
	printf("skipped: no NUMA here: %s\n", strerror(errno));
	return false;
}

static int policy_of(const void *at, uint64_t nodes[PAGES_MAX_NODES / 64])
{
	int policy;

	ck_assert_int_eq(syscall(SYS_get_mempolicy, &policy, nodes, PAGES_MAX_NODES, at,
				 MPOL_F_ADDR), 0);
	return policy;
}

static void assert_policy(const struct pages *pages, int mode)
{
	uint64_t nodes[PAGES_MAX_NODES / 64] = { 0 };
	struct segment_memory again;
	unsigned char *data, *base;
	int node;

	ck_assert_int_eq(create(pages), 0);
	base = memory.base;
	data = base + geometry.data_off;
	ck_assert_int_eq(policy_of(data, nodes), mode);
	ck_assert_mem_eq(nodes, pages->nodes, sizeof(nodes));
	data += geometry.data_bytes - 1;
	*data = 1;
	ck_assert_int_eq(syscall(SYS_get_mempolicy, &node, NULL, 0, data,
				 MPOL_F_ADDR | MPOL_F_NODE), 0);
	ck_assert_int_eq(node, 0);
	/* Control goes where it is used. */
	ck_assert_int_eq(policy_of(base, nodes), MPOL_DEFAULT);
	ck_assert_int_eq(policy_of(base + geometry.control_bytes - 1, nodes), MPOL_DEFAULT);
	/* It is the object's, not only this mapping's. */
	map_again(&again);
	ck_assert_int_eq(policy_of((unsigned char *)again.base + geometry.data_off, nodes),
			 mode);
	segment_memory_deinit(&again);
}

START_TEST(test_bind_to_the_first_node)
{
	if (has_numa())
		assert_policy(&(struct pages){ .policy = PAGES_BIND, .nodes = { 1 } },
			      MPOL_BIND);
}
END_TEST

START_TEST(test_interleave_on_the_first_node_filled)
{
	const struct pages pages = {
		.policy = PAGES_INTERLEAVE, .nodes = { 1 }, .prefault = true,
	};

	if (has_numa())
		assert_policy(&pages, MPOL_INTERLEAVE);
}
END_TEST

START_TEST(test_bind_to_a_node_that_is_not_there_einval)
{
	struct pages pages = { .policy = PAGES_BIND };

	if (!has_numa())
		return;
	/* The last bit is looked at. */
	pages.nodes[PAGES_MAX_NODES / 64 - 1] = UINT64_C(1) << 63;
	ck_assert_int_eq(create(&pages), -EINVAL);
}
END_TEST

/* ---- names ---- */

START_TEST(test_names_of_objects)
{
	ck_assert(segment_name_is_valid("/mempool-default.1"));
	ck_assert(segment_name_is_valid("/dev/hugepages/mempool-default.1"));
	ck_assert(!segment_name_is_valid(""));
	ck_assert(!segment_name_is_valid("mempool-default.1"));
	ck_assert(!segment_name_is_valid("dev/hugepages/mempool-default.1"));
	ck_assert(!segment_name_is_valid("/other"));
	ck_assert(!segment_name_is_valid("/mempool-x/other"));
	ck_assert(!segment_name_is_valid("/dev/huge pages/mempool-x.1"));
	ck_assert(!segment_name_is_valid("/dev/\033[31m/mempool-x.1"));
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_prefault_maps_every_page);
	tcase_add_test(tcase, test_no_prefault_maps_none);
	tcase_add_test(tcase, test_fill_changes_nothing_that_is_there);
	tcase_add_loop_test(tcase, test_fill_truncated_efault_and_no_signal, 0, 2);
	tcase_add_test(tcase, test_fill_no_space_nothing_left);
	tcase_add_test(tcase, test_fill_given_up_leaves_nothing);
	if (!MEMPOOL_SANITIZED)		/* whose run-time does not let memory be locked */
		tcase_add_test(tcase, test_lock_locks_every_page);
	tcase_add_test(tcase, test_lock_not_allowed_fails_before_anything_is_taken);
	tcase_add_test(tcase, test_lock_limit_of_nothing_eperm);
	tcase_add_test(tcase, test_bind_to_the_first_node);
	tcase_add_test(tcase, test_interleave_on_the_first_node_filled);
	tcase_add_test(tcase, test_bind_to_a_node_that_is_not_there_einval);
	tcase_add_test(tcase, test_names_of_objects);
}

/* Linux before 5.14 says so; qemu-user accepts it, and does nothing. */
static bool kernel_fills(void)
{
	int fd = memfd_create("fill", MFD_CLOEXEC);
	struct stat st = { .st_blocks = 0 };
	void *base;

	if (fd < 0 || ftruncate(fd, 4096) < 0)
		return false;
	base = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	madvise(base, 4096, MADV_POPULATE_WRITE);
	fstat(fd, &st);
	munmap(base, 4096);
	close(fd);
	return st.st_blocks > 0;
}

int main(void)
{
	if (!kernel_fills()) {
		printf("skipped: no MADV_POPULATE_WRITE here (Linux 5.14)\n");
		return 77;
	}
	return test_run("pages", add_tests);
}
