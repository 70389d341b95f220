/* SPDX-License-Identifier: MIT */
/* test-pool.c - a pool in plain memory: words, hints, the dry word, addresses */
#include "test_segment.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "build_config.h"
#include "shm/pool.h"

enum { N = 200, ALICE = 2, BOB = 3 };

static struct mempool_pool_state state;
static struct pool_memory memory;
static struct pool pool;

static void setup(void)
{
	memset(&state, 0, sizeof(state));
	memory = (struct pool_memory){
		.raw_memory = aligned_alloc(64, N * 64),
		.index_memory = aligned_alloc(64, (pool_index_bytes(N, false) + 63) / 64 * 64),
		.state = &state,
		.chunk_size = 40,
		.stride = 64,
		.n_chunks = N,
	};
	memset(memory.index_memory, 0, pool_index_bytes(N, false));
	ck_assert_int_eq(pool_init(&pool, &memory, 9), 0);
}

static void teardown(void)
{
	free(memory.raw_memory);
	free(memory.index_memory);
}

static uint64_t word(uint32_t index)
{
	return atomic_load(&pool.entries[index].word);
}

static void claim_all(uint32_t holder)
{
	for (uint32_t i = 0; i < N; i++)
		ck_assert_int_eq(pool_claim(&pool, i, holder), 0);
}

/* Take every hint out, as caches do. */
static void lose_hints(void)
{
	uint32_t start = 0, indices[64];

	while (free_list_pop(&pool.list, &start, indices, 64))
		;
}

/* ---- init ---- */

START_TEST(test_pool_init_all_free_all_hinted)
{
	ck_assert_uint_eq(pool.n_chunks, N);
	ck_assert_uint_eq(pool.chunk_size, 40);
	ck_assert_uint_eq(pool_count_used(&pool), 0);
	for (uint32_t i = 0; i < N; i++) {
		ck_assert_uint_eq(word(i), word_make(9, MEMPOOL_FREE, 0));
		ck_assert_int_eq(free_list_has(&pool.list, i), 1);
	}
	ck_assert_uint_eq(pool_index_bytes(N, false), free_list_size_bytes(N) + N * 16);
}
END_TEST

START_TEST(test_pool_view_changes_nothing)
{
	struct pool again;

	ck_assert_int_eq(pool_claim(&pool, 3, ALICE), 0);
	ck_assert_int_eq(pool_view(&again, &memory), 0);
	ck_assert_uint_eq(pool_count_used(&again), 1);
	ck_assert_ptr_eq(again.entries, pool.entries);
}
END_TEST

static void assert_refused(const struct pool_memory *wrong)
{
	uint64_t before = word(0);
	struct pool other;

	ck_assert_int_eq(pool_view(&other, wrong), -EINVAL);
	ck_assert_int_eq(pool_init(&other, wrong, 77), -EINVAL);
	ck_assert_uint_eq(word(0), before);
}

#define ASSERT_REFUSED(member, value)		\
	do {					\
		struct pool_memory w = memory;	\
		w.member = (value);		\
		assert_refused(&w);		\
	} while (0)

START_TEST(test_pool_init_wrong_argument_einval)
{
	unsigned char *raw = memory.raw_memory, *index = memory.index_memory;
	struct pool other;

	ASSERT_REFUSED(raw_memory, NULL);
	ASSERT_REFUSED(index_memory, NULL);
	ASSERT_REFUSED(state, NULL);
	ASSERT_REFUSED(raw_memory, raw + 4);
	ASSERT_REFUSED(index_memory, index + 8);
	ASSERT_REFUSED(n_chunks, 0);
	ASSERT_REFUSED(n_chunks, MEMPOOL_MAX_CHUNKS + 1);
	ASSERT_REFUSED(chunk_size, 0);
	ASSERT_REFUSED(chunk_size, MEMPOOL_MAX_CHUNK_BYTES);
	ASSERT_REFUSED(chunk_size, 65);		/* longer than the stride */
	ASSERT_REFUSED(stride, 44);
	ASSERT_REFUSED(stride, MEMPOOL_MAX_CHUNK_BYTES + 8);
	ck_assert_int_eq(pool_init(&other, &memory, 0), -EINVAL);
	ck_assert_uint_eq(word_generation(word(0)), 9);
}
END_TEST

START_TEST(test_pool_init_stride_0_is_rounded_size)
{
	memory.stride = 0;
	memory.chunk_size = 41;
	ck_assert_int_eq(pool_init(&pool, &memory, 1), 0);
	ck_assert_uint_eq(pool.stride, 48);
	memory.chunk_size = 48;
	ck_assert_int_eq(pool_init(&pool, &memory, 1), 0);
	ck_assert_uint_eq(pool.stride, 48);
}
END_TEST

