/* SPDX-License-Identifier: MIT */
#include "sigbus.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>

static _Thread_local struct sigbus_range *sigbus_ranges;

static struct sigbus_range *sigbus_find(const void *address)
{
	struct sigbus_range *range;

	for (range = sigbus_ranges; range; range = range->next)
		if ((uintptr_t)address - (uintptr_t)range->base < range->size)
			return range;
	return NULL;
}

static void sigbus_handler(int signal_number, siginfo_t *info, void *context)
{
	int saved = errno;
	/* Sent by a process, there is no address; then it is meant for us. */
	struct sigbus_range *range = info->si_code > 0 ? sigbus_find(info->si_addr) : NULL;

	(void)context;
	if (!range || mmap(range->base, range->size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
			   0) == MAP_FAILED) {
		/* Pending until we return; then it ends us. */
		signal(signal_number, SIG_DFL);
		raise(signal_number);
	} else {
		/* Relaxed: same thread. */
		atomic_store_explicit(&range->hit, true, memory_order_relaxed);
	}
	errno = saved;
}

int sigbus_init(void)
{
	struct sigaction action = { .sa_sigaction = sigbus_handler, .sa_flags = SA_SIGINFO };
	sigset_t sigbus;

	sigemptyset(&action.sa_mask);
	if (sigaction(SIGBUS, &action, NULL) < 0)
		return -errno;
	/* A parent may have left it blocked; of an access, it then ends us. */
	sigemptyset(&sigbus);
	sigaddset(&sigbus, SIGBUS);
	return -pthread_sigmask(SIG_UNBLOCK, &sigbus, NULL);
}

void sigbus_watch(struct sigbus_range *range, void *base, size_t size)
{
	range->base = base;
	range->size = size;
	range->next = sigbus_ranges;
	atomic_store_explicit(&range->hit, false, memory_order_relaxed);
	sigbus_ranges = range;
}

void sigbus_unwatch(struct sigbus_range *range)
{
	struct sigbus_range **link;

	for (link = &sigbus_ranges; *link; link = &(*link)->next) {
		if (*link == range) {
			*link = range->next;
			return;
		}
	}
}

bool sigbus_was_hit(const struct sigbus_range *range)
{
	return atomic_load_explicit(&range->hit, memory_order_relaxed);
}

void sigbus_hit(struct sigbus_range *range)
{
	atomic_store_explicit(&range->hit, true, memory_order_relaxed);
}
