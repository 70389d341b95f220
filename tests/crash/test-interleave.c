/* SPDX-License-Identifier: MIT */
/*
 * test-interleave.c - who meets whom, at every instruction; see interleave.h
 *
 * The kill at every instruction shows what one leaves behind; here he comes back, and has
 * read what is no longer so. A meeting is a line in the table; its functions serve both.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interleave.h"

/* ---- holding ---- */

static void keep(struct side *me, void *chunk)
{
	me->held[me->n_held++] = chunk;
}

static void *drop(struct side *me, uint32_t i)
{
	void *chunk = me->held[i];

	me->held[i] = me->held[--me->n_held];
	return chunk;
}

static void must(struct side *me, bool ok)
{
	me->is_refused |= !ok;
}

/* ---- chunks ---- */

/* The thread's cache is there. */
static void warm_up(struct scene *scene, struct side *me)
{
	(void)scene;
	must(me, mempool_usable_size(me->client, NULL) == -EINVAL);
}

static void alloc_one(struct scene *scene, struct side *me)
{
	void *chunk = mempool_alloc(me->client, MEETING_CHUNK_SIZE);

	(void)scene;
	me->result = chunk ? 0 : -errno;
	if (chunk)
		keep(me, chunk);
}

static void alloc_if_none(struct scene *scene, struct side *me)
{
	if (me->n_held == 0)
		alloc_one(scene, me);
}

/* As many as there are, without finding it out: the dry bit stays clear. */
static void alloc_each(struct scene *scene, struct side *me)
{
	for (int i = 0; i < MEETING_CHUNKS; i++)
		alloc_one(scene, me);
	must(me, me->n_held == MEETING_CHUNKS);
}

static void alloc_until_exhausted(struct scene *scene, struct side *me)
{
	do
		alloc_one(scene, me);
	while (me->result == 0);
}

static void free_one(struct scene *scene, struct side *me)
{
	(void)scene;
	me->result = mempool_free(me->client, drop(me, me->n_held - 1));
}

/* By address, which is the order of a scan. */
static uint32_t find_end(const struct side *me, bool is_highest)
{
	uint32_t found = 0;

	for (uint32_t i = 1; i < me->n_held; i++)
		if ((me->held[i] > me->held[found]) == is_highest)
			found = i;
	return found;
}

/* The one free chunk is the last of a scan, and nobody but B has its hint. */
static void leave_the_highest(struct scene *scene, struct side *me)
{
	alloc_each(scene, me);
	must(me, mempool_free(me->client, drop(me, find_end(me, true))) == 0);
}

/* Another is free, then this one is not: there is a free one all the time. */
static void free_the_lowest_and_alloc(struct scene *scene, struct side *me)
{
	must(me, mempool_free(me->client, drop(me, find_end(me, false))) == 0);
	alloc_one(scene, me);
}

/* One hint in the list; and the next free brings another to it. */
static void leave_one_hint(struct scene *scene, struct side *me)
{
	alloc_each(scene, me);
	for (int i = 0; i <= MEETING_CACHE; i++)
		free_one(scene, me);
}

static void alloc_and_free(struct scene *scene, struct side *me)
{
	alloc_one(scene, me);
	free_one(scene, me);
}

static bool a_has_one(const struct scene *scene)
{
	return scene->a.n_held == 1;
}

static bool a_has_one_b_the_rest(const struct scene *scene)
{
	return scene->a.n_held == 1 && scene->b.n_held == MEETING_CHUNKS - 1;
}

static bool all_are_held(const struct scene *scene)
{
	return scene->a.n_held + scene->b.n_held == MEETING_CHUNKS;
}

static bool all_are_bs(const struct scene *scene)
{
	return scene->b.n_held == MEETING_CHUNKS;
}

static bool one_is_held(const struct scene *scene)
{
	return scene->a.n_held + scene->b.n_held == 1;
}

static bool none_is_held(const struct scene *scene)
{
	return scene->a.n_held + scene->b.n_held == 0;
}

/* ---- giving and sharing ---- */

static void alloc_and_give(struct scene *scene, struct side *me)
{
	alloc_one(scene, me);
	must(me, mempool_give(me->client, drop(me, 0), 1, &scene->handle) == 0);
}

static void take(struct scene *scene, struct side *me)
{
	void *chunk;

	me->result = mempool_take(me->client, scene->handle, &chunk, NULL);
	if (me->result == 0)
		keep(me, chunk);
}

