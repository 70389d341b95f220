/* SPDX-License-Identifier: MIT */
#include "daemon/segments/reaper.h"

#include "build_config.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "shm/audit.h"
#include "shm/holder.h"

#define REAPER_SLICE_WORDS (UINT32_C(1) << 16)

void reaper_init(struct reaper *reaper, struct tenants *tenants)
{
	*reaper = (struct reaper){ .tenants = tenants };
}

static enum reaper_result reaper_begin(struct reaper *reaper)
{
	static struct log_limit limit = LOG_LIMIT("sweeps without memory", 1);
	const struct tenants *tenants = reaper->tenants;
	uint32_t id;

	if (reap_init(&reaper->reap, tenants->segment) < 0) {
		log_limited(&limit, LOG_ERR, "segment %s: no memory for a sweep",
			    tenants_label(tenants));
		return REAPER_SHORT;
	}
	reaper->n_dead = 0;
	for (id = tenants->first_id; id < tenants->n_ids; id++) {
		const struct tenant *tenant = tenants->by_id[id];

		if (tenant && tenant->state == TENANT_REAPING) {
			reap_add(&reaper->reap, id);
			reaper->n_dead++;
		}
	}
	if (reaper->daemon_is_dead) {
		reap_add(&reaper->reap, MEMPOOL_HOLDER_DAEMON_ID);
		reaper->n_dead++;
	}
	if (reaper->n_dead == 0) {
		reap_deinit(&reaper->reap);
		return REAPER_IDLE;
	}
	reaper->begun_ns = clock_monotonic_ns();
	reaper->is_running = true;
	return REAPER_BUSY;
}

#if MEMPOOL_DEBUG_AUDIT
static void on_fault(const char *text, void *userdata)
{
	log_error("audit of segment %s: %s", tenants_label(userdata), text);
}

/* Builds for development: what a sweep leaves must be whole. Clients go on meanwhile. */
static void audit_after_reap(struct tenants *tenants)
{
	struct audit audit;

	audit_segment(tenants->segment, 0, on_fault, tenants, &audit);
}
#else
static void audit_after_reap(struct tenants *tenants)
{
	(void)tenants;
}
#endif

static enum reaper_result reaper_finish(struct reaper *reaper)
{
	static struct log_limit freed = LOG_LIMIT("sweeps", 100);
	struct tenants *tenants = reaper->tenants;
	uint32_t id;

	for (id = tenants->first_id; id < tenants->n_ids; id++) {
		if (!tenants->by_id[id] || !reap_has(&reaper->reap, id))
			continue;
		tenant_release(tenants->by_id[id]);
	}
	if (reaper->daemon_is_dead && reap_has(&reaper->reap, MEMPOOL_HOLDER_DAEMON_ID)) {
		reaper->daemon_is_dead = false;
		tenants_set_daemon(tenants);
	}
	audit_after_reap(tenants);
	/* What was freed or sent in the name of the dead may be what somebody polls for. */
	tenants_tell_news(tenants);
	log_limited(&freed, reaper->reap.n_freed ? LOG_INFO : LOG_DEBUG,
		    "segment %s: freed %llu chunks of %u holders that are gone, in %.1f ms",
		    tenants_label(tenants), (unsigned long long)reaper->reap.n_freed,
		    reaper->n_dead, (double)(clock_monotonic_ns() - reaper->begun_ns) / 1e6);
	reaper_stop(reaper);
	return REAPER_BUSY;
}

enum reaper_result reaper_step(struct reaper *reaper)
{
	if (!reaper->is_running) {
		enum reaper_result result = reaper_begin(reaper);

		if (result != REAPER_BUSY)
			return result;
	}
	if (reap_step(&reaper->reap, REAPER_SLICE_WORDS))
		return reaper_finish(reaper);
	return REAPER_BUSY;
}

void reaper_stop(struct reaper *reaper)
{
	if (reaper->is_running)
		reap_deinit(&reaper->reap);
	reaper->is_running = false;
}
