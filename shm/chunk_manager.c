/* SPDX-License-Identifier: MIT */
#include "chunk_manager.h"

#include <errno.h>

#include "history.h"
#include "topic.h"

/*
 * All accesses to bits and to words of managers are seq_cst here. The protocol is a chain of
 * "write mine, then look at the other's": clear my bit and read the bits of all others; set
 * my bit, move the stamp, read the chunk's word. With bits in several words, no chain of
 * release and acquire orders what two leavers see of each other; the model assumes one
 * order of all steps, and this is that order. On x86 a seq_cst load costs nothing, and the
 * writes are locked operations in any case.
 */
#define ORDER memory_order_seq_cst

#define COLLECT_TURNS 8

/* A message is of one topic. More of their bits are somebody's who writes what he likes. */
#define TOPICS_LOOKED_AT 4

static const struct pool *managers_of(const struct segment *segment)
{
	return &segment->pools[segment->n_pools];
}

static _Atomic uint64_t *word_of_manager(const struct segment *segment, uint32_t manager)
{
	return &segment_manager(segment, manager)->word;
}

void chunk_manager_set(const struct segment *segment, uint32_t manager, uint32_t holder)
{
	atomic_fetch_or_explicit(&segment_sharers(segment, manager)[holder / 64],
				 UINT64_C(1) << holder % 64, ORDER);
}

void chunk_manager_clear(const struct segment *segment, uint32_t manager, uint32_t holder)
{
	atomic_fetch_and_explicit(&segment_sharers(segment, manager)[holder / 64],
				  ~(UINT64_C(1) << holder % 64), ORDER);
}

bool chunk_manager_has(const struct segment *segment, uint32_t manager, uint32_t holder)
{
	return atomic_load_explicit(&segment_sharers(segment, manager)[holder / 64],
				    ORDER) >> holder % 64 & 1;
}

int chunk_manager_share(const struct segment *segment, struct chunk_ref chunk, uint32_t manager,
			uint32_t holder, uint32_t topic, uint64_t *word)
{
	struct mempool_entry *record = segment_manager(segment, manager);
	_Atomic uint64_t *sharers = segment_sharers(segment, manager);
	uint64_t shared = word_make(word_generation(*word), MEMPOOL_SHARED, manager);
	uint64_t owned;

	/* Relaxed: M1 and M2 publish them. Late bits of others are wiped: they mean nothing. */
	atomic_store_explicit(&record->chunk, handle_chunk(chunk.pool, chunk.index),
			      memory_order_relaxed);
	for (uint32_t i = 0; i < segment->n_holders / 64; i++) {
		uint64_t bits = 0;

		if (holder / 64 == i)
			bits |= UINT64_C(1) << holder % 64;
		if (topic != MEMPOOL_HOLDER_NONE && topic / 64 == i)
			bits |= UINT64_C(1) << topic % 64;
		atomic_store_explicit(&sharers[i], bits, memory_order_relaxed);
	}

	/*
	 * M1: from now on it can be acquired, and is held by our bit. Stamp 0, same generation.
	 * A store: the manager is ours alone until here, since no two threads claimed it.
	 */
	owned = atomic_load_explicit(&record->word, memory_order_relaxed);
	atomic_store_explicit(&record->word, word_make(word_generation(owned), MEMPOOL_SHARED, 0),
			      ORDER);
	/*
	 * M2: whoever finds the manager by the chunk's word finds it SHARED, with link and bits.
	 * A swap: another thread of ours may share the same chunk; each has a manager then, and
	 * the chunk can lead to one of them.
	 */
	if (!atomic_compare_exchange_strong_explicit(
		    &segment->pools[chunk.pool].entries[chunk.index].word, word, shared, ORDER,
		    ORDER))
		return -EBUSY;
	*word = shared;
	return 0;
}

static uint64_t next_stamp(uint64_t word)
{
	return word_make(word_generation(word), MEMPOOL_SHARED, word_value(word) + 1);
}

