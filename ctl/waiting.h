/* SPDX-License-Identifier: MIT */
/*
 * waiting.h - the messages that wait in a queue, as far as an observer sees them
 *
 * Which chunk each is in, and what its entry says: bytes, tag, stamp. The content is for its receiver:
 * an observer has no data.
 */
#ifndef CTL_WAITING_H
#define CTL_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/segment.h"

struct waiting {
	uint32_t pool;
	uint32_t index;
	uint32_t tag;
	uint64_t n_bytes;
	uint64_t sent_ns;		/* its stamp; 0: it has none */
};

/* Legal zeroed; waiting_list_deinit() frees it. */
struct waiting_list {
	bool is_queue;			/* the segment has one of that name */
	bool is_in_slots;		/* messages are no chunks: they have but a length */
	struct waiting *messages;	/* the one that is received next first */
	size_t n;
	uint64_t n_more;		/* that wait behind these */
};

/**
 * waiting_list_take() - look at a queue
 * @n_most: messages to list; more are counted
 *
 * Reads each slot once, and writes nothing. What is received meanwhile is listed or not.
 *
 * Return: 0; -ENOMEM.
 */
int waiting_list_take(const struct segment *segment, const char *queue, size_t n_most,
		      struct waiting_list *ret_list);
void waiting_list_deinit(struct waiting_list *list);

#endif
