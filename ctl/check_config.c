/* SPDX-License-Identifier: MIT */
/*
 * check_config.c - mempoolctl check-config: what mempoold --check-config does, by its own code
 *
 * Text is printed there, to the letter, with the daemon's name before it. JSON is made here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "build_config.h"
#include "ctl.h"
#include "daemon/base/log.h"
#include "daemon/config/check.h"
#include "daemon/config/conf.h"
#include "json.h"
#include "name.h"

static struct json_object *mistake_object(const struct conf_error *error)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	return json_complete(object, json_add_number(object, "line", error->line) ||
					     json_add_number(object, "column", error->column) ||
					     json_add_string(object, "text", error->text));
}

struct warnings {
	struct json_object *array;
	int failed;
};

static void keep_warning(const struct conf_error *warning, void *userdata)
{
	struct warnings *warnings = userdata;

	if (!warnings->failed)
		warnings->failed = json_append(warnings->array, mistake_object(warning));
}

static struct json_object *pool_object(const struct config *shape, size_t pool)
{
	uint64_t n_reserved = config_n_reserved(shape, pool);
	struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	return json_complete(object,
			     json_add_number(object, "chunk_size", shape->pools[pool].chunk_size) ||
				     json_add_number(object, "total",
						     shape->pools[pool].n_chunks + n_reserved) ||
				     json_add_number(object, "reserve", n_reserved) ||
				     json_add_bool(object, "sharing",
						   !shape->pools[pool].is_exclusive));
}

static struct json_object *ring_object(const struct config_ring *ring)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	return json_complete(object,
			     json_add_string(object, "kind", name_ring_kind(ring->kind)) ||
				     json_add_string(object, "name", ring->name) ||
				     json_add_number(object, "capacity", ring->capacity) ||
				     json_add_bool(object, "stamps",
						   ring->flags & MEMPOOL_RING_STAMPS) ||
				     (ring->kind == MEMPOOL_RING_TOPIC
					      ? json_add_string(object, "history",
								config_ring_history(ring))
					      : json_add_string(object, "senders",
								config_ring_ends(ring, MEMPOOL_RING_ONE_SENDER)) ||
							json_add_string(object, "receivers",
									config_ring_ends(ring, MEMPOOL_RING_ONE_RECEIVER)) ||
							(ring->slot_bytes > 0 &&
							 json_add_number(object, "slot_bytes", ring->slot_bytes))));
}

static struct json_object *segment_object(const struct conf_segment *segment)
{
	const struct config *shape = &segment->shape;
	struct json_object *object = json_object_new_object();
	struct json_object *pools = json_object_new_array();
	struct json_object *rings = json_object_new_array();
	int failed;

	if (!object || !pools || !rings) {
		json_object_put(object);
		json_object_put(pools);
		json_object_put(rings);
		return NULL;
	}
	/* Both arrays first: then they are the object's. */
	failed = json_add(object, "pools", pools) | json_add(object, "rings", rings);
	for (size_t i = 0; i < shape->n_pools && !failed; i++)
		if (!shape->pools[i].is_reserve)
			failed = json_append(pools, pool_object(shape, i));
	for (size_t i = 0; i < shape->n_rings && !failed; i++)
		failed = json_append(rings, ring_object(&shape->rings[i]));
	return json_complete(
		object, failed || json_add_string(object, "name", shape->name) ||
				json_add_number(object, "size_bytes",
						conf_segment_bytes(segment)) ||
				json_add_number(object, "holders", config_n_holders(shape)));
}

static int add_conf(struct json_object *root, const struct conf *conf)
{
	struct json_object *segments = json_object_new_array();
	int failed = json_add(root, "segments", segments);

	for (size_t i = 0; i < conf->n_segments && !failed; i++)
		failed = json_append(segments, segment_object(&conf->segments[i]));
	return failed || json_add_string(root, "socket", conf->socket_path);
}

static int add_error(struct json_object *root, const struct conf_error *error)
{
	return json_add(root, "error", mistake_object(error));
}

static enum ctl_exit check_json(const char *path)
{
	struct json_object *root = json_object_new_object();
	struct warnings warnings = { .array = json_object_new_array() };
	struct conf_error error;
	struct conf *conf = NULL;
	int r, failed;

	if (!root || !warnings.array) {
		json_object_put(root);
		json_object_put(warnings.array);
		ctl_error("%s", strerror(ENOMEM));
		return CTL_FAILED;
	}
	r = conf_load_once(path, keep_warning, &warnings, &conf, &error);
	failed = json_add(root, "warnings", warnings.array) || warnings.failed ||
		 json_add_string(root, "path", path) || json_add_bool(root, "ok", r == 0) ||
		 (r == 0 ? add_conf(root, conf) : add_error(root, &error));
	if (r == 0)
		conf_free(conf);
	else
		conf_error_deinit(&error);
	if (json_print(json_complete(root, failed), false) < 0) {
		ctl_error("%s", strerror(ENOMEM));
		return CTL_FAILED;
	}
	return r == 0 ? CTL_OK : r == -ENOMEM ? CTL_FAILED : CTL_CONFIG;
}

enum ctl_exit ctl_check_config(const struct ctl_options *options)
{
	const char *path = options->arguments[0] ? options->arguments[0] :
						   MEMPOOL_SYSCONFDIR_FILE;

	if (options->json)
		return check_json(path);
	log_init(false);
	return (enum ctl_exit)conf_check(path, "");
}
