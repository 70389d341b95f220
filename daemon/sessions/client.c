/* SPDX-License-Identifier: MIT */
#include "daemon/sessions/client.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "daemon/base/counters.h"
#include "daemon/base/log.h"
#include "daemon/base/process.h"
#include "daemon/segments/host.h"
#include "daemon/sessions/arrival.h"
#include "daemon/sessions/session.h"

#define HELLO_FLAGS ((uint32_t)(MEMPOOL_HELLO_MEMBARRIER | MEMPOOL_HELLO_READ_ONLY))

/* ---- hello ---- */

/* One that hung up may have said bye before it did: read on, to the end. */
static bool has_hung_up(int error)
{
	return error == -EPIPE || error == -ECONNRESET;
}

static enum generation_peer peer_of(const struct tenant *tenant)
{
	return tenant->role == MEMPOOL_WELCOME_MEMBER ? GENERATION_MEMBER : GENERATION_READER;
}

/* Whoever comes back to its segment has it mapped. */
static int open_for(const struct session *session, const struct tenant *tenant,
		    struct generation_passed *ret_passed)
{
	*ret_passed = (struct generation_passed){ .n = 0 };
	return session->segment_id ? 0 : generation_open(generation_of(tenant->tenants),
							 peer_of(tenant), ret_passed);
}

static int send_welcome(struct session *session, struct mempool_msg_welcome *message,
			struct generation_passed *passed)
{
	int r;

	session_fill(&message->msg, MEMPOOL_MSG_WELCOME, sizeof(*message));
	r = session_send_passed(session, message, sizeof(*message), passed->fds, passed->n);
	generation_close_passed(passed);
	return r;
}

static void welcome(struct session *session, struct tenant *tenant)
{
	struct mempool_msg_welcome message = {
		.place = *tenant->tenants->place,
		.holder = tenant->id,
		.incarnation = tenant->incarnation,
		.role = (uint32_t)tenant->role,
		.max_chunks = tenant->bound.max_chunks,
		.max_bytes = tenant->bound.max_bytes,
		.reserves = tenant->reserves,
	};
	struct arrival arrival;
	struct generation_passed passed;
	bool is_new = !tenant->visitor && !tenant->unit.user;
	int r;

	/* A repeat on a new connection: the old one has served. */
	if (tenant->visitor)
		session_free(session_of(tenant->visitor));
	if (session->unit.user)
		quota_put(&tenant->unit);
	else
		session_take_unit(session, &tenant->unit);
	/* Where the process is watched already, one more descriptor of it is of no use. */
	if (session->pidfd >= 0)
		close(session->pidfd);
	session->pidfd = -1;
	tenant->visitor = &session->visitor;
	session->visitor.tenant = tenant;
	session->state = SESSION_ATTACHED;

	r = open_for(session, tenant, &passed);
	if (r < 0) {
		session_refuse(session, -EAGAIN, "cannot open %s for a client: %s",
			       tenants_label(tenant->tenants), strerror(-r));
		if (is_new)
			tenant_end(tenant);
		return;
	}
	r = send_welcome(session, &message, &passed);
	if (r < 0 && (is_new || !has_hung_up(r))) {
		/* Nobody was told of a new record, so nobody holds anything through it. */
		if (r == -ETOOMANYREFS)
			session_refuse_passing(session);
		else
			session_free(session);
		if (is_new)
			tenant_end(tenant);
		return;
	}
	arrival = (struct arrival){
		.name = tenant->name,
		.pid = tenant->process.pid,
		.uid = tenant->uid,
		.is_back = !is_new,
		.role = (enum mempool_welcome_role)message.role,
		.segment = message.place.segment,
		.label = tenants_label(tenant->tenants),
		.holder = tenant->id,
	};
	arrival_log(&arrival);
	tenant_look_up(tenant);
	generation_open_ahead(generation_of(tenant->tenants), peer_of(tenant));
}