int chunk_manager_stamp(const struct segment *segment, uint32_t manager)
{
	_Atomic uint64_t *word = word_of_manager(segment, manager);
	uint64_t seen = atomic_load_explicit(word, ORDER);

	/* Lock-free: a failure is another's stamp, or the end. */
	do {
		if (word_kind(seen) != MEMPOOL_SHARED)
			return -ESTALE;
	} while (!atomic_compare_exchange_weak_explicit(word, &seen, next_stamp(seen), ORDER,
							ORDER));
	return 0;
}

static uint64_t low_bits(uint32_t n)
{
	return n >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1;
}

/* The bits of the topics among the holders of one word: their ids follow the daemon's. */
static uint64_t topic_bits(const struct segment *segment, uint32_t word)
{
	uint32_t first = MEMPOOL_HOLDER_DAEMON_ID + 1, base = word * 64;
	uint32_t end = first + segment->geometry.n_topics;

	if (end <= base)
		return 0;
	return low_bits(end - base) & ~low_bits(first > base ? first - base : 0);
}

static uint32_t position_of(const struct segment *segment, uint32_t manager)
{
	return atomic_load_explicit(&segment_manager(segment, manager)->position, ORDER);
}

/* Whether a topic that has its bit still has the manager in its ring. */
static bool topic_still_holds(const struct segment *segment, uint32_t manager, uint32_t holder)
{
	struct topic topic;

	return topic_view_holder(&topic, segment, holder) == 0 &&
	       topic_holds(&topic, position_of(segment, manager), manager);
}

uint64_t chunk_manager_sharers(const struct segment *segment, uint32_t manager, uint32_t word)
{
	uint64_t sharers = atomic_load_explicit(&segment_sharers(segment, manager)[word],
						ORDER);

	for (uint64_t bits = sharers & topic_bits(segment, word); bits != 0; bits &= bits - 1) {
		uint32_t bit = (uint32_t)__builtin_ctzll(bits);

		if (!topic_still_holds(segment, manager, word * 64 + bit))
			sharers &= ~(UINT64_C(1) << bit);
	}
	return sharers;
}

uint32_t chunk_manager_topic(const struct segment *segment, uint32_t manager)
{
	uint32_t end = MEMPOOL_HOLDER_DAEMON_ID + 1 + segment->geometry.n_topics;

	/* Nobody clears a topic's bit before the manager is somebody else's. */
	for (uint32_t i = 0; i * 64 < end; i++) {
		uint64_t bits = atomic_load_explicit(&segment_sharers(segment, manager)[i],
						     memory_order_relaxed) &
				topic_bits(segment, i);

		if (bits != 0)
			return i * 64 + (uint32_t)__builtin_ctzll(bits);
	}
	return MEMPOOL_HOLDER_NONE;
}

/*
 * Whether a client, or the daemon, has a bit; if not, which topic that has its bit still has it in
 * its ring, or MEMPOOL_HOLDER_NONE. All bits first, then the ring: a publisher keeps its own bit
 * until its slot is written, so if that bit is gone, a look at the ring that comes later finds the
 * slot.
 */
static inline __attribute__((always_inline)) bool is_held_by_client(const struct segment *segment,
								    uint32_t manager,
								    uint32_t *ret_topic)
{
	const _Atomic uint64_t *sharers = segment_sharers(segment, manager);
	uint32_t n_topic_words = (MEMPOOL_HOLDER_DAEMON_ID + 1 + segment->geometry.n_topics +
				  63) / 64;
	uint32_t n_looks = 0;

	*ret_topic = MEMPOOL_HOLDER_NONE;
	for (uint32_t i = 0; i < segment->n_holders / 64; i++) {
		uint64_t bits = atomic_load_explicit(&sharers[i], ORDER);

		if (bits != 0 && i < n_topic_words)
			bits &= ~topic_bits(segment, i);
		if (bits != 0)
			return true;
	}
	if (segment->geometry.n_topics == 0)
		return false;

	for (uint32_t i = 0; i < n_topic_words; i++) {
		uint64_t bits = atomic_load_explicit(&sharers[i], ORDER) &
				topic_bits(segment, i);

		for (; bits != 0 && n_looks < TOPICS_LOOKED_AT; bits &= bits - 1, n_looks++) {
			uint32_t topic = i * 64 + (uint32_t)__builtin_ctzll(bits);

			if (topic_still_holds(segment, manager, topic)) {
				*ret_topic = topic;
				return false;
			}
		}
	}
	return false;
}

