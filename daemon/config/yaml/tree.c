/* SPDX-License-Identifier: MIT */
/*
 * tree.c - from libyaml's events to a tree
 *
 * We build the tree ourselves because libyaml's own documents forget which nodes were
 * aliases: they may be graphs with cycles. A node hangs in the tree from the moment it is
 * placed, so whatever ends the parse, freeing the root frees all.
 */
#include "daemon/config/yaml/tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* A list or mapping that has not ended yet. */
struct level {
	struct conf_node *node;
	struct conf_node *key;		/* in a mapping: waits for its value */
};

struct builder {
	const struct conf_text *text;
	struct conf_error *reterr_error;
	struct conf_node *root;
	struct level levels[CONF_TREE_MAX_DEPTH];
	size_t depth;
};

void conf_node_free(struct conf_node *node)
{
	struct conf_node *next;

	/* Recursion goes down, CONF_TREE_MAX_DEPTH at most; siblings are a loop. */
	for (; node; node = next) {
		next = node->next;
		conf_node_free(node->first);
		conf_node_free(node->of_key);
		free(node->value);
		free(node);
	}
}

bool conf_node_is_nothing(const struct conf_node *node)
{
	return node->kind == CONF_SCALAR && node->plain &&
	       (!*node->value || strcmp(node->value, "~") == 0 ||
		strcmp(node->value, "null") == 0);
}

const char *conf_node_kind_name(const struct conf_node *node)
{
	if (conf_node_is_nothing(node))
		return "nothing";
	switch (node->kind) {
	case CONF_LIST:
		return "a list";
	case CONF_MAPPING:
		return "a mapping";
	default:
		return "a value";
	}
}

static int fail_at(struct builder *builder, const yaml_mark_t *mark, const char *message)
{
	conf_error_set(builder->reterr_error, builder->text, (unsigned int)mark->line + 1,
		       (unsigned int)mark->column + 1, "%s", message);
	return -EINVAL;
}

/* Hang a node where the next one belongs; on error it is still the caller's. */
static int place(struct builder *builder, struct conf_node *node, const yaml_mark_t *mark)
{
	struct level *level;

	if (builder->depth == 0) {
		builder->root = node;
		return 0;
	}

	level = &builder->levels[builder->depth - 1];
	if (level->key) {
		level->key->of_key = node;
		level->key = NULL;
		return 0;
	}
	if (level->node->kind == CONF_MAPPING) {
		if (node->kind != CONF_SCALAR)
			return fail_at(builder, mark, "a key must be a word");
		level->key = node;
	}

	if (level->node->last)
		level->node->last->next = node;
	else
		level->node->first = node;
	level->node->last = node;
	return 0;
}

static int add_node(struct builder *builder, enum conf_node_kind kind,
		    const yaml_event_t *event)
{
	struct conf_node *node;
	int r;

	if (kind != CONF_SCALAR && builder->depth == CONF_TREE_MAX_DEPTH)
		return fail_at(builder, &event->start_mark,
			       "lists and mappings are nested too deeply");

	node = calloc(1, sizeof(*node));
	if (!node)
		return -ENOMEM;
	node->kind = kind;
	node->line = (unsigned int)event->start_mark.line + 1;
	node->column = (unsigned int)event->start_mark.column + 1;

	if (kind == CONF_SCALAR) {
		node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
		node->value = strdup((const char *)event->data.scalar.value);
		if (!node->value) {
			free(node);
			return -ENOMEM;
		}
	}

	r = place(builder, node, &event->start_mark);
	if (r < 0) {
		conf_node_free(node);
		return r;
	}
	if (kind != CONF_SCALAR)
		builder->levels[builder->depth++] = (struct level){ .node = node };
	return 0;
}

static int check_scalar(struct builder *builder, const yaml_event_t *event)
{
	if (strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
		return fail_at(builder, &event->start_mark, "a NUL character in a value");
	return 0;
}

/* An anchor or tag, which may stand before any node. */
static int check_properties(struct builder *builder, const yaml_event_t *event,
			    const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor)
		return fail_at(builder, &event->start_mark,
			       "anchors (&name) are not supported here");
	if (tag)
		return fail_at(builder, &event->start_mark,
			       "tags (!name) are not supported here; does the value need "
			       "quotes?");
	return 0;
}

static int take_event(struct builder *builder, const yaml_event_t *event)
{
	int r;

	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (builder->root)
			return fail_at(builder, &event->start_mark,
				       "a second document: one file holds one config");
		return 0;
	case YAML_ALIAS_EVENT:
		return fail_at(builder, &event->start_mark,
			       "aliases (*name) are not supported here; "
			       "does the value need quotes?");
	case YAML_SCALAR_EVENT:
		r = check_properties(builder, event, event->data.scalar.anchor,
				     event->data.scalar.tag);
		if (r == 0)
			r = check_scalar(builder, event);
		return r < 0 ? r : add_node(builder, CONF_SCALAR, event);
	case YAML_SEQUENCE_START_EVENT:
		r = check_properties(builder, event, event->data.sequence_start.anchor,
				     event->data.sequence_start.tag);
		return r < 0 ? r : add_node(builder, CONF_LIST, event);
	case YAML_MAPPING_START_EVENT:
		r = check_properties(builder, event, event->data.mapping_start.anchor,
				     event->data.mapping_start.tag);
		return r < 0 ? r : add_node(builder, CONF_MAPPING, event);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		builder->depth--;
		return 0;
	default:
		return 0;
	}
}

/* libyaml's own complaint, in its words but for the one that nobody understands. */
static int fail_as_parser(struct builder *builder, const yaml_parser_t *parser)
{
	yaml_mark_t mark = parser->problem_mark;
	char context[128] = "";

	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;

	if (conf_text_at(builder->text, (unsigned int)mark.line + 1,
			 (unsigned int)mark.column + 1) == '\t')
		return fail_at(builder, &mark,
			       "a tab: YAML is indented with spaces only");

	if (parser->context &&
	    !conf_text_has_line(builder->text, (unsigned int)mark.line + 1)) {
		/* The end of the text says little: show what has no end. */
		mark = parser->context_mark;
		snprintf(context, sizeof(context), " %s", parser->context);
	} else if (parser->context && parser->context_mark.line != mark.line) {
		snprintf(context, sizeof(context), " %s that began in line %zu",
			 parser->context, parser->context_mark.line + 1);
	}
	conf_error_set(builder->reterr_error, builder->text, (unsigned int)mark.line + 1,
		       (unsigned int)mark.column + 1, "not YAML: %s%s", parser->problem,
		       context);
	return -EINVAL;
}

/* Bounded by the text: libyaml makes no event out of nothing but the closing ones. */
static int build(struct builder *builder, yaml_parser_t *parser)
{
	yaml_event_t event;
	bool at_end = false;
	int r = 0;

	while (r == 0 && !at_end) {
		if (!yaml_parser_parse(parser, &event))
			return fail_as_parser(builder, parser);
		at_end = event.type == YAML_STREAM_END_EVENT;
		r = take_event(builder, &event);
		yaml_event_delete(&event);
	}
	return r;
}

int conf_tree_parse(const struct conf_text *text, struct conf_node **ret_root,
		    struct conf_error *reterr_error)
{
	struct builder builder = { .text = text, .reterr_error = reterr_error };
	yaml_parser_t parser;
	int r;

	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text->data,
				     text->size);

	r = build(&builder, &parser);
	yaml_parser_delete(&parser);

	if (r < 0) {
		conf_node_free(builder.root);
		return r;
	}

	*ret_root = builder.root;
	return 0;
}
