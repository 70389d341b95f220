/* SPDX-License-Identifier: MIT */
/*
 * report_json.c - snapshots as one JSON object: {"segments": [...]}, see mempoolctl(1)
 *
 * A segment is the same object in every command; each shows some of its members.
 */
#include "report_json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "json.h"
#include "name.h"
#include "process.h"
#include "split.h"

#define NS_PER_MS 1000000

/* What is not there, or not known, is null. */
static int add_oldest(struct json_object *object, bool has_oldest, uint64_t oldest_ns)
{
	if (!has_oldest)
		return json_object_object_add(object, "oldest_ns", NULL);
	return json_add_number(object, "oldest_ns", oldest_ns);
}

static struct json_object *pool_object(const struct snapshot_pool *pool, bool is_traced)
{
	const struct census_pool *counts = &pool->counts;
	struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	return json_complete(object,
			     json_add_number(object, "chunk_size", pool->chunk_size) ||
				     json_add_number(object, "stride", pool->stride) ||
				     json_add_number(object, "total", counts->total) ||
				     json_add_number(object, "counted", counts->counted) ||
				     json_add_number(object, "used", counts->used) ||
				     json_add_number(object, "free", counts->free) ||
				     json_add_number(object, "alone", counts->alone) ||
				     json_add_number(object, "in_flight", counts->in_flight) ||
				     json_add_number(object, "shared", counts->shared) ||
				     json_add_number(object, "stray", counts->stray) ||
				     json_add_number(object, "peak_used", pool->peak_used) ||
				     json_add_number(object, "exhausted", pool->n_exhausted) ||
				     json_add_number(object, "served_larger",
						     pool->n_served_larger) ||
				     json_add_number(object, "reserve", pool->reserve.total) ||
				     json_add_number(object, "reserve_used", pool->reserve.used) ||
				     json_add_number(object, "reserve_exhausted",
						     pool->reserve.n_exhausted) ||
				     json_add_bool(object, "sharing", pool->n_shareable > 0) ||
				     (is_traced &&
				      add_oldest(object, pool->has_oldest, pool->oldest_ns)));
}

static struct json_object *pool_array(const struct snapshot *snapshot)
{
	struct json_object *array = json_object_new_array();
	int failed = 0;

	if (!array)
		return NULL;
	for (size_t i = 0; i < snapshot->n_pools && !failed; i++)
		failed = json_append(array, pool_object(&snapshot->pools[i], snapshot->is_traced));
	return json_complete(array, failed);
}

/* What a holder has of one pool. */
static struct json_object *hold_object(size_t pool, const struct census_hold *hold)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	return json_complete(object, json_add_number(object, "pool", pool) ||
					     json_add_number(object, "chunks", hold->chunks) ||
					     json_add_number(object, "given", hold->given) ||
					     json_add_number(object, "shared", hold->shared));
}

static struct json_object *hold_array(const struct snapshot *snapshot,
				      const struct snapshot_holder *holder)
{
	struct json_object *array = json_object_new_array();
	int failed = 0;

	if (!array)
		return NULL;
	for (size_t i = 0; i < snapshot->n_pools && !failed; i++) {
		const struct census_hold *hold = &holder->by_pool[i];

		if (hold->chunks > 0 || hold->shared > 0)
			failed = json_append(array, hold_object(i, hold));
	}
	return json_complete(array, failed);
}

static int add_process(struct json_object *object, const struct holder *record)
{
	struct process_words words;

	process_describe(record, &words);
	return json_add_string(object, "command", words.command) ||
	       json_add_string(object, "unit", words.place);
}

