/* SPDX-License-Identifier: MIT */
/*
 * storm_client.c - one client of a storm: threads that do at random what clients do
 *
 * Its threads keep what they hold in one table, from which each takes what it finds: so
 * chunks are freed and given by other threads than those that allocated them. An entry is
 * moved by exchanges alone; whoever has it in hand is the only one.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mempool.h"
#include "storm.h"

#define TABLE 48			/* chunks that a client holds at most, and some */
#define MAX_SIZE 1100			/* a little more than the largest chunk */

enum state {
	HELD = 0x11,
	FREED = 0x22,
	GIVEN = 0x33,
	SHARED = 0x44,
};

/* At the start of a chunk; its sequence once more at the end. */
struct stamp {
	uint64_t token;
	uint64_t sequence;
	uint64_t state;
	uint64_t size;			/* that whoever stamped it might use: a client that checks
					 * has less of a chunk than others */
	uint64_t check;			/* of the four: one that was cut short does not fit */
};

/* And the sequence. */
#define LEAST_SIZE (sizeof(struct stamp) + sizeof(uint64_t))

/* What the table knows of a chunk: as which it must be found. */
struct held {
	void *chunk;
	size_t size;			/* usable */
	uint64_t token;			/* ours, or that of who shared it */
	uint64_t sequence;
	enum state state;		/* HELD, or SHARED: then only to be read */
};

static const struct storm_client_options *options;
static struct storm_arena *arena;
static struct storm_place *place;
static struct mempool_client *client;
static struct mempool_queue *queue;
static struct mempool_topic *topic;
static uint64_t token;
static _Atomic uint64_t last_sequence;
static _Atomic(struct held *) table[TABLE];

struct worker {
	pthread_t thread;
	struct storm_counts *counts;
	uint64_t random;
	struct mempool_subscriber *subscriber;
	unsigned int n_operations;	/* in this life of the client */
};

