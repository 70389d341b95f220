/* SPDX-License-Identifier: MIT */
/*
 * reload.h - the config is read again, and put in force as a whole or not at all
 *
 *	IDLE -> LOADING	the file is read and checked, names of users and groups are looked up
 *	     -> MAKING	all new segments and layouts are made, most of it taking their memory
 *	     -> IDLE	everything is there: it is put in force, and cannot fail any more
 *
 * Reading and making are done beside the event loop (worker.h): clients and the watchdog do
 * not notice. Until the last step nothing that is in force is touched, so whatever fails, and
 * a kill too, leaves what was.
 *
 * Who asks while one is under way is answered by the next one, which reads the file after the
 * question.
 */
#ifndef DAEMON_RELOAD_H
#define DAEMON_RELOAD_H

#include <event2/event_struct.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/worker.h"
#include "daemon/config/conf.h"
#include "mempool_protocol.h"

struct change;
struct server;
struct session;

enum reload_state {
	RELOAD_IDLE,
	RELOAD_LOADING,
	RELOAD_MAKING,
};

struct reload {
	struct server *server;
	enum reload_state state;
	uint64_t number;		/* of the one under way, or the last one */
	bool is_wanted;			/* one more, when this one is over */
	struct worker worker;
	struct event tick;		/* for the status line */
	struct mempool_msg_reloaded result;

	struct conf *conf;		/* what is to be put in force */
	struct conf_error error;
	int r;				/* of the worker */
	size_t n_changes;
	struct change *changes;		/* by segment of the conf */
	uint64_t total_bytes;		/* of all that is to be made */
	_Atomic uint64_t taken_bytes;
	_Atomic bool is_given_up;
};

void reload_init(struct reload *reload, struct server *server);

/* Give up the one under way. */
void reload_deinit(struct reload *reload);

/* session: NULL, or who is told of the result; it may have been, and be gone, at return. */
void reload_ask(struct reload *reload, struct session *session);

/* What the status line is to say of it; empty: nothing. Return: as snprintf(3). */
int reload_describe(const struct reload *reload, char *text, size_t size);

#endif
