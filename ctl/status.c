/* SPDX-License-Identifier: MIT */
/*
 * status.c - mempoolctl status: what is in the segments, in short
 */
#include <inttypes.h>
#include <stdio.h>

#include "ctl.h"
#include "name.h"
#include "report.h"
#include "report_json.h"
#include "split.h"
#include "table.h"
#include "text.h"

struct bars {
	struct text_style style;
	const struct snapshot *snapshot;
};

static void print_pool_bar(size_t row, int room, void *userdata)
{
	const struct bars *bars = userdata;
	const struct census_pool *counts = &bars->snapshot->pools[row].counts;

	text_print_bar(bars->style, text_level(counts->used, counts->counted), counts->used,
		       counts->counted, room);
}

static int print_pools(const struct snapshot *snapshot, struct text_style style)
{
	static const char *const headings[] = { ">POOL",  ">SIZE", ">STRIDE",
						">TOTAL", ">USED", ">FREE" };
	struct bars bars = { .style = style, .snapshot = snapshot };
	struct table table;
	int r;

	table_init(&table, headings, sizeof(headings) / sizeof(headings[0]));
	for (size_t i = 0; i <= snapshot->n_pools; i++) {
		const struct snapshot_pool *pool = &snapshot->pools[i];

		if (i < snapshot->n_pools)
			table_add(&table, "%zu", i);
		else
			table_add(&table, "managers");
		table_add(&table, "%" PRIu64, pool->chunk_size);
		table_add(&table, "%" PRIu64, pool->stride);
		table_add(&table, "%" PRIu64, pool->counts.total);
		table_add(&table, "%" PRIu64, pool->counts.used);
		table_add(&table, "%" PRIu64, pool->counts.free);
	}

	r = table_print(&table, print_pool_bar, &bars);
	table_deinit(&table);
	return r;
}

static void add_holder(struct table *table, const struct snapshot_holder *holder)
{
	const struct holder *record = &holder->record;
	char pid[TEXT_PID_BYTES], user[11], bytes[16], label[TEXT_LABEL_BYTES];

	text_pid(record, pid);
	name_user(record->uid, user, sizeof(user));
	text_bytes(holder->counts.bytes, bytes, sizeof(bytes));
	text_label(record, label);

	table_add(table, "%u", record->id);
	table_add(table, "%s", pid);
	table_add(table, "%s", user);
	table_add(table, "%s", label);
	table_add(table, "%" PRIu64, holder->counts.all.chunks);
	table_add(table, "%s", bytes);
	table_add(table, "%" PRIu64, holder->counts.all.shared);
}

static int print_holders(const struct snapshot *snapshot)
{
	static const char *const headings[] = { ">ID",	   ">PID",   "<USER",  "~NAME",
						">CHUNKS", ">BYTES", ">SHARED" };
	struct table table;
	int r;

	if (snapshot->n_holders == 0) {
		printf("%*sno holders\n", TABLE_INDENT, "");
		return 0;
	}
	table_init(&table, headings, sizeof(headings) / sizeof(headings[0]));
	for (size_t i = 0; i < snapshot->n_holders; i++)
		add_holder(&table, &snapshot->holders[i]);
	r = table_print(&table, NULL, NULL);
	table_deinit(&table);
	return r;
}

static int print_rings(const struct snapshot *snapshot)
{
	static const char *const headings[] = { "<QUEUE OR TOPIC", "<NAME", ">CAPACITY",
						">MESSAGES" };
	struct table table;
	int r;

	if (snapshot->n_rings == 0)
		return 0;
	table_init(&table, headings, sizeof(headings) / sizeof(headings[0]));
	for (size_t i = 0; i < snapshot->n_rings; i++) {
		const struct snapshot_ring *ring = &snapshot->rings[i];

		table_add(&table, "%s", name_ring_kind(ring->kind));
		table_add(&table, "%s", ring->name);
		table_add(&table, "%" PRIu64, ring->capacity);
		table_add(&table, "%" PRIu64, ring->n_messages);
	}
	putchar('\n');
	r = table_print(&table, NULL, NULL);
	table_deinit(&table);
	return r;
}

/* How threads claim what they have freed. */
static void print_claims(const struct lane_counts *lanes)
{
	if (!lanes->is_on) {
		printf("\n%*sclaims by swap\n", TABLE_INDENT, "");
		return;
	}
	printf("\n%*sclaims by plain stores: %" PRIu64 " of %" PRIu64 " lanes taken, %" PRIu64
	       " to be swept, %" PRIu64 " revocations\n", TABLE_INDENT, "", lanes->n_owned,
	       lanes->n_owned + lanes->n_free + lanes->n_retired, lanes->n_retired,
	       lanes->n_revoked);
}

static int print_segment(const struct snapshot *snapshot, struct text_style style)
{
	int r = print_pools(snapshot, style);

	if (r < 0)
		return r;
	putchar('\n');
	r = print_holders(snapshot);
	if (r < 0)
		return r;

	if (snapshot->all.in_flight > 0 || snapshot->all.shared > 0)
		printf("\n%*s%" PRIu64 " chunks on their way in queues, %" PRIu64
		       " held by several\n", TABLE_INDENT, "", snapshot->all.in_flight,
		       snapshot->all.shared);
	print_claims(&snapshot->lanes);
	r = print_rings(snapshot);
	report_notes(snapshot);
	return r;
}

static int print_text(const struct snapshot *snapshots, size_t n)
{
	int r = report_each(snapshots, n, print_segment);

	split_print(snapshots, n);
	return r;
}

static int print_json(const struct snapshot *snapshots, size_t n)
{
	return report_json(snapshots, n,
			   REPORT_POOLS | REPORT_HOLDERS | REPORT_QUEUES | REPORT_TOPICS |
				   REPORT_SUBSCRIBERS);
}

enum ctl_exit ctl_status(const struct ctl_options *options)
{
	return report(options, print_text, print_json);
}
