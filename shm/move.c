/* SPDX-License-Identifier: MIT */
#include "move.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "chunk_manager.h"
#include "drain.h"
#include "eventcount.h"
#include "fence.h"
#include "queue.h"
#include "role.h"
#include "stamp.h"
#include "topic.h"

#define ME MEMPOOL_HOLDER_DAEMON_ID
#define HINTS 64			/* that are tried before the words are read */
#define PIECE_BYTES (UINT32_C(1) << 24)	/* of a copy, between two questions whether to go on */

/*
 * The journal is written by this process, or by one that has ended. J1 (release) pairs with
 * that end: a store is in the file only if all those before it in the program are, those into
 * the segments too.
 */
#define GET(field) atomic_load_explicit(&(field), memory_order_relaxed)
#define SET(field, value) atomic_store_explicit(&(field), value, memory_order_release)

/* ---- the journal ---- */

static void journal_write(struct move_journal *journal, const struct move_journal *entry)
{
	SET(journal->new_handle, GET(entry->new_handle));
	SET(journal->position, GET(entry->position));
	SET(journal->old_ring, GET(entry->old_ring));
	SET(journal->new_ring, GET(entry->new_ring));
	/* Last: from here on it counts. */
	SET(journal->old_handle, GET(entry->old_handle));
}

static void journal_clear(struct move_journal *journal)
{
	SET(journal->old_handle, 0);
}

/* What was published of topics counts for one segment: a new one has nothing of it. */
static void journal_begin(struct move *move)
{
	uint32_t n_rings = (uint32_t)move->from->config.n_rings;

	if (GET(move->journal->segment_id) == move->to->segment_id)
		return;
	for (uint32_t i = 0; i < n_rings; i++)
		SET(move->n_published[i], 0);
	SET(move->journal->segment_id, move->to->segment_id);
}

bool move_is_under_way(const struct move_journal *journal, uint64_t *ret_segment_id)
{
	*ret_segment_id = GET(journal->segment_id);
	return GET(journal->old_handle) != 0;
}

/* ---- a place ---- */

/* What a message needs of a pool. */
struct need {
	uint64_t size;
	uint64_t alignment;
	bool may_reserve;		/* as its sender could have it */
	bool shares;			/* a chunk that can be shared */
};

static uint64_t stride_of(const struct config_pool *pool)
{
	return (pool->chunk_size + pool->alignment - 1) & ~((uint64_t)pool->alignment - 1);
}

static bool suits(const struct config_pool *pool, const struct need *need)
{
	return pool->chunk_size >= need->size && stride_of(pool) % need->alignment == 0 &&
	       (need->may_reserve || !pool->is_reserve) &&
	       !(need->shares && pool->is_exclusive);
}

/*
 * As a chunk of its pool was aligned, so is the new one, if the new shape has any that is and is
 * large enough; if not, nobody there can ask for it. What was sent in a chunk of a reserve may take
 * one of a reserve. What a topic keeps is shared there, too.
 */
static struct need need_of(const struct config *to, uint64_t length,
			   const struct config_pool *pool, bool is_kept)
{
	struct need need = {
		.size = length,
		.alignment = pool->alignment,
		.may_reserve = pool->is_reserve,
		.shares = is_kept,
	};

	for (size_t i = 0; i < to->n_pools; i++)
		if (suits(&to->pools[i], &need))
			return need;
	need.alignment = 1;
	return need;
}

static bool comes_before(const struct config *to, int i, int other)
{
	const struct config_pool *a = &to->pools[i], *b = &to->pools[other];

	if (a->chunk_size != b->chunk_size)
		return a->chunk_size < b->chunk_size;
	return a->is_reserve != b->is_reserve ? b->is_reserve : i < other;
}

/*
 * The pools that an allocation tries, in its order: of the smallest size, its reserves last, and
 * larger ones if the segment says so. last: the one before, or -1. Return: -1: none.
 */
static int next_pool(const struct config *to, const struct need *need, int last)
{
	int best = -1;

	for (int i = 0; i < (int)to->n_pools; i++)
		if (suits(&to->pools[i], need) && (last < 0 || comes_before(to, last, i)) &&
		    (best < 0 || comes_before(to, i, best)))
			best = i;
	if (best >= 0 && last >= 0 && !to->fallback &&
	    to->pools[best].chunk_size > to->pools[last].chunk_size)
		return -1;
	return best;
}

