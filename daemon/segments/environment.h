/* SPDX-License-Identifier: MIT */
/*
 * environment.h - what segments are given, and whom they tell
 *
 * Segments know nothing of what stands above them, neither of connections nor of the server.
 * What they need is handed in here. What others have to know goes through a table of
 * functions that the server fills in.
 */
#ifndef DAEMON_SEGMENTS_ENVIRONMENT_H
#define DAEMON_SEGMENTS_ENVIRONMENT_H

#include <stdint.h>

#include "daemon/base/origin.h"

struct chores;
struct counters;
struct event_base;
struct house;
struct jobs;
struct quota;
struct visitor;
struct watches;

struct environment_fns {
	/* The process of a visitor's tenant has died, or the holder id that it waits for may be
	 * free, or what it polls has changed. The first two may end it. */
	void (*tenant_died)(struct visitor *visitor);
	void (*try_again)(struct visitor *visitor);
	void (*look_again)(struct visitor *visitor);

	/* Something that is counted: generations, or tenants. */
	void (*changed)(void *userdata);

	/* A segment is there, or could not be made: who waits for one is to try again. */
	void (*made)(void *userdata);

	/* Memory is being taken. */
	void (*progress)(const char *segment_name, uint64_t done_bytes, uint64_t total_bytes);
};

struct environment {
	struct event_base *base;
	struct chores *chores;
	struct watches *watches;
	struct quota *quota;
	struct counters *counters;
	const struct house *house;
	struct jobs *jobs;		/* what takes its time: one at a time */
	struct origin origin;
	const struct environment_fns *tell;
	void *userdata;			/* of changed and made */
};

#endif
