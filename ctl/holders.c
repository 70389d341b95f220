/* SPDX-License-Identifier: MIT */
/*
 * holders.c - mempoolctl holders: who holds my chunks
 *
 * Tables: what each holder has of each pool, the largest first; of those that may not have all
 * there is, how near they are to that; what is on its way in queues, which nobody holds; that
 * it all adds up to each pool's total; and what the processes are, where this machine's /proc says.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl.h"
#include "process.h"
#include "report.h"
#include "report_json.h"
#include "table.h"
#include "text.h"

/* What one holder has of one pool; of a holder with nothing: pool NO_POOL. */
struct row {
	const struct snapshot_holder *holder;
	size_t pool;
	struct census_hold hold;
	uint64_t bytes;			/* of what it has alone */
	uint64_t shared_bytes;
};
#define NO_POOL SIZE_MAX

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_rows(const void *left, const void *right)
{
	const struct row *a = left, *b = right;
	int order = compare_numbers(b->bytes, a->bytes);

	if (order == 0)
		order = compare_numbers(b->shared_bytes, a->shared_bytes);
	if (order == 0)
		order = compare_numbers(a->holder->record.id, b->holder->record.id);
	return order ? order : compare_numbers(a->pool, b->pool);
}

static size_t rows_of_holder(const struct snapshot *snapshot,
			     const struct snapshot_holder *holder, struct row *rows)
{
	size_t n = 0;

	for (size_t i = 0; i < snapshot->n_pools; i++) {
		const struct census_hold *hold = &holder->by_pool[i];

		if (hold->chunks == 0 && hold->shared == 0)
			continue;
		rows[n++] = (struct row){
			.holder = holder,
			.pool = i,
			.hold = *hold,
			.bytes = hold->chunks * snapshot->pools[i].chunk_size,
			.shared_bytes = hold->shared * snapshot->pools[i].chunk_size,
		};
	}
	if (n == 0)
		rows[n++] = (struct row){ .holder = holder, .pool = NO_POOL };
	return n;
}

static void add_row(struct table *table, const struct row *row)
{
	char pid[TEXT_PID_BYTES], label[TEXT_LABEL_BYTES], since[TEXT_SINCE_BYTES], bytes[16];

	text_pid(&row->holder->record, pid);
	text_label(&row->holder->record, label);
	text_since(row->holder->record.attached_ns, since);
	text_bytes(row->bytes, bytes, sizeof(bytes));

	table_add(table, "%s", pid);
	table_add(table, "%s", label);
	table_add(table, "%s", since);
	if (row->pool == NO_POOL)
		table_add(table, "-");
	else
		table_add(table, "%zu", row->pool);
	table_add(table, "%" PRIu64, row->hold.chunks);
	table_add(table, "%s", bytes);
	table_add(table, "%" PRIu64, row->hold.given);
	table_add(table, "%" PRIu64, row->hold.shared);
}

static int print_holders(const struct snapshot *snapshot)
{
	static const char *const headings[] = { ">PID",	   "~NAME",  "<SINCE", ">POOL",
						">CHUNKS", ">BYTES", ">GIVEN", ">SHARED" };
	struct row *rows = calloc(snapshot->n_holders * (snapshot->n_pools + 1) + 1, sizeof(*rows));
	struct table table;
	size_t n = 0;
	int r;

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < snapshot->n_holders; i++)
		n += rows_of_holder(snapshot, &snapshot->holders[i], rows + n);
	qsort(rows, n, sizeof(*rows), compare_rows);

	table_init(&table, headings, sizeof(headings) / sizeof(headings[0]));
	for (size_t i = 0; i < n; i++)
		add_row(&table, &rows[i]);
	free(rows);
	r = table_print(&table, NULL, NULL);
	table_deinit(&table);
	return r;
}

static void add_bound(struct table *table, const struct snapshot *snapshot,
		      const struct snapshot_holder *holder)
{
	const struct holder_bound *bound = &holder->record.bound;
	char pid[TEXT_PID_BYTES], label[TEXT_LABEL_BYTES], bytes[16];

	text_pid(&holder->record, pid);
	text_label(&holder->record, label);
	table_add(table, "%s", pid);
	table_add(table, "%s", label);
	table_add(table, "%" PRIu64, holder->counts.all.chunks + holder->counts.all.shared);
	if (bound->max_chunks)
		table_add(table, "%" PRIu64, bound->max_chunks);
	else
		table_add(table, "-");
	text_bytes(snapshot_stride_bytes(snapshot, holder), bytes, sizeof(bytes));
	table_add(table, "%s", bytes);
	if (bound->max_bytes)
		text_bytes(bound->max_bytes, bytes, sizeof(bytes));
	table_add(table, "%s", bound->max_bytes ? bytes : "-");
}

