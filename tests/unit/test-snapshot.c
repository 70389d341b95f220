/* SPDX-License-Identifier: MIT */
/* test-snapshot.c - what mempoolctl sees of a segment, whole, moved, broken or truncated */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ctl/snapshot.h"
#include "shm/holder.h"
#include "shm/layout.h"
#include "shm/pool.h"
#include "shm/segment.h"
#include "shm/sigbus.h"
#include "shm/word.h"

static char shm_name[64];
static struct segment *segment;
static struct snapshot snapshot;
static struct countings countings;

static void make_segment(struct config *config)
{
	const struct segment_permissions perms = { .mode = 0600, .group = (gid_t)-1 };
	struct segment_memory memory = SEGMENT_MEMORY_NULL;

	ck_assert_int_eq(segment_create(shm_name, config, SEGMENT_READ_WRITE, SEGMENT_CREATE,
					&perms, NULL, NULL, &memory),
			 0);
	ck_assert_int_eq(segment_layout(memory.base, memory.size, config, NULL), 0);
	ck_assert_int_eq(segment_attach(&memory, &segment), 0);
	config_deinit(config);
}

static void setup(void)
{
	struct config config;

	snprintf(shm_name, sizeof(shm_name), "/mempool-test-snapshot-%d.3", getpid());
	ck_assert_int_eq(config_init(&config, "test"), 0);
	ck_assert_int_eq(config_add_pool(&config, 100, 1000), 0);
	make_segment(&config);
	ck_assert_int_eq(sigbus_init(), 0);
	snapshot = (struct snapshot){ 0 };
}

static void teardown(void)
{
	snapshot_deinit(&snapshot);
	countings_deinit(&countings);
	segment_free(segment);
	segment_unlink(shm_name);
}

/* As the daemon would tell it. */
static struct observed observed_segment(void)
{
	return (struct observed){
		.told.place = {
			.segment_id = segment->segment_id,
			.control_bytes = segment->geometry.control_bytes,
			.data_bytes = segment->geometry.data_bytes,
			.generation = 9,
			.segment = "theirs",
		},
		.shape = segment->config,
		.fd = segment->memory.fd,
	};
}

static int take_within(const struct observed *observed, int64_t budget_ns)
{
	const struct snapshot_look look = { .budget_ns = budget_ns, .countings = &countings };

	return snapshot_take(shm_name, observed, &look, &snapshot);
}

static int take(const struct observed *observed)
{
	return take_within(observed, 60 * INT64_C(1000000000));
}

START_TEST(test_snapshot_shows_pools_and_holders)
{
	const struct holder camera = { .id = 5, .pid = 77, .uid = 12, .name = "camera" };
	const struct observed observed = observed_segment();

	holder_set_live(segment, &camera);
	for (uint32_t i = 0; i < 7; i++)
		ck_assert_int_eq(pool_claim(&segment->pools[0], i, 5), 0);

	ck_assert_int_eq(take(&observed), 0);
	ck_assert_str_eq(snapshot.name, "theirs");
	ck_assert_uint_eq(snapshot.generation, 9);
	ck_assert_str_eq(snapshot.shm_name, shm_name);
	ck_assert_uint_eq(snapshot.state, MEMPOOL_SEGMENT_READY);
	ck_assert_uint_eq(snapshot.size_bytes, segment->memory.size);
	ck_assert_uint_eq(snapshot.n_pools, 1);
	ck_assert_uint_eq(snapshot.pools[0].chunk_size, 100);
	ck_assert_uint_eq(snapshot.pools[0].stride, 128);
	ck_assert_uint_eq(snapshot.pools[0].counts.total, 1000);
	ck_assert_uint_eq(snapshot.pools[0].counts.used, 7);
	ck_assert_uint_eq(snapshot.pools[1].counts.total, 1000);
	ck_assert_uint_eq(snapshot.n_holders, 1);
	ck_assert_uint_eq(snapshot.holders[0].record.id, 5);
	ck_assert_str_eq(snapshot.holders[0].record.name, "camera");
	ck_assert_uint_eq(snapshot.holders[0].counts.all.chunks, 7);
	ck_assert_uint_eq(snapshot.holders[0].counts.bytes, 700);
}
END_TEST