static struct json_object *holder_object(const struct snapshot *snapshot,
					 const struct snapshot_holder *holder, unsigned int members)
{
	const struct holder *record = &holder->record;
	const struct census_holder *counts = &holder->counts;
	struct json_object *object = json_object_new_object();
	char user[64];

	if (!object)
		return NULL;
	name_user(record->uid, user, sizeof(user));
	return json_complete(
		object,
		json_add_number(object, "id", record->id) ||
			json_add_string(object, "kind", name_holder_kind(record->kind)) ||
			json_add_string(object, "role", name_holder_role(record)) ||
			json_add_string(object, "state", name_holder_state(record)) ||
			json_add_number(object, "pid", record->pid) ||
			json_add_number(object, "uid", record->uid) ||
			json_add_string(object, "user", user) ||
			json_add_string(object, "name", record->name) ||
			json_add_number(object, "chunks", counts->all.chunks) ||
			json_add_number(object, "bytes", counts->bytes) ||
			json_add_number(object, "given", counts->all.given) ||
			json_add_number(object, "shared", counts->all.shared) ||
			json_add_number(object, "shared_bytes", counts->shared_bytes) ||
			json_add_number(object, "stride_bytes",
					snapshot_stride_bytes(snapshot, holder)) ||
			json_add_number(object, "max_chunks", record->bound.max_chunks) ||
			json_add_number(object, "max_bytes", record->bound.max_bytes) ||
			json_add_number(object, "exhausted", record->n_exhausted) ||
			json_add_bool(object, "may_reserve", record->reserves != 0) ||
			json_add_number(object, "attached_ms", record->attached_ns / NS_PER_MS) ||
			((members & REPORT_PROCESSES) && add_process(object, record)) ||
			json_add(object, "pools", hold_array(snapshot, holder)));
}

static struct json_object *holder_array(const struct snapshot *snapshot, unsigned int members)
{
	struct json_object *array = json_object_new_array();
	int failed = 0;

	if (!array)
		return NULL;
	for (size_t i = 0; i < snapshot->n_holders && !failed; i++)
		failed = json_append(array, holder_object(snapshot, &snapshot->holders[i], members));
	return json_complete(array, failed);
}

/* Who has a role of a queue: a holder, or nobody: null. Of a queue that has none, nothing. */
static int add_one(struct json_object *object, const char *key, bool is_there, uint32_t holder)
{
	if (!is_there)
		return 0;
	return holder == MEMPOOL_HOLDER_NONE ? json_object_object_add(object, key, NULL)
					     : json_add_number(object, key, holder);
}

static struct json_object *ring_object(const struct snapshot_ring *ring)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	return json_complete(
		object,
		json_add_string(object, "kind", name_ring_kind(ring->kind)) ||
			json_add_string(object, "name", ring->name) ||
			json_add_number(object, "capacity", ring->capacity) ||
			json_add_number(object, "messages", ring->n_messages) ||
			json_add_number(object, "chunks", ring->chunks) ||
			json_add_number(object, "bytes", ring->bytes) ||
			json_add_number(object, "sent", ring->n_sent) ||
			json_add_number(object, "unseen", ring->n_unseen) ||
			(ring->has_stamps &&
			 add_oldest(object, ring->has_oldest, ring->oldest_ns)) ||
			(ring->kind == MEMPOOL_RING_QUEUE
				 ? json_add_number(object, "received", ring->n_received) ||
					   json_add_number(object, "senders", ring->n_senders) ||
					   json_add_number(object, "receivers", ring->n_receivers) ||
					   add_one(object, "one_sender", ring->has_one_sender,
						   ring->one_sender) ||
					   add_one(object, "one_receiver", ring->has_one_receiver,
						   ring->one_receiver) ||
					   (ring->slot_bytes > 0 &&
					    json_add_number(object, "slot_bytes", ring->slot_bytes))
				 : json_add_number(object, "yielded", ring->n_yielded) ||
					   json_add_number(object, "subscribers", ring->n_subscribers)));
}

static struct json_object *ring_array(const struct snapshot *snapshot, unsigned int members)
{
	struct json_object *array = json_object_new_array();
	int failed = 0;

	if (!array)
		return NULL;
	for (size_t i = 0; i < snapshot->n_rings && !failed; i++) {
		const struct snapshot_ring *ring = &snapshot->rings[i];
		bool is_topic = ring->kind == MEMPOOL_RING_TOPIC;

		if (members & (is_topic ? REPORT_TOPICS : REPORT_QUEUES))
			failed = json_append(array, ring_object(ring));
	}
	return json_complete(array, failed);
}

