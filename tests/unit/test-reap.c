/* SPDX-License-Identifier: MIT */
/* test-reap.c - what the dead held is free again, what the living hold is not */
#include "test_segment.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "client/client.h"
#include "shm/queue.h"
#include "shm/reap.h"

enum { DEAD = TEST_HOLDER, ALIVE = TEST_HOLDER + 1, N = 1000 };

static struct segment *segment;
static struct pool *pool;

static void setup(void)
{
	static const struct test_pool pools[] = {
		{ .chunk_size = 64, .n_chunks = N },
		{ .chunk_size = 100, .n_chunks = 70 },
	};

	segment = test_segment_new(pools, 2);
	pool = &segment->pools[0];
}

static void teardown(void)
{
	segment_free(segment);
}

static void set_word(struct pool *of, uint32_t index, enum mempool_kind kind, uint32_t value)
{
	atomic_store(&of->entries[index].word, word_make(7, kind, value));
}

static uint64_t word(const struct pool *of, uint32_t index)
{
	return atomic_load(&of->entries[index].word);
}

static void lose_hints(const struct pool *of)
{
	uint32_t start = 0, indices[64];

	while (free_list_pop(&of->list, &start, indices, 64))
		;
}

START_TEST(test_reap_owned_and_given_are_freed)
{
	set_word(pool, 0, MEMPOOL_OWNED, DEAD);
	set_word(pool, N - 1, MEMPOOL_OWNED, DEAD);
	set_word(pool, 64, MEMPOOL_SENT, DEAD);
	set_word(&segment->pools[1], 69, MEMPOOL_OWNED, DEAD);

	ck_assert_int_eq(reap_holder(segment, DEAD), 4);
	ck_assert_uint_eq(word(pool, 0), word_make(8, MEMPOOL_FREE, 0));
	ck_assert_uint_eq(word(pool, N - 1), word_make(8, MEMPOOL_FREE, 0));
	ck_assert_uint_eq(word(pool, 64), word_make(8, MEMPOOL_FREE, 0));
	ck_assert_uint_eq(word(&segment->pools[1], 69), word_make(8, MEMPOOL_FREE, 0));
	ck_assert_uint_eq(test_segment_used(segment, 0), 0);
}
END_TEST

START_TEST(test_reap_leaves_the_living_alone)
{
	const uint64_t kept[] = {
		word_make(7, MEMPOOL_OWNED, ALIVE),
		word_make(7, MEMPOOL_SENT, ALIVE),
		word_make(7, MEMPOOL_SENT, 5 << 15 | ALIVE),
		word_make(7, MEMPOOL_SHARED, DEAD),		/* a manager's index */
		word_make(7, MEMPOOL_FREE, DEAD),		/* nonsense stays */
		word_make(7, MEMPOOL_OWNED, UINT32_C(1) << 14 | DEAD),
	};

	for (uint32_t i = 0; i < ARRAY_SIZE(kept); i++)
		atomic_store(&pool->entries[i].word, kept[i]);
	ck_assert_int_eq(reap_holder(segment, DEAD), 0);
	for (uint32_t i = 0; i < ARRAY_SIZE(kept); i++)
		ck_assert_uint_eq(word(pool, i), kept[i]);
}
END_TEST

/* To a queue that does not exist nothing can have been published. */
START_TEST(test_reap_sent_to_no_queue_is_freed)
{
	set_word(pool, 0, MEMPOOL_SENT, 5 << 15 | DEAD);
	ck_assert_int_eq(reap_holder(segment, DEAD), 1);
	ck_assert_uint_eq(word(pool, 0), word_make(8, MEMPOOL_FREE, 0));
}
END_TEST

START_TEST(test_reap_managers_are_freed_not_counted)
{
	struct pool *managers = segment_managers(segment);

	set_word(managers, 3, MEMPOOL_OWNED, DEAD);
	ck_assert_int_eq(reap_holder(segment, DEAD), 0);
	ck_assert_uint_eq(word(managers, 3), word_make(8, MEMPOOL_FREE, 0));
}
END_TEST

START_TEST(test_reap_sets_the_hints_of_free_words)
{
	lose_hints(pool);
	lose_hints(&segment->pools[1]);
	set_word(pool, 5, MEMPOOL_OWNED, DEAD);
	set_word(pool, 6, MEMPOOL_OWNED, ALIVE);

	reap_holder(segment, DEAD);
	for (uint32_t i = 0; i < N; i++)
		ck_assert_int_eq(free_list_has(&pool->list, i), i != 6);
	for (uint32_t i = 0; i < 70; i++)
		ck_assert_int_eq(free_list_has(&segment->pools[1].list, i), 1);
}
END_TEST

