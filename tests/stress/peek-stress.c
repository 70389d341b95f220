/* SPDX-License-Identifier: MIT */
/*
 * peek-stress.c - publishers overwrite as fast as they can; what a spectator is told is good is
 *		   one message, whole
 *
 *	peek-stress [--seconds N] [--kill-every STEPS] [--publishers N] [--spectators N]
 *		    [--capacity N] [--seed N]
 *
 * Spectators map the segment read-only, and nobody knows of them. (The crew gives each a client,
 * too, which it leaves alone.) They copy, or look and verify, and are killed and started again all
 * the time; one is stopped for a while. Publishers are killed, too. A message is full of words that its number
 * determines, of a length that varies, with a checksum at its end. There are few chunks more
 * than the topic keeps, so each is overwritten soon after it was evicted.
 *
 * For each publisher, numbers that a spectator is told only grow.
 */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/client.h"
#include "crew.h"
#include "ctl/observer.h"
#include "shm/holder.h"
#include "shm/segment.h"

#define TOPIC "news"
#define MAX_WORDS 200
#define MIN_WORDS 4		/* publisher, number, something, and the checksum */
#define N_SPARE 40		/* chunks, for the dead and for caches */

struct arena {
	_Atomic bool stop;
	_Atomic uint64_t n_publishing;	/* have not ended */
	struct {
		_Alignas(64) _Atomic uint64_t n_published;
		_Atomic uint64_t n_good;
		_Atomic uint64_t n_refused;	/* read, and then verify said no */
		_Atomic uint64_t n_missed;
		_Atomic uint64_t n_lives;
	} counts[CREW_MAX];
};

static struct arena *arena;
static struct crew crew;
static unsigned int n_publishers = 2, n_spectators = 3;

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static uint64_t checksum(const uint64_t *words, size_t n)
{
	uint64_t sum = n;

	for (size_t i = 0; i < n; i++)
		sum = mix(sum + words[i]);
	return sum;
}

static size_t words_of(uint64_t number)
{
	return MIN_WORDS + mix(number) % (MAX_WORDS - MIN_WORDS + 1);
}

/* ---- publishers ---- */

static void publish(struct mempool_topic *topic, struct mempool_client *client, uint64_t who,
		    uint64_t number)
{
	uint64_t *words = mempool_alloc_wait(client, MAX_WORDS * sizeof(*words), -1);
	size_t n = words_of(number);
	int r;

	if (!words)
		crew_fault("no chunk: %s", strerror(errno));
	words[0] = who;
	words[1] = number;
	for (size_t i = 2; i < n - 1; i++)
		words[i] = mix(number * CREW_MAX + who + i);
	words[n - 1] = checksum(words, n - 1);
	mempool_chunk_set_tag(client, words, (uint32_t)number);
	r = mempool_topic_publish(topic, words, n * sizeof(*words));
	if (r < 0)
		crew_fault("publish: %s", strerror(-r));
}

static void run_publisher(unsigned int number, struct mempool_client *client)
{
	struct mempool_topic *topic;
	int r = mempool_topic_open(client, TOPIC, &topic);

	if (r < 0)
		crew_fault("topic: %s", strerror(-r));
	/* Counted first: who is killed leaves a number that no message has. */
	while (!arena->stop)
		publish(topic, client, number, arena->counts[number].n_published++);
	mempool_topic_close(topic);
	arena->n_publishing--;
}

/* ---- spectators ---- */

struct watcher {
	unsigned int number;
	struct mempool_subscriber *subscriber;
	uint64_t next[CREW_MAX];	/* by publisher */
	uint64_t n_looks;
};

static void must_be_whole(struct watcher *watcher, const uint64_t *words, size_t length, uint32_t tag)
{
	size_t n = length / sizeof(*words);
	uint64_t who = words[0], number = words[1];

	if (n < MIN_WORDS || n > MAX_WORDS || length % sizeof(*words) || who >= n_publishers ||
	    n != words_of(number) || words[n - 1] != checksum(words, n - 1))
		crew_fault("called good: %zu bytes, of %llu, number %llu", length,
			   (unsigned long long)who, (unsigned long long)number);
	if (tag != (uint32_t)number)
		crew_fault("called good: tag %u of number %llu", tag, (unsigned long long)number);
	if (number < watcher->next[who])
		crew_fault("of %llu number %llu after %llu", (unsigned long long)who,
			   (unsigned long long)number,
			   (unsigned long long)watcher->next[who] - 1);
	watcher->next[who] = number + 1;
}

