/* SPDX-License-Identifier: MIT */
#include "daemon/config/yaml/reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config/yaml/value.h"

/* Room for some words in a message: all keys of any table fit. */
#define WORDS_BYTES 256

int conf_fail(struct conf_reader *reader, const struct conf_node *node,
	      const char *format, ...)
{
	va_list args;

	va_start(args, format);
	conf_error_vset(reader->reterr_error, reader->text, node->line, node->column,
			format, args);
	va_end(args);
	return -EINVAL;
}

void conf_warn(struct conf_reader *reader, const struct conf_node *node,
	       const char *format, ...)
{
	struct conf_error warning;
	va_list args;

	if (!reader->warn)
		return;

	va_start(args, format);
	conf_error_vset(&warning, reader->text, node->line, node->column, format, args);
	va_end(args);
	reader->warn(&warning, reader->userdata);
	conf_error_deinit(&warning);
}

/* A value as it may be shown: escapes may have put anything in, of any length. */
struct shown {
	char text[48];
};

static struct shown show(const char *value)
{
	struct shown shown = { 0 };
	size_t i, room = sizeof(shown.text) - sizeof("...");

	for (i = 0; value[i] && i < room; i++)
		shown.text[i] = value[i] >= 0x20 && value[i] < 0x7f ? value[i] : '?';
	if (value[i])
		strcpy(shown.text + i, "...");
	return shown;
}

int conf_fail_value(struct conf_reader *reader, const struct conf_node *node,
		    const char *text)
{
	return conf_fail(reader, node, "'%s': %s", show(node->value).text, text);
}

static int fail_kind(struct conf_reader *reader, const struct conf_node *node,
		     const char *expected)
{
	return conf_fail(reader, node, "expected %s, found %s%s", expected,
			 conf_node_kind_name(node),
			 conf_node_is_nothing(node) ? ": give it a value or leave it out"
						    : "");
}

static void join(char *ret_words, const char *const *words)
{
	size_t used = 0;

	for (size_t i = 0; words[i]; i++)
		used += (size_t)snprintf(ret_words + used, WORDS_BYTES - used, "%s%s",
					 i > 0 ? ", " : "", words[i]);
}

/* A word that is none of the known ones. */
static int fail_unknown(struct conf_reader *reader, const struct conf_node *node,
			const char *what, const char *const *known)
{
	const char *nearest = conf_value_nearest(node->value, known);
	char words[WORDS_BYTES];

	if (nearest)
		return conf_fail(reader, node, "unknown %s '%s', did you mean '%s'?",
				 what, show(node->value).text, nearest);
	join(words, known);
	return conf_fail(reader, node, "unknown %s '%s', known here: %s", what,
			 show(node->value).text, words);
}

/* Which node each of the keys has; NULL: not given. */
static int find_keys(struct conf_reader *reader, const struct conf_node *node,
		     const char *name, const char *const *names,
		     const struct conf_node **ret_found)
{
	const struct conf_node *key;
	size_t i;

	if (node->kind != CONF_MAPPING) {
		char expected[WORDS_BYTES];

		snprintf(expected, sizeof(expected), "a mapping for %s", name);
		return fail_kind(reader, node, expected);
	}

	for (key = node->first; key; key = key->next) {
		for (i = 0; names[i]; i++)
			if (strcmp(names[i], key->value) == 0)
				break;
		if (!names[i])
			return fail_unknown(reader, key, "key", names);
		if (ret_found[i])
			return conf_fail(reader, key,
					 "'%s' is given twice, the first time in line %u",
					 names[i], ret_found[i]->line);
		ret_found[i] = key;
	}
	return 0;
}

int conf_read_mapping(struct conf_reader *reader, const struct conf_node *node,
		      const char *name, const struct conf_key *keys, void *object)
{
	const struct conf_node *found[CONF_MAX_KEYS] = { NULL };
	const char *names[CONF_MAX_KEYS + 1] = { NULL };
	size_t i;
	int r;

	for (i = 0; keys[i].name; i++)
		names[i] = keys[i].name;

	r = find_keys(reader, node, name, names, found);
	if (r < 0)
		return r;

	for (i = 0; keys[i].name; i++)
		if (keys[i].required && !found[i])
			return conf_fail(reader, node, "%s needs '%s'", name,
					 keys[i].name);

	for (i = 0; keys[i].name; i++) {
		if (!found[i])
			continue;
		r = keys[i].read(reader, found[i]->of_key, object);
		if (r < 0)
			return r;
	}
	return 0;
}

