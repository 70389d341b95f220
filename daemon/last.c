/* SPDX-License-Identifier: MIT */
#include "daemon/last.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/segments/house.h"
#include "daemon/segments/place.h"
#include "daemon/segments/state.h"

static bool has_segment(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->n_segments; i++)
		if (strcmp(conf->segments[i].shape.name, name) == 0)
			return true;
	return false;
}

/* Only what is there is of use: nothing is made, of which nobody has said who may come to it. */
static int add_segment(struct conf *conf, const struct state *file)
{
	struct conf_segment segment = {
		.open_mode = SEGMENT_OPEN,
		.backing = state_backing(file),
	};
	struct conf_segment *grown;
	int r = config_copy(&segment.shape, &file->shape);

	if (r < 0)
		return r;
	grown = reallocarray(conf->segments, conf->n_segments + 1, sizeof(*grown));
	if (!grown) {
		conf_segment_deinit(&segment);
		return -ENOMEM;
	}
	conf->segments = grown;
	grown[conf->n_segments++] = segment;
	return 0;
}

/*
 * Whether it speaks of what an end of ours would lose: memfds of this boot. Of one that cannot be
 * read now, or by this version, it is not known.
 */
static bool is_to_stay(const struct state *file, int error)
{
	if (error == 0)
		return state_backing(file) == SEGMENT_MEMFD && state_is_of_this_boot(file);
	return error != -EBADMSG && error != -ENOENT;
}

/* Of each segment the newest generation that new clients went to. Return: 1; 0 there is nothing to
 * go on for; -errno. */
static int add_all(struct conf *conf, const struct house *house, const struct house_entry *entries,
		   size_t n)
{
	bool is_any = false;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		struct state *file = NULL;
		int error = state_open(house->folder, entries[i].file_name, &file);

		is_any = is_any || is_to_stay(file, error);
		if (error == 0 && !has_segment(conf, entries[i].segment_name) &&
		    file->is_our_layout && !state_is_retired(file))
			r = add_segment(conf, file);
		state_free(file);
	}
	return r < 0 ? r : is_any;
}

/* Nothing is made: a folder that is gone is no place for a state. */
static int find_place(struct conf *conf)
{
	int r = place_find(conf);

	if (r == -EBADMSG)
		log_error("what the service manager has kept of the state folder is damaged: it is "
			  "looked for where it is by default");
	if (r == -ENOENT || r == -EBADMSG)
		return 0;
	return r == 0 && access(conf->state_dir, F_OK) < 0 ? -errno : r;
}

static int add_found(struct conf *conf, const char *socket_path)
{
	struct house_entry *entries = NULL;
	struct house house = HOUSE_NULL;
	int64_t n;
	int r;

	r = house_open(&house, conf, socket_path);
	if (r < 0)
		return r;
	/* From the newest to the oldest. */
	n = house_scan(&house, NULL, &entries);
	r = n < 0 ? (int)n : add_all(conf, &house, entries, (size_t)n);
	free(entries);
	house_close(&house);
	return r == 0 ? -ENOENT : r;
}

int last_conf(const char *path, const char *socket_path, struct conf **ret_conf)
{
	struct conf *conf = conf_new(path);
	int r;

	if (!conf)
		return -ENOMEM;
	r = find_place(conf);
	if (r == 0)
		r = add_found(conf, socket_path);
	if (r < 0)
		conf_free(conf);
	else
		*ret_conf = conf;
	return r < 0 ? r : 0;
}
