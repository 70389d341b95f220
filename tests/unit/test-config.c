/* SPDX-License-Identifier: MIT */
/* test-config.c - which shapes of a segment are accepted, and what is said of the others */
#include "test_segment.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shm/config.h"

static struct config config;

static void setup(void)
{
	static const struct test_pool pools[] = { { .chunk_size = 128, .n_chunks = 10 } };

	test_config_init(&config, pools, 1);
	ck_assert_int_eq(config_check(&config, NULL), 0);
}

static void teardown(void)
{
	config_deinit(&config);
}

static void assert_mistake(const char *part)
{
	const char *text = NULL;

	ck_assert_int_eq(config_check(&config, &text), -EINVAL);
	ck_assert_ptr_nonnull(text);
	ck_assert_msg(strstr(text, part), "\"%s\" does not say \"%s\"", text, part);
}

START_TEST(test_config_init_sets_the_defaults)
{
	ck_assert_str_eq(config.name, "test");
	ck_assert_uint_eq(config.max_clients, 192);
	ck_assert(config.fallback);
	ck_assert_uint_eq(config.n_pools, 1);
	ck_assert_uint_eq(config.pools[0].alignment, 64);
	ck_assert_uint_eq(config.pools[0].cache, 64);
	ck_assert_uint_eq(config_default_cache(4096), 64);
	ck_assert_uint_eq(config_default_cache(4097), 63);
	ck_assert_uint_eq(config_default_cache(64 << 10), 4);
	ck_assert_uint_eq(config_default_cache(UINT64_C(1) << 31), 2);
	ck_assert_uint_eq(config_n_holders(&config), 256);
}
END_TEST

