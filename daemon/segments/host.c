/* SPDX-License-Identifier: MIT */
#include "daemon/segments/host.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/segments/adopt.h"
#include "daemon/segments/build.h"
#include "daemon/segments/keep.h"
#include "daemon/segments/orphan.h"
#include "daemon/segments/space.h"
#include "daemon/segments/store.h"

#define HOST_PAUSE_NS UINT64_C(1000000000)
#define HOST_PAUSE_FACTOR 10		/* a tenth of the time at most goes into new segments */

static void try_later(struct host *host);

struct host *hosts_get(const struct hosts *hosts, const char *name)
{
	struct host *host;

	TAILQ_FOREACH(host, &hosts->list, link)
		if (strcmp(host->name, name) == 0)
			break;
	return host;
}

struct host *hosts_find(const struct hosts *hosts, const char *name)
{
	struct host *host;

	TAILQ_FOREACH(host, &hosts->list, link)
		if (host->conf && (!*name || strcmp(host->name, name) == 0))
			return host;
	return NULL;
}

struct tenant *hosts_find_tenant(const struct hosts *hosts, const char *name,
				 uint64_t segment_id, const struct newcomer *newcomer)
{
	const struct host *wanted = hosts_find(hosts, name);
	struct generation *generation;
	struct tenant *tenant;
	struct host *host;

	TAILQ_FOREACH(host, &hosts->list, link) {
		TAILQ_FOREACH(generation, &host->generations, link) {
			if (generation->state == GENERATION_LOST || !generation->segment)
				continue;
			if (segment_id ? generation->place.segment_id != segment_id
				       : wanted != host)
				continue;
			tenant = tenants_find(&generation->tenants, newcomer);
			if (tenant)
				return tenant;
		}
	}
	return NULL;
}

bool hosts_lack(const struct hosts *hosts, uint64_t segment_id)
{
	const struct generation *generation;
	const struct host *host;

	TAILQ_FOREACH(host, &hosts->list, link) {
		if (!host->is_found)
			return false;
		TAILQ_FOREACH(generation, &host->generations, link)
			if (generation->place.segment_id == segment_id && generation->segment &&
			    generation->state != GENERATION_LOST)
				return false;
	}
	return true;
}

/* What they are told who ask while new clients cannot be served. */
static void host_set_why(struct host *host, int error, const char *why)
{
	host->error = error;
	snprintf(host->why, sizeof(host->why), "%.*s", (int)sizeof(host->why) - 1, why);
}

/* New clients cannot be served: say it, and keep it for who asks. Return: error. */
static int host_fail(struct host *host, int error, const char *why)
{
	static struct log_limit limit = LOG_LIMIT("segments that cannot be served", 20);

	host_set_why(host, error, why);
	log_limited(&limit, LOG_ERR, "segment '%s': %s", host->name, why);
	return error;
}

static void tell_changed(const struct host *host)
{
	const struct environment *environment = &host->hosts->environment;

	environment->tell->changed(environment->userdata);
}

static void host_add(struct host *host, struct generation *generation)
{
	TAILQ_INSERT_TAIL(&host->generations, generation, link);
	tell_changed(host);
}

static void log_shape(const struct host *host, const struct generation *generation,
		      const char *verb)
{
	const struct segment *segment = generation->segment;
	char size[LOG_SIZE_BYTES];
	uint64_t n_chunks = 0;
	uint32_t n_pools = 0, i;

	for (i = 0; i < segment->n_pools; i++) {
		n_chunks += segment->pools[i].n_chunks;
		n_pools += !segment->pools[i].is_reserve;
	}
	log_info("segment '%s': %s %s, %s, %u pools with %" PRIu64 " chunks, %u holders",
		 host->name, verb, generation_label(generation),
		 log_size(size, generation->place.control_bytes + generation->place.data_bytes), n_pools,
		 n_chunks, segment->n_holders);
}

/* ---- create ---- */

