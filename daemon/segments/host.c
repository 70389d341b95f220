/* SPDX-License-Identifier: MIT */
#include "daemon/segments/host.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/segments/adopt.h"
#include "daemon/segments/build.h"
#include "daemon/segments/space.h"

#define HOST_PAUSE_NS UINT64_C(1000000000)
#define HOST_PAUSE_FACTOR 10		/* a tenth of the time at most goes into new segments */

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

int host_lock(struct host *host)
{
	return store_lock_take(&host->lock, host->name);
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
	uint32_t i;

	for (i = 0; i < segment->n_pools; i++)
		n_chunks += segment->pools[i].n_chunks;
	log_info("segment '%s': %s %s, %s, %u pools with %" PRIu64 " chunks, %u holders",
		 host->name, verb, generation_label(generation),
		 log_size(size, generation->place.size_bytes), segment->n_pools, n_chunks,
		 segment->n_holders);
}

/* The config may have changed, or its maker been killed before it set them. */
void host_set_permissions(const struct host *host)
{
	const struct generation *generation = host->current;
	const mode_t mode = host->conf->perms.mode;
	const gid_t group = conf_segment_group(host->conf);
	int r = generation ? store_set_permissions(generation->fd, mode, group) : 0;

	if (r < 0)
		log_warning("segment '%s': cannot set mode %04o and group %u of %s: %s",
			    host->name, (unsigned int)mode, (unsigned int)group,
			    generation_label(generation), strerror(-r));
	else if (r > 0)
		log_info("segment '%s': set mode %04o and group %u of %s", host->name,
			 (unsigned int)mode, (unsigned int)group, generation_label(generation));
}

/* ---- create ---- */

static bool on_progress(uint64_t done_bytes, uint64_t total_bytes, void *userdata)
{
	const struct host *host = userdata;

	host->hosts->environment.tell->progress(host->name, done_bytes, total_bytes);
	return true;
}

void host_take_up(struct host *host, struct generation *generation)
{
	host_add(host, generation);
	tenants_set_daemon(&generation->tenants);
	host->current = generation;
	log_shape(host, generation, "created");
}

static int host_create(struct host *host)
{
	struct generation *generation;
	struct segment *segment = NULL;
	struct build build;
	int r;

	build_init(&build, host->conf, host->next_number);
	r = build_make(&build, on_progress, host, &segment);
	host->next_number = build.next_number;
	if (r < 0)
		build_log_error(&build, r);
	else
		r = generation_new(&host->owner, build.shm_name, segment, NULL, &generation);
	if (r < 0) {
		segment_free(segment);
		build_deinit(&build);
		return r;
	}
	build_keep(&build);
	host_take_up(host, generation);
	return 0;
}

/* ---- adopt ---- */

bool host_fits(const struct host *host, const struct conf_segment *conf)
{
	return host->current && adopt_has_layout(host->current->segment, conf);
}

