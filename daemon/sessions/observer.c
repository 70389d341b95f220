/* SPDX-License-Identifier: MIT */
#include "daemon/sessions/observer.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/config/dump.h"
#include "daemon/segments/host.h"
#include "daemon/sessions/session.h"

bool session_observer_become(struct session *session)
{
	int r;

	if (session->state != SESSION_NEW && session->state != SESSION_OBSERVER) {
		session_refuse(session, -EPROTO, "a client is not an observer");
		return false;
	}
	/* At the limit somebody must be able to look, and to raise it. */
	r = permission_to_administer(session->sessions->conf, &session->peer)
		    ? session_ensure_unit_anyway(session)
		    : session_ensure_unit(session);
	if (r < 0) {
		session_refuse_quota(session, r);
		return false;
	}
	session->state = SESSION_OBSERVER;
	return true;
}

bool session_observer_may_administer(struct session *session)
{
	if (permission_to_administer(session->sessions->conf, &session->peer))
		return true;
	session_refuse(session, -EACCES, "user %u may not administer mempoold (admin)",
		       (unsigned int)session->peer.uid);
	return false;
}

/* ---- list ---- */

/* Who may attach, in whatever role, sees the segment; who is in it, its generation, whatever the config says now. */
static bool may_see(const struct session *session, const struct host *host,
		    const struct generation *generation)
{
	const struct peer *peer = &session->peer;

	if (permission_to_administer(session->sessions->conf, peer) ||
	    (host->conf && permission_role(host->conf, peer) >= 0))
		return true;
	return generation && tenants_have_user(&generation->tenants, peer->uid);
}

static bool is_listed(const struct session *session, const struct host *host,
		      const struct generation *generation)
{
	return generation->state != GENERATION_LOST && may_see(session, host, generation);
}

/* A segment that has no generation for new clients is told as well, without an object. */
static bool is_failed(const struct session *session, const struct host *host)
{
	return host->conf && !host->current && may_see(session, host, NULL);
}

/* One message of the answer: a generation, or 0 for a segment that has none for new clients. */
struct listed {
	char segment[MEMPOOL_NAME_BYTES];
	uint64_t generation;
};

/*
 * The answer, as it was when it was asked for. There may be more than the socket has room for: then
 * it goes on as that is read.
 */
struct listing {
	bool may_pass;
	uint32_t n;
	uint32_t next;
	struct listed all[];
};

static void note(struct listed *ret_all, uint32_t *n, const struct host *host, uint64_t generation)
{
	if (ret_all) {
		memcpy(ret_all[*n].segment, host->name, sizeof(ret_all[*n].segment));
		ret_all[*n].generation = generation;
	}
	(*n)++;
}

/* ret_all: NULL: only count them. */
static uint32_t find_listed(const struct session *session, struct listed *ret_all)
{
	const struct generation *generation;
	const struct host *host;
	uint32_t n = 0;

	TAILQ_FOREACH(host, &session->sessions->hosts->list, link) {
		TAILQ_FOREACH(generation, &host->generations, link)
			if (is_listed(session, host, generation))
				note(ret_all, &n, host, generation->place.generation);
		if (is_failed(session, host))
			note(ret_all, &n, host, 0);
	}
	return n;
}

/* One that has left the last answer unread is passed none. Return: 0 or -errno. */
static int open_generation(struct generation *generation, bool may_pass,
			   struct generation_passed *ret_passed)
{
	*ret_passed = (struct generation_passed){ .n = 0 };
	return may_pass ? generation_open(generation, GENERATION_OBSERVER, ret_passed) : 0;
}

/* Return: 0 or as session_send(). */
static int list_generation(struct session *session, struct generation *generation,
			   bool may_pass, struct mempool_msg_segment *message)
{
	static struct log_limit limit = LOG_LIMIT("segments that cannot be listed", 20);
	struct generation_passed passed;
	int r, opened;

	message->place = generation->place;
	message->is_retired = generation->state == GENERATION_RETIRED;
	message->n_moved = generation->n_moved_here;
	message->n_waiting = generation->moves.counts.n_waiting;
	memset(message->reason, 0, sizeof(message->reason));
	if (message->n_waiting > 0)
		snprintf(message->reason, sizeof(message->reason), "%s", generation->moves.why);
	opened = open_generation(generation, may_pass, &passed);
	if (opened < 0 && opened != -ENODATA)
		log_limited(&limit, LOG_WARNING, "cannot pass %s to who lists it: %s",
			    generation_label(generation), strerror(-opened));
	r = session_send_passed(session, message, sizeof(*message), passed.fds, passed.n);
	if (r == -ETOOMANYREFS)
		r = session_send(session, message, sizeof(*message));
	generation_close_passed(&passed);
	return r;
}

/* number 0: the current one. */
static struct generation *find_generation(struct host *host, uint64_t number)
{
	struct generation *generation;