/* Return: 0; what the call says. */
static int copy(struct watcher *watcher, int64_t timeout_ns)
{
	uint64_t words[MAX_WORDS], missed;
	size_t length;
	uint32_t tag;
	int r = mempool_subscriber_copy(watcher->subscriber, words, sizeof(words), &length, &tag,
					&missed, timeout_ns);

	if (r < 0)
		return r;
	must_be_whole(watcher, words, length, tag);
	arena->counts[watcher->number].n_good++;
	arena->counts[watcher->number].n_missed += missed;
	return 0;
}

/* By pointer, a word at a time. */
static int look(struct watcher *watcher, int64_t timeout_ns)
{
	uint64_t words[MAX_WORDS], missed;
	const void *chunk;
	size_t length;
	uint32_t tag;
	int r = mempool_subscriber_peek(watcher->subscriber, &chunk, &length, &tag, &missed,
					timeout_ns);

	if (r < 0)
		return r;
	if (length > sizeof(words))
		crew_fault("%zu bytes", length);
	for (size_t i = 0; i < length / sizeof(*words); i++) {
		words[i] = ((const volatile uint64_t *)chunk)[i];
		/* Now and then a publisher gets round meanwhile, on one processor too. */
		if (i == MIN_WORDS / 2 && watcher->n_looks++ % 16 == 0)
			sched_yield();
	}
	arena->counts[watcher->number].n_missed += missed;
	r = mempool_subscriber_verify(watcher->subscriber);
	if (r == -ESTALE) {
		arena->counts[watcher->number].n_refused++;
		return 0;
	}
	if (r < 0)
		return r;
	must_be_whole(watcher, words, length, tag);
	arena->counts[watcher->number].n_good++;
	return 0;
}

/* Over a mapping of its own, read-only, that nobody knows of. */
static struct mempool_client *spectator_new(void)
{
	char name[PRIVATE_DAEMON_NAME_BYTES];
	struct segment_memory memory;
	struct mempool_client *client;
	struct segment *segment;
	int r;

	private_daemon_object(crew.daemon.segment, name);
	r = segment_open(name, SEGMENT_READ_ONLY, &memory);
	if (r == 0)
		r = segment_attach(&memory, &segment);
	if (r == 0)
		r = client_new_as(MEMPOOL_ROLE_SPECTATOR, 0, segment, MEMPOOL_HOLDER_NONE, 0,
				  &client);
	if (r < 0)
		crew_fault("cannot map: %s", strerror(-r));
	return client;
}

static void run_spectator(unsigned int number)
{
	struct mempool_client *client = spectator_new();
	struct watcher watcher = { .number = number };
	struct mempool_topic *topic;
	int r = mempool_topic_open(client, TOPIC, &topic);

	arena->counts[number].n_lives++;
	if (r == 0)
		r = mempool_topic_subscribe(topic, MEMPOOL_TOPIC_OLDEST, &watcher.subscriber);
	if (r < 0)
		crew_fault("subscribe: %s", strerror(-r));
	for (uint64_t n = 0;; n++) {
		/* Before the look: what that does not find will not come. */
		bool is_over = arena->n_publishing == 0;
		int64_t timeout_ns = is_over ? 0 : INT64_C(10000000);

		r = n % 2 ? copy(&watcher, timeout_ns) : look(&watcher, timeout_ns);
		if (r == -EAGAIN && is_over)
			break;
		if (r < 0 && r != -EAGAIN)
			crew_fault("peek or copy: %s", strerror(-r));
	}
	mempool_subscriber_close(watcher.subscriber);
	mempool_topic_close(topic);
	mempool_client_close(client);
}

static void run(unsigned int number, struct mempool_client *client)
{
	if (number < n_publishers)
		run_publisher(number, client);
	else
		run_spectator(number);
}

static void on_kill(unsigned int number)
{
	(void)number;
}

static uint64_t progress(void)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < n_publishers; i++)
		n += arena->counts[i].n_published;
	for (unsigned int i = n_publishers; arena->n_publishing == 0 && i < crew.n; i++)
		n += arena->counts[i].n_good + arena->counts[i].n_refused;
	return n;
}

