/* SPDX-License-Identifier: MIT */
/* test-bytes.c - messages that stand in the slots of a queue: what goes through, who may, and what damage does */
#include "test_segment.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "client/client.h"
#include "shm/audit.h"
#include "shm/bytes.h"
#include "shm/census.h"
#include "shm/drain.h"
#include "shm/holder.h"
#include "shm/reap.h"
#include "shm/role.h"

enum { CAPACITY = 8 };
#define MS INT64_C(1000000)
#define BOTH (MEMPOOL_RING_ONE_SENDER | MEMPOOL_RING_ONE_RECEIVER)

static const struct kind {
	const char *name;
	uint64_t capacity;
	uint32_t slot_bytes;
} kinds[] = {
	{ "tiny", CAPACITY, 1 },
	{ "odd", CAPACITY, 20 },
	{ "line", CAPACITY, 56 },
	{ "lines", CAPACITY, 128 },
	{ "largest", 2, MEMPOOL_MAX_SLOT_BYTES },
	{ "single", 1, 8 },
	{ "chunks", CAPACITY, 0 },
};
enum { LINE = 2, SINGLE = 5, CHUNKS = 6, N_SLOTS = CHUNKS };

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
		{ .chunk_size = 64, .n_chunks = 10 },
	};
	struct config config;

	test_config_init(&config, pools, ARRAY_SIZE(pools));
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		ck_assert_int_eq(config_add_ring(&config, kinds[i].name, MEMPOOL_RING_QUEUE,
						 kinds[i].capacity), 0);
		config.rings[i].flags = BOTH;
		config.rings[i].slot_bytes = kinds[i].slot_bytes;
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

static struct mempool_queue *open_queue(struct mempool_client *client, uint32_t kind)
{
	struct mempool_queue *queue;

	ck_assert_int_eq(mempool_queue_open(client, kinds[kind].name, &queue), 0);
	return queue;
}

static struct queue view_of(uint32_t kind)
{
	struct queue queue;

	ck_assert_int_eq(queue_view_any(&queue, segment, kind), 0);
	return queue;
}

/* Message number n: its length, and what each byte is. */
static size_t length_of(uint32_t kind, uint32_t n)
{
	return n % (kinds[kind].slot_bytes + 1);
}

static int send(struct mempool_queue *queue, uint32_t kind, uint32_t n)
{
	unsigned char bytes[MEMPOOL_MAX_SLOT_BYTES];
	size_t length = length_of(kind, n);

	memset(bytes, (int)n, length);
	return mempool_queue_send_bytes(queue, bytes, length, 0);
}

static void must_receive(struct mempool_queue *queue, uint32_t kind, uint32_t n)
{
	unsigned char buffer[MEMPOOL_MAX_SLOT_BYTES + 1];
	size_t length = 0, sent = length_of(kind, n);

	memset(buffer, (int)~n, sizeof(buffer));
	ck_assert_int_eq(mempool_queue_receive_bytes(queue, buffer, kinds[kind].slot_bytes, &length,
						     0), 0);
	ck_assert_uint_eq(length, sent);
	for (size_t i = 0; i < sizeof(buffer); i++)
		ck_assert_uint_eq(buffer[i], (unsigned char)(i < sent ? n : ~n));
}

static void receive_fails(struct mempool_queue *queue, int error)
{
	unsigned char buffer[MEMPOOL_MAX_SLOT_BYTES];

	ck_assert_int_eq(mempool_queue_receive_bytes(queue, buffer, sizeof(buffer), NULL, 0), error);
}

static uint64_t count_faults(void)
{
	struct audit audit;

	ck_assert_int_eq(audit_segment(segment, AUDIT_REAPED, NULL, NULL, &audit), 0);
	return audit.n_faults;
}

static void must_be_sound(void)
{
	ck_assert_uint_eq(count_faults(), 0);
}

static uint32_t holder_of(uint32_t kind, enum mempool_end_kind end)
{
	return role_holder(role_look(&segment->rings[kind], end));
}

/* In a thread of its own, which ends then. */
static void in_thread(void *(*run)(void *), void *argument)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, run, argument), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

/* ---- what goes through ---- */

