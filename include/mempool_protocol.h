/* SPDX-License-Identifier: MIT */
/*
 * mempool_protocol.h - what clients and mempoold say to each other over the socket
 *
 * Unix SOCK_SEQPACKET: one message a packet, each of exactly the size of its struct. The
 * client speaks first. One bad message (size, magic, version, type, order) and the daemon
 * drops that connection alone, with a REFUSED that says why where it still can. So does one with
 * descriptors: they only go out.
 *
 *	client			daemon
 *	HELLO		->
 *			<-	WELCOME (you are that holder) with what is to be mapped; or REFUSED
 *	UNABLE		->				it cannot use that segment, and why: for the
 *							daemon's log; a BYE follows
 *	NO_BARRIER	->				membarrier(2) fails it now, though its hello
 *							has said that it registers for it
 *	BYE		->				the holder is reaped and its id freed
 *			<-	GONE, as soon as the daemon's state file says so
 *
 *	WAKE_FD		->				it polls, and wants a wake channel: a timerfd
 *			<-	WAKE			and the channel, or none
 *			<-	NEWS			at any time, to who has asked: look again
 *	PEER_FD		->				a holder has its poller's bit set
 *			<-	PEER			and its channel, or none; and then NEWS goes
 *							to that holder
 *
 * No message of a client carries a descriptor. A wake channel is made by the daemon, nonblocking,
 * of CLOCK_MONOTONIC. To wake is timerfd_settime() with one nanosecond, to clear is
 * timerfd_settime() with 0. Nobody reads or writes it.
 *
 *	LIST		->				an observer: takes no holder
 *			<-	SEGMENT, n times, each with its shape and its object; n is in each;
 *				n = 0: one, with an empty name
 *	DRAIN		->				an observer who may: a topic lets go of what
 *							it keeps
 *	DRAIN_QUEUE	->				the same: a queue, of what waits in it
 *			<-	DRAINED or REFUSED
 *	RELOAD		->				an observer who may: read the config again
 *			<-	RELOADED, once it is in force or was found not to do; or REFUSED; of a
 *				dry run, with a file that says what would be done
 *
 *	DUMP		->				an observer who may
 *			<-	DUMPED with a file: the config in force; or REFUSED
 *	FORGET		->				an observer who may: a holder of whom the
 *							daemon cannot see whether it lives is dead
 *			<-	FORGOTTEN or REFUSED
 *	FIND		->				an observer who may: the process of a holder
 *			<-	FOUND with the pidfd by which it is watched; or REFUSED
 *
 * A spectator has no record: it is served as long as its connection lasts, and needs none.
 * A HELLO with a nonce that a living record of the same process has gets that record again:
 * so a lost WELCOME or a restarted daemon costs the client nothing. Who comes back like that need
 * not wait for the WELCOME: what is said behind the HELLO is heard behind it.
 * A connection that breaks says nothing about its process; death is seen by pidfd.
 */
#ifndef MEMPOOL_PROTOCOL_H
#define MEMPOOL_PROTOCOL_H

#include <assert.h>
#include <stdint.h>

#define MEMPOOL_PROTOCOL_MAGIC UINT32_C(0x6d706f6c)
#define MEMPOOL_PROTOCOL_VERSION 2

#define MEMPOOL_DEFAULT_SOCKET "/run/mempool/mempoold.sock"
#define MEMPOOL_SHM_PREFIX "/mempool-"		/* NAME.GENERATION.HOUSE.RANDOM; a folder may precede */

#define MEMPOOL_SHM_DATA_SUFFIX ".data"		/* behind it: the name of the chunks' object */
#define MEMPOOL_SHM_NAME_BYTES 128		/* with the closing NUL */

enum mempool_message_type {
	MEMPOOL_MSG_HELLO = 0x01,
	MEMPOOL_MSG_BYE = 0x02,
	MEMPOOL_MSG_LIST = 0x03,
	MEMPOOL_MSG_WAKE_FD = 0x04,
	MEMPOOL_MSG_PEER_FD = 0x05,
	MEMPOOL_MSG_DRAIN = 0x06,
	MEMPOOL_MSG_RELOAD = 0x07,
	MEMPOOL_MSG_DUMP = 0x08,
	MEMPOOL_MSG_FORGET = 0x09,
	MEMPOOL_MSG_UNABLE = 0x0a,
	MEMPOOL_MSG_NO_BARRIER = 0x0b,
	MEMPOOL_MSG_DRAIN_QUEUE = 0x0c,
	MEMPOOL_MSG_FIND = 0x0d,

