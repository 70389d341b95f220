/* SPDX-License-Identifier: MIT */
/*
 * mempool.h - libmempool-client: fixed-size chunks in shared memory, handed over without
 *	       copying
 *
 * mempoold lays out a segment of pools as /etc/mempool.yaml says; a program opens a client,
 * allocates chunks from it, and hands them to another process by a 64-bit handle that may
 * travel by any transport. Allocation, free and hand-over are lock-free in the segment:
 * no system call, no round trip to the daemon. A process may be killed at any instruction;
 * what it held is free again as soon as the daemon has seen it die.
 *
 *	struct mempool_client *client;
 *	uint64_t handle;
 *	void *chunk;
 *
 *	mempool_client_open(NULL, &client);
 *	chunk = mempool_alloc(client, 1000);
 *	memcpy(chunk, message, 1000);
 *	mempool_give(client, chunk, 1000, &handle);	// the other: mempool_take()
 *
 * Conventions
 *   Errors:  functions that return int or ssize_t return 0 (or a count), or a negative errno;
 *            mempool_alloc() and its kin return NULL and set errno. On any error the caller
 *            still holds what it held, unchanged. (mempool_queue_send_evict() may hold more.)
 *   Threads: any thread may use a client, and free what another allocated, except that
 *            mempool_client_close() must be the last call. Not for signal handlers.
 *   Cancel:  the cancellation points (pthread_cancel) are mempool_client_open(), and, where
 *            they wait, mempool_alloc_wait(), mempool_queue_send(), mempool_queue_receive(),
 *            both with _many, mempool_subscriber_next(), mempool_subscriber_peek() and
 *            mempool_subscriber_copy(). A wait acts on a cancel within a second, and has done
 *            nothing by then: what was to be sent is still the caller's. A call that got what it
 *            waited for returns it. No other call is a cancellation point, nor is one with
 *            timeout 0 but mempool_client_open(). Not with asynchronous cancellation.
 *   Waits:   end with -EAGAIN when their time is over, with -ECANCELED by mempool_client_wake() and
 *            with -EINTR after a signal handler. MEMPOOL_CLIENT_TIMEDOUT and MEMPOOL_CLIENT_RESTART
 *            change the first and the last. In a segment that is retired they are short, see
 *            mempool_client_is_stale().
 *   fork:    the child of a fork has no segment, also that of _Fork() or clone() without
 *            CLONE_VM. Every call there returns -ECHILD, except mempool_client_close(), which
 *            frees memory and descriptors and tells nobody. A fork takes no lock of ours.
 *            Open after daemonizing; close before exec.
 *   Bound:   the config may say how many chunks, and bytes of them, a client may hold at a time
 *            (max_chunks_per_client, max_bytes_per_client, mempool.yaml(5)). What counts: chunks that it
 *            has alone; those that it gave, until they are taken; and each hold of a shared one, as
 *            often as it is to be freed. Bytes are those of whole chunks (mempool_pool_info.stride).
 *            At its bound a call that would get one more says -EDQUOT, at once, and a message stays
 *            where it is; only what this process frees, sends or publishes, or others take of what
 *            it gave, makes room. This library keeps it: lock-free, but of threads that are at the bound,
 *            or are short of what others of the process have to spare, which take a lock.
 *   Guards:  with MEMPOOL_CLIENT_DEBUG a call that allocates, frees or hands over may say -EFAULT: a
 *            write was found, beyond the chunk, or to it after it was freed, and the call has done
 *            nothing. mempool_client_error() says which. It is told once: the next call goes on.
 *   Role:    a function that a client's role does not allow says -EACCES, before it looks at
 *            anything else: mempool_client_role().
 *   Daemon:  may stop, crash and start again; open clients go on without it.
 */
#ifndef MEMPOOL_H
#define MEMPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mempool_client;

/* What a client may do with its segment; the daemon decides by its user, see mempool.yaml(5). */
enum mempool_role {
	MEMPOOL_ROLE_MEMBER = 0,	/* all */
	MEMPOOL_ROLE_READER = 1,	/* receive, and write to no message */
	MEMPOOL_ROLE_SPECTATOR = 2	/* look, and write to nothing */
};

/*
 * Flags of mempool_client_open(). This and all constants here are plain numbers, which bindings can
 * read without a compiler.
 */

/* For development: find writes beyond the bytes that were asked for, and to a chunk that was freed.
 * The call that finds one says -EFAULT, and mempool_client_error() says more: see mempool_client_open(3).
 * Of two threads that free one chunk at the same time one is told -EPERM. Costs some hundred
 * nanoseconds for a chunk of 4 KiB. */
#define MEMPOOL_CLIENT_DEBUG 1

/* Be a reader, where the daemon would let it be a member: against mistakes. A write to a message
 * that was received ends the program there and then (SIGSEGV). */
#define MEMPOOL_CLIENT_READ_ONLY 2

/* A wait goes on after a signal handler ran, with what is left of its time: no call of this client
 * returns -EINTR. For runtimes that send signals to themselves, as that of Go does. */
#define MEMPOOL_CLIENT_RESTART 4

/* A wait whose time is over says -ETIMEDOUT. -EAGAIN then means that there was no wait (timeout 0), or
 * that it ended before its time, in a segment that is retired. */
#define MEMPOOL_CLIENT_TIMEDOUT 8

/* As MEMPOOL_CLIENT_DEBUG; what is found is printed to standard error, and ends the program (SIGABRT). */
#define MEMPOOL_CLIENT_DEBUG_ABORT 16

/* Options of mempool_client_open(). Zero what you do not set. */
struct mempool_client_options {
	size_t size;		 /* sizeof this struct, for later growth; 0 is -EINVAL */
	const char *socket_path; /* NULL: $MEMPOOL_SOCKET, else /run/mempool/mempoold.sock */
	const char *segment;	 /* NULL: the first one in the config */
	const char *name;	 /* shown by mempoolctl, [A-Za-z0-9._:@-]{1,31};
				  * NULL: the program's name */
	int64_t timeout_ns;	 /* to wait for the daemon: 0 try once, negative for ever */
	uint64_t flags;		 /* MEMPOOL_CLIENT_DEBUG, ..._DEBUG_ABORT, ..._READ_ONLY, ..._RESTART,
				  * ..._TIMEDOUT */
	int64_t spin_ns;	 /* so long a wait for messages or room looks again and again before
				  * it sleeps, and keeps a processor busy: for microseconds less
				  * until it goes on. 0: it sleeps at once */
};

/* Flags of a pool. */
#define MEMPOOL_POOL_RESERVE 1	/* the last chunks of the pool before it, kept for some users */
#define MEMPOOL_POOL_REFUSED 2	/* and this client has none of them: it is no such user */
#define MEMPOOL_POOL_EXCLUSIVE 4 /* `sharing: false`: its chunks cannot be shared or published */

struct mempool_pool_info {
	uint64_t chunk_size;	/* bytes that a chunk can hold */
	uint64_t stride;	/* bytes from chunk to chunk */
	uint64_t total;		/* chunks; of a pool with a reserve, without that */
	uint64_t used;		/* held by somebody, or on their way */
	uint64_t free;		/* total - used */
	uint64_t flags;
};

