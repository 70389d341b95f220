/* SPDX-License-Identifier: MIT */
#include "daemon/base/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77			/* Linux 6.5 */
#endif
#ifndef PID_FS_MAGIC
#define PID_FS_MAGIC 0x50494446		/* Linux 6.9 */
#endif

bool process_has_ended(int pidfd)
{
	struct pollfd poll_fd = { .fd = pidfd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) > 0;
}

/* Before Linux 6.9 all pidfds are one inode. */
uint64_t process_inode(int pidfd)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(pidfd, &fs) < 0 || fs.f_type != PID_FS_MAGIC || fstat(pidfd, &st) < 0)
		return 0;
	return st.st_ino;
}

/*
 * The offset of a time namespace need not be whole ticks, so that the same start may be told
 * a tick apart. No pid is used again within two ticks of its start.
 */
static bool same_start(uint64_t a, uint64_t b)
{
	return a - b + 1 <= 2;
}

bool process_is(const struct process *a, const struct process *b)
{
	if (a->inode != 0 && b->inode != 0)
		return a->inode == b->inode && origin_same_boot(&a->origin, &b->origin);
	return a->pid == b->pid && same_start(a->start_time, b->start_time) &&
	       origin_compares(&a->origin, &b->origin);
}

/* A living pid: is it the process of the record? */
static bool is_that_one(const struct process *process, int pidfd)
{
	uint64_t inode = process_inode(pidfd);
	uint64_t start_time;

	if (inode != 0 && process->inode != 0)
		return inode == process->inode;
	/* Never looked up, or hidden from us: it may be. */
	return process->start_time == 0 || origin_start_time(process->pid, &start_time) < 0 ||
	       same_start(start_time, process->start_time);
}

/* Container profiles of old refuse pidfd_open(2); others say what there is none of just now. */
static bool is_refused(int error)
{
	return error != ESRCH && error != EMFILE && error != ENFILE && error != ENOMEM;
}

/* Then only asking again and again is left. Hidden from us, the pid may be another's by now. */
static int look_without_pidfd(const struct process *process, int error)
{
	uint64_t start_time;
	bool is_zombie;
	int r;

	if (kill(process->pid, 0) < 0 && errno == ESRCH)
		return -ESRCH;
	r = origin_look(process->pid, &start_time, &is_zombie);
	if (r < 0)
		return r == -ESRCH || r == -EPERM || r == -EACCES ? -EXDEV : r;
	if (is_zombie || (process->start_time != 0 && !same_start(start_time, process->start_time)))
		return -ESRCH;
	return -error;
}

/* A pid of our own origin. */
static int open_comparable(const struct process *process, int *ret_pidfd)
{
	int fd = (int)syscall(SYS_pidfd_open, process->pid, 0);

	if (fd < 0)
		return is_refused(errno) ? look_without_pidfd(process, errno) : -errno;
	/* Alive after the look at what it is: then that is what it was. */
	if (!is_that_one(process, fd) || process_has_ended(fd)) {
		close(fd);
		return -ESRCH;
	}
	*ret_pidfd = fd;
	return 0;
}

/* A pid of another namespace of this boot: the inode can say that it is there. */
static int open_foreign(const struct process *process, int *ret_pidfd)
{
	int fd = process->inode ? (int)syscall(SYS_pidfd_open, process->pid, 0) : -1;

	if (fd < 0)
		return -EXDEV;
	if (process_inode(fd) != process->inode) {
		close(fd);
		return -EXDEV;
	}
	*ret_pidfd = fd;
	return 0;
}

int process_open(const struct process *process, const struct origin *origin, int *ret_pidfd)
{
	if (process->pid <= 0 || !origin_same_boot(&process->origin, origin))
		return -EXDEV;
	if (!origin_compares(&process->origin, origin))
		return open_foreign(process, ret_pidfd);
	return open_comparable(process, ret_pidfd);
}

int process_open_peer(int socket_fd, pid_t pid, const struct origin *origin, int *ret_pidfd,
		      struct process *ret_process)
{
	struct process process = { .pid = pid, .origin = *origin };
	socklen_t size = sizeof(int);
	bool is_zombie;
	int fd = -1, r;

	if (getsockopt(socket_fd, SOL_SOCKET, SO_PEERPIDFD, &fd, &size) < 0) {
		if (errno != ENOPROTOOPT)
			return errno == EINVAL || errno == ENODATA ? -ESRCH : -errno;
		if (pid <= 0)
			return -EXDEV;
		/* An older kernel: by number, a moment later. */
		fd = (int)syscall(SYS_pidfd_open, pid, 0);
		if (fd < 0 && !is_refused(errno))
			return -errno;
	}
	process.inode = fd < 0 ? 0 : process_inode(fd);
	if (process.inode != 0)
		r = 0;
	else
		r = pid <= 0 ? -EXDEV : origin_look(pid, &process.start_time, &is_zombie);
	if (r == 0 && (fd < 0 ? is_zombie : process_has_ended(fd)))
		r = -ESRCH;
	if (r < 0) {
		if (fd >= 0)
			close(fd);
		return r;
	}
	*ret_pidfd = fd;
	*ret_process = process;
	return 0;
}

bool process_look_up(struct process *process, int pidfd)
{
	uint64_t start_time;

	if (process->start_time != 0 || origin_start_time(process->pid, &start_time) < 0)
		return false;
	/* Alive after the look: then that was its own. */
	if (process_has_ended(pidfd))
		return false;
	process->start_time = start_time;
	return true;
}
