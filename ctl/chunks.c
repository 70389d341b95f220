/* SPDX-License-Identifier: MIT */
/*
 * chunks.c - mempoolctl chunks: which chunks are held, since when, and where in the code
 *
 * A line for each, the oldest first; or, --by site or holder, a line for each of these, the one with
 * most bytes first. What is not known is said, and never guessed: a chunk without a trace has no
 * age, and is left out where --older asks for one.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "json.h"
#include "name.h"
#include "report.h"
#include "sites.h"
#include "table.h"
#include "text.h"

#define NS_PER_MS UINT64_C(1000000)

/* What was asked for: one command in a process. */
static struct ctl_options wanted;

/* One chunk, or several that have something in common. */
struct row {
	const struct held *held;	/* the first one */
	uint64_t n;
	uint64_t bytes;
	uint64_t age_ns;		/* of the oldest; where that is known */
	bool has_age;
};

/* What is said of one segment. */
struct listing {
	const struct snapshot *snapshot;
	struct sites sites;
	const struct held **chunks;	/* that were asked for */
	size_t n_chunks;
	struct row *rows;
	size_t n_rows;
	uint64_t n_ageless;		/* left out for that */
};

static const char *const hows[] = {
	[HELD_ALONE] = "alone", [HELD_GIVEN] = "given", [HELD_SHARED] = "shared",
	[HELD_SENT] = "sent",
};

/* Of a clock that may be another's: what is in the future is new. */
static uint64_t age_of(const struct snapshot *snapshot, const struct held *held)
{
	return held->trace.since_ns < snapshot->taken_ns
		       ? snapshot->taken_ns - held->trace.since_ns : 0;
}

/* ---- what belongs together ---- */

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_holders(const void *left, const void *right)
{
	const struct held *a = *(const struct held *const *)left;
	const struct held *b = *(const struct held *const *)right;
	int order = compare_numbers(a->holder, b->holder);

	return order ? order : compare_numbers(a->ring, b->ring);
}

/* qsort() hands nothing over. */
static const struct sites *compared_sites;

static int compare_sites(const void *left, const void *right)
{
	const struct site *a = sites_of(compared_sites, *(const struct held *const *)left);
	const struct site *b = sites_of(compared_sites, *(const struct held *const *)right);

	/* They stand in one array, and there is one of each. */
	return compare_numbers((uintptr_t)a, (uintptr_t)b);
}

static int compare_rows(const void *left, const void *right)
{
	const struct row *a = left, *b = right;
	int order = wanted.by == CTL_BY_NOTHING ? 0 : compare_numbers(b->bytes, a->bytes);

	if (order == 0)
		order = compare_numbers(b->has_age, a->has_age);
	if (order == 0)
		order = compare_numbers(b->age_ns, a->age_ns);
	if (order == 0)
		order = compare_numbers(a->held->pool, b->held->pool);
	return order ? order : compare_numbers(a->held->index, b->held->index);
}

static bool is_wanted(struct listing *listing, const struct held *held)
{
	if (wanted.has_pool && held->pool != wanted.pool)
		return false;
	if (wanted.older_ns == 0)
		return true;
	if (!held->is_known) {
		listing->n_ageless++;
		return false;
	}
	return age_of(listing->snapshot, held) >= wanted.older_ns;
}

static void add_to_row(const struct snapshot *snapshot, const struct held *held, struct row *row)
{
	uint64_t age_ns = held->is_known ? age_of(snapshot, held) : 0;

	row->n++;
	row->bytes += snapshot->pools[held->pool].chunk_size;
	row->has_age |= held->is_known;
	if (age_ns > row->age_ns)
		row->age_ns = age_ns;
}

static void make_rows(struct listing *listing)
{
	int (*compare)(const void *, const void *) =
		wanted.by == CTL_BY_SITE ? compare_sites : compare_holders;

	compared_sites = &listing->sites;
	if (wanted.by != CTL_BY_NOTHING)
		qsort(listing->chunks, listing->n_chunks, sizeof(*listing->chunks), compare);
	for (size_t i = 0; i < listing->n_chunks; i++) {
		bool is_first = wanted.by == CTL_BY_NOTHING || i == 0 ||
				compare(&listing->chunks[i - 1], &listing->chunks[i]) != 0;

		if (is_first)
			listing->rows[listing->n_rows++] =
				(struct row){ .held = listing->chunks[i] };
		add_to_row(listing->snapshot, listing->chunks[i],
			   &listing->rows[listing->n_rows - 1]);
	}
	qsort(listing->rows, listing->n_rows, sizeof(*listing->rows), compare_rows);
}

static void listing_deinit(struct listing *listing)
{
	sites_deinit(&listing->sites);
	free(listing->chunks);
	free(listing->rows);
}

