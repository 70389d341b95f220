/* SPDX-License-Identifier: MIT */
/* test-guide.c - the last example of the original guide, line by line with our functions */
#include "test_segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "shm/layout.h"

/* As main() of the guide, but for the name of the object and where it prints. */
static int guide(const char *shm_name, FILE *out)
{
	const struct segment_permissions perms = { .mode = 0600, .group = (gid_t)-1 };
	struct segment_memory memory = SEGMENT_MEMORY_NULL;
	struct segment *manager;
	struct config config;
	uint64_t total_size;

	/* 1. the config */
	if (config_init(&config, "my_shm") < 0)
		return 1;
	config_add_pool(&config, 128, 10000);
	config_add_pool(&config, 1024, 5000);
	config_add_pool(&config, 4096, 1000);

	/* 2., 3. the allocator creates the shared memory; its size is known before */
	total_size = segment_size_bytes(&config);
	if (segment_create(shm_name, &config, SEGMENT_READ_WRITE, SEGMENT_OPEN_OR_CREATE,
			   &perms, NULL, NULL, &memory) < 0) {
		fprintf(stderr, "Failed to create shared memory\n");
		return 1;
	}

	/* 4. lay out the memory and initialize all pools */
	if (memory.created &&
	    segment_layout(memory.base, total_size, &config, NULL) < 0) {
		fprintf(stderr, "Failed to layout memory\n");
		return 1;
	}

	/* 5. now the chunk sizes of all pools are set */
	if (segment_attach(&memory, &manager) < 0)
		return 1;
	fprintf(out, "Memory pools initialized:\n");
	for (uint32_t i = 0; i < manager->n_pools; i++) {
		const struct pool *pool = &manager->pools[i];

		fprintf(out, "  Pool %" PRIu32 ": chunkSize=%" PRIu64 ", totalChunks=%" PRIu32
			     ", freeChunks=%" PRIu32 "\n", i, pool->chunk_size, pool->n_chunks,
			pool->n_chunks - pool_count_used(pool));
	}

	segment_free(manager);
	config_deinit(&config);
	return 0;
}

static const char expected[] =
	"Memory pools initialized:\n"
	"  Pool 0: chunkSize=128, totalChunks=10000, freeChunks=10000\n"
	"  Pool 1: chunkSize=1024, totalChunks=5000, freeChunks=5000\n"
	"  Pool 2: chunkSize=4096, totalChunks=1000, freeChunks=1000\n";

START_TEST(test_guide_prints_its_three_lines)
{
	char name[64], *text = NULL;
	size_t length;
	FILE *out;

	test_shm_name(name);
	/* The second time the object is there and is opened. */
	for (int i = 0; i < 2; i++) {
		out = open_memstream(&text, &length);
		ck_assert_ptr_nonnull(out);
		ck_assert_int_eq(guide(name, out), 0);
		fclose(out);
		ck_assert_str_eq(text, expected);
		fputs(text, stdout);
		free(text);
	}
	ck_assert_int_eq(segment_unlink(name), 0);
	ck_assert_uint_eq(test_shm_count(), 0);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_test(tcase, test_guide_prints_its_three_lines);
}

int main(void)
{
	return test_run("guide", add_tests);
}
