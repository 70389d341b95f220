/* SPDX-License-Identifier: MIT */
/* test-role.c - queues that one thread alone sends to, or receives from: who may, and what a kill leaves */
#include "test_segment.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/bound.h"
#include "client/client.h"
#include "client/locate.h"
#include "shm/audit.h"
#include "shm/drain.h"
#include "shm/holder.h"
#include "shm/queue.h"
#include "shm/reap.h"
#include "shm/role.h"

enum { N_CHUNKS = 100, CHUNK_SIZE = 64, CAPACITY = 8, LONG = 256 };
#define MS INT64_C(1000000)
#define BOTH (MEMPOOL_RING_ONE_SENDER | MEMPOOL_RING_ONE_RECEIVER)

/* All four kinds, and a queue of one place. */
static const struct kind {
	const char *name;
	uint64_t capacity;
	uint32_t flags;
} kinds[] = {
	{ "many", CAPACITY, 0 },
	{ "from-one", CAPACITY, MEMPOOL_RING_ONE_SENDER },
	{ "to-one", CAPACITY, MEMPOOL_RING_ONE_RECEIVER },
	{ "pair", CAPACITY, BOTH },
	{ "single", 1, BOTH },
	{ "long", 256, BOTH },
};
enum { FROM_ONE = 1, TO_ONE = 2, PAIR = 3, LONG_ONE = 5 };

static struct segment *segment;
static struct mempool_client *sender, *receiver;

static struct mempool_client *client_at(uint32_t i, uint64_t flags)
{
	struct mempool_client *made;

	ck_assert_int_eq(client_new(test_segment_view(segment), holder_first_client(segment) + i,
				    flags, &made), 0);
	return made;
}

static void setup(void)
{
	static const struct test_pool pools[] = {
		{ .chunk_size = CHUNK_SIZE, .n_chunks = N_CHUNKS },
	};
	struct config config;

	test_config_init(&config, pools, ARRAY_SIZE(pools));
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		ck_assert_int_eq(config_add_ring(&config, kinds[i].name, MEMPOOL_RING_QUEUE,
						 kinds[i].capacity), 0);
		config.rings[i].flags = kinds[i].flags;
	}
	segment = test_segment_new_of(&config);
	config_deinit(&config);
	sender = client_at(0, 0);
	receiver = client_at(1, 0);
}

static void teardown(void)
{
	mempool_client_close(sender);
	mempool_client_close(receiver);
	segment_free(segment);
}

static struct mempool_queue *open_queue(struct mempool_client *client, const char *name)
{
	struct mempool_queue *queue;

	ck_assert_int_eq(mempool_queue_open(client, name, &queue), 0);
	return queue;
}

static int open_with(struct mempool_client *client, const char *name, uint64_t flags,
		     struct mempool_queue **ret_queue)
{
	const struct mempool_queue_options options = { .size = sizeof(options), .flags = flags };

	return mempool_queue_open_with(client, name, &options, ret_queue);
}

static int send_by(struct mempool_client *client, struct mempool_queue *queue, uint32_t number,
		   int64_t timeout_ns)
{
	uint32_t *chunk = mempool_alloc(client, CHUNK_SIZE);
	int r;

	ck_assert_ptr_nonnull(chunk);
	*chunk = number;
	r = mempool_queue_send(queue, chunk, sizeof(number), timeout_ns);
	if (r < 0)
		ck_assert_int_eq(mempool_free(client, chunk), 0);
	return r;
}

static void must_send(struct mempool_queue *queue, uint32_t number)
{
	ck_assert_int_eq(send_by(sender, queue, number, 0), 0);
}

static void must_receive_by(struct mempool_client *client, struct mempool_queue *queue,
			    uint32_t number)
{
	void *chunk;
	size_t length;

	ck_assert_int_eq(mempool_queue_receive(queue, &chunk, &length, 0), 0);
	ck_assert_uint_eq(length, sizeof(number));
	ck_assert_uint_eq(*(uint32_t *)chunk, number);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
}

static void must_receive(struct mempool_queue *queue, uint32_t number)
{
	must_receive_by(receiver, queue, number);
}

static void receive_fails(struct mempool_queue *queue, int error)
{
	void *chunk;

	ck_assert_int_eq(mempool_queue_receive(queue, &chunk, NULL, 0), error);
}

static struct queue view_of(uint32_t kind)
{
	struct queue queue;

	ck_assert_int_eq(queue_view(&queue, segment, kind), 0);
	return queue;
}

static uint32_t holder_of(uint32_t kind, enum mempool_end_kind end)
{
	return role_holder(role_look(&segment->rings[kind], end));
}

static void must_be_sound(void)
{
	struct audit audit;

	ck_assert_int_eq(audit_segment(segment, AUDIT_REAPED, NULL, NULL, &audit), 0);
	ck_assert_uint_eq(audit.n_faults, 0);
}

static uint64_t count_faults(void)
{
	struct audit audit;

	ck_assert_int_eq(audit_segment(segment, AUDIT_REAPED, NULL, NULL, &audit), 0);
	return audit.n_faults;
}

/* In a thread of its own, which ends then. */
static void in_thread(void *(*run)(void *), void *argument)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, run, argument), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

/* ---- what goes through ---- */

