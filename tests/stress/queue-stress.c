/* SPDX-License-Identifier: MIT */
/*
 * queue-stress.c - producers and consumers on one queue: nothing is lost, doubled or out of
 *		    order, also while they are killed and started again
 *
 *	queue-stress [--messages N] [--producers N] [--consumers N] [--capacity N]
 *		     [--kill-every STEPS] [--mortal all|producers|consumers] [--seed N]
 *		     [--one-sender] [--one-receiver] [--in-slots]
 *
 * A message says whose it is and which; the ledger, which no kill takes away, has a bit for
 * each message that came, and for each producer how far it was surely sent and how far it
 * may have been sent. In the end each message has come once, except
 *
 *	in doubt	a producer was killed in the call that sent it: it came, or was not sent
 *	taken along	a consumer was killed between its receipt and the ledger: not more of
 *			them than it had asked for; if only producers are killed, none
 *
 * Of a queue for one sender, or one receiver, whoever is told that another one has the role tries again in
 * a millisecond: after a kill that is until the reaper was there.
 *
 * With --in-slots, which is for one of each, messages are no chunks: they stand in the queue's slots.
 *
 * A step is a message sent, or received. All waits are for ever: one that is left asleep shows as a standstill. In the end the
 * queue must still have its exact capacity.
 */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crew.h"

#define MAX_EACH (CREW_MAX / 2)
#define MANY 8
#define STOP UINT32_MAX

struct message {
	uint32_t producer;		/* or STOP */
	uint32_t noise;
	uint64_t sequence;
	uint64_t checksum;
	uint64_t filler[4];
};

struct producer {
	_Alignas(64) _Atomic uint64_t n_sent;	/* surely */
	_Atomic uint64_t n_tried;		/* those between may have been */
	_Atomic uint64_t n_in_doubt;		/* after kills */
	_Atomic uint64_t *came;			/* a bit each */
	_Atomic uint64_t *in_doubt;
};

struct consumer {
	_Alignas(64) _Atomic uint64_t n_received;
	_Atomic uint64_t next[MAX_EACH];	/* least sequence that may come, by producer */
	_Atomic uint64_t n_wanted;		/* asked for, and not yet noted */
	_Atomic uint64_t n_taken_along;		/* at most, by the killed */
};

struct ledger {
	struct producer producers[MAX_EACH];
	struct consumer consumers[MAX_EACH];
};

static struct ledger *ledger;
static uint64_t n_messages = 1000000, n_each;
static unsigned int n_producers = 4, n_consumers = 4;
static unsigned int capacity = 256;
static bool has_one_sender, has_one_receiver, in_slots;

static uint64_t checksum(const struct message *message)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325) ^ message->producer;

	sum = sum * UINT64_C(0x100000001b3) ^ message->sequence;
	sum = sum * UINT64_C(0x100000001b3) ^ message->noise;
	for (size_t i = 0; i < 4; i++)
		sum = sum * UINT64_C(0x100000001b3) ^ message->filler[i];
	return sum;
}

static bool bit_set(_Atomic uint64_t *bits, uint64_t i)
{
	return atomic_fetch_or(&bits[i / 64], UINT64_C(1) << i % 64) >> i % 64 & 1;
}

static bool bit_is(_Atomic uint64_t *bits, uint64_t i)
{
	return atomic_load(&bits[i / 64]) >> i % 64 & 1;
}

static struct mempool_queue *open_queue(struct mempool_client *client)
{
	struct mempool_queue *queue;
	int r = mempool_queue_open(client, "work", &queue);

	if (r < 0)
		crew_fault("queue_open: %s", strerror(-r));
	return queue;
}

/* Whether another one has the role still; and a while is over. */
static bool is_busy(ssize_t r)
{
	const struct timespec a_while = { .tv_nsec = 1000000 };

	if (r == -EBUSY)
		nanosleep(&a_while, NULL);
	return r == -EBUSY;
}

/* ---- producers ---- */

static void fill(struct message *message, uint32_t producer, uint64_t sequence, uint64_t *random)
{
	message->producer = producer;
	message->sequence = sequence;
	message->noise = (uint32_t)crew_random(random);
	for (size_t i = 0; i < 4; i++)
		message->filler[i] = crew_random(random);
	message->checksum = checksum(message);
}

static struct message *new_message(struct mempool_client *client, uint32_t producer,
				   uint64_t sequence, uint64_t *random)
{
	struct message *message;

	/* As many chunks as fit, and some for each: they come back. */
	while (!(message = mempool_alloc(client, sizeof(*message)))) {
		if (errno != EAGAIN)
			crew_fault("alloc: %s", strerror(errno));
		sched_yield();
	}
	fill(message, producer, sequence, random);
	return message;
}

