/* SPDX-License-Identifier: MIT */
#include "daemon/base/quota.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

void quota_init(struct quota *quota, uint32_t max, uint32_t max_per_user)
{
	*quota = (struct quota){ .n = 0 };
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
	assert(quota->n == 0);
}

static struct quota_user *quota_find(struct quota *quota, uid_t uid)
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
		user->quota = quota;
		user->uid = uid;
		LIST_INSERT_HEAD(&quota->users, user, link);
	}
	user->n++;
	quota->n++;
	ret_unit->user = user;
	return 0;
}

int quota_take(struct quota *quota, uid_t uid, struct quota_unit *ret_unit)
{
	struct quota_user *user = quota_find(quota, uid);

	if (quota->n >= quota->max)
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
	user->quota->n--;
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