static void count(_Atomic uint64_t *counter)
{
	/* Relaxed: only for people and for the watchdog. */
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void fault(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void fault(const char *format, ...)
{
	va_list args;

	if (!atomic_exchange(&arena->has_fault, true)) {
		va_start(args, format);
		vsnprintf(arena->fault, sizeof(arena->fault), format, args);
		va_end(args);
	}
	_exit(STORM_EXIT_FAULT);
}

static uint64_t pick(struct worker *worker, uint64_t n)
{
	return storm_random(&worker->random) % n;
}

/* ---- stamps ---- */

static uint64_t check_of(const struct stamp *stamp)
{
	uint64_t mixed = stamp->token ^ stamp->sequence << 20 ^ stamp->size << 40 ^ stamp->state << 56;

	return storm_random(&mixed);
}

/* The last bytes of what may be used, which need not be aligned. */
static unsigned char *tail_of(const struct held *held)
{
	return (unsigned char *)held->chunk + held->size - sizeof(held->sequence);
}

static bool ends_with(const struct held *held, uint64_t sequence)
{
	return memcmp(tail_of(held), &sequence, sizeof(sequence)) == 0;
}

static void stamp(struct held *held, enum state state)
{
	struct stamp *there = held->chunk;

	held->token = token;
	held->sequence = atomic_fetch_add(&last_sequence, 1) + 1;
	held->state = state;
	there->token = token;
	there->sequence = held->sequence;
	there->state = state;
	there->size = held->size;
	there->check = check_of(there);
	memcpy(tail_of(held), &held->sequence, sizeof(held->sequence));
}

/* Bytes that a chunk is given with: by its sequence, so that the taker can tell. */
static size_t length_of(uint64_t sequence, size_t size)
{
	return sizeof(struct stamp) + sequence % (size - sizeof(struct stamp) + 1);
}

static void check_held(struct worker *worker, const struct held *held)
{
	const struct stamp *there = held->chunk;

	count(&worker->counts->n_checked);
	if (there->token != held->token || there->sequence != held->sequence ||
	    there->state != held->state || there->check != check_of(there) ||
	    !ends_with(held, held->sequence))
		fault("stamped by %#llx, %llu, state %#x, it says %#llx, %llu, state %#llx: "
		      "somebody else used it",
		      (unsigned long long)held->token, (unsigned long long)held->sequence,
		      held->state,
		      (unsigned long long)there->token, (unsigned long long)there->sequence,
		      (unsigned long long)there->state);
}

static bool is_living(uint64_t other)
{
	const struct storm_place *its = &arena->places[(other >> 48) - 1];

	/*
	 * In this order. It was doomed before it was killed, and lost its token before the place
	 * was no longer doomed: whoever sees it not doomed any more sees it without its token.
	 */
	return !atomic_load(&its->doomed) && atomic_load(&its->token) == other;
}

static void check_allocated(struct worker *worker, const struct held *held)
{
	const struct stamp *there = held->chunk;

	count(&worker->counts->n_checked);
	if (there->check == check_of(there) && there->state == HELD && is_living(there->token))
		fault("allocated by %#llx, but %#llx, who lives, holds it with sequence %llu",
		      (unsigned long long)token, (unsigned long long)there->token,
		      (unsigned long long)there->sequence);
}

/* Where the note about a handle is, and what it begins with. */
static _Atomic uint64_t *find_note(uint64_t handle, uint32_t *ret_mark)
{
	uint64_t hash = storm_random(&handle);

	*ret_mark = (uint32_t)hash;
	return &arena->notes[(hash >> 32) % STORM_NOTES];
}

static void write_note(uint64_t handle, uint64_t sequence)
{
	uint32_t mark;
	_Atomic uint64_t *note = find_note(handle, &mark);

	atomic_store(note, (uint64_t)mark << 32 | (uint32_t)sequence);
}

/* Whether the sequence is the noted one, as far as there is a note. */
static bool fits_note(uint64_t handle, uint64_t sequence)
{
	uint32_t mark;
	uint64_t note = atomic_load(find_note(handle, &mark));

	return note >> 32 != mark || (uint32_t)note == (uint32_t)sequence;
}

/* A chunk that came from somebody: as he must have stamped it. handle: 0, or how it came. */
static void check_arrived(struct worker *worker, struct held *held, enum state state,
			  size_t length, uint64_t handle)
{
	const struct stamp *there = held->chunk;

	count(&worker->counts->n_checked);
	held->token = there->token;
	held->sequence = there->sequence;
	held->state = state;
	if (there->check == check_of(there) && there->size >= LEAST_SIZE &&
	    there->size <= held->size)
		held->size = there->size;
	if (there->check != check_of(there) || there->state != state ||
	    there->size != held->size || !ends_with(held, there->sequence) ||
	    length != length_of(there->sequence, held->size) ||
	    (handle && !fits_note(handle, there->sequence)))
		fault("came to %#llx with length %zu, it says %#llx, %llu, state %#llx, not %#x",
		      (unsigned long long)token, length, (unsigned long long)there->token,
		      (unsigned long long)there->sequence, (unsigned long long)there->state,
		      state);
}

/* ---- chunks ---- */

static struct held *held_new(void *chunk)
{
	struct held *held = malloc(sizeof(*held));
	ssize_t size = mempool_usable_size(client, chunk);

	if (!held)
		fault("out of memory");
	if (size < (ssize_t)LEAST_SIZE)
		fault("usable size of a chunk of ours: %zd", size);
	*held = (struct held){ .chunk = chunk, .size = (size_t)size };
	return held;
}

static void let_go(struct worker *worker, struct held *held)
{
	int r;

	check_held(worker, held);
	if (held->state == HELD)
		stamp(held, FREED);
	r = mempool_free(client, held->chunk);
	if (r < 0)
		fault("free of a chunk that is ours: %s", strerror(-r));
	free(held);
}

static void put(struct worker *worker, struct held *held)
{
	struct held *before = atomic_exchange(&table[pick(worker, TABLE)], held);

	if (before)
		let_go(worker, before);
}

static struct held *get(struct worker *worker)
{
	return atomic_exchange(&table[pick(worker, TABLE)], NULL);
}

/* One that nobody else may see: NULL if the one that was found is shared. */
static struct held *get_own(struct worker *worker)
{
	struct held *held = get(worker);

	if (!held || held->state == HELD)
		return held;
	put(worker, held);
	return NULL;
}

/* Now and then wait a little, so that sleepers and wakers are killed, too. */
static int64_t timeout(struct worker *worker)
{
	return pick(worker, 64) ? 0 : 2000000;
}

static void do_alloc(struct worker *worker)
{
	size_t size = LEAST_SIZE + pick(worker, pick(worker, 2) ? 64 : MAX_SIZE);
	void *chunk = mempool_alloc(client, size);
	struct held *held;

	if (!chunk) {
		if (errno == EAGAIN)
			count(&worker->counts->n_exhausted);
		else if (errno != EMSGSIZE)
			fault("alloc of %zu: %s", size, strerror(errno));
		return;
	}
	count(&worker->counts->n_allocated);
	held = held_new(chunk);
	if (held->size < size)
		fault("asked for %zu bytes, got %zu", size, held->size);
	check_allocated(worker, held);
	stamp(held, HELD);
	put(worker, held);
}

static void do_touch(struct worker *worker)
{
	struct held *held = get(worker);

	if (!held)
		return;
	check_held(worker, held);
	if (held->state == HELD)
		stamp(held, HELD);
	put(worker, held);
}

static void do_free(struct worker *worker)
{
	struct held *held = get(worker);

	if (held)
		let_go(worker, held);
}

/* Take what a handle names, if it still can be had. Return: NULL if not. */
static struct held *take(struct worker *worker, uint64_t handle)
{
	struct held *held;
	size_t length;
	void *chunk;
	int r = mempool_take(client, handle, &chunk, &length);

	if (r == -ESTALE) {
		count(&worker->counts->n_stale);
		return NULL;
	}
	if (r < 0)
		fault("take: %s", strerror(-r));
	count(&worker->counts->n_taken);
	held = held_new(chunk);
	check_arrived(worker, held, GIVEN, length, handle);
	stamp(held, HELD);
	return held;
}

static uint64_t give(struct worker *worker, struct held *held)
{
	uint64_t handle;
	int r;

	check_held(worker, held);
	stamp(held, GIVEN);
	r = mempool_give(client, held->chunk, length_of(held->sequence, held->size), &handle);
	if (r < 0)
		fault("give of a chunk that is ours: %s", strerror(-r));
	write_note(handle, held->sequence);
	free(held);
	return handle;
}

static void do_give(struct worker *worker)
{
	struct held *held = get_own(worker);
	uint64_t before;

	if (!held)
		return;
	before = atomic_exchange(&arena->mailboxes[pick(worker, STORM_MAILBOXES)],
				 give(worker, held));
	/* Nobody came for that one. */
	if (before) {
		held = take(worker, before);
		if (held)
			let_go(worker, held);
	}
}

static void do_take(struct worker *worker)
{
	_Atomic uint64_t *mailbox = &arena->mailboxes[pick(worker, STORM_MAILBOXES)];
	uint64_t handle;
	struct held *held;

	/* Often two have the same handle: one gets the chunk. */
	handle = pick(worker, 4) ? atomic_exchange(mailbox, 0) : atomic_load(mailbox);
	if (!handle)
		return;
	held = take(worker, handle);
	if (held)
		put(worker, held);
}

static void do_take_back(struct worker *worker)
{
	struct held *held = get_own(worker);

	if (!held)
		return;
	held = take(worker, give(worker, held));
	if (!held)
		fault("a given chunk whose handle nobody had is gone");
	put(worker, held);
}

/* ---- several holders ---- */

static void do_share(struct worker *worker)
{
	struct held *held = get(worker);
	uint64_t handle;
	int r;

	if (!held)
		return;
	check_held(worker, held);
	if (held->state == HELD)
		stamp(held, SHARED);
	r = mempool_share(client, held->chunk, length_of(held->sequence, held->size), &handle);
	if (r < 0)
		fault("share of a chunk that we hold: %s", strerror(-r));
	write_note(handle, held->sequence);
	atomic_store(&arena->boards[pick(worker, STORM_MAILBOXES)], handle);
	put(worker, held);
}

static void do_acquire(struct worker *worker)
{
	uint64_t handle = atomic_load(&arena->boards[pick(worker, STORM_MAILBOXES)]);
	const void *chunk;
	struct held *held;
	size_t length;
	int r;

	if (!handle)
		return;
	r = mempool_acquire(client, handle, &chunk, &length);
	if (r == -ESTALE) {
		count(&worker->counts->n_stale);
		return;
	}
	if (r < 0)
		fault("acquire: %s", strerror(-r));
	count(&worker->counts->n_acquired);
	held = held_new((void *)chunk);
	check_arrived(worker, held, SHARED, length, handle);
	put(worker, held);
}

/* ---- the queue and the topic ---- */

static void do_send(struct worker *worker)
{
	struct held *held = get_own(worker);
	int r;

	if (!held)
		return;
	check_held(worker, held);
	stamp(held, GIVEN);
	r = mempool_queue_send(queue, held->chunk, length_of(held->sequence, held->size),
			       timeout(worker));
	if (r == 0) {
		free(held);
		return;
	}
	if (r != -EAGAIN)
		fault("send of a chunk that is ours: %s", strerror(-r));
	/* No room: it is ours as before. */
	check_held(worker, held);
	stamp(held, HELD);
	put(worker, held);
}

static void do_receive(struct worker *worker)
{
	struct held *held;
	size_t length;
	void *chunk;
	int r = mempool_queue_receive(queue, &chunk, &length, timeout(worker));

	if (r == -EAGAIN)
		return;
	if (r < 0)
		fault("receive: %s", strerror(-r));
	count(&worker->counts->n_received);
	held = held_new(chunk);
	check_arrived(worker, held, GIVEN, length, MEMPOOL_HANDLE_NONE);
	stamp(held, HELD);
	put(worker, held);
}

static void do_publish(struct worker *worker)
{
	struct held *held = get_own(worker);
	int r;

	if (!held)
		return;
	check_held(worker, held);
	stamp(held, SHARED);
	r = mempool_topic_publish(topic, held->chunk, length_of(held->sequence, held->size));
	if (r < 0)
		fault("publish of a chunk that is ours: %s", strerror(-r));
	free(held);
}

static void do_read(struct worker *worker)
{
	const void *chunk;
	struct held *held;
	size_t length;
	int r = mempool_subscriber_next(worker->subscriber, &chunk, &length, NULL,
					timeout(worker));

	if (r == -EAGAIN)
		return;
	if (r < 0)
		fault("next: %s", strerror(-r));
	count(&worker->counts->n_read);
	held = held_new((void *)chunk);
	check_arrived(worker, held, SHARED, length, MEMPOOL_HANDLE_NONE);
	put(worker, held);
}

static void do_nonsense(struct worker *worker)
{
	struct held *held = get(worker);
	uint64_t handle;

	if (mempool_free(client, &held) != -EINVAL || mempool_free(client, NULL) != -EINVAL)
		fault("free of what is no chunk did not fail");
	if (!held)
		return;
	if (mempool_free(client, (unsigned char *)held->chunk + 8) != -EINVAL)
		fault("free of the middle of a chunk did not fail");
	if (held->state == SHARED && mempool_give(client, held->chunk, 1, &handle) != -EBUSY)
		fault("give of a shared chunk did not fail");
	check_held(worker, held);
	put(worker, held);
}

static const struct {
	uint64_t share;			/* of all operations, in percent */
	void (*run)(struct worker *worker);
} operations[] = {
	{ 25, do_alloc },
	{ 17, do_touch },
	{ 8, do_free },
	{ 8, do_give },
	{ 8, do_take },
	{ 2, do_take_back },
	{ 5, do_share },
	{ 7, do_acquire },
	{ 5, do_send },
	{ 5, do_receive },
	{ 4, do_publish },
	{ 4, do_read },
	{ 2, do_nonsense },
};

static void do_something(struct worker *worker)
{
	uint64_t dice = pick(worker, 100);
	size_t i;

	for (i = 0; dice >= operations[i].share; i++)
		dice -= operations[i].share;
	operations[i].run(worker);
	count(&worker->counts->n_operations);
}

static void *work(void *userdata)
{
	struct worker *worker = userdata;
	enum mempool_topic_start start =
		pick(worker, 2) ? MEMPOOL_TOPIC_NEW : MEMPOOL_TOPIC_OLDEST;
	int r = mempool_topic_subscribe(topic, start, &worker->subscriber);

	if (r < 0)
		fault("subscribe: %s", strerror(-r));
	for (unsigned int i = 0; i < worker->n_operations; i++) {
		do_something(worker);
		if (atomic_load_explicit(&arena->stop, memory_order_relaxed))
			break;
	}
	mempool_subscriber_close(worker->subscriber);
	return NULL;
}

/* ---- lives ---- */

static void open_client(struct worker *worker)
{
	const struct mempool_client_options with = {
		.size = sizeof(with),
		.socket_path = options->socket_path,
		.name = "storm",
		.timeout_ns = -1,		/* a killed daemon comes back */
		.flags = pick(worker, 4) ? 0 : MEMPOOL_CLIENT_DEBUG,
	};
	int r = mempool_client_open(&with, &client);

	if (r < 0)
		fault("open: %s", strerror(-r));
	r = mempool_queue_open(client, STORM_QUEUE, &queue);
	if (r == 0)
		r = mempool_topic_open(client, STORM_TOPIC, &topic);
	if (r < 0)
		fault("queue and topic: %s", strerror(-r));
	count(&worker->counts->n_opened);
	token = (uint64_t)(options->place + 1) << 48 | atomic_fetch_add(&arena->n_tokens, 1);
	atomic_store(&place->token, token);
}

/* Before the end: look at all of it once more. Return: how many are ours alone. */
static int forget_all(struct worker *worker)
{
	int n = 0;

	for (int i = 0; i < TABLE; i++) {
		struct held *held = atomic_exchange(&table[i], NULL);

		if (!held)
			continue;
		check_held(worker, held);
		/* Of shared ones, we may have several. */
		n += held->state == HELD;
		free(held);
	}
	atomic_store(&place->token, 0);
	return n;
}

static void live(struct worker workers[])
{
	unsigned int n_operations = 1 + (unsigned int)pick(&workers[0], 20000);
	int n_held, r;

	/* Many short lives, too. */
	if (pick(&workers[0], 2))
		n_operations = n_operations % 200;
	open_client(&workers[0]);
	for (unsigned int i = 0; i < options->n_threads; i++)
		workers[i].n_operations = n_operations;
	for (unsigned int i = 1; i < options->n_threads; i++)
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
			fault("no thread");
	work(&workers[0]);
	for (unsigned int i = 1; i < options->n_threads; i++)
		pthread_join(workers[i].thread, NULL);

	n_held = forget_all(&workers[0]);
	/* As programs end that do not close. */
	if (pick(&workers[0], 16) == 0)
		_exit(0);
	mempool_queue_close(queue);
	r = mempool_client_close(client);
	mempool_topic_close(topic);
	/* And perhaps some that we shared, or that we gave and nobody has taken. */
	if (r < n_held)
		fault("close freed %d chunks, %d were held", r, n_held);
}

void storm_client_run(const struct storm_client_options *with)
{
	struct worker workers[STORM_MAX_THREADS];
	uint64_t seed = with->seed;

	options = with;
	arena = with->arena;
	place = &arena->places[with->place];
	for (unsigned int i = 0; i < with->n_threads; i++)
		workers[i] = (struct worker){ .counts = &place->counts[i],
					      .random = storm_random(&seed) };
	while (!atomic_load(&arena->stop))
		live(workers);
	_exit(0);
}
