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
	return tenants->label;
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

static int tenant_new(struct tenants *tenants, uint32_t id, const struct state_holder *holder,
		      struct tenant **ret_tenant)
{
	struct tenant *tenant = calloc(1, sizeof(*tenant));

	if (!tenant)
		return -ENOMEM;
	tenant->tenants = tenants;
	tenant->id = id;
	tenant->state = TENANT_LIVE;
	tenant->process = holder->process;
	tenant->uid = holder->uid;
	tenant->nonce = holder->nonce;
	tenant->attached_ns = holder->attached_ns;
	tenant->incarnation = holder->incarnation;
	memcpy(tenant->name, holder->name, sizeof(tenant->name));
	tenant->pidfd = -1;
	tenant->wake_fd = -1;

	assert(!tenants->by_id[id]);
	tenants->by_id[id] = tenant;
	tenants->n++;
	count(tenants, 1);
	*ret_tenant = tenant;
	return 0;
}

/* What the holder table tells of it, to people and to clients. */
static void tenant_copy(const struct tenant *tenant)
{
	struct segment *segment = tenant->tenants->segment;
	struct holder holder = {
		.id = tenant->id,
		.kind = MEMPOOL_HOLDER_CLIENT,
		.pid = (uint32_t)tenant->process.pid,
		.start_time = tenant->process.start_time,
		.uid = tenant->uid,
		.incarnation = tenant->incarnation,
		.attached_ns = tenant->attached_ns,
	};

	if (!segment)
		return;
	memcpy(holder.name, tenant->name, sizeof(holder.name));
	holder_set_live(segment, &holder);
}

static void tenant_unwatch(struct tenant *tenant)
{
	if (tenant->pidfd < 0)
		return;
	event_del(&tenant->death);
	close(tenant->pidfd);
	tenant->pidfd = -1;
}

static void tenant_free(struct tenant *tenant)
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

void tenant_release(struct tenant *tenant)
{
	struct tenants *tenants = tenant->tenants;

	if (tenants->segment)
		holder_set_state(tenants->segment, tenant->id, MEMPOOL_HOLDER_FREE);
	state_release(tenants->state, tenant->id);
	tenant_free(tenant);
}

void tenant_end(struct tenant *tenant)
{
	struct tenants *tenants = tenant->tenants;

	assert(tenant->state == TENANT_LIVE);
	tenant->state = TENANT_REAPING;
	tenants->environment->counters->n_reaping++;
	tenant_unwatch(tenant);
	state_end(tenants->state, tenant->id);
	if (tenants->segment)
		holder_set_state(tenants->segment, tenant->id, MEMPOOL_HOLDER_REAPING);
	kick(tenants);
}

