/* SPDX-License-Identifier: MIT */
/*
 * quota.h - how many clients there may be, in all and of one user
 *
 * A unit stands for one client. Its connection has it from the first moment on; when the
 * connection ends before the client's holder record does, the record takes it over, until
 * the client has died and was reaped. So neither hellos that never come nor clients that
 * hang up and stay can be more than the limits say.
 *
 * A connection that is over has a unit too, an "end", where it still costs something: it cannot be
 * closed, or what was passed on it is unread. A user makes these, and no limit can refuse them. So a
 * user with many of them gets no other unit until they end; and for all others this user counts as
 * what one user may have, however many ends there are.
 */
#ifndef DAEMON_BASE_QUOTA_H
#define DAEMON_BASE_QUOTA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

struct quota_user {
	LIST_ENTRY(quota_user) link;
	uid_t uid;
	uint32_t n;
	uint32_t n_ends;		/* of these: connections that are over */
};

struct quota {
	uint32_t max;
	uint32_t max_per_user;
	LIST_HEAD(, quota_user) users;
};

/* A unit, or none while user is NULL. */
struct quota_unit {
	struct quota_user *user;
	bool is_end;
};

void quota_init(struct quota *quota, uint32_t max, uint32_t max_per_user);

/* Who is there stays, also where there are more now than there may be. */
void quota_set_limits(struct quota *quota, uint32_t max, uint32_t max_per_user);
void quota_deinit(struct quota *quota);

/* How many there are, as the limit of all counts them. */
uint32_t quota_count(const struct quota *quota);

/* Return: 0; -EUSERS too many in all; -EDQUOT of this user, or many ends of it; -ENOMEM. */
int quota_take(struct quota *quota, uid_t uid, struct quota_unit *ret_unit);

/* For a client that is there already, whatever the limits say. Return: 0 or -ENOMEM. */
int quota_take_anyway(struct quota *quota, uid_t uid, struct quota_unit *ret_unit);

/* For a connection that is over and still costs something. Return: 0 or -ENOMEM. */
int quota_take_end(struct quota *quota, uid_t uid, struct quota_unit *ret_unit);

/* Whether a user has so many of these that nothing more is done for it. */
bool quota_has_many_ends(const struct quota *quota, uid_t uid);

/* Give back; nothing if there is none. */
void quota_put(struct quota_unit *unit);

/* from's unit becomes to's; what to had is given back. */
void quota_move(struct quota_unit *to, struct quota_unit *from);

#endif