/* In the segment they are two pools, for people one. */
START_TEST(test_snapshot_shows_a_reserve_as_part_of_its_pool)
{
	const struct holder camera = { .id = 5, .reserves = 2, .name = "camera" };
	struct config config;

	segment_free(segment);
	segment_unlink(shm_name);
	ck_assert_int_eq(config_init(&config, "test"), 0);
	ck_assert_int_eq(config_add_pool(&config, 100, 20), 0);
	ck_assert_int_eq(config_add_reserve(&config, 4), 0);
	ck_assert_int_eq(config_add_pool(&config, 500, 10), 0);
	make_segment(&config);
	holder_set_live(segment, &camera);
	for (uint32_t i = 0; i < 6; i++)
		ck_assert_int_eq(pool_claim(&segment->pools[i / 5], i % 5, 5), 0);
	ck_assert_int_eq(pool_claim(&segment->pools[2], 0, 5), 0);
	pool_saw_used(&segment->pools[0], 16);
	pool_saw_used(&segment->pools[1], 2);
	atomic_store(&segment->pools[0].state->n_exhausted, 30);
	atomic_store(&segment->pools[1].state->n_exhausted, 4);

	ck_assert_int_eq(take(NULL), 0);
	ck_assert(snapshot_has_reserve(&snapshot));
	ck_assert_uint_eq(snapshot.n_pools, 2);
	ck_assert_uint_eq(snapshot.pools[0].counts.total, 20);
	ck_assert_uint_eq(snapshot.pools[0].counts.used, 6);
	ck_assert_uint_eq(snapshot.pools[0].peak_used, 18);
	ck_assert_uint_eq(snapshot.pools[0].n_exhausted, 34);
	ck_assert_uint_eq(snapshot.pools[0].reserve.total, 4);
	ck_assert_uint_eq(snapshot.pools[0].reserve.used, 1);
	ck_assert_uint_eq(snapshot.pools[0].reserve.n_exhausted, 4);
	ck_assert_uint_eq(snapshot.pools[1].chunk_size, 500);
	ck_assert_uint_eq(snapshot.pools[1].reserve.total, 0);
	ck_assert_uint_eq(snapshot.pools[2].counts.total, 30);
	ck_assert_uint_eq(snapshot.holders[0].by_pool[0].chunks, 6);
	ck_assert_uint_eq(snapshot.holders[0].by_pool[1].chunks, 1);
	ck_assert_uint_eq(snapshot.holders[0].record.reserves, 2);
	ck_assert_uint_eq(snapshot.all.total, 30);
}
END_TEST

/* What a hostile client wrote there is no reason to print nonsense. */
START_TEST(test_snapshot_without_place_is_called_what_it_says)
{
	ck_assert_int_eq(take(NULL), 0);
	ck_assert_str_eq(snapshot.name, "test");
	ck_assert_uint_eq(snapshot.max_clients, segment->config.max_clients);
}
END_TEST

START_TEST(test_snapshot_sorted_by_what_they_hold)
{
	for (uint32_t id = 5; id < 8; id++) {
		const struct holder holder = { .id = id, .pid = id, .name = "x" };

		holder_set_live(segment, &holder);
	}
	for (uint32_t i = 0; i < 3; i++)
		ck_assert_int_eq(pool_claim(&segment->pools[0], i, 6), 0);
	ck_assert_int_eq(pool_claim(&segment->pools[0], 3, 7), 0);

	ck_assert_int_eq(take(NULL), 0);
	ck_assert_uint_eq(snapshot.n_holders, 3);
	ck_assert_uint_eq(snapshot.holders[0].record.id, 5);
	snapshot_sort_holders(&snapshot);
	ck_assert_uint_eq(snapshot.holders[0].record.id, 6);
	ck_assert_uint_eq(snapshot.holders[1].record.id, 7);
	ck_assert_uint_eq(snapshot.holders[2].record.id, 5);
}
END_TEST

START_TEST(test_snapshot_peak_lies_between_used_and_total)
{
	struct mempool_pool_state *state = segment->pools[0].state;

	ck_assert_int_eq(pool_claim(&segment->pools[0], 0, 5), 0);
	ck_assert_int_eq(take(NULL), 0);
	ck_assert_uint_eq(snapshot.pools[0].peak_used, 1);

	snapshot_deinit(&snapshot);
	pool_saw_used(&segment->pools[0], 9);
	pool_saw_used(&segment->pools[0], 8);
	ck_assert_int_eq(take(NULL), 0);
	ck_assert_uint_eq(snapshot.pools[0].peak_used, 9);

	snapshot_deinit(&snapshot);
	atomic_store(&state->peak_used, UINT64_MAX);
	atomic_store(&state->n_exhausted, 3);
	atomic_store(&state->n_served_larger, 4);
	ck_assert_int_eq(take(NULL), 0);
	ck_assert_uint_eq(snapshot.pools[0].peak_used, 1000);
	ck_assert_uint_eq(snapshot.pools[0].n_exhausted, 3);
	ck_assert_uint_eq(snapshot.pools[0].n_served_larger, 4);
}
END_TEST

START_TEST(test_snapshot_chunks_of_a_free_record_still_show)
{
	ck_assert_int_eq(pool_claim(&segment->pools[0], 0, 9), 0);
	ck_assert_int_eq(take(NULL), 0);
	ck_assert_uint_eq(snapshot.n_holders, 1);
	ck_assert_uint_eq(snapshot.holders[0].record.id, 9);
	ck_assert_uint_eq(snapshot.holders[0].record.state, MEMPOOL_HOLDER_FREE);
}
END_TEST

