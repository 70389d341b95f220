/* SPDX-License-Identifier: MIT */
/*
 * hold.h - a reference to a message of a topic
 */
#ifndef CLIENT_HOLD_H
#define CLIENT_HOLD_H

#include <errno.h>

#include "share.h"
#include "shm/topic.h"

/*
 * Hold what a slot names. Return: 0; -EAGAIN it was evicted meanwhile; -EBADMSG the slot is as
 * it was, but what it names cannot be held: a hostile client wrote there; -EOVERFLOW we hold it
 * too often.
 */
static inline int hold_message(struct mempool_client *client, const struct topic *topic,
			       const struct topic_slot *slot)
{
	bool is_same;
	int r;

	if (slot->manager >= segment_managers(client->segment)->n_chunks)
		return topic_is_same(topic, slot) ? -EBADMSG : -EAGAIN;

	r = share_add(client, slot->manager);
	if (r < 0)
		return r;
	r = chunk_manager_stamp(client->segment, slot->manager);
	/* What stands in a slot is SHARED: not to be stamped means evicted before. */
	is_same = topic_is_same(topic, slot);
	if (r == 0 && is_same)
		return 0;
	share_drop(client, slot->manager);
	return is_same ? -EBADMSG : -EAGAIN;
}

#endif
