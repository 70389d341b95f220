/* SPDX-License-Identifier: MIT */
/*
 * rings.c - mempoolctl queues and topics: what is on its way, and what is kept
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl.h"
#include "name.h"
#include "report.h"
#include "report_json.h"
#include "split.h"
#include "table.h"
#include "text.h"

/* The rings of one kind, as rows. */
struct rows {
	struct text_style style;
	bool have_stamps;		/* some: then there is a column more */
	const struct snapshot_ring **of;
	size_t n;
};

static void print_ring_bar(size_t row, int room, void *userdata)
{
	const struct rows *rows = userdata;

	text_print_bar(rows->style, report_ring_level(rows->of[row]),
		       rows->of[row]->n_messages, rows->of[row]->capacity, room);
}

/* Open ends; and of a queue for one, so many of one. */
static void add_ends(struct table *table, uint64_t n, bool has_one)
{
	table_add(table, "%" PRIu64 "%s", n, has_one ? "/1" : "");
}

static void add_queue(struct table *table, const struct snapshot_ring *queue)
{
	char bytes[16];

	text_bytes(queue->bytes, bytes, sizeof(bytes));
	table_add(table, "%s", queue->name);
	table_add(table, "%" PRIu64, queue->capacity);
	table_add(table, "%" PRIu64, queue->n_messages);
	table_add(table, "%" PRIu64, queue->n_sent);
	table_add(table, "%" PRIu64, queue->n_received);
	/* Messages in slots hold no chunk: so large may one be. */
	if (queue->slot_bytes > 0) {
		snprintf(bytes, sizeof(bytes), "<= %" PRIu32, queue->slot_bytes);
		table_add(table, "%s", "slots");
	} else {
		table_add(table, "%" PRIu64, queue->chunks);
	}
	table_add(table, "%s", bytes);
	add_ends(table, queue->n_senders, queue->has_one_sender);
	add_ends(table, queue->n_receivers, queue->has_one_receiver);
}

/* Each message that is kept is one chunk: that is no column, so that the bar has its place. */
static void add_topic(struct table *table, const struct snapshot_ring *topic)
{
	char bytes[16];

	text_bytes(topic->bytes, bytes, sizeof(bytes));
	table_add(table, "%s", topic->name);
	table_add(table, "%" PRIu64, topic->capacity);
	table_add(table, "%" PRIu64, topic->n_messages);
	table_add(table, "%s", bytes);
	table_add(table, "%" PRIu64, topic->n_sent);
	table_add(table, "%" PRIu64, topic->n_yielded);
	table_add(table, "%" PRIu64, topic->n_subscribers);
}

static void add_oldest(struct table *table, const struct snapshot_ring *ring)
{
	char oldest[TEXT_SPAN_BYTES] = "-";

	if (ring->has_oldest)
		text_span(ring->oldest_ns, oldest);
	table_add(table, "%s", oldest);
}

/* The last heading is that of the column which not all have. */
static int print_rings(const struct snapshot *snapshot, struct text_style style,
		       enum mempool_ring_kind kind, const char *const *headings,
		       size_t n_headings)
{
	struct rows rows = { .style = style };
	struct table table;
	int r;

	rows.of = calloc(snapshot->n_rings + 1, sizeof(struct snapshot_ring *));
	if (!rows.of)
		return -ENOMEM;
	for (size_t i = 0; i < snapshot->n_rings; i++)
		if (snapshot->rings[i].kind == kind) {
			rows.have_stamps |= snapshot->rings[i].has_stamps;
			rows.of[rows.n++] = &snapshot->rings[i];
		}
	if (rows.n == 0) {
		printf("%*sno %ss\n", TABLE_INDENT, "", name_ring_kind(kind));
		free(rows.of);
		return 0;
	}
	table_init(&table, headings, n_headings - !rows.have_stamps);
	for (size_t i = 0; i < rows.n; i++) {
		if (kind == MEMPOOL_RING_QUEUE)
			add_queue(&table, rows.of[i]);
		else
			add_topic(&table, rows.of[i]);
		if (rows.have_stamps)
			add_oldest(&table, rows.of[i]);
	}
	r = table_print(&table, print_ring_bar, &rows);
	table_deinit(&table);
	free(rows.of);
	report_notes(snapshot);
	return r;
}

static int print_queues_of(const struct snapshot *snapshot, struct text_style style)
{
	static const char *const headings[] = { "~QUEUE",    ">CAPACITY", ">MESSAGES", ">SENT",
						">RECEIVED", ">CHUNKS",	  ">BYTES",    ">SND",
						">RCV",	     ">OLDEST" };

	return print_rings(snapshot, style, MEMPOOL_RING_QUEUE, headings, 10);
}

static int print_topics_of(const struct snapshot *snapshot, struct text_style style)
{
	static const char *const headings[] = { "~TOPIC",     ">CAPACITY", ">KEPT", ">BYTES",
						">PUBLISHED", ">YIELDED",  ">SUBS", ">OLDEST" };

	return print_rings(snapshot, style, MEMPOOL_RING_TOPIC, headings, 8);
}

static int print_queues(const struct snapshot *snapshots, size_t n)
{
	int r = report_each(snapshots, n, print_queues_of);

	split_print(snapshots, n);
	return r;
}

static int print_topics(const struct snapshot *snapshots, size_t n)
{
	int r = report_each(snapshots, n, print_topics_of);

	split_print(snapshots, n);
	return r;
}

static int print_queues_json(const struct snapshot *snapshots, size_t n)
{
	return report_json(snapshots, n, REPORT_QUEUES);
}

static int print_topics_json(const struct snapshot *snapshots, size_t n)
{
	return report_json(snapshots, n, REPORT_TOPICS);
}

enum ctl_exit ctl_queues(const struct ctl_options *options)
{
	return report(options, print_queues, print_queues_json);
}

enum ctl_exit ctl_topics(const struct ctl_options *options)
{
	return report(options, print_topics, print_topics_json);
}
