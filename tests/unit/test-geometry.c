/* SPDX-License-Identifier: MIT */
/* test-geometry.c - where everything lies: sizes, order, no overlap, up to the limits */
#include "test_segment.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shm/free_list.h"
#include "shm/geometry.h"
#include "shm/layout.h"
#include "shm/pool.h"

static const struct test_pool guide[] = {
	{ .chunk_size = 128, .n_chunks = 10000 },
	{ .chunk_size = 1024, .n_chunks = 5000 },
	{ .chunk_size = 4096, .n_chunks = 1000 },
};

static struct config config;
static struct geometry geometry;

static void teardown(void)
{
	config_deinit(&config);
}

/* Of pages of 4 KiB, whatever this kernel has. */
static void make(const struct test_pool *pools, size_t n)
{
	test_config_init(&config, pools, n);
	config.page_bytes = config.data_align = 4096;
	ck_assert_int_eq(geometry_init(&geometry, &config), 0);
}

static uint64_t round_to(uint64_t value, uint64_t border)
{
	return (value + border - 1) / border * border;
}

/* Chunks of all pools, one after the other, each at a page; to the end of the range. */
static void assert_data_is_sound(void)
{
	uint64_t end = geometry.data_off;

	ck_assert_uint_eq(geometry.data_off,
			  round_to(geometry.control_bytes, geometry.data_align));
	for (uint32_t i = 0; i < geometry.n_pools; i++) {
		const struct geometry_pool *pool = &geometry.pools[i];

		ck_assert_uint_eq(pool->data_off, end);
		end = round_to(end + pool->stride * pool->n_chunks, geometry.page_bytes);
	}
	ck_assert_uint_eq(geometry.total_size, round_to(end, geometry.data_align));
	ck_assert_uint_eq(geometry.data_bytes, geometry.total_size - geometry.data_off);
}

/* Control in the order of layout.md, nothing over another, nothing past the end. */
static void assert_sound(void)
{
	const struct geometry_pool *managers = &geometry.pools[geometry.n_pools];
	uint64_t end = MEMPOOL_PAGE_BYTES, total = 0;

	ck_assert_uint_eq(geometry.pools_off, end);
	end += (geometry.n_pools + 1) * sizeof(struct mempool_pool_record);
	ck_assert_uint_eq(geometry.holders_off, end);
	end += geometry.n_holders * sizeof(struct mempool_holder);
	ck_assert_uint_eq(geometry.rings_off, end);
	end += geometry.n_rings * sizeof(struct mempool_ring);
	ck_assert_uint_ge(geometry.lanes_off, end);
	ck_assert_uint_eq(geometry.lanes_off % 64, 0);
	ck_assert_uint_eq(geometry.n_lanes, geometry_n_lanes(geometry.n_holders));
	end = geometry.lanes_off + 64 * geometry.n_lanes;
	ck_assert_uint_eq(geometry.lane_list_off, end);
	end += free_list_size_bytes(geometry.n_lanes);

	for (uint32_t i = 0; i <= geometry.n_pools; i++) {
		const struct geometry_pool *pool = &geometry.pools[i];

		ck_assert_uint_ge(pool->stride, pool->chunk_size);
		ck_assert_uint_lt(pool->stride - pool->chunk_size, pool->alignment);
		ck_assert_uint_eq(pool->stride % pool->alignment, 0);
		ck_assert_uint_eq(pool->data_off % 4096, 0);
		if (pool == managers) {
			ck_assert_uint_ge(pool->data_off, end);
			end = pool->data_off + pool->stride * pool->n_chunks;
		} else {
			total += pool->is_exclusive ? 0 : pool->n_chunks;
		}
		ck_assert_uint_eq(pool->index_off, round_to(end, 64));
		end = pool->index_off + pool_index_bytes(pool->n_chunks, geometry.has_stamps &&
								 pool != managers);
	}
	ck_assert_uint_eq(managers->n_chunks, total);
	ck_assert_uint_ge(geometry.slots_off, end);
	ck_assert_uint_eq(geometry.slots_off % 64, 0);
	ck_assert_uint_ge(geometry.pollers_off, geometry.slots_off);
	ck_assert_uint_ge(geometry.end_words_off,
			  geometry.pollers_off + geometry.n_rings * (geometry.n_holders / 8));
	ck_assert_uint_eq(geometry.end_words_off % 64, 0);
	ck_assert_uint_eq(geometry.ends_off, geometry.end_words_off + 8 * geometry.n_ends);
	ck_assert_uint_eq(geometry.ends_off % 64, 0);
	ck_assert_uint_ge(geometry.control_bytes, geometry.ends_off + 64 * geometry.n_ends);
	ck_assert_uint_eq(geometry.control_bytes % geometry.page_bytes, 0);
	assert_data_is_sound();
}

