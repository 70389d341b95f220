/* SPDX-License-Identifier: MIT */
/*
 * report_text.c - snapshots for a person: a heading, the pools, the holders, 80 columns
 *
 * Bars are block characters where the locale is UTF-8, else ASCII; colour only on a
 * terminal and where NO_COLOR is unset or empty (no-color.org).
 */
#include "report.h"

#include <inttypes.h>
#include <langinfo.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mempool_layout.h"
#include "table.h"

#define INDENT 2
#define BAR_MAX_COLUMNS 24
#define BAR_MIN_COLUMNS 4
#define NAME_MAX_COLUMNS 32
#define PERCENT_COLUMNS 5		/* " 100%" */

struct style {
	bool utf8;
	bool colour;
};

static struct style style_of_terminal(void)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return (struct style){
		.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
		.colour = isatty(STDOUT_FILENO) && !(no_color && *no_color) && term &&
			  strcmp(term, "dumb") != 0,
	};
}

/* "19.5 MiB"; exact below 1 KiB. */
static void format_bytes(uint64_t bytes, char *ret_text, size_t size)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes;
	size_t unit = 0;

	if (bytes < 1024) {
		snprintf(ret_text, size, "%" PRIu64 " B", bytes);
		return;
	}
	for (value /= 1024; value >= 1023.95; value /= 1024)
		unit++;
	snprintf(ret_text, size, "%.1f %s", value, units[unit]);
}

/* Used of total in the last column; a pool with one chunk used never shows as empty. */
static void print_bar(const struct style *style, const struct census_pool *counts, int room)
{
	double share = (double)counts->used / (double)counts->total;
	int columns = room - PERCENT_COLUMNS;
	int full, percent;

	if (columns > BAR_MAX_COLUMNS)
		columns = BAR_MAX_COLUMNS;
	if (columns < BAR_MIN_COLUMNS)
		return;

	full = (int)(share * columns);
	percent = (int)(share * 100);
	if (counts->used > 0) {
		full += full == 0;
		percent += percent == 0;
	}

	printf("  ");
	if (style->colour)
		printf("\033[%sm", share >= 0.95 ? "31" : share >= 0.75 ? "33" : "32");
	for (int i = 0; i < columns; i++)
		fputs(i < full ? style->utf8 ? "█" : "#" : style->utf8 ? "░" : ".", stdout);
	if (style->colour)
		printf("\033[0m");
	printf(" %3d%%", percent);
}

struct bars {
	struct style style;
	const struct snapshot *snapshot;
};

static void print_pool_bar(size_t row, int room, void *userdata)
{
	const struct bars *bars = userdata;

	if (row != (size_t)-1)
		print_bar(&bars->style, &bars->snapshot->pools[row].counts, room);
}

static int print_pools(const struct snapshot *snapshot, struct style style)
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

	r = table_print(&table, INDENT, print_pool_bar, &bars);
	table_deinit(&table);
	return r;
}

/* "camera", "daemon mempoold", "(reaping) camera"; "~" at its end: cut. */
static void format_label(const struct holder *record, char *ret_label, size_t size)
{
	bool is_client = record->kind == MEMPOOL_HOLDER_CLIENT;
	bool is_live = record->state == MEMPOOL_HOLDER_LIVE;
	int n;

	n = snprintf(ret_label, size, "%s%s%s%s%s%s", is_live ? "" : "(",
		     is_live ? "" : report_holder_state(record->state), is_live ? "" : ") ",
		     is_client ? "" : report_holder_kind(record->kind), is_client ? "" : " ",
		     record->name);
	if (n >= (int)size)
		ret_label[size - 2] = '~';
}

static void add_holder(struct table *table, const struct snapshot_holder *holder)
{
	const struct holder *record = &holder->record;
	char user[11], bytes[16], label[NAME_MAX_COLUMNS + 1];

	report_user(record->uid, user, sizeof(user));
	format_bytes(holder->counts.bytes, bytes, sizeof(bytes));
	format_label(record, label, sizeof(label));

	table_add(table, "%u", record->id);
	table_add(table, "%u", record->pid);
	table_add(table, "%s", user);
	table_add(table, "%s", label);
	table_add(table, "%" PRIu64, holder->counts.all.chunks);
	table_add(table, "%s", bytes);
}

static int print_holders(const struct snapshot *snapshot)
{
	static const char *const headings[] = { ">ID",	 ">PID",    "<USER",
						"<NAME", ">CHUNKS", ">BYTES" };
	struct table table;
	int r;

	table_init(&table, headings, sizeof(headings) / sizeof(headings[0]));
	for (size_t i = 0; i < snapshot->n_holders; i++)
		add_holder(&table, &snapshot->holders[i]);

	r = table_print(&table, INDENT, NULL, NULL);
	table_deinit(&table);
	return r;
}

static int print_rings(const struct snapshot *snapshot)
{
	static const char *const headings[] = { "<QUEUE OR TOPIC", "<NAME", ">CAPACITY",
						">MESSAGES" };
	struct table table;
	int r;

	table_init(&table, headings, sizeof(headings) / sizeof(headings[0]));
	for (size_t i = 0; i < snapshot->n_rings; i++) {
		const struct snapshot_ring *ring = &snapshot->rings[i];

		table_add(&table, "%s", report_ring_kind(ring->kind));
		table_add(&table, "%s", ring->name);
		table_add(&table, "%" PRIu64, ring->capacity);
		table_add(&table, "%" PRIu64, ring->n_messages);
	}

	putchar('\n');
	r = table_print(&table, INDENT, NULL, NULL);
	table_deinit(&table);
	return r;
}

static int print_segment(const struct snapshot *snapshot, struct style style)
{
	char size[16];
	int r;

	format_bytes(snapshot->size_bytes, size, sizeof(size));
	printf("%s%s%s: %s, generation %" PRIu64 ", %s, %s\n\n", style.colour ? "\033[1m" : "",
	       snapshot->name, style.colour ? "\033[0m" : "", snapshot->shm_name,
	       snapshot->generation, size, report_segment_state(snapshot->state));

	r = print_pools(snapshot, style);
	if (r < 0)
		return r;
	putchar('\n');

	if (snapshot->n_holders == 0)
		printf("%*sno holders\n", INDENT, "");
	else
		r = print_holders(snapshot);

	if (snapshot->all.in_flight > 0 || snapshot->all.shared > 0)
		printf("\n%*s%" PRIu64 " chunks on their way in queues, %" PRIu64
		       " held by several\n", INDENT, "", snapshot->all.in_flight,
		       snapshot->all.shared);
	if (r == 0 && snapshot->n_rings > 0)
		r = print_rings(snapshot);
	if (snapshot->all.stray > 0)
		printf("\n%*sdamaged: %" PRIu64 " words name nobody who could hold a chunk\n",
		       INDENT, "", snapshot->all.stray);
	return r;
}

int report_text(const struct snapshot *snapshots, size_t n)
{
	struct style style = style_of_terminal();

	for (size_t i = 0; i < n; i++) {
		int r;

		if (i > 0)
			putchar('\n');
		r = print_segment(&snapshots[i], style);
		if (r < 0)
			return r;
	}

	return 0;
}
