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

/* Says so, if a segment has words that make no sense. */
void report_stray(const struct snapshot *snapshot);

/* What both call the states of a segment and of a holder, and the kinds of holders. */
const char *report_segment_state(uint32_t state);
const char *report_holder_state(const struct holder *record);
const char *report_holder_kind(uint32_t kind);
const char *report_ring_kind(enum mempool_ring_kind kind);

/* Of a queue; a topic that is full is as it should be. */
enum text_level report_ring_level(const struct snapshot_ring *ring);

/* Name of a user in printable ASCII, or the number. */
void report_user(uint32_t uid, char *ret_name, size_t size);

#endif