static int print_bounds(const struct snapshot *snapshot)
{
	static const char *const headings[] = { ">BOUNDED", "~NAME",  ">CHUNKS",
						">OF AT MOST", ">BYTES", ">OF AT MOST" };
	struct table table;
	int r = 0;

	table_init(&table, headings, sizeof(headings) / sizeof(headings[0]));
	for (size_t i = 0; i < snapshot->n_holders; i++) {
		const struct snapshot_holder *holder = &snapshot->holders[i];
		const struct holder_bound *bound = &holder->record.bound;

		if (bound->max_chunks || bound->max_bytes)
			add_bound(&table, snapshot, holder);
	}
	if (table.error < 0 || table_n_rows(&table) > 0) {
		putchar('\n');
		r = table_print(&table, NULL, NULL);
	}
	table_deinit(&table);
	return r;
}

static int print_in_flight(const struct snapshot *snapshot)
{
	static const char *const headings[] = { "<IN FLIGHT IN QUEUE", ">CHUNKS", ">BYTES" };
	struct table table;
	int r = 0;

	table_init(&table, headings, sizeof(headings) / sizeof(headings[0]));
	for (size_t i = 0; i < snapshot->n_rings; i++) {
		const struct snapshot_ring *ring = &snapshot->rings[i];
		char bytes[16];

		if (ring->kind != MEMPOOL_RING_QUEUE || ring->chunks == 0)
			continue;
		text_bytes(ring->bytes, bytes, sizeof(bytes));
		table_add(&table, "%s", ring->name);
		table_add(&table, "%" PRIu64, ring->chunks);
		table_add(&table, "%s", bytes);
	}
	if (table.error < 0 || table_n_rows(&table) > 0) {
		putchar('\n');
		r = table_print(&table, NULL, NULL);
	}
	table_deinit(&table);
	return r;
}

static int print_sums(const struct snapshot *snapshot)
{
	static const char *const headings[] = { ">POOL", ">SIZE",  ">TOTAL",	 ">FREE",
						">USED", ">ALONE", ">IN FLIGHT", ">SHARED" };
	struct table table;
	int r;

	table_init(&table, headings, sizeof(headings) / sizeof(headings[0]));
	for (size_t i = 0; i < snapshot->n_pools; i++) {
		const struct census_pool *counts = &snapshot->pools[i].counts;

		table_add(&table, "%zu", i);
		table_add(&table, "%" PRIu64, snapshot->pools[i].chunk_size);
		table_add(&table, "%" PRIu64, counts->total);
		table_add(&table, "%" PRIu64, counts->free);
		table_add(&table, "%" PRIu64, counts->used);
		table_add(&table, "%" PRIu64, counts->alone);
		table_add(&table, "%" PRIu64, counts->in_flight);
		table_add(&table, "%" PRIu64, counts->shared);
	}
	putchar('\n');
	r = table_print(&table, NULL, NULL);
	table_deinit(&table);
	return r;
}

static int print_processes(const struct snapshot *snapshot)
{
	static const char *const headings[] = { ">PROCESS", "<NAME", "<UNIT", "~COMMAND" };
	struct table table;
	int r = 0;

	table_init(&table, headings, sizeof(headings) / sizeof(headings[0]));
	for (size_t i = 0; i < snapshot->n_holders; i++) {
		const struct holder *record = &snapshot->holders[i].record;
		char pid[TEXT_PID_BYTES], label[TEXT_LABEL_BYTES];
		struct process_words words;

		process_describe(record, &words);
		if (!words.command[0])
			continue;
		text_pid(record, pid);
		text_label(record, label);
		table_add(&table, "%s", pid);
		table_add(&table, "%s", label);
		table_add(&table, "%s", words.place[0] ? words.place : "-");
		table_add(&table, "%s", words.command);
	}
	if (table.error < 0 || table_n_rows(&table) > 0) {
		putchar('\n');
		r = table_print(&table, NULL, NULL);
	}
	table_deinit(&table);
	return r;
}

static int print_segment(const struct snapshot *snapshot, struct text_style style)
{
	int r = print_holders(snapshot);

	(void)style;
	if (r == 0)
		r = print_bounds(snapshot);
	if (r == 0)
		r = print_in_flight(snapshot);
	if (r == 0)
		r = print_sums(snapshot);
	if (r == 0)
		r = print_processes(snapshot);
	report_notes(snapshot);
	return r;
}

static int print_text(const struct snapshot *snapshots, size_t n)
{
	return report_each(snapshots, n, print_segment);
}

static int print_json(const struct snapshot *snapshots, size_t n)
{
	return report_json(snapshots, n, REPORT_POOLS | REPORT_HOLDERS | REPORT_PROCESSES | REPORT_QUEUES);
}

enum ctl_exit ctl_holders(const struct ctl_options *options)
{
	return report(options, print_text, print_json);
}