/**
 * mempool_client_open() - attach to a segment of a running mempoold
 * @options:    NULL for all defaults
 * @ret_client: the client; the caller closes it with mempool_client_close()
 *
 * The socket is all that is needed: the daemon passes the segment over it, and no name in /dev/shm
 * is opened. Waits for the daemon until the timeout: for one that does not run, and for the answer
 * of one that does. With timeout_ns 0 the socket is tried once, and the answer has 5 s (a daemon
 * started by its socket may be taking memory, or thousands may come at once), whatever signals come.
 *
 * Threads: any.
 * Crash:   killed inside, the daemon sees the process end and frees the holder id.
 * Return:  0;
 *	-EINVAL			options->size, flags, spin_ns, or a malformed name
 *	-ENOTCONN		no daemon, or no answer of it, within the timeout
 *	-EINTR			a signal handler ran while waiting; not with timeout_ns 0, nor with
 *				MEMPOOL_CLIENT_RESTART
 *	-ENOENT			no such segment, or its `allow`, `readers` and `spectators` do not
 *				let you
 *	-EACCES			the daemon does not let your process
 *	-ENOLCK			you lock all of your memory (MCL_FUTURE), and RLIMIT_MEMLOCK does
 *				not leave so much
 *	-EUSERS			the holder table, or the daemon's limit of clients, is full
 *	-EDQUOT			your user has as many clients as one may have
 *	-EPROTONOSUPPORT	daemon or segment of another version than this library
 *	-EAGAIN			the daemon cannot serve that segment now; it tries again
 *	-EBADMSG		the segment is damaged
 *	-EPROTO			what answers there is no mempoold
 *	-ENOSYS			the kernel cannot wipe memory for a child (Linux 4.14)
 *	-ENOMEM, -EMFILE, -ENFILE
 */
int mempool_client_open(const struct mempool_client_options *options,
			struct mempool_client **ret_client);

/**
 * mempool_client_error() - why mempool_client_open() failed, or what a guard has found, for a person
 *
 * What the daemon said when it refused, such as "there is no segment 'defualt'; did you mean
 * 'default'?"; or what the library found itself. Of a call that says -EFAULT: which chunk, its handle,
 * which client's, the first byte that was written to and what it says; where the segment keeps traces, the
 * call that the chunk came by. Printable ASCII, up to 240 characters, and no end of a line.
 *
 * Threads: any; each has its own.
 * Return:  a string of the library, never freed by the caller. It is good until this thread opens a
 *	    client again, a call of it finds a write, or it ends. Empty, where its last
 *	    mempool_client_open() succeeded, or there was none, and nothing was found since. Never NULL.
 */
const char *mempool_client_error(void);

/**
 * mempool_client_close() - free what the client still holds, detach, free the client
 * @client: NULL does nothing
 *
 * Threads: the last call on this client.
 * Crash:   killed inside, the reaper frees the rest.
 * Return:  how many chunks were still held and have been freed (0 in a forked child).
 */
int mempool_client_close(struct mempool_client *client);

/**
 * mempool_client_fd() - a descriptor for epoll(7), poll(2) or libevent
 *
 * Readable: look again, at each queue and topic that the program waits for, until it says
 * -EAGAIN (with timeout 0); that -EAGAIN makes it tell the next time. Also readable when the
 * daemon has news: a client died, the segment was retired. May be spurious. It survives a
 * restart of the daemon. To be watched only: never read, written or closed by the user;
 * closed with the client, and its last queue or topic handle. A queue or subscriber that has
 * news keeps it readable until it is looked at, but for a few milliseconds only: after that
 * it counts as one that nobody looks at any more, until somebody does. Of those it tells for
 * some milliseconds each second. That of a spectator, whom nobody wakes, is a timer: readable
 * each 5 ms.
 *
 * Threads: any. Takes a lock of this process, as does the -EAGAIN of a client that has it.
 * Crash:   nothing of it is shared but bits that the reaper clears.
 * Return:  the descriptor, always the same one; -EINVAL, -ECHILD, -EMFILE, -ENFILE, -ENOMEM.
 */
int mempool_client_fd(struct mempool_client *client);

/**
 * mempool_client_wake() - end waits of other threads
 *
 * Each thread's wait for a chunk, for messages of a queue or for room in it, and each subscriber's
 * wait, ends with -ECANCELED: the one that it is in, or else its next one. So a thread that is about to
 * wait, after it has looked whether it should stop, does not miss it; and one that begins to wait later
 * looks once more. Several wakes before that are one. What a call came for and found is returned, and
 * the wake is for the next wait. A call with timeout 0 does not wait. A peek, and whatever a spectator
 * does, ends within 5 ms. Waits of other clients are not ended.
 *
 * Threads: any, and signal handlers. Wait-free, with a system call for each queue or topic that
 *	    somebody sleeps on.
 * Crash:   killed inside, some who sleep sleep on, up to a second.
 * Return:  0; -EINVAL, -ECHILD.
 */
int mempool_client_wake(struct mempool_client *client);

/**
 * mempool_client_role() - what the client may do
 *
 * What a role may not do is refused with -EACCES, whatever else is wrong with the call:
 *
 *	member		may do everything
 *	reader		may open queues and topics, receive, take, acquire, subscribe, peek and copy, and
 *			free what it got; ask for the usable size and the tag of a chunk, and all that
 *			a spectator may ask for. It may not allocate, set a tag, give, share, send or
 *			publish, not even what it has received. Messages are mapped for reading alone:
 *			a write to one ends the program (SIGSEGV)
 *	spectator	may open topics, subscribe, peek, verify and copy, ask for the counts of
 *			pools, queues and topics, where the pools are, for the descriptor, and
 *			whether the segment is stale; and end waits of its own. It has no id in
 *			the segment: nobody sees it, wakes it or waits for it
 *
 * Threads: any. Wait-free.
 * Return:  enum mempool_role; -EINVAL, -ECHILD.
 */
int mempool_client_role(struct mempool_client *client);

/**
 * mempool_client_is_stale() - whether the segment has been retired
 *
 * The daemon retires a segment whose layout the config no longer asks for. It works on for
 * those who have it; to get to the new one, close and open again. A call that waits when that
 * happens ends with -EAGAIN; waits that begin later last a second at most, also those for ever.
 * Threads: any. Wait-free.
 */
bool mempool_client_is_stale(struct mempool_client *client);

/**
 * mempool_client_pools() - sizes and counts of the pools
 * @ret_pools: NULL, or room for @n
 * @n:         how many to fill in at most
 *
 * In the order of the config; a reserve stands behind its pool, with counts of its own. The
 * counts are read from the words: exact where nothing moves; about 1 ms per million chunks.
 * The flags tell what this client may allocate: all but what is MEMPOOL_POOL_REFUSED.
 * Threads: any. Wait-free.
 * Return:  how many pools there are (may be more than @n), or -EINVAL, -ECHILD.
 */
int mempool_client_pools(struct mempool_client *client, struct mempool_pool_info *ret_pools,
			 size_t n);

