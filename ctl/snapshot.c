/* SPDX-License-Identifier: MIT */
/*
 * snapshot.c - see snapshot.h
 */
#include "snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/queue.h"
#include "shm/segment.h"
#include "shm/sigbus.h"
#include "shm/topic.h"

/*
 * The words first, then the table: a holder that comes in between shows with nothing, which
 * is what it had. One whose record is free although words name it (it was just reaped, or
 * the segment is damaged) is shown too: chunks never disappear from the listing.
 */
static int copy_holders(const struct segment *segment, const struct census *census,
			struct snapshot *snapshot)
{
	snapshot->holders = calloc(census->n_holders, sizeof(*snapshot->holders));
	if (!snapshot->holders)
		return -ENOMEM;

	for (uint32_t id = MEMPOOL_HOLDER_DAEMON_ID; id < census->n_holders; id++) {
		struct snapshot_holder holder = { .counts = census->holders[id] };
		int r;

		r = holder_read(segment, id, &holder.record);
		if (r < 0)
			return r;
		if (holder.record.state == MEMPOOL_HOLDER_FREE && holder.counts.chunks == 0)
			continue;
		snapshot->holders[snapshot->n_holders++] = holder;
	}

	return 0;
}

static int copy_rings(const struct segment *segment, struct snapshot *snapshot)
{
	const struct config *config = &segment->config;

	if (config->n_rings == 0)
		return 0;
	snapshot->rings = calloc(config->n_rings, sizeof(*snapshot->rings));
	if (!snapshot->rings)
		return -ENOMEM;
	for (uint32_t i = 0; i < config->n_rings; i++) {
		struct snapshot_ring *ring = &snapshot->rings[snapshot->n_rings++];
		struct queue queue;
		struct topic topic;

		memcpy(ring->name, config->rings[i].name, sizeof(ring->name));
		ring->kind = config->rings[i].kind;
		ring->capacity = config->rings[i].capacity;
		if (queue_view(&queue, segment, i) == 0)
			ring->n_messages = queue_length(&queue);
		else if (topic_view(&topic, segment, i) == 0)
			ring->n_messages = topic_length(&topic);
	}
	return 0;
}

static int copy_segment(const struct segment *segment, struct snapshot *snapshot)
{
	struct census census = CENSUS_NULL;
	int r;

	memcpy(snapshot->name, segment->config.name, sizeof(snapshot->name));
	snapshot->generation = segment->generation;
	snapshot->segment_id = segment->segment_id;
	snapshot->size_bytes = segment->geometry.total_size;
	snapshot->state = segment_state(segment);
	snapshot->n_pools = segment->n_pools;

	r = census_take(segment, &census);
	if (r < 0)
		return r;

	snapshot->n_in_flight = census.n_in_flight;
	snapshot->n_shared = census.n_shared;
	snapshot->n_stray = census.n_stray;
	for (size_t i = 0; i <= snapshot->n_pools; i++)
		snapshot->pools[i] = (struct snapshot_pool){
			.chunk_size = segment->pools[i].chunk_size,
			.stride = segment->pools[i].stride,
			.counts = census.pools[i],
		};

	r = copy_holders(segment, &census, snapshot);
	census_deinit(&census);
	return r < 0 ? r : copy_rings(segment, snapshot);
}

static void keep_fault(const char *text, void *userdata)
{
	struct snapshot *snapshot = userdata;
	char **faults = realloc(snapshot->faults,
				(snapshot->n_faults + 1) * sizeof(*snapshot->faults));

	/* Out of memory, they are still counted. */
	if (!faults)
		return;
	snapshot->faults = faults;
	faults[snapshot->n_faults] = strdup(text);
	snapshot->n_faults += faults[snapshot->n_faults] != NULL;
}

static bool is_the_place(const struct segment *segment,
			 const struct mempool_msg_place *place)
{
	return segment->memory.device == place->device &&
	       segment->memory.inode == place->inode &&
	       segment->segment_id == place->segment_id;
}

int snapshot_take(const char *shm_name, const struct mempool_msg_place *place,
		  bool with_audit, struct snapshot *ret_snapshot)
{
	struct segment_memory memory = SEGMENT_MEMORY_NULL;
	struct snapshot snapshot = { 0 };
	struct segment *segment = NULL;
	struct sigbus_range range;
	int r;

	r = segment_map(shm_name, SEGMENT_READ_ONLY, &memory);
	if (r < 0)
		return r;

	sigbus_watch(&range, memory.base, memory.size);
	r = segment_attach(&memory, &segment);
	if (r >= 0 && place && !is_the_place(segment, place))
		r = -ESTALE;
	if (r >= 0)
		r = copy_segment(segment, &snapshot);
	if (r >= 0 && with_audit)
		r = audit_segment(segment, 0, keep_fault, &snapshot, &snapshot.audit);
	if (sigbus_was_hit(&range))
		r = -ENOTRECOVERABLE;
	sigbus_unwatch(&range);

	if (segment)
		segment_free(segment);
	else
		segment_memory_deinit(&memory);

	if (r < 0) {
		snapshot_deinit(&snapshot);
		return r;
	}

	snprintf(snapshot.shm_name, sizeof(snapshot.shm_name), "%s", shm_name);
	*ret_snapshot = snapshot;
	return 0;
}

void snapshot_deinit(struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->n_faults; i++)
		free(snapshot->faults[i]);
	free(snapshot->faults);
	free(snapshot->rings);
	free(snapshot->holders);
	*snapshot = (struct snapshot){ 0 };
}
