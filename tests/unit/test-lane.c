/* SPDX-License-Identifier: MIT */
/* test-lane.c - lanes: how one is had, revoked, ended, reaped and used up; and what nonsense in one does */
#include "test_segment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shm/audit.h"
#include "shm/lane.h"
#include "shm/reap.h"

enum { ME = TEST_HOLDER, OTHER = TEST_HOLDER + 1, N = 200, GENERATION = 7 };

static struct segment *segment;
static struct lanes *lanes;
static struct pool *pool;
static uint32_t start;

static void setup(void)
{
	segment = test_segment_new(&(struct test_pool){ .chunk_size = 64, .n_chunks = N }, 1);
	pool = &segment->pools[0];
	lanes = &segment->lanes;
	start = 0;
	atomic_store(&segment->header->claims, 1);
}

static void teardown(void)
{
	segment_free(segment);
}

static uint64_t word(uint32_t index)
{
	return atomic_load(&pool->entries[index].word);
}

static void set_word(uint32_t index, enum mempool_kind kind, uint32_t value)
{
	atomic_store(&pool->entries[index].word, word_make(GENERATION, kind, value));
}

/* As its thread frees it. */
static uint64_t free_for(uint32_t lane, uint32_t index)
{
	uint64_t epoch;

	ck_assert(lane_adopt(lanes, lane, atomic_load(&lanes->records[lane].owner),
			     &epoch));
	set_word(index, MEMPOOL_FREE, word_bias(lane, epoch));
	return word(index);
}

/* As its thread is stopped in the middle of a claim. */
static void begin_claim(uint32_t lane, uint32_t index)
{
	atomic_store(&lanes->records[lane].intent,
		     handle_make(word_generation(word(index)), pool->id, index));
}

static uint32_t take(uint32_t holder)
{
	uint32_t lane = lane_take(lanes, holder, &start);

	ck_assert_uint_ne(lane, LANE_NONE);
	return lane;
}

static uint64_t owned(uint32_t lane, uint32_t holder)
{
	return word_make(GENERATION, MEMPOOL_OWNED, lane << WORD_LANE_SHIFT | holder);
}

static void set_epoch(uint32_t lane, uint64_t epoch)
{
	atomic_store(&lanes->records[lane].settled, epoch - 1);
	atomic_store(&lanes->records[lane].epoch, epoch);
}

static bool has_hint(uint32_t index)
{
	return free_list_has(&pool->list, index);
}

static void lose_hints(void)
{
	uint32_t from = 0, indices[64];

	while (free_list_pop(&pool->list, &from, indices, 64))
		;
}

START_TEST(test_lane_is_had_by_one_until_it_is_given_back)
{
	uint32_t first = take(ME), n = 1, lane;
	uint64_t before = free_for(first, 0);

	while ((lane = lane_take(lanes, OTHER, &start)) != LANE_NONE) {
		ck_assert_uint_ne(lane, first);
		n++;
	}
	ck_assert_uint_eq(n, lanes->n - 1);

	ck_assert(!lane_is_settled(lanes, before));
	lane_end(lanes, first, ME);
	ck_assert(lane_is_settled(lanes, before));
	ck_assert_uint_eq(take(OTHER), first);
	ck_assert_uint_ne(word_epoch(free_for(first, 1)), word_epoch(before));
}
END_TEST

START_TEST(test_lane_whose_hint_is_stale_is_left_to_its_owner)
{
	uint32_t lane = take(ME);

	free_list_push(&lanes->list, lane);
	start = lane / 64;
	ck_assert_uint_ne(take(OTHER), lane);
	ck_assert_uint_eq(atomic_load(&lanes->records[lane].owner), ME);
}
END_TEST

START_TEST(test_lane_claims_by_store_can_be_turned_off)
{
	uint32_t lane = take(ME);
	uint64_t epoch;

	ck_assert(lane_adopt(lanes, lane, ME, &epoch));
	lane_turn(lanes, false);
	ck_assert(!lane_adopt(lanes, lane, ME, &epoch));
}
END_TEST

