/* SPDX-License-Identifier: MIT */
#include "daemon/sessions/unread.h"

#include <event2/event.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "daemon/sessions/closer.h"

#define UNREAD_PAUSE_MS 10
#define UNREAD_MAX_PAUSE_MS 1000

bool unread_is_any(int fd)
{
	int n_bytes;

	return ioctl(fd, SIOCOUTQ, &n_bytes) == 0 && n_bytes > 0;
}

static void look_in(struct unread *unread, unsigned int pause_ms)
{
	const struct timeval pause = { pause_ms / 1000, pause_ms % 1000 * 1000 };

	unread->pause_ms = pause_ms;
	evtimer_add(&unread->look, &pause);
}

static void finish(struct unread *unread, struct unread_end *end)
{
	TAILQ_REMOVE(&unread->ends, end, link);
	if (end->is_empty) {
		close(end->fd);
		quota_put(&end->unit);
	} else {
		closer_take(unread->closer, end->fd, &end->unit);
	}
	free(end);
}

static void on_look(evutil_socket_t fd, short what, void *userdata)
{
	struct unread *unread = userdata;
	struct unread_end *end, *next;
	unsigned int pause_ms = 2 * unread->pause_ms;

	(void)fd;
	(void)what;
	for (end = TAILQ_FIRST(&unread->ends); end; end = next) {
		next = TAILQ_NEXT(end, link);
		if (unread_is_any(end->fd))
			continue;
		finish(unread, end);
		pause_ms = UNREAD_PAUSE_MS;
	}
	if (!TAILQ_EMPTY(&unread->ends))
		look_in(unread, pause_ms < UNREAD_MAX_PAUSE_MS ? pause_ms : UNREAD_MAX_PAUSE_MS);
	else
		unread->pause_ms = 0;
}

void unread_take(struct unread *unread, int fd, bool is_empty, struct quota_unit *unit)
{
	struct unread_end *end = calloc(1, sizeof(*end));

	if (!end) {
		/* It stays open: one descriptor less is better than a daemon that passes none. */
		quota_put(unit);
		return;
	}
	end->fd = fd;
	end->is_empty = is_empty;
	quota_move(&end->unit, unit);
	TAILQ_INSERT_TAIL(&unread->ends, end, link);
	if (unread->pause_ms != UNREAD_PAUSE_MS)
		look_in(unread, UNREAD_PAUSE_MS);
}

void unread_init(struct unread *unread, struct event_base *base, struct closer *closer)
{
	*unread = (struct unread){ .closer = closer };
	TAILQ_INIT(&unread->ends);
	evtimer_assign(&unread->look, base, on_look, unread);
}

void unread_deinit(struct unread *unread)
{
	while (!TAILQ_EMPTY(&unread->ends))
		finish(unread, TAILQ_FIRST(&unread->ends));
	event_del(&unread->look);
}
