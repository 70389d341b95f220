/* SPDX-License-Identifier: MIT */
/*
 * tenant.h - who lives in a generation, in the daemon's own words
 *
 * A tenant is the daemon's private record of a holder. It is made from the segment's holder
 * table once, at adoption, or from a hello; from then on the table is written, never read,
 * so that what a hostile client writes into it steers nobody.
 *
 *	LIVE -> REAPING -> gone		the process ended, or said goodbye
 *
 * Whoever finds a process dead only marks its tenant, and kicks the step of the generation,
 * in which the rest is done.
 */
#ifndef DAEMON_SEGMENTS_TENANT_H
#define DAEMON_SEGMENTS_TENANT_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "daemon/base/quota.h"
#include "daemon/segments/environment.h"
#include "mempool_layout.h"
#include "mempool_protocol.h"
#include "shm/segment.h"

/* A connection, as segments know it: that of a tenant, or of one who waits to be one. */
struct visitor {
	TAILQ_ENTRY(visitor) link;
	struct tenant *tenant;		/* NULL: none */
	struct tenants *waits_for;	/* to have an id free; NULL: it does not wait */
};

enum tenant_state {
	TENANT_LIVE,
	TENANT_REAPING,
};

struct tenant {
	struct tenants *tenants;
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
	bool is_owed_news;		/* somebody has asked for that one before it came */
	struct quota_unit unit;		/* while detached */
};

/* All of a generation. */
struct tenants {
	const struct environment *environment;
	const struct mempool_msg_place *place;	/* what clients are told of the generation */
	struct segment *segment;	/* NULL: its holder table is not ours to touch */
	struct event *step;		/* of the generation */
	struct event rewatch;		/* try again to watch those who could not be */
	uint32_t first_id;		/* of clients */
	uint32_t n_ids;
	uint32_t n;
	struct tenant **by_id;
	TAILQ_HEAD(, visitor) waiting;	/* for an id to be reaped */
};

/* Who asks for a holder. */
struct newcomer {
	pid_t pid;
	uint64_t start_time;
	uid_t uid;
	uint64_t nonce;
	const char *name;
};

/**
 * tenants_init() - nobody yet
 * @segment: NULL: of another layout
 * @n_ids:   holders that it has room for
 * @step:    a timer; what has to be done for tenants that end is done there
 *
 * Return: 0 or -ENOMEM.
 */
int tenants_init(struct tenants *tenants, const struct environment *environment,
		 const struct mempool_msg_place *place, struct segment *segment,
		 uint32_t n_ids, struct event *step);
void tenants_deinit(struct tenants *tenants);

/* The generation as people know it. */
const char *tenants_label(const struct tenants *tenants);

/**
 * tenants_adopt() - a tenant of the daemon before us
 * @is_live: whether its record says so; it is watched, or found dead
 *
 * Return: 0 or -ENOMEM.
 */
int tenants_adopt(struct tenants *tenants, uint32_t id, const struct newcomer *newcomer,
		  uint32_t incarnation, bool is_live);

/**
 * tenants_admit() - a new tenant
 * @pidfd: of the newcomer; taken over on success
 *
 * Return: 0; -EAGAIN no id is free, but some are being reaped; -EUSERS none is free;
 *	   -ENOMEM.
 */
int tenants_admit(struct tenants *tenants, const struct newcomer *newcomer, int pidfd,
		  struct tenant **ret_tenant);

/* For one that was told -EAGAIN: it is told when to try again. The second kicks the step, for
 * which it may be the last one to wait. */
void tenants_wait(struct tenants *tenants, struct visitor *visitor);
void tenants_stop_waiting(struct visitor *visitor);

/* Each that waits tries once. */
void tenants_try_again(struct tenants *tenants);

/* The living tenant of a process and a nonce, or of an id and incarnation; or NULL. */
struct tenant *tenants_find(const struct tenants *tenants, const struct newcomer *newcomer);
struct tenant *tenants_get(const struct tenants *tenants, uint32_t id, uint32_t incarnation);

/* Tell all who poll to look again. */
void tenants_tell_news(const struct tenants *tenants);

/* Write ourselves into the holder table of a segment that nobody held anything of. */
void tenants_set_daemon(const struct tenants *tenants);

/* The tenant is gone, or as good as: what it held is freed in the next steps. */
void tenant_end(struct tenant *tenant);

/* In the step: the record has been swept, or cannot be, and its id is free. */
void tenant_free(struct tenant *tenant);
void tenants_free_dead(struct tenants *tenants);

#endif