/* Where the chunks of a pool are; reserved is 0, for later. */
struct mempool_pool_memory {
	void *base;		/* the first chunk, at a page's start; chunk i: base + i * stride */
	uint64_t length;	/* bytes, of all chunks: total * stride */
	uint64_t stride;	/* bytes from chunk to chunk */
	uint64_t reserved;
};

/**
 * mempool_client_memory() - where the pools are, to register them with a device
 * @ret_memory: NULL, or room for @n
 * @n:          how many to fill in at most
 *
 * In the order of the config, as mempool_client_pools(). For what wants to know a buffer beforehand:
 * ibv_reg_mr(3), io_uring_register_buffers(3), cudaHostRegister(). It stays where it is until the
 * client, and the last handle on its queues and topics, is closed: end the registration before. A
 * reader or spectator may not write there. What a transfer by a device means for a chunk is in
 * mempool(7).
 *
 * Threads: any. Wait-free.
 * Return:  how many pools there are (may be more than @n), or -EINVAL, -ECHILD.
 */
int mempool_client_memory(struct mempool_client *client, struct mempool_pool_memory *ret_memory,
			  size_t n);

/* What there is to count of a queue; reserved is 0, for later. */
struct mempool_queue_counts {
	char name[32];		/* of the config */
	uint64_t capacity;	/* messages that it can hold */
	uint64_t length;	/* messages that wait in it */
	uint64_t sent;		/* since the segment was made */
	uint64_t received;	/* all before the first that waits */
	uint64_t senders;	/* handles on it that have sent, and are open */
	uint64_t receivers;	/* that have received, or tried to, and are open */
	uint64_t unseen;	/* more of both, since the segment was made: they had no place in
				 * the table that these are counted in. Closed ones too */
	uint64_t slot_bytes;	/* the most bytes of a message, where they stand in its slots: see
				 * mempool_queue_send_bytes(). 0: they are chunks */
	uint64_t reserved[4];
};

/* The same of a topic. */
struct mempool_topic_counts {
	char name[32];
	uint64_t capacity;	/* messages that it keeps at most */
	uint64_t length;	/* messages that it keeps */
	uint64_t published;	/* since the segment was made */
	uint64_t subscribers;	/* that are open; not those of spectators, which nobody sees */
	uint64_t unseen;	/* more of them, as of a queue */
	uint64_t yielded;	/* messages taken out for an allocation: `history: yield` */
	uint64_t reserved[5];
};

/**
 * mempool_client_queues() - the queues of the segment, and their counts
 * @ret_queues: NULL, or room for @n
 * @n:          how many to fill in at most
 *
 * In the order of the config. The counts are read from the slots: exact where nothing moves.
 * Some nanoseconds for each message that a queue can hold. Writes nothing.
 *
 * The ends of a dead process count until the daemon has freed what it held, which takes
 * milliseconds; or, while no daemon runs, until the next one comes.
 *
 * Threads: any. Wait-free.
 * Return:  how many queues there are (may be more than @n), or -EINVAL, -ECHILD.
 */
int mempool_client_queues(struct mempool_client *client, struct mempool_queue_counts *ret_queues,
			  size_t n);

/**
 * mempool_client_topics() - the topics of the segment, and their counts
 * @ret_topics: NULL, or room for @n
 * @n:          how many to fill in at most
 *
 * Threads, and all else: as mempool_client_queues().
 * Return:  how many topics there are (may be more than @n), or -EINVAL, -ECHILD.
 */
int mempool_client_topics(struct mempool_client *client, struct mempool_topic_counts *ret_topics,
			  size_t n);

/**
 * mempool_version() - version of the library that runs, "MAJOR.MINOR.PATCH"
 *
 * Threads: any.
 * Return:  a string of the library: constant, never freed.
 */
const char *mempool_version(void);

/**
 * mempool_strerror() - what a code of this library means, for a person
 * @error: as a function returned it, or errno as mempool_alloc() has set it: the sign does not
 *	   matter
 *
 * strerror(3) has the system's words for it, which mean something else: of ESTALE, a file handle.
 *
 * Threads: any, and signal handlers. Wait-free.
 * Return:  a string of the library: constant, never freed, never NULL; "unknown error" for a code
 *	    that no function here returns.
 */
const char *mempool_strerror(int error);

/**
 * mempool_alloc() - take a free chunk
 * @size_bytes: at least so many
 *
 * Out of the smallest pool that fits (those of the same chunk size count as one); when that is
 * used up, of the next larger one (unless the segment says `fallback: false`), but not of one that does
 * not share if the smallest one does: the size decides what can be shared. When those are, too, a
 * message that only a topic keeps makes room, the smallest pool first, and in it the one furthest
 * behind the newest of its topic; never that newest one itself, and none of a topic with
 * `history: hold`. The content is not cleared; the tag is 0.
 *
 * Threads: any. Lock-free: retries only while others free and take chunks.
 * Crash:   killed inside, the chunk is free, or is freed by the reaper.
 * Source:  DESIGN.md section 3.
 * Return:  the chunk, aligned as the pool says (64 by default); or NULL and errno
 *	EAGAIN		every chunk that fits was held: in each pool that fits, and that this
 *			client may allocate from (mempool_client_pools()), there was a
 *			moment during the call at which all of its chunks were, and no message
 *			would have made room. A chunk that is handed over is held, and so is one
 *			that a free is still at work on
 *	EDQUOT		the client holds as much as it may: a chunk that fits best would be one
 *			too many. Larger ones that are, are passed over
 *	EMSGSIZE	no pool has such large chunks
 *	EINVAL		size 0, or no client
 *	ECHILD		forked child
 *	EACCES		a reader, or a spectator
 *	EFAULT		with MEMPOOL_CLIENT_DEBUG: a write to the chunk after it was freed; it is free
 *	ENOMEM		first call of this thread, and no private memory for its cache
 */
void *mempool_alloc(struct mempool_client *client, size_t size_bytes);

/**
 * mempool_alloc_aligned() - as mempool_alloc(), at an aligned address
 * @alignment: bytes, a power of two up to 4096; pools whose stride it does not divide are
 *	       passed over
 *
 * Return: as mempool_alloc(); also EINVAL: not such an alignment; EMSGSIZE: no pool has
 *	   chunks that are large and aligned enough.
 */
void *mempool_alloc_aligned(struct mempool_client *client, size_t size_bytes,
			    size_t alignment);

/**
 * mempool_alloc_zeroed() - as mempool_alloc(), and the first @size_bytes bytes are 0
 *
 * What is behind these, up to mempool_usable_size(), is not cleared.
 *
 * Return: as mempool_alloc().
 */
void *mempool_alloc_zeroed(struct mempool_client *client, size_t size_bytes);

/**
 * mempool_alloc_wait() - as mempool_alloc(), and wait while every chunk that fits is held
 * @timeout_ns: 0 tries once; negative waits for ever
 *
 * Threads: any. While it waits it sleeps; the next free wakes it.
 * Crash:   if killed while it sleeps, one wake-up is wasted, nothing else.
 * Return:  as mempool_alloc(), EAGAIN after the timeout, or ETIMEDOUT; also EINTR: a signal handler
 *	    ran; ECANCELED: mempool_client_wake(). EDQUOT at once: it waits for others, and
 *	    they make no room there.
 */
