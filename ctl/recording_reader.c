/* SPDX-License-Identifier: MIT */
/*
 * recording_reader.c - see recording.h
 *
 * The file is input: it may be damaged, forged, and longer at each look. It is read by pread(2) into a
 * window, and what does not fit there into memory of its own; nothing is allocated for bytes that the
 * file does not have.
 */
#include "recording.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recording_format.h"

#define WINDOW_BYTES (256 * 1024)
#define NAME_BYTES 256

struct channel {
	enum recording_type type;	/* 0: not met */
	char name[NAME_BYTES];
};

struct recording_reader {
	int fd;
	uint64_t file_id;
	uint64_t began_ns;
	uint64_t began_realtime_ns;
	uint64_t at;			/* of the next record */
	bool has_ended;

	unsigned char *window;
	uint64_t window_at;
	size_t n_window;		/* bytes of the file in it */

	unsigned char *large;		/* a content that has no place in the window */
	size_t n_large;

	struct channel *channels;
	uint32_t n_channels;
};

void recording_decode_counts(const unsigned char content[static RECORDING_COUNTS_BYTES],
			     uint64_t *ret_sent, uint64_t *ret_received)
{
	*ret_sent = get_le64(content);
	*ret_received = get_le64(content + 8);
}

/* Return: how many there were, fewer at the end of the file; -errno. */
static ssize_t read_some(int fd, void *to, size_t n, uint64_t offset)
{
	size_t n_read = 0;

	while (n_read < n) {
		ssize_t now = pread(fd, (unsigned char *)to + n_read, n - n_read,
				    (off_t)(offset + n_read));

		if (now < 0 && errno == EINTR)
			continue;
		if (now < 0)
			return -errno;
		if (now == 0)
			break;
		n_read += (size_t)now;
	}
	return (ssize_t)n_read;
}

/*
 * Bytes of the file, not more than the window has. Return: 0, and where they are until the next call;
 * -ENODATA the file has not so many; -errno.
 */
static int look(struct recording_reader *reader, uint64_t offset, size_t n,
		const unsigned char **ret_bytes)
{
	ssize_t n_read;

	if (offset < reader->window_at || offset - reader->window_at > reader->n_window ||
	    reader->n_window - (offset - reader->window_at) < n) {
		n_read = read_some(reader->fd, reader->window, WINDOW_BYTES, offset);
		reader->window_at = offset;
		reader->n_window = n_read > 0 ? (size_t)n_read : 0;
		if (n_read < 0)
			return (int)n_read;
	}
	if (reader->n_window - (offset - reader->window_at) < n)
		return -ENODATA;
	*ret_bytes = reader->window + (offset - reader->window_at);
	return 0;
}

static int look_at_content(struct recording_reader *reader, uint64_t offset, size_t n,
			   const unsigned char **ret_bytes)
{
	unsigned char *larger;
	ssize_t n_read;

	if (n <= WINDOW_BYTES)
		return look(reader, offset, n, ret_bytes);
	if (n > reader->n_large) {
		larger = realloc(reader->large, n);
		if (!larger)
			return -ENOMEM;
		reader->large = larger;
		reader->n_large = n;
	}
	n_read = read_some(reader->fd, reader->large, n, offset);
	if (n_read < 0)
		return (int)n_read;
	*ret_bytes = reader->large;
	return (size_t)n_read < n ? -ENODATA : 0;
}

/* Of a head that is one, at its place. */
static bool decode(const struct recording_reader *reader, uint64_t offset,
		   const unsigned char *from, struct recording_head *ret_head,
		   uint32_t *ret_checksum)
{
	uint64_t n_bytes = get_le64(from + HEAD_N_BYTES);

	if (get_le32(from + HEAD_MAGIC) != RECORDING_RECORD_MAGIC ||
	    get_le64(from + HEAD_FILE_ID) != reader->file_id ||
	    get_le64(from + HEAD_OFFSET) != offset ||
	    get_le32(from + HEAD_CHECKSUM) != recording_head_checksum(from) ||
	    n_bytes > (uint64_t)INT64_MAX - offset - 2 * RECORDING_HEAD_BYTES)
		return false;
	*ret_head = (struct recording_head){
		.type = (enum recording_type)get_le32(from + HEAD_TYPE),
		.channel = get_le32(from + HEAD_CHANNEL),
		.n_bytes = n_bytes,
		.taken_ns = get_le64(from + HEAD_TAKEN),
		.sent_ns = get_le64(from + HEAD_SENT),
		.n_missed = get_le64(from + HEAD_MISSED),
		.tag = get_le32(from + HEAD_TAG),
	};
	*ret_checksum = get_le32(from + HEAD_CONTENT_CHECKSUM);
	return true;
}

