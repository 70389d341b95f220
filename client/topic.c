/* SPDX-License-Identifier: MIT */
/*
 * topic.c - the user's side of shm/topic: references, lengths and waiting
 *
 *	publish	OWNED(me) -> SHARED by {me, topic}; into the ring, evicting the oldest; then the
 *		publisher's own share goes
 *	next	a share of the message at the cursor, held like any acquired chunk
 *	peek	the message at the cursor, held by nobody; nothing is written (shm/peek.h)
 *
 * Killed anywhere in publish, the message stands in the ring or nobody holds it; the reaper
 * clears the publisher's bit and collects what only a topic's bit is left on.
 */
#include <errno.h>
#include <stdlib.h>

#include "arrive.h"
#include "bound.h"
#include "cache.h"
#include "checker.h"
#include "client.h"
#include "ends.h"
#include "hold.h"
#include "info.h"
#include "own.h"
#include "share.h"
#include "shm/chunk_manager.h"
#include "shm/clock.h"
#include "shm/peek.h"
#include "shm/queue.h"
#include "shm/stamp.h"
#include "shm/topic.h"
#include "wait.h"

struct mempool_topic {
	struct mempool_client *client;
	struct mempool_client *plain;	/* the same; CACHE_NOBODY where stamps are kept */
	struct topic topic;
};

/* Of the message that was peeked last. */
enum peeked { PEEKED_NONE, PEEKED_GOOD, PEEKED_STALE };

struct mempool_subscriber {
	struct mempool_client *client;
	struct topic topic;
	uint64_t cursor;		/* the next message to read */
	struct mempool_end *shown;	/* where others see how far it is */
	uint64_t n_missed;		/* and not told yet */
	uint64_t n_missed_in_all;	/* and told */
	uint64_t n_wakes_seen;		/* by its waits; see wait.h */
	uint64_t flags;			/* MEMPOOL_SUBSCRIBE_NEWEST or _OTHERS */
	bool peeks_plainly;		/* no flags, no stamps, and no checker */
	uint64_t sent_ns;		/* of what was peeked or copied last; 0: nobody knows */
	struct poller_look messages;	/* what it may wait for */
	struct poller_look *peeks;	/* the same, for a spectator, whose descriptor is a timer; NULL:
					 * that of a member tells of what it would hold, and no peek */
	struct peek peek;
	enum peeked peeked;
	int line;			/* of its end; negative: none */
	struct mempool_end unseen;	/* what shown leads to where there is no line for it */
};

PUBLIC int mempool_topic_open(struct mempool_client *client, const char *name,
			      struct mempool_topic **ret_topic)
{
	struct mempool_topic *topic;
	int ring = client_check(client);

	if (ring < 0)
		return ring;
	if (!name || !ret_topic)
		return -EINVAL;
	ring = queue_find(client->segment, name, MEMPOOL_RING_TOPIC);
	if (ring < 0)
		return ring;
	topic = malloc(sizeof(*topic));
	if (!topic)
		return -ENOMEM;
	topic->client = client_ref(client);
	topic_view(&topic->topic, client->segment, (uint32_t)ring);
	topic->plain = topic_has_stamps(&topic->topic) ? CACHE_NOBODY : client;
	*ret_topic = topic;
	return 0;
}

PUBLIC void mempool_topic_close(struct mempool_topic *topic)
{
	if (!topic)
		return;
	client_unref(topic->client);
	free(topic);
}

PUBLIC int mempool_topic_info(struct mempool_topic *topic,
			      struct mempool_topic_counts *ret_counts)
{
	int r = topic && ret_counts ? client_check(topic->client) : -EINVAL;

	if (r == 0)
		info_of_topic(&topic->topic, ret_counts);
	return r;
}

/* hold_message() of one that is bounded: it is asked before. -EDQUOT: it holds as much as it may. */
static __attribute__((noinline)) int hold_counted(struct cache *cache, const struct topic *topic,
						  const struct topic_slot *slot)
{
	struct mempool_client *client = cache_client(cache);
	struct chunk_ref chunk, again;
	int r;

	if (slot->manager >= segment_managers(client->segment)->n_chunks ||
	    !chunk_manager_chunk(client->segment, slot->manager, &chunk))
		return topic_is_same(topic, slot) ? -EBADMSG : -EAGAIN;
	r = bound_reserve(cache, &client->segment->pools[chunk.pool]);
	if (r < 0)
		return topic_is_same(topic, slot) ? r : -EAGAIN;
	r = hold_message(client, topic, slot);
	/* Of another message it was the chunk of another one; then the slot has changed, too. */
	if (r == 0 && (!chunk_manager_chunk(client->segment, slot->manager, &again) ||
		       again.pool != chunk.pool)) {
		share_drop(client, slot->manager);
		r = -EBADMSG;
	}
	if (r == 0)
		bound_keep(cache);
	else
		bound_cancel(cache);
	return r;
}

