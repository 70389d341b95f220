/* SPDX-License-Identifier: MIT */
/* test-trace.c - where and since when chunks are held: what the library stores, and what is read */
/* First: its inline functions call a client what the next one calls so, too. */
#include "client/trace.h"

#include "test_clients.h"

#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "build_config.h"
#include "client/locate.h"
#include "shm/census.h"
#include "shm/clock.h"
#include "shm/word.h"

#define NOT_INLINED __attribute__((noinline))

enum { N_CHUNKS = 16, QUEUE_CAPACITY = 4 };

/* As long as a function here is at most. */
enum { SITE_BYTES = MEMPOOL_SANITIZED ? 1200 : 600 };

static struct mempool_client *third;
static struct mempool_queue *queue;
static struct mempool_topic *topic;
static int64_t began_ns;

static void setup_traced(void)
{
	static const struct test_pool one = { .chunk_size = 128, .n_chunks = N_CHUNKS };
	struct config config;

	test_config_init(&config, &one, 1);
	config.traces = true;
	ck_assert_int_eq(config_add_ring(&config, "q", MEMPOOL_RING_QUEUE, QUEUE_CAPACITY), 0);
	ck_assert_int_eq(config_add_ring(&config, "t", MEMPOOL_RING_TOPIC, 4), 0);
	segment = test_segment_new_of(&config);
	config_deinit(&config);
	client = client_of(segment, TEST_HOLDER + 1, 0);
	other = client_of(segment, TEST_HOLDER + 2, 0);
	third = client_of(segment, TEST_HOLDER + 3, 0);
	ck_assert_int_eq(mempool_queue_open(client, "q", &queue), 0);
	ck_assert_int_eq(mempool_topic_open(client, "t", &topic), 0);
	began_ns = clock_now_ns();
}

static void teardown_traced(void)
{
	mempool_queue_close(queue);
	mempool_topic_close(topic);
	mempool_client_close(third);
	teardown();
}

static struct chunk_ref ref_of(const void *chunk)
{
	const struct pool *pool;
	struct chunk_ref ref;

	ck_assert_int_eq(client_locate(client, chunk, &pool, &ref.index), 0);
	ref.pool = pool->id;
	return ref;
}

static uint64_t word_of(const void *chunk)
{
	struct chunk_ref ref = ref_of(chunk);

	return atomic_load(&segment->pools[ref.pool].entries[ref.index].word);
}

static bool find(const void *chunk, uint32_t holder, struct trace *ret_trace)
{
	return trace_find(segment, ref_of(chunk), word_of(chunk), holder, ret_trace);
}

static int find_base(struct dl_phdr_info *info, size_t size, void *userdata)
{
	(void)size;
	*(uintptr_t *)userdata = info->dlpi_addr;
	return 1;
}

/* Whether a call in this function is told, by this thread, since this test began. */
static void assert_site(const struct trace *trace, uintptr_t function)
{
	struct trace_module module;
	char path[PATH_MAX] = "";
	uintptr_t base;

	/* The program is the first one. */
	dl_iterate_phdr(find_base, &base);
	ck_assert(trace_read_module(segment, trace->module, &module));
	ck_assert_int_gt(readlink("/proc/self/exe", path, sizeof(path) - 1), 0);
	ck_assert_str_eq(module.path, path);
	ck_assert_uint_ge(trace->offset, function - base);
	ck_assert_uint_lt(trace->offset, function - base + SITE_BYTES);
	ck_assert_uint_eq(trace->thread, (uint32_t)syscall(SYS_gettid));
	ck_assert_int_ge((int64_t)trace->since_ns, began_ns);
	ck_assert_int_le((int64_t)trace->since_ns, clock_now_ns());
}

/* ---- by each call that brings a chunk ---- */

/* Each of them is where one chunk comes from: not a tail call, which would be its caller's. */
#define KEEP(chunk) __asm__ volatile("" : : "g"(chunk) : "memory")

NOT_INLINED static void *by_alloc(void)
{
	void *chunk = mempool_alloc(client, 100);

	KEEP(chunk);
	return chunk;
}

NOT_INLINED static void *by_zeroed(void)
{
	void *chunk = mempool_alloc_zeroed(client, 100);

	KEEP(chunk);
	return chunk;
}

