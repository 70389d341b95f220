/* SPDX-License-Identifier: MIT */
#include "daemon/forecast.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/segments/generation.h"
#include "shm/move.h"
#include "shm/sigbus.h"

enum fate {
	FATE_NEW,			/* the segment is */
	FATE_RETIRES,			/* another layout */
	FATE_GOES,			/* its segment does */
	FATE_WAITS,			/* retired, with messages */
};

struct forecast_entry {
	char segment[MEMPOOL_NAME_BYTES];
	enum fate fate;
	struct generation *from;	/* NULL: NEW */
	const struct config *to;	/* NULL: nowhere, or to where it has no place */
	uint32_t n_clients;
	struct move_counts counts;
	char why[MOVE_WHY_BYTES];
};

static int add(struct forecast *forecast, const struct forecast_entry *entry)
{
	struct forecast_entry *grown =
		reallocarray(forecast->entries, forecast->n + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	forecast->entries = grown;
	grown[forecast->n++] = *entry;
	if (entry->from)
		generation_pin(entry->from);
	return 0;
}

static int add_generation(struct forecast *forecast, const struct host *host, enum fate fate,
			  struct generation *generation, const struct config *to)
{
	struct forecast_entry entry = {
		.fate = fate,
		.from = generation,
		.to = to,
		.n_clients = generation->tenants.n,
		.counts = { .n_waiting = generation->moves.counts.n_waiting },
	};

	memcpy(entry.segment, host->name, sizeof(entry.segment));
	memcpy(entry.why, generation->moves.why, sizeof(entry.why));
	return add(forecast, &entry);
}

int forecast_add(struct forecast *forecast, struct host *host, const struct conf_segment *conf)
{
	bool is_new = conf && (!host || !host->conf);
	bool is_changed = host && host->current && (!conf || !host_fits(host, conf));
	const struct config *to = conf && (is_changed || is_new) ? &conf->shape : NULL;
	struct forecast_entry entry = { .fate = FATE_NEW };
	struct generation *generation;
	int r = 0;

	if (is_new) {
		memcpy(entry.segment, conf->shape.name, sizeof(entry.segment));
		r = add(forecast, &entry);
	}
	if (r == 0 && is_changed)
		r = add_generation(forecast, host, conf ? FATE_RETIRES : FATE_GOES, host->current,
				   to);
	if (r < 0 || !host)
		return r;
	TAILQ_FOREACH(generation, &host->generations, link)
		if (r == 0 && generation->moves.counts.n_waiting > 0)
			r = add_generation(forecast, host, FATE_WAITS, generation, to);
	return r;
}

static void count(struct forecast_entry *entry)
{
	const struct segment *segment = entry->from ? entry->from->segment : NULL;
	struct sigbus_range range;

	if (!segment || (entry->fate == FATE_WAITS && !entry->to))
		return;
	sigbus_watch(&range, segment->memory.base, segment->memory.size);
	if (entry->to) {
		move_foresee(segment, entry->to, &entry->counts, entry->why);
	} else {
		entry->counts.n_waiting = move_count(segment, &entry->counts.n_evicted);
		snprintf(entry->why, sizeof(entry->why), "its segment goes");
	}
	sigbus_unwatch(&range);
	if (sigbus_was_hit(&range))
		sigbus_hit(&entry->from->range);
}

void forecast_count(struct forecast *forecast)
{
	for (size_t i = 0; i < forecast->n; i++)
		count(&forecast->entries[i]);
}

void forecast_tell(const struct forecast *forecast, struct mempool_msg_reloaded *result)
{
	for (size_t i = 0; i < forecast->n; i++) {
		const struct move_counts *counts = &forecast->entries[i].counts;

		result->n_moving += counts->n_moved;
		result->n_evicted += counts->n_evicted;
		result->n_without_place += counts->n_waiting;
	}
}

static void print_messages(FILE *file, const struct forecast_entry *entry, bool discards)
{
	const struct move_counts *counts = &entry->counts;

	if (counts->n_moved + counts->n_evicted + counts->n_waiting == 0)
		return;
	fprintf(file, "; of its messages %" PRIu64 " move", counts->n_moved);
	if (counts->n_evicted > 0)
		fprintf(file, ", %" PRIu64 " are evicted", counts->n_evicted);
	if (counts->n_waiting > 0)
		fprintf(file, ", %" PRIu64 " have no place (%s) and %s", counts->n_waiting,
			entry->why, discards ? "are dropped" : "keep it");
}

static void print_entry(FILE *file, const struct forecast_entry *entry, bool discards)
{
	const char *label = entry->from ? generation_label(entry->from) : "";

	fprintf(file, "segment '%s': ", entry->segment);
	switch (entry->fate) {
	case FATE_NEW:
		fprintf(file, "new");
		break;
	case FATE_RETIRES:
		fprintf(file, "a new layout, %s retires", label);
		break;
	case FATE_GOES:
		fprintf(file, "no longer in the config, %s retires", label);
		break;
	case FATE_WAITS:
		fprintf(file, "%s is retired", label);
		break;
	}
	if (entry->from)
		fprintf(file, ", with %" PRIu32 " client%s in it", entry->n_clients,
			entry->n_clients == 1 ? "" : "s");
	print_messages(file, entry, discards);
	fputc('\n', file);
}

char *forecast_text(const struct forecast *forecast, bool discards)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return NULL;
	for (size_t i = 0; i < forecast->n; i++)
		print_entry(file, &forecast->entries[i], discards);
	if (forecast->n == 0)
		fprintf(file, "no segment changes\n");
	if (ferror(file) || fclose(file) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

void forecast_deinit(struct forecast *forecast)
{
	for (size_t i = 0; i < forecast->n; i++)
		if (forecast->entries[i].from)
			generation_unpin(forecast->entries[i].from);
	free(forecast->entries);
	*forecast = (struct forecast){ .n = 0 };
}
