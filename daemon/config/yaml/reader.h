/* SPDX-License-Identifier: MIT */
/*
 * reader.h - from nodes to values: what any list, mapping or number has in common
 *
 * What may stand where is said in tables of keys. A reader returns 0; -EINVAL,
 * and the error of the reader is filled in; -ENOMEM. The first mistake ends it all.
 */
#ifndef DAEMON_CONFIG_YAML_READER_H
#define DAEMON_CONFIG_YAML_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/config/yaml/error.h"
#include "daemon/config/yaml/tree.h"

struct conf_reader {
	const struct conf_text *text;
	conf_warn_fn warn;
	void *userdata;
	struct conf_error *reterr_error;
};

typedef int (*conf_read_fn)(struct conf_reader *reader, const struct conf_node *node,
			    void *object);

#define CONF_MAX_KEYS 24

struct conf_key {
	const char *name;
	conf_read_fn read;		/* what it maps to, into the object */
	bool required;
};

/* A kind of number, and which ones will do. */
struct conf_number {
	int (*parse)(const char *value, uint64_t *ret_number, const char **reterr_text);
	const char *name;		/* "a size" */
	uint64_t min;
	uint64_t max;
	const char *range;		/* "from 1 to 5", said to those outside of it */
};

struct conf_choice {
	const char *name;
	int value;
};

/* Fill in the error at a node; always -EINVAL. */
int conf_fail(struct conf_reader *reader, const struct conf_node *node,
	      const char *format, ...) __attribute__((format(printf, 3, 4)));
void conf_warn(struct conf_reader *reader, const struct conf_node *node,
	       const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The value is not what it should be: it is quoted, then @text. Always -EINVAL. */
int conf_fail_value(struct conf_reader *reader, const struct conf_node *node,
		    const char *text);

/**
 * conf_read_mapping() - the keys of a mapping, in the order of the table
 * @name: of such an object: "a pool"
 * @keys: up to CONF_MAX_KEYS, then one without a name
 *
 * Unknown keys, keys given twice and required ones that are missing are refused before
 * any is read.
 */
int conf_read_mapping(struct conf_reader *reader, const struct conf_node *node,
		      const char *name, const struct conf_key *keys, void *object);

/* Each item, with the same @object. */
int conf_read_list(struct conf_reader *reader, const struct conf_node *node,
		   conf_read_fn read_item, void *object);

/* @name: what is expected there: "a path" */
int conf_read_string(struct conf_reader *reader, const struct conf_node *node,
		     const char *name, const char **ret_value);
int conf_read_number(struct conf_reader *reader, const struct conf_node *node,
		     const struct conf_number *number, uint64_t *ret_number);
int conf_read_mode(struct conf_reader *reader, const struct conf_node *node,
		   mode_t *ret_mode);
int conf_read_bool(struct conf_reader *reader, const struct conf_node *node,
		   bool *ret_bool);
int conf_read_user(struct conf_reader *reader, const struct conf_node *node,
		   uid_t *ret_uid);
int conf_read_group(struct conf_reader *reader, const struct conf_node *node,
		    gid_t *ret_gid);

/* One of some words, the last of which is NULL. */
int conf_read_choice(struct conf_reader *reader, const struct conf_node *node,
		     const struct conf_choice *choices, int *ret_value);

/* Room for item @n of an array that only grew by this. Return: 0 or -ENOMEM. */
int conf_grow(void **array, size_t n, size_t item_bytes);

#endif
