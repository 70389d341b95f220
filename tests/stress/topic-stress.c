/* SPDX-License-Identifier: MIT */
/*
 * topic-stress.c - one publishes, many read at their own speed, some are killed and started
 *		    again, one is stopped: everybody's received + missed is what was published,
 *		    whichever messages it reads, and whether it holds, copies or only looks at them
 *
 *	topic-stress [--seconds N] [--kill-every STEPS] [--subscribers N] [--capacity N] [--seed N]
 *
 * A message is full of words that its number determines. The only publisher is never killed,
 * so a message's number is its place in the topic. From each message to the next, a reader's
 * number moves by exactly one and what it was told it missed; its first is where it
 * subscribed, as far as that can be told from outside; its last one is the last there is.
 *
 * There are as many chunks as the topic keeps and readers hold, and some for the dead that
 * are not yet reaped: the publisher takes one without waiting, each time.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crew.h"
#include "ctl/observer.h"

#define TOPIC "news"
#define PUBLISHER 0
#define N_WORDS 8
#define N_SPARE 200		/* chunks, for the dead and for caches */
#define NAP_EVERY 4000		/* messages, so that fast readers sleep as well */

/* How subscribers read, in turn. */
enum policy { ALL, PEEK, NEWEST, COPY, OTHERS, LAST, N_POLICIES };
#define N_LAST 5

struct arena {
	_Atomic bool stop;
	_Atomic bool is_over;		/* nothing more is published */
	_Atomic uint64_t n_published;	/* counted after each */
	struct {
		_Alignas(64) _Atomic uint64_t n_received;
		_Atomic uint64_t n_missed;
		_Atomic uint64_t n_lives;
		_Atomic bool is_ready;	/* has subscribed */
	} counts[CREW_MAX];
};

static struct arena *arena;
static unsigned int n_subscribers = 16;

static uint64_t word_of(uint64_t number, unsigned int i)
{
	return (number + 1) * UINT64_C(0x9e3779b97f4a7c15) + i;
}

static size_t length_of(uint64_t number)
{
	return (N_WORDS - number % 3) * sizeof(uint64_t);
}

static void pause_ns(int64_t ns)
{
	struct timespec pause = { ns / 1000000000, ns % 1000000000 };

	nanosleep(&pause, NULL);
}

static void publish(struct mempool_topic *topic, struct mempool_client *client, uint64_t number)
{
	uint64_t *chunk = mempool_alloc(client, N_WORDS * sizeof(*chunk));
	int r;

	if (!chunk)
		crew_fault("message %llu: no chunk: %s", (unsigned long long)number,
			   strerror(errno));
	for (unsigned int i = 0; i < N_WORDS; i++)
		/* One that peeks may read it meanwhile. */
		atomic_store_explicit((_Atomic uint64_t *)&chunk[i], word_of(number, i),
				      memory_order_relaxed);
	r = mempool_topic_publish(topic, chunk, length_of(number));
	if (r < 0)
		crew_fault("publish: %s", strerror(-r));
}

static void run_publisher(struct mempool_client *client, struct mempool_topic *topic)
{
	/* Nobody's first life begins late. */
	for (unsigned int i = 1; i <= n_subscribers; i++)
		while (!arena->counts[i].is_ready)
			pause_ns(1000000);

	while (!arena->stop) {
		uint64_t number = arena->n_published;

		publish(topic, client, number);
		arena->n_published = number + 1;
		if (number % NAP_EVERY == 0)
			pause_ns(1000000);
	}
	arena->is_over = true;
}

/* The number of a message, which must be all that it says. */
static uint64_t check(const uint64_t *chunk, size_t length)
{
	/* The inverse of the factor in word_of(). */
	uint64_t number = chunk[0] * UINT64_C(0xf1de83e19937733d) - 1;

	for (unsigned int i = 0; i < N_WORDS; i++)
		if (chunk[i] != word_of(number, i))
			crew_fault("message %#llx: word %u says %#llx", (unsigned long long)number,
				   i, (unsigned long long)chunk[i]);
	if (length != length_of(number))
		crew_fault("message %llu has %zu bytes", (unsigned long long)number, length);
	return number;
}

/* A message that was read: held, or a copy. */
struct message {
	uint64_t words[N_WORDS];	/* of a copy */
	const uint64_t *content;
	size_t length;
	uint64_t missed;
	bool is_held;
};

/* Whole, or -ESTALE: it is missed, and the next one tells. */
static int peek(struct mempool_subscriber *subscriber, struct message *message, int64_t timeout_ns)
{
	const void *chunk;
	int r = mempool_subscriber_peek(subscriber, &chunk, &message->length, NULL, &message->missed,
					timeout_ns);

	if (r < 0)
		return r;
	for (unsigned int i = 0; i < N_WORDS; i++)
		message->words[i] = atomic_load_explicit((const _Atomic uint64_t *)chunk + i,
							 memory_order_relaxed);
	return mempool_subscriber_verify(subscriber);
}

