/* SPDX-License-Identifier: MIT */
/* test-queue.c - messages through a queue: capacity, order, what goes along, whom it wakes */
#include "test_segment.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "build_config.h"
#include "client/client.h"
#include "client/locate.h"
#include "shm/audit.h"
#include "shm/holder.h"
#include "shm/queue.h"
#include "shm/reap.h"
#include "support/control.h"

enum { N_CHUNKS = 100, CHUNK_SIZE = 64, CAPACITY = 8, LONG = 32 };
#define MS INT64_C(1000000)

static struct segment *segment;
static struct mempool_client *sender, *receiver;
static struct mempool_queue *to, *from;		/* the queue "q", of each of them */

static struct mempool_client *client_of(uint32_t holder)
{
	struct mempool_client *made;

	ck_assert_int_eq(client_new(test_segment_view(segment), holder, 0, &made), 0);
	return made;
}

static struct mempool_queue *open_queue(struct mempool_client *client, const char *name)
{
	struct mempool_queue *queue;

	ck_assert_int_eq(mempool_queue_open(client, name, &queue), 0);
	return queue;
}

static void setup(void)
{
	static const struct test_pool pools[] = {
		{ .chunk_size = CHUNK_SIZE, .n_chunks = N_CHUNKS },
		{ .chunk_size = 1000, .n_chunks = 10 },
	};
	struct config config;

	test_config_init(&config, pools, ARRAY_SIZE(pools));
	ck_assert_int_eq(config_add_ring(&config, "t", MEMPOOL_RING_TOPIC, 4), 0);
	ck_assert_int_eq(config_add_ring(&config, "q", MEMPOOL_RING_QUEUE, CAPACITY), 0);
	ck_assert_int_eq(config_add_ring(&config, "one", MEMPOOL_RING_QUEUE, 1), 0);
	ck_assert_int_eq(config_add_ring(&config, "long", MEMPOOL_RING_QUEUE, LONG), 0);
	segment = test_segment_new_of(&config);
	config_deinit(&config);
	sender = client_of(holder_first_client(segment));
	receiver = client_of(holder_first_client(segment) + 1);
	to = open_queue(sender, "q");
	from = open_queue(receiver, "q");
}

static void teardown(void)
{
	mempool_queue_close(to);
	mempool_queue_close(from);
	mempool_client_close(sender);
	mempool_client_close(receiver);
	segment_free(segment);
}

static void *message(uint32_t number)
{
	uint32_t *chunk = mempool_alloc(sender, CHUNK_SIZE);

	ck_assert_ptr_nonnull(chunk);
	*chunk = number;
	return chunk;
}

static int send_number(struct mempool_queue *queue, uint32_t number, int64_t timeout_ns)
{
	void *chunk = message(number);
	int r = mempool_queue_send(queue, chunk, sizeof(number), timeout_ns);

	if (r < 0)
		ck_assert_int_eq(mempool_free(sender, chunk), 0);
	return r;
}

static void must_send(struct mempool_queue *queue, uint32_t number)
{
	ck_assert_int_eq(send_number(queue, number, 0), 0);
}

static void must_receive(struct mempool_queue *queue, uint32_t number)
{
	void *chunk;
	size_t length;

	ck_assert_int_eq(mempool_queue_receive(queue, &chunk, &length, 0), 0);
	ck_assert_uint_eq(length, sizeof(number));
	ck_assert_uint_eq(*(uint32_t *)chunk, number);
	ck_assert_int_eq(mempool_free(receiver, chunk), 0);
}

static void must_be_empty(struct mempool_queue *queue)
{
	void *chunk;

	ck_assert_int_eq(mempool_queue_receive(queue, &chunk, NULL, 0), -EAGAIN);
}

/* The shared side of it, for what no client would do. */
static struct queue view_of(const char *name)
{
	struct queue queue;

	ck_assert_int_eq(queue_view(&queue, segment, (uint32_t)queue_find(
				segment, name, MEMPOOL_RING_QUEUE)), 0);
	return queue;
}

static void must_count(const struct queue *queue, uint64_t sent, uint64_t received)
{
	struct queue_tally tally = { .is_over = false };

	queue_tally_go_on(&tally, queue, NULL);
	ck_assert(tally.is_over);
	ck_assert_uint_eq(tally.n_sent, sent);
	ck_assert_uint_eq(tally.n_received, received);
	ck_assert_uint_eq(tally.n_messages, sent - received);
}

static void must_be_sound(void)
{
	struct audit audit;

	ck_assert_int_eq(audit_segment(segment, AUDIT_REAPED, NULL, NULL, &audit), 0);
	ck_assert_uint_eq(audit.n_faults, 0);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 * MS + now.tv_nsec;
}

/* ---- one after the other ---- */

static const struct {
	const char *name;
	uint32_t capacity;
} queues[] = { { "one", 1 }, { "q", CAPACITY }, { "long", LONG } };

START_TEST(test_queue_holds_exactly_its_capacity)
{
	struct mempool_queue *in = open_queue(sender, queues[_i].name);
	struct mempool_queue *out = open_queue(receiver, queues[_i].name);
	uint32_t capacity = queues[_i].capacity, sent = 0, received = 0;

	/* At every place of the ring, for several rounds. */
	for (uint32_t turn = 0; turn < 5 * capacity; turn++) {
		while (send_number(in, sent, 0) == 0)
			sent++;
		ck_assert_uint_eq(sent - received, capacity);
		for (uint32_t i = 0; i <= turn % capacity; i++)
			must_receive(out, received++);
	}
	while (received < sent)
		must_receive(out, received++);
	must_be_empty(out);
	mempool_queue_close(in);
	mempool_queue_close(out);
	ck_assert_uint_eq(test_segment_used(segment, 0), 0);
	must_be_sound();
}
END_TEST

