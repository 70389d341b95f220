/* SPDX-License-Identifier: MIT */
/*
 * store.h - names in /dev/shm: the lock of a segment and the objects of its generations
 *
 *	/dev/shm/mempool-NAME.UID.lock		0600, locked for the life of a daemon
 *	/dev/shm/mempool-NAME.GENERATION	decimal, without leading zeros
 *	FOLDER/mempool-NAME.GENERATION		of huge pages, where a hugetlbfs is mounted
 *
 * Everybody may create names there, so a name proves nothing. Ours is a regular file with
 * one link and our euid; the UID in the name of the lock lets two users have segments of
 * one name. Whatever else stands under a name is left alone and stepped over.
 */
#ifndef DAEMON_SEGMENTS_STORE_H
#define DAEMON_SEGMENTS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "mempool_layout.h"

#define STORE_PATH_BYTES 96		/* "/dev/shm/mempool-NAME.UID.lock" */
#define STORE_NAME_BYTES 64		/* an object's name, as the protocol has it */
#define STORE_MAX_GENERATION UINT64_C(999999999999999999)

struct store_lock {
	int fd;
	char path[STORE_PATH_BYTES];
};
#define STORE_LOCK_NULL ((struct store_lock){ .fd = -1 })

/**
 * store_lock_take() - be the one daemon of this segment
 *
 * Logs why not, with the pid of the daemon that has it or the owner of what is in the way.
 * Return: 0; -EBUSY another daemon has it; -errno.
 */
int store_lock_take(struct store_lock *lock, const char *segment_name);
void store_lock_deinit(struct store_lock *lock);

/* Remove the lock's name, too, if it is ours: nothing of the segment is left. */
void store_lock_remove(struct store_lock *lock);

/* An object's name, "/mempool-NAME.GENERATION" or with its folder before it. */
struct store_entry {
	uint64_t generation;
	char shm_name[STORE_NAME_BYTES];
};

/**
 * store_scan() - generations of a segment that have a name, in every folder, newest first
 * @ret_entries: the caller frees it
 *
 * Return: how many, or -errno.
 */
int64_t store_scan(const char *segment_name, struct store_entry **ret_entries);

/**
 * store_find_folder() - where we can make objects of pages of a size
 * @huge_bytes: 0: of ordinary ones, in /dev/shm, for which *ret_folder is ""
 *
 * Return: 0; -ENOENT no hugetlbfs of that size is mounted; -EACCES we may not write there.
 */
int store_find_folder(uint64_t huge_bytes, char ret_folder[static STORE_NAME_BYTES]);

/* Return: 0; -ENAMETOOLONG the protocol has no room for it. */
int store_name(char ret_name[static STORE_NAME_BYTES], const char *folder,
	       const char *segment_name, uint64_t generation);

/* As ls(1) shows it: of those in /dev/shm, without the slash. */
const char *store_label(const char *shm_name);

/**
 * store_open() - open an object if it is ours
 * @shm_name: as store_name() made it
 *
 * Return: 0, *ret_fd for reading and writing; -EPERM not ours, and *reterr_why says what it
 *         is; -ENOENT; -errno.
 */
int store_open(const char *shm_name, int *ret_fd, struct stat *ret_st,
	       const char **reterr_why);

/* Whether a file of ours can be given to a group: as root, or a member of it. */
bool store_may_give(gid_t group);

/* Give an object its mode and group. Return: 1; 0 it has them; -errno. */
int store_set_permissions(int fd, mode_t mode, gid_t group);

/* Unlink a name if it still is that object. Return: 0 or -errno. */
int store_unlink(const char *shm_name, dev_t device, ino_t inode);

/* Bytes that are left in a folder; UINT64_MAX: no limit, or it cannot be told. */
uint64_t store_free_bytes(const char *folder);

#endif