/* The first head from here on. Return: 0; -ENODATA there is none up to the end of the file; -errno. */
static int find_head(struct recording_reader *reader, uint64_t *offset)
{
	const unsigned char *bytes;
	struct recording_head head;
	uint32_t sum;
	int r;

	/* Bounded by the file: each turn is 8 bytes on. */
	for (*offset = (*offset + 7) & ~UINT64_C(7);; *offset += 8) {
		r = look(reader, *offset, RECORDING_HEAD_BYTES, &bytes);
		if (r < 0)
			return r;
		if (decode(reader, *offset, bytes, &head, &sum))
			return 0;
	}
}

static int file_size(const struct recording_reader *reader, uint64_t *ret_size)
{
	struct stat status;

	if (fstat(reader->fd, &status) < 0)
		return -errno;
	*ret_size = (uint64_t)status.st_size;
	return 0;
}

/* Whether the file has become one with a head here, as one that grows may. */
static bool has_come(struct recording_reader *reader)
{
	const unsigned char *bytes;
	struct recording_head head;
	uint32_t sum;

	reader->n_window = 0;
	return look(reader, reader->at, RECORDING_HEAD_BYTES, &bytes) == 0 &&
	       decode(reader, reader->at, bytes, &head, &sum);
}

/*
 * Nothing whole is here: a piece that is damaged, or what is behind the last record. Return: as
 * recording_next(); 1: there is now.
 */
static int pass_over(struct recording_reader *reader, struct recording_gap *reterr_gap)
{
	uint64_t from = reader->at, next = from + 8, size = 0;
	int r;

	r = find_head(reader, &next);
	if (r == 0) {
		/* The writer writes in order: what is before a head that was seen is there. */
		if (has_come(reader))
			return 1;
		*reterr_gap = (struct recording_gap){ from, next };
		reader->at = next;
		return -EBADMSG;
	}
	/* The next look is to see what comes meanwhile. */
	reader->n_window = 0;
	if (r != -ENODATA)
		return r;
	r = file_size(reader, &size);
	if (r < 0)
		return r;
	*reterr_gap = (struct recording_gap){ from, size > from ? size : from };
	return -EAGAIN;
}

static bool is_channel(const struct recording_head *head)
{
	return head->type == RECORDING_TOPIC || head->type == RECORDING_QUEUE;
}

/* Return: 0; -EBADMSG it is none; -ENOMEM. */
static int add_channel(struct recording_reader *reader, const struct recording_head *head,
		       const unsigned char *name)
{
	struct channel *channels;
	uint32_t n = head->channel + 1;

	if (head->channel >= RECORDING_MAX_CHANNELS || head->n_bytes == 0 ||
	    head->n_bytes >= NAME_BYTES || memchr(name, '\0', head->n_bytes))
		return -EBADMSG;
	if (n > reader->n_channels) {
		channels = realloc(reader->channels, n * sizeof(*channels));
		if (!channels)
			return -ENOMEM;
		memset(channels + reader->n_channels, 0,
		       (n - reader->n_channels) * sizeof(*channels));
		reader->channels = channels;
		reader->n_channels = n;
	}
	channels = &reader->channels[head->channel];
	channels->type = head->type;
	memcpy(channels->name, name, head->n_bytes);
	channels->name[head->n_bytes] = '\0';
	return 0;
}

/* What a content says must lead nowhere. Return: 0; -EBADMSG; -ENOMEM. */
static int check_meaning(struct recording_reader *reader, const struct recording_head *head,
			 const unsigned char *content)
{
	switch (head->type) {
	case RECORDING_TOPIC:
	case RECORDING_QUEUE:
		return add_channel(reader, head, content);
	case RECORDING_MESSAGE:
		return recording_channel_is_topic(reader, head->channel) ? 0 : -EBADMSG;
	case RECORDING_COUNTS:
		return recording_channel_name(reader, head->channel) && head->n_bytes == RECORDING_COUNTS_BYTES
			       ? 0 : -EBADMSG;
	case RECORDING_END:
		return head->n_bytes == RECORDING_END_BYTES ? 0 : -EBADMSG;
	case RECORDING_INDEX:
		break;
	}
	return 0;
}

static bool is_shown(const struct recording_head *head)
{
	return is_channel(head) || head->type == RECORDING_MESSAGE ||
	       head->type == RECORDING_COUNTS || head->type == RECORDING_END;
}

