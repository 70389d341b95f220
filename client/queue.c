/* SPDX-License-Identifier: MIT */
/*
 * queue.c - the user's side of shm/queue: words, lengths and waiting
 *
 *	send	OWNED(me),g -> SENT(queue, me),g+1; then the handle into the ring; a full ring
 *		takes nothing: back to OWNED(me)
 *	receive	the handle out of the ring; SENT(queue, *),g -> OWNED(me),g+1 is the receipt
 *
 * Killed between word and ring, the reaper finds the message unpublished and frees it; after
 * that it is sent, and outlives its sender.
 *
 * Of a queue for one sender or one receiver a thread that has that role (role.h) does its part by plain
 * stores. Its cache is compared with that of the role, behind what all others compare: so they pay nothing
 * for it.
 */
#include <errno.h>
#include <limits.h>
#include <stdalign.h>
#include <stdlib.h>

#include "arrive.h"
#include "bound.h"
#include "cache.h"
#include "checker.h"
#include "client.h"
#include "info.h"
#include "queue_handle.h"
#include "share.h"
#include "shm/bytes.h"
#include "shm/clock.h"
#include "shm/stamp.h"
#include "trace.h"
#include "wait.h"

static void close_queue(struct mempool_queue *queue)
{
	role_end(&queue->sender_role);
	role_end(&queue->receiver_role);
	ends_give_back(queue->client, MEMPOOL_END_SENDER, queue->queue.id - 1, queue->sender_line);
	ends_give_back(queue->client, MEMPOOL_END_RECEIVER, queue->queue.id - 1,
		       queue->receiver_line);
	if (!client_is_forked(queue->client)) {
		poller_forget(&queue->client->poller, &queue->messages);
		poller_forget(&queue->client->poller, &queue->room);
	}
	client_unref(queue->client);
	free(queue);
}

PUBLIC void mempool_queue_close(struct mempool_queue *queue)
{
	if (queue)
		close_queue(queue);
}

PUBLIC int mempool_queue_info(struct mempool_queue *queue,
			      struct mempool_queue_counts *ret_counts)
{
	int r = queue && ret_counts ? client_check(queue->client) : -EINVAL;

	if (r == 0)
		info_of_queue(&queue->queue, ret_counts);
	return r;
}

static inline const struct pool *pool_of(const struct mempool_queue *queue, uint64_t handle)
{
	return &queue->queue.segment->pools[handle_pool(handle)];
}

/* OWNED(me) -> SENT(queue, me). @is_alone: by the one sender, if there is room. */
static inline __attribute__((always_inline)) int
seal(struct mempool_queue *queue, struct cache *cache, void *chunk, size_t length, bool is_alone,
     uint64_t *ret_handle)
{
	struct mempool_entry *entry;
	const struct pool *pool;
	uint32_t index;
	uint64_t seen, sent;
	int r;

	r = cache_locate(cache, chunk, &index);
	if (unlikely(r < 0))
		return r;
	pool = &cache->last->pool;
	entry = &pool->entries[index];
	/* Relaxed: if it is ours, we or a thread that told us wrote it last. */
	seen = atomic_load_explicit(&entry->word, memory_order_relaxed);
	if (unlikely((uint32_t)seen != cache->owned && !word_is_owned_by(seen, cache->holder)))
		return share_refuse(queue->client, seen);
	if (unlikely(length > pool->chunk_size))
		return -EMSGSIZE;
	/* Before the word: nothing is unsealed there. */
	if (is_alone) {
		r = queue_room_alone(&queue->queue);
		if (unlikely(r < 0))
			return r;
	}

	sent = word_sent(seen, queue->queue.id, cache->holder);
	*ret_handle = handle_make(word_generation(sent), pool->id, index);
	/* Relaxed: G1 below publishes it with the content. */
	atomic_store_explicit(&entry->length, (uint32_t)length, memory_order_relaxed);
	/*
	 * Relaxed: T2 publishes it (shm/queue.c). A store: two threads that send one chunk at once are not told
	 * apart, as those that free one; but where chunks are checked.
	 */
	if (is_alone && likely(!cache->checked)) {
		atomic_store_explicit(&entry->word, sent, memory_order_relaxed);
		return 0;
	}
	/*
	 * G1 (release) pairs with G2 of the receiver. A swap: of two threads that send it, one
	 * does; a store might take it from its next holder. Relaxed on failure, as in give.
	 */
	if (unlikely(!atomic_compare_exchange_strong_explicit(&entry->word, &seen, sent,
							      memory_order_release,
							      memory_order_relaxed)))
		return share_refuse(queue->client, seen);
	return 0;
}

/*
 * Not sent after all: to OWNED(me), of the same incarnation, since nobody saw the handle. A
 * store: what is SENT to a queue, and not in it, nobody else moves while we live. All is found again
 * from the chunk, behind seal(): what a send keeps for this, it pays for each time.
 */