static void alloc_and_share(struct scene *scene, struct side *me)
{
	alloc_one(scene, me);
	if (me->result == 0)
		must(me, mempool_share(me->client, me->held[me->n_held - 1], 1, &scene->handle) == 0);
}

/* All managers are used: the next share has that of the last release. */
static void share_all(struct scene *scene, struct side *me)
{
	for (int i = 0; i < MEETING_CHUNKS; i++)
		alloc_and_share(scene, me);
	must(me, me->n_held == MEETING_CHUNKS);
}

static void acquire(struct scene *scene, struct side *me)
{
	const void *chunk;

	me->result = mempool_acquire(me->client, scene->handle, &chunk, NULL);
	if (me->result == 0)
		keep(me, (void *)chunk);
}

/* The last one that was shared goes; chunk and manager come back as another's. */
static void release_and_share_anew(struct scene *scene, struct side *me)
{
	uint64_t handle = scene->handle;

	free_one(scene, me);
	alloc_and_share(scene, me);
	scene->handle = handle;
}

static bool is_held_as_named(const struct scene *scene, const struct side *side)
{
	const struct pool *pool = &scene->b.client->segment->pools[0];
	uint64_t word = atomic_load(&pool->entries[handle_index(scene->handle)].word);

	if (side->n_held == 0)
		return side->result == -ESTALE;
	return side->n_held == 1 && word_kind(word) == MEMPOOL_SHARED &&
	       word_generation(word) == handle_generation(scene->handle);
}

static bool a_has_what_it_asked_for(const struct scene *scene)
{
	return is_held_as_named(scene, &scene->a);
}

static bool b_has_what_it_asked_for(const struct scene *scene)
{
	return is_held_as_named(scene, &scene->b);
}

static void unshare_one(struct scene *scene, struct side *me)
{
	void *chunk;

	(void)scene;
	me->result = mempool_unshare(me->client, me->held[me->n_held - 1], &chunk);
	if (me->result < 0) {
		must(me, me->result == -EBUSY);
		return;
	}
	must(me, chunk == me->held[me->n_held - 1]);
	memset(chunk, 0xff, MEETING_CHUNK_SIZE);
}

/* The same manager leads to the same chunk again, if there is no other. */
static void unshare_and_share_anew(struct scene *scene, struct side *me)
{
	uint64_t handle;

	unshare_one(scene, me);
	if (me->result == 0)
		must(me, mempool_share(me->client, me->held[me->n_held - 1], 1, &handle) == 0 &&
				 handle != scene->handle);
}

/* If another one held it when it was asked for: that one has let go. */
static void unshare_after_all(struct scene *scene, struct side *me)
{
	if (me->result < 0)
		unshare_one(scene, me);
}

/* Either has it: the one alone, or the other one, too. */
static bool is_either_alone_or_acquired(const struct side *alone, const struct side *acquirer,
					const struct scene *scene)
{
	if (alone->result == 0)
		return acquirer->result == -ESTALE && acquirer->n_held == 0;
	return acquirer->result == 0 && is_held_as_named(scene, acquirer);
}

static bool a_is_alone_or_b_has_acquired(const struct scene *scene)
{
	return is_either_alone_or_acquired(&scene->a, &scene->b, scene);
}

static bool b_is_alone_or_a_has_acquired(const struct scene *scene)
{
	return is_either_alone_or_acquired(&scene->b, &scene->a, scene);
}

static bool a_is_alone(const struct scene *scene)
{
	return scene->a.result == 0 && scene->a.n_held == 1 && scene->b.n_held == 0;
}

static bool neither_is_alone(const struct scene *scene)
{
	return scene->a.result == -EBUSY && scene->b.result == -EBUSY;
}

/* ---- two threads that do the same with one chunk ---- */

/* A has the address of what B has. */
static void be_lent(struct scene *scene, struct side *me)
{
	warm_up(scene, me);
	memcpy(me->held, scene->b.held, sizeof(me->held));
	me->n_held = scene->b.n_held;
}

static void share_it(struct scene *scene, struct side *me)
{
	uint64_t handle = MEMPOOL_HANDLE_NONE;

	(void)scene;
	me->result = mempool_share(me->client, me->held[0], 1, &handle);
	must(me, me->result < 0 || handle != MEMPOOL_HANDLE_NONE);
}

static void share_alone(struct scene *scene, struct side *me)
{
	me->result = mempool_share(me->client, me->held[0], 1, &scene->handle);
}

