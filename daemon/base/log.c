/* SPDX-License-Identifier: MIT */
#include "daemon/base/log.h"

#include <errno.h>
#include <pthread.h>
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
static pthread_mutex_t log_limits_lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_limit *log_left_out;	/* those that have left lines out, and not said so */

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

/* ---- one line ---- */

/*
 * Whatever a text says, it stays one line, and does nothing to a terminal: of what is in it,
 * some was said by clients. A tab is a tab.
 */
static void escape(char ret_text[static LOG_TEXT_BYTES], const char *text)
{
	size_t n = 0;

	for (; *text && n < LOG_TEXT_BYTES - sizeof("\\xff"); text++) {
		const unsigned char c = (unsigned char)*text;

		if ((c >= ' ' && c <= '~') || c == '\t')
			ret_text[n++] = (char)c;
		else
			n += (size_t)snprintf(ret_text + n, sizeof("\\xff"), "\\x%02x", c);
	}
	ret_text[n] = '\0';
}

/* One text a line, so that lines of several processes on one stderr stay whole. */
static void write_line(int priority, const char *text)
{
	char line[LOG_TEXT_BYTES + LOG_PREFIX_BYTES];
	const char *word = "";

	log_bar(NULL);
	if (priority <= LOG_ERR)
		word = "error: ";
	else if (priority == LOG_WARNING)
		word = "warning: ";
	if (log_to_journal)
		snprintf(line, sizeof(line), "<%d>%s\n", priority, text);
	else
		snprintf(line, sizeof(line), "mempoold: %s%s\n", word, text);
	writer_put(&log_writer, line);
}

static void keep(int priority, const char *text)
{
	if (log_kept && !log_kept[0] && priority <= log_kept_priority)
		snprintf(log_kept, log_kept_size, "%s", text);
}

static void put(int priority, const char *text)
{
	keep(priority, text);
	if (priority <= log_level)
		write_line(priority, text);
}

__attribute__((format(printf, 2, 0))) static void
format_line(char ret_text[static LOG_TEXT_BYTES], const char *format, va_list args)
{
	char text[LOG_TEXT_BYTES];

	vsnprintf(text, sizeof(text), format, args);
	escape(ret_text, text);
}

__attribute__((format(printf, 2, 3))) static void log_line(int priority, const char *format, ...)
{
	char text[LOG_TEXT_BYTES];
	va_list args;

	va_start(args, format);
	format_line(text, format, args);
	va_end(args);
	put(priority, text);
}

/* ---- limits ---- */

/* Say how many were left out, where the ten seconds are over at that time. */
static void tell_left_out(uint64_t now_ns)
{
	struct log_limit **link = &log_left_out, *limit;

	pthread_mutex_lock(&log_limits_lock);
	while ((limit = *link)) {
		if (now_ns - limit->window_ns < LOG_WINDOW_NS) {
			link = &limit->next;
			continue;
		}
		*link = limit->next;
		log_line(limit->priority, "%u more lines on %s were left out", limit->n_dropped,
			 limit->of);
		limit->n_dropped = 0;
	}
	pthread_mutex_unlock(&log_limits_lock);
}

/* Whether one more may be written now; else it is counted. */
static bool limit_allows(struct log_limit *limit, int priority, uint64_t now_ns)
{
	bool allows;

	pthread_mutex_lock(&log_limits_lock);
	if (now_ns - limit->window_ns >= LOG_WINDOW_NS) {
		limit->window_ns = now_ns;
		limit->n_written = 0;
	}
	allows = limit->n_written < limit->burst;
	if (allows) {
		limit->n_written++;
	} else if (limit->n_dropped++ == 0) {
		limit->priority = priority;
		limit->next = log_left_out;
		log_left_out = limit;
	}
	pthread_mutex_unlock(&log_limits_lock);
	return allows;
}

/* ---- what others call ---- */

void log_finish(void)
{
	tell_left_out(UINT64_MAX);
	writer_finish(&log_writer);
}

void log_at(int priority, const char *format, ...)
{
	char text[LOG_TEXT_BYTES];
	int saved = errno;
	va_list args;

	va_start(args, format);
	format_line(text, format, args);
	va_end(args);
	tell_left_out(clock_monotonic_ns());
	put(priority, text);
	errno = saved;
}

void log_lines(int priority, const char *lines)
{
	int saved = errno;
	const char *end;

	for (; *lines; lines = *end ? end + 1 : end) {
		char text[LOG_TEXT_BYTES];

		end = strchrnul(lines, '\n');
		snprintf(text, sizeof(text), "%.*s", (int)(end - lines), lines);
		put(priority, text);
	}
	errno = saved;
}

void log_limited(struct log_limit *limit, int priority, const char *format, ...)
{
	uint64_t now_ns = clock_monotonic_ns();
	char text[LOG_TEXT_BYTES];
	int saved = errno;
	va_list args;

	va_start(args, format);
	format_line(text, format, args);
	va_end(args);
	tell_left_out(now_ns);
	if (priority > log_level || !limit_allows(limit, priority, now_ns))
		keep(priority, text);
	else
		put(priority, text);
	errno = saved;
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
