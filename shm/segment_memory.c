/* SPDX-License-Identifier: MIT */
#include "segment_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define SPACE_PIECE_BYTES (UINT64_C(64) << 20)

/* How long an object may be too short before that is not its maker's slowness: 1 s. */
#define OPEN_TRIES 100
#define OPEN_PAUSE_NS 10000000

void segment_memory_deinit(struct segment_memory *memory)
{
	if (!memory)
		return;
	if (memory->base)
		munmap(memory->base, memory->size);
	if (memory->fd >= 0)
		close(memory->fd);
	*memory = SEGMENT_MEMORY_NULL;
}

int segment_map_fd(int fd, enum segment_access access, struct segment_memory *ret_memory)
{
	int protection = access == SEGMENT_READ_ONLY ? PROT_READ : PROT_READ | PROT_WRITE;
	struct stat st;
	void *base;
	int r;

	if (fstat(fd, &st) < 0)
		goto failed;
	if (!S_ISREG(st.st_mode)) {
		errno = EBADF;
		goto failed;
	}
	if (st.st_size == 0) {
		errno = ENODATA;
		goto failed;
	}
	base = mmap(NULL, (size_t)st.st_size, protection, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		goto failed;

	*ret_memory = (struct segment_memory){
		.base = base,
		.size = (uint64_t)st.st_size,
		.fd = fd,
		.access = access,
		.device = st.st_dev,
		.inode = st.st_ino,
	};
	return 0;

failed:
	r = -errno;
	close(fd);
	return r;
}

static int open_flags(enum segment_access access)
{
	/* O_NONBLOCK: somebody may have put a FIFO there, and opening one waits. */
	return O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC |
	       (access == SEGMENT_READ_ONLY ? O_RDONLY : O_RDWR);
}

int segment_map(const char *shm_name, enum segment_access access,
		struct segment_memory *ret_memory)
{
	int fd = shm_open(shm_name, open_flags(access), 0);

	return fd < 0 ? -errno : segment_map_fd(fd, access, ret_memory);
}

/* Asked first: filling the memory of the machine, only to fail, would hurt everyone on it. */
static int check_space(int fd, uint64_t size)
{
	struct statvfs fs;

	if (fstatvfs(fd, &fs) < 0)
		return -errno;
	/* A tmpfs without a limit says 0 blocks. */
	return fs.f_blocks != 0 && (size - 1) / fs.f_frsize >= fs.f_bavail ? -ENOSPC : 0;
}

/* In pieces, so that taking many GiB can be followed and a watchdog fed. */
static int take_space(int fd, uint64_t size, segment_progress_fn progress, void *userdata)
{
	for (uint64_t done = 0; done < size;) {
		uint64_t piece = size - done < SPACE_PIECE_BYTES ? size - done
								 : SPACE_PIECE_BYTES;
		int r;

		do {
			r = posix_fallocate(fd, (off_t)done, (off_t)piece);
		} while (r == EINTR);
		if (r != 0)
			return -r;
		done += piece;
		if (progress && !progress(done, size, userdata))
			return -ECANCELED;
	}
	return 0;
}

static int create_object(const char *shm_name, uint64_t size,
			 const struct segment_permissions *perms, segment_progress_fn progress,
			 void *userdata, struct segment_memory *ret_memory)
{
	int fd, r;

	/* Mode 0600 until it is whole; O_EXCL: what we get is ours. */
	fd = shm_open(shm_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;

	r = check_space(fd, size);
	if (r == 0)
		r = take_space(fd, size, progress, userdata);
	if (r == 0 && perms->group != (gid_t)-1 && fchown(fd, (uid_t)-1, perms->group) < 0)
		r = -errno;
	/* After the chown, which may clear bits; fchmod minds no umask. */
	if (r == 0 && fchmod(fd, perms->mode) < 0)
		r = -errno;
	if (r < 0)
		close(fd);
	else
		r = segment_map_fd(fd, SEGMENT_READ_WRITE, ret_memory);

	if (r < 0)
		shm_unlink(shm_name);
	else
		ret_memory->created = true;
	return r;
}

static int open_object(const char *shm_name, uint64_t size, enum segment_access access,
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
		r = open_object(shm_name, size, access, ret_memory);
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
		return open_object(shm_name, size_bytes, access, ret_memory);
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
