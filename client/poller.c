/* SPDX-License-Identifier: MIT */
#include "poller.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "client.h"
#include "shm/clock.h"
#include "shm/eventcount.h"
#include "shm/fd.h"
#include "shm/holder.h"

/* A descriptor that the daemon did not have is asked for again so much later. */
#define ASK_AGAIN_NS INT64_C(1000000000)

int poller_init(struct poller *poller)
{
	*poller = (struct poller){ .epoll_fd = -1, .event_fd = -1, .timer_fd = -1, .socket_fd = -1 };
	return -pthread_mutex_init(&poller->lock, NULL);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void poller_deinit(struct poller *poller, uint32_t n_holders)
{
	for (uint32_t i = 0; poller->peers && i < n_holders; i++)
		close_fd(&poller->peers[i].fd);
	free(poller->peers);
	free(poller->looks);
	close_fd(&poller->epoll_fd);
	close_fd(&poller->event_fd);
	close_fd(&poller->timer_fd);
	pthread_mutex_destroy(&poller->lock);
}

/* ---- the descriptor ---- */

static int watch(const struct poller *poller, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* Hand our eventfd to the daemon, on the connection there is or a new one. */
static void introduce(struct mempool_client *client)
{
	struct poller *poller = &client->poller;
	struct connection *connection = &client->connection;

	if (poller->socket_fd >= 0 && poller->socket_fd == connection->fd)
		return;
	/* A closed one has left the set by itself. */
	poller->socket_fd = -1;
	if (connection_wake_fd(connection, poller->event_fd) == 0 &&
	    watch(poller, connection->fd) == 0)
		poller->socket_fd = connection->fd;
}

static int make(struct poller *poller)
{
	const struct itimerspec slice = {
		.it_value.tv_sec = 1,
		.it_interval.tv_sec = 1,
	};
	int r = 0;

	poller->epoll_fd = fd_above_stdio(epoll_create1(EPOLL_CLOEXEC));
	poller->event_fd = fd_above_stdio(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	poller->timer_fd = fd_above_stdio(timerfd_create(CLOCK_MONOTONIC,
							 TFD_CLOEXEC | TFD_NONBLOCK));
	if (poller->epoll_fd < 0 || poller->event_fd < 0 || poller->timer_fd < 0 ||
	    timerfd_settime(poller->timer_fd, 0, &slice, NULL) < 0)
		r = -errno;
	if (r == 0)
		r = watch(poller, poller->event_fd);
	if (r == 0)
		r = watch(poller, poller->timer_fd);
	if (r < 0) {
		close_fd(&poller->epoll_fd);
		close_fd(&poller->event_fd);
		close_fd(&poller->timer_fd);
	}
	return r;
}

int poller_open(struct mempool_client *client)
{
	struct poller *poller = &client->poller;
	int r = 0;

	pthread_mutex_lock(&poller->lock);
	if (poller->epoll_fd < 0)
		r = make(poller);
	if (r == 0) {
		introduce(client);
		/* What has happened so far may be news. */
		eventfd_write(poller->event_fd, 1);
		atomic_store_explicit(&poller->is_used, true, memory_order_release);
	}
	pthread_mutex_unlock(&poller->lock);
	return r < 0 ? r : poller->epoll_fd;
}

static _Atomic uint64_t *pollers_of(const struct mempool_client *client, uint32_t ring)
{
	return client->segment->pollers + (uint64_t)ring * (client->segment->n_holders / 64);
}

/* The look of a handle at an eventcount, new or not; NULL: no memory. */
static struct poller_look *find_look(struct poller *poller, const void *handle,
				     const struct mempool_eventcount *eventcount)
{
	struct poller_look *looks;

	for (size_t i = 0; i < poller->n_looks; i++)
		if (poller->looks[i].handle == handle &&
		    poller->looks[i].eventcount == eventcount)
			return &poller->looks[i];

	looks = realloc(poller->looks, (poller->n_looks + 1) * sizeof(*looks));
	if (!looks)
		return NULL;
	poller->looks = looks;
	looks[poller->n_looks] = (struct poller_look){ handle, eventcount, 0, 0 };
	return &looks[poller->n_looks++];
}

/*
 * Make the descriptor quiet for this look, but not for others with news: what is drained here
 * may have been about them. A waker moves the sequence before it writes, so what was drained
 * can be seen there. The timer and the daemon's news are for all.
 */
static void quiet(struct mempool_client *client, const struct poller_look *own)
{
	struct poller *poller = &client->poller;
	bool is_for_all, is_news = false;
	eventfd_t count;
	uint64_t expired;

	eventfd_read(poller->event_fd, &count);
	is_for_all = read(poller->timer_fd, &expired, sizeof(expired)) > 0;
	is_for_all |= connection_drain(&client->connection);

	for (size_t i = 0; i < poller->n_looks; i++) {
		struct poller_look *look = &poller->looks[i];
		uint32_t sequence = atomic_load_explicit(&look->eventcount->sequence,
							 memory_order_seq_cst);

		if (look == own)
			continue;
		if (is_for_all)
			look->sequence = sequence - 1;
		if (look->sequence == sequence || look->patience == 0)
			continue;
		look->patience--;
		is_news = true;
	}
	if (is_news)
		eventfd_write(poller->event_fd, 1);
}

void poller_arm(struct mempool_client *client, const void *handle, uint32_t ring,
		struct mempool_eventcount *eventcount)
{
	struct poller *poller = &client->poller;
	struct poller_look *look;
	uint32_t sequence;

	/* Acquire: the descriptors are there when the flag is. */
	if (!atomic_load_explicit(&poller->is_used, memory_order_acquire))
		return;
	pthread_mutex_lock(&poller->lock);
	look = find_look(poller, handle, eventcount);
	/* Without memory it is not quiet, and the caller comes again. */
	if (look)
		quiet(client, look);
	introduce(client);
	/* seq_cst: before the flag (E2), so that who sees that sees this; and before the look. */
	atomic_fetch_or_explicit(&pollers_of(client, ring)[client->holder / 64],
				 UINT64_C(1) << client->holder % 64, memory_order_seq_cst);
	sequence = eventcount_prepare(eventcount);
	if (look) {
		look->sequence = sequence;
		look->patience = POLLER_PATIENCE;
	}
	pthread_mutex_unlock(&poller->lock);
}

void poller_forget(struct mempool_client *client, const void *handle)
{
	struct poller *poller = &client->poller;

	/* In a child the lock may be held by a thread that is not there. */
	if (client_is_forked(client))
		return;
	pthread_mutex_lock(&poller->lock);
	for (size_t i = 0; i < poller->n_looks;) {
		if (poller->looks[i].handle == handle)
			poller->looks[i] = poller->looks[--poller->n_looks];
		else
			i++;
	}
	pthread_mutex_unlock(&poller->lock);
}

/* ---- waking others ---- */

static bool is_long_ago(int64_t then_ns)
{
	return then_ns == 0 || clock_now_ns() - then_ns >= ASK_AGAIN_NS;
}

/* A daemon that has just let one question go by is not asked for the other peers, either. */
static void ask(struct mempool_client *client, struct poller_peer *peer,
		const struct holder *holder)
{
	struct poller *poller = &client->poller;
	int fd;

	if (!is_long_ago(poller->unanswered_ns))
		return;
	fd = connection_peer_fd(&client->connection, holder->id, holder->incarnation);
	peer->incarnation = holder->incarnation;
	peer->asked_ns = clock_now_ns();
	peer->fd = fd < 0 ? -1 : fd;
	if (fd == -EAGAIN)
		poller->unanswered_ns = clock_now_ns();
}

/* The eventfd of a holder as it lives now, or -1. Under the lock. */
static int peer_fd(struct mempool_client *client, uint32_t id)
{
	struct poller *poller = &client->poller;
	struct poller_peer *peer;
	struct holder holder;

	if (id == client->holder)
		return poller->event_fd;
	if (holder_read(client->segment, id, &holder) < 0 ||
	    holder.state != MEMPOOL_HOLDER_LIVE)
		return -1;
	if (!poller->peers) {
		poller->peers = calloc(client->segment->n_holders, sizeof(*poller->peers));
		if (!poller->peers)
			return -1;
		for (uint32_t i = 0; i < client->segment->n_holders; i++)
			poller->peers[i].fd = -1;
	}

	peer = &poller->peers[id];
	if (peer->fd >= 0 && peer->incarnation != holder.incarnation)
		close_fd(&peer->fd);
	if (peer->fd < 0 && (peer->incarnation != holder.incarnation ||
			     is_long_ago(peer->asked_ns)))
		ask(client, peer, &holder);
	return peer->fd;
}

/* Whether each of them has been reached. */
static bool wake_pollers(struct mempool_client *client, uint32_t ring)
{
	_Atomic uint64_t *pollers = pollers_of(client, ring);
	bool has_reached_all = true;

	for (uint32_t i = 0; i < client->segment->n_holders / 64; i++) {
		uint64_t bits = atomic_load_explicit(&pollers[i], memory_order_seq_cst);

		for (; bits != 0; bits &= bits - 1) {
			uint32_t id = i * 64 + (uint32_t)__builtin_ctzll(bits);
			int fd;

			pthread_mutex_lock(&client->poller.lock);
			fd = peer_fd(client, id);
			/* Nonblocking: at its largest, it is readable as well. */
			if (fd >= 0)
				eventfd_write(fd, 1);
			else
				has_reached_all = false;
			pthread_mutex_unlock(&client->poller.lock);
		}
	}
	return has_reached_all;
}

void poller_wake_slowly(struct mempool_client *client, uint32_t ring,
			struct mempool_eventcount *eventcount)
{
	uint32_t armed = eventcount_move(eventcount);

	/* Else the next sender finds it armed, and may have what this one has not. */
	if (wake_pollers(client, ring))
		eventcount_disarm(eventcount, armed);
}

PUBLIC int mempool_client_fd(struct mempool_client *client)
{
	if (!client)
		return -EINVAL;
	if (client_is_forked(client))
		return -ECHILD;
	return poller_open(client);
}
