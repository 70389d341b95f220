/* SPDX-License-Identifier: MIT */
#include "daemon/segments/generation.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/segments/release.h"
#include "daemon/segments/store.h"
#include "shm/layout.h"
#include "shm/shape.h"

const char *generation_label(const struct generation *generation)
{
	return tenants_label(&generation->tenants);
}

void generation_kick(struct generation *generation)
{
	chore_start(&generation->step);
}

/* ---- the step ---- */

static int fd_of(const struct generation *generation, enum geometry_object which)
{
	return which == GEOMETRY_DATA ? generation->fds.data : generation->fds.control;
}

/* Whether its name still is the object's; ret_size is that of the object. */
static bool has_name(const struct generation *generation, enum geometry_object which,
		     uint64_t *ret_size)
{
	const struct state_object *object = &generation->file->objects[which];
	struct stat st;
	bool is_named;

	*ret_size = object->size_bytes;
	/* It never had one, and its size is sealed. */
	if (object->backing == SEGMENT_MEMFD)
		return true;
	is_named = store_stat(object->shm_name, &st) == 0 && st.st_dev == object->device &&
		   st.st_ino == object->inode;
	if (!is_named && fstat(fd_of(generation, which), &st) < 0)
		st.st_size = 0;
	*ret_size = (uint64_t)st.st_size;
	return is_named;
}

static struct generation *emptied_by(struct job *job)
{
	return (struct generation *)((char *)job - offsetof(struct generation, emptying));
}

static bool on_emptying(struct job *job)
{
	(void)job;
	return true;
}

/* Of many GiB it takes its time. The objects are those of our state file, so they are ours. */
static void on_work(struct job *job)
{
	struct generation *generation = emptied_by(job);

	generation->emptied = store_empty(generation->fds.control);
	if (generation->emptied == 0)
		generation->emptied = store_empty(generation->fds.data);
}

static void on_emptied(struct job *job, int error)
{
	struct generation *generation = emptied_by(job);

	if (error == 0)
		error = generation->emptied;
	if (error < 0)
		log_error("cannot empty segment %s: %s", generation_label(generation),
			  strerror(-error));
	generation_kick(generation);
}

static void on_stopped(struct job *job)
{
	(void)job;
}

static void close_ahead(struct generation *generation)
{
	for (int whom = 0; whom < GENERATION_OBSERVER; whom++)
		generation_close_passed(&generation->ahead[whom]);
}

static void lose(struct generation *generation)
{
	static struct log_limit limit = LOG_LIMIT("segments that were truncated", 20);

	log_limited(&limit, LOG_ERR, "segment %s was truncated by a process that may write it: it "
		    "is lost; its %u clients cannot go on with it", generation_label(generation),
		    generation->tenants.n);
	reaper_stop(&generation->reaper);
	peak_stop(&generation->peak);
	claims_stop(&generation->claims);
	chore_stop(&generation->wake);
	generation->state = GENERATION_LOST;
	generation->tenants.segment = NULL;
	/* Those who waited for the claims to end find another one. */
	tenants_try_again(&generation->tenants);
	close_ahead(generation);
	jobs_ask(generation->owner->environment->jobs, &generation->emptying);
	generation_kick(generation);
	generation->owner->lost(generation);
}

void generation_give_up(struct generation *generation)
{
	assert(generation->state == GENERATION_LOST);
	generation->is_given_up = true;
	generation_kick(generation);
}

static void cut_back(struct generation *generation, enum geometry_object which,
		     uint64_t size_bytes)
{
	static struct log_limit limit = LOG_LIMIT("segments that were enlarged", 20);
	const struct state_object *object = &generation->file->objects[which];
	char size[LOG_SIZE_BYTES];
	int r;

	r = ftruncate(fd_of(generation, which), (off_t)object->size_bytes) < 0 ? -errno : 0;
	log_limited(&limit, LOG_WARNING, "segment %s was enlarged to %s by a process that may write "
		    "it: %s", store_label(object->shm_name), log_size(size, size_bytes),
		    r < 0 ? strerror(-r) : "it is cut back");
}

static void lose_name(struct generation *generation, enum geometry_object which)
{
	log_error("segment %s has lost its name, %s: somebody removed it; its %u clients go on, new "
		  "ones get another one", generation_label(generation),
		  generation->file->objects[which].shm_name, generation->tenants.n);
	generation->owner->lost(generation);
	/* Unless a new one was made, which has done it. */
	if (generation->state == GENERATION_CURRENT)
		generation_retire(generation);
}

void generation_check(struct generation *generation)
{
	const struct state_object *objects = generation->file->objects;
	uint64_t sizes[GEOMETRY_N_OBJECTS];
	bool is_named[GEOMETRY_N_OBJECTS];
	bool is_short = generation->segment && sigbus_was_hit(&generation->range);

	if (generation->state == GENERATION_LOST)
		return;
	for (int i = 0; i < GEOMETRY_N_OBJECTS; i++) {
		is_named[i] = has_name(generation, i, &sizes[i]);
		is_short = is_short || sizes[i] < objects[i].size_bytes;
	}
	if (is_short) {
		lose(generation);
		return;
	}
	for (int i = 0; i < GEOMETRY_N_OBJECTS; i++) {
		if (sizes[i] > objects[i].size_bytes)
			cut_back(generation, i, sizes[i]);
		if (!is_named[i] && generation->state == GENERATION_CURRENT)
			lose_name(generation, i);
	}
}