START_TEST(test_geometry_of_the_guide)
{
	make(guide, 3);
	assert_sound();
	ck_assert_uint_eq(geometry.n_pools, 3);
	ck_assert_uint_eq(geometry.n_holders, 256);
	ck_assert_uint_eq(geometry.pools[0].stride, 128);
	ck_assert_uint_eq(geometry.pools[1].stride, 1024);
	ck_assert_uint_eq(geometry.pools[2].stride, 4096);
	/* Header page, 4 pool records and 256 holder records of 128 bytes: 37376; 1024 lanes, 65536;
	 * their list, 192: 103104. */
	ck_assert_uint_eq(geometry.rings_off, 37376);
	ck_assert_uint_eq(geometry.lanes_off, 37376);
	ck_assert_uint_eq(geometry.pools[0].index_off, 103104);
	/* 157 leaves and 3 words of summary, in lines: 1280 + 64; 16 a chunk. */
	ck_assert_uint_eq(pool_index_bytes(10000, false), 1280 + 64 + 160000);
	ck_assert_uint_eq(geometry.pools[1].index_off, 103104 + 161344);
	ck_assert_uint_eq(geometry.pools[0].data_off, geometry.data_off);
	/* 10000 * 128, in pages. */
	ck_assert_uint_eq(geometry.pools[1].data_off, geometry.data_off + 1282048);
	/* The ChunkManagers: as many as chunks, each with 256 bits. */
	ck_assert_uint_eq(geometry.pools[3].n_chunks, 16000);
	ck_assert_uint_eq(geometry.pools[3].chunk_size, 32);
	ck_assert_uint_eq(segment_size_bytes(&config), geometry.total_size);
	ck_assert_uint_eq(geometry.total_size, 11636736);
}
END_TEST

START_TEST(test_geometry_alignment_8_to_4096)
{
	make(guide, 3);
	for (uint32_t alignment = 8; alignment <= 4096; alignment *= 2) {
		config.pools[0].chunk_size = 100;
		config.pools[0].alignment = alignment;
		ck_assert_int_eq(geometry_init(&geometry, &config), 0);
		assert_sound();
		ck_assert_uint_eq(geometry.pools[0].stride,
				  alignment <= 8 ? 104 : alignment <= 16 ? 112 :
				  alignment <= 128 ? 128 : alignment);
	}
}
END_TEST

START_TEST(test_geometry_62_pools)
{
	struct test_pool pools[62];

	for (uint32_t i = 0; i < 62; i++)
		pools[i] = (struct test_pool){ .chunk_size = 1 + i * 37, .n_chunks = 1 + i };
	make(pools, 62);
	assert_sound();
	ck_assert_uint_eq(geometry.n_pools, 62);
	ck_assert_uint_eq(geometry.pools[62].n_chunks, 62 * 63 / 2);
}
END_TEST

/* Other kernels, and huge pages for the data. */
START_TEST(test_geometry_borders)
{
	static const uint64_t borders[][2] = {
		{ 16384, 16384 }, { 65536, 65536 }, { 4096, UINT64_C(2) << 20 },
		{ 65536, UINT64_C(512) << 20 }, { 4096, UINT64_C(1) << 30 },
		{ UINT64_C(1) << 20, UINT64_C(1) << 34 },
	};

	make(guide, 3);
	ck_assert_int_eq(config_add_ring(&config, "frames", MEMPOOL_RING_QUEUE, 1024), 0);
	for (size_t i = 0; i < sizeof(borders) / sizeof(borders[0]); i++) {
		config.page_bytes = borders[i][0];
		config.data_align = borders[i][1];
		ck_assert_int_eq(geometry_init(&geometry, &config), 0);
		assert_sound();
	}
}
END_TEST