START_TEST(test_lane_all_are_revoked_step_by_step)
{
	uint32_t first = take(ME), last = lanes->n - 1, next = 1, n_steps = 0;
	uint64_t words[2] = { free_for(first, 0), free_for(last, 1) };

	/* Nobody has that one, and nobody wrote to its words lately: it is revoked all the same. */
	ck_assert_uint_eq(atomic_load(&lanes->records[last].owner), MEMPOOL_HOLDER_NONE);
	free_for(first, 2);
	begin_claim(first, 2);
	lane_turn(lanes, false);
	for (; next < lanes->n; n_steps++)
		ck_assert_int_eq(lane_revoke_step(lanes, &next), 0);
	ck_assert_uint_eq(next, lanes->n);
	ck_assert_uint_eq(n_steps, (lanes->n - 1 + LANE_REVOKE_STEP - 1) / LANE_REVOKE_STEP);
	ck_assert_uint_eq(atomic_load(&segment->header->n_barriers), n_steps);
	for (uint32_t i = 0; i < 2; i++) {
		ck_assert_uint_eq(word(i), words[i]);
		ck_assert(lane_is_settled(lanes, words[i]));
	}
	ck_assert_uint_eq(word(2), owned(first, ME));
	lane_turn(lanes, true);
	ck_assert_uint_ne(word_epoch(free_for(first, 0)), word_epoch(words[0]));
}
END_TEST

START_TEST(test_lane_counts_tell_what_becomes_of_them)
{
	uint32_t mine = take(ME), next = 1;
	struct lane_counts counts;

	take(OTHER);
	set_epoch(lanes->n - 1, UINT64_C(1) << WORD_EPOCH_BITS);
	lane_count(lanes, &counts);
	ck_assert_uint_eq(counts.is_on, 1);
	ck_assert_uint_eq(counts.n_owned, 2);
	ck_assert_uint_eq(counts.n_retired, 1);
	ck_assert_uint_eq(counts.n_free, lanes->n - 1 - 3);
	/* Who takes a lane ends an epoch, too. */
	ck_assert_uint_eq(counts.n_revoked, (UINT64_C(1) << WORD_EPOCH_BITS) - 1 + 2);
	ck_assert_uint_eq(counts.n_barriers, 0);
	set_epoch(lanes->n - 1, 1);
	lane_end(lanes, mine, ME);
	lane_turn(lanes, false);
	ck_assert_int_eq(lane_revoke_step(lanes, &next), 0);
	lane_count(lanes, &counts);
	ck_assert_uint_eq(counts.is_on, 0);
	ck_assert_uint_eq(counts.n_owned, 1);
	ck_assert_uint_eq(counts.n_retired, 0);
	ck_assert_uint_eq(counts.n_revoked, next + 2);
	ck_assert_uint_eq(counts.n_barriers, 1);
}
END_TEST

START_TEST(test_lane_revoke_finishes_the_claim_under_way)
{
	uint32_t lane = take(ME);
	uint64_t seen = free_for(lane, 3), other = free_for(lane, 4);

	begin_claim(lane, 3);
	ck_assert_int_eq(lane_revoke(lanes, other), 0);
	ck_assert_uint_eq(word(3), owned(lane, ME));
	ck_assert_uint_eq(word(4), other);
	ck_assert(lane_is_settled(lanes, seen));
	ck_assert_uint_eq(atomic_load(&segment->header->n_barriers), 1);

	/* What is settled costs no barrier. */
	ck_assert_int_eq(lane_revoke(lanes, other), 0);
	ck_assert_uint_eq(atomic_load(&segment->header->n_barriers), 1);
	/* What is freed from then on is not settled. */
	ck_assert(!lane_is_settled(lanes, free_for(lane, 5)));
}
END_TEST

