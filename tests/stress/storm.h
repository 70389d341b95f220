/* SPDX-License-Identifier: MIT */
/*
 * storm.h - what the manager of a storm and its clients share
 *
 * The arena is one anonymous mapping, apart from the segment that is tested. A place is a
 * row of it, for one client process at a time.
 *
 * Stamps. Whoever has a chunk writes into it who he is (token: of one opened client, never
 * used twice), a sequence number, and HELD; before he lets go of it, FREED or GIVEN (also
 * when it is sent); before he lets others see it, SHARED. So a chunk that says HELD by a
 * living token belongs to that token, and:
 *
 *	looked at again		it must still be exactly as its holder, or sharer, stamped it
 *	just allocated		it must not say HELD by a living token
 *	just taken		it must say GIVEN, with the length it was given with, and if its
 *				giver's note is still there, with the sequence noted
 *	just acquired, read	the same with SHARED
 *
 * Living means: the token stands in its place, and the place is not doomed. A client takes
 * its token away before it closes; the manager dooms a place before it kills.
 */
#ifndef TESTS_STRESS_STORM_H
#define TESTS_STRESS_STORM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define STORM_QUEUE "line"
#define STORM_TOPIC "news"
#define STORM_MAX_CLIENTS 64
#define STORM_MAX_THREADS 8
#define STORM_MAILBOXES 64
#define STORM_NOTES 65536
#define STORM_EXIT_FAULT 3

/* Written by one thread each, added up by the manager. */
struct storm_counts {
	_Alignas(64) _Atomic uint64_t n_operations;
	_Atomic uint64_t n_checked;	/* stamps looked at */
	_Atomic uint64_t n_allocated;
	_Atomic uint64_t n_exhausted;	/* EAGAIN */
	_Atomic uint64_t n_taken;
	_Atomic uint64_t n_acquired;
	_Atomic uint64_t n_received;	/* from the queue */
	_Atomic uint64_t n_read;	/* from the topic */
	_Atomic uint64_t n_stale;	/* handles that came too late */
	_Atomic uint64_t n_opened;
};

struct storm_place {
	_Alignas(64) _Atomic uint64_t token;	/* 0: no client is open */
	_Atomic bool doomed;
	struct storm_counts counts[STORM_MAX_THREADS];
};

struct storm_arena {
	_Atomic bool stop;			/* close, and end */
	_Atomic bool has_fault;
	char fault[256];			/* the first one */
	_Atomic uint64_t n_tokens;
	_Atomic uint64_t mailboxes[STORM_MAILBOXES];	/* of given chunks; 0: empty */
	_Atomic uint64_t boards[STORM_MAILBOXES];	/* of shared ones */
	/*
	 * Of givers, which sequence goes with a handle: by a hash of the handle, 32 other bits of
	 * it and of the sequence. One may be written over, none can be half written.
	 */
	_Atomic uint64_t notes[STORM_NOTES];
	struct storm_place places[STORM_MAX_CLIENTS];
};

struct storm_client_options {
	struct storm_arena *arena;
	const char *socket_path;
	unsigned int place;
	unsigned int n_threads;
	uint64_t seed;
};

/* A client's process: until it is killed, told to stop, or ends as it likes (status 0). */
void storm_client_run(const struct storm_client_options *options) __attribute__((noreturn));

/* Numbers that a seed determines (splitmix64). */
static inline uint64_t storm_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

#endif
