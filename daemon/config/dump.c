/* SPDX-License-Identifier: MIT */
/*
 * dump.c - see dump.h
 *
 * One walk makes both: JSON is YAML in flow style with its texts in double quotes. What fails
 * is remembered, and the rest of the walk does nothing.
 */
#include "daemon/config/dump.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>
#include <yaml.h>

struct dump {
	yaml_emitter_t emitter;
	bool as_json;
	bool has_failed;
	int fd;
};

static int on_write(void *userdata, unsigned char *buffer, size_t size)
{
	const struct dump *dump = userdata;

	return write(dump->fd, buffer, size) == (ssize_t)size;
}

/* is_made: of the event, which the emitter takes over. */
static void emit(struct dump *dump, yaml_event_t *event, int is_made)
{
	if (!is_made || (!dump->has_failed && !yaml_emitter_emit(&dump->emitter, event)))
		dump->has_failed = true;
	else if (dump->has_failed)
		yaml_event_delete(event);
}

static void scalar(struct dump *dump, const char *value, bool is_quoted)
{
	yaml_event_t event;
	int is_made = yaml_scalar_event_initialize(
		&event, NULL, NULL, (const yaml_char_t *)value, (int)strlen(value), 1, 1,
		is_quoted ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_PLAIN_SCALAR_STYLE);

	emit(dump, &event, is_made);
}

static void begin(struct dump *dump, bool is_list)
{
	yaml_event_t event;
	int is_made = is_list ? yaml_sequence_start_event_initialize(
					&event, NULL, NULL, 1,
					dump->as_json ? YAML_FLOW_SEQUENCE_STYLE
						      : YAML_BLOCK_SEQUENCE_STYLE)
			      : yaml_mapping_start_event_initialize(
					&event, NULL, NULL, 1,
					dump->as_json ? YAML_FLOW_MAPPING_STYLE
						      : YAML_BLOCK_MAPPING_STYLE);

	emit(dump, &event, is_made);
}

static void end(struct dump *dump, bool is_list)
{
	yaml_event_t event;

	emit(dump, &event, is_list ? yaml_sequence_end_event_initialize(&event)
				   : yaml_mapping_end_event_initialize(&event));
}

/* ---- keys and what they map to ---- */

static void key(struct dump *dump, const char *name)
{
	scalar(dump, name, dump->as_json);
}

static void add_text(struct dump *dump, const char *name, const char *value)
{
	key(dump, name);
	scalar(dump, value, true);
}

static void number(struct dump *dump, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	scalar(dump, text, false);
}

static void add_number(struct dump *dump, const char *name, uint64_t value)
{
	key(dump, name);
	number(dump, value);
}

static void add_bool(struct dump *dump, const char *name, bool value)
{
	key(dump, name);
	scalar(dump, value ? "true" : "false", false);
}

static void add_mode(struct dump *dump, mode_t mode)
{
	char text[8];

	snprintf(text, sizeof(text), "%04o", (unsigned int)mode & 07777);
	add_text(dump, "mode", text);
}

static void add_time(struct dump *dump, const char *name, uint64_t ns)
{
	static const struct {
		uint64_t ns;
		const char *name;
	} units[] = { { 1000000000, "s" }, { 1000000, "ms" }, { 1000, "us" }, { 1, "ns" } };
	char text[32];
	size_t i = 0;

	while (ns % units[i].ns != 0)
		i++;
	snprintf(text, sizeof(text), "%" PRIu64 "%s", ns / units[i].ns, units[i].name);
	add_text(dump, name, text);
}

static void add_named(struct dump *dump, const struct conf_access *access)
{
	key(dump, "users");
	begin(dump, true);
	for (size_t i = 0; i < access->n_users; i++)
		number(dump, access->users[i]);
	end(dump, true);
	key(dump, "groups");
	begin(dump, true);
	for (size_t i = 0; i < access->n_groups; i++)
		number(dump, access->groups[i]);
	end(dump, true);
}