START_TEST(test_lane_revoke_leaves_claims_of_other_incarnations_alone)
{
	uint32_t lane = take(ME);
	uint64_t seen = free_for(lane, 3);

	begin_claim(lane, 3);
	atomic_store(&pool->entries[3].word, word_freed(seen) | (uint32_t)seen);
	seen = word(3);
	ck_assert_int_eq(lane_revoke(lanes, seen), 0);
	ck_assert_uint_eq(word(3), seen);
}
END_TEST

/* A helper that was stopped before it looked: the lane is another thread's now, who begins a claim. */
START_TEST(test_lane_settled_meanwhile_helps_nobody)
{
	uint32_t lane = take(ME);
	uint64_t n = lane_move(lanes, lane), seen;

	lane_end(lanes, lane, ME);
	start = lane / 64;
	ck_assert_uint_eq(take(OTHER), lane);
	seen = free_for(lane, 3);
	begin_claim(lane, 3);
	lane_settle(lanes, lane, n);
	ck_assert_uint_eq(word(3), seen);
}
END_TEST

/*
 * As before, but the helper ended an epoch that began after the owner had left: settling that lags
 * behind it. The next thread takes the lane all the same, and begins a claim.
 */
START_TEST(test_lane_moved_after_its_end_helps_nobody)
{
	uint32_t lane = take(ME);
	uint64_t n, seen;

	lane_end(lanes, lane, ME);
	n = lane_move(lanes, lane);
	start = lane / 64;
	ck_assert_uint_eq(take(OTHER), lane);
	seen = free_for(lane, 3);
	begin_claim(lane, 3);
	lane_settle(lanes, lane, n);
	ck_assert_uint_eq(word(3), seen);
	/* And it is helped itself, by whom reads its name. */
	ck_assert_int_eq(lane_revoke(lanes, seen), 0);
	ck_assert_uint_eq(word(3), owned(lane, OTHER));
}
END_TEST

/* A helper that has read the lane as nobody's finishes no claim: no word is ever OWNED by nobody. */
START_TEST(test_lane_of_nobody_has_no_claim_to_finish)
{
	uint32_t lane = take(ME);
	uint64_t seen = free_for(lane, 3);

	begin_claim(lane, 3);
	atomic_store(&lanes->records[lane].owner, 0);
	ck_assert_int_eq(lane_revoke(lanes, seen), 0);
	ck_assert_uint_eq(word(3), seen);
	ck_assert(lane_is_settled(lanes, seen));
}
END_TEST

/* Its thread has jumped out of a claim, and gives it back. */
START_TEST(test_lane_end_cancels_a_claim_that_was_broken_off)
{
	uint32_t lane = take(ME);

	free_for(lane, 3);
	begin_claim(lane, 3);
	lane_end(lanes, lane, ME);
	ck_assert_uint_eq(word(3), word_make(GENERATION + 1, MEMPOOL_FREE, 0));
	ck_assert_uint_eq(atomic_load(&lanes->records[lane].intent), 0);
	/* Of another's lane it changes nothing. */
	start = lane / 64;
	ck_assert_uint_eq(take(OTHER), lane);
	lane_end(lanes, lane, ME);
	ck_assert_uint_eq(atomic_load(&lanes->records[lane].owner), OTHER);
}
END_TEST

START_TEST(test_lane_adopted_anew_is_settled_without_a_barrier)
{
	uint32_t lane = take(ME);
	uint64_t before = free_for(lane, 3), epoch;

	lane_move(lanes, lane);
	ck_assert(!lane_is_settled(lanes, before));
	ck_assert(lane_adopt(lanes, lane, ME, &epoch));
	ck_assert(lane_is_settled(lanes, before));
	ck_assert(!lane_is_settled(lanes, free_for(lane, 4)));
	ck_assert_uint_eq(atomic_load(&segment->header->n_barriers), 0);
}
END_TEST

START_TEST(test_lane_is_not_had_while_claims_are_off)
{
	lane_turn(lanes, false);
	ck_assert_uint_eq(lane_take(lanes, ME, &start), LANE_NONE);
	lane_turn(lanes, true);
	ck_assert_uint_ne(lane_take(lanes, ME, &start), LANE_NONE);
}
END_TEST