/* The receiver has moved nothing yet, but the words of what it received have moved on. */
START_TEST(test_queue_full_gives_the_room_there_is)
{
	struct queue queue = view_of("long");
	struct mempool_queue *in = open_queue(sender, "long");
	struct mempool_queue *out = open_queue(receiver, "long");
	uint32_t sent = 0;

	while (sent < LONG)
		must_send(in, sent++);
	for (uint32_t i = 0; i < QUEUE_LINE - 1; i++)
		must_receive(out, i);
	ck_assert_uint_eq(atomic_load(&queue.ring->head), 0);
	must_count(&queue, LONG, QUEUE_LINE - 1);
	for (uint32_t i = 0; i < QUEUE_LINE - 1; i++)
		must_send(in, sent++);
	ck_assert_int_eq(send_number(in, 99, 0), -EAGAIN);
	must_count(&queue, sent, QUEUE_LINE - 1);
	for (uint32_t i = QUEUE_LINE - 1; i < sent; i++)
		must_receive(out, i);
	must_be_empty(out);
	must_count(&queue, sent, sent);
	mempool_queue_close(in);
	mempool_queue_close(out);
	must_be_sound();
}
END_TEST

START_TEST(test_queue_keeps_order_over_many_rounds)
{
	for (uint32_t i = 0; i < 1000; i++) {
		must_send(to, 2 * i);
		must_send(to, 2 * i + 1);
		must_receive(from, 2 * i);
		must_receive(from, 2 * i + 1);
	}
	must_be_empty(from);
}
END_TEST

START_TEST(test_queue_carries_length_and_tag)
{
	void *chunk = mempool_alloc(sender, 500), *received;
	size_t length;
	uint32_t tag;

	ck_assert_int_eq(mempool_chunk_set_tag(sender, chunk, 0xabcd), 0);
	ck_assert_int_eq(mempool_queue_send(to, chunk, 321, 0), 0);
	ck_assert_int_eq(mempool_queue_receive(from, &received, &length, 0), 0);
	ck_assert_uint_eq(length, 321);
	ck_assert_int_eq(mempool_chunk_tag(receiver, received, &tag), 0);
	ck_assert_uint_eq(tag, 0xabcd);
	ck_assert_int_eq(mempool_free(receiver, received), 0);

	/* The whole chunk, and nothing of it. */
	chunk = mempool_alloc(sender, 1);
	ck_assert_int_eq(mempool_queue_send(to, chunk, CHUNK_SIZE, 0), 0);
	ck_assert_int_eq(mempool_queue_receive(from, &received, &length, 0), 0);
	ck_assert_uint_eq(length, CHUNK_SIZE);
	ck_assert_int_eq(mempool_queue_send(from, received, 0, 0), 0);
	ck_assert_int_eq(mempool_queue_receive(to, &chunk, &length, 0), 0);
	ck_assert_uint_eq(length, 0);
	ck_assert_int_eq(mempool_free(sender, chunk), 0);
}
END_TEST

START_TEST(test_queue_bad_calls_change_nothing)
{
	void *chunk = message(1), *out = message(2), *shared = message(3), *got = out;
	size_t lengths[2] = { 0 }, length;
	struct mempool_queue *queue = to;
	uint64_t handle;

	ck_assert_int_eq(mempool_queue_open(sender, "nobody", &queue), -ENOENT);
	ck_assert_int_eq(mempool_queue_open(sender, "t", &queue), -ENOENT);
	ck_assert_int_eq(mempool_queue_open(sender, "", &queue), -ENOENT);
	ck_assert_int_eq(mempool_queue_open(sender, NULL, &queue), -EINVAL);
	ck_assert_int_eq(mempool_queue_open(sender, "q", NULL), -EINVAL);
	ck_assert_int_eq(mempool_queue_open(NULL, "q", &queue), -EINVAL);
	ck_assert_ptr_eq(queue, to);

	ck_assert_int_eq(mempool_queue_send(NULL, chunk, 1, 0), -EINVAL);
	ck_assert_int_eq(mempool_queue_send(to, NULL, 1, 0), -EINVAL);
	ck_assert_int_eq(mempool_queue_send(to, (char *)chunk + 1, 1, 0), -EINVAL);
	ck_assert_int_eq(mempool_queue_send(to, chunk, CHUNK_SIZE + 1, 0), -EMSGSIZE);
	ck_assert_int_eq(mempool_queue_send(from, chunk, 1, 0), -EPERM);
	ck_assert_int_eq(mempool_queue_send_many(to, NULL, lengths, 1, 0), -EINVAL);
	ck_assert_int_eq(mempool_queue_send_many(to, &chunk, NULL, 1, 0), -EINVAL);
	ck_assert_int_eq(mempool_queue_send_many(to, &chunk, lengths, SIZE_MAX, 0), -EINVAL);
	ck_assert_int_eq(mempool_free(sender, out), 0);
	ck_assert_int_eq(mempool_queue_send(to, out, 1, 0), -EPERM);
	ck_assert_int_eq(mempool_share(sender, shared, 1, &handle), 0);
	ck_assert_int_eq(mempool_queue_send(to, shared, 1, 0), -EBUSY);
	ck_assert_int_eq(mempool_free(sender, shared), 0);
	must_be_empty(from);

	ck_assert_int_eq(mempool_queue_receive(NULL, &got, &length, 0), -EINVAL);
	ck_assert_int_eq(mempool_queue_receive_many(from, NULL, &length, 1, 0), -EINVAL);
	ck_assert_int_eq(mempool_queue_receive_many(from, &got, &length, SIZE_MAX, 0),
			 -EINVAL);
	ck_assert_ptr_eq(got, out);

	/* After a full queue, too: it is still ours, to be sent or freed. */
	for (uint32_t i = 0; i < CAPACITY; i++)
		must_send(to, i);
	ck_assert_int_eq(mempool_queue_send(to, chunk, 1, 0), -EAGAIN);
	ck_assert_int_eq(mempool_free(sender, chunk), 0);
	ck_assert_int_eq(mempool_free(sender, chunk), -EPERM);
	mempool_queue_close(NULL);
}
END_TEST

START_TEST(test_queue_sent_is_no_longer_the_senders)
{
	void *chunk = message(7), *received;
	uint64_t handle;

	ck_assert_int_eq(mempool_queue_send(to, chunk, 4, 0), 0);
	ck_assert_int_eq(mempool_queue_send(to, chunk, 4, 0), -EPERM);
	ck_assert_int_eq(mempool_free(sender, chunk), -EPERM);
	ck_assert_int_eq(mempool_give(sender, chunk, 4, &handle), -EPERM);
	ck_assert_int_eq(mempool_share(sender, chunk, 4, &handle), -EPERM);
	ck_assert_int_eq(mempool_queue_receive(from, &received, NULL, 0), 0);
	ck_assert_int_eq(mempool_free(sender, chunk), -EPERM);
	ck_assert_int_eq(mempool_free(receiver, received), 0);
}
END_TEST