static bool on_progress(uint64_t done_bytes, uint64_t total_bytes, void *userdata)
{
	const struct host *host = userdata;

	host->hosts->environment.tell->progress(host->name, done_bytes, total_bytes);
	return true;
}

/* Said now and at the end: it is lost with us. */
static void tell_not_kept(const struct host *host, const struct generation *generation)
{
	if (generation->kept < 0)
		log_warning("segment '%s': nobody keeps the memory of %s for the next mempoold (%s): it "
			    "ends with this one", host->name, generation_label(generation),
			    generation->kept == -ENOTCONN ? "there is no service manager"
							  : strerror(-generation->kept));
}

void hosts_tell_end(const struct hosts *hosts)
{
	const struct generation *generation;
	const struct host *host;

	TAILQ_FOREACH(host, &hosts->list, link)
		TAILQ_FOREACH(generation, &host->generations, link)
			tell_not_kept(host, generation);
}

void host_take_up(struct host *host, struct generation *generation, const struct build *build)
{
	generation->kept = build->kept;
	host_add(host, generation);
	tenants_set_daemon(&generation->tenants);
	host->current = generation;
	host->error = 0;
	mover_close(&host->mover);
	claims_kick(&generation->claims);
	log_shape(host, generation, "created");
	tell_not_kept(host, generation);
}

static void begin_making(struct host *host)
{
	build_init(&host->build, host->conf, host->hosts->environment.house, host->next_number++);
	host->begun_ns = clock_monotonic_ns();
}

/* Take up what was made. made: what build_make() has said. Return: 0 or -errno. */
static int end_making(struct host *host, int made)
{
	struct generation *generation;
	struct build *build = &host->build;
	char text[SPACE_TEXT_BYTES];
	int r = made;

	if (r == 0)
		r = generation_new(&host->owner, build->state, build->segment,
				   segment_memory_fds(&build->segment->memory), &generation);
	if (r < 0) {
		snprintf(text, sizeof(text), "%s", strerror(-r));
		if (made < 0)
			build_strerror(build, made, text);
		build_deinit(build, &host->hosts->jobs);
		return host_fail(host, r, text);
	}
	build_take(build);
	build_keep(build);
	host_take_up(host, generation, build);
	return 0;
}

/* ---- adopt ---- */

static bool is_as_asked(const struct state *file, const struct conf_segment *conf)
{
	return config_is_same(&file->shape, &conf->shape) && state_backing(file) == conf->backing;
}

bool host_fits(const struct host *host, const struct conf_segment *conf)
{
	return host->current && is_as_asked(host->current->file, conf);
}

static bool is_wanted(const struct host *host, const struct adoption *adoption)
{
	return host->conf && !host->current &&
	       host->conf->open_mode != SEGMENT_PURGE_AND_CREATE &&
	       adoption->segment && !state_is_retired(adoption->file) &&
	       is_as_asked(adoption->file, host->conf);
}

/* Lock and prefault what was adopted; those who live in it do not notice, whatever it comes to.
 * Return: whether there is something to do. */
static bool begin_filling(struct host *host)
{
	struct generation *generation = host->current;
	struct pages *pages = &host->pages;
	char text[SPACE_TEXT_BYTES];

	host->is_to_fill = false;
	*pages = host->conf->pages;
	if (space_check_lock(host->conf, "", text) < 0) {
		log_warning("segment '%s': %s; it goes on without", host->name, text);
		return false;
	}
	if (!pages->lock && !pages_are_filled(pages))
		return false;
	host->filled = generation;
	generation->is_busy = true;
	return true;
}

static int fill(struct host *host, segment_progress_fn progress)
{
	const struct segment_memory *memory = &host->filled->segment->memory;
	int r = segment_memory_lock(memory, &host->pages);

	if (r == 0 && pages_are_filled(&host->pages))
		r = segment_memory_fill(memory, &host->pages, progress, host);
	return r;
}