static int copy(struct mempool_subscriber *subscriber, struct message *message, int64_t timeout_ns)
{
	int r = mempool_subscriber_copy(subscriber, message->words, sizeof(message->words),
					&message->length, NULL, &message->missed, timeout_ns);

	/* Of one that is shorter, what it says all the same. */
	for (size_t i = message->length / sizeof(uint64_t); r == 0 && i < N_WORDS; i++)
		message->words[i] = message->words[0] + i;
	return r;
}

static int read_one(struct mempool_subscriber *subscriber, enum policy policy,
		    struct message *message, int64_t timeout_ns)
{
	const void *chunk;
	int r;

	message->content = message->words;
	message->is_held = policy != PEEK && policy != COPY;
	if (policy == PEEK)
		return peek(subscriber, message, timeout_ns);
	if (policy == COPY)
		return copy(subscriber, message, timeout_ns);
	r = mempool_subscriber_next(subscriber, &chunk, &message->length, &message->missed,
				    timeout_ns);
	if (r == 0)
		message->content = chunk;
	return r;
}

static int subscribe(struct mempool_topic *topic, enum policy policy, bool is_first_life,
		     struct mempool_subscriber **ret_subscriber)
{
	struct mempool_subscribe_options options = {
		.size = sizeof(options),
		.start = is_first_life ? MEMPOOL_TOPIC_OLDEST : MEMPOOL_TOPIC_NEW,
		.flags = policy == NEWEST ? MEMPOOL_SUBSCRIBE_NEWEST :
			 policy == OTHERS ? MEMPOOL_SUBSCRIBE_OTHERS : 0,
	};

	if (policy == LAST) {
		options.start = MEMPOOL_TOPIC_LAST;
		options.n_last = N_LAST;
	}
	return mempool_topic_subscribe_with(topic, &options, ret_subscriber);
}

static void run_subscriber(unsigned int number, struct mempool_client *client,
			   struct mempool_topic *topic)
{
	bool is_first_life = arena->counts[number].n_lives++ == 0;
	uint64_t before = arena->n_published, after, next = 0;
	const enum policy policy = number % N_POLICIES;
	struct mempool_subscriber *subscriber;
	bool has_begun = false;
	uint64_t pending = 0;
	int r;

	r = subscribe(topic, policy, is_first_life, &subscriber);
	if (r < 0)
		crew_fault("subscribe: %s", strerror(-r));
	/* One may be published and not yet counted. */
	after = arena->n_published + 1;
	arena->counts[number].is_ready = true;

	for (;;) {
		/* Before the look: what that does not find will not come. */
		bool is_over = arena->is_over;
		struct message message = { .missed = 0 };
		uint64_t missed, found;

		r = read_one(subscriber, policy, &message, is_over ? 0 : INT64_C(100000000));
		if (r == -EAGAIN && is_over)
			break;
		if (r == -EAGAIN)
			continue;
		/* What it was told to have missed before that counts with what comes. */
		pending += message.missed;
		if (r == -ESTALE)
			continue;
		if (r < 0)
			crew_fault("next: %s", strerror(-r));

		missed = pending;
		pending = 0;
		found = check(message.content, message.length);
		if (has_begun && found != next + missed)
			crew_fault("message %llu after %llu, but %llu missed",
				   (unsigned long long)found, (unsigned long long)next,
				   (unsigned long long)missed);
		if (!has_begun && !is_first_life &&
		    (found - missed + (policy == LAST ? N_LAST : 0) < before || found - missed > after))
			crew_fault("subscribed at %llu, between %llu and %llu",
				   (unsigned long long)(found - missed),
				   (unsigned long long)before, (unsigned long long)after);
		has_begun = true;
		next = found + 1;
		arena->counts[number].n_received++;
		arena->counts[number].n_missed += missed;

		/* The first one is as fast as it can be, the others slower and slower. */
		if (number > 1)
			pause_ns((int64_t)number * number * 10000);
		if (check(message.content, message.length) != found)
			crew_fault("message %llu changed while it was held",
				   (unsigned long long)found);
		r = message.is_held ? mempool_free(client, message.content) : 0;
		if (r < 0)
			crew_fault("free: %s", strerror(-r));
	}
	if (has_begun && next != arena->n_published)
		crew_fault("the last one was %llu, of %llu", (unsigned long long)next - 1,
			   (unsigned long long)arena->n_published);
	mempool_subscriber_close(subscriber);
}

