/* SPDX-License-Identifier: MIT */
/*
 * server.h - the running daemon: owns everything, and the event loop
 *
 * One thread, one loop. Start: descriptors, the state folder, segments, socket, READY. Stop: the
 * segments stay for the next daemon, and living clients do not notice.
 */
#ifndef DAEMON_SERVER_H
#define DAEMON_SERVER_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/chores.h"
#include "daemon/base/counters.h"
#include "daemon/base/quota.h"
#include "daemon/config/conf.h"
#include "daemon/reload.h"
#include "daemon/segments/host.h"
#include "daemon/segments/house.h"
#include "daemon/segments/place.h"
#include "daemon/segments/watch.h"
#include "daemon/sessions/listener.h"
#include "daemon/sessions/session.h"

struct server {
	struct conf *conf;		/* in force */
	const char *conf_error;		/* NULL; or why it is not that of the file (last.h) */
	struct reload reload;
	struct event_base *base;
	struct listener listener;
	const char *socket_path;	/* of the command line, or NULL */
	struct sessions sessions;
	struct quota quota;
	struct counters counters;
	struct chores chores;
	struct watches watches;
	struct house house;
	struct place place;
	struct hosts hosts;
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
 * @conf_error:  NULL; or what is wrong with the file, in the place of which @conf is in force
 *
 * Logs. Return: 0 or -errno.
 */
int server_run(struct conf *conf, const char *socket_path, const char *conf_error);

/* Its first half: everything is there, and nothing outside is touched. As server_run(). */
int server_init(struct server *server, struct conf *conf, const char *socket_path,
		const char *conf_error);

#endif