START_TEST(test_bytes_queue_holds_exactly_its_capacity)
{
	struct mempool_queue *in = open_queue(sender, (uint32_t)_i);
	struct mempool_queue *out = open_queue(receiver, (uint32_t)_i);
	uint32_t capacity = (uint32_t)kinds[_i].capacity, sent = 0, received = 0;
	struct mempool_queue_counts counts;

	for (uint32_t turn = 0; turn < 300; turn++) {
		while (send(in, (uint32_t)_i, sent) == 0)
			sent++;
		ck_assert_uint_eq(sent - received, capacity);
		ck_assert_int_eq(send(in, (uint32_t)_i, sent), -EAGAIN);
		for (uint32_t i = 0; i <= turn % capacity; i++)
			must_receive(out, (uint32_t)_i, received++);
	}
	ck_assert_int_eq(mempool_queue_info(out, &counts), 0);
	ck_assert_uint_eq(counts.slot_bytes, kinds[_i].slot_bytes);
	ck_assert_uint_eq(counts.capacity, capacity);
	ck_assert_uint_eq(counts.sent, sent);
	ck_assert_uint_eq(counts.received, received);
	ck_assert_uint_eq(counts.length, sent - received);
	ck_assert_uint_eq(counts.senders, 1);
	ck_assert_uint_eq(counts.receivers, 1);
	while (received < sent)
		must_receive(out, (uint32_t)_i, received++);
	receive_fails(out, -EAGAIN);
	mempool_queue_close(in);
	mempool_queue_close(out);
	must_be_sound();
}
END_TEST

START_TEST(test_bytes_what_does_not_fit_stays)
{
	struct mempool_queue *in = open_queue(sender, (uint32_t)_i);
	struct mempool_queue *out = open_queue(receiver, (uint32_t)_i);
	unsigned char bytes[MEMPOOL_MAX_SLOT_BYTES + 1] = { 1, 2, 3 }, buffer[MEMPOOL_MAX_SLOT_BYTES];
	size_t most = kinds[_i].slot_bytes, length = 0;

	ck_assert_int_eq(mempool_queue_send_bytes(in, bytes, most + 1, 0), -EMSGSIZE);
	ck_assert_int_eq(mempool_queue_send_bytes(in, bytes, most + 1, -1), -EMSGSIZE);
	ck_assert_int_eq(mempool_queue_send_bytes(in, bytes, SIZE_MAX, 0), -EMSGSIZE);
	ck_assert_uint_eq(holder_of((uint32_t)_i, MEMPOOL_END_SENDER), 0);
	ck_assert_int_eq(mempool_queue_send_bytes(in, bytes, most, 0), 0);
	ck_assert_int_eq(mempool_queue_send_bytes(in, bytes, most + 1, 0), -EMSGSIZE);
	for (int i = 0; i < 3; i++) {
		length = 0;
		ck_assert_int_eq(mempool_queue_receive_bytes(out, buffer, most - 1, &length, 0),
				 -EMSGSIZE);
		ck_assert_uint_eq(length, most);
	}
	ck_assert_int_eq(mempool_queue_receive_bytes(out, NULL, 0, NULL, -1), -EMSGSIZE);
	ck_assert_int_eq(mempool_queue_receive_bytes(out, buffer, most, NULL, 0), 0);
	ck_assert_int_eq(memcmp(buffer, bytes, most), 0);
	/* Nothing at all is a message, too. */
	ck_assert_int_eq(mempool_queue_send_bytes(in, NULL, 0, 0), 0);
	length = 7;
	ck_assert_int_eq(mempool_queue_receive_bytes(out, NULL, 0, &length, 0), 0);
	ck_assert_uint_eq(length, 0);
	receive_fails(out, -EAGAIN);
	mempool_queue_close(in);
	mempool_queue_close(out);
}
END_TEST

/* ---- who may ---- */

