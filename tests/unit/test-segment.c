/* SPDX-License-Identifier: MIT */
/* test-segment.c - segments laid out and checked; every way it can go wrong */
#include "test_segment.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shm/layout.h"

static const struct segment_permissions private_perms = { .mode = 0600, .group = (gid_t)-1 };

static struct config config;
static struct segment_memory memory;
static struct segment_memory opened;
static struct segment *segment;
static uint64_t size;
static char name[64];

static void setup(void)
{
	static const struct test_pool pools[] = {
		{ .chunk_size = 100, .n_chunks = 70 },
		{ .chunk_size = 5000, .n_chunks = 3 },
	};

	test_config_init(&config, pools, 2);
	ck_assert_int_eq(config_add_ring(&config, "frames", MEMPOOL_RING_QUEUE, 8), 0);
	ck_assert_int_eq(config_add_ring(&config, "camera", MEMPOOL_RING_TOPIC, 4), 0);
	size = segment_size_bytes(&config);
	memory = opened = SEGMENT_MEMORY_NULL;
	segment = NULL;
	test_shm_name(name);
	ck_assert_uint_eq(test_shm_count(), 0);
}

static void teardown(void)
{
	segment_free(segment);
	segment_memory_deinit(&memory);
	segment_memory_deinit(&opened);
	config_deinit(&config);
	segment_unlink(name);
	ck_assert_uint_eq(test_shm_count(), 0);
}

static int create(enum segment_access access, enum segment_open_mode mode)
{
	return segment_create(name, &config, access, mode, &private_perms, NULL, NULL, &memory);
}

static void make(void)
{
	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_CREATE), 0);
	ck_assert_int_eq(segment_layout(memory.base, size, &config, NULL), 0);
}

/* ---- layout ---- */

START_TEST(test_layout_short_memory_enospc_untouched)
{
	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_CREATE), 0);
	ck_assert_int_eq(segment_layout(memory.base, size - 1, &config, NULL), -ENOSPC);
	for (uint64_t i = 0; i < size; i++)
		ck_assert_uint_eq(((unsigned char *)memory.base)[i], 0);
}
END_TEST

START_TEST(test_layout_bad_config_einval)
{
	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_CREATE), 0);
	config.n_pools = 0;
	ck_assert_int_eq(segment_layout(memory.base, size, &config, NULL), -EINVAL);
	config.n_pools = 2;
}
END_TEST

START_TEST(test_layout_identity_is_written)
{
	struct segment_identity identity;
	const struct mempool_header *header;

	ck_assert_int_eq(segment_identity_init(&identity, 42), 0);
	ck_assert_uint_ne(identity.segment_id, 0);
	ck_assert_uint_ne(identity.generation_seed, 0);

	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_CREATE), 0);
	ck_assert_int_eq(segment_layout(memory.base, size, &config, &identity), 0);
	header = memory.base;
	ck_assert_uint_eq(header->generation, 42);
	ck_assert_uint_eq(header->segment_id, identity.segment_id);
	ck_assert_uint_eq(header->generation_seed, identity.generation_seed);

	ck_assert_int_eq(segment_attach(&memory, &segment), 0);
	ck_assert_uint_eq(segment->generation, 42);
	ck_assert_uint_eq(segment->segment_id, identity.segment_id);
	/* The first generation of every word, managers included. */
	for (uint32_t i = 0; i <= segment->n_pools; i++)
		for (uint32_t j = 0; j < segment->pools[i].n_chunks; j++)
			ck_assert_uint_eq(atomic_load(&segment->pools[i].entries[j].word),
					  word_make(identity.generation_seed, MEMPOOL_FREE, 0));
}
END_TEST

START_TEST(test_layout_two_segments_differ)
{
	uint64_t first;

	make();
	first = ((struct mempool_header *)memory.base)->segment_id;
	segment_memory_deinit(&memory);
	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_PURGE_AND_CREATE), 0);
	ck_assert_int_eq(segment_layout(memory.base, size, &config, NULL), 0);
	ck_assert_uint_ne(((struct mempool_header *)memory.base)->segment_id, first);
}
END_TEST

/* ---- attach ---- */

