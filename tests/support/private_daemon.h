/* SPDX-License-Identifier: MIT */
/*
 * private_daemon.h - the mempoold that was built, with a folder, socket, config and segment
 *		      of its own
 *
 * For benches and the storm, which start and kill it and measure how long that takes: READY
 * is waited for as a service manager does, by the socket that NOTIFY_SOCKET names. The
 * daemon dies with the process that started it. What goes wrong here ends the program with
 * a message: there is nothing to measure then.
 */
#ifndef TESTS_SUPPORT_PRIVATE_DAEMON_H
#define TESTS_SUPPORT_PRIVATE_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct private_daemon {
	pid_t pid;			/* 0: not running */
	int notify_fd;
	char folder[64];
	char socket_path[96];
	char config_path[96];
	char notify_path[96];
	char log_path[96];		/* what it writes, of all its lives */
	char segment[32];
};

/* The three pools of the installed config, for private_daemon_init(). */
extern const char private_daemon_guide_pools[];

/* Folder, names and config. segment_keys: "    key: value\n" each, `pools` among them. */
void private_daemon_init(struct private_daemon *daemon, const char *segment_keys);

/* Kill it and remove all, the objects in /dev/shm included. */
void private_daemon_deinit(struct private_daemon *daemon);

/* Start it and wait for READY. Return: seconds from fork to READY. */
double private_daemon_start(struct private_daemon *daemon);

/* Start it without waiting; what an earlier one said is forgotten. */
void private_daemon_spawn(struct private_daemon *daemon);

/* Whether it has said READY since it was spawned; waits for at most so long. */
bool private_daemon_is_ready(struct private_daemon *daemon, int timeout_ms);

/* SIGKILL, or SIGTERM and status 0; until it has ended. */
void private_daemon_kill(struct private_daemon *daemon);
void private_daemon_stop(struct private_daemon *daemon);

/* Remove the segment's objects: the next start makes a new one. */
void private_daemon_remove_objects(const struct private_daemon *daemon);

/*
 * The name of a segment's first object, as segment_open() takes it: it ends in numbers that only
 * the daemon knows beforehand.
 */
#define PRIVATE_DAEMON_NAME_BYTES 96
void private_daemon_object(const char *segment, char ret_name[static PRIVATE_DAEMON_NAME_BYTES]);

/* The end of its log, to stderr. */
void private_daemon_print_log(const struct private_daemon *daemon);

/* CLOCK_MONOTONIC in seconds. */
double seconds_now(void);

/* Print and exit(1). */
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
