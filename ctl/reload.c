/* SPDX-License-Identifier: MIT */
/*
 * reload.c - mempoolctl reload: the daemon reads its config again, or says what it would do
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "json.h"
#include "observer.h"
#include "passed.h"

/* Each line of the plan is a string. */
static int add_plan(struct json_object *object, char *plan)
{
	struct json_object *lines = json_object_new_array();
	char *rest = plan, *line;

	if (!lines || json_object_object_add(object, "plan", lines) < 0) {
		json_object_put(lines);
		return -ENOMEM;
	}
	while ((line = strsep(&rest, "\n")))
		if (*line && json_object_array_add(lines, json_object_new_string(line)) < 0)
			return -ENOMEM;
	return 0;
}

static int print_json(const struct mempool_msg_reloaded *reloaded, char *plan)
{
	struct json_object *object = json_object_new_object();

	return json_print(json_complete(object,
		json_add_number(object, "segments", reloaded->n_segments) ||
		json_add_number(object, "new_layout", reloaded->n_relaid) ||
		json_add_number(object, "new", reloaded->n_added) ||
		json_add_number(object, "gone", reloaded->n_removed) ||
		json_add_number(object, "messages_moving", reloaded->n_moving) ||
		json_add_number(object, "messages_evicted", reloaded->n_evicted) ||
		json_add_number(object, "messages_without_place", reloaded->n_without_place) ||
		json_add_string(object, "note", reloaded->text) ||
		(plan && add_plan(object, plan) < 0)), true);
}

static void print_text(const struct ctl_options *options,
		       const struct mempool_msg_reloaded *reloaded, const char *plan)
{
	printf("%s; segments: %u, with a new layout: %u, new: %u, gone: %u\n",
	       options->dry_run ? "would be done" : "in force", reloaded->n_segments,
	       reloaded->n_relaid, reloaded->n_added, reloaded->n_removed);
	if (plan)
		fputs(plan, stdout);
	else if (reloaded->n_moving + reloaded->n_evicted + reloaded->n_without_place > 0)
		printf("messages that move to a new layout: %" PRIu64 ", evicted: %" PRIu64
		       ", without a place: %" PRIu64 "%s\n", reloaded->n_moving,
		       reloaded->n_evicted, reloaded->n_without_place,
		       options->discard && reloaded->n_without_place ? " (dropped)" : "");
	if (reloaded->text[0])
		ctl_error("not all of it is in force: %s", reloaded->text);
}

static enum ctl_exit print(const struct ctl_options *options,
			   const struct mempool_msg_reloaded *reloaded, char *plan)
{
	if (!options->json) {
		print_text(options, reloaded, plan);
	} else if (print_json(reloaded, plan) < 0) {
		ctl_error("%s", strerror(ENOMEM));
		return CTL_FAILED;
	}
	return CTL_OK;
}

enum ctl_exit ctl_reload(const struct ctl_options *options)
{
	uint32_t flags = (options->discard ? MEMPOOL_RELOAD_DISCARD : 0) |
			 (options->dry_run ? MEMPOOL_RELOAD_DRY_RUN : 0);
	struct mempool_msg_reloaded reloaded;
	enum ctl_exit status;
	char *plan = NULL;
	char reason[240];
	int fd, r;

	r = observer_reload(options->socket_path, flags, &reloaded, &fd, reason);
	if (r == 0 && fd >= 0) {
		r = passed_read(fd, &plan);
		close(fd);
	}
	if (r < 0)
		return ctl_explain(options->socket_path, r, reason);
	if (reloaded.error < 0) {
		if (options->dry_run)
			ctl_error("it would fail: %s", reloaded.text);
		else
			ctl_error("nothing was changed: %s", reloaded.text);
		free(plan);
		return CTL_FAILED;
	}
	status = print(options, &reloaded, plan);
	free(plan);
	return status;
}
