/* SPDX-License-Identifier: MIT */
/*
 * gather.c - see gather.h
 */
#include "gather.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observer.h"
#include "shm/segment.h"

#define MAX_ATTEMPTS 3
#define OBJECT_NAME_BYTES 260		/* "/" and any file name */

const char *gather_strerror(int error)
{
	switch (error) {
	case -ENOTRECOVERABLE:
		return "somebody truncated it while it was read";
	case -ESTALE:
	case -ENOENT:
		return "it is not where the daemon says";
	case -ENODATA:
	case -EAGAIN:
	case -EBADMSG:
	case -EPROTONOSUPPORT:
	case -EUCLEAN:
		return segment_strerror(error);
	default:
		return strerror(-error);
	}
}

static void add_failure(struct gathering *gathering, const struct mempool_msg_segment *segment,
			int error)
{
	struct gather_failure *failure = &gathering->failures[gathering->n_failures++];

	*failure = (struct gather_failure){ .place = segment->place, .error = error };
	memcpy(failure->reason, segment->reason, sizeof(failure->reason));
}

/*
 * Snapshots of the segments that are wanted. Return: true done, also when something failed;
 * false: one has moved and should be asked for again (never on the last attempt).
 */
static bool gather_segments(const struct mempool_msg_segment *segments, size_t n,
			    const struct ctl_options *options, bool is_last,
			    struct gathering *gathering)
{
	const char *wanted = options->segment;
	bool found = false;

	gathering->snapshots = calloc(n + 1, sizeof(*gathering->snapshots));
	gathering->failures = calloc(n + 1, sizeof(*gathering->failures));
	if (!gathering->snapshots || !gathering->failures) {
		gathering->error = -ENOMEM;
		return true;
	}

	for (size_t i = 0; i < n; i++) {
		const struct mempool_msg_place *place = &segments[i].place;
		int r = segments[i].error;

		if (wanted && strcmp(place->segment, wanted) != 0)
			continue;
		found = true;

		if (r == 0)
			r = snapshot_take(place->shm_name, place, options->audit,
					  &gathering->snapshots[gathering->n_snapshots]);
		if ((r == -ESTALE || r == -ENOENT) && segments[i].error == 0 && !is_last)
			return false;
		if (r < 0)
			add_failure(gathering, &segments[i], r);
		else
			gathering->n_snapshots++;
	}

	gathering->is_missing = wanted && !found;
	return true;
}

static void gather_from_daemon(const struct ctl_options *options, struct gathering *gathering)
{
	bool done = false;

	for (int attempt = 1; !done; attempt++) {
		struct mempool_msg_segment *segments = NULL;
		size_t n = 0;

		gathering_deinit(gathering);
		gathering->error = observer_list(options->socket_path, &segments, &n,
						 gathering->reason);
		if (gathering->error < 0)
			return;
		done = gather_segments(segments, n, options, attempt == MAX_ATTEMPTS, gathering);
		free(segments);
	}
}

/*
 * The object that a name is short for: "mempool-default.1" is enough, where there is one. An
 * object of exactly that name comes first. Return: 0; -ENOENT; -ENOTUNIQ there are several.
 */
static int find_object(const char *name, char ret_shm_name[static OBJECT_NAME_BYTES])
{
	const size_t length = strlen(name);
	struct dirent *entry;
	int r = -ENOENT;
	DIR *folder = opendir("/dev/shm");

	if (!folder)
		return -errno;
	while ((entry = readdir(folder))) {
		if (strncmp(entry->d_name, name, length) != 0 || entry->d_name[length] != '.')
			continue;
		r = r == 0 ? -ENOTUNIQ : 0;
		snprintf(ret_shm_name, OBJECT_NAME_BYTES, "/%s", entry->d_name);
		if (r < 0)
			break;
	}
	closedir(folder);
	return r;
}

static int gather_object(const struct ctl_options *options, struct gathering *gathering)
{
	const char *name = options->shm_name;
	char shm_name[OBJECT_NAME_BYTES];
	int r;

	if (snprintf(shm_name, sizeof(shm_name), "%s%s", name[0] == '/' ? "" : "/", name) >=
	    (int)sizeof(shm_name))
		return -ENAMETOOLONG;
	gathering->snapshots = calloc(1, sizeof(*gathering->snapshots));
	if (!gathering->snapshots)
		return -ENOMEM;
	r = snapshot_take(shm_name, NULL, options->audit, gathering->snapshots);
	if (r == -ENOENT) {
		r = find_object(shm_name + 1, shm_name);
		if (r == 0)
			r = snapshot_take(shm_name, NULL, options->audit, gathering->snapshots);
	}
	gathering->n_snapshots = r >= 0;
	return r;
}

void gather(const struct ctl_options *options, struct gathering *ret_gathering)
{
	gathering_deinit(ret_gathering);
	if (options->shm_name)
		ret_gathering->error = gather_object(options, ret_gathering);
	else
		gather_from_daemon(options, ret_gathering);
}

void gathering_deinit(struct gathering *gathering)
{
	for (size_t i = 0; i < gathering->n_snapshots; i++)
		snapshot_deinit(&gathering->snapshots[i]);
	free(gathering->snapshots);
	free(gathering->failures);
	*gathering = (struct gathering){ 0 };
}

static enum ctl_exit explain_object(const struct gathering *gathering, const char *name)
{
	int error = gathering->error;

	if (error == 0)
		return CTL_OK;
	ctl_error("%s: %s", name,
		  error == -ENOENT ? strerror(ENOENT) : gather_strerror(error));
	return CTL_FAILED;
}

enum ctl_exit gathering_explain(const struct gathering *gathering,
				const struct ctl_options *options)
{
	if (options->shm_name)
		return explain_object(gathering, options->shm_name);
	if (gathering->error < 0)
		return ctl_explain(options->socket_path, gathering->error, gathering->reason);

	for (size_t i = 0; i < gathering->n_failures; i++) {
		const struct gather_failure *failure = &gathering->failures[i];

		if (failure->place.shm_name[0])
			ctl_error("segment %s (%s): %s", failure->place.segment,
				  failure->place.shm_name, gather_strerror(failure->error));
		else
			ctl_error("segment %s is not served: %s", failure->place.segment,
				  failure->reason);
	}
	if (gathering->is_missing)
		ctl_error("mempoold has no segment %s", options->segment);
	return gathering->n_failures > 0 || gathering->is_missing ? CTL_FAILED : CTL_OK;
}
