/* SPDX-License-Identifier: MIT */
/*
 * attach.h - for commands that read or publish messages: a client of the segment, as every program is
 *
 * An observer gets counts, and no message. What a message says is for whom the daemon lets attach; so
 * these commands go through the library, with the role that their user has. Those that read hold
 * nothing, and write to nothing but their own place in the table of subscribers.
 */
#ifndef CTL_ATTACH_H
#define CTL_ATTACH_H

#include <stdbool.h>
#include <stdint.h>

#include "ctl.h"
#include "mempool.h"

/* Open a client by the options. Return: CTL_OK; else it was said why not. */
enum ctl_exit attach(const struct ctl_options *options, const char *name, uint64_t flags,
		     struct mempool_client **ret_client);

/* Whether the command line names a topic or queue behind its first argument, a file; or none at all. */
bool attach_is_named(const struct ctl_options *options, const char *name);

/* SIGINT, SIGTERM and SIGHUP no longer end the program, but waits, and set attach_is_stopped(). */
void attach_catch_signals(void);
bool attach_is_stopped(void);

/*
 * What somebody who looks again and again sleeps in between: little after a message, more and more
 * while nothing comes. Nobody wakes him: that is what it costs nobody.
 */
struct nap {
	int64_t ns;
};
void nap_reset(struct nap *nap);
void nap_take(struct nap *nap);

#endif