/* Return: 0 or -ENOMEM; listing_deinit() frees it in both cases. */
static int listing_make(const struct snapshot *snapshot, struct listing *listing)
{
	const struct held_list *list = &snapshot->held;
	int r;

	*listing = (struct listing){ .snapshot = snapshot };
	listing->chunks = calloc(list->n + 1, sizeof(*listing->chunks));
	listing->rows = calloc(list->n + 1, sizeof(*listing->rows));
	if (!listing->chunks || !listing->rows)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++)
		if (is_wanted(listing, &list->chunks[i]))
			listing->chunks[listing->n_chunks++] = &list->chunks[i];
	r = sites_find_all(list, &listing->sites);
	if (r == 0)
		make_rows(listing);
	return r;
}

/* ---- for a person ---- */

/* "250ms", "12.3s", "15min", "7h", "3d". */
static void add_age(struct table *table, const struct row *row)
{
	uint64_t seconds = row->age_ns / (1000 * NS_PER_MS);

	if (!row->has_age)
		table_add(table, "-");
	else if (seconds < 1)
		table_add(table, "%" PRIu64 "ms", row->age_ns / NS_PER_MS);
	else if (seconds < 100)
		table_add(table, "%" PRIu64 ".%" PRIu64 "s", seconds,
			  row->age_ns / (100 * NS_PER_MS) % 10);
	else if (seconds < 100 * 60)
		table_add(table, "%" PRIu64 "min", seconds / 60);
	else if (seconds < 100 * 3600)
		table_add(table, "%" PRIu64 "h", seconds / 3600);
	else
		table_add(table, "%" PRIu64 "d", seconds / 86400);
}

