/* SPDX-License-Identifier: MIT */
#include "daemon/segments/watch.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/base/counters.h"

enum watch_state {
	WATCH_SEEN,
	WATCH_BLIND,
	WATCH_DEAD,
};

struct watch {
	LIST_ENTRY(watch) link;		/* of its bucket */
	TAILQ_ENTRY(watch) state_link;	/* of the blind, or of the dead */
	struct watches *watches;
	enum watch_state state;
	struct process process;
	int pidfd;			/* -1: none */
	int error;			/* why it is blind */
	struct event death;
	TAILQ_HEAD(, watched) list;
	uint32_t n;
};

static uint32_t bucket_of(const struct process *process)
{
	/* Those that have no pid here have an inode. */
	uint64_t number = process->pid > 0 ? (uint64_t)process->pid : process->inode;

	return (uint32_t)(number % WATCH_BUCKETS);
}

/* ---- what is seen ---- */

static void leave_list(struct watch *watch)
{
	struct watches *watches = watch->watches;

	if (watch->state == WATCH_BLIND) {
		TAILQ_REMOVE(&watches->blind, watch, state_link);
		watches->n_blind--;
	} else if (watch->state == WATCH_DEAD) {
		TAILQ_REMOVE(&watches->dead, watch, state_link);
	}
	watch->state = WATCH_SEEN;
}

static void turn_blind(struct watch *watch, int error)
{
	static const struct timeval second = { 1, 0 };
	struct watches *watches = watch->watches;

	leave_list(watch);
	watch->state = WATCH_BLIND;
	watch->error = error;
	TAILQ_INSERT_TAIL(&watches->blind, watch, state_link);
	watches->n_blind++;
	if (!evtimer_pending(&watches->second, NULL))
		evtimer_add(&watches->second, &second);
}

static void turn_dead(struct watch *watch)
{
	struct watches *watches = watch->watches;

	leave_list(watch);
	watch->state = WATCH_DEAD;
	TAILQ_INSERT_TAIL(&watches->dead, watch, state_link);
	/* As good as: who waits for room waits for them as well. */
	watches->counters->n_reaping += watch->n;
	chore_start(&watches->tell);
}

static void on_death(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	turn_dead(userdata);
}

/* false: the loop cannot watch one more. The descriptor is the caller's then. */
static bool see(struct watch *watch, int pidfd)
{
	event_assign(&watch->death, watch->watches->base, pidfd, EV_READ, on_death, watch);
	if (event_add(&watch->death, NULL) < 0)
		return false;
	watch->pidfd = pidfd;
	leave_list(watch);
	return true;
}

/* Return: as process_open(). */
static int look(struct watch *watch)
{
	int pidfd, r = process_open(&watch->process, watch->watches->origin, &pidfd);

	if (r < 0 || see(watch, pidfd))
		return r;
	close(pidfd);
	return -ENOMEM;
}

/* ---- the second look ---- */

/* The records of the one that was looked at last, unless it is seen by now. */
static void tell_next_blind(struct watches *watches)
{
	struct watched *watched = watches->told;
	const struct watch *watch = watched->watch;

	watches->told = watch->state == WATCH_BLIND ? TAILQ_NEXT(watched, link) : NULL;
	if (watch->state == WATCH_BLIND)
		watched->tell->blind(watched, watch->error);
}

static bool on_look(void *userdata)
{
	struct watches *watches = userdata;
	struct watch *watch;
	int r;

	if (watches->told) {
		tell_next_blind(watches);
		return true;
	}
	watch = TAILQ_FIRST(&watches->blind);
	if (!watch || watches->n_looks == 0)
		return false;
	watches->n_looks--;
	r = look(watch);
	if (r == -ESRCH) {
		turn_dead(watch);
	} else if (r < 0) {
		/* To the end: the first is the one that has waited longest. */
		turn_blind(watch, r);
		watches->told = TAILQ_FIRST(&watch->list);
	}
	return true;
}

static void on_second(evutil_socket_t fd, short what, void *userdata)
{
	struct watches *watches = userdata;

	(void)fd;
	(void)what;
	watches->n_looks = watches->n_blind;
	chore_start(&watches->look);
}

/* ---- the dead ---- */