/* The first of these. Of a size that shares, an allocation goes on to those alone that share, too. */
static int first_pool(const struct config *to, struct need *need)
{
	int first = next_pool(to, need, -1);

	if (first >= 0)
		need->shares = !to->pools[first].is_exclusive;
	return first;
}

/* Read the words once, from where the last reading ended. */
static int claim_by_words(struct move *move, const struct pool *pool, uint32_t *ret_index)
{
	uint32_t *next = &move->next[pool->id];

	for (uint32_t n = 0; n < pool->n_chunks; n++) {
		*next = *next + 1 < pool->n_chunks ? *next + 1 : 0;
		if (pool_claim_any(pool, *next, ME) == 0) {
			*ret_index = *next;
			return 0;
		}
	}
	return -EAGAIN;
}

static int claim(struct move *move, const struct pool *pool, uint32_t *ret_index)
{
	uint32_t start = 0;

	for (int i = 0; i < HINTS && free_list_pop(&pool->list, &start, ret_index, 1) > 0; i++)
		if (pool_claim(pool, *ret_index, ME) == 0)
			return 0;
	return claim_by_words(move, pool, ret_index);
}

/* Give back what is OWNED by us, unless a hostile client has it. */
static void give_back(const struct pool *pool, uint32_t index)
{
	if (pool_release_checked(pool, index, ME) == 0)
		pool_hint(pool, index);
}

/* Who polls needs a word of the daemon's besides, and stays armed for it. */
static void wake(struct mempool_eventcount *eventcount)
{
	if (eventcount_is_armed(eventcount))
		eventcount_move(eventcount);
}

/* ---- one message: the copy ---- */

/* Return: 0; -EMSGSIZE no pool suits; -EAGAIN no chunk is free. */
static int claim_chunk(struct move *move, uint64_t length, const struct config_pool *old,
		       bool is_kept, struct chunk_ref *ret_chunk)
{
	const struct config *shape = &move->to->config;
	struct need need = need_of(shape, length, old, is_kept);
	int i = first_pool(shape, &need);

	if (i < 0)
		return -EMSGSIZE;
	for (; i >= 0; i = next_pool(shape, &need, i)) {
		ret_chunk->pool = (uint32_t)i;
		if (claim(move, &move->to->pools[i], &ret_chunk->index) == 0)
			return 0;
	}
	return -EAGAIN;
}

/* Return: whether it came to the end. */
static bool copy_content(const struct move *move, unsigned char *to, const unsigned char *from,
			 uint32_t length)
{
	uint32_t n;

	for (; length > 0; length -= n, to += n, from += n) {
		n = length < PIECE_BYTES ? length : PIECE_BYTES;
		memcpy(to, from, n);
		if (!move->may_go_on(move->userdata))
			return false;
	}
	return move->may_go_on(move->userdata);
}

/*
 * A chunk of the new segment, ours, with all that the old one has; is_kept: by a topic. Return: as
 * claim_chunk(); -EBADMSG its length is none; -ECANCELED it is not to go on.
 */
static int copy(struct move *move, struct chunk_ref from, bool is_kept,
		struct chunk_ref *ret_chunk)
{
	const struct pool *old_pool = &move->from->pools[from.pool], *pool;
	const struct mempool_entry *old = &old_pool->entries[from.index];
	/* Relaxed, all of it: who wrote it has ended; what an enemy writes has no order. */
	uint32_t length = atomic_load_explicit(&old->length, memory_order_relaxed);
	struct mempool_entry *entry;
	int r;

	if (length > old_pool->chunk_size)
		return -EBADMSG;
	r = claim_chunk(move, length, &move->from->config.pools[from.pool], is_kept, ret_chunk);
	if (r < 0)
		return r;
	pool = &move->to->pools[ret_chunk->pool];
	entry = &pool->entries[ret_chunk->index];
	/* K1 (release fence) pairs with K2 in peek_verify(), as for who allocates. */
	fence_release();
	atomic_store_explicit(&entry->length, length, memory_order_relaxed);
	atomic_store_explicit(&entry->tag, atomic_load_explicit(&old->tag, memory_order_relaxed),
			      memory_order_relaxed);
	if (copy_content(move, pool_chunk(pool, ret_chunk->index),
			 pool_chunk(old_pool, from.index), length))
		return 0;
	give_back(pool, ret_chunk->index);
	return -ECANCELED;
}

