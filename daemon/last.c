/* SPDX-License-Identifier: MIT */
#include "daemon/last.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/segments/house.h"
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

/* Of each segment the newest generation that new clients went to. */
static int add_all(struct conf *conf, const struct house *house, const struct house_entry *entries,
		   size_t n)
{
	struct state *file;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		if (has_segment(conf, entries[i].segment_name) ||
		    state_open(house->folder, entries[i].file_name, &file) < 0)
			continue;
		if (file->is_our_layout && !state_is_retired(file))
			r = add_segment(conf, file);
		state_free(file);
	}
	return r;
}

int last_conf(const char *path, const char *socket_path, struct conf **ret_conf)
{
	struct conf *conf = conf_new(path);
	struct house_entry *entries = NULL;
	struct house house = HOUSE_NULL;
	int64_t n;
	int r;

	if (!conf)
		return -ENOMEM;
	r = house_open(&house, conf, socket_path);
	if (r == 0) {
		/* From the newest to the oldest. */
		n = house_scan(&house, NULL, &entries);
		r = n < 0 ? (int)n : add_all(conf, &house, entries, (size_t)n);
	}
	free(entries);
	house_close(&house);
	if (r == 0 && conf->n_segments == 0)
		r = -ENOENT;
	if (r < 0)
		conf_free(conf);
	else
		*ret_conf = conf;
	return r;
}
