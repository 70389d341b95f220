/* SPDX-License-Identifier: MIT */
/* test-word.c - bits of words and handles, at their edges */
#include "test_segment.h"

#include "shm/word.h"

START_TEST(test_word_parts_come_back)
{
	uint64_t word = word_make(UINT32_MAX, MEMPOOL_SHARED, WORD_VALUE_MASK);

	ck_assert_uint_eq(word, UINT64_MAX);
	ck_assert_uint_eq(word_generation(word), UINT32_MAX);
	ck_assert_int_eq(word_kind(word), MEMPOOL_SHARED);
	ck_assert_uint_eq(word_value(word), WORD_VALUE_MASK);

	word = word_make(0x12345678, MEMPOOL_OWNED, 0x2abcdef1);
	ck_assert_uint_eq(word, UINT64_C(0x123456786abcdef1));
	ck_assert_uint_eq(word_generation(word), 0x12345678);
	ck_assert_int_eq(word_kind(word), MEMPOOL_OWNED);
	ck_assert_uint_eq(word_value(word), 0x2abcdef1);
}
END_TEST

START_TEST(test_word_value_too_wide_touches_no_kind)
{
	ck_assert_int_eq(word_kind(word_make(1, MEMPOOL_FREE, UINT32_MAX)), MEMPOOL_FREE);
}
END_TEST

START_TEST(test_word_is_open_only_with_value_0)
{
	ck_assert(word_is_open(word_make(1, MEMPOOL_FREE, 0)));
	ck_assert(word_is_open(word_make(UINT32_MAX, MEMPOOL_FREE, 0)));
	ck_assert(!word_is_open(word_make(1, MEMPOOL_FREE, 1)));
	ck_assert(!word_is_open(word_make(1, MEMPOOL_OWNED, 0)));
	ck_assert(!word_is_open(word_make(1, MEMPOOL_SENT, 0)));
	ck_assert(!word_is_open(word_make(1, MEMPOOL_SHARED, 0)));
	ck_assert(word_is_free(word_make(1, MEMPOOL_FREE, 1)));
	ck_assert(!word_is_free(word_make(1, MEMPOOL_OWNED, 0)));
}
END_TEST

START_TEST(test_word_bias_parts_come_back)
{
	uint64_t epoch = UINT64_C(7) << WORD_EPOCH_BITS | WORD_EPOCH_MASK;
	uint64_t word = word_freed(word_make(41, MEMPOOL_OWNED, 5)) | word_bias(4095, epoch);

	ck_assert_int_eq(word_kind(word), MEMPOOL_FREE);
	ck_assert_uint_eq(word_generation(word), 42);
	ck_assert_uint_eq(word_lane(word), 4095);
	ck_assert_uint_eq(word_epoch(word), WORD_EPOCH_MASK);
	ck_assert_uint_eq(word_opened(word), word_make(42, MEMPOOL_FREE, 0));
}
END_TEST

START_TEST(test_word_is_owned_by_that_holder_alone)
{
	uint64_t word = word_make(9, MEMPOOL_OWNED, 5);

	ck_assert(word_is_owned_by(word, 5));
	ck_assert(!word_is_owned_by(word, 4));
	ck_assert(!word_is_owned_by(word_make(9, MEMPOOL_SENT, 5), 5));
	ck_assert(!word_is_owned_by(word_make(9, MEMPOOL_SHARED, 5), 5));
	ck_assert(!word_is_owned_by(word_make(9, MEMPOOL_FREE, 5), 5));
}
END_TEST

START_TEST(test_word_owner_is_the_same_whatever_the_lane)
{
	uint64_t word = word_make(9, MEMPOOL_OWNED, 4095 << WORD_LANE_SHIFT | 7);

	ck_assert(word_is_owned_by(word, 7));
	ck_assert(!word_is_owned_by(word, 6));
	ck_assert(!word_is_owned_by(word_make(9, MEMPOOL_SENT, 7), 7));
	ck_assert_uint_eq(word_owner(word), 7);
	ck_assert_uint_eq(word_owner(word_make(9, MEMPOOL_OWNED, WORD_ID_MASK)), WORD_ID_MASK);
}
END_TEST

START_TEST(test_word_claimed_keeps_generation_others_move_it)
{
	uint64_t word = word_make(41, MEMPOOL_FREE, 0);

	ck_assert_uint_eq(word_claimed(word, 7), word_make(41, MEMPOOL_OWNED, 7));
	ck_assert_uint_eq(word_freed(word), word_make(42, MEMPOOL_FREE, 0));
	ck_assert_uint_eq(word_taken(word, 7), word_make(42, MEMPOOL_OWNED, 7));
	ck_assert_uint_eq(word_sent(word, 3, 7), word_make(42, MEMPOOL_SENT, 3 << 15 | 7));
}
END_TEST

START_TEST(test_word_generation_skips_0)
{
	uint64_t last = word_make(UINT32_MAX, MEMPOOL_OWNED, 1);

	ck_assert_uint_eq(word_next_generation(last), 1);
	ck_assert_uint_eq(word_generation(word_freed(last)), 1);
	ck_assert_uint_eq(word_generation(word_sent(last, 0, 1)), 1);
	ck_assert_uint_eq(word_generation(word_taken(last, 1)), 1);
}
END_TEST

START_TEST(test_word_sent_parts_come_back)
{
	uint64_t word = word_sent(word_make(1, MEMPOOL_OWNED, 1), WORD_ID_MASK, 1);

	ck_assert_uint_eq(word_sent_queue(word), WORD_ID_MASK);
	ck_assert_uint_eq(word_sent_sender(word), 1);
	word = word_sent(word, 1, WORD_ID_MASK);
	ck_assert_uint_eq(word_sent_queue(word), 1);
	ck_assert_uint_eq(word_sent_sender(word), WORD_ID_MASK);
	ck_assert_int_eq(word_kind(word), MEMPOOL_SENT);
}
END_TEST

START_TEST(test_handle_parts_come_back)
{
	uint64_t handle = handle_make(UINT32_MAX, 61, MEMPOOL_MAX_CHUNKS_PER_POOL - 1);

	ck_assert_uint_eq(handle_generation(handle), UINT32_MAX);
	ck_assert_uint_eq(handle_pool(handle), 61);
	ck_assert_uint_eq(handle_index(handle), MEMPOOL_MAX_CHUNKS_PER_POOL - 1);

	handle = handle_make(1, 0, 0);
	ck_assert_uint_ne(handle, 0);
	ck_assert_uint_eq(handle_pool(handle), 0);
	ck_assert_uint_eq(handle_index(handle), 0);
	ck_assert_uint_eq(handle_pool(handle_make(1, 1, 0)), 1);
	ck_assert_uint_eq(handle_index(handle_make(1, 1, 5)), 5);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_test(tcase, test_word_parts_come_back);
	tcase_add_test(tcase, test_word_value_too_wide_touches_no_kind);
	tcase_add_test(tcase, test_word_is_open_only_with_value_0);
	tcase_add_test(tcase, test_word_bias_parts_come_back);
	tcase_add_test(tcase, test_word_is_owned_by_that_holder_alone);
	tcase_add_test(tcase, test_word_owner_is_the_same_whatever_the_lane);
	tcase_add_test(tcase, test_word_claimed_keeps_generation_others_move_it);
	tcase_add_test(tcase, test_word_generation_skips_0);
	tcase_add_test(tcase, test_word_sent_parts_come_back);
	tcase_add_test(tcase, test_handle_parts_come_back);
}

int main(void)
{
	return test_run("word", add_tests);
}
