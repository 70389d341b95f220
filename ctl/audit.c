/* SPDX-License-Identifier: MIT */
/*
 * audit.c - mempoolctl audit: whether the segments are whole
 */
#include <inttypes.h>
#include <stdio.h>

#include "ctl.h"
#include "gather.h"
#include "report.h"
#include "report_json.h"
#include "table.h"

static void print_one(const struct snapshot *snapshot)
{
	const struct audit *audit = &snapshot->audit;

	printf("%s: %.*s: ", snapshot->name, text_object_length(snapshot->shm_name),
	       snapshot->shm_name);
	if (audit->n_faults > 0)
		printf("%" PRIu64 " faults", audit->n_faults);
	else if (audit_percent(audit) == 100)
		printf("whole");
	else
		printf("no fault");
	if (audit_percent(audit) < 100)
		printf(", %u %% checked", audit_percent(audit));
	printf("\n%*schunks: %" PRIu64 " free, %" PRIu64 " owned, %" PRIu64 " given, %" PRIu64
	       " in queues, %" PRIu64 " shared\n",
	       TABLE_INDENT, "", audit->n_free, audit->n_owned, audit->n_given, audit->n_in_flight,
	       audit->n_shared);
	for (size_t i = 0; i < snapshot->n_faults; i++)
		printf("%*s%s\n", TABLE_INDENT, "", snapshot->faults[i]);
	if (audit->n_faults > snapshot->n_faults)
		printf("%*sand %" PRIu64 " more\n", TABLE_INDENT, "",
		       audit->n_faults - snapshot->n_faults);
}

static int print_text(const struct snapshot *snapshots, size_t n)
{
	for (size_t i = 0; i < n; i++)
		print_one(&snapshots[i]);
	return 0;
}

static int print_json(const struct snapshot *snapshots, size_t n)
{
	return report_json(snapshots, n, REPORT_AUDIT);
}

enum ctl_exit ctl_audit(const struct ctl_options *options)
{
	struct ctl_options with_audit = *options;
	struct gathering gathering = { 0 };
	enum ctl_exit status;

	with_audit.audit = true;
	status = report_gathering(&with_audit, print_text, print_json, &gathering);
	for (size_t i = 0; i < gathering.n_snapshots; i++) {
		const struct audit *audit = &gathering.snapshots[i].audit;

		if ((audit->n_faults > 0 || audit_percent(audit) < 100) && status == CTL_OK)
			status = CTL_FAILED;
	}
	gathering_deinit(&gathering);
	return status;
}
