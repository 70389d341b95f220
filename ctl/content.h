/* SPDX-License-Identifier: MIT */
/*
 * content.h - what a message says, for a person or a pipe
 */
#ifndef CTL_CONTENT_H
#define CTL_CONTENT_H

#include <stddef.h>

enum content_as {
	CONTENT_AS_HEX,			/* the first CONTENT_HEX_BYTES of it, and how many more there are */
	CONTENT_AS_TEXT,		/* all; what would steer the terminal is a dot */
	CONTENT_AS_RAW,			/* the bytes */
};
#define CONTENT_HEX_BYTES 256

/* To standard output; its errors are found when it is flushed. */
void content_print(enum content_as as, const void *content, size_t n);

#endif