/* What hold_counted() has got goes again. */
static void drop_counted(struct cache *cache, uint32_t manager)
{
	struct mempool_client *client = cache_client(cache);
	struct chunk_ref chunk;
	bool is_known = chunk_manager_chunk(client->segment, manager, &chunk);

	share_drop(client, manager);
	if (is_known)
		bound_let_go(cache, &client->segment->pools[chunk.pool]);
}

/* Into the ring, whose oldest message is held while it is evicted. */
static inline __attribute__((always_inline)) void
put(struct mempool_client *client, const struct topic *topic, uint32_t manager)
{
	bool is_put;

	/* Lock-free: each further turn follows another publisher's success. */
	do {
		struct topic_slot slot;
		int r = -EBADMSG;

		topic_next_free(topic, &slot);
		if (slot.manager != TOPIC_NO_MANAGER)
			r = hold_message(client, topic, &slot);
		/*
		 * What names nothing is published over; and so is what we hold too often: it
		 * cannot go.
		 */
		is_put = r != -EAGAIN && topic_put(topic, &slot, manager);
		if (r == 0)
			share_drop(client, slot.manager);
	} while (!is_put);
}

static inline __attribute__((always_inline)) int publish(struct mempool_topic *topic,
							 struct cache *cache, void *chunk,
							 size_t length, bool has_stamps)
{
	const struct pool *pool;
	uint32_t index, manager;
	uint64_t word;
	int r;

	r = cache_locate(cache, chunk, &index);
	if (r < 0)
		return r;
	pool = &cache->last->pool;
	/* Relaxed: if it is ours, we or a thread that told us wrote it last. */
	word = atomic_load_explicit(&pool->entries[index].word, memory_order_relaxed);
	if (!word_is_owned_by(word, topic->client->holder))
		return share_refuse(topic->client, word);
	r = share_owned(cache, (struct chunk_ref){ pool->id, index }, length,
			topic->topic.holder, &word);
	if (r < 0)
		return r;

	/* Not in the ring yet; and the slot publishes the stamp (shm/stamp.h). */
	if (has_stamps)
		stamp_put(pool, index, (uint64_t)clock_now_ns(), word_generation(word));
	manager = word_value(word);
	own_note(topic->client, manager);
	put(topic->client, &topic->topic, manager);
	/* The ring holds it now; the swap of the slot was seq_cst, as a publish must be. */
	share_drop(topic->client, manager);
	poller_wake(&topic->client->poller, topic->topic.ring_index,
		    &topic->topic.ring->filled);
	return 0;
}

/* By one whose cache is not at hand, or whose chunks are counted, traced or checked; or where stamps are
 * kept. */
static __attribute__((noinline)) int publish_slowly(struct mempool_topic *topic, void *chunk,
						    size_t length)
{
	struct cache *cache = cache_get_writer_quickly(topic->client);
	int r;

	if (!cache)
		return -errno;
	r = cache->checked ? checker_verify(cache, chunk, length) : 0;
	if (r < 0)
		return r;
	r = topic_has_stamps(&topic->topic) ? publish(topic, cache, chunk, length, true)
					    : publish(topic, cache, chunk, length, false);
	if (r == 0 && cache->is_bounded)
		bound_let_go(cache, &cache->last->pool);
	return r;
}

PUBLIC int mempool_topic_publish(struct mempool_topic *topic, void *chunk, size_t length)
{
	if (!topic)
		return -EINVAL;
	if (unlikely(cache_writer(cache_current) != topic->plain))
		return publish_slowly(topic, chunk, length);
	return publish(topic, cache_current, chunk, length, false);
}