START_TEST(test_reap_repairs_a_lost_summary_bit)
{
	atomic_store(&pool->list.summary[0], 0);
	reap_holder(segment, DEAD);
	for (uint32_t i = 0; i < N; i++)
		ck_assert_int_eq(free_list_has(&pool->list, i), 1);
}
END_TEST

START_TEST(test_reap_moves_every_dry_word)
{
	for (uint32_t i = 0; i < segment->n_pools; i++)
		pool_set_dry(&segment->pools[i]);
	reap_holder(segment, DEAD);
	for (uint32_t i = 0; i < segment->n_pools; i++)
		ck_assert(!pool_is_dry(&segment->pools[i]));
}
END_TEST

START_TEST(test_reap_again_finds_nothing)
{
	uint64_t before;

	set_word(pool, 5, MEMPOOL_OWNED, DEAD);
	ck_assert_int_eq(reap_holder(segment, DEAD), 1);
	before = word(pool, 5);
	ck_assert_int_eq(reap_holder(segment, DEAD), 0);
	ck_assert_uint_eq(word(pool, 5), before);
}
END_TEST

START_TEST(test_reap_several_dead_in_one_sweep)
{
	struct reap reap;

	for (uint32_t i = 0; i < 200; i++)
		set_word(pool, i, MEMPOOL_OWNED, 2 + i);
	ck_assert_int_eq(reap_init(&reap, segment), 0);
	for (uint32_t id = 2; id < 102; id++)
		reap_add(&reap, id);
	ck_assert(reap_has(&reap, 2) && reap_has(&reap, 64) && reap_has(&reap, 101));
	ck_assert(!reap_has(&reap, 102));
	while (!reap_step(&reap, 1000000))
		;
	ck_assert_uint_eq(reap.n_freed, 100);
	ck_assert_uint_eq(test_segment_used(segment, 0), 100);
	reap_deinit(&reap);
	reap_deinit(&reap);
}
END_TEST

START_TEST(test_reap_add_out_of_range_ignored)
{
	struct reap reap;

	set_word(pool, 0, MEMPOOL_OWNED, 0);
	set_word(pool, 1, MEMPOOL_OWNED, segment->n_holders);
	ck_assert_int_eq(reap_init(&reap, segment), 0);
	reap_add(&reap, MEMPOOL_HOLDER_NONE);
	reap_add(&reap, segment->n_holders);
	reap_add(&reap, UINT32_MAX);
	ck_assert(!reap_has(&reap, MEMPOOL_HOLDER_NONE));
	ck_assert(!reap_has(&reap, segment->n_holders));
	while (!reap_step(&reap, UINT32_MAX))
		;
	ck_assert_uint_eq(reap.n_freed, 0);
	reap_deinit(&reap);
}
END_TEST

START_TEST(test_reap_in_slices_frees_all_managers_first)
{
	struct pool *managers = segment_managers(segment);
	struct reap reap;
	uint32_t n_steps = 1;

	for (uint32_t i = 0; i < N; i++)
		set_word(pool, i, MEMPOOL_OWNED, DEAD);
	set_word(managers, 1069, MEMPOOL_OWNED, DEAD);
	ck_assert_int_eq(reap_init(&reap, segment), 0);
	reap_add(&reap, DEAD);
	while (!reap_step(&reap, 64)) {
		n_steps++;
		if (word_is_free(word(pool, 0)))
			ck_assert(word_is_free(word(managers, 1069)));
	}
	/*
	 * 1024 lanes, a leaf of their list each; 1070 managers, 1000 and 70 chunks: 17 + 16 + 2 leaves, of which the last ones of each are
	 * short and go with the next; a wake, and the end.
	 */
	ck_assert_uint_eq(n_steps, 16 + 34);
	ck_assert_uint_eq(reap.n_freed, N);
	ck_assert(reap_step(&reap, 64));
	reap_deinit(&reap);
}
END_TEST

/* ---- what else takes a step ---- */

enum { CAPACITY = 1 << 14, N_RINGS = 100 };

static struct segment *with_queues(void)
{
	static const struct test_pool pools[] = {
		{ .chunk_size = 8, .n_chunks = 64 },
	};
	struct config config;
	struct segment *of;
	char name[16];

