/* SPDX-License-Identifier: MIT */
#include "daemon/base/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FINISH_SECONDS 2

/* ---- write ---- */

/* Return: whether all of it was written. */
static bool write_text(const struct writer *writer, const char *text, size_t length)
{
	struct pollfd poll_fd = { .fd = writer->fd, .events = POLLOUT };
	ssize_t n;

	while (length > 0) {
		n = write(writer->fd, text, length);
		if (n > 0) {
			text += n;
			length -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			/* A process that shares the open file has set O_NONBLOCK. */
			poll(&poll_fd, 1, -1);
		} else if (n == 0 || errno != EINTR) {
			return false;
		}
	}
	return true;
}

/* A line of the thread's own. Return: whether it was written. */
__attribute__((format(printf, 2, 3))) static bool
writer_say(const struct writer *writer, const char *format, ...)
{
	char text[256], message[128];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	return write_text(writer, text, (size_t)snprintf(text, sizeof(text), "%s%s\n",
							 writer->prefix, message));
}

/* Tell how many are missing here. Return: whether none is left to be told of. */
static bool say_lost(struct writer *writer)
{
	if (writer->n_lost > 0 &&
	    writer_say(writer, "%" PRIu64 " messages were dropped: standard error did not take them",
		       writer->n_lost))
		writer->n_lost = 0;
	return writer->n_lost == 0;
}

static void write_buffer(struct writer *writer, const struct writer_buffer *buffer)
{
	const char *text = buffer->texts, *end = text + buffer->n_bytes;
	size_t length;

	for (; text < end; text += length + 1) {
		length = strlen(text);
		if (!say_lost(writer) || !write_text(writer, text, length))
			writer->n_lost++;
	}
	writer->n_lost += buffer->n_dropped;
	say_lost(writer);
}

/* ---- the thread ---- */

static bool is_empty(const struct writer_buffer *buffer)
{
	return buffer->n_bytes == 0 && buffer->n_dropped == 0;
}

/* Take what was put, and leave an empty buffer. Waits until there is something. */
static const struct writer_buffer *take_buffer(struct writer *writer)
{
	struct writer_buffer *taken;

	pthread_mutex_lock(&writer->lock);
	writer->is_writing = false;
	pthread_cond_broadcast(&writer->emptied);
	while (is_empty(writer->filling))
		pthread_cond_wait(&writer->filled, &writer->lock);
	taken = writer->filling;
	writer->filling = writer->written;
	writer->filling->n_bytes = 0;
	writer->filling->n_dropped = 0;
	writer->written = taken;
	writer->is_writing = true;
	pthread_mutex_unlock(&writer->lock);
	return taken;
}

static void *run(void *userdata)
{
	struct writer *writer = userdata;

	for (;;)
		write_buffer(writer, take_buffer(writer));
	return NULL;
}

int writer_start(struct writer *writer, const char *prefix)
{
	pthread_condattr_t clock;
	pthread_attr_t detached;
	sigset_t all, before;
	pthread_t thread;
	int r;

	writer->prefix = prefix;
	writer->filling = &writer->buffers[0];
	writer->written = &writer->buffers[1];
	pthread_mutex_init(&writer->lock, NULL);
	pthread_cond_init(&writer->filled, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&writer->emptied, &clock);
	pthread_condattr_destroy(&clock);

	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	/* Signals are the others'. So the SIGPIPE of a reader that has gone ends nobody. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&thread, &detached, run, writer);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&detached);
	writer->is_started = r == 0;
	return r;
}

/* ---- put ---- */

void writer_put(struct writer *writer, const char *text)
{
	size_t n_bytes = strlen(text) + 1;
	struct writer_buffer *buffer;

	if (!writer->is_started) {
		write_text(writer, text, n_bytes - 1);
		return;
	}
	pthread_mutex_lock(&writer->lock);
	buffer = writer->filling;
	/* None behind one that was dropped: then all that is missing is missing in one place. */
	if (buffer->n_dropped > 0 || n_bytes > sizeof(buffer->texts) - buffer->n_bytes) {
		buffer->n_dropped++;
	} else {
		memcpy(buffer->texts + buffer->n_bytes, text, n_bytes);
		buffer->n_bytes += n_bytes;
	}
	pthread_cond_signal(&writer->filled);
	pthread_mutex_unlock(&writer->lock);
}

bool writer_is_behind(struct writer *writer)
{
	bool is_behind;

	if (!writer->is_started)
		return false;
	pthread_mutex_lock(&writer->lock);
	is_behind = writer->is_writing || !is_empty(writer->filling);
	pthread_mutex_unlock(&writer->lock);
	return is_behind;
}

void writer_finish(struct writer *writer)
{
	struct timespec until;
	int r = 0;

	if (!writer->is_started)
		return;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += FINISH_SECONDS;
	pthread_mutex_lock(&writer->lock);
	while (r == 0 && (writer->is_writing || !is_empty(writer->filling)))
		r = pthread_cond_timedwait(&writer->emptied, &writer->lock, &until);
	pthread_mutex_unlock(&writer->lock);
}
