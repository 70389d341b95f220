/* SPDX-License-Identifier: MIT */
/*
 * bytes.c - queues whose messages stand in their slots, with kills
 *
 * What a call to send has said 0 to is received once, in its order, and as it was written; or a receiver that
 * was killed had it. A message of a killed sender is there whole, or not at all. Nobody sleeps beside a message,
 * or a free place. Who finds that another one has the role has it once that one has closed its handle, or is
 * reaped, and goes on where the ring is.
 */
#include <errno.h>
#include <string.h>

#include "../stage.h"
#include "client/parts.h"
#include "post.h"
#include "scenarios.h"
#include "shm/bytes.h"

/* A few slices: no clock comes so far while somebody can go on. */
#define LONG_NS INT64_C(3000000000)

static struct {
	struct mempool_queue *queues[EXPLORE_THREADS];	/* by process */
	struct post post;
	uint64_t capacity;
	uint32_t n_sending[EXPLORE_THREADS];	/* by process */
	uint32_t n_receiving[EXPLORE_THREADS];
	bool has_closed[EXPLORE_THREADS];	/* its handle */
} world;

static void make(uint64_t capacity)
{
	struct config config;

	stage_config(&config, 2, 2);
	explore_check(config_add_ring(&config, "q", MEMPOOL_RING_QUEUE, capacity) == 0);
	config.rings[0].flags = CONFIG_SLOTS_NEED;
	config.rings[0].slot_bytes = STAGE_CHUNK_BYTES;
	stage_make(&config);
	for (uint32_t i = 1; i <= 4; i++)
		stage_open(i);
	world.capacity = capacity;
}

static void make_1(void)
{
	make(1);
}

static void make_2(void)
{
	make(2);
}

static uint32_t me(void)
{
	return stage_client()->holder - stage_holder(1) + 1;
}

static struct mempool_queue *queue(void)
{
	return world.queues[me()];
}

static void open_queue(void)
{
	explore_check(mempool_usable_size(stage_client(), NULL) < 0);
	explore_check(mempool_queue_open(stage_client(), "q", &world.queues[me()]) == 0);
}

static void close_it(void)
{
	mempool_queue_close(queue());
	world.queues[me()] = NULL;
	world.has_closed[me()] = true;
}

static bool is_over(void *process)
{
	uint32_t i = *(uint32_t *)process;

	return world.has_closed[i] || explore_is_dead(i);
}

static void wait_for_end_of(uint32_t process)
{
	explore_wait(is_over, &process);
	if (explore_is_dead(process))
		stage_wait_for_reap(process);
}

/* Return: what the call says; what is no message was not sent. */
static int send_one(uint32_t sender)
{
	uint64_t message[STAGE_CHUNK_BYTES / 8];
	int r;

	post_write(&world.post, sender, message);
	world.n_sending[me()]++;
	r = mempool_queue_send_bytes(queue(), message, sizeof(message), LONG_NS);
	world.n_sending[me()]--;
	if (r == 0)
		world.post.n_sent[sender]++;
	return r;
}

static int receive_one(uint32_t receiver)
{
	uint64_t message[STAGE_CHUNK_BYTES / 8];
	size_t length;
	int r;

	world.n_receiving[me()]++;
	r = mempool_queue_receive_bytes(queue(), message, sizeof(message), &length, LONG_NS);
	world.n_receiving[me()]--;
	if (r == 0) {
		explore_check(length == sizeof(message));
		post_read(&world.post, receiver, message);
	}
	return r;
}

/* Who waits is told that there is none only if somebody was killed. */
static void check_waited(int r)
{
	explore_check(r == 0 || (r == -EAGAIN && explore_n_killed() > 0));
}

static void send_two(void)
{
	for (int i = 0; i < 2; i++)
		check_waited(send_one(1));
}

static void receive_two(void)
{
	for (int i = 0; i < 2; i++)
		check_waited(receive_one(3));
}