static __attribute__((noinline)) void unseal(struct cache *cache, const void *chunk)
{
	const struct pool *pool = &cache->last->pool;
	uint64_t offset = (uintptr_t)chunk - (uintptr_t)pool->data;
	struct chunk_ref ref = { pool->id, (uint32_t)(offset / pool->stride) };
	_Atomic uint64_t *word = &pool->entries[ref.index].word;
	uint64_t owned;

	/* Relaxed: what seal() wrote. */
	owned = word_make(word_generation(atomic_load_explicit(word, memory_order_relaxed)),
			  MEMPOOL_OWNED, cache->holder);
	stamp_void(pool, ref.index);
	atomic_store_explicit(word, owned, memory_order_release);
	trace_kept(cache, ref, owned);
	if (cache->checked)
		checker_kept(cache, ref, owned);
}

/*
 * Sealed, it is ours alone; and the slot publishes the stamp (shm/stamp.h). The generation stands in a
 * handle where it stands in a word.
 */
static inline __attribute__((always_inline)) void stamp(const struct mempool_queue *queue,
							uint64_t handle)
{
	stamp_put(pool_of(queue, handle), handle_index(handle), (uint64_t)clock_now_ns(),
		  word_next_generation(handle));
}

static inline __attribute__((always_inline)) int
seal_and_push(struct mempool_queue *queue, struct cache *cache, void *chunk, size_t length,
	      bool has_stamps)
{
	uint64_t handle;
	int r;

	r = seal(queue, cache, chunk, length, false, &handle);
	if (unlikely(r < 0))
		return r;
	if (has_stamps)
		stamp(queue, handle);
	cache->n_moved--;
	r = queue_push(&queue->queue, handle);
	if (unlikely(r < 0)) {
		unseal(cache, chunk);
		cache->n_moved++;
	}
	return r;
}

/* The same by the thread that has the sender's role. */
static inline __attribute__((always_inline)) int
send_alone(struct mempool_queue *queue, struct cache *cache, void *chunk, size_t length,
	   bool has_stamps)
{
	uint64_t handle;
	int r;

	r = seal(queue, cache, chunk, length, true, &handle);
	if (unlikely(r < 0))
		return r;
	if (has_stamps)
		stamp(queue, handle);
	cache->n_moved--;
	queue_push_alone(&queue->queue, handle);
	return 0;
}

/* With whom a call compares its cache. Relaxed: what it leads to, the handle's opener has told. */
static inline struct mempool_client *sender_in(const struct mempool_queue *queue)
{
	return atomic_load_explicit(&queue->sender, memory_order_relaxed);
}

static inline struct mempool_client *receiver_in(const struct mempool_queue *queue)
{
	return atomic_load_explicit(&queue->receiver, memory_order_relaxed);
}

/*
 * Whether there is nothing else to do in a send: the cache is that of the handle's sender, which is
 * not bounded, traced or checked, it is no pipe, and no stamps are kept.
 */
static inline bool is_plain(const struct mempool_queue *queue, const struct cache *cache)
{
	return cache_writer(cache) == sender_in(queue);
}

static inline __attribute__((always_inline)) int
send_plainly(struct mempool_queue *queue, struct cache *cache, void *chunk, size_t length)
{
	return seal_and_push(queue, cache, chunk, length, false);
}

/* By itself, so that the others have nothing to put aside for it. */
static __attribute__((noinline)) int send_alone_noted(struct mempool_queue *queue,
						      struct cache *cache, void *chunk,
						      size_t length)
{
	return send_alone(queue, cache, chunk, length, queue->queue.has_stamps);
}

static inline int seal_noted(struct mempool_queue *queue, struct cache *cache, void *chunk,
			     size_t length)
{
	if (queue->queue.has_one_sender)
		return send_alone_noted(queue, cache, chunk, length);
	return queue->queue.has_stamps ? seal_and_push(queue, cache, chunk, length, true)
				       : seal_and_push(queue, cache, chunk, length, false);
}

/* By one that is bounded, or checks. */
static __attribute__((noinline)) int send_singly(struct mempool_queue *queue, struct cache *cache,
						 void *chunk, size_t length)
{
	int r = cache->checked ? checker_verify(cache, chunk, length) : 0;

	if (r == 0)
		r = seal_noted(queue, cache, chunk, length);
	if (r == 0 && cache->is_bounded)
		bound_let_go(cache, &cache->last->pool);
	return r;
}

/* Where it is not plain, perhaps: stamped, counted, and checked. */
static __attribute__((noinline)) int send_noted(struct mempool_queue *queue, struct cache *cache,
						void *chunk, size_t length)
{
	return unlikely(cache->singly) ? send_singly(queue, cache, chunk, length)
				       : seal_noted(queue, cache, chunk, length);
}

