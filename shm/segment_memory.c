/* SPDX-License-Identifier: MIT */
#include "segment_memory.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "fd.h"
#include "mempool_protocol.h"

/* How long an object may be too short before that is not its maker's slowness: 1 s. */
#define OPEN_TRIES 100
#define OPEN_PAUSE_NS 10000000

/* Of whole pages, whatever their size is. */
#define LEAST_PIECE_BYTES UINT64_C(65536)

void segment_memory_deinit(struct segment_memory *memory)
{
	if (!memory)
		return;
	if (memory->base)
		munmap(memory->base, memory->size);
	segment_memory_close_fd(memory);
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

void segment_memory_close_fd(struct segment_memory *memory)
{
	if (memory->fd >= 0)
		close(memory->fd);
	memory->fd = -1;
}

/* The descriptor becomes ret_memory's, also on error. */
static int map(int fd, uint64_t size, enum segment_access access,
	       struct segment_memory *ret_memory)
{
	int protection = access == SEGMENT_READ_ONLY ? PROT_READ : PROT_READ | PROT_WRITE;
	struct stat st;
	void *base = MAP_FAILED;
	int r;

	if (fstat(fd, &st) == 0)
		base = mmap(NULL, (size_t)size, protection, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED) {
		/* By mmap(2), of more than may be locked. It would not do to try again. */
		r = errno == EAGAIN ? -ENOLCK : -errno;
		close(fd);
		return r;
	}
	*ret_memory = (struct segment_memory){
		.base = base,
		.size = size,
		.fd = fd,
		.access = access,
		.device = st.st_dev,
		.inode = st.st_ino,
	};
	return 0;
}

int segment_map_fd_part(int fd, uint64_t size, enum segment_access access,
			struct segment_memory *ret_memory)
{
	struct stat st;
	int r = 0;

	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (!S_ISREG(st.st_mode))
		r = -EBADF;
	else if (st.st_size == 0 || (uint64_t)st.st_size < size)
		r = -ENODATA;
	if (r < 0) {
		close(fd);
		return r;
	}
	return map(fd, size ? size : (uint64_t)st.st_size, access, ret_memory);
}

int segment_map_fd(int fd, enum segment_access access, struct segment_memory *ret_memory)
{
	return segment_map_fd_part(fd, 0, access, ret_memory);
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

static bool is_in_folder(const char *shm_name)
{
	return strrchr(shm_name, '/') != shm_name;
}

/* Of others' names, only what is on a hugetlbfs is looked at: nothing else belongs to us. */
static int open_in_folder(const char *path, int flags, mode_t mode)
{
	int fd = open(path, flags, mode), r = 0;
	struct statfs fs;

	if (fd < 0)
		return -errno;
	if (fstatfs(fd, &fs) < 0)
		r = -errno;
	else if (fs.f_type != HUGETLBFS_MAGIC)
		r = -EBADF;
	if (r == 0)
		return fd;
	if (flags & O_CREAT)
		unlink(path);
	close(fd);
	return r;
}

static int open_named(const char *shm_name, int flags, mode_t mode)
{
	int fd;

	if (is_in_folder(shm_name))
		return open_in_folder(shm_name, flags, mode);
	fd = shm_open(shm_name, flags, mode);
	return fd < 0 ? -errno : fd;
}

/* Never as 0 to 2: another thread may be printing, and 1 be closed. */
static int open_object(const char *shm_name, int flags, mode_t mode)
{
	struct fd_stdio_hold hold;
	int fd;

	fd_hold_stdio(&hold);
	fd = open_named(shm_name, flags, mode);
	fd_release_stdio(&hold);
	return fd;
}

static void unlink_object(const char *shm_name)
{
	if (is_in_folder(shm_name))
		unlink(shm_name);
	else
		shm_unlink(shm_name);
}

static int open_flags(enum segment_access access)
{
	/* O_NONBLOCK: somebody may have put a FIFO there, and opening one waits. */
	return O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC |
	       (access == SEGMENT_READ_ONLY ? O_RDONLY : O_RDWR);
}

int segment_map_part(const char *shm_name, uint64_t size, enum segment_access access,
		     struct segment_memory *ret_memory)
{
	int fd = open_object(shm_name, open_flags(access), 0);

	return fd < 0 ? fd : segment_map_fd_part(fd, size, access, ret_memory);
}

int segment_map(const char *shm_name, enum segment_access access,
		struct segment_memory *ret_memory)
{
	return segment_map_part(shm_name, 0, access, ret_memory);
}

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

/* ---- create ---- */

/* Asked first: filling the memory of the machine, only to fail, would hurt everyone on it. */
static int check_space(int fd, uint64_t size)
{
	struct statvfs fs;

	if (fstatvfs(fd, &fs) < 0)
		return -errno;
	/* A tmpfs without a limit says 0 blocks. */
	return fs.f_blocks != 0 && (size - 1) / fs.f_frsize >= fs.f_bavail ? -ENOSPC : 0;
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

/* Mapped before it has its space: a policy and a lock must be there when the pages come. */
static int take_pages(const struct segment_memory *memory, const struct pages *pages,
		      segment_progress_fn progress, void *userdata)
{
	int r = pages_prepare(pages, memory->base, memory->size);

	if (r < 0)
		return r;
	if (!pages_are_filled(pages))
		return segment_take_space(memory->fd, memory->size, progress, userdata);
	/* Filling takes the space, and in parallel, which posix_fallocate(3) cannot. */
	if (ftruncate(memory->fd, (off_t)memory->size) < 0)
		return -errno;
	r = pages_fill(pages, memory->base, memory->size, progress, userdata);
	/* Nobody else has it yet, so nobody truncated it. */
	return r == -EFAULT ? -ENOSPC : r;
}

static int set_permissions(int fd, const struct segment_permissions *perms)
{
	if (perms->group != (gid_t)-1 && fchown(fd, (uid_t)-1, perms->group) < 0)
		return -errno;
	/* After the chown, which may clear bits; fchmod minds no umask. */
	return fchmod(fd, perms->mode) < 0 ? -errno : 0;
}

int segment_create_fd(int fd, uint64_t size_bytes, const struct pages *pages,
		      segment_progress_fn progress, void *userdata,
		      struct segment_memory *ret_memory)
{
	uint64_t size = pages_round(pages, size_bytes);
	struct segment_memory memory = SEGMENT_MEMORY_NULL;
	int r;

	r = size == 0 || size > INT64_MAX ? -EINVAL : check_space(fd, size);
	if (r < 0)
		close(fd);
	else
		r = map(fd, size, SEGMENT_READ_WRITE, &memory);
	if (r == 0)
		r = take_pages(&memory, pages, progress, userdata);
	if (r < 0) {
		segment_memory_deinit(&memory);
		return r;
	}
	memory.created = true;
	*ret_memory = memory;
	return 0;
}

int segment_create_paged(const char *shm_name, uint64_t size_bytes,
			 const struct segment_permissions *perms, const struct pages *pages,
			 segment_progress_fn progress, void *userdata,
			 struct segment_memory *ret_memory)
{
	int fd, r;

	if (size_bytes == 0 || perms->mode & ~0777U)
		return -EINVAL;
	/* Mode 0600 until it is whole; O_EXCL: what we get is ours. */
	fd = open_object(shm_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return fd;
	r = segment_create_fd(fd, size_bytes, pages, progress, userdata, ret_memory);
	if (r == 0)
		r = set_permissions(ret_memory->fd, perms);
	if (r < 0) {
		segment_memory_deinit(ret_memory);
		unlink_object(shm_name);
	}
	return r;
}

/* Of ordinary pages. */
static int create_object(const char *shm_name, uint64_t size,
			 const struct segment_permissions *perms, segment_progress_fn progress,
			 void *userdata, struct segment_memory *ret_memory)
{
	static const struct pages ordinary = { .policy = PAGES_ANYWHERE };

	return segment_create_paged(shm_name, size, perms, &ordinary, progress, userdata,
				    ret_memory);
}

static int open_existing(const char *shm_name, uint64_t size, enum segment_access access,
			 struct segment_memory *ret_memory)
{
	int r = segment_map(shm_name, access, ret_memory);

	if (r == 0 && ret_memory->size < size) {
		segment_memory_deinit(ret_memory);
		r = -ENODATA;
	}
	return r;
}

/* Others may do the same at the same time: one creates it, all get that one. */
static int open_or_create(const char *shm_name, uint64_t size, enum segment_access access,
			  const struct segment_permissions *perms,
			  segment_progress_fn progress, void *userdata,
			  struct segment_memory *ret_memory)
{
	const struct timespec pause = { .tv_nsec = OPEN_PAUSE_NS };
	int r = -EEXIST;

	for (int i = 0; i < OPEN_TRIES && (r == -EEXIST || r == -ENODATA); i++) {
		/* Its maker is still taking its space. */
		if (r == -ENODATA)
			nanosleep(&pause, NULL);
		r = open_existing(shm_name, size, access, ret_memory);
		if (r == -ENOENT)
			r = create_object(shm_name, size, perms, progress, userdata,
					  ret_memory);
	}
	return r;
}

int segment_create(const char *shm_name, uint64_t size_bytes, enum segment_access access,
		   enum segment_open_mode open_mode, const struct segment_permissions *perms,
		   segment_progress_fn progress, void *userdata,
		   struct segment_memory *ret_memory)
{
	if (size_bytes == 0 || size_bytes > INT64_MAX || (perms->mode & ~0777U))
		return -EINVAL;
	/* Who creates must be able to lay it out. */
	if (access == SEGMENT_READ_ONLY && open_mode != SEGMENT_OPEN)
		return -EINVAL;

	switch (open_mode) {
	case SEGMENT_OPEN:
		return open_existing(shm_name, size_bytes, access, ret_memory);
	case SEGMENT_PURGE_AND_CREATE:
		if (shm_unlink(shm_name) < 0 && errno != ENOENT)
			return -errno;
		break;
	case SEGMENT_CREATE:
		break;
	case SEGMENT_OPEN_OR_CREATE:
		return open_or_create(shm_name, size_bytes, access, perms, progress, userdata,
				      ret_memory);
	}
	return create_object(shm_name, size_bytes, perms, progress, userdata, ret_memory);
}
