/* SPDX-License-Identifier: MIT */
#include "test_segment.h"

#include <errno.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shm/holder.h"
#include "shm/layout.h"

int test_run(const char *name, void (*add_tests)(TCase *tcase))
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);
	SRunner *runner;
	int n_failed;

	tcase_set_timeout(tcase, 60);
	add_tests(tcase);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Of this process alone: an earlier one of the same number may have been killed, and left some. */
static void own_prefix(char prefix[48])
{
	static struct timespec since;
	static pid_t pid;

	if (pid != getpid()) {
		pid = getpid();
		clock_gettime(CLOCK_MONOTONIC, &since);
	}
	snprintf(prefix, 48, "mempool-unit-%d-%llx-", (int)pid,
		 (unsigned long long)since.tv_sec * 1000000000 + (unsigned long long)since.tv_nsec);
}

const char *test_shm_name(char name[64])
{
	char prefix[48];
	static int n;

	own_prefix(prefix);
	snprintf(name, 64, "/%s%d", prefix, n++);
	return name;
}

unsigned test_shm_count(void)
{
	DIR *directory = opendir("/dev/shm");
	struct dirent *entry;
	char prefix[48];
	unsigned n = 0;

	ck_assert_ptr_nonnull(directory);
	own_prefix(prefix);
	while ((entry = readdir(directory)))
		n += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
	closedir(directory);
	return n;
}

void test_config_init(struct config *config, const struct test_pool *pools, size_t n_pools)
{
	ck_assert_int_eq(config_init(config, "test"), 0);
	for (size_t i = 0; i < n_pools; i++) {
		ck_assert_int_eq(
			config_add_pool(config, pools[i].chunk_size, pools[i].n_chunks), 0);
		if (pools[i].alignment)
			config->pools[i].alignment = pools[i].alignment;
		if (pools[i].cache)
			config->pools[i].cache = pools[i].cache;
	}
}

static void add_holder(struct segment *segment, uint32_t id)
{
	struct holder holder = {
		.id = id,
		.kind = MEMPOOL_HOLDER_CLIENT,
		.pid = (uint32_t)getpid(),
		.name = "test",
	};

	holder_set_live(segment, &holder);
}

struct segment *test_segment_new_of(const struct config *config)
{
	struct segment_permissions perms = { .mode = 0600, .group = (gid_t)-1 };
	struct segment_memory memory = SEGMENT_MEMORY_NULL;
	struct segment *segment;
	char name[64];

	test_shm_name(name);
	ck_assert_int_eq(segment_create(name, config, SEGMENT_READ_WRITE, SEGMENT_CREATE,
					&perms, NULL, NULL, &memory), 0);
	ck_assert_int_eq(segment_unlink(name), 0);
	ck_assert_int_eq(segment_layout(memory.base, memory.size, config, NULL), 0);
	ck_assert_int_eq(segment_attach(&memory, &segment), 0);
	/* A test that runs once more, with claims by stores. */
	lane_turn(&segment->lanes, getenv("TEST_CLAIMS") != NULL);
	add_holder(segment, holder_first_client(segment));
	add_holder(segment, holder_first_client(segment) + 1);
	return segment;
}

struct segment *test_segment_new(const struct test_pool *pools, size_t n_pools)
{
	struct config config;

	test_config_init(&config, pools, n_pools);
	return test_segment_new_of(&config);
}

struct segment_fds test_segment_fds(const struct config *config)
{
	struct segment_fds fds = {
		.control = memfd_create("test-control", MFD_CLOEXEC),
		.data = memfd_create("test-data", MFD_CLOEXEC),
	};
	struct geometry geometry;

	ck_assert_int_eq(geometry_init(&geometry, config), 0);
	ck_assert_int_eq(ftruncate(fds.control, (off_t)geometry.control_bytes), 0);
	ck_assert_int_eq(ftruncate(fds.data, (off_t)geometry.data_bytes), 0);
	return fds;
}

struct segment *test_segment_sparse(const struct config *config)
{
	struct segment_memory memory = SEGMENT_MEMORY_NULL;
	struct geometry geometry;
	struct segment *segment;

	ck_assert_int_eq(geometry_init(&geometry, config), 0);
	ck_assert_int_eq(segment_map_fds(test_segment_fds(config), &geometry,
					 SEGMENT_READ_WRITE, SEGMENT_READ_WRITE, &memory), 0);
	ck_assert_int_eq(segment_layout(memory.base, memory.size, config, NULL), 0);
	ck_assert_int_eq(segment_attach(&memory, &segment), 0);
	/* A test that runs once more, with claims by stores. */
	lane_turn(&segment->lanes, getenv("TEST_CLAIMS") != NULL);
	return segment;
}

struct segment *test_segment_map_again(const struct segment *segment)
{
	const struct segment_fds fds = {
		.control = dup(segment->memory.fd),
		.data = dup(segment->memory.data_fd),
	};
	struct segment_memory memory = SEGMENT_MEMORY_NULL;
	struct segment *again;

	ck_assert_int_eq(segment_map_fds(fds, &segment->geometry, SEGMENT_READ_WRITE,
					 SEGMENT_READ_WRITE, &memory), 0);
	ck_assert_int_eq(segment_attach(&memory, &again), 0);
	return again;
}

static void *copy_of(const void *memory, size_t size)
{
	void *copy = malloc(size);

	ck_assert_ptr_nonnull(copy);
	return memcpy(copy, memory, size);
}

struct segment *test_segment_view(const struct segment *segment)
{
	struct segment *view = malloc(sizeof(*view));
	size_t n = segment->config.n_rings;

	ck_assert_ptr_nonnull(view);
	*view = *segment;
	view->memory = SEGMENT_MEMORY_NULL;
	if (n > 0) {
		view->config.rings = copy_of(segment->config.rings, n * sizeof(*view->config.rings));
		view->ring_places = copy_of(segment->ring_places, n * sizeof(*view->ring_places));
		view->topic_rings = copy_of(segment->topic_rings, n * sizeof(*view->topic_rings));
	}
	return view;
}

bool test_fork_wipes(void)
{
	int status = 0, *word = mmap(NULL, sizeof(*word), PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	/* No assertions: also used between the tests. */
	if (word == MAP_FAILED)
		abort();
	madvise(word, sizeof(*word), MADV_WIPEONFORK);
	*word = 1;
	pid = fork();
	if (pid == 0)
		_exit(*word);
	if (waitpid(pid, &status, 0) != pid)
		abort();
	munmap(word, sizeof(*word));
	if (status != 0)
		printf("skipped: fork does not wipe memory here (qemu-user before 8)\n");
	return status == 0;
}

uint32_t test_segment_used(const struct segment *segment, uint32_t id)
{
	return pool_count_used(&segment->pools[id]);
}

int test_claim_scan(const struct pool *pool, uint32_t start, uint32_t holder,
		    uint32_t *ret_index)
{
	struct pool_scan scan;
	int r;

	do {
		pool_scan_begin(&scan, pool, start, holder);
		while ((r = pool_scan_step(&scan, 64, ret_index)) == -EINPROGRESS)
			;
	} while (r == -EBUSY);
	return r;
}

double test_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