/* Return: whether there is more to do. */
static bool serve_dead(struct generation *generation)
{
	static const struct timeval in_a_second = { 1, 0 };

	switch (reaper_step(&generation->reaper)) {
	case REAPER_IDLE:
		return false;
	case REAPER_BUSY:
		return true;
	case REAPER_DONE:
		/* Before anybody else is told that there is room. */
		generation_check(generation);
		tenants_try_again(&generation->tenants);
		return true;
	case REAPER_SHORT:
		if (!evtimer_pending(&generation->later, NULL))
			evtimer_add(&generation->later, &in_a_second);
		return false;
	}
	return false;
}

/* Used at once by nobody: there is nothing to count. */
static void count_peak(struct generation *generation)
{
	if (generation->tenants.segment && generation->tenants.n > 0)
		peak_start(&generation->peak);
	else
		peak_stop(&generation->peak);
}

static bool step(void *userdata)
{
	struct generation *generation = userdata;

	/* Often enough: a look at the object takes longer than such a step does. */
	if (generation->reaper.phase == REAPER_RESTS || sigbus_was_hit(&generation->range))
		generation_check(generation);
	if (generation->is_given_up && tenants_give_up(&generation->tenants))
		return true;
	claims_look(&generation->claims);
	if (serve_dead(generation))
		return true;
	count_peak(generation);
	generation->owner->swept(generation);
	if (generation->state != GENERATION_CURRENT && generation->tenants.n == 0 &&
	    generation->n_pins == 0 && TAILQ_EMPTY(&generation->tenants.waiting) &&
	    !generation->emptying.jobs && !generation->is_busy)
		generation->owner->over(generation);
	return false;
}

static bool wake_on(void *userdata)
{
	struct generation *generation = userdata;

	return segment_wake_on(generation->segment, &generation->wakes);
}

static void on_later(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	generation_kick(userdata);
}

/* ---- the whole ---- */

int generation_new(const struct generation_owner *owner, struct state *file,
		   struct segment *segment, struct segment_fds fds,
		   struct generation **ret_generation)
{
	static const struct job_fns emptying_fns = {
		.gives_memory = true,
		.begin = on_emptying,
		.work = on_work,
		.done = on_emptied,
		.stopped = on_stopped,
	};
	const struct environment *environment = owner->environment;
	struct generation *generation = calloc(1, sizeof(*generation));
	int r;

	if (!generation)
		return -ENOMEM;
	r = tenants_init(&generation->tenants, environment, &generation->place, file, segment, fds.control,
			 &generation->step);
	if (r < 0) {
		free(generation);
		return r;
	}
	generation->owner = owner;
	generation->emptying.fns = &emptying_fns;
	generation->state = GENERATION_CURRENT;
	generation->file = file;
	generation->segment = segment;
	generation->fds = fds;
	generation->shape_fd = -1;
	generation->place = (struct mempool_msg_place){
		.segment_id = file->identity.segment_id,
		.generation = file->identity.generation,
		.control_bytes = file->objects[GEOMETRY_CONTROL].size_bytes,
		.data_bytes = file->objects[GEOMETRY_DATA].size_bytes,
	};
	snprintf(generation->place.segment, sizeof(generation->place.segment), "%s",
		 owner->segment_name);
	memcpy(generation->place.shm_name, state_name(file), sizeof(generation->place.shm_name));
	if (segment)
		sigbus_watch(&generation->range, segment->memory.base, segment->memory.size);
	reaper_init(&generation->reaper, &generation->tenants);
	peak_init(&generation->peak, environment->base, environment->chores, segment);
	claims_init(&generation->claims, &generation->tenants, &owner->plain_claims);
	chore_init(&generation->step, environment->chores, step, generation);
	chore_init(&generation->wake, environment->chores, wake_on, generation);
	evtimer_assign(&generation->later, environment->base, on_later, generation);
	*ret_generation = generation;
	return 0;
}

void generation_free(struct generation *generation)
{
	if (!generation)
		return;
	jobs_forget(&generation->emptying);
	tenants_deinit(&generation->tenants);
	reaper_stop(&generation->reaper);
	peak_stop(&generation->peak);
	claims_stop(&generation->claims);
	chore_stop(&generation->step);
	chore_stop(&generation->wake);
	evtimer_del(&generation->later);
	sigbus_unwatch(&generation->range);
	close_ahead(generation);
	if (generation->shape_fd >= 0)
		close(generation->shape_fd);
	release_segment(generation->owner->environment->jobs, generation->segment,
			generation->segment ? SEGMENT_FDS_NULL : generation->fds, generation->file);
	free(generation);
}

