/* SPDX-License-Identifier: MIT */
/*
 * report.c - what text and JSON have in common; see report.h
 *
 * States and kinds come out of the segment, so any number may turn up.
 */
#include "report.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "gather.h"
#include "mempool_layout.h"
#include "table.h"

#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

static const char *const segment_states[] = {
	[MEMPOOL_SEGMENT_BUILDING] = "building",
	[MEMPOOL_SEGMENT_READY] = "ready",
	[MEMPOOL_SEGMENT_RETIRED] = "retired",
};

static const char *const holder_states[] = {
	[MEMPOOL_HOLDER_FREE] = "gone",
	[MEMPOOL_HOLDER_LIVE] = "live",
	[MEMPOOL_HOLDER_REAPING] = "reaping",
};

static const char *const holder_kinds[] = {
	[MEMPOOL_HOLDER_CLIENT] = "client",
	[MEMPOOL_HOLDER_DAEMON] = "daemon",
	[MEMPOOL_HOLDER_TOPIC] = "topic",
};

const char *report_segment_state(uint32_t state)
{
	return state < N_ELEMENTS(segment_states) ? segment_states[state] : "unknown";
}

const char *report_holder_state(const struct holder *record)
{
	if (record->state == MEMPOOL_HOLDER_LIVE && record->is_unverifiable)
		return "unverifiable";
	return record->state < N_ELEMENTS(holder_states) ? holder_states[record->state]
							  : "unknown";
}

const char *report_holder_kind(uint32_t kind)
{
	return kind < N_ELEMENTS(holder_kinds) ? holder_kinds[kind] : "unknown";
}

const char *report_ring_kind(enum mempool_ring_kind kind)
{
	return kind == MEMPOOL_RING_TOPIC ? "topic" : "queue";
}

enum text_level report_ring_level(const struct snapshot_ring *ring)
{
	return ring->kind == MEMPOOL_RING_TOPIC ? TEXT_PLENTY :
						  text_level(ring->n_messages, ring->capacity);
}

void report_user(uint32_t uid, char *ret_name, size_t size)
{
	const struct passwd *user = getpwuid(uid);

	if (user)
		snprintf(ret_name, size, "%s", user->pw_name);
	else
		snprintf(ret_name, size, "%u", uid);

	for (char *c = ret_name; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

int report_each(const struct snapshot *snapshots, size_t n, report_segment_fn print)
{
	struct text_style style = text_style();
	char heading[TEXT_HEADING_BYTES];

	for (size_t i = 0; i < n; i++) {
		int r;

		text_heading(&snapshots[i], heading);
		printf("%s%s%s%s\n\n", i > 0 ? "\n" : "", style.colour ? "\033[1m" : "", heading,
		       style.colour ? "\033[0m" : "");
		r = print(&snapshots[i], style);
		if (r < 0)
			return r;
	}
	return 0;
}

void report_stray(const struct snapshot *snapshot)
{
	if (snapshot->all.stray > 0)
		printf("\n%*sdamaged: %" PRIu64 " words name nobody who could hold a chunk\n",
		       TABLE_INDENT, "", snapshot->all.stray);
}

enum ctl_exit report_gathering(const struct ctl_options *options, report_fn text,
			       report_fn json, struct gathering *ret_gathering)
{
	report_fn print = options->json ? json : text;
	enum ctl_exit status;
	int r;

	gather(options, ret_gathering);
	status = gathering_explain(ret_gathering, options);

	/* What could be read is shown, also when something else could not. */
	if (status == CTL_OK || ret_gathering->n_snapshots > 0) {
		r = print(ret_gathering->snapshots, ret_gathering->n_snapshots);
		if (r < 0) {
			ctl_error("%s", strerror(-r));
			status = CTL_FAILED;
		}
	}
	return status;
}

enum ctl_exit report(const struct ctl_options *options, report_fn text, report_fn json)
{
	struct gathering gathering = { 0 };
	enum ctl_exit status = report_gathering(options, text, json, &gathering);

	gathering_deinit(&gathering);
	return status;
}
