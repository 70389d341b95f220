/* SPDX-License-Identifier: MIT */
/*
 * suggest.h - mempoolctl pools --suggest: pools of a config, by what was used
 *
 * A pool that never ran dry needs its peak, and some more: a quarter. Of one that did, nobody
 * knows how much it needs: half as many again is to be tried, and looked at again. Which sizes were asked for
 * within a pool the segment does not know, so chunk sizes stay.
 */
#ifndef CTL_SUGGEST_H
#define CTL_SUGGEST_H

#include <stddef.h>
#include <stdint.h>

#include "snapshot.h"

/* How many chunks a pool should have; where some topic may keep one of them, enough for that. */
uint64_t suggest_count(const struct snapshot *snapshot, size_t pool);

/* YAML, with what it goes by as comments. Return: 0. */
int suggest_print(const struct snapshot *snapshots, size_t n);

#endif
