/* SPDX-License-Identifier: MIT */
/*
 * build.h - a segment in the making: a name that nobody has, its memory, its layout
 *
 *	build_take()	an object under the next free number, all of its space taken; the only
 *			part that takes time, and it touches nothing but its struct build
 *	build_lay_out()	header, tables and pools; whoever maps it sees it READY
 *
 * Until build_deinit() hears that somebody serves it, the object goes when the build does.
 */
#ifndef DAEMON_BUILD_H
#define DAEMON_BUILD_H

#include <stdint.h>

#include "conf.h"
#include "shm/segment.h"
#include "store.h"

struct build {
	const struct conf_segment *conf;
	uint64_t size_bytes;
	uint64_t number;		/* of the object; then: */
	uint64_t next_number;		/* to be tried */
	char shm_name[STORE_NAME_BYTES];
	struct segment_memory memory;
	dev_t device;			/* of the object, for as long as it is ours to remove */
	ino_t inode;			/* 0: there is none */
};

/* next_number: below it all are taken. */
void build_init(struct build *build, const struct conf_segment *conf, uint64_t next_number);

/* Remove the object, unless build_keep() was called. */
void build_deinit(struct build *build);
void build_keep(struct build *build);

/* Return: 0; as segment_create(). Does not log. */
int build_take(struct build *build, segment_progress_fn progress, void *userdata);

/* After that. Logs. Return: 0 or -errno. */
int build_lay_out(struct build *build, struct segment **ret_segment);

/* Why build_take() did not, into the log. */
void build_log_error(const struct build *build, int error);

#endif
