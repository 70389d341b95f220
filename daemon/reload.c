/* SPDX-License-Identifier: MIT */
#include "daemon/reload.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/jobs.h"
#include "daemon/base/log.h"
#include "daemon/base/notify.h"
#include "daemon/segments/build.h"
#include "daemon/segments/generation.h"
#include "daemon/segments/host.h"

static const struct timeval tick_interval = { 1, 0 };

/* One segment of the new config. */
struct change {
	struct host *host;
	const struct conf_segment *conf;
	bool is_failed;			/* what was left of it cannot be adopted now */
	bool is_made;			/* there is to be a new generation */
	bool is_remade;			/* in the place of one that was lost */
	int r;				/* of the build */
	struct build build;
	struct generation *generation;	/* has taken what was built */
};

static void begin(struct reload *reload);

/* ---- undo, and say how it went ---- */

static void undo(struct reload *reload)
{
	size_t i;

	forecast_deinit(&reload->forecast);
	for (i = 0; i < reload->n_changes; i++) {
		struct change *change = &reload->changes[i];

		generation_free(change->generation);
		if (change->is_made)
			build_deinit(&change->build, &reload->hosts->jobs);
		if (change->host)
			host_unpin(change->host);
	}
	free(reload->changes);
	reload->changes = NULL;
	reload->n_changes = 0;
	conf_free(reload->conf);
	reload->conf = NULL;
	conf_error_deinit(&reload->error);
}

static bool is_dry_run(const struct reload *reload)
{
	return reload->flags & MEMPOOL_RELOAD_DRY_RUN;
}

static void log_result(const struct reload *reload)
{
	const struct mempool_msg_reloaded *result = &reload->result;

	if (result->error < 0)
		log_error("the reload has failed: nothing was changed");
	else if (is_dry_run(reload))
		log_notice("looked at %s, and changed nothing", reload->path);
	else
		log_notice("reloaded %s; segments: %u, with a new layout: %u, new: %u, gone: %u",
			   reload->path, result->n_segments, result->n_relaid,
			   result->n_added, result->n_removed);
}

static void finish(struct reload *reload, int error)
{
	struct mempool_msg_reloaded *result = &reload->result;
	char *forecast = NULL;

	if (error == 0 && is_dry_run(reload))
		forecast = forecast_text(&reload->forecast,
					 reload->flags & MEMPOOL_RELOAD_DISCARD);
	undo(reload);
	event_del(&reload->tick);
	log_keep(NULL, 0, 0);
	reload->state = RELOAD_IDLE;
	jobs_release(&reload->hosts->jobs);
	result->error = error;
	/* Whoever found an error has logged it, but for want of memory or a thread. */
	if (error < 0 && !result->text[0]) {
		snprintf(result->text, sizeof(result->text), "%s", strerror(-error));
		log_error("cannot reload: %s", result->text);
	}
	log_result(reload);
	notify_state("READY=1");
	reload->tell->changed(reload->userdata);
	reload->tell->over(reload->number, result, forecast, reload->userdata);
	free(forecast);
	/* What would have failed has not. */
	if (is_dry_run(reload))
		result->error = 0;
	if (reload->is_wanted)
		begin(reload);
}

int reload_describe(const struct reload *reload, char *text, size_t size)
{
	char taken[LOG_SIZE_BYTES], total[LOG_SIZE_BYTES];

	switch (reload->state) {
	case RELOAD_LOADING:
		return snprintf(text, size, "; reloading");
	case RELOAD_WAITING:
		return snprintf(text, size, "; reloading: another segment is being made");
	case RELOAD_MAKING:
		return snprintf(text, size, "; reloading: %s of %s taken",
				log_size(taken, atomic_load_explicit(&reload->taken_bytes,
								     memory_order_relaxed)),
				log_size(total, reload->total_bytes));
	case RELOAD_IDLE:
		break;
	}
	if (reload->result.error == 0)
		return snprintf(text, size, "%s", "");
	return snprintf(text, size, "; the last reload failed: %s", reload->result.text);
}

static void on_tick(evutil_socket_t fd, short what, void *userdata)
{
	struct reload *reload = userdata;

	(void)fd;
	(void)what;
	/* Whoever waits for us to be ready again is to wait on. */
	notify("EXTEND_TIMEOUT_USEC=30000000");
	reload->tell->changed(reload->userdata);
}

/* ---- put in force ---- */

