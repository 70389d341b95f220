/* SPDX-License-Identifier: MIT */
#include "poller.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "channel.h"
#include "shm/barrier.h"
#include "shm/clock.h"
#include "shm/fd.h"

/* Of those pending, so many are compared with their sequence in each look. */
#define STEPS_PER_LOOK 2

/* ---- the lock ---- */

/* Reading and writing a descriptor is a cancellation point. Return: for leave(). */
static int enter(struct poller *poller)
{
	int cancel_state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	pthread_mutex_lock(&poller->lock);
	return cancel_state;
}

static void leave(struct poller *poller, int cancel_state)
{
	pthread_mutex_unlock(&poller->lock);
	pthread_setcancelstate(cancel_state, NULL);
}

/*
 * A thread that is preempted under it runs on with the priority of those who wait, or not, where
 * the kernel cannot do that. Source: 6 ns more for a pair without contention, beside calls of some
 * hundred.
 */
static int init_lock(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attributes;
	int r;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
	r = pthread_mutex_init(lock, &attributes);
	if (r == ENOTSUP)
		r = pthread_mutex_init(lock, NULL);
	pthread_mutexattr_destroy(&attributes);
	return -r;
}

/* ---- the descriptor ---- */

int poller_init(struct poller *poller, struct segment *segment, uint32_t holder,
		struct connection *connection)
{
	*poller = (struct poller){
		.segment = segment,
		.holder = holder,
		.connection = connection,
		.epoll_fd = -1,
		.timer_fd = -1,
		.keep_fd = -1,
	};
	for (int i = 0; i < POLLER_CHANNELS; i++)
		poller->channels[i] = -1;
	for (int i = 0; i < POLLER_LISTS; i++)
		TAILQ_INIT(&poller->lists[i]);
	peers_init(&poller->peers, segment, connection);
	return init_lock(&poller->lock);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int watch(const struct poller *poller, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/*
 * Out of the set first: a forked child may have all of it open still, and a program that watches
 * the set in one of its own would then be told of the timer for ever.
 */
static void unwatch(const struct poller *poller, int fd)
{
	if (poller->epoll_fd >= 0 && fd >= 0)
		epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static void close_all(struct poller *poller)
{
	for (int i = 0; i < POLLER_CHANNELS; i++)
		close_fd(&poller->channels[i]);
	close_fd(&poller->timer_fd);
	close_fd(&poller->keep_fd);
	close_fd(&poller->epoll_fd);
	free(poller->n_told);
	poller->n_told = NULL;
}

void poller_deinit(struct poller *poller, bool is_forked)
{
	peers_deinit(&poller->peers);
	if (!is_forked) {
		for (int i = 0; i < POLLER_CHANNELS; i++)
			unwatch(poller, poller->channels[i]);
		unwatch(poller, poller->timer_fd);
		unwatch(poller, poller->keep_fd);
	}
	close_all(poller);
	pthread_mutex_destroy(&poller->lock);
}

static bool is_spectator(const struct poller *poller)
{
	return poller->holder == MEMPOOL_HOLDER_NONE;
}

static int make(struct poller *poller, size_t n_rings)
{
	const struct timespec beat = {
		.tv_sec = !is_spectator(poller),
		.tv_nsec = is_spectator(poller) ? POLLER_BEAT_NS : 0,
	};
	const struct itimerspec slice = { .it_value = beat, .it_interval = beat };
	int r = 0;

	poller->epoll_fd = fd_above_stdio(epoll_create1(EPOLL_CLOEXEC));
	poller->timer_fd = fd_above_stdio(timerfd_create(CLOCK_MONOTONIC,
							 TFD_CLOEXEC | TFD_NONBLOCK));
	poller->keep_fd = fd_above_stdio(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (poller->epoll_fd < 0 || poller->timer_fd < 0 || poller->keep_fd < 0 ||
	    timerfd_settime(poller->timer_fd, 0, &slice, NULL) < 0)
		r = -errno;
	if (r == 0)
		r = watch(poller, poller->timer_fd);
	if (r == 0)
		r = watch(poller, poller->keep_fd);
	if (r == 0) {
		/* One more: no rings are no failure. */
		poller->n_told = calloc(n_rings + 1, sizeof(*poller->n_told));
		r = poller->n_told ? 0 : -ENOMEM;
	}
	if (r < 0)
		close_all(poller);
	return r;
}

static struct poller_looks *pending(struct poller *poller)
{
	return &poller->lists[!poller->seen];
}

/* Readable for what we know ourselves; else, as far as it goes, not. */
static void keep(struct poller *poller)
{
	bool is_kept = poller->has_news || !TAILQ_EMPTY(pending(poller));
	eventfd_t count;

	if (is_kept == poller->is_kept)
		return;
	poller->is_kept = is_kept;
	if (is_kept)
		eventfd_write(poller->keep_fd, 1);
	else
		eventfd_read(poller->keep_fd, &count);
}

/* For those who look: there is something new. */
static void note_news(struct poller *poller)
{
	if (poller->epoll_fd < 0)
		return;
	poller->has_news = true;
	keep(poller);
}

int poller_open(struct poller *poller)
{
	int cancel_state = enter(poller);
	int r = 0;

	if (poller->epoll_fd < 0) {
		r = make(poller, poller->segment->config.n_rings);
		if (r == 0) {
			if (!is_spectator(poller))
				connection_watch(poller->connection, poller->epoll_fd);
			/* What has happened so far may be news. */
			note_news(poller);
			atomic_store_explicit(&poller->is_used, true, memory_order_release);
		}
	}
	if (r == 0)
		r = poller->epoll_fd;
	leave(poller, cancel_state);
	return r;
}

/* ---- what the daemon says ---- */

static bool is_channel(const struct poller *poller, int fd)
{
	for (int i = 0; i < POLLER_CHANNELS; i++)
		if (poller->channels[i] == fd)
			return true;
	return false;
}

/*
 * Others may have the channel already, and have woken us, or have asked the daemon to before there
 * was one: so it is to be looked, whatever comes of this. It takes the place of the oldest. A file
 * that is no channel is not put into the set.
 */
static void take_channel(struct poller *poller, int fd)
{
	int *place = &poller->channels[poller->n_channels % POLLER_CHANNELS];

	if (fd < 0 || channel_clear(fd) < 0 || watch(poller, fd) < 0) {
		close_fd(&fd);
		poller->asks_again = true;
		return;
	}
	unwatch(poller, *place);
	close_fd(place);
	*place = fd;
	poller->n_channels++;
}

/* With the timer's beat, while there is a daemon that had none for us. */
static void ask_again(struct poller *poller)
{
	if (poller->asks_again && poller->connection->fd >= 0)
		poller->asks_again = connection_ask_wake(poller->connection) < 0;
}

/*
 * Read all that there is. Return: whether it is news; of a daemon that went or came anything
 * may be, for whoever is to be woken may not have been.
 */
static bool hear(struct poller *poller)
{
	struct connection_answer answer;
	bool is_news = false;

	for (;;) {
		switch (connection_read(poller->connection, &answer)) {
		case CONNECTION_NOTHING:
			return is_news;
		case CONNECTION_NEWS:
			is_news = true;
			break;
		case CONNECTION_WAKE:
			take_channel(poller, answer.fd);
			is_news = true;
			break;
		case CONNECTION_PEER:
			peers_take(&poller->peers, &answer);
			break;
		case CONNECTION_GONE:
			/* For those, too, who do not ask. A daemon that has it after all says READY. */
			segment_retire(poller->segment);
			__attribute__((fallthrough));
		case CONNECTION_LOST:
		case CONNECTION_BACK:
			/* Each daemon is asked behind the hello. */
			poller->asks_again = false;
			poller->is_next_for_all = true;
			is_news = true;
			break;
		}
	}
}

/* ---- looking ---- */

static _Atomic uint64_t *pollers_of(const struct poller *poller, uint32_t ring)
{
	return poller->segment->pollers + (uint64_t)ring * (poller->segment->n_holders / 64);
}

void poller_look_init(struct poller_look *look, uint32_t ring,
		      struct mempool_eventcount *eventcount, bool peer_stores)
{
	*look = (struct poller_look){
		.eventcount = eventcount,
		.ring = ring,
		.peer_stores = peer_stores,
	};
}

static bool is_pending(const struct poller *poller, const struct poller_look *look)
{
	return look->is_listed && look->list == !poller->seen;
}

/* seq_cst: what was read from the ring came before (eventcount.h). */
static bool is_armed(const struct poller_look *look)
{
	return look->is_told && atomic_load_explicit(&look->eventcount->sequence,
						     memory_order_seq_cst) == look->sequence;
}

static void move_to(struct poller *poller, struct poller_look *look, uint8_t list)
{
	if (look->is_listed)
		TAILQ_REMOVE(&poller->lists[look->list], look, link);
	look->is_listed = true;
	look->list = list;
	TAILQ_INSERT_TAIL(&poller->lists[list], look, link);
}

static void set_seen(struct poller *poller, struct poller_look *look)
{
	move_to(poller, look, poller->seen);
	if (is_spectator(poller))
		return;
	poller->n_told[look->ring] += !look->is_told;
	look->is_told = true;
}

/* The bit of its ring goes with the last one. */
static void tell_no_more(struct poller *poller, struct poller_look *look)
{
	if (!look->is_told)
		return;
	look->is_told = false;
	if (--poller->n_told[look->ring] > 0)
		return;
	/* Relaxed: whoever sees the bit still wakes us once for nothing. */
	atomic_fetch_and_explicit(&pollers_of(poller, look->ring)[poller->holder / 64],
				  ~(UINT64_C(1) << poller->holder % 64), memory_order_relaxed);
}

static void unlist(struct poller *poller, struct poller_look *look)
{
	TAILQ_REMOVE(&poller->lists[look->list], look, link);
	look->is_listed = false;
	tell_no_more(poller, look);
}

static void give_up_pending(struct poller *poller)
{
	struct poller_look *look;

	while ((look = TAILQ_FIRST(pending(poller)))) {
		move_to(poller, look, POLLER_GIVEN_UP);
		tell_no_more(poller, look);
	}
}

/* Into the round that has begun. */
static void take_up_again(struct poller *poller)
{
	struct poller_look *look;

	while ((look = TAILQ_FIRST(&poller->lists[POLLER_GIVEN_UP])))
		move_to(poller, look, !poller->seen);
}

/* All that may be in the set: the channels, the socket, the timer and keep_fd. */
#define MAX_EVENTS (POLLER_CHANNELS + 3)

/* Drain what has made the descriptor readable. Return: whether anything had. */
static bool drain(struct poller *poller)
{
	struct epoll_event events[MAX_EVENTS];
	int n = epoll_wait(poller->epoll_fd, events, MAX_EVENTS, 0);
	bool is_news = false;
	uint64_t count;

	for (int i = 0; i < n; i++) {
		int fd = events[i].data.fd;

		if (fd == poller->timer_fd) {
			is_news |= read(fd, &count, sizeof(count)) > 0;
			poller->is_next_for_all = true;
			ask_again(poller);
		} else if (fd == poller->connection->fd) {
			is_news |= hear(poller);
		} else if (is_channel(poller, fd)) {
			channel_clear(fd);
			is_news = true;
		}
	}
	return is_news;
}

/* Nothing is pending: if there is news, all that is seen is. */
static void begin_round(struct poller *poller)
{
	if (drain(poller) | poller->has_news) {
		poller->has_news = false;
		poller->seen = !poller->seen;
		poller->is_for_all = poller->is_next_for_all;
		poller->is_next_for_all = false;
		if (poller->is_for_all)
			take_up_again(poller);
		poller->patience = POLLER_PATIENCE;
	}
	connection_resume(poller->connection);
}

/* Compare a few of the pending: one whose sequence stands still is armed, and need not look. */
static void compare_pending(struct poller *poller)
{
	struct poller_look *look;

	for (int i = 0; i < STEPS_PER_LOOK && !poller->is_for_all; i++) {
		look = TAILQ_FIRST(pending(poller));
		if (!look)
			return;
		if (is_armed(look)) {
			set_seen(poller, look);
			continue;
		}
		TAILQ_REMOVE(pending(poller), look, link);
		TAILQ_INSERT_TAIL(pending(poller), look, link);
	}
}

/* One more look that was not pending, while others are. */
static void lose_patience(struct poller *poller)
{
	if (poller->patience == POLLER_PATIENCE)
		poller->impatient_ns = clock_now_ns();
	if (poller->patience > 0)
		poller->patience--;
	/* However fast they look: those who are to look may be in another thread. */
	if (poller->patience > 0 || clock_now_ns() - poller->impatient_ns < POLLER_PATIENCE_NS)
		return;
	give_up_pending(poller);
}

bool poller_arm(struct poller *poller, struct poller_look *look)
{
	bool arms;
	int cancel_state;

	/* Acquire: the descriptors are there when the flag is. */
	if (!atomic_load_explicit(&poller->is_used, memory_order_acquire))
		return false;
	cancel_state = enter(poller);
	if (TAILQ_EMPTY(pending(poller)))
		begin_round(poller);

	if (is_pending(poller, look))
		poller->patience = POLLER_PATIENCE;
	else if (!TAILQ_EMPTY(pending(poller)))
		lose_patience(poller);
	arms = !is_spectator(poller) && !is_armed(look);
	set_seen(poller, look);
	if (arms) {
		/* seq_cst: before it arms (E2), so that who sees that sees this. */
		atomic_fetch_or_explicit(&pollers_of(poller, look->ring)[poller->holder / 64],
					 UINT64_C(1) << poller->holder % 64,
					 memory_order_seq_cst);
		/* seq_cst: behind the bit, before the caller looks again. */
		look->sequence = look->is_always_woken
					 ? atomic_load_explicit(&look->eventcount->sequence,
								memory_order_seq_cst)
					 : eventcount_prepare(look->eventcount);
		/* E6, see E5 in shm/queue.c. If it fails, the timer's next beat begins a round. */
		if (look->peer_stores)
			barrier_all();
	}
	compare_pending(poller);
	keep(poller);
	leave(poller, cancel_state);
	return arms;
}

void poller_forget(struct poller *poller, struct poller_look *look)
{
	int cancel_state;

	cancel_state = enter(poller);
	if (look->is_listed) {
		unlist(poller, look);
		keep(poller);
	}
	leave(poller, cancel_state);
}

void poller_say_no_barrier(struct poller *poller)
{
	int cancel_state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	/* An allocation waits for nobody. */
	if (pthread_mutex_trylock(&poller->lock) == 0) {
		connection_say_no_barrier(poller->connection);
		pthread_mutex_unlock(&poller->lock);
	}
	pthread_setcancelstate(cancel_state, NULL);
}

void poller_close(struct poller *poller)
{
	int cancel_state = enter(poller);

	/* Relaxed: under the lock; and who still calls has made a mistake. */
	atomic_store_explicit(&poller->is_used, false, memory_order_relaxed);
	for (int i = 0; i < POLLER_LISTS; i++)
		while (!TAILQ_EMPTY(&poller->lists[i]))
			unlist(poller, TAILQ_FIRST(&poller->lists[i]));
	leave(poller, cancel_state);
}

/* ---- waking others ---- */

/* Return: whether all have been woken. */
static bool wake_pollers(struct poller *poller, uint32_t ring)
{
	_Atomic uint64_t *pollers = pollers_of(poller, ring);
	bool is_complete = true, has_heard = false;
	int cancel_state = enter(poller);

	for (uint32_t i = 0; i < poller->segment->n_holders / 64; i++) {
		uint64_t bits = atomic_load_explicit(&pollers[i], memory_order_seq_cst);

		for (; bits != 0; bits &= bits - 1) {
			uint32_t id = i * 64 + (uint32_t)__builtin_ctzll(bits);

			/*
			 * The answers that have come, after what we have published (poller.h);
			 * and the last word of a daemon, which is that it is gone.
			 */
			if (!has_heard && hear(poller))
				note_news(poller);
			has_heard = true;
			if (id == poller->holder)
				note_news(poller);
			else
				is_complete &= peers_wake(&poller->peers, id);
		}
	}
	leave(poller, cancel_state);
	return is_complete;
}

void poller_wake_slowly(struct poller *poller, uint32_t ring,
			struct mempool_eventcount *eventcount)
{
	uint32_t armed = eventcount_move(eventcount);

	/* Else the next sender finds it armed, and may reach whom this one does not. */
	if (wake_pollers(poller, ring))
		eventcount_disarm(eventcount, armed);
}
