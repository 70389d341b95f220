/* SPDX-License-Identifier: MIT */
/*
 * ctl.h - what the commands of mempoolctl share: options, exit codes, messages
 *
 * A command is a file with a function, a row in command.c, and an item in mempoolctl(1).
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <stdbool.h>
#include <stdint.h>

#include "content.h"

#define CTL_DEFAULT_LISTEN "127.0.0.1:9764"

enum ctl_exit {
	CTL_OK = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 64,			/* EX_USAGE of sysexits(3) */
	CTL_NO_DAEMON = 69,		/* EX_UNAVAILABLE */
	CTL_CONFIG = 78,		/* EX_CONFIG */
};

/* What `chunks` has a line for. */
enum ctl_by {
	CTL_BY_NOTHING,			/* each chunk */
	CTL_BY_SITE,
	CTL_BY_HOLDER,
};

struct ctl_options {
	const char *socket_path;
	const char *segment;		/* NULL: all of them */
	const char *shm_name;		/* not NULL: read this object, ask no daemon */
	bool json;
	bool audit;			/* check the segments, too */
	bool chunks;			/* list what is held, too */
	enum ctl_by by;
	uint64_t older_ns;		/* only what is held for so long; 0: all */
	bool has_pool;
	uint32_t pool;			/* only of this one */
	uint64_t interval_ns;		/* between two looks */
	uint64_t count;			/* of looks or messages; 0: without end */
	double speed;			/* of a replay; 0: as fast as it goes */
	enum content_as as;		/* what a message says */
	const char *queue;		/* list what waits in it, up to `count` */
	uint64_t from_ns;		/* a recording from so long after its beginning on */
	const char *listen;		/* where to serve */
	bool force;			/* SIGKILL */
	bool yes;			/* do not ask */
	bool discard;			/* messages without a place in a new layout */
	bool suggest;			/* pools for a config */
	bool dry_run;			/* say what a reload would do */
	char **arguments;		/* of the command, closed by a NULL */
};

/* A line on standard error, with the program's name before it and a newline behind. */
void ctl_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * What this thread says goes to a function instead, a line without the program's name and the
 * newline at a time; NULL: to standard error again.
 */
typedef void (*ctl_error_fn)(const char *text, void *userdata);
void ctl_error_to(ctl_error_fn function, void *userdata);

/* For what serves: from now on nobody waits for standard error (base/writer.h). Return: 0 or
 * -errno. Before the end, wait until all is written, but not for ever. */
int ctl_error_start_writer(void);
void ctl_error_finish(void);

/* Say why the daemon could not be asked, or what it refused. */
enum ctl_exit ctl_explain(const char *socket_path, int error, const char *reason);

enum ctl_exit ctl_audit(const struct ctl_options *options);
enum ctl_exit ctl_check_config(const struct ctl_options *options);
enum ctl_exit ctl_chunks(const struct ctl_options *options);
enum ctl_exit ctl_dump(const struct ctl_options *options);
enum ctl_exit ctl_holders(const struct ctl_options *options);
enum ctl_exit ctl_kill(const struct ctl_options *options);
enum ctl_exit ctl_metrics(const struct ctl_options *options);
enum ctl_exit ctl_ping(const struct ctl_options *options);
enum ctl_exit ctl_pools(const struct ctl_options *options);
enum ctl_exit ctl_queue_drain(const struct ctl_options *options);
enum ctl_exit ctl_queue_peek(const struct ctl_options *options);
enum ctl_exit ctl_queues(const struct ctl_options *options);
enum ctl_exit ctl_record(const struct ctl_options *options);
enum ctl_exit ctl_reload(const struct ctl_options *options);
enum ctl_exit ctl_replay(const struct ctl_options *options);
enum ctl_exit ctl_serve(const struct ctl_options *options);
enum ctl_exit ctl_subscribers(const struct ctl_options *options);
enum ctl_exit ctl_status(const struct ctl_options *options);
enum ctl_exit ctl_top(const struct ctl_options *options);
enum ctl_exit ctl_forget(const struct ctl_options *options);
enum ctl_exit ctl_topic_drain(const struct ctl_options *options);
enum ctl_exit ctl_topic_peek(const struct ctl_options *options);
enum ctl_exit ctl_topic_tail(const struct ctl_options *options);
enum ctl_exit ctl_topics(const struct ctl_options *options);
enum ctl_exit ctl_watch(const struct ctl_options *options);

#endif
