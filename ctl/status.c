/* SPDX-License-Identifier: MIT */
/*
 * status.c - mempoolctl status and audit: what is in the daemon's segments, and whether they
 *	      are whole
 *
 * The daemon says which segments there are, then each is mapped read-only and counted here.
 * A segment that vanishes or changes in between (a restart, a new generation) is asked for
 * again; one that cannot be read is reported and does not hide the others.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "observer.h"
#include "report.h"
#include "shm/segment.h"
#include "snapshot.h"

#define MAX_ATTEMPTS 3

static const char *reason_of(int error)
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

enum ctl_exit ctl_explain(const char *socket_path, int error, const char *reason)
{
	if (reason[0] != '\0') {
		ctl_error("mempoold refused: %s", reason);
		return CTL_FAILED;
	}
	switch (error) {
	case -ENOTCONN:
		ctl_error("no mempoold at %s", socket_path);
		return CTL_NO_DAEMON;
	case -ETIMEDOUT:
		ctl_error("mempoold at %s does not answer within %d s", socket_path,
			  OBSERVER_TIMEOUT_SECONDS);
		return CTL_NO_DAEMON;
	case -ECONNRESET:
		ctl_error("mempoold at %s hung up", socket_path);
		return CTL_NO_DAEMON;
	case -EPROTO:
		ctl_error("%s: the answer is not one of mempoold's, or of another version",
			  socket_path);
		return CTL_FAILED;
	default:
		ctl_error("%s: %s", socket_path, strerror(-error));
		return CTL_FAILED;
	}
}

struct snapshots {
	struct snapshot *list;
	size_t n;
};

static void snapshots_deinit(struct snapshots *snapshots)
{
	for (size_t i = 0; i < snapshots->n; i++)
		snapshot_deinit(&snapshots->list[i]);
	free(snapshots->list);
	*snapshots = (struct snapshots){ 0 };
}

/*
 * Snapshots of the places that are wanted. Return: true, and *ret_exit says how it went;
 * false: a place has moved and should be asked for again (never on the last attempt).
 */
static bool take_all(const struct mempool_msg_place *places, size_t n_places,
		     const struct ctl_options *options, bool is_last,
		     struct snapshots *snapshots, enum ctl_exit *ret_exit)
{
	const char *wanted = options->segment;
	bool found = false;

	*ret_exit = CTL_OK;
	snapshots->list = calloc(n_places + 1, sizeof(*snapshots->list));
	if (!snapshots->list) {
		ctl_error("%s", strerror(ENOMEM));
		*ret_exit = CTL_FAILED;
		return true;
	}

	for (size_t i = 0; i < n_places; i++) {
		int r;

		if (wanted && strcmp(places[i].segment, wanted) != 0)
			continue;
		found = true;

		r = snapshot_take(places[i].shm_name, &places[i], options->audit,
				  &snapshots->list[snapshots->n]);
		if ((r == -ESTALE || r == -ENOENT) && !is_last)
			return false;
		if (r < 0) {
			ctl_error("segment %s (%s): %s", places[i].segment, places[i].shm_name,
				  reason_of(r));
			*ret_exit = CTL_FAILED;
			continue;
		}
		snapshots->n++;
	}

	if (wanted && !found) {
		ctl_error("mempoold has no segment %s", wanted);
		*ret_exit = CTL_FAILED;
	}
	return true;
}

static enum ctl_exit collect(const struct ctl_options *options, struct snapshots *snapshots)
{
	enum ctl_exit status = CTL_FAILED;
	bool done = false;

	for (int attempt = 1; !done; attempt++) {
		struct mempool_msg_place *places = NULL;
		size_t n_places = 0;
		char reason[240];
		int r;

		snapshots_deinit(snapshots);
		r = observer_list(options->socket_path, &places, &n_places, reason);
		if (r < 0)
			return ctl_explain(options->socket_path, r, reason);
		done = take_all(places, n_places, options, attempt == MAX_ATTEMPTS,
				snapshots, &status);
		free(places);
	}

	return status;
}

static enum ctl_exit collect_shm(const struct ctl_options *options,
				 struct snapshots *snapshots)
{
	const char *name = options->shm_name;
	char shm_name[256];
	int r;

	if (snprintf(shm_name, sizeof(shm_name), "%s%s", name[0] == '/' ? "" : "/", name) >=
	    (int)sizeof(shm_name)) {
		ctl_error("%s: %s", name, strerror(ENAMETOOLONG));
		return CTL_FAILED;
	}

	snapshots->list = calloc(1, sizeof(*snapshots->list));
	r = snapshots->list ? snapshot_take(shm_name, NULL, options->audit, snapshots->list) : -ENOMEM;
	if (r < 0) {
		ctl_error("%s: %s", shm_name,
			  r == -ENOENT ? strerror(ENOENT) : reason_of(r));
		return CTL_FAILED;
	}
	snapshots->n = 1;
	return CTL_OK;
}

/* Snapshots of all that is wanted, printed by one of two. */
static enum ctl_exit report(const struct ctl_options *options, report_fn report_text_fn,
			    report_fn report_json_fn, struct snapshots *snapshots)
{
	enum ctl_exit status;
	int r;

	status = options->shm_name ? collect_shm(options, snapshots) :
				     collect(options, snapshots);

	/* What could be read is shown, also when something else could not. */
	if (status == CTL_OK || snapshots->n > 0) {
		r = options->json ? report_json_fn(snapshots->list, snapshots->n) :
				    report_text_fn(snapshots->list, snapshots->n);
		if (r < 0) {
			ctl_error("%s", strerror(-r));
			status = CTL_FAILED;
		}
	}
	return status;
}

enum ctl_exit ctl_status(const struct ctl_options *options)
{
	struct snapshots snapshots = { 0 };
	enum ctl_exit status = report(options, report_text, report_json, &snapshots);

	snapshots_deinit(&snapshots);
	return status;
}

enum ctl_exit ctl_audit(const struct ctl_options *options)
{
	struct ctl_options with_audit = *options;
	struct snapshots snapshots = { 0 };
	enum ctl_exit status;

	with_audit.audit = true;
	status = report(&with_audit, report_audit_text, report_audit_json, &snapshots);
	for (size_t i = 0; i < snapshots.n; i++)
		if (snapshots.list[i].audit.n_faults > 0 && status == CTL_OK)
			status = CTL_FAILED;
	snapshots_deinit(&snapshots);
	return status;
}