static int send_any(struct mempool_queue *queue, struct cache *cache, void *chunk, size_t length)
{
	return likely(is_plain(queue, cache)) ? send_plainly(queue, cache, chunk, length)
					      : send_noted(queue, cache, chunk, length);
}

/* What was popped, as the caller gets it. */
static inline void receive(const struct mempool_queue *queue, struct cache *cache, uint64_t handle,
			   void **ret_chunk, size_t *ret_length)
{
	const struct pool *pool;
	uint32_t index;

	cache->n_moved++;
	pool = &queue->queue.segment->pools[handle_pool(handle)];
	index = handle_index(handle);
	*ret_chunk = pool_chunk(pool, index);
	if (ret_length)
		*ret_length = pool_length(pool, index);	/* ordered by the word's swap */
}

static inline __attribute__((always_inline)) int
receive_once(struct mempool_queue *queue, struct cache *cache, void **ret_chunk,
	     size_t *ret_length)
{
	uint64_t handle;
	int r;

	r = queue_pop(&queue->queue, cache->holder, &handle);
	if (r == 0)
		receive(queue, cache, handle, ret_chunk, ret_length);
	return r;
}

/* The same of one that is bounded, counted. */
static int may_receive(void *userdata, const struct pool *pool)
{
	return bound_reserve(userdata, pool);
}

void queue_wake_for_passed(struct mempool_queue *queue)
{
	if (queue->queue.n_passed == 0)
		return;
	queue->queue.n_passed = 0;
	queue_wake(queue, &queue->queue.ring->emptied);
}

static int receive_counted(struct mempool_queue *queue, struct cache *cache, void **ret_chunk,
			   size_t *ret_length)
{
	uint64_t handle;
	int r;

	r = queue->queue.has_one_receiver
		    ? queue_pop_alone(&queue->queue, cache->holder, may_receive, cache, &handle)
		    : queue_pop_if(&queue->queue, cache->holder, may_receive, cache, &handle);
	if (r < 0) {
		queue_wake_for_passed(queue);
		bound_cancel(cache);
		return r;
	}
	bound_keep(cache);
	receive(queue, cache, handle, ret_chunk, ret_length);
	return 0;
}

/* By the thread that has the receiver's role. */
static inline int receive_alone(struct mempool_queue *queue, struct cache *cache, void **ret_chunk,
				size_t *ret_length)
{
	uint64_t handle;
	int r;

	r = queue_pop_alone(&queue->queue, cache->holder, NULL, NULL, &handle);
	if (likely(r == 0))
		receive(queue, cache, handle, ret_chunk, ret_length);
	else
		queue_wake_for_passed(queue);
	return r;
}

static int receive_any(struct mempool_queue *queue, struct cache *cache, void **ret_chunk,
		       size_t *ret_length)
{
	if (cache->is_bounded)
		return receive_counted(queue, cache, ret_chunk, ret_length);
	return queue->queue.has_one_receiver ? receive_alone(queue, cache, ret_chunk, ret_length)
					     : receive_once(queue, cache, ret_chunk, ret_length);
}

/* One call of send or receive: what is left of it to do. */
struct job {
	struct mempool_queue *queue;
	struct cache *cache;
	void **chunks;
	size_t *lengths;
	size_t n;
	size_t n_done;
};

struct wait_place queue_place_of(const struct mempool_queue *queue, struct cache *cache,
				 struct poller_look *look)
{
	return (struct wait_place){
		.client = queue->client,
		.eventcount = look->eventcount,
		.look = look,
		.spins = true,
		.n_wakes_seen = &cache->n_wakes_seen,
	};
}

/* One after the other, until it is done or one fails. */
static inline __attribute__((always_inline)) int send_job(struct job *job, bool plainly)
{
	int r = 0;

	for (; job->n_done < job->n && r == 0; job->n_done += r == 0) {
		void *chunk = job->chunks[job->n_done];
		size_t length = job->lengths[job->n_done];

		r = plainly ? send_plainly(job->queue, job->cache, chunk, length)
			    : send_noted(job->queue, job->cache, chunk, length);
	}
	return r;
}

/* By itself, so that the plain one has nothing to put aside for it. */
static __attribute__((noinline)) int send_job_noted(struct job *job)
{
	return send_job(job, false);
}

static inline int receive_job(struct job *job, bool plainly)
{
	int r = 0;

	for (; job->n_done < job->n && r == 0; job->n_done += r == 0) {
		void **ret_chunk = &job->chunks[job->n_done];
		size_t *ret_length = job->lengths ? &job->lengths[job->n_done] : NULL;

		r = plainly ? receive_once(job->queue, job->cache, ret_chunk, ret_length)
			    : receive_any(job->queue, job->cache, ret_chunk, ret_length);
	}
	return r;
}