/* Of all chunk data, the worst case of rounding 62 times. */
START_TEST(test_geometry_borders_do_not_overflow)
{
	struct test_pool pools[62];

	for (uint32_t i = 0; i < 62; i++)
		pools[i] = (struct test_pool){ .chunk_size = MEMPOOL_MAX_CHUNK_BYTES - 1,
					       .n_chunks = MEMPOOL_MAX_CHUNKS / 64 };
	make(pools, 62);
	assert_sound();
	config.data_align = MEMPOOL_MAX_DATA_ALIGN;
	ck_assert_int_eq(geometry_init(&geometry, &config), 0);
	assert_sound();
}
END_TEST

START_TEST(test_geometry_bad_border_einval)
{
	static const uint64_t borders[][2] = {
		{ 0, 4096 }, { 2048, 4096 }, { 4096, 2048 }, { 4097, 8192 }, { 4096, 12288 },
		{ UINT64_C(2) << 20, UINT64_C(2) << 20 }, { 4096, UINT64_C(1) << 35 },
		{ 16384, 4096 },
	};

	make(guide, 3);
	for (size_t i = 0; i < sizeof(borders) / sizeof(borders[0]); i++) {
		config.page_bytes = borders[i][0];
		config.data_align = borders[i][1];
		ck_assert_int_eq(geometry_init(&geometry, &config), -EINVAL);
	}
}
END_TEST

START_TEST(test_geometry_rings_follow)
{
	uint64_t without;

	make(guide, 3);
	without = geometry.control_bytes;
	ck_assert_int_eq(config_add_ring(&config, "frames", MEMPOOL_RING_QUEUE, 1024), 0);
	ck_assert_int_eq(config_add_ring(&config, "camera", MEMPOOL_RING_TOPIC, 2), 0);
	ck_assert_int_eq(geometry_init(&geometry, &config), 0);
	assert_sound();
	ck_assert_uint_eq(geometry.n_rings, 2);
	ck_assert_uint_eq(geometry.n_topics, 1);
	ck_assert_uint_eq(geometry_ring_bytes(&config.rings[0]), 8192);
	ck_assert_uint_eq(geometry_ring_bytes(&config.rings[1]), 64);
	ck_assert_uint_ge(geometry.control_bytes, without + 8192);
	ck_assert_uint_ge(geometry.control_bytes, geometry.slots_off + 8192 + 64);
}
END_TEST

/* 16 bytes for each chunk that a message can be in: that is not one of the managers'. */
START_TEST(test_geometry_one_ring_with_stamps_has_place_for_all)
{
	struct geometry without;

	make(guide, 3);
	ck_assert_int_eq(config_add_ring(&config, "frames", MEMPOOL_RING_QUEUE, 1024), 0);
	ck_assert_int_eq(config_add_ring(&config, "camera", MEMPOOL_RING_TOPIC, 2), 0);
	ck_assert_int_eq(geometry_init(&without, &config), 0);
	ck_assert(!without.has_stamps);
	config.rings[1].flags = MEMPOOL_RING_STAMPS;
	ck_assert_int_eq(geometry_init(&geometry, &config), 0);
	ck_assert(geometry.has_stamps);
	assert_sound();
	ck_assert_uint_eq(pool_index_bytes(10000, true), pool_index_bytes(10000, false) + 160000);
	ck_assert_uint_ge(geometry.control_bytes, without.control_bytes + 16000 * 16 - 3 * 4096);
	ck_assert_uint_eq(geometry.data_bytes, without.data_bytes);
	ck_assert_uint_ne(geometry.fingerprint, without.fingerprint);
	/* Which one it is shapes the layout as well. */
	without.fingerprint = geometry.fingerprint;
	config.rings[0].flags = MEMPOOL_RING_STAMPS;
	config.rings[1].flags = 0;
	ck_assert_int_eq(geometry_init(&geometry, &config), 0);
	ck_assert_uint_ne(geometry.fingerprint, without.fingerprint);
	config.rings[0].flags = 16;
	ck_assert_int_eq(geometry_init(&geometry, &config), -EINVAL);
	/* Roles are for queues. */
	for (size_t i = 0; i < config.n_rings; i++) {
		config.rings[0].flags = config.rings[1].flags = 0;
		config.rings[i].flags = MEMPOOL_RING_ONE_SENDER | MEMPOOL_RING_ONE_RECEIVER;
		ck_assert_int_eq(geometry_init(&geometry, &config),
				 config.rings[i].kind == MEMPOOL_RING_QUEUE ? 0 : -EINVAL);
	}
}
END_TEST