START_TEST(test_role_queue_holds_exactly_its_capacity)
{
	struct mempool_queue *in = open_queue(sender, kinds[_i].name);
	struct mempool_queue *out = open_queue(receiver, kinds[_i].name);
	uint32_t capacity = (uint32_t)kinds[_i].capacity, sent = 0, received = 0;

	for (uint32_t turn = 0; turn < 10 * capacity; turn++) {
		while (send_by(sender, in, sent, 0) == 0)
			sent++;
		ck_assert_uint_eq(sent - received, capacity);
		for (uint32_t i = 0; i <= turn % capacity; i++)
			must_receive(out, received++);
	}
	while (received < sent)
		must_receive(out, received++);
	receive_fails(out, -EAGAIN);
	mempool_queue_close(in);
	mempool_queue_close(out);
	ck_assert_uint_eq(test_segment_used(segment, 0), 0);
	must_be_sound();
}
END_TEST

START_TEST(test_role_many_at_once_and_timeouts)
{
	struct mempool_queue *in = open_queue(sender, kinds[_i].name);
	struct mempool_queue *out = open_queue(receiver, kinds[_i].name);
	uint32_t capacity = (uint32_t)kinds[_i].capacity;
	void *chunks[CAPACITY + 1], *received[CAPACITY + 1];
	size_t lengths[CAPACITY + 1];

	for (uint32_t i = 0; i <= capacity; i++) {
		chunks[i] = mempool_alloc(sender, CHUNK_SIZE);
		lengths[i] = i;
	}
	ck_assert_int_eq(mempool_queue_receive(out, received, NULL, MS), -EAGAIN);
	ck_assert_int_eq(mempool_queue_send_many(in, chunks, lengths, capacity + 1, MS), capacity);
	ck_assert_int_eq(mempool_queue_send(in, chunks[capacity], 1, MS), -EAGAIN);
	/* It is ours still, and can be sent again. */
	ck_assert_int_eq(mempool_usable_size(sender, chunks[capacity]), CHUNK_SIZE);
	ck_assert_int_eq(mempool_queue_receive_many(out, received, lengths, capacity + 1, 0),
			 capacity);
	for (uint32_t i = 0; i < capacity; i++) {
		ck_assert_uint_eq(lengths[i], i);
		ck_assert_int_eq(mempool_free(receiver, received[i]), 0);
	}
	ck_assert_int_eq(mempool_queue_send(in, chunks[capacity], 1, MS), 0);
	ck_assert_int_eq(mempool_queue_receive(out, received, NULL, MS), 0);
	ck_assert_int_eq(mempool_free(receiver, received[0]), 0);
	mempool_queue_close(in);
	mempool_queue_close(out);
	must_be_sound();
}
END_TEST

/* So many chunks of the sender that say which they are. */
static void alloc_numbers(struct mempool_client *client, void **chunks, size_t *lengths, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		chunks[i] = mempool_alloc(client, CHUNK_SIZE);
		ck_assert_ptr_nonnull(chunks[i]);
		*(uint32_t *)chunks[i] = i;
		lengths[i] = sizeof(uint32_t);
	}
}

static void must_be_ours(struct mempool_client *client, void *const *chunks, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		ck_assert_int_ge(mempool_usable_size(client, chunks[i]), 4);
		ck_assert_uint_eq(*(uint32_t *)chunks[i], i);
	}
}

/* Which kinds may. */
static bool sends_all(const struct kind *kind)
{
	return kind->flags & MEMPOOL_RING_ONE_SENDER;
}

START_TEST(test_role_all_or_none)
{
	struct mempool_queue *in = open_queue(sender, kinds[_i].name);
	struct mempool_queue *out = open_queue(receiver, kinds[_i].name);
	uint32_t capacity = (uint32_t)kinds[_i].capacity;
	void *chunks[CAPACITY + 1];
	size_t lengths[CAPACITY + 1];

	alloc_numbers(sender, chunks, lengths, capacity + 1);
	if (!sends_all(&kinds[_i])) {
		ck_assert_int_eq(mempool_queue_send_all(in, chunks, lengths, 1, 0), -EOPNOTSUPP);
		must_be_ours(sender, chunks, capacity + 1);
		mempool_queue_close(in);
		mempool_queue_close(out);
		return;
	}
	ck_assert_int_eq(mempool_queue_send_all(in, chunks, lengths, capacity, 0), 0);
	for (uint32_t i = 0; i < capacity; i++)
		must_receive(out, i);
	/* From each place of the ring; all but the last one of a round are in it. */
	for (uint32_t n = 1; n <= capacity; n++) {
		uint32_t n_before = capacity - n + 1;

		for (uint32_t i = 0; i < n_before; i++)
			must_send(in, i);
		alloc_numbers(sender, chunks, lengths, n);
		ck_assert_int_eq(mempool_queue_send_all(in, chunks, lengths, n, 0), -EAGAIN);
		ck_assert_int_eq(mempool_queue_send_all(in, chunks, lengths, n, MS), -EAGAIN);
		must_be_ours(sender, chunks, n);
		must_receive(out, 0);
		ck_assert_int_eq(mempool_queue_send_all(in, chunks, lengths, n, 0), 0);
		for (uint32_t i = 1; i < n_before; i++)
			must_receive(out, i);
		for (uint32_t i = 0; i < n; i++)
			must_receive(out, i);
		receive_fails(out, -EAGAIN);
	}
	mempool_queue_close(in);
	mempool_queue_close(out);
	must_be_sound();
}
END_TEST

