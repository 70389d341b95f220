/* SPDX-License-Identifier: MIT */
#include "daemon/segments/tenant.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/counters.h"
#include "daemon/base/log.h"
#include "daemon/base/process.h"
#include "daemon/segments/store.h"
#include "shm/holder.h"

const char *tenants_label(const struct tenants *tenants)
{
	return store_label(tenants->place->shm_name);
}

static void kick(struct tenants *tenants)
{
	static const struct timeval at_once = { 0, 0 };

	evtimer_add(tenants->step, &at_once);
}

/* ---- one ---- */

static void count(const struct tenants *tenants, int difference)
{
	const struct environment *environment = tenants->environment;

	environment->counters->n_tenants += (uint64_t)(int64_t)difference;
	environment->tell->changed(environment->userdata);
}

static int tenant_new(struct tenants *tenants, uint32_t id, const struct newcomer *newcomer,
		      struct tenant **ret_tenant)
{
	struct tenant *tenant = calloc(1, sizeof(*tenant));

	if (!tenant)
		return -ENOMEM;
	tenant->tenants = tenants;
	tenant->id = id;
	tenant->state = TENANT_LIVE;
	tenant->pid = newcomer->pid;
	tenant->start_time = newcomer->start_time;
	tenant->uid = newcomer->uid;
	tenant->nonce = newcomer->nonce;
	snprintf(tenant->name, sizeof(tenant->name), "%s", newcomer->name);
	tenant->pidfd = -1;
	tenant->wake_fd = -1;

	assert(!tenants->by_id[id]);
	tenants->by_id[id] = tenant;
	tenants->n++;
	count(tenants, 1);
	*ret_tenant = tenant;
	return 0;
}

static void tenant_unwatch(struct tenant *tenant)
{
	if (tenant->pidfd < 0)
		return;
	event_del(&tenant->death);
	close(tenant->pidfd);
	tenant->pidfd = -1;
}

void tenant_free(struct tenant *tenant)
{
	struct tenants *tenants = tenant->tenants;

	assert(!tenant->visitor);
	tenant_unwatch(tenant);
	if (tenant->wake_fd >= 0)
		close(tenant->wake_fd);
	quota_put(&tenant->unit);
	tenants->by_id[tenant->id] = NULL;
	tenants->n--;
	tenants->environment->counters->n_reaping -= tenant->state == TENANT_REAPING;
	count(tenants, -1);
	free(tenant);
}

void tenant_end(struct tenant *tenant)
{
	struct tenants *tenants = tenant->tenants;

	assert(tenant->state == TENANT_LIVE);
	tenant->state = TENANT_REAPING;
	tenants->environment->counters->n_reaping++;
	tenant_unwatch(tenant);
	if (tenants->segment)
		holder_set_state(tenants->segment, tenant->id, MEMPOOL_HOLDER_REAPING);
	kick(tenants);
}

static void tenant_is_dead(struct tenant *tenant)
{
	log_info("client '%s' (pid %d, uid %u) died: holder %u of %s is being reaped",
		 tenant->name, (int)tenant->pid, (unsigned int)tenant->uid, tenant->id,
		 tenants_label(tenant->tenants));
	tenant_end(tenant);
	if (tenant->visitor)
		tenant->tenants->environment->tell->tenant_died(tenant->visitor);
}

static void on_death(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	tenant_is_dead(userdata);
}

static void tenant_watch(struct tenant *tenant, int pidfd)
{
	struct event_base *base = tenant->tenants->environment->base;

	tenant->pidfd = pidfd;
	event_assign(&tenant->death, base, pidfd, EV_READ, on_death, tenant);
	event_add(&tenant->death, NULL);
}

/* Watch a process known from a record, or find it dead. */
static void tenant_watch_process(struct tenant *tenant)
{
	static const struct timeval in_a_second = { 1, 0 };
	static struct log_limit limit = { .burst = 5 };
	int pidfd, r;

	r = process_open(tenant->pid, tenant->start_time, &pidfd);
	if (r == 0) {
		tenant_watch(tenant, pidfd);
	} else if (r == -ESRCH) {
		tenant_is_dead(tenant);
	} else {
		log_limited(&limit, LOG_WARNING,
			    "cannot watch pid %d, holder %u of %s: %s; trying again",
			    (int)tenant->pid, tenant->id, tenants_label(tenant->tenants),
			    strerror(-r));
		evtimer_add(&tenant->tenants->rewatch, &in_a_second);
	}
}

static void on_rewatch(evutil_socket_t fd, short what, void *userdata)
{
	struct tenants *tenants = userdata;
	uint32_t id;

	(void)fd;
	(void)what;
	for (id = tenants->first_id; id < tenants->n_ids; id++) {
		struct tenant *tenant = tenants->by_id[id];

		if (tenant && tenant->state == TENANT_LIVE && tenant->pidfd < 0)
			tenant_watch_process(tenant);
	}
}

/* ---- all of them ---- */

int tenants_init(struct tenants *tenants, const struct environment *environment,
		 const struct mempool_msg_place *place, struct segment *segment,
		 uint32_t n_ids, struct event *step)
{
	*tenants = (struct tenants){
		.environment = environment,
		.place = place,
		.segment = segment,
		.step = step,
		.first_id = segment ? holder_first_client(segment) : 0,
		.n_ids = n_ids,
	};
	TAILQ_INIT(&tenants->waiting);
	evtimer_assign(&tenants->rewatch, environment->base, on_rewatch, tenants);
	tenants->by_id = calloc(n_ids, sizeof(struct tenant *));
	return tenants->by_id ? 0 : -ENOMEM;
}