void *mempool_alloc_wait(struct mempool_client *client, size_t size_bytes,
			 int64_t timeout_ns);

/**
 * mempool_free() - give a chunk back, whoever allocated it
 * @chunk: as mempool_alloc(), mempool_take() or mempool_acquire() returned it; of a shared
 *	   chunk, one hold is let go
 *
 * Threads: any. Wait-free but for a full cache, which is pushed back lock-free.
 * Crash:   killed inside, the chunk is held (and reaped) or free.
 * Return:  0;
 *	-EPERM	not held by this client: freed already, given away, another's
 *	-EFAULT	with MEMPOOL_CLIENT_DEBUG: a write beyond it; it is still held
 *	-EINVAL	not the start of a chunk, or NULL
 *	-ECHILD	forked child
 *	-EACCES	a spectator, which holds nothing
 */
int mempool_free(struct mempool_client *client, const void *chunk);

/**
 * mempool_alloc_many() - take several chunks of one size
 * @size_bytes: of each, at least
 * @ret_chunks: room for @n
 *
 * As @n calls of mempool_alloc(), in less time for each (docs/performance.md).
 *
 * Threads: any. Lock-free, as mempool_alloc().
 * Crash:   killed inside, each chunk is free, or is freed by the reaper.
 * Return:  how many were taken, the first ones of @ret_chunks: fewer than @n if then every
 *	    chunk that fits was held, or the client was at its bound; if it was at once, -EAGAIN
 *	    or -EDQUOT. -EINVAL size 0 or NULL;
 *	    -EMSGSIZE, -ECHILD, -EACCES, -ENOMEM, -EFAULT as mempool_alloc().
 */
ssize_t mempool_alloc_many(struct mempool_client *client, size_t size_bytes,
			   void **ret_chunks, size_t n);

/**
 * mempool_alloc_all() - take several chunks of one size, or none
 * @size_bytes: of each, at least
 * @ret_chunks: room for @n; on an error, anything
 *
 * As mempool_alloc_many(); if there are not enough, what it got is free again at once. Meanwhile that
 * is held: others may see -EAGAIN for it, and of two that ask for all there is, both. Messages of
 * topics that made room for it stay gone.
 *
 * Threads: any. Lock-free.
 * Crash:   killed inside, each chunk is free, or is freed by the reaper.
 * Return:  0; -EAGAIN then every chunk that fits was held; -EDQUOT so many are more than the
 *	    client may hold; -EINVAL size 0 or NULL; -EMSGSIZE,
 *	    -ECHILD, -ENOMEM, -EACCES, -EFAULT as mempool_alloc().
 */
int mempool_alloc_all(struct mempool_client *client, size_t size_bytes, void **ret_chunks,
		      size_t n);

/**
 * mempool_free_many() - give several chunks back
 * @chunks: @n of them, of any pools and holds, as for mempool_free()
 *
 * Threads: any. Lock-free.
 * Crash:   killed inside, each chunk is held (and reaped) or free.
 * Return:  how many were given back: all before the first that mempool_free() would refuse; if
 *	    that is the first one, its error.
 */
ssize_t mempool_free_many(struct mempool_client *client, void *const *chunks, size_t n);

/**
 * mempool_usable_size() - how many bytes a chunk holds, and its holder may write
 *
 * With MEMPOOL_CLIENT_DEBUG as many as were asked for.
 * Threads: any. Wait-free.
 * Return:  bytes, at least what was asked for; -EINVAL not the start of a chunk; -EPERM not
 *	    held by this client; -ECHILD; -EACCES a spectator.
 */
ssize_t mempool_usable_size(struct mempool_client *client, const void *chunk);

/**
 * mempool_chunk_set_tag() - set a number of the user's that goes with the chunk
 * @chunk: held by this client alone
 *
 * Handed over with the chunk: the receiver reads what the sender set.
 * Threads: the holder's. Wait-free.
 * Return:  0; -EINVAL, -EPERM, -ECHILD, -EACCES as mempool_usable_size(); -EACCES also a reader;
 *	    -EBUSY it is shared.
 */
int mempool_chunk_set_tag(struct mempool_client *client, void *chunk, uint32_t tag);

/**
 * mempool_chunk_tag() - read the number that goes with the chunk
 * @chunk: held by this client, alone or with others
 *
 * Threads: the holder's. Wait-free.
 * Return:  0; -EINVAL, -EPERM, -ECHILD, -EACCES as mempool_usable_size().
 */
int mempool_chunk_tag(struct mempool_client *client, const void *chunk, uint32_t *ret_tag);

#define MEMPOOL_HANDLE_NONE 0	/* never a handle */

/**
 * mempool_give() - let go of a chunk for whoever gets its handle
 * @chunk:      held by this client alone
 * @length:     bytes of the message, up to mempool_usable_size()
 * @ret_handle: names this incarnation of the chunk; pass it by pipe, socket, queue, file
 *
 * Until it is taken, the chunk is counted to the giver: it may take it back, and its close
 * or death frees it. So a giver waits for its receivers before it closes.
 *
 * Threads: any. Wait-free.
 * Crash:   killed inside, the chunk is held or given, and the reaper frees it.
 * Return:  0; -EPERM, -EINVAL, -ECHILD as mempool_free(); -EMSGSIZE length too large; -EBUSY
 *	    the chunk is shared; -EACCES a reader, or a spectator; -ENOMEM of a client with a
 *	    bound, which notes what it gives; -EFAULT with MEMPOOL_CLIENT_DEBUG: a write beyond it.
 */
int mempool_give(struct mempool_client *client, void *chunk, size_t length,
		 uint64_t *ret_handle);

/**
 * mempool_take() - receive a given chunk: one caller gets it
 * @ret_chunk:  as the giver wrote it; now held by this client
 * @ret_length: NULL, or the giver's length
 *
 * Threads: any. Lock-free.
 * Crash:   killed inside, the chunk is still given, or is freed by the reaper.
 * Return:  0; -ESTALE taken by another, or its giver is gone; -EINVAL never a handle;
 *	    -EDQUOT the client holds as much as it may, and the chunk is still given; what it gave
 *	    itself it can take back always; -ECHILD; -EACCES a spectator.
 */
int mempool_take(struct mempool_client *client, uint64_t handle, void **ret_chunk,
		 size_t *ret_length);

/**
 * mempool_share() - let several hold a chunk
 * @chunk:      held by this client, alone or with others
 * @length:     bytes of the message; of a chunk that is shared already, its first length stays
 * @ret_handle: for mempool_acquire(), any number of times while somebody holds the chunk
 *
 * The caller keeps its own share: pass the handle on, and let go with mempool_free() when the
 * receivers have acquired. Whoever lets go last frees the chunk. By contract nobody writes to
 * a chunk once it is shared.
 *
 * Threads: any. Lock-free.
 * Crash:   killed inside, the chunk is the caller's alone, or shared; the reaper drops its
 *          share.
 * Return:  0; -EPERM, -EINVAL, -ECHILD as mempool_free(); -EMSGSIZE length too large; -EAGAIN all
 *	    other chunks are shared, and threads share one at the same time: try again;
 *	    -EOVERFLOW; -EOPNOTSUPP its pool does not share (MEMPOOL_POOL_EXCLUSIVE); -EACCES a
 *	    reader, or a spectator; -EFAULT as mempool_give().
 */
