/* SPDX-License-Identifier: MIT */
/*
 * reload.c - mempoolctl reload: the daemon reads its config again
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "json.h"
#include "observer.h"

static int print_json(const struct mempool_msg_reloaded *reloaded)
{
	struct json_object *object = json_object_new_object();

	return json_print(json_complete(object,
		json_add_number(object, "segments", reloaded->n_segments) ||
		json_add_number(object, "new_layout", reloaded->n_relaid) ||
		json_add_number(object, "new", reloaded->n_added) ||
		json_add_number(object, "gone", reloaded->n_removed) ||
		json_add_string(object, "note", reloaded->text)), true);
}

static void print_text(const struct mempool_msg_reloaded *reloaded)
{
	printf("in force; segments: %u, with a new layout: %u, new: %u, gone: %u\n",
	       reloaded->n_segments, reloaded->n_relaid, reloaded->n_added,
	       reloaded->n_removed);
	if (reloaded->text[0])
		ctl_error("not all of it is in force: %s", reloaded->text);
}

enum ctl_exit ctl_reload(const struct ctl_options *options)
{
	struct mempool_msg_reloaded reloaded;
	char reason[240];
	int r;

	r = observer_reload(options->socket_path, &reloaded, reason);
	if (r < 0)
		return ctl_explain(options->socket_path, r, reason);
	if (reloaded.error < 0) {
		ctl_error("nothing was changed: %s", reloaded.text);
		return CTL_FAILED;
	}
	if (!options->json) {
		print_text(&reloaded);
	} else if (print_json(&reloaded) < 0) {
		ctl_error("%s", strerror(ENOMEM));
		return CTL_FAILED;
	}
	return CTL_OK;
}