/* The handle can be used at once, wherever the other thread is. */
static void share_and_acquire(struct scene *scene, struct side *me)
{
	const void *chunk;

	me->result = mempool_share(me->client, me->held[0], 1, &scene->handle);
	must(me, me->result == 0 &&
			 mempool_acquire(me->client, scene->handle, &chunk, NULL) == 0 &&
			 chunk == me->held[0] && mempool_free(me->client, chunk) == 0);
}

static bool is_shared_once(const struct scene *scene)
{
	return scene->a.result == 0 && scene->b.result == 0 &&
	       pool_count_used(segment_managers(scene->b.client->segment)) == 1 &&
	       is_held_as_named(scene, &scene->b);
}

static uint32_t generation_of(const struct scene *scene)
{
	const struct pool *pool = &scene->b.client->segment->pools[0];
	uint64_t off = (uint64_t)((unsigned char *)scene->b.held[0] - pool->data);

	return word_generation(atomic_load(&pool->entries[off / pool->stride].word));
}

static void free_and_alloc(struct scene *scene, struct side *me)
{
	me->result = mempool_free(me->client, me->held[0]);
	if (me->result == 0)
		must(me, mempool_alloc(me->client, MEETING_CHUNK_SIZE) == me->held[0]);
	scene->generation = generation_of(scene);
}

static void give_it(struct scene *scene, struct side *me)
{
	me->result = mempool_give(me->client, me->held[0], 1, &scene->handle);
}

/* What was given before it was freed or given again: B has it in the end. */
static void take_back(struct scene *scene, struct side *me)
{
	if (scene->a.result == 0)
		must(me, mempool_take(me->client, scene->handle, &me->held[0], NULL) == 0);
}

static void give_and_take_back(struct scene *scene, struct side *me)
{
	uint64_t handle;

	me->result = mempool_give(me->client, me->held[0], 1, &handle);
	if (me->result == 0)
		must(me, mempool_take(me->client, handle, &me->held[0], NULL) == 0);
	scene->generation = generation_of(scene);
}

static void send_it(struct scene *scene, struct side *me)
{
	(void)scene;
	me->result = mempool_queue_send(me->queue, me->held[0], 1, 0);
}

static void receive_back(struct scene *scene, struct side *me)
{
	if (scene->a.result == 0)
		must(me, mempool_queue_receive(me->queue, &me->held[0], NULL, 0) == 0);
}

static void send_and_receive_back(struct scene *scene, struct side *me)
{
	me->result = mempool_queue_send(me->queue, me->held[0], 1, 0);
	if (me->result == 0)
		must(me, mempool_queue_receive(me->queue, &me->held[0], NULL, 0) == 0);
	scene->generation = generation_of(scene);
}

static void publish_it(struct scene *scene, struct side *me)
{
	(void)scene;
	me->result = mempool_topic_publish(me->topic, me->held[0], 1);
}

/* A may have shared it before: then B has let go of a share. */
static bool b_has_another(const struct scene *scene)
{
	return (scene->a.result == 0 || scene->a.result == -EPERM) && scene->b.result == 0;
}

/* If both have: first B, and then A what B had in the end; a handing over and back is two steps. */
static bool let_go_in_turn(const struct scene *scene)
{
	if (scene->a.result == 0 && scene->b.result == 0)
		return generation_of(scene) == scene->generation + 2;
	return (scene->a.result == 0 && scene->b.result == -EPERM) ||
	       (scene->a.result == -EPERM && scene->b.result == 0);
}

/* What A has published, neither has any more. */
static void forget_published(struct scene *scene, struct side *me)
{
	(void)me;
	if (scene->a.result == 0)
		scene->a.n_held = scene->b.n_held = 0;
}

/* B's share was first, or A's message. */
static bool it_is_published_or_shared(const struct scene *scene)
{
	if (scene->a.result == -EBUSY)
		return scene->b.result == 0 && is_held_as_named(scene, &scene->b);
	return scene->a.result == 0 && (scene->b.result == 0 || scene->b.result == -EPERM);
}

/* ---- the queue ---- */

static void send(struct scene *scene, struct side *me)
{
	void *chunk = drop(me, me->n_held - 1);

	(void)scene;
	me->result = mempool_queue_send(me->queue, chunk, 1, 0);
	if (me->result < 0)
		keep(me, chunk);
}

static void receive(struct scene *scene, struct side *me)
{
	void *chunk;

	(void)scene;
	me->result = mempool_queue_receive(me->queue, &chunk, NULL, 0);
	if (me->result == 0)
		keep(me, chunk);
}