/* A word and the message, up to a line close together, above that from line to line. */
START_TEST(test_geometry_messages_in_slots_have_place)
{
	static const struct {
		uint32_t slot_bytes, stride;
	} cases[] = {
		{ 0, 8 }, { 1, 16 }, { 8, 16 }, { 9, 24 }, { 48, 56 }, { 49, 64 }, { 56, 64 }, { 57, 128 },
		{ 120, 128 }, { 121, 192 }, { 128, 192 }, { MEMPOOL_MAX_SLOT_BYTES, 1088 },
	};
	struct geometry without;

	make(guide, 3);
	ck_assert_int_eq(config_add_ring(&config, "frames", MEMPOOL_RING_QUEUE, 1024), 0);
	config.rings[0].flags = CONFIG_SLOTS_NEED;
	ck_assert_int_eq(geometry_init(&without, &config), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		config.rings[0].slot_bytes = cases[i].slot_bytes;
		ck_assert_uint_eq(config_slot_stride(&config.rings[0]), cases[i].stride);
		ck_assert_uint_eq(geometry_ring_bytes(&config.rings[0]), 1024 * cases[i].stride);
		ck_assert_int_eq(geometry_init(&geometry, &config), 0);
		assert_sound();
		ck_assert_uint_ge(geometry.pollers_off - geometry.slots_off, 1024 * cases[i].stride);
		if (i > 0)
			ck_assert_uint_ne(geometry.fingerprint, without.fingerprint);
	}
	config.rings[0].slot_bytes = MEMPOOL_MAX_SLOT_BYTES + 1;
	ck_assert_int_eq(geometry_init(&geometry, &config), -EINVAL);
	config.rings[0].slot_bytes = 8;
	for (uint32_t flags = 0; flags < 16; flags++) {
		config.rings[0].flags = flags & ~MEMPOOL_RING_HOLDS;
		ck_assert_int_eq(geometry_init(&geometry, &config),
				 config.rings[0].flags == CONFIG_SLOTS_NEED ? 0 : -EINVAL);
	}
	config.rings[0].kind = MEMPOOL_RING_TOPIC;
	config.rings[0].flags = 0;
	ck_assert_int_eq(geometry_init(&geometry, &config), -EINVAL);
}
END_TEST

START_TEST(test_geometry_pools_over_4_gib)
{
	static const struct test_pool pools[] = {
		{ .chunk_size = 4096, .n_chunks = MEMPOOL_MAX_CHUNKS_PER_POOL },
		{ .chunk_size = MEMPOOL_MAX_CHUNK_BYTES - 1, .n_chunks = 3 },
		{ .chunk_size = 64, .n_chunks = 10 },
	};

	make(pools, 3);
	assert_sound();
	ck_assert_uint_eq(geometry.pools[1].data_off - geometry.pools[0].data_off,
			  UINT64_C(1) << 38);
	ck_assert_uint_eq(geometry.pools[2].data_off - geometry.pools[1].data_off,
			  UINT64_C(3) << 32);
}
END_TEST

/* Sparse objects of 6 GiB, of which only the words are ever written. */
START_TEST(test_geometry_pool_over_4_gib_mapped)
{
	static const struct test_pool pools[] = {
		{ .chunk_size = UINT64_C(1) << 20, .n_chunks = 6 << 10 },
		{ .chunk_size = 100, .n_chunks = 10 },
	};
	struct segment *segment;
	unsigned char *last;
	uint32_t index;

	test_config_init(&config, pools, 2);
	segment = test_segment_sparse(&config);

	index = (6 << 10) - 1;
	ck_assert_int_eq(pool_claim(&segment->pools[0], index, TEST_HOLDER), 0);
	last = pool_chunk(&segment->pools[0], index);
	ck_assert_uint_eq((uint64_t)(last - segment->pools[0].data),
			  (UINT64_C(6) << 30) - (1 << 20));
	memset(last, 0xaa, 16);
	memset(last + (1 << 20) - 16, 0xbb, 16);
	index = 0;
	ck_assert_int_eq(pool_index(&segment->pools[0],
				    (uint64_t)(last - segment->pools[0].data), &index), 0);
	ck_assert_uint_eq(index, (6 << 10) - 1);
	ck_assert_uint_eq(test_segment_used(segment, 0), 1);
	ck_assert_uint_eq(test_segment_used(segment, 1), 0);
	ck_assert_uint_eq(pool_count_used(segment_managers(segment)), 0);
	segment_free(segment);
}
END_TEST