int mempool_share(struct mempool_client *client, void *chunk, size_t length,
		  uint64_t *ret_handle);

/**
 * mempool_acquire() - hold a shared chunk, too
 * @ret_chunk:  to be read, and let go with mempool_free(), as often as it was acquired
 * @ret_length: NULL, or the sharer's length
 *
 * Threads: any. Lock-free between processes; two threads of one process may wait for each
 *          other for some instructions.
 * Crash:   killed inside, the reaper drops the share.
 * Return:  0; -ESTALE nobody holds that message any more; -EINVAL never a handle; -ECHILD;
 *	    -EOVERFLOW this client holds it 2^31 - 1 times; -EDQUOT it holds as much as it may;
 *	    -EOPNOTSUPP of a pool that does not share; -EACCES a spectator.
 */
int mempool_acquire(struct mempool_client *client, uint64_t handle, const void **ret_chunk,
		    size_t *ret_length);

/**
 * mempool_unshare() - have a shared chunk alone again, without a copy
 * @chunk:     held by this client, once
 * @ret_chunk: the same chunk, now held by this client alone: to be written, given, sent, shared or
 *	       published. The message's length and tag stay
 *
 * Succeeds if nobody else holds the chunk: no other process, no other hold of this one, and no
 * topic that still keeps the message. Handles from before lead to it no more: -ESTALE. Of a chunk
 * that was never shared it does nothing.
 *
 * Threads: any, but no other thread uses this hold meanwhile. Wait-free between processes; another
 *	    thread of this one that acquires the same chunk waits for some instructions.
 * Crash:   killed inside, the chunk is shared, or the reaper frees it.
 * Return:  0; -EBUSY others held it, too, at a moment during the call: it is held as before; -EPERM,
 *	    -EINVAL, -ECHILD as mempool_free(); -EACCES a reader, or a spectator; -EFAULT as
 *	    mempool_give().
 */
int mempool_unshare(struct mempool_client *client, const void *chunk, void **ret_chunk);

/**
 * mempool_chunk_is_exclusive() - whether this hold of a chunk is the only one
 * @chunk: held by this client, alone or with others
 *
 * There was a moment during the call at which it was so. Whoever has the handle may acquire the
 * chunk in the next moment: only mempool_unshare() settles it.
 *
 * Threads: the holder's. Wait-free.
 * Return:  1 it is; 0 it is not; -EINVAL, -EPERM, -ECHILD, -EACCES as mempool_usable_size().
 */
int mempool_chunk_is_exclusive(struct mempool_client *client, const void *chunk);

struct mempool_queue;

/**
 * mempool_queue_open() - a queue of the segment, by its name in the config
 * @ret_queue: closed with mempool_queue_close(); outlives the client, but then only to be
 *	       closed: every other call says -ENOTCONN
 *
 * The config may say of a queue that it has one sender, or one receiver, or both. Then the first thread that
 * sends is the sender, by this handle, until it closes that, ends, or is killed and the daemon was
 * there; and all others, and other handles, are told -EBUSY at once, however long they may wait. They may
 * wait by mempool_client_fd() for their next try. The same of a receiver. What such a thread does takes fewer
 * locked instructions.
 *
 * Threads: any; and any thread may use the queue.
 * Return:  0; -ENOENT no queue of that name; -EINVAL, -ECHILD, -ENOMEM; -EACCES a spectator.
 */
int mempool_queue_open(struct mempool_client *client, const char *name,
		       struct mempool_queue **ret_queue);

/* Flags of mempool_queue_open_with(). */

/* It is a sender, or a receiver, from the open on, and not from its first send or receive on. Of a queue for
 * one the calling thread is that one. */
#define MEMPOOL_QUEUE_SENDER 1
#define MEMPOOL_QUEUE_RECEIVER 2

/* As with a pipe: a send says -EPIPE once the last receiver has left, and a receive once the last sender
 * has, and nothing waits any more. */
#define MEMPOOL_QUEUE_PIPE 4

/* Options of mempool_queue_open_with(). Zero what you do not set. */
struct mempool_queue_options {
	size_t size;		/* sizeof this struct, for later growth; 0 is -EINVAL */
	uint64_t flags;		/* 0, or MEMPOOL_QUEUE_SENDER, ..._RECEIVER and ..._PIPE together */
};

/**
 * mempool_queue_open_with() - the same, with options
 * @options: flags that are 0 make it mempool_queue_open()
 *
 * With MEMPOOL_QUEUE_PIPE, each send looks for receivers, and each receive that finds nothing for
 * senders. Receivers are handles that have received or tried to, or were opened with
 * MEMPOOL_QUEUE_RECEIVER; senders likewise; in this process, too. The last one has left when it has
 * closed its handle or its client, or has died, and none is there; and one must have been there since
 * this handle was opened: before the first one comes, calls wait as ever. When another one comes, all
 * goes on. A wait that is under way when the last one leaves ends with -EPIPE, and so does one in poll(2),
 * which becomes readable.
 *
 * A dead one has left when the daemon has freed what it held: milliseconds later; if no daemon runs, when
 * the next one comes. After a reload the others may be in the new generation: see
 * mempool_client_is_stale(). -EPIPE is never said of a queue that has an unseen end
 * (mempool_queue_info()).
 *
 * Threads: as mempool_queue_open().
 * Crash:   a handle counts until the daemon has freed what the process held.
 * Return:  as mempool_queue_open(); -EINVAL also of options that are none; -EACCES also of a reader that
 *	    wants to be a sender; -EBUSY of a queue for one sender or receiver: there is one.
 */
int mempool_queue_open_with(struct mempool_client *client, const char *name,
			    const struct mempool_queue_options *options,
			    struct mempool_queue **ret_queue);

/**
 * mempool_queue_close() - close what mempool_queue_open() or mempool_queue_open_with() returned
 * @queue: NULL does nothing. Messages stay in the queue of the segment
 *
 * Threads: the last call on this handle. Before or after mempool_client_close(); also in a forked
 *	    child.
 */
void mempool_queue_close(struct mempool_queue *queue);

/**
 * mempool_queue_info() - name, capacity and counts of a queue
 *
 * As mempool_client_queues() tells them.
 * Threads: any. Wait-free.
 * Return:  0; -EINVAL, -ECHILD, -ENOTCONN.
 */
int mempool_queue_info(struct mempool_queue *queue, struct mempool_queue_counts *ret_counts);

