/* SPDX-License-Identifier: MIT */
#include "segment_memory.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "fd.h"
#include "mempool_protocol.h"

/* How long an object may be too short before that is not its maker's slowness: 1 s. */
#define OPEN_TRIES 100
#define OPEN_PAUSE_NS 10000000

#define NAME_BYTES (MEMPOOL_SHM_NAME_BYTES + 8)

/* Of whole pages, whatever their size is. */
#define LEAST_PIECE_BYTES UINT64_C(65536)

void segment_memory_deinit(struct segment_memory *memory)
{
	if (!memory)
		return;
	/* One call takes both objects, and what lies between them. */
	if (memory->base)
		munmap(memory->base, memory->size);
	segment_memory_close_fds(memory);
	free(memory->plan);
	*memory = SEGMENT_MEMORY_NULL;
}

bool segment_memory_unmap_piece(struct segment_memory *memory)
{
	uint64_t piece = memory->size % PAGES_PIECE_BYTES;

	if (!memory->base)
		return false;
	if (piece == 0)
		piece = PAGES_PIECE_BYTES;
	/* From its end. Of huge pages that are larger than a piece there are few: all at once. */
	if (piece == memory->size ||
	    munmap((unsigned char *)memory->base + memory->size - piece, piece) < 0) {
		munmap(memory->base, memory->size);
		memory->base = NULL;
		return false;
	}
	memory->size -= piece;
	return true;
}

void segment_fds_close(struct segment_fds fds)
{
	if (fds.control >= 0)
		close(fds.control);
	if (fds.data >= 0)
		close(fds.data);
}

void segment_memory_close_fds(struct segment_memory *memory)
{
	segment_fds_close(segment_memory_fds(memory));
	memory->fd = memory->data_fd = -1;
}

/* ---- map ---- */

/*
 * A range of addresses that is ours, at a multiple of align, with nothing there. A process that
 * locks all its memory counts it as if there were; so it says at once that there is nothing to lock.
 */
static int reserve(uint64_t size, uint64_t align, unsigned char **ret_base)
{
	uint64_t slack = align - (uint64_t)sysconf(_SC_PAGESIZE), skipped;
	unsigned char *base = mmap(NULL, size + slack, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		return -errno;
	munlock(base, size + slack);
	skipped = -(uintptr_t)base & (align - 1);
	if (skipped > 0)
		munmap(base, skipped);
	if (slack > skipped)
		munmap(base + skipped + size, slack - skipped);
	*ret_base = base + skipped;
	return 0;
}

/* A part of that range: one object, all of it. */
struct part {
	int fd;
	enum segment_access access;
	uint64_t off;
	uint64_t bytes;
};

/*
 * A mmap(2) with MAP_FIXED that fails may have unmapped what was there (before Linux 6.12, where
 * a huge page is missing, say), and another thread may have mapped something of its own there since:
 * that is not ours to unmap. If the place is empty, it is ours again. If it is not, and the failure is
 * one of those that the kernel finds before it unmaps, it is what we have reserved. Else it may be
 * either: it stays, at worst addresses without memory.
 */
static bool is_still_ours(unsigned char *at, uint64_t bytes, int error)
{
	void *again = mmap(at, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
						 MAP_FIXED_NOREPLACE, -1, 0);

	if (again == at)
		return true;
	if (again != MAP_FAILED)
		munmap(again, bytes);
	return error != -ENOMEM && error != -EPERM;
}

/* Give back a range that is held, but for the place of a part that may be held no more. */
static void unmap_around(unsigned char *base, uint64_t size, const struct part *failed, int error)
{
	uint64_t end = failed->off + failed->bytes;

	if (is_still_ours(base + failed->off, failed->bytes, error)) {
		munmap(base, size);
		return;
	}
	if (failed->off > 0)
		munmap(base, failed->off);
	if (end < size)
		munmap(base + end, size - end);
}

static int map_part(unsigned char *base, const struct part *part)
{
	int protection = part->access == SEGMENT_READ_ONLY ? PROT_READ : PROT_READ | PROT_WRITE;

	return mmap(base + part->off, part->bytes, protection, MAP_SHARED | MAP_FIXED, part->fd,
		    0) == MAP_FAILED ? -errno : 0;
}

static int map_range(const struct geometry *plan, struct segment_fds fds,
		     enum segment_access access, enum segment_access data_access,
		     unsigned char **ret_base)
{
	const struct part parts[] = {
		{ fds.control, access, 0, plan->control_bytes },
		{ fds.data, data_access, plan->data_off, plan->data_bytes },
	};
	const size_t n_parts = fds.data >= 0 ? 2 : 1;
	unsigned char *base = NULL;
	int r = reserve(plan->total_size, plan->data_align, &base);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n_parts; i++) {
		r = map_part(base, &parts[i]);
		if (r < 0) {
			unmap_around(base, plan->total_size, &parts[i], r);
			return r;
		}
	}
	*ret_base = base;
	return 0;
}