/* Each of these fails at its last chunk, and leaves the ones before as they were. */
START_TEST(test_role_all_of_bad_chunks_none)
{
	struct mempool_client *client = client_at(0, _i ? MEMPOOL_CLIENT_DEBUG : 0);
	struct mempool_queue *in = open_queue(client, "pair"), *out = open_queue(receiver, "pair");
	void *chunks[3], *foreign = mempool_alloc(receiver, CHUNK_SIZE);
	size_t lengths[3];

	alloc_numbers(client, chunks, lengths, 3);
	lengths[2] = CHUNK_SIZE + 1;
	ck_assert_int_eq(mempool_queue_send_all(in, chunks, lengths, 3, 0), -EMSGSIZE);
	lengths[2] = 4;
	must_be_ours(client, chunks, 3);
	ck_assert_int_eq(mempool_queue_send_all(in, (void *[]){ chunks[0], chunks[1], foreign }, lengths, 3,
						0), -EPERM);
	ck_assert_int_eq(mempool_queue_send_all(in, (void *[]){ chunks[0], chunks[1], chunks[0] }, lengths, 3,
						0), -EPERM);
	ck_assert_int_eq(mempool_queue_send_all(in, (void *[]){ chunks[0], chunks[1], NULL }, lengths, 3, 0),
			 -EINVAL);
	must_be_ours(client, chunks, 3);
	receive_fails(out, -EAGAIN);
	ck_assert_int_eq(mempool_queue_send_all(in, chunks, lengths, 3, 0), 0);
	for (uint32_t i = 0; i < 3; i++)
		must_receive(out, i);
	ck_assert_int_eq(mempool_free(receiver, foreign), 0);
	mempool_queue_close(in);
	mempool_queue_close(out);
	mempool_client_close(client);
	must_be_sound();
}
END_TEST

START_TEST(test_role_all_of_bad_calls)
{
	struct mempool_queue *in = open_queue(sender, "pair"), *other = open_queue(sender, "pair");
	void *chunks[CAPACITY + 1];
	size_t lengths[CAPACITY + 1];

	alloc_numbers(sender, chunks, lengths, CAPACITY + 1);
	ck_assert_int_eq(mempool_queue_send_all(NULL, chunks, lengths, 1, 0), -EINVAL);
	ck_assert_int_eq(mempool_queue_send_all(in, NULL, lengths, 1, 0), -EINVAL);
	ck_assert_int_eq(mempool_queue_send_all(in, chunks, NULL, 1, 0), -EINVAL);
	ck_assert_int_eq(mempool_queue_send_all(in, chunks, lengths, 0, 0), -EINVAL);
	/* It would wait for ever. */
	ck_assert_int_eq(mempool_queue_send_all(in, chunks, lengths, CAPACITY + 1, -1), -EINVAL);
	ck_assert_int_eq(mempool_queue_send_all(in, chunks, lengths, SIZE_MAX, -1), -EINVAL);
	must_be_ours(sender, chunks, CAPACITY + 1);
	/* None of these has taken the role. */
	ck_assert_int_eq(mempool_queue_send_all(other, chunks, lengths, 1, 0), 0);
	ck_assert_int_eq(mempool_queue_send_all(in, chunks + 1, lengths, 1, 0), -EBUSY);
	mempool_queue_close(in);
	mempool_queue_close(other);
}
END_TEST

static void *send_all_and_wait(void *queue)
{
	void *chunks[3];
	size_t lengths[3];

	alloc_numbers(sender, chunks, lengths, 3);
	ck_assert_int_eq(mempool_queue_send_all(queue, chunks, lengths, 3, -1), 0);
	return NULL;
}

/* Room for one, and for two, is none for three: it sleeps on, and then sends. */
START_TEST(test_role_all_wait_for_room_for_all)
{
	struct mempool_queue *in = open_queue(sender, kinds[_i].name), *out;
	struct queue queue = view_of((uint32_t)_i);
	pthread_t thread;

	out = open_queue(receiver, kinds[_i].name);
	for (uint32_t i = 0; i < CAPACITY; i++)
		must_send(in, i);
	mempool_queue_close(in);
	in = open_queue(sender, kinds[_i].name);
	ck_assert_int_eq(pthread_create(&thread, NULL, send_all_and_wait, in), 0);
	for (uint32_t i = 0; i < 3; i++) {
		while (!(atomic_load(&queue.ring->emptied.armed) & 1))
			sched_yield();
		must_receive(out, i);
	}
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	for (uint32_t i = 3; i < CAPACITY; i++)
		must_receive(out, i);
	for (uint32_t i = 0; i < 3; i++)
		must_receive(out, i);
	mempool_queue_close(in);
	mempool_queue_close(out);
	must_be_sound();
}
END_TEST

START_TEST(test_role_bad_sends_are_told)
{
	struct mempool_queue *in = open_queue(sender, kinds[_i].name);
	void *chunk = mempool_alloc(sender, CHUNK_SIZE), *oldest;

	ck_assert_int_eq(mempool_queue_send(in, chunk, CHUNK_SIZE + 1, 0), -EMSGSIZE);
	ck_assert_int_eq(mempool_queue_send(in, (char *)chunk + 1, 1, 0), -EINVAL);
	ck_assert_int_eq(mempool_queue_send(in, chunk, 1, 0), 0);
	/* It is another one's by now. */
	ck_assert_int_eq(mempool_queue_send(in, chunk, 1, 0), -EPERM);
	ck_assert_int_eq(mempool_free(sender, chunk), -EPERM);
	chunk = mempool_alloc(sender, CHUNK_SIZE);
	ck_assert_int_eq(mempool_queue_send_evict(in, chunk, 1, &oldest, NULL),
			 kinds[_i].flags & MEMPOOL_RING_ONE_RECEIVER ? -EINVAL : 0);
	ck_assert_ptr_null(oldest);
	mempool_queue_close(in);
}
END_TEST

/* ---- who may ---- */

