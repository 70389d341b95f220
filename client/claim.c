/* SPDX-License-Identifier: MIT */
#include "claim.h"

#include "shm/clock.h"

/*
 * Without a lane, or where hints are wanted: swaps until the next look. A prime: in whatever turn a thread
 * claims chunks and ChunkManagers, it is not always one of these that uses them up.
 */
#define LOOK_SWAPS 1021

/* Swaps of a thread whose epoch was ended: at first, and at most. */
#define QUIET_MIN 64
#define QUIET_MAX (UINT32_C(1) << 20)

/* An epoch that lasted so long was not ended by one who asks again and again. */
#define CALM_NS INT64_C(100000000)

static const struct lanes *lanes_of(const struct cache *cache)
{
	return &cache_client(cache)->segment->lanes;
}

/* By swap alone. What is adopted next, and when, the caller says. */
static void go_without(struct cache *cache)
{
	cache->mine = CLAIM_NONE;
	cache->record = &cache->no_record;
	for (uint32_t i = 0; i < cache_client(cache)->n_claimable; i++)
		cache->magazines[i].bias = 0;
}

static void forget_lane(struct cache *cache)
{
	go_without(cache);
	cache->lane = LANE_NONE;
	cache->owned = cache->held;
	cache->n_swaps_left = LOOK_SWAPS;
}

void claim_init(struct cache *cache)
{
	/* In no epoch that a lane could be in there. */
	cache->epoch = UINT64_MAX;
	cache->n_quiet = QUIET_MIN / 2;
	forget_lane(cache);
	cache->n_swaps_left = 1;
}

/* Whose stores others can order, and whose frees are those of mempool_free(). */
static bool may_have_lane(const struct cache *cache)
{
	return cache_writer(cache) == cache_client(cache) && !cache->seq_cst;
}

static bool take_lane(struct cache *cache)
{
	cache->lane = lane_take(lanes_of(cache), cache->holder, &cache->lane_start);
	cache->owned = cache->held | cache->lane << WORD_LANE_SHIFT;
	return cache->lane != LANE_NONE;
}

/* Frees are for the lane where no hints are wanted. Return: whether that is everywhere. */
static bool set_bias(struct cache *cache, uint32_t bias)
{
	bool is_everywhere = true;

	for (uint32_t i = 0; i < cache_client(cache)->n_claimable; i++) {
		struct magazine *magazine = &cache->magazines[i];

		magazine->bias = pool_wants_hints(&magazine->pool) ? 0 : bias;
		is_everywhere &= magazine->bias != 0;
	}
	return is_everywhere;
}

void claim_end(struct cache *cache)
{
	if (cache->lane != LANE_NONE)
		lane_end(lanes_of(cache), cache->lane, cache->holder);
	forget_lane(cache);
}

/* n_swaps_left is 0. */
static void look(struct cache *cache)
{
	uint64_t epoch;

	cache->n_swaps_left = LOOK_SWAPS;
	if (!may_have_lane(cache) || (cache->lane == LANE_NONE && !take_lane(cache)))
		return;
	/* Off, or its epochs are used up: another lane, if there is one, at the next look. */
	if (!lane_adopt(lanes_of(cache), cache->lane, cache->holder, &epoch)) {
		claim_end(cache);
		return;
	}
	if (epoch != cache->epoch || cache->mine == CLAIM_NONE)
		cache->adopted_ns = clock_now_ns();
	cache->epoch = epoch;
	cache->mine = word_bias(cache->lane, epoch);
	cache->record = &lanes_of(cache)->records[cache->lane];
	if (set_bias(cache, cache->mine))
		cache->n_swaps_left = UINT32_MAX;
}

/* Somebody has ended the epoch, to have what is free for the lane. */
static void be_quiet(struct cache *cache)
{
	if (clock_now_ns() - cache->adopted_ns >= CALM_NS)
		cache->n_quiet = QUIET_MIN;
	else if (cache->n_quiet < QUIET_MAX)
		cache->n_quiet *= 2;
	/* The claim in which it learnt that is decided. */
	lane_rest(cache->record);
	go_without(cache);
	cache->n_swaps_left = cache->n_quiet;
}

void claim_doubt(struct cache *cache)
{
	lane_rest(cache->record);
	if (cache->mine != CLAIM_NONE && lane_is_over(lanes_of(cache), cache->lane))
		be_quiet(cache);
}

static bool finish_moved(struct cache *cache, const struct pool *pool, uint32_t index)
{
	_Atomic uint64_t *word = &pool->entries[index].word;
	/* B4 (acquire), both, pairs with B6 of the one who may have finished the claim for us. */
	uint64_t seen = atomic_load_explicit(word, memory_order_acquire);
	bool is_ours = false;

	/* What stood there as a word of ours is one that no thread writes. */
	if (cache->mine == CLAIM_NONE)
		return false;
	if ((uint32_t)seen == cache->mine)
		is_ours = atomic_compare_exchange_strong_explicit(
			word, &seen, (seen - cache->mine) | cache->owned, memory_order_acquire,
			memory_order_acquire);
	/*
	 * Finished, the word is what we would have written, which no other thread writes. Else somebody
	 * has revoked it, and claimed it.
	 */
	is_ours |= (uint32_t)seen == cache->owned;
	be_quiet(cache);
	return is_ours;
}

/* By its lane, or settled. */
static bool claim_other(struct cache *cache, const struct pool *pool, uint32_t index)
{
	if (pool_claim(pool, index, claim_owner(cache)) < 0) {
		claim_doubt(cache);
		return false;
	}
	if (--cache->n_swaps_left == 0)
		look(cache);
	return true;
}

bool claim_finish(struct cache *cache, const struct pool *pool, uint32_t index, enum claim claim)
{
	switch (claim) {
	case CLAIM_DUE:
		/* A lane is for a thread that allocates: not for one that shares what it was given. */
		if (pool->lanes)
			look(cache);
		else
			cache->n_swaps_left = LOOK_SWAPS;
		return true;
	case CLAIM_MOVED:
		return finish_moved(cache, pool, index);
	case CLAIM_OTHER:
		return claim_other(cache, pool, index);
	default:
		return claim == CLAIM_DONE;
	}
}

void claim_unbias(struct cache *cache, struct magazine *magazine)
{
	if (magazine->bias == 0)
		return;
	/* It looks again when others have had the time to take hints. */
	magazine->bias = 0;
	if (cache->n_swaps_left > LOOK_SWAPS)
		cache->n_swaps_left = LOOK_SWAPS;
}

bool claim_open(const struct cache *cache, const struct pool *pool, uint32_t index)
{
	_Atomic uint64_t *word = &pool->entries[index].word;
	/* B12 (acquire): of one that is free for a lane, not older than the epoch that it names. */
	uint64_t seen = atomic_load_explicit(word, memory_order_acquire);

	/*
	 * B11 (release), as R1: what we did with the chunk is before what its next holder does. Only
	 * this thread claims by stores what is free for its lane, and it does not. Lost, it was
	 * revoked, and is somebody's.
	 */
	return pool_is_open(pool, seen) ||
	       (word_is_free(seen) && word_lane(seen) == cache->lane &&
		atomic_compare_exchange_strong_explicit(word, &seen, word_opened(seen),
							memory_order_release, memory_order_relaxed));
}
