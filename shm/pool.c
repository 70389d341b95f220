/* SPDX-License-Identifier: MIT */
#include "pool.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "eventcount.h"
#include "lane.h"

#define LEAF_BITS 64

uint64_t pool_index_bytes(uint32_t n_chunks, bool has_stamps)
{
	uint64_t bytes = sizeof(struct mempool_entry);

	if (has_stamps)
		bytes += sizeof(struct mempool_stamp);
	return free_list_size_bytes(n_chunks) + n_chunks * bytes;
}

int pool_view(struct pool *pool, const struct pool_memory *memory)
{
	uint64_t stride = memory->stride;

	if (!memory->raw_memory || !memory->index_memory || !memory->state)
		return -EINVAL;
	if ((uintptr_t)memory->raw_memory % 8 || (uintptr_t)memory->index_memory % 64)
		return -EINVAL;
	if (memory->n_chunks == 0 || memory->n_chunks > MEMPOOL_MAX_CHUNKS)
		return -EINVAL;
	if (memory->chunk_size == 0 || memory->chunk_size >= MEMPOOL_MAX_CHUNK_BYTES)
		return -EINVAL;
	if (stride == 0)
		stride = (memory->chunk_size + 7) & ~UINT64_C(7);
	if (stride < memory->chunk_size || stride > MEMPOOL_MAX_CHUNK_BYTES || stride % 8)
		return -EINVAL;

	*pool = (struct pool){
		.data = memory->raw_memory,
		.state = memory->state,
		.freed = memory->freed,
		.chunk_size = memory->chunk_size,
		.stride = stride,
		.data_size = stride * memory->n_chunks,
		.inverse = UINT64_MAX / stride + 1,
		.n_chunks = memory->n_chunks,
		.has_stamps = memory->has_stamps,
	};
	free_list_view(&pool->list, memory->index_memory, memory->n_chunks);
	pool->entries = (void *)((unsigned char *)memory->index_memory +
				 free_list_size_bytes(memory->n_chunks));
	return 0;
}

int pool_init(struct pool *pool, const struct pool_memory *memory, uint32_t generation)
{
	int r;

	if (generation == 0)
		return -EINVAL;
	r = pool_view(pool, memory);
	if (r < 0)
		return r;

	/* Relaxed: nobody else has this memory yet; the segment's state publishes it. */
	for (uint32_t i = 0; i < pool->n_chunks; i++)
		atomic_store_explicit(&pool->entries[i].word,
				      word_make(generation, MEMPOOL_FREE, 0),
				      memory_order_relaxed);
	for (uint32_t i = 0; pool->has_stamps && i < pool->n_chunks; i++)
		atomic_store_explicit(&pool_stamp(pool, i)->generation, 0, memory_order_relaxed);
	free_list_fill(&pool->list);
	return 0;
}

int pool_claim_any(const struct pool *pool, uint32_t index, uint32_t owner)
{
	int r = pool_claim(pool, index, owner);
	uint64_t seen;

	if (r != -EBUSY)
		return r;
	/* B12 (acquire), as in pool_claim(). */
	seen = atomic_load_explicit(&pool->entries[index].word, memory_order_acquire);
	if (!pool_is_free(pool, seen) || word_is_open(seen) || lane_revoke(pool->lanes, seen) < 0)
		return r;
	return pool_claim(pool, index, owner);
}

int pool_release_checked(const struct pool *pool, uint32_t index, uint32_t holder)
{
	_Atomic uint64_t *word = &pool->entries[index].word;
	uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);

	/* R1 and D1, as in pool_release(). */
	if (!word_is_owned_by(seen, holder) ||
	    !atomic_compare_exchange_strong_explicit(word, &seen, word_freed(seen),
						     memory_order_seq_cst,
						     memory_order_relaxed))
		return -EPERM;
	return 0;
}

int pool_withhold(const struct pool *pool, uint32_t index, uint32_t holder, uint64_t *ret_owned)
{
	_Atomic uint64_t *word = &pool->entries[index].word;

	/* Relaxed: if it is ours, we or a thread that told us wrote it last. */
	*ret_owned = atomic_load_explicit(word, memory_order_relaxed);
	/*
	 * W1 (acquire) pairs with W2: what another thread of ours has read while it withheld the
	 * chunk is before what we write there. Relaxed on failure: nothing is done.
	 */
	if (!word_is_owned_by(*ret_owned, holder) ||
	    !atomic_compare_exchange_strong_explicit(word, ret_owned,
						     word_sent(*ret_owned, 0, holder),
						     memory_order_acquire, memory_order_relaxed))
		return -EPERM;
	return 0;
}

void pool_keep_withheld(const struct pool *pool, uint32_t index, uint64_t owned)
{
	/* W2 (release) pairs with W1. A store: nobody else moves what is withheld. */
	atomic_store_explicit(&pool->entries[index].word, owned, memory_order_release);
}

