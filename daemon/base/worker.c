/* SPDX-License-Identifier: MIT */
#include "daemon/base/worker.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/base/clock.h"

#define STOP_SECONDS 5

static void *run(void *userdata)
{
	struct worker *worker = userdata;

	worker->work(worker->userdata);
	/* A counter of 0 has room for 1. */
	eventfd_write(worker->fd, 1);
	return NULL;
}

static void forget(struct worker *worker)
{
	event_del(&worker->over);
	close(worker->fd);
	worker->is_running = false;
}

/* Return: whether the work is over, after so long at most. */
static bool wait_for_end(const struct worker *worker)
{
	const uint64_t end_ns = clock_monotonic_ns() + STOP_SECONDS * UINT64_C(1000000000);
	struct pollfd poll_fd = { .fd = worker->fd, .events = POLLIN };
	uint64_t now_ns;

	while ((now_ns = clock_monotonic_ns()) < end_ns)
		if (poll(&poll_fd, 1, (int)((end_ns - now_ns) / 1000000) + 1) > 0)
			return true;
	return false;
}

bool worker_stop(struct worker *worker)
{
	if (!worker->is_running)
		return true;
	if (!wait_for_end(worker))
		return false;
	pthread_join(worker->thread, NULL);
	forget(worker);
	return true;
}

static void on_over(evutil_socket_t fd, short what, void *userdata)
{
	struct worker *worker = userdata;

	(void)fd;
	(void)what;
	/* It has nothing more to do than to end. */
	pthread_join(worker->thread, NULL);
	forget(worker);
	worker->done(worker->userdata);
}

int worker_start(struct worker *worker, struct event_base *base, worker_fn work,
		 worker_fn done, void *userdata)
{
	sigset_t all, before;
	int r;

	assert(!worker->is_running);
	worker->work = work;
	worker->done = done;
	worker->userdata = userdata;
	worker->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (worker->fd < 0)
		return -errno;
	/* Signals are the loop's, but for the one that an access causes (shm/sigbus.h): blocked, that
	 * would end us, whatever its handler does. */
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&worker->thread, NULL, run, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r < 0) {
		close(worker->fd);
		return r;
	}
	worker->is_running = true;
	event_assign(&worker->over, base, worker->fd, EV_READ, on_over, worker);
	event_add(&worker->over, NULL);
	return 0;
}