NOT_INLINED static void *by_aligned(void)
{
	void *chunk = mempool_alloc_aligned(client, 100, 64);

	KEEP(chunk);
	return chunk;
}

NOT_INLINED static void *by_wait(void)
{
	void *chunk = mempool_alloc_wait(client, 100, 0);

	KEEP(chunk);
	return chunk;
}

NOT_INLINED static void *by_many(void)
{
	void *chunk = NULL;

	ck_assert_int_eq(mempool_alloc_many(client, 100, &chunk, 1), 1);
	return chunk;
}

NOT_INLINED static void *by_all(void)
{
	void *chunk = NULL;

	ck_assert_int_eq(mempool_alloc_all(client, 100, &chunk, 1), 0);
	return chunk;
}

NOT_INLINED static void *by_take(void)
{
	void *chunk = mempool_alloc(other, 100);
	uint64_t handle;

	ck_assert_int_eq(mempool_give(other, chunk, 1, &handle), 0);
	ck_assert_int_eq(mempool_take(client, handle, &chunk, NULL), 0);
	return chunk;
}

NOT_INLINED static void *by_receive(void)
{
	void *chunk = mempool_alloc(client, 100);

	ck_assert_int_eq(mempool_queue_send(queue, chunk, 1, 0), 0);
	ck_assert_int_eq(mempool_queue_receive(queue, &chunk, NULL, 0), 0);
	return chunk;
}

NOT_INLINED static void *by_receive_many(void)
{
	void *chunk = mempool_alloc(client, 100);

	ck_assert_int_eq(mempool_queue_send(queue, chunk, 1, 0), 0);
	ck_assert_int_eq(mempool_queue_receive_many(queue, &chunk, NULL, 1, 0), 1);
	return chunk;
}

static void *evict(void);

NOT_INLINED static void *by_evict(void)
{
	void *oldest = NULL;

	for (int i = 0; i < QUEUE_CAPACITY; i++)
		ck_assert_int_eq(mempool_queue_send(queue, mempool_alloc(client, 100), 1, 0), 0);
	oldest = evict();
	KEEP(oldest);
	return oldest;
}

NOT_INLINED static void *evict(void)
{
	void *oldest = NULL;

	ck_assert_int_eq(mempool_queue_send_evict(queue, mempool_alloc(client, 100), 1, &oldest,
						  NULL), 0);
	ck_assert_ptr_nonnull(oldest);
	return oldest;
}

NOT_INLINED static void *by_acquire(void)
{
	void *chunk = mempool_alloc(other, 100);
	const void *shared;
	uint64_t handle;

	ck_assert_int_eq(mempool_share(other, chunk, 1, &handle), 0);
	ck_assert_int_eq(mempool_acquire(client, handle, &shared, NULL), 0);
	return (void *)shared;
}

NOT_INLINED static void *by_next(void)
{
	struct mempool_subscriber *subscriber;
	const void *message;

	ck_assert_int_eq(mempool_topic_subscribe(topic, MEMPOOL_TOPIC_NEW, &subscriber), 0);
	ck_assert_int_eq(mempool_topic_publish(topic, mempool_alloc(client, 100), 1), 0);
	ck_assert_int_eq(mempool_subscriber_next(subscriber, &message, NULL, NULL, 0), 0);
	mempool_subscriber_close(subscriber);
	return (void *)message;
}

NOT_INLINED static void *by_unshare(void)
{
	void *chunk = mempool_alloc(client, 100);
	uint64_t handle;

	ck_assert_int_eq(mempool_share(client, chunk, 1, &handle), 0);
	ck_assert_int_eq(mempool_unshare(client, chunk, &chunk), 0);
	return chunk;
}

static const struct {
	void *(*function)(void);
	void *(*site)(void);
} ways[] = {
	{ by_alloc, by_alloc }, { by_zeroed, by_zeroed }, { by_aligned, by_aligned },
	{ by_wait, by_wait }, { by_many, by_many }, { by_all, by_all },
	{ by_take, by_take }, { by_receive, by_receive },
	{ by_receive_many, by_receive_many }, { by_evict, evict },
	{ by_acquire, by_acquire }, { by_next, by_next }, { by_unshare, by_unshare },
};

