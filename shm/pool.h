/* SPDX-License-Identifier: MIT */
/*
 * pool.h - chunks of one size, each with a word that says who holds it
 *
 *	chunk data:	n_chunks * stride bytes
 *	index memory:	free list (hints) | n_chunks entries { word, length, tag } | stamps, or none
 *
 * The same type serves the data pools and the pool of ChunkManagers. struct pool is a
 * private view: pointers and counts that were checked once, never read again from the
 * segment. Words change as the table in mempool_layout.h says; every claim is a
 * compare-and-swap of the word or, of a chunk that its thread freed itself, plain stores (lane.h). A
 * hint from a list or cache is only a place to try.
 *
 * dry: bit 0 of pool->state->dry says that an allocator reads all words, or has read them,
 * and remembers the whole value; every change of it (a free that saw the bit, a scan that
 * found a chunk, the reaper) clears the bit and moves the sequence above it. So "bit and
 * sequence are still what I remember" means: no free that saw the bit is complete. Who sets
 * the bit must issue a membarrier, or rely on frees that are seq_cst, before it reads.
 *
 * lanes: a chunk that is FREE for the lane of a thread has its hint with that thread, and is nobody
 * else's to find but by a scan, which ends the epochs of the lanes that it meets. The first one at
 * once; more of them together behind the reading, by one membarrier, and then the words are read
 * once more. What is FREE then for an epoch that was not ended was freed after the dry bit was set,
 * and its free moves the dry word: it counts as held.
 *
 * exhausted: a chunk counts as held until its free is complete, hint and dry word moved, and
 * while it is handed over. A reading that claimed nothing has seen each word held at some
 * moment after the bit was set; if bit and sequence stand still at its end, whatever was
 * freed behind the reading is not free yet: at that moment all were held. That one chunk
 * goes from hand to hand, as often as it likes, does not matter.
 *
 * scarce: bit 1 of the same word asks frees to put their hint into the list rather than into
 * a cache. Set by who found a chunk only by a scan, cleared by who finds the list well
 * filled. It steers hints and decides nothing; that it changes the word makes those who
 * remember it look once more.
 *
 * What alloc and free run through every time is inline: a call costs as much as the swap.
 */
#ifndef SHM_POOL_H
#define SHM_POOL_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "free_list.h"
#include "lane.h"
#include "mempool_layout.h"
#include "word.h"

struct pool {
	unsigned char *data;
	struct mempool_entry *entries;
	struct mempool_pool_state *state;
	struct mempool_eventcount *freed;	/* for who waits for a chunk; NULL: nobody can */
	const struct lanes *lanes;	/* for which its chunks may be free; NULL: for none, as
					 * ChunkManagers never are */
	struct free_list list;
	uint64_t chunk_size;
	uint64_t stride;
	uint64_t data_size;		/* n_chunks * stride */
	uint64_t inverse;		/* ceil(2^64 / stride), for pool_index() */
	uint32_t n_chunks;
	uint32_t id;			/* place in the pool table, as in handles */
	uint32_t cache;
	bool is_reserve;		/* of the pool before it */
	bool is_exclusive;		/* there are no ChunkManagers for its chunks */
	bool has_stamps;		/* behind the entries; see stamp.h */
};

/* What a pool is made of; the guide's arguments of MemPool::initialize, and two more. */
struct pool_memory {
	void *raw_memory;		/* n_chunks * stride bytes, 8-aligned */
	void *index_memory;		/* pool_index_bytes(), 64-aligned */
	struct mempool_pool_state *state;
	struct mempool_eventcount *freed;	/* or NULL */
	uint64_t chunk_size;
	uint64_t stride;		/* 0: chunk_size rounded up to 8 */
	uint32_t n_chunks;
	bool has_stamps;
};

/* Bytes of index memory: free list and entries, and stamps. */
uint64_t pool_index_bytes(uint32_t n_chunks, bool has_stamps);

/**
 * pool_view() - look at a pool that stands in memory, changing nothing
 *
 * Return: 0; -EINVAL: NULL or misaligned memory, a size or count of 0 or out of range, a
 *         stride shorter than the chunk.
 */