/*
 * Whatever size the objects have; st is of control. The descriptors stay the caller's on error.
 */
static int map(struct segment_fds fds, const struct stat *st, const struct geometry *geometry,
	       enum segment_access access, enum segment_access data_access,
	       struct segment_memory *ret_memory)
{
	struct segment_memory memory = {
		.size = geometry->total_size,
		.fd = -1,
		.data_fd = -1,
		.access = access,
	};
	unsigned char *base = NULL;
	int r;

	/* The kernel maps whole pages: of smaller ones the last would reach beyond the range. */
	if (geometry->page_bytes % (uint64_t)sysconf(_SC_PAGESIZE) != 0)
		return -EINVAL;
	memory.plan = malloc(sizeof(*memory.plan));
	if (!memory.plan)
		return -ENOMEM;
	*memory.plan = *geometry;
	r = map_range(geometry, fds, access, data_access, &base);
	memory.base = base;
	if (r < 0) {
		segment_memory_deinit(&memory);
		/* By mmap(2), of more than may be locked. It would not do to try again. */
		return r == -EAGAIN ? -ENOLCK : r;
	}
	memory.fd = fds.control;
	memory.data_fd = fds.data;
	memory.device = st->st_dev;
	memory.inode = st->st_ino;
	*ret_memory = memory;
	return 0;
}

static int check_size(int fd, uint64_t size, struct stat *ret_st)
{
	if (fstat(fd, ret_st) < 0)
		return -errno;
	if (!S_ISREG(ret_st->st_mode))
		return -EBADF;
	return (uint64_t)ret_st->st_size < size ? -ENODATA : 0;
}

int segment_map_fds(struct segment_fds fds, const struct geometry *geometry,
		    enum segment_access access, enum segment_access data_access,
		    struct segment_memory *ret_memory)
{
	struct stat control, data;
	int r = check_size(fds.control, geometry->control_bytes, &control);

	if (r == 0 && fds.data >= 0)
		r = check_size(fds.data, geometry->data_bytes, &data);
	if (r == 0)
		r = map(fds, &control, geometry, access, data_access, ret_memory);
	if (r < 0)
		segment_fds_close(fds);
	return r;
}

/* ---- names ---- */

bool segment_name_is_valid(const char *shm_name)
{
	const char *last = strrchr(shm_name, '/');

	if (shm_name[0] != '/' ||
	    strncmp(last, MEMPOOL_SHM_PREFIX, strlen(MEMPOOL_SHM_PREFIX)) != 0)
		return false;
	for (const char *c = shm_name; c < last; c++)
		if (!isgraph((unsigned char)*c))
			return false;
	for (const char *c = last + 1; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("_-.", *c))
			return false;
	return true;
}

/* The name of the other object. Return: 0 or -ENAMETOOLONG. */
static int name_data(const char *shm_name, char ret_name[static NAME_BYTES])
{
	int n = snprintf(ret_name, NAME_BYTES, "%s%s", shm_name, MEMPOOL_SHM_DATA_SUFFIX);

	return n < NAME_BYTES ? 0 : -ENAMETOOLONG;
}

