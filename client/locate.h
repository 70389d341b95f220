/* SPDX-License-Identifier: MIT */
/*
 * locate.h - which chunk of a client's segment an address or a handle is
 */
#ifndef CLIENT_LOCATE_H
#define CLIENT_LOCATE_H

#include "parts.h"

/* Which chunk an address is. Return: 0; -EINVAL not the start of a chunk of this segment. */
int client_locate(const struct mempool_client *client, const void *chunk,
		  const struct pool **ret_pool, uint32_t *ret_index);

/* What a handle names, if such a chunk exists. Return: 0; -EINVAL NONE; -ESTALE. */
int client_locate_handle(const struct mempool_client *client, uint64_t handle,
			 const struct pool **ret_pool, uint32_t *ret_index);

#endif
