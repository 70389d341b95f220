/* SPDX-License-Identifier: MIT */
#include "lane.h"

#include <errno.h>
#include <stddef.h>

#include "barrier.h"

/* Hints of lanes that one call tries. */
#define TAKE_TRIES 8

/* Of a number that is only counted up, each failure is another's higher one: so many at once. */
#define SETTLE_TRIES 64

void lane_layout(struct mempool_lane *records, void *list_memory, uint32_t n)
{
	struct free_list list;

	/* Relaxed: nobody else sees them before the segment is published. */
	for (uint32_t i = 0; i < n; i++)
		atomic_store_explicit(&records[i].epoch, 1, memory_order_relaxed);
	free_list_view(&list, list_memory, n);
	free_list_fill(&list);
	atomic_fetch_and_explicit(&list.leaves[0], ~UINT64_C(1), memory_order_relaxed);
}

static struct mempool_lane *record_of(const struct lanes *lanes, uint32_t lane)
{
	return &lanes->records[lane];
}

/* All epochs up to this one. */
static void settle_up_to(struct mempool_lane *record, uint64_t epoch)
{
	/* Relaxed: a first guess, the swap decides. */
	uint64_t seen = atomic_load_explicit(&record->settled, memory_order_relaxed);

	/*
	 * B7' (release) pairs with B7: who goes by it has the words as the claims up to it have left
	 * them. seq_cst, as the scan that reads words next. Each failure is a higher number; a member
	 * that writes lower ones holds nobody up.
	 */
	for (int i = 0; i < SETTLE_TRIES && seen < epoch; i++)
		if (atomic_compare_exchange_strong_explicit(&record->settled, &seen, epoch,
							    memory_order_seq_cst,
							    memory_order_relaxed))
			return;
}

/* The epoch before, of one that is over, or none. */
static uint64_t epoch_before(uint64_t epoch)
{
	return epoch > 0 ? epoch - 1 : 0;
}

bool lane_is_settled(const struct lanes *lanes, uint64_t word)
{
	const struct mempool_lane *record = record_of(lanes, word_lane(word));
	/*
	 * Relaxed: not older than what the thread adopted before it wrote the word, by R1 and the
	 * acquire load of the word (B12). A later one gives the same whole number.
	 */
	uint64_t epoch = atomic_load_explicit(&record->epoch, memory_order_relaxed);

	/* B7 (acquire) pairs with B7'. */
	return atomic_load_explicit(&record->settled, memory_order_acquire) >=
	       lane_whole(epoch, word);
}

static void set_hint(const struct lanes *lanes, uint32_t lane)
{
	free_list_push(&lanes->list, lane);
}

static uint64_t epoch_of(const struct mempool_lane *record)
{
	/* B2' (acquire): what is looked at behind it is not older than the moving of the epoch. */
	return atomic_load_explicit(&record->epoch, memory_order_acquire);
}

/*
 * Whether somebody may free and claim in the epoch that a lane is in: it is not retired,
 * and not settled, which no sound member makes it. What is settled is read first, as it
 * may only be counted up behind the epoch.
 */
static bool is_usable(const struct mempool_lane *record)
{
	/* B7 (acquire), too. */
	uint64_t settled = atomic_load_explicit(&record->settled, memory_order_acquire);
	uint64_t epoch = epoch_of(record);

	return !lane_is_retired(epoch) && settled < epoch;
}

static void disown(struct mempool_lane *record)
{
	/* B9' (release) pairs with B9. */
	atomic_store_explicit(&record->owner, 0, memory_order_release);
}

/* End epoch @n of a lane. false: another has ended it. */
static bool end_epoch_at(struct mempool_lane *record, uint64_t n)
{
	/*
	 * B8 (release) pairs with the load of B4: who finds the epoch ended has the words that were
	 * written in it, and the owner that the one who ended it was, or found.
	 */
	return atomic_compare_exchange_strong_explicit(&record->epoch, &n, n + 1,
						       memory_order_release,
						       memory_order_relaxed);
}

