/* SPDX-License-Identifier: MIT */
/*
 * segment_memory.h - the shm object under a segment: made, opened, mapped
 *
 * It knows of names, sizes, space and permissions, and nothing of what stands in it: that is
 * segment.h. Whoever creates one takes all of its space, so that nobody meets a SIGBUS later.
 *
 *	/mempool-NAME...		for shm_open(3)
 *	/FOLDER.../mempool-NAME...	on the hugetlbfs mounted there
 */
#ifndef SHM_SEGMENT_MEMORY_H
#define SHM_SEGMENT_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "pages.h"

enum segment_access {
	SEGMENT_READ_ONLY,
	SEGMENT_READ_WRITE,
};

enum segment_open_mode {
	SEGMENT_CREATE,			/* must not exist */
	SEGMENT_OPEN,			/* must exist */
	SEGMENT_OPEN_OR_CREATE,
	SEGMENT_PURGE_AND_CREATE,	/* unlink what is there first */
};

struct segment_permissions {
	mode_t mode;			/* of the object, regardless of the umask */
	gid_t group;			/* (gid_t)-1: leave it */
};

/* A mapped object; base is NULL when there is none. */
struct segment_memory {
	void *base;
	uint64_t size;
	int fd;
	enum segment_access access;
	bool created;			/* by this call: it is zeroed and needs a layout */
	dev_t device;
	ino_t inode;
};
#define SEGMENT_MEMORY_NULL ((struct segment_memory){ .fd = -1 })

/**
 * segment_create() - a shm object of a size, mapped
 * @shm_name:   as for shm_open(3)
 * @size_bytes: of the new object; an existing one must be at least so large
 * @perms:      of a new object
 * @progress:   NULL, or called after each piece of space taken
 *
 * The space is taken here (posix_fallocate), so that a full /dev/shm is an error now and
 * never a SIGBUS later. A new object is given its group and mode only after that.
 * Of several that open or create at the same time, one creates.
 *
 * Return: 0; -EEXIST, -ENOENT, -EACCES as open(2); -ENOSPC no room, -ECANCELED as @progress
 *         said (nothing is left behind); -ENODATA an existing object is too short
 *         (SEGMENT_OPEN_OR_CREATE: and still is after a second, so that nobody is making it);
 *         -EINVAL.
 */
int segment_create(const char *shm_name, uint64_t size_bytes, enum segment_access access,
		   enum segment_open_mode open_mode, const struct segment_permissions *perms,
		   segment_progress_fn progress, void *userdata,
		   struct segment_memory *ret_memory);

/**
 * segment_create_paged() - SEGMENT_CREATE and SEGMENT_READ_WRITE, of pages that are wanted
 * @shm_name: with huge pages, in a folder on a hugetlbfs of that size
 * @size_bytes: is rounded up to whole pages
 *
 * Of huge pages none is taken before all are promised to this object.
 *
 * Return: as segment_create(), and as pages_prepare() and pages_fill(); -ENOMEM there are
 *	   not so many huge pages. Nothing is left behind.
 */
int segment_create_paged(const char *shm_name, uint64_t size_bytes,
			 const struct segment_permissions *perms, const struct pages *pages,
			 segment_progress_fn progress, void *userdata,
			 struct segment_memory *ret_memory);

/**
 * segment_create_fd() - the same of an object that is open, and empty
 * @fd: becomes ret_memory's, also on error
 */
int segment_create_fd(int fd, uint64_t size_bytes, const struct pages *pages,
		      segment_progress_fn progress, void *userdata,
		      struct segment_memory *ret_memory);

/* Take the space of an empty file. Return: 0; -ECANCELED as @progress said; -ENOSPC, -errno. */
int segment_take_space(int fd, uint64_t size_bytes, segment_progress_fn progress, void *userdata);

/*
 * Whether that can be an object's name as a daemon tells it: of one of the forms above, with
 * nothing in it that a terminal would obey.
 */
bool segment_name_is_valid(const char *shm_name);

/*
 * Map an existing object, whatever it holds. Never creates. Return: 0 or -errno of open(2),
 * mmap(2); -ENOLCK the process locks its memory, and may not lock as much (EAGAIN of mmap(2));
 * -EBADF what is named is not on a hugetlbfs, or no regular file.
 */
int segment_map(const char *shm_name, enum segment_access access,
		struct segment_memory *ret_memory);

/* Map an object that is open already; the descriptor becomes ret_memory's, also on error. */
int segment_map_fd(int fd, enum segment_access access, struct segment_memory *ret_memory);

/*
 * So much of an object and no more, since whoever may write it can make it longer; 0: all of
 * it. -ENODATA it is shorter.
 */
int segment_map_part(const char *shm_name, uint64_t size, enum segment_access access,
		     struct segment_memory *ret_memory);
int segment_map_fd_part(int fd, uint64_t size, enum segment_access access,
			struct segment_memory *ret_memory);

/* Close the descriptor; the mapping stays. */
void segment_memory_close_fd(struct segment_memory *memory);

/**
 * segment_memory_show() - show by a lock that a holder of the segment lives
 * @fd: of the same object, for reading alone: a write to it, by whatever mistake of the program,
 *	reaches nothing
 *
 * The lock is on byte @holder (F_OFD_SETLK). It goes with the descriptor, with the process, or
 * with exec(3). Nobody waits for it, and a daemon can do without: that it is not to be had is
 * no error.
 *
 * Return: 0; -EPROTO @fd is of something else, or for more.
 */
int segment_memory_show(const struct segment_memory *memory, int fd, uint32_t holder);

/* Unmap and close. NULL and SEGMENT_MEMORY_NULL are fine. */
void segment_memory_deinit(struct segment_memory *memory);

/* Before that, for who shares a process with others that map: unmap a piece of some MiB. Nobody looks
 * at any of it any more. Return: whether there is more. */
bool segment_memory_unmap_piece(struct segment_memory *memory);

#endif
