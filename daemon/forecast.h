/* SPDX-License-Identifier: MIT */
/*
 * forecast.h - what a reload will do to generations, and to the messages in them
 *
 * For each segment that comes, goes or gets another layout, and each generation whose messages
 * wait for a place. It is counted beside the loop, of what stands there at that moment: those who
 * live there go on.
 */
#ifndef DAEMON_FORECAST_H
#define DAEMON_FORECAST_H

#include <stddef.h>

#include "daemon/config/segment.h"
#include "daemon/segments/host.h"
#include "mempool_protocol.h"

struct forecast_entry;

struct forecast {
	struct forecast_entry *entries;
	size_t n;
};

/**
 * forecast_add() - one segment, as it is and as it is to be
 * @host: NULL: there is none
 * @conf: as it is to be; NULL: it goes. Outlives the forecast.
 *
 * Generations are pinned. Return: 0 or -ENOMEM.
 */
int forecast_add(struct forecast *forecast, struct host *host, const struct conf_segment *conf);

/* Count; in a thread. */
void forecast_count(struct forecast *forecast);

/* The sums of it. */
void forecast_tell(const struct forecast *forecast, struct mempool_msg_reloaded *result);

/* A line for each, for people; the caller frees it. NULL: no memory. */
char *forecast_text(const struct forecast *forecast, bool discards);

/* Always legal, also on zeros. */
void forecast_deinit(struct forecast *forecast);

#endif
