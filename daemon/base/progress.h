/* SPDX-License-Identifier: MIT */
/*
 * progress.h - how far a segment's memory is taken, for the person at the terminal
 */
#ifndef DAEMON_BASE_PROGRESS_H
#define DAEMON_BASE_PROGRESS_H

#include <stdint.h>

#define PROGRESS_TEXT_BYTES 256

/*
 * Draw a bar on stderr if that is a terminal: not for what takes less than a blink, at most
 * ten times a second, and none any more once all is done.
 */
void progress_show(const char *segment_name, uint64_t done_bytes, uint64_t total_bytes);

/* Such a bar: n_columns wide at most, or without a bar if that is too little for one. */
void progress_format(char ret_text[static PROGRESS_TEXT_BYTES], unsigned int n_columns,
		     const char *segment_name, uint64_t done_bytes, uint64_t total_bytes,
		     uint64_t bytes_per_second);

#endif