/* So many from this one on. Return: how many were sent, or what the call said. */
static ssize_t send_chunks(struct mempool_client *client, struct mempool_queue *queue,
			   unsigned int number, uint64_t next, size_t n, uint64_t *random)
{
	void *chunks[MANY];
	size_t lengths[MANY];
	ssize_t r;

	for (size_t i = 0; i < n; i++) {
		chunks[i] = new_message(client, number, next + i, random);
		lengths[i] = sizeof(struct message);
	}
	atomic_store(&ledger->producers[number].n_tried, next + n);
	do
		r = n == 1 ? mempool_queue_send(queue, chunks[0], lengths[0], -1)
			   : mempool_queue_send_many(queue, chunks, lengths, n, -1);
	while (is_busy(r));
	return n == 1 && r == 0 ? 1 : r;
}

static ssize_t send_bytes(struct mempool_queue *queue, unsigned int number, uint64_t next,
			  uint64_t *random)
{
	struct message message;
	ssize_t r;

	fill(&message, number, next, random);
	atomic_store(&ledger->producers[number].n_tried, next + 1);
	do
		r = mempool_queue_send_bytes(queue, &message, sizeof(message), -1);
	while (is_busy(r));
	return r == 0 ? 1 : r;
}

static void produce(unsigned int number, struct mempool_client *client)
{
	struct mempool_queue *queue = open_queue(client);
	struct producer *me = &ledger->producers[number];
	uint64_t random = (number + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ me->n_tried;

	/* What is in doubt is not sent again. */
	for (uint64_t next = me->n_tried; next < n_each;) {
		size_t n = in_slots || crew_random(&random) % 4 ? 1 : MANY;
		ssize_t r;

		if (n > n_each - next)
			n = n_each - next;
		r = in_slots ? send_bytes(queue, number, next, &random)
			     : send_chunks(client, queue, number, next, n, &random);
		if (r != (ssize_t)n)
			crew_fault("send: %zd", r);
		next += n;
		atomic_store(&me->n_sent, next);
	}
	mempool_queue_close(queue);
}

static void producer_killed(struct producer *producer)
{
	for (uint64_t i = producer->n_sent; i < producer->n_tried; i++) {
		bit_set(producer->in_doubt, i);
		producer->n_in_doubt++;
	}
	atomic_store(&producer->n_sent, producer->n_tried);
}

/* ---- consumers ---- */

/* Returns whether it says stop. */
static bool look_at(struct consumer *me, const struct message *message, size_t length)
{
	if (length != sizeof(*message) || message->checksum != checksum(message))
		crew_fault("mixed up: %u/%llu", message->producer,
			   (unsigned long long)message->sequence);
	if (message->producer == STOP)
		return true;
	if (message->producer >= n_producers || message->sequence >= n_each)
		crew_fault("no message of ours: %u/%llu", message->producer,
			   (unsigned long long)message->sequence);
	if (message->sequence < me->next[message->producer])
		crew_fault("out of order: %u/%llu after %llu", message->producer,
			   (unsigned long long)message->sequence,
			   (unsigned long long)me->next[message->producer]);
	atomic_store(&me->next[message->producer], message->sequence + 1);
	if (bit_set(ledger->producers[message->producer].came, message->sequence))
		crew_fault("received twice: %u/%llu", message->producer,
			   (unsigned long long)message->sequence);
	me->n_received++;
	return false;
}

/* Return: how many came, and whether one of them says stop. */
static ssize_t receive_chunks(struct mempool_client *client, struct mempool_queue *queue,
			      struct consumer *me, size_t wanted, bool *stop)
{
	void *chunks[MANY];
	size_t lengths[MANY];
	ssize_t n;

	do
		n = mempool_queue_receive_many(queue, chunks, lengths, wanted, -1);
	while (is_busy(n));
	for (ssize_t i = 0; i < n; i++) {
		*stop |= look_at(me, chunks[i], lengths[i]);
		if (mempool_free(client, chunks[i]) < 0)
			crew_fault("what was received is not ours");
	}
	return n;
}

static ssize_t receive_bytes(struct mempool_queue *queue, struct consumer *me, bool *stop)
{
	struct message message;
	size_t length;
	int r;

	do
		r = mempool_queue_receive_bytes(queue, &message, sizeof(message), &length, -1);
	while (is_busy(r));
	if (r < 0)
		return r;
	*stop = look_at(me, &message, length);
	return 1;
}

static void consume(unsigned int number, struct mempool_client *client)
{
	struct mempool_queue *queue = open_queue(client);
	struct consumer *me = &ledger->consumers[number];
	uint64_t random = number + 77;
	bool stop = false;

	while (!stop) {
		size_t wanted = in_slots || crew_random(&random) % 2 ? 1 : MANY;
		ssize_t n;

		atomic_store(&me->n_wanted, wanted);
		n = in_slots ? receive_bytes(queue, me, &stop)
			     : receive_chunks(client, queue, me, wanted, &stop);
		if (n < 1)
			crew_fault("receive: %zd", n);
		atomic_store(&me->n_wanted, 0);
	}
	mempool_queue_close(queue);
}

/* ---- all of them ---- */

static void run(unsigned int number, struct mempool_client *client)
{
	if (number < n_producers)
		produce(number, client);
	else
		consume(number - n_producers, client);
}

static void on_kill(unsigned int number)
{
	struct consumer *consumer;

	if (number < n_producers) {
		producer_killed(&ledger->producers[number]);
		return;
	}
	consumer = &ledger->consumers[number - n_producers];
	consumer->n_taken_along += atomic_exchange(&consumer->n_wanted, 0);
}

static uint64_t progress(void)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < n_producers; i++)
		n += ledger->producers[i].n_tried;
	for (unsigned int i = 0; i < n_consumers; i++)
		n += ledger->consumers[i].n_received;
	return n;
}