static void add_access(struct dump *dump, const char *name, const struct conf_access *access)
{
	if (access->anybody) {
		add_text(dump, name, "anybody");
		return;
	}
	key(dump, name);
	begin(dump, false);
	add_named(dump, access);
	end(dump, false);
}

/* ---- a segment ---- */

static void add_bound(struct dump *dump, const struct holder_bound *bound)
{
	if (bound->max_chunks)
		add_number(dump, "max_chunks_per_client", bound->max_chunks);
	if (bound->max_bytes)
		add_number(dump, "max_bytes_per_client", bound->max_bytes);
}

static void add_bounds(struct dump *dump, const struct conf_bounds *bounds)
{
	add_bound(dump, &bounds->all);
	key(dump, "bounds");
	begin(dump, true);
	for (size_t i = 0; i < bounds->n_rules; i++) {
		begin(dump, false);
		add_named(dump, &bounds->rules[i].who);
		add_bound(dump, &bounds->rules[i].bound);
		end(dump, false);
	}
	end(dump, true);
}

static void add_pages(struct dump *dump, const struct pages *pages)
{
	add_bool(dump, "prefault", pages->prefault);
	add_bool(dump, "lock", pages->lock);
	add_text(dump, "huge_pages", pages->huge_bytes == 0		? "none"
				     : pages->huge_bytes == 1U << 30 ? "1GiB"
								     : "2MiB");
	if (pages->policy == PAGES_ANYWHERE)
		return;
	key(dump, "numa");
	begin(dump, false);
	add_text(dump, "policy", pages->policy == PAGES_BIND ? "bind" : "interleave");
	key(dump, "nodes");
	begin(dump, true);
	for (uint32_t i = 0; i < PAGES_MAX_NODES; i++)
		if (pages->nodes[i / 64] >> i % 64 & 1)
			number(dump, i);
	end(dump, true);
	end(dump, false);
}

static void add_reserve(struct dump *dump, uint64_t n_chunks, const struct conf_access *named)
{
	key(dump, "reserve");
	begin(dump, false);
	add_number(dump, "chunk_count", n_chunks);
	add_named(dump, named);
	end(dump, false);
}

static void add_pools(struct dump *dump, const struct conf_segment *segment)
{
	const struct config *shape = &segment->shape;

	key(dump, "pools");
	begin(dump, true);
	for (size_t i = 0; i < shape->n_pools; i++) {
		uint64_t n_reserved = config_n_reserved(shape, i);

		if (shape->pools[i].is_reserve)
			continue;
		begin(dump, false);
		add_number(dump, "chunk_size", shape->pools[i].chunk_size);
		add_number(dump, "chunk_count", shape->pools[i].n_chunks + n_reserved);
		add_number(dump, "alignment", shape->pools[i].alignment);
		add_number(dump, "cache", shape->pools[i].cache);
		add_bool(dump, "sharing", !shape->pools[i].is_exclusive);
		if (n_reserved > 0)
			add_reserve(dump, n_reserved, &segment->reserves[i + 1]);
		end(dump, false);
	}
	end(dump, true);
}

static void add_rings(struct dump *dump, const char *name, const struct config *shape,
		      enum mempool_ring_kind kind)
{
	key(dump, name);
	begin(dump, true);
	for (size_t i = 0; i < shape->n_rings; i++) {
		if (shape->rings[i].kind != kind)
			continue;
		begin(dump, false);
		add_text(dump, "name", shape->rings[i].name);
		add_number(dump, "capacity", shape->rings[i].capacity);
		add_bool(dump, "stamps", shape->rings[i].flags & MEMPOOL_RING_STAMPS);
		if (kind == MEMPOOL_RING_TOPIC) {
			add_text(dump, "history", config_ring_history(&shape->rings[i]));
		} else {
			add_text(dump, "senders",
				 config_ring_ends(&shape->rings[i], MEMPOOL_RING_ONE_SENDER));
			add_text(dump, "receivers",
				 config_ring_ends(&shape->rings[i], MEMPOOL_RING_ONE_RECEIVER));
			if (shape->rings[i].slot_bytes > 0)
				add_number(dump, "slot_bytes", shape->rings[i].slot_bytes);
		}
		end(dump, false);
	}
	end(dump, true);
}