START_TEST(test_lane_of_the_dead_is_reaped)
{
	uint32_t lane = take(ME), living = take(OTHER);
	uint64_t kept;

	free_for(lane, 3);
	free_for(lane, 4);
	kept = free_for(living, 5);
	begin_claim(lane, 3);
	lose_hints();
	ck_assert_int_eq(reap_holder(segment, ME), 0);

	/* The claim is cancelled, in the next generation. */
	ck_assert_uint_eq(word(3), word_make(GENERATION + 1, MEMPOOL_FREE, 0));
	ck_assert(pool_is_open(pool, word(4)));
	ck_assert(has_hint(3) && has_hint(4));
	/* What a living thread alone may claim by a store has its hint with that thread. */
	ck_assert_uint_eq(word(5), kept);
	ck_assert(!has_hint(5));
	ck_assert_uint_eq(atomic_load(&lanes->records[lane].owner), 0);
	ck_assert_uint_eq(atomic_load(&lanes->records[living].owner), OTHER);
	start = lane / 64;
	ck_assert_uint_eq(take(OTHER), lane);
}
END_TEST

START_TEST(test_lane_of_the_dead_keeps_no_claim_that_was_done)
{
	uint32_t lane = take(ME);

	free_for(lane, 3);
	begin_claim(lane, 3);
	atomic_store(&pool->entries[3].word, owned(lane, ME));
	ck_assert_int_eq(reap_holder(segment, ME), 1);
	ck_assert_uint_eq(word(3), word_make(GENERATION + 1, MEMPOOL_FREE, 0));
}
END_TEST

START_TEST(test_lane_hint_that_was_lost_is_set_by_a_sweep)
{
	uint32_t n = 0;

	while (free_list_pop_bits(&lanes->list, &start, 64))
		;
	ck_assert_uint_eq(lane_take(lanes, ME, &start), LANE_NONE);
	ck_assert_int_eq(reap_holder(segment, OTHER), 0);
	while (lane_take(lanes, ME, &start) != LANE_NONE)
		n++;
	ck_assert_uint_eq(n, lanes->n - 1);
}
END_TEST

static void sweep(bool renews)
{
	struct reap reap;

	ck_assert_int_eq(reap_init(&reap, segment), 0);
	if (renews)
		ck_assert_int_eq(reap_renew_lanes(&reap), 0);
	while (!reap_step(&reap, 1))
		;
	reap_deinit(&reap);
}

START_TEST(test_lane_whose_epochs_are_used_up_begins_anew)
{
	uint64_t last = WORD_EPOCH_MASK, epoch, seen;
	uint32_t lane = take(ME);

	set_epoch(lane, last);
	seen = free_for(lane, 3);
	ck_assert_int_eq(lane_revoke(lanes, seen), 0);
	ck_assert(lane_is_settled(lanes, seen));
	ck_assert(!lane_adopt(lanes, lane, ME, &epoch));
	/* Revoked again, it stays in no epoch. */
	ck_assert_uint_eq(lane_move(lanes, lane), last);
	ck_assert(!lane_adopt(lanes, lane, ME, &epoch));

	/* While its thread has it, it stays as it is; nor does a sweep of others change it. */
	sweep(true);
	ck_assert_uint_eq(word(3), seen);
	lane_end(lanes, lane, ME);
	sweep(false);
	ck_assert_uint_eq(word(3), seen);
	start = lane / 64;
	ck_assert_uint_ne(take(OTHER), lane);

	lose_hints();
	sweep(true);
	ck_assert_uint_eq(word(3), word_opened(seen));
	ck_assert(has_hint(3));
	start = lane / 64;
	ck_assert_uint_eq(take(OTHER), lane);
	/* The first epoch of the new life is ended by who takes it. */
	ck_assert_uint_eq(word_epoch(free_for(lane, 4)), 2);
	ck_assert_uint_eq(atomic_load(&lanes->records[lane].epoch), last + 3);
	ck_assert(!lane_is_settled(lanes, word(4)));
}
END_TEST