/* Where a new reader begins. */
static uint64_t first_of(const struct topic *topic, const struct mempool_subscribe_options *options)
{
	uint64_t newest, oldest;

	switch (options->start) {
	case MEMPOOL_TOPIC_OLDEST:
		return topic_oldest(topic);
	case MEMPOOL_TOPIC_LAST:
		newest = topic_newest(topic);
		oldest = newest > topic->capacity ? newest - topic->capacity : 0;
		return newest - oldest > options->n_last ? newest - options->n_last : oldest;
	default:
		return topic_newest(topic);
	}
}

/* Known options, and no other bytes; as those of mempool_client_open(). */
static bool are_valid(const struct mempool_subscribe_options *options)
{
	if (options->size < sizeof(*options))
		return false;
	for (size_t i = sizeof(*options); i < options->size; i++)
		if (((const unsigned char *)options)[i] != 0)
			return false;
	return options->start <= MEMPOOL_TOPIC_LAST && options->reserved == 0 &&
	       (options->start == MEMPOOL_TOPIC_LAST || options->n_last == 0) &&
	       (options->flags == 0 || options->flags == MEMPOOL_SUBSCRIBE_NEWEST ||
		options->flags == MEMPOOL_SUBSCRIBE_OTHERS);
}

/* A line for it, if there is one, and the client is one that may write. */
static void be_seen(struct mempool_subscriber *subscriber)
{
	subscriber->line = ends_open(subscriber->client, MEMPOOL_END_SUBSCRIBER,
				     subscriber->topic.ring_index);
	subscriber->shown = subscriber->line < 0
				    ? &subscriber->unseen
				    : ends_describe(subscriber->client, subscriber->line,
						    subscriber->topic.ring_index,
						    subscriber->cursor, subscriber->flags);
}

static int subscribe(struct mempool_topic *topic, const struct mempool_subscribe_options *options,
		     struct mempool_subscriber **ret_subscriber)
{
	struct mempool_subscriber *subscriber;
	int r;

	if (!topic || !ret_subscriber || !are_valid(options))
		return -EINVAL;
	r = client_check(topic->client);
	if (r < 0)
		return r;
	/* Others publish nothing. */
	if (options->flags == MEMPOOL_SUBSCRIBE_OTHERS &&
	    topic->client->role == MEMPOOL_ROLE_MEMBER)
		r = own_begin(topic->client);
	if (r < 0)
		return r;
	subscriber = malloc(sizeof(*subscriber));
	if (!subscriber)
		return -ENOMEM;
	*subscriber = (struct mempool_subscriber){
		.client = client_ref(topic->client),
		.topic = topic->topic,
		.cursor = first_of(&topic->topic, options),
		.flags = options->flags,
		.peeks_plainly = options->flags == 0 && !topic_has_stamps(&topic->topic) &&
				 !topic->client->checker,
	};
	be_seen(subscriber);
	poller_look_init(&subscriber->messages, topic->topic.ring_index,
			 &topic->topic.ring->filled, false);
	if (topic->client->role == MEMPOOL_ROLE_SPECTATOR)
		subscriber->peeks = &subscriber->messages;
	*ret_subscriber = subscriber;
	return 0;
}

PUBLIC int mempool_topic_subscribe(struct mempool_topic *topic, enum mempool_topic_start start,
				   struct mempool_subscriber **ret_subscriber)
{
	const struct mempool_subscribe_options options = {
		.size = sizeof(options),
		.start = (uint32_t)start,
	};

	if (start == MEMPOOL_TOPIC_LAST)
		return -EINVAL;
	return subscribe(topic, &options, ret_subscriber);
}

PUBLIC int mempool_topic_subscribe_with(struct mempool_topic *topic,
					const struct mempool_subscribe_options *options,
					struct mempool_subscriber **ret_subscriber)
{
	return options ? subscribe(topic, options, ret_subscriber) : -EINVAL;
}

PUBLIC void mempool_subscriber_close(struct mempool_subscriber *subscriber)
{
	if (!subscriber)
		return;
	ends_give_back(subscriber->client, MEMPOOL_END_SUBSCRIBER, subscriber->topic.ring_index,
		       subscriber->line);
	if (!client_is_forked(subscriber->client))
		poller_forget(&subscriber->client->poller, &subscriber->messages);
	client_unref(subscriber->client);
	free(subscriber);
}

/* Relaxed: nobody reads anything through it. */
static inline void show_cursor(struct mempool_subscriber *subscriber)
{
	atomic_store_explicit(&subscriber->shown->cursor, subscriber->cursor, memory_order_relaxed);
}