START_TEST(test_bytes_calls_of_the_other_kind_einval)
{
	struct mempool_queue *slots = open_queue(sender, LINE), *chunks = open_queue(sender, CHUNKS);
	unsigned char bytes[8] = { 0 };
	size_t length;
	void *chunk = mempool_alloc(sender, 8), *other;

	/* Before and after it has both roles. */
	for (int turn = 0; turn < 2; turn++) {
		ck_assert_int_eq(mempool_queue_send(slots, chunk, 8, 0), -EINVAL);
		ck_assert_int_eq(mempool_queue_send(slots, chunk, 8, -1), -EINVAL);
		ck_assert_int_eq(mempool_queue_send_many(slots, &chunk, &(size_t){ 8 }, 1, 0), -EINVAL);
		ck_assert_int_eq(mempool_queue_send_evict(slots, chunk, 8, &other, NULL), -EINVAL);
		ck_assert_int_eq(mempool_queue_receive(slots, &other, NULL, 0), -EINVAL);
		ck_assert_int_eq(mempool_queue_receive(slots, &other, NULL, -1), -EINVAL);
		ck_assert_int_eq(mempool_queue_receive_many(slots, &other, NULL, 1, 0), -EINVAL);
		ck_assert_int_eq(mempool_queue_send_bytes(chunks, bytes, 8, 0), -EINVAL);
		ck_assert_int_eq(mempool_queue_send_bytes(chunks, bytes, 0, 0), -EINVAL);
		ck_assert_int_eq(mempool_queue_send_bytes(chunks, NULL, 0, 0), -EINVAL);
		ck_assert_int_eq(mempool_queue_receive_bytes(chunks, bytes, 8, &length, 0), -EINVAL);
		ck_assert_int_eq(mempool_queue_receive_bytes(chunks, bytes, 8, NULL, 0), -EINVAL);

		ck_assert_int_eq(mempool_queue_send_bytes(slots, bytes, 8, 0), 0);
		ck_assert_int_eq(mempool_queue_receive_bytes(slots, bytes, 8, &length, 0), 0);
		ck_assert_int_eq(mempool_queue_send(chunks, chunk, 8, 0), 0);
		ck_assert_int_eq(mempool_queue_receive(chunks, &chunk, NULL, 0), 0);
	}
	ck_assert_int_eq(mempool_queue_send_bytes(NULL, bytes, 8, 0), -EINVAL);
	ck_assert_int_eq(mempool_queue_send_bytes(slots, NULL, 8, 0), -EINVAL);
	ck_assert_int_eq(mempool_queue_receive_bytes(NULL, bytes, 8, NULL, 0), -EINVAL);
	ck_assert_int_eq(mempool_queue_receive_bytes(slots, NULL, 8, NULL, 0), -EINVAL);
	ck_assert_int_eq(mempool_free(sender, chunk), 0);
	mempool_queue_close(slots);
	mempool_queue_close(chunks);
	ck_assert_uint_eq(test_segment_used(segment, 0), 0);
	must_be_sound();
}
END_TEST

static void *is_told_busy(void *queue)
{
	unsigned char byte = 0;

	ck_assert_int_eq(mempool_queue_send_bytes(queue, &byte, 1, -1), -EBUSY);
	ck_assert_int_eq(mempool_queue_receive_bytes(queue, &byte, 1, NULL, -1), -EBUSY);
	return NULL;
}

static void *send_and_receive(void *queue)
{
	for (uint32_t i = 0; i < 20; i++) {
		ck_assert_int_eq(send(queue, LINE, i), 0);
		must_receive(queue, LINE, i);
	}
	return NULL;
}

START_TEST(test_bytes_one_at_a_time)
{
	struct mempool_queue *one = open_queue(sender, LINE), *two = open_queue(receiver, LINE);
	const struct mempool_queue_options both = {
		.size = sizeof(both), .flags = MEMPOOL_QUEUE_SENDER | MEMPOOL_QUEUE_RECEIVER,
	};
	struct mempool_queue *three;

	/* A thread that has ended has neither; who comes goes on where the ring is. */
	in_thread(send_and_receive, one);
	in_thread(send_and_receive, two);
	ck_assert_int_eq(send(one, LINE, 5), 0);
	must_receive(one, LINE, 5);
	in_thread(is_told_busy, one);
	is_told_busy(two);
	ck_assert_int_eq(mempool_queue_open_with(receiver, "line", &both, &three), -EBUSY);
	ck_assert_int_eq(send(one, LINE, 6), 0);
	mempool_queue_close(one);
	ck_assert_int_eq(mempool_queue_open_with(receiver, "line", &both, &three), 0);
	ck_assert_uint_eq(holder_of(LINE, MEMPOOL_END_SENDER), receiver->holder);
	must_receive(three, LINE, 6);
	send_and_receive(three);
	mempool_queue_close(two);
	mempool_queue_close(three);
	must_be_sound();
}
END_TEST

