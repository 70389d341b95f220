/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

_Atomic(struct process *) process_page;

static size_t round_up(size_t bytes)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);

	return (bytes + page_bytes - 1) & ~(page_bytes - 1);
}

void process_unmap(void *border, size_t kept_bytes, size_t wiped_bytes)
{
	munmap((unsigned char *)border - round_up(kept_bytes),
	       round_up(kept_bytes) + round_up(wiped_bytes));
}

int process_map(size_t kept_bytes, size_t wiped_bytes, void **ret_border)
{
	unsigned char *memory, *border;

	memory = mmap(NULL, round_up(kept_bytes) + round_up(wiped_bytes),
		      PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return errno == EAGAIN ? -ENOLCK : -errno;
	border = memory + round_up(kept_bytes);
	if (madvise(border, round_up(wiped_bytes), MADV_WIPEONFORK) < 0) {
		/* What a kernel says that does not know it: before Linux 4.14. */
		int r = errno == EINVAL ? -ENOSYS : -errno;

		process_unmap(border, kept_bytes, wiped_bytes);
		return r;
	}
	*ret_border = border;
	return 0;
}

/*
 * Once, by whichever thread is first. No lock, and no pthread_once(): the child of a fork could
 * find it taken.
 */
static int make_page(void)
{
	struct process *none = NULL;
	void *page;
	int r;

	if (process_own())
		return 0;
	r = process_map(0, sizeof(struct process), &page);
	if (r < 0)
		return r;
	/* Relaxed, as process_own(). */
	if (!atomic_compare_exchange_strong_explicit(&process_page, &none, page,
						     memory_order_relaxed, memory_order_relaxed))
		process_unmap(page, 0, sizeof(struct process));
	return 0;
}

int process_enter(uint64_t *ret_number)
{
	/* Not wiped: a child counts on. Under the lock. */
	static uint64_t last_number;
	struct process *process;
	int r;

	r = make_page();
	if (r < 0)
		return r;
	process = process_own();
	pthread_mutex_lock(&process->lock);
	/* Relaxed: only compared; the client brings what else there is. */
	*ret_number = atomic_load_explicit(&process->number, memory_order_relaxed);
	if (*ret_number == 0) {
		*ret_number = ++last_number;
		atomic_store_explicit(&process->number, *ret_number, memory_order_relaxed);
	}
	pthread_mutex_unlock(&process->lock);
	return 0;
}
