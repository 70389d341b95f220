/* SPDX-License-Identifier: MIT */
#include "daemon/base/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"

#define PROGRESS_BLINK_NS UINT64_C(200000000)
#define PROGRESS_PAUSE_NS UINT64_C(100000000)
#define PROGRESS_MIN_BAR 10
#define PROGRESS_MAX_BAR 40

/* One terminal, one run at a time. */
static struct {
	uint64_t done_bytes;		/* 0: none is going on */
	uint64_t first_bytes;		/* when it began, */
	uint64_t first_ns;		/* and when that was */
	uint64_t shown_ns;
} progress_run;

static unsigned int terminal_columns(void)
{
	struct winsize size;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

void progress_format(char ret_text[static PROGRESS_TEXT_BYTES], unsigned int n_columns,
		     const char *segment_name, uint64_t done_bytes, uint64_t total_bytes,
		     uint64_t bytes_per_second)
{
	char done[LOG_SIZE_BYTES], total[LOG_SIZE_BYTES], rate[LOG_SIZE_BYTES];
	char bar[PROGRESS_MAX_BAR + 4] = "";
	double part = (double)done_bytes / (double)total_bytes;
	unsigned int n_text, n_bar, n_full;

	/* Twice: the bar gets what the text leaves. */
	for (int i = 0; i < 2; i++) {
		n_text = (unsigned int)snprintf(
			ret_text, PROGRESS_TEXT_BYTES,
			"mempoold: segment '%s': %s%3d%%, %s of %s, %s/s", segment_name, bar,
			(int)(part * 100), log_size(done, done_bytes),
			log_size(total, total_bytes), log_size(rate, bytes_per_second));
		/* Its ends and a space, and the last column, where some terminals wrap. */
		if (i > 0 || n_text + 4 + PROGRESS_MIN_BAR > n_columns)
			break;
		n_bar = n_columns - n_text - 4;
		n_bar = n_bar < PROGRESS_MAX_BAR ? n_bar : PROGRESS_MAX_BAR;
		n_full = (unsigned int)(part * n_bar);
		memset(bar, '.', n_bar + 1);
		memset(bar + 1, '#', n_full);
		bar[0] = '[';
		strcpy(bar + 1 + n_bar, "] ");
	}
	if (n_columns && n_text >= n_columns && n_columns < PROGRESS_TEXT_BYTES)
		ret_text[n_columns - 1] = '\0';
}

void progress_show(const char *segment_name, uint64_t done_bytes, uint64_t total_bytes)
{
	uint64_t now = clock_monotonic_ns(), run_ns = now - progress_run.first_ns;
	char text[PROGRESS_TEXT_BYTES];

	if (done_bytes <= progress_run.done_bytes || progress_run.done_bytes == 0) {
		progress_run.first_bytes = done_bytes;
		progress_run.first_ns = now;
		run_ns = 0;
	}
	progress_run.done_bytes = done_bytes;
	if (done_bytes == total_bytes) {
		progress_run.done_bytes = 0;
		log_bar(NULL);
		return;
	}
	if (run_ns < PROGRESS_BLINK_NS || now - progress_run.shown_ns < PROGRESS_PAUSE_NS ||
	    !isatty(STDERR_FILENO))
		return;
	progress_run.shown_ns = now;
	progress_format(text, terminal_columns(), segment_name, done_bytes, total_bytes,
			(uint64_t)((double)(done_bytes - progress_run.first_bytes) * 1e9 /
				   (double)run_ns));
	log_bar(text);
}
