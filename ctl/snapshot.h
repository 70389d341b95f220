/* SPDX-License-Identifier: MIT */
/*
 * snapshot.h - a private copy of what there is to say about one segment
 *
 * Taken through a read-only mapping that is gone when snapshot_take() returns: everything
 * that is printed comes from memory that nobody else can change.
 */
#ifndef CTL_SNAPSHOT_H
#define CTL_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "counting.h"
#include "held.h"
#include "mempool_layout.h"
#include "mempool_protocol.h"
#include "observer.h"
#include "shm/audit.h"
#include "shm/census.h"
#include "shm/holder.h"
#include "shm/lane.h"
#include "waiting.h"

/* The last chunks of a pool, which some users alone may have. */
struct snapshot_reserve {
	uint64_t total;			/* 0: there is none */
	uint64_t used;
	uint64_t n_exhausted;		/* of the pool's, allocations of those users */
};

/* As the config has it: with its reserve, which is a pool of its own in the segment. */
struct snapshot_pool {
	uint64_t chunk_size;
	uint64_t stride;
	struct census_pool counts;
	uint64_t peak_used;		/* the most that were seen used; at least what is now */
	uint64_t n_exhausted;		/* allocations that found every fitting chunk held */
	uint64_t n_served_larger;	/* that fit here, and took a chunk of a larger pool */
	struct snapshot_reserve reserve;	/* these are counted above, too */
	uint64_t n_shareable;		/* chunks that can be shared: all, or none */
	bool has_oldest;		/* traces tell since when some chunk is held: */
	uint64_t oldest_ns;		/* how long, of the one that is held longest */
};

struct snapshot_holder {
	struct holder record;
	struct census_holder counts;
	const struct census_hold *by_pool;	/* [n_pools] */
};

struct snapshot_ring {
	char name[MEMPOOL_NAME_BYTES];
	enum mempool_ring_kind kind;
	uint64_t capacity;
	uint64_t n_messages;		/* on their way, or kept */
	uint64_t n_sent;		/* or published, since the segment was made */
	uint64_t n_received;		/* from a queue */
	uint64_t n_yielded;		/* by a topic, to an allocation that found nothing else */
	uint64_t chunks;		/* sent to a queue, or about to be; or kept by a topic */
	uint64_t bytes;
	uint64_t n_subscribers;		/* of a topic, that are open and seen */
	uint64_t n_senders;		/* the same of a queue */
	uint64_t n_receivers;
	uint64_t n_unseen;		/* ends that had no place in the table, ever */
	bool has_stamps;
	bool has_one_sender;		/* of a queue: one thread at a time, */
	bool has_one_receiver;
	uint32_t one_sender;		/* that of this holder; 0: of none. Members write it: any number */
	uint32_t one_receiver;
	uint32_t slot_bytes;		/* of a queue whose messages stand in its slots: the most of one */
	bool has_oldest;		/* the oldest message has a stamp: */
	uint64_t oldest_ns;		/* how long ago that was. Members write stamps: any number */
};

/* What two looks at a subscriber say. */
enum subscriber_state {
	SUBSCRIBER_UNKNOWN,		/* there was one look only */
	SUBSCRIBER_IDLE,		/* nothing new, and all is read */
	SUBSCRIBER_READS,		/* its cursor moves */
	SUBSCRIBER_BEHIND,		/* its cursor stands before messages, and no more came */
	SUBSCRIBER_SLOW,		/* its cursor moves, and more is evicted than it can read */
	SUBSCRIBER_STUCK,		/* its cursor stands while messages come */
};

/* A subscriber of a topic, as it tells it itself, but for what it holds. */
struct snapshot_subscriber {
	uint32_t line;			/* of the table of open ends */
	struct holder record;		/* of its client */
	size_t ring;			/* of the snapshot's rings */
	bool is_whole;			/* it has told it; else the rest is 0 */
	uint64_t cursor;		/* the next message that it reads */
	uint64_t start;			/* and the first */
	uint64_t n_behind;		/* messages that it has not read */
	uint64_t n_missed;
	uint64_t flags;			/* MEMPOOL_END_NEWEST, _OTHERS */
	uint64_t n_holds;		/* messages of the topic that its client holds, all of it together */
	enum subscriber_state state;	/* set by subscribers_compare() */
};

