/* SPDX-License-Identifier: MIT */
/*
 * handover-futex.c - the least a blocking hand-over can cost: two processes that wake each
 *		      other by a futex, and hand over one word (handover.h, `blocking N`)
 */
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "handover.h"

static _Atomic uint32_t *words;		/* there and back, on lines of their own */

static void put(_Atomic uint32_t *word, uint32_t value)
{
	atomic_store(word, value);
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void await(_Atomic uint32_t *word, uint32_t value)
{
	uint32_t seen;

	while ((seen = atomic_load(word)) != value)
		syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0);
}

static void answer(uint64_t n, size_t size)
{
	(void)size;
	for (uint32_t i = 1; i <= n; i++) {
		await(&words[0], i);
		put(&words[16], i);
	}
}

int main(int argc, char *argv[])
{
	uint64_t n, begin;
	pid_t other;

	if (argc != 3 || strcmp(argv[1], "blocking") != 0) {
		printf("skipped: a futex carries no messages\n");
		return 77;
	}
	words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (words == MAP_FAILED)
		return 1;
	n = strtoull(argv[2], NULL, 0);
	other = start_other(answer, n, 0);
	begin = clock_ns();
	for (uint32_t i = 1; i <= n; i++) {
		put(&words[0], i);
		await(&words[16], i);
	}
	print_ns(begin, n);
	join_other(other);
	return 0;
}
