/* SPDX-License-Identifier: MIT */
/*
 * bytes.c - the user's side of shm/bytes: messages that are copied into the slots of a queue, and out of them
 *
 * No chunk is held for them, so nothing is counted, bounded, traced or checked. Who has a role (role.h) does
 * its part by plain stores; who has not yet, or waits, or has a pipe, goes the longer way. So does a client whose
 * chunks are bounded, traced or checked: to tell it apart here would cost the others a look.
 */
#include "shm/bytes.h"

#include <errno.h>

#include "cache.h"
#include "client.h"
#include "queue_handle.h"
#include "wait.h"

/* One call: what it sends, or where it receives to. */
struct job {
	struct mempool_queue *queue;
	const void *bytes;
	void *buffer;
	size_t length;			/* of what there is, or what there is room for */
	size_t *ret_length;
};

static inline int send(struct mempool_queue *queue, const void *bytes, size_t length)
{
	int r = bytes_send(&queue->queue, bytes, length);

	if (likely(r == 0))
		queue_wake(queue, &queue->queue.ring->filled);
	return r;
}

static inline int receive(struct mempool_queue *queue, void *buffer, size_t size_bytes,
			  size_t *ret_length)
{
	int r = bytes_receive(&queue->queue, buffer, size_bytes, ret_length);

	if (likely(r == 0))
		queue_wake(queue, &queue->queue.ring->emptied);
	else
		queue_wake_for_passed(queue);
	return r;
}

/* ---- who may ---- */

/* By its client, too: a closed one has no role, nor has a forked child. */
static inline bool sends_alone(const struct mempool_queue *queue, const struct cache *cache)
{
	return role_is_ours(&queue->sender_role, cache) && !queue->is_pipe &&
	       cache_writer(cache) == queue->client;
}

static inline bool receives_alone(const struct mempool_queue *queue, const struct cache *cache)
{
	return role_is_ours(&queue->receiver_role, cache) && !queue->is_pipe &&
	       cache_plain(cache) == queue->client;
}

/* This thread, with the role from now on. Return: 0, and *ret_cache; -EBUSY, -EPIPE; what a cache fails with. */
static int be_sender(struct mempool_queue *queue, struct cache **ret_cache)
{
	int r;

	*ret_cache = cache_get_writer_quickly(queue->client);
	if (!*ret_cache)
		return -errno;
	/* Who may not send has tried to, but is not the one that does. */
	if (queue->is_pipe && end_watch_is_gone(&queue->receivers))
		r = -EPIPE;
	else
		r = queue_take_role(queue, &queue->sender_role, *ret_cache);
	if (r == 0 || r == -EPIPE)
		queue_be_sender(queue);
	return r;
}

static int be_receiver(struct mempool_queue *queue, struct cache **ret_cache)
{
	int r;

	*ret_cache = cache_get_quickly(queue->client);
	if (!*ret_cache)
		return -errno;
	r = queue_take_role(queue, &queue->receiver_role, *ret_cache);
	if (r < 0)
		return r;
	queue_be_receiver(queue);
	return 0;
}

/* ---- waiting ---- */

/* What is there it may not send to, if nobody is there. */
static int try_send(void *userdata)
{
	const struct job *job = userdata;
	int r = send(job->queue, job->bytes, job->length);

	if (r == -EAGAIN && job->queue->is_pipe && end_watch_is_gone(&job->queue->receivers))
		return -EPIPE;
	return r;
}

static int receive_job(const struct job *job)
{
	return receive(job->queue, job->buffer, job->length, job->ret_length);
}

/* The last sender may have sent between our look and its end: so look again behind that. */
static int try_receive(void *userdata)
{
	int r = receive_job(userdata);
	const struct job *job = userdata;

	if (r == -EAGAIN && job->queue->is_pipe && end_watch_is_gone(&job->queue->senders)) {
		r = receive_job(job);
		return r == -EAGAIN ? -EPIPE : r;
	}
	return r;
}

/* @was_tried: once, in vain. */
static int wait_to(struct job *job, struct cache *cache, struct poller_look *look, wait_try_fn try,
		   int64_t timeout_ns, bool was_tried)
{
	struct wait_place place = queue_place_of(job->queue, cache, look);

	return was_tried ? wait_on(&place, try, job, timeout_ns)
			 : wait_for(&place, try, job, timeout_ns);
}

/* ---- calls ---- */

/* Not inline: who has the role, and finds room or a message, has less to put aside. */
static __attribute__((noinline)) int send_slowly(struct mempool_queue *queue, const void *bytes,
						 size_t length, int64_t timeout_ns,
						 bool was_full)
{
	struct job job = { .queue = queue, .bytes = bytes, .length = length };
	struct cache *cache;
	int r;

	/* Before it takes a role. */
	if (!queue || queue->queue.slot_bytes == 0 || (!bytes && length > 0))
		return -EINVAL;
	if (length > queue->queue.slot_bytes)
		return -EMSGSIZE;
	r = be_sender(queue, &cache);
	return r < 0 ? r : wait_to(&job, cache, &queue->room, try_send, timeout_ns, was_full);
}

PUBLIC int mempool_queue_send_bytes(struct mempool_queue *queue, const void *bytes, size_t length,
				    int64_t timeout_ns)
{
	int r;

	/* Also nothing, of length 0; and all where they are chunks, as there is room for nothing. */
	if (unlikely(!queue || !bytes || length - 1 >= queue->queue.slot_bytes ||
		     !sends_alone(queue, cache_current)))
		return send_slowly(queue, bytes, length, timeout_ns, false);
	r = send(queue, bytes, length);
	return likely(r != -EAGAIN) ? r : send_slowly(queue, bytes, length, timeout_ns, true);
}

static __attribute__((noinline)) int receive_slowly(struct mempool_queue *queue, void *buffer,
						    size_t size_bytes, size_t *ret_length,
						    int64_t timeout_ns, bool was_empty)
{
	size_t unasked;
	struct job job = {
		.queue = queue,
		.buffer = buffer,
		.length = size_bytes,
		.ret_length = ret_length ? ret_length : &unasked,
	};
	struct cache *cache;
	int r;

	/* Before it takes a role. */
	if (!queue || queue->queue.slot_bytes == 0 || (!buffer && size_bytes > 0))
		return -EINVAL;
	r = be_receiver(queue, &cache);
	return r < 0 ? r
		     : wait_to(&job, cache, &queue->messages, try_receive, timeout_ns, was_empty);
}

PUBLIC int mempool_queue_receive_bytes(struct mempool_queue *queue, void *buffer,
				       size_t size_bytes, size_t *ret_length, int64_t timeout_ns)
{
	int r;

	if (unlikely(!queue || !buffer || !ret_length || queue->queue.slot_bytes == 0 ||
		     !receives_alone(queue, cache_current)))
		return receive_slowly(queue, buffer, size_bytes, ret_length, timeout_ns, false);
	r = receive(queue, buffer, size_bytes, ret_length);
	return likely(r != -EAGAIN) ? r
				    : receive_slowly(queue, buffer, size_bytes, ret_length, timeout_ns, true);
}