	MEMPOOL_MSG_WELCOME = 0x81,
	MEMPOOL_MSG_REFUSED = 0x82,
	MEMPOOL_MSG_SEGMENT = 0x83,
	MEMPOOL_MSG_NEWS = 0x84,
	MEMPOOL_MSG_PEER = 0x85,
	MEMPOOL_MSG_DRAINED = 0x86,
	MEMPOOL_MSG_RELOADED = 0x87,
	MEMPOOL_MSG_DUMPED = 0x88,
	MEMPOOL_MSG_GONE = 0x89,
	MEMPOOL_MSG_FORGOTTEN = 0x8a,
	MEMPOOL_MSG_WAKE = 0x8b,
	MEMPOOL_MSG_FOUND = 0x8c,
};

struct mempool_msg {
	uint32_t magic;
	uint16_t version;
	uint16_t type;
	uint32_t size;			/* of the whole message */
	uint32_t reserved;		/* 0 */
};

enum mempool_hello_flags {
	MEMPOOL_HELLO_MEMBARRIER = 1,	/* a holder of this process registers for membarrier(2), before
					 * it writes to the segment */
	MEMPOOL_HELLO_READ_ONLY = 2,	/* a member is to be a reader only */
};

struct mempool_msg_hello {
	struct mempool_msg msg;
	uint64_t nonce;			/* random, of the client's choice, not 0 */
	uint64_t segment_id;		/* coming back: of the segment it has; else 0 */
	char segment[32];		/* NUL-padded; empty: the first one in the config */
	char name[32];			/* NUL-padded, [A-Za-z0-9._:@-]{1,31} */
	uint32_t flags;			/* enum mempool_hello_flags */
	uint32_t reserved;		/* 0 */
};

struct mempool_msg_unable {
	struct mempool_msg msg;
	int32_t error;			/* negative errno, as mempool_client_open() returns it */
	uint32_t reserved;		/* 0 */
};

/* Said once; where it is lost with the daemon, the next hello has no MEMPOOL_HELLO_MEMBARRIER. */
struct mempool_msg_no_barrier {
	struct mempool_msg msg;
};

struct mempool_msg_bye {
	struct mempool_msg msg;
	uint64_t n_freed;		/* chunks that the client still held and freed itself */
};

struct mempool_msg_gone {
	struct mempool_msg msg;
};

struct mempool_msg_list {
	struct mempool_msg msg;
};

struct mempool_msg_forget {
	struct mempool_msg msg;
	char segment[32];		/* NUL-padded; empty: the first one in the config */
	uint64_t generation;		/* 0: the current one */
	uint32_t holder;
	uint32_t reserved;		/* 0 */
};

struct mempool_msg_forgotten {
	struct mempool_msg msg;
};

struct mempool_msg_find {
	struct mempool_msg msg;
	char segment[32];		/* NUL-padded; empty: the first one in the config */
	uint64_t generation;		/* 0: the current one */
	uint32_t holder;
	uint32_t reserved;		/* 0 */
};

/* With one descriptor as SCM_RIGHTS: its pidfd. */
struct mempool_msg_found {
	struct mempool_msg msg;
	uint32_t pid;			/* where the daemon runs; 0: it has none there */
	uint32_t uid;
	char name[32];			/* that its hello gave, NUL-padded */
};

struct mempool_msg_drain {
	struct mempool_msg msg;
	char segment[32];		/* NUL-padded; empty: the first one in the config */
	char topic[32];			/* NUL-padded */
};

struct mempool_msg_drain_queue {
	struct mempool_msg msg;
	char segment[32];		/* NUL-padded; empty: the first one in the config */
	char queue[32];			/* NUL-padded */
};

struct mempool_msg_drained {
	struct mempool_msg msg;
	uint64_t n_messages;		/* let go of */
	uint64_t n_freed;		/* of them nobody else held */
};

enum mempool_reload_flags {
	MEMPOOL_RELOAD_DISCARD = 1,	/* drop messages that find no place in a new layout */
	MEMPOOL_RELOAD_DRY_RUN = 2,	/* change nothing, and say what would be done */
};

