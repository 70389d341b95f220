/* SPDX-License-Identifier: MIT */
/*
 * build.h - a segment in the making: a name that nobody has, its memory, its layout
 *
 * It takes time, and touches nothing but its struct build: any thread may do it. Nobody but
 * the daemon's user may open the object until it is laid out, so nobody can shorten it under
 * the hands of its maker.
 *
 * Until build_keep() hears that somebody serves it, the object goes when the build does.
 */
#ifndef DAEMON_SEGMENTS_BUILD_H
#define DAEMON_SEGMENTS_BUILD_H

#include <stdint.h>

#include "daemon/config/segment.h"
#include "daemon/segments/space.h"
#include "daemon/segments/store.h"
#include "shm/segment.h"

struct build {
	const struct conf_segment *conf;
	uint64_t size_bytes;
	uint64_t number;		/* of the object; then: */
	uint64_t next_number;		/* to be tried */
	char shm_name[STORE_NAME_BYTES];
	dev_t device;			/* of the object, for as long as it is ours to remove */
	ino_t inode;			/* 0: there is none */
	char shortage[SPACE_TEXT_BYTES]; /* what is missing, if something is; else empty */
};

/* next_number: below it all are taken. */
void build_init(struct build *build, const struct conf_segment *conf, uint64_t next_number);

/* Remove the object, unless build_keep() was called. */
void build_deinit(struct build *build);
void build_keep(struct build *build);

/**
 * build_make() - take the memory, lay it out, and open it to whom it is for
 * @ret_segment: the caller frees it
 *
 * Does not log. Return: 0; as space_find() and segment_create_paged(); -EPERM also
 *	   if the group is none of ours to give.
 */
int build_make(struct build *build, segment_progress_fn progress, void *userdata,
	       struct segment **ret_segment);

/* Why it did not, into the log. */
void build_log_error(const struct build *build, int error);

#endif
