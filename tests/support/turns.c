/* SPDX-License-Identifier: MIT */
#include "support/turns.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct turns *turns_new(const char *path, const char *shim)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	void *memory = MAP_FAILED;

	if (fd < 0)
		return NULL;
	if (ftruncate(fd, sizeof(struct turns)) == 0)
		memory = mmap(NULL, sizeof(struct turns), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			      0);
	close(fd);
	if (memory == MAP_FAILED || setenv(TURNS_VARIABLE, path, 1) < 0 ||
	    setenv("LD_PRELOAD", shim, 1) < 0)
		return NULL;
	return memory;
}

void turns_free(struct turns *turns, const char *path)
{
	unsetenv("LD_PRELOAD");
	unsetenv(TURNS_VARIABLE);
	munmap(turns, sizeof(*turns));
	unlink(path);
}

uint64_t turns_count(const struct turns *turns)
{
	/* T2 (acquire) pairs with T1 of the shim: the times before it are there. */
	return atomic_load_explicit(&turns->n, memory_order_acquire);
}

uint32_t turns_ns(const struct turns *turns, uint64_t turn)
{
	/* Relaxed: who knows the number has it from T2. */
	return atomic_load_explicit(&turns->ns[turn % TURNS_MAX], memory_order_relaxed);
}

uint32_t turns_longest_ns(const struct turns *turns, uint64_t first)
{
	uint64_t n = turns_count(turns);
	uint32_t longest = 0;

	if (n - first > TURNS_MAX)
		first = n - TURNS_MAX;
	for (; first < n; first++) {
		uint32_t ns = turns_ns(turns, first);

		longest = ns > longest ? ns : longest;
	}
	return longest;
}