START_TEST(test_attach_gets_the_shape)
{
	make();
	ck_assert_int_eq(segment_attach(&memory, &segment), 0);
	ck_assert_ptr_null(memory.base);
	ck_assert_int_eq(memory.fd, -1);
	ck_assert_str_eq(segment->config.name, "test");
	ck_assert_uint_eq(segment->n_pools, 2);
	ck_assert_uint_eq(segment->n_holders, 256);
	ck_assert_uint_eq(segment->config.max_clients, 192);
	ck_assert(segment->config.fallback);
	ck_assert_uint_eq(segment->pools[0].chunk_size, 100);
	ck_assert_uint_eq(segment->pools[0].stride, 128);
	ck_assert_uint_eq(segment->pools[0].n_chunks, 70);
	ck_assert_uint_eq(segment->pools[0].cache, 64);
	ck_assert_uint_eq(segment->pools[1].id, 1);
	ck_assert_uint_eq(segment_managers(segment)->n_chunks, 73);
	ck_assert_uint_eq(segment->config.n_rings, 2);
	ck_assert_str_eq(segment->config.rings[1].name, "camera");
	ck_assert_uint_eq(segment->rings[0].capacity, 8);
	ck_assert_uint_eq(segment_state(segment), MEMPOOL_SEGMENT_READY);
}
END_TEST

START_TEST(test_attach_retired_still_works)
{
	make();
	ck_assert_int_eq(segment_attach(&memory, &segment), 0);
	segment_retire(segment);
	ck_assert_uint_eq(segment_state(segment), MEMPOOL_SEGMENT_RETIRED);
	segment_free(segment);
	segment = NULL;
	ck_assert_int_eq(segment_open(name, SEGMENT_READ_WRITE, &memory), 0);
	ck_assert_int_eq(segment_attach(&memory, &segment), 0);
	ck_assert_uint_eq(segment_state(segment), MEMPOOL_SEGMENT_RETIRED);
}
END_TEST

START_TEST(test_attach_read_only_can_be_read)
{
	make();
	segment_memory_deinit(&memory);
	ck_assert_int_eq(segment_open(name, SEGMENT_READ_ONLY, &memory), 0);
	ck_assert_int_eq(segment_attach(&memory, &segment), 0);
	ck_assert_uint_eq(test_segment_used(segment, 0), 0);
}
END_TEST

/* Attach must fail so, and leave the memory with its owner. */
static void assert_refused(int error)
{
	void *base = memory.base;

	ck_assert_int_eq(segment_attach(&memory, &segment), error);
	ck_assert_ptr_null(segment);
	ck_assert_ptr_eq(memory.base, base);
}

START_TEST(test_attach_shorter_than_a_header_enodata)
{
	make();
	ck_assert_int_eq(ftruncate(memory.fd, 100), 0);
	ck_assert_int_eq(segment_open(name, SEGMENT_READ_ONLY, &opened), -ENODATA);
	ck_assert_ptr_null(opened.base);
}
END_TEST

START_TEST(test_attach_shorter_than_it_says_enodata)
{
	make();
	ck_assert_int_eq(ftruncate(memory.fd, (off_t)memory.plan->control_bytes - 1), 0);
	ck_assert_int_eq(segment_open(name, SEGMENT_READ_ONLY, &opened), -ENODATA);
	ck_assert_int_eq(segment_open_control(name, &opened), -ENODATA);
	ck_assert_int_eq(ftruncate(memory.fd, (off_t)memory.plan->control_bytes), 0);
	ck_assert_int_eq(ftruncate(memory.data_fd, (off_t)memory.plan->data_bytes - 1), 0);
	ck_assert_int_eq(segment_open(name, SEGMENT_READ_ONLY, &opened), -ENODATA);
	ck_assert_ptr_null(opened.base);
	/* Of data nothing is asked. */
	ck_assert_int_eq(segment_open_control(name, &opened), 0);
	segment_memory_deinit(&opened);
}
END_TEST

START_TEST(test_attach_not_ready_eagain)
{
	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_CREATE), 0);
	assert_refused(-EAGAIN);
	ck_assert_int_eq(segment_layout(memory.base, size, &config, NULL), 0);
	((struct mempool_header *)memory.base)->state = MEMPOOL_SEGMENT_BUILDING;
	assert_refused(-EAGAIN);
}
END_TEST

START_TEST(test_attach_wrong_magic_ebadmsg)
{
	make();
	((struct mempool_header *)memory.base)->magic ^= 1;
	assert_refused(-EBADMSG);
	/* Junk is no segment either. */
	memset(memory.base, 'x', 4096);
	assert_refused(-EBADMSG);
}
END_TEST

