/* SPDX-License-Identifier: MIT */
/* test-claim.c - who has a lane, what is freed for it and claimed by stores, and when not */
#include "test_segment.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "client/bound.h"
#include "client/cache.h"
#include "client/client.h"
#include "shm/audit.h"
#include "shm/barrier.h"
#include "shm/lane.h"
#include "shm/reap.h"

enum { ME = TEST_HOLDER, OTHER = TEST_HOLDER + 1, N = 256, CACHE = 64, BYTES = 64, LARGE = 300 };

static const struct test_pool pools[] = {
	{ .chunk_size = BYTES, .n_chunks = N, .cache = CACHE },
	{ .chunk_size = LARGE, .n_chunks = 1, .cache = 2 },
};

static struct segment *segment;
static struct lanes *lanes;
static struct mempool_client *client, *other;

static struct mempool_client *client_of(uint32_t holder, uint64_t flags)
{
	struct mempool_client *made;

	ck_assert_int_eq(client_new(test_segment_view(segment), holder, flags, &made), 0);
	return made;
}

static void setup(void)
{
	struct config config;

	test_config_init(&config, pools, ARRAY_SIZE(pools));
	ck_assert_int_eq(config_add_ring(&config, "queue", MEMPOOL_RING_QUEUE, 4), 0);
	segment = test_segment_new_of(&config);
	config_deinit(&config);
	lanes = &segment->lanes;
	lane_turn(lanes, true);
	client = client_of(ME, 0);
	other = client_of(OTHER, 0);
}

static void teardown(void)
{
	mempool_client_close(client);
	mempool_client_close(other);
	segment_free(segment);
}

static uint64_t n_owned(void)
{
	struct lane_counts counts;

	lane_count(lanes, &counts);
	return counts.n_owned;
}

static uint64_t n_barriers(void)
{
	return atomic_load(&segment->header->n_barriers);
}

static _Atomic uint64_t *word_of(const struct mempool_client *by, const void *chunk, size_t size)
{
	const struct pool *pool = &by->segment->pools[size > BYTES];
	uint64_t offset = (uint64_t)((const unsigned char *)chunk - pool->data);

	return &segment->pools[size > BYTES].entries[offset / pool->stride].word;
}

static uint64_t word(const void *chunk)
{
	return atomic_load(word_of(client, chunk, BYTES));
}

static void *must_alloc(struct mempool_client *by, size_t size)
{
	void *chunk = mempool_alloc(by, size);

	ck_assert_ptr_nonnull(chunk);
	return chunk;
}

static void must_free(struct mempool_client *by, void *chunk)
{
	ck_assert_int_eq(mempool_free(by, chunk), 0);
}

static void pair(struct mempool_client *by, size_t size)
{
	must_free(by, must_alloc(by, size));
}

static uint32_t lane_of(const struct mempool_client *by)
{
	ck_assert_uint_ne(by->caches->lane, LANE_NONE);
	return by->caches->lane;
}

static bool is_free_for(uint64_t seen, uint32_t lane)
{
	return word_is_free(seen) && word_lane(seen) == lane;
}

START_TEST(test_claim_of_what_was_freed_is_by_stores)
{
	void *chunk = must_alloc(client, BYTES);
	uint32_t lane = lane_of(client);
	struct mempool_lane *record = &lanes->records[lane];
	uint64_t freed;

	must_free(client, chunk);
	freed = word(chunk);
	ck_assert(is_free_for(freed, lane));
	ck_assert(!lane_is_settled(lanes, freed));
	ck_assert_uint_eq(atomic_load(&record->intent), 0);

	ck_assert_ptr_eq(must_alloc(client, BYTES), chunk);
	ck_assert_uint_eq(word(chunk), word_claimed(freed, lane << WORD_LANE_SHIFT | ME));
	ck_assert_uint_eq(handle_generation(atomic_load(&record->intent)), word_generation(freed));
	ck_assert(!lane_is_claiming(lanes, lane));
	/* Another thread's free, and its own of what others handed over, is one as well. */
	must_free(client, chunk);
	ck_assert_int_eq(mempool_free(client, chunk), -EPERM);
	ck_assert_uint_eq(n_barriers(), 0);
}
END_TEST