/* Never as 0 to 2: another thread may be printing, and 1 be closed. */
static int open_object(const char *shm_name, int flags, mode_t mode)
{
	struct fd_stdio_hold hold;
	int fd;

	fd_hold_stdio(&hold);
	fd = shm_open(shm_name, flags, mode);
	if (fd < 0)
		fd = -errno;
	fd_release_stdio(&hold);
	return fd;
}

int segment_open_object(const char *shm_name, enum segment_access access)
{
	/* O_NONBLOCK: somebody may have put a FIFO there, and opening one waits. */
	return open_object(shm_name, O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC |
			   (access == SEGMENT_READ_ONLY ? O_RDONLY : O_RDWR), 0);
}

int segment_open_data(const char *shm_name, enum segment_access access)
{
	char data_name[NAME_BYTES];
	int r = name_data(shm_name, data_name);

	return r < 0 ? r : segment_open_object(data_name, access);
}

int segment_unlink(const char *shm_name)
{
	char data_name[NAME_BYTES];
	int r = name_data(shm_name, data_name);

	/* Data first: nobody makes either anew before control is gone. */
	if (r == 0 && shm_unlink(data_name) < 0 && errno != ENOENT)
		r = -errno;
	if (r == 0 && shm_unlink(shm_name) < 0)
		r = -errno;
	return r;
}

/* ---- lock ---- */

int segment_memory_show(const struct segment_memory *memory, int fd, uint32_t holder)
{
	struct flock lock = {
		.l_type = F_RDLCK,
		.l_whence = SEEK_SET,
		.l_start = holder,
		.l_len = 1,
	};
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_dev != memory->device || st.st_ino != memory->inode ||
	    (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY)
		return -EPROTO;
	fcntl(fd, F_OFD_SETLK, &lock);
	return 0;
}

bool segment_memory_is_sealed(int fd)
{
	const int size = F_SEAL_SHRINK | F_SEAL_GROW;
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & size) == size;
}

/* ---- space ---- */

/* Asked first: filling the memory of the machine, only to fail, would hurt everyone on it. */
static int check_space(int fd, uint64_t size)
{
	struct statvfs fs;

	if (fstatvfs(fd, &fs) < 0)
		return -errno;
	/* A tmpfs without a limit says 0 blocks. */
	return fs.f_blocks != 0 && (size - 1) / fs.f_frsize >= fs.f_bavail ? -ENOSPC : 0;
}

static int check_spaces(struct segment_fds fds, const struct geometry *geometry,
			struct stat *ret_control)
{
	struct stat data;
	int r;

	if (fstat(fds.control, ret_control) < 0 || fstat(fds.data, &data) < 0)
		return -errno;
	if (ret_control->st_dev == data.st_dev)
		return check_space(fds.data, geometry->control_bytes + geometry->data_bytes);
	r = check_space(fds.control, geometry->control_bytes);
	return r < 0 ? r : check_space(fds.data, geometry->data_bytes);
}

/*
 * In pieces, so that taking many GiB can be followed and a watchdog fed. A signal makes the
 * kernel give a piece back that it is about to have: the next one is half as large, so that
 * some is had between two signals, however often they come.
 */
int segment_take_space(int fd, uint64_t size, segment_progress_fn progress, void *userdata)
{
	uint64_t most = PAGES_PIECE_BYTES;

	for (uint64_t done = 0; done < size;) {
		uint64_t piece = size - done < most ? size - done : most;
		int r = posix_fallocate(fd, (off_t)done, (off_t)piece);

		if (r == EINTR) {
			most = most / 2 > LEAST_PIECE_BYTES ? most / 2 : LEAST_PIECE_BYTES;
			continue;
		}
		if (r != 0)
			return -r;
		done += piece;
		most = most < PAGES_PIECE_BYTES ? most * 2 : most;
		if (progress && !progress(done, size, userdata))
			return -ECANCELED;
	}
	return 0;
}

/* Of one object, when both are to be done. */
struct share {
	segment_progress_fn progress;
	void *userdata;
	uint64_t before_bytes;
	uint64_t total_bytes;
};

static bool share_progress(uint64_t done_bytes, uint64_t total_bytes, void *userdata)
{
	const struct share *share = userdata;

	(void)total_bytes;
	return !share->progress ||
	       share->progress(share->before_bytes + done_bytes, share->total_bytes,
			       share->userdata);
}

