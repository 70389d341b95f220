/* SPDX-License-Identifier: MIT */
/*
 * replay.c - mempoolctl replay: publish what a recording has, at the intervals that it had
 *
 * The first message is published at once; each later one is due as long after it as it was then, by
 * the stamps, or, of a topic without stamps, by when the recorder saw it. A message is never early. One
 * that is late makes none of those behind it later: each is due by the first one.
 *
 * The file is input, and may be damaged: each place is told, what is whole is published, and the exit
 * status says that it was not all.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attach.h"
#include "recording.h"
#include "shm/clock.h"
#include "table.h"
#include "text.h"

#define NS_PER_SECOND INT64_C(1000000000)

/* How long a message waits for a chunk. */
#define DRY_NS NS_PER_SECOND

/* A stamp that says another age than this, when it was recorded, is somebody's mistake. */
#define STAMP_OLDEST_NS (3600 * UINT64_C(1000000000))

struct replayed {
	struct mempool_topic *topic;	/* NULL: none, or not yet */
	struct recording_sums sums;
	uint64_t n_sent;		/* of a queue, the last counts */
	uint64_t n_received;
};

struct replay {
	const char *path;
	const struct ctl_options *options;
	struct recording_reader *reader;
	struct mempool_client *client;	/* NULL: a dry run */
	struct replayed *channels;
	uint32_t n_channels;
	struct recording_sums sums;
	bool has_begun;
	bool has_failed;
	uint64_t from_ns;		/* what was taken earlier is passed over */
	uint64_t first_ns;		/* when the first message was published, then */
	uint64_t last_ns;
	int64_t began_ns;		/* and now */
};

/* ---- time ---- */

static uint64_t when(const struct recording_head *head)
{
	/* Whoever may publish may write any stamp. */
	if (head->sent_ns != 0 && head->sent_ns <= head->taken_ns &&
	    head->taken_ns - head->sent_ns < STAMP_OLDEST_NS)
		return head->sent_ns;
	return head->taken_ns;
}