/* The record at `at`, whose head is whole. Return: as recording_next(); 1: one to be passed over. */
static int take_record(struct recording_reader *reader, struct recording_head *head,
		       uint32_t sum, const void **ret_content, struct recording_gap *reterr_gap)
{
	uint64_t from = reader->at, to = from + recording_record_bytes(head->n_bytes), size = 0;
	const unsigned char *content = NULL;
	int r;

	*reterr_gap = (struct recording_gap){ from, to };
	r = file_size(reader, &size);
	if (r < 0)
		return r;
	if (to > size) {
		/* A writer writes the content first: it was cut, and nothing is behind it. */
		reterr_gap->to = size;
		return -EAGAIN;
	}
	if (!is_shown(head)) {
		reader->at = to;
		return 1;
	}
	if (ret_content || head->type != RECORDING_MESSAGE) {
		r = look_at_content(reader, from + RECORDING_HEAD_BYTES, head->n_bytes, &content);
		if (r < 0)
			return r == -ENODATA ? -EAGAIN : r;
		if (checksum(content, head->n_bytes) != sum)
			r = -EBADMSG;
	}
	if (r == 0)
		r = check_meaning(reader, head, content);
	if (r == 0 || r == -EBADMSG)
		reader->at = to;
	if (r < 0)
		return r;
	reader->has_ended = head->type == RECORDING_END;
	if (ret_content)
		*ret_content = content;
	return 0;
}

int recording_next(struct recording_reader *reader, struct recording_head *ret_head,
		   const void **ret_content, struct recording_gap *reterr_gap)
{
	const unsigned char *bytes;
	struct recording_head head;
	uint32_t sum;
	int r;

	if (reader->has_ended)
		return -ENODATA;
	do {
		r = look(reader, reader->at, RECORDING_HEAD_BYTES, &bytes);
		if (r < 0 && r != -ENODATA)
			return r;
		if (r == -ENODATA || !decode(reader, reader->at, bytes, &head, &sum))
			r = pass_over(reader, reterr_gap);
		else
			r = take_record(reader, &head, sum, ret_content, reterr_gap);
	} while (r == 1);
	if (r == 0)
		*ret_head = head;
	return r;
}

/* ---- the index ---- */

/* A record of a type, whole and good, at a place that somebody named. */
static int read_at(struct recording_reader *reader, uint64_t offset, enum recording_type type,
		   struct recording_head *ret_head, const unsigned char **ret_content)
{
	const unsigned char *bytes;
	uint32_t sum;
	int r;

	r = look(reader, offset, RECORDING_HEAD_BYTES, &bytes);
	if (r < 0)
		return r;
	if (!decode(reader, offset, bytes, ret_head, &sum) || ret_head->type != type ||
	    ret_head->n_bytes > WINDOW_BYTES)
		return -EBADMSG;
	r = look(reader, offset + RECORDING_HEAD_BYTES, ret_head->n_bytes, ret_content);
	if (r < 0)
		return r;
	return checksum(*ret_content, ret_head->n_bytes) == sum ? 0 : -EBADMSG;
}

/* The last entry not behind a moment. Return: 0, or its offset. */
static uint64_t entry_before(const unsigned char *content, size_t n_bytes, uint64_t taken_ns)
{
	uint64_t found = 0;

	for (size_t i = RECORDING_INDEX_HEAD_BYTES; n_bytes - i >= RECORDING_INDEX_ENTRY_BYTES;
	     i += RECORDING_INDEX_ENTRY_BYTES) {
		if (get_le64(content + i) > taken_ns)
			break;
		found = get_le64(content + i + 8);
	}
	return found;
}

/* Return: where the last index is; -EBADMSG, -ENODATA there is none. */
static int find_last_index(struct recording_reader *reader, uint64_t *ret_offset)
{
	const uint64_t end_bytes = recording_record_bytes(RECORDING_END_BYTES);
	struct recording_head head;
	const unsigned char *content;
	uint64_t size = 0;
	int r;

	r = file_size(reader, &size);
	if (r < 0)
		return r;
	if (size < end_bytes)
		return -ENODATA;
	r = read_at(reader, size - end_bytes, RECORDING_END, &head, &content);
	if (r < 0)
		return r;
	if (head.n_bytes != RECORDING_END_BYTES)
		return -EBADMSG;
	*ret_offset = get_le64(content);
	return 0;
}

