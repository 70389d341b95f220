/* SPDX-License-Identifier: MIT */
/* test-peak.c - the daemon's counting of what is used at once */
#include <event2/event.h>

#include "daemon/segments/peak.h"
#include "test_segment.h"

/* More words than one step has, so that a pass takes several. */
static const struct test_pool pools[] = {
	{ .chunk_size = 64, .n_chunks = 100 },
	{ .chunk_size = 8, .n_chunks = 150000 },
};
enum { SMALL, MANY };

static struct segment *segment;
static struct event_base *base;
static struct chores chores;
static struct peak peak;

static void setup(void)
{
	segment = test_segment_new(pools, ARRAY_SIZE(pools));
	base = event_base_new();
	ck_assert_ptr_nonnull(base);
	/* A step a turn. */
	chores_init(&chores, base, 0);
	peak_init(&peak, base, &chores, segment);
}

static void teardown(void)
{
	peak_stop(&peak);
	chores_deinit(&chores);
	event_base_free(base);
	segment_free(segment);
}

static void claim(uint32_t pool, uint32_t first, uint32_t n)
{
	for (uint32_t i = first; i < first + n; i++)
		ck_assert_int_eq(pool_claim(&segment->pools[pool], i, TEST_HOLDER), 0);
}

static void release(uint32_t pool, uint32_t first, uint32_t n)
{
	for (uint32_t i = first; i < first + n; i++)
		ck_assert_int_eq(pool_release(&segment->pools[pool], i, TEST_HOLDER, true), 0);
}

static uint64_t peak_of(uint32_t pool)
{
	return atomic_load(&segment->pools[pool].state->peak_used);
}

/* One pass: what is due now, and what is due by that. */
static void one_pass(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static void next_pass(void)
{
	peak_stop(&peak);
	peak_start(&peak);
	one_pass();
}

START_TEST(test_peak_is_what_was_used_at_a_look)
{
	claim(SMALL, 3, 7);
	claim(MANY, 0, 5);
	claim(MANY, 149000, 1000);
	ck_assert_uint_eq(peak_of(SMALL), 0);
	peak_start(&peak);
	one_pass();
	ck_assert_uint_eq(peak_of(SMALL), 7);
	ck_assert_uint_eq(peak_of(MANY), 1005);
}
END_TEST

START_TEST(test_peak_never_falls)
{
	claim(SMALL, 0, 50);
	next_pass();
	release(SMALL, 0, 40);
	next_pass();
	ck_assert_uint_eq(peak_of(SMALL), 50);
	claim(SMALL, 0, 40);
	claim(SMALL, 50, 1);
	next_pass();
	ck_assert_uint_eq(peak_of(SMALL), 51);
}
END_TEST

START_TEST(test_peak_stopped_in_the_middle_begins_anew)
{
	claim(SMALL, 0, 10);
	claim(MANY, 0, 100);
	peak_start(&peak);
	/* One step: the first pool, and the second in part. */
	event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	ck_assert_uint_eq(peak_of(SMALL), 10);
	ck_assert_uint_eq(peak_of(MANY), 0);
	release(MANY, 0, 90);
	next_pass();
	ck_assert_uint_eq(peak_of(SMALL), 10);
	ck_assert_uint_eq(peak_of(MANY), 10);
}
END_TEST

START_TEST(test_peak_rests_between_two_passes)
{
	struct timeval due, now;

	peak_start(&peak);
	one_pass();
	ck_assert(event_pending(&peak.rest, EV_TIMEOUT, &due));
	event_base_gettimeofday_cached(base, &now);
	ck_assert_int_ge(due.tv_sec * 1000 + due.tv_usec / 1000,
			 now.tv_sec * 1000 + now.tv_usec / 1000 + 900);
}
END_TEST

START_TEST(test_peak_of_nothing_is_not_counted)
{
	peak_init(&peak, base, &chores, NULL);
	peak_start(&peak);
	ck_assert(!peak.count.is_due);
	ck_assert(!event_pending(&peak.rest, EV_TIMEOUT, NULL));
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_peak_is_what_was_used_at_a_look);
	tcase_add_test(tcase, test_peak_never_falls);
	tcase_add_test(tcase, test_peak_stopped_in_the_middle_begins_anew);
	tcase_add_test(tcase, test_peak_rests_between_two_passes);
	tcase_add_test(tcase, test_peak_of_nothing_is_not_counted);
}

int main(void)
{
	return test_run("peak", add_tests);
}
