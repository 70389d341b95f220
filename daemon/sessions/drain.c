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
#include "shm/topic.h"

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

static bool step(void *userdata)
{
	struct session_drain *drain = userdata;
	struct generation *generation = drain->generation;

	/* What was truncated meanwhile has nothing to drain. */
	if (generation->state != GENERATION_LOST && !sigbus_was_hit(&generation->range) &&
	    !drain_step(&drain->drain, STEP_SLOTS))
		return true;
	log_notice("uid %u drained topic '%s' of %s: %llu messages, %llu chunks freed",
		   (unsigned int)drain->uid,
		   generation->segment->config.rings[drain->drain.topic.ring_index].name,
		   generation_label(generation), (unsigned long long)drain->drain.n_messages,
		   (unsigned long long)drain->drain.n_freed);
	tenants_tell_news(&generation->tenants);
	answer(drain);
	end(drain);
	return false;
}

static void begin(struct session *session, struct generation *generation, uint32_t ring)
{
	struct sessions *sessions = session->sessions;
	struct session_drain *drain = calloc(1, sizeof(*drain));
	struct topic topic;

	if (!drain) {
		session_refuse(session, -ENOMEM, "out of memory");
		return;
	}
	topic_view(&topic, generation->segment, ring);
	drain_init(&drain->drain, &topic, MEMPOOL_HOLDER_DAEMON_ID);
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

void session_drain_begin(struct session *session, const struct mempool_msg_drain *message)
{
	struct host *host;
	int ring;

	if (!session_observer_become(session))
		return;
	if (!session_is_padded(message->segment, sizeof(message->segment)) ||
	    !session_is_padded(message->topic, sizeof(message->topic))) {
		session_refuse(session, -EPROTO, "a name is not closed by NULs");
		return;
	}
	if (!session_observer_may_administer(session))
		return;
	host = hosts_find(session->sessions->hosts, message->segment);
	if (!host) {
		session_refuse(session, -ENOENT, "there is no segment '%.31s'",
			       message->segment);
		return;
	}
	if (!host_current(host)) {
		session_refuse(session, -EAGAIN, "segment '%s' is not served now: %s", host->name,
			       host->why);
		return;
	}
	ring = queue_find(host->current->segment, message->topic, MEMPOOL_RING_TOPIC);
	if (ring < 0)
		session_refuse(session, -ENOENT, "segment '%s' has no topic '%.31s'",
			       host->name, message->topic);
	else
		begin(session, host->current, (uint32_t)ring);
}

void session_drain_stop_all(struct sessions *sessions)
{
	while (!TAILQ_EMPTY(&sessions->drains))
		end(TAILQ_FIRST(&sessions->drains));
}
