/* SPDX-License-Identifier: MIT */
/*
 * pools.c - mempoolctl pools: peaks, and what did not fit
 */
#include <inttypes.h>
#include <stdio.h>

#include "ctl.h"
#include "report.h"
#include "report_json.h"
#include "suggest.h"
#include "table.h"
#include "text.h"

struct bars {
	struct text_style style;
	const struct snapshot *snapshot;
};

static void print_peak_bar(size_t row, int room, void *userdata)
{
	const struct bars *bars = userdata;
	const struct snapshot_pool *pool = &bars->snapshot->pools[row];

	text_print_bar(bars->style, text_level(pool->peak_used, pool->counts.total),
		       pool->peak_used, pool->counts.total, room);
}

static int print_segment(const struct snapshot *snapshot, struct text_style style)
{
	const bool has_reserve = snapshot_has_reserve(snapshot);
	const bool has_exclusive = snapshot_has_exclusive(snapshot);
	const char *const headings[] = { ">POOL", ">SIZE",      ">TOTAL",  ">USED",
					 ">PEAK", ">EXHAUSTED", ">LARGER",
					 has_reserve ? ">RESERVE" : "<SHARING", "<SHARING" };
	struct bars bars = { .style = style, .snapshot = snapshot };
	struct table table;
	int r;

	table_init(&table, headings,
		   sizeof(headings) / sizeof(headings[0]) - !has_reserve - !has_exclusive);
	for (size_t i = 0; i < snapshot->n_pools; i++) {
		const struct snapshot_pool *pool = &snapshot->pools[i];
		char reserve[TEXT_RESERVE_BYTES];

		table_add(&table, "%zu", i);
		table_add(&table, "%" PRIu64, pool->chunk_size);
		table_add(&table, "%" PRIu64, pool->counts.total);
		table_add(&table, "%" PRIu64, pool->counts.used);
		table_add(&table, "%" PRIu64, pool->peak_used);
		table_add(&table, "%" PRIu64, pool->n_exhausted);
		table_add(&table, "%" PRIu64, pool->n_served_larger);
		text_reserve(&pool->reserve, reserve);
		if (has_reserve)
			table_add(&table, "%s", reserve);
		if (has_exclusive)
			table_add(&table, "%s", pool->n_shareable > 0 ? "yes" : "no");
	}
	r = table_print(&table, print_peak_bar, &bars);
	table_deinit(&table);
	report_notes(snapshot);
	return r;
}

static int print_text(const struct snapshot *snapshots, size_t n)
{
	return report_each(snapshots, n, print_segment);
}

static int print_json(const struct snapshot *snapshots, size_t n)
{
	return report_json(snapshots, n, REPORT_POOLS);
}

enum ctl_exit ctl_pools(const struct ctl_options *options)
{
	if (options->suggest && options->json) {
		ctl_error("--suggest prints YAML, and no JSON");
		return CTL_USAGE;
	}
	return report(options, options->suggest ? suggest_print : print_text, print_json);
}
