/* SPDX-License-Identifier: MIT */
/*
 * status.c - mempoolctl status and audit: what is in the daemon's segments, and whether they
 *	      are whole
 */
#include "ctl.h"
#include "gather.h"
#include "report.h"

enum ctl_exit ctl_status(const struct ctl_options *options)
{
	return report(options, report_text, report_json);
}

enum ctl_exit ctl_audit(const struct ctl_options *options)
{
	struct ctl_options with_audit = *options;
	struct gathering gathering = { 0 };
	enum ctl_exit status;

	with_audit.audit = true;
	status = report_gathering(&with_audit, report_audit_text, report_audit_json, &gathering);
	for (size_t i = 0; i < gathering.n_snapshots; i++)
		if (gathering.snapshots[i].audit.n_faults > 0 && status == CTL_OK)
			status = CTL_FAILED;
	gathering_deinit(&gathering);
	return status;
}
