/* SPDX-License-Identifier: MIT */
/*
 * mempool_layout.h - the words in shared memory, the contract of everyone who maps a segment
 *
 * A segment is two shared-memory objects, control and data, one after the other in one range of
 * addresses; data may be a file on a hugetlbfs:
 *
 *	control	header | pool table | holder table | ring table | lanes | their free list
 *		index memory of each data pool
 *		ChunkManagers (for each chunk that can share, a bit per holder) | their index memory
 *		queue and topic rings | for each ring, a bit per holder that polls it
 *		words of open ends | a line for each of them
 *		where allocations are traced: modules | for each data pool, a trace per chunk
 *	data	the chunks of each data pool
 *
 * The index memory of a pool of n chunks is its free list (two-level bitmap of hints)
 * followed by n entries. An entry's word says who holds the chunk, and nothing else does. Where a
 * queue or topic of the segment keeps stamps, a data pool has one for each chunk behind its entries.
 *
 * The layout is a pure function of what the header and the tables say about its shape
 * (shm/geometry.h). Whoever attaches computes it again and compares, keeps the result, and
 * never reads an offset from the segment afterwards.
 *
 * Rules: offsets and indices, never pointers; fixed widths; native byte order (a segment
 * never leaves the machine); sizes asserted below. Fields marked "frozen" keep place and
 * meaning in every version, so that anybody can tell the version, and a new daemon can retire
 * an old layout.
 */
#ifndef MEMPOOL_LAYOUT_H
#define MEMPOOL_LAYOUT_H

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>

#define MEMPOOL_MAGIC UINT64_C(0x6c6f6f706d656d0a)	/* "\nmempool" in memory */
#define MEMPOOL_LAYOUT_MAJOR 2				/* differs: refuse */
#define MEMPOOL_LAYOUT_MINOR 0				/* larger: fields were added */

#define MEMPOOL_PAGE_BYTES 4096				/* the smallest; the header has one */
#define MEMPOOL_MAX_PAGE_BYTES (UINT64_C(1) << 20)
#define MEMPOOL_MAX_DATA_ALIGN (UINT64_C(1) << 34)
#define MEMPOOL_LINE_BYTES 64
#define MEMPOOL_NAME_BYTES 32				/* with the closing NUL */

#define MEMPOOL_MAX_DATA_POOLS 62			/* and one of ChunkManagers */
#define MEMPOOL_POOL_NONE 63				/* in empty slots, never a pool */
#define MEMPOOL_MAX_CHUNKS_PER_POOL (UINT32_C(1) << 26)
#define MEMPOOL_MAX_CHUNKS (UINT32_C(1) << 30)
#define MEMPOOL_MAX_CHUNK_BYTES (UINT64_C(1) << 32)	/* sizes are below it */
#define MEMPOOL_MAX_HOLDERS (UINT32_C(1) << 15)
#define MEMPOOL_MAX_LANES 4096			/* with lane 0, which is nobody's */
#define MEMPOOL_MAX_RINGS ((UINT32_C(1) << 15) - 1)
#define MEMPOOL_MAX_RING_CAPACITY (UINT32_C(1) << 26)
#define MEMPOOL_MAX_SLOT_BYTES UINT32_C(1024)	/* of a message that stands in a slot */
#define MEMPOOL_MAX_MODULES 256				/* whose call sites a trace can name */
#define MEMPOOL_BUILD_ID_BYTES 32
#define MEMPOOL_MODULE_PATH_BYTES 464			/* with the closing NUL */
#define MEMPOOL_TRACE_HOLDS 4				/* of one chunk, that are traced */

/*
 * The word of a chunk:	63........32 31 30 29..........0
 *			generation   kind  value
 *
 * kind		value				meaning
 * FREE		lane(12) | epoch(18)		anyone may claim it; lane 0: by a swap. Else the
 *						thread that has the lane does it by a store, and
 *						others end the lane's epoch first (shm/lane.h)
 * OWNED	lane(15) | holder(15)		one holder has it; which of its threads claimed
 *						it, by its lane, or 0: no matter which
 * SENT		queue(15) | sender(15)		on its way; queue 0: by the user's transport
 * SHARED	manager, or in the manager	several holders; the ChunkManager has a
 *		pool a stamp			bit for each
 */
enum mempool_kind {
	MEMPOOL_FREE = 0,
	MEMPOOL_OWNED = 1,
	MEMPOOL_SENT = 2,
	MEMPOOL_SHARED = 3,
};

