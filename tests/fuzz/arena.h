/* SPDX-License-Identifier: MIT */
/*
 * arena.h - the memory of a small segment, with traps around it
 *
 *	PROT_NONE | the segment, a page-aligned start | PROT_NONE
 *
 * One step over either end is a SIGSEGV, in any build. Under the address sanitizer the gaps
 * inside (between a pool's last entry and the next page, say) are poisoned as well, so that
 * an index one too large shows although it stays within the mapping.
 *
 * A few shapes of segments are laid out once; arena_reset() copies one of them in. There is
 * one arena in a process.
 */
#ifndef FUZZ_ARENA_H
#define FUZZ_ARENA_H

#include <stdint.h>

#include "fuzz.h"
#include "shm/segment.h"

#define ARENA_MAX_BYTES (UINT64_C(1) << 20)
#define ARENA_N_SHAPES 13

struct arena {
	unsigned char *base;
	uint64_t size;			/* of the segment in it; the rest is PROT_NONE */
	const struct geometry *geometry; /* of the shape last copied in */
};

/* A fresh, valid segment of a shape (modulo ARENA_N_SHAPES). */
struct arena *arena_reset(uint32_t shape);

/* Cut off or grow the memory, as ftruncate() does before somebody maps. */
void arena_resize(struct arena *arena, uint64_t size);

/**
 * arena_attach() - segment_attach() of what is in the arena
 *
 * Also checks that everything the segment then points to lies in the arena, and poisons
 * the gaps. The arena stays: arena_release() instead of segment_free().
 */
int arena_attach(struct arena *arena, struct segment **ret_segment);

/* Let the arena stay when this segment is freed, by its client for instance. */
void arena_detach(struct segment *segment);

/* arena_detach() and segment_free(). */
void arena_release(struct segment *segment);

/**
 * arena_poke() - what a hostile client does: change something, somewhere
 *
 * Where and how is read from the input; more often than not at a place that means
 * something, and words often become words.
 */
void arena_poke(struct arena *arena, struct fuzz_input *input);

/**
 * arena_make_agree() - write what the shape in the header leads to, as a skilful enemy does
 *
 * Offsets, counts and fingerprint become those of the (changed) shape, and the memory grows
 * or shrinks to its size, so that attach succeeds and sees a geometry of the enemy's choice.
 * Nothing, if there is no such segment or it is larger than the arena.
 */
void arena_make_agree(struct arena *arena);

#endif