static int try_send(void *userdata)
{
	struct job *job = userdata;
	size_t before = job->n_done;
	int r = likely(is_plain(job->queue, job->cache)) ? send_job(job, true)
							 : send_job_noted(job);

	/* One wake for all of them. The swap of the slot was seq_cst, as a publish must be; or see E5 in
	 * shm/queue.c. */
	if (job->n_done > before)
		queue_wake(job->queue, &job->queue->queue.ring->filled);
	return r;
}

static int try_receive(void *userdata)
{
	struct job *job = userdata;
	int r = likely(cache_plain(job->cache) == receiver_in(job->queue)) ? receive_job(job, true)
									   : receive_job(job, false);

	if (job->n_done == 0)
		return r;
	queue_wake(job->queue, &job->queue->queue.ring->emptied);
	return 0;
}

/* From now on it is seen. Of two threads that are the first at once, one gives its line back. */
static void open_end(const struct mempool_queue *queue, enum mempool_end_kind kind,
		     _Atomic int *line)
{
	uint32_t ring = queue->queue.id - 1;
	int none = -1, ours = ends_open(queue->client, kind, ring);

	/* Relaxed: a number, and who closes the handle comes after all that use it. */
	if (ours >= 0 && !atomic_compare_exchange_strong_explicit(line, &none, ours,
								  memory_order_relaxed,
								  memory_order_relaxed))
		ends_give_back(queue->client, kind, ring, ours);
}

/* Relaxed, all: as in sender_in(). */
void queue_be_sender(struct mempool_queue *queue)
{
	if (atomic_load_explicit(&queue->is_sender, memory_order_relaxed))
		return;
	open_end(queue, MEMPOOL_END_SENDER, &queue->sender_line);
	atomic_store_explicit(&queue->is_sender, true, memory_order_relaxed);
	if (!queue->is_pipe && !queue->queue.has_stamps && !queue->queue.has_one_sender)
		atomic_store_explicit(&queue->sender, queue->client, memory_order_relaxed);
}

void queue_be_receiver(struct mempool_queue *queue)
{
	if (atomic_load_explicit(&queue->is_receiver, memory_order_relaxed))
		return;
	open_end(queue, MEMPOOL_END_RECEIVER, &queue->receiver_line);
	atomic_store_explicit(&queue->is_receiver, true, memory_order_relaxed);
	if (!queue->is_pipe && !queue->queue.has_one_receiver)
		atomic_store_explicit(&queue->receiver, queue->client, memory_order_relaxed);
}

int queue_take_role(struct mempool_queue *queue, struct role *role, struct cache *cache)
{
	int r;

	if (role_is_ours(role, cache))
		return 0;
	r = role_begin(role, cache);
	if (r < 0)
		return r;
	if (role->kind == MEMPOOL_END_RECEIVER)
		queue_begin_receiving(&queue->queue);
	else if (queue->queue.slot_bytes > 0)
		bytes_begin_sending(&queue->queue);
	else
		queue_begin_sending(&queue->queue);
	return 0;
}

/* This thread has the role from now on. false, and errno EBUSY: another one has; EINVAL: there is nothing to do
 * with it for chunks. */
static __attribute__((noinline)) bool have_role(struct mempool_queue *queue, struct role *role,
						struct cache *cache)
{
	int r = queue->queue.slot_bytes > 0 ? -EINVAL : queue_take_role(queue, role, cache);

	if (r < 0)
		errno = -r;
	return r == 0;
}

/* Not what receives_plainly() says. NULL and errno, where a receive on this handle makes no sense. */
static __attribute__((noinline)) struct cache *find_receiver(struct mempool_queue *queue)
{
	struct cache *cache;

	if (!queue) {
		errno = EINVAL;
		return NULL;
	}
	cache = cache_get_quickly(queue->client);
	if (!cache || (queue->queue.has_one_receiver &&
		       !have_role(queue, &queue->receiver_role, cache)))
		return NULL;
	queue_be_receiver(queue);
	return cache;
}

/* The same of a send; also NULL and EPIPE; both: NULL and EBUSY. */
static __attribute__((noinline)) struct cache *find_sender(struct mempool_queue *queue)
{
	struct cache *cache;
	bool is_gone;

	if (!queue) {
		errno = EINVAL;
		return NULL;
	}
	cache = cache_get_writer_quickly(queue->client);
	if (!cache)
		return NULL;
	/* Who may not send has tried to, but is not the one that does. */
	is_gone = queue->is_pipe && end_watch_is_gone(&queue->receivers);
	if (!is_gone && queue->queue.has_one_sender && !have_role(queue, &queue->sender_role, cache))
		return NULL;
	queue_be_sender(queue);
	if (is_gone) {
		errno = EPIPE;
		return NULL;
	}
	return cache;
}

