/* SPDX-License-Identifier: MIT */
/*
 * recording_writer.c - see recording.h
 *
 * [0, written) is whole records, in the file. Behind it comes what is collected, or a content that was
 * written without its head. What fails puts all back to `written`: the file, the index and the sums.
 */
#include "recording.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "recording_format.h"
#include "shm/clock.h"

#define BATCH_BYTES (256 * 1024)
#define INDEX_EACH_BYTES (1024 * 1024)

struct entry {
	uint64_t taken_ns;
	uint64_t offset;
};

struct recording_writer {
	int fd;
	int error;			/* that ended it, or 0 */
	uint64_t file_id;
	uint64_t written;
	struct recording_sums sums;	/* of what was put */
	struct recording_sums sums_written;

	unsigned char *batch;
	size_t n_batched;

	/* Its content is in the file, at `written`. */
	bool is_tried;
	unsigned char tried[RECORDING_HEAD_BYTES];
	struct recording_head tried_head;

	struct entry entries[RECORDING_INDEX_ENTRIES];
	size_t n_entries;
	uint64_t indexed;		/* the last entry's offset; 0: there was none */
	uint64_t last_index;		/* the last index record's; 0: there is none */
	uint64_t last_index_written;
};

static uint64_t place_of_next(const struct recording_writer *writer)
{
	return writer->written + writer->n_batched;
}

void recording_encode_counts(uint64_t n_sent, uint64_t n_received,
			     unsigned char ret_content[static RECORDING_COUNTS_BYTES])
{
	put_le64(ret_content, n_sent);
	put_le64(ret_content + 8, n_received);
}

