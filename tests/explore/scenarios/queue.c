/* SPDX-License-Identifier: MIT */
/*
 * queue.c - queues of 1, 2, 4 and 16 places, many and many, with kills
 *
 * What a call to send has said 0 to is received once, in the order of its sender, and as it was
 * written; or it is in the queue at the end; or a receiver that was killed had it. Nobody sleeps
 * beside a message, or a free place. Who only looks is told "empty" only if the queue was, at some
 * moment of the call, and "full" alike. What a sender takes out to make room, it has received; and it
 * is refused only beside another who sends.
 *
 * The same of queues for one sender, or one receiver, or both: who finds that another one has the role is
 * told so, and has it once that one has closed its handle, or is reaped.
 */
#include <errno.h>
#include <string.h>

#include "../stage.h"
#include "client/parts.h"
#include "post.h"
#include "scenarios.h"
#include "shm/drain.h"
#include "shm/queue.h"

#define CHUNKS 8
/* A few slices: no clock comes so far while somebody can go on. */
#define LONG_NS INT64_C(3000000000)

static struct {
	struct mempool_queue *queues[EXPLORE_THREADS];	/* by process */
	struct post post;
	uint64_t capacity;
	uint32_t n_threads[EXPLORE_THREADS];	/* by process */
	uint32_t n_sending[EXPLORE_THREADS];	/* of those, that are in such a call */
	uint32_t n_receiving[EXPLORE_THREADS];
	uint32_t n_evictors[EXPLORE_THREADS];	/* by process: threads that may have taken one out */
	bool has_closed[EXPLORE_THREADS];	/* by process: its handle */
	uint32_t n_drained;
} world;

static void make_for(uint64_t capacity, uint32_t flags)
{
	struct config config;

	stage_config(&config, CHUNKS + (capacity > 4 ? capacity : 0), 2);
	explore_check(config_add_ring(&config, "q", MEMPOOL_RING_QUEUE, capacity) == 0);
	config.rings[0].flags = flags;
	stage_make(&config);
	for (uint32_t i = 1; i <= 4; i++)
		stage_open(i);
	world.capacity = capacity;
}

static void make(uint64_t capacity)
{
	make_for(capacity, 0);
}

static void make_1(void)
{
	make(1);
}

static void make_2(void)
{
	make(2);
}

static void make_4(void)
{
	make(4);
}

static void make_16(void)
{
	make(16);
}

static void make_from_one(void)
{
	make_for(2, MEMPOOL_RING_ONE_SENDER);
}

static void make_to_one(void)
{
	make_for(2, MEMPOOL_RING_ONE_RECEIVER);
}

static void make_pair_1(void)
{
	make_for(1, MEMPOOL_RING_ONE_SENDER | MEMPOOL_RING_ONE_RECEIVER);
}

static void make_pair_2(void)
{
	make_for(2, MEMPOOL_RING_ONE_SENDER | MEMPOOL_RING_ONE_RECEIVER);
}

static uint32_t me(void)
{
	return stage_client()->holder - stage_holder(1) + 1;
}

static struct mempool_queue *queue(void)
{
	return world.queues[me()];
}

/* The process's queue, and this thread's cache. */
static void open_queue(void)
{
	explore_check(mempool_usable_size(stage_client(), NULL) < 0);
	world.n_threads[me()]++;
	if (!queue())
		explore_check(mempool_queue_open(stage_client(), "q", &world.queues[me()]) == 0);
}

/* Past so many places, so that what comes next goes over the end of the ring. */
static void go_through(uint32_t n)
{
	void *chunk;

	open_queue();
	for (uint32_t i = 0; i < n; i++) {
		chunk = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);
		explore_check(chunk);
		explore_check(mempool_queue_send(queue(), chunk, 8, 0) == 0);
		explore_check(mempool_queue_receive(queue(), &chunk, NULL, 0) == 0);
		explore_check(mempool_free(stage_client(), chunk) == 0);
	}
}

static void open_near_end(void)
{
	go_through(14);
}

/* ---- who waits ---- */

/* Return: whether it was sent. */
static bool send_one(uint32_t sender, int64_t timeout_ns)
{
	void *chunk = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);
	int r;

	explore_check(chunk);
	post_write(&world.post, sender, chunk);
	world.n_sending[me()]++;
	r = mempool_queue_send(queue(), chunk, 8, timeout_ns);
	world.n_sending[me()]--;
	if (r == 0) {
		world.post.n_sent[sender]++;
		return true;
	}
	explore_check(r == -EAGAIN);
	/* It is ours still, and says what it said. */
	post_write(&world.post, sender, chunk);
	explore_check(mempool_free(stage_client(), chunk) == 0);
	return false;
}