int pool_release_withheld(const struct pool *pool, uint32_t index, uint64_t owned)
{
	uint64_t withheld = word_sent(owned, 0, word_owner(owned));

	/* R1 and D1, as in pool_release_checked(). */
	return atomic_compare_exchange_strong_explicit(&pool->entries[index].word, &withheld,
						       word_freed(withheld), memory_order_seq_cst,
						       memory_order_relaxed)
		       ? 0 : -EPERM;
}

void pool_hint(const struct pool *pool, uint32_t index)
{
	free_list_push(&pool->list, index);
	/* D1: after the store of the word; D3: after the hint. */
	if (pool_is_dry(pool))
		pool_move_dry(pool);
}

void pool_hint_leaf(const struct pool *pool, uint32_t leaf, uint64_t bits)
{
	free_list_push_mask(&pool->list, leaf, bits);
	if (pool_is_dry(pool))
		pool_move_dry(pool);
}

uint64_t pool_set_dry(const struct pool *pool)
{
	/*
	 * D2 (seq_cst): before the reading in the order of all seq_cst operations, so that a
	 * freer either sees the bit or has its store seen by the reading (D1). Freers that store
	 * with release only are reached by the membarrier that comes next.
	 */
	return atomic_fetch_or_explicit(&pool->state->dry, POOL_DRY, memory_order_seq_cst) |
	       POOL_DRY;
}

static bool is_dry_of(uint64_t dry, uint64_t sequence)
{
	return (dry & POOL_DRY) && dry / POOL_SEQUENCE_STEP == sequence;
}

void pool_move_dry(const struct pool *pool)
{
	/* D1 (seq_cst), as in pool_is_dry(). */
	uint64_t seen = atomic_load_explicit(&pool->state->dry, memory_order_seq_cst);
	uint64_t sequence = seen / POOL_SEQUENCE_STEP;

	if (!(seen & POOL_DRY))
		return;
	/*
	 * Until it is moved, by us or by somebody else: then nobody remembers what we saw. The
	 * scarce bit may come and go meanwhile, and bring back a value that somebody remembers;
	 * each time it does, a chunk was claimed. D3 pairs with D4 in client/cache.c: who
	 * remembers the word and looks again finds the word and hint of our chunk. seq_cst, as
	 * the look at the sleepers that follows: one who saw the old word has announced himself
	 * before (E1, E2).
	 */
	while (is_dry_of(seen, sequence) &&
	       !atomic_compare_exchange_strong_explicit(
		       &pool->state->dry, &seen, (seen + POOL_SEQUENCE_STEP) & ~POOL_DRY,
		       memory_order_seq_cst, memory_order_seq_cst))
		;
	if (pool->freed)
		eventcount_wake(pool->freed);
}

void pool_set_scarce(const struct pool *pool)
{
	/* Relaxed, here and below: no more than advice. */
	if (!(atomic_load_explicit(&pool->state->dry, memory_order_relaxed) & POOL_SCARCE))
		atomic_fetch_or_explicit(&pool->state->dry, POOL_SCARCE, memory_order_relaxed);
}

void pool_clear_scarce(const struct pool *pool)
{
	if (atomic_load_explicit(&pool->state->dry, memory_order_relaxed) & POOL_SCARCE)
		atomic_fetch_and_explicit(&pool->state->dry, ~POOL_SCARCE, memory_order_relaxed);
}

void pool_scan_begin(struct pool_scan *scan, const struct pool *pool, uint32_t start,
		     uint32_t owner)
{
	/* One by one: what is of lanes is large, and seldom needed. */
	scan->pool = pool;
	scan->dry = pool_set_dry(pool);
	scan->owner = owner;
	scan->leaf = start % pool->n_chunks / LEAF_BITS;
	scan->n_left = pool->list.n_leaves;
	scan->is_second = scan->has_revoked = scan->has_noted = scan->is_deaf = false;
	scan->n_noted = 0;
}

/* End the epochs of all lanes that were noted, by one membarrier. */
static void revoke_noted(struct pool_scan *scan)
{
	const struct lanes *lanes = scan->pool->lanes;
	uint64_t epochs[POOL_SCAN_LANES];

	if (scan->n_noted == 0)
		return;
	for (uint32_t i = 0; i < scan->n_noted; i++)
		epochs[i] = lane_move(lanes, scan->noted[i]);
	scan->is_deaf |= !lane_barrier(lanes);
	for (uint32_t i = 0; i < scan->n_noted && !scan->is_deaf; i++)
		lane_settle(lanes, scan->noted[i], epochs[i]);
	scan->n_noted = 0;
}

/*
 * A word that is FREE for a living epoch of another's lane. The first one is opened at once: mostly
 * some chunk is in somebody's stack, and there is no second reading. Return: whether it can be
 * claimed.
 */
