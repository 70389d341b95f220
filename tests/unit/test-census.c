/* SPDX-License-Identifier: MIT */
/* test-census.c - what is counted to whom, and what of words that make no sense */
#include "test_segment.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "shm/census.h"
#include "shm/chunk_manager.h"
#include "shm/end.h"
#include "shm/layout.h"
#include "shm/pool.h"
#include "shm/segment.h"
#include "shm/topic.h"
#include "shm/word.h"

/* Holder 1 is the daemon, 2 the topic. */
static const uint32_t topic_id = 2;
static const uint32_t alice = 3;
static const uint32_t bob = 4;
/* Queue ids are places in the ring table, from 1. */
static const uint32_t queue_id = 1;
static const uint32_t topic_ring = 1;

static struct segment *segment;
static struct census census;

/* A segment in memory, of 100 chunks of 100 bytes and 10 of 5000, with a queue and a topic. */
static void setup(void)
{
	struct config config;

	ck_assert_int_eq(config_init(&config, "test"), 0);
	ck_assert_int_eq(config_add_pool(&config, 100, 100), 0);
	ck_assert_int_eq(config_add_pool(&config, 5000, 10), 0);
	ck_assert_int_eq(config_add_ring(&config, "frames", MEMPOOL_RING_QUEUE, 8), 0);
	ck_assert_int_eq(config_add_ring(&config, "camera", MEMPOOL_RING_TOPIC, 4), 0);
	segment = test_segment_sparse(&config);
	config_deinit(&config);
	census = CENSUS_NULL;
}

static void teardown(void)
{
	census_deinit(&census);
	segment_free(segment);
}

static void claim(uint32_t pool, uint32_t first, uint32_t n, uint32_t holder)
{
	for (uint32_t i = first; i < first + n; i++)
		ck_assert_int_eq(pool_claim(&segment->pools[pool], i, holder), 0);
}

static void set_word(uint32_t pool, uint32_t index, enum mempool_kind kind, uint32_t value)
{
	atomic_store(&segment->pools[pool].entries[index].word, word_make(7, kind, value));
}

static void assert_pool(uint32_t pool, uint64_t used, uint64_t free_chunks)
{
	ck_assert_uint_eq(census.pools[pool].used, used);
	ck_assert_uint_eq(census.pools[pool].free, free_chunks);
	ck_assert_uint_eq(census.pools[pool].total, used + free_chunks);
}

static void assert_holder(uint32_t id, uint64_t chunks, uint64_t bytes)
{
	ck_assert_uint_eq(census.holders[id].all.chunks, chunks);
	ck_assert_uint_eq(census.holders[id].bytes, bytes);
}

static void assert_shared(uint32_t id, uint64_t shared, uint64_t bytes)
{
	ck_assert_uint_eq(census.holders[id].all.shared, shared);
	ck_assert_uint_eq(census.holders[id].shared_bytes, bytes);
}

static const struct census_hold *hold(uint32_t id, uint32_t pool)
{
	return &census.holds[id * census.n_pools + pool];
}

/* Each pool by itself, and the sum of the data pools. */
static void assert_adds_up(void)
{
	uint64_t n_used = 0, n_alone = 0;

	for (uint32_t i = 0; i <= census.n_pools; i++) {
		const struct census_pool *pool = &census.pools[i];

		ck_assert_uint_eq(pool->counted, pool->used + pool->free);
		ck_assert_uint_eq(pool->used, pool->alone + pool->in_flight + pool->shared +
						      pool->stray);
		n_used += i < census.n_pools ? pool->used : 0;
	}
	ck_assert_uint_eq(census.all.used, n_used);
	for (uint32_t id = 0; id < census.n_holders; id++)
		n_alone += census.holders[id].all.chunks;
	ck_assert_uint_eq(census.all.alone, n_alone);
}

/* A chunk of alice's with a manager: hers, and if it is named, the topic's too. */
static void share(uint32_t pool, uint32_t index, uint32_t manager, uint32_t topic)
{
	const struct chunk_ref chunk = { .pool = pool, .index = index };
	uint64_t word;

	claim(pool, index, 1, alice);
	claim(2, manager, 1, alice);
	word = atomic_load(&segment->pools[pool].entries[index].word);
	ck_assert_int_eq(chunk_manager_share(segment, chunk, manager, alice, topic, &word), 0);
}