START_TEST(test_attach_other_version_eprotonosupport)
{
	make();
	((struct mempool_header *)memory.base)->version_major++;
	assert_refused(-EPROTONOSUPPORT);
	((struct mempool_header *)memory.base)->version_major--;
	/* Of a build with smaller or other parts. */
	((struct mempool_header *)memory.base)->header_size--;
	assert_refused(-EPROTONOSUPPORT);
	((struct mempool_header *)memory.base)->header_size++;
	((struct mempool_header *)memory.base)->holder_stride += 64;
	assert_refused(-EPROTONOSUPPORT);
}
END_TEST

/* A field of the header or of a table; each is changed in several ways and put back. */
static void assert_field_is_checked(const char *what, void *field, size_t bytes)
{
	static const uint64_t differences[] = {
		1, 8, 64, 4096, UINT64_C(1) << 31, UINT64_C(1) << 63, UINT64_MAX,
	};
	uint64_t right = 0, wrong;

	memcpy(&right, field, bytes);
	for (size_t i = 0; i < ARRAY_SIZE(differences); i++) {
		int r;

		wrong = right ^ differences[i];
		if (bytes < 8 && !(differences[i] & ((UINT64_C(1) << bytes * 8) - 1)))
			continue;
		memcpy(field, &wrong, bytes);
		r = segment_attach(&memory, &segment);
		/* -ENODATA: only where the size itself is wrong. */
		ck_assert_msg(r == -EUCLEAN || r == -ENODATA, "%s ^ %#llx: %d", what,
			      (unsigned long long)differences[i], r);
	}
	memcpy(field, &right, bytes);
}