static bool open_word(struct pool_scan *scan, uint64_t seen)
{
	uint32_t lane = word_lane(seen);
	uint64_t bit = UINT64_C(1) << lane % 64;

	/* It was freed behind the first reading, or after the epoch was ended there. */
	if (scan->is_second || scan->is_deaf)
		return false;
	if (!scan->has_revoked) {
		scan->has_revoked = true;
		scan->is_deaf = lane_revoke(scan->pool->lanes, seen) < 0;
		return !scan->is_deaf;
	}
	if (!scan->has_noted)
		memset(scan->met, 0, sizeof(scan->met));
	scan->has_noted = true;
	if (!(scan->met[lane / 64] & bit))
		scan->noted[scan->n_noted++] = (uint16_t)lane;
	scan->met[lane / 64] |= bit;
	return false;
}

/*
 * Claim what a scan has seen. A sweep, or its lane's thread, may have made the word everybody's meanwhile, which is no claim:
 * then that is tried, which it stays as long as it is free of this generation. Who fails has met
 * another claim: the chunk was held at that moment.
 */
static bool claim_scanned(const struct pool_scan *scan, _Atomic uint64_t *word, uint64_t seen)
{
	uint64_t claimed = word_claimed(seen, scan->owner);

	return pool_claim_word(word, seen, claimed) ||
	       (!word_is_open(seen) && pool_claim_word(word, word_opened(seen), claimed));
}

/*
 * Read the words of one leaf. The first free one that can be claimed is taken, the hints of
 * the others are set. true: *ret_index is ours.
 */
static bool scan_leaf(struct pool_scan *scan, uint32_t *ret_index)
{
	const struct pool *pool = scan->pool;
	uint32_t first = scan->leaf * LEAF_BITS;
	uint32_t end = first + LEAF_BITS < pool->n_chunks ? first + LEAF_BITS : pool->n_chunks;
	uint64_t hints = 0;
	bool found = false;

	for (uint32_t i = first; i < end; i++) {
		_Atomic uint64_t *word = &pool->entries[i].word;
		/* D5 (seq_cst): a plain load on common machines; see D2 and D6. */
		uint64_t seen = atomic_load_explicit(word, memory_order_seq_cst);

		/* Most are held; of the others, some are nonsense. */
		if (!word_is_free(seen) || !pool_is_free(pool, seen))
			continue;
		if (found) {
			hints |= (uint64_t)pool_is_open(pool, seen) << (i - first);
			continue;
		}
		if (!pool_may_claim(pool, seen, scan->owner) && !open_word(scan, seen))
			continue;
		if (claim_scanned(scan, word, seen)) {
			*ret_index = i;
			found = true;
		}
	}
	if (hints)
		free_list_push_mask(&pool->list, scan->leaf, hints);
	return found;
}

/* Whether there are words to read: a reading that met lanes is done once more, all of them open. */
static bool reads_on(struct pool_scan *scan)
{
	if (scan->n_left > 0)
		return true;
	if (scan->is_second || !scan->has_noted)
		return false;
	revoke_noted(scan);
	scan->is_second = true;
	scan->n_left = scan->pool->list.n_leaves;
	return true;
}

int pool_scan_step(struct pool_scan *scan, uint32_t max_words, uint32_t *ret_index)
{
	const struct pool *pool = scan->pool;
	uint64_t dry;

	for (uint32_t n = 0; reads_on(scan); n += LEAF_BITS) {
		if (n >= max_words)
			return -EINPROGRESS;
		if (scan_leaf(scan, ret_index))
			return 0;
		scan->leaf = scan->leaf + 1 < pool->list.n_leaves ? scan->leaf + 1 : 0;
		scan->n_left--;
		/* A membarrier takes its time: then the caller looks at the clock. */
		if (scan->n_noted > POOL_SCAN_LANES - LEAF_BITS) {
			revoke_noted(scan);
			n = max_words;
		}
	}
	/*
	 * D6 (seq_cst): after D5. A free that D5 missed has seen the bit, or something later in
	 * the dry word, and moves it as its last step (D3). The scarce bit says nothing.
	 */
	dry = atomic_load_explicit(&pool->state->dry, memory_order_seq_cst);
	if (!is_dry_of(dry, scan->dry / POOL_SEQUENCE_STEP))
		return -EBUSY;
	pool_saw_used(pool, pool->n_chunks);
	return -EAGAIN;
}

void pool_saw_used(const struct pool *pool, uint64_t n_used)
{
	_Atomic uint64_t *peak = &pool->state->peak_used;
	/* Relaxed: a figure for people; nothing is read because of it. */
	uint64_t seen = atomic_load_explicit(peak, memory_order_relaxed);

	/* Lock-free: a failure is another's higher figure. */
	while (seen < n_used &&
	       !atomic_compare_exchange_weak_explicit(peak, &seen, n_used, memory_order_relaxed,
						      memory_order_relaxed))
		;
}

uint32_t pool_count_used(const struct pool *pool)
{
	uint32_t n_used = 0;

	/* Relaxed: a count, of what may move while it is counted. */
	for (uint32_t i = 0; i < pool->n_chunks; i++)
		n_used += !pool_is_free(pool, atomic_load_explicit(&pool->entries[i].word,
								   memory_order_relaxed));
	return n_used;
}
