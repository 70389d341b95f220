/* SPDX-License-Identifier: MIT */
/*
 * record.c - mempoolctl record: what is published goes to a file, and nobody notices
 *
 * The recorder looks at each topic in turn, copies what is new, and holds nothing: no publisher waits
 * for it, wakes it, or keeps a chunk for it. What goes faster than it can be written is missed, and
 * how many were is in the next message's record. A long message is written to the file from where it
 * stands, and is a record once it is known to have stood there all the time (recording_try()); a
 * short one is copied.
 *
 * Messages of queues go to their receiver, and to nobody else: of a queue there are the counts, when
 * they change.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach.h"
#include "recording.h"
#include "shm/clock.h"

/* Longer ones are not copied. */
#define SHORT_BYTES (32 * 1024)

/* Of one topic before the next one is looked at. */
#define BURST 64

struct recorded_topic {
	uint32_t channel;
	uint64_t capacity;
	struct mempool_topic *topic;
	struct mempool_subscriber *subscriber;
	uint64_t n_missed;		/* told, and in no record yet */
};

struct recorded_queue {
	uint32_t channel;
	bool is_wanted;
	bool was_put;
	uint64_t n_sent;		/* as in the last record */
	uint64_t n_received;
};

struct recorder {
	const char *path;
	const struct ctl_options *options;
	struct mempool_client *client;
	struct recording_writer *writer;
	struct recorded_topic *topics;
	size_t n_topics;
	struct recorded_queue *queues;	/* in the order of the segment's */
	struct mempool_queue_counts *counts;
	size_t n_queues;
	size_t n_queues_wanted;
	int64_t queues_due_ns;
	uint32_t n_channels;
	uint64_t n_left;		/* messages until it ends */
	unsigned char content[SHORT_BYTES];
};

/* ---- messages ---- */

static struct recording_head head_of(const struct recorded_topic *topic, size_t length,
				     uint32_t tag)
{
	struct recording_head head = {
		.type = RECORDING_MESSAGE,
		.channel = topic->channel,
		.taken_ns = (uint64_t)clock_now_ns(),
		.n_missed = topic->n_missed,
		.tag = tag,
		.n_bytes = length,
	};

	if (mempool_subscriber_stamp(topic->subscriber, &head.sent_ns) < 0)
		head.sent_ns = 0;
	return head;
}

/* Return: 1 looked at; 0 nothing new; -errno of the file. */
static int take_long(struct recorder *recorder, struct recorded_topic *topic)
{
	struct recording_head head;
	const void *chunk;
	uint64_t n_missed;
	size_t length;
	uint32_t tag;
	int r;

	r = mempool_subscriber_peek(topic->subscriber, &chunk, &length, &tag, &n_missed, 0);
	if (r < 0)
		return r == -EAGAIN ? 0 : r;
	topic->n_missed += n_missed;
	head = head_of(topic, length, tag);
	r = recording_try(recorder->writer, &head, chunk);
	if (r < 0)
		return r;
	/* It went while it was written: missed, as the next call tells. */
	if (mempool_subscriber_verify(topic->subscriber) < 0)
		return 1;
	r = recording_commit(recorder->writer);
	if (r < 0)
		return r;
	topic->n_missed = 0;
	recorder->n_left--;
	return 1;
}

/* The next message of a topic. Return: 1 looked at; 0 nothing new; -errno. */
static int take(struct recorder *recorder, struct recorded_topic *topic)
{
	struct recording_head head;
	uint64_t n_missed;
	size_t length;
	uint32_t tag;
	int r;

	r = mempool_subscriber_copy(topic->subscriber, recorder->content, SHORT_BYTES, &length,
				    &tag, &n_missed, 0);
	if (r == -EMSGSIZE)
		return take_long(recorder, topic);
	if (r < 0)
		return r == -EAGAIN ? 0 : r;
	topic->n_missed += n_missed;
	head = head_of(topic, length, tag);
	r = recording_put(recorder->writer, &head, recorder->content);
	if (r < 0)
		return r;
	topic->n_missed = 0;
	recorder->n_left--;
	return 1;
}

/* Up to so many of each topic. Return: how many were looked at; -errno. */
static int take_of_each(struct recorder *recorder, uint64_t at_most)
{
	int n = 0, r;

	for (size_t i = 0; i < recorder->n_topics; i++) {
		struct recorded_topic *topic = &recorder->topics[i];
		uint64_t n_turns = at_most > 0 ? at_most : topic->capacity;

		do {
			if (recorder->n_left == 0)
				return n;
			r = take(recorder, topic);
			if (r < 0)
				return r;
			n += r;
		} while (r > 0 && --n_turns > 0);
	}
	return n;
}