/* It has no record: nothing of it is kept but its connection, and nothing waits for its end. */
static void show(struct session *session, const struct host *host, struct generation *generation)
{
	struct mempool_msg_welcome message = {
		.place = generation->place,
		.holder = MEMPOOL_HOLDER_NONE,
		.role = MEMPOOL_WELCOME_SPECTATOR,
	};
	struct arrival arrival;
	struct generation_passed passed;
	int r;

	r = generation_open(generation, GENERATION_SPECTATOR, &passed);
	if (r < 0) {
		session_refuse(session, -EAGAIN, "cannot open %s for a client: %s",
			       generation_label(generation), strerror(-r));
		return;
	}
	session->state = SESSION_SPECTATOR;
	memcpy(session->segment, host->name, sizeof(session->segment));
	if (send_welcome(session, &message, &passed) < 0) {
		session_free(session);
		return;
	}
	arrival = (struct arrival){
		.name = session->name,
		.pid = session->peer.pid,
		.uid = session->peer.uid,
		.role = MEMPOOL_WELCOME_SPECTATOR,
		.segment = host->name,
		.label = generation_label(generation),
		.holder = MEMPOOL_HOLDER_NONE,
	};
	arrival_log(&arrival);
	generation_open_ahead(generation, GENERATION_SPECTATOR);
}

/*
 * No room. But a bye, or the end of a process, that came before this hello came by another
 * descriptor and may be unread yet; and what is being reaped makes room soon. Return: whether
 * the hello is to be tried again.
 */
static bool wait_a_moment(struct session *session)
{
	static const struct timeval moment = { 0, 10000 };

	if (session->has_waited && session->sessions->counters->n_reaping == 0)
		return false;
	session->has_waited = true;
	session->state = SESSION_WAITING;
	event_add(&session->readable, &moment);
	return true;
}

/* So many names are looked at for one that may have been meant: a refusal is to be cheap. */
#define MAX_MEANT 16

/*
 * The segment that was meant, of those that it may attach to. Which ones there are besides makes no
 * difference. NULL: none.
 */
static const char *find_meant(const struct session *session)
{
	const struct conf *conf = session->sessions->conf;
	const char *known[MAX_MEANT + 1];
	size_t n = 0;

	for (size_t i = 0; i < conf->n_segments && n < MAX_MEANT; i++)
		if (permission_role(&conf->segments[i], &session->peer) >= 0)
			known[n++] = conf->segments[i].shape.name;
	known[n] = NULL;
	return conf_nearest(session->segment, known);
}

/*
 * Which segments others have is not for everybody to know: one that may not be attached to is
 * answered like one that there is not. The log says which it was, and so do we to admins.
 */
static void refuse_segment(struct session *session, const struct host *host)
{
	bool is_admin = permission_to_administer(session->sessions->conf, &session->peer);
	unsigned int uid = session->peer.uid;
	const char *meant = find_meant(session);
	char told[240], hint[64] = "";

	if (meant)
		snprintf(hint, sizeof(hint), "; did you mean '%s'?", meant);
	if (is_admin)
		snprintf(told, sizeof(told), "there is no segment '%s'%s", session->segment, hint);
	else
		snprintf(told, sizeof(told), "there is no segment '%s', or user %u may not attach "
			 "to it (mempoold's log says which)%s", session->segment, uid, hint);
	if (host)
		session_refuse_telling(session, is_admin ? -EACCES : -ENOENT,
				       is_admin ? NULL : told,
				       "user %u may not attach to segment '%s' (its allow)", uid,
				       host->name);
	else
		session_refuse_telling(session, -ENOENT, told, "there is no segment '%s'",
				       session->segment);
}

/* Where newcomers go. NULL: the session waits, or was refused. */
static struct generation *open_door(struct session *session, struct host *host)
{
	struct generation *generation;
	int r;

	r = session_ensure_unit(session);
	if (r < 0) {
		if (r == -ENOMEM || !wait_a_moment(session))
			session_refuse_quota(session, r);
		return NULL;
	}
	generation = host_current(host);
	if (host_is_coming(host)) {
		session_wait_for_segment(session);
		return NULL;
	}
	if (!generation)
		session_refuse(session, -EAGAIN, "segment '%s' is not served now: %s", host->name,
			       host->why);
	return generation;
}

static void admit(struct session *session, const struct host *host, struct generation *generation,
		  const struct newcomer *newcomer)
{
	struct tenant *tenant;
	int r;

	r = generation_admit(generation, newcomer, &session->pidfd, &tenant);
	if (r == 0) {
		welcome(session, tenant);
	} else if (r == -EAGAIN) {
		session->state = SESSION_WAITING;
		tenants_wait(&generation->tenants, &session->visitor);
	} else if (r == -EUSERS) {
		if (!session->has_waited && wait_a_moment(session))
			return;
		session_refuse(session, r, "segment '%s' has no free holder: all %u are "
			       "taken (max_clients)", host->name,
			       generation->tenants.n_ids - generation->tenants.first_id);
	} else if (r == -EPERM) {
		session_refuse(session, -EAGAIN, "your process has no membarrier(2), and mempoold "
			       "could not issue one to let it in (a system call filter?)");
	} else if (r == -ESRCH) {
		/* It has ended meanwhile: there is nobody to tell. */
		session_free(session);
	} else {
		session_refuse(session, r, "out of memory");
	}
}

