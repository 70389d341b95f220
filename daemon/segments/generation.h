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
 * Everything that ends something (sweeps, freed records, removal) happens in one deferred
 * step, generation_kick(); whoever finds a process dead only marks it (tenant.h). So no caller
 * has a generation or tenant vanish under its feet, except in the step itself.
 */
#ifndef DAEMON_SEGMENTS_GENERATION_H
#define DAEMON_SEGMENTS_GENERATION_H

#include <event2/event_struct.h>
#include <sys/queue.h>

#include "daemon/segments/frozen.h"
#include "daemon/segments/peak.h"
#include "daemon/segments/reaper.h"
#include "daemon/segments/tenant.h"
#include "mempool_protocol.h"
#include "shm/segment.h"
#include "shm/sigbus.h"

struct generation;

/* Whose generations they are. */
struct generation_owner {
	const struct environment *environment;
	const char *segment_name;

	/* It has just become LOST. */
	void (*lost)(struct generation *generation);

	/* In the step: nobody is in it any more, and nobody new will be. It is to be freed. */
	void (*over)(struct generation *generation);
};

enum generation_state {
	GENERATION_CURRENT,
	GENERATION_RETIRED,
	GENERATION_LOST,
};

struct generation {
	TAILQ_ENTRY(generation) link;
	const struct generation_owner *owner;
	enum generation_state state;
	struct mempool_msg_place place;	/* what clients are told */
	struct segment *segment;	/* NULL: a layout that is not ours to touch */
	int fd;				/* of the object; owned where segment is NULL */
	struct sigbus_range range;
	struct tenants tenants;
	struct reaper reaper;
	struct peak peak;
	struct event step;		/* the deferred step */
};

/**
 * generation_new() - serve an object
 * @segment: taken over on success; NULL: a layout of another version
 * @frozen:  what is known of that; its fd is taken over on success
 *
 * Return: 0 or -ENOMEM.
 */
int generation_new(const struct generation_owner *owner, const char *shm_name,
		   struct segment *segment, const struct frozen *frozen,
		   struct generation **ret_generation);
void generation_free(struct generation *generation);

void generation_retire(struct generation *generation);

/* Give it up as LOST if it has been truncated. */
void generation_check(struct generation *generation);

/* A new tenant of a current one. As tenants_admit(). */
int generation_admit(struct generation *generation, const struct newcomer *newcomer,
		     int pidfd, struct tenant **ret_tenant);

/* Do soon what is to do. */
void generation_kick(struct generation *generation);

const char *generation_label(const struct generation *generation);

#endif
