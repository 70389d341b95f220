/* SPDX-License-Identifier: MIT */
/*
 * tail.c - mempoolctl topic tail, topic peek: what a topic's messages say, as they come, or the last ones
 *
 * As record: messages are copied, none is held, and nobody notices.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attach.h"
#include "content.h"

struct tail {
	const struct ctl_options *options;
	struct mempool_client *client;
	struct mempool_topic *topic;
	struct mempool_subscriber *subscriber;
	void *content;			/* room for the longest message */
	size_t size;
};

/* "14:03:59.123456  1250 bytes, tag 7, 3 missed before it" */
static void print_head(const struct tail *tail, size_t length, uint32_t tag, uint64_t n_missed)
{
	struct timespec now;
	uint64_t sent_ns;
	char text[16];
	struct tm tm;
	int64_t ns;

	if (mempool_subscriber_stamp(tail->subscriber, &sent_ns) == 0) {
		ns = mempool_stamp_realtime(sent_ns);
	} else {
		clock_gettime(CLOCK_REALTIME, &now);
		ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
	}
	now.tv_sec = ns / 1000000000;
	if (!localtime_r(&now.tv_sec, &tm) || strftime(text, sizeof(text), "%H:%M:%S", &tm) == 0)
		strcpy(text, "?");
	printf("%s.%06" PRId64 "  %zu bytes, tag %" PRIu32, text, ns / 1000 % 1000000, length, tag);
	if (n_missed > 0)
		printf(", %" PRIu64 " missed before it", n_missed);
	putchar('\n');
}

/* Return: 1 a message; 0 there is none; -errno. */
static int print_next(const struct tail *tail)
{
	size_t length;
	uint64_t n_missed;
	uint32_t tag;
	int r;

	r = mempool_subscriber_copy(tail->subscriber, tail->content, tail->size, &length, &tag,
				    &n_missed, 0);
	if (r < 0)
		return r == -EAGAIN ? 0 : r;
	if (tail->options->as != CONTENT_AS_RAW)
		print_head(tail, length, tag, n_missed);
	content_print(tail->options->as, tail->content, length);
	/* A pipe that was closed is told by main(). */
	return fflush(stdout) == 0 ? 1 : -errno;
}

/* Until a signal, --count, or a new layout. Return: CTL_OK, or it was said why it ends. */
static enum ctl_exit follow(const struct tail *tail)
{
	uint64_t n_left = tail->options->count > 0 ? tail->options->count : UINT64_MAX;
	bool is_stale = false;
	struct nap nap = { 0 };
	int r;

	while (!attach_is_stopped() && n_left > 0) {
		r = print_next(tail);
		if (r < 0)
			return CTL_FAILED;
		n_left -= (uint64_t)r;
		if (r > 0) {
			nap_reset(&nap);
			continue;
		}
		if (is_stale) {
			ctl_error("a reload has replaced the segment: topic '%s' goes on in the new one",
				  tail->options->arguments[0]);
			return CTL_FAILED;
		}
		/* Then one look more: nothing is published that it would not see. */
		is_stale = mempool_client_is_stale(tail->client);
		nap_take(&nap);
	}
	return CTL_OK;
}

static enum ctl_exit show_kept(const struct tail *tail)
{
	uint64_t n_left = tail->options->count > 0 ? tail->options->count : 1;
	int r = 1;

	while (r > 0 && n_left-- > 0)
		r = print_next(tail);
	return r < 0 ? CTL_FAILED : CTL_OK;
}

/* ---- the commands ---- */

/* Room for a message of any pool. Return: 0 or -errno. */
static int make_room(struct tail *tail)
{
	int n = mempool_client_pools(tail->client, NULL, 0);
	struct mempool_pool_info *pools = n > 0 ? calloc((size_t)n, sizeof(*pools)) : NULL;

	if (!pools)
		return n < 0 ? n : -ENOMEM;
	n = mempool_client_pools(tail->client, pools, (size_t)n);
	for (int i = 0; i < n; i++)
		if (pools[i].chunk_size > tail->size)
			tail->size = pools[i].chunk_size;
	free(pools);
	tail->content = n < 0 ? NULL : malloc(tail->size);
	return n < 0 ? n : tail->content ? 0 : -ENOMEM;
}

static int subscribe(struct tail *tail, enum mempool_topic_start start)
{
	const uint64_t count = tail->options->count;
	const struct mempool_subscribe_options how = {
		.size = sizeof(how),
		.start = start,
		.n_last = start != MEMPOOL_TOPIC_LAST ? 0 : count > 0 ? count : 1,
	};
	int r = make_room(tail);

	if (r == 0)
		r = mempool_topic_open(tail->client, tail->options->arguments[0], &tail->topic);
	return r < 0 ? r : mempool_topic_subscribe_with(tail->topic, &how, &tail->subscriber);
}

static enum ctl_exit look(const struct ctl_options *options, enum mempool_topic_start start,
			  enum ctl_exit (*show)(const struct tail *tail))
{
	struct tail tail = { .options = options };
	enum ctl_exit status;
	int r;

	status = attach(options, "mempoolctl-tail", MEMPOOL_CLIENT_READ_ONLY, &tail.client);
	if (status != CTL_OK)
		return status;
	attach_catch_signals();
	r = subscribe(&tail, start);
	if (r < 0)
		ctl_error("topic '%s': %s", options->arguments[0],
			  r == -ENOENT ? "the segment has none of that name" : mempool_strerror(r));
	status = r < 0 ? CTL_FAILED : show(&tail);
	mempool_subscriber_close(tail.subscriber);
	mempool_topic_close(tail.topic);
	mempool_client_close(tail.client);
	free(tail.content);
	return status;
}

enum ctl_exit ctl_topic_tail(const struct ctl_options *options)
{
	return look(options, MEMPOOL_TOPIC_NEW, follow);
}

enum ctl_exit ctl_topic_peek(const struct ctl_options *options)
{
	return look(options, MEMPOOL_TOPIC_LAST, show_kept);
}