/* Until a message is due. Return: false: a signal came. */
static bool wait_for(const struct replay *replay, uint64_t then_ns)
{
	struct timespec due;
	double after_ns;
	int64_t due_ns;

	if (replay->options->speed > 0 && then_ns > replay->first_ns) {
		after_ns = (double)(then_ns - replay->first_ns) / replay->options->speed;
		due_ns = after_ns < 9e18 - (double)replay->began_ns
				 ? replay->began_ns + (int64_t)after_ns : INT64_MAX;
		due = (struct timespec){ due_ns / NS_PER_SECOND, due_ns % NS_PER_SECOND };
		while (!attach_is_stopped() &&
		       clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
			;
	}
	return !attach_is_stopped();
}

/* ---- channels ---- */

/* Return: 0; -errno, which was said. */
static int add_channel(struct replay *replay, const struct recording_head *head)
{
	const char *name = recording_channel_name(replay->reader, head->channel);
	uint32_t n = recording_n_channels(replay->reader);
	struct replayed *channels;
	int r;

	if (n > replay->n_channels) {
		channels = realloc(replay->channels, n * sizeof(*channels));
		if (!channels) {
			ctl_error("%s", strerror(ENOMEM));
			return -ENOMEM;
		}
		memset(channels + replay->n_channels, 0,
		       (n - replay->n_channels) * sizeof(*channels));
		replay->channels = channels;
		replay->n_channels = n;
	}
	if (!replay->client || head->type != RECORDING_TOPIC || !attach_is_named(replay->options, name) ||
	    replay->channels[head->channel].topic)
		return 0;
	r = mempool_topic_open(replay->client, name, &replay->channels[head->channel].topic);
	if (r < 0)
		ctl_error("topic '%s': %s", name,
			  r == -ENOENT ? "the segment has none of that name" : mempool_strerror(r));
	return r;
}

static bool has_topic(const struct replay *replay, const char *name)
{
	for (uint32_t i = 0; i < recording_n_channels(replay->reader); i++)
		if (recording_channel_is_topic(replay->reader, i) &&
		    strcmp(recording_channel_name(replay->reader, i), name) == 0)
			return true;
	return false;
}

/* ---- messages ---- */

static void explain_alloc(const struct replay *replay, const struct recording_head *head,
			  int error)
{
	const char *name = recording_channel_name(replay->reader, head->channel);

	if (error == EAGAIN)
		ctl_error("topic '%s': no chunk of %zu bytes or more was free for %d s: the pools are "
			  "dry; see mempoolctl holders", name, head->n_bytes,
			  (int)(DRY_NS / NS_PER_SECOND));
	else if (error == EMSGSIZE)
		ctl_error("topic '%s': the segment has no chunks of %zu bytes", name,
			  head->n_bytes);
	else
		ctl_error("topic '%s': %s", name, mempool_strerror(-error));
}

static void *allocate(size_t n_bytes, const struct replay *replay)
{
	void *chunk;

	do {
		chunk = mempool_alloc_wait(replay->client, n_bytes > 0 ? n_bytes : 1, DRY_NS);
	} while (!chunk && errno == EINTR && !attach_is_stopped());
	return chunk;
}

/* Return: 0; -EINTR a signal came; other -errno, which was said. */
static int publish(struct replay *replay, const struct recording_head *head, const void *content)
{
	struct mempool_topic *topic = replay->channels[head->channel].topic;
	void *chunk = allocate(head->n_bytes, replay);
	int r;

	if (!chunk) {
		r = -errno;
		if (r != -EINTR)
			explain_alloc(replay, head, -r);
		return r;
	}
	if (head->n_bytes > 0)
		memcpy(chunk, content, head->n_bytes);
	r = head->tag != 0 ? mempool_chunk_set_tag(replay->client, chunk, head->tag) : 0;
	if (r == 0)
		r = mempool_topic_publish(topic, chunk, head->n_bytes);
	if (r < 0) {
		mempool_free(replay->client, chunk);
		ctl_error("topic '%s': %s", recording_channel_name(replay->reader, head->channel),
			  mempool_strerror(r));
	}
	return r;
}

static void count(struct replay *replay, const struct recording_head *head)
{
	struct recording_sums *sums = &replay->channels[head->channel].sums;

	sums->n_messages++;
	sums->n_bytes += head->n_bytes;
	sums->n_missed += head->n_missed;
	replay->sums.n_messages++;
	replay->sums.n_bytes += head->n_bytes;
	replay->sums.n_missed += head->n_missed;
	if (!replay->has_begun)
		replay->first_ns = when(head);
	replay->has_begun = true;
	if (when(head) > replay->last_ns)
		replay->last_ns = when(head);
}

/* Before the first message: all channels are known. Return: 0; -errno, which was said. */
static int begin(struct replay *replay)
{
	for (char **name = replay->options->arguments + 1; *name; name++)
		if (!has_topic(replay, *name)) {
			ctl_error("%s has no topic '%s'", replay->path, *name);
			return -ENOENT;
		}
	return 0;
}

static bool is_wanted(const struct replay *replay, const struct recording_head *head)
{
	return head->taken_ns >= replay->from_ns &&
	       attach_is_named(replay->options, recording_channel_name(replay->reader, head->channel));
}

/* Return: 0; -EINTR; other -errno, which was said. */
static int take_message(struct replay *replay, const struct recording_head *head,
			const void *content)
{
	int r;

	if (!is_wanted(replay, head))
		return 0;
	if (replay->client) {
		if (replay->has_begun && !wait_for(replay, when(head)))
			return -EINTR;
		r = publish(replay, head, content);
		if (r < 0)
			return r;
		/* Behind the first one: none that follows comes too early. */
		if (!replay->has_begun)
			replay->began_ns = clock_now_ns();
	}
	count(replay, head);
	return 0;
}

static void take_counts(struct replay *replay, const struct recording_head *head,
			const void *content)
{
	struct replayed *queue = &replay->channels[head->channel];

	recording_decode_counts(content, &queue->n_sent, &queue->n_received);
}

static int take(struct replay *replay, const struct recording_head *head, const void *content,
		bool *is_first)
{
	int r = 0;

	switch (head->type) {
	case RECORDING_TOPIC:
	case RECORDING_QUEUE:
		return add_channel(replay, head);
	case RECORDING_MESSAGE:
		if (*is_first)
			r = begin(replay);
		if (r == 0)
			r = take_message(replay, head, content);
		if (r == 0 && *is_first && replay->from_ns > 0) {
			r = recording_seek(replay->reader, replay->from_ns);
			if (r < 0)
				ctl_error("%s: %s", replay->path, strerror(-r));
		}
		*is_first = false;
		return r;
	case RECORDING_COUNTS:
		take_counts(replay, head, content);
		return 0;
	case RECORDING_INDEX:
	case RECORDING_END:
		break;
	}
	return 0;
}

/* ---- the file ---- */

static void tell_gap(struct replay *replay, const struct recording_gap *gap)
{
	ctl_error("%s: damaged from byte %" PRIu64 " to %" PRIu64 ", which is left out",
		  replay->path, gap->from, gap->to);
	replay->has_failed = true;
}

/* Behind the last whole record, and no end. */
static void tell_end(struct replay *replay, const struct recording_gap *gap)
{
	if (recording_grows(replay->reader)) {
		ctl_error("%s is still being written: this is what it has up to now", replay->path);
		return;
	}
	ctl_error("%s: cut off at byte %" PRIu64 ", with %" PRIu64 " bytes of a record that is not "
		  "whole: it has no end", replay->path, gap->from, gap->to - gap->from);
	replay->has_failed = true;
}

/* All of it. Return: 0; -errno, which was said; -EINTR. */
static int read_all(struct replay *replay)
{
	struct recording_head head;
	struct recording_gap gap;
	bool is_first = true;
	const void *content;
	int r;

	for (;;) {
		r = recording_next(replay->reader, &head, &content, &gap);
		switch (r) {
		case 0:
			r = take(replay, &head, content, &is_first);
			if (r < 0)
				return r;
			break;
		case -EBADMSG:
			tell_gap(replay, &gap);
			break;
		case -EAGAIN:
			tell_end(replay, &gap);
			return 0;
		case -ENODATA:
			return 0;
		default:
			ctl_error("%s: %s", replay->path, strerror(-r));
			return r;
		}
	}
}

/* ---- what is printed ---- */

static void add_figure(struct table *table, bool has_it, uint64_t figure)
{
	if (has_it)
		table_add(table, "%" PRIu64, figure);
	else
		table_add(table, "-");
}

static int print_channels(const struct replay *replay)
{
	static const char *const headings[] = { "~NAME", "<KIND", ">MESSAGES", ">BYTES",
						">MISSED", ">SENT", ">RECEIVED" };
	struct table table;
	char bytes[16];
	int r;

	table_init(&table, headings, sizeof(headings) / sizeof(headings[0]));
	for (uint32_t i = 0; i < replay->n_channels; i++) {
		const struct replayed *channel = &replay->channels[i];
		const char *name = recording_channel_name(replay->reader, i);
		bool is_topic = recording_channel_is_topic(replay->reader, i);

		if (!name || !attach_is_named(replay->options, name))
			continue;
		text_bytes(channel->sums.n_bytes, bytes, sizeof(bytes));
		table_add(&table, "%s", name);
		table_add(&table, "%s", is_topic ? "topic" : "queue");
		add_figure(&table, is_topic, channel->sums.n_messages);
		table_add(&table, "%s", is_topic ? bytes : "-");
		add_figure(&table, is_topic, channel->sums.n_missed);
		add_figure(&table, !is_topic, channel->n_sent);
		add_figure(&table, !is_topic, channel->n_received);
	}
	r = table_print(&table, NULL, NULL);
	table_deinit(&table);
	return r;
}

static void print_sums(const struct replay *replay)
{
	const struct recording_sums *sums = &replay->sums;
	uint64_t span_ns = replay->last_ns > replay->first_ns ? replay->last_ns - replay->first_ns : 0;

	if (replay->options->json)
		printf("{ \"messages\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"missed\": %" PRIu64
		       ", \"span_ns\": %" PRIu64 " }\n",
		       sums->n_messages, sums->n_bytes, sums->n_missed, span_ns);
	else
		printf("%s%" PRIu64 " messages of %" PRIu64 " bytes, over %.3f s; %" PRIu64
		       " were missed when they were recorded\n",
		       replay->client ? "replayed " : "", sums->n_messages, sums->n_bytes,
		       (double)span_ns / 1e9, sums->n_missed);
}

/* ---- the command ---- */

static int open_file(struct replay *replay)
{
	int r = recording_open(replay->path, &replay->reader);

	if (r == -EBADMSG)
		ctl_error("%s is no recording, or its first bytes are damaged", replay->path);
	else if (r == -EPROTONOSUPPORT)
		ctl_error("%s is a recording of another version than this program's",
			  replay->path);
	else if (r < 0)
		ctl_error("%s: %s", replay->path, strerror(-r));
	return r;
}

static enum ctl_exit open_client(struct replay *replay)
{
	enum ctl_exit status;

	status = attach(replay->options, "mempoolctl-replay", 0, &replay->client);
	if (status != CTL_OK)
		return status;
	attach_catch_signals();
	if (mempool_client_role(replay->client) == MEMPOOL_ROLE_MEMBER)
		return CTL_OK;
	ctl_error("you may read this segment, and publish nothing there: see allow in "
		  "mempool.yaml(5)");
	return CTL_FAILED;
}

static void replay_deinit(struct replay *replay)
{
	for (uint32_t i = 0; i < replay->n_channels; i++)
		mempool_topic_close(replay->channels[i].topic);
	free(replay->channels);
	mempool_client_close(replay->client);
	recording_close(replay->reader);
}

enum ctl_exit ctl_replay(const struct ctl_options *options)
{
	struct replay replay = { .path = options->arguments[0], .options = options };
	enum ctl_exit status = CTL_OK;
	int r;

	if (open_file(&replay) < 0)
		return CTL_FAILED;
	if (options->from_ns > 0)
		replay.from_ns = recording_began_ns(replay.reader) + options->from_ns;
	if (!options->dry_run)
		status = open_client(&replay);
	if (status == CTL_OK) {
		r = read_all(&replay);
		if (r == 0 && options->dry_run && !options->json)
			r = print_channels(&replay);
		print_sums(&replay);
		if ((r < 0 && r != -EINTR) || replay.has_failed)
			status = CTL_FAILED;
	}
	replay_deinit(&replay);
	return status;
}