struct mempool_msg_reload {
	struct mempool_msg msg;
	uint32_t flags;			/* enum mempool_reload_flags */
	uint32_t reserved;		/* 0 */
};

/* After a dry run with one descriptor, of a sealed memfd: what would be done, a line for each
 * segment that changes. */
struct mempool_msg_reloaded {
	struct mempool_msg msg;
	int32_t error;			/* 0; negative errno: nothing was changed */
	uint32_t n_segments;		/* that the config has; 0 if it cannot be told */
	uint32_t n_relaid;		/* of them, with a new layout: a new generation each */
	uint32_t n_added;
	uint32_t n_removed;
	uint32_t reserved;
	uint64_t n_moving;		/* messages that will go to a new layout, as things are now */
	uint64_t n_evicted;		/* of topics that are to keep fewer */
	uint64_t n_without_place;	/* that keep the old generation, or are dropped */
	char text[400];			/* for a person: the error; else what is not in force yet */
};

struct mempool_msg_dump {
	struct mempool_msg msg;
	uint32_t as_json;		/* 0: as YAML */
	uint32_t reserved;		/* 0 */
};

/* With one descriptor, of a sealed memfd, as SCM_RIGHTS. */
struct mempool_msg_dumped {
	struct mempool_msg msg;
};

struct mempool_msg_wake_fd {
	struct mempool_msg msg;
};

/*
 * With the channel as SCM_RIGHTS, if found is 1. Asked for twice, it is the same one. It says
 * NEWS as well: who was asked for before it had a channel is to look now.
 */
struct mempool_msg_wake {
	struct mempool_msg msg;
	uint32_t found;
	uint32_t reserved;
};

struct mempool_msg_peer_fd {
	struct mempool_msg msg;
	uint32_t holder;		/* of the asker's segment */
	uint32_t incarnation;
};

struct mempool_msg_news {
	struct mempool_msg msg;
};

enum mempool_peer_found {
	MEMPOOL_PEER_NONE = 0,		/* it has no channel of this daemon, or not yet */
	MEMPOOL_PEER_PASSED = 1,	/* with the channel as SCM_RIGHTS */
	MEMPOOL_PEER_LATER = 2,		/* read what was passed, then ask again */
};

struct mempool_msg_peer {
	struct mempool_msg msg;
	uint32_t holder;
	uint32_t incarnation;
	uint32_t found;			/* enum mempool_peer_found */
	uint32_t reserved;
};

/* Which segment it is. Its objects come as descriptors; the name is for people. */
struct mempool_msg_place {
	uint64_t segment_id;
	uint64_t generation;
	uint64_t control_bytes;		/* of its objects */
	uint64_t data_bytes;
	char segment[32];
	char shm_name[MEMPOOL_SHM_NAME_BYTES]; /* of control, for shm_open() */
};

/* The descriptors that come with a WELCOME or a SEGMENT as SCM_RIGHTS, in this order. */
enum mempool_passed {
	MEMPOOL_PASSED_SHAPE = 0,	/* a sealed memfd: struct mempool_shape and what follows */
	MEMPOOL_PASSED_CONTROL = 1,	/* the object, opened for this peer alone */
	MEMPOOL_PASSED_DATA = 2,	/* the other object, opened for this peer alone */
	MEMPOOL_PASSED_LOCK = 3,	/* control once more for reading, for the lock of a holder */
	MEMPOOL_PASSED_MAX = 4,
};

/* As enum mempool_role in mempool.h. */
enum mempool_welcome_role {
	MEMPOOL_WELCOME_MEMBER = 0,
	MEMPOOL_WELCOME_READER = 1,
	MEMPOOL_WELCOME_SPECTATOR = 2,
};

/* With all of them, the objects for reading and writing; to a reader data for reading; to a spectator
 * all but the lock, and both objects for reading; with none, where the hello says which segment the
 * client has. */
struct mempool_msg_welcome {
	struct mempool_msg msg;
	struct mempool_msg_place place;
	uint32_t holder;		/* MEMPOOL_HOLDER_NONE: a spectator */
	uint32_t incarnation;
	uint32_t role;			/* enum mempool_welcome_role */
	uint32_t reserved;		/* 0 */
	uint64_t max_chunks;		/* that the client is to hold at most, and bytes of them by */
	uint64_t max_bytes;		/* their stride; 0: as many as there are. The same each time */
	uint64_t reserves;		/* a bit per pool: reserves that it may have chunks of */
};