/* Where sleepers wait for news; see shm/eventcount.h. */
struct mempool_eventcount {
	_Atomic uint32_t armed;		/* bit 0: somebody sleeps; above it: how often armed */
	_Atomic uint32_t sequence;	/* a futex */
};

struct mempool_entry {
	_Atomic uint64_t word;
	union {
		struct {		/* of a chunk of a data pool */
			_Atomic uint32_t length;	/* bytes asked for, or sent */
			_Atomic uint32_t tag;		/* the user's */
		};
		struct {		/* of a ChunkManager: all of its record but the bits */
			_Atomic uint32_t chunk;		/* back link: pool(6) | index(26) */
			_Atomic uint32_t position;	/* in the topic's ring, where its publisher
							 * tried last */
		};
	};
};
static_assert(sizeof(struct mempool_entry) == 16, "layout");

/* When what is in a chunk was sent. Written by its sender, who alone has it then; see shm/stamp.h. */
struct mempool_stamp {
	_Atomic uint64_t sent_ns;	/* CLOCK_MONOTONIC; 0: nobody knows */
	_Atomic uint32_t generation;	/* of the word, once the message is held: else it is of an
					 * earlier message. 0: of none */
	uint32_t reserved;
};
static_assert(sizeof(struct mempool_stamp) == 16, "layout");

/*
 * What one thread of a client may claim by plain stores: chunks that are FREE for its lane, in the
 * lane's epoch. Numbers of epochs are whole here; a word has their low 18 bits. An epoch whose low
 * bits are 0 is none: the lane is retired. See shm/lane.h.
 */
struct mempool_lane {
	_Atomic uint64_t intent;	/* handle of the chunk that its thread claims, or claimed last */
	_Atomic uint64_t epoch;		/* counted up by anybody */
	_Atomic uint64_t settled;	/* no claim in an epoch up to this one is under way */
	_Atomic uint32_t owner;		/* whose thread has it; 0: nobody's */
	uint32_t reserved0;
	uint64_t reserved[4];
};
static_assert(sizeof(struct mempool_lane) == MEMPOOL_LINE_BYTES, "layout");

/* What changes in a pool besides words and hints; one cache line, written on slow paths. */
struct mempool_pool_state {
	_Atomic uint64_t dry;		/* bit 0: somebody found nothing; bit 1: hints were
					 * all in others' caches; above: sequence */
	_Atomic uint64_t n_exhausted;	/* allocations that found every fitting chunk held; of who may
					 * have its reserve, they are counted there */
	_Atomic uint64_t n_served_larger; /* requests that fit here but took a larger chunk */
	_Atomic uint64_t peak_used;	/* the most that were seen held; all, once it ran dry */
	uint8_t reserved[32];
};
static_assert(sizeof(struct mempool_pool_state) == MEMPOOL_LINE_BYTES, "layout");

struct mempool_pool_record {
	uint64_t chunk_size;
	uint64_t stride;		/* chunk_size rounded up to the alignment */
	uint64_t data_off;
	uint64_t index_off;		/* free list, then the entries */
	uint32_t n_chunks;
	uint32_t alignment;
	uint32_t cache;			/* hints that a thread keeps */
	uint32_t is_reserve;		/* 1: the last chunks of the pool before it, for whom the
					 * daemon says */
	uint32_t is_exclusive;		/* 1: its chunks cannot be shared, and have no ChunkManagers */
	uint32_t reserved[3];
	struct mempool_pool_state state;
};
static_assert(sizeof(struct mempool_pool_record) == 2 * MEMPOOL_LINE_BYTES, "layout");

enum mempool_holder_state {
	MEMPOOL_HOLDER_FREE = 0,
	MEMPOOL_HOLDER_LIVE = 1,
	MEMPOOL_HOLDER_REAPING = 2,	/* dead or gone; what it held is being freed */
};

enum mempool_holder_kind {
	MEMPOOL_HOLDER_CLIENT = 0,
	MEMPOOL_HOLDER_DAEMON = 1,
	MEMPOOL_HOLDER_TOPIC = 2,
};

#define MEMPOOL_HOLDER_NONE 0		/* reserved id */
#define MEMPOOL_HOLDER_DAEMON_ID 1	/* topics follow, then the clients */

/* Flags of a holder. */
#define MEMPOOL_HOLDER_UNVERIFIABLE 1	/* nobody can see whether the process lives */
#define MEMPOOL_HOLDER_READER 2		/* a client that has data for reading alone */