/* It alone writes there: no swap. What another one has written there instead is its own fault. */
static __attribute__((noinline)) void show_missed(struct mempool_subscriber *subscriber)
{
	subscriber->n_missed_in_all += subscriber->n_missed;
	subscriber->n_missed = 0;
	atomic_store_explicit(&subscriber->shown->n_missed, subscriber->n_missed_in_all,
			      memory_order_relaxed);
}

/* A message was read. */
static inline void tell_missed(struct mempool_subscriber *subscriber, uint64_t *ret_missed)
{
	if (ret_missed)
		*ret_missed = subscriber->n_missed;
	if (unlikely(subscriber->n_missed > 0))
		show_missed(subscriber);
	show_cursor(subscriber);
}

/*
 * To the latest message. What is passed over counts as missed, so that all that were published are
 * either read or missed, as ever. Where nothing is newer, the cursor stands: it never goes back.
 */
static __attribute__((noinline)) void skip_older(struct mempool_subscriber *subscriber)
{
	uint64_t newest = topic_newest(&subscriber->topic);

	if ((int64_t)(newest - subscriber->cursor) > 1)
		topic_skip_to(&subscriber->cursor, &subscriber->n_missed, newest - 1);
}

/* One call of next. */
struct reading {
	struct mempool_subscriber *subscriber;
	struct cache *counting;		/* that of one that is bounded; NULL */
	uint32_t manager;
};

static inline int hold_next(struct mempool_subscriber *subscriber, struct cache *counting,
			    bool newest_only, uint32_t *ret_manager)
{
	struct topic_slot slot;
	int r;

	/* Each further turn finds the slot evicted, or skips one that names nothing. */
	do {
		if (newest_only)
			skip_older(subscriber);
		r = topic_look(&subscriber->topic, &subscriber->cursor, &subscriber->n_missed,
			       &slot);
		if (r < 0)
			return r;
		r = counting ? hold_counted(counting, &subscriber->topic, &slot)
			     : hold_message(subscriber->client, &subscriber->topic, &slot);
		if (r == -EBADMSG) {
			subscriber->cursor++;
			subscriber->n_missed++;
		}
	} while (r == -EAGAIN || r == -EBADMSG);
	if (r < 0)
		return r;

	subscriber->cursor++;
	*ret_manager = slot.manager;
	return 0;
}

/* What was got is not for the caller. */
static void drop(const struct reading *reading)
{
	if (reading->counting)
		drop_counted(reading->counting, reading->manager);
	else
		share_drop(reading->subscriber->client, reading->manager);
}

/* The same as try_next(), of one who does not read all. */
static __attribute__((noinline)) int try_next_of_some(struct reading *reading)
{
	struct mempool_subscriber *subscriber = reading->subscriber;
	int r;

	if (subscriber->flags == MEMPOOL_SUBSCRIBE_NEWEST)
		return hold_next(subscriber, reading->counting, true, &reading->manager);
	/* Each further turn passes a message that this client has published. */
	while ((r = hold_next(subscriber, reading->counting, false, &reading->manager)) == 0 &&
	       own_holds(subscriber->client, reading->manager))
		drop(reading);
	return r;
}

static int try_next(void *userdata)
{
	struct reading *reading = userdata;
	int r;

	if (unlikely(reading->subscriber->flags))
		r = try_next_of_some(reading);
	else
		r = hold_next(reading->subscriber, NULL, false, &reading->manager);
	/* It may have passed some, and have found nothing behind them. */
	if (unlikely(r < 0))
		show_cursor(reading->subscriber);
	return r;
}

static int try_next_counted(void *userdata)
{
	struct reading *reading = userdata;
	int r;

	if (reading->subscriber->flags)
		r = try_next_of_some(reading);
	else
		r = hold_next(reading->subscriber, reading->counting, false, &reading->manager);
	/* As in try_next(). */
	if (r < 0)
		show_cursor(reading->subscriber);
	return r;
}

