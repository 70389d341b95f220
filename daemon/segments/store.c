/* SPDX-License-Identifier: MIT */
#include "daemon/segments/store.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "mempool_protocol.h"

#define STORE_FOLDER "/dev/shm"
#define STORE_PREFIX (&MEMPOOL_SHM_PREFIX[1])	/* as a file name */
#define STORE_LOCK_TRIES 16
#define STORE_MAX_FOLDERS 32		/* mounts of huge pages; more are not looked into */

static_assert(sizeof(MEMPOOL_SHM_PREFIX) - 1 + MEMPOOL_NAME_BYTES - 1 + 1 + 18 + 1 <=
	      STORE_NAME_BYTES, "longest name of an object");
static_assert(sizeof(STORE_FOLDER) - 1 + sizeof(MEMPOOL_SHM_PREFIX) - 1 +
	      MEMPOOL_NAME_BYTES - 1 + 1 + 10 + sizeof(".lock") <= STORE_PATH_BYTES,
	      "longest name of a lock");

static bool is_ours(const struct stat *st, const char **reterr_why)
{
	if (!S_ISREG(st->st_mode))
		*reterr_why = "not a regular file";
	else if (st->st_uid != geteuid())
		*reterr_why = "another user's";
	else if (st->st_nlink != 1)
		*reterr_why = "a file with several names";
	else
		return true;
	return false;
}

static int lock_is_squatted(const struct store_lock *lock, const char *why)
{
	struct stat st;

	if (lstat(lock->path, &st) < 0)
		log_error("cannot lock %s: %s", lock->path, why);
	else
		log_error("cannot lock %s: it is %s, owned by uid %u; remove it", lock->path,
			  why, (unsigned int)st.st_uid);
	return -EPERM;
}

static void lock_is_taken(const struct store_lock *lock, const char *segment_name)
{
	char text[32] = "";
	ssize_t n = pread(lock->fd, text, sizeof(text) - 1, 0);
	long pid = n > 0 ? strtol(text, NULL, 10) : 0;

	if (pid > 0)
		log_error("segment '%s': another mempoold (pid %ld) has it: %s is locked",
			  segment_name, pid, lock->path);
	else
		log_error("segment '%s': another mempoold has it: %s is locked",
			  segment_name, lock->path);
}

/* Return: 1 locked; 0 the name went to another file meanwhile, try again; -errno. */
static int lock_try(struct store_lock *lock, const char *segment_name)
{
	struct stat st, named;
	const char *why;

	lock->fd = open(lock->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK,
			0600);
	if (lock->fd < 0) {
		int r = -errno;

		if (r == -ELOOP)
			return lock_is_squatted(lock, "a symbolic link");
		if (r == -EACCES || r == -EISDIR)
			return lock_is_squatted(lock, "in the way");
		log_error("cannot open %s: %s", lock->path, strerror(-r));
		return r;
	}
	if (fstat(lock->fd, &st) < 0)
		return -errno;
	if (!is_ours(&st, &why) && st.st_nlink != 0)
		return lock_is_squatted(lock, why);
	if (flock(lock->fd, LOCK_EX | LOCK_NB) < 0) {
		int r = -errno;

		if (r != -EWOULDBLOCK) {
			log_error("cannot lock %s: %s", lock->path, strerror(-r));
			return r;
		}
		lock_is_taken(lock, segment_name);
		return -EBUSY;
	}
	/* Whoever removed a segment for good removed the file that we have just locked. */
	if (lstat(lock->path, &named) < 0)
		return errno == ENOENT ? 0 : -errno;
	return named.st_dev == st.st_dev && named.st_ino == st.st_ino;
}

int store_lock_take(struct store_lock *lock, const char *segment_name)
{
	unsigned int i;
	int r = 0;

	snprintf(lock->path, sizeof(lock->path), "%s/%s%s.%u.lock", STORE_FOLDER,
		 STORE_PREFIX, segment_name, (unsigned int)geteuid());
	for (i = 0; i < STORE_LOCK_TRIES && r == 0; i++) {
		r = lock_try(lock, segment_name);
		if (r <= 0)
			store_lock_deinit(lock);
	}
	if (r <= 0)
		return r < 0 ? r : -EAGAIN;

	/* For the message to the next one; the lock itself is the kernel's. */
	if (ftruncate(lock->fd, 0) < 0 || dprintf(lock->fd, "%d\n", (int)getpid()) < 0)
		log_warning("cannot write our pid into %s: %s", lock->path, strerror(errno));
	return 0;
}