/* A sweep that was stopped behind the lanes, and found another's new life of one. */
START_TEST(test_lane_that_another_sweep_renewed_is_left)
{
	uint32_t lane = take(ME);
	struct reap reap;
	uint64_t seen;

	set_epoch(lane, WORD_EPOCH_MASK);
	lane_end(lanes, lane, ME);
	ck_assert_int_eq(reap_init(&reap, segment), 0);
	ck_assert_int_eq(reap_renew_lanes(&reap), 0);
	while (reap.lane < lanes->n)
		ck_assert(!reap_step(&reap, 1));
	sweep(true);

	start = lane / 64;
	ck_assert_uint_eq(take(OTHER), lane);
	seen = free_for(lane, 3);
	while (!reap_step(&reap, 1))
		;
	reap_deinit(&reap);
	ck_assert_uint_eq(word(3), seen);
}
END_TEST

/* Who claims the chunk while it is turned may have stamped it for a message by then. */
START_TEST(test_lane_turning_keeps_the_stamp)
{
	struct config config;
	uint32_t lane;

	segment_free(segment);
	test_config_init(&config, &(struct test_pool){ .chunk_size = 64, .n_chunks = N }, 1);
	ck_assert_int_eq(config_add_ring(&config, "q", MEMPOOL_RING_QUEUE, 8), 0);
	config.rings[0].flags |= MEMPOOL_RING_STAMPS;
	segment = test_segment_new_of(&config);
	config_deinit(&config);
	pool = &segment->pools[0];
	lanes = &segment->lanes;
	lane_turn(lanes, true);

	lane = take(ME);
	set_epoch(lane, WORD_EPOCH_MASK);
	atomic_store(&pool_stamp(pool, 3)->generation, GENERATION + 1);
	set_word(3, MEMPOOL_FREE, word_bias(lane, 1));
	lane_end(lanes, lane, ME);
	sweep(true);
	ck_assert(word_is_open(word(3)));
	ck_assert_uint_eq(atomic_load(&pool_stamp(pool, 3)->generation), GENERATION + 1);
}
END_TEST

START_TEST(test_lane_words_for_no_lane_are_not_free)
{
	uint32_t value = word_bias(lanes->n - 1, 1);

	ck_assert(pool_is_free(pool, word_make(1, MEMPOOL_FREE, value)));
	ck_assert(!pool_is_free(pool, word_make(1, MEMPOOL_FREE, word_bias(lanes->n, 1))));
	ck_assert(!pool_is_free(pool, word_make(1, MEMPOOL_FREE, word_bias(1, 0))));
	ck_assert(!pool_is_free(pool, word_make(1, MEMPOOL_FREE, word_bias(0, 1))));
	ck_assert(!pool_is_free(segment_managers(segment), word_make(1, MEMPOOL_FREE, value)));
}
END_TEST

/* ---- claims by others ---- */

static uint64_t n_barriers(void)
{
	return atomic_load(&segment->header->n_barriers);
}

static void hold_all(void)
{
	for (uint32_t i = 0; i < N; i++)
		set_word(i, MEMPOOL_OWNED, OTHER);
	lose_hints();
}

START_TEST(test_lane_of_another_is_passed_over_by_a_claim)
{
	uint32_t lane = take(ME);
	uint64_t seen = free_for(lane, 3);

	ck_assert_int_eq(pool_claim(pool, 3, OTHER), -EBUSY);
	ck_assert_uint_eq(word(3), seen);
	/* Its own thread's, by a swap too. */
	ck_assert_int_eq(pool_claim(pool, 3, lane << WORD_LANE_SHIFT | ME), 0);
	ck_assert_uint_eq(word(3), owned(lane, ME));

	free_for(lane, 4);
	ck_assert_int_eq(pool_claim_any(pool, 4, OTHER), 0);
	ck_assert(word_is_owned_by(word(4), OTHER));
	ck_assert_uint_eq(n_barriers(), 1);
	ck_assert_int_eq(pool_claim_any(pool, 4, OTHER), -EBUSY);
	/* What is settled is for everybody. */
	set_word(5, MEMPOOL_FREE, word_bias(lane, 1));
	ck_assert_int_eq(pool_claim(pool, 5, OTHER), 0);
}
END_TEST