/* ---- claim and release ---- */

START_TEST(test_pool_claim_then_release_moves_the_word)
{
	ck_assert_int_eq(pool_claim(&pool, 7, ALICE), 0);
	ck_assert_uint_eq(word(7), word_make(9, MEMPOOL_OWNED, ALICE));
	ck_assert_uint_eq(pool_count_used(&pool), 1);
	ck_assert_int_eq(pool_release(&pool, 7, ALICE, false), 0);
	ck_assert_uint_eq(word(7), word_make(10, MEMPOOL_FREE, 0));
	ck_assert_int_eq(pool_claim(&pool, 7, BOB), 0);
	ck_assert_int_eq(pool_release(&pool, 7, BOB, true), 0);
	ck_assert_uint_eq(word(7), word_make(11, MEMPOOL_FREE, 0));
	ck_assert_int_eq(pool_claim(&pool, 7, BOB), 0);
	ck_assert_int_eq(pool_release_checked(&pool, 7, BOB), 0);
	ck_assert_uint_eq(word(7), word_make(12, MEMPOOL_FREE, 0));
}
END_TEST

START_TEST(test_pool_withheld_is_nobody_elses_until_kept_or_free)
{
	uint64_t owned;

	ck_assert_int_eq(pool_withhold(&pool, 7, ALICE, &owned), -EPERM);
	ck_assert_int_eq(pool_claim(&pool, 7, ALICE), 0);
	ck_assert_int_eq(pool_withhold(&pool, 7, BOB, &owned), -EPERM);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pool_withhold(&pool, 7, ALICE, &owned), 0);
		ck_assert_uint_eq(owned, word_make(9, MEMPOOL_OWNED, ALICE));
		ck_assert_uint_eq(word(7), word_sent(owned, 0, ALICE));
		ck_assert_int_eq(pool_release_checked(&pool, 7, ALICE), -EPERM);
		ck_assert_int_eq(pool_withhold(&pool, 7, ALICE, &(uint64_t){ 0 }), -EPERM);
		ck_assert_int_eq(pool_claim(&pool, 7, BOB), -EBUSY);
		if (i == 0)
			pool_keep_withheld(&pool, 7, owned);
	}
	ck_assert_int_eq(pool_release_withheld(&pool, 7, owned), 0);
	ck_assert_uint_eq(word(7), word_make(11, MEMPOOL_FREE, 0));
	ck_assert_int_eq(pool_release_withheld(&pool, 7, owned), -EPERM);
	ck_assert_uint_eq(word(7), word_make(11, MEMPOOL_FREE, 0));
}
END_TEST

START_TEST(test_pool_claim_held_ebusy)
{
	static const uint64_t held[] = {
		UINT64_C(9) << 32 | UINT32_C(1) << 30 | ALICE,
		UINT64_C(9) << 32 | UINT32_C(2) << 30 | ALICE,
		UINT64_C(9) << 32 | UINT32_C(3) << 30,
		UINT64_C(9) << 32 | 5,		/* FREE with a value: nobody writes that */
	};

	for (size_t i = 0; i < ARRAY_SIZE(held); i++) {
		atomic_store(&pool.entries[0].word, held[i]);
		ck_assert_int_eq(pool_claim(&pool, 0, BOB), -EBUSY);
		ck_assert_uint_eq(word(0), held[i]);
	}
	ck_assert_int_eq(pool_claim(&pool, N, BOB), -EINVAL);
	ck_assert_int_eq(pool_claim(&pool, UINT32_MAX, BOB), -EINVAL);
}
END_TEST

START_TEST(test_pool_claim_word_changed_meanwhile_fails)
{
	uint64_t seen = word(0);

	ck_assert_int_eq(pool_claim(&pool, 0, ALICE), 0);
	ck_assert_int_eq(pool_release(&pool, 0, ALICE, true), 0);
	/* FREE again, but another incarnation. */
	ck_assert(!pool_claim_word(&pool.entries[0].word, seen, BOB));
	ck_assert(word_is_free(word(0)));
}
END_TEST