/* A new message is as old as the one that it is a copy of. Nobody has received it yet. */
static void copy_stamp(const struct move *move, bool had_stamp, struct chunk_ref from,
		       struct chunk_ref to, uint32_t generation)
{
	uint64_t sent_ns = 0;

	if (had_stamp)
		sent_ns = stamp_sent_ns(&move->from->pools[from.pool], from.index);
	stamp_put(&move->to->pools[to.pool], to.index, sent_ns, generation);
}

/* ---- queues ---- */

/*
 * OWNED(me) -> SENT(queue, me): nobody has the handle yet. G1 (release) pairs with G2 of the
 * receiver. false: a hostile client has taken the chunk.
 */
static bool seal(const struct pool *pool, uint32_t index, const struct queue *queue,
		 uint64_t *ret_sent)
{
	_Atomic uint64_t *word = &pool->entries[index].word;
	uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);

	*ret_sent = word_sent(seen, queue->id, ME);
	return word_is_owned_by(seen, ME) &&
	       atomic_compare_exchange_strong_explicit(word, &seen, *ret_sent,
						       memory_order_release,
						       memory_order_relaxed);
}

static int push(struct queue *queue, uint64_t handle)
{
	int r;

	if (!queue->has_one_sender)
		return queue_push(queue, handle);
	r = queue_room_alone(queue);
	if (r == 0)
		queue_push_alone(queue, handle);
	return r;
}

/* Return: 0; as copy(); -ENOSPC the queue is full; -EUCLEAN it is damaged. */
static int move_one(struct move *move, const struct queue *from, struct queue *to, uint64_t handle)
{
	const struct chunk_ref old = { handle_pool(handle), handle_index(handle) };
	struct move_journal entry = {
		.old_handle = handle,
		.old_ring = from->id - 1,
		.new_ring = to->id - 1,
	};
	struct chunk_ref chunk;
	uint64_t sent, new;
	int r;

	r = copy(move, old, false, &chunk);
	if (r < 0)
		return r;
	if (!seal(&move->to->pools[chunk.pool], chunk.index, to, &sent))
		return -EAGAIN;
	if (to->has_stamps)
		copy_stamp(move, from->has_stamps, old, chunk, word_next_generation(sent));
	new = handle_make(word_generation(sent), chunk.pool, chunk.index);
	atomic_init(&entry.new_handle, new);
	journal_write(move->journal, &entry);
	r = push(to, new);
	if (r < 0) {
		/* First the journal: a chunk that is no longer ours counts as published. */
		journal_clear(move->journal);
		queue_drop(to, new);
		return r == -EAGAIN ? -ENOSPC : -EUCLEAN;
	}
	wake(&to->ring->filled);
	queue_drop(from, handle);
	journal_clear(move->journal);
	return 0;
}

static void say(char *why, int error, const char *kind, const char *name)
{
	/* The first one is told. */
	if (why[0])
		return;
	switch (error) {
	case -ENOENT:
		snprintf(why, MOVE_WHY_BYTES, "there is no %s '%s' any more", kind, name);
		break;
	case -EMSGSIZE:
		snprintf(why, MOVE_WHY_BYTES, "no pool%s is large enough for one in %s '%s'",
			 strcmp(kind, "topic") == 0 ? " that shares" : "", kind, name);
		break;
	case -ENOSPC:
		snprintf(why, MOVE_WHY_BYTES, "%s '%s' is full", kind, name);
		break;
	case -EXDEV:
		snprintf(why, MOVE_WHY_BYTES, "messages in slots of %s '%s' do not move", kind, name);
		break;
	case -ENOTSUP:
		snprintf(why, MOVE_WHY_BYTES, "%s '%s' takes no chunks any more", kind, name);
		break;
	case -EBUSY:
		snprintf(why, MOVE_WHY_BYTES, "%s '%s' has one sender, and a client is that", kind,
			 name);
		break;
	case -EUCLEAN:
		snprintf(why, MOVE_WHY_BYTES, "%s '%s' is damaged", kind, name);
		break;
	default:
		snprintf(why, MOVE_WHY_BYTES, "no chunk is free for one in %s '%s'", kind, name);
	}
}

/* A message without a place. Return: whether it is gone, and the next one is to be tried. */
static bool discard(const struct move *move, const struct queue *queue, uint64_t handle, int error,
		    struct move_counts *counts)
{
	if (error == -EBADMSG)
		counts->n_damaged += queue_drop(queue, handle);
	else if (move->discards)
		counts->n_discarded += queue_drop(queue, handle);
	else
		return false;
	return true;
}

