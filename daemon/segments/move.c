/* SPDX-License-Identifier: MIT */
#include "daemon/segments/move.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/config/segment.h"
#include "daemon/segments/environment.h"
#include "shm/queue.h"
#include "shm/topic.h"

#define AGAIN_S 1
#define AGAIN_MAX_S 8

/* ---- which ones ---- */

/* Whether there may be messages in it that are to go elsewhere. */
static bool is_candidate(const struct mover *mover, const struct generation *generation)
{
	return generation != *mover->owner.current && generation->state != GENERATION_LOST &&
	       generation->segment && generation->segment->config.n_rings > 0 &&
	       !generation->moves.is_over && !generation->moves.is_tried;
}

/* Nobody is at it, a drain either. */
static bool is_ready(const struct generation *generation)
{
	return generation->state == GENERATION_RETIRED && generation_is_at_rest(generation) &&
	       generation->n_pins == 0 && TAILQ_EMPTY(&generation->tenants.waiting);
}

/* The oldest one that can be moved from; or NULL. */
static struct generation *find_ready(const struct mover *mover)
{
	struct generation *generation, *oldest = NULL;

	TAILQ_FOREACH(generation, mover->owner.generations, link)
		if (is_candidate(mover, generation) && is_ready(generation) &&
		    (!oldest || generation->place.generation < oldest->place.generation))
			oldest = generation;
	return oldest;
}

/* Whether one will be ready, with nobody's help. */
static bool is_one_coming(const struct mover *mover)
{
	const struct generation *generation;

	TAILQ_FOREACH(generation, mover->owner.generations, link)
		if (is_candidate(mover, generation) && generation_is_deserted(generation))
			return true;
	return false;
}

static bool is_one_waiting(const struct mover *mover)
{
	const struct generation *generation;

	TAILQ_FOREACH(generation, mover->owner.generations, link)
		if (generation->moves.counts.n_waiting > 0)
			return true;
	return false;
}

bool mover_keeps(const struct generation *generation)
{
	return generation->state != GENERATION_LOST && generation->segment &&
	       generation->segment->config.n_rings > 0 && !generation->moves.is_over;
}

/* ---- topics ---- */

static bool has_published(const struct generation *generation, const char *name)
{
	int ring = queue_find(generation->segment, name, MEMPOOL_RING_TOPIC);
	struct topic topic;

	if (ring < 0)
		return false;
	topic_view(&topic, generation->segment, (uint32_t)ring);
	return topic_begin(&topic) != 0 - topic.capacity;
}

/* Topics in which a generation between the two has something newer, or had. */
static void find_outdated(struct mover *mover)
{
	const struct config *shape = &mover->from->segment->config;
	const struct generation *generation;

	TAILQ_FOREACH(generation, mover->owner.generations, link) {
		if (generation == mover->to || generation->state == GENERATION_LOST ||
		    !generation->segment ||
		    generation->place.generation <= mover->from->place.generation)
			continue;
		for (size_t i = 0; i < shape->n_rings; i++)
			if (shape->rings[i].kind == MEMPOOL_RING_TOPIC &&
			    has_published(generation, shape->rings[i].name))
				mover->is_outdated[i] = true;
	}
}

/* ---- a pass ---- */

static bool may_go_on(void *userdata)
{
	const struct mover *mover = userdata;

	/* Relaxed: a wish that may be seen a message later. */
	return !atomic_load_explicit(&mover->is_given_up, memory_order_relaxed) &&
	       !sigbus_was_hit(&mover->ranges[0]) && !sigbus_was_hit(&mover->ranges[1]);
}

/* In the thread. */
static void work(void *userdata)
{
	struct mover *mover = userdata;
	const struct segment_memory *from = &mover->from->segment->memory;
	const struct segment_memory *to = mover->to ? &mover->to->segment->memory : from;
	uint64_t n_kept;

	sigbus_watch(&mover->ranges[0], from->base, from->size);
	sigbus_watch(&mover->ranges[1], to->base, to->size);
	if (mover->to) {
		mover->is_complete = move_all(&mover->move, &mover->counts, mover->why);
	} else {
		mover->counts.n_waiting = move_count(mover->from->segment, &n_kept);
		/* With the last message of a queue the generation goes, and what its topics keep. */
		if (mover->counts.n_waiting == 0)
			mover->counts.n_evicted = n_kept;
		mover->is_complete = may_go_on(mover);
	}
	sigbus_unwatch(&mover->ranges[0]);
	sigbus_unwatch(&mover->ranges[1]);
}