/* Return: 0, and where to go on; -EBADMSG, -ENODATA: the index does not know. */
static int find_moment(struct recording_reader *reader, uint64_t taken_ns, uint64_t *ret_offset)
{
	const unsigned char *content;
	struct recording_head head;
	uint64_t index, found;
	int r;

	r = find_last_index(reader, &index);
	/* Each stands before the one that names it: that bounds the loop. */
	for (uint64_t below = UINT64_MAX; r == 0; below = index, index = get_le64(content)) {
		if (index == 0 || index >= below)
			return -ENODATA;
		r = read_at(reader, index, RECORDING_INDEX, &head, &content);
		if (r < 0)
			return r;
		if (head.n_bytes < RECORDING_INDEX_HEAD_BYTES)
			return -EBADMSG;
		found = entry_before(content, head.n_bytes, taken_ns);
		if (found != 0) {
			*ret_offset = found;
			return 0;
		}
	}
	return r;
}

int recording_seek(struct recording_reader *reader, uint64_t taken_ns)
{
	struct recording_head head;
	const unsigned char *bytes;
	uint64_t offset;
	uint32_t sum;
	int r;

	r = find_moment(reader, taken_ns, &offset);
	/* Not back, and to a record alone. */
	if (r == 0 && offset > reader->at)
		r = look(reader, offset, RECORDING_HEAD_BYTES, &bytes);
	else if (r == 0)
		return 0;
	if (r == 0 && decode(reader, offset, bytes, &head, &sum))
		reader->at = offset;
	return r == -EBADMSG || r == -ENODATA ? 0 : r;
}

/* ---- the whole ---- */

const char *recording_channel_name(const struct recording_reader *reader, uint32_t channel)
{
	if (channel >= reader->n_channels || reader->channels[channel].type == 0)
		return NULL;
	return reader->channels[channel].name;
}

bool recording_channel_is_topic(const struct recording_reader *reader, uint32_t channel)
{
	return channel < reader->n_channels && reader->channels[channel].type == RECORDING_TOPIC;
}

uint32_t recording_n_channels(const struct recording_reader *reader)
{
	return reader->n_channels;
}

uint64_t recording_began_ns(const struct recording_reader *reader)
{
	return reader->began_ns;
}

uint64_t recording_began_realtime_ns(const struct recording_reader *reader)
{
	return reader->began_realtime_ns;
}

bool recording_grows(const struct recording_reader *reader)
{
	struct flock whole = { .l_type = F_RDLCK, .l_whence = SEEK_SET };

	return fcntl(reader->fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
}

static int read_file_head(struct recording_reader *reader)
{
	const unsigned char *head;
	int r;

	r = look(reader, 0, RECORDING_FILE_HEAD_BYTES, &head);
	if (r < 0)
		return r == -ENODATA ? -EBADMSG : r;
	if (memcmp(head + FILE_HEAD_MAGIC, RECORDING_FILE_MAGIC, 8) != 0)
		return -EBADMSG;
	if (get_le32(head + FILE_HEAD_VERSION) != RECORDING_VERSION)
		return -EPROTONOSUPPORT;
	if (get_le32(head + FILE_HEAD_BYTES) != RECORDING_FILE_HEAD_BYTES ||
	    get_le32(head + FILE_HEAD_CHECKSUM) != checksum(head, FILE_HEAD_CHECKSUM))
		return -EBADMSG;
	reader->file_id = get_le64(head + FILE_HEAD_ID);
	reader->began_ns = get_le64(head + FILE_HEAD_BEGAN);
	reader->began_realtime_ns = get_le64(head + FILE_HEAD_BEGAN_REALTIME);
	reader->at = RECORDING_FILE_HEAD_BYTES;
	return 0;
}

int recording_open(const char *path, struct recording_reader **ret_reader)
{
	struct recording_reader *reader = calloc(1, sizeof(*reader));
	int r;

	if (!reader)
		return -ENOMEM;
	reader->fd = open(path, O_RDONLY | O_CLOEXEC);
	reader->window = malloc(WINDOW_BYTES);
	if (reader->fd < 0)
		r = -errno;
	else
		r = reader->window ? read_file_head(reader) : -ENOMEM;
	if (r < 0) {
		recording_close(reader);
		return r;
	}
	*ret_reader = reader;
	return 0;
}

void recording_close(struct recording_reader *reader)
{
	if (!reader)
		return;
	if (reader->fd >= 0)
		close(reader->fd);
	free(reader->window);
	free(reader->large);
	free(reader->channels);
	free(reader);
}
