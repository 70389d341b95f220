/* SPDX-License-Identifier: MIT */
#include "reap.h"

#include <errno.h>
#include <stdlib.h>

#include "chunk_manager.h"
#include "end.h"
#include "history.h"
#include "queue.h"
#include "role.h"
#include "stamp.h"

#define LEAF_BITS 64

/* What takes as long as so many words: a system call, with whom it wakes. */
#define WAKE_WORDS 512

/* And so many sharers of a ChunkManager. */
#define MANAGER_SHARERS 512

/* So many slots of a queue, or poller words, between two looks at what was done. */
#define STRETCH 64

int reap_init(struct reap *reap, struct segment *segment)
{
	*reap = (struct reap){
		.segment = segment,
		.pool = segment->n_pools,	/* the managers first */
		.dead = calloc(segment->n_holders / 64, sizeof(uint64_t)),
		.walked = calloc(segment->config.n_rings / 64 + 1, sizeof(uint64_t)),
	};
	if (reap->dead && reap->walked)
		return 0;
	reap_deinit(reap);
	return -ENOMEM;
}

void reap_deinit(struct reap *reap)
{
	free(reap->dead);
	free(reap->walked);
	free(reap->retired);
	reap->dead = reap->walked = reap->retired = NULL;
}

int reap_renew_lanes(struct reap *reap)
{
	reap->retired = calloc(reap->segment->lanes.n / 64 + 1, sizeof(uint64_t));
	return reap->retired ? 0 : -ENOMEM;
}

void reap_add(struct reap *reap, uint32_t holder)
{
	if (holder == MEMPOOL_HOLDER_NONE || holder >= reap->segment->n_holders)
		return;
	reap->dead[holder / 64] |= UINT64_C(1) << holder % 64;
	reap->any_dead = holder;
}

bool reap_has(const struct reap *reap, uint32_t holder)
{
	return holder < reap->segment->n_holders &&
	       (reap->dead[holder / 64] >> holder % 64 & 1);
}

/* ---- lanes ---- */

/*
 * Those of the dead, before all words: what is free for them is everybody's from then on. All that
 * nobody has get their hints again. As many as a leaf of their list has.
 */
static uint32_t reap_lanes(struct reap *reap)
{
	const struct lanes *lanes = &reap->segment->lanes;
	uint32_t first = reap->lane;
	uint64_t vacant = 0;

	for (; reap->lane < lanes->n && reap->lane < first + LEAF_BITS; reap->lane++) {
		/* Relaxed: only the dead have written their names, and they are dead. */
		uint32_t owner = atomic_load_explicit(&lanes->records[reap->lane].owner,
						      memory_order_relaxed);

		if (owner != MEMPOOL_HOLDER_NONE && reap_has(reap, owner))
			lane_end(lanes, reap->lane, owner);
		if (lane_is_vacant(lanes, reap->lane))
			vacant |= UINT64_C(1) << reap->lane % LEAF_BITS;
		if (reap->retired && lane_waits_for_sweep(lanes, reap->lane))
			reap->retired[reap->lane / 64] |= UINT64_C(1) << reap->lane % 64;
	}
	/* Always, as set_hints(). */
	if (vacant != 0)
		free_list_push_mask(&lanes->list, first / LEAF_BITS, vacant);
	return LEAF_BITS;
}

static bool is_retired(const struct reap *reap, uint32_t lane)
{
	return reap->retired && (reap->retired[lane / 64] >> lane % 64 & 1);
}

/* After all words. */
static uint32_t renew_lanes(struct reap *reap)
{
	uint32_t n = 0;

	for (; n < STRETCH && reap->renewed < reap->segment->lanes.n; n++, reap->renewed++)
		if (is_retired(reap, reap->renewed))
			lane_renew(&reap->segment->lanes, reap->renewed);
	return n;
}

/* ---- queues ---- */

static bool is_sent_by_dead(const struct reap *reap, uint64_t word)
{
	return word_kind(word) == MEMPOOL_SENT && reap_has(reap, word_sent_sender(word));
}

/* Whether it cannot be told yet if a word was published. Then the walk of its queue begins. */
static bool begin_walk(struct reap *reap, uint64_t word)
{
	const struct config *config = &reap->segment->config;
	uint32_t ring = word_sent_queue(word) - 1;

	if (!is_sent_by_dead(reap, word) || ring >= config->n_rings ||
	    config->rings[ring].kind != MEMPOOL_RING_QUEUE || config->rings[ring].slot_bytes > 0 ||
	    (reap->walked[ring / 64] >> ring % 64 & 1))
		return false;
	reap->walks = ring + 1;
	return true;
}