struct snapshot {
	char name[MEMPOOL_NAME_BYTES];	/* of the segment */
	char shm_name[MEMPOOL_SHM_NAME_BYTES];
	uint64_t generation;
	uint64_t segment_id;
	uint64_t size_bytes;
	uint64_t max_clients;
	uint32_t state;			/* enum mempool_segment_state */
	bool is_traced;			/* `trace: allocations` */
	struct lane_counts lanes;
	uint64_t n_moved;		/* messages that came from generations before it; as the
					 * daemon says, like the next two */
	uint64_t n_waiting;		/* its own that have no place in the next one */
	char why[200];			/* they have none */
	uint64_t taken_ns;		/* CLOCK_MONOTONIC: when it was read */
	unsigned int counted_percent;	/* below 100: used, free, holds, messages are of a part */
	uint64_t counted_ns;		/* CLOCK_MONOTONIC: when that count ended */
	int64_t counted_ms;		/* the same since 1970; 0: it has not */
	struct census_pool all;		/* the sum of the data pools */
	size_t n_pools;
	struct snapshot_pool pools[MEMPOOL_MAX_DATA_POOLS + 1];	/* [n_pools]: managers' */
	size_t n_holders;		/* those in use, by id */
	struct snapshot_holder *holders;
	struct census_hold *holds;	/* what by_pool points into */
	size_t n_rings;
	struct snapshot_ring *rings;
	size_t n_subscribers;		/* by topic, in the order of their lines */
	struct snapshot_subscriber *subscribers;
	struct held_list held;		/* if it was asked for */
	struct waiting_list waiting;	/* the same */
	struct audit audit;		/* the same */
	size_t n_faults;		/* in words; audit.n_faults may be more */
	char **faults;
};

/* How to look at a segment. */
struct snapshot_look {
	int64_t budget_ns;		/* for counting; an audit may take AUDIT_BUDGET_NS */
	bool with_chunks;		/* list what is held, too */
	const char *queue;		/* list what waits in this one, too; NULL: in none */
	uint64_t n_waiting_most;	/* so many of these */
	bool with_audit;		/* check it, too, as far as can be said while it is in use */
	struct countings *countings;	/* of the looks before */
};

#define SNAPSHOT_BUDGET_NS (2 * INT64_C(1000000000))	/* of one look that none follows */
#define AUDIT_BUDGET_NS (10 * INT64_C(1000000000))

/**
 * snapshot_take() - map a segment, look, unmap
 * @shm_name:     as for shm_open(3)
 * @observed:     what the daemon says it is, with its shape and its object: no name is opened, and
 *		   nothing in the segment is believed. NULL: the name is opened, and its header is
 *		   believed where it agrees with itself
 * @ret_snapshot: snapshot_deinit() frees it
 *
 * Return: 0; -ENOMSG the daemon does not pass it; -ENOTRECOVERABLE the object was truncated while
 *	   it was read; errors of segment_map_fds(), segment_open(), segment_attach() and
 *	   segment_view(); -ENOMEM.
 */
int snapshot_take(const char *shm_name, const struct observed *observed,
		  const struct snapshot_look *look, struct snapshot *ret_snapshot);
void snapshot_deinit(struct snapshot *snapshot);

/* What a holder has, alone and with others, as its bound counts: whole chunks, by their stride. */
uint64_t snapshot_stride_bytes(const struct snapshot *snapshot, const struct snapshot_holder *holder);

/* Whether any of its pools does not share. */
bool snapshot_has_exclusive(const struct snapshot *snapshot);

/* Whether any of its pools has a reserve. */
bool snapshot_has_reserve(const struct snapshot *snapshot);

/* Those that hold most chunks first. */
void snapshot_sort_holders(struct snapshot *snapshot);

/* Those that are furthest behind first; and back, as snapshot_take() leaves them. */
void snapshot_sort_subscribers(struct snapshot *snapshot);
void snapshot_order_subscribers(struct snapshot *snapshot);

#endif
