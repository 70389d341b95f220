/* SPDX-License-Identifier: MIT */
#include "daemon/config/bounds.h"

#include <stdlib.h>

#include "daemon/config/yaml/reader.h"
#include "daemon/config/yaml/value.h"

int conf_read_max_chunks(struct conf_reader *reader, const struct conf_node *node, void *object)
{
	static const struct conf_number number = {
		conf_value_count, "a number", 1, MEMPOOL_MAX_CHUNKS,
		"a client may hold from 1 to 1073741824 chunks; without this key as many as there are",
	};
	struct holder_bound *bound = object;

	return conf_read_number(reader, node, &number, &bound->max_chunks);
}

int conf_read_max_bytes(struct conf_reader *reader, const struct conf_node *node, void *object)
{
	static const struct conf_number number = {
		conf_value_size, "a size", 1, UINT64_C(1) << 62,
		"a client may hold from 1 byte to 4 EiB; without this key as many as there are",
	};
	struct holder_bound *bound = object;

	return conf_read_number(reader, node, &number, &bound->max_bytes);
}

static int read_users(struct conf_reader *reader, const struct conf_node *node, void *object)
{
	struct conf_bound_rule *rule = object;

	return conf_read_access_users(reader, node, &rule->who);
}

static int read_groups(struct conf_reader *reader, const struct conf_node *node, void *object)
{
	struct conf_bound_rule *rule = object;

	return conf_read_access_groups(reader, node, &rule->who);
}

static int read_chunks(struct conf_reader *reader, const struct conf_node *node, void *object)
{
	struct conf_bound_rule *rule = object;

	return conf_read_max_chunks(reader, node, &rule->bound);
}

static int read_bytes(struct conf_reader *reader, const struct conf_node *node, void *object)
{
	struct conf_bound_rule *rule = object;

	return conf_read_max_bytes(reader, node, &rule->bound);
}

static const struct conf_key rule_keys[] = {
	{ "users", read_users, false },
	{ "groups", read_groups, false },
	{ "max_chunks_per_client", read_chunks, false },
	{ "max_bytes_per_client", read_bytes, false },
	{ NULL, NULL, false },
};

static int read_rule(struct conf_reader *reader, const struct conf_node *node, void *object)
{
	struct conf_bounds *bounds = object;
	struct conf_bound_rule *rule;
	void *rules = bounds->rules;
	int r;

	r = conf_grow(&rules, bounds->n_rules, sizeof(*bounds->rules));
	if (r < 0)
		return r;
	bounds->rules = rules;
	rule = &bounds->rules[bounds->n_rules++];
	*rule = (struct conf_bound_rule){ .bound = { 0 } };
	r = conf_read_mapping(reader, node, "a rule of bounds", rule_keys, rule);
	if (r < 0)
		return r;
	if (conf_access_is_empty(&rule->who))
		return conf_fail(reader, node, "a rule names the users or groups that it is for; the "
				 "bound of all others stands beside `bounds:`");
	return 0;
}

int conf_read_bound_rules(struct conf_reader *reader, const struct conf_node *node,
			  struct conf_bounds *bounds)
{
	return conf_read_list(reader, node, read_rule, bounds);
}

const struct holder_bound *conf_bounds_of(const struct conf_bounds *bounds, uid_t uid,
					const gid_t *groups, size_t n_groups)
{
	for (size_t i = 0; i < bounds->n_rules; i++)
		if (conf_access_allows(&bounds->rules[i].who, uid, groups, n_groups))
			return &bounds->rules[i].bound;
	return &bounds->all;
}

static uint64_t lesser(uint64_t least, uint64_t max_bytes)
{
	return max_bytes != 0 && max_bytes < least ? max_bytes : least;
}

uint64_t conf_bounds_least_bytes(const struct conf_bounds *bounds)
{
	uint64_t least = lesser(UINT64_MAX, bounds->all.max_bytes);

	for (size_t i = 0; i < bounds->n_rules; i++)
		least = lesser(least, bounds->rules[i].bound.max_bytes);
	return least;
}

void conf_bounds_deinit(struct conf_bounds *bounds)
{
	for (size_t i = 0; i < bounds->n_rules; i++)
		conf_access_deinit(&bounds->rules[i].who);
	free(bounds->rules);
}