START_TEST(test_census_of_a_new_segment_all_free)
{
	ck_assert_int_eq(census_take(segment, &census), 0);
	ck_assert_uint_eq(census.n_pools, 2);
	assert_pool(0, 0, 100);
	assert_pool(1, 0, 10);
	assert_pool(2, 0, 110);
	for (uint32_t id = 0; id < census.n_holders; id++)
		assert_holder(id, 0, 0);
	assert_adds_up();
}
END_TEST

START_TEST(test_census_of_owned_counts_chunk_sizes)
{
	claim(0, 0, 30, alice);
	claim(0, 30, 70, bob);
	claim(1, 9, 1, alice);

	ck_assert_int_eq(census_take(segment, &census), 0);
	assert_pool(0, 100, 0);
	assert_pool(1, 1, 9);
	assert_holder(alice, 31, 30 * 100 + 5000);
	assert_holder(bob, 70, 70 * 100);
	ck_assert_uint_eq(census.all.stray, 0);
	assert_adds_up();
}
END_TEST

START_TEST(test_census_of_given_counts_to_the_giver)
{
	claim(0, 5, 1, alice);
	set_word(0, 6, MEMPOOL_SENT, alice);

	ck_assert_int_eq(census_take(segment, &census), 0);
	assert_pool(0, 2, 98);
	assert_holder(alice, 2, 200);
	ck_assert_uint_eq(census.holders[alice].all.given, 1);
	ck_assert_uint_eq(hold(alice, 0)->given, 1);
	ck_assert_uint_eq(census.all.alone, 2);
	assert_adds_up();
}
END_TEST

START_TEST(test_census_of_sent_counts_to_its_queue)
{
	set_word(0, 7, MEMPOOL_SENT, queue_id << 15 | bob);
	set_word(1, 0, MEMPOOL_SENT, queue_id << 15 | alice);
	set_word(1, 1, MEMPOOL_SENT, queue_id << 15 | alice);

	ck_assert_int_eq(census_take(segment, &census), 0);
	assert_pool(0, 1, 99);
	assert_pool(1, 2, 8);
	assert_holder(alice, 0, 0);
	assert_holder(bob, 0, 0);
	ck_assert_uint_eq(census.pools[1].in_flight, 2);
	ck_assert_uint_eq(census.all.in_flight, 3);
	ck_assert_uint_eq(census.rings[queue_id - 1].chunks, 3);
	ck_assert_uint_eq(census.rings[queue_id - 1].bytes, 10100);
	assert_adds_up();
}
END_TEST

START_TEST(test_census_per_holder_and_pool)
{
	claim(0, 0, 3, alice);
	claim(1, 0, 2, alice);
	claim(1, 2, 4, bob);

	ck_assert_int_eq(census_take(segment, &census), 0);
	ck_assert_uint_eq(hold(alice, 0)->chunks, 3);
	ck_assert_uint_eq(hold(alice, 1)->chunks, 2);
	ck_assert_uint_eq(hold(bob, 0)->chunks, 0);
	ck_assert_uint_eq(hold(bob, 1)->chunks, 4);
	assert_adds_up();
}
END_TEST

START_TEST(test_census_of_shared_counts_once_and_for_each_holder)
{
	share(0, 0, 0, MEMPOOL_HOLDER_NONE);
	share(1, 0, 1, MEMPOOL_HOLDER_NONE);
	chunk_manager_set(segment, 1, bob);
	/* The last id, in another word of bits if there are more than 64. */
	chunk_manager_set(segment, 1, segment->n_holders - 1);

	ck_assert_int_eq(census_take(segment, &census), 0);
	assert_holder(alice, 0, 0);
	assert_shared(alice, 2, 5100);
	assert_shared(bob, 1, 5000);
	assert_shared(segment->n_holders - 1, 1, 5000);
	ck_assert_uint_eq(hold(alice, 0)->shared, 1);
	ck_assert_uint_eq(hold(bob, 1)->shared, 1);
	ck_assert_uint_eq(census.all.shared, 2);
	ck_assert_uint_eq(census.all.used, 2);
	ck_assert_uint_eq(census.pools[2].shared, 2);
	assert_adds_up();
}
END_TEST