static void add_segment(struct dump *dump, const struct conf_segment *segment)
{
	static const char *const open_modes[] = {
		[SEGMENT_CREATE] = "create",
		[SEGMENT_OPEN] = "open",
		[SEGMENT_OPEN_OR_CREATE] = "open_or_create",
		[SEGMENT_PURGE_AND_CREATE] = "purge_and_create",
	};

	begin(dump, false);
	add_text(dump, "name", segment->shape.name);
	add_access(dump, "allow", &segment->allow);
	add_access(dump, "readers", &segment->readers);
	add_access(dump, "spectators", &segment->spectators);
	add_bounds(dump, &segment->bounds);
	add_text(dump, "open_mode", open_modes[segment->open_mode]);
	add_text(dump, "backing", segment->backing == SEGMENT_MEMFD ? "memfd" : "shm");
	add_number(dump, "max_clients", segment->shape.max_clients);
	add_bool(dump, "fallback", segment->shape.fallback);
	add_text(dump, "trace", segment->shape.traces ? "allocations" : "none");
	add_text(dump, "claims", segment->plain_claims ? "plain" : "swap");
	add_pages(dump, &segment->pages);
	add_pools(dump, segment);
	add_rings(dump, "queues", &segment->shape, MEMPOOL_RING_QUEUE);
	add_rings(dump, "topics", &segment->shape, MEMPOOL_RING_TOPIC);
	end(dump, false);
}

/* ---- the whole ---- */

static void add_socket(struct dump *dump, const struct conf *conf)
{
	key(dump, "socket");
	begin(dump, false);
	add_text(dump, "path", conf->socket_path);
	add_mode(dump, conf->socket_mode);
	if (conf->socket_group != (gid_t)-1)
		add_number(dump, "group", conf->socket_group);
	end(dump, false);
}

static void add_limits(struct dump *dump, const struct conf *conf)
{
	key(dump, "limits");
	begin(dump, false);
	add_number(dump, "clients", conf->max_clients);
	add_number(dump, "clients_per_user", conf->max_clients_per_user);
	add_time(dump, "hello_timeout", conf->hello_timeout_ns);
	end(dump, false);
}

static void add_all(struct dump *dump, const struct conf *conf)
{
	static const char *const levels[] = {
		[LOG_ERR] = "error", [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
		[LOG_INFO] = "info", [LOG_DEBUG] = "debug",
	};

	begin(dump, false);
	add_socket(dump, conf);
	add_limits(dump, conf);
	add_access(dump, "admin", &conf->admin);
	if (conf->state_dir)
		add_text(dump, "state_dir", conf->state_dir);
	if (conf->house[0])
		add_text(dump, "house", conf->house);
	add_text(dump, "log_level", levels[conf->log_level]);
	key(dump, "segments");
	begin(dump, true);
	for (size_t i = 0; i < conf->n_segments; i++)
		add_segment(dump, &conf->segments[i]);
	end(dump, true);
	end(dump, false);
}

int conf_dump(const struct conf *conf, bool as_json, int fd)
{
	struct dump dump = { .as_json = as_json, .fd = fd };
	yaml_event_t event;

	if (!yaml_emitter_initialize(&dump.emitter))
		return -ENOMEM;
	yaml_emitter_set_output(&dump.emitter, on_write, &dump);
	/* No line is folded: it is one text for whoever looks for it. */
	yaml_emitter_set_width(&dump.emitter, -1);
	emit(&dump, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
	emit(&dump, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
	add_all(&dump, conf);
	emit(&dump, &event, yaml_document_end_event_initialize(&event, 1));
	emit(&dump, &event, yaml_stream_end_event_initialize(&event));
	if (!dump.has_failed && !yaml_emitter_flush(&dump.emitter))
		dump.has_failed = true;
	yaml_emitter_delete(&dump.emitter);
	return dump.has_failed ? -EIO : 0;
}