/* Whether a call goes on with cache_current: not the first, no pipe, nothing is counted, traced or checked. */
static inline bool receives_plainly(const struct mempool_queue *queue)
{
	return likely(queue != NULL) && cache_plain(cache_current) == receiver_in(queue);
}

static inline bool sends_plainly(const struct mempool_queue *queue)
{
	return likely(queue != NULL) && cache_writer(cache_current) == sender_in(queue);
}

/*
 * The same of a thread that has the role. By its client, too: a closed one has none, nor has a forked child.
 * It looks at neither pipe nor stamps: of these all goes the longer way. Where messages stand in slots that
 * ends with -EINVAL.
 */
static inline bool receives_alone(const struct mempool_queue *queue, const struct cache *cache)
{
	return queue && role_is_ours(&queue->receiver_role, cache) && !queue->goes_slowly &&
	       cache_plain(cache) == queue->client;
}

static inline bool sends_alone(const struct mempool_queue *queue, const struct cache *cache)
{
	return queue && role_is_ours(&queue->sender_role, cache) && !queue->goes_slowly &&
	       !queue->queue.has_stamps && cache_writer(cache) == queue->client;
}

/* The calling thread's cache, where a send on this handle makes sense; NULL and errno. */
static inline struct cache *sender_of(struct mempool_queue *queue)
{
	return likely(sends_plainly(queue)) ? cache_current : find_sender(queue);
}

/* ---- opening ---- */

#define ALL_FLAGS (MEMPOOL_QUEUE_SENDER | MEMPOOL_QUEUE_RECEIVER | MEMPOOL_QUEUE_PIPE)

/* As those of mempool_client_open(): known flags, and no other bytes. */
static bool are_valid(const struct mempool_queue_options *options)
{
	if (options->size < sizeof(*options))
		return false;
	for (size_t i = sizeof(*options); i < options->size; i++)
		if (((const unsigned char *)options)[i] != 0)
			return false;
	return (options->flags & ~(uint64_t)ALL_FLAGS) == 0;
}

static int open_queue(struct mempool_client *client, const char *name, uint64_t flags,
		      struct mempool_queue **ret_queue)
{
	struct mempool_queue *queue;
	struct cache *cache = cache_get(client);
	int ring, r = 0;

	if (!cache)
		return -errno;
	if (!name || !ret_queue)
		return -EINVAL;
	if ((flags & MEMPOOL_QUEUE_SENDER) && !cache_get_writer(client))
		return -errno;
	ring = queue_find(client->segment, name, MEMPOOL_RING_QUEUE);
	if (ring < 0)
		return ring;
	queue = aligned_alloc(alignof(struct mempool_queue), sizeof(*queue));
	if (!queue)
		return -ENOMEM;
	queue->client = client_ref(client);
	atomic_init(&queue->sender, CACHE_NOBODY);
	atomic_init(&queue->receiver, CACHE_NOBODY);
	atomic_init(&queue->is_sender, false);
	atomic_init(&queue->is_receiver, false);
	atomic_init(&queue->sender_line, -1);
	atomic_init(&queue->receiver_line, -1);
	role_init(&queue->sender_role, client, MEMPOOL_END_SENDER, (uint32_t)ring);
	role_init(&queue->receiver_role, client, MEMPOOL_END_RECEIVER, (uint32_t)ring);
	queue_view_any(&queue->queue, client->segment, (uint32_t)ring);
	queue->queue.orders_itself = client->seq_cst;
	poller_look_init(&queue->messages, (uint32_t)ring, &queue->queue.ring->filled,
			 queue->queue.has_one_sender);
	poller_look_init(&queue->room, (uint32_t)ring, &queue->queue.ring->emptied,
			 queue->queue.has_one_receiver);
	queue->is_pipe = flags & MEMPOOL_QUEUE_PIPE;
	queue->goes_slowly = queue->is_pipe || queue->queue.slot_bytes > 0;
	if (queue->is_pipe) {
		end_watch_init(&queue->receivers, client->segment, MEMPOOL_END_RECEIVER,
			       (uint32_t)ring);
		end_watch_init(&queue->senders, client->segment, MEMPOOL_END_SENDER,
			       (uint32_t)ring);
	}
	if ((flags & MEMPOOL_QUEUE_SENDER) && queue->queue.has_one_sender)
		r = queue_take_role(queue, &queue->sender_role, cache);
	if (r == 0 && (flags & MEMPOOL_QUEUE_RECEIVER) && queue->queue.has_one_receiver)
		r = queue_take_role(queue, &queue->receiver_role, cache);
	if (r < 0) {
		close_queue(queue);
		return r;
	}
	if (flags & MEMPOOL_QUEUE_SENDER)
		queue_be_sender(queue);
	if (flags & MEMPOOL_QUEUE_RECEIVER)
		queue_be_receiver(queue);
	*ret_queue = queue;
	return 0;
}

