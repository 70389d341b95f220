/* SPDX-License-Identifier: MIT */
#include "daemon/segments/generation.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/counters.h"
#include "daemon/base/log.h"
#include "daemon/base/process.h"
#include "daemon/segments/host.h"
#include "shm/holder.h"

static const struct timeval at_once = { 0, 0 };
static const struct timeval in_a_second = { 1, 0 };

const char *generation_label(const struct generation *generation)
{
	return store_label(generation->place.shm_name);
}

void generation_kick(struct generation *generation)
{
	evtimer_add(&generation->step, &at_once);
}

void generation_retry_soon(struct generation *generation)
{
	evtimer_add(&generation->rewatch, &in_a_second);
}

/* ---- tenants ---- */

static void count_tenant(const struct generation *generation, int difference)
{
	const struct environment *environment = generation->environment;

	environment->counters->n_tenants += (uint64_t)(int64_t)difference;
	environment->tell->changed(environment->userdata);
}

static int tenant_new(struct generation *generation, uint32_t id,
		      const struct newcomer *newcomer, struct tenant **ret_tenant)
{
	struct tenant *tenant = calloc(1, sizeof(*tenant));

	if (!tenant)
		return -ENOMEM;
	tenant->generation = generation;
	tenant->id = id;
	tenant->state = TENANT_LIVE;
	tenant->pid = newcomer->pid;
	tenant->start_time = newcomer->start_time;
	tenant->uid = newcomer->uid;
	tenant->nonce = newcomer->nonce;
	snprintf(tenant->name, sizeof(tenant->name), "%s", newcomer->name);
	tenant->pidfd = -1;
	tenant->wake_fd = -1;

	assert(!generation->tenants[id]);
	generation->tenants[id] = tenant;
	generation->n_tenants++;
	peak_start(&generation->peak);
	count_tenant(generation, 1);
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
	struct generation *generation = tenant->generation;

	assert(!tenant->visitor);
	tenant_unwatch(tenant);
	if (tenant->wake_fd >= 0)
		close(tenant->wake_fd);
	quota_put(&tenant->unit);
	generation->tenants[tenant->id] = NULL;
	generation->n_tenants--;
	if (generation->n_tenants == 0)
		peak_stop(&generation->peak);
	generation->environment->counters->n_reaping -= tenant->state == TENANT_REAPING;
	count_tenant(generation, -1);
	free(tenant);
}

void tenant_end(struct tenant *tenant)
{
	struct generation *generation = tenant->generation;

	assert(tenant->state == TENANT_LIVE);
	tenant->state = TENANT_REAPING;
	generation->environment->counters->n_reaping++;
	tenant_unwatch(tenant);
	if (generation->segment && generation->state != GENERATION_LOST)
		holder_set_state(generation->segment, tenant->id, MEMPOOL_HOLDER_REAPING);
	generation_kick(generation);
}

static void tenant_is_dead(struct tenant *tenant)
{
	log_info("client '%s' (pid %d, uid %u) died: holder %u of %s is being reaped",
		 tenant->name, (int)tenant->pid, (unsigned int)tenant->uid, tenant->id,
		 generation_label(tenant->generation));
	tenant_end(tenant);
	if (tenant->visitor)
		tenant->generation->environment->tell->tenant_died(tenant->visitor);
}

static void on_death(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	tenant_is_dead(userdata);
}

static void tenant_watch(struct tenant *tenant, int pidfd)
{
	struct event_base *base = tenant->generation->environment->base;

	tenant->pidfd = pidfd;
	event_assign(&tenant->death, base, pidfd, EV_READ, on_death, tenant);
	event_add(&tenant->death, NULL);
}

/* Watch a process known from a record, or find it dead. */
static void tenant_watch_process(struct tenant *tenant)
{
	static struct log_limit limit = { .burst = 5 };
	struct generation *generation = tenant->generation;
	int pidfd, r;

	r = process_open(tenant->pid, tenant->start_time, &pidfd);
	if (r == 0) {
		tenant_watch(tenant, pidfd);
	} else if (r == -ESRCH) {
		tenant_is_dead(tenant);
	} else {
		log_limited(&limit, LOG_WARNING,
			    "cannot watch pid %d, holder %u of %s: %s; trying again",
			    (int)tenant->pid, tenant->id, generation_label(generation),
			    strerror(-r));
		generation_retry_soon(generation);
	}
}

static void on_rewatch(evutil_socket_t fd, short what, void *userdata)
{
	struct generation *generation = userdata;
	uint32_t id;

	(void)fd;
	(void)what;
	for (id = generation->first_id; id < generation->n_ids; id++) {
		struct tenant *tenant = generation->tenants[id];

		if (tenant && tenant->state == TENANT_LIVE && tenant->pidfd < 0)
			tenant_watch_process(tenant);
	}
	/* Or it was memory for a sweep that was short. */
	generation_kick(generation);
}

struct tenant *generation_tenant(const struct generation *generation, uint32_t id,
				 uint32_t incarnation)
{
	struct tenant *tenant = id < generation->n_ids ? generation->tenants[id] : NULL;

	return tenant && tenant->state == TENANT_LIVE && tenant->incarnation == incarnation
		       ? tenant : NULL;
}