START_TEST(test_trace_names_the_call_that_brought_the_chunk)
{
	void *chunk = ways[_i].function();
	struct trace trace;

	ck_assert(find(chunk, client->holder, &trace));
	assert_site(&trace, (uintptr_t)ways[_i].site);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
	if (word_is_free(word_of(chunk)))
		ck_assert(!find(chunk, client->holder, &trace));
}
END_TEST

START_TEST(test_trace_many_are_told_each)
{
	void *chunks[N_CHUNKS];
	struct trace trace;

	/* Also those past the stack of hints. */
	ck_assert_int_eq(mempool_alloc_many(client, 100, chunks, N_CHUNKS), N_CHUNKS);
	for (int i = 0; i < N_CHUNKS; i++)
		ck_assert(find(chunks[i], client->holder, &trace));
	ck_assert_int_eq(mempool_free_many(client, chunks, N_CHUNKS), N_CHUNKS);
}
END_TEST

/* ---- who has it ---- */

START_TEST(test_trace_given_is_the_givers)
{
	void *chunk = by_alloc();
	struct trace trace;
	uint64_t handle;

	ck_assert_int_eq(mempool_give(client, chunk, 1, &handle), 0);
	ck_assert(find(chunk, client->holder, &trace));
	assert_site(&trace, (uintptr_t)by_alloc);
	ck_assert_int_eq(mempool_take(other, handle, &chunk, NULL), 0);
	ck_assert_int_eq(mempool_free(other, chunk), 0);
}
END_TEST

/* Also when its sender is dead, and the word does not name him any more. */
START_TEST(test_trace_of_a_message_is_where_it_was_allocated)
{
	void *chunk = by_alloc();
	struct chunk_ref ref = ref_of(chunk);
	struct trace trace;
	uint64_t word;

	ck_assert_int_eq(mempool_queue_send(queue, chunk, 1, 0), 0);
	word = word_of(chunk);
	ck_assert(trace_find(segment, ref, word, 0, &trace));
	assert_site(&trace, (uintptr_t)by_alloc);
	word = word_make(word_generation(word), MEMPOOL_SENT, word_sent_queue(word) << 15);
	ck_assert(trace_find(segment, ref, word, 0, &trace));
	assert_site(&trace, (uintptr_t)by_alloc);
}
END_TEST

START_TEST(test_trace_of_what_a_topic_keeps_is_where_it_was_allocated)
{
	void *chunk = by_alloc();
	struct trace trace;

	ck_assert_int_eq(mempool_topic_publish(topic, chunk, 1), 0);
	ck_assert(find(chunk, MEMPOOL_HOLDER_DAEMON_ID + 1, &trace));
	assert_site(&trace, (uintptr_t)by_alloc);
	/* Nobody else who could be asked for has it. */
	ck_assert(!find(chunk, other->holder, &trace));
}
END_TEST

START_TEST(test_trace_sharers_are_told_apart)
{
	void *chunk = by_alloc();
	const void *shared;
	struct trace mine, theirs, trace;
	uint64_t handle;

	ck_assert_int_eq(mempool_share(client, chunk, 1, &handle), 0);
	ck_assert_int_eq(mempool_acquire(other, handle, &shared, NULL), 0);
	ck_assert(find(chunk, client->holder, &mine));
	assert_site(&mine, (uintptr_t)by_alloc);
	ck_assert(find(chunk, other->holder, &theirs));
	ck_assert_uint_ne(mine.offset, theirs.offset);
	ck_assert(!find(chunk, third->holder, &trace));

	/* One that comes and goes leaves the others' alone. */
	for (int i = 0; i < 3 * MEMPOOL_TRACE_HOLDS; i++) {
		ck_assert_int_eq(mempool_acquire(third, handle, &shared, NULL), 0);
		ck_assert_int_eq(mempool_free(third, shared), 0);
	}
	ck_assert(find(chunk, client->holder, &trace));
	ck_assert_uint_eq(trace.offset, mine.offset);
	ck_assert(find(chunk, other->holder, &trace));
	ck_assert_uint_eq(trace.offset, theirs.offset);
	ck_assert_uint_eq(trace.since_ns, theirs.since_ns);
	ck_assert_int_eq(mempool_free(other, shared), 0);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
}
END_TEST

