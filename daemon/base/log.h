/* SPDX-License-Identifier: MIT */
/*
 * log.h - lines on stderr, for a person or for the journal
 *
 * Into the journal each line goes with its priority in front ("<6>"), as sd-daemon(3) has
 * it; elsewhere plain, with the program's name. Every call keeps errno. A command waits until
 * its line is written; the daemon never does (writer.h).
 *
 * One call is one line: what is no printable character of ASCII is written as \xNN, so that
 * nothing that a client says can look like a line of ours, or hide one.
 */
#ifndef DAEMON_BASE_LOG_H
#define DAEMON_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h>

/* plain: no prefixes even if stderr is the journal's. */
void log_init(bool plain);

/* For a daemon: nobody waits for stderr any more. Return: 0 or -errno: no thread. */
int log_start_writer(void);

/* Before the end: wait until all lines are written, but not for a stderr that takes none. */
void log_finish(void);

/* Up to which priority lines are written; LOG_INFO until then. */
void log_set_level(int priority);

void log_at(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_at(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_at(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

/* Text of our own making that is printable, and has line ends: each is a line. */
void log_lines(int priority, const char *lines);

/*
 * For lines that a client can cause as often as it likes: so many in ten seconds. How many were
 * left out is said before the next line of any kind after that, or at the end. Static.
 */
struct log_limit {
	const char *of;			/* what the lines are about, in the plural */
	unsigned int burst;
	unsigned int n_written;
	unsigned int n_dropped;
	int priority;			/* of the first that was */
	uint64_t window_ns;		/* when the current ten seconds began */
	struct log_limit *next;		/* that has left lines out */
};
#define LOG_LIMIT(what, n) { .of = (what), .burst = (n) }

/* Any thread. */
void log_limited(struct log_limit *limit, int priority, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A line of a terminal that is written again and again; it gives way to the next line. NULL:
 * none any more. */
void log_bar(const char *text);

/*
 * From now on, until called with NULL, the first line of that priority or worse is also
 * copied there: for who asked for what goes wrong.
 */
void log_keep(char *text, size_t size, int priority);

/* A size for people: "8.7 MiB". */
#define LOG_SIZE_BYTES 16
const char *log_size(char text[static LOG_SIZE_BYTES], uint64_t bytes);

#endif
