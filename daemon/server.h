/* SPDX-License-Identifier: MIT */
/*
 * server.h - the running daemon: owns everything, and the event loop
 *
 * One thread, one loop. Start: descriptors, locks, segments, socket, READY. Stop: the
 * segments stay for the next daemon, and living clients do not notice.
 */
#ifndef DAEMON_SERVER_H
#define DAEMON_SERVER_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/quota.h"
#include "daemon/config/conf.h"
#include "daemon/reload.h"
#include "daemon/segments/host.h"
#include "daemon/sessions/listener.h"
#include "daemon/sessions/session.h"

struct server {
	struct conf *conf;		/* in force */
	struct reload reload;
	struct event_base *base;
	uint8_t boot_id[16];
	uint64_t pid_namespace;
	struct listener listener;
	const char *socket_path;	/* of the command line, or NULL */
	struct session_list sessions;
	uint32_t n_at_door;
	struct quota quota;
	struct host_list hosts;		/* in the order of the config; then those that left it */
	uint64_t n_tenants;
	uint64_t n_reaping;		/* of them: their process has ended, or left */
	struct event sigterm;
	struct event sigint;
	struct event sighup;
	struct event watchdog;
	struct event status;		/* says how many, at most once a second */
	bool status_is_due;
	uint64_t status_ns;
};

/**
 * server_run() - run until TERM or INT
 * @conf:        taken over
 * @socket_path: where to listen instead of where the config says, or NULL
 *
 * Logs. Return: 0 or -errno.
 */
int server_run(struct conf *conf, const char *socket_path);

/* For a reload: the conf in force is another one; hosts know already. */
void server_conf_changed(struct server *server, const struct conf *before);

/* In the config in force. NULL: none of that name. An empty name: the first one. */
struct host *server_find_host(struct server *server, const char *name);

/**
 * server_find_tenant() - the living record of a client that says hello again
 * @name:       of a segment, or empty: the first one
 * @segment_id: 0: in whichever generation of the named segment; else in that one, whatever
 *		the name
 */
struct tenant *server_find_tenant(struct server *server, const char *name,
				  uint64_t segment_id, const struct newcomer *newcomer);

/* So many more, or fewer, tenants; something that the status line tells has changed. */
void server_count(struct server *server, int difference);
void server_changed(struct server *server);

/* Memory is being taken: tell the service manager that we live. */
void server_progress(struct server *server, const char *segment_name, uint64_t done_bytes,
		     uint64_t total_bytes);

#endif
