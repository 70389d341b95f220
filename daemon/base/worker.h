/* SPDX-License-Identifier: MIT */
/*
 * worker.h - a thread beside the event loop, for what takes its time
 *
 * The daemon has one thread and one loop; what is done here would keep that from clients, or
 * from the watchdog. The work touches nothing but what it was given, and when it is over the
 * loop goes on with it. One piece of work at a time.
 */
#ifndef DAEMON_BASE_WORKER_H
#define DAEMON_BASE_WORKER_H

#include <event2/event_struct.h>
#include <pthread.h>
#include <stdbool.h>

typedef void (*worker_fn)(void *userdata);

struct worker {
	bool is_running;
	pthread_t thread;
	int fd;				/* an eventfd: the work is over */
	struct event over;
	worker_fn work;
	worker_fn done;
	void *userdata;
};

/* Call work in a thread, and then done in the loop. Return: 0 or -errno: no thread. */
int worker_start(struct worker *worker, struct event_base *base, worker_fn work,
		 worker_fn done, void *userdata);

/*
 * Wait for the end of the work, if there is any; done is not called. Return: false, it has not
 * ended within five seconds: it may hang in a name service or on a file system, and goes on with
 * all that it was given until the process ends.
 */
bool worker_stop(struct worker *worker);

#endif
