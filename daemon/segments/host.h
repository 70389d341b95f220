/* SPDX-License-Identifier: MIT */
/*
 * host.h - one segment of the config: its generations
 *
 * At most one generation is current and takes new clients; the others are on their way
 * out. Numbers only go up.
 *
 * At the start a generation is made before anybody is let in. Later it is made in a thread
 * (jobs.h), and those who come meanwhile wait for it: hours may pass until the memory of a
 * large one is there, and the loop is everybody's.
 *
 * A host whose segment has left the config has none that is current, and goes with the last;
 * whether it left while this daemon ran, or while there was none.
 */
#ifndef DAEMON_SEGMENTS_HOST_H
#define DAEMON_SEGMENTS_HOST_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/base/jobs.h"
#include "daemon/config/segment.h"
#include "daemon/segments/build.h"
#include "daemon/segments/environment.h"
#include "daemon/segments/generation.h"
#include "daemon/segments/move.h"

#define HOST_WHY_BYTES 200

struct host {
	TAILQ_ENTRY(host) link;
	struct hosts *hosts;
	struct generation_owner owner;
	char name[MEMPOOL_NAME_BYTES];
	const struct conf_segment *conf;	/* NULL: no longer in the config */
	struct generation *current;	/* NULL: lost, or there was no adopting or making one */
	struct generation_list generations;
	struct mover mover;		/* of messages, to the current one */
	uint64_t next_number;
	int error;			/* of the last try, if there is no current one */
	char why[HOST_WHY_BYTES];	/* the same, for people */
	uint32_t n_failures;
	uint64_t not_before_ns;		/* the next try */
	struct event retry;
	struct job making;		/* a new generation, while the loop runs */
	struct build build;		/* of it */
	uint64_t begun_ns;
	int made;			/* what the thread came to, of either job */
	struct job filling;		/* prefault and lock what was adopted, while the loop runs */
	bool is_to_fill;		/* the current one was adopted, and that is still to do */
	struct generation *filled;	/* under way: this one, so */
	struct pages pages;
	bool is_found;			/* what was left of it is adopted or removed */
	bool is_fresh;			/* host_open() created it */
	bool is_pinned;			/* a reload refers to it */
};

TAILQ_HEAD(host_list, host);

/* All of a daemon. */
struct hosts {
	struct host_list list;		/* in the order of the config; then those that left it */
	struct environment environment;
	struct jobs jobs;		/* of the environment */
};

/* Whether the config in force has it or not. NULL: there is none. */
struct host *hosts_get(const struct hosts *hosts, const char *name);

/* In the config in force. NULL: none of that name. An empty name: the first one. */
struct host *hosts_find(const struct hosts *hosts, const char *name);

/**
 * hosts_find_tenant() - the living record of a client that says hello again
 * @name:       of a segment, or empty: the first one
 * @segment_id: 0: in whichever generation of the named segment; else in that one, whatever
 *		the name
 */
struct tenant *hosts_find_tenant(const struct hosts *hosts, const char *name,
				 uint64_t segment_id, const struct newcomer *newcomer);

/* Whether nothing of that segment is here, nor may be found later: who comes back to it is told so. */
bool hosts_lack(const struct hosts *hosts, uint64_t segment_id);

/* We end: whose memory ends with us is said. */
void hosts_tell_end(const struct hosts *hosts);

/* Give up all moves, before hosts are freed. Return: as worker_stop(). */
bool hosts_stop(struct hosts *hosts);

/* One more, behind the others. conf: NULL: not in the config. NULL: no memory. */
struct host *hosts_add(struct hosts *hosts, const char *name, const struct conf_segment *conf);

/* Another config is in force. NULL: it has no such segment. */
void host_set_conf(struct host *host, const struct conf_segment *conf);

/* One more for each segment that has state files, and is not in the config. Return: 0; -errno. */
int hosts_add_left(struct hosts *hosts);

/* Free what is private; the objects stay. It is in no list any more. */
void host_free(struct host *host);

/**
 * host_open() - adopt what is there, or create, as the open mode says
 *
 * Of a segment that is not in the config: watch who lives in it, and remove the rest.
 * Logs what it finds, does and cannot do. What fails is tried again later: a segment fails
 * alone. Return: 0 or -errno.
 */
int host_open(struct host *host);

/*
 * Its two halves, between which a new current generation may be made. To find: adopt what is
 * there, and watch who lives in the rest of it. To settle: retire all that is not current.
 */
int host_find(struct host *host);
void host_settle(struct host *host);

/* It could not be found: that is tried again later. */
void host_find_later(struct host *host);

/* Whether the current generation has the layout that the config asks for. */
bool host_fits(const struct host *host, const struct conf_segment *conf);

/* Messages in all that is not current are dropped, where they have no place in what is. */
void host_discard(struct host *host);

/* A new generation, as it was built, is the current one; what was is retired by host_settle(). */
void host_take_up(struct host *host, struct generation *generation, const struct build *build);


/* Free it, if it is not in the config, nothing is left of it, and no reload refers to it. */
void host_free_if_over(struct host *host);

/* A reload refers to it, until it is unpinned, which may free it. */
void host_pin(struct host *host);
void host_unpin(struct host *host);

/* The start failed later on: remove what host_open() created, which nobody can be in yet. */
void host_undo(struct host *host);

/* The generation for new clients, or NULL. One that was lost is made anew, unless that was tried
 * a moment ago. */
struct generation *host_current(struct host *host);

/* One is being made, or will be as soon as others are; or it is there, and closed until older
 * messages have been moved to it: wait for environment_fns.made. */
bool host_is_coming(const struct host *host);

#endif