/* What is not known is not there: null. */
static int add_state(struct json_object *object, const struct snapshot_subscriber *subscriber)
{
	if (subscriber->state == SUBSCRIBER_UNKNOWN)
		return json_object_object_add(object, "state", NULL);
	return json_add_string(object, "state", name_subscriber_state(subscriber->state));
}

static struct json_object *subscriber_object(const struct snapshot *snapshot,
					     const struct snapshot_subscriber *subscriber)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	return json_complete(
		object,
		json_add_string(object, "topic", snapshot->rings[subscriber->ring].name) ||
			json_add_number(object, "end", subscriber->line) ||
			json_add_number(object, "holder", subscriber->record.id) ||
			json_add_number(object, "pid", subscriber->record.pid) ||
			json_add_string(object, "name", subscriber->record.name) ||
			json_add_string(object, "reads", name_end_flags(subscriber->flags)) ||
			json_add_number(object, "started_at", subscriber->start) ||
			json_add_number(object, "position", subscriber->cursor) ||
			json_add_number(object, "behind", subscriber->n_behind) ||
			json_add_number(object, "missed", subscriber->n_missed) ||
			json_add_number(object, "holds", subscriber->n_holds) ||
			add_state(object, subscriber));
}

static struct json_object *subscriber_array(const struct snapshot *snapshot)
{
	struct json_object *array = json_object_new_array();
	int failed = 0;

	if (!array)
		return NULL;
	for (size_t i = 0; i < snapshot->n_subscribers && !failed; i++)
		failed = json_append(array,
				     subscriber_object(snapshot, &snapshot->subscribers[i]));
	return json_complete(array, failed);
}

static struct json_object *fault_array(const struct snapshot *snapshot)
{
	struct json_object *array = json_object_new_array();
	int failed = 0;

	if (!array)
		return NULL;
	for (size_t i = 0; i < snapshot->n_faults && !failed; i++)
		failed = json_append(array, json_object_new_string(snapshot->faults[i]));
	return json_complete(array, failed);
}

static int add_audit(struct json_object *object, const struct snapshot *snapshot)
{
	const struct audit *audit = &snapshot->audit;

	return json_add_number(object, "free", audit->n_free) ||
	       json_add_number(object, "owned", audit->n_owned) ||
	       json_add_number(object, "given", audit->n_given) ||
	       json_add_number(object, "in_flight", audit->n_in_flight) ||
	       json_add_number(object, "shared", audit->n_shared) ||
	       json_add_number(object, "checked_percent", audit_percent(audit)) ||
	       json_add_number(object, "n_faults", audit->n_faults) ||
	       json_add(object, "faults", fault_array(snapshot));
}

static struct json_object *lanes_object(const struct lane_counts *lanes)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	return json_complete(object,
			     json_add_number(object, "owned", lanes->n_owned) ||
				     json_add_number(object, "free", lanes->n_free) ||
				     json_add_number(object, "retired", lanes->n_retired) ||
				     json_add_number(object, "revocations", lanes->n_revoked) ||
				     json_add_number(object, "barriers", lanes->n_barriers));
}

static int add_pools(struct json_object *object, const struct snapshot *snapshot)
{
	return json_add_string(object, "claims", snapshot->lanes.is_on ? "plain" : "swap") ||
	       json_add(object, "lanes", lanes_object(&snapshot->lanes)) ||
	       json_add(object, "pools", pool_array(snapshot)) ||
	       json_add(object, "manager_pool",
			pool_object(&snapshot->pools[snapshot->n_pools], false));
}

/* Of all pools together. */
static int add_sums(struct json_object *object, const struct snapshot *snapshot)
{
	return json_add_number(object, "counted_percent", snapshot->counted_percent) ||
	       json_add(object, "counted_ms", json_object_new_int64(snapshot->counted_ms)) ||
	       json_add_number(object, "total", snapshot->all.total) ||
	       json_add_number(object, "counted", snapshot->all.counted) ||
	       json_add_number(object, "used", snapshot->all.used) ||
	       json_add_number(object, "in_flight", snapshot->all.in_flight) ||
	       json_add_number(object, "shared", snapshot->all.shared) ||
	       json_add_number(object, "stray", snapshot->all.stray);
}