/*
 * A queue of the new segment that has one sender has us as long as we move to it. Its role may be that of a
 * daemon before us, which was killed over it. Return: 0; -ENOENT there is none; -ENOTSUP its messages stand in
 * its slots; -EBUSY a client has the role: so there is no place, either.
 */
static int begin_sending(const struct move *move, const char *name, struct queue *to)
{
	int found = queue_find(move->to, name, MEMPOOL_RING_QUEUE);

	if (found < 0)
		return found;
	if (queue_view(to, move->to, (uint32_t)found) < 0)
		return -ENOTSUP;
	/* We are not registered for membarrier. */
	to->orders_itself = true;
	if (!to->has_one_sender)
		return 0;
	if (role_take(to->ring, MEMPOOL_END_SENDER, role_word_of(move->to, ME)) < 0 &&
	    role_look(to->ring, MEMPOOL_END_SENDER) != role_word_of(move->to, ME))
		return -EBUSY;
	queue_begin_sending(to);
	return 0;
}

/* Who was told meanwhile that somebody has the role may look again. Return: whether we had it. */
static bool end_sending(const struct queue *to)
{
	if (!to->has_one_sender)
		return false;
	role_give_back(to->ring, MEMPOOL_END_SENDER, role_word_of(to->segment, ME));
	/* It has not armed, but looks at the sequence. */
	eventcount_move(&to->ring->emptied);
	return true;
}

/* Messages that stand in slots: they wait until they are received, which nobody does here, or discarded. */
static void keep_bytes(const struct move *move, struct queue *from, struct move_counts *counts, char *why)
{
	uint64_t head, end;

	bytes_ends(from, &head, &end);
	if (head == end)
		return;
	if (move->discards)
		counts->n_discarded += bytes_drop_all(from);
	else
		say(why, -EXDEV, "queue", move->from->config.rings[from->id - 1].name);
}

/* Return: 0; -ECANCELED. */
static int move_queue(struct move *move, uint32_t ring, struct move_counts *counts, char *why)
{
	const struct config_ring *shape = &move->from->config.rings[ring];
	struct queue from, to;
	/* Not before there is something: a client may want the role meanwhile. */
	int begun = -EINPROGRESS, r = 0;
	uint64_t head;

	queue_view_any(&from, move->from, ring);
	if (from.slot_bytes > 0) {
		keep_bytes(move, &from, counts, why);
		return 0;
	}
	head = queue_head(&from);
	for (uint64_t at = head; at - head <= from.mask; at++) {
		bool is_damaged;
		uint64_t handle = queue_peek(&from, at, &is_damaged);

		counts->n_damaged += is_damaged;
		if (handle == 0)
			continue;
		if (begun == -EINPROGRESS)
			begun = begin_sending(move, shape->name, &to);
		r = begun < 0 ? begun : move_one(move, &from, &to, handle);
		counts->n_moved += r == 0;
		if (r == 0 || (r != -ECANCELED && discard(move, &from, handle, r, counts)))
			continue;
		/* Those behind it wait as well: they are to stay behind it. */
		break;
	}
	if (begun == 0)
		counts->gave_role_back |= end_sending(&to);
	if (r < 0 && r != -ECANCELED && r != -EBADMSG && !move->discards)
		say(why, r, "queue", shape->name);
	return r == -ECANCELED ? r : 0;
}

/* ---- topics ---- */

/* A message of a topic, and its copy; new.pool NONE: it has none yet. */
struct kept {
	uint64_t handle;		/* of the old chunk */
	struct chunk_ref old;
	struct chunk_ref new;
	uint32_t manager;		/* of the new one */
};

/* Let go of what an old slot keeps. */
static void drop_kept(const struct topic *from, uint64_t position)
{
	uint32_t manager = topic_empty(from, position & (from->capacity - 1));

	if (manager != TOPIC_NO_MANAGER)
		chunk_manager_collect(from->segment, manager, ME);
}