static int send_stop(struct mempool_client *client, struct mempool_queue *queue, uint64_t *random,
		     int64_t timeout_ns)
{
	struct message bytes, *message = &bytes;
	int r;

	if (in_slots) {
		fill(&bytes, STOP, 0, random);
		return mempool_queue_send_bytes(queue, &bytes, sizeof(bytes), timeout_ns);
	}
	message = new_message(client, STOP, 0, random);
	r = mempool_queue_send(queue, message, sizeof(*message), timeout_ns);
	if (r < 0)
		mempool_free(client, message);
	return r;
}

static int receive_stop(struct crew *crew, struct mempool_client *client,
			struct mempool_queue *queue)
{
	struct message message = { .producer = STOP };
	void *chunk;
	int r;

	if (in_slots) {
		r = mempool_queue_receive_bytes(queue, &message, sizeof(message), NULL, 0);
	} else {
		r = mempool_queue_receive(queue, &chunk, NULL, 0);
		if (r == 0) {
			message = *(struct message *)chunk;
			mempool_free(client, chunk);
		}
	}
	if (message.producer != STOP)
		crew_fail(crew, "a message was behind the end", 0);
	return r;
}

/* A stop for each; who receives several at once leaves others without, so again. */
static void stop_consumers(struct crew *crew)
{
	struct mempool_client *client = crew_open(crew);
	struct mempool_queue *queue = open_queue(client);
	uint64_t random = 1;

	while (!crew_is_over(crew, crew->n)) {
		send_stop(client, queue, &random, 1000000);
		crew_watch(crew, crew->n, 0.001);
	}

	/* All that comes now are stops. Then there is room for so many, and no more. */
	while (receive_stop(crew, client, queue) == 0)
		;
	for (unsigned int i = 0; i <= capacity; i++)
		if (send_stop(client, queue, &random, 0) != (i < capacity ? 0 : -EAGAIN))
			crew_fail(crew, "the capacity is another one, at", (long)i);
	for (unsigned int i = 0; i < capacity; i++)
		if (receive_stop(crew, client, queue) < 0)
			crew_fail(crew, "a full queue had but", (long)i);
	mempool_queue_close(queue);
	mempool_client_close(client);
}

static void look_at_ledger(struct crew *crew, double seconds)
{
	uint64_t n_received = 0, n_in_doubt = 0, n_unsent = 0, n_lost = 0, n_may_be_lost = 0;

	for (unsigned int p = 0; p < n_producers; p++) {
		struct producer *producer = &ledger->producers[p];

		n_in_doubt += producer->n_in_doubt;
		for (uint64_t i = 0; i < n_each; i++) {
			bool came = bit_is(producer->came, i);

			n_received += came;
			n_unsent += !came && bit_is(producer->in_doubt, i);
			n_lost += !came && !bit_is(producer->in_doubt, i);
		}
	}
	for (unsigned int i = 0; i < n_consumers; i++)
		n_may_be_lost += ledger->consumers[i].n_taken_along;

	printf("%llu messages of %u producers to %u consumers, capacity %u, %.1f s, %.2f million "
	       "a second\n"
	       "kills %llu; received once %llu; in doubt by the death of a producer %llu, of "
	       "them not sent %llu;\n"
	       "taken along by dead consumers %llu (at most %llu); longest standstill %.0f ms\n",
	       (unsigned long long)(n_each * n_producers), n_producers, n_consumers, capacity,
	       seconds, (double)(n_each * n_producers) / seconds / 1e6,
	       (unsigned long long)crew->n_kills, (unsigned long long)n_received,
	       (unsigned long long)n_in_doubt, (unsigned long long)n_unsent,
	       (unsigned long long)n_lost, (unsigned long long)n_may_be_lost,
	       crew->longest_standstill_ms);
	if (n_lost > n_may_be_lost)
		crew_fail(crew, "messages were lost", (long)n_lost);
}