void generation_tell_news(const struct generation *generation)
{
	for (uint32_t id = generation->first_id; id < generation->n_ids; id++) {
		const struct tenant *tenant = generation->tenants[id];

		if (tenant && tenant->visitor && tenant->wake_fd >= 0)
			generation->environment->tell->look_again(tenant->visitor);
	}
}

/* ---- the deferred step ---- */

/* Nothing can be swept there: the records are all that is to free. */
static void forget_the_dead(struct generation *generation)
{
	uint32_t id;

	for (id = 0; id < generation->n_ids; id++)
		if (generation->tenants[id] &&
		    generation->tenants[id]->state == TENANT_REAPING)
			tenant_free(generation->tenants[id]);
}

static bool is_damaged(const struct generation *generation)
{
	struct stat st;

	if (generation->segment && sigbus_was_hit(&generation->range))
		return true;
	return fstat(generation->fd, &st) < 0 ||
	       (uint64_t)st.st_size < generation->place.size_bytes;
}

void generation_check(struct generation *generation)
{
	if (generation->state == GENERATION_LOST || !is_damaged(generation))
		return;
	log_error("segment %s was truncated by a process that may write it: it is lost; its %u "
		  "clients cannot go on with it", generation_label(generation),
		  generation->n_tenants);
	reaper_stop(generation);
	peak_stop(&generation->peak);
	generation->state = GENERATION_LOST;
	generation_kick(generation);
	host_lost_generation(generation->host, generation);
}

void generation_wait(struct generation *generation, struct visitor *visitor)
{
	assert(!visitor->waits_for);
	visitor->waits_for = generation;
	TAILQ_INSERT_TAIL(&generation->waiting, visitor, link);
}

void generation_stop_waiting(struct visitor *visitor)
{
	if (visitor->waits_for)
		TAILQ_REMOVE(&visitor->waits_for->waiting, visitor, link);
	visitor->waits_for = NULL;
}

/* Each once: those who have to go on waiting are at the end again. */
static void retry_waiting(struct generation *generation)
{
	struct visitor *visitor;
	uint32_t n = 0;

	TAILQ_FOREACH(visitor, &generation->waiting, link)
		n++;
	for (; n > 0 && (visitor = TAILQ_FIRST(&generation->waiting)); n--) {
		generation_stop_waiting(visitor);
		generation->environment->tell->try_again(visitor);
	}
}

static void on_step(evutil_socket_t fd, short what, void *userdata)
{
	struct generation *generation = userdata;
	bool is_more = false;

	(void)fd;
	(void)what;
	generation_check(generation);
	if (generation->state == GENERATION_LOST || !generation->segment)
		forget_the_dead(generation);
	else
		is_more = reaper_step(generation);
	if (!generation->reaper.is_running)
		retry_waiting(generation);
	if (generation->state != GENERATION_CURRENT && generation->n_tenants == 0 &&
	    TAILQ_EMPTY(&generation->waiting))
		host_remove_generation(generation->host, generation);
	else if (is_more)
		generation_kick(generation);
}

/* ---- the whole ---- */

int generation_new(struct host *host, const char *shm_name, struct segment *segment,
		   const struct frozen *frozen, struct generation **ret_generation)
{
	const struct environment *environment = &host->hosts->environment;
	struct generation *generation;
	struct stat st;
	int fd = segment ? segment->memory.fd : frozen->fd;

	if (fstat(fd, &st) < 0)
		return -errno;
	generation = calloc(1, sizeof(*generation));
	if (!generation)
		return -ENOMEM;
	generation->n_ids = segment ? segment->n_holders : frozen->n_holders;
	generation->tenants = calloc(generation->n_ids, sizeof(*generation->tenants));
	if (!generation->tenants) {
		free(generation);
		return -ENOMEM;
	}
	generation->host = host;
	generation->environment = environment;
	generation->state = GENERATION_CURRENT;
	generation->segment = segment;
	generation->fd = fd;
	generation->place = (struct mempool_msg_place){
		.segment_id = segment ? segment->segment_id : frozen->segment_id,
		.generation = segment ? segment->generation : frozen->generation,
		.size_bytes = (uint64_t)st.st_size,
		.device = st.st_dev,
		.inode = st.st_ino,
	};
	memcpy(generation->place.segment, host->name, sizeof(generation->place.segment));
	snprintf(generation->place.shm_name, sizeof(generation->place.shm_name), "%s",
		 shm_name);
	if (segment) {
		generation->first_id = holder_first_client(segment);
		sigbus_watch(&generation->range, segment->memory.base, segment->memory.size);
	}
	TAILQ_INIT(&generation->waiting);
	peak_init(&generation->peak, environment->base, segment);
	evtimer_assign(&generation->step, environment->base, on_step, generation);
	evtimer_assign(&generation->rewatch, environment->base, on_rewatch, generation);
	*ret_generation = generation;
	return 0;
}