START_TEST(test_claim_frees_to_pools_in_turn_are_all_for_the_lane)
{
	void *small = must_alloc(client, BYTES), *large = must_alloc(client, LARGE);

	for (int i = 0; i < 4; i++) {
		must_free(client, small);
		must_free(client, large);
		ck_assert(is_free_for(word(small), lane_of(client)));
		ck_assert(is_free_for(atomic_load(word_of(client, large, LARGE)), lane_of(client)));
		ck_assert_ptr_eq(must_alloc(client, BYTES), small);
		ck_assert_ptr_eq(must_alloc(client, LARGE), large);
	}
}
END_TEST

START_TEST(test_claim_of_many_is_by_stores)
{
	void *chunks[8], *again[8];

	ck_assert_int_eq(mempool_alloc_many(client, BYTES, chunks, 8), 8);
	ck_assert_int_eq(mempool_free_many(client, chunks, 8), 8);
	for (int i = 0; i < 8; i++)
		ck_assert(is_free_for(word(chunks[i]), lane_of(client)));
	ck_assert_int_eq(mempool_alloc_many(client, BYTES, again, 8), 8);
	for (int i = 0; i < 8; i++)
		ck_assert_uint_eq((uint32_t)word(again[i]), client->caches->owned);
	ck_assert_int_eq(mempool_free_many(client, again, 8), 8);
}
END_TEST

/* ---- who has none ---- */

START_TEST(test_claim_by_stores_is_not_for_who_checks)
{
	struct mempool_client *checks = client_of(ME, MEMPOOL_CLIENT_DEBUG);

	for (int i = 0; i < 4; i++)
		pair(checks, BYTES);
	ck_assert_uint_eq(n_owned(), 0);
	mempool_client_close(checks);
}
END_TEST

START_TEST(test_claim_by_stores_is_not_for_who_is_bounded)
{
	bound_init(client, &(struct holder_bound){ .max_chunks = 10 });
	for (int i = 0; i < 4; i++)
		pair(client, BYTES);
	ck_assert_uint_eq(n_owned(), 0);
}
END_TEST

/*
 * Its frees are swaps, or stores in their place in the order of all: no word is taken for one that a
 * plain store may free. What is free for a lane has low bits of any value.
 */
START_TEST(test_claim_without_membarrier_frees_nothing_twice)
{
	void *chunk;

	client->seq_cst = true;
	chunk = must_alloc(client, BYTES);
	pair(client, BYTES);
	ck_assert_uint_eq(n_owned(), 0);
	must_free(client, chunk);
	for (uint32_t lane = 0; lane < 4; lane++)
		for (uint32_t epoch = 0; epoch < 4; epoch++) {
			uint64_t seen = word_make(9, MEMPOOL_FREE, word_bias(lane, epoch));

			atomic_store(word_of(client, chunk, BYTES), seen);
			ck_assert_int_eq(mempool_free(client, chunk), -EPERM);
			ck_assert_uint_eq(word(chunk), seen);
		}
}
END_TEST

START_TEST(test_claim_by_stores_is_not_for_who_only_frees)
{
	void *chunk = must_alloc(client, BYTES);
	uint64_t handle;

	ck_assert_int_eq(mempool_give(client, chunk, BYTES, &handle), 0);
	ck_assert_int_eq(mempool_take(other, handle, &chunk, NULL), 0);
	must_free(other, chunk);
	ck_assert_uint_eq(n_owned(), 1);
	ck_assert_uint_eq(atomic_load(&lanes->records[lane_of(client)].owner), ME);
}
END_TEST

