/* SPDX-License-Identifier: MIT */
/*
 * frame.h - a picture, as mempool-camera publishes it and mempool-watch reads it
 *
 * Small enough for the pools of the config that is installed. The checksum is over the
 * pixels: a subscriber that read a chunk while somebody wrote to it would notice.
 */
#ifndef EXAMPLES_FRAME_H
#define EXAMPLES_FRAME_H

#include <stdint.h>

#define FRAME_WIDTH 64
#define FRAME_HEIGHT 48

struct frame {
	uint64_t number;		/* of the camera, from 1 */
	uint64_t checksum;
	uint8_t pixels[FRAME_WIDTH * FRAME_HEIGHT];
};

/* FNV-1a */
static inline uint64_t frame_checksum(const struct frame *frame)
{
	uint64_t sum = UINT64_C(14695981039346656037);

	for (unsigned int i = 0; i < sizeof(frame->pixels); i++)
		sum = (sum ^ frame->pixels[i]) * UINT64_C(1099511628211);
	return sum;
}

#endif