START_TEST(test_pool_release_not_owned_eperm)
{
	static const uint64_t others[] = {
		UINT64_C(9) << 32,
		UINT64_C(9) << 32 | UINT32_C(1) << 30 | BOB,
		UINT64_C(9) << 32 | UINT32_C(2) << 30 | ALICE,
		UINT64_C(9) << 32 | UINT32_C(3) << 30 | ALICE,
	};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		atomic_store(&pool.entries[0].word, others[i]);
		ck_assert_int_eq(pool_release(&pool, 0, ALICE, false), -EPERM);
		ck_assert_int_eq(pool_release(&pool, 0, ALICE, true), -EPERM);
		ck_assert_int_eq(pool_release_checked(&pool, 0, ALICE), -EPERM);
		ck_assert_uint_eq(word(0), others[i]);
	}
}
END_TEST

/* ---- scan ---- */

START_TEST(test_pool_claim_scan_finds_the_last_free_from_any_start)
{
	uint32_t index;

	claim_all(ALICE);
	lose_hints();
	for (uint32_t i = 0; i < N; i += 13) {
		ck_assert_int_eq(pool_release(&pool, i, ALICE, true), 0);
		ck_assert_int_eq(test_claim_scan(&pool, i * 7919, BOB, &index), 0);
		ck_assert_uint_eq(index, i);
		ck_assert_uint_eq(word_value(word(i)), BOB);
	}
	ck_assert_int_eq(test_claim_scan(&pool, UINT32_MAX, BOB, &index), -EAGAIN);
}
END_TEST

START_TEST(test_pool_claim_scan_all_held_in_any_way_eagain)
{
	uint32_t index = 12345;

	claim_all(ALICE);
	atomic_store(&pool.entries[1].word, word_make(9, MEMPOOL_SENT, ALICE));
	atomic_store(&pool.entries[2].word, word_make(9, MEMPOOL_SHARED, 0));
	ck_assert_int_eq(test_claim_scan(&pool, 0, BOB, &index), -EAGAIN);
	ck_assert_uint_eq(index, 12345);
}
END_TEST

/* Frees one chunk before it claims the only other free one: one is free at any moment. */
static _Atomic bool is_over;

static void *move_the_free_one(void *unused)
{
	uint64_t random = 88172645463325252;
	uint32_t vacant = 0;

	(void)unused;
	while (!is_over) {
		uint32_t next;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		next = (uint32_t)(random % N);
		if (next == vacant)
			continue;
		pool_release(&pool, next, ALICE, true);
		pool_hint(&pool, next);
		/* The scanner may have it for a moment. */
		while (!is_over && pool_claim(&pool, vacant, ALICE) < 0)
			sched_yield();
		vacant = next;
	}
	return NULL;
}

START_TEST(test_pool_claim_scan_finds_the_free_one_however_it_moves)
{
	pthread_t thread;
	uint32_t index;

	claim_all(ALICE);
	ck_assert_int_eq(pool_release(&pool, 0, ALICE, true), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, move_the_free_one, NULL), 0);
	for (int i = 0; i < (MEMPOOL_SANITIZED ? 2000 : 20000); i++) {
		ck_assert_int_eq(test_claim_scan(&pool, (uint32_t)i, BOB, &index), 0);
		ck_assert_int_eq(pool_release(&pool, index, BOB, true), 0);
	}
	is_over = true;
	pthread_join(thread, NULL);
}
END_TEST

/* A scan has read all that is held; then something comes to pass before it ends. */
static int scan_and_meanwhile(void (*meanwhile)(void))
{
	struct pool_scan scan;
	uint32_t index;
	int r;

	pool_scan_begin(&scan, &pool, 64, BOB);
	for (uint32_t n = 0; n < pool.list.n_leaves - 1; n++) {
		ck_assert_int_eq(pool_scan_step(&scan, 64, &index), -EINPROGRESS);
		if (n == 0)
			meanwhile();
	}
	r = pool_scan_step(&scan, 64, &index);
	ck_assert_uint_eq(scan.dry & POOL_DRY, POOL_DRY);
	return r;
}

/* Of chunk 64, which has been read: given and taken, and so of another generation. */
static void hand_over(void)
{
	atomic_store(&pool.entries[64].word, word_taken(word_sent(word(64), 0, ALICE), ALICE));
}

static void flip_the_scarce_bit(void)
{
	pool_set_scarce(&pool);
}

static void begin_to_free(void)
{
	ck_assert_int_eq(pool_release(&pool, 64, ALICE, true), 0);
}

static void free_behind(void)
{
	begin_to_free();
	pool_hint(&pool, 64);
}

/* The dry word is moved, and another sets the bit again. */
static void free_and_run_dry(void)
{
	free_behind();
	ck_assert_int_eq(pool_claim(&pool, 64, ALICE), 0);
	pool_set_dry(&pool);
}