/* Of one who may be a holder, or is one that comes back. */
static void answer_holder(struct session *session, struct host *host, int role)
{
	const struct hosts *hosts = session->sessions->hosts;
	struct newcomer newcomer = {
		.process = session->process,
		.uid = session->peer.uid,
		.nonce = session->nonce,
		.has_membarrier = session->has_membarrier,
		.role = role == MEMPOOL_WELCOME_MEMBER ? MEMPOOL_WELCOME_MEMBER : MEMPOOL_WELCOME_READER,
		.reserves = role == MEMPOOL_WELCOME_MEMBER
				    ? permission_reserves(host->conf, &session->peer) : 0,
		.name = session->name,
	};
	struct generation *generation;
	struct tenant *tenant;

	tenant = hosts_find_tenant(hosts, session->segment, session->segment_id, &newcomer);
	/* It is passed all once more, each time. */
	if (tenant && !session->segment_id && !session_may_pass(session)) {
		session_refuse(session, -EDQUOT, "user %u has not read what it was passed on "
			       "connections that are over",
			       (unsigned int)session->peer.uid);
		return;
	}
	if (tenant) {
		tenant_come_back(tenant, &newcomer, &session->pidfd);
		welcome(session, tenant);
		return;
	}
	if (session->segment_id) {
		bool is_gone = hosts_lack(hosts, session->segment_id);

		session_refuse(session, is_gone ? -EIDRM : -ESTALE, "no record of this client: its "
			       "segment is gone, or was given up");
		return;
	}
	if (role < 0) {
		refuse_segment(session, host);
		return;
	}
	generation = open_door(session, host);
	if (!generation)
		return;
	newcomer.bound = *permission_bound(host->conf, &session->peer);
	admit(session, host, generation, &newcomer);
}

static bool is_client_name(const char *name)
{
	return *name && name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					  "0123456789._:@-")] == '\0';
}

/* Who is it, exactly? Return: 0, or the session was refused. */
static int identify(struct session *session)
{
	int r;

	r = process_open_peer(session->fd, session->peer.pid,
			      &session->sessions->hosts->environment.origin, &session->pidfd,
			      &session->process);
	if (r == 0)
		return 0;
	if (r == -EXDEV)
		session_refuse(session, -EACCES, "your process is in another pid namespace, where "
			       "mempoold sees its end only from Linux 6.9 on; run one of both in "
			       "the other's (--pid=host, shareProcessNamespace)");
	else if (r == -ESRCH)
		session_refuse(session, -EACCES, "pid %d is not visible to mempoold, or "
			       "has ended; /proc must show it (hidepid=, ProtectProc=)",
			       (int)session->peer.pid);
	else
		session_refuse(session, r, "cannot watch pid %d: %s",
			       (int)session->peer.pid, strerror(-r));
	return r;
}

void session_client_answer(struct session *session)
{
	struct host *host = hosts_find(session->sessions->hosts, session->segment);
	int role = host ? permission_role(host->conf, &session->peer) : -ENOENT;
	struct generation *generation;

	if (role == MEMPOOL_WELCOME_MEMBER && session->is_read_only)
		role = MEMPOOL_WELCOME_READER;
	/* One who comes back has been a holder, whatever the config says now. */
	if (role == MEMPOOL_WELCOME_SPECTATOR && !session->segment_id) {
		generation = open_door(session, host);
		if (generation)
			show(session, host, generation);
		return;
	}
	/* Whose end frees something is to be seen. */
	if (session->pidfd < 0 && identify(session) < 0)
		return;
	answer_holder(session, host, role);
}

