/* SPDX-License-Identifier: MIT */
/*
 * ends.h - the ends of rings that a client has open, as others see them (shm/end.h)
 */
#ifndef CLIENT_ENDS_H
#define CLIENT_ENDS_H

#include "parts.h"
#include "shm/end.h"

/* Return: the line of one more end; -EACCES a spectator has none; -ENOSPC there is none free. */
int ends_open(struct mempool_client *client, enum mempool_end_kind kind, uint32_t ring);

/* What a subscriber says of itself. @flags: MEMPOOL_SUBSCRIBE_NEWEST and the like. */
struct mempool_end *ends_describe(struct mempool_client *client, int line, uint32_t ring,
				  uint64_t cursor, uint64_t flags);

/*
 * Of a handle that is closed, if its client is not, and this is the process that opened it.
 * @line: negative: it has none.
 */
void ends_give_back(struct mempool_client *client, enum mempool_end_kind kind, uint32_t ring,
		    int line);

/* Of a client that is closed: those of all its handles. */
void ends_close(struct mempool_client *client);

#endif