/* A pipe whose other side has left, and a closed client. */
START_TEST(test_bytes_of_who_may_not)
{
	const struct mempool_queue_options pipe_of = {
		.size = sizeof(pipe_of), .flags = MEMPOOL_QUEUE_PIPE,
	};
	struct mempool_queue *in = open_queue(sender, LINE), *end;

	ck_assert_int_eq(mempool_queue_open_with(receiver, "line", &pipe_of, &end), 0);
	ck_assert_int_eq(send(in, LINE, 4), 0);
	must_receive(end, LINE, 4);
	receive_fails(end, -EAGAIN);
	ck_assert_int_eq(send(in, LINE, 5), 0);
	mempool_queue_close(in);
	must_receive(end, LINE, 5);
	receive_fails(end, -EPIPE);
	mempool_queue_close(end);

	in = open_queue(sender, LINE);
	ck_assert_int_eq(send(in, LINE, 6), 0);
	mempool_client_close(sender);
	ck_assert_int_eq(send(in, LINE, 7), -ENOTCONN);
	receive_fails(in, -ENOTCONN);
	mempool_queue_close(in);
	sender = client_at(0, 0);
}
END_TEST

/* ---- waiting ---- */

enum { N_PASSED = 2000 };

static void *send_all(void *queue)
{
	for (uint32_t i = 0; i < N_PASSED; i++) {
		unsigned char bytes[56];

		memset(bytes, (int)i, length_of(LINE, i));
		ck_assert_int_eq(mempool_queue_send_bytes(queue, bytes, length_of(LINE, i), -1), 0);
	}
	return NULL;
}

START_TEST(test_bytes_who_waits_is_woken)
{
	struct mempool_queue *in = open_queue(sender, LINE), *out = open_queue(receiver, LINE);
	unsigned char buffer[56];
	pthread_t thread;
	size_t length;

	ck_assert_int_eq(mempool_queue_receive_bytes(out, buffer, sizeof(buffer), NULL, MS), -EAGAIN);
	ck_assert_int_eq(pthread_create(&thread, NULL, send_all, in), 0);
	for (uint32_t i = 0; i < N_PASSED; i++) {
		ck_assert_int_eq(mempool_queue_receive_bytes(out, buffer, sizeof(buffer), &length,
							     -1), 0);
		ck_assert_uint_eq(length, length_of(LINE, i));
		ck_assert(length == 0 || buffer[length - 1] == (unsigned char)i);
	}
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	for (uint32_t i = 0; i < CAPACITY; i++)
		ck_assert_int_eq(send(in, LINE, i), 0);
	ck_assert_int_eq(mempool_queue_send_bytes(in, buffer, 1, MS), -EAGAIN);
	mempool_queue_close(in);
	mempool_queue_close(out);
}
END_TEST

START_TEST(test_bytes_the_descriptor_tells)
{
	struct mempool_queue *in = open_queue(sender, LINE), *out = open_queue(receiver, LINE);
	struct pollfd fd = { .fd = mempool_client_fd(receiver), .events = POLLIN };

	ck_assert_int_ge(fd.fd, 0);
	receive_fails(out, -EAGAIN);
	ck_assert_int_eq(send(in, LINE, 1), 0);
	/* At the latest with its slow timer; no test of how soon. */
	ck_assert_int_eq(poll(&fd, 1, -1), 1);
	must_receive(out, LINE, 1);
	mempool_queue_close(in);
	mempool_queue_close(out);
}
END_TEST

/* ---- the dead ---- */

static void reap(const struct mempool_client *client)
{
	ck_assert_int_ge(reap_holder(segment, client->holder), 0);
}

