/* SPDX-License-Identifier: MIT */
#include "name.h"

#include <pwd.h>
#include <stdio.h>

#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

static const char *const segment_states[] = {
	[MEMPOOL_SEGMENT_BUILDING] = "building",
	[MEMPOOL_SEGMENT_READY] = "ready",
	[MEMPOOL_SEGMENT_RETIRED] = "retired",
};

static const char *const holder_states[] = {
	[MEMPOOL_HOLDER_FREE] = "gone",
	[MEMPOOL_HOLDER_LIVE] = "live",
	[MEMPOOL_HOLDER_REAPING] = "reaping",
};

static const char *const holder_kinds[] = {
	[MEMPOOL_HOLDER_CLIENT] = "client",
	[MEMPOOL_HOLDER_DAEMON] = "daemon",
	[MEMPOOL_HOLDER_TOPIC] = "topic",
};

const char *name_segment_state(uint32_t state)
{
	return state < N_ELEMENTS(segment_states) ? segment_states[state] : "unknown";
}

const char *name_holder_state(const struct holder *record)
{
	if (record->state == MEMPOOL_HOLDER_LIVE && record->is_unverifiable)
		return "unverifiable";
	return record->state < N_ELEMENTS(holder_states) ? holder_states[record->state]
							  : "unknown";
}

const char *name_holder_kind(uint32_t kind)
{
	return kind < N_ELEMENTS(holder_kinds) ? holder_kinds[kind] : "unknown";
}

const char *name_ring_kind(enum mempool_ring_kind kind)
{
	return kind == MEMPOOL_RING_TOPIC ? "topic" : "queue";
}

void name_user(uint32_t uid, char *ret_name, size_t size)
{
	const struct passwd *user = getpwuid(uid);

	if (user)
		snprintf(ret_name, size, "%s", user->pw_name);
	else
		snprintf(ret_name, size, "%u", uid);

	for (char *c = ret_name; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}