/* Of a segment that stays; how its pages are is not changed while clients are in it. */
static void tell_of_pages(const struct change *change)
{
	const struct pages *before = &change->host->conf->pages, *pages = &change->conf->pages;

	if (pages->prefault != before->prefault || pages->lock != before->lock || pages->policy != before->policy ||
	    memcmp(pages->nodes, before->nodes, sizeof(pages->nodes)) != 0)
		log_warning("segment '%s': prefault, lock and numa stay as they are "
			    "until a restart or a new layout", change->host->name);
}

static void put_generation_in_force(struct change *change)
{
	build_keep(&change->build);
	host_take_up(change->host, change->generation, &change->build);
	change->generation = NULL;
	if (change->is_remade)
		log_warning("segment '%s' was lost, and has been made anew", change->host->name);
}

/* A segment that is as it was; or was lost while the others were made. */
static void put_in_force_unchanged(const struct change *change)
{
	struct host *host = change->host;

	if (host->current)
		generation_check(host->current);
	if (!host->current)
		log_warning("segment '%s' is not served: %s", host->name, host->why);
}

/* The hosts in the new order; behind them those that no longer have a segment. */
static void put_hosts_in_force(struct reload *reload)
{
	struct host_list *hosts = &reload->hosts->list;
	struct host_list before;
	struct host *host;
	size_t i;

	TAILQ_INIT(&before);
	TAILQ_CONCAT(&before, hosts, link);
	for (i = 0; i < reload->n_changes; i++) {
		struct change *change = &reload->changes[i];

		TAILQ_REMOVE(&before, change->host, link);
		TAILQ_INSERT_TAIL(hosts, change->host, link);
	}
	TAILQ_FOREACH(host, &before, link) {
		reload->result.n_removed += host->conf != NULL;
		host_set_conf(host, NULL);
		host->current = NULL;
	}
	TAILQ_CONCAT(hosts, &before, link);
}

static void put_in_force(struct reload *reload)
{
	struct host *host, *next;
	struct conf *conf = reload->conf;
	size_t i;

	/* Nothing of it is an error any more. */
	log_keep(reload->result.text, sizeof(reload->result.text), LOG_WARNING);
	put_hosts_in_force(reload);
	for (i = 0; i < reload->n_changes; i++) {
		struct change *change = &reload->changes[i];

		if (!change->is_made && !change->is_failed)
			tell_of_pages(change);
		host_set_conf(change->host, change->conf);
		if (change->is_made)
			put_generation_in_force(change);
		else
			put_in_force_unchanged(change);
	}
	/* The new ones are there: whoever hears that its own is retired finds them. */
	for (host = TAILQ_FIRST(&reload->hosts->list); host; host = next) {
		next = TAILQ_NEXT(host, link);
		if (reload->flags & MEMPOOL_RELOAD_DISCARD)
			host_discard(host);
		host_settle(host);
		host_free_if_over(host);
	}
	reload->conf = NULL;
	reload->path = conf->path;
	reload->tell->in_force(conf, reload->userdata);
	finish(reload, 0);
}

/* ---- make what is new ---- */

struct progress {
	struct reload *reload;
	uint64_t before_bytes;
};

/* In the worker's thread. */
static bool on_progress(uint64_t done_bytes, uint64_t total_bytes, void *userdata)
{
	const struct progress *progress = userdata;
	struct reload *reload = progress->reload;

	(void)total_bytes;
	/* Relaxed, both: a figure for people, and a wish that may be seen a piece later. */
	atomic_store_explicit(&reload->taken_bytes, progress->before_bytes + done_bytes,
			      memory_order_relaxed);
	return !atomic_load_explicit(&reload->is_given_up, memory_order_relaxed);
}

/* In the worker's thread. */
static void make(void *userdata)
{
	struct progress progress = { .reload = userdata };
	struct reload *reload = userdata;
	size_t i;

	for (i = 0; i < reload->n_changes && reload->r == 0; i++) {
		struct change *change = &reload->changes[i];

		if (!change->is_made)
			continue;
		change->r = build_make(&change->build, on_progress, &progress);
		reload->r = change->r;
		progress.before_bytes += change->build.size_bytes;
	}
	if (reload->r == 0)
		forecast_count(&reload->forecast);
}

/* In the worker's thread. */
static void look(void *userdata)
{
	struct reload *reload = userdata;

	forecast_count(&reload->forecast);
}

