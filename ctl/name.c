/* SPDX-License-Identifier: MIT */
#include "name.h"

#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>

#include "shm/clock.h"

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

const char *name_holder_role(const struct holder *record)
{
	if (record->kind != MEMPOOL_HOLDER_CLIENT)
		return name_holder_kind(record->kind);
	return record->is_reader ? "reader" : "member";
}

const char *name_ring_kind(enum mempool_ring_kind kind)
{
	return kind == MEMPOOL_RING_TOPIC ? "topic" : "queue";
}

const char *name_end_flags(uint64_t flags)
{
	switch (flags) {
	case MEMPOOL_END_NEWEST:
		return "newest";
	case MEMPOOL_END_OTHERS:
		return "others";
	default:
		return "all";
	}
}

const char *name_subscriber_state(enum subscriber_state state)
{
	static const char *const names[] = {
		[SUBSCRIBER_UNKNOWN] = "-",	  [SUBSCRIBER_IDLE] = "idle",
		[SUBSCRIBER_READS] = "reads",	  [SUBSCRIBER_BEHIND] = "behind",
		[SUBSCRIBER_SLOW] = "slow",	  [SUBSCRIBER_STUCK] = "stuck",
	};

	return names[state];
}

/* Users that were asked for lately. A record may name any: so many are asked for a second. */
#define N_USERS 256
#define MAX_ASKED 64
#define KEPT_NS (60 * INT64_C(1000000000))

struct user {
	uint32_t uid;
	int64_t until_ns;		/* 0: none */
	char name[64];
};

static bool may_ask(int64_t now_ns)
{
	static int64_t since_ns;
	static unsigned int n_asked;

	if (since_ns == 0 || now_ns - since_ns >= INT64_C(1000000000)) {
		since_ns = now_ns;
		n_asked = 0;
	}
	return n_asked++ < MAX_ASKED;
}

static void ask(struct user *user, uint32_t uid, int64_t now_ns)
{
	const struct passwd *found = getpwuid(uid);

	*user = (struct user){ .uid = uid, .until_ns = now_ns + KEPT_NS };
	if (found)
		snprintf(user->name, sizeof(user->name), "%s", found->pw_name);
	else
		snprintf(user->name, sizeof(user->name), "%u", uid);
	for (char *c = user->name; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

void name_user(uint32_t uid, char *ret_name, size_t size)
{
	static struct user users[N_USERS];
	struct user *user = &users[uid % N_USERS];
	int64_t now_ns = clock_now_ns();
	bool is_known = user->uid == uid && now_ns < user->until_ns;

	if (!is_known && may_ask(now_ns)) {
		ask(user, uid, now_ns);
		is_known = true;
	}
	if (is_known)
		snprintf(ret_name, size, "%s", user->name);
	else
		snprintf(ret_name, size, "%u", uid);
}