START_TEST(test_queue_many_sends_what_fits)
{
	void *chunks[2 * CAPACITY], *received[2 * CAPACITY];
	size_t lengths[2 * CAPACITY], got[2 * CAPACITY];

	for (uint32_t i = 0; i < 2 * CAPACITY; i++) {
		chunks[i] = message(i);
		lengths[i] = i;
	}
	ck_assert_int_eq(mempool_queue_send_many(to, chunks, lengths, 0, 0), 0);
	ck_assert_int_eq(mempool_queue_send_many(to, chunks, lengths, 2 * CAPACITY, 0),
			 CAPACITY);
	ck_assert_int_eq(mempool_queue_send_many(to, chunks + CAPACITY, lengths, 1, 0),
			 -EAGAIN);
	ck_assert_int_eq(mempool_queue_receive_many(from, received, got, 0, 0), 0);
	ck_assert_int_eq(mempool_queue_receive_many(from, received, got, 3, 0), 3);
	ck_assert_int_eq(mempool_queue_receive_many(from, received + 3, NULL, 99, 0),
			 CAPACITY - 3);
	ck_assert_int_eq(mempool_queue_receive_many(from, received, got, 1, 0), -EAGAIN);
	for (uint32_t i = 0; i < CAPACITY; i++)
		ck_assert_uint_eq(*(uint32_t *)received[i], i);
	for (uint32_t i = 0; i < 3; i++)
		ck_assert_uint_eq(got[i], i);

	/* The rest is the sender's, and one that is not ends it. */
	ck_assert_int_eq(mempool_free(sender, chunks[CAPACITY + 2]), 0);
	ck_assert_int_eq(mempool_queue_send_many(to, chunks + CAPACITY, lengths, CAPACITY, 0),
			 2);
	ck_assert_int_eq(mempool_queue_send_many(to, chunks + CAPACITY + 2, lengths, 2, 0),
			 -EPERM);
	for (uint32_t i = CAPACITY + 3; i < 2 * CAPACITY; i++)
		ck_assert_int_eq(mempool_free(sender, chunks[i]), 0);
}
END_TEST

START_TEST(test_queue_timeout_is_kept)
{
	int64_t begin = now_ns();
	struct control control;
	void *chunk;

	control_start(&control);
	ck_assert_int_eq(mempool_queue_receive(from, &chunk, NULL, 30 * MS), -EAGAIN);
	ck_assert_int_ge(now_ns() - begin, 30 * MS);
	ck_assert_double_lt(control_stop(&control), 5000);

	for (uint32_t i = 0; i < CAPACITY; i++)
		must_send(to, i);
	control_start(&control);
	begin = now_ns();
	ck_assert_int_eq(send_number(to, 9, 30 * MS), -EAGAIN);
	ck_assert_int_ge(now_ns() - begin, 30 * MS);
	ck_assert_double_lt(control_stop(&control), 5000);

	/* Nothing to wait for: no look at the clock. */
	must_receive(from, 0);
	ck_assert_int_eq(send_number(to, 9, -1), 0);
}
END_TEST

static void on_signal(int number)
{
	(void)number;
}

static void *send_signals(void *thread)
{
	/* Again and again: the first may come before it sleeps. */
	for (int i = 0; i < 100; i++) {
		struct timespec pause = { 0, 2 * MS };

		nanosleep(&pause, NULL);
		pthread_kill(*(pthread_t *)thread, SIGUSR1);
	}
	return NULL;
}

START_TEST(test_queue_signal_ends_a_wait)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	pthread_t self = pthread_self(), thread;
	void *chunk;

	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, send_signals, &self), 0);
	ck_assert_int_eq(mempool_queue_receive(from, &chunk, NULL, -1), -EINTR);
	for (uint32_t i = 0; i < CAPACITY; i++)
		must_send(to, i);
	ck_assert_int_eq(send_number(to, 9, -1), -EINTR);
	pthread_join(thread, NULL);
}
END_TEST

/* ---- the oldest makes room ---- */

/* Return: as the call; what it took out, or none. */
static const uint32_t NONE = UINT32_MAX;
static int evict_number(struct mempool_queue *queue, uint32_t number, uint32_t *ret_oldest)
{
	void *chunk = message(number), *oldest = chunk;
	size_t length = 99;
	int r = mempool_queue_send_evict(queue, chunk, sizeof(number), &oldest, &length);

	*ret_oldest = NONE;
	if (oldest) {
		ck_assert_uint_eq(length, sizeof(number));
		*ret_oldest = *(uint32_t *)oldest;
		ck_assert_int_eq(mempool_free(sender, oldest), 0);
	}
	if (r < 0)
		ck_assert_int_eq(mempool_free(sender, chunk), 0);
	return r;
}

START_TEST(test_queue_evict_takes_the_oldest_of_a_full_queue_alone)
{
	struct mempool_queue *in = open_queue(sender, queues[_i].name);
	struct mempool_queue *out = open_queue(receiver, queues[_i].name);
	uint32_t capacity = queues[_i].capacity, sent = 0, taken = 0, oldest;

	for (uint32_t round = 0; round < 5; round++) {
		while (sent - taken < capacity) {
			ck_assert_int_eq(evict_number(in, sent++, &oldest), 0);
			ck_assert_uint_eq(oldest, NONE);
		}
		for (uint32_t i = 0; i < 2 * capacity + round; i++) {
			ck_assert_int_eq(evict_number(in, sent++, &oldest), 0);
			ck_assert_uint_eq(oldest, taken++);
		}
		for (uint32_t i = 0; i <= round % capacity; i++)
			must_receive(out, taken++);
	}
	while (taken < sent)
		must_receive(out, taken++);
	must_be_empty(out);
	mempool_queue_close(in);
	mempool_queue_close(out);
	ck_assert_uint_eq(test_segment_used(segment, 0), 0);
	must_be_sound();
}
END_TEST

