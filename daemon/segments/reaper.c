/* SPDX-License-Identifier: MIT */
#include "daemon/segments/reaper.h"

#include "build_config.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/segments/generation.h"
#include "shm/audit.h"
#include "shm/holder.h"

#define REAPER_SLICE_WORDS (UINT32_C(1) << 16)

/* Return: whether there is anybody to sweep for. */
static bool reaper_begin(struct generation *generation)
{
	static struct log_limit limit = { .burst = 1 };
	struct reaper *reaper = &generation->reaper;
	uint32_t id;

	if (reap_init(&reaper->reap, generation->segment) < 0) {
		generation_retry_soon(generation);
		log_limited(&limit, LOG_ERR, "segment %s: no memory for a sweep",
			    generation_label(generation));
		return false;
	}
	reaper->n_dead = 0;
	for (id = generation->first_id; id < generation->n_ids; id++) {
		const struct tenant *tenant = generation->tenants[id];

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
		return false;
	}
	reaper->begun_ns = clock_monotonic_ns();
	reaper->is_running = true;
	return true;
}

#if MEMPOOL_DEBUG_AUDIT
static void on_fault(const char *text, void *userdata)
{
	log_error("audit of segment %s: %s", generation_label(userdata), text);
}

/* Builds for development: what a sweep leaves must be whole. Clients go on meanwhile. */
static void audit_after_reap(struct generation *generation)
{
	struct audit audit;

	audit_segment(generation->segment, 0, on_fault, generation, &audit);
}
#else
static void audit_after_reap(struct generation *generation)
{
	(void)generation;
}
#endif

/* Return: false: memory was short, it is tried again in a second. */
static bool reaper_finish(struct generation *generation)
{
	static struct log_limit limit = { .burst = 1 };
	struct reaper *reaper = &generation->reaper;
	uint32_t id;

	if (reaper->reap.n_skipped > 0) {
		log_limited(&limit, LOG_ERR, "segment %s: no memory to look into its queues",
			    generation_label(generation));
		reaper_stop(generation);
		generation_retry_soon(generation);
		return false;
	}
	for (id = generation->first_id; id < generation->n_ids; id++) {
		if (!generation->tenants[id] || !reap_has(&reaper->reap, id))
			continue;
		holder_set_state(generation->segment, id, MEMPOOL_HOLDER_FREE);
		tenant_free(generation->tenants[id]);
	}
	if (reaper->daemon_is_dead && reap_has(&reaper->reap, MEMPOOL_HOLDER_DAEMON_ID)) {
		reaper->daemon_is_dead = false;
		generation_set_daemon(generation);
	}
	audit_after_reap(generation);
	/* What was freed or sent in the name of the dead may be what somebody polls for. */
	generation_tell_news(generation);
	log_at(reaper->reap.n_freed ? LOG_INFO : LOG_DEBUG,
	       "segment %s: freed %llu chunks of %u holders that are gone, in %.1f ms",
	       generation_label(generation), (unsigned long long)reaper->reap.n_freed,
	       reaper->n_dead, (double)(clock_monotonic_ns() - reaper->begun_ns) / 1e6);
	reaper_stop(generation);
	return true;
}

bool reaper_step(struct generation *generation)
{
	struct reaper *reaper = &generation->reaper;

	if (!reaper->is_running && !reaper_begin(generation))
		return false;
	return !reap_step(&reaper->reap, REAPER_SLICE_WORDS) || reaper_finish(generation);
}

void reaper_stop(struct generation *generation)
{
	struct reaper *reaper = &generation->reaper;

	if (reaper->is_running)
		reap_deinit(&reaper->reap);
	reaper->is_running = false;
}
