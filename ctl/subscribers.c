/* SPDX-License-Identifier: MIT */
/*
 * subscribers.c - mempoolctl subscribers: who reads which topic, how far behind, and who is stuck
 */
#include "subscribers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl.h"
#include "name.h"
#include "report.h"
#include "report_json.h"
#include "table.h"
#include "text.h"

#define NS_PER_SECOND UINT64_C(1000000000)

/* ---- two looks ---- */

static struct snapshot *earlier(struct gathering *before, const struct snapshot *now)
{
	for (size_t i = 0; i < before->n_snapshots; i++)
		if (before->snapshots[i].segment_id == now->segment_id &&
		    before->snapshots[i].n_rings == now->n_rings)
			return &before->snapshots[i];
	return NULL;
}

/* Both lists are in one order. A line that was taken anew is another subscriber's. */
static const struct snapshot_subscriber *find(const struct snapshot *before,
					      const struct snapshot_subscriber *now, size_t *at)
{
	const struct snapshot_subscriber *one;

	for (; *at < before->n_subscribers; ++*at) {
		one = &before->subscribers[*at];
		if (one->ring < now->ring || (one->ring == now->ring && one->line < now->line))
			continue;
		return one->ring == now->ring && one->line == now->line && one->is_whole &&
				       one->record.id == now->record.id &&
				       one->record.incarnation == now->record.incarnation &&
				       one->start == now->start
			       ? one : NULL;
	}
	return NULL;
}

static enum subscriber_state judge(const struct snapshot_subscriber *before,
				   const struct snapshot_subscriber *now, uint64_t capacity)
{
	if (now->cursor == before->cursor && before->n_behind > 0)
		return now->n_behind > before->n_behind ? SUBSCRIBER_STUCK : SUBSCRIBER_BEHIND;
	/* It does not want to read them all. */
	if (now->flags == MEMPOOL_END_NEWEST)
		return now->cursor == before->cursor ? SUBSCRIBER_IDLE : SUBSCRIBER_READS;
	if (now->n_missed > before->n_missed || now->n_behind > capacity)
		return SUBSCRIBER_SLOW;
	return now->cursor == before->cursor ? SUBSCRIBER_IDLE : SUBSCRIBER_READS;
}

void subscribers_compare(struct gathering *before, struct gathering *now)
{
	for (size_t i = 0; i < now->n_snapshots; i++) {
		struct snapshot *snapshot = &now->snapshots[i];
		struct snapshot *first = earlier(before, snapshot);
		size_t at = 0;

		if (!first)
			continue;
		snapshot_order_subscribers(first);
		snapshot_order_subscribers(snapshot);
		for (size_t k = 0; k < snapshot->n_subscribers; k++) {
			struct snapshot_subscriber *subscriber = &snapshot->subscribers[k];
			const struct snapshot_subscriber *was = find(first, subscriber, &at);

			if (was && subscriber->is_whole)
				subscriber->state =
					judge(was, subscriber,
					      snapshot->rings[subscriber->ring].capacity);
		}
	}
}

/* ---- the command ---- */

static void add_figure(struct table *table, const struct snapshot_subscriber *subscriber,
		       uint64_t figure)
{
	if (subscriber->is_whole)
		table_add(table, "%" PRIu64, figure);
	else
		table_add(table, "-");
}

static void add_subscriber(struct table *table, const struct snapshot *snapshot,
			   const struct snapshot_subscriber *subscriber)
{
	char pid[TEXT_PID_BYTES], label[TEXT_LABEL_BYTES];

	text_pid(&subscriber->record, pid);
	text_label(&subscriber->record, label);
	table_add(table, "%s", snapshot->rings[subscriber->ring].name);
	table_add(table, "%u", subscriber->record.id);
	table_add(table, "%s", pid);
	table_add(table, "%s", label);
	table_add(table, "%s", name_end_flags(subscriber->flags));
	add_figure(table, subscriber, subscriber->n_behind);
	add_figure(table, subscriber, subscriber->n_missed);
	table_add(table, "%" PRIu64, subscriber->n_holds);
	table_add(table, "%s", name_subscriber_state(subscriber->state));
}

static int print_segment(const struct snapshot *snapshot, struct text_style style)
{
	static const char *const headings[] = { "<TOPIC",   ">ID",     ">PID",   "~NAME", "<READS",
						">BEHIND", ">MISSED", ">HOLDS", "<STATE" };
	struct table table;
	int r = 0;

	(void)style;
	if (snapshot->n_subscribers == 0) {
		printf("%*sno subscribers\n", TABLE_INDENT, "");
	} else {
		table_init(&table, headings, sizeof(headings) / sizeof(headings[0]));
		for (size_t i = 0; i < snapshot->n_subscribers; i++)
			add_subscriber(&table, snapshot, &snapshot->subscribers[i]);
		r = table_print(&table, NULL, NULL);
		table_deinit(&table);
	}
	for (size_t i = 0; i < snapshot->n_rings; i++)
		if (snapshot->rings[i].kind == MEMPOOL_RING_TOPIC && snapshot->rings[i].n_unseen > 0)
			printf("\n%*s%s: %" PRIu64 " subscribers, of now or earlier, are not seen: there "
			       "was no room\n", TABLE_INDENT, "", snapshot->rings[i].name,
			       snapshot->rings[i].n_unseen);
	report_notes(snapshot);
	return r;
}

static int print(const struct gathering *gathering, bool json)
{
	if (json)
		return report_json(gathering->snapshots, gathering->n_snapshots,
				   REPORT_SUBSCRIBERS);
	return report_each(gathering->snapshots, gathering->n_snapshots, print_segment);
}

static void sleep_for(uint64_t ns)
{
	struct timespec left = { (time_t)(ns / NS_PER_SECOND), (long)(ns % NS_PER_SECOND) };

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
		;
}

enum ctl_exit ctl_subscribers(const struct ctl_options *options)
{
	struct gathering before = { 0 }, now = { 0 };
	enum ctl_exit status = CTL_OK;
	int r = 0;

	gather(options, NULL, &before);
	if (before.n_snapshots > 0)
		sleep_for(options->interval_ns);
	gather(options, NULL, &now);
	subscribers_compare(&before, &now);
	status = gathering_explain(&now, options);
	if (status == CTL_OK || now.n_snapshots > 0)
		r = print(&now, options->json);
	if (r < 0) {
		ctl_error("%s", strerror(-r));
		status = CTL_FAILED;
	}
	gathering_deinit(&before);
	gathering_deinit(&now);
	return status;
}
