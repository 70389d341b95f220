/* SPDX-License-Identifier: MIT */
/*
 * segment.h - a segment of the config: what is to be made, and who may attach to it
 */
#ifndef DAEMON_CONFIG_SEGMENT_H
#define DAEMON_CONFIG_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/config/access.h"
#include "daemon/config/bounds.h"
#include "shm/config.h"
#include "shm/pages.h"
#include "shm/segment.h"

struct conf_node;
struct conf_reader;

struct conf_segment {
	struct config shape;
	struct conf_access allow;		/* members, besides root and the daemon's user */
	struct conf_access readers;		/* of the others; with memfds alone */
	struct conf_access spectators;		/* of those who are left */
	struct conf_bounds bounds;		/* of what one client may hold */
	struct conf_access reserves[MEMPOOL_MAX_DATA_POOLS]; /* by pool: of one that is a reserve */
	enum segment_open_mode open_mode;
	enum segment_backing backing;
	bool plain_claims;		/* threads may claim by plain stores (shm/lane.h) */
	struct pages pages;
	unsigned int line;			/* where it stands in the file, from 1 */
};

/* The list of segments into an array that has none yet; free them and it also on error. */
int conf_read_segments(struct conf_reader *reader, const struct conf_node *node,
		       struct conf_segment **segments, size_t *n_segments);
void conf_segment_deinit(struct conf_segment *segment);

/* Whether what is made of one is as what is made of the other. */
bool conf_segment_is_same(const struct conf_segment *a, const struct conf_segment *b);

/* Bytes that both of its objects take, in whole pages; 0: no machine is that large. */
uint64_t conf_segment_bytes(const struct conf_segment *segment);

/* Of one of them. */
uint64_t conf_segment_object_bytes(const struct conf_segment *segment,
				   enum geometry_object object);

#endif
