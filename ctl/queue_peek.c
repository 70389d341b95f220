/* SPDX-License-Identifier: MIT */
/*
 * queue_peek.c - mempoolctl queue peek: which messages wait in a queue, the next one first
 */
#include <inttypes.h>
#include <stdio.h>

#include "ctl.h"
#include "report.h"
#include "table.h"
#include "text.h"

#define MOST 20

/* What a message that stands in a slot does not have. */
static void add_of_chunk(struct table *table, const struct waiting_list *list, uint32_t number)
{
	if (list->is_in_slots)
		table_add(table, "-");
	else
		table_add(table, "%" PRIu32, number);
}

static void add_message(struct table *table, const struct snapshot *snapshot, size_t i)
{
	const struct waiting *message = &snapshot->waiting.messages[i];
	char age[TEXT_SPAN_BYTES] = "-";

	if (message->sent_ns != 0)
		text_span(message->sent_ns < snapshot->taken_ns
				  ? snapshot->taken_ns - message->sent_ns : 0, age);
	table_add(table, "%zu", i);
	add_of_chunk(table, &snapshot->waiting, message->pool);
	add_of_chunk(table, &snapshot->waiting, message->index);
	table_add(table, "%" PRIu64, message->n_bytes);
	add_of_chunk(table, &snapshot->waiting, message->tag);
	table_add(table, "%s", age);
}

static int print_segment(const struct snapshot *snapshot, struct text_style style)
{
	static const char *const headings[] = { ">NEXT", ">POOL", ">CHUNK", ">BYTES", ">TAG",
						">AGE" };
	const struct waiting_list *list = &snapshot->waiting;
	struct table table;
	int r;

	(void)style;
	if (list->n == 0) {
		printf("%*sno message waits there\n", TABLE_INDENT, "");
		return 0;
	}
	table_init(&table, headings, sizeof(headings) / sizeof(headings[0]));
	for (size_t i = 0; i < list->n; i++)
		add_message(&table, snapshot, i);
	r = table_print(&table, NULL, NULL);
	table_deinit(&table);
	if (list->n_more > 0)
		printf("\n%*s%" PRIu64 " more wait behind these\n", TABLE_INDENT, "", list->n_more);
	return r;
}

/* Of the segments that have it. */
static int print(const struct snapshot *snapshots, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		if (snapshots[i].waiting.is_queue)
			r = report_each(&snapshots[i], 1, print_segment);
	return r;
}

static bool is_anywhere(const struct gathering *gathering)
{
	for (size_t i = 0; i < gathering->n_snapshots; i++)
		if (gathering->snapshots[i].waiting.is_queue)
			return true;
	return false;
}

enum ctl_exit ctl_queue_peek(const struct ctl_options *given)
{
	struct ctl_options options = *given;
	struct gathering gathering = { 0 };
	enum ctl_exit status;

	options.queue = given->arguments[0];
	if (options.count == 0)
		options.count = MOST;
	status = report_gathering(&options, print, print, &gathering);
	if (status == CTL_OK && !is_anywhere(&gathering)) {
		ctl_error("no queue '%s' (mempoolctl queues)", options.queue);
		status = CTL_FAILED;
	}
	gathering_deinit(&gathering);
	return status;
}
