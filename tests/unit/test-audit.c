/* SPDX-License-Identifier: MIT */
/* test-audit.c - each thing that can be wrong is planted, and must be told in these words */
#include "test_segment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "shm/audit.h"
#include "shm/chunk_manager.h"
#include "shm/holder.h"
#include "shm/queue.h"

enum { N = 70 };

static struct segment *segment;
static struct pool *pool, *managers;
static struct mempool_client *client;
static uint32_t me, nobody;		/* a LIVE holder, and an id that is FREE */
static char said[1024];

static void setup(void)
{
	static const struct test_pool pools[] = { { .chunk_size = 64, .n_chunks = N } };
	struct config config;

	test_config_init(&config, pools, ARRAY_SIZE(pools));
	ck_assert_int_eq(config_add_ring(&config, "q", MEMPOOL_RING_QUEUE, 8), 0);
	ck_assert_int_eq(config_add_ring(&config, "t", MEMPOOL_RING_TOPIC, 8), 0);
	segment = test_segment_new_of(&config);
	config_deinit(&config);
	pool = &segment->pools[0];
	managers = segment_managers(segment);
	me = holder_first_client(segment);
	nobody = me + 7;
	ck_assert_int_eq(client_new(test_segment_view(segment), me, 0, &client), 0);
}

static void teardown(void)
{
	mempool_client_close(client);
	segment_free(segment);
}

static void set(const struct pool *of, uint32_t index, enum mempool_kind kind, uint32_t value)
{
	atomic_store(&of->entries[index].word, word_make(9, kind, value));
}

static void on_fault(const char *text, void *userdata)
{
	(void)userdata;
	strncat(said, text, sizeof(said) - strlen(said) - 2);
	strcat(said, "\n");
}

static struct audit expect(unsigned int flags, const char *text)
{
	struct audit audit;
	size_t n_lines = 0;

	said[0] = '\0';
	ck_assert_int_eq(audit_segment(segment, flags, on_fault, NULL, &audit), 0);
	ck_assert_str_eq(said, text);
	for (const char *at = text; *at; at++)
		n_lines += *at == '\n';
	ck_assert_uint_eq(audit.n_faults, n_lines);
	return audit;
}

START_TEST(test_audit_counts_what_is_well)
{
	struct mempool_queue *queue;
	void *chunks[4];
	uint64_t handle;
	struct audit audit = expect(AUDIT_HINTS | AUDIT_REAPED, "");

	ck_assert_uint_eq(audit.n_free, N);
	for (int i = 0; i < 4; i++)
		chunks[i] = mempool_alloc(client, 10);
	ck_assert_int_eq(mempool_give(client, chunks[1], 1, &handle), 0);
	ck_assert_int_eq(mempool_share(client, chunks[2], 1, &handle), 0);
	ck_assert_int_eq(mempool_queue_open(client, "q", &queue), 0);
	ck_assert_int_eq(mempool_queue_send(queue, chunks[3], 1, 0), 0);
	audit = expect(AUDIT_REAPED, "");
	ck_assert_uint_eq(audit.n_free, N - 4);
	ck_assert_uint_eq(audit.n_owned, 1);
	ck_assert_uint_eq(audit.n_given, 1);
	ck_assert_uint_eq(audit.n_shared, 1);
	ck_assert_uint_eq(audit.n_in_flight, 1);
	ck_assert_int_eq(mempool_queue_receive(queue, &chunks[3], NULL, 0), 0);
	mempool_queue_close(queue);
}
END_TEST

START_TEST(test_audit_tells_words_that_name_nobody)
{
	char text[512];

	atomic_store(&pool->entries[0].word, word_make(0, MEMPOOL_FREE, 0));
	set(pool, 1, MEMPOOL_FREE, 5);
	set(pool, 2, MEMPOOL_OWNED, nobody);
	set(pool, 3, MEMPOOL_OWNED, 30000);
	set(pool, 4, MEMPOOL_SENT, nobody);
	set(managers, 5, MEMPOOL_OWNED, nobody);
	snprintf(text, sizeof(text),
		 "chunk 0 of pool 0 is of generation 0\n"
		 "chunk 1 of pool 0 is FREE, with the value 5\n"
		 "chunk 2 of pool 0 is OWNED by holder %u, which is FREE\n"
		 "chunk 3 of pool 0 is OWNED by holder 30000, which does not exist\n"
		 "chunk 4 of pool 0 is given away by holder %u, which is FREE\n"
		 "manager 5 of pool 1 is OWNED by holder %u, which is FREE\n",
		 nobody, nobody, nobody);
	expect(0, text);
}
END_TEST