/* The chunk of a manager that a topic keeps. false: it is not SHARED by it. */
static bool find_kept(const struct segment *segment, uint32_t manager, struct kept *ret_kept)
{
	struct chunk_ref *chunk = &ret_kept->old;
	uint64_t word;

	if (!chunk_manager_chunk(segment, manager, chunk))
		return false;
	word = atomic_load_explicit(&segment->pools[chunk->pool].entries[chunk->index].word,
				    memory_order_seq_cst);
	ret_kept->handle = handle_make(word_generation(word), chunk->pool, chunk->index);
	ret_kept->new.pool = MEMPOOL_POOL_NONE;
	return word_kind(word) == MEMPOOL_SHARED && word_value(word) == manager;
}

/* All positions of a topic of which something is kept, oldest first; what is none is dropped. */
static uint64_t list_kept(const struct topic *from, struct kept *kept, uint64_t *positions,
			  struct move_counts *counts)
{
	uint64_t begin = topic_begin(from), n = 0;

	for (uint64_t at = begin; at - begin < from->capacity; at++) {
		uint32_t manager = topic_peek(from, at);

		if (manager == TOPIC_NO_MANAGER)
			continue;
		if (find_kept(from->segment, manager, &kept[n])) {
			positions[n++] = at;
		} else {
			counts->n_damaged++;
			drop_kept(from, at);
		}
	}
	return n;
}

/* Return: 0; as copy(). */
static int copy_kept(struct move *move, struct kept *kept)
{
	const struct pool *managers = segment_managers(move->to);
	struct chunk_ref chunk;
	int r;

	r = copy(move, kept->old, true, &chunk);
	if (r < 0)
		return r;
	r = claim(move, managers, &kept->manager);
	if (r < 0)
		give_back(&move->to->pools[chunk.pool], chunk.index);
	else
		kept->new = chunk;
	return r;
}

static void give_back_kept(const struct move *move, const struct kept *kept)
{
	if (kept->new.pool == MEMPOOL_POOL_NONE)
		return;
	give_back(segment_managers(move->to), kept->manager);
	give_back(&move->to->pools[kept->new.pool], kept->new.index);
}

/* Share the copy with the topic. false: a hostile client has taken it. */
static bool share_kept(const struct move *move, const struct topic *to, const struct kept *kept,
		       uint64_t *ret_handle)
{
	const struct pool *pool = &move->to->pools[kept->new.pool];
	uint64_t word = atomic_load_explicit(&pool->entries[kept->new.index].word,
					     memory_order_relaxed);

	*ret_handle = handle_make(word_generation(word), kept->new.pool, kept->new.index);
	return word_is_owned_by(word, ME) &&
	       chunk_manager_share(move->to, kept->new, kept->manager, ME, to->holder, &word) == 0;
}

/* Return: 0; -ESTALE somebody else has published there. */
static int publish_kept(struct move *move, const struct topic *from, const struct topic *to,
			uint64_t position, const struct kept *kept)
{
	_Atomic uint32_t *n_published = &move->n_published[from->ring_index];
	struct move_journal entry = {
		.old_handle = kept->handle,
		.position = GET(*n_published),
		.old_ring = from->ring_index,
		.new_ring = to->ring_index,
	};
	bool is_shared;
	struct topic_slot slot;
	uint64_t new;
	int r = -ESTALE;

	is_shared = share_kept(move, to, kept, &new);
	if (is_shared) {
		if (topic_has_stamps(to))
			copy_stamp(move, topic_has_stamps(from), kept->old, kept->new,
				   handle_generation(new));
		topic_unused(to, GET(entry.position), &slot);
		atomic_init(&entry.new_handle, new);
		journal_write(move->journal, &entry);
		if (topic_put(to, &slot, kept->manager)) {
			wake(&to->ring->filled);
			drop_kept(from, position);
			SET(*n_published, (uint32_t)GET(entry.position) + 1);
			r = 0;
		}
		journal_clear(move->journal);
	}
	chunk_manager_clear(move->to, kept->manager, ME);
	chunk_manager_collect(move->to, kept->manager, ME);
	if (!is_shared)
		give_back(segment_managers(move->to), kept->manager);
	return r;
}

/* Whether nobody but us has published in the new topic, and there is place for so many. */
static bool is_ours_alone(const struct topic *to, uint64_t n_published)
{
	struct topic_slot slot;

	topic_unused(to, n_published, &slot);
	return n_published < to->capacity && topic_is_same(to, &slot);
}

/* All copies, then one after the other. Return: 0; as copy(). */
static int move_kept(struct move *move, const struct topic *from, const struct topic *to,
		     const uint64_t *positions, struct kept *kept, uint64_t n,
		     struct move_counts *counts)
{
	uint64_t i, n_published = 0;
	int r = 0;