#define ASSERT_CHECKED(at, member) \
	assert_field_is_checked(#member, (void *)&(at)->member, sizeof((at)->member))

START_TEST(test_attach_header_contradicts_itself_euclean)
{
	struct mempool_header *header;

	make();
	header = memory.base;
	ASSERT_CHECKED(header, n_holders);
	ASSERT_CHECKED(header, total_size);
	ASSERT_CHECKED(header, control_bytes);
	ASSERT_CHECKED(header, data_bytes);
	ASSERT_CHECKED(header, page_bytes);
	ASSERT_CHECKED(header, data_align);
	ASSERT_CHECKED(header, holders_off);
	ASSERT_CHECKED(header, fingerprint);
	ASSERT_CHECKED(header, n_pools);
	ASSERT_CHECKED(header, n_rings);
	ASSERT_CHECKED(header, n_topics);
	ASSERT_CHECKED(header, pools_off);
	ASSERT_CHECKED(header, rings_off);

	header->header_size = 4097;
	assert_refused(-EUCLEAN);
	header->header_size = sizeof(*header);

	header->fallback = 0;
	assert_refused(-EUCLEAN);
	header->fallback = 1;
	header->traces = 1;
	assert_refused(-EUCLEAN);
	header->traces = 0;
	header->max_clients = 0;
	assert_refused(-EUCLEAN);
	header->max_clients = UINT32_MAX;
	assert_refused(-EUCLEAN);
	header->max_clients = 192;

	header->name[0] = '\0';
	assert_refused(-EUCLEAN);
	memset(header->name, 'a', 32);	/* not closed */
	assert_refused(-EUCLEAN);
	memcpy(header->name, "test", 5);

	header->state = 3;
	assert_refused(-EUCLEAN);
	header->state = MEMPOOL_SEGMENT_READY;

	/* All was put back. */
	ck_assert_int_eq(segment_attach(&memory, &segment), 0);
}
END_TEST

START_TEST(test_attach_pool_table_contradicts_euclean)
{
	struct mempool_header *header;
	struct mempool_pool_record *records;

	make();
	header = memory.base;
	records = (void *)((unsigned char *)memory.base + header->pools_off);
	for (int i = 0; i <= 2; i++) {
		ASSERT_CHECKED(&records[i], chunk_size);
		ASSERT_CHECKED(&records[i], stride);
		ASSERT_CHECKED(&records[i], data_off);
		ASSERT_CHECKED(&records[i], index_off);
		ASSERT_CHECKED(&records[i], n_chunks);
	}
	for (int i = 0; i < 2; i++) {
		ASSERT_CHECKED(&records[i], alignment);
		ASSERT_CHECKED(&records[i], cache);
		ASSERT_CHECKED(&records[i], is_reserve);
		ASSERT_CHECKED(&records[i], is_exclusive);
	}
	ck_assert_int_eq(segment_attach(&memory, &segment), 0);
}
END_TEST

START_TEST(test_attach_ring_table_contradicts_euclean)
{
	struct mempool_header *header;
	struct mempool_ring *rings;

	make();
	header = memory.base;
	rings = (void *)((unsigned char *)memory.base + header->rings_off);
	for (int i = 0; i < 2; i++) {
		ASSERT_CHECKED(&rings[i], capacity);
		ASSERT_CHECKED(&rings[i], kind);
		ASSERT_CHECKED(&rings[i], flags);
		ASSERT_CHECKED(&rings[i], name[0]);
		ASSERT_CHECKED(&rings[i], slots_off);
	}
	memset(rings[0].name, 'a', 32);
	assert_refused(-EUCLEAN);
	memset(rings[0].name, 0, 32);
	memcpy(rings[0].name, "camera", 6);
	assert_refused(-EUCLEAN);
	memcpy(rings[0].name, "frames", 6);
	ck_assert_int_eq(segment_attach(&memory, &segment), 0);
}
END_TEST

START_TEST(test_attach_what_comes_later_steers_nobody)
{
	struct mempool_pool_record *records;

	make();
	ck_assert_int_eq(segment_attach(&memory, &segment), 0);
	records = (void *)((unsigned char *)segment->header + segment->geometry.pools_off);
	memset((void *)records, 0xff, sizeof(*records));
	segment->header->n_pools = UINT32_MAX;
	segment->header->n_holders = UINT32_MAX;
	ck_assert_uint_eq(segment->n_pools, 2);
	ck_assert_uint_eq(segment->n_holders, 256);
	ck_assert_uint_eq(segment->pools[0].n_chunks, 70);
	ck_assert_uint_eq(segment->pools[0].stride, 128);
	ck_assert_int_eq(pool_claim(&segment->pools[0], 69, 2), 0);
	ck_assert_int_eq(pool_claim(&segment->pools[0], 70, 2), -EINVAL);
}
END_TEST

START_TEST(test_strerror_tells_each_apart)
{
	static const int errors[] = { -ENODATA, -EAGAIN, -EBADMSG, -EPROTONOSUPPORT, -EUCLEAN,
				      -ENOENT };

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(segment_strerror(errors[i]), segment_strerror(errors[j]));
	ck_assert_str_eq(segment_strerror(-ENOENT), strerror(ENOENT));
}
END_TEST

/* ---- view and restore ---- */

/* All that a member can write but pools, words and rings. */
static void scribble(void)
{
	struct mempool_header *header = memory.base;
	struct geometry geometry;
	unsigned char *base = memory.base;

	ck_assert_int_eq(geometry_init(&geometry, &config), 0);
	memset(base, 0xa5, offsetof(struct mempool_header, chunk_freed));
	for (uint32_t i = 0; i <= geometry.n_pools; i++)
		memset(base + geometry.pools_off + i * sizeof(struct mempool_pool_record), 0x5a,
		       offsetof(struct mempool_pool_record, state));
	for (uint32_t i = 0; i < geometry.n_rings; i++)
		memset(base + geometry.rings_off + i * sizeof(struct mempool_ring), 0x77,
		       offsetof(struct mempool_ring, head));
	memset(base + geometry.holders_off, 0x11,
	       (MEMPOOL_HOLDER_DAEMON_ID + 2) * sizeof(struct mempool_holder));
	ck_assert_uint_eq(atomic_load(&header->chunk_freed.sequence), 0);
}

START_TEST(test_segment_scribbled_header_is_viewed_and_restored)
{
	struct segment_identity identity;
	struct segment_memory again;
	unsigned char *whole;

	ck_assert_int_eq(segment_identity_init(&identity, 7), 0);
	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_CREATE), 0);
	ck_assert_int_eq(segment_layout(memory.base, size, &config, &identity), 0);
	whole = malloc(size);
	ck_assert_ptr_nonnull(whole);
	memcpy(whole, memory.base, size);
	scribble();
	ck_assert_int_lt(segment_attach(&memory, &segment), 0);

	ck_assert_int_eq(segment_view(&memory, &config, &identity, &segment), 0);
	ck_assert(config_is_same(&segment->config, &config));
	ck_assert_uint_eq(segment->generation, 7);
	ck_assert_uint_eq(segment->segment_id, identity.segment_id);
	segment_restore(segment, &identity, MEMPOOL_SEGMENT_RETIRED);
	ck_assert_uint_eq(segment_state(segment), MEMPOOL_SEGMENT_RETIRED);
	segment_restore(segment, &identity, MEMPOOL_SEGMENT_READY);
	/* The records of none and of the daemon are others' to write. */
	memset((unsigned char *)segment->holders, 0, 2 * sizeof(struct mempool_holder));
	ck_assert_mem_eq(segment->memory.base, whole, size);
	segment_free(segment);
	segment = NULL;
	ck_assert_int_eq(segment_open(name, SEGMENT_READ_WRITE, &again), 0);
	ck_assert_int_eq(segment_attach(&again, &segment), 0);
	free(whole);
}
END_TEST