/* A message outlives its sender, whose id will be another's. */
static void take_name_out(const struct reap *reap, const struct queue *queue, uint64_t slot)
{
	_Atomic uint64_t *word;
	uint64_t seen, next;

	if (!queue_message_at(queue, slot, &word, &seen) || !is_sent_by_dead(reap, seen))
		return;
	/* The same incarnation: the handle in the slot must still fit. */
	next = word_make(word_generation(seen), MEMPOOL_SENT, word_sent_queue(seen) << 15);
	/* seq_cst, as in queue.c. A failed swap is a receiver, who has it then. */
	atomic_compare_exchange_strong_explicit(word, &seen, next, memory_order_seq_cst,
						memory_order_relaxed);
}

static uint32_t walk_on(struct reap *reap)
{
	uint32_t ring = reap->walks - 1, n = 0;
	struct queue queue;

	queue_view(&queue, reap->segment, ring);
	for (; n < STRETCH && reap->place <= queue.mask; n++)
		take_name_out(reap, &queue, reap->place++);
	if (reap->place > queue.mask) {
		reap->walked[ring / 64] |= UINT64_C(1) << ring % 64;
		reap->walks = 0;
		reap->place = 0;
	}
	return 2 * n;
}

/* ---- words ---- */

/*
 * Whether a word is FREE for a life of a lane that is over. Where another sweep has begun a new life
 * meanwhile, the word may be of that, and the lane's thread about to claim it by a store.
 */
static bool outlives_lane(const struct reap *reap, const struct pool *pool, uint64_t word)
{
	/*
	 * Looked at behind the word (acquire): it is of the old life if the lane is in none yet. What is
	 * freed in the new one has another generation, and the swap fails.
	 */
	return word_is_free(word) && pool_is_free(pool, word) && is_retired(reap, word_lane(word)) &&
	       lane_is_over(&reap->segment->lanes, word_lane(word));
}

/* What a word becomes; itself, if it does not name the dead. */
static uint64_t next_word(const struct reap *reap, const struct pool *pool, uint64_t word)
{
	if (outlives_lane(reap, pool, word))
		return word_opened(word);
	/* SENT: to nobody; or the queue was walked, and it is not there. */
	if (is_sent_by_dead(reap, word) ||
	    (word_kind(word) == MEMPOOL_OWNED && reap_has(reap, word_owner(word))))
		return word_freed(word);
	return word;
}

/* Take the dead out of one word. Returns whether the word is free now. */
static bool reap_word(struct reap *reap, const struct pool *pool, uint64_t seen)
{
	_Atomic uint64_t *word = &pool->entries[reap->index].word;
	uint64_t next = next_word(reap, pool, seen);
	bool was_free = word_is_free(seen);

	/* Not of a word that is free already: it may be claimed and stamped by now. */
	if (next != seen && !was_free)
		stamp_void(pool, reap->index);
	/*
	 * R2 (release) pairs with A1 of the next claim. seq_cst, since the dry word is looked at
	 * after it (D1): the daemon is not registered for membarrier. A failed swap is a taker
	 * who was faster, or a hostile client: not ours any more.
	 */
	if (next != seen && atomic_compare_exchange_strong_explicit(
				    word, &seen, next, memory_order_seq_cst,
				    memory_order_relaxed)) {
		reap->n_freed += !was_free;
		reap->n_held += !was_free;
		return true;
	}
	return pool_is_open(pool, seen);
}

/* ---- managers ---- */

/* Clear the bits of the dead. Returns whether there were any. */
static bool clear_bits(const struct reap *reap, uint32_t index)
{
	_Atomic uint64_t *sharers = segment_sharers(reap->segment, index);
	uint64_t cleared = 0;

	for (uint32_t i = 0; i < reap->segment->n_holders / 64; i++) {
		/* Relaxed: only the dead set their bits, and they are dead. */
		if (reap->dead[i] == 0 ||
		    !(atomic_load_explicit(&sharers[i], memory_order_relaxed) &
		      reap->dead[i]))
			continue;
		/* seq_cst, as in chunk_manager.c. */
		cleared |= atomic_fetch_and_explicit(&sharers[i], ~reap->dead[i],
						     memory_order_seq_cst) & reap->dead[i];
	}
	return cleared != 0;
}

