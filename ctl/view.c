/* SPDX-License-Identifier: MIT */
/*
 * view.c - see view.h
 */
#include "view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "name.h"
#include "report.h"
#include "watch.h"

const char *view_sort_name(enum view_sort sort)
{
	static const char *const names[VIEW_N_SORTS] = {
		[VIEW_BYTES] = "bytes",
		[VIEW_SHARED] = "shared",
		[VIEW_GROWTH] = "growth",
		[VIEW_ID] = "id",
	};

	return names[sort];
}

static struct view_line *add_line(struct view *view)
{
	if (view->n_lines == view->n_allocated) {
		size_t n = view->n_allocated ? 2 * view->n_allocated : 64;
		void *lines = reallocarray(view->lines, n, sizeof(*view->lines));

		if (!lines) {
			view->error = -ENOMEM;
			return NULL;
		}
		view->lines = lines;
		view->n_allocated = n;
	}
	view->lines[view->n_lines] = (struct view_line){ 0 };
	return &view->lines[view->n_lines++];
}

/* Headings and rows. Return: the line of the first row; others follow. NULL: it failed. */
static struct view_line *add_table(struct view *view, struct table *table, int line_columns,
				   int *ret_bar_columns)
{
	size_t n_rows = table_n_rows(table);
	int room;

	if (table_layout(table, line_columns, &room) < 0)
		view->error = -ENOMEM;
	if (view->n_lines > 0)
		add_line(view);
	for (size_t i = 0; i <= n_rows && view->error == 0; i++) {
		struct view_line *line = add_line(view);

		if (!line)
			break;
		line->is_heading = i == 0;
		table_row(table, i == 0 ? TABLE_HEADINGS : i - 1, line->text);
	}
	table_deinit(table);
	*ret_bar_columns = text_bar_columns(room);
	return view->error < 0 ? NULL : &view->lines[view->n_lines - n_rows];
}

static void add_pools(struct view *view, const struct snapshot *before,
		      const struct snapshot *now, int line_columns)
{
	const bool has_reserve = snapshot_has_reserve(now);
	const bool has_exclusive = snapshot_has_exclusive(now);
	const char *const headings[] = { ">POOL", ">SIZE",      ">TOTAL",  ">USED",
					 ">PEAK", ">EXHAUSTED", ">LARGER", ">MOVES/S",
					 has_reserve ? ">RESERVE" : "<SHARING", "<SHARING" };
	struct view_line *lines;
	struct table table;
	int bar_columns;

	table_init(&table, headings,
		   sizeof(headings) / sizeof(headings[0]) - !has_reserve - !has_exclusive);
	for (size_t i = 0; i < now->n_pools; i++) {
		const struct snapshot_pool *pool = &now->pools[i];
		char rate[TEXT_RATE_BYTES] = "-", reserve[TEXT_RESERVE_BYTES];

		if (before)
			text_rate(watch_rate(before, now, census_moves(&before->pools[i].counts,
								       &pool->counts)),
				  rate);
		table_add(&table, "%zu", i);
		table_add(&table, "%" PRIu64, pool->chunk_size);
		table_add(&table, "%" PRIu64, pool->counts.total);
		table_add(&table, "%" PRIu64, pool->counts.used);
		table_add(&table, "%" PRIu64, pool->peak_used);
		table_add(&table, "%" PRIu64, pool->n_exhausted);
		table_add(&table, "%" PRIu64, pool->n_served_larger);
		table_add(&table, "%s", rate);
		text_reserve(&pool->reserve, reserve);
		if (has_reserve)
			table_add(&table, "%s", reserve);
		if (has_exclusive)
			table_add(&table, "%s", pool->n_shareable > 0 ? "yes" : "no");
	}
	lines = add_table(view, &table, line_columns, &bar_columns);
	for (size_t i = 0; i < now->n_pools && lines; i++) {
		lines[i].bar_columns = bar_columns;
		lines[i].used = now->pools[i].counts.used;
		lines[i].total = now->pools[i].counts.counted;
		lines[i].level = text_level(lines[i].used, lines[i].total);
		lines[i].is_alarm = before &&
				    now->pools[i].n_exhausted > before->pools[i].n_exhausted;
	}
}

static void add_rings(struct view *view, const struct snapshot *before,
		      const struct snapshot *now, int line_columns)
{
	static const char *const headings[] = { "<KIND",     "~NAME",	">CAPACITY",
						">MESSAGES", ">SENT/S", ">RECEIVED/S" };
	struct view_line *lines;
	struct table table;
	int bar_columns;

	if (now->n_rings == 0)
		return;
	table_init(&table, headings, sizeof(headings) / sizeof(headings[0]));
	for (size_t i = 0; i < now->n_rings; i++) {
		const struct snapshot_ring *ring = &now->rings[i];
		char sent[TEXT_RATE_BYTES] = "-", received[TEXT_RATE_BYTES] = "-";

		if (before)
			text_rate(watch_rate(before, now,
					     ring->n_sent - before->rings[i].n_sent), sent);
		if (before && ring->kind == MEMPOOL_RING_QUEUE)
			text_rate(watch_rate(before, now,
					     ring->n_received - before->rings[i].n_received),
				  received);
		table_add(&table, "%s", name_ring_kind(ring->kind));
		table_add(&table, "%s", ring->name);
		table_add(&table, "%" PRIu64, ring->capacity);
		table_add(&table, "%" PRIu64, ring->n_messages);
		table_add(&table, "%s", sent);
		table_add(&table, "%s", received);
	}
	lines = add_table(view, &table, line_columns, &bar_columns);
	for (size_t i = 0; i < now->n_rings && lines; i++) {
		lines[i].bar_columns = bar_columns;
		lines[i].used = now->rings[i].n_messages;
		lines[i].total = now->rings[i].capacity;
		lines[i].level = report_ring_level(&now->rings[i]);
	}
}

