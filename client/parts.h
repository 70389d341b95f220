/* SPDX-License-Identifier: MIT */
/*
 * parts.h - inside of libmempool-client: what a client and its threads' caches are
 *
 *	struct mempool_client	one holder in one segment; shared by the threads
 *	struct cache		one thread's part of it: a magazine for each pool
 *	struct magazine		a stack of hints, and what the thread knows of a dry pool
 *
 * Everything here is private memory: it vanishes with the process, and nothing in the
 * segment depends on it. A magazine holds hints, no chunks: a freed chunk is FREE at once.
 *
 * What a client holds is counted as well, by each thread for itself, and the sum is what counts:
 * a thread may let go of what another one got. Nothing relies on it but the time that a close
 * takes: where the sum is nothing, there is nothing to look for in the words. An alloc takes a
 * hint from a stack, and a free puts one there, so what is held and the stack together stay the
 * same; only what else changes the stack is counted (n_ours). The sum is never too low, but in a
 * program that frees a chunk twice, or has a thread cancelled in the middle of a call; then the
 * daemon frees what the close has left.
 *
 * Locks: only that of the process, for opening, closing, and a thread's first and last call with a
 * client; never in alloc, free or hand-over, but of a thread that is at its client's bound (bound.h);
 * and not by a fork.
 */
#ifndef CLIENT_PARTS_H
#define CLIENT_PARTS_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "connection.h"
#include "mempool.h"
#include "poller.h"
#include "process.h"
#include "public.h"
#include "shm/reap.h"
#include "shm/segment.h"

/*
 * What the library calls itself has a second, hidden name. A program may have a function of its
 * own by the name of one of ours, and the dynamic linker would lead our calls there.
 */
#define ALIAS(name) __attribute__((alias(#name)))

/*
 * A thread's own, where alloc and free find it by one instruction. glibc keeps room for that in programs
 * that load the library later, by dlopen(); musl keeps none, and would refuse to load it.
 */
#ifdef __GLIBC__
#define THREAD_OWN _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define THREAD_OWN _Thread_local
#endif

/* Which way alloc and free usually go, so that it lies in a straight line. */
#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

/* A failing allocation looks again so often, in a pool up to this size; see cache_claim(). */
#define CACHE_DRY_CALLS 64
#define CACHE_SMALL_POOL 4096

/* The low half of no word without its lane: it has one. */
#define CACHE_NO_WORD WORD_LANE_MASK

/* What a client may hold, and its threads of that (bound.h). */
enum bound_kind {
	BOUND_CHUNKS,
	BOUND_BYTES,
	BOUND_N_KINDS,
};

/*
 * Handles of chunks that a thread gave, and that were not taken when somebody looked last; 0: was
 * taken. The thread adds to them; all else is changed under the lock of the process.
 */
struct bound_given {
	struct bound_given *next;	/* of what ended threads have left */
	uint32_t capacity;
	_Atomic uint32_t n;
	_Atomic uint64_t handles[];
};

struct bound_share {
	struct bound_credit {
		_Atomic int64_t limit;
		_Atomic int64_t wanted;
		_Atomic int64_t held;
		int64_t asked;		/* what the limit was, when another thread asks for some of it */
	} credits[BOUND_N_KINDS];
	struct bound_given *given;	/* NULL: nothing yet */
};

/* The rest, under the lock. */
struct bound {
	bool is_set;
	bool seq_cst;			/* no membarrier: each thread orders its own steps */
	int64_t spare[BOUND_N_KINDS];
	struct bound_given *left;	/* by threads that have ended */
};

/* Messages that may yield, as a reading of the words found them: so many at most. */
#define YIELD_MAX 64

struct yield {
	uint32_t index;			/* of the chunk */
	uint32_t behind;		/* how far behind the tail of its topic it was */
};

