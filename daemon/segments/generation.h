/* SPDX-License-Identifier: MIT */
/*
 * generation.h - the two objects of a segment that is served, and who lives in it
 *
 *	CURRENT		new clients go there
 *	RETIRED		another layout than the config asks for: its holders are watched and
 *			reaped until the last one is gone, then it is removed
 *	LOST		a client truncated it: nothing in it is read or written any more, and it
 *			is emptied, so that it takes no memory. Its holders are watched until
 *			they end, or until another one is lost (generation_give_up()); then it is
 *			removed
 *
 * What is known of it stands in its state file; the header and the tables of the segment are
 * copies.
 *
 * Everything that ends something (sweeps, freed records, removal) happens in a chore of the
 * loop (daemon/base/chores.h), generation_kick(); whoever finds a process dead only marks it
 * (tenant.h). So no caller has a generation or tenant vanish under its feet, except in the
 * chore itself.
 */
#ifndef DAEMON_SEGMENTS_GENERATION_H
#define DAEMON_SEGMENTS_GENERATION_H

#include <event2/event_struct.h>
#include <sys/queue.h>

#include "daemon/base/chores.h"
#include "daemon/base/jobs.h"
#include "daemon/segments/claims.h"
#include "daemon/segments/peak.h"
#include "daemon/segments/reaper.h"
#include "daemon/segments/state.h"
#include "daemon/segments/tenant.h"
#include "mempool_protocol.h"
#include "shm/move.h"
#include "shm/segment.h"
#include "shm/sigbus.h"

struct generation;

/* Whose generations they are. */
struct generation_owner {
	const struct environment *environment;
	const char *segment_name;
	bool plain_claims;		/* as the config has it; claims_kick() behind a change */

	/* It has just become LOST, or nobody new can come to it any more. */
	void (*lost)(struct generation *generation);

	/* In the step: its dead are swept. */
	void (*swept)(struct generation *generation);

	/* In the step, after that: nobody is in it any more, and nobody new will be. It is to be
	 * freed, if nothing else keeps it. */
	void (*over)(struct generation *generation);
};

/* What has become of the messages of a retired one (move.h). */
struct generation_moves {
	bool is_over;			/* there are none left */
	bool is_tried;			/* all that finds a place has found it */
	struct move_counts counts;	/* since the daemon began */
	char why[MOVE_WHY_BYTES];	/* why those that wait have no place */
};

enum generation_state {
	GENERATION_CURRENT,
	GENERATION_RETIRED,
	GENERATION_LOST,
};

enum generation_peer {
	GENERATION_MEMBER,
	GENERATION_READER,
	GENERATION_SPECTATOR,
	GENERATION_OBSERVER,
};

/* What a peer is passed of a generation, in the order of enum mempool_passed. */
struct generation_passed {
	int fds[MEMPOOL_PASSED_MAX];
	uint32_t n;
};

struct generation {
	TAILQ_ENTRY(generation) link;
	const struct generation_owner *owner;
	enum generation_state state;
	struct mempool_msg_place place;	/* what clients are told */
	struct state *file;		/* its state file */
	int kept;			/* of a memfd: 0 the service manager has it; -errno why not */
	struct segment *segment;	/* NULL: of another layout, or LOST from the start */
	struct segment_fds fds;		/* of the objects; owned where segment is NULL */
	int shape_fd;			/* of its shape; -1: nobody has asked */
	/* For the next of each role, observers apart; none: opened when it comes. */
	struct generation_passed ahead[GENERATION_OBSERVER];
	struct sigbus_range range;
	struct tenants tenants;
	struct reaper reaper;
	struct peak peak;
	struct claims claims;
	struct generation_moves moves;
	uint64_t n_moved_here;		/* messages, from those before it */
	uint32_t n_pins;		/* of threads and chores that are at it */
	struct chore step;
	struct chore wake;		/* RETIRED: those who sleep in it, */
	struct segment_wakes wakes;	/* so far */
	struct event later;		/* the step again, when there may be memory */
	struct job emptying;		/* LOST */
	int emptied;			/* 0 or -errno */
	bool is_given_up;		/* LOST, and so is a later one */
	bool is_busy;			/* a thread is at its pages: it is not over yet */
};

TAILQ_HEAD(generation_list, generation);

/**
 * generation_new() - serve a segment
 * @file:    taken over on success
 * @segment: taken over on success; NULL: there is none that we can work on
 * @fds:     of the objects; taken over on success where there is no segment, which has them
 *
 * Return: 0 or -ENOMEM.
 */
int generation_new(const struct generation_owner *owner, struct state *file,
		   struct segment *segment, struct segment_fds fds,
		   struct generation **ret_generation);
void generation_free(struct generation *generation);

/**
 * generation_adopt() - go on where the daemon before us ended
 *
 * The header and the tables of the segment become what the state file says. Those who live
 * are watched, those who died are reaped. Return: 0 or -ENOMEM.
 */
int generation_adopt(struct generation *generation);

void generation_retire(struct generation *generation);

/* Of one that is LOST: it is over for its tenants, though their processes live. They hold nothing
 * there, and would be told that it is stale when they come back. */
void generation_give_up(struct generation *generation);

/* Whether no living client is in it; and whether the dead are swept, too, and it is our own. */
bool generation_is_deserted(const struct generation *generation);
bool generation_is_at_rest(const struct generation *generation);

/* A thread or a chore is at it: meanwhile it is not freed, and no other one moves its messages. */
void generation_pin(struct generation *generation);
void generation_unpin(struct generation *generation);

/*
 * See what members have done to the objects: with one truncated, it is LOST; without one of its
 * names, it is retired, since no daemon after us could find it; enlarged, it is cut back.
 */
void generation_check(struct generation *generation);

/* A new tenant of a current one. As tenants_admit(); -EAGAIN also while claims by stores end for it, and
 * -EPERM where that cannot be, for want of membarrier(2). */
int generation_admit(struct generation *generation, const struct newcomer *newcomer,
		     int *pidfd, struct tenant **ret_tenant);

/* Whose tenants they are. */
struct generation *generation_of(const struct tenants *tenants);

/**
 * generation_open() - the descriptors for one peer
 * @whom: members get both objects for reading and writing, and one more for the lock; readers the
 *	  same, but data for reading; spectators both for reading; observers control for reading
 *
 * The object is opened anew for each peer, so that nobody shares an open file, with its locks,
 * with us or with another peer. All share the file of the shape (shm/shape.h), which is made when
 * somebody first asks.
 *
 * Return: 0; -ENODATA it is of another layout, whose shape is not known; -errno. On error there
 *	   are none. generation_close_passed() closes ours, once they are sent.
 */
int generation_open(struct generation *generation, enum generation_peer whom,
		    struct generation_passed *ret_passed);
void generation_close_passed(struct generation_passed *passed);

/* Open those for the next such peer, no observer, now that nobody waits for it. Where that fails, it
 * is tried again when one comes. */
void generation_open_ahead(struct generation *generation, enum generation_peer whom);

/* Do soon what is to do. */
void generation_kick(struct generation *generation);

const char *generation_label(const struct generation *generation);

#endif
