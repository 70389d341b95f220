/* SPDX-License-Identifier: MIT */
#include "daemon/segments/store.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "mempool_protocol.h"
#include "shm/config.h"

#define STORE_FOLDER "/dev/shm"
#define STORE_PREFIX (&MEMPOOL_SHM_PREFIX[1])	/* as a file name */
#define STORE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define FD_PATH_BYTES 32
#define RANDOM_DIGITS 16		/* hexadecimal */
#define STORE_MAX_FOLDERS 32		/* mounts of huge pages; more are not looked into */

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

static_assert(sizeof(MEMPOOL_SHM_PREFIX) - 1 + MEMPOOL_NAME_BYTES - 1 + 1 + 20 + 1 +
	      HOUSE_ID_BYTES - 1 + 1 + RANDOM_DIGITS + sizeof(MEMPOOL_SHM_DATA_SUFFIX) <=
	      MEMPOOL_SHM_NAME_BYTES,
	      "longest name of an object");
static_assert(sizeof(STORE_FOLDER) + MEMPOOL_SHM_NAME_BYTES <= STORE_PATH_BYTES, "path");

static bool is_ours(const struct stat *st, const char **reterr_why)
{
	if (!S_ISREG(st->st_mode))
		*reterr_why = "not a regular file";
	else if (st->st_uid != geteuid())
		*reterr_why = "another user's";
	else
		return true;
	return false;
}

static bool is_hexadecimal(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isdigit((unsigned char)text[i]) && (text[i] < 'a' || text[i] > 'f'))
			return false;
	return true;
}

/* Whether it is "mempool-NAME.GENERATION.HOUSE.RANDOM" or that with ".data", as we write it. */
static bool parse_name(const char *file_name, struct store_entry *ret_entry)
{
	const size_t prefix = strlen(STORE_PREFIX), house = HOUSE_ID_BYTES - 1;
	const char *digits, *rest;
	size_t length;
	char *end;

	if (strncmp(file_name, STORE_PREFIX, prefix) != 0)
		return false;
	length = strcspn(file_name + prefix, ".");
	if (length >= sizeof(ret_entry->segment_name))
		return false;
	memcpy(ret_entry->segment_name, file_name + prefix, length);
	ret_entry->segment_name[length] = '\0';
	if (!config_name_is_valid(ret_entry->segment_name) ||
	    file_name[prefix + length] != '.')
		return false;
	digits = file_name + prefix + length + 1;
	if (!isdigit((unsigned char)digits[0]) || digits[0] == '0')
		return false;
	errno = 0;
	ret_entry->generation = strtoull(digits, &end, 10);
	if (errno != 0 || *end != '.')
		return false;
	rest = end + 1;
	if (strlen(rest) < house + 1 + RANDOM_DIGITS || !is_hexadecimal(rest, house) ||
	    rest[house] != '.' || !is_hexadecimal(rest + house + 1, RANDOM_DIGITS))
		return false;
	end = (char *)rest + house + 1 + RANDOM_DIGITS;
	ret_entry->is_data = strcmp(end, MEMPOOL_SHM_DATA_SUFFIX) == 0;
	if (*end != '\0' && !ret_entry->is_data)
		return false;
	memcpy(ret_entry->house, rest, house);
	ret_entry->house[house] = '\0';
	return true;
}

/* The entries found so far, and the folders they were found in. */
struct scan {
	const char *segment_name;	/* NULL: all */
	struct stat folders[STORE_MAX_FOLDERS];
	size_t n_folders;
	struct store_entry *entries;
	size_t n;
};

static int scan_add(struct scan *scan, const char *folder, const char *file_name)
{
	struct store_entry entry = { .generation = 0 }, *grown;
	int n;

	if (!parse_name(file_name, &entry) ||
	    (scan->segment_name && strcmp(entry.segment_name, scan->segment_name) != 0))
		return 0;
	n = snprintf(entry.shm_name, sizeof(entry.shm_name), "%s/%s", folder, file_name);
	/* What is too long was not made by us. */
	if (n >= (int)sizeof(entry.shm_name))
		return 0;
	grown = reallocarray(scan->entries, scan->n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	scan->entries = grown;
	grown[scan->n++] = entry;
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
	struct dirent *file;
	int r = 0;

	if (!stream)
		return -errno;
	if (!is_new_folder(scan, dirfd(stream))) {
		closedir(stream);
		return 0;
	}
	while (r == 0 && (file = readdir(stream)))
		r = scan_add(scan, folder, file->d_name);
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
		    strlen(mounts->entry.mnt_dir) < MEMPOOL_SHM_NAME_BYTES)
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
	*ret_entries = scan.entries;
	return (int64_t)scan.n;
}

int store_find_folder(uint64_t huge_bytes, char ret_folder[static MEMPOOL_SHM_NAME_BYTES])
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

int store_name(char ret_name[static MEMPOOL_SHM_NAME_BYTES], const char *segment_name,
	       uint64_t generation, const char *house)
{
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) < 0)
		return -errno;
	snprintf(ret_name, MEMPOOL_SHM_NAME_BYTES, "%s%s.%" PRIu64 ".%s.%0*" PRIx64,
		 MEMPOOL_SHM_PREFIX, segment_name, generation, house, RANDOM_DIGITS, random);
	return 0;
}

