/* SPDX-License-Identifier: MIT */
/*
 * free_list.h - hints where a free chunk may be: a two-level bitmap
 *
 * A leaf bit per index, a summary bit per leaf. A set bit says "look here", nothing more:
 * whoever pops an index must still claim the chunk by its word. So a bit may be set twice,
 * be stale, or be lost with a killed process; the words repair it. There is no ABA.
 *
 * Summary rule: who sets bits sets the leaf first, then the summary, always; who clears a
 * summary bit looks at the leaf again and sets it back if the leaf has bits. So a summary
 * bit is clear over a leaf with bits only while somebody is between the two steps, or was
 * killed there; a pop that finds the summary empty reads all leaves once before it
 * believes it.
 *
 * Source: DESIGN.md section 3; the guide's MPMC_LockFree_List (a linked stack there).
 */
#ifndef SHM_FREE_LIST_H
#define SHM_FREE_LIST_H

#include <stdint.h>

/* A private view: two pointers into the segment and counts that were checked. */
struct free_list {
	_Atomic uint64_t *leaves;
	_Atomic uint64_t *summary;
	uint32_t n;
	uint32_t n_leaves;
	uint32_t n_summary;
};

/* Bytes of the bitmap for n indices; a multiple of 64. The guide's requiredIndexMemorySize. */
uint64_t free_list_size_bytes(uint32_t n);

/* Look at a list that stands in memory. memory: 8-aligned, free_list_size_bytes(n) long. */
void free_list_view(struct free_list *list, void *memory, uint32_t n);

/* Set every bit of a list that nobody else sees yet. */
void free_list_fill(struct free_list *list);

/**
 * free_list_pop() - take up to @max hints out of one leaf
 * @start:   in: the leaf to look at first, then those behind it in its word of the summary, then those
 *	     before it there, then those of other words; out: where bits were found. Threads that
 *	     start at different places do not meet. Who starts at the same one again and again gets
 *	     what came back there, while it is warm.
 * @indices: room for @max of them, filled from 0 with the highest first: who uses them from
 *	     the end of the array gets them in ascending order
 * @max:     in [1, 64]
 *
 * Threads:  any. Lock-free: each retry means that another thread took or set bits.
 * Crash:    killed after the fetch_and, the popped hints are lost; the chunks are still
 *           FREE by their words, and a scan or the reaper sets their bits again.
 *
 * Return: how many were taken; 0 when summary and leaves were all seen empty.
 */
uint32_t free_list_pop(const struct free_list *list, uint32_t *start, uint32_t *indices,
		       uint32_t max);

/* The same as bits of the leaf that *leaf names then; 0: none. */
uint64_t free_list_pop_bits(const struct free_list *list, uint32_t *leaf, uint32_t max);

/* The indices of bits of a leaf, the highest first. Returns how many. */
uint32_t free_list_unpack(uint32_t leaf, uint64_t bits, uint32_t *indices);

/* Set the bit of one index in [0, n). Any thread; wait-free. */
void free_list_push(const struct free_list *list, uint32_t index);

/* Set several bits of one leaf. Bits past n must be clear. */
void free_list_push_mask(const struct free_list *list, uint32_t leaf, uint64_t mask);

/* Push n indices in any order, one operation per run of neighbours in one leaf. */
void free_list_push_many(const struct free_list *list, const uint32_t *indices, uint32_t n);

/* 1 if the index has its bit, and its leaf's summary bit; for the audit. */
int free_list_has(const struct free_list *list, uint32_t index);

#endif
