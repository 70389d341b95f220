/* SPDX-License-Identifier: MIT */
/*
 * tenant.h - who lives in a generation, in the daemon's own words
 *
 * A tenant is the daemon's view of a record of the state file (state.h). It is made from
 * that at adoption, or from a hello. The holder table of the segment has a copy for people
 * and for clients; it is written and never read.
 *
 *	LIVE -> REAPING -> gone		the process ended, or said goodbye
 *
 * To come: the record is LIVE, then the copy, then the client is told. To go: the record is
 * REAPING, then the copy, then what it held is swept; then the copy is FREE, and the record.
 * A daemon that is killed in between leaves a record that the next one knows what to do with.
 *
 * A process that cannot be seen, since its pid is of elsewhere, is neither dead nor alive. Its
 * lock (store.h) can show that it lives. Without that it is unverifiable: its tenant stays
 * until it comes back or an admin says that it is gone.
 *
 * Whoever finds a process dead only marks its tenant, and starts the chore of the generation,
 * in which the rest is done.
 */
#ifndef DAEMON_SEGMENTS_TENANT_H
#define DAEMON_SEGMENTS_TENANT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "daemon/base/chores.h"
#include "daemon/base/quota.h"
#include "daemon/segments/environment.h"
#include "daemon/segments/state.h"
#include "daemon/segments/watch.h"
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
	struct process process;
	uid_t uid;
	uint64_t nonce;
	uint64_t attached_ns;
	uint32_t incarnation;
	enum mempool_welcome_role role;	/* MEMBER or READER; as long as the record is */
	struct holder_bound bound;	/* that it was told when it came; as long as the record is */
	uint64_t reserves;		/* a bit per pool: those it may have chunks of; as long */
	bool has_membarrier;		/* else it is one of n_deaf */
	bool is_unseen;			/* its process is not visible, now or later */
	char name[MEMPOOL_NAME_BYTES];
	struct watched watched;		/* LIVE: by its process */
	int blind_error;		/* why it was not, when that was told last; 0: never */
	struct visitor *visitor;	/* NULL: detached */
	bool polls;			/* it wants to be told of news */
	int wake_fd;			/* a timerfd for it and for those who wake it; or -1 */
	struct quota_unit unit;		/* while detached */
};

/* What a tenant is found by, side by side: to look through all of them takes some microseconds. */
struct tenant_key {
	uint64_t nonce;			/* 0: there is nobody */
	uid_t uid;
};

/* All of a generation. */
struct tenants {
	const struct environment *environment;
	const struct mempool_msg_place *place;	/* what clients are told of the generation */
	struct state *state;
	struct segment *segment;	/* NULL: its holder table is not ours to touch */
	int fd;				/* of the object, for its locks */
	char label[MEMPOOL_NAME_BYTES + 32]; /* "mempool-NAME.GENERATION" */
	struct chore *step;		/* of the generation */
	struct chore news;		/* tell all who poll to look again */
	uint32_t news_id;		/* the next one to be told */
	struct chore tries;		/* of those who wait */
	uint32_t n_tries;		/* left */
	uint32_t first_id;		/* of clients */
	uint32_t n_ids;
	uint32_t n;
	uint32_t n_reaping;		/* of them */
	uint32_t n_deaf;		/* of them: without membarrier(2) */
	struct tenant **by_id;
	struct tenant_key *keys;	/* by id */
	TAILQ_HEAD(, visitor) waiting;	/* for an id to be reaped */
	uint32_t n_waiting;
};

/* Who asks for a holder. */
struct newcomer {
	struct process process;
	uid_t uid;
	uint64_t nonce;
	bool has_membarrier;
	enum mempool_welcome_role role;	/* that it gets if it is new: MEMBER or READER */
	struct holder_bound bound;	/* the same */
	uint64_t reserves;		/* and these */
	const char *name;
};

/**
 * tenants_init() - nobody yet
 * @state:   outlives it
 * @segment: NULL: of another layout
 * @fd:      of the object
 * @step:    what has to be done for tenants that end is done there
 *
 * Return: 0 or -ENOMEM.
 */
int tenants_init(struct tenants *tenants, const struct environment *environment,
		 const struct mempool_msg_place *place, struct state *state,
		 struct segment *segment, int fd, struct chore *step);
void tenants_deinit(struct tenants *tenants);

/* The generation as people know it. */
const char *tenants_label(const struct tenants *tenants);

/**
 * tenants_adopt() - those of the daemon before us
 *
 * Whoever lives is watched, whoever is dead is reaped, and all copies in the holder table
 * become what the state file says. Return: 0 or -ENOMEM.
 */
int tenants_adopt(struct tenants *tenants);

/**
 * tenants_admit() - a new tenant
 * @pidfd: of the newcomer; taken over, and set to -1, unless its process is watched already
 *
 * Return: 0; -EAGAIN no id is free, but some are being reaped; -EUSERS none is free;
 *	   -ENOMEM.
 */
int tenants_admit(struct tenants *tenants, const struct newcomer *newcomer, int *pidfd,
		  struct tenant **ret_tenant);

/* For one that was told -EAGAIN: it is told when to try again. The second kicks the step, for
 * which it may be the last one to wait. */
void tenants_wait(struct tenants *tenants, struct visitor *visitor);
void tenants_stop_waiting(struct visitor *visitor);

/* Each that waits tries once, soon. */
void tenants_try_again(struct tenants *tenants);

/* The living tenant of a nonce and its process, or of an id and incarnation; or NULL. A process
 * that could not be seen is known by its nonce, which nobody else has, and its user. */
struct tenant *tenants_find(const struct tenants *tenants, const struct newcomer *newcomer);
const struct tenant *tenants_get_living(const struct tenants *tenants, uint32_t id);
struct tenant *tenants_get(const struct tenants *tenants, uint32_t id, uint32_t incarnation);

/* Whether a process of this user is in it. */
bool tenants_have_user(const struct tenants *tenants, uid_t uid);

/* Tell all who poll to look again, soon. */
void tenants_tell_news(struct tenants *tenants);

/* Write ourselves into the holder table of a segment that nobody held anything of. */
void tenants_set_daemon(const struct tenants *tenants);

/**
 * tenant_come_back() - the process of a tenant has said hello again
 * @pidfd: of it; taken over, and set to -1, where it was not watched
 */
void tenant_come_back(struct tenant *tenant, const struct newcomer *newcomer, int *pidfd);

/*
 * What its record has to say besides, for a daemon that may be refused pidfds: once the tenant has
 * been answered, since /proc takes longer than all else that is to be done for it.
 */
void tenant_look_up(struct tenant *tenant);

/* Its process can issue no membarrier(2) any more, and is one of n_deaf from here on. */
void tenant_lose_membarrier(struct tenant *tenant);

/* The tenant is gone, or as good as: what it held is freed in the next steps. */
void tenant_end(struct tenant *tenant);

/* So is one of them, whether its process lives or not. Return: whether there was one. */
bool tenants_give_up(struct tenants *tenants);

/**
 * tenants_forget() - an admin says that a process which nobody can see is gone
 *
 * Return: 0; -ENOENT there is no such holder; -EBUSY it is seen to live.
 */
int tenants_forget(struct tenants *tenants, uint32_t id);

/* In the step: the record has been swept, or cannot be, and its id is free. */
void tenant_release(struct tenant *tenant);

#endif