static void send_in_turn(uint32_t sender, uint32_t other)
{
	int r = send_one(sender);

	if (r == -EBUSY) {
		wait_for_end_of(other);
		r = send_one(sender);
	}
	check_waited(r);
	close_it();
}

static void send_a_in_turn(void)
{
	send_in_turn(1, 2);
}

static void send_b_in_turn(void)
{
	send_in_turn(2, 1);
}

static void receive_in_turn(uint32_t receiver, uint32_t other)
{
	int r = receive_one(receiver);

	if (r == -EBUSY) {
		wait_for_end_of(other);
		r = receive_one(receiver);
	}
	check_waited(r);
	close_it();
}

static void receive_a_in_turn(void)
{
	receive_in_turn(3, 4);
}

static void receive_b_in_turn(void)
{
	receive_in_turn(4, 3);
}

/* ---- the end ---- */

static struct queue view(void)
{
	struct queue queue;

	explore_check(queue_view_any(&queue, stage_segment(), 0) == 0);
	return queue;
}

static void judge(void)
{
	uint64_t message[STAGE_CHUNK_BYTES / 8];
	struct queue queue = view();
	uint32_t n_lost = 0;
	size_t length;

	stage_audit();
	queue_begin_receiving(&queue);
	while (bytes_receive(&queue, message, sizeof(message), &length) == 0) {
		explore_check(length == sizeof(message));
		post_read(&world.post, 0, message);
	}
	/* A receiver that was killed may have had one. */
	for (uint32_t i = 3; i <= 4; i++)
		n_lost += explore_is_dead(i);
	post_check_all(&world.post, n_lost);
}

/* Who was killed sends nothing, and receives nothing: then others may have nothing to do. */
static bool may_sleep(void)
{
	struct queue queue = view();
	uint64_t head, end;

	bytes_ends(&queue, &head, &end);
	for (uint32_t i = 1; i <= 4; i++) {
		if (explore_is_dead(i))
			continue;
		if ((world.n_receiving[i] > 0 && end != head) ||
		    (world.n_sending[i] > 0 && end - head < world.capacity))
			return false;
	}
	return explore_n_killed() > 0;
}

#define BYTES_SCENARIO                                                                             \
	.judge = judge, .world = &world, .world_bytes = sizeof(world), .kills = 1,                 \
	.may_sleep = may_sleep, .bounds = { 1, 1 }

static const struct scenario_thread one_and_one[] = {
	{ .name = "sender", .process = 1, .prepare = open_queue, .run = send_two },
	{ .name = "receiver", .process = 3, .prepare = open_queue, .run = receive_two },
};

static const struct scenario_thread senders_in_turn[] = {
	{ .name = "sender", .process = 1, .prepare = open_queue, .run = send_a_in_turn },
	{ .name = "sender 2", .process = 2, .prepare = open_queue, .run = send_b_in_turn },
	{ .name = "receiver", .process = 3, .prepare = open_queue, .run = receive_two },
};

static const struct scenario_thread receivers_in_turn[] = {
	{ .name = "sender", .process = 1, .prepare = open_queue, .run = send_two },
	{ .name = "receiver", .process = 3, .prepare = open_queue, .run = receive_a_in_turn },
	{ .name = "receiver 2", .process = 4, .prepare = open_queue, .run = receive_b_in_turn },
};

const struct scenario scenario_bytes_pair = {
	.name = "bytes-pair",
	.about = "a queue of 1 whose messages stand in its slot: two messages, both sleep",
	.threads = one_and_one,
	.n_threads = 2,
	.set_up = make_1,
	BYTES_SCENARIO,
};

const struct scenario scenario_bytes_senders = {
	.name = "bytes-senders",
	.about = "the same with 2 slots: two senders, one after the other",
	.threads = senders_in_turn,
	.n_threads = 3,
	.set_up = make_2,
	BYTES_SCENARIO,
};

const struct scenario scenario_bytes_receivers = {
	.name = "bytes-receivers",
	.about = "the same: two receivers, one after the other",
	.threads = receivers_in_turn,
	.n_threads = 3,
	.set_up = make_2,
	BYTES_SCENARIO,
};