PUBLIC int mempool_queue_open(struct mempool_client *client, const char *name,
			      struct mempool_queue **ret_queue)
{
	return open_queue(client, name, 0, ret_queue);
}

PUBLIC int mempool_queue_open_with(struct mempool_client *client, const char *name,
				   const struct mempool_queue_options *options,
				   struct mempool_queue **ret_queue)
{
	if (!options || !are_valid(options))
		return -EINVAL;
	return open_queue(client, name, options->flags, ret_queue);
}

/* ---- sending and receiving ---- */

/* Of one that waits. What is there it may not send to, if nobody is there. */
static int unless_receivers_left(const struct job *job, int r)
{
	if (r == -EAGAIN && job->queue->is_pipe && end_watch_is_gone(&job->queue->receivers))
		return -EPIPE;
	return r;
}

static int try_send_again(void *userdata)
{
	return unless_receivers_left(userdata, try_send(userdata));
}

/* The last sender may have sent between our look and its end: so look again behind that. */
static int try_receive_again(void *userdata)
{
	struct job *job = userdata;
	int r = try_receive(job);

	if (r == -EAGAIN && job->queue->is_pipe && end_watch_is_gone(&job->queue->senders)) {
		r = try_receive(job);
		return r == -EAGAIN ? -EPIPE : r;
	}
	return r;
}

/*
 * After a try that said -EAGAIN. A pipe looks at the other side first, also where it may not wait. Not
 * inline: who does not wait has less to put aside.
 */
static __attribute__((noinline)) int wait_to(struct job *job, struct poller_look *look,
					     wait_try_fn try, int64_t timeout_ns)
{
	struct wait_place place = queue_place_of(job->queue, job->cache, look);
	int r = job->queue->is_pipe ? try(job) : -EAGAIN;

	return r == -EAGAIN ? wait_on(&place, try, job, timeout_ns) : r;
}

/* Of one message. Not inline, either: its frame would cost those that do not wait. */
static __attribute__((noinline)) int wait_to_receive(struct mempool_queue *queue,
						     struct cache *cache, void **ret_chunk,
						     size_t *ret_length, int64_t timeout_ns)
{
	struct job job = { queue, cache, ret_chunk, ret_length, 1, 0 };

	return wait_to(&job, &queue->messages, try_receive_again, timeout_ns);
}

PUBLIC ssize_t mempool_queue_send_many(struct mempool_queue *queue, void *const *chunks,
				       const size_t *lengths, size_t n, int64_t timeout_ns)
{
	struct cache *cache = sender_of(queue);
	/* Only read by try_send(). */
	struct job job = { queue, cache, (void **)chunks, (size_t *)lengths, n, 0 };
	int r;

	if (!cache)
		return -errno;
	if (!chunks || !lengths || n > SSIZE_MAX)
		return -EINVAL;
	r = try_send(&job);
	if (r == -EAGAIN)
		r = wait_to(&job, &queue->room, try_send_again, timeout_ns);
	return job.n_done > 0 ? (ssize_t)job.n_done : r;
}

/*
 * Several, all or none, of the one sender: what room there is nobody else takes. First all words, which can
 * fail and be taken back, then all slots, which can not. Killed between the two it has sent nothing: the
 * reaper finds messages that are in no slot.
 */
static int seal_of_job(const struct job *job, size_t i)
{
	struct cache *cache = job->cache;
	uint64_t handle;
	int r = cache->checked ? checker_verify(cache, job->chunks[i], job->lengths[i]) : 0;

	return r < 0 ? r : seal(job->queue, cache, job->chunks[i], job->lengths[i], true, &handle);
}

/* What seal() has found before: where the chunk is, and what its word says. */
static void unseal_of_job(const struct job *job, size_t i)
{
	uint32_t index;

	cache_locate(job->cache, job->chunks[i], &index);
	unseal(job->cache, job->chunks[i]);
}

static void push_of_job(const struct job *job, size_t i)
{
	struct cache *cache = job->cache;
	const struct pool *pool;
	uint64_t handle;
	uint32_t index;

	cache_locate(cache, job->chunks[i], &index);
	pool = &cache->last->pool;
	/* Relaxed: what seal() wrote, and nobody else moves. */
	handle = handle_make(word_generation(atomic_load_explicit(&pool->entries[index].word,
								  memory_order_relaxed)),
			     pool->id, index);
	if (job->queue->queue.has_stamps)
		stamp(job->queue, handle);
	cache->n_moved--;
	queue_push_alone(&job->queue->queue, handle);
	if (cache->is_bounded)
		bound_let_go(cache, pool);
}

