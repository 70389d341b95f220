/* SPDX-License-Identifier: MIT */
#include "ways.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/* Linux 3.17 */
#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_SEAL_WRITE 8
#endif

#define N_OF (WAYS_HUGE + 1)
#define CHANGES 0			/* the first byte */
#define PASSES 1			/* and changes none */

struct object {
	int fd;
	size_t page_bytes;
};

/* Return: 0 it went through; -errno. */
typedef int (*way_fn)(const struct object *object);

/* ---- memory ---- */

static unsigned char *map(const struct object *object, int protection)
{
	return mmap(NULL, object->page_bytes, protection, MAP_SHARED, object->fd, 0);
}

static void unmap(const struct object *object, unsigned char *bytes)
{
	munmap(bytes, object->page_bytes);
}

static int try_map(const struct object *object)
{
	unsigned char *bytes = map(object, PROT_READ | PROT_WRITE);

	if (bytes == MAP_FAILED)
		return -errno;
	bytes[0] = WAYS_BYTE;
	unmap(object, bytes);
	return 0;
}

static int write_to(const struct object *object, unsigned char *bytes)
{
	if (mprotect(bytes, object->page_bytes, PROT_READ | PROT_WRITE) < 0)
		return -errno;
	bytes[0] = WAYS_BYTE;
	return 0;
}

static int try_protect(const struct object *object)
{
	unsigned char *bytes = map(object, PROT_READ);
	int r;

	if (bytes == MAP_FAILED)
		return -EIO;
	r = write_to(object, bytes);
	unmap(object, bytes);
	return r;
}

