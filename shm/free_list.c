/* SPDX-License-Identifier: MIT */
#include "free_list.h"

#include <stdatomic.h>

/*
 * Orders. A bit carries no data: the chunk's content is ordered by its word (A1/R1). A hint
 * comes after the word that it is about (F3, F4), and the summary rule must hold, that no
 * leaf keeps bits unseen under a clear summary bit once all steps are done:
 *
 *	push: leaf |= bits	   pop: summary &= ~bit
 *	      summary |= bit		look at the leaf again
 *
 * Both write the same summary word by read-modify-write, so one comes first. If push's does,
 * pop's reads from it (F2 acquire, F1 release), and pop's second look sees the leaf bits. If
 * pop's does, push's sets the bit after it. Either way the bit ends up set over the leaf.
 */

#define BITS 64

static uint32_t words_for(uint32_t n)
{
	return (n + BITS - 1) / BITS;
}

static uint64_t round_line(uint64_t n_words)
{
	return (n_words * sizeof(uint64_t) + 63) & ~UINT64_C(63);
}

uint64_t free_list_size_bytes(uint32_t n)
{
	return round_line(words_for(n)) + round_line(words_for(words_for(n)));
}

void free_list_view(struct free_list *list, void *memory, uint32_t n)
{
	list->n = n;
	list->n_leaves = words_for(n);
	list->n_summary = words_for(list->n_leaves);
	list->leaves = memory;
	list->summary = (void *)((unsigned char *)memory + round_line(list->n_leaves));
}

static uint64_t low_bits(uint32_t n)
{
	return n >= BITS ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1;
}

static void fill_words(_Atomic uint64_t *words, uint32_t n_bits)
{
	/* Relaxed: nobody else sees the list before the segment is published. */
	for (uint32_t i = 0; i < n_bits / BITS; i++)
		atomic_store_explicit(&words[i], ~UINT64_C(0), memory_order_relaxed);
	if (n_bits % BITS)
		atomic_store_explicit(&words[n_bits / BITS], low_bits(n_bits % BITS),
				      memory_order_relaxed);
}

void free_list_fill(struct free_list *list)
{
	fill_words(list->leaves, list->n);
	fill_words(list->summary, list->n_leaves);
}

void free_list_push_mask(const struct free_list *list, uint32_t leaf, uint64_t mask)
{
	/*
	 * F3 (release) pairs with F4: a hint must not arrive before the FREE word that it is
	 * about. Who popped it would find the chunk held, drop it as stale, and the chunk would
	 * be without a hint until somebody scans.
	 */
	atomic_fetch_or_explicit(&list->leaves[leaf], mask, memory_order_release);

	/* F1 (release) pairs with F2: who clears this bit after us sees the leaf's bits. */
	atomic_fetch_or_explicit(&list->summary[leaf / BITS], UINT64_C(1) << leaf % BITS,
				 memory_order_release);
}

void free_list_push(const struct free_list *list, uint32_t index)
{
	free_list_push_mask(list, index / BITS, UINT64_C(1) << index % BITS);
}

void free_list_push_many(const struct free_list *list, const uint32_t *indices, uint32_t n)
{
	for (uint32_t i = 0; i < n;) {
		uint32_t leaf = indices[i] / BITS;
		uint64_t mask = 0;

		for (; i < n && indices[i] / BITS == leaf; i++)
			mask |= UINT64_C(1) << indices[i] % BITS;
		free_list_push_mask(list, leaf, mask);
	}
}

int free_list_has(const struct free_list *list, uint32_t index)
{
	uint32_t leaf = index / BITS;

	/* Relaxed: the audit looks at a segment that stands still. */
	return (atomic_load_explicit(&list->leaves[leaf], memory_order_relaxed) >>
			index % BITS & 1) &&
	       (atomic_load_explicit(&list->summary[leaf / BITS], memory_order_relaxed) >>
			leaf % BITS & 1);
}

/* The lowest up to max set bits of v. */
static uint64_t lowest_bits(uint64_t v, uint32_t max)
{
	uint64_t rest = v;

	if ((uint32_t)__builtin_popcountll(v) <= max)
		return v;
	for (; max > 0; max--)
		rest &= rest - 1;
	return v & ~rest;
}

/* The leaf was seen empty: clear its summary bit, then look again (the summary rule). */
static void clear_summary(const struct free_list *list, uint32_t leaf)
{
	uint64_t bit = UINT64_C(1) << leaf % BITS;

	/*
	 * F2 (acquire) pairs with F1: whoever set this bit before us has set its leaf bits
	 * before, and the load below sees them.
	 */
	atomic_fetch_and_explicit(&list->summary[leaf / BITS], ~bit, memory_order_acquire);
	if (atomic_load_explicit(&list->leaves[leaf], memory_order_relaxed) != 0)
		/* F1 again: the bits that we saw are set before the summary is. */
		atomic_fetch_or_explicit(&list->summary[leaf / BITS], bit,
					 memory_order_release);
}