static void add_counts(struct move_counts *sum, const struct move_counts *counts)
{
	sum->n_moved += counts->n_moved;
	sum->n_evicted += counts->n_evicted;
	sum->n_discarded += counts->n_discarded;
	sum->n_damaged += counts->n_damaged;
	sum->n_waiting = counts->n_waiting;
}

static void log_pass(const struct mover *mover, bool is_news)
{
	const struct move_counts *counts = &mover->counts;
	const char *name = mover->owner.segment_name, *from = generation_label(mover->from);

	if (counts->n_moved > 0)
		log_notice("segment '%s': moved %" PRIu64 " messages of %s to %s", name,
			   counts->n_moved, from, generation_label(mover->to));
	if (counts->n_evicted > 0)
		log_notice("segment '%s': %" PRIu64 " messages that topics of %s kept are evicted: "
			   "newer ones were published, or so many are not kept any more, or the "
			   "topic is gone", name, counts->n_evicted, from);
	if (counts->n_discarded > 0)
		log_notice("segment '%s': dropped %" PRIu64 " messages of %s that had no place", name,
			   counts->n_discarded, from);
	if (counts->n_damaged > 0)
		log_warning("segment '%s': dropped %" PRIu64 " messages of %s: somebody wrote over "
			    "them", name, counts->n_damaged, from);
	if (counts->n_waiting > 0 && is_news)
		log_warning("segment '%s': %" PRIu64 " messages of %s have no place (%s): it is kept "
			    "until they have (mempoolctl reload --discard drops them)", name,
			    counts->n_waiting, from, mover->why);
}

static void take_results(struct mover *mover)
{
	struct generation_moves *moves = &mover->from->moves;
	bool is_news = moves->counts.n_waiting != mover->counts.n_waiting;

	if (!mover->to && state_discards(mover->from->file)) {
		mover->counts.n_discarded = mover->counts.n_waiting;
		mover->counts.n_waiting = 0;
	}
	log_pass(mover, is_news);
	add_counts(&moves->counts, &mover->counts);
	memcpy(moves->why, mover->why, sizeof(moves->why));
	/* There may be another place by now. */
	moves->is_tried = mover->is_complete && mover->to == *mover->owner.current;
	moves->is_over = moves->is_tried && mover->counts.n_waiting == 0;
	if (mover->to) {
		mover->to->n_moved_here += mover->counts.n_moved;
		if (mover->counts.n_moved > 0 || mover->counts.gave_role_back)
			tenants_tell_news(&mover->to->tenants);
	}
}

/* The thread's own view of a mapping was lost: the loop's is the same. */
static void pass_on_hit(const struct sigbus_range *range, struct generation *generation)
{
	if (sigbus_was_hit(range))
		sigbus_hit(&generation->range);
}

static void end_pass(struct mover *mover)
{
	struct generation *from = mover->from, *to = mover->to;

	if (mover->ranges)
		pass_on_hit(&mover->ranges[0], from);
	if (mover->ranges && to)
		pass_on_hit(&mover->ranges[1], to);
	mover->from = mover->to = NULL;
	free(mover->ranges);
	free(mover->is_outdated);
	mover->ranges = NULL;
	mover->is_outdated = NULL;
	generation_unpin(from);
	if (to)
		generation_unpin(to);
}

static void done(void *userdata)
{
	struct mover *mover = userdata;
	struct generation *from = mover->from;

	take_results(mover);
	end_pass(mover);
	mover_look(mover);
	mover->owner.changed(from);
}

