/* SPDX-License-Identifier: MIT */
/*
 * tree.h - a YAML document as a tree in which everything knows its place
 *
 * Only what a config needs: scalars as their text, lists, and mappings from words.
 * Anchors, aliases and tags are refused, so the tree is one, no larger than its text.
 */
#ifndef DAEMON_CONFIG_YAML_TREE_H
#define DAEMON_CONFIG_YAML_TREE_H

#include <stdbool.h>

#include "daemon/config/yaml/error.h"

#define CONF_TREE_MAX_DEPTH 16

enum conf_node_kind {
	CONF_SCALAR,
	CONF_LIST,
	CONF_MAPPING,
};

struct conf_node {
	enum conf_node_kind kind;
	unsigned int line;
	unsigned int column;
	char *value;			/* scalar: its text, ended by its only NUL */
	bool plain;			/* scalar: without quotes */
	struct conf_node *first;	/* list: first item; mapping: first key */
	struct conf_node *last;
	struct conf_node *next;		/* the next item or key */
	struct conf_node *of_key;	/* key: what it maps to, never NULL */
};

/**
 * conf_tree_parse() - the tree of the only document in a text
 * @ret_root: the caller frees it; NULL: there is nothing in the text
 *
 * Return: 0; -EINVAL and *reterr_error; -ENOMEM.
 */
int conf_tree_parse(const struct conf_text *text, struct conf_node **ret_root,
		    struct conf_error *reterr_error);

/* NULL is fine. */
void conf_node_free(struct conf_node *node);

/* For messages: "a list", "a mapping", "a value"; "nothing" for what YAML calls null. */
const char *conf_node_kind_name(const struct conf_node *node);
bool conf_node_is_nothing(const struct conf_node *node);

#endif
