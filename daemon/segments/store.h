/* SPDX-License-Identifier: MIT */
/*
 * store.h - objects: their names in /dev/shm, and their locks
 *
 *	/dev/shm/mempool-NAME.GENERATION.HOUSE.RANDOM		control
 *	/dev/shm/mempool-NAME.GENERATION.HOUSE.RANDOM.data	data
 *	FOLDER/mempool-NAME.GENERATION.HOUSE.RANDOM.data	data of huge pages, on a hugetlbfs
 *
 * Everybody may create names there, so a name proves nothing: what an object is stands in a
 * state file (state.h), by device and inode. HOUSE says whose it is (house.h); RANDOM, 64
 * bits, keeps others from having the name before us. The objects are made without names and
 * get them when they are locked and have their memory: a daemon that is killed before that leaves
 * nothing. Data has its name first, and loses it last: where the name of control stands, that of
 * data stands, too, whenever we are killed.
 *
 * Locks are those of open file descriptions (F_OFD_SETLK): byte 0 is the daemon's, byte ID
 * that of the client which is holder ID. They tell whether somebody is there, in whatever
 * namespace, and keep nobody from anything: nobody waits for one, and a member of a segment
 * can have any of its locks.
 */
#ifndef DAEMON_SEGMENTS_STORE_H
#define DAEMON_SEGMENTS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "daemon/segments/house.h"
#include "mempool_layout.h"
#include "mempool_protocol.h"
#include "shm/segment_memory.h"

#define STORE_MODE 0600			/* of an object: nobody opens it but us */
#define STORE_PATH_BYTES (MEMPOOL_SHM_NAME_BYTES + 16)	/* "/dev/shm" and a name */

/* A name in the form above, of whomever. */
struct store_entry {
	char segment_name[MEMPOOL_NAME_BYTES];
	uint64_t generation;
	char house[HOUSE_ID_BYTES];
	char shm_name[MEMPOOL_SHM_NAME_BYTES];
	bool is_data;
};

/**
 * store_scan() - names of a segment, in every folder
 * @segment_name: NULL: of all segments
 * @ret_entries:  the caller frees it
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
int store_find_folder(uint64_t huge_bytes, char ret_folder[static MEMPOOL_SHM_NAME_BYTES]);

/* Draw a new name, of control. Return: 0 or -errno. */
int store_name(char ret_name[static MEMPOOL_SHM_NAME_BYTES], const char *segment_name,
	       uint64_t generation, const char *house);

/* The name of data beside it. Return: 0; -ENAMETOOLONG a path as long is no name of ours. */
int store_data_name(char ret_name[static MEMPOOL_SHM_NAME_BYTES], const char *folder,
		    const char *shm_name);

/* And back: the name of control that belongs to one of data. */
void store_control_name(char ret_name[static MEMPOOL_SHM_NAME_BYTES], const char *data_name);

/* As ls(1) shows it: of those in /dev/shm, without the slash. */
const char *store_label(const char *shm_name);

/**
 * store_make() - an object that has no name yet, with the daemon's lock
 * @shm_name: that store_link() will give it; where the file system knows no files without a
 *	      name, it has it at once
 *
 * Return: 0, *ret_fd for reading and writing; -errno.
 */
int store_make(const char *folder, const char *shm_name, int *ret_fd);

/**
 * store_make_memfd() - an object that never has a name, mode 0600
 * @label:      for people, in /proc: as a name
 * @huge_bytes: 0: of ordinary pages
 *
 * Return: 0, *ret_fd for reading and writing; -errno.
 */
int store_make_memfd(const char *label, uint64_t huge_bytes, int *ret_fd);

/* From now on its size stays, whoever has it. Return: 0 or -errno. */
int store_seal(int fd);
bool store_is_sealed(int fd);

/* Give all of its memory back. Return: 0 or -errno. */
int store_empty(int fd);

/* Give it its name. Return: 0; -EEXIST; -errno. */
int store_link(int fd, const char *shm_name);

/* Take the daemon's lock, if it is to be had. */
void store_lock(int fd);

/* Whether anybody but us has a lock; whether somebody has that of a holder. */
bool store_is_locked(int fd);
bool store_is_locked_by(int fd, uint32_t holder);

/**
 * store_open() - open an object if it is a regular file of our user
 * @shm_name: as store_name() made it
 *
 * Return: 0, *ret_fd for reading and writing; -EPERM not ours, and *reterr_why says what it
 *         is; -ENOENT; -errno.
 */
int store_open(const char *shm_name, int *ret_fd, struct stat *ret_st,
	       const char **reterr_why);

/* Open an object of ours once more, which need not have a name. Return: a descriptor, or -errno. */
int store_open_again(int fd, enum segment_access access);

/* What stands under a name now. Return: 0 or -errno. */
int store_stat(const char *shm_name, struct stat *ret_st);

/* Whether the folder of a name is not that file system, or is not there: then whether the object
 * still exists cannot be told from here. */
bool store_is_elsewhere(const char *shm_name, dev_t device);

/* Unlink a name if it still is that object. Return: 0; -ENOENT, -ESTALE it is not; -errno. */
int store_unlink(const char *shm_name, dev_t device, ino_t inode);

/* Bytes that are left in a folder; UINT64_MAX: no limit, or it cannot be told. */
uint64_t store_free_bytes(const char *folder);

#endif