	test_config_init(&config, pools, 1);
	ck_assert_int_eq(config_add_ring(&config, "q", MEMPOOL_RING_QUEUE, CAPACITY), 0);
	for (int i = 1; i < N_RINGS; i++) {
		snprintf(name, sizeof(name), "q%d", i);
		ck_assert_int_eq(config_add_ring(&config, name, MEMPOOL_RING_QUEUE, 8), 0);
	}
	of = test_segment_new_of(&config);
	config_deinit(&config);
	return of;
}

static uint32_t sweep_in_steps(struct segment *of, uint64_t *ret_freed)
{
	struct reap reap;
	uint32_t n_steps = 1;

	ck_assert_int_eq(reap_init(&reap, of), 0);
	reap_add(&reap, DEAD);
	while (!reap_step(&reap, 64))
		n_steps++;
	*ret_freed = reap.n_freed;
	reap_deinit(&reap);
	return n_steps;
}

/* One message of the dead was published, at the far end of a long queue, and two were not. */
START_TEST(test_reap_looks_into_a_queue_in_slices)
{
	struct segment *of = with_queues();
	struct queue queue;
	uint32_t n_without, n_with;
	uint64_t n_freed;

	n_without = sweep_in_steps(of, &n_freed);
	ck_assert_int_eq(queue_view(&queue, of, 0), 0);
	for (uint32_t i = 0; i < 3; i++)
		set_word(&of->pools[0], 10 + i, MEMPOOL_SENT, 1 << 15 | DEAD);
	atomic_store(&queue.slots[CAPACITY - 1], handle_make(7, 0, 11));
	n_with = sweep_in_steps(of, &n_freed);
	ck_assert_uint_eq(n_freed, 2);
	ck_assert_uint_eq(word(&of->pools[0], 10), word_make(8, MEMPOOL_FREE, 0));
	ck_assert_uint_eq(word(&of->pools[0], 11), word_make(7, MEMPOOL_SENT, 1 << 15));
	ck_assert_uint_eq(word(&of->pools[0], 12), word_make(8, MEMPOOL_FREE, 0));
	/* Once for all three, and no slice has looked at more than 64 slots. */
	ck_assert_uint_ge(n_with - n_without, CAPACITY / 64 - 1);
	ck_assert_uint_le(n_with - n_without, CAPACITY / 64 + 3);
	segment_free(of);
}
END_TEST

/* Two system calls for each of them. */
START_TEST(test_reap_wakes_the_waiters_of_one_ring_in_a_slice)
{
	struct segment *of = with_queues();
	uint64_t n_freed;

	ck_assert_uint_ge(sweep_in_steps(of, &n_freed), N_RINGS);
	for (uint32_t i = 0; i < N_RINGS; i++) {
		ck_assert_uint_eq(atomic_load(&of->rings[i].filled.sequence), 1);
		ck_assert_uint_eq(atomic_load(&of->rings[i].emptied.sequence), 1);
	}
	ck_assert_uint_eq(atomic_load(&of->header->chunk_freed.sequence), 1);
	segment_free(of);
}
END_TEST

/* A head that lags by a round, as nobody leaves it: a line in a slice, and no more than a round. */
START_TEST(test_reap_helps_a_head_along_in_slices)
{
	struct segment *of = with_queues();
	uint32_t n_before, n_after;
	uint64_t n_freed;
	struct queue queue;

	n_before = sweep_in_steps(of, &n_freed);
	ck_assert_int_eq(queue_view(&queue, of, 0), 0);
	for (uint64_t i = 0; i < CAPACITY; i++)
		atomic_store(&queue.slots[i], handle_make(5, 0, 3));
	atomic_store(&queue.ring->tail, CAPACITY);
	n_after = sweep_in_steps(of, &n_freed);
	ck_assert_uint_eq(atomic_load(&queue.ring->head), CAPACITY);
	ck_assert_uint_ge(n_after - n_before, CAPACITY / QUEUE_LINE - 1);
	segment_free(of);
}
END_TEST

/*
 * A sweep of a large pool takes a while. Who has found it dry before gets what is free
 * already: all of it, after each leaf.
 */
