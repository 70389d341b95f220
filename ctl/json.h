/* SPDX-License-Identifier: MIT */
/*
 * json.h - building json-c objects without losing what failed
 *
 * json-c says that it is out of memory by NULL, and takes NULL for null: json_add() is where
 * the two are told apart. All return 0 or -ENOMEM, and take over the value in both cases, so
 * that members can be added in one expression: json_add_number(...) || json_add_string(...).
 */
#ifndef CTL_JSON_H
#define CTL_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Whole numbers up to this are the same in readers that keep them as doubles, as JavaScript and
 * jq do. Times are in milliseconds, and ids of 64 bits are text, so only a counter that somebody
 * has overwritten is larger: it is shown as this.
 */
#define JSON_NUMBER_MAX ((UINT64_C(1) << 53) - 1)

int json_add(struct json_object *object, const char *key, struct json_object *value);
int json_add_number(struct json_object *object, const char *key, uint64_t value);
int json_add_string(struct json_object *object, const char *key, const char *value);
int json_add_bool(struct json_object *object, const char *key, bool value);
int json_append(struct json_object *array, struct json_object *value);

/* All or nothing: frees the object and returns NULL when one member could not be added. */
struct json_object *json_complete(struct json_object *object, int failed);

/* To standard output, indented or on one line; frees it. NULL is -ENOMEM. */
int json_print(struct json_object *object, bool on_one_line);

#endif