/**
 * mempool_queue_send() - hand a chunk to one receiver
 * @chunk:      held by this client alone; no longer, when it was sent
 * @length:     bytes of the message
 * @timeout_ns: for room in a full queue: 0 tries once, negative waits for ever
 *
 * The tag goes with it. What one thread sends is received in that order. Of two threads that send one chunk at
 * once, one is told -EPERM; but by the one sender of a queue for one, without MEMPOOL_CLIENT_DEBUG, that is not
 * found out, as with mempool_free(): it is a mistake that may give the chunk two holders.
 *
 * Threads: any. Lock-free while there is room; no system call while no receiver sleeps.
 * Crash:   killed inside, the message was sent, and is received whatever becomes of its
 *          sender; or it was not, and the reaper frees the chunk.
 * Return:  0;
 *	-EAGAIN		the queue was full all the time; the chunk is still yours
 *	-EPERM, -EINVAL, -ECHILD as mempool_free()
 *	-EBUSY		the chunk is shared; or another thread or handle is the queue's one sender
 *	-EMSGSIZE	length too large
 *	-EINTR		a signal handler ran while waiting
 *	-ECANCELED	mempool_client_wake()
 *	-ETIMEDOUT	in place of -EAGAIN, with MEMPOOL_CLIENT_TIMEDOUT
 *	-ENOTCONN	the client was closed
 *	-EBADMSG	somebody has damaged the queue
 *	-EACCES		a reader
 *	-EPIPE		the last receiver has left, with MEMPOOL_QUEUE_PIPE; the chunk is still yours
 *	-EFAULT		as mempool_give()
 */
int mempool_queue_send(struct mempool_queue *queue, void *chunk, size_t length,
		       int64_t timeout_ns);

/**
 * mempool_queue_send_evict() - send, and take the oldest message out if the queue is full
 * @ret_oldest:        set by each call: NULL, or the message that was taken out, which this client
 *                     holds from now on, whatever the call returns
 * @ret_oldest_length: NULL, or the length of that message
 *
 * It never waits. A full queue gives up one message at most in a call, and gives it to the caller:
 * this is a receive, and then a send. Between the two another sender may take the room. Then nothing
 * was sent, and the caller may call again.
 *
 * Threads: any. Lock-free; no system call while no receiver sleeps.
 * Crash:   as mempool_queue_send(); what was taken out is freed.
 * Return:  0;
 *	-EINVAL		also of a queue for one receiver
 *	-EAGAIN		others took each room that there was; the chunk is still yours
 *	-EDQUOT		the queue is full, and the client may not hold one message more, not even
 *			until it has sent; nothing was taken out
 *	-EPERM, -EINVAL, -ECHILD, -EBUSY, -EMSGSIZE, -ENOTCONN, -EBADMSG, -EACCES, -EPIPE, -EFAULT
 *			as mempool_queue_send(). Of a call that could never send nothing is taken out
 */
int mempool_queue_send_evict(struct mempool_queue *queue, void *chunk, size_t length,
			     void **ret_oldest, size_t *ret_oldest_length);

/**
 * mempool_queue_receive() - the next message
 * @ret_chunk:  held by this client from now on
 * @ret_length: NULL, or the sender's length
 * @timeout_ns: for a message: 0 tries once, negative waits for ever
 *
 * Threads: any. Lock-free while there are messages; no system call while no sender sleeps.
 * Crash:   killed inside, the message is still there, or was received and is freed.
 * Return:  0; -EAGAIN nothing there all the time; -EINTR; -ECANCELED; -ETIMEDOUT; -EINVAL, -ECHILD, -ENOTCONN;
 *	    -EDQUOT the client holds as much as it may: the message is still the first one;
 *	    -EBUSY another thread or handle is the queue's one receiver; -EBADMSG somebody has damaged the
 *	    queue; -EPIPE the last sender has left, and all that was sent is received, with MEMPOOL_QUEUE_PIPE.
 */
int mempool_queue_receive(struct mempool_queue *queue, void **ret_chunk, size_t *ret_length,
			  int64_t timeout_ns);

/**
 * mempool_queue_send_many() - send several, waking receivers once
 * @chunks, @lengths: @n of each
 * @timeout_ns:       for room for all of them
 *
 * Cancelled in its wait, the first ones may have been sent: of those, mempool_usable_size()
 * says -EPERM.
 * Return: how many were sent, the first ones, if it was one at least; else as
 *	   mempool_queue_send(). The others are still yours.
 */
ssize_t mempool_queue_send_many(struct mempool_queue *queue, void *const *chunks,
				const size_t *lengths, size_t n, int64_t timeout_ns);

/**
 * mempool_queue_send_all() - send several, or none
 * @chunks, @lengths: @n of each; 1 to the capacity of the queue
 * @timeout_ns:       for room for all of them
 *
 * Only of a queue for one sender (senders: one): what room there is nobody else takes. Receivers see
 * the messages one after the other.
 *
 * Threads: the one that is the queue's one sender, as mempool_queue_send().
 * Crash:   killed inside, none was sent, or the first ones.
 * Return:  0; else none was sent, and all are still yours:
 *	-EOPNOTSUPP	the queue is for several senders
 *	-EINVAL		also more than the queue ever has room for, or no chunk at all
 *	-EAGAIN		there was no room for all of them all the time
 *	-EPERM, -EINVAL, -ECHILD, -EBUSY, -EMSGSIZE, -ENOTCONN, -EBADMSG, -EACCES, -EPIPE, -EFAULT, -EINTR,
 *	-ECANCELED, -ETIMEDOUT
 *			as mempool_queue_send(), for any of the chunks
 */
int mempool_queue_send_all(struct mempool_queue *queue, void *const *chunks,
			   const size_t *lengths, size_t n, int64_t timeout_ns);

/**
 * mempool_queue_receive_many() - receive what is there, up to n
 * @ret_chunks:  room for @n
 * @ret_lengths: NULL, or room for @n
 * @timeout_ns:  for the first message
 *
 * Return: how many were received; else as mempool_queue_receive().
 */
ssize_t mempool_queue_receive_many(struct mempool_queue *queue, void **ret_chunks,
				   size_t *ret_lengths, size_t n, int64_t timeout_ns);

/**
 * mempool_queue_send_bytes() - copy a small message into a queue
 * @bytes:      the message; NULL only with @length 0
 * @length:     up to the slot_bytes that the config says of the queue (mempool_queue_info())
 * @timeout_ns: for room in a full queue: 0 tries once, negative waits for ever
 *
 * Of a queue with slot_bytes, which has one sender and one receiver (mempool_queue_open()). No chunk is
 * taken, no tag goes with it, and nothing is counted against bounds. For such a queue the calls that send and
 * receive chunks say -EINVAL, and so do these for others.
 *
 * Threads: that of the one sender. Wait-free while there is room; no system call while no receiver sleeps, and no
 *	    locked instruction.
 * Crash:   killed inside, the message was sent whole, and is received; or nothing was.
 * Return:  0;
 *	-EAGAIN		the queue was full all the time
 *	-EMSGSIZE	longer than slot_bytes
 *	-EINVAL		a NULL; the queue is one of chunks
 *	-EBUSY		another thread or handle is the queue's one sender
 *	-ENOTCONN, -ECHILD, -ENOMEM, -EACCES, -EINTR, -ECANCELED, -ETIMEDOUT, -EPIPE
 *			as mempool_queue_send()
 *	-EBADMSG	somebody has damaged the queue
 */