/* 0: it is of ordinary ones. */
static uint64_t huge_bytes_of(const struct generation *generation)
{
	struct statfs fs;

	return fstatfs(generation->fd, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC
		       ? (uint64_t)fs.f_bsize : 0;
}

/* Lock and prefault; those who live in it do not notice, whatever it comes to. */
static void bring_in(struct host *host)
{
	const struct generation *generation = host->current;
	const struct segment_memory *memory = &generation->segment->memory;
	struct pages pages = host->conf->pages;
	char text[SPACE_TEXT_BYTES];
	int r;

	pages.huge_bytes = huge_bytes_of(generation);
	if (pages.huge_bytes != host->conf->pages.huge_bytes)
		log_notice("segment '%s': %s keeps the pages it has: huge_pages counts for a new "
			   "one (mempoold --remove)", host->name, generation_label(generation));
	if (space_check_lock(host->conf, "", text) < 0) {
		log_warning("segment '%s': %s; it goes on without", host->name, text);
		return;
	}
	r = pages_lock(&pages, memory->base, memory->size);
	if (r == 0 && pages_are_filled(&pages))
		r = pages_fill(&pages, memory->base, memory->size, on_progress, host);
	if (r < 0)
		log_warning("segment '%s': cannot prefault or lock %s: %s; it goes on without",
			    host->name, generation_label(generation), strerror(-r));
}

/* Take it up again, or watch who lives in it. */
static int keep(struct host *host, struct adopt *adopt)
{
	struct generation *generation;
	int r;

	r = adopt_generation(adopt, &host->owner, &generation);
	if (r < 0)
		return r;
	host_add(host, generation);
	r = adopt_tenants(adopt, generation);
	if (r < 0)
		return r;
	if (adopt->is_wanted) {
		host->current = generation;
		host_set_permissions(host);
		bring_in(host);
		log_shape(host, generation, "adopted");
	}
	return 0;
}

static int consider(struct host *host, const struct store_entry *entry)
{
	struct adopt adopt;
	int r;

	r = adopt_look(&adopt, &host->hosts->environment, host->conf, entry,
		       host->current != NULL);
	if (adopt.is_ours && adopt.number >= host->next_number)
		host->next_number = adopt.number + 1;
	if (r > 0)
		r = keep(host, &adopt);
	if (r < 0 && r != -EEXIST)
		log_error("segment '%s': cannot look at %s: %s", host->name,
			  store_label(adopt.shm_name), strerror(-r));
	adopt_deinit(&adopt);
	return r;
}

int host_find(struct host *host)
{
	struct store_entry *entries = NULL;
	int64_t n, i;
	int r = 0;

	n = store_scan(host->name, &entries);
	if (n < 0) {
		log_error("segment '%s': cannot read /dev/shm: %s", host->name,
			  strerror((int)-n));
		return (int)n;
	}
	/* The newest first: of several that match, it is the one taken up. */
	for (i = 0; i < n && r == 0; i++)
		r = consider(host, &entries[i]);
	free(entries);
	if (r == 0 && !host->current && host->conf->open_mode == SEGMENT_OPEN) {
		log_error("segment '%s': there is none with this layout, and open_mode is open",
			  host->name);
		return -ENOENT;
	}
	return r;
}

void host_settle(struct host *host)
{
	struct generation *generation;

	TAILQ_FOREACH(generation, &host->generations, link) {
		if (generation == host->current || generation->state != GENERATION_CURRENT)
			continue;
		log_info("segment '%s': %s is retired, with %u clients; it is removed when they "
			 "are gone", host->name, generation_label(generation),
			 generation->tenants.n);
		generation_retire(generation);
	}
}

int host_open(struct host *host)
{
	int r = host_find(host);

	if (r == 0 && !host->current) {
		r = host_create(host);
		host->is_fresh = r == 0;
	}
	if (r == 0)
		host_settle(host);
	return r;
}

void host_undo(struct host *host)
{
	const struct generation *generation = host->current;

	if (!host->is_fresh)
		return;
	if (store_unlink(generation->place.shm_name, generation->place.device,
			 generation->place.inode) == 0)
		log_info("segment '%s': removed %s: %s", host->name,
			 generation_label(generation), "the start failed");
}

/* ---- later ---- */

struct generation *host_current(struct host *host)
{
	uint64_t now = clock_monotonic_ns();

	/* Before one more client is told to map it. */
	if (host->current)
		generation_check(host->current);
	/* Not as often as somebody likes to truncate: taking memory takes time. */
	if (!host->current && now >= host->not_before_ns) {
		host_create(host);
		host->not_before_ns = clock_monotonic_ns() + HOST_PAUSE_NS +
				      HOST_PAUSE_FACTOR * (clock_monotonic_ns() - now);
	}
	return host->current;
}

void host_free_if_over(struct host *host)
{
	if (host->conf || !TAILQ_EMPTY(&host->generations))
		return;
	log_info("segment '%s': it is no longer in the config, and nobody is in it", host->name);
	store_lock_remove(&host->lock);
	TAILQ_REMOVE(&host->hosts->list, host, link);
	host_free(host);
}

/* ---- what generations tell ---- */

static struct host *host_of(const struct generation *generation)
{
	return (struct host *)((char *)generation->owner - offsetof(struct host, owner));
}

static void on_lost(struct generation *generation)
{
	struct host *host = host_of(generation);

	if (host->current == generation) {
		host->current = NULL;
		host_current(host);
	}
}

static void on_over(struct generation *generation)
{
	struct host *host = host_of(generation);
	int r;

	assert(generation != host->current);
	r = store_unlink(generation->place.shm_name, generation->place.device,
			 generation->place.inode);
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

struct host *host_new(struct hosts *hosts, const struct conf_segment *conf)
{
	struct host *host = calloc(1, sizeof(*host));

	if (!host)
		return NULL;
	host->hosts = hosts;
	memcpy(host->name, conf->shape.name, sizeof(host->name));
	host->owner = (struct generation_owner){
		.environment = &hosts->environment,
		.segment_name = host->name,
		.lost = on_lost,
		.over = on_over,
	};
	host->conf = conf;
	host->lock = STORE_LOCK_NULL;
	host->next_number = 1;
	TAILQ_INIT(&host->generations);
	return host;
}

void host_free(struct host *host)
{
	struct generation *generation;

	while ((generation = TAILQ_FIRST(&host->generations))) {
		TAILQ_REMOVE(&host->generations, generation, link);
		generation_free(generation);
	}
	store_lock_deinit(&host->lock);
	free(host);
}