static void receive_all(struct scene *scene, struct side *me)
{
	do
		receive(scene, me);
	while (me->result == 0);
	must(me, me->result == -EAGAIN);
}

static void alloc_and_send(struct scene *scene, struct side *me)
{
	alloc_one(scene, me);
	send(scene, me);
}

static void send_one_have_one(struct scene *scene, struct side *me)
{
	alloc_and_send(scene, me);
	alloc_one(scene, me);
}

static void fill_queue(struct scene *scene, struct side *me)
{
	for (int i = 0; i < MEETING_QUEUE; i++)
		alloc_and_send(scene, me);
}

static void receive_all_and_send(struct scene *scene, struct side *me)
{
	receive_all(scene, me);
	if (me->n_held > 0)
		send(scene, me);
	must(me, me->result == 0);
}

/* Once round the ring, and more. There is a message and room for one all the time. */
static void receive_and_send_on(struct scene *scene, struct side *me)
{
	for (int i = 0; i < MEETING_QUEUE + 1; i++) {
		receive(scene, me);
		must(me, me->result == 0);
		if (me->n_held > 0)
			send(scene, me);
		must(me, me->result == 0);
	}
}

static void receive_and_send_on_and_receive_all(struct scene *scene, struct side *me)
{
	receive_and_send_on(scene, me);
	receive_all(scene, me);
}

/* The first sent, B's message, and A's. */
static bool a_has_sent_and_b_has_both(const struct scene *scene)
{
	return scene->a.n_held == 0 && scene->b.n_held == 2;
}

static bool none_of_three_is_lost(const struct scene *scene)
{
	return scene->a.n_held + scene->b.n_held == 3 && scene->b.n_held >= MEETING_QUEUE &&
	       (scene->a.result == 0 || scene->a.result == -EAGAIN);
}

static bool a_has_the_round_b_has_one(const struct scene *scene)
{
	return scene->a.n_held == MEETING_QUEUE && scene->b.n_held == 1;
}

static bool a_has_one_message_b_the_rest(const struct scene *scene)
{
	return scene->a.n_held == 1 && scene->b.n_held == MEETING_QUEUE - 1;
}

/* ---- the topic ---- */

/* Numbered from 0 on. */
static void publish(struct scene *scene, struct side *me)
{
	uint32_t *chunk = mempool_alloc(me->client, MEETING_CHUNK_SIZE);

	if (!chunk) {
		must(me, false);
		return;
	}
	*chunk = scene->n_published++;
	me->result = mempool_topic_publish(me->topic, chunk, sizeof(*chunk));
	must(me, me->result == 0);
}

static void publish_round(struct scene *scene, struct side *me)
{
	for (int i = 0; i < MEETING_TOPIC; i++)
		publish(scene, me);
}

/* Few managers are left, so those of the ring come back soon. */
static void share_most_and_publish_round(struct scene *scene, struct side *me)
{
	for (int i = 0; i < MEETING_CHUNKS - MEETING_TOPIC - 2; i++)
		alloc_and_share(scene, me);
	publish_round(scene, me);
}

/* So many that the manager of the first is in the ring again, as another's. */
static void publish_many(struct scene *scene, struct side *me)
{
	for (int i = 0; i < MEETING_CHUNKS; i++)
		publish(scene, me);
}

static void next(struct scene *scene, struct side *me)
{
	const void *chunk;
	uint64_t n_missed;

	(void)scene;
	me->result = mempool_subscriber_next(me->subscriber, &chunk, NULL, &n_missed, 0);
	if (me->result < 0)
		return;
	keep(me, (void *)chunk);
	me->n_missed += n_missed;
}

static void read_all(struct scene *scene, struct side *me)
{
	do
		next(scene, me);
	while (me->result == 0);
}

static void copy(struct scene *scene, struct side *me)
{
	uint64_t n_missed;
	size_t length;

	(void)scene;
	me->result = mempool_subscriber_copy(me->subscriber, &me->number, sizeof(me->number),
					     &length, NULL, &n_missed, 0);
	must(me, me->result == 0 && length == sizeof(me->number));
	me->n_missed += n_missed;
}

static void peek_and_verify(struct scene *scene, struct side *me)
{
	const void *message;
	uint64_t n_missed;
	size_t length;

	(void)scene;
	must(me, mempool_subscriber_peek(me->subscriber, &message, &length, NULL, &n_missed, 0) ==
			 0);
	me->number = *(const volatile uint32_t *)message;
	me->result = mempool_subscriber_verify(me->subscriber);
	must(me, me->result == -ESTALE || length == sizeof(me->number));
	me->n_missed += n_missed;
}