void store_lock_deinit(struct store_lock *lock)
{
	if (lock->fd >= 0)
		close(lock->fd);
	lock->fd = -1;
}

void store_lock_remove(struct store_lock *lock)
{
	if (lock->fd >= 0)
		unlink(lock->path);
	store_lock_deinit(lock);
}

/* The number behind "mempool-NAME."; 0 if it is none that we would write. */
static uint64_t parse_generation(const char *file_name, const char *segment_name)
{
	size_t prefix = strlen(STORE_PREFIX), length = strlen(segment_name);
	const char *digits;
	size_t i;

	if (strncmp(file_name, STORE_PREFIX, prefix) != 0 ||
	    strncmp(file_name + prefix, segment_name, length) != 0 ||
	    file_name[prefix + length] != '.')
		return 0;
	digits = file_name + prefix + length + 1;
	if (digits[0] == '0')
		return 0;
	for (i = 0; digits[i]; i++)
		if (!isdigit((unsigned char)digits[i]) || i == 18)
			return 0;
	return strtoull(digits, NULL, 10);
}

static int compare_descending(const void *a, const void *b)
{
	const struct store_entry *left = a, *right = b;

	return (left->generation < right->generation) - (left->generation > right->generation);
}

/* The entries found so far, and the folders they were found in. */
struct scan {
	const char *segment_name;
	struct stat folders[STORE_MAX_FOLDERS];
	size_t n_folders;
	struct store_entry *entries;
	size_t n;
	size_t room;
};

