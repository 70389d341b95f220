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

/* Beyond it, memory is busy and not processors. */
#define FILL_MAX_THREADS 32

bool pages_are_filled(const struct pages *pages)
{
	return pages->prefault || pages->lock;
}

uint64_t pages_round(const struct pages *pages, uint64_t size_bytes)
{
	uint64_t unit = pages->huge_bytes ? pages->huge_bytes : 1, rounded;

	if (__builtin_add_overflow(size_bytes, unit - 1, &rounded))
		return 0;
	return rounded / unit * unit;
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
 * The pieces are handed out by a counter. For each piece there is one post, done or given
 * up, so that the caller knows how far it is without a clock.
 */
struct fill {
	unsigned char *base;
	uint64_t size_bytes;
	uint64_t piece_bytes;
	uint64_t n_pieces;
	_Atomic uint64_t next;
	_Atomic int error;		/* of the first that failed */
	sem_t done;
};

static uint64_t piece_bytes(const struct fill *fill, uint64_t piece)
{
	uint64_t left = fill->size_bytes - piece * fill->piece_bytes;

	return left < fill->piece_bytes ? left : fill->piece_bytes;
}

static int fill_piece(const struct fill *fill, uint64_t piece)
{
	unsigned char *at = fill->base + piece * fill->piece_bytes;
	int r;

	do {
		r = madvise(at, piece_bytes(fill, piece), MADV_POPULATE_WRITE);
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

static void *fill_pieces(void *userdata)
{
	struct fill *fill = userdata;
	uint64_t piece;

	/* All relaxed: nothing but the numbers is handed over, and joining orders the rest. */
	while ((piece = atomic_fetch_add_explicit(&fill->next, 1, memory_order_relaxed)) <
	       fill->n_pieces) {
		if (atomic_load_explicit(&fill->error, memory_order_relaxed) == 0) {
			int r = fill_piece(fill, piece);

			if (r < 0)
				fill_fail(fill, r);
		}
		sem_post(&fill->done);
	}
	return NULL;
}

static unsigned int count_threads(uint64_t n_pieces)
{
	cpu_set_t set;
	unsigned int n = 1;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = (unsigned int)CPU_COUNT(&set);
	if (n > FILL_MAX_THREADS)
		n = FILL_MAX_THREADS;
	return n < n_pieces ? n : (unsigned int)n_pieces;
}

/* Signals are for the caller's thread. Return: how many there are. */
static unsigned int start_threads(struct fill *fill, pthread_t threads[FILL_MAX_THREADS])
{
	unsigned int n_wanted = count_threads(fill->n_pieces), n = 0;
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (n < n_wanted && pthread_create(&threads[n], NULL, fill_pieces, fill) == 0)
		n++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return n;
}

int pages_fill(const struct pages *pages, void *base, uint64_t size_bytes,
	       segment_progress_fn progress, void *userdata)
{
	struct fill fill = {
		.base = base,
		.size_bytes = size_bytes,
		.piece_bytes = pages->huge_bytes > PAGES_PIECE_BYTES ? pages->huge_bytes
								     : PAGES_PIECE_BYTES,
	};
	pthread_t threads[FILL_MAX_THREADS];
	unsigned int n_threads;
	uint64_t done = 0;

	fill.n_pieces = (size_bytes + fill.piece_bytes - 1) / fill.piece_bytes;
	sem_init(&fill.done, 0, 0);
	n_threads = start_threads(&fill, threads);
	if (n_threads == 0)
		fill_pieces(&fill);
	for (uint64_t i = 0; i < fill.n_pieces; i++) {
		while (sem_wait(&fill.done) < 0)
			;
		/* Which one it was does not matter; the short one is said to be the last. */
		done += piece_bytes(&fill, i);
		if (progress && !progress(done, size_bytes, userdata))
			fill_fail(&fill, -ECANCELED);
	}
	for (unsigned int i = 0; i < n_threads; i++)
		pthread_join(threads[i], NULL);
	sem_destroy(&fill.done);
	return atomic_load_explicit(&fill.error, memory_order_relaxed);
}