/* Return: 0; -ENOMEM; -errno: there is no thread. */
static int begin(struct mover *mover, struct generation *from, struct generation *to)
{
	int r = 0;

	mover->from = from;
	mover->to = to;
	generation_pin(from);
	if (to)
		generation_pin(to);
	mover->counts = (struct move_counts){ .n_moved = 0 };
	snprintf(mover->why, sizeof(mover->why), "the segment is not in the config any more");
	mover->is_complete = false;
	mover->ranges = calloc(2, sizeof(*mover->ranges));
	mover->is_outdated = calloc(from->segment->config.n_rings, sizeof(*mover->is_outdated));
	if (!mover->ranges || !mover->is_outdated)
		r = -ENOMEM;
	if (r == 0 && to) {
		find_outdated(mover);
		mover->move = (struct move){
			.from = from->segment,
			.to = to->segment,
			.journal = from->file->journal,
			.n_published = from->file->n_published,
			.is_outdated = mover->is_outdated,
			.discards = state_discards(from->file),
			.may_go_on = may_go_on,
			.userdata = mover,
		};
	}
	if (r == 0)
		r = worker_start(&mover->worker, mover->environment->base, work, done, mover);
	return r;
}

/* ---- again ---- */

static void forget_tries(struct mover *mover)
{
	struct generation *generation;

	TAILQ_FOREACH(generation, mover->owner.generations, link)
		generation->moves.is_tried = false;
}

static void on_again(evutil_socket_t fd, short what, void *userdata)
{
	struct mover *mover = userdata;

	(void)fd;
	(void)what;
	forget_tries(mover);
	mover_look(mover);
}

static void try_later(struct mover *mover)
{
	struct timeval delay = { .tv_sec = AGAIN_S << mover->n_tries };

	if (evtimer_pending(&mover->again, NULL))
		return;
	if (delay.tv_sec < AGAIN_MAX_S)
		mover->n_tries++;
	evtimer_add(&mover->again, &delay);
}

static void open_up(struct mover *mover)
{
	mover->is_closed = false;
	mover->environment->tell->made(mover->environment->userdata);
}

/* Whether it can be begun, and where to; *ret_to NULL: nowhere. */
static bool find_target(const struct mover *mover, struct generation **ret_to)
{
	*ret_to = *mover->owner.current;
	if (!*mover->owner.conf)
		return true;
	return *ret_to && (*ret_to)->state == GENERATION_CURRENT &&
	       !(*ret_to)->reaper.daemon_is_dead;
}

void mover_look(struct mover *mover)
{
	struct generation *from, *to;

	if (mover->from)
		return;
	from = find_ready(mover);
	if (from) {
		/* With a new target, or when the dead daemon is swept there. */
		if (!find_target(mover, &to))
			return;
		if (begin(mover, from, to) == 0)
			return;
		from->moves.is_tried = true;
		end_pass(mover);
		try_later(mover);
		mover_look(mover);
		return;
	}
	if (mover->is_closed && !is_one_coming(mover))
		open_up(mover);
	if (is_one_waiting(mover))
		try_later(mover);
	else
		mover->n_tries = 0;
}

void mover_close(struct mover *mover)
{
	forget_tries(mover);
	mover->is_closed = is_one_coming(mover);
}

void mover_retry(struct mover *mover)
{
	mover->n_tries = 0;
	evtimer_del(&mover->again);
	forget_tries(mover);
	mover_look(mover);
}

/* ---- the whole ---- */

void mover_recover(const struct state *file, struct segment *from, struct segment *to)
{
	struct sigbus_range ranges[2];
	bool is_over;

	if (from)
		sigbus_watch(&ranges[0], from->memory.base, from->memory.size);
	if (to)
		sigbus_watch(&ranges[1], to->memory.base, to->memory.size);
	is_over = move_recover(from, to, file->journal, file->n_published);
	if (from)
		sigbus_unwatch(&ranges[0]);
	if (to)
		sigbus_unwatch(&ranges[1]);
	log_info("segment '%s': a message was being moved from generation %" PRIu64 ": %s",
		 file->segment_name, file->identity.generation,
		 is_over ? "it was published" : "it has stayed");
}

void mover_init(struct mover *mover, const struct environment *environment,
		const struct mover_owner *owner)
{
	*mover = (struct mover){ .environment = environment, .owner = *owner };
	evtimer_assign(&mover->again, environment->base, on_again, mover);
}

bool mover_stop(struct mover *mover)
{
	atomic_store_explicit(&mover->is_given_up, true, memory_order_relaxed);
	evtimer_del(&mover->again);
	if (!worker_stop(&mover->worker))
		return false;
	if (mover->from)
		end_pass(mover);
	return true;
}
