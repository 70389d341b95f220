/* SPDX-License-Identifier: MIT */
#include "daemon/sessions/closer.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/log.h"

#define CLOSER_PAUSE_MS 10
#define CLOSER_MAX_PAUSE_MS 1000
#define CLOSER_CROWD 8			/* twice that, beside one child that hangs */
#define CLOSER_MAX_DOUBLINGS 16
#define CLOSER_PART_OF_FDS 8		/* of RLIMIT_NOFILE may wait */

/* ---- the child ---- */

static void close_from_to(unsigned int first, unsigned int last, unsigned int limit)
{
	if (first > last || close_range(first, last, 0) == 0)
		return;
	/* Before Linux 5.9. */
	for (; first <= last && first < limit; first++)
		close((int)first);
}

/* fds: in their order; pipe: one of them. Only calls that are safe behind a fork. */
static _Noreturn void be_child(const int *fds, size_t n, int pipe, unsigned int limit)
{
	unsigned int next = 0;
	char byte = 0;

	prctl(PR_SET_NAME, "mempoold-close");
	for (size_t i = 0; i < n; i++) {
		if (fds[i] > 0)
			close_from_to(next, (unsigned int)fds[i] - 1, limit);
		next = (unsigned int)fds[i] + 1;
	}
	close_from_to(next, UINT_MAX, limit);
	if (chdir("/") == 0 && send(pipe, &byte, sizeof(byte), MSG_NOSIGNAL) > 0)
		while (recv(pipe, &byte, sizeof(byte), 0) > 0)
			;
	_exit(EXIT_SUCCESS);
}

/* ---- its start ---- */

static int compare(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void list_fds(const struct closer_crowd *crowd, int pipe, int *fds)
{
	const struct closing *closing;
	size_t n = 0;

	fds[n++] = pipe;
	TAILQ_FOREACH(closing, &crowd->waiting, link)
		fds[n++] = closing->fd;
	qsort(fds, n, sizeof(*fds), compare);
}

/* Return: its pid, when it has nothing any more but those sockets; or -errno. */
static pid_t start_child(const int *fds, size_t n, const int pair[2])
{
	const long limit = sysconf(_SC_OPEN_MAX);
	sigset_t all, before;
	char byte;
	pid_t pid;
	int r = 0;

	/* The handlers of the loop are not for a child. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		be_child(fds, n, pair[1], limit > 0 && limit < INT_MAX ? (unsigned int)limit : INT_MAX);
	if (pid < 0)
		r = -errno;
	close(pair[1]);
	if (pid > 0 && recv(pair[0], &byte, sizeof(byte), 0) != sizeof(byte)) {
		/* Somebody has killed it. */
		waitpid(pid, NULL, 0);
		r = -ECHILD;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r < 0 ? r : pid;
}

/* Return: 0 or -errno. */
static int make_pair(struct closer *closer)
{
	if (closer->pair[0] >= 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, closer->pair) == 0)
		return 0;
	closer->pair[0] = closer->pair[1] = -1;
	return -errno;
}

static void give_to_child(struct closer *closer, struct closer_crowd *crowd,
			  struct closer_child *child)
{
	struct closing *closing;

	TAILQ_FOREACH(closing, &crowd->waiting, link) {
		close(closing->fd);
		closing->fd = -1;
	}
	TAILQ_CONCAT(&child->closings, &crowd->waiting, link);
	TAILQ_INSERT_TAIL(&crowd->children, child, link);
	crowd->n_children++;
	closer->n_waiting -= crowd->n_waiting;
	crowd->n_waiting = 0;
}

/* All of a crowd that wait. Return: 0 or -errno. */
static int start(struct closer *closer, struct closer_crowd *crowd)
{
	const size_t n = crowd->n_waiting + 1;
	struct closer_child *child = calloc(1, sizeof(*child));
	int *fds = malloc(n * sizeof(*fds));
	int r = child && fds ? make_pair(closer) : -ENOMEM;

	if (r == 0) {
		TAILQ_INIT(&child->closings);
		list_fds(crowd, closer->pair[1], fds);
		child->pid = start_child(fds, n, closer->pair);
		r = child->pid < 0 ? (int)child->pid : 0;
		if (r == 0)
			give_to_child(closer, crowd, child);
		/* Only then, see the top. */
		close(closer->pair[0]);
		closer->pair[0] = closer->pair[1] = -1;
		/* Now that there are descriptors. */
		make_pair(closer);
	}
	free(fds);
	if (r < 0)
		free(child);
	return r;
}

/* ---- its end ---- */

static void forget(struct closings *closings)
{
	struct closing *closing;

	while ((closing = TAILQ_FIRST(closings))) {
		TAILQ_REMOVE(closings, closing, link);
		quota_put(&closing->unit);
		free(closing);
	}
}

static void forget_child(struct closer_crowd *crowd, struct closer_child *child)
{
	TAILQ_REMOVE(&crowd->children, child, link);
	crowd->n_children--;
	forget(&child->closings);
	free(child);
}

/* Return: whether some have ended. */
static bool reap(struct closer_crowd *crowd)
{
	struct closer_child *child, *next;
	bool is_any = false;

	for (child = TAILQ_FIRST(&crowd->children); child; child = next) {
		next = TAILQ_NEXT(child, link);
		if (waitpid(child->pid, NULL, WNOHANG) == 0)
			continue;
		forget_child(crowd, child);
		is_any = true;
	}
	return is_any;
}

/* ---- crowds ---- */

static struct closer_crowd *find_crowd(struct closer *closer, const struct quota_user *user)
{
	struct closer_crowd *crowd;

