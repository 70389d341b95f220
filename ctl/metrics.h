/* SPDX-License-Identifier: MIT */
/*
 * metrics.h - what was gathered, for Prometheus
 *
 * Names and labels are a contract: none is renamed or removed, more may come.
 */
#ifndef CTL_METRICS_H
#define CTL_METRICS_H

#include <stdio.h>

#include "gather.h"

/* Series of their own have so many holders of a segment, those that hold most. */
#define METRICS_MAX_HOLDERS 256

/* And so many subscribers, those that are furthest behind. */
#define METRICS_MAX_SUBSCRIBERS 256

/* All families. @gathering may have failed: that is said, too. Its holders and subscribers
 * get sorted. */
void metrics_write(FILE *file, const struct ctl_options *options, struct gathering *gathering);

#endif
