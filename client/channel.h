/* SPDX-License-Identifier: MIT */
/*
 * channel.h - wake channels: timerfds that the daemon makes, one for each client that polls
 *
 * To wake is to start the timer, to clear is to stop it. Nobody reads or writes it, so no flag
 * that is shared (O_NONBLOCK), no full buffer and no end that has gone can make a call of ours
 * block, or raise a signal. It takes no file but a timerfd: of another one it does nothing.
 *
 * Whoever has a channel may also clear it, or wake all the time: then the client that it belongs
 * to looks at its own timer, once a second, or too often.
 */
#ifndef CLIENT_CHANNEL_H
#define CLIENT_CHANNEL_H

#include <errno.h>
#include <sys/timerfd.h>

/* Nothing is shorter, but nothing at all, which would stop it. */
#define CHANNEL_WAKE_NS 1

static inline int channel_set_ns(int fd, long ns)
{
	const struct itimerspec when = { .it_value.tv_nsec = ns };

	return timerfd_settime(fd, 0, &when, NULL) < 0 ? -errno : 0;
}

/* Return: 0; -EINVAL this is no channel; -errno. */
static inline int channel_wake(int fd)
{
	return channel_set_ns(fd, CHANNEL_WAKE_NS);
}

/* Before the look at what it may have been for. */
static inline int channel_clear(int fd)
{
	return channel_set_ns(fd, 0);
}

#endif
