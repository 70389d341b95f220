/* SPDX-License-Identifier: MIT */
/*
 * sigbus.c - see sigbus.h
 *
 * The one thread sets the range before it touches the mapping, and the handler runs in that
 * same thread: relaxed atomics, and fences for the compiler, are all it takes.
 */
#include "sigbus.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

static _Atomic uintptr_t watched_base;
static _Atomic uintptr_t watched_end;
static atomic_bool pages_lost;

static void on_sigbus(int signo, siginfo_t *info, void *context)
{
	uintptr_t base = atomic_load_explicit(&watched_base, memory_order_relaxed);
	uintptr_t end = atomic_load_explicit(&watched_end, memory_order_relaxed);
	uintptr_t page_mask = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
	uintptr_t fault = (uintptr_t)info->si_addr & ~page_mask;
	int saved_errno = errno;

	(void)context;

	/*
	 * All pages behind a lost one are lost too: one mmap does, however long the rest is.
	 * mmap() is a plain system call, safe here though POSIX does not list it.
	 */
	if (info->si_code != BUS_ADRERR || fault < base || fault >= end ||
	    mmap((void *)fault, end - fault, PROT_READ,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
		 0) == MAP_FAILED) {
		signal(signo, SIG_DFL);
		raise(signo);
		return;
	}

	atomic_store_explicit(&pages_lost, true, memory_order_relaxed);
	errno = saved_errno;
}

int sigbus_init(void)
{
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };

	return sigaction(SIGBUS, &action, NULL) < 0 ? -errno : 0;
}

void sigbus_watch(void *base, uint64_t size_bytes)
{
	uintptr_t page_mask = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;

	/* Relaxed: read by a handler of this same thread. The fence holds the compiler. */
	atomic_store_explicit(&watched_base, (uintptr_t)base, memory_order_relaxed);
	atomic_store_explicit(&watched_end,
			      ((uintptr_t)base + size_bytes + page_mask) & ~page_mask,
			      memory_order_relaxed);
	atomic_store_explicit(&pages_lost, false, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
}

bool sigbus_unwatch(void)
{
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(&watched_end, 0, memory_order_relaxed);
	return atomic_load_explicit(&pages_lost, memory_order_relaxed);
}
