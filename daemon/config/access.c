/* SPDX-License-Identifier: MIT */
#include "daemon/config/access.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/machine.h"
#include "daemon/config/yaml/reader.h"

static int read_user(struct conf_reader *reader, const struct conf_node *node,
		     void *object)
{
	struct conf_access *access = object;
	void *users = access->users;
	int r;

	r = conf_grow(&users, access->n_users, sizeof(*access->users));
	if (r < 0)
		return r;
	access->users = users;
	r = conf_read_user(reader, node, &access->users[access->n_users]);
	if (r < 0)
		return r;
	if (access->users[access->n_users] == machine_nobody()->uid)
		conf_warn(reader, node, "this names nobody: all users of containers that have no "
			  "number here look like user %u", (unsigned int)machine_nobody()->uid);
	access->n_users++;
	return 0;
}

int conf_read_access_users(struct conf_reader *reader, const struct conf_node *node, void *access)
{
	return conf_read_list(reader, node, read_user, access);
}

static int read_group(struct conf_reader *reader, const struct conf_node *node,
		      void *object)
{
	struct conf_access *access = object;
	void *groups = access->groups;
	int r;

	r = conf_grow(&groups, access->n_groups, sizeof(*access->groups));
	if (r < 0)
		return r;
	access->groups = groups;
	r = conf_read_group(reader, node, &access->groups[access->n_groups]);
	if (r < 0)
		return r;
	if (access->groups[access->n_groups] == machine_nobody()->gid)
		conf_warn(reader, node, "this names nobody: all groups of containers that have no "
			  "number here look like group %u", (unsigned int)machine_nobody()->gid);
	access->n_groups++;
	return 0;
}

int conf_read_access_groups(struct conf_reader *reader, const struct conf_node *node, void *access)
{
	return conf_read_list(reader, node, read_group, access);
}

static const struct conf_key access_keys[] = {
	{ "users", conf_read_access_users, false },
	{ "groups", conf_read_access_groups, false },
	{ NULL, NULL, false },
};

int conf_read_access(struct conf_reader *reader, const struct conf_node *node,
		     const char *name, struct conf_access *access)
{
	return conf_read_mapping(reader, node, name, access_keys, access);
}

int conf_read_access_or_anybody(struct conf_reader *reader, const struct conf_node *node,
				const char *name, struct conf_access *access)
{
	access->anybody = node->kind == CONF_SCALAR && strcmp(node->value, "anybody") == 0;
	return access->anybody ? 0 : conf_read_access(reader, node, name, access);
}

bool conf_access_is_empty(const struct conf_access *access)
{
	return !access->anybody && access->n_users == 0 && access->n_groups == 0;
}

static bool names_group(const struct conf_access *access, gid_t gid)
{
	for (size_t i = 0; i < access->n_groups; i++)
		if (access->groups[i] == gid)
			return true;
	return false;
}

bool conf_access_allows(const struct conf_access *access, uid_t uid, const gid_t *groups,
			size_t n_groups)
{
	const struct machine_nobody *nobody = machine_nobody();

	if (access->anybody)
		return true;
	if (uid == nobody->uid)
		return false;
	for (size_t i = 0; i < access->n_users; i++)
		if (access->users[i] == uid)
			return true;
	for (size_t i = 0; i < n_groups; i++)
		if (groups[i] != nobody->gid && names_group(access, groups[i]))
			return true;
	return false;
}

void conf_access_deinit(struct conf_access *access)
{
	free(access->users);
	free(access->groups);
}