struct magazine {
	uint32_t n;			/* hints in it */
	uint32_t capacity;		/* for how many there is room now */
	uint32_t *indices;
	uint64_t dry;			/* the dry word remembered from a failed scan; 0: none */
	int64_t scanned_ns;		/* when that was; of a pool that is not small */
	uint32_t n_dry_calls;		/* failed at once since */
	uint32_t home;			/* leaf of the free list to look at first */
	uint32_t found;			/* where hints were found last */
	uint64_t bias;			/* for which lane a free is, as word_bias(); 0: for all */
	struct pool pool;		/* a copy, at hand */
	uint64_t n_ours;		/* n, and what is held by alloc, less free: so neither
					 * has to count */
	uint32_t n_yields;		/* see yield.h */
	struct yield *yields;		/* by `behind`, the furthest last; NULL: no topic's yield */
	uint64_t history;		/* the word remembered when none was found; 0: none */
	struct aside {
		uint32_t leaf;		/* hints that had no room, a bit for each: of one leaf */
		uint64_t bits;
	} aside;
	uint32_t capacity_min;		/* at first, and where others want hints */
	uint32_t capacity_max;
	bool has_passed_on;		/* hints to the list, since it took some from there */
};

/* No client is there, but NULL is somebody's mistake. */
#define CACHE_ORPHAN ((struct mempool_client *)1)

struct cache {
	/* A forked child has a copy of these: */
	uint32_t none;			/* 0 in the place of a magazine's n: where a wiped first_fit
					 * leads */
	size_t wiped_bytes;
	struct tracer *tracer;		/* NULL: no trace is kept; see trace.h */
	struct magazine *last;		/* of the last free, give, share or send: the next is
					 * likely there */
	struct cache *next_of_thread;
	struct cache *next_of_client;
	struct cache **previous_of_client;	/* who points to us */

	/* From here on it is wiped there (process.h): nobody's cache, with nothing in it. */
	_Atomic(struct mempool_client *) client;	/* CACHE_ORPHAN: closed */
	_Atomic(struct mempool_client *) plain;	/* the same; CACHE_ORPHAN where what is held is
						 * counted, traced or checked (bound.h, trace.h,
						 * checker.h) */
	_Atomic(struct mempool_client *) writer; /* the same; CACHE_ORPHAN of a reader, too */
	/* By which the thread claims (claim.h). */
	struct mempool_lane *record;	/* of its lane; no_record where it goes by no epoch */
	uint64_t epoch;			/* that it goes by */
	uint32_t mine;			/* the low half of what is free for it then; else no word's */
	uint64_t owned;			/* the low half of a word that says OWNED(holder), with the lane
					 * that claims it */
	uint32_t freeable;		/* the same without one, where a plain store may free; else no
					 * word's */
	uint32_t n_swaps_left;		/* until it looks for a lane, or an epoch */
	uint32_t holder;		/* copies of the client's, at hand */
	uint32_t held;			/* as owned, without a lane */
	bool seq_cst;
	bool checked;
	bool is_bounded;
	bool singly;			/* of many, each as a call of its own */
	bool is_watched;		/* chunks that come are traced, or checked */
	uint16_t first_fit[64];		/* by bits of size - 1: bytes from here to the magazine */
	/* Of alloc_wait(), else INT64_MAX: when to stop the first scan of a pool, and further ones. */
	int64_t first_until_ns;
	int64_t again_until_ns;
	uint64_t n_moved;		/* held by what came, less what went, otherwise than by
					 * alloc and free */
	uint64_t n_wakes_seen;		/* by waits of this thread; see wait.h */
	bool is_deaf;			/* a scan's membarrier failed: a free may not tell it */
	struct bound_share bound;	/* of one that is bounded */
	uint32_t lane;			/* LANE_NONE: it has none */
	uint32_t lane_start;		/* where in their list to look first */
	uint32_t n_quiet;		/* swaps that it did without an epoch last time */
	int64_t adopted_ns;		/* when it began to go by the epoch */
	struct mempool_lane no_record;	/* in its place, and nobody's */
	struct magazine managers;
	struct magazine magazines[];		/* by rank: data pools from small to large; those of
						 * others' reserves; an empty one. Sizes that no
						 * pool has lead behind the first of these, where
						 * there is never anything in it */
};