START_TEST(test_audit_tells_who_was_to_be_reaped)
{
	char text[128];

	set(pool, 2, MEMPOOL_OWNED, me);
	atomic_store(&segment->holders[me].state, MEMPOOL_HOLDER_REAPING);
	expect(0, "");
	snprintf(text, sizeof(text),
		 "chunk 2 of pool 0 is OWNED by holder %u, which was reaped\n", me);
	expect(AUDIT_REAPED, text);
	atomic_store(&segment->holders[me].state, MEMPOOL_HOLDER_LIVE);
}
END_TEST

START_TEST(test_audit_tells_sent_words_that_no_queue_has)
{
	/* Its number must not be taken for a holder's. */
	set(pool, 1, MEMPOOL_SENT, 1 << 15 | me);
	set(pool, 2, MEMPOOL_SENT, 9 << 15 | me);
	set(pool, 3, MEMPOOL_SENT, 2 << 15 | me);	/* the topic's */
	set(managers, 4, MEMPOOL_SENT, 1 << 15 | me);
	expect(AUDIT_REAPED, "chunk 1 of pool 0 is SENT, but not in queue 1\n"
			     "chunk 2 of pool 0 is SENT to what is no queue: 9\n"
			     "chunk 3 of pool 0 is SENT to what is no queue: 2\n"
			     "manager 4 of pool 1 is SENT, though a manager 4\n");
	/* About to be put there, perhaps. */
	set(pool, 2, MEMPOOL_FREE, 0);
	set(pool, 3, MEMPOOL_FREE, 0);
	set(managers, 4, MEMPOOL_FREE, 0);
	expect(0, "");
}
END_TEST

START_TEST(test_audit_tells_shares_that_do_not_fit)
{
	void *chunk = mempool_alloc(client, 10);
	uint64_t handle, word;
	uint32_t index, manager;
	struct mempool_entry *record;
	char text[256];

	ck_assert_int_eq(mempool_share(client, chunk, 1, &handle), 0);
	index = handle_index(handle);
	word = atomic_load(&pool->entries[index].word);
	manager = word_value(word);
	record = segment_manager(segment, manager);

	chunk_manager_set(segment, manager, nobody);
	snprintf(text, sizeof(text),
		 "manager %u of pool 1 is SHARED by holder %u, which is FREE\n", manager, nobody);
	expect(0, text);
	chunk_manager_clear(segment, manager, nobody);

	chunk_manager_clear(segment, manager, me);
	expect(0, "");
	snprintf(text, sizeof(text),
		 "manager %u of pool 1 is SHARED, but nobody holds manager %u\n", manager,
		 manager);
	expect(AUDIT_REAPED, text);
	chunk_manager_set(segment, manager, me);

	atomic_store(&record->chunk, handle_chunk(0, N - 1));
	snprintf(text, sizeof(text),
		 "chunk %u of pool 0 is SHARED, but another chunk's is manager %u\n"
		 "manager %u of pool 1 is SHARED, but its chunk does not name it: %u\n",
		 index, manager, manager, N - 1);
	expect(AUDIT_REAPED, text);
	atomic_store(&record->chunk, UINT32_MAX);
	snprintf(text, sizeof(text),
		 "chunk %u of pool 0 is SHARED, but another chunk's is manager %u\n"
		 "manager %u of pool 1 is SHARED, of a chunk that does not exist: 4294967295\n",
		 index, manager, manager);
	expect(0, text);
	atomic_store(&record->chunk, handle_chunk(0, index));

	set(pool, N - 1, MEMPOOL_SHARED, N);
	snprintf(text, sizeof(text),
		 "chunk %u of pool 0 is SHARED, with a manager that does not exist: %u\n", N - 1,
		 N);
	expect(0, text);
	set(pool, N - 1, MEMPOOL_SHARED, manager == 0 ? 1 : 0);
	snprintf(text, sizeof(text),
		 "chunk %u of pool 0 is SHARED, but its manager is not: %u\n", N - 1,
		 manager == 0 ? 1 : 0);
	expect(0, text);
	set(pool, N - 1, MEMPOOL_FREE, 0);
	expect(AUDIT_REAPED, "");
}
END_TEST

START_TEST(test_audit_tells_lost_and_surplus_hints)
{
	atomic_fetch_and(&pool->list.leaves[0], ~(UINT64_C(1) << 5));
	atomic_fetch_or(&pool->list.leaves[1], UINT64_C(1) << (N - 64));
	expect(0, "the free list of pool 0 has hints beyond its last chunk\n");
	expect(AUDIT_HINTS, "chunk 5 of pool 0 is FREE and no hint leads to it\n"
			    "the free list of pool 0 has hints beyond its last chunk\n");
}
END_TEST