/* Two at once, or none. Return: whether they were sent. */
static bool send_pair(uint32_t sender, int64_t timeout_ns)
{
	void *chunks[2];
	const size_t lengths[2] = { 8, 8 };
	int r;

	for (uint32_t i = 0; i < 2; i++) {
		chunks[i] = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);
		explore_check(chunks[i]);
		post_write_behind(&world.post, sender, i, chunks[i]);
	}
	world.n_sending[me()]++;
	world.post.n_behind[sender] = 1;
	r = mempool_queue_send_all(queue(), chunks, lengths, 2, timeout_ns);
	world.post.n_behind[sender] = 0;
	world.n_sending[me()]--;
	if (r == 0) {
		world.post.n_sent[sender] += 2;
		return true;
	}
	explore_check(r == -EAGAIN);
	/* They are ours still, both. */
	for (uint32_t i = 0; i < 2; i++) {
		post_write_behind(&world.post, sender, i, chunks[i]);
		explore_check(mempool_free(stage_client(), chunks[i]) == 0);
	}
	return false;
}

static bool receive_one(uint32_t receiver, int64_t timeout_ns)
{
	size_t length;
	void *chunk;
	int r;

	world.n_receiving[me()]++;
	r = mempool_queue_receive(queue(), &chunk, &length, timeout_ns);
	world.n_receiving[me()]--;
	if (r == -EAGAIN)
		return false;
	explore_check(r == 0 && length == 8);
	post_read(&world.post, receiver, chunk);
	explore_check(mempool_free(stage_client(), chunk) == 0);
	return true;
}

/* Those who wait are told that there is none only if somebody was killed. */
static void send_two(uint32_t sender)
{
	for (int i = 0; i < 2; i++)
		if (!send_one(sender, LONG_NS))
			explore_check(explore_n_killed() > 0);
}

static void receive_two(uint32_t receiver)
{
	for (int i = 0; i < 2; i++)
		if (!receive_one(receiver, LONG_NS))
			explore_check(explore_n_killed() > 0);
}

static void send_a(void)
{
	send_two(1);
}

static void send_b(void)
{
	send_two(2);
}

static void receive_a(void)
{
	receive_two(3);
}

static void receive_b(void)
{
	receive_two(4);
}

static void send_once_a(void)
{
	explore_check(send_one(1, LONG_NS) || explore_n_killed() > 0);
}

static void send_once_b(void)
{
	explore_check(send_one(2, LONG_NS) || explore_n_killed() > 0);
}

/* One, and two at once. */
static void send_three(void)
{
	send_once_a();
	explore_check(send_pair(1, LONG_NS) || explore_n_killed() > 0);
}

static void receive_one_of_two(void)
{
	explore_check(receive_one(me(), LONG_NS) || explore_n_killed() > 0);
}

/* ---- who only looks ---- */

/* All that is sent to it is sent by one thread; and one receives. */
static void send_without_waiting(void)
{
	for (int i = 0; i < 3; i++) {
		uint32_t n_before = world.post.n_received;

		if (!send_one(1, 0) && !explore_n_killed())
			explore_check(world.post.n_sent[1] - n_before >= world.capacity);
	}
}

static void receive_without_waiting(void)
{
	for (int i = 0; i < 3; i++) {
		uint32_t n_before = world.post.n_sent[1];

		if (!receive_one(3, 0))
			explore_check(world.post.n_received >= n_before);
	}
}

/* ---- who takes the oldest out ---- */

/* The next one makes room. */
static void open_full(void)
{
	open_queue();
	world.n_evictors[me()]++;
	for (uint64_t i = 0; i < world.capacity; i++)
		explore_check(send_one(me(), 0));
}

static void open_to_evict(void)
{
	open_queue();
	world.n_evictors[me()]++;
}