bool chunk_manager_is_held(const struct segment *segment, uint32_t manager)
{
	uint32_t topic;

	return is_held_by_client(segment, manager, &topic) || topic != MEMPOOL_HOLDER_NONE;
}

bool chunk_manager_yields(const struct segment *segment, uint32_t manager,
			  struct topic *ret_topic, struct topic_slot *ret_slot)
{
	uint32_t holder;

	return !is_held_by_client(segment, manager, &holder) &&
	       topic_view_holder(ret_topic, segment, holder) == 0 && ret_topic->yields &&
	       topic_find(ret_topic, position_of(segment, manager), manager, ret_slot) &&
	       !topic_is_newest(ret_topic, (uint32_t)ret_slot->position);
}

/* Nobody but a topic holds it, and somebody has looked for such ones: now it may yield. */
static __attribute__((noinline)) void tell(const struct segment *segment, uint32_t manager,
					   uint32_t holder)
{
	struct topic topic;

	/* Of a newest one tells who publishes the next. */
	if (topic_view_holder(&topic, segment, holder) == 0 && topic.yields &&
	    !topic_is_newest(&topic, position_of(segment, manager)))
		history_move(segment);
}

/*
 * As above, but for one client. From the last word on: topics have lower ids than clients, so
 * the bits of all that may publish are read before a ring is looked at. What the daemon
 * publishes nobody can hold before it is in the ring.
 */
static __attribute__((noinline)) bool is_held_by_another(const struct segment *segment,
							 uint32_t manager, uint32_t holder)
{
	for (uint32_t i = segment->n_holders / 64; i-- > 0;) {
		uint64_t sharers = chunk_manager_sharers(segment, manager, i);

		if (holder / 64 == i)
			sharers &= ~(UINT64_C(1) << holder % 64);
		if (sharers != 0)
			return true;
	}
	return false;
}

bool chunk_manager_is_exclusive(const struct segment *segment, uint32_t manager, uint32_t holder)
{
	uint64_t seen = atomic_load_explicit(word_of_manager(segment, manager), ORDER);

	/* As a collector: all clear, and no stamp moved meanwhile, is a moment at which all were. */
	return word_kind(seen) == MEMPOOL_SHARED &&
	       !is_held_by_another(segment, manager, holder) &&
	       atomic_load_explicit(word_of_manager(segment, manager), ORDER) == seen;
}

bool chunk_manager_chunk(const struct segment *segment, uint32_t manager,
			 struct chunk_ref *ret_chunk)
{
	/*
	 * Relaxed: of a manager that is ours, or shared by us; the swap that made it so brought
	 * the link along. It is input all the same.
	 */
	uint32_t link = atomic_load_explicit(&segment_manager(segment, manager)->chunk,
					     memory_order_relaxed);

	ret_chunk->pool = handle_pool(link);
	ret_chunk->index = handle_index(link);
	return ret_chunk->pool < segment->n_pools &&
	       ret_chunk->index < segment->pools[ret_chunk->pool].n_chunks;
}

bool chunk_manager_is_named(const struct segment *segment, uint32_t manager)
{
	struct chunk_ref chunk;
	uint64_t word;

	if (!chunk_manager_chunk(segment, manager, &chunk))
		return false;
	word = atomic_load_explicit(&segment->pools[chunk.pool].entries[chunk.index].word, ORDER);
	return word_kind(word) == MEMPOOL_SHARED && word_value(word) == manager;
}

/* SHARED(manager) -> OWNED(as); false: it is not. Inline, as what follows: each release is here. */
static inline __attribute__((always_inline)) bool leave_shared(const struct segment *segment,
							       struct chunk_ref chunk,
							       uint32_t manager, uint32_t as)
{
	_Atomic uint64_t *word = &segment->pools[chunk.pool].entries[chunk.index].word;
	uint64_t seen = atomic_load_explicit(word, ORDER);

	if (word_kind(seen) != MEMPOOL_SHARED || word_value(seen) != manager)
		return false;
	return atomic_compare_exchange_strong_explicit(word, &seen, word_taken(seen, as),
						       ORDER, ORDER);
}