START_TEST(test_lane_scan_opens_the_first_lane_at_once)
{
	uint32_t lane = take(ME), index;

	hold_all();
	free_for(lane, 3);
	free_for(lane, 4);
	ck_assert_int_eq(test_claim_scan(pool, 0, OTHER, &index), 0);
	ck_assert_uint_eq(index, 3);
	ck_assert_uint_eq(n_barriers(), 1);
	/* Of the same leaf, and open now. */
	ck_assert(has_hint(4));
}
END_TEST

/* Each chunk is being claimed when its lane is revoked, but for the last: two readings and two barriers. */
START_TEST(test_lane_scan_opens_all_others_together)
{
	uint32_t lanes_of[8], index;

	hold_all();
	for (uint32_t i = 0; i < 8; i++) {
		lanes_of[i] = take(ME);
		free_for(lanes_of[i], 20 * i);
		if (i < 7)
			begin_claim(lanes_of[i], 20 * i);
	}
	ck_assert_int_eq(test_claim_scan(pool, 0, OTHER, &index), 0);
	ck_assert_uint_eq(index, 140);
	ck_assert_uint_eq(n_barriers(), 2);
	for (uint32_t i = 0; i < 7; i++)
		ck_assert_uint_eq(word(20 * i), owned(lanes_of[i], ME));
}
END_TEST

START_TEST(test_lane_scan_that_finds_nothing_ends)
{
	uint32_t lane, index;

	hold_all();
	for (uint32_t i = 0; i < N; i++) {
		lane = take(ME);
		free_for(lane, i);
		begin_claim(lane, i);
	}
	ck_assert_int_eq(test_claim_scan(pool, 64, OTHER, &index), -EAGAIN);
	/* One for the first, one as soon as there are 193 or more. */
	ck_assert_uint_eq(n_barriers(), 1 + 1);
	for (uint32_t i = 0; i < N; i++)
		ck_assert(word_is_owned_by(word(i), ME));
}
END_TEST

START_TEST(test_lane_scan_passes_nonsense_over)
{
	uint32_t index;

	hold_all();
	set_word(3, MEMPOOL_FREE, word_bias(lanes->n, 1));
	set_word(4, MEMPOOL_FREE, word_bias(1, 0));
	ck_assert_int_eq(test_claim_scan(pool, 0, OTHER, &index), -EAGAIN);
	ck_assert_uint_eq(n_barriers(), 0);
}
END_TEST

/* ---- what a member may write there ---- */

static uint64_t random_64(void)
{
	return (uint64_t)random() << 42 ^ (uint64_t)random() << 21 ^ (uint64_t)random();
}

static void write_nonsense(void)
{
	for (uint32_t lane = 0; lane < lanes->n; lane++) {
		struct mempool_lane *record = &lanes->records[lane];

		atomic_store(&record->owner, (uint32_t)random_64());
		atomic_store(&record->epoch, random_64());
		atomic_store(&record->settled, random() % 2 ? random_64() : 0);
		atomic_store(&record->intent,
			     random() % 2 ? random_64()
					  : handle_make(GENERATION, 0, (uint32_t)random() % N));
	}
	for (uint32_t i = 0; i < N; i++)
		set_word(i, MEMPOOL_FREE, (uint32_t)random_64());
}