static int scan_add(struct scan *scan, const char *folder, uint64_t generation)
{
	struct store_entry *grown;

	if (scan->n == scan->room) {
		scan->room = scan->room ? 2 * scan->room : 8;
		grown = reallocarray(scan->entries, scan->room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		scan->entries = grown;
	}
	scan->entries[scan->n].generation = generation;
	/* What is too long was not made by us. */
	scan->n += store_name(scan->entries[scan->n].shm_name, folder, scan->segment_name,
			      generation) == 0;
	return 0;
}

/* One file system may be mounted in several places, or several times in one. */
static bool is_new_folder(struct scan *scan, int fd)
{
	struct stat *st = &scan->folders[scan->n_folders];

	if (scan->n_folders == STORE_MAX_FOLDERS || fstat(fd, st) < 0)
		return false;
	for (size_t i = 0; i < scan->n_folders; i++)
		if (scan->folders[i].st_dev == st->st_dev &&
		    scan->folders[i].st_ino == st->st_ino)
			return false;
	scan->n_folders++;
	return true;
}

static int scan_folder(struct scan *scan, const char *folder)
{
	DIR *stream = opendir(folder[0] ? folder : STORE_FOLDER);
	struct dirent *entry;
	uint64_t generation;
	int r = 0;

	if (!stream)
		return -errno;
	if (!is_new_folder(scan, dirfd(stream))) {
		closedir(stream);
		return 0;
	}
	while (r == 0 && (entry = readdir(stream))) {
		generation = parse_generation(entry->d_name, scan->segment_name);
		if (generation)
			r = scan_add(scan, folder, generation);
	}
	closedir(stream);
	return r;
}

/* The hugetlbfs that are mounted, one by one; the list cannot be read: none. */
struct huge_mounts {
	FILE *file;
	struct mntent entry;
	char room[4096];
};

static void huge_mounts_close(struct huge_mounts *mounts)
{
	if (mounts->file)
		endmntent(mounts->file);
	mounts->file = NULL;
}

static void huge_mounts_open(struct huge_mounts *mounts)
{
	mounts->file = setmntent("/proc/self/mounts", "re");
}

/* NULL: no more, and it is closed. */
static const char *huge_mounts_next(struct huge_mounts *mounts)
{
	while (mounts->file &&
	       getmntent_r(mounts->file, &mounts->entry, mounts->room, sizeof(mounts->room)))
		if (strcmp(mounts->entry.mnt_type, "hugetlbfs") == 0 &&
		    strlen(mounts->entry.mnt_dir) < STORE_NAME_BYTES)
			return mounts->entry.mnt_dir;
	huge_mounts_close(mounts);
	return NULL;
}

int64_t store_scan(const char *segment_name, struct store_entry **ret_entries)
{
	struct scan scan = { .segment_name = segment_name };
	struct huge_mounts mounts;
	const char *folder;
	int r = scan_folder(&scan, "");

	huge_mounts_open(&mounts);
	while (r == 0 && (folder = huge_mounts_next(&mounts))) {
		r = scan_folder(&scan, folder);
		/* Another one is mounted over it, or it is not for us to read. */
		if (r == -ENOENT || r == -EACCES || r == -ENOTDIR)
			r = 0;
	}
	huge_mounts_close(&mounts);
	if (r < 0) {
		free(scan.entries);
		return r;
	}
	if (scan.n)
		qsort(scan.entries, scan.n, sizeof(*scan.entries), compare_descending);
	*ret_entries = scan.entries;
	return (int64_t)scan.n;
}

int store_find_folder(uint64_t huge_bytes, char ret_folder[static STORE_NAME_BYTES])
{
	struct huge_mounts mounts;
	const char *folder;
	struct statfs fs;
	int r = -ENOENT;

	ret_folder[0] = '\0';
	if (huge_bytes == 0)
		return 0;
	huge_mounts_open(&mounts);
	while (r < 0 && (folder = huge_mounts_next(&mounts))) {
		if (statfs(folder, &fs) < 0 || fs.f_type != HUGETLBFS_MAGIC ||
		    (uint64_t)fs.f_bsize != huge_bytes)
			continue;
		r = faccessat(AT_FDCWD, folder, R_OK | W_OK | X_OK, AT_EACCESS) < 0 ? -EACCES
										    : 0;
		strcpy(ret_folder, folder);
	}
	huge_mounts_close(&mounts);
	return r;
}

int store_name(char ret_name[static STORE_NAME_BYTES], const char *folder,
	       const char *segment_name, uint64_t generation)
{
	int n = snprintf(ret_name, STORE_NAME_BYTES, "%s%s%s.%llu", folder,
			 MEMPOOL_SHM_PREFIX, segment_name, (unsigned long long)generation);

	return n < STORE_NAME_BYTES ? 0 : -ENAMETOOLONG;
}

const char *store_label(const char *shm_name)
{
	return strchr(shm_name + 1, '/') ? shm_name : shm_name + 1;
}

static void store_path(char ret_path[static STORE_PATH_BYTES], const char *shm_name)
{
	snprintf(ret_path, STORE_PATH_BYTES, "%s%s",
		 strchr(shm_name + 1, '/') ? "" : STORE_FOLDER, shm_name);
}

int store_open(const char *shm_name, int *ret_fd, struct stat *ret_st,
	       const char **reterr_why)
{
	char path[STORE_PATH_BYTES];
	struct stat st;
	int fd, r;

	/* First by name: opening a device or somebody's pipe may do more than open it. */
	store_path(path, shm_name);
	if (lstat(path, &st) < 0)
		return -errno;
	if (!is_ours(&st, reterr_why))
		return -EPERM;
	fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	if (!is_ours(&st, reterr_why)) {
		close(fd);
		return -EPERM;
	}
	*ret_fd = fd;
	*ret_st = st;
	return 0;
}

bool store_may_give(gid_t group)
{
	gid_t groups[NGROUPS_MAX];
	int n = getgroups(NGROUPS_MAX, groups);

	while (n > 0)
		if (groups[--n] == group)
			return true;
	return geteuid() == 0 || getegid() == group;
}

int store_set_permissions(int fd, mode_t mode, gid_t group)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_gid == group && (st.st_mode & 07777) == mode)
		return 0;
	/* Nobody new in between, whatever the order does to the bits. */
	if (st.st_gid != group &&
	    (fchmod(fd, 0600) < 0 || fchown(fd, (uid_t)-1, group) < 0))
		return -errno;
	return fchmod(fd, mode) < 0 ? -errno : 1;
}

int store_unlink(const char *shm_name, dev_t device, ino_t inode)
{
	char path[STORE_PATH_BYTES];
	struct stat st;

	store_path(path, shm_name);
	if (lstat(path, &st) < 0)
		return -errno;
	if (st.st_dev != device || st.st_ino != inode)
		return -ESTALE;
	return unlink(path) < 0 ? -errno : 0;
}

uint64_t store_free_bytes(const char *folder)
{
	struct statvfs st;

	/* Without a limit it says that it has no blocks. */
	if (statvfs(folder[0] ? folder : STORE_FOLDER, &st) < 0 || st.f_blocks == 0)
		return UINT64_MAX;
	return (uint64_t)st.f_bavail * st.f_frsize;
}