/*
 * A ChunkManager, whatever its state: a bit may be set on one that is not SHARED yet. Every
 * SHARED one is collected, not only where a bit was: the dead may have cleared its bit and
 * been killed before it collected. Returns whether the manager is free now.
 */
static bool reap_manager(struct reap *reap, const struct pool *managers, uint32_t index)
{
	_Atomic uint64_t *word = &managers->entries[index].word;
	/* Relaxed: a first guess; swaps decide. */
	uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);
	bool is_named;

	if (word_kind(seen) == MEMPOOL_OWNED && reap_has(reap, word_owner(seen)) &&
	    chunk_manager_reap_owned(reap->segment, index, seen)) {
		reap->n_freed++;
		reap->n_held++;
	}
	is_named = word_kind(seen) == MEMPOOL_SHARED && chunk_manager_is_named(reap->segment, index);
	if (clear_bits(reap, index)) {
		/* Killed while sharing, it holds the chunk by the chunk's word. */
		reap->n_held += is_named;
		/* Or after it published, and before it told that the message before may yield. */
		history_move(reap->segment);
	}
	if (word_kind(atomic_load_explicit(word, memory_order_relaxed)) == MEMPOOL_SHARED &&
	    reap->any_dead != MEMPOOL_HOLDER_NONE)
		reap->n_freed += chunk_manager_collect(reap->segment, index, reap->any_dead);
	return word_is_open(atomic_load_explicit(word, memory_order_relaxed));
}

/* Always, even if all are set: the summary bit may be the one that was lost. */
static void set_hints(struct reap *reap, uint32_t leaf)
{
	if (reap->hints)
		pool_hint_leaf(&reap->segment->pools[reap->pool], leaf, reap->hints);
	reap->hints = 0;
}

/*
 * On through the words, to the end of a leaf at most; then the hints of those in it that are
 * free. The dry word is moved, and sleepers are woken, leaf by leaf: a sweep of a large pool
 * takes a while, and who remembers the pool as dry, or sleeps, is not to wait for its end. That
 * covers the dead, too, who freed a chunk and were killed before they moved the word.
 */
static uint32_t reap_words(struct reap *reap)
{
	struct pool *pool = &reap->segment->pools[reap->pool];
	bool is_managers = reap->pool == reap->segment->n_pools;
	uint32_t n = 0, bit;
	bool is_free;

	do {
		_Atomic uint64_t *word = &pool->entries[reap->index].word;
		/* B12 (acquire): of what is free for a lane, not older than the epoch it names. */
		uint64_t seen = atomic_load_explicit(word, memory_order_acquire);

		if (!is_managers && begin_walk(reap, seen))
			return n + 1;
		is_free = is_managers ? reap_manager(reap, pool, reap->index)
				      : reap_word(reap, pool, seen);
		bit = reap->index++ % LEAF_BITS;
		reap->hints |= (uint64_t)is_free << bit;
		n += is_managers ? 1 + reap->segment->n_holders / MANAGER_SHARERS : 1;
	} while (bit < LEAF_BITS - 1 && reap->index < pool->n_chunks && n < LEAF_BITS);

	if (bit < LEAF_BITS - 1 && reap->index < pool->n_chunks)
		return n;
	set_hints(reap, (reap->index - 1) / LEAF_BITS);
	if (reap->index == pool->n_chunks) {
		reap->index = 0;
		reap->pool = reap->n_pools_done++;
	}
	return n;
}

/* ---- those who wait ---- */

/* The dead poll nothing any more. */
static uint32_t clear_pollers(struct reap *reap, uint64_t n_pollers)
{
	uint32_t n_words = reap->segment->n_holders / 64, n = 0;

	for (; n < STRETCH && reap->place < n_pollers; n++, reap->place++)
		if (reap->dead[reap->place % n_words] != 0)
			/* seq_cst, as in client/poller.c. */
			atomic_fetch_and_explicit(&reap->segment->pollers[reap->place],
						  ~reap->dead[reap->place % n_words],
						  memory_order_seq_cst);
	return n;
}

