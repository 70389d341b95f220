/* SPDX-License-Identifier: MIT */
/*
 * access.h - lists of users and groups: who may attach, who may administer
 */
#ifndef DAEMON_CONFIG_ACCESS_H
#define DAEMON_CONFIG_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct conf_node;
struct conf_reader;

/* Who may. Empty: nobody is named. */
struct conf_access {
	bool anybody;			/* whoever connects */
	uid_t *users;
	size_t n_users;
	gid_t *groups;
	size_t n_groups;
};

/* The mapping of `users` and `groups` into an empty access; free it also on error. */
int conf_read_access(struct conf_reader *reader, const struct conf_node *node,
		     const char *name, struct conf_access *access);

/* The same, or the word anybody; @name says so. */
int conf_read_access_or_anybody(struct conf_reader *reader, const struct conf_node *node,
				const char *name, struct conf_access *access);

/* `users` and `groups` of a mapping that has other keys, too: for tables of keys (yaml/reader.h). */
int conf_read_access_users(struct conf_reader *reader, const struct conf_node *node, void *access);
int conf_read_access_groups(struct conf_reader *reader, const struct conf_node *node, void *access);

void conf_access_deinit(struct conf_access *access);

/* Whether it names anybody at all. */
bool conf_access_is_empty(const struct conf_access *access);

/*
 * Whether a user with these groups is named, or anybody is. Those whom the kernel has no number for
 * here, of another user namespace, all look like one user and one group (machine.h): no number names
 * them.
 */
bool conf_access_allows(const struct conf_access *access, uid_t uid, const gid_t *groups,
			size_t n_groups);

#endif
