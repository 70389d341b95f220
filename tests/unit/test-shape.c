/* SPDX-License-Identifier: MIT */
/* test-shape.c - the file of a shape: what is told comes back, and nothing else is believed */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mempool_protocol.h"
#include "shm/shape.h"

#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

static struct config shape;
static struct config found;

static void setup(void)
{
	ck_assert_int_eq(config_init(&shape, "default"), 0);
	shape.max_clients = 77;
	shape.fallback = false;
	shape.traces = true;
	shape.page_bytes = 16384;
	shape.data_align = UINT64_C(2) << 20;
	ck_assert_int_eq(config_add_pool(&shape, 100, 7), 0);
	shape.pools[0].is_exclusive = true;
	ck_assert_int_eq(config_add_pool(&shape, 5000, 1), 0);
	shape.pools[1].alignment = 4096;
	shape.pools[1].cache = 3;
	ck_assert_int_eq(config_add_pool(&shape, 6000, 9), 0);
	ck_assert_int_eq(config_add_reserve(&shape, 2), 0);
	ck_assert_int_eq(config_add_ring(&shape, "frames", MEMPOOL_RING_QUEUE, 8), 0);
	ck_assert_int_eq(config_add_ring(&shape, "camera", MEMPOOL_RING_TOPIC, 4), 0);
	shape.rings[1].flags = MEMPOOL_RING_STAMPS;
	found = (struct config){ .n_pools = 0 };
}

static void teardown(void)
{
	config_deinit(&shape);
	config_deinit(&found);
}

START_TEST(test_shape_comes_back)
{
	int fd = shape_make_file(&shape);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(shape_read_file(fd, &found), 0);
	ck_assert(config_is_same(&found, &shape));
	ck_assert_uint_eq(found.max_clients, 77);
	close(fd);
}
END_TEST

START_TEST(test_shape_file_cannot_be_changed)
{
	int fd = shape_make_file(&shape);

	ck_assert_int_lt(pwrite(fd, "x", 1, 0), 0);
	ck_assert_int_lt(ftruncate(fd, 1), 0);
	ck_assert_int_lt(ftruncate(fd, 100000), 0);
	close(fd);
}
END_TEST

/* A file of these bytes. */
static int file_of(const void *data, size_t size, int seals)
{
	int fd = memfd_create("test-shape", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void assert_refused(const void *data, size_t size, int seals, int error)
{
	int fd = file_of(data, size, seals);

	ck_assert_int_eq(shape_read_file(fd, &found), error);
	ck_assert_ptr_null(found.rings);
	close(fd);
}

START_TEST(test_shape_of_junk_eproto)
{
	unsigned char data[sizeof(struct mempool_shape) + 2 * sizeof(struct mempool_shape_pool) +
			   2 * sizeof(struct mempool_shape_ring)];
	struct mempool_shape *head = (void *)data;
	struct mempool_shape_pool *pool = (void *)(head + 1);
	struct mempool_shape_ring *ring = (void *)(pool + 2);
	int fd = shape_make_file(&shape);
	size_t size = sizeof(data);

	ck_assert_int_eq(pread(fd, data, sizeof(data), 0), (ssize_t)sizeof(data));
	close(fd);
	switch (_i) {
	case 0:
		size--;
		break;
	case 1:
		size = sizeof(*head) - 1;
		break;
	case 2:
		head->layout++;
		break;
	case 3:
		head->n_pools = UINT32_MAX;
		break;
	case 4:
		head->n_rings = UINT32_MAX;
		break;
	case 5:
		head->max_clients = UINT64_MAX;
		break;
	case 6:
		memset(head->name, 'x', sizeof(head->name));
		break;
	case 7:
		pool->n_chunks = UINT64_MAX;
		break;
	case 8:
		pool->alignment = 3;
		break;
	case 9:
		ring[1].capacity = 3;
		break;
	case 10:
		ring[1].kind = 9;
		break;
	case 11:
		memcpy(ring[1].name, ring[0].name, sizeof(ring[1].name));
		break;
	case 12:
		memcpy(ring[1].name, "\033[2J", 5);
		break;
	case 13:
		head->page_bytes = 4097;
		break;
	case 14:
		head->page_bytes = 0;
		break;
	case 15:
		head->data_align = head->page_bytes / 2;
		break;
	case 16:
		head->data_align = UINT64_C(1) << 63;
		break;
	case 17:
		ring[1].flags = 4;
		break;
	}
	assert_refused(data, size, SEALS, _i == 2 ? -EPROTONOSUPPORT : -EPROTO);
}
END_TEST

/* The same bytes, that somebody can still change. */
START_TEST(test_shape_without_seals_eproto)
{
	unsigned char data[512];
	int fd = shape_make_file(&shape);
	ssize_t n = pread(fd, data, sizeof(data), 0);

	ck_assert_int_gt(n, 0);
	close(fd);
	assert_refused(data, (size_t)n, 0, -EPROTO);
	assert_refused(data, (size_t)n, SEALS & ~F_SEAL_WRITE, -EPROTO);
	ck_assert_int_eq(shape_read_file(STDIN_FILENO, &found), -EPROTO);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shape");
	TCase *tcase = tcase_create("shape");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_shape_comes_back);
	tcase_add_test(tcase, test_shape_file_cannot_be_changed);
	tcase_add_loop_test(tcase, test_shape_of_junk_eproto, 0, 18);
	tcase_add_test(tcase, test_shape_without_seals_eproto);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