/* With two: the shape and control, for reading; with none, where the daemon does not know the
 * shape, or cannot open them. */
struct mempool_msg_segment {
	struct mempool_msg msg;
	struct mempool_msg_place place;
	uint32_t index;			/* of this one, in [0, n) */
	uint32_t n;
	int32_t error;			/* 0; negative errno: new clients cannot be served */
	uint32_t is_retired;		/* 1: a generation that takes nobody new */
	uint64_t n_moved;		/* messages of those before it that went here, since the
					 * daemon began */
	uint64_t n_waiting;		/* its own that found no place in the one that is not
					 * retired, when it was tried last */
	char reason[200];		/* for a person: why not, or why these have none */
};

/* The file of a shape: this, then its data pools, then its queues and topics. */
struct mempool_shape {
	uint32_t layout;		/* MEMPOOL_LAYOUT_MAJOR, that the segment is of */
	uint32_t fallback;		/* as in struct mempool_header */
	uint32_t n_pools;
	uint32_t n_rings;
	uint64_t max_clients;
	uint64_t page_bytes;		/* as in struct mempool_header, both */
	uint64_t data_align;
	uint64_t traces;
	char name[32];			/* NUL-padded */
};

struct mempool_shape_pool {
	uint64_t chunk_size;
	uint64_t n_chunks;
	uint32_t alignment;
	uint32_t cache;
	uint32_t is_reserve;		/* 1: of the pool before it */
	uint32_t is_exclusive;		/* 1: its chunks cannot be shared */
};

struct mempool_shape_ring {
	char name[32];			/* NUL-padded */
	uint32_t capacity;
	uint32_t slot_bytes;		/* as in struct mempool_ring */
	uint32_t kind;			/* enum mempool_ring_kind */
	uint32_t flags;			/* MEMPOOL_RING_HOLDS and the like */
};

struct mempool_msg_refused {
	struct mempool_msg msg;
	int32_t error;			/* negative errno, for the caller of the library */
	uint32_t reserved;
	char reason[240];		/* for a person */
};

#define MEMPOOL_MSG_MAX_BYTES 512	/* larger than any message */
static_assert(sizeof(struct mempool_msg) == 16, "protocol");
static_assert(sizeof(struct mempool_msg_hello) == 104, "protocol");
static_assert(sizeof(struct mempool_msg_bye) == 24, "protocol");
static_assert(sizeof(struct mempool_msg_unable) == 24, "protocol");
static_assert(sizeof(struct mempool_msg_place) == 192, "protocol");
static_assert(sizeof(struct mempool_msg_welcome) == 248, "protocol");
static_assert(sizeof(struct mempool_msg_segment) == 440, "protocol");
static_assert(sizeof(struct mempool_msg_refused) == 264, "protocol");
static_assert(sizeof(struct mempool_shape) == 80, "protocol");
static_assert(sizeof(struct mempool_shape_pool) == 32, "protocol");
static_assert(sizeof(struct mempool_shape_ring) == 48, "protocol");
static_assert(sizeof(struct mempool_msg_peer_fd) == 24, "protocol");
static_assert(sizeof(struct mempool_msg_peer) == 32, "protocol");
static_assert(sizeof(struct mempool_msg_wake) == 24, "protocol");
static_assert(sizeof(struct mempool_msg_drain) == 80, "protocol");
static_assert(sizeof(struct mempool_msg_drain_queue) == 80, "protocol");
static_assert(sizeof(struct mempool_msg_drained) == 32, "protocol");
static_assert(sizeof(struct mempool_msg_dump) == 24, "protocol");
static_assert(sizeof(struct mempool_msg_forget) == 64, "protocol");
static_assert(sizeof(struct mempool_msg_find) == 64, "protocol");
static_assert(sizeof(struct mempool_msg_found) == 56, "protocol");
static_assert(sizeof(struct mempool_msg_reload) == 24, "protocol");
static_assert(sizeof(struct mempool_msg_reloaded) == 464, "protocol");

#endif