/*
 * End the epoch that a lane is found in, which the caller has just made its own, by a swap that
 * succeeds. No claim up to it is under way: the predecessor is through, the caller has none. So
 * owner and intent, as lane_settle() reads them, are of one thread: a helper that is to settle no
 * more than this, and reads the caller's intent, finds it settled; one that is to settle more has
 * read the epoch from this swap or a later one, and so reads this owner or a later one. A swap that
 * fails would not do: that of another thread says nothing about the owner.
 *
 * Return: false: the lane is retired.
 */
static bool end_found_epoch(struct mempool_lane *record)
{
	uint64_t n;

	/* Lock-free: each failure is another's end of an epoch. */
	do {
		n = epoch_of(record);
		if (lane_is_retired(n))
			return false;
	} while (!end_epoch_at(record, n));
	settle_up_to(record, n);
	return true;
}

uint32_t lane_take(const struct lanes *lanes, uint32_t holder, uint32_t *start)
{
	/* Relaxed: whoever adopts looks again. */
	bool is_on = atomic_load_explicit(&lanes->header->claims, memory_order_relaxed) != 0;

	for (int i = 0; i < TAKE_TRIES && is_on; i++) {
		uint64_t bits = free_list_pop_bits(&lanes->list, start, 1);
		uint32_t lane = *start * 64 + (uint32_t)__builtin_ctzll(bits | UINT64_C(1) << 63);
		struct mempool_lane *record = record_of(lanes, lane);
		uint32_t nobody = 0;

		if (bits == 0)
			return LANE_NONE;
		if (lane == LANE_NONE || !is_usable(record))
			continue;
		/* B9 (acquire) pairs with B9': the one who had it is through with it. */
		if (!atomic_compare_exchange_strong_explicit(&record->owner, &nobody, holder,
							     memory_order_acquire,
							     memory_order_relaxed))
			continue;
		if (end_found_epoch(record))
			return lane;
		/* Retired meanwhile: without an owner it is swept, and gets its hint. */
		disown(record);
	}
	return LANE_NONE;
}

bool lane_adopt(const struct lanes *lanes, uint32_t lane, uint32_t holder, uint64_t *ret_epoch)
{
	struct mempool_lane *record = record_of(lanes, lane);
	bool may_use = is_usable(record);

	*ret_epoch = epoch_of(record);
	/* Relaxed: if it is ours, we wrote it last. Else somebody hostile has. */
	if (!may_use || lane_is_retired(*ret_epoch) ||
	    atomic_load_explicit(&record->owner, memory_order_relaxed) != holder)
		return false;
	/* No barrier: the thread's own stores are behind it. */
	settle_up_to(record, epoch_before(*ret_epoch));
	/*
	 * B10 (acquire) pairs with the store of the one who turns claims off: it clears the flag, then
	 * moves the epochs. So whoever reads a moved epoch sees the flag: it is looked at behind.
	 */
	return atomic_load_explicit(&lanes->header->claims, memory_order_acquire) != 0;
}

/* Return: the last epoch that is over. */
static uint64_t end_epoch(struct mempool_lane *record)
{
	uint64_t n = epoch_of(record);

	if (lane_is_retired(n))
		return epoch_before(n);
	/* A failure is another's, who has ended it. */
	end_epoch_at(record, n);
	return n;
}

static void give_back(const struct lanes *lanes, uint32_t lane)
{
	struct mempool_lane *record = record_of(lanes, lane);

	lane_rest(record);
	/* Last: as long as it names the dead, all of this is done again. */
	disown(record);
	set_hint(lanes, lane);
}

/* The word of a claim that is under way, as the intent has it; NULL: none is. */
static _Atomic uint64_t *word_under_way(const struct lanes *lanes, uint64_t intent,
					uint64_t *ret_seen)
{
	uint32_t pool = handle_pool(intent);
	_Atomic uint64_t *word;

	if (intent == 0 || pool >= lanes->n_pools || handle_index(intent) >= lanes->words[pool].n)
		return NULL;
	word = &lanes->words[pool].entries[handle_index(intent)].word;
	/* Relaxed: a first guess, the swap decides. */
	*ret_seen = atomic_load_explicit(word, memory_order_relaxed);
	return word_is_free(*ret_seen) &&
			       word_generation(*ret_seen) == handle_generation(intent)
		       ? word : NULL;
}