static void run(unsigned int number, struct mempool_client *client)
{
	struct mempool_topic *topic;
	int r = mempool_topic_open(client, TOPIC, &topic);

	if (r < 0)
		crew_fault("topic: %s", strerror(-r));
	if (number == PUBLISHER)
		run_publisher(client, topic);
	else
		run_subscriber(number, client, topic);
	mempool_topic_close(topic);
}

static void on_kill(unsigned int number)
{
	(void)number;
}

/* What is published: the publisher must get on, whatever becomes of the others. */
static uint64_t progress(void)
{
	uint64_t n = arena->n_published;

	for (unsigned int i = 1; arena->is_over && i <= n_subscribers; i++)
		n += arena->counts[i].n_received;
	return n;
}

static void print(const struct crew *crew)
{
	for (unsigned int i = 1; i <= n_subscribers; i++)
		printf("subscriber %2u: received %llu, missed %llu, lives %llu\n", i,
		       (unsigned long long)arena->counts[i].n_received,
		       (unsigned long long)arena->counts[i].n_missed,
		       (unsigned long long)arena->counts[i].n_lives);
	printf("published %llu; kills %llu; longest standstill %.0f ms\n",
	       (unsigned long long)arena->n_published, (unsigned long long)crew->n_kills,
	       crew->longest_standstill_ms);
	fflush(stdout);
}

/* Each has read something, however little time a busy machine had for it until now. */
static void wait_until_all_have_read(struct crew *crew)
{
	struct patience patience;

	patience_begin(&patience);
	for (unsigned int i = 1; i <= n_subscribers; i++) {
		while (arena->counts[i].n_received == 0) {
			if (patience_ms(&patience) > CREW_HUNG_MS)
				crew_fail(crew, "HANG: a subscriber reads nothing", (long)i);
			crew_watch(crew, 1, 0.01);
		}
	}
	patience_end(&patience);
}

/* Those that were never killed have seen all. */
static void check_counts(const struct crew *crew)
{
	for (unsigned int i = 1; i <= n_subscribers; i++) {
		if (i > crew->n_mortal &&
		    arena->counts[i].n_received + arena->counts[i].n_missed != arena->n_published)
			die("FAULT: subscriber %u: received and missed are not published", i);
	}
}

int main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 't' },
		{ "subscribers", required_argument, NULL, 'n' },
		{ "capacity", required_argument, NULL, 'c' },
		{ "kill-every", required_argument, NULL, 'k' },
		{ "seed", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	struct crew crew = {
		.run = run, .on_kill = on_kill, .progress = progress, .steps_a_kill = 20000,
	};
	double seconds = 5;
	unsigned int capacity = 64;
	struct mempool_msg_drained drained = { .n_messages = 0 };
	uint64_t seed = 1;
	char keys[256], reason[240];
	int c, r;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 't':
			seconds = strtod(optarg, NULL);
			break;
		case 'n':
			n_subscribers = (unsigned int)strtoul(optarg, NULL, 0);
			break;
		case 'c':
			capacity = (unsigned int)strtoul(optarg, NULL, 0);
			break;
		case 'k':
			crew.steps_a_kill = strtoull(optarg, NULL, 0);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		default:
			exit(64);
		}
	}
	if (n_subscribers < 2 || n_subscribers >= CREW_MAX)
		die("2 to %d subscribers", CREW_MAX - 1);

	arena = crew_memory(sizeof(*arena));
	crew.n = n_subscribers + 1;
	/* The first half dies, the last one is stopped. */
	crew.first_mortal = 1;
	crew.n_mortal = n_subscribers / 2;
	snprintf(keys, sizeof(keys),
		 "    pools:\n"
		 "      - { chunk_size: 64, chunk_count: %u, cache: 4 }\n"
		 "    topics: [ { name: " TOPIC ", capacity: %u } ]\n",
		 capacity + n_subscribers + N_SPARE, capacity);
	crew_start(&crew, keys, seed);

	crew_watch(&crew, 1, seconds / 4);
	kill(crew.pids[n_subscribers], SIGSTOP);
	crew_watch(&crew, 1, seconds / 2);
	kill(crew.pids[n_subscribers], SIGCONT);
	crew_watch(&crew, 1, seconds / 4);
	crew.kill_at = UINT64_MAX;
	wait_until_all_have_read(&crew);
	arena->stop = true;
	crew_watch(&crew, crew.n, 1e9);
	print(&crew);
	check_counts(&crew);

	r = observer_drain(crew.daemon.socket_path, NULL, MEMPOOL_RING_TOPIC, TOPIC, &drained,
				   reason);
	if (r < 0 || drained.n_freed != drained.n_messages || drained.n_messages > capacity)
		die("FAULT: drain: %d, %llu messages, %llu chunks", r,
		    (unsigned long long)drained.n_messages, (unsigned long long)drained.n_freed);
	crew_end(&crew);
	return 0;
}