int pool_view(struct pool *pool, const struct pool_memory *memory);

/**
 * pool_init() - make a pool of raw memory: every chunk FREE, every hint set
 * @generation: first generation of every word, not 0
 *
 * The memory must be nobody else's yet. The guide's MemPool::initialize.
 * Return: 0; -EINVAL as pool_view(), nothing was written.
 */
int pool_init(struct pool *pool, const struct pool_memory *memory, uint32_t generation);

static inline void *pool_chunk(const struct pool *pool, uint32_t index)
{
	return pool->data + (uint64_t)index * pool->stride;
}

/* Of a pool that has them. */
static inline struct mempool_stamp *pool_stamp(const struct pool *pool, uint32_t index)
{
	return (struct mempool_stamp *)(void *)(pool->entries + pool->n_chunks) + index;
}

__extension__ typedef unsigned __int128 pool_u128;

/**
 * pool_index() - which chunk starts at this offset of the pool's data
 *
 * Return: 0 and *ret_index; -EINVAL the middle of a chunk, or beyond the last.
 */
static inline int pool_index(const struct pool *pool, uint64_t offset, uint32_t *ret_index)
{
	uint64_t index;

	if (offset >= pool->data_size)
		return -EINVAL;

	/*
	 * offset / stride by multiplication. inverse is 2^64/stride + e with 0 <= e < 1, so for
	 * a true multiple q * stride the product is q + offset * e / 2^64, below q + 1.
	 */
	index = (uint64_t)((pool_u128)offset * pool->inverse >> 64);
	if (index * pool->stride != offset)
		return -EINVAL;
	*ret_index = (uint32_t)index;
	return 0;
}

/*
 * Bytes of the message in a chunk, as its sender says, but never more than the chunk has:
 * the sender need not have used our library, and the receiver relies on it.
 */
static inline size_t pool_length(const struct pool *pool, uint32_t index)
{
	/* Relaxed: the word that brought the chunk orders it. */
	uint32_t length = atomic_load_explicit(&pool->entries[index].length,
					       memory_order_relaxed);

	return length < pool->chunk_size ? length : (size_t)pool->chunk_size;
}

/* Whether the chunk is free, for everybody or for a lane that there is; else FREE is nonsense. */
static inline bool pool_is_free(const struct pool *pool, uint64_t word)
{
	return word_is_open(word) || (word_is_free(word) && pool->lanes &&
				      lane_is_valid(pool->lanes, word));
}

/* Whether a hint is to lead to it: it is free, and nobody can claim it by stores. */
static inline bool pool_is_open(const struct pool *pool, uint64_t word)
{
	return word_is_open(word) ||
	       (pool_is_free(pool, word) && lane_is_settled(pool->lanes, word));
}

/* Whether @owner, with its lane above the holder, may claim a chunk by a swap of this word. */
static inline bool pool_may_claim(const struct pool *pool, uint64_t word, uint32_t owner)
{
	return word_is_open(word) ||
	       (pool_is_free(pool, word) && (word_lane(word) == owner >> WORD_LANE_SHIFT ||
					     lane_is_settled(pool->lanes, word)));
}

/* FREE,g -> OWNED(holder),g, which is claimed, if the word is still what was seen. */
static inline bool pool_claim_word(_Atomic uint64_t *word, uint64_t seen, uint64_t claimed)
{
	/*
	 * A1 (acquire) pairs with R1 in pool_release(), and with the reaper's R2: what the last
	 * holder did with the chunk happens before what we do. Relaxed on failure: we learnt
	 * that it is not ours and read nothing through it.
	 */
	return atomic_compare_exchange_strong_explicit(word, &seen, claimed,
						       memory_order_acquire,
						       memory_order_relaxed);
}