static void end_filling(struct host *host, int error)
{
	struct generation *generation = host->filled;

	if (error < 0)
		log_warning("segment '%s': cannot prefault or lock %s: %s; it goes on without",
			    host->name, generation_label(generation), strerror(-error));
	host->filled = NULL;
	generation->is_busy = false;
	generation_kick(generation);
}

static int keep(struct host *host, struct adoption *adoption, bool as_current)
{
	struct generation *generation;
	int r;

	r = generation_new(&host->owner, adoption->file, adoption->segment, adoption->fds,
			   &generation);
	if (r < 0)
		return r;
	if (adoption->is_lost)
		generation->state = GENERATION_LOST;
	else if (state_is_retired(adoption->file))
		generation->state = GENERATION_RETIRED;
	*adoption = (struct adoption){ .fds = SEGMENT_FDS_NULL };
	host_add(host, generation);
	r = generation_adopt(generation);
	if (r == 0 && as_current) {
		host->current = generation;
		host->error = 0;
		host->is_to_fill = true;
		log_shape(host, generation, "adopted");
	}
	return r;
}

static int remove_deserted(const struct host *host, const struct state *file, const char *why)
{
	int r = adopt_remove(host->hosts->environment.house, file);

	if (r < 0)
		log_warning("segment '%s': cannot remove %s: %s", host->name,
			    store_label(state_name(file)), strerror(-r));
	else
		log_info("segment '%s': removed %s: %s", host->name,
			 store_label(state_name(file)), why);
	return 0;
}

static bool has_lost(const struct host *host)
{
	const struct generation *generation;

	TAILQ_FOREACH(generation, &host->generations, link)
		if (generation->state == GENERATION_LOST)
			return true;
	return false;
}

/* Whether messages may wait in it that are to be moved, though nobody lives there. */
static bool may_have_messages(const struct host *host, const struct adoption *adoption)
{
	return !(host->conf && host->conf->open_mode == SEGMENT_PURGE_AND_CREATE) &&
	       adoption->segment && adoption->segment->config.n_rings > 0;
}

/* Why one that is not to be current is of no use to anybody; NULL: it is. */
static const char *find_useless(const struct host *host, const struct adoption *adoption,
				bool is_deserted)
{
	if (adoption->is_lost && has_lost(host))
		return "it is lost, and so is a later one";
	if (adoption->is_absent && is_deserted)
		return "its memory is gone, and nobody lives in it";
	if (!is_deserted || may_have_messages(host, adoption))
		return NULL;
	return host->conf ? "another layout, and nobody lives in it"
			  : "it is not in the config, and nobody lives in it";
}

/* Take it up again, watch it, or remove it. */
static int consider(struct host *host, struct adoption *adoption)
{
	bool as_current = is_wanted(host, adoption);
	bool is_deserted = !as_current &&
			   adopt_count_living(adoption->file, &host->hosts->environment.origin,
					      1) == 0;
	const char *why = as_current ? NULL : find_useless(host, adoption, is_deserted);

	if (why)
		return remove_deserted(host, adoption->file, why);
	/* Those who live in it keep it, but not what they leave. */
	if (host->conf && host->conf->open_mode == SEGMENT_PURGE_AND_CREATE)
		state_discard(adoption->file);
	if (!is_deserted && host->conf && host->conf->open_mode == SEGMENT_CREATE)
		return host_fail(host, -EEXIST, "it exists already, and open_mode is create");
	return keep(host, adoption, as_current);
}

static bool is_served(const struct host *host, uint64_t number)
{
	const struct generation *generation;

	TAILQ_FOREACH(generation, &host->generations, link)
		if (generation->place.generation == number)
			return true;
	return false;
}

/* A new one never has the number of one that there was. */
static void number_after(struct host *host, uint64_t number)
{
	if (number >= host->next_number)
		host->next_number = number + 1;
}

/* Return: 1, and there is an adoption to take or free; 0 there is nothing; -errno. */
static int open_one(struct host *host, const struct house_entry *entry,
		    struct adoption *ret_adoption)
{
	char text[ADOPT_TEXT_BYTES];
	int r;