START_TEST(test_role_one_at_a_time)
{
	struct mempool_queue *in = open_queue(sender, "pair"), *again = open_queue(sender, "pair");
	struct mempool_queue *out = open_queue(receiver, "pair");
	struct mempool_queue *other = open_queue(sender, "pair"), *none;

	/* Nobody has it, until the first call. */
	ck_assert_uint_eq(holder_of(PAIR, MEMPOOL_END_SENDER), 0);
	must_send(in, 1);
	ck_assert_uint_eq(holder_of(PAIR, MEMPOOL_END_SENDER), sender->holder);
	ck_assert_int_eq(send_by(sender, again, 2, 0), -EBUSY);
	/* However long it may wait. */
	ck_assert_int_eq(send_by(sender, again, 2, -1), -EBUSY);
	must_receive(out, 1);
	ck_assert_uint_eq(holder_of(PAIR, MEMPOOL_END_RECEIVER), receiver->holder);
	receive_fails(other, -EBUSY);
	ck_assert_int_eq(open_with(receiver, "pair", MEMPOOL_QUEUE_RECEIVER, &none), -EBUSY);
	ck_assert_int_eq(open_with(receiver, "pair", MEMPOOL_QUEUE_SENDER, &none), -EBUSY);

	/* It goes on from where the last one stood. */
	must_send(in, 3);
	must_send(in, 4);
	mempool_queue_close(in);
	ck_assert_uint_eq(holder_of(PAIR, MEMPOOL_END_SENDER), 0);
	must_send(again, 5);
	must_receive(out, 3);
	mempool_queue_close(out);
	ck_assert_int_eq(mempool_queue_open(receiver, "pair", &out), 0);
	must_receive(out, 4);
	must_receive(out, 5);
	receive_fails(out, -EAGAIN);
	mempool_queue_close(again);
	mempool_queue_close(out);
	mempool_queue_close(other);
	ck_assert_int_eq(open_with(receiver, "pair", MEMPOOL_QUEUE_RECEIVER | MEMPOOL_QUEUE_SENDER,
				   &out), 0);
	ck_assert_uint_eq(holder_of(PAIR, MEMPOOL_END_SENDER), receiver->holder);
	ck_assert_uint_eq(holder_of(PAIR, MEMPOOL_END_RECEIVER), receiver->holder);
	mempool_queue_close(out);
	must_be_sound();
}
END_TEST

/* What another handle or thread has sent and received meanwhile is not done again. */
START_TEST(test_role_taken_again_begins_where_the_ring_is)
{
	struct mempool_queue *one = open_queue(sender, kinds[_i].name);
	struct mempool_queue *two;

	must_send(one, 0);
	must_receive_by(sender, one, 0);
	for (uint32_t i = 1; i < 30; i++) {
		two = open_queue(sender, kinds[_i].name);
		mempool_queue_close(one);
		must_send(two, i);
		must_receive_by(sender, two, i);
		receive_fails(two, -EAGAIN);
		one = two;
	}
	mempool_queue_close(one);
	must_be_sound();
}
END_TEST

static void *send_in_thread(void *queue)
{
	must_send(queue, 7);
	return NULL;
}

static void *receive_in_thread(void *queue)
{
	must_receive(queue, 7);
	return NULL;
}

static void *is_told_busy(void *queue)
{
	ck_assert_int_eq(send_by(sender, queue, 7, 0), -EBUSY);
	return NULL;
}

START_TEST(test_role_of_an_ended_thread_is_nobodys)
{
	struct mempool_queue *in = open_queue(sender, "pair"), *out = open_queue(receiver, "pair");

	for (int i = 0; i < 20; i++) {
		in_thread(send_in_thread, in);
		ck_assert_uint_eq(holder_of(PAIR, MEMPOOL_END_SENDER), 0);
		in_thread(receive_in_thread, out);
		ck_assert_uint_eq(holder_of(PAIR, MEMPOOL_END_RECEIVER), 0);
	}
	must_send(in, 8);
	in_thread(is_told_busy, in);
	must_receive(out, 8);
	mempool_queue_close(in);
	mempool_queue_close(out);
	must_be_sound();
}
END_TEST

START_TEST(test_role_of_a_closed_client_is_nobodys)
{
	struct mempool_client *short_lived = client_at(1, 0);
	struct mempool_queue *queue = open_queue(short_lived, "pair");
	struct mempool_queue *in = open_queue(sender, "pair");
	void *chunk = mempool_alloc(short_lived, CHUNK_SIZE);

	ck_assert_int_eq(mempool_queue_send(queue, chunk, 1, 0), 0);
	ck_assert_int_eq(mempool_queue_receive(queue, &chunk, NULL, 0), 0);
	mempool_client_close(short_lived);
	ck_assert_uint_eq(holder_of(PAIR, MEMPOOL_END_SENDER), 0);
	ck_assert_uint_eq(holder_of(PAIR, MEMPOOL_END_RECEIVER), 0);
	ck_assert_int_eq(mempool_queue_send(queue, chunk, 1, 0), -ENOTCONN);
	receive_fails(queue, -ENOTCONN);
	must_send(in, 1);
	mempool_queue_close(queue);
	ck_assert_uint_eq(holder_of(PAIR, MEMPOOL_END_SENDER), sender->holder);
	mempool_queue_close(in);
}
END_TEST