int store_data_name(char ret_name[static MEMPOOL_SHM_NAME_BYTES], const char *folder,
		    const char *shm_name)
{
	int n = snprintf(ret_name, MEMPOOL_SHM_NAME_BYTES, "%s%s%s", folder, shm_name,
			 MEMPOOL_SHM_DATA_SUFFIX);

	return n < MEMPOOL_SHM_NAME_BYTES ? 0 : -ENAMETOOLONG;
}

void store_control_name(char ret_name[static MEMPOOL_SHM_NAME_BYTES], const char *data_name)
{
	const char *last = strrchr(data_name, '/');
	size_t length = strlen(last) - strlen(MEMPOOL_SHM_DATA_SUFFIX);

	memcpy(ret_name, last, length);
	ret_name[length] = '\0';
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

/* Where the object of a descriptor can be opened, by whatever name or none. */
static void fd_path(char ret_path[static FD_PATH_BYTES], int fd)
{
	snprintf(ret_path, FD_PATH_BYTES, "/proc/self/fd/%d", fd);
}

int store_open_again(int fd, enum segment_access access)
{
	char path[FD_PATH_BYTES];
	int again;

	fd_path(path, fd);
	again = open(path, (access == SEGMENT_READ_ONLY ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	return again < 0 ? -errno : again;
}

/* ---- make ---- */

/* By the name it is to have: no other daemon of our house may take it for left behind. */
static int make_named(const char *path, int *ret_fd)
{
	struct stat st, named;
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, STORE_MODE);

	if (fd < 0)
		return -errno;
	store_lock(fd);
	if (fstat(fd, &st) < 0 || lstat(path, &named) < 0 || st.st_ino != named.st_ino) {
		close(fd);
		return -ESTALE;
	}
	*ret_fd = fd;
	return 0;
}

int store_make(const char *folder, const char *shm_name, int *ret_fd)
{
	char path[STORE_PATH_BYTES];
	int fd;

	fd = open(folder[0] ? folder : STORE_FOLDER, O_TMPFILE | O_RDWR | O_CLOEXEC, STORE_MODE);
	if (fd < 0 && errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return -errno;
	if (fd < 0) {
		store_path(path, shm_name);
		return make_named(path, ret_fd);
	}
	store_lock(fd);
	*ret_fd = fd;
	return 0;
}

int store_make_memfd(const char *label, uint64_t huge_bytes, int *ret_fd)
{
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd, r;

	if (huge_bytes)
		/* As mmap(2) has the size. */
		flags |= MFD_HUGETLB | (unsigned int)__builtin_ctzll(huge_bytes) << MAP_HUGE_SHIFT;
	fd = memfd_create(store_label(label), flags | MFD_NOEXEC_SEAL);
	/* Before Linux 6.3. */
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(store_label(label), flags);
	if (fd < 0)
		return -errno;
	/* It is born open to everybody: /proc opens it again for whoever has a descriptor. */
	if (fchmod(fd, STORE_MODE) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int store_seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, STORE_SEALS) < 0 ? -errno : 0;
}

bool store_is_sealed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & STORE_SEALS) == STORE_SEALS;
}

int store_empty(int fd)
{
	struct stat st;

	if (ftruncate(fd, 0) == 0)
		return 0;
	if (errno != EPERM || fstat(fd, &st) < 0)
		return -errno;
	/* Sealed: its size stays. */
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, st.st_size) < 0
		       ? -errno : 0;
}

int store_link(int fd, const char *shm_name)
{
	char path[STORE_PATH_BYTES], object[FD_PATH_BYTES];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	/* It was made with its name. */
	if (st.st_nlink != 0)
		return 0;
	store_path(path, shm_name);
	fd_path(object, fd);
	return linkat(AT_FDCWD, object, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

/* ---- locks ---- */

void store_lock(int fd)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = MEMPOOL_HOLDER_NONE,
		.l_len = 1,
	};

	/* A member of the segment may have it; then that keeps others away as well. */
	fcntl(fd, F_OFD_SETLK, &lock);
}

/* Whether somebody else has a lock on one byte, or on any. */
static bool has_lock(int fd, off_t start, off_t n)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = start,
		.l_len = n,
	};

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool store_is_locked(int fd)
{
	return has_lock(fd, 0, 0);
}

bool store_is_locked_by(int fd, uint32_t holder)
{
	return has_lock(fd, holder, 1);
}

int store_stat(const char *shm_name, struct stat *ret_st)
{
	char path[STORE_PATH_BYTES];

	store_path(path, shm_name);
	return lstat(path, ret_st) < 0 ? -errno : 0;
}

bool store_is_elsewhere(const char *shm_name, dev_t device)
{
	char path[STORE_PATH_BYTES];
	struct stat st;

	store_path(path, shm_name);
	*strrchr(path, '/') = '\0';
	return stat(path, &st) < 0 || st.st_dev != device;
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
