/* SPDX-License-Identifier: MIT */
/*
 * generation.h - one shared-memory object that is served, and who lives in it
 *
 *	CURRENT		new clients go there
 *	RETIRED		another layout than the config asks for: its holders are watched and
 *			reaped until the last one is gone, then it is removed
 *	LOST		a client truncated it: nothing in it is read or written any more, its
 *			holders are watched until they end, then it is removed
 *
 * A tenant is the daemon's private record of a holder. It is made from the segment's holder
 * table once, at adoption, or from a hello; from then on the table is written, never read,
 * so that what a hostile client writes into it steers nobody.
 *
 *	LIVE -> REAPING -> gone		the process ended, or said goodbye
 *
 * Everything that ends something (sweeps, freed records, removal) happens in one deferred
 * step, generation_kick(); whoever finds a process dead only marks it. So no caller has a
 * generation or tenant vanish under its feet, except in the step itself.
 */
#ifndef DAEMON_SEGMENTS_GENERATION_H
#define DAEMON_SEGMENTS_GENERATION_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "daemon/base/quota.h"
#include "daemon/segments/environment.h"
#include "daemon/segments/frozen.h"
#include "daemon/segments/peak.h"
#include "daemon/segments/reaper.h"
#include "daemon/segments/store.h"
#include "mempool_layout.h"
#include "mempool_protocol.h"
#include "shm/segment.h"
#include "shm/sigbus.h"

struct host;

/* A connection, as segments know it: that of a tenant, or of one who waits to be one. */
struct visitor {
	TAILQ_ENTRY(visitor) link;
	struct tenant *tenant;		/* NULL: none */
	struct generation *waits_for;	/* to have a holder id free; NULL: it does not wait */
};

enum tenant_state {
	TENANT_LIVE,
	TENANT_REAPING,
};

struct tenant {
	struct generation *generation;
	uint32_t id;
	enum tenant_state state;
	pid_t pid;
	uint64_t start_time;
	uid_t uid;
	uint64_t nonce;
	uint32_t incarnation;
	char name[MEMPOOL_NAME_BYTES];
	int pidfd;			/* -1: not watched yet */
	struct event death;
	struct visitor *visitor;	/* NULL: detached */
	int wake_fd;			/* -1: it polls nothing; kept for those who wake it */
	struct quota_unit unit;		/* while detached */
};

/* Who asks for a holder. */
struct newcomer {
	pid_t pid;
	uint64_t start_time;
	uid_t uid;
	uint64_t nonce;
	const char *name;
};

enum generation_state {
	GENERATION_CURRENT,
	GENERATION_RETIRED,
	GENERATION_LOST,
};

struct generation {
	TAILQ_ENTRY(generation) link;
	struct host *host;
	const struct environment *environment;
	enum generation_state state;
	struct mempool_msg_place place;	/* what clients are told */
	struct segment *segment;	/* NULL: a layout that is not ours to touch */
	int fd;				/* of the object; owned where segment is NULL */
	struct sigbus_range range;
	uint32_t first_id;		/* of clients */
	uint32_t n_ids;
	uint32_t n_tenants;
	struct tenant **tenants;	/* by id */
	struct reaper reaper;
	struct peak peak;
	struct event step;		/* the deferred step */
	struct event rewatch;		/* try again to watch those who could not be */
	TAILQ_HEAD(, visitor) waiting;	/* for an id to be reaped */
};

/**
 * generation_new() - serve an object
 * @segment: taken over on success; NULL: a layout of another version
 * @frozen:  what is known of that; its fd is taken over on success
 *
 * Return: 0 or -ENOMEM.
 */
int generation_new(struct host *host, const char *shm_name, struct segment *segment,
		   const struct frozen *frozen, struct generation **ret_generation);
void generation_free(struct generation *generation);

/* Make tenants of who is in the holder table, and watch them. Return: 0 or -errno. */
int generation_adopt_tenants(struct generation *generation, const struct frozen *frozen);

/* Write ourselves into the holder table of a segment that nobody held anything of. */
void generation_set_daemon(struct generation *generation);

void generation_retire(struct generation *generation);

/* Give it up as LOST if it has been truncated. */
void generation_check(struct generation *generation);

/* The living tenant of a process and a nonce, or NULL. */
struct tenant *generation_find(struct generation *generation, const struct newcomer *newcomer);

/**
 * generation_admit() - a new tenant
 * @pidfd: of the newcomer; taken over on success
 *
 * Return: 0; -EAGAIN no id is free, but some are being reaped; -EUSERS none is free;
 *	   -ENOMEM.
 */
int generation_admit(struct generation *generation, const struct newcomer *newcomer,
		     int pidfd, struct tenant **ret_tenant);

/* For one that was told -EAGAIN: it is told when to try again. */
void generation_wait(struct generation *generation, struct visitor *visitor);
void generation_stop_waiting(struct visitor *visitor);

/* The living tenant of an id and incarnation, or NULL. */
struct tenant *generation_tenant(const struct generation *generation, uint32_t id,
				 uint32_t incarnation);

/* Tell all who poll to look again. */
void generation_tell_news(const struct generation *generation);

/* The tenant is gone, or as good as: what it held is freed in the next steps. */
void tenant_end(struct tenant *tenant);

/* Do soon what is to do; or in a second, since something was short. */
void generation_kick(struct generation *generation);
void generation_retry_soon(struct generation *generation);

/* For the reaper: the record has been swept and its id is free. */
void tenant_free(struct tenant *tenant);

const char *generation_label(const struct generation *generation);

#endif
