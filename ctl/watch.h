/* SPDX-License-Identifier: MIT */
/*
 * watch.h - looking again and again: what has changed since the last look
 */
#ifndef CTL_WATCH_H
#define CTL_WATCH_H

#include "gather.h"

/* The same object at an earlier look, with as many pools and rings; or NULL. */
const struct snapshot *watch_before(const struct gathering *before, const struct snapshot *now);

/* So many a second between two looks; before NULL, or at the same moment: 0. */
double watch_rate(const struct snapshot *before, const struct snapshot *now, uint64_t difference);

#endif