	for (i = 0; i < n && r == 0; i++) {
		r = copy_kept(move, &kept[i]);
		if (r == -EBADMSG) {
			counts->n_damaged++;
			drop_kept(from, positions[i]);
			r = 0;
		}
	}
	for (i = 0; i < n && r == 0; i++) {
		if (kept[i].new.pool == MEMPOOL_POOL_NONE)
			continue;
		r = publish_kept(move, from, to, positions[i], &kept[i]);
		n_published += r == 0;
		kept[i].new.pool = MEMPOOL_POOL_NONE;
	}
	for (i = 0; i < n; i++)
		give_back_kept(move, &kept[i]);
	counts->n_moved += n_published;
	return r;
}

static void evict(const struct topic *from, struct move_counts *counts)
{
	uint64_t n_freed;

	counts->n_evicted += drain_topic(from, ME, &n_freed);
}

static int move_listed(struct move *move, const struct topic *from, const struct topic *to,
		       struct kept *kept, uint64_t *positions, struct move_counts *counts)
{
	uint64_t n = list_kept(from, kept, positions, counts), skipped = 0;
	uint64_t room = to->capacity - GET(move->n_published[from->ring_index]);

	/* The oldest go first, as they would have gone there. */
	if (n > room)
		skipped = n - room;
	for (uint64_t i = 0; i < skipped; i++)
		drop_kept(from, positions[i]);
	counts->n_evicted += skipped;
	return move_kept(move, from, to, positions + skipped, kept + skipped, n - skipped, counts);
}

static uint64_t count_kept(const struct topic *topic)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < topic->capacity; i++)
		n += topic_peek(topic, i) != TOPIC_NO_MANAGER;
	return n;
}

static uint64_t count_sent(const struct queue *queue)
{
	bool is_damaged;
	uint64_t n = 0, head, end;

	if (queue->slot_bytes > 0) {
		bytes_ends(queue, &head, &end);
		return end - head;
	}
	for (uint64_t i = 0; i <= queue->mask; i++)
		n += queue_peek(queue, i, &is_damaged) != 0;
	return n;
}

uint64_t move_count(const struct segment *from, uint64_t *ret_kept)
{
	struct queue queue;
	struct topic topic;
	uint64_t n = 0;

	*ret_kept = 0;
	for (uint32_t i = 0; i < from->config.n_rings; i++)
		if (queue_view_any(&queue, from, i) == 0)
			n += count_sent(&queue);
		else if (topic_view(&topic, from, i) == 0)
			*ret_kept += count_kept(&topic);
	return n;
}

/* Return: 0; as copy(); -ENOMEM. */
static int move_to_topic(struct move *move, const struct topic *from, const char *name,
			 struct move_counts *counts)
{
	int ring = queue_find(move->to, name, MEMPOOL_RING_TOPIC), r;
	uint64_t *positions, n = count_kept(from);
	struct kept *kept;
	struct topic to;

	if (n == 0)
		return 0;
	if (ring >= 0)
		topic_view(&to, move->to, (uint32_t)ring);
	if (ring < 0 || (move->is_outdated && move->is_outdated[from->ring_index]) ||
	    !is_ours_alone(&to, GET(move->n_published[from->ring_index]))) {
		evict(from, counts);
		return 0;
	}
	kept = calloc(from->capacity, sizeof(*kept));
	positions = calloc(from->capacity, sizeof(*positions));
	r = kept && positions ? move_listed(move, from, &to, kept, positions, counts) : -ENOMEM;
	free(kept);
	free(positions);
	if (r == -ESTALE) {
		evict(from, counts);
		r = 0;
	}
	return r;
}

/* Return: 0; -ECANCELED. */
static int move_topic(struct move *move, uint32_t ring, struct move_counts *counts, char *why)
{
	const char *name = move->from->config.rings[ring].name;
	struct topic from;
	uint64_t n_freed;
	int r;

	topic_view(&from, move->from, ring);
	r = move_to_topic(move, &from, name, counts);
	if (r == 0 || r == -ECANCELED)
		return r;
	if (move->discards)
		counts->n_discarded += drain_topic(&from, ME, &n_freed);
	else
		say(why, r, "topic", name);
	return 0;
}

/* ---- all ---- */