static bool a_was_told_the_first_not_missed(const struct scene *scene)
{
	return scene->a.n_held == 0 &&
	       (scene->a.result == -ESTALE || scene->a.number == scene->a.n_missed);
}

static bool a_has_read_the_first_not_missed(const struct scene *scene)
{
	return scene->a.n_held == 1 && *(uint32_t *)scene->a.held[0] == scene->a.n_missed;
}

static bool b_has_read_or_missed_all(const struct scene *scene)
{
	return scene->b.n_held + scene->b.n_missed == scene->n_published;
}

/* B has read the first, too. */
static void publish_round_and_read_one(struct scene *scene, struct side *me)
{
	publish_round(scene, me);
	next(scene, me);
}

/* What B has read is evicted, and then written to, if A does not hold it. */
static void publish_round_and_unshare(struct scene *scene, struct side *me)
{
	publish_round(scene, me);
	unshare_one(scene, me);
}

/* ---- the table ---- */

static const struct meeting meetings[] = {
	{ "alloc by scan; another is freed, the free one taken", leave_the_highest, warm_up,
	  alloc_one, free_the_lowest_and_alloc, NULL, NULL, a_has_one_b_the_rest },
	{ "alloc of the last hint; free with overflow", leave_one_hint, warm_up, alloc_one,
	  free_one, NULL, NULL, a_has_one },
	{ "alloc in vain; free", alloc_each, warm_up, alloc_one, free_one, alloc_if_none, NULL,
	  a_has_one_b_the_rest },
	{ "alloc from cache; alloc until exhausted", NULL, alloc_and_free, alloc_one,
	  alloc_until_exhausted, NULL, NULL, all_are_held },
	{ "free; alloc until exhausted", NULL, alloc_one, free_one, alloc_until_exhausted, NULL,
	  alloc_until_exhausted, all_are_bs },
	{ "take; take", alloc_and_give, warm_up, take, take, NULL, NULL, one_is_held },
	{ "acquire; release of the last, share anew", share_all, warm_up, acquire,
	  release_and_share_anew, NULL, NULL, a_has_what_it_asked_for },
	{ "acquire; release", alloc_and_share, warm_up, acquire, free_one, NULL, NULL,
	  a_has_what_it_asked_for },
	{ "release; acquire", NULL, alloc_and_share, free_one, acquire, NULL, NULL,
	  b_has_what_it_asked_for },
	{ "release; release", alloc_and_share, acquire, free_one, free_one, NULL, NULL,
	  none_is_held },
	{ "unshare; acquire", NULL, alloc_and_share, unshare_one, acquire, NULL, NULL,
	  a_is_alone_or_b_has_acquired },
	{ "acquire; unshare", alloc_and_share, warm_up, acquire, unshare_one, NULL, NULL,
	  b_is_alone_or_a_has_acquired },
	{ "acquire; unshare, share anew", share_all, warm_up, acquire, unshare_and_share_anew,
	  NULL, NULL, b_is_alone_or_a_has_acquired },
	{ "unshare; release", alloc_and_share, acquire, unshare_one, free_one, unshare_after_all,
	  NULL, a_is_alone },
	{ "unshare; unshare", alloc_and_share, acquire, unshare_one, unshare_one, NULL, NULL,
	  neither_is_alone },
	{ "send; receive all and send", alloc_and_send, alloc_one, send, receive_all_and_send,
	  NULL, receive_all, a_has_sent_and_b_has_both },
	{ "send; receive and send on", alloc_and_send, alloc_one, send, receive_and_send_on, NULL,
	  receive_all, a_has_sent_and_b_has_both },
	{ "send; send into the last slot", send_one_have_one, alloc_one, send, send, NULL,
	  receive_all, none_of_three_is_lost },
	{ "send to a full queue; receive all", fill_queue, alloc_one, send, receive_all, NULL,
	  receive_all, none_of_three_is_lost },
	{ "send to a full queue; receive and send on", fill_queue, alloc_one, send,
	  receive_and_send_on_and_receive_all, NULL, receive_all, none_of_three_is_lost },
	{ "send to a full queue; receive all and send", fill_queue, alloc_one, send,
	  receive_all_and_send, NULL, receive_all, none_of_three_is_lost },
	{ "receive; receive", alloc_and_send, warm_up, receive, receive, NULL, NULL,
	  one_is_held },
	{ "receive; receive and send on", fill_queue, warm_up, receive, receive_and_send_on, NULL,
	  receive_all, a_has_one_message_b_the_rest },
	{ "receive the end of a round; send", fill_queue, receive, receive, alloc_and_send, NULL,
	  receive_all, a_has_the_round_b_has_one },
	{ "publish; publish many", publish_round, warm_up, publish, publish_many,
	  NULL, NULL, none_is_held },
	{ "publish; read all", publish_round, warm_up, publish, read_all, NULL, read_all,
	  b_has_read_or_missed_all },
	{ "next; publish many", share_most_and_publish_round, warm_up, next, publish_many, NULL,
	  NULL, a_has_read_the_first_not_missed },
	{ "copy; publish many", share_most_and_publish_round, warm_up, copy, publish_many, NULL,
	  NULL, a_was_told_the_first_not_missed },
	{ "peek and verify; publish many", share_most_and_publish_round, warm_up, peek_and_verify,
	  publish_many, NULL, NULL, a_was_told_the_first_not_missed },
	{ "peek and verify; publish a round", publish_round, warm_up, peek_and_verify,
	  publish_round, NULL, NULL, a_was_told_the_first_not_missed },
	{ "next; publish a round and unshare", publish_round_and_read_one, warm_up, next,
	  publish_round_and_unshare, NULL, NULL, a_has_read_the_first_not_missed },
	{ "peek and verify; publish a round and unshare", publish_round_and_read_one, warm_up,
	  peek_and_verify, publish_round_and_unshare, NULL, NULL,
	  a_was_told_the_first_not_missed },
	{ "release of an evicted; publish a round", publish_round, next, free_one, publish_round,
	  NULL, NULL, none_is_held },
};

