/* SPDX-License-Identifier: MIT */
#include "daemon/segments/tenant.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
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

/* Of a table of ids, what a step of a chore looks at. */
#define STEP_IDS 256

/* ---- one ---- */

static void count(const struct tenants *tenants, int difference)
{
	const struct environment *environment = tenants->environment;

	environment->counters->n_tenants += (uint64_t)(int64_t)difference;
	environment->tell->changed(environment->userdata);
}

static const struct watched_fns watched_fns;

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
	tenant->has_membarrier = holder->has_membarrier;
	tenant->role = holder->role;
	tenant->bound = holder->bound;
	tenant->reserves = holder->reserves;
	memcpy(tenant->name, holder->name, sizeof(tenant->name));
	tenant->watched.tell = &watched_fns;
	tenant->wake_fd = -1;

	assert(!tenants->by_id[id]);
	tenants->by_id[id] = tenant;
	tenants->keys[id] = (struct tenant_key){ tenant->nonce, tenant->uid };
	tenants->n++;
	tenants->n_deaf += !tenant->has_membarrier;
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
		.uid = tenant->uid,
		.incarnation = tenant->incarnation,
		.attached_ns = tenant->attached_ns,
		.bound = tenant->bound,
		.is_reader = tenant->role == MEMPOOL_WELCOME_READER,
		.reserves = tenant->reserves,
	};

	if (!segment)
		return;
	memcpy(holder.name, tenant->name, sizeof(holder.name));
	holder_set_live(segment, &holder);
}

static void tenant_free(struct tenant *tenant)
{
	struct tenants *tenants = tenant->tenants;

	assert(!tenant->visitor);
	watch_leave(&tenant->watched);
	if (tenant->wake_fd >= 0)
		close(tenant->wake_fd);
	quota_put(&tenant->unit);
	tenants->by_id[tenant->id] = NULL;
	tenants->keys[tenant->id].nonce = 0;
	tenants->n--;
	tenants->n_deaf -= !tenant->has_membarrier;
	if (tenant->state == TENANT_REAPING) {
		tenants->n_reaping--;
		tenants->environment->counters->n_reaping--;
	}
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
	tenants->n_reaping++;
	tenants->environment->counters->n_reaping++;
	watch_leave(&tenant->watched);
	state_end(tenants->state, tenant->id);
	if (tenants->segment)
		holder_set_state(tenants->segment, tenant->id, MEMPOOL_HOLDER_REAPING);
	chore_start(tenants->step);
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

static struct tenant *tenant_of(struct watched *watched)
{
	return (struct tenant *)((char *)watched - offsetof(struct tenant, watched));
}

static void on_died(struct watched *watched)
{
	tenant_is_dead(tenant_of(watched));
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
			    "holder %u of %s, lives: its pid is of another namespace, or hidden; it "
			    "keeps what it has (mempoolctl forget)", tenant->name, (int)tenant->process.pid,
			    (unsigned int)tenant->uid, tenant->id, tenants_label(tenants));
	tenant->is_unseen = true;
	if (tenants->segment)
		holder_set_flags(tenants->segment, tenant->id,
				 (is_unverifiable ? MEMPOOL_HOLDER_UNVERIFIABLE : 0) |
				 (tenant->role == MEMPOOL_WELCOME_READER ? MEMPOOL_HOLDER_READER : 0));
}

static void on_blind(struct watched *watched, int error)
{
	static struct log_limit limit = LOG_LIMIT("processes that cannot be watched", 5);
	struct tenant *tenant = tenant_of(watched);

	if (error == -EXDEV)
		tenant_look_at_lock(tenant);
	else if (error != tenant->blind_error)
		log_limited(&limit, LOG_WARNING, "cannot watch pid %d, holder %u of %s: %s; trying "
			    "again each second", (int)tenant->process.pid, tenant->id,
			    tenants_label(tenant->tenants), strerror(-error));
	tenant->blind_error = error;
}

