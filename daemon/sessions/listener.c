/* SPDX-License-Identifier: MIT */
#include "daemon/sessions/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/base/chores.h"
#include "daemon/base/clock.h"
#include "daemon/base/handed.h"
#include "daemon/base/log.h"
#include "daemon/base/manager.h"
#include "daemon/sessions/rights.h"

/* Thousands may come at once, when their machine starts or we come back. The kernel takes less where
 * net.core.somaxconn says so. */
#define LISTENER_BACKLOG 4096
#define NEW_SUFFIX ".new"

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

/* ---- the one that systemd passes ---- */

/* Where its file is, to see whether it stays there. */
static void find_passed_path(struct listener *listener)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t length = sizeof(address);
	char path[sizeof(address.sun_path) + 1] = "";
	struct stat st;

	if (getsockname(listener->fd, (struct sockaddr *)&address, &length) < 0)
		return;
	memcpy(path, address.sun_path, sizeof(address.sun_path));
	/* One that is abstract has none. */
	if (path[0] != '/' || lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return;
	listener->passed_path = strdup(path);
	listener->device = st.st_dev;
	listener->inode = st.st_ino;
}

/* Return: 1 it is ours now; 0 there is none; -errno. */
static int take_passed(struct listener *listener)
{
	unsigned int n = handed_sockets(&listener->fd);
	int r;

	if (n == 0)
		return 0;
	if (n > 1) {
		log_error("%u sockets were passed, mempoold listens on one (ListenSequentialPacket= "
			  "once in mempoold.socket)", n);
		return -EINVAL;
	}
	r = manager_is_listening(listener->fd, AF_UNIX, SOCK_SEQPACKET);
	if (r <= 0) {
		log_error("the socket passed is not a listening Unix socket for sequential packets "
			  "(ListenSequentialPacket= in mempoold.socket)");
		return r < 0 ? r : -EINVAL;
	}
	r = set_nonblocking(listener->fd);
	if (r < 0)
		return r;
	/* Not for who has connected already. */
	listener->refuses_rights = rights_refuse(listener->fd);
	find_passed_path(listener);
	log_info("listening on the socket passed by the service manager");
	return 1;
}

/* ---- our own ---- */

/* Who is there: 0 a daemon accepts; -errno of connect(2). */
static int probe(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	close(fd);
	/* Too many want to be accepted: so somebody listens. */
	return r == -EAGAIN ? 0 : r;
}

/* Make way for a socket, if what is there is a dead one of ours. */
static int clear_path(const char *path, const struct sockaddr_un *address)
{
	struct stat st;
	int r;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode)) {
		log_error("%s exists and is not a socket; left alone", path);
		return -EEXIST;
	}
	r = probe(address);
	if (r == 0) {
		log_error("another mempoold listens on %s", path);
		return -EADDRINUSE;
	}
	if (r != -ECONNREFUSED) {
		log_error("%s is a socket of something else: %s", path, strerror(-r));
		return -EADDRINUSE;
	}
	if (st.st_uid != geteuid()) {
		log_error("%s is left from user %u; remove it", path, (unsigned int)st.st_uid);
		return -EPERM;
	}
	return unlink(path) < 0 ? -errno : 0;
}

static int set_access(const char *path, mode_t mode, gid_t group)
{
	int r;

	if (group != (gid_t)-1 && lchown(path, (uid_t)-1, group) < 0) {
		r = -errno;
		log_error("cannot give %s to group %u: %s%s", path, (unsigned int)group,
			  strerror(-r), r == -EPERM ? "; make mempoold a member of it "
			  "(SupplementaryGroups= in its unit)" : "");
		return r;
	}
	return chmod(path, mode) < 0 ? -errno : 0;
}

/* The name that a socket is made by: beside its own, and never too long for an address. */
static void set_first_name(struct sockaddr_un *address, const char *path)
{
	size_t length = strlen(path);
	char *last = &address->sun_path[length - 1];

	strcpy(address->sun_path, path);
	if (length + strlen(NEW_SUFFIX) < sizeof(address->sun_path))
		strcpy(last + 1, NEW_SUFFIX);
	else
		*last = *last == '~' ? '#' : '~';
}

