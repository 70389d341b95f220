/* SPDX-License-Identifier: MIT */
/*
 * picture.h - a picture, as mempool-camera publishes it and mempool-watch reads it
 *
 * Small enough for the pools of the config that is installed. Between the header that all programs
 * know and the pixels stands a checksum over these: a subscriber that read a chunk while somebody
 * wrote to it would notice. A program that knows the header alone passes over it.
 */
#ifndef EXAMPLES_PICTURE_H
#define EXAMPLES_PICTURE_H

#include <stddef.h>
#include <stdint.h>

#include "mempool_frame.h"

#define PICTURE_WIDTH 64
#define PICTURE_HEIGHT 48

struct picture {
	struct mempool_frame frame;
	uint64_t checksum;
	uint8_t pixels[PICTURE_WIDTH * PICTURE_HEIGHT];
};

#define PICTURE_HEADER_BYTES offsetof(struct picture, pixels)
#define PICTURE_BYTES (PICTURE_HEADER_BYTES + PICTURE_WIDTH * PICTURE_HEIGHT)

/* FNV-1a */
static inline uint64_t picture_checksum(const uint8_t *pixels)
{
	uint64_t sum = UINT64_C(14695981039346656037);

	for (unsigned int i = 0; i < PICTURE_WIDTH * PICTURE_HEIGHT; i++)
		sum = (sum ^ pixels[i]) * UINT64_C(1099511628211);
	return sum;
}

#endif
