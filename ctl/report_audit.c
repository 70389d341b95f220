/* SPDX-License-Identifier: MIT */
/*
 * report_audit.c - what the audit found, for a person
 */
#include <inttypes.h>
#include <stdio.h>

#include "report.h"

static void print_one(const struct snapshot *snapshot)
{
	const struct audit *audit = &snapshot->audit;

	printf("%s: %s: ", snapshot->name, snapshot->shm_name);
	if (audit->n_faults == 0)
		printf("whole");
	else
		printf("%" PRIu64 " faults", audit->n_faults);
	printf("; chunks: %" PRIu64 " free, %" PRIu64 " owned, %" PRIu64 " given, %" PRIu64
	       " in queues, %" PRIu64 " shared\n",
	       audit->n_free, audit->n_owned, audit->n_given, audit->n_in_flight,
	       audit->n_shared);
	for (size_t i = 0; i < snapshot->n_faults; i++)
		printf("  %s\n", snapshot->faults[i]);
	if (audit->n_faults > snapshot->n_faults)
		printf("  and %" PRIu64 " more\n", audit->n_faults - snapshot->n_faults);
}

int report_audit_text(const struct snapshot *snapshots, size_t n)
{
	for (size_t i = 0; i < n; i++)
		print_one(&snapshots[i]);
	return 0;
}