int generation_adopt(struct generation *generation)
{
	const struct state *file = generation->file;
	int r;

	if (generation->segment)
		segment_restore(generation->segment, &file->identity,
				state_is_retired(file) ? MEMPOOL_SEGMENT_RETIRED
						       : MEMPOOL_SEGMENT_READY);
	r = tenants_adopt(&generation->tenants);
	claims_adopt(&generation->claims);
	generation->reaper.daemon_is_dead = true;
	generation_kick(generation);
	return r;
}

void generation_retire(struct generation *generation)
{
	assert(generation->state == GENERATION_CURRENT);
	state_retire(generation->file);
	if (generation->segment) {
		segment_retire(generation->segment);
		chore_start(&generation->wake);
	}
	tenants_tell_news(&generation->tenants);
	generation->state = GENERATION_RETIRED;
	/* Nobody comes any more. */
	close_ahead(generation);
	generation_kick(generation);
}

bool generation_is_deserted(const struct generation *generation)
{
	const struct tenants *tenants = &generation->tenants;

	for (uint32_t id = 0; tenants->n > 0 && id < tenants->n_ids; id++)
		if (tenants->by_id[id] && tenants->by_id[id]->state == TENANT_LIVE)
			return false;
	return true;
}

bool generation_is_at_rest(const struct generation *generation)
{
	return generation->tenants.n == 0 && generation->reaper.phase == REAPER_RESTS &&
	       !generation->reaper.daemon_is_dead;
}

void generation_pin(struct generation *generation)
{
	generation->n_pins++;
}

void generation_unpin(struct generation *generation)
{
	assert(generation->n_pins > 0);
	generation->n_pins--;
	generation_kick(generation);
}

int generation_admit(struct generation *generation, const struct newcomer *newcomer,
		     int *pidfd, struct tenant **ret_tenant)
{
	int r = newcomer->has_membarrier ? 0 : claims_end(&generation->claims);

	if (r == 0)
		r = tenants_admit(&generation->tenants, newcomer, pidfd, ret_tenant);
	if (r == 0)
		peak_start(&generation->peak);
	return r;
}

/* ---- what peers are passed ---- */

struct generation *generation_of(const struct tenants *tenants)
{
	return (struct generation *)((char *)tenants - offsetof(struct generation, tenants));
}

/* Return: 0; -ENODATA it is not known; -errno. */
static int make_shape(struct generation *generation)
{
	int r;

	if (!generation->file->is_our_layout || generation->fds.control < 0)
		return -ENODATA;
	if (generation->shape_fd >= 0)
		return 0;
	r = shape_make_file(&generation->file->shape);
	generation->shape_fd = r < 0 ? -1 : r;
	return r < 0 ? r : 0;
}

/* One more that is for that peer alone. */
static int open_object(const struct generation *generation, enum geometry_object which,
		       enum segment_access access, struct generation_passed *passed)
{
	int r = store_open_again(fd_of(generation, which), access);

	if (r < 0)
		return r;
	passed->fds[passed->n++] = r;
	return 0;
}

static int open_now(struct generation *generation, enum generation_peer whom,
		    struct generation_passed *ret_passed)
{
	const bool is_holder = whom == GENERATION_MEMBER || whom == GENERATION_READER;
	const enum segment_access access = is_holder ? SEGMENT_READ_WRITE : SEGMENT_READ_ONLY;
	const enum segment_access data_access =
		whom == GENERATION_MEMBER ? SEGMENT_READ_WRITE : SEGMENT_READ_ONLY;
	int r;

	*ret_passed = (struct generation_passed){ .n = 0 };
	r = make_shape(generation);
	if (r < 0)
		return r;
	ret_passed->fds[ret_passed->n++] = generation->shape_fd;
	r = open_object(generation, GEOMETRY_CONTROL, access, ret_passed);
	if (r == 0 && whom != GENERATION_OBSERVER)
		r = open_object(generation, GEOMETRY_DATA, data_access, ret_passed);
	if (r == 0 && is_holder)
		r = open_object(generation, GEOMETRY_CONTROL, SEGMENT_READ_ONLY, ret_passed);
	if (r < 0)
		generation_close_passed(ret_passed);
	return r;
}

int generation_open(struct generation *generation, enum generation_peer whom,
		    struct generation_passed *ret_passed)
{
	if (whom == GENERATION_OBSERVER || generation->ahead[whom].n == 0)
		return open_now(generation, whom, ret_passed);
	/* They are that peer's, and nobody else gets them. */
	*ret_passed = generation->ahead[whom];
	generation->ahead[whom].n = 0;
	return 0;
}

void generation_open_ahead(struct generation *generation, enum generation_peer whom)
{
	if (generation->ahead[whom].n == 0 && generation->state == GENERATION_CURRENT)
		open_now(generation, whom, &generation->ahead[whom]);
}

void generation_close_passed(struct generation_passed *passed)
{
	for (uint32_t i = MEMPOOL_PASSED_CONTROL; i < passed->n; i++)
		close(passed->fds[i]);
	passed->n = 0;
}