START_TEST(test_audit_tells_holders_that_cannot_be)
{
	char text[256];

	atomic_store(&segment->holders[me].kind, MEMPOOL_HOLDER_TOPIC);
	atomic_store(&segment->holders[me + 1].pid, 0);
	atomic_store(&segment->holders[nobody].state, 77);
	snprintf(text, sizeof(text),
		 "holder %u (pid %d, \"test\") is not of the kind of its id\n"
		 "holder %u (pid 0, \"test\") has no process\n"
		 "holder %u (pid 0, \"\") is in no known state\n",
		 me, (int)atomic_load(&segment->holders[me].pid), me + 1, nobody);
	expect(0, text);
}
END_TEST

/* A budget that is used up by the first record: what was not checked is not called whole. */
START_TEST(test_audit_within_a_budget_says_how_far_it_came)
{
	struct budget none = { .n_left = 0 }, plenty = budget_of(60 * INT64_C(1000000000));
	struct audit audit;

	ck_assert_int_eq(audit_segment_within(segment, 0, &none, NULL, NULL, &audit), 0);
	ck_assert_uint_eq(audit.n_checked, 1);
	ck_assert_uint_lt(audit_percent(&audit), 100);
	ck_assert_int_eq(audit_segment_within(segment, 0, &plenty, NULL, NULL, &audit), 0);
	ck_assert_uint_eq(audit.n_checked, audit.n_total);
	ck_assert_uint_eq(audit_percent(&audit), 100);
}
END_TEST

/* One thing a slice: the same is found, each once, and everything is counted. */
START_TEST(test_audit_in_slices_finds_the_same)
{
	struct audit_run run;
	struct budget none;
	uint64_t n_slices = 0;
	struct audit whole;
	char *expect_said;

	atomic_store(&segment->holders[nobody].state, 77);
	set(pool, 3, MEMPOOL_OWNED, nobody + 1);
	set(pool, 4, MEMPOOL_SENT, 1U << 15);
	set(managers, 5, MEMPOOL_OWNED, nobody + 1);
	atomic_fetch_or(&pool->list.leaves[1], UINT64_C(1) << (N - 64));
	said[0] = '\0';
	ck_assert_int_eq(audit_segment(segment, 0, on_fault, NULL, &whole), 0);
	ck_assert_uint_eq(whole.n_faults, 4);

	expect_said = strdup(said);
	said[0] = '\0';
	ck_assert_int_eq(audit_begin(&run, segment, 0, on_fault, NULL), 0);
	do {
		none = (struct budget){ .n_left = 0 };
		n_slices++;
	} while (!audit_go_on(&run, &none));
	audit_end(&run);
	ck_assert_str_eq(said, expect_said);
	free(expect_said);
	ck_assert_mem_eq(&run.audit, &whole, sizeof(whole));
	ck_assert_uint_ge(n_slices, whole.n_total);
}
END_TEST

START_TEST(test_audit_stops_telling_but_goes_on_counting)
{
	struct audit audit;

	for (uint32_t i = 0; i < N; i++) {
		set(pool, i, MEMPOOL_OWNED, nobody);
		set(managers, i, MEMPOOL_OWNED, nobody);
	}
	ck_assert_int_eq(audit_segment(segment, 0, NULL, NULL, &audit), 0);
	ck_assert_uint_eq(audit.n_faults, 2 * N);
	ck_assert_uint_gt(2 * N, AUDIT_MAX_FAULTS);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_audit_counts_what_is_well);
	tcase_add_test(tcase, test_audit_tells_words_that_name_nobody);
	tcase_add_test(tcase, test_audit_tells_who_was_to_be_reaped);
	tcase_add_test(tcase, test_audit_tells_sent_words_that_no_queue_has);
	tcase_add_test(tcase, test_audit_tells_shares_that_do_not_fit);
	tcase_add_test(tcase, test_audit_tells_lost_and_surplus_hints);
	tcase_add_test(tcase, test_audit_tells_holders_that_cannot_be);
	tcase_add_test(tcase, test_audit_in_slices_finds_the_same);
	tcase_add_test(tcase, test_audit_within_a_budget_says_how_far_it_came);
	tcase_add_test(tcase, test_audit_stops_telling_but_goes_on_counting);
}

int main(void)
{
	return test_run("audit", add_tests);
}