/* Where more share than there are lines, a later one takes one; each is right or not known. */
START_TEST(test_trace_of_many_sharers_is_never_anothers)
{
	const struct chunk_ref ref = { 0, 0 };
	uint64_t word = word_make(7, MEMPOOL_SHARED, 0);
	struct trace trace;
	uint32_t n_found = 0;

	for (uint32_t holder = 2; holder < 12; holder++) {
		chunk_manager_set(segment, 0, holder);
		trace_put(segment, ref, word, holder, &(struct trace){ .offset = holder });
		ck_assert(trace_find(segment, ref, word, holder, &trace));
	}
	for (uint32_t holder = 2; holder < 12; holder++)
		if (trace_find(segment, ref, word, holder, &trace)) {
			ck_assert_uint_eq(trace.offset, holder);
			n_found++;
		}
	ck_assert_uint_eq(n_found, MEMPOOL_TRACE_HOLDS - 1);
	for (uint32_t holder = 2; holder < 12; holder++)
		chunk_manager_clear(segment, 0, holder);
}
END_TEST

/* A send that does not fit raises the generation, and the hold goes on. */
START_TEST(test_trace_outlives_a_send_in_vain)
{
	void *chunk = by_alloc();
	struct trace before, trace;

	for (int i = 0; i < QUEUE_CAPACITY; i++)
		ck_assert_int_eq(mempool_queue_send(queue, mempool_alloc(client, 100), 1, 0), 0);
	ck_assert(find(chunk, client->holder, &before));
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(mempool_queue_send(queue, chunk, 1, 0), -EAGAIN);
		ck_assert(find(chunk, client->holder, &trace));
		ck_assert_uint_eq(trace.since_ns, before.since_ns);
		ck_assert_uint_eq(trace.offset, before.offset);
	}
	ck_assert_int_eq(mempool_free(client, chunk), 0);
}
END_TEST

/* ---- what is not to mislead ---- */

/* Killed between the claim and the trace: what is there is of an earlier use. */
START_TEST(test_trace_of_an_earlier_use_is_none)
{
	void *chunk = by_alloc();
	struct chunk_ref ref = ref_of(chunk);
	struct trace trace;

	ck_assert_int_eq(mempool_free(client, chunk), 0);
	ck_assert_int_eq(pool_claim(&segment->pools[0], ref.index, client->holder), 0);
	ck_assert(!find(chunk, client->holder, &trace));
	ck_assert_int_eq(pool_release(&segment->pools[0], ref.index, client->holder, true), 0);
	ck_assert_int_eq(pool_claim(&segment->pools[0], ref.index, other->holder), 0);
	ck_assert(!find(chunk, other->holder, &trace));
	ck_assert_int_eq(pool_release(&segment->pools[0], ref.index, other->holder, true), 0);
}
END_TEST

/* A store or two of another hold: half written, or mixed. */
START_TEST(test_trace_half_written_is_none)
{
	void *chunk = by_alloc();
	struct chunk_ref ref = ref_of(chunk);
	struct mempool_trace *traces = (void *)((unsigned char *)segment->memory.base +
						segment->geometry.pools[0].traces_off);
	struct mempool_hold *hold = &traces[ref.index].holds[0];
	struct trace trace;

	ck_assert(find(chunk, client->holder, &trace));
	switch (_i) {
	case 0:
		atomic_fetch_xor(&hold->since_ns, UINT64_C(1) << 40);
		break;
	case 1:
		atomic_fetch_xor(&hold->site, 1);
		break;
	case 2:
		atomic_fetch_xor(&hold->thread, 1 << 7);
		break;
	default:
		atomic_fetch_xor(&hold->check, 1 << 9);
		break;
	}
	ck_assert(!find(chunk, client->holder, &trace));
	ck_assert_int_eq(mempool_free(client, chunk), 0);
}
END_TEST