/* Return: what the call says. */
static int evict_one(uint32_t sender)
{
	void *chunk = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES), *oldest;
	size_t length = 0;
	int r;

	explore_check(chunk);
	post_write(&world.post, sender, chunk);
	r = mempool_queue_send_evict(queue(), chunk, 8, &oldest, &length);
	explore_check(r == 0 || r == -EAGAIN);
	if (r == 0)
		world.post.n_sent[sender]++;
	if (oldest) {
		explore_check(length == 8);
		post_read(&world.post, sender, oldest);
		explore_check(mempool_free(stage_client(), oldest) == 0);
	}
	if (r < 0) {
		explore_check(oldest);
		post_write(&world.post, sender, chunk);
		explore_check(mempool_free(stage_client(), chunk) == 0);
	}
	return r;
}

/* Nobody else sends: there is room each time. */
static void evict_alone(void)
{
	for (int i = 0; i < 2; i++)
		explore_check(evict_one(1) == 0);
}

static void evict_a(void)
{
	for (int i = 0; i < 2; i++)
		evict_one(1);
}

static void evict_b(void)
{
	for (int i = 0; i < 2; i++)
		evict_one(2);
}

static void receive_all_there_is(void)
{
	while (receive_one(3, 0))
		;
}

/* It sleeps beside a full queue, and whoever takes one out to send does not wake it. */
static void send_one_and_wait(void)
{
	if (!send_one(2, LONG_NS))
		explore_check(explore_n_killed() > 0);
}

/* Those who were killed may have had it. */
static bool is_there_or_all_is_sent(void *unused)
{
	(void)unused;
	return world.post.n_sent[2] > 0 || explore_n_killed() > 0 ||
	       world.post.n_sent[1] > world.post.n_received;
}

static void receive_until_sent(void)
{
	while (world.post.n_sent[2] == 0 && explore_n_killed() == 0) {
		explore_wait(is_there_or_all_is_sent, NULL);
		receive_one(3, 0);
	}
	receive_all_there_is();
}

/* ---- who has a role, and gives it back ---- */

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

/* That one has no role any more. */
static void wait_for_end_of(uint32_t process)
{
	explore_wait(is_over, &process);
	if (explore_is_dead(process))
		stage_wait_for_reap(process);
}

/* At any time; and, if another one has the role, again when that has closed its handle or is reaped. */
static void send_in_turn(uint32_t sender, uint32_t other)
{
	void *chunk = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);
	int r;

	explore_check(chunk);
	post_write(&world.post, sender, chunk);
	r = mempool_queue_send(queue(), chunk, 8, LONG_NS);
	if (r == -EBUSY) {
		wait_for_end_of(other);
		r = mempool_queue_send(queue(), chunk, 8, LONG_NS);
	}
	explore_check(r == 0 || (r == -EAGAIN && explore_n_killed() > 0));
	if (r == 0)
		world.post.n_sent[sender]++;
	else
		explore_check(mempool_free(stage_client(), chunk) == 0);
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
	size_t length;
	void *chunk;
	int r;

	r = mempool_queue_receive(queue(), &chunk, &length, LONG_NS);
	if (r == -EBUSY) {
		wait_for_end_of(other);
		r = mempool_queue_receive(queue(), &chunk, &length, LONG_NS);
	}
	if (r == 0) {
		post_read(&world.post, receiver, chunk);
		explore_check(length == 8 && mempool_free(stage_client(), chunk) == 0);
	} else {
		explore_check(r == -EAGAIN && explore_n_killed() > 0);
	}
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

/* ---- who drains ---- */

/* As the daemon does it for a queue that lives. */
static void drain_it(void)
{
	struct drain drain;

	drain_init(&drain, stage_client()->segment, 0, stage_client()->holder);
	while (!drain_step(&drain, 1))
		;
	world.n_drained = (uint32_t)drain.n_messages;
	world.has_closed[me()] = true;
}

/* What it finds, beside the one that drains, and behind it. */
static void receive_beside(void)
{
	for (int i = 0; i < 3; i++) {
		size_t length;
		void *chunk;
		int r = mempool_queue_receive(queue(), &chunk, &length, 0);

		if (r == -EBUSY)
			wait_for_end_of(2);
		if (r < 0)
			continue;
		post_read(&world.post, 3, chunk);
		stage_stamp(chunk, 3);
		stage_check(chunk, 3);
		explore_check(mempool_free(stage_client(), chunk) == 0);
	}
}

static void open_with_two(void)
{
	open_queue();
	explore_check(send_one(1, 0) && send_one(1, 0));
}

/* Who allocates what was drained has it alone. */
static void alloc_and_free(void)
{
	for (int i = 0; i < 2; i++) {
		void *chunk = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);

		explore_check(chunk);
		stage_stamp(chunk, 1);
		stage_check(chunk, 1);
		explore_check(mempool_free(stage_client(), chunk) == 0);
	}
}