/* Nobody but the one that a lane names gets a chunk by it, and nothing is touched but free words. */
START_TEST(test_lane_hostile_records_are_followed_nowhere)
{
	struct audit audit;

	srandom((unsigned)_i);
	write_nonsense();
	for (uint32_t i = 0; i < N; i++)
		if (pool_is_free(pool, word(i)) && !word_is_open(word(i)))
			ck_assert_int_eq(lane_revoke(lanes, word(i)), 0);
	for (uint32_t lane = 1; lane < lanes->n; lane++)
		lane_settle(lanes, lane, lane_move(lanes, lane));
	for (uint32_t i = 0; i < N; i++) {
		ck_assert(word_generation(word(i)) == GENERATION);
		ck_assert(word_is_free(word(i)) || word_kind(word(i)) == MEMPOOL_OWNED);
	}
	sweep(true);
	ck_assert_int_eq(audit_segment(segment, 0, NULL, NULL, &audit), 0);
	ck_assert_uint_gt(audit.n_faults, 0);
}
END_TEST

/* What makes a lane of no use, for as long as nobody has mended it. */
static const struct {
	uint64_t epoch, settled;
} nonsense[] = {
	{0, 0},		 {0, UINT64_MAX},	   {5, 5},
	{5, UINT64_MAX}, {UINT64_MAX, UINT64_MAX}, {UINT64_C(1) << 40, UINT64_C(1) << 40},
};
#define N_NONSENSE ((int)(sizeof(nonsense) / sizeof(nonsense[0])))

/* The next sweep makes it a lane as any other; until then it is nobody's, and no thread
 * goes by it. */
START_TEST(test_lane_hostile_nonsense_is_mended_by_a_sweep)
{
	uint32_t lane = take(ME);
	struct mempool_lane *record = &lanes->records[lane];
	struct audit audit;
	uint64_t epoch;

	free_for(lane, 3);
	atomic_store(&record->epoch, nonsense[_i].epoch);
	atomic_store(&record->settled, nonsense[_i].settled);
	ck_assert(!lane_adopt(lanes, lane, ME, &epoch));
	lane_end(lanes, lane, ME);
	/* Unless its end has made it sound. */
	start = lane / 64;
	if (lane_is_over(lanes, lane))
		ck_assert_uint_ne(take(OTHER), lane);

	lose_hints();
	sweep(true);
	ck_assert(pool_is_open(pool, word(3)) && has_hint(3));
	ck_assert_int_eq(audit_segment(segment, 0, NULL, NULL, &audit), 0);
	ck_assert_uint_eq(audit.n_faults, 0);
	start = lane / 64;
	ck_assert_uint_eq(take(OTHER), lane);
	ck_assert(lane_adopt(lanes, lane, OTHER, &epoch));
	ck_assert(!lane_is_settled(lanes, free_for(lane, 4)));
	ck_assert_int_eq(lane_revoke(lanes, word(4)), 0);
	ck_assert(lane_is_settled(lanes, word(4)));
}
END_TEST

START_TEST(test_lane_hostile_owner_ends_its_use)
{
	uint32_t lane = take(ME);
	uint64_t epoch;

	atomic_store(&lanes->records[lane].owner, OTHER);
	ck_assert(!lane_adopt(lanes, lane, ME, &epoch));
	lane_end(lanes, lane, ME);
	ck_assert_uint_eq(atomic_load(&lanes->records[lane].owner), OTHER);
}
END_TEST

/* To have made a victim the owner of a lane is as good as to have made it that of a chunk. */
START_TEST(test_lane_hostile_owner_is_given_what_an_intent_names)
{
	uint32_t lane = take(ME);
	uint64_t seen = free_for(lane, 3);

	begin_claim(lane, 3);
	atomic_store(&lanes->records[lane].owner, UINT32_MAX << 15 | OTHER);
	ck_assert_int_eq(lane_revoke(lanes, seen), 0);
	ck_assert_uint_eq(word(3), owned(lane, OTHER));
	/* It is freed with the holder that it names, as whatever names it. */
	ck_assert_int_eq(reap_holder(segment, OTHER), 1);
}
END_TEST