/* Take up to max bits of one leaf; 0: it was empty. */
static uint64_t take_bits(const struct free_list *list, uint32_t leaf, uint32_t max)
{
	/* Relaxed: a first guess, the fetch_and takes. */
	uint64_t seen = atomic_load_explicit(&list->leaves[leaf], memory_order_relaxed);

	/* Bounded by the progress of others: got is 0 only if they took all of mask. */
	while (seen != 0) {
		uint64_t mask = lowest_bits(seen, max);
		uint64_t got;

		/* F4 (acquire) pairs with F3: the word is at least as new as its hint. */
		seen = atomic_fetch_and_explicit(&list->leaves[leaf], ~mask,
						 memory_order_acquire);
		got = seen & mask;
		seen &= ~mask;
		if (got == 0)
			continue;
		if (seen == 0)
			clear_summary(list, leaf);
		return got;
	}
	return 0;
}

/* Of bits that were taken, those that name a chunk: a hostile client may set any. */
static uint64_t in_range(const struct free_list *list, uint32_t leaf, uint64_t bits)
{
	return leaf == list->n / BITS ? bits & low_bits(list->n % BITS) : bits;
}

/* Look where one summary word points, from a leaf on. */
static uint64_t pop_summary(const struct free_list *list, uint32_t word, uint64_t allowed,
			    uint32_t *leaf_at, uint32_t max)
{
	/* Relaxed: each leaf it points to is looked at by itself. */
	uint64_t bits = atomic_load_explicit(&list->summary[word], memory_order_relaxed) &
			allowed;

	for (; bits != 0; bits &= bits - 1) {
		uint32_t leaf = word * BITS + (uint32_t)__builtin_ctzll(bits);
		uint64_t got;

		if (leaf >= list->n_leaves)
			break;
		got = take_bits(list, leaf, max);
		if (got == 0) {
			clear_summary(list, leaf);
			continue;
		}
		got = in_range(list, leaf, got);
		if (got != 0) {
			*leaf_at = leaf;
			return got;
		}
	}
	return 0;
}

/*
 * The summary says empty. A process killed between its two steps, in push or in
 * clear_summary(), leaves a leaf with bits under a clear summary bit: read all leaves once.
 */
static uint64_t pop_leaves(const struct free_list *list, uint32_t *leaf_at, uint32_t max)
{
	for (uint32_t leaf = 0; leaf < list->n_leaves; leaf++) {
		uint64_t got = take_bits(list, leaf, max);

		if (got == 0)
			continue;
		/* The rest of the leaf becomes visible again. */
		if (atomic_load_explicit(&list->leaves[leaf], memory_order_relaxed) != 0)
			free_list_push_mask(list, leaf, 0);
		got = in_range(list, leaf, got);
		if (got != 0) {
			*leaf_at = leaf;
			return got;
		}
	}
	return 0;
}

uint64_t free_list_pop_bits(const struct free_list *list, uint32_t *leaf, uint32_t max)
{
	uint32_t first = *leaf < list->n_leaves ? *leaf : 0;
	uint32_t word = first / BITS;
	uint64_t from = ~UINT64_C(0) << first % BITS;
	uint64_t bits;

	/* The first word from our place on, and before it; then all others. */
	bits = pop_summary(list, word, from, leaf, max);
	if (bits == 0)
		bits = pop_summary(list, word, ~from, leaf, max);
	for (uint32_t i = 1; bits == 0 && i < list->n_summary; i++) {
		if (++word == list->n_summary)
			word = 0;
		bits = pop_summary(list, word, ~UINT64_C(0), leaf, max);
	}
	if (bits == 0)
		bits = pop_leaves(list, leaf, max);
	return bits;
}

uint32_t free_list_unpack(uint32_t leaf, uint64_t bits, uint32_t *indices)
{
	uint32_t n = 0;

	while (bits != 0) {
		uint32_t bit = BITS - 1 - (uint32_t)__builtin_clzll(bits);

		indices[n++] = leaf * BITS + bit;
		bits ^= UINT64_C(1) << bit;
	}
	return n;
}

uint32_t free_list_pop(const struct free_list *list, uint32_t *start, uint32_t *indices,
		       uint32_t max)
{
	uint64_t bits = free_list_pop_bits(list, start, max);

	return free_list_unpack(*start, bits, indices);
}