/* ---- the end ---- */

static struct queue view(void)
{
	struct queue queue;

	explore_check(queue_view(&queue, stage_segment(), 0) == 0);
	return queue;
}

static int pop(struct queue *queue, uint64_t *ret_handle)
{
	return queue->has_one_receiver ? queue_pop_alone(queue, MEMPOOL_HOLDER_DAEMON_ID, NULL, NULL,
							 ret_handle)
				       : queue_pop(queue, MEMPOOL_HOLDER_DAEMON_ID, ret_handle);
}

static void judge(void)
{
	struct queue queue = view();
	uint32_t n_lost = 0;
	uint64_t handle;

	stage_audit();
	queue_begin_receiving(&queue);
	while (pop(&queue, &handle) == 0) {
		const struct pool *pool = &stage_segment()->pools[0];
		uint32_t index = handle_index(handle);

		post_read(&world.post, 0, pool_chunk(pool, index));
		explore_check(pool_release_checked(pool, index, MEMPOOL_HOLDER_DAEMON_ID) == 0);
		pool_hint(pool, index);
	}
	stage_audit();
	explore_check(stage_n_free(0) == stage_segment()->pools[0].n_chunks);
	/* Receivers may have been killed, each with one. */
	for (uint32_t i = 3; i <= 4; i++)
		n_lost += explore_is_dead(i) ? world.n_threads[i] : 0;
	for (uint32_t i = 1; i <= 2; i++)
		n_lost += explore_is_dead(i) ? world.n_evictors[i] : 0;
	n_lost += world.n_drained + (explore_is_dead(2) ? 2 : 0);
	post_check_all(&world.post, n_lost);
}

/* Who was killed sends nothing, and receives nothing: then others may have nothing to do. */
static bool may_sleep(void)
{
	struct queue queue = view();
	uint64_t n_messages = 0;

	for (uint64_t i = 0; i <= queue.mask; i++) {
		_Atomic uint64_t *word;
		uint64_t seen;

		n_messages += queue_message_at(&queue, i, &word, &seen);
	}
	for (uint32_t i = 1; i <= 4; i++) {
		if (explore_is_dead(i))
			continue;
		if ((world.n_receiving[i] > 0 && n_messages > 0) ||
		    (world.n_sending[i] > 0 &&
		     n_messages + world.post.n_behind[i] < world.capacity))
			return false;
	}
	return explore_n_killed() > 0;
}

#define QUEUE_SCENARIO                                                                             \
	.judge = judge, .world = &world, .world_bytes = sizeof(world), .kills = 1,                 \
	.may_sleep = may_sleep

static const struct scenario_thread one_and_one[] = {
	{ .name = "sender", .process = 1, .prepare = open_queue, .run = send_a },
	{ .name = "receiver", .process = 3, .prepare = open_queue, .run = receive_a },
};

static const struct scenario_thread two_and_two[] = {
	{ .name = "sender", .process = 1, .prepare = open_queue, .run = send_a },
	{ .name = "sender 2", .process = 2, .prepare = open_queue, .run = send_b },
	{ .name = "receiver", .process = 3, .prepare = open_queue, .run = receive_a },
	{ .name = "receiver 2", .process = 4, .prepare = open_queue, .run = receive_b },
};

static const struct scenario_thread at_the_end[] = {
	{ .name = "sender", .process = 1, .prepare = open_near_end, .run = send_a },
	{ .name = "sender 2", .process = 2, .prepare = open_queue, .run = send_b },
	{ .name = "receiver", .process = 3, .prepare = open_queue, .run = receive_a },
	{ .name = "receiver 2", .process = 4, .prepare = open_queue, .run = receive_b },
};

/* Two threads of a process have one view of the queue, and go on from each other's places. */
static const struct scenario_thread sender_threads[] = {
	{ .name = "sender", .process = 1, .prepare = open_queue, .run = send_a },
	{ .name = "sender 2", .process = 1, .prepare = open_queue, .run = send_b },
	{ .name = "receiver", .process = 3, .prepare = open_queue, .run = receive_a },
	{ .name = "receiver 2", .process = 3, .prepare = open_queue, .run = receive_b },
};

