/* SPDX-License-Identifier: MIT */
#include "daemon/config/pages.h"

#include "daemon/config/yaml/reader.h"
#include "daemon/config/yaml/value.h"

int conf_read_huge_pages(struct conf_reader *reader, const struct conf_node *node,
			 struct pages *pages)
{
	/* The sizes of x86; others' are their multiples, and few. */
	static const struct conf_choice choices[] = {
		{ "none", 0 },
		{ "2MiB", 2 << 20 },
		{ "1GiB", 1 << 30 },
		{ NULL, 0 },
	};
	int value, r;

	r = conf_read_choice(reader, node, choices, &value);
	if (r < 0)
		return r;
	pages->huge_bytes = (uint64_t)value;
	return 0;
}

static int read_policy(struct conf_reader *reader, const struct conf_node *node, void *object)
{
	static const struct conf_choice choices[] = {
		{ "bind", PAGES_BIND },
		{ "interleave", PAGES_INTERLEAVE },
		{ NULL, 0 },
	};
	struct pages *pages = object;
	int value, r;

	r = conf_read_choice(reader, node, choices, &value);
	if (r < 0)
		return r;
	pages->policy = (enum pages_policy)value;
	return 0;
}

static int read_node(struct conf_reader *reader, const struct conf_node *node, void *object)
{
	static const struct conf_number number = {
		conf_value_count, "a number", 0, PAGES_MAX_NODES - 1,
		"a node is a number from 0 to 1023",
	};
	struct pages *pages = object;
	uint64_t value;
	int r;

	r = conf_read_number(reader, node, &number, &value);
	if (r < 0)
		return r;
	pages->nodes[value / 64] |= UINT64_C(1) << value % 64;
	return 0;
}

static bool has_node(const struct pages *pages)
{
	uint64_t any = 0;

	for (unsigned int i = 0; i < PAGES_MAX_NODES / 64; i++)
		any |= pages->nodes[i];
	return any != 0;
}

static int read_nodes(struct conf_reader *reader, const struct conf_node *node, void *object)
{
	int r = conf_read_list(reader, node, read_node, object);

	if (r == 0 && !has_node(object))
		return conf_fail(reader, node, "a policy needs at least one node");
	return r;
}

static const struct conf_key numa_keys[] = {
	{ "policy", read_policy, true },
	{ "nodes", read_nodes, true },
	{ NULL, NULL, false },
};

int conf_read_numa(struct conf_reader *reader, const struct conf_node *node,
		   struct pages *pages)
{
	return conf_read_mapping(reader, node, "a numa policy", numa_keys, pages);
}