void session_client_hello(struct session *session, const struct mempool_msg_hello *hello)
{
	if (session->state != SESSION_NEW) {
		session_refuse(session, -EPROTO, "a hello where none was due");
		return;
	}
	if (!session_is_padded(hello->segment, sizeof(hello->segment)) ||
	    !session_is_padded(hello->name, sizeof(hello->name))) {
		session_refuse(session, -EPROTO,
			       "a name in the hello is not closed by NULs");
		return;
	}
	if (!is_client_name(hello->name)) {
		session_refuse(session, -EINVAL,
			       "a client's name has 1 to 31 of A-Z a-z 0-9 . _ : @ -");
		return;
	}
	if (hello->segment[0] && !config_name_is_valid(hello->segment)) {
		session_refuse(session, -EINVAL,
			       "a segment's name has 1 to 31 of A-Z a-z 0-9 _ -");
		return;
	}
	if (hello->nonce == 0) {
		session_refuse(session, -EINVAL, "the nonce of a hello is not 0");
		return;
	}
	if ((hello->flags & ~HELLO_FLAGS) || hello->reserved) {
		session_refuse(session, -EINVAL, "the hello has flags that mempoold does not know");
		return;
	}
	session->has_membarrier = hello->flags & MEMPOOL_HELLO_MEMBARRIER;
	session->is_read_only = hello->flags & MEMPOOL_HELLO_READ_ONLY;
	session->nonce = hello->nonce;
	session->segment_id = hello->segment_id;
	memcpy(session->segment, hello->segment, sizeof(session->segment));
	memcpy(session->name, hello->name, sizeof(session->name));
	session_client_answer(session);
}

/* ---- bye ---- */

/* Whether it was welcome. */
static bool is_served(const struct session *session)
{
	return session->state == SESSION_ATTACHED || session->state == SESSION_SPECTATOR;
}

/* What the code means that its mempool_client_open() returns. */
static const char *why_unable(int error)
{
	switch (error) {
	case -ENOLCK:
		return "it locks all of its memory (mlockall), and RLIMIT_MEMLOCK is less than that";
	case -EPROTONOSUPPORT:
		return "it is of another version than mempoold";
	case -EBADMSG:
		return "the segment is damaged";
	default:
		return strerror(-error);
	}
}

void session_client_unable(struct session *session, const struct mempool_msg_unable *unable)
{
	static struct log_limit limit = LOG_LIMIT("clients that cannot use their segment", 20);
	const struct tenant *tenant = session->visitor.tenant;

	if (!is_served(session) || unable->error >= 0 || unable->error < -4095 ||
	    unable->reserved != 0) {
		session_refuse(session, -EPROTO, "a client says once it is welcome why it cannot "
			       "use its segment");
		return;
	}
	log_limited(&limit, LOG_WARNING, "client '%s' (pid %d, uid %u) cannot use %s: %s",
		    session->name, (int)session->peer.pid, (unsigned int)session->peer.uid,
		    tenant ? tenants_label(tenant->tenants) : session->segment,
		    why_unable(unable->error));
}

void session_client_no_barrier(struct session *session)
{
	static struct log_limit limit = LOG_LIMIT("clients that lose membarrier", 20);
	struct tenant *tenant = session->visitor.tenant;

	if (session->state != SESSION_ATTACHED) {
		session_refuse(session, -EPROTO, "only a client has a membarrier(2) to lose");
		return;
	}
	log_limited(&limit, LOG_NOTICE, "client '%s' (pid %d, uid %u), holder %u of %s, has lost "
		    "membarrier(2), by a system call filter perhaps: all claim by swaps there, as long "
		    "as it stays", tenant->name, (int)tenant->process.pid, (unsigned int)tenant->uid,
		    tenant->id, tenants_label(tenant->tenants));
	tenant_lose_membarrier(tenant);
}

static void leave(struct tenant *tenant, const struct mempool_msg_bye *bye)
{
	static struct log_limit limit = LOG_LIMIT("clients that leave", 500);

	log_limited(&limit, LOG_INFO, "client '%s' (pid %d, uid %u) left holder %u of %s; it "
		    "freed %llu chunks that it still held", tenant->name, (int)tenant->process.pid,
		    (unsigned int)tenant->uid, tenant->id, tenants_label(tenant->tenants),
		    (unsigned long long)bye->n_freed);
	/* From here on no kill of ours loses it, and the client may know. */
	tenant_end(tenant);
}

void session_client_bye(struct session *session, const struct mempool_msg_bye *bye)
{
	struct mempool_msg_gone gone;
	struct tenant *tenant = session->visitor.tenant;

	if (!is_served(session)) {
		session_refuse(session, -EPROTO, "a bye before a hello");
		return;
	}
	if (tenant)
		leave(tenant, bye);
	session_fill(&gone.msg, MEMPOOL_MSG_GONE, sizeof(gone));
	session_send(session, &gone, sizeof(gone));
	session_free(session);
}