static const struct watched_fns watched_fns = {
	.died = on_died,
	.blind = on_blind,
};

/* Return: 0; -ESRCH it is dead; -ENOMEM. */
static int tenant_watch(struct tenant *tenant, int *pidfd)
{
	return watch_join(tenant->tenants->environment->watches, &tenant->watched,
			  &tenant->process, pidfd);
}

/* ---- all of them ---- */

static bool tell_news(void *userdata);
static bool try_one(void *userdata);

int tenants_init(struct tenants *tenants, const struct environment *environment,
		 const struct mempool_msg_place *place, struct state *state,
		 struct segment *segment, int fd, struct chore *step)
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
	chore_init(&tenants->news, environment->chores, tell_news, tenants);
	chore_init(&tenants->tries, environment->chores, try_one, tenants);
	tenants->by_id = calloc(tenants->n_ids, sizeof(struct tenant *));
	tenants->keys = calloc(tenants->n_ids, sizeof(*tenants->keys));
	if (tenants->by_id && tenants->keys)
		return 0;
	free(tenants->by_id);
	free(tenants->keys);
	return -ENOMEM;
}

void tenants_deinit(struct tenants *tenants)
{
	uint32_t id;

	assert(TAILQ_EMPTY(&tenants->waiting));
	for (id = 0; id < tenants->n_ids; id++)
		if (tenants->by_id[id])
			tenant_free(tenants->by_id[id]);
	chore_stop(&tenants->news);
	chore_stop(&tenants->tries);
	free(tenants->by_id);
	free(tenants->keys);
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
		if (tenants->keys[id].nonce == newcomer->nonce && tenants->by_id[id] &&
		    is_tenant_of(tenants->by_id[id], newcomer))
			return tenants->by_id[id];
	return NULL;
}

bool tenants_have_user(const struct tenants *tenants, uid_t uid)
{
	for (uint32_t id = tenants->first_id; id < tenants->n_ids; id++)
		if (tenants->keys[id].nonce != 0 && tenants->keys[id].uid == uid)
			return true;
	return false;
}

static bool tell_news(void *userdata)
{
	struct tenants *tenants = userdata;

	for (uint32_t n = 0; n < STEP_IDS && tenants->news_id < tenants->n_ids; n++) {
		const struct tenant *tenant = tenants->by_id[tenants->news_id++];

		if (tenant && tenant->visitor && tenant->polls) {
			tenants->environment->tell->look_again(tenant->visitor);
			break;
		}
	}
	return tenants->news_id < tenants->n_ids;
}

