/* SPDX-License-Identifier: MIT */
/* test-drain.c - a queue that is drained: what waits in it is free, and it goes on as a queue */
#include "test_segment.h"

#include <errno.h>
#include <string.h>

#include "client/client.h"
#include "shm/drain.h"
#include "shm/eventcount.h"
#include "shm/holder.h"
#include "shm/queue.h"

enum { N_CHUNKS = 40, CHUNK_SIZE = 64, CAPACITY = 16, QUEUE = 1 };

static struct segment *segment;
static struct mempool_client *client;
static struct mempool_queue *queue;

static void setup(void)
{
	static const struct test_pool pools[] = {
		{ .chunk_size = CHUNK_SIZE, .n_chunks = N_CHUNKS },
	};
	struct config config;

	test_config_init(&config, pools, ARRAY_SIZE(pools));
	ck_assert_int_eq(config_add_ring(&config, "t", MEMPOOL_RING_TOPIC, 4), 0);
	ck_assert_int_eq(config_add_ring(&config, "q", MEMPOOL_RING_QUEUE, CAPACITY), 0);
	segment = test_segment_new_of(&config);
	config_deinit(&config);
	ck_assert_int_eq(client_new(test_segment_view(segment), holder_first_client(segment), 0,
				    &client), 0);
	ck_assert_int_eq(mempool_queue_open(client, "q", &queue), 0);
}

static void teardown(void)
{
	mempool_queue_close(queue);
	mempool_client_close(client);
	segment_free(segment);
}

static int send_number(uint32_t number)
{
	uint32_t *chunk = mempool_alloc(client, sizeof(number));
	int r;

	ck_assert_ptr_nonnull(chunk);
	*chunk = number;
	r = mempool_queue_send(queue, chunk, sizeof(number), 0);
	if (r < 0)
		ck_assert_int_eq(mempool_free(client, chunk), 0);
	return r;
}

static void must_receive(uint32_t number)
{
	void *chunk;

	ck_assert_int_eq(mempool_queue_receive(queue, &chunk, NULL, 0), 0);
	ck_assert_uint_eq(*(uint32_t *)chunk, number);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
}

static uint64_t drain_all(uint64_t slots_a_step)
{
	struct drain drain;

	drain_init(&drain, segment, QUEUE, MEMPOOL_HOLDER_DAEMON_ID);
	while (!drain_step(&drain, slots_a_step))
		;
	ck_assert_uint_eq(drain.n_messages, drain.n_freed);
	return drain.n_messages;
}

static uint32_t n_used(void)
{
	return test_segment_used(segment, 0);
}

/* From each place of the ring on, full and not, in one step and in many. */
START_TEST(test_drain_of_a_queue_frees_what_waits_wherever_it_begins)
{
	for (uint32_t begin = 0; begin < 2 * CAPACITY; begin++) {
		uint32_t n = begin % CAPACITY + 1;

		for (uint32_t i = 0; i < n; i++)
			ck_assert_int_eq(send_number(i), 0);
		ck_assert_uint_eq(n_used(), n);
		ck_assert_uint_eq(drain_all(begin % 3 ? 1 : CAPACITY), n);
		ck_assert_uint_eq(n_used(), 0);
		ck_assert_uint_eq(drain_all(CAPACITY), 0);

		/* The place moves on by one each time. */
		ck_assert_int_eq(send_number(begin), 0);
		must_receive(begin);
	}
}
END_TEST

START_TEST(test_drained_queue_takes_its_capacity_and_keeps_order)
{
	for (uint32_t i = 0; i < CAPACITY; i++)
		ck_assert_int_eq(send_number(i), 0);
	ck_assert_int_eq(send_number(0), -EAGAIN);
	must_receive(0);
	ck_assert_uint_eq(drain_all(CAPACITY), CAPACITY - 1);
	for (uint32_t i = 100; i < 100 + CAPACITY; i++)
		ck_assert_int_eq(send_number(i), 0);
	ck_assert_int_eq(send_number(0), -EAGAIN);
	for (uint32_t i = 100; i < 100 + CAPACITY; i++)
		must_receive(i);
}
END_TEST

START_TEST(test_drain_wakes_who_waits_for_room)
{
	struct mempool_eventcount *emptied = &segment->rings[QUEUE].emptied;
	uint32_t prepared;

	ck_assert_int_eq(send_number(1), 0);
	prepared = eventcount_prepare(emptied);
	ck_assert_uint_eq(drain_all(CAPACITY), 1);
	ck_assert_uint_eq(atomic_load(&emptied->sequence), prepared + 1);
}
END_TEST

START_TEST(test_drain_leaves_what_was_received)
{
	void *chunk;

	ck_assert_int_eq(send_number(1), 0);
	ck_assert_int_eq(send_number(2), 0);
	ck_assert_int_eq(mempool_queue_receive(queue, &chunk, NULL, 0), 0);
	ck_assert_uint_eq(drain_all(CAPACITY), 1);
	ck_assert_uint_eq(n_used(), 1);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
	ck_assert_int_eq(mempool_queue_receive(queue, &chunk, NULL, 0), -EAGAIN);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_drain_of_a_queue_frees_what_waits_wherever_it_begins);
	tcase_add_test(tcase, test_drained_queue_takes_its_capacity_and_keeps_order);
	tcase_add_test(tcase, test_drain_wakes_who_waits_for_room);
	tcase_add_test(tcase, test_drain_leaves_what_was_received);
}

int main(void)
{
	return test_run("drain", add_tests);
}