/* The sums of two readings never agreed while a chunk was handed on: no end to it. */
START_TEST(test_pool_scan_one_reading_is_enough_whatever_is_handed_over)
{
	claim_all(ALICE);
	ck_assert_int_eq(scan_and_meanwhile(hand_over), -EAGAIN);
	ck_assert_int_eq(scan_and_meanwhile(flip_the_scarce_bit), -EAGAIN);
	ck_assert_uint_eq(state.peak_used, N);
	/* Not free before its freer has told. */
	ck_assert_int_eq(scan_and_meanwhile(begin_to_free), -EAGAIN);
}
END_TEST

START_TEST(test_pool_scan_a_free_behind_it_is_not_missed)
{
	claim_all(ALICE);
	ck_assert_int_eq(scan_and_meanwhile(free_and_run_dry), -EBUSY);
	ck_assert_int_eq(scan_and_meanwhile(free_behind), -EBUSY);
	ck_assert_uint_eq(state.peak_used, 0);
}
END_TEST

START_TEST(test_pool_claim_scan_sets_hints_of_the_leaf)
{
	uint32_t index;

	lose_hints();
	ck_assert_int_eq(test_claim_scan(&pool, 70, ALICE, &index), 0);
	ck_assert_uint_eq(index, 64);
	ck_assert_int_eq(free_list_has(&pool.list, 64), 0);
	for (uint32_t i = 65; i < 128; i++)
		ck_assert_int_eq(free_list_has(&pool.list, i), 1);
	ck_assert_int_eq(free_list_has(&pool.list, 128), 0);
}
END_TEST

START_TEST(test_pool_hint_sets_the_bit)
{
	lose_hints();
	pool_hint(&pool, 100);
	ck_assert_int_eq(free_list_has(&pool.list, 100), 1);
	ck_assert_uint_eq(atomic_load(&state.dry), 0);
}
END_TEST

/* ---- dry ---- */

START_TEST(test_pool_dry_is_remembered_until_moved)
{
	uint64_t dry;

	ck_assert(!pool_is_dry(&pool));
	dry = pool_set_dry(&pool);
	ck_assert_uint_ne(dry, 0);
	ck_assert(pool_is_dry(&pool));
	/* The next one who finds nothing remembers the same. */
	ck_assert_uint_eq(pool_set_dry(&pool), dry);
	ck_assert_uint_eq(atomic_load(&state.dry), dry);

	pool_move_dry(&pool);
	ck_assert(!pool_is_dry(&pool));
	ck_assert_uint_ne(pool_set_dry(&pool), dry);
}
END_TEST

START_TEST(test_pool_move_dry_unset_does_nothing)
{
	uint64_t before;

	pool_set_dry(&pool);
	pool_move_dry(&pool);
	before = atomic_load(&state.dry);
	pool_move_dry(&pool);
	ck_assert_uint_eq(atomic_load(&state.dry), before);
}
END_TEST

START_TEST(test_pool_hint_moves_a_dry_word)
{
	uint64_t dry = pool_set_dry(&pool);

	pool_hint(&pool, 0);
	ck_assert(!pool_is_dry(&pool));
	ck_assert_uint_ne(atomic_load(&state.dry), dry);
}
END_TEST

static _Atomic bool is_over;

static void *flip_scarce(void *unused)
{
	(void)unused;
	while (!atomic_load(&is_over)) {
		pool_set_scarce(&pool);
		pool_clear_scarce(&pool);
	}
	return NULL;
}

/* One try failed when the scarce bit changed, and the bit changed back: nothing had moved. */
START_TEST(test_pool_move_dry_moves_whatever_the_scarce_bit_does)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, flip_scarce, NULL), 0);
	for (int i = 0; i < 200000; i++) {
		uint64_t dry = pool_set_dry(&pool);

		pool_move_dry(&pool);
		ck_assert_uint_ne(atomic_load(&state.dry) / POOL_SEQUENCE_STEP,
				  dry / POOL_SEQUENCE_STEP);
	}
	atomic_store(&is_over, true);
	pthread_join(thread, NULL);
}
END_TEST

/* ---- addresses ---- */