START_TEST(test_claim_while_all_lanes_are_taken_is_by_swap)
{
	uint32_t start = 0;

	while (lane_take(lanes, OTHER, &start) != LANE_NONE)
		;
	for (int i = 0; i < 4; i++)
		pair(client, BYTES);
	ck_assert_uint_eq(client->caches->lane, LANE_NONE);
	ck_assert(word_is_open(word(must_alloc(client, BYTES)) | UINT32_MAX) == false);
}
END_TEST

/* ---- the life of a lane ---- */

static void *pair_in_thread(void *unused)
{
	pair(client, BYTES);
	pair(client, BYTES);
	return unused;
}

START_TEST(test_claim_thread_that_ends_gives_its_lane_back)
{
	pthread_t thread;
	struct audit audit;

	pthread_create(&thread, NULL, pair_in_thread, NULL);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(n_owned(), 0);
	/* What it freed is found by its hint, and without a barrier. */
	for (int i = 0; i < N; i++)
		must_alloc(client, BYTES);
	ck_assert_uint_eq(n_barriers(), 0);
	ck_assert_int_eq(audit_segment(segment, 0, NULL, NULL, &audit), 0);
	ck_assert_uint_eq(audit.n_faults, 0);
}
END_TEST

START_TEST(test_claim_close_gives_all_lanes_back)
{
	struct audit audit;

	pair(client, BYTES);
	pair(other, BYTES);
	ck_assert_uint_eq(n_owned(), 2);
	ck_assert_int_eq(mempool_client_close(client), 0);
	ck_assert_uint_eq(n_owned(), 1);
	ck_assert_int_eq(audit_segment(segment, AUDIT_REAPED, NULL, NULL, &audit), 0);
	ck_assert_uint_eq(audit.n_faults, 0);
	client = client_of(ME, 0);
}
END_TEST

START_TEST(test_claim_revoked_goes_to_who_asks)
{
	void *mine = must_alloc(client, LARGE), *theirs;

	must_free(client, mine);
	theirs = must_alloc(other, LARGE);
	ck_assert_uint_eq(n_barriers(), 1);
	ck_assert(word_is_owned_by(atomic_load(word_of(other, theirs, LARGE)), OTHER));
	ck_assert_ptr_null(mempool_alloc(client, LARGE));
	ck_assert_int_eq(errno, EAGAIN);
	must_free(other, theirs);
}
END_TEST

/* Its own is still its own, if nobody wanted that one; then it is quiet for a while. */
START_TEST(test_claim_whose_epoch_is_moved_is_by_swap_for_a_while)
{
	uint32_t lane;
	void *chunk;
	int n = 0;

	pair(client, BYTES);
	lane = lane_of(client);
	lane_settle(lanes, lane, lane_move(lanes, lane));
	chunk = must_alloc(client, BYTES);
	ck_assert_uint_eq((uint32_t)word(chunk), client->caches->owned);
	/* It rests as long. */
	ck_assert_uint_eq(atomic_load(&lanes->records[lane].intent), 0);
	must_free(client, chunk);
	for (; word_is_open(word(chunk)); n++) {
		ck_assert_int_lt(n, 1000);
		ck_assert_ptr_eq(must_alloc(client, BYTES), chunk);
		must_free(client, chunk);
	}
	ck_assert_int_ge(n, 32);
	ck_assert(is_free_for(word(chunk), lane));
}
END_TEST

/* Another one has finished the claim, as it does for a thread that it finds in one. */
START_TEST(test_claim_that_was_finished_is_ours)
{
	uint64_t seen;
	uint32_t lane;
	void *chunk;

	pair(client, BYTES);
	chunk = must_alloc(client, BYTES);
	lane = lane_of(client);
	must_free(client, chunk);
	seen = word(chunk);
	/* As it stands when the thread has looked at the word, and has not yet looked at its epoch. */
	lane_move(lanes, lane);
	atomic_store(word_of(client, chunk, BYTES), word_claimed(seen, lane << WORD_LANE_SHIFT | ME));
	client->caches->magazines[0].n--;
	ck_assert(claim_finish(client->caches, &client->caches->magazines[0].pool,
			       client->caches->magazines[0].indices[client->caches->magazines[0].n],
			       CLAIM_MOVED));
	client->caches->magazines[0].n_ours--;
	client->caches->n_moved++;
	must_free(client, chunk);
}
END_TEST