/* ---- queues ---- */

static int put_counts(struct recorder *recorder, struct recorded_queue *queue,
		      const struct mempool_queue_counts *counts)
{
	unsigned char content[RECORDING_COUNTS_BYTES];
	const struct recording_head head = {
		.type = RECORDING_COUNTS,
		.channel = queue->channel,
		.taken_ns = (uint64_t)clock_now_ns(),
		.n_bytes = sizeof(content),
	};

	if (queue->was_put && counts->sent == queue->n_sent && counts->received == queue->n_received)
		return 0;
	recording_encode_counts(counts->sent, counts->received, content);
	queue->was_put = true;
	queue->n_sent = counts->sent;
	queue->n_received = counts->received;
	return recording_put(recorder->writer, &head, content);
}

static int look_at_queues(struct recorder *recorder)
{
	int r = 0;

	if (recorder->n_queues_wanted == 0 || clock_now_ns() < recorder->queues_due_ns)
		return 0;
	recorder->queues_due_ns = clock_after_ns((int64_t)recorder->options->interval_ns);
	if (mempool_client_queues(recorder->client, recorder->counts, recorder->n_queues) < 0)
		return 0;
	for (size_t i = 0; i < recorder->n_queues && r == 0; i++)
		if (recorder->queues[i].is_wanted)
			r = put_counts(recorder, &recorder->queues[i], &recorder->counts[i]);
	return r;
}

/* ---- the run ---- */

/* Until a signal, --count, or a new layout. Return: 0; 1 the segment was retired; -errno. */
static int run(struct recorder *recorder)
{
	struct nap nap = { 0 };
	bool is_stale = false;
	int r;

	while (!attach_is_stopped() && recorder->n_left > 0 && !is_stale) {
		r = look_at_queues(recorder);
		if (r == 0)
			r = take_of_each(recorder, BURST);
		if (r < 0)
			return r;
		if (r > 0) {
			nap_reset(&nap);
			continue;
		}
		r = recording_flush(recorder->writer);
		if (r < 0)
			return r;
		/* Before the last look: nothing is published that it would not see. */
		is_stale = mempool_client_is_stale(recorder->client);
		nap_take(&nap);
	}
	/* What came before the end belongs to it; but who publishes on and on does not keep it. */
	recorder->queues_due_ns = 0;
	r = take_of_each(recorder, 0);
	if (r >= 0)
		r = look_at_queues(recorder);
	return r < 0 ? r : is_stale;
}

/* ---- what is recorded ---- */

static int put_channel(struct recorder *recorder, enum recording_type type, const char *name,
		       uint32_t *ret_channel)
{
	const struct recording_head head = {
		.type = type,
		.channel = recorder->n_channels,
		.taken_ns = (uint64_t)clock_now_ns(),
		.n_bytes = strlen(name),
	};

	*ret_channel = recorder->n_channels++;
	return recording_put(recorder->writer, &head, name);
}

static int add_topic(struct recorder *recorder, const struct mempool_topic_counts *counts)
{
	struct recorded_topic *topic = &recorder->topics[recorder->n_topics];
	int r;

	topic->capacity = counts->capacity;
	r = mempool_topic_open(recorder->client, counts->name, &topic->topic);
	if (r < 0)
		return r;
	recorder->n_topics++;
	r = mempool_topic_subscribe(topic->topic, MEMPOOL_TOPIC_NEW, &topic->subscriber);
	return r < 0 ? r : put_channel(recorder, RECORDING_TOPIC, counts->name, &topic->channel);
}

static int add_topics(struct recorder *recorder)
{
	int n = mempool_client_topics(recorder->client, NULL, 0), r = 0;
	struct mempool_topic_counts *counts;

	if (n < 0)
		return n;
	counts = calloc((size_t)n + 1, sizeof(*counts));
	recorder->topics = calloc((size_t)n + 1, sizeof(*recorder->topics));
	if (!counts || !recorder->topics)
		r = -ENOMEM;
	else
		r = mempool_client_topics(recorder->client, counts, (size_t)n);
	for (int i = 0; i < n && r >= 0; i++)
		if (attach_is_named(recorder->options, counts[i].name))
			r = add_topic(recorder, &counts[i]);
	free(counts);
	return r < 0 ? r : 0;
}

