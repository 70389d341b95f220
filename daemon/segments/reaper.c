/* SPDX-License-Identifier: MIT */
#include "daemon/segments/reaper.h"

#include "build_config.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "shm/audit.h"
#include "shm/holder.h"

/* What a step does: so many words, ids to look at, and records to release. */
#define STEP_WORDS 1024
#define STEP_IDS 256
#define STEP_RECORDS 8

void reaper_init(struct reaper *reaper, struct tenants *tenants)
{
	*reaper = (struct reaper){ .tenants = tenants, .phase = REAPER_RESTS };
}

static void enter(struct reaper *reaper, enum reaper_phase phase)
{
	reaper->phase = phase;
	reaper->id = reaper->tenants->first_id;
}

static enum reaper_result begin(struct reaper *reaper)
{
	static struct log_limit limit = LOG_LIMIT("sweeps without memory", 1);
	const struct tenants *tenants = reaper->tenants;

	if (tenants->n_reaping == 0 && !(tenants->segment && reaper->daemon_is_dead))
		return REAPER_IDLE;
	if (!tenants->segment) {
		enter(reaper, REAPER_RELEASES);
		return REAPER_BUSY;
	}
	if (reap_init(&reaper->reap, tenants->segment) < 0 ||
	    reap_renew_lanes(&reaper->reap) < 0) {
		reap_deinit(&reaper->reap);
		log_limited(&limit, LOG_ERR, "segment %s: no memory for a sweep",
			    tenants_label(tenants));
		return REAPER_SHORT;
	}
	reaper->n_dead = 0;
	reaper->begun_ns = clock_monotonic_ns();
	enter(reaper, REAPER_GATHERS);
	return REAPER_BUSY;
}

static void gather(struct reaper *reaper)
{
	const struct tenants *tenants = reaper->tenants;

	for (uint32_t n = 0; n < STEP_IDS && reaper->id < tenants->n_ids; n++, reaper->id++) {
		const struct tenant *tenant = tenants->by_id[reaper->id];

		if (tenant && tenant->state == TENANT_REAPING) {
			reap_add(&reaper->reap, reaper->id);
			reaper->n_dead++;
		}
	}
	if (reaper->id < tenants->n_ids)
		return;
	if (reaper->daemon_is_dead) {
		reap_add(&reaper->reap, MEMPOOL_HOLDER_DAEMON_ID);
		reaper->n_dead++;
	}
	enter(reaper, REAPER_SWEEPS);
}

static void on_fault(const char *text, void *userdata)
{
	log_error("audit of segment %s: %s", tenants_label(userdata), text);
}

/* Builds for development: what a sweep leaves must be whole. Clients go on meanwhile. */
static bool begin_audit(struct reaper *reaper)
{
	struct tenants *tenants = reaper->tenants;

	if (!MEMPOOL_DEBUG_AUDIT || !tenants->segment ||
	    audit_begin(&reaper->audit, tenants->segment, 0, on_fault, tenants) < 0)
		return false;
	reaper->phase = REAPER_AUDITS;
	return true;
}

/* Return: whether it is over. With a budget of nothing, as much as is done without asking. */
static bool audit_on(struct reaper *reaper)
{
	struct budget budget = budget_of(0);

	return audit_go_on(&reaper->audit, &budget);
}

static bool is_swept(const struct reaper *reaper, const struct tenant *tenant)
{
	return tenant->state == TENANT_REAPING &&
	       (!reaper->tenants->segment || reap_has(&reaper->reap, tenant->id));
}

/* Return: whether there are more. An id that is free again is behind us. */
static bool release(struct reaper *reaper)
{
	const struct tenants *tenants = reaper->tenants;
	uint32_t n = 0;

	for (; n < STEP_IDS && reaper->id < tenants->n_ids; n++, reaper->id++) {
		struct tenant *tenant = tenants->by_id[reaper->id];

		if (!tenant || !is_swept(reaper, tenant))
			continue;
		tenant_release(tenant);
		n += STEP_IDS / STEP_RECORDS;
	}
	return reaper->id < tenants->n_ids;
}

static void finish(struct reaper *reaper)
{
	static struct log_limit freed = LOG_LIMIT("sweeps", 100);
	struct tenants *tenants = reaper->tenants;

	if (tenants->segment) {
		if (reaper->daemon_is_dead &&
		    reap_has(&reaper->reap, MEMPOOL_HOLDER_DAEMON_ID)) {
			reaper->daemon_is_dead = false;
			tenants_set_daemon(tenants);
		}
		/* What was freed or sent in the name of the dead may be what somebody polls for. */
		tenants_tell_news(tenants);
		log_limited(&freed, reaper->reap.n_freed ? LOG_INFO : LOG_DEBUG,
			    "segment %s: freed %llu chunks of %u holders that are gone, in %.1f ms",
			    tenants_label(tenants), (unsigned long long)reaper->reap.n_freed,
			    reaper->n_dead, (double)(clock_monotonic_ns() - reaper->begun_ns) / 1e6);
	}
}

enum reaper_result reaper_step(struct reaper *reaper)
{
	switch (reaper->phase) {
	case REAPER_RESTS:
		return begin(reaper);
	case REAPER_GATHERS:
		gather(reaper);
		break;
	case REAPER_SWEEPS:
		if (reap_step(&reaper->reap, STEP_WORDS))
			enter(reaper, REAPER_RELEASES);
		break;
	case REAPER_RELEASES:
		if (release(reaper))
			break;
		finish(reaper);
		if (begin_audit(reaper))
			break;
		reaper_stop(reaper);
		return REAPER_DONE;
	case REAPER_AUDITS:
		if (!audit_on(reaper))
			break;
		reaper_stop(reaper);
		return REAPER_DONE;
	}
	return REAPER_BUSY;
}

void reaper_stop(struct reaper *reaper)
{
	/* Both are legal where there was no beginning. */
	reap_deinit(&reaper->reap);
	audit_end(&reaper->audit);
	reaper->phase = REAPER_RESTS;
}