bool lane_is_claiming(const struct lanes *lanes, uint32_t lane)
{
	uint64_t seen;

	return word_under_way(lanes, atomic_load_explicit(&record_of(lanes, lane)->intent,
							  memory_order_acquire), &seen) != NULL;
}

static void replace(_Atomic uint64_t *word, uint64_t seen, uint64_t next)
{
	/*
	 * B6 (release) pairs with B4 of the one that is helped, who learns of it by the swap that
	 * fails; acquire, so that R1 of the last holder is passed on to it. seq_cst, as what the
	 * reaper does to words (R2, D1). A failure is the thread itself, or another helper.
	 */
	atomic_compare_exchange_strong_explicit(word, &seen, next, memory_order_seq_cst,
						memory_order_relaxed);
}

void lane_end(const struct lanes *lanes, uint32_t lane, uint32_t holder)
{
	struct mempool_lane *record = record_of(lanes, lane);
	_Atomic uint64_t *word;
	uint64_t seen;

	/* Relaxed: only its thread has written the name, and that is us, in no call, or dead. */
	if (atomic_load_explicit(&record->owner, memory_order_relaxed) != holder)
		return;
	/* No barrier: the thread's own stores are behind it, or it stores no more. */
	settle_up_to(record, end_epoch(record));
	word = word_under_way(lanes, atomic_load_explicit(&record->intent, memory_order_acquire),
			      &seen);
	/* The next generation: a late helper, who has read the intent, is turned away. */
	if (word)
		replace(word, seen, word_freed(seen));
	give_back(lanes, lane);
}

uint64_t lane_move(const struct lanes *lanes, uint32_t lane)
{
	struct mempool_lane *record = record_of(lanes, lane);
	/* B4 (seq_cst), both, as D2: before the readings of words that come behind the barrier. */
	uint64_t n = atomic_load_explicit(&record->epoch, memory_order_seq_cst), seen = n;

	/* The retired one is in none. */
	if (lane_is_retired(n))
		return epoch_before(n);
	/* A failure is another's, who has moved it. */
	atomic_compare_exchange_strong_explicit(&record->epoch, &seen, n + 1, memory_order_seq_cst,
						memory_order_seq_cst);
	return n;
}

void lane_settle(const struct lanes *lanes, uint32_t lane, uint64_t epoch)
{
	struct mempool_lane *record = record_of(lanes, lane);
	/* Acquire, the owner, then the intent, then what is settled: in this order. */
	uint32_t owner = atomic_load_explicit(&record->owner, memory_order_acquire);
	/* B5 (acquire) pairs with the store of the intent: what was claimed before this intent is OWNED. */
	uint64_t intent = atomic_load_explicit(&record->intent, memory_order_acquire);
	_Atomic uint64_t *word;
	uint64_t seen;

	/*
	 * Settled by another: the lane may be another thread's by now, and the intent its. While it is
	 * not, owner and intent are of one thread: end_found_epoch().
	 */
	if (atomic_load_explicit(&record->settled, memory_order_acquire) >= epoch)
		return;
	word = word_under_way(lanes, intent, &seen);
	/* Of nobody's lane no claim is under way, and no word is ever OWNED by nobody. */
	if (word && (owner & WORD_ID_MASK) != MEMPOOL_HOLDER_NONE)
		replace(word, seen,
			word_claimed(seen, lane << WORD_LANE_SHIFT | (owner & WORD_ID_MASK)));
	settle_up_to(record, epoch);
}

bool lane_barrier(const struct lanes *lanes)
{
	/* Relaxed: a counter, for people. */
	atomic_fetch_add_explicit(&lanes->header->n_barriers, 1, memory_order_relaxed);
	return barrier_all();
}

/* End the epoch of a word, if the lane is still in it. Return: the last one that is over. */
static uint64_t move_from(struct mempool_lane *record, uint64_t word)
{
	/* B4 (seq_cst), as in lane_move(). */
	uint64_t n = atomic_load_explicit(&record->epoch, memory_order_seq_cst), seen = n;

	if (n != lane_whole(n, word))
		return epoch_before(n);
	atomic_compare_exchange_strong_explicit(&record->epoch, &seen, n + 1, memory_order_seq_cst,
						memory_order_seq_cst);
	return n;
}