	if (number == 0)
		return host->current;
	TAILQ_FOREACH(generation, &host->generations, link)
		if (generation->place.generation == number)
			return generation;
	return NULL;
}

/* One that is not served now; or, where the answer takes its time, is not what it was. */
static int list_failed(struct session *session, const struct host *host, const struct listed *one,
		       struct mempool_msg_segment *message)
{
	memcpy(message->place.segment, one->segment, sizeof(message->place.segment));
	message->error = -EAGAIN;
	if (host && one->generation == 0 && is_failed(session, host)) {
		if (host->error)
			message->error = host->error;
		memcpy(message->reason, host->why, sizeof(message->reason));
	} else {
		snprintf(message->reason, sizeof(message->reason), "it has changed meanwhile");
	}
	return session_send(session, message, sizeof(*message));
}

/* Return: 0 or as session_send(). */
static int list_next(struct session *session, const struct listing *listing)
{
	const struct listed *one = &listing->all[listing->next];
	struct host *host = hosts_get(session->sessions->hosts, one->segment);
	struct mempool_msg_segment message = { .index = listing->next, .n = listing->n };
	struct generation *generation;

	session_fill(&message.msg, MEMPOOL_MSG_SEGMENT, sizeof(message));
	generation = host && one->generation ? find_generation(host, one->generation) : NULL;
	if (generation && is_listed(session, host, generation))
		return list_generation(session, generation, listing->may_pass, &message);
	return list_failed(session, host, one, &message);
}

/* What else it says waits meanwhile. That it has hung up is found when it is told more. */
static void list_on(struct session *session)
{
	struct listing *listing = session->listing;
	int r = 0;

	while (listing->next < listing->n && r == 0) {
		r = list_next(session, listing);
		listing->next += r == 0;
	}
	if (r == -EAGAIN) {
		event_del(&session->readable);
		r = event_add(&session->writable, NULL);
	} else if (r == 0) {
		session_stop_listing(session);
		r = event_add(&session->readable, NULL);
	}
	if (r < 0)
		session_free(session);
}

static void on_room(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	list_on(userdata);
}

static int list_none(struct session *session)
{
	struct mempool_msg_segment message = { .index = 0 };

	session_fill(&message.msg, MEMPOOL_MSG_SEGMENT, sizeof(message));
	return session_send(session, &message, sizeof(message));
}

void session_observer_list(struct session *session)
{
	struct listing *listing;
	uint32_t n;

	if (!session_observer_become(session))
		return;
	n = find_listed(session, NULL);
	if (n == 0) {
		if (list_none(session) < 0)
			session_free(session);
		return;
	}
	listing = calloc(1, sizeof(*listing) + n * sizeof(listing->all[0]));
	if (!listing) {
		session_refuse(session, -ENOMEM, "out of memory");
		return;
	}
	listing->may_pass = session_has_read(session) && session_may_pass(session);
	listing->n = find_listed(session, listing->all);
	event_assign(&session->writable, session->sessions->base, session->fd, EV_WRITE, on_room,
		     session);
	session->listing = listing;
	list_on(session);
}

/* ---- forget ---- */

void session_observer_forget(struct session *session,
			     const struct mempool_msg_forget *message)
{
	struct mempool_msg_forgotten forgotten;
	struct generation *generation;
	struct host *host;
	int r;

	if (!session_observer_become(session) || !session_observer_may_administer(session))
		return;
	if (!session_is_padded(message->segment, sizeof(message->segment))) {
		session_refuse(session, -EPROTO, "a name is not closed by NULs");
		return;
	}
	host = hosts_find(session->sessions->hosts, message->segment);
	generation = host ? find_generation(host, message->generation) : NULL;
	r = generation ? tenants_forget(&generation->tenants, message->holder) : -ENOENT;
	if (r == -EBUSY)
		session_refuse(session, r, "holder %u lives: mempoold sees its process, or its "
			       "lock", message->holder);
	else if (r < 0)
		session_refuse(session, r, "there is no holder %u", message->holder);
	if (r < 0)
		return;
	log_notice("uid %u says that holder %u of %s is gone", (unsigned int)session->peer.uid,
		   message->holder, generation_label(generation));
	session_fill(&forgotten.msg, MEMPOOL_MSG_FORGOTTEN, sizeof(forgotten));
	if (session_send(session, &forgotten, sizeof(forgotten)) < 0)
		session_free(session);
}

/* ---- find ---- */

/* Return: NULL, and it was refused. */
static const struct tenant *find_tenant(struct session *session, const char *segment,
					uint64_t number, uint32_t holder)
{
	struct host *host = hosts_find(session->sessions->hosts, segment);
	struct generation *generation = host ? find_generation(host, number) : NULL;
	const struct tenant *tenant =
		generation ? tenants_get_living(&generation->tenants, holder) : NULL;

	if (!tenant)
		session_refuse(session, -ENOENT, "there is no client that is holder %u", holder);
	return tenant;
}

