/* SPDX-License-Identifier: MIT */
/*
 * writer.h - texts for a descriptor that may take none for a while
 *
 * A write to a pipe that nobody reads, to a terminal that is stopped or to a disk that hangs
 * may never return. O_NONBLOCK is no way out: it belongs to every process that shares the
 * open file, regular files ignore it, and poll(2) promises nothing where others write too.
 * So a thread of its own writes, and only that thread ever waits:
 *
 *	callers -- writer_put() --> one buffer | the other buffer --> the thread --> descriptor
 *
 * The lock is held to copy one text or to swap the buffers, never across a write. A text that
 * finds no room, or whose write fails, is dropped and counted; the count is written as a line
 * of its own, where the texts are missing, as soon as the descriptor takes texts again.
 *
 * Before writer_start() a text is written at once by its caller, as a command wants it.
 */
#ifndef DAEMON_BASE_WRITER_H
#define DAEMON_BASE_WRITER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WRITER_BUFFER_BYTES 65536

struct writer_buffer {
	size_t n_bytes;
	uint64_t n_dropped;		/* for want of room, behind the texts that are in it */
	char texts[WRITER_BUFFER_BYTES];	/* each with its NUL */
};

/* Static, for the thread may outlive whatever stops: it ends with the process. */
struct writer {
	int fd;
	const char *prefix;		/* of the line that says how many were dropped */
	bool is_started;
	pthread_mutex_t lock;		/* guards what follows, but for written and n_lost */
	pthread_cond_t filled;
	pthread_cond_t emptied;
	bool is_writing;		/* the thread holds texts that are not yet written */
	struct writer_buffer *filling;
	struct writer_buffer *written;	/* the thread's own, as n_lost */
	uint64_t n_lost;		/* dropped, and not yet said */
	struct writer_buffer buffers[2];
};

#define WRITER_NULL(descriptor) { .fd = (descriptor), .prefix = "" }

/* From now on the thread writes. Return: 0, or -errno: no thread, texts are written at once. */
int writer_start(struct writer *writer, const char *prefix);

/* Put a text; it is written with one write(2) where the descriptor takes it so. Any thread. */
void writer_put(struct writer *writer, const char *text);

/* Whether texts wait to be written: what is of no use later is better not put at all. */
bool writer_is_behind(struct writer *writer);

/* Wait until all is written, but not for a descriptor that takes nothing: two seconds. */
void writer_finish(struct writer *writer);

#endif