void tenants_tell_news(struct tenants *tenants)
{
	/* Also those who were told already of what was news a moment ago. */
	tenants->news_id = tenants->first_id;
	chore_start(&tenants->news);
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
	if (holder->state != MEMPOOL_HOLDER_LIVE) {
		tenant_end(tenant);
		return 0;
	}
	r = tenant_watch(tenant, NULL);
	if (r == -ESRCH) {
		tenant_is_dead(tenant);
		return 0;
	}
	return r;
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

/* A free id, else 0. */
static uint32_t find_free_id(const struct tenants *tenants)
{
	for (uint32_t id = tenants->first_id; id < tenants->n_ids; id++)
		if (!tenants->by_id[id])
			return id;
	return MEMPOOL_HOLDER_NONE;
}

int tenants_admit(struct tenants *tenants, const struct newcomer *newcomer, int *pidfd,
		  struct tenant **ret_tenant)
{
	struct state_holder holder = {
		.process = newcomer->process,
		.uid = newcomer->uid,
		.nonce = newcomer->nonce,
		.attached_ns = clock_realtime_ns(),
		.has_membarrier = newcomer->has_membarrier,
		.role = newcomer->role,
		.bound = newcomer->bound,
		.reserves = newcomer->reserves,
	};
	struct tenant *tenant;
	uint32_t id;
	int r;

	id = find_free_id(tenants);
	if (id == MEMPOOL_HOLDER_NONE)
		return tenants->n_reaping > 0 ? -EAGAIN : -EUSERS;
	snprintf(holder.name, sizeof(holder.name), "%s", newcomer->name);
	r = tenant_new(tenants, id, &holder, &tenant);
	if (r < 0)
		return r;
	r = tenant_watch(tenant, pidfd);
	if (r < 0) {
		tenant_free(tenant);
		return r;
	}
	tenant->incarnation = state_admit(tenants->state, id, &holder);
	tenant_copy(tenant);
	*ret_tenant = tenant;
	return 0;
}

void tenant_lose_membarrier(struct tenant *tenant)
{
	struct tenants *tenants = tenant->tenants;

	if (!tenant->has_membarrier)
		return;
	tenant->has_membarrier = false;
	tenants->n_deaf++;
	state_lose_membarrier(tenants->state, tenant->id);
	chore_start(tenants->step);
}

void tenant_come_back(struct tenant *tenant, const struct newcomer *newcomer, int *pidfd)
{
	if (!newcomer->has_membarrier)
		tenant_lose_membarrier(tenant);
	if (watch_sees(&tenant->watched))
		return;
	watch_leave(&tenant->watched);
	if (tenant->is_unseen) {
		state_move_process(tenant->tenants->state, tenant->id, &newcomer->process);
		tenant->process = newcomer->process;
		tenant->is_unseen = false;
		tenant_copy(tenant);
	}
	/* Short of memory, it is tried again with the next hello. */
	tenant_watch(tenant, pidfd);
}

void tenant_look_up(struct tenant *tenant)
{
	if (watch_look_up(&tenant->watched, &tenant->process))
		state_set_start_time(tenant->tenants->state, tenant->id,
				     tenant->process.start_time);
}

const struct tenant *tenants_get_living(const struct tenants *tenants, uint32_t id)
{
	const struct tenant *tenant = id < tenants->n_ids ? tenants->by_id[id] : NULL;

	return tenant && tenant->state == TENANT_LIVE ? tenant : NULL;
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

bool tenants_give_up(struct tenants *tenants)
{
	for (uint32_t id = tenants->first_id; id < tenants->n_ids; id++) {
		struct tenant *tenant = tenants->by_id[id];

		if (!tenant || tenant->state != TENANT_LIVE)
			continue;
		tenant_end(tenant);
		if (tenant->visitor)
			tenants->environment->tell->tenant_died(tenant->visitor);
		return true;
	}
	return false;
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
	holder_set_live(tenants->segment, &holder);
}

/* ---- who waits ---- */

void tenants_wait(struct tenants *tenants, struct visitor *visitor)
{
	assert(!visitor->waits_for);
	visitor->waits_for = tenants;
	TAILQ_INSERT_TAIL(&tenants->waiting, visitor, link);
	tenants->n_waiting++;
}

static void leave_queue(struct visitor *visitor)
{
	TAILQ_REMOVE(&visitor->waits_for->waiting, visitor, link);
	visitor->waits_for->n_waiting--;
	visitor->waits_for = NULL;
}

void tenants_stop_waiting(struct visitor *visitor)
{
	if (!visitor->waits_for)
		return;
	chore_start(visitor->waits_for->step);
	leave_queue(visitor);
}

static bool try_one(void *userdata)
{
	struct tenants *tenants = userdata;
	struct visitor *visitor = TAILQ_FIRST(&tenants->waiting);

	if (visitor && tenants->n_tries > 0) {
		tenants->n_tries--;
		leave_queue(visitor);
		/* Who has to go on waiting is at the end again. */
		tenants->environment->tell->try_again(visitor);
	}
	/* The last one to wait may be what the generation has waited for. */
	if (tenants->n_waiting == 0)
		chore_start(tenants->step);
	return tenants->n_tries > 0 && tenants->n_waiting > 0;
}

void tenants_try_again(struct tenants *tenants)
{
	tenants->n_tries = tenants->n_waiting;
	if (tenants->n_tries > 0)
		chore_start(&tenants->tries);
}
