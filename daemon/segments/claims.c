/* SPDX-License-Identifier: MIT */
#include "daemon/segments/claims.h"

#include <event2/event.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "shm/barrier.h"
#include "shm/lane.h"

/*
 * Each end takes an epoch of every lane, and there are 2^18 to one life of a lane: whoever comes and goes
 * as fast as it can does not use them up.
 */
#define REST_NS UINT64_C(1000000000)

static const struct lanes *lanes_of(const struct claims *claims)
{
	return &claims->tenants->segment->lanes;
}

static bool may_be_on(const struct claims *claims)
{
	return *claims->are_wanted && claims->tenants->n_deaf == 0;
}

/* Whether we could end them, too: as far as can be known before. */
static bool can_issue(void)
{
	return barrier_is_there() && barrier_all();
}

static void begin(struct claims *claims)
{
	claims->phase = CLAIMS_ON;
	claims->has_failed = false;
	state_set_claims(claims->tenants->state, true);
	lane_turn(lanes_of(claims), true);
}

static void begin_end(struct claims *claims)
{
	claims->phase = CLAIMS_END;
	claims->lane = LANE_NONE + 1;
	claims->has_failed = false;
	lane_turn(lanes_of(claims), false);
}

static void finish_end(struct claims *claims)
{
	claims->phase = CLAIMS_OFF;
	claims->not_before_ns = clock_monotonic_ns() + REST_NS;
	state_set_claims(claims->tenants->state, false);
	tenants_try_again(claims->tenants);
}

static void fail(struct claims *claims)
{
	static struct log_limit limit = LOG_LIMIT("claims that cannot be ended", 20);

	log_limited(&limit, LOG_WARNING, "segment %s: cannot issue a membarrier(2), so no client "
		    "without it can be let in while others claim by plain stores",
		    tenants_label(claims->tenants));
	claims->has_failed = true;
	/* They are refused. */
	tenants_try_again(claims->tenants);
}

/* Return: whether there are lanes left. */
static bool revoke_some(struct claims *claims)
{
	if (lane_revoke_step(lanes_of(claims), &claims->lane) < 0) {
		fail(claims);
		return false;
	}
	if (claims->lane < lanes_of(claims)->n)
		return true;
	finish_end(claims);
	return false;
}

void claims_adopt(struct claims *claims)
{
	if (!claims->tenants->segment)
		return;
	if (!state_has_claims(claims->tenants->state)) {
		/* Whatever a member has written there. */
		lane_turn(lanes_of(claims), false);
		return;
	}
	if (may_be_on(claims) && can_issue()) {
		begin(claims);
		return;
	}
	begin_end(claims);
	while (revoke_some(claims))
		;
}

static bool are_ending(const struct claims *claims)
{
	return claims->phase == CLAIMS_END && !claims->has_failed;
}

/*
 * Or later, if it is too early: who waits may be one for whom they were ended, and who is to find them
 * so. It may also be gone by the next look, and nobody says so.
 */
static void begin_if_due(struct claims *claims)
{
	static const struct timeval rest = { REST_NS / 1000000000, 0 };

	if (claims->tenants->n_waiting > 0 || clock_monotonic_ns() < claims->not_before_ns)
		evtimer_add(&claims->rest, &rest);
	else if (can_issue())
		begin(claims);
}

void claims_look(struct claims *claims)
{
	if (!claims->tenants->segment)
		return;
	if (claims->phase == CLAIMS_ON && !may_be_on(claims)) {
		begin_end(claims);
		claims_kick(claims);
	}
	if (claims->phase != CLAIMS_ON && !are_ending(claims) && may_be_on(claims))
		begin_if_due(claims);
}

static bool step(void *userdata)
{
	struct claims *claims = userdata;

	if (are_ending(claims))
		return revoke_some(claims);
	claims_look(claims);
	return false;
}

static void on_rest(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	claims_kick(userdata);
}

void claims_init(struct claims *claims, struct tenants *tenants, const bool *are_wanted)
{
	*claims = (struct claims){
		.tenants = tenants,
		.are_wanted = are_wanted,
		.phase = CLAIMS_OFF,
	};
	chore_init(&claims->step, tenants->environment->chores, step, claims);
	evtimer_assign(&claims->rest, tenants->environment->base, on_rest, claims);
}

void claims_kick(struct claims *claims)
{
	chore_start(&claims->step);
}

int claims_end(struct claims *claims)
{
	bool had_failed = claims->has_failed;

	if (!claims->tenants->segment || claims->phase == CLAIMS_OFF)
		return 0;
	if (claims->phase == CLAIMS_ON || had_failed) {
		begin_end(claims);
		claims_kick(claims);
	}
	return had_failed ? -EPERM : -EAGAIN;
}

void claims_stop(struct claims *claims)
{
	chore_stop(&claims->step);
	evtimer_del(&claims->rest);
	claims->phase = CLAIMS_OFF;
}
