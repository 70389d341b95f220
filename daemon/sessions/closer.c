/* SPDX-License-Identifier: MIT */
#include "daemon/sessions/closer.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/log.h"

#define CLOSER_PAUSE_MS 10
#define CLOSER_MAX_PAUSE_MS 1000
#define CLOSER_CROWD 8			/* twice that, beside one child that hangs */

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

static void list_fds(const struct closer *closer, int pipe, int *fds)
{
	const struct closing *closing;
	size_t n = 0;

	fds[n++] = pipe;
	TAILQ_FOREACH(closing, &closer->waiting, link)
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

/* All that wait. Return: 0 or -errno. */
static int start(struct closer *closer, struct closer_child *child)
{
	const size_t n = closer->n_waiting + 1;
	int *fds = malloc(n * sizeof(*fds)), pair[2];
	struct closing *closing;
	pid_t pid;

	if (!fds || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		int r = fds ? -errno : -ENOMEM;

		free(fds);
		return r;
	}
	list_fds(closer, pair[1], fds);
	pid = start_child(fds, n, pair);
	free(fds);
	if (pid > 0) {
		TAILQ_FOREACH(closing, &closer->waiting, link) {
			close(closing->fd);
			closing->fd = -1;
		}
		TAILQ_CONCAT(&child->closings, &closer->waiting, link);
		closer->n_waiting = 0;
		child->pid = pid;
	}
	/* Only then, see the top. */
	close(pair[0]);
	return pid > 0 ? 0 : (int)pid;
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

/* Return: whether some have ended; *ret_n: how many have not, *ret_free: where none is. */
static bool reap(struct closer *closer, unsigned int *ret_n, struct closer_child **ret_free)
{
	bool is_any = false;

	*ret_n = 0;
	*ret_free = NULL;
	for (size_t i = 0; i < CLOSER_CHILDREN; i++) {
		struct closer_child *child = &closer->children[i];

		if (child->pid && waitpid(child->pid, NULL, WNOHANG) != 0) {
			forget(&child->closings);
			child->pid = 0;
			is_any = true;
		}
		*ret_n += child->pid != 0;
		if (child->pid == 0)
			*ret_free = child;
	}
	return is_any;
}

/* ---- the loop ---- */

static void look_in(struct closer *closer, unsigned int pause_ms)
{
	const struct timeval pause = { pause_ms / 1000, pause_ms % 1000 * 1000 };

	closer->pause_ms = pause_ms;
	evtimer_add(&closer->look, &pause);
}

static bool are_enough(const struct closer *closer, unsigned int n_children)
{
	return closer->n_waiting >= (n_children ? (size_t)CLOSER_CROWD << n_children : 1);
}

static void on_look(evutil_socket_t fd, short what, void *userdata)
{
	static struct log_limit limit = LOG_LIMIT("connections that cannot be closed", 1);
	struct closer *closer = userdata;
	struct closer_child *child;
	unsigned int n, pause_ms = 2 * closer->pause_ms;
	int r = 0;

	(void)fd;
	(void)what;
	if (reap(closer, &n, &child))
		pause_ms = CLOSER_PAUSE_MS;
	if (child && are_enough(closer, n)) {
		r = start(closer, child);
		if (r == 0) {
			pause_ms = CLOSER_PAUSE_MS;
			n++;
		} else {
			log_limited(&limit, LOG_WARNING, "cannot start a process that closes %zu "
				    "connections: %s; it is tried again", closer->n_waiting,
				    strerror(-r));
		}
	}
	if (n > 0 || closer->n_waiting > 0)
		look_in(closer, pause_ms < CLOSER_MAX_PAUSE_MS ? pause_ms : CLOSER_MAX_PAUSE_MS);
	else
		closer->pause_ms = 0;
}

void closer_take(struct closer *closer, int fd, struct quota_unit *unit)
{
	struct closing *closing = calloc(1, sizeof(*closing));

	if (!closing) {
		/* It stays open: one descriptor less is better than a daemon that hangs. */
		quota_put(unit);
		return;
	}
	closing->fd = fd;
	quota_move(&closing->unit, unit);
	TAILQ_INSERT_TAIL(&closer->waiting, closing, link);
	closer->n_waiting++;
	if (closer->pause_ms != CLOSER_PAUSE_MS)
		look_in(closer, CLOSER_PAUSE_MS);
}

/* ---- the whole ---- */

void closer_init(struct closer *closer, struct event_base *base)
{
	*closer = (struct closer){ .n_waiting = 0 };
	TAILQ_INIT(&closer->waiting);
	for (size_t i = 0; i < CLOSER_CHILDREN; i++)
		TAILQ_INIT(&closer->children[i].closings);
	evtimer_assign(&closer->look, base, on_look, closer);
}

void closer_deinit(struct closer *closer)
{
	struct closer_child last = { .pid = 0 };
	int r;

	TAILQ_INIT(&last.closings);
	r = closer->n_waiting > 0 ? start(closer, &last) : 0;
	if (r < 0)
		log_warning("cannot start a process that closes %zu connections: %s; the end of "
			    "mempoold closes them", closer->n_waiting, strerror(-r));
	forget(&last.closings);
	forget(&closer->waiting);
	for (size_t i = 0; i < CLOSER_CHILDREN; i++)
		forget(&closer->children[i].closings);
	event_del(&closer->look);
}
