/* SPDX-License-Identifier: MIT */
/*
 * status.c - mempoolctl status and audit: what is in the daemon's segments, and whether they
 *	      are whole
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "gather.h"
#include "observer.h"
#include "report.h"

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

/* Snapshots of all that is wanted, printed by one of two. */
static enum ctl_exit report(const struct ctl_options *options, report_fn report_text_fn,
			    report_fn report_json_fn, struct gathering *gathering)
{
	report_fn print = options->json ? report_json_fn : report_text_fn;
	enum ctl_exit status;
	int r;

	gather(options, gathering);
	status = gathering_explain(gathering, options);

	/* What could be read is shown, also when something else could not. */
	if (status == CTL_OK || gathering->n_snapshots > 0) {
		r = print(gathering->snapshots, gathering->n_snapshots);
		if (r < 0) {
			ctl_error("%s", strerror(-r));
			status = CTL_FAILED;
		}
	}
	return status;
}

enum ctl_exit ctl_status(const struct ctl_options *options)
{
	struct gathering gathering = { 0 };
	enum ctl_exit status = report(options, report_text, report_json, &gathering);

	gathering_deinit(&gathering);
	return status;
}

enum ctl_exit ctl_audit(const struct ctl_options *options)
{
	struct ctl_options with_audit = *options;
	struct gathering gathering = { 0 };
	enum ctl_exit status;

	with_audit.audit = true;
	status = report(&with_audit, report_audit_text, report_audit_json, &gathering);
	for (size_t i = 0; i < gathering.n_snapshots; i++)
		if (gathering.snapshots[i].audit.n_faults > 0 && status == CTL_OK)
			status = CTL_FAILED;
	gathering_deinit(&gathering);
	return status;
}