int lane_revoke(const struct lanes *lanes, uint64_t word)
{
	uint64_t n;

	if (lane_is_settled(lanes, word))
		return 0;
	n = move_from(record_of(lanes, word_lane(word)), word);
	if (!lane_barrier(lanes))
		return -EPERM;
	lane_settle(lanes, word_lane(word), n);
	return 0;
}

void lane_turn(const struct lanes *lanes, bool is_on)
{
	/*
	 * B10 (release) pairs with the load in lane_adopt(). To turn off, it is before the epochs move
	 * (B4), so that a thread which reads a moved epoch reads this behind it.
	 */
	atomic_store_explicit(&lanes->header->claims, is_on, memory_order_release);
}

int lane_revoke_step(const struct lanes *lanes, uint32_t *lane)
{
	uint32_t n = lanes->n - *lane < LANE_REVOKE_STEP ? lanes->n - *lane : LANE_REVOKE_STEP;
	uint64_t epochs[LANE_REVOKE_STEP];

	for (uint32_t i = 0; i < n; i++)
		epochs[i] = lane_move(lanes, *lane + i);
	if (!lane_barrier(lanes))
		return -EPERM;
	for (uint32_t i = 0; i < n; i++)
		lane_settle(lanes, *lane + i, epochs[i]);
	*lane += n;
	return 0;
}

static bool is_nobodys(const struct mempool_lane *record)
{
	/* Acquire, before the epoch: of a lane that was given back that is one that it had then. */
	return atomic_load_explicit(&record->owner, memory_order_acquire) == MEMPOOL_HOLDER_NONE;
}

bool lane_is_over(const struct lanes *lanes, uint32_t lane)
{
	return !is_usable(record_of(lanes, lane));
}

bool lane_waits_for_sweep(const struct lanes *lanes, uint32_t lane)
{
	return lane != LANE_NONE && is_nobodys(record_of(lanes, lane)) &&
	       lane_is_over(lanes, lane);
}

bool lane_is_vacant(const struct lanes *lanes, uint32_t lane)
{
	return lane != LANE_NONE && is_nobodys(record_of(lanes, lane)) &&
	       !lane_is_over(lanes, lane);
}

void lane_count(const struct lanes *lanes, struct lane_counts *ret_counts)
{
	/* Relaxed, both: for people. */
	*ret_counts = (struct lane_counts){
		.is_on = atomic_load_explicit(&lanes->header->claims, memory_order_relaxed) != 0,
		.n_barriers = atomic_load_explicit(&lanes->header->n_barriers, memory_order_relaxed),
	};
	for (uint32_t lane = LANE_NONE + 1; lane < lanes->n; lane++) {
		const struct mempool_lane *record = record_of(lanes, lane);

		if (lane_is_vacant(lanes, lane))
			ret_counts->n_free++;
		else if (lane_waits_for_sweep(lanes, lane))
			ret_counts->n_retired++;
		else
			ret_counts->n_owned++;
		ret_counts->n_revoked += atomic_load_explicit(&record->epoch, memory_order_relaxed) - 1;
	}
}

void lane_renew(const struct lanes *lanes, uint32_t lane)
{
	struct mempool_lane *record = record_of(lanes, lane);
	uint64_t n = epoch_of(record);
	/* Relaxed: whoever writes there meanwhile is hostile. */
	bool is_sound = atomic_load_explicit(&record->settled, memory_order_relaxed) < n;

	/* Release: the words are turned before. Another sweep may have been faster. */
	if (lane_is_over(lanes, lane) &&
	    atomic_compare_exchange_strong_explicit(&record->epoch, &n, is_sound ? n + 1 : 1,
						    memory_order_release, memory_order_relaxed)) {
		/* From the first epoch on, as no other is to be believed; only now is it usable. */
		if (!is_sound)
			atomic_store_explicit(&record->settled, 0, memory_order_release);
		set_hint(lanes, lane);
	}
}