static void tenant_is_dead(struct tenant *tenant)
{
	static struct log_limit limit = LOG_LIMIT("clients that died", 100);

	log_limited(&limit, LOG_INFO, "client '%s' (pid %d, uid %u) died: holder %u of %s is being "
		    "reaped", tenant->name, (int)tenant->process.pid, (unsigned int)tenant->uid,
		    tenant->id, tenants_label(tenant->tenants));
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

/* Whether it shows by its lock that it lives, as long as nobody can see its process. */
static bool is_shown(const struct tenant *tenant)
{
	return store_is_locked_by(tenant->tenants->fd, tenant->id);
}

static void tenant_look_at_lock(struct tenant *tenant)
{
	static struct log_limit limit = LOG_LIMIT("clients that cannot be seen", 20);
	struct tenants *tenants = tenant->tenants;
	bool is_unverifiable = !is_shown(tenant);

	if (is_unverifiable && !tenant->is_unseen)
		log_limited(&limit, LOG_WARNING, "cannot see whether client '%s' (pid %d, uid %u), "
			    "holder %u of %s, lives: its pid is of another namespace; it keeps what "
			    "it has (mempoolctl forget)", tenant->name, (int)tenant->process.pid,
			    (unsigned int)tenant->uid, tenant->id, tenants_label(tenants));
	tenant->is_unseen = true;
	if (tenants->segment)
		holder_set_unverifiable(tenants->segment, tenant->id, is_unverifiable);
}

/* Watch a process known from a record, or find it dead. */
static void tenant_watch_process(struct tenant *tenant)
{
	static const struct timeval in_a_second = { 1, 0 };
	static struct log_limit limit = LOG_LIMIT("processes that cannot be watched", 5);
	const struct environment *environment = tenant->tenants->environment;
	int pidfd, r;

	r = process_open(&tenant->process, &environment->origin, &pidfd);
	if (r == 0) {
		tenant_watch(tenant, pidfd);
		return;
	}
	if (r == -ESRCH) {
		tenant_is_dead(tenant);
		return;
	}
	if (r == -EXDEV)
		tenant_look_at_lock(tenant);
	else
		log_limited(&limit, LOG_WARNING,
			    "cannot watch pid %d, holder %u of %s: %s; trying again",
			    (int)tenant->process.pid, tenant->id,
			    tenants_label(tenant->tenants), strerror(-r));
	evtimer_add(&tenant->tenants->rewatch, &in_a_second);
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
		 const struct mempool_msg_place *place, struct state *state,
		 struct segment *segment, int fd, struct event *step)
{
	*tenants = (struct tenants){
		.environment = environment,
		.place = place,
		.state = state,
		.segment = segment,
		.fd = fd,
		.step = step,
		.first_id = segment ? holder_first_client(segment) : MEMPOOL_HOLDER_DAEMON_ID + 1,
		.n_ids = state->n_holders,
	};
	snprintf(tenants->label, sizeof(tenants->label), "mempool-%s.%llu", state->segment_name,
		 (unsigned long long)state->identity.generation);
	TAILQ_INIT(&tenants->waiting);
	evtimer_assign(&tenants->rewatch, environment->base, on_rewatch, tenants);
	tenants->by_id = calloc(tenants->n_ids, sizeof(struct tenant *));
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

void tenants_release_dead(struct tenants *tenants)
{
	uint32_t id;

	for (id = 0; id < tenants->n_ids; id++)
		if (tenants->by_id[id] && tenants->by_id[id]->state == TENANT_REAPING)
			tenant_release(tenants->by_id[id]);
}

struct tenant *tenants_get(const struct tenants *tenants, uint32_t id, uint32_t incarnation)
{
	struct tenant *tenant = id < tenants->n_ids ? tenants->by_id[id] : NULL;

	return tenant && tenant->state == TENANT_LIVE && tenant->incarnation == incarnation
		       ? tenant : NULL;
}

static bool is_tenant_of(const struct tenant *tenant, const struct newcomer *newcomer)
{
	if (tenant->state != TENANT_LIVE || tenant->nonce != newcomer->nonce)
		return false;
	return process_is(&tenant->process, &newcomer->process) ||
	       (tenant->is_unseen && tenant->uid == newcomer->uid);
}

struct tenant *tenants_find(const struct tenants *tenants, const struct newcomer *newcomer)
{
	uint32_t id;

	for (id = tenants->first_id; id < tenants->n_ids; id++)
		if (tenants->by_id[id] && is_tenant_of(tenants->by_id[id], newcomer))
			return tenants->by_id[id];
	return NULL;
}

bool tenants_have_user(const struct tenants *tenants, uid_t uid)
{
	for (uint32_t id = tenants->first_id; id < tenants->n_ids; id++) {
		const struct tenant *tenant = tenants->by_id[id];

		if (tenant && tenant->uid == uid)
			return true;
	}
	return false;
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

static int adopt(struct tenants *tenants, uint32_t id, const struct state_holder *holder)
{
	struct tenant *tenant;
	int r;

	r = tenant_new(tenants, id, holder, &tenant);
	/* Clients of another layout cannot come back; what they have is not ours to count. */
	if (r == 0 && tenants->segment)
		r = quota_take_anyway(tenants->environment->quota, tenant->uid, &tenant->unit);
	if (r < 0)
		return r;
	tenant_copy(tenant);
	if (holder->state == MEMPOOL_HOLDER_LIVE)
		tenant_watch_process(tenant);
	else
		tenant_end(tenant);
	return 0;
}

int tenants_adopt(struct tenants *tenants)
{
	struct state_holder holder;
	uint32_t id;
	int r = 0;

	for (id = tenants->first_id; id < tenants->n_ids && r == 0; id++) {
		state_read(tenants->state, id, &holder);
		if (holder.state != MEMPOOL_HOLDER_FREE)
			r = adopt(tenants, id, &holder);
		else if (tenants->segment)
			holder_set_state(tenants->segment, id, MEMPOOL_HOLDER_FREE);
	}
	return r;
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
	struct state_holder holder = {
		.process = newcomer->process,
		.uid = newcomer->uid,
		.nonce = newcomer->nonce,
		.attached_ns = clock_realtime_ns(),
		.has_membarrier = newcomer->has_membarrier,
	};
	struct tenant *tenant;
	bool is_soon;
	uint32_t id;
	int r;

	id = find_free_id(tenants, &is_soon);
	if (id == MEMPOOL_HOLDER_NONE)
		return is_soon ? -EAGAIN : -EUSERS;
	snprintf(holder.name, sizeof(holder.name), "%s", newcomer->name);
	r = tenant_new(tenants, id, &holder, &tenant);
	if (r < 0)
		return r;
	tenant->incarnation = state_admit(tenants->state, id, &holder);
	tenant_copy(tenant);
	tenant_watch(tenant, pidfd);
	*ret_tenant = tenant;
	return 0;
}

void tenant_come_back(struct tenant *tenant, const struct newcomer *newcomer, int *pidfd)
{
	if (tenant->pidfd >= 0)
		return;
	if (tenant->is_unseen) {
		state_move_process(tenant->tenants->state, tenant->id, &newcomer->process);
		tenant->process = newcomer->process;
		tenant->is_unseen = false;
		tenant_copy(tenant);
	}
	tenant_watch(tenant, *pidfd);
	*pidfd = -1;
}

int tenants_forget(struct tenants *tenants, uint32_t id)
{
	struct tenant *tenant = id < tenants->n_ids ? tenants->by_id[id] : NULL;

	if (!tenant || tenant->state != TENANT_LIVE)
		return -ENOENT;
	if (!tenant->is_unseen || tenant->visitor || is_shown(tenant))
		return -EBUSY;
	tenant_end(tenant);
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

	/* For people. Unreadable, it says 0. */
	origin_start_time(getpid(), &holder.start_time);
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
