/* SPDX-License-Identifier: MIT */
#include "daemon/sessions/drain.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/segments/host.h"
#include "daemon/sessions/observer.h"
#include "daemon/sessions/session.h"
#include "shm/drain.h"
#include "shm/queue.h"
#include "shm/role.h"

#define STEP_SLOTS 1024

struct session_drain {
	TAILQ_ENTRY(session_drain) link;
	struct chore step;
	struct sessions *sessions;
	uint64_t number;		/* who awaits it is answered */
	uid_t uid;			/* that has asked */
	struct generation *generation;	/* pinned */
	struct drain drain;
};

static struct session *find_session(const struct session_drain *drain)
{
	struct session *session;

	TAILQ_FOREACH(session, &drain->sessions->list, link)
		if (session->awaits_drain == drain->number)
			break;
	return session;
}

static void answer(const struct session_drain *drain)
{
	struct mempool_msg_drained drained = {
		.n_messages = drain->drain.n_messages,
		.n_freed = drain->drain.n_freed,
	};
	struct session *session = find_session(drain);

	if (!session)
		return;
	session->awaits_drain = 0;
	session_fill(&drained.msg, MEMPOOL_MSG_DRAINED, sizeof(drained));
	if (event_add(&session->readable, NULL) < 0 ||
	    session_send(session, &drained, sizeof(drained)) < 0)
		session_free(session);
}

static void end(struct session_drain *drain)
{
	chore_stop(&drain->step);
	TAILQ_REMOVE(&drain->sessions->drains, drain, link);
	generation_unpin(drain->generation);
	free(drain);
}

static const char *kind_name(enum mempool_ring_kind kind)
{
	return kind == MEMPOOL_RING_TOPIC ? "topic" : "queue";
}

static bool step(void *userdata)
{
	struct session_drain *drain = userdata;
	struct generation *generation = drain->generation;
	const struct config_ring *ring;

	/* What was truncated meanwhile has nothing to drain. */
	if (generation->state != GENERATION_LOST && !sigbus_was_hit(&generation->range) &&
	    !drain_step(&drain->drain, STEP_SLOTS))
		return true;
	ring = &generation->segment->config.rings[drain->drain.ring];
	log_notice("uid %u drained %s '%s' of %s: %llu messages, %llu chunks freed%s",
		   (unsigned int)drain->uid, kind_name(ring->kind), ring->name,
		   generation_label(generation), (unsigned long long)drain->drain.n_messages,
		   (unsigned long long)drain->drain.n_freed,
		   drain->drain.is_refused ? "; a receiver came, the rest is its" : "");
	tenants_tell_news(&generation->tenants);
	answer(drain);
	end(drain);
	return false;
}

static void begin(struct session *session, struct generation *generation, uint32_t ring)
{
	struct sessions *sessions = session->sessions;
	struct session_drain *drain = calloc(1, sizeof(*drain));

	if (!drain) {
		session_refuse(session, -ENOMEM, "out of memory");
		return;
	}
	drain_init(&drain->drain, generation->segment, ring, MEMPOOL_HOLDER_DAEMON_ID);
	drain->sessions = sessions;
	drain->number = ++sessions->n_drains;
	drain->uid = session->peer.uid;
	drain->generation = generation;
	generation_pin(generation);
	TAILQ_INSERT_TAIL(&sessions->drains, drain, link);
	chore_init(&drain->step, sessions->chores, step, drain);
	chore_start(&drain->step);
	session->awaits_drain = drain->number;
	event_del(&session->readable);
}

/* The one receiver that a queue has, which alone takes messages out. */
static bool has_receiver(const struct segment *segment, uint32_t ring)
{
	return role_is_of(&segment->config.rings[ring], MEMPOOL_END_RECEIVER) &&
	       role_look(&segment->rings[ring], MEMPOOL_END_RECEIVER) != 0;
}

void session_drain_begin(struct session *session, const char segment[static MEMPOOL_NAME_BYTES],
			 const char name[static MEMPOOL_NAME_BYTES], enum mempool_ring_kind kind)
{
	struct host *host;
	int ring;

	if (!session_observer_become(session))
		return;
	if (!session_is_padded(segment, MEMPOOL_NAME_BYTES) ||
	    !session_is_padded(name, MEMPOOL_NAME_BYTES)) {
		session_refuse(session, -EPROTO, "a name is not closed by NULs");
		return;
	}
	if (!session_observer_may_administer(session))
		return;
	host = hosts_find(session->sessions->hosts, segment);
	if (!host) {
		session_refuse(session, -ENOENT, "there is no segment '%.31s'", segment);
		return;
	}
	if (!host_current(host)) {
		session_refuse(session, -EAGAIN, "segment '%s' is not served now: %s", host->name,
			       host->why);
		return;
	}
	ring = queue_find(host->current->segment, name, kind);
	if (ring < 0)
		session_refuse(session, -ENOENT, "segment '%s' has no %s '%.31s'", host->name,
			       kind_name(kind), name);
	else if (has_receiver(host->current->segment, (uint32_t)ring))
		session_refuse(session, -EBUSY, "queue '%s' has one receiver, and that is there", name);
	else
		begin(session, host->current, (uint32_t)ring);
}

void session_drain_stop_all(struct sessions *sessions)
{
	while (!TAILQ_EMPTY(&sessions->drains))
		end(TAILQ_FIRST(&sessions->drains));
}
