/* SPDX-License-Identifier: MIT */
#include "daemon/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/writer.h"

#define LOG_TEXT_BYTES 1024
#define LOG_PREFIX_BYTES 32
#define LOG_WINDOW_NS UINT64_C(10000000000)

static int log_level = LOG_INFO;
static bool log_to_journal;
static struct writer log_writer = WRITER_NULL(STDERR_FILENO);
static atomic_bool log_bar_is_shown;
static char *log_kept;			/* while it is empty the next line goes there */
static size_t log_kept_size;
static int log_kept_priority;

/* systemd sets JOURNAL_STREAM to device:inode of the stream that it made our stderr. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	if (!stream || sscanf(stream, "%llu:%llu", &device, &inode) != 2)
		return false;
	if (fstat(STDERR_FILENO, &st) < 0)
		return false;
	return st.st_dev == device && st.st_ino == inode;
}

void log_init(bool plain)
{
	log_to_journal = !plain && stderr_is_journal();
}

void log_set_level(int priority)
{
	log_level = priority;
}

int log_start_writer(void)
{
	return writer_start(&log_writer, log_to_journal ? "<4>" : "mempoold: warning: ");
}

void log_finish(void)
{
	writer_finish(&log_writer);
}

void log_bar(const char *text)
{
	char line[LOG_TEXT_BYTES + LOG_PREFIX_BYTES];

	/* A terminal that is stopped is not sent each bar of the past once it goes on. */
	if (text && writer_is_behind(&log_writer))
		return;
	if (text) {
		snprintf(line, sizeof(line), "\r%s\033[K", text);
		writer_put(&log_writer, line);
	}
	/* Relaxed: two threads' lines may come in any order, and the bar is gone in each. */
	if (atomic_exchange_explicit(&log_bar_is_shown, text != NULL, memory_order_relaxed) &&
	    !text)
		writer_put(&log_writer, "\r\033[K");
}

void log_keep(char *text, size_t size, int priority)
{
	log_kept = text;
	log_kept_size = size;
	log_kept_priority = priority;
	if (text)
		text[0] = '\0';
}

/* One text a line, so that lines of several processes on one stderr stay whole. */
static void write_line(int priority, const char *text, size_t length)
{
	char line[LOG_TEXT_BYTES + LOG_PREFIX_BYTES];
	const char *word = "";

	log_bar(NULL);
	if (priority <= LOG_ERR)
		word = "error: ";
	else if (priority == LOG_WARNING)
		word = "warning: ";
	if (log_to_journal)
		snprintf(line, sizeof(line), "<%d>%.*s\n", priority, (int)length, text);
	else
		snprintf(line, sizeof(line), "mempoold: %s%.*s\n", word, (int)length, text);
	writer_put(&log_writer, line);
}

__attribute__((format(printf, 2, 0))) static void
log_va(int priority, const char *format, va_list args)
{
	char text[LOG_TEXT_BYTES];
	const char *line, *end;
	int saved = errno;

	vsnprintf(text, sizeof(text), format, args);
	if (log_kept && !log_kept[0] && priority <= log_kept_priority)
		snprintf(log_kept, log_kept_size, "%.*s", (int)strcspn(text, "\n"), text);
	if (priority <= log_level) {
		for (line = text; *line; line = *end ? end + 1 : end) {
			end = strchrnul(line, '\n');
			write_line(priority, line, (size_t)(end - line));
		}
	}
	errno = saved;
}

void log_at(int priority, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_va(priority, format, args);
	va_end(args);
}

void log_limited(struct log_limit *limit, int priority, const char *format, ...)
{
	uint64_t now = clock_monotonic_ns();
	va_list args;

	if (now - limit->window_ns >= LOG_WINDOW_NS) {
		if (limit->n_dropped)
			log_at(priority, "%u more lines of the following kind were left out",
			       limit->n_dropped);
		limit->window_ns = now;
		limit->n_written = 0;
		limit->n_dropped = 0;
	}
	if (limit->n_written >= limit->burst) {
		limit->n_dropped++;
		return;
	}
	limit->n_written++;
	va_start(args, format);
	log_va(priority, format, args);
	va_end(args);
}

const char *log_size(char text[static LOG_SIZE_BYTES], uint64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes / 1024;
	unsigned int unit = 0;

	if (bytes < 1024) {
		snprintf(text, LOG_SIZE_BYTES, "%u bytes", (unsigned int)bytes);
		return text;
	}
	while (value >= 1024) {
		value /= 1024;
		unit++;
	}
	snprintf(text, LOG_SIZE_BYTES, "%.1f %s", value, units[unit]);
	return text;
}
