/* SPDX-License-Identifier: MIT */
/*
 * checksum.h - of what stands in a recording: four CRC-32C side by side
 *
 * Words of 8 bytes, little endian, in turn to each of the four, the last 32 bytes filled up with
 * zeros; and then a CRC-32C of the four. The instruction for it gives a result each cycle, three
 * cycles later: four that do not wait for each other keep it busy, and keep up with memory.
 * One CRC-32C: polynomial 0x1edc6f41, reflected, beginning with all ones, not inverted in the end.
 */
#ifndef CTL_CHECKSUM_H
#define CTL_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/**
 * checksum() - of some bytes; their number is not in it
 *
 * Threads: any.
 * Crash:   the bytes may change meanwhile: then it is anybody's.
 */
uint32_t checksum(const void *bytes, size_t n);

/* The same, on machines that have no instruction for it. */
uint32_t checksum_by_table(const void *bytes, size_t n);

#endif
