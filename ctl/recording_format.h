/* SPDX-License-Identifier: MIT */
/*
 * recording_format.h - the bytes of a recording, for its writer and its reader: mempool_recording(5)
 */
#ifndef CTL_RECORDING_FORMAT_H
#define CTL_RECORDING_FORMAT_H

#include <endian.h>
#include <stdbool.h>
#include <string.h>

#include "checksum.h"
#include "recording.h"

#define RECORDING_FILE_MAGIC "MPrecord"
#define RECORDING_RECORD_MAGIC UINT32_C(0x6472504d)	/* MPrd */

/* Of an index record's content: the place of the one before, or 0; then entries. */
#define RECORDING_INDEX_ENTRIES 512
#define RECORDING_INDEX_HEAD_BYTES 8
#define RECORDING_INDEX_ENTRY_BYTES 16	/* taken_ns, offset */

/* Of the end's content: the place of the last index, messages, bytes, missed. It is the last of the
 * file, so that it is found from behind. */
#define RECORDING_END_BYTES 32

/* Every field of the format, by where it stands. */
enum {
	FILE_HEAD_MAGIC = 0,
	FILE_HEAD_VERSION = 8,
	FILE_HEAD_BYTES = 12,
	FILE_HEAD_ID = 16,
	FILE_HEAD_BEGAN = 24,
	FILE_HEAD_BEGAN_REALTIME = 32,
	FILE_HEAD_CHECKSUM = 60,

	HEAD_MAGIC = 0,
	HEAD_CHECKSUM = 4,		/* of all that stands behind it */
	HEAD_FILE_ID = 8,
	HEAD_OFFSET = 16,
	HEAD_TYPE = 24,
	HEAD_CHANNEL = 28,
	HEAD_N_BYTES = 32,
	HEAD_TAKEN = 40,
	HEAD_SENT = 48,
	HEAD_MISSED = 56,
	HEAD_TAG = 64,
	HEAD_CONTENT_CHECKSUM = 68,
};

static inline void put_le32(unsigned char *to, uint32_t value)
{
	value = htole32(value);
	memcpy(to, &value, sizeof(value));
}

static inline void put_le64(unsigned char *to, uint64_t value)
{
	value = htole64(value);
	memcpy(to, &value, sizeof(value));
}

static inline uint32_t get_le32(const unsigned char *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return le32toh(value);
}

static inline uint64_t get_le64(const unsigned char *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return le64toh(value);
}

/* Bytes behind a content, up to the next head. */
static inline size_t recording_filling(uint64_t n_bytes)
{
	return (size_t)(-n_bytes & 7);
}

/* Of a whole record. */
static inline uint64_t recording_record_bytes(uint64_t n_bytes)
{
	return RECORDING_HEAD_BYTES + n_bytes + recording_filling(n_bytes);
}

static inline uint32_t recording_head_checksum(const unsigned char *head)
{
	return checksum(head + HEAD_FILE_ID, RECORDING_HEAD_BYTES - HEAD_FILE_ID);
}

#endif