int conf_read_list(struct conf_reader *reader, const struct conf_node *node,
		   conf_read_fn read_item, void *object)
{
	const struct conf_node *item;
	int r;

	if (node->kind != CONF_LIST)
		return fail_kind(reader, node, "a list");

	for (item = node->first; item; item = item->next) {
		r = read_item(reader, item, object);
		if (r < 0)
			return r;
	}
	return 0;
}

int conf_read_string(struct conf_reader *reader, const struct conf_node *node,
		     const char *name, const char **ret_value)
{
	if (node->kind != CONF_SCALAR || conf_node_is_nothing(node))
		return fail_kind(reader, node, name);

	*ret_value = node->value;
	return 0;
}

int conf_read_number(struct conf_reader *reader, const struct conf_node *node,
		     const struct conf_number *number, uint64_t *ret_number)
{
	const char *value, *text;
	uint64_t n;
	int r;

	r = conf_read_string(reader, node, number->name, &value);
	if (r < 0)
		return r;
	r = number->parse(value, &n, &text);
	if (r < 0)
		return conf_fail_value(reader, node, text);
	if (n < number->min || n > number->max)
		return conf_fail_value(reader, node, number->range);

	*ret_number = n;
	return 0;
}

int conf_read_mode(struct conf_reader *reader, const struct conf_node *node,
		   mode_t *ret_mode)
{
	const char *value, *text;
	int r;

	r = conf_read_string(reader, node, "a mode", &value);
	if (r < 0)
		return r;
	r = conf_value_mode(value, ret_mode, &text);
	return r < 0 ? conf_fail_value(reader, node, text) : 0;
}

int conf_read_bool(struct conf_reader *reader, const struct conf_node *node,
		   bool *ret_bool)
{
	const char *value, *text;
	int r;

	r = conf_read_string(reader, node, "true or false", &value);
	if (r < 0)
		return r;
	r = conf_value_bool(value, ret_bool, &text);
	return r < 0 ? conf_fail_value(reader, node, text) : 0;
}

int conf_read_user(struct conf_reader *reader, const struct conf_node *node,
		   uid_t *ret_uid)
{
	const char *value, *text;
	int r;

	r = conf_read_string(reader, node, "a user", &value);
	if (r < 0)
		return r;
	r = conf_value_user(value, ret_uid, &text);
	return r == -EINVAL ? conf_fail_value(reader, node, text) : r;
}

int conf_read_group(struct conf_reader *reader, const struct conf_node *node,
		    gid_t *ret_gid)
{
	const char *value, *text;
	int r;

	r = conf_read_string(reader, node, "a group", &value);
	if (r < 0)
		return r;
	r = conf_value_group(value, ret_gid, &text);
	return r == -EINVAL ? conf_fail_value(reader, node, text) : r;
}

int conf_read_choice(struct conf_reader *reader, const struct conf_node *node,
		     const struct conf_choice *choices, int *ret_value)
{
	const char *names[CONF_MAX_KEYS + 1] = { NULL };
	const char *value;
	int r;

	r = conf_read_string(reader, node, "a word", &value);
	if (r < 0)
		return r;

	for (size_t i = 0; choices[i].name; i++) {
		if (strcmp(choices[i].name, value) == 0) {
			*ret_value = choices[i].value;
			return 0;
		}
		names[i] = choices[i].name;
	}
	return fail_unknown(reader, node, "value", names);
}

/* Doubled at each power of two, so that many items are added in linear time. */
int conf_grow(void **array, size_t n, size_t item_bytes)
{
	void *larger;

	if (n & (n - 1))
		return 0;
	larger = reallocarray(*array, n ? 2 * n : 1, item_bytes);
	if (!larger)
		return -ENOMEM;
	*array = larger;
	return 0;
}