START_TEST(test_geometry_larger_than_an_address_space_eoverflow)
{
	struct test_pool pools[16];

	for (int i = 0; i < 16; i++)
		pools[i] = (struct test_pool){ .chunk_size = MEMPOOL_MAX_CHUNK_BYTES - 1,
					       .n_chunks = MEMPOOL_MAX_CHUNKS_PER_POOL };
	make(pools, 15);
	assert_sound();
	test_config_init(&config, pools, 16);
	config.page_bytes = config.data_align = 4096;
	ck_assert_int_eq(config_check(&config, NULL), 0);
	ck_assert_int_eq(geometry_init(&geometry, &config), -EOVERFLOW);
	ck_assert_uint_eq(segment_size_bytes(&config), 0);
}
END_TEST

/* At the end, one after the other; where none are kept, nothing. */
START_TEST(test_geometry_traces_take_nothing_unless_kept)
{
	uint64_t without, end;

	make(guide, 3);
	without = geometry.control_bytes;
	ck_assert_uint_eq(geometry.modules_off, 0);
	ck_assert_uint_eq(geometry.pools[0].traces_off, 0);

	config.traces = true;
	ck_assert_int_eq(geometry_init(&geometry, &config), 0);
	assert_sound();
	ck_assert_uint_ge(geometry.modules_off,
			  geometry.pollers_off + geometry.n_rings * geometry.n_holders / 8);
	ck_assert_uint_eq(geometry.modules_off % MEMPOOL_LINE_BYTES, 0);
	end = geometry.modules_off + MEMPOOL_MAX_MODULES * sizeof(struct mempool_module);
	for (uint32_t i = 0; i < 3; i++) {
		ck_assert_uint_eq(geometry.pools[i].traces_off, end);
		end += geometry.pools[i].n_chunks * sizeof(struct mempool_trace);
	}
	ck_assert_uint_le(end, geometry.control_bytes);
	ck_assert_uint_le(geometry.control_bytes,
			  without + (end - geometry.modules_off) + 2 * geometry.page_bytes);
}
END_TEST

START_TEST(test_geometry_bad_config_einval)
{
	ck_assert_int_eq(config_init(&config, "test"), 0);
	ck_assert_int_eq(geometry_init(&geometry, &config), -EINVAL);
	ck_assert_uint_eq(segment_size_bytes(&config), 0);
}
END_TEST

START_TEST(test_geometry_sharers_bytes)
{
	ck_assert_uint_eq(geometry_sharers_bytes(64), 8);
	ck_assert_uint_eq(geometry_sharers_bytes(256), 32);
	ck_assert_uint_eq(geometry_sharers_bytes(32704), 4088);
}
END_TEST

/* Where chunks cannot be shared there are chunks and entries, and next to nothing else. */
START_TEST(test_geometry_no_managers_where_nothing_is_shared)
{
	static const struct test_pool pools[] = {
		{ .chunk_size = 128, .n_chunks = 1000000 },
		{ .chunk_size = 256, .n_chunks = 1000 },
	};
	uint64_t all, some;

	make(pools, 1);
	ck_assert_uint_eq(geometry.pools[1].n_chunks, 1000000);
	all = geometry.total_size;
	ck_assert_uint_lt(all, UINT64_C(128000000) * 151 / 100);
	config.pools[0].is_exclusive = true;
	ck_assert_int_eq(geometry_init(&geometry, &config), 0);
	ck_assert_uint_eq(geometry.pools[1].n_chunks, 1);
	ck_assert_uint_lt(geometry.total_size, UINT64_C(128000000) * 113 / 100);
	config_deinit(&config);

	make(pools, 2);
	all = geometry.total_size;
	config.pools[0].is_exclusive = true;
	ck_assert_int_eq(geometry_init(&geometry, &config), 0);
	assert_sound();
	ck_assert_uint_eq(geometry.pools[2].n_chunks, 1000);
	some = geometry.total_size;
	/* 48 bytes for each chunk, and a bit or so. */
	ck_assert_uint_gt(all - some, UINT64_C(48) * 1000000);
	ck_assert_uint_lt(all - some, UINT64_C(49) * 1000000);
}
END_TEST

