/* SPDX-License-Identifier: MIT */
#include "daemon/base/quota.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* Of a user that reads what it is sent there is next to none, also when its programs are killed: the
 * kernel drops what they had not read. */
#define QUOTA_MANY_ENDS 16

void quota_init(struct quota *quota, uint32_t max, uint32_t max_per_user)
{
	*quota = (struct quota){ .max = 0 };
	LIST_INIT(&quota->users);
	quota_set_limits(quota, max, max_per_user);
}

void quota_set_limits(struct quota *quota, uint32_t max, uint32_t max_per_user)
{
	quota->max = max;
	quota->max_per_user = max_per_user;
}

void quota_deinit(struct quota *quota)
{
	assert(LIST_EMPTY(&quota->users));
}

static struct quota_user *quota_find(const struct quota *quota, uid_t uid)
{
	struct quota_user *user;

	LIST_FOREACH(user, &quota->users, link)
		if (user->uid == uid)
			return user;
	return NULL;
}

int quota_take_anyway(struct quota *quota, uid_t uid, struct quota_unit *ret_unit)
{
	struct quota_user *user = quota_find(quota, uid);

	if (!user) {
		user = calloc(1, sizeof(*user));
		if (!user)
			return -ENOMEM;
		user->uid = uid;
		LIST_INSERT_HEAD(&quota->users, user, link);
	}
	user->n++;
	*ret_unit = (struct quota_unit){ .user = user };
	return 0;
}

int quota_take_end(struct quota *quota, uid_t uid, struct quota_unit *ret_unit)
{
	int r = quota_take_anyway(quota, uid, ret_unit);

	if (r < 0)
		return r;
	ret_unit->is_end = true;
	ret_unit->user->n_ends++;
	return 0;
}

static bool has_many_ends(const struct quota_user *user)
{
	return user && user->n_ends >= QUOTA_MANY_ENDS;
}

bool quota_has_many_ends(const struct quota *quota, uid_t uid)
{
	return has_many_ends(quota_find(quota, uid));
}

/* Ends come whatever the limits say: those beyond a user's own limit are no harm to others. */
static uint32_t count_for_all(const struct quota *quota, const struct quota_user *user)
{
	uint32_t beyond = user->n > quota->max_per_user ? user->n - quota->max_per_user : 0;

	return user->n - (beyond < user->n_ends ? beyond : user->n_ends);
}

uint32_t quota_count(const struct quota *quota)
{
	const struct quota_user *user;
	uint32_t n = 0;

	LIST_FOREACH(user, &quota->users, link)
		n += count_for_all(quota, user);
	return n;
}

int quota_take(struct quota *quota, uid_t uid, struct quota_unit *ret_unit)
{
	const struct quota_user *user = quota_find(quota, uid);

	if (has_many_ends(user))
		return -EDQUOT;
	if (quota_count(quota) >= quota->max)
		return -EUSERS;
	if ((user ? user->n : 0) >= quota->max_per_user)
		return -EDQUOT;
	return quota_take_anyway(quota, uid, ret_unit);
}

void quota_put(struct quota_unit *unit)
{
	struct quota_user *user = unit->user;

	if (!user)
		return;
	unit->user = NULL;
	user->n_ends -= unit->is_end;
	if (--user->n == 0) {
		LIST_REMOVE(user, link);
		free(user);
	}
}

void quota_move(struct quota_unit *to, struct quota_unit *from)
{
	quota_put(to);
	*to = *from;
	from->user = NULL;
}
