/* SPDX-License-Identifier: MIT */
/*
 * page_status.c - see page_status.h
 */
#include "page_status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "report_json.h"

#define MAX_HOLDERS 100			/* of a segment, on the page */
#define MAX_SUBSCRIBERS 100

/* ---- problems ---- */

void problems_add(struct problems *problems, const char *text)
{
	char **lines = realloc(problems->lines, (problems->n + 1) * sizeof(*lines));

	if (!lines)
		return;
	problems->lines = lines;
	lines[problems->n] = strdup(text);
	problems->n += lines[problems->n] != NULL;
}

bool problems_has(const struct problems *problems, const char *text)
{
	for (size_t i = 0; i < problems->n; i++)
		if (strcmp(problems->lines[i], text) == 0)
			return true;
	return false;
}

void problems_deinit(struct problems *problems)
{
	for (size_t i = 0; i < problems->n; i++)
		free(problems->lines[i]);
	free(problems->lines);
	*problems = (struct problems){ 0 };
}

static struct json_object *problem_array(const struct problems *problems)
{
	struct json_object *array = json_object_new_array();
	int failed = 0;

	if (!array)
		return NULL;
	for (size_t i = 0; i < problems->n && !failed; i++)
		failed = json_append(array, json_object_new_string(problems->lines[i]));
	return json_complete(array, failed);
}

/* ---- history ---- */

static struct json_object *time_array(const struct history *history)
{
	struct json_object *array = json_object_new_array();
	int failed = 0;

	if (!array)
		return NULL;
	for (size_t i = 0; i < history->n_points && !failed; i++)
		failed = json_append(array, json_object_new_int64(history->times_ms[i]));
	return json_complete(array, failed);
}

static struct json_object *used_array(const struct history_series *series, size_t n)
{
	struct json_object *array = json_object_new_array();
	int failed = 0;

	if (!array)
		return NULL;
	for (size_t i = 0; i < n && !failed; i++)
		failed = series->used[i] == HISTORY_GAP ?
				 json_object_array_add(array, NULL) :
				 json_append(array, json_object_new_uint64(series->used[i]));
	return json_complete(array, failed);
}

static struct json_object *series_object(const struct history_series *series, size_t n)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	return json_complete(object,
			     json_add_string(object, "segment", series->segment) ||
				     json_add_number(object, "generation", series->generation) ||
				     json_add_number(object, "pool", series->pool) ||
				     json_add(object, "used", used_array(series, n)));
}

static struct json_object *series_array(const struct history *history)
{
	struct json_object *array = json_object_new_array();
	int failed = 0;

	if (!array)
		return NULL;
	for (size_t i = 0; i < history->n_series && !failed; i++)
		failed = json_append(array,
				     series_object(&history->series[i], history->n_points));
	return json_complete(array, failed);
}

static struct json_object *history_object(const struct history *history)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	return json_complete(object, json_add(object, "times", time_array(history)) ||
					     json_add(object, "pools", series_array(history)));
}

/* ---- segments ---- */

/* As the status command has it, but that of many holders those with least are left out. */
static struct json_object *segment_object(struct snapshot *snapshot)
{
	size_t n_holders = snapshot->n_holders, n_subscribers = snapshot->n_subscribers;
	size_t n_shown = n_subscribers;
	struct json_object *root, *segment = NULL;

	snapshot_sort_holders(snapshot);
	snapshot_sort_subscribers(snapshot);
	if (n_shown > MAX_SUBSCRIBERS)
		n_shown = MAX_SUBSCRIBERS;
	snapshot->n_subscribers = n_shown;
	if (n_holders > MAX_HOLDERS)
		snapshot->n_holders = MAX_HOLDERS;
	root = report_json_object(snapshot, 1, REPORT_POOLS | REPORT_HOLDERS | REPORT_QUEUES |
						       REPORT_TOPICS | REPORT_SUBSCRIBERS);
	/* All of them are compared with the next look. */
	snapshot->n_subscribers = n_subscribers;
	if (root)
		segment = json_object_get(json_object_array_get_idx(
			json_object_object_get(root, "segments"), 0));
	json_object_put(root);
	if (!segment)
		return NULL;
	return json_complete(segment, json_add_number(segment, "holders_left_out",
						      n_holders - snapshot->n_holders) ||
					      json_add_number(segment, "subscribers_left_out",
							      n_subscribers - n_shown));
}

static struct json_object *segment_array(const struct gathering *gathering)
{
	struct json_object *array = json_object_new_array();
	int failed = 0;

	if (!array)
		return NULL;
	for (size_t i = 0; i < gathering->n_snapshots && !failed; i++)
		failed = json_append(array, segment_object(&gathering->snapshots[i]));
	return json_complete(array, failed);
}

static struct json_object *status_object(const struct page_status *status)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	return json_complete(
		object,
		json_add_string(object, "socket", status->options->socket_path) ||
			json_add_bool(object, "up", status->gathering->error == 0) ||
			json_add(object, "away_ms",
				 json_object_new_int64(status->gathering->away_ms)) ||
			json_add(object, "taken_ms",
				 json_object_new_int64(status->taken_ms)) ||
			json_add_number(object, "interval_ms", status->interval_ms) ||
			json_add(object, "problems", problem_array(status->problems)) ||
			json_add(object, "segments", segment_array(status->gathering)) ||
			json_add(object, "history", history_object(status->history)));
}

int page_status_render(const struct page_status *status, char **ret_text, size_t *ret_size)
{
	struct json_object *object = status_object(status);
	const char *text = NULL;
	size_t size;

	if (object)
		text = json_object_to_json_string_length(object, JSON_C_TO_STRING_PLAIN, &size);
	*ret_text = text ? strdup(text) : NULL;
	json_object_put(object);
	if (!*ret_text)
		return -ENOMEM;
	*ret_size = size;
	return 0;
}