/* ---- wake channels ---- */

/*
 * The daemon makes it, so that its kind is known to all who use it, and never uses it itself: it
 * tells its own news by message.
 */
static void make_channel(struct tenant *tenant)
{
	static struct log_limit limit = LOG_LIMIT("wake channels that cannot be made", 20);

	tenant->polls = true;
	if (tenant->wake_fd >= 0)
		return;
	tenant->wake_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (tenant->wake_fd < 0)
		log_limited(&limit, LOG_WARNING, "no wake channel for client '%s' (pid %d): %s; it "
			    "looks once a second", tenant->name, (int)tenant->process.pid,
			    strerror(errno));
}

void session_client_wake_fd(struct session *session)
{
	struct mempool_msg_wake answer = { .found = 0 };
	struct tenant *tenant = session->visitor.tenant;
	int r;

	if (session->state != SESSION_ATTACHED) {
		session_refuse(session, -EPROTO, "only a client asks for a wake channel");
		return;
	}
	make_channel(tenant);
	session_fill(&answer.msg, MEMPOOL_MSG_WAKE, sizeof(answer));
	answer.found = tenant->wake_fd >= 0 && session_may_pass(session);
	r = answer.found ? session_send_passed(session, &answer, sizeof(answer), &tenant->wake_fd, 1)
			 : session_send(session, &answer, sizeof(answer));
	if (r == -ETOOMANYREFS) {
		answer.found = 0;
		r = session_send(session, &answer, sizeof(answer));
	}
	if (r < 0 && !has_hung_up(r))
		session_free(session);
}

/* What the asker is told of a holder's channel. */
static uint32_t find_channel(struct session *session, const struct tenant *peer)
{
	if (!peer || peer->wake_fd < 0)
		return MEMPOOL_PEER_NONE;
	return session_may_pass(session) ? MEMPOOL_PEER_PASSED : MEMPOOL_PEER_LATER;
}

void session_client_peer_fd(struct session *session, const struct mempool_msg_peer_fd *ask)
{
	struct mempool_msg_peer answer = {
		.holder = ask->holder,
		.incarnation = ask->incarnation,
	};
	struct visitor *visitor;
	struct tenant *peer;
	int r;

	if (session->state != SESSION_ATTACHED) {
		session_refuse(session, -EPROTO, "only a client asks for a peer");
		return;
	}
	session_fill(&answer.msg, MEMPOOL_MSG_PEER, sizeof(answer));
	peer = tenants_get(session->visitor.tenant->tenants, ask->holder, ask->incarnation);
	answer.found = find_channel(session, peer);
	visitor = peer && peer->polls ? peer->visitor : NULL;
	r = answer.found == MEMPOOL_PEER_PASSED
		    ? session_send_passed(session, &answer, sizeof(answer), &peer->wake_fd, 1)
		    : session_send(session, &answer, sizeof(answer));
	if (r == -ETOOMANYREFS) {
		answer.found = MEMPOOL_PEER_LATER;
		r = session_send(session, &answer, sizeof(answer));
	}
	/*
	 * Then, in the asker's stead, which does not wait for the answer: one that has published
	 * and finds no answer yet knows that this is still to come. A holder that has not asked
	 * for its channel yet, or comes back, looks when it gets that.
	 */
	if (visitor)
		session_client_look_again(visitor);
	if (r < 0 && !has_hung_up(r))
		session_free(session);
}

void session_client_look_again(struct visitor *visitor)
{
	session_tell_news(session_of(visitor));
}

void session_client_try_again(struct visitor *visitor)
{
	session_client_answer(session_of(visitor));
}

static bool answer_next(void *userdata)
{
	struct sessions *sessions = userdata;
	struct session *session = TAILQ_FIRST(&sessions->coming);

	if (session && sessions->n_answers > 0) {
		sessions->n_answers--;
		/* One that has to go on waiting is at the end again. */
		session_stop_waiting(session);
		session_client_answer(session);
	}
	return sessions->n_answers > 0 && !TAILQ_EMPTY(&sessions->coming);
}

void session_client_try_all(struct sessions *sessions)
{
	const struct session *session;

	sessions->n_answers = 0;
	TAILQ_FOREACH(session, &sessions->coming, coming_link)
		sessions->n_answers++;
	if (sessions->n_answers > 0)
		chore_start(&sessions->answer);
}

void session_client_init(struct sessions *sessions)
{
	chore_init(&sessions->answer, sessions->chores, answer_next, sessions);
}
