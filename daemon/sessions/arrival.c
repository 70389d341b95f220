/* SPDX-License-Identifier: MIT */
#include "daemon/sessions/arrival.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "mempool_layout.h"

#define WINDOW_NS (UINT64_C(10) * 1000000000)

struct known {
	uint64_t until_ns;		/* 0: never used */
	uid_t uid;
	enum mempool_welcome_role role;
	char segment[MEMPOOL_NAME_BYTES];
};

static struct known known[ARRIVALS_NEW];

bool arrival_is_new(uid_t uid, enum mempool_welcome_role role, const char *segment,
		    uint64_t now_ns)
{
	struct known *room = NULL;
	size_t n_of_user = 0;

	for (size_t i = 0; i < ARRIVALS_NEW; i++) {
		struct known *one = &known[i];

		if (one->until_ns <= now_ns)
			room = one;
		else if (one->uid == uid && one->role == role &&
			 strncmp(one->segment, segment, sizeof(one->segment)) == 0)
			return false;
		n_of_user += one->until_ns > now_ns && one->uid == uid;
	}
	if (!room || n_of_user >= ARRIVALS_NEW_OF_USER)
		return false;
	*room = (struct known){ now_ns + WINDOW_NS, uid, role, "" };
	memcpy(room->segment, segment, strnlen(segment, sizeof(room->segment)));
	return true;
}

static const char *role_name(enum mempool_welcome_role role)
{
	switch (role) {
	case MEMPOOL_WELCOME_MEMBER:
		return "member";
	case MEMPOOL_WELCOME_READER:
		return "reader";
	case MEMPOOL_WELCOME_SPECTATOR:
		return "spectator";
	}
	return "?";
}

void arrival_log(const struct arrival *arrival)
{
	/* What is new is bounded already. */
	static struct log_limit fresh = LOG_LIMIT("clients that are new", UINT_MAX);
	static struct log_limit repeated = LOG_LIMIT("clients that come", 500);
	bool is_new = arrival_is_new(arrival->uid, arrival->role, arrival->segment,
				     clock_monotonic_ns());
	char holder[32] = "";

	if (arrival->holder != MEMPOOL_HOLDER_NONE)
		snprintf(holder, sizeof(holder), ", holder %u", arrival->holder);
	log_limited(is_new ? &fresh : &repeated, LOG_INFO,
		    "client '%s' (pid %d, uid %u) %s %s as %s%s", arrival->name,
		    (int)arrival->pid, (unsigned int)arrival->uid,
		    arrival->is_back ? "came back to" : "attached to", arrival->label,
		    role_name(arrival->role), holder);
}