static void print(void)
{
	for (unsigned int i = 0; i < n_publishers; i++)
		printf("publisher %u: %llu\n", i,
		       (unsigned long long)arena->counts[i].n_published);
	for (unsigned int i = n_publishers; i < crew.n; i++)
		printf("spectator %u: good %llu, refused %llu, missed %llu, lives %llu\n", i,
		       (unsigned long long)arena->counts[i].n_good,
		       (unsigned long long)arena->counts[i].n_refused,
		       (unsigned long long)arena->counts[i].n_missed,
		       (unsigned long long)arena->counts[i].n_lives);
	printf("kills %llu; longest standstill %.0f ms\n", (unsigned long long)crew.n_kills,
	       crew.longest_standstill_ms);
	fflush(stdout);
}

/* Each has read something, however little time a busy machine had for it until now. */
static void wait_until_all_have_read(void)
{
	struct patience patience;

	patience_begin(&patience);
	for (unsigned int i = n_publishers; i < crew.n; i++) {
		while (arena->counts[i].n_good == 0) {
			if (patience_ms(&patience) > CREW_HUNG_MS)
				crew_fail(&crew, "HANG: a spectator reads nothing", (long)i);
			crew_watch(&crew, 1, 0.01);
		}
	}
	patience_end(&patience);
}

static void check_counts(void)
{
	uint64_t n_refused = 0;

	for (unsigned int i = n_publishers; i < crew.n; i++)
		n_refused += arena->counts[i].n_refused;
	if (n_refused == 0)
		die("FAULT: nothing was ever overwritten: this shows nothing");
}

int main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 't' },
		{ "publishers", required_argument, NULL, 'p' },
		{ "spectators", required_argument, NULL, 'n' },
		{ "capacity", required_argument, NULL, 'c' },
		{ "kill-every", required_argument, NULL, 'k' },
		{ "seed", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	struct mempool_msg_drained drained = { .n_messages = 0 };
	unsigned int capacity = 4;
	double seconds = 5;
	uint64_t seed = 1;
	char keys[256], reason[240];
	int c, r;

	crew.steps_a_kill = 20000;
	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 't':
			seconds = strtod(optarg, NULL);
			break;
		case 'p':
			n_publishers = (unsigned int)strtoul(optarg, NULL, 0);
			break;
		case 'n':
			n_spectators = (unsigned int)strtoul(optarg, NULL, 0);
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
	if (n_publishers == 0 || n_spectators == 0 || n_publishers + n_spectators > CREW_MAX)
		die("1 to %d publishers and spectators", CREW_MAX);

	arena = crew_memory(sizeof(*arena));
	arena->n_publishing = n_publishers;
	crew.run = run;
	crew.on_kill = on_kill;
	crew.progress = progress;
	crew.n = crew.n_mortal = n_publishers + n_spectators;
	snprintf(keys, sizeof(keys),
		 "    pools:\n"
		 "      - { chunk_size: %zu, chunk_count: %u, cache: 2 }\n"
		 "    topics: [ { name: " TOPIC ", capacity: %u } ]\n",
		 MAX_WORDS * sizeof(uint64_t), capacity + n_publishers + N_SPARE, capacity);
	crew_start(&crew, keys, seed);

	crew_watch(&crew, 1, seconds / 4);
	kill(crew.pids[crew.n - 1], SIGSTOP);
	crew_watch(&crew, 1, seconds / 2);
	kill(crew.pids[crew.n - 1], SIGCONT);
	crew_watch(&crew, 1, seconds / 4);
	crew.kill_at = UINT64_MAX;
	wait_until_all_have_read();
	arena->stop = true;
	crew_watch(&crew, crew.n, 1e9);
	print();
	check_counts();

	r = observer_drain(crew.daemon.socket_path, NULL, MEMPOOL_RING_TOPIC, TOPIC, &drained,
				   reason);
	if (r < 0 || drained.n_freed != drained.n_messages || drained.n_messages > capacity)
		die("FAULT: drain: %d, %llu messages, %llu chunks", r,
		    (unsigned long long)drained.n_messages, (unsigned long long)drained.n_freed);
	crew_end(&crew);
	return 0;
}