static void log_build_error(const struct change *change, int error)
{
	char text[SPACE_TEXT_BYTES];

	build_strerror(&change->build, error, text);
	log_error("segment '%s': %s", change->conf->shape.name, text);
}

/* All that can fail is done here. Return: 0 or -errno. */
static int make_generation(struct change *change)
{
	struct host *host = change->host;
	const struct build *build = &change->build;
	int r = change->r;

	if (r < 0) {
		log_build_error(change, r);
		return r;
	}
	r = generation_new(&host->owner, build->state, build->segment, segment_memory_fds(&build->segment->memory),
			   &change->generation);
	if (r == 0)
		build_take(&change->build);
	return r;
}

static void on_looked(void *userdata)
{
	struct reload *reload = userdata;

	forecast_tell(&reload->forecast, &reload->result);
	finish(reload, 0);
}

static void on_made(void *userdata)
{
	struct reload *reload = userdata;
	int r = 0;
	size_t i;

	log_keep(reload->result.text, sizeof(reload->result.text), LOG_ERR);
	for (i = 0; i < reload->n_changes && r == 0; i++)
		if (reload->changes[i].is_made)
			r = make_generation(&reload->changes[i]);
	forecast_tell(&reload->forecast, &reload->result);
	if (r < 0)
		finish(reload, r);
	else
		put_in_force(reload);
}

/* ---- what is to change ---- */

/*
 * A host of its own for a segment that is new, as for one that has left the config: if the reload
 * fails, it goes, or what was found is watched.
 *
 * What cannot be adopted fails alone, as at the start: it may do later, and the others need not
 * wait for it.
 */
static int plan_host(struct reload *reload, struct change *change)
{
	const char *name = change->conf->shape.name;
	struct host *host = hosts_get(reload->hosts, name);

	/* Nothing is made, and nothing of it stands there. */
	if (!host && is_dry_run(reload))
		return 0;
	if (!host)
		host = hosts_add(reload->hosts, name, NULL);
	if (!host)
		return -ENOMEM;
	change->host = host;
	/* Its last client may leave while we make what is new. */
	host_pin(host);
	if (is_dry_run(reload))
		return 0;
	change->is_failed = !host->current && host_find(host) < 0;
	if (change->is_failed)
		host_find_later(host);
	else if (!host->conf)
		host_settle(host);
	return 0;
}

/* Whether there would be room for it. */
static int plan_dry(struct change *change)
{
	struct build *build = &change->build;
	char folder[MEMPOOL_SHM_NAME_BYTES];
	int r;

	build_init(build, change->conf, NULL, 0);
	r = space_find(change->conf, "", folder, build->shortage);
	if (r < 0)
		log_build_error(change, r);
	return r;
}

static int plan(struct reload *reload, struct change *change)
{
	struct host *host;
	bool is_new;
	int r;

	r = plan_host(reload, change);
	if (r < 0)
		return r;
	host = change->host;
	is_new = !host || !host->conf;
	reload->result.n_added += is_new;
	if (change->is_failed)
		return 0;
	r = forecast_add(&reload->forecast, host, change->conf);
	if (r < 0)
		return r;
	if (host && host_fits(host, change->conf))
		return 0;
	change->is_remade = !is_new && conf_segment_is_same(host->conf, change->conf);
	if (change->conf->open_mode == SEGMENT_OPEN && !change->is_remade) {
		log_error("segment '%s': there is none with this layout, and open_mode is open",
			  change->conf->shape.name);
		return -ENOENT;
	}
	reload->result.n_relaid += !is_new && !change->is_remade;
	if (is_dry_run(reload))
		return plan_dry(change);
	change->is_made = true;
	build_init(&change->build, change->conf, reload->hosts->environment.house, host->next_number++);
	reload->total_bytes += change->build.size_bytes;
	return 0;
}

static bool is_planned(const struct reload *reload, const struct host *host)
{
	for (size_t i = 0; i < reload->n_changes; i++)
		if (reload->changes[i].host == host)
			return true;
	return false;
}

/* Those that the new config does not have. */
static int plan_others(struct reload *reload)
{
	struct host *host;
	int r = 0;

	TAILQ_FOREACH(host, &reload->hosts->list, link) {
		if (r < 0 || is_planned(reload, host))
			continue;
		r = forecast_add(&reload->forecast, host, NULL);
		if (is_dry_run(reload))
			reload->result.n_removed += host->conf != NULL;
	}
	return r;
}

