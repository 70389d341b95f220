/* SPDX-License-Identifier: MIT */
/*
 * gather.c - see gather.h
 */
#include "gather.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observer.h"
#include "shm/segment.h"

#define MAX_ATTEMPTS 3

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

/*
 * Snapshots of the places that are wanted. Return: true done, also when something failed;
 * false: a place has moved and should be asked for again (never on the last attempt).
 */
static bool gather_places(const struct mempool_msg_place *places, size_t n_places,
			  const struct ctl_options *options, bool is_last,
			  struct gathering *gathering)
{
	const char *wanted = options->segment;
	bool found = false;

	gathering->snapshots = calloc(n_places + 1, sizeof(*gathering->snapshots));
	gathering->failures = calloc(n_places + 1, sizeof(*gathering->failures));
	if (!gathering->snapshots || !gathering->failures) {
		gathering->error = -ENOMEM;
		return true;
	}

	for (size_t i = 0; i < n_places; i++) {
		int r;

		if (wanted && strcmp(places[i].segment, wanted) != 0)
			continue;
		found = true;

		r = snapshot_take(places[i].shm_name, &places[i], options->audit,
				  &gathering->snapshots[gathering->n_snapshots]);
		if ((r == -ESTALE || r == -ENOENT) && !is_last)
			return false;
		if (r < 0)
			gathering->failures[gathering->n_failures++] =
				(struct gather_failure){ .place = places[i], .error = r };
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
		struct mempool_msg_place *places = NULL;
		size_t n_places = 0;

		gathering_deinit(gathering);
		gathering->error = observer_list(options->socket_path, &places, &n_places,
						 gathering->reason);
		if (gathering->error < 0)
			return;
		done = gather_places(places, n_places, options, attempt == MAX_ATTEMPTS,
				     gathering);
		free(places);
	}
}

static int gather_object(const struct ctl_options *options, struct gathering *gathering)
{
	const char *name = options->shm_name;
	char shm_name[256];
	int r;

	if (snprintf(shm_name, sizeof(shm_name), "%s%s", name[0] == '/' ? "" : "/", name) >=
	    (int)sizeof(shm_name))
		return -ENAMETOOLONG;
	gathering->snapshots = calloc(1, sizeof(*gathering->snapshots));
	if (!gathering->snapshots)
		return -ENOMEM;
	r = snapshot_take(shm_name, NULL, options->audit, gathering->snapshots);
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

		ctl_error("segment %s (%s): %s", failure->place.segment,
			  failure->place.shm_name, gather_strerror(failure->error));
	}
	if (gathering->is_missing)
		ctl_error("mempoold has no segment %s", options->segment);
	return gathering->n_failures > 0 || gathering->is_missing ? CTL_FAILED : CTL_OK;
}