/**
 * pool_claim() - take one named chunk, if nobody has it
 * @index:  usually a hint from a list or cache
 * @owner:  who will hold it: a holder, and above it the lane of the calling thread or 0
 *
 * What is free for another thread's lane is left to that one.
 *
 * Threads: any. Wait-free: one compare-and-swap, never retried.
 * Crash:   the swap is the only shared write. Killed before it, the chunk is free; killed
 *          after it, the word names the dead holder and the reaper frees it.
 * Source:  DESIGN.md section 3.
 *
 * Return: 0; -EINVAL index out of range; -EBUSY somebody holds it (drop the hint).
 */
static inline int pool_claim(const struct pool *pool, uint32_t index, uint32_t owner)
{
	_Atomic uint64_t *word;
	uint64_t seen;

	if (index >= pool->n_chunks)
		return -EINVAL;

	word = &pool->entries[index].word;
	/* B12 (acquire): of one that is free for a lane, not older than the epoch that it names. */
	seen = atomic_load_explicit(word, memory_order_acquire);
	if (!pool_may_claim(pool, seen, owner) ||
	    !pool_claim_word(word, seen, word_claimed(seen, owner)))
		return -EBUSY;
	return 0;
}

/*
 * The same of a chunk that is free for another thread's lane, too, whose epoch is ended for that. For
 * one that seldom claims: it may take a membarrier.
 */
int pool_claim_any(const struct pool *pool, uint32_t index, uint32_t owner);

/**
 * pool_release_for() - give back a chunk that @holder owns alone
 * @bias:    as word_bias(), of the calling thread's lane, so that it claims the chunk by stores; 0:
 *	     for everybody
 * @seq_cst: the caller could not register for membarrier: order the store before the
 *           later look at the dry word by itself
 *
 * Only the word is changed; the hint is the caller's business (pool_hint()).
 * Crash:  killed after the store, the chunk is free and only a hint is lost.
 *
 * Return: 0; -EPERM @holder does not own it alone, nothing changed.
 */
static inline int pool_release_for(const struct pool *pool, uint32_t index, uint32_t holder,
				   uint32_t bias, bool seq_cst)
{
	_Atomic uint64_t *word = &pool->entries[index].word;
	/* Relaxed: if it is ours, we or a thread that told us wrote it last. */
	uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);

	if (!word_is_owned_by(seen, holder))
		return -EPERM;

	/*
	 * R1 (release) pairs with A1: our use of the chunk happens before the next holder's. A
	 * plain store, since nobody else changes a word that names us. D1: the caller looks at
	 * the dry word next, and must not do so before this store is visible: the one who set
	 * the dry bit sees to it by membarrier (D2), or else the store is seq_cst here, as its
	 * setting of the bit and its scan are.
	 */
	if (seq_cst)
		atomic_store_explicit(word, word_freed(seen) | bias, memory_order_seq_cst);
	else
		atomic_store_explicit(word, word_freed(seen) | bias, memory_order_release);
	return 0;
}

/* The same for everybody. */
static inline int pool_release(const struct pool *pool, uint32_t index, uint32_t holder,
			       bool seq_cst)
{
	return pool_release_for(pool, index, holder, 0, seq_cst);
}

/* The same by compare-and-swap: of two threads that free at the same time one gets -EPERM. */
int pool_release_checked(const struct pool *pool, uint32_t index, uint32_t holder);

/**
 * pool_withhold() - OWNED(@holder),g -> SENT(0, @holder),g+1, which nobody has the handle of
 * @ret_owned: what the word was
 *
 * For a holder that looks at a chunk, or fills it, before it lets go of it: until one of the next two,
 * no other thread of its process can free the chunk, or hand it over, by mistake.
 * Threads: any. Wait-free.
 * Crash:   killed before one of the next two, the word names the dead holder: given, and not taken.
 *
 * Return: 0; -EPERM @holder does not own it alone, nothing changed.
 */
int pool_withhold(const struct pool *pool, uint32_t index, uint32_t holder, uint64_t *ret_owned);

/* And back: the same hold of the same generation, as if nothing had been. */
void pool_keep_withheld(const struct pool *pool, uint32_t index, uint64_t owned);

/* Or FREE: as pool_release_checked(). Return: 0; -EPERM a hostile client has changed the word. */
int pool_release_withheld(const struct pool *pool, uint32_t index, uint64_t owned);