static const struct scenario_thread lookers[] = {
	{ .name = "sender", .process = 1, .prepare = open_queue, .run = send_without_waiting },
	{ .name = "receiver", .process = 3, .prepare = open_queue, .run = receive_without_waiting },
};

const struct scenario scenario_queue_pair = {
	.name = "queue-pair",
	.about = "a queue of 1: one sends two messages, another receives them",
	.threads = one_and_one,
	.n_threads = 2,
	.set_up = make_1,
	QUEUE_SCENARIO,
	.bounds = { 2, 1 },
};

const struct scenario scenario_queue_1 = {
	.name = "queue-1",
	.about = "a queue of 1: two send, two receive, one is killed",
	.threads = two_and_two,
	.n_threads = 4,
	.set_up = make_1,
	QUEUE_SCENARIO,
	.bounds = { 1, 1 },
};

const struct scenario scenario_queue_2 = {
	.name = "queue-2",
	.about = "the same with a queue of 2",
	.threads = two_and_two,
	.n_threads = 4,
	.set_up = make_2,
	QUEUE_SCENARIO,
	.bounds = { 1, 1 },
};

const struct scenario scenario_queue_4 = {
	.name = "queue-4",
	.about = "the same with a queue of 4",
	.threads = two_and_two,
	.n_threads = 4,
	.set_up = make_4,
	QUEUE_SCENARIO,
	.bounds = { 1, 1 },
};

const struct scenario scenario_queue_16 = {
	.name = "queue-16",
	.about = "the same with a queue of 16, over its end",
	.threads = at_the_end,
	.n_threads = 4,
	.set_up = make_16,
	QUEUE_SCENARIO,
	.bounds = { 1, 1 },
};

const struct scenario scenario_queue_threads = {
	.name = "queue-threads",
	.about = "a queue of 2: two threads of one process send, two of another receive",
	.threads = sender_threads,
	.n_threads = 4,
	.set_up = make_2,
	QUEUE_SCENARIO,
	.bounds = { 1, 1 },
};

const struct scenario scenario_queue_looks = {
	.name = "queue-looks",
	.about = "a queue of 2: a sender and a receiver that never wait; full and empty are true",
	.threads = lookers,
	.n_threads = 2,
	.set_up = make_2,
	QUEUE_SCENARIO,
	.bounds = { 2, 2 },
};

static const struct scenario_thread evictor_alone[] = {
	{ .name = "evictor", .process = 1, .prepare = open_full, .run = evict_alone },
	{ .name = "receiver", .process = 3, .prepare = open_queue, .run = receive_all_there_is },
};

static const struct scenario_thread evictors[] = {
	{ .name = "evictor", .process = 1, .prepare = open_full, .run = evict_a },
	{ .name = "evictor 2", .process = 2, .prepare = open_to_evict, .run = evict_b },
	{ .name = "receiver", .process = 3, .prepare = open_queue, .run = receive_all_there_is },
};

const struct scenario scenario_queue_evict = {
	.name = "queue-evict",
	.about = "a full queue of 2: one takes the oldest out to send, another receives",
	.threads = evictor_alone,
	.n_threads = 2,
	.set_up = make_2,
	QUEUE_SCENARIO,
	.bounds = { 2, 2 },
};

const struct scenario scenario_queue_evict_two = {
	.name = "queue-evict-two",
	.about = "a full queue of 1: two take the oldest out to send, another receives",
	.threads = evictors,
	.n_threads = 3,
	.set_up = make_1,
	QUEUE_SCENARIO,
	.bounds = { 2, 1 },
};

static const struct scenario_thread evictor_and_sleeper[] = {
	{ .name = "evictor", .process = 1, .prepare = open_full, .run = evict_a },
	{ .name = "sender", .process = 2, .prepare = open_queue, .run = send_one_and_wait },
	{ .name = "receiver", .process = 3, .prepare = open_queue, .run = receive_until_sent },
};

const struct scenario scenario_queue_evict_sleeper = {
	.name = "queue-evict-sleeper",
	.about = "a full queue of 1: one takes the oldest out to send, one waits for room, another receives",
	.threads = evictor_and_sleeper,
	.n_threads = 3,
	.set_up = make_1,
	QUEUE_SCENARIO,
	.bounds = { 2, 1 },
};

/* ---- roles ---- */

static const struct scenario_thread one_and_two[] = {
	{ .name = "sender", .process = 1, .prepare = open_queue, .run = send_a },
	{ .name = "receiver", .process = 3, .prepare = open_queue, .run = receive_one_of_two },
	{ .name = "receiver 2", .process = 4, .prepare = open_queue, .run = receive_one_of_two },
};

