/* SPDX-License-Identifier: MIT */
/*
 * manager.h - the service manager of a test: it keeps what the daemon gives it
 *
 * As systemd does with FileDescriptorStoreMax=: what comes with FDSTORE=1 stays, by its name, until
 * FDSTOREREMOVE=1, and is passed to each daemon that the fixture starts, behind the socket that it is
 * to listen on. The state folder is said by RUNTIME_DIRECTORY; a bare one says none, and has no
 * socket. A thread of its own listens, since a daemon that starts waits until it was heard.
 */
#ifndef TESTS_LIVE_MANAGER_H
#define TESTS_LIVE_MANAGER_H

#include <pthread.h>
#include <stdbool.h>

#include "fixture.h"

#define MANAGER_MAX 16

struct manager_kept {
	char name[64];
	int fd;
};

struct manager {
	struct fixture *fixture;
	int fd;
	int socket;			/* for activation; -1: a bare one */
	pthread_t thread;
	pthread_mutex_t mutex;		/* of what follows */
	struct manager_kept kept[MANAGER_MAX];
	int n;
	int n_ready;			/* daemons that were */
	int n_settled;
	int n_barriers;
	int n_when_barrier;		/* kept, as the last one came */
	bool is_watched;		/* something was kept without FDPOLL=0 */
	char status[512];
};

/* Before the daemon starts. */
void manager_start(struct manager *manager, struct fixture *fixture);

/* Start daemons from the manager again, after some that were not (fixture->in_child). */
void manager_use(struct manager *manager);

/* From now on a bare one. */
void manager_make_bare(struct manager *manager);

void manager_stop(struct manager *manager);

/* Start the fixture's daemon, and wait until it is ready. */
void manager_start_daemon(struct manager *manager);

/* As at a full stop before systemd 254; or that name alone. */
void manager_drop_all(struct manager *manager);
void manager_drop(struct manager *manager, const char *name);

/* What is kept by that name: a descriptor, which stays the manager's; or -1. */
int manager_find(struct manager *manager, const char *name);

/* Another one by that name, which is the manager's then. */
void manager_replace(struct manager *manager, const char *name, int fd);

int manager_count(struct manager *manager);

/* Wait until it has read all that it was sent so far. */
void manager_settle(struct manager *manager);

/* Wait until its STATUS= holds the text, or is that text. */
void manager_expect_status(struct manager *manager, const char *text);
void manager_expect_whole_status(struct manager *manager, const char *text);

#endif