/* Nobody ever clears a topic's bit: it counts while the ring holds the message. */
START_TEST(test_census_of_a_topic_counts_what_it_keeps)
{
	struct topic_slot slot;
	struct topic topic;

	ck_assert_int_eq(topic_view(&topic, segment, topic_ring), 0);
	ck_assert_uint_eq(topic.holder, topic_id);
	share(0, 0, 0, topic_id);
	share(0, 1, 1, topic_id);
	topic_next_free(&topic, &slot);
	atomic_store(&segment_manager(segment, 1)->position, (uint32_t)slot.position);
	ck_assert(topic_put(&topic, &slot, 1));

	ck_assert_int_eq(census_take(segment, &census), 0);
	assert_shared(alice, 2, 200);
	assert_shared(topic_id, 1, 100);
	ck_assert_uint_eq(census.all.shared, 2);
	assert_adds_up();
}
END_TEST

/* Also one that the topic has evicted; and of nobody who does not read it. */
START_TEST(test_census_of_readers_counts_what_they_hold_of_a_topic)
{
	const uint32_t other = 5;
	struct topic_slot slot;
	struct topic topic;

	ck_assert_int_ge(end_take(segment, end_word(MEMPOOL_END_SUBSCRIBER, topic_ring, bob, 0)), 0);
	ck_assert_int_ge(end_take(segment, end_word(MEMPOOL_END_SUBSCRIBER, topic_ring, bob, 0)), 0);
	ck_assert_int_ge(end_take(segment, end_word(MEMPOOL_END_SUBSCRIBER, topic_ring, other, 0)),
			 0);
	ck_assert_int_eq(topic_view(&topic, segment, topic_ring), 0);
	for (uint32_t i = 0; i < 3; i++) {
		share(0, i, i, i < 2 ? topic_id : MEMPOOL_HOLDER_NONE);
		chunk_manager_set(segment, i, bob);
	}
	topic_next_free(&topic, &slot);
	atomic_store(&segment_manager(segment, 1)->position, (uint32_t)slot.position);
	ck_assert(topic_put(&topic, &slot, 1));

	ck_assert_int_eq(census_take(segment, &census), 0);
	ck_assert_uint_eq(census.n_readers, 2);
	ck_assert_uint_eq(census_holds(&census, topic_id, bob), 2);
	ck_assert_uint_eq(census_holds(&census, topic_id, other), 0);
	ck_assert_uint_eq(census_holds(&census, topic_id, alice), 0);
	assert_adds_up();
}
END_TEST

START_TEST(test_census_moves_count_each_change_of_hands)
{
	struct census before = CENSUS_NULL;

	claim(0, 0, 2, alice);
	ck_assert_int_eq(census_take(segment, &before), 0);
	ck_assert_int_eq(census_take(segment, &census), 0);
	ck_assert_uint_eq(census_moves(&before.pools[0], &census.pools[0]), 0);

	for (uint32_t i = 0; i < 7; i++) {
		ck_assert_int_eq(pool_release(&segment->pools[0], 0, alice, true), 0);
		claim(0, 0, 1, alice);
	}
	ck_assert_int_eq(census_take(segment, &census), 0);
	ck_assert_uint_eq(census_moves(&before.pools[0], &census.pools[0]), 7);
	ck_assert_uint_eq(census_moves(&before.pools[1], &census.pools[1]), 0);
	census_deinit(&before);
}
END_TEST

START_TEST(test_census_moves_over_the_last_generation)
{
	struct census before = CENSUS_NULL;
	_Atomic uint64_t *word = &segment->pools[0].entries[3].word;

	atomic_store(word, word_make(UINT32_MAX - 1, MEMPOOL_OWNED, alice));
	ck_assert_int_eq(census_take(segment, &before), 0);
	for (uint32_t i = 0; i < 3; i++) {
		ck_assert_int_eq(pool_release(&segment->pools[0], 3, alice, true), 0);
		claim(0, 3, 1, alice);
	}
	ck_assert_uint_eq(word_generation(atomic_load(word)), 2);
	ck_assert_int_eq(census_take(segment, &census), 0);
	ck_assert_uint_eq(census_moves(&before.pools[0], &census.pools[0]), 3);
	census_deinit(&before);
}
END_TEST