START_TEST(test_claim_passed_to_and_fro_revokes_seldom)
{
	enum { TURNS = 20000 };
	uint64_t before;

	/* Behind the first doublings. */
	for (int i = 0; i < TURNS; i++) {
		pair(client, LARGE);
		pair(other, LARGE);
	}
	before = n_barriers();
	for (int i = 0; i < TURNS; i++) {
		pair(client, LARGE);
		pair(other, LARGE);
	}
	ck_assert_uint_lt(n_barriers() - before, 2 * TURNS / 100);
}
END_TEST

START_TEST(test_claim_off_gives_the_lane_back)
{
	uint32_t lane, next = 1;

	pair(client, BYTES);
	lane = lane_of(client);
	lane_turn(lanes, false);
	while (next < lanes->n)
		ck_assert_int_eq(lane_revoke_step(lanes, &next), 0);
	for (int i = 0; i < 1000; i++)
		pair(client, BYTES);
	ck_assert_uint_eq(atomic_load(&lanes->records[lane].owner), 0);
	ck_assert_uint_eq(client->caches->lane, LANE_NONE);
	lane_turn(lanes, true);
	for (int i = 0; i < 2000; i++)
		pair(client, BYTES);
	lane_of(client);
}
END_TEST

/* In turn with a claim of a ChunkManager each: it looks again all the same. */
START_TEST(test_claim_of_who_shares_is_for_its_lane_again)
{
	uint64_t handle;
	void *chunk;

	pair(client, BYTES);
	/* As a free leaves it that has found hints wanted. The manager uses up the swaps. */
	client->caches->magazines[0].bias = 0;
	client->caches->n_swaps_left = 1;
	for (int i = 0; i < 3000; i++) {
		chunk = must_alloc(client, BYTES);
		ck_assert_int_eq(mempool_share(client, chunk, BYTES, &handle), 0);
		must_free(client, chunk);
	}
	ck_assert_uint_ne(client->caches->magazines[0].bias, 0);
}
END_TEST

START_TEST(test_claim_retired_takes_another_lane)
{
	uint32_t lane;

	pair(client, BYTES);
	lane = lane_of(client);
	atomic_store(&lanes->records[lane].epoch, UINT64_C(1) << WORD_EPOCH_BITS);
	for (int i = 0; i < 2000; i++)
		pair(client, BYTES);
	ck_assert_uint_ne(lane_of(client), lane);
	ck_assert(lane_waits_for_sweep(lanes, lane));
}
END_TEST

START_TEST(test_claim_rests_before_a_sleep)
{
	struct mempool_queue *queue;
	void *chunk, *message;

	pair(client, BYTES);
	chunk = must_alloc(client, BYTES);
	ck_assert_uint_ne(atomic_load(&lanes->records[lane_of(client)].intent), 0);
	ck_assert_int_eq(mempool_queue_open(client, "queue", &queue), 0);
	ck_assert_int_eq(mempool_queue_receive(queue, &message, NULL, 1000000), -EAGAIN);
	ck_assert_uint_eq(atomic_load(&lanes->records[lane_of(client)].intent), 0);
	must_free(client, chunk);
	mempool_queue_close(queue);
}
END_TEST

/* ---- hints ---- */

START_TEST(test_claim_hints_that_are_wanted_lead_to_what_is_everybodys)
{
	void *chunk = must_alloc(client, LARGE);
	_Atomic uint64_t *seen = word_of(client, chunk, LARGE);

	ck_assert_ptr_null(mempool_alloc(other, LARGE));
	must_free(client, chunk);
	ck_assert(word_is_open(atomic_load(seen)));
	ck_assert(free_list_has(&segment->pools[1].list, 0));
	/* Until it has found for a while that there are enough. */
	pair(client, LARGE);
	ck_assert(word_is_open(atomic_load(seen)));
	for (int i = 0; i < 2000; i++)
		pair(client, LARGE);
	ck_assert(is_free_for(atomic_load(seen), lane_of(client)));
}
END_TEST