/* What could not be sent takes nothing out, and says that it did not. */
START_TEST(test_queue_evict_bad_calls_take_nothing_out)
{
	void *chunk, *shared, *oldest;
	uint64_t handle;

	for (uint32_t i = 0; i < CAPACITY; i++)
		must_send(to, i);
	chunk = message(1);
	shared = message(2);
	ck_assert_int_eq(mempool_share(sender, shared, 1, &handle), 0);
	oldest = chunk;
	ck_assert_int_eq(mempool_queue_send_evict(NULL, chunk, 1, &oldest, NULL), -EINVAL);
	ck_assert_ptr_null(oldest);
	ck_assert_int_eq(mempool_queue_send_evict(to, chunk, 1, NULL, NULL), -EINVAL);
	oldest = chunk;
	ck_assert_int_eq(mempool_queue_send_evict(to, NULL, 1, &oldest, NULL), -EINVAL);
	ck_assert_ptr_null(oldest);
	ck_assert_int_eq(mempool_queue_send_evict(to, (char *)chunk + 1, 1, &oldest, NULL), -EINVAL);
	ck_assert_int_eq(mempool_queue_send_evict(to, chunk, CHUNK_SIZE + 1, &oldest, NULL),
			 -EMSGSIZE);
	ck_assert_int_eq(mempool_queue_send_evict(from, chunk, 1, &oldest, NULL), -EPERM);
	ck_assert_int_eq(mempool_queue_send_evict(to, shared, 1, &oldest, NULL), -EBUSY);
	ck_assert_ptr_null(oldest);
	ck_assert_int_eq(mempool_free(sender, shared), 0);
	ck_assert_int_eq(mempool_free(sender, chunk), 0);
	for (uint32_t i = 0; i < CAPACITY; i++)
		must_receive(from, i);
	must_be_empty(from);
}
END_TEST

/* What was taken out is freed by a close as all that is held, and the counts know it. */
START_TEST(test_queue_evict_taken_out_is_held)
{
	struct queue queue = view_of("q");
	void *oldest;

	for (uint32_t i = 0; i < CAPACITY; i++)
		must_send(to, i);
	ck_assert_int_eq(mempool_queue_send_evict(to, message(CAPACITY), 4, &oldest, NULL), 0);
	ck_assert_uint_eq(*(uint32_t *)oldest, 0);
	must_count(&queue, CAPACITY + 1, 1);
	ck_assert_uint_eq(test_segment_used(segment, 0), CAPACITY + 1);
	mempool_client_close(sender);
	ck_assert_uint_eq(test_segment_used(segment, 0), CAPACITY);
	for (uint32_t i = 1; i <= CAPACITY; i++)
		must_receive(from, i);
	ck_assert_int_eq(mempool_queue_send_evict(to, oldest, 4, &oldest, NULL), -ENOTCONN);
	ck_assert_ptr_null(oldest);
	mempool_queue_close(to);
	sender = client_of(holder_first_client(segment));
	to = open_queue(sender, "q");
}
END_TEST

/* ---- the end of a client ---- */

START_TEST(test_queue_of_closed_client_enotconn)
{
	void *chunk, *chunks[1] = { NULL };
	size_t length = 0;

	must_send(to, 1);
	mempool_client_close(sender);
	ck_assert_int_eq(mempool_queue_send(to, &chunk, 0, 0), -ENOTCONN);
	ck_assert_int_eq(mempool_queue_receive(to, &chunk, NULL, -1), -ENOTCONN);
	ck_assert_int_eq(mempool_queue_send_many(to, chunks, &length, 1, 0), -ENOTCONN);
	ck_assert_int_eq(mempool_queue_receive_many(to, chunks, NULL, 1, 0), -ENOTCONN);
	mempool_queue_close(to);

	/* What it sent is there all the same. */
	must_receive(from, 1);
	sender = client_of(holder_first_client(segment));
	to = open_queue(sender, "q");
}
END_TEST