/* Numbers of holders, managers and lines that do not exist lead nowhere. */
START_TEST(test_trace_garbage_leads_nowhere)
{
	unsigned char *table = (unsigned char *)segment->memory.base +
			       segment->geometry.modules_off;
	size_t size = segment->geometry.pools[0].traces_off - segment->geometry.modules_off +
		      N_CHUNKS * sizeof(struct mempool_trace);
	struct trace_module module;
	struct trace trace;

	srandom((unsigned)_i);
	for (size_t i = 0; i < size; i++)
		table[i] = (unsigned char)random();
	for (uint32_t i = 0; i < N_CHUNKS; i++) {
		struct chunk_ref ref = { 0, i };
		uint64_t word = (uint64_t)random() << 32 | (uint32_t)random() << 1;

		trace_find(segment, ref, word, (uint32_t)random(), &trace);
		trace_put(segment, ref, word, (uint32_t)random(), &trace);
		trace_renew(segment, ref, word);
	}
	for (uint32_t i = 0; i < MEMPOOL_MAX_MODULES + 2; i++)
		ck_assert(!trace_read_module(segment, i, &module));
	ck_assert(!trace_read_module(segment, UINT32_MAX, &module));
}
END_TEST

/* ---- modules ---- */

static struct trace_module module_named(uint32_t i)
{
	struct trace_module module = { .build_id_bytes = 20 };

	memset(module.build_id, (int)(i & 255), 20);
	snprintf(module.path, sizeof(module.path), "/lib/module.%u", i);
	return module;
}

START_TEST(test_trace_module_has_one_line)
{
	struct trace_module one = module_named(1), two = module_named(2), read;
	uint32_t line = trace_add_module(segment, &one);

	ck_assert_uint_ne(line, 0);
	ck_assert_uint_eq(trace_add_module(segment, &one), line);
	ck_assert_uint_ne(trace_add_module(segment, &two), line);
	ck_assert(trace_read_module(segment, line, &read));
	ck_assert_int_eq(memcmp(&read, &one, sizeof(read)), 0);
	/* The same path, of another build. */
	strcpy(two.path, one.path);
	ck_assert_uint_ne(trace_add_module(segment, &two), line);
}
END_TEST

/* Its line was taken by one who was killed then: named by the next of the same module. */
START_TEST(test_trace_module_half_written_is_finished)
{
	struct trace_module one = module_named(1), read;
	uint32_t line = trace_add_module(segment, &one);

	atomic_store(&segment->modules[line - 1].path[3], 'x');
	ck_assert(!trace_read_module(segment, line, &read));
	ck_assert_uint_eq(trace_add_module(segment, &one), line);
	ck_assert(trace_read_module(segment, line, &read));
	ck_assert_int_eq(memcmp(&read, &one, sizeof(read)), 0);
}
END_TEST

START_TEST(test_trace_modules_full_tells_addresses)
{
	struct trace_module module;
	struct trace trace;
	void *chunk;

	for (uint32_t i = 0; i < MEMPOOL_MAX_MODULES; i++) {
		module = module_named(i);
		ck_assert_uint_eq(trace_add_module(segment, &module), i + 1);
	}
	module = module_named(MEMPOOL_MAX_MODULES);
	ck_assert_uint_eq(trace_add_module(segment, &module), 0);
	module = module_named(17);
	ck_assert_uint_eq(trace_add_module(segment, &module), 18);

	chunk = by_alloc();
	ck_assert(find(chunk, client->holder, &trace));
	ck_assert_uint_eq(trace.module, 0);
	ck_assert_uint_ge(trace.offset, (uintptr_t)by_alloc);
	ck_assert_uint_lt(trace.offset, (uintptr_t)by_alloc + SITE_BYTES);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
}
END_TEST

/* ---- for our own use ---- */

START_TEST(test_trace_read_names_own_hold)
{
	void *chunk = by_alloc();
	struct trace_module module;
	struct trace trace;

	ck_assert(trace_read(client, ref_of(chunk), &trace, &module));
	assert_site(&trace, (uintptr_t)by_alloc);
	ck_assert_int_gt((int)module.build_id_bytes, -1);
	ck_assert_int_ne(module.path[0], '\0');
	ck_assert_int_eq(mempool_free(client, chunk), 0);
	ck_assert(!trace_read(client, ref_of(chunk), &trace, &module));
}
END_TEST

