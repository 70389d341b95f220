/* SPDX-License-Identifier: MIT */
#include "daemon/segments/remove.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/base/origin.h"
#include "daemon/segments/adopt.h"
#include "daemon/segments/orphan.h"
#include "daemon/segments/store.h"

/* What stands in the state folder of one segment. */
struct removal {
	const struct house *house;
	struct origin origin;
	struct orphan_known *known;	/* those that stay */
	struct state **files;		/* theirs, or NULL */
	size_t n;
};

/* Return: 0 it is gone; -EBUSY it stays; -errno. */
static int remove_generation(struct removal *removal, const struct house_entry *entry)
{
	struct adoption adoption;
	char text[ADOPT_TEXT_BYTES];
	uint32_t n_living;
	int r;

	r = adopt_open(removal->house, entry, &adoption, text);
	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		log_warning("%s", text);
		removal->known[removal->n++].generation = entry->generation;
		return -EBUSY;
	}
	n_living = adopt_count_living(adoption.file, &removal->origin, UINT32_MAX);
	if (n_living > 0) {
		log_warning("%s left: %" PRIu32 " clients are in it, or cannot be seen to be dead",
			    store_label(state_name(adoption.file)), n_living);
		r = -EBUSY;
	} else {
		r = adopt_remove(removal->house, adoption.file);
		if (r < 0)
			log_error("cannot remove %s: %s", store_label(state_name(adoption.file)),
				  strerror(-r));
		else
			log_notice("removed %s", store_label(state_name(adoption.file)));
	}
	if (r < 0) {
		removal->files[removal->n] = adoption.file;
		removal->known[removal->n++].objects = adoption.file->objects;
		adoption.file = NULL;
	}
	adopt_deinit(&adoption);
	return r;
}

static int remove_all(struct removal *removal, const char *segment_name,
		      const struct house_entry *entries, size_t n)
{
	int r, result = 0;

	removal->known = calloc(n + 1, sizeof(*removal->known));
	removal->files = calloc(n + 1, sizeof(struct state *));
	if (!removal->known || !removal->files)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		r = remove_generation(removal, &entries[i]);
		if (r < 0)
			result = r;
	}
	r = orphans_clear(removal->house, segment_name, removal->known, removal->n, true);
	return r < 0 ? r : result;
}

static int remove_segment(const struct house *house, const char *segment_name)
{
	struct removal removal = { .house = house };
	struct house_entry *entries = NULL;
	int64_t n = house_scan(house, segment_name, &entries);
	int r;

	origin_init(&removal.origin);
	if (n == 0)
		log_notice("segment '%s': there is none", segment_name);
	r = n < 0 ? (int)n : remove_all(&removal, segment_name, entries, (size_t)n);
	for (size_t i = 0; i < removal.n; i++)
		state_free(removal.files[i]);
	free(removal.files);
	free(removal.known);
	free(entries);
	return r;
}

static bool has_segment(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->n_segments; i++)
		if (strcmp(conf->segments[i].shape.name, name) == 0)
			return true;
	return false;
}

/* Those that are not in the config any more. */
static int remove_left(const struct house *house, const struct conf *conf)
{
	struct house_name *names = NULL;
	int result = orphans_clear_left(house, conf), r;
	int64_t n = house_names(house, &names);

	if (n < 0)
		result = (int)n;
	for (int64_t i = 0; i < n; i++) {
		r = has_segment(conf, names[i].name) ? 0 : remove_segment(house, names[i].name);
		if (r < 0)
			result = r;
	}
	free(names);
	return result;
}

int remove_segments(const struct conf *conf, const char *socket_path)
{
	struct house house = HOUSE_NULL;
	int r, result;

	result = house_open(&house, conf, socket_path);
	if (result < 0)
		return result;
	for (size_t i = 0; i < conf->n_segments; i++) {
		r = remove_segment(&house, conf->segments[i].shape.name);
		if (r < 0)
			result = r;
	}
	r = remove_left(&house, conf);
	if (r < 0)
		result = r;
	house_clear(&house);
	house_close(&house);
	return result;
}
