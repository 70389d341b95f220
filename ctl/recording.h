/* SPDX-License-Identifier: MIT */
/*
 * recording.h - a file of messages: what stands in it, how it is written and read
 *
 * A head, and records behind each other, each of a head, a content and up to 7 bytes of filling.
 * mempool_recording(5) describes every byte. What the file is made for:
 *
 *   A record is there when its head is. A head has a checksum, names the file and its own place in
 *   it, so nothing in a content can pass for one, not even a recording that was recorded. A long
 *   content is written first and its head afterwards; short records are collected and written
 *   together. So who reads while it grows finds whole records, and behind them perhaps one that is
 *   none yet.
 *
 *   What is damaged costs that record alone: the reader says from where to where, looks for the next
 *   head, and goes on.
 *
 *   Where the disk is full, the file is cut behind its last whole record.
 *
 * Order and stamps are those of the recorder: records of one channel stand in the order of the topic.
 * An index goes along, so that a reader finds a moment without reading what is before it.
 */
#ifndef CTL_RECORDING_H
#define CTL_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORDING_VERSION 1
#define RECORDING_FILE_HEAD_BYTES 64
#define RECORDING_HEAD_BYTES 80

/* More than a segment has topics and queues. */
#define RECORDING_MAX_CHANNELS 65536

enum recording_type {
	RECORDING_TOPIC = 1,		/* a channel, and its name as content */
	RECORDING_QUEUE = 2,
	RECORDING_MESSAGE = 3,		/* of a topic */
	RECORDING_COUNTS = 4,		/* of a queue: sent and received, 8 bytes each */
	RECORDING_INDEX = 5,
	RECORDING_END = 6,
};

/* The content of counts. */
#define RECORDING_COUNTS_BYTES 16
void recording_encode_counts(uint64_t n_sent, uint64_t n_received,
			     unsigned char ret_content[static RECORDING_COUNTS_BYTES]);
void recording_decode_counts(const unsigned char content[static RECORDING_COUNTS_BYTES],
			     uint64_t *ret_sent, uint64_t *ret_received);

/* The head of a record, as it is in memory. */
struct recording_head {
	enum recording_type type;
	uint32_t channel;		/* of what has one */
	uint64_t taken_ns;		/* when it was recorded, CLOCK_MONOTONIC */
	uint64_t sent_ns;		/* when it was published, the same clock; 0: it has no stamp */
	uint64_t n_missed;		/* messages of this channel between the one before and this */
	uint32_t tag;
	size_t n_bytes;			/* of the content */
};

/* What is in it, together. */
struct recording_sums {
	uint64_t n_messages;
	uint64_t n_bytes;		/* of their contents */
	uint64_t n_missed;
};

/* ---- writing ---- */

struct recording_writer;

/**
 * recording_create() - begin a file
 * @path: of a file that is not there yet
 *
 * It is for its owner alone, since not everybody may see the messages. It has a lock as long as the
 * writer lives, by which a reader knows that it grows.
 *
 * Return: 0; -EEXIST; -ENOMEM; other -errno of open(2) and write(2).
 */
int recording_create(const char *path, struct recording_writer **ret_writer);

/**
 * recording_put() - a record, which is written now or later
 *
 * Threads: one at a time, here and below.
 * Crash:   of the process: what recording_flush() has not written is lost. Of the machine: as with
 *	    every file that nobody synchronizes.
 * Return:  0; -ENOSPC, -EFBIG, other -errno of pwrite(2): nothing of it, nor of what was put since the
 *	    last flush, need be in the file, which is cut behind what is.
 */
int recording_put(struct recording_writer *writer, const struct recording_head *head,
		  const void *content);

/**
 * recording_try() - write a long content that may change meanwhile, and no head yet
 *
 * To be followed by recording_commit(), once it is known that the content was whole; else the next
 * record takes its place.
 *
 * Return: as recording_put().
 */
int recording_try(struct recording_writer *writer, const struct recording_head *head,
		  const void *content);
int recording_commit(struct recording_writer *writer);

/* Write what was collected. Return: as recording_put(). */
int recording_flush(struct recording_writer *writer);

void recording_sums(const struct recording_writer *writer, struct recording_sums *ret_sums);

/**
 * recording_finish() - flush, say that this is the end, and close
 * @writer: NULL does nothing. Freed, on an error as well
 *
 * Return: 0; as recording_put(): the file has no end, and is good to be read.
 */
int recording_finish(struct recording_writer *writer);

/* ---- reading ---- */

struct recording_reader;

/* From where to where a file is damaged. */
struct recording_gap {
	uint64_t from;
	uint64_t to;
};

/**
 * recording_open() - begin to read
 *
 * Return: 0; -EBADMSG it is no recording; -EPROTONOSUPPORT of another version; -ENOMEM; other -errno
 *	   of open(2) and read(2).
 */
int recording_open(const char *path, struct recording_reader **ret_reader);

/**
 * recording_next() - the next record
 * @ret_content: good until the next call; NULL: it is not wanted, and not checked
 *
 * What stands in a content is checked where it leads a reader: a message is of a channel that was
 * there before as a topic, a name is closed by a NUL that is not counted. Records of types that are
 * not known are passed over.
 *
 * Return: 0;
 *	-EBADMSG	damaged, *reterr_gap says where; the next call goes on behind it
 *	-EAGAIN		nothing is behind the last whole record, or no whole record: the file grows, or
 *			was cut. *reterr_gap is what there is behind it
 *	-ENODATA	behind the end
 *	-ENOMEM; other -errno of read(2)
 */
int recording_next(struct recording_reader *reader, struct recording_head *ret_head,
		   const void **ret_content, struct recording_gap *reterr_gap);

/**
 * recording_seek() - to a record that is not behind the first message taken at this time or later
 *
 * By the index of a file that has an end, and not back. Of one without, and of one whose index is
 * damaged, the reader stays where it is. Channels stand before all messages: they are to be read
 * before, so that those of the messages are known.
 *
 * Return: 0; -errno of read(2).
 */
int recording_seek(struct recording_reader *reader, uint64_t taken_ns);

/* Name of a channel that was met; NULL: there is none of that number. */
const char *recording_channel_name(const struct recording_reader *reader, uint32_t channel);
bool recording_channel_is_topic(const struct recording_reader *reader, uint32_t channel);
uint32_t recording_n_channels(const struct recording_reader *reader);

/* When it was begun: CLOCK_MONOTONIC, and ns since 1970. */
uint64_t recording_began_ns(const struct recording_reader *reader);
uint64_t recording_began_realtime_ns(const struct recording_reader *reader);

/* Whether its writer lives. */
bool recording_grows(const struct recording_reader *reader);

/* @reader: NULL does nothing. */
void recording_close(struct recording_reader *reader);

#endif
