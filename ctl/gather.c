/* SPDX-License-Identifier: MIT */
/*
 * gather.c - see gather.h
 */
#include "gather.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "shm/segment.h"
#include "text.h"

#define OBJECT_NAME_BYTES 260		/* "/" and any file name */

const char *gather_strerror(int error)
{
	switch (error) {
	case -ENOTRECOVERABLE:
		return "somebody truncated it while it was read";
	case -ENOMSG:
		return "mempoold does not pass it: it is of another version, or mempoold is "
		       "short of descriptors or memory";
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

static uint64_t clock_now(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- what the daemon passed before ---- */

static void forget_segments(struct gather_past *past)
{
	observer_list_free(past->segments, past->n);
	past->segments = NULL;
	past->n = 0;
}

void gather_past_deinit(struct gather_past *past)
{
	forget_segments(past);
	countings_deinit(&past->countings);
}

/* A file that has lost its name is nobody's. A memfd, which is sealed, never had one. */
static bool is_removed(const struct observed *segment)
{
	int seals = segment->fd >= 0 ? fcntl(segment->fd, F_GET_SEALS) : -1;
	struct stat st;

	if (segment->fd < 0 || (seals >= 0 && (seals & F_SEAL_SHRINK)))
		return false;
	return fstat(segment->fd, &st) < 0 || st.st_nlink == 0;
}

static void forget_removed(struct gather_past *past)
{
	size_t n = 0;

	for (size_t i = 0; i < past->n; i++) {
		if (is_removed(&past->segments[i]))
			observed_deinit(&past->segments[i]);
		else
			past->segments[n++] = past->segments[i];
	}
	past->n = n;
}

void gather_past_note(struct gather_past *past, int error, struct observed *segments, size_t n,
		      uint64_t now_ns)
{
	if (error == 0) {
		forget_segments(past);
		past->segments = segments;
		past->n = n;
		past->away_ns = 0;
		past->away_ms = 0;
		return;
	}
	if (past->away_ns == 0) {
		past->away_ns = now_ns;
		past->away_ms = (int64_t)(clock_now(CLOCK_REALTIME) / 1000000);
	}
	if (error == -EACCES || now_ns - past->away_ns >= GATHER_KEEP_NS)
		forget_segments(past);
	else
		forget_removed(past);
}

/* ---- a look ---- */

static void add_failure(struct gathering *gathering, const struct mempool_msg_segment *segment,
			int error)
{
	struct gather_failure *failure = &gathering->failures[gathering->n_failures++];

	*failure = (struct gather_failure){ .place = segment->place, .error = error };
	memcpy(failure->reason, segment->reason, sizeof(failure->reason));
}

static bool is_wanted(const struct ctl_options *options, const struct observed *segment)
{
	return !options->segment || strcmp(segment->told.place.segment, options->segment) == 0;
}

/* Snapshots of the segments that are wanted. */
static void gather_segments(const struct observed *segments, size_t n,
			    const struct ctl_options *options, const struct snapshot_look *look,
			    struct gathering *gathering)
{
	bool found = false;

	gathering->snapshots = calloc(n + 1, sizeof(*gathering->snapshots));
	gathering->failures = calloc(n + 1, sizeof(*gathering->failures));
	if (!gathering->snapshots || !gathering->failures) {
		gathering->error = -ENOMEM;
		return;
	}

	for (size_t i = 0; i < n; i++) {
		const struct mempool_msg_segment *told = &segments[i].told;
		int r = told->error;

		if (!is_wanted(options, &segments[i]))
			continue;
		found = true;

		if (r == 0)
			r = snapshot_take(told->place.shm_name, &segments[i], look,
					  &gathering->snapshots[gathering->n_snapshots]);
		if (r < 0)
			add_failure(gathering, told, r);
		else
			gathering->n_snapshots++;
	}

	gathering->is_missing = options->segment && !found;
}

/* Of several segments, each gets its share of what a look may take. */
static int64_t share_of_look(const struct ctl_options *options, const struct observed *segments,
			     size_t n)
{
	int64_t n_wanted = 0;

	for (size_t i = 0; i < n; i++)
		n_wanted += is_wanted(options, &segments[i]);
	return n_wanted * GATHER_SEGMENT_NS > GATHER_LOOK_NS ? GATHER_LOOK_NS / n_wanted
							      : GATHER_SEGMENT_NS;
}

/* Of the daemon's answer; without one, of what it passed before. */
static void gather_from_daemon(const struct ctl_options *options, struct snapshot_look *look,
			       struct gather_past *past, struct gathering *gathering)
{
	struct observed *segments = NULL;
	size_t n = 0;

	gathering->error = observer_list(options->socket_path, &segments, &n, gathering->reason);
	if (past) {
		gather_past_note(past, gathering->error, segments, n, clock_now(CLOCK_MONOTONIC));
		segments = past->segments;
		n = past->n;
		look->budget_ns = share_of_look(options, segments, n);
	}
	if (gathering->error == 0 || n > 0)
		gather_segments(segments, n, options, look, gathering);
	if (past)
		gathering->away_ms = n > 0 ? past->away_ms : 0;
	else
		observer_list_free(segments, n);
}

/* It has no words: nothing is to be seen there. */
static bool is_data(const char *name)
{
	const char *end = strrchr(name, '.');

	return end && strcmp(end, MEMPOOL_SHM_DATA_SUFFIX) == 0;
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
		if (strncmp(entry->d_name, name, length) != 0 || entry->d_name[length] != '.' ||
		    is_data(entry->d_name))
			continue;
		r = r == 0 ? -ENOTUNIQ : 0;
		snprintf(ret_shm_name, OBJECT_NAME_BYTES, "/%s", entry->d_name);
		if (r < 0)
			break;
	}
	closedir(folder);
	return r;
}

static int gather_object(const struct ctl_options *options, const struct snapshot_look *look,
			 struct gathering *gathering)
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
	r = snapshot_take(shm_name, NULL, look, gathering->snapshots);
	if (r == -ENOENT) {
		r = find_object(shm_name + 1, shm_name);
		if (r == 0)
			r = snapshot_take(shm_name, NULL, look, gathering->snapshots);
	}
	gathering->n_snapshots = r >= 0;
	return r;
}

void gather(const struct ctl_options *options, struct gather_past *past,
	    struct gathering *ret_gathering)
{
	struct countings of_this_look = { 0 };
	struct snapshot_look look = {
		.budget_ns = past ? GATHER_SEGMENT_NS : SNAPSHOT_BUDGET_NS,
		.with_chunks = options->chunks,
		.with_audit = options->audit,
		.queue = options->queue,
		.n_waiting_most = options->count,
		.countings = past ? &past->countings : &of_this_look,
	};

	gathering_deinit(ret_gathering);
	countings_begin_look(look.countings);
	if (options->shm_name)
		ret_gathering->error = gather_object(options, &look, ret_gathering);
	else
		gather_from_daemon(options, &look, past, ret_gathering);
	/* An object that cannot be read now may be back. */
	if (ret_gathering->error == 0 || !options->shm_name)
		countings_end_look(look.countings);
	countings_deinit(&of_this_look);
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
	ctl_error("%s: %s", name, gather_strerror(error));
	return CTL_FAILED;
}

enum ctl_exit gathering_explain(const struct gathering *gathering,
				const struct ctl_options *options)
{
	enum ctl_exit status = CTL_OK;
	char since[TEXT_SINCE_BYTES];

	if (options->shm_name)
		return explain_object(gathering, options->shm_name);
	if (gathering->error < 0)
		status = ctl_explain(options->socket_path, gathering->error, gathering->reason);
	if (gathering->away_ms > 0) {
		text_since((uint64_t)gathering->away_ms * 1000000, since);
		ctl_error("nothing from mempoold since %s: shown is what is in the memory that it "
			  "passed before", since);
	}

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
	if (status == CTL_OK && (gathering->n_failures > 0 || gathering->is_missing))
		status = CTL_FAILED;
	return status;
}
