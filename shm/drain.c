/* SPDX-License-Identifier: MIT */
#include "drain.h"

#include "chunk_manager.h"

/* What takes as long as so many empty slots: to collect a message, and so many words of sharers. */
#define MESSAGE_SLOTS 16
#define SHARER_WORDS 16

void drain_init(struct drain *drain, const struct topic *topic, uint32_t as)
{
	*drain = (struct drain){ .topic = *topic, .as = as };
}

bool drain_step(struct drain *drain, uint64_t max_slots)
{
	const struct topic *topic = &drain->topic;
	const uint64_t message = MESSAGE_SLOTS + topic->segment->n_holders / 64 / SHARER_WORDS;

	for (uint64_t n = 0; n < max_slots && drain->place < topic->capacity; n++) {
		uint32_t manager = topic_empty(topic, drain->place++);

		if (manager == TOPIC_NO_MANAGER)
			continue;
		drain->n_messages++;
		drain->n_freed += chunk_manager_collect(topic->segment, manager, drain->as);
		n += message;
	}
	return drain->place == topic->capacity;
}

uint64_t drain_topic(const struct topic *topic, uint32_t as, uint64_t *ret_freed)
{
	struct drain drain;

	drain_init(&drain, topic, as);
	while (!drain_step(&drain, topic->capacity))
		;
	*ret_freed = drain.n_freed;
	return drain.n_messages;
}
