/* SPDX-License-Identifier: MIT */
/*
 * waiting.c - see waiting.h
 */
#include "waiting.h"

#include <errno.h>
#include <stdlib.h>

#include "shm/bytes.h"
#include "shm/pool.h"
#include "shm/queue.h"
#include "shm/stamp.h"
#include "shm/word.h"

/* What a handle leads to, which queue_peek() has compared with the segment. */
static struct waiting look_at(const struct queue *queue, uint64_t handle)
{
	struct waiting message = { .pool = handle_pool(handle), .index = handle_index(handle) };
	const struct pool *pool = &queue->segment->pools[message.pool];

	message.n_bytes = pool_length(pool, message.index);
	/* Relaxed: a list, of what may move while it is made. */
	message.tag = atomic_load_explicit(&pool->entries[message.index].tag, memory_order_relaxed);
	if (queue->has_stamps)
		message.sent_ns = stamp_sent_ns(pool, message.index);
	return message;
}

static void list_bytes(struct waiting_list *list, const struct queue *queue, size_t n_most)
{
	uint64_t at, end;

	for (bytes_ends(queue, &at, &end); at != end; at++) {
		struct waiting message = { 0 };

		if (!bytes_at(queue, at, &message.n_bytes))
			continue;
		if (list->n < n_most)
			list->messages[list->n++] = message;
		else
			list->n_more++;
	}
}

int waiting_list_take(const struct segment *segment, const char *name, size_t n_most,
		      struct waiting_list *ret_list)
{
	int ring = queue_find(segment, name, MEMPOOL_RING_QUEUE);
	struct queue queue;
	uint64_t head, handle;
	bool is_damaged;

	if (ring < 0 || queue_view_any(&queue, segment, (uint32_t)ring) < 0)
		return 0;
	ret_list->is_queue = true;
	if (n_most > queue.mask + 1)
		n_most = queue.mask + 1;
	ret_list->messages = calloc(n_most + 1, sizeof(*ret_list->messages));
	if (!ret_list->messages)
		return -ENOMEM;
	ret_list->is_in_slots = queue.slot_bytes > 0;
	if (ret_list->is_in_slots) {
		list_bytes(ret_list, &queue, n_most);
		return 0;
	}
	head = queue_head(&queue);
	for (uint64_t at = head; at - head <= queue.mask; at++) {
		handle = queue_peek(&queue, at, &is_damaged);
		if (handle == 0 || is_damaged)
			continue;
		if (ret_list->n < n_most)
			ret_list->messages[ret_list->n++] = look_at(&queue, handle);
		else
			ret_list->n_more++;
	}
	return 0;
}

void waiting_list_deinit(struct waiting_list *list)
{
	free(list->messages);
	*list = (struct waiting_list){ 0 };
}