/* As if it had been killed between the word and the tail, or before the head. */
START_TEST(test_bytes_of_the_dead_are_as_they_left_them)
{
	struct mempool_queue *in = open_queue(sender, LINE), *out = open_queue(receiver, LINE);
	struct mempool_queue *next_in, *next_out;
	struct mempool_client *next = client_at(3, 0);
	struct queue queue = view_of(LINE);

	for (uint32_t i = 1; i <= 11; i++) {
		ck_assert_int_eq(send(in, LINE, i), 0);
		if (i < 10)
			must_receive(out, LINE, i);
	}
	atomic_store(&queue.ring->tail, 10);
	reap(sender);
	reap(receiver);
	ck_assert_uint_eq(holder_of(LINE, MEMPOOL_END_SENDER), 0);
	ck_assert_uint_eq(holder_of(LINE, MEMPOOL_END_RECEIVER), 0);
	must_be_sound();
	next_in = open_queue(next, LINE);
	next_out = open_queue(next, LINE);
	ck_assert_int_eq(send(next_in, LINE, 12), 0);
	for (uint32_t i = 10; i <= 12; i++)
		must_receive(next_out, LINE, i);
	receive_fails(next_out, -EAGAIN);
	mempool_queue_close(next_in);
	mempool_queue_close(next_out);
	mempool_client_close(next);
	mempool_queue_close(in);
	mempool_queue_close(out);
	must_be_sound();
}
END_TEST

/* A word that names the queue is none of its messages: it is freed with its holder, and nothing is walked. */
START_TEST(test_bytes_a_chunk_sent_there_is_freed)
{
	struct mempool_queue *in = open_queue(sender, LINE);
	void *chunk = mempool_alloc(sender, 8);
	_Atomic uint64_t *word = &segment->pools[0].entries[0].word;

	ck_assert_ptr_nonnull(chunk);
	for (uint32_t i = 0; i < 10 && word_kind(atomic_load(word)) != MEMPOOL_OWNED; i++)
		word = &segment->pools[0].entries[i].word;
	atomic_store(word, word_sent(atomic_load(word), LINE + 1, sender->holder));
	ck_assert_uint_ge(count_faults(), 1);
	reap(sender);
	must_be_sound();
	ck_assert_uint_eq(test_segment_used(segment, 0), 0);
	mempool_queue_close(in);
}
END_TEST

/* ---- damage ---- */

static _Atomic uint64_t *word_of(uint32_t kind, uint64_t position)
{
	struct queue queue = view_of(kind);

	return &queue.slots[(position & queue.mask) * queue.stride];
}

START_TEST(test_bytes_destroyed_are_told_once)
{
	/* Of no round, of the next one, of the last one, and too long. */
	static const uint64_t words[] = {
		0x5555, UINT64_MAX, 0, 1, UINT64_C(3) << 12, UINT64_C(1) << 12, (UINT64_C(1) << 12) + 56,
		(UINT64_C(2) << 12) + 57,
	};
	struct mempool_queue *in = open_queue(sender, LINE), *out = open_queue(receiver, LINE);
	uint64_t word = words[_i];

	/* One round is over. */
	for (uint32_t i = 0; i < CAPACITY; i++) {
		ck_assert_int_eq(send(in, LINE, i), 0);
		must_receive(out, LINE, i);
	}
	for (uint32_t i = 0; i < 4; i++)
		ck_assert_int_eq(send(in, LINE, i), 0);
	atomic_store(word_of(LINE, CAPACITY + 1), word);
	must_receive(out, LINE, 0);
	receive_fails(out, -EBADMSG);
	must_receive(out, LINE, 2);
	must_receive(out, LINE, 3);
	/* Where nobody has sent yet it does no harm. */
	atomic_store(word_of(LINE, CAPACITY + 4), word);
	receive_fails(out, -EAGAIN);
	ck_assert_int_eq(send(in, LINE, 4), 0);
	must_receive(out, LINE, 4);
	receive_fails(out, -EAGAIN);
	mempool_queue_close(in);
	mempool_queue_close(out);
	must_be_sound();
}
END_TEST

/* What a new queue has in its slots is as easily written there. */
START_TEST(test_bytes_destroyed_in_the_first_round)
{
	struct mempool_queue *in = open_queue(sender, LINE), *out = open_queue(receiver, LINE);

	for (uint32_t i = 0; i < CAPACITY; i++)
		ck_assert_int_eq(send(in, LINE, i), 0);
	atomic_store(word_of(LINE, 0), 0);
	atomic_store(word_of(LINE, 1), 56);
	receive_fails(out, -EBADMSG);
	ck_assert_int_eq(mempool_queue_receive_bytes(out, NULL, 0, NULL, -1), -EBADMSG);
	for (uint32_t i = 2; i < CAPACITY; i++)
		must_receive(out, LINE, i);
	receive_fails(out, -EAGAIN);
	mempool_queue_close(in);
	mempool_queue_close(out);
	must_be_sound();
}
END_TEST