START_TEST(test_queue_in_forked_child_echild)
{
	struct mempool_queue *queue = NULL;
	void *chunk;
	int status;
	pid_t pid;

	if (!test_fork_wipes())
		return;
	ck_assert_int_eq(madvise(segment->memory.base, segment->memory.size, MADV_DONTFORK), 0);
	pid = fork();
	if (pid == 0) {
		if (mempool_queue_send(to, &chunk, 0, 0) != -ECHILD)
			_exit(1);
		if (mempool_queue_receive(from, &chunk, NULL, -1) != -ECHILD)
			_exit(2);
		if (mempool_queue_open(sender, "q", &queue) != -ECHILD)
			_exit(3);
		mempool_queue_close(to);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	must_send(to, 5);
	must_receive(from, 5);
}
END_TEST

/* It keeps the mapping for its handle; the child has none, and something else in its place. */
START_TEST(test_queue_of_closed_client_closed_in_forked_child_unmaps_nothing)
{
	struct segment *again = test_segment_map_again(segment);
	void *base = again->memory.base;
	size_t size = again->memory.size;
	struct mempool_client *client;
	struct mempool_queue *queue;
	unsigned char resident;
	int status;
	pid_t pid;

	if (!test_fork_wipes())
		return;
	ck_assert_int_eq(madvise(base, size, MADV_DONTFORK), 0);
	ck_assert_int_eq(client_new(again, holder_first_client(segment) + 2, 0, &client), 0);
	queue = open_queue(client, "q");
	ck_assert_int_eq(mempool_client_close(client), 0);
	pid = fork();
	if (pid == 0) {
		/* In the way where fork ignores MADV_DONTFORK. */
		if (mmap(base, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
			 -1, 0) != base)
			_exit(0);
		mempool_queue_close(queue);
		_exit(mincore(base, 4096, &resident) == 0 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	mempool_queue_close(queue);
}
END_TEST

/* ---- the dead, and the hostile ---- */

START_TEST(test_queue_published_outlives_its_sender)
{
	struct queue queue = view_of("q");
	void *unsent = message(9), *chunk;
	uint32_t index, id = sender->holder;
	const struct pool *pool;
	uint64_t word;

	must_send(to, 1);
	must_send(to, 2);
	/* Killed between the word and the slot. */
	ck_assert_int_eq(client_locate(sender, unsent, &pool, &index), 0);
	word = atomic_load(&pool->entries[index].word);
	atomic_store(&pool->entries[index].word, word_sent(word, queue.id, id));

	ck_assert_int_eq(reap_holder(segment, id), 1);
	ck_assert(word_is_free(atomic_load(&pool->entries[index].word)));
	/* Its id may be used again: the messages no longer name it. */
	ck_assert_int_eq(reap_holder(segment, id), 0);
	ck_assert_int_eq(mempool_queue_receive(from, &chunk, NULL, 0), 0);
	ck_assert_uint_eq(*(uint32_t *)chunk, 1);
	ck_assert_int_eq(reap_holder(segment, receiver->holder), 1);
	must_receive(from, 2);
	must_be_empty(from);
	must_be_sound();
}
END_TEST

static struct mempool_entry *entry_of(uint64_t handle)
{
	return &segment->pools[handle_pool(handle)].entries[handle_index(handle)];
}

/* Received, but its slot not emptied: whoever comes next does that. */
static void receive_half(uint32_t number)
{
	struct queue queue = view_of("q");
	uint64_t at = atomic_load(&queue.ring->head), handle;
	struct mempool_entry *entry;

	do {
		handle = atomic_load(&queue.slots[at++ & queue.mask]);
		entry = entry_of(handle);
	} while (word_kind(atomic_load(&entry->word)) != MEMPOOL_SENT);
	ck_assert_uint_eq(*(uint32_t *)pool_chunk(&segment->pools[0], handle_index(handle)),
			  number);
	atomic_store(&entry->word, word_taken(atomic_load(&entry->word), receiver->holder));
}

START_TEST(test_queue_half_received_is_finished_by_the_next)
{
	struct queue_tally tally = { .is_over = false };
	struct queue queue = view_of("q");

	for (uint32_t i = 0; i < CAPACITY; i++)
		must_send(to, i);
	ck_assert_int_eq(send_number(to, 99, 0), -EAGAIN);
	receive_half(0);
	must_send(to, CAPACITY);			/* by a sender to a full queue */
	receive_half(1);
	must_receive(from, 2);				/* by the next receiver */
	receive_half(3);
	queue_help(&queue);				/* by the reaper */
	ck_assert_uint_eq(atomic_load(&queue.ring->head), 4);
	queue_tally_go_on(&tally, &queue, NULL);
	ck_assert_uint_eq(tally.n_messages, CAPACITY - 3);
	for (uint32_t i = 4; i <= CAPACITY; i++)
		must_receive(from, i);
	must_be_empty(from);
	ck_assert_int_eq(reap_holder(segment, receiver->holder), 3);
	must_be_sound();
}
END_TEST

/* A slot as it is when the message of this position is gone. */
static uint64_t empty_after(uint64_t position)
{
	uint64_t round = position / CAPACITY + 1;

	return handle_make(0, MEMPOOL_POOL_NONE, (uint32_t)round);
}

START_TEST(test_queue_line_half_emptied_is_finished_by_the_next)
{
	struct queue queue = view_of("q");
	struct mempool_queue *other;

	for (uint32_t i = 0; i < CAPACITY; i++)
		must_send(to, i);
	for (uint32_t i = 0; i < 5; i++)
		receive_half(i);
	/* Killed when it had emptied two of the five, and the head not moved. */
	for (uint64_t i = 0; i < 2; i++)
		atomic_store(&queue.slots[i], empty_after(i));

	/* Somebody who was not there before. */
	other = open_queue(sender, "q");
	if (_i == 0)
		queue_help(&queue);
	for (uint32_t i = CAPACITY; i < CAPACITY + 5; i++)
		must_send(other, i);
	ck_assert_int_eq(send_number(other, 99, 0), -EAGAIN);
	for (uint32_t i = 5; i < CAPACITY + 5; i++)
		must_receive(from, i);
	must_be_empty(from);
	mempool_queue_close(other);
	ck_assert_int_eq(reap_holder(segment, receiver->holder), 5);
	must_be_sound();
}
END_TEST

START_TEST(test_queue_head_and_tail_left_behind_are_helped)
{
	struct queue queue = view_of("q");
	struct mempool_queue *other = open_queue(sender, "q");

	for (uint32_t i = 0; i < CAPACITY; i++)
		must_send(to, i);
	ck_assert_uint_eq(atomic_load(&queue.ring->tail), CAPACITY);
	/* The last sender was killed before it moved the tail. */
	atomic_store(&queue.ring->tail, 0);
	ck_assert_int_eq(send_number(other, 99, 0), -EAGAIN);
	must_receive(from, 0);
	must_send(other, CAPACITY);
	ck_assert_int_eq(send_number(other, 99, 0), -EAGAIN);

	/* The last receiver of a line, when it had emptied all of it. */
	for (uint32_t i = 1; i <= CAPACITY; i++)
		must_receive(from, i);
	must_be_empty(from);
	for (uint32_t i = CAPACITY + 1; i < 2 * CAPACITY; i++) {
		must_send(other, i);
		must_receive(from, i);
	}
	ck_assert_uint_eq(atomic_load(&queue.ring->head), 2 * CAPACITY);
	atomic_store(&queue.ring->head, CAPACITY);
	mempool_queue_close(other);
	other = open_queue(sender, "q");
	must_send(other, 1);
	ck_assert_uint_eq(atomic_load(&queue.ring->head), 2 * CAPACITY);
	atomic_store(&queue.ring->head, CAPACITY);
	mempool_queue_close(from);
	from = open_queue(receiver, "q");
	must_receive(from, 1);
	must_be_empty(from);
	ck_assert_uint_eq(atomic_load(&queue.ring->head), 2 * CAPACITY);
	mempool_queue_close(other);
}
END_TEST

/* Word and ring of a send, without the client. */
static int push(struct queue *queue, uint32_t number)
{
	void *chunk = message(number);
	const struct pool *pool;
	uint32_t index;
	uint64_t word;
	int r;

	ck_assert_int_eq(client_locate(sender, chunk, &pool, &index), 0);
	word = word_sent(atomic_load(&pool->entries[index].word), queue->id, sender->holder);
	atomic_store(&pool->entries[index].word, word);
	r = queue_push(queue, handle_make(word_generation(word), pool->id, index));
	if (r < 0) {
		atomic_store(&pool->entries[index].word, word_claimed(word, sender->holder));
		ck_assert_int_eq(mempool_free(sender, chunk), 0);
	}
	return r;
}

/* Another thread, slow to store a place of long ago: any true one will do. */
static void set_back(_Atomic uint64_t *place, uint32_t *random)
{
	*random = *random * 1664525 + 1013904223;
	atomic_store(place, *random >> 8 & 1 ? 0 : atomic_load(place) * (*random >> 16) >> 16);
}

START_TEST(test_queue_old_places_do_no_harm)
{
	struct queue queue = view_of(queues[_i].name);
	uint32_t capacity = queues[_i].capacity, sent = 0, received = 0, random = 1;
	uint64_t handle;

	for (uint32_t turn = 0; turn < 20 * capacity; turn++) {
		for (int r = 0; r == 0; sent += r == 0) {
			set_back(&queue.sent_to, &random);
			set_back(&queue.head_seen, &random);
			r = push(&queue, sent);
			ck_assert(r == 0 || r == -EAGAIN);
		}
		ck_assert_uint_eq(sent - received, capacity);
		for (uint32_t n = turn % (capacity + 1); n > 0; n--) {
			void *chunk;

			set_back(&queue.received_to, &random);
			ck_assert_int_eq(queue_pop(&queue, receiver->holder, &handle), 0);
			chunk = pool_chunk(&segment->pools[0], handle_index(handle));
			ck_assert_uint_eq(*(uint32_t *)chunk, received++);
			ck_assert_int_eq(mempool_free(receiver, chunk), 0);
		}
		if (sent == received)
			ck_assert_int_eq(queue_pop(&queue, receiver->holder, &handle), -EAGAIN);
	}
	must_be_sound();
}
END_TEST

START_TEST(test_queue_garbage_in_slots_is_skipped)
{
	static const uint64_t garbage[] = {
		0,
		UINT64_C(0x0000000100000000),		/* a chunk that is FREE, or not sent */
		UINT64_C(0x00000001f0000000),		/* pool 60 */
		UINT64_C(0x0000000103ffffff),		/* index beyond the pool's end */
		UINT64_C(0x0000000108000000),		/* the ChunkManagers' pool */
		UINT64_C(0x00000001fbffffff),
	};
	struct queue queue = view_of("q");

	for (uint32_t i = 0; i < ARRAY_SIZE(garbage); i++) {
		must_send(to, 2 * i);
		atomic_store(&queue.slots[(3 * i + 1) & queue.mask], garbage[i]);
		must_send(to, 2 * i + 1);
		must_receive(from, 2 * i);
		must_receive(from, 2 * i + 1);
		must_be_empty(from);
	}

	/* A full ring of it. */
	for (uint32_t i = 0; i < CAPACITY; i++)
		must_send(to, i);
	for (uint32_t i = 0; i < CAPACITY; i++)
		atomic_store(&queue.slots[i], UINT64_C(0x00000001f0000000));
	must_send(to, 100);
	queue_help(&queue);
	must_receive(from, 100);
	must_be_empty(from);
}
END_TEST

static void damage(uint64_t head, uint64_t tail, uint64_t slots)
{
	struct queue queue = view_of("q");

	atomic_store(&queue.ring->head, head);
	atomic_store(&queue.ring->tail, tail);
	for (uint64_t slot = 0; slot <= queue.mask; slot++)
		atomic_store(&queue.slots[slot], slots);
}

/* Each of these could keep a call busy for ever. */
START_TEST(test_queue_damaged_ring_ebadmsg)
{
	static const struct {
		uint64_t head, tail, slots;
		int send, receive;
	} damages[] = {
		/* A round that is not this one's or the next's, at the head or the tail. */
		{ 0, 0, UINT64_C(0x00000000fc000002), -EBADMSG, -EBADMSG },
		{ 9 * CAPACITY, 9 * CAPACITY, UINT64_C(0x00000000fc000001), -EBADMSG, -EBADMSG },
		{ 0, CAPACITY, UINT64_C(0x00000000fc000007), -EBADMSG, -EBADMSG },
		/* Further from each other than a queue lets them. */
		{ 1000, 0, UINT64_C(0x00000000fc000000), 0, -EBADMSG },
		{ 0, UINT64_C(1) << 62, UINT64_C(0x00000000fc000000), -EBADMSG, -EAGAIN },
		{ 7, UINT64_C(1) << 62, 1, -EBADMSG, -EAGAIN },
		/* Handles of nothing, everywhere: they are let go. */
		{ 1000, 0, 1, 0, -EAGAIN },
		{ UINT64_C(1) << 62, 3, 1, 0, -EAGAIN },
		{ 7, 7 + CAPACITY, 1, 0, -EAGAIN },
		/* The first of them emptied: half a line, but of no round. */
		{ 3, 9, UINT64_C(0x00000000fc000009), -EBADMSG, -EBADMSG },
	};
	void *got;

	for (uint32_t i = 0; i < ARRAY_SIZE(damages); i++) {
		struct mempool_queue *in = open_queue(sender, "q");
		struct mempool_queue *out = open_queue(receiver, "q");

		damage(damages[i].head, damages[i].tail, damages[i].slots);
		ck_assert_int_eq(mempool_queue_receive(out, &got, NULL, 0),
				 damages[i].receive);
		damage(damages[i].head, damages[i].tail, damages[i].slots);
		ck_assert_int_eq(send_number(in, i, 0), damages[i].send);
		if (damages[i].send == 0)
			must_receive(from, i);

		/* Empty: whom the damage led astray comes back, once it is gone. */
		damage(4 * CAPACITY, 4 * CAPACITY, empty_after(3 * CAPACITY));
		if (send_number(in, i, 0) < 0)
			must_send(in, i);
		must_receive(out, i);
		must_be_empty(out);
		mempool_queue_close(in);
		mempool_queue_close(out);
	}
}
END_TEST

START_TEST(test_queue_old_handle_is_not_received_again)
{
	struct queue queue = view_of("q");
	uint64_t handle;
	void *chunk;

	must_send(to, 1);
	handle = atomic_load(&queue.slots[0]);
	ck_assert_int_eq(mempool_queue_receive(from, &chunk, NULL, 0), 0);
	atomic_store(&queue.slots[1], handle);
	must_be_empty(from);
	/* Nor that of a message to another queue. */
	handle = handle_make(7, 0, 50);
	atomic_store(&segment->pools[0].entries[50].word,
		     word_make(7, MEMPOOL_SENT, (queue.id + 1) << 15 | sender->holder));
	atomic_store(&queue.slots[2], handle);
	must_be_empty(from);
	must_send(to, 2);
	must_receive(from, 2);
	ck_assert_int_eq(mempool_free(receiver, chunk), 0);
}
END_TEST

START_TEST(test_queue_view_checks_the_ring)
{
	struct queue queue;

	ck_assert_int_eq(queue_view(&queue, segment, 0), -ENOENT);	/* the topic */
	ck_assert_int_eq(queue_view(&queue, segment, 4), -EINVAL);
	ck_assert_int_eq(queue_view(&queue, segment, UINT32_MAX), -EINVAL);
	ck_assert_int_eq(queue_find(segment, "q", MEMPOOL_RING_TOPIC), -ENOENT);
	ck_assert_int_eq(queue_find(segment, "t", MEMPOOL_RING_QUEUE), -ENOENT);
	ck_assert_int_eq(queue_find(segment, "t", MEMPOOL_RING_TOPIC), 0);
}
END_TEST

/* ---- at the same time ---- */

enum {
	THREADS = 3,			/* senders, and as many receivers */
	MESSAGES = MEMPOOL_SANITIZED ? 1000 : 10000,	/* of each sender */
	STOP = THREADS,
};

static _Atomic unsigned char n_seen[THREADS][MESSAGES];
static _Atomic uint32_t n_ended;

struct worker {
	struct mempool_client *client;
	struct mempool_queue *queue;
	uint32_t number;
	const char *(*run)(struct worker *worker);	/* NULL, or what went wrong */
	const char *fault;
	pthread_t thread;
};

static uint32_t *must_alloc(struct mempool_client *client)
{
	uint32_t *chunk;

	while (!(chunk = mempool_alloc(client, 3 * sizeof(*chunk))))
		sched_yield();
	return chunk;
}

static const char *send_all(struct worker *worker)
{

	for (uint32_t i = 0; i < MESSAGES; i++) {
		uint32_t *chunk = must_alloc(worker->client);

		chunk[0] = worker->number;
		chunk[1] = i;
		chunk[2] = i ^ worker->number;
		if (mempool_queue_send(worker->queue, chunk, 12, -1) < 0)
			return "not sent";
	}
	return NULL;
}

/* NULL, or what is wrong with it. */
static const char *note(const uint32_t *chunk, uint32_t next[THREADS], bool *ret_stop)
{
	uint32_t by = chunk[0], sequence = chunk[1];

	*ret_stop |= by == STOP;
	if (by == STOP)
		return NULL;
	if (by > STOP || sequence >= MESSAGES || chunk[2] != (sequence ^ by))
		return "mixed up";
	if (sequence < next[by])
		return "out of order";
	next[by] = sequence + 1;
	return n_seen[by][sequence]++ == 0 ? NULL : "received twice";
}

static const char *receive_all(struct worker *worker)
{
	uint32_t next[THREADS] = { 0 };
	bool stop = false;

	while (!stop) {
		void *chunks[5];
		ssize_t n = mempool_queue_receive_many(worker->queue, chunks, NULL,
						       worker->number == 0 ? 1 : 5, -1);

		if (n < 0)
			return "not received";
		for (ssize_t i = 0; i < n; i++) {
			const char *fault = note(chunks[i], next, &stop);

			if (fault)
				return fault;
			if (mempool_free(worker->client, chunks[i]) < 0)
				return "not ours";
		}
	}
	n_ended++;
	return NULL;
}

/* As send_all(), and what it takes out it has received. */
static const char *evict_all(struct worker *worker)
{
	uint32_t next[THREADS] = { 0 };
	bool stop = false;

	for (uint32_t i = 0; i < MESSAGES; i++) {
		uint32_t *chunk = must_alloc(worker->client);
		int r;

		chunk[0] = worker->number;
		chunk[1] = i;
		chunk[2] = i ^ worker->number;
		do {
			const char *fault;
			void *oldest;

			r = mempool_queue_send_evict(worker->queue, chunk, 12, &oldest, NULL);
			if (!oldest)
				continue;
			fault = note(oldest, next, &stop);
			if (fault)
				return fault;
			if (mempool_free(worker->client, oldest) < 0)
				return "not ours";
		} while (r == -EAGAIN);
		if (r < 0)
			return "not sent";
	}
	return stop ? "a stop among the messages" : NULL;
}

static void *run_worker(void *userdata)
{
	struct worker *worker = userdata;

	worker->fault = worker->run(worker);
	return NULL;
}

static void start(struct worker workers[THREADS], struct mempool_client *client,
		  const char *queue, const char *(*run)(struct worker *worker))
{
	for (uint32_t i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){
			.client = client,
			.queue = open_queue(client, queue),
			.number = i,
			.run = run,
		};
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, run_worker,
						&workers[i]), 0);
	}
}

