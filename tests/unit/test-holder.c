/* SPDX-License-Identifier: MIT */
/* test-holder.c - records of holders: written, read back, read from a hostile segment */
#include "test_segment.h"

#include <errno.h>
#include <string.h>

#include "shm/holder.h"

static struct segment *segment;

static void setup(void)
{
	static const struct test_pool pools[] = { { .chunk_size = 64, .n_chunks = 1 } };

	segment = test_segment_new(pools, 1);
}

static void teardown(void)
{
	segment_free(segment);
}

START_TEST(test_holder_set_live_is_read_back)
{
	struct holder in = {
		.id = 40,
		.kind = MEMPOOL_HOLDER_TOPIC,
		.pid = 1234,
		.uid = 77,
		.incarnation = 9,
		.attached_ns = 5,
		.bound = { .max_chunks = 8, .max_bytes = UINT64_C(1) << 33 },
		.reserves = UINT64_C(1) << 61 | 4,
		.name = "0123456789012345678901234567890",
	};
	struct holder out;

	holder_set_live(segment, &in);
	ck_assert_int_eq(holder_read(segment, 40, &out), 0);
	ck_assert_uint_eq(out.id, 40);
	ck_assert_uint_eq(out.state, MEMPOOL_HOLDER_LIVE);
	ck_assert_uint_eq(out.kind, MEMPOOL_HOLDER_TOPIC);
	ck_assert_uint_eq(out.pid, 1234);
	ck_assert_uint_eq(out.uid, 77);
	ck_assert_uint_eq(out.attached_ns, 5);
	ck_assert_uint_eq(out.reserves, in.reserves);
	ck_assert_uint_eq(out.incarnation, 9);
	ck_assert_uint_eq(out.n_exhausted, 0);
	ck_assert_uint_eq(out.bound.max_chunks, in.bound.max_chunks);
	ck_assert_uint_eq(out.bound.max_bytes, in.bound.max_bytes);
	ck_assert_str_eq(out.name, in.name);
}
END_TEST

START_TEST(test_holder_again_clears_the_rest)
{
	struct holder in = { .id = 40, .name = "long-name" }, out;

	holder_set_live(segment, &in);
	atomic_store(&segment->holders[40].n_exhausted, 9);
	holder_set_state(segment, 40, MEMPOOL_HOLDER_REAPING);
	ck_assert_int_eq(holder_read(segment, 40, &out), 0);
	ck_assert_uint_eq(out.state, MEMPOOL_HOLDER_REAPING);
	ck_assert_str_eq(out.name, "long-name");
	holder_set_state(segment, 40, MEMPOOL_HOLDER_FREE);

	holder_set_flags(segment, 40, MEMPOOL_HOLDER_UNVERIFIABLE);
	ck_assert_int_eq(holder_read(segment, 40, &out), 0);
	ck_assert(out.is_unverifiable && !out.is_reader);
	holder_set_flags(segment, 40, MEMPOOL_HOLDER_READER);
	ck_assert_int_eq(holder_read(segment, 40, &out), 0);
	ck_assert(!out.is_unverifiable && out.is_reader);

	in = (struct holder){ .id = 40, .incarnation = 2, .name = "x" };
	holder_set_live(segment, &in);
	ck_assert_int_eq(holder_read(segment, 40, &out), 0);
	ck_assert_uint_eq(out.incarnation, 2);
	ck_assert(!out.is_unverifiable && !out.is_reader);
	ck_assert_uint_eq(out.n_exhausted, 0);
	ck_assert_str_eq(out.name, "x");
}
END_TEST

START_TEST(test_holder_read_no_such_id_einval)
{
	struct holder out;

	ck_assert_int_eq(holder_read(segment, 0, &out), -EINVAL);
	ck_assert_int_eq(holder_read(segment, segment->n_holders, &out), -EINVAL);
	ck_assert_int_eq(holder_read(segment, UINT32_MAX, &out), -EINVAL);
	ck_assert_int_eq(holder_read(segment, segment->n_holders - 1, &out), 0);
	ck_assert_uint_eq(out.state, MEMPOOL_HOLDER_FREE);
}
END_TEST

START_TEST(test_holder_hostile_name_is_closed_and_printable)
{
	struct holder out;

	for (int i = 0; i < 32; i++)
		atomic_store(&segment->holders[3].name[i], 'A');
	atomic_store(&segment->holders[3].name[0], '\n');
	atomic_store(&segment->holders[3].name[1], 0x1b);
	atomic_store(&segment->holders[3].name[2], 0xff);
	atomic_store(&segment->holders[3].name[3], 0x7f);
	ck_assert_int_eq(holder_read(segment, 3, &out), 0);
	ck_assert_str_eq(out.name, "????AAAAAAAAAAAAAAAAAAAAAAAAAAA");
}
END_TEST

START_TEST(test_holder_first_client_follows_the_topics)
{
	struct segment *other;
	struct config config;

	ck_assert_uint_eq(holder_first_client(segment), TEST_HOLDER);
	ck_assert_int_eq(config_init(&config, "test"), 0);
	ck_assert_int_eq(config_add_pool(&config, 64, 1), 0);
	ck_assert_int_eq(config_add_ring(&config, "q", MEMPOOL_RING_QUEUE, 1), 0);
	ck_assert_int_eq(config_add_ring(&config, "t", MEMPOOL_RING_TOPIC, 1), 0);
	ck_assert_int_eq(config_add_ring(&config, "u", MEMPOOL_RING_TOPIC, 1), 0);
	other = test_segment_new_of(&config);
	ck_assert_uint_eq(holder_first_client(other), TEST_HOLDER + 2);
	segment_free(other);
	config_deinit(&config);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_holder_set_live_is_read_back);
	tcase_add_test(tcase, test_holder_again_clears_the_rest);
	tcase_add_test(tcase, test_holder_read_no_such_id_einval);
	tcase_add_test(tcase, test_holder_hostile_name_is_closed_and_printable);
	tcase_add_test(tcase, test_holder_first_client_follows_the_topics);
}

int main(void)
{
	return test_run("holder", add_tests);
}