	number_after(host, entry->generation);
	/* By a try before this one, which failed later. */
	if (is_served(host, entry->generation))
		return 0;
	r = adopt_open(host->hosts->environment.house, entry, ret_adoption, text);
	if (r == 0)
		return 1;
	if (r == -EPROTONOSUPPORT || r == -EXDEV)
		log_warning("segment '%s': %s; it is left", host->name, text);
	if (r == -EPROTONOSUPPORT || r == -EXDEV || r == -ENOENT)
		return 0;
	return host_fail(host, r, text);
}

/* The end of each move that the daemon before us was killed in, before its own id is reaped in
 * any of them. */
static void recover_moves(const struct adoption *adoptions, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct segment *to = NULL;
		uint64_t segment_id;

		if (!move_is_under_way(adoptions[i].file->journal, &segment_id))
			continue;
		for (size_t j = 0; j < n; j++)
			if (adoptions[j].file->identity.segment_id == segment_id)
				to = adoptions[j].segment;
		mover_recover(adoptions[i].file, adoptions[i].segment, to);
	}
}

/* Of several that match, the newest is the one taken up. */
static int adopt_all(struct host *host, const struct house_entry *entries, size_t n)
{
	struct adoption *adoptions = calloc(n + 1, sizeof(*adoptions));
	size_t n_open = 0;
	int r = 0;

	if (!adoptions)
		return host_fail(host, -ENOMEM, strerror(ENOMEM));
	for (size_t i = 0; i < n && r >= 0; i++) {
		r = open_one(host, &entries[i], &adoptions[n_open]);
		n_open += r > 0;
	}
	if (r >= 0) {
		recover_moves(adoptions, n_open);
		r = 0;
	}
	for (size_t i = 0; i < n_open; i++) {
		if (r == 0)
			r = consider(host, &adoptions[i]);
		adopt_deinit(&adoptions[i]);
	}
	free(adoptions);
	return r;
}

/* What has no state file. Numbers are those of the files that stand there now. */
static int clear_orphans(struct host *host, const struct house_entry *entries, size_t n)
{
	const struct house *house = host->hosts->environment.house;
	struct orphan_known *known = calloc(n + 1, sizeof(*known));
	const struct generation *generation;
	int r;

	if (!known)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		known[i].generation = entries[i].generation;
		TAILQ_FOREACH(generation, &host->generations, link)
			if (generation->place.generation == entries[i].generation)
				known[i].objects = generation->file->objects;
	}
	r = orphans_clear(house, host->name, known, n, false);
	free(known);
	return r == -EBUSY ? 0 : r;
}

int host_find(struct host *host)
{
	const struct house *house = host->hosts->environment.house;
	struct house_entry *entries = NULL;
	int64_t n;
	int r, error;

	if (host->is_found)
		return 0;
	n = house_scan(house, host->name, &entries);
	if (n < 0)
		return host_fail(host, (int)n, "cannot read its state folder");
	number_after(host, keep_last_generation(host->name));
	r = adopt_all(host, entries, (size_t)n);
	free(entries);
	entries = NULL;
	/* Once more: some are gone. */
	n = r == 0 ? house_scan(house, host->name, &entries) : -1;
	error = n < 0 ? (int)n : clear_orphans(host, entries, (size_t)n);
	if (r == 0 && error < 0)
		log_warning("segment '%s': cannot look for what was left behind: %s",
			    host->name, strerror(-error));
	free(entries);
	host->is_found = r == 0;
	/* As a new one: the daemon before us may have been killed while that was closed. */
	if (host->current && generation_is_deserted(host->current))
		mover_close(&host->mover);
	return r;
}

/* Of one in the config: whether there has to be something, its open mode says. */
static int find_or_fail(struct host *host)
{
	bool was_found = host->is_found;
	int r = host_find(host);

	if (r < 0 || was_found || host->current || host->conf->open_mode != SEGMENT_OPEN)
		return r;
	host->is_found = false;
	return host_fail(host, -ENOENT, "there is none with this layout, and open_mode is open");
}