START_TEST(test_census_of_managers_no_chunks_of_their_holder)
{
	claim(2, 0, 4, alice);
	set_word(2, 4, MEMPOOL_SHARED, 0);

	ck_assert_int_eq(census_take(segment, &census), 0);
	assert_pool(0, 0, 100);
	assert_pool(2, 5, 105);
	assert_holder(alice, 0, 0);
	ck_assert_uint_eq(census.all.shared, 0);
	assert_adds_up();
}
END_TEST

START_TEST(test_census_of_nonsense_is_stray)
{
	claim(0, 0, 1, alice);
	set_word(0, 10, MEMPOOL_OWNED, MEMPOOL_HOLDER_NONE);
	set_word(0, 11, MEMPOOL_OWNED, segment->n_holders);
	set_word(0, 12, MEMPOOL_OWNED, WORD_VALUE_MASK);
	set_word(0, 13, MEMPOOL_SENT, MEMPOOL_HOLDER_NONE);
	set_word(0, 14, MEMPOOL_SENT, WORD_ID_MASK);
	set_word(0, 15, MEMPOOL_FREE, 1);
	/* No such queue; a topic is none; no such manager. */
	set_word(0, 16, MEMPOOL_SENT, 3u << 15 | alice);
	set_word(0, 17, MEMPOOL_SENT, (topic_ring + 1) << 15 | alice);
	set_word(0, 18, MEMPOOL_SHARED, segment->pools[2].n_chunks);

	ck_assert_int_eq(census_take(segment, &census), 0);
	assert_pool(0, 10, 90);
	assert_holder(MEMPOOL_HOLDER_NONE, 0, 0);
	assert_holder(alice, 1, 100);
	ck_assert_uint_eq(census.all.stray, 9);
	assert_adds_up();
}
END_TEST

/* Whatever is done between two parts, each word is counted once. */
START_TEST(test_census_in_parts_is_the_same)
{
	struct budget budget;
	unsigned int n_parts = 0;

	claim(0, 0, 30, alice);
	share(1, 0, 0, MEMPOOL_HOLDER_NONE);
	ck_assert_int_eq(census_begin(segment, &census), 0);
	assert_adds_up();
	while (!census_is_over(&census)) {
		ck_assert_uint_lt(census_percent(&census, segment), 100);
		/* Used up by each step. */
		budget = (struct budget){ .n_left = 0 };
		census_go_on(&census, segment, &budget);
		assert_adds_up();
		n_parts++;
	}
	/* The words, those of the managers, and the slots of a queue and a topic. */
	ck_assert_uint_ge(n_parts, 220);
	ck_assert_uint_eq(census_percent(&census, segment), 100);
	assert_pool(0, 30, 70);
	assert_pool(1, 1, 9);
	assert_holder(alice, 30, 3000);
	assert_shared(alice, 1, 5000);
}
END_TEST

START_TEST(test_census_again_replaces_the_first)
{
	claim(0, 0, 2, alice);
	ck_assert_int_eq(census_take(segment, &census), 0);
	ck_assert_int_eq(pool_release(&segment->pools[0], 0, alice, true), 0);
	ck_assert_int_eq(census_take(segment, &census), 0);
	assert_pool(0, 1, 99);
	assert_holder(alice, 1, 100);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("census");
	TCase *tcase = tcase_create("census");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_census_of_a_new_segment_all_free);
	tcase_add_test(tcase, test_census_of_owned_counts_chunk_sizes);
	tcase_add_test(tcase, test_census_of_given_counts_to_the_giver);
	tcase_add_test(tcase, test_census_of_sent_counts_to_its_queue);
	tcase_add_test(tcase, test_census_per_holder_and_pool);
	tcase_add_test(tcase, test_census_of_shared_counts_once_and_for_each_holder);
	tcase_add_test(tcase, test_census_of_a_topic_counts_what_it_keeps);
	tcase_add_test(tcase, test_census_of_readers_counts_what_they_hold_of_a_topic);
	tcase_add_test(tcase, test_census_moves_count_each_change_of_hands);
	tcase_add_test(tcase, test_census_moves_over_the_last_generation);
	tcase_add_test(tcase, test_census_of_managers_no_chunks_of_their_holder);
	tcase_add_test(tcase, test_census_of_nonsense_is_stray);
	tcase_add_test(tcase, test_census_in_parts_is_the_same);
	tcase_add_test(tcase, test_census_again_replaces_the_first);
	suite_add_tcase(suite, tcase);

	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