static int try_send_all(void *userdata)
{
	struct job *job = userdata;
	int r = queue_room_alone_for(&job->queue->queue, job->n);
	size_t n = 0;

	for (; r == 0 && n < job->n; n += r == 0)
		r = seal_of_job(job, n);
	if (r < 0) {
		while (n > 0)
			unseal_of_job(job, --n);
		return r;
	}
	for (; job->n_done < job->n; job->n_done++)
		push_of_job(job, job->n_done);
	queue_wake(job->queue, &job->queue->queue.ring->filled);
	return 0;
}

static int try_send_all_again(void *userdata)
{
	return unless_receivers_left(userdata, try_send_all(userdata));
}

PUBLIC int mempool_queue_send_all(struct mempool_queue *queue, void *const *chunks,
				  const size_t *lengths, size_t n, int64_t timeout_ns)
{
	struct cache *cache;
	struct job job;
	int r;

	/* Before it takes a role. */
	if (!queue || !chunks || !lengths || n == 0 || n > queue->queue.mask + 1)
		return -EINVAL;
	if (!queue->queue.has_one_sender)
		return -EOPNOTSUPP;
	cache = sender_of(queue);
	if (!cache)
		return -errno;
	/* Only read by try_send_all(). */
	job = (struct job){ queue, cache, (void **)chunks, (size_t *)lengths, n, 0 };
	r = try_send_all(&job);
	return r == -EAGAIN ? wait_to(&job, &queue->room, try_send_all_again, timeout_ns) : r;
}

static inline ssize_t receive_many(struct mempool_queue *queue, struct cache *cache,
				   void **ret_chunks, size_t *ret_lengths, size_t n,
				   int64_t timeout_ns)
{
	struct job job = { queue, cache, ret_chunks, ret_lengths, n, 0 };
	int r;

	if (!ret_chunks || n > SSIZE_MAX)
		return -EINVAL;
	r = try_receive(&job);
	if (r == -EAGAIN)
		r = wait_to(&job, &queue->messages, try_receive_again, timeout_ns);
	return r < 0 ? r : (ssize_t)job.n_done;
}

/* By one whose cache is not at hand, or whose chunks are counted, traced or checked; or the first one. */
static __attribute__((noinline)) ssize_t receive_many_slowly(struct mempool_queue *queue,
							     void **ret_chunks,
							     size_t *ret_lengths, size_t n,
							     int64_t timeout_ns, const void *site)
{
	struct cache *cache = find_receiver(queue);
	ssize_t n_received = cache ? receive_many(queue, cache, ret_chunks, ret_lengths, n,
						  timeout_ns)
				   : -errno;

	if (n_received > 0)
		arrive_many(ret_chunks, (size_t)n_received, site);
	return n_received;
}

PUBLIC ssize_t mempool_queue_receive_many(struct mempool_queue *queue, void **ret_chunks,
					  size_t *ret_lengths, size_t n, int64_t timeout_ns)
{
	if (unlikely(!receives_plainly(queue)))
		return receive_many_slowly(queue, ret_chunks, ret_lengths, n, timeout_ns,
					   CALL_SITE);
	return receive_many(queue, cache_current, ret_chunks, ret_lengths, n, timeout_ns);
}

/* All that is not a message for which there is room, sent by one whose cache is at hand, not the
 * first, and not counted, traced or checked. @was_full: it was tried once. */
static __attribute__((noinline)) int send_slowly(struct mempool_queue *queue, void *chunk,
						 size_t length, int64_t timeout_ns, bool was_full)
{
	struct cache *cache = sender_of(queue);
	struct job job;
	int r;

	if (!cache)
		return -errno;
	r = was_full ? -EAGAIN : send_any(queue, cache, chunk, length);
	if (r == 0)
		queue_wake(queue, &queue->queue.ring->filled);
	if (r != -EAGAIN)
		return r;
	job = (struct job){ queue, cache, &chunk, &length, 1, 0 };
	return wait_to(&job, &queue->room, try_send_again, timeout_ns);
}

/* By one whose cache is not that of the handle: it may be that of its role. */
static __attribute__((noinline)) int send_by_role(struct mempool_queue *queue, void *chunk,
						  size_t length, int64_t timeout_ns)
{
	struct cache *cache = cache_current;
	int r;

	if (unlikely(!sends_alone(queue, cache)))
		return send_slowly(queue, chunk, length, timeout_ns, false);
	r = send_alone(queue, cache, chunk, length, false);
	if (unlikely(r < 0))
		return r == -EAGAIN ? send_slowly(queue, chunk, length, timeout_ns, true) : r;
	queue_wake(queue, &queue->queue.ring->filled);
	return 0;
}