static void join(struct worker workers[THREADS])
{
	for (uint32_t i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		ck_assert_msg(!workers[i].fault, "%s", workers[i].fault);
		mempool_queue_close(workers[i].queue);
	}
}

/* Few chunks, a short queue: everyone sleeps and wakes all the time. */
START_TEST(test_queue_threads_lose_double_reorder_nothing)
{
	struct worker senders[THREADS], receivers[THREADS];
	struct mempool_queue *queue = open_queue(sender, queues[_i].name);
	void *chunk;

	start(receivers, receiver, queues[_i].name, receive_all);
	start(senders, sender, queues[_i].name, send_all);
	join(senders);
	while (n_ended < THREADS)
		send_number(queue, STOP, MS);
	join(receivers);
	for (uint32_t by = 0; by < THREADS; by++)
		for (uint32_t i = 0; i < MESSAGES; i++)
			ck_assert_int_eq(n_seen[by][i], 1);

	while (mempool_queue_receive(queue, &chunk, NULL, 0) == 0)
		ck_assert_int_eq(mempool_free(sender, chunk), 0);
	mempool_queue_close(queue);
	ck_assert_uint_eq(test_segment_used(segment, 0), 0);
	must_be_sound();
}
END_TEST

/* Senders take out what others have just sent, and receivers sleep and wake. */
START_TEST(test_queue_threads_evict_each_is_received_or_taken_out)
{
	struct worker evictors[THREADS], receivers[THREADS];
	struct mempool_queue *queue = open_queue(sender, queues[_i].name);
	void *chunk;

	start(receivers, receiver, queues[_i].name, receive_all);
	start(evictors, sender, queues[_i].name, evict_all);
	join(evictors);
	while (n_ended < THREADS)
		send_number(queue, STOP, MS);
	join(receivers);
	for (uint32_t by = 0; by < THREADS; by++)
		for (uint32_t i = 0; i < MESSAGES; i++)
			ck_assert_int_eq(n_seen[by][i], 1);

	while (mempool_queue_receive(queue, &chunk, NULL, 0) == 0)
		ck_assert_int_eq(mempool_free(sender, chunk), 0);
	mempool_queue_close(queue);
	ck_assert_uint_eq(test_segment_used(segment, 0), 0);
	must_be_sound();
}
END_TEST