/* The daemon knows what it is: its header and its tables may say what they like. */
START_TEST(test_snapshot_of_a_forged_header_shows_what_the_daemon_tells)
{
	const struct observed observed = observed_segment();
	struct mempool_header *header = segment->header;

	ck_assert_int_eq(pool_claim(&segment->pools[0], 0, 5), 0);
	switch (_i) {
	case 0:
		header->magic++;
		break;
	case 1:
		header->version_major++;
		break;
	case 2:
		header->total_size = UINT64_MAX;
		break;
	case 3:
		header->segment_id++;
		break;
	case 4:
		segment_pool_record(header, &segment->geometry, 0)->n_chunks = 1;
		break;
	case 5:
		atomic_store(&header->state, MEMPOOL_SEGMENT_BUILDING);
		break;
	}
	ck_assert_int_eq(take(&observed), 0);
	ck_assert_uint_eq(snapshot.all.total, 1000);
	ck_assert_uint_eq(snapshot.all.used, 1);
	ck_assert_uint_eq(snapshot.state, MEMPOOL_SEGMENT_READY);
	ck_assert_uint_eq(snapshot.max_clients, segment->config.max_clients);
	ck_assert_uint_eq(snapshot.counted_percent, 100);
}
END_TEST

START_TEST(test_snapshot_of_what_is_not_passed_enomsg)
{
	struct observed observed = observed_segment();

	observed.fd = -1;
	ck_assert_int_eq(take(&observed), -ENOMSG);
}
END_TEST

/* A shape that is larger than the object: only a daemon that is none tells that. */
START_TEST(test_snapshot_of_too_large_a_shape_enodata)
{
	struct observed observed = observed_segment();

	observed.shape.pools[0].n_chunks *= 100;
	ck_assert_int_eq(take(&observed), -ENODATA);
}
END_TEST

/* Chunks that everybody shares: a look has its budget, and the next one goes on. */
START_TEST(test_snapshot_in_parts_is_whole_in_the_end)
{
	const struct observed observed = observed_segment();
	unsigned int before = 0, n_looks = 0;

	for (uint32_t i = 0; i < 1000; i++) {
		_Atomic uint64_t *sharers = segment_sharers(segment, i);

		atomic_store(&segment->pools[0].entries[i].word,
			     word_make(7, MEMPOOL_SHARED, i));
		for (uint32_t k = 0; k < segment->n_holders / 64; k++)
			atomic_store(&sharers[k], UINT64_MAX);
	}
	do {
		snapshot_deinit(&snapshot);
		ck_assert_int_eq(take_within(&observed, 0), 0);
		ck_assert_uint_eq(snapshot.all.total, 1000);
		ck_assert_uint_eq(snapshot.all.used, snapshot.all.counted);
		ck_assert_uint_ge(snapshot.counted_percent, before);
		if (snapshot.counted_percent < 100) {
			ck_assert_int_eq(snapshot.counted_ms, 0);
			ck_assert_uint_lt(snapshot.all.counted + snapshot.pools[1].counts.counted,
					  2000);
		}
		before = snapshot.counted_percent;
		n_looks++;
	} while (before < 100);
	ck_assert_uint_gt(n_looks, 2);
	ck_assert_uint_eq(snapshot.all.used, 1000);
	ck_assert_uint_eq(snapshot.holders[0].counts.all.shared, 1000);
	ck_assert_int_gt(snapshot.counted_ms, 0);

	/* The next count is under way; the whole one is shown, with the holders of then. */
	holder_set_live(segment, &(struct holder){ .id = 1, .pid = 99, .name = "another" });
	snapshot_deinit(&snapshot);
	ck_assert_int_eq(take_within(&observed, 0), 0);
	ck_assert_uint_eq(snapshot.counted_percent, 100);
	ck_assert_uint_eq(snapshot.all.used, 1000);
	ck_assert_uint_eq(snapshot.holders[0].record.id, 1);
	ck_assert_str_eq(snapshot.holders[0].record.name, "");
	while (snapshot.holders[0].record.pid != 99) {
		snapshot_deinit(&snapshot);
		ck_assert_int_eq(take_within(&observed, 0), 0);
	}
	ck_assert_str_eq(snapshot.holders[0].record.name, "another");
}
END_TEST