static uint32_t n_hints(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < N; i++)
		n += (uint32_t)free_list_has(&segment->pools[0].list, i);
	return n;
}

START_TEST(test_claim_beyond_a_full_stack_is_everybodys)
{
	void *chunks[N];

	for (int i = 0; i < N; i++)
		chunks[i] = must_alloc(client, BYTES);
	for (int i = 0; i < N; i++) {
		must_free(client, chunks[i]);
		ck_assert(i < CACHE ? is_free_for(word(chunks[i]), lane_of(client))
				    : word_is_open(word(chunks[i])));
	}
	/* Those of the last leaf are set aside. */
	ck_assert_uint_eq(n_hints(), N - CACHE - 64);
	for (int i = 0; i < CACHE; i++)
		must_alloc(client, BYTES);
	ck_assert_uint_eq(n_hints(), N - CACHE - 64);
	must_alloc(client, BYTES);
	ck_assert_uint_eq(n_hints(), N - CACHE - CACHE / 2);
}
END_TEST

/* ---- what a member may write there ---- */

/* A word that no thread writes, under a hint of one that has no lane: it names no record to write to. */
START_TEST(test_claim_hostile_word_is_dropped)
{
	void *chunk = must_alloc(client, BYTES);
	uint64_t nonsense = (uint64_t)5 << 32 | CLAIM_NONE;

	must_free(client, chunk);
	claim_end(client->caches);
	client->caches->n_swaps_left = UINT32_MAX;
	atomic_store(word_of(client, chunk, BYTES), nonsense);
	ck_assert_ptr_ne(must_alloc(client, BYTES), chunk);
	ck_assert_uint_eq(word(chunk), nonsense);
	atomic_store(word_of(client, chunk, BYTES), word_make(6, MEMPOOL_FREE, 0));
}
END_TEST

/*
 * What is free for the lane looks settled to all others, who then claim it by a swap, and leave its epoch:
 * its thread finds hints that lead to nothing, and goes by the lane no more.
 */
START_TEST(test_claim_hostile_settling_ends_with_the_first_hint_that_fails)
{
	void *mine = must_alloc(client, LARGE), *chunk;
	uint32_t lane;

	must_free(client, mine);
	lane = lane_of(client);
	ck_assert(is_free_for(atomic_load(word_of(client, mine, LARGE)), lane));
	atomic_store(&lanes->records[lane].settled, UINT64_C(1) << 63);
	chunk = must_alloc(other, LARGE);
	ck_assert_uint_eq(n_barriers(), 0);
	ck_assert_ptr_null(mempool_alloc(client, LARGE));
	ck_assert_uint_eq(client->caches->mine, CLAIM_NONE);
	for (int i = 0; i < 3000; i++)
		pair(client, BYTES);
	ck_assert_uint_ne(lane_of(client), lane);
	must_free(other, chunk);
}
END_TEST

static _Atomic bool is_over;

static void *write_nonsense(void *unused)
{
	uint32_t x = 1;

	while (!atomic_load(&is_over))
		for (uint32_t lane = 1; lane < 64; lane++) {
			struct mempool_lane *record = &lanes->records[lane];

			x = x * 1664525 + 1013904223;
			switch (x >> 29) {
			case 0:
				atomic_store(&record->epoch, x % 5 == 0 ? 0 : x);
				break;
			case 1:
				atomic_store(&record->settled, (uint64_t)x << 20);
				break;
			case 2:
				atomic_store(&record->owner, x % 3 == 0 ? 0 : OTHER);
				break;
			case 3:
				atomic_store(&record->intent,
					     handle_make(word_generation(atomic_load(
								 &segment->pools[0].entries[x % N].word)),
							 0, x % N));
				break;
			default:
				free_list_push(&lanes->list, lane);
			}
		}
	return unused;
}

