/* SPDX-License-Identifier: MIT */
/*
 * json.c - see json.h
 */
#include "json.h"

#include <errno.h>
#include <stdio.h>

int json_add(struct json_object *object, const char *key, struct json_object *value)
{
	if (!value)
		return -ENOMEM;
	if (json_object_object_add(object, key, value) < 0) {
		json_object_put(value);
		return -ENOMEM;
	}
	return 0;
}

int json_append(struct json_object *array, struct json_object *value)
{
	if (!value)
		return -ENOMEM;
	if (json_object_array_add(array, value) < 0) {
		json_object_put(value);
		return -ENOMEM;
	}
	return 0;
}

int json_add_number(struct json_object *object, const char *key, uint64_t value)
{
	return json_add(object, key, json_object_new_uint64(
					     value < JSON_NUMBER_MAX ? value : JSON_NUMBER_MAX));
}

int json_add_string(struct json_object *object, const char *key, const char *value)
{
	return json_add(object, key, json_object_new_string(value));
}

int json_add_bool(struct json_object *object, const char *key, bool value)
{
	return json_add(object, key, json_object_new_boolean(value));
}

struct json_object *json_complete(struct json_object *object, int failed)
{
	if (!failed)
		return object;
	json_object_put(object);
	return NULL;
}

int json_print(struct json_object *object, bool on_one_line)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE |
		    (on_one_line ? JSON_C_TO_STRING_PLAIN :
				   JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED);
	const char *text = object ? json_object_to_json_string_ext(object, flags) : NULL;

	if (text)
		puts(text);
	json_object_put(object);
	return text ? 0 : -ENOMEM;
}
