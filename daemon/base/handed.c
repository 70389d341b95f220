/* SPDX-License-Identifier: MIT */
#include "daemon/base/handed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/base/manager.h"
#include "daemon/base/notify.h"

enum handed_kind {
	HANDED_UNKNOWN,
	HANDED_SOCKET,
	HANDED_KEPT,
};

struct handed {
	char *name;
	enum handed_kind kind;
	int fd;				/* -1: dropped, or somebody's */
};

static struct handed *handed;
static size_t n_handed;

static enum handed_kind kind_of(const struct handed *one,
				bool (*is_kept_name)(const char *name))
{
	bool is_kept = is_kept_name(one->name);
	struct stat st;

	if (fstat(one->fd, &st) < 0)
		return HANDED_UNKNOWN;
	if (is_kept && S_ISREG(st.st_mode))
		return HANDED_KEPT;
	return !is_kept && S_ISSOCK(st.st_mode) ? HANDED_SOCKET : HANDED_UNKNOWN;
}

static void drop(struct handed *one)
{
	if (one->fd >= 0)
		close(one->fd);
	one->fd = -1;
	notify_surely("FDSTOREREMOVE=1\nFDNAME=%s", one->name);
}

int handed_init(bool (*is_kept_name)(const char *name))
{
	char **names = NULL;
	int n = manager_handed(&names);

	if (n < 0)
		log_error("cannot read LISTEN_FDS: %s", strerror(-n));
	if (n <= 0)
		return n;
	handed = calloc((size_t)n, sizeof(*handed));
	if (!handed)
		return -ENOMEM;
	n_handed = (size_t)n;
	for (size_t i = 0; i < n_handed; i++) {
		struct handed *one = &handed[i];

		one->name = names[i];
		one->fd = MANAGER_FIRST_FD + (int)i;
		one->kind = kind_of(one, is_kept_name);
		if (one->kind != HANDED_UNKNOWN)
			continue;
		log_warning("the service manager handed over '%s', which is neither a socket to "
			    "listen on nor anything that is kept for mempoold: it is closed",
			    one->name);
		drop(one);
	}
	free(names);
	return 0;
}

void handed_deinit(void)
{
	for (size_t i = 0; i < n_handed; i++) {
		if (handed[i].fd >= 0)
			close(handed[i].fd);
		free(handed[i].name);
	}
	free(handed);
	handed = NULL;
	n_handed = 0;
}

unsigned int handed_sockets(int *ret_fd)
{
	unsigned int n = 0;

	for (size_t i = 0; i < n_handed; i++) {
		struct handed *one = &handed[i];

		if (one->kind != HANDED_SOCKET || one->fd < 0)
			continue;
		if (n++ == 0) {
			*ret_fd = one->fd;
			one->fd = -1;
		}
	}
	return n;
}

/* The one of that name that was kept. Of several, one that is still there. */
static struct handed *find(const char *name)
{
	for (size_t i = 0; i < n_handed; i++)
		if (handed[i].kind == HANDED_KEPT && handed[i].fd >= 0 &&
		    strcmp(handed[i].name, name) == 0)
			return &handed[i];
	return NULL;
}

int handed_find(const char *name)
{
	const struct handed *one = find(name);

	return one ? one->fd : -1;
}

void handed_drop(const char *name)
{
	struct handed *one;

	while ((one = find(name))) {
		close(one->fd);
		one->fd = -1;
	}
	notify_surely("FDSTOREREMOVE=1\nFDNAME=%s", name);
}

void handed_each(void (*fn)(const char *name, void *userdata), void *userdata)
{
	for (size_t i = 0; i < n_handed; i++)
		if (handed[i].kind == HANDED_KEPT)
			fn(handed[i].name, userdata);
}