static inline __attribute__((always_inline)) void free_manager(const struct segment *segment,
							       uint32_t manager, uint64_t seen)
{
	/* By swap: of two reapers, or a hostile client, one frees it. */
	if (atomic_compare_exchange_strong_explicit(word_of_manager(segment, manager), &seen,
						    word_freed(seen), ORDER, ORDER))
		pool_hint(managers_of(segment), manager);
}

/*
 * A manager that is OWNED(as), and the chunk that is still SHARED by it. The chunk becomes
 * OWNED first, so that it is not found SHARED with a manager that is another's by then; and
 * is freed last, so that whoever gets it finds a manager to share it with.
 */
static bool free_both(const struct segment *segment, uint32_t manager, uint64_t owned,
		      uint32_t as)
{
	struct chunk_ref chunk;
	bool has_chunk;

	has_chunk = chunk_manager_chunk(segment, manager, &chunk) &&
		    leave_shared(segment, chunk, manager, as);
	free_manager(segment, manager, owned);
	if (!has_chunk)
		return false;
	if (pool_release_checked(&segment->pools[chunk.pool], chunk.index, as) < 0)
		return false;
	pool_hint(&segment->pools[chunk.pool], chunk.index);
	return true;
}

bool chunk_manager_collect(const struct segment *segment, uint32_t manager, uint32_t as)
{
	_Atomic uint64_t *word = word_of_manager(segment, manager);
	uint64_t first = atomic_load_explicit(word, ORDER);
	uint64_t seen = first;
	uint32_t n_turns = 0, topic;

	/*
	 * Each further turn follows another's stamp. He set his bit before it, and collects
	 * when he clears it: to leave it to him is always right, and there is an end to it if
	 * a hostile client moves the stamp for ever to keep the reaper here.
	 */
	do {
		if (n_turns++ == COLLECT_TURNS)
			return false;
		if (word_kind(seen) != MEMPOOL_SHARED ||
		    word_generation(seen) != word_generation(first))
			return false;
		if (is_held_by_client(segment, manager, &topic))
			return false;
		if (topic != MEMPOOL_HOLDER_NONE) {
			if (history_is_dry(segment))
				tell(segment, manager, topic);
			return false;
		}
	} while (!atomic_compare_exchange_strong_explicit(word, &seen,
							  word_claimed(seen, as), ORDER,
							  ORDER));

	return free_both(segment, manager, word_claimed(seen, as), as);
}

int chunk_manager_unshare(const struct segment *segment, struct chunk_ref chunk, uint32_t manager,
			  uint32_t holder)
{
	_Atomic uint64_t *word = word_of_manager(segment, manager);
	uint64_t seen = atomic_load_explicit(word, ORDER);
	bool is_ours;

	/* Not SHARED: a hostile client wrote there. */
	if (word_kind(seen) != MEMPOOL_SHARED || is_held_by_another(segment, manager, holder))
		return -EBUSY;
	/*
	 * M4: from now on no stamp succeeds, so nobody can acquire it. Our own bit stays until
	 * here: without it, another one that leaves would collect the chunk under us. Once only:
	 * a swap that fails is somebody's stamp, and so somebody has held it since we looked.
	 */
	if (!atomic_compare_exchange_strong_explicit(word, &seen, word_claimed(seen, holder), ORDER,
						     ORDER))
		return -EBUSY;

	/* It is no sharer's any more. Killed from here on, both are the reaper's. */
	chunk_manager_clear(segment, manager, holder);
	/* The chunk before the manager, as in free_both(). */
	is_ours = leave_shared(segment, chunk, manager, holder);
	free_manager(segment, manager, word_claimed(seen, holder));
	return is_ours ? 0 : -EPERM;
}

bool chunk_manager_reap_owned(const struct segment *segment, uint32_t manager, uint64_t seen)
{
	/* Killed before it was SHARED, or while collecting before the chunk's word was OWNED. */
	return free_both(segment, manager, seen, word_owner(seen));
}
