/* SPDX-License-Identifier: MIT */
/*
 * frames.h - the pictures of this test: 1080p, grey; each row has one value, which the picture's number
 *	      and the row make up
 *
 * An empty message says that there are no more.
 */
#ifndef LANGUAGES_FRAMES_H
#define LANGUAGES_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mempool_frame.h"

#define FRAMES_WIDTH 1920
#define FRAMES_HEIGHT 1080
#define FRAMES_BYTES (sizeof(struct mempool_frame) + FRAMES_WIDTH * FRAMES_HEIGHT)

static inline unsigned char frames_value(uint64_t sequence, unsigned int row)
{
	return (unsigned char)(sequence * 7 + row);
}

/* Whether a message is one of them. */
static inline bool frames_are_right(const void *chunk, size_t length)
{
	const struct mempool_frame *frame = (const struct mempool_frame *)chunk;
	const unsigned char *rows = (const unsigned char *)mempool_frame_data(frame, chunk, length);

	if (!rows || frame->format != MEMPOOL_FRAME_GREY || frame->width != FRAMES_WIDTH ||
	    frame->height != FRAMES_HEIGHT)
		return false;
	for (unsigned int row = 0; row < FRAMES_HEIGHT; row++)
		for (unsigned int x = 0; x < FRAMES_WIDTH; x += 113)
			if (rows[(size_t)row * frame->stride + x] != frames_value(frame->sequence, row))
				return false;
	return true;
}

#endif