/* All that a socket has to have before anybody may find it. */
static int prepare(struct listener *listener, const struct sockaddr_un *address, mode_t mode,
		   gid_t group)
{
	struct stat st;
	mode_t mask;
	int r;

	/* Nobody gets in before it has its group and mode. */
	mask = umask(0177);
	r = bind(listener->fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	umask(mask);
	if (r < 0)
		return r;
	listener->refuses_rights = rights_refuse(listener->fd);
	r = set_access(address->sun_path, mode, group);
	if (r == 0 && (lstat(address->sun_path, &st) < 0 ||
		       listen(listener->fd, LISTENER_BACKLOG) < 0))
		r = -errno;
	if (r < 0) {
		unlink(address->sun_path);
		return r;
	}
	listener->device = st.st_dev;
	listener->inode = st.st_ino;
	return 0;
}

/*
 * The kernel makes a socket's file in bind(2), with our own group, and only then can it be
 * given to another one. Whoever tries the path in between is refused (EACCES), which a program
 * that waits for us does not take for "not yet". So it is made by another name, and has its own
 * as the last step; link(2) takes the place of nobody.
 */
static int bind_path(struct listener *listener, const char *path, mode_t mode, gid_t group)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct sockaddr_un first = { .sun_family = AF_UNIX };
	int r;

	if (strlen(path) >= sizeof(address.sun_path)) {
		log_error("socket path %s is longer than %zu characters", path,
			  sizeof(address.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	if (!*path)
		return -ENOENT;
	strcpy(address.sun_path, path);
	set_first_name(&first, path);
	r = clear_path(path, &address);
	if (r == 0)
		r = clear_path(first.sun_path, &first);
	if (r < 0)
		return r;

	listener->path = strdup(path);
	if (!listener->path)
		return -ENOMEM;
	listener->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	r = listener->fd < 0 ? -errno : prepare(listener, &first, mode, group);
	if (r < 0)
		return r;
	if (link(first.sun_path, path) < 0)
		r = -errno;
	unlink(first.sun_path);
	if (r < 0)
		return r;
	log_info("listening on %s", path);
	return 0;
}

int listener_open(struct listener *listener, const char *path, mode_t mode, gid_t group)
{
	int r = take_passed(listener);

	listener->mode = mode;
	listener->group = group;
	if (r == 0)
		r = bind_path(listener, path, mode, group);
	if (r >= 0)
		return 0;
	log_error("cannot listen on %s: %s", path, strerror(-r));
	listener_close(listener);
	return r;
}

/* ---- accept ---- */

static void put_off(struct listener *listener, int error)
{
	static const struct timeval moment = { 0, 100000 };
	static struct log_limit limit = LOG_LIMIT("clients that cannot be accepted", 1);

	log_limited(&limit, LOG_WARNING, "cannot accept clients now: %s%s", strerror(error),
		    error == EMFILE ? " (LimitNOFILE= in its unit)" : "");
	event_del(&listener->acceptable);
	evtimer_add(&listener->later, &moment);
}

/* As many as have said hello, for as long as a turn of chores: what a hello costs depends on how many
 * live where. */
static void on_acceptable(evutil_socket_t listen_fd, short what, void *userdata)
{
	uint64_t begun_ns = clock_monotonic_ns();
	struct listener *listener = userdata;
	int fd;

	(void)what;
	do {
		fd = accept4((int)listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			listener->fn(fd, listener->userdata);
		else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			 errno == ENOMEM)
			put_off(listener, errno);
		/* Else there is none, or one that gave up. */
	} while (fd >= 0 && clock_monotonic_ns() - begun_ns < CHORES_TURN_NS);
}

static void on_later(evutil_socket_t fd, short what, void *userdata)
{
	struct listener *listener = userdata;

	(void)fd;
	(void)what;
	event_add(&listener->acceptable, NULL);
}

/* ---- its file ---- */

static bool is_at(const struct listener *listener, const char *path)
{
	struct stat st;

	return path && lstat(path, &st) == 0 && st.st_dev == listener->device &&
	       st.st_ino == listener->inode;
}

/* Whether what stands at its path is still our own socket. */
static bool is_in_place(const struct listener *listener)
{
	return is_at(listener, listener->path);
}

void listener_set_access(struct listener *listener, mode_t mode, gid_t group)
{
	int r = is_in_place(listener) ? set_access(listener->path, mode, group) : -ENOENT;

	listener->mode = mode;
	listener->group = group;
	if (r < 0)
		log_warning("cannot set mode %04o of %s: %s", (unsigned int)mode,
			    listener->path, strerror(-r));
}

static void assign_acceptable(struct listener *listener, struct event_base *base)
{
	event_assign(&listener->acceptable, base, listener->fd, EV_READ | EV_PERSIST,
		     on_acceptable, listener);
	event_add(&listener->acceptable, NULL);
}

/* Those who wait to be accepted, if any do, are in it, with what they have sent. */
static void close_own(struct listener *listener)
{
	struct quota_unit none = { .user = NULL };

	if (listener->refuses_rights || !listener->closer) {
		close(listener->fd);
		return;
	}
	/* Or it would be there, and accept nobody, until a child of the closer has ended. */
	shutdown(listener->fd, SHUT_RDWR);
	closer_take(listener->closer, listener->fd, &none);
}

/* Whoever has connected to the one before, and waits to be accepted, is. Nobody new can come to
 * it, so this ends. */
static void close_socket(struct listener *listener)
{
	int fd;

	event_del(&listener->acceptable);
	event_del(&listener->later);
	while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		listener->fn(fd, listener->userdata);
	close_own(listener);
}

static void bind_anew(struct listener *listener)
{
	struct listener fresh = LISTENER_NULL;
	int r = bind_path(&fresh, listener->path, listener->mode, listener->group);

	free(fresh.path);
	if (r < 0) {
		if (fresh.fd >= 0)
			close(fresh.fd);
		if (!listener->is_told)
			log_error("the socket %s was removed, and cannot be made anew: %s; it is "
				  "tried again", listener->path, strerror(-r));
		listener->is_told = true;
		return;
	}
	log_warning("the socket %s was removed; it has been made anew", listener->path);
	close_socket(listener);
	listener->fd = fresh.fd;
	listener->refuses_rights = fresh.refuses_rights;
	listener->device = fresh.device;
	listener->inode = fresh.inode;
	listener->is_told = false;
	assign_acceptable(listener, event_get_base(&listener->look));
}

void listener_look(struct listener *listener)
{
	const char *path = listener->path ? listener->path : listener->passed_path;
	struct stat st;

	if (!path)
		return;
	if (is_at(listener, path)) {
		listener->is_told = false;
	} else if (listener->path && lstat(path, &st) < 0) {
		bind_anew(listener);
	} else if (!listener->is_told) {
		listener->is_told = true;
		log_error("the socket %s was removed, so nobody new can come in: %s", path,
			  listener->path ? "something else is there, which is left alone"
					 : "it is the service manager's, restart mempoold.socket");
	}
}

static void on_look(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	listener_look(userdata);
}

/* ---- the whole ---- */

void listener_start(struct listener *listener, struct event_base *base, struct closer *closer,
		    listener_fn fn, void *userdata)
{
	static const struct timeval interval = { 2, 0 };

	listener->closer = closer;
	listener->fn = fn;
	listener->userdata = userdata;
	evtimer_assign(&listener->later, base, on_later, listener);
	event_assign(&listener->look, base, -1, EV_PERSIST, on_look, listener);
	event_add(&listener->look, &interval);
	assign_acceptable(listener, base);
}

void listener_close(struct listener *listener)
{
	if (listener->fn) {
		event_del(&listener->acceptable);
		event_del(&listener->later);
		event_del(&listener->look);
	}
	if (listener->path && listener->fd >= 0)
		close_own(listener);
	else if (listener->fd >= 0)
		close(listener->fd);
	if (is_in_place(listener))
		unlink(listener->path);
	free(listener->path);
	free(listener->passed_path);
	*listener = LISTENER_NULL;
}