/* Nobody hangs or falls; and behind a sweep all is as before. */
START_TEST(test_claim_hostile_member_does_nothing_that_lasts)
{
	void *chunks[16];
	pthread_t thread;
	struct reap reap;

	pthread_create(&thread, NULL, write_nonsense, NULL);
	for (int i = 0; i < 20000; i++) {
		void *chunk = mempool_alloc(client, BYTES);

		if (chunk)
			mempool_free(client, chunk);
		chunk = mempool_alloc(other, BYTES);
		if (chunk)
			mempool_free(other, chunk);
	}
	atomic_store(&is_over, true);
	pthread_join(thread, NULL);

	mempool_client_close(client);
	mempool_client_close(other);
	ck_assert_int_eq(reap_init(&reap, segment), 0);
	ck_assert_int_eq(reap_renew_lanes(&reap), 0);
	reap_add(&reap, ME);
	reap_add(&reap, OTHER);
	while (!reap_step(&reap, UINT32_MAX))
		;
	reap_deinit(&reap);
	ck_assert_uint_eq(pool_count_used(&segment->pools[0]), 0);

	client = client_of(ME, 0);
	other = client_of(OTHER, 0);
	for (int i = 0; i < 16; i++)
		chunks[i] = must_alloc(i % 2 ? client : other, BYTES);
	lane_of(client);
	lane_of(other);
	ck_assert_uint_eq(pool_count_used(&segment->pools[0]), 16);
	for (int i = 0; i < 16; i++)
		must_free(i % 2 ? client : other, chunks[i]);
	ck_assert_uint_eq(pool_count_used(&segment->pools[0]), 0);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_claim_of_what_was_freed_is_by_stores);
	tcase_add_test(tcase, test_claim_frees_to_pools_in_turn_are_all_for_the_lane);
	tcase_add_test(tcase, test_claim_of_many_is_by_stores);
	tcase_add_test(tcase, test_claim_by_stores_is_not_for_who_checks);
	tcase_add_test(tcase, test_claim_by_stores_is_not_for_who_is_bounded);
	tcase_add_test(tcase, test_claim_without_membarrier_frees_nothing_twice);
	tcase_add_test(tcase, test_claim_by_stores_is_not_for_who_only_frees);
	tcase_add_test(tcase, test_claim_while_all_lanes_are_taken_is_by_swap);
	tcase_add_test(tcase, test_claim_thread_that_ends_gives_its_lane_back);
	tcase_add_test(tcase, test_claim_close_gives_all_lanes_back);
	tcase_add_test(tcase, test_claim_revoked_goes_to_who_asks);
	tcase_add_test(tcase, test_claim_whose_epoch_is_moved_is_by_swap_for_a_while);
	tcase_add_test(tcase, test_claim_that_was_finished_is_ours);
	tcase_add_test(tcase, test_claim_passed_to_and_fro_revokes_seldom);
	tcase_add_test(tcase, test_claim_off_gives_the_lane_back);
	tcase_add_test(tcase, test_claim_of_who_shares_is_for_its_lane_again);
	tcase_add_test(tcase, test_claim_retired_takes_another_lane);
	tcase_add_test(tcase, test_claim_rests_before_a_sleep);
	tcase_add_test(tcase, test_claim_hints_that_are_wanted_lead_to_what_is_everybodys);
	tcase_add_test(tcase, test_claim_beyond_a_full_stack_is_everybodys);
	tcase_add_test(tcase, test_claim_hostile_word_is_dropped);
	tcase_add_test(tcase, test_claim_hostile_settling_ends_with_the_first_hint_that_fails);
	tcase_add_test(tcase, test_claim_hostile_member_does_nothing_that_lasts);
}

int main(void)
{
	/* Without it nobody has a lane. */
	if (!barrier_is_there()) {
		puts("skipped: no membarrier(2), or a build with a sanitizer");
		return 77;
	}
	return test_run("claim", add_tests);
}
