/* SPDX-License-Identifier: MIT */
/*
 * test_segment.h - private segments for tests: made under a name of their own, which is
 *		    unlinked at once, so that nothing is left in /dev/shm
 *
 * Every function asserts; none returns an error.
 */
#ifndef TEST_SEGMENT_H
#define TEST_SEGMENT_H

#include <check.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/segment.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* Members that are 0 keep the default. */
struct test_pool {
	uint64_t chunk_size;
	uint64_t n_chunks;
	uint32_t alignment;
	uint32_t cache;
};

/* The first id that a client can have where there are no topics. */
enum { TEST_HOLDER = 2 };

/* The suite of one test file: run it, return main()'s exit status. */
int test_run(const char *name, void (*add_tests)(TCase *tcase));

/* "/mempool-unit-PID-TIME-N": never the same twice. */
const char *test_shm_name(char name[64]);

/* How many objects of test_shm_name() stand in /dev/shm: what a test left behind. */
unsigned test_shm_count(void);

/* A config named "test" with these pools. */
void test_config_init(struct config *config, const struct test_pool *pools, size_t n_pools);

/* Laid out, attached, with its first two client records LIVE; segment_free() it. */
struct segment *test_segment_new_of(const struct config *config);
struct segment *test_segment_new(const struct test_pool *pools, size_t n_pools);

/* Two files without a name, as long as the shape needs them, with no space taken. */
struct segment_fds test_segment_fds(const struct config *config);

/* A segment on such files, laid out and attached. */
struct segment *test_segment_sparse(const struct config *config);

/* The same objects in a mapping of its own, as another process would have it. */
struct segment *test_segment_map_again(const struct segment *segment);

/*
 * The same mapping for one more client, so that a thread sanitizer sees both at the same
 * addresses. To be freed before @segment, which keeps the memory.
 */
struct segment *test_segment_view(const struct segment *segment);

/* pool_scan_step() until it says something; every free here is seq_cst. */
int test_claim_scan(const struct pool *pool, uint32_t start, uint32_t holder,
		    uint32_t *ret_index);

/* Whether memory is wiped for a child, as the library needs it; prints why it is not. */
bool test_fork_wipes(void);

/* How many chunks of data pool @id are held, by the words. */
uint32_t test_segment_used(const struct segment *segment, uint32_t id);

/*
 * For what two threads try again and again, to meet each other somewhere: a moment comes when a busy
 * machine has let them try often enough.
 */
#define TEST_TRY_SECONDS 5
double test_seconds(void);

#endif