/* Control last: an object that is long enough has another that is, too. */
static int take_spaces(const struct segment_memory *memory, segment_progress_fn progress,
		       void *userdata)
{
	const uint64_t control_bytes = memory->plan->control_bytes;
	const uint64_t data_bytes = memory->plan->data_bytes;
	struct share share = {
		.progress = progress,
		.userdata = userdata,
		.total_bytes = control_bytes + data_bytes,
	};
	int r = segment_take_space(memory->data_fd, data_bytes, share_progress, &share);

	share.before_bytes = data_bytes;
	return r < 0 ? r : segment_take_space(memory->fd, control_bytes, share_progress, &share);
}

/* ---- pages ---- */

static struct pages_range control_of(const struct segment_memory *memory)
{
	return (struct pages_range){ memory->base, memory->plan->control_bytes };
}

static struct pages_range data_of(const struct segment_memory *memory)
{
	return (struct pages_range){
		(unsigned char *)memory->base + memory->plan->data_off, memory->plan->data_bytes
	};
}

static int each_object(const struct segment_memory *memory, const struct pages *pages,
		       int (*fn)(const struct pages *pages, void *base, uint64_t size_bytes))
{
	/* Huge pages and nodes are for data alone. */
	const struct pages plain = { .prefault = pages->prefault, .lock = pages->lock };
	const struct pages_range control = control_of(memory), data = data_of(memory);
	int r = fn(&plain, control.base, control.bytes);

	return r < 0 ? r : fn(pages, data.base, data.bytes);
}

int segment_memory_lock(const struct segment_memory *memory, const struct pages *pages)
{
	return each_object(memory, pages, pages_lock);
}

int segment_memory_fill(const struct segment_memory *memory, const struct pages *pages,
			segment_progress_fn progress, void *userdata)
{
	const struct pages_range ranges[] = { control_of(memory), data_of(memory) };

	return pages_fill(pages, ranges, 2, progress, userdata);
}

/* Mapped before it has its space: a policy and a lock must be there when the pages come. */
static int take_pages(const struct segment_memory *memory, const struct pages *pages,
		      segment_progress_fn progress, void *userdata)
{
	int r = each_object(memory, pages, pages_prepare);

	if (r < 0)
		return r;
	if (!pages_are_filled(pages))
		return take_spaces(memory, progress, userdata);
	/* Filling takes the space, and in parallel, which posix_fallocate(3) cannot. */
	if (ftruncate(memory->data_fd, (off_t)memory->plan->data_bytes) < 0 ||
	    ftruncate(memory->fd, (off_t)memory->plan->control_bytes) < 0)
		return -errno;
	r = segment_memory_fill(memory, pages, progress, userdata);
	/* Nobody else has it yet, so nobody truncated it. */
	return r == -EFAULT ? -ENOSPC : r;
}

/* ---- create ---- */

int segment_create_fds(struct segment_fds fds, const struct geometry *geometry,
		       const struct pages *pages, segment_progress_fn progress, void *userdata,
		       struct segment_memory *ret_memory)
{
	struct segment_memory memory = SEGMENT_MEMORY_NULL;
	struct stat control;
	int r = check_spaces(fds, geometry, &control);

	if (r == 0)
		r = map(fds, &control, geometry, SEGMENT_READ_WRITE, SEGMENT_READ_WRITE, &memory);
	if (r < 0) {
		segment_fds_close(fds);
		return r;
	}
	r = take_pages(&memory, pages, progress, userdata);
	if (r < 0) {
		segment_memory_deinit(&memory);
		return r;
	}
	memory.created = true;
	*ret_memory = memory;
	return 0;
}

static int set_permissions(int fd, const struct segment_permissions *perms)
{
	if (perms->group != (gid_t)-1 && fchown(fd, (uid_t)-1, perms->group) < 0)
		return -errno;
	/* After the chown, which may clear bits; fchmod minds no umask. */
	return fchmod(fd, perms->mode) < 0 ? -errno : 0;
}