static struct json_object *segment_object(const struct snapshot *snapshot, unsigned int members)
{
	struct json_object *object = json_object_new_object();
	char id[17];

	if (!object)
		return NULL;
	/* Text: it is a name, and has more bits than JSON_NUMBER_MAX. */
	snprintf(id, sizeof(id), "%016" PRIx64, snapshot->segment_id);
	return json_complete(
		object,
		json_add_string(object, "name", snapshot->name) ||
			json_add_string(object, "shm_name", snapshot->shm_name) ||
			json_add_number(object, "generation", snapshot->generation) ||
			json_add_number(object, "size_bytes", snapshot->size_bytes) ||
			json_add_string(object, "state",
					name_segment_state(snapshot->state)) ||
			json_add_string(object, "segment_id", id) ||
			json_add_number(object, "messages_moved", snapshot->n_moved) ||
			json_add_number(object, "messages_waiting", snapshot->n_waiting) ||
			json_add_string(object, "waiting_reason",
					snapshot->n_waiting > 0 ? snapshot->why : "") ||
			((members & REPORT_AUDIT) ? add_audit(object, snapshot) :
						    add_sums(object, snapshot)) ||
			((members & REPORT_POOLS) && add_pools(object, snapshot)) ||
			((members & REPORT_HOLDERS) &&
			 json_add(object, "holders", holder_array(snapshot, members))) ||
			((members & (REPORT_QUEUES | REPORT_TOPICS)) &&
			 json_add(object, "rings", ring_array(snapshot, members))) ||
			((members & REPORT_SUBSCRIBERS) &&
			 json_add(object, "subscribers", subscriber_array(snapshot))));
}

static struct json_object *split_pid_array(const struct snapshot *old)
{
	struct json_object *array = json_object_new_array();
	int failed = 0;

	if (!array)
		return NULL;
	for (size_t i = 0; i < old->n_holders && !failed; i++)
		if (split_is_client(&old->holders[i]))
			failed = json_append(array, json_object_new_int64(
							    old->holders[i].record.pid));
	return json_complete(array, failed);
}

static struct json_object *split_object(const struct snapshot *old,
					const struct snapshot *newer,
					const struct snapshot_ring *ring)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	return json_complete(
		object,
		json_add_string(object, "segment", old->name) ||
			json_add_string(object, "kind", name_ring_kind(ring->kind)) ||
			json_add_string(object, "name", ring->name) ||
			json_add_number(object, "old_generation", old->generation) ||
			json_add_number(object, "new_generation", newer->generation) ||
			json_add(object, "old_pids", split_pid_array(old)));
}

/* Queues and topics that are in two generations. */
static struct json_object *split_array(const struct snapshot *snapshots, size_t n)
{
	struct json_object *array = json_object_new_array();
	int failed = 0;

	if (!array)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		const struct snapshot *old = &snapshots[i];
		const struct snapshot *newer = split_newer(snapshots, n, old);

		for (size_t k = 0; newer && k < old->n_rings && !failed; k++)
			if (split_has_ring(newer, &old->rings[k]))
				failed = json_append(array,
						     split_object(old, newer, &old->rings[k]));
	}
	return json_complete(array, failed);
}

struct json_object *report_json_object(const struct snapshot *snapshots, size_t n,
				       unsigned int members)
{
	struct json_object *root = json_object_new_object();
	struct json_object *array = json_object_new_array();
	int failed;

	if (!root) {
		json_object_put(array);
		return NULL;
	}
	/* The array is root's from here on. */
	failed = json_add(root, "segments", array);
	for (size_t i = 0; i < n && !failed; i++)
		failed = json_append(array, segment_object(&snapshots[i], members));
	if (!failed && (members & (REPORT_QUEUES | REPORT_TOPICS)))
		failed = json_add(root, "split", split_array(snapshots, n));
	return json_complete(root, failed);
}

int report_json(const struct snapshot *snapshots, size_t n, unsigned int members)
{
	return json_print(report_json_object(snapshots, n, members), false);
}