static const struct scenario_thread two_and_one[] = {
	{ .name = "sender", .process = 1, .prepare = open_queue, .run = send_once_a },
	{ .name = "sender 2", .process = 2, .prepare = open_queue, .run = send_once_b },
	{ .name = "receiver", .process = 3, .prepare = open_queue, .run = receive_a },
};

static const struct scenario_thread senders_in_turn[] = {
	{ .name = "sender", .process = 1, .prepare = open_queue, .run = send_a_in_turn },
	{ .name = "sender 2", .process = 2, .prepare = open_queue, .run = send_b_in_turn },
	{ .name = "receiver", .process = 3, .prepare = open_queue, .run = receive_a },
};

static const struct scenario_thread receivers_in_turn[] = {
	{ .name = "sender", .process = 1, .prepare = open_queue, .run = send_a },
	{ .name = "receiver", .process = 3, .prepare = open_queue, .run = receive_a_in_turn },
	{ .name = "receiver 2", .process = 4, .prepare = open_queue, .run = receive_b_in_turn },
};

static const struct scenario_thread receiver_and_drain[] = {
	{ .name = "sender", .process = 1, .prepare = open_with_two, .run = alloc_and_free },
	{ .name = "drain", .process = 2, .prepare = open_queue, .run = drain_it },
	{ .name = "receiver", .process = 3, .prepare = open_queue, .run = receive_beside },
};

static const struct scenario_thread three_and_two[] = {
	{ .name = "sender", .process = 1, .prepare = open_queue, .run = send_three },
	{ .name = "receiver", .process = 3, .prepare = open_queue, .run = receive_a },
	{ .name = "receiver 2", .process = 4, .prepare = open_queue, .run = receive_one_of_two },
};

const struct scenario scenario_role_all = {
	.name = "role-all",
	.about = "a queue of 2 for one sender, who sends two at once: two receive, one is killed",
	.threads = three_and_two,
	.n_threads = 3,
	.set_up = make_from_one,
	QUEUE_SCENARIO,
	.bounds = { 1, 1 },
};

const struct scenario scenario_role_drain = {
	.name = "role-drain",
	.about = "a queue of 2 for one receiver, who receives while it is drained",
	.threads = receiver_and_drain,
	.n_threads = 3,
	.set_up = make_to_one,
	QUEUE_SCENARIO,
	.bounds = { 1, 1 },
};

const struct scenario scenario_role_pair = {
	.name = "role-pair",
	.about = "a queue of 1 for one sender and one receiver: two messages, both sleep",
	.threads = one_and_one,
	.n_threads = 2,
	.set_up = make_pair_1,
	QUEUE_SCENARIO,
	.bounds = { 1, 1 },
};

const struct scenario scenario_role_deaf = {
	.name = "role-deaf",
	.about = "the same where the kernel has no membarrier",
	.threads = one_and_one,
	.n_threads = 2,
	.set_up = make_pair_1,
	.no_membarrier = true,
	QUEUE_SCENARIO,
	.bounds = { 1, 1 },
};

const struct scenario scenario_role_send = {
	.name = "role-send",
	.about = "a queue of 2 for one sender: two receive, one is killed",
	.threads = one_and_two,
	.n_threads = 3,
	.set_up = make_from_one,
	QUEUE_SCENARIO,
	.bounds = { 1, 1 },
};

const struct scenario scenario_role_receive = {
	.name = "role-receive",
	.about = "a queue of 2 for one receiver: two send, one is killed",
	.threads = two_and_one,
	.n_threads = 3,
	.set_up = make_to_one,
	QUEUE_SCENARIO,
	.bounds = { 1, 1 },
};

const struct scenario scenario_role_senders = {
	.name = "role-senders",
	.about = "a queue of 2 for one sender and one receiver: two senders, one after the other",
	.threads = senders_in_turn,
	.n_threads = 3,
	.set_up = make_pair_2,
	QUEUE_SCENARIO,
	.bounds = { 1, 1 },
};

const struct scenario scenario_role_receivers = {
	.name = "role-receivers",
	.about = "the same: two receivers, one after the other",
	.threads = receivers_in_turn,
	.n_threads = 3,
	.set_up = make_pair_2,
	QUEUE_SCENARIO,
	.bounds = { 1, 1 },
};