/* Room that comes from a message that is passed is told of. */
START_TEST(test_bytes_destroyed_make_room)
{
	struct mempool_queue *in = open_queue(sender, SINGLE), *out = open_queue(receiver, SINGLE);
	struct mempool_eventcount *room = &segment->rings[SINGLE].emptied;
	uint32_t before;

	ck_assert_int_eq(send(in, SINGLE, 1), 0);
	ck_assert_int_eq(send(in, SINGLE, 2), -EAGAIN);
	atomic_store(word_of(SINGLE, 0), 0x7777777);
	eventcount_prepare(room);
	before = atomic_load(&room->sequence);
	receive_fails(out, -EBADMSG);
	ck_assert_uint_ne(atomic_load(&room->sequence), before);
	ck_assert_int_eq(send(in, SINGLE, 2), 0);
	must_receive(out, SINGLE, 2);
	mempool_queue_close(in);
	mempool_queue_close(out);
}
END_TEST

/* Ends that are no ends: each call ends, and so does who only looks. */
START_TEST(test_bytes_damaged_ends_are_met)
{
	static const uint64_t ends[] = { 1, 2, CAPACITY, CAPACITY + 1, UINT64_MAX, UINT64_MAX / 2, 1000 };
	struct mempool_queue *in, *out;
	struct queue queue = view_of(LINE);
	struct queue_tally tally = { 0 };
	struct drain drain;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		for (size_t k = 0; k < ARRAY_SIZE(ends); k++) {
			atomic_store(&queue.ring->head, ends[i]);
			atomic_store(&queue.ring->tail, ends[k]);
			in = open_queue(sender, LINE);
			out = open_queue(receiver, LINE);
			for (int n = 0; n < 3 * CAPACITY; n++) {
				int r = send(in, LINE, 7);

				ck_assert(r == 0 || r == -EAGAIN || r == -EBADMSG);
			}
			for (int n = 0; n < 3 * CAPACITY; n++) {
				unsigned char buffer[56];
				int r = mempool_queue_receive_bytes(out, buffer, 56, NULL, 0);

				ck_assert(r == 0 || r == -EAGAIN || r == -EBADMSG);
			}
			bytes_tally(&tally, &queue);
			ck_assert_uint_le(tally.n_messages, CAPACITY);
			mempool_queue_close(in);
			mempool_queue_close(out);
			count_faults();
			drain_init(&drain, segment, LINE, MEMPOOL_HOLDER_DAEMON_ID);
			while (!drain_step(&drain, 1))
				;
			ck_assert_uint_le(drain.n_messages, CAPACITY);
			/* Then it is as new, but for the numbers. */
			must_be_sound();
			drain_init(&drain, segment, LINE, MEMPOOL_HOLDER_DAEMON_ID);
			ck_assert(drain_step(&drain, CAPACITY));
			ck_assert_uint_eq(drain.n_messages, 0);
			in = open_queue(sender, LINE);
			out = open_queue(receiver, LINE);
			for (uint32_t n = 0; n < CAPACITY; n++)
				ck_assert_int_eq(send(in, LINE, n), 0);
			for (uint32_t n = 0; n < CAPACITY; n++)
				must_receive(out, LINE, n);
			mempool_queue_close(in);
			mempool_queue_close(out);
		}
}
END_TEST

START_TEST(test_bytes_audit_finds_what_is_no_message)
{
	struct mempool_queue *in = open_queue(sender, LINE);

	for (uint32_t i = 0; i < 3; i++)
		ck_assert_int_eq(send(in, LINE, i), 0);
	mempool_queue_close(in);
	must_be_sound();
	atomic_store(word_of(LINE, 1), 0);
	ck_assert_uint_eq(count_faults(), 1);
}
END_TEST

/* ---- the daemon's ---- */