/*
 * Written by the daemon alone, state last; the counters by their client. For people, and for
 * clients who look for a peer: what the daemon goes by is its state file.
 */
struct mempool_holder {
	_Atomic uint32_t state;
	_Atomic uint32_t pid;		/* as the daemon sees it */
	uint64_t reserved0;
	_Atomic uint32_t kind;
	_Atomic uint32_t uid;
	_Atomic uint32_t incarnation;	/* which use of this id */
	_Atomic uint32_t flags;		/* MEMPOOL_HOLDER_UNVERIFIABLE, _READER */
	_Atomic uint64_t reserves;	/* a bit per pool: reserves that it may have chunks of */
	_Atomic uint64_t attached_ns;	/* CLOCK_REALTIME */
	_Atomic unsigned char name[MEMPOOL_NAME_BYTES];
	_Atomic uint64_t n_exhausted;
	_Atomic uint64_t max_chunks;	/* that it may hold, as it was told when it came; 0: not */
	_Atomic uint64_t max_bytes;	/* bounded. Its library keeps them */
	uint64_t reserved1[3];
};
static_assert(sizeof(struct mempool_holder) == 2 * MEMPOOL_LINE_BYTES, "layout");

enum mempool_ring_kind {
	MEMPOOL_RING_QUEUE = 0,
	MEMPOOL_RING_TOPIC = 1,
};

/* Flags of a ring. */
#define MEMPOOL_RING_HOLDS 1		/* a topic whose messages yield to no allocation */
#define MEMPOOL_RING_STAMPS 2		/* its messages have stamps */
#define MEMPOOL_RING_ONE_SENDER 4	/* a queue to which one thread alone sends */
#define MEMPOOL_RING_ONE_RECEIVER 8	/* and from which one alone receives */

struct mempool_ring {
	unsigned char name[MEMPOOL_NAME_BYTES];
	uint64_t slots_off;
	uint32_t capacity;		/* a power of two */
	uint32_t kind;
	uint32_t flags;			/* MEMPOOL_RING_HOLDS and the like */
	uint32_t slot_bytes;		/* of a queue whose messages stand in its slots (shm/bytes.h):
					 * the most of one; else 0 */
	uint64_t reserved1;
	_Alignas(MEMPOOL_LINE_BYTES) _Atomic uint64_t head;
	_Atomic uint64_t n_yielded;	/* messages of a topic that an allocation took */
	_Alignas(MEMPOOL_LINE_BYTES) _Atomic uint64_t tail;
	_Alignas(MEMPOOL_LINE_BYTES) struct mempool_eventcount filled;	/* for receivers */
	struct mempool_eventcount emptied;	/* for senders to a full queue */
	_Atomic uint64_t n_unseen;	/* ends of it that have found no free line, ever */
	_Atomic uint32_t ends_moved;	/* how often one came or went, or the dead were swept */
	_Atomic uint32_t n_gone[2];	/* senders, receivers: counted before the word is given back */
	_Atomic uint64_t roles[2];	/* who alone sends, and receives: incarnation(32) | 0(12) |
					 * holder(15) | 0(5); 0: nobody now. See shm/role.h */
};
static_assert(sizeof(struct mempool_ring) == 4 * MEMPOOL_LINE_BYTES, "layout");

/*
 * The word of an open end:	63.......32 31......17 16.....2 1..0
 *				incarnation  holder     ring    kind
 *
 * 0: nobody's. Taken by a swap, and given back by its holder or, of the dead, by the reaper.
 */
enum mempool_end_kind {
	MEMPOOL_END_NONE = 0,
	MEMPOOL_END_SUBSCRIBER = 1,
	MEMPOOL_END_SENDER = 2,
	MEMPOOL_END_RECEIVER = 3,
};

/* Flags of a subscriber, as mempool.h has them. */
#define MEMPOOL_END_NEWEST 1			/* it passes over all but the latest message */
#define MEMPOOL_END_OTHERS 2			/* or over those that its client has published */

/* What an open end tells of itself, by plain stores: for people, and nothing goes by it. */
struct mempool_end {
	_Atomic uint64_t of;		/* whose this is: its word, once all of it is written */
	_Atomic uint64_t cursor;	/* of a subscriber: the next message to read */
	_Atomic uint64_t start;		/* and the first one */
	_Atomic uint64_t n_missed;	/* of those between, that it was told to have missed */
	_Atomic uint64_t flags;		/* MEMPOOL_END_NEWEST, _OTHERS */
	uint64_t reserved[3];
};
static_assert(sizeof(struct mempool_end) == MEMPOOL_LINE_BYTES, "layout");