static bool on_tell(void *userdata)
{
	struct watches *watches = userdata;
	struct watch *watch = TAILQ_FIRST(&watches->dead);
	struct watched *watched = watch ? TAILQ_FIRST(&watch->list) : NULL;

	/* The last one that leaves takes the watch with it. */
	if (watched)
		watched->tell->died(watched);
	return !TAILQ_EMPTY(&watches->dead);
}

/* ---- the records ---- */

static struct watch *find(struct watches *watches, const struct process *process)
{
	struct watch *watch;

	LIST_FOREACH(watch, &watches->buckets[bucket_of(process)], link)
		if (process_is(&watch->process, process))
			return watch;
	return NULL;
}

static void watch_free(struct watch *watch)
{
	leave_list(watch);
	LIST_REMOVE(watch, link);
	if (watch->pidfd >= 0) {
		event_del(&watch->death);
		close(watch->pidfd);
	}
	free(watch);
}

/* Return: 0; -ESRCH; -ENOMEM. */
static int watch_new(struct watches *watches, const struct process *process, int *pidfd,
		     struct watch **ret_watch)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	int r = 0;

	if (!watch)
		return -ENOMEM;
	watch->watches = watches;
	watch->state = WATCH_SEEN;
	watch->process = *process;
	watch->pidfd = -1;
	TAILQ_INIT(&watch->list);
	LIST_INSERT_HEAD(&watches->buckets[bucket_of(process)], watch, link);
	if (!pidfd || *pidfd < 0)
		r = look(watch);
	else if (see(watch, *pidfd))
		*pidfd = -1;
	else
		r = -ENOMEM;
	if (r == -ESRCH) {
		watch_free(watch);
		return r;
	}
	if (r < 0)
		turn_blind(watch, r);
	*ret_watch = watch;
	return 0;
}

int watch_join(struct watches *watches, struct watched *watched, const struct process *process,
	       int *pidfd)
{
	struct watch *watch = find(watches, process);
	int r;

	assert(!watched->watch);
	if (!watch) {
		r = watch_new(watches, process, pidfd, &watch);
		if (r < 0)
			return r;
	} else if (watch->state == WATCH_BLIND && pidfd && *pidfd >= 0 && see(watch, *pidfd)) {
		*pidfd = -1;
	}
	watched->watch = watch;
	TAILQ_INSERT_TAIL(&watch->list, watched, link);
	watch->n++;
	watches->counters->n_reaping += watch->state == WATCH_DEAD;
	if (watch->state == WATCH_BLIND)
		watched->tell->blind(watched, watch->error);
	return 0;
}

void watch_leave(struct watched *watched)
{
	struct watch *watch = watched->watch;
	struct watches *watches;

	if (!watch)
		return;
	watches = watch->watches;
	if (watches->told == watched)
		watches->told = TAILQ_NEXT(watched, link);
	watches->counters->n_reaping -= watch->state == WATCH_DEAD;
	TAILQ_REMOVE(&watch->list, watched, link);
	watched->watch = NULL;
	if (--watch->n == 0)
		watch_free(watch);
}

bool watch_look_up(const struct watched *watched, struct process *process)
{
	return watched->watch && watched->watch->pidfd >= 0 &&
	       process_look_up(process, watched->watch->pidfd);
}

int watch_pidfd(const struct watched *watched)
{
	return watched->watch ? watched->watch->pidfd : -1;
}

bool watch_sees(const struct watched *watched)
{
	return watched->watch && watched->watch->state != WATCH_BLIND;
}

/* ---- the whole ---- */

void watches_init(struct watches *watches, struct event_base *base, struct chores *chores,
		  const struct origin *origin, struct counters *counters)
{
	watches->base = base;
	watches->origin = origin;
	watches->counters = counters;
	for (int i = 0; i < WATCH_BUCKETS; i++)
		LIST_INIT(&watches->buckets[i]);
	TAILQ_INIT(&watches->blind);
	TAILQ_INIT(&watches->dead);
	evtimer_assign(&watches->second, base, on_second, watches);
	chore_init(&watches->look, chores, on_look, watches);
	chore_init(&watches->tell, chores, on_tell, watches);
	watches->n_blind = watches->n_looks = 0;
	watches->told = NULL;
}

void watches_deinit(struct watches *watches)
{
	evtimer_del(&watches->second);
	chore_stop(&watches->look);
	chore_stop(&watches->tell);
}