/* In a thread: others are served meanwhile. */
static void fill_later(struct host *host)
{
	if (host->is_to_fill && !host->filling.jobs)
		jobs_ask(&host->hosts->jobs, &host->filling);
}

void host_settle(struct host *host)
{
	struct generation *generation;

	fill_later(host);
	TAILQ_FOREACH(generation, &host->generations, link) {
		if (generation == host->current || generation->state != GENERATION_CURRENT)
			continue;
		log_info("segment '%s': %s is retired, with %u clients; it is removed when they "
			 "are gone", host->name, generation_label(generation),
			 generation->tenants.n);
		generation_retire(generation);
	}
	mover_retry(&host->mover);
}

void host_discard(struct host *host)
{
	struct generation *generation;

	TAILQ_FOREACH(generation, &host->generations, link)
		if (generation != host->current)
			state_discard(generation->file);
}

int host_open(struct host *host)
{
	int r = host->conf ? find_or_fail(host) : host_find(host);

	if (r == 0 && host->conf && !host->current) {
		begin_making(host);
		r = end_making(host, build_make(&host->build, on_progress, host));
		host->is_fresh = r == 0;
	}
	/* Nobody is let in yet, and nothing else has to go on. */
	if (host->is_to_fill && begin_filling(host))
		end_filling(host, fill(host, on_progress));
	if (r == 0)
		host_settle(host);
	else
		try_later(host);
	return r;
}

void host_undo(struct host *host)
{
	const struct generation *generation = host->current;

	if (!host->is_fresh)
		return;
	if (adopt_remove(host->hosts->environment.house, generation->file) == 0)
		log_info("segment '%s': removed %s: %s", host->name,
			 generation_label(generation), "the start failed");
}

/* ---- later ---- */

/*
 * What fails is tried again, less and less often, and not as often as somebody likes to
 * truncate: taking memory takes time.
 */
static void set_pause(struct host *host, int error, uint64_t work_ns)
{
	host->n_failures = error < 0 ? host->n_failures + 1 : 0;
	host->not_before_ns = clock_monotonic_ns() +
			      (HOST_PAUSE_NS << (host->n_failures < 6 ? host->n_failures : 6)) +
			      HOST_PAUSE_FACTOR * work_ns;
	if (error < 0)
		try_later(host);
	tell_changed(host);
}

static void try_again(struct host *host)
{
	uint64_t begun_ns = clock_monotonic_ns();
	int r = find_or_fail(host);

	if (r == 0 && !host->current) {
		host_set_why(host, -EAGAIN, "it is made anew");
		jobs_ask(&host->hosts->jobs, &host->making);
		return;
	}
	if (r == 0)
		host_settle(host);
	fill_later(host);
	set_pause(host, r, clock_monotonic_ns() - begun_ns);
}

static struct host *host_of_job(struct job *job)
{
	return (struct host *)((char *)job - offsetof(struct host, making));
}

/* A reload may have made it meanwhile, or taken it out of the config. */
static bool on_begin(struct job *job)
{
	struct host *host = host_of_job(job);
	char size[LOG_SIZE_BYTES];

	if (!host->conf || host->current)
		return false;
	begin_making(host);
	log_info("segment '%s': making generation %" PRIu64 ", %s", host->name, host->build.number,
		 log_size(size, host->build.size_bytes));
	return true;
}

static bool goes_on(uint64_t done_bytes, uint64_t total_bytes, void *userdata)
{
	const struct host *host = userdata;

	(void)done_bytes;
	(void)total_bytes;
	return !job_is_given_up(&host->making);
}

static void on_work(struct job *job)
{
	struct host *host = host_of_job(job);

	host->made = build_make(&host->build, goes_on, host);
}

