/* SPDX-License-Identifier: MIT */
/*
 * space.h - whether this machine can give a segment its memory, and what is missing if not
 *
 * Asked before any is taken. Not that a failure would leave something behind, but memory
 * that is short is not refused: somebody is killed for it. What is asked may change before it
 * is taken; then the kernel has the last word, with less to say.
 */
#ifndef DAEMON_SEGMENTS_SPACE_H
#define DAEMON_SEGMENTS_SPACE_H

#include "daemon/config/segment.h"
#include "daemon/segments/store.h"

#define SPACE_TEXT_BYTES 400

/**
 * space_find() - the folder that the data of a segment's next generation goes to, with room for it
 * @root: where /proc and /sys are, see machine.h
 *
 * Return: 0; -ENOSPC, -ENOMEM, -EPERM, -EFBIG, -EINVAL, -ENOENT or -EACCES, and reterr_text
 *	   says what is missing, and how much of it.
 */
int space_find(const struct conf_segment *conf, const char *root,
	       char ret_folder[static MEMPOOL_SHM_NAME_BYTES],
	       char reterr_text[static SPACE_TEXT_BYTES]);

/* Whether one that is there already may be locked, as the config wants it. Return: as above. */
int space_check_lock(const struct conf_segment *conf, const char *root,
		     char reterr_text[static SPACE_TEXT_BYTES]);

#endif