/* A count is of one shape. Whoever tells the same id with another one gets another count. */
START_TEST(test_snapshot_in_parts_of_two_shapes)
{
	struct observed observed = observed_segment();

	ck_assert_int_eq(take(&observed), 0);
	snapshot_deinit(&snapshot);
	observed.shape.pools[0].n_chunks = 10;
	observed.shape.max_clients = 10;
	ck_assert_int_eq(take(&observed), 0);
	ck_assert_uint_eq(snapshot.all.total, 10);
	ck_assert_uint_eq(countings.n, 2);
	countings_begin_look(&countings);
	countings_end_look(&countings);
	ck_assert_uint_eq(countings.n, 0);
}
END_TEST

/* The name is for people: of what the daemon passes none is opened. */
START_TEST(test_snapshot_of_what_is_passed_needs_no_name)
{
	const struct observed observed = observed_segment();

	ck_assert_int_eq(shm_unlink(shm_name), 0);
	ck_assert_int_eq(take(&observed), 0);
	ck_assert_uint_eq(snapshot.all.total, 1000);
	/* It is the caller's, for one more look. */
	snapshot_deinit(&snapshot);
	ck_assert_int_eq(take(&observed), 0);
}
END_TEST

START_TEST(test_snapshot_of_another_file_ebadf)
{
	struct observed observed = observed_segment();

	observed.fd = open("/dev/shm", O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(observed.fd, 0);
	ck_assert_int_eq(take(&observed), -EBADF);
	ck_assert_ptr_null(snapshot.holders);
	close(observed.fd);
}
END_TEST

START_TEST(test_snapshot_of_nothing_enoent)
{
	ck_assert_int_eq(segment_unlink(shm_name), 0);
	ck_assert_int_eq(take(NULL), -ENOENT);
}
END_TEST

START_TEST(test_snapshot_of_junk_ebadmsg)
{
	segment->header->magic++;
	ck_assert_int_eq(take(NULL), -EBADMSG);
}
END_TEST

START_TEST(test_snapshot_of_short_object_enodata)
{
	int fd = shm_open(shm_name, O_RDWR, 0);

	ck_assert_int_eq(ftruncate(fd, (off_t)segment->geometry.control_bytes - 1), 0);
	close(fd);
	ck_assert_int_eq(take(NULL), -ENODATA);
}
END_TEST

static atomic_bool stop;

/* Cut off the words of the managers and put zeros back, which say FREE, again and again. */
static void *truncate_again_and_again(void *userdata)
{
	int fd = shm_open(shm_name, O_RDWR, 0);

	(void)userdata;
	while (!atomic_load(&stop)) {
		ck_assert_int_eq(ftruncate(fd, (off_t)segment->geometry.control_bytes - 8192), 0);
		ck_assert_int_eq(ftruncate(fd, (off_t)segment->geometry.control_bytes), 0);
	}
	close(fd);
	return NULL;
}

START_TEST(test_snapshot_of_object_truncated_while_read_enotrecoverable)
{
	pthread_t thread;
	int r;

	ck_assert_int_eq(pthread_create(&thread, NULL, truncate_again_and_again, NULL), 0);
	/* Ends as soon as a cut falls between map and the last word; the timeout is the bound. */
	do {
		snapshot_deinit(&snapshot);
		r = take(NULL);
		ck_assert(r == 0 || r == -ENODATA || r == -ENOTRECOVERABLE);
	} while (r != -ENOTRECOVERABLE);
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("snapshot");
	TCase *tcase = tcase_create("snapshot");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_snapshot_shows_pools_and_holders);
	tcase_add_test(tcase, test_snapshot_shows_a_reserve_as_part_of_its_pool);
	tcase_add_test(tcase, test_snapshot_without_place_is_called_what_it_says);
	tcase_add_test(tcase, test_snapshot_sorted_by_what_they_hold);
	tcase_add_test(tcase, test_snapshot_peak_lies_between_used_and_total);
	tcase_add_test(tcase, test_snapshot_chunks_of_a_free_record_still_show);
	tcase_add_loop_test(tcase, test_snapshot_of_a_forged_header_shows_what_the_daemon_tells, 0,
			    6);
	tcase_add_test(tcase, test_snapshot_of_what_is_not_passed_enomsg);
	tcase_add_test(tcase, test_snapshot_of_too_large_a_shape_enodata);
	tcase_add_test(tcase, test_snapshot_in_parts_is_whole_in_the_end);
	tcase_add_test(tcase, test_snapshot_in_parts_of_two_shapes);
	tcase_add_test(tcase, test_snapshot_of_what_is_passed_needs_no_name);
	tcase_add_test(tcase, test_snapshot_of_another_file_ebadf);
	tcase_add_test(tcase, test_snapshot_of_nothing_enoent);
	tcase_add_test(tcase, test_snapshot_of_junk_ebadmsg);
	tcase_add_test(tcase, test_snapshot_of_short_object_enodata);
	tcase_add_test(tcase, test_snapshot_of_object_truncated_while_read_enotrecoverable);
	suite_add_tcase(suite, tcase);

	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
