/* SPDX-License-Identifier: MIT */
/*
 * report.h - snapshots for a person, or as JSON: what the commands that print them share
 */
#ifndef CTL_REPORT_H
#define CTL_REPORT_H

#include <stddef.h>

#include "ctl.h"
#include "gather.h"
#include "snapshot.h"
#include "text.h"

/* Writes to standard output. Return: 0 or -ENOMEM. */
typedef int (*report_fn)(const struct snapshot *snapshots, size_t n);

/* Gather what the options name, and print it by one of the two. */
enum ctl_exit report(const struct ctl_options *options, report_fn text, report_fn json);

/* The same for who wants to look, too: the caller frees *ret_gathering. */
enum ctl_exit report_gathering(const struct ctl_options *options, report_fn text,
			       report_fn json, struct gathering *ret_gathering);

/* Text: the heading of each segment, and below it what @print says. */
typedef int (*report_segment_fn)(const struct snapshot *snapshot, struct text_style style);
int report_each(const struct snapshot *snapshots, size_t n, report_segment_fn print);

/* Says so, if only a part was counted, or if words of the segment make no sense. */
void report_notes(const struct snapshot *snapshot);

/* Of a queue; a topic that is full is as it should be. */
enum text_level report_ring_level(const struct snapshot_ring *ring);

#endif