struct mempool_client {
	struct segment *segment;
	uint32_t holder;		/* MEMPOOL_HOLDER_NONE: a spectator, with no cache */
	uint32_t incarnation;		/* which use of that id; of what it has open (shm/end.h) */
	enum mempool_role role;
	uint32_t n_pools;
	uint32_t n_claimable;		/* of them we allocate from, by rank the first ones */
	uint64_t reserves;		/* a bit per pool: reserves that we may have chunks of */
	bool seq_cst;			/* no membarrier: stores order themselves */
	bool checked;			/* MEMPOOL_CLIENT_DEBUG: frees are swaps */
	bool restarts;			/* MEMPOOL_CLIENT_RESTART */
	int64_t spin_ns;		/* before a wait for messages or room sleeps */
	bool tells_timeout;		/* MEMPOOL_CLIENT_TIMEDOUT */
	bool fallback;			/* to a larger pool */
	bool yields;			/* some topic's messages do */
	bool closed;			/* only kept for the handles on its queues */
	uint64_t process;		/* the number of the one that has the segment */
	_Atomic bool has_ends;		/* it may have ends of rings open */
	_Atomic uint64_t n_wakes;	/* that ended waits: wait_wake() */
	_Atomic uint32_t n_references;	/* the user's, and those handles */
	uint8_t rank[MEMPOOL_MAX_DATA_POOLS];	/* of a pool id, in the order of allocations */
	uint8_t pool_id[MEMPOOL_MAX_DATA_POOLS]; /* of a rank */
	uint8_t first_fit[64];		/* by bits of size - 1: the rank to begin at */
	struct connection connection;
	int lock_fd;			/* has the lock that shows that we live; -1: none */
	struct poller poller;
	LIST_HEAD(, role) roles;	/* that its threads have; under the lock of the process */
	_Atomic uint32_t *references;	/* by manager; see share.h */
	_Atomic uint64_t *_Atomic own;	/* the same; see own.h */
	struct reap reap;		/* for close, so that it needs no memory then */
	struct checker *checker;	/* of a member that is checked; else NULL; see checker.h */
	struct bound bound;		/* the rest of it under the lock of the process */
	uint64_t n_held;		/* of threads that have ended; under the lock of the process */
	struct cache *caches;		/* the same, as are the links */
};

/* Whose it is; CACHE_ORPHAN of a closed client, NULL in a forked child. */
static inline struct mempool_client *cache_client(const struct cache *cache)
{
	/* Relaxed: it changes when its client is closed, which is the last use of it. */
	return atomic_load_explicit(&cache->client, memory_order_relaxed);
}

/* The same, where nothing is to be counted, traced or checked: so that costs nothing where it is not
 * asked for. */
static inline struct mempool_client *cache_plain(const struct cache *cache)
{
	/* Relaxed: as cache_client(). */
	return atomic_load_explicit(&cache->plain, memory_order_relaxed);
}

/* The same of a member. What a reader may not do compares with this one, and so costs a member
 * nothing to be told apart. */
static inline struct mempool_client *cache_writer(const struct cache *cache)
{
	/* Relaxed: as cache_client(). */
	return atomic_load_explicit(&cache->writer, memory_order_relaxed);
}

/* Whether this is a child of the process that opened the client: then there is no segment. */
static inline bool client_is_forked(const struct mempool_client *client)
{
	/* Relaxed: no child ever has the number that stands here in its parent. */
	return atomic_load_explicit(&process_own()->number, memory_order_relaxed) !=
	       client->process;
}

/* Whether there is a segment to look at. Return: 0; -EINVAL no client; -ECHILD; -ENOTCONN. */
static inline int client_check(const struct mempool_client *client)
{
	if (unlikely(!client))
		return -EINVAL;
	if (unlikely(client_is_forked(client)))
		return -ECHILD;
	return unlikely(client->closed) ? -ENOTCONN : 0;
}

#endif
