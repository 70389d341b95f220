/* SPDX-License-Identifier: MIT */
/*
 * post.h - messages that say who sent them and which they are, and who has received which
 *
 * The numbers of a sender go up from 0. Whoever receives one notes it: nothing comes twice, and of
 * one sender in its order. What is kept here is no memory of the explored code, so it orders
 * nothing.
 */
#ifndef TESTS_EXPLORE_SCENARIOS_POST_H
#define TESTS_EXPLORE_SCENARIOS_POST_H

#include <stdint.h>

#include "../explore.h"

struct post {
	uint32_t n_sent[EXPLORE_THREADS];	/* by sender: calls that said 0 */
	uint32_t received[EXPLORE_THREADS];	/* by sender: a bit for each */
	uint32_t next[EXPLORE_THREADS][EXPLORE_THREADS];	/* by receiver and sender */
	uint32_t n_behind[EXPLORE_THREADS];	/* by sender: messages behind the first one of its call */
	uint32_t n_received;
};

/* The next message of a sender, written into a chunk that it has; or one so many behind that. */
void post_write(const struct post *post, uint32_t sender, void *chunk);
void post_write_behind(const struct post *post, uint32_t sender, uint32_t n_behind, void *chunk);

/* A message was received by somebody, in its turn. */
void post_read(struct post *post, uint32_t receiver, const void *chunk);

/* A message that comes to several is noted by none: only its order. Return: the sender. */
uint32_t post_read_shared(struct post *post, uint32_t receiver, const void *chunk);

/* All that was sent was received, but for so many that the dead may have had. */
void post_check_all(const struct post *post, uint32_t n_lost);

#endif