	TAILQ_FOREACH(crowd, &closer->crowds, link)
		if (crowd->user == user)
			return crowd;
	crowd = calloc(1, sizeof(*crowd));
	if (!crowd)
		return NULL;
	/* A unit in it keeps the user. */
	crowd->user = user;
	TAILQ_INIT(&crowd->waiting);
	TAILQ_INIT(&crowd->children);
	TAILQ_INSERT_TAIL(&closer->crowds, crowd, link);
	return crowd;
}

static void forget_crowd(struct closer *closer, struct closer_crowd *crowd)
{
	struct closer_child *child;

	closer->n_waiting -= crowd->n_waiting;
	forget(&crowd->waiting);
	while ((child = TAILQ_FIRST(&crowd->children)))
		forget_child(crowd, child);
	TAILQ_REMOVE(&closer->crowds, crowd, link);
	free(crowd);
}

static size_t count_closings(const struct closings *closings)
{
	const struct closing *closing;
	size_t n = 0;

	TAILQ_FOREACH(closing, closings, link)
		n++;
	return n;
}

size_t closer_count(const struct closer *closer)
{
	const struct closer_crowd *crowd;
	const struct closer_child *child;
	size_t n = 0;

	TAILQ_FOREACH(crowd, &closer->crowds, link) {
		n += count_closings(&crowd->waiting);
		TAILQ_FOREACH(child, &crowd->children, link)
			n += count_closings(&child->closings);
	}
	return n;
}

/* ---- the loop ---- */

static void look_in(struct closer *closer, unsigned int pause_ms)
{
	const struct timeval pause = { pause_ms / 1000, pause_ms % 1000 * 1000 };

	closer->pause_ms = pause_ms;
	evtimer_add(&closer->look, &pause);
}

static bool is_enough(const struct closer_crowd *crowd)
{
	unsigned int n = crowd->n_children < CLOSER_MAX_DOUBLINGS ? crowd->n_children
								  : CLOSER_MAX_DOUBLINGS;

	return crowd->n_waiting >= (n ? (size_t)CLOSER_CROWD << n : 1);
}

/* The one with the most, where all together are too many of our descriptors. */
static const struct closer_crowd *find_too_large(const struct closer *closer)
{
	const struct closer_crowd *crowd, *largest = NULL;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
	    closer->n_waiting < limit.rlim_cur / CLOSER_PART_OF_FDS)
		return NULL;
	TAILQ_FOREACH(crowd, &closer->crowds, link)
		if (!largest || crowd->n_waiting > largest->n_waiting)
			largest = crowd;
	return largest;
}

/* Return: whether something has ended or begun. */
static bool go_on(struct closer *closer, struct closer_crowd *crowd, bool is_too_large)
{
	static struct log_limit limit = LOG_LIMIT("connections that cannot be closed", 1);
	bool is_any = reap(crowd);
	int r;

	if (!is_enough(crowd) && !(is_too_large && crowd->n_waiting > 0))
		return is_any;
	r = start(closer, crowd);
	if (r < 0)
		log_limited(&limit, LOG_WARNING, "cannot start a process that closes %zu "
			    "connections: %s; it is tried again", crowd->n_waiting, strerror(-r));
	return is_any || r == 0;
}

static void on_look(evutil_socket_t fd, short what, void *userdata)
{
	struct closer *closer = userdata;
	const struct closer_crowd *too_large = find_too_large(closer);
	struct closer_crowd *crowd, *next;
	unsigned int pause_ms = 2 * closer->pause_ms;

	(void)fd;
	(void)what;
	for (crowd = TAILQ_FIRST(&closer->crowds); crowd; crowd = next) {
		next = TAILQ_NEXT(crowd, link);
		if (go_on(closer, crowd, crowd == too_large))
			pause_ms = CLOSER_PAUSE_MS;
		if (crowd->n_waiting == 0 && crowd->n_children == 0)
			forget_crowd(closer, crowd);
	}
	if (!TAILQ_EMPTY(&closer->crowds))
		look_in(closer, pause_ms < CLOSER_MAX_PAUSE_MS ? pause_ms : CLOSER_MAX_PAUSE_MS);
	else
		closer->pause_ms = 0;
}

void closer_take(struct closer *closer, int fd, struct quota_unit *unit)
{
	struct closing *closing = calloc(1, sizeof(*closing));
	struct closer_crowd *crowd = closing ? find_crowd(closer, unit->user) : NULL;

	if (!crowd) {
		/* It stays open: one descriptor less is better than a daemon that hangs. */
		free(closing);
		quota_put(unit);
		return;
	}
	closing->fd = fd;
	quota_move(&closing->unit, unit);
	TAILQ_INSERT_TAIL(&crowd->waiting, closing, link);
	crowd->n_waiting++;
	closer->n_waiting++;
	if (closer->pause_ms != CLOSER_PAUSE_MS)
		look_in(closer, CLOSER_PAUSE_MS);
}

/* ---- the whole ---- */

void closer_init(struct closer *closer, struct event_base *base)
{
	*closer = (struct closer){ .pair = { -1, -1 } };
	TAILQ_INIT(&closer->crowds);
	evtimer_assign(&closer->look, base, on_look, closer);
	/* Else it is tried again. */
	make_pair(closer);
}

void closer_deinit(struct closer *closer)
{
	struct closer_crowd *crowd;
	int r;

	while ((crowd = TAILQ_FIRST(&closer->crowds))) {
		r = crowd->n_waiting > 0 ? start(closer, crowd) : 0;
		if (r < 0)
			log_warning("cannot start a process that closes %zu connections: %s; the "
				    "end of mempoold closes them", crowd->n_waiting, strerror(-r));
		forget_crowd(closer, crowd);
	}
	if (closer->pair[0] >= 0) {
		close(closer->pair[0]);
		close(closer->pair[1]);
	}
	event_del(&closer->look);
}