/* All of it. Return: 0 or -errno. */
static int write_all(int fd, struct iovec *parts, int n_parts, uint64_t offset)
{
	while (n_parts > 0) {
		ssize_t n = pwritev(fd, parts, n_parts, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		offset += (uint64_t)n;
		for (; n_parts > 0 && (size_t)n >= parts->iov_len; parts++, n_parts--)
			n -= (ssize_t)parts->iov_len;
		if (n_parts > 0) {
			parts->iov_base = (unsigned char *)parts->iov_base + n;
			parts->iov_len -= (size_t)n;
		}
	}
	return 0;
}

/* Back to what is written. Return: @error, which stays. */
static int fail(struct recording_writer *writer, int error)
{
	writer->error = error;
	writer->n_batched = 0;
	writer->is_tried = false;
	writer->sums = writer->sums_written;
	while (writer->n_entries > 0 &&
	       writer->entries[writer->n_entries - 1].offset >= writer->written)
		writer->n_entries--;
	writer->last_index = writer->last_index_written;
	/* Else it has a tail that is no record, which a reader passes over. */
	if (ftruncate(writer->fd, (off_t)writer->written) < 0)
		return error;
	return error;
}

static void encode(const struct recording_writer *writer, const struct recording_head *head,
		   const void *content, unsigned char *to)
{
	memset(to, 0, RECORDING_HEAD_BYTES);
	put_le32(to + HEAD_MAGIC, RECORDING_RECORD_MAGIC);
	put_le64(to + HEAD_FILE_ID, writer->file_id);
	put_le64(to + HEAD_OFFSET, place_of_next(writer));
	put_le32(to + HEAD_TYPE, (uint32_t)head->type);
	put_le32(to + HEAD_CHANNEL, head->channel);
	put_le64(to + HEAD_N_BYTES, head->n_bytes);
	put_le64(to + HEAD_TAKEN, head->taken_ns);
	put_le64(to + HEAD_SENT, head->sent_ns);
	put_le64(to + HEAD_MISSED, head->n_missed);
	put_le32(to + HEAD_TAG, head->tag);
	put_le32(to + HEAD_CONTENT_CHECKSUM, checksum(content, head->n_bytes));
	put_le32(to + HEAD_CHECKSUM, recording_head_checksum(to));
}

/* All that was put is in the file. */
static void note_written(struct recording_writer *writer)
{
	writer->sums_written = writer->sums;
	writer->last_index_written = writer->last_index;
}

int recording_flush(struct recording_writer *writer)
{
	struct iovec part = { writer->batch, writer->n_batched };
	int r;

	if (writer->error < 0)
		return writer->error;
	if (writer->n_batched == 0)
		return 0;
	r = write_all(writer->fd, &part, 1, writer->written);
	if (r < 0)
		return fail(writer, r);
	writer->written += writer->n_batched;
	writer->n_batched = 0;
	note_written(writer);
	return 0;
}

/* The content of a record, and what fills it up. */
static int write_content(struct recording_writer *writer, const void *content, size_t n)
{
	static unsigned char zeros[7];
	struct iovec parts[] = {
		{ (void *)(uintptr_t)content, n },
		{ zeros, recording_filling(n) },
	};

	return write_all(writer->fd, parts, 2, writer->written + RECORDING_HEAD_BYTES);
}

static int put_index(struct recording_writer *writer)
{
	unsigned char content[RECORDING_INDEX_HEAD_BYTES +
			      RECORDING_INDEX_ENTRIES * RECORDING_INDEX_ENTRY_BYTES];
	const struct recording_head head = {
		.type = RECORDING_INDEX,
		.n_bytes = RECORDING_INDEX_HEAD_BYTES +
			   writer->n_entries * RECORDING_INDEX_ENTRY_BYTES,
	};
	unsigned char *to = content + RECORDING_INDEX_HEAD_BYTES;
	uint64_t place;
	int r;

	put_le64(content, writer->last_index);
	for (size_t i = 0; i < writer->n_entries; i++, to += RECORDING_INDEX_ENTRY_BYTES) {
		put_le64(to, writer->entries[i].taken_ns);
		put_le64(to + 8, writer->entries[i].offset);
	}
	place = place_of_next(writer);
	r = recording_put(writer, &head, content);
	if (r < 0)
		return r;
	writer->last_index = place;
	writer->n_entries = 0;
	return 0;
}

/* Room in the index for a message, before it has a place. */
static int prepare(struct recording_writer *writer, const struct recording_head *head)
{
	if (writer->error < 0)
		return writer->error;
	writer->is_tried = false;
	if (head->type == RECORDING_MESSAGE && writer->n_entries == RECORDING_INDEX_ENTRIES)
		return put_index(writer);
	return 0;
}

/* The record at this place counts. */
static void note(struct recording_writer *writer, const struct recording_head *head, uint64_t place)
{
	if (head->type != RECORDING_MESSAGE)
		return;
	writer->sums.n_messages++;
	writer->sums.n_bytes += head->n_bytes;
	writer->sums.n_missed += head->n_missed;
	if (writer->indexed != 0 && place - writer->indexed < INDEX_EACH_BYTES)
		return;
	writer->entries[writer->n_entries++] = (struct entry){ head->taken_ns, place };
	writer->indexed = place;
}

int recording_put(struct recording_writer *writer, const struct recording_head *head,
		  const void *content)
{
	uint64_t size = recording_record_bytes(head->n_bytes);
	unsigned char *to;
	int r;

	if (size > BATCH_BYTES) {
		r = recording_try(writer, head, content);
		return r < 0 ? r : recording_commit(writer);
	}
	r = prepare(writer, head);
	if (r == 0 && writer->n_batched + size > BATCH_BYTES)
		r = recording_flush(writer);
	if (r < 0)
		return r;
	to = writer->batch + writer->n_batched;
	encode(writer, head, content, to);
	to += RECORDING_HEAD_BYTES;
	if (head->n_bytes > 0)
		memcpy(to, content, head->n_bytes);
	memset(to + head->n_bytes, 0, recording_filling(head->n_bytes));
	note(writer, head, place_of_next(writer));
	writer->n_batched += size;
	return 0;
}

int recording_try(struct recording_writer *writer, const struct recording_head *head,
		  const void *content)
{
	int r = prepare(writer, head);

	if (r == 0)
		r = recording_flush(writer);
	if (r < 0)
		return r;
	r = write_content(writer, content, head->n_bytes);
	if (r < 0)
		return fail(writer, r);
	encode(writer, head, content, writer->tried);
	writer->tried_head = *head;
	writer->is_tried = true;
	return 0;
}

int recording_commit(struct recording_writer *writer)
{
	struct iovec part = { writer->tried, RECORDING_HEAD_BYTES };
	int r;

	if (!writer->is_tried)
		return writer->error < 0 ? writer->error : -EINVAL;
	writer->is_tried = false;
	r = write_all(writer->fd, &part, 1, writer->written);
	if (r < 0)
		return fail(writer, r);
	note(writer, &writer->tried_head, writer->written);
	writer->written += recording_record_bytes(writer->tried_head.n_bytes);
	note_written(writer);
	return 0;
}

void recording_sums(const struct recording_writer *writer, struct recording_sums *ret_sums)
{
	*ret_sums = writer->sums;
}

static int put_end(struct recording_writer *writer)
{
	const struct recording_head head = { .type = RECORDING_END,
					     .n_bytes = RECORDING_END_BYTES };
	unsigned char content[RECORDING_END_BYTES];
	int r;

	r = put_index(writer);
	if (r < 0)
		return r;
	put_le64(content, writer->last_index);
	put_le64(content + 8, writer->sums.n_messages);
	put_le64(content + 16, writer->sums.n_bytes);
	put_le64(content + 24, writer->sums.n_missed);
	r = recording_put(writer, &head, content);
	return r < 0 ? r : recording_flush(writer);
}

static void writer_free(struct recording_writer *writer)
{
	close(writer->fd);
	free(writer->batch);
	free(writer);
}

int recording_finish(struct recording_writer *writer)
{
	int r;

	if (!writer)
		return 0;
	r = recording_flush(writer);
	/* What was cut off may have left room for it: a file with an end is no riddle. */
	writer->error = 0;
	if (put_end(writer) == 0) {
		/* Of a try that was never committed. */
		if (ftruncate(writer->fd, (off_t)writer->written) < 0 && r == 0)
			r = -errno;
	} else if (r == 0) {
		r = writer->error;
	}
	writer_free(writer);
	return r;
}

static int write_file_head(struct recording_writer *writer)
{
	unsigned char head[RECORDING_FILE_HEAD_BYTES] = RECORDING_FILE_MAGIC;
	struct iovec part = { head, sizeof(head) };
	struct timespec now;
	int r;

	clock_gettime(CLOCK_REALTIME, &now);
	put_le32(head + FILE_HEAD_VERSION, RECORDING_VERSION);
	put_le32(head + FILE_HEAD_BYTES, RECORDING_FILE_HEAD_BYTES);
	put_le64(head + FILE_HEAD_ID, writer->file_id);
	put_le64(head + FILE_HEAD_BEGAN, (uint64_t)clock_now_ns());
	put_le64(head + FILE_HEAD_BEGAN_REALTIME,
		 (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec);
	put_le32(head + FILE_HEAD_CHECKSUM, checksum(head, FILE_HEAD_CHECKSUM));
	r = write_all(writer->fd, &part, 1, 0);
	if (r == 0)
		writer->written = sizeof(head);
	return r;
}

/* By it a reader knows that the file grows. */
static int lock(int fd)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_SETLK, &whole) < 0 ? -errno : 0;
}

int recording_create(const char *path, struct recording_writer **ret_writer)
{
	struct recording_writer *writer = calloc(1, sizeof(*writer));
	int r;

	if (!writer)
		return -ENOMEM;
	writer->batch = malloc(BATCH_BYTES);
	writer->fd = writer->batch ? open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
	if (writer->fd < 0) {
		r = writer->batch ? -errno : -ENOMEM;
		free(writer->batch);
		free(writer);
		return r;
	}
	r = lock(writer->fd);
	if (r == 0 && getrandom(&writer->file_id, sizeof(writer->file_id), 0) < 0)
		r = -errno;
	if (r == 0)
		r = write_file_head(writer);
	if (r < 0) {
		unlink(path);
		writer_free(writer);
		return r;
	}
	*ret_writer = writer;
	return 0;
}
