/* SPDX-License-Identifier: MIT */
#ifndef DAEMON_CONFIG_ACCESS_H
#define DAEMON_CONFIG_ACCESS_H

#include "daemon/config/yaml/reader.h"

/* The mapping of `users` and `groups` into an empty access; free it also on error. */
int conf_read_access(struct conf_reader *reader, const struct conf_node *node,
		     const char *name, struct conf_access *access);
void conf_access_deinit(struct conf_access *access);

bool conf_access_names_group(const struct conf_access *access, gid_t gid);

#endif