static const struct holder *record_of(const struct snapshot *snapshot, uint32_t id)
{
	size_t low = 0, high = snapshot->n_holders;

	/* They stand by their ids. */
	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct holder *record = &snapshot->holders[middle].record;

		if (record->id == id)
			return record;
		if (record->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Two cells. */
static void add_holder(struct table *table, const struct snapshot *snapshot,
		       const struct held *held)
{
	const struct holder *record = record_of(snapshot, held->holder);
	char pid[TEXT_PID_BYTES], label[TEXT_LABEL_BYTES];

	if (held->how == HELD_SENT) {
		table_add(table, "-");
		table_add(table, "queue %s", snapshot->rings[held->ring].name);
	} else if (record) {
		text_pid(record, pid);
		text_label(record, label);
		table_add(table, "%s", pid);
		table_add(table, "%s", label);
	} else {
		/* It has come since the holders were read. */
		table_add(table, "-");
		table_add(table, "holder %u", held->holder);
	}
}

static void add_cells(struct table *table, const struct listing *listing, const struct row *row)
{
	char bytes[16];

	text_bytes(row->bytes, bytes, sizeof(bytes));
	switch (wanted.by) {
	case CTL_BY_NOTHING:
		table_add(table, "%u", row->held->pool);
		table_add(table, "%u", row->held->index);
		add_age(table, row);
		add_holder(table, listing->snapshot, row->held);
		table_add(table, "%s", hows[row->held->how]);
		if (row->held->is_known)
			table_add(table, "%u", row->held->trace.thread);
		else
			table_add(table, "-");
		return;
	case CTL_BY_SITE:
		table_add(table, "%" PRIu64, row->n);
		table_add(table, "%s", bytes);
		add_age(table, row);
		return;
	case CTL_BY_HOLDER:
		table_add(table, "%" PRIu64, row->n);
		table_add(table, "%s", bytes);
		add_age(table, row);
		add_holder(table, listing->snapshot, row->held);
		return;
	}
}

/* Of any length, behind the last column. */
static void print_rows(const struct table *table, const struct listing *listing)
{
	bool has_sites = wanted.by != CTL_BY_HOLDER;
	char text[TABLE_ROW_BYTES], site[SITE_TEXT_BYTES];

	table_row(table, TABLE_HEADINGS, text);
	printf("%s%s\n", text, has_sites ? "  SITE" : "");
	for (size_t i = 0; i < listing->n_rows; i++) {
		table_row(table, i, text);
		if (has_sites)
			site_text(&listing->sites,
				  sites_of(&listing->sites, listing->rows[i].held), site);
		printf("%s%s%s\n", text, has_sites ? "  " : "", has_sites ? site : "");
	}
}

static void print_notes(const struct listing *listing)
{
	const struct held_list *list = &listing->snapshot->held;

	if (!list->modules)
		printf("\n%*sno ages and no sites: it has not `trace: allocations` in the config\n",
		       TABLE_INDENT, "");
	else if (listing->n_ageless > 0)
		printf("\n%*s%" PRIu64 " more are held, nobody knows since when\n", TABLE_INDENT, "",
		       listing->n_ageless);
	if (list->is_cut)
		printf("\n%*sthere are more: these are the first %zu that were found\n",
		       TABLE_INDENT, "", list->n);
}

static int print_segment(const struct snapshot *snapshot, struct text_style style)
{
	static const char *const by_chunk[] = { ">POOL", ">CHUNK", ">AGE",    ">PID",
						"<NAME", "<HELD",  ">THREAD" };
	static const char *const by_holder[] = { ">CHUNKS", ">BYTES", ">OLDEST", ">PID", "<NAME" };
	static const size_t n_columns[] = {
		[CTL_BY_NOTHING] = 7, [CTL_BY_SITE] = 3, [CTL_BY_HOLDER] = 5,
	};
	struct listing listing;
	struct table table;
	int r = listing_make(snapshot, &listing), room;

	(void)style;
	table_init(&table, wanted.by == CTL_BY_NOTHING ? by_chunk : by_holder,
		   n_columns[wanted.by]);
	for (size_t i = 0; i < listing.n_rows && r == 0; i++)
		add_cells(&table, &listing, &listing.rows[i]);
	if (r == 0)
		r = table_layout(&table, TABLE_LINE_COLUMNS, &room);
	if (r == 0) {
		print_rows(&table, &listing);
		print_notes(&listing);
	}
	table_deinit(&table);
	listing_deinit(&listing);
	return r;
}

static int print_text(const struct snapshot *snapshots, size_t n)
{
	return report_each(snapshots, n, print_segment);
}

/* ---- as JSON ---- */

static int add_json_site(struct json_object *object, const struct listing *listing,
			 const struct held *held)
{
	const struct site *site = sites_of(&listing->sites, held);
	char text[4 * MEMPOOL_MODULE_PATH_BYTES];
	int r;

	if (!site)
		return 0;
	r = json_add_number(object, "offset", site->offset);
	if (r == 0 && site->module > 0) {
		site_escape(site_path(&listing->sites, site), text, sizeof(text));
		r = json_add_string(object, "module", text);
	}
	if (r == 0 && site->function) {
		site_escape(site->function, text, sizeof(text));
		r = json_add_string(object, "function", text) ||
		    json_add_number(object, "distance", site->distance);
	}
	return r;
}

static int add_json_holder(struct json_object *object, const struct snapshot *snapshot,
			   const struct held *held)
{
	const struct holder *record = record_of(snapshot, held->holder);

	if (held->how == HELD_SENT)
		return json_add_string(object, "queue", snapshot->rings[held->ring].name);
	return json_add_number(object, "holder", held->holder) ||
	       (record && (json_add_number(object, "pid", record->pid) ||
			   json_add_string(object, "name", record->name)));
}

static struct json_object *row_object(const struct listing *listing, const struct row *row)
{
	struct json_object *object = json_object_new_object();
	int failed = 0;

	if (!object)
		return NULL;
	if (wanted.by == CTL_BY_NOTHING)
		failed = json_add_number(object, "pool", row->held->pool) ||
			 json_add_number(object, "chunk", row->held->index) ||
			 json_add_string(object, "held", hows[row->held->how]) ||
			 (row->held->is_known &&
			  json_add_number(object, "thread", row->held->trace.thread));
	else
		failed = json_add_number(object, "chunks", row->n);
	failed = failed || json_add_number(object, "bytes", row->bytes) ||
		 (row->has_age && json_add_number(object, "age_ms", row->age_ns / NS_PER_MS));
	if (wanted.by != CTL_BY_SITE)
		failed = failed || add_json_holder(object, listing->snapshot, row->held);
	if (wanted.by != CTL_BY_HOLDER)
		failed = failed || add_json_site(object, listing, row->held);
	return json_complete(object, failed);
}

static struct json_object *row_array(const struct listing *listing)
{
	struct json_object *array = json_object_new_array();
	int failed = 0;

	if (!array)
		return NULL;
	for (size_t i = 0; i < listing->n_rows && !failed; i++)
		failed = json_append(array, row_object(listing, &listing->rows[i]));
	return json_complete(array, failed);
}

static struct json_object *segment_object(const struct snapshot *snapshot)
{
	static const char *const names[] = {
		[CTL_BY_NOTHING] = "held", [CTL_BY_SITE] = "sites", [CTL_BY_HOLDER] = "holders",
	};
	struct json_object *object = json_object_new_object();
	struct listing listing;
	int failed = listing_make(snapshot, &listing);

	if (object)
		failed = failed || json_add_string(object, "name", snapshot->name) ||
			 json_add_number(object, "generation", snapshot->generation) ||
			 json_add_bool(object, "traced", snapshot->held.modules) ||
			 json_add_bool(object, "complete", !snapshot->held.is_cut) ||
			 json_add_number(object, "ageless", listing.n_ageless) ||
			 json_add(object, names[wanted.by], row_array(&listing));
	listing_deinit(&listing);
	return json_complete(object, failed);
}

static int print_json(const struct snapshot *snapshots, size_t n)
{
	struct json_object *object = json_object_new_object();
	struct json_object *array = json_object_new_array();
	int failed = object ? json_add(object, "segments", array) : -ENOMEM;

	if (!object)
		json_object_put(array);
	for (size_t i = 0; i < n && !failed; i++)
		failed = json_append(array, segment_object(&snapshots[i]));
	return json_print(json_complete(object, failed), false);
}

enum ctl_exit ctl_chunks(const struct ctl_options *options)
{
	wanted = *options;
	wanted.chunks = true;
	return report(&wanted, print_text, print_json);
}