bool move_all(struct move *move, struct move_counts *ret_counts,
	      char ret_why[static MOVE_WHY_BYTES])
{
	uint64_t n_kept;
	int r = 0;

	*ret_counts = (struct move_counts){ .n_moved = 0 };
	ret_why[0] = '\0';
	journal_begin(move);
	for (uint32_t i = 0; i < move->from->config.n_rings && r == 0; i++)
		r = move->from->config.rings[i].kind == MEMPOOL_RING_QUEUE
			    ? move_queue(move, i, ret_counts, ret_why)
			    : move_topic(move, i, ret_counts, ret_why);
	ret_counts->n_waiting = move_count(move->from, &n_kept);
	ret_counts->n_waiting += n_kept;
	return r == 0 && move->may_go_on(move->userdata);
}

/* ---- recover ---- */

/* Only after the ring can the word tell: what was received has left neither behind. */
static bool was_sent(const struct segment *to, uint32_t ring, uint64_t handle)
{
	uint32_t pool = handle_pool(handle), index = handle_index(handle);
	struct queue queue;

	if (queue_view(&queue, to, ring) < 0 || pool >= to->n_pools ||
	    index >= to->pools[pool].n_chunks)
		return false;
	return queue_has(&queue, handle) ||
	       atomic_load_explicit(&to->pools[pool].entries[index].word, memory_order_seq_cst) !=
		       word_make(handle_generation(handle), MEMPOOL_SENT, queue.id << 15 | ME);
}

static bool was_published(const struct segment *to, uint32_t ring, uint64_t position)
{
	struct topic topic;

	return topic_view(&topic, to, ring) == 0 && !is_ours_alone(&topic, position);
}

/* The old message of a topic, by its handle. */
static void drop_by_handle(const struct topic *from, uint64_t handle)
{
	struct kept kept;

	for (uint64_t i = 0; i < from->capacity; i++) {
		uint32_t manager = topic_peek(from, i);

		if (manager != TOPIC_NO_MANAGER && find_kept(from->segment, manager, &kept) &&
		    kept.handle == handle)
			drop_kept(from, i);
	}
}

/* Whether what stands at the journal's place is what was to be published there. */
static bool is_ours(const struct segment *to, const struct move_journal *journal)
{
	uint64_t position = GET(journal->position);
	struct topic topic;
	struct kept kept;
	uint32_t manager;

	if (topic_view(&topic, to, GET(journal->new_ring)) < 0)
		return false;
	manager = topic_peek(&topic, position);
	return manager != TOPIC_NO_MANAGER && topic_holds(&topic, (uint32_t)position, manager) &&
	       find_kept(to, manager, &kept) && kept.handle == GET(journal->new_handle);
}

static void finish(struct segment *from, const struct segment *to, struct move_journal *journal,
		   _Atomic uint32_t *n_published)
{
	uint32_t ring = GET(journal->old_ring);
	struct queue queue;
	struct topic topic;

	if (queue_view(&queue, from, ring) == 0) {
		queue_drop(&queue, GET(journal->old_handle));
	} else if (topic_view(&topic, from, ring) == 0) {
		drop_by_handle(&topic, GET(journal->old_handle));
		SET(n_published[ring], is_ours(to, journal) ? (uint32_t)GET(journal->position) + 1
							    : UINT32_MAX);
	}
}

bool move_recover(struct segment *from, struct segment *to, struct move_journal *journal,
		  _Atomic uint32_t *n_published)
{
	uint32_t ring = GET(journal->new_ring);
	bool is_over;

	is_over = from && to && (was_sent(to, ring, GET(journal->new_handle)) ||
				 was_published(to, ring, GET(journal->position)));
	if (is_over)
		finish(from, to, journal, n_published);
	/* Undone, the new chunk is still the dead daemon's. */
	journal_clear(journal);
	return is_over;
}

/* ---- foresee ---- */

/* A new segment, as it fills. */
struct prospect {
	const struct segment *from;
	const struct config *to;
	uint64_t n_free[MEMPOOL_MAX_DATA_POOLS];
	struct move_counts *counts;
	char *why;
};

