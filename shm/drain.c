/* SPDX-License-Identifier: MIT */
#include "drain.h"

#include "chunk_manager.h"

uint64_t drain_topic(const struct topic *topic, uint32_t as, uint64_t *ret_freed)
{
	uint64_t n = 0;

	*ret_freed = 0;
	for (uint64_t i = 0; i < topic->capacity; i++) {
		uint32_t manager = topic_empty(topic, i);

		if (manager == TOPIC_NO_MANAGER)
			continue;
		n++;
		*ret_freed += chunk_manager_collect(topic->segment, manager, as);
	}
	return n;
}
