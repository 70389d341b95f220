/* SPDX-License-Identifier: MIT */
/*
 * report_json.c - snapshots as one JSON object
 *
 *	{"segments": [{"name", "shm_name", "generation", "size_bytes", "state", "segment_id",
 *	  "stray", "pools": [{"chunk_size", "stride", "total", "used", "free"}],
 *	  "manager_pool": {"chunk_size", "stride", "total", "used", "free"},
 *	  "holders": [{"id", "kind", "state", "pid", "uid", "user", "name", "chunks", "bytes",
 *	    "attached_ns"}]}]}
 *
 * json-c says that it is out of memory by NULL, and takes NULL for null: add() is where
 * the two are told apart.
 */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>

static int add(struct json_object *object, const char *key, struct json_object *value)
{
	if (!value)
		return -ENOMEM;
	if (json_object_object_add(object, key, value) < 0) {
		json_object_put(value);
		return -ENOMEM;
	}
	return 0;
}

static int append(struct json_object *array, struct json_object *value)
{
	if (!value)
		return -ENOMEM;
	if (json_object_array_add(array, value) < 0) {
		json_object_put(value);
		return -ENOMEM;
	}
	return 0;
}

static int add_number(struct json_object *object, const char *key, uint64_t value)
{
	return add(object, key, json_object_new_uint64(value));
}

static int add_string(struct json_object *object, const char *key, const char *value)
{
	return add(object, key, json_object_new_string(value));
}

/* All or nothing: frees the object and returns NULL when one member could not be added. */
static struct json_object *complete(struct json_object *object, int failed)
{
	if (!failed)
		return object;
	json_object_put(object);
	return NULL;
}

static struct json_object *pool_object(const struct snapshot_pool *pool)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	return complete(object, add_number(object, "chunk_size", pool->chunk_size) ||
					add_number(object, "stride", pool->stride) ||
					add_number(object, "total", pool->counts.total) ||
					add_number(object, "used", pool->counts.used) ||
					add_number(object, "free", pool->counts.free));
}

static struct json_object *pool_array(const struct snapshot *snapshot)
{
	struct json_object *array = json_object_new_array();
	int failed = 0;

	if (!array)
		return NULL;
	for (size_t i = 0; i < snapshot->n_pools && !failed; i++)
		failed = append(array, pool_object(&snapshot->pools[i]));
	return complete(array, failed);
}

static struct json_object *holder_object(const struct snapshot_holder *holder)
{
	const struct holder *record = &holder->record;
	struct json_object *object = json_object_new_object();
	char user[64];

	if (!object)
		return NULL;
	report_user(record->uid, user, sizeof(user));
	return complete(object,
			add_number(object, "id", record->id) ||
				add_string(object, "kind", report_holder_kind(record->kind)) ||
				add_string(object, "state",
					   report_holder_state(record->state)) ||
				add_number(object, "pid", record->pid) ||
				add_number(object, "uid", record->uid) ||
				add_string(object, "user", user) ||
				add_string(object, "name", record->name) ||
				add_number(object, "chunks", holder->counts.all.chunks) ||
				add_number(object, "bytes", holder->counts.bytes) ||
				add_number(object, "attached_ns", record->attached_ns));
}

static struct json_object *holder_array(const struct snapshot *snapshot)
{
	struct json_object *array = json_object_new_array();
	int failed = 0;

	if (!array)
		return NULL;
	for (size_t i = 0; i < snapshot->n_holders && !failed; i++)
		failed = append(array, holder_object(&snapshot->holders[i]));
	return complete(array, failed);
}

static struct json_object *ring_object(const struct snapshot_ring *ring)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	return complete(object, add_string(object, "kind", report_ring_kind(ring->kind)) ||
					add_string(object, "name", ring->name) ||
					add_number(object, "capacity", ring->capacity) ||
					add_number(object, "messages", ring->n_messages));
}

static struct json_object *ring_array(const struct snapshot *snapshot)
{
	struct json_object *array = json_object_new_array();
	int failed = 0;

	if (!array)
		return NULL;
	for (size_t i = 0; i < snapshot->n_rings && !failed; i++)
		failed = append(array, ring_object(&snapshot->rings[i]));
	return complete(array, failed);
}

static struct json_object *segment_object(const struct snapshot *snapshot)
{
	struct json_object *object = json_object_new_object();
	char id[17];

	if (!object)
		return NULL;
	/* Text: it is a name, and many readers of JSON keep 53 bits of a number. */
	snprintf(id, sizeof(id), "%016" PRIx64, snapshot->segment_id);
	return complete(
		object,
		add_string(object, "name", snapshot->name) ||
			add_string(object, "shm_name", snapshot->shm_name) ||
			add_number(object, "generation", snapshot->generation) ||
			add_number(object, "size_bytes", snapshot->size_bytes) ||
			add_string(object, "state", report_segment_state(snapshot->state)) ||
			add_string(object, "segment_id", id) ||
			add_number(object, "in_flight", snapshot->all.in_flight) ||
			add_number(object, "shared", snapshot->all.shared) ||
			add_number(object, "stray", snapshot->all.stray) ||
			add(object, "pools", pool_array(snapshot)) ||
			add(object, "manager_pool",
			    pool_object(&snapshot->pools[snapshot->n_pools])) ||
			add(object, "holders", holder_array(snapshot)) ||
			add(object, "rings", ring_array(snapshot)));
}

static struct json_object *fault_array(const struct snapshot *snapshot)
{
	struct json_object *array = json_object_new_array();
	int failed = 0;

	if (!array)
		return NULL;
	for (size_t i = 0; i < snapshot->n_faults && !failed; i++)
		failed = append(array, json_object_new_string(snapshot->faults[i]));
	return complete(array, failed);
}

static struct json_object *audit_object(const struct snapshot *snapshot)
{
	const struct audit *audit = &snapshot->audit;
	struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	return complete(object, add_string(object, "name", snapshot->name) ||
					add_string(object, "shm_name", snapshot->shm_name) ||
					add_number(object, "generation", snapshot->generation) ||
					add_number(object, "free", audit->n_free) ||
					add_number(object, "owned", audit->n_owned) ||
					add_number(object, "given", audit->n_given) ||
					add_number(object, "in_flight", audit->n_in_flight) ||
					add_number(object, "shared", audit->n_shared) ||
					add_number(object, "n_faults", audit->n_faults) ||
					add(object, "faults", fault_array(snapshot)));
}

typedef struct json_object *(*object_fn)(const struct snapshot *snapshot);

static int print_segments(const struct snapshot *snapshots, size_t n, object_fn make_object)
{
	struct json_object *root = json_object_new_object();
	struct json_object *array = json_object_new_array();
	const char *text = NULL;

	if (root && add(root, "segments", array) == 0) {
		int failed = 0;

		for (size_t i = 0; i < n && !failed; i++)
			failed = append(array, make_object(&snapshots[i]));
		if (!failed)
			text = json_object_to_json_string_ext(
				root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED);
	}
	if (text)
		puts(text);

	json_object_put(root);
	return text ? 0 : -ENOMEM;
}

int report_json(const struct snapshot *snapshots, size_t n)
{
	return print_segments(snapshots, n, segment_object);
}

int report_audit_json(const struct snapshot *snapshots, size_t n)
{
	return print_segments(snapshots, n, audit_object);
}