START_TEST(test_pool_chunk_and_index_agree)
{
	for (uint32_t i = 0; i < N; i++) {
		unsigned char *chunk = pool_chunk(&pool, i);
		uint32_t index = N;

		ck_assert_ptr_eq(chunk, (unsigned char *)memory.raw_memory + i * 64);
		ck_assert_int_eq(pool_index(&pool, (uint64_t)(chunk - pool.data), &index), 0);
		ck_assert_uint_eq(index, i);
		for (uint32_t middle = 1; middle < 64; middle++)
			ck_assert_int_eq(pool_index(&pool, i * 64 + middle, &index), -EINVAL);
	}
}
END_TEST

START_TEST(test_pool_index_out_of_bounds_einval)
{
	uint32_t index;

	ck_assert_int_eq(pool_index(&pool, N * 64, &index), -EINVAL);
	ck_assert_int_eq(pool_index(&pool, (uint64_t)0 - 64, &index), -EINVAL);
	ck_assert_int_eq(pool_index(&pool, UINT64_MAX, &index), -EINVAL);
}
END_TEST

/* Strides that are no powers of two, of pools that no machine has memory for. */
START_TEST(test_pool_index_of_odd_strides_and_huge_offsets)
{
	static const uint64_t strides[] = {
		8, 24, 56, 64, 72, 1000, 4096, 12345 * 8, UINT32_C(0x7ffffff8),
		UINT32_C(0xfffffff8), UINT64_C(1) << 32,
	};
	static const uint32_t counts[] = { 1, 2, 1000, 1u << 26, 1u << 30 };

	for (size_t s = 0; s < ARRAY_SIZE(strides); s++) {
		for (size_t c = 0; c < ARRAY_SIZE(counts); c++) {
			uint32_t n = counts[c];
			uint32_t step = n / 5000 + 1, index;
			struct pool_memory huge = memory;

			huge.stride = strides[s];
			huge.chunk_size = strides[s] - 1;
			huge.n_chunks = n;
			ck_assert_int_eq(pool_view(&pool, &huge), 0);
			for (uint64_t i = 0; i < n; i += step) {
				index = UINT32_MAX;
				ck_assert_int_eq(pool_index(&pool, i * strides[s], &index), 0);
				ck_assert_uint_eq(index, i);
				ck_assert_int_eq(pool_index(&pool, i * strides[s] + 1, &index),
						 -EINVAL);
			}
			ck_assert_int_eq(pool_index(&pool, (n - 1) * strides[s], &index), 0);
			ck_assert_uint_eq(index, n - 1);
			ck_assert_int_eq(pool_index(&pool, n * strides[s] - 1, &index), -EINVAL);
			ck_assert_int_eq(pool_index(&pool, n * strides[s], &index), -EINVAL);
		}
	}
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_pool_init_all_free_all_hinted);
	tcase_add_test(tcase, test_pool_view_changes_nothing);
	tcase_add_test(tcase, test_pool_init_wrong_argument_einval);
	tcase_add_test(tcase, test_pool_init_stride_0_is_rounded_size);
	tcase_add_test(tcase, test_pool_claim_then_release_moves_the_word);
	tcase_add_test(tcase, test_pool_claim_held_ebusy);
	tcase_add_test(tcase, test_pool_claim_word_changed_meanwhile_fails);
	tcase_add_test(tcase, test_pool_withheld_is_nobody_elses_until_kept_or_free);
	tcase_add_test(tcase, test_pool_release_not_owned_eperm);
	tcase_add_test(tcase, test_pool_claim_scan_finds_the_last_free_from_any_start);
	tcase_add_test(tcase, test_pool_claim_scan_all_held_in_any_way_eagain);
	tcase_add_test(tcase, test_pool_claim_scan_finds_the_free_one_however_it_moves);
	tcase_add_test(tcase, test_pool_claim_scan_sets_hints_of_the_leaf);
	tcase_add_test(tcase, test_pool_scan_one_reading_is_enough_whatever_is_handed_over);
	tcase_add_test(tcase, test_pool_scan_a_free_behind_it_is_not_missed);
	tcase_add_test(tcase, test_pool_hint_sets_the_bit);
	tcase_add_test(tcase, test_pool_dry_is_remembered_until_moved);
	tcase_add_test(tcase, test_pool_move_dry_unset_does_nothing);
	tcase_add_test(tcase, test_pool_hint_moves_a_dry_word);
	tcase_add_test(tcase, test_pool_move_dry_moves_whatever_the_scarce_bit_does);
	tcase_add_test(tcase, test_pool_chunk_and_index_agree);
	tcase_add_test(tcase, test_pool_index_out_of_bounds_einval);
	tcase_add_test(tcase, test_pool_index_of_odd_strides_and_huge_offsets);
}

int main(void)
{
	return test_run("pool", add_tests);
}