/* A round of the queue goes by between two instructions of whoever is interrupted. */
static struct queue interrupted;
static uint64_t in_turn;		/* the handle that goes round */
static _Atomic uint32_t n_rounds, n_wrong;

static void go_round(int number)
{
	struct mempool_ring *ring = interrupted.ring;
	struct mempool_entry *entry = &segment->pools[0].entries[handle_index(in_turn)];
	uint64_t handle, slot, word;

	(void)number;
	/* What the last turn left is finished here, or was by the one whom we interrupt. */
	if (queue_pop(&interrupted, receiver->holder, &handle) != -EAGAIN)
		n_wrong++;
	slot = atomic_load(&interrupted.slots[0]);
	if (((slot >> 32) << 26 | handle_index(slot)) != atomic_load(&ring->head)) {
		n_wrong++;
		return;			/* a push would not end */
	}
	word = word_sent(atomic_load(&entry->word), interrupted.id, sender->holder);
	atomic_store(&entry->word, word);
	in_turn = handle_make(word_generation(word), 0, handle_index(in_turn));
	if (queue_push(&interrupted, in_turn) < 0)
		n_wrong++;
	/* Received, but the slot not emptied. */
	atomic_store(&entry->word, word_taken(word, receiver->holder));
	n_rounds++;
}