static int foresee_one(struct prospect *prospect, struct chunk_ref chunk, bool is_kept)
{
	const struct pool *pool = &prospect->from->pools[chunk.pool];
	struct need need = need_of(prospect->to, pool_length(pool, chunk.index),
				   &prospect->from->config.pools[chunk.pool], is_kept);
	int i = first_pool(prospect->to, &need);

	if (i < 0)
		return -EMSGSIZE;
	for (; i >= 0; i = next_pool(prospect->to, &need, i)) {
		if (prospect->n_free[i] == 0)
			continue;
		prospect->n_free[i]--;
		return 0;
	}
	return -EAGAIN;
}

static const struct config_ring *find_ring(const struct config *to, const struct config_ring *ring)
{
	for (size_t i = 0; i < to->n_rings; i++)
		if (to->rings[i].kind == ring->kind && strcmp(to->rings[i].name, ring->name) == 0)
			return &to->rings[i];
	return NULL;
}

static void foresee_queue(struct prospect *prospect, uint32_t ring)
{
	const struct config_ring *shape = &prospect->from->config.rings[ring], *found = NULL;
	uint64_t head, n = 0;
	struct queue queue;
	int r = 0;

	queue_view_any(&queue, prospect->from, ring);
	if (queue.slot_bytes > 0) {
		n = count_sent(&queue);
		prospect->counts->n_waiting += n;
		if (n > 0)
			say(prospect->why, -EXDEV, "queue", shape->name);
		return;
	}
	head = queue_head(&queue);
	for (uint64_t at = head; at - head <= queue.mask; at++) {
		bool is_damaged;
		uint64_t handle = queue_peek(&queue, at, &is_damaged);

		if (handle == 0)
			continue;
		if (n++ == 0)
			found = find_ring(prospect->to, shape);
		if (r == 0 && !found)
			r = -ENOENT;
		if (r == 0 && found->slot_bytes > 0)
			r = -ENOTSUP;
		if (r == 0 && n > found->capacity)
			r = -ENOSPC;
		if (r == 0)
			r = foresee_one(prospect, (struct chunk_ref){ handle_pool(handle),
								      handle_index(handle) }, false);
		prospect->counts->n_moved += r == 0;
		prospect->counts->n_waiting += r < 0;
	}
	if (r < 0)
		say(prospect->why, r, "queue", shape->name);
}

static int foresee_kept(struct prospect *prospect, const struct topic *topic, uint64_t n)
{
	const struct config_ring *shape = &prospect->from->config.rings[topic->ring_index];
	const struct config_ring *found = find_ring(prospect->to, shape);
	uint64_t skipped, begin = topic_begin(topic);
	struct kept kept;
	int r = 0;

	if (!found) {
		prospect->counts->n_evicted += n;
		return 0;
	}
	skipped = n > found->capacity ? n - found->capacity : 0;
	prospect->counts->n_evicted += skipped;
	for (uint64_t at = begin; at - begin < topic->capacity && r == 0; at++) {
		uint32_t manager = topic_peek(topic, at);

		if (manager == TOPIC_NO_MANAGER || !find_kept(prospect->from, manager, &kept))
			continue;
		if (skipped > 0)
			skipped--;
		else
			r = foresee_one(prospect, kept.old, true);
	}
	return r;
}

static void foresee_topic(struct prospect *prospect, uint32_t ring)
{
	struct move_counts *counts = prospect->counts;
	uint64_t n, evicted = counts->n_evicted;
	struct topic topic;
	int r;

	topic_view(&topic, prospect->from, ring);
	n = count_kept(&topic);
	if (n == 0)
		return;
	r = foresee_kept(prospect, &topic, n);
	if (r < 0) {
		say(prospect->why, r, "topic", prospect->from->config.rings[ring].name);
		counts->n_evicted = evicted;
		counts->n_waiting += n;
	} else {
		counts->n_moved += n - (counts->n_evicted - evicted);
	}
}

void move_foresee(const struct segment *from, const struct config *to,
		  struct move_counts *ret_counts, char ret_why[static MOVE_WHY_BYTES])
{
	struct prospect prospect = {
		.from = from,
		.to = to,
		.counts = ret_counts,
		.why = ret_why,
	};

	*ret_counts = (struct move_counts){ .n_moved = 0 };
	ret_why[0] = '\0';
	for (size_t i = 0; i < to->n_pools; i++)
		prospect.n_free[i] = to->pools[i].n_chunks;
	for (uint32_t i = 0; i < from->config.n_rings; i++)
		if (from->config.rings[i].kind == MEMPOOL_RING_QUEUE)
			foresee_queue(&prospect, i);
		else
			foresee_topic(&prospect, i);
}
