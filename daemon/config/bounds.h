/* SPDX-License-Identifier: MIT */
/*
 * bounds.h - how much a client of a segment may hold: for all, and by rules for some
 */
#ifndef DAEMON_CONFIG_BOUNDS_H
#define DAEMON_CONFIG_BOUNDS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/config/access.h"
#include "shm/holder.h"

/* Whom a bound is for. */
struct conf_bound_rule {
	struct conf_access who;
	struct holder_bound bound;
};

struct conf_bounds {
	struct holder_bound all;
	struct conf_bound_rule *rules;
	size_t n_rules;
};

/* The values of `max_chunks_per_client` and `max_bytes_per_client`, into a struct holder_bound. */
int conf_read_max_chunks(struct conf_reader *reader, const struct conf_node *node, void *bound);
int conf_read_max_bytes(struct conf_reader *reader, const struct conf_node *node, void *bound);

/* The list of rules, into bounds that have none yet; free them also on error. */
int conf_read_bound_rules(struct conf_reader *reader, const struct conf_node *node,
			  struct conf_bounds *bounds);

/* That of the first rule that names this user, or one of its groups; else that of all. */
const struct holder_bound *conf_bounds_of(const struct conf_bounds *bounds, uid_t uid,
					const gid_t *groups, size_t n_groups);

/* The smallest max_bytes of them; UINT64_MAX: there is none. */
uint64_t conf_bounds_least_bytes(const struct conf_bounds *bounds);

void conf_bounds_deinit(struct conf_bounds *bounds);

#endif