static void set_mortal(struct crew *crew, const char *who)
{
	crew->first_mortal = strcmp(who, "consumers") == 0 ? n_producers : 0;
	if (strcmp(who, "producers") == 0)
		crew->n_mortal = n_producers;
	else if (strcmp(who, "consumers") == 0)
		crew->n_mortal = n_consumers;
	else
		crew->n_mortal = crew->n;
}

static void parse(int argc, char *argv[], uint64_t *ret_steps_a_kill, const char **ret_mortal,
		  uint64_t *ret_seed)
{
	static const struct option options[] = {
		{ "messages", required_argument, NULL, 'm' },
		{ "producers", required_argument, NULL, 'p' },
		{ "consumers", required_argument, NULL, 'c' },
		{ "capacity", required_argument, NULL, 'q' },
		{ "kill-every", required_argument, NULL, 'k' },
		{ "mortal", required_argument, NULL, 'o' },
		{ "seed", required_argument, NULL, 's' },
		{ "one-sender", no_argument, NULL, '1' },
		{ "one-receiver", no_argument, NULL, '2' },
		{ "in-slots", no_argument, NULL, '3' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 'm':
			n_messages = strtoull(optarg, NULL, 0);
			break;
		case 'p':
			n_producers = (unsigned int)strtoul(optarg, NULL, 0);
			break;
		case 'c':
			n_consumers = (unsigned int)strtoul(optarg, NULL, 0);
			break;
		case 'q':
			capacity = (unsigned int)strtoul(optarg, NULL, 0);
			break;
		case 'k':
			*ret_steps_a_kill = strtoull(optarg, NULL, 0);
			break;
		case 'o':
			*ret_mortal = optarg;
			break;
		case 's':
			*ret_seed = strtoull(optarg, NULL, 0);
			break;
		case '1':
			has_one_sender = true;
			break;
		case '2':
			has_one_receiver = true;
			break;
		case '3':
			has_one_sender = has_one_receiver = in_slots = true;
			break;
		default:
			exit(64);
		}
	}
	if (n_producers < 1 || n_producers > MAX_EACH || n_consumers < 1 ||
	    n_consumers > MAX_EACH || capacity < 1)
		die("1 to %d producers and consumers, and a capacity", MAX_EACH);
}

int main(int argc, char *argv[])
{
	struct crew crew = { .run = run, .on_kill = on_kill, .progress = progress };
	double begin;
	const char *mortal = "all";
	uint64_t seed = 1;
	char keys[256];

	parse(argc, argv, &crew.steps_a_kill, &mortal, &seed);
	n_each = n_messages / n_producers;
	ledger = crew_memory(sizeof(*ledger));
	for (unsigned int i = 0; i < n_producers; i++) {
		ledger->producers[i].came = crew_memory(n_each / 8 + 8);
		ledger->producers[i].in_doubt = crew_memory(n_each / 8 + 8);
	}
	crew.n = n_producers + n_consumers;
	set_mortal(&crew, mortal);
	snprintf(keys, sizeof(keys),
		 "    pools:\n"
		 "      - { chunk_size: 64, chunk_count: %u, cache: 16 }\n"
		 "    queues:\n"
		 "      - { name: work, capacity: %u, senders: %s, receivers: %s%s }\n",
		 capacity + 2 * MANY * crew.n, capacity, has_one_sender ? "one" : "many",
		 has_one_receiver ? "one" : "many", in_slots ? ", slot_bytes: 56" : "");

	begin = seconds_now();
	crew_start(&crew, keys, seed);
	crew_watch(&crew, n_producers, 1e9);
	crew.kill_at = UINT64_MAX;
	stop_consumers(&crew);
	look_at_ledger(&crew, seconds_now() - begin);
	crew_end(&crew);
	return 0;
}
