/* SPDX-License-Identifier: MIT */
/*
 * permission.h - who is at the other end of a connection, and may it attach
 *
 * Everything is the kernel's word about the process that connected, at that moment.
 */
#ifndef DAEMON_SESSIONS_PERMISSION_H
#define DAEMON_SESSIONS_PERMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/config/conf.h"

struct peer {
	pid_t pid;			/* 0: not visible from our pid namespace */
	uid_t uid;
	gid_t *groups;			/* its own and the supplementary ones */
	size_t n_groups;
};

/* Return: 0 or -errno. peer_deinit() is legal on zeroed memory. */
int peer_init(struct peer *peer, int socket_fd);
void peer_deinit(struct peer *peer);

/*
 * What it may be in a segment: root, the daemon's own user and whom `allow` names are members; of the
 * others, whom `readers` names are readers; of those who are left, whom `spectators` names are
 * spectators. Return: enum mempool_welcome_role; -EACCES nothing.
 */
int permission_role(const struct conf_segment *segment, const struct peer *peer);

/* How much a client of this peer may hold there; a member, or a reader. */
const struct holder_bound *permission_bound(const struct conf_segment *segment,
					  const struct peer *peer);

/*
 * The reserves that a member may have chunks of: a bit for each pool that is one, and for it. Root and the daemon's user are named like others.
 */
uint64_t permission_reserves(const struct conf_segment *segment, const struct peer *peer);

/* Whether it is root, the daemon's own user, or one whom `admin` names. */
bool permission_to_administer(const struct conf *conf, const struct peer *peer);

#endif