PUBLIC int mempool_queue_send(struct mempool_queue *queue, void *chunk, size_t length,
			      int64_t timeout_ns)
{
	struct cache *cache = cache_current;
	int r;

	if (unlikely(!sends_plainly(queue)))
		return queue && queue->queue.has_one_sender
			       ? send_by_role(queue, chunk, length, timeout_ns)
			       : send_slowly(queue, chunk, length, timeout_ns, false);
	r = send_plainly(queue, cache, chunk, length);
	if (unlikely(r < 0))
		return r == -EAGAIN ? send_slowly(queue, chunk, length, timeout_ns, true) : r;
	queue_wake(queue, &queue->queue.ring->filled);
	return 0;
}

/* So often the queue may be full, and empty when we look for the oldest message. */
#define EVICT_TURNS 3

/* Send, and receive one message if there is no room. That one is the caller's, sent or not. */
static int send_or_evict(struct mempool_queue *queue, struct cache *cache, void *chunk,
			 size_t length, void **ret_oldest, size_t *ret_oldest_length)
{
	int r = send_any(queue, cache, chunk, length);

	for (int i = 0; r == -EAGAIN && !*ret_oldest && i < EVICT_TURNS; i++) {
		r = receive_any(queue, cache, ret_oldest, ret_oldest_length);
		/* Empty: others have received all, and there was room. */
		if (r == 0 || r == -EAGAIN)
			r = send_any(queue, cache, chunk, length);
	}
	return r;
}

PUBLIC int mempool_queue_send_evict(struct mempool_queue *queue, void *chunk, size_t length,
				    void **ret_oldest, size_t *ret_oldest_length)
{
	struct cache *cache;
	int r;

	/* Before it takes a role. */
	if (!ret_oldest)
		return -EINVAL;
	/* Also where nothing is done: a caller frees what is there, whatever we return. */
	*ret_oldest = NULL;
	if (queue && queue->queue.has_one_receiver)
		return -EINVAL;
	cache = sender_of(queue);
	if (!cache)
		return -errno;
	r = send_or_evict(queue, cache, chunk, length, ret_oldest, ret_oldest_length);
	if (*ret_oldest)
		arrive(*ret_oldest, CALL_SITE);
	if (r == 0)
		queue_wake(queue, &queue->queue.ring->filled);
	else if (*ret_oldest)
		/* There may be room: what was sent did not take it. */
		queue_wake(queue, &queue->queue.ring->emptied);
	return r;
}

/* All that is not a message that is there, received by one whose cache is at hand, not the first, and
 * not counted, traced or checked. @was_empty: it was tried once. */
static __attribute__((noinline)) int receive_slowly(struct mempool_queue *queue, void **ret_chunk,
						    size_t *ret_length, int64_t timeout_ns,
						    bool was_empty, const void *site)
{
	struct cache *cache;
	int r;

	/* Before it takes a role. */
	if (!ret_chunk)
		return -EINVAL;
	cache = find_receiver(queue);
	if (!cache)
		return -errno;
	r = was_empty ? -EAGAIN : receive_any(queue, cache, ret_chunk, ret_length);
	if (r == 0)
		queue_wake(queue, &queue->queue.ring->emptied);
	if (r == -EAGAIN)
		r = wait_to_receive(queue, cache, ret_chunk, ret_length, timeout_ns);
	if (r == 0)
		arrive(*ret_chunk, site);
	return r;
}

/* As send_by_role(). */
static __attribute__((noinline)) int receive_by_role(struct mempool_queue *queue, void **ret_chunk,
						     size_t *ret_length, int64_t timeout_ns,
						     const void *site)
{
	struct cache *cache = cache_current;
	int r;

	if (unlikely(!ret_chunk || !receives_alone(queue, cache)))
		return receive_slowly(queue, ret_chunk, ret_length, timeout_ns, false, site);
	r = receive_alone(queue, cache, ret_chunk, ret_length);
	if (unlikely(r < 0))
		return r == -EAGAIN ? receive_slowly(queue, ret_chunk, ret_length, timeout_ns, true, site)
				    : r;
	queue_wake(queue, &queue->queue.ring->emptied);
	return 0;
}

PUBLIC int mempool_queue_receive(struct mempool_queue *queue, void **ret_chunk,
				 size_t *ret_length, int64_t timeout_ns)
{
	struct cache *cache = cache_current;
	uint64_t handle;
	int r;

	if (unlikely(!ret_chunk || !receives_plainly(queue)))
		return receive_by_role(queue, ret_chunk, ret_length, timeout_ns, CALL_SITE);
	r = queue_pop(&queue->queue, cache->holder, &handle);
	if (unlikely(r < 0))
		return r == -EAGAIN ? receive_slowly(queue, ret_chunk, ret_length, timeout_ns, true, CALL_SITE)
				    : r;
	receive(queue, cache, handle, ret_chunk, ret_length);
	queue_wake(queue, &queue->queue.ring->emptied);
	return 0;
}