/*
 * Where and since when somebody holds a chunk, written by who has just come to hold it. A hint: it
 * counts only if its check agrees, and while the chunk's word says that generation and that holder.
 */
struct mempool_hold {
	_Atomic uint64_t held;		/* generation(32) | holder(32) */
	_Atomic uint64_t since_ns;	/* CLOCK_MONOTONIC */
	_Atomic uint64_t site;		/* module(16), from 1 | offset(48): a byte of the call */
	_Atomic uint32_t thread;	/* as gettid(2) says in its process */
	_Atomic uint32_t check;		/* of all of these; see shm/trace.c */
};

struct mempool_trace {
	struct mempool_hold holds[MEMPOOL_TRACE_HOLDS];	/* [0]: of who has it alone */
};
static_assert(sizeof(struct mempool_trace) == 2 * MEMPOOL_LINE_BYTES, "layout");

/* A program or library that calls ours. Whoever finds a line's key 0 takes it by a swap. */
struct mempool_module {
	_Atomic uint64_t key;		/* a hash of what follows, else that is not whole; 0: nobody's */
	uint32_t reserved;
	_Atomic uint32_t build_id_bytes;	/* 0: it has none */
	_Atomic unsigned char build_id[MEMPOOL_BUILD_ID_BYTES];
	_Atomic unsigned char path[MEMPOOL_MODULE_PATH_BYTES];	/* closed by a NUL */
};
static_assert(sizeof(struct mempool_module) == 8 * MEMPOOL_LINE_BYTES, "layout");

enum mempool_segment_state {
	MEMPOOL_SEGMENT_BUILDING = 0,	/* what a new, zeroed object says */
	MEMPOOL_SEGMENT_READY = 1,
	MEMPOOL_SEGMENT_RETIRED = 2,	/* works on for those in it, takes nobody new */
};

struct mempool_header {
	uint64_t magic;			/* frozen */
	uint16_t version_major;		/* frozen */
	uint16_t version_minor;		/* frozen */
	uint32_t header_size;		/* frozen; bytes of this struct */
	_Atomic uint32_t state;		/* frozen; published last, with release */
	uint32_t n_holders;		/* a multiple of 64 */
	uint64_t total_size;		/* of the range of addresses */
	uint64_t holders_off;
	uint64_t holder_stride;		/* bytes from record to record */
	uint64_t control_bytes;		/* of the object of control */
	uint64_t data_bytes;
	uint64_t data_align;		/* data begins at a multiple of it, and is one long */
	uint64_t segment_id;		/* random, tells two objects of one name apart */
	uint64_t generation;		/* the number in the object's name */
	uint64_t fingerprint;		/* of everything that shapes the layout */
	uint64_t created_ns;		/* CLOCK_REALTIME */
	uint32_t generation_seed;	/* first generation of every word */
	uint32_t n_pools;		/* data pools; the pool table has one more record */
	uint32_t n_rings;
	uint32_t n_topics;
	uint64_t pools_off;
	uint64_t rings_off;
	uint32_t fallback;		/* take a larger chunk when the fitting pool is used up */
	uint32_t max_clients;		/* as configured */
	unsigned char name[MEMPOOL_NAME_BYTES];
	uint64_t page_bytes;		/* control is a multiple of it; each pool begins at one */
	uint64_t traces;		/* 1: where chunks are held is traced */
	/* For those who wait for a chunk of any pool; on a line of its own. */
	_Alignas(MEMPOOL_LINE_BYTES) struct mempool_eventcount chunk_freed;
	/* Bit 0: somebody found no message that would yield; above it: sequence. See shm/history.h. */
	_Atomic uint64_t history;
	_Atomic uint64_t n_barriers;	/* memory barriers of all processes, for what was free for lanes */
	_Atomic uint32_t claims;	/* 1: threads may have lanes, and claim by stores. The daemon's */
};
static_assert(sizeof(struct mempool_header) <= MEMPOOL_PAGE_BYTES, "layout");
static_assert(sizeof(_Atomic uint64_t) == 8 && ATOMIC_LLONG_LOCK_FREE == 2,
	      "64-bit words must be lock-free");

#endif