/* Whoever gets the pidfd may signal the process only as far as the kernel lets him. */
void session_observer_find(struct session *session, const struct mempool_msg_find *message)
{
	struct mempool_msg_found found = { .pid = 0 };
	const struct tenant *tenant;
	int pidfd, r;

	if (!session_observer_become(session) || !session_observer_may_administer(session))
		return;
	if (!session_is_padded(message->segment, sizeof(message->segment))) {
		session_refuse(session, -EPROTO, "a name is not closed by NULs");
		return;
	}
	tenant = find_tenant(session, message->segment, message->generation, message->holder);
	if (!tenant)
		return;
	pidfd = watch_pidfd(&tenant->watched);
	if (pidfd < 0) {
		session_refuse(session, -EXDEV, "mempoold does not see the process of holder %u",
			       message->holder);
		return;
	}
	session_fill(&found.msg, MEMPOOL_MSG_FOUND, sizeof(found));
	found.pid = (uint32_t)tenant->process.pid;
	found.uid = tenant->uid;
	memcpy(found.name, tenant->name, sizeof(found.name));
	r = session_send_passed(session, &found, sizeof(found), &pidfd, 1);
	if (r == -ETOOMANYREFS)
		session_refuse_passing(session);
	else if (r < 0)
		session_free(session);
}

/* ---- reload ---- */

void session_observer_reload(struct session *session, const struct mempool_msg_reload *message)
{
	const uint32_t known = MEMPOOL_RELOAD_DISCARD | MEMPOOL_RELOAD_DRY_RUN;
	int r;

	if (!session_observer_become(session) || !session_observer_may_administer(session))
		return;
	if ((message->flags & ~known) || message->reserved) {
		session_refuse(session, -EINVAL, "a reload with flags that mempoold does not know");
		return;
	}
	if (message->flags & MEMPOOL_RELOAD_DRY_RUN)
		log_notice("uid %u asks what a reload would do", (unsigned int)session->peer.uid);
	else if (message->flags & MEMPOOL_RELOAD_DISCARD)
		log_notice("uid %u asks for a reload that drops messages without a place",
			   (unsigned int)session->peer.uid);
	else
		log_notice("uid %u asks for a reload", (unsigned int)session->peer.uid);
	r = session->sessions->ask_reload(message->flags, &session->awaits_reload,
					  session->sessions->userdata);
	if (r < 0)
		session_refuse(session, r, "a reload is under way: ask again when it is over");
}

/* A sealed file with what was written into it. Return: its descriptor, or -errno. */
static int seal_file(int fd, int error)
{
	int r = fd < 0 ? -errno : error;

	if (r == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK |
					     F_SEAL_SEAL) < 0)
		r = -errno;
	if (r < 0 && fd >= 0)
		close(fd);
	return r < 0 ? r : fd;
}

static int make_text_file(const char *text)
{
	int fd = memfd_create("mempool-reload", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t length = strlen(text);

	return seal_file(fd, fd >= 0 && write(fd, text, length) != (ssize_t)length ? -EIO : 0);
}

/* Return: as session_send(). */
static int tell_reloaded(struct session *session, const struct mempool_msg_reloaded *result,
			 const char *forecast)
{
	int fd = forecast ? make_text_file(forecast) : -1, r;

	if (fd < 0)
		return session_send(session, result, sizeof(*result));
	r = session_send_passed(session, result, sizeof(*result), &fd, 1);
	if (r == -ETOOMANYREFS)
		r = session_send(session, result, sizeof(*result));
	close(fd);
	return r;
}

void session_observer_reloaded(struct sessions *sessions, uint64_t number,
			       struct mempool_msg_reloaded *result, const char *forecast)
{
	struct session *session, *next;

	session_fill(&result->msg, MEMPOOL_MSG_RELOADED, sizeof(*result));
	for (session = TAILQ_FIRST(&sessions->list); session; session = next) {
		next = TAILQ_NEXT(session, link);
		if (session->awaits_reload != number)
			continue;
		session->awaits_reload = 0;
		if (tell_reloaded(session, result, forecast) < 0)
			session_free(session);
	}
}

/* ---- dump ---- */

void session_observer_dump(struct session *session, const struct mempool_msg_dump *message)
{
	struct mempool_msg_dumped dumped;
	int fd, r;

	if (!session_observer_become(session) || !session_observer_may_administer(session))
		return;
	fd = memfd_create("mempool.yaml", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	fd = seal_file(fd, fd < 0 ? 0 : conf_dump(session->sessions->conf, message->as_json != 0,
						  fd));
	session_fill(&dumped.msg, MEMPOOL_MSG_DUMPED, sizeof(dumped));
	if (fd < 0) {
		session_refuse(session, fd, "cannot write the config: %s", strerror(-fd));
		return;
	}
	r = session_send_passed(session, &dumped, sizeof(dumped), &fd, 1);
	if (r == -ETOOMANYREFS)
		session_refuse_passing(session);
	else if (r < 0)
		session_free(session);
	close(fd);
}