static void add_subscribers(struct view *view, const struct snapshot *now, int line_columns)
{
	static const char *const headings[] = { "<TOPIC",   ">PID",    "~NAME",  "<READS",
						">BEHIND", ">MISSED", ">HOLDS", "<STATE" };
	struct view_line *lines;
	struct table table;
	int bar_columns;

	if (now->n_subscribers == 0)
		return;
	table_init(&table, headings, sizeof(headings) / sizeof(headings[0]));
	for (size_t i = 0; i < now->n_subscribers; i++) {
		const struct snapshot_subscriber *subscriber = &now->subscribers[i];
		char pid[TEXT_PID_BYTES], label[TEXT_LABEL_BYTES];

		text_pid(&subscriber->record, pid);
		text_label(&subscriber->record, label);
		table_add(&table, "%s", now->rings[subscriber->ring].name);
		table_add(&table, "%s", pid);
		table_add(&table, "%s", label);
		table_add(&table, "%s", name_end_flags(subscriber->flags));
		table_add(&table, "%" PRIu64, subscriber->n_behind);
		table_add(&table, "%" PRIu64, subscriber->n_missed);
		table_add(&table, "%" PRIu64, subscriber->n_holds);
		table_add(&table, "%s", name_subscriber_state(subscriber->state));
	}
	lines = add_table(view, &table, line_columns, &bar_columns);
	for (size_t i = 0; i < now->n_subscribers && lines; i++)
		lines[i].is_alarm = now->subscribers[i].state == SUBSCRIBER_STUCK;
}

/* A holder with what it had at the last look. */
struct row {
	const struct snapshot_holder *holder;
	int64_t growth;			/* chunks that it has alone */
	enum view_sort sort;
};

/* Both lists are by id. An id that is used again is another holder. */
static int64_t growth_of(const struct snapshot *before, const struct snapshot_holder *holder,
			 size_t *at)
{
	uint64_t had = 0;

	while (before && *at < before->n_holders &&
	       before->holders[*at].record.id < holder->record.id)
		++*at;
	if (before && *at < before->n_holders &&
	    before->holders[*at].record.id == holder->record.id &&
	    before->holders[*at].record.incarnation == holder->record.incarnation)
		had = before->holders[*at].counts.all.chunks;
	return (int64_t)(holder->counts.all.chunks - had);
}

static int64_t key_of(const struct row *row)
{
	switch (row->sort) {
	case VIEW_BYTES:
		return (int64_t)row->holder->counts.bytes;
	case VIEW_SHARED:
		return (int64_t)row->holder->counts.shared_bytes;
	case VIEW_GROWTH:
		return row->growth;
	case VIEW_ID:
		break;
	}
	return 0;
}

static int compare_rows(const void *left, const void *right)
{
	const struct row *a = left, *b = right;
	int order = (key_of(b) > key_of(a)) - (key_of(b) < key_of(a));

	return order ? order : (int)a->holder->record.id - (int)b->holder->record.id;
}

static void add_holder(struct table *table, const struct row *row, bool is_first_look)
{
	const struct holder *record = &row->holder->record;
	char user[11], label[TEXT_LABEL_BYTES], since[TEXT_SINCE_BYTES], bytes[16];
	char pid[TEXT_PID_BYTES];

	text_pid(record, pid);
	name_user(record->uid, user, sizeof(user));
	text_label(record, label);
	text_since(record->attached_ns, since);
	text_bytes(row->holder->counts.bytes, bytes, sizeof(bytes));

	table_add(table, "%s", pid);
	table_add(table, "%s", user);
	table_add(table, "%s", label);
	table_add(table, "%s", since);
	table_add(table, "%" PRIu64, row->holder->counts.all.chunks);
	table_add(table, "%s", bytes);
	table_add(table, "%" PRIu64, row->holder->counts.all.shared);
	if (is_first_look)
		table_add(table, "-");
	else
		table_add(table, "%+" PRId64, row->growth);
}

static void add_holders(struct view *view, const struct snapshot *before,
			const struct snapshot *now, enum view_sort sort, int line_columns)
{
	static const char *const headings[] = { ">PID",	   "<USER",  "~NAME",	"<SINCE",
						">CHUNKS", ">BYTES", ">SHARED", ">GROWTH" };
	struct row *rows = calloc(now->n_holders + 1, sizeof(*rows));
	struct table table;
	size_t at = 0;
	int bar_columns;

	if (!rows) {
		view->error = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < now->n_holders; i++)
		rows[i] = (struct row){
			.holder = &now->holders[i],
			.growth = growth_of(before, &now->holders[i], &at),
			.sort = sort,
		};
	qsort(rows, now->n_holders, sizeof(*rows), compare_rows);

	table_init(&table, headings, sizeof(headings) / sizeof(headings[0]));
	for (size_t i = 0; i < now->n_holders; i++)
		add_holder(&table, &rows[i], !before);
	free(rows);
	add_table(view, &table, line_columns, &bar_columns);
}

int view_build(struct view *ret_view, const struct snapshot *before, const struct snapshot *now,
	       enum view_sort sort, int line_columns)
{
	struct view view = { 0 };

	add_pools(&view, before, now, line_columns);
	add_rings(&view, before, now, line_columns);
	add_subscribers(&view, now, line_columns);
	add_holders(&view, before, now, sort, line_columns);
	if (view.error < 0) {
		int error = view.error;

		view_deinit(&view);
		return error;
	}
	view_deinit(ret_view);
	*ret_view = view;
	return 0;
}

void view_deinit(struct view *view)
{
	free(view->lines);
	*view = (struct view){ 0 };
}