START_TEST(test_role_in_forked_child_echild)
{
	struct mempool_queue *in = open_queue(sender, "pair");
	void *chunk = mempool_alloc(sender, CHUNK_SIZE);
	int status;
	pid_t pid;

	if (!test_fork_wipes())
		return;
	must_send(in, 1);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		int r = mempool_queue_send(in, chunk, 1, 0);

		mempool_queue_close(in);
		_exit(r == -ECHILD ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(holder_of(PAIR, MEMPOOL_END_SENDER), sender->holder);
	must_send(in, 2);
	mempool_queue_close(in);
}
END_TEST

static bool is_readable(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return poll(&pollfd, 1, 0) == 1;
}

/* Who was told EBUSY is told by the descriptor that the role may be free. */
START_TEST(test_role_given_back_wakes_a_standby)
{
	struct mempool_queue *in = open_queue(sender, "pair"), *wants = open_queue(sender, "pair");
	int fd = mempool_client_fd(sender);

	ck_assert_int_ge(fd, 0);
	must_send(in, 1);
	/* The descriptor is new, and readable at first. */
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(send_by(sender, wants, 2, 0), -EBUSY);
	ck_assert(!is_readable(fd));
	mempool_queue_close(in);
	ck_assert(is_readable(fd));
	must_send(wants, 2);
	mempool_queue_close(wants);
}
END_TEST

static void *is_told_busy_too(void *queue)
{
	receive_fails(queue, -EBUSY);
	return NULL;
}

/* Another thread, by the same handle and descriptor, has no message by that. */
START_TEST(test_role_busy_takes_no_news_from_who_has_it)
{
	struct mempool_queue *in = open_queue(receiver, "pair"), *out = open_queue(receiver, "pair");
	int fd = mempool_client_fd(receiver);

	for (int i = 0; i < 3; i++)
		receive_fails(out, -EAGAIN);
	ck_assert(!is_readable(fd));
	ck_assert_int_eq(send_by(receiver, in, 1, 0), 0);
	ck_assert(is_readable(fd));
	in_thread(is_told_busy_too, out);
	ck_assert(is_readable(fd));
	must_receive(out, 1);
	mempool_queue_close(in);
	mempool_queue_close(out);
}
END_TEST

/* Waiting for its turn, a standby is not woken by messages: nobody is armed for it. */
START_TEST(test_role_standby_costs_no_wakes)
{
	struct mempool_queue *in = open_queue(sender, "pair"), *out = open_queue(receiver, "pair");
	struct mempool_queue *standby = open_queue(receiver, "pair");
	uint32_t sequence;

	ck_assert_int_ge(mempool_client_fd(receiver), 0);
	must_send(in, 1);
	must_receive(out, 1);
	for (int i = 0; i < 3; i++)
		receive_fails(standby, -EBUSY);
	sequence = atomic_load(&segment->rings[PAIR].filled.sequence);
	for (uint32_t i = 0; i < 5; i++) {
		must_send(in, i);
		must_receive(out, i);
	}
	ck_assert_uint_eq(atomic_load(&segment->rings[PAIR].filled.sequence), sequence);
	mempool_queue_close(in);
	mempool_queue_close(out);
	receive_fails(standby, -EAGAIN);
	mempool_queue_close(standby);
}
END_TEST

static void *send_and_wait(void *queue)
{
	ck_assert_int_eq(send_by(sender, queue, 9, 500 * MS), 0);
	return NULL;
}

/* What is passed leaves room, also where no message is behind it. */
START_TEST(test_role_room_by_passing_wakes_a_sender)
{
	struct queue queue = view_of(PAIR);
	struct mempool_queue *in = open_queue(sender, "pair"), *out = open_queue(receiver, "pair");
	struct mempool_queue *full = open_queue(sender, "pair");
	pthread_t thread;
	uint64_t emptied;

	for (uint32_t i = 0; i < CAPACITY; i++)
		must_send(in, i);
	/* The thread has the role then. */
	mempool_queue_close(in);
	ck_assert_int_eq(pthread_create(&thread, NULL, send_and_wait, full), 0);
	while (!(atomic_load(&queue.ring->emptied.armed) & 1))
		sched_yield();
	for (uint32_t i = 0; i < CAPACITY; i++)
		ck_assert(queue_drop(&queue, atomic_load(&queue.slots[i])));
	emptied = atomic_load(&queue.ring->emptied.sequence);
	receive_fails(out, -EAGAIN);
	ck_assert_uint_ne(atomic_load(&queue.ring->emptied.sequence), emptied);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	must_receive(out, 9);
	mempool_queue_close(full);
	mempool_queue_close(out);
}
END_TEST

START_TEST(test_role_of_a_pipe_tells_who_has_left)
{
	struct mempool_queue *in, *out;

	ck_assert_int_eq(open_with(receiver, "pair", MEMPOOL_QUEUE_RECEIVER | MEMPOOL_QUEUE_PIPE,
				   &out), 0);
	ck_assert_int_eq(open_with(sender, "pair", MEMPOOL_QUEUE_SENDER | MEMPOOL_QUEUE_PIPE, &in),
			 0);
	must_send(in, 1);
	must_send(in, 2);
	mempool_queue_close(in);
	must_receive(out, 1);
	must_receive(out, 2);
	receive_fails(out, -EPIPE);
	mempool_queue_close(out);
}
END_TEST

/* Who may not send because nobody is there any more has not taken the role from who may. */
START_TEST(test_role_of_a_broken_pipe_is_nobodys)
{
	struct mempool_queue *in, *out;

	ck_assert_int_eq(open_with(sender, "pair", MEMPOOL_QUEUE_PIPE, &in), 0);
	ck_assert_int_eq(open_with(receiver, "pair", MEMPOOL_QUEUE_RECEIVER, &out), 0);
	must_send(in, 1);
	mempool_queue_close(in);
	ck_assert_int_eq(open_with(sender, "pair", MEMPOOL_QUEUE_PIPE, &in), 0);
	mempool_queue_close(out);
	ck_assert_int_eq(send_by(sender, in, 2, 0), -EPIPE);
	ck_assert_int_eq(send_by(sender, in, 2, -1), -EPIPE);
	ck_assert_uint_eq(holder_of(PAIR, MEMPOOL_END_SENDER), 0);
	out = open_queue(receiver, "pair");
	ck_assert_int_eq(send_by(receiver, out, 3, 0), 0);
	must_receive(out, 1);
	/* There is one again, but another one sends. */
	ck_assert_int_eq(send_by(sender, in, 4, 0), -EBUSY);
	must_receive(out, 3);
	mempool_queue_close(in);
	mempool_queue_close(out);
	must_be_sound();
}
END_TEST

/* What a receiver may not have stays the first message, for as long as it has the role. */
START_TEST(test_role_bounded_receiver_loses_nothing)
{
	struct mempool_client *bounded = client_at(2, 0);
	struct mempool_queue *in = open_queue(sender, kinds[_i].name), *out;
	void *first, *second;

	bound_init(bounded, &(struct holder_bound){ .max_chunks = 1 });
	out = open_queue(bounded, kinds[_i].name);
	for (uint32_t i = 0; i < 3; i++)
		must_send(in, i);
	ck_assert_int_eq(mempool_queue_receive(out, &first, NULL, 0), 0);
	ck_assert_int_eq(mempool_queue_receive(out, &second, NULL, 0), -EDQUOT);
	ck_assert_int_eq(mempool_queue_receive(out, &second, NULL, -1), -EDQUOT);
	ck_assert_int_eq(mempool_free(bounded, first), 0);
	must_receive_by(bounded, out, 1);
	ck_assert_int_eq(mempool_queue_receive(out, &first, NULL, 0), 0);
	/* What it sends it holds no more. */
	mempool_queue_close(in);
	ck_assert_int_eq(mempool_queue_send(out, first, sizeof(uint32_t), 0), 0);
	must_receive_by(bounded, out, 2);
	mempool_queue_close(out);
	mempool_client_close(bounded);
	ck_assert_uint_eq(test_segment_used(segment, 0), 0);
	must_be_sound();
}
END_TEST

/* ---- what a kill leaves ---- */

/* Word and slot of a send, as far as it came. */
static uint64_t sealed(struct queue *queue, uint32_t number)
{
	uint32_t *chunk = mempool_alloc(sender, CHUNK_SIZE);
	const struct pool *pool;
	uint32_t index;
	uint64_t word;

	*chunk = number;
	ck_assert_int_eq(client_locate(sender, chunk, &pool, &index), 0);
	atomic_store(&pool->entries[index].length, sizeof(number));
	word = word_sent(atomic_load(&pool->entries[index].word), queue->id, sender->holder);
	atomic_store(&pool->entries[index].word, word);
	return handle_make(word_generation(word), pool->id, index);
}

static void die(struct mempool_client *client)
{
	ck_assert_int_ge(reap_holder(segment, client->holder), 0);
}

START_TEST(test_role_tail_left_behind_is_not_sent_to_again)
{
	struct queue queue = view_of((uint32_t)_i);
	struct mempool_queue *in, *out = open_queue(receiver, kinds[_i].name);
	struct mempool_client *next;

	queue_begin_sending(&queue);
	for (uint32_t i = 0; i < 3; i++) {
		ck_assert_int_eq(queue_room_alone(&queue), 0);
		queue_push_alone(&queue, sealed(&queue, i));
	}
	ck_assert_uint_eq(atomic_load(&queue.ring->tail), 3);
	/* Killed between the slot and the tail; received by then, or not. */
	atomic_store(&queue.ring->tail, 2);
	ck_assert_int_eq(role_take(queue.ring, MEMPOOL_END_SENDER,
				   role_word(sender->holder, sender->incarnation)), 0);
	die(sender);
	ck_assert_uint_eq(holder_of((uint32_t)_i, MEMPOOL_END_SENDER), 0);
	next = client_at(0, 0);
	in = open_queue(next, kinds[_i].name);
	ck_assert_int_eq(send_by(next, in, 3, 0), 0);
	for (uint32_t i = 0; i < 4; i++)
		must_receive(out, i);
	atomic_store(&queue.ring->tail, 3);
	mempool_queue_close(in);
	in = open_queue(next, kinds[_i].name);
	ck_assert_int_eq(send_by(next, in, 4, 0), 0);
	must_receive(out, 4);
	receive_fails(out, -EAGAIN);
	mempool_queue_close(in);
	mempool_client_close(next);
	mempool_queue_close(out);
	must_be_sound();
}
END_TEST

/* Killed behind the word, and behind the slot: what it has taken is freed, and the next one begins behind. */
START_TEST(test_role_receiver_killed_is_tidied_for)
{
	struct queue queue = view_of(TO_ONE + (uint32_t)_i / 2);
	struct mempool_queue *in = open_queue(sender, kinds[TO_ONE + _i / 2].name), *out;
	uint64_t handle, seen;
	_Atomic uint64_t *word;

	for (uint32_t i = 0; i < CAPACITY; i++)
		must_send(in, i);
	ck_assert(queue_message_at(&queue, 0, &word, &seen));
	handle = atomic_load(&queue.slots[0]);
	ck_assert_int_eq(role_take(queue.ring, MEMPOOL_END_RECEIVER,
				   role_word(receiver->holder, receiver->incarnation)), 0);
	if (_i % 2 == 1) {
		queue_begin_receiving(&queue);
		ck_assert_int_eq(queue_pop_alone(&queue, receiver->holder, NULL, NULL, &handle), 0);
		atomic_store(&queue.ring->head, 0);
	} else {
		atomic_store(word, word_taken(seen, receiver->holder));
	}
	/* That one place is taken until the reaper comes. */
	ck_assert_int_eq(send_by(sender, in, CAPACITY, 0), -EAGAIN);
	die(receiver);
	ck_assert_uint_eq(atomic_load(&queue.ring->head), 1);
	ck_assert_uint_eq(role_look(queue.ring, MEMPOOL_END_RECEIVER), 0);
	must_be_sound();
	must_send(in, CAPACITY);
	out = open_queue(receiver, kinds[TO_ONE + _i / 2].name);
	for (uint32_t i = 1; i <= CAPACITY; i++)
		must_receive(out, i);
	receive_fails(out, -EAGAIN);
	mempool_queue_close(in);
	mempool_queue_close(out);
}
END_TEST

/* A sweep of others does not touch what a living receiver is about to do. */
START_TEST(test_role_sweep_of_others_passes_nothing)
{
	struct queue queue = view_of(PAIR);
	struct mempool_queue *in = open_queue(sender, "pair");
	_Atomic uint64_t *word;
	uint64_t seen;

	must_send(in, 1);
	ck_assert(queue_message_at(&queue, 0, &word, &seen));
	ck_assert_int_eq(role_take(queue.ring, MEMPOOL_END_RECEIVER,
				   role_word(receiver->holder, receiver->incarnation)), 0);
	atomic_store(word, word_taken(seen, receiver->holder));
	ck_assert_int_ge(reap_holder(segment, receiver->holder + 1), 0);
	ck_assert_uint_eq(atomic_load(&queue.ring->head), 0);
	ck_assert_uint_eq(role_holder(role_look(queue.ring, MEMPOOL_END_RECEIVER)),
			  receiver->holder);
	ck_assert_uint_eq(holder_of(PAIR, MEMPOOL_END_SENDER), sender->holder);
	mempool_queue_close(in);
	die(receiver);
}
END_TEST

/* What names nobody is the next sweep's to clear, and the audit's to find. */
START_TEST(test_role_stray_words_are_found_and_cleared)
{
	const uint64_t stray[] = {
		1,
		role_word(0, 5),
		role_word(segment->n_holders, 0),
		role_word(sender->holder, sender->incarnation + 1),
		role_word(sender->holder, sender->incarnation) | 1 << 20,
	};

	for (uint32_t i = 0; i < ARRAY_SIZE(stray); i++) {
		ck_assert_uint_eq(count_faults(), 0);
		atomic_store(&segment->rings[PAIR].roles[i % 2], stray[i]);
		ck_assert_uint_eq(count_faults(), 1);
		ck_assert_int_ge(reap_holder(segment, receiver->holder + 1), 0);
		ck_assert_uint_eq(atomic_load(&segment->rings[PAIR].roles[i % 2]), 0);
	}
	/* Nor has a queue for many one. */
	atomic_store(&segment->rings[0].roles[0], role_word(sender->holder, sender->incarnation));
	ck_assert_uint_eq(count_faults(), 1);
	atomic_store(&segment->rings[0].roles[0], 0);
	/* What no receiver leaves. */
	atomic_store(&segment->rings[PAIR].head, 1);
	ck_assert_uint_eq(count_faults(), 1);
	atomic_store(&segment->rings[PAIR].head, 0);
	must_be_sound();
}
END_TEST

START_TEST(test_role_garbage_is_passed_and_ends)
{
	static const uint64_t garbage[] = {
		0, UINT64_C(0x0000000100000000), UINT64_C(0x00000001f0000000),
		UINT64_C(0x0000000103ffffff), UINT64_C(0x0000000108000000),
		UINT64_C(0x00000001fbffffff),
	};
	struct queue queue = view_of(PAIR), lasting = view_of(LONG_ONE);
	struct mempool_queue *in = open_queue(sender, "pair"), *out = open_queue(receiver, "pair");
	struct mempool_queue *in_long, *out_long;
	uint64_t head;

	for (uint32_t i = 0; i < ARRAY_SIZE(garbage); i++) {
		must_send(in, 1);
		must_send(in, 2);
		head = atomic_load(&queue.ring->head);
		atomic_store(&queue.slots[head & queue.mask], garbage[i]);
		must_receive(out, 2);
		receive_fails(out, -EAGAIN);
	}
	for (uint32_t i = 0; i < CAPACITY; i++)
		atomic_store(&queue.slots[i], garbage[0]);
	/* A round of it is passed in one call. */
	receive_fails(out, -EAGAIN);
	must_send(in, 3);
	must_receive(out, 3);
	/* Of a longer one so many at a time. */
	in_long = open_queue(sender, "long");
	out_long = open_queue(receiver, "long");
	for (uint32_t i = 0; i < LONG; i++)
		atomic_store(&lasting.slots[i], garbage[0]);
	for (uint32_t i = 0; i < LONG / QUEUE_PASSES; i++)
		receive_fails(out_long, -EBADMSG);
	must_send(in_long, 4);
	must_receive(out_long, 4);
	mempool_queue_close(in_long);
	mempool_queue_close(out_long);
	atomic_store(&queue.ring->head, UINT64_C(1) << 40);
	for (uint32_t i = 0; i < 2 * CAPACITY; i++)
		send_by(sender, in, i, 0);
	mempool_queue_close(in);
	mempool_queue_close(out);
}
END_TEST

START_TEST(test_role_queue_is_drained_by_its_one_receiver)
{
	struct mempool_queue *in = open_queue(sender, kinds[_i].name), *out;
	struct drain drain;

	for (uint32_t turn = 0; turn < 3; turn++) {
		for (uint32_t i = 0; i < CAPACITY; i++)
			must_send(in, i);
		drain_init(&drain, segment, (uint32_t)_i, MEMPOOL_HOLDER_DAEMON_ID);
		while (!drain_step(&drain, 20))
			;
		ck_assert_uint_eq(drain.n_freed, CAPACITY);
		ck_assert_uint_eq(test_segment_used(segment, 0), 0);
		must_be_sound();
	}
	/* Who is its receiver may be about to take what we would drop. */
	out = open_queue(receiver, kinds[_i].name);
	must_send(in, 1);
	must_send(in, 2);
	must_receive(out, 1);
	drain_init(&drain, segment, (uint32_t)_i, MEMPOOL_HOLDER_DAEMON_ID);
	ck_assert(drain_step(&drain, UINT64_MAX));
	ck_assert_uint_eq(drain.n_messages, 0);
	must_receive(out, 2);
	mempool_queue_close(in);
	mempool_queue_close(out);
}
END_TEST

/* ---- threads ---- */

enum { MESSAGES = 20000 };

static void *send_many_numbers(void *queue)
{
	for (uint32_t i = 0; i < MESSAGES; i++)
		while (send_by(sender, queue, i, -1) == -EBUSY)
			sched_yield();
	return NULL;
}

/* One sender sends, one receiver takes all in its order, both sleeping when they have to. */
START_TEST(test_role_threads_lose_double_reorder_nothing)
{
	struct mempool_queue *in = open_queue(sender, kinds[_i].name);
	struct mempool_queue *out = open_queue(receiver, kinds[_i].name);
	pthread_t thread;
	void *chunk;

	ck_assert_int_eq(pthread_create(&thread, NULL, send_many_numbers, in), 0);
	for (uint32_t i = 0; i < MESSAGES; i++) {
		ck_assert_int_eq(mempool_queue_receive(out, &chunk, NULL, -1), 0);
		ck_assert_uint_eq(*(uint32_t *)chunk, i);
		ck_assert_int_eq(mempool_free(receiver, chunk), 0);
	}
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	receive_fails(out, -EAGAIN);
	mempool_queue_close(in);
	mempool_queue_close(out);
	ck_assert_uint_eq(test_segment_used(segment, 0), 0);
	must_be_sound();
}
END_TEST

START_TEST(test_role_debug_finds_the_same)
{
	struct mempool_client *checked = client_at(0, MEMPOOL_CLIENT_DEBUG);
	struct mempool_queue *in, *out = open_queue(receiver, kinds[_i].name);
	void *chunk;

	in = open_queue(checked, kinds[_i].name);
	for (uint32_t i = 0; i < 3; i++) {
		chunk = mempool_alloc(checked, CHUNK_SIZE - 20);
		*(uint32_t *)chunk = i;
		ck_assert_int_eq(mempool_queue_send(in, chunk, sizeof(i), 0), 0);
		ck_assert_int_eq(mempool_queue_send(in, chunk, sizeof(i), 0), -EPERM);
		must_receive(out, i);
	}
	mempool_queue_close(in);
	mempool_queue_close(out);
	mempool_client_close(checked);
}
END_TEST

static void add_tests(TCase *tcase)
{
	/* But the long one. */
	const int n = LONG_ONE;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test_role_queue_holds_exactly_its_capacity, 0, n);
	tcase_add_loop_test(tcase, test_role_many_at_once_and_timeouts, 0, n);
	tcase_add_loop_test(tcase, test_role_all_or_none, 0, n);
	tcase_add_loop_test(tcase, test_role_all_of_bad_chunks_none, 0, 2);
	tcase_add_test(tcase, test_role_all_of_bad_calls);
	tcase_add_loop_test(tcase, test_role_all_wait_for_room_for_all, FROM_ONE, FROM_ONE + 1);
	tcase_add_loop_test(tcase, test_role_all_wait_for_room_for_all, PAIR, PAIR + 1);
	tcase_add_loop_test(tcase, test_role_bad_sends_are_told, 0, PAIR + 1);
	tcase_add_test(tcase, test_role_one_at_a_time);
	tcase_add_loop_test(tcase, test_role_taken_again_begins_where_the_ring_is, 0, n);
	tcase_add_test(tcase, test_role_of_an_ended_thread_is_nobodys);
	tcase_add_test(tcase, test_role_of_a_closed_client_is_nobodys);
	tcase_add_test(tcase, test_role_in_forked_child_echild);
	tcase_add_test(tcase, test_role_given_back_wakes_a_standby);
	tcase_add_test(tcase, test_role_busy_takes_no_news_from_who_has_it);
	tcase_add_test(tcase, test_role_standby_costs_no_wakes);
	tcase_add_test(tcase, test_role_room_by_passing_wakes_a_sender);
	tcase_add_test(tcase, test_role_of_a_pipe_tells_who_has_left);
	tcase_add_test(tcase, test_role_of_a_broken_pipe_is_nobodys);
	tcase_add_loop_test(tcase, test_role_bounded_receiver_loses_nothing, 0, PAIR + 1);
	tcase_add_loop_test(tcase, test_role_tail_left_behind_is_not_sent_to_again, FROM_ONE,
			    FROM_ONE + 1);
	tcase_add_loop_test(tcase, test_role_tail_left_behind_is_not_sent_to_again, PAIR, PAIR + 1);
	tcase_add_loop_test(tcase, test_role_receiver_killed_is_tidied_for, 0, 4);
	tcase_add_test(tcase, test_role_sweep_of_others_passes_nothing);
	tcase_add_test(tcase, test_role_stray_words_are_found_and_cleared);
	tcase_add_test(tcase, test_role_garbage_is_passed_and_ends);
	tcase_add_loop_test(tcase, test_role_queue_is_drained_by_its_one_receiver, TO_ONE, PAIR + 1);
	tcase_add_loop_test(tcase, test_role_threads_lose_double_reorder_nothing, 0, n);
	tcase_add_loop_test(tcase, test_role_debug_finds_the_same, 0, n);
}

int main(void)
{
	return test_run("role", add_tests);
}
