/* SPDX-License-Identifier: MIT */
/*
 * limits.c - what the machine can do at best, measured by the same loops
 *
 *	pair		one compare-and-swap that nobody else wants, and a plain store:
 *			the least that claim and free of a word in shared memory cost
 *	roundtrip	one word there and one back
 *	blocking	the same between two processes that wake each other by a futex
 *	polling		the same by an eventfd, written and read; or with the variant timerfd
 *			by one of those, set and cleared; each in an epoll set
 *	copy		memcpy, what it takes to hand over by copying once
 *	line		a cache line from CPU 0 to CPU 1 and back
 */
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "adapter.h"

#define HAS_POOL
#define HAS_CHANNELS
#define HAS_BLOCKING
#define HAS_POLLING
#define HAS_MORE

/* One message at a time: its first word, and how many there have been. */
static struct channel {
	uint64_t first;
	_Atomic uint32_t n_sent;
	char pad[112];
} * channels;

/* For polling, of each channel. */
static bool has_timers;
static int wake_fds[2], set_fds[2];

static uint64_t messages[2]; /* as written, as received */
static uint32_t n_received[2];

static _Atomic uint64_t word; /* 0: free */

static void open_wake_fds(void)
{
	struct epoll_event event = { .events = EPOLLIN };

	has_timers = is_variant("timerfd");
	for (int i = 0; i < 2; i++) {
		wake_fds[i] = has_timers ? timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)
					 : eventfd(0, EFD_NONBLOCK);
		set_fds[i] = epoll_create1(0);
		if (wake_fds[i] < 0 || set_fds[i] < 0 ||
		    epoll_ctl(set_fds[i], EPOLL_CTL_ADD, wake_fds[i], &event) < 0)
			fail("no descriptors");
	}
}

static inline void set_timer(int channel, long ns)
{
	const struct itimerspec when = { .it_value.tv_nsec = ns };

	timerfd_settime(wake_fds[channel], 0, &when, NULL);
}

static inline void wake(int channel)
{
	if (has_timers)
		set_timer(channel, 1);
	else
		eventfd_write(wake_fds[channel], 1);
}

static inline void sleep_in_poll(int channel)
{
	struct pollfd readable = { .fd = set_fds[channel], .events = POLLIN };
	eventfd_t count;

	poll(&readable, 1, -1);
	if (has_timers)
		set_timer(channel, 0);
	else
		eventfd_read(wake_fds[channel], &count);
}

static void system_open(void)
{
	if (setup.is_polling)
		open_wake_fds();
	channels = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (channels == MAP_FAILED)
		fail("no memory");
}

static void system_close(void)
{
}

static void system_join(int side)
{
	(void)side;
}

static void system_leave(int side)
{
	(void)side;
}

static inline void *system_alloc(size_t bytes)
{
	static char chunk[4096];
	uint64_t seen = 0;

	(void)bytes;
	return atomic_compare_exchange_strong_explicit(
		       &word, &seen, 1, memory_order_acquire, memory_order_relaxed)
		       ? chunk
		       : NULL;
}

static inline void system_free(void *chunk)
{
	(void)chunk;
	atomic_store_explicit(&word, 0, memory_order_release);
}

static inline void *channel_begin(int channel, size_t bytes)
{
	(void)channel;
	(void)bytes;
	return &messages[0];
}

static inline bool channel_send(int channel, void *message, size_t bytes)
{
	struct channel *to = &channels[channel];

	(void)message;
	(void)bytes;
	to->first = messages[0];
	atomic_fetch_add(&to->n_sent, 1);
	if (setup.is_polling)
		wake(channel);
	else if (setup.is_asleep)
		syscall(SYS_futex, &to->n_sent, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	return true;
}

static inline void *channel_receive(int channel, bool wait)
{
	struct channel *from = &channels[channel];

	if (atomic_load(&from->n_sent) == n_received[channel]) {
		if (wait && setup.is_polling)
			sleep_in_poll(channel);
		else if (wait)
			syscall(SYS_futex, &from->n_sent, FUTEX_WAIT, n_received[channel],
				NULL, NULL, 0);
		return NULL;
	}
	n_received[channel]++;
	messages[1] = from->first;
	return &messages[1];
}

static inline void channel_done(int channel, void *message)
{
	(void)channel;
	(void)message;
}

static void copy(void);
static void line(void);
#define MORE_WORKS { "copy", copy, WORK_POOL }, { "line", line, WORK_POOL },

#include "loops.h"

static void copy(void)
{
	struct slices *slices = slices_new();
	char *from = malloc(setup.bytes), *to = malloc(setup.bytes);
	uint64_t until, begin, end;
	int n = setup.bytes > 65536 ? 4 : 256;

	if (!from || !to)
		fail("no memory");
	memset(from, 1, setup.bytes);
	memset(to, 2, setup.bytes);
	pin(0);
	until = ms_from_now(setup.ms);
	begin = clock_ns();
	do {
		for (int i = 0; i < n; i++) {
			use(from);
			memcpy(to, from, setup.bytes);
			use(to);
		}
		end = clock_ns();
		slices_add(slices, (double)(end - begin) / n);
		begin = end;
	} while (end < until);
	print_figure("copy", slices_finish(slices), "ns", 0);
	free(from);
	free(to);
}

static void nothing(struct meeting *meeting, int side)
{
	(void)meeting;
	(void)side;
}

static void line(void)
{
	double line_ns = run_sides(nothing, meeting_new(2));

	print_figure(bench_work, line_ns, "ns", line_ns);
}
