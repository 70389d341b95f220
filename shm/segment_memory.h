/* SPDX-License-Identifier: MIT */
/*
 * segment_memory.h - the two objects under a segment: made, opened, mapped side by side
 *
 *	control		header, tables, index memory, ChunkManagers, rings
 *	data		the chunks of the data pools
 *
 * It knows of names, sizes, space and permissions, and where both belong (geometry.h); what
 * stands in them is segment.h. They are mapped into one range of addresses, so whoever has its base
 * finds everything where the geometry says. Whoever creates them takes all of
 * their space, so that nobody meets a SIGBUS later.
 *
 *	/mempool-NAME...	control, for shm_open(3)
 *	/mempool-NAME....data	data; a daemon may have it in another folder
 */
#ifndef SHM_SEGMENT_MEMORY_H
#define SHM_SEGMENT_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "geometry.h"
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

/* What its objects are. */
enum segment_backing {
	SEGMENT_SHM,			/* files with names */
	SEGMENT_MEMFD,			/* without, and sealed: nobody can truncate them */
};

struct segment_permissions {
	mode_t mode;			/* of the object, regardless of the umask */
	gid_t group;			/* (gid_t)-1: leave it */
};

/* Both objects, open. data may be -1 where control is mapped alone. */
struct segment_fds {
	int control;
	int data;
};

#define SEGMENT_FDS_NULL ((struct segment_fds){ .control = -1, .data = -1 })

/* Close those that are open. */
void segment_fds_close(struct segment_fds fds);

/* What is mapped; base is NULL when there is nothing. */
struct segment_memory {
	void *base;
	uint64_t size;			/* of the range of addresses */
	struct geometry *plan;		/* of what is mapped there; NULL: memory without holes */
	int fd;				/* of control */
	int data_fd;
	enum segment_access access;	/* to control */
	bool created;			/* by this call: it is zeroed and needs a layout */
	dev_t device;			/* of control */
	ino_t inode;
};
#define SEGMENT_MEMORY_NULL ((struct segment_memory){ .fd = -1, .data_fd = -1 })

/* Its descriptors, which it keeps. */
static inline struct segment_fds segment_memory_fds(const struct segment_memory *memory)
{
	return (struct segment_fds){ .control = memory->fd, .data = memory->data_fd };
}

/**
 * segment_create() - the objects for a segment of some shape, mapped
 * @shm_name: of control, as for shm_open(3); data has ".data" behind it
 * @config:   the shape
 * @perms:    of new objects
 * @progress: NULL, or called after each piece of space taken
 *
 * The space is taken here (posix_fallocate), so that a full /dev/shm is an error now and
 * never a SIGBUS later. New objects are given their group and mode only after that.
 * Of several that open or create at the same time, one creates.
 *
 * Crash:  both names are left, and control is too short for as long as data is.
 * Return: 0; -EEXIST, -ENOENT, -EACCES as open(2); -ENOSPC no room, -ECANCELED as @progress
 *         said (nothing is left behind); -ENODATA an existing object is too short, or that of
 *         data is missing (SEGMENT_OPEN_OR_CREATE: and still is after a second, so that nobody
 *         is making it); -EINVAL, -EOVERFLOW as geometry_init(); -ENOMEM.
 */
int segment_create(const char *shm_name, const struct config *config, enum segment_access access,
		   enum segment_open_mode open_mode, const struct segment_permissions *perms,
		   segment_progress_fn progress, void *userdata,
		   struct segment_memory *ret_memory);

/**
 * segment_create_fds() - the same of objects that are open, and empty
 * @fds:   become ret_memory's, also on error
 * @pages: of huge ones, data is on a hugetlbfs of that size, and data_align a multiple of it
 *
 * Huge pages and nodes are for data alone. Of huge pages none is taken before all are promised
 * to this object.
 *
 * Return: as segment_create(), and as pages_prepare() and pages_fill(); -ENOMEM also if there
 *	   are not so many huge pages.
 */
int segment_create_fds(struct segment_fds fds, const struct geometry *geometry,
		       const struct pages *pages, segment_progress_fn progress, void *userdata,
		       struct segment_memory *ret_memory);

/* Take the space of an empty file. Return: 0; -ECANCELED as @progress said; -ENOSPC, -errno. */
int segment_take_space(int fd, uint64_t size_bytes, segment_progress_fn progress, void *userdata);

/*
 * Whether that can be an object's name as a daemon tells it: of one of the forms above, with
 * nothing in it that a terminal would obey.
 */
bool segment_name_is_valid(const char *shm_name);

/**
 * segment_map_fds() - map objects that are there, whatever they hold
 * @fds:	 become ret_memory's, also on error; without data, control is mapped alone, and
 *		 nothing is where the chunks would be
 * @access:	 to control
 * @data_access: to data
 *
 * Whoever may write an object can make it longer: no more is mapped than the geometry has.
 *
 * Return: 0; -ENODATA an object is shorter; -EBADF no regular file; -EACCES it was not opened for
 *	   that; -ENOLCK the process locks its memory, and may not lock as much (EAGAIN of mmap(2));
 *	   -EINVAL data does not begin at a page of this kernel, or of the object; -ENOMEM; -errno.
 */
int segment_map_fds(struct segment_fds fds, const struct geometry *geometry,
		    enum segment_access access, enum segment_access data_access,
		    struct segment_memory *ret_memory);

/* Open one of them by the name of control. Return: a descriptor above 2, or -errno of open(2). */
int segment_open_object(const char *shm_name, enum segment_access access);
int segment_open_data(const char *shm_name, enum segment_access access);

/* Unlink both names. Return: 0 or -errno of unlink(2) of control. */
int segment_unlink(const char *shm_name);

/* Close the descriptors; the mapping stays. */
void segment_memory_close_fds(struct segment_memory *memory);

/* Lock, and bring in, what is mapped. Return: as pages_lock() and pages_fill(). */
int segment_memory_lock(const struct segment_memory *memory, const struct pages *pages);
int segment_memory_fill(const struct segment_memory *memory, const struct pages *pages,
			segment_progress_fn progress, void *userdata);

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

/* Whether an object is a memfd whose size is sealed. It is in no folder, so who has it is given it. */
bool segment_memory_is_sealed(int fd);

/* Unmap and close. NULL and SEGMENT_MEMORY_NULL are fine. */
void segment_memory_deinit(struct segment_memory *memory);

/* Before that, for who shares a process with others that map: unmap a piece of some MiB. Nobody looks
 * at any of it any more. Return: whether there is more. */
bool segment_memory_unmap_piece(struct segment_memory *memory);

#endif
