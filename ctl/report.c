/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "gather.h"
#include "table.h"

enum text_level report_ring_level(const struct snapshot_ring *ring)
{
	return ring->kind == MEMPOOL_RING_TOPIC ? TEXT_PLENTY :
						  text_level(ring->n_messages, ring->capacity);
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

void report_notes(const struct snapshot *snapshot)
{
	if (snapshot->counted_percent < 100)
		printf("\n%*scounted %u %%: what is used, free, held, sent and received is of this "
		       "part\n", TABLE_INDENT, "", snapshot->counted_percent);
	if (snapshot->n_waiting > 0)
		printf("\n%*s%" PRIu64 " of its messages have no place in the next generation: %s\n",
		       TABLE_INDENT, "", snapshot->n_waiting, snapshot->why);
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

	gather(options, NULL, ret_gathering);
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