int mempool_queue_send_bytes(struct mempool_queue *queue, const void *bytes, size_t length,
			     int64_t timeout_ns);

/**
 * mempool_queue_receive_bytes() - copy the next message of such a queue
 * @buffer:     room for it; NULL only with @size_bytes 0
 * @size_bytes: how much
 * @ret_length: NULL, or the length of the message; also with -EMSGSIZE
 * @timeout_ns: for a message: 0 tries once, negative waits for ever
 *
 * A message that is destroyed, as somebody wrote there who may not, is told of once, by -EBADMSG; the next call
 * goes on behind it.
 *
 * Threads: that of the one receiver. Wait-free while there are messages; no system call while no sender sleeps,
 *	    and no locked instruction.
 * Crash:   killed inside, the message is still the first, for the next receiver; or it was received.
 * Return:  0; -EMSGSIZE it does not fit: it is still the first; -EAGAIN nothing there all the time;
 *	    -EINVAL a NULL, or the queue is one of chunks; -EBUSY another thread or handle is the queue's one receiver;
 *	    -EBADMSG; -ENOMEM; -ENOTCONN, -ECHILD, -EINTR, -ECANCELED, -ETIMEDOUT, -EPIPE as mempool_queue_receive().
 */
int mempool_queue_receive_bytes(struct mempool_queue *queue, void *buffer, size_t size_bytes,
				size_t *ret_length, int64_t timeout_ns);

struct mempool_topic;
struct mempool_subscriber;

/**
 * mempool_topic_open() - a topic of the segment, by its name in the config
 * @ret_topic: closed with mempool_topic_close(); outlives the client, but then only to be
 *	       closed: every other call says -ENOTCONN
 *
 * Threads: any; and any thread may use the topic.
 * Return:  0; -ENOENT no topic of that name; -EINVAL, -ECHILD, -ENOMEM.
 */
int mempool_topic_open(struct mempool_client *client, const char *name,
		       struct mempool_topic **ret_topic);

/**
 * mempool_topic_close() - close what mempool_topic_open() returned
 * @topic: NULL does nothing. What is published stays, and subscribers of this handle go on
 *
 * Threads: the last call on this handle. Before or after mempool_client_close(); also in a forked
 *	    child.
 */
void mempool_topic_close(struct mempool_topic *topic);

/**
 * mempool_topic_info() - name, capacity and counts of a topic
 *
 * As mempool_client_topics() tells them.
 * Threads: any. Wait-free.
 * Return:  0; -EINVAL, -ECHILD, -ENOTCONN.
 */
int mempool_topic_info(struct mempool_topic *topic, struct mempool_topic_counts *ret_counts);

/**
 * mempool_topic_publish() - a message for every subscriber, now and later
 * @chunk:  held by this client alone; no longer, when it was published. Nobody may write to
 *	    it any more.
 * @length: bytes of the message
 *
 * The topic keeps its last `capacity` messages; the oldest one goes, as soon as no subscriber
 * holds it. All but the newest may make room for an allocation (mempool_alloc()): then they are
 * missed by who has not read them.
 *
 * Threads: any. Lock-free, whatever subscribers do; no system call while none sleeps.
 * Crash:   killed inside, the message is published, or the reaper frees the chunk.
 * Return:  0; -EPERM, -EINVAL, -ECHILD as mempool_free(); -EBUSY it is shared; -EMSGSIZE;
 *	    -EAGAIN, -EOVERFLOW, -EOPNOTSUPP as mempool_share(); -ENOTCONN the client was closed;
 *	    -EACCES a reader, or a spectator; -EFAULT as mempool_give().
 */
int mempool_topic_publish(struct mempool_topic *topic, void *chunk, size_t length);

enum mempool_topic_start {
	MEMPOOL_TOPIC_NEW = 0,	  /* what is published from now on */
	MEMPOOL_TOPIC_OLDEST = 1, /* the oldest message that is kept, and all after it */
	MEMPOOL_TOPIC_LAST = 2	  /* the last n_last messages, and all after them; for
				   * mempool_topic_subscribe_with() alone */
};

/* Each call reads the latest message, and passes over those before it: they count as missed. */
#define MEMPOOL_SUBSCRIBE_NEWEST 1
/* Each call passes over what this client has published since it first asked for that. */
#define MEMPOOL_SUBSCRIBE_OTHERS 2

/* Options of mempool_topic_subscribe_with(). Zero what you do not set. */
struct mempool_subscribe_options {
	size_t size;		/* sizeof this struct, for later growth */
	uint32_t start;		/* enum mempool_topic_start */
	uint32_t reserved;	/* 0 */
	uint64_t n_last;	/* of MEMPOOL_TOPIC_LAST; else 0. More than are kept: the oldest */
	uint64_t flags;		/* 0, MEMPOOL_SUBSCRIBE_NEWEST or MEMPOOL_SUBSCRIBE_OTHERS */
};

/**
 * mempool_topic_subscribe() - read a topic from a place on
 * @ret_subscriber: for one thread at a time; closed with mempool_subscriber_close(), before
 *		    or after the topic
 *
 * The place is the subscriber's own: it costs the publisher nothing.
 * Return: 0; -EINVAL, -ECHILD, -ENOTCONN, -ENOMEM.
 */
int mempool_topic_subscribe(struct mempool_topic *topic, enum mempool_topic_start start,
			    struct mempool_subscriber **ret_subscriber);

/**
 * mempool_topic_subscribe_with() - as mempool_topic_subscribe(), with more to choose
 * @options: where to begin, and whether to read the newest message alone
 *
 * With MEMPOOL_SUBSCRIBE_NEWEST a viewer that is slow shows what is new, and not what was new when
 * the topic's other messages were. What each call passes over is told as missed, so that what was
 * read and what was missed is still all that was published.
 *
 * With MEMPOOL_SUBSCRIBE_OTHERS a program that publishes to the topic that it reads is not shown its
 * own messages: those that any thread of this client has begun to publish after a subscription with
 * this flag. They are neither read nor missed; only what went before it was looked at counts as
 * missed, whoever published it. The client keeps 8 bytes for each chunk of the segment for it.
 *
 * Return: 0; -EINVAL, -ECHILD, -ENOTCONN, -ENOMEM.
 */
int mempool_topic_subscribe_with(struct mempool_topic *topic,
				 const struct mempool_subscribe_options *options,
				 struct mempool_subscriber **ret_subscriber);

/**
 * mempool_subscriber_close() - close what mempool_topic_subscribe() returned
 * @subscriber: NULL does nothing. Messages that are held stay held
 *
 * Threads: the last call on this handle. Before or after the topic and the client are closed; also
 *	    in a forked child.
 */
void mempool_subscriber_close(struct mempool_subscriber *subscriber);