static int plan_all(struct reload *reload)
{
	size_t n = reload->conf->n_segments;
	int r = 0;

	reload->changes = calloc(n, sizeof(*reload->changes));
	if (!reload->changes)
		return -ENOMEM;
	reload->result.n_segments = (uint32_t)n;
	while (reload->n_changes < n && r == 0) {
		struct change *change = &reload->changes[reload->n_changes++];

		change->conf = &reload->conf->segments[reload->n_changes - 1];
		r = plan(reload, change);
	}
	return r < 0 ? r : plan_others(reload);
}

/* Truncated, or without its name, it is to be made anew, even if nobody has come since. */
static void check_all(const struct hosts *hosts)
{
	const struct host *host;

	TAILQ_FOREACH(host, &hosts->list, link)
		if (host->current)
			generation_check(host->current);
}

/* Nothing is being made, and nothing will be before we are over. */
static void on_held(void *userdata)
{
	struct reload *reload = userdata;
	int r;

	check_all(reload->hosts);
	log_keep(reload->result.text, sizeof(reload->result.text), LOG_ERR);
	r = plan_all(reload);
	if (r == 0 && is_dry_run(reload)) {
		r = worker_start(&reload->worker, reload->base, look, on_looked, reload);
	} else if (r == 0 && reload->total_bytes == 0 && reload->forecast.n == 0) {
		put_in_force(reload);
		return;
	} else if (r == 0) {
		reload->state = RELOAD_MAKING;
		r = worker_start(&reload->worker, reload->base, make, on_made, reload);
	}
	/* What else is logged meanwhile has nothing to do with us. */
	log_keep(NULL, 0, 0);
	if (r < 0)
		finish(reload, r);
}

static void on_loaded(void *userdata)
{
	struct reload *reload = userdata;

	if (reload->r < 0) {
		log_keep(reload->result.text, sizeof(reload->result.text), LOG_ERR);
		conf_log_error(LOG_ERR, &reload->error);
		finish(reload, reload->r);
		return;
	}
	reload->state = RELOAD_WAITING;
	jobs_hold(&reload->hosts->jobs, on_held, reload);
}

/* ---- begin ---- */

/* In the worker's thread. The path is that of the conf in force, which only we replace. */
static void load(void *userdata)
{
	struct reload *reload = userdata;

	reload->r = conf_load(reload->path, conf_log_warning, NULL, &reload->conf,
			      &reload->error);
}

static void begin(struct reload *reload)
{
	int r;

	log_info("reloading %s", reload->path);
	notify_state("RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_monotonic_ns() / 1000);
	reload->state = RELOAD_LOADING;
	reload->number++;
	reload->flags = reload->wanted_flags;
	reload->wanted_flags = 0;
	reload->is_wanted = false;
	reload->result = (struct mempool_msg_reloaded){ .error = 0 };
	reload->r = 0;
	reload->total_bytes = 0;
	atomic_store_explicit(&reload->taken_bytes, 0, memory_order_relaxed);
	event_add(&reload->tick, &tick_interval);
	r = worker_start(&reload->worker, reload->base, load, on_loaded, reload);
	if (r < 0)
		finish(reload, r);
}

int reload_ask(struct reload *reload, uint32_t flags, uint64_t *ret_number)
{
	if ((flags & MEMPOOL_RELOAD_DRY_RUN) && reload->state != RELOAD_IDLE)
		return -EBUSY;
	if (ret_number)
		*ret_number = reload->number + 1;
	reload->wanted_flags |= flags;
	if (reload->state == RELOAD_IDLE)
		begin(reload);
	else
		reload->is_wanted = true;
	return 0;
}

void reload_init(struct reload *reload, struct event_base *base, struct hosts *hosts,
		 const struct conf *conf, const struct reload_fns *tell, void *userdata)
{
	*reload = (struct reload){
		.base = base,
		.hosts = hosts,
		.tell = tell,
		.userdata = userdata,
		.path = conf->path,
	};
	event_assign(&reload->tick, base, -1, EV_PERSIST, on_tick, reload);
}

bool reload_deinit(struct reload *reload)
{
	if (!reload->base)
		return true;
	atomic_store_explicit(&reload->is_given_up, true, memory_order_relaxed);
	if (!worker_stop(&reload->worker))
		return false;
	undo(reload);
	event_del(&reload->tick);
	return true;
}