/*
 * queue_help() emptied slots for a round that was over: it had not looked at the head again
 * after the slot, which by then held a message of the next round. The slot was lost.
 */
START_TEST(test_queue_help_interrupted_for_a_round_costs_no_slot)
{
	struct itimerval interval = { { 0, 20 }, { 0, 20 } }, none = { { 0, 0 }, { 0, 0 } };
	struct sigaction action = { .sa_handler = go_round };
	int64_t end = now_ns() + 2000 * MS;

	interrupted = view_of("one");
	ck_assert_uint_eq(interrupted.mask, 0);
	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	in_turn = handle_make(0, 0, 7);
	go_round(0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &interval, NULL), 0);
	while (n_rounds < 20000 && n_wrong == 0 && (n_rounds < 10 || now_ns() < end))
		for (int i = 0; i < 100; i++)
			queue_help(&interrupted);
	setitimer(ITIMER_REAL, &none, NULL);
	ck_assert_uint_eq(n_wrong, 0);
	ck_assert_int_eq(reap_holder(segment, receiver->holder), 1);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test_queue_holds_exactly_its_capacity, 0,
			    ARRAY_SIZE(queues));
	tcase_add_test(tcase, test_queue_full_gives_the_room_there_is);
	tcase_add_test(tcase, test_queue_keeps_order_over_many_rounds);
	tcase_add_test(tcase, test_queue_carries_length_and_tag);
	tcase_add_test(tcase, test_queue_bad_calls_change_nothing);
	tcase_add_test(tcase, test_queue_sent_is_no_longer_the_senders);
	tcase_add_test(tcase, test_queue_many_sends_what_fits);
	tcase_add_test(tcase, test_queue_timeout_is_kept);
	tcase_add_test(tcase, test_queue_signal_ends_a_wait);
	tcase_add_test(tcase, test_queue_of_closed_client_enotconn);
	tcase_add_test(tcase, test_queue_in_forked_child_echild);
	tcase_add_test(tcase,
		       test_queue_of_closed_client_closed_in_forked_child_unmaps_nothing);
	tcase_add_test(tcase, test_queue_published_outlives_its_sender);
	tcase_add_test(tcase, test_queue_half_received_is_finished_by_the_next);
	tcase_add_loop_test(tcase, test_queue_line_half_emptied_is_finished_by_the_next, 0, 2);
	tcase_add_test(tcase, test_queue_head_and_tail_left_behind_are_helped);
	tcase_add_loop_test(tcase, test_queue_old_places_do_no_harm, 0, ARRAY_SIZE(queues));
	tcase_add_test(tcase, test_queue_garbage_in_slots_is_skipped);
	tcase_add_test(tcase, test_queue_damaged_ring_ebadmsg);
	tcase_add_test(tcase, test_queue_old_handle_is_not_received_again);
	tcase_add_test(tcase, test_queue_view_checks_the_ring);
	tcase_add_loop_test(tcase, test_queue_threads_lose_double_reorder_nothing, 0,
			    ARRAY_SIZE(queues));
	tcase_add_loop_test(tcase, test_queue_evict_takes_the_oldest_of_a_full_queue_alone, 0,
			    ARRAY_SIZE(queues));
	tcase_add_test(tcase, test_queue_evict_bad_calls_take_nothing_out);
	tcase_add_test(tcase, test_queue_evict_taken_out_is_held);
	tcase_add_loop_test(tcase, test_queue_threads_evict_each_is_received_or_taken_out, 0,
			    ARRAY_SIZE(queues));
	tcase_add_test(tcase, test_queue_help_interrupted_for_a_round_costs_no_slot);
}

int main(void)
{
	return test_run("queue", add_tests);
}