static inline __attribute__((always_inline)) int
next(struct mempool_subscriber *subscriber, struct cache *counting, const void **ret_chunk,
     size_t *ret_length, uint64_t *ret_missed, int64_t timeout_ns)
{
	struct reading reading = { .subscriber = subscriber, .counting = counting };
	const wait_try_fn try = counting ? try_next_counted : try_next;
	struct chunk_ref chunk;
	const struct pool *pool;
	int r;

	r = try(&reading);
	if (r == -EAGAIN)
		r = wait_on(&(struct wait_place){
				    .client = subscriber->client,
				    .eventcount = &subscriber->topic.ring->filled,
				    .look = &subscriber->messages,
				    .spins = true,
				    .n_wakes_seen = &subscriber->n_wakes_seen,
			    }, try, &reading, timeout_ns);
	if (r < 0)
		return r;
	if (!chunk_manager_chunk(subscriber->client->segment, reading.manager, &chunk)) {
		drop(&reading);
		return -EBADMSG;
	}

	pool = &subscriber->client->segment->pools[chunk.pool];
	*ret_chunk = pool_chunk(pool, chunk.index);
	if (ret_length)
		/* Ordered by the stamp of the manager. */
		*ret_length = pool_length(pool, chunk.index);
	tell_missed(subscriber, ret_missed);
	return 0;
}

/* By one whose cache is not at hand, or whose chunks are counted, traced or checked. */
static __attribute__((noinline)) int next_slowly(struct mempool_subscriber *subscriber,
						 const void **ret_chunk, size_t *ret_length,
						 uint64_t *ret_missed, int64_t timeout_ns,
						 const void *site)
{
	struct cache *cache = cache_get_quickly(subscriber->client);
	int r;

	if (!cache)
		return -errno;
	r = next(subscriber, cache->is_bounded ? cache : NULL, ret_chunk, ret_length, ret_missed,
		 timeout_ns);
	if (r == 0)
		arrive(*ret_chunk, site);
	return r;
}

PUBLIC int mempool_subscriber_next(struct mempool_subscriber *subscriber,
				   const void **ret_chunk, size_t *ret_length,
				   uint64_t *ret_missed, int64_t timeout_ns)
{
	if (!subscriber || !ret_chunk)
		return -EINVAL;
	if (unlikely(cache_plain(cache_current) != subscriber->client))
		return next_slowly(subscriber, ret_chunk, ret_length, ret_missed, timeout_ns,
				   CALL_SITE);
	return next(subscriber, NULL, ret_chunk, ret_length, ret_missed, timeout_ns);
}

/* ---- without holding them ---- */

/* How often one try of a copy loses its message before it looks at the clock. */
#define COPY_TURNS 64

static inline int peek_at_cursor(struct mempool_subscriber *subscriber)
{
	return peek_next(&subscriber->topic, &subscriber->cursor, &subscriber->n_missed,
			 &subscriber->peek);
}

/* As try_next_of_some(). */
static int peek_of_some(struct mempool_subscriber *subscriber)
{
	const struct peek *peek = &subscriber->peek;
	int r;

	if (subscriber->flags == MEMPOOL_SUBSCRIBE_NEWEST) {
		skip_older(subscriber);
		return peek_at_cursor(subscriber);
	}
	while ((r = peek_at_cursor(subscriber)) == 0 &&
	       own_has(subscriber->client, peek->slot.manager,
		       handle_make(word_generation(peek->word), peek->chunk.pool, peek->chunk.index)))
		subscriber->cursor++;
	return r;
}

/* The stamp is read as the content is: peek_verify() tells whose it was. */
static __attribute__((noinline)) int peek_not_plainly(struct mempool_subscriber *subscriber)
{
	const struct chunk_ref *chunk = &subscriber->peek.chunk;
	int r = subscriber->flags ? peek_of_some(subscriber) : peek_at_cursor(subscriber);

	subscriber->sent_ns = 0;
	if (subscriber->client->checker)
		checker_peeked(subscriber->client);
	if (r == 0 && topic_has_stamps(&subscriber->topic))
		subscriber->sent_ns = stamp_sent_ns(
			&subscriber->client->segment->pools[chunk->pool], chunk->index);
	return r;
}

static int try_peek(void *userdata)
{
	struct mempool_subscriber *subscriber = userdata;

	if (unlikely(!subscriber->peeks_plainly))
		return peek_not_plainly(subscriber);
	return peek_at_cursor(subscriber);
}

/* The same of one that waits; as in try_next(). */
static int try_peek_again(void *userdata)
{
	int r = try_peek(userdata);

	if (r < 0)
		show_cursor(userdata);
	return r;
}

