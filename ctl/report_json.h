/* SPDX-License-Identifier: MIT */
/*
 * report_json.h - snapshots as JSON
 *
 * The members are a contract: none is renamed or removed, more may come.
 */
#ifndef CTL_REPORT_JSON_H
#define CTL_REPORT_JSON_H

#include "report.h"

struct json_object;

/* What of a segment is shown, besides its name and sums. */
enum report_members {
	REPORT_POOLS = 1 << 0,
	REPORT_HOLDERS = 1 << 1,
	REPORT_QUEUES = 1 << 2,
	REPORT_TOPICS = 1 << 3,
	REPORT_SUBSCRIBERS = 1 << 5,
	REPORT_PROCESSES = 1 << 6,	/* with holders: what runs behind them, by /proc */
	REPORT_AUDIT = 1 << 4,		/* in place of the sums */
};

/* {"segments": [...]}; NULL: out of memory. */
struct json_object *report_json_object(const struct snapshot *snapshots, size_t n,
				       unsigned int members);

/* The same to standard output. Return: 0 or -ENOMEM. */
int report_json(const struct snapshot *snapshots, size_t n, unsigned int members);

#endif