/* Another one stands there by the time it is attached: chunks would lie where nothing is mapped. */
START_TEST(test_attach_mapped_for_another_shape_euclean)
{
	struct config smaller = config;

	config.pools[0].n_chunks += 100;
	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_CREATE), 0);
	ck_assert_int_eq(segment_layout(memory.base, memory.size, &smaller, NULL), 0);
	assert_refused(-EUCLEAN);
}
END_TEST

static bool is_mapped(const unsigned char *at)
{
	int fds[2];
	ssize_t n;

	ck_assert_int_eq(pipe(fds), 0);
	n = write(fds[1], at, 1);
	close(fds[0]);
	close(fds[1]);
	return n == 1;
}

/* As an observer maps it: he counts words, and has no byte of a message. */
START_TEST(test_segment_control_alone)
{
	const struct pool *pool;

	make();
	ck_assert_int_eq(segment_open_control(name, &opened), 0);
	ck_assert_int_eq(segment_attach(&opened, &segment), 0);
	ck_assert_int_eq(segment->memory.data_fd, -1);
	for (uint32_t i = 0; i <= segment->n_pools; i++) {
		pool = &segment->pools[i];
		ck_assert_uint_eq(pool_count_used(pool), 0);
		ck_assert(is_mapped((const unsigned char *)pool->entries));
		ck_assert_int_eq(is_mapped(pool->data), i == segment->n_pools);
	}
}
END_TEST

/* Readers have control for writing, and data not. */
START_TEST(test_segment_access_is_of_each_object)
{
	struct geometry geometry;
	struct segment_fds fds;

	make();
	ck_assert_int_eq(geometry_init(&geometry, &config), 0);
	fds.control = segment_open_object(name, SEGMENT_READ_WRITE);
	fds.data = segment_open_data(name, SEGMENT_READ_ONLY);
	ck_assert_int_eq(segment_map_fds((struct segment_fds){ dup(fds.control), dup(fds.data) },
					 &geometry, SEGMENT_READ_WRITE, SEGMENT_READ_WRITE,
					 &opened), -EACCES);
	ck_assert_int_eq(segment_map_fds(fds, &geometry, SEGMENT_READ_WRITE, SEGMENT_READ_ONLY,
					 &opened), 0);
	ck_assert_int_eq(segment_attach(&opened, &segment), 0);
	ck_assert_int_eq(pool_claim(&segment->pools[0], 0, TEST_HOLDER), 0);
	ck_assert_int_eq(mprotect(segment->pools[0].data, 4096, PROT_READ | PROT_WRITE), -1);
	ck_assert_int_eq(errno, EACCES);
}
END_TEST