static void on_done(struct job *job, int error)
{
	struct host *host = host_of_job(job);
	int r;

	if (error != -ECANCELED) {
		r = end_making(host, error < 0 ? error : host->made);
		if (r == 0)
			host_settle(host);
		set_pause(host, r, clock_monotonic_ns() - host->begun_ns);
	}
	host->hosts->environment.tell->made(host->hosts->environment.userdata);
}

static void on_stopped(struct job *job)
{
	struct host *host = host_of_job(job);

	build_deinit(&host->build, &host->hosts->jobs);
}

/* One that is not in the config. */
static void find_again(struct host *host)
{
	if (host_open(host) == 0)
		host_free_if_over(host);
}

static struct host *host_of_filling(struct job *job)
{
	return (struct host *)((char *)job - offsetof(struct host, filling));
}

/* It may be lost by now, or out of the config. */
static bool on_begin_filling(struct job *job)
{
	struct host *host = host_of_filling(job);

	return host->is_to_fill && host->current && begin_filling(host);
}

static bool goes_on_filling(uint64_t done_bytes, uint64_t total_bytes, void *userdata)
{
	const struct host *host = userdata;

	(void)done_bytes;
	(void)total_bytes;
	return !job_is_given_up(&host->filling);
}

static void on_fill(struct job *job)
{
	struct host *host = host_of_filling(job);

	host->made = fill(host, goes_on_filling);
}

static void on_filled(struct job *job, int error)
{
	struct host *host = host_of_filling(job);

	if (host->filled)
		end_filling(host, error < 0 ? error : host->made);
}

static void on_filling_stopped(struct job *job)
{
	host_of_filling(job)->filled = NULL;
}

static void on_retry(evutil_socket_t fd, short what, void *userdata)
{
	struct host *host = userdata;

	(void)fd;
	(void)what;
	/* A reload has its plans with it. */
	if (host->is_pinned)
		try_later(host);
	else if (!host->conf)
		find_again(host);
	/* It may be that only an older generation could not be adopted. */
	else if ((!host->current || !host->is_found) && !host_is_coming(host))
		try_again(host);
}

void host_find_later(struct host *host)
{
	try_later(host);
}

static void try_later(struct host *host)
{
	uint64_t now = clock_monotonic_ns();
	uint64_t pause = host->not_before_ns > now ? host->not_before_ns - now : HOST_PAUSE_NS;
	struct timeval delay = {
		.tv_sec = (time_t)(pause / 1000000000),
		.tv_usec = (suseconds_t)(pause % 1000000000 / 1000 + 1),
	};

	if (host->hosts->environment.base)
		evtimer_add(&host->retry, &delay);
}

struct generation *host_current(struct host *host)
{
	/* Before one more client is told to map it. */
	if (host->current)
		generation_check(host->current);
	if (!host->current && !host_is_coming(host) &&
	    clock_monotonic_ns() >= host->not_before_ns)
		try_again(host);
	return host->current;
}

bool host_is_coming(const struct host *host)
{
	return host->current ? host->mover.is_closed : host->making.jobs != NULL;
}

void host_free_if_over(struct host *host)
{
	if (host->conf || host->is_pinned || !host->is_found || !TAILQ_EMPTY(&host->generations))
		return;
	log_info("segment '%s': it is no longer in the config, and nobody is in it", host->name);
	TAILQ_REMOVE(&host->hosts->list, host, link);
	host_free(host);
}

void host_pin(struct host *host)
{
	assert(!host->is_pinned);
	host->is_pinned = true;
}

void host_unpin(struct host *host)
{
	host->is_pinned = false;
	host_free_if_over(host);
}

/* ---- what generations tell ---- */

static struct host *host_of(const struct generation *generation)
{
	return (struct host *)((char *)generation->owner - offsetof(struct host, owner));
}