START_TEST(test_config_name_rules)
{
	static const char *const good[] = {
		"a", "default", "A-Z_09", "0123456789012345678901234567890",
	};
	static const char *const bad[] = {
		"", "01234567890123456789012345678901", "a b", "a.b", "a/b", "\xc3\xa4", "a\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		ck_assert(config_name_is_valid(good[i]));
		ck_assert_int_eq(config_init(&config, good[i]), 0);
		ck_assert_str_eq(config.name, good[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert(!config_name_is_valid(bad[i]));
		ck_assert_int_eq(config_init(&config, bad[i]), -EINVAL);
	}
}
END_TEST

START_TEST(test_config_add_pool_limits)
{
	ck_assert_int_eq(config_add_pool(&config, 1, 1), 0);
	ck_assert_int_eq(config_add_pool(&config, MEMPOOL_MAX_CHUNK_BYTES - 1,
					 MEMPOOL_MAX_CHUNKS_PER_POOL), 0);
	ck_assert_uint_eq(config.n_pools, 3);
	ck_assert_uint_eq(config.pools[2].chunk_size, MEMPOOL_MAX_CHUNK_BYTES - 1);
	ck_assert_uint_eq(config.pools[2].n_chunks, MEMPOOL_MAX_CHUNKS_PER_POOL);

	ck_assert_int_eq(config_add_pool(&config, 0, 1), -EINVAL);
	ck_assert_int_eq(config_add_pool(&config, 1, 0), -EINVAL);
	ck_assert_int_eq(config_add_pool(&config, MEMPOOL_MAX_CHUNK_BYTES, 1), -EINVAL);
	ck_assert_int_eq(config_add_pool(&config, UINT64_MAX, 1), -EINVAL);
	ck_assert_int_eq(config_add_pool(&config, 1, MEMPOOL_MAX_CHUNKS_PER_POOL + 1), -EINVAL);
	ck_assert_int_eq(config_add_pool(&config, 1, UINT64_MAX), -EINVAL);
	ck_assert_uint_eq(config.n_pools, 3);
}
END_TEST

START_TEST(test_config_add_pool_63rd_e2big)
{
	while (config.n_pools < 62)
		ck_assert_int_eq(config_add_pool(&config, 64, 1), 0);
	ck_assert_int_eq(config_check(&config, NULL), 0);
	ck_assert_int_eq(config_add_pool(&config, 64, 1), -E2BIG);
	config.n_pools = 63;
	assert_mistake("62 pools");
}
END_TEST

START_TEST(test_config_add_reserve_takes_the_last_chunks)
{
	struct config none, other;

	ck_assert_int_eq(config_init(&none, "none"), 0);
	ck_assert_int_eq(config_add_reserve(&none, 1), -EINVAL);
	config.pools[0].cache = 7;
	ck_assert_int_eq(config_add_reserve(&config, 0), -EINVAL);
	ck_assert_int_eq(config_add_reserve(&config, 10), -EINVAL);
	ck_assert_uint_eq(config_n_reserved(&config, 0), 0);
	ck_assert_int_eq(config_copy(&other, &config), 0);
	ck_assert_int_eq(config_add_reserve(&config, 3), 0);
	ck_assert_int_eq(config_add_reserve(&config, 1), -EINVAL);
	ck_assert_uint_eq(config.n_pools, 2);
	ck_assert_uint_eq(config.pools[0].n_chunks, 7);
	ck_assert_uint_eq(config.pools[1].n_chunks, 3);
	ck_assert_uint_eq(config.pools[1].chunk_size, 128);
	ck_assert_uint_eq(config.pools[1].cache, 7);
	ck_assert(!config.pools[0].is_reserve && config.pools[1].is_reserve);
	ck_assert_uint_eq(config_n_reserved(&config, 0), 3);
	ck_assert_uint_eq(config_n_reserved(&config, 1), 0);
	ck_assert_int_eq(config_check(&config, NULL), 0);

	/* The same chunks for everybody are another layout. */
	other.pools[0].n_chunks = 7;
	ck_assert_int_eq(config_add_pool(&other, 128, 3), 0);
	other.pools[1].cache = 7;
	ck_assert(!config_is_same(&config, &other));
	other.pools[1].is_reserve = true;
	ck_assert(config_is_same(&config, &other));

	while (config.n_pools < MEMPOOL_MAX_DATA_POOLS)
		ck_assert_int_eq(config_add_pool(&config, 256, 2), 0);
	ck_assert_int_eq(config_add_reserve(&config, 1), -E2BIG);
	ck_assert_uint_eq(config.pools[MEMPOOL_MAX_DATA_POOLS - 1].n_chunks, 2);
	config_deinit(&other);
}
END_TEST

START_TEST(test_config_check_reserve_is_behind_its_pool)
{
	ck_assert_int_eq(config_add_reserve(&config, 3), 0);
	config.pools[1].chunk_size = 100;
	assert_mistake("reserve");
	config.pools[1].chunk_size = 128;
	config.pools[1].alignment = 8;
	assert_mistake("reserve");
	config.pools[1].alignment = 64;
	config.pools[0].is_reserve = true;
	assert_mistake("reserve");
	config.pools[0].is_reserve = false;
	ck_assert_int_eq(config_check(&config, NULL), 0);
	ck_assert_int_eq(config_add_pool(&config, 128, 3), 0);
	config.pools[2].is_reserve = true;
	assert_mistake("reserve");
}
END_TEST

START_TEST(test_config_sharing_is_of_a_size)
{
	struct config other;

	ck_assert_int_eq(config_copy(&other, &config), 0);
	config.pools[0].is_exclusive = true;
	ck_assert(!config_is_same(&config, &other));
	ck_assert_uint_eq(config_n_managers(&other), 10);
	ck_assert_uint_eq(config_n_managers(&config), 1);
	/* A reserve is of its pool; another size is its own. */
	ck_assert_int_eq(config_add_reserve(&config, 3), 0);
	ck_assert(config.pools[1].is_exclusive);
	ck_assert_int_eq(config_add_pool(&config, 256, 20), 0);
	ck_assert_int_eq(config_check(&config, NULL), 0);
	ck_assert_uint_eq(config_n_managers(&config), 20);
	config.pools[1].is_exclusive = false;
	assert_mistake("reserve");
	config.pools[1].is_exclusive = true;
	ck_assert_int_eq(config_add_pool(&config, 128, 1), 0);
	assert_mistake("same sharing");
	config.pools[3].is_exclusive = true;
	ck_assert_int_eq(config_check(&config, NULL), 0);
	config_deinit(&other);
}
END_TEST

START_TEST(test_config_check_pool_members)
{
	struct config_pool *pool = &config.pools[0];
	static const uint32_t alignments[] = { 0, 1, 4, 12, 100, 8192, UINT32_C(1) << 31 };

	for (size_t i = 0; i < ARRAY_SIZE(alignments); i++) {
		pool->alignment = alignments[i];
		assert_mistake("alignment");
	}
	for (pool->alignment = 8; pool->alignment <= 4096; pool->alignment *= 2)
		ck_assert_int_eq(config_check(&config, NULL), 0);
	pool->alignment = 64;

	pool->cache = 0;
	ck_assert_int_eq(config_check(&config, NULL), 0);
	pool->cache = 4096;
	ck_assert_int_eq(config_check(&config, NULL), 0);
	pool->cache = 4097;
	assert_mistake("cache");
	pool->cache = 64;

	pool->chunk_size = 0;
	assert_mistake("chunk_size");
	pool->chunk_size = MEMPOOL_MAX_CHUNK_BYTES;
	assert_mistake("chunk_size");
	pool->chunk_size = 64;
	pool->n_chunks = 0;
	assert_mistake("chunk_count");
	pool->n_chunks = MEMPOOL_MAX_CHUNKS_PER_POOL + 1;
	assert_mistake("chunk_count");
}
END_TEST

START_TEST(test_config_check_totals)
{
	config.n_pools = 0;
	assert_mistake("at least one pool");

	/* 2^30 chunks and one more. */
	for (int i = 0; i < 16; i++)
		ck_assert_int_eq(config_add_pool(&config, 8, MEMPOOL_MAX_CHUNKS_PER_POOL), 0);
	ck_assert_int_eq(config_check(&config, NULL), 0);
	ck_assert_int_eq(config_add_pool(&config, 8, 1), 0);
	assert_mistake("1073741824");
}
END_TEST

START_TEST(test_config_check_name)
{
	config.name[0] = '/';
	assert_mistake("named");
}
END_TEST

START_TEST(test_config_check_clients)
{
	config.max_clients = 0;
	assert_mistake("max_clients");
	config.max_clients = 1;
	ck_assert_int_eq(config_check(&config, NULL), 0);
	ck_assert_uint_eq(config_n_holders(&config), 64);
	config.max_clients = 62;
	ck_assert_uint_eq(config_n_holders(&config), 64);
	config.max_clients = 63;
	ck_assert_uint_eq(config_n_holders(&config), 128);
	config.max_clients = 32702;
	ck_assert_int_eq(config_check(&config, NULL), 0);
	ck_assert_uint_eq(config_n_holders(&config), 32704);
	config.max_clients = 32703;
	assert_mistake("max_clients");
	config.max_clients = UINT64_MAX;
	assert_mistake("max_clients");

	/* Topics are holders, too. */
	config.max_clients = 32702;
	ck_assert_int_eq(config_add_ring(&config, "q", MEMPOOL_RING_QUEUE, 8), 0);
	ck_assert_int_eq(config_check(&config, NULL), 0);
	ck_assert_int_eq(config_add_ring(&config, "t", MEMPOOL_RING_TOPIC, 8), 0);
	ck_assert_uint_eq(config_n_topics(&config), 1);
	assert_mistake("topics");
}
END_TEST

START_TEST(test_config_add_ring_rules)
{
	ck_assert_int_eq(config_add_ring(&config, "frames", MEMPOOL_RING_QUEUE, 1), 0);
	ck_assert_int_eq(config_add_ring(&config, "camera", MEMPOOL_RING_TOPIC,
					 MEMPOOL_MAX_RING_CAPACITY), 0);
	ck_assert_int_eq(config_add_ring(&config, "frames", MEMPOOL_RING_TOPIC, 1), -EEXIST);
	ck_assert_int_eq(config_add_ring(&config, "", MEMPOOL_RING_QUEUE, 1), -EINVAL);
	ck_assert_int_eq(config_add_ring(&config, "a/b", MEMPOOL_RING_QUEUE, 1), -EINVAL);
	ck_assert_int_eq(config_add_ring(&config, "01234567890123456789012345678901",
					 MEMPOOL_RING_QUEUE, 1), -EINVAL);
	ck_assert_int_eq(config_add_ring(&config, "x", MEMPOOL_RING_QUEUE, 0), -EINVAL);
	ck_assert_int_eq(config_add_ring(&config, "x", MEMPOOL_RING_QUEUE, 3), -EINVAL);
	ck_assert_int_eq(config_add_ring(&config, "x", MEMPOOL_RING_QUEUE,
					 MEMPOOL_MAX_RING_CAPACITY * 2), -EINVAL);
	ck_assert_int_eq(config_add_ring(&config, "x", (enum mempool_ring_kind)2, 1), -EINVAL);
	ck_assert_uint_eq(config.n_rings, 2);
	ck_assert_str_eq(config.rings[1].name, "camera");
	ck_assert_uint_eq(config.rings[1].capacity, MEMPOOL_MAX_RING_CAPACITY);
}
END_TEST

START_TEST(test_config_many_rings_then_e2big)
{
	char name[32];

	for (uint32_t i = 0; i < MEMPOOL_MAX_RINGS; i++) {
		snprintf(name, sizeof(name), "q%u", i);
		ck_assert_int_eq(config_append_ring(&config, name, MEMPOOL_RING_QUEUE, 1), 0);
	}
	ck_assert_int_eq(config_append_ring(&config, "one", MEMPOOL_RING_QUEUE, 1), -E2BIG);
	ck_assert_int_eq(config_check(&config, NULL), 0);
	ck_assert_str_eq(config.rings[MEMPOOL_MAX_RINGS - 1].name, name);
}
END_TEST

START_TEST(test_config_check_twins_are_found)
{
	ck_assert_int_eq(config_append_ring(&config, "a", MEMPOOL_RING_QUEUE, 1), 0);
	ck_assert_int_eq(config_append_ring(&config, "b", MEMPOOL_RING_QUEUE, 1), 0);
	ck_assert_int_eq(config_check(&config, NULL), 0);
	ck_assert_int_eq(config_append_ring(&config, "a", MEMPOOL_RING_TOPIC, 1), 0);
	assert_mistake("same name");
}
END_TEST

START_TEST(test_config_deinit_twice_is_fine)
{
	ck_assert_int_eq(config_add_ring(&config, "a", MEMPOOL_RING_QUEUE, 1), 0);
	config_deinit(&config);
	ck_assert_uint_eq(config.n_rings, 0);
	config_deinit(&config);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_config_init_sets_the_defaults);
	tcase_add_test(tcase, test_config_name_rules);
	tcase_add_test(tcase, test_config_add_pool_limits);
	tcase_add_test(tcase, test_config_add_pool_63rd_e2big);
	tcase_add_test(tcase, test_config_add_reserve_takes_the_last_chunks);
	tcase_add_test(tcase, test_config_check_reserve_is_behind_its_pool);
	tcase_add_test(tcase, test_config_sharing_is_of_a_size);
	tcase_add_test(tcase, test_config_check_pool_members);
	tcase_add_test(tcase, test_config_check_totals);
	tcase_add_test(tcase, test_config_check_name);
	tcase_add_test(tcase, test_config_check_clients);
	tcase_add_test(tcase, test_config_add_ring_rules);
	tcase_add_test(tcase, test_config_many_rings_then_e2big);
	tcase_add_test(tcase, test_config_check_twins_are_found);
	tcase_add_test(tcase, test_config_deinit_twice_is_fine);
}

int main(void)
{
	return test_run("config", add_tests);
}
