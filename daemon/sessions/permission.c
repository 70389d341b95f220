/* SPDX-License-Identifier: MIT */
#include "daemon/sessions/permission.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/machine.h"
#include "mempool_protocol.h"

int peer_init(struct peer *peer, int socket_fd)
{
	struct ucred cred;
	socklen_t size = sizeof(cred), groups_size = 0;
	gid_t *groups;

	if (getsockopt(socket_fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
		return -errno;

	/* With no room for any the kernel says how many there are; they never change. */
	if (getsockopt(socket_fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &groups_size) < 0 &&
	    errno != ERANGE)
		return -errno;
	groups = malloc(sizeof(gid_t) + groups_size);
	if (!groups)
		return -ENOMEM;
	groups[0] = cred.gid;
	if (groups_size &&
	    getsockopt(socket_fd, SOL_SOCKET, SO_PEERGROUPS, groups + 1, &groups_size) < 0) {
		int r = -errno;

		free(groups);
		return r;
	}
	*peer = (struct peer){
		.pid = cred.pid,
		.uid = cred.uid,
		.groups = groups,
		.n_groups = 1 + groups_size / sizeof(gid_t),
	};
	return 0;
}

void peer_deinit(struct peer *peer)
{
	free(peer->groups);
	*peer = (struct peer){ .groups = NULL };
}

/* Where our own user is the one whom many look like, it is none of us. */
static bool is_ours(const struct peer *peer)
{
	return peer->uid == 0 || (peer->uid == geteuid() && peer->uid != machine_nobody()->uid);
}

static bool is_named(const struct conf_access *access, const struct peer *peer)
{
	return conf_access_allows(access, peer->uid, peer->groups, peer->n_groups);
}

int permission_role(const struct conf_segment *segment, const struct peer *peer)
{
	if (is_ours(peer) || is_named(&segment->allow, peer))
		return MEMPOOL_WELCOME_MEMBER;
	if (is_named(&segment->readers, peer))
		return MEMPOOL_WELCOME_READER;
	if (is_named(&segment->spectators, peer))
		return MEMPOOL_WELCOME_SPECTATOR;
	return -EACCES;
}

const struct holder_bound *permission_bound(const struct conf_segment *segment,
					  const struct peer *peer)
{
	return conf_bounds_of(&segment->bounds, peer->uid, peer->groups, peer->n_groups);
}

uint64_t permission_reserves(const struct conf_segment *segment, const struct peer *peer)
{
	uint64_t reserves = 0;

	for (size_t i = 0; i < segment->shape.n_pools; i++)
		if (segment->shape.pools[i].is_reserve && is_named(&segment->reserves[i], peer))
			reserves |= UINT64_C(1) << i;
	return reserves;
}

bool permission_to_administer(const struct conf *conf, const struct peer *peer)
{
	if (is_ours(peer))
		return true;
	return is_named(&conf->admin, peer);
}