static void on_lost(struct generation *generation)
{
	struct host *host = host_of(generation);
	struct generation *other;

	/* One is kept, and no more: whoever truncates has a process live in each. */
	TAILQ_FOREACH(other, &host->generations, link)
		if (other != generation && other->state == GENERATION_LOST &&
		    generation->state == GENERATION_LOST)
			generation_give_up(other);
	if (host->current != generation)
		return;
	host->current = NULL;
	host_set_why(host, -EAGAIN, "it was lost; it is made anew in a moment");
	if (!host_current(host) && !host_is_coming(host))
		try_later(host);
}

static void on_swept(struct generation *generation)
{
	mover_look(&host_of(generation)->mover);
}

static void on_moved(struct generation *generation)
{
	tell_changed(host_of(generation));
}

static void on_over(struct generation *generation)
{
	struct host *host = host_of(generation);
	int r;

	assert(generation != host->current);
	if (mover_keeps(generation))
		return;
	r = adopt_remove(host->hosts->environment.house, generation->file);
	if (r < 0)
		log_warning("segment '%s': cannot remove %s: %s", host->name,
			    generation_label(generation), strerror(-r));
	else
		log_info("segment '%s': removed %s, its last client is gone", host->name,
			 generation_label(generation));
	TAILQ_REMOVE(&host->generations, generation, link);
	generation_free(generation);
	tell_changed(host);
	host_free_if_over(host);
}

/* ---- the whole ---- */

bool hosts_stop(struct hosts *hosts)
{
	struct host *host;

	TAILQ_FOREACH(host, &hosts->list, link)
		if (!mover_stop(&host->mover))
			return false;
	return true;
}

void host_set_conf(struct host *host, const struct conf_segment *conf)
{
	struct generation *generation;

	host->conf = conf;
	/* Of one that is not in the config, it is as good as any. */
	host->owner.plain_claims = !conf || conf->plain_claims;
	TAILQ_FOREACH(generation, &host->generations, link)
		claims_kick(&generation->claims);
}

struct host *hosts_add(struct hosts *hosts, const char *name, const struct conf_segment *conf)
{
	static const struct job_fns making_fns = {
		.begin = on_begin,
		.work = on_work,
		.done = on_done,
		.stopped = on_stopped,
	};
	static const struct job_fns filling_fns = {
		.begin = on_begin_filling,
		.work = on_fill,
		.done = on_filled,
		.stopped = on_filling_stopped,
	};
	struct host *host = calloc(1, sizeof(*host));

	if (!host)
		return NULL;
	host->hosts = hosts;
	snprintf(host->name, sizeof(host->name), "%s", name);
	host->owner = (struct generation_owner){
		.environment = &hosts->environment,
		.segment_name = host->name,
		.lost = on_lost,
		.swept = on_swept,
		.over = on_over,
	};
	host->next_number = 1;
	host->making.fns = &making_fns;
	host->filling.fns = &filling_fns;
	evtimer_assign(&host->retry, hosts->environment.base, on_retry, host);
	TAILQ_INIT(&host->generations);
	host_set_conf(host, conf);
	TAILQ_INSERT_TAIL(&hosts->list, host, link);
	mover_init(&host->mover, &hosts->environment, &(struct mover_owner){
		.segment_name = host->name,
		.generations = &host->generations,
		.current = &host->current,
		.conf = &host->conf,
		.changed = on_moved,
	});
	return host;
}

int hosts_add_left(struct hosts *hosts)
{
	struct house_name *names = NULL;
	int64_t n = house_names(hosts->environment.house, &names);
	int r = n < 0 ? (int)n : 0;

	for (int64_t i = 0; i < n && r == 0; i++)
		if (!hosts_get(hosts, names[i].name) && !hosts_add(hosts, names[i].name, NULL))
			r = -ENOMEM;
	free(names);
	return r;
}

void host_free(struct host *host)
{
	struct generation *generation;

	mover_stop(&host->mover);
	while ((generation = TAILQ_FIRST(&host->generations))) {
		TAILQ_REMOVE(&host->generations, generation, link);
		generation_free(generation);
	}
	evtimer_del(&host->retry);
	jobs_forget(&host->making);
	jobs_forget(&host->filling);
	free(host);
}
