/* SPDX-License-Identifier: MIT */
/*
 * arrival.h - a line in the log for each who comes, for audit
 *
 * Clients come as often as they like, and must not fill the journal; nor may a user who comes and
 * goes all the time keep another one's coming out of it. So whatever is new in ten seconds, a user
 * in a segment in a role, is written; of what repeats, so many lines in ten seconds, whose ever
 * they are, and then how many there were. Each user who has come stands in the log, but where more than
 * ARRIVALS_NEW are new at a time.
 */
#ifndef DAEMON_SESSIONS_ARRIVAL_H
#define DAEMON_SESSIONS_ARRIVAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "mempool_protocol.h"

/* Users, times segments, times roles, that are new in ten seconds; beyond it they are as those
 * that repeat. And of one user, so that it leaves room for others, in however many segments it may be. */
#define ARRIVALS_NEW 128
#define ARRIVALS_NEW_OF_USER 16

struct arrival {
	const char *name;		/* of the client: letters, digits, few signs */
	pid_t pid;
	uid_t uid;
	bool is_back;			/* after a restart, or on a new connection */
	enum mempool_welcome_role role;
	const char *segment;		/* its name */
	const char *label;		/* the generation */
	uint32_t holder;		/* MEMPOOL_HOLDER_NONE: it has none */
};

/* Who is welcome now: one line, at level info. */
void arrival_log(const struct arrival *arrival);

/* Whether nothing like it came within the last ten seconds of now. */
bool arrival_is_new(uid_t uid, enum mempool_welcome_role role, const char *segment,
		    uint64_t now_ns);

#endif