static int add_queues(struct recorder *recorder)
{
	int n = mempool_client_queues(recorder->client, NULL, 0), r;

	if (n < 0)
		return n;
	recorder->counts = calloc((size_t)n + 1, sizeof(*recorder->counts));
	recorder->queues = calloc((size_t)n + 1, sizeof(*recorder->queues));
	if (!recorder->counts || !recorder->queues)
		return -ENOMEM;
	recorder->n_queues = (size_t)n;
	r = mempool_client_queues(recorder->client, recorder->counts, (size_t)n);
	for (int i = 0; i < n && r >= 0; i++) {
		struct recorded_queue *queue = &recorder->queues[i];

		if (!attach_is_named(recorder->options, recorder->counts[i].name))
			continue;
		queue->is_wanted = true;
		recorder->n_queues_wanted++;
		r = put_channel(recorder, RECORDING_QUEUE, recorder->counts[i].name,
				&queue->channel);
	}
	return r < 0 ? r : 0;
}

/* Names that there are none of; says which. */
static bool names_are_known(const struct recorder *recorder)
{
	char **names = recorder->options->arguments + 1;
	struct mempool_topic_counts counts;

	for (; *names; names++) {
		bool is_known = false;

		for (size_t i = 0; i < recorder->n_topics && !is_known; i++)
			is_known = mempool_topic_info(recorder->topics[i].topic, &counts) == 0 &&
				   strcmp(counts.name, *names) == 0;
		for (size_t i = 0; i < recorder->n_queues && !is_known; i++)
			is_known = strcmp(recorder->counts[i].name, *names) == 0;
		if (!is_known) {
			ctl_error("the segment has no topic or queue '%s'", *names);
			return false;
		}
	}
	if (recorder->n_channels == 0)
		ctl_error("the segment has no topic, and no queue");
	return recorder->n_channels > 0;
}

/* ---- the command ---- */

static void explain_file(const struct recorder *recorder, int error,
			 const struct recording_sums *sums)
{
	ctl_error("%s: %s; it ends after %" PRIu64 " messages, and can be read up to there",
		  recorder->path, strerror(-error), sums->n_messages);
}

static void print(const struct recorder *recorder, const struct recording_sums *sums)
{
	if (recorder->options->json)
		printf("{ \"messages\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"missed\": %" PRIu64
		       " }\n", sums->n_messages, sums->n_bytes, sums->n_missed);
	else
		printf("recorded %" PRIu64 " messages of %" PRIu64 " bytes; %" PRIu64
		       " were missed\n", sums->n_messages, sums->n_bytes, sums->n_missed);
}

/* From the channels to the end of the file. */
static enum ctl_exit record(struct recorder *recorder)
{
	struct recording_sums sums;
	bool is_retired = false;
	int r, closed;

	r = add_topics(recorder);
	if (r == 0)
		r = add_queues(recorder);
	if (r == 0 && !names_are_known(recorder)) {
		recording_finish(recorder->writer);
		remove(recorder->path);
		return CTL_FAILED;
	}
	if (r == 0)
		r = recording_flush(recorder->writer);
	if (r == 0)
		r = run(recorder);
	is_retired = r == 1;
	recording_sums(recorder->writer, &sums);
	closed = recording_finish(recorder->writer);
	if (r >= 0 && closed < 0)
		r = closed;
	if (r < 0)
		explain_file(recorder, r, &sums);
	else if (is_retired)
		ctl_error("a reload has replaced the segment: %s ends there", recorder->path);
	print(recorder, &sums);
	return r < 0 || is_retired ? CTL_FAILED : CTL_OK;
}

static void recorder_deinit(struct recorder *recorder)
{
	for (size_t i = 0; i < recorder->n_topics; i++) {
		mempool_subscriber_close(recorder->topics[i].subscriber);
		mempool_topic_close(recorder->topics[i].topic);
	}
	free(recorder->topics);
	free(recorder->queues);
	free(recorder->counts);
	mempool_client_close(recorder->client);
}

enum ctl_exit ctl_record(const struct ctl_options *options)
{
	static struct recorder recorder;
	enum ctl_exit status;
	int r;

	recorder.path = options->arguments[0];
	recorder.options = options;
	recorder.n_left = options->count > 0 ? options->count : UINT64_MAX;
	status = attach(options, "mempoolctl-record", MEMPOOL_CLIENT_READ_ONLY, &recorder.client);
	if (status != CTL_OK)
		return status;
	attach_catch_signals();
	/* A file that may not become longer is told by a code. */
	signal(SIGXFSZ, SIG_IGN);
	r = recording_create(recorder.path, &recorder.writer);
	if (r < 0) {
		ctl_error("%s: %s", recorder.path, strerror(-r));
		status = CTL_FAILED;
	} else {
		status = record(&recorder);
	}
	recorder_deinit(&recorder);
	return status;
}