/* Put one free chunk's hint where every process sees it, and move the dry word if set. */
void pool_hint(const struct pool *pool, uint32_t index);

/* The same for chunks of one leaf of the free list, a bit for each. */
void pool_hint_leaf(const struct pool *pool, uint32_t leaf, uint64_t bits);

/* Set the dry bit; returns the dry word to remember. For pool_scan_begin(), and tests. */
uint64_t pool_set_dry(const struct pool *pool);

/* Lanes whose epochs a scan ends by one membarrier. */
#define POOL_SCAN_LANES 256

/* One reading of all words, or two, the last word on "exhausted". */
struct pool_scan {
	const struct pool *pool;
	uint64_t dry;			/* to remember, if it ends with -EAGAIN */
	uint32_t owner;			/* as pool_claim() has it */
	uint32_t leaf;			/* the next one to read */
	uint32_t n_left;		/* leaves */
	bool is_second;			/* reading */
	bool has_revoked;		/* the first lane that it met */
	bool has_noted;			/* others */
	bool is_deaf;			/* a membarrier failed: not all that is free was found */
	uint32_t n_noted;		/* lanes still to be revoked */
	/* Not set before has_noted is: */
	uint16_t noted[POOL_SCAN_LANES];
	uint64_t met[MEMPOOL_MAX_LANES / 64];	/* a bit for each that was noted */
};

/**
 * pool_scan_begin() - set the dry bit; then a membarrier, then pool_scan_step()
 * @start: index to begin at, for threads to spread; any value
 * @owner: as pool_claim()
 */
void pool_scan_begin(struct pool_scan *scan, const struct pool *pool, uint32_t start,
		     uint32_t owner);

/**
 * pool_scan_step() - read on, and claim the first chunk that is free
 * @max_words: after so many or a few more it comes back, to look at the clock
 *
 * Sets the hints of the free chunks that it passes in the leaf where it finds one, but of those
 * that are free for a thread's lane.
 * Threads: any. Wait-free: each lane that it meets is revoked once at most.
 * Crash:   an epoch that was ended is settled by whoever meets it next.
 *
 * Return: 0 and *ret_index; -EINPROGRESS there are more words; -EAGAIN exhausted, see above;
 *         -EBUSY somebody freed or found a chunk meanwhile: look into the list, begin again.
 */
int pool_scan_step(struct pool_scan *scan, uint32_t max_words, uint32_t *ret_index);

/* A chunk is free, or was found: whoever remembers this dry word looks again, asleep or not. */
void pool_move_dry(const struct pool *pool);

#define POOL_DRY UINT64_C(1)
#define POOL_SCARCE UINT64_C(2)
#define POOL_SEQUENCE_STEP UINT64_C(4)

/* A chunk was found by a scan alone; or the list has plenty. */
void pool_set_scarce(const struct pool *pool);
void pool_clear_scarce(const struct pool *pool);

/* Whether somebody may remember the dry word, or hints are scarce; asked after every release. */
static inline bool pool_wants_hints(const struct pool *pool)
{
	/* D1 stands after the store of the word, in the program's order too: see pool_release(). */
	atomic_signal_fence(memory_order_seq_cst);
	/*
	 * D1 (seq_cst, a plain load on x86): not before the store of pool_release(), by the
	 * membarrier of the one who set the bit, or by that store being seq_cst as well.
	 */
	return atomic_load_explicit(&pool->state->dry, memory_order_seq_cst) &
	       (POOL_DRY | POOL_SCARCE);
}

/* Whether somebody may remember the dry word; as above. */
static inline bool pool_is_dry(const struct pool *pool)
{
	atomic_signal_fence(memory_order_seq_cst);
	return atomic_load_explicit(&pool->state->dry, memory_order_seq_cst) & POOL_DRY;
}

/* So many were held at once: remember it if it is the most so far. On slow paths only. */
void pool_saw_used(const struct pool *pool, uint64_t n_used);

/* How many chunks are held now; a count of words, exact when nothing moves. */
uint32_t pool_count_used(const struct pool *pool);

#endif
