/* SPDX-License-Identifier: MIT */
#include "daemon/segments/generation.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/segments/store.h"

const char *generation_label(const struct generation *generation)
{
	return store_label(generation->place.shm_name);
}

void generation_kick(struct generation *generation)
{
	static const struct timeval at_once = { 0, 0 };

	evtimer_add(&generation->step, &at_once);
}

/* ---- the deferred step ---- */

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
		  generation->tenants.n);
	reaper_stop(&generation->reaper);
	peak_stop(&generation->peak);
	generation->state = GENERATION_LOST;
	generation->tenants.segment = NULL;
	generation_kick(generation);
	generation->owner->lost(generation);
}

/* Nothing can be swept where there is no segment: the records are all that is to free. */
static void serve_dead(struct generation *generation)
{
	static const struct timeval in_a_second = { 1, 0 };

	if (!generation->tenants.segment) {
		tenants_free_dead(&generation->tenants);
		return;
	}
	switch (reaper_step(&generation->reaper)) {
	case REAPER_IDLE:
		break;
	case REAPER_BUSY:
		generation_kick(generation);
		break;
	case REAPER_SHORT:
		if (!evtimer_pending(&generation->step, NULL))
			evtimer_add(&generation->step, &in_a_second);
		break;
	}
}

/* Used at once by nobody: there is nothing to count. */
static void count_peak(struct generation *generation)
{
	if (generation->tenants.segment && generation->tenants.n > 0)
		peak_start(&generation->peak);
	else
		peak_stop(&generation->peak);
}

static void on_step(evutil_socket_t fd, short what, void *userdata)
{
	struct generation *generation = userdata;

	(void)fd;
	(void)what;
	generation_check(generation);
	serve_dead(generation);
	if (!generation->reaper.is_running)
		tenants_try_again(&generation->tenants);
	count_peak(generation);
	if (generation->state != GENERATION_CURRENT && generation->tenants.n == 0 &&
	    TAILQ_EMPTY(&generation->tenants.waiting))
		generation->owner->over(generation);
}

/* ---- the whole ---- */

int generation_new(const struct generation_owner *owner, const char *shm_name,
		   struct segment *segment, const struct frozen *frozen,
		   struct generation **ret_generation)
{
	const struct environment *environment = owner->environment;
	struct generation *generation;
	struct stat st;
	int fd = segment ? segment->memory.fd : frozen->fd;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	generation = calloc(1, sizeof(*generation));
	if (!generation)
		return -ENOMEM;
	r = tenants_init(&generation->tenants, environment, &generation->place, segment,
			 segment ? segment->n_holders : frozen->n_holders, &generation->step);
	if (r < 0) {
		free(generation);
		return r;
	}
	generation->owner = owner;
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
	snprintf(generation->place.segment, sizeof(generation->place.segment), "%s",
		 owner->segment_name);
	snprintf(generation->place.shm_name, sizeof(generation->place.shm_name), "%s",
		 shm_name);
	if (segment)
		sigbus_watch(&generation->range, segment->memory.base, segment->memory.size);
	reaper_init(&generation->reaper, &generation->tenants);
	peak_init(&generation->peak, environment->base, segment);
	evtimer_assign(&generation->step, environment->base, on_step, generation);
	*ret_generation = generation;
	return 0;
}

void generation_free(struct generation *generation)
{
	if (!generation)
		return;
	tenants_deinit(&generation->tenants);
	reaper_stop(&generation->reaper);
	peak_stop(&generation->peak);
	evtimer_del(&generation->step);
	sigbus_unwatch(&generation->range);
	if (generation->segment)
		segment_free(generation->segment);
	else
		close(generation->fd);
	free(generation);
}

void generation_retire(struct generation *generation)
{
	assert(generation->state == GENERATION_CURRENT);
	if (generation->segment)
		segment_retire(generation->segment);
	tenants_tell_news(&generation->tenants);
	generation->state = GENERATION_RETIRED;
	generation_kick(generation);
}

int generation_admit(struct generation *generation, const struct newcomer *newcomer,
		     int pidfd, struct tenant **ret_tenant)
{
	int r = tenants_admit(&generation->tenants, newcomer, pidfd, ret_tenant);

	if (r == 0)
		peak_start(&generation->peak);
	return r;
}