/* To where there was memory for writing. */
static int try_remap(const struct object *object)
{
	unsigned char *place = mmap(NULL, 2 * object->page_bytes, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	unsigned char *bytes = map(object, PROT_READ), *moved;
	int r;

	if (place == MAP_FAILED || bytes == MAP_FAILED)
		return -EIO;
	moved = place + (-(uintptr_t)place & (object->page_bytes - 1));
	if (mremap(bytes, object->page_bytes, object->page_bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
		   moved) == MAP_FAILED) {
		r = -errno;
		unmap(object, bytes);
	} else {
		r = write_to(object, moved);
	}
	munmap(place, 2 * object->page_bytes);
	return r;
}

/* As a debugger does, which asks for no right to write. */
static int try_mem(const struct object *object)
{
	unsigned char *bytes = map(object, PROT_READ | PROT_WRITE), byte = WAYS_BYTE;
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	int r = 0;

	if (bytes == MAP_FAILED)
		bytes = map(object, PROT_READ);
	if (bytes == MAP_FAILED || fd < 0)
		return -ENXIO;
	if (pwrite(fd, &byte, 1, (off_t)(uintptr_t)bytes) < 0)
		r = -errno;
	close(fd);
	unmap(object, bytes);
	return r;
}

static int try_remove(const struct object *object)
{
	unsigned char *bytes = map(object, PROT_READ | PROT_WRITE);
	int r;

	if (bytes == MAP_FAILED)
		bytes = map(object, PROT_READ);
	if (bytes == MAP_FAILED)
		return -EIO;
	r = madvise(bytes, object->page_bytes, MADV_REMOVE) < 0 ? -errno : 0;
	unmap(object, bytes);
	return r;
}

/* ---- the file ---- */

static int try_write(const struct object *object)
{
	const unsigned char byte = WAYS_BYTE;

	return pwrite(object->fd, &byte, 1, 0) < 0 ? -errno : 0;
}

static void path_of(const struct object *object, char ret_path[static 40])
{
	snprintf(ret_path, 40, "/proc/self/fd/%d", object->fd);
}

static int try_reopen(const struct object *object)
{
	struct object again = *object;
	char path[40];
	int r;

	path_of(object, path);
	again.fd = open(path, O_RDWR | O_CLOEXEC);
	if (again.fd < 0)
		return -errno;
	r = try_map(&again);
	close(again.fd);
	return r;
}

static int allocate(const struct object *object, int mode)
{
	return fallocate(object->fd, mode, 0, (off_t)object->page_bytes) < 0 ? -errno : 0;
}

static int try_punch(const struct object *object)
{
	return allocate(object, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
}

static int try_collapse(const struct object *object)
{
	return allocate(object, FALLOC_FL_COLLAPSE_RANGE);
}

static int try_zero(const struct object *object)
{
	return allocate(object, FALLOC_FL_ZERO_RANGE);
}

static int try_chmod(const struct object *object)
{
	return fchmod(object->fd, 0666) < 0 ? -errno : 0;
}

static int try_seal(const struct object *object)
{
	return fcntl(object->fd, F_ADD_SEALS, F_SEAL_WRITE) < 0 ? -errno : 0;
}

static int try_truncate(const struct object *object)
{
	return ftruncate(object->fd, 0) < 0 ? -errno : 0;
}

static int try_truncate_path(const struct object *object)
{
	char path[40];

	path_of(object, path);
	return truncate(path, 0) < 0 ? -errno : 0;
}

/* Those that make it shorter last. */
static const struct way {
	const char *name;
	way_fn run;
	int refused;			/* of who has it for reading */
	int done[N_OF];			/* of who has it for writing: CHANGES, PASSES; -errno */
} ways[] = {
	{ "mmap", try_map, -EACCES, { CHANGES, CHANGES, CHANGES } },
	{ "mprotect", try_protect, -EACCES, { CHANGES, CHANGES, CHANGES } },
	{ "mremap", try_remap, -EACCES, { CHANGES, CHANGES, CHANGES } },
	{ "/proc/self/mem", try_mem, -EIO, { CHANGES, CHANGES, CHANGES } },
	{ "pwrite", try_write, -EBADF, { CHANGES, CHANGES, -EINVAL } },
	{ "/proc/self/fd", try_reopen, -EACCES, { CHANGES, CHANGES, CHANGES } },
	{ "punch", try_punch, -EBADF, { CHANGES, CHANGES, CHANGES } },
	{ "collapse", try_collapse, -EBADF, { -EOPNOTSUPP, -EOPNOTSUPP, -EOPNOTSUPP } },
	{ "zero", try_zero, -EBADF, { -EOPNOTSUPP, -EOPNOTSUPP, -EOPNOTSUPP } },
	{ "MADV_REMOVE", try_remove, -EACCES, { CHANGES, CHANGES, CHANGES } },
	{ "fchmod", try_chmod, -EPERM, { PASSES, PASSES, PASSES } },
	{ "seal", try_seal, -EPERM, { -EPERM, -EPERM, -EPERM } },
	{ "ftruncate", try_truncate, -EINVAL, { CHANGES, -EPERM, -EPERM } },
	{ "truncate", try_truncate_path, -EACCES, { CHANGES, -EPERM, -EPERM } },
};
#define N_WAYS (sizeof(ways) / sizeof(ways[0]))

static struct object object_of(int fd, enum ways_of of)
{
	return (struct object){ fd, of == WAYS_HUGE ? 2u << 20 : (size_t)sysconf(_SC_PAGESIZE) };
}

void ways_expect_refused(int fd, enum ways_of of, const char *label)
{
	const struct object object = object_of(fd, of);

	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	for (size_t i = 0; i < N_WAYS; i++) {
		int r = ways[i].run(&object);

		ck_assert_msg(r == ways[i].refused, "%s: %s: %s", label, ways[i].name,
			      strerror(-r));
	}
}

void ways_try(int fd, enum ways_of of)
{
	const struct object object = object_of(fd, of);

	for (size_t i = 0; i < N_WAYS; i++)
		ways[i].run(&object);
}

unsigned char *ways_read(int fd, size_t size)
{
	unsigned char *bytes = malloc(size);

	ck_assert_ptr_nonnull(bytes);
	ck_assert_int_eq(pread(fd, bytes, size, 0), (ssize_t)size);
	return bytes;
}

/* Huge pages are written to by mmap alone, and a file that was cut by pwrite. */
static void put_first(const struct object *object, unsigned char byte)
{
	unsigned char *bytes;

	if (pwrite(object->fd, &byte, 1, 0) == 1)
		return;
	bytes = map(object, PROT_READ | PROT_WRITE);
	ck_assert_ptr_ne(bytes, MAP_FAILED);
	bytes[0] = byte;
	unmap(object, bytes);
}

static bool is_first(const struct object *object, unsigned char byte)
{
	unsigned char found;

	return pread(object->fd, &found, 1, 0) == 1 && found == byte;
}

void ways_expect_changes(int fd, enum ways_of of)
{
	const struct object object = object_of(fd, of);
	unsigned char *first = ways_read(fd, 1);

	ck_assert(first[0] != 0 && first[0] != WAYS_BYTE);
	for (size_t i = 0; i < N_WAYS; i++) {
		int expected = ways[i].done[of], r = ways[i].run(&object);

		ck_assert_msg(r == (expected < 0 ? expected : 0), "%s: %s", ways[i].name,
			      strerror(-r));
		ck_assert_msg(is_first(&object, first[0]) == (expected != CHANGES),
			      "%s: the byte is %s", ways[i].name,
			      expected == CHANGES ? "the same" : "another one");
		put_first(&object, first[0]);
	}
	ck_assert_int_eq(fchmod(fd, 0600), 0);
	free(first);
}