void tenants_deinit(struct tenants *tenants)
{
	uint32_t id;

	assert(TAILQ_EMPTY(&tenants->waiting));
	for (id = 0; id < tenants->n_ids; id++)
		if (tenants->by_id[id])
			tenant_free(tenants->by_id[id]);
	evtimer_del(&tenants->rewatch);
	free(tenants->by_id);
}

void tenants_free_dead(struct tenants *tenants)
{
	uint32_t id;

	for (id = 0; id < tenants->n_ids; id++)
		if (tenants->by_id[id] && tenants->by_id[id]->state == TENANT_REAPING)
			tenant_free(tenants->by_id[id]);
}

struct tenant *tenants_get(const struct tenants *tenants, uint32_t id, uint32_t incarnation)
{
	struct tenant *tenant = id < tenants->n_ids ? tenants->by_id[id] : NULL;

	return tenant && tenant->state == TENANT_LIVE && tenant->incarnation == incarnation
		       ? tenant : NULL;
}

struct tenant *tenants_find(const struct tenants *tenants, const struct newcomer *newcomer)
{
	uint32_t id;

	for (id = tenants->first_id; id < tenants->n_ids; id++) {
		struct tenant *tenant = tenants->by_id[id];

		if (tenant && tenant->state == TENANT_LIVE &&
		    tenant->nonce == newcomer->nonce && tenant->pid == newcomer->pid &&
		    tenant->start_time == newcomer->start_time)
			return tenant;
	}
	return NULL;
}

void tenants_tell_news(const struct tenants *tenants)
{
	for (uint32_t id = tenants->first_id; id < tenants->n_ids; id++) {
		const struct tenant *tenant = tenants->by_id[id];

		if (tenant && tenant->visitor && tenant->wake_fd >= 0)
			tenants->environment->tell->look_again(tenant->visitor);
	}
}

/* ---- who comes ---- */

int tenants_adopt(struct tenants *tenants, uint32_t id, const struct newcomer *newcomer,
		  uint32_t incarnation, bool is_live)
{
	struct tenant *tenant;
	int r;

	r = tenant_new(tenants, id, newcomer, &tenant);
	if (r < 0)
		return r;
	tenant->incarnation = incarnation;
	/* Clients of another layout cannot come back; what they have is not ours to count. */
	if (tenants->segment) {
		r = quota_take_anyway(tenants->environment->quota, tenant->uid, &tenant->unit);
		if (r < 0)
			return r;
	}
	if (is_live)
		tenant_watch_process(tenant);
	else
		tenant_end(tenant);
	return 0;
}

/* A free id, else 0; and whether one of those in use is about to be free. */
static uint32_t find_free_id(const struct tenants *tenants, bool *ret_soon)
{
	uint32_t id;

	*ret_soon = false;
	for (id = tenants->first_id; id < tenants->n_ids; id++) {
		if (!tenants->by_id[id])
			return id;
		if (tenants->by_id[id]->state == TENANT_REAPING)
			*ret_soon = true;
	}
	return MEMPOOL_HOLDER_NONE;
}

int tenants_admit(struct tenants *tenants, const struct newcomer *newcomer, int pidfd,
		  struct tenant **ret_tenant)
{
	struct tenant *tenant;
	struct holder holder;
	bool is_soon;
	uint32_t id;
	int r;

	id = find_free_id(tenants, &is_soon);
	if (id == MEMPOOL_HOLDER_NONE)
		return is_soon ? -EAGAIN : -EUSERS;
	r = tenant_new(tenants, id, newcomer, &tenant);
	if (r < 0)
		return r;

	holder = (struct holder){
		.id = id,
		.kind = MEMPOOL_HOLDER_CLIENT,
		.pid = (uint32_t)newcomer->pid,
		.start_time = newcomer->start_time,
		.uid = newcomer->uid,
		.nonce = newcomer->nonce,
		.attached_ns = clock_realtime_ns(),
	};
	memcpy(holder.name, tenant->name, sizeof(holder.name));
	tenant->incarnation = holder_set_live(tenants->segment, &holder);
	tenant_watch(tenant, pidfd);
	*ret_tenant = tenant;
	return 0;
}

void tenants_set_daemon(const struct tenants *tenants)
{
	struct holder holder = {
		.id = MEMPOOL_HOLDER_DAEMON_ID,
		.kind = MEMPOOL_HOLDER_DAEMON,
		.pid = (uint32_t)getpid(),
		.uid = geteuid(),
		.attached_ns = clock_realtime_ns(),
		.name = "mempoold",
	};

	/* Unreadable, it says 0, as no process does: the next daemon sees us dead either way. */
	process_start_time(getpid(), &holder.start_time);
	holder_set_live(tenants->segment, &holder);
}

/* ---- who waits ---- */

void tenants_wait(struct tenants *tenants, struct visitor *visitor)
{
	assert(!visitor->waits_for);
	visitor->waits_for = tenants;
	TAILQ_INSERT_TAIL(&tenants->waiting, visitor, link);
}

static void leave_queue(struct visitor *visitor)
{
	TAILQ_REMOVE(&visitor->waits_for->waiting, visitor, link);
	visitor->waits_for = NULL;
}

void tenants_stop_waiting(struct visitor *visitor)
{
	if (!visitor->waits_for)
		return;
	kick(visitor->waits_for);
	leave_queue(visitor);
}

void tenants_try_again(struct tenants *tenants)
{
	struct visitor *visitor;
	uint32_t n = 0;

	TAILQ_FOREACH(visitor, &tenants->waiting, link)
		n++;
	/* Those who have to go on waiting are at the end again. */
	for (; n > 0 && (visitor = TAILQ_FIRST(&tenants->waiting)); n--) {
		leave_queue(visitor);
		tenants->environment->tell->try_again(visitor);
	}
}
