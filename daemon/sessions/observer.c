/* SPDX-License-Identifier: MIT */
#include "daemon/sessions/observer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/config/dump.h"
#include "daemon/segments/host.h"
#include "daemon/sessions/session.h"
#include "shm/queue.h"
#include "shm/topic.h"

/* false: the session was refused. */
static bool become_observer(struct session *session)
{
	int r;

	if (session->state != SESSION_NEW && session->state != SESSION_OBSERVER) {
		session_refuse(session, -EBADMSG, "a client is not an observer");
		return false;
	}
	r = session_ensure_unit(session);
	/* At the limit somebody must be able to look, and to raise it. */
	if (r < 0 && permission_to_administer(session->sessions->conf, &session->peer))
		r = quota_take_anyway(session->sessions->quota, session->peer.uid,
				      &session->unit);
	if (r < 0) {
		session_refuse_quota(session, r);
		return false;
	}
	session->state = SESSION_OBSERVER;
	return true;
}

void session_observer_list(struct session *session)
{
	struct mempool_msg_segment message = { .index = 0 };
	const struct hosts *hosts = session->sessions->hosts;
	struct generation *generation;
	struct host *host;
	int r;

	if (!become_observer(session))
		return;
	session_fill(&message.msg, MEMPOOL_MSG_SEGMENT, sizeof(message));
	TAILQ_FOREACH(host, &hosts->list, link)
		TAILQ_FOREACH(generation, &host->generations, link)
			message.n += generation->state != GENERATION_LOST;
	r = message.n == 0 ? session_send(session, &message, sizeof(message)) : 0;
	TAILQ_FOREACH(host, &hosts->list, link) {
		TAILQ_FOREACH(generation, &host->generations, link) {
			if (generation->state == GENERATION_LOST)
				continue;
			message.place = generation->place;
			if (r == 0)
				r = session_send(session, &message, sizeof(message));
			message.index++;
		}
	}
	if (r < 0)
		session_free(session);
}

/* ---- drain ---- */

/* false: the session was refused. */
static bool may_administer(struct session *session)
{
	if (permission_to_administer(session->sessions->conf, &session->peer))
		return true;
	session_refuse(session, -EACCES, "user %u may not administer mempoold (admin)",
		       (unsigned int)session->peer.uid);
	return false;
}

static void drain(struct session *session, struct host *host, uint32_t ring)
{
	struct mempool_msg_drained drained = { .n_messages = 0 };
	struct generation *generation = host->current;
	struct topic topic;

	topic_view(&topic, generation->segment, ring);
	drained.n_messages = topic_drain(&topic, MEMPOOL_HOLDER_DAEMON_ID, &drained.n_freed);
	log_notice("uid %u drained topic '%s' of %s: %llu messages, %llu chunks freed",
		   (unsigned int)session->peer.uid, generation->segment->config.rings[ring].name,
		   generation_label(generation), (unsigned long long)drained.n_messages,
		   (unsigned long long)drained.n_freed);
	tenants_tell_news(&generation->tenants);
	session_fill(&drained.msg, MEMPOOL_MSG_DRAINED, sizeof(drained));
	if (session_send(session, &drained, sizeof(drained)) < 0)
		session_free(session);
}

void session_observer_drain(struct session *session, const struct mempool_msg_drain *message)
{
	struct host *host;
	int ring;

	if (!become_observer(session))
		return;
	if (!session_is_padded(message->segment, sizeof(message->segment)) ||
	    !session_is_padded(message->topic, sizeof(message->topic))) {
		session_refuse(session, -EBADMSG, "a name is not closed by NULs");
		return;
	}
	if (!permission_to_administer(session->sessions->conf, &session->peer)) {
		session_refuse(session, -EACCES,
			       "user %u may not administer mempoold (admin)",
			       (unsigned int)session->peer.uid);
		return;
	}
	host = hosts_find(session->sessions->hosts, message->segment);
	if (!host || !host_current(host)) {
		session_refuse(session, -ENOENT, "there is no segment '%.31s'",
			       message->segment);
		return;
	}
	ring = queue_find(host->current->segment, message->topic, MEMPOOL_RING_TOPIC);
	if (ring < 0)
		session_refuse(session, -ENOENT, "segment '%s' has no topic '%.31s'",
			       host->name, message->topic);
	else
		drain(session, host, (uint32_t)ring);
}

/* ---- reload ---- */

void session_observer_reload(struct session *session)
{
	if (!become_observer(session) || !may_administer(session))
		return;
	log_notice("uid %u asks for a reload", (unsigned int)session->peer.uid);
	session->sessions->ask_reload(&session->awaits_reload, session->sessions->userdata);
}

void session_observer_reloaded(struct sessions *sessions, uint64_t number,
			       struct mempool_msg_reloaded *result)
{
	struct session *session, *next;

	session_fill(&result->msg, MEMPOOL_MSG_RELOADED, sizeof(*result));
	for (session = TAILQ_FIRST(&sessions->list); session; session = next) {
		next = TAILQ_NEXT(session, link);
		if (session->awaits_reload != number)
			continue;
		session->awaits_reload = 0;
		if (session_send(session, result, sizeof(*result)) < 0)
			session_free(session);
	}
}

/* ---- dump ---- */

void session_observer_dump(struct session *session, const struct mempool_msg_dump *message)
{
	struct mempool_msg_dumped dumped;
	int fd, r;

	if (!become_observer(session) || !may_administer(session))
		return;
	fd = memfd_create("mempool.yaml", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	r = fd < 0 ? -errno : conf_dump(session->sessions->conf, message->as_json != 0, fd);
	if (r == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK |
					     F_SEAL_SEAL) < 0)
		r = -errno;
	session_fill(&dumped.msg, MEMPOOL_MSG_DUMPED, sizeof(dumped));
	if (r < 0)
		session_refuse(session, r, "cannot write the config: %s", strerror(-r));
	else if (session_send_fd(session, &dumped, sizeof(dumped), fd) < 0)
		session_free(session);
	if (fd >= 0)
		close(fd);
}