START_TEST(test_reap_half_swept_pool_is_not_exhausted)
{
	enum { N_TRIES = 1000 };
	static const struct test_pool large[] = {
		{ .chunk_size = 8, .n_chunks = 64 * N_TRIES },
	};
	struct segment *of = test_segment_new(large, 1);
	uint64_t n_got = 0, n_failed = 0;
	struct mempool_client *client;
	struct reap reap;
	bool is_over;

	for (uint32_t i = 0; i < large[0].n_chunks; i++)
		set_word(&of->pools[0], i, MEMPOOL_OWNED, DEAD);
	ck_assert_int_eq(client_new(test_segment_view(of), ALIVE, 0, &client), 0);
	ck_assert_ptr_null(mempool_alloc(client, 8));

	ck_assert_int_eq(reap_init(&reap, of), 0);
	reap_add(&reap, DEAD);
	do {
		is_over = reap_step(&reap, 64);
		if (reap.n_freed == n_got)
			continue;	/* the managers */
		while (mempool_alloc(client, 8))
			n_got++;
		ck_assert_int_eq(errno, EAGAIN);
		n_failed += n_got < reap.n_freed;
	} while (!is_over);
	ck_assert_uint_eq(n_failed, 0);
	ck_assert_uint_eq(n_got, large[0].n_chunks);
	reap_deinit(&reap);
	ck_assert_int_eq(mempool_client_close(client), large[0].n_chunks);
	segment_free(of);
}
END_TEST

START_TEST(test_reap_cut_short_and_done_again)
{
	struct reap reap;

	for (uint32_t i = 0; i < N; i++)
		set_word(pool, i, MEMPOOL_OWNED, DEAD);
	ck_assert_int_eq(reap_init(&reap, segment), 0);
	reap_add(&reap, DEAD);
	for (int i = 0; i < 16 + 20; i++)
		ck_assert(!reap_step(&reap, 64));
	ck_assert_uint_eq(reap.n_freed, 4 * 64);
	reap_deinit(&reap);
	ck_assert_int_eq(reap_holder(segment, DEAD), N - 4 * 64);
	ck_assert_uint_eq(test_segment_used(segment, 0), 0);
}
END_TEST

/* A taker while the giver is reaped: each chunk goes to one of them. */
static pthread_barrier_t together;
static uint32_t n_taken;

static void *take_all(void *unused)
{
	(void)unused;
	pthread_barrier_wait(&together);
	for (uint32_t i = N; i-- > 0;) {
		uint64_t seen = word_make(7, MEMPOOL_SENT, DEAD);

		n_taken += atomic_compare_exchange_strong(&pool->entries[i].word, &seen,
							  word_taken(seen, ALIVE));
	}
	return NULL;
}

START_TEST(test_reap_races_a_taker_each_chunk_goes_once)
{
	for (int round = 0; round < 20; round++) {
		pthread_t taker;
		int64_t n_freed;

		for (uint32_t i = 0; i < N; i++)
			set_word(pool, i, MEMPOOL_SENT, DEAD);
		n_taken = 0;
		pthread_barrier_init(&together, NULL, 2);
		ck_assert_int_eq(pthread_create(&taker, NULL, take_all, NULL), 0);
		pthread_barrier_wait(&together);
		n_freed = reap_holder(segment, DEAD);
		pthread_join(taker, NULL);
		pthread_barrier_destroy(&together);

		ck_assert_int_eq(n_freed + n_taken, N);
		ck_assert_uint_eq(test_segment_used(segment, 0), n_taken);
	}
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_reap_owned_and_given_are_freed);
	tcase_add_test(tcase, test_reap_leaves_the_living_alone);
	tcase_add_test(tcase, test_reap_sent_to_no_queue_is_freed);
	tcase_add_test(tcase, test_reap_managers_are_freed_not_counted);
	tcase_add_test(tcase, test_reap_sets_the_hints_of_free_words);
	tcase_add_test(tcase, test_reap_repairs_a_lost_summary_bit);
	tcase_add_test(tcase, test_reap_moves_every_dry_word);
	tcase_add_test(tcase, test_reap_again_finds_nothing);
	tcase_add_test(tcase, test_reap_several_dead_in_one_sweep);
	tcase_add_test(tcase, test_reap_add_out_of_range_ignored);
	tcase_add_test(tcase, test_reap_in_slices_frees_all_managers_first);
	tcase_add_test(tcase, test_reap_looks_into_a_queue_in_slices);
	tcase_add_test(tcase, test_reap_wakes_the_waiters_of_one_ring_in_a_slice);
	tcase_add_test(tcase, test_reap_helps_a_head_along_in_slices);
	tcase_add_test(tcase, test_reap_half_swept_pool_is_not_exhausted);
	tcase_add_test(tcase, test_reap_cut_short_and_done_again);
	tcase_add_test(tcase, test_reap_races_a_taker_each_chunk_goes_once);
}

int main(void)
{
	return test_run("reap", add_tests);
}