START_TEST(test_lane_hostile_owner_that_is_no_holder_is_told)
{
	struct audit audit;
	uint32_t lane = take(ME);

	ck_assert_int_eq(audit_segment(segment, AUDIT_REAPED, NULL, NULL, &audit), 0);
	ck_assert_uint_eq(audit.n_faults, 0);
	atomic_store(&lanes->records[lane].owner, 9999);
	ck_assert_int_eq(audit_segment(segment, 0, NULL, NULL, &audit), 0);
	ck_assert_uint_eq(audit.n_faults, 1);
	atomic_store(&lanes->records[lane].owner, 0);
	free_for(lane, 3);
	begin_claim(lane, 3);
	ck_assert_int_eq(audit_segment(segment, 0, NULL, NULL, &audit), 0);
	ck_assert_uint_eq(audit.n_faults, 1);
	atomic_store(&lanes->records[lane].settled, 2);
	ck_assert_int_eq(audit_segment(segment, 0, NULL, NULL, &audit), 0);
	ck_assert_uint_eq(audit.n_faults, 2);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_lane_is_had_by_one_until_it_is_given_back);
	tcase_add_test(tcase, test_lane_whose_hint_is_stale_is_left_to_its_owner);
	tcase_add_test(tcase, test_lane_claims_by_store_can_be_turned_off);
	tcase_add_test(tcase, test_lane_all_are_revoked_step_by_step);
	tcase_add_test(tcase, test_lane_counts_tell_what_becomes_of_them);
	tcase_add_test(tcase, test_lane_revoke_finishes_the_claim_under_way);
	tcase_add_test(tcase, test_lane_revoke_leaves_claims_of_other_incarnations_alone);
	tcase_add_test(tcase, test_lane_settled_meanwhile_helps_nobody);
	tcase_add_test(tcase, test_lane_moved_after_its_end_helps_nobody);
	tcase_add_test(tcase, test_lane_of_nobody_has_no_claim_to_finish);
	tcase_add_test(tcase, test_lane_end_cancels_a_claim_that_was_broken_off);
	tcase_add_test(tcase, test_lane_adopted_anew_is_settled_without_a_barrier);
	tcase_add_test(tcase, test_lane_is_not_had_while_claims_are_off);
	tcase_add_test(tcase, test_lane_of_the_dead_is_reaped);
	tcase_add_test(tcase, test_lane_of_the_dead_keeps_no_claim_that_was_done);
	tcase_add_test(tcase, test_lane_hint_that_was_lost_is_set_by_a_sweep);
	tcase_add_test(tcase, test_lane_whose_epochs_are_used_up_begins_anew);
	tcase_add_test(tcase, test_lane_that_another_sweep_renewed_is_left);
	tcase_add_test(tcase, test_lane_turning_keeps_the_stamp);
	tcase_add_test(tcase, test_lane_words_for_no_lane_are_not_free);
	tcase_add_test(tcase, test_lane_of_another_is_passed_over_by_a_claim);
	tcase_add_test(tcase, test_lane_scan_opens_the_first_lane_at_once);
	tcase_add_test(tcase, test_lane_scan_opens_all_others_together);
	tcase_add_test(tcase, test_lane_scan_that_finds_nothing_ends);
	tcase_add_test(tcase, test_lane_scan_passes_nonsense_over);
	tcase_add_loop_test(tcase, test_lane_hostile_records_are_followed_nowhere, 0, 20);
	tcase_add_loop_test(tcase, test_lane_hostile_nonsense_is_mended_by_a_sweep, 0,
			    N_NONSENSE);
	tcase_add_test(tcase, test_lane_hostile_owner_ends_its_use);
	tcase_add_test(tcase, test_lane_hostile_owner_is_given_what_an_intent_names);
	tcase_add_test(tcase, test_lane_hostile_owner_that_is_no_holder_is_told);
}

int main(void)
{
	return test_run("lane", add_tests);
}