/* A wait that writes nothing to the segment, after a try that found nothing. */
static int wait_and_look(struct mempool_subscriber *subscriber, wait_try_fn try, void *userdata,
			 int64_t timeout_ns)
{
	show_cursor(subscriber);
	return wait_on(&(struct wait_place){ .client = subscriber->client,
					     .look = subscriber->peeks,
					     .spins = true,
					     .n_wakes_seen = &subscriber->n_wakes_seen },
		       try, userdata, timeout_ns);
}

PUBLIC int mempool_subscriber_peek(struct mempool_subscriber *subscriber,
				   const void **ret_chunk, size_t *ret_length,
				   uint32_t *ret_tag, uint64_t *ret_missed, int64_t timeout_ns)
{
	int r;

	if (!subscriber || !ret_chunk)
		return -EINVAL;
	r = client_check(subscriber->client);
	if (r < 0)
		return r;
	subscriber->peeked = PEEKED_NONE;
	r = try_peek(subscriber);
	if (r == -EAGAIN)
		r = wait_and_look(subscriber, try_peek_again, subscriber, timeout_ns);
	if (r < 0)
		return r;

	subscriber->cursor++;
	subscriber->peeked = PEEKED_GOOD;
	*ret_chunk = peek_content(&subscriber->topic, &subscriber->peek);
	if (ret_length)
		*ret_length = subscriber->peek.length;
	if (ret_tag)
		*ret_tag = subscriber->peek.tag;
	tell_missed(subscriber, ret_missed);
	return 0;
}

PUBLIC int mempool_subscriber_verify(struct mempool_subscriber *subscriber)
{
	int r;

	if (!subscriber)
		return -EINVAL;
	r = client_check(subscriber->client);
	if (r < 0)
		return r;
	if (subscriber->peeked == PEEKED_NONE)
		return -EINVAL;
	if (subscriber->peeked == PEEKED_GOOD &&
	    !peek_verify(&subscriber->topic, &subscriber->peek)) {
		subscriber->peeked = PEEKED_STALE;
		subscriber->n_missed++;
	}
	return subscriber->peeked == PEEKED_GOOD ? 0 : -ESTALE;
}

/* One call of copy. */
struct copying {
	struct mempool_subscriber *subscriber;
	void *buffer;
	size_t size;
};

static int try_copy(void *userdata)
{
	struct copying *copying = userdata;
	struct mempool_subscriber *subscriber = copying->subscriber;

	/* Each further turn follows a publisher's step. */
	for (int i = 0; i < COPY_TURNS; i++) {
		int r = try_peek_again(subscriber);

		if (r < 0)
			return r;
		if (subscriber->peek.length > copying->size)
			return -EMSGSIZE;
		peek_copy(&subscriber->topic, &subscriber->peek, copying->buffer, copying->size);
		if (peek_verify(&subscriber->topic, &subscriber->peek)) {
			subscriber->cursor++;
			return 0;
		}
		/* The next turn finds it evicted, or damaged, and counts it as missed. */
	}
	return -EAGAIN;
}

PUBLIC int mempool_subscriber_copy(struct mempool_subscriber *subscriber, void *buffer,
				   size_t size_bytes, size_t *ret_length, uint32_t *ret_tag,
				   uint64_t *ret_missed, int64_t timeout_ns)
{
	struct copying copying = { subscriber, buffer, size_bytes };
	int r;

	if (!subscriber || (!buffer && size_bytes > 0))
		return -EINVAL;
	r = client_check(subscriber->client);
	if (r < 0)
		return r;
	/* It has the place of what was peeked. */
	subscriber->peeked = PEEKED_NONE;
	r = try_copy(&copying);
	if (r == -EAGAIN)
		r = wait_and_look(subscriber, try_copy, &copying, timeout_ns);
	if ((r == 0 || r == -EMSGSIZE) && ret_length)
		*ret_length = subscriber->peek.length;
	if (r < 0)
		return r;

	if (ret_tag)
		*ret_tag = subscriber->peek.tag;
	tell_missed(subscriber, ret_missed);
	return 0;
}

PUBLIC int mempool_subscriber_stamp(struct mempool_subscriber *subscriber, uint64_t *ret_sent_ns)
{
	int r = subscriber && ret_sent_ns ? client_check(subscriber->client) : -EINVAL;

	if (r < 0)
		return r;
	if (subscriber->sent_ns == 0)
		return -ENODATA;
	*ret_sent_ns = subscriber->sent_ns;
	return 0;
}
