/* SPDX-License-Identifier: MIT */
/*
 * mempool_frame.h - what stands before a picture, or a run of samples, in a chunk
 *
 * For programs that do not know each other, and for bindings. 64 bytes, then the rows:
 *
 *	struct mempool_frame	fields of your own, if any	row 0	row 1 ...
 *	0			64				header_bytes
 *
 * Numbers are in the byte order of the machine: a chunk never leaves it. Nothing else of the
 * library is needed, and nothing of this header is in the library. Who takes frames from programs
 * that it does not trust copies the struct first, and looks at the copy (mempool_frame_data()).
 *
 *	struct mempool_frame *frame = mempool_alloc(client, sizeof(*frame) + 480 * 640);
 *
 *	mempool_frame_init(frame, MEMPOOL_FRAME_GREY, 640, 480, 640);
 *	frame->sequence = ++n;
 *	memcpy(frame + 1, pixels, 480 * 640);
 *	mempool_topic_publish(topic, frame, sizeof(*frame) + 480 * 640);
 */
#ifndef MEMPOOL_FRAME_H
#define MEMPOOL_FRAME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* "MPfr", as a number in memory. */
#define MEMPOOL_FRAME_MAGIC 0x7266504d

/*
 * What one value looks like: four characters, the first in the lowest byte. Those of pictures are
 * the codes of V4L2 (linux/videodev2.h), and any other of its codes may stand there. Those of
 * samples are our own.
 */
enum mempool_frame_format {
	MEMPOOL_FRAME_GREY = 0x59455247, /* "GREY": 8 bits */
	MEMPOOL_FRAME_Y16 = 0x20363159,	 /* "Y16 ": 16 bits */
	MEMPOOL_FRAME_RGB24 = 0x33424752, /* "RGB3": 3 bytes, red first */
	MEMPOOL_FRAME_BGR24 = 0x33524742, /* "BGR3": 3 bytes, blue first */
	MEMPOOL_FRAME_RGBA32 = 0x34324241, /* "AB24": 4 bytes, red first, alpha last */
	MEMPOOL_FRAME_BGRA32 = 0x34325241, /* "AR24": 4 bytes, blue first, alpha last */
	MEMPOOL_FRAME_YUYV = 0x56595559, /* "YUYV": two pixels in 4 bytes */
	MEMPOOL_FRAME_NV12 = 0x3231564e, /* "NV12": luma rows, then half as many of chroma pairs */
	MEMPOOL_FRAME_MJPEG = 0x47504a4d, /* "MJPG": a JPEG file; no rows, the stride is 0 */
	MEMPOOL_FRAME_S16 = 0x20363153,	 /* "S16 ": samples, signed 16 bits */
	MEMPOOL_FRAME_S32 = 0x20323353,	 /* "S32 ": samples, signed 32 bits */
	MEMPOOL_FRAME_F32 = 0x20323346	 /* "F32 ": samples, float */
};

struct mempool_frame {
	uint32_t magic;		/* MEMPOOL_FRAME_MAGIC */
	uint32_t header_bytes;	/* from here to the first row; 64 at least */
	uint32_t format;	/* enum mempool_frame_format, or another code of V4L2 */
	uint32_t width;		/* pixels in a row; of samples: channels */
	uint32_t height;	/* rows; of samples: how many of each channel */
	uint32_t stride;	/* bytes from row to row; 0: there are no rows */
	uint64_t sequence;	/* counted by the source, also what it could not publish; from 1 */
	int64_t stamp_ns;	/* when it was taken, by CLOCK_MONOTONIC; 0: not told */
	uint64_t data_bytes;	/* from the first row on; at least height * stride */
	uint64_t reserved[2];	/* 0 */
};

/**
 * mempool_frame_init() - fill in a header whose rows follow at once
 * @frame: the start of a chunk, or other memory, of which 64 bytes are written
 *
 * data_bytes is height * stride; of a format with more (NV12), or without rows, set it afterwards.
 * sequence and stamp_ns are 0.
 */
static __inline__ void mempool_frame_init(struct mempool_frame *frame, uint32_t format,
					  uint32_t width, uint32_t height, uint32_t stride)
{
	frame->magic = MEMPOOL_FRAME_MAGIC;
	frame->header_bytes = (uint32_t)sizeof(*frame);
	frame->format = format;
	frame->width = width;
	frame->height = height;
	frame->stride = stride;
	frame->sequence = 0;
	frame->stamp_ns = 0;
	frame->data_bytes = (uint64_t)height * stride;
	frame->reserved[0] = 0;
	frame->reserved[1] = 0;
}

/**
 * mempool_frame_data() - where the rows of a message begin, if it is a frame and all of it is there
 * @frame:  the header, or a copy of it that nobody else writes to
 * @chunk:  the message
 * @length: its bytes
 *
 * All rows are within the message then: height * stride <= data_bytes <= length - header_bytes.
 * What the format makes of width and stride is for the caller to check.
 * Return:  the first row; NULL it is no frame, or not whole.
 */
static __inline__ const void *mempool_frame_data(const struct mempool_frame *frame,
						 const void *chunk, size_t length)
{
	if (length < sizeof(*frame) || frame->magic != MEMPOOL_FRAME_MAGIC ||
	    frame->header_bytes < sizeof(*frame) || frame->header_bytes > length ||
	    frame->data_bytes > length - frame->header_bytes ||
	    (uint64_t)frame->height * frame->stride > frame->data_bytes)
		return NULL;
	return (const unsigned char *)chunk + frame->header_bytes;
}

#ifdef __cplusplus
}
#endif

#endif