static uint64_t held_since(void)
{
	struct census census = CENSUS_NULL;
	uint64_t since_ns;

	ck_assert_int_eq(census_take(segment, &census), 0);
	ck_assert_uint_eq(census.pools[segment->n_pools].held_since_ns, 0);
	ck_assert_uint_eq(census.all.held_since_ns, census.pools[0].held_since_ns);
	since_ns = census.pools[0].held_since_ns;
	census_deinit(&census);
	return since_ns;
}

static uint64_t since_of(const void *chunk, uint32_t holder)
{
	struct trace trace;

	ck_assert(find(chunk, holder, &trace));
	return trace.since_ns;
}

/* Of all that is held: alone, on its way, or by several, the one that came last among them. */
START_TEST(test_trace_census_tells_since_when_the_oldest_is_held)
{
	void *sent, *alone, *shared, *received;
	const void *acquired;
	uint64_t handle;

	ck_assert_uint_eq(held_since(), 0);
	sent = mempool_alloc(client, 100);
	alone = mempool_alloc(client, 100);
	shared = mempool_alloc(client, 100);
	ck_assert_int_eq(mempool_queue_send(queue, sent, 1, 0), 0);
	ck_assert_uint_eq(held_since(), since_of(sent, TEST_HOLDER + 1));
	/* It is another hold. */
	ck_assert_int_eq(mempool_queue_receive(queue, &received, NULL, 0), 0);
	ck_assert_uint_eq(held_since(), since_of(alone, TEST_HOLDER + 1));
	ck_assert_int_eq(mempool_share(client, shared, 1, &handle), 0);
	ck_assert_int_eq(mempool_acquire(other, handle, &acquired, NULL), 0);
	ck_assert_int_eq(mempool_free(client, alone), 0);
	ck_assert_int_eq(mempool_free(client, received), 0);
	ck_assert_uint_eq(held_since(), since_of(shared, TEST_HOLDER + 1));
	ck_assert_int_eq(mempool_free(client, shared), 0);
	ck_assert_uint_eq(held_since(), since_of(acquired, TEST_HOLDER + 2));
	ck_assert_int_eq(mempool_free(other, acquired), 0);
	ck_assert_uint_eq(held_since(), 0);
}
END_TEST

START_TEST(test_trace_none_where_none_are_kept)
{
	void *chunk = must_alloc(client, 100);
	struct trace_module module;
	struct trace trace;

	ck_assert_ptr_null(segment->modules);
	ck_assert(!trace_read(client, ref_of(chunk), &trace, &module));
	ck_assert_int_eq(mempool_free(client, chunk), 0);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup_traced, teardown_traced);
	tcase_add_loop_test(tcase, test_trace_names_the_call_that_brought_the_chunk, 0,
			    ARRAY_SIZE(ways));
	tcase_add_test(tcase, test_trace_many_are_told_each);
	tcase_add_test(tcase, test_trace_given_is_the_givers);
	tcase_add_test(tcase, test_trace_of_a_message_is_where_it_was_allocated);
	tcase_add_test(tcase, test_trace_of_what_a_topic_keeps_is_where_it_was_allocated);
	tcase_add_test(tcase, test_trace_sharers_are_told_apart);
	tcase_add_test(tcase, test_trace_of_many_sharers_is_never_anothers);
	tcase_add_test(tcase, test_trace_outlives_a_send_in_vain);
	tcase_add_test(tcase, test_trace_of_an_earlier_use_is_none);
	tcase_add_loop_test(tcase, test_trace_half_written_is_none, 0, 4);
	tcase_add_loop_test(tcase, test_trace_garbage_leads_nowhere, 0, 20);
	tcase_add_test(tcase, test_trace_module_has_one_line);
	tcase_add_test(tcase, test_trace_module_half_written_is_finished);
	tcase_add_test(tcase, test_trace_modules_full_tells_addresses);
	tcase_add_test(tcase, test_trace_read_names_own_hold);
	tcase_add_test(tcase, test_trace_census_tells_since_when_the_oldest_is_held);
}

static void add_untraced(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_trace_none_where_none_are_kept);
}

int main(void)
{
	int failed = test_run("trace", add_tests);

	return test_run("trace where there is none", add_untraced) || failed;
}
