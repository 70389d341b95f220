/* SPDX-License-Identifier: MIT */
/*
 * client.h - a client begins and ends
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "parts.h"

/**
 * client_new() - a client over an attached segment
 * @segment: taken over on success
 * @holder:  our id in it
 *
 * For mempool_client_open(), and for tests that need no daemon.
 * Return: 0; -ENOMEM, -EINVAL no such holder.
 */
int client_new(struct segment *segment, uint32_t holder, uint64_t flags,
	       struct mempool_client **ret_client);

/*
 * The same in another role than that of a member, or with a bit for each reserve that it may have
 * chunks of. @holder: of a spectator MEMPOOL_HOLDER_NONE.
 */
int client_new_as(enum mempool_role role, uint64_t reserves, struct segment *segment,
		  uint32_t holder, uint64_t flags, struct mempool_client **ret_client);

/*
 * Free what the holder has, tell the daemon if there is one, drop the user's reference.
 * Returns how many chunks were held.
 */
int client_close(struct mempool_client *client);

/* For handles on queues and topics: the mapping stays until the last of them is closed. */
struct mempool_client *client_ref(struct mempool_client *client);
void client_unref(struct mempool_client *client);

#endif