/* Data at huge pages, as on a hugetlbfs; what lies before them is nothing. */
START_TEST(test_segment_with_holes)
{
	const struct geometry *plan;
	unsigned char *base;

	config.data_align = UINT64_C(2) << 20;
	ck_assert_uint_gt(segment_size_bytes(&config), size);
	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_CREATE), 0);
	ck_assert_int_eq(segment_layout(memory.base, memory.size, &config, NULL), 0);
	plan = memory.plan;
	base = memory.base;
	ck_assert_uint_eq((uintptr_t)base % config.data_align, 0);
	ck_assert(!is_mapped(base + plan->data_off - 1));
	ck_assert(is_mapped(base + plan->data_off));
	ck_assert(is_mapped(base + plan->total_size - 1));
	ck_assert_uint_lt(plan->control_bytes + plan->data_bytes, plan->total_size);
	/* All of it at once, as the library and the daemon do. */
	ck_assert_int_eq(madvise(base, memory.size, MADV_DONTFORK), 0);
	ck_assert_int_eq(segment_attach(&memory, &segment), 0);
	ck_assert_int_eq(pool_claim(&segment->pools[1], 2, TEST_HOLDER), 0);
	memset(pool_chunk(&segment->pools[1], 2), 0xaa, 5000);
	segment_free(segment);
	segment = NULL;
	ck_assert(!is_mapped(base));
	ck_assert(!is_mapped(base + size - 1));

	ck_assert_int_eq(segment_open(name, SEGMENT_READ_ONLY, &opened), 0);
	ck_assert_int_eq(segment_attach(&opened, &segment), 0);
	ck_assert_uint_eq(test_segment_used(segment, 1), 1);
	ck_assert_uint_eq(*(unsigned char *)pool_chunk(&segment->pools[1], 2), 0xaa);
}
END_TEST

/* Of a kernel with larger pages than this one, or smaller ones. */
START_TEST(test_segment_of_other_pages)
{
	const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);

	config.page_bytes = config.data_align = 2 * page_bytes;
	ck_assert_int_eq(create(SEGMENT_READ_WRITE, SEGMENT_CREATE), 0);
	ck_assert_int_eq(segment_layout(memory.base, memory.size, &config, NULL), 0);
	ck_assert_int_eq(segment_attach(&memory, &segment), 0);
	ck_assert_uint_eq(segment->config.page_bytes, 2 * page_bytes);
}
END_TEST

START_TEST(test_segment_view_of_other_memory_enodata)
{
	struct segment_memory flat = { .size = size - 1, .fd = -1, .data_fd = -1 };
	struct segment_identity identity;

	ck_assert_int_eq(segment_identity_init(&identity, 7), 0);
	make();
	/* Mapped for another shape, of which nothing is too small. */
	config.pools[0].n_chunks -= 10;
	ck_assert_int_eq(segment_view(&memory, &config, &identity, &segment), -ENODATA);
	config.pools[0].n_chunks += 10;
	/* And memory that is no mapping of ours. */
	flat.base = memory.base;
	ck_assert_int_eq(segment_view(&flat, &config, &identity, &segment), -ENODATA);
	ck_assert_ptr_nonnull(memory.base);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_layout_short_memory_enospc_untouched);
	tcase_add_test(tcase, test_layout_bad_config_einval);
	tcase_add_test(tcase, test_layout_identity_is_written);
	tcase_add_test(tcase, test_segment_scribbled_header_is_viewed_and_restored);
	tcase_add_test(tcase, test_segment_view_of_other_memory_enodata);
	tcase_add_test(tcase, test_attach_mapped_for_another_shape_euclean);
	tcase_add_test(tcase, test_segment_control_alone);
	tcase_add_test(tcase, test_segment_access_is_of_each_object);
	tcase_add_test(tcase, test_segment_with_holes);
	tcase_add_test(tcase, test_segment_of_other_pages);
	tcase_add_test(tcase, test_layout_two_segments_differ);
	tcase_add_test(tcase, test_attach_gets_the_shape);
	tcase_add_test(tcase, test_attach_retired_still_works);
	tcase_add_test(tcase, test_attach_read_only_can_be_read);
	tcase_add_test(tcase, test_attach_shorter_than_a_header_enodata);
	tcase_add_test(tcase, test_attach_shorter_than_it_says_enodata);
	tcase_add_test(tcase, test_attach_not_ready_eagain);
	tcase_add_test(tcase, test_attach_wrong_magic_ebadmsg);
	tcase_add_test(tcase, test_attach_other_version_eprotonosupport);
	tcase_add_test(tcase, test_attach_header_contradicts_itself_euclean);
	tcase_add_test(tcase, test_attach_pool_table_contradicts_euclean);
	tcase_add_test(tcase, test_attach_ring_table_contradicts_euclean);
	tcase_add_test(tcase, test_attach_what_comes_later_steers_nobody);
	tcase_add_test(tcase, test_strerror_tells_each_apart);
}

int main(void)
{
	return test_run("segment", add_tests);
}
