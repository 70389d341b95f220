/* SPDX-License-Identifier: MIT */
#include "daemon/base/chores.h"

#include <assert.h>
#include <event2/event.h>

#include "daemon/base/clock.h"

/* A timer, not event_active(): the loop looks at the sockets before timers, each time. */
static void arm(struct chores *chores)
{
	static const struct timeval at_once = { 0, 0 };

	evtimer_add(&chores->turn, &at_once);
}

static void on_turn(evutil_socket_t fd, short what, void *userdata)
{
	struct chores *chores = userdata;
	uint64_t begun_ns = clock_monotonic_ns();
	struct chore *chore;

	(void)fd;
	(void)what;
	do {
		chore = TAILQ_FIRST(&chores->list);
		if (!chore)
			return;
		chore_stop(chore);
		if (chore->step(chore->userdata))
			chore_start(chore);
	} while (clock_monotonic_ns() - begun_ns < chores->turn_ns);
	if (!TAILQ_EMPTY(&chores->list))
		arm(chores);
}

void chores_init(struct chores *chores, struct event_base *base, uint64_t turn_ns)
{
	chores->turn_ns = turn_ns;
	TAILQ_INIT(&chores->list);
	evtimer_assign(&chores->turn, base, on_turn, chores);
}

void chores_deinit(struct chores *chores)
{
	assert(TAILQ_EMPTY(&chores->list));
	evtimer_del(&chores->turn);
}

void chore_init(struct chore *chore, struct chores *chores, chore_fn step, void *userdata)
{
	*chore = (struct chore){ .chores = chores, .step = step, .userdata = userdata };
}

void chore_start(struct chore *chore)
{
	if (chore->is_due)
		return;
	chore->is_due = true;
	TAILQ_INSERT_TAIL(&chore->chores->list, chore, link);
	if (!evtimer_pending(&chore->chores->turn, NULL))
		arm(chore->chores);
}

void chore_stop(struct chore *chore)
{
	if (!chore->is_due)
		return;
	chore->is_due = false;
	TAILQ_REMOVE(&chore->chores->list, chore, link);
}