/* Whatever changes the layout changes the fingerprint; what does not, does not. */
START_TEST(test_geometry_fingerprint_tells_layouts_apart)
{
	struct config other;
	struct geometry changed;
	uint64_t base;

#define ASSERT_TELLS(change)							\
	do {									\
		other = config;							\
		change;								\
		ck_assert_int_eq(geometry_init(&changed, &other), 0);		\
		ck_assert_uint_ne(changed.fingerprint, base);			\
	} while (0)

	make(guide, 3);
	config.data_align = 16384;
	ck_assert_int_eq(geometry_init(&geometry, &config), 0);
	base = geometry.fingerprint;
	ASSERT_TELLS(other.pools[0].chunk_size++);
	ASSERT_TELLS(other.pools[1].n_chunks++);
	ASSERT_TELLS(other.pools[2].alignment = 128);
	ASSERT_TELLS(other.pools[2].cache = 63);
	ASSERT_TELLS(other.n_pools = 2);
	ASSERT_TELLS(other.max_clients = 1000);
	ASSERT_TELLS(other.fallback = false);
	ASSERT_TELLS(other.traces = true);
	ASSERT_TELLS(other.page_bytes = 16384);
	ASSERT_TELLS(other.data_align = 32768);

	/* Which pools share, also where as many chunks do. */
	config.pools[1].n_chunks = config.pools[2].n_chunks;
	config.pools[1].is_exclusive = true;
	ck_assert_int_eq(geometry_init(&geometry, &config), 0);
	base = geometry.fingerprint;
	ASSERT_TELLS(other.pools[1].is_exclusive = false; other.pools[2].is_exclusive = true);

	ck_assert_int_eq(config_add_ring(&config, "a", MEMPOOL_RING_QUEUE, 8), 0);
	ck_assert_int_eq(geometry_init(&geometry, &config), 0);
	ck_assert_uint_ne(geometry.fingerprint, base);
	base = geometry.fingerprint;
	config.rings[0].name[0] = 'b';
	ASSERT_TELLS((void)0);
	config.rings[0].name[0] = 'a';
	config.rings[0].capacity = 16;
	ASSERT_TELLS((void)0);
	config.rings[0].capacity = 8;
	config.rings[0].kind = MEMPOOL_RING_TOPIC;
	ASSERT_TELLS((void)0);
	config.rings[0].kind = MEMPOOL_RING_QUEUE;

	other = config;
	strcpy(other.name, "another");
	ck_assert_int_eq(geometry_init(&changed, &other), 0);
	ck_assert_uint_eq(changed.fingerprint, base);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_test(tcase, test_geometry_of_the_guide);
	tcase_add_test(tcase, test_geometry_alignment_8_to_4096);
	tcase_add_test(tcase, test_geometry_62_pools);
	tcase_add_test(tcase, test_geometry_borders);
	tcase_add_test(tcase, test_geometry_borders_do_not_overflow);
	tcase_add_test(tcase, test_geometry_bad_border_einval);
	tcase_add_test(tcase, test_geometry_rings_follow);
	tcase_add_test(tcase, test_geometry_one_ring_with_stamps_has_place_for_all);
	tcase_add_test(tcase, test_geometry_messages_in_slots_have_place);
	tcase_add_test(tcase, test_geometry_pools_over_4_gib);
	tcase_add_test(tcase, test_geometry_pool_over_4_gib_mapped);
	tcase_add_test(tcase, test_geometry_larger_than_an_address_space_eoverflow);
	tcase_add_test(tcase, test_geometry_traces_take_nothing_unless_kept);
	tcase_add_test(tcase, test_geometry_bad_config_einval);
	tcase_add_test(tcase, test_geometry_sharers_bytes);
	tcase_add_test(tcase, test_geometry_no_managers_where_nothing_is_shared);
	tcase_add_test(tcase, test_geometry_fingerprint_tells_layouts_apart);
}

int main(void)
{
	return test_run("geometry", add_tests);
}
