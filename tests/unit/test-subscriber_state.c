/* SPDX-License-Identifier: MIT */
/* test-subscriber_state.c - what two looks at a subscriber say, and what a damaged line does not */
#include "test_segment.h"

#include <string.h>

#include "ctl/snapshot.h"
#include "ctl/subscribers.h"

enum { CAPACITY = 16, N = 3 };

/* One topic, and its subscribers, at the two looks. */
static struct snapshot_ring rings[2][1];
static struct snapshot_subscriber lines[2][N];
static struct snapshot snapshots[2];
static struct gathering before, now;

static void setup(void)
{
	for (int i = 0; i < 2; i++) {
		rings[i][0] = (struct snapshot_ring){ .name = "news", .capacity = CAPACITY };
		snapshots[i] = (struct snapshot){
			.segment_id = 7, .n_rings = 1, .rings = rings[i], .n_subscribers = N,
			.subscribers = lines[i],
		};
		for (uint32_t k = 0; k < N; k++)
			lines[i][k] = (struct snapshot_subscriber){
				.line = 3 * k, .is_whole = true, .record = { .id = 4 + k }, .cursor = 100,
			};
	}
	before = (struct gathering){ .n_snapshots = 1, .snapshots = &snapshots[0] };
	now = (struct gathering){ .n_snapshots = 1, .snapshots = &snapshots[1] };
}

/* Of the first one, who has read so many of those that were there before, and since. */
static enum subscriber_state state(uint64_t behind_before, uint64_t n_read, uint64_t behind_now,
				   uint64_t n_missed, uint64_t flags)
{
	lines[0][0].n_behind = behind_before;
	lines[1][0].cursor = 100 + n_read;
	lines[1][0].n_behind = behind_now;
	lines[1][0].n_missed = n_missed;
	lines[0][0].flags = lines[1][0].flags = flags;
	subscribers_compare(&before, &now);
	return lines[1][0].state;
}

START_TEST(test_subscribers_states)
{
	ck_assert_int_eq(state(0, 0, 0, 0, 0), SUBSCRIBER_IDLE);
	ck_assert_int_eq(state(0, 5, 0, 0, 0), SUBSCRIBER_READS);
	ck_assert_int_eq(state(3, 5, CAPACITY, 0, 0), SUBSCRIBER_READS);
	ck_assert_int_eq(state(3, 5, CAPACITY + 1, 0, 0), SUBSCRIBER_SLOW);
	ck_assert_int_eq(state(3, 5, 1, 2, 0), SUBSCRIBER_SLOW);
	ck_assert_int_eq(state(3, 0, 4, 0, 0), SUBSCRIBER_STUCK);
	ck_assert_int_eq(state(300, 0, 400, 0, 0), SUBSCRIBER_STUCK);
	ck_assert_int_eq(state(3, 0, 3, 0, 0), SUBSCRIBER_BEHIND);
	/* The first came between the looks: it may be about to read it. */
	ck_assert_int_eq(state(0, 0, 1, 0, 0), SUBSCRIBER_IDLE);
}
END_TEST

/* What it misses it has chosen to. */
START_TEST(test_subscribers_newest_is_never_slow)
{
	ck_assert_int_eq(state(3, 50, CAPACITY + 1, 40, MEMPOOL_END_NEWEST), SUBSCRIBER_READS);
	ck_assert_int_eq(state(3, 0, 4, 0, MEMPOOL_END_NEWEST), SUBSCRIBER_STUCK);
}
END_TEST

START_TEST(test_subscribers_that_were_not_there_before_are_unknown)
{
	/* Another incarnation, another one of the same client on that line, a line not whole. */
	lines[1][0].record.incarnation = 1;
	lines[1][1].start = 9;
	lines[1][2].is_whole = false;
	subscribers_compare(&before, &now);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(lines[1][i].state, SUBSCRIBER_UNKNOWN);
	/* Another segment. */
	setup();
	snapshots[0].segment_id = 8;
	subscribers_compare(&before, &now);
	ck_assert_int_eq(lines[1][1].state, SUBSCRIBER_UNKNOWN);
	/* None at all. */
	setup();
	before.n_snapshots = 0;
	subscribers_compare(&before, &now);
	ck_assert_int_eq(lines[1][1].state, SUBSCRIBER_UNKNOWN);
}
END_TEST

/* As metrics have sorted the last look; and two have gone, and come. */
START_TEST(test_subscribers_are_found_in_any_order)
{
	for (uint32_t k = 0; k < N; k++) {
		lines[0][k].n_behind = k + 1;
		lines[1][k].n_behind = k + 2;
	}
	snapshot_sort_subscribers(&snapshots[0]);
	ck_assert_uint_eq(lines[0][0].line, 6);
	subscribers_compare(&before, &now);
	for (uint32_t k = 0; k < N; k++) {
		ck_assert_uint_eq(lines[1][k].line, 3 * k);
		ck_assert_int_eq(lines[1][k].state, SUBSCRIBER_STUCK);
	}
	setup();
	snapshots[0].subscribers++;
	snapshots[0].n_subscribers--;
	lines[1][1].line = 4;
	subscribers_compare(&before, &now);
	ck_assert_int_eq(lines[1][0].state, SUBSCRIBER_UNKNOWN);
	ck_assert_int_eq(lines[1][1].state, SUBSCRIBER_UNKNOWN);
	ck_assert_int_eq(lines[1][2].state, SUBSCRIBER_IDLE);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, test_subscribers_states);
	tcase_add_test(tcase, test_subscribers_newest_is_never_slow);
	tcase_add_test(tcase, test_subscribers_that_were_not_there_before_are_unknown);
	tcase_add_test(tcase, test_subscribers_are_found_in_any_order);
}

int main(void)
{
	return test_run("subscriber_state", add_tests);
}
