/* SPDX-License-Identifier: MIT */
/*
 * reload.h - the config is read again, and put in force as a whole or not at all
 *
 *	IDLE -> LOADING	the file is read and checked, names of users and groups are looked up
 *	     -> WAITING	for the end of a segment that is just being made anew
 *	     -> MAKING	all new segments and layouts are made, most of it taking their memory
 *	     -> IDLE	everything is there: it is put in force, and cannot fail any more
 *
 * Reading and making are done beside the event loop (worker.h): clients and the watchdog do
 * not notice. From WAITING on nobody else makes a segment (jobs.h): so each host is as it was
 * planned, whatever is taken out of the config stands still, and memory is counted once. A
 * segment that is lost meanwhile is made when the reload is over. Until the last step nothing
 * that is in force is touched, so whatever fails, and a kill too, leaves what was.
 *
 * What becomes of messages in old layouts is counted meanwhile (forecast.h): they move when it is
 * in force (daemon/segments/move.h). A dry run ends there.
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
#include "daemon/forecast.h"
#include "mempool_protocol.h"

struct change;
struct hosts;

/* What others have to do about it. */
struct reload_fns {
	/* All of it is in force but this: theirs to keep, in place of the conf before. */
	void (*in_force)(struct conf *conf, void *userdata);

	/* There is news for the status line. */
	void (*changed)(void *userdata);

	/* The one of that number is over; sent to whoever asked. forecast: of a dry run, what would
	 * be done; else NULL. */
	void (*over)(uint64_t number, struct mempool_msg_reloaded *result, const char *forecast,
		     void *userdata);
};

enum reload_state {
	RELOAD_IDLE,
	RELOAD_LOADING,
	RELOAD_WAITING,
	RELOAD_MAKING,
};

struct reload {
	struct event_base *base;
	struct hosts *hosts;
	const struct reload_fns *tell;
	void *userdata;
	const char *path;		/* of the conf in force */
	enum reload_state state;
	uint64_t number;		/* of the one under way, or the last one */
	uint32_t flags;			/* of it: enum mempool_reload_flags */
	bool is_wanted;			/* one more, when this one is over */
	uint32_t wanted_flags;
	struct worker worker;
	struct event tick;		/* for the status line */
	struct mempool_msg_reloaded result;

	struct conf *conf;		/* what is to be put in force */
	struct conf_error error;
	int r;				/* of the worker */
	size_t n_changes;
	struct change *changes;		/* by segment of the conf */
	struct forecast forecast;	/* of messages */
	uint64_t total_bytes;		/* of all that is to be made */
	_Atomic uint64_t taken_bytes;
	_Atomic bool is_given_up;
};

/* conf: in force. */
void reload_init(struct reload *reload, struct event_base *base, struct hosts *hosts,
		 const struct conf *conf, const struct reload_fns *tell, void *userdata);

/* Give up the one under way. Return: false, it hangs (worker.h): hosts and house stay, for it
 * may use them. */
bool reload_deinit(struct reload *reload);

/**
 * reload_ask() - one more, that begins from now on
 * @flags:	enum mempool_reload_flags; of several that are one, messages are dropped if one
 *		of them says so
 * @ret_number: NULL, or set to its number before it begins; so it may be over at return
 *
 * Return: 0; -EBUSY a dry run tells of what is in force, and another reload is under way.
 */
int reload_ask(struct reload *reload, uint32_t flags, uint64_t *ret_number);

/* What the status line is to say of it; empty: nothing. Return: as snprintf(3). */
int reload_describe(const struct reload *reload, char *text, size_t size);

#endif
