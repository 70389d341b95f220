/* SPDX-License-Identifier: MIT */
/*
 * mempool-watch.c - read the pictures of mempool-camera, at a speed of one's own
 *
 *	mempool-camera TOPIC &
 *	mempool-watch TOPIC NAME [MICROSECONDS_PER_PICTURE]
 *
 * Says once a second what it saw. A watcher that is too slow is told how many it missed, and
 * the numbers in the pictures must agree: each one read is the last one, plus what was missed,
 * plus one. A watcher that is killed and started again begins with what is published then.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mempool.h"
#include "picture.h"

struct watcher {
	const char *name;
	struct mempool_client *client;
	unsigned long delay_us;		/* spent on each picture, as if there were work to do */
	uint64_t first;			/* number of the first picture; 0: none yet */
	uint64_t last;
	uint64_t n_read;
	uint64_t n_missed;
	uint64_t n_read_before;		/* when the last line was printed */
	time_t printed;
};

static int fail(const char *what, int error)
{
	fprintf(stderr, "mempool-watch: %s: %s\n", what, strerror(-error));
	return -1;
}

static int damaged(const struct watcher *watcher, const char *what, uint64_t number)
{
	fprintf(stderr, "mempool-watch: %s: picture %llu: %s\n", watcher->name,
		(unsigned long long)number, what);
	return -1;
}

static void say_now_and_then(struct watcher *watcher)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec == watcher->printed)
		return;
	if (watcher->printed != 0)
		printf("%s: picture %llu, %llu a second, %llu missed so far\n", watcher->name,
		       (unsigned long long)watcher->last,
		       (unsigned long long)(watcher->n_read - watcher->n_read_before),
		       (unsigned long long)watcher->n_missed);
	fflush(stdout);
	watcher->n_read_before = watcher->n_read;
	watcher->printed = now.tv_sec;
}

/* Look at a picture for a while. The chunk does not change meanwhile, whatever the others do. */
static int look(struct watcher *watcher, const struct picture *picture, uint64_t missed)
{
	const uint64_t number = picture->frame.sequence;
	const struct timespec delay = {
		.tv_sec = (time_t)(watcher->delay_us / 1000000),
		.tv_nsec = (long)(watcher->delay_us % 1000000 * 1000),
	};

	if (watcher->first == 0)
		watcher->first = number - missed;
	else if (number != watcher->last + missed + 1)
		return damaged(watcher, "is not the next one", number);
	if (watcher->delay_us > 0)
		nanosleep(&delay, NULL);
	if (picture->checksum != picture_checksum(picture->pixels))
		return damaged(watcher, "changed while it was read", number);

	watcher->last = number;
	watcher->n_read++;
	say_now_and_then(watcher);
	return 0;
}

/* Whether it is a picture of our camera, and all of it is there. */
static bool is_picture(const struct mempool_frame *frame, size_t length)
{
	return mempool_frame_data(frame, frame, length) && length >= PICTURE_BYTES &&
	       frame->header_bytes == PICTURE_HEADER_BYTES &&
	       frame->format == MEMPOOL_FRAME_GREY && frame->width == PICTURE_WIDTH &&
	       frame->height == PICTURE_HEIGHT && frame->stride == PICTURE_WIDTH;
}

/* Until the camera is off. */
static int watch(struct watcher *watcher, struct mempool_subscriber *subscriber)
{
	const void *chunk;
	uint64_t missed;
	size_t length;
	int r;

	for (;;) {
		r = mempool_subscriber_next(subscriber, &chunk, &length, &missed, -1);
		if (r < 0)
			return fail("mempool_subscriber_next", r);
		watcher->n_missed += missed;
		if (is_picture(chunk, length))
			r = look(watcher, chunk, missed);
		mempool_free(watcher->client, chunk);
		if (r < 0 || length == 0)
			return r;
	}
}

static int subscribe_and_watch(struct watcher *watcher, const char *name)
{
	struct mempool_subscriber *subscriber;
	struct mempool_topic *topic;
	int r;

	r = mempool_topic_open(watcher->client, name, &topic);
	if (r < 0)
		return fail(name, r);
	r = mempool_topic_subscribe(topic, MEMPOOL_TOPIC_NEW, &subscriber);
	mempool_topic_close(topic);
	if (r < 0)
		return fail("mempool_topic_subscribe", r);

	r = watch(watcher, subscriber);
	mempool_subscriber_close(subscriber);
	return r;
}

int main(int argc, char **argv)
{
	struct mempool_client_options options = { .size = sizeof(options) };
	struct watcher watcher = { 0 };
	int r;

	if (argc < 3 || argc > 4) {
		fputs("Usage: mempool-watch TOPIC NAME [MICROSECONDS_PER_PICTURE]\n", stderr);
		return 64;
	}
	watcher.name = options.name = argv[2];
	if (argc == 4)
		watcher.delay_us = strtoul(argv[3], NULL, 10);

	r = mempool_client_open(&options, &watcher.client);
	if (r < 0) {
		fail("mempool_client_open", r);
		return EXIT_FAILURE;
	}
	r = subscribe_and_watch(&watcher, argv[1]);
	mempool_client_close(watcher.client);
	if (r < 0)
		return EXIT_FAILURE;

	printf("%s: the camera is off: read %llu and missed %llu, from %llu on\n", watcher.name,
	       (unsigned long long)watcher.n_read, (unsigned long long)watcher.n_missed,
	       (unsigned long long)watcher.first);
	return EXIT_SUCCESS;
}
