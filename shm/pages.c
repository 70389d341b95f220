/* SPDX-License-Identifier: MIT */
#include "pages.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Since Linux 5.14, whatever the headers of libc know of it. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Beyond it, memory is busy and not processors. */
#define FILL_MAX_THREADS 32

bool pages_are_filled(const struct pages *pages)
{
	return pages->prefault || pages->lock;
}

static int bind_to_nodes(const struct pages *pages, void *base, uint64_t size_bytes)
{
	int mode = pages->policy == PAGES_BIND ? MPOL_BIND : MPOL_INTERLEAVE;

	if (pages->policy == PAGES_ANYWHERE)
		return 0;
	/* The kernel takes one bit less than it is told. */
	return syscall(SYS_mbind, base, size_bytes, mode, pages->nodes, PAGES_MAX_NODES + 1,
		       0) < 0 ? -errno : 0;
}

int pages_lock(const struct pages *pages, void *base, uint64_t size_bytes)
{
	if (!pages->lock || pages->huge_bytes)
		return 0;
	/* As they come: so this asks for the right, takes nothing, and cannot last. */
	return mlock2(base, size_bytes, MLOCK_ONFAULT) < 0 ? -errno : 0;
}

int pages_prepare(const struct pages *pages, void *base, uint64_t size_bytes)
{
	int r = bind_to_nodes(pages, base, size_bytes);

	return r < 0 ? r : pages_lock(pages, base, size_bytes);
}

/* ---- fill ---- */

/*
 * The ranges are cut into slices, which are handed out by a counter. For each slice there is one
 * post, done or given up, so that the caller knows how far it is without a clock.
 */
struct fill {
	const struct pages_range *ranges;
	uint64_t slice_bytes;
	uint64_t n_slices;
	_Atomic uint64_t next;
	_Atomic int error;		/* of the first that failed */
	sem_t done;
};

static uint64_t count_slices(const struct fill *fill, const struct pages_range *range)
{
	return (range->bytes + fill->slice_bytes - 1) / fill->slice_bytes;
}

/* slice: less than n_slices, which bounds the loop. */
static struct pages_range find_slice(const struct fill *fill, uint64_t slice)
{
	const struct pages_range *range = fill->ranges;
	uint64_t off, left;

	for (; slice >= count_slices(fill, range); range++)
		slice -= count_slices(fill, range);
	off = slice * fill->slice_bytes;
	left = range->bytes - off;
	return (struct pages_range){
		.base = (unsigned char *)range->base + off,
		.bytes = left < fill->slice_bytes ? left : fill->slice_bytes,
	};
}

static int fill_slice(const struct fill *fill, uint64_t slice)
{
	const struct pages_range at = find_slice(fill, slice);
	int r;

	do {
		r = madvise(at.base, at.bytes, MADV_POPULATE_WRITE);
	} while (r < 0 && (errno == EINTR || errno == EAGAIN));
	return r < 0 ? -errno : 0;
}

/* The first one tells why; whatever is not begun yet is left out. */
static void fill_fail(struct fill *fill, int error)
{
	int none = 0;

	atomic_compare_exchange_strong_explicit(&fill->error, &none, error,
						memory_order_relaxed, memory_order_relaxed);
}

static void *fill_slices(void *userdata)
{
	struct fill *fill = userdata;
	uint64_t slice;

	/* All relaxed: nothing but the numbers is handed over, and joining orders the rest. */
	while ((slice = atomic_fetch_add_explicit(&fill->next, 1, memory_order_relaxed)) <
	       fill->n_slices) {
		if (atomic_load_explicit(&fill->error, memory_order_relaxed) == 0) {
			int r = fill_slice(fill, slice);

			if (r < 0)
				fill_fail(fill, r);
		}
		sem_post(&fill->done);
	}
	return NULL;
}

static unsigned int count_threads(uint64_t n_slices)
{
	cpu_set_t set;
	unsigned int n = 1;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = (unsigned int)CPU_COUNT(&set);
	if (n > FILL_MAX_THREADS)
		n = FILL_MAX_THREADS;
	return n < n_slices ? n : (unsigned int)n_slices;
}

/* Signals are for the caller's thread. Return: how many there are. */
static unsigned int start_threads(struct fill *fill, pthread_t threads[FILL_MAX_THREADS])
{
	unsigned int n_wanted = count_threads(fill->n_slices), n = 0;
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (n < n_wanted && pthread_create(&threads[n], NULL, fill_slices, fill) == 0)
		n++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return n;
}

int pages_fill(const struct pages *pages, const struct pages_range *ranges, uint32_t n_ranges,
	       segment_progress_fn progress, void *userdata)
{
	struct fill fill = {
		.ranges = ranges,
		.slice_bytes = pages->huge_bytes > PAGES_PIECE_BYTES ? pages->huge_bytes
								     : PAGES_PIECE_BYTES,
	};
	pthread_t threads[FILL_MAX_THREADS];
	uint64_t done = 0, total = 0;
	unsigned int n_threads;

	for (uint32_t i = 0; i < n_ranges; i++) {
		fill.n_slices += count_slices(&fill, &ranges[i]);
		total += ranges[i].bytes;
	}
	sem_init(&fill.done, 0, 0);
	n_threads = start_threads(&fill, threads);
	if (n_threads == 0)
		fill_slices(&fill);
	for (uint64_t i = 0; i < fill.n_slices; i++) {
		while (sem_wait(&fill.done) < 0)
			;
		/* Which one it was does not matter: they are said to be done in their order. */
		done += find_slice(&fill, i).bytes;
		if (progress && !progress(done, total, userdata))
			fill_fail(&fill, -ECANCELED);
	}
	for (unsigned int i = 0; i < n_threads; i++)
		pthread_join(threads[i], NULL);
	sem_destroy(&fill.done);
	return atomic_load_explicit(&fill.error, memory_order_relaxed);
}