void generation_free(struct generation *generation)
{
	uint32_t id;

	if (!generation)
		return;
	assert(TAILQ_EMPTY(&generation->waiting));
	for (id = 0; id < generation->n_ids; id++)
		if (generation->tenants[id])
			tenant_free(generation->tenants[id]);
	reaper_stop(generation);
	peak_stop(&generation->peak);
	evtimer_del(&generation->step);
	evtimer_del(&generation->rewatch);
	sigbus_unwatch(&generation->range);
	if (generation->segment)
		segment_free(generation->segment);
	else
		close(generation->fd);
	free(generation->tenants);
	free(generation);
}

static int adopt_tenant(struct generation *generation, uint32_t id,
			const struct newcomer *newcomer, uint32_t incarnation, bool is_live)
{
	struct tenant *tenant;
	int r;

	r = tenant_new(generation, id, newcomer, &tenant);
	if (r < 0)
		return r;
	tenant->incarnation = incarnation;
	/* Clients of another layout cannot come back; what they have is not ours to count. */
	if (generation->segment) {
		r = quota_take_anyway(generation->environment->quota, tenant->uid, &tenant->unit);
		if (r < 0)
			return r;
	}
	if (is_live)
		tenant_watch_process(tenant);
	else
		tenant_end(tenant);
	return 0;
}

/* Of a layout that is ours: whole records. */
static int adopt_holders(struct generation *generation)
{
	struct holder holder;
	uint32_t id;
	int r;

	for (id = generation->first_id; id < generation->n_ids; id++) {
		r = holder_read(generation->segment, id, &holder);
		if (r < 0)
			return r;
		if (holder.state == MEMPOOL_HOLDER_FREE)
			continue;
		r = adopt_tenant(generation, id,
				 &(struct newcomer){ .pid = (pid_t)holder.pid,
						     .start_time = holder.start_time,
						     .uid = holder.uid,
						     .nonce = holder.nonce,
						     .name = holder.name },
				 holder.incarnation, holder.state == MEMPOOL_HOLDER_LIVE);
		if (r < 0)
			return r;
	}
	generation->reaper.daemon_is_dead = true;
	generation_kick(generation);
	return 0;
}

/* Of another layout: the head of a record tells who, and no more. */
static int adopt_frozen(struct generation *generation, const struct frozen *frozen)
{
	struct frozen_holder holder;
	uint32_t id;
	int r;

	for (id = 0; id < generation->n_ids; id++) {
		r = frozen_read(frozen, id, &holder);
		if (r < 0)
			return r;
		if (holder.state != MEMPOOL_HOLDER_LIVE)
			continue;
		r = adopt_tenant(generation, id,
				 &(struct newcomer){ .pid = holder.pid,
						     .start_time = holder.start_time,
						     .uid = (uid_t)-1,
						     .name = "?" },
				 0, true);
		if (r < 0)
			return r;
	}
	generation_kick(generation);
	return 0;
}

int generation_adopt_tenants(struct generation *generation, const struct frozen *frozen)
{
	if (generation->segment)
		return adopt_holders(generation);
	return adopt_frozen(generation, frozen);
}

void generation_set_daemon(struct generation *generation)
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
	holder_set_live(generation->segment, &holder);
}

void generation_retire(struct generation *generation)
{
	assert(generation->state == GENERATION_CURRENT);
	if (generation->segment)
		segment_retire(generation->segment);
	generation_tell_news(generation);
	generation->state = GENERATION_RETIRED;
	generation_kick(generation);
}

struct tenant *generation_find(struct generation *generation, const struct newcomer *newcomer)
{
	uint32_t id;

	for (id = generation->first_id; id < generation->n_ids; id++) {
		struct tenant *tenant = generation->tenants[id];

		if (tenant && tenant->state == TENANT_LIVE &&
		    tenant->nonce == newcomer->nonce && tenant->pid == newcomer->pid &&
		    tenant->start_time == newcomer->start_time)
			return tenant;
	}
	return NULL;
}

/* A free id, else 0; and whether one of those in use is about to be free. */
static uint32_t find_free_id(const struct generation *generation, bool *ret_soon)
{
	uint32_t id;

	*ret_soon = false;
	for (id = generation->first_id; id < generation->n_ids; id++) {
		if (!generation->tenants[id])
			return id;
		if (generation->tenants[id]->state == TENANT_REAPING)
			*ret_soon = true;
	}
	return MEMPOOL_HOLDER_NONE;
}

int generation_admit(struct generation *generation, const struct newcomer *newcomer,
		     int pidfd, struct tenant **ret_tenant)
{
	struct tenant *tenant;
	struct holder holder;
	bool is_soon;
	uint32_t id;
	int r;

	id = find_free_id(generation, &is_soon);
	if (id == MEMPOOL_HOLDER_NONE)
		return is_soon ? -EAGAIN : -EUSERS;
	r = tenant_new(generation, id, newcomer, &tenant);
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
	tenant->incarnation = holder_set_live(generation->segment, &holder);
	tenant_watch(tenant, pidfd);
	*ret_tenant = tenant;
	return 0;
}