/* Nor have they an open end. */
static uint32_t bury_ends(struct reap *reap, uint64_t n_pollers)
{
	const struct segment *segment = reap->segment;
	uint32_t n = 0;

	for (; n < STRETCH && reap->place < n_pollers + segment->geometry.n_ends;
	     n++, reap->place++) {
		uint32_t line = (uint32_t)(reap->place - n_pollers);
		/* Relaxed: a first guess; the swap decides. */
		uint64_t word = atomic_load_explicit(&segment->end_words[line],
						     memory_order_relaxed);

		if (word != 0 && reap_has(reap, end_holder(word)))
			end_give_back(segment, line, word);
	}
	return n;
}

/*
 * A role of the dead is nobody's; and so is one that names nobody. First what a receiver of handles has left:
 * who has the role next begins at the head.
 */
static void bury_role(const struct reap *reap, const struct queue *queue,
		      enum mempool_end_kind kind)
{
	uint64_t word = role_look(queue->ring, kind);
	bool is_dead = reap_has(reap, role_holder(word));

	if (word == 0 || (!is_dead && !role_is_stray(reap->segment, word)))
		return;
	if (is_dead && kind == MEMPOOL_END_RECEIVER && queue->has_one_receiver && queue->slot_bytes == 0)
		queue_pass(queue);
	role_give_back(queue->ring, kind, word);
}

/*
 * The head of a queue for many goes on by a line, at most so often as it has lines; that of a queue for one
 * is its receiver's alone. Return: is there more?
 */
static bool help(struct reap *reap, uint32_t ring)
{
	struct queue queue;

	if (queue_view_any(&queue, reap->segment, ring) < 0)
		return false;
	bury_role(reap, &queue, MEMPOOL_END_SENDER);
	bury_role(reap, &queue, MEMPOOL_END_RECEIVER);
	return !queue.has_one_receiver && queue_help(&queue) &&
	       ++reap->place < (queue.mask + 1) / (queue.line_mask + 1);
}

/* What goes before a wake: there is no more of it. Return: 0, or as go_on(). */
static uint32_t prepare_wake(struct reap *reap)
{
	const struct segment *segment = reap->segment;
	uint64_t n_pollers = (uint64_t)segment->config.n_rings * (segment->n_holders / 64);

	if (reap->wakes.wake.phase != EVENTCOUNT_MOVES)
		return 0;
	if (reap->wakes.next == 0)
		return reap->place < n_pollers ? clear_pollers(reap, n_pollers)
					       : bury_ends(reap, n_pollers);
	if (reap->wakes.next % 2 == 0)
		return 0;
	/* The dead may have given an end or a role back, and not have said so. */
	end_note_move(segment, (reap->wakes.next - 1) / 2);
	return help(reap, (reap->wakes.next - 1) / 2) ? STRETCH : 0;
}

/* Those who wait for what the dead may have freed, sent or owed. Return: 0: all are woken. */
static uint32_t wake_on(struct reap *reap)
{
	uint32_t n;

	if (reap->wakes.next > 2 * reap->segment->config.n_rings)
		return 0;
	n = prepare_wake(reap);
	if (n > 0)
		return n;
	reap->place = 0;
	segment_wake_on(reap->segment, &reap->wakes);
	return WAKE_WORDS;
}

/* A small step of whatever comes next. Return: words, or what takes as long; 0: it is over. */
static uint32_t go_on(struct reap *reap)
{
	if (reap->lane < reap->segment->lanes.n)
		return reap_lanes(reap);
	if (reap->walks != 0)
		return walk_on(reap);
	if (reap->n_pools_done <= reap->segment->n_pools)
		return reap_words(reap);
	if (reap->retired && reap->renewed < reap->segment->lanes.n)
		return renew_lanes(reap);
	return wake_on(reap);
}

bool reap_step(struct reap *reap, uint32_t max_words)
{
	uint64_t n = 0;
	uint32_t more;

	do {
		more = go_on(reap);
		n += more;
	} while (more != 0 && n < max_words);
	/* Of a leaf that was not read to its end: it may take a while until we are back. */
	set_hints(reap, reap->index / LEAF_BITS);
	return more == 0;
}

int64_t reap_holder(struct segment *segment, uint32_t holder)
{
	struct reap reap;
	int r;

	r = reap_init(&reap, segment);
	if (r < 0)
		return r;
	reap_add(&reap, holder);
	while (!reap_step(&reap, UINT32_MAX))
		;
	reap_deinit(&reap);
	return (int64_t)reap.n_freed;
}