/* Mode 0600 until they are whole; O_EXCL: what we get is ours. */
static int create_names(const char *shm_name, struct segment_fds *ret_fds)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
	char data_name[NAME_BYTES];
	struct segment_fds fds;
	int r = name_data(shm_name, data_name);

	if (r < 0)
		return r;
	fds.control = open_object(shm_name, flags, 0600);
	if (fds.control < 0)
		return fds.control;
	fds.data = open_object(data_name, flags, 0600);
	if (fds.data < 0) {
		shm_unlink(shm_name);
		close(fds.control);
		return fds.data;
	}
	*ret_fds = fds;
	return 0;
}

static int create_objects(const char *shm_name, const struct geometry *geometry,
			  const struct segment_permissions *perms, segment_progress_fn progress,
			  void *userdata, struct segment_memory *ret_memory)
{
	static const struct pages ordinary = { .policy = PAGES_ANYWHERE };
	struct segment_fds fds;
	int r = create_names(shm_name, &fds);

	if (r < 0)
		return r;
	r = segment_create_fds(fds, geometry, &ordinary, progress, userdata, ret_memory);
	if (r == 0) {
		r = set_permissions(ret_memory->data_fd, perms);
		if (r == 0)
			r = set_permissions(ret_memory->fd, perms);
		if (r < 0)
			segment_memory_deinit(ret_memory);
	}
	if (r < 0)
		segment_unlink(shm_name);
	return r;
}

/* Who takes the names of an object may be at it, or has taken that of data first. */
static int open_existing(const char *shm_name, const struct geometry *geometry,
			 enum segment_access access, struct segment_memory *ret_memory)
{
	struct segment_fds fds = { .control = segment_open_object(shm_name, access) };

	if (fds.control < 0)
		return fds.control;
	fds.data = segment_open_data(shm_name, access);
	if (fds.data < 0) {
		close(fds.control);
		return fds.data == -ENOENT ? -ENODATA : fds.data;
	}
	return segment_map_fds(fds, geometry, access, access, ret_memory);
}

/* Others may do the same at the same time: one creates it, all get that one. */
static int open_or_create(const char *shm_name, const struct geometry *geometry,
			  enum segment_access access, const struct segment_permissions *perms,
			  segment_progress_fn progress, void *userdata,
			  struct segment_memory *ret_memory)
{
	const struct timespec pause = { .tv_nsec = OPEN_PAUSE_NS };
	int r = -EEXIST;

	for (int i = 0; i < OPEN_TRIES && (r == -EEXIST || r == -ENODATA); i++) {
		/* Its maker is still taking its space. */
		if (r == -ENODATA)
			nanosleep(&pause, NULL);
		r = open_existing(shm_name, geometry, access, ret_memory);
		if (r == -ENOENT)
			r = create_objects(shm_name, geometry, perms, progress, userdata,
					   ret_memory);
	}
	return r;
}

int segment_create(const char *shm_name, const struct config *config, enum segment_access access,
		   enum segment_open_mode open_mode, const struct segment_permissions *perms,
		   segment_progress_fn progress, void *userdata,
		   struct segment_memory *ret_memory)
{
	struct geometry geometry;
	int r;

	if (perms->mode & ~0777U)
		return -EINVAL;
	/* Who creates must be able to lay it out. */
	if (access == SEGMENT_READ_ONLY && open_mode != SEGMENT_OPEN)
		return -EINVAL;
	r = geometry_init(&geometry, config);
	if (r < 0)
		return r;

	switch (open_mode) {
	case SEGMENT_OPEN:
		return open_existing(shm_name, &geometry, access, ret_memory);
	case SEGMENT_PURGE_AND_CREATE:
		r = segment_unlink(shm_name);
		if (r < 0 && r != -ENOENT)
			return r;
		break;
	case SEGMENT_CREATE:
		break;
	case SEGMENT_OPEN_OR_CREATE:
		return open_or_create(shm_name, &geometry, access, perms, progress, userdata,
				      ret_memory);
	}
	return create_objects(shm_name, &geometry, perms, progress, userdata, ret_memory);
}
