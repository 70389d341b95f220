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
#define DAEMON_NS INT64_C(30000000000)	/* by then a killed daemon is back */

enum state {
	HELD = 0x11,
	FREED = 0x22,
	GIVEN = 0x33,
};

/* At the start of a chunk; its sequence once more at the end. */
struct stamp {
	uint64_t token;
	uint64_t sequence;
	uint64_t state;
	uint64_t check;			/* of the three: one that was cut short does not fit */
};

struct held {
	void *chunk;
	size_t size;			/* usable */
	uint64_t sequence;
};

static const struct storm_client_options *options;
static struct storm_arena *arena;
static struct storm_place *place;
static struct mempool_client *client;
static uint64_t token;
static _Atomic uint64_t last_sequence;
static _Atomic(struct held *) table[TABLE];

struct worker {
	pthread_t thread;
	struct storm_counts *counts;
	uint64_t random;
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
	uint64_t mixed = stamp->token ^ stamp->sequence << 20 ^ stamp->state << 56;

	return storm_random(&mixed);
}

static uint64_t *tail_of(const struct held *held)
{
	return (uint64_t *)(void *)((unsigned char *)held->chunk + held->size - sizeof(uint64_t));
}

static void stamp(struct held *held, enum state state)
{
	struct stamp *there = held->chunk;

	held->sequence = atomic_fetch_add(&last_sequence, 1) + 1;
	there->token = token;
	there->sequence = held->sequence;
	there->state = state;
	there->check = check_of(there);
	*tail_of(held) = held->sequence;
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
	if (there->token != token || there->sequence != held->sequence ||
	    there->state != HELD || there->check != check_of(there) ||
	    *tail_of(held) != held->sequence)
		fault("held by %#llx with sequence %llu, it says %#llx, %llu, state %#llx: "
		      "somebody else used it",
		      (unsigned long long)token, (unsigned long long)held->sequence,
		      (unsigned long long)there->token, (unsigned long long)there->sequence,
		      (unsigned long long)there->state);
}

static bool is_living(uint64_t other)
{
	const struct storm_place *its = &arena->places[(other >> 48) - 1];

	/* The token first: a place is doomed before it loses its token. */
	return atomic_load(&its->token) == other && !atomic_load(&its->doomed);
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

static void check_taken(struct worker *worker, const struct held *held, size_t length,
			uint64_t handle)
{
	const struct stamp *there = held->chunk;

	count(&worker->counts->n_checked);
	if (there->check != check_of(there) || there->state != GIVEN ||
	    *tail_of(held) != there->sequence ||
	    length != length_of(there->sequence, held->size) ||
	    !fits_note(handle, there->sequence))
		fault("taken by %#llx with length %zu, it says %#llx, %llu, state %#llx",
		      (unsigned long long)token, length, (unsigned long long)there->token,
		      (unsigned long long)there->sequence, (unsigned long long)there->state);
}

/* ---- chunks ---- */

static struct held *held_new(void *chunk)
{
	struct held *held = malloc(sizeof(*held));
	ssize_t size = mempool_usable_size(client, chunk);

	if (!held)
		fault("out of memory");
	if (size < (ssize_t)(sizeof(struct stamp) + sizeof(uint64_t)))
		fault("usable size of a chunk of ours: %zd", size);
	*held = (struct held){ .chunk = chunk, .size = (size_t)size };
	return held;
}

static void let_go(struct worker *worker, struct held *held)
{
	int r;

	check_held(worker, held);
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

static void do_alloc(struct worker *worker)
{
	size_t size = 1 + pick(worker, pick(worker, 2) ? 64 : MAX_SIZE);
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
	check_taken(worker, held, length, handle);
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
	struct held *held = get(worker);
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
	struct held *held = get(worker);

	if (!held)
		return;
	held = take(worker, give(worker, held));
	if (!held)
		fault("a given chunk whose handle nobody had is gone");
	put(worker, held);
}

static void do_nonsense(struct worker *worker)
{
	struct held *held = get(worker);

	if (mempool_free(client, &held) != -EINVAL || mempool_free(client, NULL) != -EINVAL)
		fault("free of what is no chunk did not fail");
	if (!held)
		return;
	if (mempool_free(client, (unsigned char *)held->chunk + 8) != -EINVAL)
		fault("free of the middle of a chunk did not fail");
	check_held(worker, held);
	put(worker, held);
}

static void *work(void *userdata)
{
	struct worker *worker = userdata;

	for (unsigned int i = 0; i < worker->n_operations; i++) {
		uint64_t dice = pick(worker, 100);

		if (dice < 36)
			do_alloc(worker);
		else if (dice < 60)
			do_touch(worker);
		else if (dice < 72)
			do_free(worker);
		else if (dice < 84)
			do_give(worker);
		else if (dice < 96)
			do_take(worker);
		else if (dice < 98)
			do_take_back(worker);
		else
			do_nonsense(worker);
		count(&worker->counts->n_operations);
		if (atomic_load_explicit(&arena->stop, memory_order_relaxed))
			break;
	}
	return NULL;
}

/* ---- lives ---- */

static void open_client(struct worker *worker)
{
	const struct mempool_client_options with = {
		.size = sizeof(with),
		.socket_path = options->socket_path,
		.name = "storm",
		.timeout_ns = DAEMON_NS,
		.flags = pick(worker, 4) ? 0 : MEMPOOL_CLIENT_DEBUG,
	};
	int r = mempool_client_open(&with, &client);

	if (r < 0)
		fault("open: %s", strerror(-r));
	count(&worker->counts->n_opened);
	token = (uint64_t)(options->place + 1) << 48 | atomic_fetch_add(&arena->n_tokens, 1);
	atomic_store(&place->token, token);
}

/* From now on nothing that we hold is to be there tomorrow. */
static int forget_all(struct worker *worker)
{
	int n = 0;

	for (int i = 0; i < TABLE; i++) {
		struct held *held = atomic_exchange(&table[i], NULL);

		if (!held)
			continue;
		check_held(worker, held);
		free(held);
		n++;
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
	r = mempool_client_close(client);
	/* And perhaps some that we gave and nobody has taken. */
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