/* Of two threads of one client. */
static const struct meeting thread_meetings[] = {
	{ "share; share, as threads", alloc_one, be_lent, share_it, share_and_acquire, NULL, NULL,
	  is_shared_once },
	{ "share; free and alloc, as threads", alloc_one, be_lent, share_it, free_and_alloc, NULL,
	  NULL, b_has_another },
	{ "give; give, as threads", alloc_one, be_lent, give_it, give_and_take_back, NULL,
	  take_back, let_go_in_turn },
	{ "give; free and alloc, as threads", alloc_one, be_lent, give_it, free_and_alloc, NULL,
	  take_back, let_go_in_turn },
	{ "send; send, as threads", alloc_one, be_lent, send_it, send_and_receive_back, NULL,
	  receive_back, let_go_in_turn },
	{ "send; free and alloc, as threads", alloc_one, be_lent, send_it, free_and_alloc, NULL,
	  receive_back, let_go_in_turn },
	{ "publish; share, as threads", alloc_one, be_lent, publish_it, share_alone, NULL,
	  forget_published, it_is_published_or_shared },
};

struct total {
	const char *part;		/* of a name, of those that are wanted */
	uint64_t n_points;
	uint64_t n_wrong;
};

/* Return: 0; -errno if ptrace is not to be had. */
static int run_all(const struct meeting *table, size_t n, bool are_threads, struct total *total)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t n_wrong;
		int64_t n_points;

		if (!strstr(table[i].name, total->part))
			continue;
		n_points = interleave(&table[i], are_threads, &n_wrong);
		if (n_points < 0)
			return (int)n_points;
		printf("%-52s %12ld %5lu\n", table[i].name, (long)n_points,
		       (unsigned long)n_wrong);
		total->n_points += (uint64_t)n_points;
		total->n_wrong += n_wrong;
	}
	return 0;
}

/* test-interleave [--claims] [PART_OF_A_NAME] */
int main(int argc, char *argv[])
{
	bool has_claims = argc > 1 && strcmp(argv[1], "--claims") == 0;
	struct total total = { .part = argc > 1 + has_claims ? argv[1 + has_claims] : "" };
	int r;

	if (has_claims)
		interleave_with_claims();

	printf("%-52s %12s %5s\n", "A; B", "instructions", "wrong");
	r = run_all(meetings, sizeof(meetings) / sizeof(meetings[0]), false, &total);
	if (r == 0)
		r = run_all(thread_meetings, sizeof(thread_meetings) / sizeof(thread_meetings[0]),
			    true, &total);
	if (r < 0) {
		printf("skipped: ptrace is not permitted here: %s\n", strerror(-r));
		return 77;
	}
	printf("%lu meetings, %lu with something wrong\n", (unsigned long)total.n_points,
	       (unsigned long)total.n_wrong);
	return total.n_points > 0 && total.n_wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