/**
 * mempool_subscriber_next() - the next message
 * @ret_chunk:  to be read, and let go with mempool_free()
 * @ret_length: NULL, or the publisher's length
 * @ret_missed: NULL, or how many messages were gone before this one could be read: 0 for a
 *		subscriber that keeps up
 * @timeout_ns: for a message: 0 tries once, negative waits for ever
 *
 * Threads: one at a time for each subscriber. Lock-free while there are messages.
 * Crash:   killed inside, the reaper drops the share.
 * Return:  0; -EAGAIN nothing new all the time; -EINTR; -ECANCELED; -ETIMEDOUT; -EINVAL, -ECHILD, -ENOTCONN;
 *	    -EBADMSG the segment is damaged; -EOVERFLOW as mempool_acquire(); -EDQUOT the client
 *	    holds as much as it may: the message is still the next one, as long as the topic keeps
 *	    it; -EACCES a spectator.
 */
int mempool_subscriber_next(struct mempool_subscriber *subscriber, const void **ret_chunk,
			    size_t *ret_length, uint64_t *ret_missed, int64_t timeout_ns);

/**
 * mempool_subscriber_peek() - look at the next message without holding it
 * @ret_chunk:  not to be freed; what is read there counts when mempool_subscriber_verify() has
 *		said so
 * @ret_length: NULL, or the publisher's length, in bytes; never more than the chunk has
 * @ret_tag:    NULL, or the publisher's tag
 * @ret_missed: NULL, or how many messages were gone before this one
 * @timeout_ns: for a message: 0 tries once, negative waits for ever
 *
 * For whoever cannot write to the segment, or is not to cost its publishers anything. Nothing is
 * written: no publisher notices, and none waits. So the chunk may be evicted, freed and
 * overwritten at any moment while it is read, and what is read then is of several messages, or of
 * none: no number or offset in it may be relied on before it has been verified.
 *
 * By the C standard, reading it by pointer while somebody writes to it is a data race: undefined,
 * whatever verify says later. Compilers in use give some bytes of before or after; they may also
 * read twice what the program reads once, so copy a number before it is checked. What must be
 * beyond doubt is read by mempool_subscriber_copy(), which reads by atomic words.
 *
 * Nobody wakes who waits here: it looks again and again, first after 50 us, then less and less
 * often, and each 5 ms in the end.
 *
 * Threads: one at a time for each subscriber. Ends, whatever stands in the segment.
 * Crash:   nothing of it is shared: killed anywhere, it leaves nothing behind.
 * Source:  DESIGN.md section 5, "Spectators".
 * Return:  0, and the message was whole when it was found;
 *	-EAGAIN		nothing new all the time; or what there was went too fast each time
 *	-EINTR		a signal handler ran while waiting
 *	-ECANCELED, -ETIMEDOUT, -EINVAL, -ECHILD, -ENOTCONN as mempool_subscriber_next()
 */
int mempool_subscriber_peek(struct mempool_subscriber *subscriber, const void **ret_chunk,
			    size_t *ret_length, uint32_t *ret_tag, uint64_t *ret_missed,
			    int64_t timeout_ns);

/**
 * mempool_subscriber_verify() - whether what was read until now is the message that was peeked
 *
 * May be asked again, after more was read. A message that it refuses counts as missed: the next
 * call that tells of missed ones tells of it.
 *
 * Threads: one at a time for each subscriber. Wait-free.
 * Crash:   writes nothing to the segment.
 * Return:  0: all bytes that were read since mempool_subscriber_peek() were the message's, and so
 *	    were its length and tag;
 *	-ESTALE		it is gone, and what was read may be anything
 *	-EINVAL		nothing was peeked, or mempool_subscriber_copy() was called since
 *	-ECHILD, -ENOTCONN
 */
int mempool_subscriber_verify(struct mempool_subscriber *subscriber);

/**
 * mempool_subscriber_copy() - peek at the next message, copy all of it, and verify
 * @buffer:     gets the message; on an error, anything
 * @size_bytes: of the buffer; the largest chunk_size of mempool_client_pools() always suffices
 * @ret_length: NULL, or the bytes of the message
 * @ret_tag:    NULL, or its tag
 * @ret_missed: NULL, or how many messages were gone before it, those included that went while
 *		they were copied
 * @timeout_ns: as for mempool_subscriber_peek()
 *
 * Threads, Crash, Source: as mempool_subscriber_peek().
 * Return:  0; -EAGAIN, -EINTR, -ECANCELED, -ETIMEDOUT, -EINVAL, -ECHILD, -ENOTCONN as
 *	    mempool_subscriber_peek();
 *	-EMSGSIZE	the message is longer; *ret_length says how long, and it is still the next
 */
int mempool_subscriber_copy(struct mempool_subscriber *subscriber, void *buffer,
			    size_t size_bytes, size_t *ret_length, uint32_t *ret_tag,
			    uint64_t *ret_missed, int64_t timeout_ns);

/* ---- when a message was sent ----
 *
 * Where the config says `stamps: true` of a queue or topic, each of its messages has a stamp: ns of
 * CLOCK_MONOTONIC at the moment of sending. Compare it with that clock of the same machine; a process
 * in a time namespace may have another one. A member that writes what it likes to the segment can
 * write any stamp: compute ages without a sign, and bound them.
 */

/**
 * mempool_message_stamp() - when a message that is held was sent or published
 * @chunk:       as it was received, read by next, or acquired
 * @ret_sent_ns: CLOCK_MONOTONIC of its sender, in ns
 *
 * The stamp is the message's as long as the message is held, shared with others too. It is none of
 * its any more once the chunk was given or unshared; sent again where stamps are kept, it has a new
 * one.
 *
 * Threads: any. Wait-free.
 * Crash:   writes nothing to the segment.
 * Source:  DESIGN.md section 5, "Stamps".
 * Return:  0;
 *	-ENODATA	it has no stamp: it was not sent, or where none are kept; or it waited in a
 *			segment whose layout a reload has changed, and had none there
 *	-EPERM		this client does not hold the chunk
 *	-EINVAL, -ECHILD, -ENOTCONN; -EACCES a spectator, which has mempool_subscriber_stamp()
 */
int mempool_message_stamp(struct mempool_client *client, const void *chunk,
			  uint64_t *ret_sent_ns);

/**
 * mempool_subscriber_stamp() - when the message that was peeked or copied last was published
 * @ret_sent_ns: as of mempool_message_stamp()
 *
 * Of a message that was peeked, mempool_subscriber_verify() covers it, too.
 *
 * Threads: one at a time for each subscriber. Wait-free.
 * Crash:   writes nothing to the segment.
 * Return:  0; -ENODATA the topic keeps no stamps, the message has none, or the last peek or copy
 *	    told of no message; -EINVAL, -ECHILD, -ENOTCONN.
 */
int mempool_subscriber_stamp(struct mempool_subscriber *subscriber, uint64_t *ret_sent_ns);

/**
 * mempool_stamp_realtime() - what time a stamp is
 * @sent_ns: of CLOCK_MONOTONIC
 *
 * Goes by what both clocks say now, and so is only as good as they ran alike since: CLOCK_REALTIME
 * may have been set meanwhile, and while the machine sleeps CLOCK_MONOTONIC stands. Of two stamps the
 * difference is exact; convert one.
 *
 * Threads: any. Needs no client.
 * Return:  ns since 1970, as by CLOCK_REALTIME.
 */
int64_t mempool_stamp_realtime(uint64_t sent_ns);

#ifdef __cplusplus
}
#endif

#endif