START_TEST(test_bytes_are_drained_by_the_one_receiver)
{
	struct mempool_queue *in = open_queue(sender, LINE), *out;
	struct drain drain;

	for (uint32_t i = 0; i < 3; i++)
		ck_assert_int_eq(send(in, LINE, i), 0);
	out = open_queue(receiver, LINE);
	must_receive(out, LINE, 0);
	drain_init(&drain, segment, LINE, MEMPOOL_HOLDER_DAEMON_ID);
	ck_assert(drain_step(&drain, 100));
	ck_assert(drain.is_refused);
	ck_assert_uint_eq(drain.n_messages, 0);
	must_receive(out, LINE, 1);
	mempool_queue_close(out);

	drain_init(&drain, segment, LINE, MEMPOOL_HOLDER_DAEMON_ID);
	ck_assert(drain_step(&drain, 100));
	ck_assert(!drain.is_refused);
	ck_assert_uint_eq(drain.n_messages, 1);
	ck_assert_uint_eq(drain.n_freed, 0);
	ck_assert_uint_eq(holder_of(LINE, MEMPOOL_END_RECEIVER), 0);
	out = open_queue(receiver, LINE);
	receive_fails(out, -EAGAIN);
	ck_assert_int_eq(send(in, LINE, 9), 0);
	must_receive(out, LINE, 9);
	mempool_queue_close(in);
	mempool_queue_close(out);
	must_be_sound();
}
END_TEST

START_TEST(test_bytes_are_counted)
{
	struct mempool_queue *in = open_queue(sender, LINE);
	struct census census = CENSUS_NULL;

	for (uint32_t i = 0; i < 5; i++)
		ck_assert_int_eq(send(in, LINE, i), 0);
	ck_assert_int_eq(census_take(segment, &census), 0);
	ck_assert(census_is_over(&census));
	ck_assert_uint_eq(census.rings[LINE].tally.n_messages, 5);
	ck_assert_uint_eq(census.rings[LINE].tally.n_sent, 5);
	ck_assert_uint_eq(census.rings[LINE].chunks, 0);
	ck_assert_uint_eq(census.rings[CHUNKS].tally.n_messages, 0);
	census_deinit(&census);
	mempool_queue_close(in);
}
END_TEST

/* Whoever looks for handles sees no queue there. */
START_TEST(test_bytes_are_no_queue_of_handles)
{
	struct queue queue;

	ck_assert_int_eq(queue_view(&queue, segment, LINE), -ENOENT);
	ck_assert_int_eq(queue_view(&queue, segment, CHUNKS), 0);
	ck_assert_int_eq(queue_view_any(&queue, segment, LINE), 0);
	ck_assert_uint_eq(queue.slot_bytes, 56);
	ck_assert_int_eq(queue_view_any(&queue, segment, ARRAY_SIZE(kinds)), -EINVAL);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, test_bytes_queue_holds_exactly_its_capacity, 0, N_SLOTS);
	tcase_add_loop_test(tcase, test_bytes_what_does_not_fit_stays, 0, N_SLOTS);
	tcase_add_test(tcase, test_bytes_calls_of_the_other_kind_einval);
	tcase_add_test(tcase, test_bytes_one_at_a_time);
	tcase_add_test(tcase, test_bytes_of_who_may_not);
	tcase_add_test(tcase, test_bytes_who_waits_is_woken);
	tcase_add_test(tcase, test_bytes_the_descriptor_tells);
	tcase_add_test(tcase, test_bytes_of_the_dead_are_as_they_left_them);
	tcase_add_test(tcase, test_bytes_a_chunk_sent_there_is_freed);
	tcase_add_loop_test(tcase, test_bytes_destroyed_are_told_once, 0, 8);
	tcase_add_test(tcase, test_bytes_destroyed_in_the_first_round);
	tcase_add_test(tcase, test_bytes_destroyed_make_room);
	tcase_add_test(tcase, test_bytes_damaged_ends_are_met);
	tcase_add_test(tcase, test_bytes_audit_finds_what_is_no_message);
	tcase_add_test(tcase, test_bytes_are_drained_by_the_one_receiver);
	tcase_add_test(tcase, test_bytes_are_counted);
	tcase_add_test(tcase, test_bytes_are_no_queue_of_handles);
}

int main(void)
{
	return test_run("bytes", add_tests);
}
